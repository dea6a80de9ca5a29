//! Logging in and out, and who one is.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use super::caller::{COOKIE, Visitor, cookie};
use super::layers::nothing;
use crate::base::{Problem, Result, blocking};
use crate::people::{Account, Caller, Language, LoggedIn, Password, Permission, Role, secret};

/// A name and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The account's name.
    name: String,
    /// Its password.
    #[schema(value_type = String, format = "password")]
    password: Password,
}

/// Who one is, and what one may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// Account id.
    pub account: String,
    /// The name by which one logs in.
    pub name: String,
    /// The role of the account.
    pub role: Role,
    /// The zones for which a zone authority speaks.
    pub zones: Vec<String>,
    /// The unit for which one works.
    pub unit: String,
    /// The page's language.
    pub language: Language,
    /// What one may do.
    pub permissions: Vec<Permission>,
    /// To be sent as `X-CSRF` with every change; null for API tokens, which need none.
    #[schema(required)]
    pub csrf: Option<String>,
}

impl Me {
    fn new(account: Account, permissions: Vec<Permission>, csrf: Option<String>) -> Me {
        let Account { id, name, role, zones, unit, language, .. } = account;
        Me { account: id, name, role, zones, unit, language, permissions, csrf }
    }

    fn of(caller: &Caller, account: Account, headers: &HeaderMap) -> Me {
        let permissions = Permission::ALL.into_iter().filter(|p| caller.may(*p)).collect();
        let csrf = caller.session.as_ref().and(cookie(headers, COOKIE)).map(secret::csrf);
        Me::new(account, permissions, csrf)
    }
}

/// The answer to a login that began: who one is, and the cookie.
pub(super) fn welcome(shared: &Shared, status: StatusCode, login: LoggedIn) -> Result<Response> {
    let permissions = Permission::ALL.into_iter().filter(|p| login.account.role.allows(*p)).collect();
    let csrf = Some(secret::csrf(&login.secret));
    let cookie = session_cookie(shared, &login.secret, "")?;
    Ok((status, [(header::SET_COOKIE, cookie)], Json(Me::new(login.account, permissions, csrf)))
        .into_response())
}

/// The cookie of a session: no script reads it, no other server's page sends it.
pub(super) fn session_cookie(shared: &Shared, secret: &str, more: &str) -> Result<HeaderValue> {
    let secure = if shared.people.settings().secure { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}{more}"))
        .map_err(|e| Problem::internal("cookie", e.to_string()))
}

/// Log in. The cookie `vitrail_session` is set; changes need the answer's `csrf` as `X-CSRF`.
#[utoipa::path(
    post,
    path = "/login",
    operation_id = "log_in",
    tag = "people",
    extensions(("x-permission" = json!(null))),
    security(()),
    request_body = LoginRequest,
    responses(
        (status = 200, description = "Logged in", body = Me),
        (status = 401, description = "Wrong name or password, or a disabled account", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries: see Retry-After", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn log_in(
    State(shared): State<Shared>,
    visitor: Visitor,
    Json(request): Json<LoginRequest>,
) -> Result<Response> {
    let login = shared.people.log_in(&request.name, request.password, visitor.into()).await?;
    welcome(&shared, StatusCode::OK, login)
}

/// Log out: the session ends, and with it what hangs on it.
#[utoipa::path(
    post,
    path = "/logout",
    operation_id = "log_out",
    tag = "people",
    extensions(("x-permission" = json!("myself"))),
    responses((status = 204, description = "Logged out")),
)]
async fn log_out(State(shared): State<Shared>, caller: Caller) -> Result<Response> {
    caller.require(Permission::Myself)?;
    let session = caller.require_session()?.to_owned();
    let people = shared.people.clone();
    blocking(move || people.log_out(&session, &caller.actor)).await?;
    let mut response = nothing();
    response.headers_mut().insert(header::SET_COOKIE, session_cookie(&shared, "", "; Max-Age=0")?);
    Ok(response)
}

/// Who one is.
#[utoipa::path(
    get,
    path = "/me",
    operation_id = "get_me",
    tag = "people",
    extensions(("x-permission" = json!("myself"))),
    responses((status = 200, description = "LoginOrigin one is, and what one may do", body = Me)),
)]
async fn get_me(State(shared): State<Shared>, caller: Caller, headers: HeaderMap) -> Result<Json<Me>> {
    caller.require(Permission::Myself)?;
    let id = caller.account.clone();
    let account = blocking(move || shared.people.account(&id)).await?;
    Ok(Json(Me::of(&caller, account, &headers)))
}

/// What one changes of oneself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MyChange {
    /// The page's language.
    language: Language,
}

/// Choose the page's language.
#[utoipa::path(
    patch,
    path = "/me",
    operation_id = "change_me",
    tag = "people",
    extensions(("x-permission" = json!("myself"))),
    request_body = MyChange,
    responses((status = 200, description = "Changed", body = Me)),
)]
async fn change_me(
    State(shared): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Json(change): Json<MyChange>,
) -> Result<Json<Me>> {
    caller.require(Permission::Myself)?;
    let account = shared.people.set_language(&caller.account, change.language, caller.actor.clone()).await?;
    Ok(Json(Me::of(&caller, account, &headers)))
}

/// A change of one's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The present one.
    #[schema(value_type = String, format = "password")]
    old: Password,
    /// The new one: 12 letters or more, without the account's name.
    #[schema(value_type = String, format = "password")]
    new: Password,
}

/// Change one's own password; one's other sessions end.
#[utoipa::path(
    put,
    path = "/me/password",
    operation_id = "change_my_password",
    tag = "people",
    extensions(("x-permission" = json!("myself"))),
    request_body = PasswordChange,
    responses(
        (status = 204, description = "Changed"),
        (status = 422, description = "The present one is wrong, or the new one too easy: see `code`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries: see Retry-After", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn change_my_password(
    State(shared): State<Shared>,
    caller: Caller,
    visitor: Visitor,
    Json(change): Json<PasswordChange>,
) -> Result<Response> {
    caller.require(Permission::Myself)?;
    let session = caller.require_session()?.to_owned();
    let PasswordChange { old, new } = change;
    let people = &shared.people;
    people.change_password(&caller.account, &session, old, new, visitor.into(), caller.actor.clone()).await?;
    Ok(nothing())
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(log_in))
        .routes(routes!(log_out))
        .routes(routes!(get_me, change_me))
        .routes(routes!(change_my_password))
}
