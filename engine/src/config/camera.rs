//! From the keys of one camera (a `[[camera]]` table or a row of an inventory) to a [`CameraSpec`].

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use super::check::{UsedIds, value_or};
use super::leaf::OneOrMore;
use super::measures::PixelSize;
use super::read::{At, join};
use super::report::{Report, did_you_mean, quoted};
use super::wall::{CameraSpec, Position, StreamFacts, UriText};
use super::wire::{CameraTable, ProfileTable};
use crate::media::{CameraId, Flip, QuarterTurn, Ratio};
use crate::source::{AddressFault, CameraUri};

/// Schemes of cameras, those that are told first.
const SCHEMES: [&str; 9] = ["rtsp", "rtsps", "http", "https", "srt", "udp", "file", "rtspt", "rtspu"];
/// Pixels of each side of a camera's picture.
const SIDES: RangeInclusive<u32> = 16..=16_384;
const STREAM_RATES: RangeInclusive<f64> = 0.1..=240.0;
const MAX_TAGS: usize = 64;

/// Checks one camera. What it gives is of use only where nothing was reported.
pub(super) fn check_camera(
    table: &CameraTable,
    default_id: String,
    taken: &mut UsedIds,
    report: &mut Report<'_>,
) -> CameraSpec {
    let id = taken.take(&table.id, &table.path, &table.here, default_id, report);
    let (profiles, streams) = check_profiles(table, report);
    let name = match (&table.name, &table.id) {
        (Some(name), _) => name.value.clone(),
        (None, Some(id)) => id.value.clone(),
        (None, None) => profiles.get("main").and_then(name_from).unwrap_or_else(|| id.clone()),
    };
    let text = |text: &Option<At<String>>| text.as_ref().map(|t| t.value.clone());
    CameraSpec {
        id: CameraId::new(id),
        name,
        profiles,
        streams,
        transport: value_or(&table.transport, Default::default()),
        client: value_or(&table.client, Default::default()),
        any_certificate: value_or(&table.any_certificate, false),
        site: text(&table.site),
        zone: text(&table.zone),
        tags: check_tags(table, report),
        position: check_position(table, report),
        scene_width_m: check_scene_width(table, report),
        masks: table.masks.iter().flat_map(|m| &m.value).map(|m| m.value).collect(),
        pinned: value_or(&table.pinned, false),
        priority: check_priority(table, report),
        still: value_or(&table.still, false),
        turn: value_or(&table.turn, QuarterTurn::default()),
        flip: value_or(&table.flip, Flip::None),
    }
}

fn check_tags(table: &CameraTable, report: &mut Report<'_>) -> Vec<String> {
    let Some(At { value: OneOrMore(list), span }) = &table.tags else { return Vec::new() };
    let key = || join(&table.path, "tags");
    if list.len() > MAX_TAGS {
        report.add(span, key(), format!("has {} tags, and a camera may have {MAX_TAGS}", list.len()));
        return Vec::new();
    }
    let mut tags: Vec<String> = Vec::with_capacity(list.len());
    for tag in list {
        let text = tag.value.trim();
        if text.is_empty() || text.chars().count() > 64 || text.contains([';', '\n', '\r']) {
            let message = format!("{} is no tag", quoted(text));
            report.add_with(&tag.span, key(), message, "1 to 64 characters, without ; in it");
        } else if !tags.iter().any(|t| t == text) {
            tags.push(text.to_owned());
        }
    }
    tags
}

