//! What a container says beside holding pictures, in process: hidden pictures stay hidden, and empty chunks are time.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use super::helpers::jobs::ffmpeg;
use crate::base::{Shutdown, SystemClock};
use crate::transcode::job::{JobOutcome, QueueOptions, run_all};
use crate::transcode::spec::*;

const CLIP: &str = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=4 -pix_fmt yuv420p -an";

/// The sums of the decoded pictures, in the order in which ffmpeg shows them.
fn sums(path: &Path) -> Vec<String> {
    let args = ["-map", "0:v:0", "-vsync", "passthrough", "-pix_fmt", "yuv420p", "-f", "framemd5", "-"];
    let out = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-i"]).arg(path).args(args).output();
    let text = String::from_utf8(out.unwrap().stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next().map(|sum| sum.trim().to_owned())).collect()
}

/// When ffmpeg shows pictures, in milliseconds from the first.
fn shown(path: &Path) -> Vec<i64> {
    let args =
        ["-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time", "-of", "csv=p=0"];
    let out = Command::new("ffprobe").args(["-v", "error"]).args(args).arg(path).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let times: Vec<f64> = text.lines().filter_map(|l| l.trim_end_matches(',').parse().ok()).collect();
    times.iter().map(|time| ((time - times[0]) * 1000.0).round() as i64).collect()
}

fn take(source: &Path, target: &Path, video: VideoSpec, salvage: bool) -> JobOutcome {
    let spec = TranscodeSpec {
        input: source.to_owned(),
        video_stream: 0,
        range: TimeRange::default(),
        edit: EditSpec::default(),
        frame_rate: None,
        renditions: vec![RenditionSpec { name: "main".into(), size: SizeSpec::Keep, video }],
        audio: AudioSpec::Drop,
        target: Target::File(target.to_owned()),
        overwrite: true,
        salvage,
        verify: Verify::Full,
    };
    let clock = SystemClock::shared();
    run_all(&[spec], &QueueOptions::default(), &clock, &Shutdown::new(), &|_| {}).pop().unwrap()
}

/// Encoded without loss, with a salvage or not, it shows what ffmpeg shows, when ffmpeg shows it.
fn shows_what_ffmpeg_shows(source: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out.mkv");
    let lossless = EncodeSpec { rate: RateSpec::Crf(0.0), preset: "ultrafast".into(), ..EncodeSpec::usual() };
    for salvage in [false, true] {
        match take(source, &target, VideoSpec::Encode(lossless.clone()), salvage) {
            JobOutcome::Done(report) => assert_eq!(report.missing_pictures, 0, "{report:?}"),
            other => panic!("{}, salvage {salvage}: {other:?}", source.display()),
        }
        assert_eq!(shown(&target), shown(source), "{}, salvage {salvage}", source.display());
        assert!(sums(&target) == sums(source), "{}, salvage {salvage}: other pictures", source.display());
    }
}

fn refuses_a_copy(source: &Path) {
    let dir = tempfile::tempdir().unwrap();
    match take(source, &dir.path().join("out.mp4"), VideoSpec::Copy, false) {
        JobOutcome::Failed(error) => {
            assert!(error.to_string().contains("its edit list leaves out"), "{error}")
        }
        other => panic!("{}: {other:?}", source.display()),
    }
}

/// A file among the cases that were found broken; `None`, and said, where they are not here.
fn case(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not here", path.display());
    }
    path.exists().then_some(path)
}

