//! What every request passes through: its number, the clock, the counters, the limits, the headers
//! of its answer; and every error leaves as problem+json, whoever made it.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRequestParts, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use serde_json::Value;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::OpenApi;

use super::Shared;
use crate::base::{Kind, Problem};
use crate::people::{Caller, Permission};

/// Bytes of a body where its route says nothing else.
const BODY: usize = 1 << 20;
/// How long an answer may take to begin.
const ANSWER: Duration = Duration::from_secs(120);
/// Bytes of the plain text of an error that are kept as its detail.
const DETAIL: usize = 4096;
/// The number of a request: on its answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Nothing from another server, nobody's frame, no script but the page's own files. Map and video
/// libraries run their workers from blobs.
const CONTENT_SECURITY: &str = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
     connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

/// Puts the layers around all routes.
pub(super) fn around(router: Router<Shared>, shared: &Shared) -> Router<Shared> {
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(
        |_: StatusCode, _: axum::http::Version, headers: &HeaderMap, _: &axum::http::Extensions| {
            worth_it(headers)
        },
    );
    router
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(shared.clone(), pass))
        .layer(compression)
}

/// Text that is whole: not pictures, not streams of events, which must leave at once.
fn worth_it(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    matches!(
        kind,
        "application/json"
            | "application/geo+json"
            | "text/csv"
            | "text/html"
            | "text/css"
            | "text/javascript"
            | "application/javascript"
            | "image/svg+xml"
            | "application/manifest+json"
    )
}

/// What each route asks for, by `x-permission` of its documentation: checked before a handler reads
/// anything of the request. The handler checks again, with the zone where there is one.
pub(super) struct Guard {
    shared: Shared,
    needs: HashMap<(String, Method), Needs>,
}

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Needs {
    Nothing,
    Login,
    Permission(Permission),
}

impl Guard {
    /// The guard of the routes of this document, whose paths are full.
    pub(super) fn new(shared: Shared, document: &mut OpenApi) -> Arc<Guard> {
        let mut needs = HashMap::new();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in super::openapi::operations(item) {
                let said = operation.extensions.as_ref().and_then(|e| e.get("x-permission")).cloned();
                let need = match said {
                    Some(Value::Null) => Needs::Nothing,
                    Some(word) => serde_json::from_value(word).map_or(Needs::Login, Needs::Permission),
                    None => Needs::Login,
                };
                if let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) {
                    needs.insert((path.clone(), method), need);
                }
            }
        }
        Arc::new(Guard { shared, needs })
    }

    /// Puts the guard before these routes.
    pub(super) fn before(self: Arc<Self>, router: Router<Shared>) -> Router<Shared> {
        router.layer(from_fn_with_state(self, guard))
    }
}

