//! The policy against the oracle: every combination of few facts, and many random ones.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::oracle::{Question, answer};
use super::*;

const NOW: Utc = Utc(1_000_000);

fn agreement(id: &str) -> AgreementFacts {
    AgreementFacts {
        id: id.into(),
        zone: "north".into(),
        title: "Crisis room".into(),
        purposes: vec!["public-order".into()],
        live: true,
        record: true,
        export: true,
        units: vec!["crisis-centre".into()],
        tags: Vec::new(),
        from: Utc(0),
        to: Utc(2_000_000),
        state: State::Signed,
        since: Utc(500),
    }
}

fn incident(id: &str) -> IncidentFacts {
    IncidentFacts {
        id: id.into(),
        purpose: "public-order".into(),
        basis: "march".into(),
        ends_at: Utc::NEVER,
    }
}

fn account(role: Role) -> AccountFacts {
    AccountFacts { id: "u-4".into(), role, unit: "crisis-centre".into(), zones: Vec::new(), enabled: true }
}

fn ask(rights: &Rights, now: Utc) -> Result<Permit, Refusal> {
    decide(rights, &operator(), Some("I-1"), &camera(), Action::Live, now)
}

fn rights(agreements: Vec<AgreementFacts>) -> Rights {
    Rights::new(agreements, vec![incident("I-1")], vec![account(Role::Operator)])
}

#[test]
fn of_several_agreements_the_one_that_holds_longest_is_taken() {
    let short = AgreementFacts { to: Utc(1_500_000), ..agreement("A-1") };
    let long = AgreementFacts { to: Utc(3_000_000), ..agreement("A-3") };
    let all = rights(vec![
        short,
        agreement("A-2"),
        long,
        AgreementFacts { to: Utc(3_000_000), ..agreement("A-4") },
    ]);
    let permit = ask(&all, NOW).expect("permitted");
    assert_eq!((permit.agreement.as_str(), permit.until), ("A-3", Utc(3_000_000)));
    assert_eq!(permit.basis, "A-3 (north: Crisis room); I-1: march");
}

#[test]
fn validity_is_half_open_to_the_millisecond() {
    let one = rights(vec![AgreementFacts { from: Utc(10), to: Utc(20), ..agreement("A-1") }]);
    let codes: Vec<String> = [9, 10, 19, 20]
        .map(|now| ask(&one, Utc(now)).map_or_else(|refusal| refusal.code, |_| "yes".into()))
        .into();
    assert_eq!(codes, ["not-yet-valid", "yes", "yes", "expired"]);
    let refused = ask(&one, Utc(9)).expect_err("not yet");
    assert_eq!((refused.until, refused.about.at), (Utc(10), Some(Utc(10))));
    assert_eq!(ask(&one, Utc(20)).expect_err("over").until, Utc::NEVER);
    let closing = Rights::new(
        vec![agreement("A-1")],
        vec![IncidentFacts { ends_at: Utc(20), ..incident("I-1") }],
        vec![account(Role::Operator)],
    );
    assert_eq!(ask(&closing, Utc(19)).expect("still open").until, Utc(20));
    assert_eq!(ask(&closing, Utc(20)).expect_err("over").code, "incident-closed");
}

#[test]
fn the_next_change_is_the_nearest_edge_that_is_still_ahead() {
    let later = AgreementFacts { zone: "south".into(), from: Utc(30), to: Utc(40), ..agreement("A-2") };
    let draft = AgreementFacts { state: State::Draft, from: Utc(5), to: Utc(6), ..agreement("A-3") };
    let revoked = AgreementFacts { state: State::Revoked, from: Utc(5), to: Utc(6), ..agreement("A-4") };
    let first = AgreementFacts { from: Utc(10), to: Utc(20), ..agreement("A-1") };
    let ending = IncidentFacts { ends_at: Utc(25), ..incident("I-1") };
    let all = Rights::new(vec![first, later, draft, revoked], vec![ending, incident("I-2")], Vec::new());
    let edges: Vec<Utc> = [0, 10, 20, 25, 30, 40].map(|now| next_change(&all, Utc(now))).into();
    assert_eq!(edges, [Utc(10), Utc(20), Utc(25), Utc(30), Utc(40), Utc::NEVER]);
    assert_eq!(next_change(&Rights::default(), NOW), Utc::NEVER);
}

