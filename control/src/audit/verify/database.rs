//! The log as a database holds it. Reads what somebody may have tampered with, so it takes nothing for granted.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::walk::{Columns, Content, Entry, Walk};
use crate::audit::chain::Hash;
use crate::base::Result;

/// How often the progress is told, in records.
const STEP: u64 = 1000;

/// Takes every record from `after` on through the pass.
pub(in crate::audit) fn walk(
    connection: &Connection,
    after: i64,
    walk: &mut Walk,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let of: i64 =
        connection.query_row("SELECT count(*) FROM audit WHERE seq > ?1", [after], |row| row.get(0))?;
    let of = u64::try_from(of).unwrap_or(0);
    let mut statement = connection.prepare(
        "SELECT seq, at, kind, actor, zone, camera, screen, incident, agreement, body, salt, digest, hash
         FROM audit WHERE seq > ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([after])?;
    let mut done = 0;
    while let Some(row) = rows.next()? {
        let mut texts = [None; 7];
        for (index, text) in texts.iter_mut().enumerate() {
            *text = self::text(row.get_ref(2 + index)?);
        }
        let columns = Columns { at: row.get_ref(1)?.as_i64().ok(), digest: hash(row.get_ref(11)?), texts };
        walk.step(&Entry {
            seq: row.get_ref(0)?.as_i64().unwrap_or(0),
            content: Content::Whole {
                salt: bytes(row.get_ref(10)?),
                body: bytes(row.get_ref(9)?),
                row: Some(columns),
            },
            hash: hash(row.get_ref(12)?),
        });
        done += 1;
        if done % STEP == 0 {
            progress(done, of);
        }
    }
    progress(done, of);
    Ok(())
}

fn text(value: ValueRef<'_>) -> Option<&str> {
    match value {
        ValueRef::Null => None,
        // Whatever is no text is no name that a record could say.
        _ => Some(value.as_str().unwrap_or("\u{fffd}")),
    }
}

fn bytes(value: ValueRef<'_>) -> &[u8] {
    value.as_bytes().unwrap_or_default()
}

fn hash(value: ValueRef<'_>) -> Option<Hash> {
    value.as_bytes().ok()?.try_into().ok()
}
