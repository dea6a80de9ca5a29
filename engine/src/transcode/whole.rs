//! Whether a file holds all that its container's outermost boxes say, and how many chunks an AVI has. Files
//! are looked at where libavformat says nothing: it reads what is there and is content.

use std::fs::File;
use std::io::{BufReader, Read, Result, Seek, SeekFrom};
use std::path::Path;

/// Outermost boxes of a file, at most: fragments of a second, for two weeks.
const MOST_BOXES: usize = 4_000_000;
/// Bytes of an entry of `idx1`: name, flags, place, size.
const ENTRY: usize = 16;

/// What one of a container's outermost boxes lacks, for people; `format` is libavformat's first name for it.
/// `None` where the boxes are whole, or say nothing of how long they are.
///
/// # Errors
/// What reading the file says.
pub(super) fn lacks(path: &Path, format: &str) -> Result<Option<String>> {
    let mut file = BufReader::new(File::open(path)?);
    let length = file.get_ref().metadata()?.len();
    match format {
        "mov" => mp4(&mut file, length),
        "matroska" => matroska(&mut file, length),
        "avi" => avi(&mut file, length),
        _ => Ok(None),
    }
}

/// ISO/IEC 14496-12, section 4.2. That a `mdat` is longer than the file says nothing yet: the index tells which
/// pictures lie in it.
fn mp4(file: &mut (impl Read + Seek), length: u64) -> Result<Option<String>> {
    let mut at = 0;
    for _ in 0..MOST_BOXES {
        let left = length.saturating_sub(at);
        let mut head = [0; 8];
        if left < 8 {
            let filled = file.read(&mut head)?;
            let padding = head[..filled].iter().all(|byte| *byte == 0);
            return Ok((!padding).then(|| "it ends within the head of a box".into()));
        }
        file.read_exact(&mut head)?;
        let mut size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let name = &head[4..8];
        if !name.iter().all(u8::is_ascii_graphic) {
            return Ok(None);
        }
        match size {
            // To the end of the file.
            0 => return Ok(None),
            1 if left < 16 => return Ok(Some("it ends within the head of a box".into())),
            1 => {
                let mut long = [0; 8];
                file.read_exact(&mut long)?;
                size = u64::from_be_bytes(long);
            }
            _ => {}
        }
        if size < 8 {
            return Ok(None);
        }
        if size > left {
            return Ok((matches!(name, b"moof" | b"moov")).then(|| {
                let name = String::from_utf8_lossy(name);
                format!("its last box, {name}, says it has {size} bytes and has {left}")
            }));
        }
        at = at.saturating_add(size);
        file.seek(SeekFrom::Start(at))?;
    }
    Ok(None)
}

/// RFC 8794 and RFC 9559: the EBML head, then the segment with everything in it. One that was written as it
/// came says no size; its clusters do.
fn matroska(file: &mut (impl Read + Seek), length: u64) -> Result<Option<String>> {
    const SEGMENT: u64 = 0x1853_8067;
    let mut at = 0;
    for _ in 0..MOST_BOXES {
        let short = || Ok(Some("it ends within the head of an element".into()));
        let (name, id) = match element(file, false)? {
            Element::Number(name, id) => (name, id),
            Element::Part => return short(),
            Element::End | Element::Odd => return Ok(None),
        };
        let (size, bytes) = match element(file, true)? {
            Element::Number(size, bytes) => (size, bytes),
            Element::Part | Element::End => return short(),
            Element::Odd => return Ok(None),
        };
        let unknown = size == (1 << (7 * bytes)) - 1;
        let begin = at + id + bytes;
        if !unknown && begin.saturating_add(size) > length {
            let left = length.saturating_sub(begin);
            return Ok(Some(format!("a part of it says it has {size} bytes and has {left}")));
        }
        // What has no size of its own ends with what it holds, which is looked at instead; so is a whole segment
        // taken for what it says.
        at = if unknown { begin } else { begin + size };
        if name == SEGMENT && !unknown {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(at))?;
    }
    Ok(None)
}

/// What comes next in a file of EBML.
enum Element {
    /// A number, and how many bytes it has.
    Number(u64, u64),
    /// A part of a number, and the end of the file.
    Part,
    End,
    /// Not EBML.
    Odd,
}

/// The next number; `plain` without the bit that tells its length.
fn element(file: &mut impl Read, plain: bool) -> Result<Element> {
    let mut bytes = [0; 8];
    if file.read(&mut bytes[..1])? == 0 {
        return Ok(Element::End);
    }
    let more = bytes[0].leading_zeros() as usize;
    if more > 7 {
        return Ok(Element::Odd);
    }
    if let Err(error) = file.read_exact(&mut bytes[1..=more]) {
        return if error.kind() == std::io::ErrorKind::UnexpectedEof {
            Ok(Element::Part)
        } else {
            Err(error)
        };
    }
    let number = bytes[..=more].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let marker = 1 << (7 * (more as u64 + 1));
    Ok(Element::Number(if plain { number & !marker } else { number }, more as u64 + 1))
}

/// A RIFF that ends before it says it does, and before its index: many recorders write sizes that are a little
/// off, or none, and a file with its index is whole.
fn avi(file: &mut (impl Read + Seek), length: u64) -> Result<Option<String>> {
    let mut at = 0;
    let mut indexed = false;
    while let Some((name, size)) = chunk(file, at, length)? {
        if &name != b"RIFF" {
            break;
        }
        if at + 8 + u64::from(size) > length && size != u32::MAX {
            let left = length - at - 8;
            indexed |= find_in(file, at + 12, length, *b"idx1")?.is_some();
            return Ok((!indexed).then(|| format!("it says it has {size} bytes and has {left}")));
        }
        indexed = true;
        at += 8 + u64::from(size).next_multiple_of(2);
    }
    Ok(None)
}

