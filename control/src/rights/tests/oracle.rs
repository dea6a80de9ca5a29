//! What the policy has to answer, written down once more: as tables of conditions, knowing nothing of how
//! the policy goes about it.

use super::*;

/// One question with all that bears on it.
pub(super) struct Question<'a> {
    pub agreements: &'a [AgreementFacts],
    pub incidents: &'a [IncidentFacts],
    pub accounts: &'a [AccountFacts],
    pub asker: &'a Asker,
    pub incident: Option<&'a str>,
    pub facts: &'a CameraFacts,
    pub action: Action,
    pub now: Utc,
}

type Condition = (&'static str, fn(&Question<'_>) -> bool);
type Clause = (&'static str, fn(&Question<'_>, &AgreementFacts) -> bool);

/// What must hold before any agreement is looked at.
const BEFORE: [Condition; 5] = [
    ("account", |q| q.accounts.iter().any(|a| a.id == q.asker.account && a.enabled)),
    ("role", |q| {
        let looks = |role: Role| matches!(role, Role::Operator | Role::Supervisor);
        q.accounts.iter().filter(|a| a.id == q.asker.account).all(|a| {
            let elsewhere =
                q.facts.zone.as_ref().is_some_and(|z| !a.zones.is_empty() && !a.zones.contains(z));
            looks(a.role) && looks(q.asker.role) && !elsewhere
        })
    }),
    ("no-incident", |q| q.incident.is_some()),
    ("incident-closed", |q| {
        q.incidents.iter().any(|i| Some(i.id.as_str()) == q.incident && q.now < i.ends_at)
    }),
    ("no-zone", |q| q.facts.zone.is_some()),
];

/// What an agreement must fulfil, in the order in which it is asked.
const CLAUSES: [Clause; 9] = [
    ("not-signed", |_, a| a.state != State::Draft && a.state != State::Withdrawn),
    ("revoked", |_, a| a.state != State::Revoked),
    ("not-yet-valid", |q, a| a.from <= q.now),
    ("expired", |q, a| q.now < a.to),
    ("suspended", |_, a| a.state != State::Suspended),
    ("purpose", |q, a| {
        q.incidents.iter().any(|i| Some(i.id.as_str()) == q.incident && a.purposes.contains(&i.purpose))
    }),
    ("unit", |q, a| a.units.contains(&q.asker.unit)),
    ("camera", |q, a| a.tags.is_empty() || q.facts.tags.iter().any(|t| a.tags.contains(t))),
    ("action", |q, a| match q.action {
        Action::Live => a.live,
        Action::Record => a.record,
        Action::Export => a.export,
    }),
];

/// Of several agreements that do not permit, the one with the reason that stands first here speaks.
const HELPS_MOST: [&str; 9] =
    ["action", "camera", "unit", "purpose", "suspended", "not-yet-valid", "not-signed", "expired", "revoked"];

/// The ids of all agreements that permit it, or the word of the refusal.
pub(super) fn answer(q: &Question<'_>) -> Result<Vec<String>, &'static str> {
    if let Some((word, _)) = BEFORE.iter().find(|(_, holds)| !holds(q)) {
        return Err(word);
    }
    let of_zone = |a: &&AgreementFacts| Some(&a.zone) == q.facts.zone.as_ref();
    let mut permitting = Vec::new();
    let mut objections = Vec::new();
    for agreement in q.agreements.iter().filter(of_zone) {
        match CLAUSES.iter().find(|(_, holds)| !holds(q, agreement)) {
            None => permitting.push(agreement.id.clone()),
            Some((word, _)) => objections.push(*word),
        }
    }
    if !permitting.is_empty() {
        return Ok(permitting);
    }
    Err(HELPS_MOST.into_iter().find(|word| objections.contains(word)).unwrap_or("no-agreement"))
}
