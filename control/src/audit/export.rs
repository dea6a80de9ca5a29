//! The log as a file of lines that needs no database: `docs/ref/audit.md` says it byte for byte.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::chain::{self, Hash, START};
use super::query::Query;
use super::{Head, store};
use crate::base::{Problem, Result, Utc, hex};

/// What the last line begins with, and the version of this form.
pub(super) const FORMAT: &str = "vitrail-audit/1";
/// Records that are read at a time.
const PAGE: i64 = 500;

/// A line with a record: whole, or its digest alone.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordLine {
    pub seq: i64,
    #[serde(with = "chain::in_hex")]
    pub hash: Hash,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub salt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
}

/// The last line: what signatures cover.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndLine {
    pub format: String,
    /// The first and the last record of this export.
    pub first: i64,
    pub last: i64,
    /// The hash of the record before the first.
    #[serde(with = "chain::in_hex")]
    pub previous: Hash,
    /// The last record, signed.
    pub head: Option<Head>,
    /// Checkpoints on the way.
    pub checkpoints: Vec<Head>,
    /// Public keys (DER, base64) of the log.
    pub keys: Vec<String>,
}

/// An export that is under way. Between two pages it holds nothing of the database.
#[derive(Debug)]
pub struct Export {
    query: Query,
    first: i64,
    last: i64,
    previous: Hash,
    /// The log's head when this began: records come on meanwhile.
    head: Option<Head>,
    next: i64,
    ended: bool,
}

impl Export {
    /// Begins. Of the time that `query` names every record is in it, so that the chain can be followed; those
    /// that it does not mean, and those after it up to the next signature, are there as digests.
    pub fn begin(connection: &Connection, query: Query) -> Result<Export> {
        let head = store::head(connection)?;
        let newest = match &head {
            Some(head) => head.seq,
            None => store::newest(connection)?.map_or(0, |(seq, _)| seq),
        };
        let edge = |sql: &str, at: Option<Utc>, otherwise: i64| -> Result<i64> {
            let Some(at) = at else { return Ok(otherwise) };
            Ok(connection.query_row(sql, [at], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0))
        };
        let first = edge("SELECT min(seq) FROM audit WHERE at >= ?1", query.from, 1)?;
        let wanted = edge("SELECT max(seq) FROM audit WHERE at < ?1", query.to, newest)?;
        if newest == 0 || first == 0 || first > wanted {
            return Err(Problem::not_found("records of that time"));
        }
        let signed = connection.query_row(
            "SELECT min(seq) FROM audit_checkpoint WHERE seq >= ?1",
            [wanted],
            |row| row.get::<_, Option<i64>>(0),
        )?;
        let last = signed.unwrap_or(newest).min(newest).max(wanted);
        let previous = match first {
            1 => START,
            _ => store::hash_of(connection, first - 1)?.unwrap_or(START),
        };
        Ok(Export { query, first, last, previous, head, next: first, ended: false })
    }

    /// The first record and the last.
    pub fn range(&self) -> (i64, i64) {
        (self.first, self.last)
    }

    /// The next lines; `None` after the last.
    pub fn page(&mut self, connection: &Connection) -> Result<Option<String>> {
        if self.ended {
            return Ok(None);
        }
        let mut text = String::new();
        if self.next <= self.last {
            self.records(connection, &mut text)?;
        } else {
            self.ended = true;
            self.end(connection, &mut text)?;
        }
        Ok(Some(text))
    }

    /// Up to a page of records, and how they are shown.
    fn records(&mut self, connection: &Connection, text: &mut String) -> Result<()> {
        let to = self.last.min(self.next + PAGE - 1);
        let (meant, values) = self.query.condition();
        let sql = format!(
            "SELECT seq, hash, salt, body, digest, coalesce({meant}, 0) FROM audit
             WHERE seq BETWEEN ?{} AND ?{} ORDER BY seq",
            values.len() + 1,
            values.len() + 2
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let bounds = [self.next.into(), to.into()];
        let mut rows = statement.query(rusqlite::params_from_iter(values.into_iter().chain(bounds)))?;
        while let Some(row) = rows.next()? {
            let whole: bool = row.get(5)?;
            let line = RecordLine {
                seq: row.get(0)?,
                hash: row.get(1)?,
                salt: if whole { Some(hex(row.get_ref(2)?.as_bytes().unwrap_or_default())) } else { None },
                body: if whole { Some(row.get(3)?) } else { None },
                digest: if whole { None } else { Some(hex(row.get_ref(4)?.as_bytes().unwrap_or_default())) },
            };
            push(text, &line)?;
        }
        self.next = to + 1;
        Ok(())
    }

    fn end(&self, connection: &Connection, text: &mut String) -> Result<()> {
        let checkpoints = store::checkpoints(connection, self.first, self.last)?;
        let ends_here = |head: &&Head| head.seq == self.last;
        let head = self.head.iter().chain(checkpoints.last()).find(ends_here).cloned();
        let line = EndLine {
            format: FORMAT.into(),
            first: self.first,
            last: self.last,
            previous: self.previous,
            head,
            checkpoints,
            keys: store::keys(connection)?.iter().map(|key| key.base64()).collect(),
        };
        push(text, &line)
    }
}

fn push(text: &mut String, line: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(line).map_err(|e| Problem::internal("export", e.to_string()))?;
    text.push_str(&line);
    text.push('\n');
    Ok(())
}
