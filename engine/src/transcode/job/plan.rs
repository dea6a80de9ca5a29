//! From what is asked and what the source is to what is done: copy or encode, sizes, segments, threads.
//! Pure.

use ffmpeg_next::codec::Id;

use super::segments::{self, Needs, Segment, key_before, last_unit, tick_from};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Orientation, Ratio};
use crate::transcode::codec::encoder::{self, USUAL_GOP};
use crate::transcode::edit::{PictureFormat, target_size};
use crate::transcode::input::scan::Footage;
use crate::transcode::sound::{SoundAction, SoundPlan};
use crate::transcode::spec::{
    EncodeSpec, RateSpec, RenditionSpec, SizeSpec, Target, TargetCodec, TranscodeSpec, VideoSpec,
};

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
    /// Why the pictures are copied; `None` where they are encoded.
    pub copy: Option<String>,
    /// Why they are encoded.
    pub reason: String,
    /// Ticks of the source: from, until before.
    pub range: (i64, i64),
    /// Pictures that come out.
    pub pictures: u64,
    /// Seconds of a tick of what comes out, as numerator and denominator.
    pub out_base: (i64, i64),
    pub frame_rate: Ratio,
    pub segments: Vec<Segment>,
    pub renditions: Vec<Rendition>,
    /// A segment's rate depends on those before it, but for so many; `None` where x264 makes nothing at an average
    /// rate, or there is one segment.
    pub lag: Option<usize>,
    pub sound: SoundPlan,
    pub warnings: Vec<String>,
}

impl Rendition {
    /// Whether later segments of it make up for what earlier ones fell short of at an average rate.
    pub fn makes_up(&self) -> bool {
        matches!(self.encode.rate, RateSpec::Kbps(_)) && self.encode.codec == TargetCodec::H264
    }
}

impl Plan {
    /// How many segments, from the first, must be made before one can be: their sizes decide its rate.
    pub fn needs(&self, segment: usize) -> usize {
        self.lag.map_or(0, |lag| segment.saturating_sub(lag))
    }

    /// A source's time as a tick of what comes out, counted from the beginning of the range, where each
    /// picture keeps its time.
    pub fn out_time(&self, pts: i64) -> i64 {
        pts - self.range.0
    }
}