#[test]
fn standby_needs_an_open_incident_that_would_let_the_unit_see() {
    let ended = IncidentFacts { ends_at: NOW, ..incident("I-1") };
    let other = IncidentFacts { purpose: "exercise".into(), ends_at: Utc(1_200_000), ..incident("I-2") };
    let good = IncidentFacts { ends_at: Utc(1_500_000), ..incident("I-3") };
    let with = |incidents| Rights::new(vec![agreement("A-1")], incidents, Vec::new());
    let standby = |rights: &Rights, unit: &str| decide_standby(rights, unit, &camera(), NOW);
    let refused = standby(&with(vec![ended.clone()]), "crisis-centre").expect_err("no reason to look");
    assert_eq!(refused.code, "no-incident");
    let refused =
        standby(&with(vec![ended.clone(), other.clone()]), "crisis-centre").expect_err("not for this");
    assert_eq!((refused.code.as_str(), refused.until), ("purpose", Utc(1_200_000)));
    let all = with(vec![ended, other, good]);
    let permit = standby(&all, "crisis-centre").expect("permitted");
    assert_eq!((permit.incident.as_str(), permit.until), ("I-3", Utc(1_500_000)));
    assert_eq!(standby(&all, "fire-brigade").expect_err("not with them").code, "unit");
    assert_eq!(
        decide_standby(&Rights::unreadable(), "crisis-centre", &camera(), NOW).expect_err("no").code,
        "unreadable"
    );
}

#[test]
fn rights_that_cannot_be_read_and_rights_that_are_not_there_permit_nothing() {
    assert_eq!(ask(&Rights::unreadable(), NOW).expect_err("no").code, "unreadable");
    assert_eq!(ask(&Rights::default(), NOW).expect_err("no").code, "account");
    assert_eq!(ask(&rights(Vec::new()), NOW).expect_err("no").code, "no-agreement");
}

#[test]
fn a_refusal_names_what_it_is_about() {
    let other = AgreementFacts { units: vec!["fire-brigade".into()], ..agreement("A-1") };
    let refused = ask(&rights(vec![other]), NOW).expect_err("not with them");
    assert_eq!(refused.text, "A-1 of zone north is not with crisis-centre");
    assert_eq!(
        (refused.about.asked.as_deref(), refused.about.incident.as_deref()),
        (Some("crisis-centre"), Some("I-1"))
    );
    let problem: Problem = refused.into();
    assert_eq!((problem.status, problem.code.as_deref()), (403, Some("unit")));
    assert_eq!(problem.more.expect("for programs")["agreement"], "A-1");
    let halted = AgreementFacts { state: State::Suspended, ..agreement("A-1") };
    assert_eq!(ask(&rights(vec![halted]), NOW).expect_err("halted").about.at, Some(Utc(500)));
}

