//! The planner: what it redraws, what it never shows, and that a wall drawn bit by bit is the wall.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::cpu::CpuCompositor;
use super::overlay::{Corner, OverlayStyle, TextPlace, TickView, TileStatus, TileView};
use super::*;
use crate::base::Moment;
use crate::media::{FitMode, FitSpec, FittedFrame, FrameMeta, PixelRect};
use crate::scene::{Layout, ScreenLayout, Tile};

const SECOND: Duration = Duration::from_secs(1);

fn tile(id: &str, rect: PixelRect) -> Tile {
    Tile {
        id: id.into(),
        camera: Some(id.into()),
        rect,
        spec: FitSpec::whole(rect.width, rect.height, FitMode::Contain),
        label: None,
        pinned: false,
        primary: true,
    }
}

fn screen(width: u32, height: u32, tiles: Vec<Tile>) -> ScreenLayout {
    ScreenLayout { id: "s".into(), width, height, tiles }
}

/// 2 x 2 tiles of 320x180 with gaps of 8 on a screen of 648x368.
fn quad() -> ScreenLayout {
    let rect = |i: u32| PixelRect::new(i % 2 * 328, i / 2 * 188, 320, 180);
    screen(648, 368, (0..4).map(|i| tile(&format!("t{i}"), rect(i))).collect())
}

fn fitted(tile: &Tile, luma: u8) -> FittedFrame {
    let spec = tile.spec;
    let frame = Frame::filled(spec.window.width, spec.window.height, [luma, 90, 160], FrameMeta::default());
    FittedFrame { frame: frame.expect("a size"), x: 0, y: 0, spec }
}

fn live(tile: &Tile, version: u64) -> TileView<'static> {
    TileView {
        picture: Some((version, fitted(tile, 60 + (version * 37 % 150) as u8))),
        status: TileStatus::Live,
        age: Some(Duration::ZERO),
        late: None,
        name: "Gare du Midi",
        alarm: false,
        degraded: None,
    }
}

fn tick(at: Duration) -> TickView {
    TickView { wall: Duration::from_secs(1_790_000_000) + at, monotonic: Moment(0) + at }
}

fn planner(layout: &ScreenLayout, style: OverlayStyle) -> (ScreenPlanner, Arc<TextRenderer>) {
    let text = Arc::new(TextRenderer::new());
    (ScreenPlanner::new(layout, style, text.clone()), text)
}

fn pictures(plan: &CompositePlan) -> usize {
    plan.draws.iter().filter(|d| matches!(d, Draw::Picture { .. })).count()
}

#[test]
fn the_first_plan_draws_all_and_a_still_wall_nothing() {
    let layout = quad();
    let (mut planner, text) = planner(&layout, OverlayStyle::default());
    let views: Vec<_> = layout.tiles.iter().map(|t| live(t, 1)).collect();
    let first = planner.plan(&tick(SECOND), &views);
    assert_eq!(first.damage, [PixelRect::new(0, 0, 648, 368)]);
    assert_eq!(pictures(&first), 4);
    let rasterised = text.rasterised();
    assert_eq!(rasterised, 1, "four tiles share one label");
    let second = planner.plan(&tick(2 * SECOND), &views);
    assert!(second.draws.is_empty() && second.damage.is_empty());
    assert_eq!(text.rasterised(), rasterised);
}

#[test]
fn only_a_new_picture_is_redrawn_and_nothing_is_rasterised() {
    let layout = quad();
    let (mut planner, text) = planner(&layout, OverlayStyle::default());
    let mut views: Vec<_> = layout.tiles.iter().map(|t| live(t, 1)).collect();
    planner.plan(&tick(SECOND), &views);
    let rasterised = text.rasterised();
    views[2] = live(&layout.tiles[2], 2);
    let plan = planner.plan(&tick(SECOND), &views);
    assert_eq!(plan.damage, [layout.tiles[2].rect]);
    assert_eq!(pictures(&plan), 1);
    assert_eq!(text.rasterised(), rasterised);
}

