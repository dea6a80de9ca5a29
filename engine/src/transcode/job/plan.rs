//! From what is asked and what the source is to what is done: copy or encode, sizes, segments, threads.
//! Pure.

use std::ops::Range;

use ffmpeg_next::codec::Id;

use super::segments::{self, Needs, Rate, Segment, key_before, last_unit, tick_from};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Orientation, Ratio};
use crate::transcode::codec::kind::{Encoder, USUAL_GOP};
use crate::transcode::edit::{PictureFormat, target_size};
use crate::transcode::input::scan::Footage;
use crate::transcode::sound::{SoundAction, SoundPlan};
use crate::transcode::spec::{
    EncodeSpec, RateSpec, RenditionSpec, SizeSpec, Target, TranscodeSpec, VideoSpec,
};
use crate::transcode::time::TimeBase;

/// The part of a target size that video may take: containers need the rest.
const VIDEO_SHARE: f64 = 0.985;
/// What is left for sound that is copied and does not tell its rate.
const COPIED_SOUND_KBPS: f64 = 128.0;
/// A cut this close to a key frame, in seconds, is on it.
const ON_KEY: f64 = 0.001;

/// One size and quality of the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendition {
    pub name: String,
    pub size: SizeSpec,
    pub width: u32,
    pub height: u32,
    pub encode: EncodeSpec,
    /// The level that its H.264 says, as ten times its number, whatever the rate; `None`: as x264 chooses.
    pub level: Option<u8>,
}

/// What is done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pictures are copied, not encoded.
    pub copies: bool,
    /// Why they are copied or encoded.
    pub reason: String,
    /// Ticks of the source.
    pub range: Range<i64>,
    /// Pictures that come out.
    pub pictures: u64,
    /// Of what comes out.
    pub out_base: TimeBase,
    pub frame_rate: Ratio,
    pub segments: Vec<Segment>,
    pub renditions: Vec<Rendition>,
    /// Who encodes each of them; none where they are copied.
    pub encoders: Vec<Encoder>,
    /// A segment's rate depends on those before it, but for so many; `None` where nothing is steered to an average
    /// rate, or there is one segment.
    pub lag: Option<usize>,
    pub sound: SoundPlan,
    pub warnings: Vec<String>,
}

impl Plan {
    /// How many segments, from the first, must be made before one can be: their sizes decide its rate.
    pub fn needs(&self, segment: usize) -> usize {
        self.lag.map_or(0, |lag| segment.saturating_sub(lag))
    }

    /// Whether segments of a rendition are encoded at rates of their own: later ones make up for what earlier ones
    /// fell short of.
    pub fn makes_up(&self, rendition: usize) -> bool {
        let rate = self.renditions[rendition].encode.rate;
        self.lag.is_some() && self.encoders.get(rendition).is_some_and(|encoder| encoder.is_steered(rate))
    }

    /// A source's time as a tick of what comes out, counted from the beginning of the range, where each
    /// picture keeps its time.
    pub fn out_time(&self, pts: i64) -> i64 {
        pts - self.range.start
    }
}

/// What is known of the source.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub footage: &'a Footage,
    /// What the editor makes of its pictures.
    pub edited: &'a PictureFormat,
    pub sound: &'a SoundPlan,
}

/// What of the machine a job may count on.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Threads.
    pub threads: usize,
    /// Workers that may help, where other jobs leave them.
    pub workers: usize,
}

/// Whether pictures are copied or encoded, and which.
#[derive(Clone, Debug)]
pub struct Way {
    pub copies: bool,
    /// Why.
    pub reason: String,
    /// Ticks of the source.
    pub range: Range<i64>,
}

/// Decides whether pictures can be copied. `edited` is what the editor makes of them.
///
/// # Errors
/// `Config` where nothing lies in the range, or a copy is asked for that cannot be.
pub fn way(spec: &TranscodeSpec, footage: &Footage, edited: &PictureFormat) -> Result<Way> {
    let range = range(spec, footage)?;
    match why_not_copy(spec, footage, edited, &range) {
        Ok(()) => {
            let reason = format!("nothing asks for a change of its {} pictures", footage.codec.name());
            Ok(Way { copies: true, reason, range: key_before(footage, range.start).own..range.end })
        }
        Err(reason) if matches!(spec.renditions.first().map(|r| &r.video), Some(VideoSpec::Copy)) => {
            let message = format!("cannot be copied: {reason}; leave `copy` out to have it encoded");
            Err(Error::new(ErrorKind::Config, footage.path.display().to_string(), message))
        }
        Err(reason) => Ok(Way { copies: false, reason, range }),
    }
}

