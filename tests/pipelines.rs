//! Every sample in `pipelines/` loads, and the reference page knows every key.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use vitrail_engine::config::{TABLES, WallSpec};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[test]
fn every_sample_loads() {
    let mut loaded = BTreeSet::new();
    for entry in fs::read_dir(root().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let spec = WallSpec::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
            assert!(!spec.cameras.is_empty() && !spec.scene.screens.is_empty());
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("# "), "{} does not say what it shows", path.display());
            loaded.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert!(loaded.len() >= 6, "{loaded:?}");
}

#[test]
fn the_smallest_wall_is_as_small_as_the_guide_says() {
    let text = fs::read_to_string(root().join("pipelines/first-wall.toml")).unwrap();
    let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).count();
    assert_eq!(lines, 5);
}

#[test]
fn sixteen_screens_are_what_their_sample_says() {
    let spec = WallSpec::load(root().join("pipelines/wall-16-screens.toml")).unwrap();
    assert_eq!(spec.scene.screens.len(), 16);
    let tiles: usize = spec.scene.regions.iter().map(|r| r.tiles.len()).sum();
    assert_eq!(tiles, 64 + 1);
    assert_eq!(spec.scene.screens[5].rect.x, 1960);
}

/// The rows of the reference page, as `docs/ref/wall.md` must have them.
fn reference() -> String {
    let mut text = String::new();
    for table in TABLES {
        text.push_str(&format!("\n## `{}`\n\n{}\n\n", table.heading, table.about.trim()));
        text.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in table.keys {
            let kind = (key.kind)().replace('|', "\\|");
            let about = key.about.trim();
            text.push_str(&format!("| `{}` | {kind} | {} | {about} |\n", key.name, key.default));
        }
    }
    text
}

#[test]
fn the_reference_page_has_every_key() {
    let path = root().join("docs/ref/wall.md");
    let page = fs::read_to_string(&path).unwrap_or_default();
    let (head, _) = page.split_once("\n## `[wall]`").unwrap_or((page.as_str(), ""));
    let expected = format!("{head}{}", reference());
    // `VITRAIL_WRITE_DOCS=1 cargo test --test pipelines` writes the page anew from the keys.
    if std::env::var_os("VITRAIL_WRITE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    for (line, (is, should)) in page.lines().zip(expected.lines()).enumerate() {
        assert_eq!(
            is,
            should,
            "docs/ref/wall.md:{}: run VITRAIL_WRITE_DOCS=1 cargo test --test pipelines",
            line + 1
        );
    }
    assert_eq!(
        page.lines().count(),
        expected.lines().count(),
        "docs/ref/wall.md has lines too many or too few"
    );
}
