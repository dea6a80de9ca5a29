//! What the GStreamer sources share: the library, its elements and errors, and the care of a pipeline that must never
//! block a caller.

use std::time::Duration;

use futures::StreamExt;
use gstreamer as gst;
use gstreamer::prelude::*;
use parking_lot::{Condvar, Mutex};

use crate::base::{Error, ErrorKind, Result};

/// Starts the library; says what is missing where it cannot.
pub(super) fn init() -> Result<()> {
    gst::init().map_err(|e| Error::new(ErrorKind::Missing, "GStreamer", "cannot start").caused_by(e))
}

/// An element, or an error that says what to install.
pub(super) fn element(name: &'static str) -> Result<gst::Element> {
    gst::ElementFactory::make(name).build().map_err(|e| {
        let message = "this GStreamer element is missing; `vitrail doctor` says what to install";
        Error::new(ErrorKind::Missing, name, message).caused_by(e)
    })
}

/// Pipelines that are being stopped.
static STOPPING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// Waits until every pipeline that was dropped has stopped, at most `limit`. A process that ends while one
/// stops may crash: libraries are torn down under it.
pub fn settle(limit: Duration) {
    let mut stopping = STOPPING.0.lock();
    STOPPING.1.wait_while_for(&mut stopping, |stopping| *stopping > 0, limit);
}

/// Counts a pipeline more or less.
fn count_stopping(change: impl Fn(usize) -> usize) {
    let mut stopping = STOPPING.0.lock();
    *stopping = change(*stopping);
    STOPPING.1.notify_all();
}

/// A pipeline that is stopped on a thread of its own when it is dropped: closing a connection can
/// take seconds (TEARDOWN, a linger on a dead network), and whoever drops it must not wait.
pub(super) struct Pipeline(pub gst::Pipeline);

impl Drop for Pipeline {
    fn drop(&mut self) {
        let pipeline = self.0.clone();
        count_stopping(|stopping| stopping + 1);
        let stop = move || {
            let _ = pipeline.set_state(gst::State::Null);
            drop(pipeline);
            count_stopping(|stopping| stopping.saturating_sub(1));
        };
        // Not the runtime's blocking pool: a runtime that ends throws away what waits there, and a
        // pipeline that is freed while it plays aborts the process.
        if let Err(error) = std::thread::Builder::new().name("vt-gst-stop".into()).spawn(stop) {
            tracing::error!("cannot start a thread to stop a pipeline: {error}");
            let _ = self.0.set_state(gst::State::Null);
            count_stopping(|stopping| stopping.saturating_sub(1));
        }
    }
}

impl Pipeline {
    /// Plays until the end of the stream (`Ok`) or an error, which `explain` puts in our words.
    pub(super) async fn play(&self, explain: impl Fn(&gst::message::Error) -> Error) -> Result<()> {
        let bus = self.0.bus().expect("a pipeline has a bus");
        let mut messages = bus.stream();
        let pipeline = self.0.clone();
        // A connection is made within the change of state.
        let started = tokio::task::spawn_blocking(move || pipeline.set_state(gst::State::Playing));
        let started = started.await.is_ok_and(|change| change.is_ok());
        if !started && !bus.have_pending() {
            return Err(Error::new(
                ErrorKind::Internal,
                "GStreamer",
                "a pipeline did not start and does not say why",
            ));
        }
        while let Some(message) = messages.next().await {
            match message.view() {
                gst::MessageView::Eos(_) => return Ok(()),
                gst::MessageView::Error(error) => return Err(explain(error)),
                gst::MessageView::Latency(_) => {
                    let _ = self.0.recalculate_latency();
                }
                _ => {}
            }
        }
        Err(Error::new(ErrorKind::Internal, "GStreamer", "the bus of a pipeline was closed"))
    }
}

/// What kind of trouble a pipeline's error is.
pub(super) fn kind_of(error: &gst::glib::Error) -> ErrorKind {
    use gst::{CoreError, ResourceError, StreamError};
    if let Some(e) = error.kind::<ResourceError>() {
        return match e {
            ResourceError::NotAuthorized => ErrorKind::Credentials,
            ResourceError::NoSpaceLeft => ErrorKind::Io,
            _ => ErrorKind::Unreachable,
        };
    }
    if let Some(e) = error.kind::<StreamError>() {
        return match e {
            StreamError::TypeNotFound
            | StreamError::WrongType
            | StreamError::CodecNotFound
            | StreamError::NotImplemented => ErrorKind::Unsupported,
            StreamError::DecryptNokey | StreamError::Decrypt => ErrorKind::Credentials,
            _ => ErrorKind::Corrupt,
        };
    }
    match error.kind::<CoreError>() {
        Some(CoreError::MissingPlugin) => ErrorKind::Missing,
        _ => ErrorKind::Internal,
    }
}
