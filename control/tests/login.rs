//! Logging in and out, first start, tokens, and what ends them: over the router, on a real database.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use support::{As, PASSWORD, TestController, request};
use vitrail_control::people::{Lifetimes, Role, Settings};

fn login(name: &str, password: &str) -> Option<Value> {
    Some(json!({ "name": name, "password": password }))
}

#[tokio::test]
async fn the_first_administrator_is_made_once_with_the_terminals_token() {
    let controller = TestController::new();
    assert_eq!(
        controller.ask("GET", "/api/v1/setup", &As::Nobody, None).await.json(),
        json!({ "needed": true, "sign_on": false })
    );
    let old = controller.shared.people.setup_token().unwrap().unwrap();
    let token = controller.shared.people.setup_token().unwrap().unwrap();
    assert!(!controller.is_stored(&token), "only its hash is stored");
    let set_up = |token: &str| Some(json!({ "token": token, "name": "root@hq", "password": PASSWORD }));
    for wrong in [&*old, "", "guess"] {
        let answer = controller.ask("POST", "/api/v1/setup", &As::Nobody, set_up(wrong)).await;
        assert_eq!(answer.code(), (401, "wrong-token".into()), "a newer start ends the older token");
    }
    let easy = Some(json!({ "token": &*token, "name": "root@hq", "password": "root@hq root@hq" }));
    assert_eq!(
        controller.ask("POST", "/api/v1/setup", &As::Nobody, easy).await.code(),
        (422, "password-name".into())
    );
    let answer = controller.ask("POST", "/api/v1/setup", &As::Nobody, set_up(&token)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["role"]), (201, &json!("administrator")));
    assert!(answer.header("set-cookie").starts_with("vitrail_session="));
    let again = controller.ask("POST", "/api/v1/setup", &As::Nobody, set_up(&token)).await;
    assert_eq!(again.code(), (409, "set-up".into()));
    assert!(controller.shared.people.setup_token().unwrap().is_none());
    assert_eq!(
        controller.ask("GET", "/api/v1/setup", &As::Nobody, None).await.json(),
        json!({ "needed": false, "sign_on": false })
    );
    assert_eq!(controller.records("account.added")[0]["by"]["via"], "setup token");
}

#[tokio::test]
async fn a_login_shows_its_cookie_to_no_script_and_is_known_by_it() {
    let controller = TestController::with(Settings { secure: true, ..Settings::default() });
    controller.account("anna", Role::Operator).await;
    let answer = controller.ask("POST", "/api/v1/login", &As::Nobody, login("ANNA", PASSWORD)).await;
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    let secret = cookie.split(['=', ';']).nth(1).unwrap();
    assert_eq!(secret.len(), 43);
    assert!(!controller.is_stored(secret));
    let by = As::Session { cookie: secret.into(), csrf: None };
    let me = controller.ask("GET", "/api/v1/me", &by, None).await.json();
    assert_eq!(me, answer.json(), "the login's answer is who one is");
    assert_eq!((&me["name"], &me["role"]), (&json!("anna"), &json!("operator")));
    assert!(me["permissions"].as_array().unwrap().contains(&json!("view-wall")));
    assert!(!me["permissions"].as_array().unwrap().contains(&json!("manage-people")));
    let record = &controller.records("login.succeeded")[0];
    assert_eq!(
        (&record["by"]["name"], &record["event"]["details"]["how"]),
        (&json!("anna"), &json!("password"))
    );
}

