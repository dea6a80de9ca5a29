//! Agreements in the database: drafted, changed, signed by a second person, suspended, resumed, revoked.
//! Every step is one transaction with its line of history and its audit record.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::json;

use super::terms::{name, prose};
use super::{Agreement, State, Step, StepTaken, Terms, TermsChange};
use crate::audit::{Actor, Event};
use crate::base::{Kind, Problem, Result, Utc};
use crate::db::Database;

const COLUMNS: &str =
    "id, zone, title, parties, purposes, live, record, export, units, tags, valid_from, valid_to,
    state, since, why, version, replaces, replaced_by, ends_at, drafted_by, drafted_at, signed_by, signed_at";

/// Writes a new draft for a zone.
///
/// # Errors
/// [`Kind::Invalid`] for terms that cannot be kept; [`Kind::NotFound`] for a zone that is not there;
/// [`Kind::Conflict`] where the agreement that it is to replace is not one that is signed.
pub fn draft(
    db: &Database,
    by: &Actor,
    zone: &str,
    replaces: Option<&str>,
    terms: Terms,
) -> Result<Agreement> {
    let now = db.now();
    db.change(by, |transaction, events| {
        known_zone(transaction, zone)?;
        let terms = terms.checked(transaction)?;
        if let Some(old) = replaces {
            replaceable(transaction, zone, old)?;
        }
        let id = super::next_id(transaction, 'A', now)?;
        transaction.execute(
            "INSERT INTO agreements (id, zone, title, parties, purposes, live, record, export, units, tags,
                valid_from, valid_to, state, since, version, replaces, drafted_by, drafted_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'draft', ?13, 1, ?14, ?15, ?13)",
            params![
                id,
                zone,
                terms.title,
                list_text(&terms.parties),
                list_text(&terms.purposes),
                terms.live,
                terms.record,
                terms.export,
                list_text(&terms.units),
                list_text(&terms.tags),
                terms.valid_from,
                terms.valid_to,
                now,
                replaces,
                by.account
            ],
        )?;
        add_step(transaction, &id, now, by, "drafted", None, Some(&terms))?;
        events.push(Event {
            details: json!({ "terms": terms, "replaces": replaces }),
            ..about("agreement.drafted", zone, &id)
        });
        found(transaction, &id, now)
    })
}

/// Changes the text of a draft.
///
/// # Errors
/// [`Kind::NeedsVersion`] where the change does not say from which version it was made, and
/// [`Kind::Conflict`] with the present draft where that is another one, or where it is no draft any more.
pub fn change(db: &Database, by: &Actor, id: &str, change: TermsChange) -> Result<Agreement> {
    let now = db.now();
    db.change(by, |transaction, events| {
        let old = found(transaction, id, now)?;
        old.after(Step::Change)?;
        same_version(&old, change.version)?;
        let terms = change.applied_to(&old.terms).checked(transaction)?;
        if terms == old.terms {
            return Ok(old);
        }
        transaction.execute(
            "UPDATE agreements SET title = ?2, parties = ?3, purposes = ?4, live = ?5, record = ?6, export = ?7,
                units = ?8, tags = ?9, valid_from = ?10, valid_to = ?11, version = version + 1 WHERE id = ?1",
            params![
                id, terms.title, list_text(&terms.parties), list_text(&terms.purposes), terms.live, terms.record,
                terms.export, list_text(&terms.units), list_text(&terms.tags), terms.valid_from, terms.valid_to
            ],
        )?;
        add_step(transaction, id, now, by, Step::Change.done(), None, Some(&terms))?;
        events.push(Event {
            details: json!({ "before": old.terms, "after": terms }),
            ..about("agreement.changed", &old.zone, id)
        });
        found(transaction, id, now)
    })
}

/// Signs a draft for its zone: it grants what it says from now on, within its time. The agreement that
/// it replaces ends where this one begins.
///
/// # Errors
/// [`Kind::Refused`] with code `second-person` where the signer wrote any of it;
/// [`Kind::NeedsVersion`] and [`Kind::Conflict`] as in [`change`]; `expired` where its time is over.
pub fn sign(db: &Database, by: &Actor, id: &str, version: Option<i64>) -> Result<Agreement> {
    let now = db.now();
    db.change(by, |transaction, events| {
        let old = found(transaction, id, now)?;
        let state = old.after(Step::Sign)?;
        same_version(&old, version)?;
        if old.history.iter().any(|step| step.by == by.account) {
            let remedy = "you wrote it, or a part of it: a second person who speaks for the zone signs it";
            return Err(Problem::refused(id, remedy).code("second-person"));
        }
        if old.terms.valid_to <= now {
            let detail = format!("would have ended on {}", old.terms.valid_to);
            return Err(Problem::conflict(id, detail).code("expired"));
        }
        transaction.execute(
            "UPDATE agreements SET state = ?2, since = ?3, why = NULL, signed_by = ?4, signed_at = ?3 WHERE id = ?1",
            params![id, state.as_str(), now, by.account],
        )?;
        add_step(transaction, id, now, by, Step::Sign.done(), None, None)?;
        events.push(Event {
            details: json!({ "version": old.version, "terms": old.terms, "replaces": old.replaces }),
            ..about("agreement.signed", &old.zone, id)
        });
        if let Some(replaced) = &old.replaces {
            hand_over(transaction, events, now, by, replaced, &old)?;
        }
        found(transaction, id, now)
    })
}

