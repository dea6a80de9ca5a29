//! Wires the rooms for a live wall: the only place, beside offline jobs, that sees all of them.

mod cadence;
mod camera;
mod latency;
pub mod liveness;
pub mod report;
mod screen;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::{Error, ErrorKind, Moment, Result, SharedClock, Shutdown};
use crate::composite::{OverlayStyle, TextRenderer, snapshot};
use crate::config::{CameraSpec, LimitSpec, OutputText, OverlaySpec, WallSpec};
use crate::decode::{DecodePool, HardwareFactory, PoolConfig};
use crate::fit::FitSpec;
use crate::ingest::Ingest;
use crate::media::{CameraId, Frame, ScreenId};
use crate::output::{OutputSpec, OutputStatus};
use crate::scene::{self, Layout, Scene};
use crate::source::{Authority, CameraUri, Secrets, SourceConfig};
use crate::store::FrameStore;

use camera::{Camera, Rooms, wanted};
use latency::Latency;
use liveness::LivenessLimits;
use screen::{Cameras, Command, Screen, ScreenParts};

pub use report::{CameraReport, ProcessReport, ScreenReport, Spread, WallReport};

/// Pictures of a tile at most this many lines high come from the camera's sub-stream, if it has one.
const SUB_STREAM_LINES: u32 = 480;
/// Bytes of fitted pictures: 64 tiles of 4K walls and as much again while a layout changes.
const STORE_BYTES: u64 = 1 << 30;

/// A live wall.
pub struct Wall {
    spec: WallSpec,
    started: Moment,
    clock: SharedClock,
    shutdown: Shutdown,
    screens: Vec<Screen>,
    cameras: Cameras,
    ingest: Ingest,
    pool: DecodePool,
    store: Arc<FrameStore>,
}

impl Wall {
    /// Starts a wall: screens first, so that they show placards while cameras connect. Fails only
    /// on what is known to be wrong before a camera is asked (invariant 6).
    pub fn start(spec: WallSpec, authority: &Authority, clock: SharedClock) -> Result<Wall> {
        let layout = scene::solve(&spec.scene).map_err(|e| spec.located(&e))?;
        let secrets = spec.secrets.as_deref().map(Secrets::load).transpose()?.unwrap_or_default();
        // All that can be refused is refused before an output touches a file or a port.
        let openings = openings(&spec, &layout, &secrets)?;
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
        let ingest = Ingest::start(clock.clone(), &shutdown)?;
        let mut wall = Wall {
            started: clock.now(),
            spec,
            clock,
            shutdown,
            screens: Vec::new(),
            cameras,
            ingest,
            pool,
            store,
        };
        wall.start_screens(&layout, outputs)?;
        wall.open_cameras(openings, authority);
        Ok(wall)
    }

    fn start_screens(&mut self, layout: &Layout, outputs: Vec<Vec<OutputSpec>>) -> Result<()> {
        let text = Arc::new(TextRenderer::new());
        for (screen, outputs) in layout.screens.iter().zip(outputs) {
            self.screens.push(Screen::start(ScreenParts {
                layout: screen.clone(),
                backend: self.spec.backend,
                style: style(&self.spec.overlay, &self.spec.limits),
                text: text.clone(),
                encoder: self.spec.encoder_config(screen.width, screen.height),
                outputs,
                store: self.store.clone(),
                cameras: self.cameras.clone(),
                clock: self.clock.clone(),
            })?);
        }
        Ok(())
    }

    fn open_cameras(&self, openings: Vec<Opening>, authority: &Authority) {
        let rooms = Rooms { ingest: &self.ingest, pool: &self.pool, store: &self.store, clock: &self.clock };
        let limits =
            LivenessLimits { age: self.spec.limits.placard_after, freeze: self.spec.limits.frozen_after };
        let open = openings.into_iter().map(|Opening { camera, profile, config, specs }| {
            let grant = authority.grant(&camera.id);
            let camera = Camera::open(&rooms, &camera, &profile, config, specs, limits, grant);
            (camera.id.clone(), Arc::new(camera))
        });
        let open = Arc::new(open.collect());
        *self.cameras.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }

