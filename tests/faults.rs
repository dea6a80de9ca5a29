//! Every fault of a camera, injected into one of sixteen: its tile says so and recovers by itself,
//! the report counts it, and the other fifteen lose nothing.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::eventually;
use common::machine::is_busy;
use vitrail_engine::base::SystemClock;
use vitrail_engine::config::WallSpec;
use vitrail_engine::media::Ratio;
use vitrail_engine::source::Authority;
use vitrail_engine::wall::{CameraReport, Wall};
use vitrail_simulator::code::Region;
use vitrail_simulator::faults::Refusal;
use vitrail_simulator::noise::Noise;
use vitrail_simulator::{Config, Fault, Login, Profile, Simulator, code};

const PATIENCE: Duration = Duration::from_secs(40);

/// What a fault must lead to.
enum Expect {
    /// The tile turns into one of these placards.
    Placard(&'static [&'static str]),
    /// The tile may stay live; the report counts what happened.
    Counted(fn(&CameraReport) -> u64),
    /// Nothing is wrong: the camera stays, or comes back, live.
    Live,
}

struct Bench {
    simulator: Simulator,
    wall: Wall,
    /// Others took much of this machine before the wall began.
    busy: bool,
}

impl Bench {
    fn camera(&self, number: u16) -> CameraReport {
        self.wall.report().cameras.swap_remove(usize::from(number) - 1)
    }

    /// True where the canvas shows the camera's own code in its tile, and the report says live.
    fn shows(&self, number: u16) -> bool {
        let Some(canvas) = self.wall.newest(0) else { return false };
        let size = (canvas.width() as usize, canvas.height() as usize);
        let index = usize::from(number) - 1;
        let tile = Region::tile(size, (4, 4), (index % 4, index / 4));
        let luma = &canvas.planes()[0];
        let seen = code::read(&luma.data, luma.stride, size, Some(tile));
        seen.is_some_and(|c| c.camera == number) && self.camera(number).state == "live"
    }

    fn inject(&self, number: u16, fault: Fault, reconnect: bool) {
        if reconnect {
            // These show only when a client connects.
            self.simulator.fault(number, Fault::Drop).unwrap();
            assert!(eventually(PATIENCE, || self.camera(number).state != "live"));
            self.simulator.clear(number).unwrap();
        }
        self.simulator.fault(number, fault).unwrap();
    }

    fn check(&self, number: u16, fault: Fault, reconnect: bool, expect: &Expect) {
        let before = self.wall.report().cameras;
        self.inject(number, fault, reconnect);
        match expect {
            Expect::Placard(kinds) => {
                let seen = eventually(PATIENCE, || kinds.contains(&self.camera(number).state.as_str()));
                assert!(seen, "{fault}: {:?}", self.camera(number));
                assert!(!self.shows(number), "{fault}: a placard covers the picture");
                let camera = self.camera(number);
                assert!(
                    camera.placards.values().sum::<u64>() > 0,
                    "{fault}: the report counts it: {camera:?}"
                );
            }
            Expect::Counted(of) => {
                let start = of(&before[usize::from(number) - 1]);
                let counted = eventually(PATIENCE, || of(&self.camera(number)) > start);
                assert!(counted, "{fault}: {:?}", self.camera(number));
            }
            Expect::Live => {
                let frames = self.camera(number).decoded;
                assert!(
                    eventually(PATIENCE, || self.camera(number).decoded > frames + 25 && self.shows(number))
                );
            }
        }
        self.simulator.clear(number).unwrap();
        assert!(eventually(PATIENCE * 2, || self.shows(number)), "{fault} ended: {:?}", self.camera(number));
        // A gap is noticed with the first packet after it: let a whole GOP pass before the next fault.
        let decoded = self.camera(number).decoded;
        assert!(eventually(PATIENCE, || self.camera(number).decoded > decoded + 25), "{fault} ended");
        self.others_lost_nothing(number, fault, &before);
    }

