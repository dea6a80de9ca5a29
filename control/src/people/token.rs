//! API tokens: for programs that act for a person. Shown once, with a visible beginning; limited in
//! time, and to fewer permissions than the role has where wanted.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::account::{self, Account};
use super::secret::{self, Hash, Secret};
use super::{Permission, Role};
use crate::audit::Event;
use crate::base::{Problem, Result, Utc};

/// With this begins every token, so that scanners for leaked secrets can find one; then comes its
/// id, so that its owner knows which one to end.
const PREFIX: &str = "vitrail_";
/// How long a token lasts where nothing is said.
const USUAL: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long it may last.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// Tokens of one account at most.
const MOST: i64 = 50;

/// An API token, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Token {
    #[serde(skip)]
    pub(crate) seq: i64,
    /// `t-…`.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// Its permissions, where they are narrower than those of the role.
    pub permissions: Option<Vec<Permission>>,
    /// When it was made.
    pub created_at: Utc,
    /// When it ends.
    pub expires_at: Utc,
    /// When it was last used, to the minute.
    pub used_at: Option<Utc>,
}

/// A token to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What its owner calls it, at most 64 letters.
    pub name: String,
    /// When it ends; left out: in 90 days. A year at most.
    #[serde(default)]
    pub expires_at: Option<Utc>,
    /// Only these permissions of the role; left out: all of them.
    #[serde(default)]
    pub permissions: Option<Vec<Permission>>,
}

/// A token that was made: the only time that its secret is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeToken {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// Send it as `Authorization: Bearer …`. Kept nowhere.
    #[schema(value_type = String)]
    pub secret: Secret,
}

/// Makes a token. Leaves `token.made`.
pub(super) fn add(
    transaction: &Transaction<'_>,
    events: &mut Vec<Event>,
    account: i64,
    role: Role,
    new: &NewToken,
    now: Utc,
) -> Result<MadeToken> {
    let expires_at = check(role, new, now)?;
    let (count, seq): (i64, i64) = transaction.query_row(
        "SELECT count(*) FILTER (WHERE account = ?1), coalesce(max(seq), 0) + 1 FROM token",
        [account],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if count >= MOST {
        return Err(
            Problem::conflict("tokens", format!("there are {MOST}; end some first")).code("tokens-full")
        );
    }
    let id = secret::public_id('t', &secret::hash(&secret::make()?));
    let secret = Secret::new(format!("{PREFIX}{}_{}", &id[2..], &*secret::make()?));
    let hash = secret::hash(&secret);
    let permissions = new.permissions.as_ref().map(|list| json!(list).to_string());
    transaction.execute(
        "INSERT INTO token (hash, seq, id, account, name, permissions, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![hash, seq, id, account, new.name.trim(), permissions, now, expires_at],
    )?;
    let token = Token {
        seq,
        id,
        name: new.name.trim().to_owned(),
        permissions: new.permissions.clone(),
        created_at: now,
        expires_at,
        used_at: None,
    };
    events.push(Event {
        subject: Some(token.id.clone()),
        details: json!({ "name": token.name, "expires_at": expires_at, "permissions": token.permissions }),
        ..Event::new("token.made")
    });
    Ok(MadeToken { token, secret })
}

fn check(role: Role, new: &NewToken, now: Utc) -> Result<Utc> {
    let letters = new.name.trim().chars().count();
    if !(1..=64).contains(&letters) || new.name.chars().any(char::is_control) {
        return Err(Problem::invalid("name", "takes 1 to 64 letters"));
    }
    if let Some(beyond) = new.permissions.iter().flatten().find(|permission| !role.allows(**permission)) {
        let text = format!("a {} has no {}", role.as_str(), json!(beyond));
        return Err(Problem::invalid("permissions", text).code("role"));
    }
    let expires_at = new.expires_at.unwrap_or(now.plus(USUAL));
    if expires_at <= now || expires_at > now.plus(LONGEST) {
        return Err(Problem::invalid("expires_at", "lies in the future, a year away at most"));
    }
    Ok(expires_at)
}

/// Tokens of an account after this number, oldest first.
pub(super) fn list(connection: &Connection, account: i64, after: i64, limit: usize) -> Result<Vec<Token>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, id, name, permissions, created_at, expires_at, used_at FROM token
         WHERE account = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    let rows = statement.query_map(params![account, after, limit as i64], |row| {
        Ok(Token {
            seq: row.get(0)?,
            id: row.get(1)?,
            name: row.get(2)?,
            permissions: row.get::<_, Option<String>>(3)?.map(|list| read_permissions(&list)),
            created_at: row.get(4)?,
            expires_at: row.get(5)?,
            used_at: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The number of a token's id, to page on from.
pub(super) fn number(connection: &Connection, account: i64, id: &str) -> Result<i64> {
    connection
        .prepare_cached("SELECT seq FROM token WHERE account = ?1 AND id = ?2")?
        .query_row(params![account, id], |row| row.get(0))
        .optional()?
        .ok_or_else(|| Problem::not_found("token"))
}

/// What cannot be read permits nothing.
fn read_permissions(list: &str) -> Vec<Permission> {
    serde_json::from_str(list).unwrap_or_default()
}

/// Ends a token. Leaves `token.ended`.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    events: &mut Vec<Event>,
    account: i64,
    id: &str,
) -> Result<()> {
    let name: Option<String> = transaction
        .query_row(
            "DELETE FROM token WHERE account = ?1 AND id = ?2 RETURNING name",
            params![account, id],
            |row| row.get(0),
        )
        .optional()?;
    let name = name.ok_or_else(|| Problem::not_found("token"))?;
    events.push(Event {
        subject: Some(id.into()),
        details: json!({ "name": name }),
        ..Event::new("token.ended")
    });
    Ok(())
}

/// What a token's secret stands for.
pub(super) struct FoundToken {
    pub(super) id: String,
    pub(super) account: Account,
    pub(super) permissions: Option<Vec<Permission>>,
    pub(super) used_at: Utc,
}

/// The token of a secret, where it stands: known, not expired, its account enabled.
pub(super) fn find(connection: &Connection, hash: &Hash, now: Utc) -> Result<Option<FoundToken>> {
    type Row = (String, i64, Option<String>, Utc, Option<Utc>);
    let row: Option<Row> = connection
        .prepare_cached("SELECT id, account, permissions, expires_at, used_at FROM token WHERE hash = ?1")?
        .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((id, seq, permissions, expires_at, used_at)) = row else { return Ok(None) };
    if now >= expires_at {
        return Ok(None);
    }
    let Some(account) = account::find(connection, seq)?.filter(|account| account.enabled) else {
        return Ok(None);
    };
    let permissions = permissions.map(|list| read_permissions(&list));
    Ok(Some(FoundToken { id, account, permissions, used_at: used_at.unwrap_or_default() }))
}

/// Tokens whose time is over: what hangs on them must be told.
pub(super) fn timed_out(connection: &Connection, now: Utc) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached("SELECT id FROM token WHERE expires_at <= ?1")?;
    Ok(statement.query_map([now], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}
