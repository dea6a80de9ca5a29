//! Asks whether walls fit a machine before they are shown: the governor alone, without any camera.
//!
//!     cargo run --example admission

use vitrail_engine::effort::{
    Admission, CostModel, EffortSettings, Governor, Load, ProfileLoad, ScreenWish, StreamLoad, Wish,
};
use vitrail_engine::media::Codec;

fn main() {
    // `vitrail capacity measure` keeps the figures of the machine at hand.
    let model = CostModel::load(&CostModel::default_path()).unwrap_or_else(|_| CostModel::reference());
    let governor = Governor::new(EffortSettings::default(), model);
    let machine = Load { cores: 2.0, ..Load::default() };
    for (cameras, tile) in [(16, (480, 270)), (64, (480, 270)), (256, (240, 135)), (1024, (120, 68))] {
        let wishes: Vec<Wish> = (0..cameras).map(|n| wish(n, tile)).collect();
        let verdict = match governor.admit(&wishes, &[screen()], &machine) {
            Admission::Fits { spare } => format!("fits, {spare:.2} cores are left"),
            Admission::Degraded { cameras, screens } => {
                let of_screen = screens.first().map_or("as asked", |(_, step)| step.word());
                format!("fits, {} of them degraded, the screen {of_screen}", cameras.len())
            }
            Admission::DoesNotFit { missing, paused } => {
                format!("does not fit: {missing:.2} cores are missing, {} would be paused", paused.len())
            }
        };
        println!("{cameras} cameras in tiles of {}x{} on 2 cores: {verdict}", tile.0, tile.1);
    }
}

/// One screen of 1920x1080 at 25 pictures a second.
fn screen() -> ScreenWish {
    ScreenWish {
        screen: "one".into(),
        width: 1920,
        height: 1080,
        fps: 25.0,
        codec: Codec::H264,
        preset: "veryfast".into(),
        faster: ["superfast", "ultrafast"].map(String::from).to_vec(),
        in_software: true,
        pinned: false,
        priority: 100,
    }
}

fn wish(number: usize, tile: (u32, u32)) -> Wish {
    let load = StreamLoad {
        codec: if number.is_multiple_of(2) { Codec::H264 } else { Codec::H265 },
        width: 640,
        height: 360,
        fps: 12.5,
        bits_per_second: 400_000.0,
        key_interval_s: 2.0,
    };
    Wish {
        camera: format!("cam-{number}").as_str().into(),
        sizes: vec![tile],
        pinned: false,
        priority: 100,
        live: true,
        profiles: vec![ProfileLoad { name: "sub".into(), load }],
    }
}
