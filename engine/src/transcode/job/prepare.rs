//! A job before its first segment: checked, its source read, planned.

use std::sync::Arc;

use super::finish::export;
use super::identity::identity;
use super::plan::{self, Plan, Share, Source};
use super::report::{JobPlan, PlannedRendition, QueueOptions};
use super::segment::first_picture;
use super::task::{EncodedStreams, FinishedSegments, Task};
use crate::base::{Error, ErrorKind, Result, Shutdown, cpu};
use crate::evidence;
use crate::transcode::codec::kind;
use crate::transcode::edit;
use crate::transcode::files::folder::{WorkFolder, check_free};
use crate::transcode::files::record::Note;
use crate::transcode::input::feed::Feed;
use crate::transcode::input::held::HeldSource;
use crate::transcode::input::scan::{Footage, scan};
use crate::transcode::package::Container;
use crate::transcode::sound::{SoundAction, SoundPlan};
use crate::transcode::spec::{Target, TranscodeSpec, Verify, VideoSpec};

/// A job that can begin.
pub struct Prepared {
    pub task: Arc<Task>,
    pub plan: JobPlan,
    /// What was noted of the segments that lie in the work folder already.
    pub done: Vec<Option<Note>>,
}

/// Checks what is asked for, reads the source and plans; `None` where `stop` came first. `threads` is how
/// many the job may count on.
///
/// # Errors
/// What is wrong with the request, the source or the target.
pub fn prepare(
    spec: &TranscodeSpec,
    options: &QueueOptions,
    threads: usize,
    stop: &Shutdown,
) -> Result<Option<Prepared>> {
    check(spec)?;
    let mut spec = spec.clone();
    let asked = spec.verify;
    if let Some(evidence) = &options.evidence {
        spec.verify = Verify::Full;
        evidence::check_ready(&export(evidence, &spec)?, spec.target.path())?;
    }
    let source = Arc::new(HeldSource::open(&spec.input)?);
    let evidence = match options.evidence {
        Some(_) => match source.fingerprint(stop)? {
            Some(fingerprint) => Some(fingerprint),
            None => return Ok(None),
        },
        None => None,
    };
    let share = Share { threads, workers: options.workers.unwrap_or_else(cpu::cores) };
    let Some(planned) = look(&spec, source, share, stop)? else { return Ok(None) };
    let Planned { footage, decoded, edited, plan, notes, feed } = planned;
    let sum = evidence.as_ref().map(evidence::Fingerprint::sha256);
    let identity = identity(&spec, &footage, &plan, sum)?;
    let work = WorkFolder::open(&spec.target, &identity, options.fresh)?;
    let done: Vec<Option<Note>> =
        (0..plan.segments.len()).map(|segment| work.has(plan.renditions.len(), segment)).collect();
    let mut report = describe(&plan, &footage);
    report.resumed_segments = done.iter().flatten().count();
    report.warnings.extend(notes);
    if asked != spec.verify {
        report.warnings.push("evidence is verified in full, whatever is asked for".into());
    }
    let (streams, finished) = (EncodedStreams::default(), FinishedSegments::default());
    let task = Task { spec, footage, decoded, edited, plan, streams, finished, feed, work, evidence };
    Ok(Some(Prepared { task: Arc::new(task), plan: report, done }))
}

/// What is known before anything is written.
pub struct Planned {
    pub footage: Footage,
    pub decoded: edit::PictureFormat,
    pub edited: edit::PictureFormat,
    pub plan: Plan,
    pub notes: Vec<String>,
    pub feed: Feed,
}

