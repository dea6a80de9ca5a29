//! The end of a job: what is missing is judged, the target joined, checked, named and attested.

use std::path::PathBuf;

use serde_json::json;

use super::identity::libraries;
use super::join::{self, SoundFile};
use super::report::{Evidence, JobReport, QueueOptions};
use super::sound;
use super::task::Task;
use crate::base::{Error, ErrorKind, Result, SharedClock, Shutdown, names};
use crate::evidence;
use crate::transcode::files::folder::take_name;
use crate::transcode::files::record::is_whole;
use crate::transcode::package;
use crate::transcode::spec::TranscodeSpec;

/// Pictures that may be missing without anyone asking for a salvage: units without a picture at the ends
/// of recordings.
const MAY_MISS: u64 = 2;
/// The same as a part of all: one in a thousand.
const MAY_MISS_IN: u64 = 1000;

/// How far a job may fall short of its source.
pub fn may_miss(pictures: u64) -> u64 {
    MAY_MISS.max(pictures / MAY_MISS_IN)
}

/// Says what is missing of the source, if it is more than may be.
pub fn judge(task: &Task, decoded: u64) -> Result<u64> {
    let shown: u64 = task.plan.segments.iter().map(|s| s.pictures).sum();
    let missing = shown.saturating_sub(decoded);
    if missing > may_miss(shown) && !task.spec.salvage {
        let message = format!(
            "{missing} of its {shown} pictures cannot be decoded; add --salvage to keep the others, or look \
             whether it is encrypted"
        );
        return Err(Error::new(ErrorKind::Corrupt, task.footage.path.display().to_string(), message));
    }
    Ok(missing)
}

/// Joins, checks and names; `None` where `stop` came first. `checking` is called when everything is
/// written.
pub fn complete(
    task: &Task,
    options: &QueueOptions,
    clock: &SharedClock,
    stop: &Shutdown,
    checking: &dyn Fn(),
) -> Result<Option<JobReport>> {
    let sound = sound::open(task)?
        .filter(|_| is_whole(&task.work.sound()).is_some_and(|packets| packets > 0))
        .map(|sound| SoundFile { track: sound.track() });
    let hidden = task.work.container(&task.spec.target)?;
    let Some(expected) = join::write(task, sound.as_ref(), &hidden, stop)? else { return Ok(None) };
    checking();
    let checked = package::check(&task.spec.target, &hidden, &expected)?;
    if stop.is_cancelled() {
        return Ok(None);
    }
    let source = task.feed.source();
    match &task.evidence {
        Some(before) if !source.check_whole(before, stop)? => return Ok(None),
        Some(_) => {}
        None => source.check()?,
    }
    let bytes = size_of(&hidden);
    take_name(&hidden, task.spec.target.path(), task.spec.overwrite)?;
    let pictures = checked.video.first().map_or(0, |track| track.packets);
    let seconds = checked.video.first().map_or(0.0, |track| track.seconds);
    let mut report = JobReport {
        input: names::lossless(&task.footage.path),
        output: names::lossless(task.spec.target.path()),
        copied: task.plan.copies,
        pictures,
        video_s: seconds,
        bytes,
        segments: task.plan.segments.len(),
        verified: task.spec.verify,
        ..JobReport::default()
    };
    if let Some(evidence) = &options.evidence {
        report.manifest = Some(attest(task, evidence, &report, clock)?);
    }
    Ok(Some(report))
}

fn size_of(path: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return std::fs::metadata(path).map(|m| m.len()).unwrap_or_default();
    };
    entries.flatten().map(|entry| size_of(&entry.path())).sum()
}

pub fn export(evidence: &Evidence, spec: &TranscodeSpec) -> Result<evidence::Export> {
    Ok(evidence::Export {
        key: evidence::SigningKeyFile::open(&evidence.key)?,
        reason: evidence.reason.clone(),
        reference: evidence.reference.clone(),
        operator: evidence.operator.clone(),
        overwrite: spec.overwrite,
    })
}

fn attest(task: &Task, evidence: &Evidence, report: &JobReport, clock: &SharedClock) -> Result<PathBuf> {
    let version = |name: &str, version: String| evidence::Version { name: name.to_owned(), version };
    let options = serde_json::to_value(&task.spec)
        .map_err(|e| Error::new(ErrorKind::Internal, "options", "cannot be written as JSON").caused_by(e))?;
    let encoders = task.plan.encoders.iter().map(|encoder| version("encoder", encoder.name().to_owned()));
    let subject = evidence::Subject {
        sources: vec![evidence::Source { path: task.footage.path.clone(), held: task.evidence.clone() }],
        outputs: vec![task.spec.target.path().to_owned()],
        tool: version("vitrail", env!("CARGO_PKG_VERSION").to_owned()),
        libraries: libraries().into_iter().map(|(name, v)| version(name, v)).chain(encoders).collect(),
        options,
        range: evidence::Range::new(task.spec.range.from, task.spec.range.to),
        result: json!({
            "pictures": report.pictures,
            "seconds": report.video_s,
            "copied": report.copied,
            "source_pictures": task.plan.segments.iter().map(|s| s.pictures).sum::<u64>(),
        }),
    };
    evidence::write(&export(evidence, &task.spec)?, subject, clock.as_ref())
}
