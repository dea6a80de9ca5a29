//! Where in its period a screen's picture is due: just after as many cameras' pictures as can be. Pure.
//!
//! A camera's picture waits for the next tick, up to a whole period: at 25 pictures a second that is most
//! of a wall's latency. Cameras whose rate goes with the wall's come at the same place of each period
//! again and again, and between few cameras there are gaps. The ticks move, too slowly to be seen, to
//! where the sum of squared waits is least: for nine cameras anywhere, the longest wait then falls from a
//! period to about two thirds of it. Cameras of unrelated rates come everywhere and move nothing.

use std::time::Duration;

use crate::base::Moment;
use crate::media::Ratio;

/// Places of a period that are told apart.
const PLACES: usize = 64;
/// Places that a picture comes before its tick at least: what a decoder may be late.
const MARGIN: usize = 2;
/// Ticks from one decision to the next.
const EVERY: u32 = 32;
/// What is left of old observations at each decision.
const KEPT: f64 = 0.8;
/// Observations below which nothing is decided.
const LEAST: f64 = 32.0;
/// Another place is worth moving to where it leaves less than this of the squared waits.
const WORTH: f64 = 0.95;
/// A tick moves by at most this part of a period: 0.2 ms at 25 pictures a second.
const SLOWLY: i64 = 200;

/// Finds the place, and leads the ticks there.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    /// Nanoseconds.
    period: i64,
    /// Where ticks are now and where they are to be, in nanoseconds after where they began, below a period.
    now: i64,
    wanted: i64,
    /// How many pictures came at each place.
    seen: [f64; PLACES],
    ticks: u32,
}

impl Phase {
    /// For ticks at this rate.
    pub fn new(rate: Ratio) -> Phase {
        let period = Duration::from_secs_f64(1.0 / rate.as_f64().max(0.01));
        let period = i64::try_from(period.as_nanos()).unwrap_or(i64::MAX).max(PLACES as i64);
        Phase { period, now: 0, wanted: 0, seen: [0.0; PLACES], ticks: 0 }
    }

    /// A picture that was ready then was shown by the tick that was due at `due`.
    pub fn note(&mut self, due: Moment, ready: Moment) {
        // Measured from the tick itself: what a period is rounded by does not add up.
        let waited = i128::from(due.0) - i128::from(ready.0);
        let waited = waited.rem_euclid(i128::from(self.period)) as i64;
        self.seen[self.place(self.now - waited)] += 1.0;
    }

    /// How much later (or earlier, below zero) the next tick is than a period after this one, in
    /// nanoseconds.
    pub fn step(&mut self) -> i64 {
        self.ticks += 1;
        if self.ticks.is_multiple_of(EVERY) {
            self.decide();
        }
        let off = (self.wanted - self.now + self.period / 2).rem_euclid(self.period) - self.period / 2;
        let step = off.clamp(-(self.period / SLOWLY), self.period / SLOWLY);
        self.now = (self.now + step).rem_euclid(self.period);
        step
    }

    fn place(&self, nanos: i64) -> usize {
        let place = nanos.rem_euclid(self.period) as i128 * PLACES as i128 / i128::from(self.period);
        place as usize % PLACES
    }

    fn decide(&mut self) {
        if self.seen.iter().sum::<f64>() >= LEAST {
            let here = self.cost(self.place(self.wanted));
            let costs = (0..PLACES).map(|place| (place, self.cost(place)));
            let best = costs.min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((place, cost)) = best
                && cost < WORTH * here
            {
                self.wanted = place as i64 * self.period / PLACES as i64;
            }
        }
        self.seen.iter_mut().for_each(|seen| *seen *= KEPT);
    }

    /// The squared waits of all pictures for ticks at the beginning of a place.
    fn cost(&self, tick: usize) -> f64 {
        let wait = |place: usize| (tick + 2 * PLACES - MARGIN - place) % PLACES + MARGIN;
        self.seen.iter().enumerate().map(|(place, seen)| seen * (wait(place) as f64).powi(2)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Ratio = Ratio { num: 25, den: 1 };
    const MS: u64 = 1_000_000;

    /// Waits in milliseconds of pictures of cameras with these periods and phases (in milliseconds), a
    /// minute of them after a minute; and the farthest that a tick was from a period after the last.
    fn waits(cameras: &[(f64, f64)], jitter: f64) -> (Vec<f64>, i64) {
        let zero = Moment(1_000_000 * MS);
        let mut phase = Phase::new(RATE);
        let mut next: Vec<f64> = cameras.iter().map(|(_, phase)| *phase).collect();
        let mut tick = 0.0;
        let (mut waits, mut farthest, mut state) = (Vec::new(), 0, 1u32);
        for n in 0..3000 {
            for (at, (period, _)) in next.iter_mut().zip(cameras) {
                while *at < tick {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let ready = (*at + jitter * f64::from(state >> 16) / 65536.0).min(tick);
                    let moment = |ms: f64| zero + Duration::from_secs_f64(ms / 1e3);
                    phase.note(moment(tick), moment(ready));
                    if n >= 1500 {
                        waits.push(tick - ready);
                    }
                    *at += period;
                }
            }
            let step = phase.step();
            farthest = farthest.max(step.abs());
            tick += 40.0 + step as f64 / 1e6;
        }
        waits.sort_by(f64::total_cmp);
        (waits, farthest)
    }

    fn quantile(waits: &[f64], q: f64) -> f64 {
        waits[((waits.len() - 1) as f64 * q) as usize]
    }

    #[test]
    fn ticks_come_just_after_the_pictures() {
        let (waits, farthest) = waits(&[(80.0, 13.0), (40.0, 15.0), (80.0, 57.0)], 0.5);
        assert!(quantile(&waits, 1.0) < 8.0, "{:?}", quantile(&waits, 1.0));
        assert!(farthest <= 200_000, "never more than a two-hundredth of a period: {farthest}");
    }

    #[test]
    fn the_largest_gap_between_cameras_is_spared() {
        let phases = [2.0, 9.0, 11.0, 18.0, 43.0, 50.0, 61.0, 64.0, 79.0];
        let cameras: Vec<(f64, f64)> = phases.map(|phase| (80.0, phase)).to_vec();
        let (waits, _) = waits(&cameras, 1.0);
        // From 24 to 39 of each 40 ms none comes.
        assert!(quantile(&waits, 0.95) < 28.0, "{}", quantile(&waits, 0.95));
    }

    #[test]
    fn cameras_of_other_rates_move_nothing() {
        let cameras: Vec<(f64, f64)> = (0..20).map(|n| (1000.0 / 30.1, f64::from(n) * 1.7)).collect();
        let (waits, farthest) = waits(&cameras, 0.0);
        assert_eq!(farthest, 0);
        assert!((quantile(&waits, 0.5) - 20.0).abs() < 1.0);
    }

    #[test]
    fn a_camera_that_moves_is_followed() {
        let mut phase = Phase::new(RATE);
        let mut due = 1_000_000 * MS;
        for to in [5, 35] {
            let mut wait = 0;
            for _ in 0..600 {
                wait = (due - to * MS) % (40 * MS);
                phase.note(Moment(due), Moment(due - wait));
                due = (due + 40 * MS).saturating_add_signed(phase.step());
            }
            assert!((MS..3 * MS).contains(&wait), "{wait}");
        }
    }
}