/// Reads the source and plans, without touching the target; `None` where `stop` came first.
pub fn look(
    spec: &TranscodeSpec,
    source: Arc<HeldSource>,
    share: Share,
    stop: &Shutdown,
) -> Result<Option<Planned>> {
    let Some(footage) = scan(&source, spec.video_stream, stop)? else { return Ok(None) };
    if let Some(cut) = footage.cut.as_ref().filter(|_| !spec.salvage) {
        let message = format!("{cut}: a part is missing; add --salvage to keep what is there");
        return Err(Error::new(ErrorKind::Corrupt, spec.input.display().to_string(), message));
    }
    let feed = Feed::new(source, spec.video_stream);
    let decoded = first_picture(&footage, &feed)?;
    let upright = footage.orientation.unwrap_or_default();
    let base = footage.time_base.to_ff();
    let edited = edit::Editor::new(&spec.edit, upright, &decoded, base)?.output().clone();
    let parameters = footage.sound.as_ref().filter(|s| s.packets > 0).map(|s| s.parameters.get());
    let mut sound = SoundPlan::decide(spec.audio, parameters.as_ref(), &spec.target)?;
    if let Some(parameters) = parameters.filter(|_| footage.sound.as_ref().is_some_and(|s| s.changes)) {
        sound = sound.of_changing(spec.audio, &parameters, &spec.input)?;
    }
    let way = plan::way(spec, &footage, &edited)?;
    let (mut notes, mut encoders) = (Vec::new(), Vec::new());
    if !way.copies {
        for encode in spec.renditions.iter().filter_map(|r| r.video.encode()) {
            let choice = kind::choose(encode)?;
            notes.extend(choice.note);
            encoders.push(choice.encoder);
        }
    }
    let known = Source { footage: &footage, edited: &edited, sound: &sound };
    let plan = plan::decide(spec, known, way, encoders, share)?;
    if let Some(packets) = footage.sound.as_ref().map(|s| s.headless).filter(|packets| *packets > 0) {
        notes.push(format!("{packets} packets of its sound hold no whole frame and are left out"));
    }
    notes.extend(footage.faults.iter().cloned());
    notes.extend(footage.cut.iter().map(|cut| format!("the source is cut: {cut}")));
    if footage.orientation.is_none() {
        notes.push("the file asks for a slanted picture, which is left out".into());
    }
    Ok(Some(Planned { footage, decoded, edited, plan, notes, feed }))
}

fn check(spec: &TranscodeSpec) -> Result<()> {
    Container::of(&spec.target)?;
    check_free(spec.target.path(), spec.overwrite)?;
    edit::check(&spec.edit)?;
    let target = spec.target.path();
    let same =
        std::fs::canonicalize(target).is_ok_and(|t| std::fs::canonicalize(&spec.input).is_ok_and(|i| i == t));
    if same {
        let message = "is its own target; a source is never written to: choose another name";
        return Err(Error::new(ErrorKind::Config, target.display().to_string(), message));
    }
    if spec.renditions.is_empty() || (spec.renditions.len() > 1 && !matches!(spec.target, Target::Hls { .. }))
    {
        let message = "takes one rendition for a file; several go into a folder: end the name in /";
        return Err(Error::new(ErrorKind::Config, target.display().to_string(), message));
    }
    for rendition in &spec.renditions {
        if let Some(encode) = rendition.video.encode() {
            kind::check(encode)?;
        }
        if spec.renditions.len() > 1 && !matches!(rendition.video, VideoSpec::Encode(_)) {
            let message = "is one of several, and those are encoded; give it a rate";
            return Err(Error::new(ErrorKind::Config, format!("rendition {}", rendition.name), message));
        }
    }
    Ok(())
}

fn describe(plan: &Plan, footage: &Footage) -> JobPlan {
    let renditions = plan.renditions.iter().enumerate().map(|(index, r)| PlannedRendition {
        name: r.name.clone(),
        width: r.width,
        height: r.height,
        codec: match plan.copies {
            true => footage.codec.name().into(),
            false => r.encode.codec.name().into(),
        },
        encoder: plan.encoders.get(index).map(|encoder| encoder.name().to_owned()).unwrap_or_default(),
    });
    JobPlan {
        copy: plan.copies,
        reason: plan.reason.clone(),
        video_s: footage.seconds(plan.range.end - plan.range.start),
        pictures: plan.pictures,
        segments: plan.segments.len(),
        resumed_segments: 0,
        renditions: renditions.collect(),
        sound: match plan.sound.action {
            SoundAction::Drop => format!("none: {}", plan.sound.reason),
            SoundAction::Copy => format!("copied: {}", plan.sound.reason),
            SoundAction::Aac { kbps, rate, channels } => {
                format!("AAC {kbps} kb/s, {rate} Hz, {channels} channels: {}", plan.sound.reason)
            }
        },
        warnings: plan.warnings.clone(),
        predicted: None,
    }
}

/// The plan of a job that was only looked at.
pub fn plan_of(planned: &Planned) -> JobPlan {
    let mut plan = describe(&planned.plan, &planned.footage);
    plan.warnings.extend(planned.notes.iter().cloned());
    plan
}
