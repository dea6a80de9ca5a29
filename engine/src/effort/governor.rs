//! Gives each camera its effort and each screen its encoding within the machine's budget, once a second.
//! Pure: time and load are told to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::cost::CostModel;
use super::fit::{Choices, Levels, Room};
use super::ladder::{EffortSettings, Rung, Step, Wish, ladder};
use super::screens::{ScreenDecision, ScreenRung, ScreenStep, ScreenWish, screen_ladder};
use crate::base::Moment;
use crate::decode::Effort;
use crate::media::{CameraId, ScreenId};

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
    /// CPU seconds a second of composing and encoding, within `own`.
    pub encoding: f64,
    /// Signs of distress: pictures of the wall missed, dropped by an encoder or late out of it, cameras that
    /// jumped because they were late.
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
    /// One for each camera.
    pub decisions: Vec<Decision>,
    /// One for each screen.
    pub screens: Vec<ScreenDecision>,
    /// CPU seconds a second that decoding, fitting, composing and encoding take by this plan.
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

    /// Screens below what was asked for.
    pub fn degraded_screens(&self) -> impl Iterator<Item = &ScreenDecision> {
        self.screens.iter().filter(|d| d.step != ScreenStep::AsAsked)
    }
}

/// Where a camera stands on its ladder.
#[derive(Clone, Copy, Debug)]
struct CameraLevel {
    step: Step,
    /// Since when it is no lower.
    since: Moment,
    /// What is measured is compared with this, so it is what the rung really takes: any discount would
    /// end up in the calibration, and be taken back by it.
    cost: f64,
}

/// Where a screen stands on its ladder.
#[derive(Clone, Copy, Debug)]
struct ScreenLevel {
    step: ScreenStep,
    since: Moment,
    cost: f64,
    /// When it was raised last.
    raised: Option<Moment>,
    /// How long it stays down before it is raised: longer each time that a raise did not last, because each
    /// change of preset costs a key frame.
    hold: Duration,
}

/// Remembers where each camera and screen stands, so that efforts do not flap: down where two ticks in a row ask
/// for it, or distress or another layout does; up only after a while and with room to spare.
#[derive(Debug)]
pub struct Governor {
    settings: EffortSettings,
    model: CostModel,
    standings: HashMap<CameraId, CameraLevel>,
    screens: HashMap<ScreenId, ScreenLevel>,
    /// CPU seconds that were measured for one that the model foresaw, of decoding and fitting.
    calibration: f64,
    /// The same of composing and encoding, once it is known.
    encoding: Option<f64>,
    /// CPU seconds a second that the process uses beside all that, once it is known.
    overhead: Option<f64>,
    /// CPU seconds a second that other processes use, once it is known.
    others: Option<f64>,
    /// Since when too few cameras are live to learn from.
    connecting: Option<Moment>,
    /// Enough of them were live at the tick before.
    was_live: bool,
    /// What the last tick went by.
    room: Option<Learned>,
    /// The same of the tick before; `None` where that does not count.
    room_before: Option<Learned>,
    /// Sinks with distress, rises again with calm: the part of the budget that is safe to use.
    trust: f64,
    last_distress: Option<Moment>,
}

/// What is known of the machine at a tick, to plan with.
#[derive(Clone, Copy, Debug)]
struct Learned {
    /// CPU seconds a second that are ours beside the overhead.
    ours: f64,
    trust: f64,
    calibration: f64,
    encoding: Option<f64>,
}

