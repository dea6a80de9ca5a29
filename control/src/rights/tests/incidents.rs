//! Incidents in a real database.

use super::*;
use crate::rights::incidents::{LONGEST_GRACE_S, close, find, keep, list, open};

fn stands(f: &Fixture, id: &str) -> IncidentState {
    f.db.read(|c| find(c, id, f.now())).expect("there").state
}

#[test]
fn an_incident_is_opened_with_all_that_makes_it_lawful() {
    let f = Fixture::new();
    let incident = f.opened();
    assert_eq!(
        (incident.id.as_str(), incident.state, incident.ends_at),
        ("I-2026-0001", IncidentState::Open, None)
    );
    let record = f.records().remove(0);
    assert_eq!(record.event.kind, "incident.opened");
    assert_eq!(record.event.incident.as_deref(), Some("I-2026-0001"));
    assert!(record.event.basis.as_deref().is_some_and(|basis| basis.contains("art. 22")));
    assert_eq!(record.event.reason.as_deref(), Some("A march of 4,000 people crosses two zones"));
    assert_eq!(record.event.subject.as_deref(), Some("EV-2026-118"));
    assert_eq!(record.event.details["purpose"], "public-order");
    type Spoil = fn(&mut NewIncident);
    let wrong: [(&str, Spoil); 7] = [
        ("title", |i| i.title = String::new()),
        ("reason", |i| i.reason = " ".into()),
        ("reference", |i| i.reference = String::new()),
        ("legal_basis", |i| i.legal_basis = "because".into()),
        ("legal_text", |i| i.legal_basis = "other".into()),
        ("legal_text", |i| i.legal_text = Some("art. 1".into())),
        ("purpose", |i| i.purpose = "curiosity".into()),
    ];
    for (field, spoil) in wrong {
        let mut new = new_incident();
        spoil(&mut new);
        let problem = open(&f.db, &otto(), new).expect_err(field);
        assert_eq!((problem.status, problem.title.as_str()), (422, field));
    }
    let other = NewIncident {
        legal_basis: "other".into(),
        legal_text: Some(" Convention of 1 March ".into()),
        ..new_incident()
    };
    let other = open(&f.db, &otto(), other).expect("opened");
    assert_eq!((other.id.as_str(), other.basis().as_str()), ("I-2026-0002", "Convention of 1 March"));
    assert_eq!(f.records().len(), 2);
}

#[test]
fn it_ends_after_its_grace_and_the_system_writes_that_down() {
    let f = Fixture::new();
    let id = f.opened().id;
    assert_eq!(due(&f.db, f.now()).expect("due"), Utc::NEVER);
    let closing = close(&f.db, &otto(), &id, 30, Some("over")).expect("closing");
    let ends_at = f.now().plus(Duration::from_secs(30));
    assert_eq!((closing.state, closing.ends_at), (IncidentState::Closing, Some(ends_at)));
    assert_eq!(due(&f.db, f.now()).expect("due"), ends_at);
    f.clock.advance(Duration::from_millis(29_999));
    assert_eq!(due(&f.db, f.now()).expect("due"), ends_at);
    assert_eq!(stands(&f, &id), IncidentState::Closing);
    f.clock.advance(Duration::from_millis(1));
    assert_eq!(stands(&f, &id), IncidentState::Closed, "over at its end, before anybody writes it down");
    assert_eq!(code(keep(&f.db, &otto(), &id)), (409, "closed".into()));
    assert_eq!(due(&f.db, f.now()).expect("due"), Utc::NEVER);
    due(&f.db, f.now()).expect("once more changes nothing");
    let closed = f.db.read(|c| find(c, &id, f.now())).expect("there");
    assert_eq!((closed.closed_at, closed.closed_by.as_deref()), (Some(ends_at), Some("u-4")));
    assert_eq!(f.kinds(), ["incident.opened", "incident.closing", "incident.closed"]);
    assert_eq!(f.records()[2].by.account, "system");
    assert_eq!(code(close(&f.db, &otto(), &id, 0, None)), (409, "closed".into()));
}

#[test]
fn closing_can_be_called_off_or_hastened() {
    let f = Fixture::new();
    let id = f.opened().id;
    assert_eq!(code(keep(&f.db, &otto(), &id)), (409, "open".into()));
    close(&f.db, &otto(), &id, LONGEST_GRACE_S, None).expect("closing");
    let kept = keep(&f.db, &otto(), &id).expect("kept");
    assert_eq!((kept.state, kept.ends_at, kept.closed_by), (IncidentState::Open, None, None));
    assert_eq!(due(&f.db, f.now().plus(HOUR)).expect("due"), Utc::NEVER);
    assert_eq!(stands(&f, &id), IncidentState::Open);
    close(&f.db, &otto(), &id, 600, None).expect("closing");
    let closed = close(&f.db, &otto(), &id, 0, Some("now")).expect("closed at once");
    assert_eq!((closed.state, closed.closed_at), (IncidentState::Closed, Some(f.now())));
    assert_eq!(code(close(&f.db, &otto(), &id, LONGEST_GRACE_S + 1, None)), (422, "grace_s".into()));
    let kinds =
        ["incident.opened", "incident.closing", "incident.kept", "incident.closing", "incident.closed"];
    assert_eq!(f.kinds(), kinds);
}

#[test]
fn incidents_are_listed_newest_first_and_by_state() {
    let f = Fixture::new();
    let ids: Vec<String> = (0..3).map(|_| f.opened().id).collect();
    close(&f.db, &otto(), &ids[0], 0, None).expect("closed");
    close(&f.db, &otto(), &ids[1], 10, None).expect("closing");
    let listed = |state, after, limit| -> Vec<String> {
        let found = f.db.read(|c| list(c, state, after, limit, f.now())).expect("a list");
        found.into_iter().map(|i| i.id).collect()
    };
    assert_eq!(listed(None, None, 2), ["I-2026-0003", "I-2026-0002"]);
    assert_eq!(listed(None, Some("I-2026-0002"), 2), ["I-2026-0001"]);
    assert_eq!(listed(Some(IncidentState::Closing), None, 9), ["I-2026-0002"]);
    f.clock.advance(Duration::from_secs(10));
    assert_eq!(listed(Some(IncidentState::Closed), None, 9), ["I-2026-0002", "I-2026-0001"]);
    assert!(listed(Some(IncidentState::Closing), None, 9).is_empty());
    assert_eq!(listed(Some(IncidentState::Open), None, 9), ["I-2026-0003"]);
}

#[test]
fn the_database_itself_keeps_what_is_closed() {
    let f = Fixture::new();
    let id = f.opened().id;
    close(&f.db, &otto(), &id, 0, None).expect("closed");
    for statement in
        ["UPDATE incidents SET state = 'open', ends_at = NULL, closed_at = NULL", "DELETE FROM incidents"]
    {
        assert!(f.db.change(&Actor::system(), |t, _| Ok(t.execute(statement, [])?)).is_err(), "{statement}");
    }
}
