//! A camera as cells of text, in the columns of the engine's inventories. Whatever comes from
//! outside (CSV, GeoJSON, JSON) becomes such cells and is checked by the engine's loader: there is
//! one parser, and one list of what a camera may be.

use std::collections::{BTreeMap, BTreeSet};

use vitrail_engine::config::{CameraSpec, Inventory, Problem as Fault};
use vitrail_engine::media::{Codec, Flip, Ratio};
use vitrail_engine::source::{RtspClient, Transport};

use crate::base::{Problem, Result};

/// The columns of a camera, in the order of an export; those of its profiles follow.
const COLUMNS: [&str; 17] = [
    "id",
    "name",
    "zone",
    "site",
    "tags",
    "latitude",
    "longitude",
    "scene_width_m",
    "priority",
    "pinned",
    "still",
    "turn",
    "flip",
    "transport",
    "client",
    "any_certificate",
    "masks",
];
/// The columns of a profile, `NAME.KEY`.
const PROFILE_COLUMNS: [&str; 5] = ["uri", "size", "fps", "codec", "kbps"];
/// Characters of a name, a zone or a site at most: what a label or a list can show.
pub(super) const MAX_TEXT: usize = 200;

/// Masks of a camera at most; they stand in a record when they change.
const MAX_MASKS: usize = 256;

/// Cells by column. Empty ones are left out.
pub(super) type Cells = BTreeMap<String, String>;

/// The cells of a camera.
pub(super) fn cells(camera: &CameraSpec) -> Cells {
    let mut cells = Cells::new();
    let mut put = |column: &str, value: String| {
        if !value.is_empty() {
            cells.insert(column.to_owned(), value);
        }
    };
    put("id", camera.id.to_string());
    put("name", camera.name.clone());
    put("zone", camera.zone.clone().unwrap_or_default());
    put("site", camera.site.clone().unwrap_or_default());
    put("tags", camera.tags.join("; "));
    if let Some(place) = camera.position {
        put("latitude", place.latitude.to_string());
        put("longitude", place.longitude.to_string());
    }
    put("scene_width_m", camera.scene_width_m.map(|w| w.to_string()).unwrap_or_default());
    if camera.priority != CameraSpec::DEFAULT_PRIORITY {
        put("priority", camera.priority.to_string());
    }
    for (column, set) in
        [("pinned", camera.pinned), ("still", camera.still), ("any_certificate", camera.any_certificate)]
    {
        put(column, if set { "true".into() } else { String::new() });
    }
    if camera.turn.degrees() != 0 {
        put("turn", camera.turn.degrees().to_string());
    }
    if camera.flip != Flip::None {
        put("flip", camera.flip.word().into());
    }
    if camera.transport == Transport::Udp {
        put("transport", "udp".into());
    }
    if camera.client == RtspClient::Gstreamer {
        put("client", "gstreamer".into());
    }
    let mask = |m: &vitrail_engine::media::Region| format!("{} {} {} {}", m.x, m.y, m.width, m.height);
    put("masks", camera.masks.iter().map(mask).collect::<Vec<_>>().join("; "));
    for (name, uri) in &camera.profiles {
        put(&format!("{name}.uri"), uri.expose().to_owned());
        let Some(facts) = camera.streams.get(name) else { continue };
        put(&format!("{name}.size"), facts.size.map(|(w, h)| format!("{w}x{h}")).unwrap_or_default());
        put(&format!("{name}.fps"), facts.frame_rate.map(rate_text).unwrap_or_default());
        put(&format!("{name}.codec"), facts.codec.and_then(codec_text).unwrap_or_default().to_owned());
        put(&format!("{name}.kbps"), facts.kbps.map(|k| k.to_string()).unwrap_or_default());
    }
    cells
}

fn rate_text(rate: Ratio) -> String {
    if rate.den == 1 { rate.num.to_string() } else { format!("{}/{}", rate.num, rate.den) }
}

