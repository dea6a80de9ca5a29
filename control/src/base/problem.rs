//! The one error type of the control plane; on the wire it is problem+json (RFC 9457).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The result of everything that can fail here.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// What kind of problem: it decides the HTTP status, and programs may rely on its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// 400: what was sent cannot be understood.
    Malformed,
    /// 401: nobody is logged in, or the login is wrong.
    NotLoggedIn,
    /// 403: this role may not, or the policy refuses.
    Refused,
    /// 404: there is no such thing.
    NotFound,
    /// 405: not with this method; `Allow` names those that go.
    WrongMethod,
    /// 409: what is there now speaks against it: another one was quicker, a state that does not allow it.
    Conflict,
    /// 413: more than is taken.
    TooLarge,
    /// 415: not in this format; `Content-Type` says which one was sent.
    WrongFormat,
    /// 422: it is understood, and wrong in itself.
    Invalid,
    /// 428: say with If-Match what it was made from.
    NeedsVersion,
    /// 429: too often; `Retry-After` says when again.
    TooOften,
    /// 500: our fault.
    Internal,
    /// 503: cannot be done now, such as when the audit log cannot be written.
    Unavailable,
    /// 504: a device did not answer.
    DeviceSilent,
}

impl Kind {
    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Kind::Malformed => StatusCode::BAD_REQUEST,
            Kind::NotLoggedIn => StatusCode::UNAUTHORIZED,
            Kind::Refused => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::WrongFormat => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::NeedsVersion => StatusCode::PRECONDITION_REQUIRED,
            Kind::TooOften => StatusCode::TOO_MANY_REQUESTS,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::DeviceSilent => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// What is wrong, for the person who can act on it. Never holds a credential (invariant 7).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// What kind, by name.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The HTTP status.
    pub status: u16,
    /// What it is about: a camera, a field, a file.
    pub title: String,
    /// What is wrong and what to do.
    pub detail: String,
    /// The reason as a word, where programs and translations need one (`agreement-suspended`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// More, by kind: the present state after a conflict, the fields that are wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub more: Option<Box<serde_json::Value>>,
    /// Seconds after which to try again.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem of a kind: what it is about, and what is wrong and what to do.
    pub fn new(kind: Kind, title: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem {
            kind,
            status: kind.status().as_u16(),
            title: title.into(),
            detail: detail.into(),
            code: None,
            more: None,
            retry_after: None,
        }
    }
    /// There is no such thing.
    pub fn not_found(what: impl Into<String>) -> Problem {
        Problem::new(Kind::NotFound, what, "there is no such thing, or you may not know of it")
    }
    /// A value that is wrong in itself.
    pub fn invalid(what: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem::new(Kind::Invalid, what, detail)
    }
    /// The role or the policy does not allow it.
    pub fn refused(what: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem::new(Kind::Refused, what, detail)
    }
    /// What is there now speaks against it.
    pub fn conflict(what: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem::new(Kind::Conflict, what, detail)
    }
    /// Our fault.
    pub fn internal(what: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem::new(Kind::Internal, what, detail)
    }
    /// With the reason as a word.
    pub fn code(mut self, code: impl Into<String>) -> Problem {
        self.code = Some(code.into());
        self
    }
    /// With more for programs.
    pub fn more(mut self, more: serde_json::Value) -> Problem {
        self.more = Some(Box::new(more));
        self
    }
    /// To be tried again after so many seconds.
    pub fn retry_after(mut self, seconds: u64) -> Problem {
        self.retry_after = Some(seconds);
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.kind == Kind::Internal {
            tracing::error!("{self}");
        }
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response =
            (self.kind.status(), [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Problem {
        use rusqlite::ErrorCode::*;
        match error.sqlite_error_code() {
            Some(DiskFull | ReadOnly | SystemIoFailure | CannotOpen | DatabaseBusy | DatabaseLocked) => {
                Problem::new(Kind::Unavailable, "database", format!("cannot be written now: {error}"))
            }
            _ => match &error {
                // A trigger says in plain words what is to be kept.
                rusqlite::Error::SqliteFailure(code, Some(why))
                    if code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER =>
                {
                    Problem::conflict("database", why.clone()).code("kept")
                }
                _ => Problem::internal("database", error.to_string()),
            },
        }
    }
}

impl From<vitrail_engine::Error> for Problem {
    fn from(error: vitrail_engine::Error) -> Problem {
        let kind = match error.kind() {
            vitrail_engine::ErrorKind::Config => Kind::Invalid,
            _ => Kind::Unavailable,
        };
        Problem::new(kind, error.subject().to_owned(), error.message().to_owned())
    }
}
