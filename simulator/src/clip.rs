//! An encoded loop in memory, and its file in the cache.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use vitrail_engine::media::{Codec, Ratio};
use vitrail_engine::{Error, ErrorKind, Result};

/// One picture: its NAL units without start codes, parameter sets left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coded {
    /// Slices (and SEI, where the encoder writes any), in order.
    pub nals: Vec<Bytes>,
    /// An IDR picture.
    pub key: bool,
}

/// An encoded loop: starts with an IDR picture, no B-frames, closed GOPs of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// H.264 or H.265.
    pub codec: Codec,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures a second.
    pub rate: Ratio,
    /// Parameter sets: SPS, PPS, or VPS, SPS, PPS.
    pub sets: Vec<Bytes>,
    /// The pictures, in decoding and display order.
    pub frames: Vec<Coded>,
}

/// The kind of a NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nal {
    ParameterSet,
    KeySlice,
    Slice,
    Delimiter,
    Other,
}

pub(crate) fn classify(codec: Codec, nal: &[u8]) -> Nal {
    let Some(&first) = nal.first() else { return Nal::Other };
    if codec == Codec::H264 {
        return match first & 0x1f {
            7 | 8 => Nal::ParameterSet,
            5 => Nal::KeySlice,
            1 => Nal::Slice,
            9 => Nal::Delimiter,
            _ => Nal::Other,
        };
    }
    match first >> 1 & 0x3f {
        32..=34 => Nal::ParameterSet,
        16..=21 => Nal::KeySlice,
        0..=9 => Nal::Slice,
        35 => Nal::Delimiter,
        _ => Nal::Other,
    }
}

/// Splits Annex B at its start codes; the trailing zero bytes of a unit are not part of it.
pub(crate) fn split_annex_b(data: &Bytes) -> Vec<Bytes> {
    let mut starts = Vec::new();
    let mut i = 0;
    while i + 3 <= data.len() {
        if data[i..i + 3] == [0, 0, 1] {
            starts.push(i + 3);
            i += 3;
        } else {
            i += 1;
        }
    }
    let mut nals = Vec::with_capacity(starts.len());
    for (n, &from) in starts.iter().enumerate() {
        let mut to = starts.get(n + 1).map_or(data.len(), |next| next - 3);
        while to > from && data[to - 1] == 0 {
            to -= 1;
        }
        if to > from {
            nals.push(data.slice(from..to));
        }
    }
    nals
}

impl Clip {
    /// A clip of these access units in Annex B, which have `sets` unless they bring their own.
    pub(crate) fn from_units(
        codec: Codec,
        (width, height): (u32, u32),
        rate: Ratio,
        sets: &[Bytes],
        units: impl IntoIterator<Item = Bytes>,
    ) -> Option<Clip> {
        let mut clip = Clip { codec, width, height, rate, sets: sets.to_vec(), frames: Vec::new() };
        for unit in units {
            let mut frame = Coded { nals: Vec::new(), key: false };
            for nal in split_annex_b(&unit) {
                match classify(codec, &nal) {
                    Nal::ParameterSet if !clip.sets.contains(&nal) => clip.sets.push(nal),
                    Nal::ParameterSet | Nal::Delimiter | Nal::Other => {}
                    Nal::KeySlice => {
                        frame.key = true;
                        frame.nals.push(nal);
                    }
                    Nal::Slice => frame.nals.push(nal),
                }
            }
            if !frame.nals.is_empty() {
                clip.frames.push(frame);
            }
        }
        let whole = clip.sets.len() == if codec == Codec::H264 { 2 } else { 3 };
        (whole && clip.frames.first().is_some_and(|f| f.key)).then_some(clip)
    }

    /// Picture `index` in Annex B, with parameter sets in front of an IDR picture.
    pub fn annex_b(&self, index: usize) -> Vec<u8> {
        let frame = &self.frames[index % self.frames.len()];
        let sets = if frame.key { self.sets.as_slice() } else { &[] };
        let mut out = Vec::new();
        for nal in sets.iter().chain(&frame.nals) {
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(nal);
        }
        out
    }

    /// Bytes of all pictures.
    pub fn len_bytes(&self) -> usize {
        self.frames.iter().flat_map(|f| &f.nals).map(Bytes::len).sum()
    }
}

