//! The workers: order, priority, overload, effort, closing. Most with a decoder that only counts.

use std::sync::Barrier;
use std::sync::mpsc;

use super::*;
use crate::base::{Clock, SimClock, SystemClock};
use crate::media::{Chroma, Colorimetry, Orientation, Plane, VideoParameters};
use crate::source::UnitSink;

/// Gives a picture of four pixels for every unit.
struct Counting;

impl Decoder for Counting {
    fn backend(&self) -> &str {
        "counting"
    }
    fn set_skip_loop_filter(&mut self, _skip: bool) {}
    fn decode(&mut self, unit: &AccessUnit, out: PictureSink<'_>) -> Result<(), Error> {
        let planes = vec![
            Plane { data: Bytes::from_static(&[16; 4]), stride: 2 },
            Plane { data: Bytes::from_static(&[128; 2]), stride: 2 },
        ];
        out(Picture {
            width: 2,
            height: 2,
            chroma: Chroma::Nv12,
            planes,
            origin: Origin::from(unit),
            pixel_aspect: None,
            color: Colorimetry::default(),
            orientation: Orientation::UPRIGHT,
            damaged: false,
        });
        Ok(())
    }
    fn drain(&mut self, _out: PictureSink<'_>) -> Result<(), Error> {
        Ok(())
    }
    fn reset(&mut self) {}
}

struct CountingFactory;

impl DecoderFactory for CountingFactory {
    fn open(&self, _request: &DecoderRequest) -> Result<Box<dyn Decoder>, Error> {
        Ok(Box::new(Counting))
    }
}

fn counting_pool(workers: usize, clock: crate::base::SharedClock) -> DecodePool {
    let config = PoolConfig { workers, factory: Arc::new(CountingFactory), ..PoolConfig::default() };
    DecodePool::start(config, clock).unwrap()
}

fn unit(n: i64, arrival: Moment, random_access: bool) -> AccessUnit {
    AccessUnit {
        pts: Pts(n),
        arrival,
        captured: None,
        random_access,
        disposable: false,
        loss: false,
        data: Bytes::from_static(&[0, 0, 1, 0x67]),
    }
}

#[test]
fn order_is_kept_per_camera_on_any_number_of_workers() {
    let clock = SystemClock::shared();
    let pool = counting_pool(4, clock.clone());
    let cameras: Vec<_> = (0..100)
        .map(|n| {
            let seen = Seen::default();
            let handle = pool.open(source(&format!("cam-{n}")), Box::new(seen.clone()));
            handle.parameters(&VideoParameters::unknown(Codec::H264));
            handle.set_priority(n as u8 % 3);
            (handle, seen)
        })
        .collect();
    // Within the capacity of the queue, so that nothing may be lost.
    for n in 0..200 {
        for (handle, _) in &cameras {
            handle.unit(unit(n, Moment(0), n == 0));
        }
    }
    wait_until("all frames", || cameras.iter().all(|(h, _)| h.status().decoded == 200));
    for (_, seen) in &cameras {
        let numbers: Vec<i64> = seen.frames().iter().map(|f| f.meta().pts.0).collect();
        assert!(numbers == (0..200).collect::<Vec<_>>());
    }
}

/// Holds the only worker until it is let go.
struct Gate(Arc<Barrier>, Arc<Barrier>);

impl FrameConsumer for Gate {
    fn frame(&mut self, _frame: &Frame) {
        self.0.wait();
        self.1.wait();
    }
    fn failed(&mut self, _error: &Error) {}
}

/// A pool of one worker that is held until the returned barrier is passed.
fn held_pool(clock: &Arc<SimClock>) -> (DecodePool, DecodeHandle, Arc<Barrier>) {
    let pool = counting_pool(1, clock.clone());
    let (entered, leave) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let gate = pool.open(source("gate"), Box::new(Gate(entered.clone(), leave.clone())));
    gate.parameters(&VideoParameters::unknown(Codec::H264));
    gate.unit(unit(0, clock.now(), true));
    entered.wait();
    (pool, gate, leave)
}

struct Named(&'static str, mpsc::Sender<(&'static str, i64)>);

impl FrameConsumer for Named {
    fn frame(&mut self, frame: &Frame) {
        self.1.send((self.0, frame.meta().pts.0)).unwrap();
    }
    fn failed(&mut self, _error: &Error) {}
}

