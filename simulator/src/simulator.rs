//! The running simulator: its threads, its addresses, and what a test or the command line may do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Runtime;
use vitrail_engine::base::Moment;
use vitrail_engine::{Error, ErrorKind, Result};

use crate::cameras::Cameras;
use crate::clip::Clip;
use crate::code::Code;
use crate::faults::Fault;
use crate::rtsp::UdpPair;
use crate::sent::{SendLog, Sent};
use crate::{Config, Profile, control, rtsp};

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Clients that play now.
    pub viewers: u64,
    /// Frames of streams that had a client.
    pub frames: u64,
    /// RTP packets handed to the kernel, for all clients.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that a client missed because it read too slowly.
    pub dropped: u64,
    /// Packets left out by the fault `loss`.
    pub lost: u64,
    /// Frames damaged by the fault `corrupt`.
    pub corrupted: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Requests refused: wrong login, unknown camera, faults.
    pub refused: u64,
}

impl Cameras {
    pub(crate) fn stats(&self) -> Stats {
        let streams = (1..=self.config.cameras)
            .flat_map(|c| [Profile::Main, Profile::Sub].map(|p| self.stream(c, p)))
            .flatten();
        let t = &self.totals;
        Stats {
            viewers: streams.map(|s| s.viewers()).sum(),
            frames: t.frames.get(),
            packets: t.packets.get(),
            bytes: t.bytes.get(),
            dropped: t.dropped.get(),
            lost: t.lost.get(),
            corrupted: t.corrupted.get(),
            connections: t.connections.get(),
            refused: t.refused.get(),
        }
    }

    pub(crate) fn clear(&self, camera: u16) -> Result<()> {
        let what = "does not exist";
        let faults = self
            .faults(camera)
            .ok_or_else(|| Error::new(ErrorKind::Config, format!("camera {camera}"), what))?;
        faults.clear();
        Ok(())
    }
}

/// Running cameras; dropping it ends all their threads and connections.
pub struct Simulator {
    cameras: Arc<Cameras>,
    address: SocketAddr,
    control: Option<SocketAddr>,
    runtime: Option<Runtime>,
}

impl Simulator {
    /// Prepares the loops, binds the ports and starts to serve. Must not be called from within an
    /// asynchronous task: it waits.
    ///
    /// # Errors
    /// `Config` for impossible wishes, `Io` for an address or a folder that cannot be used,
    /// `Missing` or `Unsupported` where a loop cannot be encoded.
    pub fn start(config: Config) -> Result<Simulator> {
        let files = vitrail_engine::base::limits::raise_open_files();
        tracing::debug!(files, "open files allowed");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("cameras")
            .enable_all()
            .build()
            .map_err(|e| Error::new(ErrorKind::Io, "simulator", "cannot start its thread").caused_by(e))?;
        let (cameras, started) = Cameras::new(config)?;
        let config = &cameras.config;
        let (listener, control, udp) = runtime.block_on(async {
            let listener = rtsp::bind(config.listen).await?;
            let control = match config.control {
                Some(address) => Some(rtsp::bind(address).await?),
                None => None,
            };
            Ok::<_, Error>((listener, control, UdpPair::bind(config.listen.ip()).await?))
        })?;
        let local = |listener: &tokio::net::TcpListener, wanted| listener.local_addr().unwrap_or(wanted);
        let address = local(&listener, config.listen);
        let control_address = control.as_ref().zip(config.control).map(|(c, wanted)| local(c, wanted));
        let prepared = runtime.block_on(async {
            for &profile in &config.prepare {
                cameras.prepare(profile).await?;
            }
            Ok(())
        });
        if let Err(error) = prepared {
            cameras.shutdown.cancel();
            return Err(error);
        }
        runtime.spawn(cameras.clone().run_schedule(started));
        runtime.spawn(rtsp::serve(cameras.clone(), listener, Arc::new(udp)));
        if let Some(control) = control {
            runtime.spawn(control::serve(cameras.clone(), control));
        }
        Ok(Simulator { cameras, address, control: control_address, runtime: Some(runtime) })
    }

    /// Where the RTSP server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the control port listens.
    pub fn control(&self) -> Option<SocketAddr> {
        self.control
    }

    /// The URI of a stream, with the login where there is one: not for logs.
    pub fn uri(&self, camera: u16, profile: Profile) -> String {
        let login = self.cameras.config.login.as_ref().map(|l| l.userinfo()).unwrap_or_default();
        format!("rtsp://{login}{}/cam/{camera}/{profile}", self.address)
    }

    pub(crate) fn cameras(&self) -> &Cameras {
        &self.cameras
    }

    /// Where a client on this machine reaches the RTSP server.
    pub fn reached(&self) -> SocketAddr {
        let host = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(host, self.address.port())
    }

    /// The URI of a stream without the login, as a client on this machine reaches it.
    pub(crate) fn local_uri(&self, camera: u16, profile: Profile) -> String {
        format!("rtsp://{}/cam/{camera}/{profile}", self.reached())
    }

    /// The URI of a stream without the login.
    pub fn open_uri(&self, camera: u16, profile: Profile) -> String {
        format!("rtsp://{}/cam/{camera}/{profile}", self.address)
    }

    /// Switches a fault on. `Freeze` and `Resize` hold for streams that somebody has asked for, and
    /// the call waits for their loop to be encoded. One of a kind: another `Loss` replaces the first.
    pub fn fault(&self, camera: u16, fault: Fault) -> Result<()> {
        self.wait(self.cameras.fault(camera, fault))
    }

    /// Switches all faults of a camera off.
    pub fn clear(&self, camera: u16) -> Result<()> {
        self.cameras.clear(camera)
    }

    /// The loop of a stream, encoded now where it is not yet.
    pub fn clip(&self, camera: u16, profile: Profile) -> Result<Arc<Clip>> {
        self.wait(self.cameras.clip(camera, profile))
    }

    /// When each frame was sent.
    pub fn send_log(&self) -> Arc<SendLog> {
        self.cameras.log.clone()
    }

    /// When the picture with this code was last sent.
    pub fn sent(&self, code: &Code) -> Option<Sent> {
        self.cameras.log.get(code)
    }

    /// When the picture with this code was sent that a client had at `arrival`, within the last loop. A sending is
    /// logged when the write returns, which may be after the client has the picture: waits for it, up to a second.
    pub fn sending(&self, code: &Code, arrival: Moment) -> Option<Sent> {
        let within = self.cameras.config.loop_length.mul_f64(0.75);
        for _ in 0..200 {
            match self.sent(code) {
                Some(sent) if arrival.since(sent.moment) < within => return Some(sent),
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        None
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.cameras.stats()
    }

    /// The cameras' numbers.
    pub fn numbers(&self) -> std::ops::RangeInclusive<u16> {
        1..=self.cameras.config.cameras
    }

    /// Encodes the loops of a profile in the background, so that its first client need not wait.
    pub fn prepare_in_background(&self, profile: Profile) {
        if let Some(runtime) = &self.runtime {
            let cameras = self.cameras.clone();
            runtime.spawn(async move {
                if let Err(error) = cameras.prepare(profile).await {
                    tracing::debug!(%error, %profile, "loops are not ready");
                }
            });
        }
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(Error::new(ErrorKind::Internal, "simulator", "has ended")),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.cameras.shutdown.cancel();
        let Some(runtime) = self.runtime.take() else { return };
        // On a thread of its own, for a runtime may not be waited for within another one.
        let ending = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5)));
        let _ = ending.join();
    }
}
