//! `--json`: one object a line on standard output, for programs.

use std::io::Write;
use std::time::Instant;

use parking_lot::Mutex;
use serde::Serialize;
use vitrail_engine::transcode::job::{JobEvent, JobOutcome, JobPlan, JobReport, Stage};
use vitrail_engine::{Error, ErrorKind};

use super::dry::{self, Planned};
use super::names::Name;
use super::progress::Tally;
use super::summary::{Counts, Entry, counts, exit_code, one_line};

/// Seconds between two lines about the progress of one job.
const BETWEEN_S: f64 = 0.5;

/// A line. `job` counts the files from 0, in the order of the outcomes.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Planned { job: usize, input: &'a str, output: &'a str, plan: &'a JobPlan },
    Stage { job: usize, stage: Stage },
    Progress { job: usize, done_s: f64, of_s: f64, speed: Option<f64>, left_s: Option<f64> },
    Note { job: usize, text: &'a str },
    Finished { job: usize },
    Outcome(Outcome<'a>),
    Summary(Summary),
}

/// How one file ended.
#[derive(Serialize)]
pub struct Outcome<'a> {
    job: usize,
    input: &'a str,
    output: &'a str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a JobReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Trouble>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// What was wrong.
#[derive(Serialize)]
struct Trouble {
    kind: &'static str,
    exit_code: u8,
    message: String,
}

/// How all ended.
#[derive(Serialize)]
pub struct Summary {
    /// Of a dry run: how many would be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    planned: Option<usize>,
    #[serde(flatten)]
    counts: Counts,
    wall_s: f64,
    exit_code: u8,
}

/// What `--report` writes.
#[derive(Serialize)]
pub struct Report<'a> {
    version: &'static str,
    summary: Summary,
    jobs: Vec<Outcome<'a>>,
}

impl<'a> Outcome<'a> {
    fn of(job: usize, entry: &'a Entry) -> Outcome<'a> {
        let (input, output) = (entry.input.exact(), entry.output.exact());
        let bare = Outcome { job, input, output, result: "done", report: None, error: None, reason: None };
        match &entry.outcome {
            JobOutcome::Done(report) => Outcome { report: Some(report), ..bare },
            JobOutcome::Failed(error) => Outcome { result: "failed", error: Some(trouble(error)), ..bare },
            JobOutcome::Skipped(why) => Outcome { result: "skipped", reason: Some(why), ..bare },
            JobOutcome::Interrupted => Outcome { result: "interrupted", ..bare },
        }
    }
}

impl<'a> Outcome<'a> {
    fn of_plan(job: usize, line: &'a dry::Line) -> Option<Outcome<'a>> {
        let (input, output) = (line.input.exact(), line.output.exact());
        let bare = Outcome { job, input, output, result: "failed", report: None, error: None, reason: None };
        match &line.planned {
            Planned::Run(_) => None,
            Planned::Failed(error) => Some(Outcome { error: Some(trouble(error)), ..bare }),
            Planned::Skipped(why) => Some(Outcome { result: "skipped", reason: Some(why), ..bare }),
        }
    }
}

fn trouble(error: &Error) -> Trouble {
    let kind = match error.kind() {
        ErrorKind::Config => "config",
        ErrorKind::Unreachable => "unreachable",
        ErrorKind::Credentials => "credentials",
        ErrorKind::SessionLimit => "session-limit",
        ErrorKind::NotGranted => "not-granted",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Missing => "missing",
        ErrorKind::Io => "io",
        ErrorKind::Internal => "internal",
    };
    Trouble { kind, exit_code: error.kind().exit_code(), message: one_line(&error.to_string()) }
}

/// All outcomes.
pub fn report(entries: &[Entry], wall_s: f64) -> Report<'_> {
    Report {
        version: env!("CARGO_PKG_VERSION"),
        summary: summary(entries, wall_s),
        jobs: entries.iter().enumerate().map(|(job, entry)| Outcome::of(job, entry)).collect(),
    }
}

fn summary(entries: &[Entry], wall_s: f64) -> Summary {
    Summary { planned: None, counts: counts(entries), wall_s, exit_code: exit_code(entries) }
}

/// Writes lines as things happen.
pub struct Lines<W> {
    /// Source and target of each file.
    names: Vec<(Name, Name)>,
    start: Instant,
    state: Mutex<State<W>>,
}

struct State<W> {
    to: W,
    tally: Tally,
    /// When each job's progress was last told.
    told: Vec<f64>,
}

impl<W: Write> Lines<W> {
    /// For files of these names.
    pub fn new(to: W, names: Vec<(Name, Name)>) -> Lines<W> {
        let state = State { to, tally: Tally::new(names.len()), told: vec![f64::NEG_INFINITY; names.len()] };
        Lines { names, start: Instant::now(), state: Mutex::new(state) }
    }

