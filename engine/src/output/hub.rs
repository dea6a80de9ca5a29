//! Fans one encode out to all outputs of a screen.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::feed::KeyRequest;
use super::{OutputSpec, display, file, hls, rtmp, rtp, rtsp, srt, udp};
use crate::base::Result;
use crate::encode::EncodedSink;
use crate::media::{AccessUnit, Codec, Frame, Ratio, ScreenId};

/// How long all outputs together may take to end.
const END: Duration = Duration::from_secs(8);

/// What the outputs of a screen need to know of its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamParams {
    /// H.264 or H.265.
    pub codec: Codec,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// Pictures per second.
    pub frame_rate: Ratio,
}

/// One output of a hub, for as long as the hub lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutputId(u64);

/// Where an output stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputState {
    /// Ready; nobody is served yet, or no key frame came yet.
    Waiting,
    /// Delivering.
    Running,
    /// Failed a moment ago, and tries again by itself.
    Retrying,
    /// Ended before it came right again; the error says why.
    Failed,
    /// Ended cleanly.
    Ended,
}

/// What an output has done so far.
#[derive(Clone, Debug)]
pub struct OutputStatus {
    /// Which output.
    pub id: OutputId,
    /// Where it goes, without secrets.
    pub spec: String,
    /// `rtsp`, `rtp`, `udp`, `srt`, `rtmp`, `file`, `hls` or `display`.
    pub kind: &'static str,
    /// Where it stands.
    pub state: OutputState,
    /// What went wrong last, also where it works again.
    pub error: Option<String>,
    /// Access units (or pictures, to a display) handed to the network, the file or the viewers.
    pub units: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Access units (or pictures) dropped because this output was too slow.
    pub dropped: u64,
    /// Viewers now, where the output knows.
    pub viewers: Option<u32>,
    /// Where to look, where that is more exact than `spec`: the port that was taken, …
    pub address: String,
    /// Session description for players, where they need one (RTP).
    pub sdp: Option<String>,
}

/// What one kind of output can do. No call waits, but for `join`, which is bounded.
pub(crate) trait Output: Send + Sync {
    fn unit(&self, unit: &AccessUnit);
    fn frame(&self, _frame: &Frame) {}
    /// Fills in all but `id`, `spec` and `kind`.
    fn status(&self, status: &mut OutputStatus);
    /// Begins the end: nothing more is taken in.
    fn end(&self);
    /// Waits for the end, at most until `deadline`; false where it was left behind.
    fn join(&self, deadline: Instant) -> bool;
}

/// The outputs of one screen. Guards invariant 1 (each output has its own bounded feed; what
/// fails or stalls is that output alone) and invariant 6 (each begins with a key frame).
pub struct OutputHub {
    screen: ScreenId,
    params: StreamParams,
    key_request: KeyRequest,
    next: AtomicU64,
    outputs: RwLock<Vec<Entry>>,
    taps: RwLock<Vec<Weak<TapEnd>>>,
}

/// A stream that somebody within this process reads; dropping it ends it.
pub struct Tap {
    end: Arc<TapEnd>,
    key_request: KeyRequest,
    /// Codec, size and rate of what comes.
    pub params: StreamParams,
}

struct TapEnd {
    sink: Arc<dyn EncodedSink>,
    /// It began with a key frame (invariant 6).
    begun: AtomicBool,
}

impl Tap {
    /// Asks for a key frame; returns at once.
    pub fn request_key(&self) {
        (self.key_request)();
    }

