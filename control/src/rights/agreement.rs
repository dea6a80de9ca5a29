//! An agreement and its life: draft, signed, suspended and signed again, revoked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Terms;
use crate::base::{Kind, Problem, Result, Utc};

/// Where an agreement stands. Whether a signed one is in force is a question of its dates, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AgreementState)]
pub enum State {
    /// Written, not signed: grants nothing.
    Draft,
    /// Signed for the zone: grants what it says, while it is valid.
    Signed,
    /// SuspendedAgreement by the zone until it resumes it.
    Suspended,
    /// Ended by the zone, for good.
    Revoked,
    /// A draft that nobody will sign.
    Withdrawn,
}

/// What can be done to an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The text of a draft is changed.
    Change,
    /// A second person who speaks for the zone signs it.
    Sign,
    /// The zone halts it.
    Suspend,
    /// The zone lets it go on.
    Resume,
    /// The zone ends it.
    Revoke,
    /// A draft is given up.
    Withdraw,
}

impl State {
    /// All of them.
    pub const ALL: [State; 5] =
        [State::Draft, State::Signed, State::Suspended, State::Revoked, State::Withdrawn];

    /// The state after a step; `None` where the step is not possible.
    pub fn after(self, step: Step) -> Option<State> {
        match (self, step) {
            (State::Draft, Step::Change) => Some(State::Draft),
            (State::Draft, Step::Sign) => Some(State::Signed),
            (State::Draft, Step::Withdraw) => Some(State::Withdrawn),
            (State::Signed, Step::Suspend) => Some(State::Suspended),
            (State::Suspended, Step::Resume) => Some(State::Signed),
            (State::Signed | State::Suspended, Step::Revoke) => Some(State::Revoked),
            _ => None,
        }
    }

    /// As it stands in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Draft => "draft",
            State::Signed => "signed",
            State::Suspended => "suspended",
            State::Revoked => "revoked",
            State::Withdrawn => "withdrawn",
        }
    }

    /// Reads what [`State::as_str`] writes.
    pub fn parse(text: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl Step {
    /// All of them.
    pub const ALL: [Step; 6] =
        [Step::Change, Step::Sign, Step::Suspend, Step::Resume, Step::Revoke, Step::Withdraw];

    /// What was done, as history and the audit log call it.
    pub fn done(self) -> &'static str {
        match self {
            Step::Change => "changed",
            Step::Sign => "signed",
            Step::Suspend => "suspended",
            Step::Resume => "resumed",
            Step::Revoke => "revoked",
            Step::Withdraw => "withdrawn",
        }
    }

    /// Whether it needs a reason: what takes rights away does.
    pub fn needs_reason(self) -> bool {
        matches!(self, Step::Suspend | Step::Revoke)
    }
}

/// One line of an agreement's history.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct StepTaken {
    /// When it was taken.
    pub at: Utc,
    /// Account id.
    pub by: String,
    /// What that account was called then.
    pub name: String,
    /// `drafted`, `changed`, `signed`, `suspended`, `resumed`, `revoked`, `withdrawn`, `replaced`.
    pub what: String,
    /// The reason that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The text after `drafted` and `changed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
}

/// An agreement between a zone and units that may look through its cameras.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Agreement {
    /// `A-2026-0001`.
    pub id: String,
    /// The zone whose cameras it is about.
    pub zone: String,
    /// What was agreed.
    #[serde(flatten)]
    pub terms: Terms,
    /// Where it stands.
    pub state: State,
    /// Since when it is in this state.
    pub since: Utc,
    /// Why it was suspended, revoked or withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether it grants something now: signed, within its time, not replaced.
    pub in_force: bool,
    /// Counts the texts of the draft. Who changes or signs it names the one that was read.
    pub version: i64,
    /// The agreement in whose place it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The one that came in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// From when its successor holds in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Utc>,
    /// Who wrote the draft: account id.
    pub drafted_by: String,
    /// When it was drafted.
    pub drafted_at: Utc,
    /// Who signed for the zone: account id.
    pub signed_by: Option<String>,
    /// When it was signed.
    pub signed_at: Option<Utc>,
    /// All that was done to it, oldest first; left out in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<StepTaken>,
}

impl Agreement {
    /// Until when it holds by itself: its end, or where its successor takes over.
    pub fn until(&self) -> Utc {
        self.ends_at.map_or(self.terms.valid_to, |end| end.min(self.terms.valid_to))
    }

    /// Whether it grants something at that time.
    pub fn grants_at(&self, now: Utc) -> bool {
        self.state == State::Signed && self.terms.valid_from <= now && now < self.until()
    }

    /// The state after a step.
    ///
    /// # Errors
    /// A conflict where the step is not possible from where it stands; its code is that state.
    pub fn after(&self, step: Step) -> Result<State> {
        self.state.after(step).ok_or_else(|| {
            let (state, done) = (self.state.as_str(), step.done());
            Problem::new(Kind::Conflict, self.id.clone(), format!("is {state} and cannot be {done} now"))
                .code(state)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every possible step, written down once more by hand.
    const POSSIBLE: [(State, Step, State); 7] = [
        (State::Draft, Step::Change, State::Draft),
        (State::Draft, Step::Sign, State::Signed),
        (State::Draft, Step::Withdraw, State::Withdrawn),
        (State::Signed, Step::Suspend, State::Suspended),
        (State::Signed, Step::Revoke, State::Revoked),
        (State::Suspended, Step::Resume, State::Signed),
        (State::Suspended, Step::Revoke, State::Revoked),
    ];

    #[test]
    fn only_the_steps_of_the_table_are_possible() {
        for state in State::ALL {
            for step in Step::ALL {
                let wanted = POSSIBLE.iter().find(|(s, t, _)| (*s, *t) == (state, step)).map(|row| row.2);
                assert_eq!(state.after(step), wanted, "{state:?} {step:?}");
            }
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("valid"), None);
    }

    #[test]
    fn what_has_ended_never_comes_back() {
        for (end, step) in
            [State::Revoked, State::Withdrawn].into_iter().flat_map(|s| Step::ALL.map(|t| (s, t)))
        {
            assert_eq!(end.after(step), None);
        }
    }
}
