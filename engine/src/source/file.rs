//! A video file as a camera: its pictures at their own times, and from the beginning again when it ends. It is read
//! as jobs read it, so that a wall shows of a file what a mosaic does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{FileDemuxer, FileUnit, Run, SourceConfig, StreamDescription};
use crate::base::{Error, ErrorKind, Moment, Result};
use crate::media::{AccessUnit, Pts, VideoParameters};

/// Units that are read ahead of their time.
const AHEAD: usize = 16;
/// A step of a clock that may jump is no time between two pictures from here on.
const JUMP: Duration = Duration::from_secs(10);
/// A file that was read so late is played on from now: what was missed is not rushed through.
const LATE: Duration = Duration::from_secs(1);

/// What the thread that reads a file tells.
enum FileEvent {
    Opened(Opened),
    Unit(FileUnit),
    Broken(Error),
}

/// What a file is.
struct Opened {
    parameters: VideoParameters,
    streams: Vec<String>,
    picture_time: Duration,
    clock_jumps: bool,
}

pub(super) async fn run(config: &SourceConfig, run: &Run<'_>) -> Result<()> {
    let path = config.uri.path().unwrap_or(Path::new(""));
    let (mut timeline, mut pace, mut known) = (LoopTime::default(), Pace::default(), None);
    loop {
        let pictures = pass(path, run, &mut timeline, &mut pace, &mut known).await;
        let pictures = pictures.map_err(|e| of_camera(e, run))?;
        if pictures == 0 {
            let message = format!("{} holds no picture", config.uri);
            return Err(Error::new(ErrorKind::Corrupt, run.camera.to_string(), message));
        }
        if !config.loop_file {
            return Ok(());
        }
        timeline.start_again();
        pace.start_again();
    }
}

/// Plays the file once; how many pictures it has. What is `known` of it is not told again.
async fn pass(
    path: &Path,
    run: &Run<'_>,
    timeline: &mut LoopTime,
    pace: &mut Pace,
    known: &mut Option<VideoParameters>,
) -> Result<u64> {
    let mut told = read(path.to_owned())?;
    let mut pictures = 0;
    while let Some(told) = told.recv().await {
        match told {
            FileEvent::Broken(error) => return Err(error),
            FileEvent::Opened(opened) => {
                pace.follow(&opened);
                if known.as_ref() != Some(&opened.parameters) {
                    run.sink.described(&describe(&opened));
                    run.sink.parameters(&opened.parameters);
                    *known = Some(opened.parameters);
                }
            }
            FileEvent::Unit(unit) => {
                let wait = pace.due(&unit, run.clock.now()).since(run.clock.now());
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                // The decoder may still hold pictures of the pass before, which this one does not go on from.
                let loss = unit.unit.loss || (pictures == 0 && !unit.unit.random_access);
                let pts = Pts(timeline.place(unit.unit.pts.0, pace.picture_time));
                run.sink.unit(AccessUnit { pts, arrival: run.clock.now(), loss, ..unit.unit });
                pictures += 1;
            }
        }
    }
    Ok(pictures)
}

/// Reads the file on a thread of its own, because a disk may be away for long. It ends with whoever listens.
fn read(path: PathBuf) -> Result<mpsc::Receiver<FileEvent>> {
    let (teller, told) = mpsc::channel(AHEAD);
    let body = move || {
        if let Err(error) = read_all(&path, &teller) {
            let _ = teller.blocking_send(FileEvent::Broken(error));
        }
    };
    std::thread::Builder::new()
        .name("vt-file".into())
        .spawn(body)
        .map_err(|e| Error::new(ErrorKind::Io, "a file", "cannot start a thread to read it").caused_by(e))?;
    Ok(told)
}

fn read_all(path: &Path, teller: &mpsc::Sender<FileEvent>) -> Result<()> {
    let found = std::fs::metadata(path).map_err(|e| {
        Error::new(ErrorKind::Io, path.display().to_string(), "cannot be read; check the path").caused_by(e)
    })?;
    if !found.is_file() && !found.is_dir() {
        // Opening a pipe waits for whoever writes to it.
        let message = "is neither a file nor a folder; name a video file";
        return Err(Error::new(ErrorKind::Config, path.display().to_string(), message));
    }
    let mut demuxer = FileDemuxer::open(path)?;
    let opened = Opened {
        parameters: demuxer.parameters().clone(),
        streams: demuxer.streams(),
        picture_time: demuxer.picture_time(),
        clock_jumps: demuxer.clock_jumps(),
    };
    let mut listens = teller.blocking_send(FileEvent::Opened(opened)).is_ok();
    while let Some(unit) = demuxer.next_unit()?.filter(|_| listens) {
        listens = teller.blocking_send(FileEvent::Unit(unit)).is_ok();
    }
    Ok(())
}

fn describe(opened: &Opened) -> StreamDescription {
    StreamDescription {
        client: "libavformat",
        carried_by: "file".into(),
        streams: opened.streams.clone(),
        parameter_sets_outside: !opened.parameters.extradata.is_empty(),
        ..StreamDescription::default()
    }
}

/// The error of a file as that of the camera that it stands for: short, as its tile says it in the room's language;
/// which file it is and what is wrong with it are the cause.
fn of_camera(error: Error, run: &Run<'_>) -> Error {
    let message = match error.kind() {
        ErrorKind::Corrupt => "cannot be read on",
        ErrorKind::Unsupported => "is in no format that is understood here",
        _ => "cannot be read",
    };
    Error::new(error.kind(), run.camera.to_string(), message).caused_by(error.to_string())
}

