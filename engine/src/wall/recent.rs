//! The longest refresh of a screen's tiles, span by span: how it is now, whatever it was at the start.

use std::collections::VecDeque;
use std::time::Duration;

use super::report::RefreshReport;

/// Length of a span, in seconds.
const SPAN_S: u64 = 10;
/// Spans that are kept: an hour.
const KEPT: usize = 360;

/// Spans in which a tile was refreshed, and the longest time that one of these refreshes took.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<(u64, Duration)>);

impl Recent {
    /// A tile was refreshed `at` after the screen's first picture, `refresh` after the time before.
    pub fn record(&mut self, at: Duration, refresh: Duration) {
        let span = at.as_secs() / SPAN_S;
        if let Some((last, longest)) = self.0.back_mut()
            && *last == span
        {
            *longest = refresh.max(*longest);
            return;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((span, refresh));
    }

    /// All that is kept, the oldest first.
    pub fn report(&self) -> Vec<RefreshReport> {
        let of = |(span, longest): &(u64, Duration)| RefreshReport {
            from_s: span * SPAN_S,
            max_ms: longest.as_secs_f64() * 1000.0,
        };
        self.0.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_span_has_its_longest_and_an_hour_is_kept() {
        let mut recent = Recent::default();
        let mut record = |at, ms| recent.record(Duration::from_millis(at), Duration::from_millis(ms));
        for (at, ms) in [(0, 900), (9_999, 300), (10_000, 4_000), (35_000, 5_000), (35_100, 6_000)] {
            record(at, ms);
        }
        let spans: Vec<(u64, f64)> = recent.report().iter().map(|r| (r.from_s, r.max_ms)).collect();
        assert_eq!(spans, [(0, 900.0), (10, 4_000.0), (30, 6_000.0)]);
        for second in 36..10_000 {
            recent.record(Duration::from_secs(second), Duration::from_secs(2));
        }
        let report = recent.report();
        assert_eq!((report.len(), report[0].from_s, report[KEPT - 1].from_s), (KEPT, 6_400, 9_990));
    }
}
