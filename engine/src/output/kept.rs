//! An output with a thread of its own that begins anew after each failure.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::feed::Feed;
use super::hub::{Output, OutputState, OutputStatus};
use crate::base::backoff::{OUTPUT, Retry};
use crate::base::thread::Worker;
use crate::base::{Error, Result};
use crate::media::AccessUnit;

/// How long an output may take over its last bytes.
pub(crate) const END: Duration = Duration::from_secs(4);
/// How long it sleeps where it has nothing to do.
pub(crate) const STEP: Duration = Duration::from_millis(50);

struct State {
    state: OutputState,
    error: Option<String>,
}

/// Where an output stands, told by its thread and read by anyone.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<State>>);

impl Progress {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock());
    }

    /// It delivers.
    pub fn running(&self) {
        self.set(|s| s.state = OutputState::Running);
    }

    fn failed(&self, error: &Error) {
        self.set(|s| {
            s.error = Some(error.to_string());
            s.state = OutputState::Retrying;
        });
    }
}

/// A running output.
pub(crate) struct RunningOutput {
    feed: Arc<Feed>,
    progress: Progress,
    worker: Mutex<Option<(Worker, mpsc::Receiver<()>)>>,
    pub sdp: Option<String>,
}

impl RunningOutput {
    /// Runs `serve` until the feed is closed, again after each failure (invariant 1: only this thread
    /// waits; the feed drops and counts what comes meanwhile). `serve` is told how many failures there
    /// were, restarts the feed after each, and answers without an error when the feed is closed and
    /// empty. `subject` has no secrets.
    pub fn start(
        subject: String,
        feed: Arc<Feed>,
        mut serve: impl FnMut(u32, &Progress) -> Result<()> + Send + 'static,
    ) -> Result<RunningOutput> {
        let progress = Progress(Arc::new(Mutex::new(State { state: OutputState::Waiting, error: None })));
        let (report, ended) = mpsc::channel();
        let (run_feed, run_progress) = (feed.clone(), progress.clone());
        let worker = Worker::spawn("output", move || {
            run(&subject, &run_feed, &run_progress, &mut serve);
            let _ = report.send(());
        })?;
        Ok(RunningOutput { feed, progress, worker: Mutex::new(Some((worker, ended))), sdp: None })
    }
}

fn run(subject: &str, feed: &Feed, progress: &Progress, serve: &mut dyn FnMut(u32, &Progress) -> Result<()>) {
    let mut retry = Retry::new(OUTPUT);
    for failures in 0.. {
        let began = Instant::now();
        let Err(error) = serve(failures, progress) else {
            return progress.set(|s| s.state = OutputState::Ended);
        };
        let wait = retry.after(began.elapsed(), rand::random());
        tracing::warn!(output = %subject, %error, retry_in_s = wait.as_secs_f32(), "an output failed");
        progress.failed(&error);
        let until = Instant::now() + wait;
        while Instant::now() < until && !feed.is_closed() {
            std::thread::sleep(STEP);
        }
        if feed.is_closed() {
            return progress.set(|s| s.state = OutputState::Failed);
        }
    }
}

impl Output for RunningOutput {
    fn unit(&self, unit: &AccessUnit) {
        self.feed.push(unit);
    }

    fn status(&self, status: &mut OutputStatus) {
        let state = self.progress.0.lock();
        status.state = state.state;
        status.error = state.error.clone();
        drop(state);
        status.units = self.feed.units();
        status.bytes = self.feed.bytes();
        status.dropped = self.feed.dropped();
        status.sdp = self.sdp.clone();
    }

    fn end(&self) {
        self.feed.close();
    }

    fn join(&self, deadline: Instant) -> bool {
        let taken = self.worker.lock().take();
        let Some((worker, ended)) = taken else { return true };
        match ended.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => worker.join(),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                // It hangs in the operating system (a dead network file system): nothing ends it.
                std::mem::forget(worker);
                false
            }
        }
    }
}

impl Drop for RunningOutput {
    fn drop(&mut self) {
        self.feed.close();
        self.join(Instant::now() + END + END);
    }
}

/// Asks for key frames where the encoder gives them more rarely than receivers need.
pub(crate) struct KeyClock {
    every: Option<Duration>,
    last: Option<i64>,
}

impl KeyClock {
    /// One at least every so often; `None`: as the encoder gives them.
    pub fn new(every: Option<Duration>) -> KeyClock {
        KeyClock { every, last: None }
    }

    /// Looks at the next unit of `feed`.
    pub fn tick(&mut self, unit: &AccessUnit, feed: &Feed) {
        let Some(every) = self.every else { return };
        let every = i64::try_from(every.as_nanos()).unwrap_or(i64::MAX);
        if unit.random_access || self.last.is_some_and(|last| unit.pts.0 - last >= every) {
            if !unit.random_access {
                feed.request_key();
            }
            self.last = Some(unit.pts.0);
        }
    }
}
