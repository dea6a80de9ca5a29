//! Counts what a camera sends on its way to its sink, and keeps the newest key frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::rhythm::Rhythm;
use super::state::{IngestStatus, SourceState};
use super::watchdog::Observed;
use crate::base::{Counter, Error, ErrorKind, Moment, SharedClock};
use crate::media::{AccessUnit, VideoParameters};
use crate::source::{Patience, StreamDescription, UnitSink};

/// What is known of one camera, over all its runs.
pub(super) struct Meter {
    sink: Arc<dyn UnitSink>,
    clock: SharedClock,
    units: Counter,
    bytes: Counter,
    skipped: Counter,
    lost_events: Counter,
    reconnects: Counter,
    /// Nanoseconds plus one; zero where none has arrived.
    last_arrival: AtomicU64,
    /// The run whose units are taken; 0 where none is.
    current: AtomicU64,
    patience: Patience,
    rhythm: Mutex<Rhythm>,
    slow: Mutex<ConnectionState>,
}

/// What changes seldom.
#[derive(Default)]
struct ConnectionState {
    state: SourceState,
    since: Moment,
    parameters: Option<VideoParameters>,
    last_error: Option<String>,
    error_kind: Option<ErrorKind>,
    newest_key: Option<AccessUnit>,
    /// When that was handed on, in this run.
    key_at: Option<Moment>,
    key_interval: Option<Duration>,
    closed: bool,
}

impl ConnectionState {
    /// Keeps a key frame that is handed on at `now`.
    fn keep_key(&mut self, unit: AccessUnit, now: Moment) {
        self.newest_key = Some(unit);
        if let Some(before) = self.key_at.replace(now) {
            self.key_interval = Some(now.since(before));
        }
    }
}

impl Meter {
    pub(super) fn new(sink: Arc<dyn UnitSink>, clock: SharedClock, patience: Patience) -> Arc<Meter> {
        let slow = ConnectionState { since: clock.now(), ..ConnectionState::default() };
        Arc::new(Meter {
            sink,
            clock,
            units: Counter::default(),
            bytes: Counter::default(),
            skipped: Counter::default(),
            lost_events: Counter::default(),
            reconnects: Counter::default(),
            last_arrival: AtomicU64::new(0),
            current: AtomicU64::new(0),
            patience,
            rhythm: Mutex::default(),
            slow: Mutex::new(slow),
        })
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionState> {
        self.slow.lock()
    }

    fn rhythm(&self) -> MutexGuard<'_, Rhythm> {
        self.rhythm.lock()
    }

    /// The sink of the next run; that of the run before takes no more.
    pub(super) fn begin_run(self: &Arc<Self>, number: u64) -> Arc<RunSink> {
        if number > 1 {
            self.reconnects.add_one();
        }
        let mut slow = self.lock();
        // The gap between two connections is not the camera's.
        slow.key_at = None;
        if !slow.closed {
            self.current.store(number, Ordering::SeqCst);
        }
        drop(slow);
        self.rhythm().begin_run();
        Arc::new(RunSink {
            meter: self.clone(),
            number,
            started: self.clock.now(),
            last_arrival: AtomicU64::new(0),
            has_key_frame: AtomicBool::new(false),
            live: AtomicBool::new(false),
            described: AtomicBool::new(false),
            silent: AtomicBool::new(false),
        })
    }

    /// Takes no units from now on, whoever sends them.
    pub(super) fn end_run(&self) {
        self.current.store(0, Ordering::SeqCst);
    }

    /// Takes no units any more, of no run.
    pub(super) fn close(&self) {
        let mut slow = self.lock();
        slow.closed = true;
        slow.newest_key = None;
        self.end_run();
    }

    pub(super) fn set_state(&self, state: SourceState) {
        let now = self.clock.now();
        let mut slow = self.lock();
        if slow.state != state {
            slow.state = state;
            slow.since = now;
        }
    }

    /// Notes a failed run; the camera is offline or refused from now on, or as before where it was
    /// so for the same reason.
    pub(super) fn failed(&self, error: &Error) {
        // A camera that refuses the login is a fault that somebody must mend; only a missing right
        // to see it is a refusal.
        let refused = error.kind() == ErrorKind::NotGranted;
        let reason = match error.kind() {
            ErrorKind::Credentials => format!("login refused: {}", error.message()),
            _ => error.message().to_owned(),
        };
        let now = self.clock.now();
        let wall_ms = u64::try_from(self.clock.wall().as_millis()).unwrap_or(u64::MAX);
        let mut slow = self.lock();
        slow.last_error = Some(error.to_string());
        slow.error_kind = Some(error.kind());
        let state = match (&slow.state, refused) {
            (_, true) => SourceState::Refused { reason },
            // It was offline before this attempt: it is so since then.
            (SourceState::Offline { since_ms, .. }, false) => {
                SourceState::Offline { since_ms: *since_ms, reason }
            }
            _ => SourceState::Offline { since_ms: wall_ms, reason },
        };
        if std::mem::discriminant(&slow.state) != std::mem::discriminant(&state) {
            slow.since = now;
        }
        slow.state = state;
    }

