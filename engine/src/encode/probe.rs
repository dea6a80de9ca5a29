//! Which encoders work here: an encoder counts only when it has encoded a picture.

use std::collections::HashMap;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use parking_lot::Mutex;

use super::element::{CANDIDATES, Candidate, candidates};
use super::{EncoderChoice, EncoderConfig, Rate, nal, picture};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Chroma, Codec, Frame, FrameMeta, Ratio};

/// How long an encoder may take over its first pictures. NVENC creates a CUDA context in that
/// time, which takes seconds on machines with many GPUs.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(10);

/// What a probe found of one encoder.
#[derive(Clone, Debug)]
pub struct Working {
    /// The encoder.
    pub candidate: Candidate,
    /// Why it does not work, in words; `None` where it does.
    pub trouble: Option<String>,
}

/// Tries every encoder that the engine knows.
pub fn working() -> Vec<Working> {
    let probed = |c: &Candidate| Working { candidate: *c, trouble: try_out(c).err().map(|e| e.to_string()) };
    CANDIDATES.iter().map(probed).collect()
}

/// The best encoder that works for this choice. A choice of hardware that is not there falls back
/// to software, said aloud.
pub fn choose(codec: Codec, choice: EncoderChoice) -> Result<&'static Candidate> {
    let mut tried = Vec::new();
    let fallback = (choice != EncoderChoice::Auto).then_some(EncoderChoice::Software);
    for wanted in [Some(choice), fallback].into_iter().flatten() {
        for candidate in candidates(codec, wanted) {
            match try_out(candidate) {
                Ok(()) => {
                    if candidate.family != choice && choice != EncoderChoice::Auto {
                        tracing::warn!(wanted = ?choice, instead = candidate.element, why = %tried.join("; "),
                            "the chosen encoder does not work here");
                    }
                    return Ok(candidate);
                }
                Err(error) => tried.push(error.to_string()),
            }
        }
    }
    Err(Error::new(
        ErrorKind::Missing,
        format!("{codec} encoder"),
        format!("none works: {}", tried.join("; ")),
    ))
}

/// Encodes a small picture for real, once per process and encoder.
pub fn try_out(candidate: &Candidate) -> Result<()> {
    static KNOWN: Mutex<Option<HashMap<&'static str, Option<String>>>> = Mutex::new(None);
    let mut known = KNOWN.lock();
    let trouble = known
        .get_or_insert_default()
        .entry(candidate.element)
        .or_insert_with(|| encode_one(candidate).err().map(|e| e.message().to_owned()));
    match trouble {
        None => Ok(()),
        Some(message) => Err(Error::new(ErrorKind::Missing, candidate.element, message.clone())),
    }
}

fn encode_one(candidate: &Candidate) -> Result<()> {
    let failed = |message: &'static str| Error::new(ErrorKind::Missing, candidate.element, message);
    gst::init().map_err(|e| failed("GStreamer does not start").caused_by(e))?;
    // Hardware encoders refuse pictures below about 144 x 128.
    let (width, height) = (320, 192);
    let rate = Ratio { num: 25, den: 1 };
    let config = EncoderConfig {
        codec: candidate.codec,
        choice: candidate.family,
        width,
        height,
        frame_rate: rate,
        preset: "ultrafast".into(),
        instead: None,
        rate: Rate::Kbps(500),
        gop: 25,
    };
    let bench = ProbePipeline::new(candidate, &config)?;
    for n in 0..8u8 {
        let frame = Frame::filled(width, height, [40 + 10 * n, 128, 128], FrameMeta::default())
            .ok_or_else(|| failed("no test picture"))?;
        let mut buffer = picture::buffer(&frame).ok_or_else(|| failed("no test picture"))?;
        let at = Duration::from_millis(40 * u64::from(n));
        buffer.make_mut().set_pts(gst::ClockTime::try_from(at).unwrap_or_default());
        bench.source.push_buffer(buffer).map_err(|e| failed("refuses a picture").caused_by(e))?;
    }
    let _ = bench.source.end_of_stream();
    let sample = bench
        .sink
        .try_pull_sample(PATIENCE)
        .ok_or_else(|| failed("is installed, but encodes nothing here (no device or no driver for it)"))?;
    let buffer = sample.buffer().ok_or_else(|| failed("gave no picture"))?;
    let map = buffer.map_readable().map_err(|e| failed("gave no picture").caused_by(e))?;
    if nal::parameter_sets(candidate.codec, &map).is_none() {
        return Err(failed("does not begin with parameter sets"));
    }
    Ok(())
}

/// A pipeline of one encoder; ends with its owner.
struct ProbePipeline {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
}

impl ProbePipeline {
    fn new(candidate: &Candidate, config: &EncoderConfig) -> Result<ProbePipeline> {
        let (pipeline, source, sink) = pipeline(candidate, config)?;
        source.set_caps(Some(&picture::caps(Chroma::I420, config.width, config.height, config.frame_rate)));
        let bench = ProbePipeline { pipeline, source, sink };
        bench.pipeline.set_state(gst::State::Playing).map_err(|e| {
            Error::new(
                ErrorKind::Missing,
                candidate.element,
                "does not start (no device or no driver for it)",
            )
            .caused_by(e)
        })?;
        Ok(bench)
    }
}

impl Drop for ProbePipeline {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Name of the source of pipelines that encode on the processor.
const SOFTWARE_SOURCE: &str = "encoder";

/// True for a thread, by its name, that encodes on the processor.
pub fn is_encoding_thread(name: &str) -> bool {
    name.strip_prefix(SOFTWARE_SOURCE).is_some_and(|rest| rest.starts_with(':')) || name.starts_with("enc ")
}

/// A pipeline with its two ends.
pub type Parts = (gst::Pipeline, gst_app::AppSrc, gst_app::AppSink);

/// `appsrc ! [videoconvert !] encoder ! parser ! appsink`: raw pictures in, one whole access unit
/// of Annex B out per picture. The source takes its caps from the caller.
pub fn pipeline(candidate: &Candidate, config: &EncoderConfig) -> Result<Parts> {
    let encoder = candidate.make(config)?;
    let part = |name: &'static str| {
        gst::ElementFactory::make(name)
            .build()
            .map_err(|e| Error::new(ErrorKind::Missing, name, "a GStreamer element is missing").caused_by(e))
    };
    let (parser, media) = match config.codec {
        Codec::H265 => (part("h265parse")?, "video/x-h265"),
        _ => (part("h264parse")?, "video/x-h264"),
    };
    parser.set_property("config-interval", -1i32);
    let encoded =
        gst::Caps::builder(media).field("stream-format", "byte-stream").field("alignment", "au").build();
    // The thread that encodes is named after its source, and so are those that the encoder starts.
    let name = if candidate.family == EncoderChoice::Software { SOFTWARE_SOURCE } else { "hardware" };
    let source = gst_app::AppSrc::builder().name(name).format(gst::Format::Time).max_bytes(0).build();
    let sink = gst_app::AppSink::builder().caps(&encoded).sync(false).async_(false).build();
    let mut chain = vec![source.clone().upcast::<gst::Element>()];
    if candidate.chroma.is_some() {
        chain.push(part("videoconvert")?);
    }
    chain.extend([encoder, parser, sink.clone().upcast()]);
    let pipeline = gst::Pipeline::new();
    let joined = pipeline.add_many(&chain).and_then(|()| gst::Element::link_many(&chain));
    joined
        .map_err(|e| Error::new(ErrorKind::Internal, candidate.element, "cannot be linked").caused_by(e))?;
    Ok((pipeline, source, sink))
}
