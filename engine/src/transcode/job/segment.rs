//! One segment: its units decoded, edited, brought to the frame rate, scaled and encoded for each
//! rendition, and what was encoded decoded again before it takes its name.

use std::sync::Arc;

use ffmpeg_next as ff;

use super::copy;
use super::segments::{Segment, made_of, tick_from};
use super::task::Task;
use crate::base::{Error, ErrorKind, Result, Shutdown};
use crate::source::demux_ffi::extradata;
use crate::transcode::codec::decoder::{PictureDecoder, Purpose};
use crate::transcode::codec::encoder::PictureEncoder;
use crate::transcode::codec::proof::Proof;
use crate::transcode::edit::{Editor, PictureFormat, Scaler};
use crate::transcode::files::record::{Note, Record, RecordWriter};
use crate::transcode::input::feed::Feed;
use crate::transcode::input::scan::Footage;

/// What came of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentOutcome {
    /// Pictures of the source that were decoded and shown.
    pub decoded: u64,
    /// Pictures that came out, of each rendition.
    pub encoded: u64,
    /// Packets and pictures that were damaged.
    pub damaged: u64,
}

/// Makes a segment; `None` where `stop` came first.
pub fn make(
    task: &Task,
    index: usize,
    stop: &Shutdown,
    advanced: &dyn Fn(i64),
) -> Result<Option<SegmentOutcome>> {
    // Soon, where it is of no use to go on.
    task.feed.source().check()?;
    let segment = &task.plan.segments[index];
    match task.plan.copies {
        true => copy::run(task, segment, stop, advanced),
        false => encode(task, segment, stop, advanced),
    }
}

/// Encodes a segment into the work folder; `None` where `stop` came first. `advanced` is told of each
/// decoded picture's time.
pub fn encode(
    task: &Task,
    segment: &Segment,
    stop: &Shutdown,
    advanced: &dyn Fn(i64),
) -> Result<Option<SegmentOutcome>> {
    let mut editor = task.editor()?;
    let neighbours = editor.needs_neighbours();
    let begin = if neighbours { segment.neighbours_from } else { segment.units.start };
    let mut units = task.feed.units(&task.footage, begin..segment.units.end, segment.bytes)?;
    let base = task.footage.time_base.to_ff();
    let mut decoder =
        PictureDecoder::open(task.footage.video.get(), base, segment.threads, Purpose::Pictures)?;
    decoder.show_unrefreshed(task.footage.refreshes);
    decoder.counts_in(segment.from..segment.to);
    let mut outputs = Outputs::open(task, segment)?;
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
            editor.push(Some(frame), &mut |edited| outputs.take(edited))?;
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
    editor.push(None, &mut |edited| outputs.take(edited))?;
    outcome.damaged = decoder.damaged;
    outcome.encoded = outputs.finish(outcome)?;
    Ok(Some(outcome))
}

/// The renditions of a segment.
struct Outputs<'a> {
    task: &'a Task,
    segment: &'a Segment,
    outputs: Vec<Output>,
    /// The picture that is shown until the next comes, where a frame rate is asked for.
    shown: Option<ff::frame::Video>,
    next_tick: u64,
    end_tick: u64,
    encoded: u64,
}

struct Output {
    scaler: Scaler,
    encoder: PictureEncoder,
    made: ProvedFile,
}

/// Where packets of a rendition go: into their file, and to the proof.
struct ProvedFile {
    file: RecordWriter,
    proof: Proof,
}

impl<'a> Outputs<'a> {
    fn open(task: &'a Task, segment: &'a Segment) -> Result<Outputs<'a>> {
        let mut outputs = Vec::new();
        for (rendition, (planned, kind)) in task.plan.renditions.iter().zip(&task.plan.encoders).enumerate() {
            let scaler = Scaler::new(&task.edited, planned.size)?;
            let format = scaler.output();
            let rated = task.levelled(rendition)?;
            let threads = kind.threads(segment.threads, task.plan.encoders.len());
            let mut encoder =
                PictureEncoder::open(*kind, &rated.encode, rated.level, format, task.timing(), threads)?;
            if let Some(course) = task.course(rendition, segment)? {
                encoder.steer(course, threads);
            }
            let pictures = made_of(segment, task.spec.frame_rate, &task.footage);
            if segment.index > 0 && pictures > kind.held_back(&rated.encode.preset, threads) {
                encoder.continues(&rated.encode);
            }
            let extradata = extradata(&encoder.parameters());
            let file = RecordWriter::create(&task.work.segment(rendition, segment.index), &extradata)?;
            let base = task.plan.out_base.to_ff();
            let parameters = task.parameters(rendition, &extradata)?;
            let proof = Proof::open(parameters, base, segment.threads, task.spec.verify)?;
            outputs.push(Output { scaler, encoder, made: ProvedFile { file, proof } });
        }
        let tick = |pts: i64| match task.spec.frame_rate {
            Some(rate) => tick_from(task.plan.out_time(pts), task.footage.time_base, rate),
            None => 0,
        };
        let (next_tick, end_tick) = (tick(segment.from), tick(segment.to));
        Ok(Outputs { task, segment, outputs, shown: None, next_tick, end_tick, encoded: 0 })
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
        for output in &mut self.outputs {
            let mut scaled = output.scaler.scale(frame)?;
            scaled.set_pts(Some(time));
            // What the source made of it is no order to the encoder.
            scaled.set_kind(ff::picture::Type::None);
            let made = &mut output.made;
            output.encoder.push(Some(&scaled), &mut |packet| made.take(packet))?;
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
        for output in &mut self.outputs {
            let made = &mut output.made;
            output.encoder.push(None, &mut |packet| made.take(packet))?;
        }
        let (target, place) = (self.task.spec.target.path(), self.task.footage.seconds(self.segment.from));
        for output in self.outputs {
            let ProvedFile { mut file, proof } = output.made;
            let SegmentOutcome { decoded, damaged, .. } = found;
            file.note = Note { cost: output.encoder.cost(), decoded, damaged };
            // Both take memory that the proof can use.
            drop((output.encoder, output.scaler));
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

impl ProvedFile {
    fn take(&mut self, packet: &ff::Packet) -> Result<()> {
        let record = Record::of(packet)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "encoder", "gives a packet without a time"))?;
        self.file.write(&record)?;
        self.proof.note(record);
        Ok(())
    }
}

/// The format of the first picture that a source gives.
pub fn first_picture(footage: &Footage, feed: &Feed) -> Result<PictureFormat> {
    let base = footage.time_base.to_ff();
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
