//! The solver: arrangements by hand, every error, and properties over arbitrary scenes.

use proptest::prelude::*;

use super::preset::CellRect;
use super::*;
use crate::base::ErrorKind;

fn screen(id: &str, x: u32, y: u32, width: u32, height: u32) -> ScreenWish {
    ScreenWish { id: id.into(), rect: PixelRect::new(x, y, width, height) }
}

fn tile(id: impl Into<String>, at: Placement) -> TileWish {
    TileWish {
        id: id.into(),
        camera: None,
        at,
        fit: crate::media::FitMode::Contain,
        crop: crate::media::Region::WHOLE,
        label: None,
        pinned: false,
    }
}

fn cell(column: u32, row: u32, columns: u32, rows: u32) -> Placement {
    Placement::Cell { column, row, columns, rows }
}

fn region(over: &str, layout: &str, tiles: Vec<TileWish>) -> RegionWish {
    RegionWish {
        over: Over::Screen(over.into()),
        layout: layout.parse().expect("a layout's name"),
        gap: 0,
        margin: 0,
        tiles,
    }
}

fn next(count: usize) -> Vec<TileWish> {
    (0..count).map(|i| tile(format!("t{i}"), Placement::Next)).collect()
}

fn one_screen(layout: &str, tiles: Vec<TileWish>) -> Scene {
    Scene { screens: vec![screen("s", 0, 0, 1920, 1080)], regions: vec![region("s", layout, tiles)] }
}

fn rects(layout: &Layout) -> Vec<PixelRect> {
    layout.screens.iter().flat_map(|s| s.tiles.iter().map(|t| t.rect)).collect()
}

#[test]
fn four_by_four_tiles_a_full_hd_screen() {
    let layout = solve(&one_screen("4x4", next(16))).expect("a plain grid");
    assert_eq!(rects(&layout)[0], PixelRect::new(0, 0, 480, 270));
    assert_eq!(rects(&layout)[15], PixelRect::new(1440, 810, 480, 270));
    assert!(layout.screens[0].tiles.iter().all(|t| t.primary));
}

#[test]
fn gaps_and_margins_are_rounded_up_to_even() {
    let mut scene = one_screen("2x1", next(2));
    scene.regions[0].gap = 3;
    scene.regions[0].margin = 7;
    let layout = solve(&scene).expect("odd gaps are allowed");
    assert_eq!(rects(&layout), [PixelRect::new(8, 8, 950, 1064), PixelRect::new(962, 8, 950, 1064)]);
}

#[test]
fn a_span_covers_its_cells_and_the_gaps_between_them() {
    let tiles = vec![tile("small", Placement::Next), tile("large", cell(0, 0, 2, 2))];
    let mut scene = one_screen("3x3", tiles);
    scene.regions[0].gap = 6;
    let layout = solve(&scene).expect("a span in a grid");
    // 1920 - 12 = 1908 = 3 * 636; 1080 - 12 = 1068 = 3 * 356.
    assert_eq!(
        rects(&layout),
        [PixelRect::new(1284, 0, 636, 356), PixelRect::new(0, 0, 1278, 718)],
        "the explicit tile is placed first, the order is kept"
    );
}

#[test]
fn one_plus_five_has_its_large_tile_first() {
    let layout = solve(&one_screen("1+5", next(6))).expect("a preset");
    assert_eq!(rects(&layout)[0], PixelRect::new(0, 0, 1280, 720));
    assert_eq!(rects(&layout)[1], PixelRect::new(1280, 0, 640, 360));
    assert_eq!(rects(&layout)[5], PixelRect::new(1280, 720, 640, 360));
}

#[test]
fn a_tile_that_spans_screens_loses_what_the_bezel_hides() {
    let scene = Scene {
        screens: vec![screen("left", 0, 0, 1920, 1080), screen("right", 1960, 0, 1280, 1080)],
        regions: vec![RegionWish {
            over: Over::Screens(vec!["left".into(), "right".into()]),
            ..region("left", "1", next(1))
        }],
    };
    let layout = solve(&scene).expect("a region over two screens");
    let (left, right) = (&layout.screens[0].tiles[0], &layout.screens[1].tiles[0]);
    assert_eq!(left.rect, PixelRect::new(0, 0, 1920, 1080));
    assert_eq!(right.rect, PixelRect::new(0, 0, 1280, 1080));
    assert_eq!((left.spec.width, left.spec.height), (3240, 1080));
    assert_eq!(left.spec.window, PixelRect::new(0, 0, 1920, 1080));
    assert_eq!(right.spec.window, PixelRect::new(1960, 0, 1280, 1080));
    assert_eq!((left.primary, right.primary), (true, false));
}

