//! Files: the same bytes each time, times as they were, FFmpeg agrees, damage is found, full disks are
//! reported.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use ffmpeg_next as ff;

use super::helpers::packages::*;
use crate::base::ErrorKind;
use crate::transcode::package::ends::PICTURES;
use crate::transcode::package::*;
use crate::transcode::spec::AudioSpec;

const H264: &str = "-c:v libx264 -preset ultrafast -bf 2 -c:a aac";
const H265: &str = "-c:v libx265 -preset ultrafast -x265-params log-level=none -c:a aac";
const ENDINGS: [&str; 5] = ["mp4", "mov", "m4v", "mkv", "ts"];

fn probe(path: &Path, what: &str) -> String {
    let arguments = format!("-v error -of default=nk=1:nw=1 {what}");
    let mut arguments: Vec<&str> = arguments.split(' ').collect();
    arguments.push(path.to_str().unwrap());
    run("ffprobe", &arguments)
}

#[test]
fn two_runs_make_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let source = flash_and_beep(&dir.path().join("source.mp4"), "320x180", H264);
    for ending in ENDINGS {
        let [one, two] = ["one", "two"].map(|name| {
            let path = dir.path().join(format!("{name}.{ending}"));
            Job::of(&[&source], &file(&path), AudioSpec::Aac(96), 0).run(&file(&path));
            std::fs::read(path).unwrap()
        });
        assert!(one == two, "{ending}: the bytes differ");
    }
}

/// Pictures of the first and the last group, and how many of the last one's are shown before its key
/// frame: in an open group they refer to pictures of the group in front, which is not decoded.
fn outer_groups(job: &Job) -> (u64, u64) {
    let pictures: Vec<_> =
        job.packets.iter().filter(|(track, _)| *track == Track::Video(0)).map(|(_, packet)| packet).collect();
    let second = 1 + pictures[1..].iter().position(|packet| packet.is_key()).unwrap();
    let last = pictures.iter().rposition(|packet| packet.is_key()).unwrap();
    let tail = pictures[last..].iter().take(PICTURES);
    let leading = tail.filter(|packet| packet.pts() < pictures[last].pts()).count();
    ((second.min(PICTURES) + (pictures.len() - last).min(PICTURES)) as u64, leading as u64)
}

#[test]
fn ffmpeg_agrees_on_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    for (codec, name) in [(H264, "h264"), (H265, "hevc")] {
        let source = flash_and_beep(&dir.path().join(format!("{name}.mp4")), "320x180", codec);
        for ending in ENDINGS {
            let path = dir.path().join(format!("{name}-out.{ending}"));
            let job = Job::of(&[&source], &file(&path), AudioSpec::Auto, 0);
            let checked = job.run(&file(&path));
            assert!(matches!(checked.video[0].payloads, Payloads::Same(_)), "{ending}");
            assert!((checked.video[0].seconds - 6.0).abs() < 0.002, "{ending}: {checked:?}");
            let (all, leading) = outer_groups(&job);
            assert_eq!(leading > 0, name == "hevc", "only this encoder leaves groups open");
            assert!((all - leading..=all).contains(&checked.video[0].decoded), "{ending}: {checked:?}");
            let count = "-count_frames -select_streams v -show_entries stream=codec_name,nb_read_frames";
            let found = probe(&path, count);
            let found: Vec<&str> = found.split_whitespace().take(2).collect();
            assert_eq!(found, [name, "150"], "{ending}");
            let starts = probe(&path, "-select_streams v:0 -show_entries stream=start_time");
            let start: f64 = starts.split_whitespace().next().unwrap().parse().unwrap();
            match ending {
                // Matroska has no time below zero, where the encoder's start of the sound lies.
                "mkv" => assert!((start - 0.021).abs() < 0.002, "{start}"),
                "ts" => assert!(start >= 1.4, "{start}"),
                _ => assert_eq!(start, 0.0, "{ending}"),
            }
            if !matches!(ending, "mkv" | "ts") {
                let tag = probe(&path, "-select_streams v -show_entries stream=codec_tag_string");
                assert_eq!(tag.trim(), if name == "hevc" { "hvc1" } else { "avc1" }, "{ending}");
                let bytes = std::fs::read(&path).unwrap();
                let place = |name: &[u8]| bytes.windows(4).position(|window| window == name).unwrap();
                assert!(place(b"moov") < place(b"mdat"), "{ending}: the index is not in front");
            }
            run("ffmpeg", &["-v", "error", "-xerror", "-i", path.to_str().unwrap(), "-f", "null", "-"]);
        }
    }
}

