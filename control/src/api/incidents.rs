//! Incidents: opened, closed in two steps; and the legal bases that they may name.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{List, Paging, Shared};
use crate::base::{Problem, Result, blocking};
use crate::people::{Caller, Permission};
use crate::rights::{BASES, Closing, Incident, IncidentState, LegalBasis, NewIncident, incidents};

/// Which incidents are asked for.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct IncidentFilter {
    /// Only those in this state.
    state: Option<IncidentState>,
}

/// How an incident is closed.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Close {
    /// Seconds between this warning and the end; 0 ends it at once.
    #[serde(default = "usual_grace")]
    #[schema(minimum = 0, maximum = 600, default = 30)]
    grace_s: u64,
    /// Why it is closed, in the words of whoever does it.
    #[serde(default)]
    reason: Option<String>,
}

fn usual_grace() -> u64 {
    incidents::GRACE_S
}

/// Incidents, the newest first.
#[utoipa::path(
    get,
    path = "/incidents",
    operation_id = "list_incidents",
    tag = "rights",
    extensions(("x-permission" = json!("incident"))),
    params(IncidentFilter, Paging),
    responses((status = 200, description = "Incidents", body = List<Incident>)),
)]
async fn list_incidents(
    State(shared): State<Shared>,
    caller: Caller,
    Query(filter): Query<IncidentFilter>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Incident>>> {
    caller.require(Permission::Incident)?;
    let limit = paging.limit()?;
    let items = blocking(move || {
        let now = shared.db.now();
        shared.db.read(|c| incidents::list(c, filter.state, paging.after.as_deref(), limit + 1, now))
    })
    .await?;
    Ok(Json(List::of(items, limit, |incident| &incident.id)))
}

/// Open an incident: why pictures are needed, on which legal basis, with which reference.
#[utoipa::path(
    post,
    path = "/incidents",
    operation_id = "open_incident",
    tag = "rights",
    extensions(("x-permission" = json!("incident"))),
    request_body = NewIncident,
    responses(
        (status = 201, description = "Opened", body = Incident),
        (status = 422, description = "A field is wrong: the title names it", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn open_incident(
    State(shared): State<Shared>,
    caller: Caller,
    Json(new): Json<NewIncident>,
) -> Result<(StatusCode, Json<Incident>)> {
    caller.require(Permission::Incident)?;
    let incident = blocking(move || incidents::open(&shared.db, &caller.actor, new)).await?;
    Ok((StatusCode::CREATED, Json(incident)))
}

/// An incident.
#[utoipa::path(
    get,
    path = "/incidents/{id}",
    operation_id = "get_incident",
    tag = "rights",
    extensions(("x-permission" = json!("incident"))),
    params(("id" = String, Path, description = "Its id", example = "I-2026-0001")),
    responses(
        (status = 200, description = "The incident", body = Incident),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_incident(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Incident>> {
    caller.require(Permission::Incident)?;
    Ok(Json(blocking(move || shared.db.read(|c| incidents::find(c, &id, shared.db.now()))).await?))
}

/// Close an incident: it ends after the grace, with all that is shown under it, which the answer lists.
/// Those of others need the permission `close-incident`.
#[utoipa::path(
    post,
    path = "/incidents/{id}/close",
    operation_id = "close_incident",
    tag = "rights",
    extensions(("x-permission" = json!("incident"))),
    params(("id" = String, Path, description = "Its id", example = "I-2026-0001")),
    request_body = Close,
    responses(
        (status = 200, description = "Closing, or closed where there is no grace", body = Closing),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is closed", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The grace is too long, or the reason empty", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn close_incident(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(how): Json<Close>,
) -> Result<Json<Closing>> {
    caller.require(Permission::Incident)?;
    let closing = blocking(move || {
        may_close(&shared, &caller, &id)?;
        // Asked before: without grace nothing is left of it after.
        let ends = shared.rights.showings(&id);
        let incident = incidents::close(&shared.db, &caller.actor, &id, how.grace_s, how.reason.as_deref())?;
        Ok(Closing { incident, ends })
    })
    .await?;
    Ok(Json(closing))
}

/// Call the closing of an incident off. Those of others need the permission `close-incident`.
#[utoipa::path(
    post,
    path = "/incidents/{id}/keep",
    operation_id = "keep_incident",
    tag = "rights",
    extensions(("x-permission" = json!("incident"))),
    params(("id" = String, Path, description = "Its id", example = "I-2026-0001")),
    responses(
        (status = 200, description = "Open as before", body = Incident),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is closed, or nobody is closing it", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn keep_incident(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Incident>> {
    caller.require(Permission::Incident)?;
    let incident = blocking(move || {
        may_close(&shared, &caller, &id)?;
        incidents::keep(&shared.db, &caller.actor, &id)
    })
    .await?;
    Ok(Json(incident))
}

/// The legal bases that an incident may name.
#[utoipa::path(
    get,
    path = "/legal-bases",
    operation_id = "list_legal_bases",
    tag = "rights",
    extensions(("x-permission" = json!("incident"))),
    responses((status = 200, description = "All of them", body = Vec<LegalBasis>)),
)]
async fn list_legal_bases(caller: Caller) -> Result<Json<&'static [LegalBasis]>> {
    caller.require(Permission::Incident)?;
    Ok(Json(BASES))
}

fn may_close(shared: &Shared, caller: &Caller, id: &str) -> Result<()> {
    let now = shared.db.now();
    let incident = shared.db.read(|c| incidents::find(c, id, now))?;
    if incident.opened_by == caller.account { Ok(()) } else { caller.require(Permission::CloseIncident) }
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_incidents, open_incident))
        .routes(routes!(get_incident))
        .routes(routes!(close_incident))
        .routes(routes!(keep_incident))
        .routes(routes!(list_legal_bases))
}
