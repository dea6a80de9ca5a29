//! How old the picture of a tile may become by what the wall itself decided for its camera. Pure.

use std::time::Duration;

use crate::base::Moment;
use crate::decode::Effort;
use crate::effort::{Decision, Step};

/// Beyond the interval of key frames, what the network and the decoder may take.
const KEY_FRAME_SLACK: Duration = Duration::from_secs(1);
/// A picture that is a key frame counts as live for no longer than this, whatever the camera's GOP.
pub(super) const OLDEST_KEY_FRAME: Duration = Duration::from_secs(12);

/// What is known of a camera's stream, beside what is decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamTiming {
    /// The oldest picture that counts as live where every picture is decoded: as configured, more for a
    /// camera that sends so seldom.
    pub usual: Duration,
    /// From one key frame to the next.
    pub interval: Duration,
    /// When a picture was decoded last.
    pub decoded: Option<Moment>,
}

impl StreamTiming {
    /// Whether a picture of this age is late for others, whose pictures may be as old as `limit`, and not for this
    /// camera: it sends so seldom, or its pictures wait that long on their way, as those of a playlist do.
    pub fn is_late_for_others(&self, age: Duration, limit: Duration) -> bool {
        age > limit && age <= self.usual
    }
}

/// What the decisions make of a late picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// The oldest picture that counts as live.
    pub age: Duration,
    /// Where one is older: it was slowed down, because the machine is overloaded.
    pub slowed: bool,
}

/// What a camera is asked for and since when, and of the decision before what is still in force.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    asked: Option<Asked>,
    since: Moment,
    /// What was allowed before, and until when that may count.
    before: Option<(Allowance, Moment)>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    effort: Effort,
    step: Step,
    refresh: Option<Duration>,
    /// Not every key frame is decoded when it arrives.
    spaced: bool,
}

impl Asked {
    fn allows(&self, since: Duration, known: &StreamTiming) -> Allowance {
        let key_frames = |age: Duration| known.usual.max((age + KEY_FRAME_SLACK).min(OLDEST_KEY_FRAME));
        let age = match self.refresh {
            // It is up to one interval old when its time comes. Where more is asked of the workers than
            // they can do, it may wait as long again.
            Some(refresh) if self.spaced => key_frames(refresh + 2 * known.interval),
            Some(refresh) => key_frames(refresh.max(known.interval) + known.interval),
            // Just called up: shown at once, however old, and followed at the next key frame.
            None if since < known.interval + KEY_FRAME_SLACK => key_frames(2 * known.interval),
            None => known.usual,
        };
        Allowance { age, slowed: self.step >= Step::KeyFrames }
    }
}

impl Pace {
    /// Another decision from now on; the same again changes nothing.
    pub fn decide(&mut self, now: Moment, decision: &Decision, known: impl FnOnce() -> StreamTiming) {
        let asked = Asked {
            effort: decision.effort,
            step: decision.step,
            refresh: decision.refresh,
            spaced: !decision.spacing.is_zero(),
        };
        // Intervals of key frames waver: that alone is no other decision.
        if self.asked.is_none_or(|before| (before.effort, before.step) != (asked.effort, asked.step)) {
            let allowed = self.asked.map(|_| self.allowance(now, &known()));
            self.before = allowed.map(|allowed| (allowed, now + allowed.age));
            self.since = now;
        }
        self.asked = Some(asked);
    }

    /// Its pictures come from another stream from now on.
    pub fn switch(&mut self, now: Moment) {
        self.since = now;
    }