#[test]
fn what_is_not_live_never_looks_live() {
    let layout = quad();
    let why = || Arc::from("because");
    let style = OverlayStyle::default();
    let cases = [
        (TileStatus::Waiting, 1, false),
        (TileStatus::Standby, 1, false),
        (TileStatus::Empty, 1, false),
        (TileStatus::Undecodable(why()), 1, false),
        (TileStatus::Offline(why()), 1, false),
        (TileStatus::Refused(why()), 1, false),
        (TileStatus::Stalled, 1, true),
        (TileStatus::Frozen, 1, true),
        (TileStatus::Delayed, 13, true),
        (TileStatus::Stalled, 61, false),
        (TileStatus::Frozen, 61, false),
        (TileStatus::Delayed, 61, false),
        (TileStatus::Live, 31, false),
    ];
    for (status, age, dimmed) in cases {
        let (mut planner, text) = planner(&layout, style.clone());
        let view = TileView {
            status: status.clone(),
            age: Some(Duration::from_secs(age)),
            late: None,
            ..live(&layout.tiles[0], 1)
        };
        let plan = planner.plan(&tick(SECOND), &[view]);
        assert_eq!(pictures(&plan), usize::from(dimmed), "{status:?} at {age} s");
        if dimmed {
            let at = plan.draws.iter().position(|d| matches!(d, Draw::Picture { .. })).expect("a picture");
            let Draw::Fill { rect, alpha, .. } = plan.draws[at + 1] else { panic!("not dimmed: {status:?}") };
            assert!(rect == layout.tiles[0].rect && alpha > 150, "{status:?}");
        }
        if status != TileStatus::Empty {
            assert!(text.rasterised() >= 2, "{status:?} has a title and a label");
        }
        let mut cpu = CpuCompositor::new(648, 368).expect("an even size");
        cpu.compose(&plan).expect("a plan of the canvas's size");
        let out = cpu.picture(FrameMeta::default()).expect("a canvas");
        let source = live(&layout.tiles[0], 1).picture.expect("a picture").1.frame.planes()[0].data[0];
        let as_it_was = (0..180).flat_map(|y| out.planes()[0].row(y, 320)).filter(|l| **l == source).count();
        assert!(as_it_was < 200, "{status:?}: {as_it_was} pixels look live");
    }
}

#[test]
fn an_age_without_a_word_from_the_caller_counts_from_arrival() {
    let layout = quad();
    let (mut planner, _) = planner(&layout, OverlayStyle::default());
    let view = TileView { age: None, ..live(&layout.tiles[0], 1) };
    assert_eq!(pictures(&planner.plan(&tick(29 * SECOND), std::slice::from_ref(&view))), 1);
    let old = planner.plan(&tick(31 * SECOND), &[view]);
    assert_eq!((pictures(&old), old.damage.as_slice()), (0, &[layout.tiles[0].rect][..]));
}

#[test]
fn a_slow_cameras_picture_stays_and_says_its_age_whatever_the_style() {
    let layout = quad();
    let style = OverlayStyle { age_from: Duration::MAX, ..OverlayStyle::default() };
    let plan = |age: u64, late: Option<u64>| {
        let (mut planner, _) = planner(&layout, style.clone());
        let late = late.map(Duration::from_secs);
        let view = TileView { age: Some(Duration::from_secs(age)), late, ..live(&layout.tiles[0], 1) };
        planner.plan(&tick(SECOND), &[view])
    };
    let texts = |plan: &CompositePlan| plan.draws.iter().filter(|d| matches!(d, Draw::Stamp { .. })).count();
    let (usual, slow) = (plan(3, None), plan(40, Some(50)));
    assert_eq!((pictures(&usual), pictures(&slow)), (1, 1));
    assert!(texts(&slow) > texts(&usual), "{} and {}: its age", texts(&slow), texts(&usual));
    assert_eq!(pictures(&plan(40, None)), 0, "one that is not slow");
    assert_eq!(pictures(&plan(51, Some(50))), 0, "its own limit is over");
}

