//! Decodes what was encoded, from end to end unless less is asked for, before it counts: every picture must come
//! out, in its place.

use std::thread::JoinHandle;

use crossbeam::channel::{Sender, bounded};
use ff::codec;
use ffmpeg_next as ff;

use super::decoder::{PictureDecoder, Purpose};
use super::record::{Record, RecordReader};
use super::spec::Verify;
use crate::base::{Error, ErrorKind, Result};

/// Packets that wait for a proof on a thread of its own.
const WAITING: usize = 64;
/// Pictures of a group that are decoded where not all are.
const BEGINNING: usize = 16;

/// The proof of one rendition of one segment.
pub(super) enum Proof {
    /// When all is encoded, by the thread that encoded it: one picture to and one fro takes 3 % longer, because
    /// encoder and decoder take the caches from each other.
    After(Box<Decoded>),
    /// Beside encoders of several threads, which seldom fill the cores they were given. The thread ends with
    /// the packets, and says what is wrong with them.
    Beside { packets: Sender<Record>, thread: JoinHandle<Result<Decoded>> },
    /// When all is encoded, the beginnings of the first and the last group.
    Ends { parameters: codec::Parameters, base: ff::Rational },
    /// Packets are counted, nothing is decoded.
    Counted,
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
    pub fn open(
        parameters: codec::Parameters,
        base: ff::Rational,
        threads: usize,
        verify: Verify,
    ) -> Result<Proof> {
        match verify {
            Verify::Full => {}
            Verify::Ends => return Ok(Proof::Ends { parameters, base }),
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
            Proof::Ends { parameters, base } => return ends(&mut file, &parameters, base, pictures),
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
fn ends(
    file: &mut RecordReader,
    parameters: &codec::Parameters,
    base: ff::Rational,
    pictures: u64,
) -> Result<Option<String>> {
    let (mut first, mut last): (Vec<Record>, Vec<Record>) = (Vec::new(), Vec::new());
    let mut counted = 0;
    let mut groups = 0;
    while let Some(record) = file.next()? {
        counted += 1;
        if record.key {
            groups += 1;
            last.clear();
        }
        let group = if groups <= 1 { &mut first } else { &mut last };
        if group.len() < BEGINNING {
            group.push(record);
        }
    }
    for group in [first, last] {
        let mut decoded = Decoded::new(PictureDecoder::open(parameters.clone(), base, 1, Purpose::Proof)?);
        for record in &group {
            decoded.push(record)?;
        }
        if let Some(wrong) = decoded.end(group.len() as u64)? {
            return Ok(Some(wrong));
        }
    }
    Ok(lost(pictures, counted))
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
            Some("does not begin with a key frame".into())
        } else if damaged > 0 {
            Some(format!("{damaged} of its pictures do not decode"))
        } else if self.written.len() as u64 != pictures || self.written != self.seen {
            lost(pictures, self.seen.len() as u64).or_else(|| Some("pictures came out at other times".into()))
        } else {
            None
        })
    }
}