/// The first line of a cache file; the access units in Annex B follow.
#[derive(Serialize, Deserialize)]
struct Header {
    codec: Codec,
    width: u32,
    height: u32,
    rate: Ratio,
    units: Vec<usize>,
}

/// A folder of encoded clips, named after everything that shaped them.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(crate) fn open(folder: &Path) -> Result<Cache> {
        std::fs::create_dir_all(folder).map_err(|e| {
            Error::new(ErrorKind::Io, folder.display().to_string(), "cannot be made; choose another --cache")
                .caused_by(e)
        })?;
        Ok(Cache { folder: folder.to_owned() })
    }

    fn path(&self, key: &str) -> PathBuf {
        use md5::Digest;
        let name: String = md5::Md5::digest(key.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
        self.folder.join(format!("{name}.clip"))
    }

    /// The clip of this key; `None` where there is none, or a damaged file.
    pub(crate) fn get(&self, key: &str) -> Option<Clip> {
        std::fs::read(self.path(key)).ok().and_then(|data| decode(data.into()))
    }

    /// Keeps a clip; a full disk costs the next start its time and nothing else.
    pub(crate) fn keep(&self, key: &str, clip: &Clip) {
        let path = self.path(key);
        if let Err(error) = self.write(&path, clip) {
            tracing::warn!(file = %path.display(), %error, "the clip is not cached");
        }
    }

    /// Written beside and renamed, so that nobody sees half a file.
    fn write(&self, path: &Path, clip: &Clip) -> std::io::Result<()> {
        let unique = (std::process::id(), rand::random::<u64>());
        let beside = path.with_extension(format!("{}-{:x}.part", unique.0, unique.1));
        std::fs::write(&beside, encode(clip)?)?;
        std::fs::rename(&beside, path).inspect_err(|_| {
            let _ = std::fs::remove_file(&beside);
        })
    }
}

fn encode(clip: &Clip) -> std::io::Result<Vec<u8>> {
    let units: Vec<Vec<u8>> = (0..clip.frames.len()).map(|i| clip.annex_b(i)).collect();
    let header = Header {
        codec: clip.codec,
        width: clip.width,
        height: clip.height,
        rate: clip.rate,
        units: units.iter().map(Vec::len).collect(),
    };
    let mut out = serde_json::to_vec(&header)?;
    out.push(b'\n');
    out.extend(units.into_iter().flatten());
    Ok(out)
}

fn decode(data: Bytes) -> Option<Clip> {
    let end = data.iter().position(|&b| b == b'\n')?;
    let header: Header = serde_json::from_slice(&data[..end]).ok()?;
    let mut body = data.slice(end + 1..);
    if header.units.iter().sum::<usize>() != body.len() {
        return None;
    }
    let units: Vec<Bytes> = header.units.iter().map(|&len| body.split_to(len)).collect();
    Clip::from_units(header.codec, (header.width, header.height), header.rate, &[], units)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn clip() -> Clip {
        let unit = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let key = unit(&[0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 9, 9, 0, 0, 1, 0x65, 8]);
        let next = unit(&[0, 0, 0, 1, 0x41, 7, 7]);
        let rate = Ratio::new(25, 2).unwrap();
        Clip::from_units(Codec::H264, (64, 36), rate, &[], [key, next]).unwrap()
    }

    #[test]
    fn units_become_pictures() {
        let clip = clip();
        assert_eq!(clip.sets, [Bytes::from_static(&[0x67, 1, 2]), Bytes::from_static(&[0x68, 3])]);
        assert_eq!(clip.frames.len(), 2);
        assert_eq!(clip.frames[0].nals.len(), 2);
        assert!(clip.frames[0].key && !clip.frames[1].key);
    }

    #[test]
    fn cache_returns_what_was_kept_and_no_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        assert_eq!(cache.get("a"), None);
        cache.keep("a", &clip());
        assert_eq!(cache.get("a"), Some(clip()));
        assert_eq!(cache.get("b"), None);
        let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let short = std::fs::read(&file).unwrap();
        std::fs::write(&file, &short[..short.len() - 1]).unwrap();
        assert_eq!(cache.get("a"), None);
        cache.keep("a", &clip());
        assert_eq!(cache.get("a"), Some(clip()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
