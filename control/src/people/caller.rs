//! Who calls the API: the extractor that every handler but the public ones begins with.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::{Permission, Role};
use crate::api::Shared;
use crate::audit::Actor;
use crate::base::Kind;
use crate::{Problem, Result};

/// A person (or a program with a person's token) whose login was checked, on this request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Account id.
    pub account: String,
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// The zones to which the role is limited; empty: none in particular.
    pub zones: Vec<String>,
    /// The unit for which this person works: the one that agreements name.
    pub unit: String,
    /// Id of the login session, where it is one: what ends with it hangs on this.
    pub session: Option<String>,
    /// How it stands in the log.
    pub actor: Actor,
}

impl Caller {
    /// Fails where the role may not.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.role.allows(permission) {
            return Ok(());
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
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, _shared: &Shared) -> Result<Caller> {
        Err(Problem::new(Kind::NotLoggedIn, "login", "log in first"))
    }
}
