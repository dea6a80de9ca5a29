//! The audit log, for auditors; for a zone authority what concerns its zones.

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{List, Paging, Shared};
use crate::audit::query::{self, Order};
use crate::audit::verify::Findings;
use crate::audit::{self, Event, Export, Record};
use crate::base::{Kind, Problem, Result, Utc, blocking};
use crate::people::{Caller, Permission, Role};

/// One verification at a time: it reads all of the log.
static VERIFYING: Semaphore = Semaphore::const_new(1);
/// Pages of an export that wait for a slow client.
const PAGES: usize = 2;

/// Which records are meant; what is left out means all.
#[derive(Clone, Debug, Default, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Written then or later (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Utc>,
    /// Written before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Utc>,
    /// This kind; `showing.*` is all kinds of a room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Concerning this camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// Concerning this zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// By this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Under this incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
}

impl Filter {
    /// What this caller means: a zone authority's zones are a limit that no filter widens.
    fn query(self, caller: &Caller) -> audit::Query {
        let Filter { from, to, kind, camera, zone, account, incident } = self;
        let zones = (caller.role == Role::ZoneAuthority).then(|| caller.zones.clone());
        audit::Query { from, to, kind, camera, zone, account, incident, zones }
    }
}

/// In which order.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Sorting {
    /// The newest first, or the oldest.
    #[serde(default)]
    #[param(inline)]
    pub order: Sort,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
}

/// Records, the newest first. A zone authority reads those that concern its zones.
#[utoipa::path(
    get,
    path = "/audit",
    operation_id = "list_audit",
    tag = "audit",
    extensions(("x-permission" = json!("read-audit"))),
    params(Filter, Sorting, Paging),
    responses((status = 200, description = "Records", body = List<Record>)),
)]
async fn list_audit(
    State(shared): State<Shared>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(sorting): Query<Sorting>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<Record>>> {
    caller.require(Permission::ReadAudit)?;
    let (limit, query) = (paging.limit()?, filter.query(&caller));
    let after = paging.after.as_deref().map(sequence).transpose()?;
    let order = match sorting.order {
        Sort::Newest => Order::NewestFirst,
        Sort::Oldest => Order::OldestFirst,
    };
    let page = move || shared.db.read(|connection| query::list(connection, &query, order, after, limit));
    let (items, more) = blocking(page).await?;
    let next = items.last().filter(|_| more).map(|record| record.seq.to_string());
    Ok(Json(List { items, next }))
}

/// Records as a file that can be verified without this machine (`vitrail audit verify FILE`). Of the time
/// that is asked for, records that are not meant, or not for this caller, are there as digests.
#[utoipa::path(
    get,
    path = "/audit/export.jsonl",
    operation_id = "export_audit",
    tag = "audit",
    extensions(("x-permission" = json!("read-audit"))),
    params(Filter),
    responses(
        (status = 200, description = "One object a line; the last one with the signatures", body = String, content_type = "application/jsonl"),
        (status = 404, description = "No records in that time", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The export cannot be put on record", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn export_audit(
    State(shared): State<Shared>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Response> {
    caller.require(Permission::ReadAudit)?;
    let (send, receive) = mpsc::channel::<Result<String>>(PAGES);
    let asked = json!(filter);
    let query = filter.query(&caller);
    let database = std::sync::Arc::clone(&shared.db);
    let mut export = blocking(move || {
        let export = database.read(|connection| Export::begin(connection, query))?;
        let (first, last) = export.range();
        let details = json!({ "filter": asked, "first": first, "last": last });
        database.record(&caller.actor, Event { details, ..Event::new("audit.exported") })?;
        Ok(export)
    })
    .await?;
    tokio::task::spawn_blocking(move || {
        loop {
            let page = shared.db.read(|connection| export.page(connection)).transpose();
            // The last page ends it, and so does a client that has gone away.
            let Some(page) = page else { return };
            let failed = page.is_err();
            if send.blocking_send(page).is_err() || failed {
                return;
            }
        }
    });
    let pages =
        futures::stream::unfold(receive, |mut receive| async { Some((receive.recv().await?, receive)) });
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// Verify the whole log, now.
#[utoipa::path(
    get,
    path = "/audit/verify",
    operation_id = "verify_audit",
    tag = "audit",
    extensions(("x-permission" = json!("read-audit"))),
    responses(
        (status = 200, description = "What was found, also where the log is not as it was written", body = Findings),
        (status = 429, description = "One is under way", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It cannot be put on record, or the checkpoint file cannot be read", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn verify_audit(State(shared): State<Shared>, caller: Caller) -> Result<Json<Findings>> {
    caller.require(Permission::ReadAudit)?;
    let Ok(_permit) = VERIFYING.try_acquire() else {
        let problem = Problem::new(Kind::TooOften, "verification", "one is under way; wait for it");
        return Err(problem.retry_after(5));
    };
    let findings = blocking(move || {
        let findings = shared.db.verify(&mut |_, _| {})?;
        let details = json!({ "verdict": findings.verdict, "records": findings.records, "faults": findings.faults_total });
        shared.db.record(&caller.actor, Event { details, ..Event::new("audit.verified") })?;
        Ok(findings)
    })
    .await?;
    Ok(Json(findings))
}

fn sequence(text: &str) -> Result<i64> {
    text.parse().map_err(|_| Problem::new(Kind::Malformed, "after", "is the number of a record"))
}

/// The routes of this resource.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_audit))
        .routes(routes!(export_audit))
        .routes(routes!(verify_audit))
}
