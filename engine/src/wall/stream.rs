//! One stream of a camera: its connection, its decoder, its fitter, and what it costs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::camera::Rooms;
use crate::base::Moment;
use crate::config::CameraSpec;
use crate::decode::DecodeHandle;
use crate::effort::{Decision, StreamLoad};
use crate::fit::{FitStatus, Fitter, SharedTargets};
use crate::ingest::{Feed, SourceState};
use crate::media::{Codec, SourceRef};
use crate::source::{Grant, SourceConfig};

/// A stream that is open.
pub(super) struct Stream {
    pub source: SourceRef,
    pub config: SourceConfig,
    pub feed: Feed,
    pub decode: DecodeHandle,
    pub fit: Arc<FitStatus>,
    pub opened: Moment,
    gauge: Mutex<Gauge>,
}

/// What was read last, to see what came since.
#[derive(Clone, Copy, Default)]
struct Gauge {
    at: Moment,
    units: u64,
    bytes: u64,
    nanos: u64,
    jumps: u64,
    fps: f64,
    bits_per_second: f64,
}

impl Stream {
    pub fn open(
        rooms: &Rooms,
        source: SourceRef,
        config: SourceConfig,
        targets: &Arc<SharedTargets>,
        grant: Grant,
    ) -> Stream {
        let fit = Arc::new(FitStatus::default());
        let fitter = Fitter::new(
            source.clone(),
            targets.clone(),
            rooms.store.clone(),
            rooms.clock.clone(),
            fit.clone(),
        );
        let decode = rooms.pool.open(source.clone(), Box::new(fitter));
        let feed = rooms.ingest.open(source.clone(), config.clone(), grant, Arc::new(decode.clone()));
        let opened = rooms.clock.now();
        let gauge = Mutex::new(Gauge { at: opened, ..Gauge::default() });
        Stream { source, config, feed, decode, fit, opened, gauge }
    }

    /// Decodes as `decision` says from now on.
    pub fn serve(&self, decision: &Decision) {
        self.decode.set_spacing(decision.spacing);
        self.decode.set_shortcuts(decision.skip_loop_filter);
        self.decode.set_effort(decision.effort);
    }

    /// It cannot be had now, and not for a moment only.
    pub fn is_away(&self, now: Moment) -> bool {
        /// A switch that reboots and a lost connection are back sooner.
        const PATIENCE: Duration = Duration::from_secs(10);
        let status = self.feed.status();
        let away = matches!(status.state, SourceState::Offline { .. } | SourceState::Refused { .. });
        away && now.since(status.since) > PATIENCE
    }

    /// CPU time of decoding and fitting since the call before.
    pub fn cpu_since_last(&self) -> Duration {
        let nanos = self.decode.status().decode_nanos + self.fit.snapshot().fit_nanos;
        let mut gauge = self.gauge.lock().unwrap_or_else(PoisonError::into_inner);
        let since = nanos.saturating_sub(gauge.nanos);
        gauge.nanos = nanos;
        Duration::from_nanos(since)
    }

    /// What it brings, as it was seen so far, over `expected` where nothing was.
    pub fn load(&self, now: Moment, expected: &StreamLoad) -> StreamLoad {
        let status = self.feed.status();
        let mut gauge = self.gauge.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.since(gauge.at).as_secs_f64();
        if elapsed >= 2.0 {
            let fresh = |count: u64, before: u64| count.saturating_sub(before) as f64 / elapsed;
            let smooth = |old: f64, new: f64| if old > 0.0 { 0.7 * old + 0.3 * new } else { new };
            gauge.fps = smooth(gauge.fps, fresh(status.units, gauge.units));
            gauge.bits_per_second = smooth(gauge.bits_per_second, 8.0 * fresh(status.bytes, gauge.bytes));
            (gauge.at, gauge.units, gauge.bytes) = (now, status.units, status.bytes);
        }
        let seen = |measured: f64, expected: f64| if measured > 0.0 { measured } else { expected };
        let parameters = status.parameters.as_ref();
        let (codec, width, height) =
            parameters.map_or((expected.codec, 0, 0), |p| (p.codec, p.width, p.height));
        StreamLoad {
            codec,
            width: if width > 0 { width } else { expected.width },
            height: if height > 0 { height } else { expected.height },
            fps: seen(gauge.fps, expected.fps),
            bits_per_second: seen(gauge.bits_per_second, expected.bits_per_second),
            key_interval_s: status.key_interval.map_or(expected.key_interval_s, |d| d.as_secs_f64()),
        }
    }

    /// How often it jumped because it was late, since the call before.
    pub fn late_since_last(&self) -> u64 {
        let jumps = self.decode.status().keyframe_jumps;
        let mut gauge = self.gauge.lock().unwrap_or_else(PoisonError::into_inner);
        jumps.saturating_sub(std::mem::replace(&mut gauge.jumps, jumps))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.decode.close();
    }
}

/// What a stream of this camera brings, until it is seen: as configured, else what is usual.
pub(super) fn expected_load(camera: &CameraSpec, profile: &str) -> StreamLoad {
    let main = StreamLoad {
        codec: Codec::H264,
        width: 1920,
        height: 1080,
        fps: 25.0,
        bits_per_second: 4e6,
        key_interval_s: 2.0,
    };
    let usual = match profile {
        "main" => main,
        _ => StreamLoad { width: 640, height: 360, fps: 12.5, bits_per_second: 4e5, ..main },
    };
    let Some(facts) = camera.streams.get(profile) else { return usual };
    let (width, height) = facts.size.unwrap_or((usual.width, usual.height));
    StreamLoad {
        codec: facts.codec.unwrap_or(usual.codec),
        width,
        height,
        fps: facts.frame_rate.map_or(usual.fps, |r| r.as_f64()),
        bits_per_second: facts.kbps.map_or(usual.bits_per_second, |k| 1000.0 * f64::from(k)),
        key_interval_s: usual.key_interval_s,
    }
}
