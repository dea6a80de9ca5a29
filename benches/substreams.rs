//! What sub-streams save: the same 16 cameras on the same wall, once with their main streams alone
//! (1080p25, H.264), once when they offer 640x360 sub-streams too.
//!
//!     cargo bench --bench substreams                    30 s each, in turn, twice
//!     SUBSTREAMS_SECONDS=10 SUBSTREAMS_ROUNDS=1 cargo bench --bench substreams
//!
//! Cameras run in a process of their own, walls in this one. Prints one JSON object: processor time
//! of decoding and fitting, and of the whole wall with its encoder, as means over the rounds.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::eventually;
use common::machine::{Usage, variable};
use common::scale::{CameraProcess, Tiles, code_in, id, rounded};
use serde_json::json;
use vitrail_engine::base::SystemClock;
use vitrail_engine::config::WallSpec;
use vitrail_engine::source::Authority;
use vitrail_engine::wall::Wall;

fn main() {
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let seconds = Duration::from_secs(variable("SUBSTREAMS_SECONDS", 30));
    let rounds: usize = variable("SUBSTREAMS_ROUNDS", 2);
    let count: u16 = 16;
    let options = ["--main", "1920x1080@25", "--codecs", "h264"];
    let cameras = CameraProcess::start(count, &options, Duration::from_secs(600));
    let mut sums = [[0.0; 2]; 2];
    let mut profiles = Vec::new();
    for _ in 0..rounds {
        for (index, both) in [false, true].into_iter().enumerate() {
            let run = run(&cameras, count, both, seconds);
            sums[index][0] += run.decoding / rounds as f64;
            sums[index][1] += run.whole / rounds as f64;
            profiles.push(run.profiles);
        }
    }
    let [main, sub] = sums;
    let result = json!({
        "seconds": seconds.as_secs(),
        "rounds": rounds,
        "profiles_used": profiles,
        "main_only": { "decode_and_fit_cores": rounded(main[0]), "wall_cores": rounded(main[1]) },
        "with_sub_streams": { "decode_and_fit_cores": rounded(sub[0]), "wall_cores": rounded(sub[1]) },
        "ratio_decode_and_fit": rounded(sub[0] / main[0]),
        "ratio_wall": rounded(sub[1] / main[1]),
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
}

struct Run {
    decoding: f64,
    whole: f64,
    profiles: String,
}

fn run(cameras: &CameraProcess, count: u16, both: bool, time: Duration) -> Run {
    // All that the main streams need: nothing is to degrade in this comparison.
    let mut text = "[wall]\nframe_rate = 25\n[encoder]\npreset = \"ultrafast\"\n[overlay]\nlabels = false\n\
        [effort]\nbudget = 100\n[[screen]]\nid = \"one\"\nsize = \"1920x1080\"\ngrid = \"4x4\"\n"
        .to_owned();
    for n in 1..=count {
        let sub = cameras.uri(n);
        let main = sub.replace("/sub", "/main");
        let offered =
            if both { format!("main = \"{main}\", sub = \"{sub}\"") } else { format!("main = \"{main}\"") };
        text += &format!("[[camera]]\nid = \"{}\"\nprofiles = {{ {offered} }}\n", id(n));
    }
    let spec = WallSpec::from_toml(&text, "substreams.toml").unwrap();
    let tiles = Tiles::of(&spec.scene);
    let wall = Wall::start(spec, &Authority::owner(), SystemClock::shared()).unwrap();
    let all_there = || {
        let Some(canvas) = wall.newest(0) else { return false };
        tiles.0.iter().all(|(n, region)| code_in(&canvas, *region).is_some_and(|c| c.camera == *n))
    };
    assert!(eventually(Duration::from_secs(300), all_there), "not every camera is in its tile");
    let spent = || wall.report().cameras.iter().map(|c| c.decode_ms + c.fit_ms).sum::<f64>() / 1000.0;
    let (before, usage, begun) = (spent(), Usage::of(std::process::id()), Instant::now());
    std::thread::sleep(time);
    let elapsed = begun.elapsed().as_secs_f64();
    let decoding = (spent() - before) / elapsed;
    let whole = Usage::of(std::process::id()).cpu_since(&usage) / elapsed;
    let report = wall.stop();
    let mut profiles: Vec<String> =
        report.cameras.iter().map(|c| format!("{} {:?}", c.profile, c.step)).collect();
    profiles.sort();
    profiles.dedup();
    Run { decoding, whole, profiles: profiles.join(", ") }
}
