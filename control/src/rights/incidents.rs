//! Incidents: why pictures are looked at. Opened once, with reason, legal basis and reference; closed in
//! two steps, so that nobody loses the picture without a warning.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::LegalBasis;
use super::agreements::unreadable;
use super::basis::OTHER;
use super::terms::{known_purpose, name, prose};
use crate::audit::{Actor, Event};
use crate::base::{Problem, Result, Utc};
use crate::db::Database;
use crate::people::Language;

/// Seconds between the warning and the end, where nobody says otherwise.
pub const GRACE_S: u64 = 30;
/// The longest grace, in seconds.
pub const LONGEST_GRACE_S: u64 = 600;

pub(super) const COLUMNS: &str =
    "id, title, reason, legal_basis, legal_text, reference, purpose, opened_by, opened_name,
    opened_at, state, ends_at, closed_by, closed_at";

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// Pictures may be looked at under it.
    Open,
    /// They may until `ends_at`; it can still be called off.
    Closing,
    /// Over, for good.
    Closed,
}

impl IncidentState {
    /// As it stands in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            IncidentState::Open => "open",
            IncidentState::Closing => "closing",
            IncidentState::Closed => "closed",
        }
    }

    /// Reads what [`IncidentState::as_str`] writes.
    pub fn parse(text: &str) -> Option<IncidentState> {
        let all = [IncidentState::Open, IncidentState::Closing, IncidentState::Closed];
        all.into_iter().find(|state| state.as_str() == text)
    }
}

/// What it takes to open an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    /// What it is called.
    pub title: String,
    /// Why pictures are needed.
    pub reason: String,
    /// A word of the list of legal bases.
    pub legal_basis: String,
    /// The basis in words, where the word is `other`.
    #[serde(default)]
    pub legal_text: Option<String>,
    /// Number of the report, the call, the order.
    pub reference: String,
    /// A word of the list of purposes.
    pub purpose: String,
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Incident {
    /// `I-2026-0001`.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// Why pictures are needed.
    pub reason: String,
    /// A word of the list of legal bases.
    pub legal_basis: String,
    /// The basis in words, where the word is `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_text: Option<String>,
    /// Number of the report, the call, the order.
    pub reference: String,
    /// A word of the list of purposes.
    pub purpose: String,
    /// Who opened it: account id.
    pub opened_by: String,
    /// What that account was called then.
    pub opened_name: String,
    /// When it was opened.
    pub opened_at: Utc,
    /// Open, closing, closed. One whose end has come is closed, whether or not that was written down yet.
    pub state: IncidentState,
    /// When it ends or ended.
    pub ends_at: Option<Utc>,
    /// Who closed it: account id.
    pub closed_by: Option<String>,
    /// When it was written down as closed.
    pub closed_at: Option<Utc>,
}

impl Incident {
    /// The legal basis in words, in English: what records name.
    pub fn basis(&self) -> String {
        let listed = || LegalBasis::find(&self.legal_basis).map(|basis| basis.text(Language::En).to_owned());
        self.legal_text.clone().or_else(listed).unwrap_or_else(|| self.legal_basis.clone())
    }

    /// Purpose, legal basis and reference in one line, for permits.
    pub(super) fn in_words(&self) -> String {
        format!("{} ({}), {}, {}", self.title, self.purpose, self.basis(), self.reference)
    }
}

/// Something that is shown under an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Showing {
    /// The screen.
    pub screen: String,
    /// The tile on it; none for a preview.
    pub tile: Option<String>,
    /// The camera.
    pub camera: String,
    /// Its zone.
    pub zone: Option<String>,
}

/// Whoever knows what is shown: the conductor of the walls.
pub trait Showings: Send + Sync {
    /// What is shown under an incident now.
    fn under(&self, incident: &str) -> Vec<Showing>;
}

/// The answer to closing an incident.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Closing {
    /// The incident, closing or closed.
    pub incident: Incident,
    /// What ends with it.
    pub ends: Vec<Showing>,
}

/// Opens an incident.
///
/// # Errors
/// [`crate::base::Kind::Invalid`] with the field that is wrong.
pub fn open(db: &Database, by: &Actor, new: NewIncident) -> Result<Incident> {
    let title = name("title", &new.title)?;
    let reason = prose("reason", &new.reason)?;
    let reference = name("reference", &new.reference)?;
    let legal_text = legal_basis(&new)?;
    let now = db.now();
    db.change(by, |transaction, events| {
        known_purpose(transaction, "purpose", &new.purpose)?;
        let id = super::next_id(transaction, 'I', now)?;
        transaction.execute(
            "INSERT INTO incidents (id, title, reason, legal_basis, legal_text, reference, purpose, opened_by,
                opened_name, opened_at, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'open')",
            params![
                id, title, reason, new.legal_basis, legal_text, reference, new.purpose, by.account, by.name, now
            ],
        )?;
        let incident = found(transaction, &id, now)?;
        events.push(Event { reason: Some(reason.clone()), ..about("incident.opened", &incident) });
        Ok(incident)
    })
}

