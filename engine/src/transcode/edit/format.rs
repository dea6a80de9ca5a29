//! What a picture is made of: size, pixels, colours. And what the editor turns it into.

use ff::color;
use ff::format::Pixel;
use ff::frame::Video;
use ffmpeg_next as ff;

use super::frame_ffi::{self, Traits};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Colorimetry, Matrix, Range, Ratio};

/// Everything about a picture but its samples and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureFormat {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Layout of the samples.
    pub pixel: Pixel,
    /// Width of a pixel to its height; square where the stream does not tell.
    pub pixel_aspect: Ratio,
    /// Matrix coefficients, unspecified where the stream does not tell.
    pub space: color::Space,
    /// Range of the samples, unspecified (which means limited) where the stream does not tell.
    pub range: color::Range,
    /// Colour primaries.
    pub primaries: color::Primaries,
    /// Transfer characteristic.
    pub transfer: color::TransferCharacteristic,
    /// Two fields in one picture.
    pub interlaced: bool,
}

impl PictureFormat {
    /// As the frame's own fields say. The `yuvj` formats count as full range.
    pub fn of(frame: &Video) -> PictureFormat {
        let pixel = frame.format();
        let range = if plain(pixel) == pixel { frame.color_range() } else { color::Range::JPEG };
        PictureFormat {
            width: frame.width(),
            height: frame.height(),
            pixel,
            pixel_aspect: aspect(frame.aspect_ratio()),
            space: frame.color_space(),
            range,
            primaries: frame.color_primaries(),
            transfer: frame.color_transfer_characteristic(),
            interlaced: frame.is_interlaced(),
        }
    }

    /// Matrix and range, guessed from the size where the stream does not tell.
    pub fn colorimetry(&self) -> Colorimetry {
        let matrix = match self.space {
            color::Space::BT709 => Matrix::Bt709,
            color::Space::BT470BG | color::Space::SMPTE170M | color::Space::FCC => Matrix::Bt601,
            color::Space::BT2020NCL | color::Space::BT2020CL => Matrix::Bt2020,
            _ => Colorimetry::guess(self.height).matrix,
        };
        let range = if self.range == color::Range::JPEG { Range::Full } else { Range::Limited };
        Colorimetry { matrix, range }
    }

    /// What these pictures become: planar 4:2:0, 8 bits where they are painted on or had no more, else
    /// 10. R'G'B' becomes limited range with the matrix that its size suggests.
    pub(super) fn as_420(&self, painted: bool) -> Result<PictureFormat> {
        let traits = self.traits()?;
        let deep = traits.depth > 8 && !painted;
        let mut to =
            PictureFormat { pixel: if deep { Pixel::YUV420P10LE } else { Pixel::YUV420P }, ..self.clone() };
        if traits.rgb {
            to.range = color::Range::MPEG;
            to.space = space_of(Colorimetry::guess(self.height).matrix);
        }
        Ok(to)
    }

    /// A matrix that was guessed from another size is written down where this size would suggest
    /// another: the samples stay what they are.
    pub(super) fn with_matrix_of(mut self, from: &PictureFormat) -> PictureFormat {
        let matrix = from.colorimetry().matrix;
        if self.space == color::Space::Unspecified && self.colorimetry().matrix != matrix {
            self.space = space_of(matrix);
        }
        self
    }

    /// Layout and depth of the samples.
    pub(super) fn traits(&self) -> Result<Traits> {
        frame_ffi::traits(self.pixel).filter(|traits| !traits.hardware).ok_or_else(|| {
            let message =
                format!("pictures of the format {:?} cannot be edited; decode in software", self.pixel);
            Error::new(ErrorKind::Unsupported, "edit", message)
        })
    }

    /// What a frame must say of itself to belong to this format.
    pub(super) fn tag(&self, frame: &mut Video) {
        if plain(frame.format()) == self.pixel {
            frame.set_format(self.pixel);
        }
        frame.set_color_space(self.space);
        frame.set_color_range(self.range);
        frame.set_color_primaries(self.primaries);
        frame.set_color_transfer_characteristic(self.transfer);
        frame_ffi::set_pixel_aspect(frame, self.pixel_aspect);
        frame_ffi::set_interlaced(frame, self.interlaced);
    }
}

