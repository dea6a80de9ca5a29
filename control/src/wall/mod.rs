//! The conductor: it alone drives the engine's wall, and keeps what operators want it to show. Every
//! showing is on record before it is seen, and ends on record after it is dark.

pub mod alarms;
mod beat;
mod bus;
pub mod change;
mod edit;
mod gate;
pub mod layout;
pub mod level;
pub mod now;
pub mod saved;
mod settle;
mod snapshot;
pub mod state;
pub mod tours;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};
use vitrail_engine::base::thread::Worker;
use vitrail_engine::base::{Mailbox, Overflow};
use vitrail_engine::config::{CameraSpec, WallSpec};
use vitrail_engine::media::CameraId;
use vitrail_engine::output::OutputSpec;
use vitrail_engine::wall::{Wall, WallReport};

use crate::audit::{Actor, Event};
use crate::base::{Kind, Problem, Result, Utc};
use crate::db::Database;
use crate::people::Language;
use crate::rights::{self, Refusal, Showing};

pub use alarms::{Alarm, Alarms, Rule};
pub use bus::{Bus, News};
pub use change::{Author, Change};
pub use gate::{Gate, ShowRequests};
pub use layout::{Layout, OnScreen};
pub use level::Edition;
pub use state::WallState;
pub use tours::{Tour, Tours};

/// Where the cameras come from: the registry, with their logins.
pub type Specs = Box<dyn Fn() -> Result<Vec<CameraSpec>> + Send + Sync>;

/// Those who look at the wall from elsewhere.
pub trait Audience: Send + Sync {
    /// Another picture of this camera, or none, may be seen from now on: older ones are of no use.
    fn forget(&self, camera: &str);
    /// How many look at a screen.
    fn viewers(&self, screen: &str) -> u32;
}

/// What a conductor needs to know.
pub struct Settings {
    /// The wall: its screens, outputs, encoder and limits; its cameras and tiles are only the first wish.
    pub wall: WallSpec,
    /// The unit for which its screens show.
    pub unit: String,
    /// Edition of EN 62676-4.
    pub edition: Edition,
    /// Language of placards.
    pub language: Language,
}

/// Drives one wall.
pub struct Conductor {
    db: Arc<Database>,
    policy: Arc<rights::Policy>,
    gate: Arc<Gate>,
    bus: Bus,
    specs: Specs,
    settings: Settings,
    engine: Mutex<Option<Wall>>,
    intent: Mutex<Intent>,
    alarms: Alarms,
    tours: Tours,
    cameras_changed: AtomicBool,
    wake: Mailbox<()>,
    /// What its screens lost in the last seconds.
    lost: Mutex<now::RecentLosses>,
    ended: AtomicBool,
    audience: OnceLock<Box<dyn Audience>>,
    workers: Mutex<Vec<Worker>>,
}

/// What the wall is to show now, and what of it is on record. Its lock is taken before the engine's.
struct Intent {
    layout: Layout,
    /// Layouts that can be taken back to, the newest last.
    undo: Vec<Layout>,
    /// Layouts that were taken back, the newest last.
    redo: Vec<Layout>,
    /// What is on record as shown, and on what it stands there.
    showings: BTreeMap<OnScreen, settle::ShowingBasis>,
    /// The registry's cameras, by id.
    cameras: HashMap<String, Arc<CameraSpec>>,
    /// The cameras that the engine knows.
    open: HashSet<CameraId>,
    /// Why the log cannot be written.
    log_trouble: Option<String>,
    /// Cameras whose refusal is on record, so that it is recorded once.
    refused: BTreeSet<settle::RefusedCamera>,
    /// When those who look were last told of the state.
    news_at: Utc,
}