/// A rate as people write it: what is within a thousandth of an NTSC rate is one.
pub(super) fn rate_of_number(rate: f64) -> String {
    let whole = (rate * 1.001).round();
    let ntsc = whole * 1000.0 / 1001.0;
    if (rate - ntsc).abs() < 0.001 && (rate - rate.round()).abs() >= 0.001 {
        return format!("{whole}000/1001");
    }
    rate.to_string()
}

/// The name of a codec, where inventories have one for it.
pub(super) fn codec_text(codec: Codec) -> Option<&'static str> {
    match codec {
        Codec::H264 => Some("h264"),
        Codec::H265 => Some("h265"),
        Codec::Mjpeg | Codec::Mpeg4 => None,
    }
}

/// The cameras as a CSV inventory, every camera a line.
pub(super) fn to_csv<'a>(cameras: impl Iterator<Item = &'a CameraSpec> + Clone) -> String {
    let profiles: BTreeSet<&str> =
        cameras.clone().flat_map(|c| c.profiles.keys().map(String::as_str)).collect();
    // `main` first, as people read it.
    let profiles = ["main"].into_iter().chain(profiles.into_iter().filter(|p| *p != "main"));
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|c| (*c).to_owned())
        .chain(profiles.flat_map(|p| PROFILE_COLUMNS.iter().map(move |c| format!("{p}.{c}"))))
        .collect();
    let mut out = columns.join(",");
    out.push('\n');
    for camera in cameras {
        csv_line(&columns, &cells(camera), &mut out);
    }
    out
}

fn csv_line(columns: &[String], cells: &Cells, out: &mut String) {
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        csv_cell(cells.get(column).map(String::as_str).unwrap_or_default(), i == 0, out);
    }
    out.push('\n');
}

/// A cell; the first one of a line stands in quotes where the line could be taken for a comment or
/// for an empty one.
fn csv_cell(text: &str, first: bool, out: &mut String) {
    let plain = !text.contains(['"', ',', ';', '\t']) && text.trim() == text;
    if plain && !(first && (text.is_empty() || text.starts_with('#'))) {
        out.push_str(text);
        return;
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

/// A row that is left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct RowProblem {
    /// The line of a CSV, or the number of a GeoJSON feature; from 1.
    pub row: Option<usize>,
    /// What it is about: `camera gate-3.latitude`.
    pub key: String,
    /// What is wrong and what to do. Shows no address.
    pub message: String,
}

/// Rows that were read: cameras with their row, and what is wrong with the others.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub cameras: Vec<CameraSpec>,
    pub problems: Vec<RowProblem>,
    /// How many were left out.
    pub left_out: usize,
}

/// Reads a CSV inventory with the engine's loader.
///
/// # Errors
/// The file as a whole is refused: no header, an unknown column.
pub(super) fn read_csv(text: &str) -> Result<Rows> {
    let inventory = Inventory::from_text(text, "inventory.csv").map_err(|errors| {
        let problems: Vec<RowProblem> = errors.problems().iter().map(|p| row_problem(p, 0)).collect();
        let detail = problems.first().map(|p| format!("{}: {}", p.key, p.message)).unwrap_or_default();
        Problem::invalid("inventory", detail.trim_start_matches(": "))
            .more(serde_json::json!({ "rows": problems }))
    })?;
    let mut rows = Rows {
        cameras: Vec::with_capacity(inventory.len()),
        problems: inventory.problems().iter().map(|p| row_problem(p, 0)).collect(),
        left_out: inventory.rejected(),
    };
    for camera in inventory.cameras() {
        match tidy(camera.clone()) {
            Ok(camera) => rows.cameras.push(camera),
            Err((field, message)) => {
                rows.left_out += 1;
                let key = format!("camera {}.{field}", camera.id);
                rows.problems.push(RowProblem { row: None, key, message });
            }
        }
    }
    Ok(rows)
}

