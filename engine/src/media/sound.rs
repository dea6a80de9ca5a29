//! Sound as it is encoded. Walls are silent: only recordings ask for it.

use std::time::Duration;

use bytes::Bytes;

use super::Pts;
use crate::base::Moment;

/// What sound is encoded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundCodec {
    /// AAC, raw frames (ISO/IEC 14496-3).
    Aac,
    /// G.711 A-law.
    Alaw,
    /// G.711 µ-law.
    Mulaw,
    /// MPEG-1 and MPEG-2, layer 2.
    Mp2,
    /// MPEG-1 and MPEG-2, layer 3.
    Mp3,
    /// AC-3.
    Ac3,
    /// Opus.
    Opus,
}

/// What a stream of sound says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundParameters {
    /// What it is encoded as.
    pub codec: SoundCodec,
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: u32,
    /// The AudioSpecificConfig of AAC; empty for others.
    pub extradata: Bytes,
    /// Its times count on the timeline of the pictures; else on one of its own.
    pub on_picture_time: bool,
}

/// One packet of sound.
#[derive(Clone, Debug)]
pub struct SoundPacket {
    /// When it is to be heard.
    pub pts: Pts,
    /// How long it is; zero where that is not known.
    pub duration: Duration,
    /// When its last packet arrived here.
    pub arrival: Moment,
    /// When it was captured, as time since the Unix epoch, where RTCP sender reports say so.
    pub captured: Option<Duration>,
    /// The bytes, shared.
    pub data: Bytes,
}
