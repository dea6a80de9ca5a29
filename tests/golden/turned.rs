//! A picture that looks like none of its turns, in all eight ways that it may lie: fitted, then composed.

use vitrail_engine::composite::{CompositePlan, Draw};
use vitrail_engine::fit::{Scratch, fit};
use vitrail_engine::media::{Chroma, Colorimetry, FitMode, FitSpec, Orientation, PixelRect};

use crate::check;
use crate::compare::{Picture, Tolerance};
use crate::scenes::{busy, frame_of};

const W: u32 = 150;
const H: u32 = 102;
/// Of the picture as it lies.
const SIZE: (u32, u32) = (86, 66);
const AT: (u32, u32) = (22, 14);

/// Which sample of a plane of `w` x `h` stands at (x, y) after the turn, written out for each.
fn source(quarters: u32, mirrored: bool, (w, h): (u32, u32), (x, y): (u32, u32)) -> (u32, u32) {
    match (quarters, mirrored) {
        (0, false) => (x, y),
        (1, false) => (y, h - 1 - x),
        (2, false) => (w - 1 - x, h - 1 - y),
        (3, false) => (w - 1 - y, x),
        (0, true) => (w - 1 - x, y),
        (1, true) => (w - 1 - y, h - 1 - x),
        (2, true) => (x, h - 1 - y),
        _ => (y, x),
    }
}

#[test]
fn every_way_to_lie_is_shown_upright() {
    for (quarters, mirrored) in (0..4).flat_map(|q| [(q, false), (q, true)]) {
        let orientation = Orientation::new(quarters, mirrored);
        for chroma in [Chroma::I420, Chroma::Nv12] {
            let lying = frame_of(SIZE, chroma, 6, Colorimetry::default(), busy).turned(orientation);
            let (width, height) = orientation.size(SIZE);
            let spec = FitSpec::whole(width, height, FitMode::Contain);
            let frame = fit(&lying, &spec, &[], &mut Scratch::default()).frame;
            let mut want = Picture::filled(W, H, [16, 128, 128]);
            for (plane, share) in [(0, 1), (1, 2), (2, 2)] {
                let size = (SIZE.0 / share, SIZE.1 / share);
                for y in 0..height / share {
                    for x in 0..width / share {
                        let (column, row) = source(quarters, mirrored, size, (x, y));
                        let at = (AT.1 / share + y) * (W / share) + AT.0 / share + x;
                        want.planes[plane][at as usize] = busy(plane, column, row);
                    }
                }
            }
            let draws = vec![Draw::Picture { frame, dest: PixelRect::new(AT.0, AT.1, width, height) }];
            let damage = vec![PixelRect::new(0, 0, W, H)];
            let plan = CompositePlan { width: W, height: H, draws, damage };
            let exact = Tolerance { max_diff: 0, min_psnr: 0.0, max_bias: 0.0 };
            check(&format!("turned {quarters} {mirrored}"), &[plan], &want, Some(exact));
        }
    }
}