#[test]
fn the_placard_counts_seconds_and_the_picture_returns() {
    let layout = quad();
    let (mut planner, _) = planner(&layout, OverlayStyle::default());
    let stalled = |age| TileView { status: TileStatus::Stalled, age: Some(age), ..live(&layout.tiles[0], 1) };
    planner.plan(&tick(SECOND), &[stalled(5 * SECOND)]);
    let within = planner.plan(&tick(SECOND), &[stalled(SECOND * 11 / 2)]);
    assert!(within.damage.is_empty(), "half a second is not shown");
    let later = planner.plan(&tick(SECOND), &[stalled(6 * SECOND)]);
    assert_eq!(later.damage, [layout.tiles[0].rect]);
    let back = planner.plan(&tick(SECOND), &[live(&layout.tiles[0], 2)]);
    assert_eq!((pictures(&back), back.damage.as_slice()), (1, &[layout.tiles[0].rect][..]));
}

#[test]
fn an_alarm_flashes_twice_a_second() {
    let layout = quad();
    let (mut planner, _) = planner(&layout, OverlayStyle::default());
    let view = TileView { alarm: true, ..live(&layout.tiles[0], 1) };
    planner.plan(&tick(SECOND), std::slice::from_ref(&view));
    let changes = (1..=250)
        .filter(|frame| {
            let at = SECOND + *frame * Duration::from_millis(40);
            !planner.plan(&tick(at), std::slice::from_ref(&view)).damage.is_empty()
        })
        .count();
    assert_eq!(changes, 40, "ten seconds, two flashes each, on and off");
}

#[test]
fn the_clock_redraws_itself_once_a_second() {
    let layout = quad();
    let style = OverlayStyle { clock: Some(Corner::TopRight), ..OverlayStyle::default() };
    let (mut planner, _) = planner(&layout, style);
    let views: Vec<_> = layout.tiles.iter().map(|t| live(t, 1)).collect();
    planner.plan(&tick(SECOND), &views);
    assert!(planner.plan(&tick(SECOND * 3 / 2), &views).damage.is_empty());
    let plan = planner.plan(&tick(2 * SECOND), &views);
    let area: u32 = plan.damage.iter().map(|r| r.width * r.height).sum();
    assert!(area > 0 && area < 648 * 368 / 10, "{:?}", plan.damage);
    assert!(plan.damage.iter().all(|r| r.x > 328 && r.bottom() < 188), "{:?}", plan.damage);
}

#[test]
fn a_new_layout_leaves_alone_what_stays() {
    let mut layout = quad();
    let (mut planner, _) = planner(&layout, OverlayStyle::default());
    let views: Vec<_> = layout.tiles.iter().map(|t| live(t, 1)).collect();
    planner.plan(&tick(SECOND), &views);
    let moved = PixelRect::new(328, 188, 160, 90);
    let old = std::mem::replace(&mut layout.tiles[3], tile("other", moved));
    planner.set_layout(&layout);
    // The old picture, made for the old size, stays until the new one comes.
    let plan = planner.plan(&tick(SECOND), &views);
    assert_eq!(pictures(&plan), 1);
    let area: u32 = plan.damage.iter().map(|r| r.width * r.height).sum();
    assert_eq!(area, 320 * 180);
    assert!(plan.damage.iter().all(|r| r.intersect(&old.rect) == *r));
}

