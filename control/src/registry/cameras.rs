//! Cameras: found, added, changed, removed; their credentials set.

use rusqlite::{ToSql, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use vitrail_engine::base::Login;
use vitrail_engine::config::{CameraSpec, UriText};

use super::address::{self, Secret};
use super::author::Author;
use super::camera::{self, Camera};
use super::fold::words;
use super::plan::{self, Plan, SecretStep, WantedCamera};
use super::row;
use super::store::{self, Names, Secrets, Stored};
use super::{Registry, zones};
use crate::audit::Event;
use crate::base::{Kind, Problem, Result, Utc};

/// Words of a query that count.
const MAX_WORDS: usize = 8;
/// Characters of a user name or a password at most.
const MAX_LOGIN: usize = 256;

/// Which cameras are looked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Search {
    /// Words, each of which stands in id, name, zone, site or a tag; accents and case do not matter.
    pub q: Option<String>,
    /// Those of this zone.
    pub zone: Option<String>,
    /// Those of this site.
    pub site: Option<String>,
    /// Those with this tag.
    pub tag: Option<String>,
}

/// A camera on the map: id, name, latitude, longitude, zone.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MapEntry(pub String, pub String, pub f64, pub f64, pub Option<String>);

/// Where the ONVIF device of a camera is, and how to log in there.
pub struct Device {
    /// Its device service.
    pub address: String,
    /// What is stored for it.
    pub login: Option<Login>,
    /// A certificate that no authority signed is taken.
    pub any_certificate: bool,
}

impl Registry {
    /// Cameras in the order of their ids, those after `after`; one more than `limit`, where there is
    /// one, says that there are more.
    pub fn search(&self, search: &Search, after: Option<&str>, limit: usize) -> Result<Vec<Camera>> {
        let words = words(search.q.as_deref().unwrap_or_default(), MAX_WORDS);
        let mut condition = String::from("WHERE id > ?1");
        let after = after.unwrap_or_default();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let tag = search.tag.as_ref().map(|tag| format!(";{tag};"));
        let mut values: Vec<&dyn ToSql> = vec![&after];
        let filters =
            [("zone = ", &search.zone, ""), ("site = ", &search.site, ""), ("instr(tags, ", &tag, ") > 0")];
        for (before, value, behind) in filters {
            let Some(value) = value else { continue };
            values.push(value);
            condition.push_str(&format!(" AND {before}?{}{behind}", values.len()));
        }
        for word in &words {
            values.push(word);
            condition.push_str(&format!(" AND instr(search, ?{}) > 0", values.len()));
        }
        values.push(&limit);
        condition.push_str(&format!(" ORDER BY id LIMIT ?{}", values.len()));
        let found = self.db.read(|connection| store::load(connection, &condition, &values))?;
        Ok(found.iter().map(Camera::from).collect())
    }

    /// The camera of this id.
    pub fn camera(&self, id: &str) -> Result<Camera> {
        self.db.read(|connection| Ok(Camera::from(&store::one(connection, id)?)))
    }

