//! Sound and pictures are in step in every container, however they got there: FFmpeg decodes what was
//! written, flashes and beeps are looked for, and their times compared.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::helpers::packages::*;
use crate::transcode::package::*;
use crate::transcode::spec::AudioSpec;

/// When flashes and beeps begin, in seconds, as FFmpeg decodes a file.
fn flashes_and_beeps(path: &Path) -> (Vec<f64>, Vec<f64>) {
    let filters = "[0:v]signalstats,metadata=print:key=lavfi.signalstats.YAVG[v];\
                   [0:a]silencedetect=n=-30dB:d=0.2[a]";
    let arguments = ["-nostdin", "-hide_banner", "-i", path.to_str().unwrap(), "-filter_complex", filters];
    let text = run("ffmpeg", &[&arguments[..], &["-map", "[v]", "-map", "[a]", "-f", "null", "-"]].concat());
    let after = |line: &str, word: &str| -> Option<f64> {
        line.split(word).nth(1)?.split_whitespace().next()?.parse().ok()
    };
    let (mut flashes, mut beeps, mut time, mut bright) = (Vec::new(), Vec::new(), 0.0, false);
    for line in text.lines() {
        if let Some(pts) = after(line, "pts_time:") {
            time = pts;
        }
        if let Some(luma) = after(line, "YAVG=") {
            if luma > 128.0 && !bright {
                flashes.push(time);
            }
            bright = luma > 128.0;
        }
        beeps.extend(after(line, "silence_end: "));
    }
    (flashes, beeps)
}

/// The furthest that a beep is from its flash, in seconds.
fn furthest(path: &Path, pairs: usize) -> f64 {
    let (flashes, mut beeps) = flashes_and_beeps(path);
    // The end of the sound ends a silence, too.
    beeps.retain(|beep| flashes.last().is_none_or(|last| *beep < last + 0.4));
    assert_eq!((flashes.len(), beeps.len()), (pairs, pairs), "{}: {flashes:?} {beeps:?}", path.display());
    flashes.iter().zip(&beeps).map(|(flash, beep)| (flash - beep).abs()).fold(0.0, f64::max)
}

#[test]
fn beeps_stay_with_their_flashes() {
    let dir = tempfile::tempdir().unwrap();
    for pictures_b in [0, 2] {
        let codec = format!("-c:v libx264 -preset ultrafast -bf {pictures_b} -c:a aac");
        let source = flash_and_beep(&dir.path().join(format!("b{pictures_b}.mp4")), "320x180", &codec);
        assert!(furthest(&source, 6) < 0.005, "the source itself");
        for spec in [AudioSpec::Copy, AudioSpec::Aac(96)] {
            for start in [0, 2] {
                for ending in ["mp4", "mov", "mkv", "ts", "hls"] {
                    let name = dir.path().join(format!("out-{pictures_b}-{spec:?}-{start}.{ending}"));
                    let target = if ending == "hls" { ladder(&name, 2) } else { file(&name) };
                    let checked = Job::of(&[&source], &target, spec, start).run(&target);
                    assert_eq!(checked.video[0].packets, 150 - 25 * start, "{ending}");
                    let played = if ending == "hls" { name.join("master.m3u8") } else { name.clone() };
                    let off = furthest(&played, 6 - start as usize);
                    println!("{}: {:.1} ms", name.file_name().unwrap().to_string_lossy(), off * 1e3);
                    assert!(off < 0.012, "{}: {off}", name.display());
                }
            }
        }
    }
}

/// The comparison itself sees sound that is late.
#[test]
fn late_sound_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let codec = "-c:v libx264 -preset ultrafast -c:a aac -af adelay=60";
    let source = flash_and_beep(&dir.path().join("late.mp4"), "320x180", codec);
    assert!(furthest(&source, 6) > 0.05);
}

/// A camera's sound of 8 kHz, sound of odd rates and many channels, all as AAC.
#[test]
fn sound_of_all_kinds_becomes_aac_in_step() {
    let dir = tempfile::tempdir().unwrap();
    let kinds = [
        ("alaw.mkv", "-c:a pcm_alaw -ar 8000 -ac 1", 8000, 1),
        ("mulaw.mov", "-c:a pcm_mulaw -ar 8000 -ac 2", 8000, 2),
        ("pcm.mkv", "-c:a pcm_s16le -ar 37800", 44100, 1),
        ("ac3.mkv", "-c:a ac3 -ac 6", 48000, 6),
        ("mp2.ts", "-c:a mp2 -ar 32000 -ac 2", 32000, 2),
        ("opus.mkv", "-c:a libopus -ac 2", 48000, 2),
        ("flac.mkv", "-c:a flac -ar 192000", 96000, 1),
    ];
    for (name, codec, rate, channels) in kinds {
        let codec = format!("-c:v libx264 -preset ultrafast -bf 0 {codec}");
        let source = flash_and_beep(&dir.path().join(name), "320x180", &codec);
        let source = zeroed(&source);
        let target = file(&dir.path().join(format!("{name}.mp4")));
        let job = Job::of(&[&source], &target, AudioSpec::Aac(64), 0);
        let known = package_ffi::facts(&job.audio.as_ref().unwrap().parameters);
        assert_eq!((known.sample_rate, known.channels), (rate, channels), "{name}");
        job.run(&target);
        let off = furthest(target.path(), 6);
        println!("{name}: {:.1} ms", off * 1e3);
        assert!(off < 0.012, "{name}: {off}");
    }
}

/// A transport stream counts from 1.4 s; jobs get times from zero.
fn zeroed(source: &Path) -> std::path::PathBuf {
    if source.extension().is_some_and(|ending| ending == "ts") {
        clip(&source.with_extension("mkv"), &format!("-i {} -c copy", source.display()))
    } else {
        source.to_owned()
    }
}
