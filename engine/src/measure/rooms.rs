//! What each room costs: runs the room itself on known work and reads the CPU clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::footage::Footage;
use super::{Check, cpu};
use crate::base::{Error, ErrorKind, Moment, Result, SharedClock, Shutdown, SystemClock};
use crate::composite::{CompositePlan, Compositor, CpuCompositor, Draw};
use crate::decode::{Decoder, DecoderRequest, FrameConsumer, LibavDecoder};
use crate::effort::StreamLoad;
use crate::encode::{EncodedSink, EncoderChoice, EncoderConfig, Rate, ScreenEncoder};
use crate::fit::{FitStatus, Fitter, SharedTargets, Targets};
use crate::ingest::{Ingest, UnitSink};
use crate::media::{
    AccessUnit, Codec, Colorimetry, FitMode, FitSpec, Frame, FrameMeta, PixelRect, Pts, Ratio, ScreenId,
    SourceRef, VideoParameters,
};
use crate::output::{OutputHub, OutputSpec, StreamParams};
use crate::source::{Authority, CameraUri, SourceConfig};
use crate::store::FrameStore;

/// Pictures per second of all streams that are made here.
pub const FPS: u32 = 25;
/// Pictures from one key frame to the next.
const GOP: u32 = 25;
/// Pictures of a stream: two GOPs.
const PICTURES: u32 = 2 * GOP;
/// An encoder that takes longer than this for a picture is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// An encoded stream.
pub struct Stream {
    /// What it is, its bits as they came out.
    pub load: StreamLoad,
    /// Its units.
    pub units: Vec<AccessUnit>,
}

impl Stream {
    /// Encodes footage as a camera would. The bits come out as the encoder likes.
    pub fn encode(codec: Codec, width: u32, height: u32, kbps: u32) -> Result<Stream> {
        let preset = if codec == Codec::H265 { "ultrafast" } else { "veryfast" };
        let mut encoder = Encoder::start(codec, preset, (width, height), Rate::Kbps(kbps), GOP)?;
        let footage = Footage::new(width, height, 1);
        for n in 0..PICTURES {
            encoder.picture(&footage, n)?;
        }
        let units = encoder.units();
        let bytes: usize = units.iter().map(|u| u.data.len()).sum();
        let load = StreamLoad {
            codec,
            width,
            height,
            fps: f64::from(FPS),
            bits_per_second: bytes as f64 * 8.0 * f64::from(FPS) / units.len().max(1) as f64,
            key_interval_s: f64::from(GOP) / f64::from(FPS),
        };
        Ok(Stream { load, units })
    }

    /// For people: `H.264 640x360, 510 kb/s`.
    pub fn name(&self) -> String {
        let s = &self.load;
        format!("{} {}x{}, {:.0} kb/s", s.codec, s.width, s.height, s.bits_per_second / 1e3)
    }

    /// Pixels of a picture.
    pub fn pixels(&self) -> f64 {
        f64::from(self.load.width) * f64::from(self.load.height)
    }
}

/// CPU-seconds of each unit, decoded in order by one decoder; the mean of `passes`.
pub fn decode(stream: &Stream, skip_loop_filter: bool, passes: u32) -> Result<Vec<f64>> {
    let mut times = vec![0.0; stream.units.len()];
    // One pass more than is counted: the first fills caches and allocators.
    for pass in 0..=passes {
        let mut decoder = LibavDecoder::open(&DecoderRequest::live(stream.load.codec))?;
        decoder.set_skip_loop_filter(skip_loop_filter);
        for (unit, time) in stream.units.iter().zip(&mut times) {
            let from = cpu::thread();
            decoder.decode(unit, &mut |picture| drop(std::hint::black_box(picture)))?;
            if pass > 0 {
                *time += (cpu::thread() - from) / f64::from(passes);
            }
        }
    }
    Ok(times)
}

