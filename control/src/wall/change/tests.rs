//! Changes of layouts, one by one and at random.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::base::Kind;
use proptest::prelude::*;
use vitrail_engine::media::PixelRect;
use vitrail_engine::scene::{ScreenWish, solve};

fn screens() -> Vec<ScreenWish> {
    let screen = |id: &str, x| ScreenWish { id: id.into(), rect: PixelRect::new(x, 0, 1280, 720) };
    vec![screen("left", 0), screen("right", 1280)]
}

fn start() -> Layout {
    let scene = vitrail_engine::scene::Scene { screens: screens(), regions: Vec::new() };
    Layout::of_scene(&scene, Utc(0))
}

fn by(account: &str, from: u64) -> Author<'_> {
    Author { account, at: Utc(1), from }
}

fn show(tile: &str, camera: &str) -> Change {
    Change::Show { tile: tile.into(), camera: camera.into() }
}

fn camera<'a>(layout: &'a Layout, tile: &str) -> Option<&'a str> {
    layout.tiles().find(|t| t.id == tile).unwrap().camera.as_deref()
}

#[test]
fn the_last_word_is_never_lost_silently() {
    let first = start();
    let anna = apply(&first, &[show("left.1", "a")], &by("anna", 1)).unwrap();
    // Bert still sees version 1: another tile is no conflict, the same one is.
    let bert = apply(&anna, &[show("left.2", "b")], &by("bert", 1)).unwrap();
    assert_eq!((camera(&bert, "left.1"), camera(&bert, "left.2")), (Some("a"), Some("b")));
    let problem = apply(&bert, &[show("left.1", "c")], &by("bert", 1)).unwrap_err();
    assert_eq!((problem.kind, problem.code.as_deref()), (Kind::Conflict, Some("changed")));
    assert_eq!(problem.more.unwrap()["layout"]["version"], 3);
    let again = apply(&bert, &[show("left.1", "c")], &by("bert", 3)).unwrap();
    assert_eq!(camera(&again, "left.1"), Some("c"));
}

#[test]
fn all_changes_or_none() {
    let first = start();
    let wrong = [show("left.1", "a"), show("nowhere", "b")];
    assert_eq!(apply(&first, &wrong, &by("anna", 1)).unwrap_err().kind, Kind::NotFound);
    assert!(first.tiles().all(|t| t.camera.is_none()));
    assert_eq!(apply(&first, &[], &by("anna", 9)).unwrap_err().kind, Kind::Invalid, "a version to come");
}

#[test]
fn a_locked_tile_takes_no_change_but_its_lock() {
    let lock = |locked| Change::Lock { tile: "left.1".into(), locked };
    let locked = apply(&start(), &[show("left.1", "a"), lock(true)], &by("anna", 1)).unwrap();
    for change in [
        show("left.1", "b"),
        Change::Clear { tile: "left.1".into() },
        Change::Swap { a: "left.2".into(), b: "left.1".into() },
        Change::Arrange { region: "left".into(), arrangement: "1".into() },
    ] {
        let problem = apply(&locked, &[change], &by("bert", 2)).unwrap_err();
        assert_eq!(problem.code.as_deref(), Some("locked"));
    }
    assert!(apply(&locked, &[lock(false), show("left.1", "b")], &by("bert", 2)).is_ok());
}

#[test]
fn arranging_keeps_the_first_cameras_and_spotlights_hide_without_forgetting() {
    let shown = [show("left.1", "a"), show("left.4", "d")];
    let layout = apply(&start(), &shown, &by("anna", 1)).unwrap();
    let arrange = |to: &str| Change::Arrange { region: "left".into(), arrangement: to.into() };
    let one = apply(&layout, &[arrange("1+5")], &by("anna", 2)).unwrap();
    let cameras: Vec<_> = one.regions[0].tiles.iter().filter_map(|t| t.camera.as_deref()).collect();
    assert_eq!((cameras, one.regions[0].tiles.len()), (vec!["a", "d"], 6));
    let spot = Change::Spotlight { tile: "left.4".into(), on: true };
    let spot = apply(&layout, &[spot], &by("anna", 2)).unwrap();
    assert_eq!(spot.showings().into_iter().map(|on| on.camera).collect::<Vec<_>>(), ["d"]);
    let back = Change::Spotlight { tile: "left.4".into(), on: false };
    assert_eq!(apply(&spot, &[back], &by("anna", 3)).unwrap().showings().len(), 2);
}