/// What encoders hand over: start codes, parameter sets apart.
#[test]
fn start_codes_go_in_as_well() {
    let dir = tempfile::tempdir().unwrap();
    for (codec, raw) in [(H264, "h264"), (H265, "hevc")] {
        let source = flash_and_beep(&dir.path().join(format!("{raw}.mp4")), "320x180", codec);
        let other = dir.path().join(format!("{raw}.ts"));
        run(
            "ffmpeg",
            &["-v", "error", "-i", source.to_str().unwrap(), "-c", "copy", other.to_str().unwrap()],
        );
        let mut annexb = stream(&other, ff::media::Type::Video);
        let zero = annexb.packets[0].pts().unwrap();
        for packet in &mut annexb.packets {
            packet.set_pts(packet.pts().map(|pts| pts - zero));
            packet.set_dts(packet.dts().map(|dts| dts - zero));
            packet.set_duration(3600);
        }
        assert!(package_ffi::facts(&annexb.parameters).extradata.starts_with(&[0, 0]), "start codes");
        let packets = annexb.packets.iter().map(|packet| (Track::Video(0), packet.clone())).collect();
        let job = Job { video: vec![annexb.track("v0")], audio: None, packets };
        for ending in ENDINGS {
            let path = dir.path().join(format!("{raw}-out.{ending}"));
            job.run(&file(&path));
            run("ffmpeg", &["-v", "error", "-xerror", "-i", path.to_str().unwrap(), "-f", "null", "-"]);
        }
        let folder = dir.path().join(format!("{raw}-ladder"));
        job.run(&ladder(&folder, 2));
    }
}

#[test]
fn damage_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let source = flash_and_beep(&dir.path().join("source.mp4"), "320x180", H264);
    for ending in ENDINGS {
        let path = dir.path().join(format!("out.{ending}"));
        let target = file(&path);
        let job = Job::of(&[&source], &target, AudioSpec::Copy, 0);
        job.run(&target);
        let good = std::fs::read(&path).unwrap();
        let verdict = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let error = check(&target, &path, &job.expected()).expect_err(ending);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{ending}: {error}");
            error.to_string()
        };
        // A bit within a picture in the middle of the file, and one within the sound.
        let within = |payload: &[u8]| {
            let part = &payload[payload.len() / 2..payload.len() / 2 + 24];
            good.windows(24).position(|window| window == part)
        };
        for track in [Track::Video(0), Track::Audio] {
            let packets = job.packets.iter().filter(|(of, packet)| *of == track && packet.size() > 48);
            let places: Vec<usize> =
                packets.filter_map(|(_, packet)| within(packet.data().unwrap())).collect();
            let place = places[places.len() / 2] + 12;
            let mut flipped = good.clone();
            flipped[place] ^= 0x10;
            println!("{ending}, {track:?}: {}", verdict(&flipped));
        }
        println!("{ending}, cut: {}", verdict(&good[..good.len() * 3 / 4]));
        println!("{ending}, empty: {}", verdict(&[]));
        // A packet that was not written.
        for dropped in [Track::Video(0), Track::Audio] {
            let mut less = Job::of(&[&source], &target, AudioSpec::Copy, 0);
            let at =
                less.packets.iter().rposition(|(of, packet)| *of == dropped && packet.size() > 0).unwrap();
            less.packets
                .remove(at - less.packets[..at].iter().rev().position(|(of, _)| *of == dropped).unwrap() - 1);
            less.write(&target, &path).unwrap();
            println!("{ending}, dropped: {}", verdict(&std::fs::read(&path).unwrap()));
        }
        // Sound that is 40 ms late.
        let mut late = Job::of(&[&source], &target, AudioSpec::Copy, 0);
        for (_, packet) in late.packets.iter_mut().filter(|(of, _)| *of == Track::Audio) {
            packet.set_pts(packet.pts().map(|pts| pts + 1920));
            packet.set_dts(packet.dts().map(|dts| dts + 1920));
        }
        late.write(&target, &path).unwrap();
        println!("{ending}, late: {}", verdict(&std::fs::read(&path).unwrap()));
    }
}

/// The pictures begin later than the sound, and pictures are decoded before zero.
#[test]
fn times_stay_what_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let source = flash_and_beep(&dir.path().join("source.mp4"), "320x180", H264);
    for ending in ENDINGS {
        let path = dir.path().join(format!("out.{ending}"));
        let mut job = Job::of(&[&source], &file(&path), AudioSpec::Copy, 0);
        let third = (0.3 / f64::from(job.video[0].time_base)).round() as i64;
        for (_, packet) in job.packets.iter_mut().filter(|(of, _)| *of == Track::Video(0)) {
            packet.set_pts(packet.pts().map(|pts| pts + third));
            packet.set_dts(packet.dts().map(|dts| dts + third));
        }
        let checked = job.run(&file(&path));
        let sound = checked.audio.unwrap();
        let apart = checked.video[0].first - sound.first;
        assert!((apart - 0.3 - 1024.0 / 48000.0).abs() < 0.0025, "{ending}: {checked:?}");
    }
}

#[test]
fn a_turn_and_a_pixel_aspect_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let source = flash_and_beep(&dir.path().join("source.mp4"), "320x180", "-vf setsar=4/3 -c:v libx264 -an");
    let path = dir.path().join("out.mp4");
    let mut job = Job::of(&[&source], &file(&path), AudioSpec::Auto, 0);
    // A quarter turn in fixed point numbers, 16.16 and 2.30.
    job.video[0].matrix = Some([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30]);
    job.run(&file(&path));
    assert_eq!(probe(&path, "-show_entries stream_side_data=rotation").trim(), "-90");
    for ending in ["mp4", "mkv"] {
        let path = dir.path().join(format!("aspect.{ending}"));
        Job::of(&[&source], &file(&path), AudioSpec::Auto, 0).run(&file(&path));
        let aspect = probe(&path, "-show_entries stream=sample_aspect_ratio");
        assert_eq!(aspect.trim(), "4:3", "{ending}");
    }
}

