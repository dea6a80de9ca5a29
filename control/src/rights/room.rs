//! The rights in force: loaded from the database, and again on the thread that commits a change of them.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};

use super::load::load;
use super::{
    Action, Asker, CameraFacts, Permit, Refusal, Rights, Showing, Showings, decide, due, next_change,
};
use crate::audit::Record;
use crate::base::{Result, Utc};
use crate::db::Database;

/// The kinds of records after which the rights are read again.
const OURS: [&str; 4] = ["agreement.", "incident.", "account.", "zone."];

/// Told of other rights, on the thread that committed them.
pub type OnChange = Box<dyn Fn(&Arc<Rights>) + Send + Sync>;

/// The rights in force. Reading them takes no lock.
pub struct Policy {
    db: Arc<Database>,
    rights: ArcSwap<Rights>,
    /// Held while the rights are read and put in force, so that older ones never follow newer ones.
    loading: Mutex<()>,
    listeners: RwLock<Vec<OnChange>>,
    showings: OnceLock<Box<dyn Showings>>,
}

impl Policy {
    /// The rights of a database, from now on kept up with it.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn open(db: Arc<Database>) -> Result<Arc<Policy>> {
        let now = db.now();
        let rights = db.read(|connection| load(connection, now))?;
        let policy = Arc::new(Policy {
            db,
            rights: ArcSwap::from_pointee(rights),
            loading: Mutex::default(),
            listeners: RwLock::default(),
            showings: OnceLock::new(),
        });
        let kept_up = Arc::downgrade(&policy);
        policy.db.on_commit(Box::new(move |records| {
            if let Some(policy) = kept_up.upgrade().filter(|_| concerns_rights(records)) {
                policy.reload();
            }
        }));
        // What was committed between the first reading and the listener.
        policy.reload();
        Ok(policy)
    }

    /// The rights now.
    pub fn rights(&self) -> Arc<Rights> {
        self.rights.load_full()
    }

    /// The time by which it decides.
    pub fn now(&self) -> Utc {
        self.db.now()
    }

    /// [`decide`], by the rights and the clock now.
    ///
    /// # Errors
    /// The reason why not.
    pub fn decide(
        &self,
        asker: &Asker,
        incident: Option<&str>,
        facts: &CameraFacts,
        action: Action,
    ) -> Result<Permit, Refusal> {
        decide(&self.rights.load(), asker, incident, facts, action, self.db.now())
    }

    /// Reads the rights again, puts them in force and tells the listeners. Where they cannot be read,
    /// nothing is allowed until they can: a revocation that was committed holds, whatever fails after it.
    pub fn reload(&self) {
        {
            let _in_order = self.loading.lock();
            let now = self.db.now();
            let rights = self.db.read(|connection| load(connection, now)).unwrap_or_else(|problem| {
                tracing::error!("the rights cannot be read, so nothing is allowed: {problem}");
                Rights::unreadable()
            });
            self.rights.store(Arc::new(rights));
        }
        let rights = self.rights();
        for listener in self.listeners.read().iter() {
            listener(&rights);
        }
    }

    /// Tells `listener` of other rights, before the change that made them returns to whoever made it.
    /// It decides anew what is shown, and needs no other news: time is for [`Policy::tick`].
    pub fn on_change(&self, listener: OnChange) {
        self.listeners.write().push(listener);
    }

    /// Writes down what ended by itself, reads the rights again where that failed before, and says when
    /// to come again at the latest: until then no answer changes unless the rights do.
    ///
    /// # Errors
    /// Those of the database. The policy itself goes by the clock, whether or not this succeeds.
    pub fn tick(&self) -> Result<Utc> {
        if self.rights.load().is_unreadable() {
            self.reload();
        }
        let now = self.db.now();
        let ends = due(&self.db, now)?;
        Ok(ends.min(next_change(&self.rights.load(), now)))
    }

    /// Asks `showings` from now on what is shown; the first one stays.
    pub fn ask_for_showings(&self, showings: Box<dyn Showings>) {
        if self.showings.set(showings).is_err() {
            tracing::warn!("what is shown is already asked of another one");
        }
    }

    /// What is shown under an incident now, as far as anybody knows.
    pub fn showings(&self, incident: &str) -> Vec<Showing> {
        self.showings.get().map(|showings| showings.under(incident)).unwrap_or_default()
    }
}

fn concerns_rights(records: &[Record]) -> bool {
    records.iter().any(|record| OURS.iter().any(|kind| record.event.kind.starts_with(kind)))
}
