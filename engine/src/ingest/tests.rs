//! The supervisor on simulated time, and whole feeds against servers that misbehave.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::meter::Meter;
use super::supervisor::{Connector, Supervisor};
use super::*;
use crate::base::{Clock, Moment, SystemClock};
use crate::media::{CameraId, Pts};
use crate::source::testing::{
    Recorder, SDP_H264_BARE, Script, ScriptedCamera, clip, mute_server, wait_until,
};
use crate::source::{Authority, CameraUri, Patience};

/// Tokio's paused time as a clock: a day passes as fast as its events can be run.
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Moment {
        Moment(u64::try_from(self.0.elapsed().as_nanos()).expect("a short test"))
    }
    fn wall(&self) -> Duration {
        Duration::from_secs(1_700_000_000) + self.0.elapsed()
    }
}

type Act = Arc<dyn Fn(u32, Arc<dyn UnitSink>, SharedClock) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// A camera that does what a closure says; notes when it was tried.
struct Actor {
    act: Act,
    tries: Arc<AtomicU32>,
    times: Arc<Mutex<Vec<Moment>>>,
    clock: SharedClock,
}

impl Connector for Actor {
    fn run<'a>(&'a self, sink: Arc<dyn UnitSink>, _: &'a Shutdown) -> BoxFuture<'a, Result<()>> {
        let n = self.tries.fetch_add(1, Ordering::SeqCst);
        self.times.lock().push(self.clock.now());
        (self.act)(n, sink, self.clock.clone())
    }

