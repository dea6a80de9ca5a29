//! The arrows between rooms: who may import whom. Reads the sources, so that a wrong import fails
//! the tests and not a review.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and the rooms of the engine that it may name. Each may name itself.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("media", &["base"]),
    ("source", &["base", "media"]),
    ("ingest", &["base", "media", "source"]),
    ("fit", &["base", "media", "decode", "store"]),
    ("decode", &["base", "media", "source", "ingest"]),
    ("effort", &["base", "media", "decode"]),
    ("store", &["base", "media", "fit"]),
    ("scene", &["base", "media", "fit"]),
    ("composite", &["base", "media", "fit", "scene"]),
    ("encode", &["base", "media"]),
    ("output", &["base", "media", "encode"]),
    ("evidence", &["base", "media"]),
    // Of `transcode` only the plain values of a job; see BARRED.
    (
        "config",
        &["base", "media", "scene", "fit", "effort", "encode", "output", "source", "composite", "transcode"],
    ),
];

/// Only these see all rooms: live walls, offline jobs, and the measurement of what each room costs.
const WIRING: &[&str] = &["wall", "job", "transcode", "measure", "lib"];

/// Folders of the engine that must not name a crate or a room, and what they must not name.
const BARRED: &[(&str, &[&str])] = &[
    ("", &["vitrail_control", "vitrail_simulator", "axum", "rusqlite", "indicatif", "clap"]),
    ("config", &["crate::transcode::queue", "crate::transcode::plan", "crate::transcode::scan"]),
    ("composite/cpu", &["wgpu", "crate::composite::gpu"]),
    ("composite/plan.rs", &["wgpu", "crate::composite::gpu", "crate::composite::cpu"]),
    ("scene", &["gstreamer", "retina", "ffmpeg_next", "wgpu", "tokio", "std::fs", "std::net"]),
    ("media", &["gstreamer", "retina", "ffmpeg_next", "wgpu", "tokio", "std::fs", "std::net"]),
];

#[test]
fn every_room_imports_only_what_it_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/src");
    let mut wrong = String::new();
    let mut files = 0;
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap();
        files += 1;
        for fault in faults(&inside, &text) {
            writeln!(wrong, "engine/src/{inside}: {fault}").unwrap();
        }
    }
    assert!(files > 20, "found only {files} sources in {}", src.display());
    assert!(wrong.is_empty(), "arrows that the design does not have:\n{wrong}");
}

#[test]
fn every_room_is_in_the_table() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/src");
    for entry in fs::read_dir(src).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let known = WIRING.contains(&name.as_str()) || ARROWS.iter().any(|(room, _)| *room == name);
        assert!(known, "engine/src/{name} has no arrows; add it to the table in tests/arrows.rs");
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
const THE_START: &[&str] = &["tests/common/mod.rs", "tests/arrows.rs"];

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