impl Conductor {
    /// Starts the engine's wall behind the gate, and the conductor's own thread. The wall shows what it
    /// showed last, as far as that is still allowed.
    ///
    /// # Errors
    /// Where the wall cannot be started or the database not be read.
    pub fn start(
        db: Arc<Database>,
        policy: Arc<rights::Policy>,
        settings: Settings,
        specs: Specs,
    ) -> Result<Arc<Conductor>> {
        let records = keeps_pictures(&settings.wall)?;
        let gate = Gate::new(policy.clone(), settings.unit.clone(), records, settings.language);
        let cameras = by_id(specs()?);
        gate.set_cameras(0, cameras.values().map(|spec| facts_of(spec)));
        let id = settings.wall.id.to_string();
        let kept = saved::newest(&db, &id)?.filter(|layout| fits(layout, &settings.wall));
        let layout = kept.unwrap_or_else(|| Layout::of_scene(&settings.wall.scene, db.now()));
        let scene = layout.to_scene(&settings.wall.scene.screens)?;
        let spec = settle::spec(&settings.wall, scene, &cameras, &layout);
        let open = spec.cameras.iter().map(|camera| camera.id.clone()).collect();
        // Nothing is on record yet, so the engine is refused every camera that a tile shows.
        gate.set_requests(settle::requests_of(&layout), []);
        let wall = Wall::start(spec, &*gate, db.clock().clone())?;
        let conductor = Arc::new(Conductor {
            alarms: Alarms::new(db.clone()),
            tours: Tours::new(db.clone()),
            policy,
            gate,
            bus: Bus::default(),
            specs,
            settings,
            engine: Mutex::new(Some(wall)),
            intent: Mutex::new(Intent {
                layout,
                undo: Vec::new(),
                redo: Vec::new(),
                showings: BTreeMap::new(),
                cameras,
                open,
                log_trouble: None,
                refused: BTreeSet::new(),
                news_at: Utc(0),
            }),
            cameras_changed: AtomicBool::new(false),
            wake: Mailbox::new(1, Overflow::DropNewest),
            lost: Mutex::default(),
            ended: AtomicBool::new(false),
            audience: OnceLock::new(),
            workers: Mutex::default(),
            db,
        });
        conductor.listen();
        conductor.db.record(&Actor::system(), Event { subject: Some(id), ..Event::new("wall.started") })?;
        let (beats, watches) = (conductor.clone(), conductor.clone());
        *conductor.workers.lock() = vec![
            Worker::spawn("conductor", move || beats.conduct())?,
            Worker::spawn("rights-clock", move || watches.watch_the_clock())?,
        ];
        Ok(conductor)
    }

    /// Follows what is committed elsewhere.
    fn listen(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        self.db.on_commit(Box::new(move |records| {
            let Some(conductor) = weak.upgrade() else { return };
            let of =
                |kinds: &[&str]| records.iter().any(|r| kinds.iter().any(|k| r.event.kind.starts_with(k)));
            // Fails closed: until the registry was followed, nothing is known of what rights and masks these
            // cameras have, and their pictures are dark. Before the conductor is woken, so that it follows
            // what was forgotten here.
            let redrawn = || records.iter().filter(|r| concerns_pixels(&r.event));
            let cameras = || redrawn().filter_map(|r| r.event.camera.as_deref());
            conductor.gate.forget(cameras());
            if let Some(audience) = conductor.audience.get() {
                cameras().for_each(|camera| audience.forget(camera));
            }
            if of(&["camera.", "zone.", "site.", "registry."]) {
                conductor.cameras_changed.store(true, Ordering::Release);
                conductor.wake.send(());
            }
            if of(&["agreement.", "incident.", "account."]) {
                conductor.wake.send(());
            }
            for (kind, event) in
                [("agreement.", "agreement"), ("incident.", "incident"), ("camera.", "registry")]
            {
                if let Some(record) = records.iter().find(|r| r.event.kind.starts_with(kind)) {
                    conductor.bus.tell(event, &record.event);
                }
            }
        }));
        let weak = Arc::downgrade(self);
        self.policy.ask_for_showings(Box::new(ShowingsOfWall(weak)));
    }

