//! An average rate over segments that are encoded side by side: more for those that are harder, and what the
//! earlier ones fell short of, the later ones make up for. Pure.
//!
//! One run of an encoder over the whole keeps its quantiser about the same and so gives more bits to what is
//! harder. Segments know nothing of each other, but the source was encoded once: what it took for a segment,
//! and how coarsely, tells how hard that is (`input/hardness.rs`).
//!
//! A segment is told of those before it, but of the last few (`lag`), which may be in the making: so its
//! bytes depend on the plan alone, not on who was faster.

/// A segment's rate is never further from what was planned for it than by this factor.
const MOST: f64 = 1.15;
/// A segment is planned with at most so many times the rate that was asked for: with what it makes up for, no
/// more than twice as much, for which x264 chooses the level and players their buffers.
const HARDEST: f64 = 1.7;
/// And with no less than this part of it.
const EASIEST: f64 = 0.25;
/// Segments before one that tell what a picture takes.
const NEWEST: usize = 4;
/// The power of how hard a source was that tells the rate of the result: at a lower rate than the source's,
/// noise, which is everywhere, is the first that goes.
const TELLS: f64 = 0.9;
/// And the power, with its factor, that tells what a picture takes: fitted to real footage of seven makes from
/// 0.3 to 4.4 bits a pixel at quantiser zero, which took 0.5 to 2 times what this says.
const TAKES: f64 = 0.75;
const LIKELY: f64 = 0.7;
/// What smaller pictures of the same take, as a power of their part of the pixels: details are nearer to each
/// other.
const SMALLER: f64 = 0.75;

/// A segment, as far as its rate depends on it: how long it lasts, and how hard its source was.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub seconds: f64,
    pub hard: u64,
}

/// Bits that each segment is to have, of `asked` bits a second, from what they are. Where `tells` is false, all have the same rate.
pub fn plan(asked: f64, parts: &[Part], tells: bool) -> Vec<f64> {
    let all: f64 = parts.iter().map(|part| part.seconds).sum();
    let sum: f64 = parts.iter().map(|part| part.hard as f64).sum();
    if !tells || all <= 0.0 || sum <= 0.0 {
        return parts.iter().map(|part| asked * part.seconds).collect();
    }
    let mean = sum / all;
    let hard = |part: &Part| (part.hard as f64 / part.seconds.max(1e-3) / mean).powf(TELLS);
    let mut weights: Vec<f64> = parts.iter().map(hard).collect();
    let to_mean = |weights: &mut [f64]| {
        let sum: f64 = weights.iter().zip(parts).map(|(weight, part)| weight * part.seconds).sum();
        weights.iter_mut().for_each(|weight| *weight *= all / sum);
    };
    // What the bounds take from one goes to the others, whom it may bring to theirs.
    for _ in 0..4 {
        to_mean(&mut weights);
        weights.iter_mut().for_each(|weight| *weight = weight.clamp(EASIEST, HARDEST));
    }
    to_mean(&mut weights);
    weights.iter().zip(parts).map(|(weight, part)| asked * part.seconds * weight).collect()
}

/// What a picture will likely take at quality zero, of so many pixels, from how hard one of the source was and
/// how many pixels that has.
pub fn likely(hard: f64, source_pixels: f64, pixels: f64) -> f64 {
    let (hard, source_pixels) = (hard.max(1.0), source_pixels.max(1.0));
    LIKELY * source_pixels * (hard / source_pixels).powf(TAKES) * (pixels / source_pixels).powf(SMALLER)
}

/// What a picture of a segment took at quality zero, and would likely have taken.
#[derive(Clone, Copy, Debug)]
pub struct PictureCost {
    pub cost: f64,
    pub likely: f64,
}

/// What a picture of a segment will take, of which it will likely be so much: as far from that as in the newest
/// of those before.
pub fn cost(before: impl DoubleEndedIterator<Item = PictureCost>, likely: f64) -> Option<f64> {
    let told = before.rev().filter(|took| took.cost > 0.0 && took.likely > 0.0).take(NEWEST);
    let (sum, count) = told.fold((0.0, 0.0), |(sum, n), t| (sum + t.cost / t.likely, n + 1.0));
    (count > 0.0).then(|| likely * sum / count)
}

