//! libavcodec as jobs use it: decoders and encoders of pictures, what steers them to a rate, and the proof of what
//! they made.

pub mod decoder;
pub mod decoder_ffi;
pub mod encoder;
mod encoder_ffi;
pub mod kind;
pub mod proof;
pub mod rate;
pub mod steering;
