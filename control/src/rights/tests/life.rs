//! The life of agreements in a real database.

use proptest::prelude::*;

use super::*;
use crate::rights::agreements::{change, draft, find, list, resume, revoke, sign, suspend, withdraw};

#[test]
fn a_draft_is_signed_by_a_second_person_and_then_stays_as_it_is() {
    let f = Fixture::new();
    let drafted = f.drafted();
    assert_eq!((drafted.id.as_str(), drafted.state, drafted.in_force), ("A-2026-0001", State::Draft, false));
    assert_eq!(code(sign(&f.db, &anna(), &drafted.id, Some(1))), (403, "second-person".into()));
    let signed = sign(&f.db, &zoe(), &drafted.id, Some(1)).expect("signed");
    assert_eq!((signed.state, signed.in_force), (State::Signed, true));
    assert_eq!((signed.signed_by.as_deref(), signed.signed_at), (Some("u-2"), Some(f.now())));
    let edit = TermsChange { version: Some(1), export: Some(true), ..TermsChange::default() };
    assert_eq!(code(change(&f.db, &anna(), &signed.id, edit)), (409, "signed".into()));
    assert_eq!(code(sign(&f.db, &zeno(), &signed.id, Some(1))), (409, "signed".into()));
    assert_eq!(code(withdraw(&f.db, &anna(), &signed.id, None)), (409, "signed".into()));
    assert_eq!(find_of(&f, &signed.id), signed);
    assert_eq!(f.kinds(), ["agreement.drafted", "agreement.signed"]);
}

#[test]
fn who_changed_a_draft_does_not_sign_it() {
    let f = Fixture::new();
    let drafted = f.drafted();
    let edit = TermsChange { version: Some(1), record: Some(true), ..TermsChange::default() };
    let changed = change(&f.db, &zoe(), &drafted.id, edit).expect("changed");
    assert_eq!((changed.version, changed.terms.record), (2, true));
    assert_eq!(code(sign(&f.db, &zoe(), &drafted.id, Some(2))), (403, "second-person".into()));
    assert_eq!(sign(&f.db, &zeno(), &drafted.id, Some(2)).expect("signed").state, State::Signed);
    let records = f.records();
    assert_eq!(records[1].event.kind, "agreement.changed");
    assert_eq!(records[1].event.details["before"]["record"], false);
    assert_eq!(records[1].event.details["after"]["record"], true);
}

#[test]
fn a_draft_that_changed_under_the_signer_is_not_signed() {
    let f = Fixture::new();
    let drafted = f.drafted();
    let edit = || TermsChange { version: Some(1), export: Some(true), ..TermsChange::default() };
    change(&f.db, &anna(), &drafted.id, edit()).expect("changed");
    let stale = sign(&f.db, &zoe(), &drafted.id, Some(1)).expect_err("the text that was read is gone");
    assert_eq!((stale.status, stale.code.as_deref()), (409, Some("version")));
    assert_eq!(stale.more.expect("the present one")["export"], true);
    assert_eq!(code(sign(&f.db, &zoe(), &drafted.id, None)), (428, drafted.id.clone()));
    assert_eq!(code(change(&f.db, &anna(), &drafted.id, edit())), (409, "version".into()));
    assert_eq!(code(change(&f.db, &anna(), &drafted.id, TermsChange::default())), (428, drafted.id.clone()));
    let same = TermsChange { version: Some(2), export: Some(true), ..TermsChange::default() };
    assert_eq!(change(&f.db, &anna(), &drafted.id, same).expect("nothing to change").version, 2);
    assert_eq!(f.kinds(), ["agreement.drafted", "agreement.changed"]);
}

