//! Live pictures end to end within this process: a real wall, real packets over loopback, a viewer
//! that decodes them.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use vitrail_engine::encode::nal;
use vitrail_engine::media::Codec;
use vitrail_engine::media::annex_b::nal_units;

use support::stage::{Stage, Wish};
use support::viewer::{Client, Eyes, Look, Viewing};
use vitrail_simulator::noise::Noise;

const LONG: Duration = Duration::from_secs(20);

/// The next pictures of a viewer.
fn looks(viewing: &Viewing, eyes: &mut Eyes, count: usize) -> Vec<Look> {
    (0..count)
        .map(|n| {
            let unit = viewing.units.recv_timeout(LONG).unwrap_or_else(|_| panic!("picture {n} of {count}"));
            eyes.look(&unit).unwrap()
        })
        .collect()
}

/// Different frames of the camera in what was seen.
fn frames(looks: &[Look]) -> BTreeSet<u32> {
    looks.iter().filter(|l| l.whole).filter_map(|l| l.code).map(|code| code.frame).collect()
}

#[test]
fn two_viewers_see_the_camera_move_and_begin_with_a_key_frame() {
    let stage = Stage::start(Wish::default());
    let login = CancellationToken::new();
    let watcher = stage.watcher("anna", &login);
    for _ in 0..2 {
        let (viewing, _) = stage.view(&watcher, 0.0);
        stage.until("a connection", || viewing.facts.connected.get().is_some());
        let composed = stage.wall.report().screens[0].frames;
        let first = viewing.units.recv_timeout(LONG).unwrap();
        let waited = stage.wall.report().screens[0].frames - composed;
        assert!(waited <= 25, "the first picture came {waited} pictures after the connection");
        let kinds: Vec<u8> = nal_units(&first.data).map(|unit| nal::kind(Codec::H264, unit)).collect();
        assert!(first.key && kinds.starts_with(&[7, 8]) && kinds.contains(&5), "{kinds:?}");
        let mut eyes = Eyes::new();
        assert_eq!(eyes.look(&first).unwrap().size, (640, 360));
        let seen = looks(&viewing, &mut eyes, 50);
        assert!(seen.iter().all(|l| l.whole && l.code.is_some_and(|c| c.camera == 1)), "{seen:?}");
        assert!(frames(&seen).len() >= 20, "the camera moves: {:?}", frames(&seen));
        let (next, after) = (viewing.units.recv().unwrap(), viewing.units.recv().unwrap());
        // The wall moves its ticks by a fraction of a millisecond, to where its cameras' pictures wait least.
        let off = (after.time - next.time + 1800) % 3600;
        assert!(off.abs_diff(1800) < 90, "whole pictures of 25 a second in 90 kHz: {off}");
    }
}

#[test]
fn lost_packets_are_sent_again() {
    let stage = Stage::start(Wish::default());
    let login = CancellationToken::new();
    let (viewing, _) = stage.view(&stage.watcher("anna", &login), 0.05);
    let mut eyes = Eyes::new();
    // Before its first whole key frame the decoder gives nothing.
    let units = (0..250).map(|_| viewing.units.recv_timeout(LONG).unwrap());
    let seen: Vec<Look> = units.filter_map(|unit| eyes.look(&unit)).collect();
    let (packets, lost) = (&viewing.facts.packets, &viewing.facts.lost);
    let (packets, lost) = (packets.load(Ordering::Relaxed), lost.load(Ordering::Relaxed));
    assert!(lost >= 10, "{lost} of {packets} packets were lost");
    let whole = seen.iter().filter(|l| l.whole).count();
    println!(
        "{lost} of {packets} packets lost, {whole} of {} pictures whole, {} key frames asked for",
        seen.len(),
        viewing.facts.keys_asked.load(Ordering::Relaxed)
    );
    assert!(whole >= 200, "{whole} of 250 pictures are whole");
    assert!(frames(&seen[seen.len() - 50..]).len() >= 15, "it goes on to the end");
}

