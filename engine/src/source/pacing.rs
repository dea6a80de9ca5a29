//! When a unit of a GStreamer source is handed on: a file on a server at its own speed, a live source as it comes,
//! and a live playlist, whose segments come in bursts, smoothly. Pure: time is told to it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Moment;

/// Who sets the speed of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pacing {
    /// It does: units are handed on as they come, whatever its clock says. A clock that runs slow or fast, jumps or
    /// is missing cannot make it late (invariants 3 and 9).
    #[default]
    Live,
    /// A live playlist: whole segments at once, then nothing until the next. [`Smoother`] spreads them.
    Bursts,
    /// We do: a file on a server has no now. Its units are handed on at their own times.
    Recorded,
}

/// What a unit may wait beyond the time from one burst to the next: what a queue of decoding may be late by default.
const SLACK: Duration = Duration::from_millis(400);
/// What may be left of a burst when the next begins, for one that comes a little late.
const MARGIN: Duration = Duration::from_millis(20);
/// A step of the stream's time that is no picture's: its clock jumped, or began anew.
const JUMP: Duration = Duration::from_secs(10);
/// How much faster than its own time a stream is played to catch up. Less is not seen, and a clock that is wrong by
/// a tenth is followed.
const CATCH_UP: f64 = 0.15;
/// Within a burst there is no gap as long.
const WITHIN_BURST: Duration = Duration::from_millis(100);
/// How long the longest time between two bursts is remembered, at least.
const MEMORY: Duration = Duration::from_secs(60);
/// Bytes that wait at most; beyond them the oldest are handed on at once.
const MOST_BYTES: usize = 64 << 20;

/// Spreads what arrives in bursts over the time between them. The wait is bounded by the longest recent time
/// between two bursts and 0.4 s: where a stream's clock is faster than ours it is played faster, where it is slower
/// it pauses between its bursts. A burst that fails to come is no such time: while nothing waited, no wait would have
/// helped.
#[derive(Debug)]
pub(super) struct Smoother<T> {
    held: VecDeque<Held<T>>,
    bytes: usize,
    /// A time of the stream, in nanoseconds, and when that is handed on.
    anchor: Option<(i64, Moment)>,
    newest_time: i64,
    /// Until when the newest item lasts.
    lasts_until: Moment,
    /// What waits now was cut short by the bound.
    cut: bool,
    last_arrival: Option<Moment>,
    gaps: Gaps,
    /// What this burst is to be played sooner than its own times say.
    behind: Duration,
}

#[derive(Debug)]
struct Held<T> {
    due: Moment,
    bytes: usize,
    item: T,
}

impl<T> Smoother<T> {
    pub fn new() -> Smoother<T> {
        Smoother {
            held: VecDeque::new(),
            bytes: 0,
            anchor: None,
            newest_time: 0,
            lasts_until: Moment(0),
            cut: false,
            last_arrival: None,
            gaps: Gaps::default(),
            behind: Duration::ZERO,
        }
    }

    /// Takes an item of `bytes` that arrived at `arrival` and whose time on the stream is `time` nanoseconds, where
    /// it has one; in the order in which items are to be handed on.
    pub fn push(&mut self, item: T, time: Option<i64>, bytes: usize, arrival: Moment) {
        if let Some(last) = self.last_arrival.replace(arrival)
            && self.note_gap(last, arrival)
        {
            // What is left of the burst before should be gone when the next begins.
            self.behind = self
                .held
                .back()
                .map_or(Duration::ZERO, |last| last.due.since(arrival).saturating_sub(MARGIN));
        }
        let due = time.map_or(arrival, |time| self.place(time, arrival));
        // Never before one that stands before it.
        let due = self.held.back().map_or(due, |last| due.max(last.due));
        self.lasts_until = self.lasts_until.max(due);
        self.bytes += bytes;
        self.held.push_back(Held { due, bytes, item });
    }

    /// Learns from the time between two arrivals; whether a new burst begins with the second.
    fn note_gap(&mut self, last: Moment, arrival: Moment) -> bool {
        let gap = arrival.since(last);
        // What was cut short tells nothing of how long its burst would have lasted.
        let dry = if self.cut { Duration::ZERO } else { arrival.since(self.lasts_until) };
        self.cut &= gap < WITHIN_BURST;
        self.gaps.note(arrival, gap, gap.saturating_sub(dry))
    }