const FULL_DISK: &str = "VITRAIL_TEST_FULL_DISK";

/// A job onto a file system of a few pages, in a mount name space of its own. Once much smaller than
/// the result, and once so that only its completion does not fit any more.
#[test]
fn a_full_disk_is_reported() {
    if let Ok(folder) = std::env::var(FULL_DISK) {
        return onto_a_full_disk(Path::new(&folder));
    }
    let dir = tempfile::tempdir().unwrap();
    let source =
        flash_and_beep(&dir.path().join("source.mp4"), "640x360", &H264.replace("-bf", "-crf 5 -bf"));
    let mount = dir.path().join("mount");
    std::fs::create_dir(&mount).unwrap();
    for ending in ["mp4", "mkv", "ts", "hls"] {
        let name = dir.path().join(format!("whole.{ending}"));
        let target = if ending == "hls" { ladder(&name, 1) } else { file(&name) };
        Job::of(&[&source], &target, AudioSpec::Copy, 0).run(&target);
        let pages: u64 = match std::fs::read_dir(&name) {
            Ok(files) => files.map(|file| file.unwrap().metadata().unwrap().len().div_ceil(4096)).sum(),
            Err(_) => std::fs::metadata(&name).unwrap().len().div_ceil(4096),
        };
        for room in [pages / 3, pages - 1] {
            let script = "mount -t tmpfs -o size=\"$1\" none \"$2\" || exit 77; exec \"$3\" --exact \"$4\" --nocapture";
            let done = Command::new("unshare")
                .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
                .arg((room * 4096).to_string())
                .arg(&mount)
                .arg(std::env::current_exe().unwrap())
                .arg("transcode::tests::files::a_full_disk_is_reported")
                .env(FULL_DISK, &mount)
                .env("VITRAIL_TEST_SOURCE", &source)
                .env("VITRAIL_TEST_ENDING", ending)
                .output();
            let Some(done) = done.ok().filter(|done| ![Some(1), Some(77)].contains(&done.status.code()))
            else {
                println!("skipped: no file system can be mounted here");
                return;
            };
            let text = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(done.status.success(), "{ending}, {room} of {pages} pages: {text}");
            assert!(text.contains("reported: "), "{ending}, {room} pages: {text}");
            println!(
                "{ending}, {room} of {pages} pages: {}",
                text.lines().find(|l| l.contains("reported")).unwrap()
            );
        }
    }
}

fn onto_a_full_disk(folder: &Path) {
    let ending = std::env::var("VITRAIL_TEST_ENDING").unwrap();
    let name = folder.join(format!("out.{ending}"));
    let target = if ending == "hls" { ladder(&name, 1) } else { file(&name) };
    let source = std::env::var("VITRAIL_TEST_SOURCE").unwrap();
    let job = Job::of(&[Path::new(&source)], &target, AudioSpec::Copy, 0);
    let error = job.write(&target, target.path()).expect_err("the disk is full");
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert_eq!(error.message(), "the disk is full; free some space");
    println!("reported: {error}");
}

/// Where nothing can be mounted, a device that is always full shows the same.
#[test]
fn a_full_device_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let source = flash_and_beep(&dir.path().join("source.mp4"), "320x180", H264);
    let target = file(&dir.path().join("out.ts"));
    let job = Job::of(&[&source], &target, AudioSpec::Copy, 0);
    let error = job.write(&target, Path::new("/dev/full")).expect_err("always full");
    assert_eq!((error.kind(), error.message()), (ErrorKind::Io, "the disk is full; free some space"));
    let lost = dir.path().join("missing/out.ts");
    let error = job.write(&target, &lost).expect_err("no such folder");
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn what_cannot_be_packaged_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let source = flash_and_beep(&dir.path().join("source.mkv"), "320x180", "-c:v ffv1 -c:a aac");
    let target = file(&dir.path().join("out.mp4"));
    let job = Job::of(&[&source], &target, AudioSpec::Drop, 0);
    let error = job.write(&target, target.path()).expect_err("no FFV1 in MP4");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let unknown = file(&dir.path().join("out.xyz"));
    let error = job.write(&unknown, unknown.path()).expect_err("no such container");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let target = file(&dir.path().join("out.mkv"));
    let checked = job.run(&target);
    assert_eq!(checked.audio, None);
    let h264 = flash_and_beep(&dir.path().join("source.mp4"), "320x180", H264);
    let pictures = stream(&h264, ff::media::Type::Video);
    let mut untimed = pictures.packets[0].clone();
    untimed.set_dts(None);
    for target in [target, ladder(&dir.path().join("ladder"), 2)] {
        let mut packager = Packager::create(&target, target.path(), &[pictures.track("v0")], None).unwrap();
        let error = packager.write(Track::Video(0), untimed.clone()).expect_err("no decoding time");
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    }
}
