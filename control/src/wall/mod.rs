//! The conductor: it alone drives the engine's wall, and keeps what operators want it to show. Every
//! showing is on record before it is seen, and ends on record after it is dark.

pub mod alarms;
mod beat;
mod bus;
pub mod change;
mod gate;
pub mod layout;
pub mod level;
pub mod now;
pub mod saved;
mod settle;
mod snapshot;
pub mod state;
pub mod tours;

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use vitrail_engine::base::thread::Worker;
use vitrail_engine::base::{Mailbox, Overflow};
use vitrail_engine::config::{CameraSpec, WallSpec};
use vitrail_engine::effort::Admission;
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
pub use gate::{Gate, Wanted};
pub use layout::Layout;
pub use level::Edition;
pub use state::WallState;
pub use tours::{Tour, Tours};

/// Layouts that can be undone.
const UNDO: usize = 100;

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
    desk: Mutex<Desk>,
    alarms: Alarms,
    tours: Tours,
    cameras_changed: AtomicBool,
    wake: Mailbox<()>,
    /// What its screens lost in the last seconds.
    lost: Mutex<now::Lately>,
    ended: AtomicBool,
    audience: OnceLock<Box<dyn Audience>>,
    workers: Mutex<Vec<Worker>>,
}

/// What is wanted now. Its lock is taken before the engine's.
struct Desk {
    layout: Layout,
    undo: Vec<Layout>,
    redo: Vec<Layout>,
    /// (screen, camera) whose showing is on record, and on what it stands there.
    showings: BTreeMap<(String, String), settle::Standing>,
    cameras: HashMap<String, Arc<CameraSpec>>,
    /// The cameras that the engine knows.
    open: HashSet<CameraId>,
    /// Why the log cannot be written.
    log_trouble: Option<String>,
    /// Cameras whose refusal is on record, so that it is recorded once.
    refused: BTreeSet<(String, String)>,
    news_at: Utc,
}

