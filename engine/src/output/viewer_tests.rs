//! Viewers of UDP, SRT and RTMP that come when the screen runs already: what they get first, and that
//! they cost the others nothing.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use super::tests::{Studio, assert_shows_the_bar, number_of, watch};
use super::ts::{DATAGRAM, PACKET};
use super::{OutputId, OutputSpec, OutputState};
use crate::base::ErrorKind;
use crate::encode::Rate;
use crate::media::Codec;

/// Pictures of the studio's bar before it begins anew.
const BAR: u64 = 40;

/// FFmpeg in a thread of its own.
fn viewer(arguments: &[&str], frames: u32) -> JoinHandle<(Vec<Vec<u8>>, String)> {
    let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    std::thread::spawn(move || watch(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), frames))
}

fn served_over_srt(studio: &Studio, options: &str) -> (OutputId, String) {
    let id = studio.add(&format!("srt://127.0.0.1:0?mode=listener&latency=60{options}"));
    let address = studio.status(id).address;
    let port = address.split([':', '?']).nth(2).unwrap().to_owned();
    assert_ne!(port, "0", "{address}");
    (id, format!("srt://127.0.0.1:{port}"))
}

fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What packets of MPEG-TS hold: PAT, PMT, or the kinds of NAL units of a picture.
fn contents(packets: &[u8]) -> Vec<String> {
    let mut all: Vec<(u16, Vec<u8>)> = Vec::new();
    // The clock alone is no content.
    let has_payload = |packet: &&[u8]| packet[3] & 0x10 > 0;
    for packet in packets.chunks_exact(PACKET).filter(has_payload) {
        assert_eq!(packet[0], 0x47);
        let pid = u16::from_be_bytes([packet[1], packet[2]]) & 0x1fff;
        let begins = packet[1] & 0x40 > 0;
        let skip = 4 + if packet[3] & 0x20 > 0 { 1 + usize::from(packet[4]) } else { 0 };
        match all.last_mut() {
            _ if pid == 0x1fff => {}
            Some((last, data)) if !begins && *last == pid => data.extend_from_slice(&packet[skip..]),
            _ => all.push((pid, packet[skip..].to_vec())),
        }
    }
    let name = |(pid, data): &(u16, Vec<u8>)| match pid {
        0 => "PAT".to_owned(),
        0x1000 => "PMT".to_owned(),
        _ => {
            let starts = data.windows(4).filter(|w| w[..3] == [0, 0, 1] && w[3] < 0x80);
            let mut kinds: Vec<String> = starts.map(|w| (w[3] & 31).to_string()).collect();
            kinds.dedup();
            kinds.join(" ")
        }
    };
    all.iter().map(name).collect()
}

#[test]
fn who_calls_over_srt_in_the_middle_begins_with_a_key_frame_at_once() {
    for codec in [Codec::H264, Codec::H265] {
        // Only the first picture is a key frame by itself.
        let studio = Studio::open(codec, 1000, Rate::Crf(18));
        let (id, address) = served_over_srt(&studio, "");
        studio.wait_until("encoding", |s| s.encoder.status().encoded > 15);
        for round in 0..2 {
            let caller = viewer(&["-i", &address], 8);
            studio.wait_until("a caller", |s| s.status(id).viewers == Some(1));
            let joined = studio.encoder.status().encoded;
            let (frames, errors) = caller.join().unwrap();
            assert_eq!(errors, "", "{codec} {round}: something came before the key frame, or was lost");
            assert_shows_the_bar(&frames, 8);
            // At most four key frames a second: 7 pictures, and some for a busy machine.
            let waited = (number_of(&frames[0]) + BAR - (joined - 1) % BAR) % BAR;
            assert!(waited <= 15 || waited >= BAR - 2, "{codec} {round}: {waited} pictures");
            studio.wait_until("leaving", |s| s.status(id).viewers == Some(0));
        }
        let status = studio.status(id);
        assert!(status.units >= 16 && status.dropped == 0, "{status:?}");
        assert!(studio.hub.finish());
    }
}

#[test]
fn the_first_bytes_of_an_srt_caller_are_tables_parameter_sets_and_a_key_frame() {
    let studio = Studio::h264();
    let (_, address) = served_over_srt(&studio, "");
    studio.wait_until("encoding", |s| s.encoder.status().encoded > 15);
    let file = tempfile::NamedTempFile::new().unwrap();
    Command::new("timeout")
        .args(["3", "gst-launch-1.0", "-q", "srtsrc", &format!("uri={address}?mode=caller&latency=60"), "!"])
        .args(["filesink", "buffer-mode=unbuffered", &format!("location={}", file.path().display())])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let bytes = std::fs::read(file.path()).unwrap();
    let found = contents(&bytes);
    assert!(found.len() > 20, "{found:?}");
    assert_eq!(found[..2], ["PAT", "PMT"]);
    assert!(found[2].starts_with("9 7 8 ") && found[2].ends_with('5'), "{found:?}");
}

