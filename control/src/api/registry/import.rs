//! The whole inventory, in and out.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Shared;
use crate::audit::Event;
use crate::base::{Kind, Problem, Result, blocking};
use crate::people::{Caller, Permission};
use crate::registry::{Author, Format, ImportOptions, ImportReport, MAX_IMPORT};

/// The routes of this file.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(OpenApiRouter::new().routes(routes!(import)).layer(DefaultBodyLimit::max(MAX_IMPORT)))
        .routes(routes!(export_csv))
        .routes(routes!(export_geojson))
}

/// How an inventory is taken.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ImportQuery {
    /// How it is written.
    #[param(inline)]
    format: Format,
    /// Say what would be done, and do nothing.
    #[serde(default)]
    dry_run: bool,
    /// Remove the cameras that it does not name. Nothing is removed where rows were left out.
    #[serde(default)]
    remove: bool,
}

/// Take an inventory, all of it at once. Rows that are wrong, or of zones for which one does not speak,
/// are left out and told; logins in addresses are stored as credentials; zones and sites that are not
/// there yet are added.
#[utoipa::path(
    post,
    path = "/registry/import",
    operation_id = "import_registry",
    tag = "registry",
    extensions(("x-permission" = json!("write-registry"))),
    params(ImportQuery),
    request_body(content(
        (String = "text/csv"),
        (serde_json::Value = "application/geo+json"),
    ), description = "The inventory, at most 32 MiB"),
    responses(
        (status = 200, description = "What was done, or would be", body = ImportReport),
        (status = 413, description = "It is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is refused as a whole, such as for an unknown column", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn import(
    State(shared): State<Shared>,
    caller: Caller,
    Query(how): Query<ImportQuery>,
    body: Bytes,
) -> Result<Json<ImportReport>> {
    caller.require(Permission::WriteRegistry)?;
    let options = ImportOptions { format: how.format, dry_run: how.dry_run, remove: how.remove };
    let report = blocking(move || {
        let text = std::str::from_utf8(&body).map_err(|e| {
            let line = 1 + body[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count();
            let detail = format!("is not UTF-8 text, first on line {line}; save it as \"CSV UTF-8\"");
            Problem::new(Kind::Malformed, "inventory", detail)
        })?;
        shared.registry()?.import(&Author::from(&caller), text, options)
    });
    Ok(Json(report.await?))
}

/// The whole inventory as CSV, without credentials.
#[utoipa::path(
    get,
    path = "/registry/export.csv",
    operation_id = "export_csv",
    tag = "registry",
    extensions(("x-permission" = json!("read-registry"))),
    responses((status = 200, description = "All cameras", body = String, content_type = "text/csv")),
)]
async fn export_csv(State(shared): State<Shared>, caller: Caller) -> Result<Response> {
    export(shared, caller, Format::Csv, "text/csv; charset=utf-8", "cameras.csv").await
}

/// The whole inventory as GeoJSON, without credentials.
#[utoipa::path(
    get,
    path = "/registry/export.geojson",
    operation_id = "export_geojson",
    tag = "registry",
    extensions(("x-permission" = json!("read-registry"))),
    responses((status = 200, description = "All cameras", body = serde_json::Value, content_type = "application/geo+json")),
)]
async fn export_geojson(State(shared): State<Shared>, caller: Caller) -> Result<Response> {
    export(shared, caller, Format::Geojson, "application/geo+json", "cameras.geojson").await
}

async fn export(shared: Shared, caller: Caller, format: Format, kind: &str, file: &str) -> Result<Response> {
    caller.require(Permission::ReadRegistry)?;
    let file_name = file.to_owned();
    let export = move || {
        let text = shared.registry()?.export(format)?;
        let details = json!({ "file": file_name, "bytes": text.len() });
        shared.db.record(&caller.actor, Event { details, ..Event::new("registry.exported") })?;
        Ok(text)
    };
    let text = blocking(export).await?;
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")),
    ];
    Ok((headers, text).into_response())
}
