//! Zones, sites and cameras: what there is, whose it is, and how to reach it. Credentials are sealed
//! (`vault`) and put into addresses only for the one who connects (`Registry::camera_specs`).
//!
//! `row` makes one form of whatever comes in, `plan` says what has to change and what goes on record,
//! `store` knows the tables.

mod address;
mod author;
mod camera;
mod cameras;
mod fold;
mod geojson;
mod import;
mod plan;
mod row;
mod store;
mod vault;
mod zones;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::json;

pub use author::Author;
pub use camera::{Camera, CameraInput, Profile, ProfileInput};
pub use cameras::{Device, MapEntry, Search};
pub use fold::fold;
pub use import::{Format, ImportChange, ImportOptions, ImportReport, MAX_IMPORT};
pub use row::RowProblem;
pub use vault::{Key, KeySource};
pub use zones::{NewSite, NewZone, Site, SiteChange, Zone, ZoneChange};

use crate::audit::Event;
use crate::base::Result;
use crate::db::Database;

/// The registry of a database, with the key to its credentials.
pub struct Registry {
    db: Arc<Database>,
    key: RwLock<Key>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registry")
    }
}

impl Registry {
    /// Opens the registry of a database. At the first start the key is made, where it is a file that is not
    /// there.
    ///
    /// # Errors
    /// The key is missing, open to others, or not the one under which credentials are stored.
    pub fn open(db: Arc<Database>, source: &KeySource) -> Result<Registry> {
        let key = match db.read(store::mark)? {
            Some(mark) => {
                let key = source.read()?;
                if !key.made(&mark.nonce, &mark.sealed) {
                    return Err(vault::wrong_key(&key, &mark.key_id));
                }
                key
            }
            None => {
                let key = source.read_or_make()?;
                db.change(&Author::system().actor, |transaction, events| {
                    store::save_mark(transaction, &key)?;
                    events.push(Event {
                        details: json!({ "key": key.id() }),
                        ..Event::new("registry.key-set")
                    });
                    Ok(())
                })?;
                key
            }
        };
        Ok(Registry { db, key: RwLock::new(key) })
    }

    /// The key by which people tell it from another one.
    pub fn key_id(&self) -> String {
        self.key().id().to_owned()
    }

    fn key(&self) -> Key {
        self.key.read().clone()
    }

    /// Seals every credential anew under another key, and overwrites what was sealed under the old
    /// one, in the database and in its log. Gives how many cameras have credentials.
    pub fn rekey(&self, by: &Author, source: &KeySource) -> Result<usize> {
        let (old, new) = (self.key(), source.read_or_make()?);
        let count = self.db.change(&by.actor, |transaction, events| {
            // Freed pages are overwritten, within this transaction.
            transaction.pragma_update(None, "secure_delete", true)?;
            let all = store::load_secrets(transaction, &old, None)?;
            for (n, secrets) in &all {
                let id: String =
                    transaction.query_row("SELECT id FROM cameras WHERE n = ?1", [n], |row| row.get(0))?;
                store::save_secrets(transaction, &new, *n, &id, secrets)?;
            }
            store::save_mark(transaction, &new)?;
            let details = json!({ "old": old.id(), "new": new.id(), "cameras": all.len() });
            events.push(Event { details, ..Event::new("registry.rekeyed") });
            Ok(all.len())
        })?;
        *self.key.write() = new;
        // What is left of the old values lies in the write-ahead log until it is written back and cut.
        self.db.write_back()?;
        Ok(count)
    }
}
