//! Planner, CPU executor and text: what one tick of a wall costs.

use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use vitrail_engine::base::Moment;
use vitrail_engine::composite::text::{Face, TextStyle};
use vitrail_engine::composite::{
    CompositePlan, Compositor, Corner, CpuCompositor, Draw, OverlayStyle, ScreenPlanner, TextRenderer,
    TickView, TileStatus, TileView,
};
use vitrail_engine::media::{
    Colorimetry, FitMode, FitSpec, FittedFrame, Frame, FrameMeta, Matrix, PixelRect, Range,
};
use vitrail_engine::scene::{ScreenLayout, Tile};

const BT601: Colorimetry = Colorimetry { matrix: Matrix::Bt601, range: Range::Limited };
const FULL: Colorimetry = Colorimetry { matrix: Matrix::Bt709, range: Range::Full };

fn screen(width: u32, height: u32, side: u32) -> ScreenLayout {
    let (w, h) = ((width / side) & !1, (height / side) & !1);
    let tile = |i: u32| Tile {
        id: format!("t{i}"),
        camera: Some("c".into()),
        rect: PixelRect::new(i % side * w, i / side * h, w, h),
        spec: FitSpec::whole(w, h, FitMode::Contain),
        label: Some(format!("Chaussée {i}")),
        pinned: false,
        primary: true,
    };
    ScreenLayout { id: "s".into(), width, height, tiles: (0..side * side).map(tile).collect() }
}

/// A picture with its own memory, as decoded ones have.
fn picture(width: u32, height: u32, color: Colorimetry, seed: u8) -> Frame {
    let len = (width * height * 3 / 2) as usize;
    let data: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
    Frame::packed_i420(width, height, data.into(), FrameMeta { color, ..FrameMeta::default() })
        .expect("a packed picture")
}

fn views(layout: &ScreenLayout, color: Colorimetry) -> Vec<TileView<'static>> {
    let view = |(i, tile): (usize, &Tile)| {
        let frame = picture(tile.rect.width, tile.rect.height, color, i as u8);
        TileView {
            picture: Some((0, FittedFrame { frame, x: 0, y: 0, spec: tile.spec })),
            status: TileStatus::Live,
            age: Some(Duration::ZERO),
            late: None,
            name: "",
            alarm: false,
            degraded: None,
        }
    };
    layout.tiles.iter().enumerate().map(view).collect()
}

const TICK: TickView =
    TickView { wall: Duration::from_secs(1_790_000_000), monotonic: Moment(1_000_000_000) };

fn style() -> OverlayStyle {
    OverlayStyle { clock: Some(Corner::TopRight), ..OverlayStyle::default() }
}

fn full_plan(layout: &ScreenLayout, color: Colorimetry) -> CompositePlan {
    let mut planner = ScreenPlanner::new(layout, style(), Arc::new(TextRenderer::new()));
    let views = views(layout, color);
    planner.plan(&TICK, &views);
    let mut all_new = views;
    all_new.iter_mut().filter_map(|v| v.picture.as_mut()).for_each(|(version, _)| *version = 1);
    planner.plan(&TICK, &all_new)
}

fn composite(c: &mut Criterion) {
    let mut group = c.benchmark_group("composite");
    for (name, width, height) in [("1080p", 1920, 1080), ("4K", 3840, 2160)] {
        let layout = screen(width, height, 4);
        let mut cpu = CpuCompositor::new(width, height).expect("an even size");
        for (what, color) in
            [("16 new", Colorimetry::default()), ("16 new, BT.601", BT601), ("16 new, full range", FULL)]
        {
            let plan = full_plan(&layout, color);
            group.bench_function(BenchmarkId::new(what, name), |b| b.iter(|| cpu.compose(&plan)));
        }
        let one = CompositePlan {
            damage: vec![layout.tiles[5].rect],
            ..full_plan(&layout, Colorimetry::default())
        };
        group.bench_function(BenchmarkId::new("1 new", name), |b| b.iter(|| cpu.compose(&one)));
        group.bench_function(BenchmarkId::new("copy out", name), |b| {
            b.iter(|| cpu.picture(FrameMeta::default()))
        });
    }
    let mut cpu = CpuCompositor::new(1920, 1080).expect("an even size");
    let frame = picture(1920, 1080, Colorimetry::default(), 3);
    for (width, height) in [(480, 270), (854, 480)] {
        let dest = PixelRect::new(0, 0, width, height);
        let draws = vec![Draw::Picture { frame: frame.clone(), dest }];
        let unfitted = CompositePlan { width: 1920, height: 1080, draws, damage: vec![dest] };
        let id = BenchmarkId::new("unfitted 1080p into", format!("{width}x{height}"));
        group.bench_function(id, |b| b.iter(|| cpu.compose(&unfitted)));
    }
    group.finish();
}

fn plan(c: &mut Criterion) {
    for side in [4, 8] {
        let layout = screen(1920, 1080, side);
        let mut planner = ScreenPlanner::new(&layout, style(), Arc::new(TextRenderer::new()));
        let mut views = views(&layout, Colorimetry::default());
        planner.plan(&TICK, &views);
        let tiles = side * side;
        c.bench_function(&format!("plan/{tiles} tiles, still"), |b| b.iter(|| planner.plan(&TICK, &views)));
        c.bench_function(&format!("plan/{tiles} tiles, all new"), |b| {
            b.iter(|| {
                views.iter_mut().filter_map(|v| v.picture.as_mut()).for_each(|(version, _)| *version += 1);
                planner.plan(&TICK, &views)
            })
        });
    }
}

fn text(c: &mut Criterion) {
    let style = TextStyle { face: Face::Semibold, px: 19, max_width: 470, max_lines: 1, centered: false };
    let text = TextRenderer::new();
    let mut n = 0_u64;
    c.bench_function("text/label, new", |b| {
        b.iter(|| {
            n += 1;
            text.render(&format!("Chaussée d’Ixelles {n}"), style)
        })
    });
    c.bench_function("text/label, cached", |b| b.iter(|| text.render("Chaussée d’Ixelles", style)));
}

criterion_group!(benches, composite, plan, text);
criterion_main!(benches);
