//! What a container says of its pictures beside holding them: edit lists that hide some, empty chunks that
//! count as time, sizes that tell that a file was cut. Whatever becomes of a file, it is taken alike.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs ffmpeg to its end.
fn ffmpeg(args: &[&str]) {
    let out = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(args).output().unwrap();
    assert!(out.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Six seconds of a moving picture with a tone; `options` come before the name.
fn clip(path: &Path, options: &[&str]) {
    let inputs = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=6"];
    let tone =
        ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=6", "-pix_fmt", "yuv420p"];
    ffmpeg(&[&inputs[..], &tone, options, &[text(path)]].concat());
}

/// Runs `vitrail transcode`: exit code, the one outcome, stderr.
fn transcode(args: &[&str]) -> (i32, Value, String) {
    let (code, stdout, stderr) = common::run(&[&["transcode", "--json", "--log", "warn"], args].concat());
    let lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let outcomes: Vec<Value> = lines.filter(|line| line["event"] == "outcome").collect();
    (code, outcomes.into_iter().next().unwrap_or_default(), stderr)
}

/// The sums of the decoded pictures, in the order in which ffmpeg shows them.
fn sums(path: &Path) -> Vec<String> {
    let args = ["-map", "0:v:0", "-vsync", "passthrough", "-pix_fmt", "yuv420p", "-f", "framemd5", "-"];
    let out = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-i"]).arg(path).args(args).output();
    let text = String::from_utf8(out.unwrap().stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next().map(|sum| sum.trim().to_owned())).collect()
}

/// When ffmpeg shows pictures, in seconds from the first.
fn shown(path: &Path) -> Vec<f64> {
    let args =
        ["-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time", "-of", "csv=p=0"];
    let out = Command::new("ffprobe").args(["-v", "error"]).args(args).arg(path).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let times: Vec<f64> = text.lines().filter_map(|l| l.trim_end_matches(',').parse().ok()).collect();
    times.iter().map(|time| time - times.first().copied().unwrap_or_default()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A file among the cases that were found broken; `None`, and said, where they are not here.
fn case(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not here", path.display());
    }
    path.exists().then_some(path)
}

const LOSSLESS: [&str; 6] = ["--codec", "h264", "--crf", "0", "--preset", "ultrafast"];

/// Each way that a file is taken shows the pictures that ffmpeg shows, at the times at which it shows them, or
/// (where `copies` is false) says why it does not.
fn shows_what_ffmpeg_shows(source: &Path, copies: bool) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (sums_of_source, times) = (sums(source), shown(source));
    assert!(!times.is_empty() && times.len() == sums_of_source.len(), "{}", source.display());
    let check = |target: &Path, what: &str| {
        assert_eq!(sums(target).len(), sums_of_source.len(), "{what}");
        assert!(sums(target) == sums_of_source, "{what}: other pictures");
        let (is, should) = (shown(target), &times);
        let off = is.iter().zip(should).map(|(is, should)| (is - should).abs()).fold(0.0, f64::max);
        assert!(off < 0.002, "{what}: {off} s off: {is:?} instead of {should:?}");
    };
    let ways: [(&str, &[&str]); 4] = [
        ("a.mp4", &[]),
        ("b.mkv", &["--salvage"]),
        ("c.mkv", &["--audio", "aac"]),
        ("d.mp4", &["--within", "160x120"]),
    ];
    for (name, more) in ways {
        let target = at(name);
        let args = [&[text(source), "-o", text(&target)], &LOSSLESS[..], more].concat();
        let (code, outcome, stderr) = transcode(&args);
        assert_eq!(code, 0, "{more:?}: {outcome} {stderr}");
        assert_eq!(outcome["report"]["missing_pictures"], 0, "{more:?}: {outcome}");
        check(&at(name), &format!("{} {more:?}", source.display()));
    }
    for name in ["e.mp4", "f.mkv", "g.ts"] {
        let (code, outcome, stderr) = transcode(&[text(source), "-o", text(&at(name)), "--codec", "copy"]);
        if copies {
            assert_eq!(code, 0, "{outcome} {stderr}");
            check(&at(name), &format!("{} copied to {name}", source.display()));
        } else {
            let message = outcome["error"]["message"].as_str().unwrap_or_default();
            assert!(code != 0 && message.contains("edit list"), "{outcome} {stderr}");
        }
    }
    let ladder = [text(source), "-o", &format!("{}/", text(&at("web"))), "--ladder", "120:300k,60:100k"];
    let (code, outcome, stderr) = transcode(&[&ladder[..], &["--preset", "ultrafast"]].concat());
    assert_eq!(code, 0, "{outcome} {stderr}");
    let kept: Vec<String> = names(dir.path()).into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(kept, Vec::<String>::new());
    assert_eq!(shown(&at("web").join("master.m3u8")).len(), times.len(), "{}", source.display());
}

#[test]
fn pictures_that_an_edit_list_hides_stay_hidden() {
    let Some(source) = case("edit-list/edit.mp4") else { return };
    assert_eq!(shown(&source).len(), 42);
    shows_what_ffmpeg_shows(&source, false);
}

#[test]
fn sound_that_an_edit_list_hides_is_not_heard() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("a.mp4"), &["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac"]);
    ffmpeg(&["-ss", "1.3", "-i", text(&at("a.mp4")), "-c", "copy", text(&at("b.mp4"))]);
    for target in ["c.mp4", "c.mkv"] {
        let (code, outcome, stderr) = transcode(&[text(&at("b.mp4")), "-o", text(&at(target))]);
        assert_eq!(code, 0, "{outcome} {stderr}");
        let args = ["-v", "error", "-count_frames", "-select_streams", "a:0", "-show_entries"];
        let frames = |path: &Path| {
            let more = ["stream=nb_read_frames", "-of", "csv=p=0"];
            let out = Command::new("ffprobe").args(args).args(more).arg(path).output().unwrap();
            String::from_utf8(out.stdout).unwrap().trim().parse::<i64>().unwrap()
        };
        let (is, should) = (frames(&at(target)), frames(&at("b.mp4")));
        // A frame of AAC before the first sample is usual.
        assert!((is - should).abs() <= 1, "{target}: {is} frames of sound instead of {should}");
    }
}

