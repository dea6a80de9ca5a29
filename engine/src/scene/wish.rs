//! What the operator wants: screens on a wall, layouts over them, cameras in tiles.

use crate::media::{CameraId, FitMode, PixelRect, Region, ScreenId};

/// The whole wish.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// The screens.
    pub screens: Vec<ScreenWish>,
    /// What lies over them; later regions lie over earlier ones.
    pub regions: Vec<RegionWish>,
}

/// One screen, at its place on the wall plane. What lies between two screens on the plane is
/// hidden behind their bezels: that is the bezel compensation.
#[derive(Clone, Debug, PartialEq)]
pub struct ScreenWish {
    /// Its id, unique in the wall.
    pub id: ScreenId,
    /// Left and upper edge on the wall plane, width and height, in pixels of this screen.
    pub rect: PixelRect,
}

/// A layout over one screen, or over the bounding box of several.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionWish {
    /// Where.
    pub over: Over,
    /// How it is divided.
    pub layout: LayoutWish,
    /// Pixels between cells.
    pub gap: u32,
    /// Pixels around all cells.
    pub margin: u32,
    /// The tiles.
    pub tiles: Vec<TileWish>,
}

/// What a region lies over.
#[derive(Clone, Debug, PartialEq)]
pub enum Over {
    /// One screen.
    Screen(ScreenId),
    /// The bounding box of these.
    Screens(Vec<ScreenId>),
}

/// How a region is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutWish {
    /// Equal cells.
    Grid {
        /// Cells in a row.
        columns: u32,
        /// Cells in a column.
        rows: u32,
    },
    /// A named arrangement.
    Preset(Preset),
    /// Every tile brings its own rectangle.
    Free,
}

/// Arrangements with one large tile or two among small ones. The large ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// One tile.
    One,
    /// 2 x 2.
    TwoByTwo,
    /// 3 x 3.
    ThreeByThree,
    /// 4 x 4.
    FourByFour,
    /// One of 2 x 2 cells and five small ones, on a 3 x 3 grid.
    OnePlusFive,
    /// One of 3 x 3 cells and seven small ones, on a 4 x 4 grid.
    OnePlusSeven,
    /// Two of 2 x 2 cells side by side and eight small ones below, on a 4 x 4 grid.
    TwoPlusEight,
    /// One of 2 x 2 cells in the middle and twelve small ones around, on a 4 x 4 grid.
    OnePlusTwelve,
}

/// One tile.
#[derive(Clone, Debug, PartialEq)]
pub struct TileWish {
    /// Its id, unique in the scene.
    pub id: String,
    /// The camera to show.
    pub camera: Option<CameraId>,
    /// Where in the region.
    pub at: Placement,
    /// What to do with a differing aspect.
    pub fit: FitMode,
    /// The part of the picture to show.
    pub crop: Region,
    /// Text to show instead of the camera's name.
    pub label: Option<String>,
    /// Degrades last.
    pub pinned: bool,
}

/// Where a tile lies in its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The first cell that is still free, row by row (in a preset: the next of its tiles).
    Next,
    /// A cell of a grid, and how many it spans (both at least one).
    Cell {
        /// From the left, from 0.
        column: u32,
        /// From the top, from 0.
        row: u32,
        /// How many columns.
        columns: u32,
        /// How many rows.
        rows: u32,
    },
    /// Pixels within the region.
    Rect(PixelRect),
}