#[test]
fn a_spanning_tile_has_its_words_once_and_its_border_around_the_whole() {
    let part = |x, primary| Tile {
        spec: FitSpec { window: PixelRect::new(x, 0, 320, 180), ..FitSpec::whole(640, 180, FitMode::Cover) },
        primary,
        ..tile("wide", PixelRect::new(0, 0, 320, 180))
    };
    let style = OverlayStyle { border: 4, ..OverlayStyle::default() };
    let drawn = |part: Tile| {
        let layout = screen(320, 180, vec![part]);
        let (mut planner, _) = planner(&layout, style.clone());
        let view = TileView { status: TileStatus::Offline("no route".into()), ..live(&layout.tiles[0], 1) };
        planner.plan(&tick(SECOND), &[view])
    };
    let stamps = |p: &CompositePlan| p.draws.iter().filter(|d| matches!(d, Draw::Stamp { .. })).count();
    let borders = |p: &CompositePlan| {
        let of = |d: &&Draw| matches!(d, Draw::Fill { color, .. } if *color == style.border_color);
        p.draws.iter().filter(of).count()
    };
    let (left, right) = (drawn(part(0, true)), drawn(part(320, false)));
    assert!(stamps(&left) >= 3 && stamps(&right) == 0);
    assert_eq!((borders(&left), borders(&right)), (3, 3));
}

fn status() -> impl Strategy<Value = TileStatus> {
    let why = || Arc::<str>::from("the camera answers 453 Not Enough Bandwidth; lower its bit rate");
    prop_oneof![
        6 => Just(TileStatus::Live),
        1 => Just(TileStatus::Waiting),
        1 => Just(TileStatus::Stalled),
        1 => Just(TileStatus::Frozen),
        1 => Just(TileStatus::Delayed),
        1 => Just(TileStatus::Undecodable(why())),
        1 => Just(TileStatus::Offline(why())),
        1 => Just(TileStatus::Refused(why())),
        1 => Just(TileStatus::Standby),
        1 => Just(TileStatus::Empty),
    ]
}

type Flags = (bool, bool, bool);

fn view(tile: &Tile, status: TileStatus, version: u64, age: u64, flags: Flags) -> TileView<'static> {
    TileView {
        status,
        age: Some(Duration::from_millis(age)),
        late: None,
        alarm: flags.0,
        degraded: flags.1.then_some("key frames only"),
        picture: flags.2.then(|| live(tile, version).picture).flatten(),
        name: "Chaussée d’Ixelles / Elsenesteenweg, façade nº 12",
    }
}

