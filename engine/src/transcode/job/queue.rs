//! Many jobs on all cores: whoever has time takes the next piece of the first job that has one. A failed
//! job stops no other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::plan::Share;
use super::report::*;

use super::segment::SegmentOutcome;
use super::task::Task;
use super::{finish, prepare, sample, segment, sound};
use crate::base::{Error, ErrorKind, Moment, Result, SharedClock, Shutdown, cpu};
use crate::transcode::files::folder;
use crate::transcode::files::record::Note;
use crate::transcode::input::held::HeldSource;
use crate::transcode::spec::{Target, TranscodeSpec};

/// Runs all jobs to their end, or until `stop`; the outcomes are in the order of the jobs.
pub fn run_all(
    jobs: &[TranscodeSpec],
    options: &QueueOptions,
    clock: &SharedClock,
    stop: &Shutdown,
    events: &(dyn Fn(JobEvent) + Sync),
) -> Vec<JobOutcome> {
    let workers = options.workers.unwrap_or_else(cpu::cores).max(1);
    let share = (workers / jobs.len().max(1)).max(1);
    let board = Board {
        jobs: Mutex::new(jobs.iter().map(|_| JobState::new(stop)).collect()),
        moved: Condvar::new(),
        specs: jobs,
        options,
        clock,
        events,
        share,
        open: workers + 1,
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| board.work());
        }
    });
    let states = board.jobs.into_inner();
    states.into_iter().map(|state| state.outcome.unwrap_or(JobOutcome::Interrupted)).collect()
}

/// Reads the source of a job and encodes short samples of it: what would be done, how long it would take
/// and how large the result would be. Nothing is written where the target goes.
///
/// # Errors
/// What the job itself would fail with before it begins.
pub fn plan_only(job: &TranscodeSpec, options: &QueueOptions, stop: &Shutdown) -> Result<JobPlan> {
    let workers = options.workers.unwrap_or_else(cpu::cores).max(1);
    let interrupted = || Error::new(ErrorKind::Io, job.input.display().to_string(), "interrupted");
    let source = Arc::new(HeldSource::open(&job.input)?);
    let planned =
        prepare::look(job, source, Share { threads: workers, workers }, stop)?.ok_or_else(interrupted)?;
    let mut plan = prepare::plan_of(&planned);
    plan.predicted = sample::predict(job, planned, workers, stop)?;
    Ok(plan)
}

/// Whether the target that is there was made by a run of the same job that was killed after its last
/// step; what it left beside it is removed then.
pub fn finished_before(target: &Target) -> bool {
    folder::was_finished(target)
}

/// Where a job stands.
struct JobState {
    phase: Phase,
    task: Option<Arc<Task>>,
    /// Ends its pieces early when one of them failed.
    stop: Shutdown,
    segments: Vec<PieceState>,
    sound: PieceState,
    /// Pieces that are being made now.
    busy: usize,
    decoded: u64,
    damaged: u64,
    resumed: usize,
    begun: Option<Moment>,
    cpu: Duration,
    notes: Vec<String>,
    failure: Option<Error>,
    progress: Arc<Progress>,
    outcome: Option<JobOutcome>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Preparing,
    Running,
    Completing,
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PieceState {
    Waiting,
    Busy,
    Done,
}

/// How far a job is, told by many workers.
#[derive(Default)]
struct Progress {
    pictures: AtomicU64,
    told: AtomicI64,
}

/// A piece of work.
enum Piece {
    Prepare,
    Sound(Arc<Task>),
    Segment(Arc<Task>, usize),
    Complete(Arc<Task>),
}

/// What came of it.
enum PieceResult {
    Prepared(Box<prepare::Prepared>),
    Sound,
    Segment(usize, SegmentOutcome),
    Completed(Box<JobReport>),
    Stopped,
}

struct Board<'a> {
    jobs: Mutex<Vec<JobState>>,
    moved: Condvar,
    specs: &'a [TranscodeSpec],
    options: &'a QueueOptions,
    clock: &'a SharedClock,
    events: &'a (dyn Fn(JobEvent) + Sync),
    share: usize,
    /// Jobs that may be open at a time.
    open: usize,
}

