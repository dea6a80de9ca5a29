//! Jobs from end to end, on files that ffmpeg made and beside what ffmpeg makes of them.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::helpers::jobs::{encode, ffmpeg, job, options, outcome, run};
use crate::base::{Shutdown, SystemClock};
use crate::media::Ratio;
use crate::transcode::job::{JobEvent, JobOutcome, plan_only, run_all};
use crate::transcode::spec::*;

fn ffprobe(path: &Path, entries: &str) -> String {
    let run = Command::new("ffprobe")
        .args(["-v", "error", "-count_packets", "-of", "csv=p=0", "-show_entries", entries])
        .arg(path)
        .output()
        .expect("ffprobe runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

/// Times of the pictures, in seconds, in the order of presentation.
fn picture_times(path: &Path) -> Vec<f64> {
    let run = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pts_time", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .expect("ffprobe runs");
    let text = String::from_utf8(run.stdout).unwrap();
    text.lines().filter_map(|l| l.trim_end_matches(',').parse().ok()).collect()
}

/// Sums of the decoded pictures, in the order of presentation.
fn sums(path: &Path) -> Vec<String> {
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args(["-map", "0:v:0", "-vsync", "passthrough", "-f", "framemd5", "-"])
        .output()
        .expect("ffmpeg runs");
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    lines.filter_map(|l| l.rsplit(',').next().map(|sum| sum.trim().to_owned())).collect()
}

/// PSNR over all planes of two files, picture by picture in their order, and the lowest of a picture.
fn psnr(a: &Path, b: &Path) -> f64 {
    let run = Command::new("ffmpeg")
        .args(["-nostdin", "-i"])
        .arg(a)
        .arg("-i")
        .arg(b)
        .args([
            "-lavfi",
            "[0:v]settb=1/25,setpts=N[a];[1:v]settb=1/25,setpts=N[b];[a][b]psnr=shortest=1",
            "-f",
            "null",
            "-",
        ])
        .output()
        .expect("ffmpeg runs");
    let text = String::from_utf8_lossy(&run.stderr).into_owned();
    let at = text.find("average:").unwrap_or_else(|| panic!("{text}"));
    let number = text[at + 8..].split_whitespace().next().unwrap();
    if number == "inf" { f64::INFINITY } else { number.parse().unwrap() }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Pictures of [`clip`].
const PICTURES: u64 = 1000;

/// 40 s with B-frames, a key frame every 2 s, and sound: long enough to be cut into segments.
fn clip(folder: &Path) -> PathBuf {
    let path = folder.join("clip.mp4");
    ffmpeg(
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=40 -f lavfi -i sine=frequency=440:duration=40 \
         -c:v libx264 -preset fast -g 50 -bf 3 -c:a aac -shortest",
        &path,
    );
    path
}

#[test]
fn a_file_comes_out_whole_in_its_place_and_as_good_as_ffmpeg_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path());
    let target = folder.path().join("out.mp4");
    let report = run(&job(&source, &target, VideoSpec::Encode(encode(23.0))));
    assert_eq!((report.pictures, report.missing_pictures), (PICTURES, 0));
    assert!(report.segments > 1, "{report:?}");
    assert_eq!(names(folder.path()), ["clip.mp4", "out.mp4"], "nothing is left beside it");
    assert_eq!(picture_times(&target), picture_times(&source));
    // The source's edit list hides the first packet of sound, with which its encoder began: it is not copied.
    assert_eq!(
        ffprobe(&target, "stream=codec_name,nb_read_packets"),
        ffprobe(&source, "stream=codec_name,nb_read_packets").replace("aac,1724", "aac,1723")
    );
    let peer = folder.path().join("peer.mp4");
    ffmpeg(&format!("-i {} -c:v libx264 -preset ultrafast -crf 23 -c:a copy", source.display()), &peer);
    let (ours, theirs) = (psnr(&target, &source), psnr(&peer, &source));
    assert!((ours - theirs).abs() < 0.3, "{ours} dB beside {theirs} dB");
    let size = |path: &Path| std::fs::metadata(path).unwrap().len() as f64;
    assert!((size(&target) / size(&peer) - 1.0).abs() < 0.05, "{} and {}", size(&target), size(&peer));
}

#[test]
fn the_same_job_gives_the_same_bytes_and_so_does_an_interrupted_one() {
    gives_the_same_bytes(RateSpec::Crf(23.0));
}

/// Later segments make up for earlier ones then.
#[test]
fn so_it_does_at_an_average_rate() {
    gives_the_same_bytes(RateSpec::Kbps(300));
}

fn gives_the_same_bytes(rate: RateSpec) {
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path());
    let (a, b, c) = (folder.path().join("a.mp4"), folder.path().join("b.mp4"), folder.path().join("c.mp4"));
    let encoding = EncodeSpec { rate, ..encode(0.0) };
    let spec = |target: &Path| job(&source, target, VideoSpec::Encode(encoding.clone()));
    run(&spec(&a));
    run(&spec(&b));
    assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    // Ends after so many events, whatever is being done then.
    let mut resumed = 0;
    for after in [3, 5, 8, 13] {
        let stop = Shutdown::new();
        let seen = AtomicUsize::new(0);
        let end = |event: JobEvent| {
            if matches!(event, JobEvent::Progress { .. }) && seen.fetch_add(1, Ordering::SeqCst) >= after {
                stop.cancel();
            }
        };
        let clock = SystemClock::shared();
        let outcome = run_all(&[spec(&c)], &options(2), &clock, &stop, &end).pop().unwrap();
        match outcome {
            JobOutcome::Interrupted => assert!(!c.exists()),
            JobOutcome::Done(report) => {
                resumed = resumed.max(report.resumed_segments);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    if !c.exists() {
        resumed = run(&spec(&c)).resumed_segments;
    }
    tracing::info!(resumed, "segments were there already");
    assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&c).unwrap());
    assert_eq!(names(folder.path()), ["a.mp4", "b.mp4", "c.mp4", "clip.mp4"]);
}

#[test]
fn nothing_is_encoded_where_nothing_is_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path());
    let target = folder.path().join("out.mkv");
    let report = run(&job(&source, &target, VideoSpec::CopyOrEncode(encode(23.0))));
    assert!(report.copied && report.pictures == PICTURES);
    assert_eq!(sums(&target), sums(&source));
    assert_eq!(sums(&target).len(), PICTURES as usize);
    // A cut on a key frame is copied, one between is not, unless it may move.
    let from = |seconds: f64, at_key_frame| TranscodeSpec {
        range: TimeRange { from: Some(Duration::from_secs_f64(seconds)), to: None, at_key_frame },
        ..job(
            &source,
            &folder.path().join(format!("{seconds}{at_key_frame}.mp4")),
            VideoSpec::CopyOrEncode(encode(23.0)),
        )
    };
    let on = run(&from(4.0, false));
    assert!(on.copied && on.pictures == PICTURES - 100, "{on:?}");
    let between = run(&from(5.0, false));
    assert!(!between.copied && between.pictures == PICTURES - 125, "{between:?}");
    let moved = run(&from(5.0, true));
    assert!(moved.copied && moved.pictures == PICTURES - 100, "{moved:?}");
    // Another codec is no reason for encoding, a smaller size is, one that the source is within is not.
    let other = EncodeSpec { codec: TargetCodec::H265, ..encode(28.0) };
    let hevc = folder.path().join("hevc.mp4");
    let mut spec = job(&source, &hevc, VideoSpec::Encode(other));
    spec.range.to = Some(Duration::from_secs(4));
    assert!(!run(&spec).copied);
    assert_eq!(ffprobe(&hevc, "stream=codec_name,nb_read_packets").lines().next(), Some("hevc,100"));
    for (size, copied) in
        [(SizeSpec::Keep, true), (SizeSpec::Within(4000, 4000), true), (SizeSpec::Within(64, 64), false)]
    {
        let target = folder.path().join(format!("{size:?}.mp4"));
        let mut spec = job(&hevc, &target, VideoSpec::CopyOrEncode(encode(23.0)));
        spec.renditions[0].size = size;
        assert_eq!(run(&spec).copied, copied, "{size:?}");
        let codec = ffprobe(&target, "stream=codec_name").lines().next().map(str::to_owned);
        assert_eq!(codec.as_deref(), Some(if copied { "hevc" } else { "h264" }));
    }
}