#[tokio::test]
async fn a_refused_login_does_not_tell_which_names_exist() {
    let controller = TestController::new();
    let admin = controller.person("root", Role::Administrator).await;
    controller.account("anna", Role::Operator).await;
    let off = controller.account("bert", Role::Operator).await;
    let path = format!("/api/v1/accounts/{off}");
    assert_eq!(controller.ask("PATCH", &path, &admin, Some(json!({ "enabled": false }))).await.status, 200);
    let mut bodies = Vec::new();
    for (name, password) in [("anna", "wrong wrong wrong"), ("nobody", PASSWORD), ("bert", PASSWORD)] {
        let answer = controller.ask("POST", "/api/v1/login", &As::Nobody, login(name, password)).await;
        assert_eq!(answer.code(), (401, "wrong-login".into()));
        bodies.push(answer.text);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let records = controller.records("login.refused");
    let reasons: Vec<_> = records.iter().map(|r| r["event"]["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["password", "unknown", "disabled"]);
    assert!(
        !records[1].to_string().contains("nobody"),
        "a name that nobody has may be a password: {}",
        records[1]
    );
    assert!(!controller.is_stored("wrong wrong wrong") && !controller.is_stored(PASSWORD));
    assert_eq!(controller.shared.people.refused(), 3);
}

#[tokio::test]
async fn changes_of_a_browser_need_csrf_and_its_own_origin() {
    let controller = TestController::new();
    let by = controller.person("anna", Role::Operator).await;
    let As::Session { cookie, csrf } = by.clone() else { unreachable!() };
    let change = || Some(json!({ "language": "fr" }));
    for csrf in [None, Some("x".to_owned()), Some(String::new())] {
        let by = As::Session { cookie: cookie.clone(), csrf };
        assert_eq!(controller.ask("PATCH", "/api/v1/me", &by, change()).await.code(), (403, "csrf".into()));
        assert_eq!(
            controller.ask("GET", "/api/v1/me", &by, None).await.status,
            200,
            "reading does not need it"
        );
    }
    let other = controller.log_in("anna").await;
    let As::Session { csrf: others, .. } = other else { unreachable!() };
    let mixed = As::Session { cookie: cookie.clone(), csrf: others };
    assert_eq!(controller.ask("PATCH", "/api/v1/me", &mixed, change()).await.code(), (403, "csrf".into()));
    for (origin, status) in [("http://wall.example", 200), ("http://evil.example", 403), ("null", 403)] {
        let mut request = request("PATCH", "/api/v1/me", &by, change());
        request.headers_mut().insert("host", "wall.example".parse().unwrap());
        request.headers_mut().insert("origin", origin.parse().unwrap());
        assert_eq!(controller.send(request).await.status, status, "{origin}");
    }
    let mut request = request("POST", "/api/v1/login", &As::Nobody, login("anna", PASSWORD));
    request.headers_mut().insert("host", "wall.example".parse().unwrap());
    request.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    assert_eq!(controller.send(request).await.code(), (403, "origin".into()), "not even to log in");
    assert!(csrf.is_some());
}

#[tokio::test]
async fn a_login_ends_by_logout_idleness_and_age() {
    let lifetimes = Lifetimes { idle: Duration::from_secs(600), longest: Duration::from_secs(3600) };
    let controller = TestController::with(Settings { lifetimes, ..Settings::default() });
    let me = async |by: &As| controller.ask("GET", "/api/v1/me", by, None).await.status.as_u16();
    let by = controller.person("anna", Role::Operator).await;
    let hangs_on = ended(&controller, "anna");
    assert_eq!(me(&by).await, 200);
    let ends = hangs_on();
    assert_eq!(controller.ask("POST", "/api/v1/logout", &by, None).await.status, 204);
    assert!(ends.is_cancelled(), "what hangs on it is told");
    assert_eq!(me(&by).await, 401);

    let by = controller.log_in("anna").await;
    controller.clock.advance(Duration::from_secs(599));
    assert_eq!(me(&by).await, 200, "used in time");
    controller.clock.advance(Duration::from_secs(599));
    assert_eq!(me(&by).await, 200, "the use counts");
    let ends = hangs_on();
    controller.clock.advance(Duration::from_secs(600));
    assert_eq!(me(&by).await, 401, "idle");
    assert!(!ends.is_cancelled());
    controller.shared.people.end_timed_out().unwrap();
    assert!(ends.is_cancelled());
    assert_eq!(controller.records("session.expired").len(), 1);

    let by = controller.log_in("anna").await;
    for _ in 0..7 {
        controller.clock.advance(Duration::from_secs(500));
        assert_eq!(me(&by).await, 200);
    }
    controller.clock.advance(Duration::from_secs(100));
    assert_eq!(me(&by).await, 401, "old, though in use");
}

/// How to find the end of the newest session of an account.
fn ended<'a>(
    controller: &'a TestController,
    name: &'a str,
) -> impl Fn() -> tokio_util::sync::CancellationToken + 'a {
    move || {
        let sql = "SELECT s.id FROM session s JOIN account a ON a.seq = s.account WHERE a.name = ?1
                   ORDER BY s.created_at DESC LIMIT 1";
        let id: String =
            controller.shared.db.read(|c| Ok(c.query_row(sql, [name], |row| row.get(0))?)).unwrap();
        controller.shared.people.sessions().ended(&id)
    }
}

#[tokio::test]
async fn an_account_that_is_disabled_or_changed_is_out_at_once() {
    let controller = TestController::new();
    let admin = controller.person("root", Role::Administrator).await;
    let id = controller.account("anna", Role::Operator).await;
    let path = format!("/api/v1/accounts/{id}");
    let me = async |by: &As| controller.ask("GET", "/api/v1/me", by, None).await.status.as_u16();
    for (change, token_stands) in [
        (json!({ "role": "supervisor" }), true),
        (json!({ "unit": "other" }), true),
        (json!({ "password": "another good password" }), true),
        (json!({ "enabled": false }), false),
    ] {
        let restore =
            json!({ "role": "operator", "unit": "control-room", "enabled": true, "password": PASSWORD });
        assert_eq!(controller.ask("PATCH", &path, &admin, Some(restore)).await.status, 200);
        let by = controller.log_in("anna").await;
        let token = controller.ask("POST", "/api/v1/tokens", &by, Some(json!({ "name": "t" }))).await.json();
        let token = As::Token(token["secret"].as_str().unwrap().into());
        assert_eq!((me(&by).await, me(&token).await), (200, 200));
        let ends = ended(&controller, "anna")();
        assert_eq!(
            controller.ask("PATCH", &path, &admin, Some(change.clone())).await.status,
            200,
            "{change}"
        );
        assert!(ends.is_cancelled(), "{change}");
        assert_eq!(me(&by).await, 401, "{change}");
        assert_eq!(me(&token).await, if token_stands { 200 } else { 401 }, "{change}");
    }
    let restore = json!({ "enabled": true });
    assert_eq!(controller.ask("PATCH", &path, &admin, Some(restore)).await.status, 200);
    let by = controller.log_in("anna").await;
    assert_eq!(controller.ask("PATCH", &path, &admin, Some(json!({ "language": "nl" }))).await.status, 200);
    assert_eq!(me(&by).await, 200, "a language ends nothing");
    assert_eq!(controller.ask("DELETE", &path, &admin, None).await.status, 204);
    assert_eq!(me(&by).await, 401);
    assert_eq!(controller.ask("GET", &path, &admin, None).await.status, 404);
    let next = controller.account("carl", Role::Operator).await;
    assert_ne!(next, id, "an id is not given again");
}

#[tokio::test]
async fn a_new_password_ends_ones_other_sessions() {
    let controller = TestController::new();
    let here = controller.person("anna", Role::Operator).await;
    let there = controller.log_in("anna").await;
    let change = |old: &str, new: &str| Some(json!({ "old": old, "new": new }));
    let new = "a much better password";
    let put = async |body| controller.ask("PUT", "/api/v1/me/password", &here, body).await;
    assert_eq!(put(change("wrong wrong wrong", new)).await.code(), (422, "wrong-login".into()));
    assert_eq!(put(change(PASSWORD, "short")).await.code(), (422, "password-short".into()));
    assert_eq!(put(change(PASSWORD, new)).await.status, 204);
    assert_eq!(controller.ask("GET", "/api/v1/me", &here, None).await.status, 200);
    assert_eq!(controller.ask("GET", "/api/v1/me", &there, None).await.status, 401);
    assert_eq!(
        controller.ask("POST", "/api/v1/login", &As::Nobody, login("anna", PASSWORD)).await.status,
        401
    );
    assert_eq!(controller.ask("POST", "/api/v1/login", &As::Nobody, login("anna", new)).await.status, 200);
    let changed = controller.records("account.changed");
    assert_eq!(changed.last().unwrap()["event"]["details"], json!({ "password": "changed" }));
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let controller = TestController::new();
    let admin = controller.person("root", Role::Administrator).await;
    let me = controller.ask("GET", "/api/v1/me", &admin, None).await.json();
    let path = format!("/api/v1/accounts/{}", me["account"].as_str().unwrap());
    let last = (409, "last-administrator".to_owned());
    for change in [json!({ "enabled": false }), json!({ "role": "auditor" })] {
        assert_eq!(controller.ask("PATCH", &path, &admin, Some(change)).await.code(), last);
    }
    assert_eq!(controller.ask("DELETE", &path, &admin, None).await.code(), last);
    assert_eq!(
        controller.ask("GET", &path, &admin, None).await.json()["enabled"],
        true,
        "nothing was changed"
    );
    controller.account("second", Role::Administrator).await;
    assert_eq!(controller.ask("DELETE", &path, &admin, None).await.status, 204);
}

#[tokio::test]
async fn accounts_are_checked_and_listed_in_parts() {
    let controller = TestController::new();
    let admin = controller.person("root", Role::Administrator).await;
    let add = async |body: Value| controller.ask("POST", "/api/v1/accounts", &admin, Some(body)).await;
    let account = |more: Value| {
        let mut body = json!({ "name": "zoé", "role": "operator", "password": PASSWORD });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, code) in [
        (json!({ "name": "a b" }), "name"),
        (json!({ "name": "" }), "name"),
        (json!({ "password": "short" }), "password-short"),
        (json!({ "password": null }), ""),
        (json!({ "zones": ["north"] }), "zones"),
        (json!({ "role": "zone-authority" }), "zones"),
        (json!({ "role": "zone-authority", "zones": ["nowhere"] }), "zones"),
        (json!({ "subject": "abc" }), "oidc"),
        (json!({ "role": "king" }), ""),
        (json!({ "typo": 1 }), ""),
    ] {
        assert_eq!(add(account(more.clone())).await.code(), (422, code.into()), "{more}");
    }
    controller.zone("north");
    let added = add(account(json!({ "role": "zone-authority", "zones": ["north", "north"] }))).await;
    assert_eq!((added.status.as_u16(), &added.json()["zones"]), (201, &json!(["north"])));
    assert_eq!(add(account(json!({ "name": "ZOÉ" }))).await.code(), (409, "name-taken".into()));
    let page = controller.ask("GET", "/api/v1/accounts?limit=1", &admin, None).await.json();
    assert_eq!((&page["items"][0]["name"], &page["next"]), (&json!("root"), &page["items"][0]["id"]));
    let after = format!("/api/v1/accounts?limit=1&after={}", page["next"].as_str().unwrap());
    let page = controller.ask("GET", &after, &admin, None).await.json();
    assert_eq!((&page["items"][0]["name"], &page["next"]), (&json!("zoé"), &Value::Null));
    assert!(!page.to_string().contains("argon2"));
}

#[tokio::test]
async fn tries_run_out_and_come_back() {
    let controller = TestController::new();
    controller.account("anna", Role::Operator).await;
    let attempt = async |name: &str, password: &str, from: &str| {
        let mut request = request("POST", "/api/v1/login", &As::Nobody, login(name, password));
        let from: std::net::SocketAddr = from.parse().unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(from));
        controller.send(request).await
    };
    for _ in 0..5 {
        assert_eq!(attempt("anna", "wrong wrong wrong", "10.0.0.1:1").await.status, 401);
    }
    for _ in 0..2 {
        let answer = attempt("anna", PASSWORD, "10.0.0.1:2").await;
        assert_eq!(answer.code(), (429, "too-often".into()), "even with the right password");
        assert_eq!(answer.header("retry-after"), "12");
    }
    assert_eq!(
        attempt("anna", PASSWORD, "10.0.0.2:1").await.status,
        200,
        "its owner elsewhere is not locked out"
    );
    controller.clock.advance(Duration::from_secs(12));
    assert_eq!(attempt("anna", PASSWORD, "10.0.0.1:3").await.status, 200);
    let refused = controller.records("login.refused");
    let too_often = refused.iter().filter(|r| r["event"]["reason"] == "too-often").count();
    assert_eq!((refused.len(), too_often), (6, 1), "a flood does not fill the log");
    assert_eq!(refused[0]["by"]["address"], "10.0.0.1");
}

