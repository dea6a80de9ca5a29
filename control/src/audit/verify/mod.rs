//! Verification, offline: a database or an export of it, against signatures, a key and the checkpoint
//! file. Every edit, deletion, reordering, truncation and insertion is found and named.

mod database;
mod export;
mod findings;
mod keys;
mod walk;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use vitrail_engine::evidence::PublicKey;

pub use findings::{Fault, Finding, Findings, Span, Verdict};

pub(super) use database::walk as walk_database;
pub(super) use findings::Faults;
pub(super) use keys::Keys;
pub(super) use walk::Walk;

use super::chain::START;
use super::checkpoint::{self, Line};
use super::{Head, store};
use crate::base::database::{BUSY_MS, FORM};
use crate::base::{Kind, Problem, Result, beside};
use walk::{Signed, Walked};

/// What a database begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// What to verify, and with what.
#[derive(Clone, Debug)]
pub struct Check {
    /// A database, or an export of one; which of them is seen by its first bytes.
    pub file: PathBuf,
    /// Public keys of the controller, from whom you trust. Empty: those that the log names, which says
    /// nothing about who signed.
    pub keys: Vec<PublicKey>,
    /// The checkpoint file.
    pub checkpoints: Option<PathBuf>,
}

/// Checks a log. Whatever is wrong with it is a finding; an error only says that there was nothing to check.
/// `progress` is told how many records are done, of how many.
///
/// # Errors
/// `Unavailable` where a file cannot be read, `Invalid` where it is neither, `Conflict` where a later version
/// of this program made it.
pub fn verify(check: &Check, progress: &mut dyn FnMut(u64, u64)) -> Result<Findings> {
    let name = check.file.display().to_string();
    let lines = check.checkpoints.as_deref().map(read_checkpoints).transpose()?;
    if is_database(&check.file)? {
        let connection = open(&check.file)?;
        verify_connection(&connection, &name, &check.keys, lines, progress)
    } else {
        export::verify(&check.file, &name, &check.keys, lines, progress)
    }
}

/// The same over an open database. It reads one state of it, whatever is appended meanwhile, where
/// `connection` is in a transaction.
pub(crate) fn verify_connection(
    connection: &Connection,
    name: &str,
    keys: &[PublicKey],
    lines: Option<Vec<Line>>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Findings> {
    let mut faults = Faults::default();
    // Where the tables of signatures are gone, there is no signature.
    let head = store::head(connection).unwrap_or_default();
    let mut heads = store::checkpoints(connection, 1, i64::MAX).unwrap_or_default();
    let key_id = head.as_ref().map(|head| head.key_id.clone());
    if head.is_none() {
        faults.add(Fault::Unsigned, None, "the signed head is missing");
    }
    heads.extend(head.clone());
    let mut keys = Keys::new(keys, store::keys(connection).unwrap_or_default());
    let mut signed = keys.judge(heads, &mut faults);
    let sealed = head.is_some_and(|head| signed.iter().any(|signed| signed.head == head));
    let mut notes = Vec::new();
    signed.extend(lines.map(|lines| compare_file(lines, &keys, &mut faults, &mut notes)).unwrap_or_default());
    let walk = Walk::new(1, START, signed);
    let mut walk = if sealed { walk } else { walk.unsealed() };
    walk_database(connection, 0, &mut walk, progress)?;
    Ok(conclude(name, walk.end(true), faults, notes, key_id, keys.given))
}

/// Signatures of the checkpoint file that count.
fn compare_file(lines: Vec<Line>, keys: &Keys, faults: &mut Faults, notes: &mut Vec<String>) -> Vec<Signed> {
    let (mut heads, mut unreadable): (Vec<Head>, usize) = (Vec::new(), 0);
    for line in lines {
        match line {
            Line::Head(head) => heads.push(head),
            Line::CutOff => {}
            Line::Unreadable => unreadable += 1,
        }
    }
    if unreadable > 0 {
        notes.push(format!("lines of the checkpoint file that hold no checkpoint: {unreadable}"));
    }
    let (good, others) = keys.pick(heads);
    if good.is_empty() {
        let detail = "the checkpoint file holds nothing that the keys of this log signed";
        faults.add(Fault::RolledBack, None, detail);
    } else if others > 0 {
        notes.push(format!("checkpoints in the file with other keys or wrong signatures: {others}"));
    }
    good
}

fn conclude(
    name: &str,
    walked: Walked,
    mut faults: Faults,
    mut notes: Vec<String>,
    key_id: Option<String>,
    key_given: bool,
) -> Findings {
    let total = faults.total + walked.faults.total;
    faults.list.extend(walked.faults.list);
    faults.list.sort_by_key(|fault| fault.seq);
    notes.extend(walked.notes);
    let verdict = match (total, key_given) {
        (0, true) => Verdict::Verified,
        (0, false) => Verdict::Unattributed,
        _ => Verdict::Failed,
    };
    Findings {
        log: name.to_owned(),
        verdict,
        records: walked.records,
        withheld: walked.withheld,
        first: walked.first,
        last: walked.last,
        from: walked.times.map(|t| t.0),
        to: walked.times.map(|t| t.1),
        key_id,
        key_given,
        signatures: walked.compared[0],
        file_signatures: walked.compared[1],
        trusted: walked.trusted,
        faults: faults.list,
        faults_total: total,
        notes,
    }
}

/// The lines of a checkpoint file.
pub(crate) fn read_checkpoints(path: &Path) -> Result<Vec<Line>> {
    checkpoint::read(path).map_err(|e| unreadable(path, &e))
}

/// Opens the database of a controller, which may run meanwhile, for reading alone.
///
/// # Errors
/// `Unavailable` where it cannot be read, `Invalid` where it is no database of a controller, `Conflict` where
/// a later version of this program made it.
pub fn open(path: &Path) -> Result<Connection> {
    if !is_database(path)? {
        return Err(Problem::invalid(path.display().to_string(), "is no database of a controller"));
    }
    let connection = open_quietly(path).map_err(|e| unreadable(path, &e))?;
    connection.pragma_update(None, "busy_timeout", BUSY_MS)?;
    let form: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|e| unreadable(path, &e))?;
    if form > FORM {
        let detail = format!("was made by a later version of this program (form {form})");
        return Err(Problem::conflict(path.display().to_string(), detail));
    }
    if !connection.table_exists(None, "audit")? {
        return Err(Problem::invalid(path.display().to_string(), "holds no audit log"));
    }
    connection.execute_batch("BEGIN")?;
    Ok(connection)
}

/// Without leaving a trace: a database that no program has open is taken as it lies there.
fn open_quietly(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if beside(path, "-wal").exists() {
        return Connection::open_with_flags(path, flags);
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = String::from("file://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(*byte as char),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    Connection::open_with_flags(uri + "?immutable=1", flags | OpenFlags::SQLITE_OPEN_URI)
}

fn is_database(path: &Path) -> Result<bool> {
    let mut start = [0; SQLITE.len()];
    let mut file = File::open(path).map_err(|e| unreadable(path, &e))?;
    match file.read_exact(&mut start) {
        Ok(()) => Ok(start == SQLITE),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(unreadable(path, &e)),
    }
}

fn unreadable(path: &Path, why: &dyn std::error::Error) -> Problem {
    Problem::new(Kind::Unavailable, path.display().to_string(), format!("cannot be read: {why}"))
}
