//! The viewer's side, for tests: decodes an RTSP stream, a file or a clip and says when each picture
//! came out.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use parking_lot::{Condvar, Mutex, MutexGuard};
use vitrail_engine::base::{Moment, SharedClock};
use vitrail_engine::media::Codec;
use vitrail_engine::source::Transport;
use vitrail_engine::{Error, ErrorKind, Result};

use crate::clip::Clip;
use crate::code::{self, Code, Region};

/// Pictures kept while nobody fetches them; the oldest go first.
const KEPT: usize = 64;

/// A decoded picture, packed I420.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Y, U and V, one after the other, without padding.
    pub data: Bytes,
    /// When the decoder gave it, on the viewer's clock.
    pub arrival: Moment,
    /// The same instant, since the Unix epoch.
    pub wall: Duration,
}

impl Seen {
    /// The luma plane; its stride is the width.
    pub fn luma(&self) -> &[u8] {
        &self.data[..self.width * self.height]
    }

    /// The frame code of the picture, or of the part of it that `region` cuts out.
    pub fn code(&self, region: Option<Region>) -> Option<Code> {
        code::read(self.luma(), self.width, (self.width, self.height), region)
    }
}

#[derive(Default)]
struct Inbox {
    pictures: VecDeque<Seen>,
    dropped: u64,
    end: Option<Result<()>>,
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock()
    }
    fn end(&self, how: Result<()>) {
        self.lock().end.get_or_insert(how);
        self.changed.notify_all();
    }
}

/// Which pictures a viewer decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    KeyFrames,
}

/// A running decoder of one stream; dropping it ends the pipeline.
pub struct Viewer {
    pipeline: gst::Pipeline,
    shared: Arc<Shared>,
}

impl Viewer {
    /// Connects to an RTSP stream. Errors of the connection appear in [`Viewer::next`].
    pub fn rtsp(uri: &str, transport: Transport, clock: SharedClock) -> Result<Viewer> {
        Viewer::connect(uri, transport, clock, Wanted::All)
    }

    /// As [`rtsp`](Viewer::rtsp), but decodes key frames alone: a look at a large picture now and then,
    /// at a small part of the cost.
    pub fn rtsp_key_frames(uri: &str, transport: Transport, clock: SharedClock) -> Result<Viewer> {
        Viewer::connect(uri, transport, clock, Wanted::KeyFrames)
    }

    fn connect(uri: &str, transport: Transport, clock: SharedClock, wanted: Wanted) -> Result<Viewer> {
        crate::start_gstreamer()?;
        let protocol = if transport == Transport::Tcp { "tcp" } else { "udp" };
        let source = gst::ElementFactory::make("rtspsrc")
            .property("location", uri)
            .property("latency", 0u32)
            .property("drop-on-latency", false)
            .property_from_str("protocols", protocol)
            .build()
            .map_err(|e| missing("rtspsrc").caused_by(e))?;
        Viewer::start(source, clock, wanted)
    }

    /// Decodes a file to its end, as fast as it goes.
    pub fn file(path: &Path, clock: SharedClock) -> Result<Viewer> {
        crate::start_gstreamer()?;
        let uri = std::path::absolute(path)
            .ok()
            .and_then(|path| gst::glib::filename_to_uri(path, None).ok())
            .ok_or_else(|| Error::new(ErrorKind::Config, path.display().to_string(), "is not a path"))?;
        let source = gst::ElementFactory::make("urisourcebin")
            .property("uri", uri.as_str())
            .property("parse-streams", true)
            .build()
            .map_err(|e| missing("urisourcebin").caused_by(e))?;
        Viewer::start(source, clock, Wanted::All)
    }

