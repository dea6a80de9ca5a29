//! One stream of a camera: its connection, its decoder, its fitter, and what it costs.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::camera::Rooms;
use crate::base::Moment;
use crate::config::CameraSpec;
use crate::decode::DecodeHandle;
use crate::effort::{Decision, StreamLoad};
use crate::fit::{FitStatus, Fitter, SharedTargets};
use crate::ingest::{Feed, SourceState};
use crate::media::{Codec, SourceRef, VideoParameters};
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

/// Seconds from one reading of a stream's rates to the next; the first comes sooner.
const READINGS: f64 = 2.0;
const FIRST_READING: f64 = 1.0;

impl Gauge {
    /// Learns rates from what was received so far. They count from the first unit on: what connecting took
    /// says nothing about the stream.
    fn read(&mut self, now: Moment, units: u64, bytes: u64) {
        let elapsed = now.since(self.at).as_secs_f64();
        let wait = if self.fps > 0.0 { READINGS } else { FIRST_READING };
        if self.units == 0 && units > 0 {
            (self.at, self.units, self.bytes) = (now, units, bytes);
        } else if elapsed >= wait {
            let fresh = |count: u64, before: u64| count.saturating_sub(before) as f64 / elapsed;
            let smooth = |old: f64, new: f64| if old > 0.0 { 0.7 * old + 0.3 * new } else { new };
            self.fps = smooth(self.fps, fresh(units, self.units));
            self.bits_per_second = smooth(self.bits_per_second, 8.0 * fresh(bytes, self.bytes));
            (self.at, self.units, self.bytes) = (now, units, bytes);
        }
    }
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
        let mut gauge = self.gauge.lock();
        let since = nanos.saturating_sub(gauge.nanos);
        gauge.nanos = nanos;
        Duration::from_nanos(since)
    }

    /// What it brings, as it was seen so far, over `expected` where nothing was.
    pub fn load(&self, now: Moment, expected: &StreamLoad) -> StreamLoad {
        let status = self.feed.status();
        let mut gauge = self.gauge.lock();
        gauge.read(now, status.units, status.bytes);
        let parameters = status.parameters.as_ref();
        let expected = parameters.map_or(*expected, |seen| sized(expected, seen));
        let seen = |measured: f64, expected: f64| if measured > 0.0 { measured } else { expected };
        StreamLoad {
            fps: seen(gauge.fps, expected.fps),
            bits_per_second: seen(gauge.bits_per_second, expected.bits_per_second),
            key_interval_s: status.key_interval.map_or(expected.key_interval_s, |d| d.as_secs_f64()),
            ..expected
        }
    }

    /// How often it jumped because it was late, since the call before.
    pub fn late_since_last(&self) -> u64 {
        let jumps = self.decode.status().keyframe_jumps;
        let mut gauge = self.gauge.lock();
        jumps.saturating_sub(std::mem::replace(&mut gauge.jumps, jumps))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.decode.close();
    }
}

/// What is expected of a stream whose parameters are known: another size has as many bits as encoders need
/// more or fewer for it.
fn sized(expected: &StreamLoad, seen: &VideoParameters) -> StreamLoad {
    let mut load = StreamLoad { codec: seen.codec, ..*expected };
    if seen.width > 0 && seen.height > 0 {
        let pixels = |width: u32, height: u32| f64::from(width.max(1)) * f64::from(height.max(1));
        let ratio = pixels(seen.width, seen.height) / pixels(expected.width, expected.height);
        load.bits_per_second *= ratio.powf(0.75);
        (load.width, load.height) = (seen.width, seen.height);
    }
    load
}

