//! The right to see: agreements between zones and units, incidents, and the policy that turns them
//! into a permit or a refusal with its reason. Deny is the default. `docs/design/rights.md` says why.

mod agreement;
pub mod agreements;
mod basis;
mod due;
pub mod incidents;
mod load;
mod objection;
mod overview;
mod policy;
mod room;
mod snapshot;
mod terms;
mod text;

#[cfg(test)]
mod tests;

use rusqlite::Transaction;

pub use agreement::{Agreement, State, Step, StepTaken};
pub use basis::{BASES, LegalBasis};
pub use due::due;
pub use incidents::{Closing, Incident, IncidentState, NewIncident, Showing, Showings};
pub use objection::{About, Code, Refusal, RefusalReason};
pub use overview::{SuspendedAgreement, ZoneStanding, ZoneState, zone_states};
pub use policy::{Action, Asker, CameraFacts, Permit, decide, decide_standby};
pub use room::{OnChange, Policy};
pub use snapshot::{AccountFacts, AgreementFacts, IncidentFacts, Rights, next_change};
pub use terms::{NewAgreement, Purpose, Terms, TermsChange, add_purpose, purposes};

use crate::base::{Result, Utc};
pub use crate::people::Language;

/// The next id of a kind in the year of `now`: `A-2026-0001`. Numbers of changes that failed are given
/// again, so that there is no gap.
fn next_id(transaction: &Transaction<'_>, letter: char, now: Utc) -> Result<String> {
    let year: i64 = now.to_string().get(..4).and_then(|year| year.parse().ok()).unwrap_or_default();
    let number: i64 = transaction.query_row(
        "INSERT INTO rights_numbers (letter, year, last) VALUES (?1, ?2, 1)
         ON CONFLICT (letter, year) DO UPDATE SET last = last + 1 RETURNING last",
        rusqlite::params![letter.to_string(), year],
        |row| row.get(0),
    )?;
    Ok(format!("{letter}-{year}-{number:04}"))
}