    pub(super) fn ended(&self, reason: &str) {
        let since_ms = u64::try_from(self.clock.wall().as_millis()).unwrap_or(u64::MAX);
        self.set_state(SourceState::Offline { since_ms, reason: reason.to_owned() });
    }

    pub(super) fn newest_key_unit(&self) -> Option<AccessUnit> {
        self.lock().newest_key.clone()
    }

    pub(super) fn status(&self) -> IngestStatus {
        let (tolerance, waits) = {
            let rhythm = self.rhythm();
            (rhythm.tolerance(self.patience), rhythm.longest_wait())
        };
        let slow = self.lock();
        IngestStatus {
            state: slow.state.clone(),
            since: slow.since,
            units: self.units.get(),
            bytes: self.bytes.get(),
            skipped: self.skipped.get(),
            lost_events: self.lost_events.get(),
            reconnects: self.reconnects.get(),
            last_arrival: load(&self.last_arrival),
            key_interval: slow.key_interval,
            tolerance,
            waits,
            parameters: slow.parameters.clone(),
            last_error: slow.last_error.clone(),
            error_kind: slow.error_kind,
        }
    }
}

fn load(moment: &AtomicU64) -> Option<Moment> {
    moment.load(Ordering::SeqCst).checked_sub(1).map(Moment)
}

fn store(moment: &AtomicU64, at: Moment) {
    moment.store(at.0.saturating_add(1), Ordering::SeqCst);
}

/// Takes the units of one run and hands them on while the run is the current one: a pipeline that
/// is still being stopped cannot mix its last units with those of its successor (invariant 5).
/// It lets nothing through before the first random-access unit.
pub(super) struct RunSink {
    meter: Arc<Meter>,
    number: u64,
    started: Moment,
    last_arrival: AtomicU64,
    has_key_frame: AtomicBool,
    live: AtomicBool,
    /// The camera said what it sends.
    described: AtomicBool,
    /// It was given up because nothing came.
    silent: AtomicBool,
}

impl RunSink {
    fn is_current(&self) -> bool {
        self.meter.current.load(Ordering::SeqCst) == self.number
    }

    pub(super) fn observed(&self) -> Observed {
        Observed {
            started: self.started,
            described: self.described.load(Ordering::SeqCst),
            last_arrival: load(&self.last_arrival),
            has_key_frame: self.has_key_frame.load(Ordering::SeqCst),
            rhythm: *self.meter.rhythm(),
        }
    }

    /// From the start of the run to its last unit, where any was handed on.
    pub(super) fn delivered_for(&self) -> Duration {
        let has_key_frame = self.has_key_frame.load(Ordering::SeqCst);
        load(&self.last_arrival)
            .filter(|_| has_key_frame)
            .map_or(Duration::ZERO, |last| last.since(self.started))
    }

    /// The watchdog saw packets stop.
    pub(super) fn stalled(&self) {
        if self.is_current() && self.live.swap(false, Ordering::SeqCst) {
            self.meter.set_state(SourceState::Stalled);
        }
    }

    /// The watchdog gives it up because nothing comes.
    pub(super) fn silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// How the run ended says something of the camera's pace.
    pub(super) fn learn_from_end(&self) {
        self.meter.rhythm().end_run(self.delivered_for(), self.silent.load(Ordering::SeqCst));
    }
}

impl UnitSink for RunSink {
    fn parameters(&self, parameters: &VideoParameters) {
        if self.is_current() {
            let told = parameters.frame_rate.filter(|rate| rate.num > 0);
            self.meter.rhythm().told(told.map(|rate| Duration::from_secs_f64(1.0 / rate.as_f64())));
            self.meter.lock().parameters = Some(parameters.clone());
            self.meter.sink.parameters(parameters);
        }
    }

    fn unit(&self, unit: AccessUnit) {
        if !self.is_current() {
            return;
        }
        let meter = &self.meter;
        // A sign of life comes when a unit is handed on: a live playlist's arrive all at once.
        let now = meter.clock.now();
        store(&self.last_arrival, now);
        store(&meter.last_arrival, now);
        let mut rhythm = meter.rhythm();
        rhythm.arrived(now);
        rhythm.waited(now, now.since(unit.arrival));
        drop(rhythm);
        if unit.loss {
            meter.lost_events.add_one();
        }
        if unit.random_access {
            self.has_key_frame.store(true, Ordering::SeqCst);
            meter.lock().keep_key(unit.clone(), now);
        } else if !self.has_key_frame.load(Ordering::SeqCst) {
            meter.skipped.add_one();
            return;
        }
        if !self.live.swap(true, Ordering::SeqCst) {
            meter.set_state(SourceState::Live);
        }
        meter.units.add_one();
        meter.bytes.add(unit.data.len() as u64);
        meter.sink.unit(unit);
    }

    fn discontinuity(&self) {
        if self.is_current() {
            self.meter.end_run();
            self.meter.sink.discontinuity();
        }
    }

    fn described(&self, description: &StreamDescription) {
        self.described.store(true, Ordering::SeqCst);
        if self.is_current() {
            self.meter.sink.described(description);
        }
    }
}
