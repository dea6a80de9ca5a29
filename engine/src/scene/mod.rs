//! From what the operator wants to solved tiles. Pure: no clock, no I/O.

mod grid;
pub mod preset;
pub mod solve;
#[cfg(test)]
mod tests;
pub mod wish;

use crate::media::{CameraId, FitSpec, PixelRect, ScreenId};

pub use preset::CellRect;
pub use solve::{check, solve};
pub use wish::{LayoutWish, Over, Placement, Preset, RegionWish, Scene, ScreenWish, TileWish};

/// Where everything is on every screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// The screens, in the scene's order.
    pub screens: Vec<ScreenLayout>,
}

/// The tiles of one screen. A tile that spans screens has a part on each.
#[derive(Clone, Debug, PartialEq)]
pub struct ScreenLayout {
    /// Which screen.
    pub id: ScreenId,
    /// Canvas width in pixels, even.
    pub width: u32,
    /// Canvas height in pixels, even.
    pub height: u32,
    /// Its tiles; later ones lie over earlier ones.
    pub tiles: Vec<Tile>,
}

/// One tile, or the part of it that one screen shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// The tile's id, unique in the scene (the parts of a spanning tile share it).
    pub id: String,
    /// The camera it shows; an empty tile shows the background.
    pub camera: Option<CameraId>,
    /// Where it is on the canvas, all edges even.
    pub rect: PixelRect,
    /// What it needs of the camera; `spec.window` has the size of `rect`, or fewer rows where the rest
    /// is for texts.
    pub spec: FitSpec,
    /// Text to show instead of the camera's name.
    pub label: Option<String>,
    /// Degrades last, and never under overload.
    pub pinned: bool,
    /// True for the part that carries the label and the placard of a tile that spans screens.
    pub primary: bool,
}

impl Tile {
    /// Where on the canvas its picture may be: `rect` without the rows under it that are for texts.
    pub fn picture_rect(&self) -> PixelRect {
        PixelRect { height: self.rect.height.min(self.spec.window.height), ..self.rect }
    }
}
