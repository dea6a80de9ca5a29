//! Accounts: who there is, as which role, for which zones and unit.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::Role;
use crate::audit::Event;
use crate::base::{Problem, Result, Utc};

/// Letters of a name at most.
const LONGEST_NAME: usize = 64;
/// Zones of an account at most.
const MOST_ZONES: usize = 100;

/// The page's language for an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
    /// Dutch.
    Nl,
}

impl Language {
    fn as_str(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::Fr => "fr",
            Language::Nl => "nl",
        }
    }

    fn parse(text: &str) -> Language {
        [Language::Fr, Language::Nl].into_iter().find(|l| l.as_str() == text).unwrap_or_default()
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Account {
    /// Its number in the database.
    #[serde(skip)]
    pub(crate) seq: i64,
    /// `u-1`, `u-2` …; never given to another one.
    pub id: String,
    /// What its person types to log in.
    pub name: String,
    /// What the account may do.
    pub role: Role,
    /// The zones for which a zone authority speaks.
    pub zones: Vec<String>,
    /// The unit for which this person works: the one that agreements name.
    pub unit: String,
    /// The page's language.
    pub language: Language,
    /// May log in.
    pub enabled: bool,
    /// Has a password here; otherwise it signs on at the identity provider only.
    pub local: bool,
    /// When it was added.
    pub created_at: Utc,
    /// When its person last logged in.
    pub last_login: Option<Utc>,
}

/// A new account.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Letters, digits and `. _ - @`, at most 64; differs from others by more than case.
    pub name: String,
    /// What the account may do.
    pub role: Role,
    /// The zones of a zone authority, one at least; none for other roles.
    #[serde(default)]
    pub zones: Vec<String>,
    /// The unit; left out: the one of the control room.
    #[serde(default)]
    pub unit: Option<String>,
    /// The page's language.
    #[serde(default)]
    pub language: Language,
    /// Password, 12 letters or more; left out: signs on at the identity provider only.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "password", write_only)]
    pub password: Option<super::Password>,
    /// The subject at the identity provider, where it signs on there.
    #[serde(default)]
    pub subject: Option<String>,
}

/// A change of an account; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// Another name to log in with.
    #[serde(default)]
    pub name: Option<String>,
    /// Another role.
    #[serde(default)]
    pub role: Option<Role>,
    /// Zones.
    #[serde(default)]
    pub zones: Option<Vec<String>>,
    /// Unit.
    #[serde(default)]
    pub unit: Option<String>,
    /// The page's language.
    #[serde(default)]
    pub language: Option<Language>,
    /// May log in.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// A new password.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "password", write_only)]
    pub password: Option<super::Password>,
}

/// The account's id of its number.
pub fn id(seq: i64) -> String {
    format!("u-{seq}")
}

/// The number of an account's id.
pub fn number(id: &str) -> Result<i64> {
    id.strip_prefix("u-")
        .and_then(|number| number.parse().ok())
        .filter(|seq| *seq > 0 && self::id(*seq) == id)
        .ok_or_else(|| Problem::not_found("account"))
}

/// Two names are the same where they differ by case only.
pub fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

const COLUMNS: &str =
    "seq, name, role, unit, language, enabled, password IS NOT NULL, created_at, last_login";

fn read(row: &Row<'_>) -> rusqlite::Result<(Account, String)> {
    let seq: i64 = row.get(0)?;
    let role: String = row.get(2)?;
    let language: String = row.get(4)?;
    let account = Account {
        seq,
        id: id(seq),
        name: row.get(1)?,
        role: Role::Auditor,
        zones: Vec::new(),
        unit: row.get(3)?,
        language: Language::parse(&language),
        enabled: row.get(5)?,
        local: row.get(6)?,
        created_at: row.get(7)?,
        last_login: row.get(8)?,
    };
    Ok((account, role))
}

