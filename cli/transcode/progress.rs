//! How far a run is: figures from the queue's events, and the bars that show them.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use vitrail_engine::transcode::job::{JobEvent, Stage};

use crate::mosaic::clock;
use crate::terminal::Terminal;

/// How far one job is. Seconds are of video, unless they are called otherwise.
#[derive(Clone, Copy, Debug, Default)]
struct Job {
    of_s: Option<f64>,
    done_s: f64,
    /// What was done before this run, and the second of the run at which it began.
    began: Option<(f64, f64)>,
    stage: Option<Stage>,
    ended: bool,
}

/// How far something is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Seconds of video that are done.
    pub done_s: f64,
    /// Seconds of video in all; for a whole run guessed from the jobs that are known.
    pub of_s: f64,
    /// Seconds of video a second, of this run's own work.
    pub speed: Option<f64>,
    /// Seconds until the end.
    pub left_s: Option<f64>,
}

/// How far all jobs are. Pure: whoever calls brings the time.
#[derive(Debug)]
pub struct Tally {
    jobs: Vec<Job>,
}

impl Tally {
    /// So many jobs, none begun.
    pub fn new(jobs: usize) -> Tally {
        Tally { jobs: vec![Job::default(); jobs] }
    }

    /// Takes an event, `now_s` seconds after the start of the run.
    pub fn take(&mut self, event: &JobEvent, now_s: f64) {
        let number = match event {
            JobEvent::Planned { job, .. }
            | JobEvent::Progress { job, .. }
            | JobEvent::Stage { job, .. }
            | JobEvent::Finished { job }
            | JobEvent::Note { job, .. } => *job,
        };
        let Some(job) = self.jobs.get_mut(number) else { return };
        match event {
            JobEvent::Planned { plan, .. } => job.of_s = Some(plan.video_s),
            JobEvent::Progress { done_s, of_s, .. } => {
                job.began.get_or_insert((*done_s, now_s));
                (job.done_s, job.of_s) = (*done_s, Some(*of_s));
            }
            JobEvent::Stage { stage, .. } => job.stage = Some(*stage),
            JobEvent::Finished { .. } => {
                // A job that failed is as far as it will ever be.
                job.ended = true;
                job.done_s = job.of_s.unwrap_or(0.0);
            }
            JobEvent::Note { .. } => {}
        }
    }

    /// How far one job is.
    pub fn job(&self, number: usize, now_s: f64) -> Option<Figures> {
        let job = self.jobs.get(number)?;
        let speed = job.began.and_then(|(before, at)| per_second(job.done_s - before, now_s - at));
        Some(figures(job.done_s, job.of_s?, speed))
    }

    /// How far all are.
    pub fn all(&self, now_s: f64) -> Figures {
        let known: Vec<f64> = self.jobs.iter().filter_map(|job| job.of_s).collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        // A job that ended before it was known (an unreadable file) has nothing to come.
        let length = |job: &Job| job.of_s.unwrap_or(if job.ended { 0.0 } else { mean });
        let of_s: f64 = self.jobs.iter().map(length).sum();
        let done_s: f64 = self.jobs.iter().map(|job| job.done_s).sum();
        let own: f64 = self.jobs.iter().filter_map(|job| Some(job.done_s - job.began?.0)).sum();
        figures(done_s, of_s, per_second(own, now_s))
    }

    /// How many have ended.
    pub fn ended(&self) -> usize {
        self.jobs.iter().filter(|job| job.ended).count()
    }

    fn stage(&self, number: usize) -> &'static str {
        match self.jobs.get(number).and_then(|job| job.stage) {
            Some(Stage::Scanning) => "scanning",
            Some(Stage::Encoding) => "encoding",
            Some(Stage::Joining) => "joining",
            Some(Stage::Checking) => "checking",
            None => "",
        }
    }
}

/// So many seconds must be seen before a speed is told: a decoder is ahead of its encoder at first.
const SEEN: f64 = 1.5;

fn per_second(done: f64, seconds: f64) -> Option<f64> {
    (done > 0.0 && seconds >= SEEN).then(|| done / seconds)
}

fn figures(done_s: f64, of_s: f64, speed: Option<f64>) -> Figures {
    let done_s = done_s.min(of_s);
    Figures { done_s, of_s, speed, left_s: speed.map(|speed| (of_s - done_s) / speed) }
}

