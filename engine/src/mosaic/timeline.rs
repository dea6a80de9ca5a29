//! Where pictures lie on the common timeline, and which tick shows which. Pure.

use std::time::Duration;

use crate::media::{Pts, Ratio};

/// A step back smaller than this is disorder; a larger one is a new start of the file's clock.
const DISORDER: i64 = 500_000_000;
/// A step forward larger than this is a jump of the clock, in formats whose clocks jump.
const JUMP: i64 = 10_000_000_000;

/// The ticks of a mosaic: pictures of the output, at a fixed rate from time zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks(Ratio);

impl Ticks {
    /// `rate` ticks a second.
    pub fn new(rate: Ratio) -> Ticks {
        Ticks(rate)
    }

    /// When tick `n` is, in nanoseconds, rounded down.
    pub fn time(&self, n: u64) -> i64 {
        let nanos = i128::from(n) * 1_000_000_000 * i128::from(self.0.den) / i128::from(self.0.num);
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }

    /// The first tick at or after `time`.
    pub fn first_from(&self, time: i64) -> u64 {
        let (num, den) = (i128::from(self.0.num), i128::from(self.0.den) * 1_000_000_000);
        let near = (i128::from(time.max(0)) * num / den) as u64;
        // The time of a tick is rounded down, so the quotient may be one too low.
        (near.saturating_sub(1)..).find(|n| self.time(*n) >= time).unwrap_or(near)
    }
}

/// Places the pictures of one input, in presentation order: its first picture is at zero, and time
/// never stands still or runs back.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// What is added to a picture's own time; `None` before the first picture.
    offset: Option<i64>,
    last: i64,
    /// The latest picture that was left out.
    left_out: i64,
    picture_time: i64,
    clock_jumps: bool,
    jumps: u64,
}

impl Timeline {
    /// For an input whose pictures nominally last `picture_time`. Where `clock_jumps`, a long gap
    /// is a jump of the clock; else nothing was recorded in it, and the picture before stays.
    pub fn new(picture_time: Duration, clock_jumps: bool) -> Timeline {
        let picture_time = i64::try_from(picture_time.as_nanos()).unwrap_or(JUMP).max(1);
        Timeline { offset: None, last: 0, left_out: 0, picture_time, clock_jumps, jumps: 0 }
    }

    /// The place of the next picture; `pts` is `None` where the file has no time for it.
    pub fn place(&mut self, pts: Option<Pts>) -> i64 {
        let Some(offset) = self.offset else {
            self.offset = Some(pts.map_or(0, |pts| pts.0.saturating_neg()));
            return 0;
        };
        let expected = self.last.saturating_add(self.picture_time);
        let place = match pts {
            None => expected,
            Some(pts) => {
                let place = pts.0.saturating_add(offset);
                let back = self.last.saturating_sub(place);
                let jumped = self.clock_jumps && place.saturating_sub(self.last) > JUMP;
                if back >= DISORDER || jumped {
                    self.jumps += 1;
                    self.offset = Some(expected.saturating_sub(pts.0));
                    expected
                } else {
                    place.max(self.last.saturating_add(1))
                }
            }
        };
        self.last = place;
        place
    }

    /// Where a picture with this time would lie, if the clock does not jump; `None` before the first.
    pub fn would_place(&self, pts: Pts) -> Option<i64> {
        self.offset.map(|offset| pts.0.saturating_add(offset))
    }

    /// True where a picture with this time would lie before the last, if the clock did not jump.
    pub fn is_before_the_last(&self, pts: Pts) -> bool {
        self.would_place(pts).is_some_and(|place| place < self.last)
    }

    /// A picture that is there, but not decoded: the input lasts as long as with it.
    pub fn leave_out(&mut self, pts: Pts) {
        if let Some(place) = self.would_place(pts) {
            let sane = place.saturating_sub(self.last) <= JUMP || !self.clock_jumps;
            self.left_out = if sane { self.left_out.max(place) } else { self.left_out };
        }
    }

    /// When the newest picture ends, going by the nominal time of one.
    pub fn end(&self) -> i64 {
        let newest = self.last.max(self.left_out);
        if self.offset.is_some() { newest.saturating_add(self.picture_time) } else { 0 }
    }

    /// How often the clock started anew.
    pub fn jumps(&self) -> u64 {
        self.jumps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAL: Ratio = Ratio { num: 25, den: 1 };
    const MS: i64 = 1_000_000;

    fn places(timeline: &mut Timeline, ms: &[i64]) -> Vec<i64> {
        ms.iter().map(|ms| timeline.place(Some(Pts(ms * MS))) / MS).collect()
    }

    #[test]
    fn the_first_picture_is_at_zero_and_gaps_stay() {
        let mut timeline = Timeline::new(Duration::from_millis(40), false);
        assert_eq!(timeline.end(), 0);
        assert_eq!(places(&mut timeline, &[5000, 5040, 5080, 65080]), [0, 40, 80, 60080]);
        assert_eq!((timeline.end(), timeline.jumps()), (60120 * MS, 0));
    }

    #[test]
    fn a_clock_that_starts_anew_goes_on() {
        let mut timeline = Timeline::new(Duration::from_millis(40), true);
        assert_eq!(places(&mut timeline, &[100_000, 100_040, 0, 40]), [0, 40, 80, 120]);
        assert_eq!(places(&mut timeline, &[900_000, 900_040]), [160, 200]);
        assert_eq!(timeline.jumps(), 2);
    }

    #[test]
    fn small_disorder_shows_the_newest_at_once() {
        let mut timeline = Timeline::new(Duration::from_millis(40), true);
        assert_eq!(places(&mut timeline, &[0, 40, 40, 30, 80]), [0, 40, 40, 40, 80]);
    }

    #[test]
    fn pictures_without_times_are_counted() {
        let mut timeline = Timeline::new(Duration::from_millis(80), false);
        let places: Vec<i64> = (0..3).map(|_| timeline.place(None) / MS).collect();
        assert_eq!(places, [0, 80, 160]);
    }

    proptest! {
        #[test]
        fn the_first_tick_from_a_time_is_the_first(num in 1u32..=60_000, den in 1u32..=1001, time in 0i64..40_000_000_000_000) {
            let ticks = Ticks::new(Ratio { num, den });
            let n = ticks.first_from(time);
            prop_assert!(ticks.time(n) >= time);
            prop_assert!(n == 0 || ticks.time(n - 1) < time);
        }

        #[test]
        fn time_never_runs_back(pts in prop::collection::vec(any::<i64>(), 1..40), jumps: bool) {
            let mut timeline = Timeline::new(Duration::from_millis(40), jumps);
            let mut last = -1;
            for pts in pts {
                let place = timeline.place(Some(Pts(pts)));
                prop_assert!(place > last || place == i64::MAX);
                last = place;
            }
        }
    }

    #[test]
    fn pictures_that_are_left_out_count_for_the_length() {
        let mut timeline = Timeline::new(Duration::from_millis(40), false);
        timeline.leave_out(Pts(7 * MS));
        assert_eq!(timeline.end(), 0, "nothing has begun");
        timeline.place(Some(Pts(1000 * MS)));
        timeline.leave_out(Pts(1400 * MS));
        timeline.leave_out(Pts(1200 * MS));
        assert_eq!(timeline.end(), 440 * MS);
    }

    #[test]
    fn every_picture_of_an_equal_rate_has_its_tick() {
        let ticks = Ticks::new(PAL);
        for n in 0..1000 {
            assert_eq!(ticks.first_from(ticks.time(n)), n);
            assert_eq!(ticks.first_from(ticks.time(n) + 1), n + 1);
        }
    }
}
