//! All rights at one moment: what the policy decides from. Immutable; a change makes another one.

use std::collections::HashMap;

use crate::base::Utc;
use crate::people::Role;

use super::State;

/// An agreement, as far as decisions need it.
#[derive(Clone, Debug, PartialEq)]
pub struct AgreementFacts {
    /// `A-2026-0001`.
    pub id: String,
    /// The zone whose cameras it is about.
    pub zone: String,
    /// What it is called.
    pub title: String,
    /// For what the pictures may be used.
    pub purposes: Vec<String>,
    /// Showing is granted.
    pub live: bool,
    /// Keeping is granted.
    pub record: bool,
    /// Handing out is granted.
    pub export: bool,
    /// To whom.
    pub units: Vec<String>,
    /// Cameras with one of these tags; empty: all of the zone.
    pub tags: Vec<String>,
    /// From when on.
    pub from: Utc,
    /// Until when, exclusive: its end, or where its successor takes over.
    pub to: Utc,
    /// Drafted, signed, suspended, revoked.
    pub state: State,
    /// Since when it is in this state.
    pub since: Utc,
}

/// An incident that is not closed.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentFacts {
    /// `I-2026-0001`.
    pub id: String,
    /// For what pictures are looked at.
    pub purpose: String,
    /// Why, legal basis and reference, for the audit log.
    pub basis: String,
    /// When it ends; [`Utc::NEVER`] while nobody closes it.
    pub ends_at: Utc,
}

/// An account, as far as decisions need it.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountFacts {
    /// `u-…`.
    pub id: String,
    /// Its role now.
    pub role: Role,
    /// The unit for which this person works.
    pub unit: String,
    /// The zones to which it is limited; empty: none in particular.
    pub zones: Vec<String>,
    /// May log in.
    pub enabled: bool,
}

/// The rights at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rights {
    by_zone: HashMap<String, Vec<AgreementFacts>>,
    incidents: HashMap<String, IncidentFacts>,
    accounts: HashMap<String, AccountFacts>,
    unreadable: bool,
}

impl Rights {
    /// From their parts.
    pub fn new(
        agreements: Vec<AgreementFacts>,
        incidents: Vec<IncidentFacts>,
        accounts: Vec<AccountFacts>,
    ) -> Rights {
        let mut by_zone: HashMap<String, Vec<AgreementFacts>> = HashMap::new();
        for agreement in agreements {
            by_zone.entry(agreement.zone.clone()).or_default().push(agreement);
        }
        Rights {
            by_zone,
            incidents: incidents.into_iter().map(|i| (i.id.clone(), i)).collect(),
            accounts: accounts.into_iter().map(|a| (a.id.clone(), a)).collect(),
            unreadable: false,
        }
    }

    /// Nothing is allowed, because the rights cannot be read.
    pub fn unreadable() -> Rights {
        Rights { unreadable: true, ..Rights::default() }
    }

    /// Whether they could not be read.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// The agreements of a zone, in whatever state.
    pub fn agreements(&self, zone: &str) -> &[AgreementFacts] {
        self.by_zone.get(zone).map_or(&[], Vec::as_slice)
    }

    /// An incident that is not closed.
    pub fn incident(&self, id: &str) -> Option<&IncidentFacts> {
        self.incidents.get(id)
    }

    /// All incidents that are not closed.
    pub fn incidents(&self) -> impl Iterator<Item = &IncidentFacts> {
        self.incidents.values()
    }

    /// An account.
    pub fn account(&self, id: &str) -> Option<&AccountFacts> {
        self.accounts.get(id)
    }

    fn all_agreements(&self) -> impl Iterator<Item = &AgreementFacts> {
        self.by_zone.values().flatten()
    }
}

impl AgreementFacts {
    /// Signed and neither revoked nor withdrawn: time can change what it says.
    pub(super) fn lives(&self) -> bool {
        matches!(self.state, State::Signed | State::Suspended)
    }

    /// The next moment at which time alone changes what it says.
    pub(super) fn next_edge(&self, now: Utc) -> Utc {
        let edges = [self.from, self.to].into_iter().filter(|&edge| self.lives() && edge > now);
        edges.min().unwrap_or(Utc::NEVER)
    }
}

/// The next moment at which time alone can change an answer; [`Utc::NEVER`] where there is none. Until
/// then every decision stays as it is, unless the rights change.
pub fn next_change(rights: &Rights, now: Utc) -> Utc {
    let agreements = rights.all_agreements().map(|a| a.next_edge(now));
    let incidents = rights.incidents().map(|i| i.ends_at).filter(|&end| end > now);
    agreements.chain(incidents).min().unwrap_or(Utc::NEVER)
}
