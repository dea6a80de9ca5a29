//! The software decoder: libavcodec, one thread, no delay that the stream does not ask for.

use std::sync::{Arc, Once};

use bytes::Bytes;
use ff::codec::{self, threading};
use ff::format::Pixel;
use ffmpeg_next as ff;

use super::decoder::{Decoder, DecoderFactory, DecoderRequest, Order, Origin, Origins, Picture, PictureSink};
use super::units::carries_parameter_sets;
use super::{convert, planes};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{AccessUnit, Chroma, Codec, Colorimetry, Matrix, Orientation, Plane, Range, Ratio};

/// One libavcodec context.
///
/// A live one is opened anew at the first random-access unit after damage. In place of what is missing,
/// libavcodec takes more pictures than the stream asks for (one to three, 0.4 MB each at 640x360), and
/// its pools give nothing back while a context lives; nor does it take back a delay that it has
/// learned from pictures out of order.
pub struct LibavDecoder {
    context: ff::decoder::Video,
    request: DecoderRequest,
    /// Put in front of the next unit.
    extradata: Bytes,
    origins: Origins,
    skip_loop_filter: bool,
    /// Damage went through this context.
    strained: bool,
}

/// Opens [`LibavDecoder`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct LibavFactory;

impl DecoderFactory for LibavFactory {
    fn open(&self, request: &DecoderRequest) -> Result<Box<dyn Decoder>> {
        Ok(Box::new(LibavDecoder::open(request)?))
    }
}

impl LibavDecoder {
    /// A decoder for what is asked. `Missing` where this libavcodec was built without the codec.
    pub fn open(request: &DecoderRequest) -> Result<LibavDecoder> {
        Ok(LibavDecoder {
            context: open(request)?,
            extradata: request.extradata.clone(),
            request: request.clone(),
            origins: Origins::default(),
            skip_loop_filter: false,
            strained: false,
        })
    }

    /// Opens it anew where damage went through it and `unit` can be decoded without what came before.
    fn renew(&mut self, unit: &AccessUnit, out: PictureSink<'_>) -> Result<()> {
        let live = self.request.order == Order::Live && !self.request.isolated;
        if !self.strained || !live || !unit.random_access {
            return Ok(());
        }
        let inside = carries_parameter_sets(self.request.codec, &unit.data);
        if !inside && !carries_parameter_sets(self.request.codec, &self.request.extradata) {
            return Ok(());
        }
        // Damage in what comes out now was reported with the unit that brought it.
        let _ = self.drain(out);
        self.context = open(&self.request)?;
        self.extradata = if inside { Bytes::new() } else { self.request.extradata.clone() };
        self.set_skip_loop_filter(self.skip_loop_filter);
        self.strained = false;
        Ok(())
    }

    fn packet(&mut self, unit: &AccessUnit) -> ff::Packet {
        let head = std::mem::take(&mut self.extradata);
        let mut packet = ff::Packet::new(head.len() + unit.data.len());
        if let Some(data) = packet.data_mut() {
            data[..head.len()].copy_from_slice(&head);
            data[head.len()..].copy_from_slice(&unit.data);
        }
        packet.set_pts(Some(self.origins.note(Origin::from(unit))));
        if unit.random_access {
            packet.set_flags(ff::packet::Flags::KEY);
        }
        packet
    }

    fn receive(&mut self, out: PictureSink<'_>) -> Result<()> {
        loop {
            let mut frame = ff::frame::Video::empty();
            match self.context.receive_frame(&mut frame) {
                Ok(()) => {
                    let picture = self.picture(frame)?;
                    self.strained |= picture.damaged;
                    out(picture);
                }
                Err(error) if is_again(error) || error == ff::Error::Eof => return Ok(()),
                Err(error) => return Err(self.error(error)),
            }
        }
    }

    fn picture(&self, frame: ff::frame::Video) -> Result<Picture> {
        let (format, width, height) = (frame.format(), frame.width(), frame.height());
        let (w, h) = (width as usize, height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        let damaged = frame.is_corrupt() || frame.has_decode_errors();
        let origin = self.origins.of(frame.pts());
        let mut color = colorimetry(&frame, height);
        let orientation = frame
            .side_data(ff::frame::side_data::Type::DisplayMatrix)
            .and_then(|matrix| Orientation::from_matrix_bytes(matrix.data()))
            .unwrap_or_default();
        let aspect = frame.aspect_ratio();
        let pixel_aspect = match (u32::try_from(aspect.numerator()), u32::try_from(aspect.denominator())) {
            (Ok(num), Ok(den)) => Ratio::new(num, den),
            _ => None,
        };
        let owner = Arc::new(frame);
        let missing =
            || Error::new(ErrorKind::Internal, self.request.codec.to_string(), "a decoded plane is missing");
        let view = |index, row, rows| planes::plane(&owner, index, row, rows).ok_or_else(missing);
        let (chroma, planes) = match format {
            Pixel::YUV420P | Pixel::YUVJ420P => {
                (Chroma::I420, vec![view(0, w, h)?, view(1, cw, ch)?, view(2, cw, ch)?])
            }
            Pixel::NV12 => (Chroma::Nv12, vec![view(0, w, h)?, view(1, 2 * cw, ch)?]),
            Pixel::GRAY8 => {
                let neutral = Plane { data: vec![128; cw * ch].into(), stride: cw };
                (Chroma::I420, vec![view(0, w, h)?, neutral.clone(), neutral])
            }
            other => {
                let layout = planes::layout(other).ok_or_else(|| self.unsupported(other))?;
                if layout.rgb {
                    color.range = Range::Limited;
                }
                let planes = convert::to_i420(&owner, &layout, color.matrix).ok_or_else(missing)?;
                (Chroma::I420, planes)
            }
        };
        Ok(Picture { width, height, chroma, planes, origin, pixel_aspect, color, orientation, damaged })
    }

    fn unsupported(&self, format: Pixel) -> Error {
        let name = format.descriptor().map_or("unknown", |descriptor| descriptor.name());
        let message = format!("pictures of the format {name} are not shown; set the camera to 8-bit 4:2:0");
        Error::new(ErrorKind::Unsupported, self.request.codec.to_string(), message)
    }

    fn error(&self, error: ff::Error) -> Error {
        let subject = self.request.codec.to_string();
        match error {
            ff::Error::PatchWelcome | ff::Error::Experimental => {
                Error::new(ErrorKind::Unsupported, subject, "a feature of this stream is not supported")
            }
            ff::Error::Other { errno } if errno == libc::ENOSYS => {
                Error::new(ErrorKind::Unsupported, subject, "a feature of this stream is not supported")
            }
            ff::Error::Other { errno } if errno == libc::ENOMEM => {
                Error::new(ErrorKind::Io, subject, "no memory is left for its pictures")
            }
            _ => Error::new(ErrorKind::Corrupt, subject, "a picture is damaged"),
        }
        .caused_by(error)
    }
}

impl Decoder for LibavDecoder {
    fn backend(&self) -> &str {
        "libavcodec"
    }

