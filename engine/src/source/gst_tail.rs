//! The end of the pipelines of one GStreamer source: it takes the first video stream that is offered, and turns encoded
//! buffers into access units.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::classify::Classifier;
use super::entry::Entry;
use super::gst_caps::{add_missing_timestamps, parameters_of, sound_parameters_of};
use super::gst_pipe::element;
use super::pacing::{Pacing, Smoother};
use super::{Run, StreamDescription, UnitSink};
use crate::base::{Error, ErrorKind, Moment, Result, SharedClock};
use crate::media::{
    AccessUnit, Codec, Orientation, Pts, SoundCodec, SoundPacket, SoundParameters, VideoParameters,
};

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
