//! Live sources whose clock is wrong, over ten simulated minutes: none is paced by it, and each picture's age counts
//! from when its bytes came.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use parking_lot::Mutex;

use super::super::testing::{Recorder, SDP_H264_BARE, Script, ScriptedCamera, clip};
use super::super::*;
use crate::base::{Clock, Moment, SimClock, SystemClock};

/// Ten minutes of a picture every two seconds.
const PICTURES: usize = 300;
const APART: Duration = Duration::from_secs(2);
/// How fast the stream's clock runs against ours.
const CLOCKS: [f64; 2] = [0.9, 1.1];

/// Sends one picture after the other: the next when this one was handed on and a second has passed on the simulated
/// clock. `behind` pictures may wait in a parser for the one that ends them.
struct Lockstep {
    clock: Arc<SimClock>,
    recorder: Arc<Recorder>,
    behind: usize,
    sent: Mutex<Vec<Moment>>,
}

impl Lockstep {
    fn new(behind: usize) -> Arc<Lockstep> {
        let (clock, recorder, sent) = (SimClock::new(), Recorder::new(), Mutex::default());
        Arc::new(Lockstep { clock, recorder, behind, sent })
    }

    /// Sends by `write`; ends early where a picture does not come within 20 s.
    fn send(&self, pictures: usize, mut write: impl FnMut(usize)) {
        for number in 0..pictures {
            self.clock.advance(Duration::from_millis(1));
            write(number);
            self.sent.lock().push(self.clock.now());
            let begun = Instant::now();
            while self.recorder.units() + self.behind <= number {
                if begun.elapsed() > Duration::from_secs(20) {
                    return;
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            // The rest of what was written is read while the clock stands still.
            std::thread::sleep(Duration::from_millis(4));
            self.clock.advance(APART - Duration::from_millis(1));
        }
    }

    /// Runs a source until `sender` has sent all; the connection that it answers with stays open until then.
    fn run<C: Send + 'static>(
        self: &Arc<Self>,
        uri: &str,
        sender: impl FnOnce(Arc<Lockstep>) -> C + Send + 'static,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let source = Source::new(SourceConfig::new(CameraUri::parse(uri).expect("a valid address")));
        let (camera, clock, shutdown): (CameraId, SharedClock, _) =
            ("gate".into(), self.clock.clone(), Shutdown::new());
        let grant = Authority::owner().grant(&camera);
        let (this, stop) = (self.clone(), shutdown.clone());
        let thread = std::thread::spawn(move || {
            let connection = sender(this);
            stop.cancel();
            connection
        });
        let result = runtime.block_on(source.run(&camera, &grant, self.recorder.clone(), &clock, &shutdown));
        drop(thread.join().expect("the sender does not fail"));
        assert!(result.is_ok(), "{uri}: {result:?}");
    }

    /// Every picture came, and none is called younger than its bytes, nor older by more than a picture.
    fn check(&self, what: &str, pictures: usize, held_back: Duration) {
        let (units, sent) = (self.recorder.get().units, self.sent.lock().clone());
        assert!(units.len() + self.behind >= pictures, "{what}: {} of {pictures} pictures", units.len());
        // While it is found out what comes, nothing is handed on: the first pictures are called younger.
        let mut younger = 0;
        for (number, (unit, sent)) in units.iter().zip(&sent).enumerate().skip(2 * self.behind) {
            younger += usize::from(unit.arrival > *sent);
            let older = sent.since(unit.arrival);
            let most = APART + held_back;
            assert!(older <= most, "{what}: picture {number} is called {older:?} older");
        }
        // A machine that is busy reads a block after the clock of the test has gone on: 42 of 300 were seen. An age
        // that is told wrongly is wrong for all.
        assert!(younger <= pictures / 2, "{what}: {younger} of {pictures} pictures are called younger");
    }
}

/// What ffmpeg makes of a second's pictures, a picture a second, their times stretched by `clock`.
fn made(dir: &Path, clock: f64, name: &str, extra: &[&str]) -> Vec<u8> {
    let file = dir.join(name);
    let source = format!("testsrc2=size=160x120:rate=25:duration={}", PICTURES as f64 / 25.0);
    let times = format!("settb=1/90000,setpts=N*{}", (90_000.0 * APART.as_secs_f64() * clock) as u64);
    let done = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &source, "-vf", &times, "-fps_mode", "passthrough"])
        .args(["-pix_fmt", "yuv420p"])
        .args(extra)
        .arg(&file)
        .status();
    assert!(done.is_ok_and(|status| status.success()), "ffmpeg");
    std::fs::read(file).expect("ffmpeg wrote it")
}