fn complete(connection: &Connection, (mut account, role): (Account, String)) -> Result<Account> {
    account.role = Role::parse(&role)
        .ok_or_else(|| Problem::internal("account", format!("{} has the unknown role {role}", account.id)))?;
    let mut zones =
        connection.prepare_cached("SELECT zone FROM account_zone WHERE account = ?1 ORDER BY zone")?;
    account.zones = zones.query_map([account.seq], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(account)
}

/// The account of a number.
pub fn find(connection: &Connection, seq: i64) -> Result<Option<Account>> {
    let row = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM account WHERE seq = ?1"))?
        .query_row([seq], read)
        .optional()?;
    row.map(|row| complete(connection, row)).transpose()
}

/// The account of a number, or a problem.
pub fn get(connection: &Connection, seq: i64) -> Result<Account> {
    find(connection, seq)?.ok_or_else(|| Problem::not_found("account"))
}

/// The account of a name, and its stored password.
pub(super) fn by_name(connection: &Connection, name: &str) -> Result<Option<(Account, Option<String>)>> {
    let row: Option<(i64, Option<String>)> = connection
        .prepare_cached("SELECT seq, password FROM account WHERE name_key = ?1")?
        .query_row([key(name)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, password)) = row else { return Ok(None) };
    Ok(find(connection, seq)?.map(|account| (account, password)))
}

/// The account that signs on as this subject of this issuer.
pub(super) fn by_subject(connection: &Connection, issuer: &str, subject: &str) -> Result<Option<Account>> {
    let seq: Option<i64> = connection
        .prepare_cached("SELECT seq FROM account WHERE issuer = ?1 AND subject = ?2")?
        .query_row([issuer, subject], |row| row.get(0))
        .optional()?;
    seq.map_or(Ok(None), |seq| find(connection, seq))
}

/// The stored password of an account.
pub(super) fn password(connection: &Connection, seq: i64) -> Result<Option<String>> {
    let stored: Option<Option<String>> = connection
        .prepare_cached("SELECT password FROM account WHERE seq = ?1")?
        .query_row([seq], |row| row.get(0))
        .optional()?;
    Ok(stored.flatten())
}

/// Accounts after this number, in the order in which they were added.
pub fn list(connection: &Connection, after: i64, limit: usize) -> Result<Vec<Account>> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM account WHERE seq > ?1 ORDER BY seq LIMIT ?2"))?;
    let rows =
        statement.query_map(params![after, limit as i64], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(|row| complete(connection, row)).collect()
}

/// How many accounts there are.
pub(super) fn count(connection: &Connection) -> Result<i64> {
    Ok(connection.query_row("SELECT count(*) FROM account", [], |row| row.get(0))?)
}

/// Adds an account; `password` is its hash. Leaves `account.added`.
pub(super) fn add(
    transaction: &Transaction<'_>,
    events: &mut Vec<Event>,
    new: &NewAccount,
    unit: &str,
    issuer: Option<&str>,
    password: Option<String>,
    now: Utc,
) -> Result<Account> {
    check_name(&new.name)?;
    check_zones(new.role, &new.zones)?;
    let unit = new.unit.as_deref().unwrap_or(unit).trim();
    check_word("unit", unit)?;
    let subject = new.subject.as_deref();
    if let Some(subject) = subject {
        check_subject(subject, issuer)?;
    }
    let seq: i64 = transaction
        .query_row(
            "INSERT INTO account (name, name_key, role, unit, language, enabled, password, issuer, subject, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9) RETURNING seq",
            params![
                new.name.trim(),
                key(&new.name),
                new.role.as_str(),
                unit,
                new.language.as_str(),
                password,
                subject.and(issuer),
                subject,
                now
            ],
            |row| row.get(0),
        )
        .map_err(taken)?;
    set_zones(transaction, seq, &[], &new.zones)?;
    let account = get(transaction, seq)?;
    events.push(Event {
        subject: Some(account.id.clone()),
        details: json!({ "name": account.name, "role": account.role, "zones": account.zones,
                         "unit": account.unit, "local": account.local }),
        ..Event::new("account.added")
    });
    Ok(account)
}

/// Changes an account; `password` is the hash of a new one. Leaves `account.changed` where anything
/// differs. Answers the account before and after.
pub(super) fn change(
    transaction: &Transaction<'_>,
    events: &mut Vec<Event>,
    seq: i64,
    change: &AccountChange,
    password: Option<String>,
) -> Result<(Account, Account)> {
    let before = get(transaction, seq)?;
    let mut after = before.clone();
    if let Some(name) = &change.name {
        check_name(name)?;
        after.name = name.trim().to_owned();
    }
    after.role = change.role.unwrap_or(after.role);
    if let Some(zones) = &change.zones {
        after.zones = zones.clone();
        after.zones.sort();
        after.zones.dedup();
    } else if after.role != Role::ZoneAuthority {
        after.zones.clear();
    }
    check_zones(after.role, &after.zones)?;
    if let Some(unit) = &change.unit {
        check_word("unit", unit.trim())?;
        after.unit = unit.trim().to_owned();
    }
    after.language = change.language.unwrap_or(after.language);
    after.enabled = change.enabled.unwrap_or(after.enabled);
    transaction
        .execute(
            "UPDATE account SET name = ?2, name_key = ?3, role = ?4, unit = ?5, language = ?6, enabled = ?7,
                                password = coalesce(?8, password) WHERE seq = ?1",
            params![
                seq,
                after.name,
                key(&after.name),
                after.role.as_str(),
                after.unit,
                after.language.as_str(),
                after.enabled,
                password
            ],
        )
        .map_err(taken)?;
    set_zones(transaction, seq, &before.zones, &after.zones)?;
    after.local |= password.is_some();
    if governs(&before) {
        keep_an_administrator(transaction)?;
    }
    let mut details = Map::new();
    let mut note = |field: &str, old: Value, new: Value| {
        if old != new {
            details.insert(field.into(), json!([old, new]));
        }
    };
    note("name", json!(before.name), json!(after.name));
    note("role", json!(before.role), json!(after.role));
    note("zones", json!(before.zones), json!(after.zones));
    note("unit", json!(before.unit), json!(after.unit));
    note("language", json!(before.language), json!(after.language));
    note("enabled", json!(before.enabled), json!(after.enabled));
    if password.is_some() {
        details.insert("password".into(), json!("changed"));
    }
    if !details.is_empty() {
        let subject = Some(after.id.clone());
        events.push(Event { subject, details: details.into(), ..Event::new("account.changed") });
    }
    Ok((before, after))
}

/// Removes an account with its sessions and tokens. Leaves `account.removed`.
pub(super) fn remove(transaction: &Transaction<'_>, events: &mut Vec<Event>, seq: i64) -> Result<()> {
    let account = get(transaction, seq)?;
    transaction.execute("DELETE FROM account WHERE seq = ?1", [seq])?;
    if governs(&account) {
        keep_an_administrator(transaction)?;
    }
    events.push(Event {
        subject: Some(account.id.clone()),
        details: json!({ "name": account.name, "role": account.role }),
        ..Event::new("account.removed")
    });
    Ok(())
}

fn governs(account: &Account) -> bool {
    account.role == Role::Administrator && account.enabled
}

/// Without an administrator who may log in nobody could let anyone in again.
fn keep_an_administrator(transaction: &Transaction<'_>) -> Result<()> {
    let left: i64 = transaction.query_row(
        "SELECT count(*) FROM account WHERE role = ?1 AND enabled",
        [Role::Administrator.as_str()],
        |row| row.get(0),
    )?;
    if left > 0 {
        return Ok(());
    }
    let remedy = "this is the last administrator who may log in; make another one first";
    Err(Problem::conflict("account", remedy).code("last-administrator"))
}

/// Whether the registry has a zone.
pub(super) fn is_zone(connection: &Connection, zone: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM zones WHERE id = ?1)";
    Ok(connection.query_row(sql, [zone], |row| row.get(0))?)
}