/// Begins to close an incident: it ends after `grace`, unless [`keep`] calls that off. Without grace it
/// ends at once.
///
/// # Errors
/// [`crate::base::Kind::Conflict`] where it is over; [`crate::base::Kind::Invalid`] for a grace over
/// [`LONGEST_GRACE_S`].
pub fn close(db: &Database, by: &Actor, id: &str, grace_s: u64, reason: Option<&str>) -> Result<Incident> {
    if grace_s > LONGEST_GRACE_S {
        return Err(Problem::invalid("grace_s", format!("is over {LONGEST_GRACE_S} s")));
    }
    let reason = reason.map(|text| prose("reason", text)).transpose()?;
    let now = db.now();
    let ends_at = now.plus(Duration::from_secs(grace_s));
    db.change(by, |transaction, events| {
        not_over(&found(transaction, id, now)?)?;
        let closed = grace_s == 0;
        transaction.execute(
            "UPDATE incidents SET state = ?2, ends_at = ?3, closed_by = ?4, closed_at = ?5 WHERE id = ?1",
            params![
                id,
                if closed { "closed" } else { "closing" },
                ends_at,
                by.account,
                closed.then_some(now)
            ],
        )?;
        let incident = found(transaction, id, now)?;
        let kind = if closed { "incident.closed" } else { "incident.closing" };
        events.push(Event {
            reason: reason.clone(),
            details: json!({ "title": incident.title, "ends_at": ends_at, "grace_s": grace_s }),
            ..about(kind, &incident)
        });
        Ok(incident)
    })
}

/// Calls the closing of an incident off.
///
/// # Errors
/// [`crate::base::Kind::Conflict`] where it is over, or nobody is closing it.
pub fn keep(db: &Database, by: &Actor, id: &str) -> Result<Incident> {
    let now = db.now();
    db.change(by, |transaction, events| {
        let old = found(transaction, id, now)?;
        not_over(&old)?;
        if old.state == IncidentState::Open {
            return Err(Problem::conflict(id, "is open: nobody is closing it").code("open"));
        }
        transaction.execute(
            "UPDATE incidents SET state = 'open', ends_at = NULL, closed_by = NULL WHERE id = ?1",
            [id],
        )?;
        let incident = found(transaction, id, now)?;
        events.push(Event {
            details: json!({ "title": incident.title, "would_have_ended_at": old.ends_at }),
            ..about("incident.kept", &incident)
        });
        Ok(incident)
    })
}

/// One incident.
///
/// # Errors
/// [`crate::base::Kind::NotFound`].
pub fn find(connection: &Connection, id: &str, now: Utc) -> Result<Incident> {
    found(connection, id, now)
}

/// Incidents, the newest first: in a state, opened before an id.
pub fn list(
    connection: &Connection,
    state: Option<IncidentState>,
    after: Option<&str>,
    limit: usize,
    now: Utc,
) -> Result<Vec<Incident>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM incidents WHERE (?1 IS NULL OR
            CASE WHEN state = 'closing' AND ends_at <= ?2 THEN 'closed' ELSE state END = ?1)
         AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4"
    ))?;
    let wanted = params![state.map(IncidentState::as_str), now, after, limit as i64];
    let rows = query.query_map(wanted, |row| incident(row, now))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn found(connection: &Connection, id: &str, now: Utc) -> Result<Incident> {
    let mut query = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM incidents WHERE id = ?1"))?;
    let found = query.query_row([id], |row| incident(row, now)).optional()?;
    found.ok_or_else(|| Problem::not_found(format!("incident {id}")))
}

pub(super) fn incident(row: &Row<'_>, now: Utc) -> rusqlite::Result<Incident> {
    let text: String = row.get(10)?;
    let state = IncidentState::parse(&text)
        .ok_or_else(|| unreadable(10, format!("{text:?} is no state of an incident").into()))?;
    let ends_at: Option<Utc> = row.get(11)?;
    let over = state == IncidentState::Closing && ends_at.is_some_and(|end| end <= now);
    Ok(Incident {
        id: row.get(0)?,
        title: row.get(1)?,
        reason: row.get(2)?,
        legal_basis: row.get(3)?,
        legal_text: row.get(4)?,
        reference: row.get(5)?,
        purpose: row.get(6)?,
        opened_by: row.get(7)?,
        opened_name: row.get(8)?,
        opened_at: row.get(9)?,
        state: if over { IncidentState::Closed } else { state },
        ends_at,
        closed_by: row.get(12)?,
        closed_at: row.get(13)?,
    })
}

pub(super) fn about(kind: &str, incident: &Incident) -> Event {
    Event {
        incident: Some(incident.id.clone()),
        subject: Some(incident.reference.clone()),
        basis: Some(incident.basis()),
        details: json!({
            "title": incident.title, "purpose": incident.purpose, "legal_basis": incident.legal_basis
        }),
        ..Event::new(kind)
    }
}

fn not_over(incident: &Incident) -> Result<()> {
    if incident.state == IncidentState::Closed {
        return Err(Problem::conflict(incident.id.clone(), "is closed; open another one").code("closed"));
    }
    Ok(())
}

/// The text that goes with the word of a legal basis: needed with `other`, refused with any else.
fn legal_basis(new: &NewIncident) -> Result<Option<String>> {
    if LegalBasis::find(&new.legal_basis).is_none() {
        let detail = format!("there is no legal basis {:?}; `{OTHER}` takes any in words", new.legal_basis);
        return Err(Problem::invalid("legal_basis", detail));
    }
    let text = new.legal_text.as_deref().map(str::trim).filter(|text| !text.is_empty());
    match (new.legal_basis == OTHER, text) {
        (true, text) => prose("legal_text", text.unwrap_or_default()).map(Some),
        (false, None) => Ok(None),
        (false, Some(_)) => Err(Problem::invalid("legal_text", format!("goes with `{OTHER}` only"))),
    }
}
