//! How a run ended: a line for each file, one for all, and the exit code.

use std::fmt::Write;

use vitrail_engine::Error;
use vitrail_engine::transcode::job::{JobOutcome, JobReport};
use vitrail_engine::transcode::spec::Verify;

use super::names::Name;
use crate::mosaic::{INTERRUPTED, clock};
use crate::terminal::shown;

/// Some jobs failed, others are done.
const SOME_FAILED: u8 = 6;

/// What became of one source.
#[derive(Debug)]
pub struct Entry {
    /// The source.
    pub input: Name,
    /// The target; empty where none was found out.
    pub output: Name,
    /// How it ended.
    pub outcome: JobOutcome,
}

/// How many ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// The target is there.
    pub done: usize,
    /// There is none.
    pub failed: usize,
    /// A target was there, and that is right.
    pub skipped: usize,
    /// Not finished.
    pub interrupted: usize,
}

pub fn counts(entries: &[Entry]) -> Counts {
    let mut counts = Counts::default();
    for entry in entries {
        match entry.outcome {
            JobOutcome::Done(_) => counts.done += 1,
            JobOutcome::Failed(_) => counts.failed += 1,
            JobOutcome::Skipped(_) => counts.skipped += 1,
            JobOutcome::Interrupted => counts.interrupted += 1,
        }
    }
    counts
}

/// 0: all is well; 130: interrupted; the first failure's own code where nothing came out; else 6.
pub fn exit_code(entries: &[Entry]) -> u8 {
    let counts = counts(entries);
    if counts.interrupted > 0 {
        return INTERRUPTED;
    }
    let errors = entries.iter().filter_map(|entry| match &entry.outcome {
        JobOutcome::Failed(error) => Some(error),
        _ => None,
    });
    exit_code_of(errors, counts.done + counts.skipped)
}

/// The exit code of these errors beside so many files that are well.
pub fn exit_code_of<'a>(mut errors: impl Iterator<Item = &'a Error>, well: usize) -> u8 {
    match errors.next() {
        None => 0,
        Some(error) if well == 0 => error.kind().exit_code(),
        Some(_) => SOME_FAILED,
    }
}

/// One line that moves no cursor, whatever the text has.
pub fn one_line(text: &str) -> String {
    let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    lines.map(shown).collect::<Vec<_>>().join("; ")
}

/// What is wrong, without the name that stands beside it already.
fn trouble(error: &Error, input: &Name) -> String {
    let text = error.to_string();
    let rest = text.strip_prefix(input.as_str()).and_then(|rest| rest.strip_prefix(": "));
    one_line(rest.unwrap_or(&text))
}

/// Bytes, as people read them.
pub fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e3 => format!("{b:.0} B"),
        b if b < 1e6 => format!("{:.1} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.2} GB", b / 1e9),
    }
}

/// Video seconds a second.
pub fn speed(video_s: f64, wall_s: f64) -> String {
    if wall_s > 0.0 { format!("{:.1}x", video_s / wall_s) } else { "-".into() }
}

/// What is worth knowing of a file that is there.
fn remarks(report: &JobReport) -> String {
    let mut said = Vec::new();
    if report.missing_pictures > 0 {
        said.push(format!("{} pictures missing", report.missing_pictures));
    }
    if report.resumed_segments > 0 {
        said.push(format!("{} segments were there from an earlier run", report.resumed_segments));
    }
    match report.verified {
        Verify::Full => {}
        Verify::Ends => said.push("decoded at its ends only".into()),
        Verify::None => said.push("not decoded again".into()),
    }
    said.extend(report.notes.iter().map(|note| one_line(note)));
    if let Some(manifest) = &report.manifest {
        said.push(format!("manifest {}", Name::from(manifest.as_path())));
    }
    if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) }
}