/// `0:12 left`.
fn left(figures: &Figures) -> Option<String> {
    figures.left_s.map(|left| format!("{} left", clock(left)))
}

/// `2.3x`.
fn speed(figures: &Figures) -> Option<String> {
    figures.speed.map(|speed| format!("{speed:.1}x"))
}

/// Parts of a line that are there, two spaces apart.
fn joined(parts: &[Option<String>]) -> String {
    let there: Vec<&str> = parts.iter().flatten().map(String::as_str).filter(|p| !p.is_empty()).collect();
    there.join("  ")
}

/// Columns of a bar, and those that are left for its text behind ` 100 %  `.
fn layout(columns: usize) -> (usize, usize) {
    let bar = (columns / 5).clamp(5, 24);
    (bar, columns.saturating_sub(bar + 8))
}

/// What is said of a job in so many columns: where they are few, first its stage goes, then its speed;
/// of its name the end is kept, which tells it from others.
fn told(stage: &str, figures: Option<&Figures>, name: &str, columns: usize) -> String {
    let (speed, left) = (figures.and_then(speed), figures.and_then(left));
    let stage = Some(stage.to_owned());
    let file = name.rsplit('/').next().unwrap_or(name);
    // What a name needs to be known by.
    let enough = file.chars().count().min(20);
    let heads =
        [joined(&[stage, speed.clone(), left.clone()]), joined(&[speed, left.clone()]), joined(&[left])];
    let room = |head: &String| columns.saturating_sub(head.chars().count() + 2);
    let head = heads.iter().find(|head| room(head) >= enough).cloned().unwrap_or_default();
    let room = if head.is_empty() { columns } else { room(&head) };
    joined(&[Some(head), Some(ending(name, room))])
}

/// The end of a text in so many columns.
fn ending(text: &str, columns: usize) -> String {
    let length = text.chars().count();
    if length <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(length + 1 - columns.min(length)).collect();
    if columns == 0 { kept } else { format!("…{kept}") }
}

/// A bar for each job that runs, and below them one for all; nothing where there is no terminal.
pub struct Bars {
    terminal: Terminal,
    names: Vec<String>,
    start: Instant,
    all: ProgressBar,
    state: Mutex<State>,
}

struct State {
    tally: Tally,
    bars: Vec<Option<ProgressBar>>,
}

impl Bars {
    /// For jobs of these names.
    pub fn new(terminal: &Terminal, names: Vec<String>) -> Bars {
        let state = State { tally: Tally::new(names.len()), bars: vec![None; names.len()] };
        let all = terminal.status_line();
        styled(&all, layout(terminal.columns()).0);
        Bars { terminal: terminal.clone(), names, start: Instant::now(), all, state: Mutex::new(state) }
    }

    /// Shows an event.
    pub fn show(&self, event: &JobEvent) {
        let now = self.start.elapsed().as_secs_f64();
        let mut state = self.state.lock();
        state.tally.take(event, now);
        match event {
            JobEvent::Stage { job, .. } | JobEvent::Planned { job, .. } | JobEvent::Progress { job, .. } => {
                self.line(&mut state, *job, now);
            }
            JobEvent::Finished { job } => {
                if let Some(bar) = state.bars.get_mut(*job).and_then(Option::take) {
                    bar.finish_and_clear();
                }
            }
            JobEvent::Note { .. } => {}
        }
        let all = state.tally.all(now);
        set(&self.all, &all);
        let files = format!("{}/{} files", state.tally.ended(), self.names.len());
        self.all.set_message(joined(&[Some(files), left(&all), speed(&all)]));
    }

    fn line(&self, state: &mut State, job: usize, now: f64) {
        let (figures, stage) = (state.tally.job(job, now), state.tally.stage(job));
        let (Some(name), Some(bar)) = (self.names.get(job), state.bars.get_mut(job)) else { return };
        let bar = bar.get_or_insert_with(|| {
            let bar = self.terminal.line_above(&self.all);
            styled(&bar, layout(self.terminal.columns()).0);
            bar
        });
        let (_, columns) = layout(self.terminal.columns());
        if let Some(figures) = &figures {
            set(bar, figures);
        }
        bar.set_message(told(stage, figures.as_ref(), name, columns));
    }

