//! What was acknowledged is there after a crash: of the program (killed at random moments), and of the
//! machine (a power cut that loses everything that was not brought to the disk, in whole or in part).
//!
//! The power cut is simulated from what the system was really asked for: `strace` writes down every write
//! and every fsync of a child that appends; a replay then makes the files as the disk may hold them at any
//! moment, with each sector since the last fsync of its file kept or lost.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;
use support::audit_log::{anna, event};
use vitrail_control::audit::Ledger;
use vitrail_control::audit::verify::{Check, Verdict, verify};
use vitrail_control::db::Database;
use vitrail_engine::base::SystemClock;

const FOLDER: &str = "VITRAIL_TEST_FOLDER";
const RECORDS: &str = "VITRAIL_TEST_RECORDS";
/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

fn open(folder: &Path) -> std::sync::Arc<Database> {
    let path = folder.join("v.db");
    let ledger = Ledger::signed(&path, Some(&folder.join("heads.jsonl"))).unwrap();
    Database::open(&path, ledger.every(10), SystemClock::shared()).unwrap()
}

#[test]
#[ignore = "the child of the other tests: appends, and says what was acknowledged"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let db = open(Path::new(&folder));
    let records: usize = std::env::var(RECORDS).unwrap().parse().unwrap();
    for n in 0..records {
        let seq = db.change(&anna(), |transaction, events| {
            events.push(event(n));
            let sql = "SELECT coalesce(max(seq), 0) + 1 FROM audit";
            Ok(transaction.query_row::<i64, _, _>(sql, [], |row| row.get(0))?)
        });
        println!("ack {}", seq.unwrap());
    }
}

#[test]
#[ignore = "a child that commits without fsync: what the replay must find"]
fn careless_child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let connection = Connection::open(Path::new(&folder).join("v.db")).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE audit (seq INTEGER PRIMARY KEY)")
        .unwrap();
    for seq in 1..=50 {
        connection.execute("INSERT INTO audit VALUES (?1)", [seq]).unwrap();
        println!("ack {seq}");
    }
}

fn command(name: &str) -> (PathBuf, [&str; 4]) {
    (std::env::current_exe().unwrap(), ["--exact", name, "--ignored", "--nocapture"])
}

fn acknowledged(line: &str) -> Option<i64> {
    // libtest may have begun the line.
    line.split("ack ").nth(1)?.trim().parse().ok()
}

#[test]
fn a_controller_that_is_killed_loses_no_acknowledged_record() {
    let folder = tempfile::tempdir().unwrap();
    let key = Ledger::signed(&folder.path().join("v.db"), None).unwrap().public_key().unwrap();
    let mut newest = 0;
    for round in 0..20 {
        let (program, arguments) = command("child");
        let mut child = Command::new(program)
            .args(arguments)
            .env(FOLDER, folder.path())
            .env(RECORDS, "1000000")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = 1 + rand::random::<u32>() % 60;
        let mut seen = 0;
        while seen < wanted {
            let line = lines.next().expect("it goes on").unwrap();
            seen += u32::from(acknowledged(&line).is_some());
        }
        // Wherever it is now, within the next append or between two.
        for _ in 0..rand::random::<u32>() % 20_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // All that it had said before: a line that was cut off acknowledged nothing.
        newest = lines
            .map_while(Result::ok)
            .filter_map(|line| acknowledged(&line))
            .last()
            .unwrap_or(newest)
            .max(newest);
        let check = Check {
            file: folder.path().join("v.db"),
            keys: vec![key.clone()],
            checkpoints: Some(folder.path().join("heads.jsonl")),
        };
        let findings = verify(&check, &mut |_, _| {}).unwrap();
        assert_eq!(findings.verdict, Verdict::Verified, "round {round}: {findings:#?}");
        assert!(findings.last >= Some(newest), "round {round}: {:?} after {newest}", findings.last);
        assert_eq!(findings.records, findings.last.unwrap() as u64);
    }
    let db = open(folder.path());
    assert_eq!(db.log_state(), Ok(()), "twenty crashes are no tampering");
}

/// What a child asked of the system, in its order.
#[derive(Debug)]
enum Call {
    Write { file: String, at: Option<usize>, bytes: Vec<u8> },
    Truncate { file: String, length: usize },
    Sync { file: String },
    SyncFolder,
    Unlink { file: String },
    Acknowledge(i64),
}

