//! The right to see, at the decoded output: when a zone suspends its agreement, an incident ends, or an
//! agreement expires, no picture of its cameras comes later than the stated bound.
//!
//!     REVOCATION_TRIALS=50 cargo test --release --test revocation -- --nocapture
//!
//! prints the figures of the documentation; the bound that is asserted here leaves room for a machine
//! that builds beside it.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::controlled::{CONTROL, Controlled, actor};
use common::free_port;
use common::machine::variable;
use serde_json::json;
use vitrail_control::Utc;
use vitrail_control::rights::{agreements, incidents};
use vitrail_control::wall::Change;
use vitrail_engine::base::SystemClock;
use vitrail_engine::source::Transport;
use vitrail_simulator::code::Region;
use vitrail_simulator::viewer::{Seen, Viewer};
use vitrail_simulator::{Profile, Simulator};

/// What a noisy machine may take; quiet ones take a tenth.
const BOUND: Duration = Duration::from_secs(2);
const START: Duration = Duration::from_secs(40);

/// Cameras 1 and 2 are of zone north, 3 and 4 of zone south; tile `n` shows camera `n + 1`.
struct Stage {
    room: Controlled,
    viewer: Viewer,
    _simulator: Simulator,
}

impl Stage {
    fn new() -> Stage {
        let clock = SystemClock::shared();
        let simulator = Simulator::start(common::cameras(4, &clock)).unwrap();
        let port = free_port();
        let mut text = format!(
            "[wall]\nid = \"crisis\"\nframe_rate = 25\n[encoder]\npreset = \"ultrafast\"\n\
             {CONTROL}\
             [[screen]]\nid = \"one\"\nsize = \"640x360\"\ngrid = \"2x2\"\n\
             outputs = [\"rtsp://127.0.0.1:{port}/wall\"]\n"
        );
        for n in 1..=4u16 {
            let zone = if n < 3 { "north" } else { "south" };
            let uri = simulator.uri(n, Profile::Sub);
            text += &format!(
                "[[camera]]\nid = \"cam-{n}\"\nname = \"Camera {n}\"\nzone = \"{zone}\"\nuri = \"{uri}\"\n"
            );
        }
        let room = Controlled::start(&text, clock.clone());
        let address = format!("rtsp://127.0.0.1:{port}/wall");
        let viewer = Viewer::rtsp(&address, Transport::Tcp, clock).unwrap();
        Stage { room, viewer, _simulator: simulator }
    }

    /// Which cameras are read in the next picture.
    fn look(&self) -> (Seen, [bool; 4]) {
        let seen = self.viewer.next(Duration::from_secs(10)).unwrap().expect("the wall goes on");
        let tile = |n: usize| {
            let region = Region::tile((seen.width, seen.height), (2, 2), (n % 2, n / 2));
            seen.code(Some(region)).is_some_and(|code| usize::from(code.camera) == n + 1)
        };
        let read = [tile(0), tile(1), tile(2), tile(3)];
        (seen, read)
    }

    fn until(&self, what: &str, wanted: impl Fn([bool; 4]) -> bool) {
        let limit = Instant::now() + START;
        loop {
            let (_, read) = self.look();
            if wanted(read) {
                return;
            }
            assert!(
                Instant::now() < limit,
                "no {what}: {read:?}; {:?}",
                self.room.controller.conductor().state().unwrap()
            );
        }
    }

    /// How long after the end of a right the last picture with a camera of `tiles` was decoded. `act` ends
    /// it, and says how long after its own beginning that is.
    fn last_after(&self, tiles: &[usize], act: impl FnOnce() -> Duration) -> Duration {
        let (before, _) = self.look();
        // Not always at the same distance from the wall's next picture.
        std::thread::sleep(Duration::from_millis(rand::random::<u64>() % 40));
        let clock = self.room.db().clock().clone();
        let began = clock.now();
        assert!(before.arrival <= began);
        let end = began + act();
        // A fifth of a second of darkness is the end; what was under way before counts.
        let (mut last, mut dark) = (Duration::ZERO, 0);
        while dark < 10 {
            let (seen, read) = self.look();
            if tiles.iter().any(|tile| read[*tile]) {
                (last, dark) = (seen.arrival.since(end), 0);
            } else {
                dark += 1;
            }
            assert!(last < START, "it is still seen");
        }
        last
    }
}

fn figures(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize].as_millis();
    println!(
        "{}",
        json!({ "what": what, "trials": times.len(), "p50_ms": at(0.5), "p95_ms": at(0.95), "longest_ms": at(1.0),
            "none_after_it": times.iter().filter(|t| t.is_zero()).count() })
    );
    assert!(times.last().is_some_and(|longest| *longest < BOUND), "{what}: {times:?}");
}

#[test]
fn no_picture_outlives_its_right() {
    let trials = variable("REVOCATION_TRIALS", 2usize);
    let stage = Stage::new();
    let all = |read: [bool; 4]| read == [true; 4];
    let north_dark = |read: [bool; 4]| read == [false, false, true, true];
    let far = Utc::parse("2099-01-01T00:00:00Z").unwrap();
    let north = stage.room.agree("north", far);
    stage.room.agree("south", far);
    // Agreements alone show nothing: there is no incident.
    for _ in 0..10 {
        assert_eq!(stage.look().1, [false; 4]);
    }
    let mut incident = stage.room.open_incident();
    stage.until("live wall", all);

    let authority = actor("authority");
    let mut times = Vec::new();
    for _ in 0..trials {
        times.push(stage.last_after(&[0, 1], || {
            agreements::suspend(stage.room.db(), &authority, &north, "a quarrel").unwrap();
            Duration::ZERO
        }));
        stage.until("south that goes on", north_dark);
        agreements::resume(stage.room.db(), &authority, &north, None).unwrap();
        stage.until("north that comes back", all);
    }
    figures("suspended", times);

    let mut times = Vec::new();
    for _ in 0..trials {
        times.push(stage.last_after(&[0, 1, 2, 3], || {
            incidents::close(stage.room.db(), &actor(&stage.room.operator), &incident, 0, None).unwrap();
            Duration::ZERO
        }));
        incident = stage.room.open_incident();
        stage.until("wall under another incident", all);
    }
    figures("incident closed", times);

    // By the clock alone: nobody commits anything at the moment at which it ends.
    let mut times = Vec::new();
    agreements::revoke(stage.room.db(), &authority, &north, "replaced").unwrap();
    for _ in 0..trials {
        let ends = stage.room.db().now().plus(Duration::from_secs(6));
        stage.room.agree("north", ends);
        stage.until("north for a while", all);
        times.push(stage.last_after(&[0, 1], || {
            Duration::from_millis(u64::try_from(ends.0 - stage.room.db().now().0).unwrap_or(0))
        }));
    }
    figures("expired", times);

    let conductor = stage.room.controller.conductor();
    let layout = conductor.layout();
    let tile = layout.tiles().next().unwrap().id.clone();
    conductor.change(&actor(&stage.room.operator), layout.version, &[Change::Clear { tile }]).unwrap();
    let verdict = stage.room.db().verify(&mut |_, _| ()).unwrap();
    assert!(verdict.faults.is_empty(), "{verdict:?}");
    let report = stage.room.controller.stop().unwrap();
    let screen = &report.screens[0];
    println!("{}", json!({ "composed": screen.frames, "missed": screen.missed, "dropped": screen.dropped }));
}
