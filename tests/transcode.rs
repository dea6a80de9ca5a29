//! Transcoding end to end: what goes in comes out right, broken inputs cost one line each, what is
//! there is kept, and nothing half-made is left.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

/// Runs ffmpeg to its end.
fn ffmpeg(args: &[&str]) {
    let out = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(args).output().unwrap();
    assert!(out.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A moving picture with a tone; `options` come before the name.
fn clip(path: &Path, seconds: u32, options: &[&str]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let picture = format!("testsrc2=size=320x240:rate=25:duration={seconds}");
    let tone = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    let mut args = vec!["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone];
    args.extend(["-pix_fmt", "yuv420p", "-g", "25"]);
    args.extend(options);
    args.push(text(path));
    ffmpeg(&args);
}

/// What ffprobe says of a file, all of its pictures counted.
fn probe(path: &Path) -> Value {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json"])
        .arg(path)
        .output()
        .unwrap();
    serde_json::from_slice(&out.stdout).unwrap()
}

fn stream<'a>(probed: &'a Value, kind: &str) -> Option<&'a Value> {
    probed["streams"].as_array()?.iter().find(|s| s["codec_type"] == kind)
}

fn pictures(path: &Path) -> u64 {
    let probed = probe(path);
    stream(&probed, "video").unwrap()["nb_read_frames"].as_str().unwrap().parse().unwrap()
}

/// Runs `vitrail transcode` with `--json`: exit code, outcomes by the name of their source, summary, stderr.
fn transcode(args: &[&str]) -> (i32, Vec<Value>, Value, String) {
    let (code, stdout, stderr) = common::run(&[&["transcode", "--json", "--log", "warn"], args].concat());
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect();
    let summary = lines.last().cloned().unwrap_or_default();
    let outcomes = lines.into_iter().filter(|line| line["event"] == "outcome").collect();
    (code, outcomes, summary, stderr)
}

/// Every name below a folder, hidden ones too.
fn names(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found
}

#[test]
fn one_file_comes_out_with_its_pictures_length_and_sound() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("a.avi"), 4, &["-c:v", "mpeg4", "-q:v", "4", "-c:a", "mp2"]);
    let (code, outcomes, summary, stderr) =
        transcode(&[text(&at("a.avi")), "-o", text(&at("b.mp4")), "--codec", "h264", "--height", "120"]);
    assert_eq!(code, 0, "{outcomes:?} {stderr}");
    assert_eq!((&summary["event"], &summary["done"]), (&"summary".into(), &1.into()));
    let report = &outcomes[0]["report"];
    assert_eq!(report["pictures"], 100);
    assert_eq!(report["bytes"], at("b.mp4").metadata().unwrap().len());
    let probed = probe(&at("b.mp4"));
    let video = stream(&probed, "video").unwrap();
    assert_eq!((&video["codec_name"], &video["nb_read_frames"]), (&"h264".into(), &"100".into()));
    assert_eq!((&video["width"], &video["height"]), (&160.into(), &120.into()));
    let length: f64 = probed["format"]["duration"].as_str().unwrap().parse().unwrap();
    assert!((length - 4.0).abs() < 0.1, "{length}");
    assert!(stream(&probed, "audio").is_some());
    assert_eq!(names(dir.path()), ["a.avi", "b.mp4"].map(String::from).into());
}

#[test]
fn what_needs_no_change_is_copied_packet_for_packet() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("a.mkv"), 3, &["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"]);
    let (code, outcomes, _, stderr) = transcode(&[text(&at("a.mkv")), "-o", text(&at("b.mp4"))]);
    assert_eq!(code, 0, "{outcomes:?} {stderr}");
    assert_eq!(outcomes[0]["report"]["copied"], true);
    let sum = |path: &Path| {
        let args = ["-v", "error", "-i", text(path), "-map", "0:v", "-f", "md5", "-"];
        String::from_utf8(Command::new("ffmpeg").args(args).output().unwrap().stdout).unwrap()
    };
    let expected = sum(&at("a.mkv"));
    assert!(expected.starts_with("MD5="), "{expected}");
    assert_eq!(sum(&at("b.mp4")), expected);
}

