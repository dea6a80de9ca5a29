//! The sound of a job, made at one go and kept in its work folder.

use std::time::Duration;

use ffmpeg_next as ff;

use super::task::Task;
use crate::base::{Result, Shutdown};
use crate::source::demux_ffi::is_hidden;
use crate::transcode::files::record::{Record, RecordWriter, is_whole};
use crate::transcode::input::reader::SourcePacket;
use crate::transcode::sound::{Sound, SoundAction, SoundRange};
use crate::transcode::time::TimeBase;

/// Makes the sound; false where `stop` came first.
pub fn make(task: &Task, stop: &Shutdown) -> Result<bool> {
    let Some(mut sound) = open(task)? else { return Ok(true) };
    let path = task.work.sound();
    if is_whole(&path).is_some() {
        return Ok(true);
    }
    let zero = zero_of(task);
    let mut file = RecordWriter::create(&path, &[])?;
    let mut put = |packet: ff::Packet| match Record::of(&packet) {
        Some(record) => file.write(&record),
        None => Ok(()),
    };
    let mut reader = task.feed.source().reader(task.spec.video_stream)?;
    // A decoder needs what an edit list hides, and keeps it to itself; copied, it would be heard.
    let copied = task.plan.sound.action == SoundAction::Copy;
    while let Some(read) = reader.next() {
        if stop.is_cancelled() {
            return Ok(false);
        }
        if let SourcePacket::Sound(mut packet) = read {
            if copied && is_hidden(&packet) {
                continue;
            }
            packet.set_pts(packet.pts().map(|t| t.saturating_sub(zero)));
            packet.set_dts(packet.dts().map(|t| t.saturating_sub(zero)));
            sound.push(Some(packet), &mut put)?;
        }
    }
    sound.push(None, &mut put)?;
    file.commit()?;
    Ok(true)
}

/// What the first picture's time is on the clock of the sound.
fn zero_of(task: &Task) -> i64 {
    let base = task.footage.sound.as_ref().map_or(TimeBase::SECOND, |s| s.time_base);
    base.ticks(task.footage.time_base.nanos(task.footage.zero))
}

pub fn open(task: &Task) -> Result<Option<Sound>> {
    let Some(source) = &task.footage.sound else { return Ok(None) };
    let (from, to) = (task.plan.range.start, task.plan.range.end);
    let time = |at: i64| {
        let nanos = task.footage.time_base.nanos(at);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    };
    let range = SoundRange { start: time(from), end: (to < task.footage.end).then(|| time(to)) };
    Sound::open(&task.plan.sound, source.parameters.get(), source.time_base.to_ff(), range)
}
