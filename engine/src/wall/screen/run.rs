//! The thread of one screen: at each tick it looks at the newest pictures, plans what changed, composes, and hands the
//! canvas to the encoder. It waits for nobody (invariants 1 and 6).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Command, Orders, ScreenParts, Shared};
use crate::base::{Moment, Result, Shutdown};
use crate::composite::{Backend, Compositor, ScreenPlanner, TickView, TileStatus, TileView, probe};
use crate::config::CameraSpec;
use crate::encode::ScreenEncoder;
use crate::media::{CameraId, Frame, FrameMeta, Pts, Ratio};
use crate::output::OutputHub;
use crate::scene::{ScreenLayout, Tile};
use crate::store::{FrameStore, Slot};
use crate::wall::cadence::Cadence;
use crate::wall::camera::Camera;
use crate::wall::dial::Dial;
use crate::wall::latency::LatencyMeter;
use crate::wall::phase::Phase;

/// A tile, and where its newest picture lies.
struct Pane {
    tile: Tile,
    slot: Option<Arc<Slot>>,
    spec: Option<Arc<CameraSpec>>,
    /// The version that was shown last, and since when.
    shown: u64,
    shown_at: Option<Moment>,
    alarm: bool,
}

/// What others tell the thread: orders once, and how much it makes.
pub(super) struct Inputs {
    pub(super) orders: Arc<Orders>,
    pub(super) dial: Arc<Dial>,
}

/// The thread's own state.
pub(super) struct Run {
    parts: ScreenParts,
    shared: Arc<Shared>,
    encoder: Arc<ScreenEncoder>,
    hub: Arc<OutputHub>,
    meter: Arc<LatencyMeter>,
    told: Inputs,
    planner: ScreenPlanner,
    compositor: Box<dyn Compositor>,
    panes: Vec<Pane>,
    alarms: Vec<CameraId>,
    canvas: Option<Frame>,
    phase: Option<Phase>,
}

impl Run {
    pub fn new(
        parts: ScreenParts,
        shared: Arc<Shared>,
        encoder: Arc<ScreenEncoder>,
        hub: Arc<OutputHub>,
        meter: Arc<LatencyMeter>,
        told: Inputs,
    ) -> Result<Run> {
        let (compositor, why) = probe::open(parts.backend, parts.layout.width, parts.layout.height)?;
        tracing::info!(screen = %parts.layout.id, "composed on {}: {why}", compositor.name());
        shared.lock().compositor = compositor.name().to_owned();
        let planner = ScreenPlanner::new(&parts.layout, parts.style.clone(), parts.text.clone());
        let panes = panes(&parts.layout, &parts.store, &[]);
        Ok(Run {
            parts,
            shared,
            encoder,
            hub,
            meter,
            told,
            planner,
            compositor,
            panes,
            alarms: Vec::new(),
            canvas: None,
            phase: None,
        })
    }

    pub fn until(&mut self, stop: &Shutdown) {
        let clock = self.parts.clock.clone();
        let begun = clock.now();
        let mut cadence = Cadence::new(begun, self.rate());
        self.phase = self.parts.moves.then(|| Phase::new(self.rate()));
        while !stop.is_cancelled() {
            cadence.shift(self.phase.as_mut().map_or(0, Phase::step));
            let tick = cadence.next(clock.now(), self.told.dial.share());
            let early = tick.due.since(clock.now());
            if !early.is_zero() {
                std::thread::sleep(early);
            }
            let started = clock.now();
            let refresh = match self.show(tick.due, started) {
                Ok(refresh) => refresh,
                Err(error) => {
                    self.fall_back(&error);
                    continue;
                }
            };
            let mut state = self.shared.lock();
            state.cadence_error.record(started.since(tick.due));
            state.compose.record(clock.now().since(started));
            state.frames += 1;
            state.missed += tick.missed;
            state.left_out += tick.left_out;
            self.parts.missed.add(tick.missed);
            let first = *state.first.get_or_insert(started);
            if let Some(refresh) = refresh {
                state.refresh.record(started.since(first), refresh);
            }
            state.last = started;
            state.newest = self.canvas.clone();
        }
    }

    fn rate(&self) -> Ratio {
        self.parts.encoder.frame_rate
    }