    /// How many cameras there are.
    pub fn count(&self) -> Result<usize> {
        let count: i64 =
            self.db.read(|c| Ok(c.query_row("SELECT count(*) FROM cameras", [], |row| row.get(0))?))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Every camera that has a place.
    pub fn map(&self) -> Result<Vec<MapEntry>> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, latitude, longitude, zone FROM cameras WHERE latitude IS NOT NULL ORDER BY id",
            )?;
            let entries = statement.query_map([], |row| {
                Ok(MapEntry(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })?;
            Ok(entries.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Every camera as the engine opens it, logins included, in the order of the inventory: for the
    /// one who connects, never for a message.
    pub fn camera_specs(&self) -> Result<Vec<CameraSpec>> {
        self.specs("ORDER BY n", &[], None)
    }

    /// One camera as the engine opens it; `None` where there is none of this id.
    pub fn camera_spec(&self, id: &str) -> Result<Option<CameraSpec>> {
        self.db.read(|connection| {
            let Some(stored) = store::load(connection, "WHERE id = ?1", &[&id])?.pop() else {
                return Ok(None);
            };
            let secrets = store::load_secrets(connection, &self.key(), Some(stored.n))?;
            Ok(Some(with_secrets(stored.spec, secrets.get(&stored.n))))
        })
    }

    fn specs(&self, condition: &str, values: &[&dyn ToSql], only: Option<i64>) -> Result<Vec<CameraSpec>> {
        self.db.read(|connection| {
            let cameras = store::load(connection, condition, values)?;
            let secrets = store::load_secrets(connection, &self.key(), only)?;
            Ok(cameras.into_iter().map(|c| with_secrets(c.spec, secrets.get(&c.n))).collect())
        })
    }

    /// The ONVIF device of a camera.
    ///
    /// # Errors
    /// There is no such camera, or no ONVIF address is known of it.
    pub fn device(&self, id: &str) -> Result<Device> {
        self.db.read(|connection| {
            let stored = store::one(connection, id)?;
            let Some(address) = stored.onvif else {
                let problem = Problem::conflict(format!("camera {id}"), "no ONVIF address is known of it");
                return Err(problem.code("no-onvif"));
            };
            let mut secrets = store::load_secrets(connection, &self.key(), Some(stored.n))?;
            let secrets = secrets.remove(&stored.n).unwrap_or_default();
            let login = ["", "main"].iter().find_map(|profile| match secrets.get(*profile) {
                Some(Secret::Login(login)) => Some(login.clone()),
                _ => None,
            });
            Ok(Device { address, login, any_certificate: stored.spec.any_certificate })
        })
    }

    /// Adds a camera from what JSON says of it.
    pub fn add_camera(&self, by: &Author, said: &Map<String, Value>) -> Result<Camera> {
        let id = said.get("id").and_then(Value::as_str).map(str::trim).unwrap_or_default().to_owned();
        let mut cells = row::Cells::from([("id".to_owned(), id.clone())]);
        let onvif = camera::lay_over(&mut cells, said)?.flatten();
        let wanted = wanted(&cells, onvif)?;
        by.require(wanted.spec.zone.as_deref())?;
        let plan = plan::plan(None, &wanted).map_err(|(field, why)| camera::field(&field, &why))?;
        let now = self.db.now();
        self.db.change(&by.actor, |transaction, events| {
            if !store::load(transaction, "WHERE id = ?1", &[&id])?.is_empty() {
                let taken = Problem::conflict(format!("camera {id}"), "there is one of this id already");
                return Err(taken.code("taken"));
            }
            zones::require_known(transaction, &wanted.spec)?;
            let names = Names::load(transaction)?;
            let step = Step { before: None, wanted: &wanted, plan: &plan };
            step.apply(transaction, &names, &self.key(), now, events)?;
            Ok(Camera::from(&store::one(transaction, &id)?))
        })
    }

    /// Changes a camera by what JSON says: what is left out stays, `null` takes away. `version` is
    /// the one that the change was made from.
    ///
    /// # Errors
    /// `Conflict` with the camera as it is now, where it was changed since.
    pub fn change_camera(
        &self,
        by: &Author,
        id: &str,
        version: Option<i64>,
        said: &Map<String, Value>,
    ) -> Result<Camera> {
        let now = self.db.now();
        self.db.change(&by.actor, |transaction, events| {
            let before = store::one(transaction, id)?;
            by.require(before.spec.zone.as_deref())?;
            same_version(&before, version)?;
            if said.get("id").is_some_and(|given| given.as_str() != Some(id)) {
                return Err(camera::field("id", "never changes; add another camera and remove this one"));
            }
            let mut cells = row::cells(&before.spec);
            let onvif = camera::lay_over(&mut cells, said)?;
            let wanted = wanted(&cells, onvif.unwrap_or_else(|| before.onvif.clone()))?;
            by.require(wanted.spec.zone.as_deref())?;
            zones::require_known(transaction, &wanted.spec)?;
            let mut secrets = store::load_secrets(transaction, &self.key(), Some(before.n))?;
            let secrets = secrets.remove(&before.n).unwrap_or_default();
            let plan = plan::plan(Some((&before, &secrets)), &wanted)
                .map_err(|(field, why)| camera::field(&field, &why))?;
            if plan.is_nothing() {
                return Ok(Camera::from(&before));
            }
            let names = Names::load(transaction)?;
            let step = Step { before: Some(&before), wanted: &wanted, plan: &plan };
            step.apply(transaction, &names, &self.key(), now, events)?;
            Ok(Camera::from(&store::one(transaction, id)?))
        })
    }

    /// Removes a camera with its credentials; `version`, where given, must be the present one.
    pub fn remove_camera(&self, by: &Author, id: &str, version: Option<i64>) -> Result<()> {
        self.db.change(&by.actor, |transaction, events| {
            let before = store::one(transaction, id)?;
            by.require(before.spec.zone.as_deref())?;
            if version.is_some() {
                same_version(&before, version)?;
            }
            remove(transaction, &before, events)
        })
    }

    /// Stores a login for all streams of a camera and for its device. Never read again but by the one
    /// who connects.
    pub fn set_login(&self, by: &Author, id: &str, login: Login) -> Result<()> {
        for (field, text) in [("user", &login.user), ("password", &login.password)] {
            if text.chars().count() > MAX_LOGIN || text.contains(char::is_control) {
                return Err(camera::field(
                    field,
                    "must be text of at most 256 characters, without control characters",
                ));
            }
        }
        if login.user.is_empty() {
            return Err(camera::field("user", "is empty"));
        }
        self.credentials(by, id, "camera.credentials-set", |secrets| {
            secrets.retain(|_, secret| matches!(secret, Secret::Address(_)));
            secrets.insert(String::new(), Secret::Login(login));
        })
    }

    /// Removes every stored credential of a camera.
    pub fn remove_login(&self, by: &Author, id: &str) -> Result<()> {
        self.credentials(by, id, "camera.credentials-removed", |secrets| secrets.clear())
    }

    fn credentials(&self, by: &Author, id: &str, kind: &str, edit: impl FnOnce(&mut Secrets)) -> Result<()> {
        let now = self.db.now();
        self.db.change(&by.actor, |transaction, events| {
            let stored = store::one(transaction, id)?;
            by.require(stored.spec.zone.as_deref())?;
            let mut all = store::load_secrets(transaction, &self.key(), Some(stored.n))?;
            let before = all.remove(&stored.n).unwrap_or_default();
            let mut after = before.clone();
            edit(&mut after);
            if before == after {
                return Ok(());
            }
            store::save_secrets(transaction, &self.key(), stored.n, id, &after)?;
            transaction.execute(
                "UPDATE cameras SET version = version + 1, changed_at = ?2 WHERE n = ?1",
                params![stored.n, now],
            )?;
            events.push(Event { zone: stored.spec.zone, camera: Some(id.to_owned()), ..Event::new(kind) });
            Ok(())
        })
    }
}

/// Removes a camera, with its record.
pub(super) fn remove(transaction: &Transaction<'_>, stored: &Stored, events: &mut Vec<Event>) -> Result<()> {
    transaction.prepare_cached("DELETE FROM cameras WHERE n = ?1")?.execute([stored.n])?;
    events.push(Event {
        zone: stored.spec.zone.clone(),
        camera: Some(stored.spec.id.to_string()),
        details: json!({ "name": stored.spec.name }),
        ..Event::new("camera.removed")
    });
    Ok(())
}

/// A camera of cells and its ONVIF address, checked and parted from its secrets.
pub(super) fn wanted(cells: &row::Cells, onvif: Option<String>) -> Result<WantedCamera> {
    let spec = row::check_one(cells)?;
    let onvif = onvif.filter(|address| !address.is_empty());
    let Some(onvif) = onvif else { return Ok(WantedCamera::part(spec, None)) };
    let (address, login) = address::check_onvif(&onvif).map_err(|why| camera::field("onvif", why))?;
    let mut wanted = WantedCamera::part(spec, Some(address));
    if let Some(login) = login.filter(|_| wanted.secrets.is_empty()) {
        wanted.secrets.insert(String::new(), Secret::Login(login));
    }
    Ok(wanted)
}

fn same_version(stored: &Stored, version: Option<i64>) -> Result<()> {
    let subject = || format!("camera {}", stored.spec.id);
    match version {
        Some(version) if version == stored.version => Ok(()),
        Some(_) => {
            let now = serde_json::to_value(Camera::from(stored)).unwrap_or_default();
            Err(Problem::conflict(subject(), "was changed since; see how it is now")
                .code("version")
                .more(now))
        }
        None => Err(Problem::new(
            Kind::NeedsVersion,
            subject(),
            "say with If-Match from which version it is changed",
        )),
    }
}

fn with_secrets(mut spec: CameraSpec, secrets: Option<&Secrets>) -> CameraSpec {
    let Some(secrets) = secrets else { return spec };
    for (profile, uri) in &mut spec.profiles {
        if let Some(secret) = secrets.get(profile).or_else(|| secrets.get("")) {
            *uri = UriText::new(address::whole(uri.expose(), Some(secret)));
        }
    }
    spec
}

/// One camera's change, ready to be written.
pub(super) struct Step<'a> {
    pub before: Option<&'a Stored>,
    pub wanted: &'a WantedCamera,
    pub plan: &'a Plan,
}

impl Step<'_> {
    /// Writes it, with its records.
    pub fn apply(
        &self,
        transaction: &Transaction<'_>,
        names: &Names,
        key: &super::vault::Key,
        now: Utc,
        events: &mut Vec<Event>,
    ) -> Result<()> {
        let Step { before, wanted, plan } = self;
        let version = before.map_or(1, |stored| stored.version + 1);
        let row = before.map(|stored| stored.n);
        let n = store::save(transaction, names, row, &wanted.spec, wanted.onvif.as_deref(), version, now)?;
        match &plan.secrets {
            SecretStep::Keep => {}
            SecretStep::Set(secrets) | SecretStep::Cut(secrets) => {
                store::save_secrets(transaction, key, n, wanted.spec.id.as_str(), secrets)?;
            }
        }
        events.extend(plan::events(*before, wanted, plan, version));
        Ok(())
    }
}
