//! Zones, sites and cameras over HTTP.

mod cameras;
mod discovery;
mod import;
mod ptz;
mod zones;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;

use super::Shared;
use crate::base::{Kind, Problem, Result};
use crate::registry::Camera;

/// The routes of this folder.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(zones::routes())
        .merge(cameras::routes())
        .merge(import::routes())
        .merge(discovery::routes())
        .merge(ptz::routes())
}

/// The object of a body. What it holds may be a password: no message of a parser is shown.
fn object(body: &[u8]) -> Result<Map<String, Value>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::invalid("body", "must be an object")),
        Err(e) => {
            let place = format!("is no JSON: line {}, column {}", e.line(), e.column());
            Err(Problem::new(Kind::Malformed, "body", place))
        }
    }
}

/// The version of `If-Match`, else of the body.
fn version(headers: &HeaderMap, said: &Map<String, Value>) -> Result<Option<i64>> {
    let wrong =
        || Problem::new(Kind::Malformed, "version", "is a whole number, as the ETag of the camera in quotes");
    if let Some(value) = headers.get(header::IF_MATCH) {
        let text = value.to_str().map_err(|_| wrong())?;
        return text.trim().trim_matches('"').parse().map(Some).map_err(|_| wrong());
    }
    match said.get("version") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(wrong),
    }
}

/// A camera with its version as ETag.
fn with_version(status: StatusCode, camera: &Camera) -> Response {
    let tag = format!("\"{}\"", camera.version);
    (status, [(header::ETAG, tag)], axum::Json(camera)).into_response()
}
