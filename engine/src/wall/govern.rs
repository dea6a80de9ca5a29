//! The governor at work: once a second, and at once when a layout changes, it looks at cameras and screens,
//! decides, and serves them accordingly.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::camera::{Camera, Rooms};
use super::dial::Dial;
use super::report::{EffortReport, GovernorReport, MoveReport};
use super::screen::Cameras;
use crate::base::cpu::ThreadMeter;
use crate::base::mailbox::Empty;
use crate::base::thread::Worker;
use crate::base::{Counter, Mailbox, Moment, Overflow, Result, cpu, memory_ffi};
use crate::decode::Effort;
use crate::effort::{Admission, CostModel, EffortSettings, Governor, Load, Plan, ScreenWish, Step, Wish};
use crate::encode::probe::is_encoding_thread;
use crate::media::CameraId;

/// From one tick to the next.
const TICK: Duration = Duration::from_secs(1);
/// Ticks from one time that free memory is given back to the next. Under constant faults the arenas of
/// two decode workers held 65 MB of free pages beside 204 MB in use after 16 minutes.
const GIVE_BACK: u64 = 30;

/// The governor of a wall, and its thread.
pub(super) struct Govern {
    inner: Arc<Inner>,
    wake: Mailbox<()>,
    thread: Option<Worker>,
}

struct Inner {
    rooms: Arc<Rooms>,
    cameras: Cameras,
    dials: Mutex<Vec<Arc<Dial>>>,
    /// Pictures of the wall missed, over all screens; its owner counts.
    missed: Arc<Counter>,
    state: Mutex<State>,
}

struct State {
    governor: Governor,
    gauges: Gauges,
    load: Load,
    plan: Plan,
    steps: HashMap<CameraId, Step>,
    moves: MoveReport,
}

/// What was read last, to see what was used since.
#[derive(Default)]
struct Gauges {
    threads: ThreadMeter,
    before: Readings,
}

#[derive(Clone, Copy, Default)]
struct Readings {
    at: Option<Moment>,
    process: Duration,
    machine: Option<Duration>,
    missed: u64,
}

/// The costs that are kept there, or the reference machine's.
pub(super) fn costs(kept: Option<&Path>) -> CostModel {
    let Some(path) = kept else { return CostModel::reference() };
    CostModel::load(path).unwrap_or_else(|error| {
        tracing::debug!("{error}; going by the reference machine until more is known");
        CostModel::reference()
    })
}

impl Govern {
    /// A governor that has decided nothing yet; [`Govern::decide`] decides once,
    /// [`Govern::start`] goes on.
    pub fn new(settings: EffortSettings, model: CostModel, rooms: Arc<Rooms>, cameras: Cameras) -> Govern {
        let state = State {
            governor: Governor::new(settings, model),
            gauges: Gauges::default(),
            load: Load { cores: cpu::cores() as f64, ..Load::default() },
            plan: Plan::default(),
            steps: HashMap::new(),
            moves: MoveReport::default(),
        };
        let missed = Arc::default();
        let inner =
            Arc::new(Inner { rooms, cameras, dials: Mutex::default(), missed, state: Mutex::new(state) });
        Govern { inner, wake: Mailbox::new(1, Overflow::DropNewest), thread: None }
    }

    /// Decides every second from now on.
    pub fn start(&mut self) -> Result<()> {
        let (inner, wake) = (self.inner.clone(), self.wake.clone());
        let body = move || {
            for tick in 1_u64.. {
                if wake.receive(TICK) == Err(Empty::Closed) {
                    break;
                }
                inner.tick();
                if tick.is_multiple_of(GIVE_BACK) {
                    memory_ffi::give_back();
                }
            }
        };
        self.thread = Some(Worker::spawn("governor", body)?);
        Ok(())
    }

    /// Decides now, with the load that was measured last, and serves the cameras.
    pub fn decide(&self) {
        self.inner.decide();
    }

    /// What would come of this layout.
    pub fn admit(&self, wishes: &[Wish], screens: &[ScreenWish]) -> Admission {
        let state = self.inner.lock();
        state.governor.admit(wishes, screens, &state.load)
    }

    /// The screens that it decides for, in their order.
    pub fn set_screens(&self, dials: Vec<Arc<Dial>>) {
        *self.inner.dials.lock() = dials;
    }

    /// Where screens count the pictures that they miss.
    pub fn missed(&self) -> Arc<Counter> {
        self.inner.missed.clone()
    }

    /// What was decided last.
    pub fn report(&self) -> GovernorReport {
        self.inner.report()
    }

    /// Decides no more.
    pub fn stop(&mut self) {
        self.wake.close();
        self.thread.take();
    }
}

impl Drop for Govern {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn cameras(&self) -> Arc<HashMap<CameraId, Arc<Camera>>> {
        self.cameras.lock().clone()
    }

    fn dials(&self) -> Vec<Arc<Dial>> {
        self.dials.lock().clone()
    }

    /// Measures what was used since the tick before, learns from it, decides and serves.
    fn tick(&self) {
        let cameras = self.cameras();
        let mut state = self.lock();
        let late: u64 = self.dials().iter().map(|dial| dial.troubles_since_last()).sum();
        let measured = state.gauges.measure(self.rooms.clock.now(), &cameras, self.missed.get());
        let measured = measured.map(|load| Load { distress: load.distress + late, ..load });
        self.decide_with(&mut state, &cameras, measured);
    }

    fn decide(&self) {
        let cameras = self.cameras();
        self.decide_with(&mut self.lock(), &cameras, None);
    }