/// A transport stream, cut where a picture begins.
fn transport_stream(clock: f64) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10"];
    let stream = made(dir.path(), clock, "clip.ts", &[&x264[..], &["-muxdelay", "0"]].concat());
    let mut pictures: Vec<Vec<u8>> = Vec::new();
    let mut tables = Vec::new();
    for packet in stream.chunks_exact(188) {
        let (begins, pid) = (packet[1] & 0x40 != 0, u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]));
        if pid != 0x100 {
            tables.extend_from_slice(packet);
            continue;
        }
        if begins {
            pictures.push(std::mem::take(&mut tables));
        }
        let picture = pictures.last_mut().expect("a stream begins with a picture");
        picture.extend(std::mem::take(&mut tables));
        picture.extend_from_slice(packet);
    }
    assert_eq!(pictures.len(), PICTURES);
    pictures
}

/// JPEG pictures.
fn jpegs() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let all =
        made(dir.path(), 1.0, "clip.mjpeg", &["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-frames:v", "25"]);
    let starts: Vec<usize> =
        all.windows(3).enumerate().filter(|(_, w)| *w == [0xff, 0xd8, 0xff]).map(|(i, _)| i).collect();
    let ends = starts.iter().skip(1).copied().chain([all.len()]);
    starts.iter().zip(ends).map(|(from, to)| all[*from..to].to_vec()).collect()
}

/// Answers one request for a stream without an end, and hands the connection on.
fn http_stream(content_type: &str) -> (u16, impl FnOnce() -> TcpStream + Send + use<>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n");
    let accept = move || {
        let (mut stream, _) = listener.accept().expect("the source connects");
        stream.set_nodelay(true).expect("a socket");
        let lines = BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(|line| line.ok());
        lines.take_while(|line| !line.is_empty()).for_each(drop);
        stream.write_all(head.as_bytes()).expect("the source listens");
        stream
    };
    (port, accept)
}

/// Waits until somebody has this port of UDP.
fn until_it_listens(port: u16) {
    let begun = Instant::now();
    while UdpSocket::bind(("0.0.0.0", port)).is_ok() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn motion_jpeg_over_http_is_not_paced() {
    let pictures = jpegs();
    // With its length a part is handed on at its last byte; without, at the boundary of the next.
    for (told, behind) in [(true, 0), (false, 1)] {
        let lockstep = Lockstep::new(behind);
        let (port, accept) = http_stream("multipart/x-mixed-replace; boundary=frame");
        let pictures = pictures.clone();
        lockstep.run(&format!("http://127.0.0.1:{port}/mjpeg"), move |lockstep| {
            let mut stream = accept();
            lockstep.send(PICTURES, |number| {
                let jpeg = &pictures[number % pictures.len()];
                let length = if told { format!("Content-Length: {}\r\n", jpeg.len()) } else { String::new() };
                let part = [
                    format!("--frame\r\nContent-Type: image/jpeg\r\n{length}\r\n").as_bytes(),
                    jpeg,
                    b"\r\n",
                ]
                .concat();
                let _ = stream.write_all(&part);
            });
            stream
        });
        lockstep.check(if told { "MJPEG" } else { "MJPEG without lengths" }, PICTURES, Duration::ZERO);
        let units = lockstep.recorder.get().units;
        let apart = |w: &[AccessUnit]| u128::from(w[1].pts.0.abs_diff(w[0].pts.0));
        let others: Vec<_> = units
            .windows(2)
            .map(apart)
            .enumerate()
            .skip(1)
            .filter(|(_, by)| *by != APART.as_nanos())
            .collect();
        assert_eq!(others, [], "without times of its own, a picture's time is when it came");
    }
}

#[test]
fn mpeg_ts_over_http_and_udp_is_not_paced_by_its_clock() {
    for clock in CLOCKS {
        let pictures = transport_stream(clock);
        let lockstep = Lockstep::new(2);
        let (port, accept) = http_stream("video/mp2t");
        let sent = pictures.clone();
        lockstep.run(&format!("http://127.0.0.1:{port}/live.ts"), move |lockstep| {
            let mut stream = accept();
            lockstep.send(PICTURES, |number| drop(stream.write_all(&sent[number])));
            stream
        });
        lockstep.check("MPEG-TS over HTTP", PICTURES, Duration::ZERO);

        let lockstep = Lockstep::new(2);
        let port = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        lockstep.run(&format!("udp://127.0.0.1:{port}"), move |lockstep| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            until_it_listens(port);
            lockstep.send(PICTURES, |number| {
                for datagram in pictures[number].chunks(1316) {
                    let _ = socket.send_to(datagram, ("127.0.0.1", port));
                }
            });
        });
        lockstep.check("MPEG-TS over UDP", PICTURES, Duration::ZERO);
    }
}

