//! Everything that lies in the folders of real material, taken as it is and encoded small, beside what FFmpeg counts.
//! Minutes long, so asked for by name: `cargo test --test transcode_corpus -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Folders below `../shared`.
const FOLDERS: [&str; 6] = [
    "data/footage",
    "data/camera-streams",
    "data/robustness",
    "data/conformance/h264",
    "data/conformance/h265",
    "cases",
];
/// Files that are no video and do not pretend to be.
const OTHERS: [&str; 9] = ["md5", "txt", "json", "gz", "pcap", "py", "toml", "sdp", "md"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            files(&path, found);
        } else if !OTHERS.contains(&ending.as_str()) && path.is_file() {
            found.push(path);
        }
    }
}

/// The pictures that FFmpeg decodes of the first stream of pictures.
fn counted(path: &Path) -> Option<u64> {
    let out = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-count_frames",
            "-select_streams",
            "v:0",
            "-show_entries",
            "stream=nb_read_frames",
        ])
        .args(["-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).lines().next()?.trim().trim_end_matches(',').parse().ok()
}

/// What one way made of a file: its pictures and notes, or why it was refused.
fn take(source: &Path, more: &[&str]) -> Result<(u64, String), String> {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.mkv");
    let args =
        [&["transcode", "--json", "--log", "warn"], more, &["-o", target.to_str().unwrap(), "--"]].concat();
    let out = common::vitrail(dir.path()).args(args).arg(source).output().unwrap();
    let stdout = String::from_utf8_lossy(&out.stdout).into_owned();
    let outcome = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let outcome = outcome.into_iter().find(|line| line["event"] == "outcome").unwrap_or_default();
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{}: {stderr}", source.display());
    match outcome["result"].as_str() {
        Some("done") => {
            assert_eq!(left, 1, "{}", source.display());
            let report = &outcome["report"];
            let written = counted(&target);
            assert!(written.is_some(), "{}: {outcome}", source.display());
            Ok((written.unwrap(), report["notes"].to_string()))
        }
        Some("failed") => {
            assert_eq!(left, 0, "{}: {outcome}", source.display());
            assert_ne!(outcome["error"]["kind"], "internal", "{}: {outcome}", source.display());
            Err(outcome["error"]["message"].as_str().unwrap_or_default().to_owned())
        }
        _ => panic!("{}: {stdout} {stderr}", source.display()),
    }
}

#[test]
#[ignore = "minutes long, with all of the material"]
fn all_that_is_there_has_the_pictures_that_ffmpeg_counts() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if !shared.join("data").exists() {
        eprintln!("skipped: {} is not here", shared.display());
        return;
    }
    let mut found = Vec::new();
    FOLDERS.iter().for_each(|folder| files(&shared.join(folder), &mut found));
    found.sort();
    let (mut alike, mut told) = (0, 0);
    for path in &found {
        let name = path.strip_prefix(&shared).unwrap().display();
        let wanted = counted(path).unwrap_or_default();
        let encoded = take(path, &["--codec", "h264", "--preset", "ultrafast", "--within", "128x128"]);
        let copied = take(path, &[]);
        let pictures = |way: &Result<(u64, String), String>| way.as_ref().map_or(0, |way| way.0);
        if pictures(&encoded) == wanted && pictures(&copied) == wanted && (wanted > 0) == encoded.is_ok() {
            alike += 1;
            continue;
        }
        told += 1;
        println!("{name}: ffprobe {wanted}; encoded {encoded:?}; copied or encoded {copied:?}");
        assert_eq!(encoded.is_ok(), copied.is_ok(), "{name} has two answers");
    }
    println!("{} files: {alike} alike, {told} not", found.len());
}
