//! The scene solver: 16 screens of 64 tiles, and one region over all of them.

use criterion::{Criterion, criterion_group, criterion_main};
use vitrail_engine::media::{FitMode, PixelRect, Region, ScreenId};
use vitrail_engine::scene::{LayoutWish, Over, Placement, RegionWish, Scene, ScreenWish, TileWish, solve};

fn tile(id: String) -> TileWish {
    TileWish {
        camera: Some(id.as_str().into()),
        id,
        at: Placement::Next,
        fit: FitMode::Contain,
        crop: Region::WHOLE,
        label: None,
        pinned: false,
    }
}

fn screens() -> Vec<ScreenWish> {
    let rect = |i: u32| PixelRect::new(i % 4 * 1960, i / 4 * 1120, 1920, 1080);
    (0..16).map(|i| ScreenWish { id: ScreenId::new(format!("s{i}")), rect: rect(i) }).collect()
}

fn region(over: Over, side: u32, name: &str) -> RegionWish {
    let tiles = (0..side * side).map(|t| tile(format!("{name}t{t}"))).collect();
    RegionWish { over, layout: LayoutWish::Grid { columns: side, rows: side }, gap: 4, margin: 2, tiles }
}

fn benches(c: &mut Criterion) {
    let screens = screens();
    let each = screens.iter().map(|s| region(Over::Screen(s.id.clone()), 8, s.id.as_str())).collect();
    let apart = Scene { screens: screens.clone(), regions: each };
    c.bench_function("scene/solve 16 screens x 64 tiles", |b| b.iter(|| solve(&apart)));
    let all = Over::Screens(screens.iter().map(|s| s.id.clone()).collect());
    let spanning = Scene { screens, regions: vec![region(all, 32, "all")] };
    c.bench_function("scene/solve 1024 tiles over 16 screens", |b| b.iter(|| solve(&spanning)));
}

criterion_group!(group, benches);
criterion_main!(group);
