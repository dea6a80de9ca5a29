//! Accounts, for administrators.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::layers::nothing;
use super::{List, Paging, Shared};
use crate::base::{Problem, Result, blocking};
use crate::people::{Account, AccountChange, Caller, NewAccount, Permission, account};

/// All accounts, in the order in which they were added.
#[utoipa::path(
    get,
    path = "/accounts",
    operation_id = "list_accounts",
    tag = "people",
    extensions(("x-permission" = json!("manage-people"))),
    params(Paging),
    responses((status = 200, description = "Accounts", body = List<Account>)),
)]
async fn list_accounts(
    State(shared): State<Shared>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Account>>> {
    caller.require(Permission::ManagePeople)?;
    let limit = paging.limit()?;
    let after = paging.after.as_deref().map_or(Ok(0), account::number)?;
    let items = blocking(move || shared.people.accounts(after, limit + 1)).await?;
    Ok(Json(List::of(items, limit, |account| &account.id)))
}

/// What the people of the platform are called: `{id: name}`, for those who read in a layout who changed it.
#[utoipa::path(
    get,
    path = "/names",
    operation_id = "list_names",
    tag = "people",
    extensions(("x-permission" = json!("view-wall"))),
    responses((status = 200, description = "Names", body = BTreeMap<String, String>)),
)]
async fn list_names(State(shared): State<Shared>, caller: Caller) -> Result<Json<BTreeMap<String, String>>> {
    caller.require(Permission::ViewWall)?;
    Ok(Json(blocking(move || shared.people.names()).await?))
}

/// Add an account.
#[utoipa::path(
    post,
    path = "/accounts",
    operation_id = "add_account",
    tag = "people",
    extensions(("x-permission" = json!("manage-people"))),
    request_body = NewAccount,
    responses(
        (status = 201, description = "Added", body = Account),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: see `code`", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn add_account(
    State(shared): State<Shared>,
    caller: Caller,
    Json(new): Json<NewAccount>,
) -> Result<(StatusCode, Json<Account>)> {
    caller.require(Permission::ManagePeople)?;
    let account = shared.people.add_account(new, caller.actor).await?;
    Ok((StatusCode::CREATED, Json(account)))
}

/// An account.
#[utoipa::path(
    get,
    path = "/accounts/{id}",
    operation_id = "get_account",
    tag = "people",
    extensions(("x-permission" = json!("manage-people"))),
    params(("id" = String, Path, description = "Account id", example = "u-1")),
    responses(
        (status = 200, description = "The account", body = Account),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_account(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Account>> {
    caller.require(Permission::ManagePeople)?;
    Ok(Json(blocking(move || shared.people.account(&id)).await?))
}

/// Change an account. What changes its rights or its password ends its logins.
#[utoipa::path(
    patch,
    path = "/accounts/{id}",
    operation_id = "change_account",
    tag = "people",
    extensions(("x-permission" = json!("manage-people"))),
    params(("id" = String, Path, description = "Account id", example = "u-1")),
    request_body = AccountChange,
    responses(
        (status = 200, description = "Changed", body = Account),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken, or it is the last administrator", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: see `code`", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn change_account(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(change): Json<AccountChange>,
) -> Result<Json<Account>> {
    caller.require(Permission::ManagePeople)?;
    Ok(Json(shared.people.change_account(&id, change, caller.actor).await?))
}

/// Remove an account, with its sessions and tokens.
#[utoipa::path(
    delete,
    path = "/accounts/{id}",
    operation_id = "remove_account",
    tag = "people",
    extensions(("x-permission" = json!("manage-people"))),
    params(("id" = String, Path, description = "Account id", example = "u-1")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is the last administrator", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_account(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    caller.require(Permission::ManagePeople)?;
    blocking(move || shared.people.remove_account(&id, &caller.actor)).await?;
    Ok(nothing())
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_names))
        .routes(routes!(list_accounts, add_account))
        .routes(routes!(get_account, change_account, remove_account))
}
