//! What is agreed: the text of an agreement, checked before it is kept; and the purposes it may name.

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::audit::{Actor, Event};
use crate::base::{Problem, Result, Utc};
use crate::db::Database;

/// Longest title, party, unit, tag or word, in characters.
const LONGEST_NAME: usize = 200;
/// Longest reason or description, in characters.
const LONGEST_TEXT: usize = 4000;
/// Most entries of one list.
const MOST_ENTRIES: usize = 100;
/// Bytes of all terms of an agreement, as JSON: a record holds those before and after a change.
const MOST_BYTES: usize = 16 << 10;

/// For what pictures may be used: a word, and what it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Purpose {
    /// The word that agreements and incidents name: lower-case letters, digits, hyphens.
    pub word: String,
    /// In English.
    pub en: String,
    /// In French.
    pub fr: String,
    /// In Dutch.
    pub nl: String,
}

/// What is agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What it is called.
    pub title: String,
    /// Who agrees: the zone, and those who look.
    pub parties: Vec<String>,
    /// For what the pictures may be used: words of the list of purposes.
    pub purposes: Vec<String>,
    /// Whether they may be shown.
    pub live: bool,
    /// Whether they may be kept.
    pub record: bool,
    /// Whether they may be handed out: snapshots, evidence.
    pub export: bool,
    /// Which units may look.
    pub units: Vec<String>,
    /// Only cameras with one of these tags; empty: all of the zone.
    #[serde(default)]
    pub tags: Vec<String>,
    /// From when on.
    pub valid_from: Utc,
    /// Until when, exclusive. There is no agreement without an end.
    pub valid_to: Utc,
}

/// A new draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // as in Terms
pub struct NewAgreement {
    /// The zone whose cameras it is about.
    pub zone: String,
    /// The signed agreement in whose place it is to come.
    #[serde(default)]
    pub replaces: Option<String>,
    pub title: String,
    pub parties: Vec<String>,
    pub purposes: Vec<String>,
    pub live: bool,
    pub record: bool,
    pub export: bool,
    pub units: Vec<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    pub valid_from: Utc,
    pub valid_to: Utc,
}

impl NewAgreement {
    /// What is to be agreed.
    pub fn terms(self) -> Terms {
        let NewAgreement {
            title,
            parties,
            purposes,
            live,
            record,
            export,
            units,
            tags,
            valid_from,
            valid_to,
            ..
        } = self;
        Terms { title, parties, purposes, live, record, export, units, tags, valid_from, valid_to }
    }
}

/// A change of a draft: what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // as in Terms
pub struct TermsChange {
    /// The version of the draft from which the change was made.
    pub version: Option<i64>,
    pub title: Option<String>,
    pub parties: Option<Vec<String>>,
    pub purposes: Option<Vec<String>>,
    pub live: Option<bool>,
    pub record: Option<bool>,
    pub export: Option<bool>,
    pub units: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    pub valid_from: Option<Utc>,
    pub valid_to: Option<Utc>,
}

impl TermsChange {
    /// These terms with the change.
    pub fn applied_to(self, old: &Terms) -> Terms {
        let old = old.clone();
        Terms {
            title: self.title.unwrap_or(old.title),
            parties: self.parties.unwrap_or(old.parties),
            purposes: self.purposes.unwrap_or(old.purposes),
            live: self.live.unwrap_or(old.live),
            record: self.record.unwrap_or(old.record),
            export: self.export.unwrap_or(old.export),
            units: self.units.unwrap_or(old.units),
            tags: self.tags.unwrap_or(old.tags),
            valid_from: self.valid_from.unwrap_or(old.valid_from),
            valid_to: self.valid_to.unwrap_or(old.valid_to),
        }
    }
}