    fn withdrawn(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

struct Stage {
    clock: SharedClock,
    stop: Shutdown,
    sites: Sites,
}

impl Stage {
    fn new() -> Stage {
        let clock: SharedClock = Arc::new(PausedClock(tokio::time::Instant::now()));
        Stage { clock, stop: Shutdown::new(), sites: Sites::default() }
    }

    fn play(&self, site: Option<&str>, act: Act) -> (Arc<Meter>, Arc<Recorder>, Arc<Mutex<Vec<Moment>>>) {
        let recorder = Recorder::new();
        let meter = Meter::new(recorder.clone(), self.clock.clone(), Patience::default());
        let times = Arc::new(Mutex::new(Vec::new()));
        let supervisor = Supervisor {
            connector: Actor { act, tries: Arc::default(), times: times.clone(), clock: self.clock.clone() },
            camera: reference("gate"),
            meter: meter.clone(),
            sites: self.sites.clone(),
            site: site.map(str::to_owned),
            patience: Patience::default(),
            clock: self.clock.clone(),
            stop: self.stop.clone(),
        };
        tokio::spawn(supervisor.run());
        (meter, recorder, times)
    }
}

fn reference(id: &str) -> SourceRef {
    SourceRef { camera: CameraId::from(id), profile: "main".into(), generation: 1 }
}

fn unit(clock: &SharedClock, random_access: bool) -> AccessUnit {
    let (pts, data) = (Pts(0), Bytes::from_static(&[0, 0, 0, 1, 0x65, 1]));
    AccessUnit {
        pts,
        arrival: clock.now(),
        captured: None,
        random_access,
        disposable: false,
        loss: false,
        data,
    }
}

fn fail(kind: ErrorKind) -> Act {
    Arc::new(move |_, _, _| async move { Err(Error::new(kind, "gate", "scripted")) }.boxed())
}

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(start_paused = true)]
async fn a_day_of_a_dead_camera_runs_at_once() {
    let stage = Stage::new();
    let (meter, recorder, times) = stage.play(Some("host"), fail(ErrorKind::Unreachable));
    tokio::time::sleep(DAY).await;
    let tries = times.lock().len();
    // Full jitter below 30 s: 15 s in the mean, 5760 a day; the spread of their sum is below 2 %.
    assert!((5400..6150).contains(&tries), "{tries}");
    let status = meter.status();
    let SourceState::Offline { since_ms, .. } = status.state else { panic!("{:?}", status.state) };
    assert!(since_ms < 1_700_000_001_000, "offline since the first failure, not the last");
    assert_eq!(status.reconnects + 1, tries as u64);
    assert_eq!(recorder.units(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_seldom() {
    let stage = Stage::new();
    let (meter, _, times) = stage.play(Some("host"), fail(ErrorKind::Credentials));
    tokio::time::sleep(DAY).await;
    let times = times.lock().clone();
    assert!((26..=31).contains(&times.len()), "{}", times.len());
    let first_hour = times.iter().filter(|t| t.0 < 3_600_000_000_000).count();
    assert!(first_hour <= 6, "{first_hour} in the first hour");
    let state = meter.status().state;
    assert!(
        matches!(&state, SourceState::Offline { reason, .. } if reason.starts_with("login refused: ")),
        "{state:?}"
    );
    assert_eq!(meter.status().error_kind, Some(ErrorKind::Credentials));
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_grant_ends_it() {
    let stage = Stage::new();
    let (meter, _, times) = stage.play(None, fail(ErrorKind::NotGranted));
    tokio::time::sleep(DAY).await;
    assert_eq!(times.lock().len(), 1);
    assert!(matches!(meter.status().state, SourceState::Refused { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_cameras_that_return_at_once_do_not_storm_their_site() {
    let stage = Stage::new();
    let up = Arc::new(AtomicU64::new(u64::MAX));
    let act: Act = {
        let up = up.clone();
        Arc::new(move |_, _, clock| {
            let up = up.clone();
            async move {
                if clock.now().0 < up.load(Ordering::SeqCst) {
                    return Err(Error::new(ErrorKind::Unreachable, "gate", "down"));
                }
                std::future::pending().await
            }
            .boxed()
        })
    };
    let all: Vec<_> = (0..1000).map(|_| stage.play(Some("recorder"), act.clone()).2).collect();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let back = stage.clock.now();
    up.store(back.0, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(8)).await;
    let mut times: Vec<Moment> = all.iter().flat_map(|t| t.lock().clone()).collect();
    times.sort();
    let rate = SiteRate::default();
    let most = times.windows(40).map(|w| w[39].since(w[0])).min().expect("many tries");
    // 40 tries in a row never come faster than the burst of 20 and 20 more at the rate.
    assert!(most >= Duration::from_secs_f64(19.0 / rate.per_second), "{most:?}");
    // With 1000 cameras the site's rate is what limits, all the time.
    assert!(times.len() as f64 <= 608.0 * rate.per_second + 40.0, "{}", times.len());
    let after: usize = times.iter().filter(|t| **t >= back).count();
    assert!((100..=180).contains(&after), "{after} in 8 s");
    // `pending` gives no units: the watchdog ends those runs after the patience; not in these 8 s.
}

#[tokio::test(start_paused = true)]
async fn silence_is_stalled_first_and_then_connected_anew() {
    let stage = Stage::new();
    let act: Act = Arc::new(|_, sink, clock| {
        async move {
            for i in 0..100 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                sink.unit(unit(&clock, i % 10 == 0));
            }
            std::future::pending().await
        }
        .boxed()
    });
    let (meter, recorder, times) = stage.play(None, act);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(meter.status().state, SourceState::Live);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(meter.status().state, SourceState::Stalled);
    assert_eq!(times.lock().len(), 1);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(times.lock().len(), 2, "connected anew");
    let status = meter.status();
    assert_eq!(status.state, SourceState::Live, "and live again");
    assert_eq!(status.error_kind, Some(ErrorKind::Unreachable));
    assert!(status.last_error.is_some_and(|e| e.contains("went silent")));
    assert_eq!(recorder.get().discontinuities, [100]);
    assert!(meter.newest_key_unit().is_some_and(|u| u.random_access));
}

/// A camera that sends a key frame when it is called, and then a picture after each of these gaps, in
/// milliseconds, counted from its start: it goes on where it is, whoever calls.
fn paced(gaps: impl IntoIterator<Item = u64>) -> Act {
    let mut at = 0;
    let times: Arc<Vec<u64>> = Arc::new(
        gaps.into_iter()
            .map(|gap| {
                at += gap;
                at
            })
            .collect(),
    );
    Arc::new(move |_, sink, clock| {
        let times = times.clone();
        async move {
            sink.unit(unit(&clock, true));
            for time in times.iter() {
                let now = clock.now();
                let due = Moment(time * 1_000_000);
                if due > now {
                    tokio::time::sleep(due.since(now)).await;
                    sink.unit(unit(&clock, false));
                }
            }
            std::future::pending().await
        }
        .boxed()
    })
}

/// What is said of a camera from second to second, each only where it changed.
async fn told(meter: &Meter, seconds: u64) -> Vec<SourceState> {
    let mut all: Vec<SourceState> = Vec::new();
    for _ in 0..seconds * 4 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let state = match meter.status().state {
            SourceState::Offline { .. } => SourceState::Offline { since_ms: 0, reason: String::new() },
            state => state,
        };
        if all.last() != Some(&state) {
            all.push(state);
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn slow_cameras_are_live_for_hours_on_one_connection() {
    for interval in [2_500, 6_667, 20_000] {
        let stage = Stage::new();
        let (meter, _, times) = stage.play(None, paced((0..720).map(|_| interval)));
        assert_eq!(told(&meter, 710 * interval / 1000).await, [SourceState::Live], "{interval}");
        assert_eq!(times.lock().len(), 1, "{interval}");
        stage.stop.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_falls_asleep_and_wakes_up_is_called_again_once_at_most() {
    let day = || (0..3_000).map(|_| 40);
    let night = (0..100).map(|_| 5_000);
    let stage = Stage::new();
    let (meter, _, times) = stage.play(None, paced(day().chain(night).chain(day())));
    let told = told(&meter, 120 + 500 + 110).await;
    let calls = times.lock().len();
    assert!(calls <= 2 && told.iter().filter(|s| **s == SourceState::Stalled).count() <= 2, "{told:?}");
    assert_eq!(meter.status().state, SourceState::Live);
    // Awake again, it is noticed as soon as any other when it stops.
    tokio::time::sleep(Duration::from_secs(10 + 4)).await;
    assert_eq!(meter.status().state, SourceState::Stalled);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(times.lock().len(), calls + 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_camera_whose_server_sends_what_it_kept_at_once_is_not_called_for_ever() {
    let act: Act = Arc::new(|_, sink, clock| {
        async move {
            for n in 0..20 {
                sink.unit(unit(&clock, n == 0));
            }
            loop {
                tokio::time::sleep(Duration::from_secs(12)).await;
                for n in 0..20 {
                    sink.unit(unit(&clock, n == 0));
                }
            }
        }
        .boxed()
    });
    let stage = Stage::new();
    let (meter, _, times) = stage.play(None, act);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert!(times.lock().len() <= 3, "{:?}", times.lock());
    assert_eq!(meter.status().error_kind, Some(ErrorKind::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn nothing_passes_before_a_key_frame_nor_after_the_run() {
    let stage = Stage::new();
    let kept: Arc<Mutex<Vec<Arc<dyn UnitSink>>>> = Arc::default();
    let act: Act = {
        let kept = kept.clone();
        Arc::new(move |_, sink, clock| {
            kept.lock().push(sink.clone());
            async move {
                for random_access in [false, false, true, false] {
                    sink.unit(unit(&clock, random_access));
                }
                Err(Error::new(ErrorKind::Unreachable, "gate", "gone"))
            }
            .boxed()
        })
    };
    let (meter, recorder, times) = stage.play(None, act);
    while times.lock().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let status = meter.status();
    assert_eq!((recorder.units(), status.units, status.skipped), (4, 4, 4));
    // The first run's sink is dead, whatever its pipeline still sends.
    let old = kept.lock()[0].clone();
    old.unit(unit(&stage.clock, true));
    old.discontinuity();
    assert_eq!(recorder.units(), 4);
    meter.close();
    let newest = kept.lock().last().cloned().expect("a sink");
    newest.unit(unit(&stage.clock, true));
    assert_eq!(recorder.units(), 4);
    assert!(meter.newest_key_unit().is_none());
}

#[tokio::test(start_paused = true)]
async fn key_frames_of_a_burst_are_apart_as_they_are_handed_on() {
    let stage = Stage::new();
    let act: Act = Arc::new(|n, sink, clock| {
        async move {
            // Each connection begins with a burst that came at once: two key frames, two seconds apart.
            let arrival = clock.now();
            for key in 0..4 {
                sink.unit(AccessUnit { arrival, ..unit(&clock, key % 2 == 0) });
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            if n == 0 {
                Err(Error::new(ErrorKind::Unreachable, "gate", "gone"))
            } else {
                std::future::pending().await
            }
        }
        .boxed()
    });
    let (meter, _, times) = stage.play(None, act);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(meter.status().key_interval, Some(Duration::from_secs(2)));
    while times.lock().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(meter.status().key_interval, Some(Duration::from_secs(2)), "not the gap between connections");
}

#[tokio::test(start_paused = true)]
async fn a_panicking_library_costs_one_connection() {
    let stage = Stage::new();
    let act: Act = Arc::new(|n, sink, clock| {
        async move {
            assert!(n > 0, "on purpose");
            sink.unit(unit(&clock, true));
            std::future::pending().await
        }
        .boxed()
    });
    let (meter, _, _) = stage.play(None, act);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(meter.status().state, SourceState::Live);
    assert_eq!(meter.status().error_kind, Some(ErrorKind::Internal));
}

// From here on: real sockets, real time.

fn open(ingest: &Ingest, uri: &str, patience: Patience) -> (Feed, Arc<Recorder>) {
    let recorder = Recorder::new();
    let config = SourceConfig { patience, ..SourceConfig::new(CameraUri::parse(uri).expect("valid")) };
    let grant = Authority::owner().grant(&"gate".into());
    (ingest.open(reference("gate"), config, grant, recorder.clone()), recorder)
}

fn start() -> Ingest {
    Ingest::start(1, SystemClock::shared(), &Shutdown::new()).expect("threads")
}

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_camera_that_is_down_at_the_start_comes_alive() {
    let units = clip("libx264", "160x120", &[]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let ingest = start();
    let (feed, recorder) = open(&ingest, &format!("rtsp://{address}/live"), Patience::default());
    assert!(wait_until(LIMIT, || matches!(feed.status().state, SourceState::Offline { .. })));
    let _camera = ScriptedCamera::on(
        TcpListener::bind(address).expect("the same port"),
        vec![Script::of(SDP_H264_BARE, &units)],
    );
    assert!(wait_until(LIMIT, || recorder.units() >= 20), "{:?}", feed.status());
    assert_eq!(feed.status().state, SourceState::Live);
    assert!(feed.newest_key_unit().is_some());
}

#[test]
fn a_camera_that_goes_away_comes_back_and_starts_with_a_key_frame() {
    let units = clip("libx264", "160x120", &[]);
    let ends = Script { then_silent: false, ..Script::of(SDP_H264_BARE, &units[..15]) };
    // The second life begins in the middle of a GOP.
    let camera = ScriptedCamera::start(vec![ends, Script::of(SDP_H264_BARE, &units[5..])]);
    let ingest = start();
    let (feed, recorder) = open(&ingest, &camera.uri(), Patience::default());
    assert!(wait_until(LIMIT, || recorder.units() >= 30), "{:?}", feed.status());
    let recorded = recorder.get();
    assert_eq!(recorded.discontinuities.len(), 1);
    let second = &recorded.units[recorded.discontinuities[0]];
    assert!(second.random_access, "a new life starts with a random-access unit");
    let status = feed.status();
    assert_eq!((status.reconnects, status.skipped), (1, 5));
}

#[test]
fn a_server_that_never_speaks_and_one_that_goes_silent_are_given_up() {
    let patience = Patience { connect: Duration::from_millis(300), silence: Duration::from_millis(400) };
    let ingest = start();
    let (mute, _) = open(&ingest, &format!("rtsp://{}/live", mute_server()), patience);
    let units = clip("libx264", "160x120", &[]);
    let camera = ScriptedCamera::start(vec![Script::of(SDP_H264_BARE, &units[..10])]);
    let (silent, _) = open(&ingest, &camera.uri(), patience);
    assert!(wait_until(LIMIT, || mute.status().reconnects >= 1), "{:?}", mute.status());
    assert!(mute.status().last_error.is_some_and(|e| e.contains("sent no video in time")));
    assert!(wait_until(LIMIT, || silent.status().reconnects >= 1), "{:?}", silent.status());
    assert!(silent.status().last_error.is_some_and(|e| e.contains("went silent")));
}

#[test]
fn dropping_a_feed_ends_its_units_and_tells_the_camera() {
    let units: Vec<_> = (0..20).flat_map(|_| clip("libx264", "160x120", &[])).collect();
    let camera = ScriptedCamera::start(vec![Script::of(SDP_H264_BARE, &units)]);
    let ingest = start();
    let (feed, recorder) = open(&ingest, &camera.uri(), Patience::default());
    assert!(wait_until(LIMIT, || recorder.units() >= 5), "{:?}", feed.status());
    drop(feed);
    let after = recorder.units();
    drop(ingest);
    assert!(recorder.units() <= after + 1, "at most the unit that was on its way");
}

#[test]
fn dropping_ingest_tells_the_cameras() {
    let units = clip("libx264", "160x120", &[]);
    let camera = ScriptedCamera::start(vec![Script::of(SDP_H264_BARE, &units[..10])]);
    let ingest = start();
    let (_feed, recorder) = open(&ingest, &camera.uri(), Patience::default());
    assert!(wait_until(LIMIT, || recorder.units() >= 8));
    drop(ingest);
    assert!(wait_until(Duration::from_secs(2), || camera.teardowns.load(Ordering::SeqCst) == 1));
}
