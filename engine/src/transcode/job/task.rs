//! A job as those see it who make its pieces, and what its pieces must have in common: streams and rates.

use std::collections::HashMap;

use ff::codec;
use ffmpeg_next as ff;
use parking_lot::Mutex;

use super::plan::{Plan, Rendition};
use super::segments::{Segment, made_of};
use crate::base::{Error, ErrorKind, Result};
use crate::evidence::Fingerprint;
use crate::source::demux_ffi::extradata;
use crate::transcode::codec::encoder::{PictureEncoder, Timing, h264_level};
use crate::transcode::codec::kind::USUAL_GOP;
use crate::transcode::codec::rate;
use crate::transcode::codec::steering::{Cost, Course};
use crate::transcode::edit::{Editor, PictureFormat, Scaler};
use crate::transcode::files::folder::WorkFolder;
use crate::transcode::files::record::{note, payload};
use crate::transcode::input::feed::Feed;
use crate::transcode::input::scan::Footage;
use crate::transcode::spec::{RateSpec, Target, TranscodeSpec};

/// A job, as its segments see it.
pub struct Task {
    pub spec: TranscodeSpec,
    pub footage: Footage,
    /// What the decoder gives, and what the editor makes of it.
    pub decoded: PictureFormat,
    pub edited: PictureFormat,
    pub plan: Plan,
    /// What encoders say of their streams, once it was asked.
    pub streams: EncodedStreams,
    pub finished: FinishedSegments,
    pub feed: Feed,
    pub work: WorkFolder,
    /// What the source held before anything was read of it, where evidence is made.
    pub evidence: Option<Fingerprint>,
}

/// One for each rendition. Opening an encoder takes tens of megabytes, which the kernel clears first.
#[derive(Default)]
pub struct EncodedStreams(Mutex<HashMap<usize, EncodedStream>>);

/// Finished segments, by the numbers of rendition and segment: there may be thousands of them.
pub type FinishedSegments = Mutex<HashMap<(usize, usize), FinishedSegment>>;

/// What came of a segment of a rendition.
#[derive(Clone, Copy, Debug)]
pub struct FinishedSegment {
    bits: f64,
    /// What a picture took at quality zero, as its encoder noted it.
    cost: f64,
}

/// What an encoder says, and the level that it was told.
#[derive(Clone)]
struct EncodedStream {
    parameters: codec::Parameters,
    level: Option<u8>,
}

impl Task {
    pub fn timing(&self) -> Timing {
        Timing {
            time_base: self.plan.out_base,
            frame_rate: self.plan.frame_rate,
            steered: self.plan.lag.is_some(),
            aligned: self.plan.renditions.len() > 1 || matches!(self.spec.target, Target::Hls { .. }),
        }
    }

    pub fn editor(&self) -> Result<Editor> {
        let base = self.footage.time_base.to_ff();
        Editor::new(&self.spec.edit, self.footage.orientation.unwrap_or_default(), &self.decoded, base)
    }

    /// A rendition with the level that all its segments say.
    pub fn levelled(&self, rendition: usize) -> Result<Rendition> {
        let mut levelled = self.plan.renditions[rendition].clone();
        if self.plan.makes_up(rendition) {
            levelled.level = self.stream(rendition)?.level;
        }
        Ok(levelled)
    }