/// What a source (by its path below `src/`) names and must not.
fn faults(inside: &str, text: &str) -> Vec<String> {
    let code = without_comments_and_strings(text);
    let paths = paths_of(&code, inside);
    let room = inside.split(['/', '.']).next().unwrap();
    let mut faults = Vec::new();
    if !WIRING.contains(&room) {
        let allowed = ARROWS.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, allowed)| allowed);
        for named in paths.iter().filter_map(|p| p.strip_prefix("crate::")?.split("::").next()) {
            let is_room = ARROWS.iter().any(|(name, _)| *name == named) || WIRING.contains(&named);
            if is_room && named != room && !allowed.contains(&named) {
                faults.push(format!("{room} must not name {named}"));
            }
        }
        // As it is written: `super::*` in the tests of a room's `mod.rs` is the room.
        if code.split_whitespace().collect::<String>().contains("usecrate::*") {
            faults.push(format!("{room} must not import everything of the crate"));
        }
    }
    for (place, barred) in BARRED {
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

/// Every path in the code, `use` groups unfolded, `super::` and `self::` made absolute.
fn paths_of(code: &str, inside: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let tokens = tokens(code);
    let mut i = 0;
    while i < tokens.len() {
        if is_word(&tokens[i]) && (i == 0 || tokens[i - 1] != "::") {
            unfold(&tokens, &mut i, "", &mut paths);
        } else {
            i += 1;
        }
    }
    paths.into_iter().map(|path| absolute(&path, inside)).collect()
}

/// Reads one path from `i` on, with its groups, and adds what it names.
fn unfold(tokens: &[String], i: &mut usize, before: &str, paths: &mut BTreeSet<String>) {
    let mut path = before.to_owned();
    loop {
        match tokens.get(*i).map(String::as_str) {
            Some("{") => {
                *i += 1;
                while let Some(token) = tokens.get(*i) {
                    match token.as_str() {
                        "}" => break,
                        "," => *i += 1,
                        _ => {
                            let start = *i;
                            unfold(tokens, i, &path, paths);
                            *i = (*i).max(start + 1);
                        }
                    }
                }
                *i += 1;
                return;
            }
            Some(word) if is_word(word) || word == "*" => {
                if !path.is_empty() {
                    path.push_str("::");
                }
                path.push_str(word);
                *i += 1;
            }
            _ => {
                paths.insert(path);
                return;
            }
        }
        if tokens.get(*i).map(String::as_str) == Some("::") {
            *i += 1;
        } else {
            paths.insert(path);
            return;
        }
    }
}

fn absolute(path: &str, inside: &str) -> String {
    let mut module: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    if matches!(module.last(), Some(&"mod" | &"lib")) {
        module.pop();
    }
    let mut rest = path;
    if let Some(after) = rest.strip_prefix("self::") {
        rest = after;
    } else if rest.starts_with("super::") {
        while let Some(after) = rest.strip_prefix("super::") {
            module.pop();
            rest = after;
        }
    } else {
        return path.to_owned();
    }
    // `super::` of an inline module (tests) is the file itself: then the path is one level too high,
    // which names a room where there is one and nothing otherwise.
    let mut whole = vec!["crate"];
    whole.extend(module);
    format!("{}::{rest}", whole.join("::"))
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            let mut word = c.to_string();
            while let Some(next) = chars.next_if(|n| n.is_alphanumeric() || *n == '_') {
                word.push(next);
            }
            tokens.push(word);
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            tokens.push("::".into());
        } else if !c.is_whitespace() {
            tokens.push(c.to_string());
        }
    }
    tokens
}

/// The code with comments, strings and characters blanked out.
fn without_comments_and_strings(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    while i < chars.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => {
                let mut depth = 0;
                while i < chars.len() {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
                code.push(' ');
            }
            ('r', '"' | '#') if i == 0 || !(at(i - 1).is_alphanumeric() || at(i - 1) == '_') => {
                let hashes = (i + 1..).take_while(|n| at(*n) == '#').count();
                if at(i + 1 + hashes) != '"' {
                    code.push('r');
                    i += 1;
                    continue;
                }
                i += 2 + hashes;
                while i < chars.len() && !(at(i) == '"' && (i + 1..=i + hashes).all(|n| at(n) == '#')) {
                    i += 1;
                }
                i += 1 + hashes;
                code.push(' ');
            }
            ('"', _) => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
                code.push(' ');
            }
            // A character; a lifetime has no quote after its first letter.
            ('\'', '\\') => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (c, _) => {
                code.push(c);
                i += 1;
            }
        }
    }
    code
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
        ("wall.rs", "use vitrail_control::Grant;", "must not name vitrail_control"),
        ("scene/mod.rs", "fn f() { std::fs::read(\"x\"); }", "must not name std::fs"),
        ("evidence/mod.rs", "use crate::output::Partial;", "evidence must not name output"),
    ];
    for (inside, text, fault) in red {
        assert_eq!(faults(inside, text), [*fault], "{inside}: {text}");
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
        ("wall.rs", "use crate::{composite, encode, scene};"),
        ("composite/gpu/mod.rs", "use wgpu::Device; use super::plan::Draw;"),
        ("scene/tests.rs", "mod inner { use super::*; }"),
        ("scene/mod.rs", "mod inner { use super::*; }"),
    ];
    for (inside, text) in green {
        assert_eq!(faults(inside, text), [] as [&str; 0], "{inside}: {text}");
    }
}
