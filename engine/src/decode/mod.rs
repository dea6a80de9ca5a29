//! Turns access units into frames, for thousands of cameras on as many threads as there are cores.

mod camera;
mod convert;
mod decoder;
mod hardware;
mod libav;
mod planes;
mod pool;
mod queue;
mod status;
#[cfg(test)]
mod tests;
mod units;

use crate::base::Error;
use crate::media::Frame;

pub use decoder::{Decoder, DecoderFactory, DecoderRequest, Order, Origin, Picture, PictureSink};
pub use hardware::{GstDecoder, HARDWARE_ELEMENTS, HardwareFactory};
pub use libav::{LibavDecoder, LibavFactory};
pub use pool::{DecodeHandle, DecodePool, PoolConfig};
pub use status::DecodeStatus;

/// Takes the frames of one camera, on the decode worker that made them, in presentation order.
pub trait FrameConsumer: Send {
    /// The next frame.
    fn frame(&mut self, frame: &Frame);
    /// The stream cannot be decoded (codec, profile, chroma format, damage). Called when that
    /// begins and when the reason changes, not per picture; the next frame ends it.
    fn failed(&mut self, error: &Error);
}

/// How much decoding a camera deserves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Nothing is decoded; the newest random-access unit is kept compressed.
    Standby,
    /// Random-access units only.
    KeyFrames,
    /// Every picture.
    #[default]
    Full,
}
