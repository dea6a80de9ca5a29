//! Which GStreamer elements encode, and their low-latency settings.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::{EncoderChoice, EncoderConfig, Rate};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Chroma, Codec};

/// x264's names for speed against quality, fastest first.
pub const PRESETS: [&str; 9] =
    ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"];

/// An encoder that this machine may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The element's name.
    pub element: &'static str,
    /// What it makes.
    pub codec: Codec,
    /// Whose it is; never `Auto`.
    pub family: EncoderChoice,
    /// The layout it takes without conversion; `None` where it takes both.
    pub chroma: Option<Chroma>,
    /// The Debian 12 package that brings the element.
    pub package: &'static str,
}

const BAD: &str = "gstreamer1.0-plugins-bad";
const UGLY: &str = "gstreamer1.0-plugins-ugly";
const VAAPI: &str = "gstreamer1.0-vaapi";

const fn candidate(
    element: &'static str,
    codec: Codec,
    family: EncoderChoice,
    chroma: Option<Chroma>,
    package: &'static str,
) -> Candidate {
    Candidate { element, codec, family, chroma, package }
}

/// All encoders that the engine can drive, in order of preference.
pub const CANDIDATES: [Candidate; 10] = [
    candidate("nvh264enc", Codec::H264, EncoderChoice::Nvenc, None, BAD),
    candidate("nvh265enc", Codec::H265, EncoderChoice::Nvenc, None, BAD),
    candidate("vah264enc", Codec::H264, EncoderChoice::Va, Some(Chroma::Nv12), BAD),
    candidate("vah265enc", Codec::H265, EncoderChoice::Va, Some(Chroma::Nv12), BAD),
    candidate("vaapih264enc", Codec::H264, EncoderChoice::Va, Some(Chroma::Nv12), VAAPI),
    candidate("vaapih265enc", Codec::H265, EncoderChoice::Va, Some(Chroma::Nv12), VAAPI),
    candidate("qsvh264enc", Codec::H264, EncoderChoice::Qsv, Some(Chroma::Nv12), BAD),
    candidate("qsvh265enc", Codec::H265, EncoderChoice::Qsv, Some(Chroma::Nv12), BAD),
    candidate("x264enc", Codec::H264, EncoderChoice::Software, None, UGLY),
    candidate("x265enc", Codec::H265, EncoderChoice::Software, Some(Chroma::I420), BAD),
];

impl Candidate {
    /// How many pictures may be in the encoder at once: software gives each picture before it
    /// takes the next, hardware works on a few.
    pub fn depth(&self) -> usize {
        if self.family == EncoderChoice::Software { 1 } else { 3 }
    }

    /// An element of this kind, set up for `config`.
    pub fn make(&self, config: &EncoderConfig) -> Result<gst::Element> {
        let encoder = gst::ElementFactory::make(self.element).build().map_err(|e| {
            let package = self.package;
            let why = if self.family == EncoderChoice::Software {
                format!("is not installed: apt-get install {package}")
            } else {
                format!("is not here: no device or driver for it, or {package} is not installed")
            };
            Error::new(ErrorKind::Missing, self.element, why).caused_by(e)
        })?;
        for (key, value) in self.settings(config) {
            set(&encoder, key, &value);
        }
        Ok(encoder)
    }

    /// Property names and values; those that this version of the element lacks are skipped.
    fn settings(&self, config: &EncoderConfig) -> Vec<(&'static str, String)> {
        match (self.family, self.element) {
            (EncoderChoice::Software, "x264enc") => x264(config),
            (EncoderChoice::Software | EncoderChoice::Auto, _) => x265(config),
            (EncoderChoice::Nvenc, _) => nvenc(config),
            (EncoderChoice::Va, _) => va(config),
            (EncoderChoice::Qsv, _) => qsv(config),
        }
    }
}

/// Presets that are faster than this one and make streams with its parameter sets, the slowest first; none for
/// hardware, whose presets take nothing of the processor.
pub fn faster(codec: Codec, preset: &str) -> Vec<&'static str> {
    let rank = |name: &str| PRESETS.iter().position(|p| *p == name).unwrap_or(0);
    let least = match codec {
        // The two fastest tell quantisers another way in their parameter sets than all others.
        Codec::H265 if rank(preset) > rank("medium") => rank(preset),
        Codec::H265 if rank(preset) > rank("superfast") => rank("veryfast"),
        _ => 0,
    };
    let useful = |name: &&&str| rank(name) <= rank("veryfast");
    PRESETS[least..rank(preset).max(least)].iter().filter(useful).rev().copied().collect()
}

