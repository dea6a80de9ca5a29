//! Appends to the chain. Guards that a record and its signed head are in one transaction, and that
//! what this program left is what it finds.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use vitrail_engine::evidence::{PublicKey, SigningKeyFile, public_path};

use super::body::body;
use super::chain::{self, Hash, Head, START, Signer};
use super::checkpoint::CheckpointFile;
use super::health::{Health, LogTrouble, Trouble};
use super::{Actor, Event, inspect, store};
use crate::base::{Kind, Problem, Result, Utc, beside};

/// A checkpoint at least every so many records.
const EVERY: u32 = 1000;
/// A checkpoint at least so long after the one before, where there are records since.
const EVERY_TIME: Duration = Duration::from_secs(3600);
/// How long the end waits for the checkpoint file.
const LAST_CHECKPOINT: Duration = Duration::from_secs(5);

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Record {
    /// 1, 2, 3 … without a gap.
    pub seq: i64,
    /// When it was committed, by the clock of the database.
    pub at: Utc,
    /// Who acted.
    pub by: Actor,
    /// What happened.
    pub event: Event,
}

/// Appends records to the chain. The default one signs nothing: for tests of other rooms.
#[derive(Debug, Default)]
pub struct Ledger {
    signed: Option<Signed>,
    health: Arc<Health>,
    /// What the open transaction does, once it is committed.
    pending: Pending,
}

/// What a ledger with a key has.
#[derive(Debug)]
struct Signed {
    signer: Signer,
    file: Option<CheckpointFile>,
    every: u32,
    /// The newest record as this program left it; none before the start.
    last: Option<(i64, Hash)>,
    /// Records since the newest checkpoint, and when that was.
    since: u32,
    checkpoint_at: Utc,
    /// Held as long as this ledger lives, so that no second program appends.
    _lock: File,
}

#[derive(Debug, Default)]
struct Pending {
    last: Option<(i64, Hash)>,
    records: u32,
    checkpoint: Option<Head>,
}

impl Ledger {
    /// The ledger of a controller: signs with `<database>.key`, which is made where there is none, and
    /// appends checkpoints to a file elsewhere, where one is named.
    ///
    /// # Errors
    /// Where the key cannot be read or others may read it, or another program has this database open.
    pub fn signed(database: &Path, checkpoints: Option<&Path>) -> Result<Ledger> {
        let _lock = lock(&beside(database, ".lock"))?;
        let key = key(&beside(database, ".key"))?;
        let health = Arc::new(Health::default());
        let file = checkpoints.map(|path| CheckpointFile::start(path, Arc::clone(&health))).transpose()?;
        let signed = Signed {
            signer: Signer::new(key),
            file,
            every: EVERY,
            last: None,
            since: 0,
            checkpoint_at: Utc(0),
            _lock,
        };
        Ok(Ledger { signed: Some(signed), health, pending: Pending::default() })
    }

    /// The same with a checkpoint every so many records instead of every 1000.
    pub fn every(mut self, records: u32) -> Ledger {
        if let Some(signed) = &mut self.signed {
            signed.every = records.max(1);
        }
        self
    }

    /// The key that verifies this log; none where nothing is signed.
    pub fn public_key(&self) -> Option<PublicKey> {
        Some(self.signed.as_ref()?.signer.public())
    }

    /// The file elsewhere that holds checkpoints.
    pub fn checkpoint_file(&self) -> Option<&Path> {
        Some(self.signed.as_ref()?.file.as_ref()?.path())
    }

    pub(crate) fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Looks at what is there, and puts the start on record with all that is wrong.
    pub(crate) fn start(&mut self, connection: &mut Connection, now: Utc) -> Result<()> {
        let Some(signed) = &self.signed else { return Ok(()) };
        let checkpoints = signed.file.as_ref().map(|file| (file.path(), &*self.health));
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut events = inspect::inspect(&transaction, &signed.signer, checkpoints, now)?;
        let found = events.iter().find(|e| e.kind != "log.key-replaced").and_then(|e| e.reason.clone());
        events.push(Event {
            subject: Some(signed.signer.id.clone()),
            details: json!({ "version": env!("CARGO_PKG_VERSION") }),
            ..Event::new("log.opened")
        });
        let events = events.into_iter().map(|event| (Actor::system(), event)).collect();
        self.extend(&transaction, now, events, Some("start"))?;
        transaction.commit()?;
        self.committed();
        if let Some(reason) = found {
            self.health.failed(Trouble::Tampered, now, reason);
        }
        Ok(())
    }