#[tokio::test]
async fn tokens_are_narrow_end_and_make_no_others() {
    let controller = TestController::new();
    let by = controller.person("anna", Role::Supervisor).await;
    let make = async |by: &As, body: Value| controller.ask("POST", "/api/v1/tokens", by, Some(body)).await;
    assert_eq!(make(&by, json!({ "name": "" })).await.status, 422);
    let beyond = json!({ "name": "t", "permissions": ["manage-people"] });
    assert_eq!(make(&by, beyond).await.code(), (422, "role".into()));
    let past = json!({ "name": "t", "expires_at": "1970-01-01T00:00:00Z" });
    assert_eq!(make(&by, past).await.status, 422);
    let made = make(&by, json!({ "name": "monitoring", "permissions": ["read-metrics"] })).await.json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with(&format!("vitrail_{}_", &made["id"].as_str().unwrap()[2..])));
    assert!(!controller.is_stored(secret));
    let narrow = As::Token(secret.into());
    assert_eq!(controller.ask("GET", "/metrics", &narrow, None).await.status, 200);
    assert_eq!(controller.ask("GET", "/api/v1/me", &narrow, None).await.code(), (403, "token".into()));
    let day = Duration::from_secs(86400);
    let wide = make(&by, json!({ "name": "wide", "expires_at": "1970-01-03T00:00:00Z" })).await.json();
    let wide = As::Token(wide["secret"].as_str().unwrap().into());
    let me = controller.ask("GET", "/api/v1/me", &wide, None).await.json();
    assert_eq!(me["csrf"], Value::Null);
    let change = Some(json!({ "language": "fr" }));
    assert_eq!(controller.ask("PATCH", "/api/v1/me", &wide, change).await.status, 200, "needs no X-CSRF");
    assert_eq!(make(&wide, json!({ "name": "child" })).await.code(), (403, "session".into()));
    let password = Some(json!({ "old": PASSWORD, "new": "a much better password" }));
    assert_eq!(
        controller.ask("PUT", "/api/v1/me/password", &wide, password).await.code(),
        (403, "session".into())
    );
    let list = controller.ask("GET", "/api/v1/tokens", &by, None).await;
    assert_eq!(list.json()["items"].as_array().unwrap().len(), 2);
    assert!(!list.text.contains(secret) && list.json()["items"][0]["used_at"].is_string());
    let stranger = controller.person("bert", Role::Supervisor).await;
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(controller.ask("DELETE", &path, &stranger, None).await.status, 404, "only one's own");
    assert_eq!(controller.ask("DELETE", &path, &by, None).await.status, 204);
    assert_eq!(controller.ask("GET", "/metrics", &narrow, None).await.status, 401);
    controller.clock.advance(day);
    assert_eq!(
        controller.ask("GET", "/api/v1/me", &wide, None).await.code(),
        (401, "token".into()),
        "expired"
    );
    assert_eq!((controller.records("token.made").len(), controller.records("token.ended").len()), (2, 1));
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let controller = TestController::new();
    let by = controller.person("root", Role::Administrator).await;
    let accounts = "/api/v1/accounts";
    assert_eq!(controller.ask("GET", "/api/v1/nothing", &by, None).await.code().0, 404);
    assert_eq!(controller.ask("GET", "/api", &As::Nobody, None).await.code().0, 404);
    let wrong = controller.ask("PUT", accounts, &by, None).await;
    assert_eq!((wrong.code().0, wrong.header("allow")), (405, "GET,HEAD,POST"));
    assert_eq!(controller.ask("POST", "/cameras", &As::Nobody, None).await.code().0, 405);
    assert_eq!(controller.ask("GET", "/api/v1/accounts?limit=many", &by, None).await.code().0, 400);
    assert_eq!(controller.ask("GET", "/api/v1/accounts?limit=0", &by, None).await.code().0, 400);
    assert_eq!(controller.ask("GET", "/api/v1/accounts/%ff", &by, None).await.code().0, 400);
    assert_eq!(controller.ask("GET", "/api/v1/accounts/u-007", &by, None).await.code().0, 404);
    let with = |kind: &'static str, body: Vec<u8>| {
        let mut request: Request<Body> = request("POST", accounts, &by, None);
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        *request.body_mut() = body.into();
        request
    };
    assert_eq!(controller.send(with("text/plain", b"{}".to_vec())).await.code().0, 415);
    assert_eq!(controller.send(with("application/json", b"{".to_vec())).await.code().0, 400);
    assert_eq!(controller.send(with("application/json", b"[1]".to_vec())).await.code().0, 422);
    assert_eq!(controller.send(with("application/json", vec![b' '; 2 << 20])).await.code().0, 413);
    let missing = controller.ask("GET", "/api/v1/me", &As::Nobody, None).await;
    assert_eq!((missing.code(), missing.header("www-authenticate")), ((401, "login".into()), "Bearer"));
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let controller = TestController::with(Settings { secure: true, ..Settings::default() });
    for path in ["/healthz", "/api/v1/me", "/api/v1/nothing", "/"] {
        let answer = controller.ask("GET", path, &As::Nobody, None).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("http") && !policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000", "{path}");
        assert!(
            !answer.header("x-request-id").is_empty() && !answer.header("cache-control").is_empty(),
            "{path}"
        );
    }
    let plain = TestController::new();
    let answer = plain.ask("GET", "/healthz", &As::Nobody, None).await;
    assert_eq!(answer.header("strict-transport-security"), "", "not over plain HTTP");
}

