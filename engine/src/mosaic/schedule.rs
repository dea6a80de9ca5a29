//! Turns of many inputs on a few workers, and the ticks that wait for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::input::{InputCounts, MosaicInput, Pace, Placed};
use crate::base::thread::Worker;
use crate::base::{Error, ErrorKind, Result, Shutdown};
use crate::fit::Scratch;
use crate::media::FittedFrame;

/// How often a waiting tick looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// How far inputs may run ahead of the ticks: what bounds the memory of a mosaic. Each input holds at
/// most `ahead + pace.units` fitted pictures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub pace: Pace,
    /// No turn begins for an input that is this many ticks ahead.
    pub ahead: u64,
}

/// The inputs of a mosaic and their workers. Guards invariant 8: which picture a tick shows depends on
/// the inputs and the options alone, because a tick waits until all inputs have settled it.
pub(super) struct Schedule {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
}

struct Shared {
    limits: Limits,
    state: Mutex<State>,
    /// A turn may begin.
    work: Condvar,
    /// A turn ended.
    turned: Condvar,
}

struct State {
    inputs: Vec<InputTurns>,
    tick: u64,
    stopped: bool,
    error: Option<Error>,
}

/// What is kept of one input between its turns.
struct InputTurns {
    /// `None` while a worker has it.
    input: Option<Box<MosaicInput>>,
    queue: VecDeque<Placed>,
    covered: u64,
    ended: Option<u64>,
    current: Option<(u64, FittedFrame)>,
    shown: u64,
    counts: InputCounts,
}

/// What one input shows: a number that changes with the picture, and the picture.
pub(super) type Shown = Option<(u64, FittedFrame)>;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// The input that is needed next, of those that wait for a turn.
    fn next(&self, ahead: u64) -> Option<usize> {
        let horizon = self.tick.saturating_add(ahead);
        let waits =
            |turns: &InputTurns| turns.input.is_some() && turns.ended.is_none() && turns.covered < horizon;
        let waiting = self.inputs.iter().enumerate().filter(|(_, turns)| waits(turns));
        waiting.min_by_key(|(index, turns)| (turns.covered, *index)).map(|(index, _)| index)
    }

    fn settled(&self, tick: u64) -> bool {
        self.inputs.iter().all(|turns| turns.ended.is_some() || turns.covered > tick)
    }

    /// True where no input has anything new for this tick or a later one.
    fn over(&self, tick: u64) -> bool {
        self.inputs.iter().all(|turns| turns.ended.is_some_and(|end| end <= tick))
    }
}

impl Schedule {
    /// Starts `workers` threads over these inputs.
    pub fn start(inputs: Vec<MosaicInput>, limits: Limits, workers: usize) -> Result<Schedule> {
        let begin = |input: MosaicInput| InputTurns {
            input: Some(Box::new(input)),
            queue: VecDeque::new(),
            covered: 0,
            ended: None,
            current: None,
            shown: 0,
            counts: InputCounts::default(),
        };
        let state =
            State { inputs: inputs.into_iter().map(begin).collect(), tick: 0, stopped: false, error: None };
        let shared = Arc::new(Shared {
            limits,
            state: Mutex::new(state),
            work: Condvar::new(),
            turned: Condvar::new(),
        });
        let mut schedule = Schedule { shared: shared.clone(), workers: Vec::new() };
        for n in 0..workers.max(1) {
            let shared = shared.clone();
            schedule.workers.push(Worker::spawn(&format!("job {n}"), move || work(&shared))?);
        }
        Ok(schedule)
    }

    /// What each input shows at `tick`, once all have settled it; `None` where the mosaic is over or
    /// `stop` came. Ticks are asked for in order.
    pub fn at(&self, tick: u64, end: u64, stop: &Shutdown) -> Result<Option<Vec<Shown>>> {
        let mut state = self.shared.lock();
        state.tick = tick;
        self.shared.work.notify_all();
        loop {
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if stop.is_cancelled() || tick >= end {
                return Ok(None);
            }
            if state.settled(tick) {
                break;
            }
            self.shared.turned.wait_for(&mut state, LOOK);
        }
        // A given length is kept: inputs that end before hold their last picture.
        if end == u64::MAX && state.over(tick) {
            return Ok(None);
        }
        let shown = state.inputs.iter_mut().map(|turns| {
            let mut newest = None;
            while turns.queue.front().is_some_and(|placed| placed.tick <= tick) {
                newest = turns.queue.pop_front();
            }
            if let Some(placed) = newest {
                turns.shown += 1;
                turns.current = Some((turns.shown, placed.picture));
            }
            turns.current.clone()
        });
        Ok(Some(shown.collect()))
    }

    /// Ends the workers; what was counted of each input.
    pub fn finish(mut self) -> Vec<InputCounts> {
        self.stop();
        let state = self.shared.lock();
        state.inputs.iter().map(|turns| InputCounts { shown: turns.shown, ..turns.counts.clone() }).collect()
    }

    fn stop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.work.notify_all();
        self.workers.clear();
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Tells the waiting tick that a worker fell, if it did.
struct PanicNotice<'a>(&'a Shared);

impl Drop for PanicNotice<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error =
                Error::new(ErrorKind::Internal, "job", "a worker fell; this is a fault of the program");
            self.0.lock().error = Some(error);
            self.0.turned.notify_all();
        }
    }
}

fn work(shared: &Shared) {
    let _notice = PanicNotice(shared);
    let mut scratch = Scratch::default();
    let mut state = shared.lock();
    loop {
        if state.stopped || state.error.is_some() {
            return;
        }
        let next = state.next(shared.limits.ahead);
        let taken = next.and_then(|index| Some((index, state.inputs[index].input.take()?)));
        let Some((index, mut input)) = taken else {
            shared.work.wait(&mut state);
            continue;
        };
        drop(state);
        let turn = input.turn(shared.limits.pace, &mut scratch);
        state = shared.lock();
        let turns = &mut state.inputs[index];
        turns.counts = input.counts().clone();
        match turn {
            Ok(turn) => {
                turns.covered = turn.covered.map_or(turns.covered, |covered| covered.max(turns.covered));
                turns.queue.extend(turn.pictures);
                turns.ended = turn.ended;
                if turns.ended.is_none() {
                    turns.input = Some(input);
                }
            }
            Err(error) => state.error = Some(error),
        }
        shared.turned.notify_all();
        shared.work.notify_one();
    }
}