#[test]
fn a_viewer_that_stops_reading_harms_nobody_and_ends() {
    let stage = Stage::start(Wish::default());
    let login = CancellationToken::new();
    let watcher = stage.watcher("anna", &login);
    let (deaf, _) = stage.view(&watcher, 0.0);
    deaf.units.recv_timeout(LONG).unwrap();
    let (good, _) = stage.view(&watcher, 0.0);
    let mut eyes = Eyes::new();
    looks(&good, &mut eyes, 5);
    let (before, noise) = (stage.wall.report().screens[0].clone(), Noise::listen());
    deaf.facts.deaf.store(true, Ordering::Relaxed);
    let seen = looks(&good, &mut eyes, 250);
    assert!(seen.iter().all(|l| l.whole), "the other misses nothing");
    let after = stage.wall.report().screens[0].clone();
    let noise = noise.missing(250, Duration::from_millis(40));
    assert!(
        after.dropped <= before.dropped + noise,
        "nor does the encoder: {after:?}, {noise} for the machine"
    );
    assert!(after.missed <= before.missed + noise, "nor does the wall: {after:?}, {noise} for the machine");
    stage.until("its end", || stage.live.viewers(&stage.screen) == 1);
    looks(&good, &mut eyes, 5);
}

/// `REVOCATION_TRIALS=50` gives the figures of the documentation.
#[test]
fn no_packet_leaves_after_the_end_of_a_login() {
    let trials = std::env::var("REVOCATION_TRIALS").map_or(1, |trials| trials.parse().unwrap());
    let noise = Noise::listen();
    let stage = Stage::start(Wish::default());
    let other = CancellationToken::new();
    let (stays, _) = stage.view(&stage.watcher("bert", &other), 0.0);
    let mut late = Vec::new();
    for _ in 0..trials {
        let login = CancellationToken::new();
        let (viewing, _) = stage.view(&stage.watcher("anna", &login), 0.0);
        viewing.units.recv_timeout(LONG).unwrap();
        login.cancel();
        let ended = Instant::now();
        stage.until("the goodbye", || viewing.facts.closed.get().is_some());
        stage.until("the end", || stage.live.viewers(&stage.screen) == 1);
        // As many pictures as would have come within a second.
        while stays.units.recv_timeout(LONG).unwrap().at < ended + Duration::from_secs(1) {}
        let last = viewing.facts.last_packet.lock().unwrap();
        late.push(last.saturating_duration_since(ended));
        let watcher = stage.watcher("anna", &login);
        let again = stage.live.open(&watcher, &stage.screen, Client::new().offer);
        assert_eq!(stage.runtime.block_on(again).unwrap_err().status, 401);
    }
    late.sort();
    let (half, longest) = (late[late.len() / 2], late[late.len() - 1]);
    println!(
        "the last packet came {half:?} (half of {trials}), at most {longest:?} after the end of the login"
    );
    assert!(longest < noise.allow(Duration::from_millis(200)), "{late:?}");
}

#[test]
fn a_withdrawn_camera_leaves_the_browser_s_picture() {
    let noise = Noise::listen();
    let stage = Stage::start(Wish::default());
    let login = CancellationToken::new();
    let (viewing, _) = stage.view(&stage.watcher("anna", &login), 0.0);
    let mut eyes = Eyes::new();
    let seen = looks(&viewing, &mut eyes, 25);
    assert!(frames(&seen).len() >= 5, "it is seen before: {seen:?}");
    assert!(stage.wall.still(&"cam-1".into(), 320_u32.into()).unwrap().is_some());
    stage.authority.withdraw_all();
    let withdrawn = Instant::now();
    let (mut last, mut newest) = (None, withdrawn);
    while newest < withdrawn + Duration::from_secs(2) {
        let unit = viewing.units.recv_timeout(LONG).unwrap();
        newest = unit.at;
        if eyes.look(&unit).is_some_and(|look| look.code.is_some()) {
            last = Some(unit.at);
        }
    }
    let after = last.unwrap_or(withdrawn).saturating_duration_since(withdrawn);
    println!("its last picture came {after:?} after the withdrawal");
    assert!(after < noise.allow(Duration::from_millis(200)), "{after:?}");
    assert!(stage.wall.still(&"cam-1".into(), 320_u32.into()).unwrap().is_none());
}