fn check_position(table: &CameraTable, report: &mut Report<'_>) -> Option<Position> {
    let in_range = |given: &Option<At<f64>>, name: &str, limit: f64, report: &mut Report<'_>| {
        if let Some(given) = given.as_ref().filter(|g| g.value.abs() > limit) {
            let message = format!("is out of range: -{limit} to {limit} degrees");
            report.add(&given.span, join(&table.path, name), message);
        }
    };
    in_range(&table.latitude, "latitude", 90.0, report);
    in_range(&table.longitude, "longitude", 180.0, report);
    let alone = |given: &At<f64>, has: &str, lacks: &'static str, report: &mut Report<'_>| {
        if !table.given.contains(&lacks) {
            let message = format!("is given without {lacks}");
            report.add_with(&given.span, join(&table.path, has), message, "a position needs both");
        }
    };
    match (&table.latitude, &table.longitude) {
        (Some(north), Some(east)) => Some(Position { latitude: north.value, longitude: east.value }),
        (Some(north), None) => {
            alone(north, "latitude", "longitude", report);
            None
        }
        (None, Some(east)) => {
            alone(east, "longitude", "latitude", report);
            None
        }
        (None, None) => None,
    }
}

fn check_scene_width(table: &CameraTable, report: &mut Report<'_>) -> Option<f64> {
    let width = table.scene_width_m.as_ref()?;
    if !(0.1..=10_000.0).contains(&width.value) {
        let key = join(&table.path, "scene_width_m");
        report.add(&width.span, key, "is out of range: 0.1 to 10000 metres");
    }
    Some(width.value)
}

fn check_priority(table: &CameraTable, report: &mut Report<'_>) -> u8 {
    let Some(priority) = &table.priority else { return CameraSpec::DEFAULT_PRIORITY };
    u8::try_from(priority.value).unwrap_or_else(|_| {
        report.add(&priority.span, join(&table.path, "priority"), "is out of range: 0 to 255");
        CameraSpec::DEFAULT_PRIORITY
    })
}

type Profiles = (BTreeMap<String, UriText>, BTreeMap<String, StreamFacts>);

fn check_profiles(table: &CameraTable, report: &mut Report<'_>) -> Profiles {
    let mut profiles = BTreeMap::new();
    let mut streams = BTreeMap::new();
    // Main's address is missing or unreadable, and that is said already.
    let mut told = false;
    for (name, profile) in table.profiles.iter().flat_map(|p| &p.value.0) {
        let facts = check_facts(profile, report);
        if facts != StreamFacts::default() {
            streams.insert(name.clone(), facts);
        }
        match &profile.uri {
            Some(uri) => {
                check_camera_uri(uri, || profile_key(profile, table), report);
                profiles.insert(name.clone(), UriText::new(&*uri.value));
            }
            None if profile.given.contains(&"uri") => told |= name == "main",
            // `uri` is the address of `main`, wherever the facts of its stream stand.
            None if name == "main" && table.given.contains(&"uri") => {}
            None => {
                let key = join(&profile.path, "uri");
                report.add_with(&profile.here, key, "is missing", "a profile needs its address");
                told |= name == "main";
            }
        }
    }
    let unreadable = table.given.contains(&"profiles") && table.profiles.is_none();
    match (&table.uri, profiles.contains_key("main")) {
        (Some(uri), has_main) => {
            check_camera_uri(uri, || join(&table.path, "uri"), report);
            if has_main {
                report.add_with(
                    &uri.span,
                    join(&table.path, "uri"),
                    "and profiles.main are both given",
                    "they mean the same: keep one",
                );
            }
            profiles.insert("main".into(), UriText::new(&*uri.value));
        }
        (None, true) => {}
        (None, false) if table.given.contains(&"uri") || unreadable || told => {}
        (None, false) => report.add_with(
            &table.here,
            join(&table.path, "uri"),
            "is missing",
            "say where the camera is, as uri = \"rtsp://HOST/PATH\"",
        ),
    }
    (profiles, streams)
}

/// How an address of a profile is named: by the profile alone where nothing else is said of it.
fn profile_key(profile: &ProfileTable, table: &CameraTable) -> String {
    let alone = profile.given == ["uri"] && profile.path.starts_with(&join(&table.path, "profiles."));
    if alone { profile.path.clone() } else { join(&profile.path, "uri") }
}

