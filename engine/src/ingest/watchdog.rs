//! Decides when a connection that says nothing is given up. Pure.

use std::time::Duration;

use super::rhythm::{Limits, Rhythm};
use crate::base::Moment;
use crate::source::Patience;

/// How a connection looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be; or it is too early to tell.
    Fine,
    /// Packets stopped.
    Stalled,
    /// Connect anew, for this reason.
    GiveUp(&'static str),
    /// Connect anew, because nothing comes, for this reason.
    Silent(&'static str),
}

/// What is known of one run.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// When the run began.
    pub started: Moment,
    /// The camera answered and described what it sends.
    pub described: bool,
    /// When its newest unit arrived.
    pub last_arrival: Option<Moment>,
    /// A key frame came.
    pub has_key_frame: bool,
    /// How often the camera sends.
    pub rhythm: Rhythm,
}

/// Judges a run, and says when to look again.
pub fn judge(patience: Patience, now: Moment, seen: Observed) -> (Verdict, Duration) {
    let running = now.since(seen.started);
    let Limits { first, stalled, silent, key_frame } = seen.rhythm.limits(patience);
    let Some(last) = seen.last_arrival else {
        // One that never answered is not slow but away.
        let limit = if seen.described { first } else { patience.connect };
        return match limit.checked_sub(running).filter(|left| !left.is_zero()) {
            // It may answer meanwhile, or not: that changes the limit.
            Some(left) => (Verdict::Fine, left.min(patience.connect)),
            None if seen.described => (Verdict::Silent("sent no video in time"), Duration::ZERO),
            None => (Verdict::GiveUp("sent no video in time"), Duration::ZERO),
        };
    };
    if !seen.has_key_frame && running >= key_frame {
        return (Verdict::GiveUp("sends video without any key frame"), Duration::ZERO);
    }
    let since = now.since(last);
    if since >= silent {
        (Verdict::Silent("is connected and went silent"), Duration::ZERO)
    } else if since >= stalled {
        // The next unit ends it, so look more often than the give-up needs.
        (Verdict::Stalled, (silent - since).min(patience.silence / 2))
    } else {
        // A pace that changes meanwhile may shorten it.
        (Verdict::Fine, (stalled - since).min(patience.silence / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: f64) -> Moment {
        Moment((s * 1e9) as u64)
    }

    /// Of a camera that sends a picture a second.
    fn judged(now: f64, last: Option<f64>, has_key_frame: bool) -> (Verdict, f64) {
        let mut rhythm = Rhythm::default();
        if let Some(last) = last {
            rhythm.arrived(at(last - 1.0));
            rhythm.arrived(at(last));
        }
        let last_arrival = last.map(at);
        let seen = Observed { started: at(100.0), described: true, last_arrival, has_key_frame, rhythm };
        let (verdict, wait) = judge(Patience::default(), at(now), seen);
        (verdict, wait.as_secs_f64())
    }

    #[test]
    fn silence_is_seen_and_given_up() {
        assert_eq!(judged(100.0, None, false), (Verdict::Fine, 10.0));
        assert_eq!(judged(109.0, None, false), (Verdict::Fine, 1.0));
        assert!(matches!(judged(110.0, None, false).0, Verdict::Silent(_)));
        assert_eq!(judged(200.0, Some(199.5), true), (Verdict::Fine, 2.0));
        assert_eq!(judged(200.0, Some(197.0), true), (Verdict::Stalled, 2.0));
        assert!(matches!(judged(200.0, Some(195.0), true).0, Verdict::Silent(_)));
        assert_eq!(judged(159.0, Some(159.0), false).0, Verdict::Fine);
        assert!(matches!(judged(160.0, Some(160.0), false).0, Verdict::GiveUp(_)));
    }

    /// A camera whose pictures come at these times, watched to the last of them; what was seen, and when.
    fn watched(times: impl IntoIterator<Item = f64>) -> Vec<(f64, Verdict)> {
        let mut rhythm = Rhythm::default();
        let (mut last, mut now, mut news) = (None, 100.0, Vec::new());
        for next in times {
            while now < next {
                let last_arrival = last.map(at);
                let has_key_frame = last.is_some();
                let seen =
                    Observed { started: at(100.0), described: true, last_arrival, has_key_frame, rhythm };
                let (verdict, wait) = judge(Patience::default(), at(now), seen);
                if verdict != Verdict::Fine {
                    news.push((now - last.unwrap_or(100.0), verdict));
                }
                if matches!(verdict, Verdict::GiveUp(_) | Verdict::Silent(_)) {
                    return news;
                }
                now += wait.as_secs_f64().max(0.001);
            }
            rhythm.arrived(at(next));
            last = Some(next);
        }
        news
    }

    fn every(interval: f64, from: f64, to: f64) -> impl Iterator<Item = f64> {
        (0..).map(move |n| from + f64::from(n) * interval).take_while(move |t| *t < to)
    }

    #[test]
    fn a_camera_may_be_as_slow_as_it_is() {
        for fps in [25.0, 1.0, 0.4, 0.15, 0.05] {
            let news = watched(every(1.0 / fps, 101.0, 7_300.0));
            assert!(news.is_empty(), "{fps} pictures a second: {news:?}");
        }
    }

    #[test]
    fn a_camera_that_stops_is_noticed_within_a_few_of_its_intervals() {
        for (fps, stalled, silent) in
            [(25.0, 2.5, 5.0), (1.0, 2.5, 5.0), (0.4, 6.25, 10.0), (0.05, 50.0, 60.0)]
        {
            let news = watched(every(1.0 / fps, 101.0, 400.0).chain([9_000.0]));
            let close = |seen: f64, limit: f64| seen >= limit && seen < limit + 2.5;
            assert!(matches!(news[0], (at, Verdict::Stalled) if close(at, stalled)), "{fps}: {news:?}");
            let Some((at, Verdict::Silent(_))) = news.last() else { panic!("{fps}: {news:?}") };
            assert!(close(*at, silent), "{fps}: {news:?}");
        }
    }
}
