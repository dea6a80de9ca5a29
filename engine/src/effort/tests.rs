//! The governor on a simulated clock and a simulated machine.

use std::time::Duration;

use super::*;
use crate::base::{Clock, SimClock};
use crate::decode::Effort;
use crate::media::Codec;

fn main_stream() -> ProfileLoad {
    let load = StreamLoad {
        codec: Codec::H264,
        width: 1920,
        height: 1080,
        fps: 25.0,
        bits_per_second: 4e6,
        key_interval_s: 2.0,
    };
    ProfileLoad { name: "main".into(), load }
}

pub(super) fn sub_stream() -> ProfileLoad {
    let load = StreamLoad { width: 640, height: 360, fps: 12.5, bits_per_second: 4e5, ..main_stream().load };
    ProfileLoad { name: "sub".into(), load }
}

pub(super) fn wish(name: &str, size: (u32, u32)) -> Wish {
    Wish {
        camera: name.into(),
        sizes: vec![size],
        pinned: false,
        priority: 100,
        live: true,
        profiles: vec![main_stream(), sub_stream()],
    }
}

pub(super) fn steps(plan: &Plan) -> Vec<Step> {
    plan.decisions.iter().map(|d| d.step).collect()
}

/// A machine that decodes exactly as the model foresees, times `factor`.
pub(super) struct Machine {
    pub clock: std::sync::Arc<SimClock>,
    pub governor: Governor,
    pub cores: f64,
    pub others: f64,
    /// What the process uses beside decoding and encoding.
    pub overhead: f64,
    pub factor: f64,
    pub decoding: f64,
    pub screens: Vec<ScreenWish>,
    /// Encoding as the model foresees, times this for each screen as it stands.
    pub encoder: fn(&ScreenDecision) -> f64,
    pub encoding: f64,
}

impl Machine {
    pub fn new(cores: f64) -> Machine {
        let governor = Governor::new(EffortSettings::default(), CostModel::reference());
        let clock = SimClock::new();
        let (decoding, encoding) = (0.0, 0.0);
        let screens = Vec::new();
        let (others, overhead, factor) = (0.0, 0.0, 1.0);
        Machine {
            clock,
            governor,
            cores,
            others,
            overhead,
            factor,
            decoding,
            screens,
            encoder: |_| 1.0,
            encoding,
        }
    }

    pub fn load(&self, distress: u64) -> Load {
        let (decoding, encoding) = (self.decoding, self.encoding);
        let own = decoding + encoding + self.overhead;
        Load { cores: self.cores, own, others: self.others, decoding, encoding, distress }
    }

    pub fn tick_with(&mut self, wishes: &[Wish], distress: u64) -> Plan {
        self.clock.advance(Duration::from_secs(1));
        let (now, load) = (self.clock.now(), self.load(distress));
        self.governor.observe(now, wishes, &load);
        let plan = self.governor.plan(now, wishes, &self.screens, &load);
        let live = plan.decisions.iter().zip(wishes).filter(|(_, wish)| wish.live);
        let foreseen: f64 = live.map(|(decision, _)| decision.cost).sum();
        self.decoding = foreseen / self.governor.calibration() * self.factor;
        let learned = self.governor.encoding().unwrap_or(1.0);
        self.encoding = plan.screens.iter().map(|s| s.cost / learned * (self.encoder)(s)).sum();
        plan
    }

    pub fn tick(&mut self, wishes: &[Wish]) -> Plan {
        self.tick_with(wishes, 0)
    }
}

