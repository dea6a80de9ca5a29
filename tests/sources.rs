//! Cameras with oddities, through the program: `vitrail probe` and `vitrail wall` take the same road.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
