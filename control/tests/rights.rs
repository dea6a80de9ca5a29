//! Agreements, incidents and purposes as a program uses them: through the whole router, with tokens of real accounts.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{As, TestController};
use vitrail_control::audit::Actor;
use vitrail_control::people::{NewToken, Role};
use vitrail_control::rights::{Showing, Showings};

/// 2026-11-24T17:00:00Z, in seconds after the day at which a controller of tests begins: when every test begins.
const BEGIN_S: u64 = 1_795_539_600 - 86_400;

/// A controller in 2026 with two zones, and somebody of each role, who ask with tokens.
struct Server {
    controller: TestController,
    anna: As,
    zoe: As,
    otto: As,
    sara: As,
}

impl Server {
    async fn new() -> Server {
        let controller = TestController::new();
        controller.clock.advance(Duration::from_secs(BEGIN_S));
        controller.zone("north");
        controller.zone("south");
        let anna = token(&controller, "anna", Role::Administrator).await;
        let zoe = token(&controller, "zoe", Role::ZoneAuthority).await;
        let otto = token(&controller, "otto", Role::Operator).await;
        let sara = token(&controller, "sara", Role::Supervisor).await;
        Server { controller, anna, zoe, otto, sara }
    }

    /// Sends a request; gives back the status and the body.
    async fn send(&self, by: &As, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = Some(body).filter(|body| !body.is_null());
        let answer = self.controller.ask(method, &format!("/api/v1{path}"), by, body).await;
        let status = answer.status.as_u16();
        if status >= 400 {
            answer.code();
        }
        (status, serde_json::from_str(&answer.text).unwrap_or_default())
    }

    /// A draft for a zone, from now on for a day.
    fn draft(&self, zone: &str) -> Value {
        let now = self.controller.shared.db.now();
        json!({
            "zone": zone,
            "title": "Regional crisis room",
            "parties": ["Zone North", "Regional crisis centre"],
            "purposes": ["public-order", "missing-person"],
            "live": true, "record": false, "export": false,
            "units": ["crisis-centre"], "tags": [],
            "valid_from": now, "valid_to": now.plus(Duration::from_secs(24 * 3600)),
        })
    }
}

/// An account of this role, and a token of it.
async fn token(controller: &TestController, name: &str, role: Role) -> As {
    let account = controller.account(name, role).await;
    let by = Actor { account: account.clone(), name: name.into(), ..Actor::system() };
    let new = NewToken { name: "test".into(), expires_at: None, permissions: None };
    let made = controller.shared.people.add_token(&account, role, &new, &by).expect("a token");
    As::Token(made.secret.to_string())
}

fn incident() -> Value {
    json!({
        "title": "March on the ring",
        "reason": "A march of 4,000 people crosses two zones",
        "legal_basis": "lfp-22",
        "reference": "EV-2026-118",
        "purpose": "public-order",
    })
}

