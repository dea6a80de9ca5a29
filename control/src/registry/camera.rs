//! A camera on the wire, and what JSON changes in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::row::{self, Cells};
use super::store::Stored;
use crate::base::{Problem, Result, Utc};
use vitrail_engine::source::{RtspClient, Transport};

/// A camera as everybody may know it: no credential is in it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Camera {
    /// Its id: letters, digits, `-`, `_` and `.`, at most 64.
    pub id: String,
    /// What its label shows.
    pub name: String,
    /// Whose camera it is.
    pub zone: Option<String>,
    /// The cabinet or building that it shares with others.
    pub site: Option<String>,
    /// Its streams: `main` always, `sub` often.
    pub profiles: BTreeMap<String, Profile>,
    /// Degrees north (WGS 84).
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// Metres of the scene that the width of its picture covers.
    pub scene_width_m: Option<f64>,
    /// Words by which it is found, and by which agreements may be limited.
    pub tags: Vec<String>,
    /// Parts of the picture that are never shown: `[x, y, width, height]`, each 0 to 1, of the picture as the
    /// camera sends it, before any turn.
    pub masks: Vec<[f32; 4]>,
    /// 0 to 255; lower ones degrade first.
    pub priority: u8,
    /// Degrades last.
    pub pinned: bool,
    /// Its picture may stay the same for long.
    pub still: bool,
    /// Turned clockwise by so many degrees, after what the stream asks for: 0, 90, 180 or 270.
    pub turn: u32,
    /// What of it changes places then: `none`, `horizontal` or `vertical`.
    pub flip: String,
    /// `tcp` or `udp`.
    pub transport: String,
    /// `auto` or `gstreamer`.
    pub client: String,
    /// Takes a certificate that no authority signed.
    pub any_certificate: bool,
    /// Address of its ONVIF device service, for moving it.
    pub onvif: Option<String>,
    /// Whether credentials are stored for it.
    pub credentials: bool,
    /// Counts its changes.
    pub version: i64,
    /// When it was last changed.
    pub changed_at: Utc,
}

/// A stream of a camera.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Profile {
    /// Its address; what is secret in it is left out or stands as `…`.
    pub uri: String,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Pictures per second.
    pub frame_rate: Option<f64>,
    /// `h264` or `h265`.
    pub codec: Option<String>,
    /// Kilobits per second.
    pub kbps: Option<u32>,
}

/// What may be said of a camera when it is added or changed. On a change, what is left out stays and
/// `null` takes away; of `profiles` too, profile by profile. A login in an address is stored as its
/// credentials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraInput {
    /// Its id; needed for a new camera, never changed.
    pub id: Option<String>,
    /// The version that a change was made from, unless `If-Match` says it.
    pub version: Option<i64>,
    /// What its label shows; the id where it is not given.
    pub name: Option<String>,
    /// An id of `/zones`.
    pub zone: Option<String>,
    /// An id of `/sites`.
    pub site: Option<String>,
    /// Streams by name; `main` is needed.
    #[schema(value_type = Option<BTreeMap<String, ProfileInput>>)]
    pub profiles: Option<BTreeMap<String, Option<ProfileInput>>>,
    /// Degrees north, with `longitude`.
    pub latitude: Option<f64>,
    /// Degrees east, with `latitude`.
    pub longitude: Option<f64>,
    /// 0.1 to 10,000 metres.
    pub scene_width_m: Option<f64>,
    /// At most 64.
    pub tags: Option<Vec<String>>,
    /// `[x, y, width, height]`, each 0 to 1, of the picture as the camera sends it, before any turn.
    pub masks: Option<Vec<[f32; 4]>>,
    /// 0 to 255; 100 where it is not given.
    pub priority: Option<u8>,
    /// Degrades last.
    pub pinned: Option<bool>,
    /// Its picture may stay the same for long.
    pub still: Option<bool>,
    /// 0, 90, 180 or 270 degrees clockwise.
    pub turn: Option<u32>,
    /// `none`, `horizontal` (left and right change) or `vertical`, of the turned picture.
    pub flip: Option<String>,
    /// `tcp` or `udp`.
    pub transport: Option<String>,
    /// `auto` or `gstreamer`.
    pub client: Option<String>,
    /// Takes a certificate that no authority signed.
    pub any_certificate: Option<bool>,
    /// `http://HOST/onvif/device_service`.
    pub onvif: Option<String>,
}

/// A stream of [`CameraInput`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileInput {
    /// Its address, a login in it or not.
    pub uri: Option<String>,
    /// Pixels, 16 to 16384.
    pub width: Option<u32>,
    /// Pixels, 16 to 16384.
    pub height: Option<u32>,
    /// Pictures per second, 0.1 to 240.
    pub frame_rate: Option<f64>,
    /// `h264` or `h265`.
    pub codec: Option<String>,
    /// Kilobits per second.
    pub kbps: Option<u32>,
}

