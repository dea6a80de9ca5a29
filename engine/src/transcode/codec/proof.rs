//! Decodes what was encoded, from end to end unless less is asked for, before it counts: every picture must come
//! out, in its place.

use std::thread::JoinHandle;

use crossbeam::channel::{Sender, bounded};
use ff::codec;
use ffmpeg_next as ff;

use super::decoder::{PictureDecoder, Purpose};
use crate::base::{Error, ErrorKind, Result};
use crate::transcode::files::record::{Record, RecordReader};
use crate::transcode::package::ends::Ends;
use crate::transcode::spec::Verify;

/// Packets that wait for a proof on a thread of its own.
const WAITING: usize = 64;
/// What may be wrong, for people.
const NO_KEY: &str = "does not begin with a key frame";
const OTHER_TIMES: &str = "pictures came out at other times";

/// The proof of one rendition of one segment.
pub enum Proof {
    /// When all is encoded, by the thread that encoded it: one picture to and one fro takes 3 % longer, because
    /// encoder and decoder take the caches from each other.
    After(Box<Decoded>),
    /// Beside encoders of several threads, which seldom fill the cores they were given. The thread ends with
    /// the packets, and says what is wrong with them.
    Beside { packets: Sender<Record>, thread: JoinHandle<Result<Decoded>> },
    /// When all is encoded, the beginnings of the first and the last group.
    Ends(Box<Ends>),
    /// Packets are counted, nothing is decoded.
    Counted,
}

/// What has come of the packets so far.
pub struct Decoded {
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
    pub fn open(
        parameters: codec::Parameters,
        base: ff::Rational,
        threads: usize,
        verify: Verify,
    ) -> Result<Proof> {
        match verify {
            Verify::Full => {}
            Verify::Ends => {
                // Whether there is a decoder is told before anything is encoded.
                PictureDecoder::open(parameters.clone(), base, 1, Purpose::Proof)?;
                return Ok(Proof::Ends(Box::new(Ends::new(parameters))));
            }
            Verify::None => return Ok(Proof::Counted),
        }
        // A fourth of what encodes is enough to keep up with it.
        let decoder = PictureDecoder::open(parameters, base, threads.div_ceil(4), Purpose::Proof)?;
        let mut decoded = Decoded::new(decoder);
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
            Proof::Ends(ends) => return of_ends(*ends, &mut file, pictures),
            Proof::Counted => {
                let mut counted = 0;
                while file.next()?.is_some() {
                    counted += 1;
                }
                return Ok(lost(pictures, counted));
            }
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

/// Decodes the beginnings of the first and the last group; what is wrong with them, or with how many there are.
fn of_ends(mut ends: Ends, file: &mut RecordReader, pictures: u64) -> Result<Option<String>> {
    let mut counted = 0;
    while let Some(record) = file.next()? {
        if counted == 0 && !record.key {
            return Ok(Some(NO_KEY.into()));
        }
        counted += 1;
        ends.take(&record.packet());
    }
    let tested = ends.test();
    Ok(if tested.failed > 0 {
        Some(format!("{} of its pictures do not decode", tested.failed))
    } else if tested.astray > 0 {
        Some(OTHER_TIMES.into())
    } else {
        lost(pictures, counted)
    })
}

fn lost(pictures: u64, came: u64) -> Option<String> {
    (pictures != came).then(|| format!("{pictures} pictures went in and {came} came out"))
}

impl Decoded {
    fn new(decoder: PictureDecoder) -> Decoded {
        Decoded { decoder, written: Vec::new(), seen: Vec::new(), begins_with_key: true }
    }

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
            Some(NO_KEY.into())
        } else if damaged > 0 {
            Some(format!("{damaged} of its pictures do not decode"))
        } else if self.written.len() as u64 != pictures || self.written != self.seen {
            lost(pictures, self.seen.len() as u64).or_else(|| Some(OTHER_TIMES.into()))
        } else {
            None
        })
    }
}
