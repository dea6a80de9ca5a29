//! A thousand live cameras on one 4K wall, measured from outside.
//!
//!     cargo bench --bench wall_thousand                      1000 cameras, 3840x2160 at 10, five minutes
//!     WALL_CAMERAS=64 WALL_SIZE=1920x1080 WALL_SECONDS=20 cargo bench --bench wall_thousand
//!
//! The wall is the program, a process of its own; cameras and viewer are in this one. The viewer
//! decodes key frames alone (one every WALL_GOP), because decoding 4K would take what is measured.
//! Each of them tells of every tile which camera it shows and which of its pictures. Prints one JSON
//! object; WALL_CHECK=1 fails where a tile is not refreshed within 5 s, or shows another camera. The
//! viewer sees a refresh at its next key picture, so it allows one of these more; what the wall measured
//! itself in the same time stands beside it.
//!
//! Codes are read in tiles of 120x66 pixels (of a 4K wall of 32x32) and larger. Loops of 10 s name a
//! picture without doubt up to that age, and two pictures that follow each other within 8 s never have
//! the same number.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::machine::{Usage, variable};
use common::scale::{Tiles, camera_tables, id_list, quantile, rounded};
use common::{Program, eventually, free_port};
use serde_json::{Value, json};
use vitrail_engine::base::SystemClock;
use vitrail_engine::config::WallSpec;
use vitrail_engine::media::Codec;
use vitrail_engine::source::Transport;
use vitrail_simulator::viewer::{Seen, Viewer};
use vitrail_simulator::{Config, Profile, Simulator, StreamSpec};

/// What every tile must keep.
const REFRESH_LIMIT: f64 = 5.0;

