//! A file of coded packets that survives interruptions: exact times, and a sum that tells whether it is
//! whole. A resumed job trusts nothing else.
//!
//! Little-endian: the magic; the codec's extradata behind its length; packets, each behind a 1; a 0, the note of its
//! maker, the number of packets and the SHA-256 of everything before it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ffmpeg_next as ff;
use sha2::{Digest, Sha256};

use crate::base::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"VTRSEG03";
/// No coded picture is larger: a length beyond it is damage.
const MOST: u32 = 1 << 30;

/// Bytes behind the last packet: the end, the note, the number of packets, the sum.
const TAIL: u64 = 1 + 24 + 8 + 32;

/// What the maker of a file wants to know of it later.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Note {
    /// What its pictures took on average, as if made at quality zero; zero where that is not known.
    pub cost: f64,
    /// Pictures of the source that were decoded for it.
    pub decoded: u64,
    /// Packets or pictures of the source that were found damaged.
    pub damaged: u64,
}

/// A packet on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub pts: i64,
    /// For sound; pictures' are set when all are known.
    pub duration: i64,
    pub key: bool,
    pub data: Vec<u8>,
}

impl Record {
    /// Of a packet that has a time.
    pub fn of(packet: &ff::Packet) -> Option<Record> {
        Some(Record {
            pts: packet.pts()?,
            duration: packet.duration(),
            key: packet.is_key(),
            data: packet.data().unwrap_or_default().to_vec(),
        })
    }

    /// As a packet; without decoding time.
    pub fn packet(&self) -> ff::Packet {
        let mut packet = ff::Packet::copy(&self.data);
        packet.set_pts(Some(self.pts));
        packet.set_duration(self.duration);
        if self.key {
            packet.set_flags(ff::codec::packet::Flags::KEY);
        }
        packet
    }
}

/// Writes a file under another name until it is whole. It is not synced: after a power cut the sum tells
/// what the disk has of it, and what it lacks is made again; waiting for the disk after each segment would
/// hold up a core.
pub struct RecordWriter {
    file: BufWriter<File>,
    hidden: PathBuf,
    target: PathBuf,
    sum: Sha256,
    count: u64,
    /// What its maker wants to know of it later: see [`note`].
    pub note: Note,
}

impl RecordWriter {
    pub fn create(target: &Path, extradata: &[u8]) -> Result<RecordWriter> {
        let hidden = target.with_extension("part");
        let file = File::create(&hidden).map_err(|e| disk(target, &e))?;
        let mut writer = RecordWriter {
            file: BufWriter::with_capacity(1 << 18, file),
            hidden,
            target: target.to_owned(),
            sum: Sha256::new(),
            count: 0,
            note: Note::default(),
        };
        writer.put(MAGIC)?;
        writer.put(&(extradata.len() as u32).to_le_bytes())?;
        writer.put(extradata)?;
        Ok(writer)
    }

    pub fn write(&mut self, record: &Record) -> Result<()> {
        let mut head = [0; 22];
        head[0] = 1;
        head[1..9].copy_from_slice(&record.pts.to_le_bytes());
        head[9..17].copy_from_slice(&record.duration.to_le_bytes());
        head[17] = u8::from(record.key);
        head[18..22].copy_from_slice(&(record.data.len() as u32).to_le_bytes());
        self.put(&head)?;
        self.put(&record.data)?;
        self.count += 1;
        Ok(())
    }

    /// The file is whole and takes its name.
    pub fn commit(mut self) -> Result<()> {
        self.end()?;
        std::fs::rename(&self.hidden, &self.target).map_err(|e| disk(&self.target, &e))
    }

    /// The file is whole; it takes its name if `proved` likes what it holds.
    pub fn commit_if(mut self, proved: impl FnOnce(RecordReader) -> Result<()>) -> Result<()> {
        self.end()?;
        proved(RecordReader::open(&self.hidden)?)?;
        std::fs::rename(&self.hidden, &self.target).map_err(|e| disk(&self.target, &e))
    }

    fn end(&mut self) -> Result<()> {
        let Note { cost, decoded, damaged } = self.note;
        self.put(&[0])?;
        self.put(&cost.to_le_bytes())?;
        for number in [decoded, damaged, self.count] {
            self.put(&number.to_le_bytes())?;
        }
        let sum = self.sum.clone().finalize();
        let written = self.file.write_all(&sum).and_then(|()| self.file.flush());
        written.map_err(|e| disk(&self.target, &e))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.sum.update(bytes);
        self.file.write_all(bytes).map_err(|e| disk(&self.target, &e))
    }
}

impl Drop for RecordWriter {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.hidden);
    }
}

/// What a disk that refuses means.
pub fn disk(path: &Path, error: &std::io::Error) -> Error {
    let message = match error.kind() {
        std::io::ErrorKind::StorageFull => "the disk is full; free some space and run this again",
        std::io::ErrorKind::PermissionDenied => "may not be written here; choose another folder",
        _ => "cannot be written",
    };
    Error::new(ErrorKind::Io, path.display().to_string(), message).caused_by(error.to_string())
}

/// A whole file of packets.
pub struct RecordReader {
    file: BufReader<File>,
    path: PathBuf,
    /// The codec's extradata.
    pub extradata: Vec<u8>,
    ended: bool,
}

