//! The inventory as GeoJSON (RFC 7946): a Point feature for each camera, its columns as properties.

use serde_json::{Map, Value, json};

use super::camera;
use super::row::{Cells, RowProblem, cells};
use super::store::Stored;
use crate::base::{Kind, Problem, Result};

/// Features that are read at most; the limit on bytes comes first with usual ones.
const MAX_FEATURES: usize = 200_000;

/// All cameras as a FeatureCollection; the place of a camera is its geometry, or null.
pub(super) fn write(cameras: &[Stored]) -> String {
    let mut out = String::from("{\"type\":\"FeatureCollection\",\"features\":[");
    for (i, camera) in cameras.iter().enumerate() {
        out.push_str(if i > 0 { ",\n" } else { "\n" });
        out.push_str(&feature(camera).to_string());
    }
    out.push_str("\n]}\n");
    out
}

fn feature(camera: &Stored) -> Value {
    let spec = &camera.spec;
    let mut properties = Map::new();
    for (column, text) in cells(spec) {
        let value = match column.as_str() {
            "latitude" | "longitude" => continue,
            "tags" => json!(spec.tags),
            "masks" => masks(spec),
            "pinned" | "still" | "any_certificate" => json!(text == "true"),
            "scene_width_m" => json!(spec.scene_width_m),
            "priority" => json!(spec.priority),
            "turn" => json!(spec.turn.degrees()),
            _ => json!(text),
        };
        properties.insert(column, value);
    }
    if let Some(onvif) = &camera.onvif {
        properties.insert("onvif".into(), json!(onvif));
    }
    let geometry =
        spec.position.map(|p| json!({ "type": "Point", "coordinates": [p.longitude, p.latitude] }));
    json!({ "type": "Feature", "geometry": geometry, "properties": properties })
}

/// Masks as numbers that read as they were written: f32 by way of its shortest text.
fn masks(spec: &vitrail_engine::config::CameraSpec) -> Value {
    let number = |n: f32| json!(n.to_string().parse::<f64>().unwrap_or_default());
    spec.masks.iter().map(|m| json!([number(m.x), number(m.y), number(m.width), number(m.height)])).collect()
}

/// A feature as cells, and the ONVIF address, which no column has.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Record {
    pub cells: Cells,
    pub onvif: Option<String>,
}

/// Reads a FeatureCollection: the record of each feature, or what is wrong with it.
///
/// # Errors
/// It is no GeoJSON.
pub(super) fn read(text: &str) -> Result<Vec<std::result::Result<Record, RowProblem>>> {
    let no_geojson = |detail: &str| Problem::new(Kind::Malformed, "inventory", detail.to_owned());
    // The parser's words may show a value of the file; its line is enough.
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|e| no_geojson(&format!("is no JSON: line {}, column {}", e.line(), e.column())))?;
    let features = match (value.get("type").and_then(Value::as_str), value.get("features")) {
        (Some("FeatureCollection"), Some(Value::Array(features))) => features,
        _ => return Err(no_geojson("is no GeoJSON FeatureCollection")),
    };
    if features.len() > MAX_FEATURES {
        return Err(no_geojson(&format!("has more than {MAX_FEATURES} features")));
    }
    let record = |(i, feature): (usize, &Value)| {
        record(feature).map_err(|(key, message)| RowProblem { row: Some(i + 1), key, message })
    };
    Ok(features.iter().enumerate().map(record).collect())
}

