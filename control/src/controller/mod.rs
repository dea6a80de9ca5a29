//! The whole controller of one wall, put together: database, registry, rights, wall, live pictures and
//! the server, from the `[control]` table of a wall file. Started and stopped by `vitrail wall`.

mod monitoring;
mod viewers;

use std::path::Path;
use std::sync::Arc;

use vitrail_engine::base::thread::Worker;
use vitrail_engine::base::{SharedClock, Shutdown};
use vitrail_engine::config::{ControlSpec, WallSpec};
use vitrail_engine::wall::WallReport;

use crate::api::{Control, Shared};
use crate::audit::Ledger;
use crate::base::{Problem, Result, beside};
use crate::db::Database;
use crate::live::{Hooks, Live, LiveConfig, Looks};
use crate::people::{Language, Settings as PeopleSettings};
use crate::registry::{KeySource, Registry};
use crate::server::{Config, Limits, Listening, Tls};
use crate::wall::{Conductor, Edition, Settings};
use monitoring::watch;
use viewers::{Browsers, may_see};

/// A controller that runs.
pub struct Controller {
    shared: Shared,
    conductor: Arc<Conductor>,
    live: Arc<Live>,
    shutdown: Shutdown,
    server: Option<Worker>,
    url: String,
    fingerprint: Option<String>,
    setup_token: Option<crate::people::Secret>,
}

impl Controller {
    /// Starts everything: the registry is filled from the wall file where it is empty, the wall goes on
    /// with what it showed last as far as that is still allowed, and the server listens.
    ///
    /// # Errors
    /// With the file, key or address that is at fault; then nothing runs.
    pub fn start(wall: WallSpec, clock: SharedClock) -> Result<Controller> {
        let spec =
            wall.control.clone().ok_or_else(|| Problem::invalid("[control]", "is not in the wall file"))?;
        // What can be refused is refused before a camera is called.
        let listening = Listening::bind(&server_config(&spec), &spec.database)?;
        let (db, registry) = open_registry(&spec, clock)?;
        let seeded = registry.seed_from(&wall)?;
        if seeded > 0 {
            tracing::info!(
                "the registry was empty: {seeded} cameras of the wall file and its inventories are in it now"
            );
        }
        let people = PeopleSettings {
            unit: spec.unit.clone(),
            secure: spec.tls || spec.certificate.is_some(),
            origin: spec.origin.clone(),
            oidc: spec.oidc.as_deref().map(crate::people::oidc::Settings::read).transpose()?,
            ..PeopleSettings::default()
        };
        let control = Control::new(db.clone(), people)?.with_registry(registry.clone());
        let settings = Settings {
            unit: spec.unit.clone(),
            edition: if spec.en62676 == 2025 { Edition::Y2025 } else { Edition::Y2015 },
            language: language(&wall),
            wall,
        };
        let looks = Looks::new(db.clone());
        let cameras = registry.clone();
        let specs = Box::new(move || cameras.camera_specs());
        let conductor = Conductor::start(db, control.rights.clone(), settings, specs)?;
        let hooks = Hooks { screens: conductor.clone(), may_see: may_see(&control, &conductor, &looks) };
        let live = Live::start(LiveConfig::new(listening.address()), hooks)?;
        conductor.attend(Box::new(Browsers(Arc::downgrade(&live))));
        let shared: Shared = Arc::new(control.with_wall(conductor.clone(), live.clone(), looks));
        watch(&shared, &conductor, &live);
        let (url, fingerprint) = (listening.url(), listening.fingerprint().map(str::to_owned));
        let setup_token = shared.people.setup_token()?;
        let shutdown = Shutdown::new();
        let server = {
            let (shared, shutdown) = (shared.clone(), shutdown.clone());
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .map_err(|e| Problem::internal("server", e.to_string()))?;
            Worker::spawn("server", move || {
                if let Err(problem) = runtime.block_on(listening.serve(shared, shutdown)) {
                    tracing::error!("{problem}");
                }
                runtime.shutdown_background();
            })?
        };
        if let Some(why) = crate::api::page::missing() {
            tracing::warn!("browsers get no page, only the API: {why}");
        }
        Ok(Controller {
            shared,
            conductor,
            live,
            shutdown,
            server: Some(server),
            url,
            fingerprint,
            setup_token,
        })
    }

    /// Where the page is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// SHA-256 of its certificate, under TLS.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// The one-time token for the first administrator, where there is none yet: for the terminal only.
    pub fn setup_token(&self) -> Option<&crate::people::Secret> {
        self.setup_token.as_ref()
    }

    /// The wall.
    pub fn conductor(&self) -> &Arc<Conductor> {
        &self.conductor
    }

    /// What the handlers reach.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Ends: viewers first, then the wall, on record. The wall's last report.
    pub fn stop(mut self) -> Option<WallReport> {
        self.end()
    }

    fn end(&mut self) -> Option<WallReport> {
        self.shutdown.cancel();
        self.live.stop();
        let report = self.conductor.stop();
        drop(self.server.take());
        if let Ok(looks) = self.shared.looks() {
            looks.end_all();
        }
        report
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // Nothing to do where it was stopped in order.
        if self.server.is_some() {
            self.end();
        }
    }
}

/// Opens database and registry of a wall, as its controller does: one program at a time.
///
/// # Errors
/// Another program has the database open, or the key of the credentials is missing or another one.
pub fn open_registry(spec: &ControlSpec, clock: SharedClock) -> Result<(Arc<Database>, Arc<Registry>)> {
    let ledger = Ledger::signed(&spec.database, spec.checkpoints.as_deref())?;
    let db = Database::open(&spec.database, ledger, clock)?;
    let registry = Arc::new(Registry::open(db.clone(), &key_source(spec)?)?);
    Ok((db, registry))
}

fn server_config(spec: &ControlSpec) -> Config {
    let own = spec.certificate.clone().map(|(certificate, key)| Tls::Own { certificate, key });
    Config {
        listen: spec.listen,
        tls: own.or(spec.tls.then_some(Tls::Generated)),
        names: spec.names.clone(),
        limits: Limits::default(),
    }
}

fn key_source(spec: &ControlSpec) -> Result<KeySource> {
    match &spec.credentials_key {
        None => Ok(KeySource::File(beside(&spec.database, ".credentials"))),
        Some(text) => match text.parse()? {
            // As all paths of a wall file, seen from where the database lies.
            KeySource::File(path) => Ok(KeySource::File(folder(&spec.database).join(path))),
            source => Ok(source),
        },
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn language(wall: &WallSpec) -> Language {
    use vitrail_engine::composite::Language as Placards;
    match wall.overlay.language {
        Placards::English => Language::En,
        Placards::French => Language::Fr,
        Placards::Dutch => Language::Nl,
    }
}
