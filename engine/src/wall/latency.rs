//! How long a picture takes from the camera to the encoded wall.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::report::{LatencyReport, Spread};
use crate::base::{Histogram, Moment, SharedClock};
use crate::encode::EncodedSink;
use crate::media::{AccessUnit, FrameMeta, Pts};

/// A camera clock further from ours than this says nothing about latency.
const PLAUSIBLE: Duration = Duration::from_secs(10);
/// Ticks that an encoder may hold before its oldest is forgotten.
const MAX_IN_FLIGHT: usize = 64;

/// Remembers what each wall picture showed for the first time, until it comes out encoded.
pub(super) struct LatencyMeter {
    clock: SharedClock,
    state: Mutex<State>,
}

/// When a camera picture arrived, and when it was captured.
type Origin = (Moment, Option<Duration>);

#[derive(Default)]
struct State {
    in_flight: VecDeque<(Pts, Vec<Origin>)>,
    measured: Latency,
}

/// What was measured so far, of one screen or of several.
#[derive(Clone, Default)]
pub(super) struct Latency {
    from_capture: Histogram,
    from_arrival: Histogram,
}

impl Latency {
    /// Adds another screen's.
    pub fn merge(&mut self, other: &Latency) {
        self.from_capture.merge(&other.from_capture);
        self.from_arrival.merge(&other.from_arrival);
    }

    pub fn report(&self) -> LatencyReport {
        LatencyReport {
            from_capture: Spread::from(&self.from_capture),
            from_arrival: Spread::from(&self.from_arrival),
        }
    }
}

impl LatencyMeter {
    pub fn new(clock: SharedClock) -> Arc<LatencyMeter> {
        Arc::new(LatencyMeter { clock, state: Mutex::default() })
    }

    /// The wall picture at `pts` shows these camera pictures for the first time.
    pub fn composed(&self, pts: Pts, first_shown: &[FrameMeta]) {
        if first_shown.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        if state.in_flight.len() == MAX_IN_FLIGHT {
            state.in_flight.pop_front();
        }
        state.in_flight.push_back((pts, first_shown.iter().map(|m| (m.arrival, m.captured)).collect()));
    }

    fn encoded(&self, pts: Pts) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let mut state = self.state.lock();
        while state.in_flight.front().is_some_and(|(at, _)| *at <= pts) {
            let Some((at, pictures)) = state.in_flight.pop_front() else { break };
            // An older one was dropped before the encoder: nobody saw it.
            if at < pts {
                continue;
            }
            for (arrival, captured) in pictures {
                state.measured.from_arrival.record(now.since(arrival));
                let age = captured.and_then(|at| wall.checked_sub(at));
                if let Some(age) = age.filter(|age| *age < PLAUSIBLE) {
                    state.measured.from_capture.record(age);
                }
            }
        }
    }

    pub fn latency(&self) -> Latency {
        self.state.lock().measured.clone()
    }
}

/// Stands between an encoder and its outputs, and looks at the clock.
pub(super) struct Metered<S> {
    pub meter: Arc<LatencyMeter>,
    pub sink: S,
}

impl<S: std::ops::Deref<Target = T> + Send + Sync, T: EncodedSink + ?Sized> EncodedSink for Metered<S> {
    fn unit(&self, unit: &AccessUnit) {
        self.meter.encoded(unit.pts);
        self.sink.unit(unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Clock, SimClock};

    #[test]
    fn measured_from_arrival_and_from_a_plausible_capture_time() {
        let clock = SimClock::new();
        clock.advance(Duration::from_secs(100));
        let meter = LatencyMeter::new(clock.clone());
        let shown = |captured| FrameMeta { arrival: clock.now(), captured, ..FrameMeta::default() };
        let true_clock = Some(clock.wall() - Duration::from_millis(20));
        meter.composed(Pts(1), &[shown(true_clock), shown(Some(Duration::from_secs(3)))]);
        meter.composed(Pts(2), &[shown(None)]);
        clock.advance(Duration::from_millis(30));
        meter.encoded(Pts(1));
        let report = meter.latency().report();
        assert_eq!((report.from_arrival.count, report.from_arrival.max_ms), (2, 30.0));
        assert_eq!((report.from_capture.count, report.from_capture.max_ms), (1, 50.0));
    }

    #[test]
    fn a_picture_that_never_came_out_is_not_measured() {
        let clock = SimClock::new();
        let meter = LatencyMeter::new(clock.clone());
        meter.composed(Pts(1), &[FrameMeta::default()]);
        meter.encoded(Pts(5));
        assert_eq!(meter.latency().report().from_arrival.count, 0);
    }
}
