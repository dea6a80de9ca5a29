//! Jobs for tests: clips that FFmpeg made, orders, and a run of one.

use std::path::Path;
use std::process::Command;

use crate::base::{Shutdown, SystemClock};
use crate::transcode::job::{JobOutcome, JobReport, QueueOptions, run_all};
use crate::transcode::spec::*;

pub fn ffmpeg(arguments: &str, output: &Path) {
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-nostdin"])
        .args(arguments.split_whitespace())
        .arg(output)
        .output()
        .expect("ffmpeg runs: scripts/install-deps.sh installs it");
    assert!(run.status.success(), "ffmpeg {arguments}: {}", String::from_utf8_lossy(&run.stderr));
}

pub fn encode(crf: f64) -> EncodeSpec {
    EncodeSpec { rate: RateSpec::Crf(crf), preset: "ultrafast".into(), ..EncodeSpec::usual() }
}

pub fn job(input: &Path, output: &Path, video: VideoSpec) -> TranscodeSpec {
    TranscodeSpec {
        input: input.to_owned(),
        video_stream: 0,
        range: TimeRange::default(),
        edit: EditSpec::default(),
        frame_rate: None,
        renditions: vec![RenditionSpec { name: "main".into(), size: SizeSpec::Keep, video }],
        audio: AudioSpec::Auto,
        target: Target::File(output.to_owned()),
        overwrite: false,
        salvage: false,
        verify: Verify::Full,
    }
}

pub fn options(workers: usize) -> QueueOptions {
    QueueOptions { workers: Some(workers), ..QueueOptions::default() }
}

pub fn run(spec: &TranscodeSpec) -> JobReport {
    match outcome(spec) {
        JobOutcome::Done(report) => report,
        other => panic!("{other:?}"),
    }
}

pub fn outcome(spec: &TranscodeSpec) -> JobOutcome {
    let clock = SystemClock::shared();
    let jobs = std::slice::from_ref(spec);
    run_all(jobs, &options(2), &clock, &Shutdown::new(), &|_| {}).pop().unwrap()
}
