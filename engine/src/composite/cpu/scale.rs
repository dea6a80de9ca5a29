//! Scales a picture to its destination, plane by plane: area-averaged when it shrinks, bilinear when
//! it grows. Only pictures that the fit room did not size come here.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::base::{Error, ErrorKind, Result};
use crate::media::{Chroma, Frame, FrameMeta, Ratio};

/// Holds the scaler's tables and row buffers between pictures.
#[derive(Debug, Default)]
pub(super) struct Scaler {
    resizer: Resizer,
}

impl Scaler {
    /// The frame at `width` x `height` (even), packed I420, its colours untouched. Chroma planes are
    /// scaled on their own grid, which keeps chroma where it was to half a source sample.
    pub(super) fn scale(&mut self, frame: &Frame, width: u32, height: u32) -> Result<Frame> {
        let packed;
        let tight = matches!(frame.chroma(), Chroma::I420)
            && frame
                .planes()
                .iter()
                .zip([1, 2, 2])
                .all(|(plane, part)| plane.stride == (frame.width() as usize).div_ceil(part));
        let source = if tight {
            frame
        } else {
            let bytes = frame.to_packed_i420().into();
            packed = Frame::packed_i420(frame.width(), frame.height(), bytes, *frame.meta())
                .ok_or_else(|| failed("was packed to a wrong length"))?;
            &packed
        };
        let mut out = Vec::with_capacity(width as usize * height as usize * 3 / 2);
        for (plane, part) in source.planes().iter().zip([1, 2, 2]) {
            let from = (source.width().div_ceil(part), source.height().div_ceil(part));
            let to = (width / part, height / part);
            let len = from.0 as usize * from.1 as usize;
            let view = ImageRef::new(from.0, from.1, &plane.data[..len], PixelType::U8)
                .map_err(|e| failed("has a plane that the scaler refuses").caused_by(e))?;
            let mut scaled = Image::new(to.0, to.1, PixelType::U8);
            let filter = if to.0 < from.0 || to.1 < from.1 { FilterType::Box } else { FilterType::Bilinear };
            let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
            self.resizer
                .resize(&view, &mut scaled, &options)
                .map_err(|e| failed("cannot be scaled").caused_by(e))?;
            out.extend_from_slice(scaled.buffer());
        }
        let meta = FrameMeta { pixel_aspect: Ratio::ONE, ..*frame.meta() };
        Frame::packed_i420(width, height, out.into(), meta).ok_or_else(|| failed("scaled to a wrong length"))
    }
}

fn failed(message: &'static str) -> Error {
    Error::new(ErrorKind::Internal, "picture", message)
}
