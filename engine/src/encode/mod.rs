//! Compresses pictures with GStreamer's encoders: a screen's at low latency, a job's without loss.

pub mod element;
pub mod nal;
pub mod offline;
pub mod picture;
pub mod probe;
mod run;
pub mod screen;
#[cfg(test)]
pub(crate) mod tests;

use serde::{Deserialize, Serialize};

use crate::media::{AccessUnit, Codec, Ratio};

pub use offline::OfflineEncoder;
pub use probe::{Working, working};
pub use screen::{EncodeStatus, ScreenEncoder};

/// Takes what an encoder gives. Returns at once (invariant 1).
pub trait EncodedSink: Send + Sync {
    /// The next access unit, in decoding order (which is display order: no B-pictures). The first
    /// one is random access and carries its parameter sets (invariant 6).
    fn unit(&self, unit: &AccessUnit);
}

/// How a screen is compressed.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// H.264 or H.265.
    pub codec: Codec,
    /// Which encoder.
    pub choice: EncoderChoice,
    /// Picture width, even.
    pub width: u32,
    /// Picture height, even.
    pub height: u32,
    /// Pictures per second.
    pub frame_rate: Ratio,
    /// Speed against quality, in x264's words; mapped for other encoders.
    pub preset: String,
    /// A faster preset that is used instead for now, of those that [`element::faster`] names: the stream keeps
    /// its parameter sets, so that viewers and recordings go on.
    pub instead: Option<&'static str>,
    /// How many bits.
    pub rate: Rate,
    /// Pictures from one regular key frame to the next.
    pub gop: u32,
}

/// Bits, or quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rate {
    /// Kilobits per second.
    Kbps(u32),
    /// Constant quality, 0 to 51, on the scale of x264's and x265's rate factor; on live walls x264 and hardware
    /// get the constant quantiser that comes nearest.
    Crf(u8),
}

/// Which encoder to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderChoice {
    /// The first that a probe finds working: NVENC, VA, QSV, then software.
    Auto,
    /// x264 or x265.
    #[default]
    Software,
    /// NVIDIA.
    Nvenc,
    /// VA-API.
    Va,
    /// Intel Quick Sync.
    Qsv,
}