#[test]
fn every_mistake_names_its_subject_and_a_remedy() {
    let plain = |tiles| one_screen("2x2", tiles);
    let with_screen = |s| Scene { screens: vec![screen("s", 0, 0, 1920, 1080), s], regions: vec![] };
    let cropped = {
        let mut t = tile("t", Placement::Next);
        t.crop.width = f32::NAN;
        t
    };
    let in_gap = Scene {
        screens: vec![screen("a", 0, 0, 100, 100), screen("b", 200, 0, 100, 100)],
        regions: vec![RegionWish {
            over: Over::Screens(vec!["a".into(), "b".into()]),
            ..region("a", "3x1", next(2))
        }],
    };
    let rect = |x, y, w, h| one_screen("free", vec![tile("t", Placement::Rect(PixelRect::new(x, y, w, h)))]);
    let cases: Vec<(Scene, &str, &str)> = vec![
        (Scene::default(), "scene", "add at least one"),
        (with_screen(screen("s", 1920, 0, 64, 64)), "screen s", "twice"),
        (with_screen(screen("b", 1918, 0, 64, 64)), "screen b", "overlaps screen s"),
        (with_screen(screen("b", 1920, 0, 65, 64)), "screen b", "even"),
        (with_screen(screen("b", 1921, 0, 64, 64)), "screen b", "even"),
        (with_screen(screen("b", 1920, 0, 0, 64)), "screen b", "16 to 16384"),
        (with_screen(screen("b", 1920, 0, 16386, 64)), "screen b", "16 to 16384"),
        (with_screen(screen("b", u32::MAX - 1, 0, 64, 64)), "screen b", "plane"),
        (plain(vec![tile("t", Placement::Next), tile("t", Placement::Next)]), "tile t", "twice"),
        (plain(vec![tile("t", cell(1, 1, 2, 1))]), "tile t", "outside the 2x2 grid"),
        (plain(vec![tile("t", cell(u32::MAX, 0, u32::MAX, 1))]), "tile t", "outside"),
        (plain(vec![tile("t", cell(0, 0, 0, 1))]), "tile t", "at least 1"),
        (plain(vec![tile("a", cell(0, 0, 2, 1)), tile("b", cell(1, 0, 1, 2))]), "tile b", "overlaps tile a"),
        (plain(next(5)), "tile t4", "fewer tiles"),
        (one_screen("1+5", next(7)), "tile t6", "fewer tiles"),
        (one_screen("1+5", vec![tile("t", cell(0, 0, 1, 1))]), "tile t", "no tile of preset 1+5"),
        (plain(vec![cropped]), "tile t", "fractions"),
        (one_screen("0x2", next(1)), "region 1 (over screen s)", "at least 1"),
        (one_screen("400x2", next(1)), "region 1 (over screen s)", "fewer cells"),
        (
            Scene { regions: vec![region("x", "1", next(1))], ..plain(vec![]) },
            "region 1 (over screen x)",
            "not there",
        ),
        (rect(0, 0, 1922, 1080), "tile t", "outside its region"),
        (rect(u32::MAX - 1, 0, 64, 64), "tile t", "outside its region"),
        (rect(1, 0, 64, 64), "tile t", "even"),
        (rect(0, 0, 64, 0), "tile t", "at least 16"),
        (one_screen("free", next(1)), "tile t0", "needs a rectangle"),
        (plain(vec![tile("t", Placement::Rect(PixelRect::new(0, 0, 64, 64)))]), "tile t", "name a cell"),
        (in_gap, "tile t1", "between screens"),
    ];
    for (scene, subject, remedy) in cases {
        let error = solve(&scene).expect_err(subject);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert_eq!(error.subject(), subject, "{error}");
        assert!(error.message().contains(remedy), "{error} should say {remedy}");
        assert!(check(&scene).is_err());
    }
}

/// Numbers that fall on, beside and far from what the solver allows.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0u32..6, 14u32..2000, (1u32..1200).prop_map(|n| n * 2), any::<u32>()]
}

fn wild_rect() -> impl Strategy<Value = PixelRect> {
    (number(), number(), number(), number()).prop_map(|(x, y, w, h)| PixelRect {
        x,
        y,
        width: w.min(u32::MAX - x),
        height: h.min(u32::MAX - y),
    })
}

