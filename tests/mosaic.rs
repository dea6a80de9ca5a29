//! Offline mosaics end to end: which picture each tick shows, fidelity, determinism, outputs, errors.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use vitrail_simulator::Profile;
use vitrail_simulator::code::{self, Code, Region};

const WIDTH: usize = 640;
const HEIGHT: usize = 360;

/// Runs ffmpeg to its end.
fn ffmpeg(args: &[&str]) {
    let out = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(args).output().unwrap();
    assert!(out.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A clip whose every picture carries its camera's and its own number.
fn clip(path: &Path, camera: u16, frames: usize, rate: &str, encoder: &[&str]) {
    let (half, rest) = (WIDTH / 2, HEIGHT / 2);
    let mut raw = Vec::with_capacity(frames * WIDTH * HEIGHT * 3 / 2);
    for frame in 0..frames {
        // Something moves, so that B-pictures are worth the encoder's while.
        let mut luma: Vec<u8> =
            (0..WIDTH * HEIGHT).map(|i| 60 + ((i % WIDTH + i / WIDTH + 5 * frame) % 128) as u8).collect();
        let mut chroma = [vec![110u8; half * rest], vec![140u8; half * rest]];
        let [u, v] = &mut chroma;
        let stamped = Code { camera, profile: Profile::Main, frame: frame as u32 };
        code::stamp(&stamped, (WIDTH, HEIGHT), (&mut luma, WIDTH), [(u, half), (v, half)]);
        raw.extend(luma);
        raw.extend(chroma.concat());
    }
    let source = path.with_extension("raw");
    std::fs::write(&source, raw).unwrap();
    let mut args = vec!["-f", "rawvideo", "-s", "640x360", "-r", rate, "-i", text(&source)];
    args.extend(["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-sc_threshold", "0"]);
    args.extend(encoder);
    args.push(text(path));
    ffmpeg(&args);
    std::fs::remove_file(source).unwrap();
}

/// Runs `vitrail mosaic` over these inputs; fails the test where it fails.
fn mosaic(inputs: &[&Path], output: &Path, options: &[&str]) -> serde_json::Value {
    let mut args = vec!["mosaic", "--json", "--log", "warn", "-o", text(output)];
    for input in inputs {
        args.extend(["-i", text(input)]);
    }
    args.extend(options);
    let (code, stdout, stderr) = common::run(&args);
    assert_eq!(code, 0, "{args:?}: {stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// The code in each tile of each picture of a raw file.
fn codes(path: &Path, (width, height): (usize, usize), grid: (usize, usize)) -> Vec<Vec<Option<Code>>> {
    let bytes = std::fs::read(path).unwrap();
    let picture = width * height * 3 / 2;
    assert_eq!(bytes.len() % picture, 0, "whole pictures");
    let tiles = |luma: &[u8]| {
        let tile = |n: usize| Region::tile((width, height), grid, (n % grid.0, n / grid.0));
        (0..grid.0 * grid.1).map(|n| code::read(luma, width, (width, height), Some(tile(n)))).collect()
    };
    bytes.chunks_exact(picture).map(tiles).collect()
}

/// The number of the picture of an input that a tick of 25 a second shows. Matroska rounds times to
/// milliseconds, and a picture so little after a tick belongs to it.
fn newest(input: &Input, tick: usize) -> usize {
    let newest = if input.name.ends_with("mkv") {
        let ms = |n: usize| (n * 2000 * input.rate.1 / input.rate.0).div_ceil(2);
        (0..).take_while(|n| ms(*n) <= 40 * tick + 1).last().unwrap()
    } else {
        tick * input.rate.0 / (25 * input.rate.1)
    };
    newest.min(input.frames - 1)
}

struct Input {
    name: &'static str,
    rate: (usize, usize),
    frames: usize,
    encoder: &'static [&'static str],
}

const INPUTS: [Input; 6] = [
    Input { name: "25b.mp4", rate: (25, 1), frames: 75, encoder: &["-bf", "2", "-g", "25"] },
    Input { name: "12.5.mkv", rate: (25, 2), frames: 25, encoder: &["-bf", "0", "-g", "10"] },
    Input { name: "29.97b.ts", rate: (30_000, 1001), frames: 80, encoder: &["-bf", "3", "-g", "30"] },
    Input {
        name: "50b.mp4",
        rate: (50, 1),
        frames: 150,
        encoder: &["-bf", "2", "-b_strategy", "0", "-g", "50"],
    },
    Input { name: "29.97b.mkv", rate: (30_000, 1001), frames: 80, encoder: &["-bf", "2", "-g", "30"] },
    Input { name: "25b.h264", rate: (25, 1), frames: 60, encoder: &["-bf", "2", "-g", "25"] },
];

fn clips(dir: &Path) -> Vec<PathBuf> {
    let make = |(n, input): (usize, &Input)| {
        let path = dir.join(input.name);
        let rate = format!("{}/{}", input.rate.0, input.rate.1);
        clip(&path, n as u16 + 1, input.frames, &rate, input.encoder);
        path
    };
    INPUTS.iter().enumerate().map(make).collect()
}

const SIX: &[&str] = &["--grid", "3x2", "--size", "960x360", "--lossless"];

#[test]
fn every_tick_shows_the_newest_picture_that_is_not_later() {
    let dir = tempfile::tempdir().unwrap();
    let clips = clips(dir.path());
    let inputs: Vec<&Path> = clips.iter().map(PathBuf::as_path).collect();
    let exact = dir.path().join("exact.yuv");
    let report = mosaic(&inputs, &exact, SIX);
    let pictures = codes(&exact, (960, 360), (3, 2));
    // As long as the longest inputs: three seconds.
    assert_eq!(pictures.len(), 75);
    assert_eq!(report["pictures"], 75);
    for (tick, tiles) in pictures.iter().enumerate() {
        for (n, (input, tile)) in INPUTS.iter().zip(tiles).enumerate() {
            let newest = newest(input, tick);
            let code = tile.unwrap_or_else(|| panic!("tick {tick}: no code in the tile of {}", input.name));
            assert_eq!(
                (code.camera, code.frame),
                (n as u16 + 1, newest as u32),
                "tick {tick}, {}",
                input.name
            );
        }
    }
    for (input, reported) in INPUTS.iter().zip(report["inputs"].as_array().unwrap()) {
        assert_eq!(reported["decoded"], input.frames, "{}", input.name);
        assert_eq!(reported["damaged"], 0, "{}", input.name);
    }
    assert_eq!(report["inputs"][3]["shown"], 75, "every second picture of 50 a second");

    // The same on any number of workers.
    let whole = std::fs::read(&exact).unwrap();
    for workers in ["1", "5"] {
        let again = dir.path().join(format!("{workers}.yuv"));
        mosaic(&inputs, &again, &[SIX, &["--workers", workers]].concat());
        assert!(std::fs::read(&again).unwrap() == whole, "{workers} workers give another mosaic");
    }

    // Less effort shows the same pictures, and leaves some out.
    let balanced = dir.path().join("balanced.yuv");
    let report = mosaic(&inputs, &balanced, &[SIX, &["--effort", "balanced"]].concat());
    assert_eq!(codes(&balanced, (960, 360), (3, 2)), pictures);
    assert!(report["inputs"][3]["skipped"].as_u64().unwrap() > 20, "{report}");
    assert_eq!(report["inputs"][0]["skipped"], 0);

    // Key frames stay until the next, for as long as the files are.
    let keyframes = dir.path().join("keyframes.yuv");
    mosaic(&inputs, &keyframes, &[SIX, &["--effort", "keyframes"]].concat());
    let shown = codes(&keyframes, (960, 360), (3, 2));
    assert_eq!(shown.len(), 75);
    // Nor does it matter how many work on it.
    for workers in ["1", "6"] {
        let again = dir.path().join(format!("keyframes-{workers}.yuv"));
        mosaic(&inputs, &again, &[SIX, &["--effort", "keyframes", "--workers", workers]].concat());
        let same = std::fs::read(&again).unwrap() == std::fs::read(&keyframes).unwrap();
        assert!(same, "{workers} workers give another preview");
    }
    for (tick, tiles) in shown.iter().enumerate() {
        let gops = [25, 10, 30, 50, 30, 25];
        for ((input, gop), tile) in INPUTS.iter().zip(gops).zip(tiles) {
            let newest = newest(input, tick);
            assert_eq!(tile.unwrap().frame as usize, newest / gop * gop, "tick {tick}, {}", input.name);
        }
    }
}

/// A preview's picture is written once and lasts: whoever plays it sees the same at every tick.
#[test]
fn a_preview_writes_a_picture_that_stays_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    // Key frames at 0, 1.6 and 3.2 s of four.
    clip(&path, 9, 100, "25", &["-bf", "2", "-g", "40"]);
    for (name, options) in [
        ("a.mp4", &["--zerolatency"][..]),
        ("b.mkv", &["--bitrate", "2M", "--gop", "25", "--preset", "fast"]),
        ("c.ts", &[]),
        ("d.mp4", &["--codec", "h265", "--preset", "ultrafast"]),
    ] {
        let out = dir.path().join(name).with_file_name(format!("preview-{name}"));
        let common = ["--size", "320x180", "--effort", "keyframes"];
        let report = mosaic(&[&path], &out, &[&common[..], options].concat());
        assert_eq!((report["pictures"].as_u64(), report["video_s"].as_f64()), (Some(100), Some(4.0)));
        let written = report["written"].as_u64().unwrap();
        assert!((4..=7).contains(&written), "{name}: three pictures, none longer than a second: {written}");
        let (pictures, key_frames) = frames_in(&out);
        assert_eq!(pictures, written, "{name}");
        // The interval counts in ticks, whatever the pictures last: at 0, 1, 2.6 and 3.96 s.
        assert_eq!(key_frames, if options.contains(&"--gop") { 4 } else { 2 }, "{name}");
        let raw = dir.path().join("even.yuv");
        ffmpeg(&["-i", text(&out), "-vf", "fps=25", "-pix_fmt", "yuv420p", "-f", "rawvideo", text(&raw)]);
        let shown: Vec<u32> = codes(&raw, (320, 180), (1, 1)).iter().map(|t| t[0].unwrap().frame).collect();
        let expected: Vec<u32> = (0..100).map(|tick| tick / 40 * 40).collect();
        assert_eq!(shown, expected, "{name}");
    }
}

/// Pictures of the first video stream of a file, and how many of them are key frames.
fn frames_in(path: &Path) -> (u64, usize) {
    let args = ["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=flags", "-of", "csv=p=0"];
    let out = Command::new("ffprobe").args(args).arg(text(path)).output().unwrap();
    let flags = String::from_utf8(out.stdout).unwrap();
    let packets: Vec<&str> = flags.lines().filter(|line| !line.is_empty()).collect();
    (packets.len() as u64, packets.iter().filter(|flags| flags.starts_with('K')).count())
}

#[test]
fn other_rates_and_a_given_length_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    clip(&path, 9, 50, "25", &["-bf", "2"]);
    let out = dir.path().join("a.yuv");
    let options = ["--size", "320x180", "--lossless", "--fps", "10", "--duration", "3s"];
    mosaic(&[&path], &out, &options);
    let frames: Vec<u32> = codes(&out, (320, 180), (1, 1)).iter().map(|t| t[0].unwrap().frame).collect();
    let expected: Vec<u32> = (0..30).map(|tick| (tick * 25 / 10).min(49)).collect();
    assert_eq!(frames, expected);
}

/// The frame numbers that FFmpeg's own decoding of a file gives.
fn oracle(path: &Path) -> Vec<u32> {
    let raw = path.with_extension("oracle.yuv");
    ffmpeg(&[
        "-i",
        text(path),
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "yuv420p",
        text(&raw),
    ]);
    codes(&raw, (WIDTH, HEIGHT), (1, 1)).iter().map(|tiles| tiles[0].unwrap().frame).collect()
}

#[test]
fn edit_lists_and_clocks_that_start_anew_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("whole.mp4"), 3, 60, "25", &["-bf", "2", "-g", "50"]);
    // Starts in the middle of a group of pictures: its head is there, but left out by the edit list.
    ffmpeg(&["-ss", "0.52", "-i", text(&at("whole.mp4")), "-c", "copy", text(&at("cut.mp4"))]);
    let expected = oracle(&at("cut.mp4"));
    assert!(expected[0] > 5, "the cut has an edit list: it begins with {}", expected[0]);
    let report = mosaic(&[&at("cut.mp4")], &at("cut.yuv"), &["--size", "640x360", "--lossless"]);
    let shown: Vec<u32> =
        codes(&at("cut.yuv"), (640, 360), (1, 1)).iter().map(|t| t[0].unwrap().frame).collect();
    assert_eq!(shown, expected);
    assert!(report["inputs"][0]["hidden"].as_u64().unwrap() > 0);

    // Two recordings in one transport stream: the second's clock begins before the first's end.
    ffmpeg(&["-i", text(&at("whole.mp4")), "-c", "copy", text(&at("part.ts"))]);
    let part = std::fs::read(at("part.ts")).unwrap();
    std::fs::write(at("twice.ts"), [part.clone(), part].concat()).unwrap();
    let report = mosaic(&[&at("twice.ts")], &at("twice.yuv"), &["--size", "640x360", "--lossless"]);
    let shown: Vec<u32> =
        codes(&at("twice.yuv"), (640, 360), (1, 1)).iter().map(|t| t[0].unwrap().frame).collect();
    let expected: Vec<u32> = (0..60).chain(0..60).collect();
    assert_eq!(shown, expected);
    assert_eq!(report["inputs"][0]["clock_jumps"], 1);
}

