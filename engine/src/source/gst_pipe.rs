//! What the GStreamer sources share: the tail of a pipeline that turns encoded buffers into access
//! units, and the care of a pipeline that must never block a caller.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};
use tokio::sync::Notify;

use super::entry::Entry;
use super::fields::{Fields, Half};
use super::nal::{Classifier, from_each_start};
use super::pacing::{Pacing, Smoother};
use super::{Run, StreamDescription, UnitSink};
use crate::base::{Error, ErrorKind, Moment, Result, SharedClock};
use crate::media::{
    AccessUnit, Codec, Orientation, Pts, Ratio, SoundCodec, SoundPacket, SoundParameters, VideoParameters,
};

/// How a raw stream without timestamps or a frame rate is played: 25 pictures per second.
const ASSUMED_FRAME: Duration = Duration::from_millis(40);

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

/// The end of the pipelines of one source: it takes the first video stream that is offered and
/// hands on its access units.
pub(super) struct Tail {
    sink: Arc<dyn UnitSink>,
    clock: SharedClock,
    /// Where bytes come in.
    entry: Arc<Entry>,
    /// It was told that the camera answered.
    answered: AtomicBool,
    taken: AtomicBool,
    heard: AtomicBool,
    units: AtomicU64,
    state: Mutex<State>,
    /// What waits for its time, of a live playlist.
    waiting: Mutex<Smoother<Waiting>>,
    /// Something was put there.
    more: Notify,
}

/// What is handed on in order.
enum Waiting {
    Parameters(VideoParameters),
    Unit(AccessUnit),
}

#[derive(Default)]
struct State {
    description: StreamDescription,
    classifier: Option<Classifier>,
    known: Option<VideoParameters>,
    caps: Option<gst::Caps>,
    sound: Option<SoundParameters>,
    /// What the container asks for, as a tag.
    orientation: Orientation,
    /// Where the newest picture ends on the time of the stream, in nanoseconds.
    end: i64,
    pacing: Pacing,
    started: bool,
}

impl Tail {
    pub(super) fn new(run: &Run<'_>, description: StreamDescription) -> Arc<Tail> {
        Arc::new(Tail {
            sink: run.sink.clone(),
            clock: run.clock.clone(),
            entry: Entry::new(run.clock.clone()),
            answered: AtomicBool::new(false),
            taken: AtomicBool::new(false),
            heard: AtomicBool::new(false),
            units: AtomicU64::new(0),
            state: Mutex::new(State { description, ..State::default() }),
            waiting: Mutex::new(Smoother::new()),
            more: Notify::new(),
        })
    }

    /// Where bytes come in: told by whoever builds the pipeline.
    pub(super) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// The camera answered: bytes come, or it described its stream. It may be long until its first picture is whole,
    /// and whoever waits must know that it is slow, not away. What is known of it so far is told; all of it comes
    /// with the first picture.
    pub(super) fn answered(&self) {
        if !self.answered.swap(true, Ordering::SeqCst) {
            let known = self.lock().description.clone();
            self.sink.described(&known);
        }
    }