impl JobState {
    fn new(stop: &Shutdown) -> JobState {
        JobState {
            phase: Phase::Waiting,
            task: None,
            stop: stop.child_token(),
            segments: Vec::new(),
            sound: PieceState::Waiting,
            busy: 0,
            decoded: 0,
            damaged: 0,
            resumed: 0,
            begun: None,
            cpu: Duration::ZERO,
            notes: Vec::new(),
            failure: None,
            progress: Arc::default(),
            outcome: None,
        }
    }

    fn next(&mut self) -> Option<Piece> {
        if self.failure.is_some() || self.stop.is_cancelled() {
            return None;
        }
        let task = self.task.clone();
        match (self.phase, task) {
            (Phase::Waiting, _) => {
                self.phase = Phase::Preparing;
                Some(Piece::Prepare)
            }
            (Phase::Running, Some(task)) => {
                if self.sound == PieceState::Waiting {
                    self.sound = PieceState::Busy;
                    return Some(Piece::Sound(task));
                }
                let next = self.segments.iter().position(|p| *p == PieceState::Waiting);
                let ready = |index: &usize| {
                    self.segments[..task.plan.needs(*index)].iter().all(|p| *p == PieceState::Done)
                };
                if let Some(index) = next.filter(ready) {
                    self.segments[index] = PieceState::Busy;
                    return Some(Piece::Segment(task, index));
                }
                let whole =
                    self.sound == PieceState::Done && self.segments.iter().all(|p| *p == PieceState::Done);
                whole.then(|| {
                    self.phase = Phase::Completing;
                    Piece::Complete(task)
                })
            }
            _ => None,
        }
    }
}