#[test]
fn srt_is_not_paced_by_its_clock() {
    gst::init().expect("GStreamer");
    for clock in CLOCKS {
        let pictures = transport_stream(clock);
        let lockstep = Lockstep::new(2);
        let port = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        let launch =
            format!("appsrc name=in ! srtsink name=out uri=srt://127.0.0.1:{port}?mode=listener latency=20");
        let sender =
            gst::parse::launch(&launch).expect("a pipeline").downcast::<gst::Pipeline>().expect("a pipeline");
        let input = sender.by_name("in").and_downcast::<gstreamer_app::AppSrc>().expect("it is there");
        sender.set_state(gst::State::Playing).expect("it plays");
        lockstep.run(&format!("srt://127.0.0.1:{port}?mode=caller&latency=20"), move |lockstep| {
            lockstep.send(PICTURES, |number| {
                for datagram in pictures[number].chunks(1316) {
                    let _ = input.push_buffer(gst::Buffer::from_slice(datagram.to_vec()));
                }
            });
        });
        sender.set_state(gst::State::Null).expect("it stops");
        // What SRT holds back by agreement counts as age.
        lockstep.check("SRT", PICTURES, Duration::from_millis(20));
        let younger = lockstep
            .recorder
            .get()
            .units
            .iter()
            .zip(lockstep.sent.lock().iter())
            .skip(4)
            .filter(|(unit, sent)| sent.since(unit.arrival) < Duration::from_millis(20))
            .count();
        assert!(younger <= PICTURES / 2, "the 20 ms of SRT's own buffer count: {younger} of {PICTURES}");
    }
}

/// Here the other end calls, and asks for more of SRT's buffer than the source does.
#[test]
fn what_srt_holds_back_counts_for_who_listens_too() {
    gst::init().expect("GStreamer");
    let pictures = transport_stream(1.0);
    let lockstep = Lockstep::new(2);
    let port = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let launch = format!("appsrc name=in ! srtsink uri=srt://127.0.0.1:{port}?mode=caller latency=60");
    let sender =
        gst::parse::launch(&launch).expect("a pipeline").downcast::<gst::Pipeline>().expect("a pipeline");
    let input = sender.by_name("in").and_downcast::<gstreamer_app::AppSrc>().expect("it is there");
    let caller = sender.clone();
    lockstep.run(&format!("srt://127.0.0.1:{port}?mode=listener&latency=20"), move |lockstep| {
        until_it_listens(port);
        caller.set_state(gst::State::Playing).expect("it plays");
        lockstep.send(PICTURES, |number| {
            for datagram in pictures[number].chunks(1316) {
                let _ = input.push_buffer(gst::Buffer::from_slice(datagram.to_vec()));
            }
        });
    });
    sender.set_state(gst::State::Null).expect("it stops");
    lockstep.check("SRT, called", PICTURES, Duration::from_millis(60));
    let sent = lockstep.sent.lock().clone();
    let units = lockstep.recorder.get().units;
    let held_back =
        |(unit, sent): &(&AccessUnit, &Moment)| sent.since(unit.arrival) >= Duration::from_millis(60);
    let counted = units.iter().zip(&sent).skip(4).filter(held_back).count();
    assert!(counted + 4 + PICTURES / 8 >= units.len(), "the 60 ms count for {counted} of {}", units.len());
}

/// Without a container a parser gets blocks of bytes, in which no picture begins or ends.
#[test]
fn h264_without_a_container_is_called_no_older_than_it_is() {
    let encoded = clip("libx264", "160x120", &[]);
    let lockstep = Lockstep::new(3);
    let (port, accept) = http_stream("video/x-h264");
    let encoded: Vec<Vec<u8>> = (0..PICTURES).map(|number| encoded[number % encoded.len()].clone()).collect();
    lockstep.run(&format!("http://127.0.0.1:{port}/raw"), move |lockstep| {
        let mut stream = accept();
        lockstep.send(PICTURES, |number| drop(stream.write_all(&encoded[number])));
        stream
    });
    lockstep.check("H.264 over HTTP", PICTURES, APART);
}

