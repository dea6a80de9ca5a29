//! Cameras for tests: a scripted RTSP server that does exactly what a test says, gst-rtsp-server as
//! the well-kept one, encoded clips, and a sink that remembers.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer_rtsp_server as server;
use gstreamer_rtsp_server::prelude::*;
use parking_lot::Mutex;

use super::{StreamDescription, UnitSink};
use crate::media::annex_b::nal_units;
use crate::media::{AccessUnit, VideoParameters};

/// Remembers everything.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Recorded>);

#[derive(Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) units: Vec<AccessUnit>,
    pub(crate) parameters: Vec<VideoParameters>,
    pub(crate) descriptions: Vec<StreamDescription>,
    /// Number of units before each discontinuity.
    pub(crate) discontinuities: Vec<usize>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Recorder> {
        Arc::new(Recorder::default())
    }
    pub(crate) fn get(&self) -> Recorded {
        self.0.lock().clone()
    }
    pub(crate) fn units(&self) -> usize {
        self.0.lock().units.len()
    }
}

impl UnitSink for Recorder {
    fn parameters(&self, parameters: &VideoParameters) {
        self.0.lock().parameters.push(parameters.clone());
    }
    fn unit(&self, unit: AccessUnit) {
        self.0.lock().units.push(unit);
    }
    fn discontinuity(&self) {
        let mut recorded = self.0.lock();
        let n = recorded.units.len();
        recorded.discontinuities.push(n);
    }
    fn described(&self, description: &StreamDescription) {
        self.0.lock().descriptions.push(description.clone());
    }
}

/// Waits until `done`, at most `limit`.
pub(crate) fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    done()
}

/// A path below the shared test data; `None`, said aloud, where it is missing.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data"));
    let alternatives = [
        root.join(path),
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(path),
    ];
    let found = alternatives.into_iter().find(|p| p.exists());
    if found.is_none() {
        println!("skipped: {path} is not there");
    }
    found
}

/// Access units of a clip that FFmpeg encodes: `codec` is `libx264` or `libx265`, with access unit
/// delimiters so that they can be told apart.
pub(crate) fn clip(codec: &str, size: &str, extra: &[&str]) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (format, params) = match codec {
        "libx264" => ("h264", ["-x264-params", "aud=1:keyint=10:bframes=0:log=none"]),
        _ => ("hevc", ["-x265-params", "aud=1:keyint=10:bframes=0:log-level=none"]),
    };
    let file = dir.path().join("clip");
    let source = format!("testsrc2=size={size}:rate=25:duration=2");
    let done = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &source, "-pix_fmt", "yuv420p", "-c:v", codec])
        .args(["-preset", "ultrafast"])
        .args(params)
        .args(extra)
        .args(["-f", format])
        .arg(&file)
        .status()
        .expect("ffmpeg is installed");
    assert!(done.success());
    split_at_delimiters(&std::fs::read(file).expect("ffmpeg wrote it"))
}

fn split_at_delimiters(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    for nal in nal_units(stream) {
        if nal[0] == 0x09 || nal[0] == 0x46 {
            units.push(Vec::new());
        }
        let unit = units.last_mut().expect("a stream begins with a delimiter");
        unit.extend([0, 0, 0, 1]);
        unit.extend(nal);
    }
    units
}

/// What a scripted camera does with a connection.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) sdp: String,
    /// Whole responses that are sent instead of its own, by method; `{CSEQ}` is filled in.
    pub(crate) canned: Vec<(&'static str, String)>,
    /// Access units sent after PLAY, with RTP timestamps.
    pub(crate) units: Vec<(u32, Vec<u8>)>,
    /// Between units.
    pub(crate) pause: Duration,
    /// A sender report in front: NTP seconds and the RTP timestamp.
    pub(crate) report: Option<(u32, u32)>,
    /// After the units: keep the connection open, silent.
    pub(crate) then_silent: bool,
}

impl Script {
    pub(crate) fn of(sdp: &str, units: &[Vec<u8>]) -> Script {
        let units = units.iter().enumerate().map(|(i, u)| (i as u32 * 3600, u.clone())).collect();
        Script {
            sdp: sdp.into(),
            canned: Vec::new(),
            units,
            pause: Duration::from_millis(2),
            report: None,
            then_silent: true,
        }
    }
}

pub(crate) const SDP_H264_BARE: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
     a=fmtp:96 packetization-mode=1\r\na=control:track1\r\n";
pub(crate) const SDP_H265_BARE: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=control:track1\r\n";

