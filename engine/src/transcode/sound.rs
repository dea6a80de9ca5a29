//! The sound of a job: what becomes of it, and the copy or the AAC of the range that is kept.

use std::time::Duration;

use ff::format::Sample;
use ff::format::sample::Type as Layout;
use ffmpeg_next as ff;

use super::package::package_ffi::{facts, muxer_holds};
use super::package::{AudioTrack, Container};
use super::sound_copy::Copier;
use super::spec::{AudioSpec, Target};
use crate::base::{Error, ErrorKind, Result};
use crate::source::demux::quiet;

/// Sample rates of AAC (ISO/IEC 14496-3 table 1.18) that libavcodec encodes.
const AAC_RATES: [u32; 13] =
    [7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000];
/// Sound that is off its time by more than this is put right, in seconds: less than a picture at 30
/// a second, more than the millisecond that containers round to and the jitter of cameras' clocks.
const OFF_TIME: &str = "0.03";
/// Bits of an AAC frame of 1024 samples for each channel, at most (ISO/IEC 14496-3).
const AAC_FRAME_BITS: u64 = 6144;

/// What is done to the sound, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundPlan {
    /// What is done.
    pub action: SoundAction,
    /// Why, for people.
    pub reason: String,
}

/// Sound whose rate or channels change on the way: a container says them once.
const CHANGES: &str = "its rate or channels change on the way";

/// What is done to the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundAction {
    /// There is none in the target.
    Drop,
    /// Packets go over as they are.
    Copy,
    /// Encoded as AAC low complexity.
    Aac {
        /// Kilobits a second.
        kbps: u32,
        /// Samples a second.
        rate: u32,
        /// Channels.
        channels: u32,
    },
}

impl SoundPlan {
    /// Decides from what is asked for, what the source has (`None`: no sound) and what the target
    /// holds.
    ///
    /// # Errors
    /// `Config` where a copy is asked for that the target cannot hold, or its ending is unknown.
    pub fn decide(
        spec: AudioSpec,
        source: Option<&ff::codec::Parameters>,
        target: &Target,
    ) -> Result<SoundPlan> {
        let container = Container::of(target)?;
        let plan = |action, reason: String| Ok(SoundPlan { action, reason });
        if spec == AudioSpec::Drop {
            return plan(SoundAction::Drop, "left out as asked".to_owned());
        }
        let Some(source) = source else {
            return plan(SoundAction::Drop, "the source has no sound".to_owned());
        };
        let name = source.id().name();
        let known = facts(source);
        // A ladder's muxer takes AAC with its configuration apart; in a transport stream each frame has it.
        let apart = source.id() != ff::codec::Id::AAC || !known.extradata.is_empty();
        let fits = holds(container, source.id()) && known.sample_rate > 0 && known.channels > 0;
        let fits = fits && (container != Container::Hls || apart);
        match spec {
            AudioSpec::Aac(kbps) => plan(aac(&known, Some(kbps)), "AAC as asked".to_owned()),
            AudioSpec::Auto | AudioSpec::Copy if fits => {
                plan(SoundAction::Copy, format!("the target holds {name} as it is"))
            }
            AudioSpec::Copy => {
                let message = format!("cannot hold {name} sound; choose AAC, another ending, or no sound");
                Err(Error::new(ErrorKind::Config, target.path().display().to_string(), message))
            }
            _ => plan(aac(&known, None), format!("the target does not hold {name}")),
        }
    }

    /// The plan for sound that changes its kind on the way: it cannot be copied.
    ///
    /// # Errors
    /// `Config` where a copy is asked for. `input` is what the error names.
    pub fn of_changing(
        self,
        spec: AudioSpec,
        source: &ff::codec::Parameters,
        input: &std::path::Path,
    ) -> Result<SoundPlan> {
        match (self.action, spec) {
            (SoundAction::Copy, AudioSpec::Copy) => {
                let message = format!("its sound cannot be copied: {CHANGES}; choose AAC, or no sound");
                Err(Error::new(ErrorKind::Config, input.display().to_string(), message))
            }
            (SoundAction::Copy, _) => {
                Ok(SoundPlan { action: aac(&facts(source), None), reason: CHANGES.to_owned() })
            }
            _ => Ok(self),
        }
    }
}

