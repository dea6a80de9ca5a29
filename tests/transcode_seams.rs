//! Sound over seams and cuts: recordings that were joined, cut within a frame or begin before their pictures come
//! out whole and in order, copied or encoded, whatever the container.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const H264: [&str; 8] = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25"];
/// What may be asked for; the first two copy the sound where the target holds it.
const WAYS: [&[&str]; 4] =
    [&[], &["--codec", "h264", "--preset", "ultrafast"], &["--audio", "aac"], &["--salvage"]];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn ffmpeg(args: &[&str]) {
    let out = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(args).output().unwrap();
    assert!(out.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Three seconds of pictures and a tone of a codec. `late`: by how much the pictures and the sound begin later.
fn clip(path: &Path, codec: &[&str], late: [&str; 2], more: &[&str]) {
    let sources =
        ["testsrc2=size=160x90:rate=25:duration=3", "sine=frequency=440:sample_rate=48000:duration=3"];
    let mut args = vec!["-itsoffset", late[0], "-f", "lavfi", "-i", sources[0]];
    args.extend(["-itsoffset", late[1], "-f", "lavfi", "-i", sources[1], "-pix_fmt", "yuv420p"]);
    // No pictures made up where they begin later.
    args.extend(["-fps_mode", "passthrough"]);
    ffmpeg(&[&args[..], &H264, &["-c:a"], codec, more, &[text(path)]].concat());
}

fn joined(path: &Path, parts: &[&Path]) {
    std::fs::write(path, parts.iter().flat_map(|part| std::fs::read(part).unwrap()).collect::<Vec<u8>>())
        .unwrap();
}

/// Runs `vitrail transcode`: exit code, the one outcome, stderr.
fn transcode(args: &[&str]) -> (i32, Value, String) {
    let (code, stdout, stderr) = common::run(&[&["transcode", "--json", "--log", "warn"], args].concat());
    let mut lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    (code, lines.rfind(|line| line["event"] == "outcome").unwrap_or_default(), stderr)
}

/// Times of the packets of a kind, in seconds.
fn times(path: &Path, kind: &str) -> Vec<f64> {
    let entries = ["-show_entries", "packet=pts_time", "-of", "csv=p=0", "-select_streams", kind];
    let out = Command::new("ffprobe").args(["-v", "error"]).args(entries).arg(path).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

/// Transcodes a source to every target, in every way or in one that `turn` chooses, and looks at what came out: so many
/// pictures, and sound that goes forward, from `heard.0` to `heard.1` in seconds of the pictures' time.
fn comes_out(source: &Path, targets: &[&str], pictures: usize, heard: (f64, f64), turn: Option<usize>) {
    let folder = tempfile::tempdir().unwrap();
    for (place, ending) in targets.iter().enumerate() {
        for (way, options) in WAYS.iter().enumerate() {
            if turn.is_some_and(|turn| !common::is_tried(turn + place + way, WAYS.len())) {
                continue;
            }
            let name = folder.path().join(format!("{way}{ending}"));
            let ladder = ["--ladder", "90:200k", "--segment", "2s"];
            let options = match *ending {
                // A ladder is encoded; to salvage is asked for on top.
                "/" => [*options, &ladder].concat(),
                _ => options.to_vec(),
            };
            let target = format!("{}{}", text(&folder.path().join(format!("{way}"))), ending);
            let (code, outcome, stderr) = transcode(&[&[text(source), "-o", &target], &options[..]].concat());
            let what = format!("{} {options:?} {ending}", source.display());
            assert_eq!(code, 0, "{what}: {outcome} {stderr}");
            let (shown, sound) = match *ending {
                "/" => {
                    let folder = folder.path().join(format!("{way}"));
                    (times(&folder.join("90p.m3u8"), "v"), times(&folder.join("audio.m3u8"), "a"))
                }
                _ => (times(&name, "v"), times(&name, "a")),
            };
            assert_eq!(shown.len(), pictures, "{what}: {outcome}");
            assert!(sound.windows(2).all(|w| w[0] < w[1]), "{what}: {sound:?}");
            let zero = shown.iter().copied().fold(f64::MAX, f64::min);
            let (first, last) = (sound[0] - zero, sound[sound.len() - 1] - zero);
            // What is heard before the first picture may be kept: players begin with the picture. Sound that is
            // encoded begins with the pictures, with silence where there is none.
            assert!((-0.5..heard.0 + 0.15).contains(&first), "{what}: sound from {first}");
            assert!((heard.1 - 0.4..heard.1 + 0.1).contains(&last), "{what}: sound until {last}");
        }
    }
}

const ALL: [&str; 4] = [".mp4", ".mkv", ".ts", "/"];

#[test]
fn joined_transport_streams_have_sound_from_end_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let offset = |seconds: &'static str| ["-output_ts_offset", seconds];
    for (codec, targets) in [
        (&["aac", "-ar", "8000"][..], &ALL[..]),
        (&["mp2"], &[".mkv", ".ts"]),
        (&["ac3"], &[".mp4", ".ts"]),
        (&["libopus"], &[".mp4", ".mkv"]),
    ] {
        clip(&at("one.ts"), codec, ["0", "0"], &[]);
        clip(&at("far.ts"), codec, ["0", "0"], &offset("50"));
        clip(&at("near.ts"), codec, ["0", "0"], &offset("5"));
        clip(&at("back.ts"), codec, ["0", "0"], &offset("2"));
        clip(&at("wraps.ts"), codec, ["0", "0"], &offset("95440.8"));
        clip(&at("early.ts"), codec, ["0.6", "0"], &[]);
        clip(&at("short.ts"), codec, ["0", "0"], &["-af", "atrim=end=2.4"]);
        for (turn, (name, parts, until)) in [
            ("again.ts", ["one.ts", "one.ts"], 6.0),
            ("gap.ts", ["one.ts", "far.ts"], 6.0),
            ("pause.ts", ["one.ts", "near.ts"], 8.0),
            ("overlap.ts", ["one.ts", "back.ts"], 6.0),
            ("wrapped.ts", ["one.ts", "wraps.ts"], 6.0),
            ("sound-first.ts", ["short.ts", "early.ts"], 5.5),
        ]
        .into_iter()
        .enumerate()
        {
            joined(&at(name), &[&at(parts[0]), &at(parts[1])]);
            comes_out(&at(name), targets, 150, (0.0, until), Some(turn));
        }
    }
}

#[test]
fn sound_may_begin_before_its_pictures_or_after_them() {
    let dir = tempfile::tempdir().unwrap();
    for codec in [&["aac"][..], &["ac3"], &["libopus"], &["libmp3lame"]] {
        for (turn, ending) in ["mkv", "mp4", "ts"].into_iter().enumerate() {
            let source = dir.path().join(format!("{}.{ending}", codec[0]));
            clip(&source, codec, ["1.4", "0"], &[]);
            comes_out(&source, &ALL, 75, (0.0, 1.6), Some(turn));
            clip(&source, codec, ["0", "0.7"], &[]);
            comes_out(&source, &ALL, 75, (0.7, 3.7), Some(turn + 1));
        }
    }
}

/// When flashes and beeps begin, in seconds, as FFmpeg decodes a file.
fn flashes_and_beeps(path: &Path) -> (Vec<f64>, Vec<f64>) {
    let filters =
        "[0:v]signalstats,metadata=print:key=lavfi.signalstats.YAVG[v];[0:a]silencedetect=n=-30dB:d=0.2[a]";
    let args = ["-nostdin", "-hide_banner", "-i", text(path), "-filter_complex", filters];
    let out = Command::new("ffmpeg")
        .args(args)
        .args(["-map", "[v]", "-map", "[a]", "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let after = |line: &str, word: &str| -> Option<f64> {
        line.split(word).nth(1)?.split_whitespace().next()?.parse().ok()
    };
    let (mut flashes, mut beeps, mut time, mut bright) = (Vec::new(), Vec::new(), 0.0, false);
    for line in said.lines() {
        time = after(line, "pts_time:").unwrap_or(time);
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

/// Behind a seam, too, whichever of the two was read first there and whichever ended first before.
#[test]
fn beeps_stay_with_their_flashes_over_seams() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let flash = "color=black:s=160x90:r=25:d=4,drawbox=c=white:t=fill:enable='lt(mod(t+0.52\\,1)\\,0.119)'";
    let beep = "aevalsrc=sin(2*PI*1000*t)*lt(mod(t+0.52\\,1)\\,0.12):s=48000:d=4";
    let made = |name: &str, more: &[&str]| {
        let inputs =
            ["-f", "lavfi", "-i", flash, "-f", "lavfi", "-i", beep, "-pix_fmt", "yuv420p", "-c:a", "aac"];
        ffmpeg(&[&inputs[..], &H264, more, &[text(&at(name))]].concat());
    };
    made("plain.ts", &[]);
    made("less-sound.ts", &["-af", "atrim=end=3.3"]);
    made("less-picture.ts", &["-vf", "trim=end=3.3"]);
    made("late-picture.ts", &["-vf", "trim=start=0.32"]);
    made("late-sound.ts", &["-af", "atrim=start=0.35"]);
    for (one, two) in [
        ("plain.ts", "plain.ts"),
        ("less-sound.ts", "late-picture.ts"),
        ("less-picture.ts", "late-sound.ts"),
        ("less-sound.ts", "late-sound.ts"),
        ("less-picture.ts", "late-picture.ts"),
    ] {
        let both = at("both.ts");
        joined(&both, &[&at(one), &at(two)]);
        for ending in ["mp4", "mkv"] {
            for options in [&[][..], &["--audio", "aac"], &["--codec", "h264", "--preset", "ultrafast"]] {
                let target = at(&format!("out.{ending}"));
                let args = [&[text(&both), "-o", text(&target), "--overwrite"], options].concat();
                let (code, outcome, stderr) = transcode(&args);
                let what = format!("{one} {two} {ending} {options:?}");
                assert_eq!(code, 0, "{what}: {outcome} {stderr}");
                let (flashes, beeps) = flashes_and_beeps(&target);
                assert!(flashes.len() >= 6, "{what}: {flashes:?}");
                for flash in &flashes {
                    let near = beeps.iter().map(|beep| (beep - flash).abs()).fold(f64::MAX, f64::min);
                    // Where sound of the first part goes on behind its pictures, that of the second has no place.
                    let at_seam = (3.3..4.05).contains(flash);
                    assert!(near < 0.03 || at_seam, "{what}: {flashes:?} {beeps:?}");
                }
            }
        }
    }
}

/// Bytes from anywhere until anywhere: the first frame of sound has no head, the last no end.
#[test]
fn recordings_are_cut_within_frames_of_sound() {
    let dir = tempfile::tempdir().unwrap();
    for codec in [&["aac", "-b:a", "320k"][..], &["mp2"], &["ac3"], &["libmp3lame"]] {
        let whole = dir.path().join("whole.ts");
        clip(&whole, codec, ["0", "0"], &[]);
        let bytes = std::fs::read(&whole).unwrap();
        for (turn, (from, to)) in [(0.2, 0.9), (0.27, 0.83), (0.33, 0.71)].into_iter().enumerate() {
            let place = |part: f64| (bytes.len() as f64 * part) as usize;
            let cut: PathBuf = dir.path().join("cut.ts");
            std::fs::write(&cut, &bytes[place(from)..place(to)]).unwrap();
            let folder = tempfile::tempdir().unwrap();
            for (place, ending) in [".mp4", ".mkv", ".ts"].into_iter().enumerate() {
                for (way, options) in WAYS.iter().enumerate() {
                    if !common::is_tried(turn + place + way, 2) {
                        continue;
                    }
                    let target = folder.path().join(format!("{way}{ending}"));
                    let args = [&[text(&cut), "-o", text(&target)], *options].concat();
                    let (code, outcome, stderr) = transcode(&args);
                    let what = format!("{codec:?} {from} {to} {ending} {options:?}");
                    assert_eq!(code, 0, "{what}: {outcome} {stderr}");
                    let (shown, sound) = (times(&target, "v"), times(&target, "a"));
                    // Pictures from the first key frame on, one of which comes each second; beside a few of them there
                    // may be no sound.
                    assert!(shown.len() >= 3, "{what}: {shown:?}");
                    assert!(sound.len() >= 3 || shown.len() < 10, "{what}: {shown:?} {sound:?}");
                    assert!(sound.windows(2).all(|w| w[0] < w[1]), "{what}: {sound:?}");
                }
            }
        }
    }
}

/// A recording whose sound becomes another in the middle cannot be copied, and is not.
#[test]
fn sound_that_changes_on_the_way_is_encoded() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("one.ts"), &["aac", "-ar", "48000", "-ac", "1"], ["0", "0"], &[]);
    clip(&at("two.ts"), &["aac", "-ar", "16000", "-ac", "2"], ["0", "0"], &[]);
    joined(&at("both.ts"), &[&at("one.ts"), &at("two.ts")]);
    comes_out(&at("both.ts"), &ALL, 150, (0.0, 6.0), None);
    let (code, outcome, _) = transcode(&[text(&at("both.ts")), "-o", text(&at("x.mp4")), "--audio", "copy"]);
    let message = outcome["error"]["message"].as_str().unwrap_or_default();
    assert!(code != 0 && message.contains("both.ts") && message.contains("choose AAC"), "{outcome}");
}

/// Recordings as they came in.
#[test]
fn cases_that_were_refused_come_out() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases");
    if !cases.exists() {
        eprintln!("skipped: {} is not here", cases.display());
        return;
    }
    comes_out(&cases.join("ts-joined/twice.ts"), &ALL, 150, (0.0, 6.0), None);
    comes_out(&cases.join("ts-cut-start/cut.ts"), &ALL, 50, (0.0, 2.0), None);
}