impl From<&Stored> for Camera {
    fn from(stored: &Stored) -> Camera {
        let spec = &stored.spec;
        let profile = |name: &String, uri: &str| {
            let facts = spec.streams.get(name).copied().unwrap_or_default();
            Profile {
                uri: uri.to_owned(),
                width: facts.size.map(|(width, _)| width),
                height: facts.size.map(|(_, height)| height),
                frame_rate: facts.frame_rate.map(|rate| (rate.as_f64() * 1000.0).round() / 1000.0),
                codec: facts.codec.and_then(row::codec_text).map(str::to_owned),
                kbps: facts.kbps,
            }
        };
        Camera {
            id: spec.id.to_string(),
            name: spec.name.clone(),
            zone: spec.zone.clone(),
            site: spec.site.clone(),
            profiles: spec.profiles.iter().map(|(n, uri)| (n.clone(), profile(n, uri.expose()))).collect(),
            latitude: spec.position.map(|p| p.latitude),
            longitude: spec.position.map(|p| p.longitude),
            scene_width_m: spec.scene_width_m,
            tags: spec.tags.clone(),
            masks: spec.masks.iter().map(|m| [m.x, m.y, m.width, m.height]).collect(),
            priority: spec.priority,
            pinned: spec.pinned,
            still: spec.still,
            turn: spec.turn.degrees(),
            flip: spec.flip.word().into(),
            transport: if spec.transport == Transport::Udp { "udp" } else { "tcp" }.into(),
            client: if spec.client == RtspClient::Gstreamer { "gstreamer" } else { "auto" }.into(),
            any_certificate: spec.any_certificate,
            onvif: stored.onvif.clone(),
            credentials: stored.has_secrets,
            version: stored.version,
            changed_at: stored.changed_at,
        }
    }
}

/// Lays what JSON says over cells; gives the ONVIF address where it is spoken of.
pub(super) fn lay_over(cells: &mut Cells, said: &Map<String, Value>) -> Result<Option<Option<String>>> {
    let mut onvif = None;
    for (key, value) in said {
        match key.as_str() {
            "id" | "version" => {}
            "name" | "zone" | "site" | "flip" | "transport" | "client" => set(cells, key, text(key, value)?),
            "latitude" | "longitude" | "scene_width_m" | "priority" | "turn" => {
                set(cells, key, number(key, value)?)
            }
            "pinned" | "still" | "any_certificate" => set(cells, key, flag(key, value)?),
            "tags" => set(cells, key, tags(value)?),
            "masks" => set(cells, key, masks(value)?),
            "profiles" => profiles(cells, value)?,
            "onvif" => onvif = Some(text(key, value)?),
            "credentials" | "changed_at" => return Err(field(key, "cannot be set here")),
            other => {
                let name: String =
                    other.chars().take(40).filter(|c| c.is_alphanumeric() || "_-.".contains(*c)).collect();
                return Err(field(&name, "is no field of a camera"));
            }
        }
    }
    Ok(onvif)
}

fn set(cells: &mut Cells, column: &str, value: Option<String>) {
    match value.filter(|v| !v.is_empty()) {
        Some(value) => drop(cells.insert(column.to_owned(), value)),
        None => drop(cells.remove(column)),
    }
}

fn profiles(cells: &mut Cells, value: &Value) -> Result<()> {
    let Value::Object(said) = value else { return Err(field("profiles", "must be an object of profiles")) };
    for (name, profile) in said {
        // A name with a dot in it would be another column.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 32 || !name.chars().all(plain) {
            return Err(field("profiles", "has a name that is none: letters, digits, - and _, at most 32"));
        }
        let mut key = |key: &str, value| set(cells, &format!("{name}.{key}"), value);
        match profile {
            Value::Null => {
                for column in ["uri", "size", "fps", "codec", "kbps"] {
                    key(column, None);
                }
            }
            Value::Object(keys) => one_profile(cells, name, keys)?,
            _ => return Err(field(&format!("profiles.{name}"), "must be an object or null")),
        }
    }
    Ok(())
}

fn one_profile(cells: &mut Cells, name: &str, keys: &Map<String, Value>) -> Result<()> {
    let label = |key: &str| format!("profiles.{name}.{key}");
    for (key, value) in keys {
        let label = label(key);
        match key.as_str() {
            "uri" => set(cells, &format!("{name}.uri"), text(&label, value)?),
            "codec" => set(cells, &format!("{name}.codec"), text(&label, value)?),
            "kbps" => set(cells, &format!("{name}.kbps"), number(&label, value)?),
            "frame_rate" => {
                number(&label, value)?;
                set(cells, &format!("{name}.fps"), value.as_f64().map(row::rate_of_number));
            }
            "width" | "height" => {}
            _ => {
                return Err(field(
                    &format!("profiles.{name}"),
                    "has an unknown key; known: uri, width, height, frame_rate, codec, kbps",
                ));
            }
        }
    }
    if !keys.contains_key("width") && !keys.contains_key("height") {
        return Ok(());
    }
    let column = format!("{name}.size");
    let was = cells.get(&column).and_then(|s| s.split_once('x')).map(|(w, h)| (w.to_owned(), h.to_owned()));
    let (was_width, was_height) = was.unzip();
    let side = |key: &str, was: Option<String>| match keys.get(key) {
        Some(value) => number(&label(key), value),
        None => Ok(was),
    };
    let size = match (side("width", was_width)?, side("height", was_height)?) {
        (Some(width), Some(height)) => Some(format!("{width}x{height}")),
        (None, None) => None,
        _ => return Err(field(&label("width"), "needs its height, and a height its width")),
    };
    set(cells, &column, size);
    Ok(())
}

