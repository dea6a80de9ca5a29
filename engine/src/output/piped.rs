//! An output that is one GStreamer pipeline, fed from its own thread: RTP, SRT, files, HLS.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::feed::Feed;
use super::hub::{Output, OutputState, OutputStatus, StreamParams};
use crate::base::backoff::{OUTPUT, Retry};
use crate::base::mailbox::Empty;
use crate::base::thread::Worker;
use crate::base::{Counter, Error, ErrorKind, Result};
use crate::media::{AccessUnit, Codec};

/// Access units that may wait inside GStreamer; the rest of the second waits in the feed.
const INSIDE: u64 = 3;
/// How long a pipeline may take over its last bytes.
const END: Duration = Duration::from_secs(4);
/// How often an output looks at what GStreamer does not tell: whether its file is still there.
const LOOK: Duration = Duration::from_secs(1);
/// A peer that joins loses what is sent before its own side of the connection is up.
const JOIN_KEYS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(300), Duration::from_secs(1)];
const STEP: Duration = Duration::from_millis(50);

/// How to make the pipeline of an output, and how to keep it up.
pub(crate) struct Recipe {
    /// Whom errors concern, without secrets.
    pub subject: String,
    /// Makes the pipeline, after so many failures; its source is called `src`, its sink `sink`.
    pub build: Box<dyn Fn(u32) -> Result<gst::Pipeline> + Send>,
    /// Looked at once a second: an error makes the pipeline anew.
    pub check: Option<Box<dyn Fn() -> Result<()> + Send>>,
    /// Asks for a key frame whenever the last is this old.
    pub key_every: Option<Duration>,
    /// Raised when a peer joins in the middle; it gets key frames at [`JOIN_KEYS`] after that.
    pub joined: Arc<Counter>,
    /// How many are served, read from the sink.
    pub viewers: Option<fn(&gst::Element) -> u32>,
}

impl Recipe {
    /// A recipe of a fixed pipeline, whose sink `set_up` prepares before each start, told how many
    /// failures there were before.
    pub fn new(
        subject: String,
        description: String,
        set_up: impl Fn(&gst::Element, u32) -> Result<()> + Send + 'static,
    ) -> Recipe {
        let build = move |failures| {
            let pipeline = parse(&description)?;
            let sink = pipeline
                .by_name("sink")
                .ok_or_else(|| Error::new(ErrorKind::Internal, "GStreamer", "a pipeline without sink"))?;
            set_up(&sink, failures)?;
            Ok(pipeline)
        };
        Recipe {
            subject,
            build: Box::new(build),
            check: None,
            key_every: None,
            joined: Default::default(),
            viewers: None,
        }
    }
}

struct State {
    state: OutputState,
    error: Option<String>,
    sink: Option<gst::Element>,
}

/// A running pipeline output.
pub(crate) struct Piped {
    feed: Arc<Feed>,
    state: Arc<Mutex<State>>,
    viewers: Option<fn(&gst::Element) -> u32>,
    worker: Mutex<Option<(Worker, mpsc::Receiver<()>)>>,
    pub sdp: Option<String>,
}

/// Parses a pipeline description; what a person wrote never goes through here, but through
/// properties.
pub(crate) fn parse(description: &str) -> Result<gst::Pipeline> {
    gst::init().map_err(|e| Error::new(ErrorKind::Missing, "GStreamer", "does not start").caused_by(e))?;
    let element = gst::parse::launch(description).map_err(|e| {
        Error::new(ErrorKind::Missing, "GStreamer", "an element is missing; `vitrail doctor` says which")
            .caused_by(e)
    })?;
    element
        .downcast::<gst::Pipeline>()
        .map_err(|_| Error::new(ErrorKind::Internal, "GStreamer", "gave no pipeline"))
}

/// Sets where a `filesink` writes. Its property is text; a name that is not is told as an address.
pub(crate) fn set_location(sink: &gst::Element, path: &Path) -> Result<()> {
    let refused = |why: String| {
        let message = "its name cannot be used; choose another one";
        Error::new(ErrorKind::Config, path.display().to_string(), message).caused_by(why)
    };
    if let Some(text) = path.to_str() {
        sink.set_property("location", text);
        return Ok(());
    }
    let whole = std::path::absolute(path).map_err(|e| refused(e.to_string()))?;
    let address = gst::glib::filename_to_uri(whole, None).map_err(|e| refused(e.to_string()))?;
    let handler = sink.dynamic_cast_ref::<gst::URIHandler>().ok_or_else(|| refused("no filesink".into()))?;
    handler.set_uri(&address).map_err(|e| refused(e.to_string()))
}