/// Whether a container takes a codec as it is.
fn holds(container: Container, codec: ff::codec::Id) -> bool {
    use ff::codec::Id;
    let pcm = matches!(
        codec,
        Id::PCM_S16LE
            | Id::PCM_S16BE
            | Id::PCM_S24LE
            | Id::PCM_S24BE
            | Id::PCM_S32LE
            | Id::PCM_S32BE
            | Id::PCM_F32LE
            | Id::PCM_ALAW
            | Id::PCM_MULAW
    );
    match container {
        Container::Mp4 => {
            matches!(codec, Id::AAC | Id::MP3 | Id::AC3 | Id::EAC3 | Id::OPUS | Id::ALAC | Id::FLAC)
        }
        Container::Mov => pcm || matches!(codec, Id::AAC | Id::MP3 | Id::AC3 | Id::EAC3 | Id::ALAC),
        Container::Mkv => codec != Id::None && muxer_holds(c"matroska", codec),
        Container::Ts => matches!(codec, Id::AAC | Id::MP3 | Id::MP2 | Id::AC3 | Id::OPUS),
        Container::Hls => matches!(codec, Id::AAC | Id::MP3 | Id::AC3),
    }
}

/// AAC for such a source: the next rate that AAC has, and as many channels unless there is no usual
/// arrangement of so many.
fn aac(known: &super::package::package_ffi::Facts, kbps: Option<u32>) -> SoundAction {
    let rate = match known.sample_rate {
        0 => 48000,
        rate => AAC_RATES.into_iter().find(|aac| *aac >= rate).unwrap_or(96000),
    };
    let channels = match known.channels {
        channels @ (1..=6 | 8) => channels,
        _ => 2,
    };
    let usual = channels * if rate >= 32000 { 64 } else { 32 };
    let most = AAC_FRAME_BITS * u64::from(rate) / 1024 * u64::from(channels) / 1000;
    let kbps = kbps.unwrap_or(usual).clamp(8, u32::try_from(most).unwrap_or(u32::MAX).max(8));
    SoundAction::Aac { kbps, rate, channels }
}

/// The part of the sound that is kept, in the source's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoundRange {
    /// What becomes time zero.
    pub start: Duration,
    /// What is not heard any more; the end where `None`.
    pub end: Option<Duration>,
}

/// Where finished packets go.
pub type PacketSink<'a> = &'a mut dyn FnMut(ff::Packet) -> Result<()>;

/// Source packets in, packets of the target's sound track out.
pub struct Sound {
    way: Way,
    track: AudioTrack,
    damaged: u64,
}

enum Way {
    Copy(Copier),
    Encode(Box<Transcoder>),
}

impl Sound {
    /// Opens what the plan says for a source track of these parameters and this time base; `None`
    /// where the plan is to leave the sound out.
    ///
    /// # Errors
    /// `Unsupported` where the source's sound cannot be decoded, `Missing` where libavcodec has no
    /// AAC encoder.
    pub fn open(
        plan: &SoundPlan,
        parameters: ff::codec::Parameters,
        time_base: ff::Rational,
        range: SoundRange,
    ) -> Result<Option<Sound>> {
        quiet();
        let (way, track) = match plan.action {
            SoundAction::Drop => return Ok(None),
            SoundAction::Copy => {
                let way = Way::Copy(Copier::new(&parameters, time_base, range));
                (way, AudioTrack { parameters, time_base })
            }
            SoundAction::Aac { kbps, rate, channels } => {
                let transcoder = Transcoder::open(parameters, time_base, range, (kbps, rate, channels))?;
                let parameters = ff::codec::Parameters::from(&transcoder.encoder);
                let time_base = ff::Rational::new(1, to_i32(rate));
                (Way::Encode(Box::new(transcoder)), AudioTrack { parameters, time_base })
            }
        };
        Ok(Some(Sound { way, track, damaged: 0 }))
    }

    /// The track that comes out.
    pub fn track(&self) -> AudioTrack {
        self.track.clone()
    }

    /// Packets of the source that were damaged or could not be decoded so far; their time is silent.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Takes the next packet of the source, in its time base; `None` at the end. Finished packets go
    /// to `out`, in the time base of [`Sound::track`]; those of AAC begin before zero by what the
    /// encoder needs to start, which players skip.
    ///
    /// # Errors
    /// What `out` returns; `Internal` where libav refuses what it made itself.
    pub fn push(&mut self, packet: Option<ff::Packet>, out: PacketSink<'_>) -> Result<()> {
        self.damaged += u64::from(packet.as_ref().is_some_and(ff::Packet::is_corrupt));
        match &mut self.way {
            Way::Copy(copier) => match packet {
                Some(packet) => copier.push(packet, &mut self.damaged, out),
                None => Ok(()),
            },
            Way::Encode(transcoder) => transcoder.push(packet, &mut self.damaged, out),
        }
    }
}

/// Decoder, filters, encoder.
struct Transcoder {
    decoder: ff::decoder::Audio,
    encoder: ff::encoder::audio::Encoder,
    time_base: ff::Rational,
    start: Duration,
    length: Option<Duration>,
    rate: u32,
    layout: ff::ChannelLayout,
    filters: Option<Filters>,
    /// Where the next decoded samples belong that have no time of their own.
    next_time: Option<f64>,
    /// Samples of each channel that wait for a whole frame of the encoder.
    waiting: Vec<Vec<f32>>,
    /// Samples that went to the encoder.
    encoded: i64,
}

