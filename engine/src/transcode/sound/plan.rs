//! What becomes of a job's sound, and why. Pure.

use ffmpeg_next as ff;

use crate::base::{Error, ErrorKind, Result};
use crate::transcode::package::Container;
use crate::transcode::package::package_ffi::{Facts, facts, muxer_holds};
use crate::transcode::spec::{AudioSpec, Target};

/// Sample rates of AAC (ISO/IEC 14496-3 table 1.18) that libavcodec encodes.
const AAC_RATES: [u32; 13] =
    [7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000];
/// Bits of an AAC frame of 1024 samples for each channel, at most (ISO/IEC 14496-3).
const AAC_FRAME_BITS: u64 = 6144;

/// What is done to the sound, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundPlan {
    /// What is done.
    pub action: SoundAction,
    /// Why, for people.
    pub reason: String,
}

/// Sound whose rate or channels change on the way: a container says them once.
const CHANGES: &str = "its rate or channels change on the way";

/// What is done to the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundAction {
    /// There is none in the target.
    Drop,
    /// Packets go over as they are.
    Copy,
    /// Encoded as AAC low complexity.
    Aac {
        /// Kilobits a second.
        kbps: u32,
        /// Samples a second.
        rate: u32,
        /// Channels.
        channels: u32,
    },
}

impl SoundPlan {
    /// Decides from what is asked for, what the source has (`None`: no sound) and what the target
    /// holds.
    ///
    /// # Errors
    /// `Config` where a copy is asked for that the target cannot hold, or its ending is unknown.
    pub fn decide(
        spec: AudioSpec,
        source: Option<&ff::codec::Parameters>,
        target: &Target,
    ) -> Result<SoundPlan> {
        let container = Container::of(target)?;
        let plan = |action, reason: String| Ok(SoundPlan { action, reason });
        if spec == AudioSpec::Drop {
            return plan(SoundAction::Drop, "left out as asked".to_owned());
        }
        let Some(source) = source else {
            return plan(SoundAction::Drop, "the source has no sound".to_owned());
        };
        let name = source.id().name();
        let known = facts(source);
        // A ladder's muxer takes AAC with its configuration apart; in a transport stream each frame has it.
        let apart = source.id() != ff::codec::Id::AAC || !known.extradata.is_empty();
        let fits = holds(container, source.id()) && known.sample_rate > 0 && known.channels > 0;
        let fits = fits && (container != Container::Hls || apart);
        match spec {
            AudioSpec::Aac(kbps) => plan(aac(&known, Some(kbps)), "AAC as asked".to_owned()),
            AudioSpec::Auto | AudioSpec::Copy if fits => {
                plan(SoundAction::Copy, format!("the target holds {name} as it is"))
            }
            AudioSpec::Copy => {
                let message = format!("cannot hold {name} sound; choose AAC, another ending, or no sound");
                Err(Error::new(ErrorKind::Config, target.path().display().to_string(), message))
            }
            _ => plan(aac(&known, None), format!("the target does not hold {name}")),
        }
    }

    /// The plan for sound that changes its kind on the way: it cannot be copied.
    ///
    /// # Errors
    /// `Config` where a copy is asked for. `input` is what the error names.
    pub fn of_changing(
        self,
        spec: AudioSpec,
        source: &ff::codec::Parameters,
        input: &std::path::Path,
    ) -> Result<SoundPlan> {
        match (self.action, spec) {
            (SoundAction::Copy, AudioSpec::Copy) => {
                let message = format!("its sound cannot be copied: {CHANGES}; choose AAC, or no sound");
                Err(Error::new(ErrorKind::Config, input.display().to_string(), message))
            }
            (SoundAction::Copy, _) => {
                Ok(SoundPlan { action: aac(&facts(source), None), reason: CHANGES.to_owned() })
            }
            _ => Ok(self),
        }
    }
}

/// Whether a container takes a codec as it is.
fn holds(container: Container, codec: ff::codec::Id) -> bool {
    use ff::codec::Id;
    let pcm = matches!(
        codec,
        Id::PCM_S16LE
            | Id::PCM_S16BE
            | Id::PCM_S24LE
            | Id::PCM_S24BE
            | Id::PCM_S32LE
            | Id::PCM_S32BE
            | Id::PCM_F32LE
            | Id::PCM_ALAW
            | Id::PCM_MULAW
    );
    match container {
        Container::Mp4 => {
            matches!(codec, Id::AAC | Id::MP3 | Id::AC3 | Id::EAC3 | Id::OPUS | Id::ALAC | Id::FLAC)
        }
        Container::Mov => pcm || matches!(codec, Id::AAC | Id::MP3 | Id::AC3 | Id::EAC3 | Id::ALAC),
        Container::Mkv => codec != Id::None && muxer_holds(c"matroska", codec),
        Container::Ts => matches!(codec, Id::AAC | Id::MP3 | Id::MP2 | Id::AC3 | Id::OPUS),
        Container::Hls => matches!(codec, Id::AAC | Id::MP3 | Id::AC3),
    }
}

/// AAC for such a source: the next rate that AAC has, and as many channels unless there is no usual
/// arrangement of so many.
fn aac(known: &Facts, kbps: Option<u32>) -> SoundAction {
    let rate = match known.sample_rate {
        0 => 48000,
        rate => AAC_RATES.into_iter().find(|aac| *aac >= rate).unwrap_or(96000),
    };
    let channels = match known.channels {
        channels @ (1..=6 | 8) => channels,
        _ => 2,
    };
    let usual = channels * if rate >= 32000 { 64 } else { 32 };
    let most = AAC_FRAME_BITS * u64::from(rate) / 1024 * u64::from(channels) / 1000;
    let kbps = kbps.unwrap_or(usual).clamp(8, u32::try_from(most).unwrap_or(u32::MAX).max(8));
    SoundAction::Aac { kbps, rate, channels }
}