    /// True where a key frame was handed over already.
    pub fn has_begun(&self) -> bool {
        self.end.begun.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Entry {
    id: OutputId,
    spec: OutputSpec,
    output: Arc<dyn Output>,
}

impl OutputHub {
    /// A hub without outputs. `key_request` is called from any thread, and returns at once.
    pub fn new(screen: ScreenId, params: StreamParams, key_request: KeyRequest) -> Arc<OutputHub> {
        Arc::new(OutputHub {
            screen,
            params,
            key_request,
            next: AtomicU64::new(1),
            outputs: RwLock::default(),
            taps: RwLock::default(),
        })
    }

    fn entries(&self) -> Vec<Entry> {
        self.outputs.read().clone()
    }

    /// Starts an output. Fails where it cannot work at all: a port taken, a folder missing, no
    /// display. What can still come right (a peer that is not there yet) is its state instead.
    pub fn add(&self, spec: OutputSpec) -> Result<OutputId> {
        let (params, key) = (&self.params, self.key_request.clone());
        let output: Arc<dyn Output> = match &spec {
            OutputSpec::Rtsp { listen, path, login } => {
                Arc::new(rtsp::open(*listen, path, login.as_ref(), params, key)?)
            }
            OutputSpec::Rtp { to, ttl, interface } => {
                Arc::new(rtp::open(*to, *ttl, interface.as_deref(), params, key)?)
            }
            OutputSpec::Udp { to, ttl, interface } => {
                Arc::new(udp::open(*to, *ttl, interface.as_deref(), params, key)?)
            }
            OutputSpec::Srt { uri } => srt::open(uri, params, key)?,
            OutputSpec::Rtmp { uri } => Arc::new(rtmp::open(uri, params, key)?),
            OutputSpec::File { path } => Arc::new(file::open(path, params, key)?),
            OutputSpec::Hls { playlist } => Arc::new(hls::open(playlist, params, key)?),
            OutputSpec::Display { full } => Arc::new(display::open(*full, &self.screen, params)?),
        };
        let id = OutputId(self.next.fetch_add(1, Ordering::Relaxed));
        tracing::info!(screen = %self.screen, output = %spec, "an output starts");
        self.outputs.write().push(Entry { id, spec, output });
        Ok(id)
    }

    /// Ends an output cleanly; false where it is unknown or did not end in time.
    pub fn remove(&self, id: OutputId) -> bool {
        let entry = {
            let mut outputs = self.outputs.write();
            let Some(index) = outputs.iter().position(|e| e.id == id) else { return false };
            outputs.remove(index)
        };
        entry.output.end();
        entry.output.join(Instant::now() + END)
    }

    /// Hands every access unit to `sink` from the next key frame on, which is asked for, until the
    /// answer is dropped. `sink` must not wait.
    pub fn tap(&self, sink: Arc<dyn EncodedSink>) -> Tap {
        let end = Arc::new(TapEnd { sink, begun: AtomicBool::new(false) });
        let mut taps = self.taps.write();
        taps.retain(|tap| tap.strong_count() > 0);
        taps.push(Arc::downgrade(&end));
        drop(taps);
        let tap = Tap { end, key_request: self.key_request.clone(), params: self.params.clone() };
        tap.request_key();
        tap
    }

    /// Shows a picture on this screen's displays, before it is encoded. Returns at once.
    pub fn frame(&self, frame: &Frame) {
        for entry in self.outputs.read().iter() {
            entry.output.frame(frame);
        }
    }

    /// What each output has done so far, in the order they were added.
    pub fn status(&self) -> Vec<OutputStatus> {
        let fill = |entry: Entry| {
            let mut status = OutputStatus {
                id: entry.id,
                spec: entry.spec.to_string(),
                kind: entry.spec.kind(),
                state: OutputState::Waiting,
                error: None,
                units: 0,
                bytes: 0,
                dropped: 0,
                viewers: None,
                address: entry.spec.to_string(),
                sdp: None,
            };
            entry.output.status(&mut status);
            status
        };
        self.entries().into_iter().map(fill).collect()
    }

    /// Ends all outputs and makes their files whole, within 8 seconds; false where one was left
    /// behind.
    pub fn finish(&self) -> bool {
        let entries = self.entries();
        entries.iter().for_each(|e| e.output.end());
        let deadline = Instant::now() + END;
        entries.iter().fold(true, |all, entry| {
            let ended = entry.output.join(deadline);
            if !ended {
                tracing::error!(screen = %self.screen, output = %entry.spec, "did not end in time");
            }
            all && ended
        })
    }
}

impl EncodedSink for OutputHub {
    fn unit(&self, unit: &AccessUnit) {
        for entry in self.outputs.read().iter() {
            entry.output.unit(unit);
        }
        let taps = self.taps.read();
        for tap in taps.iter().filter_map(Weak::upgrade) {
            if unit.random_access || tap.begun.load(Ordering::Relaxed) {
                tap.begun.store(true, Ordering::Relaxed);
                tap.sink.unit(unit);
            }
        }
    }
}

impl fmt::Debug for OutputHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let specs: Vec<OutputSpec> = self.entries().into_iter().map(|e| e.spec).collect();
        f.debug_struct("OutputHub").field("screen", &self.screen).field("outputs", &specs).finish()
    }
}