/// Keeps time going forward when a file starts again.
#[derive(Default)]
struct LoopTime {
    base: i64,
    end: i64,
    again: bool,
}

impl LoopTime {
    /// Where on the time of all passes a picture is, in nanoseconds.
    fn place(&mut self, pts: i64, lasts: Duration) -> i64 {
        // A container's first time need not be zero: MPEG-TS starts above one second.
        if std::mem::take(&mut self.again) {
            self.base = self.end.saturating_sub(pts);
        }
        let placed = self.base.saturating_add(pts);
        self.end = self.end.max(placed.saturating_add(nanos(lasts)));
        placed
    }

    fn start_again(&mut self) {
        self.again = true;
    }
}

/// When each unit is due. Pure: time is told to it.
#[derive(Default)]
struct Pace {
    picture_time: Duration,
    clock_jumps: bool,
    /// When the unit before was due on the time of the file, in nanoseconds, and here.
    before: Option<(i64, Moment)>,
    /// When the last unit of the pass before has had its time.
    over: Option<Moment>,
}

impl Pace {
    fn follow(&mut self, opened: &Opened) {
        (self.picture_time, self.clock_jumps) = (opened.picture_time, opened.clock_jumps);
    }

    /// The last picture of a pass has its time too: a file of one picture is not played as fast as it can be read.
    fn start_again(&mut self) {
        self.over = self.before.take().map(|(_, due)| due + self.picture_time);
    }

    fn due(&mut self, unit: &FileUnit, now: Moment) -> Moment {
        if unit.hidden {
            // For the decoder alone: nobody waits to see it.
            return now;
        }
        let time = unit.due.0;
        let Some((last, due)) = self.before else {
            let due = self.over.map_or(now, |over| over.max(now));
            self.before = Some((time, due));
            return due;
        };
        let step = u64::try_from(time.saturating_sub(last)).ok().map(Duration::from_nanos);
        let step = step.filter(|step| !self.clock_jumps || *step < JUMP).unwrap_or(self.picture_time);
        let mut due = due + step;
        if now.since(due) > LATE {
            due = now;
        }
        self.before = Some((time, due));
        due
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn pace(clock_jumps: bool) -> Pace {
        Pace { picture_time: Duration::from_millis(40), clock_jumps, ..Pace::default() }
    }

    fn unit(ms: i64, hidden: bool) -> FileUnit {
        let unit = AccessUnit {
            pts: Pts(ms * 1_000_000),
            arrival: Moment(0),
            captured: None,
            random_access: false,
            disposable: false,
            loss: false,
            data: Bytes::new(),
        };
        FileUnit { due: unit.pts, unit, timed: true, decoded: None, hidden }
    }

    /// When units of these times, in milliseconds, are due where each is looked at when the one before was due.
    fn due(pace: &mut Pace, times: &[i64]) -> Vec<u64> {
        let mut now = Moment(5_000_000_000);
        let due = times.iter().map(|ms| {
            now = pace.due(&unit(*ms, false), now);
            now.0 / 1_000_000 - 5_000
        });
        due.collect()
    }

    #[test]
    fn units_are_due_at_their_own_times_from_the_first_on() {
        assert_eq!(due(&mut pace(false), &[1_400, 1_440, 1_480, 31_480]), [0, 40, 80, 30_080]);
    }

    #[test]
    fn a_jump_of_the_clock_is_one_picture_and_a_step_back_too() {
        assert_eq!(due(&mut pace(true), &[0, 40, 95_000_000, 95_000_040]), [0, 40, 80, 120]);
        assert_eq!(due(&mut pace(false), &[0, 40, 20, 60]), [0, 40, 80, 120]);
    }

    #[test]
    fn a_file_that_was_read_late_is_played_on_from_now() {
        let mut pace = pace(false);
        assert_eq!(pace.due(&unit(0, false), Moment(0)), Moment(0));
        let late = Moment(9_000_000_000);
        assert_eq!(pace.due(&unit(40, false), late), late);
        assert_eq!(pace.due(&unit(80, false), late), late + Duration::from_millis(40));
    }

    #[test]
    fn the_last_picture_of_a_pass_has_its_time_too() {
        let mut pace = pace(false);
        let now = Moment(7_000_000_000);
        for pass in 0..3 {
            assert_eq!(pace.due(&unit(0, false), now), now + pass * Duration::from_millis(40));
            pace.start_again();
        }
    }

    #[test]
    fn nobody_waits_for_a_picture_that_is_hidden() {
        let mut pace = pace(false);
        let now = Moment(7_000_000_000);
        for ms in [0, 40, 80] {
            assert_eq!(pace.due(&unit(ms, true), now), now);
        }
        assert_eq!(pace.due(&unit(120, false), now), now, "the first that is shown");
    }

    #[test]
    fn time_goes_forward_when_a_file_starts_again() {
        let mut timeline = LoopTime::default();
        let lasts = Duration::from_nanos(40);
        let first: Vec<i64> = [0, 120, 40, 80].iter().map(|t| timeline.place(*t, lasts)).collect();
        timeline.start_again();
        let second: Vec<i64> = [0, 120, 40, 80].iter().map(|t| timeline.place(*t, lasts)).collect();
        assert_eq!(first, [0, 120, 40, 80]);
        assert_eq!(second, [160, 280, 200, 240]);
    }
}
