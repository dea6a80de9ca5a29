//! Files of every name that the system allows, through every part of the program that takes one.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// Not UTF-8; a line break and quotes; what would move a cursor; a dash in front; as long as may be (cases non-utf8-name and
/// long-name).
fn names(ending: &str) -> Vec<OsString> {
    let named = |bytes: &[u8]| OsString::from_vec([bytes, b".", ending.as_bytes()].concat());
    let long = "l".repeat(254 - ending.len());
    [&b"caf\xe9"[..], b"two\nlines \"quoted\"", b"a\x1b[2Jb", b"-dash", long.as_bytes()].map(named).into()
}

/// A small film under each name, in a folder whose own name is not UTF-8.
fn films() -> Option<(tempfile::TempDir, PathBuf)> {
    let film = Path::new("../shared/cases/non-utf8-name/cafe.mp4");
    if !film.exists() {
        println!("skipped: {} is not there", film.display());
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(OsStr::from_bytes(b"r\xe9c"));
    std::fs::create_dir(&folder).unwrap();
    for name in names("mp4") {
        std::fs::copy(film, folder.join(name)).unwrap();
    }
    Some((dir, folder))
}

fn vitrail(folder: &Path, args: &[&OsStr], input: &[u8]) -> Output {
    let home = folder.join(".home");
    let mut child = common::vitrail(&home)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(!said.contains(&0x1b), "{}", String::from_utf8_lossy(&said));
    output
}

fn done(output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{:?}\n{out}\n{err}", output.status);
}

fn os(text: &str) -> &OsStr {
    OsStr::new(text)
}

#[test]
fn a_folder_a_list_and_arguments_are_transcoded() {
    let Some((_dir, folder)) = films() else { return };
    let all = names("mp4");
    let there = |out: &str| all.iter().all(|name| folder.join(out).join(name).is_file());
    done(&vitrail(&folder, &[os("transcode"), os("."), os("-o"), os("out/")], b""));
    assert!(there("out"));
    let list = all.iter().map(|name| name.as_bytes()).collect::<Vec<_>>().join(&0);
    let line = [os("transcode"), os("-"), os("-o"), os("listed"), os("--json"), os("--report"), os("r.json")];
    let output = vitrail(&folder, &line, &list);
    done(&output);
    assert!(there("listed"));
    // Programs get every name whole.
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("r.json")).unwrap()).unwrap();
    let inputs: Vec<&str> =
        report["jobs"].as_array().unwrap().iter().map(|job| job["input"].as_str().unwrap()).collect();
    assert!(inputs[0].starts_with("file:///") && inputs[0].ends_with("/r%E9c/caf%E9.mp4"), "{inputs:?}");
    assert_eq!(inputs[1..3], ["two\nlines \"quoted\".mp4", "a\u{1b}[2Jb.mp4"]);
    let mut line =
        vec![os("transcode"), os("-o"), os("named/"), os("--codec"), os("h265"), os("--crf"), os("40")];
    line.extend([os("--preset"), os("ultrafast"), os("--")]);
    line.extend(all.iter().map(|name| name.as_os_str()));
    done(&vitrail(&folder, &line, b""));
    assert!(there("named"));
    let left = std::fs::read_dir(folder.join("named")).unwrap().count();
    assert_eq!(left, all.len(), "nothing but the results");
}

#[test]
fn a_job_file_names_what_is_not_utf8_by_its_address() {
    let Some((dir, folder)) = films() else { return };
    let address = format!("file://{}/r%E9c/caf%E9.mp4", dir.path().display());
    let text = format!("[[task]]\ninput = \"{address}\"\noutput = \"out/\"\n");
    std::fs::write(folder.join(OsStr::from_bytes(b"j\xe9.toml")), text).unwrap();
    done(&vitrail(&folder, &[os("transcode"), os("--job"), OsStr::from_bytes(b"j\xe9.toml")], b""));
    assert!(folder.join("out").join(OsStr::from_bytes(b"caf\xe9.mp4")).is_file());
}