#[test]
fn a_folder_of_broken_inputs_costs_a_line_each_and_the_good_ones_are_done() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join("in").join(name);
    clip(&at("good.mp4"), 2, &["-c:v", "libx264", "-preset", "ultrafast"]);
    clip(&at("deep/good.ts"), 2, &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0"]);
    let whole = std::fs::read(at("good.mp4")).unwrap();
    // Its index is at its end, which is gone.
    std::fs::write(at("truncated.mp4"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(at("empty.mp4"), "").unwrap();
    let noise: Vec<u8> = (0..60_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(at("garbage.avi"), &noise).unwrap();
    std::fs::write(at("text.mkv"), "This is a letter, not a recording.\n".repeat(50)).unwrap();
    ffmpeg(&["-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", text(&at("sound.m4v"))]);
    // Named wrongly, but sound in itself: what it is counts, not what it is called.
    std::fs::copy(at("good.mp4"), at("really-mp4.avi")).unwrap();
    let out = dir.path().join("out");
    let folder = dir.path().join("in");
    let args = [text(&folder), "-o", text(&out), "--recursive", "--codec", "h264"];
    let (code, outcomes, summary, stderr) = transcode(&args);
    assert_eq!(code, 6, "{outcomes:?} {stderr}");
    let of = |name: &str| {
        let found = outcomes.iter().find(|o| o["input"].as_str().unwrap().ends_with(name));
        found.unwrap_or_else(|| panic!("{name} has no line: {outcomes:?}"))
    };
    for name in ["truncated.mp4", "empty.mp4", "garbage.avi", "text.mkv", "sound.m4v"] {
        let outcome = of(name);
        assert_eq!(outcome["result"], "failed", "{outcome}");
        let message = outcome["error"]["message"].as_str().unwrap();
        assert!(message.contains(name) && !message.contains('\n'), "{message}");
    }
    for name in ["in/good.mp4", "deep/good.ts", "really-mp4.avi"] {
        assert_eq!(of(name)["result"], "done", "{}", of(name));
    }
    assert_eq!((&summary["done"], &summary["failed"]), (&3.into(), &5.into()));
    let made = names(&out);
    assert_eq!(made, ["good.mp4", "deep/good.mp4", "really-mp4.mp4"].map(String::from).into());
    assert!(made.iter().all(|name| pictures(&out.join(name)) == 50));

    // People get the same, a line for each file, and nothing of a progress bar where there is no terminal.
    let args = [&["transcode"][..], &args, &["--skip-existing", "--log", "error"]].concat();
    let (code, stdout, stderr) = common::run(&args);
    assert_eq!(code, 6, "{stderr}");
    assert_eq!(stdout.lines().filter(|line| line.starts_with("failed ")).count(), 5, "{stdout}");
    assert_eq!(stdout.lines().filter(|line| line.starts_with("skipped ")).count(), 3, "{stdout}");
    assert_eq!(stdout.lines().count(), 1 + 8 + 1, "{stdout}");
    assert!(!stderr.contains('%'), "{stderr}");
}

#[test]
fn odd_pictures_are_done_or_refused_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join("in").join(name);
    std::fs::create_dir_all(dir.path().join("in")).unwrap();
    let raw = |size: &str, frames: &str, name: &str, codec: &[&str]| {
        let picture = format!("color=gray:rate=25:size={size}");
        let args = ["-f", "lavfi", "-i", &picture, "-frames:v", frames];
        ffmpeg(&[&args[..], codec, &[text(&at(name))]].concat());
    };
    // Cropped: the source of test pictures makes none so small.
    raw("16x16,format=rgb24,crop=1:1", "3", "tiny.avi", &["-c:v", "ffv1", "-pix_fmt", "bgr0"]);
    raw("7680x4320", "3", "huge.mp4", &["-c:v", "libx264", "-preset", "ultrafast"]);
    raw("322x242", "1", "single.mkv", &["-c:v", "libx264", "-pix_fmt", "yuv444p"]);
    raw("320x240", "25", "still.h264", &["-c:v", "libx264", "-bf", "0"]);
    let out = dir.path().join("out");
    let (code, outcomes, _, stderr) = transcode(&[
        text(&dir.path().join("in")),
        "-o",
        text(&out),
        "--codec",
        "h264",
        "--preset",
        "ultrafast",
    ]);
    assert!(code == 0 || code == 6, "{code}: {outcomes:?} {stderr}");
    assert_eq!(outcomes.len(), 4);
    let done: BTreeSet<String> = outcomes
        .iter()
        .filter(|outcome| outcome["result"] == "done")
        .map(|o| Path::new(o["output"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names(&out), done, "what is there is what was reported, and nothing else");
    for name in ["huge.mp4", "single.mp4", "still.mp4"] {
        assert!(done.contains(name), "{name}: {outcomes:?}");
    }
}

#[test]
fn existing_targets_are_kept_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("a.mp4"), 1, &["-c:v", "libx264", "-preset", "ultrafast"]);
    std::fs::write(at("b.mp4"), "kept").unwrap();
    let args = [text(&at("a.mp4")).to_owned(), "-o".into(), text(&at("b.mp4")).to_owned()];
    let with = |more: &[&str]| transcode(&[&args.each_ref().map(String::as_str), more].concat());
    let (code, outcomes, ..) = with(&[]);
    assert_eq!(code, 2);
    let said = outcomes[0]["error"]["message"].as_str().unwrap();
    assert!(said.contains("--overwrite replaces it"), "{said}");
    let (code, outcomes, ..) = with(&["--skip-existing"]);
    assert_eq!((code, &outcomes[0]["result"]), (0, &"skipped".into()));
    assert_eq!(std::fs::read_to_string(at("b.mp4")).unwrap(), "kept");
    let (code, ..) = with(&["--overwrite"]);
    assert_eq!(code, 0);
    assert_eq!(pictures(&at("b.mp4")), 25);
    assert_eq!(names(dir.path()), ["a.mp4", "b.mp4"].map(String::from).into());
}

#[test]
fn a_dry_run_plans_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("in/a.avi"), 2, &["-c:v", "mjpeg"]);
    clip(&at("in/b.mkv"), 2, &["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"]);
    std::fs::write(at("in/c.mp4"), "").unwrap();
    let before = names(dir.path());
    let (input, output) = (at("in"), at("new/out"));
    let args = ["transcode", text(&input), "-o", text(&output), "--dry-run", "--log", "warn"];
    let (code, stdout, stderr) = common::run(&args);
    assert_eq!(code, 6, "{stdout} {stderr}");
    assert!(stdout.contains("a.avi -> ") && stdout.contains("  encoded: "), "{stdout}");
    assert!(stdout.contains("b.mkv -> ") && stdout.contains("  copied: "), "{stdout}");
    assert!(stdout.contains("c.mp4: would fail: "), "{stdout}");
    assert!(stdout.trim_end().ends_with("nothing was written"), "{stdout}");
    assert_eq!(names(dir.path()), before);
    assert!(!at("new").exists());

    let (code, stdout, _) = common::run(&[&args[..], &["--json"]].concat());
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let plan = lines.iter().find(|l| l["input"].as_str().is_some_and(|i| i.ends_with("a.avi"))).unwrap();
    assert_eq!((&plan["event"], &plan["plan"]["pictures"]), (&"planned".into(), &50.into()));
    assert!(plan["plan"]["predicted"]["seconds"].as_f64().unwrap() > 0.0, "{plan}");
    let summary = lines.last().unwrap();
    assert_eq!((code, &summary["planned"], &summary["failed"]), (6, &2.into(), &1.into()));
    assert_eq!(names(dir.path()), before);
}

