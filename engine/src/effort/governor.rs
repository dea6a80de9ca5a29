//! Gives each camera its effort within the machine's budget, once a second. Pure: time and load
//! are told to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::cost::CostModel;
use super::ladder::{EffortSettings, Rung, Step, Wish, ladder};
use crate::base::Moment;
use crate::decode::Effort;
use crate::media::CameraId;

/// What was measured since the tick before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Cores of this machine.
    pub cores: f64,
    /// CPU seconds a second that this process used.
    pub own: f64,
    /// CPU seconds a second that other processes used.
    pub others: f64,
    /// CPU seconds a second of decoding and fitting, within `own`.
    pub decoding: f64,
    /// Signs of distress: pictures of the wall missed, cameras that jumped because they were late.
    pub distress: u64,
}

/// What one camera gets until the next tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Which camera.
    pub camera: CameraId,
    /// Which of its profiles, by its place in the wish.
    pub profile: usize,
    /// Its name.
    pub profile_name: Arc<str>,
    /// How much is decoded.
    pub effort: Effort,
    /// Whether the decoder leaves out the loop filter.
    pub skip_loop_filter: bool,
    /// How long after a key frame the newest one is decoded; zero: each when it arrives.
    pub spacing: Duration,
    /// The time between two pictures, where they are key frames.
    pub refresh: Option<Duration>,
    /// How far it is below what its tile deserves.
    pub step: Step,
    /// CPU seconds a second, by the model.
    pub cost: f64,
}

/// What a tick decided, in the order of the wishes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// One for each wish.
    pub decisions: Vec<Decision>,
    /// CPU seconds a second that decoding and fitting take by this plan.
    pub demand: f64,
    /// What they would take if nothing degraded.
    pub deserved: f64,
    /// What the machine has for them.
    pub available: f64,
}

impl Plan {
    /// Cameras below what their tiles deserve.
    pub fn degraded(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|d| d.step != Step::AsDeserved)
    }
}

/// Where a camera stands on its ladder.
#[derive(Clone, Copy, Debug)]
struct Standing {
    step: Step,
    /// Since when it is no lower.
    since: Moment,
    /// What is measured is compared with this, so it is what the rung really takes: any discount would
    /// end up in the calibration, and be taken back by it.
    cost: f64,
}

/// Remembers where each camera stands, so that efforts do not flap: down where two ticks in a row ask
/// for it, or distress or another layout does; up only after a while and with room to spare.
#[derive(Debug)]
pub struct Governor {
    settings: EffortSettings,
    model: CostModel,
    standings: HashMap<CameraId, Standing>,
    /// CPU seconds that were measured for one that the model foresaw.
    calibration: f64,
    /// CPU seconds a second that the process uses beside decoding and fitting, once it is known.
    overhead: Option<f64>,
    /// CPU seconds a second that other processes use, once it is known.
    others: Option<f64>,
    /// Since when too few cameras are live to learn from.
    connecting: Option<Moment>,
    /// Enough of them were live at the tick before.
    was_live: bool,
    /// What the last tick had for decoding and fitting, in seconds of the model.
    room: Option<f64>,
    /// The same of the tick before; `None` where that does not count.
    room_before: Option<f64>,
    /// Sinks with distress, rises again with calm: the part of the budget that is safe to use.
    trust: f64,
    last_distress: Option<Moment>,
}

/// What one tick weighs in what is learned.
const WEIGHT: f64 = 0.25;
/// Nothing is learned until this part of the cameras that tiles show is live: connecting them takes
/// more than anything afterwards, and would count as overhead.
const LIVE_ENOUGH: f64 = 0.9;
/// For no longer than this, because some may be gone for good.
const CONNECTING: Duration = Duration::from_secs(30);
/// An effort is raised only where the plan would use less than this part of what is available.
const ROOM_TO_RAISE: f64 = 0.9;
/// What distress does to the trust, at most once in two seconds.
const LOSE_TRUST: f64 = 0.85;
/// The least trust.
const LEAST_TRUST: f64 = 0.3;
/// What a calm tick does to it.
const GAIN_TRUST: f64 = 1.05;
/// How long without distress is calm.
const CALM: Duration = Duration::from_secs(5);

impl Governor {
    /// A governor that has seen nothing yet.
    pub fn new(settings: EffortSettings, model: CostModel) -> Governor {
        Governor {
            settings,
            model,
            standings: HashMap::new(),
            calibration: 1.0,
            overhead: None,
            others: None,
            connecting: None,
            was_live: false,
            room: None,
            room_before: None,
            trust: 1.0,
            last_distress: None,
        }
    }

    /// What it may do, and when.
    pub fn settings(&self) -> &EffortSettings {
        &self.settings
    }

