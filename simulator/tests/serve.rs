//! The cameras as clients see them: both codecs, both transports, login, send times, control port.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Client, small};
use vitrail_engine::source::Transport;
use vitrail_simulator::code::Code;
use vitrail_simulator::gst_server::GstServer;
use vitrail_simulator::viewer::{Viewer, decode_clip};
use vitrail_simulator::{Config, Login, Profile, Simulator, StreamSpec};

const PATIENCE: Duration = Duration::from_secs(10);
/// Pictures in a loop: 4 s at 12.5 a second, rounded up to whole GOPs of 13.
const LOOP: u32 = 52;

/// The codes of `count` pictures in a row.
fn codes(viewer: &Viewer, count: usize) -> Vec<Code> {
    (0..count)
        .map(|n| {
            let seen = viewer.next(PATIENCE).unwrap().unwrap_or_else(|| panic!("no picture {n}"));
            seen.code(None).unwrap_or_else(|| panic!("picture {n} has no readable code"))
        })
        .collect()
}

fn assert_consecutive(codes: &[Code], camera: u16, frames: u32) {
    for pair in codes.windows(2) {
        assert_eq!((pair[0].frame + 1) % frames, pair[1].frame, "{codes:?}");
    }
    assert!(codes.iter().all(|c| c.camera == camera && c.profile == Profile::Sub), "{codes:?}");
}

#[test]
fn every_codec_and_transport_delivers_every_picture() {
    let config = Config { login: Some(Login::new("viewer", "p:w@rd")), ..small(2) };
    let clock = config.clock.clone();
    let simulator = Simulator::start(config).unwrap();
    for camera in simulator.numbers() {
        for transport in [Transport::Tcp, Transport::Udp] {
            let uri = simulator.uri(camera, Profile::Sub);
            let viewer = Viewer::rtsp(&uri, transport, clock.clone()).unwrap();
            let codes = codes(&viewer, 16);
            assert_consecutive(&codes, camera, LOOP);
            let seen = viewer.next(PATIENCE).unwrap().unwrap();
            let sent =
                simulator.sending(&seen.code(None).unwrap(), seen.arrival).expect("logged within this loop");
            assert!(seen.arrival + PATIENCE > sent.moment);
        }
    }
    assert_eq!(simulator.stats().dropped, 0);
}

#[test]
fn wrong_login_and_unknown_cameras_are_refused() {
    let config = Config { login: Some(Login::new("viewer", "secret")), ..small(1) };
    let clock = config.clock.clone();
    let simulator = Simulator::start(config).unwrap();
    let mut client = Client::new(&simulator, 1, Profile::Sub);
    assert_eq!(client.ask("OPTIONS", "").unwrap().status, 200);
    let answer = client.ask("DESCRIBE", "").unwrap();
    assert!(answer.status == 401 && answer.head.contains("WWW-Authenticate: Digest "), "{}", answer.head);
    assert_eq!(Client::new(&simulator, 9, Profile::Sub).ask("DESCRIBE", "").unwrap().status, 404);
    let uri = simulator.uri(1, Profile::Sub).replace("secret", "guess");
    let viewer = Viewer::rtsp(&uri, Transport::Tcp, clock).unwrap();
    assert!(viewer.next(PATIENCE).is_err());
}