impl Desk {
    /// Fails where somebody changed the layout after the version that a caller saw.
    fn is_at(&self, from: Option<u64>) -> Result<()> {
        let now = self.layout.version;
        match from.filter(|from| *from != now) {
            None => Ok(()),
            Some(from) => {
                let detail = format!("is at version {now}, not at {from}; look and do it again");
                let problem = Problem::conflict("layout", detail).code("changed");
                Err(problem.more(serde_json::json!({ "layout": self.layout })))
            }
        }
    }
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
        gate.set_cameras(0, cameras.values().map(|spec| seen(spec)));
        let id = settings.wall.id.to_string();
        let kept = saved::newest(&db, &id)?.filter(|layout| fits(layout, &settings.wall));
        let layout = kept.unwrap_or_else(|| Layout::of_scene(&settings.wall.scene, db.now()));
        let scene = layout.to_scene(&settings.wall.scene.screens)?;
        let spec = settle::spec(&settings.wall, scene, &cameras, &layout);
        let open = spec.cameras.iter().map(|camera| camera.id.clone()).collect();
        // Nothing is on record yet, so the engine is refused every camera that a tile shows.
        gate.set_wanted(settle::wanted(&layout), []);
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
            desk: Mutex::new(Desk {
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
        self.policy.ask_for_showings(Box::new(Asked(weak)));
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock()
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
        self.desk().layout.clone()
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

    /// Changes the layout: all of `changes` or none.
    ///
    /// # Errors
    /// Those of [`change::apply`]; NotFound for a camera that the registry does not have; Unavailable
    /// where the log cannot be written: then nothing new is shown.
    pub fn change(&self, by: &Actor, from: u64, changes: &[Change]) -> Result<Layout> {
        let mut desk = self.desk();
        let author = Author { account: &by.account, at: self.db.now(), from };
        let next = change::apply(&desk.layout, changes, &author)?;
        known_cameras(&desk, changes)?;
        self.replace(&mut desk, by, next, json_of(changes))?;
        Ok(desk.layout.clone())
    }

    /// What would come of changes: fits, fits degraded, or does not fit.
    ///
    /// # Errors
    /// As [`Conductor::change`].
    pub fn admit(&self, by: &Actor, changes: &[Change]) -> Result<Admission> {
        let desk = self.desk();
        let author = Author { account: &by.account, at: self.db.now(), from: desk.layout.version };
        let next = change::apply(&desk.layout, changes, &author)?;
        known_cameras(&desk, changes)?;
        self.admit_layout(&next)
    }

    /// The same for a whole layout.
    ///
    /// # Errors
    /// Where it is wrong in itself.
    pub fn admit_layout(&self, layout: &Layout) -> Result<Admission> {
        let scene = layout.to_scene(&self.settings.wall.scene.screens)?;
        Ok(self.engine(|wall| wall.admit(&scene))??)
    }

    /// Puts the wall under an incident, or under none: then it shows nothing. Whoever does it answers for
    /// the cameras that nobody has put there yet.
    ///
    /// # Errors
    /// NotFound where there is no such open incident; Conflict where the layout is at another version than
    /// `from`, where that is given.
    pub fn set_incident(&self, by: &Actor, from: Option<u64>, incident: Option<String>) -> Result<Layout> {
        if let Some(id) = &incident
            && self.policy.rights().incident(id).is_none()
        {
            return Err(Problem::not_found(format!("open incident {id}")));
        }
        let mut desk = self.desk();
        desk.is_at(from)?;
        let mut next = self.successor(&desk, by);
        next.incident.clone_from(&incident);
        settle::answer_for(&mut next, by);
        let details = serde_json::json!({ "before": desk.layout.incident });
        self.replace(&mut desk, by, next, details)?;
        Ok(desk.layout.clone())
    }

    /// Takes back the last change, or with `forward` the last taking back.
    ///
    /// # Errors
    /// Conflict where there is nothing to take back, where the layout is at another version than `from`,
    /// where that is given, and where a locked tile would show something else.
    pub fn undo(&self, by: &Actor, from: Option<u64>, forward: bool) -> Result<Layout> {
        let mut desk = self.desk();
        desk.is_at(from)?;
        let other = if forward { desk.redo.last() } else { desk.undo.last() }.cloned();
        let other = other.ok_or_else(|| {
            let what = if forward { "there is nothing to do again" } else { "there is nothing to take back" };
            Problem::conflict("layout", what).code("nothing")
        })?;
        let mut next = self.successor(&desk, by);
        next.regions = settle::touched(&other.regions, next.version);
        settle::answer_for(&mut next, by);
        change::keeps_locked(&desk.layout, &next)?;
        let (now, version) = (desk.layout.clone(), next.version);
        self.commit(
            &mut desk,
            by,
            next,
            serde_json::json!({ "taken_back": now.version, "forward": forward }),
        )?;
        debug_assert_eq!(desk.layout.version, version);
        if forward {
            desk.redo.pop();
            desk.undo.push(now);
        } else {
            desk.undo.pop();
            desk.redo.push(now);
        }
        Ok(desk.layout.clone())
    }

    /// Goes over to saved regions as a whole.
    ///
    /// # Errors
    /// Where they are for other screens, or the log cannot be written; Conflict where the layout is at
    /// another version than `from`, where that is given, and where a locked tile would show something else.
    pub fn apply_regions(
        &self,
        by: &Actor,
        from: Option<u64>,
        regions: &[layout::Region],
        why: serde_json::Value,
    ) -> Result<Layout> {
        let mut desk = self.desk();
        desk.is_at(from)?;
        let mut next = self.successor(&desk, by);
        next.regions = settle::touched(regions, next.version);
        for tile in next.regions.iter_mut().flat_map(|r| &mut r.tiles).filter(|t| t.camera.is_some()) {
            tile.by = Some(by.account.clone());
        }
        if !fits(&next, &self.settings.wall) {
            return Err(Problem::invalid("layout", "is for other screens than this wall has"));
        }
        change::keeps_locked(&desk.layout, &next)?;
        let locked: BTreeSet<&str> =
            desk.layout.tiles().filter(|t| t.locked).map(|t| t.id.as_str()).collect();
        for tile in next.regions.iter_mut().flat_map(|r| &mut r.tiles) {
            tile.locked |= locked.contains(tile.id.as_str());
        }
        self.replace(&mut desk, by, next, why)?;
        Ok(desk.layout.clone())
    }

    fn successor(&self, desk: &Desk, by: &Actor) -> Layout {
        Layout {
            version: desk.layout.version + 1,
            by: by.account.clone(),
            at: self.db.now(),
            ..desk.layout.clone()
        }
    }

    /// Commits a layout that can be undone.
    fn replace(&self, desk: &mut Desk, by: &Actor, next: Layout, details: serde_json::Value) -> Result<()> {
        let before = desk.layout.clone();
        self.commit(desk, by, next, details)?;
        desk.undo.push(before);
        if desk.undo.len() > UNDO {
            desk.undo.remove(0);
        }
        desk.redo.clear();
        Ok(())
    }

    fn commit(&self, desk: &mut Desk, by: &Actor, next: Layout, details: serde_json::Value) -> Result<()> {
        let event = Event {
            subject: Some(self.settings.wall.id.to_string()),
            incident: next.incident.clone(),
            details: serde_json::json!({ "version": next.version, "changes": details }),
            ..Event::new("layout.changed")
        };
        self.settle(desk, by, Some(next), vec![event])?;
        self.bus.tell("layout", &desk.layout);
        Ok(())
    }

    /// Why the log cannot be written now; `None` while all is well.
    pub fn log_trouble(&self) -> Option<String> {
        self.desk().log_trouble.clone()
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
        self.desk().cameras.get(id).cloned()
    }

    /// Ends the wall: everything that was shown ends on record, files are finished.
    pub fn stop(&self) -> Option<WallReport> {
        self.wake.close();
        self.ended.store(true, Ordering::Relaxed);
        drop(std::mem::take(&mut *self.workers.lock()));
        let mut desk = self.desk();
        let engine = self.engine.lock().take();
        let report = engine.map(Wall::stop);
        let mut events: Vec<Event> = desk
            .showings
            .iter()
            .map(|(showing, standing)| settle::ended(showing, standing, "the wall ends"))
            .collect();
        events.push(Event { subject: Some(self.settings.wall.id.to_string()), ..Event::new("wall.stopped") });
        let recorded = self.db.change(&Actor::system(), |_, into| {
            into.extend(events);
            Ok(())
        });
        if let Err(problem) = recorded {
            tracing::error!("the end of what was shown could not be put on record: {problem}");
        }
        desk.showings.clear();
        report
    }
}

/// Answers what an incident would end.
struct Asked(std::sync::Weak<Conductor>);

impl rights::Showings for Asked {
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

fn seen(spec: &CameraSpec) -> rights::Seen {
    rights::Seen { camera: spec.id.to_string(), zone: spec.zone.clone(), tags: spec.tags.clone() }
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

fn json_of(changes: &[Change]) -> serde_json::Value {
    serde_json::to_value(changes).unwrap_or_default()
}

fn known_cameras(desk: &Desk, changes: &[Change]) -> Result<()> {
    for change in changes {
        if let Change::Show { camera, .. } = change
            && !desk.cameras.contains_key(camera)
        {
            return Err(Problem::not_found(format!("camera {camera}")));
        }
    }
    Ok(())
}

/// True where a layout is for the screens of this wall.
fn fits(layout: &Layout, wall: &WallSpec) -> bool {
    let screens: Vec<&str> = wall.scene.screens.iter().map(|s| s.id.as_str()).collect();
    let own = layout.regions.iter().filter(|r| r.screens.len() == 1).count();
    own == screens.len()
        && layout.regions.iter().flat_map(|r| &r.screens).all(|s| screens.contains(&s.as_str()))
}