/// Every combination of few facts. All codes that the policy can give come up, and none else.
#[test]
fn every_combination_of_few_facts_is_answered_as_the_oracle_says() {
    let accounts: Vec<Vec<AccountFacts>> = [None]
        .into_iter()
        .chain(Role::ALL.map(|role| Some(account(role))))
        .chain([
            Some(AccountFacts { enabled: false, ..account(Role::Operator) }),
            Some(AccountFacts { zones: vec!["south".into()], ..account(Role::Operator) }),
            Some(AccountFacts { zones: vec!["north".into()], ..account(Role::Supervisor) }),
        ])
        .map(|account| account.into_iter().collect())
        .collect();
    let incidents = [
        incident("I-1"),
        IncidentFacts { ends_at: NOW, ..incident("I-2") },
        IncidentFacts { purpose: "exercise".into(), ends_at: Utc(1_000_001), ..incident("I-3") },
    ];
    let asked_under = [None, Some("I-1"), Some("I-2"), Some("I-3"), Some("I-4")];
    let cameras = [
        camera(),
        CameraFacts { zone: None, ..camera() },
        CameraFacts { zone: Some("east".into()), ..camera() },
        CameraFacts { tags: Vec::new(), ..camera() },
    ];
    let kinds: [fn(&mut AgreementFacts); 11] = [
        |_| {},
        |a| a.state = State::Draft,
        |a| a.state = State::Suspended,
        |a| a.state = State::Revoked,
        |a| a.from = Utc(1_000_001),
        |a| a.to = NOW,
        |a| a.purposes = vec!["exercise".into()],
        |a| a.units = vec!["fire-brigade".into()],
        |a| a.tags = vec!["tunnel".into()],
        |a| (a.record, a.export) = (false, false),
        |a| a.live = false,
    ];
    let mut sets: Vec<Vec<AgreementFacts>> = vec![Vec::new()];
    for first in &kinds {
        let mut one = agreement("A-1");
        first(&mut one);
        sets.push(vec![one.clone()]);
        for second in &kinds {
            let mut both = one.clone();
            second(&mut both);
            let mut other = agreement("A-2");
            second(&mut other);
            sets.extend([vec![both], vec![one.clone(), other]]);
        }
    }
    let mut given: BTreeSet<String> = BTreeSet::new();
    let mut asked = 0;
    for agreements in &sets {
        for accounts in &accounts {
            let rights = Rights::new(agreements.clone(), incidents.to_vec(), accounts.clone());
            for incident in asked_under {
                for facts in &cameras {
                    for action in Action::ALL {
                        let asker = &operator();
                        let question = Question {
                            agreements,
                            incidents: &incidents,
                            accounts,
                            asker,
                            incident,
                            facts,
                            action,
                            now: NOW,
                        };
                        given.insert(compare(&rights, &question));
                        asked += 1;
                    }
                }
            }
        }
    }
    let mut wanted: BTreeSet<String> = Code::ALL.into_iter().map(|code| code.as_str().to_owned()).collect();
    // Said of rights that cannot be read, and of a log that cannot be written.
    wanted.remove("unreadable");
    wanted.remove("log");
    wanted.insert("permitted".into());
    assert_eq!(given, wanted);
    assert!(asked > 100_000, "{asked}");
}

/// Compares the policy's answer with the oracle's, and gives it back as a word.
fn compare(rights: &Rights, q: &Question<'_>) -> String {
    let decided = decide(rights, q.asker, q.incident, q.facts, q.action, q.now);
    match (decided, answer(q)) {
        (Ok(permit), Ok(ids)) => {
            assert!(ids.contains(&permit.agreement), "{permit:?} {ids:?}");
            assert_eq!(Some(permit.incident.as_str()), q.incident);
            assert!(permit.until > q.now, "{permit:?}");
            let of = |id: &String| q.agreements.iter().find(|a| a.id == *id).map(|a| a.to);
            assert_eq!(of(&permit.agreement), ids.iter().map(of).max().flatten());
            "permitted".into()
        }
        (Err(refusal), Err(word)) => {
            assert_eq!(refusal.code, word, "{refusal:?} {:?} {:?}", q.agreements, q.facts);
            refusal.code
        }
        (decided, wanted) => {
            panic!("{decided:?}, and the oracle says {wanted:?}: {:?} {:?}", q.agreements, q.facts)
        }
    }
}

fn words(from: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence(from.to_vec(), 0..=from.len())
        .prop_map(|words| words.into_iter().map(str::to_owned).collect())
}

fn word(from: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(from).prop_map(str::to_owned)
}

