//! A picture at the size of a tile, and how a tile asks for it.

use serde::{Deserialize, Serialize};

use super::{Frame, PixelRect, Region};

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
