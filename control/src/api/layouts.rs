//! Saved layouts.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wall::{Changed, SeenVersion, changed};
use super::{List, Shared};
use crate::base::{Problem, Result, blocking};
use crate::people::{Caller, Permission};
use crate::wall::saved::{self, SavedLayout};

/// A name for what the wall shows now.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Name)]
pub struct LayoutName {
    /// 1 to 100 characters.
    pub name: String,
}

/// All saved layouts.
#[utoipa::path(get, path = "/layouts", operation_id = "list_layouts", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    responses((status = 200, description = "Layouts, by name", body = List<SavedLayout>)))]
async fn list(State(shared): State<Shared>, caller: Caller) -> Result<Json<List<SavedLayout>>> {
    caller.require(Permission::OperateWall)?;
    let items = blocking(move || saved::list(&shared.db)).await?;
    Ok(Json(List { items, next: None }))
}

/// Save what the wall shows now under a name.
#[utoipa::path(post, path = "/layouts", operation_id = "save_layout", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    request_body = LayoutName,
    responses(
        (status = 201, description = "Saved", body = SavedLayout),
        (status = 422, description = "The name is wrong", body = Problem, content_type = "application/problem+json"),
    ))]
async fn save(
    State(shared): State<Shared>,
    caller: Caller,
    Json(name): Json<LayoutName>,
) -> Result<(StatusCode, Json<SavedLayout>)> {
    caller.require(Permission::OperateWall)?;
    let save = move || {
        let regions = shared.wall()?.layout().regions;
        saved::save(&shared.db, &caller.actor, None, &name.name, &regions)
    };
    let saved = blocking(save).await?;
    Ok((StatusCode::CREATED, Json(saved)))
}

/// Save what the wall shows now over a layout of one's own.
#[utoipa::path(put, path = "/layouts/{id}", operation_id = "save_layout_over", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    params(("id" = String, Path, description = "Layout")),
    request_body = LayoutName,
    responses(
        (status = 200, description = "Saved", body = SavedLayout),
        (status = 403, description = "Another one's", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such layout", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The name is wrong", body = Problem, content_type = "application/problem+json"),
    ))]
async fn save_over(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(name): Json<LayoutName>,
) -> Result<Json<SavedLayout>> {
    caller.require(Permission::OperateWall)?;
    let save = move || {
        let regions = shared.wall()?.layout().regions;
        own(&caller, &saved::find(&shared.db, &id)?.owner)?;
        saved::save(&shared.db, &caller.actor, Some(&id), &name.name, &regions)
    };
    Ok(Json(blocking(save).await?))
}

/// Remove a layout of one's own.
#[utoipa::path(delete, path = "/layouts/{id}", operation_id = "remove_layout", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    params(("id" = String, Path, description = "Layout")),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "Another one's", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such layout", body = Problem, content_type = "application/problem+json"),
    ))]
async fn remove(State(shared): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    caller.require(Permission::OperateWall)?;
    let remove = move || {
        own(&caller, &saved::find(&shared.db, &id)?.owner)?;
        saved::remove(&shared.db, &caller.actor, &id)
    };
    blocking(remove).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show a saved layout.
#[utoipa::path(post, path = "/layouts/{id}/apply", operation_id = "apply_layout", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    params(("id" = String, Path, description = "Layout"), SeenVersion),
    responses(
        (status = 200, description = "Shown", body = Changed),
        (status = 404, description = "No such layout", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Somebody else changed the wall meanwhile (`changed`), or a tile is locked", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is for other screens", body = Problem, content_type = "application/problem+json"),
    ))]
async fn apply(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    from: Query<SeenVersion>,
) -> Result<Json<Changed>> {
    caller.require(Permission::OperateWall)?;
    let conductor = shared.wall()?.clone();
    let apply = move || {
        let saved = saved::find(&shared.db, &id)?;
        let why = serde_json::json!({ "layout": saved.id, "name": saved.name });
        let layout = conductor.apply_regions(&caller.actor, from.version, &saved.regions, why)?;
        Ok(changed(&conductor, layout))
    };
    Ok(Json(blocking(apply).await?))
}

/// Fails for another one's, but for those who manage walls.
pub(super) fn own(caller: &Caller, owner: &str) -> Result<()> {
    if owner == caller.account || caller.may(Permission::ManageWall) {
        return Ok(());
    }
    Err(Problem::refused("owner", "belongs to somebody else; a supervisor may change it").code("owner"))
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, save)).routes(routes!(save_over, remove)).routes(routes!(apply))
}