    fn start(source: gst::Element, clock: SharedClock, wanted: Wanted) -> Result<Viewer> {
        let pipeline = gst::Pipeline::new();
        let shared = Arc::new(Shared::default());
        pipeline.add(&source).map_err(|e| missing("pipeline").caused_by(e))?;
        let (weak, inbox) = (pipeline.downgrade(), shared.clone());
        source.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade() else { return };
            if let Err(error) = attach(&pipeline, pad, &inbox, &clock, wanted) {
                inbox.end(Err(error));
            }
        });
        let bus = pipeline.bus().ok_or_else(|| missing("bus"))?;
        let inbox = shared.clone();
        bus.set_sync_handler(move |_, message| {
            match message.view() {
                gst::MessageView::Eos(_) => inbox.end(Ok(())),
                gst::MessageView::Error(e) => {
                    let what = "the stream ended with an error";
                    inbox.end(Err(Error::new(ErrorKind::Unreachable, "viewer", what).caused_by(e.error())));
                }
                _ => {}
            }
            gst::BusSyncReply::Drop
        });
        let viewer = Viewer { pipeline, shared };
        viewer
            .pipeline
            .set_state(gst::State::Playing)
            .map_err(|e| Error::new(ErrorKind::Unreachable, "viewer", "cannot start").caused_by(e))?;
        Ok(viewer)
    }

    /// The next picture; `None` at the end of the stream or after `timeout`.
    pub fn next(&self, timeout: Duration) -> Result<Option<Seen>> {
        let until = Instant::now() + timeout;
        let mut inbox = self.shared.lock();
        loop {
            if let Some(picture) = inbox.pictures.pop_front() {
                return Ok(Some(picture));
            }
            match inbox.end.take() {
                Some(Ok(())) => {
                    inbox.end = Some(Ok(()));
                    return Ok(None);
                }
                Some(Err(error)) => return Err(error),
                None => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.shared.changed.wait_for(&mut inbox, left);
        }
    }

    /// Pictures that nobody fetched in time.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn missing(element: &'static str) -> Error {
    Error::new(ErrorKind::Missing, element, "is missing or refuses to work; install the GStreamer plug-ins")
}

/// Adds depayloader, parser, decoder and sink behind a new pad of video.
fn attach(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    shared: &Arc<Shared>,
    clock: &SharedClock,
    wanted: Wanted,
) -> Result<()> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let Some(kind) = caps.structure(0) else { return Ok(()) };
    let rtp = kind.name() == "application/x-rtp";
    if rtp && kind.get::<String>("media").is_ok_and(|media| media != "video") {
        return Ok(());
    }
    let encoding = if rtp { kind.get::<String>("encoding-name").unwrap_or_default() } else { String::new() };
    let (depay, decoder) = match (kind.name().as_str(), encoding.as_str()) {
        (_, "H264") => ("rtph264depay !", "h264parse name=parse ! avdec_h264 max-threads=1"),
        (_, "H265") => ("rtph265depay !", "h265parse name=parse ! avdec_h265 max-threads=1"),
        ("video/x-h264", _) => ("", "h264parse name=parse ! avdec_h264 max-threads=1"),
        ("video/x-h265", _) => ("", "h265parse name=parse ! avdec_h265 max-threads=1"),
        _ => return Ok(()),
    };
    let bin = gst::parse::bin_from_description(
        &format!(
            "{depay} {decoder} ! videoconvert n-threads=1 ! video/x-raw,format=I420 ! \
             appsink name=out sync=false max-buffers=2"
        ),
        true,
    )
    .map_err(|e| missing("decoder").caused_by(e))?;
    let sink = bin
        .by_name("out")
        .and_then(|sink| sink.downcast::<gst_app::AppSink>().ok())
        .ok_or_else(|| missing("appsink"))?;
    let (shared, clock) = (shared.clone(), clock.clone());
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let (arrival, wall) = (clock.now(), clock.wall());
            let (width, height, data) = packed(&sample).ok_or(gst::FlowError::Error)?;
            let mut inbox = shared.lock();
            if inbox.pictures.len() == KEPT {
                inbox.pictures.pop_front();
                inbox.dropped += 1;
            }
            inbox.pictures.push_back(Seen { width, height, data: data.into(), arrival, wall });
            drop(inbox);
            shared.changed.notify_all();
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    sink.set_callbacks(callbacks);
    let parsed = bin.by_name("parse").and_then(|parse| parse.static_pad("src"));
    skip_to_key_frame(&parsed.ok_or_else(|| missing("parser"))?, wanted);
    pipeline.add(&bin).map_err(|e| missing("pipeline").caused_by(e))?;
    let target = bin.static_pad("sink").ok_or_else(|| missing("sink pad"))?;
    pad.link(&target).map_err(|e| missing("decoder").caused_by(e))?;
    bin.sync_state_with_parent().map_err(|e| missing("decoder").caused_by(e))?;
    Ok(())
}

