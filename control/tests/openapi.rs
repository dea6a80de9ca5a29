//! The OpenAPI document: whole, and what docs/ref/api.md says of it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;
use support::{As, TestController};

fn document() -> Value {
    serde_json::from_str(&vitrail_control::api::openapi::document().to_json().unwrap()).unwrap()
}

/// (method, path, operation)
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter()
            .filter(|(_, o)| o["responses"].is_object())
            .map(move |(m, o)| (m.to_uppercase(), path.clone(), o))
    });
    all.collect()
}

#[test]
fn every_operation_is_described_whole() {
    let document = document();
    let mut ids = HashSet::new();
    let mut wrong = Vec::new();
    for (method, path, operation) in operations(&document) {
        let mut bad = |what: String| wrong.push(format!("{method} {path}: {what}"));
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        if id.is_empty() || !ids.insert(id.clone()) {
            bad(format!("operation id {id:?} is empty or not its own"));
        }
        if operation["summary"].as_str().unwrap_or_default().is_empty() {
            bad("no summary".into());
        }
        if operation.get("x-permission").is_none() {
            bad("no x-permission".into());
        }
        let responses = operation["responses"].as_object().unwrap();
        let public = operation["x-permission"].is_null();
        for status in ["default"].into_iter().chain(["401", "403"].into_iter().filter(|_| !public)) {
            if !responses.contains_key(status) {
                bad(format!("no answer {status}"));
            }
        }
        if !responses.keys().any(|status| status.starts_with('2') || status.starts_with('3')) {
            bad("no answer for success".into());
        }
        for (status, response) in responses {
            let is_error = status == "default" || status.starts_with(['4', '5']);
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            if is_error && schema != "#/components/schemas/Problem" {
                bad(format!("answer {status} is no problem+json"));
            }
        }
        let named: HashSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let described: HashSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|p| p["in"] == "path")
            .filter_map(|p| p["name"].as_str())
            .collect();
        if named != described {
            bad(format!("its address names {named:?}, its description {described:?}"));
        }
    }
    let mut refs = Vec::new();
    references(&document, &mut refs);
    for target in refs {
        if document.pointer(target.trim_start_matches('#')).is_none() {
            wrong.push(format!("{target} leads nowhere"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The document is made of what `routes!` collects; a route that is added past it would be missing.
#[test]
fn no_route_is_added_past_the_document() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![folder];
    let mut wrong = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        if !path.ends_with("tests.rs")
            && [".route(", ".route_service(", ".nest_service("].iter().any(|call| code.contains(call))
        {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "write routes!(…) in {wrong:?}");
}

/// A closed object as a part of a larger one would be satisfied by nothing.
#[test]
fn no_part_of_an_object_forbids_the_others() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut parts = 0;
    for (name, schema) in schemas {
        for part in schema["allOf"].as_array().into_iter().flatten() {
            let Some(of) = part["$ref"].as_str() else { continue };
            let of = &schemas[of.rsplit('/').next().unwrap()];
            assert_ne!(of["additionalProperties"], false, "a part of {name}");
            parts += 1;
        }
    }
    assert!(parts > 2, "{parts}");
}

#[tokio::test]
async fn it_is_served_as_it_is() {
    let controller = TestController::new();
    let answer = controller.ask("GET", "/api/v1/openapi.json", &As::Nobody, None).await;
    assert_eq!(answer.json(), document());
    assert_eq!(answer.header("content-type"), "application/json");
}

/// The table of routes in docs/ref/api.md is made from the document: `UPDATE=1 cargo test` writes it.
#[test]
fn the_reference_lists_every_operation() {
    const BEGIN: &str = "<!-- routes: made by control/tests/openapi.rs -->\n";
    const END: &str = "<!-- end of routes -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ref/api.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).expect("its begin is marked");
    let (table, tail) = rest.split_once(END).expect("its end is marked");
    let document = document();
    let mut lines =
        vec!["| route | permission | what | operation |".to_owned(), "|---|---|---|---|".to_owned()];
    for (method, path, operation) in operations(&document) {
        let permission = operation["x-permission"].as_str().unwrap_or("–");
        let what = operation["summary"]
            .as_str()
            .unwrap_or_default()
            .trim_end_matches('.')
            .replace('|', "\\|")
            .replace('\n', " ");
        let id = operation["operationId"].as_str().unwrap_or_default();
        lines.push(format!("| {method} `{path}` | {permission} | {what} | `{id}` |"));
    }
    let made = format!("\n{}\n\n", lines.join("\n"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{made}{END}{tail}")).unwrap();
        return;
    }
    assert_eq!(table, made, "run UPDATE=1 cargo test -p vitrail-control --test openapi");
}
