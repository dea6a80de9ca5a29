//! Effort on a live wall: which stream, how much of it, and the switches between, with real RTSP.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::eventually;
use vitrail_engine::base::{Moment, SharedClock, SystemClock};
use vitrail_engine::config::WallSpec;
use vitrail_engine::decode::Effort;
use vitrail_engine::media::CameraId;
use vitrail_engine::scene::{Placement, Scene};
use vitrail_engine::source::Authority;
use vitrail_engine::wall::{CameraReport, Wall};
use vitrail_simulator::code::{Code, Region, read};
use vitrail_simulator::noise::Noise;
use vitrail_simulator::{Config, Profile, Simulator};

const START: Duration = Duration::from_secs(30);

fn simulator(cameras: u16, clock: &SharedClock) -> Simulator {
    let prepare = vec![Profile::Sub, Profile::Main];
    let config = common::cameras(cameras, clock);
    let main = config.main.with_format("1280x720@25").unwrap();
    Simulator::start(Config { prepare, main, ..config }).unwrap()
}

fn spec(simulator: &Simulator, head: &str) -> WallSpec {
    let mut text = head.to_owned();
    for n in simulator.numbers() {
        let (main, sub) = (simulator.uri(n, Profile::Main), simulator.uri(n, Profile::Sub));
        text +=
            &format!("[[camera]]\nid = \"cam-{n}\"\nprofiles = {{ main = \"{main}\", sub = \"{sub}\" }}\n");
    }
    WallSpec::from_toml(&text, "wall.toml").unwrap()
}

fn start(spec: &WallSpec, clock: &SharedClock) -> Wall {
    Wall::start(spec.clone(), &Authority::owner(), clock.clone()).unwrap()
}

/// The code in a part of the newest picture of the wall.
fn code(wall: &Wall, region: Region) -> Option<Code> {
    let frame = wall.newest(0)?;
    let plane = &frame.planes()[0];
    let size = (frame.width() as usize, frame.height() as usize);
    read(&plane.data, plane.stride, size, Some(region))
}

fn camera(wall: &Wall, n: usize) -> CameraReport {
    wall.report().cameras[n - 1].clone()
}

/// Puts a camera into the first tile, over so many cells each way.
fn place(scene: &Scene, camera: &str, span: u32) -> Scene {
    let mut scene = scene.clone();
    let tile = &mut scene.regions[0].tiles[0];
    tile.camera = Some(CameraId::new(camera));
    tile.at = Placement::Cell { column: 0, row: 0, columns: span, rows: span };
    scene
}

const ONE_TILE: &str = "[wall]\nframe_rate = 25\nstandby = \"all\"\n[overlay]\nage_after = \"never\"\nborder = 0\nlabels = false\n\
    [[screen]]\nid = \"one\"\nsize = \"1280x720\"\ngrid = \"4x4\"\n\
    [[tile]]\non = \"one\"\ncamera = \"cam-1\"\ncell = [0, 0]\n\
    pinned = true\n";

#[test]
fn a_tile_that_grows_goes_over_to_a_larger_stream_and_back_without_a_gap() {
    let clock = SystemClock::shared();
    let simulator = simulator(1, &clock);
    let spec = spec(&simulator, ONE_TILE);
    let mut wall = start(&spec, &clock);
    let (small, large) = (Region::new(0.0, 0.0, 320.0, 180.0), Region::new(0.0, 0.0, 1280.0, 720.0));
    assert!(eventually(START, || code(&wall, small).is_some()), "{:?}", camera(&wall, 1));
    assert_eq!((camera(&wall, 1).profile.as_str(), camera(&wall, 1).effort), ("sub", Effort::Full));

    let mut newest = Moment(0);
    for (span, region, profile, id) in [(4, large, Profile::Main, "main"), (1, small, Profile::Sub, "sub")] {
        wall.apply(&place(&spec.scene, "cam-1", span)).unwrap();
        // The screen takes the layout at its next tick.
        assert!(eventually(Duration::from_secs(5), || code(&wall, region).is_some()));
        let end = Instant::now() + Duration::from_secs(20);
        let (mut looks, mut of_new, mut last) = (0, 0, None);
        while of_new < 25 {
            assert!(Instant::now() < end, "no switch to {id}: {:?}", camera(&wall, 1));
            std::thread::sleep(Duration::from_millis(5));
            let frame = wall.newest(0).unwrap().meta().pts;
            if last.replace(frame) == Some(frame) {
                continue;
            }
            let seen = code(&wall, region).unwrap_or_else(|| {
                panic!("no picture at a moment of a switch, look {looks}: {:?}", camera(&wall, 1))
            });
            assert_eq!(seen.camera, 1);
            // The log is written when the write returns, which may be after the client has the picture.
            let Some(sent) = simulator.sent(&seen).map(|sent| sent.moment) else { continue };
            // A stream's frames are due at their own times: two streams differ by less than a picture.
            assert!(sent + Duration::from_millis(80) >= newest, "back in time at look {looks}");
            newest = newest.max(sent);
            looks += 1;
            of_new += i32::from(seen.profile == profile);
        }
        let report = camera(&wall, 1);
        assert_eq!((report.profile.as_str(), report.state.as_str()), (id, "live"));
    }
    let report = camera(&wall, 1);
    assert_eq!((report.switches, report.placards.len(), report.dropped.corrupt), (2, 0, 0), "{report:?}");
    wall.stop();
}

