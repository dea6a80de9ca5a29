//! Every clip of real footage through `vitrail transcode` and through FFmpeg with the same x264 settings:
//! pictures, length, aspect, colour, size and fidelity side by side.
//!
//!     cargo bench --bench transcode_clips                      ../shared/data/footage and camera-streams
//!     cargo bench --bench transcode_clips -- FILE…             other files
//!     TRANSCODE_VITRAIL=/path/to/another/vitrail cargo bench --bench transcode_clips
//!
//! Prints a table and writes target/bench-transcode-clips.md; fails where a clip differs by more than
//! 0.3 dB, 3 % of size, a picture, or a frame of length.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Streams of a file as ffprobe sees it.
#[derive(Debug, PartialEq)]
struct Shape {
    pictures: u64,
    seconds: f64,
    aspect: String,
    colour: String,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    // `cargo test --benches` passes --test: minutes of measuring are no test.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let files: Vec<PathBuf> =
        if arguments.is_empty() { footage() } else { arguments.into_iter().map(PathBuf::from).collect() };
    if files.is_empty() {
        println!("skipped: no footage in ../shared/data");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from(
        "| clip | pictures | length | aspect, colour | PSNR: Vitrail | FFmpeg | size of FFmpeg's |\n|---|---|---|---|---|---|---|\n",
    );
    let mut wrong = Vec::new();
    for file in &files {
        let (ours, theirs) = (folder.path().join("ours.mp4"), folder.path().join("theirs.mp4"));
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let program =
            std::env::var("TRANSCODE_VITRAIL").unwrap_or_else(|_| env!("CARGO_BIN_EXE_vitrail").into());
        let made = Command::new(program)
            .args(["--log", "error", "transcode", "--codec", "h264", "--preset", "veryfast", "--crf", "23"])
            .args(["--audio", "drop", "--overwrite"])
            .arg(file)
            .arg("-o")
            .arg(&ours)
            .output()
            .unwrap();
        // FFmpeg turns full range into limited for `yuv420p`; Vitrail keeps what the source has.
        let layout = if shape(file).colour.starts_with("pc") { "yuvj420p" } else { "yuv420p" };
        let peer = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-y", "-i"])
            .arg(file)
            .args(["-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", layout])
            .args(["-vsync", "passthrough"])
            .arg(&theirs)
            .output()
            .unwrap();
        if !made.status.success() || !peer.status.success() {
            wrong.push(format!("{name}: {}", String::from_utf8_lossy(&made.stdout)));
            continue;
        }
        let (a, b) = (shape(&ours), shape(&theirs));
        let (p, q) = (psnr(&ours, file, layout), psnr(&theirs, file, layout));
        let size = |path: &Path| std::fs::metadata(path).unwrap().len() as f64;
        let ratio = size(&ours) / size(&theirs);
        let same = |x: &str, y: &str| if x == y { x.to_owned() } else { format!("{x} / {y}") };
        let _ = writeln!(
            text,
            "| {name} | {} | {:.2} s | {}, {} | {p:.2} dB | {q:.2} dB | {ratio:.3} |",
            same(&a.pictures.to_string(), &b.pictures.to_string()),
            a.seconds,
            same(&a.aspect, &b.aspect),
            same(&a.colour, &b.colour),
        );
        eprint!("{}", text.lines().last().unwrap_or_default());
        eprintln!();
        let picture = a.seconds / a.pictures.max(1) as f64;
        let fits = a.pictures.abs_diff(b.pictures) <= 1
            && (a.seconds - b.seconds).abs() <= 2.0 * picture
            && a.aspect == b.aspect
            && (p - q).abs() <= 0.3
            && (ratio - 1.0).abs() <= 0.03;
        if !fits {
            wrong.push(name);
        }
    }
    println!("\n{text}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-transcode-clips.md");
    std::fs::write(page, &text).unwrap();
    println!("{} of {} clips within 0.3 dB, 3 %, one picture", files.len() - wrong.len(), files.len());
    for name in &wrong {
        println!("outside: {name}");
    }
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
