//! Brings cameras and screens down, in the declared order, until all fits into what there is. Pure.

use super::ladder::{EffortSettings, Rung, Step, Wish};
use super::screens::{ScreenRung, ScreenStep, ScreenWish};

/// What is wanted, and the ways to serve it.
pub(super) struct Choices<'a> {
    pub wishes: &'a [Wish],
    pub ladders: Vec<Vec<Rung>>,
    pub screens: &'a [ScreenWish],
    pub screen_ladders: Vec<Vec<ScreenRung>>,
}

/// What there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// CPU seconds a second for all of it.
    pub available: f64,
    /// CPU seconds that were measured for one that the model foresaw: of decoding and fitting.
    pub calibration: f64,
    /// Of composing and encoding; `None` while nothing is known of it: screens stay as they are then, and
    /// count for nothing.
    pub encoding: Option<f64>,
}

/// Which rung of its ladder each gets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Levels {
    pub cameras: Vec<usize>,
    pub screens: Vec<usize>,
}

impl Choices<'_> {
    /// CPU seconds a second of these rungs.
    pub fn demand(&self, levels: &Levels, room: &Room) -> f64 {
        let cameras: f64 = self.ladders.iter().zip(&levels.cameras).map(|(l, n)| l[*n].cost).sum();
        let screens: f64 = self.screen_ladders.iter().zip(&levels.screens).map(|(l, n)| l[*n].cost).sum();
        cameras * room.calibration + screens * room.encoding.unwrap_or(0.0)
    }

    /// All as it should be.
    pub fn top(&self) -> Levels {
        Levels { cameras: vec![0; self.ladders.len()], screens: vec![0; self.screen_ladders.len()] }
    }

    /// What the screens take even at their last rungs.
    pub fn least_of_screens(&self, encoding: Option<f64>) -> f64 {
        let least: f64 = self.screen_ladders.iter().filter_map(|l| l.last()).map(|r| r.cost).sum();
        least * encoding.unwrap_or(0.0)
    }

    /// Brings all down until it fits into `room`; to the end where nothing does.
    pub fn fit_into(&self, room: &Room, settings: &EffortSettings) -> Levels {
        let levels = self.top();
        let demand = self.demand(&levels, room);
        let mut squeeze = Squeeze { wanted: self, room, levels, demand };
        squeeze.run(settings);
        squeeze.levels
    }
}

struct Squeeze<'a> {
    wanted: &'a Choices<'a>,
    room: &'a Room,
    levels: Levels,
    demand: f64,
}

impl Squeeze<'_> {
    fn fits(&self) -> bool {
        self.demand <= self.room.available
    }

    /// The declared order (docs/design/effort.md). Cameras go down class by class of priority, within it step
    /// by step, within that the smallest tiles first. Screens go over to faster presets before any
    /// camera, to half their rate before the first camera loses pictures, to a quarter before pictures of
    /// one become rarer than allowed, which is when all classes have no more within that. Nothing is paused while
    /// anything else is left to take.
    fn run(&mut self, settings: &EffortSettings) {
        let wishes = self.wanted.wishes;
        let ladders = &self.wanted.ladders;
        let mut order: Vec<usize> = (0..wishes.len()).filter(|i| ladders[*i].len() > 1).collect();
        order.sort_by_key(|i| (wishes[*i].priority, wishes[*i].area(), *i));
        if self.fits() || self.lower_screens(ScreenStep::FasterPreset(u32::MAX)) {
            return;
        }
        let classes = || order.chunk_by(|a, b| wishes[*a].priority == wishes[*b].priority);
        let whole = |rung: &Rung| rung.step < Step::KeyFrames;
        let allowed = |rung: &Rung| rung.step != Step::Paused && !rung.is_beyond(settings);
        let any = |rung: &Rung| rung.step != Step::Paused;
        let within_limit = classes().any(|class| {
            self.lower(class, &whole)
                || self.lower_screens(ScreenStep::HalfRate)
                || self.lower(class, &allowed)
        });
        // Where no camera can be brought down, screens still can.
        if within_limit || self.lower_screens(ScreenStep::QuarterRate) {
            return;
        }
        if !classes().any(|class| self.lower(class, &any)) {
            self.lower(&order, &|_| true);
        }
    }

    /// Takes every step that is allowed of these cameras, all of them one before any the next; true once
    /// all fits.
    fn lower(&mut self, class: &[usize], allowed: &dyn Fn(&Rung) -> bool) -> bool {
        let ladders = &self.wanted.ladders;
        let rungs = class.iter().flat_map(|i| &ladders[*i]).filter(|r| allowed(r));
        let mut steps: Vec<Step> = rungs.map(|r| r.step).collect();
        steps.sort_unstable();
        steps.dedup();
        for step in steps {
            for &i in class {
                while let Some(next) = ladders[i].get(self.levels.cameras[i] + 1)
                    && next.step <= step
                    && allowed(next)
                {
                    let now = &ladders[i][self.levels.cameras[i]];
                    self.demand -= (now.cost - next.cost) * self.room.calibration;
                    self.levels.cameras[i] += 1;
                    if self.fits() {
                        return true;
                    }
                }
            }
        }
        self.fits()
    }

    /// Takes every step of screens down to this one, all of them one before any the next: those without
    /// pinned tiles first, the least important first. True once all fits.
    fn lower_screens(&mut self, down_to: ScreenStep) -> bool {
        let Some(calibration) = self.room.encoding else { return self.fits() };
        let (screens, ladders) = (self.wanted.screens, &self.wanted.screen_ladders);
        let mut order: Vec<usize> = (0..screens.len()).collect();
        order.sort_by_key(|i| (screens[*i].pinned, screens[*i].priority, std::cmp::Reverse(*i)));
        let mut steps: Vec<ScreenStep> = ladders.iter().flatten().map(|r| r.step).collect();
        steps.retain(|step| *step <= down_to);
        steps.sort_unstable();
        steps.dedup();
        for class in order.chunk_by(|a, b| screens[*a].pinned == screens[*b].pinned) {
            for step in &steps {
                for &i in class {
                    while let Some(next) = ladders[i].get(self.levels.screens[i] + 1)
                        && next.step <= *step
                    {
                        let now = &ladders[i][self.levels.screens[i]];
                        self.demand -= (now.cost - next.cost) * calibration;
                        self.levels.screens[i] += 1;
                        if self.fits() {
                            return true;
                        }
                    }
                }
            }
        }
        self.fits()
    }
}
