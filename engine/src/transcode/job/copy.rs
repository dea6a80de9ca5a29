//! Pictures that are not touched: their packets go into the work folder as they are, and are decoded from
//! end to end before they count, unless less is asked for.

use ffmpeg_next as ff;

use super::segment::SegmentOutcome;
use super::segments::Segment;
use super::task::Task;
use crate::base::{Result, Shutdown};
use crate::transcode::codec::decoder::{PictureDecoder, Purpose};
use crate::transcode::files::record::{Note, Record, RecordWriter};
use crate::transcode::spec::Verify;

/// Copies a segment into the work folder; `None` where `stop` came first.
pub fn run(
    task: &Task,
    segment: &Segment,
    stop: &Shutdown,
    advanced: &dyn Fn(i64),
) -> Result<Option<SegmentOutcome>> {
    let parameters = task.footage.video.get();
    let extradata = crate::source::demux_ffi::extradata(&parameters);
    let base = task.footage.time_base.to_ff();
    let mut decoder = match task.spec.verify {
        Verify::Full => Some(PictureDecoder::open(parameters, base, segment.threads, Purpose::Proof)?),
        Verify::Ends | Verify::None => None,
    };
    if let Some(decoder) = &mut decoder {
        decoder.show_unrefreshed(task.footage.refreshes);
        // As for an encoding: what lies before the first key frame is not copied.
        decoder.counts_in(segment.from..i64::MAX);
    }
    let mut file = RecordWriter::create(&task.work.segment(0, segment.index), &extradata)?;
    let mut units = task.feed.units(&task.footage, segment.units.clone(), segment.bytes)?;
    let mut outcome = SegmentOutcome::default();
    let mut sink = |frame: ff::frame::Video| {
        if let Some(pts) = frame.pts().filter(|pts| *pts >= segment.from) {
            outcome.decoded += 1;
            advanced(pts);
        }
        Ok(true)
    };
    let mut copied = 0;
    while let Some(packet) = units.next() {
        if stop.is_cancelled() {
            return Ok(None);
        }
        // What is shown before the first key frame cannot be decoded without what came before it.
        if let Some(pts) = packet.pts().filter(|pts| *pts >= segment.from) {
            let mut record =
                Record::of(&packet).unwrap_or(Record { pts, duration: 0, key: false, data: Vec::new() });
            record.pts = task.plan.out_time(pts);
            file.write(&record)?;
            copied += 1;
        }
        if let Some(decoder) = &mut decoder {
            decoder.push(Some(&packet), &mut sink)?;
        }
    }
    if let Some(decoder) = &mut decoder {
        decoder.push(None, &mut sink)?;
    }
    match decoder {
        Some(decoder) => outcome.damaged = decoder.damaged,
        None => outcome.decoded = copied,
    }
    outcome.encoded = copied;
    file.note = Note { cost: 0.0, decoded: outcome.decoded, damaged: outcome.damaged };
    file.commit()?;
    Ok(Some(outcome))
}