/// Caps of a screen's access units.
pub(crate) fn caps(params: &StreamParams) -> gst::Caps {
    let media = if params.codec == Codec::H265 { "video/x-h265" } else { "video/x-h264" };
    gst::Caps::builder(media)
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .field("width", i32::try_from(params.width).unwrap_or(i32::MAX))
        .field("height", i32::try_from(params.height).unwrap_or(i32::MAX))
        .field("framerate", crate::encode::picture::fraction(params.frame_rate))
        .build()
}

/// `h264` or `h265`, as element names have it.
pub(crate) fn short(codec: Codec) -> &'static str {
    if codec == Codec::H265 { "h265" } else { "h264" }
}

/// A buffer of an access unit, sharing its bytes, at `time` of the pipeline.
pub(crate) fn buffer(unit: &AccessUnit, time: gst::ClockTime) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_slice(unit.data.clone());
    let writable = buffer.make_mut();
    writable.set_pts(time);
    writable.set_dts(time);
    if !unit.random_access {
        writable.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    buffer
}

impl Piped {
    /// Starts the output; fails where its pipeline cannot be made at all.
    pub fn start(recipe: Recipe, params: &StreamParams, feed: Arc<Feed>) -> Result<Piped> {
        let state = Arc::new(Mutex::new(State { state: OutputState::Waiting, error: None, sink: None }));
        let viewers = recipe.viewers;
        let (report, ended) = mpsc::channel();
        let first = (recipe.build)(0)?;
        let run = Run { recipe, caps: caps(params), feed: feed.clone(), state: state.clone() };
        let worker = Worker::spawn("output", move || {
            run.all(first);
            let _ = report.send(());
        })?;
        Ok(Piped { feed, state, viewers, worker: Mutex::new(Some((worker, ended))), sdp: None })
    }
}

impl Output for Piped {
    fn unit(&self, unit: &AccessUnit) {
        self.feed.push(unit);
    }

    fn status(&self, status: &mut OutputStatus) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        status.state = state.state;
        status.error = state.error.clone();
        status.units = self.feed.units();
        status.bytes = self.feed.bytes();
        status.dropped = self.feed.dropped();
        let sink = state.sink.clone();
        drop(state);
        status.viewers = self.viewers.map(|count| sink.as_ref().map_or(0, count));
        status.sdp = self.sdp.clone();
    }

    fn end(&self) {
        self.feed.close();
    }

    fn join(&self, deadline: Instant) -> bool {
        let taken = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((worker, ended)) = taken else { return true };
        match ended.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => worker.join(),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                // It hangs in the operating system (a dead network file system): nothing ends it.
                std::mem::forget(worker);
                false
            }
        }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.feed.close();
        self.join(Instant::now() + END + END);
    }
}

/// What the thread of an output owns.
struct Run {
    recipe: Recipe,
    caps: gst::Caps,
    feed: Arc<Feed>,
    state: Arc<Mutex<State>>,
}

