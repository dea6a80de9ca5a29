//! `vitrail transcode`: files into another form; arguments, wiring and printing.

mod args;
mod dry;
mod inputs;
mod lines;
mod names;
mod pattern;
mod progress;
mod streams;
mod summary;
mod targets;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use vitrail_engine::base::files::write_whole;
use vitrail_engine::base::{Shutdown, SystemClock, memory_ffi};
use vitrail_engine::config::{EvidenceSpec, JobSpec, job_schema};
use vitrail_engine::transcode::job::{
    Evidence, JobEvent, JobOutcome, JobPlan, QueueOptions, plan_only, run_all,
};
use vitrail_engine::transcode::spec::TranscodeSpec;
use vitrail_engine::{Error, ErrorKind, Result};

use crate::mosaic::INTERRUPTED;
use crate::terminal::{self, Terminal};

pub use args::Args;
use dry::Planned;
use lines::Lines;
use names::Name;
use progress::Bars;
use streams::Recordings;
use summary::Entry;
use targets::{Folders, Todo, What};

/// Does what was asked for; the exit code says how it ended.
pub fn run(mut args: Args, terminal: &Terminal) -> Result<ExitCode> {
    if args.job_schema {
        print!("{}", job_schema());
        return Ok(ExitCode::SUCCESS);
    }
    let stop = terminal::shutdown_on_signal()?;
    memory_ffi::keep_freed();
    if let Some(report) = &args.report {
        folder_is_there(report)?;
    }
    let mut recordings = Recordings::default();
    let code = match streams::record(&mut args, &mut recordings, terminal, &stop) {
        Ok(true) => read_and_make(&args, terminal, &stop),
        Ok(false) => Ok(if stop.is_cancelled() { INTERRUPTED } else { 0 }),
        Err(error) => Err(error),
    };
    let of_streams = recordings.are_any();
    if !matches!(code, Ok(0)) {
        recordings.keep();
    }
    if matches!(code, Ok(INTERRUPTED)) && !args.dry_run && !of_streams {
        eprintln!("vitrail: interrupted; the same command goes on where it was (--fresh starts over)");
    }
    code.map(ExitCode::from)
}

/// Finds the files, and makes of them what was asked for or says what would be made.
fn read_and_make(args: &Args, terminal: &Terminal, stop: &Shutdown) -> Result<u8> {
    let spec = args.specify()?;
    let list = targets::list(&spec, &mut inputs::standard_input)?;
    for warning in &list.warnings {
        tracing::warn!("{warning}");
    }
    let options = queue_options(&spec);
    if args.dry_run {
        return dry_run(list.todo, args, &mut |job| plan_only(job, &options, stop), stop);
    }
    make(list.todo, args, terminal, &mut |jobs, events| {
        run_all(jobs, &options, &SystemClock::shared(), stop, events)
    })
}

/// A report that cannot be written would be found out after hours.
fn folder_is_there(report: &Path) -> Result<()> {
    let folder = report.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_none_or(Path::is_dir) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Io, report.display().to_string(), "cannot be written: its folder is missing"))
}

fn queue_options(spec: &JobSpec) -> QueueOptions {
    let evidence = spec.evidence.clone().map(|EvidenceSpec { key, reason, reference, operator }| Evidence {
        key,
        reason,
        reference,
        operator,
    });
    QueueOptions { workers: spec.workers, fresh: spec.fresh, evidence, ..QueueOptions::default() }
}

/// Runs the jobs of a queue; tests bring their own.
type RunAll<'a> = dyn FnMut(&[TranscodeSpec], &(dyn Fn(JobEvent) + Sync)) -> Vec<JobOutcome> + 'a;

/// Shows what happens, as people or programs want it.
enum Watch {
    People { bars: Bars, names: Vec<Name> },
    Programs(Lines<std::io::Stdout>),
}

impl Watch {
    fn new(args: &Args, terminal: &Terminal, todo: &[Todo]) -> Watch {
        if args.json {
            let names = todo.iter().map(|todo| (todo.input.clone(), todo.output.clone())).collect();
            return Watch::Programs(Lines::new(std::io::stdout(), names));
        }
        let names: Vec<Name> = todo.iter().map(|todo| todo.input.clone()).collect();
        Watch::People { bars: Bars::new(terminal, names.iter().map(Name::to_string).collect()), names }
    }

