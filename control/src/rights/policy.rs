//! (rights, asker, incident, camera, action, time) -> a permit, or a refusal with its reason.
//! Pure: the same facts give the same answer. What is not stated is refused.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::objection::{Code, RefusalReason};
use super::{AgreementFacts, IncidentFacts, Refusal, Rights, State};
use crate::base::Utc;
use crate::people::{Caller, Permission, Role};

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

impl Action {
    /// All of them.
    pub const ALL: [Action; 3] = [Action::Live, Action::Record, Action::Export];

    /// As it stands in refusals and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Live => "live",
            Action::Record => "record",
            Action::Export => "export",
        }
    }

    /// What the asker's role must allow.
    fn permission(self) -> Permission {
        match self {
            Action::Live => Permission::ViewWall,
            Action::Record => Permission::OperateWall,
            Action::Export => Permission::Export,
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Asker {
    /// Account id.
    pub account: String,
    /// The role in which they ask.
    pub role: Role,
    /// The unit for which they work.
    pub unit: String,
}

impl Asker {
    /// Whoever calls, for their own unit.
    pub fn of(caller: &Caller) -> Asker {
        Asker { account: caller.account.clone(), role: caller.role, unit: caller.unit.clone() }
    }
}

/// What rights depend on of a camera whose pictures are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraFacts {
    /// The camera.
    pub camera: String,
    /// Its zone; a camera without one is shown to nobody.
    pub zone: Option<String>,
    /// Its tags, by which agreements may be limited.
    pub tags: Vec<String>,
}

impl CameraFacts {
    /// Of a camera of which nothing is known: it is shown to nobody.
    pub fn unknown(camera: &str) -> CameraFacts {
        CameraFacts { camera: camera.to_owned(), zone: None, tags: Vec::new() }
    }
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

/// Whether `asker` may do `action` with the pictures of a camera under `incident` at `now`.
///
/// Every agreement of the camera's zone is asked. One that permits is enough, and of several the one
/// that holds longest is taken. Where none permits, the reason is that of the one that came closest.
///
/// # Errors
/// The first reason, in the order of [`Code`].
pub fn decide(
    rights: &Rights,
    asker: &Asker,
    incident: Option<&str>,
    facts: &CameraFacts,
    action: Action,
    now: Utc,
) -> Result<Permit, Refusal> {
    readable(rights)?;
    may_act(rights, asker, facts, action)?;
    let incident = incident.ok_or(RefusalReason::of(Code::NoIncident))?;
    let incident = open_incident(rights, incident, now)?;
    permitted(rights, incident, &asker.unit, facts, action, now)
}

/// Whether the pictures of a camera may be kept ready for `unit`, before anybody asks for them: some open
/// incident would let this unit see them now.
///
/// # Errors
/// `no-incident` where none is open, else the reason under the incident that came closest.
pub fn decide_standby(rights: &Rights, unit: &str, facts: &CameraFacts, now: Utc) -> Result<Permit, Refusal> {
    readable(rights)?;
    let mut best: Option<(AnswerRank, Result<Permit, Refusal>)> = None;
    let mut until = Utc::NEVER;
    for incident in rights.incidents().filter(|incident| now < incident.ends_at) {
        until = until.min(incident.ends_at);
        let answer = permitted(rights, incident, unit, facts, Action::Live, now);
        if let Err(refusal) = &answer {
            until = until.min(refusal.until);
        }
        let rank = match &answer {
            Ok(permit) => {
                AnswerRank { permits: true, until: permit.until, reason: None, id: Reverse(&incident.id) }
            }
            Err(refusal) => AnswerRank {
                permits: false,
                until: Utc::NEVER,
                reason: Code::parse(&refusal.code),
                id: Reverse(&incident.id),
            },
        };
        if best.as_ref().is_none_or(|(other, _)| rank > *other) {
            best = Some((rank, answer));
        }
    }
    let answer = best.map_or_else(|| Err(RefusalReason::of(Code::NoIncident).into()), |(_, answer)| answer);
    answer.map_err(|refusal| Refusal { until, ..refusal })
}

/// How good an answer is: a permit above a refusal, a longer one above a shorter one, a refusal that
/// came further above one that did not; the older incident where all else is equal.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct AnswerRank<'a> {
    permits: bool,
    until: Utc,
    reason: Option<Code>,
    id: Reverse<&'a String>,
}

fn readable(rights: &Rights) -> Result<(), RefusalReason<'static>> {
    if rights.is_unreadable() { Err(RefusalReason::of(Code::Unreadable)) } else { Ok(()) }
}

/// The account and its role, as they are now and as the asker says.
fn may_act<'a>(
    rights: &Rights,
    asker: &'a Asker,
    facts: &'a CameraFacts,
    action: Action,
) -> Result<(), RefusalReason<'a>> {
    let account = rights.account(&asker.account).filter(|account| account.enabled);
    let account = account.ok_or(RefusalReason::of(Code::Account))?;
    for role in [account.role, asker.role] {
        if !role.allows(action.permission()) {
            return Err(RefusalReason { asked: Some(role.as_str()), ..RefusalReason::of(Code::Role) });
        }
    }
    match facts.zone.as_deref() {
        Some(zone) if !account.zones.is_empty() && !account.zones.iter().any(|z| z == zone) => {
            Err(RefusalReason { zone: Some(zone), ..RefusalReason::of(Code::Role) })
        }
        _ => Ok(()),
    }
}

