//! The embedded database: one file, one writer, many readers. What changes rights or what is shown
//! goes through [`Database::change`], which puts its audit records into the same transaction.

mod migrate;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use vitrail_engine::base::SharedClock;

use crate::audit::{Actor, Event, Ledger, Record};
use crate::{Problem, Result, Utc};

/// How long a reader waits for a checkpoint of the write-ahead log.
const BUSY: Duration = Duration::from_secs(5);
/// Readers that are kept open.
const READERS: usize = 4;

/// Called on the committing thread, right after the commit, with what was recorded.
pub type Listener = Box<dyn Fn(&[Record]) + Send + Sync>;

/// The database of a controller. Every commit is on the disk before it returns (WAL, `synchronous = FULL`).
pub struct Database {
    writer: Mutex<Writer>,
    readers: Mutex<Vec<Connection>>,
    listeners: RwLock<Vec<Listener>>,
    path: std::path::PathBuf,
    clock: SharedClock,
}

struct Writer {
    connection: Connection,
    ledger: Ledger,
}

impl Database {
    /// Opens the database of `path`, makes it where there is none, and brings it to today's form.
    pub fn open(path: &Path, ledger: Ledger, clock: SharedClock) -> Result<Arc<Database>> {
        let mut connection = connect(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        migrate::migrate(&mut connection)?;
        Ok(Arc::new(Database {
            writer: Mutex::new(Writer { connection, ledger }),
            readers: Mutex::default(),
            listeners: RwLock::default(),
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

    /// Reads, beside writers and other readers.
    pub fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let pooled = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.path)?;
                connection.pragma_update(None, "query_only", true)?;
                connection
            }
        };
        let result = f(&connection);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(connection);
        }
        result
    }

    /// Changes something on behalf of `by`: what `f` changes and the events that it leaves are
    /// committed together or not at all; then the listeners are told, on this thread.
    ///
    /// # Errors
    /// Those of `f`; [`crate::base::Kind::Unavailable`] where the log cannot be written, and then
    /// nothing was changed.
    pub fn change<T>(
        &self,
        by: &Actor,
        f: impl FnOnce(&Transaction<'_>, &mut Vec<Event>) -> Result<T>,
    ) -> Result<T> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Writer { connection, ledger } = &mut *writer;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut events = Vec::new();
        let value = f(&transaction, &mut events)?;
        let now = Utc::now(&self.clock);
        let records = ledger.append(&transaction, now, by, events)?;
        transaction.commit()?;
        ledger.committed(&records);
        drop(writer);
        if !records.is_empty() {
            for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
                listener(&records);
            }
        }
        Ok(value)
    }

    /// Puts one event on record.
    pub fn record(&self, by: &Actor, event: Event) -> Result<()> {
        self.change(by, |_, events| {
            events.push(event);
            Ok(())
        })
    }

    /// Tells `listener` of every commit that left records.
    pub fn on_commit(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| {
        Problem::new(
            crate::base::Kind::Unavailable,
            path.display().to_string(),
            format!("cannot be opened as a database: {e}"),
        )
    })?;
    // By pragma: the function of this name in rusqlite 0.43 needs SQLite 3.44, and Debian 12 has 3.40.
    connection.pragma_update(None, "busy_timeout", i64::try_from(BUSY.as_millis()).unwrap_or(i64::MAX))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}
