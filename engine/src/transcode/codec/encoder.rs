//! libavcodec's encoders: opened by the plan, one for each rendition of each segment.

use std::collections::VecDeque;

use ff::codec::{self, threading};
use ffmpeg_next as ff;

use super::encoder_ffi;
use super::kind::Encoder;
use super::steering::{self, Course, Steering};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Ratio, annex_b};
use crate::transcode::edit::PictureFormat;
use crate::transcode::spec::{EncodeSpec, RateSpec};
use crate::transcode::time::TimeBase;

/// The constant quality that an encoder which is steered is opened with: x264's own default.
pub(super) const NOMINAL: f64 = 23.0;
/// How many steps finer than predicted pictures x264 quantises a key frame: 6 log2 of its `ipratio`, 1.4.
const KEY_FRAME_FINER: f64 = 2.913;

/// How pictures come and go.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub time_base: TimeBase,
    /// Pictures a second, about.
    pub frame_rate: Ratio,
    /// One of several segments: x264 is steered to its average rate ([`PictureEncoder::steer`]).
    pub steered: bool,
    /// Key frames exactly at the GOP's length: all renditions of a ladder alike.
    pub aligned: bool,
}

/// An open encoder.
pub struct PictureEncoder {
    context: ff::encoder::video::Encoder,
    subject: String,
    encoder: Encoder,
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
        if !self.encoder.wants_end() || self.ended {
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
        encoder: Encoder,
        encode: &EncodeSpec,
        level: Option<u8>,
        format: &PictureFormat,
        timing: Timing,
        threads: usize,
    ) -> Result<PictureEncoder> {
        let name = encoder.name();
        let subject = format!("{name} at {}x{}", format.width, format.height);
        let refused = |e: ff::Error| {
            let message = "does not open with these options; try another preset, rate or size";
            Error::new(ErrorKind::Config, subject.clone(), message).caused_by(e)
        };
        let codec = codec::encoder::find_by_name(name)
            .ok_or_else(|| Error::new(ErrorKind::Missing, name, "libavcodec has no such encoder"))?;
        let mut context = codec::Context::new_with_codec(codec);
        context.set_flags(codec::Flags::GLOBAL_HEADER | encoder.flags());
        let kind = if threads > 1 { threading::Type::Frame } else { threading::Type::None };
        context.set_threading(threading::Config { count: threads.max(1), ..threading::Config::kind(kind) });
        context.set_time_base(timing.time_base.to_ff());
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
            && !(timing.steered && encoder.is_steered(encode.rate))
        {
            video.set_bit_rate(kbps as usize * 1000);
        }
        let mut options = encoder.options(encode, timing, threads);
        if let Some(level) = level.filter(|_| encoder.takes_level()) {
            options.set("level", &level.to_string());
        }
        let context = video.open_with(options).map_err(refused)?;
        Ok(PictureEncoder { context, subject, encoder, pictures: 0, ended: false, quality: Quality::Stays })
    }

    /// Makes the first key frame as fine as later ones. With its macroblock tree, x264 makes the first of a
    /// stream as coarse as predicted pictures, and where little moves that stays until the next: no harm at
    /// the beginning of a job, but a segment in its middle would stand out. To be called before the first
    /// picture, and only where more pictures come than are [held back](Encoder::held_back): x264 is told with a later one
    /// that the first is done. With several threads as many pictures are finer as there are threads. Does nothing
    /// for other encoders, rates and presets.
    pub fn continues(&mut self, encode: &EncodeSpec) {
        if !self.encoder.has_tree(encode) {
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

/// `level_idc` of the first sequence parameter set in Annex B (Rec. H.264, 7.3.2.1.1): ten times the level.
pub fn h264_level(parameter_sets: &[u8]) -> Option<u8> {
    let set = annex_b::nal_units(parameter_sets).find(|unit| unit.first().is_some_and(|b| b & 0x1f == 7))?;
    set.get(3).copied()
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
        let timing =
            Timing { time_base: TimeBase { num: 1, den: 25 }, frame_rate, steered: false, aligned: false };
        let format = PictureFormat::of(&picture());
        let mut encoder =
            PictureEncoder::open(Encoder::X264, &encode, None, &format, timing, 1).expect("opens");
        if continues {
            encoder.continues(&encode);
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