#[test]
fn the_zone_halts_resumes_and_ends_it_with_a_reason_and_all_of_it_is_kept() {
    let f = Fixture::new();
    let id = f.signed().id;
    assert_eq!(code(suspend(&f.db, &zoe(), &id, "  ")), (422, "reason".into()));
    f.clock.advance(HOUR);
    let suspended = suspend(&f.db, &zoe(), &id, "masks are being renewed").expect("suspended");
    assert_eq!((suspended.state, suspended.since, suspended.in_force), (State::Suspended, f.now(), false));
    assert_eq!(suspended.why.as_deref(), Some("masks are being renewed"));
    let resumed = resume(&f.db, &zeno(), &id, None).expect("resumed");
    assert_eq!((resumed.state, resumed.why, resumed.in_force), (State::Signed, None, true));
    let revoked = revoke(&f.db, &zoe(), &id, "the council withdrew its consent").expect("revoked");
    assert_eq!((revoked.state, revoked.in_force), (State::Revoked, false));
    for step in
        [resume(&f.db, &zoe(), &id, None), suspend(&f.db, &zoe(), &id, "x"), revoke(&f.db, &zoe(), &id, "x")]
    {
        assert_eq!(code(step), (409, "revoked".into()));
    }
    let history: Vec<(&str, &str, Option<&str>)> =
        revoked.history.iter().map(|s| (s.what.as_str(), s.name.as_str(), s.reason.as_deref())).collect();
    assert_eq!(
        history,
        [
            ("drafted", "Anna", None),
            ("signed", "Zoe", None),
            ("suspended", "Zoe", Some("masks are being renewed")),
            ("resumed", "Zeno", None),
            ("revoked", "Zoe", Some("the council withdrew its consent")),
        ]
    );
    assert_eq!(revoked.history[0].terms.as_ref(), Some(&revoked.terms));
    let last = f.records().pop().expect("a record");
    assert_eq!((last.event.kind.as_str(), last.event.zone.as_deref()), ("agreement.revoked", Some("north")));
    assert_eq!(last.event.agreement.as_deref(), Some(id.as_str()));
    assert_eq!(last.event.reason.as_deref(), Some("the council withdrew its consent"));
    assert_eq!((last.by.account.as_str(), last.at), ("u-2", f.now()));
}

#[test]
fn a_successor_ends_the_one_that_it_replaces_where_it_begins() {
    let f = Fixture::new();
    let old = f.signed();
    let later = f.now().plus(2 * HOUR);
    let terms = Terms { valid_from: later, valid_to: later.plus(48 * HOUR), ..f.terms() };
    let new = draft(&f.db, &anna(), "north", Some(&old.id), terms.clone()).expect("a draft");
    assert_eq!(find_of(&f, &old.id).until(), old.terms.valid_to, "a draft ends nothing");
    sign(&f.db, &zoe(), &new.id, Some(1)).expect("signed");
    let replaced = find_of(&f, &old.id);
    assert_eq!((replaced.until(), replaced.replaced_by.as_deref()), (later, Some(new.id.as_str())));
    assert_eq!(
        (replaced.state, replaced.in_force, replaced.terms.valid_to),
        (State::Signed, true, old.terms.valid_to)
    );
    f.clock.advance(2 * HOUR);
    assert!(!find_of(&f, &old.id).in_force && find_of(&f, &new.id).in_force);
    assert_eq!(f.kinds()[2..], ["agreement.drafted", "agreement.signed", "agreement.replaced"]);
    assert_eq!(code(draft(&f.db, &anna(), "north", Some(&old.id), terms.clone())), (409, "replaced".into()));
    // One that begins at once ends the other at once.
    let now = Terms { valid_from: Utc(0), ..terms.clone() };
    let third = draft(&f.db, &anna(), "north", Some(&new.id), now).expect("a draft");
    sign(&f.db, &zoe(), &third.id, Some(1)).expect("signed");
    assert_eq!((find_of(&f, &new.id).until(), find_of(&f, &new.id).in_force), (f.now(), false));
    assert_eq!(
        code(draft(&f.db, &anna(), "south", Some(&third.id), terms.clone())),
        (422, "replaces".into())
    );
    let unsigned = f.drafted();
    assert_eq!(code(draft(&f.db, &anna(), "north", Some(&unsigned.id), terms)), (409, "draft".into()));
}

