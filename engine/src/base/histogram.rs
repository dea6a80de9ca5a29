//! Durations in logarithmic buckets: percentiles of a run of any length in constant memory.

use std::time::Duration;

/// Eight buckets per doubling: a percentile is at most 9 % too high, never too low.
const PER_OCTAVE: f64 = 8.0;
/// 2^40 microseconds, about 12 days: everything longer falls into the last bucket.
const BUCKETS: usize = 40 * PER_OCTAVE as usize;

/// A histogram of durations, with a resolution of 9 % from one microsecond up.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: vec![0; BUCKETS], count: 0, max: Duration::ZERO }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, value: Duration) {
        let micros = (value.as_nanos() as f64 / 1000.0).max(1.0);
        let bucket = (micros.log2() * PER_OCTAVE).ceil() as usize;
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
        self.count += 1;
        self.max = self.max.max(value);
    }

    /// Counts all that `other` counted, too.
    pub fn merge(&mut self, other: &Histogram) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, more)| *mine += more);
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest duration counted, exactly.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The upper edge of the bucket that holds the `q` quantile (0 to 1); `None` while empty.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, n) in self.buckets.iter().enumerate() {
            seen += n;
            if *n > 0 && seen >= rank {
                let edge = Duration::from_secs_f64((index as f64 / PER_OCTAVE).exp2() / 1e6);
                return Some(edge.min(self.max));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_nine_percent_and_never_below() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for ms in 1..=1000 {
            histogram.record(Duration::from_millis(ms));
        }
        for (q, exact) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let got = histogram.quantile(q).map(|d| d.as_secs_f64() * 1000.0).unwrap_or_default();
            assert!(got >= exact && got <= exact * 1.092, "q {q}: {got} ms, exact {exact} ms");
        }
        assert_eq!(histogram.quantile(1.0), Some(Duration::from_millis(1000)));
        let mut other = Histogram::default();
        other.record(Duration::from_millis(2000));
        histogram.merge(&other);
        assert_eq!((histogram.count(), histogram.max()), (1001, Duration::from_millis(2000)));
    }
}
