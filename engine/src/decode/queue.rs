//! The units of one camera that wait for a worker: bounded in time and in number. Pure: time is told to it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Effort;
use crate::base::Moment;
use crate::media::{AccessUnit, VideoParameters};

/// A unit that waits, with what a worker must know beside it.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub unit: AccessUnit,
    /// Since when it waits here. Not its arrival: units of one segment of a live playlist arrive together and are
    /// handed on one by one, and between two of them may lie the whole interval of segments.
    since: Moment,
    /// The parameters that held when it arrived.
    pub parameters: Arc<VideoParameters>,
    /// It does not follow the unit that was decoded before it: the decoder starts anew.
    pub fresh: bool,
    /// Nothing that depends on it follows: it is decoded by itself and shown at once.
    pub alone: bool,
}

/// Why units are thrown away until a random-access unit comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// The stream, or full decoding of it, has just begun.
    Start,
    /// The queue was over its bound.
    Late,
}

/// What the queue threw away, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub units: u64,
    pub dropped_late: u64,
    pub dropped_waiting: u64,
    pub skipped: u64,
    pub jumps: u64,
}

/// The queue. Guards invariant 3 (latency cannot grow): when what waits in it came within more than the
/// bound, two units that follow each other excepted, it jumps to its newest random-access unit, or empties
/// itself and waits for the next, and
/// counts that.
#[derive(Debug)]
pub(super) struct UnitQueue {
    bound: Duration,
    capacity: usize,
    items: VecDeque<Queued>,
    parameters: Option<Arc<VideoParameters>>,
    effort: Effort,
    waiting: Option<Waiting>,
    /// In `KeyFrames`, from one random-access unit that is released to the next.
    spacing: Duration,
    /// When that was last.
    released: Option<Moment>,
    /// When the random-access unit that a worker took last was handed on.
    taken: Option<Moment>,
    /// The newest random-access unit: shown at once when called up from `Standby`, and when its time
    /// has come in `KeyFrames`.
    held: Option<Queued>,
    tally: Tally,
}

