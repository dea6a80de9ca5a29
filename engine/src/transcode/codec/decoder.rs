//! libavcodec's decoders as jobs use them: whatever codec comes, every picture, in presentation order.

use parking_lot::Mutex;

use ff::codec::{self, threading};
use ffmpeg_next as ff;

use super::decoder_ffi;
use crate::base::{Error, ErrorKind, Result};

/// Most pixels of a picture: 16K by 16K. A header may say anything.
const MOST_PIXELS: u32 = 1 << 28;

/// A stream's codec parameters, shared between threads.
pub struct SharedParameters(Mutex<codec::Parameters>);

impl SharedParameters {
    /// Keeps a copy.
    pub fn new(parameters: &codec::Parameters) -> SharedParameters {
        SharedParameters(Mutex::new(parameters.clone()))
    }

    /// A copy.
    pub fn get(&self) -> codec::Parameters {
        self.0.lock().clone()
    }
}

/// What a decoder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Its pictures are shown.
    Pictures,
    /// Only whether and when pictures come matters: the loop filter, which can find nothing wrong, is
    /// left out.
    Proof,
}

/// A decoder that is fed packet by packet.
pub struct PictureDecoder {
    context: ff::decoder::Video,
    /// Packets that it refused, and pictures that it knows to be damaged, of the time that counts.
    pub damaged: u64,
    counts: std::ops::Range<i64>,
}

impl PictureDecoder {
    /// Opens a decoder for a stream; times are in `time_base`.
    ///
    /// # Errors
    /// `Missing` where libavcodec has none for this codec.
    pub fn open(
        parameters: codec::Parameters,
        time_base: ff::Rational,
        threads: usize,
        purpose: Purpose,
    ) -> Result<PictureDecoder> {
        let name = parameters.id().name();
        let missing = |message: &'static str| Error::new(ErrorKind::Missing, name, message);
        let decoder = codec::decoder::find(parameters.id())
            .ok_or_else(|| missing("libavcodec has no decoder for it; install the full libavcodec"))?;
        let mut context = codec::Context::new_with_codec(decoder);
        context.set_parameters(parameters).map_err(|e| missing("has damaged parameters").caused_by(e))?;
        let kind = if threads > 1 { threading::Type::Frame } else { threading::Type::None };
        context.set_threading(threading::Config { count: threads, ..threading::Config::kind(kind) });
        // Makes H.264 wait for as many pictures as the level allows where the stream is silent.
        context.compliance(codec::Compliance::Strict);
        let mut context = context.decoder();
        context.set_packet_time_base(time_base);
        let mut options = ff::Dictionary::new();
        options.set("max_pixels", &MOST_PIXELS.to_string());
        let mut context = context
            .open_as_with(decoder, options)
            .and_then(ff::decoder::Opened::video)
            .map_err(|e| missing("libavcodec does not open its decoder").caused_by(e))?;
        if purpose == Purpose::Proof {
            context.skip_loop_filter(ff::Discard::All);
        }
        Ok(PictureDecoder { context, damaged: 0, counts: i64::MIN..i64::MAX })
    }

    /// Whether pictures are handed on that lack what came before the first of them; they count as damaged.
    pub fn show_unrefreshed(&mut self, show: bool) {
        if show {
            self.context.set_flags(codec::Flags::OUTPUT_CORRUPT);
        }
    }

    /// Counts damage only of what is shown in this time, or has no time: what lies before a segment, and is decoded for
    /// its sake, belongs to another.
    pub fn counts_in(&mut self, time: std::ops::Range<i64>) {
        self.counts = time;
    }

    /// Takes a packet, or the end (`None`), and hands on the pictures that come of it, which have their
    /// times. False where `sink` wants no more.
    pub fn push(
        &mut self,
        packet: Option<&ff::Packet>,
        sink: &mut dyn FnMut(ff::frame::Video) -> Result<bool>,
    ) -> Result<bool> {
        let sent = match packet {
            Some(packet) => self.context.send_packet(packet),
            None => self.context.send_eof(),
        };
        let counts = |pts: Option<i64>| pts.is_none_or(|pts| self.counts.contains(&pts));
        let in_time = counts(packet.and_then(ff::Packet::pts));
        self.damaged += u64::from(sent.is_err() && packet.is_some() && in_time);
        loop {
            let mut frame = ff::frame::Video::empty();
            match self.context.receive_frame(&mut frame) {
                // Most decoders keep it to themselves; those that hand it on say so.
                Ok(()) if decoder_ffi::is_hidden(&frame) => {}
                Ok(()) => {
                    if frame.pts().is_none() {
                        let guessed = frame.timestamp();
                        frame.set_pts(guessed);
                    }
                    let damaged = frame.is_corrupt() || frame.has_decode_errors();
                    self.damaged += u64::from(damaged && counts(frame.pts()));
                    if !sink(frame)? {
                        return Ok(false);
                    }
                }
                Err(ff::Error::Other { errno }) if errno == libc::EAGAIN => return Ok(true),
                Err(ff::Error::Eof) => return Ok(true),
                // What cannot be decoded is counted, and decoding goes on behind it.
                Err(_) if packet.is_some() => {
                    self.damaged += u64::from(in_time);
                    return Ok(true);
                }
                Err(_) => self.damaged += 1,
            }
        }
    }
}
