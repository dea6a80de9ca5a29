//! One trial of `vitrail capacity max`: simulated cameras and a wall as processes of their own, a look
//! at the wall's picture, and the verdict from the wall's report.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use vitrail_engine::base::{Shutdown, SystemClock};
use vitrail_engine::source::Transport;
use vitrail_engine::{Error, ErrorKind, Result};
use vitrail_simulator::code::Region;
use vitrail_simulator::viewer::{Seen, Viewer};

use super::simulated::{Running, Simulated};

/// Connections a second: the wall allows each site 20, and cameras are dealt to so many sites.
const SITES: u32 = 10;
const CONNECTIONS_PER_SECOND: f64 = 20.0 * SITES as f64;
/// How long the wall may take to end when its time is over.
const END: Duration = Duration::from_secs(20);
/// How long before the end the viewer comes: long enough for a key frame, short enough to cost little.
const LOOK: Duration = Duration::from_secs(5);
/// Tiles narrower than this hold no code that can be read: 28 cells of four pixels.
const READABLE: f64 = 112.0;

/// What the wall looks like, whatever the number of cameras.
pub struct WallShape {
    /// Pixels of a screen.
    pub size: (u32, u32),
    /// Pictures per second.
    pub fps: f64,
    /// Columns and rows of each screen; none for one screen that holds all.
    pub grid: Option<(u32, u32)>,
    /// Preset of the encoders.
    pub preset: String,
    /// More text for the wall file.
    pub append: String,
}

impl WallShape {
    fn grid_of(&self, cameras: u32) -> (u32, u32) {
        self.grid.unwrap_or_else(|| {
            let columns = f64::from(cameras).sqrt().ceil() as u32;
            (columns, cameras.div_ceil(columns))
        })
    }

    fn screens(&self, cameras: u32) -> u32 {
        let (columns, rows) = self.grid_of(cameras);
        cameras.div_ceil(columns * rows)
    }

    fn file(&self, cameras: u32, address: &str, ports: &[u16]) -> String {
        let (columns, rows) = self.grid_of(cameras);
        let (width, height) = self.size;
        let mut text =
            format!("[wall]\nframe_rate = {}\n[encoder]\npreset = \"{}\"\n", self.fps, self.preset);
        text += &self.append;
        for (n, port) in ports.iter().enumerate() {
            text += &format!(
                "\n[[screen]]\nid = \"s{n}\"\nsize = \"{width}x{height}\"\ngrid = \"{columns}x{rows}\"\n\
                 outputs = [\"rtsp://127.0.0.1:{port}/wall\"]\n"
            );
            let cells = columns * rows;
            let first = n as u32 * cells + 1;
            let last = (first + cells - 1).min(cameras);
            let listed: Vec<String> = (first..=last).map(|c| format!("\"cam-{c}\"")).collect();
            text += &format!("cameras = [{}]\n", listed.join(", "));
        }
        for c in 1..=cameras {
            let site = c % SITES;
            text += &format!(
                "[[camera]]\nid = \"cam-{c}\"\nuri = \"rtsp://{address}/cam/{c}/sub\"\nsite = \"site-{site}\"\n"
            );
        }
        text
    }
}

/// What must hold.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Service {
    /// Share of the wall's pictures that are made and encoded in time.
    pub cadence: f64,
    /// Milliseconds from the camera (or the arrival, where the camera does not tell) to the encoded wall.
    pub latency_p95_ms: f64,
    /// Milliseconds between two different pictures of a camera in its tile.
    pub refresh_ms: f64,
    /// Share of the received pictures that may be dropped because a queue was too long.
    pub late_drops: f64,
}

/// What a trial gave.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// Cameras.
    pub cameras: u32,
    /// Screens.
    pub screens: u32,
    /// True where all conditions held.
    pub kept: bool,
    /// Each condition.
    pub conditions: Vec<Condition>,
    /// Cores that the wall used.
    pub wall_cores: f64,
    /// Cores that the simulated cameras used meanwhile.
    pub simulator_cores: f64,
    /// The wall's largest resident set, in bytes.
    pub peak_bytes: f64,
    /// Threads of the wall.
    pub threads: u64,
    /// Tiles that were read and showed their own camera, another one, or nothing readable.
    pub tiles: Tiles,
}