/// Halts an agreement at once, until [`resume`].
pub fn suspend(db: &Database, by: &Actor, id: &str, reason: &str) -> Result<Agreement> {
    step(db, by, id, Step::Suspend, Some(reason))
}

/// Lets a suspended agreement go on.
pub fn resume(db: &Database, by: &Actor, id: &str, reason: Option<&str>) -> Result<Agreement> {
    step(db, by, id, Step::Resume, reason)
}

/// Ends an agreement at once and for good.
pub fn revoke(db: &Database, by: &Actor, id: &str, reason: &str) -> Result<Agreement> {
    step(db, by, id, Step::Revoke, Some(reason))
}

/// Gives a draft up.
pub fn withdraw(db: &Database, by: &Actor, id: &str, reason: Option<&str>) -> Result<Agreement> {
    step(db, by, id, Step::Withdraw, reason)
}

fn step(db: &Database, by: &Actor, id: &str, step: Step, reason: Option<&str>) -> Result<Agreement> {
    let reason = match reason {
        None if step.needs_reason() => return Err(Problem::invalid("reason", "is needed")),
        None => None,
        Some(text) => Some(prose("reason", text)?),
    };
    let now = db.now();
    db.change(by, |transaction, events| {
        let old = found(transaction, id, now)?;
        let state = old.after(step)?;
        transaction.execute(
            "UPDATE agreements SET state = ?2, since = ?3, why = ?4 WHERE id = ?1",
            params![id, state.as_str(), now, reason],
        )?;
        add_step(transaction, id, now, by, step.done(), reason.as_deref(), None)?;
        events.push(Event {
            reason: reason.clone(),
            details: json!({ "title": old.terms.title, "before": old.state, "after": state }),
            ..about(&format!("agreement.{}", step.done()), &old.zone, id)
        });
        found(transaction, id, now)
    })
}

/// The agreement that `new` replaces ends where `new` begins. One that was revoked meanwhile has ended.
fn hand_over(
    transaction: &Transaction<'_>,
    events: &mut Vec<Event>,
    now: Utc,
    by: &Actor,
    replaced: &str,
    new: &Agreement,
) -> Result<()> {
    let old = found(transaction, replaced, now)?;
    if old.state == State::Revoked {
        return Ok(());
    }
    replaceable(transaction, &new.zone, replaced)?;
    let ends_at = new.terms.valid_from.max(now);
    transaction.execute(
        "UPDATE agreements SET replaced_by = ?2, ends_at = ?3 WHERE id = ?1",
        params![replaced, new.id, ends_at],
    )?;
    let reason = format!("replaced by {} from {ends_at} on", new.id);
    add_step(transaction, replaced, now, by, "replaced", Some(&reason), None)?;
    events.push(Event {
        reason: Some(reason),
        details: json!({ "replaced_by": new.id, "ends_at": ends_at }),
        ..about("agreement.replaced", &old.zone, replaced)
    });
    Ok(())
}

/// One agreement with its history.
///
/// # Errors
/// [`Kind::NotFound`].
pub fn find(connection: &Connection, id: &str, now: Utc) -> Result<Agreement> {
    found(connection, id, now)
}

/// Agreements in the order of their ids, without their history: of a zone, in a state, after an id.
pub fn list(
    connection: &Connection,
    zone: Option<&str>,
    state: Option<State>,
    after: Option<&str>,
    limit: usize,
    now: Utc,
) -> Result<Vec<Agreement>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM agreements WHERE (?1 IS NULL OR zone = ?1) AND (?2 IS NULL OR state = ?2)
         AND id > ?3 ORDER BY id LIMIT ?4"
    ))?;
    let wanted = params![zone, state.map(State::as_str), after.unwrap_or_default(), limit as i64];
    let rows = query.query_map(wanted, |row| agreement(row, now))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn found(connection: &Connection, id: &str, now: Utc) -> Result<Agreement> {
    let mut query = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM agreements WHERE id = ?1"))?;
    let found = query.query_row([id], |row| agreement(row, now)).optional()?;
    let mut agreement = found.ok_or_else(|| Problem::not_found(format!("agreement {id}")))?;
    agreement.history = history(connection, id)?;
    Ok(agreement)
}