/// Decides. `encoders` are those of the renditions, none where pictures are copied.
///
/// # Errors
/// `Config` where what is asked for contradicts itself or the source, `Unsupported` where the target
/// cannot hold it.
pub fn decide(
    spec: &TranscodeSpec,
    source: Source<'_>,
    way: Way,
    encoders: Vec<Encoder>,
    share: Share,
) -> Result<Plan> {
    let (footage, Way { copies, reason, range }) = (source.footage, way);
    let frame_rate = spec.frame_rate.unwrap_or(footage.frame_rate);
    let out_base = spec.frame_rate.map_or(footage.time_base, TimeBase::of_rate);
    let seconds = footage.seconds(range.end - range.start);
    let renditions = if copies {
        vec![copied(spec, footage)]
    } else {
        let make = |r: &RenditionSpec| rendition(spec, r, source, seconds, frame_rate);
        spec.renditions.iter().map(make).collect::<Result<Vec<_>>>()?
    };
    let mut segments = if copies {
        segments::copied(footage, &range)
    } else {
        let needs = needs(&renditions, &encoders, share.threads);
        let rate = Rate { pictures: frame_rate, is_constant: spec.frame_rate.is_some() };
        segments::encoded(footage, &range, rate, needs, share.threads)
    };
    if segments.iter().all(|s| s.pictures == 0) {
        let message = "the range holds no picture; look at --from and --to";
        return Err(Error::new(ErrorKind::Config, footage.path.display().to_string(), message));
    }
    segments::give_threads(&mut segments, share.threads);
    let pictures = match spec.frame_rate {
        Some(rate) => tick_from(range.end - range.start, footage.time_base, rate),
        None => segments.iter().map(|s| s.pictures).sum(),
    };
    let mut warnings = footage.notes.clone();
    if !copies && segments.len() == 1 && seconds > 60.0 {
        warnings.push("it can be cut nowhere, so an interrupted job starts over".into());
    }
    let is_steered = steered(&renditions, &encoders).next().is_some();
    let lag = (is_steered && segments.len() > 1).then(|| lag(segments.len(), share));
    let sound = source.sound.clone();
    Ok(Plan {
        copies,
        reason,
        range,
        pictures,
        out_base,
        frame_rate,
        segments,
        renditions,
        encoders,
        lag,
        sound,
        warnings,
    })
}

/// Renditions that are steered to an average rate, and by whom they are encoded.
fn steered<'a>(
    renditions: &'a [Rendition],
    encoders: &'a [Encoder],
) -> impl Iterator<Item = (&'a Rendition, Encoder)> {
    let with = renditions.iter().zip(encoders.iter().copied());
    with.filter(|(rendition, encoder)| encoder.is_steered(rendition.encode.rate))
}

/// What encoders ask of segments that are made by so many threads.
fn needs(renditions: &[Rendition], encoders: &[Encoder], threads: usize) -> Needs {
    // What an encoder still holds back when its last picture comes cannot be steered any more.
    let held_back = steered(renditions, encoders).map(|(rendition, encoder)| {
        encoder.held_back(&rendition.encode.preset, encoder.threads(threads, renditions.len()))
    });
    Needs {
        gop: renditions.iter().filter_map(|r| r.encode.gop).max().unwrap_or(USUAL_GOP),
        is_rated: renditions.iter().any(|r| matches!(r.encode.rate, RateSpec::Kbps(_))),
        held_back: held_back.max().unwrap_or(0),
    }
}

/// As many segments as are in the making when one is taken, and that one: nobody waits, unless a segment takes
/// twice as long as the next two. Workers that other jobs leave help too: as many may be in the making.
fn lag(segments: usize, share: Share) -> usize {
    share.threads.max(2).max(share.workers.min(segments / 2))
}

/// The range in ticks: from the picture that is shown at its beginning.
fn range(spec: &TranscodeSpec, footage: &Footage) -> Result<Range<i64>> {
    let from = footage.ticks(spec.range.from.unwrap_or_default());
    let to = spec.range.to.map_or(footage.end, |to| footage.ticks(to).min(footage.end));
    if from >= footage.end || from >= to {
        let message = format!("lasts {:.1} s; nothing lies in the range", footage.seconds(footage.end));
        return Err(Error::new(ErrorKind::Config, footage.path.display().to_string(), message));
    }
    if from == 0 {
        return Ok(0..to);
    }
    let slack = footage.ticks(std::time::Duration::from_millis(1));
    let shown = footage.times.iter().flatten().filter(|t| **t <= from + slack).max();
    Ok(shown.copied().unwrap_or(0).max(0)..to)
}

