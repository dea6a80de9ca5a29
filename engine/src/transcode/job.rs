//! One job from its source to its target: prepared, its sound made, joined, checked, named. Its segments
//! are made in between, by whoever has time ([`super::queue`]).

use std::path::PathBuf;
use std::sync::Arc;

use ffmpeg_next as ff;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::feed::Feed;
use super::held::HeldSource;
use super::join::{self, SoundFile};
use super::package::{self, Container};
use super::plan::{self, Plan};
use super::reader::{Read, nanos, ticks};
use super::record::{Note, Record, RecordWriter, is_whole};
use super::report::{Evidence, JobPlan, JobReport, PlannedRendition, QueueOptions};
use super::scan::{Footage, scan};
use super::segment::{Came, SegmentOutcome, Streams, Task, first_picture};
use super::sound::{Sound, SoundAction, SoundPlan, SoundRange};
use super::spec::{Target, TranscodeSpec, Verify, VideoSpec};
use super::work::{Work, check_free, take_name};
use super::{copy, edit, encoder, segment};
use crate::base::{Error, ErrorKind, Result, SharedClock, Shutdown, cpu, names};
use crate::evidence;
use crate::source::demux_ffi::is_hidden;

/// Pictures that may be missing without anyone asking for a salvage: units without a picture at the ends
/// of recordings.
const MAY_MISS: u64 = 2;
/// The same as a part of all: one in a thousand.
const MAY_MISS_IN: u64 = 1000;
/// Bytes at either end of a source that tell whether it is still the same, beside its size and time.
const IDENTITY: u64 = 1 << 20;

/// A job that can begin.
pub(super) struct Prepared {
    pub task: Arc<Task>,
    pub plan: JobPlan,
    /// What was noted of the segments that lie in the work folder already.
    pub done: Vec<Option<Note>>,
}

/// Checks what is asked for, reads the source and plans; `None` where `stop` came first. `share` is how
/// many threads the job may count on.
///
/// # Errors
/// What is wrong with the request, the source or the target.
pub(super) fn prepare(
    spec: &TranscodeSpec,
    options: &QueueOptions,
    share: usize,
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
    let Some(planned) = look(&spec, source, share, stop)? else { return Ok(None) };
    let Looked { footage, decoded, edited, mut plan, encoders, notes, feed } = planned;
    // Workers that other jobs leave help too: as many segments may be in the making.
    let workers = options.workers.unwrap_or_else(cpu::cores).min(plan.segments.len() / 2);
    plan.lag = plan.lag.map(|lag| lag.max(workers));
    let sum = evidence.as_ref().map(evidence::Fingerprint::sha256);
    let identity = identity(&spec, &footage, &plan, &encoders, sum)?;
    let work = Work::open(&spec.target, &identity, options.fresh)?;
    let done: Vec<Option<Note>> =
        (0..plan.segments.len()).map(|segment| work.has(plan.renditions.len(), segment)).collect();
    let mut report = describe(&plan, &encoders, &footage);
    report.resumed_segments = done.iter().flatten().count();
    report.warnings.extend(notes);
    if asked != spec.verify {
        report.warnings.push("evidence is verified in full, whatever is asked for".into());
    }
    let (streams, came) = (Streams::default(), Came::default());
    let task = Task { spec, footage, decoded, edited, plan, encoders, streams, came, feed, work, evidence };
    Ok(Some(Prepared { task: Arc::new(task), plan: report, done }))
}

/// What is known before anything is written.
pub(super) struct Looked {
    pub footage: Footage,
    pub decoded: edit::PictureFormat,
    pub edited: edit::PictureFormat,
    pub plan: Plan,
    pub encoders: Vec<&'static str>,
    pub notes: Vec<String>,
    pub feed: Feed,
}