#[test]
fn mosaics_and_transcoding_agree_on_what_an_edit_list_hides() {
    let Some(source) = case("edit-list/edit.mp4") else { return };
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("mosaic.mkv");
    let (code, _, stderr) = common::run(&["mosaic", "-i", text(&source), "--fps", "25", "-o", text(&target)]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(shown(&target).len(), 42);
}

/// Cuts without encoding: ffmpeg keeps what the first shown picture needs and hides it by an edit list.
#[test]
fn recordings_that_were_trimmed_without_encoding_come_out_as_they_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"];
    clip(&at("plain.mp4"), &[&x264[..], &["-bf", "0", "-g", "50"]].concat());
    clip(&at("open.mp4"), &[&x264[..], &["-bf", "2", "-g", "40", "-x264-params", "open-gop=1"]].concat());
    clip(&at("long.mp4"), &[&x264[..], &["-bf", "3", "-g", "250"]].concat());
    clip(&at("part2.mp4"), &["-c:v", "mpeg4", "-q:v", "3", "-bf", "2", "-g", "50", "-an"]);
    for (source, from, more) in [
        ("plain.mp4", "1.3", &[][..]),
        ("open.mp4", "2.5", &["-t", "2.1"]),
        ("long.mp4", "4.4", &[]),
        ("part2.mp4", "1.3", &["-t", "3"]),
    ] {
        let trimmed = at(&format!("trimmed-{source}"));
        let input = at(source);
        ffmpeg(&[&["-ss", from, "-i", text(&input)][..], more, &["-c", "copy", text(&trimmed)]].concat());
        let all = sums(&at(source)).len();
        assert!(sums(&trimmed).len() < all, "{source} was not trimmed");
        shows_what_ffmpeg_shows(&trimmed, false);
    }
}