#[test]
fn a_mosaic_and_a_probe_take_any_name() {
    let Some((_dir, folder)) = films() else { return };
    let all = names("mp4");
    for target in names("mkv") {
        let mut line =
            vec![os("mosaic"), os("--size"), os("320x240"), os("--duration"), os("1s"), os("--json")];
        line.extend([os("--preset"), os("ultrafast")]);
        let inputs: Vec<OsString> =
            all.iter().map(|name| [os("--input="), name.as_os_str()].into_iter().collect()).collect();
        line.extend(inputs.iter().map(OsString::as_os_str));
        let output: OsString = [os("--output="), target.as_os_str()].into_iter().collect();
        line.push(&output);
        done(&vitrail(&folder, &line, b""));
        assert!(folder.join(&target).is_file(), "{}", target.display());
    }
    let mut line = vec![os("probe"), os("--seconds"), os("0.3"), os("--")];
    line.extend(all.iter().map(|name| name.as_os_str()));
    done(&vitrail(&folder, &line, b""));
}

#[test]
fn a_wall_reads_and_writes_any_name() {
    let Some((_dir, folder)) = films() else { return };
    let mut line = vec![os("wall"), os("--for"), os("4s"), os("--size"), os("320x240"), os("--fps"), os("5")];
    line.extend([
        os("--report"),
        OsStr::from_bytes(b"r\xe9.json"),
        os("--snapshot"),
        OsStr::from_bytes(b"s\xe9.png"),
    ]);
    let targets = names("mkv");
    let outs: Vec<OsString> =
        targets.iter().map(|name| [os("--out="), name.as_os_str()].into_iter().collect()).collect();
    line.extend(outs.iter().map(OsString::as_os_str));
    let playlist = OsStr::from_bytes(b"h\xe9/live.m3u8");
    line.extend([os("--out"), playlist, os("--")]);
    let inputs = names("mp4");
    line.extend(inputs.iter().map(OsString::as_os_str));
    done(&vitrail(&folder, &line, b""));
    let has_bytes = |name: &OsStr| folder.join(name).metadata().is_ok_and(|found| found.len() > 500);
    assert!(targets.iter().all(|name| has_bytes(name.as_os_str())), "{targets:?}");
    assert!(has_bytes(OsStr::from_bytes(b"s\xe9.png")));
    assert!(has_bytes(OsStr::from_bytes(b"h\xe9/live-00000.ts")));
    let report = std::fs::read(folder.join(OsStr::from_bytes(b"r\xe9.json"))).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    for camera in report["cameras"].as_array().unwrap() {
        assert_eq!(camera["state"], "live", "{camera}");
    }
}

#[test]
fn evidence_of_any_name_is_verified() {
    let Some((_dir, folder)) = films() else { return };
    done(&vitrail(&folder, &[os("key"), os("new"), os("unit.key")], b""));
    let signed = |input: &OsStr, output: &OsStr| {
        let line = [os("transcode"), os("--key"), os("unit.key"), os("--reason"), os("r"), os("--reference")];
        vitrail(&folder, &[&line[..], &[os("c"), os("-o"), output, os("--"), input]].concat(), b"")
    };
    let (latin1, out) = (OsStr::from_bytes(b"caf\xe9.mp4"), OsStr::from_bytes(b"o\xe9.mp4"));
    done(&signed(latin1, out));
    let manifest = OsStr::from_bytes(b"o\xe9.mp4.evidence.json");
    let verify =
        || vitrail(&folder, &[os("verify"), os("--json"), os("--key"), os("unit.key.pub"), manifest], b"");
    let output = verify();
    done(&output);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> =
        found["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["caf%E9.mp4", "o%E9.mp4"]);
    assert_eq!(found["facts"]["format"], "vitrail-evidence/2");
    std::fs::write(folder.join(out), "another").unwrap();
    assert_eq!(verify().status.code(), Some(1));
    // A name that leaves no room for its manifest's is refused before anything is done.
    let long = OsString::from("l".repeat(251) + ".mp4");
    let refused = signed(latin1, &OsString::from("k".repeat(251) + ".mp4"));
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(!refused.status.success() && said.contains("choose a shorter one"), "{said}");
    done(&signed(&long, os("short.mp4")));
}
