//! Pictures that were coded as two fields: each is one picture of a job, and a mosaic, at the rate that the stream
//! tells.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn ffmpeg(args: &[&str]) {
    let out = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(args).output().unwrap();
    assert!(out.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Published streams of H.264, those of the cases among them; none, said aloud, where they are missing.
fn published() -> Vec<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let mut found = Vec::new();
    for folder in ["data/conformance/h264", "cases/field-pictures"] {
        let Ok(files) = std::fs::read_dir(shared.join(folder)) else {
            eprintln!("skipped: {folder} is not here");
            continue;
        };
        let raw = |path: &PathBuf| {
            path.extension().is_some_and(|e| ["264", "h264", "avc", "jsv"].iter().any(|raw| e == *raw))
        };
        found.extend(files.map(|file| file.unwrap().path()).filter(raw));
    }
    found.sort();
    found
}

/// Pictures and packets of a file, as FFmpeg decodes and reads it, and its rate.
fn counted(path: &Path) -> (u64, u64, String) {
    let entries = "stream=nb_read_frames,nb_read_packets,r_frame_rate";
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-count_packets", "-select_streams", "v:0"])
        .args(["-show_entries", entries, "-of", "json"])
        .arg(path)
        .output()
        .unwrap();
    let probed: Value = serde_json::from_slice(&out.stdout).unwrap();
    let field = |name: &str| probed["streams"][0][name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| field(name).parse().unwrap_or(0);
    (number("nb_read_frames"), number("nb_read_packets"), field("r_frame_rate"))
}

/// How long a file's pictures last, in seconds.
fn seconds(path: &Path) -> f64 {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", "stream=duration", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap().trim().trim_end_matches(',').parse().unwrap()
}

fn transcode(args: &[&str]) -> Value {
    let (code, stdout, stderr) = common::run(&[&["transcode", "--json", "--log", "warn"], args].concat());
    let mut lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let outcome = lines.rfind(|line| line["event"] == "outcome").unwrap_or_default();
    assert_eq!(code, 0, "{args:?}: {outcome} {stderr}");
    outcome
}

fn mosaic(input: &Path, output: &Path) -> Value {
    let args = ["mosaic", "--json", "--log", "warn", "--overwrite", "-i", text(input), "-o", text(output)];
    let (code, stdout, stderr) = common::run(&[&args[..], &["--size", "320x240", "--fps", "25"]].concat());
    assert_eq!(code, 0, "{}: {stderr}", input.display());
    serde_json::from_str(&stdout).unwrap()
}

/// All published streams of fields, copied and encoded; of the others a third, copied.
#[test]
fn every_picture_of_published_streams_comes_out() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.mp4");
    let (mut fields, mut wrong) = (0, Vec::new());
    for (place, path) in published().into_iter().enumerate() {
        let (pictures, packets, rate) = counted(&path);
        if packets == pictures && !common::is_tried(place, 3) {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        fields += usize::from(packets > pictures);
        let ways: &[&[&str]] = match packets > pictures {
            true => &[&[], &["--codec", "h264", "--preset", "ultrafast"]],
            false => &[&[]],
        };
        for options in ways {
            let outcome = transcode(&[&[text(&path), "-o", text(&out), "--overwrite"], *options].concat());
            let (found, samples, _) = counted(&out);
            let (num, den) = rate.split_once('/').unwrap();
            let lasts = pictures as f64 * den.parse::<f64>().unwrap() / num.parse::<f64>().unwrap();
            let off = (seconds(&out) - lasts).abs();
            let missing = &outcome["report"]["missing_pictures"];
            if (found, samples) != (pictures, pictures) || off > 0.002 || *missing != 0 {
                wrong.push(format!(
                    "{name} {options:?}: {found} pictures in {samples} packets of {pictures}, {off:.3} s off, \
                     {missing} missing: {outcome}"
                ));
            }
        }
        if packets > pictures {
            let report = mosaic(&path, &out);
            let shown = (report["inputs"][0]["decoded"].as_u64(), report["pictures"].as_u64());
            if shown.0 != Some(pictures) {
                wrong.push(format!("{name} in a mosaic: {shown:?} of {pictures}: {report}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{fields} of fields");
}

/// Fields in containers with times, as samples of their own, as many muxers write them.
#[test]
fn fields_in_containers_are_one_picture() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.mp4");
    for path in published() {
        // Of a hundred pictures: I, and then P B B, each of two fields.
        if !["Freh7_B", "freh11", "freh4", "freh6"].iter().any(|name| text(&path).contains(name)) {
            continue;
        }
        // libavformat reckons in the container's ticks here.
        for (ending, field) in [("ts", 1800), ("mkv", 20), ("mp4", 24000)] {
            let source = dir.path().join(format!("fields.{ending}"));
            let picture = "floor(N/2)";
            let place = format!("if(eq(mod({picture},3),1),{picture}+2,max({picture}-1,0))");
            let times =
                format!("setts=pts=(2*({place})+mod(N,2))*{field}:dts=(N-2)*{field}:duration={field}");
            let times = times.replace(',', "\\,");
            ffmpeg(&["-i", text(&path), "-c", "copy", "-bsf:v", &times, text(&source)]);
            assert_eq!(counted(&source).1, 200, "{}: the source itself", source.display());
            for options in [&[][..], &["--codec", "h264", "--preset", "ultrafast"]] {
                let outcome =
                    transcode(&[&[text(&source), "-o", text(&out), "--overwrite"], options].concat());
                let (found, samples, _) = counted(&out);
                let what = format!("{} {} {options:?}: {outcome}", path.display(), source.display());
                assert_eq!((found, samples), (100, 100), "{what}");
                assert!((seconds(&out) - 4.0).abs() < 0.045, "{what}: {}", seconds(&out));
            }
            let report = mosaic(&source, &out);
            assert_eq!(report["inputs"][0]["decoded"], 100, "{}: {report}", source.display());
        }
    }
}

/// What encoders write of interlaced footage: frames of two fields in H.264, fields as pictures of their own in
/// H.265, with their rate.
#[test]
fn rates_are_those_that_streams_tell() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.mp4");
    for (name, rate, codec, pictures, per_second) in [
        ("mbaff.h264", "25", "-c:v libx264 -flags +ildct+ilme -x264-params tff=1", 50, 25.0),
        ("mbaff30.h264", "30000/1001", "-c:v libx264 -x264-params tff=1", 60, 30000.0 / 1001.0),
        ("slow.h264", "12.5", "-c:v libx264", 25, 12.5),
        ("plain.h265", "50", "-c:v libx265 -x265-params log-level=none", 100, 50.0),
    ] {
        let path = dir.path().join(name);
        let source = format!("testsrc2=s=320x240:r={rate}:d=2");
        let codec: Vec<&str> = codec.split(' ').collect();
        ffmpeg(
            &[
                &["-f", "lavfi", "-i", &source],
                &codec[..],
                &["-preset", "ultrafast", "-pix_fmt", "yuv420p"],
                &[text(&path)],
            ]
            .concat(),
        );
        for options in [&[][..], &["--codec", "h264", "--preset", "ultrafast"]] {
            let outcome = transcode(&[&[text(&path), "-o", text(&out), "--overwrite"], options].concat());
            assert_eq!(counted(&out).0, pictures, "{name} {options:?}: {outcome}");
            let lasts = f64::from(pictures as u32) / per_second;
            assert!((seconds(&out) - lasts).abs() < 0.002, "{name} {options:?}: {}", seconds(&out));
        }
    }
}