#[test]
fn the_code_survives_a_wall_and_a_second_encode() {
    let simulator = Simulator::start(Config { ..small(2) }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for camera in simulator.numbers() {
        let clip = simulator.clip(camera, Profile::Main).unwrap();
        let raw = folder.path().join("raw");
        std::fs::write(&raw, (0..clip.frames.len()).flat_map(|i| clip.annex_b(i)).collect::<Vec<u8>>())
            .unwrap();
        for size in ["480:270", "240:136", "120:68"] {
            let (once, twice) = (folder.path().join("once.mkv"), folder.path().join("twice.mkv"));
            let encode = |from: &std::path::Path, to: &std::path::Path, options: &[&str]| {
                let mut run = Command::new("ffmpeg");
                run.args(["-v", "error", "-y", "-i"]).arg(from).args(options).arg(to);
                assert!(run.status().unwrap().success());
            };
            let scale = format!("scale={size}:flags=area");
            encode(&raw, &once, &["-vf", &scale, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "26"]);
            encode(
                &once,
                &twice,
                &["-c:v", "libx265", "-preset", "ultrafast", "-crf", "28", "-x265-params", "log-level=none"],
            );
            let viewer = Viewer::file(&twice, Config::default().clock).unwrap();
            let mut read = 0;
            while let Some(seen) = viewer.next(PATIENCE).unwrap() {
                let code =
                    seen.code(None).unwrap_or_else(|| panic!("camera {camera}, {size}: picture {read}"));
                assert_eq!((code.camera, code.profile), (camera, Profile::Main));
                read += 1;
            }
            assert_eq!(read + viewer.dropped(), u64::from(LOOP));
        }
    }
}

#[test]
fn clips_are_shown_with_their_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bars.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=400x300:rate=15", "-t", "1"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(made.success());
    let config = Config { clips: Some(folder.path().to_owned()), ..small(1) };
    let simulator = Simulator::start(config).unwrap();
    let clip = simulator.clip(1, Profile::Sub).unwrap();
    let look = |picture: &[u8]| {
        let luma = &picture[..320 * 180];
        let spread = luma[..320 * 90].iter().max().unwrap() - luma[..320 * 90].iter().min().unwrap();
        (vitrail_simulator::code::read(luma, 320, (320, 180), None).map(|c| c.frame), spread)
    };
    let seen = decode_clip(&clip, look).unwrap();
    assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), (0..LOOP).map(Some).collect::<Vec<_>>());
    assert!(seen.iter().all(|s| s.1 > 100), "the clip's picture is there");
    let empty = tempfile::tempdir().unwrap();
    let refused = Simulator::start(Config { clips: Some(empty.path().to_owned()), ..small(1) });
    assert!(refused.is_err_and(|e| e.kind() == vitrail_engine::ErrorKind::Config));
}

#[test]
fn a_client_that_does_not_read_harms_nobody() {
    let loud = StreamSpec { width: 640, height: 360, kbps: 12_000, ..small(1).sub };
    let config = Config { codecs: vec![vitrail_engine::media::Codec::H264], sub: loud, ..small(1) };
    let clock = config.clock.clone();
    let simulator = Simulator::start(config).unwrap();
    let stuck = Client::playing(&simulator, 1);
    socket2::SockRef::from(stuck.socket()).set_recv_buffer_size(4096).unwrap();
    let viewer = Viewer::rtsp(&simulator.uri(1, Profile::Sub), Transport::Tcp, clock).unwrap();
    let begun = Instant::now();
    while simulator.stats().dropped == 0 && begun.elapsed() < Duration::from_secs(25) {
        assert_consecutive(&codes(&viewer, 10), 1, LOOP);
    }
    assert!(simulator.stats().dropped > 0, "{:?}", simulator.stats());
    assert_consecutive(&codes(&viewer, 10), 1, LOOP);
}

#[test]
fn gst_rtsp_server_serves_the_same_loops() {
    let config = small(2);
    let clock = config.clock.clone();
    let simulator = Simulator::start(config).unwrap();
    let clips = simulator.numbers().map(|n| (n, Profile::Sub, simulator.clip(n, Profile::Sub).unwrap()));
    let server = GstServer::start(clips).unwrap();
    for camera in simulator.numbers() {
        let viewer = Viewer::rtsp(&server.uri(camera, Profile::Sub), Transport::Tcp, clock.clone()).unwrap();
        assert_consecutive(&codes(&viewer, 20), camera, LOOP);
    }
}

#[test]
fn the_control_port_answers_in_json() {
    let config = Config { control: Some(([127, 0, 0, 1], 0).into()), ..small(2) };
    let simulator = Simulator::start(config).unwrap();
    let socket = TcpStream::connect(simulator.control().unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut ask = |line: &str| -> serde_json::Value {
        (&socket).write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{line}: {answer}: {e}"))
    };
    assert!(ask("help")["faults"]["silent"].is_string());
    assert_eq!(ask("fault 2 loss 20% on")["faults"][0], "loss 20%");
    assert_eq!(ask("list")[1]["faults"][0], "loss 20%");
    assert_eq!(ask("fault 2 off")["faults"], serde_json::json!([]));
    for wrong in ["fault 9 silent on", "fault 1 gravity on", "sent 1 7", "sing"] {
        assert!(ask(wrong)["error"].is_string(), "{wrong}");
    }
    let mut client = Client::playing(&simulator, 1);
    client.rtp(40);
    assert_eq!(ask("stats")["viewers"], 1);
    let log = simulator.send_log();
    let code = |frame| Code { camera: 1, profile: Profile::Sub, frame };
    let frame = (0..LOOP).find(|&f| log.get(&code(f)).is_some()).expect("frames were sent");
    assert!(ask(&format!("sent 1 {frame}"))["wall_ns"].as_u64().unwrap() > 0);
}