#[test]
fn what_would_go_wrong_is_refused_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("n/a.avi"), 1, &["-c:v", "mpeg4"]);
    std::fs::create_dir_all(at("s")).unwrap();
    std::fs::copy(at("n/a.avi"), at("s/a.mkv")).unwrap();
    let before = names(dir.path());
    let (north, south, out) = (at("n/a.avi"), at("s/a.mkv"), at("out"));
    let (north, south, out) = (text(&north), text(&south), text(&out));
    let file = at("b.mp4");
    for (args, said) in [
        (&[north, south, "-o", out][..], "would both become"),
        (&[north, south, "-o", text(&file)], "may be several results; name a folder"),
        (&[south, "-o", text(&at("s")), "--format", "mkv", "--overwrite"], "would be its own result"),
        (&[north, "-o", out, "--crf", "99", "--codec", "h246"], "--crf: is out of range: 0 to 51"),
        (&[north, "-o", "x.gif"], "ends in none of"),
        (&["rtsp://admin:hunter2@10.0.0.1/main", "-o", out], "--duration: a stream has no end"),
        (&[north, "-o", out, "--report", "none/x.json"], "its folder is missing"),
        (&["none/*.mp4", "-o", out], "finds no file"),
        (&["--job", "none.toml"], "none.toml: cannot be read"),
    ] {
        let (code, stdout, stderr) = common::run(&[&["transcode"], args].concat());
        let expected = if said.contains("folder is missing") { 4 } else { 2 };
        assert_eq!(code, expected, "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?} said: {stderr}");
        assert!(stdout.is_empty() && !stderr.contains("hunter2"), "{stdout} {stderr}");
    }
    assert_eq!(names(dir.path()), before);
}

