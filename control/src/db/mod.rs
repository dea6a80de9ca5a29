//! The embedded database: one file, one writer, many readers. What changes rights or what is shown
//! goes through [`Database::change`], which puts its audit records into the same transaction.

mod listeners;
mod migrate;
#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use vitrail_engine::base::SharedClock;
use vitrail_engine::base::files::sync_parent;
use vitrail_engine::evidence::PublicKey;

use crate::audit::verify::{self, Findings};
use crate::audit::{Actor, Event, Health, Ledger, LogTrouble, Record, Trouble};
use crate::base::database::BUSY_MS;
use crate::base::{Kind, Problem, Result, Utc};
use listeners::Listeners;

pub use listeners::Listener;

/// Readers that are kept open.
const READERS: usize = 4;
/// Bytes of the write-ahead log that stay on the disk after it was large once.
const MOST_WAL: i64 = 64 << 20;

/// The database of a controller. Every commit is on the disk before it returns (WAL, `synchronous = FULL`).
/// Readers never wait for the writer, nor it for them.
pub struct Database {
    // Before the writer: the last connection that closes cleans up, and only the writer can.
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Writer>,
    listeners: Listeners,
    health: Arc<Health>,
    public_key: Option<PublicKey>,
    checkpoints: Option<std::path::PathBuf>,
    path: std::path::PathBuf,
    clock: SharedClock,
}

struct Writer {
    connection: Connection,
    ledger: Ledger,
    closed: bool,
}

/// Why a change did not happen.
enum Failure {
    /// Its own reasons.
    Domain(Problem),
    /// It could not be put on record.
    Log(Problem),
}

impl Database {
    /// Opens the database of `path`, makes it where there is none (only its owner can read it), and brings it
    /// to today's form.
    ///
    /// # Errors
    /// Where it cannot be opened or written, or was written by a newer program.
    pub fn open(path: &Path, mut ledger: Ledger, clock: SharedClock) -> Result<Arc<Database>> {
        make(path)?;
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "journal_size_limit", MOST_WAL)?;
        migrate::migrate(&mut connection)?;
        ledger.start(&mut connection, Utc::now(&clock))?;
        Ok(Arc::new(Database {
            readers: Mutex::default(),
            listeners: Listeners::default(),
            health: ledger.health(),
            public_key: ledger.public_key(),
            checkpoints: ledger.checkpoint_file().map(Path::to_owned),
            writer: Mutex::new(Writer { connection, ledger, closed: false }),
            path: path.to_owned(),
            clock,
        }))
    }

    /// The clock by which records are dated.
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// The time of day.
    pub fn now(&self) -> Utc {
        Utc::now(&self.clock)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the log is well: what operators see (`log_ok`). Never waits for a writer.
    ///
    /// # Errors
    /// What is wrong. It ends by itself when records can be written again.
    pub fn log_state(&self) -> Result<(), LogTrouble> {
        self.health.state()
    }

    /// The key that verifies the log; none where nothing is signed.
    pub fn public_key(&self) -> Option<&PublicKey> {
        self.public_key.as_ref()
    }

    /// Reads one state of the database, beside writers and other readers.
    ///
    /// # Errors
    /// Those of `f`, and where the database cannot be read.
    pub fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let pooled = self.readers.lock().pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let snapshot = connection.unchecked_transaction()?;
        let result = f(&connection);
        snapshot.finish()?;
        let mut readers = self.readers.lock();
        if readers.len() < READERS {
            readers.push(connection);
        }
        result
    }

    /// Changes something on behalf of `by`: what `f` changes and the events that it leaves are
    /// committed together or not at all; then the listeners are told, on this thread unless another one
    /// tells already, in the order of the commits.
    ///
    /// # Errors
    /// Those of `f`; [`Kind::Unavailable`] where the log cannot be written, and then nothing was
    /// changed and [`Database::log_state`] says why.
    pub fn change<T>(
        &self,
        by: &Actor,
        f: impl FnOnce(&Transaction<'_>, &mut Vec<Event>) -> Result<T>,
    ) -> Result<T> {
        let mut writer = self.writer();
        let now = self.now();
        match writer.attempt(now, by, f) {
            Ok((value, records)) => {
                if records.is_empty() {
                    return Ok(value);
                }
                self.listeners.commit(records);
                drop(writer);
                self.listeners.tell();
                Ok(value)
            }
            Err(Failure::Domain(problem)) => Err(problem),
            Err(Failure::Log(problem)) => {
                self.health.failed(Trouble::Records, now, problem.detail.clone());
                Err(problem)
            }
        }
    }

    /// Puts one event on record.
    ///
    /// # Errors
    /// As [`Database::change`].
    pub fn record(&self, by: &Actor, event: Event) -> Result<()> {
        self.change(by, |_, events| {
            events.push(event);
            Ok(())
        })
    }

    /// Writes something that says nothing, to see whether the database can be written now.
    ///
    /// # Errors
    /// As [`Database::change`].
    pub fn try_writing(&self) -> Result<()> {
        let now = self.now();
        self.change(&Actor::system(), |transaction, _| {
            let sql =
                "INSERT INTO ready (id, at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET at = excluded.at";
            transaction.execute(sql, [now])?;
            Ok(())
        })
    }

    /// Tells `listener` of every commit that left records.
    pub fn on_commit(&self, listener: Listener) {
        self.listeners.add(listener);
    }

    /// To be called about once a second: makes the checkpoint of the hour, and tries whether a log that could
    /// not be written can be written again.
    pub fn tend(&self) {
        if self.health.trouble(Trouble::Records).is_some() {
            // What is wrong stays told; that it is not any more is a record of its own.
            let _ = self.change(&Actor::system(), |_, _| Ok(()));
        }
        let (mut writer, now) = (self.writer(), self.now());
        if !writer.closed
            && writer.ledger.checkpoint_due(now)
            && let Err(problem) = writer.checkpoint(now)
        {
            self.health.failed(Trouble::Records, now, problem.detail);
        }
    }

    /// Waits until the file of the checkpoints holds all of them, at most five seconds. True where it does.
    pub fn settle(&self) -> bool {
        self.writer().ledger.settle()
    }

    /// Writes the write-ahead log back into the database and cuts it: nothing of what was replaced is left
    /// in it, as far as no reader needs it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_back(&self) -> Result<()> {
        self.writer().connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Verifies the whole log, with the controller's own key and checkpoint file, beside writers.
    ///
    /// # Errors
    /// Where the database or the checkpoint file cannot be read.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Findings> {
        let keys: Vec<PublicKey> = self.public_key.iter().cloned().collect();
        // Read before the database: what is appended between the two is no trouble then.
        let lines = self.checkpoints.as_deref().map(verify::read_checkpoints).transpose()?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.read(|connection| verify::verify_connection(connection, &name, &keys, lines, progress))
    }

    /// Ends the log in order: its end is on record and signed. Nothing can be changed afterwards. Dropping
    /// does the same.
    ///
    /// # Errors
    /// Where that could not be written.
    pub fn close(&self) -> Result<()> {
        self.writer().close(self.now())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(problem) = self.close() {
            tracing::error!("the end is not on record: {problem}");
        }
    }
}

