//! What a transcoding job is asked for: one source, one or more renditions of it, one target. Plain
//! values; everything else in this room takes its orders from here.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::base::names;
use crate::media::Ratio;

pub use crate::encode::EncoderChoice;

/// One source into one target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TranscodeSpec {
    /// The file to read. It is never written to.
    #[serde(serialize_with = "names::serialize")]
    pub input: PathBuf,
    /// Which video stream of it, from 0, in the file's order.
    pub video_stream: usize,
    /// Which part of it; times count from its first picture.
    pub range: TimeRange,
    /// What happens to the pictures, before they are scaled for each rendition.
    pub edit: EditSpec,
    /// Pictures per second: each tick shows the newest picture that is not after it. `None`: each
    /// picture keeps its own time.
    pub frame_rate: Option<Ratio>,
    /// At least one; several make a ladder, which goes into a [`Target::Hls`] folder.
    pub renditions: Vec<RenditionSpec>,
    /// What becomes of the sound.
    pub audio: AudioSpec,
    /// Where the result goes.
    pub target: Target,
    /// Whether a target of that name may be replaced.
    pub overwrite: bool,
    /// Keep what could be decoded of a damaged or cut source, instead of failing.
    pub salvage: bool,
    /// How much of the result is decoded before it counts. Evidence is always proved in full.
    pub verify: Verify,
}

/// How much of what was written is decoded before it counts. Whatever is chosen, all of it is read back and compared
/// with what was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Every picture.
    #[default]
    Full,
    /// The beginning of the first and of the last group of pictures of each segment.
    Ends,
    /// None.
    None,
}

/// From when until when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TimeRange {
    /// The first instant that is shown; the beginning where `None`.
    pub from: Option<Duration>,
    /// The first instant that is not shown any more; the end where `None`.
    pub to: Option<Duration>,
    /// The cut may move back to the key frame before `from`, so that nothing is encoded again.
    pub at_key_frame: bool,
}

impl TimeRange {
    /// Everything.
    pub fn is_whole(&self) -> bool {
        self.from.unwrap_or_default().is_zero() && self.to.is_none()
    }
}

/// What happens to the pictures, in this order: deinterlace, rotate, crop, masks, watermark, label,
/// time code. Positions and sizes of masks and marks are in the picture after cropping, in shares of
/// its width and height (0 to 1), so that they hold whatever the resolution is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EditSpec {
    /// When fields become pictures.
    pub deinterlace: Deinterlace,
    /// Turned by this, clockwise, beside what the file itself asks for.
    pub rotate: Rotation,
    /// The part of the picture that is kept, in pixels of the upright picture.
    pub crop: Option<CropRect>,
    /// What nobody may see.
    pub masks: Vec<Mask>,
    /// A picture put over all others.
    pub watermark: Option<Watermark>,
    /// A line of text.
    pub label: Option<Label>,
    /// The time burnt in.
    pub time_code: Option<TimeCode>,
}

impl EditSpec {
    /// Nothing is done to the pictures.
    pub fn is_nothing(&self) -> bool {
        let painted = self.masks.is_empty()
            && self.watermark.is_none()
            && self.label.is_none()
            && self.time_code.is_none();
        painted
            && self.crop.is_none()
            && self.rotate == Rotation::None
            && self.deinterlace != Deinterlace::Always
    }
}

/// Whether interlaced pictures become progressive ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Deinterlace {
    /// Pictures that are marked as interlaced.
    #[default]
    Auto,
    /// All pictures, whatever they are marked as.
    Always,
    /// None.
    Never,
}

/// Quarter turns, clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Rotation {
    /// As it is.
    #[default]
    None,
    /// 90 degrees clockwise.
    Right,
    /// Upside down.
    Half,
    /// 270 degrees clockwise.
    Left,
}

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CropRect {
    /// Pixels from the left edge; taken down to an even number.
    pub x: u32,
    /// Pixels from the top edge; taken down to an even number.
    pub y: u32,
    /// Pixels wide.
    pub width: u32,
    /// Pixels high.
    pub height: u32,
}

/// A region that is made unrecognisable.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mask {
    /// Corners of a polygon in shares of the picture (0 to 1); a rectangle has four. At least three.
    pub polygon: Vec<(f64, f64)>,
    /// How it is hidden.
    pub style: MaskStyle,
    /// From this time of the source on; the beginning where `None`.
    pub from: Option<Duration>,
    /// Until this time of the source; the end where `None`.
    pub to: Option<Duration>,
}

/// How a masked region is hidden. Every pixel that the polygon touches is hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskStyle {
    /// Black: nothing is left.
    #[default]
    Black,
    /// Blocks of one colour, at least a sixteenth of the picture's shorter side.
    Mosaic,
}

/// A picture over the video.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Watermark {
    /// A PNG file, with or without transparency.
    #[serde(serialize_with = "names::serialize")]
    pub image: PathBuf,
    /// Where.
    pub corner: Corner,
    /// Its width as a share of the picture's (0 to 1).
    pub width: f64,
    /// 0: invisible; 1: as opaque as the file says.
    pub opacity: f64,
}

