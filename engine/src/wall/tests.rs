//! Whole walls inside this process, against sources that need no RTSP server.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::report::MoveReport;
use super::*;
use crate::base::SystemClock;
use crate::effort::{ScreenDecision, ScreenStep};
use crate::media::Ratio;
use crate::source::Authority;

/// Waits for a wall to be as it should; what its report says where it does not come to that.
fn wait_until(wall: &Wall, what: &str, done: impl Fn(&WallReport) -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done(&wall.report()) {
        assert!(Instant::now() < end, "{what} did not happen: {:?}", wall.report());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A camera that sends a moving ball to a UDP port of this machine, not playing yet.
fn ball_to(port: u16) -> gst::Element {
    gst::init().unwrap();
    gst::parse::launch(&format!(
        "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! h264parse config-interval=-1 \
         ! mpegtsmux alignment=7 ! udpsink host=127.0.0.1 port={port}"
    ))
    .unwrap()
}

#[test]
fn a_udp_camera_is_shown_and_its_rtp_output_says_how_to_play_it() {
    let (camera, output) = (free_port(), free_port());
    let sender = ball_to(camera);
    let cameras = [format!("udp://127.0.0.1:{camera}")];
    let rate = Ratio { num: 25, den: 1 };
    let to = [format!("rtp://127.0.0.1:{output}")];
    let spec = WallSpec::grid(1, 1, 320, 240, rate, &cameras, &to).unwrap();
    let wall = Wall::start(spec, &Authority::owner(), SystemClock::shared()).unwrap();
    wait_until(&wall, "a placard", |report| report.cameras[0].state == "waiting");
    sender.set_state(gst::State::Playing).unwrap();
    wait_until(&wall, "a live camera", |r| r.cameras[0].state == "live" && r.cameras[0].shown > 25);
    let sdp = wall.report().screens[0].outputs[0].sdp.clone().unwrap();
    assert!(sdp.contains(&format!("m=video {output} RTP/AVP 96\r\n")), "{sdp}");
    let look = wall.where_to_look();
    assert!(look[0].contains(".sdp") && look[0].contains(&format!("m=video {output} RTP/AVP")), "{look:?}");
    // It goes: no old picture stays as if it were live.
    sender.set_state(gst::State::Null).unwrap();
    wait_until(&wall, "the placard", |report| report.cameras[0].state != "live");
    let report = wall.stop();
    assert!(report.screens[0].missed < report.screens[0].frames, "{report:?}");
    assert_eq!(report.cameras[0].codec.as_deref(), Some("H.264"));
}

#[test]
fn a_camera_that_was_lost_while_no_tile_showed_it_did_not_turn_from_live() {
    let port = free_port();
    let sender = ball_to(port);
    let text = format!(
        "[wall]\nframe_rate = 25\nstandby = \"all\"\n[limits]\nplacard_after = \"1s\"\n\
         [[screen]]\nid = \"one\"\nsize = \"320x240\"\ngrid = \"1x1\"\n\
         [[tile]]\non = \"one\"\ncamera = \"ball\"\n\
         [[camera]]\nid = \"ball\"\nuri = \"udp://127.0.0.1:{port}\"\n\
         [[camera]]\nid = \"other\"\nuri = \"udp://127.0.0.1:{}\"\n",
        free_port()
    );
    let spec = WallSpec::from_toml(&text, "wall.toml").unwrap();
    let mut other = spec.scene.clone();
    other.regions[0].tiles[0].camera = Some("other".into());
    let mut wall = Wall::start(spec.clone(), &Authority::owner(), SystemClock::shared()).unwrap();
    sender.set_state(gst::State::Playing).unwrap();
    // Two key frames and more, so that it is known how far they lie apart.
    wait_until(&wall, "a live camera", |r| r.cameras[0].state == "live" && r.cameras[0].decoded > 25);
    wall.apply(&other).unwrap();
    wait_until(&wall, "another camera", |r| r.cameras[1].state == "waiting");
    sender.set_state(gst::State::Null).unwrap();
    // Longer than what a camera that is called up may be behind.
    wait_until(&wall, "silence", |r| r.cameras[0].age_ms.is_some_and(|ms| ms > 3000.0));
    wall.apply(&spec.scene).unwrap();
    wait_until(&wall, "the placard", |r| r.cameras[0].state == "stalled");
    let report = wall.stop();
    assert!(report.cameras[0].placards.is_empty(), "{:?}", report.cameras[0].placards);
}

#[test]
fn a_screen_that_goes_down_says_so_and_comes_back() {
    let text = "[wall]\nframe_rate = 25\n[encoder]\npreset = \"veryfast\"\n\
                [[screen]]\nid = \"one\"\nsize = \"320x240\"\ngrid = \"1x1\"\n\
                [[screen]]\nid = \"two\"\nsize = \"320x240\"\ngrid = \"1x1\"\n\
                [[camera]]\nid = \"a\"\nuri = \"udp://127.0.0.1:9\"\n";
    let spec = WallSpec::from_toml(text, "wall.toml").unwrap();
    let mut wall = Wall::start(spec, &Authority::owner(), SystemClock::shared()).unwrap();
    // Decided by hand from now on.
    wall.govern.stop();
    let serve = |wall: &Wall, step, preset: &str, every| {
        let screen = wall.screens[0].layout.id.clone();
        let decision = ScreenDecision { screen, step, preset: preset.into(), every, cost: 0.0 };
        wall.screens[0].dial.serve(&decision);
    };
    wait_until(&wall, "a picture", |r| r.screens[0].encoded > 5);
    serve(&wall, ScreenStep::HalfRate, "ultrafast", 2);
    wait_until(&wall, "half the rate", |r| r.screens[0].left_out > 20);
    let report = wall.report();
    let (one, two) = (&report.screens[0], &report.screens[1]);
    assert_eq!((one.step, one.degraded, one.rate, one.asked_fps), ("half-rate", true, 12.5, 25.0));
    assert_eq!(one.preset, "ultrafast");
    assert_eq!((two.step, two.degraded, two.rate, two.left_out), ("as-asked", false, 25.0, 0));
    assert_eq!(report.governor.screen_moves, MoveReport { down: 1, up: 0 });
    let left_out = one.left_out;
    serve(&wall, ScreenStep::AsAsked, "veryfast", 1);
    wait_until(&wall, "the preset", |r| r.screens[0].preset == "veryfast" && r.screens[0].encoded > 60);
    let report = wall.stop();
    let one = &report.screens[0];
    assert_eq!((one.step, one.rate, one.dropped), ("as-asked", 25.0, 0));
    assert!(one.left_out <= left_out + 2, "{} after {left_out}", one.left_out);
    assert_eq!(report.governor.screen_moves, MoveReport { down: 1, up: 1 });
}

#[test]
fn admission_names_the_screens() {
    let text = "[wall]\nframe_rate = 60\n[effort]\nbudget = 10\n[encoder]\npreset = \"medium\"\n\
                [[screen]]\nid = \"one\"\nsize = \"1920x1080\"\ngrid = \"1x1\"\n\
                [[camera]]\nid = \"a\"\nuri = \"udp://127.0.0.1:9\"\n";
    let spec = WallSpec::from_toml(text, "wall.toml").unwrap();
    let wall = Wall::start(spec.clone(), &Authority::owner(), SystemClock::shared()).unwrap();
    let judged = wall.admit(&spec.scene).unwrap();
    let named = match &judged {
        Admission::Degraded { screens, .. } => !screens.is_empty(),
        Admission::DoesNotFit { missing, .. } => *missing > 0.0,
        Admission::Fits { .. } => false,
    };
    assert!(named, "{judged:?}");
}