    fn show(&self, event: &JobEvent) {
        match self {
            Watch::Programs(lines) => lines.show(event),
            Watch::People { bars, names } => {
                bars.show(event);
                let name = |job: usize| names.get(job).cloned().unwrap_or_default();
                match event {
                    JobEvent::Note { job, text } => tracing::warn!("{}: {text}", name(*job)),
                    JobEvent::Planned { job, plan } => {
                        for warning in &plan.warnings {
                            tracing::warn!("{}: {warning}", name(*job));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn end(self, entries: &[Entry], wall_s: f64) {
        match self {
            Watch::Programs(lines) => drop(lines.end(entries, wall_s)),
            Watch::People { bars, .. } => {
                bars.clear();
                println!("{}", summary::table(entries, wall_s));
            }
        }
    }
}

fn make(todo: Vec<Todo>, args: &Args, terminal: &Terminal, run_all: &mut RunAll<'_>) -> Result<u8> {
    let start = Instant::now();
    let watch = Watch::new(args, terminal, &todo);
    let entries = work(todo, &|event| watch.show(&event), run_all);
    let wall_s = start.elapsed().as_secs_f64();
    watch.end(&entries, wall_s);
    if let Some(path) = &args.report {
        let json = serde_json::to_vec_pretty(&lines::report(&entries, wall_s)).map_err(|e| {
            Error::new(ErrorKind::Internal, "report", "cannot be written as JSON").caused_by(e)
        })?;
        write_whole(path, &json)?;
    }
    Ok(summary::exit_code(&entries))
}

/// Hands to the queue what is to be run, and puts the outcomes where they belong. Events name files by
/// their number in `todo`.
fn work(todo: Vec<Todo>, events: &(dyn Fn(JobEvent) + Sync), run_all: &mut RunAll<'_>) -> Vec<Entry> {
    let mut folders = Folders::default();
    let (mut jobs, mut numbers) = (Vec::new(), Vec::new());
    let mut entries = Vec::with_capacity(todo.len());
    for (number, Todo { input, output, what }) in todo.into_iter().enumerate() {
        let outcome = match what {
            What::Fail(error) => JobOutcome::Failed(error),
            What::Skip(why) => JobOutcome::Skipped(why),
            What::Run(job) => match folders.make_for(job.target.path()) {
                Err(error) => JobOutcome::Failed(error),
                Ok(()) => {
                    jobs.push(*job);
                    numbers.push(number);
                    JobOutcome::Interrupted
                }
            },
        };
        if numbers.last() != Some(&number) {
            events(JobEvent::Finished { job: number });
        }
        entries.push(Entry { input, output, outcome });
    }
    let renumbered = |event: JobEvent| {
        if let Some(event) = numbered(event, &numbers) {
            events(event);
        }
    };
    let outcomes = if jobs.is_empty() { Vec::new() } else { run_all(&jobs, &renumbered) };
    for (number, outcome) in numbers.iter().zip(outcomes) {
        let entry = &mut entries[*number];
        entry.outcome = match outcome {
            // It appeared while the queue ran; what was there before has been looked for already.
            JobOutcome::Skipped(_) => JobOutcome::Failed(targets::is_there_already(&entry.output)),
            other => other,
        };
    }
    folders.tidy();
    entries
}

/// The same event of the file with that number; `None` for a job that nobody knows.
fn numbered(event: JobEvent, numbers: &[usize]) -> Option<JobEvent> {
    let number = |job: usize| numbers.get(job).copied();
    Some(match event {
        JobEvent::Planned { job, plan } => JobEvent::Planned { job: number(job)?, plan },
        JobEvent::Progress { job, done_s, of_s } => JobEvent::Progress { job: number(job)?, done_s, of_s },
        JobEvent::Stage { job, stage } => JobEvent::Stage { job: number(job)?, stage },
        JobEvent::Finished { job } => JobEvent::Finished { job: number(job)? },
        JobEvent::Note { job, text } => JobEvent::Note { job: number(job)?, text },
    })
}

/// Plans all and prints the plans; writes nothing.
fn dry_run(
    todo: Vec<Todo>,
    args: &Args,
    plan: &mut dyn FnMut(&TranscodeSpec) -> Result<JobPlan>,
    stop: &Shutdown,
) -> Result<u8> {
    let start = Instant::now();
    let mut plans = Vec::with_capacity(todo.len());
    for Todo { input, output, what } in todo {
        let planned = match what {
            What::Fail(error) => Planned::Failed(error),
            What::Skip(why) => Planned::Skipped(why),
            What::Run(job) => match plan(&job) {
                Ok(plan) => Planned::Run(Box::new(plan)),
                Err(error) => Planned::Failed(error),
            },
        };
        if stop.is_cancelled() {
            eprintln!("vitrail: interrupted; nothing was written");
            return Ok(INTERRUPTED);
        }
        plans.push(dry::Line { input, output, planned });
    }
    if args.json {
        let names = plans.iter().map(|line| (line.input.clone(), line.output.clone())).collect();
        Lines::new(std::io::stdout(), names).end_of_plans(&plans, start.elapsed().as_secs_f64());
    } else {
        println!("{}", dry::describe(&plans));
    }
    Ok(dry::exit_code(&plans))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use parking_lot::Mutex;

    use vitrail_engine::transcode::job::{JobReport, Stage};

    use super::*;

    fn todo(dir: &Path, name: &str) -> Todo {
        let options: [(&str, String); 0] = [];
        let spec = JobSpec::from_options(&["in.avi".into()], "out", &options).unwrap();
        let output = dir.join(name).join("out.mp4");
        let job = spec.tasks[0].job("in.avi".into(), output.clone());
        Todo { input: name.into(), output: output.as_path().into(), what: What::Run(Box::new(job)) }
    }

    #[test]
    fn outcomes_and_events_belong_to_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let broken = Error::new(ErrorKind::Io, "b", "cannot be read");
        let list = vec![
            Todo { input: "b".into(), output: Name::default(), what: What::Fail(broken) },
            todo(dir.path(), "c"),
            Todo { input: "d".into(), output: "d.mp4".into(), what: What::Skip("is there already".into()) },
            todo(dir.path(), "e"),
            todo(dir.path(), "f"),
            todo(dir.path(), "g"),
        ];
        let seen = Mutex::new(Vec::new());
        let events = |event: JobEvent| {
            let line = match event {
                JobEvent::Stage { job, .. } => format!("stage {job}"),
                JobEvent::Finished { job } => format!("finished {job}"),
                other => format!("{other:?}"),
            };
            seen.lock().push(line);
        };
        let entries = work(list, &events, &mut |jobs, events| {
            assert_eq!(jobs.len(), 4);
            assert!(jobs.iter().all(|job| job.target.path().parent().unwrap().is_dir()));
            std::fs::write(jobs[0].target.path(), "x").unwrap();
            events(JobEvent::Stage { job: 1, stage: Stage::Encoding });
            events(JobEvent::Finished { job: 0 });
            events(JobEvent::Finished { job: 7 });
            vec![
                JobOutcome::Done(JobReport::default()),
                JobOutcome::Skipped("is there".into()),
                JobOutcome::Failed(Error::new(ErrorKind::Corrupt, "f", "is empty")),
            ]
        });
        let seen = seen.into_inner();
        assert_eq!(seen, ["finished 0", "finished 2", "stage 3", "finished 1"]);
        let results: Vec<&str> = entries
            .iter()
            .map(|entry| match &entry.outcome {
                JobOutcome::Done(_) => "done",
                JobOutcome::Failed(error) if error.message().contains("--overwrite") => "appeared",
                JobOutcome::Failed(_) => "failed",
                JobOutcome::Skipped(_) => "skipped",
                JobOutcome::Interrupted => "interrupted",
            })
            .collect();
        assert_eq!(results, ["failed", "done", "skipped", "appeared", "failed", "interrupted"]);
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["c"], "folders that stayed empty are gone");
    }
}
