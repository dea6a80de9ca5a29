//! Who may what: every route with every role, with and without a login, against a table that is
//! written here by hand.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use support::{As, TestController, request};
use tower::ServiceExt;
use vitrail_control::api::openapi::{document, operations};
use vitrail_control::people::{Permission, Role};

/// Who may call: `-` everybody, without a login; else by letter: operator, supervisor, zone authority,
/// auditor, adminIstrator.
const TABLE: &[(&str, &str, &str)] = &[
    ("GET", "/healthz", "-"),
    ("GET", "/readyz", "-"),
    ("GET", "/metrics", "SI"),
    ("GET", "/api/v1/openapi.json", "-"),
    ("GET", "/api/v1/setup", "-"),
    ("POST", "/api/v1/setup", "-"),
    ("POST", "/api/v1/login", "-"),
    ("POST", "/api/v1/logout", "OSZAI"),
    ("GET", "/api/v1/oidc/start", "-"),
    ("GET", "/api/v1/oidc/callback", "-"),
    ("GET", "/api/v1/me", "OSZAI"),
    ("PATCH", "/api/v1/me", "OSZAI"),
    ("PUT", "/api/v1/me/password", "OSZAI"),
    ("GET", "/api/v1/accounts", "I"),
    ("POST", "/api/v1/accounts", "I"),
    ("GET", "/api/v1/accounts/{id}", "I"),
    ("PATCH", "/api/v1/accounts/{id}", "I"),
    ("DELETE", "/api/v1/accounts/{id}", "I"),
    ("GET", "/api/v1/names", "OS"),
    ("GET", "/api/v1/tokens", "OSZAI"),
    ("POST", "/api/v1/tokens", "OSZAI"),
    ("DELETE", "/api/v1/tokens/{id}", "OSZAI"),
    ("GET", "/api/v1/zones", "OSZI"),
    ("POST", "/api/v1/zones", "ZI"),
    ("GET", "/api/v1/zones/{id}", "OSZI"),
    ("PATCH", "/api/v1/zones/{id}", "ZI"),
    ("DELETE", "/api/v1/zones/{id}", "ZI"),
    ("GET", "/api/v1/sites", "OSZI"),
    ("POST", "/api/v1/sites", "ZI"),
    ("GET", "/api/v1/sites/{id}", "OSZI"),
    ("PATCH", "/api/v1/sites/{id}", "ZI"),
    ("DELETE", "/api/v1/sites/{id}", "ZI"),
    ("GET", "/api/v1/cameras", "OSZI"),
    ("POST", "/api/v1/cameras", "ZI"),
    ("GET", "/api/v1/cameras/{id}", "OSZI"),
    ("PATCH", "/api/v1/cameras/{id}", "ZI"),
    ("DELETE", "/api/v1/cameras/{id}", "ZI"),
    ("PUT", "/api/v1/cameras/{id}/credentials", "ZI"),
    ("DELETE", "/api/v1/cameras/{id}/credentials", "ZI"),
    ("GET", "/api/v1/cameras/map", "OSZI"),
    ("GET", "/api/v1/cameras/{id}/thumbnail.jpg", "OS"),
    ("GET", "/api/v1/cameras/{id}/ptz", "OS"),
    ("POST", "/api/v1/cameras/{id}/ptz", "OS"),
    ("POST", "/api/v1/registry/import", "ZI"),
    ("GET", "/api/v1/registry/export.csv", "OSZI"),
    ("GET", "/api/v1/registry/export.geojson", "OSZI"),
    ("POST", "/api/v1/discovery", "ZI"),
    ("POST", "/api/v1/discovery/profiles", "ZI"),
    ("GET", "/api/v1/zones/state", "OSZAI"),
    ("GET", "/api/v1/agreements", "OSZAI"),
    ("POST", "/api/v1/agreements", "ZI"),
    ("GET", "/api/v1/agreements/{id}", "OSZAI"),
    ("PATCH", "/api/v1/agreements/{id}", "ZI"),
    ("DELETE", "/api/v1/agreements/{id}", "ZI"),
    ("POST", "/api/v1/agreements/{id}/sign", "Z"),
    ("POST", "/api/v1/agreements/{id}/suspend", "Z"),
    ("POST", "/api/v1/agreements/{id}/resume", "Z"),
    ("POST", "/api/v1/agreements/{id}/revoke", "Z"),
    ("POST", "/api/v1/agreements/{id}/withdraw", "ZI"),
    ("GET", "/api/v1/legal-bases", "OS"),
    ("GET", "/api/v1/purposes", "OSZAI"),
    ("POST", "/api/v1/purposes", "ZI"),
    ("GET", "/api/v1/incidents", "OS"),
    ("POST", "/api/v1/incidents", "OS"),
    ("GET", "/api/v1/incidents/{id}", "OS"),
    ("POST", "/api/v1/incidents/{id}/close", "OS"),
    ("POST", "/api/v1/incidents/{id}/keep", "OS"),
    ("GET", "/api/v1/audit", "ZA"),
    ("GET", "/api/v1/audit/export.jsonl", "ZA"),
    ("GET", "/api/v1/audit/verify", "ZA"),
    ("GET", "/api/v1/wall", "OS"),
    ("GET", "/api/v1/wall/layout", "OS"),
    ("POST", "/api/v1/wall/changes", "OS"),
    ("POST", "/api/v1/wall/admit", "OS"),
    ("POST", "/api/v1/wall/undo", "OS"),
    ("POST", "/api/v1/wall/redo", "OS"),
    ("PUT", "/api/v1/wall/incident", "OS"),
    ("GET", "/api/v1/layouts", "OS"),
    ("POST", "/api/v1/layouts", "OS"),
    ("PUT", "/api/v1/layouts/{id}", "OS"),
    ("DELETE", "/api/v1/layouts/{id}", "OS"),
    ("POST", "/api/v1/layouts/{id}/apply", "OS"),
    ("GET", "/api/v1/tours", "OS"),
    ("POST", "/api/v1/tours", "OS"),
    ("PUT", "/api/v1/tours/{id}", "OS"),
    ("DELETE", "/api/v1/tours/{id}", "OS"),
    ("POST", "/api/v1/tours/{id}/{order}", "OS"),
    ("GET", "/api/v1/alarms", "OS"),
    ("POST", "/api/v1/alarms", "OS"),
    ("POST", "/api/v1/alarms/{id}/acknowledge", "OS"),
    ("GET", "/api/v1/alarm-rules", "S"),
    ("POST", "/api/v1/alarm-rules", "S"),
    ("PUT", "/api/v1/alarm-rules/{id}", "S"),
    ("DELETE", "/api/v1/alarm-rules/{id}", "S"),
    ("GET", "/api/v1/wall/screens/{id}/picture.jpg", "OS"),
    ("GET", "/api/v1/wall/screens/{id}/stream.mjpeg", "OS"),
    ("POST", "/api/v1/wall/screens/{id}/snapshot", "OS"),
    ("POST", "/api/v1/wall/tiles/{id}/snapshot", "OS"),
    ("POST", "/api/v1/whep/{screen}", "OS"),
    ("DELETE", "/api/v1/whep/{screen}/{session}", "OS"),
    ("GET", "/api/v1/events", "OS"),
];

