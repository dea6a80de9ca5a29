//! Whole walls inside this process, against sources that need no RTSP server.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::*;
use crate::base::SystemClock;
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

#[test]
fn a_udp_camera_is_shown_and_its_rtp_output_says_how_to_play_it() {
    gst::init().unwrap();
    let free = || std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (camera, output) = (free(), free());
    let sender = gst::parse::launch(&format!(
        "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! h264parse config-interval=-1 \
         ! mpegtsmux alignment=7 ! udpsink host=127.0.0.1 port={camera}"
    ))
    .unwrap();
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
