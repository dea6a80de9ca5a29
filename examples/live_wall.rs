//! A wall inside your own program: four simulated cameras, shown small, then one of them large.
//!
//!     cargo run --example live_wall                 writes small.png and large.png
//!
//! With cameras of your own, leave the simulator out and write their addresses into the text.

use std::error::Error;
use std::time::{Duration, Instant};

use vitrail_engine::base::SystemClock;
use vitrail_engine::config::WallSpec;
use vitrail_engine::scene::Placement;
use vitrail_engine::source::Authority;
use vitrail_engine::wall::Wall;
use vitrail_simulator::{Config, Profile, Simulator};

fn main() -> Result<(), Box<dyn Error>> {
    let clock = SystemClock::shared();
    let cameras = Simulator::start(Config { cameras: 4, clock: clock.clone(), ..Config::default() })?;

    // What a wall file holds; `WallSpec::load` reads one.
    let mut text = "[[screen]]\nid = \"desk\"\nsize = \"1280x720\"\ngrid = \"4x4\"\n".to_owned();
    for n in cameras.numbers() {
        let (main, sub) = (cameras.uri(n, Profile::Main), cameras.uri(n, Profile::Sub));
        text +=
            &format!("[[camera]]\nid = \"cam-{n}\"\nprofiles = {{ main = \"{main}\", sub = \"{sub}\" }}\n");
    }
    let spec = WallSpec::from_toml(&text, "example")?;

    // Nothing is opened without a grant: the owner of the machine may show the owner's cameras.
    let mut wall = Wall::start(spec.clone(), &Authority::owner(), clock)?;
    wait(|| wall.report().cameras.iter().all(|c| c.state == "live"));
    save(&wall, "small.png")?;

    // The first camera over all cells: the governor goes over to its main stream without a gap.
    let mut scene = spec.scene.clone();
    let tiles = &mut scene.regions[0].tiles;
    tiles.truncate(1);
    tiles[0].at = Placement::Cell { column: 0, row: 0, columns: 4, rows: 4 };
    println!("{:?}", wall.admit(&scene)?);
    wall.apply(&scene)?;
    wait(|| wall.report().cameras[0].profile == "main");
    save(&wall, "large.png")?;

    for camera in wall.stop().cameras {
        println!("{}: {:?} on {}, {} pictures shown", camera.id, camera.effort, camera.profile, camera.shown);
    }
    Ok(())
}

fn wait(done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn save(wall: &Wall, path: &str) -> Result<(), Box<dyn Error>> {
    let png = wall.snapshot().ok_or("the wall has no picture yet")??;
    std::fs::write(path, png)?;
    println!("wrote {path}");
    Ok(())
}