/// Drops what comes before the first key frame, of which a decoder would make grey pictures, and what
/// else is not wanted.
fn skip_to_key_frame(pad: &gst::Pad, wanted: Wanted) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| match info.buffer() {
        Some(buffer) if buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) => gst::PadProbeReturn::Drop,
        _ if wanted == Wanted::KeyFrames => gst::PadProbeReturn::Ok,
        _ => gst::PadProbeReturn::Remove,
    });
}

/// Copies the planes of an I420 sample without padding.
fn packed(sample: &gst::Sample) -> Option<(usize, usize, Vec<u8>)> {
    let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer()?, &info).ok()?;
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let mut data = Vec::with_capacity(width * height * 3 / 2 + width + height);
    for plane in 0..3u32 {
        let (w, h) = match plane {
            0 => (width, height),
            _ => (width.div_ceil(2), height.div_ceil(2)),
        };
        let stride = *frame.plane_stride().get(plane as usize)? as usize;
        for row in frame.plane_data(plane).ok()?.chunks(stride).take(h) {
            data.extend_from_slice(row.get(..w)?);
        }
    }
    Some((width, height, data))
}

/// Decodes a clip and hands every picture, packed I420, to `look`.
pub fn decode_clip<T>(clip: &Clip, mut look: impl FnMut(&[u8]) -> T) -> Result<Vec<T>> {
    crate::start_gstreamer()?;
    let name = if clip.codec == Codec::H264 { "h264" } else { "h265" };
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=in format=time caps=video/x-{name},stream-format=byte-stream,alignment=au ! \
         {name}parse ! avdec_{name} max-threads=1 ! videoconvert ! video/x-raw,format=I420 ! \
         appsink name=out sync=false max-buffers=4"
    ))
    .map_err(|e| missing("decoder").caused_by(e))?
    .downcast::<gst::Pipeline>()
    .map_err(|_| missing("decoder"))?;
    let source = pipeline.by_name("in").and_then(|e| e.downcast::<gst_app::AppSrc>().ok());
    let sink = pipeline.by_name("out").and_then(|e| e.downcast::<gst_app::AppSink>().ok());
    let (Some(source), Some(sink)) = (source, sink) else { return Err(missing("decoder")) };
    let viewer = Viewer { pipeline, shared: Arc::default() };
    viewer.pipeline.set_state(gst::State::Playing).map_err(|e| missing("decoder").caused_by(e))?;
    // No bound on the source's queue: the whole clip is in memory anyway.
    source.set_max_bytes(0);
    for index in 0..clip.frames.len() {
        let mut buffer = gst::Buffer::from_mut_slice(clip.annex_b(index));
        let nanos = index as u64 * 1_000_000_000 * u64::from(clip.rate.den) / u64::from(clip.rate.num);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(nanos));
        }
        if source.push_buffer(buffer).is_err() {
            break;
        }
    }
    let _ = source.end_of_stream();
    let mut seen = Vec::with_capacity(clip.frames.len());
    while let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_seconds(10)) {
        let (_, _, data) = packed(&sample).ok_or_else(|| missing("I420 output"))?;
        seen.push(look(&data));
    }
    Ok(seen)
}