fn wild_rect() -> impl Strategy<Value = PixelRect> {
    (0u32..60, 0u32..60, 8u32..120, 8u32..120)
        .prop_map(|(x, y, w, h)| PixelRect::new(2 * x, 2 * y, 2 * w, 2 * h))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_of_a_tile_leaves_it(
        rect in wild_rect(), status in status(), age in 0u64..90_000, flags in any::<Flags>(), border in 0u32..300,
    ) {
        let layout = screen(400, 400, vec![tile("t", rect)]);
        let (mut planner, _) = planner(&layout, OverlayStyle { border, ..OverlayStyle::default() });
        let outside = planner.plan(&tick(SECOND), &[]).draws.len() - 1;
        planner.redraw_all();
        let plan = planner.plan(&tick(SECOND), &[view(&layout.tiles[0], status, 1, age, flags)]);
        for draw in &plan.draws[outside.min(4)..] {
            let (x, y, w, h) = match draw {
                Draw::Fill { rect, .. } | Draw::Picture { dest: rect, .. } => {
                    (rect.x as i32, rect.y as i32, rect.width, rect.height)
                }
                Draw::Stamp { x, y, bitmap, .. } => (*x, *y, bitmap.width, bitmap.height),
            };
            prop_assert!(x >= 0 && y >= 0);
            let drawn = PixelRect::new(x as u32, y as u32, w, h);
            let around = matches!(draw, Draw::Fill { color, .. } if *color == OverlayStyle::default().background)
                && drawn.intersect(&rect).is_empty();
            prop_assert!(around || drawn.intersect(&rect) == drawn, "{draw:?} outside {rect:?}");
        }
    }

    #[test]
    fn a_wall_drawn_bit_by_bit_is_the_wall(
        rects in prop::collection::vec(wild_rect(), 1..5),
        other in prop::collection::vec(wild_rect(), 1..5),
        steps in prop::collection::vec(
            (0u64..900, prop::collection::vec((status(), 0u64..4, 0u64..70_000, any::<Flags>()), 5)), 1..6,
        ),
        keep in 0usize..4,
    ) {
        let style = OverlayStyle { clock: Some(Corner::TopLeft), border: 2, ..OverlayStyle::default() };
        let named = |rects: &[PixelRect]| {
            screen(360, 360, rects.iter().enumerate().map(|(i, r)| tile(&format!("t{i}"), *r)).collect())
        };
        let first = named(&rects);
        let second = named(&rects.iter().take(keep).chain(&other).copied().collect::<Vec<_>>());
        let text = Arc::new(TextRenderer::new());
        let mut bit_by_bit = ScreenPlanner::new(&first, style.clone(), text.clone());
        let mut canvas = CpuCompositor::new(360, 360).expect("an even size");
        let mut now = SECOND;
        for (step, (wait, tiles)) in steps.iter().enumerate() {
            now += Duration::from_millis(*wait);
            if step == 2 {
                bit_by_bit.set_layout(&second);
            }
            let layout = bit_by_bit.layout().clone();
            let views: Vec<_> = layout.tiles.iter().zip(tiles)
                .map(|(t, (status, version, age, flags))| view(t, status.clone(), *version, *age, *flags))
                .collect();
            canvas.compose(&bit_by_bit.plan(&tick(now), &views)).expect("a plan of the canvas's size");
            let mut afresh = CpuCompositor::new(360, 360).expect("an even size");
            let plan = ScreenPlanner::new(&layout, style.clone(), text.clone()).plan(&tick(now), &views);
            afresh.compose(&plan).expect("a plan of the canvas's size");
            let bytes = |c: &mut CpuCompositor| c.picture(FrameMeta::default()).expect("a canvas").to_packed_i420();
            prop_assert!(bytes(&mut canvas) == bytes(&mut afresh), "step {step} differs");
        }
    }
}

/// Set `VITRAIL_PICTURES` to a folder to look at what this draws.
#[test]
fn a_wall_of_every_state_can_be_looked_at() {
    let rects = (0..16).map(|i| PixelRect::new(i % 4 * 480 + 2, i / 4 * 270 + 2, 476, 266));
    let layout = screen(1920, 1080, rects.enumerate().map(|(i, r)| tile(&format!("t{i}"), r)).collect());
    let style = OverlayStyle { clock: Some(Corner::TopRight), utc_offset: 3600, ..OverlayStyle::default() };
    let (mut planner, _) = planner(&layout, style);
    let why = |text: &str| Arc::<str>::from(text);
    let states = [
        ("Place Rogier, entrée métro", TileStatus::Live),
        ("Gare du Midi / Zuidstation", TileStatus::Live),
        ("Chaussée de Gand – Gentsesteenweg", TileStatus::Stalled),
        ("Boulevard Émile Jacqmain", TileStatus::Frozen),
        (
            "Parc du Cinquantenaire",
            TileStatus::Undecodable(why("H.264 High 4:2:2, 10 bit: this machine decodes 8 bit 4:2:0")),
        ),
        ("Porte de Hal, côté œst", TileStatus::Offline(why("no answer from the camera; retry in 8 s"))),
        ("Sint-Katelijneplein", TileStatus::Refused(why("zone Montgomery has not agreed to live viewing"))),
        ("Großer Sablon", TileStatus::Waiting),
        ("Ĳzerlaan", TileStatus::Standby),
        ("", TileStatus::Empty),
        ("Gare de l’Ouest – Weststation", TileStatus::Live),
        ("Wetstraat – Rue de la Loi 16, hoek Kunstlaan en Regentlaan, noordzijde", TileStatus::Live),
        ("Bourse", TileStatus::Live),
        ("Heysel, Paleis 5", TileStatus::Stalled),
        ("Botanique", TileStatus::Delayed),
        ("Schuman", TileStatus::Live),
    ];
    let pictures = street_pictures(476, 266);
    let views: Vec<_> = layout
        .tiles
        .iter()
        .zip(states)
        .enumerate()
        .map(|(i, (tile, (name, status)))| {
            let frame = pictures[i % pictures.len()].clone();
            let age = match i {
                10 => 12,
                13 => 83,
                _ if status == TileStatus::Live => 0,
                _ => 9 + i as u64,
            };
            TileView {
                picture: Some((1, FittedFrame { frame, x: 0, y: 0, spec: tile.spec })),
                status,
                age: Some(Duration::from_secs(age)),
                late: None,
                name,
                alarm: i == 1,
                degraded: (i == 12).then_some("key frames only"),
            }
        })
        .collect();
    let mut cpu = CpuCompositor::new(1920, 1080).expect("an even size");
    cpu.compose(&planner.plan(&tick(SECOND), &views)).expect("a plan of the canvas's size");
    let png = snapshot::to_png(&cpu.picture(FrameMeta::default()).expect("a canvas")).expect("a picture");
    assert!(png.len() > 10_000);
    if let Ok(folder) = std::env::var("VITRAIL_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join("wall.png"), png).expect("a folder to write to");
    }
}