fn space_of(matrix: Matrix) -> color::Space {
    match matrix {
        Matrix::Bt601 => color::Space::SMPTE170M,
        Matrix::Bt709 => color::Space::BT709,
        Matrix::Bt2020 => color::Space::BT2020NCL,
    }
}

/// The format of the same layout whose range is told apart from it.
pub(super) fn plain(pixel: Pixel) -> Pixel {
    match pixel {
        Pixel::YUVJ420P => Pixel::YUV420P,
        Pixel::YUVJ422P => Pixel::YUV422P,
        Pixel::YUVJ444P => Pixel::YUV444P,
        Pixel::YUVJ440P => Pixel::YUV440P,
        Pixel::YUVJ411P => Pixel::YUV411P,
        other => other,
    }
}

/// libavfilter's names of ranges.
pub(super) fn range_name(range: Range) -> &'static str {
    match range {
        Range::Limited => "tv",
        Range::Full => "pc",
    }
}

/// libswscale's names of matrices.
pub(super) fn matrix_name(matrix: Matrix) -> &'static str {
    match matrix {
        Matrix::Bt601 => "bt601",
        Matrix::Bt709 => "bt709",
        Matrix::Bt2020 => "bt2020",
    }
}

fn aspect(ratio: ff::Rational) -> Ratio {
    let part = |v: i32| u32::try_from(v).unwrap_or(0);
    Ratio::new(part(ratio.numerator()), part(ratio.denominator())).unwrap_or(Ratio::ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_does_not_tell_stays_open() {
        let frame = Video::new(Pixel::YUV420P, 640, 360);
        let format = PictureFormat::of(&frame);
        assert_eq!((format.width, format.height), (640, 360));
        assert_eq!(format.pixel_aspect, Ratio::ONE);
        assert_eq!(format.space, color::Space::Unspecified);
        assert_eq!(format.range, color::Range::Unspecified);
        assert_eq!(format.colorimetry(), Colorimetry { matrix: Matrix::Bt601, range: Range::Limited });
    }

    #[test]
    fn jpeg_formats_are_full_range() {
        let format = PictureFormat::of(&Video::new(Pixel::YUVJ420P, 1280, 720));
        assert_eq!(format.range, color::Range::JPEG);
        let to = format.as_420(true).expect("a format");
        assert_eq!((to.pixel, to.range), (Pixel::YUV420P, color::Range::JPEG));
    }

    #[test]
    fn depth_is_kept_where_nothing_is_painted() {
        for (pixel, painted, want) in [
            (Pixel::YUV420P10LE, false, Pixel::YUV420P10LE),
            (Pixel::YUV420P10LE, true, Pixel::YUV420P),
            (Pixel::YUV422P10LE, false, Pixel::YUV420P10LE),
            (Pixel::P010LE, false, Pixel::YUV420P10LE),
            (Pixel::NV12, false, Pixel::YUV420P),
            (Pixel::GRAY8, false, Pixel::YUV420P),
            (Pixel::GBRP, false, Pixel::YUV420P),
        ] {
            let format = PictureFormat::of(&Video::new(pixel, 64, 48));
            assert_eq!(format.as_420(painted).expect("a format").pixel, want, "{pixel:?}");
        }
        let high = PictureFormat::of(&Video::new(Pixel::YUV420P, 1280, 720));
        let low = PictureFormat { height: 360, ..high.clone() };
        assert_eq!(low.clone().with_matrix_of(&high).space, color::Space::BT709);
        assert_eq!(low.clone().with_matrix_of(&low).space, color::Space::Unspecified);
        let rgb = PictureFormat::of(&Video::new(Pixel::RGB24, 1280, 720)).as_420(false).expect("a format");
        assert_eq!((rgb.space, rgb.range), (color::Space::BT709, color::Range::MPEG));
        let device =
            PictureFormat { pixel: Pixel::CUDA, ..PictureFormat::of(&Video::new(Pixel::NV12, 8, 8)) };
        assert_eq!(device.as_420(false).expect_err("in a device").kind(), ErrorKind::Unsupported);
    }
}
