//! More work than the machine has room for: what a wall keeps, what it gives up, and how it returns.
//!
//!     cargo bench --bench overload               16 cameras; 30 s calm, 40 s of load, up to 90 s back
//!     OVERLOAD_CAMERAS=9 OVERLOAD_CALM=5 OVERLOAD_LOAD=10 OVERLOAD_RETURN=10 cargo bench --bench overload
//!
//! Two loads at once, each of which can be switched off: OVERLOAD_BUSY processes that count for ever
//! (twice as many as processors unless told otherwise), and with OVERLOAD_ENLARGE=1 a scene whose
//! tiles are four times as large in area and lie over each other, so that every camera is worth its
//! main stream. The cameras run in a process of their own. The first OVERLOAD_PINNED cameras are pinned.
//! OVERLOAD_SCREENS=8 shows them on so many screens of 1920x1080 instead of one, each encoded and served, so
//! that encoding outgrows the machine (nothing is pinned then, and nothing is busy, unless told otherwise):
//!
//!     OVERLOAD_SCREENS=8 OVERLOAD_CAMERAS=128 OVERLOAD_CHECK=1 cargo bench --bench overload
//!
//! Once a second the wall's report is read: pictures of the wall, pictures shown of each camera, its
//! effort and profile. Prints one JSON object; OVERLOAD_CHECK=1 fails where a promise is not kept.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::eventually;
use common::machine::{Usage, variable};
use common::scale::{CameraProcess, Tiles, code_in, id, rounded};
use serde_json::{Value, json};
use vitrail_engine::base::SystemClock;
use vitrail_engine::config::WallSpec;
use vitrail_engine::media::PixelRect;
use vitrail_engine::scene::{LayoutWish, Placement, Scene};
use vitrail_engine::source::Authority;
use vitrail_engine::wall::Wall;

/// A share of the calm rate that counts as kept, for a wall and for a pinned camera: reports are read
/// once a second, so a picture more or less is noise.
const KEPT: f64 = 0.95;

