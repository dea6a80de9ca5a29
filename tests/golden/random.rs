//! Random plans: every backend draws what the painter draws, and nothing outside the damage.

use std::sync::Arc;

use proptest::prelude::*;
use vitrail_engine::composite::{Bitmap, CompositePlan, Compositor, Draw, Yuv};
use vitrail_engine::media::{Chroma, FrameMeta, PixelRect};

use crate::BACKENDS;
use crate::compare::{Picture, compare, save};
use crate::painter::paint;
use crate::scenes::{COLORIMETRIES, frame_of};

const W: u32 = 138;
const H: u32 = 70;

/// Noise that a seed decides.
fn noise(seed: u32, n: u32) -> u8 {
    let mut v = (seed ^ 0x9e37_79b9).wrapping_mul(0x85eb_ca6b).wrapping_add(n.wrapping_mul(0xc2b2_ae35));
    v ^= v >> 15;
    v = v.wrapping_mul(0x27d4_eb2f);
    (v >> 24) as u8
}

fn colors() -> impl Strategy<Value = Yuv> {
    (16..=235u8, 16..=240u8, 16..=240u8).prop_map(|(y, u, v)| Yuv { y, u, v })
}

fn fills() -> impl Strategy<Value = Draw> {
    let alpha = prop_oneof![Just(255u8), any::<u8>()];
    (0..W + 10, 0..H + 10, 0..W, 0..H, colors(), alpha).prop_map(|(x, y, width, height, color, alpha)| {
        Draw::Fill { rect: PixelRect::new(x, y, width, height), color, alpha }
    })
}

fn stamps() -> impl Strategy<Value = Draw> {
    (-60..W as i32 + 10, -60..H as i32 + 10, 1..60u32, 1..60u32, colors(), any::<u8>(), any::<u32>())
        .prop_map(|(x, y, width, height, color, alpha, seed)| {
            let coverage: Vec<u8> = (0..width * height).map(|n| noise(seed, n)).collect();
            Draw::Stamp {
                x,
                y,
                bitmap: Arc::new(Bitmap { width, height, coverage: coverage.into() }),
                color,
                alpha,
            }
        })
}

fn pictures() -> impl Strategy<Value = Draw> {
    let layout = (prop_oneof![Just(Chroma::I420), Just(Chroma::Nv12)], 0..9usize, 0..6usize, any::<u32>());
    // Equal, twice or three times the size, or any other.
    let scale = prop_oneof![3 => Just(1u32), 1 => 2..4u32, 1 => Just(0)];
    // Mostly of any size, sometimes a dot of many samples a pixel.
    let sides = prop_oneof![5 => (1..W / 2, 1..H / 2), 1 => (1..3u32, 1..3u32)];
    (0..W / 2, 0..H / 2, sides, scale, 1..200u32, 1..120u32, layout).prop_map(
        |(x, y, (width, height), scale, w, h, (chroma, pad, color, seed))| {
            let dest = PixelRect::new(2 * x, 2 * y, 2 * width.min(W / 2 - x), 2 * height.min(H / 2 - y));
            let size = if scale > 0 { (dest.width * scale, dest.height * scale) } else { (w, h) };
            let frame = frame_of(size, chroma, pad, COLORIMETRIES[color], |plane, x, y| {
                noise(seed, plane as u32 * 1_000_003 + y * 1009 + x)
            });
            Draw::Picture { frame, dest }
        },
    )
}

/// Disjoint rectangles: some cells of a grid with even lines.
fn damages() -> impl Strategy<Value = Vec<PixelRect>> {
    (proptest::collection::vec(0..W / 2, 2), proptest::collection::vec(0..H / 2, 2), any::<u16>()).prop_map(
        |(mut columns, mut rows, cells)| {
            columns.extend([0, W / 2]);
            rows.extend([0, H / 2]);
            columns.sort_unstable();
            rows.sort_unstable();
            let mut damage = Vec::new();
            for (j, row) in rows.windows(2).enumerate() {
                for (i, column) in columns.windows(2).enumerate() {
                    let (w, h) = (2 * (column[1] - column[0]), 2 * (row[1] - row[0]));
                    if cells >> (j * 3 + i) & 1 == 1 && w > 0 && h > 0 {
                        damage.push(PixelRect::new(2 * column[0], 2 * row[0], w, h));
                    }
                }
            }
            damage
        },
    )
}

fn plans() -> impl Strategy<Value = CompositePlan> {
    let draws = proptest::collection::vec(prop_oneof![fills(), stamps(), pictures()], 0..8);
    (draws, damages()).prop_map(|(draws, damage)| CompositePlan { width: W, height: H, draws, damage })
}

#[test]
fn random_plans_are_drawn_as_the_painter_draws_them() {
    let opened: Vec<_> = BACKENDS
        .iter()
        .filter_map(|backend| Some((backend, std::cell::RefCell::new((backend.open)(W, H)?))))
        .collect();
    let ground =
        Draw::Fill { rect: PixelRect::new(0, 0, W, H), color: Yuv { y: 99, u: 77, v: 166 }, alpha: 255 };
    let damage = vec![PixelRect::new(0, 0, W, H)];
    let start = CompositePlan { width: W, height: H, draws: vec![ground], damage };
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) };
    proptest!(config, |(plan in plans())| {
        let mut want = Picture::filled(W, H, [99, 77, 166]);
        paint(&mut want, &plan);
        let mut drawn: Option<Picture> = None;
        for (backend, compositor) in &opened {
            let got = draw(&mut **compositor.borrow_mut(), &[&start, &plan]);
            prop_assert!(untouched_outside(&got, &plan), "{} left the damage", backend.name);
            // A backend may round between the axes of a scaled picture and before its conversion.
            let bound = crate::Tolerance { max_diff: 2, min_psnr: 45.0, max_bias: 0.5 };
            let twin = drawn.replace(got.clone());
            for (other, picture) in [("the painter", Some(want.clone())), ("its twin", twin)] {
                let Some(picture) = picture else { continue };
                if let Err(mismatch) = compare(&got, &picture, bound) {
                    let saved = save(&format!("random-{}", backend.name), &got, &picture);
                    prop_assert!(false, "{} against {other}: {mismatch}\n{saved}", backend.name);
                }
            }
        }
    });
}

fn draw(compositor: &mut dyn Compositor, plans: &[&CompositePlan]) -> Picture {
    for plan in plans {
        compositor.compose(plan).unwrap();
    }
    Picture::of(&compositor.picture(FrameMeta::default()).unwrap())
}

/// True where every sample outside the damage is still the ground's.
fn untouched_outside(got: &Picture, plan: &CompositePlan) -> bool {
    (0..H).all(|y| {
        (0..W).all(|x| {
            let inside = plan.damage.iter().any(|r| x >= r.x && x < r.right() && y >= r.y && y < r.bottom());
            let chroma = (y / 2 * (W / 2) + x / 2) as usize;
            inside
                || (got.planes[0][(y * W + x) as usize], got.planes[1][chroma], got.planes[2][chroma])
                    == (99, 77, 166)
        })
    })
}