/// One thing that must hold.
#[derive(Clone, Debug, Serialize)]
pub struct Condition {
    /// Which: `cadence`, `latency`, `refresh`, `late`, `connected`, `picture`, `wall`.
    pub what: &'static str,
    /// What was found; `None` where the wall's report does not tell.
    pub value: Option<f64>,
    /// Where the limit lies.
    pub limit: f64,
    /// True where it held, or could not be seen.
    pub held: bool,
    /// For people, where it did not hold.
    pub text: String,
}

/// What the tiles showed.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Tiles {
    /// Their own camera.
    pub right: u32,
    /// Another camera.
    pub wrong: u32,
    /// Nothing that can be read, or no picture came.
    pub unreadable: u32,
    /// False where tiles are too small to be read, and so were not looked at.
    pub looked: bool,
}

impl Trial {
    /// What broke.
    pub fn broken_by(&self) -> Vec<String> {
        self.conditions.iter().filter(|c| !c.held).map(|c| c.text.clone()).collect()
    }

    fn value(&self, what: &str) -> Option<f64> {
        self.conditions.iter().find(|c| c.what == what)?.value
    }

    /// For the log.
    pub fn line(&self) -> String {
        let broken =
            if self.kept { "kept".into() } else { format!("broken: {}", self.broken_by().join("; ")) };
        format!("{} cameras: {broken} ({:.2} cores)", self.cameras, self.wall_cores)
    }

    /// For the table.
    pub fn row(&self) -> String {
        let shown = |what, unit: &str, digits: usize| {
            self.value(what).map_or("-".into(), |v| format!("{v:.digits$}{unit}"))
        };
        format!(
            "{:>8} {:>7} {:>8} {:>9} {:>9} {:>9} {:>7.2} {:>9.2} {:>7.0}  {}",
            self.cameras,
            self.screens,
            self.value("cadence").map_or("-".into(), |v| format!("{:.2} %", 100.0 * v)),
            shown("latency", " ms", 0),
            shown("refresh", " ms", 0),
            self.value("late").map_or("-".into(), |v| format!("{:.3} %", 100.0 * v)),
            self.wall_cores,
            self.simulator_cores,
            self.peak_bytes / 1e6,
            if self.kept { "kept".into() } else { self.broken_by().join("; ") }
        )
    }
}

pub(super) fn broken(subject: &'static str, what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, subject, what)
}

pub(super) fn this_program() -> Result<std::path::PathBuf> {
    std::env::current_exe().map_err(|e| broken("vitrail", "does not know its own path").caused_by(e))
}