#[test]
fn of_two_successors_one_is_signed_and_one_that_outlives_a_revoked_one_stands_alone() {
    let f = Fixture::new();
    let old = f.signed();
    let draft_in_its_place = || draft(&f.db, &anna(), "north", Some(&old.id), f.terms()).expect("a draft");
    let (one, other) = (draft_in_its_place(), draft_in_its_place());
    revoke(&f.db, &zoe(), &old.id, "mistake").expect("revoked");
    assert_eq!(sign(&f.db, &zoe(), &one.id, Some(1)).expect("signed").state, State::Signed);
    assert_eq!(sign(&f.db, &zoe(), &other.id, Some(1)).expect("signed").state, State::Signed);
    assert_eq!(find_of(&f, &old.id).replaced_by, None);
    let first = draft(&f.db, &anna(), "north", Some(&one.id), f.terms()).expect("a draft");
    let second = draft(&f.db, &anna(), "north", Some(&one.id), f.terms()).expect("a draft");
    sign(&f.db, &zoe(), &first.id, Some(1)).expect("signed");
    assert_eq!(code(sign(&f.db, &zoe(), &second.id, Some(1))), (409, "replaced".into()));
    assert_eq!(find_of(&f, &second.id).state, State::Draft, "nothing of a step that failed remains");
}

#[test]
fn a_draft_whose_time_is_over_is_not_signed_and_can_be_given_up() {
    let f = Fixture::new();
    let id = f.drafted().id;
    f.clock.advance(24 * HOUR);
    assert_eq!(code(sign(&f.db, &zoe(), &id, Some(1))), (409, "expired".into()));
    assert_eq!(code(suspend(&f.db, &zoe(), &id, "x")), (409, "draft".into()));
    assert_eq!(withdraw(&f.db, &anna(), &id, Some("too late")).expect("withdrawn").state, State::Withdrawn);
    assert_eq!(code(sign(&f.db, &zoe(), &id, Some(1))), (409, "withdrawn".into()));
}

#[test]
fn terms_that_say_nothing_are_refused_with_the_field() {
    let f = Fixture::new();
    type Spoil = fn(&mut Terms);
    let wrong: [(&str, Spoil); 10] = [
        ("title", |t| t.title = " \t".into()),
        ("title", |t| t.title = "two\nlines".into()),
        ("title", |t| t.title = "é".repeat(201)),
        ("parties", |t| t.parties.clear()),
        ("purposes", |t| t.purposes = vec!["curiosity".into()]),
        ("units", |t| t.units = vec![String::new()]),
        ("tags", |t| t.tags = vec!["tag".into(); 101]),
        ("live", |t| t.live = false),
        ("terms", |t| t.tags = (0..100).map(|n| format!("{n}{}", "é".repeat(190))).collect()),
        ("valid_to", |t| t.valid_to = t.valid_from),
    ];
    for (field, spoil) in wrong {
        let mut terms = f.terms();
        spoil(&mut terms);
        let problem = draft(&f.db, &anna(), "north", None, terms).expect_err(field);
        assert_eq!((problem.status, problem.title.as_str()), (422, field));
    }
    assert_eq!(code(draft(&f.db, &anna(), "east", None, f.terms())), (404, "zone east".into()));
    let terms = Terms { units: vec![" a ".into(), "a".into(), "b".into()], ..f.terms() };
    assert_eq!(draft(&f.db, &anna(), "north", None, terms).expect("a draft").terms.units, ["a", "b"]);
    assert_eq!(f.kinds(), ["agreement.drafted"], "a refused draft leaves neither a record nor a gap in ids");
}

#[test]
fn ids_count_by_year_and_lists_are_read_page_by_page() {
    let f = Fixture::new();
    let ids: Vec<String> = (0..3).map(|_| f.drafted().id).collect();
    assert_eq!(ids, ["A-2026-0001", "A-2026-0002", "A-2026-0003"]);
    f.clock.advance(60 * 24 * HOUR);
    assert_eq!(f.drafted().id, "A-2027-0001");
    sign(&f.db, &zoe(), "A-2027-0001", Some(1)).expect("signed");
    let listed = |zone, state, after, limit| -> Vec<String> {
        let found = f.db.read(|c| list(c, zone, state, after, limit, f.now())).expect("a list");
        found.into_iter().map(|a| a.id).collect()
    };
    assert_eq!(listed(None, None, None, 2), ["A-2026-0001", "A-2026-0002"]);
    assert_eq!(listed(None, None, Some("A-2026-0002"), 10), ["A-2026-0003", "A-2027-0001"]);
    assert_eq!(listed(Some("north"), Some(State::Signed), None, 10), ["A-2027-0001"]);
    assert!(listed(Some("south"), None, None, 10).is_empty());
}