#[test]
fn a_tile_gets_the_cheapest_stream_that_is_sharp_in_it() {
    let mut machine = Machine::new(64.0);
    let mut hidden = wish("hidden", (480, 270));
    hidden.sizes.clear();
    let pinned = Wish { pinned: true, ..wish("pinned", (120, 68)) };
    let two_tiles = Wish { sizes: vec![(120, 68), (1920, 1080)], ..wish("two tiles", (120, 68)) };
    let wishes = [
        hidden,
        wish("thumbnail", (120, 68)),
        wish("small", (300, 168)),
        wish("middle", (480, 270)),
        wish("large", (960, 540)),
        pinned,
        two_tiles,
    ];
    let plan = machine.tick(&wishes);
    let got: Vec<(&str, Effort, bool)> =
        plan.decisions.iter().map(|d| (&*d.profile_name, d.effort, d.skip_loop_filter)).collect();
    assert_eq!(
        got,
        [
            ("sub", Effort::Standby, false),
            ("sub", Effort::KeyFrames, true),
            ("sub", Effort::Full, true),
            ("sub", Effort::Full, false),
            ("main", Effort::Full, true),
            ("sub", Effort::Full, false),
            ("main", Effort::Full, false),
        ]
    );
    assert!(plan.degraded().next().is_none());
    assert_eq!(plan.decisions[1].refresh, Some(Duration::from_secs(2)));
    assert_eq!(plan.decisions[1].spacing, Duration::ZERO, "every key frame");
}

#[test]
fn overload_degrades_the_lowest_class_step_by_step_and_pinned_never() {
    let mut wishes: Vec<Wish> = (0..40).map(|n| wish(&format!("c{n}"), (960, 540))).collect();
    wishes[0].pinned = true;
    for important in &mut wishes[1..6] {
        important.priority = 200;
    }
    let mut machine = Machine::new(3.0);
    let plan = machine.tick(&wishes);
    assert!(plan.deserved > 1.15 * plan.available, "{} of {}", plan.deserved, plan.available);
    assert!(plan.demand <= plan.available);
    let got = steps(&plan);
    assert_eq!(got[..6], [Step::AsDeserved; 6], "pinned and the higher class keep theirs");
    // Within a class everybody has gone the step before anybody goes the next.
    let (lowest, highest) = (got[6..].iter().min(), got[6..].iter().max());
    assert_eq!((lowest, highest), (Some(&Step::AsDeserved), Some(&Step::SmallerProfile)));
    let softer = got.iter().filter(|s| **s == Step::SmallerProfile).count();
    assert!(got[6..6 + softer].iter().all(|s| *s == Step::SmallerProfile), "in order: {got:?}");

    let mut small = Machine::new(0.25);
    let plan = small.tick(&wishes);
    assert_eq!(plan.decisions[0].effort, Effort::Full);
    assert_eq!(plan.decisions[0].step, Step::AsDeserved);
    assert!(steps(&plan)[6..].iter().all(|s| *s >= Step::KeyFrames));
    assert!(plan.demand <= plan.available);
}

#[test]
fn nobody_is_paused_while_anything_else_is_left_to_take() {
    let wishes: Vec<Wish> = (0..400).map(|n| wish(&format!("c{n}"), (240, 135))).collect();
    let mut machine = Machine::new(0.3);
    let plan = machine.tick(&wishes);
    let paused = steps(&plan).iter().filter(|s| **s == Step::Paused).count();
    assert!(paused == 0 && steps(&plan).iter().any(|s| matches!(s, Step::FewerKeyFrames(_))), "{paused}");
    let mut tiny = Machine::new(0.02);
    let plan = tiny.tick(&wishes);
    let got = steps(&plan);
    assert!(got.iter().all(|s| *s >= Step::FewerKeyFrames(2)));
    assert!(got.contains(&Step::Paused) && plan.demand <= plan.available);
}

#[test]
fn fewer_key_frames_never_mean_longer_than_the_limit() {
    let wishes: Vec<Wish> = (0..300).map(|n| wish(&format!("c{n}"), (120, 68))).collect();
    let mut machine = Machine::new(0.5);
    for decision in machine.tick(&wishes).decisions {
        if let Some(refresh) = decision.refresh {
            assert!(refresh <= Duration::from_secs(5), "{refresh:?}");
            assert!(decision.spacing < refresh && decision.spacing + Duration::from_secs(2) >= refresh);
        }
    }
}

