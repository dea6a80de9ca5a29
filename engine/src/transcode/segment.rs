//! One segment: its units decoded, edited, brought to the frame rate, scaled and encoded for each
//! rendition, and what was encoded decoded again before it takes its name.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

use ff::codec;
use ffmpeg_next as ff;

use super::decoder::{PictureDecoder, Purpose};
use super::edit::{Editor, PictureFormat, Scaler};
use super::encoder::{self, PictureEncoder, Timing};
use super::feed::Feed;
use super::plan::{Plan, Rendition, Segment, USUAL_GOP, made_of, tick_from};
use super::proof::Proof;
use super::rate;
use super::record::{Note, Record, RecordWriter, note, payload};
use super::scan::Footage;
use super::spec::{RateSpec, TranscodeSpec};
use super::steering::{Cost, Course};
use super::work::Work;
use crate::base::{Error, ErrorKind, Result, Shutdown};
use crate::evidence::Fingerprint;
use crate::source::demux_ffi::extradata;

/// A job, as its segments see it.
pub(super) struct Task {
    pub spec: TranscodeSpec,
    pub footage: Footage,
    /// What the decoder gives, and what the editor makes of it.
    pub decoded: PictureFormat,
    pub edited: PictureFormat,
    pub plan: Plan,
    /// libavcodec's names of the encoders, one for each rendition.
    pub encoders: Vec<&'static str>,
    /// What encoders say of their streams, once it was asked.
    pub streams: Streams,
    pub came: Came,
    pub feed: Feed,
    pub work: Work,
    /// What the source held before anything was read of it, where evidence is made.
    pub evidence: Option<Fingerprint>,
}

/// One for each rendition. Opening an encoder takes tens of megabytes, which the kernel clears first.
#[derive(Default)]
pub(super) struct Streams(Mutex<HashMap<usize, Stream>>);

/// Bits and cost of finished segments, by rendition and segment: there may be thousands of them.
pub(super) type Came = Mutex<HashMap<(usize, usize), (f64, f64)>>;

/// What an encoder says, and the level that it was told.
#[derive(Clone)]
struct Stream {
    parameters: codec::Parameters,
    level: Option<u8>,
}

/// What came of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SegmentOutcome {
    /// Pictures of the source that were decoded and shown.
    pub decoded: u64,
    /// Pictures that came out, of each rendition.
    pub encoded: u64,
    /// Packets and pictures that were damaged.
    pub damaged: u64,
}

impl Task {
    pub fn timing(&self) -> Timing {
        Timing {
            time_base: self.plan.out_base,
            frame_rate: self.plan.frame_rate,
            steered: self.plan.lag.is_some(),
            aligned: self.plan.renditions.len() > 1
                || matches!(self.spec.target, super::spec::Target::Hls { .. }),
        }
    }

    pub fn editor(&self) -> Result<Editor> {
        let (num, den) = self.footage.time_base;
        let base = ff::Rational(num as i32, den as i32);
        Editor::new(&self.spec.edit, self.footage.orientation.unwrap_or_default(), &self.decoded, base)
    }
}