#[test]
fn pictures_that_an_edit_list_hides_stay_hidden() {
    if let Some(source) = case("edit-list/edit.mp4") {
        assert_eq!(shown(&source).len(), 42);
        shows_what_ffmpeg_shows(&source);
        refuses_a_copy(&source);
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (frames, group, more) in [(0, 50, ""), (2, 40, ":open-gop=1"), (3, 250, "")] {
        let coded =
            format!("-c:v libx264 -preset ultrafast -bf {frames} -g {group} -x264-params ref=2{more}");
        ffmpeg(&format!("{CLIP} {coded}"), &at("a.mp4"));
        ffmpeg(&format!("-ss 2.5 -i {} -t 1.1 -c copy", at("a.mp4").display()), &at("b.mp4"));
        shows_what_ffmpeg_shows(&at("b.mp4"));
        refuses_a_copy(&at("b.mp4"));
    }
}

#[test]
fn an_edit_list_that_shows_parts_twice_does_so() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for frames in [0, 2] {
        ffmpeg(&format!("{CLIP} -c:v libx264 -preset ultrafast -g 60 -bf {frames}"), &at("a.mp4"));
        ffmpeg(&format!("-itsoffset 1 -i {} -c copy", at("a.mp4").display()), &at("b.mp4"));
        let mut bytes = std::fs::read(at("b.mp4")).unwrap();
        let find = |name: &[u8]| bytes.windows(4).position(|four| four == name).unwrap();
        let (mdhd, elst) = (find(b"mdhd") + 16, find(b"elst") + 16);
        // The empty edit that delays the pictures becomes one of the media from 2.8 s on.
        let timescale = u32::from_be_bytes(bytes[mdhd..mdhd + 4].try_into().unwrap());
        assert_eq!(bytes[elst..elst + 4], [0xff; 4]);
        bytes[elst..elst + 4].copy_from_slice(&(timescale / 5 * 14).to_be_bytes());
        std::fs::write(at("b.mp4"), bytes).unwrap();
        assert!(shown(&at("b.mp4")).len() > 100, "a second more");
        shows_what_ffmpeg_shows(&at("b.mp4"));
    }
}

#[test]
fn empty_chunks_of_avi_count_as_time() {
    if let Some(source) = case("avi-placeholders/holes.avi") {
        assert_eq!(shown(&source).len(), 30);
        shows_what_ffmpeg_shows(&source);
    }
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("a.avi");
    for codec in
        ["-c:v libx264 -preset ultrafast -bf 0", "-c:v mpeg4 -q:v 3", "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p"]
    {
        let uneven = "-vf select=lt(mod(n\\,11)\\,4) -vsync vfr -enc_time_base 1/25";
        ffmpeg(&format!("{CLIP} {uneven} {codec}"), &source);
        let target = dir.path().join("out.mkv");
        let usual = EncodeSpec { preset: "ultrafast".into(), ..EncodeSpec::usual() };
        let outcome = take(&source, &target, VideoSpec::Encode(usual), false);
        assert!(matches!(outcome, JobOutcome::Done(_)), "{codec}: {outcome:?}");
        let expected: Vec<i64> = (0..100).filter(|n| n % 11 < 4).map(|n| n * 40).collect();
        assert_eq!(shown(&target), expected, "{codec}");
    }
}

/// MP4 whose track asks to be mirrored from left to right: where (1, 0) and (0, 1) go stands in its track header.
#[test]
fn a_mirrored_recording_is_encoded_upright_and_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, mirrored, out) =
        (dir.path().join("plain.mp4"), dir.path().join("mirrored.mp4"), dir.path().join("out.mkv"));
    ffmpeg(&format!("{CLIP} -c:v libx264 -preset ultrafast"), &plain);
    let mut bytes = std::fs::read(&plain).unwrap();
    let matrix = bytes.windows(4).position(|w| w == b"tkhd").unwrap() + 44;
    bytes[matrix..matrix + 4].copy_from_slice(&(-1_i32 << 16).to_be_bytes());
    std::fs::write(&mirrored, &bytes).unwrap();
    let lossless = EncodeSpec { rate: RateSpec::Crf(0.0), preset: "ultrafast".into(), ..EncodeSpec::usual() };
    for video in [VideoSpec::Encode(lossless.clone()), VideoSpec::CopyOrEncode(lossless)] {
        match take(&mirrored, &out, video, false) {
            JobOutcome::Done(report) => {
                assert_eq!((report.copied, report.notes.len()), (false, 0), "{report:?}")
            }
            other => panic!("{other:?}"),
        }
        let flipped = dir.path().join("flipped.mkv");
        ffmpeg(&format!("-i {} -vf hflip -c:v libx264 -qp 0 -preset ultrafast", plain.display()), &flipped);
        assert_eq!(sums(&out), sums(&flipped));
    }
    match take(&mirrored, &out, VideoSpec::Copy, false) {
        JobOutcome::Failed(error) => assert!(error.to_string().contains("mirrored"), "{error}"),
        other => panic!("{other:?}"),
    }
}
