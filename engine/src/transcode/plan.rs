//! From what is asked and what the source is to what is done: copy or encode, sizes, segments, threads.
//! Pure.

use std::time::Duration;

use super::edit::{PictureFormat, target_size};
use super::encoder;
use super::scan::{Footage, Key};
use super::sound::{SoundAction, SoundPlan};
use super::spec::{
    EncodeSpec, RateSpec, RenditionSpec, SizeSpec, Target, TargetCodec, TranscodeSpec, VideoSpec,
};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Orientation, Ratio};

use ffmpeg_next::codec::Id;

/// Segments are at least about so long: at each seam the encoder's look-ahead begins anew, which costs
/// quality; longer ones cost work that an interruption loses.
const SEGMENT: Duration = Duration::from_secs(20);
/// At an average rate there are about so many, each as long as this at least: later ones make up for what
/// earlier ones fell short of.
const SEGMENTS_AT_RATE: u32 = 16;
const SEGMENT_AT_RATE: Duration = Duration::from_secs(8);
/// What is no longer than this is not cut: it comes out as a single run of the encoder makes it.
const WHOLE: Duration = Duration::from_secs(30);
/// Pictures from one key frame to the next where nobody says: what x264 and x265 take.
pub(super) const USUAL_GOP: u32 = 250;
/// Threads of a segment that is made last: more help an encoder less and less.
const LAST_THREADS: usize = 4;
/// The part of a target size that video may take: containers need the rest.
const VIDEO_SHARE: f64 = 0.985;
/// What is left for sound that is copied and does not tell its rate.
const COPIED_SOUND_KBPS: f64 = 128.0;
/// A segment that is steered to its rate has at least so many times the pictures that its encoder holds back.
const STEERED: u64 = 3;
/// A cut this close to a key frame, in seconds, is on it.
const ON_KEY: f64 = 0.001;

/// A part of the source that is encoded by itself. Ticks are the source's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub index: usize,
    /// Units that are decoded: from the first, a key frame, until before the last.
    pub units: std::ops::Range<u64>,
    /// Where an editor that looks at neighbours begins to decode.
    pub neighbours_from: u64,
    /// When its pictures are shown: from, until before.
    pub from: i64,
    pub to: i64,
    /// How many pictures of the source that is.
    pub pictures: u64,
    /// Threads of its encoders.
    pub threads: usize,
    /// Bytes of its units.
    pub bytes: u64,
    /// How hard its pictures were for who coded the source, about.
    pub hard: u64,
}