#[test]
fn rates_ranges_and_sizes_come_out_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path());
    let mut spec = job(&source, &folder.path().join("a.mp4"), VideoSpec::Encode(encode(23.0)));
    spec.frame_rate = Ratio::new(30000, 1001);
    spec.range = TimeRange {
        from: Some(Duration::from_millis(3220)),
        to: Some(Duration::from_millis(21_500)),
        at_key_frame: false,
    };
    spec.renditions[0].size = SizeSpec::Height(120);
    let report = run(&spec);
    let wanted = ((21.5 - 3.2) * 30000.0 / 1001.0_f64).ceil() as u64;
    assert_eq!(report.pictures, wanted);
    let times = picture_times(spec.target.path());
    let ticks = times.iter().enumerate().map(|(n, t)| (t - n as f64 * 1001.0 / 30000.0).abs());
    assert!(ticks.fold(0.0, f64::max) < 0.001, "every tick has its picture");
    assert_eq!(ffprobe(spec.target.path(), "stream=width,height").lines().next(), Some("160,120"));
    let sound: f64 = ffprobe(spec.target.path(), "format=duration").parse().unwrap();
    assert!((sound - 18.3).abs() < 0.05, "{sound}");
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path());
    let target = folder.path().join("out.mp4");
    std::fs::write(&target, "precious").unwrap();
    let spec = job(&source, &target, VideoSpec::Encode(encode(23.0)));
    let JobOutcome::Failed(error) = outcome(&spec) else { panic!("kept") };
    assert!(error.to_string().contains("--overwrite"), "{error}");
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    std::fs::remove_file(&target).unwrap();
    // Cut in the middle: MKV, whose end is not needed to open it.
    let whole = folder.path().join("whole.mkv");
    ffmpeg(&format!("-i {} -c copy", source.display()), &whole);
    let bytes = std::fs::read(&whole).unwrap();
    let cut = folder.path().join("cut.mkv");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let mut spec = job(&cut, &target, VideoSpec::Encode(encode(23.0)));
    let JobOutcome::Failed(error) = outcome(&spec) else { panic!("a part is missing") };
    assert!(error.to_string().contains("--salvage"), "{error}");
    assert!(!names(folder.path()).iter().any(|n| n.starts_with('.')), "{:?}", names(folder.path()));
    spec.salvage = true;
    let JobOutcome::Done(report) = outcome(&spec) else { panic!("the first half is good") };
    assert!((PICTURES / 3..PICTURES * 2 / 3).contains(&report.pictures), "{report:?}");
    assert!(report.notes.iter().any(|n| n.contains("cut")), "{:?}", report.notes);
    // A range that holds nothing, a source that is its own target.
    let mut spec = job(&source, &folder.path().join("b.mp4"), VideoSpec::Encode(encode(23.0)));
    spec.range.from = Some(Duration::from_secs(60));
    assert!(matches!(outcome(&spec), JobOutcome::Failed(_)));
    let mut spec = job(&source, &source, VideoSpec::Encode(encode(23.0)));
    spec.overwrite = true;
    let before = std::fs::read(&source).unwrap();
    assert!(matches!(outcome(&spec), JobOutcome::Failed(_)));
    assert_eq!(std::fs::read(&source).unwrap(), before);
}