    /// One picture of the wall; where tiles show others than before, the longest time that one of them
    /// waited for it.
    fn show(&mut self, due: Moment, now: Moment) -> Result<Option<Duration>> {
        for command in self.told.orders.take() {
            self.obey(command);
        }
        let cameras = self.parts.cameras.lock().clone();
        let Looked { views, first_shown, longest, ready } =
            look(&mut self.panes, &cameras, now, self.told.dial.step().mark());
        if let Some(phase) = &mut self.phase {
            ready.into_iter().for_each(|ready| phase.note(due, ready));
        }
        let tick = TickView { wall: self.parts.clock.wall(), monotonic: now };
        let plan = self.planner.plan(&tick, &views);
        let pts = Pts(due.0 as i64);
        if !plan.draws.is_empty() || self.canvas.is_none() {
            self.compositor.compose(&plan)?;
            self.canvas = Some(self.compositor.picture(FrameMeta { pts, ..FrameMeta::default() })?);
        }
        if let Some(canvas) = &self.canvas {
            self.meter.composed(pts, &first_shown);
            self.hub.frame(canvas);
            if self.shared.key_wanted.swap(false, Ordering::Relaxed) {
                self.encoder.force_key();
            }
            self.encoder.submit(canvas.clone(), due);
        }
        Ok(longest)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Layout(layout) => {
                self.planner.set_layout(&layout);
                self.panes = panes(&layout, &self.parts.store, &self.alarms);
                self.parts.layout = layout;
            }
            Command::Overlay(overlay) => {
                self.parts.style = crate::wall::restyled(self.parts.style.clone(), &overlay);
                self.planner.set_style(self.parts.style.clone());
            }
            Command::UtcOffset(seconds) => {
                self.parts.style.utc_offset = seconds;
                self.planner.set_style(self.parts.style.clone());
            }
            Command::Alarms(cameras) => {
                for pane in &mut self.panes {
                    pane.alarm = pane.tile.camera.as_ref().is_some_and(|id| cameras.contains(id));
                }
                self.alarms = cameras;
            }
        }
    }

    /// A lost device must not take the wall with it: the CPU goes on, and everything is drawn anew.
    fn fall_back(&mut self, error: &crate::Error) {
        tracing::error!(screen = %self.parts.layout.id, "{}: {error}; going on with the CPU", self.compositor.name());
        let (width, height) = (self.parts.layout.width, self.parts.layout.height);
        match probe::open(Backend::Cpu, width, height) {
            Ok((compositor, _)) => {
                self.shared.lock().compositor = compositor.name().to_owned();
                self.compositor = compositor;
                self.planner.redraw_all();
            }
            Err(error) => tracing::error!("{error}"),
        }
    }
}

/// What a look at all tiles finds.
struct Looked<'a> {
    /// What each shows.
    views: Vec<TileView<'a>>,
    /// Pictures that are shown for the first time.
    first_shown: Vec<FrameMeta>,
    /// The longest time that one of these came after the picture before it.
    longest: Option<Duration>,
    /// When these were ready to be shown.
    ready: Vec<Moment>,
}

/// Looks at each tile at `now`; all of them carry the mark of a screen that shows less than it should.
fn look<'a>(
    panes: &'a mut [Pane],
    cameras: &'a HashMap<CameraId, Arc<Camera>>,
    now: Moment,
    mark: Option<&'static str>,
) -> Looked<'a> {
    let (mut first_shown, mut ready) = (Vec::new(), Vec::new());
    let mut longest: Option<Duration> = None;
    let views = panes
        .iter_mut()
        .map(|pane| {
            let camera = pane.tile.camera.as_ref().and_then(|id| cameras.get(id));
            let Some(camera) = camera else { return TileView::EMPTY };
            let spec: &CameraSpec = pane.spec.insert(camera.spec());
            let picture = pane.slot.as_ref().and_then(|slot| slot.latest());
            let arrival = picture.as_ref().map(|(_, p)| p.frame.meta().arrival);
            let (status, late) = camera.status(now, arrival);
            // Not a pixel of what may not be seen, whatever is still in the store.
            let picture = picture.filter(|_| !matches!(status, TileStatus::Refused(_)));
            if let Some((version, fitted)) = &picture
                && *version != pane.shown
                && matches!(status, TileStatus::Live)
            {
                pane.shown = *version;
                camera.shown.add_one();
                if let Some(before) = pane.shown_at.replace(now) {
                    let after = now.since(before);
                    camera.note_refresh(after);
                    longest = longest.max(Some(after));
                }
                first_shown.push(*fitted.frame.meta());
                ready.extend(camera.last_stored());
            }
            TileView {
                age: match status {
                    TileStatus::Frozen => camera.unchanged_for(now),
                    _ => arrival.map(|at| now.since(at)),
                },
                late,
                picture,
                status,
                name: &spec.name,
                alarm: pane.alarm,
                degraded: camera.degraded(now).or(mark),
            }
        })
        .collect();
    Looked { views, first_shown, longest, ready }
}

fn panes(layout: &ScreenLayout, store: &FrameStore, alarms: &[CameraId]) -> Vec<Pane> {
    let pane = |tile: &Tile| Pane {
        slot: tile.camera.as_ref().map(|camera| store.slot(camera, &tile.spec)),
        alarm: tile.camera.as_ref().is_some_and(|id| alarms.contains(id)),
        tile: tile.clone(),
        spec: None,
        shown: 0,
        shown_at: None,
    };
    layout.tiles.iter().map(pane).collect()
}