/// CPU-seconds of each key frame alone: decoded, drained, reset, as in the shared contexts.
pub fn decode_keys(stream: &Stream, passes: u32) -> Result<Vec<f64>> {
    let keys: Vec<_> = stream.units.iter().filter(|u| u.random_access).collect();
    let mut times = vec![0.0; keys.len()];
    let request = DecoderRequest { isolated: true, ..DecoderRequest::live(stream.load.codec) };
    let mut decoder = LibavDecoder::open(&request)?;
    for pass in 0..=passes {
        for (unit, time) in keys.iter().zip(&mut times) {
            let from = cpu::thread();
            decoder.decode(unit, &mut |picture| drop(std::hint::black_box(picture)))?;
            decoder.drain(&mut |picture| drop(std::hint::black_box(picture)))?;
            if pass > 0 {
                *time += (cpu::thread() - from) / f64::from(passes);
            }
        }
    }
    Ok(times)
}

/// CPU-seconds to fit a picture, to store it and to see whether it changed.
pub fn fit(source: (u32, u32), out: (u32, u32)) -> f64 {
    let camera: SourceRef = SourceRef { camera: "m".into(), profile: "main".into(), generation: 1 };
    let store = Arc::new(FrameStore::new(1 << 28));
    store.set_generation(&camera.camera, 1);
    let targets = SharedTargets::new();
    let spec = FitSpec::whole(out.0, out.1, FitMode::Stretch);
    targets.set(Targets { specs: vec![spec], ..Targets::default() });
    let status = Arc::new(FitStatus::default());
    let mut fitter = Fitter::new(camera, targets, store, SystemClock::shared(), status);
    let footage = Footage::new(source.0, source.1, 1);
    let frames: Vec<_> = (0..4).map(|n| footage.frame(n)).collect();
    frames.iter().for_each(|frame| fitter.frame(frame));
    repeat(|n| fitter.frame(&frames[n % frames.len()]), cpu::thread)
}

/// CPU-seconds to redraw the canvas from `tiles` (side by side) of which `redrawn` are new; and to
/// hand a copy of the canvas out.
pub fn composite(size: (u32, u32), side: u32, redrawn: u32) -> Result<(f64, f64)> {
    let (w, h) = ((size.0 / side) & !1, (size.1 / side) & !1);
    let mut canvas = CpuCompositor::new(size.0, size.1)?;
    let footage = Footage::new(w, h, 1);
    let places: Vec<_> = (0..redrawn).map(|i| PixelRect::new(i % side * w, i / side * h, w, h)).collect();
    // As small streams are: BT.601, converted to the canvas's BT.709.
    let meta = FrameMeta { color: Colorimetry::guess(360), ..FrameMeta::default() };
    let draw = |(n, dest): (usize, &PixelRect)| {
        let drawn = footage.frame(n as u32);
        let frame = Frame::new(w, h, drawn.chroma(), drawn.planes().to_vec(), meta);
        Draw::Picture { frame: frame.unwrap_or(drawn), dest: *dest }
    };
    let draws = places.iter().enumerate().map(draw).collect();
    let plan = CompositePlan { width: size.0, height: size.1, draws, damage: places };
    canvas.compose(&plan)?;
    let mut outcome = Ok(());
    let redraw = repeat(
        |_| {
            if let Err(error) = canvas.compose(&plan) {
                outcome = Err(error);
            }
        },
        cpu::process,
    );
    outcome?;
    let copy = repeat(|_| drop(std::hint::black_box(canvas.picture(FrameMeta::default()))), cpu::thread);
    Ok((redraw, copy))
}

/// CPU-seconds of one call, from as many as a tenth of a second takes.
fn repeat(mut call: impl FnMut(usize), clock: impl Fn() -> f64) -> f64 {
    let (from, begun) = (clock(), Instant::now());
    let mut calls = 0;
    while calls < 8 || begun.elapsed() < Duration::from_millis(120) {
        call(calls);
        calls += 1;
    }
    (clock() - from) / calls as f64
}

