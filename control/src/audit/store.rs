//! The tables of the log as they are read and written; SQL and nothing else.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use vitrail_engine::evidence::PublicKey;

use super::chain::{Hash, Head};
use crate::base::Result;

/// Number and hash of the newest record.
pub(super) fn newest(connection: &Connection) -> Result<Option<(i64, Hash)>> {
    let mut statement = connection.prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?;
    Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// The hash of a record.
pub(super) fn hash_of(connection: &Connection, seq: i64) -> Result<Option<Hash>> {
    let mut statement = connection.prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?;
    Ok(statement.query_row([seq], |row| row.get(0)).optional()?)
}

/// The signed head.
pub(super) fn head(connection: &Connection) -> Result<Option<Head>> {
    let mut statement =
        connection.prepare_cached("SELECT seq, at, hash, why, key_id, signature FROM audit_head")?;
    Ok(statement.query_row([], read_head).optional()?)
}

pub(super) fn set_head(transaction: &Transaction<'_>, head: &Head) -> Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO audit_head (one, seq, at, hash, why, key_id, signature)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    statement.execute(params![head.seq, head.at, head.hash, head.why, head.key_id, head.signature])?;
    Ok(())
}

pub(super) fn add_checkpoint(transaction: &Transaction<'_>, head: &Head) -> Result<()> {
    transaction.execute(
        "INSERT INTO audit_checkpoint (seq, at, hash, why, key_id, signature) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![head.seq, head.at, head.hash, head.why, head.key_id, head.signature],
    )?;
    Ok(())
}

/// Checkpoints of records from `first` to `last`, in their order.
pub(super) fn checkpoints(connection: &Connection, first: i64, last: i64) -> Result<Vec<Head>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at, hash, why, key_id, signature FROM audit_checkpoint
         WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq, number",
    )?;
    let heads = statement.query_map([first, last], read_head)?.collect::<rusqlite::Result<_>>()?;
    Ok(heads)
}

/// The newest checkpoint of a record that is there.
pub(super) fn newest_checkpoint(connection: &Connection) -> Result<Option<Head>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at, hash, why, key_id, signature FROM audit_checkpoint
         WHERE seq <= (SELECT max(seq) FROM audit) ORDER BY seq DESC, number DESC LIMIT 1",
    )?;
    Ok(statement.query_row([], read_head).optional()?)
}

/// The keys that the log names, by id. Rows that hold no key are left out.
pub(super) fn keys(connection: &Connection) -> Result<Vec<PublicKey>> {
    let mut statement = connection.prepare_cached("SELECT public FROM audit_key ORDER BY rowid")?;
    let texts: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(texts.iter().filter_map(|text| PublicKey::from_base64(text)).collect())
}

pub(super) fn add_key(transaction: &Transaction<'_>, key: &PublicKey) -> Result<()> {
    transaction
        .execute("INSERT INTO audit_key (id, public) VALUES (?1, ?2)", params![key.id(), key.base64()])?;
    Ok(())
}

fn read_head(row: &Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        seq: row.get(0)?,
        at: row.get(1)?,
        hash: row.get(2)?,
        why: row.get(3)?,
        key_id: row.get(4)?,
        signature: row.get(5)?,
    })
}
