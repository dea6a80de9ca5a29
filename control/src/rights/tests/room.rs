//! The rights in force follow the database, on the thread that commits.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::rights::agreements::{resume, revoke, suspend};
use crate::rights::incidents::{close, keep};

fn asked(policy: &Policy, incident: &str) -> Result<Permit, String> {
    policy.decide(&operator(), Some(incident), &camera(), Action::Live).map_err(|refusal| refusal.code)
}

#[test]
fn a_suspension_holds_when_it_returns() {
    let f = Fixture::new();
    let (agreement, incident) = (f.signed(), f.opened());
    let policy = Policy::open(f.db.clone()).expect("the rights");
    let seen: Arc<Mutex<Vec<bool>>> = Arc::default();
    let (told, incident_id) = (seen.clone(), incident.id.clone());
    let clock = f.db.clone();
    policy.on_change(Box::new(move |rights| {
        let answer = decide(rights, &operator(), Some(&incident_id), &camera(), Action::Live, clock.now());
        told.lock().push(answer.is_ok());
    }));
    let permit = asked(&policy, &incident.id).expect("permitted");
    assert_eq!((permit.agreement.as_str(), permit.until), (agreement.id.as_str(), agreement.terms.valid_to));
    assert!(permit.basis.contains("A-2026-0001 (north: Regional crisis room)"), "{}", permit.basis);
    assert!(permit.basis.contains("art. 22") && permit.basis.contains("EV-2026-118"), "{}", permit.basis);
    suspend(&f.db, &zoe(), &agreement.id, "x").expect("suspended");
    assert_eq!(asked(&policy, &incident.id), Err("suspended".into()));
    assert_eq!(*seen.lock(), [false], "told before the suspension returned");
    resume(&f.db, &zoe(), &agreement.id, None).expect("resumed");
    assert!(asked(&policy, &incident.id).is_ok());
    revoke(&f.db, &zoe(), &agreement.id, "x").expect("revoked");
    assert_eq!(asked(&policy, &incident.id), Err("revoked".into()));
    assert_eq!(*seen.lock(), [false, true, false]);
}

#[test]
fn an_account_that_is_disabled_sees_nothing_from_then_on() {
    let f = Fixture::new();
    f.signed();
    let incident = f.opened().id;
    let policy = Policy::open(f.db.clone()).expect("the rights");
    assert!(asked(&policy, &incident).is_ok());
    let set = |statement: &str| {
        f.db.change(&anna(), |transaction, events| {
            transaction.execute(statement, [])?;
            events.push(crate::audit::Event::new("account.changed"));
            Ok(())
        })
        .expect("changed");
    };
    set("UPDATE account SET enabled = 0 WHERE seq = 4");
    assert_eq!(asked(&policy, &incident), Err("account".into()));
    set("UPDATE account SET enabled = 1, role = 'auditor' WHERE seq = 4");
    assert_eq!(
        asked(&policy, &incident),
        Err("role".into()),
        "the role of now counts, not that of the login"
    );
    set("UPDATE account SET role = 'supervisor' WHERE seq = 4");
    assert!(asked(&policy, &incident).is_ok());
    set("INSERT INTO account_zone (account, zone) VALUES (4, 'south')");
    assert_eq!(asked(&policy, &incident), Err("role".into()));
}

#[test]
fn the_clock_alone_ends_an_incident_and_an_agreement() {
    let f = Fixture::new();
    let agreement = f.signed();
    let incident = f.opened().id;
    let policy = Policy::open(f.db.clone()).expect("the rights");
    assert_eq!(policy.tick().expect("tick"), agreement.terms.valid_to);
    close(&f.db, &otto(), &incident, 30, None).expect("closing");
    let ends_at = f.now().plus(Duration::from_secs(30));
    assert_eq!(asked(&policy, &incident).expect("until its end").until, ends_at);
    assert_eq!(policy.tick().expect("tick"), ends_at);
    keep(&f.db, &otto(), &incident).expect("kept");
    assert_eq!(policy.tick().expect("tick"), agreement.terms.valid_to);
    close(&f.db, &otto(), &incident, 30, None).expect("closing");
    f.clock.advance(Duration::from_secs(30));
    assert_eq!(asked(&policy, &incident), Err("incident-closed".into()), "without any tick");
    assert_eq!(policy.tick().expect("tick"), agreement.terms.valid_to);
    assert!(policy.rights().incident(&incident).is_none(), "written down, and read again");
    let incident = f.opened().id;
    f.clock.advance(24 * HOUR - Duration::from_millis(30_001));
    assert!(asked(&policy, &incident).is_ok());
    f.clock.advance(Duration::from_millis(1));
    assert_eq!(asked(&policy, &incident), Err("expired".into()));
    assert_eq!(policy.tick().expect("tick"), Utc::NEVER);
}