    /// Reads from this element: the first bytes are an answer.
    pub(super) fn watch(self: &Arc<Self>, source: &gst::Element) {
        self.entry.watch(source);
        let Some(pad) = source.static_pad("src") else { return };
        let tail = Arc::downgrade(self);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if let Some(tail) = tail.upgrade() {
                tail.answered();
            }
            gst::PadProbeReturn::Remove
        });
    }

    /// Who sets the speed; before the stream is attached.
    pub(super) fn set_pacing(&self, pacing: Pacing) {
        self.lock().pacing = pacing;
    }

    /// Hands on what waits, each at its time; for ever.
    pub(super) async fn release(&self) {
        loop {
            let more = self.more.notified();
            match self.hand_on_due() {
                Some(due) => {
                    let wait = due.since(self.clock.now()).max(Duration::from_millis(1));
                    let _ = tokio::time::timeout(wait, more).await;
                }
                None => more.await,
            }
        }
    }

    /// Hands on what still waits, each at its time.
    pub(super) async fn release_rest(&self) {
        while let Some(due) = self.hand_on_due() {
            tokio::time::sleep(due.since(self.clock.now()).max(Duration::from_millis(1))).await;
        }
    }

    /// Hands on what is due now; when the next is.
    fn hand_on_due(&self) -> Option<Moment> {
        loop {
            let mut waiting = self.waiting.lock();
            let Some(item) = waiting.pop(self.clock.now()) else { return waiting.next_due() };
            drop(waiting);
            match item {
                Waiting::Parameters(parameters) => self.sink.parameters(&parameters),
                Waiting::Unit(unit) => self.sink.unit(unit),
            }
        }
    }

    /// Hands on now, or lets it wait for its time on the stream in nanoseconds.
    fn pass(&self, item: Waiting, pacing: Pacing, time: Option<i64>, arrival: Moment) {
        match (pacing, item) {
            (Pacing::Bursts, item) => {
                let bytes = match &item {
                    Waiting::Parameters(_) => 0,
                    Waiting::Unit(unit) => unit.data.len(),
                };
                let mut waiting = self.waiting.lock();
                waiting.push(item, time, bytes, arrival);
                drop(waiting);
                self.more.notify_one();
            }
            (_, Waiting::Parameters(parameters)) => self.sink.parameters(&parameters),
            (_, Waiting::Unit(unit)) => self.sink.unit(unit),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Units handed on so far.
    pub(super) fn units(&self) -> u64 {
        self.units.load(Ordering::Relaxed)
    }

    /// True once a stream was taken.
    pub(super) fn has_stream(&self) -> bool {
        self.taken.load(Ordering::SeqCst)
    }

    /// Names of the streams that were offered, the taken one first.
    pub(super) fn offered(&self) -> Vec<String> {
        self.lock().description.streams.clone()
    }

    /// Notes a stream that is not taken.
    pub(super) fn note_offer(&self, name: String) {
        self.lock().description.streams.push(name);
    }

    /// True where this caller may take the stream: it is a video that is understood, and the first.
    pub(super) fn take(&self, caps_name: &str, mpeg_version: Option<i32>) -> Option<Codec> {
        let codec = match (caps_name, mpeg_version) {
            ("video/x-h264", _) => Codec::H264,
            ("video/x-h265", _) => Codec::H265,
            ("image/jpeg", _) => Codec::Mjpeg,
            ("video/mpeg", Some(4)) => Codec::Mpeg4,
            _ => return None,
        };
        (!self.taken.swap(true, Ordering::SeqCst)).then_some(codec)
    }

    /// Builds parser and sink behind `pad` and links them.
    pub(super) fn attach(
        self: &Arc<Self>,
        pipeline: &gst::Pipeline,
        pad: &gst::Pad,
        codec: Codec,
    ) -> Result<()> {
        let mut chain = Vec::new();
        let (parser, caps) = match codec {
            Codec::H264 => (Some("h264parse"), "video/x-h264,stream-format=byte-stream,alignment=au"),
            Codec::H265 => (Some("h265parse"), "video/x-h265,stream-format=byte-stream,alignment=au"),
            Codec::Mpeg4 => (Some("mpeg4videoparse"), "video/mpeg,mpegversion=4,systemstream=false"),
            Codec::Mjpeg => (None, "image/jpeg"),
        };
        if let Some(name) = parser {
            let parser = element(name)?;
            // Parameter sets with every random-access unit.
            parser.set_property("config-interval", -1);
            chain.push(parser);
        }
        let sink = self.clone().app_sink(codec, caps.parse().map_err(internal)?);
        chain.push(sink.upcast());
        pipeline.add_many(&chain).map_err(internal)?;
        gst::Element::link_many(&chain).map_err(internal)?;
        {
            let mut state = self.lock();
            state.classifier = Some(Classifier::new(codec));
        }
        for element in chain.iter().rev() {
            element.sync_state_with_parent().map_err(internal)?;
        }
        let entry = chain[0].static_pad("sink").expect("parsers and sinks have a sink pad");
        self.watch_orientation(&entry);
        pad.link(&entry).map_err(internal)?;
        Ok(())
    }

    /// Notes how the container asks for its pictures to be set upright: a tag that comes before the first one.
    fn watch_orientation(self: &Arc<Self>, entry: &gst::Pad) {
        let tail = Arc::downgrade(self);
        entry.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            let asked = match info.event().map(|event| event.view()) {
                Some(gst::EventView::Tag(tags)) => tags
                    .tag()
                    .get::<gst::tags::ImageOrientation>()
                    .and_then(|word| Orientation::from_tag(word.get())),
                _ => None,
            };
            if let (Some(asked), Some(tail)) = (asked, tail.upgrade()) {
                let mut state = tail.lock();
                if state.orientation != asked {
                    state.orientation = asked;
                    // The next picture tells.
                    state.caps = None;
                }
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// What this sound is, where this caller may take it: it is understood, and the first.
    pub(super) fn take_sound(&self, caps: &gst::StructureRef) -> Option<SoundCodec> {
        // A parser that has not seen a packet yet offers several versions of AAC, and all layers.
        let codec = match (caps.name().as_str(), caps.get::<i32>("mpegversion")) {
            ("audio/mpeg", Ok(1)) => SoundCodec::Mp3,
            ("audio/mpeg", _) => SoundCodec::Aac,
            ("audio/x-alaw", _) => SoundCodec::Alaw,
            ("audio/x-mulaw", _) => SoundCodec::Mulaw,
            ("audio/x-ac3", _) => SoundCodec::Ac3,
            ("audio/x-opus", _) => SoundCodec::Opus,
            _ => return None,
        };
        (!self.heard.swap(true, Ordering::SeqCst)).then_some(codec)
    }

    /// Builds parser and sink of sound behind `pad` and links them.
    pub(super) fn attach_sound(
        self: &Arc<Self>,
        pipeline: &gst::Pipeline,
        pad: &gst::Pad,
        codec: SoundCodec,
    ) -> Result<()> {
        // Between the demuxer's one thread and a sink that waits until the pipeline plays, which waits for
        // the first picture.
        let queue = element("queue")?;
        queue.set_property("max-size-time", 0_u64);
        queue.set_property("max-size-buffers", 0_u32);
        let mut chain = vec![queue];
        let (parser, caps) = match codec {
            SoundCodec::Aac => (Some("aacparse"), "audio/mpeg,mpegversion={2,4},stream-format=raw"),
            SoundCodec::Mp2 | SoundCodec::Mp3 => {
                (Some("mpegaudioparse"), "audio/mpeg,mpegversion=1,parsed=true")
            }
            SoundCodec::Ac3 => (Some("ac3parse"), "audio/x-ac3"),
            SoundCodec::Opus => (Some("opusparse"), "audio/x-opus"),
            SoundCodec::Alaw => (None, "audio/x-alaw"),
            SoundCodec::Mulaw => (None, "audio/x-mulaw"),
        };
        if let Some(name) = parser {
            chain.push(element(name)?);
        }
        // Pictures begin without it, and it comes as fast as it is read.
        let caps: gst::Caps = caps.parse().map_err(internal)?;
        let sink = AppSink::builder().caps(&caps).sync(false).async_(false).max_buffers(64).build();
        sink.set_property("enable-last-sample", false);
        let tail = self.clone();
        let callbacks = AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                tail.hand_on_sound(codec, &sample);
                Ok(gst::FlowSuccess::Ok)
            })
            .build();
        sink.set_callbacks(callbacks);
        chain.push(sink.upcast());
        pipeline.add_many(&chain).map_err(internal)?;
        gst::Element::link_many(&chain).map_err(internal)?;
        for element in chain.iter().rev() {
            element.sync_state_with_parent().map_err(internal)?;
        }
        let entry = chain[0].static_pad("sink").expect("a queue has a sink pad");
        pad.link(&entry).map(|_| ()).map_err(internal)
    }

    fn hand_on_sound(&self, codec: SoundCodec, sample: &gst::Sample) {
        let arrival = self.clock.now();
        let Some(buffer) = sample.buffer_owned() else { return };
        let mut state = self.lock();
        let told = sample.caps().and_then(|caps| caps.structure(0)).map(|s| sound_parameters_of(codec, s));
        if let Some(told) = told.filter(|told| state.sound.as_ref() != Some(told)) {
            self.sink.sound_parameters(&told);
            state.sound = Some(told);
        }
        let Some(pts) = buffer.pts().or(buffer.dts()) else { return };
        let pts = signed(pts.nseconds());
        drop(state);
        let duration = buffer.duration().map_or(Duration::ZERO, |d| Duration::from_nanos(d.nseconds()));
        let Ok(map) = buffer.into_mapped_buffer_readable() else { return };
        let data = Bytes::from_owner(map);
        self.sink.sound(SoundPacket { pts: Pts(pts), duration, arrival, captured: None, data });
    }

    fn app_sink(self: Arc<Self>, codec: Codec, caps: gst::Caps) -> AppSink {
        let recorded = self.lock().pacing == Pacing::Recorded;
        let sink = AppSink::builder().caps(&caps).sync(recorded).max_buffers(8).build();
        sink.set_property("enable-last-sample", false);
        if recorded {
            let entry = sink.static_pad("sink").expect("a sink has a sink pad");
            add_missing_timestamps(&entry, codec);
        }
        let callbacks = AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                self.hand_on(&sample);
                Ok(gst::FlowSuccess::Ok)
            })
            .build();
        sink.set_callbacks(callbacks);
        sink
    }

    fn hand_on(&self, sample: &gst::Sample) {
        let Some(buffer) = sample.buffer_owned() else { return };
        let mut state = self.lock();
        let pacing = state.pacing;
        let arrival = match pacing {
            Pacing::Live => self.entry.arrival(buffer.pts()),
            Pacing::Bursts | Pacing::Recorded => self.clock.now(),
        };
        if let Some(caps) = sample.caps_owned() {
            self.learn(&mut state, caps, arrival);
        }
        let lost =
            buffer.flags().contains(gst::BufferFlags::DISCONT) && std::mem::replace(&mut state.started, true);
        let timed = |time: Option<gst::ClockTime>| {
            time.filter(|_| !self.entry.is_untimed()).map(|t| signed(t.nseconds()))
        };
        let (pts, dts) = (timed(buffer.pts()), timed(buffer.dts()));
        let untold = if pacing == Pacing::Live { signed(arrival.0) } else { state.end };
        let duration = buffer.duration().map_or(0, |d| signed(d.nseconds()));
        let at = pts.or(dts).unwrap_or(untold);
        state.end = state.end.max(at.saturating_add(duration));
        let Ok(map) = buffer.into_mapped_buffer_readable() else { return };
        let data = Bytes::from_owner(map);
        let Some(class) = state.classifier.as_mut().map(|c| c.classify(&data)) else { return };
        drop(state);
        if !class.picture {
            return;
        }
        self.units.fetch_add(1, Ordering::Relaxed);
        let unit = AccessUnit {
            pts: Pts(at),
            arrival,
            captured: None,
            random_access: class.random_access,
            disposable: class.disposable,
            // What a server keeps as a file lost nothing.
            loss: lost && pacing != Pacing::Recorded,
            data,
        };
        self.pass(Waiting::Unit(unit), pacing, dts.or(pts), arrival);
    }

    fn learn(&self, state: &mut State, caps: gst::Caps, arrival: Moment) {
        if state.caps.as_ref() == Some(&caps) {
            return;
        }
        let codec = state.classifier.as_ref().map_or(Codec::H264, Classifier::codec);
        let parameters = caps.structure(0).map(|s| parameters_of(codec, state.orientation, s));
        if state.known.is_none() {
            state.description.profile = caps.structure(0).and_then(|s| s.get::<String>("profile").ok());
            state.description.parameter_sets_outside =
                parameters.as_ref().is_some_and(|p| !p.extradata.is_empty());
            self.sink.described(&state.description);
        }
        if let Some(parameters) = parameters.filter(|p| state.known.as_ref() != Some(p)) {
            self.pass(Waiting::Parameters(parameters.clone()), state.pacing, None, arrival);
            state.known = Some(parameters);
        }
        state.caps = Some(caps);
    }
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "GStreamer", "a pipeline cannot be built").caused_by(error.to_string())
}

