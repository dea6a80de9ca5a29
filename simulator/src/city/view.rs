//! A camera on a mast: from places in metres to places in the picture, with upright walls upright.

use super::canvas::{Canvas, Point, Rgb};

/// A place in the street, in metres: to the right, up, and away along the street.
pub(super) type Place = [f32; 3];

/// What is nearer than this is cut off.
const NEAR: f32 = 1.0;

/// Where a camera hangs and where it looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub eye: Place,
    /// Radians to the right.
    pub yaw: f32,
    /// Focal length, in heights of the picture.
    pub focal: f32,
    /// Row of the horizon.
    pub horizon: f32,
    /// Column of the middle.
    pub middle: f32,
}

impl View {
    /// Right, up and away as the camera sees it.
    fn seen(&self, place: Place) -> Place {
        let (x, z) = (place[0] - self.eye[0], place[2] - self.eye[2]);
        let (sin, cos) = self.yaw.sin_cos();
        [x * cos - z * sin, place[1] - self.eye[1], x * sin + z * cos]
    }

    fn put(&self, seen: Place) -> Point {
        let scale = self.focal / seen[2];
        (self.middle + seen[0] * scale, self.horizon - seen[1] * scale)
    }

    /// How far away a place is.
    pub fn depth(&self, place: Place) -> f32 {
        self.seen(place)[2]
    }

    /// A point, and how long a metre is there; `None` behind the camera.
    pub fn point(&self, place: Place) -> Option<(Point, f32)> {
        let seen = self.seen(place);
        (seen[2] >= NEAR).then(|| (self.put(seen), self.focal / seen[2]))
    }

    /// The outline of a flat shape, cut off where it is too near.
    pub fn outline(&self, places: &[Place]) -> Vec<Point> {
        let seen: Vec<Place> = places.iter().map(|p| self.seen(*p)).collect();
        let mut cut = Vec::with_capacity(seen.len() + 2);
        for (i, a) in seen.iter().enumerate() {
            let b = seen[(i + 1) % seen.len()];
            if a[2] >= NEAR {
                cut.push(self.put(*a));
            }
            if (a[2] >= NEAR) != (b[2] >= NEAR) {
                let part = (NEAR - a[2]) / (b[2] - a[2]);
                let on_edge = [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, NEAR];
                cut.push(self.put(on_edge));
            }
        }
        cut
    }

    /// A flat shape.
    pub fn fill(&self, canvas: &mut Canvas<'_>, places: &[Place], color: Rgb, alpha: f32) {
        let outline = self.outline(places);
        if outline.len() > 2 {
            canvas.polygon(&outline, color, alpha);
        }
    }

    /// A rectangle on the ground.
    pub fn ground(&self, canvas: &mut Canvas<'_>, x: (f32, f32), z: (f32, f32), color: Rgb, alpha: f32) {
        let places = [[x.0, 0.0, z.0], [x.1, 0.0, z.0], [x.1, 0.0, z.1], [x.0, 0.0, z.1]];
        self.fill(canvas, &places, color, alpha);
    }
}
