//! Zones and sites.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::layers::nothing;
use crate::api::{List, Paging, Shared};
use crate::base::{Problem, Result, blocking};
use crate::people::{Caller, Permission};
use crate::registry::{Author, NewSite, NewZone, Site, SiteChange, Zone, ZoneChange};

/// The routes of this file.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_zones, add_zone))
        .routes(routes!(get_zone, change_zone, remove_zone))
        .routes(routes!(list_sites, add_site))
        .routes(routes!(get_site, change_site, remove_site))
}

/// Zones in the order of their ids.
#[utoipa::path(
    get,
    path = "/zones",
    operation_id = "list_zones",
    tag = "registry",
    extensions(("x-permission" = json!("read-registry"))),
    params(Paging),
    responses((status = 200, description = "Zones", body = List<Zone>)),
)]
async fn list_zones(
    State(shared): State<Shared>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Zone>>> {
    caller.require(Permission::ReadRegistry)?;
    let limit = paging.limit()?;
    let items = blocking(move || shared.registry()?.zones(paging.after.as_deref(), limit + 1)).await?;
    Ok(Json(List::of(items, limit, |zone| &zone.id)))
}

/// Add a zone: an administrator's work.
#[utoipa::path(
    post,
    path = "/zones",
    operation_id = "add_zone",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    request_body = NewZone,
    responses(
        (status = 201, description = "Added", body = Zone),
        (status = 409, description = "The id is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: see `more.fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn add_zone(
    State(shared): State<Shared>,
    caller: Caller,
    Json(new): Json<NewZone>,
) -> Result<(StatusCode, Json<Zone>)> {
    caller.require(Permission::WriteRegistry)?;
    let zone = blocking(move || shared.registry()?.add_zone(&Author::from(&caller), &new)).await?;
    Ok((StatusCode::CREATED, Json(zone)))
}

/// A zone.
#[utoipa::path(
    get,
    path = "/zones/{id}",
    operation_id = "get_zone",
    tag = "registry",
    extensions(("x-permission" = json!("read-registry"))),
    params(("id" = String, Path, description = "Zone")),
    responses(
        (status = 200, description = "The zone", body = Zone),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_zone(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Zone>> {
    caller.require(Permission::ReadRegistry)?;
    Ok(Json(blocking(move || shared.registry()?.zone(&id)).await?))
}

/// Change name or contact of a zone.
#[utoipa::path(
    patch,
    path = "/zones/{id}",
    operation_id = "change_zone",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    params(("id" = String, Path, description = "Zone")),
    request_body = ZoneChange,
    responses(
        (status = 200, description = "Changed", body = Zone),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: see `more.fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn change_zone(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(change): Json<ZoneChange>,
) -> Result<Json<Zone>> {
    caller.require_for(Permission::WriteRegistry, &id)?;
    Ok(Json(blocking(move || shared.registry()?.change_zone(&Author::from(&caller), &id, &change)).await?))
}

/// Remove a zone that has neither cameras nor sites: an administrator's work.
#[utoipa::path(
    delete,
    path = "/zones/{id}",
    operation_id = "remove_zone",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    params(("id" = String, Path, description = "Zone")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has cameras or sites", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_zone(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    caller.require(Permission::WriteRegistry)?;
    blocking(move || shared.registry()?.remove_zone(&Author::from(&caller), &id)).await?;
    Ok(nothing())
}

/// Which sites are asked for.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SiteFilter {
    /// Only those of this zone.
    zone: Option<String>,
}

/// Sites in the order of their ids.
#[utoipa::path(
    get,
    path = "/sites",
    operation_id = "list_sites",
    tag = "registry",
    extensions(("x-permission" = json!("read-registry"))),
    params(SiteFilter, Paging),
    responses((status = 200, description = "Sites", body = List<Site>)),
)]
async fn list_sites(
    State(shared): State<Shared>,
    caller: Caller,
    Query(of): Query<SiteFilter>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Site>>> {
    caller.require(Permission::ReadRegistry)?;
    let limit = paging.limit()?;
    let sites = move || shared.registry()?.sites(of.zone.as_deref(), paging.after.as_deref(), limit + 1);
    Ok(Json(List::of(blocking(sites).await?, limit, |site| &site.id)))
}

/// Add a site.
#[utoipa::path(
    post,
    path = "/sites",
    operation_id = "add_site",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    request_body = NewSite,
    responses(
        (status = 201, description = "Added", body = Site),
        (status = 409, description = "The id is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: see `more.fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn add_site(
    State(shared): State<Shared>,
    caller: Caller,
    Json(new): Json<NewSite>,
) -> Result<(StatusCode, Json<Site>)> {
    caller.require(Permission::WriteRegistry)?;
    let site = blocking(move || shared.registry()?.add_site(&Author::from(&caller), &new)).await?;
    Ok((StatusCode::CREATED, Json(site)))
}

/// A site.
#[utoipa::path(
    get,
    path = "/sites/{id}",
    operation_id = "get_site",
    tag = "registry",
    extensions(("x-permission" = json!("read-registry"))),
    params(("id" = String, Path, description = "Site")),
    responses(
        (status = 200, description = "The site", body = Site),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_site(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Site>> {
    caller.require(Permission::ReadRegistry)?;
    Ok(Json(blocking(move || shared.registry()?.site(&id)).await?))
}

/// Change a site.
#[utoipa::path(
    patch,
    path = "/sites/{id}",
    operation_id = "change_site",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    params(("id" = String, Path, description = "Site")),
    request_body = SiteChange,
    responses(
        (status = 200, description = "Changed", body = Site),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: see `more.fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn change_site(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(change): Json<SiteChange>,
) -> Result<Json<Site>> {
    caller.require(Permission::WriteRegistry)?;
    Ok(Json(blocking(move || shared.registry()?.change_site(&Author::from(&caller), &id, &change)).await?))
}

/// Remove a site that has no cameras.
#[utoipa::path(
    delete,
    path = "/sites/{id}",
    operation_id = "remove_site",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    params(("id" = String, Path, description = "Site")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has cameras", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_site(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    caller.require(Permission::WriteRegistry)?;
    blocking(move || shared.registry()?.remove_site(&Author::from(&caller), &id)).await?;
    Ok(nothing())
}
