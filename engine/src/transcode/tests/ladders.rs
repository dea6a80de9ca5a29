//! Ladders: FFmpeg and GStreamer play every rendition, playlists keep the rules, segments begin at the
//! same instants.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use super::helpers::packages::*;
use crate::transcode::package::*;
use crate::transcode::spec::AudioSpec;

const SIZES: [&str; 3] = ["640x360", "320x180", "160x90"];

fn renditions(dir: &Path, codec: &str) -> Vec<PathBuf> {
    let of = |(at, size): (usize, &&str)| {
        // B-frames in all but the last: renditions are decoded with different delays.
        let bframes = if at + 1 == SIZES.len() { 0 } else { 2 };
        let codec = format!("{codec} -bf {bframes} -sc_threshold 0 -c:a aac -ac 2");
        flash_and_beep(&dir.join(format!("{size}.mp4")), size, &codec)
    };
    SIZES.iter().enumerate().map(of).collect()
}

fn paths(sources: &[PathBuf]) -> Vec<&Path> {
    sources.iter().map(PathBuf::as_path).collect()
}

/// The attributes of a playlist's line.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(':')?;
    let mut rest = rest;
    while let Some((key, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').map(|(v, a)| (v, a.trim_start_matches(',')))?,
            None => value.split_once(',').unwrap_or((value, "")),
        };
        if key == name {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// RFC 8216 and the parts of Apple's authoring rules that a player relies on.
fn assert_conforming(folder: &Path, renditions: usize) {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let master = read("master.m3u8");
    assert!(master.starts_with("#EXTM3U\n") && master.contains("#EXT-X-INDEPENDENT-SEGMENTS"), "{master}");
    let lines: Vec<&str> = master.lines().collect();
    let media = lines.iter().find(|line| line.starts_with("#EXT-X-MEDIA:")).unwrap();
    let group = attribute(media, "GROUP-ID").unwrap();
    assert_eq!(attribute(media, "TYPE"), Some("AUDIO"));
    assert_eq!(attribute(media, "CHANNELS"), Some("2"));
    let mut playlists = vec![attribute(media, "URI").unwrap()];
    for (at, line) in lines.iter().enumerate().filter(|(_, l)| l.starts_with("#EXT-X-STREAM-INF:")) {
        let number = |name| attribute(line, name).unwrap().parse::<f64>().unwrap();
        assert!(number("BANDWIDTH") >= number("AVERAGE-BANDWIDTH") && number("AVERAGE-BANDWIDTH") > 0.0);
        assert_eq!(number("FRAME-RATE"), 25.0);
        assert_eq!(attribute(line, "RESOLUTION"), Some(SIZES[playlists.len() - 1]));
        assert_eq!(attribute(line, "AUDIO"), Some(group));
        let codecs = attribute(line, "CODECS").unwrap();
        assert!(codecs.starts_with("avc1.") || codecs.starts_with("hvc1."), "{codecs}");
        assert!(codecs.ends_with(",mp4a.40.2"), "{codecs}");
        playlists.push(lines[at + 1]);
    }
    assert_eq!(playlists.len(), renditions + 1);
    let mut shapes = Vec::new();
    for name in &playlists {
        let text = read(name);
        assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:7\n") && text.ends_with("#EXT-X-ENDLIST\n"));
        assert!(text.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"));
        let map = text.lines().find(|line| line.starts_with("#EXT-X-MAP:")).unwrap();
        let init = std::fs::read(folder.join(attribute(map, "URI").unwrap())).unwrap();
        assert_eq!((&init[4..8], init.windows(4).any(|w| w == b"moov")), (b"ftyp".as_slice(), true));
        let longest: f64 =
            text.lines().find_map(|l| l.strip_prefix("#EXT-X-TARGETDURATION:")).unwrap().parse().unwrap();
        let durations: Vec<f64> = text
            .lines()
            .filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(',')?.parse().ok())
            .collect();
        assert!(durations.iter().all(|seconds| seconds.round() <= longest), "{text}");
        let segments: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(segments.len(), durations.len());
        for segment in segments {
            assert_eq!(&std::fs::read(folder.join(segment)).unwrap()[4..8], b"moof", "{segment}");
        }
        shapes.push(durations);
    }
    for shape in &shapes[2..] {
        assert_eq!(shape, &shapes[1], "segments begin at the same instants");
    }
    for (sound, pictures) in shapes[0].iter().zip(&shapes[1]) {
        assert!((sound - pictures).abs() < 0.05, "{shapes:?}");
    }
}

#[test]
fn every_rendition_plays_from_end_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let codecs = [
        ("h264", "-c:v libx264 -preset ultrafast"),
        ("hevc", "-c:v libx265 -preset ultrafast -x265-params log-level=none"),
    ];
    for (name, codec) in codecs {
        let sources = dir.path().join(name);
        std::fs::create_dir(&sources).unwrap();
        let sources = renditions(&sources, codec);
        let folder = dir.path().join(format!("{name}-ladder"));
        let target = ladder(&folder, 2);
        let job = Job::of(&paths(&sources), &target, AudioSpec::Auto, 0);
        let checked = job.run(&target);
        let firsts: Vec<f64> = checked.video.iter().map(|track| track.first).collect();
        assert!(firsts.iter().all(|first| (first - firsts[0]).abs() < 1e-3), "{firsts:?}");
        assert_conforming(&folder, SIZES.len());
        println!("{}", std::fs::read_to_string(folder.join("master.m3u8")).unwrap());
        let master = folder.join("master.m3u8");
        for variant in 0..SIZES.len() {
            let arguments = format!("-v error -xerror -i {} -map 0:v:{variant} -map 0:a:0", master.display());
            let mut arguments: Vec<&str> = arguments.split(' ').collect();
            arguments.extend(["-f", "framemd5", "-"]);
            let sums = run("ffmpeg", &arguments);
            let pictures = sums.lines().filter(|line| line.starts_with("0,")).count();
            assert_eq!(pictures, 150, "{name}, variant {variant}");
        }
        gstreamer_plays(&master, name);
    }
}

/// Through `playbin`'s parts, as a player without FFmpeg does it.
fn gstreamer_plays(master: &Path, name: &str) {
    let decoder = if name == "hevc" { "avdec_h265" } else { "avdec_h264" };
    let found = |element: &str| {
        Command::new("gst-inspect-1.0").args(["--exists", element]).status().is_ok_and(|s| s.success())
    };
    if !["hlsdemux", "qtdemux", decoder].iter().all(|element| found(element)) {
        println!("skipped: GStreamer's HLS demuxer is missing");
        return;
    }
    let uri = format!("uri=file://{}", master.display());
    let sink = "video-sink=fakesink name=sink";
    let arguments = ["-q", "playbin", &uri, sink, "audio-sink=fakesink"];
    let done = Command::new("timeout").args(["60", "gst-launch-1.0"]).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && !errors.contains("ERROR"), "{errors}");
}

