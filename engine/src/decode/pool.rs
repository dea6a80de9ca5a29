//! The workers that all cameras share, and the handle through which one camera uses them.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::camera::{Outcome, Setting, Shared, Surroundings, Work};
use super::decoder::{DecoderFactory, DecoderRequest, Order};
use super::queue::{Queued, UnitQueue};
use super::status::{DecodeStatus, Progress};
use super::{Effort, FrameConsumer, LibavFactory};
use crate::base::cpu;
use crate::base::thread::Worker;
use crate::base::{ErrorKind, Moment, Result, SharedClock};
use crate::media::{AccessUnit, SourceRef, VideoParameters};
use crate::source::UnitSink;

/// How a pool works.
#[derive(Clone)]
pub struct PoolConfig {
    /// Threads; at least one.
    pub workers: usize,
    /// A camera whose queued units span more than this jumps to its next key frame.
    pub queue_bound: Duration,
    /// A camera whose queue holds more units than this does so too, whatever their times.
    pub queue_capacity: usize,
    /// Units of one camera that a worker takes in a turn, where they wait: fewer cache misses,
    /// at the cost of the other cameras' latency.
    pub batch: usize,
    /// A decoder that has not decoded every picture for this long is closed.
    pub close_after: Duration,
    /// How long pictures are held back after damage, waiting for a key frame; `None` shows them.
    pub hold_after_damage: Option<Duration>,
    /// How pictures come out.
    pub order: Order,
    /// Pictures of more pixels are refused.
    pub max_pixels: u32,
    /// Opens the decoders.
    pub factory: Arc<dyn DecoderFactory>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        PoolConfig {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            queue_bound: Duration::from_millis(400),
            queue_capacity: 256,
            batch: 4,
            close_after: Duration::from_secs(10),
            hold_after_damage: Some(Duration::from_secs(2)),
            order: Order::Live,
            max_pixels: DecoderRequest::MAX_PIXELS,
            factory: Arc::new(LibavFactory),
        }
    }
}

/// Where a camera stands among those that wait: the highest priority first; among equals who never had a
/// turn, then who has waited longest. Since when it waits is another thing for key frames
/// ([`CameraState::place`]).
type Place = (Reverse<u8>, Option<Moment>);

/// Whose turn it is.
#[derive(Default)]
struct Ready {
    /// By place, and in the order of queueing where that is the same.
    waiting: BTreeMap<(Place, u64), Arc<Camera>>,
    queued: u64,
    stopping: bool,
}

struct Inner {
    config: PoolConfig,
    setting: Setting,
    ready: Mutex<Ready>,
    arrived: Condvar,
}

impl Inner {
    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock()
    }

    fn now(&self) -> Moment {
        self.setting.clock.now()
    }

    fn make_ready(&self, camera: Arc<Camera>, place: Place) {
        let mut ready = self.ready();
        ready.queued += 1;
        let key = (place, ready.queued);
        ready.waiting.insert(key, camera);
        drop(ready);
        self.arrived.notify_one();
    }

    /// The next camera; `None` when the pool ends.
    fn next(&self) -> Option<Arc<Camera>> {
        let mut ready = self.ready();
        loop {
            if ready.stopping {
                return None;
            }
            if let Some((_, camera)) = ready.waiting.pop_first() {
                return Some(camera);
            }
            self.arrived.wait(&mut ready);
        }
    }

    fn work(&self) {
        // Screens and encoders go first: a wall keeps its cadence whatever its inputs do.
        cpu::step_back();
        let mut shared = Shared::default();
        while let Some(camera) = self.next() {
            let turn = catch_unwind(AssertUnwindSafe(|| camera.take_turn(self, &mut shared)));
            if turn.is_err() {
                tracing::error!(camera = %camera.source.camera, "its decoding panicked; it is closed");
                shared = Shared::default();
                let message = "its decoding panicked".to_owned();
                camera.progress.update(|p| p.error = Some((ErrorKind::Internal, message)));
                camera.close();
            }
            if let Some(place) = camera.end_turn(self.now()) {
                self.make_ready(camera, place);
            }
        }
    }
}

/// The decode workers of this machine. Dropping it ends them; handles then do nothing.
pub struct DecodePool {
    inner: Arc<Inner>,
    _workers: Vec<Worker>,
}

impl std::fmt::Debug for DecodePool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecodePool").field("workers", &self._workers.len()).finish()
    }
}

