//! How often a camera sends pictures, learned from when they came, and how long it may then be silent. Pure.

use std::time::Duration;

use crate::base::Moment;
use crate::source::Patience;

/// So many gaps are remembered. The longest of them is the camera's own: a camera that falls asleep is
/// known by its first long gap, one that wakes up or had a single hiccup by the next four pictures.
const REMEMBERED: usize = 4;
/// A camera is late after so many of its own gaps …
const LATE: f64 = 2.5;
/// … and given up after so many.
const GIVEN_UP: f64 = 4.0;
/// Nothing counts as a camera's own pace beyond this: an operator must learn of a camera that stopped.
pub const LONGEST: Duration = Duration::from_secs(60);
/// Of the silence that a connection may last, so many times until its first two pictures tell its pace.
const UNTIL_KNOWN: u32 = 6;
/// The most by which silence is doubled.
const DOUBLINGS: u32 = 5;
/// A run that delivered for so long was no short one, and pictures that came for so long without a gap
/// above [`CALM_GAP`] are those of a fast camera.
const LONG_RUN: Duration = Duration::from_secs(60);
const CALM_GAP: Duration = Duration::from_secs(2);
/// How long the longest wait is remembered, at least.
const WAITS_REMEMBERED: Duration = Duration::from_secs(60);
/// How long a stream may send pictures before its first key frame. Reconnecting makes most cameras
/// send one; waiting longer helps none.
const KEY_FRAME_PATIENCE: Duration = Duration::from_secs(60);
/// A slow camera may take so many of its own gaps …
const KEY_FRAME_GAPS: u32 = 60;
/// … and at most so long.
const LONGEST_KEY_FRAME_PATIENCE: Duration = Duration::from_secs(600);

/// When a camera's pictures came, over all its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rhythm {
    gaps: [Duration; REMEMBERED],
    known: usize,
    next: usize,
    /// Of this run.
    last: Option<Moment>,
    /// This run had a gap.
    paced: bool,
    /// From picture to picture, as the camera says.
    told: Option<Duration>,
    /// Runs that were given up for silence, one after the other.
    silences: u32,
    /// Since when no gap was long.
    calm_since: Moment,
    /// The longest time that a unit waited before it came here, in this minute and the one before.
    waits: [Duration; 2],
    waits_since: Moment,
}

/// How long a camera may keep others waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the start of a run to its first unit; more where it is known to be connected.
    pub first: Duration,
    /// Without a unit, until packets count as stopped.
    pub stalled: Duration,
    /// Without a unit, until it is connected anew.
    pub silent: Duration,
    /// From the start of a run to its first key frame.
    pub key_frame: Duration,
}

impl Rhythm {
    /// A unit came.
    pub fn arrived(&mut self, at: Moment) {
        let gap = self.last.map(|last| at.since(last));
        if gap.is_none_or(|gap| gap > CALM_GAP) {
            self.calm_since = at;
        } else if at.since(self.calm_since) >= LONG_RUN {
            self.silences = 0;
        }
        if let Some(last) = self.last.replace(at) {
            self.gaps[self.next] = at.since(last);
            self.next = (self.next + 1) % REMEMBERED;
            self.known = (self.known + 1).min(REMEMBERED);
            self.paced = true;
        }
    }

    /// A unit that came at `at` had waited so long since its bytes arrived: for the rest of a live playlist's
    /// segment, in SRT's buffer, or for the picture after it.
    pub fn waited(&mut self, at: Moment, wait: Duration) {
        if at.since(self.waits_since) >= WAITS_REMEMBERED {
            (self.waits_since, self.waits) = (at, [Duration::ZERO, self.waits[0]]);
        }
        self.waits[0] = self.waits[0].max(wait.min(LONGEST));
    }

    /// The longest recent wait: so much older a picture of this source is, however well it does.
    pub fn longest_wait(&self) -> Duration {
        self.waits[0].max(self.waits[1])
    }

    /// The camera says how far its pictures are apart. Only a slow pace is believed: cameras go on saying
    /// 25 a second when they fall asleep.
    pub fn told(&mut self, interval: Option<Duration>) {
        self.told = interval;
    }

    /// Another connection: the gap to it is not the camera's.
    pub fn begin_run(&mut self) {
        (self.last, self.paced) = (None, false);
    }