fn signed(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

/// Raw H.264 and H.265 files may have no timestamps at all: number their pictures, so that they are
/// played at the speed of their frame rate and not at once. The second field of a picture is half of it later.
fn add_missing_timestamps(pad: &gst::Pad, codec: Codec) {
    let numbers = Mutex::new((0_u32, (codec == Codec::H264).then(Fields::default)));
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(buffer) = info.buffer_mut() {
            let mut numbers = numbers.lock();
            let (next, fields) = &mut *numbers;
            let half = match (fields, buffer.map_readable()) {
                (Some(fields), Ok(unit)) => fields.note(from_each_start(&unit)),
                _ => Half::Whole,
            };
            *next += u32::from(half != Half::Second);
            if buffer.pts().is_none() && buffer.dts().is_none() {
                let rate = pad.current_caps().and_then(|c| frame_rate(c.structure(0)?));
                let frame = rate.map_or(ASSUMED_FRAME, |r| Duration::from_secs_f64(1.0 / r.as_f64()));
                let (second, lasts) = match half {
                    Half::Whole => (Duration::ZERO, frame),
                    Half::First => (Duration::ZERO, frame / 2),
                    Half::Second => (frame / 2, frame / 2),
                };
                let at = frame.saturating_mul(next.saturating_sub(1)) + second;
                let buffer = buffer.make_mut();
                buffer.set_pts(gst::ClockTime::try_from(at).ok());
                buffer.set_duration(gst::ClockTime::try_from(lasts).ok());
            }
        }
        gst::PadProbeReturn::Ok
    });
}

