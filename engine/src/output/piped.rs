//! An output that is one GStreamer pipeline, fed from its own thread: RTP, RTMP, files, HLS.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::feed::Feed;
use super::hub::StreamParams;
use super::kept::{END, KeyClock, Progress, RunningOutput, STEP};
use crate::base::mailbox::Empty;
use crate::base::{Error, ErrorKind, Result};
use crate::media::{AccessUnit, Codec};

/// Access units that may wait inside GStreamer; the rest of the second waits in the feed.
const INSIDE: u64 = 3;
/// How often an output looks at what GStreamer does not tell: whether its file is still there.
const LOOK: Duration = Duration::from_secs(1);

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
    /// What no error may say (invariant 7): what a peer answers may quote it.
    pub secrets: Vec<String>,
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
        Recipe { subject, build: Box::new(build), check: None, key_every: None, secrets: Vec::new() }
    }
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

/// Starts the output; fails where its pipeline cannot be made at all.
pub(crate) fn start(recipe: Recipe, params: &StreamParams, feed: Arc<Feed>) -> Result<RunningOutput> {
    let mut first = Some((recipe.build)(0)?);
    let (subject, caps) = (recipe.subject.clone(), caps(params));
    let run = Run { recipe, caps, feed: feed.clone() };
    RunningOutput::start(subject, feed, move |failures, progress| {
        let pipeline = first.take().map_or_else(|| (run.recipe.build)(failures), Ok)?;
        if failures > 0 {
            run.feed.restart();
        }
        run.serve(&Playing(pipeline), progress)
    })
}

/// What the thread of an output owns.
struct Run {
    recipe: Recipe,
    caps: gst::Caps,
    feed: Arc<Feed>,
}

impl Run {
    /// Feeds one pipeline until the feed is closed and empty, then lets it end.
    fn serve(&self, playing: &Playing, progress: &Progress) -> Result<()> {
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
        let mut origin = None;
        let mut keys = KeyClock::new(self.recipe.key_every);
        let mut looked = Instant::now();
        loop {
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
                keys.tick(&unit, &self.feed);
                source.push_buffer(buffer(&unit, time)).map_err(|e| {
                    self.failure(&bus).unwrap_or_else(|| internal("takes no more").caused_by(e))
                })?;
                progress.running();
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
            _ => self.without_secrets(error.message().split("://").next().unwrap_or_default()),
        };
        Some(Error::new(kind, self.recipe.subject.clone(), text))
    }

    fn without_secrets(&self, text: &str) -> String {
        let secrets = self.recipe.secrets.iter().filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "…"))
    }
}

/// A pipeline that is stopped when its owner is done with it.
struct Playing(gst::Pipeline);

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}
