//! Zones, whose cameras they are, and sites, where several cameras hang together.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use vitrail_engine::config::CameraSpec;

use super::author::Author;
use super::camera::field;
use super::row::MAX_TEXT;
use super::{Registry, store};
use crate::audit::Event;
use crate::base::{Problem, Result};

/// A police zone: it owns cameras, and decides by agreement who may see them.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Zone {
    /// Its id, never changed.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Who answers for it.
    pub contact: String,
    /// How many cameras it has.
    pub cameras: i64,
}

/// A zone to be added.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewZone {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    pub id: String,
    /// Its name; the id where it is left out.
    #[schema(max_length = 200)]
    pub name: Option<String>,
    /// Who answers for it.
    #[schema(max_length = 200)]
    pub contact: Option<String>,
}

/// What changes of a zone; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneChange {
    /// Its name.
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// Who answers for it.
    #[schema(max_length = 200)]
    pub contact: Option<String>,
}

/// A site: a cabinet, a building, a mast. Its cameras are not all called at once after a break.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Site {
    /// Its id, never changed.
    pub id: String,
    /// The zone that it belongs to.
    pub zone: Option<String>,
    /// Its name.
    pub name: String,
    /// Degrees north (WGS 84).
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// How many cameras it has.
    pub cameras: i64,
}

/// A site to be added.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSite {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    pub id: String,
    /// The zone that it belongs to.
    pub zone: Option<String>,
    /// Its name; the id where it is left out.
    #[schema(max_length = 200)]
    pub name: Option<String>,
    /// Degrees north, with `longitude`.
    #[schema(minimum = -90, maximum = 90)]
    pub latitude: Option<f64>,
    /// Degrees east, with `latitude`.
    #[schema(minimum = -180, maximum = 180)]
    pub longitude: Option<f64>,
}

/// What changes of a site; what is left out stays, `null` takes away.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteChange {
    /// The zone that it belongs to.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub zone: Option<Option<String>>,
    /// Its name.
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// Degrees north, with `longitude`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>, minimum = -90, maximum = 90)]
    pub latitude: Option<Option<f64>>,
    /// Degrees east, with `latitude`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>, minimum = -180, maximum = 180)]
    pub longitude: Option<Option<f64>>,
}

/// Tells `null` from what is left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(d).map(Some)
}

const ZONE: &str =
    "SELECT z.id, z.name, z.contact, (SELECT count(*) FROM cameras c WHERE c.zone = z.id) FROM zones z";
const SITE: &str = "SELECT s.id, s.zone, s.name, s.latitude, s.longitude,
     (SELECT count(*) FROM cameras c WHERE c.site = s.id) FROM sites s";

