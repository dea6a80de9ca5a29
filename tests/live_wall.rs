//! A live wall end to end: the program, real RTSP cameras, a real viewer.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use common::machine::is_busy;
use common::watch::{Watch, until_all_right};
use common::{Program, eventually, ffprobe_duration, free_port, run};
use vitrail_engine::base::{SharedClock, SystemClock};
use vitrail_engine::source::Transport;
use vitrail_simulator::gst_server::GstServer;
use vitrail_simulator::noise::Noise;
use vitrail_simulator::viewer::Viewer;
use vitrail_simulator::{Config, Fault, Login, Profile, Simulator};

fn cameras(count: u16, clock: &SharedClock) -> Simulator {
    Simulator::start(common::cameras(count, clock)).unwrap()
}

fn uris(simulator: &Simulator) -> Vec<String> {
    simulator.numbers().map(|n| simulator.uri(n, Profile::Sub)).collect()
}

/// A wall of these cameras on a port of its own: the program and the address to watch.
fn wall(grid: &str, size: &str, uris: &[String], more: &[&str]) -> (Program, String) {
    let address = format!("rtsp://127.0.0.1:{}/wall", free_port());
    let mut args = vec!["wall", "--grid", grid, "--size", size, "--fps", "25", "--out", &address];
    args.extend(["--report", "report.json", "--snapshot", "wall.png"]);
    args.extend(more);
    args.extend(uris.iter().map(String::as_str));
    let program = Program::start(&args);
    let listens = eventually(START, || TcpStream::connect(&address[7..address.len() - 5]).is_ok());
    assert!(listens, "nothing listens at {address} after {START:?}; the wall said:\n{}", program.stderr());
    (program, address)
}

fn view(address: &str, clock: &SharedClock) -> Viewer {
    Viewer::rtsp(address, Transport::Tcp, clock.clone()).unwrap()
}

const START: Duration = Duration::from_secs(30);

#[test]
fn sixteen_cameras_are_each_in_their_tile() {
    let clock = SystemClock::shared();
    let simulator = cameras(16, &clock);
    let busy = is_busy();
    let (mut program, address) = wall("4x4", "1920x1080", &uris(&simulator), &[]);
    let viewer = view(&address, &clock);
    until_all_right(&viewer, 4, 4, 16, START);
    let mut watch = Watch::new(4, 4);
    watch.watch(&viewer, &simulator, Duration::from_secs(6));
    drop(viewer);
    assert!(program.interrupt().success());
    let report = program.report();
    // Of 75. Beside others the wall may have to take cameras down to key frames, one every two seconds.
    let least = if busy || is_busy() { 2 } else { 50 };
    for (index, tile) in watch.tiles.iter().enumerate() {
        assert_eq!((tile.wrong, tile.backwards), (0, 0), "tile {index}: {tile:?}");
        assert!(tile.frames >= least, "tile {index} shows few frames: {tile:?}, {}", report["governor"]);
    }
    let cameras = report["cameras"].as_array().unwrap();
    let codec = |name: &str| cameras.iter().filter(|c| c["codec"] == name).count();
    assert_eq!((codec("H.264"), codec("H.265")), (8, 8));
    for camera in cameras {
        assert_eq!(camera["state"], "live", "{camera}");
        assert_eq!(camera["dropped"]["corrupt"], 0, "{camera}");
        assert_eq!(camera["reconnects"], 0, "{camera}");
        assert!(camera["shown"].as_u64() > Some(least), "{camera}");
    }
    let png = std::fs::read(program.path("wall.png")).unwrap();
    let header = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    assert_eq!((header.info().width, header.info().height), (1920, 1080));
}

#[test]
fn cameras_of_another_server_are_shown_too() {
    let clock = SystemClock::shared();
    let simulator = cameras(4, &clock);
    let clips: Vec<_> =
        simulator.numbers().map(|n| (n, Profile::Sub, simulator.clip(n, Profile::Sub).unwrap())).collect();
    let server = GstServer::start(clips).unwrap();
    let uris: Vec<String> = simulator.numbers().map(|n| server.uri(n, Profile::Sub)).collect();
    let (mut program, address) = wall("2x2", "1280x720", &uris, &[]);
    let viewer = view(&address, &clock);
    until_all_right(&viewer, 2, 2, 4, START);
    assert!(program.interrupt().success());
}

#[test]
fn a_wall_whose_cameras_are_all_down_comes_alive_when_they_do() {
    let clock = SystemClock::shared();
    let simulator = cameras(4, &clock);
    for camera in simulator.numbers() {
        simulator.fault(camera, Fault::Drop).unwrap();
    }
    let (mut program, address) = wall("2x2", "1280x720", &uris(&simulator), &[]);
    let viewer = view(&address, &clock);
    let mut watch = Watch::new(2, 2);
    watch.watch(&viewer, &simulator, Duration::from_secs(4));
    assert!(watch.pictures > 25, "the wall runs without cameras: {} pictures", watch.pictures);
    assert!(watch.tiles.iter().all(|t| t.right + t.wrong == 0), "no camera can be seen yet");
    for camera in simulator.numbers() {
        simulator.clear(camera).unwrap();
    }
    until_all_right(&viewer, 2, 2, 4, Duration::from_secs(60));
    assert!(program.interrupt().success());
}

