//! The sound of a job: what becomes of it, and the copy or the AAC of the range that is kept.

mod aac;
mod copy;
pub mod heads;
mod plan;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ffmpeg_next as ff;

use aac::{Format, Transcoder, to_i32};
use copy::Copier;

use super::package::AudioTrack;
use crate::base::Result;
use crate::source::demux::quiet;

pub use plan::{SoundAction, SoundPlan};

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
                let transcoder =
                    Transcoder::open(parameters, time_base, range, Format { kbps, rate, channels })?;
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
