//! Whether what a tile would show is live, and if not, what is wrong (invariant 2). Pure.

use std::time::Duration;

use crate::base::Moment;
use crate::composite::TileStatus;
use crate::ingest::SourceState;

/// When a picture is too old, and when it has been the same for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivenessLimits {
    /// The oldest picture that counts as live.
    pub age: Duration,
    /// How long a picture may stay unchanged; `None` for cameras that show still scenes.
    pub freeze: Option<Duration>,
}

impl Default for LivenessLimits {
    fn default() -> Self {
        LivenessLimits { age: Duration::from_secs(2), freeze: Some(Duration::from_secs(10)) }
    }
}

/// What is known of one camera at a tick.
#[derive(Clone, Debug)]
pub struct Signs<'a> {
    /// How the connection stands.
    pub connection: &'a SourceState,
    /// When the newest access unit arrived.
    pub last_unit: Option<Moment>,
    /// Why pictures cannot be decoded, while that is so.
    pub decode_error: Option<&'a str>,
    /// When the picture that would be shown arrived.
    pub picture: Option<Moment>,
    /// When the picture last differed from the one before.
    pub last_change: Option<Moment>,
    /// Nothing is decoded on purpose: the machine is overloaded.
    pub paused: bool,
    /// Pictures are decoded more rarely than the tile deserves: the machine is overloaded.
    pub slowed: bool,
}