impl Transcoder {
    fn open(
        parameters: ff::codec::Parameters,
        time_base: ff::Rational,
        range: SoundRange,
        (kbps, rate, channels): (u32, u32, u32),
    ) -> Result<Transcoder> {
        let name = parameters.id().name();
        let unsupported = |e: ff::Error| {
            let message = "this sound cannot be decoded here; copy it or leave it out";
            Error::new(ErrorKind::Unsupported, name, message).caused_by(e)
        };
        let context = ff::codec::Context::from_parameters(parameters).map_err(unsupported)?;
        let mut decoder = context.decoder();
        decoder.set_packet_time_base(time_base);
        let decoder = decoder.audio().map_err(unsupported)?;
        let layout = ff::ChannelLayout::default(to_i32(channels));
        let missing = |e: ff::Error| {
            let message = "libavcodec does not open its AAC encoder; install the full libavcodec";
            Error::new(ErrorKind::Missing, "aac", message).caused_by(e)
        };
        let codec = ff::encoder::find_by_name("aac").ok_or(ff::Error::EncoderNotFound).map_err(missing)?;
        let mut encoder = ff::codec::Context::new_with_codec(codec).encoder().audio().map_err(missing)?;
        encoder.set_rate(to_i32(rate));
        encoder.set_format(Sample::F32(Layout::Planar));
        encoder.set_channel_layout(layout);
        encoder.set_time_base(ff::Rational::new(1, to_i32(rate)));
        encoder.set_bit_rate(kbps as usize * 1000);
        encoder.set_flags(ff::codec::Flags::GLOBAL_HEADER | ff::codec::Flags::BITEXACT);
        Ok(Transcoder {
            decoder,
            encoder: encoder.open_as(codec).map_err(missing)?,
            time_base,
            start: range.start,
            length: range.end.map(|end| end.saturating_sub(range.start)),
            rate,
            layout,
            filters: None,
            next_time: None,
            waiting: vec![Vec::new(); channels as usize],
            encoded: 0,
        })
    }

    fn push(&mut self, packet: Option<ff::Packet>, damaged: &mut u64, out: PacketSink<'_>) -> Result<()> {
        let end = packet.is_none();
        let sent = match &packet {
            Some(packet) if packet.size() == 0 => return Ok(()),
            Some(packet) => self.decoder.send_packet(packet),
            None => self.decoder.send_eof(),
        };
        *damaged += u64::from(sent.is_err() && !end);
        let mut frame = ff::frame::Audio::empty();
        loop {
            match self.decoder.receive_frame(&mut frame) {
                Ok(()) => self.filter(&mut frame)?,
                Err(ff::Error::Eof) => break,
                Err(ff::Error::Other { errno }) if errno == libc::EAGAIN => break,
                Err(_) => {
                    *damaged += 1;
                    break;
                }
            }
        }
        if end {
            self.drain()?;
        }
        self.encode(end, out)
    }

    /// One decoded frame, with its time from the range's start in samples of its own rate.
    fn filter(&mut self, frame: &mut ff::frame::Audio) -> Result<()> {
        if frame.samples() == 0 || frame.rate() == 0 {
            return Ok(());
        }
        let rate = f64::from(frame.rate());
        let told = frame.timestamp().or(frame.pts()).map(|pts| pts as f64 * f64::from(self.time_base));
        let time = told.or(self.next_time).unwrap_or(0.0);
        self.next_time = Some(time + frame.samples() as f64 / rate);
        frame.set_pts(Some(((time - self.start.as_secs_f64()) * rate).round() as i64));
        let shape = Shape::of(frame);
        if self.filters.as_ref().is_none_or(|filters| filters.shape != shape) {
            self.drain()?;
            self.filters = Some(Filters::open(shape, self.rate, self.layout, self.length, self.produced())?);
        }
        if let Some(filters) = &mut self.filters {
            filters.push(Some(frame), &mut self.waiting)?;
        }
        Ok(())
    }

    /// Takes out what the filters still hold.
    fn drain(&mut self) -> Result<()> {
        match self.filters.take() {
            Some(mut filters) => filters.push(None, &mut self.waiting),
            None => Ok(()),
        }
    }

    fn produced(&self) -> i64 {
        self.encoded + self.waiting.first().map_or(0, Vec::len) as i64
    }