#[test]
fn callers_that_come_go_and_stall_cost_the_others_nothing() {
    // Noise at the finest quantiser: much to send.
    let studio = Studio::open(Codec::H264, 1000, Rate::Crf(0));
    let (id, address) = served_over_srt(&studio, "");
    let first = viewer(&["-i", &address], 150);
    studio.wait_until("the first", |s| s.status(id).viewers == Some(1));
    let mut stalled = reader(&address);
    studio.wait_until("the second", |s| s.status(id).viewers == Some(2));
    signal(&stalled, "STOP");
    for _ in 0..3 {
        assert_eq!(watch(&["-i", &address], 3).1, "");
    }
    let (frames, errors) = first.join().unwrap();
    assert_eq!(errors, "");
    assert_shows_the_bar(&frames, 150);
    studio.wait_until("the stalled one being given up", |s| s.status(id).viewers == Some(0));
    assert_eq!(studio.encoder.status().dropped, 0);
    stalled.kill().unwrap();
    stalled.wait().unwrap();
    assert!(studio.hub.finish());
}

fn reader(address: &str) -> Child {
    let ffmpeg = ["30", "ffmpeg", "-v", "quiet", "-i", address, "-c", "copy", "-f", "null", "-"];
    // In place of `timeout`: a signal to it would not reach FFmpeg.
    Command::new(ffmpeg[1]).args(&ffmpeg[2..]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn srt_is_encrypted_and_a_wrong_passphrase_is_told() {
    let studio = Studio::h264();
    let (id, address) = served_over_srt(&studio, "&passphrase=hush-hush-hush&pbkeylen=32");
    let (frames, errors) = watch(&["-i", &format!("{address}?passphrase=hush-hush-hush")], 3);
    assert_eq!((frames.len(), errors.as_str()), (3, ""));
    let wrong = studio.add(&format!("{address}?passphrase=hush-hush-hash"));
    studio.wait_until("the refusal", |s| s.status(wrong).state == OutputState::Retrying);
    let shown = format!("{:?}", studio.hub.status());
    assert!(!shown.contains("hush"), "{shown}");
    let error = studio.status(wrong).error.unwrap();
    assert!(error.contains("does not answer"), "{error}");
    assert!(studio.hub.remove(wrong) && studio.hub.remove(id));
}

#[test]
fn a_taken_srt_port_is_said_at_once() {
    let studio = Studio::h264();
    let (_, address) = served_over_srt(&studio, "");
    let text = format!("{address}?mode=listener");
    let error = studio.hub.add(OutputSpec::parse(&text).unwrap()).unwrap_err();
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("taken"), "{error}");
}

#[test]
fn srt_calls_a_receiver_until_it_is_there_and_again_when_it_comes_back() {
    let studio = Studio::h264();
    let port = free_udp_port();
    let id = studio.add(&format!("srt://127.0.0.1:{port}?latency=60"));
    studio.wait_until("a call in vain", |s| s.status(id).state == OutputState::Retrying);
    for _ in 0..2 {
        let (frames, errors) = watch(&["-i", &format!("srt://127.0.0.1:{port}?mode=listener")], 10);
        assert_eq!(errors, "", "each connection begins with a key frame");
        assert_shows_the_bar(&frames, 10);
    }
    assert!(studio.hub.remove(id));
}

/// What comes to a socket within some pictures' time.
fn datagrams(socket: &UdpSocket, wanted: usize) -> Vec<Vec<u8>> {
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut buffer = [0; 2000];
    let mut next = || socket.recv(&mut buffer).ok().map(|n| buffer[..n].to_vec());
    std::iter::from_fn(&mut next).take(wanted).collect()
}

#[test]
fn udp_sends_whole_datagrams_with_a_key_frame_every_two_seconds_and_tables_often() {
    let studio = Studio::h264();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let id = studio.add(&format!("udp://127.0.0.1:{}", socket.local_addr().unwrap().port()));
    // 6 s: a small picture is one datagram.
    let came = datagrams(&socket, 150);
    assert!(came.iter().all(|d| d.len() == DATAGRAM), "{:?}", came.iter().map(Vec::len).collect::<Vec<_>>());
    let found = contents(&came.concat());
    assert_eq!(found[..2], ["PAT", "PMT"], "it begins with them");
    let pictures: Vec<&String> = found.iter().filter(|c| !c.starts_with('P')).collect();
    let keys: Vec<usize> = (0..pictures.len()).filter(|n| pictures[*n].ends_with('5')).collect();
    assert!(keys[0] == 0 && keys.len() >= 2, "{pictures:?}");
    // 50 pictures are 2 s; the request takes some to come through.
    assert!(keys.windows(2).all(|w| w[1] - w[0] <= 60), "{keys:?}");
    assert!(keys.iter().all(|n| pictures[*n].starts_with("9 7 8 ")), "{pictures:?}");
    for (index, content) in found.iter().enumerate() {
        assert!(!content.ends_with('5') || found[index - 1] == "PMT", "{index}: {found:?}");
    }
    let tables = found.iter().filter(|c| *c == "PAT").count();
    assert!(tables * 4 >= pictures.len(), "{tables} tables for {} pictures", pictures.len());
    assert!(studio.hub.remove(id));
}

#[test]
fn udp_is_received_in_the_middle_by_a_player_unicast_and_multicast() {
    for (codec, host, by) in [
        (Codec::H264, "127.0.0.1", ""),
        (Codec::H265, "127.0.0.1", ""),
        (Codec::H264, "239.255.77.2", "?interface=lo"),
    ] {
        let studio = Studio::open(codec, 1000, Rate::Crf(18));
        let port = free_udp_port();
        studio.add(&format!("udp://{host}:{port}{by}"));
        studio.wait_until("encoding", |s| s.encoder.status().encoded > 15);
        let from = if by.is_empty() { "" } else { "?localaddr=127.0.0.1" };
        let (frames, _) = watch(&["-i", &format!("udp://{host}:{port}{from}")], 75);
        assert!(frames.len() >= 75, "{codec} {host}: {}", frames.len());
        // It may join in the middle of a picture and of a group: what comes from the next key frame on counts.
        assert_shows_the_bar(&frames[60..], 15);
    }
}

#[test]
fn multicast_leaves_by_the_interface_that_is_named() {
    let studio = Studio::h264();
    for by in ["lo", "127.0.0.1"] {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let group = Ipv4Addr::new(239, 255, 77, 3);
        socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
        let port = socket.local_addr().unwrap().port();
        let id = studio.add(&format!("udp://{group}:{port}?interface={by}"));
        let came = datagrams(&socket, 5);
        assert!(came.len() == 5 && came[0].len() == DATAGRAM, "{by}");
        assert!(studio.hub.remove(id));
    }
    let missing = OutputSpec::parse("udp://239.255.77.3:5000?interface=none9").unwrap();
    let error = studio.hub.add(missing).unwrap_err();
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("none9"), "{error}");
}

