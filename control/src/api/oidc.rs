//! Sign-on by an identity provider: a browser goes there and comes back.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use super::caller::{Visitor, cookie};
use super::login::session_cookie;
use crate::base::{Problem, Result};
use crate::people::{LoginOrigin, secret};

/// The cookie of a sign-on under way. Lax, as the way back comes from the provider's page.
const COOKIE: &str = "vitrail_sign_on";

fn flow_cookie(shared: &Shared, secret: &str, seconds: u32) -> Result<HeaderValue> {
    let secure = if shared.people.settings().secure { "; Secure" } else { "" };
    let path = "/api/v1/oidc";
    let text = format!("{COOKIE}={secret}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).map_err(|e| Problem::internal("cookie", e.to_string()))
}

fn lead(to: &str) -> Result<Response> {
    let to = HeaderValue::from_str(to).map_err(|e| Problem::internal("redirect", e.to_string()))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}

/// Sign on: leads the browser to the identity provider.
#[utoipa::path(
    get,
    path = "/oidc/start",
    operation_id = "start_sign_on",
    tag = "people",
    extensions(("x-permission" = json!(null))),
    security(()),
    responses(
        (status = 303, description = "To the provider", headers(("Location" = String))),
        (status = 404, description = "No identity provider is set up", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The provider does not answer as it should", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn start_sign_on(State(shared): State<Shared>) -> Result<Response> {
    let (url, secret) = shared.people.begin_sign_on().await?;
    let mut response = lead(url.as_str())?;
    response.headers_mut().insert(header::SET_COOKIE, flow_cookie(&shared, &secret, 600)?);
    Ok(response)
}

/// What the provider sends the browser back with.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Answer {
    /// To be exchanged for the tokens.
    code: Option<String>,
    /// As it was sent there.
    state: Option<String>,
}

/// Back from the identity provider: begins a session, and leads the browser to the page.
#[utoipa::path(
    get,
    path = "/oidc/callback",
    operation_id = "end_sign_on",
    tag = "people",
    extensions(("x-permission" = json!(null))),
    security(()),
    params(Answer),
    responses(
        (status = 303, description = "Logged in; to the page. Also where it failed, for a browser: to the page, which says why", headers(("Location" = String))),
        (status = 401, description = "The provider's answer does not hold", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "No account or no role is meant for this person", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No identity provider is set up", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries: see Retry-After", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn end_sign_on(
    State(shared): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Result<Response> {
    let flow = cookie(&headers, COOKIE).map(secret::hash);
    let who: LoginOrigin = visitor.into();
    let state = answer.state.unwrap_or_default();
    let begun = match shared.people.end_sign_on(flow, answer.code, &state, who).await {
        Ok(begun) => begun,
        // A person is led back to the page, which says why; a program gets the problem itself.
        Err(problem) if asks_for_a_page(&headers) => {
            let code = problem.code.unwrap_or_else(|| "failed".into());
            return lead(&format!("/#/sign-on/{code}"));
        }
        Err(problem) => return Err(problem),
    };
    let mut response = lead("/")?;
    response.headers_mut().append(header::SET_COOKIE, session_cookie(&shared, &begun.secret, "")?);
    response.headers_mut().append(header::SET_COOKIE, flow_cookie(&shared, "", 0)?);
    Ok(response)
}

fn asks_for_a_page(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|v| v.contains("text/html"))
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(start_sign_on)).routes(routes!(end_sign_on))
}