    /// What a segment of a rendition at an average rate is to become, from what those before it have.
    pub fn course(&self, rendition: usize, segment: &Segment) -> Result<Option<Course>> {
        let asked = &self.plan.renditions[rendition];
        let (true, RateSpec::Kbps(kbps)) = (self.plan.makes_up(rendition), asked.encode.rate) else {
            return Ok(None);
        };
        let lag = self.plan.lag.unwrap_or_default();
        let seconds = |s: &Segment| self.footage.seconds(s.to - s.from);
        let part = |s: &Segment| rate::Part { seconds: seconds(s), hard: s.hard };
        let parts: Vec<rate::Part> = self.plan.segments.iter().map(part).collect();
        let planned = rate::plan(f64::from(kbps) * 1000.0, &parts, self.footage.predicts());
        let (mut made, mut costs) = (Vec::new(), Vec::new());
        for known in 0..self.plan.needs(segment.index) {
            let known = self.finished(rendition, known)?;
            made.push(known.bits);
            costs.push(known.cost);
        }
        let index = segment.index;
        let pictures = |s: &Segment| made_of(s, self.spec.frame_rate, &self.footage);
        let (width, height) = self.footage.size;
        let source_pixels = f64::from(width) * f64::from(height);
        let pixels = f64::from(asked.width) * f64::from(asked.height);
        let tells = self.footage.predicts();
        let likely = |s: &Segment| match tells {
            true => rate::likely(s.hard as f64 / s.pictures.max(1) as f64, source_pixels, pixels),
            false => 1.0,
        };
        let took = costs.iter().zip(&self.plan.segments);
        let took = took.map(|(cost, s)| rate::PictureCost { cost: *cost, likely: likely(s) });
        let cost = match rate::cost(took, likely(segment)) {
            Some(known) => Cost::Known(known),
            None if tells && self.footage.quantisers => Cost::Said(likely(segment)),
            None => Cost::Unknown,
        };
        Ok(Some(Course {
            bits: rate::bits(&planned, &made, lag, index),
            pictures: pictures(segment),
            rate: pictures(segment) as f64 / seconds(segment).max(1e-3),
            after_s: parts[index + 1..].iter().map(|part| part.seconds).sum(),
            gop: f64::from(asked.encode.gop.unwrap_or(USUAL_GOP)),
            cost,
            pixels,
            tree: self.plan.encoders[rendition].has_tree(&asked.encode),
        }))
    }

    /// What came of a segment of a rendition, which is finished.
    fn finished(&self, rendition: usize, segment: usize) -> Result<FinishedSegment> {
        let mut finished = self.finished.lock();
        if let Some(known) = finished.get(&(rendition, segment)) {
            return Ok(*known);
        }
        let path = self.work.segment(rendition, segment);
        let known = FinishedSegment { bits: payload(&path)? as f64 * 8.0, cost: note(&path)?.cost };
        finished.insert((rendition, segment), known);
        Ok(known)
    }

    /// What a container or a decoder must know of a rendition; checks that a segment was made alike.
    pub fn parameters(&self, rendition: usize, made: &[u8]) -> Result<ff::codec::Parameters> {
        let parameters = self.stream(rendition)?.parameters;
        if extradata(&parameters) != made {
            let message = "segments differ in their parameter sets; run again with --fresh";
            let name = self.plan.renditions[rendition].name.clone();
            return Err(Error::new(ErrorKind::Internal, name, message));
        }
        Ok(parameters)
    }

    /// What an encoder of a rendition says of its stream, and the level that belongs to its rate.
    fn stream(&self, rendition: usize) -> Result<EncodedStream> {
        let mut streams = self.streams.0.lock();
        if let Some(known) = streams.get(&rendition) {
            return Ok(known.clone());
        }
        let mut planned = self.plan.renditions[rendition].clone();
        let scaler = Scaler::new(&self.edited, planned.size)?;
        let encoder = self.plan.encoders[rendition];
        let open = |planned: &Rendition, timing| -> Result<codec::Parameters> {
            Ok(PictureEncoder::open(encoder, &planned.encode, planned.level, scaler.output(), timing, 1)?
                .parameters())
        };
        let timing = self.timing();
        if self.plan.makes_up(rendition) {
            // x264 chooses the level from the rate too, which it is not told where it is steered.
            let unsteered = open(&planned, Timing { steered: false, ..timing })?;
            planned.level = h264_level(&extradata(&unsteered));
        }
        let parameters = open(&planned, timing)?;
        let stream = EncodedStream { parameters, level: planned.level };
        streams.insert(rendition, stream.clone());
        Ok(stream)
    }
}