/// CPU-seconds to encode a picture of a wall in which every tile moves.
pub fn encode(codec: Codec, preset: &str, size: (u32, u32)) -> Result<f64> {
    // A still start costs less than what follows, a key frame more.
    const LEAD: u32 = 3;
    let pictures = if size.0 * size.1 > 4_000_000 { 12 } else { 24 };
    let mut encoder = Encoder::start(codec, preset, size, Rate::Crf(23), 250)?;
    let footage = Footage::new(size.0, size.1, 4);
    let (mut from, mut own) = (0.0, 0.0);
    for n in 0..LEAD + pictures {
        if n == LEAD {
            (from, own) = (cpu::process(), cpu::thread());
        }
        encoder.picture(&footage, n)?;
    }
    // Drawing runs on this thread, the encoder on its own ones.
    Ok((cpu::process() - from - (cpu::thread() - own)) / f64::from(pictures))
}

/// One encoder that is given a picture only when the one before is out.
struct Encoder {
    encoder: ScreenEncoder,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    units: Mutex<Vec<AccessUnit>>,
    came: parking_lot::Condvar,
}

impl EncodedSink for Kept {
    fn unit(&self, unit: &AccessUnit) {
        self.units.lock().push(unit.clone());
        self.came.notify_all();
    }
}

impl Encoder {
    fn start(codec: Codec, preset: &str, size: (u32, u32), rate: Rate, gop: u32) -> Result<Encoder> {
        let kept = Arc::new(Kept::default());
        let config = EncoderConfig {
            codec,
            choice: EncoderChoice::Software,
            width: size.0,
            height: size.1,
            frame_rate: Ratio { num: FPS, den: 1 },
            preset: preset.into(),
            instead: None,
            rate,
            gop,
        };
        let screen = ScreenId::from("measure");
        let encoder = ScreenEncoder::start(&screen, config, kept.clone(), SystemClock::shared())?;
        Ok(Encoder { encoder, kept })
    }

    fn picture(&mut self, footage: &Footage, n: u32) -> Result<()> {
        let at = Moment(1_000_000_000 + u64::from(n) * 1_000_000_000 / u64::from(FPS));
        self.encoder.submit(footage.frame(n), at);
        let mut units = self.kept.units.lock();
        let waiting = |units: &mut Vec<AccessUnit>| units.len() <= n as usize;
        let waited = self.kept.came.wait_while_for(&mut units, waiting, PATIENCE);
        drop(units);
        if !waited.timed_out() {
            return Ok(());
        }
        let status = self.encoder.status();
        let why = status.error.unwrap_or_else(|| "gave no picture in ten seconds".into());
        Err(Error::new(ErrorKind::Missing, status.encoder, why))
    }

    fn units(&self) -> Vec<AccessUnit> {
        self.kept.units.lock().clone()
    }
}

/// CPU-seconds per access unit to receive this stream over RTSP/TCP from the output room's server.
/// Only the threads of the ingest room count.
pub fn ingest(stream: &Stream) -> Result<f64> {
    const VIEWERS: u64 = 16;
    /// Many more than a camera sends, so that the clock sees something.
    const RATE: u32 = 75;
    const TIME: Duration = Duration::from_millis(1600);
    let clock = SystemClock::shared();
    let load = &stream.load;
    let params = StreamParams {
        codec: load.codec,
        width: load.width,
        height: load.height,
        frame_rate: Ratio { num: RATE, den: 1 },
    };
    let hub = OutputHub::new(ScreenId::from("measure"), params, Arc::new(|| ()));
    hub.add(OutputSpec::parse(&format!("rtsp://127.0.0.1:{}/measure", free_port()?))?)?;
    let address = hub.status().into_iter().map(|s| s.address).next().unwrap_or_default();
    let shutdown = Shutdown::new();
    let ingest = Ingest::start(1, clock.clone(), &shutdown)?;
    let sinks: Vec<Arc<Count>> = (0..VIEWERS).map(|_| Arc::default()).collect();
    let authority = Authority::owner();
    let feeds = sinks.iter().enumerate().map(|(n, sink)| {
        let camera =
            SourceRef { camera: format!("m{n}").as_str().into(), profile: "main".into(), generation: 1 };
        let config = SourceConfig::new(CameraUri::parse(&address)?);
        let grant = authority.grant(&camera.camera);
        Ok(ingest.open(camera, config, grant, sink.clone()))
    });
    let feeds = feeds.collect::<Result<Vec<_>>>()?;
    let mut pacer = Pacer { begun: Instant::now(), sent: 0, clock, units: &stream.units, hub: &hub };
    let deadline = Instant::now() + PATIENCE;
    while sinks.iter().any(|s| s.0.load(Ordering::Relaxed) < u64::from(RATE) / 4) {
        if Instant::now() > deadline {
            let what = "did not reach all of its own clients in ten seconds";
            return Err(Error::new(ErrorKind::Unreachable, "RTSP on the loopback address", what));
        }
        pacer.step(RATE);
    }
    let received = || sinks.iter().map(|s| s.0.load(Ordering::Relaxed)).sum::<u64>();
    let (from, before, begun) = (cpu::threads_named("vt-ingest"), received(), Instant::now());
    while begun.elapsed() < TIME {
        pacer.step(RATE);
    }
    let (used, came) = (cpu::threads_named("vt-ingest") - from, received() - before);
    drop(feeds);
    drop(ingest);
    hub.finish();
    Ok(used / came.max(1) as f64)
}

