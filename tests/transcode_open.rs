//! Streams that begin with no picture that clears all others: cut from open groups, refreshed line by line, or of
//! clean random access alone. What cannot be decoded of them is the source's, in copies and encodings alike.
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

/// Five seconds of a moving picture at 25 a second.
fn made(path: PathBuf, codec: &str) -> PathBuf {
    let source = "testsrc2=size=320x240:rate=25:duration=5";
    let codec: Vec<&str> = codec.split(' ').collect();
    ffmpeg(&[&["-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p"], &codec[..], &[text(&path)]].concat());
    path
}

/// Pictures of a file, as FFmpeg decodes it.
fn decoded(path: &Path) -> usize {
    let out = Command::new("ffprobe")
        // What is refreshed piece by piece is shown from the first refresh on, as it comes.
        .args(["-v", "quiet", "-flags", "+output_corrupt", "-select_streams", "v:0"])
        .args(["-show_entries", "frame=pict_type", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap().lines().filter(|line| !line.is_empty()).count()
}

/// Copied into every container and encoded: about so many pictures, and no more come of an encoding than of a
/// copy.
fn comes_out(source: &Path, least: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut counts = Vec::new();
    for ending in ["mp4", "mkv", "ts", "mov"] {
        for options in [&[][..], &["--salvage"], &["--codec", "h264", "--preset", "ultrafast"]] {
            let target = folder.path().join(format!("out.{ending}"));
            let (code, stdout, stderr) = common::run(
                &[
                    &[
                        "transcode",
                        "--json",
                        "--log",
                        "warn",
                        text(source),
                        "-o",
                        text(&target),
                        "--overwrite",
                    ],
                    options,
                ]
                .concat(),
            );
            let mut lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let outcome = lines.rfind(|line| line["event"] == "outcome").unwrap_or_default();
            let what = format!("{} {ending} {options:?}: {outcome} {stderr}", source.display());
            assert_eq!(code, 0, "{what}");
            let pictures = outcome["report"]["pictures"].as_u64().unwrap() as usize;
            assert!(pictures >= least, "{what}");
            counts.push((pictures, decoded(&target), what));
        }
    }
    for (pictures, decoded, what) in &counts {
        assert!(
            pictures.abs_diff(counts[0].0) <= 2 && decoded + 2 >= *pictures,
            "{decoded} of {pictures}: {what}"
        );
    }
}

/// Bytes of a transport stream from a part of it on.
fn cut(path: &Path, from: f64) -> PathBuf {
    let bytes = std::fs::read(path).unwrap();
    let at = (bytes.len() as f64 * from) as usize;
    let cut = path.with_extension("cut.ts");
    std::fs::write(&cut, &bytes[at..]).unwrap();
    cut
}

#[test]
fn open_groups_may_be_cut_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    for (name, codec) in [
        ("open", "-c:v libx264 -preset fast -g 25 -bf 3 -x264-params open-gop=1"),
        ("cra", "-c:v libx265 -preset fast -x265-params keyint=25:open-gop=1:bframes=4:log-level=none"),
    ] {
        let whole = made(dir.path().join(format!("{name}.ts")), codec);
        comes_out(&whole, 125);
        for from in [0.27, 0.45] {
            comes_out(&cut(&whole, from), 45);
        }
        // A container that begins with the key frame and what is shown before it.
        for ending in ["mp4", "mkv"] {
            let inside = dir.path().join(format!("{name}-inside.{ending}"));
            ffmpeg(&["-ss", "2.2", "-i", text(&whole), "-c", "copy", text(&inside)]);
            comes_out(&inside, 45);
        }
    }
}

#[test]
fn streams_that_refresh_line_by_line_may_be_cut_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let refresh = "-c:v libx264 -preset fast -bf 0 -x264-params intra-refresh=1:keyint=25";
    let whole = made(dir.path().join("refresh.ts"), refresh);
    comes_out(&whole, 125);
    for from in [0.3, 0.5] {
        comes_out(&cut(&whole, from), 30);
    }
}

/// A recording as it came in.
#[test]
fn a_recording_without_idr_is_copied() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases/intra-copy/intra.ts");
    if !path.exists() {
        eprintln!("skipped: {} is not here", path.display());
        return;
    }
    comes_out(&path, 100);
}
