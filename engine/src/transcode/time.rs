//! Times in ticks of a time base, and the decoding times of pictures. Pure.

use ffmpeg_next as ff;

use crate::media::Ratio;
use crate::source::demux;

/// Seconds of a tick, as a ratio of positive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBase {
    pub num: i64,
    pub den: i64,
}

impl TimeBase {
    /// A second.
    pub const SECOND: TimeBase = TimeBase { num: 1, den: 1 };

    /// As libav says it.
    pub fn of(base: ff::Rational) -> TimeBase {
        TimeBase { num: i64::from(base.numerator()).max(1), den: i64::from(base.denominator()).max(1) }
    }

    /// A tick for each picture at a rate.
    pub fn of_rate(rate: Ratio) -> TimeBase {
        TimeBase { num: i64::from(rate.den), den: i64::from(rate.num) }
    }

    /// As libav has it.
    pub fn to_ff(self) -> ff::Rational {
        ff::Rational(i32::try_from(self.num).unwrap_or(1), i32::try_from(self.den).unwrap_or(i32::MAX))
    }

    /// Ticks as nanoseconds.
    pub fn nanos(self, ticks: i64) -> i64 {
        demux::nanos(ticks, (self.num, self.den))
    }

    /// Nanoseconds as ticks, to the nearest.
    pub fn ticks(self, nanos: i64) -> i64 {
        let unit = i128::from(self.num) * 1_000_000_000;
        let ticks = (i128::from(nanos) * i128::from(self.den) + unit / 2).div_euclid(unit);
        ticks.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Ticks as seconds.
    pub fn seconds(self, ticks: i64) -> f64 {
        ticks as f64 * self.num as f64 / self.den as f64
    }
}

/// Decoding times and durations of pictures, from the times at which they are shown, in decoding order.
/// Decoding times are the same times in ascending order, moved back by as many pictures as the deepest
/// reordering needs, so that no picture is shown before it is decoded.
pub fn decoding_times(shown: &[i64], usual: i64) -> Vec<(i64, i64)> {
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.sort_by_key(|at| shown[*at]);
    let mut rank = vec![0; shown.len()];
    for (place, at) in order.iter().enumerate() {
        rank[*at] = place;
    }
    let depth = rank.iter().enumerate().map(|(at, place)| at.saturating_sub(*place)).max().unwrap_or(0);
    let sorted = |place: usize| shown[order[place]];
    let decode = |at: usize| match at.checked_sub(depth) {
        Some(place) => sorted(place),
        None => sorted(0) - (depth - at) as i64 * usual,
    };
    let duration = |at: usize| match order.get(rank[at] + 1) {
        Some(next) => shown[*next] - shown[at],
        None => usual,
    };
    (0..shown.len()).map(|at| (decode(at), duration(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::decoding_times;

    #[test]
    fn pictures_are_decoded_in_order_and_before_they_are_shown() {
        // I P B B P B B, ten ticks apart.
        let shown = [0, 30, 10, 20, 60, 40, 50];
        let got = decoding_times(&shown, 10);
        let decode: Vec<i64> = got.iter().map(|t| t.0).collect();
        assert_eq!(decode, [-10, 0, 10, 20, 30, 40, 50]);
        assert!(decode.iter().zip(&shown).all(|(d, s)| d <= s));
        assert!(got.iter().all(|(_, duration)| *duration == 10));
    }

    #[test]
    fn without_reordering_times_are_what_is_shown() {
        assert_eq!(decoding_times(&[0, 40, 80, 500], 40), [(0, 40), (40, 40), (80, 420), (500, 40)]);
        assert_eq!(decoding_times(&[], 40), []);
        assert_eq!(decoding_times(&[7], 40), [(7, 40)]);
    }
}
