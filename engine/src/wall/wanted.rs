//! What a layout needs of each camera. Pure.

use std::collections::HashMap;

use crate::media::{CameraId, FitSpec};
use crate::scene::Layout;

/// What a layout needs of one camera.
#[derive(Clone, Debug, Default)]
pub(super) struct CameraNeed {
    /// The sizes, each once.
    pub specs: Vec<FitSpec>,
    /// One of its tiles is pinned.
    pub pinned: bool,
}

/// What a layout needs of each camera.
pub(super) fn wanted(layout: &Layout) -> HashMap<CameraId, CameraNeed> {
    let mut wanted: HashMap<CameraId, CameraNeed> = HashMap::new();
    for tile in layout.screens.iter().flat_map(|s| &s.tiles) {
        if let Some(camera) = &tile.camera {
            let of_camera = wanted.entry(camera.clone()).or_default();
            if !of_camera.specs.contains(&tile.spec) {
                of_camera.specs.push(tile.spec);
            }
            of_camera.pinned |= tile.pinned;
        }
    }
    wanted
}

/// The pixels that the whole picture would have in a tile: more than the tile has, where it shows
/// a part of the picture.
pub(super) fn shown_size(spec: &FitSpec) -> (u32, u32) {
    let whole = |pixels: u32, part: f32| (f64::from(pixels) / f64::from(part.clamp(0.01, 1.0))) as u32;
    (whole(spec.width, spec.crop.width), whole(spec.height, spec.crop.height))
}