#[tokio::test]
async fn an_agreement_goes_its_way_over_http() {
    let s = Server::new().await;
    let (anna, zoe) = (&s.anna, &s.zoe);
    let otto = &s.otto;
    let (status, draft) = s.send(anna, "POST", "/agreements", s.draft("north")).await;
    assert_eq!((status, &draft["id"], &draft["state"]), (201, &json!("A-2026-0001"), &json!("draft")));
    let path = "/agreements/A-2026-0001";
    let sign = format!("{path}/sign");
    for (token, body, status, code) in [
        (otto, json!({ "version": 1 }), 403, "role"),
        (anna, json!({ "version": 1 }), 403, "role"),
        (zoe, json!({ "version": 7 }), 409, "version"),
    ] {
        let (got, problem) = s.send(token, "POST", &sign, body).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)));
    }
    assert_eq!(s.send(zoe, "POST", &sign, json!({})).await.0, 428);
    assert_eq!(s.send(zoe, "POST", &sign, json!({ "version": 1, "as": "mayor" })).await.0, 422);
    let (status, changed) = s.send(anna, "PATCH", path, json!({ "version": 1, "tags": ["tunnel"] })).await;
    assert_eq!((status, &changed["tags"], &changed["version"]), (200, &json!(["tunnel"]), &json!(2)));
    assert_eq!(
        s.send(anna, "PATCH", path, json!({ "version": 2, "exports": true })).await.0,
        422,
        "a word unknown"
    );
    let (status, signed) = s.send(zoe, "POST", &sign, json!({ "version": 2 })).await;
    assert_eq!((status, &signed["in_force"], &signed["signed_by"]), (200, &json!(true), &json!("u-2")));
    let (_, states) = s.send(otto, "GET", "/zones/state", Value::Null).await;
    assert_eq!((&states[0]["state"], &states[0]["live"]), (&json!("in-force"), &json!(true)));
    assert_eq!((&states[1]["state"], &states[1]["live"]), (&json!("none"), &json!(false)));
    let suspend = format!("{path}/suspend");
    assert_eq!(s.send(zoe, "POST", &suspend, json!({})).await.0, 422);
    assert_eq!(s.send(otto, "POST", &suspend, json!({ "reason": "x" })).await.0, 403);
    let (status, halted) = s.send(zoe, "POST", &suspend, json!({ "reason": "masks" })).await;
    assert_eq!((status, &halted["state"], &halted["why"]), (200, &json!("suspended"), &json!("masks")));
    assert_eq!(s.send(zoe, "POST", &format!("{path}/resume"), json!({})).await.1["state"], "signed");
    assert_eq!(
        s.send(zoe, "POST", &format!("{path}/revoke"), json!({ "reason": "over" })).await.1["state"],
        "revoked"
    );
    let (_, whole) = s.send(otto, "GET", path, Value::Null).await;
    assert_eq!(whole["history"].as_array().map(Vec::len), Some(6));
    assert_eq!(s.send(otto, "GET", "/agreements/A-1", Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_zone_authority_acts_for_its_own_zones_only() {
    let s = Server::new().await;
    let (anna, zoe) = (&s.anna, &s.zoe);
    s.send(anna, "POST", "/agreements", s.draft("south")).await;
    for (method, step, body) in [
        ("POST", "/sign", json!({ "version": 1 })),
        ("POST", "/suspend", json!({ "reason": "x" })),
        ("POST", "/resume", json!({})),
        ("POST", "/revoke", json!({ "reason": "x" })),
        ("POST", "/withdraw", json!({})),
        ("PATCH", "", json!({ "version": 1, "title": "Ours" })),
    ] {
        let (status, problem) = s.send(zoe, method, &format!("/agreements/A-2026-0001{step}"), body).await;
        assert_eq!((status, problem["code"].as_str()), (403, Some("zone")), "{method} {step}");
    }
    let (status, problem) = s.send(zoe, "POST", "/agreements", s.draft("south")).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("zone")));
    assert_eq!(s.send(zoe, "POST", "/agreements", s.draft("north")).await.0, 201);
    assert_eq!(s.send(anna, "POST", "/agreements", s.draft("east")).await.0, 404);
    let (_, south) = s.send(zoe, "GET", "/agreements?zone=south&state=draft&limit=1", Value::Null).await;
    assert_eq!(south["items"][0]["zone"], "south");
    let (_, page) = s.send(zoe, "GET", "/agreements?limit=1", Value::Null).await;
    assert_eq!(page["next"], "A-2026-0001");
    let (_, page) = s.send(zoe, "GET", "/agreements?limit=1&after=A-2026-0001", Value::Null).await;
    assert_eq!((&page["items"][0]["id"], &page["next"]), (&json!("A-2026-0002"), &Value::Null));
    assert_eq!(s.send(zoe, "GET", "/agreements?limit=0", Value::Null).await.0, 400);
    assert_eq!(s.send(zoe, "GET", "/agreements?state=good", Value::Null).await.0, 400);
    assert_eq!(
        s.send(anna, "POST", "/agreements/A-2026-0001/withdraw", json!({})).await.1["state"],
        "withdrawn"
    );
}

