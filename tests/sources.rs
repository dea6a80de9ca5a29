//! Cameras with oddities, through the program: `vitrail probe` and `vitrail wall` take the same road.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::Program;

/// The server of odd cameras, on a port of its own, ended when dropped.
struct Quirks {
    server: Child,
    port: u16,
}

impl Quirks {
    /// `None`, said aloud, where the server or what it needs is not here.
    fn start() -> Option<Quirks> {
        let folder = PathBuf::from("../shared/cases/rtsp-server");
        if !folder.join("quirk.py").exists() {
            println!("skipped: {} is not there", folder.display());
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new("python3")
            .args(["-B", "quirk.py", &port.to_string(), "clips"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening"), "{line}");
        Some(Quirks { server, port })
    }

    fn uri(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}/a/{path}", self.port)
    }
}

impl Drop for Quirks {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// One JSON object for each address.
fn probed(uris: &[String], seconds: &str) -> (Option<i32>, Vec<serde_json::Value>) {
    let home = tempfile::tempdir().unwrap();
    let out = common::vitrail(home.path())
        .args(["probe", "--json", "--seconds", seconds])
        .args(uris)
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    (out.status.code(), text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Case probe-no-fallback.
#[test]
fn a_probe_takes_the_road_of_a_wall_and_says_which_client_it_took() {
    let Some(quirks) = Quirks::start() else { return };
    let odd = ["latin1", "o-short", "t-dash", "port-neg", "ct-charset", "sess-extra", "ch-gap", "ri-badseq"];
    let uris: Vec<String> = odd.iter().chain(&["ok"]).map(|path| quirks.uri(path)).collect();
    let (code, seen) = probed(&uris, "1");
    for (path, report) in odd.iter().zip(&seen) {
        assert!(report["units"].as_u64() > Some(10), "{path}: {report}");
        let why = report["client_because"].as_str().unwrap_or_default();
        match report["client"].as_str() {
            Some("gstreamer") => assert!(why.starts_with("retina: "), "{path}: {report}"),
            // Whether it understands channels that are no neighbours depends on how they were asked for.
            client => {
                assert!(client == Some("retina") && *path == "ch-gap" && why.is_empty(), "{path}: {report}")
            }
        }
    }
    let plain = &seen[odd.len()];
    assert_eq!(plain["client"], "retina", "{plain}");
    assert!(plain["client_because"].is_null(), "{plain}");
    assert_eq!(code, Some(0));
    // What nobody understands, or nobody answers, is a failure still.
    assert_eq!(probed(&[format!("rtsp://127.0.0.1:{}/a/ok", 1)], "1").0, Some(4));
}

#[test]
fn a_recording_takes_the_road_of_a_wall() {
    let Some(quirks) = Quirks::start() else { return };
    let uri = quirks.uri("t-dash");
    let args = ["transcode", &uri, "--duration", "2s", "--preset", "ultrafast", "-o", "out.mp4"];
    let mut program = Program::start(&args);
    let status = program.wait(Duration::from_secs(60));
    assert!(status.success() && program.path("out.mp4").exists(), "{}", program.stderr());
}

/// Case rtsp-slow.
#[test]
fn slow_cameras_are_live_with_their_age_and_never_called_again() {
    let Some(quirks) = Quirks::start() else { return };
    let (slow, slower) = (quirks.uri("fps=0.4"), quirks.uri("fps=0.15"));
    let outputs = ["--size", "640x360", "--fps", "5", "--report", "report.json", "--out", "x.mkv"];
    let mut args = vec!["wall", "--for", "25s"];
    args.extend(outputs);
    args.extend([slow.as_str(), slower.as_str()]);
    let mut program = Program::start(&args);
    let status = program.wait(Duration::from_secs(90));
    assert!(status.success(), "{}", program.stderr());
    for (camera, shown) in program.report()["cameras"].as_array().unwrap().iter().zip([8, 3]) {
        assert_eq!(camera["state"], "live", "{camera}");
        assert_eq!(camera["reconnects"], 0, "{camera}");
        assert!(camera["placards"].as_object().unwrap().is_empty(), "{camera}");
        assert!(camera["shown"].as_u64() >= Some(shown), "{camera}");
    }
}

/// One client gets 30 pictures a second over HTTP, as many as its socket takes; counts those that were written.
fn fast_mjpeg() -> (String, Arc<AtomicU64>) {
    let dir = tempfile::tempdir().unwrap();
    let filter = "testsrc2=size=320x240:rate=30:duration=1";
    let made = Command::new("ffmpeg")
        .args([
            "-nostdin", "-v", "error", "-f", "lavfi", "-i", filter, "-c:v", "mjpeg", "-q:v", "4", "%d.jpg",
        ])
        .current_dir(dir.path())
        .status()
        .unwrap();
    assert!(made.success());
    let pictures: Vec<Vec<u8>> =
        (1..=30).map(|n| std::fs::read(dir.path().join(format!("{n}.jpg"))).unwrap()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/fast", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 4096]);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n";
        client.write_all(head.as_bytes()).unwrap();
        let begun = Instant::now();
        for (n, picture) in pictures.iter().cycle().enumerate() {
            let due = begun + Duration::from_secs(1).mul_f64(n as f64 / 30.0);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let head =
                format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", picture.len());
            let part = [head.as_bytes(), picture, b"\r\n"].concat();
            if client.write_all(&part).is_err() {
                return;
            }
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    (uri, sent)
}

/// A wall that takes pictures at the pace of their times, 25 a second where none are told, is one sixth of the time
/// behind; what is not taken waits in sockets, where nobody counts it (case http-mjpeg-30).
#[test]
fn pictures_over_http_are_taken_as_fast_as_they_come() {
    let (uri, sent) = fast_mjpeg();
    let args =
        ["wall", "--for", "15s", "--size", "640x360", "--report", "report.json", "--out", "x.mkv", &uri];
    let mut program = Program::start(&args);
    let status = program.wait(Duration::from_secs(60));
    assert!(status.success(), "{}", program.stderr());
    let (report, sent) = (program.report(), sent.load(Ordering::Relaxed));
    let camera = &report["cameras"][0];
    // What a slow machine does not decode it has taken all the same, and counts.
    let count = |key: &str| camera[key].as_u64().unwrap();
    assert!(sent > 300 && sent - count("received") < 30, "{sent} were sent: {camera}");
    assert!(count("decoded") > 30, "{camera}");
    assert_eq!(
        (camera["state"].as_str(), camera["reconnects"].as_u64()),
        (Some("live"), Some(0)),
        "{camera}"
    );
}