fn history(connection: &Connection, id: &str) -> Result<Vec<StepTaken>> {
    let mut query = connection.prepare_cached(
        "SELECT at, account, name, what, reason, terms FROM agreement_steps WHERE agreement = ?1 ORDER BY number",
    )?;
    let rows = query.query_map([id], |row| {
        let terms: Option<String> = row.get(5)?;
        Ok(StepTaken {
            at: row.get(0)?,
            by: row.get(1)?,
            name: row.get(2)?,
            what: row.get(3)?,
            reason: row.get(4)?,
            terms: terms.map(|text| json_of(5, &text)).transpose()?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn add_step(
    transaction: &Transaction<'_>,
    id: &str,
    now: Utc,
    by: &Actor,
    what: &str,
    reason: Option<&str>,
    terms: Option<&Terms>,
) -> Result<()> {
    transaction.execute(
        "INSERT INTO agreement_steps (agreement, number, at, account, name, what, reason, terms)
         SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7 FROM agreement_steps WHERE agreement = ?1",
        params![id, now, by.account, by.name, what, reason, terms.map(|t| json!(t).to_string())],
    )?;
    Ok(())
}

fn agreement(row: &Row<'_>, now: Utc) -> rusqlite::Result<Agreement> {
    let texts =
        |column: usize| -> rusqlite::Result<Vec<String>> { json_of(column, &row.get::<_, String>(column)?) };
    let mut agreement = Agreement {
        id: row.get(0)?,
        zone: row.get(1)?,
        terms: Terms {
            title: row.get(2)?,
            parties: texts(3)?,
            purposes: texts(4)?,
            live: row.get(5)?,
            record: row.get(6)?,
            export: row.get(7)?,
            units: texts(8)?,
            tags: texts(9)?,
            valid_from: row.get(10)?,
            valid_to: row.get(11)?,
        },
        state: state_of(12, &row.get::<_, String>(12)?)?,
        since: row.get(13)?,
        why: row.get(14)?,
        in_force: false,
        version: row.get(15)?,
        replaces: row.get(16)?,
        replaced_by: row.get(17)?,
        ends_at: row.get(18)?,
        drafted_by: row.get(19)?,
        drafted_at: row.get(20)?,
        signed_by: row.get(21)?,
        signed_at: row.get(22)?,
        history: Vec::new(),
    };
    agreement.in_force = agreement.grants_at(now);
    Ok(agreement)
}

fn state_of(column: usize, text: &str) -> rusqlite::Result<State> {
    let unknown = || unreadable(column, format!("{text:?} is no state of an agreement").into());
    State::parse(text).ok_or_else(unknown)
}

/// What a column holds as JSON.
fn json_of<T: serde::de::DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(column, Box::new(error)))
}

pub(super) fn unreadable(column: usize, why: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why)
}

fn list_text(list: &[String]) -> String {
    json!(list).to_string()
}

fn about(kind: &str, zone: &str, agreement: &str) -> Event {
    Event { zone: Some(zone.to_owned()), agreement: Some(agreement.to_owned()), ..Event::new(kind) }
}

fn same_version(agreement: &Agreement, version: Option<i64>) -> Result<()> {
    match version {
        None => {
            let remedy = "say as `version` which version of the draft you have read";
            Err(Problem::new(Kind::NeedsVersion, agreement.id.clone(), remedy))
        }
        Some(version) if version == agreement.version => Ok(()),
        Some(_) => {
            let detail = "was changed meanwhile; read it again";
            Err(Problem::conflict(agreement.id.clone(), detail).code("version").more(json!(agreement)))
        }
    }
}

fn known_zone(connection: &Connection, zone: &str) -> Result<()> {
    let known = connection.query_row("SELECT 1 FROM zones WHERE id = ?1", [zone], |_| Ok(())).optional()?;
    known.ok_or_else(|| Problem::not_found(format!("zone {}", name("zone", zone).unwrap_or_default())))
}

/// Fails unless `old` is an agreement of this zone that is signed (or suspended) and has no successor.
fn replaceable(connection: &Connection, zone: &str, old: &str) -> Result<()> {
    let row = connection
        .query_row("SELECT zone, state, replaced_by FROM agreements WHERE id = ?1", [old], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
        })
        .optional()?;
    let (its_zone, state, successor) = row.ok_or_else(|| Problem::not_found(format!("agreement {old}")))?;
    if its_zone != zone {
        return Err(Problem::invalid("replaces", format!("{old} is of zone {its_zone}")));
    }
    if let Some(successor) = successor {
        return Err(Problem::conflict(old, format!("was replaced by {successor}")).code("replaced"));
    }
    match State::parse(&state) {
        Some(State::Signed | State::Suspended) => Ok(()),
        _ => Err(Problem::conflict(old, format!("is {state}: only what was signed is replaced")).code(state)),
    }
}