fn main() {
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let count: u16 = variable("OVERLOAD_CAMERAS", 16);
    let screens: u16 = variable("OVERLOAD_SCREENS", 1);
    let pinned: u16 = variable("OVERLOAD_PINNED", if screens > 1 { 0 } else { 2 });
    let seconds = |name, default| Duration::from_secs(variable(name, default));
    let (calm, load, back) =
        (seconds("OVERLOAD_CALM", 30), seconds("OVERLOAD_LOAD", 40), seconds("OVERLOAD_RETURN", 90));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let busy: usize = variable("OVERLOAD_BUSY", if screens > 1 { 0 } else { 2 * cores });
    let enlarge = variable("OVERLOAD_ENLARGE", 0) == 1 && screens == 1;
    let main: String = variable("OVERLOAD_MAIN", "1280x720@25".into());
    let cameras = CameraProcess::start(count, &["--main", &main], Duration::from_secs(300));
    // The wall's own `limits.queue`.
    let wall_queue = Duration::from_millis(400);
    let (mut wall, scene) = start(count, screens, pinned, &cameras);

    let right = || {
        let canvas = wall.newest(0)?;
        Tiles::of(&scene).0.iter().find(|(n, r)| code_in(&canvas, *r).is_none_or(|c| c.camera != *n)).copied()
    };
    assert!(eventually(Duration::from_secs(60), || wall.newest(0).is_some() && right().is_none()));
    let mut log = Log::new(pinned);
    let calm = log.phase(&wall, calm, None);
    let mut load_processes = Busy::start(busy);
    if enlarge {
        wall.apply(&enlarged(&scene)).unwrap();
    }
    let loaded = log.phase(&wall, load, None);
    load_processes.end();
    if enlarge {
        wall.apply(&scene).unwrap();
    }
    let begun = Instant::now();
    // Back is when every camera has its effort and profile of the calm again, and three seconds more.
    let wanted = log.efforts_of(&calm);
    let returned = log.phase(&wall, back, Some(&wanted));
    let back_after = returned.back.then(|| rounded(begun.elapsed().as_secs_f64()));
    let settled = log.phase(&wall, Duration::from_secs(5), None);

    let report = serde_json::to_value(wall.stop()).unwrap();
    let latency = report["latency"]["from_arrival"]["p95_ms"].as_f64().unwrap_or_default();
    let verdict = json!({
        // What is left out on purpose keeps its time too.
        "cadence_kept": loaded.ticks >= KEPT * calm.ticks,
        "cameras_dark": loaded.dark.max(calm.dark).max(settled.dark),
        "latency_p95_ms": latency,
        "latency_kept": latency <= wall_queue.as_secs_f64() * 1e3,
        "screens_degraded": loaded.steps.iter().filter(|step| *step != "as-asked").count(),
        "pinned_kept": loaded.slowest(true) >= KEPT * calm.slowest(true),
        "others_degraded": loaded.degraded(),
        "pinned_degraded": loaded.degraded_pinned(),
        "returned_after_s": back_after,
        "rates_returned": settled.slowest(false) >= KEPT * calm.slowest(false),
    });
    let result = json!({
        "cameras": count,
        "screens": screens,
        "pinned": pinned,
        "main": main,
        "busy_processes": busy,
        "enlarged": enlarge,
        "calm": calm.json(),
        "loaded": loaded.json(),
        "settled": settled.json(),
        "changes": log.changes,
        "seconds": log.seconds,
        "verdict": verdict,
        "governor": report["governor"],
        "wall_screens": report["screens"],
        "latency": report["latency"],
        "process": report["process"],
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
    if variable("OVERLOAD_CHECK", 0) == 1 {
        let kept: &[&str] = if screens > 1 {
            &["cadence_kept", "latency_kept"]
        } else {
            &["cadence_kept", "pinned_kept", "rates_returned"]
        };
        for key in kept {
            assert_eq!(verdict[*key], json!(true), "{key}");
        }
        assert_eq!(verdict["pinned_degraded"], json!(0));
        if screens > 1 {
            assert_eq!(verdict["cameras_dark"], json!(0));
        } else {
            assert!(back_after.is_some(), "not all cameras came back");
        }
    }
}

/// A wall of so many screens, each in the smallest square grid that holds its cameras.
fn start(count: u16, screens: u16, pinned: u16, cameras: &CameraProcess) -> (Wall, Scene) {
    let each = count.div_ceil(screens);
    let side = f64::from(each).sqrt().ceil() as u32;
    let mut text =
        "[wall]\nframe_rate = 25\n[encoder]\npreset = \"ultrafast\"\n[overlay]\nlabels = false\n".to_owned();
    for screen in 0..screens {
        let shown: Vec<String> =
            (screen * each + 1..=count.min((screen + 1) * each)).map(|n| format!("\"{}\"", id(n))).collect();
        text += &format!(
            "[[screen]]\nid = \"s{screen}\"\nsize = \"1920x1080\"\ngrid = \"{side}x{side}\"\n\
             fit = \"stretch\"\ncameras = [{}]\n",
            shown.join(", ")
        );
    }
    for n in 1..=count {
        let uri = cameras.uri(n);
        text += &format!(
            "[[camera]]\nid = \"{}\"\npinned = {}\nprofiles = {{ main = \"{}\", sub = \"{uri}\" }}\n",
            id(n),
            n <= pinned,
            uri.replace("/sub", "/main"),
        );
    }
    let spec = WallSpec::from_toml(&text, "overload.toml").unwrap();
    let scene = spec.scene.clone();
    (Wall::start(spec, &Authority::owner(), SystemClock::shared()).unwrap(), scene)
}

/// The same cameras in tiles of twice the width and height, spread over the screen and overlapping.
fn enlarged(scene: &Scene) -> Scene {
    let mut scene = scene.clone();
    let screen = scene.screens[0].rect;
    let region = &mut scene.regions[0];
    let side = (region.tiles.len() as f64).sqrt().ceil() as u32;
    let (width, height) = (screen.width * 2 / side / 2 * 2, screen.height * 2 / side / 2 * 2);
    // From the first column to the last that a tile of this size has room in.
    let at = |n: u32, room: u32, len: u32| (room - len.min(room)) * n / (side - 1).max(1) / 2 * 2;
    region.layout = LayoutWish::Free;
    for (n, tile) in (0..).zip(&mut region.tiles) {
        let (width, height) = (width.min(screen.width), height.min(screen.height));
        tile.at = Placement::Rect(PixelRect {
            x: at(n % side, screen.width, width),
            y: at(n / side, screen.height, height),
            width,
            height,
        });
    }
    scene
}

/// Processes that count for ever, ended when dropped.
struct Busy(Vec<Child>);

impl Busy {
    fn start(count: usize) -> Busy {
        let one =
            || Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
        Busy((0..count).map(|_| one()).collect())
    }

    fn end(&mut self) {
        for mut child in self.0.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.end();
    }
}

/// What one camera did in a phase.
#[derive(Clone, Debug)]
struct Rate {
    pinned: bool,
    fps: f64,
    effort: String,
    degraded: bool,
}

struct Phase {
    wall_fps: f64,
    /// Pictures that were made and that were left out on purpose, a second and screen.
    ticks: f64,
    missed: u64,
    /// What each screen was at the end.
    steps: Vec<String>,
    /// Tiles whose camera was not live at the end.
    dark: usize,
    cameras: Vec<Rate>,
    cpu_cores: f64,
    /// Whether what was waited for came true.
    back: bool,
}

impl Phase {
    /// The lowest rate among the pinned cameras, or among the others.
    fn slowest(&self, pinned: bool) -> f64 {
        self.cameras.iter().filter(|c| c.pinned == pinned).map(|c| c.fps).fold(f64::INFINITY, f64::min)
    }

    fn degraded(&self) -> usize {
        self.cameras.iter().filter(|c| c.degraded).count()
    }

    fn degraded_pinned(&self) -> usize {
        self.cameras.iter().filter(|c| c.degraded && c.pinned).count()
    }

    fn json(&self) -> Value {
        json!({
            "wall_fps": rounded(self.wall_fps),
            "screen_steps": self.steps,
            "cameras_dark": self.dark,
            "wall_pictures_missed": self.missed,
            "shown_fps": self.cameras.iter().map(|c| rounded(c.fps)).collect::<Vec<_>>(),
            "efforts": self.cameras.iter().map(|c| c.effort.clone()).collect::<Vec<_>>(),
            "cameras_degraded": self.degraded(),
            "cpu_cores": rounded(self.cpu_cores),
        })
    }
}

/// Reads reports, and notes when a camera's effort or profile changes.
struct Log {
    pinned: u16,
    begun: Instant,
    known: Vec<String>,
    changes: Vec<Value>,
    /// What each second was, for who asks why.
    seconds: Vec<Value>,
}

impl Log {
    fn new(pinned: u16) -> Log {
        Log { pinned, begun: Instant::now(), known: Vec::new(), changes: Vec::new(), seconds: Vec::new() }
    }

    fn efforts_of(&self, phase: &Phase) -> Vec<String> {
        phase.cameras.iter().map(|c| c.effort.clone()).collect()
    }

    /// Reads once a second for `time`; ends early once all efforts are `until` for three seconds.
    fn phase(&mut self, wall: &Wall, time: Duration, until: Option<&[String]>) -> Phase {
        let read = || serde_json::to_value(wall.report()).unwrap();
        let (first, usage, begun) = (read(), Usage::of(std::process::id()), Instant::now());
        let mut last = first.clone();
        let mut degraded = vec![false; first["cameras"].as_array().unwrap().len()];
        let mut settled = 0;
        while begun.elapsed() < time && settled < 3 {
            std::thread::sleep(Duration::from_secs(1));
            last = read();
            self.note(&last);
            for (seen, camera) in degraded.iter_mut().zip(last["cameras"].as_array().unwrap()) {
                *seen |= camera["degraded"].as_bool().unwrap_or_default();
            }
            settled = if until == Some(&self.known) { settled + 1 } else { 0 };
        }
        let span = begun.elapsed().as_secs_f64();
        let more = |key: &str, a: &Value, b: &Value| {
            b[key].as_u64().unwrap_or_default() - a[key].as_u64().unwrap_or_default()
        };
        let list = |report: &Value, key: &str| report[key].as_array().cloned().unwrap_or_default();
        let screens: Vec<(Value, Value)> =
            list(&first, "screens").into_iter().zip(list(&last, "screens")).collect();
        let sum = |key: &str| screens.iter().map(|(a, b)| more(key, a, b)).sum::<u64>();
        let each = span * screens.len() as f64;
        let pairs = first["cameras"].as_array().unwrap().iter().zip(last["cameras"].as_array().unwrap());
        let cameras = pairs.enumerate().map(|(n, (a, b))| Rate {
            pinned: n < usize::from(self.pinned),
            fps: more("shown", a, b) as f64 / span,
            effort: effort(b),
            degraded: degraded[n],
        });
        Phase {
            wall_fps: sum("frames") as f64 / each,
            ticks: (sum("frames") + sum("left_out")) as f64 / each,
            missed: sum("missed"),
            steps: screens.iter().map(|(_, s)| s["step"].as_str().unwrap_or_default().to_owned()).collect(),
            dark: list(&last, "cameras").iter().filter(|c| c["state"] != "live").count(),
            cameras: cameras.collect(),
            cpu_cores: Usage::of(std::process::id()).cpu_since(&usage) / span,
            back: settled == 3,
        }
    }

    fn note(&mut self, report: &Value) {
        let now: Vec<String> = report["cameras"].as_array().unwrap().iter().map(effort).collect();
        let at = rounded(self.begun.elapsed().as_secs_f64());
        for (n, (old, new)) in self.known.iter().zip(&now).enumerate().filter(|(_, (old, new))| old != new) {
            self.changes.push(json!({ "at_s": at, "camera": n + 1, "from": old, "to": new }));
        }
        self.known = now;
        self.seconds.push(second(at, report));
    }
}

/// Effort and profile of a camera, as far as the report tells them.
fn effort(camera: &Value) -> String {
    let part = |key: &str| camera[key].as_str().unwrap_or_default().to_owned();
    format!("{} {}", part("effort"), part("profile")).trim().to_owned()
}

/// One report in a line: the machine as the governor sees it, and the cameras that show nothing new.
fn second(at: f64, report: &Value) -> Value {
    let governor = &report["governor"];
    let dark = report["cameras"].as_array().unwrap().iter().filter(|c| c["state"] != "live");
    let dark: Vec<String> = dark
        .map(|c| format!("{} {} {}", c["id"].as_str().unwrap_or_default(), c["state"], effort(c)))
        .collect();
    json!({
        "at_s": at,
        "available": governor["available"],
        "demand": governor["demand"],
        "decoding": governor["decoding"],
        "encoding": governor["encoding"],
        "own": governor["own"],
        "others": governor["others"],
        "cameras": governor["degraded"],
        "screens": governor["degraded_screens"],
        "dark": dark,
    })
}
