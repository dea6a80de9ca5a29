//! Encodes a loop through GStreamer: no B-frames, closed GOPs, every picture with its frame code.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use vitrail_engine::media::{Codec, Ratio};
use vitrail_engine::{Error, ErrorKind, Result};

use crate::Profile;
use crate::clip::Clip;
use crate::code::Code;
use crate::footage::{Feed, Footage};
use crate::picture::Picture;

/// Everything that shapes an encoded loop.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub codec: Codec,
    pub size: (u32, u32),
    pub rate: Ratio,
    pub kbps: u32,
    /// Pictures from one IDR to the next.
    pub gop: usize,
    /// Pictures of the loop: a multiple of `gop`.
    pub frames: usize,
    pub footage: Footage,
    pub camera: u16,
    pub profile: Profile,
    /// The first picture over and over.
    pub frozen: bool,
}

impl Recipe {
    /// Changes whenever the result would.
    pub(crate) fn key(&self) -> String {
        /// Raise when scenes, code or encoder settings change.
        const VERSION: u32 = 1;
        format!("{VERSION} {self:?} {}", self.footage.key())
    }

    /// Draws and encodes the loop.
    pub(crate) fn encode(&self) -> Result<Clip> {
        let mut feed = Feed::open(&self.footage, self.size, self.rate, self.frames)?;
        let mut picture = Picture::new(self.size.0, self.size.1);
        let mut still: Option<Picture> = None;
        encode_pictures(self, self.frames, |index, out| {
            if let Some(still) = &still {
                out.copy_from_slice(still.data());
                return Ok(());
            }
            feed.next(&mut picture)?;
            let frame = index as u32;
            picture.stamp(&Code { camera: self.camera, profile: self.profile, frame });
            if self.frozen {
                still = Some(picture.clone());
            }
            out.copy_from_slice(picture.data());
            Ok(())
        })
    }

    fn element(&self) -> String {
        let (kbps, gop) = (self.kbps, self.gop);
        if self.codec == Codec::H264 {
            // 2 s of buffer: cameras let an I-frame be many times the size of a P-frame.
            format!(
                "x264enc speed-preset=ultrafast threads=1 bframes=0 rc-lookahead=0 sync-lookahead=0 \
                 mb-tree=false bitrate={kbps} vbv-buf-capacity=2000 key-int-max={gop} \
                 option-string=\"scenecut=0:min-keyint={gop}:open-gop=0\" ! \
                 video/x-h264,stream-format=byte-stream,alignment=au"
            )
        } else {
            format!(
                "x265enc speed-preset=ultrafast bitrate={kbps} key-int-max={gop} log-level=none \
                 option-string=\"bframes=0:scenecut=0:min-keyint={gop}:open-gop=0:rc-lookahead=0:\
                 frame-threads=1:vbv-maxrate={kbps}:vbv-bufsize={}:info=0\" ! \
                 video/x-h265,stream-format=byte-stream,alignment=au",
                2 * kbps
            )
        }
    }
}

/// Encodes `count` pictures that `draw` writes as packed I420.
fn encode_pictures(
    recipe: &Recipe,
    count: usize,
    mut draw: impl FnMut(usize, &mut [u8]) -> Result<()>,
) -> Result<Clip> {
    crate::start_gstreamer()?;
    let ((width, height), rate) = (recipe.size, recipe.rate);
    let element = if recipe.codec == Codec::H264 { "x264enc" } else { "x265enc" };
    let wrong = |what: &'static str| Error::new(ErrorKind::Missing, element, what);
    let colorimetry = if height >= 720 { "bt709" } else { "bt601" };
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=in format=time block=true max-bytes=8000000 \
         caps=video/x-raw,format=I420,width={width},height={height},framerate={}/{},\
         pixel-aspect-ratio=1/1,colorimetry={colorimetry} ! {} ! appsink name=out sync=false",
        rate.num,
        rate.den,
        recipe.element()
    ))
    .map_err(|e| wrong("cannot encode; install the GStreamer plug-ins \"ugly\" and \"bad\"").caused_by(e))?
    .downcast::<gst::Pipeline>()
    .map_err(|_| wrong("is not in a pipeline"))?;
    let source = pipeline.by_name("in").and_then(|e| e.downcast::<gst_app::AppSrc>().ok());
    let sink = pipeline.by_name("out").and_then(|e| e.downcast::<gst_app::AppSink>().ok());
    let (Some(source), Some(sink)) = (source, sink) else { return Err(wrong("has no source or sink")) };
    let units: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    sink.set_callbacks(collect(units.clone()));
    let stop = Stop(pipeline.clone());
    pipeline.set_state(gst::State::Playing).map_err(|e| wrong("cannot start").caused_by(e))?;

    let packed = (width * height * 3 / 2) as usize;
    for index in 0..count {
        let mut buffer =
            gst::Buffer::with_size(packed).map_err(|e| wrong("is out of memory").caused_by(e))?;
        {
            let buffer = buffer.make_mut();
            let time = |n: usize| {
                let nanos = n as u128 * 1_000_000_000 * u128::from(rate.den) / u128::from(rate.num);
                gst::ClockTime::from_nseconds(nanos as u64)
            };
            buffer.set_pts(time(index));
            buffer.set_duration(time(index + 1) - time(index));
            let mut map = buffer.map_writable().map_err(|e| wrong("refuses a buffer").caused_by(e))?;
            draw(index, &mut map)?;
        }
        if source.push_buffer(buffer).is_err() {
            break;
        }
    }
    let _ = source.end_of_stream();
    let bus = pipeline.bus().ok_or_else(|| wrong("has no bus"))?;
    let end = bus.timed_pop_filtered(
        gst::ClockTime::from_seconds(120),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    match end.as_ref().map(|m| m.view()) {
        Some(gst::MessageView::Eos(_)) => {}
        Some(gst::MessageView::Error(e)) => return Err(wrong("failed to encode").caused_by(e.error())),
        _ => return Err(wrong("did not end in two minutes")),
    }
    drop(stop);
    let units = std::mem::take(&mut *units.lock().unwrap_or_else(|e| e.into_inner()));
    let clip = Clip::from_units(recipe.codec, recipe.size, rate, units)
        .filter(|clip| clip.frames.len() == count)
        .ok_or_else(|| wrong("gave an incomplete stream"))?;
    Ok(clip)
}

fn collect(units: Arc<Mutex<Vec<Bytes>>>) -> gst_app::AppSinkCallbacks {
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            let map = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            units.lock().unwrap_or_else(|e| e.into_inner()).push(Bytes::copy_from_slice(&map));
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

/// Stops a pipeline however the function ends.
struct Stop(gst::Pipeline);

impl Drop for Stop {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}