/// An RTSP server that follows a script: one per connection, the last one again and again.
pub(crate) struct ScriptedCamera {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicU32>,
    pub(crate) teardowns: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
}

impl ScriptedCamera {
    pub(crate) fn start(scripts: Vec<Script>) -> ScriptedCamera {
        ScriptedCamera::on(TcpListener::bind("127.0.0.1:0").expect("a free port"), scripts)
    }

    pub(crate) fn on(listener: TcpListener, scripts: Vec<Script>) -> ScriptedCamera {
        let camera = ScriptedCamera {
            address: listener.local_addr().expect("bound"),
            connections: Arc::default(),
            teardowns: Arc::default(),
            stop: Arc::default(),
        };
        listener.set_nonblocking(true).expect("a listener");
        let (stop, connections, teardowns) =
            (camera.stop.clone(), camera.connections.clone(), camera.teardowns.clone());
        std::thread::spawn(move || {
            let mut scripts = VecDeque::from(scripts);
            while !stop.load(Ordering::SeqCst) {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                connections.fetch_add(1, Ordering::SeqCst);
                let script = if scripts.len() > 1 { scripts.pop_front() } else { scripts.front().cloned() };
                let (stop, teardowns) = (stop.clone(), teardowns.clone());
                std::thread::spawn(move || {
                    let _ = serve(&stream, &script.expect("at least one script"), &stop, &teardowns);
                });
            }
        });
        camera
    }

