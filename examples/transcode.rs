//! Transcodes a file with the engine: `cargo run --example transcode -- IN.mkv OUT.mp4`.
//!
//! The same queue that `vitrail transcode` runs: segments side by side, verified, resumed where an
//! earlier run was interrupted.

use vitrail_engine::base::{Shutdown, SystemClock};
use vitrail_engine::transcode::job::{JobEvent, JobOutcome, QueueOptions, run_all};
use vitrail_engine::transcode::spec::{
    AudioSpec, EditSpec, EncodeSpec, RenditionSpec, SizeSpec, Target, TimeRange, TranscodeSpec, Verify,
    VideoSpec,
};

fn main() {
    let mut paths = std::env::args().skip(1);
    let (Some(input), Some(output)) = (paths.next(), paths.next()) else {
        eprintln!("usage: transcode IN OUT");
        std::process::exit(2);
    };
    let job = TranscodeSpec {
        input: input.into(),
        video_stream: 0,
        range: TimeRange::default(),
        edit: EditSpec::default(),
        frame_rate: None,
        renditions: vec![RenditionSpec {
            name: "main".into(),
            size: SizeSpec::Keep,
            video: VideoSpec::Encode(EncodeSpec::usual()),
        }],
        audio: AudioSpec::Auto,
        target: Target::File(output.into()),
        overwrite: false,
        salvage: false,
        verify: Verify::Full,
    };
    let tell = |event: JobEvent| {
        if let JobEvent::Progress { done_s, of_s, .. } = event {
            eprint!("\r{done_s:7.1} of {of_s:.1} s");
        }
    };
    let clock = SystemClock::shared();
    let outcomes = run_all(&[job], &QueueOptions::default(), &clock, &Shutdown::new(), &tell);
    eprintln!();
    for outcome in outcomes {
        match outcome {
            JobOutcome::Done(report) => println!("{}: {} pictures", report.output, report.pictures),
            JobOutcome::Failed(error) => {
                eprintln!("{error}");
                std::process::exit(1);
            }
            JobOutcome::Interrupted | JobOutcome::Skipped(_) => std::process::exit(1),
        }
    }
}