fn open_incident<'a>(
    rights: &'a Rights,
    id: &'a str,
    now: Utc,
) -> Result<&'a IncidentFacts, RefusalReason<'a>> {
    let open = rights.incident(id).filter(|incident| now < incident.ends_at);
    open.ok_or(RefusalReason { incident: Some(id), ..RefusalReason::of(Code::IncidentClosed) })
}

/// What the zone has agreed to.
fn permitted(
    rights: &Rights,
    incident: &IncidentFacts,
    unit: &str,
    facts: &CameraFacts,
    action: Action,
    now: Utc,
) -> Result<Permit, Refusal> {
    let refused = RefusalReason {
        incident: Some(&incident.id),
        until: incident.ends_at,
        ..RefusalReason::of(Code::NoZone)
    };
    let zone = facts.zone.as_deref().ok_or(refused)?;
    let asked = Asked { purpose: &incident.purpose, unit, facts, action };
    let mut permit: Option<&AgreementFacts> = None;
    let mut closest: Option<(Code, &AgreementFacts)> = None;
    let mut until = incident.ends_at;
    for agreement in rights.agreements(zone) {
        until = until.min(agreement.next_edge(now));
        match objection(agreement, &asked, now) {
            None if permit.is_none_or(|other| holds_longer(agreement, other)) => permit = Some(agreement),
            None => {}
            Some(code) if closest.is_none_or(|other| is_closer((code, agreement), other)) => {
                closest = Some((code, agreement));
            }
            Some(_) => {}
        }
    }
    if let Some(agreement) = permit {
        return Ok(Permit {
            agreement: agreement.id.clone(),
            incident: incident.id.clone(),
            basis: basis(agreement, incident),
            until: agreement.to.min(incident.ends_at),
        });
    }
    let refused = RefusalReason { zone: Some(zone), until, ..refused };
    Err(match closest {
        None => RefusalReason { code: Code::NoAgreement, ..refused },
        Some((code, agreement)) => RefusalReason {
            code,
            agreement: Some(&agreement.id),
            at: date_that_matters(code, agreement),
            asked: asked.missing(code),
            ..refused
        },
    }
    .into())
}

/// Agreement and incident in words. Joined by hand: this runs for every open camera at each change.
fn basis(agreement: &AgreementFacts, incident: &IncidentFacts) -> String {
    let AgreementFacts { id, zone, title, .. } = agreement;
    [id.as_str(), " (", zone, ": ", title, "); ", &incident.id, ": ", &incident.basis].concat()
}

/// What an agreement is held against.
struct Asked<'a> {
    purpose: &'a str,
    unit: &'a str,
    facts: &'a CameraFacts,
    action: Action,
}

impl<'a> Asked<'a> {
    fn missing(&self, code: Code) -> Option<&'a str> {
        match code {
            Code::Purpose => Some(self.purpose),
            Code::Unit => Some(self.unit),
            Code::Camera => Some(&self.facts.camera),
            Code::Action => Some(self.action.as_str()),
            _ => None,
        }
    }
}

/// The first thing in which an agreement does not permit what is asked; none: it permits it.
fn objection(agreement: &AgreementFacts, asked: &Asked<'_>, now: Utc) -> Option<Code> {
    let has = |list: &[String], word: &str| list.iter().any(|entry| entry == word);
    let granted = match asked.action {
        Action::Live => agreement.live,
        Action::Record => agreement.record,
        Action::Export => agreement.export,
    };
    let covers = agreement.tags.is_empty() || agreement.tags.iter().any(|tag| has(&asked.facts.tags, tag));
    match agreement.state {
        State::Draft | State::Withdrawn => Some(Code::NotSigned),
        State::Revoked => Some(Code::Revoked),
        _ if now < agreement.from => Some(Code::NotYetValid),
        _ if now >= agreement.to => Some(Code::Expired),
        State::Suspended => Some(Code::Suspended),
        State::Signed if !has(&agreement.purposes, asked.purpose) => Some(Code::Purpose),
        State::Signed if !has(&agreement.units, asked.unit) => Some(Code::Unit),
        State::Signed if !covers => Some(Code::Camera),
        State::Signed if !granted => Some(Code::Action),
        State::Signed => None,
    }
}

fn holds_longer(one: &AgreementFacts, other: &AgreementFacts) -> bool {
    (one.to, &other.id) > (other.to, &one.id)
}

/// Of two refusals of one zone, the one that helps more: an agreement in force that lacks something
/// comes first, then one that the zone can resume, that begins, that can be signed; what has ended is
/// last. Where they are alike, the one that begins first or ended last, and then the newer.
fn is_closer(one: (Code, &AgreementFacts), other: (Code, &AgreementFacts)) -> bool {
    let rank = |(code, agreement): (Code, &AgreementFacts)| {
        let (rank, tie) = match code {
            Code::Action => (9, 0),
            Code::Camera => (8, 0),
            Code::Unit => (7, 0),
            Code::Purpose => (6, 0),
            Code::Suspended => (5, 0),
            Code::NotYetValid => (4, agreement.from.0.saturating_neg()),
            Code::NotSigned => (3, 0),
            Code::Expired => (2, agreement.to.0),
            _ => (1, agreement.since.0),
        };
        (rank, tie)
    };
    (rank(one), &one.1.id) > (rank(other), &other.1.id)
}

fn date_that_matters(code: Code, agreement: &AgreementFacts) -> Option<Utc> {
    match code {
        Code::NotYetValid => Some(agreement.from),
        Code::Expired => Some(agreement.to),
        Code::Suspended | Code::Revoked => Some(agreement.since),
        _ => None,
    }
}
