//! Cameras as a TOML inventory.

use std::fmt::Write;

use crate::config::wall::{CameraSpec, StreamFacts};
use crate::media::{Codec, Flip, Ratio};
use crate::source::{RtspClient, Transport};

/// One `[[camera]]` table each, with the keys that differ from their defaults.
pub(super) fn to_toml(cameras: &[CameraSpec]) -> String {
    let mut out = String::new();
    for camera in cameras {
        out.push_str("[[camera]]\n");
        line(&mut out, "id", text(camera.id.as_str()));
        if camera.name != camera.id.as_str() {
            line(&mut out, "name", text(&camera.name));
        }
        for (key, value) in [("zone", &camera.zone), ("site", &camera.site)] {
            if let Some(value) = value {
                line(&mut out, key, text(value));
            }
        }
        if !camera.tags.is_empty() {
            let tags: Vec<String> = camera.tags.iter().map(|tag| text(tag)).collect();
            line(&mut out, "tags", format!("[{}]", tags.join(", ")));
        }
        if let Some(place) = camera.position {
            line(&mut out, "latitude", format!("{:?}", place.latitude));
            line(&mut out, "longitude", format!("{:?}", place.longitude));
        }
        if let Some(width) = camera.scene_width_m {
            line(&mut out, "scene_width_m", format!("{width:?}"));
        }
        for (name, uri) in &camera.profiles {
            let uri = text(uri.expose());
            let value = match camera.streams.get(name) {
                Some(facts) => format!("{{ uri = {uri}{} }}", facts_of(facts)),
                None => uri,
            };
            line(&mut out, &format!("profiles.{name}"), value);
        }
        if camera.transport == Transport::Udp {
            line(&mut out, "transport", "\"udp\"".into());
        }
        if camera.client == RtspClient::Gstreamer {
            line(&mut out, "client", "\"gstreamer\"".into());
        }
        let flags =
            [("any_certificate", camera.any_certificate), ("pinned", camera.pinned), ("still", camera.still)];
        for (key, _) in flags.iter().filter(|(_, set)| *set) {
            line(&mut out, key, "true".into());
        }
        if camera.priority != CameraSpec::DEFAULT_PRIORITY {
            line(&mut out, "priority", camera.priority.to_string());
        }
        if camera.turn.degrees() != 0 {
            line(&mut out, "turn", camera.turn.degrees().to_string());
        }
        if camera.flip != Flip::None {
            line(&mut out, "flip", text(camera.flip.word()));
        }
        if !camera.masks.is_empty() {
            let mask =
                |m: &crate::media::Region| format!("[{:?}, {:?}, {:?}, {:?}]", m.x, m.y, m.width, m.height);
            let masks: Vec<String> = camera.masks.iter().map(mask).collect();
            line(&mut out, "masks", format!("[{}]", masks.join(", ")));
        }
        out.push('\n');
    }
    out
}

fn line(out: &mut String, key: &str, value: String) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "{key} = {value}");
}

fn facts_of(facts: &StreamFacts) -> String {
    let mut out = String::new();
    if let Some((width, height)) = facts.size {
        let _ = write!(out, ", size = \"{width}x{height}\"");
    }
    match facts.frame_rate {
        Some(Ratio { num, den: 1 }) => drop(write!(out, ", fps = {num}")),
        Some(Ratio { num, den }) => drop(write!(out, ", fps = \"{num}/{den}\"")),
        None => {}
    }
    match facts.codec {
        Some(Codec::H264) => out.push_str(", codec = \"h264\""),
        Some(Codec::H265) => out.push_str(", codec = \"h265\""),
        // No inventory can name another.
        Some(Codec::Mjpeg | Codec::Mpeg4) | None => {}
    }
    if let Some(kbps) = facts.kbps {
        let _ = write!(out, ", kbps = {kbps}");
    }
    out
}

/// A TOML basic string.
fn text(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