fn wild_scene() -> impl Strategy<Value = Scene> {
    let screens = prop::collection::vec(wild_rect(), 0..4).prop_map(|rects| {
        rects
            .into_iter()
            .enumerate()
            .map(|(i, rect)| ScreenWish { id: (*format!("s{i}")).into(), rect })
            .collect()
    });
    let placement = prop_oneof![
        Just(Placement::Next),
        (number(), number(), number(), number()).prop_map(|(a, b, c, d)| cell(a, b, c, d)),
        wild_rect().prop_map(Placement::Rect),
    ];
    let tiles = prop::collection::vec(placement, 0..20).prop_map(|places| {
        places.into_iter().enumerate().map(|(i, at)| tile(format!("t{i}"), at)).collect::<Vec<_>>()
    });
    let layout = prop_oneof![
        Just(LayoutWish::Free),
        (number(), number()).prop_map(|(columns, rows)| LayoutWish::Grid { columns, rows }),
        (0..Preset::ALL.len()).prop_map(|i| LayoutWish::Preset(Preset::ALL[i])),
    ];
    let over = prop_oneof![
        Just(Over::Screen("s0".into())),
        Just(Over::Screens(vec!["s0".into(), "s1".into()])),
        Just(Over::Screens(vec![])),
    ];
    let region = (over, layout, number(), number(), tiles)
        .prop_map(|(over, layout, gap, margin, tiles)| RegionWish { over, layout, gap, margin, tiles });
    (screens, prop::collection::vec(region, 0..2)).prop_map(|(screens, regions)| Scene { screens, regions })
}

fn assert_sound(scene: &Scene, layout: &Layout) {
    for (screen, wish) in layout.screens.iter().zip(&scene.screens) {
        assert_eq!((screen.width, screen.height), (wish.rect.width, wish.rect.height));
        for tile in &screen.tiles {
            let r = tile.rect;
            assert!([r.x, r.y, r.width, r.height].iter().all(|v| v % 2 == 0), "{r:?}");
            assert!(!r.is_empty() && r.right() <= screen.width && r.bottom() <= screen.height, "{r:?}");
            let w = tile.spec.window;
            assert_eq!((w.width, w.height), (r.width, r.height));
            assert!(w.right() <= tile.spec.width && w.bottom() <= tile.spec.height);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_scene_is_solved_soundly_or_refused(scene in wild_scene()) {
        match solve(&scene) {
            Ok(layout) => assert_sound(&scene, &layout),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Config),
        }
    }

    #[test]
    fn grids_fill_their_region_exactly(
        (width, height) in (32u32..2000, 32u32..2000),
        (columns, rows) in (1u32..9, 1u32..9),
        (gap, margin) in (0u32..12, 0u32..20),
    ) {
        let (width, height) = (width * 2, height * 2);
        let scene = Scene {
            screens: vec![screen("s", 0, 0, width, height)],
            regions: vec![RegionWish {
                gap,
                margin,
                ..region("s", &format!("{columns}x{rows}"), next((columns * rows) as usize))
            }],
        };
        let Ok(layout) = solve(&scene) else { return Ok(()) };
        assert_sound(&scene, &layout);
        let cells = rects(&layout);
        for (i, a) in cells.iter().enumerate() {
            for b in &cells[i + 1..] {
                prop_assert!(a.intersect(b).is_empty(), "{a:?} {b:?}");
            }
        }
        let (gap, margin) = (gap.next_multiple_of(2), margin.next_multiple_of(2));
        let covered: u32 = cells[..columns as usize].iter().map(|r| r.width).sum();
        prop_assert_eq!(covered + (columns - 1) * gap + 2 * margin, width);
        let covered: u32 = cells.iter().step_by(columns as usize).map(|r| r.height).sum();
        prop_assert_eq!(covered + (rows - 1) * gap + 2 * margin, height);
        let widths = cells.iter().map(|r| r.width);
        prop_assert!(widths.clone().max().unwrap_or(0) - widths.min().unwrap_or(0) <= 2);
    }

    #[test]
    fn spans_cover_the_cells_they_span(
        (column, row) in (0u32..5, 0u32..5),
        (columns, rows) in (1u32..6, 1u32..6),
        gap in 0u32..10,
    ) {
        let (columns, rows) = (columns.min(5 - column), rows.min(5 - row));
        let span = CellRect { column, row, columns, rows };
        let solved = |tiles| {
            let mut scene = one_screen("5x5", tiles);
            scene.regions[0].gap = gap;
            rects(&solve(&scene).expect("within the grid"))
        };
        let spanning = solved(vec![tile("t", cell(column, row, columns, rows))])[0];
        let all = solved(next(25));
        for (i, cell_rect) in all.iter().enumerate() {
            let inside = span.overlaps(&CellRect::square(i as u32 % 5, i as u32 / 5, 1));
            let expected = if inside { *cell_rect } else { PixelRect::default() };
            let got = spanning.intersect(cell_rect);
            prop_assert!(got == expected || (!inside && got.is_empty()), "{spanning:?} {cell_rect:?}");
        }
    }
}