#[tokio::test]
async fn monitoring_is_told_what_is_wrong_and_strangers_read_no_counters() {
    let controller = TestController::new();
    assert_eq!(controller.ask("GET", "/healthz", &As::Nobody, None).await.json(), json!({ "status": "ok" }));
    assert_eq!(controller.ask("GET", "/readyz", &As::Nobody, None).await.json(), json!({ "status": "ok" }));
    controller.shared.monitor.on_ready("wall", Box::new(|| Err("stands still".into())));
    let answer = controller.ask("GET", "/readyz", &As::Nobody, None).await;
    assert_eq!(answer.code(), (503, "not-ready".into()));
    assert_eq!(answer.json()["more"], json!({ "wall": "stands still" }));

    assert_eq!(controller.ask("GET", "/metrics", &As::Nobody, None).await.code().0, 401);
    let from = |address: &str, forwarded: bool| {
        let mut request = request("GET", "/metrics", &As::Nobody, None);
        let address: std::net::SocketAddr = address.parse().unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(address));
        if forwarded {
            request.headers_mut().insert("x-forwarded-for", "10.0.0.1".parse().unwrap());
        }
        request
    };
    assert_eq!(controller.send(from("10.0.0.1:1", false)).await.status, 401);
    assert_eq!(controller.send(from("127.0.0.1:1", true)).await.status, 401, "passed on by a proxy");
    controller.shared.monitor.on_scrape(Box::new(|out| out.gauge("vitrail_screens", "Screens", &[], 2.0)));
    let text = controller.send(from("[::1]:1", false)).await.text;
    for line in [
        "vitrail_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1",
        "vitrail_logins_refused_total 0",
        "vitrail_screens 2",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    let operator = controller.person("anna", Role::Operator).await;
    assert_eq!(controller.ask("GET", "/metrics", &operator, None).await.code(), (403, "role".into()));
}
