//! Twenty minutes of random faults: memory, threads and files stay, and every camera comes back.
//!
//!     cargo bench --bench soak                     64 cameras, 20 minutes
//!     SOAK_CAMERAS=9 SOAK_SECONDS=30 SOAK_SETTLE=5 cargo bench --bench soak
//!
//! The cameras run in a process of their own and are told their faults over the control port; the wall
//! runs in this one, so that what it holds is measured alone. A fault is chosen, with its camera and its
//! length, from SOAK_SEED. A camera has come back when its tile shows its own code and the report calls
//! it live; who is not back after SOAK_RECOVER counts as lost. After SOAK_SETTLE seconds memory,
//! threads and files are what the rest of the run is compared with. Prints one JSON object; SOAK_CHECK=1
//! fails where a promise is not kept.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use common::eventually;
use common::machine::{Usage, variable};
use common::scale::{CameraProcess, Dice, Tiles, camera_tables, code_in, id_list, quantile, rounded};
use serde_json::{Value, json};
use vitrail_engine::base::SystemClock;
use vitrail_engine::config::WallSpec;
use vitrail_engine::source::Authority;
use vitrail_engine::wall::Wall;
use vitrail_simulator::code::Region;

/// Every kind of fault, and whether a client meets it only when it connects.
const FAULTS: [(&str, bool); 13] = [
    ("silent", false),
    ("freeze", false),
    ("loss 10", false),
    ("reorder", false),
    ("corrupt", false),
    ("drop", false),
    ("auth", true),
    ("sessions 453", true),
    ("sessions 401", true),
    ("sessions 503", true),
    ("resize", false),
    ("no-sprop", true),
    ("jump", false),
];
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// For how long a camera is cut off so that it meets a fault of connecting.
const CUT: Duration = Duration::from_millis(1500);
/// Growth of memory that is called flat.
const FLAT: f64 = 0.05;