fn main() {
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let count: u16 = variable("WALL_CAMERAS", 1000);
    let seconds: u64 = variable("WALL_SECONDS", 300);
    let warm_up: u64 = variable("WALL_WARM_UP", 90);
    let size: String = variable("WALL_SIZE", "3840x2160".into());
    let fps: f64 = variable("WALL_FPS", 10.0);
    // The cameras run on the same machine and are counted as other programs: all of it may be filled.
    let budget: u32 = variable("WALL_BUDGET", 100);
    let gop: String = variable("WALL_GOP", "1s".into());
    let sub: String = variable("WALL_SUB", "640x360@12.5".into());
    let clock = SystemClock::shared();
    let defaults = common::cameras(count, &clock);
    let sub = defaults.sub.with_format(&sub).expect("WALL_SUB is like 640x360@12.5");
    let kbps = if sub == defaults.sub { sub.kbps } else { sub.usual_kbps() };
    let simulator = Simulator::start(Config {
        sub: StreamSpec { kbps: variable("WALL_KBPS", kbps), ..sub },
        codecs: vec![Codec::H264, Codec::H265],
        loop_length: Duration::from_secs(10),
        ..defaults
    })
    .unwrap();

    let address = format!("rtsp://127.0.0.1:{}/wall", free_port());
    let side = f64::from(count).sqrt().ceil() as u32;
    let text = format!(
        "[wall]\nframe_rate = {fps}\n[encoder]\npreset = \"ultrafast\"\ngop = \"{gop}\"\n\
         [overlay]\nlabels = false\nborder = 0\nage_after = \"never\"\n\
         [limits]\nplacard_after = \"6s\"\nfrozen_after = \"never\"\n[effort]\nbudget = {budget}\n\
         [[screen]]\nid = \"one\"\nsize = \"{size}\"\ngrid = \"{side}x{side}\"\nfit = \"stretch\"\n\
         cameras = {}\noutputs = [\"{address}\"]\n{}",
        id_list(count),
        camera_tables(1..=count, |n| simulator.uri(n, Profile::Sub)),
    );
    let spec = WallSpec::from_toml(&text, "wall.toml").unwrap();
    let tiles = Tiles::of(&spec.scene);
    let seen_within = REFRESH_LIMIT + spec.encoder.gop.as_secs_f64();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wall.toml");
    std::fs::write(&path, text).unwrap();
    let mut program = Program::start(&["wall", path.to_str().unwrap(), "--report", "report.json"]);
    let host = address.trim_start_matches("rtsp://").trim_end_matches("/wall").to_owned();
    let served = || std::net::TcpStream::connect(&host).is_ok();
    assert!(eventually(Duration::from_secs(30), served), "{}", program.stderr());
    let viewer = Viewer::rtsp_key_frames(&address, Transport::Tcp, clock).unwrap();

    let begun = Instant::now();
    let mut watch = Watch::new(&tiles);
    while watch.seen_right() < usize::from(count) && begun.elapsed() < Duration::from_secs(warm_up) {
        watch.look_for(&viewer, &simulator, Duration::from_secs(1));
    }
    let (shown, all_after) = (watch.seen_right(), begun.elapsed());
    let before = [Usage::of(program.pid()), Usage::of(std::process::id())];
    let begun = Instant::now();
    let mut halves = Vec::new();
    let mut most_threads = 0;
    for _ in 0..2 {
        watch.begin();
        let begin = Instant::now();
        let end = begin + Duration::from_secs_f64(seconds as f64 / 2.0);
        while Instant::now() < end {
            watch.look_for(&viewer, &simulator, Duration::from_secs(1).min(end - Instant::now()));
            most_threads = most_threads.max(Usage::of(program.pid()).threads);
        }
        halves.push((watch.result(), Usage::of(program.pid()), [begin, Instant::now()]));
    }
    let span = begun.elapsed().as_secs_f64();
    let after = [halves[1].1, Usage::of(std::process::id())];
    let cores = |n: usize| rounded(after[n].cpu_since(&before[n]) / span);
    drop(viewer);
    let interrupted = Instant::now();
    let ended = program.interrupt().success();
    let report = if ended { program.report() } else { Value::Null };
    let of_cameras = |key: &str| -> Vec<f64> {
        let cameras = report["cameras"].as_array().map(Vec::as_slice).unwrap_or_default();
        cameras.iter().filter_map(|c| c[key].as_f64()).collect()
    };
    let states = tally(&report["cameras"], "state");
    let by_wall = |n: usize| {
        let before_end = halves[n].2.map(|at| (interrupted - at).as_secs_f64());
        longest_by_wall(&report["screens"][0], before_end)
    };
    let result = json!({
        "cameras": count,
        "wall": { "size": size, "fps": fps, "grid": format!("{side}x{side}"), "tile": tile_size(&tiles) },
        "seconds": seconds,
        "shown_after_warm_up": shown,
        "warm_up_s": rounded(all_after.as_secs_f64()),
        "first_half": halves[0].0,
        "second_half": halves[1].0,
        "seen_refresh_bound_s": seen_within,
        "refresh_max_s_by_wall_in_halves": [by_wall(0), by_wall(1)],
        "wall_cpu_cores": cores(0),
        "cameras_and_viewer_cpu_cores": cores(1),
        "wall_threads_max": most_threads,
        "wall_resident_mb_by_half": [halves[0].1.resident_mb(), halves[1].1.resident_mb()],
        "wall_open_files": after[0].open_files,
        "camera_states": states,
        "placards": placards(&report["cameras"]),
        "efforts": tally(&report["cameras"], "effort"),
        "refresh_p95_ms_by_report_worst": quantile(&mut of_cameras("refresh_p95_ms"), 1.0),
        "refresh_max_ms_by_report_worst": quantile(&mut of_cameras("refresh_max_ms"), 1.0),
        "reconnects": of_cameras("reconnects").iter().sum::<f64>(),
        "screen": report["screens"][0],
        "governor": report["governor"],
        "process": report["process"],
        "simulator": simulator.stats(),
        "ended_cleanly": ended,
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
    if variable("WALL_CHECK", 0) == 1 {
        assert_eq!(shown, usize::from(count), "not every camera was in its tile");
        for (half, ..) in &halves {
            assert_eq!((&half["wrong"], &half["tiles_never_right"]), (&json!(0), &json!(0)));
            assert!(half["refresh_max_s"].as_f64().unwrap() <= seen_within, "a tile was not refreshed");
        }
    }
}

/// How many cameras have each value of a field; nothing where the report does not have it.
fn tally(cameras: &Value, key: &str) -> Value {
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    for value in cameras.as_array().into_iter().flatten().filter_map(|c| c[key].as_str()) {
        *counts.entry(value).or_default() += 1;
    }
    json!(counts)
}

/// How often tiles turned into each kind of placard, over all cameras.
fn placards(cameras: &Value) -> Value {
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    let of_each = cameras.as_array().into_iter().flatten().filter_map(|c| c["placards"].as_object());
    for (kind, count) in of_each.flatten() {
        *counts.entry(kind.as_str()).or_default() += count.as_u64().unwrap_or_default();
    }
    json!(counts)
}

/// The longest refresh, in seconds, that the wall itself saw in the spans that began from so many seconds
/// before its end until so many.
fn longest_by_wall(screen: &Value, [from, to]: [f64; 2]) -> Value {
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    // From its first picture to its last.
    let lasted = (number(&screen["frames"]) - 1.0) / number(&screen["fps"]).max(0.001);
    let spans = screen["refresh"].as_array().map(Vec::as_slice).unwrap_or_default();
    let within = |span: &&Value| (to..=from).contains(&(lasted - number(&span["from_s"])));
    let mut longest: Vec<f64> = spans.iter().filter(within).map(|s| number(&s["max_ms"]) / 1000.0).collect();
    quantile(&mut longest, 1.0)
}

fn tile_size(tiles: &Tiles) -> String {
    tiles.0.first().map(|(_, r)| format!("{}x{}", r.width, r.height)).unwrap_or_default()
}

/// What was seen of one tile.
#[derive(Clone, Default)]
struct Tile {
    right: u64,
    /// The newest picture seen, and when it was first seen.
    newest: Option<(u32, Instant)>,
    longest: Duration,
}

struct Watch<'a> {
    layout: &'a Tiles,
    tiles: Vec<Tile>,
    pictures: u64,
    wrong: u64,
    unreadable: u64,
    /// Ages of tiles' pictures, in ms.
    ages: Vec<f64>,
}

impl<'a> Watch<'a> {
    fn new(layout: &'a Tiles) -> Watch<'a> {
        let tiles = vec![Tile::default(); layout.0.len()];
        Watch { layout, tiles, pictures: 0, wrong: 0, unreadable: 0, ages: Vec::new() }
    }

    /// Tiles that have shown their own camera.
    fn seen_right(&self) -> usize {
        self.tiles.iter().filter(|t| t.right > 0).count()
    }

    /// Forgets the counts; a refresh that is under way counts from now.
    fn begin(&mut self) {
        let now = Instant::now();
        for tile in &mut self.tiles {
            tile.right = 0;
            tile.longest = Duration::ZERO;
            if let Some((_, at)) = &mut tile.newest {
                *at = now;
            }
        }
        (self.pictures, self.wrong, self.unreadable) = (0, 0, 0);
        self.ages.clear();
    }

    fn look_for(&mut self, viewer: &Viewer, simulator: &Simulator, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            match viewer.next(end - Instant::now()) {
                Ok(Some(seen)) => self.look(&seen, simulator),
                Ok(None) => {}
                Err(error) => panic!("the viewer: {error}"),
            }
        }
    }

    fn look(&mut self, seen: &Seen, simulator: &Simulator) {
        self.pictures += 1;
        let now = Instant::now();
        for ((camera, region), tile) in self.layout.0.iter().zip(&mut self.tiles) {
            if let Some((_, at)) = tile.newest {
                tile.longest = tile.longest.max(now - at);
            }
            let Some(code) = seen.code(Some(*region)) else {
                self.unreadable += 1;
                continue;
            };
            if code.camera != *camera {
                self.wrong += 1;
                continue;
            }
            tile.right += 1;
            let Some(sent) = simulator.sending(&code, seen.arrival) else { continue };
            self.ages.push(seen.arrival.since(sent.moment).as_secs_f64() * 1000.0);
            // By the number in the picture: its sending is another one each time the loop comes round.
            if tile.newest.is_none_or(|(frame, _)| frame != code.frame) {
                tile.newest = Some((code.frame, now));
            }
        }
    }

    fn result(&mut self) -> Value {
        let now = Instant::now();
        let longest = |t: &Tile| t.newest.map_or(t.longest, |(_, at)| t.longest.max(now - at)).as_secs_f64();
        let mut refresh: Vec<f64> = self.tiles.iter().map(longest).collect();
        json!({
            "key_pictures_seen": self.pictures,
            "tiles_never_right": self.tiles.iter().filter(|t| t.right == 0).count(),
            "wrong": self.wrong,
            "unreadable": self.unreadable,
            "refresh_p50_s": quantile(&mut refresh, 0.5),
            "refresh_p95_s": quantile(&mut refresh, 0.95),
            "refresh_max_s": quantile(&mut refresh, 1.0),
            "age_p50_ms": quantile(&mut self.ages, 0.5),
            "age_p95_ms": quantile(&mut self.ages, 0.95),
            "age_max_ms": quantile(&mut self.ages, 1.0),
        })
    }
}