#[test]
fn intervals_stay_within_the_limit_where_the_machine_can_do_that() {
    let wishes: Vec<Wish> = (0..1000).map(|n| wish(&format!("c{n}"), (120, 68))).collect();
    let every_other = ladder(&wishes[0], &EffortSettings::default(), &CostModel::reference())[0].cost / 2.0;
    // Key frames come every 2 s. One in two is every 4 s, and 4.75 s are planned where 5 s are allowed:
    // 84 % of it do.
    for (enough, beyond) in [(0.86, false), (0.82, true)] {
        let mut machine = Machine::new(enough * 1000.0 * every_other / 0.85);
        let plan = machine.tick(&wishes);
        let late = plan.decisions.iter().filter(|d| d.refresh > Some(Duration::from_secs(5))).count();
        assert_eq!(late > 0, beyond, "{enough}");
        assert!(late < 100, "no more than must be: {late}");
        assert!(!steps(&plan).contains(&Step::Paused), "{enough}");
    }
}

#[test]
fn the_last_step_within_the_limit_is_no_whole_number_of_key_frames() {
    let (settings, model) = (EffortSettings::default(), CostModel::reference());
    let cases: [(f64, Vec<(u32, f64)>); 5] = [
        (2.0, vec![(2, 4.0), (3, 4.75)]),
        (1.0, vec![(2, 2.0), (3, 3.0), (4, 4.0), (5, 4.75)]),
        (4.0, vec![(2, 4.75)]),
        // Every key frame is as rare as that already.
        (5.0, vec![]),
        (8.0, vec![]),
    ];
    for (interval, expected) in cases {
        let mut camera = wish("c", (120, 68));
        camera.profiles[1].load.key_interval_s = interval;
        let rungs = ladder(&camera, &settings, &model);
        let mut within = Vec::new();
        for rung in &rungs {
            let (Step::FewerKeyFrames(every), Some(refresh)) = (rung.step, rung.refresh) else { continue };
            let (seconds, share) = (refresh.as_secs_f64(), rung.cost / rungs[0].cost);
            assert!((share - interval / seconds).abs() < 1e-6, "{rung:?} costs {share} of every key frame");
            if !rung.is_beyond(&settings) {
                within.push((every, seconds));
            }
        }
        assert_eq!(within, expected, "{interval} s");
    }
}

#[test]
fn steps_descend_and_do_not_change_where_key_frames_waver() {
    let (settings, model) = (EffortSettings::default(), CostModel::reference());
    let steps = |interval: f64| -> Vec<Step> {
        let mut camera = wish("c", (240, 135));
        camera.profiles[1].load.key_interval_s = interval;
        let rungs = ladder(&camera, &settings, &model);
        assert!(rungs.windows(2).all(|w| w[0].step < w[1].step && w[0].cost > w[1].cost), "{interval} s");
        rungs.iter().map(|r| r.step).collect()
    };
    for interval in [0.0, 0.04, 0.2, 0.5, 1.0, 1.92, 2.0, 4.0, 4.5, 5.0, 9.0, 30.0] {
        assert_eq!(steps(interval).last(), Some(&Step::Paused));
    }
    assert_eq!(steps(1.98), steps(2.0));
    assert_eq!(steps(2.02), steps(2.0));
}

#[test]
fn what_the_plan_counts_on_does_not_count_as_a_slower_machine() {
    let wishes: Vec<Wish> = (0..1000).map(|n| wish(&format!("c{n}"), (120, 68))).collect();
    let every_other = ladder(&wishes[0], &EffortSettings::default(), &CostModel::reference())[0].cost / 2.0;
    let mut machine = Machine::new(0.86 * 1000.0 * every_other / 0.85);
    for tick in 0..60 {
        let plan = machine.tick(&wishes);
        let longest = plan.decisions.iter().filter_map(|d| d.refresh).max();
        assert!(longest <= Some(Duration::from_secs(5)), "{longest:?} at tick {tick}");
    }
    assert!((machine.governor.calibration() - 1.0).abs() < 0.01, "{}", machine.governor.calibration());
}