    /// Takes the bars away.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        for bar in state.bars.iter_mut().filter_map(Option::take) {
            bar.finish_and_clear();
        }
        self.all.finish_and_clear();
    }
}

fn styled(bar: &ProgressBar, columns: usize) {
    if let Ok(style) =
        ProgressStyle::with_template(&format!("{{bar:{columns}}} {{percent:>3}} %  {{wide_msg}}"))
    {
        bar.set_style(style);
    }
}

/// Thousandths of a second are fine enough for a bar.
fn set(bar: &ProgressBar, figures: &Figures) {
    bar.set_length((figures.of_s * 1e3) as u64);
    bar.set_position((figures.done_s * 1e3) as u64);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use vitrail_engine::transcode::job::JobPlan;

    use super::*;

    fn planned(job: usize, video_s: f64) -> JobEvent {
        JobEvent::Planned { job, plan: JobPlan { video_s, ..JobPlan::default() } }
    }

    #[test]
    fn speed_and_time_left_are_those_of_this_run() {
        let mut tally = Tally::new(3);
        tally.take(&planned(0, 100.0), 0.0);
        tally.take(&planned(1, 50.0), 0.0);
        // Half of the first was there from an earlier run.
        tally.take(&JobEvent::Progress { job: 0, done_s: 50.0, of_s: 100.0 }, 1.0);
        assert_eq!(tally.job(0, 1.0).unwrap().speed, None);
        tally.take(&JobEvent::Progress { job: 0, done_s: 70.0, of_s: 100.0 }, 11.0);
        let job = tally.job(0, 11.0).unwrap();
        assert_eq!((job.speed, job.left_s), (Some(2.0), Some(15.0)));
        let all = tally.all(10.0);
        // The third is taken to be as long as the two that are known.
        assert_eq!((all.done_s, all.of_s, all.speed), (70.0, 225.0, Some(2.0)));
        assert_eq!(all.left_s, Some(77.5));
    }

    #[test]
    fn what_failed_is_over_and_what_was_unreadable_counts_nothing() {
        let mut tally = Tally::new(2);
        tally.take(&JobEvent::Finished { job: 0 }, 0.1);
        tally.take(&planned(1, 10.0), 0.2);
        tally.take(&JobEvent::Progress { job: 1, done_s: 4.0, of_s: 10.0 }, 0.3);
        assert_eq!((tally.all(1.0).of_s, tally.ended()), (10.0, 1));
        tally.take(&JobEvent::Finished { job: 1 }, 0.4);
        assert_eq!((tally.all(1.0).done_s, tally.ended()), (10.0, 2));
        // An event of nobody is no reason to fall.
        tally.take(&JobEvent::Finished { job: 9 }, 0.5);
        assert!(tally.job(9, 0.5).is_none());
    }

    #[test]
    fn nothing_known_shows_nothing() {
        let tally = Tally::new(2);
        let all = tally.all(0.0);
        assert_eq!((all.done_s, all.of_s, all.speed, all.left_s), (0.0, 0.0, None, None));
        assert_eq!((left(&all), speed(&all)), (None, None));
    }

    #[test]
    fn a_line_says_what_there_is_room_for() {
        let figures = Figures { done_s: 20.0, of_s: 100.0, speed: Some(2.5), left_s: Some(32.0) };
        let line = |columns| told("encoding", Some(&figures), "/data/north/gate-2026-11-24.mp4", columns);
        assert_eq!(line(60), "encoding  2.5x  0:32 left  /data/north/gate-2026-11-24.mp4");
        assert_eq!(line(50), "encoding  2.5x  0:32 left  …th/gate-2026-11-24.mp4");
        assert_eq!(line(40), "2.5x  0:32 left  …th/gate-2026-11-24.mp4");
        assert_eq!(line(32), "0:32 left  …/gate-2026-11-24.mp4");
        assert_eq!(line(20), "…gate-2026-11-24.mp4");
        for columns in 0..80 {
            assert!(line(columns).chars().count() <= columns, "{columns}: {}", line(columns));
        }
        assert_eq!(told("scanning", None, "ä/ö.mp4", 40), "scanning  ä/ö.mp4");
        assert_eq!((layout(100), layout(40), layout(10)), ((20, 72), (8, 24), (5, 0)));
    }
}