#[test]
fn two_ladders_are_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let sources = renditions(dir.path(), "-c:v libx264 -preset ultrafast");
    let [one, two] = ["one", "two"].map(|name| {
        let folder = dir.path().join(name);
        Job::of(&paths(&sources), &ladder(&folder, 2), AudioSpec::Aac(96), 0).run(&ladder(&folder, 2));
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_owned(), std::fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    });
    // The master, and for each of four tracks a playlist, a header and three segments.
    assert_eq!(one.len(), 1 + 4 * 5);
    assert!(one == two, "the bytes differ");
}

#[test]
fn one_rendition_after_the_other_is_the_same_ladder() {
    let dir = tempfile::tempdir().unwrap();
    let sources = renditions(dir.path(), "-c:v libx264 -preset ultrafast");
    let [together, apart] = [false, true].map(|apart| {
        let folder = dir.path().join(format!("{apart}"));
        let target = ladder(&folder, 2);
        let mut job = Job::of(&paths(&sources), &target, AudioSpec::Copy, 0);
        if apart {
            job.packets.sort_by_key(|(track, _)| match track {
                Track::Video(index) => index + 1,
                Track::Audio => 0,
            });
        }
        job.run(&target);
        std::fs::read(folder.join("audio-00002.m4s")).unwrap()
    });
    assert!(together == apart, "the bytes differ");
}

#[test]
fn key_frames_at_different_times_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut sources = renditions(dir.path(), "-c:v libx264 -preset ultrafast");
    let other = "-c:v libx264 -preset ultrafast -g 40 -sc_threshold 0 -c:a aac";
    sources[1] = flash_and_beep(&dir.path().join("other.mp4"), SIZES[1], other);
    let target = ladder(&dir.path().join("out"), 2);
    let job = Job::of(&paths(&sources), &target, AudioSpec::Drop, 0);
    let error = job.write(&target, target.path()).expect_err("not aligned");
    assert!(
        error.message().contains("segment 2 begins at 2.000 s in v0 and at 3.200 s in v1")
            || error.message().contains("segment 2 begins at 3.200 s in v1 and at 2.000 s in v0"),
        "{error}"
    );
}

#[test]
fn damage_in_a_ladder_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let sources = renditions(dir.path(), "-c:v libx264 -preset ultrafast");
    let target = ladder(&dir.path().join("out"), 2);
    let job = Job::of(&paths(&sources), &target, AudioSpec::Copy, 0);
    job.run(&target);
    let damaged = |name: &str, change: &dyn Fn(Vec<u8>) -> Option<Vec<u8>>| {
        let path = target.path().join(name);
        let good = std::fs::read(&path).unwrap();
        match change(good.clone()) {
            Some(bad) => std::fs::write(&path, bad).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = check(&target, target.path(), &job.expected()).expect_err(name);
        println!("{name}: {error}");
        std::fs::write(&path, good).unwrap();
        check(&target, target.path(), &job.expected()).unwrap();
    };
    let flip = |mut bytes: Vec<u8>| {
        let last = bytes.len() - 20;
        bytes[last] ^= 4;
        Some(bytes)
    };
    damaged("v1-00002.m4s", &flip);
    damaged("audio-00003.m4s", &flip);
    damaged("v2-00003.m4s", &|_| None);
    damaged("v0-00002.m4s", &|bytes| Some(bytes[..bytes.len() / 2].to_vec()));
    damaged("master.m3u8", &|bytes| Some(String::from_utf8(bytes).unwrap().replace("v1.", "v2.").into()));
}
