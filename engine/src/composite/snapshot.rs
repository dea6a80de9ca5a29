//! A frame as a PNG, for people: correct matrix and range, full-range R'G'B' out.

use super::color::ToRgb;
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Chroma, Frame};

/// Fraction bits; all sums stay below 2^31.
const BITS: u32 = 14;

/// Packed 8-bit R'G'B', row by row: a pixel takes the chroma sample of its 2x2 block (ITU-T H.273
/// equations 38 to 58), rounded and clamped.
pub fn to_rgb(frame: &Frame) -> Vec<u8> {
    let map = ToRgb::of(frame.meta().color);
    let fixed = |c: f64| (c * f64::from(1 << BITS)).round() as i32;
    let (luma, red_v, blue_u) = (fixed(map.luma), fixed(map.red_v), fixed(map.blue_u));
    let green = map.green.map(fixed);
    let bias = (1 << (BITS - 1)) - fixed(map.luma * map.offset);
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let half = width.div_ceil(2);
    let planes = frame.planes();
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let row = planes[0].row(y, width);
        let (u, v, step) = match frame.chroma() {
            Chroma::I420 => (planes[1].row(y / 2, half), planes[2].row(y / 2, half), 1),
            Chroma::Nv12 => {
                let pairs = planes[1].row(y / 2, 2 * half);
                (pairs, &pairs[1..], 2)
            }
        };
        for (x, sample) in row.iter().enumerate() {
            let y = i32::from(*sample) * luma + bias;
            let (u, v) = (i32::from(u[x / 2 * step]) - 128, i32::from(v[x / 2 * step]) - 128);
            let sums = [y + red_v * v, y + green[0] * u + green[1] * v, y + blue_u * u];
            rgb.extend(sums.map(|sum| (sum >> BITS).clamp(0, 255) as u8));
        }
    }
    rgb
}

/// A frame as PNG bytes.
///
/// # Errors
/// [`ErrorKind::Internal`] where the PNG encoder refuses; it writes to memory only.
pub fn to_png(frame: &Frame) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, frame.width(), frame.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let failed = |e: png::EncodingError| {
        Error::new(ErrorKind::Internal, "snapshot", "cannot be written as PNG").caused_by(e)
    };
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&to_rgb(frame)).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// A frame as JPEG bytes (ITU-T T.81, baseline), `quality` from 1 to 100.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where it is larger than a JPEG can be (65,535 pixels either way).
pub fn to_jpeg(frame: &Frame, quality: u8) -> Result<Vec<u8>> {
    let too_large = || Error::new(ErrorKind::Unsupported, "snapshot", "is too large for a JPEG");
    let size = |pixels: u32| u16::try_from(pixels).map_err(|_| too_large());
    let (width, height) = (size(frame.width())?, size(frame.height())?);
    let mut bytes = Vec::new();
    jpeg_encoder::Encoder::new(&mut bytes, quality.clamp(1, 100))
        .encode(&to_rgb(frame), width, height, jpeg_encoder::ColorType::Rgb)
        .map_err(|e| Error::new(ErrorKind::Internal, "snapshot", "cannot be written as JPEG").caused_by(e))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::composite::plan::Yuv;
    use crate::media::{Colorimetry, FrameMeta, Matrix, Plane, Range};

    #[test]
    fn colours_of_the_canvas_come_back() {
        for rgb in [[0, 0, 0], [255, 255, 255], [200, 30, 90], [10, 130, 220], [255, 0, 0], [0, 255, 0]] {
            let c = Yuv::from_rgb(rgb[0], rgb[1], rgb[2]);
            let frame = Frame::filled(3, 3, [c.y, c.u, c.v], FrameMeta::default()).expect("a size");
            for (got, want) in to_rgb(&frame).into_iter().zip(rgb.into_iter().cycle()) {
                assert!(got.abs_diff(want) <= 2, "{rgb:?} came back with {got}");
            }
        }
    }

    #[test]
    fn a_jpeg_of_one_colour_shows_that_colour() {
        let color = Yuv::from_rgb(200, 30, 90);
        let frame = Frame::filled(64, 48, [color.y, color.u, color.v], FrameMeta::default()).expect("a size");
        let jpeg = to_jpeg(&frame, 90).expect("a JPEG");
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
    }

    #[test]
    fn matrix_range_and_layout_are_respected() {
        // Pure red in each: Rec. BT.601-7 and BT.709-6 by hand, limited and full.
        let cases = [
            (Matrix::Bt601, Range::Limited, [81, 90, 240]),
            (Matrix::Bt601, Range::Full, [76, 85, 255]),
            (Matrix::Bt709, Range::Limited, [63, 102, 240]),
            (Matrix::Bt709, Range::Full, [54, 99, 255]),
        ];
        for (matrix, range, [y, u, v]) in cases {
            let meta = FrameMeta { color: Colorimetry { matrix, range }, ..FrameMeta::default() };
            let planes = vec![
                Plane { data: vec![y; 15].into(), stride: 5 },
                Plane { data: [u, v].repeat(6).into(), stride: 6 },
            ];
            let nv12 = Frame::new(5, 3, Chroma::Nv12, planes, meta).expect("valid planes");
            let i420 = Frame::filled(5, 3, [y, u, v], meta).expect("a size");
            for frame in [nv12, i420] {
                let rgb = to_rgb(&frame);
                assert_eq!(rgb.len(), 45);
                for pixel in rgb.chunks(3) {
                    assert!(
                        pixel[0] >= 253 && pixel[1] <= 3 && pixel[2] <= 3,
                        "{matrix:?} {range:?}: {pixel:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_png_decodes_to_the_same_pixels() {
        let frame = Frame::filled(6, 4, [120, 90, 170], FrameMeta::default()).expect("a size");
        let png = to_png(&frame).expect("a picture");
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
        let info = reader.next_frame(&mut pixels).expect("a picture");
        assert_eq!((info.width, info.height), (6, 4));
        assert_eq!(pixels, to_rgb(&frame));
    }
}
