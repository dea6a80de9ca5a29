//! `--dry-run`: what would be done, how long it would take and how large it would become.

use std::fmt::Write;

use vitrail_engine::Error;
use vitrail_engine::transcode::job::JobPlan;

use super::names::Name;
use super::summary::{bytes, exit_code_of, one_line};
use crate::mosaic::clock;

/// What would become of one source.
pub enum Planned {
    /// This would be done.
    Run(Box<JobPlan>),
    /// It cannot be done.
    Failed(Error),
    /// There is nothing to do.
    Skipped(String),
}

/// A source, its target and its plan.
pub struct Line {
    /// The source.
    pub input: Name,
    /// The target.
    pub output: Name,
    /// The plan.
    pub planned: Planned,
}

/// As for a run, where what would be done is well.
pub fn exit_code(lines: &[Line]) -> u8 {
    let errors = || {
        lines.iter().filter_map(|line| match &line.planned {
            Planned::Failed(error) => Some(error),
            _ => None,
        })
    };
    exit_code_of(errors(), lines.len() - errors().count())
}

/// The plans, as people read them.
pub fn describe(lines: &[Line]) -> String {
    let mut text = String::new();
    let (mut runs, mut seconds, mut size, mut known) = (0, 0.0, 0, 0);
    for line in lines {
        match &line.planned {
            Planned::Run(plan) => {
                runs += 1;
                if let Some(predicted) = &plan.predicted {
                    known += 1;
                    seconds += predicted.seconds;
                    size += predicted.bytes;
                }
                let _ = writeln!(text, "{} -> {}", line.input, line.output);
                of_plan(plan, &mut text);
            }
            Planned::Failed(error) => {
                let _ = writeln!(text, "{}: would fail: {}", line.input, one_line(&error.to_string()));
            }
            Planned::Skipped(why) => {
                let _ = writeln!(text, "{}: would be skipped: {why}", line.output);
            }
        }
    }
    let _ = write!(text, "{} files, {runs} to be made", lines.len());
    if known > 0 {
        let of = if known < runs { format!(" for {known} of them") } else { String::new() };
        let _ = write!(text, ": about {} and {}{of}", clock(seconds), bytes(size));
    }
    let _ = write!(text, "; nothing was written");
    text
}

fn of_plan(plan: &JobPlan, text: &mut String) {
    let what = if plan.copy { "copied" } else { "encoded" };
    let _ = writeln!(text, "  {what}: {}", one_line(&plan.reason));
    for rendition in &plan.renditions {
        let by =
            if rendition.encoder.is_empty() { String::new() } else { format!(" ({})", rendition.encoder) };
        let (name, codec) = (&rendition.name, &rendition.codec);
        let _ = writeln!(text, "  {name}: {}x{} {codec}{by}", rendition.width, rendition.height);
    }
    let resumed = match plan.resumed_segments {
        0 => String::new(),
        n => format!(", {n} of them are there from an earlier run"),
    };
    let _ = writeln!(
        text,
        "  {} pictures, {}, {} segments{resumed}; sound: {}",
        plan.pictures,
        clock(plan.video_s),
        plan.segments,
        plan.sound
    );
    if let Some(predicted) = &plan.predicted {
        let (time, size) = (clock(predicted.seconds), bytes(predicted.bytes));
        let _ = writeln!(text, "  about {time} and {size}, give or take {:.0} %", 100.0 * predicted.error);
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "  warning: {}", one_line(warning));
    }
}

#[cfg(test)]
mod tests {
    use vitrail_engine::ErrorKind;
    use vitrail_engine::transcode::job::{PlannedRendition, Prediction};

    use super::*;

    #[test]
    fn a_plan_says_what_how_long_and_how_large() {
        let plan = JobPlan {
            reason: "the codec is mpeg4".into(),
            video_s: 79.5,
            pictures: 795,
            segments: 8,
            resumed_segments: 3,
            renditions: vec![PlannedRendition {
                name: "video".into(),
                width: 768,
                height: 576,
                codec: "h264".into(),
                encoder: "libx264".into(),
            }],
            sound: "none".into(),
            warnings: vec!["two\nlines".into()],
            predicted: Some(Prediction { seconds: 12.2, bytes: 3_200_000, error: 0.2 }),
            ..JobPlan::default()
        };
        let line = |name: &str, planned| Line {
            input: format!("in/{name}.avi").as_str().into(),
            output: format!("out/{name}.mp4").as_str().into(),
            planned,
        };
        let broken = Error::new(ErrorKind::Corrupt, "in/b.avi", "is empty");
        let lines = [
            line("a", Planned::Run(Box::new(plan))),
            line("b", Planned::Failed(broken)),
            line("c", Planned::Skipped("is there already".into())),
        ];
        assert_eq!((exit_code(&lines), exit_code(&lines[1..2]), exit_code(&lines[2..])), (6, 1, 0));
        let text = describe(&lines);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "in/a.avi -> out/a.mp4",
                "  encoded: the codec is mpeg4",
                "  video: 768x576 h264 (libx264)",
                "  795 pictures, 1:20, 8 segments, 3 of them are there from an earlier run; sound: none",
                "  about 0:13 and 3.2 MB, give or take 20 %",
                "  warning: two; lines",
                "in/b.avi: would fail: in/b.avi: is empty",
                "out/c.mp4: would be skipped: is there already",
                "3 files, 1 to be made: about 0:13 and 3.2 MB; nothing was written",
            ]
        );
    }
}