/// Reads records of cells; problems count them from 1.
pub(super) fn read_cells(records: &[Cells]) -> Result<Rows> {
    let mut named: BTreeSet<String> = records.iter().flat_map(|r| r.keys()).cloned().collect();
    // What one record lacks is a fault of that record, not of all of them.
    let profiles: Vec<String> =
        named.iter().filter_map(|c| profile_of(c)).map(|p| format!("{p}.uri")).collect();
    named.extend(profiles);
    if !named.contains("uri") {
        named.insert("main.uri".into());
    }
    let mut columns: Vec<String> = vec!["id".into()];
    columns.extend(named.into_iter().filter(|c| c != "id"));
    let mut out = String::new();
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        csv_cell(column, false, &mut out);
    }
    out.push('\n');
    for record in records {
        csv_line(&columns, record, &mut out);
    }
    let mut rows = read_csv(&out)?;
    for problem in &mut rows.problems {
        // The header is line 1.
        problem.row = problem.row.map(|line| line.saturating_sub(1));
    }
    Ok(rows)
}

/// The profile of which a column tells something.
fn profile_of(column: &str) -> Option<&str> {
    let (profile, key) = column.rsplit_once('.')?;
    PROFILE_COLUMNS.contains(&key).then_some(profile)
}

/// Checks one camera.
///
/// # Errors
/// What is wrong, field by field, in `more.fields`.
pub(super) fn check_one(cells: &Cells) -> Result<CameraSpec> {
    let id = cells.get("id").map(String::as_str).unwrap_or_default();
    if let Some((column, _)) = cells.iter().find(|(_, value)| value.contains(['\n', '\r'])) {
        let fields =
            [serde_json::json!({ "field": field_of(column, id), "message": "has a line break in it" })];
        return Err(wrong(id, &fields));
    }
    let rows = read_cells(std::slice::from_ref(cells))?;
    if let ([camera], 0) = (rows.cameras.as_slice(), rows.left_out) {
        return Ok(camera.clone());
    }
    let fields: Vec<serde_json::Value> = rows
        .problems
        .iter()
        .map(|p| serde_json::json!({ "field": field_of(&p.key, id), "message": p.message }))
        .collect();
    Err(wrong(id, &fields))
}

fn wrong(id: &str, fields: &[serde_json::Value]) -> Problem {
    let first = fields.first().map(|f| format!("{} {}", text_of(f, "field"), text_of(f, "message")));
    Problem::invalid(
        format!("camera {id}").trim().to_owned(),
        first.unwrap_or_else(|| "cannot be read".into()),
    )
    .more(serde_json::json!({ "fields": fields }))
}

fn text_of<'a>(value: &'a serde_json::Value, key: &str) -> &'a str {
    value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// The field of the API that a column or a key of a message means.
pub(super) fn field_of(key: &str, id: &str) -> String {
    let key = key.strip_prefix(&format!("camera {id}.")).unwrap_or(key);
    match key.rsplit_once('.') {
        Some((profile, "size")) => format!("profiles.{profile}.width"),
        Some((profile, "fps")) => format!("profiles.{profile}.frame_rate"),
        Some((profile, key)) => format!("profiles.{profile}.{key}"),
        None if key == "uri" => "profiles.main.uri".into(),
        None => key.to_owned(),
    }
}

fn row_problem(fault: &Fault, skip: usize) -> RowProblem {
    let message = match &fault.remedy {
        Some(remedy) => format!("{}; {remedy}", fault.message),
        None => fault.message.clone(),
    };
    let row = fault.place.as_ref().map(|p| p.line.saturating_sub(skip));
    RowProblem { row, key: fault.key.clone(), message }
}

