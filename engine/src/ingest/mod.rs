//! Keeps each camera connected: retries, backs off, watches for silence, and says how it stands.

mod meter;
pub mod rhythm;
pub mod sites;
pub mod state;
mod supervisor;
#[cfg(test)]
mod tests;
pub mod watchdog;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Runtime;

use crate::base::cpu;
use crate::base::{Error, ErrorKind, Result, SharedClock, Shutdown};
use crate::media::{AccessUnit, SourceRef};
use crate::source::{Grant, Source, SourceConfig};
use meter::Meter;
use supervisor::{Granted, Supervisor};

pub use crate::source::UnitSink;
pub use sites::{SiteRate, Sites};
pub use state::{IngestStatus, SourceState};

/// Cameras that one thread serves: a thread that is seldom asleep takes more packets in a turn, so
/// one busy thread needs less than two that wait.
const CAMERAS_PER_THREAD: usize = 1500;

/// How long the end waits for cameras to be told so (TEARDOWN).
const FAREWELL: Duration = Duration::from_millis(1500);

/// The connections of all cameras, on one runtime. Dropping it closes them, within `FAREWELL`.
pub struct Ingest {
    runtime: Option<Runtime>,
    clock: SharedClock,
    sites: Sites,
    stop: Shutdown,
    /// Each camera's task holds a sender; the receiver is told when the last is gone.
    tasks: Option<mpsc::Sender<()>>,
    all_done: Mutex<mpsc::Receiver<()>>,
}

impl Ingest {
    /// Starts the threads that serve about so many cameras; `shutdown` ends every feed.
    pub fn start(cameras: usize, clock: SharedClock, shutdown: &Shutdown) -> Result<Ingest> {
        Ingest::start_with(cameras, clock, shutdown, SiteRate::default())
    }

    /// The same with another rate of new connections per site.
    pub fn start_with(
        cameras: usize,
        clock: SharedClock,
        shutdown: &Shutdown,
        rate: SiteRate,
    ) -> Result<Ingest> {
        let threads = cameras.div_ceil(CAMERAS_PER_THREAD).clamp(1, cpu::cores());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("vt-ingest")
            .enable_all()
            .build()
            .map_err(|e| Error::new(ErrorKind::Io, "ingest", "cannot start its threads").caused_by(e))?;
        let (tasks, all_done) = mpsc::channel();
        let stop = shutdown.child_token();
        Ok(Ingest {
            runtime: Some(runtime),
            clock,
            sites: Sites::new(rate),
            stop,
            tasks: Some(tasks),
            all_done: Mutex::new(all_done),
        })
    }

    /// Opens a camera and keeps it open until the feed is dropped or the grant withdrawn. Returns
    /// at once: a camera that is not there is retried.
    pub fn open(
        &self,
        camera: SourceRef,
        config: SourceConfig,
        grant: Grant,
        sink: Arc<dyn UnitSink>,
    ) -> Feed {
        let meter = Meter::new(sink, self.clock.clone(), config.patience);
        let stop = self.stop.child_token();
        let site = config.site.clone().or_else(|| config.uri.host().map(str::to_owned));
        let patience = config.patience;
        let connector =
            Granted { source: Source::new(config), grant, camera: camera.clone(), clock: self.clock.clone() };
        let supervisor = Supervisor {
            connector,
            camera: camera.clone(),
            meter: meter.clone(),
            sites: self.sites.clone(),
            site,
            patience,
            clock: self.clock.clone(),
            stop: stop.clone(),
        };
        let alive = self.tasks.clone();
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move {
                supervisor.run().await;
                drop(alive);
            });
        }
        Feed { camera, meter, stop }
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.stop.cancel();
        drop(self.tasks.take());
        let all_done = self.all_done.get_mut();
        let _ = all_done.recv_timeout(FAREWELL);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ingest")
    }
}

/// One camera that is kept open. Dropping it closes the connection, without waiting for it; its
/// sink is called no more.
pub struct Feed {
    camera: SourceRef,
    meter: Arc<Meter>,
    stop: Shutdown,
}

impl Feed {
    /// Which camera, profile and generation.
    pub fn camera(&self) -> &SourceRef {
        &self.camera
    }

    /// How it stands.
    pub fn status(&self) -> IngestStatus {
        self.meter.status()
    }

    /// The newest random-access unit, compressed, with its parameter sets: a picture at once when a
    /// camera on standby is called up. Kept while the camera is away: look at its `arrival`.
    pub fn newest_key_unit(&self) -> Option<AccessUnit> {
        self.meter.newest_key_unit()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.meter.close();
        self.stop.cancel();
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feed({:?})", self.camera)
    }
}
