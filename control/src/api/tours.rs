//! Tours.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::layouts::own;
use super::{List, Shared};
use crate::base::{Problem, Result, blocking};
use crate::people::{Caller, Permission};
use crate::wall::tours::{NewTour, Order, Tour};

/// All tours.
#[utoipa::path(get, path = "/tours", operation_id = "list_tours", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    responses((status = 200, description = "Tours", body = List<Tour>)))]
async fn list(State(shared): State<Shared>, caller: Caller) -> Result<Json<List<Tour>>> {
    caller.require(Permission::OperateWall)?;
    let items = blocking(move || shared.wall()?.tours().list()).await?;
    Ok(Json(List { items, next: None }))
}

/// Make a tour.
#[utoipa::path(post, path = "/tours", operation_id = "add_tour", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    request_body = NewTour,
    responses(
        (status = 201, description = "Made", body = Tour),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
    ))]
async fn add(
    State(shared): State<Shared>,
    caller: Caller,
    Json(tour): Json<NewTour>,
) -> Result<(StatusCode, Json<Tour>)> {
    caller.require(Permission::OperateWall)?;
    let tour = blocking(move || shared.wall()?.tours().save(&caller.actor, None, tour)).await?;
    Ok((StatusCode::CREATED, Json(tour)))
}

/// Make a tour of one's own anew.
#[utoipa::path(put, path = "/tours/{id}", operation_id = "change_tour", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    params(("id" = String, Path, description = "Tour")),
    request_body = NewTour,
    responses(
        (status = 200, description = "Made anew", body = Tour),
        (status = 403, description = "Another one's", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such tour", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
    ))]
async fn change(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(tour): Json<NewTour>,
) -> Result<Json<Tour>> {
    caller.require(Permission::OperateWall)?;
    let change = move || {
        let tours = shared.wall()?.tours();
        own(&caller, &tours.find(&id)?.owner)?;
        tours.save(&caller.actor, Some(&id), tour)
    };
    Ok(Json(blocking(change).await?))
}

/// Remove a tour of one's own.
#[utoipa::path(delete, path = "/tours/{id}", operation_id = "remove_tour", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    params(("id" = String, Path, description = "Tour")),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "Another one's", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such tour", body = Problem, content_type = "application/problem+json"),
    ))]
async fn remove(State(shared): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    caller.require(Permission::OperateWall)?;
    let remove = move || {
        let tours = shared.wall()?.tours();
        own(&caller, &tours.find(&id)?.owner)?;
        tours.remove(&caller.actor, &id)
    };
    blocking(remove).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Start a tour, stop it, pause it or let it go on.
#[utoipa::path(post, path = "/tours/{id}/{order}", operation_id = "order_tour", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    params(("id" = String, Path, description = "Tour"),
        ("order" = String, Path, description = "`start`, `stop`, `pause` or `resume`")),
    responses(
        (status = 204, description = "Done"),
        (status = 404, description = "No such tour, or no such order", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It does not run", body = Problem, content_type = "application/problem+json"),
    ))]
async fn order(
    State(shared): State<Shared>,
    caller: Caller,
    Path((id, order)): Path<(String, String)>,
) -> Result<StatusCode> {
    caller.require(Permission::OperateWall)?;
    let order = match order.as_str() {
        "start" => Order::Start,
        "stop" => Order::Stop,
        "pause" => Order::Pause,
        "resume" => Order::Resume,
        other => return Err(Problem::not_found(format!("order {other}"))),
    };
    let conductor = shared.wall()?.clone();
    blocking(move || conductor.order_tour(&caller.actor, &id, order)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(change, remove)).routes(routes!(order))
}
