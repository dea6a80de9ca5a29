//! Wires the rooms for a live wall: the only place, beside offline jobs, that sees all of them.

mod cadence;
mod camera;
mod dial;
mod govern;
mod latency;
pub mod liveness;
mod pace;
mod phase;
mod recent;
mod reload;
pub mod report;
mod screen;
mod still;
mod stream;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::{Error, ErrorKind, Moment, ProcessReport, Result, SharedClock, Shutdown};
use crate::composite::{OverlayStyle, TextRenderer, snapshot};
use crate::config::{CameraSpec, LimitSpec, OutputText, OverlaySpec, WallSpec};
use crate::decode::{DecodePool, HardwareFactory, PoolConfig};
use crate::effort::{Admission, ScreenWish, Wish};
use crate::encode::EncodedSink;
use crate::ingest::Ingest;
use crate::media::{CameraId, FitSpec, Frame, ScreenId};
use crate::output::{OutputSpec, OutputStatus, Tap};
use crate::scene::{self, Layout, Scene};
use crate::source::{CameraUri, Policy, Secrets, SourceConfig};
use crate::store::FrameStore;

use camera::{Camera, Offer, Rooms};
use govern::{Govern, costs};
use latency::Latency;
use liveness::LivenessLimits;
use screen::{Cameras, Command, Screen, ScreenParts};
use stream::expected_load;
use wanted::{CameraNeed, wanted};

pub use reload::Reloaded;
pub use report::{
    CameraReport, CameraStanding, DropReport, EffortReport, GovernorReport, MoveReport, ScreenReport, Spread,
    WallReport,
};
pub use still::{StillWish, at_width};

/// Bytes of fitted pictures: 64 tiles of 4K walls and as much again while a layout changes.
const STORE_BYTES: u64 = 1 << 30;

/// A live wall.
pub struct Wall {
    spec: WallSpec,
    started: Moment,
    clock: SharedClock,
    shutdown: Shutdown,
    govern: Govern,
    screens: Vec<Screen>,
    cameras: Cameras,
    rooms: Arc<Rooms>,
}

impl Wall {
    /// Starts a wall: screens first, so that they show placards while cameras connect. Fails only
    /// on what is known to be wrong before a camera is asked (invariant 6).
    pub fn start(spec: WallSpec, policy: &dyn Policy, clock: SharedClock) -> Result<Wall> {
        let layout = laid_out(&spec.scene, &spec.overlay).map_err(|e| spec.located(&e))?;
        let secrets = spec.secrets.as_deref().map(Secrets::load).transpose()?.unwrap_or_default();
        // All that can be refused is refused before an output touches a file or a port.
        let openings = openings(&spec, &secrets)?;
        let outputs =
            layout.screens.iter().map(|screen| outputs(&spec, &screen.id)).collect::<Result<_>>()?;
        let shutdown = Shutdown::new();
        let store = Arc::new(FrameStore::new(STORE_BYTES));
        let cameras: Cameras = Arc::new(Mutex::new(Arc::new(HashMap::new())));
        let pool = DecodePool::start(
            PoolConfig {
                queue_bound: spec.limits.queue,
                factory: Arc::new(HardwareFactory::probe()),
                ..PoolConfig::default()
            },
            clock.clone(),
        )?;
        let ingest = Ingest::start(spec.cameras.len(), clock.clone(), &shutdown)?;
        let rooms = Arc::new(Rooms { ingest, pool, store, clock: clock.clone() });
        let model = costs(spec.cost_model.as_deref());
        let govern = Govern::new(spec.effort, model, rooms.clone(), cameras.clone());
        let mut wall =
            Wall { started: clock.now(), spec, clock, shutdown, govern, screens: Vec::new(), cameras, rooms };
        wall.start_screens(&layout, outputs)?;
        wall.open_cameras(openings, &layout, policy);
        wall.govern.start()?;
        Ok(wall)
    }

    fn start_screens(&mut self, layout: &Layout, outputs: Vec<Vec<OutputSpec>>) -> Result<()> {
        let text = Arc::new(TextRenderer::new());
        for (place, (screen, outputs)) in layout.screens.iter().zip(outputs).enumerate() {
            self.screens.push(Screen::start(ScreenParts {
                layout: screen.clone(),
                backend: self.spec.backend,
                style: style(&self.spec.overlay, &self.spec.limits),
                text: text.clone(),
                encoder: self.spec.encoder_config(screen.width, screen.height),
                outputs,
                store: self.rooms.store.clone(),
                cameras: self.cameras.clone(),
                place,
                missed: self.govern.missed(),
                moves: layout.screens.len() == 1,
                clock: self.clock.clone(),
            })?);
        }
        self.govern.set_screens(self.screens.iter().map(|screen| screen.dial.clone()).collect());
        Ok(())
    }

