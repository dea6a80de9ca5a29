//! Parts of pictures: in whole pixels, in fractions, and those that must stay black.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

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

/// A part of a picture that must be black before anything is shown of it. It is a part of the picture as the
/// camera sends it: however that is turned and mirrored to be shown, the mask stays on what it hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mask(pub Region);