/// What inventories let through and the registry does not: texts that no list can show.
pub(super) fn tidy(mut camera: CameraSpec) -> std::result::Result<CameraSpec, (&'static str, String)> {
    for (field, text) in
        [("name", Some(&mut camera.name)), ("zone", camera.zone.as_mut()), ("site", camera.site.as_mut())]
    {
        let Some(text) = text else { continue };
        if text.contains(char::is_control) {
            *text = text.replace(char::is_control, " ");
        }
        if text.trim() != text {
            *text = text.trim().to_owned();
        }
        if text.chars().count() > MAX_TEXT {
            return Err((field, format!("is longer than {MAX_TEXT} characters")));
        }
    }
    if camera.masks.len() > MAX_MASKS {
        return Err(("masks", format!("are more than {MAX_MASKS}")));
    }
    if camera.name.is_empty() {
        camera.name = camera.id.to_string();
    }
    camera.zone = camera.zone.filter(|z| !z.is_empty());
    camera.site = camera.site.filter(|s| !s.is_empty());
    Ok(camera)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "id,name,zone,site,tags,latitude,longitude,scene_width_m,priority,pinned,still,turn,flip,transport,\
client,any_certificate,masks,main.uri,main.size,main.fps,main.codec,main.kbps,sub.uri,sub.size,sub.fps,sub.codec,sub.kbps
gate-1,\"Gate, \"\"west\"\"\",north,yard,\"tunnel; ring\",50.85,4.35,24.5,7,true,true,90,horizontal,udp,gstreamer,true,\
\"0 0 0.2 0.5; 0.8 0 0.2 0.5\",rtsp://10.0.0.1/main,1920x1080,30000/1001,h265,4000,rtsp://10.0.0.1/sub,640x360,25/2,h264,400
école.2,école.2,,,,,,,,,,,,,,,,rtsp://10.0.0.2/main,,,,,,,,,
";

    #[test]
    fn what_is_written_is_what_was_read() {
        let rows = read_csv(TEXT).expect("an inventory");
        assert_eq!((rows.cameras.len(), rows.problems.len()), (2, 0), "{:?}", rows.problems);
        assert_eq!(rows.cameras[0].masks.len(), 2);
        assert_eq!(to_csv(rows.cameras.iter()), TEXT);
        let cells: Vec<Cells> = rows.cameras.iter().map(cells).collect();
        assert_eq!(read_cells(&cells).expect("cells").cameras, rows.cameras);
    }

    #[test]
    fn every_column_of_the_engine_is_written() {
        let written: BTreeSet<&str> = COLUMNS.iter().chain(&PROFILE_COLUMNS).copied().collect();
        let known: BTreeSet<&str> =
            vitrail_engine::config::csv_columns().iter().map(|key| key.name).collect();
        assert_eq!(written, known, "a column that is not exported is lost");
    }

    #[test]
    fn wrong_fields_are_named_as_the_api_names_them() {
        let mut cells = Cells::new();
        for (column, value) in [
            ("id", "a"),
            ("main.uri", "rtsp://h/x"),
            ("latitude", "91"),
            ("longitude", "4"),
            ("main.fps", "0"),
        ] {
            cells.insert(column.into(), value.into());
        }
        let problem = check_one(&cells).expect_err("wrong");
        let fields: Vec<&str> = problem
            .more
            .iter()
            .flat_map(|m| m["fields"].as_array())
            .flatten()
            .map(|f| text_of(f, "field"))
            .collect();
        assert_eq!(fields, ["latitude", "profiles.main.frame_rate"]);
        cells.insert("name".into(), "two\nlines".into());
        assert!(check_one(&cells).expect_err("wrong").detail.contains("line break"));
        assert!(check_one(&Cells::new()).expect_err("nothing").detail.contains("id"));
        let half = [("id", "a"), ("main.uri", "rtsp://h/x"), ("sub.kbps", "5")];
        let half = half.map(|(column, value)| (column.to_owned(), value.to_owned()));
        let problem = check_one(&Cells::from(half)).expect_err("a profile without its address");
        assert_eq!(problem.more.expect("fields")["fields"][0]["field"], "profiles.sub.uri");
        let comment =
            Cells::from([("id".to_owned(), "#1".to_owned()), ("main.uri".into(), "rtsp://h/x".into())]);
        assert!(check_one(&comment).is_err(), "a comment is no camera");
    }

    #[test]
    fn rates_are_those_that_people_mean() {
        for (number, text) in [
            (25.0, "25"),
            (12.5, "12.5"),
            (29.97, "30000/1001"),
            (29.97003, "30000/1001"),
            (59.94, "60000/1001"),
            (30.0, "30"),
            (0.5, "0.5"),
        ] {
            assert_eq!(rate_of_number(number), text);
        }
    }
}
