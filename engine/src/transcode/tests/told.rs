//! What is told of sources in which something is missing, damaged or odd: no more and no less than there is.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ffmpeg_next as ff;

use super::helpers::jobs::{encode, ffmpeg, job, options, outcome, run};
use crate::base::{Clock, Moment, SharedClock, Shutdown, SystemClock};
use crate::transcode::job::{JobEvent, JobOutcome, run_all};
use crate::transcode::spec::*;

/// A clock on which a tenth of a second passes whenever it is looked at: a job tells its progress at each picture.
struct Hasty(AtomicU64);

impl Clock for Hasty {
    fn now(&self) -> Moment {
        Moment(self.0.fetch_add(100_000_000, Ordering::SeqCst))
    }

    fn wall(&self) -> Duration {
        Duration::ZERO
    }
}

/// Forty seconds of pictures that stand each for itself, of which every second one up to the fifteenth second is
/// spoilt.
fn spoilt(path: &Path) -> u64 {
    ffmpeg("-f lavfi -i testsrc2=size=64x48:rate=25:duration=40 -c:v mjpeg -pix_fmt yuvj420p", path);
    let mut bytes = std::fs::read(path).unwrap();
    let mut input = ff::format::input(path).unwrap();
    let mut spoilt = 0;
    for (number, (_, packet)) in input.packets().enumerate().take(15 * 25) {
        if number % 2 == 1 {
            let at = usize::try_from(packet.position()).unwrap();
            bytes[at..at + packet.size()].fill(0);
            spoilt += 1;
        }
    }
    std::fs::write(path, &bytes).unwrap();
    spoilt
}

/// A run of a job on one worker that is interrupted once so many seconds are done.
fn interrupted(spec: &TranscodeSpec, after_s: f64) {
    let stop = Shutdown::new();
    let end = |event: JobEvent| {
        if matches!(event, JobEvent::Progress { done_s, .. } if done_s > after_s) {
            stop.cancel();
        }
    };
    let clock: SharedClock = Arc::new(Hasty(AtomicU64::new(0)));
    let outcome = run_all(std::slice::from_ref(spec), &options(1), &clock, &stop, &end).pop();
    assert!(matches!(outcome, Some(JobOutcome::Interrupted)), "{outcome:?}");
}

fn again(spec: &TranscodeSpec) -> JobOutcome {
    let clock = SystemClock::shared();
    let jobs = std::slice::from_ref(spec);
    run_all(jobs, &options(1), &clock, &Shutdown::new(), &|_| {}).pop().unwrap()
}

#[test]
fn what_was_missing_before_an_interruption_is_missing_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("spoilt.mov"), folder.path().join("out.mp4"));
    let missing = spoilt(&source);
    for frame_rate in [None, crate::media::Ratio::new(10, 1)] {
        let mut spec = job(&source, &target, VideoSpec::Encode(encode(30.0)));
        (spec.frame_rate, spec.overwrite) = (frame_rate, true);
        // The spoilt pictures lie in the first segment, which is done then.
        interrupted(&spec, 20.0);
        let JobOutcome::Failed(error) = again(&spec) else { panic!("half of the first segment is missing") };
        assert!(error.to_string().contains(&format!("{missing} of its 1000 pictures")), "{error}");
        spec.salvage = true;
        interrupted(&spec, 20.0);
        let JobOutcome::Done(report) = again(&spec) else { panic!("the others are kept") };
        assert_eq!((report.missing_pictures, report.resumed_segments), (missing, 1), "{report:?}");
        let damaged = format!("{missing} packets or pictures of the source are damaged");
        assert!(report.notes.contains(&damaged), "{report:?}");
    }
}

#[test]
fn sound_may_last_longer_than_the_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let pictures = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=4";
    let coded = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac";
    for name in ["long.mkv", "long.flv"] {
        ffmpeg(&format!("{pictures} -f lavfi -i sine=duration=9 {coded}"), &at(name));
        for video in [VideoSpec::Copy, VideoSpec::Encode(encode(30.0))] {
            let mut spec = job(&at(name), &at("out.mkv"), video);
            spec.overwrite = true;
            assert_eq!(run(&spec).pictures, 100, "{name}");
        }
        let bytes = std::fs::read(at(name)).unwrap();
        let cut = at(&format!("cut-{name}"));
        std::fs::write(&cut, &bytes[..bytes.len() * 9 / 10]).unwrap();
        let JobOutcome::Failed(error) = outcome(&job(&cut, &at("cut.mp4"), VideoSpec::Copy)) else {
            panic!("{name}: a part is missing")
        };
        assert!(error.to_string().contains("--salvage"), "{name}: {error}");
    }
}

/// Cut from the middle of a stream that is refreshed column by column, so that only its beginning lacks something.
#[test]
fn a_stream_that_is_refreshed_is_no_more_damaged_in_many_segments() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let refresh =
        "-c:v libx264 -preset ultrafast -bf 0 -x264-params intra-refresh=1:keyint=25 -pix_fmt yuv420p";
    ffmpeg(&format!("-f lavfi -i testsrc2=size=320x240:rate=25:duration=70 {refresh}"), &at("whole.ts"));
    let bytes = std::fs::read(at("whole.ts")).unwrap();
    std::fs::write(at("cut.ts"), &bytes[bytes.len() / 15..]).unwrap();
    let told = |to: Option<Duration>| {
        let mut spec = job(&at("cut.ts"), &at("out.mp4"), VideoSpec::Encode(encode(30.0)));
        (spec.overwrite, spec.range.to) = (true, to);
        let report = run(&spec);
        let damaged = report.notes.iter().find(|note| note.contains("are damaged")).cloned();
        (report.segments, damaged)
    };
    let (one, beginning) = told(Some(Duration::from_secs(10)));
    let (many, all) = told(None);
    assert!(one == 1 && many > 2, "{one} and {many}");
    assert_eq!(beginning, all);
}

#[test]
fn times_that_no_recording_has_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let coded = "-c:v libx264 -preset ultrafast -bf 0 -g 10 -pix_fmt yuv420p -c:a aac";
    let inputs = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=4 -f lavfi -i sine=duration=4";
    ffmpeg(&format!("{inputs} {coded}"), &at("good.mkv"));
    for (stream, later) in [("v", "5e11"), ("v", "9e15"), ("a", "5e11"), ("a", "9e15")] {
        let moved = format!("-c copy -bsf:{stream} setts=ts=if(gte(N\\,40)\\,TS+{later}\\,TS)");
        ffmpeg(&format!("-i {} {moved}", at("good.mkv").display()), &at("odd.mkv"));
        for video in [VideoSpec::Copy, VideoSpec::Encode(encode(30.0))] {
            let JobOutcome::Failed(error) = outcome(&job(&at("odd.mkv"), &at("out.mp4"), video)) else {
                panic!("{stream} {later} is no time")
            };
            assert!(error.to_string().contains("its clock is broken"), "{stream} {later}: {error}");
        }
    }
}