/// Tells the faults apart: no connection, packets stopped, decoding stopped, picture unchanged, and a
/// picture that is late because the wall slowed it down, which is no fault of the camera.
pub fn judge(now: Moment, signs: &Signs<'_>, limits: &LivenessLimits) -> TileStatus {
    if let SourceState::Refused { reason } = signs.connection {
        return TileStatus::Refused(reason.as_str().into());
    }
    let fresh = |at: Option<Moment>| at.is_some_and(|at| now.since(at) <= limits.age);
    if fresh(signs.picture) {
        let unchanged = |limit| signs.last_change.is_some_and(|at| now.since(at) > limit);
        return if limits.freeze.is_some_and(unchanged) { TileStatus::Frozen } else { TileStatus::Live };
    }
    if let SourceState::Offline { reason, .. } = signs.connection {
        return TileStatus::Offline(reason.as_str().into());
    }
    if fresh(signs.last_unit) {
        if signs.paused {
            return TileStatus::Standby;
        }
        if let Some(reason) = signs.decode_error {
            return TileStatus::Undecodable(reason.into());
        }
        if signs.picture.is_some() && signs.slowed {
            return TileStatus::Delayed;
        }
        if signs.picture.is_some() {
            return TileStatus::Undecodable("data arrives, but no picture comes of it".into());
        }
        return TileStatus::Waiting;
    }
    match (signs.connection, signs.picture.or(signs.last_unit)) {
        (SourceState::Standby, _) => TileStatus::Standby,
        (_, Some(_)) => TileStatus::Stalled,
        (_, None) => TileStatus::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment(ms * 1_000_000)
    }

    fn signs(connection: &SourceState) -> Signs<'_> {
        Signs {
            connection,
            last_unit: None,
            decode_error: None,
            picture: None,
            last_change: None,
            paused: false,
            slowed: false,
        }
    }

    #[test]
    fn three_faults_are_told_apart() {
        let limits = LivenessLimits::default();
        let live = SourceState::Live;
        let now = at(60_000);
        let healthy = Signs {
            last_unit: Some(at(59_950)),
            picture: Some(at(59_950)),
            last_change: Some(at(59_900)),
            ..signs(&live)
        };
        assert_eq!(judge(now, &healthy, &limits), TileStatus::Live);

        let packets_stopped =
            Signs { last_unit: Some(at(57_000)), picture: Some(at(57_000)), ..healthy.clone() };
        assert_eq!(judge(now, &packets_stopped, &limits), TileStatus::Stalled);

        let decoding_stopped =
            Signs { picture: Some(at(57_000)), decode_error: Some("damaged"), ..healthy.clone() };
        assert_eq!(judge(now, &decoding_stopped, &limits), TileStatus::Undecodable("damaged".into()));

        let paused = Signs { picture: Some(at(57_000)), paused: true, ..healthy.clone() };
        assert_eq!(judge(now, &paused, &limits), TileStatus::Standby);

        let slowed = Signs { picture: Some(at(57_000)), slowed: true, ..healthy.clone() };
        assert_eq!(judge(now, &slowed, &limits), TileStatus::Delayed, "it is not the camera's fault");
        let damaged = Signs { decode_error: Some("damaged"), ..slowed.clone() };
        assert_eq!(judge(now, &damaged, &limits), TileStatus::Undecodable("damaged".into()));
        assert_eq!(judge(now, &Signs { picture: None, ..slowed }, &limits), TileStatus::Waiting);

        let unchanged = Signs { last_change: Some(at(49_000)), ..healthy.clone() };
        assert_eq!(judge(now, &unchanged, &limits), TileStatus::Frozen);
        let still_scene = LivenessLimits { freeze: None, ..limits };
        assert_eq!(judge(now, &unchanged, &still_scene), TileStatus::Live);
    }

    /// What a tile of a camera says whose pictures come at these milliseconds, and from when on, until `end`.
    fn told(times: impl IntoIterator<Item = u64>, end: u64) -> Vec<(u64, TileStatus)> {
        let (live, limits, patience) =
            (SourceState::Live, LivenessLimits::default(), crate::source::Patience::default());
        let mut rhythm = crate::ingest::rhythm::Rhythm::default();
        let mut times = times.into_iter().peekable();
        let (mut picture, mut news) = (None, Vec::new());
        for now in (0..end).step_by(40) {
            while let Some(time) = times.next_if(|time| *time <= now) {
                rhythm.arrived(at(time));
                picture = Some(at(time));
            }
            let signs = Signs { last_unit: picture, picture, last_change: picture, ..signs(&live) };
            let age = limits.age.max(rhythm.tolerance(patience));
            // As long as it is awaited, it has not stayed the same.
            let freeze = limits.freeze.map(|freeze| freeze.max(age));
            let status = judge(at(now), &signs, &LivenessLimits { age, freeze });
            if news.last().is_none_or(|(_, before)| *before != status) {
                news.push((now, status));
            }
        }
        news
    }

    #[test]
    fn a_slow_camera_is_live_and_one_that_stops_is_noticed() {
        for (interval, noticed) in
            [(40, 2_000), (1_000, 2_500), (2_500, 6_250), (6_667, 16_667), (20_000, 50_000)]
        {
            let times = (0..20).map(|n| n * interval);
            let news = told(times, 20 * interval + 100_000);
            let after = news.get(1).map(|(at, _)| at - 19 * interval);
            assert_eq!(news[0], (0, TileStatus::Live));
            assert!(news.len() == 2 && news[1].1 == TileStatus::Stalled, "{interval}: {news:?}");
            assert!(after.is_some_and(|ms| ms > noticed && ms <= noticed + 80), "{interval}: {after:?}");
        }
        let once = told([0], 100_000);
        assert_eq!(once[1], (30_040, TileStatus::Stalled), "a camera whose pace nobody knows");
    }

    #[test]
    fn a_camera_that_falls_asleep_is_noticed_once_and_one_that_wakes_up_is_fast_again() {
        let day = (0..500).map(|n| n * 40);
        let night = (1..=20).map(|n| 20_000 + n * 5_000);
        let morning = (1..=500).map(|n| 120_000 + n * 40);
        let news = told(day.chain(night).chain(morning), 150_000);
        let kinds: Vec<_> = news.iter().map(|(at, status)| (*at / 1000, status.clone())).collect();
        use TileStatus::{Live, Stalled};
        assert_eq!(kinds, [(0, Live), (22, Stalled), (25, Live), (142, Stalled)]);
    }

    #[test]
    fn the_age_limit_is_the_last_moment_that_counts_as_live() {
        let limits = LivenessLimits::default();
        let live = SourceState::Live;
        let picture = |ms| Signs { picture: Some(at(ms)), last_change: Some(at(ms)), ..signs(&live) };
        assert_eq!(judge(at(3_000), &picture(1_000), &limits), TileStatus::Live);
        assert_eq!(judge(Moment(3_000_000_001), &picture(1_000), &limits), TileStatus::Stalled);
    }

    #[test]
    fn without_any_picture_the_connection_speaks() {
        let limits = LivenessLimits::default();
        assert_eq!(judge(at(9_000), &signs(&SourceState::Connecting), &limits), TileStatus::Waiting);
        let refused = SourceState::Refused { reason: "agreement suspended".into() };
        let with_picture = Signs { picture: Some(at(9_000)), ..signs(&refused) };
        assert_eq!(
            judge(at(9_000), &with_picture, &limits),
            TileStatus::Refused("agreement suspended".into()),
            "a refusal hides even a fresh picture"
        );
    }
}
