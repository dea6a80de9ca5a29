//! The whole controller of one wall, put together: database, registry, rights, wall, live pictures and
//! the server, from the `[control]` table of a wall file. Started and stopped by `vitrail wall`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use vitrail_engine::base::thread::Worker;
use vitrail_engine::base::{SharedClock, Shutdown};
use vitrail_engine::config::{ControlSpec, WallSpec};
use vitrail_engine::wall::WallReport;

use crate::api::{Control, Shared};
use crate::audit::Ledger;
use crate::db::Database;
use crate::live::{Ground, Hooks, Live, LiveConfig, Looks, Sight};
use crate::people::{Language, Permission, Settings as PeopleSettings};
use crate::registry::{KeySource, Registry};
use crate::rights::{Action, Asker, Refusal};
use crate::server::{Config, Limits, Listening, Tls};
use crate::wall::{Audience, Conductor, Edition, Settings};
use crate::{Problem, Result};

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

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn language(wall: &WallSpec) -> Language {
    use vitrail_engine::composite::Language as Placards;
    match wall.overlay.language {
        Placards::English => Language::En,
        Placards::French => Language::Fr,
        Placards::Dutch => Language::Nl,
    }
}

/// Those who watch in browsers, as the conductor sees them.
struct Browsers(Weak<Live>);

impl Audience for Browsers {
    fn forget(&self, camera: &str) {
        if let Some(live) = self.0.upgrade() {
            live.forget(camera);
        }
    }

    fn viewers(&self, screen: &str) -> u32 {
        self.0.upgrade().map_or(0, |live| u32::try_from(live.viewers(screen)).unwrap_or(u32::MAX))
    }
}

/// A thumbnail is a showing to the one who asks for it: under the incident of the wall.
fn may_see(control: &Control, conductor: &Arc<Conductor>, looks: &Arc<Looks>) -> crate::live::MaySee {
    let (rights, conductor, looks) = (control.rights.clone(), conductor.clone(), looks.clone());
    Arc::new(move |caller, camera| {
        let asker = Asker { account: caller.account.clone(), role: caller.role, unit: caller.unit.clone() };
        let unknown = || crate::rights::Seen { camera: camera.to_owned(), zone: None, tags: Vec::new() };
        let seen = conductor.gate().seen(camera).unwrap_or_else(unknown);
        debug_assert!(caller.may(Permission::ViewWall));
        let incident = conductor.layout().incident;
        let permit = rights.decide(&asker, incident.as_deref(), &seen, Action::Live)?;
        let ground = Ground {
            zone: seen.zone.clone(),
            incident: Some(permit.incident.clone()),
            agreement: Some(permit.agreement.clone()),
            basis: Some(permit.basis.clone()),
        };
        looks.glance(&caller.actor, Sight::Camera(camera.to_owned()), ground).map_err(|problem| {
            tracing::error!("camera {camera} is shown to nobody new: {problem}");
            Refusal::log()
        })
    })
}

/// What monitoring asks of the wall.
fn watch(shared: &Shared, conductor: &Arc<Conductor>, live: &Arc<Live>) {
    let wall = conductor.clone();
    shared.monitor.on_ready("audit log", Box::new(move || wall.log_trouble().map_or(Ok(()), Err)));
    let wall = conductor.clone();
    shared.monitor.on_ready("wall", Box::new(move || wall.with_wall(|_| ()).map_err(|p| p.to_string())));
    let wall = conductor.clone();
    let live = Arc::downgrade(live);
    shared.monitor.on_scrape(Box::new(move |out| {
        if let Some(live) = live.upgrade() {
            let report = live.report();
            let mut viewers = std::collections::BTreeMap::<&str, u64>::new();
            for viewer in &report.viewers {
                *viewers.entry(&viewer.screen).or_default() += 1;
            }
            for (screen, count) in viewers {
                let labels = [("screen", screen)];
                out.gauge("vitrail_live_viewers", "Browsers that watch over WebRTC.", &labels, count as f64);
            }
            let sessions = report.sessions as f64;
            out.counter("vitrail_live_sessions_total", "WebRTC sessions that began.", &[], sessions);
            let strays = report.strays as f64;
            out.counter("vitrail_live_strays_total", "Datagrams that were for nobody.", &[], strays);
            out.counter("vitrail_live_cpu_seconds_total", "What sending them took.", &[], report.cpu_s);
        }
        let Ok(report) = wall.report() else { return };
        for screen in &report.screens {
            let labels = [("screen", screen.id.as_str())];
            out.gauge("vitrail_screen_fps", "Pictures a second.", &labels, screen.fps);
            out.counter("vitrail_screen_frames_total", "Pictures composed.", &labels, screen.frames as f64);
            out.counter("vitrail_screen_missed_total", "Pictures missed.", &labels, screen.missed as f64);
            out.gauge("vitrail_screen_rate", "Pictures a second that are made now.", &labels, screen.rate);
            out.counter(
                "vitrail_screen_left_out_total",
                "Pictures left out because the machine has no more.",
                &labels,
                screen.left_out as f64,
            );
            out.counter(
                "vitrail_screen_dropped_total",
                "Pictures that the encoder dropped.",
                &labels,
                screen.dropped as f64,
            );
        }
        let mut states = std::collections::BTreeMap::<&str, u64>::new();
        for camera in &report.cameras {
            *states.entry(&camera.state).or_default() += 1;
        }
        for (state, count) in states {
            out.gauge(
                "vitrail_cameras",
                "Cameras that are open, by state.",
                &[("state", state)],
                count as f64,
            );
        }
        let machine = &report.governor;
        for (part, value) in [
            ("own", machine.own),
            ("others", machine.others),
            ("decoding", machine.decoding),
            ("encoding", machine.encoding),
        ] {
            out.gauge("vitrail_cores_used", "CPU seconds a second.", &[("by", part)], value);
        }
        out.gauge("vitrail_resident_bytes", "Memory.", &[], report.process.resident_bytes as f64);
        out.gauge(
            "vitrail_latency_p95_seconds",
            "From a picture's arrival to the encoded wall.",
            &[],
            report.latency.from_arrival.p95_ms / 1000.0,
        );
    }));
}
