//! Steers x264 at constant quality to an average rate, picture by picture. Pure.
//!
//! x264's own control of an average rate begins with a guess, and each segment would begin with it anew: two
//! seconds of pictures that are three decibels worse, and the rest too good to make up for them. This one
//! knows what pictures took in the segments before.

/// Pictures' worth of what is known of segments before.
const KNOWN: f64 = 100.0;
/// Of what the source's quantisers say: who coded it may have taken more pains, or less.
const SAID: f64 = 10.0;
/// And of the guess where nothing is known, which may be ten times too high.
const GUESSED: f64 = 1.0;
/// Seconds after which what a picture took counts for little: scenes change.
const MEMORY_S: f64 = 5.0;
/// How much of what follows a segment may pay for its error, or win by it: its end is not to starve because
/// its beginning was easier.
const BEYOND: f64 = 0.1;
/// In seconds: also the job's last segment, which has nothing behind it, has a soft end.
const LEAST_BEYOND_S: f64 = 1.0;
const MOST_BEYOND_S: f64 = 8.0;
/// The quality changes by no more from one picture to the next.
const STEP: f64 = 1.0;
/// No better than this: zero would be without loss.
pub const BEST: f64 = 1.0;
const WORST: f64 = 51.0;
/// Six steps of the quantiser halve what a picture takes, about: x264's own model.
const HALVES: f64 = 6.0;
/// How much coarser x264 is at constant quality with its macroblock tree than the quality's number says:
/// 13.5 (1 - qcomp), qcomp being 0.6.
const TREE: f64 = 5.4;

/// What a segment is to become.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// Of all its pictures.
    pub bits: f64,
    pub pictures: u64,
    /// Pictures a second, about.
    pub rate: f64,
    /// Seconds that follow it in the job.
    pub after_s: f64,
    /// Pictures from one key frame to the next.
    pub gop: f64,
    /// Bits of a picture at quality zero, where segments before tell, or the source does.
    pub cost: Cost,
    /// Pixels of a picture.
    pub pixels: f64,
    /// x264 has its macroblock tree.
    pub tree: bool,
}

/// Bits of a picture at quality zero, and who says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cost {
    /// Segments before.
    Known(f64),
    /// The quantisers of the source.
    Said(f64),
    Unknown,
}

/// A segment under way.
#[derive(Clone, Debug)]
pub struct Steering {
    course: Course,
    prior: f64,
    weight: f64,
    /// Pictures, key frames among them, and what both would take at quality zero; all fade.
    pictures: f64,
    keys: f64,
    key_cost: f64,
    other_cost: f64,
    /// These do not.
    made: u64,
    bits: f64,
    cost: f64,
    key_frames: u64,
    /// Pictures before the newest key frame.
    before_key: u64,
    last: Option<f64>,
}

impl Steering {
    pub fn new(course: Course) -> Steering {
        let mean = course.mean();
        let (prior, weight) = match course.cost {
            Cost::Known(cost) => (cost, KNOWN),
            Cost::Said(cost) => (cost, SAID),
            Cost::Unknown => (mean * at_zero(guess(mean, &course)), GUESSED),
        };
        let zero = 0.0;
        Steering {
            course,
            prior,
            weight,
            pictures: zero,
            keys: zero,
            key_cost: zero,
            other_cost: zero,
            made: 0,
            bits: zero,
            cost: zero,
            key_frames: 0,
            before_key: 0,
            last: None,
        }
    }

    /// The constant quality for the next picture: what is left of the bits, spread over what is left of the
    /// pictures.
    pub fn quality(&mut self) -> f64 {
        let Course { bits, pictures, rate, after_s, gop, .. } = self.course;
        let mean = self.course.mean();
        let beyond = (after_s * BEYOND).clamp(LEAST_BEYOND_S, MOST_BEYOND_S) * rate;
        let left = pictures.saturating_sub(self.made) as f64 + beyond;
        let bits_left = (bits - self.bits + beyond * mean).max(0.1 * mean * left);
        // Where the scene changes, key frames come oftener.
        let gop = match self.key_frames {
            0 | 1 => gop,
            seen => gop.min(self.before_key as f64 / (seen - 1) as f64),
        };
        // The first key frame is paid for by all pictures until the next.
        let paid = if self.keys > 0.0 { (self.pictures / (gop * self.keys)).min(1.0) } else { 0.0 };
        let cost = self.weight * self.prior + self.other_cost + self.key_cost * paid;
        let cost = cost / (self.weight + self.pictures);
        let wanted = (HALVES * (cost * left / bits_left).max(1e-9).log2()).clamp(BEST, WORST);
        let near = self.last.map_or(wanted, |last| wanted.clamp(last - STEP, last + STEP));
        self.last = Some(near);
        // x264 is told only of a change that can be seen.
        (near * 16.0).round() / 16.0
    }

    /// A picture came out, made at such a quality.
    pub fn note(&mut self, bytes: usize, key: bool, quality: f64) {
        let bits = bytes as f64 * 8.0;
        let cost = bits * at_zero(quality);
        self.made += 1;
        self.bits += bits;
        self.cost += cost;
        let fades = 1.0 - 1.0 / (MEMORY_S * self.course.rate).max(2.0);
        for faded in
            [&mut self.weight, &mut self.pictures, &mut self.keys, &mut self.key_cost, &mut self.other_cost]
        {
            *faded *= fades;
        }
        self.pictures += 1.0;
        if key {
            self.key_frames += 1;
            self.before_key = self.made - 1;
            self.keys += 1.0;
            self.key_cost += cost;
        } else {
            self.other_cost += cost;
        }
    }

