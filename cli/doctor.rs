//! `vitrail doctor`: what this machine has, what is missing, and how to install it.

use std::process::Command;

use crate::print::print_json;
use clap::Args;
use gstreamer as gst;
use gstreamer::prelude::*;
use serde::Serialize;
use vitrail_engine::encode::working;

/// File descriptors that a camera over TCP takes: its socket, and now and then a second while it
/// reconnects. The rest of the process takes about a hundred.
const FILES_A_CAMERA: u64 = 2;
const FILES_OF_THE_REST: u64 = 100;

/// Says what this machine has and what it lacks. Exit code 0 when a wall can run, 3 otherwise.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Write the findings as JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// A GPU, as the compositor's probe names it.
#[derive(Clone, Debug, Serialize)]
pub struct Gpu {
    /// Name and driver.
    pub name: String,
    /// A software device: for tests, never picked for a wall.
    pub software: bool,
}

/// Something that a wall may need from GStreamer.
#[derive(Debug, Serialize)]
struct Element {
    name: &'static str,
    purpose: &'static str,
    package: &'static str,
    /// Without it no wall runs.
    needed: bool,
    present: bool,
}

#[derive(Debug, Serialize)]
struct Encoder {
    element: &'static str,
    codec: String,
    works: bool,
    trouble: Option<String>,
}

#[derive(Debug, Serialize)]
struct Limits {
    open_files_soft: u64,
    open_files_hard: u64,
    cameras_within_soft: u64,
    cameras_within_hard: u64,
}

/// All findings; the JSON form of the command.
#[derive(Debug, Serialize)]
struct Findings {
    can_run_a_wall: bool,
    gstreamer: String,
    ffmpeg: Option<String>,
    cores: usize,
    cpu_features: Vec<&'static str>,
    gpus: Vec<Gpu>,
    elements: Vec<Element>,
    hardware_decoders: Vec<String>,
    encoders: Vec<Encoder>,
    font: &'static str,
    limits: Limits,
    missing: Vec<String>,
}

const BASE: &str = "gstreamer1.0-plugins-base";
const GOOD: &str = "gstreamer1.0-plugins-good";
const BAD: &str = "gstreamer1.0-plugins-bad";
const UGLY: &str = "gstreamer1.0-plugins-ugly";

/// Element, what for, Debian 12 package, needed for any wall.
const ELEMENTS: [(&str, &str, &str, bool); 21] = [
    ("appsrc", "hands pictures to the encoder", BASE, true),
    ("videoconvert", "hardware encoders, displays", BASE, true),
    ("x264enc", "H.264 in software", UGLY, true),
    ("h264parse", "H.264 streams", BAD, true),
    ("x265enc", "H.265 in software", BAD, false),
    ("h265parse", "H.265 streams", BAD, true),
    ("rtph264pay", "RTSP and RTP outputs, H.264", GOOD, true),
    ("rtph265pay", "RTSP and RTP outputs, H.265", GOOD, false),
    ("rtpbin", "RTSP server", GOOD, true),
    ("udpsink", "RTP output", GOOD, true),
    ("rtspsrc", "rtsps:// cameras", GOOD, false),
    ("uridecodebin", "files and HTTP as cameras", BASE, false),
    ("mpegtsmux", "HLS outputs", BAD, false),
    // It comes with libsrt, which SRT outputs call themselves.
    ("srtsrc", "SRT cameras and outputs", BAD, false),
    ("flvmux", "RTMP outputs", GOOD, false),
    ("rtmp2sink", "RTMP outputs", BAD, false),
    ("mp4mux", "MP4 recordings", GOOD, false),
    ("matroskamux", "Matroska recordings", GOOD, false),
    ("hlssink2", "HLS outputs", BAD, false),
    ("ximagesink", "displays under X11", "gstreamer1.0-x", false),
    ("waylandsink", "displays under Wayland", BAD, false),
];

/// Prints the findings; returns the exit code. `gpus` is what the compositor's probe found.
pub fn run(args: &DoctorArgs, gpus: Vec<Gpu>) -> u8 {
    let findings = examine(gpus);
    if args.json {
        if let Err(error) = print_json("findings", &findings) {
            eprintln!("vitrail doctor: {error}");
        }
    } else {
        print(&findings);
    }
    if findings.can_run_a_wall { 0 } else { 3 }
}