/// A text over the video.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Label {
    /// The text.
    pub text: String,
    /// Where.
    pub corner: Corner,
    /// Height of a line as a share of the picture's height (0 to 1).
    pub height: f64,
}

/// A running time over the video.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimeCode {
    /// What time it shows at the first picture of the source (not of the range), as time since
    /// midnight or since the Unix epoch (then with its date).
    pub start: TimeCodeStart,
    /// Where.
    pub corner: Corner,
    /// Height of a line as a share of the picture's height (0 to 1).
    pub height: f64,
}

/// What a time code counts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum TimeCodeStart {
    /// `HH:MM:SS.mmm` since the first picture.
    #[default]
    Zero,
    /// `YYYY-MM-DD HH:MM:SS.mmm` UTC; nanoseconds since 1970.
    Utc(i64),
}

/// A corner of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corner {
    /// Top left.
    TopLeft,
    /// Top right.
    TopRight,
    /// Bottom left.
    #[default]
    BottomLeft,
    /// Bottom right.
    BottomRight,
}

/// One picture size and quality of a target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RenditionSpec {
    /// What it is called in a ladder, such as `720p`; letters, digits, `-` and `_`.
    pub name: String,
    /// How large.
    pub size: SizeSpec,
    /// How it is compressed.
    pub video: VideoSpec,
}

/// How large pictures become. Results are even; pixels become square unless the size is `Keep`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum SizeSpec {
    /// As they come, with the pixel aspect they have.
    #[default]
    Keep,
    /// So many lines, the width by the aspect.
    Height(u32),
    /// So many columns, the height by the aspect.
    Width(u32),
    /// The largest of the same aspect that goes into this, and never larger than it is.
    Within(u32, u32),
    /// Exactly this, with black bars where the aspect differs.
    Pad(u32, u32),
    /// Exactly this, edges cut off where the aspect differs.
    Fill(u32, u32),
    /// Exactly this, out of proportion where the aspect differs.
    Stretch(u32, u32),
}

/// How video is compressed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum VideoSpec {
    /// As it is in the source: no picture is touched. Refused where something else asks for a change.
    Copy,
    /// As in the source, of whatever codec, where nothing asks for a change; otherwise encoded with these.
    CopyOrEncode(EncodeSpec),
    /// Encoded.
    Encode(EncodeSpec),
}

impl VideoSpec {
    /// How to encode, unless it may only be copied.
    pub fn encode(&self) -> Option<&EncodeSpec> {
        match self {
            VideoSpec::Copy => None,
            VideoSpec::CopyOrEncode(encode) | VideoSpec::Encode(encode) => Some(encode),
        }
    }
}

/// An encoder's orders.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EncodeSpec {
    /// What comes out.
    pub codec: TargetCodec,
    /// Software (x264, x265, SVT-AV1: the same bytes on every machine with the same versions), or hardware where a
    /// probe finds that it works; else software, and that is said.
    pub encoder: EncoderChoice,
    /// Size against quality.
    pub rate: RateSpec,
    /// Speed against size, as x264 and x265 name it: `ultrafast` to `veryslow`.
    pub preset: String,
    /// Pictures from one key frame to the next, at most; the encoder's own choice where `None` (250
    /// for x264). In a ladder key frames come exactly so often.
    pub gop: Option<u32>,
}

impl EncodeSpec {
    /// What a job takes where nothing is said: H.264 at constant quality.
    pub fn usual() -> EncodeSpec {
        EncodeSpec {
            codec: TargetCodec::H264,
            encoder: EncoderChoice::Software,
            rate: RateSpec::Crf(23.0),
            preset: "veryfast".into(),
            gop: None,
        }
    }
}

/// Codecs that can be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetCodec {
    /// H.264 (x264, NVENC, VA, QSV).
    #[default]
    H264,
    /// H.265 (x265, NVENC, VA, QSV).
    H265,
    /// AV1 (SVT-AV1, libaom), where an encoder is present.
    Av1,
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

/// Size against quality.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum RateSpec {
    /// Constant quality, 0 to 51; lower is better.
    Crf(f64),
    /// Average kilobits a second.
    Kbps(u32),
    /// Bytes of the whole target, sound included.
    TargetBytes(u64),
}

/// What becomes of the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioSpec {
    /// Copied where the target can hold it, otherwise AAC.
    #[default]
    Auto,
    /// Copied; refused where the target cannot hold it.
    Copy,
    /// AAC, kilobits a second.
    Aac(u32),
    /// Left out.
    Drop,
}

/// Where the result goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Target {
    /// A file: `.mp4`, `.mov`, `.m4v`, `.mkv`, `.ts`; its ending says which.
    File(#[serde(serialize_with = "names::serialize")] PathBuf),
    /// A folder that holds a master playlist `master.m3u8`, a playlist for each rendition, and CMAF
    /// segments that begin at the same instants in all of them.
    Hls {
        /// The folder to make.
        #[serde(serialize_with = "names::serialize")]
        folder: PathBuf,
        /// Length of a segment.
        segment: Duration,
    },
}

impl Target {
    /// The file or folder that appears when all is well.
    pub fn path(&self) -> &std::path::Path {
        match self {
            Target::File(path) | Target::Hls { folder: path, .. } => path,
        }
    }
}
