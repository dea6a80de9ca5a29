//! API tokens of oneself.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::layers::nothing;
use super::{List, Paging, Shared};
use crate::base::{Problem, Result, blocking};
use crate::people::{Caller, MadeToken, NewToken, Permission, Token};

/// One's API tokens, without their secrets.
#[utoipa::path(
    get,
    path = "/tokens",
    operation_id = "list_tokens",
    tag = "people",
    extensions(("x-permission" = json!("myself"))),
    params(Paging),
    responses((status = 200, description = "Tokens, oldest first", body = List<Token>)),
)]
async fn list_tokens(
    State(shared): State<Shared>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Token>>> {
    caller.require(Permission::Myself)?;
    let limit = paging.limit()?;
    let items =
        blocking(move || shared.people.tokens(&caller.account, paging.after.as_deref(), limit + 1)).await?;
    Ok(Json(List::of(items, limit, |token| &token.id)))
}

/// Make an API token of oneself. Its secret is in this answer only. Not with an API token.
#[utoipa::path(
    post,
    path = "/tokens",
    operation_id = "add_token",
    tag = "people",
    extensions(("x-permission" = json!("myself"))),
    request_body = NewToken,
    responses(
        (status = 201, description = "Made", body = MadeToken),
        (status = 409, description = "There are too many", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn add_token(
    State(shared): State<Shared>,
    caller: Caller,
    Json(new): Json<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>)> {
    caller.require(Permission::Myself)?;
    caller.require_session()?;
    let people = shared.people.clone();
    let made = blocking(move || people.add_token(&caller.account, caller.role, &new, &caller.actor)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// End an API token of oneself, and what hangs on it.
#[utoipa::path(
    delete,
    path = "/tokens/{id}",
    operation_id = "remove_token",
    tag = "people",
    extensions(("x-permission" = json!("myself"))),
    params(("id" = String, Path, description = "Token id", example = "t-0123456789abcdef")),
    responses(
        (status = 204, description = "Ended"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_token(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    caller.require(Permission::Myself)?;
    blocking(move || shared.people.remove_token(&caller.account, &id, &caller.actor)).await?;
    Ok(nothing())
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list_tokens, add_token)).routes(routes!(remove_token))
}
