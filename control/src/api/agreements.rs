//! Agreements of the zones, the zones at a glance, and the purposes that agreements name.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Control, List, Paging, Shared};
use crate::base::{Problem, Result, blocking};
use crate::people::{Caller, Permission};
use crate::rights::{self, Agreement, NewAgreement, Purpose, TermsChange, ZoneState, agreements};

/// Which agreements are asked for.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AgreementFilter {
    /// Only those of this zone.
    zone: Option<String>,
    /// Only those in this state.
    state: Option<rights::State>,
}

/// What is signed.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Signature {
    /// The version of the draft that was read.
    version: Option<i64>,
}

/// Why, where that must be said.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// In the words of whoever acts.
    reason: String,
}

/// Why, where that may be said.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OptionalReason {
    /// In the words of whoever acts.
    #[serde(default)]
    reason: Option<String>,
}

/// The zones at a glance: what each grants now and until when, what is suspended, which drafts wait.
#[utoipa::path(
    get,
    path = "/zones/state",
    operation_id = "zone_states",
    tag = "rights",
    extensions(("x-permission" = json!("read-agreement"))),
    responses((status = 200, description = "All zones", body = Vec<ZoneState>)),
)]
async fn zone_states(State(shared): State<Shared>, caller: Caller) -> Result<Json<Vec<ZoneState>>> {
    caller.require(Permission::ReadAgreement)?;
    let states = blocking(move || shared.db.read(|c| rights::zone_states(c, shared.db.now()))).await?;
    Ok(Json(states))
}