impl Terms {
    /// Trimmed and without doubles, where they can be kept.
    ///
    /// # Errors
    /// [`crate::base::Kind::Invalid`], with the field as its title.
    pub(super) fn checked(self, connection: &Connection) -> Result<Terms> {
        let terms = Terms {
            title: name("title", &self.title)?,
            parties: names("parties", self.parties)?,
            purposes: names("purposes", self.purposes)?,
            units: names("units", self.units)?,
            tags: names("tags", self.tags)?,
            ..self
        };
        for (field, list) in
            [("parties", &terms.parties), ("purposes", &terms.purposes), ("units", &terms.units)]
        {
            if list.is_empty() {
                return Err(Problem::invalid(field, "name at least one"));
            }
        }
        for word in &terms.purposes {
            known_purpose(connection, "purposes", word)?;
        }
        if !(terms.live || terms.record || terms.export) {
            return Err(Problem::invalid("live", "grant at least one of live, record and export"));
        }
        if terms.valid_from >= terms.valid_to {
            return Err(Problem::invalid("valid_to", "is not after valid_from"));
        }
        if serde_json::json!(terms).to_string().len() > MOST_BYTES {
            return Err(Problem::invalid("terms", format!("are longer than {MOST_BYTES} bytes in all")));
        }
        Ok(terms)
    }
}

/// Fails where the list of purposes has no such word.
pub(super) fn known_purpose(connection: &Connection, field: &str, word: &str) -> Result<()> {
    let known =
        connection.query_row("SELECT 1 FROM purposes WHERE word = ?1", [word], |_| Ok(())).optional()?;
    known.ok_or_else(|| Problem::invalid(field, format!("there is no purpose {word:?}")).code("purpose"))
}

/// All purposes.
pub fn purposes(connection: &Connection) -> Result<Vec<Purpose>> {
    let mut query = connection.prepare_cached("SELECT word, en, fr, nl FROM purposes ORDER BY rowid")?;
    let rows = query.query_map([], |row| {
        Ok(Purpose { word: row.get(0)?, en: row.get(1)?, fr: row.get(2)?, nl: row.get(3)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds a purpose. It grants nothing before a zone signs an agreement that names it.
///
/// # Errors
/// [`crate::base::Kind::Conflict`] where the word is taken: what signed agreements say does not change.
pub fn add_purpose(db: &Database, by: &Actor, purpose: Purpose) -> Result<Purpose> {
    let purpose = purpose.checked()?;
    db.change(by, |transaction, events| {
        let added = transaction.execute(
            "INSERT INTO purposes (word, en, fr, nl) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            [&purpose.word, &purpose.en, &purpose.fr, &purpose.nl],
        )?;
        if added == 0 {
            return Err(Problem::conflict(purpose.word.clone(), "is a purpose already").code("taken"));
        }
        events.push(Event {
            subject: Some(purpose.word.clone()),
            details: serde_json::json!(purpose),
            ..Event::new("agreement.purpose-added")
        });
        Ok(())
    })?;
    Ok(purpose)
}

impl Purpose {
    /// Where it can be kept.
    fn checked(self) -> Result<Purpose> {
        let word = name("word", &self.word)?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !word.chars().all(fits) {
            return Err(Problem::invalid("word", "write lower-case letters, digits and hyphens only"));
        }
        Ok(Purpose { word, en: name("en", &self.en)?, fr: name("fr", &self.fr)?, nl: name("nl", &self.nl)? })
    }
}

/// A short text: trimmed, on one line, neither empty nor longer than a name is.
pub(super) fn name(field: &str, text: &str) -> Result<String> {
    let text = bounded(field, text, LONGEST_NAME)?;
    if text.chars().any(char::is_control) {
        return Err(Problem::invalid(field, "write it on one line"));
    }
    Ok(text)
}

/// A text: trimmed, neither empty nor endless.
pub(super) fn prose(field: &str, text: &str) -> Result<String> {
    bounded(field, text, LONGEST_TEXT)
}

fn bounded(field: &str, text: &str, longest: usize) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::invalid(field, "is needed"));
    }
    if text.chars().count() > longest {
        return Err(Problem::invalid(field, format!("is longer than {longest} characters")));
    }
    Ok(text.to_owned())
}

fn names(field: &str, list: Vec<String>) -> Result<Vec<String>> {
    if list.len() > MOST_ENTRIES {
        return Err(Problem::invalid(field, format!("has more than {MOST_ENTRIES} entries")));
    }
    let mut kept = Vec::with_capacity(list.len());
    for entry in list {
        let entry = name(field, &entry)?;
        if !kept.contains(&entry) {
            kept.push(entry);
        }
    }
    Ok(kept)
}