    /// When an item of this time of the stream is due.
    fn place(&mut self, time: i64, arrival: Moment) -> Moment {
        let step = time.saturating_sub(self.newest_time);
        let jumped = step < 0 || step.unsigned_abs() > nanos(JUMP);
        let (zero, moment) = match self.anchor {
            Some(anchor) if !jumped => anchor,
            _ => (time, self.held.back().map_or(arrival, |last| arrival.max(last.due))),
        };
        self.newest_time = time;
        let due = moment + Duration::from_nanos(time.saturating_sub(zero).unsigned_abs());
        let due = if due < arrival {
            // It ran dry.
            arrival
        } else {
            let gently = Duration::from_nanos(step.max(0).unsigned_abs()).mul_f64(CATCH_UP).min(self.behind);
            self.behind -= gently;
            self.within_bound(earlier(due, gently), arrival)
        };
        self.anchor = Some((time, due));
        let lasts = if jumped { Duration::ZERO } else { Duration::from_nanos(step.unsigned_abs()) };
        self.lasts_until = due + lasts;
        due
    }

    /// Whatever would wait beyond the bound is skipped to, with all that waits before it.
    fn within_bound(&mut self, due: Moment, arrival: Moment) -> Moment {
        let Some(gap) = self.gaps.longest() else { return due };
        let excess = due.since(arrival).saturating_sub(gap + SLACK);
        if !excess.is_zero() {
            self.held.iter_mut().for_each(|held| held.due = earlier(held.due, excess));
            self.behind = self.behind.saturating_sub(excess);
            self.cut = true;
        }
        earlier(due, excess)
    }

    /// When the next item is due; `None` where nothing waits.
    pub fn next_due(&self) -> Option<Moment> {
        let next = self.held.front()?;
        Some(if self.bytes > MOST_BYTES { Moment(0) } else { next.due })
    }

    /// The next item, where it is due at `now`.
    pub fn pop(&mut self, now: Moment) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        let held = self.held.pop_front()?;
        self.bytes -= held.bytes;
        Some(held.item)
    }
}

/// The longest time between two arrivals, of the last one or two minutes.
#[derive(Debug, Default)]
struct Gaps {
    began: Moment,
    current: Option<Duration>,
    before: Option<Duration>,
}

impl Gaps {
    /// Whether a new burst begins after this gap, of which so much was `needed` to play what had come before.
    fn note(&mut self, now: Moment, gap: Duration, needed: Duration) -> bool {
        if now.since(self.began) >= MEMORY {
            (self.began, self.before) = (now, self.current.take());
        }
        if gap < WITHIN_BURST {
            return false;
        }
        self.current = Some(self.current.map_or(needed, |longest| longest.max(needed)));
        self.longest().is_some_and(|longest| 2 * gap >= longest)
    }

    fn longest(&self) -> Option<Duration> {
        self.current.max(self.before)
    }
}