#[test]
fn rights_that_cannot_be_read_allow_nothing_until_they_can() {
    let f = Fixture::new();
    f.signed();
    let incident = f.opened().id;
    let policy = Policy::open(f.db.clone()).expect("the rights");
    let role = |role: &str| {
        f.db.change(&anna(), |transaction, events| {
            transaction.execute("UPDATE account SET role = ?1 WHERE seq = 5", [role])?;
            events.push(crate::audit::Event::new("account.changed"));
            Ok(())
        })
        .expect("changed");
    };
    role("emperor");
    assert_eq!(asked(&policy, &incident), Err("unreadable".into()));
    assert!(policy.rights().is_unreadable());
    f.db.change(&anna(), |transaction, _| {
        transaction.execute("UPDATE account SET role = 'supervisor' WHERE seq = 5", [])?;
        Ok(())
    })
    .expect("repaired without a record");
    assert_eq!(asked(&policy, &incident), Err("unreadable".into()));
    policy.tick().expect("tick");
    assert!(asked(&policy, &incident).is_ok(), "a tick reads them again");
}

#[test]
fn records_of_other_rooms_do_not_read_the_rights_again() {
    let f = Fixture::new();
    let policy = Policy::open(f.db.clone()).expect("the rights");
    let told: Arc<AtomicUsize> = Arc::default();
    let count = told.clone();
    policy.on_change(Box::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    f.db.record(&anna(), crate::audit::Event::new("showing.started")).expect("recorded");
    assert_eq!(told.load(Ordering::SeqCst), 0);
    for kind in ["agreement.signed", "incident.opened", "account.changed", "zone.removed"] {
        f.db.record(&anna(), crate::audit::Event::new(kind)).expect("recorded");
    }
    assert_eq!(told.load(Ordering::SeqCst), 4);
}

#[test]
fn what_ends_with_an_incident_is_asked_of_whoever_shows_it() {
    struct Wall;
    impl Showings for Wall {
        fn under(&self, incident: &str) -> Vec<Showing> {
            let camera = format!("cam of {incident}");
            vec![Showing { screen: "left".into(), tile: Some("left.1".into()), camera, zone: None }]
        }
    }
    let f = Fixture::new();
    let policy = Policy::open(f.db.clone()).expect("the rights");
    assert!(policy.showings("I-2026-0001").is_empty());
    policy.ask_for_showings(Box::new(Wall));
    assert_eq!(policy.showings("I-2026-0001")[0].camera, "cam of I-2026-0001");
}

/// Commits from many threads: when each returns, the rights in force hold at least its change.
#[test]
fn rights_in_force_never_go_back() {
    let f = Fixture::new();
    let ids: Vec<String> = (0..4).map(|_| f.signed().id).collect();
    let policy = Policy::open(f.db.clone()).expect("the rights");
    std::thread::scope(|scope| {
        for id in &ids {
            let (db, policy) = (&f.db, &policy);
            scope.spawn(move || {
                for _ in 0..10 {
                    for wanted in [State::Suspended, State::Signed] {
                        let changed = match wanted {
                            State::Suspended => suspend(db, &zoe(), id, "x"),
                            _ => resume(db, &zoe(), id, None),
                        };
                        changed.expect("changed");
                        let rights = policy.rights();
                        let facts = rights.agreements("north").iter().find(|a| a.id == *id).expect("there");
                        assert_eq!(facts.state, wanted);
                    }
                }
            });
        }
    });
}