/// Frames of real street cameras, where the test data is there; grey ones where it is not.
fn street_pictures(width: u32, height: u32) -> Vec<Frame> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/footage");
    let clips =
        ["iacv_traffic.mp4", "iacv_nighttraffic.mp4", "opencv_vtest.avi", "dvrscan_traffic_camera.mp4"];
    let frame = |clip: &&str| {
        let output = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-ss", "1", "-i", &format!("{folder}/{clip}"), "-frames:v", "1"])
            .args(["-vf", &format!("scale={width}:{height}"), "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"])
            .output()
            .ok()?;
        let color = crate::media::Colorimetry { matrix: crate::media::Matrix::Bt601, ..Default::default() };
        let meta = FrameMeta { color, ..FrameMeta::default() };
        Frame::packed_i420(width, height, output.stdout.into(), meta)
    };
    let grey = || {
        println!("skipped: a clip of the test data is missing, a grey picture stands in");
        Frame::filled(width, height, [110, 120, 130], FrameMeta::default()).expect("a size")
    };
    clips.iter().map(|clip| frame(clip).unwrap_or_else(grey)).collect()
}

/// The luma of a wall of one live tile in this style, and where its picture may be.
fn drawn(style: &OverlayStyle, name: &'static str, age: Duration) -> (Vec<u8>, PixelRect, Vec<PixelRect>) {
    let mut layout =
        Layout { screens: vec![screen(320, 180, vec![tile("t", PixelRect::new(0, 0, 320, 180))])] };
    style.make_room(&mut layout);
    let screen = &layout.screens[0];
    let (mut planner, _) = planner(screen, style.clone());
    let view = TileView { name, age: Some(age), degraded: Some("key frames"), ..live(&screen.tiles[0], 1) };
    let plan = planner.plan(&tick(SECOND), &[view]);
    let stamp = |draw: &Draw| match draw {
        Draw::Stamp { x, y, bitmap, .. } => {
            Some(PixelRect::new(*x as u32, *y as u32, bitmap.width, bitmap.height))
        }
        _ => None,
    };
    let stamps = plan.draws.iter().filter_map(stamp).collect();
    let mut canvas = CpuCompositor::new(320, 180).expect("a canvas");
    canvas.compose(&plan).expect("drawn");
    let luma =
        canvas.picture(FrameMeta::default()).expect("a picture").to_packed_i420()[..320 * 180].to_vec();
    (luma, screen.tiles[0].picture_rect(), stamps)
}

const CORNERS: [Corner; 4] = [Corner::TopLeft, Corner::TopRight, Corner::BottomLeft, Corner::BottomRight];