/// Reads the source and plans, without touching the target; `None` where `stop` came first.
pub(super) fn look(
    spec: &TranscodeSpec,
    source: Arc<HeldSource>,
    share: usize,
    stop: &Shutdown,
) -> Result<Option<Looked>> {
    let Some(footage) = scan(&source, spec.video_stream, stop)? else { return Ok(None) };
    if let Some(cut) = footage.cut.as_ref().filter(|_| !spec.salvage) {
        let message = format!("{cut}: a part is missing; add --salvage to keep what is there");
        return Err(Error::new(ErrorKind::Corrupt, spec.input.display().to_string(), message));
    }
    let feed = Feed::new(source, spec.video_stream);
    let decoded = first_picture(&footage, &feed)?;
    let upright = footage.orientation.unwrap_or_default();
    let base = ff::Rational(footage.time_base.0 as i32, footage.time_base.1 as i32);
    let edited = edit::Editor::new(&spec.edit, upright, &decoded, base)?.output().clone();
    let parameters = footage.sound.as_ref().filter(|s| s.packets > 0).map(|s| s.parameters.get());
    let mut sound = SoundPlan::decide(spec.audio, parameters.as_ref(), &spec.target)?;
    if let Some(parameters) = parameters.filter(|_| footage.sound.as_ref().is_some_and(|s| s.changes)) {
        sound = sound.of_changing(spec.audio, &parameters, &spec.input)?;
    }
    let plan = plan::decide(spec, &footage, &edited, sound, share)?;
    let mut notes = Vec::new();
    let mut encoders = Vec::new();
    let mut plan = plan;
    if plan.copy.is_none() {
        for rendition in &plan.renditions {
            let choice = encoder::choose(&rendition.encode)?;
            notes.extend(choice.note);
            encoders.push(choice.name);
        }
        if !encoders.contains(&"libx264") {
            plan.lag = None;
        }
    }
    if let Some(packets) = footage.sound.as_ref().map(|s| s.headless).filter(|packets| *packets > 0) {
        notes.push(format!("{packets} packets of its sound hold no whole frame and are left out"));
    }
    notes.extend(footage.faults.iter().cloned());
    notes.extend(footage.cut.iter().map(|cut| format!("the source is cut: {cut}")));
    if footage.orientation.is_none() {
        notes.push("the file asks for a slanted picture, which is left out".into());
    }
    Ok(Some(Looked { footage, decoded, edited, plan, encoders, notes, feed }))
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
            encoder::check(encode)?;
        }
        if spec.renditions.len() > 1 && !matches!(rendition.video, VideoSpec::Encode(_)) {
            let message = "is one of several, and those are encoded; give it a rate";
            return Err(Error::new(ErrorKind::Config, format!("rendition {}", rendition.name), message));
        }
    }
    Ok(())
}

/// Raised whenever the same orders make other bytes than before, or the files in the work folder have another form.
const MAKING: u32 = 6;

/// What an interrupted job must have in common with this one for its segments to be used: everything that
/// decides a single byte.
fn identity(
    spec: &TranscodeSpec,
    footage: &Footage,
    plan: &Plan,
    encoders: &[&str],
    sum: Option<&str>,
) -> Result<String> {
    let unwritten = |e: serde_json::Error| {
        Error::new(ErrorKind::Internal, "plan", "cannot be written as JSON").caused_by(e)
    };
    let mut spec = serde_json::to_value(spec).map_err(unwritten)?;
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("overwrite");
    }
    let segments: Vec<_> =
        plan.segments.iter().map(|s| json!([s.units.start, s.units.end, s.from, s.to, s.threads])).collect();
    let identity = json!({
        "vitrail": env!("CARGO_PKG_VERSION"),
        "making": MAKING,
        "libraries": libraries(),
        "spec": spec,
        "source": { "bytes": footage.bytes, "modified_ns": footage.modified, "ends": ends(footage)?, "sha256": sum },
        "encoders": encoders,
        "renditions": plan.renditions.iter().map(|r| format!("{r:?}")).collect::<Vec<_>>(),
        "sound": format!("{:?}", plan.sound),
        "segments": segments,
        "lag": plan.lag,
    });
    serde_json::to_string_pretty(&identity).map_err(unwritten)
}