/// A change of a screen that does not last so many times its hold was no good.
const LASTING: u32 = 4;
/// The longest hold of a screen.
const LONGEST_HOLD: Duration = Duration::from_secs(60);
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
            screens: HashMap::new(),
            calibration: 1.0,
            encoding: None,
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

    /// The same of composing and encoding; `None` while nothing is known.
    pub fn encoding(&self) -> Option<f64> {
        self.encoding
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
            self.learn_encoding(load);
            let overhead = (load.own - load.decoding - load.encoding).max(0.0);
            self.overhead = Some(self.overhead.map_or(overhead, |old| smooth(old, overhead)));
        }
        self.note_distress(now, load);
        if load.distress > 0 {
            // Too late to wait for a calm second: the model is better than nothing.
            self.encoding.get_or_insert(1.0);
        }
        // What has too little time already does not wait for a second opinion.
        self.room_before = self.room.replace(self.learned(load)).filter(|_| load.distress == 0);
    }

    fn learn_encoding(&mut self, load: &Load) {
        let foreseen: f64 = self.screens.values().map(|s| s.cost).sum();
        if foreseen > 0.02 {
            let measured = (load.encoding / foreseen).clamp(0.2, 5.0);
            self.encoding = Some(self.encoding.map_or(measured, |old| old + WEIGHT * (measured - old)));
        }
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

    fn learned(&self, load: &Load) -> Learned {
        let whole = load.cores * self.settings.budget;
        let left = whole - self.others.unwrap_or(load.others);
        // What we leave, others take: without a floor, two greedy programs would squeeze us to nothing.
        let ours = left.max(whole * self.settings.fair_share) - self.overhead.unwrap_or(0.0);
        Learned { ours, trust: self.trust, calibration: self.calibration, encoding: self.encoding }
    }

    fn wanted<'a>(&self, wishes: &'a [Wish], screens: &'a [ScreenWish]) -> Choices<'a> {
        Choices {
            wishes,
            ladders: wishes.iter().map(|w| ladder(w, &self.settings, &self.model)).collect(),
            screens,
            screen_ladders: screens.iter().map(|w| screen_ladder(w, &self.model)).collect(),
        }
    }

    /// Decides for each wish.
    pub fn plan(&mut self, now: Moment, wishes: &[Wish], screens: &[ScreenWish], load: &Load) -> Plan {
        let wanted = self.wanted(wishes, screens);
        let room = self.learned(load).room(&wanted);
        // Less than at the tick before may be noise; twice in a row it is not.
        let before = self.room_before.map(|before| before.room(&wanted));
        let spare = |room: &Room| room.available - wanted.demand(&wanted.top(), room);
        let enough = before.filter(|before| spare(before) > spare(&room)).unwrap_or(room);
        let fitting = wanted.fit_into(&enough, &self.settings);
        let roomy = Room { available: room.available * ROOM_TO_RAISE, ..room };
        let with_room = wanted.fit_into(&roomy, &self.settings);
        let settled = Levels {
            cameras: self.settle_cameras(now, &wanted, &fitting, &with_room),
            screens: self.settle_screens(now, &wanted, &fitting, &with_room),
        };
        Plan {
            available: room.available,
            demand: wanted.demand(&settled, &room),
            deserved: wanted.demand(&wanted.top(), &room),
            decisions: std::iter::zip(wishes, std::iter::zip(&wanted.ladders, &settled.cameras))
                .map(|(wish, (rungs, level))| decision(wish, &rungs[*level], self.calibration))
                .collect(),
            screens: std::iter::zip(screens, std::iter::zip(&wanted.screen_ladders, &settled.screens))
                .map(|(wish, (rungs, level))| screen_decision(wish, &rungs[*level], self.encoding))
                .collect(),
        }
    }

    fn settle_cameras(
        &mut self,
        now: Moment,
        wanted: &Choices,
        needed: &Levels,
        roomy: &Levels,
    ) -> Vec<usize> {
        let mut standings = HashMap::with_capacity(wanted.wishes.len());
        let mut levels = Vec::with_capacity(wanted.wishes.len());
        for (index, (wish, rungs)) in wanted.wishes.iter().zip(&wanted.ladders).enumerate() {
            let old = self.standings.get(&wish.camera);
            let (needed, roomy) = (needed.cameras[index], roomy.cameras[index]);
            let (level, since) = self.settle(now, old, rungs, needed, roomy);
            let rung = &rungs[level];
            standings.insert(wish.camera.clone(), CameraLevel { step: rung.step, since, cost: rung.cost });
            levels.push(level);
        }
        self.standings = standings;
        levels
    }

    /// The level of a camera, and since when it is no lower.
    fn settle(
        &self,
        now: Moment,
        old: Option<&CameraLevel>,
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

    fn settle_screens(
        &mut self,
        now: Moment,
        wanted: &Choices,
        needed: &Levels,
        roomy: &Levels,
    ) -> Vec<usize> {
        let mut standings = HashMap::with_capacity(wanted.screens.len());
        let mut levels = Vec::with_capacity(wanted.screens.len());
        for (index, (wish, rungs)) in wanted.screens.iter().zip(&wanted.screen_ladders).enumerate() {
            let hold = self.settings.hold;
            let fresh = ScreenLevel { step: ScreenStep::AsAsked, since: now, cost: 0.0, raised: None, hold };
            let old = self.screens.get(&wish.screen).copied().unwrap_or(fresh);
            let current = rungs.iter().rposition(|r| r.step <= old.step).unwrap_or(0);
            let (needed, roomy) = (needed.screens[index], roomy.screens[index]);
            let (level, mut next) = if needed > current {
                let in_vain = old.raised.is_some_and(|at| now.since(at) < LASTING * old.hold);
                let hold = if in_vain { (2 * old.hold).min(LONGEST_HOLD) } else { hold };
                (needed, ScreenLevel { since: now, hold, ..old })
            } else if roomy < current && now.since(old.since) >= old.hold {
                (roomy, ScreenLevel { since: now, raised: Some(now), ..old })
            } else {
                (current, old)
            };
            (next.step, next.cost) = (rungs[level].step, rungs[level].cost);
            standings.insert(wish.screen.clone(), next);
            levels.push(level);
        }
        self.screens = standings;
        levels
    }
}

impl Learned {
    /// What there is for what is wanted. Distress takes nothing of what screens need at the least: they are
    /// made whatever happens.
    fn room(&self, wanted: &Choices) -> Room {
        let least = wanted.least_of_screens(self.encoding);
        let available = (self.ours - least).max(0.0) * self.trust + least;
        Room { available, calibration: self.calibration, encoding: self.encoding }
    }
}

fn screen_decision(wish: &ScreenWish, rung: &ScreenRung, encoding: Option<f64>) -> ScreenDecision {
    ScreenDecision {
        screen: wish.screen.clone(),
        step: rung.step,
        preset: rung.preset.clone(),
        every: rung.every,
        cost: rung.cost * encoding.unwrap_or(1.0),
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
    /// It fits, but these cameras get less than they deserve, and these screens less than was asked for.
    Degraded {
        /// Camera and how far below.
        cameras: Vec<(CameraId, Step)>,
        /// Screen and how far below.
        screens: Vec<(ScreenId, ScreenStep)>,
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
    pub fn admit(&self, wishes: &[Wish], screens: &[ScreenWish], load: &Load) -> Admission {
        let mut wanted = self.wanted(wishes, screens);
        for rungs in &mut wanted.ladders {
            rungs.retain(|r| !r.is_beyond(&self.settings));
        }
        let known = self.learned(load);
        // Beforehand, the model is all there is.
        let mut room = Learned { encoding: Some(known.encoding.unwrap_or(1.0)), ..known }.room(&wanted);
        // Screens are made whatever happens, but no layout is admitted that they alone are too much for.
        room.available = room.available.min(known.ours.max(0.0));
        let levels = wanted.fit_into(&room, &self.settings);
        let demand = wanted.demand(&levels, &room);
        let chosen = || wishes.iter().zip(wanted.ladders.iter().zip(&levels.cameras).map(|(l, n)| &l[*n]));
        let paused: Vec<CameraId> =
            chosen().filter(|(_, r)| r.step == Step::Paused).map(|(w, _)| w.camera.clone()).collect();
        if demand > room.available || !paused.is_empty() {
            let last = |l: &Vec<Rung>| l.iter().rposition(|r| r.step != Step::Paused).unwrap_or(0);
            let lowest = Levels {
                cameras: wanted.ladders.iter().map(last).collect(),
                screens: levels.screens.clone(),
            };
            let missing = (wanted.demand(&lowest, &room) - room.available).max(0.0);
            return Admission::DoesNotFit { missing, paused };
        }
        let cameras: Vec<(CameraId, Step)> = chosen()
            .filter(|(_, r)| r.step != Step::AsDeserved)
            .map(|(w, r)| (w.camera.clone(), r.step))
            .collect();
        let screens: Vec<(ScreenId, ScreenStep)> =
            std::iter::zip(screens, std::iter::zip(&wanted.screen_ladders, &levels.screens))
                .map(|(wish, (rungs, level))| (wish.screen.clone(), rungs[*level].step))
                .filter(|(_, step)| *step != ScreenStep::AsAsked)
                .collect();
        if cameras.is_empty() && screens.is_empty() {
            Admission::Fits { spare: room.available - demand }
        } else {
            Admission::Degraded { cameras, screens }
        }
    }
}
