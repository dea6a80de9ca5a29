//! What differs between two lists of cameras, so that a reload touches those alone.

use std::collections::{BTreeMap, HashMap};

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

fn fields(old: &CameraSpec, new: &CameraSpec) -> Vec<Field> {
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
    let mut fields: Vec<Field> = [
        (old.name != *name, Field::Name),
        (old.streams != *streams, Field::Streams),
        (
            (old.transport, old.client, old.any_certificate) != (*transport, *client, *any_certificate),
            Field::Connection,
        ),
        (old.site != *site, Field::Site),
        (old.zone != *zone, Field::Zone),
        (old.tags != *tags, Field::Tags),
        ((old.position, old.scene_width_m) != (*position, *scene_width_m), Field::Place),
        (old.masks != *masks, Field::Masks),
        ((old.pinned, old.priority) != (*pinned, *priority), Field::Priority),
        (old.still != *still, Field::Still),
        ((old.turn, old.flip) != (*turn, *flip), Field::Turn),
    ]
    .into_iter()
    .filter_map(|(differs, field)| differs.then_some(field))
    .collect();
    let names: BTreeMap<&String, ()> = old.profiles.keys().chain(profiles.keys()).map(|n| (n, ())).collect();
    let other = names.into_keys().filter(|name| old.profiles.get(*name) != profiles.get(*name));
    fields.extend(other.map(|name| Field::Address(name.clone())));
    fields
}
