//! Who changes the registry, and in which zones.

use crate::audit::Actor;
use crate::base::{Problem, Result};
use crate::people::{Caller, Role};

/// Who changes the registry, and in which zones.
#[derive(Clone, Debug)]
pub struct Author {
    /// How it stands in the log.
    pub actor: Actor,
    zones: Option<Vec<String>>,
}

impl Author {
    /// The program itself, or whoever works at its terminal: every zone.
    pub fn system() -> Author {
        Author { actor: Actor::system(), zones: None }
    }

    /// Whether cameras of this zone are theirs to change; those without a zone are an administrator's.
    pub fn covers(&self, zone: Option<&str>) -> bool {
        match (&self.zones, zone) {
            (None, _) => true,
            (Some(zones), Some(zone)) => zones.iter().any(|z| z == zone),
            (Some(_), None) => false,
        }
    }

    /// Fails where it is not.
    pub fn require(&self, zone: Option<&str>) -> Result<()> {
        if self.covers(zone) {
            return Ok(());
        }
        let what = zone.map_or("cameras without a zone".to_owned(), |zone| format!("zone {zone}"));
        Err(Problem::refused(what, "you do not speak for this zone").code("zone"))
    }

    /// Fails for whoever is limited to zones.
    pub fn require_all(&self, what: &str) -> Result<()> {
        if self.zones.is_none() {
            return Ok(());
        }
        Err(Problem::refused(what, "only an administrator may do this").code("zone"))
    }
}

impl From<&Caller> for Author {
    fn from(caller: &Caller) -> Author {
        let zones = (caller.role == Role::ZoneAuthority).then(|| caller.zones.clone());
        Author { actor: caller.actor.clone(), zones }
    }
}
