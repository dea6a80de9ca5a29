//! The encoders of libavcodec that jobs know: what each can do, how it is told, and which of them works here.

use ff::codec;
use ff::format::Pixel;
use ffmpeg_next as ff;

use super::encoder::{NOMINAL, Timing};
use crate::base::{Error, ErrorKind, Result};
use crate::encode::element::PRESETS;
use crate::transcode::spec::{EncodeSpec, EncoderChoice, RateSpec, TargetCodec};

/// Pictures from one key frame to the next where nobody says: what x264 and x265 take.
pub const USUAL_GOP: u32 = 250;
/// What SVT-AV1 (1.4) calls the like of [`PRESETS`].
const SVT_PRESETS: [&str; 9] = ["12", "11", "10", "9", "8", "7", "5", "4", "3"];
/// What NVENC calls the like of them.
const NVENC_PRESETS: [&str; 9] = ["p1", "p1", "p2", "p3", "p3", "p4", "p5", "p6", "p7"];
/// Pictures that x264 looks ahead (`rc-lookahead`) with each of them.
const LOOK_AHEAD: [u64; 9] = [0, 0, 10, 20, 30, 40, 50, 60, 60];
/// The fastest of them with which x264 has its macroblock tree: `veryfast`.
const FIRST_WITH_TREE: usize = 2;

/// An encoder of libavcodec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoder {
    X264,
    X265,
    SvtAv1,
    H264Nvenc,
    HevcNvenc,
    H264Qsv,
    HevcQsv,
}

/// An encoder that works here, and why it is another than was asked for, if it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub encoder: Encoder,
    /// Why it is another, for the report.
    pub note: Option<String>,
}

impl Encoder {
    /// The one in software that makes a codec.
    pub fn software(codec: TargetCodec) -> Encoder {
        match codec {
            TargetCodec::H264 => Encoder::X264,
            TargetCodec::H265 => Encoder::X265,
            TargetCodec::Av1 => Encoder::SvtAv1,
        }
    }

    /// The one of a family of hardware that makes a codec, where jobs know it.
    fn hardware(family: EncoderChoice, codec: TargetCodec) -> Option<Encoder> {
        match (family, codec) {
            (EncoderChoice::Nvenc, TargetCodec::H264) => Some(Encoder::H264Nvenc),
            (EncoderChoice::Nvenc, TargetCodec::H265) => Some(Encoder::HevcNvenc),
            (EncoderChoice::Qsv, TargetCodec::H264) => Some(Encoder::H264Qsv),
            (EncoderChoice::Qsv, TargetCodec::H265) => Some(Encoder::HevcQsv),
            _ => None,
        }
    }

    /// libavcodec's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Encoder::X264 => "libx264",
            Encoder::X265 => "libx265",
            Encoder::SvtAv1 => "libsvtav1",
            Encoder::H264Nvenc => "h264_nvenc",
            Encoder::HevcNvenc => "hevc_nvenc",
            Encoder::H264Qsv => "h264_qsv",
            Encoder::HevcQsv => "hevc_qsv",
        }
    }

    /// Its constant quality can be changed from picture to picture, so that an average rate is steered from outside
    /// and later segments make up for what earlier ones fell short of.
    pub fn is_steered(self, rate: RateSpec) -> bool {
        self == Encoder::X264 && matches!(rate, RateSpec::Kbps(_))
    }

    /// Threads of one of so many encoders that share `cores`. x264's threads wait for each other: half as many again,
    /// as x264 takes itself, fill the cores; where several encoders run side by side, they fill each other's gaps.
    pub fn threads(self, cores: usize, encoders: usize) -> usize {
        if self == Encoder::X264 && encoders == 1 { cores + cores / 2 } else { cores }
    }

    /// Pictures that x264 holds back at most with so many threads: its look-ahead, up to eight B-pictures and what
    /// they are compared with, and one for each thread. Of other encoders nobody needs to know: zero.
    pub fn held_back(self, preset: &str, threads: usize) -> u64 {
        if self != Encoder::X264 {
            return 0;
        }
        let place = place_of(preset).unwrap_or(LOOK_AHEAD.len() - 1);
        LOOK_AHEAD[place] + 10 + threads as u64
    }

    /// Whether it has x264's macroblock tree with these options.
    pub fn has_tree(self, encode: &EncodeSpec) -> bool {
        self == Encoder::X264 && place_of(&encode.preset) >= Some(FIRST_WITH_TREE) && encode.gop != Some(1)
    }

    /// SVT-AV1 (1.4) never comes back from being closed before it was told the end, or without a picture.
    pub fn wants_end(self) -> bool {
        self == Encoder::SvtAv1
    }

    /// Setting flags puts away those that libavcodec has for x264, as FFmpeg uses it: a group of pictures that can
    /// be decoded by itself.
    pub fn flags(self) -> codec::Flags {
        if self == Encoder::X264 { codec::Flags::CLOSED_GOP } else { codec::Flags::empty() }
    }

    /// Whether it can be told the level of its stream, whatever its rate is.
    pub fn takes_level(self) -> bool {
        self == Encoder::X264
    }

    /// What it is told when it is opened.
    pub fn options(self, encode: &EncodeSpec, timing: Timing, threads: usize) -> ff::Dictionary<'static> {
        let mut options = ff::Dictionary::new();
        let place = place_of(&encode.preset).unwrap_or(2);
        let crf = match encode.rate {
            RateSpec::Crf(crf) => Some(format!("{crf}")),
            rate if timing.steered && self.is_steered(rate) => Some(format!("{NOMINAL}")),
            _ => None,
        };
        let gop = encode.gop.unwrap_or(USUAL_GOP);
        let aligned = match timing.aligned {
            true => format!("scenecut=0:keyint={gop}:min-keyint={gop}:open-gop=0"),
            false => String::new(),
        };
        let quality = match self {
            Encoder::X264 | Encoder::X265 | Encoder::SvtAv1 => "crf",
            Encoder::H264Nvenc | Encoder::HevcNvenc => "cq",
            Encoder::H264Qsv | Encoder::HevcQsv => "global_quality",
        };
        match self {
            Encoder::X264 => {
                options.set("preset", &encode.preset);
                options.set("x264-params", &aligned);
            }
            Encoder::X265 => {
                options.set("preset", &encode.preset);
                let pools =
                    format!("log-level=none:info=0:pools={threads}:frame-threads={}", threads.clamp(1, 4));
                options.set("x265-params", [aligned, pools].join(":").trim_matches(':'));
            }
            Encoder::SvtAv1 => {
                options.set("preset", SVT_PRESETS[place]);
                options.set("svtav1-params", &format!("lp={threads}"));
            }
            Encoder::H264Nvenc | Encoder::HevcNvenc => {
                options.set("preset", NVENC_PRESETS[place]);
                if crf.is_some() {
                    options.set("rc", "vbr");
                }
                if timing.aligned {
                    options.set("no-scenecut", "1");
                }
            }
            Encoder::H264Qsv | Encoder::HevcQsv => {}
        }
        if let Some(crf) = &crf {
            options.set(quality, crf);
        }
        options
    }

    /// Encodes one grey picture.
    fn probe(self) -> std::result::Result<(), ff::Error> {
        let codec = codec::encoder::find_by_name(self.name()).ok_or(ff::Error::EncoderNotFound)?;
        let mut video = codec::Context::new_with_codec(codec).encoder().video()?;
        let format = match self {
            Encoder::H264Qsv | Encoder::HevcQsv => Pixel::NV12,
            _ => Pixel::YUV420P,
        };
        video.set_width(320);
        video.set_height(240);
        video.set_format(format);
        video.set_time_base((1, 25));
        let mut opened = video.open()?;
        let mut frame = ff::frame::Video::new(format, 320, 240);
        for plane in 0..frame.planes() {
            frame.data_mut(plane).fill(128);
        }
        frame.set_pts(Some(0));
        opened.send_frame(&frame)?;
        opened.send_eof()?;
        opened.receive_packet(&mut ff::Packet::empty())
    }
}

