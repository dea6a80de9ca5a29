//! The arrows between rooms: who may import whom. Reads the sources, so that a wrong import fails
//! the tests and not a review.
#![allow(clippy::unwrap_used)]

mod control;
mod engine;
mod reading;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use reading::{paths_of, tokens, without_comments_and_strings};

/// Rooms, and which others each may name.
type Arrows = &'static [(&'static str, &'static [&'static str])];

/// The rooms of one crate. A room is a folder or a file of its sources, and may always name itself.
struct House {
    /// Where its sources are, from the root of the repository.
    src: &'static str,
    arrows: Arrows,
    /// Files that name all rooms: they publish them, or wire them together.
    wiring: &'static [&'static str],
    /// Rooms within a room, and their arrows to each other.
    inner: &'static [(&'static str, Arrows)],
    /// Places that must not name a crate or a room, and what they must not name.
    barred: Arrows,
}

const HOUSES: [House; 2] = [engine::HOUSE, control::HOUSE];

#[test]
fn every_room_imports_only_what_it_may() {
    let mut wrong = String::new();
    for house in HOUSES {
        let all = house.sources();
        assert!(all.len() > 20, "found only {} sources in {}", all.len(), house.src);
        for (inside, text) in all {
            for fault in house.faults(&inside, &text) {
                writeln!(wrong, "{}/{inside}: {fault}", house.src).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the design does not have:\n{wrong}");
}

#[test]
fn every_room_is_in_the_table() {
    for house in HOUSES {
        for entry in fs::read_dir(house.folder()).unwrap() {
            let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
            let known = house.wiring.contains(&name.as_str()) || of(house.arrows, &name).is_some();
            assert!(known, "{}/{name} has no arrows; add it to its table in tests/arrows", house.src);
        }
    }
}

/// A permission that nobody uses is an arrow that the design does not have.
#[test]
fn every_permission_is_used() {
    let mut idle = String::new();
    for house in HOUSES {
        let all = house.sources();
        let inner = house.inner.iter().map(|(place, arrows)| (format!("{place}/"), *arrows));
        for (place, arrows) in std::iter::once((String::new(), house.arrows)).chain(inner) {
            for (room, allowed) in arrows {
                let used: BTreeSet<String> = all
                    .iter()
                    .filter(|(inside, _)| room_in(&place, inside) == Some(room))
                    .flat_map(|(inside, text)| house.rooms_named(&place, inside, text))
                    .collect();
                for unused in allowed.iter().filter(|name| !used.contains(**name)) {
                    writeln!(idle, "{}: {place}{room} may name {unused} and does not", house.src).unwrap();
                }
            }
        }
    }
    assert!(idle.is_empty(), "permissions to take away:\n{idle}");
}

#[test]
fn there_is_no_circle() {
    for house in HOUSES {
        for arrows in house.inner.iter().map(|(_, arrows)| *arrows).chain([house.arrows]) {
            assert_eq!(circle(arrows), None, "{}", house.src);
        }
    }
}

/// Rooms that lead to each other, where there are such: what is left when those are taken away again and again that
/// name none of the rest.
fn circle(arrows: Arrows) -> Option<Vec<&'static str>> {
    let mut left: Vec<_> = arrows.to_vec();
    loop {
        let names: Vec<&str> = left.iter().map(|(room, _)| *room).collect();
        let before = left.len();
        left.retain(|(room, allowed)| allowed.iter().any(|name| name != room && names.contains(name)));
        if left.is_empty() {
            return None;
        }
        if left.len() == before {
            return Some(names);
        }
    }
}

#[test]
fn the_engine_needs_no_crate_above_it() {
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/Cargo.toml")).unwrap();
    for above in ["vitrail-control", "vitrail-simulator"] {
        assert!(!manifest.contains(above), "engine/Cargo.toml names {above}");
    }
}

/// What a person keeps at home, a cost model or loops of cameras, reaches a wall through the program alone.
/// Whatever else read it, tests above all, would do other things on other machines.
#[test]
fn only_the_program_reads_what_a_person_keeps() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told = ["engine/src/effort/cost.rs", "simulator/src/config.rs", "simulator/src/lib.rs"];
    let mut wrong = String::new();
    for folder in ["engine", "control", "simulator", "tests", "benches"] {
        for path in sources(&root.join(folder)) {
            let inside = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            let text = fs::read_to_string(&path).unwrap();
            let named = tokens(&without_comments_and_strings(&text));
            let asks = named.iter().any(|t| t == "default_path" || t == "default_cache");
            if asks && !told.contains(&inside.as_str()) {
                writeln!(wrong, "{inside} reads what a person keeps").unwrap();
            }
            if inside.starts_with("tests/") && !THE_START.contains(&&*inside) && text.contains(PROGRAM) {
                writeln!(wrong, "{inside} starts the program without common::vitrail").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// How a test names the program.
const PROGRAM: &str = "CARGO_BIN_EXE_vitrail";
/// Who may: the start of all others, and this.
const THE_START: &[&str] = &["tests/common/mod.rs", "tests/arrows/main.rs"];

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// What a room may name.
fn of(arrows: Arrows, room: &str) -> Option<&'static [&'static str]> {
    arrows.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed)
}

/// The room that a source lies in, among those of a place (`""`, or `"transcode/"`).
fn room_in<'a>(place: &str, inside: &'a str) -> Option<&'a str> {
    inside.strip_prefix(place)?.split(['/', '.']).next()
}

impl House {
    fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.src)
    }

    /// All sources: path below the folder, and text.
    fn sources(&self) -> Vec<(String, String)> {
        let folder = self.folder();
        let read = |path: PathBuf| {
            let inside = path.strip_prefix(&folder).unwrap().to_str().unwrap().replace('\\', "/");
            (inside, fs::read_to_string(&path).unwrap())
        };
        sources(&folder).into_iter().map(read).collect()
    }

    /// The rooms of a place that a source in it names.
    fn rooms_named(&self, place: &str, inside: &str, text: &str) -> BTreeSet<String> {
        let prefix = format!("crate::{}", place.replace('/', "::"));
        let paths = paths_of(&without_comments_and_strings(text), inside);
        let named = paths.iter().filter_map(|path| path.strip_prefix(&prefix)?.split("::").next());
        named.map(str::to_owned).collect()
    }

    /// What a source (by its path below the folder) names and must not.
    fn faults(&self, inside: &str, text: &str) -> Vec<String> {
        let code = without_comments_and_strings(text);
        let room = room_in("", inside).unwrap_or_default();
        let mut faults = self.wrong_arrows("", self.arrows, inside, text);
        for (place, arrows) in self.inner {
            faults.extend(self.wrong_arrows(&format!("{place}/"), arrows, inside, text));
        }
        // As it is written: `super::*` in the tests of a room's `mod.rs` is the room.
        let names_all = code.split_whitespace().collect::<String>().contains("usecrate::*");
        if names_all && !self.wiring.contains(&room) {
            faults.push(format!("{room} must not import everything of the crate"));
        }
        let paths = paths_of(&code, inside);
        for (place, barred) in self.barred {
            if place.is_empty() || inside == *place || inside.starts_with(&format!("{place}/")) {
                for name in *barred {
                    let names = |p: &String| p == name || p.starts_with(&format!("{name}::"));
                    if paths.iter().any(names) {
                        faults.push(format!("must not name {name}"));
                    }
                }
            }
        }
        faults.sort();
        faults.dedup();
        faults
    }

    /// Rooms of a place that a source in one of them names without leave.
    fn wrong_arrows(&self, place: &str, arrows: Arrows, inside: &str, text: &str) -> Vec<String> {
        let Some(room) = room_in(place, inside) else { return Vec::new() };
        // The place's own `mod.rs` wires its rooms.
        if room == "mod" || (place.is_empty() && self.wiring.contains(&room)) {
            return Vec::new();
        }
        let allowed = of(arrows, room).unwrap_or_default();
        let is_room =
            |name: &str| of(arrows, name).is_some() || (place.is_empty() && self.wiring.contains(&name));
        let named = self.rooms_named(place, inside, text).into_iter();
        let wrong = named.filter(|name| is_room(name) && name != room && !allowed.contains(&name.as_str()));
        wrong.map(|name| format!("{place}{room} must not name {name}")).collect()
    }
}

