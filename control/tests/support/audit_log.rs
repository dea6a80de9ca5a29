//! A log to tamper with, and what an attacker with the file can do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use vitrail_control::audit::verify::{Check, Fault, Findings, verify};
use vitrail_control::audit::{Actor, Event, Export, Ledger, Query};
use vitrail_control::db::Database;
use vitrail_engine::base::SimClock;
use vitrail_engine::evidence::PublicKey;

/// A folder with a log.
pub struct Log {
    pub folder: TempDir,
    pub clock: Arc<SimClock>,
    pub key: PublicKey,
}

impl Log {
    /// A log that was closed in order: record 1 opens it, `records` follow, the last closes it. A checkpoint
    /// every ten, and in the file `heads.jsonl`.
    pub fn new(records: usize) -> Log {
        let (folder, clock) = (tempfile::tempdir().unwrap(), SimClock::new());
        clock.advance(Duration::from_secs(1_790_000_000));
        let path = folder.path().join("v.db");
        let key = Ledger::signed(&path, None).unwrap().public_key().unwrap();
        let log = Log { folder, clock, key };
        log.append(records);
        log
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn open(&self) -> Arc<Database> {
        let ledger = Ledger::signed(&self.path("v.db"), Some(&self.path("heads.jsonl"))).unwrap();
        Database::open(&self.path("v.db"), ledger.every(10), self.clock.clone()).unwrap()
    }

    /// Another run of the controller.
    pub fn append(&self, records: usize) {
        let db = self.open();
        for n in 0..records {
            self.clock.advance(Duration::from_secs(1));
            db.record(&anna(), event(n)).unwrap();
        }
        db.close().unwrap();
    }

    /// The whole log as an export.
    pub fn export(&self) -> Vec<String> {
        self.export_of(Query::default())
    }

    pub fn export_of(&self, query: Query) -> Vec<String> {
        let connection = vitrail_control::audit::verify::open(&self.path("v.db")).unwrap();
        let (mut export, mut text) = (Export::begin(&connection, query).unwrap(), String::new());
        while let Some(page) = export.page(&connection).unwrap() {
            text.push_str(&page);
        }
        text.lines().map(str::to_owned).collect()
    }

    /// What an attacker does to the file.
    pub fn attack(&self, sql: &str) {
        let connection = Connection::open(self.path("v.db")).unwrap();
        let triggers: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name LIKE 'audit%'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        assert_eq!(triggers.len(), 5);
        for trigger in triggers {
            connection.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        connection.execute_batch(sql).unwrap();
    }

    /// With the key, without the checkpoint file.
    pub fn verify(&self) -> Findings {
        self.check("v.db", true, false)
    }

    pub fn check(&self, file: &str, key: bool, checkpoints: bool) -> Findings {
        let check = Check {
            file: self.path(file),
            keys: if key { vec![self.key.clone()] } else { Vec::new() },
            checkpoints: checkpoints.then(|| self.path("heads.jsonl")),
        };
        verify(&check, &mut |_, _| {}).unwrap()
    }

    /// The same over lines of an export.
    pub fn check_lines(&self, lines: &[String]) -> Findings {
        std::fs::write(self.path("x.jsonl"), lines.join("\n") + "\n").unwrap();
        self.check("x.jsonl", true, false)
    }
}

pub fn anna() -> Actor {
    Actor {
        account: "u-2".into(),
        name: "Anna".into(),
        role: Some("operator".into()),
        via: "session 8f2c".into(),
        address: Some("10.0.0.8".into()),
    }
}

/// Like what the controller writes; every third concerns the zone `south`.
pub fn event(n: usize) -> Event {
    Event {
        zone: Some(if n.is_multiple_of(3) { "south" } else { "north" }.into()),
        camera: Some(format!("cam-{}", n % 7)),
        screen: Some("left".into()),
        incident: Some("I-2026-0001".into()),
        agreement: Some("A-2026-0004".into()),
        basis: Some("A-2026-0004, I-2026-0001: safety at an event".into()),
        details: serde_json::json!({ "tile": format!("left.{n}") }),
        ..Event::new("showing.started")
    }
}

/// Each fault with its record.
pub fn faults(findings: &Findings) -> Vec<(Fault, Option<i64>)> {
    findings.faults.iter().map(|fault| (fault.what, fault.seq)).collect()
}

/// The proven records.
pub fn trusted(findings: &Findings) -> Vec<(i64, i64)> {
    findings.trusted.iter().map(|span| (span.from, span.to)).collect()
}

/// Copies a database as it lies there.
pub fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}
