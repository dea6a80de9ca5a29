//! A wall of one simulated camera that fills its screen, and live pictures of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use vitrail_control::live::{Hooks, Live, LiveConfig, Watcher};
use vitrail_engine::base::SystemClock;
use vitrail_engine::config::WallSpec;
use vitrail_engine::encode::Rate;
use vitrail_engine::media::{Codec, Ratio};
use vitrail_engine::source::Authority;
use vitrail_engine::wall::Wall;
use vitrail_simulator::{Config, Profile, Simulator};

use super::viewer::{Client, Viewing};

/// Dropped in this order: viewers' server, wall, camera.
pub struct Stage {
    pub live: Arc<Live>,
    pub wall: Arc<Wall>,
    pub authority: Authority,
    _simulator: Simulator,
    pub screen: String,
    pub runtime: tokio::runtime::Runtime,
}

/// What a test wants other than usual.
pub struct Wish {
    pub size: (u32, u32),
    pub fps: u32,
    pub codec: Codec,
    pub preset: &'static str,
    pub viewers: usize,
    /// Bits; left out, as a wall file without them.
    pub rate: Option<Rate>,
}

impl Default for Wish {
    fn default() -> Wish {
        Wish { size: (640, 360), fps: 25, codec: Codec::H264, preset: "veryfast", viewers: 32, rate: None }
    }
}

impl Stage {
    /// Starts it, and waits for the camera to be live.
    pub fn start(wish: Wish) -> Stage {
        let clock = SystemClock::shared();
        let cache = Some(concat!(env!("CARGO_TARGET_TMPDIR"), "/loops").into());
        let config = Config { codecs: vec![Codec::H264], cache, clock: clock.clone(), ..Config::default() };
        let simulator = Simulator::start(config).unwrap();
        let uris = [simulator.uri(1, Profile::Sub)];
        let rate = Ratio { num: wish.fps, den: 1 };
        let mut spec = WallSpec::grid(1, 1, wish.size.0, wish.size.1, rate, &uris, &[]).unwrap();
        spec.encoder.codec = wish.codec;
        spec.encoder.preset = wish.preset.to_owned();
        spec.encoder.rate = wish.rate.unwrap_or(spec.encoder.rate);
        // Nothing over the camera's code.
        spec.overlay.labels = false;
        spec.overlay.clock = None;
        spec.overlay.border = 0;
        let authority = Authority::owner();
        let wall = Arc::new(Wall::start(spec, &authority, clock.clone()).unwrap());
        let screen = wall.report().screens[0].id.clone();
        let hooks = Hooks { screens: wall.clone(), may_see: Arc::new(|_, _| Ok(())) };
        let config = LiveConfig { viewers: wish.viewers, ..LiveConfig::new(([127, 0, 0, 1], 0).into()) };
        let live = Live::start(config, hooks).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let stage = Stage { live, wall, authority, _simulator: simulator, screen, runtime };
        stage.until("a live camera", || stage.wall.report().cameras[0].shown > 5);
        stage
    }

    /// Waits until it is so.
    pub fn until(&self, what: &str, so: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !so() {
            assert!(Instant::now() < end, "{what}: {:?} {:?}", self.live.report(), self.wall.report());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Somebody who watches under this login.
    pub fn watcher(&self, account: &str, ended: &CancellationToken) -> Watcher {
        Watcher { account: account.to_owned(), ended: ended.clone(), peer: None, look: None }
    }

    /// A viewer that watches, and its session.
    pub fn view(&self, watcher: &Watcher, loss: f64) -> (Viewing, String) {
        let client = Client::new();
        let opened =
            self.runtime.block_on(self.live.open(watcher, &self.screen, client.offer.clone())).unwrap();
        (client.watch(&opened.answer, loss), opened.session)
    }
}
