//! The log as an export holds it. Reads what anybody may have written.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use vitrail_engine::evidence::PublicKey;

use super::findings::{Fault, Faults, Findings};
use super::keys::Keys;
use super::walk::{Content, Entry, Walk};
use super::{compare_file, conclude, unreadable};
use crate::audit::chain::{Hash, START};
use crate::audit::checkpoint::Line as FileLine;
use crate::audit::export::{EndLine, FORMAT, RecordLine};
use crate::base::{Problem, Result, unhex};

/// Longest line with a record: a body of 64 KiB, escaped.
const MOST_LINE: usize = 1 << 20;
/// How often the progress is told, in lines.
const STEP: u64 = 1000;

pub(super) fn verify(
    path: &Path,
    name: &str,
    keys: &[PublicKey],
    file: Option<Vec<FileLine>>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Findings> {
    let (mut faults, mut notes) = (Faults::default(), Vec::new());
    let Some(end) = end(path)? else {
        return without_end(path, name, keys, faults, progress);
    };
    let named = end.keys.iter().filter_map(|key| PublicKey::from_base64(key)).collect();
    let mut keys = Keys::new(keys, named);
    let key_id = end.head.as_ref().map(|head| head.key_id.clone());
    match &end.head {
        Some(head) if head.seq == end.last => {}
        _ => faults.add(Fault::Unsigned, end.last, "the last record of the export is not signed"),
    }
    if end.first == 1 && end.previous != START {
        faults.add(Fault::Changed, 1, "the last line says that there is a record before the first");
    } else if end.first > 1 {
        notes.push(format!("begins with record {}: what was before is not in this export", end.first));
    }
    let heads = end.checkpoints.into_iter().chain(end.head).collect();
    let mut signed = keys.judge(heads, &mut faults);
    signed.extend(file.map(|lines| compare_file(lines, &keys, &mut faults, &mut notes)).unwrap_or_default());
    let mut walk = Walk::new(end.first.max(1), end.previous, signed);
    lines(path, &mut walk, &mut faults, progress)?;
    let walked = walk.end(false);
    if walked.last != Some(end.last) && !walked.faults.list.iter().any(|f| f.what == Fault::Truncated) {
        let detail = format!("the export says that it ends with record {}", end.last);
        faults.add(Fault::Truncated, walked.last, detail);
    }
    Ok(conclude(name, walked, faults, notes, key_id, keys.given))
}

/// What is left of an export whose end is gone: its records are looked at, and nothing is proven.
fn without_end(
    path: &Path,
    name: &str,
    keys: &[PublicKey],
    mut faults: Faults,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Findings> {
    faults.add(Fault::Truncated, None, "the last line, with the signatures, is missing or no such line");
    let mut walk = Walk::new(1, START, Vec::new());
    lines(path, &mut walk, &mut faults, progress)?;
    Ok(conclude(name, walk.end(false), faults, Vec::new(), None, !keys.is_empty()))
}

/// The last line, where it is one.
fn end(path: &Path) -> Result<Option<EndLine>> {
    let mut last = Vec::new();
    let mut reader = reader(path)?;
    let mut line = Vec::new();
    while next(&mut reader, &mut line).map_err(|e| unreadable(path, &e))? {
        std::mem::swap(&mut last, &mut line);
    }
    let format = serde_json::from_slice::<serde_json::Value>(&last).ok();
    let format = format.as_ref().and_then(|value| value["format"].as_str());
    if format.is_some_and(|f| f != FORMAT && f.starts_with("vitrail-audit/")) {
        let detail = format!("was made by a later version of this program ({})", format.unwrap_or_default());
        return Err(Problem::conflict(path.display().to_string(), detail));
    }
    Ok(serde_json::from_slice(&last).ok().filter(|end: &EndLine| end.format == FORMAT))
}

fn lines(
    path: &Path,
    walk: &mut Walk,
    faults: &mut Faults,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let of = std::fs::metadata(path).map_err(|e| unreadable(path, &e))?.len();
    let (mut reader, mut line) = (reader(path)?, Vec::new());
    let (mut number, mut bytes, mut ended, mut read) = (0u64, 0u64, false, 0u64);
    while next(&mut reader, &mut line).map_err(|e| unreadable(path, &e))? {
        number += 1;
        bytes += line.len() as u64;
        if number % STEP == 0 {
            progress(bytes, of);
        }
        if ended {
            faults.add(Fault::Inserted, None, format!("line {number} stands after the last"));
        }
        match serde_json::from_slice::<RecordLine>(&line) {
            Ok(record) => {
                read += 1;
                step(walk, &record);
            }
            Err(_) if serde_json::from_slice::<EndLine>(&line).is_ok() => ended = true,
            Err(_) => faults.add(Fault::Changed, None, format!("line {number} is no line of an export")),
        }
    }
    progress(of, of);
    if read == 0 && !ended {
        return Err(Problem::invalid(
            path.display().to_string(),
            "is neither a database nor an export of a log",
        ));
    }
    Ok(())
}

fn step(walk: &mut Walk, line: &RecordLine) {
    let salt = line.salt.as_deref().and_then(unhex::<16>).unwrap_or_default();
    let content = match (&line.body, &line.digest) {
        (Some(body), _) => Content::Whole { salt: &salt, body: body.as_bytes(), row: None },
        (None, digest) => Content::Digest(digest.as_deref().and_then(unhex::<32>)),
    };
    let hash: Option<Hash> = Some(line.hash);
    walk.step(&Entry { seq: line.seq, content, hash });
}

fn reader(path: &Path) -> Result<BufReader<File>> {
    Ok(BufReader::with_capacity(1 << 16, File::open(path).map_err(|e| unreadable(path, &e))?))
}

/// The next line, without its end; longer ones are cut, and are no lines of an export then.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = buffer.iter().position(|c| *c == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        let room = (MOST_LINE + 1).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}