fn why_not_copy(
    spec: &TranscodeSpec,
    footage: &Footage,
    format: &PictureFormat,
    range: &Range<i64>,
) -> Result<(), String> {
    let [rendition] = spec.renditions.as_slice() else {
        return Err("a ladder has several renditions".into());
    };
    if let VideoSpec::Encode(_) = rendition.video {
        return Err("the options ask for encoding".into());
    }
    if !spec.edit.is_nothing() {
        return Err("its pictures are edited".into());
    }
    if target_size(rendition.size, format).ok() != target_size(SizeSpec::Keep, format).ok() {
        return Err("another size is wanted".into());
    }
    if spec.frame_rate.is_some() {
        return Err("another frame rate is wanted".into());
    }
    if footage.orientation != Some(Orientation::UPRIGHT) {
        return Err("it is to be turned or mirrored".into());
    }
    if !holds(&spec.target, footage.codec) {
        return Err(format!("the target cannot hold {}", footage.codec.name()));
    }
    if footage.codec == Id::MPEG4 && footage.format == "avi" {
        return Err("AVI may hold two of its pictures as one".into());
    }
    if spec.salvage && footage.cut.is_some() {
        return Err("a damaged source is decoded to see what of it is good".into());
    }
    let key = key_before(footage, range.start);
    let off = footage.seconds(range.start - key.own);
    // Copied, they would be shown: not every container and not every player knows edit lists.
    let copied = key.unit..last_unit(footage, key.unit, range.end, None);
    if footage.hidden.iter().any(|unit| copied.contains(unit)) {
        return Err("its edit list leaves out pictures that shown ones are predicted from".into());
    }
    if !spec.range.at_key_frame && off > ON_KEY {
        return Err(format!("the cut is {off:.2} s after a key frame"));
    }
    Ok(())
}

/// Whether a container holds pictures of a codec.
fn holds(target: &Target, codec: Id) -> bool {
    let ending = match target {
        Target::Hls { .. } => return matches!(codec, Id::H264 | Id::HEVC),
        Target::File(path) => path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase(),
    };
    match ending.as_str() {
        "mkv" => true,
        "ts" => matches!(codec, Id::H264 | Id::HEVC | Id::MPEG2VIDEO | Id::MPEG4),
        "mov" => matches!(codec, Id::H264 | Id::HEVC | Id::MPEG4 | Id::MJPEG | Id::PRORES),
        _ => matches!(codec, Id::H264 | Id::HEVC | Id::MPEG4 | Id::AV1 | Id::VP9),
    }
}

/// A rendition of copied pictures, for the report.
fn copied(spec: &TranscodeSpec, footage: &Footage) -> Rendition {
    let encode = spec.renditions.first().and_then(|r| r.video.encode()).cloned();
    Rendition {
        name: spec.renditions.first().map(|r| r.name.clone()).unwrap_or_default(),
        size: SizeSpec::Keep,
        width: footage.size.0,
        height: footage.size.1,
        encode: encode.unwrap_or_else(EncodeSpec::usual),
        level: None,
    }
}

fn rendition(
    spec: &TranscodeSpec,
    asked: &RenditionSpec,
    source: Source<'_>,
    seconds: f64,
    frame_rate: Ratio,
) -> Result<Rendition> {
    let subject = || format!("rendition {}", asked.name);
    let mut encode = asked.video.encode().cloned().ok_or_else(|| {
        Error::new(ErrorKind::Config, subject(), "a ladder's pictures cannot be copied; give it a rate")
    })?;
    if let RateSpec::TargetBytes(bytes) = encode.rate {
        let sound_kbps = match source.sound.action {
            SoundAction::Aac { kbps, .. } => f64::from(kbps),
            SoundAction::Copy => COPIED_SOUND_KBPS,
            SoundAction::Drop => 0.0,
        };
        let kbps = bytes as f64 * 8e-3 * VIDEO_SHARE / seconds.max(0.04) - sound_kbps;
        if kbps < 8.0 {
            let message = format!("{bytes} bytes are too few for {seconds:.1} s; take a larger target size");
            return Err(Error::new(ErrorKind::Config, subject(), message));
        }
        encode.rate = RateSpec::Kbps(kbps.min(1e6) as u32);
    }
    let size = target_size(asked.size, source.edited)?;
    if let Target::Hls { segment, .. } = &spec.target {
        // Whole GOPs of about two seconds at most fill a segment, and are no shorter than it together: it would end
        // one later.
        let seconds = segment.as_secs_f64() / (segment.as_secs_f64() / 2.0).ceil().max(1.0);
        let pictures = (seconds * frame_rate.as_f64() - 1e-3).ceil() as u32;
        encode.gop = Some(encode.gop.unwrap_or(pictures).max(1));
    }
    Ok(Rendition {
        name: asked.name.clone(),
        size: asked.size,
        width: size.width,
        height: size.height,
        encode,
        level: None,
    })
}
