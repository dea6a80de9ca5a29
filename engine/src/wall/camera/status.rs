//! How a camera of a live wall stands at a tick: live, late, damaged or dark, and what its tiles say of it.

use std::time::Duration;

use super::Camera;
use crate::base::Moment;
use crate::composite::TileStatus;
use crate::decode::{DecodeStatus, Effort};
use crate::ingest::IngestStatus;
use crate::wall::liveness::{LivenessLimits, Signs, judge};
use crate::wall::pace::StreamTiming;

/// How long a tile says that its pictures were damaged: a usual GOP.
const DAMAGE_SHOWN: Duration = Duration::from_secs(2);
/// From one key frame to the next, where it is not known yet: a usual GOP.
const USUAL_KEY_INTERVAL: Duration = Duration::from_secs(2);

impl Camera {
    /// How it stands at `now`, where the picture that its tile would show arrived at `picture`; and for a
    /// picture that is late for others, not for this camera, how old it may become.
    pub fn status(&self, now: Moment, picture: Option<Moment>) -> (TileStatus, Option<Duration>) {
        if let Some(reason) = self.refusal() {
            let status = TileStatus::Refused(reason);
            self.note(&status, None);
            return (status, None);
        }
        let mut streams = self.streams();
        self.promote(&mut streams, now, false);
        let Some(current) = &streams.current else { return (TileStatus::Waiting, None) };
        let ingest = current.feed.status();
        let decode = current.decode.status();
        let fit = current.fit.snapshot();
        let known = self.known(&ingest, &decode);
        let allowed = streams.pace.allowance(now, &known);
        // A picture that was not followed by another yet has not stayed the same.
        let apart = if allowed.age > self.limits.age { allowed.age } else { Duration::ZERO };
        let limits = LivenessLimits {
            age: allowed.age,
            freeze: self.limits.freeze.filter(|_| !self.spec().still).map(|freeze| freeze.max(apart)),
        };
        let paused = streams.decision.as_ref().is_some_and(|d| d.effort == Effort::Standby);
        drop(streams);
        let status = judge(
            now,
            &Signs {
                connection: &ingest.state,
                last_unit: ingest.last_arrival,
                decode_error: decode.error.as_ref().map(|(_, reason)| reason.as_str()),
                picture,
                last_change: fit.last_change,
                paused,
                slowed: allowed.slowed,
            },
            &limits,
        );
        self.note(&status, picture.map(|at| now.since(at).as_secs_f64() * 1000.0));
        let is_late = picture.is_some_and(|at| known.is_late_for_others(now.since(at), self.limits.age));
        (status, is_late.then_some(allowed.age))
    }

    pub(super) fn known(&self, ingest: &IngestStatus, decode: &DecodeStatus) -> StreamTiming {
        StreamTiming {
            usual: self.limits.age.max(ingest.tolerance) + ingest.waits,
            interval: ingest.key_interval.unwrap_or(USUAL_KEY_INTERVAL),
            decoded: decode.last_decoded,
        }
    }

    /// When its newest picture was ready to be shown.
    pub fn last_stored(&self) -> Option<Moment> {
        self.streams().current.as_ref()?.fit.last_stored()
    }

    /// How long its picture has been the same.
    pub fn unchanged_for(&self, now: Moment) -> Option<Duration> {
        let streams = self.streams();
        let change = streams.current.as_ref()?.fit.snapshot().last_change;
        change.map(|at| now.since(at))
    }

    /// Marks a live tile that shows less than it should: its pictures were damaged a moment ago
    /// and may show what is not there, or the machine is overloaded.
    pub fn degraded(&self, now: Moment) -> Option<&'static str> {
        let streams = self.streams();
        let corrupt = streams.past.dropped.corrupt
            + streams.current.as_ref().map(|s| s.decode.status().corrupt).unwrap_or_default();
        let step = streams.decision.as_ref().map(|d| d.step).unwrap_or_default();
        drop(streams);
        let mut seen = self.seen.lock();
        if corrupt > seen.corrupt {
            seen.corrupt = corrupt;
            seen.damaged = Some(now);
        }
        let damaged = seen.damaged.is_some_and(|at| now.since(at) < DAMAGE_SHOWN);
        if damaged { Some("DAMAGED") } else { step.mark() }
    }

    /// A tile showed another picture than before, this long after the one before.
    pub fn note_refresh(&self, after: Duration) {
        self.seen.lock().refresh.record(after);
    }

    /// Counts a change from live to a placard, and from one placard to another.
    fn note(&self, status: &TileStatus, age_ms: Option<f64>) {
        let (kind, reason) = describe(status);
        let live = matches!(status, TileStatus::Live);
        let mut seen = self.seen.lock();
        seen.age_ms = age_ms;
        if matches!(status, TileStatus::Refused(_)) && seen.kind != kind {
            // No pixel of it stays in memory.
            self.targets.forget();
            self.store.clear(&self.id);
        }
        // A screen that has yet to take the next layout may still ask.
        if seen.kind == kind || !self.is_shown() {
            return;
        }
        match (live, seen.was_live, reason) {
            (true, ..) => tracing::info!(camera = %self.id, "live"),
            (false, true, "") => tracing::warn!(camera = %self.id, "{kind}"),
            (false, true, reason) => tracing::warn!(camera = %self.id, "{kind}: {reason}"),
            // On the way to its first picture.
            (false, false, _) => tracing::debug!(camera = %self.id, "{kind}"),
        }
        if !live && seen.was_live {
            *seen.placards.entry(kind.to_owned()).or_default() += 1;
        }
        seen.was_live = live;
        seen.kind = kind;
    }
}

/// A status as a word for reports, and its reason.
fn describe(status: &TileStatus) -> (&'static str, &str) {
    match status {
        TileStatus::Live => ("live", ""),
        TileStatus::Waiting => ("waiting", ""),
        TileStatus::Stalled => ("stalled", ""),
        TileStatus::Frozen => ("frozen", ""),
        TileStatus::Delayed => ("delayed", ""),
        TileStatus::Undecodable(reason) => ("undecodable", reason),
        TileStatus::Offline(reason) => ("offline", reason),
        TileStatus::Refused(reason) => ("refused", reason),
        TileStatus::Standby => ("standby", ""),
        TileStatus::Empty => ("empty", ""),
    }
}
