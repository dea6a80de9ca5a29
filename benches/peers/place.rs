//! Where and when figures were taken, and beside which peers.

use std::process::Command;

/// The system and the peers' versions.
pub fn system() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name =
        release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux").trim_matches('"');
    let version = said("ffmpeg", &["-version"]);
    let ffmpeg = version.split_whitespace().nth(2).unwrap_or("?").to_owned();
    let gst = said("gst-launch-1.0", &["--version"]);
    let gst = gst.lines().next().and_then(|l| l.split_whitespace().last()).unwrap_or("none").to_owned();
    format!("{name}, FFmpeg {ffmpeg}, GStreamer {gst}")
}

/// The date, by the machine.
pub fn today() -> String {
    said("date", &["+%Y-%m-%d"]).trim().to_owned()
}

/// What a program says.
fn said(program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).output();
    out.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
}