#[test]
fn efforts_do_not_flap_at_the_limit_and_return_after_it() {
    let wishes: Vec<Wish> = (0..30).map(|n| wish(&format!("c{n}"), (960, 540))).collect();
    let mut machine = Machine::new(2.0);
    for _ in 0..10 {
        machine.tick(&wishes);
    }
    let before = steps(&machine.tick(&wishes));
    assert!(before.iter().any(|s| *s != Step::AsDeserved));
    let mut changes = 0;
    let mut last = before;
    for n in 0..60 {
        // Costs that waver by 4 % around the limit.
        machine.factor = if n % 2 == 0 { 0.96 } else { 1.04 };
        let now = steps(&machine.tick(&wishes));
        changes += now.iter().zip(&last).filter(|(a, b)| a != b).count();
        last = now;
    }
    assert!(changes <= 6, "{changes} changes in a minute");
    machine.cores = 8.0;
    machine.factor = 1.0;
    let mut ticks = 0;
    while machine.tick(&wishes).degraded().next().is_some() {
        ticks += 1;
        assert!(ticks < 20, "they do not return");
    }
}

#[test]
fn a_lower_effort_is_kept_for_the_hold() {
    let wishes: Vec<Wish> = (0..30).map(|n| wish(&format!("c{n}"), (960, 540))).collect();
    let mut machine = Machine::new(2.0);
    let degraded = machine.tick(&wishes).degraded().count();
    assert!(degraded > 0);
    machine.cores = 8.0;
    let after: Vec<usize> = (0..8).map(|_| machine.tick(&wishes).degraded().count()).collect();
    assert_eq!(after[..4], [degraded; 4], "four seconds later: {after:?}");
    assert_eq!(after[5..], [0; 3], "after five: {after:?}");
}

#[test]
fn a_machine_slower_than_the_model_is_learned() {
    let wishes: Vec<Wish> = (0..12).map(|n| wish(&format!("c{n}"), (960, 540))).collect();
    let mut machine = Machine::new(2.0);
    machine.factor = 2.0;
    for _ in 0..15 {
        machine.tick(&wishes);
    }
    assert!((machine.governor.calibration() - 2.0).abs() < 0.05, "{}", machine.governor.calibration());
    assert!(machine.decoding <= 2.0 * 0.85, "{}", machine.decoding);
}

#[test]
fn connecting_many_cameras_is_no_overhead_that_stays() {
    let mut wishes: Vec<Wish> = (0..100).map(|n| wish(&format!("c{n}"), (240, 135))).collect();
    wishes.iter_mut().skip(5).for_each(|wish| wish.live = false);
    let mut machine = Machine::new(2.0);
    machine.overhead = 1.6;
    for _ in 0..6 {
        assert!(machine.tick(&wishes).degraded().next().is_none());
    }
    wishes.iter_mut().for_each(|wish| wish.live = true);
    // The second in which the last of them connect is not learned from either.
    assert!(machine.tick(&wishes).degraded().next().is_none());
    machine.overhead = 0.2;
    for _ in 0..10 {
        let plan = machine.tick(&wishes);
        assert!(plan.degraded().next().is_none());
        assert!((plan.available - 1.5).abs() < 1e-6, "{}", plan.available);
    }
}

#[test]
fn a_wall_learns_though_some_cameras_never_come() {
    let mut wishes: Vec<Wish> = (0..12).map(|n| wish(&format!("c{n}"), (960, 540))).collect();
    wishes.iter_mut().take(3).for_each(|wish| wish.live = false);
    let mut machine = Machine::new(2.0);
    machine.factor = 2.0;
    for _ in 0..20 {
        machine.tick(&wishes);
    }
    assert_eq!(machine.governor.calibration(), 1.0, "they may still come");
    for _ in 0..30 {
        machine.tick(&wishes);
    }
    assert!((machine.governor.calibration() - 2.0).abs() < 0.05, "{}", machine.governor.calibration());
}