#[test]
fn a_job_file_is_done_with_its_defaults_and_its_report() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    clip(&at("north/x/a.avi"), 2, &["-c:v", "mpeg4"]);
    clip(&at("south/b.ts"), 2, &["-c:v", "libx264", "-preset", "ultrafast"]);
    let job = "
        [job]
        workers = 2
        [defaults]
        codec = 'h264'
        preset = 'ultrafast'
        audio = 'drop'
        recursive = true
        [[task]]
        input = 'north'
        output = 'out'
        height = 120
        [[task]]
        input = 'south/*.ts'
        output = 'out/south'
        format = 'mkv'
        fps = 10
    ";
    std::fs::write(at("job.toml"), job).unwrap();
    let (job, report) = (at("job.toml"), at("report.json"));
    let (code, outcomes, _, stderr) = transcode(&["--job", text(&job), "--report", text(&report)]);
    assert_eq!(code, 0, "{outcomes:?} {stderr}");
    assert_eq!(pictures(&at("out/x/a.mp4")), 50);
    assert_eq!(pictures(&at("out/south/b.mkv")), 20);
    assert!(stream(&probe(&at("out/x/a.mp4")), "audio").is_none());
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!((&report["summary"]["done"], &report["summary"]["exit_code"]), (&2.into(), &0.into()));
    assert_eq!(report["jobs"][0]["result"], "done");
}