impl Registry {
    /// Zones in the order of their ids, those after `after`.
    pub fn zones(&self, after: Option<&str>, limit: usize) -> Result<Vec<Zone>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.db.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("{ZONE} WHERE z.id > ?1 ORDER BY z.id LIMIT ?2"))?;
            let zones = statement.query_map(params![after.unwrap_or_default(), limit], zone)?;
            Ok(zones.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The zone of this id.
    pub fn zone(&self, id: &str) -> Result<Zone> {
        self.db.read(|connection| known_zone(connection, id))
    }

    /// Adds a zone: an administrator's work.
    pub fn add_zone(&self, by: &Author, new: &NewZone) -> Result<Zone> {
        by.require_all("zones")?;
        let id = checked("id", &new.id, 1)?;
        let name = checked("name", new.name.as_deref().unwrap_or(&id), 1)?;
        let contact = checked("contact", new.contact.as_deref().unwrap_or_default(), 0)?;
        self.db.change(&by.actor, |transaction, events| {
            if one_zone(transaction, &id)?.is_some() {
                return Err(
                    Problem::conflict(format!("zone {id}"), "there is one of this id already").code("taken")
                );
            }
            transaction.execute(
                "INSERT INTO zones (id, name, contact) VALUES (?1, ?2, ?3)",
                [&id, &name, &contact],
            )?;
            events.push(zone_event("zone.added", &id, json!({ "name": name })));
            known_zone(transaction, &id)
        })
    }

    /// Changes name or contact of a zone.
    pub fn change_zone(&self, by: &Author, id: &str, change: &ZoneChange) -> Result<Zone> {
        by.require(Some(id))?;
        let name = change.name.as_deref().map(|name| checked("name", name, 1)).transpose()?;
        let contact = change.contact.as_deref().map(|text| checked("contact", text, 0)).transpose()?;
        self.db.change(&by.actor, |transaction, events| {
            let before = known_zone(transaction, id)?;
            let name = name.unwrap_or_else(|| before.name.clone());
            let contact = contact.unwrap_or_else(|| before.contact.clone());
            let fields = differing(&[("name", before.name != name), ("contact", before.contact != contact)]);
            if fields.is_empty() {
                return Ok(before);
            }
            transaction
                .execute("UPDATE zones SET name = ?2, contact = ?3 WHERE id = ?1", [id, &name, &contact])?;
            if before.name != name {
                store::refresh_search(transaction, "WHERE zone = ?1", &[&id])?;
            }
            events.push(zone_event("zone.changed", id, json!({ "fields": fields })));
            known_zone(transaction, id)
        })
    }

    /// Removes a zone that has no camera and no site: an administrator's work.
    pub fn remove_zone(&self, by: &Author, id: &str) -> Result<()> {
        by.require_all("zones")?;
        self.db.change(&by.actor, |transaction, events| {
            let zone = known_zone(transaction, id)?;
            let sites: i64 =
                transaction
                    .query_row("SELECT count(*) FROM sites WHERE zone = ?1", [id], |row| row.get(0))?;
            if zone.cameras > 0 || sites > 0 {
                let has =
                    format!("has {} cameras and {sites} sites; move or remove them first", zone.cameras);
                return Err(Problem::conflict(format!("zone {id}"), has).code("in-use"));
            }
            // Whoever made a zone of this id again would hand it to them.
            let speakers: i64 =
                transaction
                    .query_row("SELECT count(*) FROM account_zone WHERE zone = ?1", [id], |row| row.get(0))?;
            if speakers > 0 {
                let has = format!("{speakers} accounts speak for it; take it from them first");
                return Err(Problem::conflict(format!("zone {id}"), has).code("in-use"));
            }
            transaction.execute("DELETE FROM zones WHERE id = ?1", [id])?;
            events.push(zone_event("zone.removed", id, json!({ "name": zone.name })));
            Ok(())
        })
    }

    /// Sites in the order of their ids, those after `after`, of one zone or of all.
    pub fn sites(&self, zone: Option<&str>, after: Option<&str>, limit: usize) -> Result<Vec<Site>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.db.read(|connection| {
            let sql =
                format!("{SITE} WHERE s.id > ?1 AND (?2 IS NULL OR s.zone = ?2) ORDER BY s.id LIMIT ?3");
            let mut statement = connection.prepare_cached(&sql)?;
            let sites = statement.query_map(params![after.unwrap_or_default(), zone, limit], site)?;
            Ok(sites.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The site of this id.
    pub fn site(&self, id: &str) -> Result<Site> {
        self.db.read(|connection| known_site(connection, id))
    }

    /// Adds a site.
    pub fn add_site(&self, by: &Author, new: &NewSite) -> Result<Site> {
        by.require(new.zone.as_deref())?;
        let id = checked("id", &new.id, 1)?;
        let name = checked("name", new.name.as_deref().unwrap_or(&id), 1)?;
        check_place(new.latitude, new.longitude)?;
        self.db.change(&by.actor, |transaction, events| {
            if one_site(transaction, &id)?.is_some() {
                return Err(
                    Problem::conflict(format!("site {id}"), "there is one of this id already").code("taken")
                );
            }
            known("zone", transaction, new.zone.as_deref())?;
            transaction.execute(
                "INSERT INTO sites (id, zone, name, latitude, longitude) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![id, new.zone, name, new.latitude, new.longitude],
            )?;
            events.push(site_event("site.added", &id, new.zone.as_deref(), json!({ "name": name })));
            known_site(transaction, &id)
        })
    }

    /// Changes a site.
    pub fn change_site(&self, by: &Author, id: &str, change: &SiteChange) -> Result<Site> {
        let name = change.name.as_deref().map(|name| checked("name", name, 1)).transpose()?;
        self.db.change(&by.actor, |transaction, events| {
            let before = known_site(transaction, id)?;
            by.require(before.zone.as_deref())?;
            let mut site = before.clone();
            site.name = name.unwrap_or(site.name);
            site.zone = change.zone.clone().unwrap_or(site.zone);
            site.latitude = change.latitude.unwrap_or(site.latitude);
            site.longitude = change.longitude.unwrap_or(site.longitude);
            by.require(site.zone.as_deref())?;
            check_place(site.latitude, site.longitude)?;
            known("zone", transaction, site.zone.as_deref())?;
            let place = |site: &Site| (site.latitude, site.longitude);
            let fields = differing(&[
                ("name", before.name != site.name),
                ("zone", before.zone != site.zone),
                ("position", place(&before) != place(&site)),
            ]);
            if fields.is_empty() {
                return Ok(before);
            }
            transaction.execute(
                "UPDATE sites SET zone = ?2, name = ?3, latitude = ?4, longitude = ?5 WHERE id = ?1",
                params![id, site.zone, site.name, site.latitude, site.longitude],
            )?;
            if before.name != site.name {
                store::refresh_search(transaction, "WHERE site = ?1", &[&id])?;
            }
            events.push(site_event("site.changed", id, site.zone.as_deref(), json!({ "fields": fields })));
            known_site(transaction, id)
        })
    }

    /// Removes a site that has no camera.
    pub fn remove_site(&self, by: &Author, id: &str) -> Result<()> {
        self.db.change(&by.actor, |transaction, events| {
            let site = known_site(transaction, id)?;
            by.require(site.zone.as_deref())?;
            if site.cameras > 0 {
                let has = format!("has {} cameras; move or remove them first", site.cameras);
                return Err(Problem::conflict(format!("site {id}"), has).code("in-use"));
            }
            transaction.execute("DELETE FROM sites WHERE id = ?1", [id])?;
            events.push(site_event("site.removed", id, site.zone.as_deref(), json!({ "name": site.name })));
            Ok(())
        })
    }
}

/// Adds the zone and the site of a camera that came with an inventory, where they are not there yet.
pub(super) fn make_known(
    transaction: &Transaction<'_>,
    names: &mut store::Names,
    spec: &CameraSpec,
    events: &mut Vec<Event>,
) -> Result<()> {
    if let Some(zone) = spec.zone.as_ref().filter(|zone| !names.zones.contains_key(*zone)) {
        transaction.execute("INSERT INTO zones (id, name, contact) VALUES (?1, ?1, '')", [zone])?;
        names.zones.insert(zone.clone(), zone.clone());
        events.push(zone_event("zone.added", zone, json!({ "name": zone })));
    }
    if let Some(site) = spec.site.as_ref().filter(|site| !names.sites.contains_key(*site)) {
        transaction
            .execute("INSERT INTO sites (id, zone, name) VALUES (?1, ?2, ?1)", params![site, spec.zone])?;
        names.sites.insert(site.clone(), site.clone());
        events.push(site_event("site.added", site, spec.zone.as_deref(), json!({ "name": site })));
    }
    Ok(())
}

/// Fails where a camera names a zone or a site that is not there.
pub(super) fn require_known(connection: &Connection, spec: &CameraSpec) -> Result<()> {
    known("zone", connection, spec.zone.as_deref())?;
    known("site", connection, spec.site.as_deref())
}

fn known(what: &str, connection: &Connection, id: Option<&str>) -> Result<()> {
    let Some(id) = id else { return Ok(()) };
    let there = match what {
        "zone" => one_zone(connection, id)?.is_some(),
        _ => one_site(connection, id)?.is_some(),
    };
    if there { Ok(()) } else { Err(field(what, &format!("there is no {what} of this id; add it first"))) }
}

fn zone(row: &Row<'_>) -> rusqlite::Result<Zone> {
    Ok(Zone { id: row.get(0)?, name: row.get(1)?, contact: row.get(2)?, cameras: row.get(3)? })
}

fn site(row: &Row<'_>) -> rusqlite::Result<Site> {
    Ok(Site {
        id: row.get(0)?,
        zone: row.get(1)?,
        name: row.get(2)?,
        latitude: row.get(3)?,
        longitude: row.get(4)?,
        cameras: row.get(5)?,
    })
}

fn one_zone(connection: &Connection, id: &str) -> Result<Option<Zone>> {
    Ok(connection.query_row(&format!("{ZONE} WHERE z.id = ?1"), [id], zone).optional()?)
}

fn one_site(connection: &Connection, id: &str) -> Result<Option<Site>> {
    Ok(connection.query_row(&format!("{SITE} WHERE s.id = ?1"), [id], site).optional()?)
}

fn known_zone(connection: &Connection, id: &str) -> Result<Zone> {
    one_zone(connection, id)?.ok_or_else(|| Problem::not_found(format!("zone {id}")))
}

fn known_site(connection: &Connection, id: &str) -> Result<Site> {
    one_site(connection, id)?.ok_or_else(|| Problem::not_found(format!("site {id}")))
}

fn zone_event(kind: &str, id: &str, details: serde_json::Value) -> Event {
    Event { zone: Some(id.to_owned()), details, ..Event::new(kind) }
}

fn site_event(kind: &str, id: &str, zone: Option<&str>, details: serde_json::Value) -> Event {
    Event { zone: zone.map(str::to_owned), subject: Some(id.to_owned()), details, ..Event::new(kind) }
}

fn differing(fields: &[(&'static str, bool)]) -> Vec<&'static str> {
    fields.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect()
}

/// A text without spaces around it, of so many characters at least.
fn checked(name: &str, text: &str, least: usize) -> Result<String> {
    let text = text.trim();
    let length = text.chars().count();
    if length < least || length > MAX_TEXT || text.contains(char::is_control) {
        let message = format!("must be text of {least} to {MAX_TEXT} characters, without control characters");
        return Err(field(name, &message));
    }
    Ok(text.to_owned())
}

fn check_place(latitude: Option<f64>, longitude: Option<f64>) -> Result<()> {
    for (name, value, limit) in [("latitude", latitude, 90.0), ("longitude", longitude, 180.0)] {
        if value.is_some_and(|v| !(-limit..=limit).contains(&v)) {
            return Err(field(name, &format!("is out of range: -{limit} to {limit} degrees")));
        }
    }
    match (latitude, longitude) {
        (Some(_), None) => Err(field("latitude", "needs a longitude")),
        (None, Some(_)) => Err(field("longitude", "needs a latitude")),
        _ => Ok(()),
    }
}
