//! Shrinks a frame to exactly the sizes that visible tiles need, while it is hot in cache, and sets it upright.

mod axis;
mod change;
mod fitter;
mod geometry;
mod kernels;
mod scale;
mod simd;
#[cfg(test)]
mod tests;
mod turn;
#[cfg(test)]
mod turned_tests;

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::media::Frame;

pub use fitter::{FitSnapshot, FitStatus, Fitter, SharedTargets, Targets};
pub use geometry::Mask;
pub use kernels::Scratch;
pub use scale::{fit, fit_at};
pub use simd::Level;
pub(crate) use simd::{Kernel, run};

/// A rectangle in whole pixels; `x + width` and `y + height` never overflow `u32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PixelRect {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl PixelRect {
    /// A rectangle.
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        PixelRect { x, y, width, height }
    }
    /// One past the right edge.
    pub const fn right(&self) -> u32 {
        self.x + self.width
    }
    /// One past the lower edge.
    pub const fn bottom(&self) -> u32 {
        self.y + self.height
    }
    /// True where it covers nothing.
    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }
    /// What both cover; empty where they do not touch.
    pub fn intersect(&self, other: &PixelRect) -> PixelRect {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        PixelRect {
            x,
            y,
            width: self.right().min(other.right()).saturating_sub(x),
            height: self.bottom().min(other.bottom()).saturating_sub(y),
        }
    }
}

/// How a picture whose aspect differs from its tile's is placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FitMode {
    /// All of the picture, with bars.
    #[default]
    Contain,
    /// All of the tile, the picture's edges cut off.
    Cover,
    /// All of both, out of proportion.
    Stretch,
}

/// A part of a picture, in fractions of its width and height (0 to 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl Region {
    /// The whole picture.
    pub const WHOLE: Region = Region { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };

    fn bits(&self) -> [u32; 4] {
        [self.x, self.y, self.width, self.height].map(f32::to_bits)
    }
}

impl Eq for Region {}
impl Hash for Region {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

/// How one tile wants one camera. Equal specs share one fitted picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FitSpec {
    /// Width of the whole tile in pixels, even.
    pub width: u32,
    /// Height of the whole tile in pixels, even.
    pub height: u32,
    /// What to do with a differing aspect.
    pub mode: FitMode,
    /// The part of the upright picture to show.
    pub crop: Region,
    /// The part of the tile that is wanted, in tile pixels, even edges: the whole tile, but for a
    /// tile that spans screens, of which each screen wants its own part.
    pub window: PixelRect,
}

impl FitSpec {
    /// All of a picture in a tile of this size.
    pub const fn whole(width: u32, height: u32, mode: FitMode) -> FitSpec {
        FitSpec { width, height, mode, crop: Region::WHOLE, window: PixelRect::new(0, 0, width, height) }
    }
}

/// A picture at the size a tile needs.
#[derive(Clone, Debug)]
pub struct FittedFrame {
    /// The pixels: I420, even size, and the meta of the frame it was made from (but square pixels, and upright).
    pub frame: Frame,
    /// Where it lies within the spec's window, even; the rest of the window is bars.
    pub x: u32,
    /// See `x`.
    pub y: u32,
    /// What it was made for.
    pub spec: FitSpec,
}