const ROLES: [(char, Role); 5] = [
    ('O', Role::Operator),
    ('S', Role::Supervisor),
    ('Z', Role::ZoneAuthority),
    ('A', Role::Auditor),
    ('I', Role::Administrator),
];

fn who(method: &str, path: &str) -> Option<&'static str> {
    TABLE.iter().find(|(m, p, _)| *m == method && same(p, path)).map(|(_, _, who)| *who)
}

/// The same address, whatever its parameters are called.
fn same(a: &str, b: &str) -> bool {
    a.split('/').count() == b.split('/').count()
        && a.split('/').zip(b.split('/')).all(|(a, b)| a == b || (a.starts_with('{') && b.starts_with('{')))
}

/// Every route with its permission; logging out comes last, as it ends the login.
fn routes() -> Vec<(String, String, Option<Value>)> {
    let mut document = document();
    let mut routes = Vec::new();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let needs = operation.extensions.as_ref().and_then(|e| e.get("x-permission")).cloned();
            routes.push((method.to_uppercase(), path.clone(), needs));
        }
    }
    routes.sort_by_key(|(_, path, _)| path.ends_with("/logout"));
    routes
}

/// What the router says: let in, not known, or refused to this role or token.
#[derive(Debug, PartialEq)]
enum Verdict {
    In,
    NotLoggedIn,
    Refused(String),
}

async fn ask(controller: &TestController, method: &str, path: &str, by: &As) -> Verdict {
    let body = (method != "GET" && method != "HEAD").then(|| json!({}));
    let path: String = path
        .split('/')
        .map(|part| if part.starts_with('{') { "none" } else { part })
        .collect::<Vec<_>>()
        .join("/");
    let request: Request<Body> = request(method, &path, by, body);
    let response = controller.router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    assert!(
        status != StatusCode::INTERNAL_SERVER_ERROR && status != StatusCode::METHOD_NOT_ALLOWED,
        "{method} {path}: {status}"
    );
    if status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN {
        return Verdict::In;
    }
    if status == StatusCode::UNAUTHORIZED {
        return Verdict::NotLoggedIn;
    }
    if method == "HEAD" {
        return Verdict::Refused(String::new());
    }
    let problem: Value =
        serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap();
    match problem["code"].as_str() {
        Some(code @ ("role" | "token" | "csrf")) => Verdict::Refused(code.to_owned()),
        // Let in, and then refused for a reason of its own: not one's zone, not with a token.
        _ => Verdict::In,
    }
}