    /// CPU seconds that were measured for one that the model foresaw.
    pub fn calibration(&self) -> f64 {
        self.calibration
    }

    /// The part of the budget that is safe to use, 0 to 1.
    pub fn trust(&self) -> f64 {
        self.trust
    }

    /// Learns from what was measured since the plan before, while `wishes` were served by it.
    pub fn observe(&mut self, now: Moment, wishes: &[Wish], load: &Load) {
        let smooth = |old: f64, new: f64| old + WEIGHT * (new - old);
        self.others = Some(self.others.map_or(load.others, |old| smooth(old, load.others)));
        if self.is_settled(now, wishes) {
            let served = wishes.iter().filter(|w| w.live);
            let foreseen: f64 = served.filter_map(|w| self.standings.get(&w.camera)).map(|s| s.cost).sum();
            if foreseen > 0.02 {
                self.calibration = smooth(self.calibration, (load.decoding / foreseen).clamp(0.2, 5.0));
            }
            let overhead = (load.own - load.decoding).max(0.0);
            self.overhead = Some(self.overhead.map_or(overhead, |old| smooth(old, overhead)));
        }
        self.note_distress(now, load);
        let room = self.available(load) / self.calibration;
        // What has too little time already does not wait for a second opinion.
        self.room_before = self.room.replace(room).filter(|_| load.distress == 0);
    }

    /// Whether what was measured since the tick before is how the wall runs: enough cameras were live at
    /// both ends of it.
    fn is_settled(&mut self, now: Moment, wishes: &[Wish]) -> bool {
        let shown = || wishes.iter().filter(|w| !w.sizes.is_empty());
        let live = shown().filter(|w| w.live).count();
        if live as f64 >= LIVE_ENOUGH * shown().count() as f64 {
            self.connecting = None;
            return std::mem::replace(&mut self.was_live, true);
        }
        self.was_live = false;
        now.since(*self.connecting.get_or_insert(now)) >= CONNECTING
    }

    fn note_distress(&mut self, now: Moment, load: &Load) {
        let calm_for = self.last_distress.map(|at| now.since(at));
        if load.distress > 0 {
            if calm_for.is_none_or(|d| d >= Duration::from_secs(2)) {
                self.trust = (self.trust * LOSE_TRUST).max(LEAST_TRUST);
                self.last_distress = Some(now);
            }
        } else if calm_for.is_none_or(|d| d >= CALM) {
            self.trust = (self.trust * GAIN_TRUST).min(1.0);
        }
    }

    /// CPU seconds a second that decoding and fitting may take.
    fn available(&self, load: &Load) -> f64 {
        let whole = load.cores * self.settings.budget;
        let left = whole - self.others.unwrap_or(load.others);
        // What we leave, others take: without a floor, two greedy programs would squeeze us to nothing.
        let ours = left.max(whole * self.settings.fair_share);
        ((ours - self.overhead.unwrap_or(0.0)) * self.trust).max(0.0)
    }

    /// Decides for each wish.
    pub fn plan(&mut self, now: Moment, wishes: &[Wish], load: &Load) -> Plan {
        let available = self.available(load);
        let ladders: Vec<Vec<Rung>> = wishes.iter().map(|w| ladder(w, &self.settings, &self.model)).collect();
        // Less than at the tick before may be noise; twice in a row it is not.
        let enough = self.room_before.map_or(available, |room| available.max(room * self.calibration));
        let fitting = self.fit_into(wishes, &ladders, enough);
        let with_room = self.fit_into(wishes, &ladders, available * ROOM_TO_RAISE);
        let mut plan = Plan { available, ..Plan::default() };
        let mut standings = HashMap::with_capacity(wishes.len());
        for (index, (wish, rungs)) in wishes.iter().zip(&ladders).enumerate() {
            let old = self.standings.get(&wish.camera);
            let (level, since) = self.settle(now, old, rungs, fitting[index], with_room[index]);
            let rung = &rungs[level];
            standings.insert(wish.camera.clone(), Standing { step: rung.step, since, cost: rung.cost });
            plan.demand += rung.cost * self.calibration;
            plan.deserved += rungs[0].cost * self.calibration;
            plan.decisions.push(decision(wish, rung, self.calibration));
        }
        self.standings = standings;
        plan
    }

    /// The level of a camera, and since when it is no lower.
    fn settle(
        &self,
        now: Moment,
        old: Option<&Standing>,
        rungs: &[Rung],
        needed: usize,
        comfortable: usize,
    ) -> (usize, Moment) {
        let Some(old) = old else { return (needed, now) };
        // The same step of what may be another ladder: its tile may have changed.
        let current = rungs.iter().rposition(|r| r.step <= old.step).unwrap_or(0);
        if needed > current {
            return (needed, now);
        }
        let rested = now.since(old.since) >= self.settings.hold;
        if rested && comfortable < current { (comfortable, now) } else { (current, old.since) }
    }