fn record(feature: &Value) -> std::result::Result<Record, (String, String)> {
    let Some(Value::Object(properties)) = feature.get("properties") else {
        return Err((String::new(), "has no properties".into()));
    };
    let id = properties.get("id").and_then(Value::as_str).unwrap_or_default();
    let plain =
        !id.is_empty() && id.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) && id.len() <= 256;
    let key = |name: &str| if plain { format!("camera {id}.{name}") } else { name.to_owned() };
    let mut record = Record::default();
    for (name, value) in properties {
        let text = match name.as_str() {
            "latitude" | "longitude" => continue,
            "tags" if value.is_array() => camera::tags(value).map_err(|p| (key("tags"), p.detail))?,
            "masks" if value.is_array() => camera::masks(value).map_err(|p| (key("masks"), p.detail))?,
            _ => match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                Value::Bool(set) => Some(set.to_string()),
                Value::Number(number) => Some(number.to_string()),
                _ => return Err((key("properties"), "has a list or an object where a text belongs".into())),
            },
        };
        let Some(text) = text.filter(|t| !t.is_empty()) else { continue };
        if text.contains(['\n', '\r']) {
            return Err((key("properties"), "has a text with a line break in it".into()));
        }
        match name.as_str() {
            "onvif" => record.onvif = Some(text),
            name => drop(record.cells.insert(name.to_owned(), text)),
        }
    }
    place(feature, &mut record.cells).map_err(|message| (key("geometry"), message))?;
    Ok(record)
}

fn place(feature: &Value, cells: &mut Cells) -> std::result::Result<(), String> {
    let geometry = match feature.get("geometry") {
        None | Some(Value::Null) => return Ok(()),
        Some(geometry) => geometry,
    };
    let coordinates = geometry.get("coordinates").and_then(Value::as_array);
    let is_point = geometry.get("type").and_then(Value::as_str) == Some("Point");
    match coordinates.filter(|_| is_point).map(Vec::as_slice) {
        Some([Value::Number(longitude), Value::Number(latitude), ..]) => {
            cells.insert("longitude".into(), longitude.to_string());
            cells.insert("latitude".into(), latitude.to_string());
            Ok(())
        }
        _ => Err("is no Point of [longitude, latitude]".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Utc;
    use crate::registry::row::read_cells;

    #[test]
    fn what_is_written_is_what_was_read() {
        let cells = Cells::from(
            [
                ("id", "a"),
                ("name", "Gate, west"),
                ("tags", "tunnel; ring"),
                ("masks", "0 0 0.2 0.5"),
                ("latitude", "50.85"),
                ("longitude", "4.35"),
                ("pinned", "true"),
                ("turn", "270"),
                ("flip", "vertical"),
                ("priority", "7"),
                ("main.uri", "rtsp://h/1"),
                ("main.fps", "30000/1001"),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        let spec = read_cells(&[cells]).expect("cells").cameras.remove(0);
        let stored = Stored {
            n: 1,
            spec,
            onvif: Some("http://h/x".into()),
            version: 1,
            changed_at: Utc(0),
            has_secrets: true,
        };
        let text = write(std::slice::from_ref(&stored));
        assert!(text.contains("[4.35,50.85]") && text.contains("[0.0,0.0,0.2,0.5]"), "{text}");
        let record = read(&text).expect("GeoJSON").remove(0).expect("a record");
        assert_eq!(record.onvif.as_deref(), Some("http://h/x"));
        assert_eq!(read_cells(&[record.cells]).expect("cells").cameras, [stored.spec]);
    }

    #[test]
    fn a_wrong_feature_is_named_and_costs_itself_alone() {
        let text = json!({ "type": "FeatureCollection", "features": [
            { "type": "Feature", "geometry": null, "properties": { "id": "a", "main.uri": "rtsp://h/1" } },
            { "type": "Feature", "geometry": { "type": "LineString", "coordinates": [] }, "properties": { "id": "b" } },
            { "type": "Feature", "geometry": null, "properties": { "id": "c", "name": "x\ny" } },
            { "type": "Feature", "properties": 5 }, 7,
        ] });
        let read = read(&text.to_string()).expect("GeoJSON");
        let rows: Vec<Option<usize>> = read.iter().map(|r| r.as_ref().err().and_then(|p| p.row)).collect();
        assert_eq!(rows, [None, Some(2), Some(3), Some(4), Some(5)]);
        for wrong in ["", "[]", "{}", "{\"type\":\"FeatureCollection\",\"features\":{}}", "{\"a\":hunter2"] {
            let problem = super::read(wrong).expect_err("no GeoJSON");
            assert!(!problem.detail.contains("hunter2"), "{}", problem.detail);
        }
    }
}
