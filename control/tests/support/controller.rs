//! A controller over a real database file and a clock that tests move, asked through its router.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;
use vitrail_control::api::{Control, Shared, router};
use vitrail_control::audit::{Actor, Ledger};
use vitrail_control::db::Database;
use vitrail_control::people::{LoginOrigin, NewAccount, Password, Role, Settings};
use vitrail_control::registry::{Author, KeySource, NewZone, Registry};
use vitrail_engine::base::SimClock;

/// A password that is good enough.
pub const PASSWORD: &str = "correct horse battery";

/// A controller.
pub struct TestController {
    pub clock: Arc<SimClock>,
    pub shared: Shared,
    pub router: Router,
    pub folder: tempfile::TempDir,
}

/// With what a request is sent.
#[derive(Clone, Debug, Default)]
pub enum As {
    /// Without a login.
    #[default]
    Nobody,
    /// A browser: cookie, and `csrf` where there is one.
    Session { cookie: String, csrf: Option<String> },
    /// A program.
    Token(String),
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
    /// The status, and the word of a problem; a problem must be one.
    pub fn code(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16(), "{self:?}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{self:?}");
        (self.status.as_u16(), problem["code"].as_str().unwrap_or_default().to_owned())
    }
}

impl TestController {
    pub fn new() -> TestController {
        TestController::with(Settings::default())
    }

    pub fn with(settings: Settings) -> TestController {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = SimClock::new();
        // A day after the epoch, so that times before now exist.
        clock.advance(std::time::Duration::from_secs(86400));
        let db = Database::open(&folder.path().join("vitrail.db"), Ledger::default(), clock.clone())
            .expect("opens");
        let key = KeySource::File(folder.path().join("credentials"));
        let registry = Arc::new(Registry::open(db.clone(), &key).expect("opens"));
        let shared = Arc::new(Control::new(db, settings).expect("starts").with_registry(registry));
        TestController { router: router(shared.clone()), clock, shared, folder }
    }

    /// Sends a request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("answers");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 24).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// Sends a request as somebody, with a JSON body where there is one.
    pub async fn ask(&self, method: &str, path: &str, by: &As, body: Option<Value>) -> Answer {
        self.send(request(method, path, by, body)).await
    }

    /// A zone that the registry has.
    pub fn zone(&self, id: &str) -> String {
        let registry = self.shared.registry().expect("one");
        if registry.zone(id).is_err() {
            let new = NewZone { id: id.to_owned(), name: None, contact: None };
            registry.add_zone(&Author::system(), &new).expect("added");
        }
        id.to_owned()
    }

    /// Adds an account of `role` named `name`; its id.
    pub async fn account(&self, name: &str, role: Role) -> String {
        let zones = if role == Role::ZoneAuthority { vec![self.zone("north")] } else { Vec::new() };
        let new = json!({ "name": name, "role": role, "zones": zones, "password": PASSWORD });
        let new: NewAccount = serde_json::from_value(new).expect("an account");
        self.shared.people.add_account(new, Actor::system()).await.expect("added").id
    }

    /// Logs an account in.
    pub async fn log_in(&self, name: &str) -> As {
        let who = LoginOrigin::default();
        let login = self.shared.people.log_in(name, Password::new(PASSWORD), who).await.expect("logged in");
        let csrf = vitrail_control::people::secret::csrf(&login.secret);
        As::Session { cookie: login.secret.to_string(), csrf: Some(csrf) }
    }

    /// An account of `role`, logged in.
    pub async fn person(&self, name: &str, role: Role) -> As {
        self.account(name, role).await;
        self.log_in(name).await
    }

    /// The records of a kind, oldest first.
    pub fn records(&self, kind: &str) -> Vec<Value> {
        let read = |c: &rusqlite::Connection| {
            let mut statement = c.prepare("SELECT body FROM audit WHERE kind = ?1 ORDER BY seq")?;
            let rows = statement.query_map([kind], |row| row.get::<_, String>(0))?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        };
        let bodies = self.shared.db.read(read).expect("read");
        bodies.iter().map(|body| serde_json::from_str(body).expect("JSON")).collect()
    }

    /// Whether any file of the database holds this text.
    pub fn is_stored(&self, text: &str) -> bool {
        let files = std::fs::read_dir(self.folder.path()).expect("a folder");
        files
            .map(|file| std::fs::read(file.expect("a file").path()).expect("readable"))
            .any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

/// A request as somebody, with a JSON body where there is one.
pub fn request(method: &str, path: &str, by: &As, body: Option<Value>) -> Request<Body> {
    let mut request =
        Request::builder().method(Method::from_bytes(method.as_bytes()).expect("a method")).uri(path);
    match by {
        As::Nobody => {}
        As::Session { cookie, csrf } => {
            request = request.header(header::COOKIE, format!("vitrail_session={cookie}"));
            if let Some(csrf) = csrf {
                request = request.header("x-csrf", csrf);
            }
        }
        As::Token(token) => request = request.header(header::AUTHORIZATION, format!("Bearer {token}")),
    }
    match body {
        Some(body) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request"),
        None => request.body(Body::empty()).expect("a request"),
    }
}
