//! Decodes what was encoded, from end to end, before it counts: every picture must come out, in its place.

use std::thread::JoinHandle;

use crossbeam::channel::{Sender, bounded};
use ff::codec;
use ffmpeg_next as ff;

use super::decoder::{PictureDecoder, Purpose};
use super::record::{Record, RecordReader};
use crate::base::{Error, ErrorKind, Result};

/// Packets that wait for a proof on a thread of its own.
const WAITING: usize = 64;

/// The proof of one rendition of one segment.
pub(super) enum Proof {
    /// When all is encoded, by the thread that encoded it: one picture to and one fro takes 3 % longer, because
    /// encoder and decoder take the caches from each other.
    After(Box<Decoded>),
    /// Beside encoders of several threads, which seldom fill the cores they were given. The thread ends with
    /// the packets, and says what is wrong with them.
    Beside { packets: Sender<Record>, thread: JoinHandle<Result<Decoded>> },
}

/// What has come of the packets so far.
pub(super) struct Decoded {
    decoder: PictureDecoder,
    written: Vec<i64>,
    seen: Vec<i64>,
    begins_with_key: bool,
}

impl Proof {
    /// For packets of a stream whose times are in `base`, made by encoders of so many threads.
    ///
    /// # Errors
    /// `Missing` where libavcodec has no decoder for them.
    pub fn open(parameters: codec::Parameters, base: ff::Rational, threads: usize) -> Result<Proof> {
        // A fourth of what encodes is enough to keep up with it.
        let decoder = PictureDecoder::open(parameters, base, threads.div_ceil(4), Purpose::Proof)?;
        let mut decoded = Decoded { decoder, written: Vec::new(), seen: Vec::new(), begins_with_key: true };
        if threads <= 1 {
            return Ok(Proof::After(Box::new(decoded)));
        }
        let (packets, waiting) = bounded::<Record>(WAITING);
        let thread = std::thread::Builder::new().name("proof".into()).spawn(move || {
            for record in waiting {
                decoded.push(&record)?;
            }
            Ok(decoded)
        });
        let thread = thread
            .map_err(|e| Error::new(ErrorKind::Internal, "proof", "no thread can be started").caused_by(e))?;
        Ok(Proof::Beside { packets, thread })
    }

    /// Takes note of the next packet, in the order of coding.
    pub fn note(&mut self, record: Record) {
        if let Proof::Beside { packets, .. } = self {
            // A thread that is over has its reason, which `end` tells.
            let _ = packets.send(record);
        }
    }

    /// Says what is wrong with what `pictures` became, if anything is; `file` holds the packets.
    pub fn end(self, mut file: RecordReader, pictures: u64) -> Result<Option<String>> {
        let decoded = match self {
            Proof::After(mut decoded) => {
                while let Some(record) = file.next()? {
                    decoded.push(&record)?;
                }
                *decoded
            }
            Proof::Beside { packets, thread } => {
                drop(packets);
                thread.join().unwrap_or_else(|_| {
                    Err(Error::new(ErrorKind::Internal, "proof", "broke a part of the program; report it"))
                })?
            }
        };
        decoded.end(pictures)
    }
}

impl Decoded {
    fn push(&mut self, record: &Record) -> Result<()> {
        self.begins_with_key &= record.key || !self.written.is_empty();
        self.written.push(record.pts);
        self.decode(Some(&record.packet()))
    }

    fn decode(&mut self, packet: Option<&ff::Packet>) -> Result<()> {
        let seen = &mut self.seen;
        self.decoder.push(packet, &mut |frame| {
            seen.extend(frame.pts());
            Ok(true)
        })?;
        Ok(())
    }

    fn end(mut self, pictures: u64) -> Result<Option<String>> {
        self.decode(None)?;
        self.written.sort_unstable();
        let damaged = self.decoder.damaged;
        Ok(if !self.begins_with_key {
            Some("does not begin with a key frame".into())
        } else if damaged > 0 {
            Some(format!("{damaged} of its pictures do not decode"))
        } else if self.written.len() as u64 != pictures || self.written != self.seen {
            Some(format!("{pictures} pictures went in and {} came out", self.seen.len()))
        } else {
            None
        })
    }
}