fn earlier(moment: Moment, by: Duration) -> Moment {
    Moment(moment.0.saturating_sub(nanos(by)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: u64 = 40_000_000;

    /// What came out: arrival and moment of handing on, in order.
    struct Played {
        waits: Vec<Duration>,
        moments: Vec<Moment>,
    }

    /// Ten minutes of segments of 100 pictures, one every 4 s of the server's time; `clock` is how far the stream's
    /// time goes in a second of ours.
    fn ten_minutes(clock: f64, time_of: impl Fn(u64, i64) -> Option<i64>) -> Played {
        let mut smoother = Smoother::new();
        let mut played = Played { waits: Vec::new(), moments: Vec::new() };
        let mut number = 0_u64;
        let per_picture = PICTURE as f64 / clock;
        for ms in 0..600_000_u64 {
            let now = Moment(ms * 1_000_000);
            // A segment arrives when its last picture has been taken.
            let mut segment = 0;
            while segment < 100 && ((number + 100) / 100 * 100) as f64 * per_picture <= now.0 as f64 {
                let time = (number * PICTURE) as i64;
                smoother.push((number, now), time_of(number, time), 1000, now);
                (number, segment) = (number + 1, segment + 1);
            }
            while let Some((number, arrival)) = smoother.pop(now) {
                assert_eq!(number, played.waits.len() as u64, "in order, and none is lost");
                played.waits.push(now.since(arrival));
                played.moments.push(now);
            }
        }
        played
    }

    fn longest(waits: &[Duration]) -> Duration {
        waits.iter().copied().max().unwrap_or_default()
    }

    #[test]
    fn a_playlist_is_played_smoothly_and_its_wait_is_bounded_whatever_its_clock() {
        for clock in [0.9, 0.99, 1.0, 1.01, 1.1] {
            let played = ten_minutes(clock, |_, time| Some(time));
            let interval = Duration::from_secs_f64(4.0 / clock);
            let bound = interval + SLACK + Duration::from_millis(50);
            assert!(longest(&played.waits) <= bound, "{clock}: {:?}", longest(&played.waits));
            // No burst: pictures of the last minute are apart as they were taken, but for where it runs dry.
            let last = &played.moments[played.moments.len() - 1400..];
            let apart: Vec<u64> = last.windows(2).map(|w| w[1].since(w[0]).as_millis() as u64).collect();
            let bursts = apart.iter().filter(|ms| **ms < 30).count();
            assert!(bursts <= 14, "{clock}: {bursts} of {} in bursts", apart.len());
            let pauses = apart.iter().filter(|ms| **ms > 60).count();
            assert!(pauses <= 15, "{clock}: {pauses} pauses");
        }
    }

    #[test]
    fn a_start_some_segments_back_is_caught_up_with() {
        let mut smoother = Smoother::new();
        let mut waits = Vec::new();
        for ms in 0..60_000_u64 {
            let now = Moment(ms * 1_000_000);
            // Three segments at once at the start, then one every 4 s.
            let segments = if ms == 0 {
                0..3
            } else if ms % 4000 == 0 {
                2 + ms / 4000..3 + ms / 4000
            } else {
                0..0
            };
            for n in segments.flat_map(|s| s * 100..s * 100 + 100) {
                smoother.push(now, Some((n * PICTURE) as i64), 1000, now);
            }
            while let Some(arrival) = smoother.pop(now) {
                waits.push((ms, now.since(arrival)));
            }
        }
        let late: Vec<_> =
            waits.iter().filter(|(ms, wait)| *ms > 8_100 && *wait > Duration::from_millis(4_450)).collect();
        assert!(late.is_empty(), "{late:?}");
    }

    /// Plays segments of 100 pictures that arrive at these milliseconds; when each picture was handed on, in
    /// milliseconds, and how long it had waited.
    fn played(arrivals: &[u64]) -> Vec<(u64, Duration)> {
        let mut smoother = Smoother::new();
        let mut waits = Vec::new();
        for ms in 0..arrivals.last().expect("there are some") + 10_000 {
            let now = Moment(ms * 1_000_000);
            for (segment, _) in arrivals.iter().enumerate().filter(|(_, at)| **at == ms) {
                for n in segment as u64 * 100..segment as u64 * 100 + 100 {
                    smoother.push(now, Some((n * PICTURE) as i64), 1000, now);
                }
            }
            while let Some(arrival) = smoother.pop(now) {
                waits.push((ms, now.since(arrival)));
            }
        }
        waits
    }

    #[test]
    fn a_stall_does_not_widen_the_wait() {
        // Segments of four seconds. One server is behind by 9 s, and then sends all of it at once; another one leaves
        // out what it missed.
        for missed in [3, 1] {
            let mut arrivals: Vec<u64> = (0..6).map(|n| n * 4000).collect();
            arrivals.extend(vec![33_000; missed]);
            arrivals.extend((0..10).map(|n| 36_000 + n * 4000));
            let waits = played(&arrivals);
            assert_eq!(waits.len(), arrivals.len() * 100);
            let longest = waits.iter().map(|(_, wait)| *wait).max().expect("there are some");
            assert!(longest <= Duration::from_millis(4_450), "{missed}: {longest:?}");
            // Soon the last picture of a segment waits for no longer than for the next.
            let late =
                waits.iter().filter(|(ms, _)| (64_000..76_000).contains(ms)).map(|(_, wait)| *wait).max();
            assert!(late <= Some(Duration::from_millis(4_050)), "{missed}: {late:?}");
        }
    }

    #[test]
    fn a_clock_that_jumps_or_is_missing_holds_nothing_up() {
        for played in [
            ten_minutes(1.0, |n, time| Some(if n > 5000 { time - 90_000_000_000_000 } else { time })),
            ten_minutes(1.0, |n, time| Some(if n > 5000 { time + 3_600_000_000_000 } else { time })),
            ten_minutes(1.0, |_, _| None),
            ten_minutes(1.0, |_, _| Some(7)),
        ] {
            assert!(longest(&played.waits) <= Duration::from_millis(4_500), "{:?}", longest(&played.waits));
            assert!(played.waits.len() >= 14_800, "{}", played.waits.len());
        }
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let mut smoother = Smoother::new();
        for n in 0..100 {
            smoother.push(n, Some(n * 1_000_000_000), 1 << 20, Moment(0));
        }
        let mut handed_on = 0;
        while smoother.pop(Moment(0)).is_some() {
            handed_on += 1;
        }
        assert_eq!(handed_on, 36, "64 of 100 MiB wait");
    }
}