#[test]
fn sessions_are_ended_by_those_who_began_them_and_by_the_server() {
    let stage = Stage::start(Wish { viewers: 2, ..Wish::default() });
    let login = CancellationToken::new();
    let watcher = stage.watcher("anna", &login);
    let (first, session) = stage.view(&watcher, 0.0);
    let (second, _) = stage.view(&watcher, 0.0);
    first.units.recv_timeout(LONG).unwrap();
    second.units.recv_timeout(LONG).unwrap();
    let full = stage.runtime.block_on(stage.live.open(&watcher, &stage.screen, Client::new().offer));
    assert_eq!(full.unwrap_err().code.as_deref(), Some("viewers"));
    let close = |account: &str, screen: &str, session: &str| stage.live.close(account, screen, session);
    assert_eq!(close("bert", &stage.screen, &session).unwrap_err().status, 404, "another's");
    assert_eq!(close("anna", "no-such", &session).unwrap_err().status, 404);
    assert_eq!(close("anna", &stage.screen, "ab").unwrap_err().status, 404);
    close("anna", &stage.screen, &session).unwrap();
    stage.until("the goodbye", || first.facts.closed.get().is_some());
    stage.until("room", || stage.live.viewers(&stage.screen) == 1);
    assert_eq!(close("anna", &stage.screen, &session).unwrap_err().status, 404, "it is over");
    let (third, _) = stage.view(&watcher, 0.0);
    third.units.recv_timeout(LONG).unwrap();
    stage.live.stop();
    stage.until("goodbyes", || [&second, &third].iter().all(|v| v.facts.closed.get().is_some()));
    stage.until("the end", || stage.live.viewers(&stage.screen) == 0);
}

#[test]
fn what_cannot_be_watched_is_refused_and_disturbs_nobody() {
    // Sessions that nobody takes up hold their seats for a while.
    let stage = Stage::start(Wish { viewers: 1000, ..Wish::default() });
    let login = CancellationToken::new();
    let watcher = stage.watcher("anna", &login);
    let (viewing, _) = stage.view(&watcher, 0.0);
    viewing.units.recv_timeout(LONG).unwrap();
    let open = |screen: &str, offer: &str| {
        stage.runtime.block_on(stage.live.open(&watcher, screen, offer.to_owned())).map(|o| o.answer)
    };
    let good = Client::new().offer;
    assert_eq!(open("no-such", &good).unwrap_err().status, 404);
    for (offer, status) in [
        ("", 400),
        ("v=0\r\n", 400),
        ("<html>", 400),
        (good.replace("H264", "H263").as_str(), 422),
        (good.replace("packetization-mode=1", "packetization-mode=0").as_str(), 422),
        (good.replace("a=fingerprint:", "a=xingerprint:").as_str(), 400),
        (good.replace("a=recvonly", "a=sendonly").as_str(), 422),
    ] {
        let problem = open(&stage.screen, offer).expect_err(offer);
        assert_eq!(problem.status, status, "{problem:?} of {offer}");
    }
    // Lines left out, doubled, and swapped: an answer or a refusal, never the end of anybody else.
    let lines: Vec<&str> = good.lines().collect();
    let joined = |lines: &[&str]| lines.join("\r\n") + "\r\n";
    let mut answered = 0;
    // Each good one waits for a key frame, so not at every line.
    for n in (0..lines.len()).step_by(5) {
        let mut without = lines.clone();
        without.remove(n);
        let mut twice = lines.clone();
        twice.insert(n, lines[n]);
        let mut swapped = lines.clone();
        swapped.swap(n, (n * 7 + 3) % lines.len());
        for offer in [without, twice, swapped] {
            answered += usize::from(open(&stage.screen, &joined(&offer)).is_ok());
        }
    }
    assert!(answered > 0, "some of it does no harm");
    let (other, _) = stage.view(&watcher, 0.0);
    for viewing in [&viewing, &other] {
        while viewing.units.try_recv().is_ok() {}
    }
    let mut eyes = Eyes::new();
    let units = (0..100).map(|_| viewing.units.recv_timeout(LONG).unwrap());
    let seen: Vec<Look> = units.filter_map(|unit| eyes.look(&unit)).collect();
    assert!(frames(&seen).len() >= 5, "the other still watches: {seen:?}");
    other.units.recv_timeout(LONG).unwrap();
}

#[test]
fn a_screen_in_h265_names_what_to_show_instead() {
    let stage = Stage::start(Wish { codec: Codec::H265, preset: "ultrafast", ..Wish::default() });
    let login = CancellationToken::new();
    let watcher = stage.watcher("anna", &login);
    let open = stage.live.open(&watcher, &stage.screen, Client::new().offer);
    let problem = stage.runtime.block_on(open).unwrap_err();
    assert_eq!((problem.status, problem.code.as_deref()), (409, Some("codec")));
    let fallback = format!("/api/v1/wall/screens/{}/stream.mjpeg", stage.screen);
    assert_eq!(problem.more.unwrap()["fallback"][0], fallback);
}