fn text(key: &str, value: &Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.trim().to_owned())),
        _ => Err(field(key, "must be text")),
    }
}

fn number(key: &str, value: &Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(Some(number.to_string())),
        _ => Err(field(key, "must be a number")),
    }
}

fn flag(key: &str, value: &Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(set) => Ok(Some(set.to_string())),
        _ => Err(field(key, "must be true or false")),
    }
}

pub(super) fn tags(value: &Value) -> Result<Option<String>> {
    let wrong = || field("tags", "must be a list of texts of 1 to 64 characters, without ; in them");
    match value {
        Value::Null => Ok(None),
        Value::Array(tags) => {
            let tags: Option<Vec<&str>> = tags
                .iter()
                .map(|t| t.as_str().map(str::trim).filter(|t| !t.is_empty() && !t.contains(';')))
                .collect();
            Ok(Some(tags.ok_or_else(wrong)?.join("; ")))
        }
        _ => Err(wrong()),
    }
}

pub(super) fn masks(value: &Value) -> Result<Option<String>> {
    let wrong = || field("masks", "must be a list of [x, y, width, height], each 0 to 1");
    let Value::Array(masks) = value else {
        return if value.is_null() { Ok(None) } else { Err(wrong()) };
    };
    let mut texts = Vec::with_capacity(masks.len());
    for mask in masks {
        let numbers = mask.as_array().filter(|m| m.len() == 4).ok_or_else(wrong)?;
        // By way of f32, in which masks are kept, so that 0.2 stays 0.2.
        let words: Option<Vec<String>> =
            numbers.iter().map(|n| n.as_f64().map(|n| (n as f32).to_string())).collect();
        texts.push(words.ok_or_else(wrong)?.join(" "));
    }
    Ok(Some(texts.join("; ")))
}

/// A field that is wrong.
pub(super) fn field(key: &str, message: &str) -> Problem {
    let fields = [serde_json::json!({ "field": key, "message": message })];
    Problem::invalid(key, message).more(serde_json::json!({ "fields": fields }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(cells: &mut Cells, json: Value) -> Result<Option<Option<String>>> {
        lay_over(cells, json.as_object().expect("an object"))
    }

    #[test]
    fn what_is_left_out_stays_and_null_takes_away() {
        let mut cells = Cells::new();
        let json = serde_json::json!({
            "name": "Gate", "tags": ["a", "b"], "masks": [[0, 0, 0.2, 0.5]], "latitude": 50.85, "longitude": 4,
            "profiles": { "main": { "uri": "rtsp://h/1", "width": 1920, "height": 1080, "frame_rate": 29.97 },
                          "sub": { "uri": "rtsp://h/2" } } });
        assert_eq!(over(&mut cells, json).expect("right"), None);
        assert_eq!((cells["tags"].as_str(), cells["masks"].as_str()), ("a; b", "0 0 0.2 0.5"));
        assert_eq!((cells["main.size"].as_str(), cells["main.fps"].as_str()), ("1920x1080", "30000/1001"));
        let json = serde_json::json!({ "tags": null, "onvif": "http://h/x", "profiles": { "sub": null, "main": { "height": 720 } } });
        assert_eq!(over(&mut cells, json).expect("right"), Some(Some("http://h/x".into())));
        assert!(!cells.contains_key("tags") && !cells.contains_key("sub.uri") && cells["name"] == "Gate");
        assert_eq!((cells["main.size"].as_str(), cells["main.uri"].as_str()), ("1920x720", "rtsp://h/1"));
    }

    #[test]
    fn what_is_no_camera_is_refused_by_field() {
        for (json, key) in [
            (serde_json::json!({ "nmae": "x" }), "nmae"),
            (serde_json::json!({ "name": 5 }), "name"),
            (serde_json::json!({ "masks": [[0, 0, 1]] }), "masks"),
            (serde_json::json!({ "tags": ["a;b"] }), "tags"),
            (serde_json::json!({ "pinned": "yes" }), "pinned"),
            (serde_json::json!({ "profiles": { "a.b": {} } }), "profiles"),
            (serde_json::json!({ "profiles": { "main": { "width": 5 } } }), "profiles.main.width"),
            (serde_json::json!({ "credentials": true }), "credentials"),
        ] {
            assert_eq!(over(&mut Cells::new(), json).expect_err("wrong").title, key);
        }
    }
}