#[test]
fn the_schema_is_printed_and_is_toml() {
    let (code, stdout, stderr) = common::run(&["transcode", "--job-schema"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(toml::from_str::<toml::Table>(&stdout).is_ok());
    assert!(stdout.contains("# [[task]]\n") && stdout.contains("# target_size =\n"), "{stdout}");
}

#[test]
fn control_c_ends_in_order_and_the_same_command_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("long.mp4");
    clip(&long, 120, &["-c:v", "libx264", "-preset", "ultrafast"]);
    let options = ["--codec", "h264", "--preset", "veryslow", "--size", "1280x960"];
    let args = [&["transcode", text(&long), "-o", "out.mp4"][..], &options].concat();
    let mut program = common::Program::start(&args);
    let folder = program.dir.path().to_owned();
    let begun = common::eventually(Duration::from_secs(60), || {
        names(&folder).iter().any(|name| name.starts_with('.'))
    });
    assert!(begun, "it said: {}", program.stderr());
    let status = program.interrupt();
    assert_eq!(status.code(), Some(130), "it said: {}", program.stderr());
    assert!(!folder.join("out.mp4").exists(), "nothing has the name before it is whole");
    assert!(program.stderr().contains("goes on where it was"), "{}", program.stderr());
}

#[test]
fn real_recordings_come_out_whole() {
    let footage: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/footage");
    if !footage.is_dir() {
        eprintln!("skipped: {} is not here", footage.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    // Pictures as MANIFEST.tsv counts them; AVI with MS-MPEG4 and MPEG-4, raw H.264 and H.265, MP4.
    let inputs = [
        ("opencv_vtest.avi", 795),
        ("bgslibrary_video03.avi", 1699),
        ("libvpl_cars_320x240.h264", 30),
        ("kvs_h265_640x360.h265", 403),
        ("iacv_camera1.mp4", 375),
    ];
    let paths: Vec<String> = inputs.iter().map(|(name, _)| text(&footage.join(name)).to_owned()).collect();
    let mut args: Vec<&str> = paths.iter().map(String::as_str).collect();
    args.extend(["-o", text(&out), "--codec", "h264", "--preset", "ultrafast", "--within", "320x240"]);
    let (code, outcomes, _, stderr) = transcode(&args);
    assert_eq!(code, 0, "{outcomes:?} {stderr}");
    for (name, expected) in inputs {
        let path = out.join(name).with_extension("mp4");
        assert_eq!(pictures(&path), expected, "{name}");
    }
    assert_eq!(names(&out).len(), inputs.len());
}

#[test]
fn an_average_rate_is_kept_though_segments_are_unlike() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // Noise that comes and goes: parts of unlike cost.
    let picture = "testsrc2=size=320x240:rate=25:duration=60,noise=alls=20:allf=t:enable='lt(mod(t,23),9)'";
    let source = ["-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", "-g", "25"];
    ffmpeg(
        &[&source[..], &["-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", text(&at("a.mp4"))]]
            .concat(),
    );
    let source = at("a.mp4");
    let ours = at("ours.mp4");
    let args = [text(&source), "-o", text(&ours), "--codec", "h264", "--bitrate", "600k", "--jobs", "2"];
    let (code, outcomes, _, stderr) = transcode(&args);
    assert_eq!(code, 0, "{outcomes:?} {stderr}");
    assert!(outcomes[0]["report"]["segments"].as_u64().unwrap() >= 4, "{outcomes:?}");
    // FFmpeg's own run takes 1.03 of what it is asked for.
    let ratio = ours.metadata().unwrap().len() as f64 / (600e3 / 8.0 * 60.0);
    println!("{ratio:.3} of what was asked for");
    assert!((ratio - 1.0).abs() < 0.04, "{ratio}");
}

#[test]
fn a_stream_is_recorded_and_then_transcoded() {
    use vitrail_engine::base::SystemClock;
    use vitrail_simulator::{Profile, Simulator};
    let simulator = Simulator::start(common::cameras(2, &SystemClock::shared())).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("gate.mp4");
    let address = simulator.uri(2, Profile::Sub);
    let args = [address.as_str(), "-o", text(&target), "--duration", "3s", "--codec", "h264"];
    let (code, outcomes, _, stderr) = transcode(&args);
    assert_eq!(code, 0, "{outcomes:?} {stderr}");
    // 12.5 a second, from a key frame on.
    let shown = pictures(&target);
    assert!((37..=60).contains(&shown), "{shown}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["gate.mp4"], "the recording is gone");
    // What cannot be made of it costs the recording only where that is known before.
    let (code, _, _, stderr) = transcode(&args);
    assert!(code == 2 && stderr.contains("is there already"), "{code} {stderr}");
    let (code, _, _, stderr) = transcode(&[&args[..], &["--skip-existing"]].concat());
    assert!(code == 0 && stderr.contains("nothing is recorded"), "{code} {stderr}");
    let other = dir.path().join("other.mp4");
    let cropped = [address.as_str(), "-o", text(&other), "--duration", "1s", "--crop", "0,0,9000x9000"];
    let (code, _, _, stderr) = transcode(&cropped);
    let (_, kept) = stderr.split_once("what was recorded is kept; transcode or remove it: ").unwrap();
    let kept = Path::new(kept.trim());
    assert!(code != 0 && !other.exists(), "{code} {stderr}");
    assert_eq!(std::fs::read_dir(kept).unwrap().count(), 1);
    std::fs::remove_dir_all(kept).unwrap();
    // Without a length, without a camera.
    let (code, _, _, stderr) = transcode(&[&address, "-o", text(&dir.path().join("b.mp4"))]);
    assert!(code == 2 && stderr.contains("--duration"), "{code} {stderr}");
    drop(simulator);
    let (code, _, _, stderr) =
        transcode(&["rtsp://127.0.0.1:1/gate", "-o", text(&dir.path().join("b.mp4")), "--duration", "3s"]);
    assert!(code == 4 && stderr.contains("127.0.0.1:1"), "{code} {stderr}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
