//! Connects to a camera for a few seconds and says what it sends.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;

use super::{Authority, Source, SourceConfig, StreamDescription, UnitSink};
use crate::base::{Error, ErrorKind, Moment, Result, SharedClock, Shutdown};
use crate::media::annex_b::nal_units;
use crate::media::{AccessUnit, CameraId, Codec, VideoParameters};

/// What a camera sends, as seen for a few seconds.
#[derive(Clone, Debug, Serialize)]
pub struct ProbeReport {
    /// The address, without credentials.
    pub address: String,
    /// Client, transport, server and streams.
    #[serde(flatten)]
    pub description: StreamDescription,
    /// Codec, size, pixel aspect and nominal frame rate.
    pub video: Option<VideoParameters>,
    /// Access units seen.
    pub units: usize,
    /// Seconds from the first to the last of them.
    pub seconds: f64,
    /// Pictures per second, by their timestamps.
    pub fps: Option<f64>,
    /// Kilobits per second, by when they were handed on.
    pub kbps: Option<f64>,
    /// Pictures from one random-access unit to the next: mean, where at least one whole GOP was seen.
    pub gop_mean: Option<f64>,
    /// The longest one.
    pub gop_longest: Option<usize>,
    /// Pictures come in another order than they are shown.
    pub b_frames: bool,
    /// Share of pictures that no other refers to, 0 to 1.
    pub disposable: f64,
    /// RTCP sender reports gave capture times.
    pub sender_reports: bool,
    /// The camera's clock minus this machine's, with the time on the way, in milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// How often packets were lost.
    pub lost_events: usize,
    /// Milliseconds from the start to the first access unit.
    pub first_unit_ms: Option<u64>,
    /// Milliseconds from the start to the first random-access unit: how long a viewer waits.
    pub first_key_frame_ms: Option<u64>,
}

/// Watches a source for `duration` from its first access unit on; at most
/// [`super::Patience::connect`] longer.
pub async fn probe(config: SourceConfig, duration: Duration, clock: &SharedClock) -> Result<ProbeReport> {
    let camera = CameraId::new(config.uri.to_string());
    let grant = Authority::owner().grant(&camera);
    let watcher = Arc::new(Watcher::new(clock.clone()));
    let (started, shutdown) = (clock.now(), Shutdown::new());
    let (address, patience) = (config.uri.to_string(), config.patience);
    let source = Source::new(config);
    let enough = async {
        let mut end = started + patience.connect;
        let mut seen_any = false;
        while clock.now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Some(first) = watcher.lock().units.first().filter(|_| !seen_any) {
                (seen_any, end) = (true, first.came + duration);
            }
        }
        shutdown.cancel();
        std::future::pending::<Result<()>>().await
    };
    let result = tokio::select! {
        result = source.run(&camera, &grant, watcher.clone(), clock, &shutdown) => result,
        result = enough => result,
    };
    let seen = watcher.lock();
    if seen.units.is_empty() {
        result?;
        let waited = patience.connect.as_secs_f32();
        let message = format!("was reached but sent no video within {waited} s");
        return Err(Error::new(ErrorKind::Unreachable, address, message));
    }
    let offset = |u: &Unit| u.clock_offset_ms;
    let mut report = seen.measure(address, started);
    report.clock_offset_ms = seen.units.iter().rev().find_map(offset);
    report.sender_reports = report.clock_offset_ms.is_some();
    Ok(report)
}

struct Watcher {
    clock: SharedClock,
    seen: Mutex<Measured>,
}

#[derive(Default)]
struct Measured {
    description: StreamDescription,
    video: Option<VideoParameters>,
    profile: Option<String>,
    units: Vec<Unit>,
}

#[derive(Clone, Copy)]
struct Unit {
    pts: i64,
    /// When it was handed on: a live playlist's arrive at once.
    came: Moment,
    bytes: usize,
    random_access: bool,
    disposable: bool,
    loss: bool,
    clock_offset_ms: Option<i64>,
}

