//! Clips of real footage through `vitrail transcode` and through FFmpeg with the same x264 settings:
//! pictures, length, aspect, colour, size and fidelity side by side.
//!
//!     cargo bench --bench transcode_clips                      ../shared/data/footage and camera-streams, crf 23
//!     cargo bench --bench transcode_clips -- FILE…             other files
//!     cargo bench --bench transcode_clips -- --rates           average rates
//!     TRANSCODE_VITRAIL=/path/to/another/vitrail cargo bench --bench transcode_clips
//!
//! Prints a table and writes target/bench-transcode-clips.md (with --rates target/bench-transcode-rates.md). At
//! constant quality it fails where a clip differs by more than 0.3 dB, 3 % of size, a picture, or two frames of
//! length.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Streams of a file as ffprobe sees it.
#[derive(Debug, PartialEq)]
struct Shape {
    pictures: u64,
    seconds: f64,
    aspect: String,
    colour: String,
}

/// What came of one source.
struct Result {
    shape: Shape,
    bytes: f64,
    psnr: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` passes --test: minutes of measuring are no test.
    if arguments.iter().any(|a| a == "--test") {
        return ExitCode::SUCCESS;
    }
    let files: Vec<PathBuf> = arguments.iter().filter(|a| !a.starts_with("--")).map(PathBuf::from).collect();
    let files = if files.is_empty() { footage() } else { files };
    if files.is_empty() {
        println!("skipped: no footage in ../shared/data");
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::tempdir().unwrap();
    match arguments.iter().any(|a| a == "--rates") {
        true => rates(folder.path()),
        false => constant_quality(&files, folder.path()),
    }
}

fn constant_quality(files: &[PathBuf], folder: &Path) -> ExitCode {
    let mut text = String::from(
        "| clip | pictures | length | aspect, colour | PSNR: Vitrail | FFmpeg | size of FFmpeg's |\n|---|---|---|---|---|---|---|\n",
    );
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let Some([a, b]) = both(file, ["--crf", "23"], ["-crf", "23"], folder) else {
            wrong.push(name);
            continue;
        };
        let ratio = a.bytes / b.bytes;
        let same = |x: &str, y: &str| if x == y { x.to_owned() } else { format!("{x} / {y}") };
        let _ = writeln!(
            text,
            "| {name} | {} | {:.2} s | {}, {} | {:.2} dB | {:.2} dB | {ratio:.3} |",
            same(&a.shape.pictures.to_string(), &b.shape.pictures.to_string()),
            a.shape.seconds,
            same(&a.shape.aspect, &b.shape.aspect),
            same(&a.shape.colour, &b.shape.colour),
            a.psnr,
            b.psnr,
        );
        eprintln!("{}", text.lines().last().unwrap_or_default());
        let picture = a.shape.seconds / a.shape.pictures.max(1) as f64;
        let fits = a.shape.pictures.abs_diff(b.shape.pictures) <= 1
            && (a.shape.seconds - b.shape.seconds).abs() <= 2.0 * picture
            && a.shape.aspect == b.shape.aspect
            && (a.psnr - b.psnr).abs() <= 0.3
            && (ratio - 1.0).abs() <= 0.03;
        if !fits {
            wrong.push(name);
        }
    }
    write("bench-transcode-clips.md", &text);
    println!("{} of {} clips within 0.3 dB, 3 %, one picture", files.len() - wrong.len(), files.len());
    for name in &wrong {
        println!("outside: {name}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Single clips, and ones that are unlike each other in one file: of constant quality, and of constant rate.
fn rates(folder: &Path) -> ExitCode {
    if footage().is_empty() {
        println!("skipped: no footage in ../shared/data");
        return ExitCode::SUCCESS;
    }
    let clip = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/footage").join(name);
    let unlike = |name: &str, rate: &[&str]| unlike(&folder.join(name), rate);
    let bounded = ["-b:v", "6M", "-maxrate", "6M", "-bufsize", "6M", "-nal-hrd", "cbr"];
    let rows = [
        ("eight unlike clips, constant quality", unlike("crf.mp4", &["-crf", "18"]), "1000k"),
        ("eight unlike clips, a constant 6 Mb/s", unlike("cbr.mp4", &bounded), "2000k"),
        ("`opencv_vtest.avi`", clip("opencv_vtest.avi"), "600k"),
        ("`intel_car-detection.mp4`", clip("intel_car-detection.mp4"), "500k"),
        ("`ahmetozlu_input_video.mp4`", clip("ahmetozlu_input_video.mp4"), "400k"),
        ("`dvrscan_traffic_camera_vfr.mp4`", clip("dvrscan_traffic_camera_vfr.mp4"), "400k"),
        ("`intel_bottle-detection.mp4`", clip("intel_bottle-detection.mp4"), "100k"),
    ];
    let mut text = String::from(
        "| source | rate | PSNR: Vitrail | FFmpeg | of the bytes asked for: Vitrail | FFmpeg |\n|---|---|---|---|---|---|\n",
    );
    for (name, file, rate) in &rows {
        let Some([a, b]) = both(file, ["--bitrate", rate], ["-b:v", rate], folder) else {
            return ExitCode::FAILURE;
        };
        let kbps: f64 = rate.trim_end_matches('k').parse().unwrap();
        let asked = kbps * 125.0 * b.shape.seconds;
        let _ = writeln!(
            text,
            "| {name} | {kbps} kb/s | {:.2} dB | {:.2} dB | {:.3} | {:.3} |",
            a.psnr,
            b.psnr,
            a.bytes / asked,
            b.bytes / asked
        );
        eprintln!("{}", text.lines().last().unwrap_or_default());
    }
    write("bench-transcode-rates.md", &text);
    ExitCode::SUCCESS
}

/// A source by both, with these rates; `None`, and said, where one fails.
fn both(file: &Path, ours: [&str; 2], theirs: [&str; 2], folder: &Path) -> Option<[Result; 2]> {
    let program = std::env::var("TRANSCODE_VITRAIL").unwrap_or_else(|_| env!("CARGO_BIN_EXE_vitrail").into());
    // FFmpeg turns full range into limited for `yuv420p`; Vitrail keeps what the source has.
    let layout = if shape(file).colour.starts_with("pc") { "yuvj420p" } else { "yuv420p" };
    let mut vitrail = Command::new(program);
    vitrail
        .args(["--log", "error", "transcode", "--codec", "h264", "--preset", "veryfast"])
        .args(ours)
        .args(["--audio", "drop", "--overwrite"])
        .arg(file)
        .arg("-o");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-nostdin", "-v", "error", "-y", "-i"])
        .arg(file)
        .args(["-an", "-c:v", "libx264", "-preset", "veryfast"])
        .args(theirs)
        .args(["-pix_fmt", layout, "-vsync", "passthrough"]);
    let make = |command: &mut Command, name: &str| {
        let target = folder.join(name);
        let out = command.arg(&target).output().unwrap();
        if !out.status.success() {
            let said = [out.stdout, out.stderr].concat();
            println!("{}, {name}: {}", file.display(), String::from_utf8_lossy(&said));
            return None;
        }
        let bytes = std::fs::metadata(&target).unwrap().len() as f64;
        Some(Result { shape: shape(&target), bytes, psnr: psnr(&target, file, layout) })
    };
    Some([make(&mut vitrail, "ours.mp4")?, make(&mut ffmpeg, "theirs.mp4")?])
}

/// Eight clips that are unlike each other, 22 s of each, 1280x720 at 25 pictures a second.
fn unlike(target: &Path, rate: &[&str]) -> PathBuf {
    let clips = footage();
    let with = |name: &str| clips.iter().find(|clip| clip.ends_with(name)).unwrap();
    let names = [
        "ahmetozlu_input_video.mp4",
        "intel_bottle-detection.mp4",
        "iacv_svincolo.mp4",
        "opencv_vtest.avi",
        "intel_car-detection.mp4",
        "iacv_nighttraffic.mp4",
        "iacv_camera1.mp4",
        "zamba_chimp_trailcam.mp4",
    ];
    let mut make = Command::new("ffmpeg");
    make.args(["-nostdin", "-v", "error", "-y"]);
    let (mut graph, mut joined) = (String::new(), String::new());
    for (number, name) in names.iter().enumerate() {
        make.args(["-t", "22", "-i"]).arg(with(name));
        let form = "fps=25,scale=1280:720,setsar=1,format=yuv420p";
        let _ = write!(graph, "[{number}:v]{form}[c{number}];");
        let _ = write!(joined, "[c{number}]");
    }
    make.args(["-filter_complex", &format!("{graph}{joined}concat=n={}", names.len())]);
    make.args(["-an", "-c:v", "libx264", "-preset", "veryfast", "-g", "50"]).args(rate).arg(target);
    assert!(make.status().unwrap().success(), "the clips cannot be joined");
    target.to_owned()
}

fn write(name: &str, text: &str) {
    println!("\n{text}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}

fn footage() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let mut files = Vec::new();
    for folder in ["footage", "camera-streams"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else { continue };
        files.extend(entries.flatten().map(|e| e.path()));
    }
    files.retain(|f| f.extension().is_some_and(|e| e != "pcap"));
    files.sort();
    files
}

fn shape(path: &Path) -> Shape {
    let entries = "stream=width,height,sample_aspect_ratio,color_range,color_space,nb_read_packets:format=start_time,duration";
    let out = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-count_packets",
            "-of",
            "json",
            "-show_entries",
            entries,
        ])
        .arg(path)
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let stream = &json["streams"][0];
    let text = |key: &str| stream[key].as_str().unwrap_or("-").to_owned();
    let seconds = |key: &str| json["format"][key].as_str().and_then(|time| time.parse().ok()).unwrap_or(0.0);
    Shape {
        pictures: text("nb_read_packets").parse().unwrap_or(0),
        // From the first picture on: FFmpeg may leave a gap before it.
        seconds: seconds("duration") - seconds("start_time"),
        aspect: format!(
            "{}x{} {}",
            stream["width"],
            stream["height"],
            text("sample_aspect_ratio").replace("N/A", "1:1").replace('-', "1:1")
        ),
        colour: format!("{} {}", text("color_range"), text("color_space")),
    }
}

/// Over all planes, picture by picture in their order, in the source's own pixels and range.
fn psnr(file: &Path, source: &Path, layout: &str) -> f64 {
    let graph = format!(
        "[0:v]format={layout},settb=1/25,setpts=N[a];[1:v]format={layout},settb=1/25,setpts=N[b];[a][b]psnr"
    );
    let out = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(file)
        .arg("-i")
        .arg(source)
        .args(["-lavfi", &graph, "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let line = said.lines().rev().find(|l| l.contains("PSNR y:")).unwrap_or_default();
    let number = line.split("average:").nth(1).and_then(|t| t.split_whitespace().next());
    number.and_then(|t| t.parse().ok()).unwrap_or(f64::NAN)
}