    /// What holds now. A picture that was made by the decision before is judged by that until another
    /// one comes: a tile that is to be refreshed more often is not too old because of it.
    pub fn allowance(&self, now: Moment, known: &StreamTiming) -> Allowance {
        let Some(asked) = self.asked else { return Allowance { age: known.usual, slowed: false } };
        let allowed = asked.allows(now.since(self.since), known);
        let made_before = known.decoded.is_none_or(|at| at <= self.since);
        match self.before {
            Some((before, until)) if made_before && now < until && asked.effort != Effort::Standby => {
                Allowance { age: allowed.age.max(before.age), slowed: allowed.slowed || before.slowed }
            }
            _ => allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment(ms * 1_000_000)
    }

    /// Key frames come every 2 s, and a picture was decoded at `decoded`.
    fn known(decoded: u64) -> StreamTiming {
        StreamTiming {
            usual: Duration::from_secs(2),
            interval: Duration::from_secs(2),
            decoded: Some(at(decoded)),
        }
    }

    fn decision(effort: Effort, step: Step, refresh_ms: u64) -> Decision {
        let refresh = Duration::from_millis(refresh_ms);
        let fewer = matches!(step, Step::FewerKeyFrames(_));
        Decision {
            camera: "cam".into(),
            profile: 0,
            profile_name: "sub".into(),
            effort,
            skip_loop_filter: true,
            spacing: if fewer { refresh } else { Duration::ZERO },
            refresh: (effort == Effort::KeyFrames).then_some(refresh),
            step,
            cost: 0.0,
        }
    }

    fn key_frames(step: Step, refresh_ms: u64) -> Decision {
        decision(Effort::KeyFrames, step, refresh_ms)
    }

    /// Follows decisions, each with its moment, and tells what is allowed at the end.
    fn after(decisions: &[(u64, Decision)], now: u64, decoded: u64) -> (u64, bool) {
        let mut pace = Pace::default();
        for (moment, decision) in decisions {
            pace.decide(at(*moment), decision, || known(decoded));
        }
        let Allowance { age, slowed } = pace.allowance(at(now), &known(decoded));
        (u64::try_from(age.as_millis()).unwrap_or(u64::MAX), slowed)
    }

    #[test]
    fn a_picture_of_a_slow_camera_or_of_a_playlist_is_late_for_others_alone() {
        let limit = Duration::from_secs(2);
        let late = |usual_ms: u64, age_ms: u64| {
            let known = StreamTiming { usual: Duration::from_millis(usual_ms), ..known(0) };
            known.is_late_for_others(Duration::from_millis(age_ms), limit)
        };
        // It waits for up to 6 s here.
        assert!(!late(8_000, 2_000) && late(8_000, 2_001) && late(8_000, 8_000));
        assert!(!late(8_000, 8_001), "late for its own pace too");
        // What lies between reading and handing on makes nobody slow.
        assert!(!late(2_001, 4_000), "a key frame that the wall itself made late");
    }

    #[test]
    fn key_frames_may_be_as_old_as_the_decision_makes_them() {
        let settled = |decision| after(&[(0, decision)], 60_000, 59_000);
        assert_eq!(settled(decision(Effort::Full, Step::AsDeserved, 0)), (2_000, false));
        assert_eq!(settled(key_frames(Step::AsDeserved, 2_000)), (5_000, false));
        assert_eq!(settled(key_frames(Step::KeyFrames, 2_000)), (5_000, true));
        assert_eq!(settled(key_frames(Step::FewerKeyFrames(3), 4_750)), (9_750, true));
        assert_eq!(settled(key_frames(Step::FewerKeyFrames(10), 20_000)), (12_000, true), "the most");
        let called_up = [(0, decision(Effort::Full, Step::AsDeserved, 0))];
        assert_eq!(after(&called_up, 2_999, 0), (5_000, false));
        assert_eq!(after(&called_up, 3_000, 0), (2_000, false));
    }

    #[test]
    fn a_tile_that_is_raised_is_not_too_old_at_once() {
        let slow = key_frames(Step::FewerKeyFrames(5), 10_000);
        let raised = [(0, slow), (60_000, key_frames(Step::AsDeserved, 2_000))];
        // Its picture is of before the decision.
        assert_eq!(after(&raised, 60_001, 52_000), (12_000, true));
        assert_eq!(after(&raised, 71_999, 52_000), (12_000, true));
        assert_eq!(after(&raised, 72_000, 52_000), (5_000, false), "it should have come by now");
        // The first picture after it has come.
        assert_eq!(after(&raised, 61_000, 60_500), (5_000, false));
    }

    #[test]
    fn of_several_decisions_without_a_picture_the_slowest_counts() {
        let decisions = [
            (0, key_frames(Step::FewerKeyFrames(5), 10_000)),
            (60_000, key_frames(Step::FewerKeyFrames(3), 4_750)),
            (61_000, key_frames(Step::FewerKeyFrames(2), 4_000)),
            (62_000, decision(Effort::Full, Step::AsDeserved, 0)),
        ];
        assert_eq!(after(&decisions, 63_000, 52_000), (12_000, true));
        assert_eq!(after(&decisions, 63_000, 62_500), (5_000, false), "called up");
    }

    #[test]
    fn a_wavering_interval_is_no_decision_and_a_pause_takes_hold_at_once() {
        let wavering = [
            (0, key_frames(Step::FewerKeyFrames(5), 10_000)),
            (30_000, key_frames(Step::AsDeserved, 2_000)),
            (60_000, key_frames(Step::AsDeserved, 2_010)),
        ];
        assert_eq!(after(&wavering, 60_001, 20_000), (5_010, false));
        let paused = [
            (0, key_frames(Step::FewerKeyFrames(10), 20_000)),
            (60_000, decision(Effort::Standby, Step::Paused, 0)),
        ];
        assert_eq!(after(&paused, 64_000, 52_000), (2_000, true));
    }
}