fn check_facts(profile: &ProfileTable, report: &mut Report<'_>) -> StreamFacts {
    let key = |name: &str| join(&profile.path, name);
    let size = profile.size.as_ref().map(|at| {
        let PixelSize(width, height) = at.value;
        if !SIDES.contains(&width) || !SIDES.contains(&height) {
            let message = format!("{width}x{height} is impossible: each side is 16 to 16384 pixels");
            report.add(&at.span, key("size"), message);
        }
        (width, height)
    });
    let rate_fits = |rate: &Ratio| STREAM_RATES.contains(&rate.as_f64());
    if let Some(fps) = profile.fps.as_ref().filter(|fps| !rate_fits(&fps.value)) {
        report.add(&fps.span, key("fps"), "is out of range: 0.1 to 240 pictures per second");
    }
    if let Some(kbps) = profile.kbps.as_ref().filter(|k| !(1..=200_000).contains(&k.value)) {
        report.add(&kbps.span, key("kbps"), "is out of range: 1 to 200000 kilobits per second");
    }
    StreamFacts {
        size,
        frame_rate: profile.fps.as_ref().map(|f| f.value),
        codec: profile.codec.as_ref().map(|c| c.value),
        kbps: profile.kbps.as_ref().map(|k| k.value),
    }
}

/// Refuses what no source can open. Says nothing of the address but its scheme: the rest may hold
/// a login.
fn check_camera_uri(uri: &At<String>, key: impl FnOnce() -> String, report: &mut Report<'_>) {
    let is_path = |text: &str| ["/", "./", "../"].iter().any(|start| text.starts_with(start));
    let schemes = || format!("one of {}", SCHEMES[..7].join(", "));
    let fault = match CameraUri::read(&uri.value) {
        // A camera's file is named as one: `10.0.0.7/stream` is an address without its scheme.
        Ok(read) if read.path().is_none() || uri.value.contains("://") || is_path(&uri.value) => return,
        Ok(_) => AddressFault::NoAddress,
        Err(fault) => fault,
    };
    let (message, remedy) = match fault {
        AddressFault::Empty | AddressFault::NoAddress => (
            "is no address".to_owned(),
            format!("it begins with a scheme and ://, {}; or with / or ./ for a file", schemes()),
        ),
        AddressFault::UnknownScheme(scheme) => (
            format!("scheme {} is not one that a camera can have", quoted(scheme)),
            did_you_mean(scheme, SCHEMES).unwrap_or_else(|| format!("it is {}", schemes())),
        ),
        AddressFault::Malformed(_, url::ParseError::EmptyHost) | AddressFault::NoHost(_) => {
            ("names no host".into(), "write scheme://HOST:PORT/PATH".into())
        }
        AddressFault::NoFile => ("names no file".into(), "write file:///FOLDER/FILE".into()),
        AddressFault::Malformed(_, error) => (
            format!("is no address: {error}"),
            "characters such as @ : / in a password are written as %40 %3A %2F".into(),
        ),
        AddressFault::NoLoginHere(_) => {
            ("takes no user name and password".into(), "leave them out of this address".into())
        }
    };
    report.add_with(&uri.span, key(), message, remedy);
}

/// A name from an address: host and plain path, or the name of a file. Never a login or a query.
fn name_from(uri: &UriText) -> Option<String> {
    if !uri.expose().contains("://") {
        return Path::new(uri.expose()).file_name().map(|name| name.to_string_lossy().into_owned());
    }
    let url = url::Url::parse(uri.expose()).ok()?;
    let plain = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let parts: Vec<&str> = url.path_segments()?.filter(|p| !p.is_empty()).collect();
    if url.scheme() == "file" {
        return parts.last().filter(|p| plain(p)).map(|p| (*p).to_owned());
    }
    let host = url.host_str().filter(|h| !h.is_empty())?;
    // Some cameras take their login in the path (`user=…&password=…`): then the host alone is shown.
    let path = parts.iter().all(|p| plain(p) && !p.to_ascii_lowercase().contains("pass"));
    Some(match (path && !parts.is_empty(), parts.join("/")) {
        (true, path) => format!("{host}/{path}"),
        (false, _) => host.to_owned(),
    })
}
