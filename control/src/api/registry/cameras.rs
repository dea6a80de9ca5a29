//! Cameras, found and changed; their credentials, written and never read.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vitrail_engine::base::Login;

use super::{object, version, with_version};
use crate::api::layers::nothing;
use crate::api::{List, Paging, Shared};
use crate::base::{Problem, Result, blocking};
use crate::people::{Caller, Permission};
use crate::registry::{Author, Camera, CameraInput, MapEntry, Search};

/// The routes of this file.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_cameras, add_camera))
        .routes(routes!(map_of_cameras))
        .routes(routes!(get_camera, change_camera, remove_camera))
        .routes(routes!(set_credentials, remove_credentials))
}

/// Cameras in the order of their ids, all of them or those that are looked for.
#[utoipa::path(
    get,
    path = "/cameras",
    operation_id = "list_cameras",
    tag = "registry",
    extensions(("x-permission" = json!("read-registry"))),
    params(Search, Paging),
    responses((status = 200, description = "Cameras", body = List<Camera>)),
)]
async fn list_cameras(
    State(shared): State<Shared>,
    caller: Caller,
    Query(search): Query<Search>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Camera>>> {
    caller.require(Permission::ReadRegistry)?;
    let limit = paging.limit()?;
    let found = move || shared.registry()?.search(&search, paging.after.as_deref(), limit + 1);
    Ok(Json(List::of(blocking(found).await?, limit, |camera| &camera.id)))
}

/// Add a camera. A login in an address is stored as its credentials.
#[utoipa::path(
    post,
    path = "/cameras",
    operation_id = "add_camera",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    request_body = CameraInput,
    responses(
        (status = 201, description = "Added; `ETag` is its version", body = Camera, headers(("ETag" = String))),
        (status = 409, description = "The id is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: see `more.fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn add_camera(State(shared): State<Shared>, caller: Caller, body: Bytes) -> Result<Response> {
    caller.require(Permission::WriteRegistry)?;
    let said = object(&body)?;
    let camera = blocking(move || shared.registry()?.add_camera(&Author::from(&caller), &said)).await?;
    Ok(with_version(StatusCode::CREATED, &camera))
}

/// Every camera that has a place: `[[id, name, latitude, longitude, zone], …]`.
#[utoipa::path(
    get,
    path = "/cameras/map",
    operation_id = "map_of_cameras",
    tag = "registry",
    extensions(("x-permission" = json!("read-registry"))),
    responses((status = 200, description = "All cameras with a place, in the order of their ids", body = Vec<MapEntry>)),
)]
async fn map_of_cameras(State(shared): State<Shared>, caller: Caller) -> Result<Json<Vec<MapEntry>>> {
    caller.require(Permission::ReadRegistry)?;
    Ok(Json(blocking(move || shared.registry()?.map()).await?))
}

/// A camera.
#[utoipa::path(
    get,
    path = "/cameras/{id}",
    operation_id = "get_camera",
    tag = "registry",
    extensions(("x-permission" = json!("read-registry"))),
    params(("id" = String, Path, description = "Camera")),
    responses(
        (status = 200, description = "The camera; `ETag` is its version", body = Camera, headers(("ETag" = String))),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_camera(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    caller.require(Permission::ReadRegistry)?;
    let camera = blocking(move || shared.registry()?.camera(&id)).await?;
    Ok(with_version(StatusCode::OK, &camera))
}

/// Change a camera: what is left out stays, `null` takes away. `If-Match` (or `version`) says from
/// which version. A change of its masks is a record of its own.
///
/// Stored credentials stay, unless an address names another machine than before: then they are removed,
/// for a login is told to no machine that it was not given for.
#[utoipa::path(
    patch,
    path = "/cameras/{id}",
    operation_id = "change_camera",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    params(
        ("id" = String, Path, description = "Camera"),
        ("If-Match" = Option<String>, Header, description = "The version that the change was made from: the ETag"),
    ),
    request_body = CameraInput,
    responses(
        (status = 200, description = "Changed; `ETag` is its version", body = Camera, headers(("ETag" = String))),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was changed since: `more` is the camera as it is now", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: see `more.fields`", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "It was not said from which version", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn change_camera(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    caller.require(Permission::WriteRegistry)?;
    let said = object(&body)?;
    let version = version(&headers, &said)?;
    let change = move || shared.registry()?.change_camera(&Author::from(&caller), &id, version, &said);
    Ok(with_version(StatusCode::OK, &blocking(change).await?))
}

/// Remove a camera, with its credentials. With `If-Match`, only in that version.
#[utoipa::path(
    delete,
    path = "/cameras/{id}",
    operation_id = "remove_camera",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    params(
        ("id" = String, Path, description = "Camera"),
        ("If-Match" = Option<String>, Header, description = "The version that is to be removed: the ETag"),
    ),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was changed since: `more` is the camera as it is now", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_camera(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    caller.require(Permission::WriteRegistry)?;
    let version = version(&headers, &Default::default())?;
    blocking(move || shared.registry()?.remove_camera(&Author::from(&caller), &id, version)).await?;
    Ok(nothing())
}

/// A login of a camera.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(
    dead_code,
    reason = "the form in the OpenAPI document; it is read by hand, so that no message shows it"
)]
struct Credentials {
    /// 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    user: String,
    /// At most 256 characters.
    #[schema(max_length = 256, format = Password)]
    password: String,
}

/// Store a login for all streams of a camera and for its device. It is never given out again.
#[utoipa::path(
    put,
    path = "/cameras/{id}/credentials",
    operation_id = "set_credentials",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    params(("id" = String, Path, description = "Camera")),
    request_body = Credentials,
    responses(
        (status = 204, description = "Stored"),
        (status = 404, description = "There is no such camera", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: see `more.fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn set_credentials(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response> {
    caller.require(Permission::WriteRegistry)?;
    let login = login(&body)?;
    blocking(move || shared.registry()?.set_login(&Author::from(&caller), &id, login)).await?;
    Ok(nothing())
}

fn login(body: &[u8]) -> Result<Login> {
    let mut said = object(body)?;
    let mut text = |key: &str| match said.remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Problem::invalid(key, "must be given, as text")),
    };
    let login = Login { user: text("user")?, password: text("password")? };
    if said.is_empty() {
        return Ok(login);
    }
    Err(Problem::invalid("body", "holds more than user and password"))
}

/// Remove the stored credentials of a camera.
#[utoipa::path(
    delete,
    path = "/cameras/{id}/credentials",
    operation_id = "remove_credentials",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    params(("id" = String, Path, description = "Camera")),
    responses(
        (status = 204, description = "There are none now"),
        (status = 404, description = "There is no such camera", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_credentials(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    caller.require(Permission::WriteRegistry)?;
    blocking(move || shared.registry()?.remove_login(&Author::from(&caller), &id)).await?;
    Ok(nothing())
}
