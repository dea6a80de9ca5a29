//! One camera of a live wall: its connection, its decoder, its fitter, and what is counted of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::liveness::{LivenessLimits, Signs, judge};
use super::report::{CameraReport, DropReport};
use crate::base::{Counter, Moment, SharedClock};
use crate::composite::TileStatus;
use crate::config::CameraSpec;
use crate::decode::{DecodeHandle, DecodePool};
use crate::fit::{FitSpec, FitStatus, Fitter, Mask, SharedTargets, Targets};
use crate::ingest::{Feed, Ingest, IngestStatus};
use crate::media::{CameraId, SourceRef};
use crate::scene::Layout;
use crate::source::{Grant, SourceConfig};
use crate::store::FrameStore;

/// The rooms that all cameras share.
pub(super) struct Rooms<'a> {
    pub ingest: &'a Ingest,
    pub pool: &'a DecodePool,
    pub store: &'a Arc<FrameStore>,
    pub clock: &'a SharedClock,
}

/// A camera that is open.
pub(super) struct Camera {
    pub id: CameraId,
    pub name: String,
    pub shown: Counter,
    source: SourceRef,
    feed: Feed,
    decode: DecodeHandle,
    targets: Arc<SharedTargets>,
    masks: Vec<Mask>,
    store: Arc<FrameStore>,
    fit: Arc<FitStatus>,
    limits: LivenessLimits,
    seen: Mutex<Seen>,
}

/// How long a tile says that its pictures were damaged: a usual GOP.
const DAMAGE_SHOWN: Duration = Duration::from_secs(2);

/// What its tiles showed last, to count changes.
#[derive(Default)]
struct Seen {
    was_live: bool,
    kind: &'static str,
    placards: BTreeMap<String, u64>,
    age_ms: Option<f64>,
    /// How many damaged pictures there were, and when that last grew.
    corrupt: u64,
    damaged: Option<Moment>,
}

impl Camera {
    /// Opens `spec`'s `profile` under `grant`, fitted to `wanted`.
    pub fn open(
        rooms: &Rooms<'_>,
        spec: &CameraSpec,
        profile: &str,
        config: SourceConfig,
        wanted: Vec<FitSpec>,
        limits: LivenessLimits,
        grant: Grant,
    ) -> Camera {
        let source = SourceRef { camera: spec.id.clone(), profile: profile.into(), generation: 1 };
        rooms.store.set_generation(&source.camera, source.generation);
        let masks: Vec<Mask> = spec.masks.iter().copied().map(Mask).collect();
        let targets = SharedTargets::new();
        targets.set(Targets { specs: wanted, masks: masks.clone() });
        let fit = Arc::new(FitStatus::default());
        let fitter = Fitter::new(
            source.clone(),
            targets.clone(),
            rooms.store.clone(),
            rooms.clock.clone(),
            fit.clone(),
        );
        let decode = rooms.pool.open(source.clone(), Box::new(fitter));
        let feed = rooms.ingest.open(source.clone(), config, grant, Arc::new(decode.clone()));
        Camera {
            id: spec.id.clone(),
            name: spec.name.clone(),
            shown: Counter::default(),
            source,
            feed,
            decode,
            targets,
            masks,
            store: rooms.store.clone(),
            fit,
            limits,
            seen: Mutex::default(),
        }
    }

    /// How it stands at `now`, where the picture that its tile would show arrived at `picture`.
    pub fn status(&self, now: Moment, picture: Option<Moment>) -> TileStatus {
        let ingest = self.feed.status();
        let decode = self.decode.status();
        let fit = self.fit.snapshot();
        let status = judge(
            now,
            &Signs {
                connection: &ingest.state,
                last_unit: ingest.last_arrival,
                decode_error: decode.error.as_ref().map(|(_, reason)| reason.as_str()),
                picture,
                last_change: fit.last_change,
            },
            &self.limits,
        );
        self.note(&status, picture.map(|at| now.since(at).as_secs_f64() * 1000.0));
        status
    }