#[test]
fn higher_priority_goes_first_and_equals_take_turns() {
    let clock = SimClock::new();
    let (pool, _gate, leave) = held_pool(&clock);
    let (sender, receiver) = mpsc::channel();
    let mut handles = Vec::new();
    for (name, priority) in [("low", 0), ("a", 5), ("b", 5), ("high", 9)] {
        let handle = pool.open(source(name), Box::new(Named(name, sender.clone())));
        handle.set_priority(priority);
        handle.parameters(&VideoParameters::unknown(Codec::H264));
        (0..6).for_each(|n| handle.unit(unit(n, clock.now(), n == 0)));
        handles.push(handle);
    }
    leave.wait();
    let order: Vec<_> = (0..24).map(|_| receiver.recv_timeout(Duration::from_secs(10)).unwrap()).collect();
    let turns: Vec<_> = order.chunk_by(|a, b| a.0 == b.0).map(|t| (t[0].0, t.len())).collect();
    // Turns of four units: high has two that join, a and b alternate, low comes last.
    assert_eq!(turns, [("high", 6), ("a", 4), ("b", 4), ("a", 2), ("b", 2), ("low", 6)]);
}

/// Tells which camera was served, and holds the worker until the test goes on.
struct Stepped {
    camera: usize,
    served: mpsc::Sender<usize>,
    go_on: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl FrameConsumer for Stepped {
    fn frame(&mut self, _frame: &Frame) {
        // Both fail once the test is over.
        let _ = self.served.send(self.camera);
        let _ = self.go_on.lock().recv();
    }
    fn failed(&mut self, _error: &Error) {}
}

/// Cameras of ten pictures a second and a key frame every two seconds, all of them at once, as after a
/// power cut.
struct Senders {
    handles: Vec<DecodeHandle>,
    sent: i64,
}

impl Senders {
    const PICTURE: Duration = Duration::from_millis(100);
    const PICTURES_PER_KEY: i64 = 20;