/// Encodes a segment into the work folder; `None` where `stop` came first. `advanced` is told of each
/// decoded picture's time.
pub(super) fn run(
    task: &Task,
    segment: &Segment,
    stop: &Shutdown,
    advanced: &dyn Fn(i64),
) -> Result<Option<SegmentOutcome>> {
    let mut editor = task.editor()?;
    let neighbours = editor.needs_neighbours();
    let begin = if neighbours { segment.neighbours_from } else { segment.units.start };
    let mut units = task.feed.units(&task.footage, begin..segment.units.end, segment.bytes)?;
    let (num, den) = task.footage.time_base;
    let base = ff::Rational(num as i32, den as i32);
    let mut decoder =
        PictureDecoder::open(task.footage.video.get(), base, segment.threads, Purpose::Pictures)?;
    decoder.show_unrefreshed(task.footage.refreshes);
    decoder.counts_in(segment.from..segment.to);
    let mut lanes = Lanes::open(task, segment)?;
    let mut newest = i64::MIN;
    let mut outcome = SegmentOutcome::default();
    let mut show = |frame: ff::frame::Video, editor: &mut Editor| {
        let Some(pts) = frame.pts() else { return Ok(true) };
        // A decoder may give what it held back after what followed it: too late for its place.
        if pts <= newest {
            return Ok(true);
        }
        newest = pts;
        let inside = (segment.from..segment.to).contains(&pts);
        if inside {
            outcome.decoded += 1;
            advanced(pts);
        }
        // Without neighbours only the picture that is shown when the segment begins is of use.
        if inside || neighbours {
            editor.push(Some(frame), &mut |edited| lanes.take(edited))?;
        }
        Ok(pts < segment.to && !stop.is_cancelled())
    };
    let mut more = true;
    while more && let Some(packet) = units.next() {
        more = decoder.push(Some(&packet), &mut |frame| show(frame, &mut editor))?;
    }
    drop(units);
    if more {
        decoder.push(None, &mut |frame| show(frame, &mut editor))?;
    }
    if stop.is_cancelled() {
        return Ok(None);
    }
    editor.push(None, &mut |edited| lanes.take(edited))?;
    outcome.damaged = decoder.damaged;
    outcome.encoded = lanes.finish(outcome)?;
    Ok(Some(outcome))
}

/// The renditions of a segment.
struct Lanes<'a> {
    task: &'a Task,
    segment: &'a Segment,
    lanes: Vec<Lane>,
    /// The picture that is shown until the next comes, where a frame rate is asked for.
    shown: Option<ff::frame::Video>,
    next_tick: u64,
    end_tick: u64,
    encoded: u64,
}

struct Lane {
    scaler: Scaler,
    encoder: PictureEncoder,
    made: Made,
}

/// Where packets of a rendition go: into their file, and to the proof.
struct Made {
    file: RecordWriter,
    proof: Proof,
}

