//! What a camera may be given: from what its largest tile deserves down to nothing. Pure.

use std::sync::Arc;
use std::time::Duration;

use super::cost::{CostModel, StreamLoad};
use crate::decode::Effort;
use crate::media::CameraId;

/// How much larger than its picture a tile may be before the next larger profile is worth its cost.
const UPSCALE: f64 = 1.25;
/// From this shrinkage on, in each direction, the loop filter is not missed: 50 dB from the exact
/// picture after 4x, more than 45 after 2x (docs/design/effort.md).
const HIDES_LOOP_FILTER: f64 = 0.5;

/// A camera with no more pictures a second is not worth to be shown by its key frames alone.
const SLOW_FPS: f64 = 1.0;

/// The part of the refresh limit that the last rung within it asks for. What is left is for the wait for
/// a worker and for the screen's next picture: the limit is a promise about what tiles show.
const OF_LIMIT: f64 = 0.95;
/// How many times more rarely than allowed pictures may come, before nothing comes at all.
const BEYOND_LIMIT: [f64; 3] = [2.0, 4.0, 8.0];

/// What the governor may do, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EffortSettings {
    /// Tiles of fewer lines than this are thumbnails: they show key frames. 0: none are.
    pub thumbnail_lines: u32,
    /// The longest time between two pictures of a tile that shows key frames, where the camera's
    /// key frames allow it.
    pub refresh_limit: Duration,
    /// The part of the machine's cores that the wall may fill, 0 to 1.
    pub budget: f64,
    /// The part of that which the wall counts on, whatever other programs take, 0 to 1.
    pub fair_share: f64,
    /// How long a camera keeps a lower effort before it is raised again.
    pub hold: Duration,
}

impl Default for EffortSettings {
    fn default() -> Self {
        EffortSettings {
            thumbnail_lines: 90,
            refresh_limit: Duration::from_secs(5),
            budget: 0.85,
            fair_share: 0.5,
            hold: Duration::from_secs(5),
        }
    }
}

/// A stream that a camera offers.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileLoad {
    /// Its name: `main`, `sub`, …
    pub name: Arc<str>,
    /// What it brings, as it was seen, configured or guessed.
    pub load: StreamLoad,
}

/// One camera, as the governor sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Which camera.
    pub camera: CameraId,
    /// Each size, in pixels, at which it is shown; empty where no tile shows it.
    pub sizes: Vec<(u32, u32)>,
    /// It never degrades.
    pub pinned: bool,
    /// The lowest degrade first.
    pub priority: u8,
    /// Pictures come: what it costs can be measured.
    pub live: bool,
    /// Its streams, the largest first; at least one.
    pub profiles: Vec<ProfileLoad>,
}

impl Wish {
    /// Pixels of its largest tile.
    pub(super) fn area(&self) -> u64 {
        self.sizes.iter().map(|(w, h)| u64::from(*w) * u64::from(*h)).max().unwrap_or_default()
    }
}

/// How far below what its tile deserves a camera is, in the order in which that happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Not at all.
    #[default]
    AsDeserved,
    /// The decoder leaves out the loop filter: hardly visible.
    NoLoopFilter,
    /// A smaller stream of the camera: softer.
    SmallerProfile,
    /// Key frames only: every one of them.
    KeyFrames,
    /// About one in so many key frames.
    FewerKeyFrames(u32),
    /// Nothing is decoded: the tile says so.
    Paused,
}

impl Step {
    /// What the tile says; `None` where it looks as it should.
    pub fn mark(self) -> Option<&'static str> {
        match self {
            Step::AsDeserved | Step::NoLoopFilter => None,
            Step::SmallerProfile => Some("SOFTER"),
            Step::KeyFrames | Step::FewerKeyFrames(_) => Some("SLOWER"),
            Step::Paused => Some("PAUSED"),
        }
    }
}

/// One way to serve a camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rung {
    /// How far it is below what the tile deserves.
    pub step: Step,
    /// Which of the wish's profiles.
    pub profile: usize,
    /// How much is decoded.
    pub effort: Effort,
    /// Whether the decoder leaves out the loop filter.
    pub skip_loop_filter: bool,
    /// The time between two pictures, where they are key frames.
    pub refresh: Option<Duration>,
    /// CPU seconds a second, by the model.
    pub cost: f64,
}

impl Rung {
    /// How long after a key frame the newest one is decoded; zero: each when it arrives.
    pub fn spacing(&self, load: &StreamLoad) -> Duration {
        match (self.step, self.refresh) {
            (Step::FewerKeyFrames(_), Some(refresh)) => {
                // A unit must arrive for it, on average half a picture later.
                refresh.saturating_sub(Duration::from_secs_f64(0.5 / load.fps.max(1.0)))
            }
            _ => Duration::ZERO,
        }
    }

    /// True where pictures come more rarely than the settings allow: kept for moments of overload,
    /// because a late picture is more than none. No layout is admitted on the strength of it.
    pub fn is_beyond(&self, settings: &EffortSettings) -> bool {
        matches!(self.step, Step::FewerKeyFrames(_)) && self.refresh > Some(settings.refresh_limit)
    }
}