    /// A run is over that delivered for so long. Where it was given up for `silence`, the next may be silent
    /// for twice as long: connecting anew did not help, so the camera may be slower than was thought.
    pub fn end_run(&mut self, delivered: Duration, silence: bool) {
        let before = if delivered >= LONG_RUN { 0 } else { self.silences };
        self.silences = if silence { (before + 1).min(DOUBLINGS) } else { 0 };
    }

    /// The longest of its last gaps; `None` before any is known.
    pub fn interval(&self) -> Option<Duration> {
        self.gaps[..self.known].iter().max().copied()
    }

    /// How long its newest picture counts as its newest by its own pace.
    pub fn tolerance(&self, patience: Patience) -> Duration {
        match self.interval() {
            Some(interval) => interval.mul_f64(LATE).min(LONGEST),
            None => self.until_known(patience),
        }
    }

    /// The limits of the run that is under way.
    pub fn limits(&self, patience: Patience) -> Limits {
        let most = LONGEST.max(patience.silence);
        let doubled = |limit: Duration| limit.saturating_mul(1 << self.silences).min(LONGEST).max(limit);
        let interval = self.interval().or(self.told).unwrap_or_default();
        // After a silence what was learned before it is in doubt, until this run has a gap of its own.
        let doubtful = self.silences > 0 && !self.paced;
        let (stalled, silent) = match self.interval().filter(|_| !doubtful) {
            Some(own) => (own.mul_f64(LATE).min(most), own.mul_f64(GIVEN_UP).min(most)),
            None => (self.until_known(patience), self.until_known(patience)),
        };
        Limits {
            first: doubled(patience.connect).max(interval.mul_f64(LATE).min(LONGEST)),
            stalled: (patience.silence / 2).max(stalled),
            silent: doubled(patience.silence).max(silent),
            key_frame: KEY_FRAME_PATIENCE
                .max(interval.saturating_mul(KEY_FRAME_GAPS).min(LONGEST_KEY_FRAME_PATIENCE)),
        }
    }

