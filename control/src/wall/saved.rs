//! Layouts in the database: the versions of the wall's own, and those that people saved.

use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::layout::{Layout, Region};
use crate::audit::{Actor, Event};
use crate::base::{Problem, Result, Utc};
use crate::db::Database;

/// Versions of a wall's layout that are kept.
const KEPT: u64 = 500;

/// A layout that somebody saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SavedLayout {
    /// Sixteen hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Account that saved it.
    pub owner: String,
    /// When it was saved last.
    pub at: Utc,
    /// Its regions.
    pub regions: Vec<Region>,
}

fn unreadable(error: serde_json::Error) -> Problem {
    Problem::internal("layout", format!("in the database cannot be read: {error}"))
}

/// The newest version of a wall's layout.
pub(super) fn newest(db: &Database, wall: &str) -> Result<Option<Layout>> {
    db.read(|connection| {
        let body: Option<String> = connection
            .query_row(
                "SELECT body FROM wall_layout WHERE wall = ?1 ORDER BY version DESC LIMIT 1",
                [wall],
                |row| row.get(0),
            )
            .optional()?;
        body.map(|body| serde_json::from_str(&body).map_err(unreadable)).transpose()
    })
}

/// Keeps a version of a wall's layout.
pub(super) fn keep(transaction: &Transaction<'_>, wall: &str, layout: &Layout) -> Result<()> {
    let body = serde_json::to_string(layout).map_err(unreadable)?;
    let (version, oldest) = (layout.version, layout.version.saturating_sub(KEPT));
    transaction.execute(
        "INSERT INTO wall_layout (wall, version, body) VALUES (?1, ?2, ?3)",
        params![wall, version as i64, body],
    )?;
    transaction
        .execute("DELETE FROM wall_layout WHERE wall = ?1 AND version <= ?2", params![wall, oldest as i64])?;
    Ok(())
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<(String, String, String, Utc, String)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn read_saved((id, name, owner, at, body): (String, String, String, Utc, String)) -> Result<SavedLayout> {
    Ok(SavedLayout { id, name, owner, at, regions: serde_json::from_str(&body).map_err(unreadable)? })
}

/// All saved layouts, by name.
pub fn list(db: &Database) -> Result<Vec<SavedLayout>> {
    db.read(|connection| {
        let mut statement =
            connection.prepare("SELECT id, name, owner, at, body FROM saved_layout ORDER BY name, id")?;
        let rows = statement.query_map([], read_row)?;
        rows.map(|row| read_saved(row?)).collect()
    })
}

/// One saved layout.
pub fn find(db: &Database, id: &str) -> Result<SavedLayout> {
    db.read(|connection| {
        let row = connection
            .query_row("SELECT id, name, owner, at, body FROM saved_layout WHERE id = ?1", [id], read_row)
            .optional()?;
        read_saved(row.ok_or_else(|| Problem::not_found(format!("layout {id}")))?)
    })
}

/// Saves regions under a name; with `id`, over the one that is there.
pub fn save(
    db: &Database,
    by: &Actor,
    id: Option<&str>,
    name: &str,
    regions: &[Region],
) -> Result<SavedLayout> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 {
        return Err(Problem::invalid("name", "must have 1 to 100 characters"));
    }
    let before = id.map(|id| find(db, id)).transpose()?;
    let body = serde_json::to_string(regions).map_err(unreadable)?;
    let saved = SavedLayout {
        id: before.as_ref().map_or_else(new_id, |saved| saved.id.clone()),
        name: name.to_owned(),
        owner: before.map_or_else(|| by.account.clone(), |saved| saved.owner),
        at: db.now(),
        regions: regions.to_vec(),
    };
    db.change(by, |transaction, events| {
        transaction.execute(
            "INSERT INTO saved_layout (id, name, owner, at, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, at = excluded.at, body = excluded.body",
            params![saved.id, saved.name, saved.owner, saved.at, body],
        )?;
        events.push(Event {
            subject: Some(saved.id.clone()),
            details: serde_json::json!({ "name": saved.name }),
            ..Event::new("layout.saved")
        });
        Ok(())
    })?;
    Ok(saved)
}

/// Removes a saved layout.
pub fn remove(db: &Database, by: &Actor, id: &str) -> Result<()> {
    db.change(by, |transaction, events| {
        if transaction.execute("DELETE FROM saved_layout WHERE id = ?1", [id])? == 0 {
            return Err(Problem::not_found(format!("layout {id}")));
        }
        events.push(Event { subject: Some(id.to_owned()), ..Event::new("layout.removed") });
        Ok(())
    })
}

/// An id that nobody has.
pub(super) fn new_id() -> String {
    use rand::RngExt;
    let number: u64 = rand::rng().random();
    format!("{number:016x}")
}