/// One size and quality of the result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rendition {
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
pub(super) struct Plan {
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
pub(super) fn decide(
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
    let rated = renditions.iter().any(|r| matches!(r.encode.rate, RateSpec::Kbps(_)));
    let mut segments = match copy {
        Some(_) => copied_segment(footage, range),
        None => {
            let gop = renditions.iter().filter_map(|r| r.encode.gop).max().unwrap_or(USUAL_GOP);
            let share_of_all = Duration::from_secs_f64(seconds.max(0.0) / f64::from(SEGMENTS_AT_RATE));
            let usual = if rated { share_of_all.clamp(SEGMENT_AT_RATE, SEGMENT) } else { SEGMENT };
            let most = segment_ticks(footage, usual, f64::from(gop) / frame_rate.as_f64().max(0.01));
            let whole = range.1 - range.0;
            let most = if whole <= footage.ticks(WHOLE) { whole.max(most) } else { most };
            // What an encoder still holds back when its last picture comes cannot be steered any more.
            let held = renditions.iter().filter(|r| r.makes_up());
            let threads = encoder::threads("libx264", share, renditions.len());
            let held = held.map(|r| encoder::held_back(&r.encode, threads)).max().unwrap_or(0);
            segments(footage, range, most, share, (STEERED * held, spec.frame_rate))
        }
    };
    if segments.iter().all(|s| s.pictures == 0) {
        let message = "the range holds no picture; look at --from and --to";
        return Err(Error::new(ErrorKind::Config, footage.path.display().to_string(), message));
    }
    give_threads(&mut segments, share);
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

/// Pictures that come out of a segment.
pub(super) fn made_of(segment: &Segment, frame_rate: Option<Ratio>, footage: &Footage) -> u64 {
    made(footage, segment.from..segment.to, segment.pictures, frame_rate)
}

/// Pictures that come out of a range of the source that shows so many.
fn made(footage: &Footage, ticks: std::ops::Range<i64>, shown: u64, frame_rate: Option<Ratio>) -> u64 {
    match frame_rate {
        Some(rate) => (footage.seconds(ticks.end - ticks.start) * rate.as_f64()).round() as u64,
        None => shown,
    }
}

/// The first tick of a frame rate that is not before a time, both from zero. A time that is at most a
/// tick of its own clock after it counts as on it: containers round.
pub(super) fn tick_from(time: i64, (num, den): (i64, i64), rate: Ratio) -> u64 {
    let over = i128::from(den) * i128::from(rate.den);
    let scaled = |time: i64| i128::from(time) * i128::from(num) * i128::from(rate.num);
    // A clock of the rate itself rounds nothing.
    let slack = if over % (i128::from(num) * i128::from(rate.num)) == 0 { 0 } else { 1 };
    let ticks = (scaled(time - slack) + over - 1).div_euclid(over);
    u64::try_from(ticks.max(0)).unwrap_or(u64::MAX)
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

/// The last key frame that is not after a time.
fn key_before(footage: &Footage, time: i64) -> Key {
    let before = footage.keys.iter().rev().find(|key| key.pts <= time);
    before.or(footage.keys.first()).copied().unwrap_or(Key { unit: 0, pts: 0, own: 0, bytes: 0, hard: 0 })
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

/// The longest a segment may be: whole GOPs of the result, so that cuts cost no key frames.
fn segment_ticks(footage: &Footage, usual: Duration, gop_seconds: f64) -> i64 {
    let gops = (usual.as_secs_f64() / gop_seconds.max(0.04)).ceil().max(1.0);
    footage.ticks(Duration::from_secs_f64((gop_seconds * gops).min(60.0)))
}

/// Equal parts, as many as bring each below `most`: rounds of all `share` workers, and a few that are made
/// last with several threads each, so that none idles while another makes the last one. Each begins at the
/// key frame that is nearest, and of each at least so many pictures come, at a frame rate where one is asked for.
fn segments(
    footage: &Footage,
    (from, to): (i64, i64),
    most: i64,
    share: usize,
    (least, rate): (u64, Option<Ratio>),
) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut shown: Vec<i64> = footage.times.iter().flatten().copied().collect();
    shown.sort_unstable();
    let before = |time: i64| shown.partition_point(|t| *t < time) as u64;
    let pictures = |from: i64, to: i64| before(to) - before(from).min(before(to));
    let made = |from: i64, to: i64| made(footage, from..to, pictures(from, to), rate);
    // A tenth more than a whole number of parts is no reason for another.
    let most = most.max(10);
    let parts = u64::try_from((to - from - most / 10 + most - 1) / most).unwrap_or(1);
    let parts = parts.min(made(from, to) / least.max(1)).max(1);
    let last = last_ones(share);
    let rounds = last + parts.saturating_sub(last).max(1).next_multiple_of(share.max(1) as u64);
    // Many workers make the parts of a short job with several threads each, instead of ever shorter ones.
    let is_long = (to - from) / i64::try_from(rounds).unwrap_or(i64::MAX) >= most / 4;
    let parts = if parts > 1 && is_long && made(from, to) / rounds >= least { rounds } else { parts };
    let inside: Vec<Key> = footage.keys.iter().copied().filter(|k| k.pts > from && k.pts < to).collect();
    let mut cuts = vec![key_before(footage, from)];
    let mut next_key = 0;
    for part in 1..parts {
        let wish = from + (i128::from(to - from) * i128::from(part) / i128::from(parts)) as i64;
        let near = |at: usize| inside.get(at).map(|key| (key.pts - wish).abs());
        while near(next_key + 1).is_some_and(|next| near(next_key).is_some_and(|this| next <= this)) {
            next_key += 1;
        }
        let Some(key) = inside.get(next_key) else { break };
        let this = if cuts.len() > 1 { cuts[cuts.len() - 1].pts } else { from };
        let enough = made(this, key.pts) >= least && made(key.pts, to) >= least;
        if enough && cuts.last().is_some_and(|last| last.unit < key.unit) {
            cuts.push(*key);
        }
    }
    for (index, cut) in cuts.iter().enumerate() {
        let next = cuts.get(index + 1);
        let (begin, end) = (if index == 0 { from } else { cut.pts }, next.map_or(to, |n| n.pts));
        let until = last_unit(footage, cut.unit, end, next);
        let after = next.or_else(|| footage.keys.iter().find(|key| key.pts >= to && key.unit > cut.unit));
        let (bytes_end, hard_end, behind) = after
            .map_or((footage.unit_bytes, footage.hard, footage.end), |key| (key.bytes, key.hard, key.pts));
        let (bytes, hard) = (bytes_end.saturating_sub(cut.bytes), hard_end.saturating_sub(cut.hard));
        let span = behind - cut.pts;
        let shown = ((end - begin) as f64 / span.max(1) as f64).min(1.0);
        let before = footage.keys.partition_point(|k| k.unit < cut.unit).checked_sub(1);
        segments.push(Segment {
            index,
            units: cut.unit..until,
            neighbours_from: before.map_or(cut.unit, |at| footage.keys[at].unit),
            from: begin,
            to: end,
            pictures: pictures(begin, end),
            threads: 1,
            bytes,
            hard: (hard as f64 * shown) as u64,
        });
    }
    segments
}

/// Segments that are made last, by all of `share` workers' threads.
fn last_ones(share: usize) -> u64 {
    if share > 1 { share.div_ceil(LAST_THREADS) as u64 } else { 0 }
}

/// All that is copied: in decoding order, so that nothing at its end lacks what it refers to.
fn copied_segment(footage: &Footage, (from, to): (i64, i64)) -> Vec<Segment> {
    let unit =
        footage.keys.iter().rev().find(|key| key.own <= from).or(footage.keys.first()).map_or(0, |k| k.unit);
    let until = last_unit(footage, unit, to, None);
    let times = footage.times.iter().take(until as usize).skip(unit as usize).flatten();
    let pictures = times.filter(|t| **t >= from).count() as u64;
    vec![Segment {
        index: 0,
        units: unit..until,
        neighbours_from: unit,
        from,
        to,
        pictures,
        threads: 1,
        bytes: footage.unit_bytes,
        hard: footage.hard,
    }]
}

/// One after the last unit that a segment needs: leading pictures of an open GOP lie behind the key frame
/// that follows and before the one after it, and one more picture for an editor that looks at neighbours.
fn last_unit(footage: &Footage, first: u64, to: i64, next: Option<&Key>) -> u64 {
    let after = next.and_then(|n| footage.keys.iter().find(|key| key.unit > n.unit && key.own >= to));
    let until = after.map_or(footage.times.len(), |key| key.unit as usize);
    let units = footage.times.iter().enumerate().take(until).skip(first as usize);
    let last = units.filter(|(_, t)| t.is_some_and(|t| t < to)).map(|(unit, _)| unit as u64).next_back();
    let neighbour = next.map_or(0, |n| n.unit + 1);
    last.map_or(first + 1, |l| l + 1).max(neighbour)
}

/// Segments that fill no round of all workers get the threads of the workers that would idle.
fn give_threads(segments: &mut [Segment], share: usize) {
    let share = share.max(1);
    let whole = segments.len() / share * share;
    let rest = segments.len() - whole;
    for segment in segments.iter_mut().skip(whole) {
        segment.threads = (share / rest.max(1)).max(1);
    }
}

impl TargetCodec {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            TargetCodec::H264 => "h264",
            TargetCodec::H265 => "h265",
            TargetCodec::Av1 => "av1",
        }
    }
}

impl EncodeSpec {
    /// What a job takes where nothing is said: H.264 at constant quality.
    pub fn usual() -> EncodeSpec {
        EncodeSpec {
            codec: TargetCodec::H264,
            encoder: super::spec::EncoderFamily::Software,
            rate: RateSpec::Crf(23.0),
            preset: "veryfast".into(),
            gop: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::decoder::SharedParameters;
    use super::*;

    /// So many pictures at 25 a second, a key frame every so many; after a key frame two pictures that are
    /// shown before it, where its group is open.
    fn footage(pictures: i64, key_every: i64, open: bool) -> Footage {
        let mut times: Vec<Option<i64>> = (0..pictures).map(Some).collect();
        let mut keys = Vec::new();
        for key in (0..pictures).step_by(key_every as usize) {
            let unit = if open && key > 0 && key_every > 2 { key - 2 } else { key };
            if unit != key {
                times[unit as usize..=key as usize].rotate_right(1);
            }
            keys.push(Key {
                unit: unit as u64,
                pts: key,
                own: key,
                bytes: unit as u64 * 1000,
                hard: unit as u64 * 1000,
            });
        }
        Footage {
            path: PathBuf::from("made.mp4"),
            format: "mov".into(),
            bytes: 0,
            modified: 0,
            video: SharedParameters::new(&ffmpeg_next::codec::Parameters::new()),
            codec: Id::H264,
            size: (640, 360),
            time_base: (1, 25),
            frame_rate: Ratio { num: 25, den: 1 },
            rate_is_told: true,
            orientation: Some(Orientation::UPRIGHT),
            zero: 0,
            times,
            counted: false,
            hidden: Vec::new(),
            keys,
            refreshes: false,
            unit_bytes: pictures as u64 * 1000,
            hard: pictures as u64 * 1000,
            quantisers: false,
            end: pictures,
            sound: None,
            faults: Vec::new(),
            cut: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn every_picture_belongs_to_one_segment() {
        for (pictures, key_every) in
            [(1, 50), (249, 250), (1500, 50), (1501, 50), (1000, 1), (997, 37), (900, 900)]
        {
            for (from, to) in [(0, pictures), (pictures / 3, pictures - pictures / 5)] {
                for (share, open) in [(1, false), (2, true), (5, false)] {
                    let footage = footage(pictures, key_every, open);
                    let segments = segments(&footage, (from, to), 250, share, (0, None));
                    assert_eq!((segments[0].from, segments[segments.len() - 1].to), (from, to));
                    assert!(segments.windows(2).all(|w| w[0].to == w[1].from && w[0].from < w[0].to));
                    let sum: u64 = segments.iter().map(|s| s.pictures).sum();
                    assert_eq!(sum, footage.pictures(from, to), "{pictures} {key_every} {share} {open}");
                    for segment in &segments {
                        let units = segment.units.start as usize..segment.units.end as usize;
                        let held = footage.times[units].iter().flatten();
                        let inside = held.filter(|t| (segment.from..segment.to).contains(*t)).count() as u64;
                        assert_eq!(inside, segment.pictures, "all that it shows is among what it decodes");
                    }
                }
            }
        }
    }

    #[test]
    fn segments_are_alike_and_fill_rounds_of_all_workers() {
        let segments =
            |pictures, share| segments(&footage(pictures, 50, false), (0, pictures), 250, share, (0, None));
        let lengths = |pictures, share| -> Vec<i64> {
            segments(pictures, share).iter().map(|s| (s.to - s.from) / 50).collect()
        };
        assert_eq!(lengths(1250, 2), [5; 5], "two rounds and one for both, in whole GOPs of the result");
        assert_eq!(lengths(1260, 2).len(), 5, "a little more is no reason for another");
        assert_eq!(lengths(1500, 2), [4, 5, 4, 4, 4, 5, 4], "three rounds and one for both");
        assert_eq!(lengths(750, 2), [5; 3], "one round and one for both");
        assert_eq!(lengths(1500, 1), [5; 6], "one worker never waits for another");
        assert_eq!(lengths(200, 2), [4], "a short one gets threads instead");
        assert_eq!(segments(750, 16).len(), 3, "nothing is cut to pieces for many workers");
        let mut threads = segments(1500, 2);
        give_threads(&mut threads, 2);
        assert_eq!(threads.iter().map(|s| s.threads).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 1, 2]);
        let mut one = segments(200, 2);
        give_threads(&mut one, 2);
        assert_eq!(one[0].threads, 2);
    }

    #[test]
    fn no_segment_has_fewer_pictures_than_it_must() {
        let lengths = |share, least: (u64, Option<Ratio>), at: &[i64]| -> Vec<i64> {
            let mut footage = footage(1500, 50, false);
            footage.keys.retain(|key| at.is_empty() || at.contains(&key.pts));
            segments(&footage, (0, 1500), 250, share, least).iter().map(|s| s.to - s.from).collect()
        };
        assert_eq!(lengths(16, (0, None), &[]).len(), 20, "four of all workers, and a round");
        assert_eq!(lengths(16, (200, None), &[]), [250; 6]);
        let half = Some(Ratio { num: 25, den: 2 });
        assert_eq!(lengths(2, (200, half), &[]), [500; 3], "of those that come out");
        let uneven = [0, 400, 450, 900, 1450];
        assert_eq!(lengths(2, (0, None), &uneven), [400, 50, 450, 550, 50]);
        assert_eq!(lengths(2, (150, None), &uneven), [400, 500, 600]);
    }

    #[test]
    fn ticks_take_the_newest_picture_that_is_not_after_them() {
        let fps = |num, den| Ratio { num, den };
        // 25 pictures a second on a clock of milliseconds: 0, 40, 80, …
        let at = |ms| tick_from(ms, (1, 1000), fps(25, 1));
        assert_eq!([at(0), at(40), at(41), at(80)], [0, 1, 2, 2]);
        // Milliseconds round 29.97 pictures a second: 33.37 is written as 33 or 34.
        let at = |ms| tick_from(ms, (1, 1000), fps(30000, 1001));
        assert_eq!([at(33), at(34), at(67), at(100)], [1, 1, 2, 3]);
        assert_eq!(tick_from(-5, (1, 1000), fps(25, 1)), 0);
        assert_eq!(tick_from(7, (1, 25), fps(25, 1)), 7, "a clock of the rate itself rounds nothing");
    }
}