    fn encode(&mut self, end: bool, out: PacketSink<'_>) -> Result<()> {
        let whole = (self.encoder.frame_size() as usize).max(1);
        loop {
            let ready = self.waiting.first().map_or(0, Vec::len);
            let take = if ready >= whole {
                whole
            } else if end {
                ready
            } else {
                0
            };
            if take == 0 {
                break;
            }
            let mut frame = ff::frame::Audio::new(Sample::F32(Layout::Planar), take, self.layout);
            frame.set_rate(self.rate);
            frame.set_pts(Some(self.encoded));
            for (channel, samples) in self.waiting.iter_mut().enumerate() {
                frame.plane_mut::<f32>(channel)[..take].copy_from_slice(&samples[..take]);
                samples.drain(..take);
            }
            self.encoded += take as i64;
            self.encoder.send_frame(&frame).map_err(failed)?;
            self.receive(out)?;
        }
        // An encoder that never got a sample has nothing to flush.
        if end && self.encoded > 0 {
            self.encoder.send_eof().map_err(failed)?;
            self.receive(out)?;
        }
        Ok(())
    }

    fn receive(&mut self, out: PacketSink<'_>) -> Result<()> {
        loop {
            let mut packet = ff::Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => out(packet)?,
                Err(ff::Error::Eof) => return Ok(()),
                Err(ff::Error::Other { errno }) if errno == libc::EAGAIN => return Ok(()),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// What decoded sound looks like; filters are made for one shape.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    format: Sample,
    rate: u32,
    channels: u16,
    layout: u64,
}

impl Shape {
    fn of(frame: &ff::frame::Audio) -> Shape {
        let told = frame.channel_layout();
        let usual = ff::ChannelLayout::default(i32::from(frame.channels()));
        let layout = if told.is_empty() { usual } else { told };
        Shape {
            format: frame.format(),
            rate: frame.rate(),
            channels: frame.channels(),
            layout: layout.bits(),
        }
    }
}

/// Cut to the range, in time, at the rate and with the channels of the encoder.
struct Filters {
    graph: ff::filter::Graph,
    shape: Shape,
}

impl Filters {
    /// `produced`: samples that came out already, at `rate`, of another shape of sound.
    fn open(
        shape: Shape,
        rate: u32,
        layout: ff::ChannelLayout,
        length: Option<Duration>,
        produced: i64,
    ) -> Result<Filters> {
        let mut graph = ff::filter::Graph::new();
        let arrangement = match shape.layout {
            0 => format!("{}c", shape.channels),
            mask => format!("{mask:#x}"),
        };
        let source = format!(
            "time_base=1/{0}:sample_rate={0}:sample_fmt={1}:channel_layout={arrangement}",
            shape.rate,
            shape.format.name()
        );
        let end = length.map(|length| format!(":end={:.6}", length.as_secs_f64())).unwrap_or_default();
        // The resampler counts its first time in samples of what goes in.
        let (inner, outer) = (i64::from(shape.rate), i64::from(rate.max(1)));
        let first = (produced.saturating_mul(inner) + outer / 2) / outer;
        // Gaps stay gaps and overlaps are cut, and nothing is stretched.
        let chain = format!(
            "atrim=start=0{end},aresample={rate}:async=1:min_hard_comp={OFF_TIME}:first_pts={first},\
             aformat=sample_fmts=fltp:sample_rates={rate}:channel_layouts={:#x}",
            layout.bits()
        );
        let mut build = || {
            let find = |name| ff::filter::find(name).ok_or(ff::Error::FilterNotFound);
            graph.add(&find("abuffer")?, "in", &source)?;
            graph.add(&find("abuffersink")?, "out", "")?;
            graph.output("in", 0)?.input("out", 0)?.parse(&chain)?;
            graph.validate()
        };
        build().map_err(failed)?;
        Ok(Filters { graph, shape })
    }

    /// One frame in, or the end; samples are added to `waiting`, a vector for each channel.
    fn push(&mut self, frame: Option<&ff::frame::Audio>, waiting: &mut [Vec<f32>]) -> Result<()> {
        let missing = || failed(ff::Error::FilterNotFound);
        let mut input = self.graph.get("in").ok_or_else(missing)?;
        match frame {
            // Behind the end of the range the filters take no more.
            Some(frame) => match input.source().add(frame) {
                Ok(()) | Err(ff::Error::Eof) => {}
                Err(error) => return Err(failed(error)),
            },
            None => match input.source().flush() {
                Ok(()) | Err(ff::Error::Eof) => {}
                Err(error) => return Err(failed(error)),
            },
        }
        let mut output = self.graph.get("out").ok_or_else(missing)?;
        let mut filtered = ff::frame::Audio::empty();
        while output.sink().frame(&mut filtered).is_ok() {
            for (channel, samples) in waiting.iter_mut().enumerate().take(filtered.planes()) {
                samples.extend_from_slice(filtered.plane::<f32>(channel));
            }
        }
        Ok(())
    }
}

fn failed(error: ff::Error) -> Error {
    let message = "libav refuses what it made itself; copy the sound or leave it out";
    Error::new(ErrorKind::Internal, "sound", message).caused_by(error)
}

fn to_i32(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
#[path = "sound_tests.rs"]
mod tests;
