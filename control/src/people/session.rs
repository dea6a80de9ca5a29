//! Logins of browsers: a secret in a cookie, ended by logout, idleness, age, or a change of the
//! account. What hangs on a login (previews, event streams) is told the moment that it ends.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio_util::sync::CancellationToken;

use super::account::{self, Account};
use super::secret::{self, Hash, Secret};
use crate::base::{Result, Utc};
use crate::db::Database;

/// How stale the last use of a session or token may be in the database: a write per minute and
/// person, not one per request.
const WRITE_SEEN: Duration = Duration::from_secs(60);

/// When a login ends by itself.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// After so long without a request.
    pub idle: Duration,
    /// After so long in any case.
    pub longest: Duration,
}

impl Default for Lifetimes {
    /// Two hours without a request; twelve in all, which is a shift.
    fn default() -> Lifetimes {
        Lifetimes { idle: Duration::from_secs(2 * 3600), longest: Duration::from_secs(12 * 3600) }
    }
}

/// A login that stands.
#[derive(Clone, Debug)]
pub struct Login {
    /// Public id: `s-…` for a session, `t-…` for an API token.
    pub id: String,
    /// Whose.
    pub account: Account,
    /// Cancelled when it ends.
    pub ended: CancellationToken,
}

/// The logins that are in use, in memory, so that what hangs on them can be told.
#[derive(Debug, Default)]
pub struct LiveLogins {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Counts endings: who read the database before one must read again.
    endings: u64,
    logins: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    account: i64,
    seen: Utc,
    written: Utc,
    ended: CancellationToken,
}

/// What [`LiveLogins::enter`] found.
pub(super) struct Entered {
    pub(super) ended: CancellationToken,
    /// Its last use is to be written down.
    pub(super) write: bool,
}

impl LiveLogins {
    /// Cancelled when the login of this id (`s-…` or `t-…`) ends; at once where it does not stand.
    pub fn ended(&self, id: &str) -> CancellationToken {
        let inner = self.inner.lock();
        inner.logins.get(id).map_or_else(cancelled, |entry| entry.ended.clone())
    }

    /// How many are in use.
    pub fn count(&self) -> usize {
        self.inner.lock().logins.len()
    }

    /// Remember this before reading a login from the database, for [`LiveLogins::enter`].
    pub(super) fn endings(&self) -> u64 {
        self.inner.lock().endings
    }

    /// When it was last used, where that is known here.
    pub(super) fn seen(&self, id: &str) -> Option<Utc> {
        let inner = self.inner.lock();
        inner.logins.get(id).map(|entry| entry.seen)
    }

    /// A login is used. None where any login ended since `endings` was asked for: it may be this
    /// one, so the database must be read again.
    pub(super) fn enter(
        &self,
        id: &str,
        account: i64,
        written: Utc,
        now: Utc,
        endings: u64,
    ) -> Option<Entered> {
        let mut inner = self.inner.lock();
        if inner.endings != endings {
            return None;
        }
        let entry = inner.logins.entry(id.to_owned()).or_insert_with(|| Entry {
            account,
            seen: now,
            written,
            ended: CancellationToken::new(),
        });
        entry.seen = entry.seen.max(now);
        let write = now >= entry.written.plus(WRITE_SEEN);
        if write {
            entry.written = now;
        }
        Some(Entered { ended: entry.ended.clone(), write })
    }

    /// A login is over; call it after the commit.
    pub fn end(&self, id: &str) {
        self.end_where(|other, _| other == id);
    }

    /// All logins of an account are over, tokens too where they go on being valid: what hangs on them
    /// was allowed to what the account was before. Call it after the commit.
    pub(super) fn end_of(&self, account: i64) {
        self.end_where(|_, entry| entry.account == account);
    }

    /// The sessions of an account are over, but the one that is to stay; call it after the commit.
    pub(super) fn end_sessions_of(&self, account: i64, stays: &str) {
        self.end_where(|id, entry| entry.account == account && id.starts_with("s-") && id != stays);
    }

    fn end_where(&self, over: impl Fn(&str, &Entry) -> bool) {
        let mut inner = self.inner.lock();
        inner.endings += 1;
        let ended: Vec<Entry> =
            inner.logins.extract_if(|id, entry| over(id, entry)).map(|(_, e)| e).collect();
        drop(inner);
        for entry in ended {
            entry.ended.cancel();
        }
    }
}

fn cancelled() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}

