//! Every fault, as a client meets it, and that it ends.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{Client, Packet, small};
use vitrail_engine::source::Transport;
use vitrail_simulator::viewer::{Seen, Viewer};
use vitrail_simulator::{Config, Fault, Profile, Refusal, Simulator};

const PATIENCE: Duration = Duration::from_secs(10);

fn start(cameras: u16) -> (Simulator, impl Fn(&Simulator, u16) -> Viewer) {
    let config = small(cameras);
    let clock = config.clock.clone();
    let view = move |simulator: &Simulator, camera: u16| {
        Viewer::rtsp(&simulator.uri(camera, Profile::Sub), Transport::Tcp, clock.clone()).unwrap()
    };
    (Simulator::start(config).unwrap(), view)
}

/// The first picture that is as wanted.
fn wait_for(viewer: &Viewer, what: &str, wanted: impl Fn(&Seen) -> bool) -> Seen {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match viewer.next(PATIENCE).unwrap() {
            Some(seen) if wanted(&seen) => return seen,
            _ => {}
        }
    }
    panic!("{what}")
}

fn gaps(packets: &[Packet]) -> Vec<i16> {
    packets.windows(2).map(|w| w[1].seq().wrapping_sub(w[0].seq()) as i16).collect()
}

#[test]
fn silent_says_nothing_and_stays_connected() {
    let (simulator, _) = start(1);
    let mut client = Client::playing(&simulator, 1);
    let first = client.packet().unwrap();
    assert_eq!((first.channel, first.data[1]), (3, 200), "a sender report comes first");
    client.rtp(5);
    simulator.fault(1, Fault::Silent).unwrap();
    client.drain(Duration::from_millis(300));
    assert!(!client.hears(Duration::from_millis(600)));
    assert_eq!(client.ask("GET_PARAMETER", "").unwrap().status, 200);
    simulator.clear(1).unwrap();
    client.rtp(5);
}

#[test]
fn freeze_stops_the_picture_but_not_the_stream() {
    let (simulator, view) = start(2);
    for camera in simulator.numbers() {
        let viewer = view(&simulator, camera);
        wait_for(&viewer, "the stream runs", |seen| seen.code(None).is_some());
        simulator.fault(camera, Fault::Freeze).unwrap();
        let begun = Instant::now();
        let mut still = 0;
        let mut last = None;
        while still < 6 && begun.elapsed() < PATIENCE {
            let code = viewer.next(PATIENCE).unwrap().unwrap().code(None).unwrap();
            still = if last == Some(code) { still + 1 } else { 0 };
            last = Some(code);
        }
        assert_eq!(still, 6, "camera {camera} does not freeze");
        simulator.clear(camera).unwrap();
        wait_for(&viewer, "it moves again", |seen| seen.code(None).is_some_and(|c| c.frame > 5));
    }
}

#[test]
fn loss_and_reorder_show_in_sequence_numbers() {
    let (simulator, _) = start(1);
    let mut client = Client::playing(&simulator, 1);
    assert!(gaps(&client.rtp(60)).iter().all(|&gap| gap == 1));
    simulator.fault(1, Fault::Loss(30)).unwrap();
    let lossy = gaps(&client.rtp(120));
    assert!(lossy.iter().any(|&gap| gap > 1) && lossy.iter().all(|&gap| gap >= 1), "{lossy:?}");
    assert!(simulator.stats().lost > 0);
    simulator.clear(1).unwrap();
    simulator.fault(1, Fault::Reorder).unwrap();
    let swapped = gaps(&client.rtp(60));
    assert!(swapped.contains(&-1), "{swapped:?}");
    simulator.clear(1).unwrap();
    // What was on its way already still comes in the wrong order.
    client.rtp(60);
    assert!(gaps(&client.rtp(40)).iter().all(|&gap| gap == 1));
}

#[test]
fn corrupt_pictures_are_sent_whole() {
    let (simulator, _) = start(1);
    let mut client = Client::playing(&simulator, 1);
    simulator.fault(1, Fault::Corrupt).unwrap();
    assert!(gaps(&client.rtp(100)).iter().all(|&gap| gap == 1));
    assert!(simulator.stats().corrupted > 0);
}