/// What the parameter sets of x264 tell of a preset's coding tools. A stream that goes over to a faster
/// one keeps them.
fn x264_tools(preset: &str) -> (&'static str, u32) {
    // Arithmetic coding, 8x8 transforms and weighted prediction are switches of all but the first.
    let references = match preset {
        "faster" | "fast" => 2,
        "medium" => 3,
        "slow" => 5,
        "slower" => 8,
        "veryslow" => 16,
        _ => 1,
    };
    // From `fast` on, x264 lowers the quantiser of chroma for the sake of what the eye sees in luma.
    let chroma = if speed_of(preset) >= speed_of("fast") { ":chroma-qp-offset=-2" } else { "" };
    (chroma, references)
}

/// The options that make `instead` write the parameter sets of `config`'s own preset.
fn kept_tools(config: &EncoderConfig, instead: &str) -> String {
    match config.codec {
        Codec::H265 => {
            let (references, slow) = match config.preset.as_str() {
                "fast" | "medium" => (3, true),
                "veryfast" | "faster" => (2, true),
                _ => (1, false),
            };
            let (ctu, tools) = if slow { (64, 1) } else { (32, 0) };
            format!(
                ":ctu={ctu}:min-cu-size=8:ref={references}:amp=0:sao={tools}:signhide=1:weightp={tools}:\
                 strong-intra-smoothing=1"
            )
        }
        _ => {
            let (chroma, references) = x264_tools(&config.preset);
            // Those have it of themselves.
            let chroma = if speed_of(instead) >= speed_of("fast") { "" } else { chroma };
            format!(":cabac=1:8x8dct=1:weightp=1:ref={references}{chroma}")
        }
    }
}

fn x264(config: &EncoderConfig) -> Vec<(&'static str, String)> {
    let tools = config.instead.map(|instead| kept_tools(config, instead)).unwrap_or_default();
    let mut all = vec![
        ("tune", "zerolatency".into()),
        ("speed-preset", config.instead.unwrap_or(&config.preset).to_owned()),
        ("key-int-max", config.gop.to_string()),
        ("bframes", "0".into()),
        ("byte-stream", "true".into()),
        ("aud", "true".into()),
        // Key frames come at the interval or on request, never because a tile changed.
        ("option-string", format!("scenecut=0:open-gop=0:repeat-headers=1{tools}")),
    ];
    match config.rate {
        Rate::Kbps(kbps) => all.extend([("pass", "cbr".into()), ("bitrate", kbps.to_string())]),
        Rate::Crf(crf) => {
            all.extend([("pass", "quant".into()), ("quantizer", quantiser(config, crf).to_string())])
        }
    }
    all
}

/// The quantiser that gives a live wall about what x264's rate factor `crf` would, in 5 to 30 % less time
/// (docs/design/encode.md). x264's rate factor follows how much each picture differs from the one before, and of a
/// wall's ticks some change many tiles and some hardly one: it spends bits on pictures that need none. 0 stays
/// lossless, and nothing else becomes so.
fn quantiser(config: &EncoderConfig, crf: u8) -> u8 {
    // From superfast on, a rate factor comes with adaptive quantisation, which lowers PSNR for the eye's sake.
    let finer = if config.preset == PRESETS[0] { 4 } else { 3 };
    if crf == 0 { 0 } else { crf.saturating_sub(finer).max(1) }
}

fn x265(config: &EncoderConfig) -> Vec<(&'static str, String)> {
    let rate = match config.rate {
        Rate::Kbps(kbps) => format!("bitrate={kbps}:vbv-maxrate={kbps}:vbv-bufsize={kbps}"),
        Rate::Crf(crf) => format!("crf={crf}"),
    };
    let tools = config.instead.map(|instead| kept_tools(config, instead)).unwrap_or_default();
    let mut all = vec![
        ("tune", "zerolatency".into()),
        ("speed-preset", config.instead.unwrap_or(&config.preset).to_owned()),
        ("key-int-max", config.gop.to_string()),
        ("log-level", "error".into()),
        // No repeat-headers: before its first picture x265enc (1.22) then sends headers with as many bytes
        // behind them that it never wrote, whatever the memory held. The parser repeats headers.
        ("option-string", format!("{rate}:bframes=0:scenecut=0:open-gop=0:aud=1:info=0{tools}")),
    ];
    if let Rate::Kbps(kbps) = config.rate {
        all.push(("bitrate", kbps.to_string()));
    }
    all
}