    fn until_known(&self, patience: Patience) -> Duration {
        let told = self.told.unwrap_or_default().mul_f64(LATE);
        patience.silence.saturating_mul(UNTIL_KNOWN).max(told).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { connect: Duration::from_secs(10), silence: Duration::from_secs(5) };

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    #[test]
    fn what_waits_for_a_segment_is_older_without_being_late() {
        let mut rhythm = Rhythm::default();
        // Segments of 6 s, handed on picture by picture.
        for n in 0..3000_u64 {
            let at = Moment(n * 40_000_000);
            rhythm.arrived(at);
            rhythm.waited(at, Duration::from_millis(n % 150 * 40));
        }
        assert_eq!(rhythm.longest_wait(), Duration::from_millis(149 * 40));
        assert!(rhythm.tolerance(PATIENCE) < Duration::from_secs(1), "its pace is that of its pictures");
        for n in 3000..7000_u64 {
            rhythm.waited(Moment(n * 40_000_000), Duration::ZERO);
        }
        assert_eq!(rhythm.longest_wait(), Duration::ZERO, "forgotten after two minutes");
    }

    /// A camera that sent a picture after each of these gaps.
    fn after(gaps: impl IntoIterator<Item = f64>) -> Rhythm {
        let mut rhythm = Rhythm::default();
        let mut now = Moment(1_000_000_000);
        rhythm.arrived(now);
        for gap in gaps {
            now = now + seconds(gap);
            rhythm.arrived(now);
        }
        rhythm
    }

    fn limits(rhythm: &Rhythm) -> (f64, f64) {
        let Limits { stalled, silent, .. } = rhythm.limits(PATIENCE);
        (stalled.as_secs_f64(), silent.as_secs_f64())
    }

    #[test]
    fn limits_scale_with_the_camera() {
        assert_eq!(limits(&after([0.04; 9])), (2.5, 5.0), "as configured");
        assert_eq!(limits(&after([1.0; 9])), (2.5, 5.0));
        assert_eq!(limits(&after([2.5])), (6.25, 10.0), "0.4 a second, known by one gap");
        assert_eq!(limits(&after([7.0, 6.5, 6.75])), (17.5, 28.0));
        assert_eq!(limits(&after([20.0])), (50.0, 60.0), "0.05 a second");
        assert_eq!(limits(&after([300.0])), (60.0, 60.0), "the most");
        assert_eq!(limits(&Rhythm::default()), (30.0, 30.0), "not known yet");
        let tolerance = |rhythm: Rhythm| rhythm.tolerance(PATIENCE).as_secs_f64();
        assert_eq!(tolerance(after([0.04; 9])), 0.1);
        assert_eq!(tolerance(after([6.0])), 15.0);
        assert_eq!(tolerance(after([90.0])), 60.0);
        assert_eq!(tolerance(after([])), 30.0);
    }

    #[test]
    fn a_camera_that_falls_asleep_and_wakes_up_is_followed() {
        let day = [0.04; 100];
        let night = [5.0; 3];
        assert_eq!(limits(&after(day)), (2.5, 5.0));
        assert_eq!(limits(&after(day.into_iter().chain(night))), (12.5, 20.0));
        let again = after(day.into_iter().chain(night).chain([0.04; 3]));
        assert_eq!(limits(&again), (12.5, 20.0), "pictures in pairs and threes are slow too");
        let again = after(day.into_iter().chain(night).chain([0.04; 4]));
        assert_eq!(limits(&again), (2.5, 5.0));
    }

    #[test]
    fn the_gap_between_two_runs_is_not_the_cameras_and_what_was_learned_stays() {
        let mut rhythm = after([7.0; 3]);
        rhythm.end_run(seconds(21.0), false);
        rhythm.begin_run();
        assert_eq!(limits(&rhythm), (17.5, 28.0));
        rhythm.arrived(Moment(900_000_000_000));
        assert_eq!(rhythm.interval(), Some(seconds(7.0)));
    }

    #[test]
    fn silence_after_silence_makes_patient() {
        // What it keeps for who connects comes at once, then nothing for a while: a fast camera, it seems.
        let mut rhythm = after([0.001; 8]);
        let mut granted = Vec::new();
        for _ in 0..6 {
            rhythm.end_run(seconds(0.1), true);
            rhythm.begin_run();
            assert_eq!(limits(&rhythm).0, 30.0, "its first gap may be long");
            for at in 0..8 {
                rhythm.arrived(Moment(at * 1_000_000));
            }
            granted.push(limits(&rhythm).1);
        }
        assert_eq!(granted, [10.0, 20.0, 40.0, 60.0, 60.0, 60.0]);
        rhythm.end_run(seconds(3600.0), true);
        assert_eq!(limits(&rhythm).1, 10.0, "a run that went well is no sign of slowness");
        rhythm.end_run(seconds(1.0), false);
        rhythm.begin_run();
        assert_eq!(limits(&rhythm), (2.5, 5.0));
        // A minute of a fast camera ends the doubt, too.
        rhythm.end_run(seconds(1.0), true);
        rhythm.begin_run();
        (0..59).for_each(|second| rhythm.arrived(Moment(second * 1_000_000_000)));
        assert_eq!(limits(&rhythm).1, 10.0);
        (59..=60).for_each(|second| rhythm.arrived(Moment(second * 1_000_000_000)));
        assert_eq!(limits(&rhythm).1, 5.0);
    }

    #[test]
    fn a_first_picture_and_a_key_frame_may_take_as_long_as_the_camera_is_slow() {
        let first = |rhythm: &Rhythm| rhythm.limits(PATIENCE).first.as_secs_f64();
        let key_frame = |rhythm: &Rhythm| rhythm.limits(PATIENCE).key_frame.as_secs_f64();
        let mut new = Rhythm::default();
        assert_eq!((first(&new), key_frame(&new)), (10.0, 60.0));
        new.end_run(Duration::ZERO, true);
        assert_eq!(first(&new), 20.0, "it was connected and sent nothing: it may be slow");
        assert_eq!((first(&after([20.0])), key_frame(&after([20.0]))), (50.0, 600.0));
        assert_eq!((first(&after([2.5])), key_frame(&after([2.5]))), (10.0, 150.0));
        let mut told = Rhythm::default();
        told.told(Some(seconds(16.0)));
        assert_eq!(limits(&told), (40.0, 40.0));
        told.told(Some(seconds(0.04)));
        assert_eq!(limits(&told), (30.0, 30.0), "it may be asleep");
    }

    #[test]
    fn a_limit_that_was_set_higher_stays() {
        let patience = Patience { silence: Duration::from_secs(120), ..PATIENCE };
        for rhythm in [Rhythm::default(), after([0.04; 4]), after([20.0])] {
            let limits = rhythm.limits(patience);
            assert!(limits.silent == seconds(120.0) && limits.stalled == seconds(60.0), "{limits:?}");
        }
    }
}
