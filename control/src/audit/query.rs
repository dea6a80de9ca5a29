//! Searching the log.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::{Actor, Event, Record};
use crate::base::{Result, Utc};

/// Which records are meant. Empty fields mean all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Written then or later.
    pub from: Option<Utc>,
    /// Written before.
    pub to: Option<Utc>,
    /// This kind; `showing.*` is all kinds of a room.
    pub kind: Option<String>,
    /// Concerning this camera.
    pub camera: Option<String>,
    /// Concerning this zone.
    pub zone: Option<String>,
    /// By this account.
    pub account: Option<String>,
    /// Under this incident.
    pub incident: Option<String>,
    /// Concerning one of these zones: what a zone authority may read.
    pub zones: Option<Vec<String>>,
}

/// In which order records are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they were written.
    OldestFirst,
    /// The newest first.
    #[default]
    NewestFirst,
}

impl Query {
    /// The condition in SQL, with numbered parameters from 1 on, and their values.
    pub(super) fn condition(&self) -> (String, Vec<Value>) {
        let (mut parts, mut values): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
        let mut part = |before: &str, value: Value, after: &str| {
            values.push(value);
            parts.push(format!("{before}?{}{after}", values.len()));
        };
        for (before, time) in [("at >= ", self.from), ("at < ", self.to)] {
            if let Some(time) = time {
                part(before, time.0.into(), "");
            }
        }
        match self.kind.as_deref().map(|kind| (kind, kind.strip_suffix(".*"))) {
            Some((_, Some(room))) => {
                part("kind >= ", format!("{room}.").into(), "");
                // The character after the full stop: all kinds that begin so.
                part("kind < ", format!("{room}/").into(), "");
            }
            Some((kind, None)) => part("kind = ", kind.to_owned().into(), ""),
            None => {}
        }
        let columns = [
            ("camera = ", &self.camera),
            ("zone = ", &self.zone),
            ("actor = ", &self.account),
            ("incident = ", &self.incident),
        ];
        for (before, value) in columns {
            if let Some(value) = value {
                part(before, value.clone().into(), "");
            }
        }
        if let Some(zones) = &self.zones {
            let list = serde_json::Value::from(zones.clone()).to_string();
            part("zone IN (SELECT value FROM json_each(", list.into(), "))");
        }
        if parts.is_empty() {
            parts.push("1".into());
        }
        (parts.join(" AND "), values)
    }
}

/// Up to `limit` records after record `after` in this order, and whether there are more.
pub fn list(
    connection: &Connection,
    query: &Query,
    order: Order,
    after: Option<i64>,
    limit: usize,
) -> Result<(Vec<Record>, bool)> {
    let (meant, mut values) = query.condition();
    let (beyond, direction) = match order {
        Order::OldestFirst => (">", "ASC"),
        Order::NewestFirst => ("<", "DESC"),
    };
    let after = match after {
        Some(seq) => {
            values.push(seq.into());
            format!("AND seq {beyond} ?{}", values.len())
        }
        None => String::new(),
    };
    values.push(i64::try_from(limit).unwrap_or(i64::MAX - 1).saturating_add(1).into());
    let sql = format!(
        "SELECT seq, at, kind, body FROM audit WHERE {meant} {after} ORDER BY seq {direction} LIMIT ?{}",
        values.len()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut records: Vec<Record> =
        statement.query_map(params_from_iter(values), read)?.collect::<rusqlite::Result<_>>()?;
    let more = records.len() > limit;
    records.truncate(limit);
    Ok((records, more))
}

/// A record that somebody made unreadable is shown as that, and hides none of the others.
fn read(row: &Row<'_>) -> rusqlite::Result<Record> {
    let (seq, at, kind): (i64, Utc, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let body = row.get_ref(3)?.as_bytes().unwrap_or_default();
    Ok(serde_json::from_slice(body).unwrap_or_else(|_| Record {
        seq,
        at,
        by: Actor { account: String::new(), name: String::new(), via: String::new(), ..Actor::system() },
        event: Event { reason: Some("unreadable: verify the log".into()), ..Event::new(&kind) },
    }))
}