    pub(crate) fn uri(&self) -> String {
        format!("rtsp://{}/live", self.address)
    }

    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for ScriptedCamera {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn serve(
    stream: &TcpStream,
    script: &Script,
    stop: &AtomicBool,
    teardowns: &AtomicU32,
) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    let (mut reader, mut out) = (BufReader::new(stream.try_clone()?), stream.try_clone()?);
    while !stop.load(Ordering::SeqCst) {
        let Some((method, cseq, uri)) = read_request(&mut reader, stop)? else { return Ok(()) };
        let canned = script.canned.iter().find(|(m, _)| *m == method);
        let session = "Session: 1234;timeout=60\r\n";
        let headers = match method.as_str() {
            _ if canned.is_some() => String::new(),
            "DESCRIBE" => {
                let len = script.sdp.len();
                format!(
                    "Content-Base: {uri}/\r\nContent-Type: application/sdp\r\nContent-Length: {len}\r\n\r\n{}",
                    script.sdp
                )
            }
            "SETUP" => {
                format!("{session}Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=11223344\r\n\r\n")
            }
            "OPTIONS" => "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n".into(),
            _ => format!("{session}\r\n"),
        };
        let response = match canned {
            Some((_, text)) => text.replace("{CSEQ}", &cseq),
            None => format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n{headers}"),
        };
        out.write_all(response.as_bytes())?;
        match method.as_str() {
            "TEARDOWN" => {
                teardowns.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            "PLAY" if response.starts_with("RTSP/1.0 200") => {
                play(&mut out, script, stop)?;
                if !script.then_silent {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Method, CSeq and URI of the next request; `None` at the end of the connection.
fn read_request(
    reader: &mut BufReader<TcpStream>,
    stop: &AtomicBool,
) -> std::io::Result<Option<(String, String, String)>> {
    let (mut request, mut cseq, mut line) = (String::new(), String::new(), String::new());
    while !stop.load(Ordering::SeqCst) {
        match reader.read_line(&mut line) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                continue;
            }
            // Interleaved receiver reports are not text; what is left of them is skipped.
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => line.clear(),
            Err(e) => return Err(e),
        }
        let text = line.trim_end().to_owned();
        line.clear();
        if text.is_empty() {
            if !request.is_empty() {
                let mut words = request.split(' ');
                let (method, uri) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                return Ok(Some((method.to_owned(), cseq, uri.to_owned())));
            }
        } else if request.is_empty() {
            request = text;
        } else if let Some(value) = text.strip_prefix("CSeq: ").or(text.strip_prefix("cseq: ")) {
            cseq = value.to_owned();
        }
    }
    Ok(None)
}

fn play(out: &mut TcpStream, script: &Script, stop: &AtomicBool) -> std::io::Result<()> {
    if let Some((ntp_seconds, rtp)) = script.report {
        let mut sr = vec![0x80, 200, 0, 6, 0x11, 0x22, 0x33, 0x44];
        for word in [ntp_seconds, 0, rtp, 0, 0] {
            sr.extend(word.to_be_bytes());
        }
        interleaved(out, 1, &sr)?;
    }
    let mut sequence = 100_u16;
    for (timestamp, unit) in &script.units {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let nals: Vec<&[u8]> = nal_units(unit).collect();
        for (i, nal) in nals.iter().enumerate() {
            let marker = if i + 1 == nals.len() { 0x80 } else { 0 };
            let mut packet = vec![0x80, marker | 96];
            packet.extend(sequence.to_be_bytes());
            packet.extend(timestamp.to_be_bytes());
            packet.extend([0x11, 0x22, 0x33, 0x44]);
            packet.extend(*nal);
            interleaved(out, 0, &packet)?;
            sequence = sequence.wrapping_add(1);
        }
        std::thread::sleep(script.pause);
    }
    Ok(())
}

fn interleaved(out: &mut TcpStream, channel: u8, packet: &[u8]) -> std::io::Result<()> {
    let len = u16::try_from(packet.len()).expect("small test pictures").to_be_bytes();
    out.write_all(&[b'$', channel, len[0], len[1]])?;
    out.write_all(packet)
}

/// gst-rtsp-server with one mount, on an ephemeral port and a thread of its own.
pub(crate) struct GstServer {
    pub(crate) port: u16,
    main_loop: gst::glib::MainLoop,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Who may see it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    Nobody,
    Basic,
    Digest,
}

impl GstServer {
    /// Serves `launch` at `/live` to `admin` with the password `hunter2`, where `auth` asks for it.
    pub(crate) fn start(launch: &str, auth: Auth) -> GstServer {
        GstServer::start_with(launch, auth, None)
    }

    /// The same over TLS, with this certificate and key (PEM).
    pub(crate) fn start_with(launch: &str, auth: Auth, pem: Option<String>) -> GstServer {
        gst::init().expect("GStreamer");
        let launch = launch.to_owned();
        let (report, started) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let context = gst::glib::MainContext::new();
            let main_loop = gst::glib::MainLoop::new(Some(&context), false);
            context
                .with_thread_default(|| {
                    let rtsp = server::RTSPServer::new();
                    rtsp.set_address("127.0.0.1");
                    rtsp.set_service("0");
                    let factory = server::RTSPMediaFactory::new();
                    factory.set_launch(&launch);
                    factory.set_shared(true);
                    if auth != Auth::Nobody {
                        let guard = server::RTSPAuth::new();
                        guard.set_supported_methods(match auth {
                            Auth::Basic => gstreamer_rtsp::RTSPAuthMethod::Basic,
                            _ => gstreamer_rtsp::RTSPAuthMethod::Digest,
                        });
                        let token =
                            server::RTSPToken::builder().field("media.factory.role", "viewer").build();
                        if auth == Auth::Basic {
                            let basic = server::RTSPAuth::make_basic("admin", "hunter2");
                            guard.add_basic(&basic, &token);
                        } else {
                            guard.add_digest("admin", "hunter2", &token);
                        }
                        rtsp.set_auth(Some(&guard));
                        factory.add_role_from_structure(
                            &gst::Structure::builder("viewer")
                                .field("media.factory.access", true)
                                .field("media.factory.construct", true)
                                .build(),
                        );
                    }
                    if let Some(pem) = pem {
                        let guard = server::RTSPAuth::new();
                        let certificate = server::gio::TlsCertificate::from_pem(&pem).expect("a certificate");
                        guard.set_tls_certificate(Some(&certificate));
                        let mut nobody =
                            server::RTSPToken::builder().field("media.factory.role", "anonymous").build();
                        guard.set_default_token(Some(&mut nobody));
                        rtsp.set_auth(Some(&guard));
                        factory.add_role_from_structure(
                            &gst::Structure::builder("anonymous")
                                .field("media.factory.access", true)
                                .field("media.factory.construct", true)
                                .build(),
                        );
                    }
                    rtsp.mount_points().expect("a server has mount points").add_factory("/live", factory);
                    let _source = rtsp.attach(Some(&context)).expect("a free port");
                    let port = u16::try_from(rtsp.bound_port()).expect("a port");
                    report.send((port, main_loop.clone())).expect("the test waits");
                    main_loop.run();
                })
                .expect("a context of its own");
        });
        let (port, main_loop) = started.recv().expect("the server starts");
        GstServer { port, main_loop, thread: Some(thread) }
    }

    pub(crate) fn uri(&self, login: &str) -> String {
        format!("rtsp://{login}127.0.0.1:{}/live", self.port)
    }
}

impl Drop for GstServer {
    fn drop(&mut self) {
        self.main_loop.quit();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A server that accepts a connection and never says a word.
pub(crate) fn mute_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten().take(8) {
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
            });
        }
    });
    address
}