    fn send_until(&mut self, now: Moment) {
        loop {
            let due = Moment(0) + Self::PICTURE * u32::try_from(self.sent).unwrap();
            if due > now {
                return;
            }
            for handle in &self.handles {
                handle.unit(unit(self.sent, due, self.sent % Self::PICTURES_PER_KEY == 0));
            }
            self.sent += 1;
        }
    }
}

#[test]
fn more_key_frames_than_the_workers_can_do_stretch_all_intervals_alike() {
    const CAMERAS: usize = 20;
    let clock = SimClock::new();
    let pool = counting_pool(1, clock.clone());
    let (served, frames) = mpsc::channel();
    let (go_on, held) = mpsc::channel();
    let held = Arc::new(Mutex::new(held));
    let handles = (0..CAMERAS).map(|camera| {
        let consumer = Stepped { camera, served: served.clone(), go_on: held.clone() };
        let handle = pool.open(source(&format!("cam-{camera}")), Box::new(consumer));
        handle.parameters(&VideoParameters::unknown(Codec::H264));
        handle.set_effort(Effort::KeyFrames);
        handle.set_spacing(Duration::from_secs(4));
        handle
    });
    let mut senders = Senders { handles: handles.collect(), sent: 0 };
    senders.send_until(clock.now());
    // 20 pictures of 220 ms are 110 % of four seconds.
    let takes = Duration::from_millis(220);
    let mut turns = vec![Vec::new(); CAMERAS];
    while clock.now() < Moment(0) + Duration::from_secs(120) {
        let camera = frames.recv_timeout(Duration::from_secs(10)).unwrap();
        turns[camera].push(clock.now());
        clock.advance(takes);
        senders.send_until(clock.now());
        go_on.send(()).unwrap();
    }
    drop(go_on);
    // The first turns take what waits from the start.
    let settled = |pair: &&[Moment]| pair[0] > Moment(0) + Duration::from_secs(12);
    let intervals = turns.iter().flat_map(|t| t.windows(2).filter(settled).map(|w| w[1].since(w[0])));
    let intervals: Vec<f64> = intervals.map(|i| i.as_secs_f64()).collect();
    let mean = intervals.iter().sum::<f64>() / intervals.len() as f64;
    let longest = intervals.iter().copied().fold(0.0, f64::max);
    assert!((mean - 4.4).abs() < 0.1, "{mean} s: the worker is not busy all the time");
    assert!(longest < 1.3 * mean, "{longest} s, where {mean} s is the mean");
}

#[test]
fn an_overloaded_camera_jumps_to_its_next_key_frame() {
    let clock = SimClock::new();
    let (pool, _gate, leave) = held_pool(&clock);
    let seen = Seen::default();
    let handle = pool.open(source("busy"), Box::new(seen.clone()));
    handle.parameters(&VideoParameters::unknown(Codec::H264));
    for n in 0..25 {
        clock.advance(Duration::from_millis(40));
        handle.unit(unit(n, clock.now(), n % 10 == 0));
    }
    leave.wait();
    wait_until("the queue to be worked off", || handle.is_idle());
    let numbers: Vec<i64> = seen.frames().iter().map(|f| f.meta().pts.0).collect();
    assert_eq!(numbers, (20..25).collect::<Vec<_>>());
    let status = handle.status();
    assert_eq!((status.dropped_late, status.units), (20, 25));
    assert!(status.keyframe_jumps >= 1);
}

#[test]
fn nothing_reaches_the_consumer_after_closing() {
    let pool = counting_pool(2, SystemClock::shared());
    for round in 0..200 {
        let seen = Seen::default();
        let handle = pool.open(source("a"), Box::new(seen.clone()));
        handle.parameters(&VideoParameters::unknown(Codec::H264));
        (0..50).for_each(|n| handle.unit(unit(n, Moment(0), n == 0)));
        if round % 2 == 0 {
            handle.close();
        } else {
            drop(handle.clone());
            drop(handle);
        }
        let at_close = seen.0.lock().len();
        std::thread::yield_now();
        assert_eq!(seen.0.lock().len(), at_close);
    }
}

struct ClosesItself(Arc<Mutex<Option<DecodeHandle>>>, Arc<Mutex<u32>>);

impl FrameConsumer for ClosesItself {
    fn frame(&mut self, _frame: &Frame) {
        *self.1.lock() += 1;
        if let Some(handle) = self.0.lock().as_ref() {
            handle.close();
        }
    }
    fn failed(&mut self, _error: &Error) {}
}

#[test]
fn a_consumer_may_close_itself() {
    let pool = counting_pool(1, SystemClock::shared());
    let (own, count) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(0)));
    let handle = pool.open(source("a"), Box::new(ClosesItself(own.clone(), count.clone())));
    *own.lock() = Some(handle.clone());
    handle.parameters(&VideoParameters::unknown(Codec::H264));
    (0..9).for_each(|n| handle.unit(unit(n, Moment(0), n == 0)));
    wait_until("its frame", || *count.lock() > 0 && handle.is_idle());
    assert_eq!(*count.lock(), 1);
    own.lock().take();
}

struct Panics;

impl FrameConsumer for Panics {
    fn frame(&mut self, _frame: &Frame) {
        panic!("on purpose");
    }
    fn failed(&mut self, _error: &Error) {}
}

#[test]
fn a_panic_closes_its_camera_alone() {
    let pool = counting_pool(1, SystemClock::shared());
    let bad = pool.open(source("bad"), Box::new(Panics));
    let seen = Seen::default();
    let good = pool.open(source("good"), Box::new(seen.clone()));
    for handle in [&bad, &good] {
        handle.parameters(&VideoParameters::unknown(Codec::H264));
        (0..3).for_each(|n| handle.unit(unit(n, Moment(0), n == 0)));
    }
    wait_until("the good camera", || good.status().decoded == 3);
    assert_eq!(bad.status().error.map(|(kind, _)| kind), Some(ErrorKind::Internal));
}

