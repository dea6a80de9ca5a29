//! A whole wall, measured from outside: simulated cameras, the program, and a viewer on one machine.
//!
//!     cargo bench --bench wall_live                 16 cameras, 4x4, 60 s
//!     WALL_SECONDS=20 WALL_PRESET=superfast cargo bench --bench wall_live
//!
//! Prints one JSON object: which tiles showed their own camera, the wall's frame rate, camera
//! frames that were never shown, and the latency from the simulator's send to the decoded picture.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use common::watch::{Watch, until_all_right};
use common::{Program, free_port};
use vitrail_engine::base::SystemClock;
use vitrail_engine::source::Transport;
use vitrail_simulator::viewer::Viewer;
use vitrail_simulator::{Profile, Simulator};

fn main() {
    // `cargo test --benches` passes --test: a minute of measuring is not a test.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let seconds = std::env::var("WALL_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    let preset = std::env::var("WALL_PRESET").unwrap_or_else(|_| "ultrafast".into());
    let clock = SystemClock::shared();
    let simulator = Simulator::start(common::cameras(16, &clock)).unwrap();
    let address = format!("rtsp://127.0.0.1:{}/wall", free_port());
    let mut file = format!(
        "[wall]\nframe_rate = 25\n[encoder]\npreset = \"{preset}\"\n\
         [[screen]]\nid = \"one\"\nsize = \"1920x1080\"\ngrid = \"4x4\"\noutputs = [\"{address}\"]\n"
    );
    for number in simulator.numbers() {
        file += &format!(
            "[[camera]]\nid = \"cam-{number}\"\nuri = \"{}\"\n",
            simulator.uri(number, Profile::Sub)
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wall.toml");
    std::fs::write(&path, file).unwrap();
    let mut program = Program::start(&["wall", path.to_str().unwrap(), "--report", "report.json"]);
    let host = address.trim_start_matches("rtsp://").trim_end_matches("/wall").to_owned();
    assert!(
        common::eventually(Duration::from_secs(20), || std::net::TcpStream::connect(&host).is_ok()),
        "{}",
        program.stderr()
    );
    let viewer = Viewer::rtsp(&address, Transport::Tcp, clock).unwrap();
    until_all_right(&viewer, 4, 4, 16, Duration::from_secs(30));
    let mut watch = Watch::new(4, 4);
    watch.watch(&viewer, &simulator, Duration::from_secs(seconds));
    drop(viewer);
    assert!(program.interrupt().success(), "{}", program.stderr());
    let report = program.report();
    let ms = |q: f64| watch.latency.quantile(q).map(|d| (d.as_secs_f64() * 1e4).round() / 10.0);
    let sum = |of: fn(&common::watch::Tile) -> u64| watch.tiles.iter().map(of).sum::<u64>();
    let result = serde_json::json!({
        "seconds": seconds,
        "preset": preset,
        "wall_pictures": watch.pictures,
        "wall_fps": (watch.fps() * 1000.0).round() / 1000.0,
        "longest_gap_ms": watch.longest_gap.as_millis() as u64,
        "tiles_with_their_camera": watch.tiles.iter().filter(|t| t.right > 0 && t.wrong == 0).count(),
        "tile_pictures_right": sum(|t| t.right),
        "tile_pictures_wrong": sum(|t| t.wrong),
        "tile_pictures_unreadable": sum(|t| t.unreadable),
        "camera_frames_shown": sum(|t| t.frames),
        "camera_frames_never_shown": sum(|t| t.missed),
        "latency_p50_ms": ms(0.5),
        "latency_p95_ms": ms(0.95),
        "latency_p99_ms": ms(0.99),
        "latency_max_ms": watch.latency.max().as_secs_f64() * 1000.0,
        "simulator": simulator.stats(),
        "screen": report["screens"][0],
        "process": report["process"],
        "dropped_by_camera": report["cameras"].as_array().unwrap().iter().map(|c| c["dropped"].clone()).collect::<Vec<_>>(),
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
}