async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    // What is not documented is no route: the router says so.
    let need = guard.needs.get(&(path, method)).copied().unwrap_or(Needs::Nothing);
    if need == Needs::Nothing {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let allowed = Caller::from_request_parts(&mut parts, &guard.shared).await.and_then(|caller| match need {
        Needs::Permission(permission) => caller.require(permission),
        _ => Ok(()),
    });
    match allowed {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn pass(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let began = shared.db.clock().now();
    let number = shared.monitor.next_request();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("page", MatchedPath::as_str).to_owned();
    // The address with its query stays out of the log: it may hold what nobody else should read.
    tracing::trace!(request = %number, %method, route, "request");
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match tokio::time::timeout(ANSWER, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            Problem::internal("request", format!("ended early; its number is {number}")).into_response()
        }
        Err(_) => {
            let text = "took too long; what it was to change may still be changed";
            Problem::new(Kind::Unavailable, "request", text).into_response()
        }
    };
    response = problem_of(response).await;
    let status = response.status();
    put_headers(response.headers_mut(), status, shared.people.settings().secure, &number);
    let took = shared.db.clock().now().since(began);
    shared.monitor.answered(&method, &route, status, took);
    let ms = took.as_millis() as u64;
    if status.is_server_error() {
        tracing::warn!(request = %number, %method, route, status = status.as_u16(), ms, "answered");
    } else {
        tracing::debug!(request = %number, %method, route, status = status.as_u16(), ms, "answered");
    }
    response
}

/// An error that is no problem+json yet (of the router, of an extractor) becomes one.
async fn problem_of(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !is_error || kind.is_some_and(|kind| kind == "application/problem+json") {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, DETAIL).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let (kind, title, usual) = match status {
        StatusCode::UNAUTHORIZED => (Kind::NotLoggedIn, "login", "log in first"),
        StatusCode::FORBIDDEN => (Kind::Refused, "request", "this may not be done"),
        StatusCode::NOT_FOUND => (Kind::NotFound, "address", "there is nothing at this address"),
        StatusCode::METHOD_NOT_ALLOWED => (Kind::WrongMethod, "method", "not with this method; see Allow"),
        StatusCode::CONFLICT => (Kind::Conflict, "request", "what is there now speaks against it"),
        StatusCode::PAYLOAD_TOO_LARGE => (Kind::TooLarge, "body", "is larger than this address takes"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (Kind::WrongFormat, "body", "send another Content-Type"),
        StatusCode::UNPROCESSABLE_ENTITY => (Kind::Invalid, "body", "is understood, and wrong in itself"),
        StatusCode::TOO_MANY_REQUESTS => (Kind::TooOften, "request", "too often"),
        StatusCode::SERVICE_UNAVAILABLE => (Kind::Unavailable, "request", "cannot be done now"),
        _ if status.is_server_error() => (Kind::Internal, "request", "failed"),
        _ => (Kind::Malformed, "request", "cannot be understood"),
    };
    let detail = if text.is_empty() || status.is_server_error() { usual } else { text.trim() };
    let mut problem = Problem::new(kind, title, detail).into_response();
    for (name, value) in &parts.headers {
        if !matches!(*name, header::CONTENT_TYPE | header::CONTENT_LENGTH) {
            problem.headers_mut().append(name, value.clone());
        }
    }
    problem
}

fn put_headers(headers: &mut HeaderMap, status: StatusCode, secure: bool, number: &str) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if secure {
        // One year; without subdomains, which are not ours to speak for.
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(number) = HeaderValue::from_str(number) {
        headers.insert(REQUEST_ID, number);
    }
}

/// An answer without a body.
pub(super) fn nothing() -> Response {
    (StatusCode::NO_CONTENT, Body::empty()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_handler_that_fails_is_answered_and_the_next_one_is_served() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = vitrail_engine::base::SimClock::new();
        let db =
            crate::db::Database::open(&folder.path().join("db"), Default::default(), clock).expect("opens");
        let shared: Shared = Arc::new(super::super::Control::new(db, Default::default()).expect("starts"));
        async fn fails() -> &'static str {
            panic!("on purpose")
        }
        let routes =
            Router::new().route("/fails", get(fails)).route("/big", get(async || "x".repeat(10_000)));
        let router = around(routes, &shared).with_state(shared);
        let ask = async |path: &str, gzip: bool| {
            let mut request = Request::builder().uri(path);
            if gzip {
                request = request.header("accept-encoding", "gzip");
            }
            router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer")
        };
        let failed = ask("/fails", true).await;
        assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(failed.headers()[header::CONTENT_TYPE], "application/problem+json");
        let text = to_bytes(failed.into_body(), 10_000).await.expect("a body");
        assert!(
            !String::from_utf8_lossy(&text).contains("on purpose"),
            "what went wrong inside stays inside"
        );
        let served = ask("/big", true).await;
        assert_eq!(served.status(), StatusCode::OK);
        assert!(!served.headers().contains_key(header::CONTENT_ENCODING), "plain text is none of ours");
    }

    #[test]
    fn whole_text_is_packed_and_pictures_and_event_streams_are_not() {
        let packed = |kind: &'static str| {
            worth_it(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]))
        };
        assert!(packed("application/json") && packed("text/html; charset=utf-8") && packed("text/csv"));
        for kind in ["text/event-stream", "image/jpeg", "application/sdp", "multipart/x-mixed-replace"] {
            assert!(!packed(kind), "{kind}");
        }
    }
}