#[test]
fn places_neither_overlap_nor_push_cameras_out() {
    let place = |tile: &str, at| Change::Place { tile: tile.into(), at: Some(at) };
    let tall = apply(&start(), &[place("left.1", [0, 0, 1, 2])], &by("anna", 1)).unwrap();
    assert_eq!(tall.regions[0].tiles.len(), 3);
    for (at, what) in [([0, 1, 1, 1], "over another"), ([1, 0, 2, 1], "outside"), ([0, 0, 0, 1], "nothing")] {
        assert_eq!(
            apply(&tall, &[place("left.2", at)], &by("anna", 2)).unwrap_err().kind,
            Kind::Invalid,
            "{what}"
        );
    }
    let full: Vec<Change> = (1..=4).map(|n| show(&format!("left.{n}"), &n.to_string())).collect();
    let full = apply(&start(), &full, &by("anna", 1)).unwrap();
    let problem = apply(&full, &[place("left.1", [0, 0, 2, 1])], &by("anna", 2)).unwrap_err();
    assert!(problem.detail.contains("no room"), "{problem}");
}

#[test]
fn spans_lie_over_their_screens_once() {
    let span = Change::Span { screens: vec!["left".into(), "right".into()], arrangement: "1".into() };
    let layout = apply(&start(), &[span.clone(), show("span-left-right.1", "a")], &by("anna", 1)).unwrap();
    assert_eq!(layout.showings().len(), 2, "one camera on two screens");
    assert!(solve(&layout.to_scene(&screens()).unwrap()).is_ok());
    assert_eq!(apply(&layout, &[span], &by("anna", 2)).unwrap_err().kind, Kind::Conflict);
    let gone =
        apply(&layout, &[Change::Unspan { region: "span-left-right".into() }], &by("anna", 2)).unwrap();
    assert_eq!(gone.regions.len(), 2);
    let own = apply(&gone, &[Change::Unspan { region: "left".into() }], &by("anna", 3));
    assert_eq!(own.unwrap_err().kind, Kind::Invalid);
}

fn any_change() -> impl Strategy<Value = Change> {
    let tile = || {
        (prop::sample::select(vec!["left", "right", "span-left-right"]), 1..7u32)
            .prop_map(|(r, n)| format!("{r}.{n}"))
    };
    let region = || prop::sample::select(vec!["left".to_owned(), "right".into(), "span-left-right".into()]);
    let arrangement = || {
        prop::sample::select(vec!["1", "2x2", "3x1", "4x4", "1+5", "2+8", "0x1", "x", "33x1"])
            .prop_map(str::to_owned)
    };
    prop_oneof![
        (tile(), "[a-d]").prop_map(|(tile, camera)| Change::Show { tile, camera }),
        tile().prop_map(|tile| Change::Clear { tile }),
        (tile(), tile()).prop_map(|(a, b)| Change::Swap { a, b }),
        (tile(), any::<bool>()).prop_map(|(tile, pinned)| Change::Pin { tile, pinned }),
        (tile(), any::<bool>()).prop_map(|(tile, locked)| Change::Lock { tile, locked }),
        (tile(), any::<Option<[f32; 4]>>()).prop_map(|(tile, crop)| Change::Crop { tile, crop }),
        (region(), arrangement()).prop_map(|(region, arrangement)| Change::Arrange { region, arrangement }),
        (tile(), any::<Option<[u32; 4]>>()).prop_map(|(tile, at)| Change::Place { tile, at }),
        (tile(), [0..3u32, 0..3, 0..3, 0..3]).prop_map(|(tile, at)| Change::Place { tile, at: Some(at) }),
        (tile(), any::<bool>()).prop_map(|(tile, on)| Change::Spotlight { tile, on }),
        arrangement().prop_map(|arrangement| Change::Span {
            screens: vec!["left".into(), "right".into()],
            arrangement
        }),
        region().prop_map(|region| Change::Unspan { region }),
    ]
}

proptest! {
    #[test]
    fn whatever_is_changed_the_engine_can_show_it(changes in prop::collection::vec(any_change(), 1..40)) {
        let mut layout = start();
        for change in &changes {
            if let Ok(next) = apply(&layout, std::slice::from_ref(change), &by("anna", layout.version)) {
                prop_assert_eq!(next.version, layout.version + 1);
                let scene = next.to_scene(&screens()).unwrap();
                prop_assert!(solve(&scene).is_ok(), "{:?} after {change:?}: {:?}", next.regions, solve(&scene));
                layout = next;
            }
        }
        let text = serde_json::to_string(&layout).unwrap();
        prop_assert_eq!(serde_json::from_str::<Layout>(&text).unwrap(), layout);
    }
}
