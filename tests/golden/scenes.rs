//! Scenes whose every sample is known: closed forms, or the painter's.

use std::sync::Arc;

use bytes::Bytes;
use vitrail_engine::base::Moment;
use vitrail_engine::composite::{
    Bitmap, CompositePlan, Corner, Draw, OverlayStyle, ScreenPlanner, TextPlace, TextRenderer, TickView,
    TileStatus, TileView, Yuv,
};
use vitrail_engine::media::{
    Chroma, Colorimetry, FitMode, FitSpec, FittedFrame, Frame, FrameMeta, Matrix, PixelRect, Plane, Range,
};
use vitrail_engine::scene::{Layout, ScreenLayout, Tile};

use crate::check;
use crate::compare::{Picture, Tolerance};
use crate::painter::{convert, paint};

/// Not one sample may differ.
const EXACT: Tolerance = Tolerance { max_diff: 0, min_psnr: 0.0, max_bias: 0.0 };
const W: u32 = 150;
const H: u32 = 98;
const BLUE: Yuv = Yuv { y: 80, u: 200, v: 100 };

pub const COLORIMETRIES: [Colorimetry; 6] = {
    const fn of(matrix: Matrix, range: Range) -> Colorimetry {
        Colorimetry { matrix, range }
    }
    [
        of(Matrix::Bt601, Range::Limited),
        of(Matrix::Bt601, Range::Full),
        of(Matrix::Bt709, Range::Limited),
        of(Matrix::Bt709, Range::Full),
        of(Matrix::Bt2020, Range::Limited),
        of(Matrix::Bt2020, Range::Full),
    ]
};

fn plan(draws: Vec<Draw>) -> CompositePlan {
    CompositePlan { width: W, height: H, draws, damage: vec![PixelRect::new(0, 0, W, H)] }
}

fn fill(x: u32, y: u32, width: u32, height: u32, color: Yuv, alpha: u8) -> Draw {
    Draw::Fill { rect: PixelRect::new(x, y, width, height), color, alpha }
}

fn black() -> Picture {
    Picture::filled(W, H, [16, 128, 128])
}

/// A frame whose planes are these functions of column and row, with `pad` bytes after each row.
pub fn frame_of(
    (width, height): (u32, u32),
    chroma: Chroma,
    pad: usize,
    color: Colorimetry,
    sample: impl Fn(usize, u32, u32) -> u8,
) -> Frame {
    let (cw, ch) = (width.div_ceil(2), height.div_ceil(2));
    let plane = |parts: &[usize], w: u32, h: u32| {
        let mut data = Vec::new();
        for y in 0..h {
            data.extend(
                (0..w).flat_map(|x| parts.iter().map(move |p| (*p, x))).map(|(p, x)| sample(p, x, y)),
            );
            data.extend(std::iter::repeat_n(0xee, pad));
        }
        Plane { data: data.into(), stride: w as usize * parts.len() + pad }
    };
    let planes = match chroma {
        Chroma::I420 => {
            vec![plane(&[0], width, height), plane(&[1], cw, ch), plane(&[2], cw, ch)]
        }
        Chroma::Nv12 => vec![plane(&[0], width, height), plane(&[1, 2], cw, ch)],
    };
    Frame::new(width, height, chroma, planes, FrameMeta { color, ..FrameMeta::default() }).unwrap()
}

/// Every sample differs from its neighbours, every plane from the others.
pub fn busy(plane: usize, x: u32, y: u32) -> u8 {
    (20 + (x * (5 + plane as u32) + y * 11 + (x ^ y) * 3 + 40 * plane as u32) % 200) as u8
}

fn picture(frame: Frame, x: u32, y: u32, width: u32, height: u32) -> Draw {
    Draw::Picture { frame, dest: PixelRect::new(x, y, width, height) }
}

/// Checks one plan on a black canvas against the painter.
fn check_painted(scene: &str, draws: Vec<Draw>) {
    let plan = plan(draws);
    let mut want = black();
    paint(&mut want, &plan);
    assert_ne!(want, black(), "{scene} draws nothing");
    check(scene, &[plan], &want, None);
}

#[test]
fn an_empty_plan_leaves_the_canvas_black() {
    check("empty", &[plan(Vec::new())], &black(), None);
}

