//! What ends by itself: incidents whose grace is over.

use rusqlite::params;
use serde_json::json;

use super::incidents::{self, about};
use crate::audit::{Actor, Event};
use crate::base::{Result, Utc};
use crate::db::Database;

/// Closes the incidents whose end has come, and says when the next one comes ([`Utc::NEVER`]: none is
/// closing). The policy needs no such call: for it an incident is over at its end. This writes it down.
///
/// # Errors
/// Those of the database; then nothing was written, and the next call does it.
pub fn due(db: &Database, now: Utc) -> Result<Utc> {
    let ended = db.read(|connection| {
        let mut query = connection.prepare_cached(
            "SELECT id FROM incidents WHERE state = 'closing' AND ends_at <= ?1 ORDER BY ends_at, id",
        )?;
        let ids = query.query_map([now], |row| row.get::<_, String>(0))?;
        Ok(ids.collect::<rusqlite::Result<Vec<_>>>()?)
    })?;
    if !ended.is_empty() {
        db.change(&Actor::system(), |transaction, events| {
            for id in &ended {
                let closed = transaction.execute(
                    "UPDATE incidents SET state = 'closed', closed_at = ?2
                     WHERE id = ?1 AND state = 'closing' AND ends_at <= ?2",
                    params![id, now],
                )?;
                if closed == 1 {
                    let incident = incidents::found(transaction, id, now)?;
                    events.push(Event {
                        details: json!({
                            "title": incident.title, "ends_at": incident.ends_at, "closed_by": incident.closed_by
                        }),
                        ..about("incident.closed", &incident)
                    });
                }
            }
            Ok(())
        })?;
    }
    db.read(|connection| {
        let next: Option<Utc> = connection.query_row(
            "SELECT min(ends_at) FROM incidents WHERE state = 'closing'",
            [],
            |row| row.get(0),
        )?;
        Ok(next.unwrap_or(Utc::NEVER))
    })
}