/// What a stream of this camera brings, until it is seen: as configured, else what is usual. An address
/// alone says nothing, whatever its profile is called: it is taken for a small stream until its first
/// pictures tell, so that a wall does not begin below what it can do; thousands of them are still counted.
pub(super) fn expected_load(camera: &CameraSpec, profile: &str) -> StreamLoad {
    let main = StreamLoad {
        codec: Codec::H264,
        width: 1920,
        height: 1080,
        fps: 25.0,
        bits_per_second: 4e6,
        key_interval_s: 2.0,
    };
    let usual = if profile == "main" && camera.profiles.len() > 1 {
        main
    } else {
        StreamLoad { width: 640, height: 360, fps: 12.5, bits_per_second: 4e5, ..main }
    };
    let Some(facts) = camera.streams.get(profile) else { return usual };
    let (width, height) = facts.size.unwrap_or((usual.width, usual.height));
    let told =
        VideoParameters { width, height, ..VideoParameters::unknown(facts.codec.unwrap_or(usual.codec)) };
    let usual = sized(&usual, &told);
    StreamLoad {
        fps: facts.frame_rate.map_or(usual.fps, |r| r.as_f64()),
        bits_per_second: facts.kbps.map_or(usual.bits_per_second, |k| 1000.0 * f64::from(k)),
        ..usual
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::base::{Clock, SimClock};
    use crate::config::WallSpec;
    use crate::effort::{CostModel, EffortSettings, Governor, Load, Plan, ProfileLoad, Wish};

    fn camera(lines: &str) -> CameraSpec {
        let text = format!("[[camera]]\nid = \"a\"\n{lines}\n[[screen]]\ngrid = \"2x2\"\n");
        WallSpec::from_toml(&text, "wall.toml").unwrap().cameras.remove(0)
    }

    fn by_address() -> StreamLoad {
        expected_load(&camera("uri = \"rtsp://h/1\""), "main")
    }

    #[test]
    fn an_address_alone_says_nothing_of_its_stream() {
        assert_eq!((by_address().width, by_address().fps), (640, 12.5));
        let two = camera("profiles = { main = \"rtsp://h/1\", sub = \"rtsp://h/2\" }");
        let sizes = ["main", "sub"].map(|profile| expected_load(&two, profile).height);
        assert_eq!(sizes, [1080, 360], "who offers two streams has a large one");
    }

    #[test]
    fn another_size_than_expected_has_other_bits() {
        let seen = |width, height| VideoParameters { width, height, ..VideoParameters::unknown(Codec::H265) };
        let large = sized(&by_address(), &seen(1920, 1080));
        assert_eq!((large.width, large.height, large.codec), (1920, 1080, Codec::H265));
        assert!((1.5e6..4e6).contains(&large.bits_per_second), "{}", large.bits_per_second);
        assert_eq!(sized(&by_address(), &seen(0, 0)).bits_per_second, 4e5, "a size that is not known yet");
        assert_eq!(sized(&large, &seen(1920, 1080)), large, "the same again changes nothing");
    }

    #[test]
    fn rates_count_from_the_first_unit_on() {
        let mut gauge = Gauge::default();
        let at = |ms: u64| Moment(ms * 1_000_000);
        // Three seconds to connect, then 25 units of 1,000 bytes a second.
        for ms in (0..3000).step_by(500) {
            gauge.read(at(ms), 0, 0);
        }
        gauge.read(at(3000), 1, 1000);
        assert_eq!(gauge.fps, 0.0);
        gauge.read(at(4000), 26, 26_000);
        assert_eq!((gauge.fps, gauge.bits_per_second), (25.0, 200_000.0), "a second later");
    }

    /// Decides for so many cameras in tiles of one size, on two cores.
    fn decided(
        governor: &mut Governor,
        clock: &SimClock,
        load: StreamLoad,
        count: usize,
        size: (u32, u32),
    ) -> Plan {
        let profiles = vec![ProfileLoad { name: "main".into(), load }];
        let camera = |n: usize| Wish {
            camera: format!("c{n}").as_str().into(),
            sizes: vec![size],
            pinned: false,
            priority: 100,
            live: false,
            profiles: profiles.clone(),
        };
        let wishes: Vec<Wish> = (0..count).map(camera).collect();
        clock.advance(Duration::from_secs(1));
        let machine = Load { cores: 2.0, ..Load::default() };
        governor.observe(clock.now(), &wishes, &machine);
        governor.plan(clock.now(), &wishes, &[], &machine)
    }

    /// The reference and, where it lies there, a model that was measured; each also twice as dear.
    fn models() -> Vec<CostModel> {
        let mut models = vec![CostModel::reference()];
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases/kept-model/cost.json");
        match CostModel::load(&kept) {
            Ok(model) => models.push(model),
            Err(error) => println!("skipped: {error}"),
        }
        let mut dear = CostModel::reference();
        for cost in dear.decode.iter_mut().flat_map(|d| [&mut d.key, &mut d.other]) {
            (cost.picture_s, cost.pixel_s, cost.bit_s) =
                (2.0 * cost.picture_s, 2.0 * cost.pixel_s, 2.0 * cost.bit_s);
        }
        models.push(dear);
        models
    }

    #[test]
    fn cameras_by_address_begin_with_all_their_pictures_and_come_down_once_they_are_seen() {
        for model in models() {
            let clock = SimClock::new();
            let mut governor = Governor::new(EffortSettings::default(), model);
            let begun = decided(&mut governor, &clock, by_address(), 16, (480, 270));
            assert_eq!(begun.degraded().count(), 0, "{} of {}", begun.demand, begun.available);
            // Large ones, as it turns out, and too many of them: within the second.
            let large =
                StreamLoad { width: 3840, height: 2160, fps: 25.0, bits_per_second: 1e7, ..by_address() };
            let seen = decided(&mut governor, &clock, large, 16, (480, 270));
            assert!(seen.degraded().count() > 0 && seen.demand <= seen.available, "{seen:?}");
        }
    }

    #[test]
    fn thousands_of_addresses_are_counted_from_the_start() {
        for (count, size) in [(4000, (120, 66)), (300, (240, 136))] {
            let mut governor = Governor::new(EffortSettings::default(), CostModel::reference());
            let plan = decided(&mut governor, &SimClock::new(), by_address(), count, size);
            assert!(plan.deserved > plan.available, "{} of {}", plan.deserved, plan.available);
            assert!(plan.degraded().count() > 0 && plan.demand <= plan.available, "{count}");
        }
    }
}
