//! Reads all rights from the database, within one read of it: one moment, not a mixture.

use rusqlite::{Connection, Row};

use super::agreements::unreadable;
use super::incidents::{self, IncidentState};
use super::{AccountFacts, AgreementFacts, IncidentFacts, Rights, State};
use crate::base::{Result, Utc};
use crate::people::Role;

/// The rights as they stand at `now`.
///
/// # Errors
/// Those of the database, and a record that cannot be understood: half of the rights is none.
pub(super) fn load(connection: &Connection, now: Utc) -> Result<Rights> {
    Ok(Rights::new(agreements(connection)?, open_incidents(connection, now)?, accounts(connection)?))
}

fn agreements(connection: &Connection) -> Result<Vec<AgreementFacts>> {
    let mut query = connection.prepare_cached(
        "SELECT id, zone, title, purposes, live, record, export, units, tags, valid_from,
            min(valid_to, coalesce(ends_at, valid_to)), state, since
         FROM agreements WHERE state <> 'withdrawn' ORDER BY id",
    )?;
    let rows = query.query_map([], |row| {
        Ok(AgreementFacts {
            id: row.get(0)?,
            zone: row.get(1)?,
            title: row.get(2)?,
            purposes: texts(row, 3)?,
            live: row.get(4)?,
            record: row.get(5)?,
            export: row.get(6)?,
            units: texts(row, 7)?,
            tags: texts(row, 8)?,
            from: row.get(9)?,
            to: row.get(10)?,
            state: word(row, 11, State::parse)?,
            since: row.get(12)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn open_incidents(connection: &Connection, now: Utc) -> Result<Vec<IncidentFacts>> {
    let columns = incidents::COLUMNS;
    let mut query =
        connection.prepare_cached(&format!("SELECT {columns} FROM incidents WHERE state <> 'closed'"))?;
    let rows = query.query_map([], |row| incidents::incident(row, now))?;
    let mut facts = Vec::new();
    for incident in rows {
        let incident = incident?;
        if incident.state != IncidentState::Closed {
            facts.push(IncidentFacts {
                basis: incident.in_words(),
                ends_at: incident.ends_at.unwrap_or(Utc::NEVER),
                id: incident.id,
                purpose: incident.purpose,
            });
        }
    }
    Ok(facts)
}

fn accounts(connection: &Connection) -> Result<Vec<AccountFacts>> {
    let mut query = connection.prepare_cached(
        "SELECT 'u-' || seq, role, unit, enabled,
            (SELECT json_group_array(zone) FROM account_zone WHERE account = seq)
         FROM account",
    )?;
    let rows = query.query_map([], |row| {
        Ok(AccountFacts {
            id: row.get(0)?,
            role: word(row, 1, Role::parse)?,
            unit: row.get(2)?,
            enabled: row.get(3)?,
            zones: texts(row, 4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn texts(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    let json: String = row.get(column)?;
    serde_json::from_str(&json).map_err(|error| unreadable(column, Box::new(error)))
}

fn word<T>(row: &Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| unreadable(column, format!("{text:?} is not known").into()))
}
