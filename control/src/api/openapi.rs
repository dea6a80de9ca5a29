//! The OpenAPI document: from the handlers' own types, with what holds for all of them added here.

use std::collections::HashMap;
use std::sync::OnceLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, Content, Info, OpenApi, OpenApiBuilder, PathItem, Paths, Ref, RefOr, Schema,
    SecurityRequirement, extensions::Extensions,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use crate::base::{Problem, Result};

/// The media type of every error.
const PROBLEM: &str = "application/problem+json";

/// What stands above all routes.
fn head() -> OpenApi {
    let mut info = Info::new("Vitrail", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "What the operators of a control room use: registry, agreements, incidents, walls, audit. \
         Errors are problem+json (RFC 9457). `x-permission` names what each operation needs; null: no login."
            .into(),
    );
    let session = ApiKey::Cookie(ApiKeyValue::with_description(
        super::caller::COOKIE,
        "Set by POST /api/v1/login. Changes need the header X-CSRF with `csrf` of GET /api/v1/me.",
    ));
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API token, made by POST /api/v1/tokens."))
        .build();
    let mut components = Components::new();
    components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    components.add_security_scheme("token", SecurityScheme::Http(token));
    components.schemas.insert(Problem::name().into(), Problem::schema());
    let mut schemas = Vec::new();
    Problem::schemas(&mut schemas);
    components.schemas.extend(schemas);
    let none: [&str; 0] = [];
    OpenApiBuilder::new()
        .info(info)
        .paths(Paths::new())
        .components(Some(components))
        .security(Some([SecurityRequirement::new("session", none), SecurityRequirement::new("token", none)]))
        .build()
}

/// The whole document.
pub fn document() -> OpenApi {
    let router = OpenApiRouter::with_openapi(head()).nest("/api/v1", super::routes()).merge(super::outside());
    let mut document = router.into_openapi();
    let mut seen = HashMap::new();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete(path, method, operation, &mut seen);
        }
    }
    if let Some(components) = &mut document.components {
        open_parts(components);
    }
    document
}

/// A part of a larger object (`allOf`) stands beside fields that are not its own: what is closed by itself
/// (`additionalProperties: false`) would be satisfied by nothing there.
fn open_parts(components: &mut Components) {
    let of_all = |schema: &RefOr<Schema>| match schema {
        RefOr::T(Schema::AllOf(all)) => all.items.clone(),
        _ => Vec::new(),
    };
    let parts: Vec<RefOr<Schema>> = components.schemas.values().flat_map(of_all).collect();
    for part in parts {
        let RefOr::Ref(part) = part else { continue };
        let Some(name) = part.ref_location.strip_prefix("#/components/schemas/") else { continue };
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(name) {
            object.additional_properties = None;
        }
    }
}

/// Every operation of a path.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}

/// Adds what holds for every operation: an id of its own, and that any error is a problem.
fn complete(path: &str, method: &str, operation: &mut Operation, seen: &mut HashMap<String, usize>) {
    let id = operation.operation_id.get_or_insert_with(|| method.to_owned());
    let count = seen.entry(id.clone()).or_default();
    *count += 1;
    if *count > 1 {
        let words = path.trim_start_matches("/api/v1/").replace(['/', '-', '.'], "_").replace(['{', '}'], "");
        *id = format!("{method}_{words}");
    }
    let extensions = operation.extensions.get_or_insert_with(Extensions::default);
    let public = extensions.get("x-permission").is_some_and(serde_json::Value::is_null);
    let mut add = |status: &str, text: &str| {
        let content = Content::new(Some(Ref::from_schema_name(Problem::name())));
        let response = ResponseBuilder::new().description(text).content(PROBLEM, content).build();
        operation.responses.responses.entry(status.into()).or_insert_with(|| response.into());
    };
    if !public {
        add("401", "Nobody is logged in");
        add("403", "This role may not, or X-CSRF is missing");
    }
    add("default", "What went wrong");
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "monitoring",
    extensions(("x-permission" = json!(null))),
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)),
)]
async fn get_openapi() -> Result<Response> {
    static JSON: OnceLock<Bytes> = OnceLock::new();
    let json = match JSON.get() {
        Some(json) => json.clone(),
        None => {
            let json = document().to_json().map_err(|e| Problem::internal("openapi", e.to_string()))?;
            JSON.get_or_init(|| Bytes::from(json)).clone()
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// The route of this file.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(get_openapi))
}