#[test]
fn the_checker_finds_wrong_arrows() {
    let red: &[(&str, &str, &str)] = &[
        ("decode/libav.rs", "use crate::scene::Layout;", "decode must not name scene"),
        (
            "decode/mod.rs",
            "use crate::{base::Result, encode::{Rate, EncoderChoice}};",
            "decode must not name encode",
        ),
        ("fit/box.rs", "fn f(s: &crate::scene::Tile) {}", "fit must not name scene"),
        ("scene/solve.rs", "use super::super::composite::Yuv;", "scene must not name composite"),
        ("base/error.rs", "pub use crate::media::Frame;", "base must not name media"),
        ("store/mod.rs", "use crate::wall::Wall;", "store must not name wall"),
        ("encode/x264.rs", "use\n    crate\n    ::output::OutputSpec;", "encode must not name output"),
        ("encode/x264.rs", "use crate::*;", "encode must not import everything of the crate"),
        ("composite/cpu/mod.rs", "use wgpu::Device;", "must not name wgpu"),
        ("composite/cpu/draw.rs", "use super::super::gpu::Uniform;", "must not name crate::composite::gpu"),
        ("wall/mod.rs", "use vitrail_control::Grant;", "must not name vitrail_control"),
        ("scene/mod.rs", "fn f() { std::fs::read(\"x\"); }", "must not name std::fs"),
        ("evidence/mod.rs", "use crate::output::Partial;", "evidence must not name output"),
        ("mosaic/report.rs", "use crate::wall::ProcessReport;", "mosaic must not name wall"),
    ];
    all_are_faults(&engine::HOUSE, red);
}