/// How many chunks an AVI has of a stream, empty ones too, by its index; `None` where it has none.
///
/// # Errors
/// What reading the file says.
pub(super) fn avi_chunks(path: &Path, stream: usize) -> Result<Option<u64>> {
    let mut file = BufReader::new(File::open(path)?);
    let length = file.get_ref().metadata()?.len();
    // Longer files have more than one RIFF, and an index for each.
    let Some((_, size)) = chunk(&mut file, 0, length)? else { return Ok(None) };
    if 8 + u64::from(size).next_multiple_of(2) < length.saturating_sub(12) {
        return Ok(None);
    }
    let Some((begin, size)) = find_in(&mut file, 12, length, *b"idx1")? else { return Ok(None) };
    file.seek(SeekFrom::Start(begin))?;
    let mut entry = [0; ENTRY];
    let mut chunks = 0;
    for _ in 0..size as usize / ENTRY {
        if file.read_exact(&mut entry).is_err() {
            return Ok(None);
        }
        let number =
            std::str::from_utf8(&entry[..2]).ok().and_then(|two| usize::from_str_radix(two, 16).ok());
        chunks += u64::from(number == Some(stream) && matches!(&entry[2..4], b"dc" | b"db"));
    }
    Ok(Some(chunks))
}

/// The chunk at a place: its name and the bytes that it says it has.
fn chunk(file: &mut (impl Read + Seek), at: u64, length: u64) -> Result<Option<([u8; 4], u32)>> {
    if at + 8 > length {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(at))?;
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    let [a, b, c, d, size @ ..] = head;
    Ok(Some(([a, b, c, d], u32::from_le_bytes(size))))
}

/// Where the content of a chunk begins, and how many bytes it has, among those that follow each other.
fn find_in(
    file: &mut (impl Read + Seek),
    mut at: u64,
    length: u64,
    wanted: [u8; 4],
) -> Result<Option<(u64, u32)>> {
    for _ in 0..MOST_BOXES {
        let Some((name, size)) = chunk(file, at, length)? else { return Ok(None) };
        if name == wanted {
            return Ok(Some((at + 8, size)));
        }
        at = (at + 8).saturating_add(u64::from(size).next_multiple_of(2));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Cursor;

    use super::*;

    fn boxed(name: &[u8; 4], content: usize) -> Vec<u8> {
        let size = u32::try_from(content + 8).unwrap();
        [&size.to_be_bytes()[..], name, &vec![1; content]].concat()
    }

    fn mp4_of(bytes: &[u8]) -> Option<String> {
        mp4(&mut Cursor::new(bytes), bytes.len() as u64).unwrap()
    }

    #[test]
    fn a_fragment_that_ends_within_its_head_is_told() {
        let whole = [boxed(b"ftyp", 4), boxed(b"moov", 9), boxed(b"moof", 30), boxed(b"mdat", 50)].concat();
        assert_eq!(mp4_of(&whole), None);
        assert_eq!(mp4_of(&whole[..whole.len() - 7]), None, "which pictures lack, the index tells");
        assert!(mp4_of(&whole[..60]).unwrap().contains("moof, says it has 38 bytes"));
        assert!(mp4_of(&whole[..35]).unwrap().contains("head of a box"));
        assert_eq!(mp4_of(&[&whole[..], &[0; 5]].concat()), None, "padding");
        assert_eq!(mp4_of(&[&whole[..], b"\0\0\0\0\0\0\0\0garbage"].concat()), None);
    }

    #[test]
    fn a_segment_of_matroska_that_ends_early_is_told() {
        let head = [0x1a, 0x45, 0xdf, 0xa3, 0x82, 1, 2];
        let of = |bytes: &[u8]| matroska(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        let known = [&head[..], &[0x18, 0x53, 0x80, 0x67, 0x84, 1, 2, 3, 4]].concat();
        assert_eq!(of(&known), None);
        assert!(of(&known[..known.len() - 1]).unwrap().contains("4 bytes and has 3"));
        let live = [&head[..], &[0x18, 0x53, 0x80, 0x67, 0xff]].concat();
        let cluster = [0x1f, 0x43, 0xb6, 0x75, 0x83, 7, 7, 7];
        let whole = [&live[..], &cluster, &cluster].concat();
        assert_eq!(of(&whole), None);
        for short in whole.len() - 7..whole.len() {
            assert!(of(&whole[..short]).is_some(), "{short}");
        }
    }

    #[test]
    fn an_avi_without_its_index_is_cut() {
        let inside = [&b"LIST"[..], &4_u32.to_le_bytes(), b"movi", b"idx1", &0_u32.to_le_bytes()].concat();
        let size = u32::try_from(4 + inside.len()).unwrap();
        let whole = [&b"RIFF"[..], &size.to_le_bytes(), b"AVI ", &inside].concat();
        let of = |bytes: &[u8]| avi(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert_eq!(of(&whole), None);
        assert!(of(&whole[..whole.len() - 8]).unwrap().contains("it says it has"));
        let mut wrong = whole.clone();
        wrong[4] += 9;
        assert_eq!(of(&wrong), None, "its index is there");
    }
}
