//! Streams with sound, recorded from a real RTSP server: both are there, and together.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::capture;
use crate::base::{Shutdown, SystemClock};
use crate::source::testing::{Auth, GstServer};
use crate::source::{CameraUri, RtspClient, SourceConfig};

/// Eight seconds; once a second a white picture (the source is grey) and, at the same instant, a beep, both
/// for 0.2 s; eight thousand samples a second, as G.711 wants.
fn flashes(path: &Path) {
    let picture = "color=gray:size=320x240:rate=25:duration=8,drawbox=t=fill:c=white:enable='lt(mod(t-0.5,1),0.2)*gte(t,0.5)'";
    let beep = "aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t-0.5,1),0.2)*gte(t,0.5)':s=8000:d=8";
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", beep])
        .args(["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "10"])
        .args(["-c:a", "pcm_s16le"])
        .arg(path)
        .status();
    assert!(made.unwrap().success());
}

/// Numbers behind `key` in what FFmpeg says of a file.
fn told(path: &Path, filters: &[&str], key: &str) -> Vec<f64> {
    let out = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-i"])
        .arg(path)
        .args(filters)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    let after = text.split(key).skip(1).map(|rest| rest.trim_start());
    let number = |rest: &str| rest.split(|c: char| !(c.is_ascii_digit() || c == '.')).next()?.parse().ok();
    after.filter_map(number).collect()
}

/// When white pictures begin, and when beeps do.
fn events(path: &Path) -> (Vec<f64>, Vec<f64>) {
    // A picture is "black" here where it is not white.
    let dark = ["-map", "0:v", "-vf", "blackdetect=d=0.1:pix_th=0.9:pic_th=0.9"];
    let silence = ["-map", "0:a", "-af", "silencedetect=noise=-20dB:d=0.1"];
    (told(path, &dark, "black_end:"), told(path, &silence, "silence_end:"))
}

fn record(config: SourceConfig, to: &Path) -> super::Captured {
    let length = Duration::from_secs(4);
    capture(config, length, to, &SystemClock::shared(), &Shutdown::new(), &mut |_| {}).unwrap().unwrap()
}

#[test]
fn sound_of_a_camera_is_recorded_with_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("flashes.mkv");
    flashes(&source);
    // AAC at a high rate: its encoder begins with 1024 samples of its own, and does not tell.
    for (sound, pay, codec) in [
        ("audioresample ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse", "rtpmp4gpay", "aac"),
        ("alawenc", "rtppcmapay", "pcm_alaw"),
        ("mulawenc", "rtppcmupay", "pcm_mulaw"),
    ] {
        let server = GstServer::start(
            &format!(
                "filesrc location={} ! matroskademux name=d \
                 d. ! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 \
                 d. ! queue ! audioconvert ! {sound} ! {pay} name=pay1 pt=97",
                source.display()
            ),
            Auth::Nobody,
        );
        for client in [RtspClient::Auto, RtspClient::Gstreamer] {
            let to = folder.path().join(format!("{codec}-{client:?}.mkv"));
            let config =
                SourceConfig { client, ..SourceConfig::new(CameraUri::parse(&server.uri("")).unwrap()) };
            let captured = record(config, &to);
            assert!(captured.sound > 20, "{codec} {client:?}: {captured:?}");
            let (seen, heard) = events(&to);
            println!("{codec} {client:?}: white at {seen:?}, beeps at {heard:?}");
            assert!(seen.len() >= 3, "{codec} {client:?}: {seen:?}");
            let apart =
                |white: &f64| heard.iter().map(|beep| (beep - white).abs()).fold(f64::INFINITY, f64::min);
            // Elements of GStreamer time what they receive by its arrival too, which a busy machine moves.
            let bound = if client == RtspClient::Gstreamer { 0.08 } else { 0.04 };
            // A beep at the end is cut.
            let whole = &seen[..seen.len() - 1];
            let together = whole.iter().filter(|white| apart(white) < bound).count();
            assert!(together + 1 >= whole.len(), "{codec} {client:?}: {seen:?} {heard:?}");
        }
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1 + 6, "nothing but the recordings");
}

#[test]
fn sound_that_is_not_understood_costs_no_picture() {
    let folder = tempfile::tempdir().unwrap();
    let server = GstServer::start(
        "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1 ! \
         x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96 \
         audiotestsrc is-live=true ! audio/x-raw,rate=16000,channels=1 ! avenc_g722 ! rtpg722pay name=pay1 pt=97",
        Auth::Nobody,
    );
    let to = folder.path().join("a.mkv");
    let captured = record(SourceConfig::new(CameraUri::parse(&server.uri("")).unwrap()), &to);
    assert_eq!(captured.sound, 0);
    assert!(captured.pictures >= 100, "{captured:?}");
}
