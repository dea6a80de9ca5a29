//! libavcodec's encoders: opened by the plan, one for each rendition of each segment.

use std::collections::VecDeque;

use ff::codec::{self, threading};
use ffmpeg_next as ff;

use super::encoder_ffi;
use super::steering::{self, Course, Steering};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Ratio, annex_b};
use crate::transcode::edit::PictureFormat;
use crate::transcode::spec::{EncodeSpec, EncoderFamily, RateSpec, TargetCodec};
use crate::transcode::time::to_ff;

/// Presets as x264 and x265 name them, the fastest first.
const PRESETS: [&str; 9] =
    ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"];
/// What SVT-AV1 (1.4) calls the like of them.
const SVT_PRESETS: [&str; 9] = ["12", "11", "10", "9", "8", "7", "5", "4", "3"];
/// What NVENC calls the like of them.
const NVENC_PRESETS: [&str; 9] = ["p1", "p1", "p2", "p3", "p3", "p4", "p5", "p6", "p7"];
/// Pictures from one key frame to the next where nobody says: what x264 and x265 take.
pub const USUAL_GOP: u32 = 250;
/// The constant quality that an encoder which is steered is opened with: x264's own default.
const NOMINAL: f64 = 23.0;
/// How many steps finer than predicted pictures x264 quantises a key frame: 6 log2 of its `ipratio`, 1.4.
const KEY_FRAME_FINER: f64 = 2.913;

/// An encoder that works here, and why it is another than was asked for, if it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// libavcodec's name for it.
    pub name: &'static str,
    /// Said aloud.
    pub note: Option<String>,
}

/// How pictures come and go.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Seconds of a tick.
    pub time_base: (i64, i64),
    /// Pictures a second, about.
    pub frame_rate: Ratio,
    /// One of several segments: x264 is steered to its average rate ([`PictureEncoder::steer`]).
    pub steered: bool,
    /// Key frames exactly at the GOP's length: all renditions of a ladder alike.
    pub aligned: bool,
}