impl Run {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Serves until the feed is closed, with a new pipeline after each failure (invariant 1: only
    /// this thread waits; the feed drops and counts what comes meanwhile).
    fn all(&self, first: gst::Pipeline) {
        let mut next = Ok(first);
        let mut retry = Retry::new(OUTPUT);
        for failures in 1.. {
            let began = Instant::now();
            let outcome = next.and_then(|pipeline| self.serve(&Playing(pipeline)));
            self.set(|s| s.sink = None);
            let Err(error) = outcome else {
                return self.set(|s| s.state = OutputState::Ended);
            };
            let wait = retry.after(began.elapsed(), rand::random());
            tracing::warn!(output = %self.recipe.subject, %error, retry_in_s = wait.as_secs_f32(), "an output failed");
            self.set(|s| {
                s.error = Some(error.to_string());
                s.state = OutputState::Retrying;
            });
            let until = Instant::now() + wait;
            while Instant::now() < until && !self.feed.is_closed() {
                std::thread::sleep(STEP);
            }
            if self.feed.is_closed() {
                return self.set(|s| s.state = OutputState::Failed);
            }
            next = (self.recipe.build)(failures);
            self.feed.restart();
        }
    }

    /// Feeds one pipeline until the feed is closed and empty, then lets it end.
    fn serve(&self, playing: &Playing) -> Result<()> {
        let pipeline = &playing.0;
        let internal =
            |what: &'static str| Error::new(ErrorKind::Internal, self.recipe.subject.clone(), what);
        let source = pipeline
            .by_name("src")
            .and_then(|e| e.downcast::<gst_app::AppSrc>().ok())
            .ok_or_else(|| internal("its pipeline has no source"))?;
        source.set_caps(Some(&self.caps));
        source.set_format(gst::Format::Time);
        source.set_max_bytes(0);
        let bus = pipeline.bus().ok_or_else(|| internal("its pipeline has no bus"))?;
        if let Err(error) = pipeline.set_state(gst::State::Playing) {
            return Err(self.failure(&bus).unwrap_or_else(|| internal("does not start").caused_by(error)));
        }
        self.set(|s| s.sink = pipeline.by_name("sink"));
        let mut origin = None;
        let mut last_key = None;
        let mut looked = Instant::now();
        let (mut joined, mut keys_due) = (0, Vec::new());
        loop {
            self.welcome(&mut joined, &mut keys_due);
            if let Some(error) = self.failure(&bus) {
                return Err(error);
            }
            if let Some(check) = self.recipe.check.as_ref().filter(|_| looked.elapsed() >= LOOK) {
                check()?;
                looked = Instant::now();
            }
            let unit = match self.feed.next(STEP) {
                Ok(unit) => unit,
                Err(Empty::Timeout) => continue,
                Err(Empty::Closed) => break,
            };
            if self.wait_for_room(&source, &bus)? {
                let since = unit.pts.0 - *origin.get_or_insert(unit.pts.0);
                let time = gst::ClockTime::from_nseconds(u64::try_from(since).unwrap_or(0));
                self.keep_keys_coming(&unit, &mut last_key);
                source.push_buffer(buffer(&unit, time)).map_err(|e| {
                    self.failure(&bus).unwrap_or_else(|| internal("takes no more").caused_by(e))
                })?;
                self.set(|s| s.state = OutputState::Running);
            }
        }
        let _ = source.end_of_stream();
        let end = gst::ClockTime::try_from(END).unwrap_or_default();
        match bus.timed_pop_filtered(end, &[gst::MessageType::Eos, gst::MessageType::Error]) {
            Some(message) => self.error_of(&message).map_or(Ok(()), Err),
            None => Err(internal("did not end in time; its end may be missing")),
        }
    }

    /// Waits while GStreamer holds enough; false where the output ends first.
    fn wait_for_room(&self, source: &gst_app::AppSrc, bus: &gst::Bus) -> Result<bool> {
        let mut closed_at = None;
        while source.current_level_buffers() >= INSIDE {
            if let Some(error) = self.failure(bus) {
                return Err(error);
            }
            if self.feed.is_closed() && closed_at.get_or_insert_with(Instant::now).elapsed() > END {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(true)
    }

    /// Asks for the key frames that peers who joined are due.
    fn welcome(&self, seen: &mut u64, due: &mut Vec<Instant>) {
        let (joined, now) = (self.recipe.joined.get(), Instant::now());
        if joined != *seen {
            *seen = joined;
            *due = JOIN_KEYS.iter().map(|after| now + *after).collect();
        }
        let waiting = due.len();
        due.retain(|at| *at > now);
        if due.len() < waiting {
            self.feed.request_key();
        }
    }

    fn keep_keys_coming(&self, unit: &AccessUnit, last_key: &mut Option<i64>) {
        let Some(every) = self.recipe.key_every else { return };
        let every = i64::try_from(every.as_nanos()).unwrap_or(i64::MAX);
        if unit.random_access || last_key.is_some_and(|last| unit.pts.0 - last >= every) {
            if !unit.random_access {
                self.feed.request_key();
            }
            *last_key = Some(unit.pts.0);
        }
    }

    fn failure(&self, bus: &gst::Bus) -> Option<Error> {
        bus.pop_filtered(&[gst::MessageType::Error]).and_then(|m| self.error_of(&m))
    }

    /// The error of a message, without GStreamer's debug text: it quotes addresses with secrets.
    fn error_of(&self, message: &gst::Message) -> Option<Error> {
        let gst::MessageView::Error(error) = message.view() else { return None };
        let error = error.error();
        let kind = if error.is::<gst::ResourceError>() { ErrorKind::Io } else { ErrorKind::Internal };
        let text = match error.kind::<gst::ResourceError>() {
            Some(gst::ResourceError::NoSpaceLeft) => "the disk is full".to_owned(),
            _ => error.message().split("://").next().unwrap_or_default().to_owned(),
        };
        Some(Error::new(kind, self.recipe.subject.clone(), text))
    }
}

/// A pipeline that is stopped when its owner is done with it.
struct Playing(gst::Pipeline);

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}
