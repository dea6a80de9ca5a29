//! Camera-to-wall latency and CPU beside a wall of GStreamer elements: same cameras, same viewer, same machine.
//!
//!     cargo bench --bench peer_latency                     3 rounds of 20 s each, alternating
//!     LATENCY_ROUNDS=1 LATENCY_SECONDS=10 cargo bench --bench peer_latency
//!
//! 9 cameras (640x360, 12.5 pictures a second, H.264, TCP) on a 3x3 wall of 1920x1080 at 25 pictures a
//! second, x264 ultrafast zerolatency at constant quality 23 without a cap, served over RTSP. The peer is what one would give to
//! gst-launch-1.0 (rtspsrc latency=0 ! rtph264depay ! avdec_h264 max-threads=1 ! videoscale ! compositor
//! ! x264enc tune=zerolatency), served by gst-rtsp-server in a process of its own, because gst-launch-1.0
//! alone cannot serve RTSP: this program starts itself again as that server. Prints JSON and a table.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::watch::Watch;
use common::{Program, eventually, free_port};
use gstreamer as gst;
use gstreamer_rtsp_server as rtsp_server;
use gstreamer_rtsp_server::prelude::*;
use vitrail_engine::base::{SharedClock, SystemClock};
use vitrail_engine::media::Codec;
use vitrail_engine::source::Transport;
use vitrail_simulator::viewer::Viewer;
use vitrail_simulator::{Config, Profile, Simulator};

const SIDE: usize = 3;
const CAMERAS: usize = SIDE * SIDE;
/// Set in the child that is the peer: the cameras' addresses, and the port to serve on.
const SERVE: &str = "VITRAIL_BENCH_PEER_CAMERAS";
const PORT: &str = "VITRAIL_BENCH_PEER_PORT";

/// One wall over all rounds.
#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    cores: Vec<f64>,
    fps: Vec<f64>,
    missed: u64,
    wrong: u64,
    note: Option<String>,
}

fn main() {
    if let Ok(cameras) = std::env::var(SERVE) {
        return serve(&cameras, &std::env::var(PORT).unwrap());
    }
    // `cargo test --benches` passes --test: minutes of measuring are no test.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let set =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (rounds, seconds) = (set("LATENCY_ROUNDS", 3), Duration::from_secs(set("LATENCY_SECONDS", 20)));
    let clock = SystemClock::shared();
    let config = Config { codecs: vec![Codec::H264], ..common::cameras(CAMERAS as u16, &clock) };
    let simulator = Simulator::start(config).unwrap();
    let (mut vitrail, mut peer) = (Seen::default(), Seen::default());
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        // Whoever runs second has the warmer machine: they take turns.
        for turn in 0..2 {
            if (turn + round).is_multiple_of(2) {
                watch_vitrail(&simulator, &clock, seconds, &mut vitrail);
            } else {
                watch_peer(&simulator, &clock, seconds, &mut peer);
            }
        }
    }
    print(&vitrail, &peer, rounds, seconds);
}