#[test]
fn key_frames_effort_shares_contexts_and_stays_exact() {
    let clips = [
        ("a.h264", "testsrc2=size=320x240"),
        ("b.h264", "testsrc=size=640x360"),
        ("c.h264", "smptebars=size=176x144"),
    ];
    let pool =
        DecodePool::start(PoolConfig { workers: 1, ..PoolConfig::default() }, SystemClock::shared()).unwrap();
    let mut cameras = Vec::new();
    for (name, input) in clips {
        let options = format!("{input}:rate=25 -frames:v 30 -pix_fmt yuv420p -c:v libx264 -g 10 -bf 2");
        let Some(units) = encoded(name, &options) else { return };
        let mut whole = Vec::new();
        let mut decoder =
            LibavDecoder::open(&DecoderRequest { order: Order::Exact, ..DecoderRequest::live(Codec::H264) })
                .unwrap();
        let mut out = |p: Picture| whole.push(p);
        units.iter().for_each(|u| decoder.decode(u, &mut out).unwrap());
        decoder.drain(&mut out).unwrap();
        let expected: Vec<_> = whole
            .into_iter()
            .filter(|p| p.origin.random_access)
            .map(|p| p.into_frame(0, &VideoParameters::unknown(Codec::H264)).unwrap().to_packed_i420())
            .collect();
        assert_eq!(expected.len(), 3);
        let seen = Seen::default();
        let handle = pool.open(source(name), Box::new(seen.clone()));
        handle.set_effort(Effort::KeyFrames);
        handle.parameters(&VideoParameters::unknown(Codec::H264));
        cameras.push((units, expected, seen, handle));
    }
    for n in 0..30 {
        for (units, _, _, handle) in &cameras {
            handle.unit(units[n].clone());
            wait_until("the unit", || handle.is_idle());
        }
    }
    for (_, expected, seen, handle) in &cameras {
        let got: Vec<_> = seen.frames().iter().map(Frame::to_packed_i420).collect();
        assert!(got == *expected, "{:?}", handle.status());
        assert_eq!(handle.status().skipped, 27);
        assert!(!handle.has_own_decoder(), "a camera of key frames alone needs no context");
    }
}

#[test]
fn a_decoder_is_closed_after_a_while_in_standby() {
    let clock = SimClock::new();
    let pool = counting_pool(1, clock.clone());
    let handle = pool.open(source("a"), Box::new(Seen::default()));
    handle.parameters(&VideoParameters::unknown(Codec::H264));
    handle.unit(unit(0, clock.now(), true));
    wait_until("its decoder", || handle.has_own_decoder());
    handle.set_effort(Effort::Standby);
    clock.advance(Duration::from_secs(5));
    handle.unit(unit(1, clock.now(), true));
    wait_until("the worker", || handle.is_idle());
    assert!(handle.has_own_decoder(), "not yet");
    clock.advance(Duration::from_secs(6));
    handle.unit(unit(2, clock.now(), true));
    wait_until("its decoder to be closed", || !handle.has_own_decoder());
    assert_eq!(handle.status().decoded, 1);
    handle.set_effort(Effort::Full);
    wait_until("the held key frame", || handle.status().decoded == 2);
}

#[test]
fn what_follows_damage_is_held_back_for_two_seconds_whenever_it_arrived() {
    let clock = SimClock::new();
    let pool = counting_pool(1, clock.clone());
    let handle = pool.open(source("a"), Box::new(Seen::default()));
    handle.parameters(&VideoParameters::unknown(Codec::H264));
    let send = |n: i64, loss: bool| {
        // A segment of a live playlist: all of it arrived at once.
        handle.unit(AccessUnit { loss, ..unit(n, Moment(0), n == 0) });
        wait_until("the worker", || handle.is_idle());
        (handle.status().decoded, handle.status().held_back)
    };
    assert_eq!((send(0, false), send(1, true)), ((1, 0), (1, 1)));
    clock.advance(Duration::from_secs(2));
    assert_eq!(send(2, false), (1, 2));
    clock.advance(Duration::from_millis(1));
    assert_eq!(send(3, false), (2, 2), "no key frame may ever come");
}

#[test]
fn another_codec_rebuilds_the_decoder() {
    let h264 = encoded("a.h264", "testsrc2=size=320x240 -frames:v 5 -pix_fmt yuv420p -c:v libx264 -bf 0");
    let h265 = encoded(
        "a.h265",
        "testsrc2=size=192x128 -frames:v 5 -pix_fmt yuv420p -c:v libx265 -preset ultrafast -x265-params bframes=0:log-level=0",
    );
    let (Some(h264), Some(h265)) = (h264, h265) else { return };
    let pool =
        DecodePool::start(PoolConfig { workers: 1, ..PoolConfig::default() }, SystemClock::shared()).unwrap();
    let seen = Seen::default();
    let handle = pool.open(source("a"), Box::new(seen.clone()));
    for (codec, units) in [(Codec::H264, h264), (Codec::H265, h265)] {
        handle.parameters(&VideoParameters::unknown(codec));
        units.into_iter().for_each(|u| handle.unit(u));
        wait_until("its pictures", || handle.is_idle());
    }
    let widths: Vec<u32> = seen.frames().iter().map(Frame::width).collect();
    assert_eq!(widths, [[320; 5], [192; 5]].concat());
    assert_eq!(handle.status().backend, "libavcodec");
}