    fn set_skip_loop_filter(&mut self, skip: bool) {
        self.skip_loop_filter = skip;
        self.context.skip_loop_filter(if skip { ff::Discard::All } else { ff::Discard::Default });
    }

    fn decode(&mut self, unit: &AccessUnit, out: PictureSink<'_>) -> Result<()> {
        if unit.data.is_empty() {
            // An empty packet would end the stream.
            return Ok(());
        }
        self.strained |= unit.loss;
        self.renew(unit, out)?;
        let packet = self.packet(unit);
        match self.context.send_packet(&packet) {
            Ok(()) => self.receive(out),
            Err(error) if is_again(error) => {
                self.receive(out)?;
                self.context.send_packet(&packet).map_err(|e| self.error(e))?;
                self.receive(out)
            }
            Err(error) => {
                self.strained = true;
                // What came before the damage is still good.
                self.receive(out)?;
                Err(self.error(error))
            }
        }
    }

    fn drain(&mut self, out: PictureSink<'_>) -> Result<()> {
        let sent = self.context.send_eof().map_err(|e| self.error(e));
        let received = sent.and_then(|()| self.receive(out));
        self.context.flush();
        received
    }

    fn reset(&mut self) {
        self.context.flush();
    }
}

fn open(request: &DecoderRequest) -> Result<ff::decoder::Video> {
    quiet();
    let id = match request.codec {
        Codec::H264 => codec::Id::H264,
        Codec::H265 => codec::Id::HEVC,
        Codec::Mjpeg => codec::Id::MJPEG,
        Codec::Mpeg4 => codec::Id::MPEG4,
    };
    let missing = |message: &'static str| Error::new(ErrorKind::Missing, request.codec.to_string(), message);
    let decoder = codec::decoder::find(id)
        .ok_or_else(|| missing("libavcodec has no decoder for it; install the full libavcodec"))?;
    let mut context = codec::Context::new_with_codec(decoder);
    context.set_threading(threading::Config { count: 1, ..threading::Config::kind(threading::Type::None) });
    // Cropping to the pixel, not to the nearest aligned address.
    let mut flags = codec::Flags::UNALIGNED;
    match request.order {
        Order::Live => flags |= codec::Flags::LOW_DELAY,
        // Makes H.264 wait for as many pictures as the level allows where the stream is silent.
        Order::Exact => context.compliance(codec::Compliance::Strict),
    }
    context.set_flags(flags);
    let mut options = ff::Dictionary::new();
    options.set("max_pixels", &request.max_pixels.to_string());
    context
        .decoder()
        .open_as_with(decoder, options)
        .and_then(|opened| opened.video())
        .map_err(|e| missing("libavcodec does not open its decoder").caused_by(e))
}

/// libavcodec writes to the terminal by itself; what matters reaches the caller as an error.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| ff::log::set_level(ff::log::Level::Quiet));
}

fn is_again(error: ff::Error) -> bool {
    matches!(error, ff::Error::Other { errno } if errno == libc::EAGAIN)
}

/// What the frame says of its colours; the usual guess where it says nothing.
fn colorimetry(frame: &ff::frame::Video, height: u32) -> Colorimetry {
    use ff::color::{Range as AvRange, Space};
    let guess = Colorimetry::guess(height);
    let matrix = match frame.color_space() {
        Space::BT709 => Matrix::Bt709,
        Space::BT470BG | Space::SMPTE170M => Matrix::Bt601,
        Space::BT2020NCL | Space::BT2020CL => Matrix::Bt2020,
        _ => guess.matrix,
    };
    let range = match (frame.color_range(), frame.format()) {
        (AvRange::JPEG, _) => Range::Full,
        // Names that say it, of pictures that do not.
        (_, Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P | Pixel::YUVJ440P | Pixel::YUVJ411P) => {
            Range::Full
        }
        _ => Range::Limited,
    };
    Colorimetry { matrix, range }
}
