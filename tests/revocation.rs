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

use common::free_port;
use common::machine::variable;
use serde_json::json;
use vitrail_control::audit::Actor;
use vitrail_control::db::Database;
use vitrail_control::rights::{Terms, agreements, incidents};
use vitrail_control::wall::Change;
use vitrail_control::{Controller, Utc};
use vitrail_engine::base::SystemClock;
use vitrail_engine::config::WallSpec;
use vitrail_engine::source::Transport;
use vitrail_simulator::code::Region;
use vitrail_simulator::viewer::{Seen, Viewer};
use vitrail_simulator::{Config, Profile, Simulator};

/// What a noisy machine may take; quiet ones take a tenth.
const BOUND: Duration = Duration::from_secs(2);
const START: Duration = Duration::from_secs(40);

fn actor(account: &str) -> Actor {
    Actor { account: account.into(), name: account.into(), role: None, via: "test".into(), address: None }
}

/// Cameras 1 and 2 are of zone north, 3 and 4 of zone south; tile `n` shows camera `n + 1`.
struct Stage {
    controller: Controller,
    viewer: Viewer,
    operator: String,
    _simulator: Simulator,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let clock = SystemClock::shared();
        let simulator =
            Simulator::start(Config { cameras: 4, clock: clock.clone(), ..Config::default() }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut text = format!(
            "[wall]\nid = \"crisis\"\nframe_rate = 25\n[encoder]\npreset = \"ultrafast\"\n\
             [control]\nlisten = \"127.0.0.1:0\"\nunit = \"room\"\n\
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
        let file = folder.path().join("wall.toml");
        std::fs::write(&file, text).unwrap();
        let controller = Controller::start(WallSpec::load(&file).unwrap(), clock.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let account = json!({ "name": "anna", "role": "supervisor", "unit": "room", "password": "long enough for a test" });
        let account = serde_json::from_value(account).unwrap();
        let people = controller.shared().people.clone();
        let operator = runtime.block_on(people.add_account(account, actor("setup"))).unwrap().id;
        let viewer = Viewer::rtsp(&format!("rtsp://127.0.0.1:{port}/wall"), Transport::Tcp, clock).unwrap();
        Stage { controller, viewer, operator, _simulator: simulator, _folder: folder }
    }

    fn db(&self) -> &Database {
        &self.controller.shared().db
    }

    fn agree(&self, zone: &str, valid_to: Utc) -> String {
        let terms = Terms {
            title: format!("Live pictures of {zone}"),
            parties: vec![zone.into(), "region".into()],
            purposes: vec!["public-order".into()],
            live: true,
            record: false,
            export: false,
            units: vec!["room".into()],
            tags: Vec::new(),
            valid_from: Utc(0),
            valid_to,
        };
        let draft = agreements::draft(self.db(), &actor("drafter"), zone, None, terms).unwrap();
        agreements::sign(self.db(), &actor("signer"), &draft.id, Some(draft.version)).unwrap();
        draft.id
    }

    fn open_incident(&self) -> String {
        let new = json!({ "title": "March", "reason": "public order at a march", "legal_basis": "lfp-22",
            "reference": "BRU-1", "purpose": "public-order" });
        let new = serde_json::from_value(new).unwrap();
        let incident = incidents::open(self.db(), &actor(&self.operator), new).unwrap();
        let conductor = self.controller.conductor();
        conductor.set_incident(&actor(&self.operator), Some(incident.id.clone())).unwrap();
        incident.id
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
                self.controller.conductor().state().unwrap()
            );
        }
    }

    /// How long after `act` began the last picture with a camera of `tiles` was decoded.
    fn last_after(&self, tiles: &[usize], act: impl FnOnce()) -> Duration {
        let (before, _) = self.look();
        let clock = self.db().clock().clone();
        let began = clock.now();
        assert!(before.arrival <= began);
        act();
        // A fifth of a second of darkness is the end; what was under way before counts.
        let (mut last, mut dark) = (Duration::ZERO, 0);
        while dark < 10 {
            let (seen, read) = self.look();
            if tiles.iter().any(|tile| read[*tile]) {
                (last, dark) = (seen.arrival.since(began), 0);
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
        json!({ "what": what, "trials": times.len(), "p50_ms": at(0.5), "p95_ms": at(0.95), "longest_ms": at(1.0) })
    );
    assert!(times.last().is_some_and(|longest| *longest < BOUND), "{what}: {times:?}");
}

#[test]
#[ignore = "takes minutes, and has not been seen to pass yet"]
fn no_picture_outlives_its_right() {
    let trials = variable("REVOCATION_TRIALS", 2usize);
    let stage = Stage::new();
    let all = |read: [bool; 4]| read == [true; 4];
    let north_dark = |read: [bool; 4]| read == [false, false, true, true];
    let far = Utc::parse("2099-01-01T00:00:00Z").unwrap();
    let north = stage.agree("north", far);
    stage.agree("south", far);
    // Agreements alone show nothing: there is no incident.
    for _ in 0..10 {
        assert_eq!(stage.look().1, [false; 4]);
    }
    let mut incident = stage.open_incident();
    stage.until("live wall", all);

    let authority = actor("authority");
    let mut times = Vec::new();
    for _ in 0..trials {
        times.push(stage.last_after(&[0, 1], || {
            agreements::suspend(stage.db(), &authority, &north, "a quarrel").unwrap();
        }));
        stage.until("south that goes on", north_dark);
        agreements::resume(stage.db(), &authority, &north, None).unwrap();
        stage.until("north that comes back", all);
    }
    figures("suspended", times);

    let mut times = Vec::new();
    for _ in 0..trials {
        times.push(stage.last_after(&[0, 1, 2, 3], || {
            incidents::close(stage.db(), &actor(&stage.operator), &incident, 0, None).unwrap();
        }));
        incident = stage.open_incident();
        stage.until("wall under another incident", all);
    }
    figures("incident closed", times);

    // By the clock alone: nobody commits anything at the moment at which it ends.
    let mut times = Vec::new();
    agreements::revoke(stage.db(), &authority, &north, "replaced").unwrap();
    for _ in 0..trials {
        let ends = stage.db().now().plus(Duration::from_secs(6));
        stage.agree("north", ends);
        stage.until("north for a while", all);
        let left = Duration::from_millis(u64::try_from(ends.0 - stage.db().now().0).unwrap_or(0));
        let last = stage.last_after(&[0, 1], || ());
        times.push(last.saturating_sub(left));
    }
    figures("expired", times);

    let conductor = stage.controller.conductor();
    let layout = conductor.layout();
    let tile = layout.tiles().next().unwrap().id.clone();
    conductor.change(&actor(&stage.operator), layout.version, &[Change::Clear { tile }]).unwrap();
    let verdict = stage.db().verify(&mut |_, _| ()).unwrap();
    assert!(verdict.faults.is_empty(), "{verdict:?}");
    let report = stage.controller.stop().unwrap();
    assert_eq!(report.screens[0].dropped, 0, "{report:?}");
}
