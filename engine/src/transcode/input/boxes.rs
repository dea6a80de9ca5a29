//! Whether a file holds all that its container's outermost boxes say, and how many chunks an AVI has. Files
//! are looked at where libavformat says nothing: it reads what is there and is content.

use std::fs::File;
use std::io::{BufReader, Read, Result, Seek, SeekFrom};
use std::path::Path;

use crate::base::Shutdown;

/// Outermost boxes of a file, at most: fragments of a second, for two weeks.
const MOST_BOXES: usize = 4_000_000;
/// Bytes of an entry of `idx1`: name, flags, place, size.
const ENTRY: usize = 16;
/// Bytes that are read at once: the head of a fragment and that of what follows it, and little that is skipped.
const AT_ONCE: usize = 4096;

/// What one of a container's outermost boxes lacks, for people; `format` is libavformat's first name for it.
/// `None` where the boxes are whole, say nothing of how long they are, or `stop` came first.
///
/// # Errors
/// What reading the file says.
pub fn lacks(path: &Path, format: &str, stop: &Shutdown) -> Result<Option<String>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut file = BufReader::with_capacity(AT_ONCE, file);
    match format {
        "mov" => mp4(&mut file, length, stop),
        "matroska" => matroska(&mut file, length, stop),
        "avi" => avi(&mut file, length),
        _ => Ok(None),
    }
}

/// ISO/IEC 14496-12, section 4.2. That a `mdat` is longer than the file says nothing yet: the index tells which
/// pictures lie in it. So a few bytes behind the last box are no part of one, but where fragments follow each other.
fn mp4<R: Read + Seek>(file: &mut BufReader<R>, length: u64, stop: &Shutdown) -> Result<Option<String>> {
    let mut at = 0;
    let mut fragments = false;
    for _ in 0..MOST_BOXES {
        if stop.is_cancelled() {
            return Ok(None);
        }
        let left = length.saturating_sub(at);
        let short = || fragments.then(|| "it ends within the head of a box".into());
        let mut head = [0; 8];
        if left < 8 {
            let filled = &mut head[..left as usize];
            file.read_exact(filled)?;
            let padding = filled.iter().all(|byte| *byte == 0);
            return Ok(short().filter(|_| !padding));
        }
        file.read_exact(&mut head)?;
        let mut size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let mut read = 8;
        let name = &head[4..8];
        if !name.iter().all(u8::is_ascii_graphic) {
            return Ok(None);
        }
        match size {
            // To the end of the file.
            0 => return Ok(None),
            1 if left < 16 => return Ok(short()),
            1 => {
                let mut long = [0; 8];
                file.read_exact(&mut long)?;
                (size, read) = (u64::from_be_bytes(long), 16);
            }
            _ => {}
        }
        if size < read {
            return Ok(None);
        }
        if size > left {
            return Ok((matches!(name, b"moof" | b"moov")).then(|| {
                let name = String::from_utf8_lossy(name);
                format!("its last box, {name}, says it has {size} bytes and has {left}")
            }));
        }
        fragments |= name == b"moof";
        at = at.saturating_add(size);
        skip(file, size - read)?;
    }
    Ok(None)
}

/// What was read beyond is kept, unlike after a seek.
fn skip<R: Seek>(file: &mut BufReader<R>, bytes: u64) -> Result<()> {
    file.seek_relative(i64::try_from(bytes).unwrap_or(i64::MAX))
}

const SEGMENT: u64 = 0x1853_8067;
/// The elements of which a file is made as far as they are looked at: outermost, in a segment, in a cluster that says
/// no size, and what may lie anywhere.
const KNOWN: [u64; 19] = [
    0x1a45_dfa3,
    SEGMENT,
    0x114d_9b74,
    0x1549_a966,
    0x1654_ae6b,
    0x1f43_b675,
    0x1c53_bb6b,
    0x1941_a469,
    0x1043_a770,
    0x1254_c367,
    0xe7,
    0x5854,
    0xa7,
    0xab,
    0xa3,
    0xa0,
    0xaf,
    0xec,
    0xbf,
];