fn nvenc(config: &EncoderConfig) -> Vec<(&'static str, String)> {
    let fast = speed(config) <= 2;
    let mut all = vec![
        ("preset", if fast { "low-latency-hp" } else { "low-latency-hq" }.into()),
        ("zerolatency", "true".into()),
        ("bframes", "0".into()),
        ("rc-lookahead", "0".into()),
        ("aud", "true".into()),
        ("strict-gop", "true".into()),
        ("gop-size", config.gop.to_string()),
    ];
    match config.rate {
        Rate::Kbps(kbps) => all.extend([("rc-mode", "cbr".into()), ("bitrate", kbps.to_string())]),
        Rate::Crf(crf) => {
            all.extend([("rc-mode", "constqp".into()), ("qp-const", quantiser(config, crf).to_string())])
        }
    }
    all
}

fn va(config: &EncoderConfig) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("target-usage", (7 - speed(config).min(6)).to_string()),
        ("quality-level", (7 - speed(config).min(6)).to_string()),
        ("b-frames", "0".into()),
        ("max-bframes", "0".into()),
        ("aud", "true".into()),
        ("key-int-max", config.gop.to_string()),
        ("keyframe-period", config.gop.to_string()),
    ];
    match config.rate {
        Rate::Kbps(kbps) => all.extend([("rate-control", "cbr".into()), ("bitrate", kbps.to_string())]),
        Rate::Crf(crf) => {
            let quantiser = quantiser(config, crf).to_string();
            let keys = ["qpi", "qpp", "init-qp"].map(|key| (key, quantiser.clone()));
            all.extend(keys.into_iter().chain([("rate-control", "cqp".into())]));
        }
    }
    all
}

fn qsv(config: &EncoderConfig) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("low-latency", "true".into()),
        ("target-usage", (7 - speed(config).min(6)).to_string()),
        ("b-frames", "0".into()),
        ("gop-size", config.gop.to_string()),
        ("idr-interval", "0".into()),
    ];
    match config.rate {
        Rate::Kbps(kbps) => all.extend([("rate-control", "cbr".into()), ("bitrate", kbps.to_string())]),
        Rate::Crf(crf) => {
            let quantiser = quantiser(config, crf).to_string();
            all.extend([("rate-control", "cqp".into()), ("qp-i", quantiser.clone()), ("qp-p", quantiser)])
        }
    }
    all
}

/// 0 for the fastest preset.
fn speed(config: &EncoderConfig) -> usize {
    speed_of(&config.preset)
}

fn speed_of(preset: &str) -> usize {
    PRESETS.iter().position(|p| *p == preset).unwrap_or(2)
}

/// Sets a property from text where the element has it and takes the value.
pub(super) fn set(element: &gst::Element, key: &str, text: &str) {
    let Some(pspec) = element.find_property(key) else { return };
    match gst::glib::Value::deserialize_with_pspec(text, &pspec) {
        Ok(value) => element.set_property_from_value(key, &value),
        Err(_) => tracing::warn!(element = %element.name(), key, text, "the encoder refuses a setting"),
    }
}

/// Checks what a person wrote, before anything starts.
pub fn check(config: &EncoderConfig) -> Result<()> {
    let wrong = |key: &'static str, message: String| Err(Error::new(ErrorKind::Config, key, message));
    if !matches!(config.codec, Codec::H264 | Codec::H265) {
        return wrong("codec", format!("{} cannot be encoded; write h264 or h265", config.codec));
    }
    let size_ok = |n: u32| (16..=16384).contains(&n) && n.is_multiple_of(2);
    if !size_ok(config.width) || !size_ok(config.height) {
        let (w, h) = (config.width, config.height);
        return wrong("size", format!("{w}x{h} cannot be encoded; take even numbers from 16 to 16384"));
    }
    if !(0.1..=240.0).contains(&config.frame_rate.as_f64()) {
        return wrong("fps", format!("{} pictures a second; take 0.1 to 240", config.frame_rate.as_f64()));
    }
    if !PRESETS.contains(&config.preset.as_str()) {
        return wrong(
            "preset",
            format!("{:?} is unknown; take one of {}", config.preset, PRESETS.join(", ")),
        );
    }
    match config.rate {
        Rate::Kbps(kbps) if !(10..=1_000_000).contains(&kbps) => {
            wrong("bitrate", format!("{kbps} kb/s; take 10 to 1000000"))
        }
        Rate::Crf(crf) if crf > 51 => wrong("crf", format!("{crf}; take 0 to 51")),
        _ if config.gop == 0 => wrong("gop", "0 pictures; take 1 or more".into()),
        _ => Ok(()),
    }
}

/// The encoders that a choice may use, in order of preference.
pub fn candidates(codec: Codec, choice: EncoderChoice) -> impl Iterator<Item = &'static Candidate> {
    CANDIDATES
        .iter()
        .filter(move |c| c.codec == codec && (choice == EncoderChoice::Auto || c.family == choice))
}