#[test]
fn rtsp_is_not_paced_by_its_clock() {
    let encoded = clip("libx264", "160x120", &[]);
    for client in [RtspClient::Auto, RtspClient::Gstreamer] {
        for clock in CLOCKS {
            let mut script = Script::of(SDP_H264_BARE, &encoded);
            let tick = (90_000.0 * APART.as_secs_f64() * clock) as u32;
            let timed = |number: usize| {
                (u32::try_from(number).expect("few") * tick, encoded[number % encoded.len()].clone())
            };
            script.units = (0..PICTURES).map(timed).collect();
            script.pause = Duration::from_millis(1);
            let camera = ScriptedCamera::start(vec![script]);
            let config =
                SourceConfig { client, ..SourceConfig::new(CameraUri::parse(&camera.uri()).expect("valid")) };
            let recorder = Recorder::new();
            let came = super::servers::run_until(config, &recorder, PICTURES - 2, Duration::from_secs(30));
            assert!(came.is_ok(), "{came:?}");
            // Ten minutes of its clock in a second of ours.
            assert!(recorder.units() >= PICTURES - 2, "{client:?} at {clock}: {}", recorder.units());
        }
    }
}

/// Remembers of each unit when it arrived, and when it was handed on.
struct Waits(Mutex<Vec<(Moment, Moment)>>, SharedClock);

impl UnitSink for Waits {
    fn parameters(&self, _: &VideoParameters) {}
    fn unit(&self, unit: AccessUnit) {
        self.0.lock().push((unit.arrival, self.1.now()));
    }
    fn discontinuity(&self) {}
}

/// Serves a live playlist of segments of a second, each `1 / clock` seconds after the other.
fn live_playlist(folder: &Path, segments: usize, clock: f64) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (folder, begun) = (folder.to_owned(), Instant::now());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines =
                BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(|line| line.ok());
            let path = lines
                .next()
                .and_then(|line| Some(line.split(' ').nth(1)?.trim_start_matches('/').to_owned()));
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let newest = (3 + (begun.elapsed().as_secs_f64() * clock) as usize).min(segments);
            let body = match path.as_deref() {
                Some("live.m3u8") => {
                    let first = newest - 3;
                    let mut text = format!(
                        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
                    );
                    (first..newest).for_each(|n| text += &format!("#EXTINF:1.0,\nlive{n}.ts\n"));
                    text.into_bytes()
                }
                Some(name) => std::fs::read(folder.join(name)).unwrap_or_default(),
                None => Vec::new(),
            };
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    port
}

#[test]
fn a_live_playlist_is_played_smoothly_and_its_wait_does_not_grow() {
    const SEGMENTS: usize = 16;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let done = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=160x120:rate=25:duration=16",
            "-pix_fmt",
            "yuv420p",
        ])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-keyint_min", "25", "-bf", "0"])
        .args(["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", "-hls_segment_filename"])
        .arg(dir.path().join("live%d.ts"))
        .arg(dir.path().join("all.m3u8"))
        .status();
    assert!(done.is_ok_and(|status| status.success()), "ffmpeg");
    let port = live_playlist(dir.path(), SEGMENTS, 1.1);
    let clock = SystemClock::shared();
    let waits = Arc::new(Waits(Mutex::default(), clock.clone()));
    let source = Source::new(SourceConfig::new(
        CameraUri::parse(&format!("http://127.0.0.1:{port}/live.m3u8")).expect("valid"),
    ));
    let (camera, shutdown): (CameraId, _) = ("gate".into(), Shutdown::new());
    let grant = Authority::owner().grant(&camera);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let result = runtime.block_on(async {
        tokio::select! {
            result = source.run(&camera, &grant, waits.clone(), &clock, &shutdown) => result,
            () = tokio::time::sleep(Duration::from_secs(11)) => Ok(()),
        }
    });
    assert!(result.is_ok(), "{result:?}");
    let waits = waits.0.lock().clone();
    assert!(waits.len() >= 200, "{} pictures in 11 s", waits.len());
    let apart: Vec<Duration> = waits.windows(2).map(|w| w[1].1.since(w[0].1)).collect();
    let at_once = apart.iter().filter(|d| **d < Duration::from_millis(10)).count();
    // The segments before the first that was waited for may be skipped over.
    assert!(at_once <= 90, "{at_once} of {} pictures came at once with the one before", apart.len());
    // Three segments came at first, and until the next one it is not known how long they may wait. From then on a
    // picture waits for 1.3 s at most; a machine that is busy adds to that. Without a bound it would be three seconds.
    let gap = |w: &[(Moment, Moment)]| w[1].0.since(w[0].0) >= Duration::from_millis(500);
    let known = waits.windows(2).position(gap).expect("segments come one by one");
    let late =
        waits[known + 1..].iter().map(|(arrival, at)| at.since(*arrival)).max().expect("there are more");
    assert!(late < Duration::from_secs(2), "a picture waited for {late:?}");
}