/// A zone that is not there yet would be anybody's to make; what was there `before` stays as it is.
fn set_zones(transaction: &Transaction<'_>, seq: i64, before: &[String], zones: &[String]) -> Result<()> {
    transaction.execute("DELETE FROM account_zone WHERE account = ?1", [seq])?;
    for zone in zones {
        if !before.contains(zone) && !is_zone(transaction, zone)? {
            let detail = format!("there is no zone {zone}; add it to the registry first");
            return Err(Problem::invalid("zones", detail).code("zones"));
        }
        transaction.execute(
            "INSERT OR IGNORE INTO account_zone (account, zone) VALUES (?1, ?2)",
            params![seq, zone],
        )?;
    }
    Ok(())
}

fn taken(error: rusqlite::Error) -> Problem {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => {
            Problem::conflict("account", "this name or sign-on has an account already").code("name-taken")
        }
        _ => error.into(),
    }
}

pub(super) fn check_name(name: &str) -> Result<()> {
    let name = name.trim();
    let letters = name.chars().count();
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    if (1..=LONGEST_NAME).contains(&letters) && name.chars().all(fits) {
        return Ok(());
    }
    Err(Problem::invalid("name", "takes letters, digits and . _ - @, at most 64").code("name"))
}

fn check_zones(role: Role, zones: &[String]) -> Result<()> {
    if role != Role::ZoneAuthority && !zones.is_empty() {
        return Err(Problem::invalid("zones", "limit a zone authority only; leave them out for other roles")
            .code("zones"));
    }
    if role == Role::ZoneAuthority && zones.is_empty() {
        return Err(Problem::invalid("zones", "a zone authority speaks for one zone or more").code("zones"));
    }
    if zones.len() > MOST_ZONES {
        return Err(Problem::invalid("zones", format!("no more than {MOST_ZONES}")).code("zones"));
    }
    zones.iter().try_for_each(|zone| check_word("zones", zone))
}

fn check_word(what: &str, word: &str) -> Result<()> {
    if (1..=128).contains(&word.chars().count()) && !word.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::invalid(what, "takes 1 to 128 letters"))
}

fn check_subject(subject: &str, issuer: Option<&str>) -> Result<()> {
    if issuer.is_none() {
        return Err(Problem::invalid("subject", "no identity provider is set up").code("oidc"));
    }
    // OpenID Connect Core 1.0, section 2: at most 255 ASCII letters.
    if (1..=255).contains(&subject.len()) && subject.chars().all(|c| c.is_ascii() && !c.is_ascii_control()) {
        return Ok(());
    }
    Err(Problem::invalid("subject", "takes 1 to 255 ASCII letters").code("oidc"))
}
