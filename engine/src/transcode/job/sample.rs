//! How long a job would take and how large its result would be, from short samples that are encoded as
//! the job would.

use std::time::Duration;

use super::prepare::Planned;
use super::report::Prediction;
use super::segment;
use super::segments::Segment;
use super::task::{EncodedStreams, FinishedSegments, Task};
use crate::base::{Result, Shutdown, cpu};
use crate::transcode::files::folder::WorkFolder;
use crate::transcode::files::record::{RecordReader, disk};
use crate::transcode::spec::{RateSpec, Target, TranscodeSpec};

/// Seconds of video of a sample.
const SAMPLE: Duration = Duration::from_secs(2);
/// Samples, spread over the source.
const SAMPLES: usize = 3;
/// Reading, joining and checking, beside encoding: a part of the whole.
const BESIDE: f64 = 0.04;
/// No prediction is better than this.
const LEAST_ERROR: f64 = 0.1;
/// Bytes a second of reading and writing where pictures are copied, twice over: a slow disk.
const COPIED_BYTES: f64 = 100e6;

/// Predicts; `None` where `stop` came first.
pub fn predict(
    spec: &TranscodeSpec,
    planned: Planned,
    workers: usize,
    stop: &Shutdown,
) -> Result<Option<Prediction>> {
    let video_s = planned.footage.seconds(planned.plan.range.end - planned.plan.range.start);
    if planned.plan.copies {
        let part = video_s / planned.footage.seconds(planned.footage.end).max(1e-3);
        let bytes = planned.footage.bytes as f64 * part.min(1.0);
        let seconds = bytes / COPIED_BYTES;
        return Ok(Some(Prediction { seconds, bytes: bytes as u64, error: 0.5 }));
    }
    let folder = std::env::temp_dir().join(format!("vitrail-samples-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|e| disk(&folder, &e))?;
    let work = WorkFolder::open(&Target::File(folder.join("sample.mp4")), "samples", true);
    let result = work.and_then(|work| {
        let Planned { footage, decoded, edited, mut plan, feed, .. } = planned;
        // A sample knows of no segment before it.
        plan.lag = None;
        let (streams, finished, evidence) = (EncodedStreams::default(), FinishedSegments::default(), None);
        let spec_of = spec.clone();
        let task =
            Task { spec: spec_of, footage, decoded, edited, plan, streams, finished, feed, work, evidence };
        let samples = samples(&task);
        let mut seen = Vec::new();
        for sample in &samples {
            let Some(figure) = encode(&task, sample, stop)? else { return Ok(None) };
            seen.push(figure);
        }
        task.work.remove();
        Ok(Some(extrapolate(spec, &seen, video_s, workers)))
    });
    let _ = std::fs::remove_dir_all(&folder);
    result
}

/// What a sample took.
struct Figure {
    video_s: f64,
    cpu_s: f64,
    bytes: f64,
}

/// The beginnings of segments at the beginning, in the middle and towards the end.
fn samples(task: &Task) -> Vec<Segment> {
    let segments = &task.plan.segments;
    let mut chosen: Vec<usize> = (0..SAMPLES).map(|n| n * segments.len() / SAMPLES).collect();
    chosen.dedup();
    let length = task.footage.ticks(SAMPLE);
    let short = |index: usize| {
        let mut segment = segments[index].clone();
        segment.to = segment.to.min(segment.from + length);
        segment.pictures = task.footage.pictures(segment.from, segment.to);
        segment.threads = 1;
        segment
    };
    chosen.into_iter().map(short).filter(|s| s.pictures > 0).collect()
}

fn encode(task: &Task, sample: &Segment, stop: &Shutdown) -> Result<Option<Figure>> {
    let begun = cpu::thread_time();
    if segment::encode(task, sample, stop, &|_| {})?.is_none() {
        return Ok(None);
    }
    let cpu_s = cpu::thread_time().saturating_sub(begun).as_secs_f64();
    let mut bytes = 0;
    for rendition in 0..task.plan.renditions.len() {
        let mut reader = RecordReader::open(&task.work.segment(rendition, sample.index))?;
        while let Some(record) = reader.next()? {
            bytes += record.data.len();
        }
    }
    let video_s = task.footage.seconds(sample.to - sample.from);
    Ok(Some(Figure { video_s, cpu_s, bytes: bytes as f64 }))
}

fn extrapolate(spec: &TranscodeSpec, seen: &[Figure], video_s: f64, workers: usize) -> Prediction {
    let sum = |of: &dyn Fn(&Figure) -> f64| seen.iter().map(of).sum::<f64>();
    let sampled = sum(&|f| f.video_s).max(1e-3);
    let cpu = sum(&|f| f.cpu_s) / sampled;
    let size = sum(&|f| f.bytes) / sampled;
    let spread = |of: &dyn Fn(&Figure) -> f64, mean: f64| {
        let off = seen.iter().map(|f| (of(f) / f.video_s.max(1e-3) / mean.max(1e-9) - 1.0).abs());
        off.fold(0.0, f64::max)
    };
    let error = spread(&|f| f.cpu_s, cpu).max(spread(&|f| f.bytes, size)).max(LEAST_ERROR);
    let rates: Vec<f64> = spec
        .renditions
        .iter()
        .filter_map(|r| r.video.encode())
        .filter_map(|encode| match encode.rate {
            RateSpec::Kbps(kbps) => Some(f64::from(kbps) * 125.0),
            RateSpec::TargetBytes(bytes) => Some(bytes as f64 / video_s.max(1e-3)),
            RateSpec::Crf(_) => None,
        })
        .collect();
    let size = if rates.len() == spec.renditions.len() { rates.iter().sum() } else { size };
    Prediction {
        seconds: cpu * video_s / workers as f64 * (1.0 + BESIDE),
        bytes: (size * video_s) as u64,
        error: error.min(1.0),
    }
}
