//! An average rate over segments that are encoded side by side: what the earlier ones fell short of, the
//! later ones make up for. Pure.
//!
//! An encoder's rate control begins anew in each segment and comes out a few per cent below what it was
//! asked for. A segment is told of those before it, but of the last [`Plan::lag`] ones, which may be in the
//! making: so its bytes depend on the plan alone, not on who was faster.
//!
//! [`Plan::lag`]: super::plan::Plan::lag

/// A segment's rate is never further from what was asked for than by this factor.
const MOST: f64 = 1.15;
/// Encoders are taken to give no less and no more of what they are asked for than by this factor: what the
/// first segments show is half their scene's, and a later one that is believed to fall short overshoots.
const YIELD: f64 = 1.03;

/// What is known of the segments before one.
pub(super) struct Before<'a> {
    /// Lengths of all segments, in seconds.
    pub seconds: &'a [f64],
    /// Bits that the first ones were to have and have.
    pub known: &'a [(f64, f64)],
    /// Which segment is asked about; those from `known` to here are in the making.
    pub index: usize,
}

/// Bits a second that a segment's encoder is asked for, of `asked` for the whole.
pub(super) fn rate(asked: f64, before: &Before) -> f64 {
    let given: f64 = before.known.iter().map(|(given, _)| given).sum();
    let made: f64 = before.known.iter().map(|(_, made)| made).sum();
    if given <= 0.0 || made <= 0.0 {
        return asked;
    }
    let of =
        |range: std::ops::Range<usize>| before.seconds.get(range).unwrap_or_default().iter().sum::<f64>();
    let (between, left) = (of(before.known.len()..before.index), of(before.index..before.seconds.len()));
    // How much comes of what an encoder is asked for.
    let yields = (made / given).clamp(1.0 / YIELD, YIELD);
    // What is in the making was asked for with less knowledge; it is taken to come out alike.
    let expected = made + asked * between * yields;
    let wanted = (asked * (of(0..before.index) + left) - expected) / left.max(1e-3);
    (wanted / yields).clamp(asked / MOST, asked * MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes `count` segments of ten seconds whose encoder yields what `yields` says, `lag` behind; the
    /// share of what was asked for that comes of it.
    fn run(count: usize, lag: usize, yields: impl Fn(usize) -> f64) -> f64 {
        let seconds = vec![10.0; count];
        let mut all: Vec<(f64, f64)> = Vec::new();
        for index in 0..count {
            let known = &all[..index.saturating_sub(lag)];
            let given = rate(1000.0, &Before { seconds: &seconds, known, index }) * 10.0;
            all.push((given, given * yields(index)));
        }
        all.iter().map(|(_, made)| made).sum::<f64>() / (1000.0 * 10.0 * count as f64)
    }

    #[test]
    fn what_early_segments_fall_short_of_is_made_up_for() {
        assert_eq!(run(3, 3, |_| 0.95), 0.95, "nothing is known yet");
        // Of a few segments, too little is known before it is too late.
        for count in [7, 8, 20] {
            let alike = run(count, 2, |_| 0.95);
            let late = run(count, 2, |n| if n < 2 { 0.9 } else { 1.0 });
            assert!((alike - 1.0).abs() < 0.02 && (late - 1.0).abs() < 0.05, "{count}: {alike} {late}");
        }
        for lag in [2, 3, 9] {
            let alike = run(100, lag, |_| 0.95);
            let unlike = run(100, lag, |n| if n % 2 == 0 { 0.93 } else { 0.98 });
            assert!((alike - 1.0).abs() < 0.01 && (unlike - 1.0).abs() < 0.01, "{lag}: {alike} {unlike}");
        }
    }

    #[test]
    fn a_rate_stays_near_what_was_asked_for() {
        // A black beginning takes almost nothing; the rest is not blown up.
        let whole = run(10, 3, |n| if n < 5 { 0.01 } else { 1.0 });
        assert!(whole < 1.3, "{whole}");
        let seconds = [10.0, 10.0];
        let over = rate(1000.0, &Before { seconds: &seconds, known: &[(1e4, 1e6)], index: 1 });
        assert!(over >= 1000.0 / MOST, "{over}");
    }
}
