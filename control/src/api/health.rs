//! Whether the process is up, and whether it can do its work: for supervisors and load balancers.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use crate::base::{Kind, Problem, Result, blocking};

/// How long it is believed that the database could be written: who asks costs no disk.
const BELIEVED: Duration = Duration::from_secs(5);

/// Is well.
#[derive(Serialize, ToSchema)]
#[schema(as = Well)]
struct Healthy {
    /// `ok`.
    status: &'static str,
}

/// The process is up.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "monitoring",
    extensions(("x-permission" = json!(null))),
    security(()),
    responses((status = 200, description = "It is up", body = Healthy)),
)]
async fn healthz() -> Json<Healthy> {
    Json(Healthy { status: "ok" })
}

/// The controller can do its work: the database and the log can be written, the wall runs.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "monitoring",
    extensions(("x-permission" = json!(null))),
    security(()),
    responses(
        (status = 200, description = "It can", body = Healthy),
        (status = 503, description = "It cannot: `more` says what is wrong", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn readyz(State(shared): State<Shared>) -> Result<Json<Healthy>> {
    let wrong = blocking(move || {
        let mut wrong = serde_json::Map::new();
        let checks = shared.monitor.checks();
        for (name, answer) in checks.into_iter().chain([("database", database(&shared))]) {
            if let Err(text) = answer {
                wrong.insert(name.into(), json!(text));
            }
        }
        Ok(wrong)
    })
    .await?;
    if wrong.is_empty() {
        return Ok(Json(Healthy { status: "ok" }));
    }
    let names: Vec<&str> = wrong.keys().map(String::as_str).collect();
    let text = format!("not ready: {}", names.join(", "));
    Err(Problem::new(Kind::Unavailable, "controller", text).code("not-ready").more(wrong.into()))
}

/// Writes to the database, every few seconds at most.
fn database(shared: &Shared) -> std::result::Result<(), String> {
    let mut written = shared.monitor.written.lock();
    let now = shared.db.clock().now();
    if let Some((at, answer)) = &*written
        && now.since(*at) < BELIEVED
    {
        return answer.clone();
    }
    let answer = shared.db.try_writing().map_err(|_| "cannot be written".to_owned());
    *written = Some((now, answer.clone()));
    answer
}

/// The routes of this file, at their full paths.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}