impl Board<'_> {
    fn lock(&self) -> MutexGuard<'_, Vec<JobState>> {
        self.jobs.lock()
    }

    /// What one worker does until nothing is left.
    fn work(&self) {
        while let Some((job, piece)) = self.take() {
            let begun = cpu::thread_time();
            let result = catch_unwind(AssertUnwindSafe(|| self.run(job, piece))).unwrap_or_else(|_| {
                let subject = self.specs[job].input.display().to_string();
                Err(Error::new(ErrorKind::Internal, subject, "broke a part of the program; report it"))
            });
            self.put(job, result, cpu::thread_time().saturating_sub(begun));
        }
    }

    /// The next piece of the first job that has one; waits while others may bring some.
    fn take(&self) -> Option<(usize, Piece)> {
        let mut jobs = self.lock();
        loop {
            let mut open = 0;
            for job in 0..jobs.len() {
                if open >= self.open {
                    break;
                }
                if let Some(piece) = jobs[job].next() {
                    jobs[job].busy += 1;
                    if jobs[job].begun.is_none() {
                        jobs[job].begun = Some(self.clock.now());
                    }
                    return Some((job, piece));
                }
                open += usize::from(jobs[job].phase != Phase::Over);
            }
            if jobs.iter().all(|j| j.busy == 0) {
                self.moved.notify_all();
                return None;
            }
            self.moved.wait(&mut jobs);
        }
    }

    fn run(&self, job: usize, piece: Piece) -> Result<PieceResult> {
        let (stop, progress) = {
            let jobs = self.lock();
            (jobs[job].stop.clone(), jobs[job].progress.clone())
        };
        let stage = |stage| (self.events)(JobEvent::Stage { job, stage });
        match piece {
            Piece::Prepare => {
                stage(Stage::Scanning);
                let prepared = prepare::prepare(&self.specs[job], self.options, self.share, &stop)?;
                let Some(prepared) = prepared else { return Ok(PieceResult::Stopped) };
                (self.events)(JobEvent::Planned { job, plan: prepared.plan.clone() });
                stage(Stage::Encoding);
                Ok(PieceResult::Prepared(Box::new(prepared)))
            }
            Piece::Sound(task) => {
                Ok(if sound::make(&task, &stop)? { PieceResult::Sound } else { PieceResult::Stopped })
            }
            Piece::Segment(task, index) => {
                let all: u64 = task.plan.segments.iter().map(|s| s.pictures).sum();
                let of_s = task.footage.seconds(task.plan.range.end - task.plan.range.start);
                let advanced = |_| {
                    let done = progress.pictures.fetch_add(1, Ordering::Relaxed) + 1;
                    self.tell(job, &progress, done as f64 / all.max(1) as f64 * of_s, of_s);
                };
                let outcome = segment::make(&task, index, &stop, &advanced)?;
                Ok(outcome.map_or(PieceResult::Stopped, |outcome| PieceResult::Segment(index, outcome)))
            }
            Piece::Complete(task) => {
                stage(Stage::Joining);
                let checking = || stage(Stage::Checking);
                let report = finish::complete(&task, self.options, self.clock, &stop, &checking)?;
                Ok(report.map_or(PieceResult::Stopped, |report| PieceResult::Completed(Box::new(report))))
            }
        }
    }

    /// At most ten times a second.
    fn tell(&self, job: usize, progress: &Progress, done_s: f64, of_s: f64) {
        let now = i64::try_from(self.clock.now().0 / 100_000_000).unwrap_or(i64::MAX);
        if progress.told.swap(now, Ordering::Relaxed) != now {
            (self.events)(JobEvent::Progress { job, done_s, of_s });
        }
    }

    fn put(&self, job: usize, result: Result<PieceResult>, cpu: Duration) {
        let mut jobs = self.lock();
        let state = &mut jobs[job];
        state.busy -= 1;
        state.cpu += cpu;
        match result {
            Ok(PieceResult::Prepared(prepared)) => self.begin(state, *prepared),
            Ok(PieceResult::Sound) => state.sound = PieceState::Done,
            Ok(PieceResult::Segment(index, outcome)) => {
                state.segments[index] = PieceState::Done;
                state.decoded += outcome.decoded;
                state.damaged += outcome.damaged;
                self.judge(state);
            }
            Ok(PieceResult::Completed(report)) => self.succeed(state, *report),
            Ok(PieceResult::Stopped) => state.stop.cancel(),
            Err(error) => {
                // What follows from the first failure says less than it.
                state.failure.get_or_insert(error);
                state.stop.cancel();
            }
        }
        if state.phase != Phase::Over && state.busy == 0 && state.stop.is_cancelled() {
            self.give_up(state);
        }
        let over = state.phase == Phase::Over;
        drop(jobs);
        if over {
            (self.events)(JobEvent::Finished { job });
        }
        self.moved.notify_all();
    }

    fn begin(&self, state: &mut JobState, prepared: prepare::Prepared) {
        let piece = |done: &Option<Note>| if done.is_some() { PieceState::Done } else { PieceState::Waiting };
        state.segments = prepared.done.iter().map(piece).collect();
        // A run that was killed judged nothing: what it found counts here.
        for Note { decoded, damaged, .. } in prepared.done.iter().flatten() {
            state.resumed += 1;
            state.decoded += decoded;
            state.damaged += damaged;
        }
        state.progress.pictures.store(state.decoded, Ordering::Relaxed);
        state.notes.extend(prepared.plan.warnings.iter().cloned());
        state.task = Some(prepared.task);
        state.phase = Phase::Running;
        self.judge(state);
    }

    /// Looks at what could be decoded as soon as all segments are made.
    fn judge(&self, state: &mut JobState) {
        let Some(task) = &state.task else { return };
        if state.segments.iter().any(|piece| *piece != PieceState::Done) {
            return;
        }
        if let Err(error) = finish::judge(task, state.decoded) {
            state.failure.get_or_insert(error);
            state.stop.cancel();
        }
    }

    fn succeed(&self, state: &mut JobState, mut report: JobReport) {
        report.wall_s = state.begun.map_or(0.0, |begun| self.clock.now().since(begun).as_secs_f64());
        report.cpu_s = state.cpu.as_secs_f64();
        report.resumed_segments = state.resumed;
        report.missing_pictures = state.task.as_ref().map_or(0, |task| {
            task.plan.segments.iter().map(|s| s.pictures).sum::<u64>().saturating_sub(state.decoded)
        });
        report.notes = std::mem::take(&mut state.notes);
        if state.damaged > 0 {
            report.notes.push(format!("{} packets or pictures of the source are damaged", state.damaged));
        }
        self.end(state, JobOutcome::Done(report), false);
    }

    fn give_up(&self, state: &mut JobState) {
        match state.failure.take() {
            Some(error) => self.end(state, JobOutcome::Failed(error), false),
            None => self.end(state, JobOutcome::Interrupted, self.options.keep_work),
        }
    }

    fn end(&self, state: &mut JobState, outcome: JobOutcome, keep: bool) {
        if let Some(task) = state.task.take()
            && !keep
            && let Some(task) = Arc::into_inner(task)
        {
            task.work.remove();
        }
        state.phase = Phase::Over;
        state.outcome = Some(outcome);
    }
}