    /// Opens what the layout shows, and keeps the rest on standby.
    fn open_cameras(&self, openings: Vec<(CameraSpec, Vec<Offer>)>, layout: &Layout, policy: &dyn Policy) {
        let limits = liveness_limits(&self.spec.limits);
        let mut wanted = wanted(layout);
        let open = openings.into_iter().map(|(spec, offers)| {
            let camera = Camera::new(&self.rooms, &spec, offers, limits, policy.grant(&spec.id));
            if let Some(CameraNeed { specs, pinned }) = wanted.remove(&spec.id) {
                camera.set_wanted(specs, pinned);
            }
            (spec.id, Arc::new(camera))
        });
        let open = Arc::new(open.collect());
        *self.cameras.lock() = open;
        self.govern.decide();
    }

    fn cameras(&self) -> Arc<HashMap<CameraId, Arc<Camera>>> {
        self.cameras.lock().clone()
    }

    /// Shows another scene on the same screens, from the next tick on. Its cameras must be open.
    pub fn apply(&mut self, scene: &Scene) -> Result<()> {
        let layout = laid_out(scene, &self.spec.overlay)?;
        same_screens(&layout, &self.screens)?;
        let cameras = self.cameras();
        let shown = layout.screens.iter().flat_map(|s| &s.tiles).filter_map(|t| t.camera.as_ref());
        if let Some(id) = shown.into_iter().find(|id| !cameras.contains_key(*id)) {
            let remedy = "is not open; name it in the wall file, in a tile or by [wall] standby";
            return Err(Error::new(ErrorKind::Config, id.to_string(), remedy));
        }
        self.show(layout);
        Ok(())
    }

    /// Shows a layout of these screens, from the next tick on.
    fn show(&mut self, layout: Layout) {
        // Screens go over at their next tick, so the pictures of the layout before stay for now.
        let tiles = self.screens.iter().map(|s| &s.layout).chain(&layout.screens).flat_map(|s| &s.tiles);
        let needed: HashSet<(CameraId, FitSpec)> =
            tiles.filter_map(|t| Some((t.camera.clone()?, t.spec))).collect();
        self.rooms.store.retain(|id, spec| needed.contains(&(id.clone(), *spec)));
        let mut wanted = wanted(&layout);
        for (id, camera) in self.cameras().iter() {
            let CameraNeed { specs, pinned } = wanted.remove(id).unwrap_or_default();
            camera.set_wanted(specs, pinned);
        }
        for (screen, new) in self.screens.iter().zip(&layout.screens) {
            screen.dial.set_tiles(new);
        }
        // Called up at once, not at the governor's next tick.
        self.govern.decide();
        for (screen, new) in self.screens.iter_mut().zip(layout.screens) {
            screen.layout = new.clone();
            screen.send(Command::Layout(new));
        }
    }

    /// What would come of a scene, before it is applied: fits, fits degraded, or does not fit. Its
    /// cameras that are not open are left out.
    pub fn admit(&self, scene: &Scene) -> Result<Admission> {
        let layout = laid_out(scene, &self.spec.overlay)?;
        let (now, cameras) = (self.clock.now(), self.cameras());
        let wish = |(id, wanted): (CameraId, CameraNeed)| Some(cameras.get(&id)?.wish_for(now, &wanted));
        let wishes: Vec<Wish> = wanted(&layout).into_iter().filter_map(wish).collect();
        let screens: Vec<ScreenWish> = std::iter::zip(&self.screens, &layout.screens)
            .map(|(screen, new)| screen.dial.wish_for(new, &cameras))
            .collect();
        Ok(self.govern.admit(&wishes, &screens))
    }

    /// Asks the policy anew for every camera that may not be seen, and closes what was withdrawn since;
    /// the tiles of a withdrawn grant are dark from their screen's next tick on also without this.
    pub fn ask_again(&self, policy: &dyn Policy) {
        for (id, camera) in self.cameras().iter() {
            if camera.refusal().is_some() {
                // A new grant opens new streams: those of the old one have ended, or are about to.
                camera.close();
                camera.set_right(policy.grant(id));
            }
        }
        self.govern.decide();
    }

