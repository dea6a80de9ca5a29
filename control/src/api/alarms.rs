//! Alarms, and the rules that call cameras up.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{List, Shared};
use crate::base::{Problem, Result, blocking};
use crate::people::{Caller, Permission};
use crate::wall::alarms::{Alarm, NewAlarm, NewRule, Rule};

/// Alarms in an answer, at most.
const LATEST: usize = 200;

/// The latest alarms, the newest first.
#[utoipa::path(get, path = "/alarms", operation_id = "list_alarms", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    responses((status = 200, description = "Alarms", body = List<Alarm>)))]
async fn list(State(shared): State<Shared>, caller: Caller) -> Result<Json<List<Alarm>>> {
    caller.require(Permission::OperateWall)?;
    let items = blocking(move || shared.wall()?.alarms().latest(LATEST)).await?;
    Ok(Json(List { items, next: None }))
}

/// Raise an alarm: rules call cameras up, tours pause, its tiles flash.
#[utoipa::path(post, path = "/alarms", operation_id = "raise_alarm", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    request_body = NewAlarm,
    responses(
        (status = 201, description = "Raised; `called` says what its rules did", body = Alarm),
        (status = 404, description = "No such camera", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
    ))]
async fn raise(
    State(shared): State<Shared>,
    caller: Caller,
    Json(alarm): Json<NewAlarm>,
) -> Result<(StatusCode, Json<Alarm>)> {
    caller.require(Permission::OperateWall)?;
    let conductor = shared.wall()?.clone();
    let alarm = blocking(move || conductor.raise(&caller.actor, alarm)).await?;
    Ok((StatusCode::CREATED, Json(alarm)))
}

/// Acknowledge an alarm: a person has seen it.
#[utoipa::path(post, path = "/alarms/{id}/acknowledge", operation_id = "acknowledge_alarm", tag = "wall",
    extensions(("x-permission" = json!("operate-wall"))),
    params(("id" = i64, Path, description = "Alarm")),
    responses(
        (status = 200, description = "Acknowledged", body = Alarm),
        (status = 404, description = "No such alarm", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Somebody else was quicker", body = Problem, content_type = "application/problem+json"),
    ))]
async fn acknowledge(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<i64>,
) -> Result<Json<Alarm>> {
    caller.require(Permission::OperateWall)?;
    let conductor = shared.wall()?.clone();
    Ok(Json(blocking(move || conductor.acknowledge(&caller.actor, id)).await?))
}

/// All rules.
#[utoipa::path(get, path = "/alarm-rules", operation_id = "list_alarm_rules", tag = "wall",
    extensions(("x-permission" = json!("manage-wall"))),
    responses((status = 200, description = "Rules", body = List<Rule>)))]
async fn rules(State(shared): State<Shared>, caller: Caller) -> Result<Json<List<Rule>>> {
    caller.require(Permission::ManageWall)?;
    let items = blocking(move || shared.wall()?.alarms().rules()).await?;
    Ok(Json(List { items, next: None }))
}

/// Make a rule.
#[utoipa::path(post, path = "/alarm-rules", operation_id = "add_alarm_rule", tag = "wall",
    extensions(("x-permission" = json!("manage-wall"))),
    request_body = NewRule,
    responses(
        (status = 201, description = "Made", body = Rule),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
    ))]
async fn add_rule(
    State(shared): State<Shared>,
    caller: Caller,
    Json(rule): Json<NewRule>,
) -> Result<(StatusCode, Json<Rule>)> {
    caller.require(Permission::ManageWall)?;
    let rule = blocking(move || shared.wall()?.alarms().save_rule(&caller.actor, None, rule)).await?;
    Ok((StatusCode::CREATED, Json(rule)))
}

/// Make a rule anew.
#[utoipa::path(put, path = "/alarm-rules/{id}", operation_id = "change_alarm_rule", tag = "wall",
    extensions(("x-permission" = json!("manage-wall"))),
    params(("id" = String, Path, description = "Rule")),
    request_body = NewRule,
    responses(
        (status = 200, description = "Made anew", body = Rule),
        (status = 404, description = "No such rule", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something in it is wrong", body = Problem, content_type = "application/problem+json"),
    ))]
async fn change_rule(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(rule): Json<NewRule>,
) -> Result<Json<Rule>> {
    caller.require(Permission::ManageWall)?;
    Ok(Json(blocking(move || shared.wall()?.alarms().save_rule(&caller.actor, Some(&id), rule)).await?))
}

/// Remove a rule.
#[utoipa::path(delete, path = "/alarm-rules/{id}", operation_id = "remove_alarm_rule", tag = "wall",
    extensions(("x-permission" = json!("manage-wall"))),
    params(("id" = String, Path, description = "Rule")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "No such rule", body = Problem, content_type = "application/problem+json"),
    ))]
async fn remove_rule(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    caller.require(Permission::ManageWall)?;
    blocking(move || shared.wall()?.alarms().remove_rule(&caller.actor, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, raise))
        .routes(routes!(acknowledge))
        .routes(routes!(rules, add_rule))
        .routes(routes!(change_rule, remove_rule))
}
