//! Sign-on against a provider on loopback that answers as it is told: right, or wrong in one way.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::{Signer, SigningKey};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Answer, As, TestController};
use vitrail_control::people::oidc::Settings as Oidc;
use vitrail_control::people::{Role, Settings};

/// How the provider's ID token differs from a right one.
type Twist = Arc<dyn Fn(&mut Value, &mut Value) + Send + Sync>;

/// A provider whose keys and answers the test holds.
struct Provider {
    base: String,
    key: SigningKey,
    twist: Mutex<Option<Twist>>,
    /// Signs with another key than it publishes.
    forged: Mutex<bool>,
    /// Nonce and challenge of each code that it gave.
    codes: Mutex<HashMap<String, (String, String)>>,
}

impl Provider {
    async fn start() -> Arc<Provider> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Arc::new(Provider {
            base: format!("http://{}", listener.local_addr().unwrap()),
            key: SigningKey::from_bytes(&[7; 32]),
            twist: Mutex::default(),
            forged: Mutex::default(),
            codes: Mutex::default(),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        provider
    }

    /// What the provider does when a person logs in at `url`: a code, and the state as it came.
    fn log_in(&self, url: &str) -> (String, String) {
        let url: url::Url = url.parse().unwrap();
        let sent: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((sent["response_type"].as_str(), sent["client_id"].as_str()), ("code", "vitrail"));
        assert_eq!(sent["code_challenge_method"], "S256");
        assert!(sent["scope"].split(' ').any(|scope| scope == "openid"));
        let mut codes = self.codes.lock();
        let code = format!("code-{}", codes.len());
        codes.insert(code.clone(), (sent["nonce"].clone(), sent["code_challenge"].clone()));
        (code, sent["state"].clone())
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let body = format!("{}.{}", part(header), part(claims));
        let other = SigningKey::from_bytes(&[8; 32]);
        let key = if *self.forged.lock() { &other } else { &self.key };
        let signature = key.sign(body.as_bytes()).to_bytes();
        format!("{body}.{}", Base64UrlUnpadded::encode_string(&signature))
    }
}

async fn describe(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let base = &provider.base;
    Json(json!({
        "issuer": base, "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"), "jwks_uri": format!("{base}/keys"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

async fn keys(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let x = Base64UrlUnpadded::encode_string(provider.key.verifying_key().as_bytes());
    Json(
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "k", "alg": "EdDSA", "x": x }] }),
    )
}

async fn token(State(provider): State<Arc<Provider>>, form: String) -> (axum::http::StatusCode, Json<Value>) {
    let sent: HashMap<String, String> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let given = provider.codes.lock().remove(&sent["code"]);
    let challenge = Base64UrlUnpadded::encode_string(&Sha256::digest(sent["code_verifier"].as_bytes()));
    let Some((nonce, _)) = given.filter(|(_, asked)| *asked == challenge) else {
        return (axum::http::StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut header = json!({ "alg": "EdDSA", "kid": "k", "typ": "JWT" });
    let mut claims = json!({
        "iss": provider.base, "aud": "vitrail", "sub": "subject-1", "nonce": nonce, "iat": now, "exp": now + 300,
        "preferred_username": "anna", "groups": ["staff", "watch"],
    });
    if let Some(twist) = &*provider.twist.lock() {
        twist(&mut header, &mut claims);
    }
    let id_token = provider.sign(&header, &claims);
    let answer =
        json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": id_token });
    (axum::http::StatusCode::OK, Json(answer))
}

fn settings(provider: &Provider, more: Value) -> Settings {
    let mut oidc = json!({
        "issuer": provider.base, "client_id": "vitrail",
        "redirect": "http://wall.example/api/v1/oidc/callback",
    });
    oidc.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let oidc: Oidc = serde_json::from_value(oidc).unwrap();
    Settings { oidc: Some(oidc), ..Settings::default() }
}

fn mapped() -> Value {
    json!({ "provision": true, "roles": [
        { "claim": "groups", "value": "boss", "role": "supervisor", "unit": "hq" },
        { "claim": "groups", "value": "watch", "role": "operator", "unit": "hq" },
    ] })
}

/// A browser that goes to the provider: where it was sent, and its cookie.
async fn go(controller: &TestController) -> (String, String) {
    let answer = controller.ask("GET", "/api/v1/oidc/start", &As::Nobody, None).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.header("set-cookie");
    for part in ["vitrail_sign_on=", "; HttpOnly", "; SameSite=Lax", "; Path=/api/v1/oidc"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    (answer.header("location").to_owned(), cookie.split(';').next().unwrap().to_owned())
}

/// The browser comes back.
async fn back(controller: &TestController, cookie: &str, query: &str) -> Answer {
    let request =
        axum::http::Request::builder().uri(format!("/api/v1/oidc/callback?{query}")).header("cookie", cookie);
    controller.send(request.body(axum::body::Body::empty()).unwrap()).await
}

/// The whole way.
async fn sign_on(controller: &TestController, provider: &Provider) -> Answer {
    let (url, cookie) = go(controller).await;
    let (code, state) = provider.log_in(&url);
    back(controller, &cookie, &format!("code={code}&state={state}")).await
}

fn session(answer: &Answer) -> As {
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"), "{answer:?}");
    let cookies = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let cookie = cookies.filter_map(|c| c.strip_prefix("vitrail_session=")).next().unwrap();
    As::Session { cookie: cookie.split(';').next().unwrap().to_owned(), csrf: None }
}

#[tokio::test]
async fn whom_the_provider_names_is_logged_in_with_the_role_that_its_claims_give() {
    let provider = Provider::start().await;
    let controller = TestController::with(settings(&provider, mapped()));
    let first = sign_on(&controller, &provider).await;
    let me = controller.ask("GET", "/api/v1/me", &session(&first), None).await.json();
    assert_eq!((&me["name"], &me["role"], &me["unit"]), (&json!("anna"), &json!("operator"), &json!("hq")));
    *provider.twist.lock() = Some(Arc::new(|_, claims| claims["groups"] = json!(["boss"])));
    let second = sign_on(&controller, &provider).await;
    let now = controller.ask("GET", "/api/v1/me", &session(&second), None).await.json();
    assert_eq!(
        (&now["account"], &now["role"]),
        (&me["account"], &json!("supervisor")),
        "as the provider says now"
    );
    let before = controller.ask("GET", "/api/v1/me", &session(&first), None).await;
    assert_eq!(before.status, 401, "another role ends the logins before");
    *provider.twist.lock() = Some(Arc::new(|_, claims| claims["groups"] = json!(["gone"])));
    assert_eq!(sign_on(&controller, &provider).await.code(), (403, "oidc-role".into()));
    let how = |record: &Value| record["event"]["details"]["how"].clone();
    assert_eq!(controller.records("login.succeeded").iter().map(how).collect::<Vec<_>>(), ["oidc", "oidc"]);
    assert_eq!(controller.records("login.refused")[0]["event"]["reason"], "oidc-role");
}

#[tokio::test]
async fn answers_that_do_not_hold_let_nobody_in() {
    let provider = Provider::start().await;
    let twists: [(&str, Twist); 8] = [
        ("nonce", Arc::new(|_, claims| claims["nonce"] = json!("another"))),
        (
            "no nonce",
            Arc::new(|_, claims| {
                claims.as_object_mut().unwrap().remove("nonce");
            }),
        ),
        ("expired", Arc::new(|_, claims| claims["exp"] = json!(claims["iat"].as_u64().unwrap() - 60))),
        ("audience", Arc::new(|_, claims| claims["aud"] = json!("another"))),
        ("audiences", Arc::new(|_, claims| claims["aud"] = json!(["vitrail", "another"]))),
        ("issuer", Arc::new(|_, claims| claims["iss"] = json!("http://127.0.0.1:1"))),
        ("unsigned", Arc::new(|header, _| header["alg"] = json!("none"))),
        ("by a shared secret", Arc::new(|header, _| header["alg"] = json!("HS256"))),
    ];
    for (what, twist) in twists {
        let controller = TestController::with(settings(&provider, mapped()));
        *provider.twist.lock() = Some(twist);
        let refused = sign_on(&controller, &provider).await;
        assert_eq!(refused.code(), (401, "sign-on".into()), "{what}");
        assert!(refused.headers.get("set-cookie").is_none(), "{what}");
        assert_eq!(controller.records("login.refused")[0]["event"]["reason"], "oidc-token", "{what}");
        *provider.twist.lock() = None;
        session(&sign_on(&controller, &provider).await);
    }
    let controller = TestController::with(settings(&provider, mapped()));
    *provider.forged.lock() = true;
    assert_eq!(sign_on(&controller, &provider).await.code(), (401, "sign-on".into()), "another key");
}

#[tokio::test]
async fn a_way_back_belongs_to_one_browser_and_one_sign_on() {
    let provider = Provider::start().await;
    let controller = TestController::with(settings(&provider, mapped()));
    let refused = (401, "sign-on".to_owned());
    let (url, cookie) = go(&controller).await;
    let (code, state) = provider.log_in(&url);
    let right = format!("code={code}&state={state}");
    assert_eq!(back(&controller, "a=b", &right).await.code(), refused, "another browser");
    let person = axum::http::Request::builder().uri(format!("/api/v1/oidc/callback?{right}"));
    let person = person.header("cookie", "a=b").header("accept", "text/html,*/*;q=0.8");
    let led = controller.send(person.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!((led.status.as_u16(), led.header("location")), (303, "/#/sign-on/sign-on"), "to the page");
    assert!(led.headers.get("set-cookie").is_none());
    let (_, others) = go(&controller).await;
    assert_eq!(back(&controller, &others, &right).await.code(), refused, "another sign-on's state");
    assert_eq!(controller.records("login.refused")[0]["event"]["reason"], "oidc-state");
    session(&back(&controller, &cookie, &right).await);
    assert_eq!(back(&controller, &cookie, &right).await.code(), refused, "once");
    let (url, cookie) = go(&controller).await;
    let (_, state) = provider.log_in(&url);
    assert_eq!(back(&controller, &cookie, &format!("code=invented&state={state}")).await.code(), refused);
    let (url, cookie) = go(&controller).await;
    let (_, state) = provider.log_in(&url);
    assert_eq!(
        back(&controller, &cookie, &format!("error=access_denied&state={state}")).await.code(),
        refused
    );
    let (url, cookie) = go(&controller).await;
    let (code, state) = provider.log_in(&url);
    controller.clock.advance(Duration::from_secs(600));
    assert_eq!(
        back(&controller, &cookie, &format!("code={code}&state={state}")).await.code(),
        refused,
        "too late"
    );
}

#[tokio::test]
async fn without_provisioning_an_administrator_adds_the_account_first() {
    let provider = Provider::start().await;
    let controller = TestController::with(settings(&provider, json!({})));
    assert_eq!(sign_on(&controller, &provider).await.code(), (403, "oidc-unknown".into()));
    let admin = controller.person("root", Role::Administrator).await;
    // Of the same name, and not the same person: nobody is taken for another by name.
    controller.account("anna", Role::Supervisor).await;
    assert_eq!(sign_on(&controller, &provider).await.code(), (403, "oidc-unknown".into()));
    let new = json!({ "name": "anna.oidc", "role": "auditor", "subject": "subject-1" });
    let added = controller.ask("POST", "/api/v1/accounts", &admin, Some(new)).await;
    assert_eq!((added.status.as_u16(), &added.json()["local"]), (201, &json!(false)));
    let me = controller
        .ask("GET", "/api/v1/me", &session(&sign_on(&controller, &provider).await), None)
        .await
        .json();
    assert_eq!((&me["name"], &me["role"]), (&json!("anna.oidc"), &json!("auditor")));
    let by_password = Some(json!({ "name": "anna.oidc", "password": support::PASSWORD }));
    assert_eq!(
        controller.ask("POST", "/api/v1/login", &As::Nobody, by_password).await.status,
        401,
        "has no password"
    );
    let path = format!("/api/v1/accounts/{}", added.json()["id"].as_str().unwrap());
    assert_eq!(controller.ask("PATCH", &path, &admin, Some(json!({ "enabled": false }))).await.status, 200);
    assert_eq!(sign_on(&controller, &provider).await.code(), (401, "wrong-login".into()), "disabled");
}

#[tokio::test]
async fn without_a_provider_there_is_no_sign_on() {
    let controller = TestController::new();
    assert_eq!(
        controller.ask("GET", "/api/v1/oidc/start", &As::Nobody, None).await.code(),
        (404, "no-oidc".into())
    );
    assert_eq!(back(&controller, "a=b", "code=c&state=s").await.code(), (404, "no-oidc".into()));
    assert_eq!(controller.ask("GET", "/api/v1/setup", &As::Nobody, None).await.json()["sign_on"], false);
    let oidc =
        json!({ "issuer": "http://127.0.0.1:9", "client_id": "vitrail", "redirect": "http://x.example/" });
    let settings = Settings { oidc: Some(serde_json::from_value(oidc).unwrap()), ..Settings::default() };
    let controller = TestController::with(settings);
    assert_eq!(controller.ask("GET", "/api/v1/setup", &As::Nobody, None).await.json()["sign_on"], true);
    let silent = controller.ask("GET", "/api/v1/oidc/start", &As::Nobody, None).await;
    assert_eq!(silent.code(), (503, "oidc-provider".into()));
}
