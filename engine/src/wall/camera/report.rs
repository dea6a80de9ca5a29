//! What a camera of a live wall tells of itself: counts of the stream that is open and of those that are over.

use super::{Camera, Stream};
use crate::base::Moment;
use crate::decode::{DecodeStatus, Effort};
use crate::effort::Step;
use crate::ingest::{IngestStatus, SourceState};
use crate::wall::report::{CameraReport, CameraStanding, DropReport, Spread};

/// Counts of streams that are over.
#[derive(Clone, Copy, Default)]
pub(super) struct Past {
    units: u64,
    bytes: u64,
    decoded: u64,
    decode_nanos: u64,
    fit_nanos: u64,
    pub dropped: DropReport,
    reconnects: u64,
}

impl Past {
    pub fn add(&mut self, stream: &Stream) {
        let (ingest, decode, fit) = (stream.feed.status(), stream.decode.status(), stream.fit.snapshot());
        self.units += ingest.units;
        self.bytes += ingest.bytes;
        self.decoded += decode.decoded;
        self.decode_nanos += decode.decode_nanos;
        self.fit_nanos += fit.fit_nanos;
        self.reconnects += ingest.reconnects;
        self.dropped += dropped(&ingest, &decode);
    }
}

/// What was dropped of one stream.
fn dropped(ingest: &IngestStatus, decode: &DecodeStatus) -> DropReport {
    DropReport {
        late: decode.dropped_late,
        waiting_for_key: decode.dropped_waiting + ingest.skipped + decode.held_back,
        corrupt: decode.corrupt,
        lost: ingest.lost_events,
    }
}

impl Camera {
    /// What is counted of it.
    pub fn report(&self, now: Moment) -> CameraReport {
        let spec = self.spec();
        let streams = self.streams();
        let current = streams.current.as_ref();
        let ingest: IngestStatus = current.map(|s| s.feed.status()).unwrap_or_default();
        let decode = current.map(|s| s.decode.status()).unwrap_or_default();
        let fit = current.map(|s| s.fit.snapshot()).unwrap_or_default();
        let (past, decision) = (streams.past, streams.decision.clone());
        let profile = current.map_or_else(|| streams.name_of(0), |s| s.source.profile.clone());
        let (pinned, switches) = (streams.pinned, streams.switches);
        drop(streams);
        let standing = self.stand(now, &ingest, &decode);
        let seen = self.seen.lock();
        let mut dropped = dropped(&ingest, &decode);
        dropped += past.dropped;
        let millis = |nanos: u64| nanos as f64 / 1e6;
        let refresh = Spread::from(&seen.refresh);
        CameraReport {
            id: self.id.to_string(),
            name: spec.name.clone(),
            zone: spec.zone.clone(),
            profile: profile.to_string(),
            effort: decision.as_ref().map(|d| d.effort).unwrap_or(Effort::Standby),
            step: decision.as_ref().map(|d| d.step).unwrap_or_default(),
            degraded: decision.is_some_and(|d| d.step != Step::AsDeserved),
            pinned,
            switches,
            state: standing.state.to_owned(),
            reason: standing.reason,
            codec: ingest.parameters.map(|p| p.codec.to_string()),
            width: decode.width,
            height: decode.height,
            decoder: decode.backend,
            received: past.units + ingest.units,
            bytes: past.bytes + ingest.bytes,
            decoded: past.decoded + decode.decoded,
            shown: self.shown.get(),
            refresh_p50_ms: refresh.p50_ms,
            refresh_p95_ms: refresh.p95_ms,
            refresh_max_ms: refresh.max_ms,
            dropped,
            reconnects: past.reconnects + ingest.reconnects,
            age_ms: standing.age_ms,
            placards: seen.placards.clone(),
            decode_ms: millis(past.decode_nanos + decode.decode_nanos),
            fit_ms: millis(past.fit_nanos + fit.fit_nanos),
        }
    }
}

impl Camera {
    /// How it stands: what its tiles say, or its connection where no tile shows it.
    pub fn standing(&self, now: Moment) -> CameraStanding {
        let streams = self.streams();
        let current = streams.current.as_ref();
        let ingest: IngestStatus = current.map(|s| s.feed.status()).unwrap_or_default();
        let decode = current.map(|s| s.decode.status()).unwrap_or_default();
        drop(streams);
        self.stand(now, &ingest, &decode)
    }

    /// The one place that says it, so that no two reports of a moment differ.
    fn stand(&self, now: Moment, ingest: &IngestStatus, decode: &DecodeStatus) -> CameraStanding {
        let (unseen, refusal) = (!self.is_shown(), self.refusal());
        let seen = self.seen.lock();
        let silent = |at: Moment| now.since(at).as_secs_f64() * 1000.0;
        let state = match (unseen, seen.kind) {
            _ if refusal.is_some() => "refused",
            (true, _) => connection_word(&ingest.state),
            (false, "") => "waiting",
            (false, kind) => kind,
        };
        let fault = || decode.error.as_ref().map(|(_, why)| why.clone()).or(ingest.last_error.clone());
        let told = |state| !matches!(state, "live" | "standby");
        CameraStanding {
            id: self.id.to_string(),
            state,
            reason: refusal.map(|reason| reason.to_string()).or_else(|| fault().filter(|_| told(state))),
            age_ms: seen.age_ms.filter(|_| !unseen).or(ingest.last_arrival.map(silent)),
        }
    }
}

/// How a camera that no tile shows stands, as a word for reports.
fn connection_word(state: &SourceState) -> &'static str {
    match state {
        SourceState::Connecting => "connecting",
        SourceState::Stalled => "stalled",
        SourceState::Refused { .. } => "refused",
        SourceState::Offline { .. } => "offline",
        SourceState::Live | SourceState::Frozen | SourceState::Standby => "standby",
    }
}