/// Runs a wall of `count` cameras for a while and judges it.
pub fn trial(
    simulated: &mut Simulated,
    count: u32,
    shape: &WallShape,
    service: &Service,
    time: Duration,
    stop: &Shutdown,
    say: &mut dyn FnMut(&str),
) -> Result<Trial> {
    say("preparing the cameras (the first time takes a second or so for each)");
    let (address, simulator) = simulated.at_least(count, stop)?;
    let folder = Folder::new()?;
    let ports = (0..shape.screens(count)).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
    let file = folder.0.join("wall.toml");
    std::fs::write(&file, shape.file(count, &address, &ports)).map_err(|e| {
        Error::new(ErrorKind::Io, file.display().to_string(), "cannot be written").caused_by(e)
    })?;
    // All connections, and a key interval for the first pictures.
    let key = Duration::from_secs_f64(simulated.key_interval_s());
    let warm = Duration::from_secs_f64(f64::from(count) / CONNECTIONS_PER_SECOND) + key;
    let total = warm + time.max(LOOK + Duration::from_secs(1));
    let report = folder.0.join("report.json");
    let before = cpu_seconds(simulator);
    let (begun, child) = (Instant::now(), wall(&file, total, &report, &folder.0)?);
    let mut child = Running(child);
    let mut look = Some(total.saturating_sub(LOOK));
    let mut tiles = Tiles::default();
    let mut exit = None;
    while exit.is_none() && begun.elapsed() < total + END {
        if stop.is_cancelled() {
            return Err(broken("trial", "was interrupted"));
        }
        if look.is_some_and(|at| begun.elapsed() >= at) {
            look = None;
            tiles = look_at(ports[0], shape, count, simulated.picture());
        }
        say(&format!("{:.0} of {:.0} s", begun.elapsed().as_secs_f64(), total.as_secs_f64()));
        exit = child.0.try_wait().ok().flatten();
        std::thread::sleep(Duration::from_millis(200));
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let simulator_cores = (cpu_seconds(simulator) - before) / elapsed;
    let report: Option<Value> =
        std::fs::read(&report).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let Some(report) = report.filter(|_| exit.is_some_and(|status| status.success())) else {
        let said = std::fs::read_to_string(folder.0.join("stderr.txt")).unwrap_or_default();
        let last = said.lines().last().unwrap_or("it did not end in time").to_owned();
        return Ok(failed(count, ports.len() as u32, last, simulator_cores));
    };
    Ok(judge(count, shape, service, &report, tiles, simulator_cores))
}

fn wall(file: &Path, total: Duration, report: &Path, folder: &Path) -> Result<Child> {
    let stderr = std::fs::File::create(folder.join("stderr.txt"))
        .map_err(|e| broken("wall", "cannot write its log").caused_by(e))?;
    Command::new(this_program()?)
        .args(["--log", "error", "wall"])
        .arg(file)
        .args(["--for", &format!("{:.1}s", total.as_secs_f64()), "--report"])
        .arg(report)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(|e| broken("wall", "cannot be started").caused_by(e))
}

/// A wall that ended badly is a verdict too.
fn failed(cameras: u32, screens: u32, said: String, simulator_cores: f64) -> Trial {
    let text = format!("the wall failed: {said}");
    let wall = Condition { what: "wall", value: None, limit: 0.0, held: false, text };
    Trial {
        cameras,
        screens,
        kept: false,
        conditions: vec![wall],
        wall_cores: 0.0,
        simulator_cores,
        peak_bytes: 0.0,
        threads: 0,
        tiles: Tiles::default(),
    }
}

/// The verdict, from the wall's report.
fn judge(
    count: u32,
    shape: &WallShape,
    service: &Service,
    report: &Value,
    tiles: Tiles,
    simulator_cores: f64,
) -> Trial {
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    let (screens, cameras) = (list("screens"), list("cameras"));
    let elapsed = report["elapsed_s"].as_f64().unwrap_or(f64::INFINITY);
    let n = |value: &Value| value.as_f64().unwrap_or_default();
    let mut conditions = Vec::new();
    let mut at_least = |what, value: Option<f64>, limit: f64, text: String| {
        conditions.push(Condition { what, value, limit, held: value.is_none_or(|v| v >= limit), text });
    };
    // Of the pictures that were due while it ran: made, and not dropped by the encoder.
    let made = |s: &Value| {
        let (frames, missed, dropped) = (n(&s["frames"]), n(&s["missed"]), n(&s["dropped"]));
        ((frames - dropped) / (frames + missed).max(1.0)).min(n(&s["fps"]) / shape.fps + 0.001)
    };
    let cadence = screens.iter().map(made).fold(f64::INFINITY, f64::min);
    let cadence = if cadence.is_finite() { cadence } else { 0.0 };
    let slower = screens.iter().filter(|s| n(&s["left_out"]) > 0.0).count();
    let why = if slower > 0 { format!(", {slower} screens at less than their rate") } else { String::new() };
    at_least("cadence", Some(cadence), service.cadence, format!("cadence {:.2} %{why}", 100.0 * cadence));
    let connected = cameras.iter().filter(|c| n(&c["shown"]) > 0.0).count() as f64;
    let live = cameras.iter().filter(|c| c["state"] == "live").count() as f64;
    let wanted = f64::from(count);
    at_least(
        "connected",
        Some(connected.min(live)),
        wanted,
        format!("{live} of {wanted} cameras live at the end"),
    );
    if tiles.looked {
        let right = f64::from(tiles.right);
        let seen = f64::from(tiles.right + tiles.wrong + tiles.unreadable);
        let text = format!("{right} of {seen} tiles show their own camera, {} another", tiles.wrong);
        // A tile may be between two codes when the encoder is coarse; a wrong camera may not be.
        let held = tiles.wrong == 0 && right >= 0.98 * seen;
        conditions.push(Condition { what: "picture", value: Some(right), limit: seen, held, text });
    }
    let mut at_most = |what, value: Option<f64>, limit: f64, text: String| {
        conditions.push(Condition { what, value, limit, held: value.is_none_or(|v| v <= limit), text });
    };
    let latency = &report["latency"];
    let from_capture = n(&latency["from_capture"]["count"]) > 0.0;
    let spread = if from_capture { &latency["from_capture"] } else { &latency["from_arrival"] };
    let p95 = spread["p95_ms"].as_f64();
    at_most("latency", p95, service.latency_p95_ms, format!("latency p95 {:.0} ms", p95.unwrap_or_default()));
    // The longest wait in any tile counts. A first picture is no refresh, so start-up does not.
    let refresh = cameras.iter().filter_map(|c| c["refresh_max_ms"].as_f64()).reduce(f64::max);
    let text = format!("refresh {:.0} ms in the slowest tile", refresh.unwrap_or_default());
    at_most("refresh", refresh, service.refresh_ms, text);
    // What waited longer than the queue's bound was dropped: no queue can grow without that.
    let received: f64 = cameras.iter().map(|c| n(&c["received"])).sum();
    let late: f64 = cameras.iter().map(|c| n(&c["dropped"]["late"])).sum();
    let share = late / received.max(1.0);
    at_most("late", Some(share), service.late_drops, format!("{late:.0} pictures dropped as late"));
    let process = &report["process"];
    Trial {
        cameras: count,
        screens: screens.len() as u32,
        kept: conditions.iter().all(|c| c.held),
        conditions,
        wall_cores: n(&process["cpu_s"]) / elapsed,
        simulator_cores,
        peak_bytes: n(&process["peak_bytes"]),
        threads: process["threads"].as_u64().unwrap_or_default(),
        tiles,
    }
}

/// Looks at pictures of the first screen until every tile is right, a few seconds at most; the best of
/// them counts.
fn look_at(port: u16, shape: &WallShape, count: u32, picture: (u32, u32)) -> Tiles {
    let (columns, rows) = shape.grid_of(count);
    let on_first = count.min(columns * rows);
    let grid = (columns as usize, rows as usize);
    if within((shape.size.0 as usize, shape.size.1 as usize), grid, (0, 0), picture).width < READABLE {
        return Tiles::default();
    }
    let mut best = Tiles { unreadable: on_first, looked: true, ..Tiles::default() };
    let address = format!("rtsp://127.0.0.1:{port}/wall");
    let Ok(viewer) = Viewer::rtsp(&address, Transport::Tcp, SystemClock::shared()) else { return best };
    let end = Instant::now() + LOOK - Duration::from_secs(1);
    while Instant::now() < end && best.right < on_first {
        let Ok(Some(seen)) = viewer.next(Duration::from_millis(500)) else { continue };
        let now = read(&seen, grid, on_first, picture);
        if now.wrong > 0 || now.right > best.right {
            best = Tiles { wrong: best.wrong.max(now.wrong), ..now };
        }
    }
    best
}

/// Where a camera's picture lies in its tile: all of it, in proportion, in the middle.
fn within(size: (usize, usize), grid: (usize, usize), place: (usize, usize), picture: (u32, u32)) -> Region {
    let tile = Region::tile(size, grid, place);
    let (w, h) = (f64::from(picture.0), f64::from(picture.1));
    let scale = (tile.width / w).min(tile.height / h);
    let (bar_x, bar_y) = ((tile.width - w * scale) / 2.0, (tile.height - h * scale) / 2.0);
    Region::new(tile.x + bar_x, tile.y + bar_y, w * scale, h * scale)
}

fn read(seen: &Seen, grid: (usize, usize), cameras: u32, picture: (u32, u32)) -> Tiles {
    let mut tiles = Tiles { looked: true, ..Tiles::default() };
    for index in 0..cameras as usize {
        let place = (index % grid.0, index / grid.0);
        match seen.code(Some(within((seen.width, seen.height), grid, place, picture))) {
            Some(code) if usize::from(code.camera) == index + 1 => tiles.right += 1,
            Some(_) => tiles.wrong += 1,
            None => tiles.unreadable += 1,
        }
    }
    tiles
}

fn free_port() -> Result<u16> {
    let bound = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    bound.map(|a| a.port()).map_err(|e| broken("127.0.0.1", "has no free port").caused_by(e))
}

/// CPU-seconds of a process, as Linux tells; 0 where it does not.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Fields count from the bracket behind the name, which may hold spaces; 1/100 s each.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// A folder for one trial, removed with it.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vitrail-capacity-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|e| {
            Error::new(ErrorKind::Io, path.display().to_string(), "cannot be made").caused_by(e)
        })?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shape() -> WallShape {
        WallShape {
            size: (1920, 1080),
            fps: 10.0,
            grid: None,
            preset: "ultrafast".into(),
            append: String::new(),
        }
    }

    const SERVICE: Service =
        Service { cadence: 0.995, latency_p95_ms: 200.0, refresh_ms: 5000.0, late_drops: 0.001 };

    fn report() -> Value {
        let camera = serde_json::json!({
            "shown": 200, "state": "live", "received": 1000, "dropped": { "late": 0 },
            "refresh_p95_ms": 100.0, "refresh_max_ms": 200.0
        });
        serde_json::json!({
            "elapsed_s": 20.0,
            "cameras": [camera.clone(), camera],
            "screens": [{ "frames": 200, "missed": 0, "dropped": 0, "fps": 10.0 }],
            "latency": { "from_capture": { "count": 400, "p95_ms": 80.0 }, "from_arrival": { "p95_ms": 60.0 } },
            "process": { "cpu_s": 10.0, "peak_bytes": 1e8, "threads": 9 }
        })
    }

    #[test]
    fn every_condition_can_break_a_trial() {
        let looked = Tiles { right: 2, looked: true, ..Tiles::default() };
        let judged = |report: &Value, tiles| judge(2, &shape(), &SERVICE, report, tiles, 0.1);
        let good = judged(&report(), looked);
        assert!(good.kept, "{:?}", good.broken_by());
        assert_eq!((good.wall_cores, good.value("latency")), (0.5, Some(80.0)));
        let changes: [(&str, &str, Value); 7] = [
            ("/screens/0/missed", "cadence", 5.into()),
            ("/screens/0/fps", "cadence", 9.0.into()),
            ("/screens/0/dropped", "cadence", 3.into()),
            ("/latency/from_capture/p95_ms", "latency", 201.0.into()),
            ("/cameras/1/refresh_max_ms", "refresh", 5001.0.into()),
            ("/cameras/0/dropped/late", "late", 10.into()),
            ("/cameras/1/state", "connected", "stalled".into()),
        ];
        for (pointer, what, value) in changes {
            let mut report = report();
            *report.pointer_mut(pointer).unwrap() = value;
            let trial = judged(&report, looked);
            let broken: Vec<_> = trial.conditions.iter().filter(|c| !c.held).map(|c| c.what).collect();
            assert_eq!(broken, [what], "{pointer}");
        }
        let wrong = judged(&report(), Tiles { right: 1, wrong: 1, looked: true, ..Tiles::default() });
        assert_eq!(wrong.broken_by().len(), 1);
        assert!(!failed(2, 1, "no port".into(), 0.0).kept);
        assert!(!judged(&serde_json::json!({}), Tiles::default()).kept, "an empty report is no success");
    }

    #[test]
    fn pictures_lie_in_the_middle_of_their_tiles() {
        let at = within((1280, 720), (2, 1), (1, 0), (640, 360));
        assert_eq!((at.x, at.y, at.width, at.height), (640.0, 180.0, 640.0, 360.0));
        let at = within((1920, 1080), (3, 3), (2, 1), (640, 360));
        assert_eq!((at.x, at.y, at.width, at.height), (1280.0, 360.0, 640.0, 360.0));
    }

    #[test]
    fn generated_walls_are_walls() {
        for (grid, cameras, screens) in [(None, 17, 1), (Some((2, 2)), 9, 3), (Some((8, 8)), 5, 1)] {
            let shape = WallShape { grid, ..shape() };
            assert_eq!(shape.screens(cameras), screens);
            let ports: Vec<u16> = (9001..).take(screens as usize).collect();
            let folder = Folder::new().unwrap();
            let path = folder.0.join("wall.toml");
            std::fs::write(&path, shape.file(cameras, "127.0.0.1:8554", &ports)).unwrap();
            let spec = vitrail_engine::config::WallSpec::load(&path).unwrap();
            assert_eq!(spec.cameras.len(), cameras as usize);
            let layout = vitrail_engine::scene::solve(&spec.scene).unwrap();
            let shown: usize =
                layout.screens.iter().flat_map(|s| &s.tiles).filter(|t| t.camera.is_some()).count();
            assert_eq!(shown, cameras as usize);
        }
    }
}
