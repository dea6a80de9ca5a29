//! Sound that is encoded: decoded, cut to the range and brought in time, and AAC made of it.

use std::time::Duration;

use ff::format::Sample;
use ff::format::sample::Type as Layout;
use ffmpeg_next as ff;

use super::{PacketSink, SoundRange};
use crate::base::{Error, ErrorKind, Result};

/// Sound that is off its time by more than this is put right, in seconds: less than a picture at 30
/// a second, more than the millisecond that containers round to and the jitter of cameras' clocks.
const OFF_TIME: &str = "0.03";

/// What AAC is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    /// Kilobits a second.
    pub kbps: u32,
    /// Samples a second.
    pub rate: u32,
    pub channels: u32,
}

/// Decoder, filters, encoder.
pub(super) struct Transcoder {
    decoder: ff::decoder::Audio,
    pub(super) encoder: ff::encoder::audio::Encoder,
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
    pub(super) fn open(
        parameters: ff::codec::Parameters,
        time_base: ff::Rational,
        range: SoundRange,
        Format { kbps, rate, channels }: Format,
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

    pub(super) fn push(
        &mut self,
        packet: Option<ff::Packet>,
        damaged: &mut u64,
        out: PacketSink<'_>,
    ) -> Result<()> {
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
    pub(super) fn filter(&mut self, frame: &mut ff::frame::Audio) -> Result<()> {
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
    pub(super) fn drain(&mut self) -> Result<()> {
        match self.filters.take() {
            Some(mut filters) => filters.push(None, &mut self.waiting),
            None => Ok(()),
        }
    }

    pub(super) fn produced(&self) -> i64 {
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

pub(super) fn to_i32(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
