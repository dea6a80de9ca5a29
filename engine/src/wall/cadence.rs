//! When a screen's next picture is due (invariant 6: a wall keeps its cadence whatever happens).

use crate::base::Moment;
use crate::media::Ratio;

/// The due times of pictures at a fixed rate, free of drift but for what they are shifted by.
#[derive(Clone, Debug)]
pub struct Cadence {
    /// Nanoseconds on the clock; below its zero where ticks were shifted there.
    origin: i64,
    rate: Ratio,
    next: u64,
}

/// One picture that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Counts from 0; grows by more than one where pictures were missed.
    pub index: u64,
    /// When it is due.
    pub due: Moment,
    /// How many pictures before it were missed because the screen was late.
    pub missed: u64,
    /// How many before it were left out, because the screen makes a share of them alone.
    pub left_out: u64,
}

impl Cadence {
    /// `rate` pictures a second, the first at `origin`.
    pub fn new(origin: Moment, rate: Ratio) -> Cadence {
        Cadence { origin: i64::try_from(origin.0).unwrap_or(i64::MAX), rate, next: 0 }
    }

    /// All ticks to come are so many nanoseconds later, or earlier below zero.
    pub fn shift(&mut self, nanos: i64) {
        self.origin = self.origin.saturating_add(nanos);
    }

    /// Nanoseconds from the origin.
    fn offset(&self, index: u64) -> u64 {
        let nanos = u128::from(index) * 1_000_000_000 * u128::from(self.rate.den) / u128::from(self.rate.num);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// The next tick of a share of them as seen at `now`: the first whose successor is not due yet, so that a
    /// late screen catches up by missing pictures and never by sending them in a burst. Ticks between those
    /// of the share are left out, not missed.
    pub fn next(&mut self, now: Moment, share: Share) -> Tick {
        let wanted = share.from(self.next);
        let elapsed = (i128::from(now.0) - i128::from(self.origin)).max(0).unsigned_abs();
        let current = elapsed * u128::from(self.rate.num) / (1_000_000_000 * u128::from(self.rate.den));
        let index = wanted.max(share.until(u64::try_from(current).unwrap_or(u64::MAX)));
        let left_out = index - self.next - (index - wanted) / share.every;
        self.next = index + 1;
        let due = self.origin.saturating_add_unsigned(self.offset(index));
        let due = Moment(u64::try_from(due).unwrap_or(0));
        Tick { index, due, missed: (index - wanted) / share.every, left_out }
    }
}

/// One of so many ticks; screens that share a machine take different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    every: u64,
    at: u64,
}

impl Share {
    /// Every so many ticks, beginning with number `at` of them.
    pub fn new(every: u32, at: usize) -> Share {
        let every = u64::from(every.max(1));
        Share { every, at: at as u64 % every }
    }

    /// The first of its ticks from this one on.
    fn from(self, index: u64) -> u64 {
        index + (self.at + self.every - index % self.every) % self.every
    }

    /// The last of its ticks up to this one; zero before the first.
    fn until(self, index: u64) -> u64 {
        let back = (index % self.every + self.every - self.at) % self.every;
        index.saturating_sub(back)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ALL: Share = Share { every: 1, at: 0 };
    const NTSC: Ratio = Ratio { num: 30_000, den: 1001 };

    #[test]
    fn a_day_does_not_drift() {
        let mut cadence = Cadence::new(Moment(0), NTSC);
        let mut last = Moment(0);
        for _ in 0..30_000 * 60 {
            last = cadence.next(last, ALL).due;
        }
        let exact = Duration::from_secs_f64((30_000.0 * 60.0 - 1.0) * 1001.0 / 30_000.0);
        let error = last.since(Moment(0)).abs_diff(exact);
        assert!(error < Duration::from_micros(1), "{error:?}");
    }

    #[test]
    fn ticks_move_without_missing_any() {
        let mut cadence = Cadence::new(Moment(1_000_000_000), Ratio { num: 25, den: 1 });
        let mut last = cadence.next(Moment(1_000_000_000), ALL);
        // The clock began a moment before: the origin falls below its zero.
        for nanos in [200_000, -200_000].into_iter().chain([-200_000; 6000]) {
            cadence.shift(nanos);
            let next = cadence.next(last.due + Duration::from_micros(50), ALL);
            assert_eq!((next.index, next.missed), (last.index + 1, 0));
            assert_eq!(next.due.0 as i64 - last.due.0 as i64, 40_000_000 + nanos);
            last = next;
        }
    }

    #[test]
    fn a_share_of_the_ticks_is_even_and_says_what_it_leaves_out() {
        let mut cadence = Cadence::new(Moment(0), Ratio { num: 25, den: 1 });
        let at = |ms: u64| Moment(ms * 1_000_000);
        let half = Share::new(2, 5);
        let mut told = |now, share| {
            let tick = cadence.next(at(now), share);
            (tick.index, tick.due, tick.missed, tick.left_out)
        };
        assert_eq!(told(0, ALL), (0, at(0), 0, 0));
        assert_eq!(told(1, half), (1, at(40), 0, 0));
        assert_eq!(told(41, half), (3, at(120), 0, 1));
        // Late by two of its own pictures and more: the next one is the newest that was due.
        assert_eq!(told(399, half), (9, at(360), 2, 3));
        assert_eq!(told(399, half), (11, at(440), 0, 1));
        assert_eq!(told(441, Share::new(4, 5)), (13, at(520), 0, 1));
        assert_eq!(told(521, ALL), (14, at(560), 0, 0));
        assert_eq!(told(645, ALL), (16, at(640), 1, 0));
    }

    #[test]
    fn a_late_screen_misses_pictures_and_says_how_many() {
        let mut cadence = Cadence::new(Moment(0), Ratio { num: 25, den: 1 });
        assert_eq!(cadence.next(Moment(0), ALL).index, 0);
        let late = cadence.next(Moment(0) + Duration::from_millis(165), ALL);
        assert_eq!((late.index, late.missed, late.due), (4, 3, Moment(160_000_000)));
        let on_time = cadence.next(Moment(0) + Duration::from_millis(170), ALL);
        assert_eq!((on_time.index, on_time.missed), (5, 0));
    }
}