impl DecodePool {
    /// Starts the workers. `Io` where the system gives no more threads.
    pub fn start(config: PoolConfig, clock: SharedClock) -> Result<DecodePool> {
        let setting = Setting {
            factory: config.factory.clone(),
            order: config.order,
            hold: config.hold_after_damage,
            max_pixels: config.max_pixels,
            clock,
        };
        let workers = config.workers.max(1);
        let inner = Arc::new(Inner { config, setting, ready: Mutex::default(), arrived: Condvar::new() });
        let mut pool = DecodePool { inner: inner.clone(), _workers: Vec::new() };
        for n in 0..workers {
            let inner = inner.clone();
            pool._workers.push(Worker::spawn(&format!("decode-{n}"), move || inner.work())?);
        }
        Ok(pool)
    }

    /// Registers a camera. Nothing is opened until its first unit comes. Frames go to `consumer`
    /// until the handle (all of its clones) is dropped or closed.
    pub fn open(&self, source: SourceRef, consumer: Box<dyn FrameConsumer>) -> DecodeHandle {
        let config = &self.inner.config;
        let camera = Arc::new(Camera {
            source,
            line: Mutex::new(CameraState {
                queue: UnitQueue::new(config.queue_bound, config.queue_capacity),
                turn: Scheduling::None,
                priority: 0,
                closed: false,
                skip_loop_filter: false,
                idle_since: None,
                may_release: false,
                last_turn: None,
            }),
            work: Mutex::default(),
            consumer: Mutex::new(Some(consumer)),
            progress: Progress::default(),
            has_decoder: AtomicBool::new(false),
        });
        DecodeHandle(Arc::new(Owner { camera, pool: self.inner.clone() }))
    }
}

impl Drop for DecodePool {
    fn drop(&mut self) {
        let mut ready = self.inner.ready();
        ready.stopping = true;
        ready.waiting.clear();
        drop(ready);
        self.inner.arrived.notify_all();
    }
}

/// Where a camera stands with the workers. It is on at most one of them, so that its units are
/// decoded in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheduling {
    None,
    Waiting,
    Running,
}

/// What senders and workers both touch, for moments only.
struct CameraState {
    queue: UnitQueue,
    turn: Scheduling,
    priority: u8,
    closed: bool,
    skip_loop_filter: bool,
    /// Since when not every picture is decoded.
    idle_since: Option<Moment>,
    may_release: bool,
    /// When a worker took its last unit; `None` before the first, and since a call-up.
    last_turn: Option<Moment>,
}

impl CameraState {
    /// Where it stands if it begins to wait now. A camera of key frames shows the one that it has until
    /// its next turn, so among those who was served longest ago goes first, whenever its key frame came:
    /// where more is asked than workers can do, that makes all intervals alike, while turns in the order
    /// of arrival double some of them.
    fn place(&self, now: Moment) -> Place {
        let since = match self.queue.effort() {
            Effort::KeyFrames => self.last_turn,
            Effort::Full | Effort::Standby => self.last_turn.and(Some(now)),
        };
        (Reverse(self.priority), since)
    }
}

struct Camera {
    source: SourceRef,
    line: Mutex<CameraState>,
    work: Mutex<Work>,
    consumer: Mutex<Option<Box<dyn FrameConsumer>>>,
    progress: Progress,
    has_decoder: AtomicBool,
}

thread_local! {
    /// The camera whose consumer is being called on this thread, as an address.
    static CALLING: Cell<usize> = const { Cell::new(0) };
}

impl Camera {
    fn line(&self) -> MutexGuard<'_, CameraState> {
        self.line.lock()
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    fn take_turn(&self, pool: &Inner, shared: &mut Shared) {
        self.line().turn = Scheduling::Running;
        let mut work = self.work.lock();
        for _ in 0..pool.config.batch.max(1) {
            let Some((queued, skip_loop_filter)) = self.next_unit(pool.now()) else { break };
            let mut bench = Surroundings {
                source: &self.source,
                setting: &pool.setting,
                progress: &self.progress,
                shared: &mut *shared,
                skip_loop_filter,
            };
            work.process(&queued, &mut bench, &mut |outcome| self.deliver(outcome));
            if queued.alone {
                // Nothing follows it that the cache would still be warm for, and others wait.
                break;
            }
        }
        let mut line = self.line();
        let released = std::mem::take(&mut line.may_release) && line.queue.effort() != Effort::Full;
        if line.closed || released {
            work.release();
        }
        self.has_decoder.store(work.has_decoder(), Ordering::Relaxed);
    }

    fn next_unit(&self, now: Moment) -> Option<(Queued, bool)> {
        let mut line = self.line();
        if line.closed {
            return None;
        }
        let queued = line.queue.pop()?;
        line.last_turn = Some(now);
        Some((queued, line.skip_loop_filter))
    }

