//! Everything that lies in the folders of real material through files, mosaics and walls, beside what FFmpeg counts.
//! Minutes long, so asked for by name: `cargo test --test corpus -- --ignored --nocapture`.
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

/// All files of the material; `None`, said aloud, where it is not here.
fn material() -> Option<(PathBuf, Vec<PathBuf>)> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if !shared.join("data").exists() {
        eprintln!("skipped: {} is not here", shared.display());
        return None;
    }
    let mut found = Vec::new();
    FOLDERS.iter().for_each(|folder| files(&shared.join(folder), &mut found));
    found.sort();
    Some((shared, found))
}

#[test]
#[ignore = "minutes long, with all of the material"]
fn all_that_is_there_has_the_pictures_that_ffmpeg_counts() {
    let Some((shared, found)) = material() else { return };
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

/// The pictures that a mosaic decodes of a file, or why it refuses it.
fn composed(source: &Path) -> Result<u64, String> {
    let dir = tempfile::tempdir().unwrap();
    let mut input = std::ffi::OsString::from("--input=");
    input.push(source);
    let out = common::vitrail(dir.path())
        .args(["mosaic", "--json", "--log", "error", "--grid", "1x1", "--size", "128x96"])
        .args(["--preset", "ultrafast", "-o", "out.mkv"])
        .arg(input)
        .current_dir(dir.path())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(!stderr.contains("panicked") && !stderr.contains("report it"), "{}: {stderr}", source.display());
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    let kept = left.iter().filter(|name| !name.to_string_lossy().starts_with('.')).count();
    if out.status.success() {
        assert_eq!(kept, 1, "{}: {left:?}", source.display());
        let report: Value = serde_json::from_str(&stdout).unwrap();
        return Ok(report["inputs"][0]["decoded"].as_u64().unwrap());
    }
    assert_eq!(kept, 0, "{}: {left:?}", source.display());
    Err(stderr.lines().last().unwrap_or_default().to_owned())
}

#[test]
#[ignore = "minutes long, with all of the material"]
fn a_mosaic_decodes_the_pictures_that_ffmpeg_counts() {
    let Some((shared, found)) = material() else { return };
    let mut alike = 0;
    for path in &found {
        let wanted = counted(path).unwrap_or_default();
        match composed(path) {
            Ok(decoded) if decoded == wanted => alike += 1,
            Err(_) if wanted == 0 => alike += 1,
            other => {
                println!("{}: ffprobe {wanted}; {other:?}", path.strip_prefix(&shared).unwrap().display());
            }
        }
    }
    println!("{} files: {alike} alike", found.len());
}

/// Files at once on a wall: what a small machine decodes at its pace.
const AT_ONCE: usize = 4;
/// Long enough for the slowest of the material to show that it goes on.
const SPAN: &str = "15s";
/// Pictures that a decoder may hold back at the end, to put them in order.
const HELD: u64 = 4;

/// A wall plays a file again from its beginning when it ends, so what is compared is what was read with what was
/// decoded of it.
#[test]
#[ignore = "minutes long, with all of the material"]
fn a_wall_decodes_every_picture_that_it_reads() {
    let Some((shared, found)) = material() else { return };
    let mut alike = 0;
    for group in found.chunks(AT_ONCE) {
        let dir = tempfile::tempdir().unwrap();
        let mut file = String::from("[wall]\nframe_rate = 10\n");
        for (n, path) in group.iter().enumerate() {
            file += &format!("[[camera]]\nid = \"n{n}\"\nuri = \"{}\"\npinned = true\n", url(path));
        }
        file += "[[screen]]\nsize = \"640x360\"\ngrid = \"2x2\"\n";
        std::fs::write(dir.path().join("wall.toml"), file).unwrap();
        let out = common::vitrail(dir.path())
            .args(["wall", "wall.toml", "--for", SPAN, "--out", "out.mkv", "--report", "report.json"])
            .args(["--log", "warn"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success() && !stderr.contains("panicked"), "{group:?}: {stderr}");
        let report = std::fs::read(dir.path().join("report.json")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        for (path, camera) in group.iter().zip(report["cameras"].as_array().unwrap()) {
            let count = |key: &str| camera[key].as_u64().unwrap();
            let (read, decoded) = (count("received"), count("decoded"));
            let wanted = counted(path).unwrap_or_default();
            let shown = matches!(camera["state"].as_str(), Some("live" | "frozen"));
            let is_whole =
                shown && read > 0 && decoded + HELD >= read && camera["placards"]["offline"].is_null();
            if (wanted > 0 && is_whole) || (wanted == 0 && !shown) {
                alike += 1;
            } else {
                let why = [&camera["state"], &camera["reason"], &camera["dropped"], &camera["placards"]];
                let name = path.strip_prefix(&shared).unwrap().display();
                println!("{name}: ffprobe {wanted}; {decoded} of {read}, {why:?}");
            }
        }
    }
    println!("{} files: {alike} whole", found.len());
}

/// The address of a file, whatever its name is.
fn url(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let path = path.canonicalize().unwrap();
    let spelt = path.as_os_str().as_bytes().iter().map(|&byte| match byte {
        b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    format!("file://{}", spelt.collect::<String>())
}