    fn cameras(&self) -> Arc<HashMap<CameraId, Arc<Camera>>> {
        self.cameras.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows another scene on the same screens, from the next tick on. Its cameras must be open.
    pub fn apply(&mut self, scene: &Scene) -> Result<()> {
        let layout = scene::solve(scene)?;
        let same = layout.screens.len() == self.screens.len()
            && layout.screens.iter().zip(&self.screens).all(|(new, old)| {
                (&new.id, new.width, new.height) == (&old.layout.id, old.layout.width, old.layout.height)
            });
        if !same {
            return Err(Error::new(
                ErrorKind::Config,
                "scene",
                "has other screens than the wall; start it anew",
            ));
        }
        let mut wanted = wanted(&layout);
        let cameras = self.cameras();
        if let Some(id) = wanted.keys().find(|id| !cameras.contains_key(*id)) {
            let remedy = "is not open; start the wall with a scene that shows it";
            return Err(Error::new(ErrorKind::Config, id.to_string(), remedy));
        }
        // Screens go over at their next tick, so the pictures of the layout before stay for now.
        let needed: Vec<_> =
            self.screens.iter().map(|s| &s.layout).chain(&layout.screens).flat_map(|s| &s.tiles).collect();
        self.store.retain(|id, spec| needed.iter().any(|t| t.camera.as_ref() == Some(id) && t.spec == *spec));
        for (id, camera) in cameras.iter() {
            camera.set_wanted(wanted.remove(id).unwrap_or_default());
        }
        for (screen, new) in self.screens.iter_mut().zip(layout.screens) {
            screen.layout = new.clone();
            screen.send(Command::Layout(new));
        }
        Ok(())
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
            latency: latency.report(),
            process: ProcessReport::now(),
        }
    }

    /// Ends cleanly: cameras are told, files are finished. Returns the last report.
    pub fn stop(mut self) -> WallReport {
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

/// A camera that a tile shows, ready to be opened.
struct Opening {
    camera: CameraSpec,
    profile: String,
    config: SourceConfig,
    specs: Vec<FitSpec>,
}

/// The cameras that the layout shows, in the order of the configuration.
fn openings(spec: &WallSpec, layout: &Layout, secrets: &Secrets) -> Result<Vec<Opening>> {
    let mut wanted = wanted(layout);
    let mut openings = Vec::new();
    for camera in &spec.cameras {
        let Some(specs) = wanted.remove(&camera.id) else { continue };
        let lines = specs.iter().map(|s| s.height).max().unwrap_or_default();
        let profile = profile(camera, lines).to_owned();
        let config = source(camera, &profile, &spec.limits, secrets)?;
        openings.push(Opening { camera: camera.clone(), profile, config, specs });
    }
    Ok(openings)
}

/// Where a screen goes; an error has the output's file, line and key.
fn outputs(spec: &WallSpec, screen: &ScreenId) -> Result<Vec<OutputSpec>> {
    let listed = spec.outputs.iter().filter(|o| o.screen == *screen).flat_map(|o| &o.outputs);
    let parse =
        |text: &OutputText| text.expose().parse::<OutputSpec>().map_err(|e| Error::from(text.refused(&e)));
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
        site: camera.site.clone(),
        ..SourceConfig::new(uri)
    })
}

/// How overlays look.
fn style(spec: &OverlaySpec, limits: &LimitSpec) -> OverlayStyle {
    OverlayStyle {
        background: spec.background,
        labels: spec.labels,
        clock: spec.clock,
        age_from: spec.age_after.unwrap_or(Duration::MAX),
        border: spec.border,
        border_color: spec.border_color,
        // The status says so first; this only guards against one that does not.
        age_limit: limits.placard_after + Duration::from_secs(1),
        language: spec.language,
        utc_offset: local_offset(),
        ..OverlayStyle::default()
    }
}

/// Local time less UTC now, in seconds, by the machine's time zone.
fn local_offset() -> i32 {
    jiff::Zoned::now().offset().seconds()
}

/// Which of a camera's streams a tile of this many lines deserves.
fn profile(camera: &CameraSpec, lines: u32) -> &str {
    let sub = camera.profiles.contains_key("sub");
    if sub && lines <= SUB_STREAM_LINES { "sub" } else { "main" }
}
