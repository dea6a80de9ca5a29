//! What differs between two lists of cameras, so that a reload touches those alone.

use std::collections::{BTreeSet, HashMap};

use crate::config::wall::CameraSpec;
use crate::media::CameraId;

/// What a reload has to do, in the order of the new list (removed ones: of the old).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Cameras to be opened.
    pub added: Vec<CameraSpec>,
    /// Cameras to be closed.
    pub removed: Vec<CameraId>,
    /// Cameras that stay, with what is different.
    pub changed: Vec<Changed>,
}

/// A camera that is different.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// As it is now.
    pub camera: CameraSpec,
    /// What is different, at least one, each once.
    pub fields: Vec<Field>,
}

/// Something that can differ of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The label.
    Name,
    /// The address of this profile: other, new, or gone.
    Address(String),
    /// What is known of the streams.
    Streams,
    /// Transport, client or certificates: every connection of it.
    Connection,
    /// The site, whose rate of new connections it shares.
    Site,
    /// Whose camera it is: the right to see it.
    Zone,
    /// Tags.
    Tags,
    /// Where it stands, and the width of its scene.
    Place,
    /// Parts that are never shown.
    Masks,
    /// What degrades first: priority, and whether it is pinned.
    Priority,
    /// Whether it is called frozen.
    Still,
    /// How it is turned and flipped.
    Turn,
}

/// From one list of cameras to another, by id. Pure.
pub fn diff(old: &[CameraSpec], new: &[CameraSpec]) -> Changes {
    let before: HashMap<&CameraId, &CameraSpec> = old.iter().map(|c| (&c.id, c)).collect();
    let after: HashMap<&CameraId, &CameraSpec> = new.iter().map(|c| (&c.id, c)).collect();
    let mut changes = Changes::default();
    for camera in new {
        match before.get(&camera.id) {
            None => changes.added.push(camera.clone()),
            Some(was) if *was == camera => {}
            Some(was) => {
                changes.changed.push(Changed { camera: camera.clone(), fields: fields(was, camera) })
            }
        }
    }
    changes.removed = old.iter().map(|c| &c.id).filter(|id| !after.contains_key(id)).cloned().collect();
    changes
}

/// The keys of a camera that differ, by their names in wall files and inventories, each once: `name`, `masks`, …, and
/// `profiles.NAME.uri` and `profiles.NAME.stream` of each profile that is other, new or gone.
pub fn changed_keys(old: &CameraSpec, new: &CameraSpec) -> Vec<String> {
    // Names every field, so that a new one cannot be forgotten here.
    let CameraSpec {
        id: _,
        name,
        profiles,
        streams,
        transport,
        client,
        any_certificate,
        site,
        zone,
        tags,
        position,
        scene_width_m,
        masks,
        pinned,
        priority,
        still,
        turn,
        flip,
    } = new;
    let mut keys: Vec<String> = [
        (old.name != *name, "name"),
        (old.zone != *zone, "zone"),
        (old.site != *site, "site"),
        (old.tags != *tags, "tags"),
        (old.position != *position, "position"),
        (old.scene_width_m != *scene_width_m, "scene_width_m"),
        (old.masks != *masks, "masks"),
        (old.priority != *priority, "priority"),
        (old.pinned != *pinned, "pinned"),
        (old.still != *still, "still"),
        (old.turn != *turn, "turn"),
        (old.flip != *flip, "flip"),
        (old.transport != *transport, "transport"),
        (old.client != *client, "client"),
        (old.any_certificate != *any_certificate, "any_certificate"),
    ]
    .into_iter()
    .filter(|(differs, _)| *differs)
    .map(|(_, key)| key.to_owned())
    .collect();
    let told = old.streams.keys().chain(streams.keys());
    let names: BTreeSet<&String> = old.profiles.keys().chain(profiles.keys()).chain(told).collect();
    for profile in names {
        if old.profiles.get(profile) != profiles.get(profile) {
            keys.push(format!("profiles.{profile}.uri"));
        }
        if old.streams.get(profile) != streams.get(profile) {
            keys.push(format!("profiles.{profile}.stream"));
        }
    }
    keys
}

/// What a reload has to do for the keys that differ.
fn fields(old: &CameraSpec, new: &CameraSpec) -> Vec<Field> {
    let mut fields = Vec::new();
    for key in changed_keys(old, new) {
        let field = match key.as_str() {
            "name" => Field::Name,
            "zone" => Field::Zone,
            "site" => Field::Site,
            "tags" => Field::Tags,
            "position" | "scene_width_m" => Field::Place,
            "masks" => Field::Masks,
            "priority" | "pinned" => Field::Priority,
            "still" => Field::Still,
            "turn" | "flip" => Field::Turn,
            "transport" | "client" | "any_certificate" => Field::Connection,
            key => match key.strip_prefix("profiles.").and_then(|rest| rest.strip_suffix(".uri")) {
                Some(profile) => Field::Address(profile.to_owned()),
                None => Field::Streams,
            },
        };
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    fields
}