/// Checks what a person wrote about encoding.
pub fn check(encode: &EncodeSpec) -> Result<()> {
    let wrong = |key: &'static str, message: String| Err(Error::new(ErrorKind::Config, key, message));
    if !PRESETS.contains(&encode.preset.as_str()) {
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
    let software = match encode.codec {
        TargetCodec::H264 => "libx264",
        TargetCodec::H265 => "libx265",
        TargetCodec::Av1 => "libsvtav1",
    };
    let hardware = |family| match (family, encode.codec) {
        (EncoderFamily::Nvenc, TargetCodec::H264) => Some("h264_nvenc"),
        (EncoderFamily::Nvenc, TargetCodec::H265) => Some("hevc_nvenc"),
        (EncoderFamily::Qsv, TargetCodec::H264) => Some("h264_qsv"),
        (EncoderFamily::Qsv, TargetCodec::H265) => Some("hevc_qsv"),
        _ => None,
    };
    let wanted = match encode.encoder {
        EncoderFamily::Software => Vec::new(),
        EncoderFamily::Auto => {
            [EncoderFamily::Nvenc, EncoderFamily::Qsv].into_iter().filter_map(hardware).collect()
        }
        family => hardware(family).into_iter().collect(),
    };
    let mut tried = Vec::new();
    for name in &wanted {
        match probe(name, encode) {
            Ok(()) => return Ok(Choice { name, note: None }),
            Err(error) => tried.push(format!("{name} does not work here ({error})")),
        }
    }
    if codec::encoder::find_by_name(software).is_none() {
        let message = format!("libavcodec has no {software}; install the full libavcodec");
        return Err(Error::new(ErrorKind::Missing, encode.codec.name(), message));
    }
    let note = match encode.encoder {
        EncoderFamily::Software => None,
        EncoderFamily::Auto if tried.is_empty() => Some(format!("no hardware makes {}", encode.codec.name())),
        _ if tried.is_empty() => {
            Some(format!("jobs have no {} encoder of this family yet", encode.codec.name()))
        }
        _ => Some(tried.join("; ")),
    };
    Ok(Choice { name: software, note: note.map(|note| format!("{note}: {software} encodes instead")) })
}

/// Encodes one grey picture.
fn probe(name: &str, encode: &EncodeSpec) -> Result<(), ff::Error> {
    let codec = codec::encoder::find_by_name(name).ok_or(ff::Error::EncoderNotFound)?;
    let mut video = codec::Context::new_with_codec(codec).encoder().video()?;
    let format = if name.ends_with("_qsv") { ff::format::Pixel::NV12 } else { ff::format::Pixel::YUV420P };
    video.set_width(320);
    video.set_height(240);
    video.set_format(format);
    video.set_time_base((1, 25));
    let _ = encode;
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

/// An open encoder.
pub struct PictureEncoder {
    context: ff::encoder::video::Encoder,
    subject: String,
    /// SVT-AV1 (1.4) never comes back from being closed before it was told the end, or without a picture.
    wants_end: bool,
    pictures: u64,
    ended: bool,
    quality: Quality,
}

/// x264's constant quality on the way.
enum Quality {
    /// As it was opened.
    Stays,
    /// This one once a packet has come out: what is coded first has one of its own.
    ToCome(f64),
    /// Steered; what was set for as many pictures as are coded side by side, the oldest first, and so much finer
    /// until a packet has come out.
    Steered { steering: Box<Steering>, set: VecDeque<f64>, threads: usize, finer: f64 },
}

impl Drop for PictureEncoder {
    fn drop(&mut self) {
        if !self.wants_end || self.ended {
            return;
        }
        if self.pictures == 0 {
            let (format, width, height) =
                (self.context.format(), self.context.width(), self.context.height());
            let mut grey = ff::frame::Video::new(format, width, height);
            for plane in 0..grey.planes() {
                grey.data_mut(plane).fill(128);
            }
            grey.set_pts(Some(0));
            let _ = self.context.send_frame(&grey);
        }
        let _ = self.push(None, &mut |_| Ok(()));
    }
}

impl PictureEncoder {
    /// Opens an encoder for pictures of a format. `level`: the one that H.264 says, as ten times its number, whatever
    /// the rate.
    ///
    /// # Errors
    /// `Config` where it refuses these orders.
    pub fn open(
        name: &'static str,
        encode: &EncodeSpec,
        level: Option<u8>,
        format: &PictureFormat,
        timing: Timing,
        threads: usize,
    ) -> Result<PictureEncoder> {
        let subject = format!("{name} at {}x{}", format.width, format.height);
        let refused = |e: ff::Error| {
            let message = "does not open with these options; try another preset, rate or size";
            Error::new(ErrorKind::Config, subject.clone(), message).caused_by(e)
        };
        let codec = codec::encoder::find_by_name(name)
            .ok_or_else(|| Error::new(ErrorKind::Missing, name, "libavcodec has no such encoder"))?;
        let mut context = codec::Context::new_with_codec(codec);
        // Setting flags puts away those that libavcodec has for x264, as FFmpeg uses it: a group of
        // pictures that can be decoded by itself.
        let closed = if name == "libx264" { codec::Flags::CLOSED_GOP } else { codec::Flags::empty() };
        context.set_flags(codec::Flags::GLOBAL_HEADER | closed);
        let kind = if threads > 1 { threading::Type::Frame } else { threading::Type::None };
        context.set_threading(threading::Config { count: threads.max(1), ..threading::Config::kind(kind) });
        context.set_time_base(to_ff(timing.time_base));
        let rate = (timing.frame_rate.num as i32, timing.frame_rate.den as i32);
        context.set_frame_rate(Some(rate));
        let mut video = context.encoder().video().map_err(refused)?;
        video.set_width(format.width);
        video.set_height(format.height);
        video.set_format(format.pixel);
        video.set_aspect_ratio((format.pixel_aspect.num as i32, format.pixel_aspect.den as i32));
        video.set_colorspace(format.space);
        video.set_color_range(format.range);
        video.set_color_primaries(format.primaries);
        video.set_color_transfer_characteristic(format.transfer);
        if let Some(gop) = encode.gop {
            video.set_gop(gop);
        }
        if let RateSpec::Kbps(kbps) = encode.rate
            && !steered(name, encode, timing)
        {
            video.set_bit_rate(kbps as usize * 1000);
        }
        let mut options = options(name, encode, timing, threads);
        if let Some(level) = level.filter(|_| name == "libx264") {
            options.set("level", &level.to_string());
        }
        let context = video.open_with(options).map_err(refused)?;
        let wants_end = name == "libsvtav1";
        Ok(PictureEncoder { context, subject, wants_end, pictures: 0, ended: false, quality: Quality::Stays })
    }

    /// Makes the first key frame as fine as later ones. With its macroblock tree, x264 makes the first of a
    /// stream as coarse as predicted pictures, and where little moves that stays until the next: no harm at
    /// the beginning of a job, but a segment in its middle would stand out. To be called before the first
    /// picture, and only where more pictures come than are [`held_back`]: x264 is told with a later one
    /// that the first is done. With several threads as many pictures are finer as there are threads. Does nothing
    /// for other encoders, rates and presets.
    pub fn continues(&mut self, name: &str, encode: &EncodeSpec) {
        if name != "libx264" || !has_tree(encode) {
            return;
        }
        if let Quality::Steered { finer, .. } = &mut self.quality {
            *finer = KEY_FRAME_FINER;
        } else if let RateSpec::Crf(crf) = encode.rate
            && crf > KEY_FRAME_FINER
            && encoder_ffi::set_crf(&mut self.context, crf - KEY_FRAME_FINER)
        {
            self.quality = Quality::ToCome(crf);
        }
    }

    /// Steers to the average rate of a segment, where it was opened to be steered. To be called before the first
    /// picture.
    pub fn steer(&mut self, course: Course, threads: usize) {
        let (steering, set) = (Box::new(Steering::new(course)), VecDeque::new());
        self.quality = Quality::Steered { steering, set, threads: threads.max(1), finer: 0.0 };
    }

    /// What its pictures took on average, as if made at quality zero; zero where it was not steered.
    pub fn cost(&self) -> f64 {
        match &self.quality {
            Quality::Steered { steering, .. } => steering.cost(),
            _ => 0.0,
        }
    }

    /// What a container must know of the stream.
    pub fn parameters(&self) -> codec::Parameters {
        codec::Parameters::from(&self.context)
    }

    /// Takes a picture, or the end (`None`), and hands on the packets that come of it.
    pub fn push(
        &mut self,
        frame: Option<&ff::frame::Video>,
        sink: &mut dyn FnMut(&ff::Packet) -> Result<()>,
    ) -> Result<()> {
        let failed = |e: ff::Error| {
            Error::new(ErrorKind::Internal, self.subject.clone(), "refuses a picture").caused_by(e)
        };
        match frame {
            Some(frame) => {
                if let Quality::Steered { steering, set, threads, finer } = &mut self.quality {
                    let quality = (steering.quality() - *finer).max(steering::BEST);
                    if !encoder_ffi::set_crf(&mut self.context, quality) {
                        let message = "cannot be steered to a rate; ask for a constant quality instead";
                        return Err(Error::new(ErrorKind::Internal, self.subject.clone(), message));
                    }
                    set.push_back(quality);
                    if set.len() > *threads {
                        set.pop_front();
                    }
                }
                self.context.send_frame(frame).map_err(failed)?;
                self.pictures += 1;
            }
            None => {
                self.ended = true;
                self.context.send_eof().map_err(failed)?;
            }
        }
        loop {
            let mut packet = ff::Packet::empty();
            match self.context.receive_packet(&mut packet) {
                Ok(()) => {
                    match &mut self.quality {
                        Quality::Stays => {}
                        Quality::ToCome(crf) => {
                            encoder_ffi::set_crf(&mut self.context, *crf);
                            self.quality = Quality::Stays;
                        }
                        Quality::Steered { steering, set, finer, .. } => {
                            let quality = set.front().copied().unwrap_or(NOMINAL);
                            steering.note(packet.size(), packet.is_key(), quality);
                            *finer = 0.0;
                        }
                    }
                    sink(&packet)?;
                }
                Err(ff::Error::Eof) => return Ok(()),
                Err(ff::Error::Other { errno }) if errno == libc::EAGAIN => return Ok(()),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// Whether a segment's average rate is steered: x264 is opened at constant quality then, the same for all, because
/// that decides parameter sets too.
fn steered(name: &str, encode: &EncodeSpec, timing: Timing) -> bool {
    timing.steered && name == "libx264" && matches!(encode.rate, RateSpec::Kbps(_))
}

/// Pictures that x264 holds back at most with so many threads: its look-ahead (`rc-lookahead` of the preset), up to
/// eight B-pictures and what they are compared with, and one for each thread.
pub fn held_back(encode: &EncodeSpec, threads: usize) -> u64 {
    const LOOK_AHEAD: [u64; 9] = [0, 0, 10, 20, 30, 40, 50, 60, 60];
    let preset = PRESETS.iter().position(|p| *p == encode.preset).unwrap_or(LOOK_AHEAD.len() - 1);
    LOOK_AHEAD[preset] + 10 + threads as u64
}

/// Whether x264 has its macroblock tree with these options.
pub fn has_tree(encode: &EncodeSpec) -> bool {
    PRESETS.iter().position(|p| *p == encode.preset) >= Some(2) && encode.gop != Some(1)
}

/// `level_idc` of the first sequence parameter set in Annex B (Rec. H.264, 7.3.2.1.1): ten times the level.
pub fn h264_level(parameter_sets: &[u8]) -> Option<u8> {
    let set = annex_b::nal_units(parameter_sets).find(|unit| unit.first().is_some_and(|b| b & 0x1f == 7))?;
    set.get(3).copied()
}

/// Threads of one of so many encoders that share `cores`. x264's threads wait for each other: half as many again,
/// as x264 takes itself, fill the cores; where several encoders run side by side, they fill each other's gaps.
pub fn threads(name: &str, cores: usize, encoders: usize) -> usize {
    if name == "libx264" && encoders == 1 { cores + cores / 2 } else { cores }
}

fn options(name: &str, encode: &EncodeSpec, timing: Timing, threads: usize) -> ff::Dictionary<'static> {
    let mut options = ff::Dictionary::new();
    let place = PRESETS.iter().position(|p| *p == encode.preset).unwrap_or(2);
    let crf = match encode.rate {
        RateSpec::Crf(crf) => Some(format!("{crf}")),
        _ if steered(name, encode, timing) => Some(format!("{NOMINAL}")),
        _ => None,
    };
    let gop = encode.gop.unwrap_or(USUAL_GOP);
    match name {
        "libx264" | "libx265" => {
            options.set("preset", &encode.preset);
            if let Some(crf) = &crf {
                options.set("crf", crf);
            }
            let aligned = format!("scenecut=0:keyint={gop}:min-keyint={gop}:open-gop=0");
            let aligned = if timing.aligned { aligned } else { String::new() };
            if name == "libx264" {
                options.set("x264-params", &aligned);
            } else {
                let pools =
                    format!("log-level=none:info=0:pools={threads}:frame-threads={}", threads.clamp(1, 4));
                options.set("x265-params", [aligned, pools].join(":").trim_matches(':'));
            }
        }
        "libsvtav1" => {
            options.set("preset", SVT_PRESETS[place]);
            if let Some(crf) = &crf {
                options.set("crf", crf);
            }
            options.set("svtav1-params", &format!("lp={threads}"));
        }
        "h264_nvenc" | "hevc_nvenc" => {
            options.set("preset", NVENC_PRESETS[place]);
            if let Some(crf) = &crf {
                options.set("rc", "vbr");
                options.set("cq", crf);
            }
            if timing.aligned {
                options.set("no-scenecut", "1");
            }
        }
        _ => {
            if let Some(crf) = &crf {
                options.set("global_quality", crf);
            }
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x264's quantiser of each of 60 pictures that hardly change, in the order of coding; every thirtieth is a
    /// key frame.
    fn quantisers(continues: bool) -> Vec<(bool, u32)> {
        let encode = EncodeSpec { rate: RateSpec::Crf(23.0), gop: Some(30), ..EncodeSpec::usual() };
        let picture = || ff::frame::Video::new(ff::format::Pixel::YUV420P, 320, 240);
        let frame_rate = Ratio::new(25, 1).expect("not zero");
        let timing = Timing { time_base: (1, 25), frame_rate, steered: false, aligned: false };
        let format = PictureFormat::of(&picture());
        let mut encoder = PictureEncoder::open("libx264", &encode, None, &format, timing, 1).expect("opens");
        if continues {
            encoder.continues("libx264", &encode);
        }
        let mut seen = Vec::new();
        let mut sink = |packet: &ff::Packet| {
            let stats = packet.side_data().find(|d| d.kind() == codec::packet::side_data::Type::QualityStats);
            let lambda = stats.and_then(|d| Some(u32::from_le_bytes(*d.data().first_chunk()?)));
            // FF_QP2LAMBDA of libavutil.
            seen.push((packet.is_key(), lambda.expect("libavcodec tells it") / 118));
            Ok(())
        };
        for number in 0..60 {
            let mut frame = picture();
            for plane in 0..3 {
                for (place, sample) in frame.data_mut(plane).iter_mut().enumerate() {
                    *sample = (place * place / 7 % 64 + 96) as u8;
                }
            }
            frame.set_pts(Some(number));
            encoder.push(Some(&frame), &mut sink).expect("takes it");
        }
        encoder.push(None, &mut sink).expect("ends");
        seen
    }

    #[test]
    fn a_segment_begins_as_finely_as_it_goes_on() {
        let (alone, within) = (quantisers(false), quantisers(true));
        assert_eq!(alone.len(), 60);
        assert_eq!(alone[0], (true, 28), "x264 begins as coarsely as it goes on: {alone:?}");
        assert_eq!(within[0], (true, 25), "{within:?}");
        assert_eq!(within[30], (true, 25), "{within:?}");
        let predicted = within.iter().filter(|(key, _)| !key);
        assert!(predicted.clone().all(|(_, quantiser)| *quantiser == 28), "as was asked for: {within:?}");
        assert_eq!(predicted.count(), 58);
    }
}