fn main() {
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let count: u16 = variable("SOAK_CAMERAS", 64);
    let seconds: u64 = variable("SOAK_SECONDS", 1200);
    let settle: u64 = variable("SOAK_SETTLE", 120);
    let every: f64 = variable("SOAK_FAULT_EVERY", 3.0);
    let recover = Duration::from_secs(variable("SOAK_RECOVER", 90));
    let sub: String = variable("SOAK_SUB", "640x360@12.5".into());
    let mut dice = Dice(variable("SOAK_SEED", 1));
    // Nobody looks at the main streams; small ones are encoded soon.
    let simulator = ["--sub", &sub, "--main", "320x180@12.5"];
    let mut cameras = CameraProcess::start(count, &simulator, Duration::from_secs(600));
    // Some faults show a loop of their own. Encoded beforehand, they need no time later on.
    for camera in 1..=count {
        for fault in ["freeze", "resize"] {
            cameras.ask(&format!("fault {camera} {fault} on"));
        }
        cameras.ask(&format!("fault {camera} off"));
    }
    let (wall, tiles) = start(count, &cameras);
    let shows = |n: u16, region: Region| {
        wall.newest(0).and_then(|c| code_in(&c, region)).is_some_and(|code| code.camera == n)
    };
    let all = || tiles.0.iter().all(|(n, region)| shows(*n, *region));
    assert!(eventually(Duration::from_secs(120), all), "not every camera is in its tile");

    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let mut troubles: BTreeMap<u16, Trouble> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, Kind> = BTreeMap::new();
    let mut samples = Vec::new();
    let (mut next_fault, mut next_sample) = (begun, begun);
    // After the end, those that are in trouble are still waited for.
    while Instant::now() < end || !troubles.is_empty() {
        let now = Instant::now();
        if now >= next_sample && now < end {
            samples.push((now - begun, Usage::of(std::process::id())));
            next_sample += SAMPLE_EVERY;
        }
        if now >= next_fault && now < end {
            next_fault += Duration::from_secs_f64(every * dice.between(0.5, 1.5));
            let camera = 1 + dice.below(u64::from(count)) as u16;
            let (fault, connecting) = FAULTS[dice.below(FAULTS.len() as u64) as usize];
            let length = Duration::from_secs_f64(dice.between(4.0, 20.0));
            if let Entry::Vacant(place) = troubles.entry(camera) {
                cameras.ask(&format!("fault {camera} {fault} on"));
                if connecting {
                    cameras.ask(&format!("fault {camera} drop on"));
                }
                place.insert(Trouble {
                    fault,
                    connecting,
                    until: now + length,
                    cut: now + CUT,
                    cleared: None,
                });
            }
        }
        let states: Vec<bool> = wall.report().cameras.iter().map(|c| c.state == "live").collect();
        troubles.retain(|&camera, trouble| {
            if trouble.connecting && now >= trouble.cut {
                trouble.connecting = false;
                cameras.ask(&format!("fault {camera} drop off"));
            }
            let Some(cleared) = trouble.cleared else {
                if now >= trouble.until {
                    cameras.ask(&format!("fault {camera} off"));
                    trouble.cleared = Some(now);
                }
                return true;
            };
            let back = states[usize::from(camera) - 1] && shows(camera, tiles.region(camera));
            if back {
                kinds.entry(trouble.fault).or_default().times.push((now - cleared).as_secs_f64());
            } else if now - cleared > recover {
                kinds.entry(trouble.fault).or_default().lost.push(camera);
            } else {
                return true;
            }
            false
        });
        std::thread::sleep(Duration::from_millis(50));
    }
    samples.push((begun.elapsed(), Usage::of(std::process::id())));
    let report = wall.stop();
    let growth = Growth::of(&samples, Duration::from_secs(settle));
    let lost: usize = kinds.values().map(|k| k.lost.len()).sum();
    let result = json!({
        "cameras": count,
        "sub": sub,
        "seconds": rounded(begun.elapsed().as_secs_f64()),
        "faults": kinds.values().map(|k| k.times.len() + k.lost.len()).sum::<usize>(),
        "lost": lost,
        "by_kind": kinds.iter_mut().map(|(name, kind)| ((*name).to_owned(), kind.json())).collect::<BTreeMap<_, _>>(),
        "growth": growth.json(),
        "resident_mb": samples.iter().map(|(at, u)| json!([at.as_secs(), rounded(u.resident_mb())])).collect::<Vec<_>>(),
        "cpu_cores": rounded(samples.last().unwrap().1.cpu_since(&samples[0].1) / begun.elapsed().as_secs_f64()),
        "screen": report.screens[0],
        "process": report.process,
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
    if variable("SOAK_CHECK", 0) == 1 {
        assert_eq!(lost, 0, "cameras did not come back");
        assert!(growth.memory.abs() <= FLAT, "memory grew");
        assert!(growth.threads <= 0 && growth.files <= 0, "threads or files grew");
    }
}

fn start(count: u16, cameras: &CameraProcess) -> (Wall, Tiles) {
    let side = f64::from(count).sqrt().ceil() as u32;
    let text = format!(
        "[wall]\nframe_rate = 25\n[encoder]\npreset = \"ultrafast\"\n[overlay]\nlabels = false\n\
         [limits]\nfrozen_after = \"3s\"\n\
         [[screen]]\nid = \"one\"\nsize = \"1920x1080\"\ngrid = \"{side}x{side}\"\nfit = \"stretch\"\n\
         cameras = {}\n{}",
        id_list(count),
        camera_tables(1..=count, |n| cameras.uri(n)),
    );
    let spec = WallSpec::from_toml(&text, "soak.toml").unwrap();
    let tiles = Tiles::of(&spec.scene);
    (Wall::start(spec, &Authority::owner(), SystemClock::shared()).unwrap(), tiles)
}

/// A camera with a fault, or on its way back from one.
struct Trouble {
    fault: &'static str,
    /// It is cut off until `cut`, so that it connects anew.
    connecting: bool,
    until: Instant,
    cut: Instant,
    cleared: Option<Instant>,
}

#[derive(Default)]
struct Kind {
    /// Seconds from the end of the fault to a live tile.
    times: Vec<f64>,
    /// Cameras that did not come back.
    lost: Vec<u16>,
}

impl Kind {
    fn json(&mut self) -> Value {
        json!({
            "count": self.times.len() + self.lost.len(),
            "lost": self.lost,
            "back_p50_s": quantile(&mut self.times, 0.5),
            "back_max_s": quantile(&mut self.times, 1.0),
        })
    }
}

/// The last fifth of the run against what was reached by the time of settling. Means of several samples,
/// because faults make all three swing.
struct Growth {
    /// Share of the memory at the time of settling.
    memory: f64,
    threads: i64,
    files: i64,
    before_mb: f64,
    after_mb: f64,
}

impl Growth {
    fn of(samples: &[(Duration, Usage)], settle: Duration) -> Growth {
        let end = samples.last().map(|(at, _)| *at).unwrap_or_default();
        let part = end.saturating_sub(settle) / 5;
        let mean = |from: Duration, to: Duration, of: fn(&Usage) -> f64| {
            let within: Vec<f64> =
                samples.iter().filter(|(at, _)| *at >= from && *at <= to).map(|(_, u)| of(u)).collect();
            within.iter().sum::<f64>() / within.len().max(1) as f64
        };
        let both = |of| (mean(settle.min(end), settle + part, of), mean(end - part, end, of));
        let (before_mb, after_mb) = both(Usage::resident_mb);
        let (threads, files) = (both(|u| u.threads as f64), both(|u| u.open_files as f64));
        Growth {
            memory: (after_mb - before_mb) / before_mb.max(1.0),
            // Half a thread or file of a mean is a connection that was being made.
            threads: (threads.1 - threads.0).round() as i64,
            files: (files.1 - files.0).round() as i64,
            before_mb,
            after_mb,
        }
    }

    fn json(&self) -> Value {
        json!({
            "memory_share": rounded(self.memory),
            "resident_mb_settled": rounded(self.before_mb),
            "resident_mb_end": rounded(self.after_mb),
            "threads": self.threads,
            "files": self.files,
        })
    }
}
