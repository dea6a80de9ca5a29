//! Decides when a connection that says nothing is given up. Pure.

use std::time::Duration;

use crate::base::Moment;
use crate::source::Patience;

/// How long a stream may send pictures before its first key frame. Reconnecting makes most cameras
/// send one; waiting longer helps none.
pub const KEY_FRAME_PATIENCE: Duration = Duration::from_secs(60);

/// How a connection looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be; or it is too early to tell.
    Fine,
    /// Packets stopped.
    Stalled,
    /// Connect anew, for this reason.
    GiveUp(&'static str),
}

/// What is known of one run.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// When the run began.
    pub started: Moment,
    /// When its newest unit arrived.
    pub last_arrival: Option<Moment>,
    /// A key frame came.
    pub has_key_frame: bool,
}

/// Judges a run, and says when to look again.
pub fn judge(patience: Patience, now: Moment, seen: Observed) -> (Verdict, Duration) {
    let running = now.since(seen.started);
    let Some(last) = seen.last_arrival else {
        return match patience.connect.checked_sub(running).filter(|left| !left.is_zero()) {
            Some(left) => (Verdict::Fine, left),
            None => (Verdict::GiveUp("sent no video in time"), Duration::ZERO),
        };
    };
    if !seen.has_key_frame && running >= KEY_FRAME_PATIENCE {
        return (Verdict::GiveUp("sends video without any key frame"), Duration::ZERO);
    }
    let silent = now.since(last);
    let stalled_after = stalled_after(patience);
    if silent >= patience.silence {
        (Verdict::GiveUp("is connected and went silent"), Duration::ZERO)
    } else if silent >= stalled_after {
        // The next unit ends it, so look more often than the give-up needs.
        (Verdict::Stalled, (patience.silence - silent).min(stalled_after))
    } else {
        (Verdict::Fine, stalled_after - silent)
    }
}

/// Half the silence that ends a connection: long enough for a camera that sends one picture a
/// second, early enough for a placard before the reconnection.
fn stalled_after(patience: Patience) -> Duration {
    patience.silence / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(now: f64, last: Option<f64>, has_key_frame: bool) -> (Verdict, f64) {
        let at = |s: f64| Moment((s * 1e9) as u64);
        let seen = Observed { started: at(100.0), last_arrival: last.map(at), has_key_frame };
        let (verdict, wait) = judge(Patience::default(), at(now), seen);
        (verdict, wait.as_secs_f64())
    }

    #[test]
    fn silence_is_seen_and_given_up() {
        assert_eq!(judged(100.0, None, false), (Verdict::Fine, 10.0));
        assert_eq!(judged(109.0, None, false), (Verdict::Fine, 1.0));
        assert!(matches!(judged(110.0, None, false).0, Verdict::GiveUp(_)));
        assert_eq!(judged(200.0, Some(199.5), true), (Verdict::Fine, 2.0));
        assert_eq!(judged(200.0, Some(197.0), true), (Verdict::Stalled, 2.0));
        assert!(matches!(judged(200.0, Some(195.0), true).0, Verdict::GiveUp(_)));
        assert_eq!(judged(159.0, Some(159.0), false).0, Verdict::Fine);
        assert!(matches!(judged(160.0, Some(160.0), false).0, Verdict::GiveUp(_)));
    }

    #[test]
    fn a_day_of_one_picture_a_second_never_reconnects() {
        let mut now = 100.0;
        while now < 86_500.0 {
            let (verdict, wait) = judged(now, Some(f64::floor(now)), true);
            assert_eq!(verdict, Verdict::Fine, "at {now}");
            assert!(wait > 0.0);
            now += wait;
        }
    }
}