/// A line for each file, and one for all.
pub fn table(entries: &[Entry], wall_s: f64) -> String {
    let mut text = String::new();
    let mut line = |result: &str, figures: [String; 4], file: &str| {
        let [pictures, duration, size, speed] = figures;
        let _ = writeln!(text, "{result:<11} {pictures:>8} {duration:>9} {size:>9} {speed:>7}  {file}");
    };
    line("result", ["pictures", "duration", "size", "speed"].map(String::from), "file");
    let none = || [const { String::new() }; 4];
    let (mut video_s, mut size) = (0.0, 0);
    for entry in entries {
        match &entry.outcome {
            JobOutcome::Done(report) => {
                video_s += report.video_s;
                size += report.bytes;
                let figures = [
                    report.pictures.to_string(),
                    clock(report.video_s),
                    bytes(report.bytes),
                    speed(report.video_s, report.wall_s),
                ];
                let result = if report.copied { "copied" } else { "done" };
                line(result, figures, &format!("{}{}", entry.output, remarks(report)));
            }
            JobOutcome::Failed(error) => {
                line("failed", none(), &format!("{}: {}", entry.input, trouble(error, &entry.input)));
            }
            JobOutcome::Skipped(why) => {
                line("skipped", none(), &format!("{}: {}", entry.output, one_line(why)))
            }
            JobOutcome::Interrupted => line("interrupted", none(), &entry.input.to_string()),
        }
    }
    let counts = counts(entries);
    let of = [
        (counts.done, "done"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.interrupted, "interrupted"),
    ];
    let of: Vec<String> = of.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let _ = write!(text, "{} files: {}", entries.len(), of.join(", "));
    if counts.done > 0 {
        let _ = write!(
            text,
            "; {} of video in {} ({}), {}",
            clock(video_s),
            clock(wall_s),
            speed(video_s, wall_s),
            bytes(size)
        );
    }
    text
}

#[cfg(test)]
pub mod tests {
    use vitrail_engine::ErrorKind;

    use super::*;

    pub fn done(name: &str) -> Entry {
        let report = JobReport {
            input: format!("in/{name}.avi"),
            output: format!("out/{name}.mp4"),
            pictures: 375,
            video_s: 15.0,
            bytes: 1_234_567,
            wall_s: 2.0,
            ..JobReport::default()
        };
        let (input, output) = (report.input.as_str().into(), report.output.as_str().into());
        Entry { input, output, outcome: JobOutcome::Done(report) }
    }

    pub fn other(name: &str, outcome: JobOutcome) -> Entry {
        let (input, output) = (format!("in/{name}.avi"), format!("out/{name}.mp4"));
        Entry { input: input.as_str().into(), output: output.as_str().into(), outcome }
    }

    pub fn failed(name: &str, kind: ErrorKind) -> Entry {
        let error = Error::new(kind, format!("in/{name}.avi"), "is empty").caused_by("two\nlines".to_owned());
        other(name, JobOutcome::Failed(error))
    }

    #[test]
    fn a_line_for_each_file_and_one_for_all() {
        let mut copied = done("b");
        if let JobOutcome::Done(report) = &mut copied.outcome {
            report.copied = true;
            report.missing_pictures = 3;
            report.notes.push("the sound was\nAC-3".into());
        }
        let there = Error::new(ErrorKind::Config, "out/d.mp4", "is there already");
        let entries = [
            done("a"),
            copied,
            failed("c", ErrorKind::Corrupt),
            other("d", JobOutcome::Failed(there)),
            other("e", JobOutcome::Skipped("is there already".into())),
            other("f", JobOutcome::Interrupted),
        ];
        let text = table(&entries, 10.0);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "result      pictures  duration      size   speed  file",
                "done             375      0:15    1.2 MB    7.5x  out/a.mp4",
                "copied           375      0:15    1.2 MB    7.5x  out/b.mp4: 3 pictures missing; the sound was; AC-3",
                "failed                                            in/c.avi: is empty (two; lines)",
                "failed                                            in/d.avi: out/d.mp4: is there already",
                "skipped                                           out/e.mp4: is there already",
                "interrupted                                       in/f.avi",
                "6 files: 2 done, 2 failed, 1 skipped, 1 interrupted; 0:30 of video in 0:10 (3.0x), 2.5 MB",
            ]
        );
    }

    #[test]
    fn exit_codes_say_what_happened() {
        let skipped = || other("s", JobOutcome::Skipped(String::new()));
        let bad = || failed("x", ErrorKind::Corrupt);
        let unreadable = || failed("y", ErrorKind::Io);
        let stopped = || other("i", JobOutcome::Interrupted);
        for (entries, code) in [
            (vec![done("a"), done("b")], 0),
            (vec![done("a"), skipped()], 0),
            (vec![skipped()], 0),
            (vec![], 0),
            (vec![unreadable()], 4),
            (vec![bad(), unreadable()], 1),
            (vec![done("a"), bad()], 6),
            (vec![skipped(), bad()], 6),
            (vec![done("a"), stopped()], 130),
            (vec![bad(), stopped()], 130),
        ] {
            assert_eq!(exit_code(&entries), code, "{entries:?}");
        }
    }
}
