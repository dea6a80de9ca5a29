//! Thousands of cameras on standby and a few shown: what each costs, and how fast any is called up.
//!
//!     cargo bench --bench standby                  8000 cameras, 64 shown, 200 call-ups
//!     STANDBY_CAMERAS=500 STANDBY_CALLS=20 STANDBY_SECONDS=5 cargo bench --bench standby
//!
//! The cameras run in a process of their own at STANDBY_SUB. The wall runs in this one; a second
//! process of this program runs it with the shown cameras alone, and the difference is what standby costs. A call-up swaps
//! the camera of one tile for a random one and counts from `apply` to the first canvas with that
//! camera's code in the tile. Prints one JSON object; fails where a camera cannot be called up.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::eventually;
use common::machine::{Usage, variable};
use common::scale::{
    CameraProcess, Dice, Tiles, camera_tables, code_in, id, id_list, quantile, rounded, sub_uri,
};
use serde_json::{Value, json};
use vitrail_engine::base::SystemClock;
use vitrail_engine::config::WallSpec;
use vitrail_engine::media::CameraId;
use vitrail_engine::scene::Scene;
use vitrail_engine::source::Authority;
use vitrail_engine::wall::Wall;

/// A camera that is not there by then is counted as not called up.
const CALL_LIMIT: Duration = Duration::from_secs(15);

struct Options {
    cameras: u16,
    shown: u16,
    seconds: u64,
    connect: u64,
}