#[test]
fn texts_below_cover_nothing_of_the_picture_and_both_are_there() {
    let below = OverlayStyle {
        label_place: TextPlace::Below,
        age_place: TextPlace::Below,
        age_from: SECOND,
        ..OverlayStyle::default()
    };
    for name in ["Gare du Midi", "A name that is much longer than any tile of this wall could ever be wide"] {
        let (luma, picture, stamps) = drawn(&below, name, 7 * SECOND);
        assert!(picture.height < 180 && picture.height >= 150 && picture.width == 320, "{picture:?}");
        // Label, degraded, age; the degraded mark alone lies on the picture.
        let [label, degraded, age] = stamps[..] else { panic!("{stamps:?}") };
        assert!(label.y >= picture.bottom() && age.y >= picture.bottom() && degraded.y < 20, "{stamps:?}");
        assert!(label.right() <= age.x && age.right() <= 320, "{stamps:?}");
        let ink = luma[picture.bottom() as usize * 320..].iter().filter(|v| **v > 150).count();
        assert!(ink > 100, "{ink}");
    }
    // A tile that is too low keeps its picture whole.
    let mut low = Layout { screens: vec![screen(64, 36, vec![tile("t", PixelRect::new(0, 0, 64, 36))])] };
    below.make_room(&mut low);
    assert_eq!(low.screens[0].tiles[0].spec, FitSpec::whole(64, 36, FitMode::Contain));
}

#[test]
fn texts_stand_in_their_corners_and_never_over_each_other() {
    let middle = |r: &PixelRect| (r.x + r.width / 2 < 160, r.y + r.height / 2 < 90);
    for (label_at, age_at) in CORNERS.iter().flat_map(|a| CORNERS.map(|b| (*a, b))) {
        let style = OverlayStyle {
            label_place: TextPlace::Over(label_at),
            age_place: TextPlace::Over(age_at),
            ..OverlayStyle::default()
        };
        let (_, picture, stamps) = drawn(&style, "Midi", 7 * SECOND);
        assert_eq!(picture.height, 180);
        let [label, degraded, age] = stamps[..] else { panic!("{stamps:?}") };
        assert_eq!(middle(&label), (label_at.is_left(), label_at.is_top()), "{label_at:?}");
        assert_eq!(middle(&age), (age_at.is_left(), age_at.is_top()), "{age_at:?}");
        assert_eq!(middle(&degraded), (true, true));
        for (a, b) in [(label, degraded), (label, age), (age, degraded)] {
            assert!(a.intersect(&b).is_empty(), "{label_at:?} {age_at:?}: {a:?} {b:?}");
        }
    }
}

#[test]
fn a_tile_that_spans_screens_gives_up_rows_at_its_lower_edge_alone() {
    let part = |y, height| Tile {
        rect: PixelRect::new(0, 0, 320, height),
        spec: FitSpec {
            window: PixelRect::new(0, y, 320, height),
            ..FitSpec::whole(320, 360, FitMode::Contain)
        },
        ..tile("t", PixelRect::new(0, 0, 320, height))
    };
    for (upper, lower) in [(180, 180), (350, 10)] {
        let parts = [part(0, upper), part(upper, lower)];
        let mut layout =
            Layout { screens: parts.into_iter().map(|part| screen(320, 360, vec![part])).collect() };
        let style = OverlayStyle { label_place: TextPlace::Below, ..OverlayStyle::default() };
        style.make_room(&mut layout);
        let tiles: Vec<&Tile> = layout.screens.iter().map(|s| &s.tiles[0]).collect();
        for tile in &tiles {
            let spec = &tile.spec;
            assert!(spec.window.height > 0 && spec.window.bottom() <= spec.height, "{spec:?}");
        }
        if lower == 180 {
            assert_eq!(tiles[0].picture_rect(), tiles[0].rect);
            assert!(tiles[1].picture_rect().height < 180 && tiles[0].spec.height == tiles[1].spec.height);
        }
    }
}
