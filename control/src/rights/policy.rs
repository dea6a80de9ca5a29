//! (agreements, incident, asker, camera, action, time) -> a permit, or a refusal with its reason.
//! Pure: the same facts give the same answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Utc;
use crate::people::Role;

/// What is to be done with a camera's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Show them now, to people in the room.
    Live,
    /// Keep them: an output of the wall that is a file.
    Record,
    /// Hand them out: snapshots, evidence.
    Export,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Asker {
    /// Account id.
    pub account: String,
    /// Role.
    pub role: Role,
    /// The unit for which they work.
    pub unit: String,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The camera.
    pub camera: String,
    /// Its zone; a camera without one is shown to nobody.
    pub zone: Option<String>,
    /// Its tags, by which agreements may be limited.
    pub tags: Vec<String>,
}

/// Allowed, on this basis, until then.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Permit {
    /// The agreement.
    pub agreement: String,
    /// The incident.
    pub incident: String,
    /// Both in words, with the legal basis, for the audit log.
    pub basis: String,
    /// When it ends by itself at the latest; `Utc::NEVER` where it does not.
    pub until: Utc,
}

/// Why not. The word (`code`) is what programs and translations rely on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refusal {
    /// `no-incident`, `incident-closed`, `no-zone`, `no-agreement`, `not-signed`, `not-yet-valid`, `expired`,
    /// `suspended`, `revoked`, `purpose`, `unit`, `action`, `camera`, `role`, `account`, `log`.
    pub code: String,
    /// In English, with what matters (zone, date).
    pub text: String,
}