/// Agreements in the order of their ids, without their history.
#[utoipa::path(
    get,
    path = "/agreements",
    operation_id = "list_agreements",
    tag = "rights",
    extensions(("x-permission" = json!("read-agreement"))),
    params(AgreementFilter, Paging),
    responses((status = 200, description = "Agreements", body = List<Agreement>)),
)]
async fn list_agreements(
    State(shared): State<Shared>,
    caller: Caller,
    Query(filter): Query<AgreementFilter>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Agreement>>> {
    caller.require(Permission::ReadAgreement)?;
    let limit = paging.limit()?;
    let items = blocking(move || {
        let now = shared.db.now();
        let AgreementFilter { zone, state } = filter;
        shared
            .db
            .read(|c| agreements::list(c, zone.as_deref(), state, paging.after.as_deref(), limit + 1, now))
    })
    .await?;
    Ok(Json(List::of(items, limit, |agreement| &agreement.id)))
}

/// Write a draft. It grants nothing before a second person signs it for the zone.
#[utoipa::path(
    post,
    path = "/agreements",
    operation_id = "draft_agreement",
    tag = "rights",
    extensions(("x-permission" = json!("draft-agreement"))),
    request_body = NewAgreement,
    responses(
        (status = 201, description = "Drafted", body = Agreement),
        (status = 404, description = "There is no such zone, or no agreement to replace", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "What it is to replace is not signed, or has a successor", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: the title names it", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn draft_agreement(
    State(shared): State<Shared>,
    caller: Caller,
    Json(new): Json<NewAgreement>,
) -> Result<(StatusCode, Json<Agreement>)> {
    caller.require_for(Permission::DraftAgreement, &new.zone)?;
    let drafted = blocking(move || {
        let (zone, replaces) = (new.zone.clone(), new.replaces.clone());
        agreements::draft(&shared.db, &caller.actor, &zone, replaces.as_deref(), new.terms())
    })
    .await?;
    Ok((StatusCode::CREATED, Json(drafted)))
}

/// An agreement with its history.
#[utoipa::path(
    get,
    path = "/agreements/{id}",
    operation_id = "get_agreement",
    tag = "rights",
    extensions(("x-permission" = json!("read-agreement"))),
    params(("id" = String, Path, description = "Its id", example = "A-2026-0001")),
    responses(
        (status = 200, description = "The agreement", body = Agreement),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_agreement(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Agreement>> {
    caller.require(Permission::ReadAgreement)?;
    Ok(Json(blocking(move || shared.db.read(|c| agreements::find(c, &id, shared.db.now()))).await?))
}

/// Change a draft. What was signed is never changed: another draft replaces it.
#[utoipa::path(
    patch,
    path = "/agreements/{id}",
    operation_id = "change_agreement",
    tag = "rights",
    extensions(("x-permission" = json!("draft-agreement"))),
    params(("id" = String, Path, description = "Its id", example = "A-2026-0001")),
    request_body = TermsChange,
    responses(
        (status = 200, description = "Changed", body = Agreement),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is no draft, or another version: the present one is in `more`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: the title names it", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "Say which version the change was made from", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn change_agreement(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(change): Json<TermsChange>,
) -> Result<Json<Agreement>> {
    act(shared, caller, Permission::DraftAgreement, id, move |control, caller, id| {
        agreements::change(&control.db, &caller.actor, id, change)
    })
    .await
}

/// Give a draft up.
#[utoipa::path(
    post,
    path = "/agreements/{id}/withdraw",
    operation_id = "withdraw_agreement",
    tag = "rights",
    extensions(("x-permission" = json!("draft-agreement"))),
    params(("id" = String, Path, description = "Its id", example = "A-2026-0001")),
    request_body = OptionalReason,
    responses(
        (status = 200, description = "Withdrawn", body = Agreement),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is no draft", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The reason is empty or too long", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn withdraw_agreement(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(why): Json<OptionalReason>,
) -> Result<Json<Agreement>> {
    act(shared, caller, Permission::DraftAgreement, id, move |control, caller, id| {
        agreements::withdraw(&control.db, &caller.actor, id, why.reason.as_deref())
    })
    .await
}

/// Sign a draft for its zone. Whoever wrote any of it does not sign it.
#[utoipa::path(
    post,
    path = "/agreements/{id}/sign",
    operation_id = "sign_agreement",
    tag = "rights",
    extensions(("x-permission" = json!("govern-agreement"))),
    params(("id" = String, Path, description = "Its id", example = "A-2026-0001")),
    request_body = Signature,
    responses(
        (status = 200, description = "Signed", body = Agreement),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is no draft, another version, or its time is over", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "Say which version was read", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn sign_agreement(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(signature): Json<Signature>,
) -> Result<Json<Agreement>> {
    act(shared, caller, Permission::GovernAgreement, id, move |control, caller, id| {
        agreements::sign(&control.db, &caller.actor, id, signature.version)
    })
    .await
}

/// Halt an agreement. The zone's cameras are dark under it before this is answered.
#[utoipa::path(
    post,
    path = "/agreements/{id}/suspend",
    operation_id = "suspend_agreement",
    tag = "rights",
    extensions(("x-permission" = json!("govern-agreement"))),
    params(("id" = String, Path, description = "Its id", example = "A-2026-0001")),
    request_body = Reason,
    responses(
        (status = 200, description = "Suspended", body = Agreement),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not signed", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The reason is missing", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn suspend_agreement(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(why): Json<Reason>,
) -> Result<Json<Agreement>> {
    act(shared, caller, Permission::GovernAgreement, id, move |control, caller, id| {
        agreements::suspend(&control.db, &caller.actor, id, &why.reason)
    })
    .await
}

/// Let a suspended agreement go on.
#[utoipa::path(
    post,
    path = "/agreements/{id}/resume",
    operation_id = "resume_agreement",
    tag = "rights",
    extensions(("x-permission" = json!("govern-agreement"))),
    params(("id" = String, Path, description = "Its id", example = "A-2026-0001")),
    request_body = OptionalReason,
    responses(
        (status = 200, description = "Goes on", body = Agreement),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not suspended", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The reason is empty or too long", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn resume_agreement(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(why): Json<OptionalReason>,
) -> Result<Json<Agreement>> {
    act(shared, caller, Permission::GovernAgreement, id, move |control, caller, id| {
        agreements::resume(&control.db, &caller.actor, id, why.reason.as_deref())
    })
    .await
}

/// End an agreement for good. The zone's cameras are dark under it before this is answered.
#[utoipa::path(
    post,
    path = "/agreements/{id}/revoke",
    operation_id = "revoke_agreement",
    tag = "rights",
    extensions(("x-permission" = json!("govern-agreement"))),
    params(("id" = String, Path, description = "Its id", example = "A-2026-0001")),
    request_body = Reason,
    responses(
        (status = 200, description = "Revoked", body = Agreement),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is neither signed nor suspended", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The reason is missing", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn revoke_agreement(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Json(why): Json<Reason>,
) -> Result<Json<Agreement>> {
    act(shared, caller, Permission::GovernAgreement, id, move |control, caller, id| {
        agreements::revoke(&control.db, &caller.actor, id, &why.reason)
    })
    .await
}

/// The purposes that agreements and incidents may name.
#[utoipa::path(
    get,
    path = "/purposes",
    operation_id = "list_purposes",
    tag = "rights",
    extensions(("x-permission" = json!("read-agreement"))),
    responses((status = 200, description = "All purposes", body = Vec<Purpose>)),
)]
async fn list_purposes(State(shared): State<Shared>, caller: Caller) -> Result<Json<Vec<Purpose>>> {
    caller.require(Permission::ReadAgreement)?;
    Ok(Json(blocking(move || shared.db.read(rights::purposes)).await?))
}

/// Add a purpose. It grants nothing before a zone signs an agreement that names it.
#[utoipa::path(
    post,
    path = "/purposes",
    operation_id = "add_purpose",
    tag = "rights",
    extensions(("x-permission" = json!("draft-agreement"))),
    request_body = Purpose,
    responses(
        (status = 201, description = "Added", body = Purpose),
        (status = 409, description = "The word is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong: the title names it", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn add_purpose(
    State(shared): State<Shared>,
    caller: Caller,
    Json(purpose): Json<Purpose>,
) -> Result<(StatusCode, Json<Purpose>)> {
    caller.require(Permission::DraftAgreement)?;
    let added = blocking(move || rights::add_purpose(&shared.db, &caller.actor, purpose)).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

/// Does a step to an agreement for a caller who may do that for its zone, which never changes.
async fn act(
    shared: Shared,
    caller: Caller,
    permission: Permission,
    id: String,
    step: impl FnOnce(&Control, &Caller, &str) -> Result<Agreement> + Send + 'static,
) -> Result<Json<Agreement>> {
    caller.require(permission)?;
    let agreement = blocking(move || {
        let now = shared.db.now();
        let zone = shared.db.read(|c| agreements::find(c, &id, now))?.zone;
        caller.require_for(permission, &zone)?;
        step(&shared, &caller, &id)
    })
    .await?;
    Ok(Json(agreement))
}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(zone_states))
        .routes(routes!(list_agreements, draft_agreement))
        .routes(routes!(get_agreement, change_agreement))
        .routes(routes!(withdraw_agreement))
        .routes(routes!(sign_agreement))
        .routes(routes!(suspend_agreement))
        .routes(routes!(resume_agreement))
        .routes(routes!(revoke_agreement))
        .routes(routes!(list_purposes, add_purpose))
}
