//! A wall follows its files while it runs: what did not change is not touched.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

use common::{Program, eventually};
use vitrail_engine::base::{SharedClock, SystemClock};
use vitrail_engine::config::WallSpec;
use vitrail_engine::source::Authority;
use vitrail_engine::wall::{CameraReport, Wall};
use vitrail_simulator::code::{Region, read};
use vitrail_simulator::{Profile, Simulator};

const START: Duration = Duration::from_secs(30);

fn simulator(cameras: u16, clock: &SharedClock) -> Simulator {
    Simulator::start(common::cameras(cameras, clock)).unwrap()
}

/// An inventory of these: id, name, camera of the simulator.
fn inventory(simulator: &Simulator, rows: &[(&str, &str, u16)]) -> String {
    let mut text = "id,name,zone,uri\n".to_owned();
    for (id, name, number) in rows {
        writeln!(text, "{id},{name},north,{}", simulator.uri(*number, Profile::Sub)).unwrap();
    }
    text
}

const WALL: &str = "[wall]\nframe_rate = 25\ninventory = \"cameras.csv\"\n\
    [[screen]]\nid = \"one\"\nsize = \"960x360\"\ngrid = \"3x2\"\ncameras = \"zone = north\"\n";

fn shows(wall: &Wall, tile: usize, camera: u16) -> bool {
    let Some(frame) = wall.newest(0) else { return false };
    let plane = &frame.planes()[0];
    let region = Region::tile((960, 360), (3, 2), (tile % 3, tile / 3));
    let code = read(&plane.data, plane.stride, (960, 360), Some(region));
    code.is_some_and(|c| c.camera == camera)
}

fn camera(wall: &Wall, id: &str) -> CameraReport {
    wall.report().cameras.into_iter().find(|c| c.id == id).unwrap()
}

#[test]
fn only_what_changed_is_touched() {
    let clock = SystemClock::shared();
    let simulator = simulator(6, &clock);
    let folder = tempfile::tempdir().unwrap();
    let (wall_file, csv) = (folder.path().join("wall.toml"), folder.path().join("cameras.csv"));
    std::fs::write(&wall_file, WALL).unwrap();
    let load = |rows: &[(&str, &str, u16)]| {
        std::fs::write(&csv, inventory(&simulator, rows)).unwrap();
        WallSpec::load(&wall_file).unwrap()
    };
    let authority = Authority::owner();
    let spec = load(&[("a", "A", 1), ("b", "B", 2), ("c", "C", 3), ("d", "D", 4)]);
    let mut wall = Wall::start(spec, &authority, clock.clone()).unwrap();
    let all = |wall: &Wall, wanted: &[u16]| wanted.iter().enumerate().all(|(tile, n)| shows(wall, tile, *n));
    assert!(eventually(START, || all(&wall, &[1, 2, 3, 4])), "{:?}", wall.report().cameras);

    // b is removed, c gets a name, d goes to another address, e is new.
    let before = camera(&wall, "a");
    let spec = load(&[("a", "A", 1), ("c", "Corner", 3), ("d", "D", 5), ("e", "E", 6)]);
    let done = wall.reload(spec, &authority).unwrap();
    let ids =
        |ids: &[vitrail_engine::media::CameraId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(&done.added), ["e"]);
    assert_eq!(ids(&done.removed), ["b"]);
    assert_eq!(ids(&done.changed), ["c", "d"]);
    assert!(done.ignored.is_empty());
    assert!(eventually(START, || all(&wall, &[1, 3, 5, 6])), "{:?}", wall.report().cameras);
    assert_eq!(camera(&wall, "c").name, "Corner");
    // The picture is there a moment before the switch is counted.
    assert!(eventually(Duration::from_secs(5), || camera(&wall, "d").switches == 1));
    for (id, switches) in [("a", 0), ("c", 0), ("d", 1)] {
        let report = camera(&wall, id);
        assert_eq!((report.reconnects, report.switches), (0, switches), "{report:?}");
        assert!(report.placards.is_empty() && report.dropped.late == 0, "{report:?}");
    }
    let after = camera(&wall, "a");
    assert!(after.received > before.received && after.decoded >= before.decoded);
    // No more connections than needed: four at first, one elsewhere, one new.
    assert_eq!(simulator.stats().connections, 6);
    assert!(eventually(Duration::from_secs(5), || simulator.stats().viewers == 4), "{:?}", simulator.stats());

    // Names go under the pictures: 18 of a tile's 180 rows are theirs, so the picture is 288x162.
    std::fs::write(&wall_file, format!("{WALL}[overlay]\nlabel_place = \"below\"\n")).unwrap();
    let done = wall.reload(WallSpec::load(&wall_file).unwrap(), &authority).unwrap();
    assert!(done.ignored.is_empty() && done.changed.is_empty(), "{done:?}");
    let smaller = || {
        let frame = wall.newest(0).unwrap();
        let plane = &frame.planes()[0];
        let region = Region::new(16.0, 0.0, 288.0, 162.0);
        read(&plane.data, plane.stride, (960, 360), Some(region)).is_some_and(|c| c.camera == 1)
    };
    assert!(eventually(START, smaller), "the picture makes room for its name");
    std::fs::write(&wall_file, WALL).unwrap();
    wall.reload(WallSpec::load(&wall_file).unwrap(), &authority).unwrap();
    assert!(eventually(START, || all(&wall, &[1, 3, 5, 6])));

    let other_size = WALL.replace("960x360", "640x360");
    std::fs::write(&wall_file, other_size).unwrap();
    let error = wall.reload(WallSpec::load(&wall_file).unwrap(), &authority).unwrap_err();
    assert!(error.to_string().contains("start it anew"), "{error}");
    assert!(all(&wall, &[1, 3, 5, 6]));
    wall.stop();
}

#[test]
fn the_program_follows_its_files_and_sighup() {
    let clock = SystemClock::shared();
    let simulator = simulator(3, &clock);
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("cameras.csv");
    let rows = [("a", "A", 1), ("b", "B", 2), ("c", "C", 3)];
    std::fs::write(folder.path().join("wall.toml"), WALL).unwrap();
    std::fs::write(&csv, inventory(&simulator, &rows[..2])).unwrap();
    let wall = folder.path().join("wall.toml");
    let mut program = Program::start(&["wall", wall.to_str().unwrap(), "--report", "report.json"]);
    let connected = |n| eventually(START, || simulator.stats().viewers == n);
    assert!(connected(2), "{}", program.stderr());

    std::fs::write(&csv, inventory(&simulator, &rows)).unwrap();
    assert!(connected(3), "{}", program.stderr());
    assert!(program.stderr().contains("1 cameras added, 0 removed, 0 changed"), "{}", program.stderr());

    std::fs::write(&wall, "[wall]\ninventroy = \"x\"\n").unwrap();
    assert!(eventually(START, || program.stderr().contains("not reloaded")), "{}", program.stderr());
    assert!(program.stderr().contains("inventory"), "the key that was meant: {}", program.stderr());

    std::fs::write(&wall, WALL).unwrap();
    std::fs::write(&csv, inventory(&simulator, &rows[1..])).unwrap();
    assert!(Command::new("kill").args(["-HUP", &program.pid().to_string()]).status().unwrap().success());
    assert!(connected(2), "{}", program.stderr());
    assert!(program.interrupt().success());
    let report = program.report();
    let ids: Vec<_> = report["cameras"].as_array().unwrap().iter().map(|c| c["id"].clone()).collect();
    assert_eq!(ids, ["b", "c"]);
    assert!(report["cameras"].as_array().unwrap().iter().all(|c| c["reconnects"] == 0), "{report}");
}