#[test]
fn every_route_is_in_the_table_and_names_the_permission_that_the_table_means() {
    let mut wrong = Vec::new();
    for (method, path, needs) in routes() {
        let Some(letters) = who(&method, &path) else {
            wrong.push(format!("{method} {path}: not in this test's table"));
            continue;
        };
        let Some(needs) = needs else {
            wrong.push(format!("{method} {path}: names no x-permission"));
            continue;
        };
        let permission: Option<Permission> = serde_json::from_value(needs).expect("a permission or null");
        for (letter, role) in ROLES {
            let by_table = letters == "-" || letters.contains(letter);
            let by_role = permission.is_none_or(|permission| role.allows(permission));
            if by_table != by_role || (letters == "-") != permission.is_none() {
                wrong.push(format!(
                    "{method} {path}: {role:?} is {by_table} here, {by_role} by {permission:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_lets_in_and_nobody_else() {
    let controller = TestController::new();
    let admin = controller.person("root", Role::Administrator).await;
    let mut people = Vec::new();
    for (letter, role) in ROLES {
        let name = format!("{letter}-person");
        let id = controller.account(&name, role).await;
        let session = controller.log_in(&name).await;
        let token = async |permissions: Value| {
            let body = Some(json!({ "name": "t", "permissions": permissions }));
            let made = controller.ask("POST", "/api/v1/tokens", &session, body).await.json();
            As::Token(made["secret"].as_str().unwrap().to_owned())
        };
        people.push((letter, id, session.clone(), token(Value::Null).await, token(json!([])).await));
    }
    let mut wrong = Vec::new();
    let mut asked = 0;
    let mut expect = |what: &str, method: &str, path: &str, got: Verdict, wanted: Verdict| {
        asked += 1;
        if got != wanted {
            wrong.push(format!("{method} {path} by {what}: {got:?}, not {wanted:?}"));
        }
    };
    let refused = |code: &str| Verdict::Refused(code.into());
    for (method, path, _) in routes() {
        let letters = who(&method, &path).unwrap_or("");
        let public = letters == "-";
        let nobody = if public { Verdict::In } else { Verdict::NotLoggedIn };
        let (m, p) = (method.as_str(), path.as_str());
        expect("nobody", m, p, ask(&controller, m, p, &As::Nobody).await, nobody);
        if m == "GET" && !public {
            expect("nobody", "HEAD", p, ask(&controller, "HEAD", p, &As::Nobody).await, Verdict::NotLoggedIn);
        }
        if public {
            continue;
        }
        let forged = As::Token("vitrail_0_forged".into());
        expect("a forged token", m, p, ask(&controller, m, p, &forged).await, Verdict::NotLoggedIn);
        for (letter, _, session, token, narrow) in &people {
            let wanted = || if letters.contains(*letter) { Verdict::In } else { refused("role") };
            let what = |how: &str| format!("{letter} with {how}");
            if let (As::Session { cookie, .. }, true) = (session, m != "GET") {
                let bare = As::Session { cookie: cookie.clone(), csrf: None };
                expect(&what("no X-CSRF"), m, p, ask(&controller, m, p, &bare).await, refused("csrf"));
            }
            expect(&what("a token"), m, p, ask(&controller, m, p, token).await, wanted());
            let none = if letters.contains(*letter) { refused("token") } else { refused("role") };
            expect(&what("a token for nothing"), m, p, ask(&controller, m, p, narrow).await, none);
            expect(&what("a session"), m, p, ask(&controller, m, p, session).await, wanted());
        }
    }
    for (letter, id, _, token, _) in &people {
        let session = controller.log_in(&format!("{letter}-person")).await;
        let path = format!("/api/v1/accounts/{id}");
        assert_eq!(
            controller.ask("PATCH", &path, &admin, Some(json!({ "enabled": false }))).await.status,
            200
        );
        for (method, path, _) in routes() {
            if who(&method, &path) == Some("-") {
                continue;
            }
            for by in [&session, token] {
                let got = ask(&controller, &method, &path, by).await;
                expect("a disabled account", &method, &path, got, Verdict::NotLoggedIn);
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked > 300, "{asked}");
    println!("{} routes, {asked} requests", routes().len());
}