/// Times around each other, so that edges meet; and the ends of time.
fn a_time() -> impl Strategy<Value = Utc> {
    prop_oneof![8 => (0i64..8).prop_map(Utc), 1 => Just(Utc(i64::MIN)), 1 => Just(Utc::NEVER)]
}

/// Mostly all of them, so that worlds in which several agreements permit are no rarity.
fn mostly_all(from: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    let all: Vec<String> = from.iter().map(|&word| word.to_owned()).collect();
    prop_oneof![3 => Just(all), 1 => words(from)]
}

const ZONES: &[&str] = &["north", "south"];
const PURPOSES: &[&str] = &["public-order", "exercise"];
const UNITS: &[&str] = &["crisis-centre", "fire-brigade"];
const TAGS: &[&str] = &["tunnel", "metro"];

prop_compose! {
    fn an_agreement()(
        zone in word(ZONES), purposes in mostly_all(PURPOSES), units in mostly_all(UNITS),
        tags in prop_oneof![3 => Just(Vec::new()), 1 => words(TAGS)],
        grants in prop_oneof![2 => Just((true, true, true)), 1 => any::<(bool, bool, bool)>()],
        from in prop_oneof![Just(Utc(0)), a_time()], to in prop_oneof![(5i64..12).prop_map(Utc), a_time()],
        state in prop_oneof![3 => Just(State::Signed), 1 => proptest::sample::select(State::ALL.to_vec())],
    ) -> AgreementFacts {
        AgreementFacts {
            zone, purposes, units, tags, from, to, state,
            live: grants.0, record: grants.1, export: grants.2, since: Utc(1), ..agreement("")
        }
    }
}

prop_compose! {
    fn an_account()(
        role in prop_oneof![3 => Just(Role::Operator), 1 => proptest::sample::select(Role::ALL.to_vec())],
        zones in prop_oneof![2 => Just(Vec::new()), 1 => words(ZONES)],
        enabled in proptest::bool::weighted(0.9),
    ) -> AccountFacts {
        AccountFacts { zones, enabled, ..account(role) }
    }
}

prop_compose! {
    fn an_incident()(purpose in word(PURPOSES), ends_at in prop_oneof![Just(Utc::NEVER), a_time()]) -> IncidentFacts {
        IncidentFacts { purpose, ends_at, ..incident("") }
    }
}

#[derive(Clone, Debug)]
struct World {
    agreements: Vec<AgreementFacts>,
    incidents: Vec<IncidentFacts>,
    accounts: Vec<AccountFacts>,
    incident: Option<String>,
    facts: CameraFacts,
    action: Action,
    now: Utc,
}

impl World {
    fn rights(&self) -> Rights {
        Rights::new(self.agreements.clone(), self.incidents.clone(), self.accounts.clone())
    }
    fn decide(&self, now: Utc) -> Result<Permit, Refusal> {
        decide(&self.rights(), &operator(), self.incident.as_deref(), &self.facts, self.action, now)
    }
}