#[test]
fn cameras_on_standby_decode_nothing_and_are_called_up_from_their_newest_key_frame() {
    let clock = SystemClock::shared();
    let simulator = simulator(6, &clock);
    let spec = spec(&simulator, ONE_TILE);
    let mut wall = start(&spec, &clock);
    let noise = Noise::listen();
    let tile = Region::new(0.0, 0.0, 320.0, 180.0);
    let ready = || (2..=6).all(|n| camera(&wall, n).received > 30) && code(&wall, tile).is_some();
    assert!(eventually(START, ready), "{:?}", wall.report().cameras);
    for n in 2..=6 {
        let report = camera(&wall, n);
        assert_eq!((report.effort, report.decoded, report.state.as_str()), (Effort::Standby, 0, "standby"));
    }
    for n in [4u16, 2, 6, 4, 1] {
        wall.apply(&place(&spec.scene, &format!("cam-{n}"), 1)).unwrap();
        let before = camera(&wall, n.into()).placards;
        let shown = || code(&wall, tile).is_some_and(|c| c.camera == n);
        // Far below the two seconds to the next key frame; the exact figure is a bench's.
        assert!(
            eventually(noise.allow(Duration::from_secs(1)), shown),
            "camera {n}: {:?}",
            camera(&wall, n.into())
        );
        let moves = || camera(&wall, n.into()).refresh_p50_ms < 200.0 && camera(&wall, n.into()).decoded > 12;
        assert!(eventually(Duration::from_secs(8), moves), "{:?}", camera(&wall, n.into()));
        assert_eq!(camera(&wall, n.into()).placards, before, "no placard in between");
    }
    assert_eq!(camera(&wall, 3).decoded, 0);
    wall.stop();
}

#[test]
fn thumbnails_show_every_key_frame_and_stay_live() {
    let clock = SystemClock::shared();
    let simulator = simulator(4, &clock);
    let head = "[wall]\nframe_rate = 12.5\n[effort]\nthumbnail_lines = 200\n[overlay]\nage_after = \"never\"\n\
        [[screen]]\nid = \"one\"\nsize = \"640x360\"\ngrid = \"2x2\"\n";
    let wall = start(&spec(&simulator, head), &clock);
    let tile = |n: usize| Region::tile((640, 360), (2, 2), ((n - 1) % 2, (n - 1) / 2));
    let right = |n: usize| code(&wall, tile(n)).is_some_and(|c| usize::from(c.camera) == n);
    assert!(eventually(START, || (1..=4).all(right)), "{:?}", wall.report().cameras);
    let end = Instant::now() + Duration::from_secs(9);
    while Instant::now() < end {
        assert!((1..=4).all(right), "{:?}", wall.report().cameras);
        std::thread::sleep(Duration::from_millis(40));
    }
    for report in wall.report().cameras {
        assert_eq!((report.effort, report.degraded), (Effort::KeyFrames, false), "{report:?}");
        assert!(report.decoded * 15 < report.received, "a key frame in 25 pictures: {report:?}");
        assert!((1500.0..2600.0).contains(&report.refresh_p50_ms), "{report:?}");
        assert!(report.placards.is_empty(), "{report:?}");
    }
    wall.stop();
}

#[test]
fn overload_spares_pinned_tiles_and_says_so() {
    let clock = SystemClock::shared();
    let simulator = simulator(8, &clock);
    // A tenth of the machine is less than the screen alone takes.
    let head = "[wall]\nframe_rate = 25\n[effort]\nbudget = 10\n\
        [[screen]]\nid = \"one\"\nsize = \"1920x1080\"\ngrid = \"3x3\"\n\
        [[tile]]\non = \"one\"\ncamera = \"cam-1\"\npinned = true\n";
    let tiles: String = (2..=8).map(|n| format!("[[tile]]\non = \"one\"\ncamera = \"cam-{n}\"\n")).collect();
    let wall = start(&spec(&simulator, &format!("{head}{tiles}")), &clock);
    let degraded = || (2..=8).all(|n| camera(&wall, n).degraded) && camera(&wall, 1).decoded > 100;
    assert!(eventually(START, degraded), "{:?}", wall.report().cameras);
    let report = wall.report();
    let pinned = &report.cameras[0];
    assert_eq!((pinned.effort, pinned.degraded, pinned.pinned), (Effort::Full, false, true), "{pinned:?}");
    assert!(report.governor.demand <= report.governor.available + pinned_cost(&wall));
    assert!(report.governor.deserved > report.governor.available, "{:?}", report.governor);
    assert!(report.cameras[1..].iter().all(|c| c.effort != Effort::Full), "{:?}", report.cameras);
    wall.stop();
}

/// What is never degraded may be more than there is.
fn pinned_cost(wall: &Wall) -> f64 {
    let report = camera(wall, 1);
    (report.decode_ms + report.fit_ms) / 1000.0
}