/// An RTMP server that takes one publisher and ends after some pictures.
fn server(port: u16, frames: u32) -> JoinHandle<(Vec<Vec<u8>>, String)> {
    viewer(&["-listen", "1", "-f", "flv", "-i", &format!("rtmp://127.0.0.1:{port}/live/hush-hush")], frames)
}

#[test]
fn rtmp_publishes_from_a_key_frame_on_and_comes_back_to_a_server_that_went() {
    let studio = Studio::h264();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    studio.wait_until("encoding", |s| s.encoder.status().encoded > 15);
    let id = studio.add(&format!("rtmp://127.0.0.1:{port}/live/hush-hush"));
    studio.wait_until("a try in vain", |s| s.status(id).state == OutputState::Retrying);
    for round in 0..2 {
        let (frames, errors) = server(port, 20).join().unwrap();
        assert_eq!(errors, "", "round {round}");
        assert_shows_the_bar(&frames, 20);
    }
    let shown = format!("{:?} {:?}", studio.hub, studio.hub.status());
    assert!(!shown.contains("hush") && shown.contains("/live/…"), "{shown}");
    assert_eq!(studio.encoder.status().dropped, 0);
    assert!(studio.hub.remove(id));
}

#[test]
fn rtmp_refuses_what_it_cannot_carry() {
    let studio = Studio::open(Codec::H265, 1000, Rate::Crf(18));
    let spec = OutputSpec::parse("rtmp://127.0.0.1:1/live/hush-hush").unwrap();
    let error = studio.hub.add(spec).unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("H.264 alone"), "{error}");
    assert!(!format!("{error:?}").contains("hush"));
}