/// Runs a child under strace.
fn trace(name: &str, folder: &Path, records: usize) -> Vec<Call> {
    let (program, arguments) = command(name);
    let log = folder.with_extension("strace");
    let calls = "trace=pwrite64,write,pwritev,writev,fsync,fdatasync,sync_file_range,ftruncate,fallocate,unlink,unlinkat,rename,renameat,renameat2,sendfile,copy_file_range";
    let output = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "10000000", "-e", calls, "-e", "signal=none", "-o"])
        .arg(&log)
        .arg(program)
        .args(arguments)
        .env(FOLDER, folder)
        .env(RECORDS, records.to_string())
        .output()
        .expect("strace: scripts/install-deps.sh installs it");
    assert!(output.status.success(), "{output:?}");
    let folder = folder.to_str().unwrap().to_owned() + "/";
    let mut unfinished: BTreeMap<String, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in BufReader::new(std::fs::File::open(&log).unwrap()).lines() {
        let line = line.unwrap();
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread.to_owned(), start.to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => unfinished.remove(thread).unwrap() + end,
            None => rest.to_owned(),
        };
        calls.extend(parse(&whole, &folder));
    }
    std::fs::remove_file(log).unwrap();
    calls
}

/// `pwrite64(4</folder/v.db-wal>, "…", 4096, 56) = 4096`
fn parse(call: &str, folder: &str) -> Option<Call> {
    let (name, rest) = call.split_once('(')?;
    // Short calls are padded to a column.
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let result = result.split_whitespace().next()?;
    let paths = |text: &str| unescaped(text.split_once('<')?.1.split_once('>')?.0);
    let file = |text: &str| String::from_utf8(paths(text)?).ok()?.strip_prefix(folder).map(str::to_owned);
    let known = ["write", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink"].contains(&name);
    let ours = call.contains(&escaped(folder));
    assert!(known || !ours, "the replay does not know {name}");
    if result.starts_with('-') {
        return None;
    }
    match name {
        "write" | "pwrite64" => {
            let bytes = unescaped(arguments.split('"').nth(1)?)?;
            let bytes = bytes[..result.parse::<usize>().unwrap()].to_vec();
            let Some(file) = file(arguments) else {
                return String::from_utf8(bytes)
                    .ok()
                    .as_deref()
                    .and_then(acknowledged)
                    .map(Call::Acknowledge);
            };
            let at = (name == "pwrite64").then(|| arguments.rsplit_once(", ").unwrap().1.parse().unwrap());
            Some(Call::Write { file, at, bytes })
        }
        "fsync" | "fdatasync" if paths(arguments)? == folder.trim_end_matches('/').as_bytes() => {
            Some(Call::SyncFolder)
        }
        "fsync" | "fdatasync" => Some(Call::Sync { file: file(arguments)? }),
        "ftruncate" => Some(Call::Truncate {
            file: file(arguments)?,
            length: arguments.rsplit_once(", ")?.1.parse().ok()?,
        }),
        "unlink" => {
            let path = String::from_utf8(unescaped(arguments.split('"').nth(1)?)?).ok()?;
            Some(Call::Unlink { file: path.strip_prefix(folder)?.to_owned() })
        }
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    text.split("\\x").skip(1).map(|hex| u8::from_str_radix(hex, 16).ok()).collect()
}

/// A file as programs see it, and what of it the disk holds for sure.
#[derive(Default)]
struct Disk {
    now: Vec<u8>,
    safe: Vec<u8>,
}

impl Disk {
    /// What the disk may hold after a power cut: of each sector the safe state or the present one.
    fn after_a_cut(&self, mut keep: impl FnMut() -> bool) -> Vec<u8> {
        let length = if keep() { self.now.len() } else { self.safe.len() };
        let mut content = self.safe.clone();
        content.resize(length, 0);
        for (index, sector) in content.chunks_mut(SECTOR).enumerate() {
            let from = index * SECTOR;
            if let Some(now) = self.now.get(from..(from + sector.len()).min(self.now.len()))
                && keep()
            {
                sector[..now.len()].copy_from_slice(now);
            }
        }
        content
    }
}

/// The files after some calls, and the newest record that was acknowledged by then. That a name leads to a
/// file, or to none any more, is safe only once the folder itself was brought to the disk (fsync(2)).
#[derive(Default)]
struct Replay {
    files: Vec<Disk>,
    now: BTreeMap<String, usize>,
    safe: BTreeMap<String, usize>,
    acknowledged: i64,
}

impl Replay {
    fn step(&mut self, call: &Call) {
        match call {
            Call::Write { file, at, bytes } => {
                let now = &mut self.file(file).now;
                let at = at.unwrap_or(now.len());
                now.resize(now.len().max(at + bytes.len()), 0);
                now[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Call::Truncate { file, length } => self.file(file).now.resize(*length, 0),
            Call::Sync { file } => {
                let disk = self.file(file);
                disk.safe.clone_from(&disk.now);
            }
            Call::SyncFolder => self.safe.clone_from(&self.now),
            Call::Unlink { file } => {
                self.now.remove(file);
            }
            Call::Acknowledge(seq) => self.acknowledged = *seq,
        }
    }

    fn file(&mut self, name: &str) -> &mut Disk {
        let next = self.files.len();
        let index = *self.now.entry(name.to_owned()).or_insert(next);
        if index == next {
            self.files.push(Disk::default());
        }
        &mut self.files[index]
    }

    /// Makes the files in `folder` as the disk may hold them now.
    fn cut(&self, folder: &Path, mut keep: impl FnMut() -> bool) {
        // The -shm file is memory, and is made anew; keys and lock are no part of this.
        for name in ["v.db", "v.db-journal", "v.db-wal", "heads.jsonl"] {
            let (now, safe) = (self.now.get(name), self.safe.get(name));
            if let Some(index) = if now != safe && keep() { now } else { safe } {
                std::fs::write(folder.join(name), self.files[*index].after_a_cut(&mut keep)).unwrap();
            }
        }
    }
}

/// Cuts the power at every acknowledgement and at other moments, in two ways each, and hands every outcome
/// to `look` with what was acknowledged before.
fn cut_everywhere(calls: &[Call], mut look: impl FnMut(&Replay, &mut dyn FnMut() -> bool)) -> usize {
    let mut replay = Replay::default();
    let mut cuts = 0;
    for call in calls {
        replay.step(call);
        if matches!(call, Call::Acknowledge(_)) || rand::random::<u32>().is_multiple_of(20) {
            look(&replay, &mut || false);
            look(&replay, &mut rand::random::<bool>);
            cuts += 2;
        }
    }
    cuts
}

#[test]
fn a_power_cut_loses_no_acknowledged_record() {
    let folder = tempfile::tempdir().unwrap();
    let key = Ledger::signed(&folder.path().join("v.db"), None).unwrap().public_key().unwrap();
    // Enough for the write-ahead log to be brought into the database on the way.
    let calls = trace("child", folder.path(), 150);
    let into_database = |call: &&Call| matches!(call, Call::Write { file, .. } if file == "v.db");
    assert!(
        calls
            .iter()
            .rev()
            .skip_while(|call| !matches!(call, Call::Acknowledge(_)))
            .any(|c| into_database(&c))
    );
    let cuts = cut_everywhere(&calls, |replay, keep| {
        let after = tempfile::tempdir().unwrap();
        for name in ["v.db.key", "v.db.key.pub"] {
            std::fs::copy(folder.path().join(name), after.path().join(name)).unwrap();
        }
        replay.cut(after.path(), keep);
        let db = open(after.path());
        assert_eq!(db.log_state(), Ok(()), "after {}", replay.acknowledged);
        assert!(db.settle());
        let findings = db.verify(&mut |_, _| {}).unwrap();
        assert_eq!(findings.verdict, Verdict::Verified, "after {}: {findings:#?}", replay.acknowledged);
        // The start is a record of its own.
        assert!(
            findings.last > Some(replay.acknowledged),
            "{:?} after {}",
            findings.last,
            replay.acknowledged
        );
    });
    assert!(cuts >= 300, "{cuts}");
    assert_eq!(key.id(), open(folder.path()).public_key().unwrap().id());
}

#[test]
fn the_simulation_finds_a_program_that_forgets_fsync() {
    let folder = tempfile::tempdir().unwrap();
    let calls = trace("careless_child", folder.path(), 50);
    let mut lost = 0;
    cut_everywhere(&calls, |replay, keep| {
        let after = tempfile::tempdir().unwrap();
        replay.cut(after.path(), keep);
        let count = Connection::open(after.path().join("v.db"))
            .and_then(|c| c.query_row("SELECT count(*) FROM audit", [], |row| row.get::<_, i64>(0)));
        lost += usize::from(count.unwrap_or(0) < replay.acknowledged);
    });
    assert!(lost > 0, "it lost nothing");
}
