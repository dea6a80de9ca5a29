//! The right to see: agreements between zones and units, incidents, and the policy that turns them
//! into a permit or a refusal with its reason. Deny is the default.

mod policy;

pub use policy::{Action, Asker, Permit, Refusal, Seen};
