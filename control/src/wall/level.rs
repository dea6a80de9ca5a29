//! What can be done with a picture at the size at which it is shown: the levels of EN 62676-4.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Edition of the standard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Edition {
    /// EN 62676-4:2015 (IEC 62676-4:2014), table of clause 6.7: monitor to inspect.
    #[default]
    #[serde(rename = "2015")]
    Y2015,
    /// IEC 62676-4:2025: overview to scrutinise.
    #[serde(rename = "2025")]
    Y2025,
}

/// Pixels per metre from which on a level holds, the finest first.
const Y2015: [(f64, &str); 6] = [
    (1000.0, "inspect"),
    (250.0, "identify"),
    (125.0, "recognise"),
    (62.5, "observe"),
    (25.0, "detect"),
    (12.5, "monitor"),
];
const Y2025: [(f64, &str); 7] = [
    (1500.0, "scrutinise"),
    (500.0, "validate"),
    (250.0, "characterise"),
    (125.0, "perceive"),
    (80.0, "discern"),
    (40.0, "outline"),
    (20.0, "overview"),
];

/// Pixels per metre of a scene `scene_width_m` wide of which `crop_width` (a part, 0 to 1) is shown
/// over `shown_px` pixels, from `source_px` pixels in all: no more than the camera gave.
pub fn px_per_m(scene_width_m: f64, crop_width: f64, shown_px: f64, source_px: f64) -> Option<f64> {
    let seen_m = scene_width_m * crop_width;
    let given = if source_px > 0.0 { source_px * crop_width } else { f64::INFINITY };
    (seen_m > 0.0 && shown_px > 0.0).then(|| shown_px.min(given) / seen_m)
}

/// The level that so many pixels per metre support; `None` below the lowest.
pub fn level(edition: Edition, px_per_m: f64) -> Option<&'static str> {
    let table: &[(f64, &'static str)] = match edition {
        Edition::Y2015 => &Y2015,
        Edition::Y2025 => &Y2025,
    };
    table.iter().find(|(from, _)| px_per_m >= *from).map(|(_, level)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_begin_at_their_densities() {
        for (density, expected) in [
            (12.4, None),
            (12.5, Some("monitor")),
            (25.0, Some("detect")),
            (62.5, Some("observe")),
            (124.9, Some("observe")),
            (125.0, Some("recognise")),
            (250.0, Some("identify")),
            (5000.0, Some("inspect")),
        ] {
            assert_eq!(level(Edition::Y2015, density), expected, "{density}");
        }
        assert_eq!(level(Edition::Y2025, 125.0), Some("perceive"));
        assert_eq!(level(Edition::Y2025, 19.9), None);
    }

    #[test]
    fn zoom_raises_density_only_as_far_as_the_camera_goes() {
        // 10 m over 480 of 1920 pixels: 48 px/m; zoomed four times, all of the camera's 192.
        assert_eq!(px_per_m(10.0, 1.0, 480.0, 1920.0), Some(48.0));
        assert_eq!(px_per_m(10.0, 0.25, 480.0, 1920.0), Some(192.0));
        assert_eq!(px_per_m(10.0, 0.25, 1920.0, 1920.0), Some(192.0), "enlarging adds nothing");
        assert_eq!(px_per_m(0.0, 1.0, 480.0, 1920.0), None);
    }
}
