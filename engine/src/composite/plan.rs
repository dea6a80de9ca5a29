//! What to draw, in order, without saying how.

use std::sync::Arc;

use bytes::Bytes;

use crate::fit::{Scratch, fit};
use crate::media::{FitMode, FitSpec, Frame, PixelRect};

/// A colour of the canvas: BT.709, limited range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Yuv {
    /// Luma, 16 to 235.
    pub y: u8,
    /// Blue difference, 16 to 240.
    pub u: u8,
    /// Red difference, 16 to 240.
    pub v: u8,
}

impl Yuv {
    /// Black.
    pub const BLACK: Yuv = Yuv { y: 16, u: 128, v: 128 };
    /// White.
    pub const WHITE: Yuv = Yuv { y: 235, u: 128, v: 128 };

    /// From sRGB bytes, with BT.709 weights (Rec. ITU-R BT.709-6, items 3.2 to 3.4), rounded.
    pub fn from_rgb(r: u8, g: u8, b: u8) -> Yuv {
        let [r, g, b] = [r, g, b].map(|c| f64::from(c) / 255.0);
        let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let byte = |v: f64| v.round().clamp(0.0, 255.0) as u8;
        Yuv {
            y: byte(16.0 + 219.0 * luma),
            u: byte(128.0 + 224.0 * (b - luma) / 1.8556),
            v: byte(128.0 + 224.0 * (r - luma) / 1.5748),
        }
    }
}

/// Coverage, one byte a pixel: 0 leaves what is below, 255 hides it. Text and rounded shapes.
#[derive(Clone, Debug)]
pub struct Bitmap {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height` bytes, row by row.
    pub coverage: Bytes,
}

/// One step. Every rectangle lies in the canvas; executors clip what does not.
#[derive(Clone, Debug)]
pub enum Draw {
    /// One colour over a rectangle, mixed in by `alpha` (255: opaque). Odd edges are allowed:
    /// luma is exact, a chroma sample is mixed by the share of its four pixels that lie inside.
    Fill {
        /// Where.
        rect: PixelRect,
        /// The colour.
        color: Yuv,
        /// 0 to 255.
        alpha: u8,
    },
    /// A picture, scaled to `dest` (whose edges are even). Equal sizes are copied exactly, all
    /// others are area-averaged when shrinking. Its colours are converted from its own
    /// [`crate::media::Colorimetry`] to the canvas's.
    Picture {
        /// The pixels.
        frame: Frame,
        /// Where.
        dest: PixelRect,
    },
    /// A colour through a coverage bitmap, its upper left corner at `x`, `y`. A chroma sample
    /// takes the mean coverage of its four pixels.
    Stamp {
        /// Left edge; may be negative.
        x: i32,
        /// Upper edge; may be negative.
        y: i32,
        /// The coverage.
        bitmap: Arc<Bitmap>,
        /// The colour.
        color: Yuv,
        /// Multiplies the coverage: 255 leaves it as it is.
        alpha: u8,
    },
}

impl Draw {
    /// The picture of a [`Draw::Picture`] scaled to its destination by the fit room; `None` for other
    /// draws and for a destination that is empty or has odd sides, which no executor draws.
    pub(super) fn fitted(&self, scratch: &mut Scratch) -> Option<Frame> {
        let Draw::Picture { frame, dest } = self else { return None };
        if dest.is_empty() || dest.width % 2 != 0 || dest.height % 2 != 0 {
            return None;
        }
        let spec = FitSpec::whole(dest.width, dest.height, FitMode::Stretch);
        Some(fit(frame, &spec, &[], scratch).frame)
    }
}

/// All the steps that bring a canvas up to date, in order.
#[derive(Clone, Debug)]
pub struct CompositePlan {
    /// Canvas width, even.
    pub width: u32,
    /// Canvas height, even.
    pub height: u32,
    /// The steps, each over what the ones before left.
    pub draws: Vec<Draw>,
    /// What the steps may change: disjoint, even edges. Drawing never leaves it.
    pub damage: Vec<PixelRect>,
}