/// PSNR over all samples of two raw files.
fn psnr(a: &Path, b: &Path) -> f64 {
    let (a, b) = (std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
    assert_eq!(a.len(), b.len(), "as many pictures");
    let squares: u64 = a.iter().zip(&b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0f64.powi(2) * a.len() as f64 / squares.max(1) as f64).log10()
}

#[test]
fn exact_is_the_area_average_and_balanced_hides_what_it_leaves_out() {
    let footage = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/footage");
    let source = footage.join("dvrscan_traffic_camera.mp4");
    if !source.exists() {
        eprintln!("skipped: {} is not here", source.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let options = ["--size", "320x180", "--lossless", "--duration", "4s"];
    mosaic(&[&source], &at("exact.yuv"), &options);
    mosaic(&[&source], &at("balanced.yuv"), &[&options[..], &["--effort", "balanced"]].concat());
    let reference = at("reference.yuv");
    let scale = "scale=320:180:flags=area+accurate_rnd";
    let raw = ["-t", "4", "-vf", scale, "-pix_fmt", "yuv420p", "-f", "rawvideo", text(&reference)];
    ffmpeg(&[&["-i", text(&source)][..], &raw].concat());
    let exact = psnr(&at("exact.yuv"), &reference);
    let balanced = psnr(&at("balanced.yuv"), &at("exact.yuv"));
    eprintln!("exact {exact:.1} dB from FFmpeg's area average, balanced {balanced:.1} dB from exact");
    assert!(exact >= 40.0, "exact is {exact:.1} dB from the reference");
    assert!((45.0..90.0).contains(&balanced), "balanced is {balanced:.1} dB from exact");
}

#[test]
fn encoded_mosaics_are_whole_in_every_container() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("a.mp4"), 4, 40, "25", &["-bf", "2"]);
    for (name, options) in [
        ("a.crf.mp4", &["--crf", "20"][..]),
        ("b.mkv", &["--bitrate", "1M", "--zerolatency", "--preset", "ultrafast"]),
        ("c.ts", &["--gop", "10"]),
        ("d.mp4", &["--codec", "h265", "--preset", "ultrafast"]),
        ("e.mkv", &["--lossless"]),
        ("f.y4m", &["--lossless", "--labels", "--border", "2"]),
    ] {
        let inputs = [at("a.mp4")];
        let report = mosaic(&[&inputs[0]], &at(name), &[options, &["--size", "640x360"]].concat());
        assert_eq!(report["bytes"].as_u64().unwrap(), at(name).metadata().unwrap().len(), "{name}");
        assert_eq!(oracle(&at(name)), (0..40).collect::<Vec<u32>>(), "{name}");
    }
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("a.mp4"), 5, 10, "25", &[]);
    std::fs::write(at("empty.mp4"), "").unwrap();
    std::fs::write(
        at("garbage.mp4"),
        (0..40_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>(),
    )
    .unwrap();
    std::fs::write(at("there.mkv"), "kept").unwrap();
    ffmpeg(&["-f", "lavfi", "-i", "sine", "-t", "1", text(&at("sound.mp4"))]);
    let half = std::fs::read(at("a.mp4")).unwrap();
    std::fs::write(at("half.mp4"), &half[..half.len() / 2]).unwrap();
    let good = at("a.mp4");
    for (inputs, output, options, code, said) in [
        (vec!["none.mp4"], "out.mkv", &[][..], 4, "none.mp4: cannot be read"),
        (vec!["empty.mp4"], "out.mkv", &[], 1, "empty.mp4: is empty"),
        (vec!["garbage.mp4"], "out.mkv", &[], 1, "garbage.mp4: "),
        (vec!["half.mp4"], "out.mkv", &[], 1, "half.mp4: "),
        (vec!["sound.mp4"], "out.mkv", &[], 3, "sound.mp4: has no video"),
        (vec!["."], "out.mkv", &[], 4, "is a folder"),
        (vec![], "there.mkv", &[], 2, "there.mkv: is there already"),
        (vec![], "none/out.mkv", &[], 4, "its folder is missing"),
        (vec![], "out.gif", &[], 2, "out.gif: ends in none of"),
        (vec![], "out.mp4", &["--lossless"], 2, "cannot be lossless"),
        (vec![], "out.mkv", &["--preset", "warp"], 2, "preset"),
        (vec![], "out.mkv", &["--size", "101x100"], 2, "101"),
        (vec!["a.mp4"], "out.mkv", &["--grid", "1x1"], 2, "has too few tiles for 2 inputs"),
        (vec!["rtsp://admin:secret@127.0.0.1/x"], "out.mkv", &[], 3, "is no file; record it first"),
    ] {
        let mut args = vec!["mosaic".to_owned(), "-i".into(), text(&good).into()];
        for input in inputs {
            let path = if input.contains("://") { input.into() } else { text(&at(input)).to_owned() };
            args.extend(["-i".into(), path]);
        }
        args.extend(["-o".into(), text(&at(output)).into()]);
        args.extend(options.iter().map(|o| (*o).to_owned()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (got, _, stderr) = common::run(&args);
        assert_eq!(got, code, "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?} said: {stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
    assert_eq!(std::fs::read_to_string(at("there.mkv")).unwrap(), "kept");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    let left = left.iter().map(|n| n.to_string_lossy().into_owned());
    assert_eq!(left.filter(|n| n.contains("out") || n.contains("part")).count(), 0, "nothing is left behind");
    mosaic(&[&good], &at("there.mkv"), &["--overwrite", "--size", "320x180"]);
    assert!(oracle_len(&at("there.mkv")) == 10);
}

fn oracle_len(path: &Path) -> usize {
    let count =
        ["-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"];
    let out = Command::new("ffprobe").args(count).arg(path).output().unwrap();
    String::from_utf8_lossy(&out.stdout).trim().trim_end_matches(',').parse().unwrap()
}

#[test]
fn damage_in_the_middle_costs_pictures_and_not_the_job() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("a.ts"), 6, 100, "25", &["-bf", "2", "-g", "25"]);
    let mut bytes = std::fs::read(at("a.ts")).unwrap();
    let (from, to) = (bytes.len() / 3, bytes.len() / 2);
    bytes[from..to].iter_mut().for_each(|b| *b = 0x55);
    std::fs::write(at("hurt.ts"), bytes).unwrap();
    let report = mosaic(&[&at("hurt.ts")], &at("hurt.yuv"), &["--size", "640x360", "--lossless"]);
    let shown = codes(&at("hurt.yuv"), (640, 360), (1, 1));
    assert_eq!(shown.len(), 100, "{report}");
    assert_eq!(shown[99][0].unwrap().frame, 99);
    assert_eq!(shown[10][0].unwrap().frame, 10);
    assert!(report["inputs"][0]["decoded"].as_u64().unwrap() < 100);
}

#[test]
fn control_c_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("long.mp4");
    clip(&long, 7, 300, "25", &["-bf", "0"]);
    let input = text(&long).to_owned();
    let mut args =
        vec!["mosaic", "-o", "out.mp4", "--preset", "veryslow", "--size", "3840x2160", "--duration", "10m"];
    args.extend(["-i", &input].repeat(4));
    let mut program = common::Program::start(&args);
    let names = |folder: &Path| -> Vec<String> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    };
    let folder = program.dir.path().to_owned();
    let begun =
        common::eventually(Duration::from_secs(20), || names(&folder).iter().any(|n| n.ends_with(".part")));
    assert!(begun, "it said: {}", program.stderr());
    std::thread::sleep(Duration::from_millis(300));
    let status = program.interrupt();
    assert_eq!(status.code(), Some(130), "it said: {}", program.stderr());
    assert_eq!(names(&folder), ["stderr.txt"], "{}", program.stderr());
    assert!(program.stderr().contains("out.mp4 was not written"));
}