    /// Writes an event, which names its job by the number of its file.
    pub fn show(&self, event: &JobEvent) {
        self.show_at(event, self.start.elapsed().as_secs_f64());
    }

    fn show_at(&self, event: &JobEvent, now: f64) {
        let mut state = self.state.lock();
        state.tally.take(event, now);
        let line = match event {
            JobEvent::Planned { job, plan } => {
                let Some((input, output)) = self.names.get(*job) else { return };
                Line::Planned { job: *job, input: input.exact(), output: output.exact(), plan }
            }
            JobEvent::Progress { job, done_s, of_s } => {
                let Some(told) = state.told.get_mut(*job) else { return };
                let whole = done_s >= of_s;
                if now - *told < BETWEEN_S && !whole {
                    return;
                }
                *told = now;
                let figures = state.tally.job(*job, now);
                let (speed, left_s) = figures.map_or((None, None), |f| (f.speed, f.left_s));
                Line::Progress { job: *job, done_s: *done_s, of_s: *of_s, speed, left_s }
            }
            JobEvent::Stage { job, stage } => Line::Stage { job: *job, stage: *stage },
            JobEvent::Finished { job } => Line::Finished { job: *job },
            JobEvent::Note { job, text } => Line::Note { job: *job, text },
        };
        write(&mut state.to, &line);
    }

    /// Writes how all ended.
    pub fn end(self, entries: &[Entry], wall_s: f64) -> W {
        let mut to = self.state.into_inner().to;
        for (job, entry) in entries.iter().enumerate() {
            write(&mut to, &Line::Outcome(Outcome::of(job, entry)));
        }
        write(&mut to, &Line::Summary(summary(entries, wall_s)));
        to
    }