#[derive(Default)]
struct Count(AtomicU64);

impl UnitSink for Count {
    fn parameters(&self, _parameters: &VideoParameters) {}
    fn unit(&self, _unit: AccessUnit) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn discontinuity(&self) {}
}

/// Hands the units of a loop to the hub, at a steady rate.
struct Pacer<'a> {
    begun: Instant,
    sent: u32,
    clock: SharedClock,
    units: &'a [AccessUnit],
    hub: &'a OutputHub,
}

impl Pacer<'_> {
    fn step(&mut self, rate: u32) {
        let due = Duration::from_secs(1) * self.sent / rate;
        std::thread::sleep(due.saturating_sub(self.begun.elapsed()));
        let now = self.clock.now();
        let unit = &self.units[self.sent as usize % self.units.len()];
        let pts = Pts(i64::try_from(now.0).unwrap_or(i64::MAX));
        self.hub.unit(&AccessUnit { pts, arrival: now, ..unit.clone() });
        self.sent += 1;
    }
}

fn free_port() -> Result<u16> {
    let bound = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    bound.map(|a| a.port()).map_err(|e| {
        Error::new(ErrorKind::Io, "127.0.0.1", "has no free port to measure receiving on").caused_by(e)
    })
}

/// Deviations as a bound: the largest, and no less than what the clocks themselves are worth.
pub fn bound(checks: &[Check], room: &str) -> f64 {
    let of = checks.iter().filter(|c| c.room == room).map(|c| c.deviation().abs());
    of.fold(0.03, f64::max)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_room_is_measured_by_running_it() {
        let small = Stream::encode(Codec::H264, 320, 180, 200).unwrap();
        let large = Stream::encode(Codec::H264, 960, 540, 2000).unwrap();
        assert_eq!(small.units.len(), PICTURES as usize);
        assert_eq!(small.units.iter().filter(|u| u.random_access).count() as u32, PICTURES / GOP);
        assert!(small.load.bits_per_second > 20e3 && large.load.bits_per_second > 100e3);
        let sum = |stream| decode(stream, false, 1).unwrap().iter().sum::<f64>();
        // Nine times the pixels: far enough apart for any machine.
        assert!(sum(&large) > 2.0 * sum(&small));
        assert_eq!(decode_keys(&small, 1).unwrap().len() as u32, PICTURES / GOP);
        assert!(fit((960, 540), (480, 270)) > 0.0);
        let (redraw, copy) = composite((640, 360), 2, 4).unwrap();
        assert!(redraw > 0.0 && copy > 0.0);
        assert!(encode(Codec::H264, "ultrafast", (320, 180)).unwrap() > 0.0);
        assert!(ingest(&small).unwrap() > 0.0);
    }
}