#[test]
fn the_checker_finds_wrong_arrows_of_the_controller() {
    let red: &[(&str, &str, &str)] = &[
        ("people/login.rs", "use crate::api::Shared;", "people must not name api"),
        ("live/mod.rs", "fn f(shared: crate::api::Shared) {}", "live must not name api"),
        ("wall/mod.rs", "impl crate::live::Screens for Conductor {}", "wall must not name live"),
        ("audit/verify/mod.rs", "use crate::{base::Result, db::Database};", "audit must not name db"),
        ("rights/tests/api.rs", "use crate::api::{Control, router};", "rights must not name api"),
        ("db/mod.rs", "use super::people::Account;", "db must not name people"),
        ("api/mod.rs", "use crate::server::Listening;", "api must not name server"),
        ("wall/settle.rs", "use crate::controller::Controller;", "wall must not name controller"),
        ("registry/zones.rs", "use crate::Problem;", "must not name crate::Problem"),
        ("registry/zones.rs", "use axum::Json;", "must not name axum"),
        ("rights/terms.rs", "use axum::{Json, extract::State};", "must not name axum"),
        ("rights/policy.rs", "fn f() { std::fs::read(\"x\"); }", "must not name std::fs"),
        ("rights/policy.rs", "use rusqlite::Connection;", "must not name rusqlite"),
        ("api/live.rs", "use vitrail_engine::wall::StillWish;", "must not name vitrail_engine::wall"),
        ("server.rs", "use rusqlite::params;", "must not name rusqlite"),
    ];
    all_are_faults(&control::HOUSE, red);
}

/// Each source has this fault and no other.
fn all_are_faults(house: &House, red: &[(&str, &str, &str)]) {
    for (inside, text, fault) in red {
        assert_eq!(house.faults(inside, text), [*fault], "{}/{inside}: {text}", house.src);
    }
}

#[test]
fn the_checker_leaves_right_arrows_alone() {
    let green: &[(&str, &str)] = &[
        ("decode/libav.rs", "use crate::{base::{Error, Result}, media::Frame, source::UnitSink};"),
        (
            "decode/libav.rs",
            "//! Not like [`crate::scene`].\nconst A: &str = \"crate::scene::X\"; /* crate::wall */",
        ),
        (
            "decode/libav.rs",
            "const A: &str = r#\"use \"crate::scene\"\"#; const B: char = '\"'; fn f<'a>(x: &'a str) {}",
        ),
        ("wall/mod.rs", "use crate::{composite, encode, scene};"),
        ("composite/gpu/mod.rs", "use wgpu::Device; use super::plan::Draw;"),
        ("scene/tests.rs", "mod inner { use super::*; }"),
        ("scene/mod.rs", "mod inner { use super::*; }"),
    ];
    for (inside, text) in green {
        assert_eq!(engine::HOUSE.faults(inside, text), [] as [&str; 0], "{inside}: {text}");
    }
}

#[test]
fn a_circle_is_found() {
    assert_eq!(circle(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]), Some(vec!["a", "b", "c"]));
    assert_eq!(circle(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]), None);
}

#[test]
fn a_wrong_arrow_within_a_room_is_found() {
    let house = House {
        src: "",
        arrows: &[("files", &[])],
        wiring: &[],
        inner: &[("files", &[("read", &[]), ("write", &["read"])])],
        barred: &[],
    };
    let back = "use crate::files::write::Writer;";
    assert_eq!(house.faults("files/read/mod.rs", back), ["files/read must not name write"]);
    assert_eq!(
        house.faults("files/read.rs", "use super::write::Writer;"),
        ["files/read must not name write"]
    );
    assert_eq!(house.faults("files/write/mod.rs", "use crate::files::read::Reader;"), [] as [&str; 0]);
}