    /// Writes what would be done.
    pub fn end_of_plans(self, plans: &[dry::Line], wall_s: f64) -> W {
        let mut to = self.state.into_inner().to;
        let mut counts = Counts::default();
        for (job, line) in plans.iter().enumerate() {
            let (input, output) = (line.input.exact(), line.output.exact());
            match &line.planned {
                Planned::Run(plan) => write(&mut to, &Line::Planned { job, input, output, plan }),
                Planned::Failed(_) => counts.failed += 1,
                Planned::Skipped(_) => counts.skipped += 1,
            }
            if let Some(outcome) = Outcome::of_plan(job, line) {
                write(&mut to, &Line::Outcome(outcome));
            }
        }
        let planned = Some(plans.len() - counts.failed - counts.skipped);
        let summary = Summary { planned, counts, wall_s, exit_code: dry::exit_code(plans) };
        write(&mut to, &Line::Summary(summary));
        to
    }
}

/// A reader that went away is no reason to stop the work.
fn write(to: &mut impl Write, line: &Line<'_>) {
    if let Ok(text) = serde_json::to_string(line) {
        let _ = writeln!(to, "{text}").and_then(|()| to.flush());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;

    use super::super::summary::tests::{done, failed, other};
    use super::*;

    fn values(bytes: &[u8]) -> Vec<Value> {
        String::from_utf8(bytes.to_vec()).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    #[test]
    fn every_line_is_an_object_that_says_what_it_is() {
        let names = vec![("in/a.avi".into(), "out/a.mp4".into()), ("in/b.avi".into(), "out/b.mp4".into())];
        let lines = Lines::new(Vec::new(), names);
        let plan =
            JobPlan { video_s: 15.0, pictures: 375, reason: "other codec".into(), ..JobPlan::default() };
        lines.show_at(&JobEvent::Stage { job: 0, stage: Stage::Scanning }, 0.0);
        lines.show_at(&JobEvent::Planned { job: 0, plan }, 0.0);
        for done in 0..=150 {
            let event = JobEvent::Progress { job: 0, done_s: f64::from(done) / 10.0, of_s: 15.0 };
            lines.show_at(&event, f64::from(done) / 100.0);
        }
        lines.show_at(&JobEvent::Note { job: 0, text: "NVENC is not here".into() }, 1.5);
        lines.show_at(&JobEvent::Finished { job: 0 }, 1.5);
        let entries = [done("a"), failed("b", ErrorKind::Corrupt)];
        let all = values(&lines.end(&entries, 1.6));
        let events: Vec<&str> = all.iter().map(|v| v["event"].as_str().unwrap()).collect();
        let mut expected = vec!["stage", "planned"];
        // 0, 0.5, 1.0 and the end, of 151 events.
        expected.extend(["progress"; 4]);
        expected.extend(["note", "finished", "outcome", "outcome", "summary"]);
        assert_eq!(events, expected);
        assert_eq!((&all[1]["input"], &all[1]["plan"]["pictures"]), (&"in/a.avi".into(), &375.into()));
        assert_eq!(all[0]["stage"], "scanning");
        // Too early to tell, and then told.
        assert!(all[4]["speed"].is_null(), "{}", all[4]);
        assert!((all[5]["speed"].as_f64().unwrap() - 10.0).abs() < 1e-9);
        assert!((all[5]["left_s"].as_f64().unwrap()).abs() < 1e-9);
        assert_eq!((&all[8]["result"], &all[8]["report"]["bytes"]), (&"done".into(), &1_234_567.into()));
        let error = &all[9]["error"];
        assert_eq!((&error["kind"], &error["exit_code"]), (&"corrupt".into(), &1.into()));
        assert_eq!(error["message"], "in/b.avi: is empty (two; lines)");
        assert_eq!(all[10]["failed"], 1);
        assert_eq!(all[10]["exit_code"], 6);
    }

    #[test]
    fn a_dry_run_tells_plans_and_troubles() {
        let line = |planned| dry::Line { input: "a".into(), output: "b".into(), planned };
        let plans = [
            line(Planned::Run(Box::default())),
            line(Planned::Failed(Error::new(ErrorKind::Io, "a", "cannot be read"))),
            line(Planned::Skipped("is there already".into())),
        ];
        let all = values(&Lines::new(Vec::new(), Vec::new()).end_of_plans(&plans, 1.0));
        let events: Vec<&str> = all.iter().map(|v| v["event"].as_str().unwrap()).collect();
        assert_eq!(events, ["planned", "outcome", "outcome", "summary"]);
        assert_eq!((&all[1]["job"], &all[1]["result"]), (&1.into(), &"failed".into()));
        assert_eq!((&all[3]["planned"], &all[3]["exit_code"]), (&1.into(), &6.into()));
    }

    #[test]
    fn the_report_has_every_outcome() {
        let entries = [
            done("a"),
            other("s", JobOutcome::Skipped("is there already".into())),
            other("i", JobOutcome::Interrupted),
        ];
        let report = serde_json::to_value(report(&entries, 3.0)).unwrap();
        let results: Vec<&str> =
            report["jobs"].as_array().unwrap().iter().map(|j| j["result"].as_str().unwrap()).collect();
        assert_eq!(results, ["done", "skipped", "interrupted"]);
        assert_eq!(report["jobs"][1]["reason"], "is there already");
        assert_eq!(report["summary"]["exit_code"], 130);
    }
}