fn examine(gpus: Vec<Gpu>) -> Findings {
    let started = gst::init();
    let has = |name: &str| started.is_ok() && gst::ElementFactory::find(name).is_some();
    let elements: Vec<Element> = ELEMENTS
        .into_iter()
        .map(|(name, purpose, package, needed)| Element {
            name,
            purpose,
            package,
            needed,
            present: has(name),
        })
        .collect();
    let encoders: Vec<Encoder> = working()
        .into_iter()
        .map(|w| Encoder {
            element: w.candidate.element,
            codec: w.candidate.codec.to_string(),
            works: w.trouble.is_none(),
            trouble: w.trouble,
        })
        .collect();
    let limits = limits();
    let missing = missing(&elements, &encoders, started.is_ok());
    Findings {
        can_run_a_wall: started.is_ok()
            && elements.iter().all(|e| e.present || !e.needed)
            && encoders.iter().any(|e| e.works),
        gstreamer: if started.is_ok() { gst::version_string().to_string() } else { "does not start".into() },
        ffmpeg: ffmpeg_version(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        cpu_features: cpu_features(),
        gpus,
        elements,
        hardware_decoders: if started.is_ok() { hardware_decoders() } else { Vec::new() },
        encoders,
        font: "built in",
        limits,
        missing,
    }
}

/// One line a thing to install, with the command.
fn missing(elements: &[Element], encoders: &[Encoder], gstreamer: bool) -> Vec<String> {
    if !gstreamer {
        return vec!["GStreamer: apt-get install gstreamer1.0-plugins-base gstreamer1.0-plugins-good".into()];
    }
    let mut lines: Vec<String> = elements
        .iter()
        .filter(|e| !e.present)
        .map(|e| {
            let weight = if e.needed { "needed" } else { "optional" };
            format!("{} ({weight}: {}): apt-get install {}", e.name, e.purpose, e.package)
        })
        .collect();
    if !encoders.iter().any(|e| e.works) {
        lines.push(format!("a working encoder (needed): apt-get install {UGLY}"));
    }
    lines
}

/// Video decoders that say of themselves that they are hardware. They register only where their
/// device is.
fn hardware_decoders() -> Vec<String> {
    gst::ElementFactory::factories_with_type(gst::ElementFactoryType::DECODER, gst::Rank::NONE)
        .iter()
        .filter(|factory| {
            let class = factory.metadata("klass").unwrap_or_default();
            ["Decoder", "Video", "Hardware"].iter().all(|word| class.contains(word))
        })
        .map(|factory| factory.name().to_string())
        .collect()
}

/// The FFmpeg on the path; the libraries that the engine links come from the same packages.
fn ffmpeg_version() -> Option<String> {
    let out = Command::new("ffmpeg").arg("-version").output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout);
    text.split_whitespace().nth(2).map(str::to_owned)
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let all = [
        ("SSE4.1", is_x86_feature_detected!("sse4.1")),
        ("AVX2", is_x86_feature_detected!("avx2")),
        ("AVX-512 (F)", is_x86_feature_detected!("avx512f")),
        ("AVX-512 (BW)", is_x86_feature_detected!("avx512bw")),
    ];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}

/// Open files that this process may have, from `/proc/self/limits`.
fn limits() -> Limits {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let (soft, hard) = open_files(&text).unwrap_or((1024, 1024));
    let cameras = |files: u64| files.saturating_sub(FILES_OF_THE_REST) / FILES_A_CAMERA;
    Limits {
        open_files_soft: soft,
        open_files_hard: hard,
        cameras_within_soft: cameras(soft),
        cameras_within_hard: cameras(hard),
    }
}

/// Soft and hard limit of open files in the text of `/proc/self/limits`.
fn open_files(text: &str) -> Option<(u64, u64)> {
    let numbers = text.lines().find_map(|l| l.strip_prefix("Max open files"))?;
    let mut numbers = numbers.split_whitespace().map(|n| n.parse().unwrap_or(u64::MAX));
    Some((numbers.next()?, numbers.next()?))
}

fn print(findings: &Findings) {
    let list = |items: &[String]| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    let features =
        if findings.cpu_features.is_empty() { "none known".into() } else { findings.cpu_features.join(", ") };
    println!("GStreamer          {}", findings.gstreamer.trim_start_matches("GStreamer "));
    println!("FFmpeg             {}", findings.ffmpeg.as_deref().unwrap_or("no ffmpeg on the path"));
    println!("CPU                {} cores; {features}", findings.cores);
    let gpu = |g: &Gpu| format!("{}{}", g.name, if g.software { " (software, tests only)" } else { "" });
    println!("GPU                {}", list(&findings.gpus.iter().map(gpu).collect::<Vec<_>>()));
    println!("hardware decoders  {}", list(&findings.hardware_decoders));
    println!("font               {}", findings.font);
    let limits = &findings.limits;
    println!(
        "open files         {} now, {} at most: about {} cameras now, {} at most",
        limits.open_files_soft,
        limits.open_files_hard,
        limits.cameras_within_soft,
        limits.cameras_within_hard
    );
    if limits.open_files_soft < limits.open_files_hard {
        println!(
            "                   raise it: ulimit -n {}, or LimitNOFILE= of the service",
            limits.open_files_hard
        );
    }
    println!("encoders");
    for encoder in &findings.encoders {
        let state =
            if encoder.works { "works" } else { encoder.trouble.as_deref().unwrap_or("does not work") };
        println!("  {:<14} {:<6} {state}", encoder.element, encoder.codec);
    }
    println!("GStreamer elements");
    for element in &findings.elements {
        let mark = if element.present { "yes" } else { "NO" };
        println!("  {:<14} {mark:<4} {} ({})", element.name, element.purpose, element.package);
    }
    for line in &findings.missing {
        println!("missing: {line}");
    }
    println!(
        "{}",
        if findings.can_run_a_wall { "A wall can run here." } else { "A wall cannot run here yet." }
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_limit_of_open_files() {
        let text =
            "Limit   Soft Limit   Hard Limit   Units\nMax open files            1024    524288   files\n";
        assert_eq!(open_files(text), Some((1024, 524_288)));
        assert_eq!(open_files("Max open files   1024   unlimited   files"), Some((1024, u64::MAX)));
        assert_eq!(open_files(""), None);
    }

    #[test]
    fn names_what_is_missing_and_how_to_install_it() {
        let gone = Element { name: "x264enc", purpose: "H.264", package: UGLY, needed: true, present: false };
        let lines = missing(&[gone], &[], true);
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].contains("x264enc") && lines[0].contains("apt-get install gstreamer1.0-plugins-ugly")
        );
    }

    #[test]
    fn a_machine_that_runs_the_tests_can_run_a_wall() {
        let findings = examine(Vec::new());
        assert!(findings.can_run_a_wall, "{findings:?}");
        assert!(findings.encoders.iter().any(|e| e.element == "x264enc" && e.works));
    }
}