#[test]
fn one_bad_second_degrades_nobody_while_distress_and_another_layout_do_at_once() {
    let of = |size| -> Vec<Wish> { (0..30).map(|n| wish(&format!("c{n}"), size)).collect() };
    let (small, large) = (of((240, 135)), of((960, 540)));
    let calm = |cores, wishes: &[Wish]| {
        let mut machine = Machine::new(cores);
        for _ in 0..3 {
            assert_eq!(machine.tick(wishes).degraded().count(), 0);
        }
        machine
    };
    let mut machine = calm(8.0, &large);
    for cores in [2.0, 8.0, 8.0, 2.0] {
        machine.cores = cores;
        assert_eq!(machine.tick(&large).degraded().count(), 0);
    }
    assert!(machine.tick(&large).degraded().count() > 0, "the second in a row");

    let mut machine = calm(8.0, &large);
    machine.cores = 2.0;
    assert!(machine.tick_with(&large, 1).degraded().count() > 0, "distress");

    let mut machine = calm(2.0, &small);
    assert!(machine.tick(&large).degraded().count() > 0, "another layout");
}

#[test]
fn other_programs_take_their_share_and_no_more() {
    let wishes: Vec<Wish> = (0..30).map(|n| wish(&format!("c{n}"), (960, 540))).collect();
    let mut machine = Machine::new(4.0);
    let alone = machine.tick(&wishes).available;
    machine.others = 1.0;
    assert!(machine.tick(&wishes).available < alone);
    machine.others = 4.0;
    for _ in 0..30 {
        let plan = machine.tick(&wishes);
        assert!(plan.available > 1.2, "a greedy neighbour squeezes us to {}", plan.available);
    }
}

#[test]
fn distress_lowers_the_budget_and_calm_raises_it() {
    let wishes: Vec<Wish> = (0..12).map(|n| wish(&format!("c{n}"), (960, 540))).collect();
    let mut machine = Machine::new(2.0);
    machine.tick(&wishes);
    for _ in 0..10 {
        machine.tick_with(&wishes, 3);
    }
    assert!(machine.governor.trust() < 0.5, "{}", machine.governor.trust());
    for _ in 0..4 {
        machine.tick(&wishes);
    }
    let soon = machine.governor.trust();
    assert!(soon < 0.5, "not at the first calm second");
    for _ in 0..40 {
        machine.tick(&wishes);
    }
    assert_eq!(machine.governor.trust(), 1.0);
}

#[test]
fn a_layout_is_judged_before_it_is_applied() {
    let mut machine = Machine::new(2.0);
    let few: Vec<Wish> = (0..4).map(|n| wish(&format!("c{n}"), (480, 270))).collect();
    machine.tick(&few);
    let judge = |machine: &Machine, wishes: &[Wish]| machine.governor.admit(wishes, &[], &machine.load(0));
    assert!(matches!(judge(&machine, &few), Admission::Fits { spare } if spare > 1.0));
    let more: Vec<Wish> = (0..30).map(|n| wish(&format!("c{n}"), (960, 540))).collect();
    let Admission::Degraded { cameras, .. } = judge(&machine, &more) else {
        panic!("30 large tiles fit degraded")
    };
    assert!(!cameras.is_empty() && cameras.iter().all(|(_, step)| *step != Step::AsDeserved));
    let pinned: Vec<Wish> = more.iter().map(|w| Wish { pinned: true, ..w.clone() }).collect();
    let Admission::DoesNotFit { missing, paused } = judge(&machine, &pinned) else { panic!("does not fit") };
    assert!(missing > 0.5 && paused.is_empty());
}
