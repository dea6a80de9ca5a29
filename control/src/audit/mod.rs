//! What happened, who did it, when, why and on what basis: append-only, hash-chained, signed, and
//! verifiable without the machine that wrote it. Never holds a frame or a credential.

mod body;
pub mod chain;
mod checkpoint;
mod export;
mod health;
mod inspect;
pub mod kinds;
mod ledger;
pub mod query;
mod store;
pub mod verify;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use chain::Head;
pub use export::Export;
pub use health::{LogTrouble, Trouble};
pub use ledger::{Ledger, Record};
pub use query::Query;

pub(crate) use health::Health;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// Account id, or `system`.
    pub account: String,
    /// Its name at that time.
    pub name: String,
    /// Its role at that time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<String>,
    /// `session`, `token` or `system`, with the public part of its id.
    pub via: String,
    /// Network address, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
}

impl Actor {
    /// The program itself: expiry, start, stop.
    pub fn system() -> Actor {
        Actor {
            account: "system".into(),
            name: "Vitrail".into(),
            role: None,
            via: "system".into(),
            address: None,
        }
    }
}

/// Something that goes on record. Empty fields are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// What: `room.verb-in-the-past`, such as `showing.started`; the list is in docs/ref/audit.md.
    pub kind: String,
    /// The zone that is concerned.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub zone: Option<String>,
    /// The camera.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub camera: Option<String>,
    /// The screen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub screen: Option<String>,
    /// The incident under which it happened.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub incident: Option<String>,
    /// The agreement that allows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agreement: Option<String>,
    /// Any other thing that it is about: an account, a layout, an output file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// The legal basis.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub basis: Option<String>,
    /// Why, in the words of whoever acted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// More, by kind. Never a credential, never pixels.
    #[serde(skip_serializing_if = "serde_json::Value::is_null", default)]
    pub details: serde_json::Value,
}

impl Event {
    /// An event of a kind; fill the rest in with `..`.
    pub fn new(kind: &str) -> Event {
        Event { kind: kind.into(), ..Event::default() }
    }
}