#[test]
fn an_opaque_fill_is_exact_and_its_odd_edges_share_chroma() {
    let mut want = black();
    for y in 5..14 {
        for x in 3..10 {
            want.planes[0][y * W as usize + x] = 80;
        }
    }
    for y in 2..7usize {
        for x in 1..5usize {
            // The share of four pixels: columns 3 to 9 and rows 5 to 13 leave half at the edges.
            let share = if x == 1 { 0.5 } else { 1.0 } * if y == 2 { 0.5 } else { 1.0 };
            want.planes[1][y * W as usize / 2 + x] = (128.0 + 72.0 * share + 0.5) as u8;
            want.planes[2][y * W as usize / 2 + x] = (128.0 - 28.0 * share + 0.5) as u8;
        }
    }
    check("opaque fill", &[plan(vec![fill(3, 5, 7, 9, BLUE, 255)])], &want, Some(EXACT));
}

#[test]
fn fills_mix_by_alpha_in_order_and_are_clipped_to_the_canvas() {
    check_painted(
        "fills",
        vec![
            fill(0, 0, W, H, Yuv { y: 120, u: 90, v: 180 }, 255),
            fill(11, 7, 60, 41, BLUE, 1),
            fill(12, 8, 61, 41, BLUE, 77),
            fill(33, 21, 64, 16, Yuv::WHITE, 128),
            fill(W - 5, H - 3, 100, 100, Yuv::BLACK, 254),
            fill(70, 90, 0, 5, Yuv::WHITE, 255),
            fill(149, 0, 1, H, Yuv::WHITE, 200),
        ],
    );
}

#[test]
fn equal_sizes_are_copied_bit_by_bit() {
    for (chroma, pad) in [(Chroma::I420, 0), (Chroma::I420, 6), (Chroma::Nv12, 0), (Chroma::Nv12, 100)] {
        for (x, y) in [(0, 0), (8, 2), (22, 14), (62, 30)] {
            let frame = frame_of((86, 66), chroma, pad, Colorimetry::default(), busy);
            let mut want = black();
            for row in 0..66 {
                for column in 0..86 {
                    want.planes[0][((y + row) * W + x + column) as usize] = busy(0, column, row);
                }
            }
            for row in 0..33 {
                for column in 0..43 {
                    let at = ((y / 2 + row) * W / 2 + x / 2 + column) as usize;
                    want.planes[1][at] = busy(1, column, row);
                    want.planes[2][at] = busy(2, column, row);
                }
            }
            let name = format!("copy {chroma:?} {pad} at {x},{y}");
            check(&name, &[plan(vec![picture(frame, x, y, 86, 66)])], &want, Some(EXACT));
        }
    }
}

#[test]
fn a_ramp_shrunk_by_a_whole_number_is_the_mean_in_closed_form() {
    // Luma 2x + y in blocks of 3 by 2: (2 (3i + 1)) + (2j + 0.5). Chroma constant.
    let frame = frame_of((90, 40), Chroma::I420, 0, Colorimetry::default(), |plane, x, y| match plane {
        0 => (2 * x + y) as u8,
        n => 100 * n as u8,
    });
    let mut want = black();
    for j in 0..20u32 {
        for i in 0..30u32 {
            let exact = 2.0 * (3.0 * f64::from(i) + 1.0) + 2.0 * f64::from(j) + 0.5;
            want.planes[0][((j + 4) * W + i + 6) as usize] = (exact + 0.5) as u8;
            want.planes[1][((j / 2 + 2) * W / 2 + i / 2 + 3) as usize] = 100;
            want.planes[2][((j / 2 + 2) * W / 2 + i / 2 + 3) as usize] = 200;
        }
    }
    check("ramp", &[plan(vec![picture(frame, 6, 4, 30, 20)])], &want, None);
}

#[test]
fn pictures_shrink_by_area_and_grow_linearly_on_each_axis_for_itself() {
    for (size, dest) in [
        ((128, 96), (64, 48)),
        ((131, 75), (42, 30)),
        ((97, 41), (96, 40)),
        ((1, 1), (30, 20)),
        ((33, 17), (74, 50)),
        ((200, 21), (70, 60)),
        ((18, 300), (90, 44)),
        ((90, 44), (90, 20)),
    ] {
        for (chroma, pad) in [(Chroma::I420, 3), (Chroma::Nv12, 5)] {
            let frame = frame_of(size, chroma, pad, Colorimetry::default(), busy);
            let name = format!("scale {size:?} to {dest:?} {chroma:?}");
            check_painted(&name, vec![picture(frame, 22, 14, dest.0, dest.1)]);
        }
    }
}