    /// Puts the stop on record, and waits a little for the checkpoint file.
    pub(crate) fn stop(&mut self, connection: &mut Connection, now: Utc) -> Result<()> {
        if self.signed.is_none() {
            return Ok(());
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let end = (Actor::system(), Event::new("log.closed"));
        self.extend(&transaction, now, vec![end], Some("stop"))?;
        transaction.commit()?;
        self.committed();
        self.settle();
        Ok(())
    }

    /// Lets the checkpoint file catch up. True where it has.
    pub(crate) fn settle(&self) -> bool {
        let file = self.signed.as_ref().and_then(|signed| signed.file.as_ref());
        file.is_none_or(|file| file.settle(LAST_CHECKPOINT))
    }

    /// Appends `events` within `transaction`, and before them what the program itself has to say.
    pub(crate) fn append(
        &mut self,
        transaction: &Transaction<'_>,
        now: Utc,
        by: &Actor,
        events: Vec<Event>,
    ) -> Result<Vec<Record>> {
        let recovered = self.health.trouble(Trouble::Records).map(|t| (Actor::system(), recovered(t)));
        let events = events.into_iter().map(|event| (by.clone(), event));
        let all = recovered.into_iter().chain(events).collect();
        self.extend(transaction, now, all, None)
    }

    /// True where a checkpoint of the time is due.
    pub(crate) fn checkpoint_due(&self, now: Utc) -> bool {
        self.signed.as_ref().is_some_and(|s| s.since > 0 && now >= s.checkpoint_at.plus(EVERY_TIME))
    }

    /// Makes a checkpoint of what is there.
    pub(crate) fn checkpoint(&mut self, transaction: &Transaction<'_>, now: Utc, why: &str) -> Result<()> {
        self.extend(transaction, now, Vec::new(), Some(why)).map(drop)
    }

    /// Told after the commit.
    pub(crate) fn committed(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        self.health.mended(Trouble::Records);
        let (Some(signed), Some(_)) = (&mut self.signed, pending.last) else { return };
        signed.last = pending.last;
        signed.since += pending.records;
        if let Some(head) = pending.checkpoint {
            (signed.since, signed.checkpoint_at) = (0, head.at);
            if let Some(file) = &signed.file {
                file.push(head);
            }
        }
    }

    fn extend(
        &mut self,
        transaction: &Transaction<'_>,
        now: Utc,
        mut events: Vec<(Actor, Event)>,
        checkpoint: Option<&str>,
    ) -> Result<Vec<Record>> {
        self.pending = Pending::default();
        if events.is_empty() && checkpoint.is_none() {
            return Ok(Vec::new());
        }
        let found = store::newest(transaction)?;
        if let Some(event) = self.signed.as_ref().and_then(|signed| other_than(signed.last, found)) {
            let reason = event.reason.clone().unwrap_or_default();
            self.health.failed(Trouble::Tampered, now, reason);
            events.insert(0, (Actor::system(), event));
        }
        let (mut seq, mut hash) = found.unwrap_or((0, START));
        let mut records = Vec::with_capacity(events.len());
        for (by, event) in events {
            seq += 1;
            let record = Record { seq, at: now, by, event };
            hash = insert(transaction, &record, &hash)?;
            records.push(record);
        }
        self.pending.last = Some((seq, hash));
        self.pending.records = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let Some(signed) = &self.signed else { return Ok(records) };
        store::set_head(transaction, &Head::sign(&signed.signer, seq, now, hash, "commit"))?;
        let due = checkpoint.or_else(|| signed.due(now, self.pending.records));
        if let Some(why) = due {
            let head = Head::sign(&signed.signer, seq, now, hash, why);
            store::add_checkpoint(transaction, &head)?;
            self.pending.checkpoint = Some(head);
        }
        Ok(records)
    }
}

impl Signed {
    fn due(&self, now: Utc, more: u32) -> Option<&'static str> {
        if self.since.saturating_add(more) >= self.every {
            Some("count")
        } else if now >= self.checkpoint_at.plus(EVERY_TIME) {
            Some("hour")
        } else {
            None
        }
    }
}

fn insert(transaction: &Transaction<'_>, record: &Record, previous: &Hash) -> Result<Hash> {
    let (body, salt) = (body(record)?, chain::salt()?);
    let digest = chain::digest(&salt, body.as_bytes());
    let hash = chain::link(previous, &digest);
    let Record { seq, at, by, event: e } = record;
    transaction
        .prepare_cached(
            "INSERT INTO audit
                 (seq, at, kind, actor, zone, camera, screen, incident, agreement, body, salt, digest, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            seq,
            at,
            e.kind,
            by.account,
            e.zone,
            e.camera,
            e.screen,
            e.incident,
            e.agreement,
            body,
            salt,
            digest,
            hash
        ])?;
    Ok(hash)
}

/// The event that says so, where the log is not as this program left it.
fn other_than(left: Option<(i64, Hash)>, found: Option<(i64, Hash)>) -> Option<Event> {
    if left.is_none() || left == found {
        return None;
    }
    let (left, found) = (left.map_or(0, |l| l.0), found.map_or(0, |f| f.0));
    let reason = format!(
        "the log ended with record {found}, and not as this program left it with record {left}: something else has changed it meanwhile"
    );
    let details = json!({ "left": left, "found": found });
    Some(Event { reason: Some(reason), details, ..Event::new("log.broken") })
}

fn recovered(trouble: LogTrouble) -> Event {
    Event {
        reason: Some(trouble.reason),
        details: json!({ "since": trouble.since }),
        ..Event::new("log.recovered")
    }
}

fn key(path: &Path) -> Result<SigningKeyFile> {
    if path.symlink_metadata().is_ok() {
        return Ok(SigningKeyFile::open(path)?);
    }
    let public = public_path(path);
    if public.symlink_metadata().is_ok() {
        let detail = format!(
            "the private key of the audit log is missing: put it back from your copy. To go on with a new one, which the log will say for ever, move {} away",
            public.display()
        );
        return Err(Problem::invalid(path.display().to_string(), detail));
    }
    Ok(SigningKeyFile::create(path)?)
}

fn lock(path: &Path) -> Result<File> {
    let failed =
        |e: std::io::Error| Problem::new(Kind::Unavailable, path.display().to_string(), e.to_string());
    let file = File::options().write(true).create(true).truncate(false).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let detail = "another controller has this database open; one at a time";
            Err(Problem::conflict(path.display().to_string(), detail))
        }
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}