/// RFC 8794 and RFC 9559: the EBML head, then the segment with everything in it. One that was written as it
/// came says no size; its clusters do. What begins with no name that is known is not a part of it.
fn matroska<R: Read + Seek>(file: &mut BufReader<R>, length: u64, stop: &Shutdown) -> Result<Option<String>> {
    let mut at = 0;
    for _ in 0..MOST_BOXES {
        if stop.is_cancelled() {
            return Ok(None);
        }
        let short = |known: bool| Ok(known.then(|| "it ends within the head of an element".into()));
        let (name, id) = match element(file, false)? {
            Element::Number(name, id) => (name, id),
            Element::Part(name) => return short(KNOWN.iter().any(|known| begins_with(*known, name))),
            Element::End | Element::Odd => return Ok(None),
        };
        let known = KNOWN.contains(&name);
        let (size, bytes) = match element(file, true)? {
            Element::Number(size, bytes) => (size, bytes),
            Element::Part(_) | Element::End => return short(known),
            Element::Odd => return Ok(None),
        };
        let unknown = size == (1 << (7 * bytes)) - 1;
        let begin = at + id + bytes;
        if !unknown && begin.saturating_add(size) > length {
            let left = length.saturating_sub(begin);
            return Ok(known.then(|| format!("a part of it says it has {size} bytes and has {left}")));
        }
        // What has no size of its own ends with what it holds, which is looked at instead; so is a whole segment
        // taken for what it says.
        if name == SEGMENT && !unknown {
            return Ok(None);
        }
        at = begin;
        if !unknown {
            at += size;
            skip(file, size)?;
        }
    }
    Ok(None)
}

/// What comes next in a file of EBML.
enum Element {
    /// A number, and how many bytes it has.
    Number(u64, u64),
    /// A part of a number.
    Part(u64),
    /// The end of the file.
    End,
    /// Not EBML.
    Odd,
}

/// Whether the first bytes of a name are these.
fn begins_with(name: u64, part: u64) -> bool {
    let mut name = name;
    while name > part {
        name >>= 8;
    }
    name == part
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
    let mut filled = 1;
    while filled <= more {
        match file.read(&mut bytes[filled..=more])? {
            0 => break,
            read => filled += read,
        }
    }
    let number = bytes[..filled].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    if filled <= more {
        return Ok(Element::Part(number));
    }
    let marker = 1 << (7 * (more as u64 + 1));
    Ok(Element::Number(if plain { number & !marker } else { number }, more as u64 + 1))
}

/// A RIFF that ends before it says it does, and before its index: many recorders write sizes that are a little
/// off, or none, and a file with its index is whole. Files that are longer than a RIFF can be have more of them, which
/// have no such index.
fn avi(file: &mut (impl Read + Seek), length: u64) -> Result<Option<String>> {
    let mut at = 0;
    while let Some((name, size)) = chunk(file, at, length)? {
        if &name != b"RIFF" {
            break;
        }
        if at + 8 + u64::from(size) > length && size != u32::MAX {
            let left = length - at - 8;
            let indexed = at == 0 && find_in(file, at + 12, length, *b"idx1")?.is_some();
            return Ok((!indexed).then(|| format!("it says it has {size} bytes and has {left}")));
        }
        at += 8 + u64::from(size).next_multiple_of(2);
    }
    Ok(None)
}