/// Begins a session: its secret for the cookie, and its public id.
pub(super) fn begin(
    transaction: &Transaction<'_>,
    account: i64,
    address: Option<&str>,
    now: Utc,
) -> Result<(Secret, String)> {
    let secret = secret::make()?;
    let hash = secret::hash(&secret);
    let id = secret::public_id('s', &hash);
    transaction.execute(
        "INSERT INTO session (hash, id, account, created_at, seen_at, address) VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
        params![hash, id, account, now, address],
    )?;
    transaction.execute("UPDATE account SET last_login = ?2 WHERE seq = ?1", params![account, now])?;
    Ok((secret, id))
}

/// The session of a cookie's secret, where it stands: known, neither idle nor old, its account enabled.
pub(super) fn find(
    connection: &Connection,
    hash: &Hash,
    lifetimes: Lifetimes,
    live: &LiveLogins,
    now: Utc,
) -> Result<Option<(String, Account, Utc)>> {
    let row: Option<(String, i64, Utc, Utc)> = connection
        .prepare_cached("SELECT id, account, created_at, seen_at FROM session WHERE hash = ?1")?
        .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((id, seq, created_at, seen_at)) = row else { return Ok(None) };
    let seen = live.seen(&id).map_or(seen_at, |seen| seen.max(seen_at));
    if over(created_at, seen, lifetimes, now) {
        return Ok(None);
    }
    Ok(account::find(connection, seq)?
        .filter(|account| account.enabled)
        .map(|account| (id, account, seen_at)))
}

fn over(created_at: Utc, seen: Utc, lifetimes: Lifetimes, now: Utc) -> bool {
    now >= created_at.plus(lifetimes.longest) || now >= seen.plus(lifetimes.idle)
}

/// Sessions that timed out, and whose: (id, account).
pub(super) fn timed_out(
    connection: &Connection,
    lifetimes: Lifetimes,
    live: &LiveLogins,
    now: Utc,
) -> Result<Vec<(String, i64)>> {
    let mut statement = connection.prepare_cached("SELECT id, account, created_at, seen_at FROM session")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let mut ended = Vec::new();
    for row in rows {
        let (id, account, created_at, seen_at): (String, i64, Utc, Utc) = row?;
        let seen = live.seen(&id).map_or(seen_at, |seen| seen.max(seen_at));
        if over(created_at, seen, lifetimes, now) {
            ended.push((id, account));
        }
    }
    Ok(ended)
}

/// Writes down that a session or token was used. Its failure keeps nobody out: the time is known in
/// memory, and what matters is that reading goes on while the disk is full.
pub(super) fn write_seen(db: &Database, id: &str, now: Utc) {
    let written = db.change(&crate::audit::Actor::system(), |transaction, _| {
        let statement = match id.starts_with("s-") {
            true => "UPDATE session SET seen_at = ?2 WHERE id = ?1",
            false => "UPDATE token SET used_at = ?2 WHERE id = ?1",
        };
        transaction.execute(statement, params![id, now])?;
        Ok(())
    });
    if let Err(problem) = written {
        tracing::warn!("the last use of {id} is not written down: {problem}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Utc = Utc(1_000_000);

    #[test]
    fn what_hangs_on_a_login_is_told_at_its_end() {
        let live = LiveLogins::default();
        assert!(live.ended("s-1").is_cancelled(), "one that does not stand has ended");
        for (id, account) in [("s-1", 1), ("s-2", 1), ("t-3", 1), ("s-4", 2)] {
            live.enter(id, account, NOW, NOW, live.endings()).expect("nothing ended meanwhile");
        }
        let ended = ["s-1", "s-2", "t-3", "s-4"].map(|id| live.ended(id));
        live.end("s-1");
        assert_eq!(ended.each_ref().map(|e| e.is_cancelled()), [true, false, false, false]);
        live.end_sessions_of(1, "s-2");
        assert_eq!(ended.each_ref().map(|e| e.is_cancelled()), [true, false, false, false]);
        live.end_of(1);
        assert_eq!(ended.each_ref().map(|e| e.is_cancelled()), [true, true, true, false]);
        assert_eq!(live.count(), 1);
    }

    #[test]
    fn a_login_that_ended_while_it_was_read_is_not_entered() {
        let live = LiveLogins::default();
        let endings = live.endings();
        live.end("s-1");
        assert!(live.enter("s-1", 1, NOW, NOW, endings).is_none());
        assert!(live.enter("s-1", 1, NOW, NOW, live.endings()).is_some());
    }

    #[test]
    fn its_last_use_is_written_once_a_minute() {
        let live = LiveLogins::default();
        let write = |now| live.enter("s-1", 1, NOW, now, live.endings()).expect("entered").write;
        assert!(!write(NOW));
        assert!(write(NOW.plus(WRITE_SEEN)) && !write(NOW.plus(WRITE_SEEN)));
        assert!(write(NOW.plus(WRITE_SEEN * 2)));
    }
}