/// Bits that a segment is to have, of which `planned` tells what was planned for each, where `made` came of those
/// that are at least `lag` before it. Those between are in the making, and taken to come out as they were asked
/// for.
pub fn bits(planned: &[f64], made: &[f64], lag: usize, index: usize) -> f64 {
    let all: f64 = planned.iter().sum();
    let (mut asked, mut known): (Vec<f64>, usize) = (Vec::new(), 0);
    let (mut came, mut before) = (0.0, 0.0);
    for (at, bits) in planned.iter().enumerate().take(index + 1) {
        while known < at.saturating_sub(lag).min(made.len()) {
            came += made[known];
            known += 1;
        }
        let over = came + asked[known..].iter().sum::<f64>() - before;
        let part: f64 = over / (all - before).max(1e-3);
        asked.push(bits * (1.0 - part).clamp(1.0 / MOST, MOST));
        before += bits;
    }
    asked[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes `count` segments of which `yields` says how much comes of what is asked for, `lag` behind; how
    /// much of what was planned comes of all.
    fn run(count: usize, lag: usize, yields: impl Fn(usize) -> f64) -> f64 {
        let planned = vec![10_000.0; count];
        let mut made: Vec<f64> = Vec::new();
        for index in 0..count {
            let bits = bits(&planned, &made[..index.saturating_sub(lag)], lag, index);
            made.push(bits * yields(index));
        }
        made.iter().sum::<f64>() / (10_000.0 * count as f64)
    }

    #[test]
    fn what_early_segments_fall_short_of_is_made_up_for() {
        assert_eq!(run(3, 3, |_| 0.95), 0.95, "nothing is known yet");
        for count in [7, 8, 20] {
            let late = run(count, 2, |n| if n < 2 { 0.9 } else { 1.0 });
            assert!((late - 1.0).abs() < 0.01, "{count}: {late}");
        }
        for lag in [2, 3, 9] {
            // What comes out too small to the end leaves as much as its last ones lack.
            let alike = run(100, lag, |_| 0.95);
            let unlike = run(100, lag, |n| if n % 2 == 0 { 0.93 } else { 0.98 });
            assert!((alike - 1.0).abs() < 0.02 && (unlike - 1.0).abs() < 0.02, "{lag}: {alike} {unlike}");
        }
    }

    #[test]
    fn a_rate_stays_near_what_was_planned() {
        // A black beginning takes almost nothing; the rest is not blown up.
        let whole = run(10, 3, |n| if n < 5 { 0.01 } else { 1.0 });
        assert!(whole < 1.3, "{whole}");
        assert!(bits(&[1e4, 1e4], &[1e6], 1, 1) >= 1e4 / MOST);
    }

    #[test]
    fn what_a_picture_takes_is_told_by_the_newest_in_proportion() {
        let told = |cost, likely| PictureCost { cost, likely };
        let before =
            [told(9.0, 1.0), told(2.0, 1.0), told(0.0, 1.0), told(4.0, 2.0), told(2.0, 1.0), told(6.0, 3.0)];
        assert_eq!(
            cost(before.into_iter(), 10.0),
            Some(20.0),
            "without the first, and one that tells nothing"
        );
        assert_eq!(cost([].into_iter(), 10.0), None);
    }

    #[test]
    fn what_took_more_in_the_source_has_more() {
        let part = |seconds, hard| Part { seconds, hard };
        let parts = [part(10.0, 1_000_000), part(10.0, 1_500_000), part(5.0, 500_000)];
        let planned = plan(1000.0, &parts, true);
        assert!((planned.iter().sum::<f64>() - 25_000.0).abs() < 1.0, "{planned:?}");
        assert!((planned[1] / planned[0] - 1.5_f64.powf(TELLS)).abs() < 0.01, "{planned:?}");
        assert!((planned[0] / planned[2] - 2.0).abs() < 0.01, "as hard, twice as long: {planned:?}");
        assert_eq!(plan(1000.0, &parts, false), [10_000.0, 10_000.0, 5_000.0]);
        assert_eq!(plan(1000.0, &[part(10.0, 0)], true), [10_000.0]);
    }

    #[test]
    fn no_segment_starves_or_takes_it_all() {
        let mut parts = vec![Part { seconds: 10.0, hard: 1000 }; 30];
        parts[7].hard = 50_000_000;
        parts[8].hard = 0;
        let planned = plan(1000.0, &parts, true);
        assert!(planned.iter().all(|bits| (2_400.0..=17_500.0).contains(bits)), "{planned:?}");
        assert!((planned.iter().sum::<f64>() - 300_000.0).abs() < 1.0, "{planned:?}");
    }
}