/// The sum of both ends of the source.
fn ends(footage: &Footage) -> Result<String> {
    use std::fmt::Write;
    use std::io::{Read, Seek, SeekFrom};
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::Io, footage.path.display().to_string(), "cannot be read").caused_by(e)
    };
    let mut file = std::fs::File::open(&footage.path).map_err(failed)?;
    let mut sum = Sha256::new();
    let mut bytes = Vec::new();
    file.by_ref().take(IDENTITY).read_to_end(&mut bytes).map_err(failed)?;
    sum.update(&bytes);
    bytes.clear();
    file.seek(SeekFrom::Start(footage.bytes.saturating_sub(IDENTITY))).map_err(failed)?;
    file.take(IDENTITY).read_to_end(&mut bytes).map_err(failed)?;
    sum.update(&bytes);
    Ok(sum.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// The libraries that decide bytes, and their versions.
pub(super) fn libraries() -> Vec<(&'static str, String)> {
    let text = |v: u32| format!("{}.{}.{}", v >> 16, v >> 8 & 0xff, v & 0xff);
    vec![
        ("libavcodec", text(ff::codec::version())),
        ("libavformat", text(ff::format::version())),
        ("libavfilter", text(ff::filter::version())),
    ]
}

fn describe(plan: &Plan, encoders: &[&'static str], footage: &Footage) -> JobPlan {
    let renditions = plan.renditions.iter().enumerate().map(|(index, r)| PlannedRendition {
        name: r.name.clone(),
        width: r.width,
        height: r.height,
        codec: match plan.copy {
            Some(_) => footage.codec.name().into(),
            None => r.encode.codec.name().into(),
        },
        encoder: encoders.get(index).map(|name| (*name).to_owned()).unwrap_or_default(),
    });
    JobPlan {
        copy: plan.copy.is_some(),
        reason: plan.copy.clone().unwrap_or_else(|| plan.reason.clone()),
        video_s: footage.seconds(plan.range.1 - plan.range.0),
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
pub(super) fn plan_of(looked: &Looked) -> JobPlan {
    let mut plan = describe(&looked.plan, &looked.encoders, &looked.footage);
    plan.warnings.extend(looked.notes.iter().cloned());
    plan
}

/// Makes a segment; `None` where `stop` came first.
pub(super) fn make_segment(
    task: &Task,
    index: usize,
    stop: &Shutdown,
    advanced: &dyn Fn(i64),
) -> Result<Option<SegmentOutcome>> {
    // Soon, where it is of no use to go on.
    task.feed.source().check()?;
    let segment = &task.plan.segments[index];
    match task.plan.copy {
        Some(_) => copy::run(task, segment, stop, advanced),
        None => segment::run(task, segment, stop, advanced),
    }
}

/// Makes the sound; false where `stop` came first.
pub(super) fn make_sound(task: &Task, stop: &Shutdown) -> Result<bool> {
    let Some(mut sound) = open_sound(task)? else { return Ok(true) };
    let path = task.work.sound();
    if is_whole(&path).is_some() {
        return Ok(true);
    }
    let zero = sound_zero(task);
    let mut file = RecordWriter::create(&path, &[])?;
    let mut put = |packet: ff::Packet| match Record::of(&packet) {
        Some(record) => file.write(&record),
        None => Ok(()),
    };
    let mut reader = task.feed.source().reader(task.spec.video_stream)?;
    // A decoder needs what an edit list hides, and keeps it to itself; copied, it would be heard.
    let copied = task.plan.sound.action == SoundAction::Copy;
    while let Some(read) = reader.next() {
        if stop.is_cancelled() {
            return Ok(false);
        }
        if let Read::Sound(mut packet) = read {
            if copied && is_hidden(&packet) {
                continue;
            }
            packet.set_pts(packet.pts().map(|t| t.saturating_sub(zero)));
            packet.set_dts(packet.dts().map(|t| t.saturating_sub(zero)));
            sound.push(Some(packet), &mut put)?;
        }
    }
    sound.push(None, &mut put)?;
    file.commit()?;
    Ok(true)
}

/// What the first picture's time is on the clock of the sound.
fn sound_zero(task: &Task) -> i64 {
    let base = task.footage.sound.as_ref().map_or((1, 1), |s| s.time_base);
    ticks(nanos(task.footage.zero, task.footage.time_base), base)
}

fn open_sound(task: &Task) -> Result<Option<Sound>> {
    let Some(source) = &task.footage.sound else { return Ok(None) };
    let (from, to) = task.plan.range;
    let time = |at: i64| {
        let nanos = nanos(at, task.footage.time_base);
        std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    };
    let range = SoundRange { start: time(from), end: (to < task.footage.end).then(|| time(to)) };
    let (num, den) = source.time_base;
    Sound::open(&task.plan.sound, source.parameters.get(), ff::Rational(num as i32, den as i32), range)
}

/// How far a job may fall short of its source.
pub(super) fn may_miss(pictures: u64) -> u64 {
    MAY_MISS.max(pictures / MAY_MISS_IN)
}

/// Says what is missing of the source, if it is more than may be.
pub(super) fn judge(task: &Task, decoded: u64) -> Result<u64> {
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
pub(super) fn complete(
    task: &Task,
    options: &QueueOptions,
    clock: &SharedClock,
    stop: &Shutdown,
    checking: &dyn Fn(),
) -> Result<Option<JobReport>> {
    let sound = open_sound(task)?
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
        copied: task.plan.copy.is_some(),
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

fn export(evidence: &Evidence, spec: &TranscodeSpec) -> Result<evidence::Export> {
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
    let encoders = task.encoders.iter().map(|name| version("encoder", (*name).to_owned()));
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