#[test]
fn the_database_itself_refuses_to_edit_what_was_signed_or_to_forget_anything() {
    let f = Fixture::new();
    let id = f.signed().id;
    let revoked = f.signed().id;
    revoke(&f.db, &zoe(), &revoked, "x").expect("revoked");
    for statement in [
        format!("UPDATE agreements SET export = 1 WHERE id = '{id}'"),
        format!("UPDATE agreements SET valid_to = valid_to + 1 WHERE id = '{id}'"),
        format!("UPDATE agreements SET signed_by = 'u-1' WHERE id = '{id}'"),
        format!("UPDATE agreements SET state = 'signed' WHERE id = '{revoked}'"),
        format!("DELETE FROM agreements WHERE id = '{id}'"),
        "UPDATE agreement_steps SET reason = 'other'".to_owned(),
        "DELETE FROM agreement_steps".to_owned(),
    ] {
        let tried = f.db.change(&Actor::system(), |t, _| Ok(t.execute(&statement, [])?));
        assert!(tried.is_err(), "{statement}");
    }
}

#[test]
fn a_zone_with_agreements_is_not_removed_so_that_none_of_its_id_inherits_them() {
    let f = Fixture::new();
    let remove = || f.db.change(&anna(), |t, _| Ok(t.execute("DELETE FROM zones WHERE id = 'north'", [])?));
    let id = f.drafted().id;
    assert_eq!(code(remove()), (409, "kept".into()));
    sign(&f.db, &zoe(), &id, Some(1)).expect("signed");
    f.clock.advance(48 * HOUR);
    assert_eq!(code(remove()), (409, "kept".into()), "even one that has expired");
    revoke(&f.db, &zoe(), &id, "the zones merge").expect("revoked");
    assert_eq!(remove().expect("removed"), 1);
    assert_eq!(find_of(&f, &id).zone, "north", "what there was stays on record");
}

#[test]
fn purposes_can_be_added_and_none_is_changed() {
    let f = Fixture::new();
    let all = f.db.read(purposes).expect("purposes");
    assert!(all.len() >= 8 && all.iter().any(|p| p.word == "public-order"));
    let new = Purpose {
        word: "flood".into(),
        en: "Flood".into(),
        fr: "Inondation".into(),
        nl: "Overstroming".into(),
    };
    add_purpose(&f.db, &anna(), new.clone()).expect("added");
    let terms = Terms { purposes: vec!["flood".into()], ..f.terms() };
    assert!(draft(&f.db, &anna(), "north", None, terms).is_ok());
    let again = Purpose { en: "Another flood".into(), ..new.clone() };
    assert_eq!(code(add_purpose(&f.db, &anna(), again)), (409, "taken".into()));
    let odd = Purpose { word: "High Water".into(), ..new };
    assert_eq!(code(add_purpose(&f.db, &anna(), odd)), (422, "word".into()));
}