impl<'a> Lanes<'a> {
    fn open(task: &'a Task, segment: &'a Segment) -> Result<Lanes<'a>> {
        let mut lanes = Vec::new();
        for (rendition, (planned, name)) in task.plan.renditions.iter().zip(&task.encoders).enumerate() {
            let scaler = Scaler::new(&task.edited, planned.size)?;
            let format = scaler.output();
            let rated = task.levelled(rendition)?;
            let threads = encoder::threads(name, segment.threads, task.encoders.len());
            let mut encoder = PictureEncoder::open(name, &rated, format, task.timing(), threads)?;
            if let Some(course) = task.course(rendition, segment)? {
                encoder.steer(course, threads);
            }
            let pictures = made_of(segment, task.spec.frame_rate, &task.footage);
            if segment.index > 0 && pictures > encoder::held_back(&rated.encode, threads) {
                encoder.continues(name, &rated.encode);
            }
            let extradata = extradata(&encoder.parameters());
            let file = RecordWriter::create(&task.work.segment(rendition, segment.index), &extradata)?;
            let (num, den) = task.plan.out_base;
            let base = ff::Rational(num as i32, den as i32);
            let parameters = task.parameters(rendition, &extradata)?;
            let proof = Proof::open(parameters, base, segment.threads, task.spec.verify)?;
            lanes.push(Lane { scaler, encoder, made: Made { file, proof } });
        }
        let tick = |pts: i64| match task.spec.frame_rate {
            Some(rate) => tick_from(task.plan.out_time(pts), task.footage.time_base, rate),
            None => 0,
        };
        let (next_tick, end_tick) = (tick(segment.from), tick(segment.to));
        Ok(Lanes { task, segment, lanes, shown: None, next_tick, end_tick, encoded: 0 })
    }

    /// Takes an edited picture, in the order of time.
    fn take(&mut self, frame: ff::frame::Video) -> Result<()> {
        let Some(pts) = frame.pts() else { return Ok(()) };
        if pts >= self.segment.to {
            return Ok(());
        }
        let Some(rate) = self.task.spec.frame_rate else {
            if pts < self.segment.from {
                return Ok(());
            }
            return self.encode(&frame, self.task.plan.out_time(pts));
        };
        let from = tick_from(self.task.plan.out_time(pts), self.task.footage.time_base, rate);
        self.fill(from.min(self.end_tick))?;
        self.shown = Some(frame);
        Ok(())
    }

    /// Shows the picture of before until a tick.
    fn fill(&mut self, until: u64) -> Result<()> {
        while self.next_tick < until {
            let tick = self.next_tick;
            let Some(frame) = self.shown.take() else {
                // Nothing was shown yet: what comes first stands in, from the segment's beginning.
                return Ok(());
            };
            self.encode(&frame, i64::try_from(tick).unwrap_or(i64::MAX))?;
            self.shown = Some(frame);
            self.next_tick += 1;
        }
        Ok(())
    }

    fn encode(&mut self, frame: &ff::frame::Video, time: i64) -> Result<()> {
        for lane in &mut self.lanes {
            let mut scaled = lane.scaler.scale(frame)?;
            scaled.set_pts(Some(time));
            // What the source made of it is no order to the encoder.
            scaled.set_kind(ff::picture::Type::None);
            let made = &mut lane.made;
            lane.encoder.push(Some(&scaled), &mut |packet| made.take(packet))?;
        }
        self.encoded += 1;
        Ok(())
    }

    /// Encodes what is left; each file takes its name when all of it is proved. How many pictures each has; `found`
    /// is what was found of the source's.
    fn finish(mut self, found: SegmentOutcome) -> Result<u64> {
        if self.task.spec.frame_rate.is_some() {
            self.fill(self.end_tick)?;
        }
        for lane in &mut self.lanes {
            let made = &mut lane.made;
            lane.encoder.push(None, &mut |packet| made.take(packet))?;
        }
        let (target, place) = (self.task.spec.target.path(), self.task.footage.seconds(self.segment.from));
        for lane in self.lanes {
            let Made { mut file, proof } = lane.made;
            let SegmentOutcome { decoded, damaged, .. } = found;
            file.note = Note { cost: lane.encoder.cost(), decoded, damaged };
            // Both take memory that the proof can use.
            drop((lane.encoder, lane.scaler));
            file.commit_if(|file| match proof.end(file, self.encoded)? {
                None => Ok(()),
                Some(wrong) => {
                    let subject = format!("{}, encoded at {place:.1} s", target.display());
                    Err(Error::new(ErrorKind::Internal, subject, wrong))
                }
            })?;
        }
        Ok(self.encoded)
    }
}

impl Made {
    fn take(&mut self, packet: &ff::Packet) -> Result<()> {
        let record = Record::of(packet)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "encoder", "gives a packet without a time"))?;
        self.file.write(&record)?;
        self.proof.note(record);
        Ok(())
    }
}

impl Task {
    /// A rendition with the level that all its segments say.
    fn levelled(&self, rendition: usize) -> Result<Rendition> {
        let mut levelled = self.plan.renditions[rendition].clone();
        if self.makes_up(rendition) {
            levelled.level = self.stream(rendition)?.level;
        }
        Ok(levelled)
    }

