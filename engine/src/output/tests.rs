//! Every output against an independent reader, with a real encoder behind it.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::*;
use crate::base::{ErrorKind, SystemClock};
use crate::encode::tests::{config, picture, psnr};
use crate::encode::{EncoderConfig, Rate, ScreenEncoder};
use crate::media::{Codec, Frame, FrameMeta, ScreenId};

const W: u32 = 320;
const H: u32 = 180;

/// A screen that shows a moving bar, 25 times a second, encoded and put out.
pub(super) struct Studio {
    pub(super) hub: Arc<OutputHub>,
    pub(super) encoder: Arc<ScreenEncoder>,
    /// One of so many pictures is made.
    pub(super) every: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    camera: Option<JoinHandle<()>>,
}

impl Studio {
    pub(super) fn open(codec: Codec, gop: u32, rate: Rate) -> Studio {
        Studio::open_with(EncoderConfig { gop, rate, ..config(codec) })
    }

    pub(super) fn open_with(config: EncoderConfig) -> Studio {
        let (codec, rate) = (config.codec, config.rate);
        let params = StreamParams { codec, width: W, height: H, frame_rate: config.frame_rate };
        let screen = ScreenId::from("studio");
        let (wish, asked) = std::sync::mpsc::channel();
        let hub = OutputHub::new(
            screen.clone(),
            params,
            Arc::new(move || {
                let _ = wish.send(());
            }),
        );
        let clock = SystemClock::shared();
        let encoder = Arc::new(ScreenEncoder::start(&screen, config, hub.clone(), clock.clone()).unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, into, noise) = (stop.clone(), encoder.clone(), rate == Rate::Crf(0));
        let every = Arc::new(AtomicU32::new(1));
        let share = every.clone();
        let camera = std::thread::spawn(move || {
            let mut n = 0;
            while !ended.load(Ordering::Relaxed) {
                if asked.try_iter().count() > 0 {
                    into.force_key();
                }
                if n % share.load(Ordering::Relaxed) == 0 {
                    let frame = if noise { noisy(n) } else { picture(n, W, H) };
                    into.submit(frame, clock.now());
                }
                n += 1;
                std::thread::sleep(Duration::from_millis(40));
            }
        });
        Studio { hub, encoder, every, stop, camera: Some(camera) }
    }

    /// Only the first picture is a key frame by itself.
    pub(super) fn h264() -> Studio {
        Studio::open(Codec::H264, 1000, Rate::Crf(18))
    }

    pub(super) fn add(&self, text: &str) -> OutputId {
        self.hub.add(OutputSpec::parse(text).unwrap()).unwrap()
    }

    fn address(&self, id: OutputId) -> String {
        self.status(id).address
    }

    pub(super) fn status(&self, id: OutputId) -> OutputStatus {
        self.hub.status().into_iter().find(|s| s.id == id).unwrap()
    }

