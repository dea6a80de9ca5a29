//! How the samples along one axis of an output plane are made from those of the input.

use std::ops::Range;

/// How one axis is made. Weights are in 65536ths; those of one output sample add up to one.
#[derive(Debug, PartialEq)]
pub(super) enum Axis {
    /// Output sample `i` is input sample `first + i`.
    Copy { first: usize },
    /// Output sample `i` is the mean of `k` input samples from `first + k * i`.
    Box { first: usize, k: usize },
    /// Output sample `i` is the weighted sum of `taps` input samples from `starts[i]`.
    Weighted { taps: usize, starts: Vec<u32>, weights: Vec<u32> },
}

/// Where an axis takes its samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// Samples the input has.
    pub input: usize,
    /// The interval of the input that is shown, in input samples.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// Output samples that the interval becomes.
    pub output: usize,
}

/// One, in the fixed point of the weights.
const ONE: u32 = 1 << 16;
/// Above this many samples a mean is taken with weights: the integer kernels count in 16 bits.
const LARGEST_BOX: usize = 32;

impl Axis {
    /// The output samples in `wanted`, of all that `stretch` makes: area average where there are
    /// more input samples than output samples, linear interpolation where there are fewer. What
    /// an output sample is does not depend on `wanted`, so that adjacent parts join without a seam.
    pub fn new(stretch: Stretch, wanted: Range<usize>) -> Axis {
        let scale = (stretch.to - stretch.from) / stretch.output as f64;
        let k = scale.round();
        let whole = stretch.from.fract() == 0.0 && (scale - k).abs() < 1e-9 && k >= 1.0;
        let last = stretch.from + k * stretch.output as f64;
        if whole && last <= stretch.input as f64 && k <= LARGEST_BOX as f64 {
            let (first, k) = (stretch.from as usize, k as usize);
            let first = first + wanted.start * k;
            return if k == 1 { Axis::Copy { first } } else { Axis::Box { first, k } };
        }
        if scale > 1.0 { Axis::area(stretch, scale, wanted) } else { Axis::linear(stretch, scale, wanted) }
    }

    fn area(stretch: Stretch, scale: f64, wanted: Range<usize>) -> Axis {
        let n = stretch.input;
        // One more than a footprint of this length can touch, and one for its rounding.
        let taps = (scale.ceil() as usize + 1).min(n);
        let (mut starts, mut weights) = (Vec::new(), Vec::new());
        for i in wanted {
            let from = (stretch.from + i as f64 * scale).clamp(0.0, n as f64);
            let to = (stretch.from + (i + 1) as f64 * scale).clamp(0.0, n as f64);
            let start = (from.floor() as usize).min(n - taps);
            starts.push(start as u32);
            let share = |edge: f64| ((edge - from) / (to - from)).clamp(0.0, 1.0) * f64::from(ONE);
            // Differences of rounded sums: each is right to half a unit, and they add up to one.
            let mut before = 0;
            for tap in 0..taps {
                let until =
                    if tap + 1 == taps { ONE } else { share((start + tap + 1) as f64).round() as u32 };
                weights.push(until - before);
                before = until;
            }
        }
        Axis::Weighted { taps, starts, weights }
    }

    fn linear(stretch: Stretch, scale: f64, wanted: Range<usize>) -> Axis {
        let n = stretch.input;
        if n == 1 {
            let outputs = wanted.len();
            return Axis::Weighted { taps: 1, starts: vec![0; outputs], weights: vec![ONE; outputs] };
        }
        let (mut starts, mut weights) = (Vec::new(), Vec::new());
        for i in wanted {
            let at = (stretch.from + (i as f64 + 0.5) * scale - 0.5).clamp(0.0, (n - 1) as f64);
            let start = (at.floor() as usize).min(n - 2);
            let second = ((at - start as f64) * f64::from(ONE)).round() as u32;
            starts.push(start as u32);
            weights.extend([ONE - second, second]);
        }
        Axis::Weighted { taps: 2, starts, weights }
    }

    /// The same axis in weights, for `outputs` samples.
    pub fn into_weighted(self, outputs: usize) -> Axis {
        let (first, k) = match self {
            Axis::Copy { first } => (first, 1),
            Axis::Box { first, k } => (first, k),
            weighted => return weighted,
        };
        let edge = |tap: usize| (ONE as usize * tap + k / 2) / k;
        let one: Vec<u32> = (0..k).map(|tap| (edge(tap + 1) - edge(tap)) as u32).collect();
        Axis::Weighted {
            taps: k,
            starts: (0..outputs).map(|i| (first + k * i) as u32).collect(),
            weights: one.repeat(outputs),
        }
    }

    /// Input samples that output sample `i` is made of: the first, and how many.
    #[cfg(test)]
    pub fn footprint(&self, i: usize) -> (usize, usize) {
        match self {
            Axis::Copy { first } => (first + i, 1),
            Axis::Box { first, k } => (first + k * i, *k),
            Axis::Weighted { taps, starts, .. } => (starts[i] as usize, *taps),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(input: usize, from: f64, to: f64, output: usize) -> Axis {
        Axis::new(Stretch { input, from, to, output }, 0..output)
    }

    #[test]
    fn whole_factors_need_no_weights() {
        assert_eq!(axis(8, 0.0, 8.0, 8), Axis::Copy { first: 0 });
        assert_eq!(axis(8, 2.0, 6.0, 2), Axis::Box { first: 2, k: 2 });
        assert!(matches!(axis(9, 0.5, 8.5, 4), Axis::Weighted { .. }));
    }

    #[test]
    fn weights_are_shares_of_the_area() {
        let three_to_two =
            Axis::Weighted { taps: 3, starts: vec![0, 0], weights: vec![43691, 21845, 0, 0, 21845, 43691] };
        assert_eq!(axis(3, 0.0, 3.0, 2), three_to_two);
    }

    #[test]
    fn weights_always_add_up_and_stay_inside() {
        for input in [1, 2, 3, 5, 17, 640, 1921] {
            for output in [1, 2, 3, 7, 100, 641, 3000] {
                for (from, to) in [(0.0, input as f64), (0.25, input as f64 - 0.5)] {
                    if to <= from {
                        continue;
                    }
                    let axis = axis(input, from, to, output);
                    for i in 0..output {
                        let (start, taps) = axis.footprint(i);
                        assert!(start + taps <= input, "{input} to {output}: {start} + {taps}");
                    }
                    if let Axis::Weighted { taps, weights, .. } = axis {
                        assert!(weights.chunks(taps).all(|w| w.iter().sum::<u32>() == ONE));
                    }
                }
            }
        }
    }

    #[test]
    fn a_part_has_the_weights_of_the_whole() {
        let stretch = Stretch { input: 1000, from: 3.0, to: 997.0, output: 640 };
        let Axis::Weighted { weights: all, taps, .. } = Axis::new(stretch, 0..640) else { panic!() };
        let Axis::Weighted { weights: part, .. } = Axis::new(stretch, 320..640) else { panic!() };
        assert_eq!(all[320 * taps..], part);
    }
}