    /// How long its picture has been the same.
    pub fn unchanged_for(&self, now: Moment) -> Option<Duration> {
        self.fit.snapshot().last_change.map(|at| now.since(at))
    }

    /// Marks a live tile whose pictures were damaged a moment ago: it may show what is not there.
    pub fn degraded(&self, now: Moment) -> Option<&'static str> {
        let corrupt = self.decode.status().corrupt;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if corrupt > seen.corrupt {
            seen.corrupt = corrupt;
            seen.damaged = Some(now);
        }
        seen.damaged.is_some_and(|at| now.since(at) < DAMAGE_SHOWN).then_some("DAMAGED")
    }

    /// Counts a change from live to a placard, and from one placard to another.
    fn note(&self, status: &TileStatus, age_ms: Option<f64>) {
        let (kind, reason) = describe(status);
        let live = matches!(status, TileStatus::Live);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.age_ms = age_ms;
        if matches!(status, TileStatus::Refused(_)) && seen.kind != kind {
            // No pixel of it stays in memory.
            self.targets.forget();
            self.store.clear(&self.id);
        }
        if seen.kind == kind {
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

    /// Fits it to other sizes from now on; its newest picture too, so that a new tile shows it at
    /// once.
    pub fn set_wanted(&self, specs: Vec<FitSpec>) {
        if self.targets.set(Targets { specs, masks: self.masks.clone() }) {
            self.targets.refit(&self.store);
        }
    }

    /// What is counted of it.
    pub fn report(&self, now: Moment) -> CameraReport {
        let ingest: IngestStatus = self.feed.status();
        let decode = self.decode.status();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |at: Moment| now.since(at).as_secs_f64() * 1000.0;
        CameraReport {
            id: self.id.to_string(),
            name: self.name.clone(),
            profile: self.source.profile.to_string(),
            state: if seen.kind.is_empty() { "waiting".into() } else { seen.kind.to_owned() },
            reason: decode.error.map(|(_, r)| r).or(ingest.last_error).filter(|_| seen.kind != "live"),
            codec: ingest.parameters.map(|p| p.codec.to_string()),
            width: decode.width,
            height: decode.height,
            decoder: decode.backend,
            received: ingest.units,
            bytes: ingest.bytes,
            decoded: decode.decoded,
            shown: self.shown.get(),
            dropped: DropReport {
                late: decode.dropped_late,
                waiting_for_key: decode.dropped_waiting + ingest.skipped + decode.held_back,
                corrupt: decode.corrupt,
                lost: ingest.lost_events,
            },
            reconnects: ingest.reconnects,
            age_ms: seen.age_ms.or(ingest.last_arrival.map(silent)),
            placards: seen.placards.clone(),
            decode_ms: decode.decode_nanos as f64 / 1e6,
            fit_ms: self.fit.snapshot().fit_nanos as f64 / 1e6,
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.decode.close();
    }
}

/// A status as a word for reports, and its reason.
fn describe(status: &TileStatus) -> (&'static str, &str) {
    match status {
        TileStatus::Live => ("live", ""),
        TileStatus::Waiting => ("waiting", ""),
        TileStatus::Stalled => ("stalled", ""),
        TileStatus::Frozen => ("frozen", ""),
        TileStatus::Undecodable(reason) => ("undecodable", reason),
        TileStatus::Offline(reason) => ("offline", reason),
        TileStatus::Refused(reason) => ("refused", reason),
        TileStatus::Standby => ("standby", ""),
        TileStatus::Empty => ("empty", ""),
    }
}

/// The sizes that a layout needs of each camera, each once.
pub(super) fn wanted(layout: &Layout) -> HashMap<CameraId, Vec<FitSpec>> {
    let mut wanted: HashMap<CameraId, Vec<FitSpec>> = HashMap::new();
    for tile in layout.screens.iter().flat_map(|s| &s.tiles) {
        if let Some(camera) = &tile.camera {
            let specs = wanted.entry(camera.clone()).or_default();
            if !specs.contains(&tile.spec) {
                specs.push(tile.spec);
            }
        }
    }
    wanted
}