#[test]
fn zones_are_seen_at_a_glance() {
    let f = Fixture::new();
    let north = || f.db.read(|c| zone_states(c, f.now())).expect("states").remove(0);
    assert_eq!((north().zone.as_str(), north().state), ("north", ZoneStanding::None));
    let draft = f.drafted();
    assert_eq!((north().state, north().drafts), (ZoneStanding::Draft, vec![draft.id.clone()]));
    assert!(!north().live);
    sign(&f.db, &zoe(), &draft.id, Some(1)).expect("signed");
    let seen = north();
    assert_eq!((seen.state, seen.until), (ZoneStanding::InForce, Some(draft.terms.valid_to)));
    assert_eq!((seen.live, seen.record, seen.export), (true, false, false));
    assert_eq!((seen.purposes, seen.units), (draft.terms.purposes.clone(), draft.terms.units.clone()));
    suspend(&f.db, &zoe(), &draft.id, "audit").expect("suspended");
    let seen = north();
    assert_eq!((seen.state, seen.live), (ZoneStanding::Suspended, false));
    assert_eq!(seen.suspended[0].since, f.now());
    assert_eq!(seen.suspended[0].why.as_deref(), Some("audit"));
    resume(&f.db, &zoe(), &draft.id, None).expect("resumed");
    f.clock.advance(24 * HOUR);
    assert_eq!((north().state, north().until), (ZoneStanding::Expired, Some(draft.terms.valid_to)));
    let later = Terms { valid_from: f.now().plus(HOUR), valid_to: f.now().plus(2 * HOUR), ..f.terms() };
    let coming = agreements::draft(&f.db, &anna(), "north", None, later.clone()).expect("a draft");
    sign(&f.db, &zoe(), &coming.id, Some(1)).expect("signed");
    assert_eq!((north().state, north().until), (ZoneStanding::NotYetValid, Some(later.valid_from)));
    revoke(&f.db, &zoe(), &coming.id, "x").expect("revoked");
    revoke(&f.db, &zoe(), &draft.id, "x").expect("revoked");
    assert_eq!(north().state, ZoneStanding::Revoked);
    let south = f.db.read(|c| zone_states(c, f.now())).expect("states").remove(1);
    assert_eq!((south.zone.as_str(), south.state), ("south", ZoneStanding::None));
}

fn find_of(f: &Fixture, id: &str) -> Agreement {
    f.db.read(|c| find(c, id, f.now())).expect("there")
}

/// One thing that somebody tries.
#[derive(Clone, Debug)]
struct Try {
    who: usize,
    step: Step,
    version: Option<i64>,
}

fn a_try() -> impl Strategy<Value = Try> {
    let version = prop_oneof![Just(None), (1i64..4).prop_map(Some)];
    (0usize..3, 0usize..Step::ALL.len(), version).prop_map(|(who, step, version)| Try {
        who,
        step: Step::ALL[step],
        version,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Whatever people try in whatever order: a model of few words says what happens to the agreement.
    #[test]
    fn any_sequence_of_steps_follows_the_model(tries in proptest::collection::vec(a_try(), 1..16)) {
        let f = Fixture::new();
        let people = [anna(), zoe(), zeno()];
        let id = f.drafted().id;
        let (mut state, mut version, mut authors, mut done) = ("draft", 1, vec!["u-1".to_owned()], 1);
        for (index, Try { who, step, version: read }) in tries.into_iter().enumerate() {
            f.clock.advance(Duration::from_secs(1));
            let by = &people[who];
            let title = format!("text {index}");
            let result = match step {
                Step::Change => change(&f.db, by, &id, TermsChange { version: read, title: Some(title), ..TermsChange::default() }),
                Step::Sign => sign(&f.db, by, &id, read),
                Step::Suspend => suspend(&f.db, by, &id, "why"),
                Step::Resume => resume(&f.db, by, &id, Some("why")),
                Step::Revoke => revoke(&f.db, by, &id, "why"),
                Step::Withdraw => withdraw(&f.db, by, &id, None),
            };
            let current = read == Some(version);
            let wanted = match (state, step) {
                ("draft", Step::Change) if current => Some("draft"),
                ("draft", Step::Sign) if current && !authors.contains(&by.account) => Some("signed"),
                ("draft", Step::Withdraw) => Some("withdrawn"),
                ("signed", Step::Suspend) => Some("suspended"),
                ("suspended", Step::Resume) => Some("signed"),
                ("signed" | "suspended", Step::Revoke) => Some("revoked"),
                _ => None,
            };
            prop_assert_eq!(result.is_ok(), wanted.is_some(), "{} {:?} {:?}", state, step, result);
            if let Some(next) = wanted {
                state = next;
                done += 1;
                if step == Step::Change {
                    version += 1;
                    authors.push(by.account.clone());
                }
            }
            let now = find_of(&f, &id);
            prop_assert_eq!(now.state.as_str(), state);
            prop_assert_eq!(now.version, version);
            prop_assert_eq!(now.history.len(), done);
            prop_assert_eq!(f.records().len(), done, "one record a step, none for what failed");
            prop_assert_eq!(now.in_force, state == "signed");
            if let Some(signer) = &now.signed_by {
                prop_assert!(!authors.contains(signer));
            }
        }
    }
}