    /// The layout that its screens show, or go over to at their next tick.
    pub fn layout(&self) -> Layout {
        Layout { screens: self.screens.iter().map(|screen| screen.layout.clone()).collect() }
    }

    /// Hands every access unit of a screen to `sink` from the next key frame on, which is asked for,
    /// until the answer is dropped. `sink` is called on the encoder's thread and must not wait
    /// (invariant 1). `None` where there is no such screen.
    pub fn tap(&self, screen: &ScreenId, sink: Arc<dyn EncodedSink>) -> Option<Tap> {
        let screen = self.screens.iter().find(|s| s.layout.id == *screen)?;
        Some(screen.hub.tap(sink))
    }

    /// Flashes the tiles of these cameras; all others stop flashing.
    pub fn set_alarms(&self, cameras: &[CameraId]) {
        for screen in &self.screens {
            screen.send(Command::Alarms(cameras.to_vec()));
        }
    }

    /// Follows the machine's time zone through daylight saving; call it now and then.
    pub fn follow_local_time(&self) {
        for screen in &self.screens {
            screen.send(Command::UtcOffset(local_offset()));
        }
    }

    /// Where and how to look at each output; where players need a session description, with it.
    pub fn where_to_look(&self) -> Vec<String> {
        let of = |screen: &Screen| {
            let id = screen.layout.id.clone();
            screen.hub.status().into_iter().map(move |output| where_to_look(&id, &output))
        };
        self.screens.iter().flat_map(of).collect()
    }

    /// The first screen as a PNG; `None` before its first picture.
    pub fn snapshot(&self) -> Option<Result<Vec<u8>>> {
        self.newest(0).map(|frame| snapshot::to_png(&frame))
    }

    /// The newest canvas of a screen, by its place in the scene.
    pub fn newest(&self, screen: usize) -> Option<Frame> {
        self.screens.get(screen)?.newest()
    }

    /// What is counted so far.
    pub fn report(&self) -> WallReport {
        let now = self.clock.now();
        let cameras = self.cameras();
        let mut latency = Latency::default();
        self.screens.iter().for_each(|screen| latency.merge(&screen.latency()));
        let in_order = self.spec.cameras.iter().filter_map(|spec| cameras.get(&spec.id));
        WallReport {
            version: env!("CARGO_PKG_VERSION"),
            wall: self.spec.id.to_string(),
            elapsed_s: now.since(self.started).as_secs_f64(),
            at_unix_s: self.clock.wall().as_secs_f64(),
            cameras: in_order.map(|camera| camera.report(now)).collect(),
            screens: self.screens.iter().map(Screen::report).collect(),
            governor: self.govern.report(),
            latency: latency.report(),
            process: ProcessReport::now(),
        }
    }

    /// What is counted of one camera; `None` where it is not open.
    pub fn camera_report(&self, id: &CameraId) -> Option<CameraReport> {
        Some(self.cameras().get(id)?.report(self.clock.now()))
    }

    /// How every camera stands that is open, shown or on standby, in no order: looked up where the answer is
    /// called, for thousands of them take milliseconds that need no wall.
    pub fn standings_later(&self) -> impl FnOnce() -> Vec<CameraStanding> + Send + use<> {
        let (cameras, clock) = (self.cameras(), self.clock.clone());
        move || {
            let now = clock.now();
            cameras.values().map(|camera| camera.standing(now)).collect()
        }
    }

    /// What is counted of the screens, in their order.
    pub fn screen_reports(&self) -> Vec<ScreenReport> {
        self.screens.iter().map(Screen::report).collect()
    }

    /// The governor's last decision.
    pub fn governor_report(&self) -> GovernorReport {
        self.govern.report()
    }

    /// Ends cleanly: cameras are told, files are finished. Returns the last report.
    pub fn stop(mut self) -> WallReport {
        self.govern.stop();
        let cameras = self.report().cameras;
        self.shutdown.cancel();
        for screen in &mut self.screens {
            screen.stop();
        }
        WallReport { cameras, ..self.report() }
    }
}

fn where_to_look(screen: &ScreenId, output: &OutputStatus) -> String {
    let place = format!("screen {screen}: {}", output.address);
    match &output.sdp {
        None => place,
        Some(sdp) => format!("{place}, played from a .sdp file with this in it:\n{}", sdp.replace('\r', "")),
    }
}