/// Puts an edit of the media from a time on where the first entry, an empty edit, delays the pictures.
fn edit_twice(path: &Path, from_s: u32) {
    let mut bytes = std::fs::read(path).unwrap();
    let find = |bytes: &[u8], name: &[u8]| bytes.windows(4).position(|four| four == name).unwrap();
    let number = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let timescale = number(&bytes, find(&bytes, b"mdhd") + 16);
    let elst = find(&bytes, b"elst");
    assert_eq!((number(&bytes, elst + 8), number(&bytes, elst + 16)), (2, u32::MAX), "an empty edit first");
    bytes[elst + 16..elst + 20].copy_from_slice(&(from_s * timescale).to_be_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn an_edit_list_that_shows_parts_twice_does_so() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-an"];
    for (name, frames) in [("plain.mp4", "0"), ("reordered.mp4", "2")] {
        clip(&at(name), &[&x264[..], &["-bf", frames]].concat());
        let twice = at(&format!("twice-{name}"));
        ffmpeg(&["-itsoffset", "1", "-i", text(&at(name)), "-c", "copy", text(&twice)]);
        edit_twice(&twice, 4);
        assert!(sums(&twice).len() > sums(&at(name)).len(), "a second more");
        shows_what_ffmpeg_shows(&twice, false);
    }
}

#[test]
fn a_part_of_a_trimmed_recording_is_a_part_of_what_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("a.mp4"), &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-c:a", "aac"]);
    ffmpeg(&["-ss", "1.3", "-i", text(&at("a.mp4")), "-c", "copy", text(&at("b.mp4"))]);
    let all = sums(&at("b.mp4"));
    let (source, target) = (at("b.mp4"), at("c.mp4"));
    let files = [text(&source), "-o", text(&target)];
    let part = ["--from", "0.4", "--to", "1.2", "--overwrite"];
    let (code, outcome, stderr) = transcode(&[&files[..], &part, &LOSSLESS].concat());
    assert_eq!(code, 0, "{outcome} {stderr}");
    assert!(sums(&at("c.mp4")) == all[10..30], "twenty pictures from the eleventh on");
    // Behind the next key frame nothing is hidden any more, and what is asked for can be copied.
    let part = ["--from", "2.7", "--to", "4.2", "--cut", "keyframe", "--codec", "copy", "--overwrite"];
    let (code, outcome, stderr) = transcode(&[&files[..], &part].concat());
    assert_eq!(code, 0, "{outcome} {stderr}");
    assert_eq!(outcome["report"]["copied"], true);
    let copied = sums(&at("c.mp4"));
    let part_of_it = all.windows(36).any(|shown| shown == &copied[..36.min(copied.len())]);
    assert!(copied.len() >= 37 && part_of_it, "{} pictures", copied.len());
}

#[test]
fn empty_chunks_of_avi_count_as_time() {
    let Some(source) = case("avi-placeholders/holes.avi") else { return };
    let dir = tempfile::tempdir().unwrap();
    for (more, name) in [(&[][..], "a.mp4"), (&["--salvage"], "b.mp4"), (&LOSSLESS, "c.mkv")] {
        let target = dir.path().join(name);
        let (code, outcome, stderr) = transcode(&[&[text(&source), "-o", text(&target)], more].concat());
        assert_eq!(code, 0, "{more:?}: {outcome} {stderr}");
        let length = outcome["report"]["video_s"].as_f64().unwrap();
        assert!((length - 6.0).abs() < 0.01, "{outcome}");
        let times = shown(&target);
        assert_eq!(times.len(), 30, "{more:?}");
        assert!(times.iter().enumerate().all(|(n, time)| (time - n as f64 / 5.0).abs() < 0.002), "{times:?}");
    }
}