impl Writer {
    fn attempt<T>(
        &mut self,
        now: Utc,
        by: &Actor,
        f: impl FnOnce(&Transaction<'_>, &mut Vec<Event>) -> Result<T>,
    ) -> Result<(T, Vec<Record>), Failure> {
        if self.closed {
            return Err(Failure::Domain(Problem::new(Kind::Unavailable, "database", "the controller ends")));
        }
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(log)?;
        let mut events = Vec::new();
        let value = f(&transaction, &mut events).map_err(|problem| {
            // The disk's troubles hit the log as well, whoever notices them first.
            let unwritable = problem.kind == Kind::Unavailable && problem.title == "database";
            if unwritable { Failure::Log(unavailable(problem.detail)) } else { Failure::Domain(problem) }
        })?;
        if transaction.is_autocommit() {
            // SQLite has rolled back by itself, and `f` did not notice.
            return Err(Failure::Log(unavailable("the transaction was lost")));
        }
        let records =
            self.ledger.append(&transaction, now, by, events).map_err(|problem| match problem.kind {
                Kind::TooLarge => Failure::Domain(problem),
                _ => Failure::Log(unavailable(problem.detail)),
            })?;
        transaction.commit().map_err(log)?;
        self.ledger.committed();
        Ok((value, records))
    }

    fn checkpoint(&mut self, now: Utc) -> Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.ledger.checkpoint(&transaction, now, "hour")?;
        transaction.commit()?;
        self.ledger.committed();
        Ok(())
    }

    fn close(&mut self, now: Utc) -> Result<()> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        self.ledger.stop(&mut self.connection, now)
    }
}

fn log(error: rusqlite::Error) -> Failure {
    Failure::Log(unavailable(Problem::from(error).detail))
}

fn unavailable(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::Unavailable, "database", detail).code("log")
}

/// Makes an empty file that only its owner can read: it will hold the hashes of passwords.
fn make(path: &Path) -> Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file.sync_all().and_then(|()| sync_parent(path)).map_err(|e| cannot_open(path, &e)),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(cannot_open(path, &e)),
    }
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|e| cannot_open(path, &e))?;
    // Connection::busy_timeout needs a newer SQLite than Debian's.
    connection.pragma_update(None, "busy_timeout", BUSY_MS)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

fn cannot_open(path: &Path, why: &dyn std::error::Error) -> Problem {
    Problem::new(
        Kind::Unavailable,
        path.display().to_string(),
        format!("cannot be opened as a database: {why}"),
    )
}