/// Fails where a layout is for other screens than these.
fn same_screens(layout: &Layout, screens: &[Screen]) -> Result<()> {
    let same = layout.screens.len() == screens.len()
        && layout.screens.iter().zip(screens).all(|(new, old)| {
            (&new.id, new.width, new.height) == (&old.layout.id, old.layout.width, old.layout.height)
        });
    if same {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "screens", "are others than those of the running wall; start it anew"))
}

/// Every camera with the streams that it offers, the largest first.
fn openings(spec: &WallSpec, secrets: &Secrets) -> Result<Vec<(CameraSpec, Vec<Offer>)>> {
    let offers = |camera: &CameraSpec| offers(camera, &spec.limits, secrets);
    spec.cameras.iter().map(|camera| Ok((camera.clone(), offers(camera)?))).collect()
}

/// The streams that a camera offers, the largest first.
fn offers(camera: &CameraSpec, limits: &LimitSpec, secrets: &Secrets) -> Result<Vec<Offer>> {
    let offer = |profile: &String| {
        let config = source(camera, profile, limits, secrets)?;
        Ok(Offer { profile: profile.as_str().into(), config, load: expected_load(camera, profile) })
    };
    let mut offers = camera.profiles.keys().map(offer).collect::<Result<Vec<Offer>>>()?;
    let pixels = |o: &Offer| u64::from(o.load.width) * u64::from(o.load.height);
    offers.sort_by_key(|o| (std::cmp::Reverse(pixels(o)), o.profile != "main".into()));
    Ok(offers)
}

/// Where a screen goes; an error has the output's file, line and key.
fn outputs(spec: &WallSpec, screen: &ScreenId) -> Result<Vec<OutputSpec>> {
    let listed = spec.outputs.iter().filter(|o| o.screen == *screen).flat_map(|o| &o.outputs);
    let parse = |text: &OutputText| {
        let parsed = text.expose().parse::<OutputSpec>();
        let fitting = parsed.and_then(|output| output.carries(spec.encoder.codec).map(|()| output));
        fitting.map_err(|e| Error::from(text.refused(&e)))
    };
    listed.map(parse).collect()
}

/// What to open of a camera.
fn source(camera: &CameraSpec, profile: &str, limits: &LimitSpec, secrets: &Secrets) -> Result<SourceConfig> {
    let text = camera.profiles.get(profile).unwrap_or(camera.uri());
    let uri = CameraUri::parse(text.expose())?;
    Ok(SourceConfig {
        transport: camera.transport,
        client: camera.client,
        patience: limits.patience,
        login: secrets.login(&camera.id, &uri),
        any_certificate: camera.any_certificate,
        site: camera.site.clone(),
        ..SourceConfig::new(uri)
    })
}

/// How overlays look.
fn style(spec: &OverlaySpec, limits: &LimitSpec) -> OverlayStyle {
    restyled(
        OverlayStyle {
            // The status says so first; this only guards against one that does not.
            age_limit: limits.placard_after.max(pace::OLDEST_KEY_FRAME) + Duration::from_secs(1),
            utc_offset: local_offset(),
            ..OverlayStyle::default()
        },
        spec,
    )
}

/// A style with what the file says of overlays, and all else as it was.
fn restyled(style: OverlayStyle, spec: &OverlaySpec) -> OverlayStyle {
    OverlayStyle {
        background: spec.background,
        labels: spec.labels,
        label_place: spec.label_place,
        age_place: spec.age_place,
        clock: spec.clock,
        age_from: spec.age_after.unwrap_or(Duration::MAX),
        border: spec.border,
        border_color: spec.border_color,
        language: spec.language,
        ..style
    }
}

/// Where everything of a scene is, with the room that texts take.
fn laid_out(scene: &Scene, overlay: &OverlaySpec) -> Result<Layout> {
    let mut layout = scene::solve(scene)?;
    restyled(OverlayStyle::default(), overlay).make_room(&mut layout);
    Ok(layout)
}

/// Local time less UTC now, in seconds, by the machine's time zone.
fn local_offset() -> i32 {
    jiff::Zoned::now().offset().seconds()
}

fn liveness_limits(limits: &LimitSpec) -> LivenessLimits {
    LivenessLimits { age: limits.placard_after, freeze: limits.frozen_after }
}