fn ratio(s: &gst::StructureRef, field: &str) -> Option<Ratio> {
    let f = s.get::<gst::Fraction>(field).ok()?;
    Ratio::new(u32::try_from(f.numer()).ok()?, u32::try_from(f.denom()).ok()?)
}

fn frame_rate(s: &gst::StructureRef) -> Option<Ratio> {
    ratio(s, "framerate")
}

fn parameters_of(codec: Codec, orientation: Orientation, s: &gst::StructureRef) -> VideoParameters {
    let size = |field| s.get::<i32>(field).ok().and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
    let codec_data =
        s.get::<gst::Buffer>("codec_data").ok().and_then(|b| b.into_mapped_buffer_readable().ok());
    VideoParameters {
        codec,
        width: size("width"),
        height: size("height"),
        pixel_aspect: ratio(s, "pixel-aspect-ratio").unwrap_or(Ratio::ONE),
        frame_rate: frame_rate(s),
        orientation,
        extradata: codec_data.map(|m| Bytes::copy_from_slice(&m)).unwrap_or_default(),
    }
}

fn sound_parameters_of(codec: SoundCodec, s: &gst::StructureRef) -> SoundParameters {
    let number = |field| s.get::<i32>(field).ok().and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
    let codec = match (codec, s.get::<i32>("layer")) {
        (SoundCodec::Mp3, Ok(2)) => SoundCodec::Mp2,
        _ => codec,
    };
    let record = s.get::<gst::Buffer>("codec_data").ok().and_then(|b| b.into_mapped_buffer_readable().ok());
    SoundParameters {
        codec,
        rate: number("rate"),
        channels: number("channels"),
        extradata: record.map(|m| Bytes::copy_from_slice(&m)).unwrap_or_default(),
        on_picture_time: true,
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