#[test]
fn sources_without_times_are_counted_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path());
    let raw = folder.path().join("raw.h264");
    ffmpeg(&format!("-i {} -an -c copy -bsf:v h264_mp4toannexb", source.display()), &raw);
    for (name, video) in [("copied.mp4", VideoSpec::Copy), ("made.mp4", VideoSpec::Encode(encode(10.0)))] {
        let target = folder.path().join(name);
        let report = run(&job(&raw, &target, video));
        assert_eq!(report.pictures, PICTURES, "{name}");
        assert_eq!(picture_times(&target), picture_times(&source), "{name}");
        assert!(psnr(&target, &source) > 40.0, "{name}");
    }
}

#[test]
fn a_plan_predicts_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path());
    let spec = job(&source, &folder.path().join("out.mp4"), VideoSpec::Encode(encode(23.0)));
    let plan = plan_only(&spec, &options(2), &Shutdown::new()).unwrap();
    let predicted = plan.predicted.unwrap();
    assert_eq!((plan.pictures, plan.copy), (PICTURES, false));
    assert_eq!(names(folder.path()), ["clip.mp4"]);
    let report = run(&spec);
    let off = predicted.bytes as f64 / report.bytes as f64;
    assert!((0.5..2.0).contains(&off), "{predicted:?} beside {} bytes", report.bytes);
}

#[test]
fn a_ladder_is_made_in_one_pass_with_aligned_key_frames() {
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path());
    let rendition = |name: &str, lines, kbps| RenditionSpec {
        name: name.into(),
        size: SizeSpec::Height(lines),
        video: VideoSpec::Encode(EncodeSpec { rate: RateSpec::Kbps(kbps), ..encode(0.0) }),
    };
    let ladder = folder.path().join("ladder");
    let spec = TranscodeSpec {
        renditions: vec![
            rendition("240p", 240, 400),
            rendition("180p", 180, 250),
            rendition("120p", 120, 120),
        ],
        target: Target::Hls { folder: ladder.clone(), segment: Duration::from_secs(4) },
        ..job(&source, &ladder, VideoSpec::Copy)
    };
    let report = run(&spec);
    assert_eq!(report.pictures, PICTURES);
    let master = std::fs::read_to_string(ladder.join("master.m3u8")).unwrap();
    assert_eq!(master.matches("#EXT-X-STREAM-INF").count(), 3, "{master}");
    assert_eq!(names(folder.path()), ["clip.mp4", "ladder"]);
}

#[test]
fn av1_is_made_where_an_encoder_is_present() {
    if ffmpeg_next::codec::encoder::find_by_name("libsvtav1").is_none() {
        println!("skipped: libavcodec has no libsvtav1");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path());
    let target = folder.path().join("av1.mkv");
    let av1 = EncodeSpec { codec: TargetCodec::Av1, ..encode(40.0) };
    let mut spec = job(&source, &target, VideoSpec::Encode(av1));
    spec.range.to = Some(Duration::from_secs(3));
    let report = run(&spec);
    assert_eq!((report.pictures, report.missing_pictures), (75, 0));
    assert_eq!(ffprobe(&target, "stream=codec_name,nb_read_packets").lines().next(), Some("av1,75"));
    assert!(psnr(&target, &source) > 30.0);
}
