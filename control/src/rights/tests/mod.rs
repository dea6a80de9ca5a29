//! Tests of the room against real databases, and of the policy against an oracle.

mod docs;
mod figure;
mod incidents;
mod life;
mod oracle;
mod policy;
mod room;

use std::sync::Arc;
use std::time::Duration;

use vitrail_engine::base::SimClock;

use super::*;
use crate::audit::{Actor, Ledger, Record};
use crate::base::{Problem, Utc};
use crate::db::Database;
use crate::people::Role;

/// 2026-11-24T17:00:00Z, in seconds: when every test begins.
const BEGIN_S: u64 = 1_795_539_600;
const HOUR: Duration = Duration::from_secs(3600);

/// A database of its own with people and two zones, and a clock that is moved by hand.
struct Fixture {
    db: Arc<Database>,
    clock: Arc<SimClock>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = SimClock::new();
        clock.advance(Duration::from_secs(BEGIN_S));
        let db = Database::open(&folder.path().join("control.db"), Ledger::default(), clock.clone())
            .expect("a database");
        db.change(&Actor::system(), |transaction, _| {
            transaction.execute_batch(PEOPLE_AND_ZONES)?;
            Ok(())
        })
        .expect("people and zones");
        Fixture { db, clock, _folder: folder }
    }

    fn now(&self) -> Utc {
        self.db.now()
    }

    /// All records, oldest first.
    fn records(&self) -> Vec<Record> {
        self.db
            .read(|connection| {
                let mut query = connection.prepare("SELECT body FROM audit ORDER BY seq")?;
                let bodies = query.query_map([], |row| row.get::<_, String>(0))?;
                let bodies: Vec<String> = bodies.collect::<rusqlite::Result<_>>()?;
                Ok(bodies.iter().map(|body| serde_json::from_str(body).expect("a record")).collect())
            })
            .expect("the log")
    }

    fn kinds(&self) -> Vec<String> {
        self.records().into_iter().map(|record| record.event.kind).collect()
    }

    /// A draft by the administrator for zone north, from now on for a day.
    fn drafted(&self) -> Agreement {
        agreements::draft(&self.db, &anna(), "north", None, self.terms()).expect("a draft")
    }

    /// The same, signed by who speaks for the zone.
    fn signed(&self) -> Agreement {
        let draft = self.drafted();
        agreements::sign(&self.db, &zoe(), &draft.id, Some(1)).expect("signed")
    }

    fn terms(&self) -> Terms {
        Terms {
            title: "Regional crisis room".into(),
            parties: vec!["Zone North".into(), "Regional crisis centre".into()],
            purposes: vec!["public-order".into(), "missing-person".into()],
            live: true,
            record: false,
            export: false,
            units: vec!["crisis-centre".into()],
            tags: Vec::new(),
            valid_from: self.now(),
            valid_to: self.now().plus(24 * HOUR),
        }
    }

    fn opened(&self) -> Incident {
        super::incidents::open(&self.db, &otto(), new_incident()).expect("an incident")
    }
}

fn new_incident() -> NewIncident {
    NewIncident {
        title: "March on the ring".into(),
        reason: "A march of 4,000 people crosses two zones".into(),
        legal_basis: "lfp-22".into(),
        legal_text: None,
        reference: "EV-2026-118".into(),
        purpose: "public-order".into(),
    }
}

const PEOPLE_AND_ZONES: &str = "
    INSERT INTO account (seq, name, name_key, role, unit, language, enabled, created_at) VALUES
        (1, 'Anna', 'anna', 'administrator', 'it', 'en', 1, 0),
        (2, 'Zoe', 'zoe', 'zone-authority', 'north', 'fr', 1, 0),
        (3, 'Zeno', 'zeno', 'zone-authority', 'north', 'nl', 1, 0),
        (4, 'Otto', 'otto', 'operator', 'crisis-centre', 'nl', 1, 0),
        (5, 'Sara', 'sara', 'supervisor', 'crisis-centre', 'fr', 1, 0);
    INSERT INTO account_zone (account, zone) VALUES (2, 'north'), (3, 'north');
    INSERT INTO zones (id, name, contact) VALUES ('north', 'Zone North', ''), ('south', 'Zone South', '');";

fn person(id: &str, name: &str, role: Role) -> Actor {
    Actor {
        account: id.into(),
        name: name.into(),
        role: Some(role.as_str().into()),
        via: "session".into(),
        address: None,
    }
}
fn anna() -> Actor {
    person("u-1", "Anna", Role::Administrator)
}
fn zoe() -> Actor {
    person("u-2", "Zoe", Role::ZoneAuthority)
}
fn zeno() -> Actor {
    person("u-3", "Zeno", Role::ZoneAuthority)
}
fn otto() -> Actor {
    person("u-4", "Otto", Role::Operator)
}

fn operator() -> Asker {
    Asker { account: "u-4".into(), role: Role::Operator, unit: "crisis-centre".into() }
}

fn camera() -> CameraFacts {
    CameraFacts { camera: "cam-1".into(), zone: Some("north".into()), tags: vec!["tunnel".into()] }
}

fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> (u16, String) {
    let problem = result.expect_err("a problem");
    (problem.status, problem.code.unwrap_or(problem.title))
}
