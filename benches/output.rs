//! How long an access unit takes from the encoder, through the RTSP output, to a viewer on the
//! loopback: a measurement of 18 seconds, printed as percentiles.
#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use vitrail_engine::Result;
use vitrail_engine::base::SystemClock;
use vitrail_engine::encode::{EncodedSink, EncoderChoice, EncoderConfig, Rate, ScreenEncoder};
use vitrail_engine::media::{AccessUnit, Codec, Frame, FrameMeta, Ratio};
use vitrail_engine::output::{OutputHub, OutputSpec, StreamParams};

const W: u32 = 1920;
const H: u32 = 1080;
const PICTURES: usize = 450;

/// Notes when each unit leaves the encoder, then hands it on.
struct Tap(Arc<OutputHub>, Mutex<Vec<Instant>>);

impl EncodedSink for Tap {
    fn unit(&self, unit: &AccessUnit) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        self.0.unit(unit);
    }
}

/// A gradient with a bright bar that moves with `n`.
fn picture(n: u32) -> Frame {
    let bar = |x: u32| (x + W - (n * 8) % W) % W < 24;
    let luma = (0..H).flat_map(|y| (0..W).map(move |x| if bar(x) { 220 } else { (16 + (x + y) / 19) as u8 }));
    let mut data: Vec<u8> = luma.collect();
    data.resize((W * H * 3 / 2) as usize, 120);
    Frame::packed_i420(W, H, data.into(), FrameMeta::default()).expect("the length fits the size")
}

/// Plays an address by hand, over TCP, and notes when the last packet of each picture comes.
fn view(address: &str, pictures: usize) -> std::io::Result<Vec<Instant>> {
    let host = address.trim_start_matches("rtsp://").split('/').next().unwrap_or_default();
    let mut stream = BufReader::new(TcpStream::connect(host)?);
    stream.get_ref().set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut session = String::new();
    for (n, (method, suffix, header)) in [
        ("DESCRIBE", "", "Accept: application/sdp\r\n"),
        ("SETUP", "/stream=0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"),
        ("PLAY", "", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let request = format!("{method} {address}{suffix} RTSP/1.0\r\nCSeq: {n}\r\n{session}{header}\r\n");
        stream.get_mut().write_all(request.as_bytes())?;
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line)?;
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            }
            if lower.starts_with("session:") {
                session = format!("{}\r\n", line.split(';').next().unwrap_or_default().trim_end());
            }
        }
        stream.read_exact(&mut vec![0; length])?;
    }
    let mut seen = Vec::new();
    while seen.len() < pictures {
        let mut head = [0; 4];
        stream.read_exact(&mut head)?;
        let mut packet = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
        stream.read_exact(&mut packet)?;
        // Channel 0 is RTP; the marker ends a picture (RFC 3550 5.1, RFC 6184 5.1).
        if head[1] == 0 && packet[1] & 0x80 != 0 {
            seen.push(Instant::now());
        }
    }
    Ok(seen)
}

fn main() -> Result<()> {
    // `cargo test` runs benches, too, to see that they work: this one only measures.
    if !std::env::args().any(|a| a == "--bench") {
        return Ok(());
    }
    let frame_rate = Ratio { num: 25, den: 1 };
    let config = EncoderConfig {
        codec: Codec::H264,
        choice: EncoderChoice::Software,
        width: W,
        height: H,
        frame_rate,
        preset: "ultrafast".into(),
        instead: None,
        rate: Rate::Kbps(8000),
        gop: 25,
    };
    let params = StreamParams { codec: config.codec, width: W, height: H, frame_rate };
    let hub = OutputHub::new("bench".into(), params, Arc::new(|| {}));
    hub.add(OutputSpec::parse("rtsp://127.0.0.1:0/wall")?)?;
    let address = hub.status()[0].address.clone();
    let tap = Arc::new(Tap(hub.clone(), Mutex::default()));
    let clock = SystemClock::shared();
    let encoder = ScreenEncoder::start(&"bench".into(), config, tap.clone(), clock.clone())?;
    let frames: Vec<Frame> = (0..25).map(picture).collect();
    let viewer = std::thread::spawn(move || view(&address, 300).expect("the output serves its viewer"));
    for n in 0..PICTURES {
        encoder.submit(frames[n % frames.len()].clone(), clock.now());
        std::thread::sleep(Duration::from_millis(38));
    }
    let seen = viewer.join().expect("the viewer does not panic");
    let left = tap.1.lock().unwrap_or_else(PoisonError::into_inner);
    // The path takes far less than a picture, so the newest unit before a packet is its own.
    let newest = |at: &Instant| left.iter().rev().find(|unit| *unit <= at).map(|unit| *at - *unit);
    let mut path: Vec<Duration> = seen[25..].iter().filter_map(newest).collect();
    path.sort();
    let (p50, p95, longest) = (path[path.len() / 2], path[path.len() * 95 / 100], path[path.len() - 1]);
    println!("encoder to viewer, 1080p25 at 8 Mb/s: p50 {p50:?}, p95 {p95:?}, longest {longest:?}");
    let encode = encoder.status().encode_time;
    println!("submission to unit: p50 {:?}, p95 {:?}", encode.quantile(0.5), encode.quantile(0.95));
    Ok(())
}