    fn others_lost_nothing(&self, number: u16, fault: Fault, before: &[CameraReport]) {
        let after = self.wall.report().cameras;
        for (n, (a, b)) in (1u16..).zip(before.iter().zip(&after)).filter(|(n, _)| *n != number) {
            assert_eq!(a.placards, b.placards, "{fault} of camera {number} turned camera {n} dark");
            assert_eq!(a.reconnects, b.reconnects, "{fault} of camera {number} cut camera {n}");
            let drops = |c: &CameraReport| {
                c.dropped.late + c.dropped.corrupt + c.dropped.lost + c.dropped.waiting_for_key
            };
            let (came, decoded) = (b.received - a.received, b.decoded - a.decoded);
            // A machine that others take loses some by itself.
            let lost = if self.busy { came / 10 } else { 0 };
            assert!(
                drops(b) <= drops(a) + lost,
                "{fault} of camera {number} made camera {n} lose pictures: {} and then {}",
                drops(a),
                drops(b)
            );
            // One or two are on their way when the report is made.
            assert!(
                decoded + lost + 3 >= came && came > 0,
                "camera {n}: {decoded} of {came} decoded during {fault}"
            );
        }
    }
}

#[test]
fn each_fault_is_shown_counted_and_over_when_it_ends() {
    let clock = SystemClock::shared();
    let config = Config { login: Some(Login::new("operator", "right")), ..common::cameras(16, &clock) };
    let noise = Noise::listen();
    let simulator = Simulator::start(config).unwrap();
    let uris: Vec<String> = simulator.numbers().map(|n| simulator.uri(n, Profile::Sub)).collect();
    let mut spec = WallSpec::grid(4, 4, 1280, 720, Ratio { num: 25, den: 1 }, &uris, &[]).unwrap();
    spec.limits.placard_after = Duration::from_secs(1);
    spec.limits.frozen_after = Some(Duration::from_secs(3));
    spec.encoder.preset = "ultrafast".into();
    // Whatever else runs on this machine, no camera is degraded for it: their faults are what is looked at.
    spec.cameras.iter_mut().for_each(|camera| camera.pinned = true);
    let busy = is_busy();
    let wall = Wall::start(spec, &Authority::owner(), clock).unwrap();
    let bench = Bench { simulator, wall, busy };
    for number in bench.simulator.numbers() {
        assert!(eventually(PATIENCE, || bench.shows(number)), "camera {number}: {:?}", bench.camera(number));
    }

    let down: &[&str] = &["stalled", "offline", "waiting"];
    let damaged = |c: &CameraReport| c.dropped.lost + c.dropped.corrupt + c.dropped.waiting_for_key;
    bench.check(2, Fault::Silent, false, &Expect::Placard(&["stalled"]));
    bench.check(5, Fault::Freeze, false, &Expect::Placard(&["frozen"]));
    bench.check(3, Fault::Loss(20), false, &Expect::Counted(damaged));
    bench.check(4, Fault::Reorder, false, &Expect::Counted(damaged));
    bench.check(7, Fault::Corrupt, false, &Expect::Counted(damaged));
    bench.check(8, Fault::Drop, false, &Expect::Placard(down));
    bench.check(9, Fault::Auth, true, &Expect::Placard(&["refused", "offline"]));
    bench.check(10, Fault::Sessions(Refusal::Bandwidth), true, &Expect::Placard(&["refused", "offline"]));
    bench.check(11, Fault::Resize, false, &Expect::Live);
    bench.check(12, Fault::NoSprop, true, &Expect::Live);
    bench.check(13, Fault::Jump, false, &Expect::Live);

    let report = bench.wall.stop();
    let screen = &report.screens[0];
    let noise = noise.missing(screen.encoded, Duration::from_millis(40));
    assert!(screen.dropped <= noise, "the encoder kept up: {screen:?}");
}
