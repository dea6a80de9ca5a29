//! Who calls: a person, or a program with a person's token, whose login was checked, and what they may do.

use std::net::IpAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{FoundLogin, Permission, Role};
use crate::audit::Actor;
use crate::base::{Problem, Result};

/// A person (or a program with a person's token) whose login was checked, on this request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Account id.
    pub account: String,
    /// The name of the account.
    pub name: String,
    /// The role of the account, as it is now.
    pub role: Role,
    /// The zones to which the role is limited; empty: none in particular.
    pub zones: Vec<String>,
    /// The unit for which this person works: the one that agreements name.
    pub unit: String,
    /// Id of the login session, where it is one.
    pub session: Option<String>,
    /// The only permissions of an API token, where they are narrower than the role's.
    pub narrowed: Option<Arc<[Permission]>>,
    /// Cancelled the moment that this login (session or token) ends, its account is disabled, or its
    /// role changes: what goes on after the answer (previews, event streams) hangs on this.
    pub ended: CancellationToken,
    /// How it stands in the log.
    pub actor: Actor,
}

impl Caller {
    /// Whether this may be done: by the role, and by the token where it is narrower.
    pub fn may(&self, permission: Permission) -> bool {
        self.role.allows(permission) && self.narrowed.as_ref().is_none_or(|list| list.contains(&permission))
    }

    /// Fails where the role may not, or the token was not made for it.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.may(permission) {
            return Ok(());
        }
        if self.role.allows(permission) {
            return Err(Problem::refused("token", "this API token was not made for this").code("token"));
        }
        Err(Problem::refused("role", format!("a {} may not do this", self.role.as_str())).code("role"))
    }

    /// Fails where the role may not, or not for this zone: a zone authority acts for its zones only.
    pub fn require_for(&self, permission: Permission, zone: &str) -> Result<()> {
        self.require(permission)?;
        if self.role != Role::ZoneAuthority || self.zones.iter().any(|z| z == zone) {
            return Ok(());
        }
        Err(Problem::refused(format!("zone {zone}"), "you do not speak for this zone").code("zone"))
    }

    /// The session's id; fails for API tokens, which must not make others or change passwords: one
    /// that leaked would outlive its end.
    pub fn require_session(&self) -> Result<&str> {
        self.session.as_deref().ok_or_else(|| {
            Problem::refused("token", "log in for this; an API token does not do").code("session")
        })
    }

    /// Whose login was found, calling from `address`.
    pub(crate) fn of(found: FoundLogin, address: Option<IpAddr>) -> Caller {
        let FoundLogin { login, permissions } = found;
        let session = login.id.starts_with("s-").then(|| login.id.clone());
        let via = match session {
            Some(_) => format!("session {}", login.id),
            None => format!("token {}", login.id),
        };
        let account = login.account;
        Caller {
            actor: Actor {
                account: account.id.clone(),
                name: account.name.clone(),
                role: Some(account.role.as_str().into()),
                via,
                address: address.map(|address| address.to_string()),
            },
            account: account.id,
            name: account.name,
            role: account.role,
            zones: account.zones,
            unit: account.unit,
            session,
            narrowed: permissions.map(Into::into),
            ended: login.ended,
        }
    }
}
