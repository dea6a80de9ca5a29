//! The first start: making the first administrator with the token that the terminal shows.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Visitor;
use super::{Shared, login};
use crate::base::{Problem, Result, blocking};
use crate::people::{LoginOrigin, Password};

/// Whether the first administrator is still to be made.
#[derive(Serialize, ToSchema)]
pub struct SetupState {
    /// Nobody has an account yet.
    needed: bool,
    /// An identity provider is set up: `/api/v1/oidc/start` signs on there.
    sign_on: bool,
}

/// The first administrator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupRequest {
    /// The token that the terminal shows.
    #[schema(value_type = String)]
    token: Password,
    /// The administrator's name.
    name: String,
    /// The administrator's password: 12 letters or more.
    #[schema(value_type = String, format = "password")]
    password: Password,
}

/// Whether the first administrator is still to be made, and how one may log in.
#[utoipa::path(
    get,
    path = "/setup",
    operation_id = "get_setup",
    tag = "people",
    extensions(("x-permission" = json!(null))),
    security(()),
    responses((status = 200, description = "Whether it is", body = SetupState)),
)]
async fn get_setup(State(shared): State<Shared>) -> Result<Json<SetupState>> {
    let sign_on = shared.people.signs_on();
    let needed = blocking(move || shared.people.needs_setup()).await?;
    Ok(Json(SetupState { needed, sign_on }))
}

/// Make the first administrator, and log in as it.
#[utoipa::path(
    post,
    path = "/setup",
    operation_id = "set_up",
    tag = "people",
    extensions(("x-permission" = json!(null))),
    security(()),
    request_body = SetupRequest,
    responses(
        (status = 201, description = "Made, and logged in", body = login::Me),
        (status = 401, description = "This is not the token", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "This was done already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The name or the password does not do", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries: see Retry-After", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn set_up(
    State(shared): State<Shared>,
    visitor: Visitor,
    Json(request): Json<SetupRequest>,
) -> Result<Response> {
    let who: LoginOrigin = visitor.into();
    shared.people.set_up(&request.token, &request.name, request.password.clone(), who).await?;
    let begun = shared.people.log_in(&request.name, request.password, who).await?;
    login::welcome(&shared, StatusCode::CREATED, begun)
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(get_setup, set_up))
}