impl RecordReader {
    /// Opens a file. It does not check the sum: see [`is_whole`].
    pub fn open(path: &Path) -> Result<RecordReader> {
        let fail = |e: std::io::Error| damaged(path).caused_by(e);
        let file = File::open(path).map_err(fail)?;
        let mut file = BufReader::with_capacity(1 << 18, file);
        let mut magic = [0; 8];
        let mut length = [0; 4];
        file.read_exact(&mut magic).map_err(fail)?;
        file.read_exact(&mut length).map_err(fail)?;
        let length = u32::from_le_bytes(length);
        if &magic != MAGIC || length > MOST {
            return Err(damaged(path));
        }
        let mut extradata = vec![0; length as usize];
        file.read_exact(&mut extradata).map_err(fail)?;
        Ok(RecordReader { file, path: path.to_owned(), extradata, ended: false })
    }

    /// The next packet; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Record>> {
        if self.ended {
            return Ok(None);
        }
        let fail = |e: std::io::Error| damaged(&self.path).caused_by(e);
        let mut tag = [0; 1];
        self.file.read_exact(&mut tag).map_err(fail)?;
        if tag[0] == 0 {
            self.ended = true;
            return Ok(None);
        }
        let mut head = [0; 21];
        self.file.read_exact(&mut head).map_err(fail)?;
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&head[at..at + 8]);
            i64::from_le_bytes(bytes)
        };
        let mut length = [0; 4];
        length.copy_from_slice(&head[17..21]);
        let length = u32::from_le_bytes(length);
        if tag[0] != 1 || length > MOST {
            return Err(damaged(&self.path));
        }
        let mut data = vec![0; length as usize];
        self.file.read_exact(&mut data).map_err(fail)?;
        Ok(Some(Record { pts: number(0), duration: number(8), key: head[16] != 0, data }))
    }
}

fn damaged(path: &Path) -> Error {
    let message = "an unfinished job's file is damaged; run again with --fresh";
    Error::new(ErrorKind::Corrupt, path.display().to_string(), message)
}

/// Bytes of all packets of a file that is whole.
pub fn payload(path: &Path) -> Result<u64> {
    let reader = RecordReader::open(path)?;
    let (length, _, packets) = tail(path).map_err(|e| damaged(path).caused_by(e))?;
    // Magic, length and extradata; the head of each packet; what is behind the last.
    let beside = packets
        .checked_mul(22)
        .and_then(|heads| heads.checked_add(12 + reader.extradata.len() as u64 + TAIL));
    beside.and_then(|beside| length.checked_sub(beside)).ok_or_else(|| damaged(path))
}

/// What the maker of a file that is whole wanted to know of it later.
pub fn note(path: &Path) -> Result<Note> {
    Ok(tail(path).map_err(|e| damaged(path).caused_by(e))?.1)
}

/// A file's length, note and number of packets.
fn tail(path: &Path) -> std::io::Result<(u64, Note, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::End(1 - TAIL as i64))?;
    let mut next = || {
        let mut number = [0; 8];
        file.read_exact(&mut number).map(|()| number)
    };
    let cost = f64::from_le_bytes(next()?);
    let [decoded, damaged, count] = [next()?, next()?, next()?].map(u64::from_le_bytes);
    Ok((length, Note { cost, decoded, damaged }, count))
}

/// How many packets a file holds, if it is there and every byte of it is as it was written.
pub fn is_whole(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut sum = Sha256::new();
    let mut left = length.checked_sub(32)?;
    let mut buffer = vec![0; 1 << 18];
    let mut last = [0; 8];
    while left > 0 {
        let take = usize::try_from(left.min(buffer.len() as u64)).ok()?;
        file.read_exact(&mut buffer[..take]).ok()?;
        sum.update(&buffer[..take]);
        if take >= 8 {
            last.copy_from_slice(&buffer[take - 8..take]);
        } else {
            last.rotate_left(take);
            last[8 - take..].copy_from_slice(&buffer[..take]);
        }
        left -= take as u64;
    }
    let mut stated = [0; 32];
    file.read_exact(&mut stated).ok()?;
    (sum.finalize().as_slice() == stated).then(|| u64::from_le_bytes(last))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOTE: Note = Note { cost: 0.75, decoded: 20, damaged: 3 };

    fn written(folder: &Path, count: u8) -> PathBuf {
        let path = folder.join("0.seg");
        let mut writer = RecordWriter::create(&path, b"sps").unwrap();
        for n in 0..count {
            let record =
                Record { pts: n.into(), duration: 1, key: n == 0, data: vec![n; usize::from(n) * 9] };
            writer.write(&record).unwrap();
        }
        writer.note = NOTE;
        assert!(!path.exists(), "not before it is whole");
        writer.commit().unwrap();
        path
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), 20);
        assert_eq!(is_whole(&path), Some(20));
        assert_eq!(payload(&path).unwrap(), (0..20).map(|n| n * 9).sum::<u64>());
        assert_eq!(note(&path).unwrap(), NOTE);
        let mut reader = RecordReader::open(&path).unwrap();
        assert_eq!(reader.extradata, b"sps");
        for n in 0..20u8 {
            let record = reader.next().unwrap().unwrap();
            assert_eq!((record.pts, record.key, record.data.len()), (n.into(), n == 0, usize::from(n) * 9));
        }
        assert_eq!((reader.next().unwrap(), reader.next().unwrap()), (None, None));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing beside it");
    }

    #[test]
    fn a_changed_or_cut_file_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), 6);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(is_whole(&path), None, "byte {at}");
        }
        for length in 0..good.len() {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(is_whole(&path), None, "{length} bytes");
            if let Ok(mut reader) = RecordReader::open(&path) {
                while let Ok(Some(_)) = reader.next() {}
            }
        }
    }

    #[test]
    fn an_abandoned_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RecordWriter::create(&folder.path().join("1.seg"), &[]).unwrap();
        writer.write(&Record { pts: 0, duration: 0, key: true, data: vec![1] }).unwrap();
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
