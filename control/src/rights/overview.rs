//! The zones at a glance: what each has agreed to, until when, and what waits for somebody.

use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Agreement, State, agreements};
use crate::base::{Result, Utc};

/// Agreements of one zone that are looked through; more than a zone has.
const ALL: usize = 10_000;

/// Where a zone stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneStanding {
    /// An agreement grants something now.
    InForce,
    /// It was signed and is halted.
    Suspended,
    /// It is signed and begins later.
    NotYetValid,
    /// A draft waits for its signature.
    Draft,
    /// What there was has ended.
    Expired,
    /// What there was, the zone ended.
    Revoked,
    /// There is none.
    None,
}

/// A zone at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ZoneState {
    /// The zone's id.
    pub zone: String,
    /// What it is called.
    pub name: String,
    /// Where it stands.
    pub state: ZoneStanding,
    /// Until when something is granted, or from when on it will be.
    pub until: Option<Utc>,
    /// Showing is granted now.
    pub live: bool,
    /// Keeping is granted now.
    pub record: bool,
    /// Handing out is granted now.
    pub export: bool,
    /// The purposes for which something is granted now.
    pub purposes: Vec<String>,
    /// The units to which something is granted now.
    pub units: Vec<String>,
    /// The agreements that grant it.
    pub in_force: Vec<String>,
    /// Those that the zone has suspended, with since when and why.
    pub suspended: Vec<SuspendedAgreement>,
    /// Those that are signed and begin later.
    pub coming: Vec<String>,
    /// Drafts that wait for a signature.
    pub drafts: Vec<String>,
}

/// A suspended agreement.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SuspendedAgreement {
    /// The agreement.
    pub agreement: String,
    /// Since when.
    pub since: Utc,
    /// The reason that the zone gave.
    pub why: Option<String>,
}

/// All zones at a glance, by their ids.
pub fn zone_states(connection: &Connection, now: Utc) -> Result<Vec<ZoneState>> {
    let mut query = connection.prepare_cached("SELECT id, name FROM zones ORDER BY id")?;
    let zones = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let zones: Vec<(String, String)> = zones.collect::<rusqlite::Result<_>>()?;
    let mut states = Vec::with_capacity(zones.len());
    for (zone, name) in zones {
        let agreements = agreements::list(connection, Some(&zone), None, None, ALL, now)?;
        states.push(zone_state(zone, name, &agreements, now));
    }
    Ok(states)
}

fn zone_state(zone: String, name: String, agreements: &[Agreement], now: Utc) -> ZoneState {
    let of = |wanted: &dyn Fn(&Agreement) -> bool| -> Vec<&Agreement> {
        agreements.iter().filter(|agreement| wanted(agreement)).collect()
    };
    let in_force = of(&|a| a.grants_at(now));
    let suspended = of(&|a| a.state == State::Suspended && now < a.until());
    let coming =
        of(&|a| a.state == State::Signed && now < a.terms.valid_from && a.terms.valid_from < a.until());
    let drafts = of(&|a| a.state == State::Draft);
    let expired = of(&|a| matches!(a.state, State::Signed | State::Suspended) && a.until() <= now);
    let state = [
        (ZoneStanding::InForce, &in_force),
        (ZoneStanding::Suspended, &suspended),
        (ZoneStanding::NotYetValid, &coming),
        (ZoneStanding::Draft, &drafts),
        (ZoneStanding::Expired, &expired),
        (ZoneStanding::Revoked, &of(&|a| a.state == State::Revoked)),
    ]
    .into_iter()
    .find_map(|(state, list)| (!list.is_empty()).then_some(state))
    .unwrap_or(ZoneStanding::None);
    ZoneState {
        zone,
        name,
        state,
        until: match state {
            ZoneStanding::InForce => in_force.iter().map(|a| a.until()).max(),
            ZoneStanding::NotYetValid => coming.iter().map(|a| a.terms.valid_from).min(),
            ZoneStanding::Expired => expired.iter().map(|a| a.until()).max(),
            _ => None,
        },
        live: in_force.iter().any(|a| a.terms.live),
        record: in_force.iter().any(|a| a.terms.record),
        export: in_force.iter().any(|a| a.terms.export),
        purposes: union(&in_force, |a| &a.terms.purposes),
        units: union(&in_force, |a| &a.terms.units),
        in_force: ids(&in_force),
        suspended: suspended
            .iter()
            .map(|a| SuspendedAgreement { agreement: a.id.clone(), since: a.since, why: a.why.clone() })
            .collect(),
        coming: ids(&coming),
        drafts: ids(&drafts),
    }
}

fn ids(agreements: &[&Agreement]) -> Vec<String> {
    agreements.iter().map(|agreement| agreement.id.clone()).collect()
}

fn union(agreements: &[&Agreement], of: fn(&Agreement) -> &Vec<String>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in agreements.iter().flat_map(|agreement| of(agreement)) {
        if !words.contains(word) {
            words.push(word.clone());
        }
    }
    words
}