impl Watcher {
    fn new(clock: SharedClock) -> Watcher {
        Watcher { clock, seen: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.seen.lock()
    }
}

impl UnitSink for Watcher {
    fn parameters(&self, parameters: &VideoParameters) {
        self.lock().video = Some(parameters.clone());
    }
    fn unit(&self, unit: AccessUnit) {
        let wall = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let offset = |captured: Duration| captured.as_millis() as i64 - wall.as_millis() as i64;
        let came = self.clock.now();
        let mut seen = self.lock();
        if unit.random_access && seen.profile.is_none() {
            let codec = seen.video.as_ref().map(|v| v.codec);
            seen.profile = codec.and_then(|codec| profile_of(codec, &unit.data));
        }
        seen.units.push(Unit {
            pts: unit.pts.0,
            came,
            bytes: unit.data.len(),
            random_access: unit.random_access,
            disposable: unit.disposable,
            loss: unit.loss,
            clock_offset_ms: unit.captured.map(offset),
        });
    }
    fn discontinuity(&self) {}
    fn described(&self, description: &StreamDescription) {
        self.lock().description = description.clone();
    }
}

impl Measured {
    fn measure(&self, address: String, started: Moment) -> ProbeReport {
        let units = &self.units;
        let (first, last) = (units.first(), units.last());
        let seconds = first.zip(last).map_or(0.0, |(a, b)| b.came.since(a.came).as_secs_f64());
        let span = units.iter().map(|u| u.pts).max().zip(units.iter().map(|u| u.pts).min());
        let pts_seconds = span.map_or(0.0, |(max, min)| (max - min) as f64 / 1e9);
        let keys: Vec<usize> = (0..units.len()).filter(|i| units[*i].random_access).collect();
        let gops: Vec<usize> = keys.windows(2).map(|w| w[1] - w[0]).collect();
        let later = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let after = |u: &Unit| u64::try_from(u.came.since(started).as_millis()).unwrap_or(u64::MAX);
        // The first unit's bytes came before the measured time began.
        let bytes: usize = units.iter().skip(1).map(|u| u.bytes).sum();
        let mut description = self.description.clone();
        description.profile = self.profile.clone().or(description.profile);
        ProbeReport {
            address,
            description,
            video: self.video.clone(),
            units: units.len(),
            seconds,
            fps: later(units.len().saturating_sub(1) as f64, pts_seconds),
            kbps: later(bytes as f64 * 8.0 / 1000.0, seconds),
            gop_mean: later(gops.iter().sum::<usize>() as f64, gops.len() as f64),
            gop_longest: gops.iter().max().copied(),
            b_frames: units.windows(2).any(|w| w[1].pts < w[0].pts && w[0].pts - w[1].pts < 1_000_000_000),
            disposable: later(units.iter().filter(|u| u.disposable).count() as f64, units.len() as f64)
                .unwrap_or(0.0),
            sender_reports: false,
            clock_offset_ms: None,
            lost_events: units.iter().filter(|u| u.loss).count(),
            first_unit_ms: first.map(after),
            first_key_frame_ms: units.iter().find(|u| u.random_access).map(after),
        }
    }
}

/// Profile and level in words, from the sequence parameter set of a random-access unit.
fn profile_of(codec: Codec, data: &[u8]) -> Option<String> {
    match codec {
        Codec::H264 => {
            let sps = nal_units(data).find(|n| n[0] & 0x1f == 7)?;
            let (profile, constraints, level) = (*sps.get(1)?, *sps.get(2)?, *sps.get(3)?);
            let name = match profile {
                66 if constraints & 0x40 != 0 => "Constrained Baseline",
                66 => "Baseline",
                77 => "Main",
                88 => "Extended",
                100 => "High",
                110 => "High 10",
                122 => "High 4:2:2",
                244 => "High 4:4:4",
                _ => return Some(format!("profile {profile}, level {}", f64::from(level) / 10.0)),
            };
            Some(format!("{name}, level {}", f64::from(level) / 10.0))
        }
        Codec::H265 => {
            let sps = unescaped(nal_units(data).find(|n| (n[0] >> 1) & 0x3f == 33)?);
            // Two bytes of header, one with the sub-layers, then profile_tier_level().
            let (profile, level) = (sps.get(3)? & 0x1f, *sps.get(14)?);
            let name = match profile {
                1 => "Main",
                2 => "Main 10",
                3 => "Main Still Picture",
                4 => "Range Extensions",
                _ => return Some(format!("profile {profile}, level {}", f64::from(level) / 30.0)),
            };
            Some(format!("{name}, level {}", f64::from(level) / 30.0))
        }
        Codec::Mjpeg | Codec::Mpeg4 => None,
    }
}

/// A NAL unit without its emulation prevention bytes (`00 00 03`).
fn unescaped(nal: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for byte in nal {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::base::SimClock;
    use crate::media::Pts;

    #[test]
    fn rates_of_a_playlist_count_as_its_pictures_are_handed_on() {
        let clock = SimClock::new();
        let watcher = Watcher::new(clock.clone());
        for n in 0..=100_i64 {
            watcher.unit(AccessUnit {
                pts: Pts(n * 40_000_000),
                // A segment of four seconds, read at once.
                arrival: Moment(0),
                captured: None,
                random_access: n % 50 == 0,
                disposable: false,
                loss: false,
                data: Bytes::from_static(&[0; 1000]),
            });
            clock.advance(Duration::from_millis(40));
        }
        let report = watcher.lock().measure("http://gate/live.m3u8".into(), Moment(0));
        assert_eq!((report.seconds, report.kbps, report.fps), (4.0, Some(200.0), Some(25.0)));
    }
}