/// The rungs of a camera, the dearest first: what its tile deserves, then each cheaper way. Each
/// costs less than the one before. A pinned camera has one rung, and so has one that nobody sees.
pub fn ladder(wish: &Wish, settings: &EffortSettings, model: &CostModel) -> Vec<Rung> {
    let smallest = wish.profiles.len() - 1;
    let spaced = |step, profile: usize, effort, skip_loop_filter, refresh_s: f64| {
        let cost = cost(wish, profile, effort, skip_loop_filter, refresh_s, model);
        let refresh = (effort == Effort::KeyFrames).then(|| Duration::from_secs_f64(refresh_s));
        Rung { step, profile, effort, skip_loop_filter, refresh, cost }
    };
    let rung = |step, profile: usize, effort, skip_loop_filter| {
        let each = wish.profiles[profile].load.key_interval_s.max(0.0);
        spaced(step, profile, effort, skip_loop_filter, each)
    };
    if wish.sizes.is_empty() {
        return vec![rung(Step::AsDeserved, smallest, Effort::Standby, false)];
    }
    let deserved = deserved_profile(wish);
    let lines = wish.sizes.iter().map(|(_, h)| *h).max().unwrap_or_default();
    // Key frames alone of a camera that sends a picture every few seconds would be minutes apart.
    let slow = wish.profiles[deserved].load.fps <= SLOW_FPS;
    let thumbnail = lines < settings.thumbnail_lines && !wish.pinned && !slow;
    let hidden =
        !wish.pinned && wish.sizes.iter().all(|size| scale(wish, deserved, *size) <= HIDES_LOOP_FILTER);
    let first = if thumbnail { Effort::KeyFrames } else { Effort::Full };
    let mut rungs = vec![rung(Step::AsDeserved, deserved, first, hidden)];
    if wish.pinned {
        return rungs;
    }
    if !thumbnail {
        rungs.push(rung(Step::NoLoopFilter, deserved, Effort::Full, true));
        for smaller in deserved + 1..=smallest {
            rungs.push(rung(Step::SmallerProfile, smaller, Effort::Full, true));
        }
        rungs.push(rung(Step::KeyFrames, smallest, Effort::KeyFrames, true));
    }
    let interval = wish.profiles[smallest].load.key_interval_s.max(0.1);
    for (every, refresh_s) in fewer_key_frames(interval, settings.refresh_limit.as_secs_f64()) {
        rungs.push(spaced(Step::FewerKeyFrames(every), smallest, Effort::KeyFrames, true, refresh_s));
    }
    rungs.push(rung(Step::Paused, smallest, Effort::Standby, false));
    rungs.dedup_by(|next, before| next.cost >= before.cost * 0.99);
    rungs
}

/// The ways to take fewer key frames than one every `interval`: about one in how many, and seconds from
/// one to the next. Whole intervals first, then what the limit allows, then what is beyond it.
fn fewer_key_frames(interval: f64, limit: f64) -> Vec<(u32, f64)> {
    // A little less: key frames do not come to the millisecond, and a camera must not change its step
    // because its interval wavers.
    let one_in = |seconds: f64| (0.97 * seconds / interval).ceil() as u32;
    let within = OF_LIMIT * limit;
    let most = one_in(within);
    let whole = (2..most.min(11)).map(|every| (every, f64::from(every) * interval));
    let mut ways: Vec<(u32, f64)> = whole.collect();
    if most > 1 {
        ways.push((most, within));
    }
    for factor in BEYOND_LIMIT {
        let seconds = factor * limit.max(interval);
        let before = ways.last().map_or(1, |(every, _)| *every);
        ways.push((one_in(seconds).max(before + 1), seconds));
    }
    ways
}

/// The smallest profile that no tile of the camera enlarges by much; else the largest.
fn deserved_profile(wish: &Wish) -> usize {
    let suffices = |profile: usize| wish.sizes.iter().all(|size| scale(wish, profile, *size) <= UPSCALE);
    (0..wish.profiles.len()).rev().find(|p| suffices(*p)).unwrap_or(0)
}

/// How much a profile's picture is enlarged in a tile that shows all of it.
fn scale(wish: &Wish, profile: usize, (width, height): (u32, u32)) -> f64 {
    let load = &wish.profiles[profile].load;
    let ratio = |tile: u32, picture: u32| f64::from(tile) / f64::from(picture.max(1));
    ratio(width, load.width).min(ratio(height, load.height))
}

fn cost(
    wish: &Wish,
    profile: usize,
    effort: Effort,
    skip_loop_filter: bool,
    refresh_s: f64,
    model: &CostModel,
) -> f64 {
    let load = &wish.profiles[profile].load;
    let pictures = match effort {
        Effort::Standby => 0.0,
        Effort::KeyFrames => load.keys_taken_per_second(refresh_s),
        Effort::Full => load.fps,
    };
    let fitting: f64 = wish.sizes.iter().map(|size| model.fit((load.width, load.height), *size)).sum();
    model.decode(load, effort, skip_loop_filter, refresh_s) + pictures * fitting
}