#[test]
fn drop_closes_and_refuses() {
    let (simulator, _) = start(1);
    let mut client = Client::playing(&simulator, 1);
    client.rtp(5);
    simulator.fault(1, Fault::Drop).unwrap();
    while client.packet().is_some() {}
    assert!(Client::new(&simulator, 1, Profile::Sub).ask("DESCRIBE", "").is_none());
    simulator.clear(1).unwrap();
    Client::playing(&simulator, 1).rtp(5);
}

#[test]
fn refusals_have_their_status() {
    let (simulator, _) = start(1);
    let status = |method: &str| {
        let mut client = Client::new(&simulator, 1, Profile::Sub);
        client.ask(method, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1").unwrap().status
    };
    assert_eq!((status("DESCRIBE"), status("SETUP"), status("PLAY"), status("RECORD")), (200, 200, 455, 405));
    let cases = [
        (Fault::Auth, 401, 401),
        (Fault::Sessions(Refusal::Bandwidth), 200, 453),
        (Fault::Sessions(Refusal::Unauthorized), 200, 401),
        (Fault::Sessions(Refusal::Unavailable), 200, 503),
    ];
    for (fault, describe, setup) in cases {
        simulator.fault(1, fault).unwrap();
        assert_eq!((status("DESCRIBE"), status("SETUP")), (describe, setup), "{fault}");
        simulator.clear(1).unwrap();
    }
    assert_eq!(status("SETUP"), 200);
}

#[test]
fn resize_changes_the_size_in_mid_stream() {
    let (simulator, view) = start(2);
    for camera in simulator.numbers() {
        let viewer = view(&simulator, camera);
        wait_for(&viewer, "the full size", |seen| seen.width == 320 && seen.code(None).is_some());
        simulator.fault(camera, Fault::Resize).unwrap();
        let small = wait_for(&viewer, "half the size", |seen| seen.width == 160);
        assert_eq!((small.height, small.code(None).map(|c| c.camera)), (90, Some(camera)));
        simulator.clear(camera).unwrap();
        wait_for(&viewer, "the full size again", |seen| seen.width == 320);
    }
}

#[test]
fn without_sprop_the_stream_still_decodes() {
    let (simulator, view) = start(2);
    for camera in simulator.numbers() {
        let describe = || Client::new(&simulator, camera, Profile::Sub).ask("DESCRIBE", "").unwrap().body;
        assert!(describe().contains("sprop-"));
        simulator.fault(camera, Fault::NoSprop).unwrap();
        assert!(!describe().contains("sprop-"));
        wait_for(&view(&simulator, camera), "a picture", |seen| seen.code(None).is_some());
    }
}

#[test]
fn jump_moves_timestamps_by_an_hour_and_back() {
    let (simulator, _) = start(1);
    let mut client = Client::playing(&simulator, 1);
    let hour = 3600i64 * 90_000;
    let steps = |packets: &[Packet]| -> Vec<i64> {
        let step = |w: &[Packet]| i64::from(w[1].timestamp().wrapping_sub(w[0].timestamp()) as i32);
        packets.windows(2).map(step).collect()
    };
    let mut packets = client.rtp(10);
    simulator.fault(1, Fault::Jump).unwrap();
    packets.extend(client.rtp(60));
    let there = steps(&packets);
    assert_eq!(there.iter().filter(|&&s| (hour..hour + 90_000).contains(&s)).count(), 1, "{there:?}");
    simulator.clear(1).unwrap();
    packets.extend(client.rtp(60));
    let back = steps(&packets[60..]);
    assert_eq!(back.iter().filter(|&&s| (-hour..-hour + 90_000).contains(&s)).count(), 1, "{back:?}");
}

#[test]
fn dropping_the_simulator_frees_its_port() {
    let (simulator, _) = start(1);
    let mut client = Client::playing(&simulator, 1);
    client.rtp(5);
    let address = simulator.address();
    drop(simulator);
    while client.packet().is_some() {}
    Simulator::start(Config { listen: address, ..small(1) }).expect("the port is free again");
}
