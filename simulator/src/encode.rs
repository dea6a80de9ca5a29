//! Encodes loops through GStreamer: no B-frames, closed GOPs, every picture with its frame code.
//!
//! Loops of one shape go through one encoder, one behind the other: each begins with an IDR picture
//! where its neighbour ends, so the stream can be cut between them, and a thousand loops need not
//! start a thousand encoders.

use std::sync::Arc;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use parking_lot::Mutex;
use vitrail_engine::media::{Codec, Ratio};
use vitrail_engine::{Error, ErrorKind, Result};

use crate::Profile;
use crate::clip::Clip;
use crate::code::{Code, Place};
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
    /// Where the frame code is.
    pub code: Place,
    pub camera: u16,
    pub profile: Profile,
    /// The first picture over and over.
    pub frozen: bool,
}

impl Recipe {
    /// Changes whenever the result would look different.
    pub(crate) fn key(&self) -> String {
        /// Raise when scenes, code or encoder settings change.
        const VERSION: u32 = 2;
        format!("{VERSION} {self:?} {}", self.footage.key())
    }

    /// Whether one encoder can take both loops, one behind the other.
    fn fits_behind(&self, other: &Recipe) -> bool {
        let shape = |r: &Recipe| (r.codec, r.size, r.rate, r.kbps, r.gop);
        shape(self) == shape(other)
    }

    /// Draws the pictures of the loop, one a call.
    fn artist(&self) -> Result<impl FnMut(&mut [u8]) -> Result<()> + use<'_>> {
        let mut feed = Feed::open(&self.footage, self.size, self.rate, self.frames)?;
        let mut picture = Picture::new(self.size.0, self.size.1);
        let mut frame = 0;
        Ok(move |out: &mut [u8]| {
            if !self.frozen || frame == 0 {
                feed.next(&mut picture)?;
                picture.stamp(&Code { camera: self.camera, profile: self.profile, frame }, self.code);
            }
            frame += 1;
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
                 mb-tree=false trellis=false bitrate={kbps} vbv-buf-capacity=2000 key-int-max={gop} \
                 option-string=\"scenecut=0:min-keyint={gop}:open-gop=0\" ! \
                 video/x-h264,stream-format=byte-stream,alignment=au"
            )
        } else {
            format!(
                "x265enc speed-preset=ultrafast bitrate={kbps} key-int-max={gop} log-level=none \
                 option-string=\"bframes=0:scenecut=0:min-keyint={gop}:open-gop=0:rc-lookahead=0:\
                 frame-threads=1:pools=none:wpp=0:vbv-maxrate={kbps}:vbv-bufsize={}:info=0\" ! \
                 video/x-h265,stream-format=byte-stream,alignment=au",
                2 * kbps
            )
        }
    }
}

/// Encodes loops of one shape (codec, size, rate, bit rate and GOP), each a whole number of GOPs.
pub(crate) fn encode_all(recipes: &[Recipe]) -> Result<Vec<Clip>> {
    let Some(recipe) = recipes.first() else { return Ok(Vec::new()) };
    if let Some(other) = recipes.iter().find(|r| !r.fits_behind(recipe)) {
        let what = "has another shape than the loop before it";
        return Err(Error::new(ErrorKind::Internal, format!("camera {}", other.camera), what));
    }
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
    let mut index = 0;
    'all: for recipe in recipes {
        let mut draw = recipe.artist()?;
        for _ in 0..recipe.frames {
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
                draw(&mut map)?;
            }
            index += 1;
            if source.push_buffer(buffer).is_err() {
                break 'all;
            }
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
    let units = std::mem::take(&mut *units.lock());
    cut(recipes, units).ok_or_else(|| wrong("gave an incomplete stream"))
}

/// One clip for each recipe. An encoder may write its parameter sets once only: all clips get them.
fn cut(recipes: &[Recipe], units: Vec<Bytes>) -> Option<Vec<Clip>> {
    if units.len() != recipes.iter().map(|r| r.frames).sum::<usize>() {
        return None;
    }
    let mut units = units.into_iter();
    let mut sets = Vec::new();
    let mut clips = Vec::with_capacity(recipes.len());
    for recipe in recipes {
        let own = units.by_ref().take(recipe.frames);
        let clip = Clip::from_units(recipe.codec, recipe.size, recipe.rate, &sets, own)?;
        if clip.frames.len() != recipe.frames {
            return None;
        }
        sets.clone_from(&clip.sets);
        clips.push(clip);
    }
    Some(clips)
}

fn collect(units: Arc<Mutex<Vec<Bytes>>>) -> gst_app::AppSinkCallbacks {
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            let map = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            units.lock().push(Bytes::copy_from_slice(&map));
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::code;
    use crate::scene::Scene;
    use crate::viewer::decode_clip;

    fn recipe(codec: Codec, camera: u16) -> Recipe {
        Recipe {
            codec,
            size: (320, 180),
            rate: Ratio { num: 5, den: 1 },
            kbps: 200,
            gop: 4,
            frames: 8,
            footage: Footage::Scene(Scene { kind: usize::from(camera), seed: u64::from(camera) }),
            code: Place::Middle,
            camera,
            profile: Profile::Sub,
            frozen: false,
        }
    }

    #[test]
    fn loops_from_one_encoder_stand_alone() {
        for codec in [Codec::H264, Codec::H265] {
            let recipes: Vec<Recipe> = (1..=5).map(|camera| recipe(codec, camera)).collect();
            let clips = encode_all(&recipes).unwrap();
            assert_eq!(clips.len(), 5);
            for (recipe, clip) in recipes.iter().zip(&clips) {
                let keys: Vec<usize> = (0..8).filter(|&i| clip.frames[i].key).collect();
                assert_eq!(keys, [0, 4], "{codec:?}");
                // A decoder that has seen none of the neighbours.
                let seen =
                    decode_clip(clip, |data| code::read(&data[..320 * 180], 320, (320, 180), None)).unwrap();
                let want = |frame| Some(Code { camera: recipe.camera, profile: Profile::Sub, frame });
                assert_eq!(seen, (0..8).map(want).collect::<Vec<_>>(), "{codec:?}");
            }
        }
    }

    #[test]
    fn loops_of_another_shape_are_refused() {
        let mixed = [recipe(Codec::H264, 1), recipe(Codec::H265, 2)];
        assert!(encode_all(&mixed).is_err());
        assert!(encode_all(&[]).unwrap().is_empty());
    }
}
