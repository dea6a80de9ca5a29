//! Keeps one camera connected: `run()` tries `run_once()` again and again, as the rules say.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::meter::{Meter, RunSink};
use super::sites::Sites;
use super::watchdog::{Verdict, judge};
use crate::base::backoff::Backoff;
use crate::base::{Error, ErrorKind, Result, SharedClock, Shutdown};
use crate::media::SourceRef;
use crate::source::{Grant, Patience, Source, UnitSink};

/// What is kept alive: a [`Source`] with its grant, or a script in a test.
pub(super) trait Connector: Send + Sync + 'static {
    /// Connects and hands on units until the stream ends; dropping the future disconnects.
    fn run<'a>(&'a self, sink: Arc<dyn UnitSink>, stop: &'a Shutdown) -> BoxFuture<'a, Result<()>>;
    /// Resolves when the right to see the camera is withdrawn.
    fn withdrawn(&self) -> BoxFuture<'_, ()>;
}

/// A source and the right to open it.
pub(super) struct Granted {
    pub(super) source: Source,
    pub(super) grant: Grant,
    pub(super) camera: SourceRef,
    pub(super) clock: SharedClock,
}

impl Connector for Granted {
    fn run<'a>(&'a self, sink: Arc<dyn UnitSink>, stop: &'a Shutdown) -> BoxFuture<'a, Result<()>> {
        self.source.run(&self.camera.camera, &self.grant, sink, &self.clock, stop).boxed()
    }

    fn withdrawn(&self) -> BoxFuture<'_, ()> {
        self.grant.withdrawn().cancelled().boxed()
    }
}

/// Keeps one camera connected.
pub(super) struct Supervisor<C> {
    pub(super) connector: C,
    pub(super) camera: SourceRef,
    pub(super) meter: Arc<Meter>,
    pub(super) sites: Sites,
    /// `None`: no network is involved.
    pub(super) site: Option<String>,
    pub(super) patience: Patience,
    pub(super) clock: SharedClock,
    pub(super) stop: Shutdown,
}

impl<C: Connector> Supervisor<C> {
    /// Runs until it is stopped, the file ends, or the right to see the camera is withdrawn.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::default();
        for number in 1_u64.. {
            if self.wait_for_site().await.is_none() {
                break;
            }
            let sink = self.meter.begin_run(number);
            let result = self.run_once(&sink).await;
            // Whatever comes late from this run goes nowhere.
            sink.discontinuity();
            self.meter.end_run();
            sink.learn_from_end();
            if self.stop.is_cancelled() {
                break;
            }
            let Err(error) = result else {
                self.meter.ended("end of file");
                break;
            };
            self.meter.failed(&error);
            let Some(wait) = backoff.after(error.kind(), sink.delivered_for(), rand::random::<f64>()) else {
                tracing::info!(camera = %self.camera.camera, "closed: {}", error.message());
                break;
            };
            tracing::warn!(camera = %self.camera.camera, retry_in_s = wait.as_secs_f32(), "{error}");
            if self.sleep(wait).await.is_none() {
                break;
            }
        }
    }

    /// One connection, watched for silence. A panic in a library ends the connection, not the engine.
    async fn run_once(&self, sink: &Arc<RunSink>) -> Result<()> {
        let run = AssertUnwindSafe(self.connector.run(sink.clone(), &self.stop)).catch_unwind();
        tokio::select! {
            result = run => result.unwrap_or_else(|_| {
                let camera = self.camera.camera.to_string();
                Err(Error::new(ErrorKind::Internal, camera, "a client library failed on what this camera sent"))
            }),
            why = self.watch(sink) => {
                Err(Error::new(ErrorKind::Unreachable, self.camera.camera.to_string(), why))
            }
        }
    }

    async fn watch(&self, sink: &RunSink) -> &'static str {
        loop {
            let (verdict, again_in) = judge(self.patience, self.clock.now(), sink.observed());
            match verdict {
                Verdict::Fine => {}
                Verdict::Stalled => sink.stalled(),
                Verdict::GiveUp(why) => return why,
                Verdict::Silent(why) => {
                    sink.silent();
                    return why;
                }
            }
            tokio::time::sleep(again_in.max(Duration::from_millis(1))).await;
        }
    }

    async fn wait_for_site(&self) -> Option<()> {
        let now = self.clock.now();
        let at = self.site.as_ref().map_or(now, |site| self.sites.reserve(site, now));
        self.sleep(at.since(now)).await
    }

    /// `None` where it was stopped meanwhile.
    async fn sleep(&self, wait: Duration) -> Option<()> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            // The next run is refused at once, and says so.
            () = self.connector.withdrawn() => Some(()),
            () = tokio::time::sleep(wait) => Some(()),
        }
    }
}