/// How many chunks an AVI has of a stream, empty ones too, by its index; `None` where it has none.
///
/// # Errors
/// What reading the file says.
pub fn avi_chunks(path: &Path, stream: usize) -> Result<Option<u64>> {
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

    fn buffered(bytes: &[u8]) -> BufReader<Cursor<&[u8]>> {
        // Small, so that what is skipped lies beyond what was read.
        BufReader::with_capacity(16, Cursor::new(bytes))
    }

    fn mp4_of(bytes: &[u8]) -> Option<String> {
        mp4(&mut buffered(bytes), bytes.len() as u64, &Shutdown::new()).unwrap()
    }

    fn matroska_of(bytes: &[u8]) -> Option<String> {
        matroska(&mut buffered(bytes), bytes.len() as u64, &Shutdown::new()).unwrap()
    }

    #[test]
    fn a_fragment_that_ends_within_its_head_is_told() {
        let fragment = [boxed(b"moof", 30), boxed(b"mdat", 50)].concat();
        let one = [boxed(b"ftyp", 4), boxed(b"moov", 9), fragment.clone()].concat();
        assert_eq!(mp4_of(&one), None);
        assert_eq!(mp4_of(&one[..one.len() - 7]), None, "which pictures lack, the index tells");
        assert!(mp4_of(&one[..60]).unwrap().contains("moof, says it has 38 bytes"));
        let two = [one.clone(), fragment].concat();
        assert_eq!(mp4_of(&two), None);
        assert!(mp4_of(&two[..one.len() + 6]).unwrap().contains("head of a box"));
        assert_eq!(mp4_of(&[&one[..], &[0; 5]].concat()), None, "padding");
        assert_eq!(mp4_of(&[&one[..], b"\0\0\0\0\0\0\0\0garbage"].concat()), None);
        let stopped = Shutdown::new();
        stopped.cancel();
        assert_eq!(mp4(&mut buffered(&one[..60]), 60, &stopped).unwrap(), None);
    }

    #[test]
    fn a_few_bytes_behind_the_last_box_are_no_part_of_it() {
        let whole = [boxed(b"ftyp", 4), boxed(b"mdat", 50), boxed(b"moov", 9)].concat();
        for stray in [&b"\n"[..], b"\r\n", b"garbage", b"\0\0\0\x01abcd"] {
            assert_eq!(mp4_of(&[&whole[..], stray].concat()), None, "{stray:?}");
        }
    }

    /// A segment that says no size, as it is written live, with so many clusters.
    fn live(clusters: usize) -> Vec<u8> {
        let head = [0x1a, 0x45, 0xdf, 0xa3, 0x82, 1, 2, 0x18, 0x53, 0x80, 0x67, 0xff];
        [&head[..], &[0x1f, 0x43, 0xb6, 0x75, 0x83, 7, 7, 7].repeat(clusters)].concat()
    }

    #[test]
    fn a_segment_of_matroska_that_ends_early_is_told() {
        let head = [0x1a, 0x45, 0xdf, 0xa3, 0x82, 1, 2];
        let known = [&head[..], &[0x18, 0x53, 0x80, 0x67, 0x84, 1, 2, 3, 4]].concat();
        assert_eq!(matroska_of(&known), None);
        assert!(matroska_of(&known[..known.len() - 1]).unwrap().contains("4 bytes and has 3"));
        let whole = live(2);
        assert_eq!(matroska_of(&whole), None);
        for short in whole.len() - 7..whole.len() {
            assert!(matroska_of(&whole[..short]).is_some(), "{short}");
        }
    }

    #[test]
    fn a_few_bytes_behind_matroska_are_no_part_of_it() {
        for stray in [&b"\n"[..], b"\r\n", b" ", b"\0\0", b"x", b"garbage!"] {
            assert_eq!(matroska_of(&[&live(2)[..], stray].concat()), None, "{stray:?}");
        }
        assert!(
            matroska_of(&[&live(2)[..], &[0xa3, 0x85, 1]].concat()).is_some(),
            "a block of a live cluster"
        );
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
        let more = [&b"RIFF"[..], &12_u32.to_le_bytes(), b"AVIX", b"LIST", &0_u32.to_le_bytes()].concat();
        let long = [&whole[..], &more, &more].concat();
        assert_eq!(of(&long), None);
        for short in [1, 12, more.len() + 1] {
            assert!(of(&long[..long.len() - short]).unwrap().contains("it says it has 12 bytes"), "{short}");
        }
    }
}