fn watch_vitrail(simulator: &Simulator, clock: &SharedClock, time: Duration, seen: &mut Seen) {
    let address = format!("rtsp://127.0.0.1:{}/wall", free_port());
    let mut file = format!(
        "[wall]\nframe_rate = 25\n[encoder]\npreset = \"ultrafast\"\ncrf = 23\n\
         [[screen]]\nid = \"one\"\nsize = \"1920x1080\"\ngrid = \"{SIDE}x{SIDE}\"\noutputs = [\"{address}\"]\n"
    );
    for number in simulator.numbers() {
        let uri = simulator.uri(number, Profile::Sub);
        file += &format!("[[camera]]\nid = \"cam-{number}\"\nuri = \"{uri}\"\n");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wall.toml");
    std::fs::write(&path, file).unwrap();
    let mut program = Program::start(&["wall", path.to_str().unwrap()]);
    watch(&address, program.pid(), simulator, clock, time, seen);
    assert!(program.interrupt().success(), "{}", program.stderr());
}

fn watch_peer(simulator: &Simulator, clock: &SharedClock, time: Duration, seen: &mut Seen) {
    let port = free_port();
    let cameras: Vec<String> = simulator.numbers().map(|n| simulator.uri(n, Profile::Sub)).collect();
    let child = Command::new(std::env::current_exe().unwrap())
        .env(SERVE, cameras.join(" "))
        .env(PORT, port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    let child = Ended(child.unwrap());
    watch(&format!("rtsp://127.0.0.1:{port}/wall"), child.0.id(), simulator, clock, time, seen);
}

/// Ends the child however the round ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Watches a wall once all of its tiles are right; CPU counts over the same time.
fn watch(
    address: &str,
    pid: u32,
    simulator: &Simulator,
    clock: &SharedClock,
    time: Duration,
    seen: &mut Seen,
) {
    let host = address.trim_start_matches("rtsp://").trim_end_matches("/wall").to_owned();
    let up = eventually(Duration::from_secs(20), || std::net::TcpStream::connect(&host).is_ok());
    if !up {
        seen.note = Some("did not serve".into());
        return;
    }
    let viewer = Viewer::rtsp(address, Transport::Tcp, clock.clone()).unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    let mut right = false;
    while !right && Instant::now() < end {
        match viewer.next(Duration::from_millis(500)) {
            Ok(picture) => right = picture.is_some_and(|p| Watch::all_right(&p, SIDE, SIDE, CAMERAS)),
            Err(error) => {
                seen.note = Some(error.to_string());
                return;
            }
        }
    }
    if !right {
        seen.note = Some("never showed all cameras in their tiles".into());
    }
    let mut watch = Watch::new(SIDE, SIDE);
    let (before, begun) = (cpu_seconds(pid), Instant::now());
    watch.watch(&viewer, simulator, time);
    seen.cores.push((cpu_seconds(pid) - before) / begun.elapsed().as_secs_f64());
    seen.fps.push(watch.fps());
    seen.latencies.extend(watch.latencies);
    seen.missed += watch.tiles.iter().map(|t| t.missed).sum::<u64>();
    seen.wrong += watch.tiles.iter().map(|t| t.wrong).sum::<u64>();
}

/// CPU-seconds of a process; fields count from the bracket behind its name, 1/100 s each (proc(5)).
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The peer: the pipeline of the doc comment, for as long as somebody watches. Ended by its parent.
fn serve(cameras: &str, port: &str) {
    gst::init().unwrap();
    let mut launch = String::from("( compositor name=mix background=black latency=0");
    for i in 0..CAMERAS {
        launch += &format!(" sink_{i}::xpos={} sink_{i}::ypos={}", i % SIDE * 640, i / SIDE * 360);
    }
    launch += " ! video/x-raw,format=I420,width=1920,height=1080,framerate=25/1 \
               ! x264enc speed-preset=ultrafast tune=zerolatency pass=qual quantizer=23 vbv-buf-capacity=0 \
               bframes=0 key-int-max=50 option-string=scenecut=0 \
               ! rtph264pay name=pay0 pt=96 config-interval=-1";
    for (i, camera) in cameras.split(' ').enumerate() {
        launch += &format!(
            " rtspsrc location={camera} protocols=tcp latency=0 ! rtph264depay ! avdec_h264 max-threads=1 \
             ! videoscale ! video/x-raw,width=640,height=360 ! mix.sink_{i}"
        );
    }
    launch += " )";
    let server = rtsp_server::RTSPServer::new();
    server.set_address("127.0.0.1");
    server.set_service(port);
    let factory = rtsp_server::RTSPMediaFactory::new();
    factory.set_launch(&launch);
    factory.set_shared(true);
    factory.set_latency(0);
    server.mount_points().unwrap().add_factory("/wall", factory);
    server.attach(None).unwrap();
    gst::glib::MainLoop::new(None, false).run();
}

fn print(vitrail: &Seen, peer: &Seen, rounds: u64, time: Duration) {
    let ms = |seen: &Seen, q: f64| {
        let mut sorted = seen.latencies.clone();
        sorted.sort_unstable();
        let place = (sorted.len().saturating_sub(1) as f64 * q).round() as usize;
        sorted.get(place).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    };
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let json = |s: &Seen| {
        serde_json::json!({
            "p50_ms": ms(s, 0.5), "p95_ms": ms(s, 0.95), "p99_ms": ms(s, 0.99),
            "max_ms": ms(s, 1.0), "cores": mean(&s.cores), "cores_by_round": s.cores,
            "fps": mean(&s.fps), "camera_frames_never_shown": s.missed, "wrong_tiles": s.wrong,
            "frames": s.latencies.len() as u64, "note": s.note,
        })
    };
    let all = serde_json::json!({
        "machine": vitrail_engine::measure::machine(), "rounds": rounds, "seconds": time.as_secs(),
        "vitrail": json(vitrail), "gstreamer": json(peer),
    });
    println!("{}\n", serde_json::to_string_pretty(&all).unwrap());
    println!("| wall | latency p50 / p95 / p99 | cores | pictures a second | camera frames never shown |");
    println!("|---|---|---|---|---|");
    for (name, s) in [("Vitrail", vitrail), ("GStreamer elements", peer)] {
        let note = s.note.as_ref().map(|n| format!(" ({n})")).unwrap_or_default();
        println!(
            "| {name}{note} | {:.1} / {:.1} / {:.1} ms | {:.2} | {:.2} | {} of {} |",
            ms(s, 0.5),
            ms(s, 0.95),
            ms(s, 0.99),
            mean(&s.cores),
            mean(&s.fps),
            s.missed,
            s.missed + s.latencies.len() as u64
        );
    }
    println!(
        "\np95: {:.2} of the peer's; CPU: {:.2} of the peer's",
        ms(vitrail, 0.95) / ms(peer, 0.95),
        mean(&vitrail.cores) / mean(&peer.cores)
    );
}