/// Pictures of an AVI that come and stay away in turn, whatever codec they have.
#[test]
fn pictures_of_avi_that_come_unevenly_keep_their_times() {
    let dir = tempfile::tempdir().unwrap();
    let uneven = ["-vf", "select='lt(mod(n,11),4)'", "-vsync", "vfr", "-enc_time_base", "1/25", "-an"];
    for (name, codec) in [
        ("a.avi", &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "12"][..]),
        ("b.avi", &["-c:v", "mpeg4", "-q:v", "3", "-g", "12"]),
        ("c.avi", &["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"]),
    ] {
        let source = dir.path().join(name);
        clip(&source, &[&uneven[..], codec].concat());
        let expected: Vec<f64> = (0..150).filter(|n| n % 11 < 4).map(|n| f64::from(n) / 25.0).collect();
        let target = dir.path().join(format!("{name}.mkv"));
        let (code, outcome, stderr) =
            transcode(&[&[text(&source), "-o", text(&target)], &LOSSLESS[..]].concat());
        assert_eq!(code, 0, "{name}: {outcome} {stderr}");
        let times = shown(&target);
        assert_eq!(times.len(), expected.len(), "{name}");
        let off = times.iter().zip(&expected).map(|(is, should)| (is - should).abs()).fold(0.0, f64::max);
        assert!(off < 0.002, "{name}: {off} s off: {times:?}");
        // A mosaic shows the same at the same ticks.
        let mosaic = dir.path().join(format!("{name}-mosaic.mkv"));
        let args = ["mosaic", "-i", text(&source), "--fps", "25", "--lossless", "-o", text(&mosaic)];
        let (code, _, stderr) = common::run(&args);
        assert_eq!(code, 0, "{name}: {stderr}");
        let sums = sums(&mosaic);
        let changes: Vec<usize> = (1..sums.len()).filter(|n| sums[*n] != sums[n - 1]).collect();
        let wanted: Vec<usize> = expected[1..].iter().map(|time| (time * 25.0).round() as usize).collect();
        assert_eq!(changes, wanted, "{name} in a mosaic");
    }
}

/// Empty chunks at the end, as a recorder writes them while nothing changes, with all that counts them.
fn still_to_the_end(path: &Path, chunks: u32) {
    let mut bytes = std::fs::read(path).unwrap();
    let find = |bytes: &[u8], name: &[u8], from: usize| {
        from + bytes[from..].windows(4).position(|four| four == name).unwrap()
    };
    let add = |bytes: &mut [u8], at: usize, more: u32| {
        let now = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        bytes[at..at + 4].copy_from_slice(&(now + more).to_le_bytes());
    };
    let movi = find(&bytes, b"movi", 0);
    let index = movi - 4 + u32::from_le_bytes(bytes[movi - 4..movi].try_into().unwrap()) as usize + 4;
    assert_eq!(&bytes[index..index + 4], b"idx1");
    add(&mut bytes, 4, chunks * 24);
    add(&mut bytes, movi - 4, chunks * 8);
    add(&mut bytes, index + 4, chunks * 16);
    let (avih, strh) = (find(&bytes, b"avih", 0), find(&bytes, b"strh", 0));
    add(&mut bytes, avih + 24, chunks);
    add(&mut bytes, strh + 40, chunks);
    for n in 0..chunks {
        let place = index as u32 + n * 8 - movi as u32;
        bytes.extend([&b"00dc"[..], &[0; 4], &place.to_le_bytes(), &[0; 4]].concat());
    }
    let empty = b"00dc\0\0\0\0".repeat(chunks as usize);
    bytes.splice(index..index, empty);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn an_avi_that_ends_in_empty_chunks_is_not_cut() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("a.avi"), &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-an"]);
    still_to_the_end(&at("a.avi"), 75);
    assert_eq!(sums(&at("a.avi")).len(), 150, "it is an AVI still");
    let (source, target) = (at("a.avi"), at("b.mp4"));
    let args = [text(&source), "-o", text(&target), "--fps", "25"];
    let (code, outcome, stderr) = transcode(&[&args[..], &LOSSLESS].concat());
    assert_eq!(code, 0, "{outcome} {stderr}");
    assert_eq!(shown(&at("b.mp4")).len(), 225, "three seconds more of the last picture");
}