#[tokio::test]
async fn an_incident_is_opened_and_closed_over_http() {
    struct Wall;
    impl Showings for Wall {
        fn under(&self, _: &str) -> Vec<Showing> {
            let tile = Some("left.1".into());
            vec![Showing { screen: "left".into(), tile, camera: "cam-1".into(), zone: Some("north".into()) }]
        }
    }
    let s = Server::new().await;
    s.controller.shared.rights.ask_for_showings(Box::new(Wall));
    let (otto, sara, anna) = (&s.otto, &s.sara, &s.anna);
    let (_, bases) = s.send(otto, "GET", "/legal-bases", Value::Null).await;
    assert!(bases.as_array().is_some_and(|all| all.iter().any(|basis| basis["word"] == "lfp-22")));
    assert_eq!(s.send(anna, "POST", "/incidents", incident()).await.0, 403);
    let (status, opened) = s.send(otto, "POST", "/incidents", incident()).await;
    assert_eq!((status, &opened["id"], &opened["state"]), (201, &json!("I-2026-0001"), &json!("open")));
    let (status, closing) = s.send(otto, "POST", "/incidents/I-2026-0001/close", json!({})).await;
    assert_eq!((status, &closing["incident"]["state"]), (200, &json!("closing")));
    assert_eq!(
        closing["incident"]["ends_at"],
        json!(s.controller.shared.db.now().plus(Duration::from_secs(30)))
    );
    assert_eq!(closing["ends"][0]["camera"], "cam-1");
    let (status, kept) = s.send(sara, "POST", "/incidents/I-2026-0001/keep", Value::Null).await;
    assert_eq!((status, &kept["state"]), (200, &json!("open")));
    s.send(sara, "POST", "/incidents", incident()).await;
    let (status, problem) =
        s.send(otto, "POST", "/incidents/I-2026-0002/close", json!({ "grace_s": 0 })).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("role")), "not one's own");
    assert_eq!(s.send(otto, "POST", "/incidents/I-2026-0002/keep", Value::Null).await.0, 403);
    assert_eq!(s.send(sara, "POST", "/incidents/I-2026-0001/close", json!({ "grace_s": 601 })).await.0, 422);
    let (_, closed) = s.send(sara, "POST", "/incidents/I-2026-0001/close", json!({ "grace_s": 0 })).await;
    assert_eq!(closed["incident"]["state"], "closed");
    assert_eq!(s.send(sara, "POST", "/incidents/I-2026-0001/close", json!({})).await.0, 409);
    let (_, open) = s.send(otto, "GET", "/incidents?state=open", Value::Null).await;
    assert_eq!(
        (open["items"].as_array().map(Vec::len), &open["items"][0]["id"]),
        (Some(1), &json!("I-2026-0002"))
    );
    assert_eq!(s.send(otto, "GET", "/incidents/I-2026-0001", Value::Null).await.1["closed_by"], "u-4");
    assert_eq!(s.send(otto, "GET", "/incidents/I-9", Value::Null).await.0, 404);
}

#[tokio::test]
async fn purposes_are_read_by_all_and_added_by_those_who_draft() {
    let s = Server::new().await;
    let (otto, anna) = (&s.otto, &s.anna);
    let flood = json!({ "word": "flood", "en": "Flood", "fr": "Inondation", "nl": "Overstroming" });
    assert_eq!(s.send(otto, "POST", "/purposes", flood.clone()).await.0, 403);
    assert_eq!(s.send(anna, "POST", "/purposes", flood.clone()).await.0, 201);
    assert_eq!(s.send(anna, "POST", "/purposes", flood.clone()).await.0, 409);
    let (_, all) = s.send(otto, "GET", "/purposes", Value::Null).await;
    assert_eq!(all.as_array().and_then(|all| all.last()), Some(&flood));
}