#[test]
fn colours_are_converted_to_the_canvas_s() {
    for color in COLORIMETRIES {
        // A flat colour in closed form.
        for yuv in [[81, 90, 240], [145, 54, 34], [41, 240, 110], [200, 128, 128], [0, 0, 0], [255, 255, 255]]
        {
            let frame = Frame::filled(W, H, yuv, FrameMeta { color, ..FrameMeta::default() }).unwrap();
            let out = convert(yuv.map(f64::from), color).map(|v| (v + 0.5).clamp(0.0, 255.0) as u8);
            let name = format!("{yuv:?} in {color:?}");
            check(&name, &[plan(vec![picture(frame, 0, 0, W, H)])], &Picture::filled(W, H, out), None);
        }
        // And a busy picture, copied and scaled.
        let frame = frame_of((70, 50), Chroma::Nv12, 2, color, busy);
        let draws = vec![picture(frame.clone(), 2, 4, 70, 50), picture(frame, 74, 10, 44, 62)];
        check_painted(&format!("busy in {color:?}"), draws);
    }
}

fn blob(width: u32, height: u32) -> Arc<Bitmap> {
    let coverage: Bytes = (0..width * height).map(|n| (n * 37 % 256) as u8).collect::<Vec<_>>().into();
    Arc::new(Bitmap { width, height, coverage })
}

#[test]
fn stamps_mix_by_coverage_and_alpha_and_are_clipped() {
    let stamp = |x, y, (w, h), color, alpha| Draw::Stamp { x, y, bitmap: blob(w, h), color, alpha };
    check_painted(
        "stamps",
        vec![
            fill(0, 0, W, H, Yuv { y: 90, u: 60, v: 200 }, 255),
            stamp(-7, -3, (41, 23), Yuv::WHITE, 255),
            stamp(51, 33, (40, 31), BLUE, 255),
            stamp(60, 40, (37, 20), Yuv::BLACK, 100),
            stamp(W as i32 - 9, H as i32 - 5, (33, 33), Yuv::WHITE, 200),
            stamp(-500, 10, (20, 20), Yuv::WHITE, 255),
            stamp(20, i32::MAX - 3, (20, 20), Yuv::WHITE, 255),
            stamp(101, 2, (1, 1), Yuv::WHITE, 255),
        ],
    );
}

#[test]
fn full_coverage_is_the_colour_exactly_and_none_leaves_what_is_below() {
    let solid =
        |coverage: u8| Arc::new(Bitmap { width: 60, height: 40, coverage: vec![coverage; 60 * 40].into() });
    let mut want = Picture::filled(W, H, [200, 17, 240]);
    for (row, column) in (8..48).flat_map(|row| (12..72).map(move |column| (row, column))) {
        want.planes[0][row * W as usize + column] = BLUE.y;
        let chroma = row / 2 * W as usize / 2 + column / 2;
        (want.planes[1][chroma], want.planes[2][chroma]) = (BLUE.u, BLUE.v);
    }
    let draws = vec![
        fill(0, 0, W, H, Yuv { y: 200, u: 17, v: 240 }, 255),
        Draw::Stamp { x: 12, y: 8, bitmap: solid(255), color: BLUE, alpha: 255 },
        Draw::Stamp { x: 40, y: 30, bitmap: solid(0), color: Yuv::WHITE, alpha: 255 },
        Draw::Stamp { x: 40, y: 30, bitmap: solid(255), color: Yuv::WHITE, alpha: 0 },
    ];
    check("solid stamps", &[plan(draws)], &want, Some(EXACT));
}

#[test]
fn draws_cover_each_other_in_the_plan_s_order() {
    let frame = || frame_of((64, 32), Chroma::I420, 0, Colorimetry::default(), busy);
    check_painted(
        "order",
        vec![
            fill(0, 0, W, H, BLUE, 255),
            picture(frame(), 8, 8, 64, 32),
            fill(9, 9, 31, 40, Yuv::WHITE, 90),
            Draw::Stamp { x: 13, y: 5, bitmap: blob(50, 30), color: Yuv::BLACK, alpha: 255 },
            picture(frame(), 40, 20, 32, 16),
            fill(0, 0, 64, 16, Yuv { y: 50, u: 128, v: 128 }, 255),
            Draw::Stamp { x: 60, y: 10, bitmap: blob(9, 9), color: BLUE, alpha: 255 },
        ],
    );
}