/// The ways that a file can be taken.
const WAYS: [(&str, &[&str]); 4] = [
    ("copied.mp4", &["--codec", "copy"]),
    ("asked-for-nothing.mkv", &[]),
    ("encoded.mp4", &["--codec", "h264", "--preset", "ultrafast"]),
    ("ladder/", &["--ladder", "120:200k,60:100k", "--preset", "ultrafast"]),
];

#[test]
fn a_cut_file_has_one_answer() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-an"];
    let fragments = ["-movflags", "frag_keyframe+empty_moov+default_base_moof"];
    clip(&at("fragments.mp4"), &[&x264[..], &fragments].concat());
    clip(&at("live.mkv"), &[&x264[..], &["-live", "1"]].concat());
    clip(&at("front.mp4"), &[&x264[..], &["-movflags", "faststart"]].concat());
    clip(&at("plain.avi"), &["-c:v", "mpeg4", "-q:v", "4", "-an"]);
    for name in ["fragments.mp4", "live.mkv", "front.mp4", "plain.avi"] {
        let bytes = std::fs::read(at(name)).unwrap();
        let cut = at(&format!("cut-{name}"));
        std::fs::write(&cut, &bytes[..bytes.len() * 7 / 10]).unwrap();
        let out = at(&format!("out-{name}"));
        std::fs::create_dir(&out).unwrap();
        for (target, more) in WAYS {
            let target = format!("{}/{target}", text(&out));
            let (code, outcome, stderr) = transcode(&[&[text(&cut), "-o", &target], more].concat());
            let message = outcome["error"]["message"].as_str().unwrap_or_default();
            assert_eq!(
                (code, &outcome["error"]["kind"]),
                (1, &"corrupt".into()),
                "{name} {more:?}: {outcome} {stderr}"
            );
            assert!(message.contains("a part is missing; add --salvage"), "{name} {more:?}: {message}");
            assert_eq!(names(&out), Vec::<String>::new(), "{name} {more:?}");
        }
        let mut kept = Vec::new();
        for (target, more) in &WAYS[1..] {
            let target = format!("{}/{target}", text(&out));
            let (code, outcome, stderr) =
                transcode(&[&[text(&cut), "-o", &target, "--salvage"], *more].concat());
            assert_eq!(code, 0, "{name} {more:?}: {outcome} {stderr}");
            kept.push(outcome["report"]["pictures"].as_u64().unwrap());
        }
        assert!(kept[0] > 75 && kept.iter().all(|pictures| *pictures == kept[0]), "{name}: {kept:?}");
    }
}

#[test]
fn a_transport_stream_may_begin_and_end_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("a.ts"), &["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-an"]);
    let bytes = std::fs::read(at("a.ts")).unwrap();
    for (name, to) in [("b.ts", 6), ("c.ts", 7), ("d.ts", 8)] {
        std::fs::write(at(name), &bytes[bytes.len() / 7..bytes.len() * to / 10 + 31]).unwrap();
        let mut counts = Vec::new();
        for (target, more) in WAYS {
            let target = format!("{}/{name}-{target}", text(dir.path()));
            let (code, outcome, stderr) = transcode(&[&[text(&at(name)), "-o", &target], more].concat());
            assert_eq!(code, 0, "{name} {more:?}: {outcome} {stderr}");
            counts.push(outcome["report"]["pictures"].as_u64().unwrap());
        }
        assert!(counts.iter().all(|count| count.abs_diff(counts[0]) <= 2), "{name}: {counts:?}");
    }
}