    /// The level of each ladder so that all fit into `available`: degrades class by class of
    /// priority, within it step by step, within that the smallest tiles first. Nothing is paused
    /// while anything else is left to take.
    fn fit_into(&self, wishes: &[Wish], ladders: &[Vec<Rung>], available: f64) -> Vec<usize> {
        let mut levels = vec![0; ladders.len()];
        let mut demand: f64 = ladders.iter().map(|l| l[0].cost * self.calibration).sum();
        if demand <= available {
            return levels;
        }
        let mut order: Vec<usize> = (0..wishes.len()).filter(|i| ladders[*i].len() > 1).collect();
        order.sort_by_key(|i| (wishes[*i].priority, wishes[*i].area(), *i));
        let paused = |i: usize, level: usize| ladders[i][level].step == Step::Paused;
        for class in order.chunk_by(|a, b| wishes[*a].priority == wishes[*b].priority) {
            let mut steps: Vec<Step> = class.iter().flat_map(|i| &ladders[*i]).map(|r| r.step).collect();
            steps.sort_unstable();
            steps.dedup();
            for step in steps.into_iter().filter(|s| *s != Step::Paused) {
                for &i in class {
                    while levels[i] + 1 < ladders[i].len()
                        && ladders[i][levels[i] + 1].step <= step
                        && !paused(i, levels[i] + 1)
                    {
                        demand -=
                            (ladders[i][levels[i]].cost - ladders[i][levels[i] + 1].cost) * self.calibration;
                        levels[i] += 1;
                        if demand <= available {
                            return levels;
                        }
                    }
                }
            }
        }
        for i in order {
            let last = ladders[i].len() - 1;
            if paused(i, last) {
                demand -= ladders[i][levels[i]].cost * self.calibration;
                levels[i] = last;
                if demand <= available {
                    break;
                }
            }
        }
        levels
    }
}

fn decision(wish: &Wish, rung: &Rung, calibration: f64) -> Decision {
    let profile = &wish.profiles[rung.profile];
    Decision {
        camera: wish.camera.clone(),
        profile: rung.profile,
        profile_name: profile.name.clone(),
        effort: rung.effort,
        skip_loop_filter: rung.skip_loop_filter,
        spacing: rung.spacing(&profile.load),
        refresh: rung.refresh,
        step: rung.step,
        cost: rung.cost * calibration,
    }
}

/// Whether a layout fits this machine, before it is applied.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Admission {
    /// Every tile gets what it deserves.
    Fits {
        /// CPU seconds a second that are left.
        spare: f64,
    },
    /// It fits, but these cameras get less than they deserve.
    Degraded {
        /// Camera and how far below.
        cameras: Vec<(CameraId, Step)>,
    },
    /// It does not fit: even degraded, so many CPU seconds a second are missing, or these cameras
    /// would have to be paused.
    DoesNotFit {
        /// CPU seconds a second that are missing.
        missing: f64,
        /// Cameras that would show nothing.
        paused: Vec<CameraId>,
    },
}

impl Governor {
    /// What would come of these wishes, with what was learned so far.
    pub fn admit(&self, wishes: &[Wish], load: &Load) -> Admission {
        let available = self.available(load);
        let allowed = |w: &Wish| {
            let mut rungs = ladder(w, &self.settings, &self.model);
            rungs.retain(|r| !r.is_beyond(&self.settings));
            rungs
        };
        let ladders: Vec<Vec<Rung>> = wishes.iter().map(allowed).collect();
        let levels = self.fit_into(wishes, &ladders, available);
        let chosen = || wishes.iter().zip(ladders.iter().zip(&levels).map(|(l, n)| &l[*n]));
        let demand: f64 = chosen().map(|(_, r)| r.cost * self.calibration).sum();
        let paused: Vec<CameraId> =
            chosen().filter(|(_, r)| r.step == Step::Paused).map(|(w, _)| w.camera.clone()).collect();
        if demand > available || !paused.is_empty() {
            let would_need: f64 = ladders
                .iter()
                .map(|l| l.iter().rev().find(|r| r.step != Step::Paused).map_or(0.0, |r| r.cost))
                .sum();
            let missing = (would_need * self.calibration - available).max(0.0);
            return Admission::DoesNotFit { missing, paused };
        }
        let cameras: Vec<(CameraId, Step)> = chosen()
            .filter(|(_, r)| r.step != Step::AsDeserved)
            .map(|(w, r)| (w.camera.clone(), r.step))
            .collect();
        if cameras.is_empty() {
            Admission::Fits { spare: available - demand }
        } else {
            Admission::Degraded { cameras }
        }
    }
}