/// Where a preset stands among [`PRESETS`], from 0, the fastest.
fn place_of(preset: &str) -> Option<usize> {
    PRESETS.iter().position(|p| *p == preset)
}

/// Checks what a person wrote about encoding.
///
/// # Errors
/// `Config`, with the option's name.
pub fn check(encode: &EncodeSpec) -> Result<()> {
    let wrong = |key: &'static str, message: String| Err(Error::new(ErrorKind::Config, key, message));
    if place_of(&encode.preset).is_none() {
        return wrong("preset", format!("{} is none; choose one of {}", encode.preset, PRESETS.join(", ")));
    }
    match encode.rate {
        RateSpec::Crf(crf) if !(0.0..=63.0).contains(&crf) => wrong("crf", "goes from 0 to 63".into()),
        RateSpec::Crf(crf) if crf > 51.0 && encode.codec != TargetCodec::Av1 => {
            wrong("crf", "goes from 0 to 51; lower is better".into())
        }
        RateSpec::Kbps(0) => wrong("bitrate", "is zero; write it like 4M or 800k".into()),
        RateSpec::TargetBytes(0) => wrong("target-size", "is zero; write it like 100M".into()),
        _ if encode.gop == Some(0) => wrong("gop", "is zero; 1 makes every picture a key frame".into()),
        _ => Ok(()),
    }
}

/// Finds an encoder. Hardware counts only where it has encoded a picture just now.
///
/// # Errors
/// `Missing` where none works: a named family, or the codec at all.
pub fn choose(encode: &EncodeSpec) -> Result<Choice> {
    let families = match encode.encoder {
        EncoderChoice::Software => Vec::new(),
        EncoderChoice::Auto => vec![EncoderChoice::Nvenc, EncoderChoice::Qsv],
        family => vec![family],
    };
    let mut tried = Vec::new();
    for encoder in families.into_iter().filter_map(|family| Encoder::hardware(family, encode.codec)) {
        match encoder.probe() {
            Ok(()) => return Ok(Choice { encoder, note: None }),
            Err(error) => tried.push(format!("{} does not work here ({error})", encoder.name())),
        }
    }
    let encoder = Encoder::software(encode.codec);
    let (name, codec) = (encoder.name(), encode.codec.name());
    if codec::encoder::find_by_name(name).is_none() {
        let message = format!("libavcodec has no {name}; install the full libavcodec");
        return Err(Error::new(ErrorKind::Missing, codec, message));
    }
    let why = match encode.encoder {
        EncoderChoice::Software => None,
        EncoderChoice::Auto if tried.is_empty() => Some(format!("no hardware makes {codec}")),
        _ if tried.is_empty() => Some(format!("jobs have no {codec} encoder of this family yet")),
        _ => Some(tried.join("; ")),
    };
    Ok(Choice { encoder, note: why.map(|why| format!("{why}: {name} encodes instead")) })
}