#[test]
fn a_viewer_that_stops_reading_does_not_change_the_cadence() {
    let clock = SystemClock::shared();
    let simulator = cameras(4, &clock);
    let (mut program, address) = wall("2x2", "1280x720", &uris(&simulator), &[]);
    let viewer = view(&address, &clock);
    until_all_right(&viewer, 2, 2, 4, START);
    let (noise, busy) = (Noise::listen(), is_busy());
    let stalled = common::stalled::play_and_stop_reading(&address);
    let mut watch = Watch::new(2, 2);
    watch.watch(&viewer, &simulator, Duration::from_secs(10));
    drop(stalled);
    assert!(program.interrupt().success());
    let report = program.report();
    let screen = &report["screens"][0];
    // Where others take the machine, an encoder is late too; not of more than a tenth.
    let busy = if busy || is_busy() { watch.pictures / 10 } else { 0 };
    let noise = noise.missing(watch.pictures, Duration::from_millis(40)).max(busy);
    assert!(screen["missed"].as_u64().unwrap() <= noise, "{noise} for the machine's noise: {screen}");
    assert!(screen["dropped"].as_u64().unwrap() <= noise, "{noise} for the machine's noise: {screen}");
    for (index, tile) in watch.tiles.iter().enumerate() {
        assert_eq!(tile.wrong, 0, "tile {index}: {tile:?}");
        assert!(tile.frames >= 90, "the other viewer misses pictures in tile {index}: {tile:?}");
    }
}

#[test]
fn a_killed_recording_can_be_read_to_its_last_fragment() {
    let clock = SystemClock::shared();
    let simulator = cameras(4, &clock);
    let more = ["--out", "wall.mkv", "--out", "wall.mp4"];
    let (mut program, address) = wall("2x2", "1280x720", &uris(&simulator), &more);
    let viewer = view(&address, &clock);
    until_all_right(&viewer, 2, 2, 4, START);
    let started = std::time::Instant::now();
    let mut watch = Watch::new(2, 2);
    watch.watch(&viewer, &simulator, Duration::from_secs(6));
    let recorded_at_least = started.elapsed().as_secs_f64();
    program.kill_dash_nine();
    for name in ["wall.mkv", "wall.mp4"] {
        let duration = ffprobe_duration(&program.path(name)).unwrap_or_default();
        // A fragment lasts one second; up to half a second is on its way to the file.
        assert!(duration > recorded_at_least - 1.5, "{name}: {duration} of {recorded_at_least} s");
        let mut watch = Watch::new(2, 2);
        let file = Viewer::file(&program.path(name), clock.clone()).unwrap();
        while let Ok(Some(seen)) = file.next(Duration::from_secs(5)) {
            watch.read(&seen);
        }
        assert!(watch.tiles.iter().all(|t| t.right > 50 && t.wrong == 0), "{name}: {:?}", watch.tiles);
    }
}

#[test]
fn passwords_open_cameras_and_appear_nowhere() {
    let clock = SystemClock::shared();
    let login = Login::new("operator", "s3cret/wachtwoord@1");
    let config = Config { login: Some(login), ..common::cameras(4, &clock) };
    let simulator = Simulator::start(config).unwrap();
    let mut uris = uris(&simulator);
    // One camera with a wrong password beside three with the right one.
    uris[3] = uris[3].replace("s3cret", "wr0ng");
    let (mut program, address) = wall("2x2", "1280x720", &uris, &["--log", "trace"]);
    let viewer = view(&address, &clock);
    until_all_right(&viewer, 2, 2, 3, START);
    assert!(program.interrupt().success());
    let report = std::fs::read_to_string(program.path("report.json")).unwrap();
    for (name, text) in [("stderr", program.stderr()), ("report", report)] {
        for secret in ["s3cret", "wr0ng", "wachtwoord", "%2Fwachtwoord"] {
            assert!(!text.contains(secret), "{secret} in {name}");
        }
    }
    let fourth = &program.report()["cameras"][3];
    assert_eq!(fourth["state"], "offline", "{fourth}");
}

#[test]
fn a_wrong_wall_file_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.toml");
    let mut file = std::fs::File::create(&path).unwrap();
    writeln!(file, "[[camera]]\nid = \"gate\"\nuri = \"rtsp://127.0.0.1/x\"\ncolour = 3\n\n[[screen]]\nid = \"a\"\nsize = \"1920x1081\"\ngrid = \"2x2\"").unwrap();
    let (code, stdout, stderr) = run(&["wall", path.to_str().unwrap(), "--for", "1s"]);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("bad.toml:4:") && stderr.contains("colour"), "{stderr}");
    assert!(stderr.contains("bad.toml:8:") && stderr.contains("1081"), "{stderr}");
}