#[test]
fn what_is_outside_the_damage_stays_from_plan_to_plan() {
    let frame = frame_of((100, 60), Chroma::I420, 0, Colorimetry::default(), busy);
    let small = frame_of((50, 30), Chroma::Nv12, 0, COLORIMETRIES[1], busy);
    let first = plan(vec![fill(0, 0, W, H, BLUE, 255), picture(frame.clone(), 4, 6, 100, 60)]);
    let second = CompositePlan {
        damage: vec![
            PixelRect::new(10, 10, 30, 20),
            PixelRect::new(40, 10, 6, 80),
            PixelRect::new(100, 50, 70, 70),
        ],
        ..plan(vec![
            fill(0, 0, W, H, Yuv::WHITE, 120),
            picture(frame, 2, 2, 100, 60),
            picture(small, 20, 12, 100, 60),
            Draw::Stamp { x: 1, y: 1, bitmap: blob(120, 90), color: Yuv::BLACK, alpha: 60 },
        ])
    };
    let nothing = CompositePlan { damage: Vec::new(), ..plan(vec![fill(0, 0, W, H, Yuv::WHITE, 255)]) };
    let mut want = black();
    paint(&mut want, &first);
    paint(&mut want, &second);
    check("damage", &[first, second, nothing], &want, None);
}

#[test]
fn a_picture_of_many_samples_a_pixel_takes_them_all() {
    for (color, chroma) in COLORIMETRIES.into_iter().zip([Chroma::I420, Chroma::Nv12].into_iter().cycle()) {
        let dots = |to| picture(frame_of((501, 377), chroma, 3, color, busy), 40, 30, to, 2);
        check_painted(&format!("a dot of {color:?}"), vec![dots(2)]);
        check_painted(&format!("two dots of {color:?}"), vec![dots(4)]);
    }
}

#[test]
fn many_scaled_pictures_in_one_place_are_each_drawn_whole() {
    // More turns of loops than one dispatch is given, from pictures of which each has few enough.
    let draws = (0..30u32)
        .map(|n| {
            let frame =
                frame_of((160 + n, 120), Chroma::I420, 0, COLORIMETRIES[n as usize % 6], |plane, x, y| {
                    busy(plane, x + n, y)
                });
            picture(frame, 64 + 2 * (n % 8), 16 + 2 * (n / 8), 14, 8)
        })
        .collect();
    check_painted("heap", draws);
}

#[test]
fn names_and_ages_are_drawn_in_every_place_a_wall_may_choose() {
    let places = [
        TextPlace::Over(Corner::TopLeft),
        TextPlace::Over(Corner::TopRight),
        TextPlace::Over(Corner::BottomLeft),
        TextPlace::Over(Corner::BottomRight),
        TextPlace::Below,
    ];
    let text = Arc::new(TextRenderer::new());
    for (n, label_place) in places.into_iter().enumerate() {
        let style = OverlayStyle { label_place, age_place: places[(n + 2) % 5], ..OverlayStyle::default() };
        let rect = PixelRect::new(0, 0, W, H);
        let tile = Tile {
            id: "t".into(),
            camera: Some("c".into()),
            rect,
            spec: FitSpec::whole(W, H, FitMode::Stretch),
            label: None,
            pinned: false,
            primary: true,
        };
        let screen = ScreenLayout { id: "s".into(), width: W, height: H, tiles: vec![tile] };
        let mut layout = Layout { screens: vec![screen] };
        style.make_room(&mut layout);
        let spec = layout.screens[0].tiles[0].spec;
        let below = label_place == TextPlace::Below || style.age_place == TextPlace::Below;
        assert_eq!(spec.height < H, below, "{label_place:?}");
        let frame = frame_of((spec.width, spec.height), Chroma::I420, 0, COLORIMETRIES[2], busy);
        let view = TileView {
            picture: Some((1, FittedFrame { frame, x: 0, y: 0, spec })),
            status: TileStatus::Live,
            age: Some(std::time::Duration::from_secs(9)),
            name: "Quai 12",
            ..TileView::EMPTY
        };
        let mut planner = ScreenPlanner::new(&layout.screens[0], style, text.clone());
        let tick = TickView { wall: std::time::Duration::ZERO, monotonic: Moment::default() };
        let plan = planner.plan(&tick, &[view]);
        check_painted(&format!("texts-{n}"), plan.draws);
    }
}