prop_compose! {
    fn a_world()(
        mut agreements in proptest::collection::vec(an_agreement(), 0..6),
        mut incidents in proptest::collection::vec(an_incident(), 0..3),
        accounts in proptest::option::weighted(0.95, an_account()),
        incident in proptest::option::weighted(0.95, 0usize..3),
        zone in proptest::option::weighted(0.95, word(ZONES)),
        tags in words(TAGS),
        action in proptest::sample::select(Action::ALL.to_vec()),
        now in a_time(),
    ) -> World {
        for (index, agreement) in agreements.iter_mut().enumerate() {
            agreement.id = format!("A-{index}");
        }
        for (index, incident) in incidents.iter_mut().enumerate() {
            incident.id = format!("I-{index}");
        }
        World {
            agreements, incidents, action, now,
            accounts: accounts.into_iter().collect(),
            incident: incident.map(|index| format!("I-{index}")),
            facts: CameraFacts { camera: "cam-1".into(), zone, tags },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn random_facts_are_answered_as_the_oracle_says(world in a_world()) {
        let question = Question {
            agreements: &world.agreements,
            incidents: &world.incidents,
            accounts: &world.accounts,
            asker: &operator(),
            incident: world.incident.as_deref(),
            facts: &world.facts,
            action: world.action,
            now: world.now,
        };
        compare(&world.rights(), &question);
    }

    /// Whatever is taken away, nothing becomes permitted by it.
    #[test]
    fn taking_away_never_adds_a_permit(world in a_world(), which in any::<proptest::sample::Index>()) {
        let mut lesser: Vec<World> = Vec::new();
        let mut less = |change: &dyn Fn(&mut World)| {
            let mut copy = world.clone();
            change(&mut copy);
            lesser.push(copy);
        };
        less(&|w| w.accounts.clear());
        less(&|w| w.accounts.iter_mut().for_each(|a| a.enabled = false));
        less(&|w| w.incident = None);
        less(&|w| w.facts.zone = None);
        less(&|w| w.facts.tags.clear());
        less(&|w| w.incidents.clear());
        if !world.agreements.is_empty() {
            let index = which.index(world.agreements.len());
            less(&|w| { w.agreements.remove(index); });
            less(&|w| w.agreements[index].units.clear());
            less(&|w| w.agreements[index].purposes.clear());
            less(&|w| w.agreements[index].live = false);
            less(&|w| w.agreements[index].to = w.agreements[index].from);
            for state in [State::Draft, State::Suspended, State::Revoked, State::Withdrawn] {
                less(&|w| w.agreements[index].state = state);
            }
        }
        let granted = world.decide(world.now).is_ok();
        for less in lesser {
            prop_assert!(granted || less.decide(world.now).is_err(), "{:?}", less);
        }
    }

    /// Until the moment that an answer names, it stays; and no answer changes before `next_change`.
    #[test]
    fn an_answer_stays_until_the_moment_that_it_names(world in a_world()) {
        let word = |answer: &Result<Permit, Refusal>| match answer {
            Ok(_) => "permitted".to_owned(),
            Err(refusal) => refusal.code.clone(),
        };
        let first = world.decide(world.now);
        let until = match &first { Ok(permit) => permit.until, Err(refusal) => refusal.until };
        let next = next_change(&world.rights(), world.now);
        prop_assert!(until > world.now || until == Utc::NEVER);
        prop_assert!(next > world.now || next == Utc::NEVER);
        for later in (0..9).map(Utc).chain([Utc::NEVER]).filter(|later| *later > world.now) {
            if later < until {
                prop_assert_eq!(word(&world.decide(later)), word(&first), "at {:?}, until {:?}", later, until);
            }
            if later < next {
                prop_assert_eq!(&world.decide(later), &first);
            }
        }
        if let Ok(permit) = &first {
            prop_assert!(next <= permit.until);
        }
    }

    /// Standby permits exactly where some open incident would, and says when to ask again.
    #[test]
    fn standby_is_the_best_of_all_open_incidents(world in a_world()) {
        let rights = world.rights();
        let by_incident: Vec<bool> = world.incidents.iter().map(|incident| {
            let everybody = Rights::new(world.agreements.clone(), world.incidents.clone(), vec![account(Role::Operator)]);
            decide(&everybody, &operator(), Some(&incident.id), &world.facts, Action::Live, world.now).is_ok()
        }).collect();
        let standby = decide_standby(&rights, "crisis-centre", &world.facts, world.now);
        prop_assert_eq!(standby.is_ok(), by_incident.contains(&true), "{:?}", standby);
        if let Err(refusal) = standby {
            for later in (0..9).map(Utc).filter(|later| *later > world.now && *later < refusal.until) {
                prop_assert!(decide_standby(&rights, "crisis-centre", &world.facts, later).is_err());
            }
        }
    }
}
