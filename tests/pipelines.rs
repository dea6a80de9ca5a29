//! Every sample in `pipelines/` loads, and the reference page knows every key.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use vitrail_engine::config::{
    Inventory, JOB_TABLES, JobSpec, Key, PROFILE_TABLES, TABLES, WallSpec, csv_columns,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The samples that are job files of `vitrail transcode`; all other tables are walls.
const JOBS: [&str; 4] =
    ["transcode-folder.toml", "ladder.toml", "evidence-export.toml", "camera-archive.toml"];

#[test]
fn every_sample_loads() {
    let mut loaded = BTreeSet::new();
    for entry in fs::read_dir(root().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("inventory.") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("# "), "{name} does not say what it shows");
            let inventory = Inventory::load(&[&path]).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(inventory.problems(), [], "{name}");
            assert!(!inventory.is_empty());
            loaded.insert(name);
        } else if JOBS.contains(&name.as_str()) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("# "), "{name} does not say what it shows");
            assert!(text.contains(&format!("--job pipelines/{name}")), "{name} does not say how to run it");
            JobSpec::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
            loaded.insert(name);
        } else if path.extension().is_some_and(|e| e == "toml") {
            let spec = WallSpec::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
            assert!(!spec.cameras.is_empty() && !spec.scene.screens.is_empty());
            assert_eq!(spec.warnings, [], "{name}");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("# "), "{} does not say what it shows", path.display());
            loaded.insert(name);
        }
    }
    assert!(loaded.len() >= 9 + JOBS.len(), "{loaded:?}");
}

#[test]
fn the_samples_of_jobs_are_what_they_say() {
    let load = |name: &str| JobSpec::load(root().join("pipelines").join(name)).unwrap();
    let archive = load("camera-archive.toml");
    assert_eq!((archive.workers, archive.tasks.len()), (Some(4), 3));
    let job = archive.tasks[2].job("a.ts".into(), "b.mkv".into());
    assert!(job.salvage && job.frame_rate.is_some() && job.edit.crop.is_some());
    assert_eq!(archive.tasks[1].inputs[0].path(), root().join("pipelines/south/**/*.ts"));
    let evidence = load("evidence-export.toml");
    assert!(evidence.evidence.is_some());
    assert_eq!(evidence.tasks[0].job("a".into(), "b".into()).edit.masks.len(), 2);
    assert_eq!(load("ladder.toml").tasks[0].job("a".into(), "b".into()).renditions.len(), 3);
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

#[test]
fn the_sample_of_an_inventory_shows_what_it_says() {
    let spec = WallSpec::load(root().join("pipelines/wall-inventory.toml")).unwrap();
    let shown: Vec<Vec<&str>> = spec
        .scene
        .regions
        .iter()
        .map(|r| r.tiles.iter().map(|t| t.camera.as_ref().map_or("-", |c| c.as_str())).collect())
        .collect();
    assert_eq!(shown[0], ["north-01", "north-02", "north-03", "north-04"]);
    // Three stand within 2 km of the place, the nearest first.
    assert_eq!(shown[1], ["south-02", "south-01", "south-03"]);
    assert_eq!(shown[2], ["north-01", "east-01", "east-02", "south-01"]);
    // Neither a tile nor the standby query names the depot.
    assert_eq!((spec.inventory.len(), spec.cameras.len()), (10, 9));
    assert!(!spec.cameras.iter().any(|c| c.id.as_str() == "south-04"));
    assert_eq!(spec.sources().len(), 3);
}

/// A table of keys, as the reference pages must have them.
fn rows(first: &str, keys: &[Key]) -> String {
    let mut text = format!("| {first} | value | default | meaning |\n|---|---|---|---|\n");
    for key in keys {
        let kind = (key.kind)().replace('|', "\\|");
        let about = key.about.trim();
        text.push_str(&format!("| `{}` | {kind} | {} | {about} |\n", key.name, key.default));
    }
    text
}

fn job_reference() -> String {
    let table = |table: &vitrail_engine::config::Table| {
        format!("\n## `{}`\n\n{}\n\n{}", table.heading, table.about.trim(), rows("key", table.keys))
    };
    JOB_TABLES.iter().map(table).collect()
}

fn reference() -> String {
    let mut text = String::new();
    for table in TABLES {
        text.push_str(&format!("\n## `{}`\n\n{}\n\n", table.heading, table.about.trim()));
        text.push_str(&rows("key", table.keys));
        if table.heading == "[[camera]]" {
            for profile in PROFILE_TABLES {
                text.push_str(&format!("\n{}\n\n", profile.about.trim()));
                text.push_str(&rows("key of a profile", profile.keys));
            }
        }
    }
    text
}

/// The columns of CSV inventories: those of a camera, and `NAME.KEY` for those of its profiles.
fn columns() -> String {
    let mut keys = csv_columns();
    let of_profiles = keys.len() - PROFILE_TABLES.iter().map(|t| t.keys.len()).sum::<usize>();
    let profile = keys.split_off(of_profiles);
    let named = rows("column", &profile).replace("| `", "| `NAME.");
    let (_, named) = named.split_once("|---|---|---|---|\n").unwrap();
    // Needed here, while a wall file counts cameras that have none.
    let id = "| `id` | text | needed |";
    let camera = rows("column", &keys);
    let start = camera.find("| `id` |").unwrap();
    let end = start + camera[start..].find(" | Its id").unwrap();
    let camera = format!("{}{}{}", &camera[..start], id.trim_end_matches(" |"), &camera[end..]);
    let camera = camera.replace("unless `profiles` has `main`", "unless there is `main.uri`");
    format!("\n## Columns\n\n{camera}{named}")
}

/// A page ends in its tables; `VITRAIL_WRITE_DOCS=1 cargo test --test pipelines` writes them anew.
fn check_page(page: &str, first_heading: &str, tables: &str) {
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let (head, _) = text.split_once(&format!("\n{first_heading}\n")).unwrap_or((text.as_str(), ""));
    let expected = format!("{head}{tables}");
    if std::env::var_os("VITRAIL_WRITE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    for (line, (is, should)) in text.lines().zip(expected.lines()).enumerate() {
        let remedy = "run VITRAIL_WRITE_DOCS=1 cargo test --test pipelines";
        assert_eq!(is, should, "{page}:{}: {remedy}", line + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "{page} has lines too many or too few");
}

#[test]
fn the_reference_pages_have_every_key() {
    check_page("docs/ref/wall.md", "## `[wall]`", &reference());
    check_page("docs/ref/inventory.md", "## Columns", &columns());
    check_page("docs/ref/job.md", "## `[job]`", &job_reference());
}