    fn intent(&self) -> MutexGuard<'_, Intent> {
        self.intent.lock()
    }

    fn engine<T>(&self, f: impl FnOnce(&mut Wall) -> T) -> Result<T> {
        let mut engine = self.engine.lock();
        let stopped = || Problem::new(Kind::Unavailable, "wall", "has ended");
        engine.as_mut().map(f).ok_or_else(stopped)
    }

    /// Tells `audience` from now on of pictures that are out of date; the first one stays.
    pub fn attend(&self, audience: Box<dyn Audience>) {
        if self.audience.set(audience).is_err() {
            tracing::warn!("the wall has an audience already");
        }
    }

    /// The layout as it is wanted now.
    pub fn layout(&self) -> Layout {
        self.intent().layout.clone()
    }

    /// News for everybody who looks.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The gate between rights and pixels.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The alarms of the wall.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// The tours of the wall.
    pub fn tours(&self) -> &Tours {
        &self.tours
    }

    /// What it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Why the log cannot be written now; `None` while all is well.
    pub fn log_trouble(&self) -> Option<String> {
        self.intent().log_trouble.clone()
    }

    /// The whole report, for monitoring.
    ///
    /// # Errors
    /// Unavailable where the wall has ended.
    pub fn report(&self) -> Result<WallReport> {
        self.engine(|wall| wall.report())
    }

    /// What the engine has of the wall, for those who need more.
    ///
    /// # Errors
    /// Unavailable where the wall has ended.
    pub fn with_wall<T>(&self, f: impl FnOnce(&Wall) -> T) -> Result<T> {
        self.engine(|wall| f(wall))
    }

    /// Why a tile is dark, by camera.
    pub fn refusal(&self, camera: &str) -> Option<Refusal> {
        self.gate.refusal(camera)
    }

    /// What is known of a camera.
    pub fn camera(&self, id: &str) -> Option<Arc<CameraSpec>> {
        self.intent().cameras.get(id).cloned()
    }

    /// Ends the wall: everything that was shown ends on record, files are finished.
    pub fn stop(&self) -> Option<WallReport> {
        self.wake.close();
        self.ended.store(true, Ordering::Relaxed);
        drop(std::mem::take(&mut *self.workers.lock()));
        let mut intent = self.intent();
        let engine = self.engine.lock().take();
        let report = engine.map(Wall::stop);
        let mut events: Vec<Event> =
            intent.showings.iter().map(|(on, basis)| settle::ended(on, basis, "the wall ends")).collect();
        events.push(Event { subject: Some(self.settings.wall.id.to_string()), ..Event::new("wall.stopped") });
        let recorded = self.db.change(&Actor::system(), |_, into| {
            into.extend(events);
            Ok(())
        });
        if let Err(problem) = recorded {
            tracing::error!("the end of what was shown could not be put on record: {problem}");
        }
        intent.showings.clear();
        report
    }
}

/// Tells the policy what is shown under an incident: what its end would end.
struct ShowingsOfWall(std::sync::Weak<Conductor>);

impl rights::Showings for ShowingsOfWall {
    fn under(&self, incident: &str) -> Vec<Showing> {
        self.0.upgrade().map(|conductor| conductor.showings_under(incident)).unwrap_or_default()
    }
}

/// True where an output of the wall keeps pictures: then every showing on it is a recording.
fn keeps_pictures(wall: &WallSpec) -> Result<bool> {
    for output in wall.outputs.iter().flat_map(|screen| &screen.outputs) {
        let spec: OutputSpec = output.expose().parse()?;
        if spec.keeps_pictures() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn by_id(specs: Vec<CameraSpec>) -> HashMap<String, Arc<CameraSpec>> {
    specs.into_iter().map(|spec| (spec.id.to_string(), Arc::new(spec))).collect()
}

fn facts_of(spec: &CameraSpec) -> rights::CameraFacts {
    rights::CameraFacts { camera: spec.id.to_string(), zone: spec.zone.clone(), tags: spec.tags.clone() }
}

/// Whether other pixels of a camera, or none, may be seen after this.
fn concerns_pixels(event: &Event) -> bool {
    let named = |field: &str| {
        let fields = event.details["fields"].as_array();
        fields.is_some_and(|fields| fields.iter().any(|f| f == field))
    };
    match event.kind.as_str() {
        "camera.removed" | "camera.masks-changed" => true,
        "camera.changed" => named("zone") || named("tags"),
        _ => false,
    }
}

/// True where a layout is for the screens of this wall.
fn fits(layout: &Layout, wall: &WallSpec) -> bool {
    let screens: Vec<&str> = wall.scene.screens.iter().map(|s| s.id.as_str()).collect();
    let own = layout.regions.iter().filter(|r| r.screens.len() == 1).count();
    own == screens.len()
        && layout.regions.iter().flat_map(|r| &r.screens).all(|s| screens.contains(&s.as_str()))
}