    /// Where to wait, where units came meanwhile.
    fn end_turn(&self, now: Moment) -> Option<Place> {
        let mut line = self.line();
        let more = !line.closed && !line.queue.is_empty();
        line.turn = if more { Scheduling::Waiting } else { Scheduling::None };
        more.then(|| line.place(now))
    }

    fn deliver(&self, outcome: Outcome<'_>) {
        let mut consumer = self.consumer.lock();
        let Some(consumer) = consumer.as_mut() else { return };
        let outer = CALLING.replace(self.address());
        match outcome {
            Outcome::Frame(frame) => consumer.frame(frame),
            Outcome::Failed(error) => consumer.failed(error),
        }
        CALLING.set(outer);
    }

    /// No call of the consumer begins after this returns, and none goes on (unless it is the
    /// consumer itself that closes).
    fn close(&self) {
        let mut line = self.line();
        line.closed = true;
        line.queue.clear();
        drop(line);
        if CALLING.get() != self.address() {
            let consumer = self.consumer.lock().take();
            drop(consumer);
        }
        if let Some(mut work) = self.work.try_lock() {
            work.release();
        }
    }
}

struct Owner {
    camera: Arc<Camera>,
    pool: Arc<Inner>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.camera.close();
    }
}

/// One camera's way into the pool. Cloning gives another handle on the same camera; when the last
/// is dropped, the camera is closed. No call waits for decoding.
#[derive(Clone)]
pub struct DecodeHandle(Arc<Owner>);

impl std::fmt::Debug for DecodeHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DecodeHandle").field(&self.0.camera.source).finish()
    }
}

impl DecodeHandle {
    fn change(&self, change: impl FnOnce(&mut CameraState)) {
        let Owner { camera, pool } = &*self.0;
        let mut line = camera.line();
        if line.closed {
            return;
        }
        change(&mut line);
        if line.turn == Scheduling::None && (!line.queue.is_empty() || line.may_release) {
            line.turn = Scheduling::Waiting;
            let place = line.place(pool.now());
            drop(line);
            pool.make_ready(camera.clone(), place);
        }
    }

    /// How much to decode from now on.
    pub fn set_effort(&self, effort: Effort) {
        let now = self.0.pool.now();
        self.change(|line| {
            if line.queue.effort() == Effort::Standby && effort != Effort::Standby {
                line.last_turn = None;
            }
            line.queue.set_effort(effort);
            line.idle_since = match effort {
                Effort::Full => None,
                _ => line.idle_since.or(Some(now)),
            };
        });
    }

    /// In `KeyFrames`, decodes the newest key frame so long after the one before; zero: each when it
    /// arrives.
    pub fn set_spacing(&self, spacing: Duration) {
        self.change(|line| line.queue.set_spacing(spacing));
    }

    /// Whether to leave out the loop filter: a fifth less work, 50 dB from the exact picture
    /// once it is shrunk.
    pub fn set_shortcuts(&self, skip_loop_filter: bool) {
        self.change(|line| line.skip_loop_filter = skip_loop_filter);
    }

    /// Cameras of higher priority are decoded first; among equals, who has waited longest. 0 at the
    /// start.
    pub fn set_priority(&self, priority: u8) {
        self.change(|line| line.priority = priority);
    }

    /// How its decoding stands.
    pub fn status(&self) -> DecodeStatus {
        let tally = self.0.camera.line().queue.tally();
        self.0.camera.progress.snapshot(tally)
    }

    /// True where no unit waits and none is being decoded.
    pub fn is_idle(&self) -> bool {
        let line = self.0.camera.line();
        line.turn == Scheduling::None && line.queue.is_empty()
    }

    /// True where it holds a decoder context of its own: some 10 MB.
    pub fn has_own_decoder(&self) -> bool {
        self.0.camera.has_decoder.load(Ordering::Relaxed)
    }

    /// Ends it: what waits is thrown away and the consumer is dropped. Waits for the call of the
    /// consumer that is under way, if one is (invariant 5: no late frame after this). A call from
    /// within the consumer does not wait.
    pub fn close(&self) {
        self.0.camera.close();
    }
}

impl UnitSink for DecodeHandle {
    fn parameters(&self, parameters: &VideoParameters) {
        self.change(|line| line.queue.set_parameters(parameters));
    }

    fn unit(&self, unit: AccessUnit) {
        let close_after = self.0.pool.config.close_after;
        let has_decoder = self.0.camera.has_decoder.load(Ordering::Relaxed);
        let now = self.0.pool.now();
        self.change(|line| {
            let idle = line.idle_since.is_some_and(|since| now.since(since) > close_after);
            line.may_release = idle && has_decoder && line.queue.effort() != Effort::Full;
            line.queue.push(unit, now);
        });
    }

    fn discontinuity(&self) {
        self.change(|line| line.queue.discontinuity());
    }
}
