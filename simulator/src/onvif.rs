//! Simulated ONVIF devices: one for each camera, on one port. They answer discovery, check the digest
//! of logins, name the streams of the simulator and keep the position to which they are turned.
//!
//! ```no_run
//! use vitrail_simulator::onvif::{Config, Devices};
//!
//! let devices = Devices::start(Config { cameras: 4, ..Config::default() })?;
//! println!("{}", devices.address_of(1));
//! # Ok::<(), vitrail_engine::Error>(())
//! ```

mod answers;
mod discovery;
mod http;
mod ptz;
mod request;

use std::collections::{HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Runtime;
use vitrail_engine::base::{SharedClock, Shutdown, SystemClock};
use vitrail_engine::{Error, ErrorKind, Result};

use crate::rtsp::auth::Login;
use ptz::Head;

pub use ptz::Position;

/// Nonces that are remembered, so that no digest is good twice.
const MAX_NONCES: usize = 4096;

/// What simulated devices are asked for.
#[derive(Clone)]
pub struct Config {
    /// How many, numbered from 1.
    pub cameras: u16,
    /// Where they listen: HTTP over TCP, and discovery over UDP; port 0 for any.
    pub listen: SocketAddr,
    /// What clients must know; none for open devices.
    pub login: Option<Login>,
    /// The RTSP server of their streams.
    pub rtsp: SocketAddr,
    /// Answer discovery of the whole network too, where the interface of `listen` lets it.
    pub multicast: bool,
    /// By how much their clock is ahead.
    pub ahead: Duration,
    /// Where time comes from.
    pub clock: SharedClock,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            cameras: 1,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            login: None,
            rtsp: (Ipv4Addr::LOCALHOST, 8554).into(),
            multicast: false,
            ahead: Duration::ZERO,
            clock: SystemClock::shared(),
        }
    }
}

/// What all connections share.
struct State {
    config: Config,
    address: SocketAddr,
    heads: Mutex<Vec<Head>>,
    nonces: Mutex<(VecDeque<String>, HashSet<String>)>,
    shutdown: Shutdown,
}

impl State {
    /// The time of day by the devices' clock, since 1970.
    fn wall(&self) -> Duration {
        self.config.clock.wall() + self.config.ahead
    }

    /// Whether a nonce was not used before.
    fn is_new(&self, nonce: &str) -> bool {
        let mut nonces = self.nonces.lock();
        let (order, known) = &mut *nonces;
        if !known.insert(nonce.to_owned()) {
            return false;
        }
        order.push_back(nonce.to_owned());
        if order.len() > MAX_NONCES
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        true
    }

    /// Does something with the moving head of a camera.
    fn head<T>(&self, camera: u16, f: impl FnOnce(&mut Head) -> T) -> Option<T> {
        let mut heads = self.heads.lock();
        heads.get_mut(usize::from(camera).checked_sub(1)?).map(f)
    }
}

/// Running devices; dropping it ends them.
pub struct Devices {
    state: Arc<State>,
    runtime: Option<Runtime>,
}

impl Devices {
    /// Binds the ports and starts to answer. Must not be called from within an asynchronous task.
    ///
    /// # Errors
    /// `Io` for an address that cannot be used.
    pub fn start(config: Config) -> Result<Devices> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("onvif")
            .enable_all()
            .build()
            .map_err(|e| Error::new(ErrorKind::Io, "simulator", "cannot start its thread").caused_by(e))?;
        let taken = |address: SocketAddr| {
            move |e: std::io::Error| {
                let what = "cannot be listened on; another program may have it, choose another address";
                Error::new(ErrorKind::Io, address.to_string(), what).caused_by(e)
            }
        };
        let (listener, udp) = runtime.block_on(async {
            let listener = TcpListener::bind(config.listen).await.map_err(taken(config.listen))?;
            let address = listener.local_addr().map_err(taken(config.listen))?;
            let udp = UdpSocket::bind(address).await.map_err(taken(address))?;
            Ok::<_, Error>((listener, udp))
        })?;
        let address = listener.local_addr().map_err(taken(config.listen))?;
        let multicast = config.multicast.then(|| {
            let _inside = runtime.enter();
            discovery::join(address)
        });
        let heads = (0..config.cameras).map(|_| Head::new()).collect();
        let state = Arc::new(State {
            config,
            address,
            heads: Mutex::new(heads),
            nonces: Mutex::default(),
            shutdown: Shutdown::new(),
        });
        runtime.spawn(http::serve(state.clone(), listener));
        runtime.spawn(discovery::serve(state.clone(), udp));
        match multicast {
            Some(Ok(socket)) => drop(runtime.spawn(discovery::serve(state.clone(), socket))),
            Some(Err(error)) => tracing::warn!(%error, "discovery answers at its own address alone"),
            None => {}
        }
        Ok(Devices { state, runtime: Some(runtime) })
    }

    /// Where they listen.
    pub fn address(&self) -> SocketAddr {
        self.state.address
    }

    /// The device service of a camera.
    pub fn address_of(&self, camera: u16) -> String {
        answers::service(self.state.address, camera, "device_service")
    }

    /// Where a camera looks now; `None` where there is no such camera.
    pub fn position(&self, camera: u16) -> Option<Position> {
        let now = self.state.config.clock.now();
        self.state.head(camera, |head| head.position(now))
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.state.shutdown.cancel();
        let Some(runtime) = self.runtime.take() else { return };
        // On a thread of its own, for a runtime may not be waited for within another one.
        let ending = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5)));
        let _ = ending.join();
    }
}