    /// Bits that a picture took on average, as if all had been made at quality zero.
    pub fn cost(&self) -> f64 {
        self.cost / self.made.max(1) as f64
    }
}

impl Course {
    /// Bits of a picture.
    fn mean(&self) -> f64 {
        self.bits / self.pictures.max(1) as f64
    }
}

/// By how much more a picture takes at quality, or quantiser, zero.
pub fn at_zero(quality: f64) -> f64 {
    (quality / HALVES).exp2()
}

/// The quality that x264's average rate begins with (`cplxr_sum` and `wanted_bits_window` in its ratecontrol.c,
/// with the macroblock tree), as a constant quality.
fn guess(mean: f64, course: &Course) -> f64 {
    let scale = 0.01 * 7e5 * (course.pixels / 256.0).max(1.0).sqrt() / mean.max(1.0);
    // qscale2qp.
    let coarser = if course.tree { TREE } else { 0.0 };
    (12.0 + 6.0 * (scale / 0.85).log2() - coarser).clamp(BEST, WORST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(pictures: u64, cost: Option<f64>) -> Course {
        let cost = cost.map_or(Cost::Unknown, Cost::Known);
        let bits = 160_000.0 * pictures as f64;
        Course { bits, pictures, rate: 25.0, after_s: 0.0, gop: 250.0, cost, pixels: 2_073_600.0, tree: true }
    }

    /// Makes all pictures; a key frame takes eight times what `hard` says of the others at quality zero. How
    /// much of what was planned they took, and the quality of each.
    fn run(course: Course, hard: impl Fn(u64) -> f64) -> (f64, Vec<f64>, f64) {
        let Course { bits, pictures, .. } = course;
        let mut steering = Steering::new(course);
        let mut qualities = Vec::new();
        for picture in 0..pictures {
            let key = picture % 250 == 0;
            let quality = steering.quality();
            let bits = hard(picture) * if key { 8.0 } else { 1.0 } / at_zero(quality);
            steering.note((bits / 8.0) as usize, key, quality);
            qualities.push(quality);
        }
        (steering.bits / bits, qualities, steering.cost())
    }

    fn spread(qualities: &[f64]) -> f64 {
        let most = qualities.iter().fold(f64::MIN, |a, b| a.max(*b));
        most - qualities.iter().fold(f64::MAX, |a, b| a.min(*b))
    }

    #[test]
    fn it_comes_to_its_rate() {
        for (pictures, hard) in [(200, 2e6), (200, 5e5), (500, 8e6), (100, 2e6), (1500, 1e6)] {
            let (share, ..) = run(course(pictures, None), |_| hard);
            assert!((share - 1.0).abs() < 0.06, "{pictures} {hard}: {share}");
            let (share, ..) = run(course(pictures, Some(hard * 1.3)), |_| hard);
            assert!((share - 1.0).abs() < 0.06, "{pictures} {hard}, nearly known: {share}");
            let changes = |n: u64| if n < pictures / 2 { hard } else { hard * 3.0 };
            let (share, ..) = run(course(pictures, None), changes);
            assert!((share - 1.0).abs() < 0.15, "{pictures} {hard}, another scene: {share}");
        }
    }

    #[test]
    fn what_is_known_is_steady_from_the_first_picture() {
        let (_, _, cost) = run(course(250, None), |_| 2e6);
        assert!((cost / (2e6 * (1.0 + 7.0 / 250.0)) - 1.0).abs() < 0.01, "{cost}");
        let (share, qualities, _) = run(course(250, Some(cost)), |_| 2e6);
        assert!(spread(&qualities) < 0.6, "{qualities:?}");
        assert!((share - 1.0).abs() < 0.03, "{share}");
    }

    #[test]
    fn scene_cuts_are_paid_for() {
        let course = course(500, Some(2e6));
        let mut steering = Steering::new(course);
        for picture in 0..500 {
            let key = picture % 50 == 0;
            let quality = steering.quality();
            let bits = 2e6 * if key { 20.0 } else { 1.0 } / at_zero(quality);
            steering.note((bits / 8.0) as usize, key, quality);
        }
        assert!((steering.bits / course.bits - 1.0).abs() < 0.03, "{}", steering.bits / course.bits);
    }

    #[test]
    fn nothing_that_moves_takes_no_more_than_the_best() {
        let (share, qualities, _) = run(course(300, None), |_| 100.0);
        assert!(share < 0.1, "{share}");
        assert!(qualities.iter().all(|q| (BEST..=WORST).contains(q)), "{qualities:?}");
        assert_eq!(qualities.last(), Some(&BEST));
    }

    #[test]
    fn quality_goes_step_by_step() {
        let (_, qualities, _) = run(course(500, None), |n| if n < 250 { 1e5 } else { 1e8 });
        let jumps = qualities.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f64::max);
        assert!(jumps <= STEP + 1.0 / 16.0, "{jumps}");
    }
}