    pub(super) fn wait_until(&self, what: &str, done: impl Fn(&Studio) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !done(self) {
            assert!(
                Instant::now() < end,
                "{what} did not happen: {:?} {:?}",
                self.hub.status(),
                self.encoder.status()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(camera) = self.camera.take() {
            let _ = camera.join();
        }
    }
}

/// The same with a little noise, which costs many bits.
fn noisy(n: u32) -> Frame {
    let mut data = picture(n, W, H).to_packed_i420();
    let mut state = n.wrapping_mul(2_654_435_761) | 1;
    for sample in &mut data {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *sample = sample.saturating_add((state % 13) as u8).saturating_sub(6);
    }
    Frame::packed_i420(W, H, data.into(), FrameMeta::default()).unwrap()
}

/// FFmpeg as a viewer: its first pictures, packed I420.
pub(super) fn watch(arguments: &[&str], frames: u32) -> (Vec<Vec<u8>>, String) {
    let count = frames.to_string();
    let out = Command::new("timeout")
        .args(["25", "ffmpeg", "-v", "error", "-probesize", "200000", "-analyzeduration", "500000"])
        .args(arguments)
        .args(["-frames:v", &count, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let frames = out.stdout.chunks_exact((W * H * 3 / 2) as usize).map(<[u8]>::to_vec).collect();
    // Equal times after rounding to the writer's clock are the reader's affair.
    let errors = String::from_utf8_lossy(&out.stderr);
    let errors = errors.lines().filter(|l| !l.contains("[rawvideo") && !l.contains("Last message repeated"));
    (frames, errors.collect::<Vec<_>>().join("\n"))
}

/// The pictures of the studio, until they begin anew.
fn references() -> Vec<Vec<u8>> {
    (0..W / 8).map(|n| picture(n, W, H).to_packed_i420()).collect()
}

/// Which of them is most like it, and how like.
fn best(frame: &[u8], references: &[Vec<u8>]) -> (usize, f64) {
    let scores = references.iter().map(|r| psnr(frame, r));
    scores.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}

/// Which picture of the studio this is.
pub(super) fn number_of(frame: &[u8]) -> u64 {
    best(frame, &references()).0 as u64
}

/// That these are whole pictures of the studio, one step apart.
pub(super) fn assert_shows_the_bar(frames: &[Vec<u8>], wanted: usize) {
    assert!(frames.len() >= wanted, "{} pictures, not {wanted}", frames.len());
    let references = references();
    let found: Vec<(usize, f64)> = frames.iter().map(|frame| best(frame, &references)).collect();
    for (index, (_, quality)) in found.iter().enumerate() {
        assert!(*quality > 30.0, "picture {index}: {quality:.1} dB");
    }
    let steps = found.windows(2).filter(|w| w[1].0 == (w[0].0 + 1) % references.len()).count();
    assert!(steps + 2 >= found.len(), "{found:?}");
}

pub(super) fn probe(file: &Path) -> (usize, f64) {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    let packets =
        String::from_utf8_lossy(&out.stdout).split(',').next().unwrap_or("").trim().parse().unwrap_or(0);
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let last = text.lines().filter_map(|l| l.trim_matches(',').parse::<f64>().ok()).fold(0.0, f64::max);
    (packets, last)
}

fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn rtsp_serves_late_viewers_from_a_key_frame_over_tcp_and_udp() {
    for codec in [Codec::H264, Codec::H265] {
        let studio = Studio::open(codec, 1000, Rate::Crf(18));
        let id = studio.add("rtsp://127.0.0.1:0/wall");
        let address = studio.address(id);
        studio.wait_until("encoding", |s| s.encoder.status().encoded > 10);
        for transport in ["tcp", "udp"] {
            let (frames, errors) = watch(&["-rtsp_transport", transport, "-i", &address], 8);
            assert_eq!(errors, "", "{codec} {transport}: something came before the key frame, or was lost");
            assert_shows_the_bar(&frames, 8);
        }
        studio.wait_until("leaving", |s| s.status(id).viewers == Some(0));
        assert_eq!(studio.status(id).dropped, 0);
        assert!(studio.hub.finish());
    }
}

#[test]
fn rtsp_asks_for_the_login() {
    let studio = Studio::h264();
    let id = studio.add("rtsp://jo:pass-word@127.0.0.1:0/wall");
    let address = studio.address(id);
    assert!(!format!("{:?} {:?}", studio.hub, studio.hub.status()).contains("pass-word"));
    let host = address.trim_start_matches("rtsp://").to_owned();
    for (login, accepted) in
        [("", false), ("jo:wrong@", false), ("x:pass-word@", false), ("jo:pass-word@", true)]
    {
        let (frames, errors) = watch(&["-rtsp_transport", "tcp", "-i", &format!("rtsp://{login}{host}")], 3);
        assert_eq!(!frames.is_empty(), accepted, "{login}: {errors}");
        assert_eq!(errors.contains("401"), !accepted, "{login}: {errors}");
    }
}

#[test]
fn two_screens_share_a_port_and_a_taken_port_is_said() {
    let (one, two) = (Studio::h264(), Studio::h264());
    let id = one.add("rtsp://127.0.0.1:0/one");
    let port = one.address(id).split(':').nth(2).unwrap().split('/').next().unwrap().to_owned();
    let other = two.add(&format!("rtsp://127.0.0.1:{port}/two"));
    let same = two.hub.add(OutputSpec::parse(&format!("rtsp://127.0.0.1:{port}/one")).unwrap()).unwrap_err();
    assert_eq!(same.kind(), ErrorKind::Config);
    let mixed =
        two.hub.add(OutputSpec::parse(&format!("rtsp://a:b@127.0.0.1:{port}/x")).unwrap()).unwrap_err();
    assert!(mixed.to_string().contains("login"), "{mixed}");
    for address in [one.address(id), two.address(other)] {
        assert_shows_the_bar(&watch(&["-rtsp_transport", "tcp", "-i", &address], 4).0, 4);
    }
    // One screen ends, the other goes on.
    assert!(one.hub.remove(id));
    assert!(
        watch(&["-rtsp_transport", "tcp", "-i", &format!("rtsp://127.0.0.1:{port}/one")], 1).0.is_empty()
    );
    assert_shows_the_bar(&watch(&["-rtsp_transport", "tcp", "-i", &two.address(other)], 4).0, 4);

    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("rtsp://127.0.0.1:{}/wall", holder.local_addr().unwrap().port());
    let error = one.hub.add(OutputSpec::parse(&text).unwrap()).unwrap_err();
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("taken"), "{error}");
}

/// A viewer that speaks RTSP by hand, so that it can stop reading.
struct ByHand {
    stream: BufReader<TcpStream>,
    address: String,
    sequence: u32,
    session: String,
}

impl ByHand {
    fn play(address: &str) -> ByHand {
        let host = address.trim_start_matches("rtsp://").split('/').next().unwrap().to_owned();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut viewer = ByHand {
            stream: BufReader::new(stream),
            address: address.into(),
            sequence: 0,
            session: String::new(),
        };
        viewer.request("DESCRIBE", "", "Accept: application/sdp\r\n");
        viewer.request("SETUP", "/stream=0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n");
        viewer.request("PLAY", "", "");
        viewer
    }

    fn request(&mut self, method: &str, suffix: &str, headers: &str) {
        self.sequence += 1;
        let session =
            if self.session.is_empty() { String::new() } else { format!("Session: {}\r\n", self.session) };
        let text = format!(
            "{method} {}{suffix} RTSP/1.0\r\nCSeq: {}\r\n{session}{headers}\r\n",
            self.address, self.sequence
        );
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        let (mut line, mut length, mut first) = (String::new(), 0usize, true);
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            assert!(!first || line.contains("200"), "{method}: {line}");
            first = false;
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if lower.starts_with("session:") {
                self.session = line[8..].split(';').next().unwrap().trim().to_owned();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        self.stream.read_exact(&mut vec![0; length]).unwrap();
    }

    /// The payload of the next interleaved RTP packet.
    fn packet(&mut self) -> Vec<u8> {
        loop {
            let mut head = [0; 4];
            self.stream.read_exact(&mut head).unwrap();
            assert_eq!(head[0], b'$');
            let mut body = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
            self.stream.read_exact(&mut body).unwrap();
            if head[1] == 0 {
                return body.split_off(12);
            }
        }
    }
}

#[test]
fn the_first_packets_of_a_viewer_are_parameter_sets_and_a_key_frame() {
    let studio = Studio::h264();
    let id = studio.add("rtsp://127.0.0.1:0/wall");
    studio.wait_until("encoding", |s| s.encoder.status().encoded > 5);
    let mut viewer = ByHand::play(&studio.address(id));
    let mut kinds = Vec::new();
    while kinds.len() < 4 {
        let packet = viewer.packet();
        // RFC 6184: type 28 is a fragment, whose own type is in the next byte.
        let kind = if packet[0] & 31 == 28 { packet[1] & 31 } else { packet[0] & 31 };
        if kinds.last() != Some(&kind) && kind != 9 && kind != 6 {
            kinds.push(kind);
        }
    }
    assert_eq!(kinds[..3], [7, 8, 5]);
}

#[test]
fn a_viewer_that_stops_reading_harms_nobody() {
    // Noise at the finest quantiser: enough bytes to fill a socket's buffers within seconds.
    let studio = Studio::open(Codec::H264, 25, Rate::Crf(0));
    let id = studio.add("rtsp://127.0.0.1:0/wall");
    let address = studio.address(id);
    let stalled: Vec<ByHand> = (0..2).map(|_| ByHand::play(&address)).collect();
    let before = memory();
    studio.wait_until("the stall", |s| s.status(id).dropped > 25);
    let encoded = studio.encoder.status();
    let (frames, errors) = watch(&["-rtsp_transport", "tcp", "-i", &address], 100);
    assert_eq!(errors, "");
    assert_shows_the_bar(&frames, 100);
    let after = studio.encoder.status();
    assert_eq!(after.dropped, 0, "the encoder never waits for a viewer");
    assert!(after.encoded >= encoded.encoded + 99);
    assert!(memory() < before + 200, "memory grew from {before} to {} MiB", memory());
    drop(stalled);
    studio.wait_until("leaving", |s| s.status(id).viewers == Some(0));
}

/// Resident memory of this process, MiB.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096 / (1 << 20)
}

#[test]
fn rtp_is_received_with_its_session_description() {
    for (codec, host) in
        [(Codec::H264, "127.0.0.1"), (Codec::H265, "127.0.0.1"), (Codec::H264, "239.255.77.1")]
    {
        let studio = Studio::open(codec, 25, Rate::Crf(18));
        let id = studio.add(&format!("rtp://{host}:{}", free_udp_port()));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wall.sdp");
        std::fs::write(&file, studio.status(id).sdp.unwrap()).unwrap();
        let (frames, errors) =
            watch(&["-protocol_whitelist", "file,udp,rtp", "-i", file.to_str().unwrap()], 60);
        if host.starts_with("239") && frames.is_empty() {
            println!("skipped: this machine routes no multicast ({})", errors.trim());
            continue;
        }
        // The reader may join in the middle of a GOP: what it shows from the next key frame on counts.
        assert!(frames.len() >= 60, "{codec} {host}: {errors}");
        assert_shows_the_bar(&frames[30..], 30);
    }
}

#[test]
fn files_are_whole_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    for codec in [Codec::H264, Codec::H265] {
        let studio = Studio::open(codec, 25, Rate::Crf(18));
        let files =
            ["mp4", "mkv"].map(|e| dir.path().join(format!("{}.{e}", codec.to_string().replace('.', ""))));
        let ids = [0, 1].map(|n: usize| studio.add(files[n].to_str().unwrap()));
        studio.wait_until("recording", |s| ids.iter().all(|id| s.status(*id).units >= 60));
        assert!(studio.hub.finish());
        for (file, id) in files.iter().zip(ids) {
            let status = studio.status(id);
            assert_eq!((status.state, status.dropped), (OutputState::Ended, 0), "{status:?}");
            let (packets, last) = probe(file);
            assert_eq!(packets as u64, status.units, "{}", file.display());
            assert!(last > 1.5, "{}: {last}", file.display());
            let (frames, errors) = watch(&["-i", file.to_str().unwrap()], 60);
            assert_eq!(errors, "");
            assert_shows_the_bar(&frames, 60);
        }
    }
}

/// Set in the child process of the test below: where it records to.
const RECORD_TO: &str = "VITRAIL_TEST_RECORD_TO";

/// Not a test by itself: what the child process of `a_kill_costs_at_most_a_fragment` runs.
#[test]
fn record_until_killed() {
    let Ok(folder) = std::env::var(RECORD_TO) else { return };
    let studio = Studio::open(Codec::H264, 25, Rate::Crf(18));
    let ids = ["a.mp4", "a.mkv"].map(|f| studio.add(&format!("{folder}/{f}")));
    loop {
        let least = ids.iter().map(|id| studio.status(*id).units).min().unwrap();
        std::fs::write(format!("{folder}/units"), least.to_string()).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_kill_costs_at_most_a_fragment() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "output::tests::record_until_killed"])
        .env(RECORD_TO, dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    let units = || -> u64 {
        std::fs::read_to_string(dir.path().join("units")).ok().and_then(|t| t.parse().ok()).unwrap_or(0)
    };
    while units() < 110 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let recorded = units();
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    assert!(recorded >= 110);
    for name in ["a.mp4", "a.mkv"] {
        let file = dir.path().join(name);
        let (packets, _) = probe(&file);
        // One fragment of a second, and the picture that was on its way.
        assert!(packets as u64 + 25 + 2 >= recorded, "{name}: {packets} of {recorded} pictures");
        let (frames, _) = watch(&["-i", file.to_str().unwrap()], 50);
        assert_shows_the_bar(&frames, 50);
    }
}

#[test]
fn hls_has_a_playlist_that_plays() {
    let dir = tempfile::tempdir().unwrap();
    let playlist = dir.path().join("50%live.m3u8");
    let studio = Studio::h264();
    let id = studio.add(playlist.to_str().unwrap());
    let listed = || std::fs::read_to_string(&playlist).unwrap_or_default().matches("#EXTINF").count();
    studio.wait_until("segments", |s| s.status(id).units >= 130 && listed() >= 2);
    let text = std::fs::read_to_string(&playlist).unwrap();
    assert!(!text.contains("ENDLIST"), "{text}");
    assert!(studio.hub.finish());
    let text = std::fs::read_to_string(&playlist).unwrap();
    assert!(text.contains("#EXT-X-ENDLIST"), "{text}");
    let (frames, errors) = watch(&["-i", playlist.to_str().unwrap()], 125);
    assert_eq!(errors, "");
    assert_shows_the_bar(&frames, 125);
}

#[test]
fn what_fails_fails_alone() {
    let studio = Studio::h264();
    let missing = studio.hub.add(OutputSpec::parse("/nowhere/at/all/wall.mp4").unwrap()).unwrap_err();
    assert!(missing.kind() == ErrorKind::Io && missing.to_string().contains("/nowhere/at/all"), "{missing}");
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.mkv");
    let good = studio.add(good.to_str().unwrap());
    // A full disk, as the operating system says it.
    let full = dir.path().join("full.mkv");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    let full = studio.add(full.to_str().unwrap());
    studio.wait_until("the failure", |s| s.status(full).state == OutputState::Retrying);
    let error = studio.status(full).error.unwrap();
    assert!(error.contains("full.mkv") && error.contains("disk is full"), "{error}");
    let before = studio.status(good).units;
    studio.wait_until("the other going on", |s| s.status(good).units > before + 10);
    assert_eq!(studio.status(good).dropped + studio.encoder.status().dropped, 0);
    assert!(studio.hub.remove(full));
}

#[test]
fn a_display_needs_a_display() {
    if ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|v| std::env::var_os(v).is_some())
        || Path::new("/dev/dri").exists()
    {
        println!("skipped: this machine may have a display");
        return;
    }
    let error = Studio::h264().hub.add(OutputSpec::Display { full: false }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
}