impl UnitQueue {
    pub fn new(bound: Duration, capacity: usize) -> UnitQueue {
        UnitQueue {
            bound,
            capacity: capacity.max(1),
            items: VecDeque::new(),
            parameters: None,
            effort: Effort::Full,
            waiting: Some(Waiting::Start),
            spacing: Duration::ZERO,
            released: None,
            taken: None,
            held: None,
            tally: Tally::default(),
        }
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    pub fn effort(&self) -> Effort {
        self.effort
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn set_parameters(&mut self, parameters: &VideoParameters) {
        if self.parameters.as_deref() != Some(parameters) {
            let other_codec = self.parameters.as_ref().is_some_and(|old| old.codec != parameters.codec);
            self.parameters = Some(Arc::new(parameters.clone()));
            if other_codec {
                self.discontinuity();
            }
        }
    }

    /// What comes next does not follow what came before.
    pub fn discontinuity(&mut self) {
        self.waiting = Some(Waiting::Start);
    }

    pub fn set_effort(&mut self, effort: Effort) {
        if effort == self.effort {
            return;
        }
        let before = std::mem::replace(&mut self.effort, effort);
        self.tally.skipped += self.items.len() as u64;
        self.items.clear();
        self.waiting = Some(Waiting::Start);
        if before == Effort::Standby {
            self.items.extend(self.held.clone());
            self.released = self.held.as_ref().map(|q| q.since);
        }
    }

    /// From now on, in `KeyFrames`, a random-access unit is released so long after the one before;
    /// zero: each when it arrives.
    pub fn set_spacing(&mut self, spacing: Duration) {
        self.spacing = spacing;
    }

    /// Throws everything away, uncounted: the camera is closed.
    pub fn clear(&mut self) {
        self.items.clear();
        self.held = None;
    }

    /// A unit that was handed on at `now`.
    pub fn push(&mut self, unit: AccessUnit, now: Moment) {
        self.tally.units += 1;
        let Some(parameters) = self.parameters.clone() else {
            self.tally.dropped_waiting += 1;
            return;
        };
        let random_access = unit.random_access;
        let queued = |fresh, alone| Queued {
            unit: unit.clone(),
            since: now,
            parameters: parameters.clone(),
            fresh,
            alone,
        };
        if random_access {
            self.held = Some(queued(true, true));
        }
        match self.effort {
            Effort::Standby => self.tally.skipped += 1,
            Effort::KeyFrames => {
                self.tally.skipped += 1;
                self.release(now);
            }
            Effort::Full => {
                if !random_access && self.count_if_waiting() {
                    return;
                }
                let fresh = self.waiting.take().is_some();
                self.items.push_back(queued(fresh, false));
                self.keep_bound();
            }
        }
    }

    /// Hands on the newest random-access unit, where no worker had it and its time has come. Whatever
    /// arrives is the occasion: pictures can then be as far apart as they may, and not only whole
    /// intervals of key frames.
    fn release(&mut self, now: Moment) {
        let Some(held) = &self.held else { return };
        let newer_than = |other: Option<Moment>| other.is_none_or(|other| held.since > other);
        let waiting = self.items.back().map(|q| q.since);
        if !newer_than(self.taken) || !newer_than(waiting) {
            return;
        }
        // One that still waits for a worker gives way at once: a newer picture for the same work.
        if waiting.is_none() {
            if self.released.is_some_and(|last| now.since(last) < self.spacing) {
                return;
            }
            self.released = Some(now);
        }
        let held = held.clone();
        // Left out, as was counted when it came, it is not any more.
        self.tally.skipped -= 1;
        self.tally.dropped_late += self.items.len() as u64;
        self.items.clear();
        self.items.push_back(held);
    }

    fn count_if_waiting(&mut self) -> bool {
        match self.waiting {
            None => return false,
            Some(Waiting::Start) => self.tally.dropped_waiting += 1,
            Some(Waiting::Late) => self.tally.dropped_late += 1,
        }
        true
    }

    pub fn pop(&mut self) -> Option<Queued> {
        let queued = self.items.pop_front()?;
        if queued.unit.random_access {
            self.taken = Some(queued.since);
        }
        Some(queued)
    }

    fn is_over(&self) -> bool {
        let span = match (self.items.front(), self.items.back()) {
            // Between two units alone, one right after the other, lies the camera's own pace, and no work
            // that waits.
            (Some(oldest), Some(newest)) if self.items.len() > 2 || newest.fresh => {
                newest.since.since(oldest.since)
            }
            _ => Duration::ZERO,
        };
        self.items.len() > self.capacity || span > self.bound
    }

    fn keep_bound(&mut self) {
        if !self.is_over() {
            return;
        }
        self.tally.jumps += 1;
        let newest_key = self.items.iter().rposition(|q| q.unit.random_access);
        let late = newest_key.unwrap_or(self.items.len());
        self.items.drain(..late);
        self.tally.dropped_late += late as u64;
        if let Some(key) = self.items.front_mut() {
            key.fresh = true;
        }
        if self.is_over() {
            // Even its newest key frame is too far back to catch up from. It alone is still worth
            // showing: without it, a camera that always comes too late would never be seen.
            self.tally.dropped_late += self.items.len() as u64 - 1;
            self.items.truncate(1);
            if let Some(key) = self.items.front_mut() {
                key.alone = true;
            }
        }
        let contiguous = self.items.front().is_some_and(|key| !key.alone);
        self.waiting = if contiguous { None } else { Some(Waiting::Late) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Clock, SimClock};
    use crate::media::{Codec, Pts};
    use bytes::Bytes;

    struct Camera {
        clock: Arc<SimClock>,
        queue: UnitQueue,
        sent: i64,
    }

    impl Camera {
        fn new() -> Camera {
            let mut queue = UnitQueue::new(Duration::from_millis(400), 64);
            queue.set_parameters(&VideoParameters::unknown(Codec::H264));
            Camera { clock: SimClock::new(), queue, sent: 0 }
        }
        /// One unit every 40 ms; its pts is its number.
        fn send(&mut self, random_access: bool) {
            self.send_after(40, random_access);
        }
        fn send_after(&mut self, ms: u64, random_access: bool) {
            self.clock.advance(Duration::from_millis(ms));
            self.push(random_access, self.clock.now());
        }
        fn push(&mut self, random_access: bool, arrival: Moment) {
            let unit = AccessUnit {
                pts: Pts(self.sent),
                arrival,
                captured: None,
                random_access,
                disposable: false,
                loss: false,
                data: Bytes::from_static(&[0, 0, 1, 1]),
            };
            self.queue.push(unit, self.clock.now());
            self.sent += 1;
        }
        fn take(&mut self) -> Vec<(i64, bool, bool)> {
            std::iter::from_fn(|| self.queue.pop()).map(|q| (q.unit.pts.0, q.fresh, q.alone)).collect()
        }
    }

    #[test]
    fn nothing_before_the_first_key_frame() {
        let mut camera = Camera::new();
        for key in [false, false, true, false] {
            camera.send(key);
        }
        assert_eq!(camera.take(), [(2, true, false), (3, false, false)]);
        assert_eq!(camera.queue.tally().dropped_waiting, 2);
    }

    #[test]
    fn overload_jumps_to_the_newest_key_frame() {
        let mut camera = Camera::new();
        // Span 400 ms with key frames 0 and 5: not over yet.
        for n in 0..=10 {
            camera.send(n % 5 == 0 && n < 10);
        }
        assert_eq!(camera.queue.tally().jumps, 0);
        camera.send(false);
        assert_eq!(camera.queue.tally().jumps, 1);
        assert_eq!(camera.queue.tally().dropped_late, 5);
        let taken = camera.take();
        assert_eq!(taken.first(), Some(&(5, true, false)));
        assert_eq!(taken.last(), Some(&(11, false, false)));
    }

    #[test]
    fn a_slow_camera_is_not_late_because_it_is_slow() {
        let mut camera = Camera::new();
        camera.send(true);
        for n in 1..50 {
            // The worker is busy when the next one comes, seconds later.
            camera.send_after(6_700, false);
            assert_eq!(camera.queue.pop().map(|q| q.unit.pts.0), Some(n - 1));
        }
        assert_eq!(camera.queue.tally().jumps, 0);
        // Three that wait are work that waits.
        camera.send_after(6_700, false);
        camera.send_after(6_700, true);
        assert_eq!(camera.queue.tally().jumps, 1);
        assert_eq!(camera.take(), [(51, true, false)]);
    }

    #[test]
    fn without_a_key_frame_near_only_the_last_one_stays_and_the_next_is_awaited() {
        let mut camera = Camera::new();
        for n in 0..=20 {
            camera.send(n == 0 || n == 18);
        }
        // 0 stayed alone after the bound was passed at 11; 12 to 17 were dropped while waiting.
        // At 18 the span is over the bound again, and 18 is the newest key frame.
        assert_eq!(camera.take(), [(18, true, false), (19, false, false), (20, false, false)]);
        let tally = camera.queue.tally();
        assert_eq!((tally.jumps, tally.dropped_late), (2, 18));
    }

    #[test]
    fn the_bound_holds_whatever_comes() {
        let mut camera = Camera::new();
        for n in 0..500 {
            camera.send(n % 37 == 0);
            let items = &camera.queue.items;
            let span = items.back().map(|b| b.since.since(items[0].since));
            assert!(span.unwrap_or_default() <= Duration::from_millis(400));
        }
        let tally = camera.queue.tally();
        let left = camera.take().len() as u64;
        assert_eq!(tally.units, tally.dropped_late + tally.dropped_waiting + left);
    }

    #[test]
    fn units_that_arrived_in_bursts_and_wait_no_longer_than_others_are_not_late() {
        let mut camera = Camera::new();
        // Segments of 4 s: all units of one arrive with its last byte, and are handed on one by one.
        for n in 0..500_u32 {
            camera.clock.advance(Duration::from_millis(40));
            let segment = u64::from(n / 100) * 4_000_000_000;
            camera.push(n % 50 == 0, Moment(segment));
            if n % 3 == 0 {
                camera.take();
            }
        }
        assert_eq!(camera.queue.tally().jumps, 0);
    }

    #[test]
    fn key_frames_effort_keeps_the_newest_alone() {
        let mut camera = Camera::new();
        camera.queue.set_effort(Effort::KeyFrames);
        for key in [true, false, true, false] {
            camera.send(key);
        }
        assert_eq!(camera.take(), [(2, true, true)]);
        let tally = camera.queue.tally();
        assert_eq!((tally.skipped, tally.dropped_late), (2, 1));
    }

    #[test]
    fn a_call_up_shows_the_held_key_frame_and_then_waits_for_a_whole_gop() {
        let mut camera = Camera::new();
        camera.queue.set_effort(Effort::Standby);
        for key in [true, false, true, false] {
            camera.send(key);
        }
        assert!(camera.queue.is_empty());
        camera.queue.set_effort(Effort::Full);
        camera.send(false);
        camera.send(true);
        assert_eq!(camera.take(), [(2, true, true), (5, true, false)]);
    }

    #[test]
    fn spacing_holds_whatever_the_interval_of_key_frames() {
        let mut camera = Camera::new();
        camera.queue.set_effort(Effort::KeyFrames);
        // Key frames 0, 5, 10, … come every 200 ms: two and a half of these intervals.
        camera.queue.set_spacing(Duration::from_millis(500));
        let mut taken = Vec::new();
        for n in 0..40 {
            camera.send(n % 5 == 0);
            taken.extend(camera.take().iter().map(|t| (n, t.0)));
        }
        // The first unit that is 500 ms behind the one before releases what is newest then.
        assert_eq!(taken, [(0, 0), (13, 10), (26, 25), (39, 35)]);
        assert_eq!(camera.queue.tally().skipped, 36);
    }

    #[test]
    fn a_key_frame_that_waits_for_a_worker_gives_way_to_a_newer_one() {
        let mut camera = Camera::new();
        camera.queue.set_effort(Effort::KeyFrames);
        camera.queue.set_spacing(Duration::from_secs(1));
        for key in [true, false, true, false] {
            camera.send(key);
        }
        assert_eq!(camera.take(), [(2, true, true)], "though a second has not passed");
        assert_eq!(camera.queue.tally().dropped_late, 1);
        camera.send(true);
        assert!(camera.take().is_empty(), "the next one waits for its time");
    }

    #[test]
    fn no_key_frame_is_shown_after_pictures_that_followed_it() {
        let mut camera = Camera::new();
        for n in 0..8 {
            camera.send(n == 0);
        }
        camera.take();
        camera.queue.set_effort(Effort::KeyFrames);
        camera.send(false);
        assert!(camera.take().is_empty(), "that would be back in time");
        camera.send(true);
        assert_eq!(camera.take(), [(9, true, true)]);
    }

    #[test]
    fn a_key_frame_that_no_worker_had_is_released_after_all() {
        let mut camera = Camera::new();
        for key in [true, false] {
            camera.send(key);
        }
        camera.queue.set_effort(Effort::KeyFrames);
        camera.send(false);
        assert_eq!(camera.take(), [(0, true, true)]);
    }

    #[test]
    fn a_camera_that_was_just_put_on_standby_is_called_up_at_once() {
        let mut camera = Camera::new();
        for n in 0..8 {
            camera.send(n == 0);
        }
        camera.take();
        camera.queue.set_effort(Effort::Standby);
        camera.send(false);
        camera.queue.set_effort(Effort::KeyFrames);
        assert_eq!(camera.take(), [(0, true, true)], "without waiting for the next key frame");
    }

    #[test]
    fn after_a_discontinuity_only_a_key_frame_follows() {
        let mut camera = Camera::new();
        camera.send(true);
        camera.queue.discontinuity();
        camera.send(false);
        camera.send(true);
        assert_eq!(camera.take(), [(0, true, false), (2, true, false)]);
    }
}