    /// What a segment of a rendition at an average rate is to become, from what those before it have.
    fn course(&self, rendition: usize, segment: &Segment) -> Result<Option<Course>> {
        let asked = &self.plan.renditions[rendition];
        let (true, RateSpec::Kbps(kbps)) = (self.makes_up(rendition), asked.encode.rate) else {
            return Ok(None);
        };
        let lag = self.plan.lag.unwrap_or_default();
        let seconds = |s: &Segment| self.footage.seconds(s.to - s.from);
        let lengths: Vec<(f64, u64)> = self.plan.segments.iter().map(|s| (seconds(s), s.hard)).collect();
        let planned = rate::plan(f64::from(kbps) * 1000.0, &lengths, self.footage.predicts());
        let (mut made, mut costs) = (Vec::new(), Vec::new());
        for known in 0..self.plan.needs(segment.index) {
            let (bits, cost) = self.came(rendition, known)?;
            made.push(bits);
            costs.push(cost);
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
        let took = took.map(|(cost, s)| rate::Took { cost: *cost, likely: likely(s) });
        let cost = match rate::cost(took, likely(segment)) {
            Some(known) => Cost::Known(known),
            None if tells && self.footage.quantisers => Cost::Said(likely(segment)),
            None => Cost::Unknown,
        };
        Ok(Some(Course {
            bits: rate::bits(&planned, &made, lag, index),
            pictures: pictures(segment),
            rate: pictures(segment) as f64 / seconds(segment).max(1e-3),
            after_s: lengths[index + 1..].iter().map(|(seconds, _)| seconds).sum(),
            gop: f64::from(asked.encode.gop.unwrap_or(USUAL_GOP)),
            cost,
            pixels,
            tree: encoder::has_tree(&asked.encode),
        }))
    }

    /// Bits of a finished segment of a rendition, and what its encoder noted of a picture's cost.
    fn came(&self, rendition: usize, segment: usize) -> Result<(f64, f64)> {
        let mut came = self.came.lock();
        if let Some(known) = came.get(&(rendition, segment)) {
            return Ok(*known);
        }
        let path = self.work.segment(rendition, segment);
        let known = (payload(&path)? as f64 * 8.0, note(&path)?.cost);
        came.insert((rendition, segment), known);
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

    /// Whether segments of a rendition are encoded at rates of their own.
    fn makes_up(&self, rendition: usize) -> bool {
        self.plan.lag.is_some()
            && self.plan.renditions[rendition].makes_up()
            && self.encoders[rendition] == "libx264"
    }

    /// What an encoder of a rendition says of its stream, and the level that belongs to its rate.
    fn stream(&self, rendition: usize) -> Result<Stream> {
        let mut streams = self.streams.0.lock();
        if let Some(known) = streams.get(&rendition) {
            return Ok(known.clone());
        }
        let mut planned = self.plan.renditions[rendition].clone();
        let scaler = Scaler::new(&self.edited, planned.size)?;
        let name = self.encoders[rendition];
        let open = |planned: &Rendition, timing| -> Result<codec::Parameters> {
            Ok(PictureEncoder::open(name, planned, scaler.output(), timing, 1)?.parameters())
        };
        let timing = self.timing();
        if self.makes_up(rendition) {
            // x264 chooses the level from the rate too, which it is not told where it is steered.
            let unsteered = open(&planned, Timing { steered: false, ..timing })?;
            planned.level = encoder::h264_level(&extradata(&unsteered));
        }
        let parameters = open(&planned, timing)?;
        let stream = Stream { parameters, level: planned.level };
        streams.insert(rendition, stream.clone());
        Ok(stream)
    }
}

/// The format of the first picture that a source gives.
pub(super) fn first_picture(footage: &Footage, feed: &Feed) -> Result<PictureFormat> {
    let (num, den) = footage.time_base;
    let base = ff::Rational(num as i32, den as i32);
    let mut decoder = PictureDecoder::open(footage.video.get(), base, 1, Purpose::Pictures)?;
    decoder.show_unrefreshed(footage.refreshes);
    let first = footage.keys.first().map_or(0, |key| key.unit);
    let mut shown = footage.times.iter().zip(0..).skip(first as usize).filter(|(time, _)| time.is_some());
    let until = shown.nth(63).map_or(footage.times.len() as u64, |(_, unit)| unit + 1);
    let mut units = feed.units(footage, first..until, 0)?;
    let mut found = None;
    let mut sink = |frame: ff::frame::Video| {
        found = Some(PictureFormat::of(&frame));
        Ok(false)
    };
    let mut more = true;
    while more && let Some(packet) = units.next() {
        let packet: Arc<ff::Packet> = packet;
        more = decoder.push(Some(&packet), &mut sink)?;
    }
    if more {
        decoder.push(None, &mut sink)?;
    }
    found.ok_or_else(|| {
        let message = "no picture of it can be decoded; it may be encrypted or damaged";
        Error::new(ErrorKind::Corrupt, footage.path.display().to_string(), message)
    })
}
