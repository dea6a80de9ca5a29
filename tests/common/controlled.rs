//! A controller in this process, over real cameras, with people who may see what its wall shows.

use serde_json::json;
use vitrail_control::audit::Actor;
use vitrail_control::db::Database;
use vitrail_control::people::{NewToken, Role};
use vitrail_control::rights::{Terms, agreements, incidents};
use vitrail_control::{Controller, Utc};
use vitrail_engine::base::SharedClock;
use vitrail_engine::config::WallSpec;

/// The unit that every agreement grants to.
pub const UNIT: &str = "room";

/// What a wall file of it needs.
pub const CONTROL: &str = "[control]\nlisten = \"127.0.0.1:0\"\nunit = \"room\"\n";

pub fn actor(account: &str) -> Actor {
    Actor { account: account.into(), name: account.into(), role: None, via: "test".into(), address: None }
}

/// A controller, and a supervisor of it.
pub struct Controlled {
    pub controller: Controller,
    pub operator: String,
    pub folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Controlled {
    /// Starts the controller of this wall file, which has [`CONTROL`] in it.
    pub fn start(wall: &str, clock: SharedClock) -> Controlled {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wall.toml");
        std::fs::write(&file, wall).unwrap();
        let controller = Controller::start(WallSpec::load(&file).unwrap(), clock).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut started = Controlled { controller, operator: String::new(), folder, runtime };
        started.operator = started.person("anna", "supervisor");
        started
    }

    /// Adds an account, and returns its id.
    pub fn person(&self, name: &str, role: &str) -> String {
        let account = json!({ "name": name, "role": role, "password": "long enough for a test" });
        let account = serde_json::from_value(account).unwrap();
        let people = self.controller.shared().people.clone();
        self.runtime.block_on(people.add_account(account, actor("setup"))).unwrap().id
    }

    /// A token that an account sends as `Authorization: Bearer …`.
    pub fn token(&self, account: &str, role: Role) -> String {
        let new = NewToken { name: "test".into(), expires_at: None, permissions: None };
        let made = self.controller.shared().people.add_token(account, role, &new, &actor(account)).unwrap();
        made.secret.to_string()
    }

    pub fn db(&self) -> &Database {
        &self.controller.shared().db
    }

    /// A signed agreement by which the unit sees the zone live, until then.
    pub fn agree(&self, zone: &str, valid_to: Utc) -> String {
        let terms = Terms {
            title: format!("Live pictures of {zone}"),
            parties: vec![zone.into(), "region".into()],
            purposes: vec!["public-order".into()],
            live: true,
            record: false,
            export: false,
            units: vec![UNIT.into()],
            tags: Vec::new(),
            valid_from: Utc(0),
            valid_to,
        };
        let draft = agreements::draft(self.db(), &actor("drafter"), zone, None, terms).unwrap();
        agreements::sign(self.db(), &actor("signer"), &draft.id, Some(draft.version)).unwrap();
        draft.id
    }

    /// Opens an incident, and puts the wall under it.
    pub fn open_incident(&self) -> String {
        let new = json!({ "title": "March", "reason": "public order at a march", "legal_basis": "lfp-22",
            "reference": "BRU-1", "purpose": "public-order" });
        let new = serde_json::from_value(new).unwrap();
        let incident = incidents::open(self.db(), &actor(&self.operator), new).unwrap();
        let conductor = self.controller.conductor();
        conductor.set_incident(&actor(&self.operator), None, Some(incident.id.clone())).unwrap();
        incident.id
    }
}
