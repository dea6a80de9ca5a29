//! The sound of a stream that is recorded: kept beside the pictures until it is known where it belongs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ffmpeg_next as ff;

use crate::base::{Moment, Result};
use crate::media::{SoundCodec, SoundPacket, SoundParameters};
use crate::transcode::codec::decoder_ffi;
use crate::transcode::files::record::{Record, RecordReader, RecordWriter};
use crate::transcode::package::AudioTrack;
use crate::transcode::time::TimeBase;

/// Sender reports of pictures and sound that put them further apart than their arrival does, in
/// nanoseconds, come from a clock that is wrong in one of them.
const BELIEVED: i64 = 2_000_000_000;

/// Where a stream's own times lie on the clocks that pictures and sound have in common.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamClock {
    /// The least time from a presentation time to its arrival here.
    arrival: Option<i64>,
    /// From a presentation time to its capture by the camera's clock, as it was told last.
    captured: Option<i64>,
}

impl StreamClock {
    pub fn note(&mut self, pts: i64, arrival: Moment, captured: Option<Duration>) {
        let arrival = i64::try_from(arrival.0).unwrap_or(i64::MAX).saturating_sub(pts);
        self.arrival = Some(self.arrival.map_or(arrival, |least| least.min(arrival)));
        if let Some(captured) = captured.and_then(|c| i64::try_from(c.as_nanos()).ok()) {
            self.captured = Some(captured.saturating_sub(pts));
        }
    }

    /// By how much this stream's times are moved to lie on those of another one.
    fn onto(self, other: StreamClock) -> i64 {
        let apart = |a: Option<i64>, b: Option<i64>| Some(a?.saturating_sub(b?));
        let arrived = apart(self.arrival, other.arrival).unwrap_or(0);
        let captured = apart(self.captured, other.captured);
        captured.filter(|told| told.saturating_sub(arrived).abs() <= BELIEVED).unwrap_or(arrived)
    }
}

/// Sound as it comes, on disk.
pub struct SoundTape {
    records: PathBuf,
    writer: Option<RecordWriter>,
    parameters: Option<SoundParameters>,
    clock: StreamClock,
    packets: u64,
}

impl SoundTape {
    /// Nothing yet; what comes will lie at `records`.
    pub fn new(records: PathBuf) -> SoundTape {
        SoundTape { records, writer: None, parameters: None, clock: StreamClock::default(), packets: 0 }
    }

    /// What comes next. A recording has one kind of sound: what comes after a change is left out.
    pub fn describe(&mut self, parameters: &SoundParameters) -> Result<()> {
        match &self.parameters {
            None if parameters.rate > 0 && parameters.channels > 0 => {
                self.writer = Some(RecordWriter::create(&self.records, &parameters.extradata)?);
                self.parameters = Some(parameters.clone());
            }
            Some(known) if known != parameters && self.writer.is_some() => {
                tracing::warn!(
                    "the sound changed its kind while it was recorded; the rest of it is left out"
                );
                self.close()?;
            }
            _ => {}
        }
        Ok(())
    }

    pub fn take(&mut self, packet: &SoundPacket) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        self.clock.note(packet.pts.0, packet.arrival, packet.captured);
        self.packets += 1;
        writer.write(&Record {
            pts: packet.pts.0,
            duration: i64::try_from(packet.duration.as_nanos()).unwrap_or(0),
            key: true,
            data: packet.data.to_vec(),
        })
    }

    fn close(&mut self) -> Result<()> {
        self.writer.take().map_or(Ok(()), RecordWriter::commit)
    }

    /// The sound from `first` until `end`, on the timeline of the pictures, in nanoseconds; `None` where
    /// there is none.
    pub fn finish(&mut self, pictures: StreamClock, first: i64, end: i64) -> Result<Option<RecordedSound>> {
        self.close()?;
        let Some(parameters) = self.parameters.as_ref().filter(|_| self.packets > 0) else { return Ok(None) };
        let shift = if parameters.on_picture_time { 0 } else { self.clock.onto(pictures) };
        let rate = i32::try_from(parameters.rate).unwrap_or(i32::MAX);
        let track = AudioTrack {
            parameters: decoder_ffi::sound_parameters(
                codec_id(parameters.codec),
                rate,
                parameters.channels,
                &parameters.extradata,
            )?,
            time_base: ff::Rational(1, rate),
        };
        let reader = RecordReader::open(&self.records)?;
        let (offset, length) = (shift.saturating_sub(first), end.saturating_sub(first));
        Ok(Some(RecordedSound {
            track,
            reader,
            offset,
            length,
            base: TimeBase { num: 1, den: i64::from(rate) },
            newest: -1,
        }))
    }

    /// How many packets came.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Where sound lies that belongs to a recording.
    pub fn place(recording: &Path) -> PathBuf {
        recording.with_extension("sound.seg")
    }
}

/// Sound that is put beside its pictures.
pub struct RecordedSound {
    pub track: AudioTrack,
    reader: RecordReader,
    offset: i64,
    length: i64,
    base: TimeBase,
    newest: i64,
}

impl RecordedSound {
    /// The next packet that is heard while the pictures last; `None` at the end.
    pub fn next(&mut self) -> Result<Option<ff::Packet>> {
        while let Some(mut record) = self.reader.next()? {
            let time = record.pts.saturating_add(self.offset);
            if time < 0 || time >= self.length {
                continue;
            }
            record.pts = self.base.ticks(time);
            record.duration = self.base.ticks(record.duration);
            // A clock that went back would put sound where there is some already.
            if record.pts <= self.newest {
                continue;
            }
            self.newest = record.pts;
            let mut packet = record.packet();
            packet.set_dts(Some(record.pts));
            return Ok(Some(packet));
        }
        Ok(None)
    }
}

fn codec_id(codec: SoundCodec) -> ff::codec::Id {
    match codec {
        SoundCodec::Aac => ff::codec::Id::AAC,
        SoundCodec::Alaw => ff::codec::Id::PCM_ALAW,
        SoundCodec::Mulaw => ff::codec::Id::PCM_MULAW,
        SoundCodec::Mp2 => ff::codec::Id::MP2,
        SoundCodec::Mp3 => ff::codec::Id::MP3,
        SoundCodec::Ac3 => ff::codec::Id::AC3,
        SoundCodec::Opus => ff::codec::Id::OPUS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn clock(notes: &[(i64, u64, Option<u64>)]) -> StreamClock {
        let mut clock = StreamClock::default();
        for (pts, arrival, captured) in notes {
            clock.note(*pts, Moment(*arrival), captured.map(Duration::from_nanos));
        }
        clock
    }

    #[test]
    fn sound_lies_where_the_cameras_clock_says_and_else_where_it_arrived() {
        // Sound begins at 7 s of its own clock when the pictures are at 1 s of theirs.
        let pictures = clock(&[(S, 100, None), (2 * S, 100 + 1_000_000_000, None)]);
        let late = clock(&[(7 * S, 100 + 400_000_000, None), (8 * S, 100 + 1_000_000_000, None)]);
        assert_eq!(late.onto(pictures), -6 * S, "the packet that was delayed least counts");
        let told = clock(&[(S, 100, Some(50_000_000_000))]);
        let sound = clock(&[(7 * S, 100, Some(50_300_000_000))]);
        assert_eq!(sound.onto(told), -6 * S + 300_000_000);
        let wrong = clock(&[(7 * S, 100, Some(90_000_000_000))]);
        assert_eq!(wrong.onto(told), -6 * S, "a clock that is far off is not believed");
        assert_eq!(StreamClock::default().onto(pictures), 0);
    }
}