    fn decide_with(
        &self,
        state: &mut State,
        cameras: &HashMap<CameraId, Arc<Camera>>,
        measured: Option<Load>,
    ) {
        let now = self.rooms.clock.now();
        let mut awake: Vec<&Arc<Camera>> = awake(cameras).collect();
        // Shown ones first: they are opened first.
        awake.sort_by_key(|c| (!c.is_shown(), c.id.clone()));
        let wishes: Vec<Wish> = awake.iter().map(|c| c.wish(now)).collect();
        if let Some(load) = measured {
            state.load = load;
            state.governor.observe(now, &wishes, &load);
        }
        let load = state.load;
        let dials = self.dials();
        let screens: Vec<ScreenWish> = dials.iter().map(|dial| dial.wish(cameras)).collect();
        let plan = state.governor.plan(now, &wishes, &screens, &load);
        std::iter::zip(&dials, &plan.screens).for_each(|(dial, decision)| dial.serve(decision));
        for (camera, decision) in awake.iter().zip(&plan.decisions) {
            state.note(&camera.id, decision.step);
            camera.serve(&self.rooms, decision);
        }
        let awake: std::collections::HashSet<&CameraId> = plan.decisions.iter().map(|d| &d.camera).collect();
        state.steps.retain(|id, _| awake.contains(id));
        state.plan = plan;
    }

    fn report(&self) -> GovernorReport {
        let all = self.cameras().len() as u64;
        let mut screen_moves = MoveReport::default();
        self.dials().iter().for_each(|dial| screen_moves += dial.moves());
        let state = self.lock();
        let (load, plan) = (&state.load, &state.plan);
        let with = |effort| plan.decisions.iter().filter(|d| d.effort == effort).count() as u64;
        let (full, key_frames) = (with(Effort::Full), with(Effort::KeyFrames));
        let mut degraded = std::collections::BTreeMap::new();
        for decision in plan.degraded() {
            let word = match decision.step {
                Step::FewerKeyFrames(every) => format!("one-key-frame-in-{every}"),
                Step::NoLoopFilter => "no-loop-filter".into(),
                Step::SmallerProfile => "smaller-profile".into(),
                Step::KeyFrames => "key-frames".into(),
                Step::Paused => "paused".into(),
                Step::AsDeserved => continue,
            };
            *degraded.entry(word).or_default() += 1;
        }
        let mut degraded_screens = std::collections::BTreeMap::new();
        for decision in plan.degraded_screens() {
            *degraded_screens.entry(decision.step.word().to_owned()).or_default() += 1;
        }
        GovernorReport {
            cores: load.cores,
            own: load.own,
            others: load.others,
            decoding: load.decoding,
            encoding: load.encoding,
            available: plan.available,
            demand: plan.demand,
            deserved: plan.deserved,
            calibration: state.governor.calibration(),
            encoding_calibration: state.governor.encoding(),
            trust: state.governor.trust(),
            efforts: EffortReport { full, key_frames, standby: all.saturating_sub(full + key_frames) },
            degraded,
            moves: state.moves,
            degraded_screens,
            screen_moves,
        }
    }
}

impl State {
    /// Logs a camera that moves on its ladder.
    fn note(&mut self, camera: &CameraId, step: Step) {
        let before = self.steps.insert(camera.clone(), step).unwrap_or_default();
        if step > before {
            self.moves.down += 1;
            tracing::debug!(%camera, "degraded to {step:?}: the machine has no more");
        } else if step < before {
            self.moves.up += 1;
            tracing::debug!(%camera, "back to {step:?}");
        }
    }
}

impl Gauges {
    /// The load since the call before; `None` at the first.
    fn measure(
        &mut self,
        now: Moment,
        cameras: &HashMap<CameraId, Arc<Camera>>,
        missed: u64,
    ) -> Option<Load> {
        let decoding: Duration = awake(cameras).map(|c| c.cpu_since_last()).sum();
        let late: u64 = awake(cameras).map(|c| c.late_since_last()).sum();
        let counts = |name: &str| is_encoding_thread(name) || name.starts_with("screen ");
        let encoding = self.threads.since_last(counts).unwrap_or_default();
        let read =
            Readings { at: Some(now), process: cpu::process_time(), machine: cpu::machine_time(), missed };
        let before = std::mem::replace(&mut self.before, read);
        let elapsed = now.since(before.at?).as_secs_f64();
        if elapsed < 0.2 {
            return None;
        }
        let own = read.process.saturating_sub(before.process);
        let machine = read.machine.zip(before.machine).map(|(new, old)| new.saturating_sub(old));
        let part = |time: Duration| time.as_secs_f64() / elapsed;
        Some(Load {
            cores: cpu::cores() as f64,
            own: part(own),
            others: part(machine.unwrap_or_default().saturating_sub(own)),
            decoding: part(decoding),
            encoding: part(encoding).min(part(own)),
            distress: late + missed.saturating_sub(before.missed),
        })
    }
}

/// The cameras that the governor has to look at.
fn awake(cameras: &HashMap<CameraId, Arc<Camera>>) -> impl Iterator<Item = &Arc<Camera>> {
    cameras.values().filter(|c| !c.rests())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn costs_are_those_of_the_file_that_is_named_and_of_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("cost.json");
        let dear = CostModel { measured_at: "2026-11-24T10:00:00Z".into(), ..CostModel::reference() };
        dear.save(&kept).unwrap();
        // What the file holds: a number may lose its last digit on the way into it.
        let held = CostModel::load(&kept).unwrap();
        assert_eq!(held.measured_at, dear.measured_at);
        assert_eq!(costs(Some(&kept)), held);
        assert_eq!(costs(Some(&folder.path().join("none.json"))), CostModel::reference());
        assert_eq!(costs(None), CostModel::reference());
    }
}