fn main() {
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let options = Options {
        cameras: variable("STANDBY_CAMERAS", 8000),
        shown: variable("STANDBY_SHOWN", 64),
        seconds: variable("STANDBY_SECONDS", 20),
        connect: variable("STANDBY_CONNECT_SECONDS", 180),
    };
    if let Ok(listen) = std::env::var("STANDBY_ALONE") {
        let (rest, wall, _) = open(&options, options.shown, &listen);
        println!("{}", rest.json());
        drop(wall.stop());
        return;
    }
    let calls: u64 = variable("STANDBY_CALLS", 200);
    let sub: String = variable("STANDBY_SUB", "640x360@1".into());
    let codecs: String = variable("STANDBY_CODECS", "h264".into());
    let mut dice = Dice(variable("STANDBY_SEED", 1));
    // One file for each connection of the wall, and some of its own.
    assert!(vitrail_simulator::max_clients() >= u64::from(options.cameras), "see ulimit -Hn");
    let simulator = ["--sub", &sub, "--codecs", &codecs, "--loop-seconds", "2"];
    let cameras = CameraProcess::start(options.cameras, &simulator, Duration::from_secs(600));

    // In a process of its own: what a first wall has freed would be missing in the memory of a second.
    let alone = Command::new(std::env::current_exe().unwrap())
        .env("STANDBY_ALONE", &cameras.listen)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(alone.status.success(), "the wall of the shown cameras alone: {}", alone.status);
    let alone: Value = serde_json::from_slice(&alone.stdout).unwrap();
    let (all, mut wall, mut scene) = open(&options, options.cameras, &cameras.listen);
    let all = all.json();
    let more = |key: &str| all[key].as_f64().unwrap() - alone[key].as_f64().unwrap();
    let before = Usage::of(cameras.program.pid());
    let begun = Instant::now();
    let (mut times, mut failed) = (Vec::new(), Vec::new());
    for _ in 0..calls {
        let camera = 1 + dice.below(u64::from(options.cameras)) as u16;
        let tile = dice.below(u64::from(options.shown)) as usize;
        show(&mut scene, tile, camera);
        match call_up(&mut wall, &scene, camera) {
            Some(time) => times.push(time.as_secs_f64() * 1000.0),
            None => failed.push(camera),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let simulator_cores = Usage::of(cameras.program.pid()).cpu_since(&before) / begun.elapsed().as_secs_f64();
    let standby = f64::from(options.cameras - options.shown).max(1.0);
    let report = wall.stop();
    let result = json!({
        "cameras": options.cameras,
        "shown": options.shown,
        "sub": sub,
        "with_shown_alone": alone,
        "with_all": all,
        "kb_per_standby_camera": rounded(more("resident_mb") * 1e3 / standby),
        "cpu_us_per_s_per_standby_camera": rounded(more("cpu_cores") * 1e6 / standby),
        "calls": calls,
        "calls_failed": failed,
        "call_up_p50_ms": quantile(&mut times, 0.5),
        "call_up_p95_ms": quantile(&mut times, 0.95),
        "call_up_max_ms": quantile(&mut times, 1.0),
        "simulator_cpu_cores": rounded(simulator_cores),
        "screen": report.screens[0],
        "process": report.process,
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
    assert!(failed.is_empty(), "not every camera could be called up");
}

/// A wall at rest.
struct Rest {
    /// Cameras from which data had come when it was measured, of those that are in the wall file.
    connected: usize,
    opened: usize,
    connect_s: f64,
    cores: f64,
    usage: Usage,
}

impl Rest {
    fn json(&self) -> Value {
        json!({
            "cameras_opened": self.opened,
            "cameras_receiving": self.connected,
            "connect_s": rounded(self.connect_s),
            "cpu_cores": rounded(self.cores),
            "resident_mb": rounded(self.usage.resident_mb()),
            "threads": self.usage.threads,
            "open_files": self.usage.open_files,
        })
    }
}

/// Starts a wall of `count` cameras, waits until all of them send, and measures it at rest.
fn open(options: &Options, count: u16, listen: &str) -> (Rest, Wall, Scene) {
    let side = (f64::from(options.shown)).sqrt().ceil() as u16;
    let text = format!(
        "[wall]\nframe_rate = 25\nstandby = \"all\"\n[encoder]\npreset = \"ultrafast\"\n[overlay]\nlabels = false\n\
         [limits]\nplacard_after = \"10s\"\nfrozen_after = \"never\"\n\
         [[screen]]\nid = \"one\"\nsize = \"1920x1080\"\ngrid = \"{side}x{side}\"\nfit = \"stretch\"\n\
         cameras = {}\n{}",
        id_list(options.shown),
        camera_tables(1..=count, |n| sub_uri(listen, n)),
    );
    let spec = WallSpec::from_toml(&text, "standby.toml").unwrap();
    let scene = spec.scene.clone();
    let begun = Instant::now();
    let wall = Wall::start(spec, &Authority::owner(), SystemClock::shared()).unwrap();
    let receiving = || wall.report().cameras.iter().filter(|c| c.received > 0).count();
    let opened = wall.report().cameras.len();
    let limit = begun + Duration::from_secs(options.connect);
    let mut connected = receiving();
    while connected < opened && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(500));
        connected = receiving();
    }
    let connect_s = begun.elapsed().as_secs_f64();
    let tiles = Tiles::of(&scene);
    let all_there = || {
        let Some(canvas) = wall.newest(0) else { return false };
        tiles.0.iter().all(|(n, region)| code_in(&canvas, *region).is_some_and(|c| c.camera == *n))
    };
    assert!(eventually(Duration::from_secs(30), all_there), "not every shown camera is in its tile");
    let (before, begun) = (Usage::of(std::process::id()), Instant::now());
    std::thread::sleep(Duration::from_secs(options.seconds));
    let usage = Usage::of(std::process::id());
    let cores = usage.cpu_since(&before) / begun.elapsed().as_secs_f64();
    (Rest { connected, opened, connect_s, cores, usage }, wall, scene)
}

/// Puts a camera into a tile; where it is in another one already, the two change places.
fn show(scene: &mut Scene, tile: usize, camera: u16) {
    let tiles = &mut scene.regions[0].tiles;
    let new = Some(CameraId::new(id(camera)));
    let old = std::mem::replace(&mut tiles[tile].camera, new.clone());
    if let Some(other) = (0..tiles.len()).find(|&i| i != tile && tiles[i].camera == new) {
        tiles[other].camera = old;
    }
}

/// From `apply` to the first canvas with the camera's code in its tile.
fn call_up(wall: &mut Wall, scene: &Scene, camera: u16) -> Option<Duration> {
    let region = Tiles::of(scene).region(camera);
    let begun = Instant::now();
    wall.apply(scene).unwrap_or_else(|e| panic!("camera {camera} cannot be called up: {e}"));
    while begun.elapsed() < CALL_LIMIT {
        let code = wall.newest(0).and_then(|canvas| code_in(&canvas, region));
        if code.is_some_and(|c| c.camera == camera) {
            return Some(begun.elapsed());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}