/// Decides. `format` is what the editor makes of the pictures; `share` is how many of the machine's
/// threads this job may count on.
///
/// # Errors
/// `Config` where what is asked for contradicts itself or the source, `Unsupported` where the target
/// cannot hold it.
pub fn decide(
    spec: &TranscodeSpec,
    footage: &Footage,
    format: &PictureFormat,
    sound: SoundPlan,
    share: usize,
) -> Result<Plan> {
    let range = range(spec, footage)?;
    let why_not = why_not_copy(spec, footage, format, range).err();
    let must_copy = matches!(spec.renditions.first().map(|r| &r.video), Some(VideoSpec::Copy));
    if let Some(reason) = why_not.as_ref().filter(|_| must_copy) {
        let message = format!("cannot be copied: {reason}; leave `copy` out to have it encoded");
        return Err(Error::new(ErrorKind::Config, footage.path.display().to_string(), message));
    }
    let unchanged = || format!("nothing asks for a change of its {} pictures", footage.codec.name());
    let copy = why_not.is_none().then(unchanged);
    let reason = why_not.unwrap_or_default();
    let range = if copy.is_some() { (key_before(footage, range.0).own, range.1) } else { range };
    let frame_rate = spec.frame_rate.unwrap_or(footage.frame_rate);
    let out_base = match spec.frame_rate {
        Some(rate) => (i64::from(rate.den), i64::from(rate.num)),
        None => footage.time_base,
    };
    let seconds = footage.seconds(range.1 - range.0);
    let renditions = match copy {
        Some(_) => vec![copied(spec, footage)],
        None => {
            let make = |r: &RenditionSpec| rendition(spec, r, format, seconds, frame_rate, &sound);
            spec.renditions.iter().map(make).collect::<Result<Vec<_>>>()?
        }
    };
    let mut segments = match copy {
        Some(_) => segments::copied(footage, range),
        None => {
            // What an encoder still holds back when its last picture comes cannot be steered any more.
            let made_up = renditions.iter().filter(|r| r.makes_up());
            let threads = encoder::threads("libx264", share, renditions.len());
            let needs = Needs {
                gop: renditions.iter().filter_map(|r| r.encode.gop).max().unwrap_or(USUAL_GOP),
                frame_rate,
                is_constant: spec.frame_rate.is_some(),
                is_rated: renditions.iter().any(|r| matches!(r.encode.rate, RateSpec::Kbps(_))),
                held_back: made_up.map(|r| encoder::held_back(&r.encode, threads)).max().unwrap_or(0),
            };
            segments::encoded(footage, range, &needs, share)
        }
    };
    if segments.iter().all(|s| s.pictures == 0) {
        let message = "the range holds no picture; look at --from and --to";
        return Err(Error::new(ErrorKind::Config, footage.path.display().to_string(), message));
    }
    segments::give_threads(&mut segments, share);
    let pictures = match spec.frame_rate {
        Some(rate) => tick_from(range.1 - range.0, footage.time_base, rate),
        None => segments.iter().map(|s| s.pictures).sum(),
    };
    let mut warnings = footage.notes.clone();
    if copy.is_none() && segments.len() == 1 && seconds > 60.0 {
        warnings.push("it can be cut nowhere, so an interrupted job starts over".into());
    }
    // As many as are in the making when one is taken, and that one: nobody waits, unless a segment takes
    // twice as long as the next two.
    let makes_up = renditions.iter().any(Rendition::makes_up);
    let lag = (copy.is_none() && makes_up && segments.len() > 1).then_some(share.max(2));
    Ok(Plan {
        copy,
        reason,
        range,
        pictures,
        out_base,
        frame_rate,
        segments,
        renditions,
        lag,
        sound,
        warnings,
    })
}

/// The range in ticks: from the picture that is shown at its beginning.
fn range(spec: &TranscodeSpec, footage: &Footage) -> Result<(i64, i64)> {
    let from = footage.ticks(spec.range.from.unwrap_or_default());
    let to = spec.range.to.map_or(footage.end, |to| footage.ticks(to).min(footage.end));
    if from >= footage.end || from >= to {
        let message = format!("lasts {:.1} s; nothing lies in the range", footage.seconds(footage.end));
        return Err(Error::new(ErrorKind::Config, footage.path.display().to_string(), message));
    }
    if from == 0 {
        return Ok((0, to));
    }
    let slack = footage.ticks(std::time::Duration::from_millis(1));
    let shown = footage.times.iter().flatten().filter(|t| **t <= from + slack).max();
    Ok((shown.copied().unwrap_or(0).max(0), to))
}

fn why_not_copy(
    spec: &TranscodeSpec,
    footage: &Footage,
    format: &PictureFormat,
    (from, to): (i64, i64),
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
    let key = key_before(footage, from);
    let off = footage.seconds(from - key.own);
    // Copied, they would be shown: not every container and not every player knows edit lists.
    let copied = key.unit..last_unit(footage, key.unit, to, None);
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
    format: &PictureFormat,
    seconds: f64,
    frame_rate: Ratio,
    sound: &SoundPlan,
) -> Result<Rendition> {
    let subject = || format!("rendition {}", asked.name);
    let mut encode = asked.video.encode().cloned().ok_or_else(|| {
        Error::new(ErrorKind::Config, subject(), "a ladder's pictures cannot be copied; give it a rate")
    })?;
    if let RateSpec::TargetBytes(bytes) = encode.rate {
        let sound_kbps = match sound.action {
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
    let size = target_size(asked.size, format)?;
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
