//! What a worker lends to the inputs whose turn it has.

use bytes::Bytes;

use crate::base::Result;
use crate::decode::{DecoderRequest, LibavDecoder};
use crate::fit::Scratch;
use crate::media::Codec;

/// Working memory of one worker.
#[derive(Default)]
pub(super) struct Tools {
    pub scratch: Scratch,
    pub alone: Lent,
}

/// Decoders for pictures that stand alone, one a codec. A context of 1080p takes some 11 MiB, most of
/// which costs a page fault at its first picture: that is a seventh of decoding five key frames.
#[derive(Default)]
pub(super) struct Lent(Vec<(Codec, LibavDecoder)>);

impl Lent {
    /// The decoder for such a stream; it was drained after the picture before.
    pub fn get(&mut self, request: &DecoderRequest) -> Result<&mut LibavDecoder> {
        let index = match self.0.iter().position(|(codec, _)| *codec == request.codec) {
            Some(index) => index,
            None => {
                // What it decodes brings its own parameter sets.
                let request = DecoderRequest { extradata: Bytes::new(), ..request.clone() };
                self.0.push((request.codec, LibavDecoder::open(&request)?));
                self.0.len() - 1
            }
        };
        Ok(&mut self.0[index].1)
    }
}
