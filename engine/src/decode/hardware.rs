//! Hardware decoders, through GStreamer: a probe finds the elements that really decode, and
//! software takes over, aloud, where one fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use gstreamer_video::{self as gst_video, VideoColorMatrix, VideoColorRange, VideoFormat};

use super::decoder::{Decoder, DecoderFactory, DecoderRequest, Origin, Origins, Picture, PictureSink};
use super::libav::LibavDecoder;
use crate::base::{Error, ErrorKind, Moment, Result};
use crate::media::{AccessUnit, Chroma, Codec, Colorimetry, Matrix, Orientation, Plane, Pts, Range, Ratio};

/// Elements that decode in hardware, the best first.
pub const HARDWARE_ELEMENTS: [(Codec, &str); 10] = [
    (Codec::H264, "nvh264dec"),
    (Codec::H264, "vah264dec"),
    (Codec::H264, "vaapih264dec"),
    (Codec::H264, "qsvh264dec"),
    (Codec::H264, "v4l2slh264dec"),
    (Codec::H265, "nvh265dec"),
    (Codec::H265, "vah265dec"),
    (Codec::H265, "vaapih265dec"),
    (Codec::H265, "qsvh265dec"),
    (Codec::H265, "v4l2slh265dec"),
];

/// How long the picture of a unit may take before it is fetched after the next unit instead.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long a probe or a drain may take.
const LIMIT: Duration = Duration::from_secs(2);
/// Size of the clip that a probe decodes; hardware refuses pictures much smaller.
const PROBE_SIZE: (u32, u32) = (320, 240);

/// Opens the hardware decoders that a probe found working, and software for all else.
#[derive(Debug, Default)]
pub struct HardwareFactory {
    elements: Vec<(Codec, String)>,
}

impl HardwareFactory {
    /// Tries [`HARDWARE_ELEMENTS`]: a second or so where there are any.
    pub fn probe() -> HardwareFactory {
        HardwareFactory::probe_among(&HARDWARE_ELEMENTS)
    }

    /// Tries these elements; the first that decodes a clip made on the spot is used for its codec.
    pub fn probe_among(candidates: &[(Codec, &str)]) -> HardwareFactory {
        let mut elements: Vec<(Codec, String)> = Vec::new();
        if gst::init().is_err() {
            return HardwareFactory::default();
        }
        for (codec, element) in candidates {
            if elements.iter().any(|(c, _)| c == codec) || gst::ElementFactory::find(element).is_none() {
                continue;
            }
            match try_out(*codec, element) {
                Ok(()) => {
                    tracing::info!(%codec, element, "decodes in hardware");
                    elements.push((*codec, (*element).to_owned()));
                }
                Err(error) => tracing::warn!(%codec, element, %error, "does not work; not used"),
            }
        }
        HardwareFactory { elements }
    }

    /// The element that decodes a codec; `None`: software.
    pub fn element(&self, codec: Codec) -> Option<&str> {
        self.elements.iter().find(|(c, _)| *c == codec).map(|(_, e)| e.as_str())
    }
}

impl DecoderFactory for HardwareFactory {
    fn open(&self, request: &DecoderRequest) -> Result<Box<dyn Decoder>> {
        // A picture at a time from many streams would drain a hardware pipeline for each.
        let element = self.element(request.codec).filter(|_| !request.isolated);
        match element.map(|element| GstDecoder::open(request, element)) {
            Some(Ok(hardware)) => {
                Ok(Box::new(WithFallback { current: Box::new(hardware), request: Some(request.clone()) }))
            }
            Some(Err(error)) => {
                warn_once(&error);
                Ok(Box::new(LibavDecoder::open(request)?))
            }
            None => Ok(Box::new(LibavDecoder::open(request)?)),
        }
    }
}

fn warn_once(error: &Error) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(%error, "hardware decoding failed; software takes over");
    }
}

/// A hardware decoder until it fails, then a software decoder.
struct WithFallback {
    current: Box<dyn Decoder>,
    /// What to open in software; `None` once that was done.
    request: Option<DecoderRequest>,
}

impl Decoder for WithFallback {
    fn backend(&self) -> &str {
        self.current.backend()
    }
    fn set_skip_loop_filter(&mut self, skip: bool) {
        self.current.set_skip_loop_filter(skip);
    }
    fn decode(&mut self, unit: &AccessUnit, out: PictureSink<'_>) -> Result<()> {
        let result = self.current.decode(unit, out);
        let Err(error) = result else { return Ok(()) };
        if error.kind() == ErrorKind::Corrupt {
            return Err(error);
        }
        let Some(request) = self.request.take() else { return Err(error) };
        warn_once(&error);
        self.current = Box::new(LibavDecoder::open(&request)?);
        if unit.random_access {
            return self.current.decode(unit, out);
        }
        let message = "its hardware decoder failed; software takes over at the next key frame";
        Err(Error::new(ErrorKind::Corrupt, request.codec.to_string(), message).caused_by(error))
    }
    fn drain(&mut self, out: PictureSink<'_>) -> Result<()> {
        self.current.drain(out)
    }
    fn reset(&mut self) {
        self.current.reset();
    }
}

/// One GStreamer decoder element, driven like a library.
pub struct GstDecoder {
    element: String,
    request: DecoderRequest,
    line: DecoderPipeline,
    /// Put in front of the next unit.
    extradata: Bytes,
    origins: Origins,
    /// Units that went in and whose pictures have not come out.
    in_flight: usize,
    /// Pictures that the element holds back as a matter of course: no use waiting for those.
    lag: usize,
    used: bool,
}

/// `appsrc ! parser ! decoder ! appsink`, running.
struct DecoderPipeline {
    pipeline: gst::Pipeline,
    source: AppSrc,
    sink: AppSink,
}

impl Drop for DecoderPipeline {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl DecoderPipeline {
    fn start(codec: Codec, element: &str) -> Result<DecoderPipeline> {
        let missing = |what: &str| {
            let message = "this GStreamer element is not there or does not start";
            Error::new(ErrorKind::Missing, what.to_owned(), message)
        };
        gst::init().map_err(|e| missing("GStreamer").caused_by(e))?;
        let (media, parser) = match codec {
            Codec::H264 => ("video/x-h264", "h264parse"),
            Codec::H265 => ("video/x-h265", "h265parse"),
            other => {
                return Err(Error::new(ErrorKind::Unsupported, other.to_string(), "is decoded in software"));
            }
        };
        let make =
            |name: &str| gst::ElementFactory::make(name).build().map_err(|e| missing(name).caused_by(e));
        let (parse, decode) = (make(parser)?, make(element)?);
        if decode.has_property("max-threads") {
            decode.set_property_from_str("max-threads", "1");
        }
        let caps =
            gst::Caps::builder(media).field("stream-format", "byte-stream").field("alignment", "au").build();
        let source = AppSrc::builder().caps(&caps).format(gst::Format::Time).is_live(true).build();
        source.set_max_bytes(0);
        let raw =
            gst_video::VideoCapsBuilder::new().format_list([VideoFormat::Nv12, VideoFormat::I420]).build();
        let sink = AppSink::builder().caps(&raw).sync(false).build();
        let pipeline = gst::Pipeline::new();
        let chain = [source.upcast_ref(), &parse, &decode, sink.upcast_ref::<gst::Element>()];
        pipeline.add_many(chain).map_err(|e| missing(element).caused_by(e))?;
        gst::Element::link_many(chain).map_err(|e| missing(element).caused_by(e))?;
        let line = DecoderPipeline { pipeline, source, sink };
        line.pipeline.set_state(gst::State::Playing).map_err(|e| missing(element).caused_by(e))?;
        Ok(line)
    }
}

impl GstDecoder {
    /// A decoder around `element`. `Missing` where the element or its parser is not there.
    pub fn open(request: &DecoderRequest, element: &str) -> Result<GstDecoder> {
        Ok(GstDecoder {
            element: element.to_owned(),
            request: request.clone(),
            line: DecoderPipeline::start(request.codec, element)?,
            extradata: request.extradata.clone(),
            origins: Origins::default(),
            in_flight: 0,
            lag: 0,
            used: false,
        })
    }

    fn send(&mut self, unit: &AccessUnit) -> Result<()> {
        let head = std::mem::take(&mut self.extradata);
        let data =
            if head.is_empty() { unit.data.clone() } else { [&head[..], &unit.data[..]].concat().into() };
        let number = self.origins.note(Origin::from(unit));
        let mut buffer = gst::Buffer::from_slice(data);
        if let Some(buffer) = buffer.get_mut() {
            // The number, not the time: it comes out again with the picture.
            buffer.set_pts(gst::ClockTime::from_mseconds(number.unsigned_abs()));
        }
        self.in_flight += 1;
        self.used = true;
        self.line.source.push_buffer(buffer).map(drop).map_err(|flow| self.failure().caused_by(flow))
    }

    /// Hands on what is ready; waits for pictures only where the element is not known to hold
    /// that many back.
    fn receive(&mut self, out: PictureSink<'_>) -> Result<()> {
        loop {
            let wait = if self.in_flight > self.lag { PATIENCE } else { Duration::ZERO };
            let wait = gst::ClockTime::try_from(wait).unwrap_or(gst::ClockTime::ZERO);
            match self.line.sink.try_pull_sample(wait) {
                Some(sample) => {
                    self.in_flight = self.in_flight.saturating_sub(1);
                    out(self.picture(&sample)?);
                }
                None => {
                    self.lag = self.lag.max(self.in_flight);
                    return self.check();
                }
            }
        }
    }

    fn check(&self) -> Result<()> {
        let bus = self.line.pipeline.bus().ok_or_else(|| self.failure())?;
        let Some(message) = bus.pop_filtered(&[gst::MessageType::Error]) else { return Ok(()) };
        let gst::MessageView::Error(error) = message.view() else { return Ok(()) };
        Err(self.failure().caused_by(error.error()))
    }

    fn failure(&self) -> Error {
        Error::new(ErrorKind::Internal, self.element.clone(), "this GStreamer element failed")
    }

    fn picture(&self, sample: &gst::Sample) -> Result<Picture> {
        let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps()) else {
            return Err(self.failure());
        };
        let info = gst_video::VideoInfo::from_caps(caps).map_err(|e| self.failure().caused_by(e))?;
        let number = buffer.pts().and_then(|pts| i64::try_from(pts.mseconds()).ok());
        let damaged = buffer.flags().contains(gst::BufferFlags::CORRUPTED);
        let (offsets, strides) = match buffer.meta::<gst_video::VideoMeta>() {
            Some(meta) => (meta.offset().to_vec(), meta.stride().to_vec()),
            None => (info.offset().to_vec(), info.stride().to_vec()),
        };
        let mapped = buffer.into_mapped_buffer_readable().map_err(|_| self.failure())?;
        let data = Bytes::from_owner(mapped);
        let (chroma, count) = match info.format() {
            VideoFormat::Nv12 => (Chroma::Nv12, 2),
            _ => (Chroma::I420, 3),
        };
        let mut planes = Vec::new();
        for (&offset, &stride) in offsets.iter().zip(&strides).take(count) {
            let stride = usize::try_from(stride).map_err(|e| self.failure().caused_by(e))?;
            if offset > data.len() {
                return Err(self.failure());
            }
            planes.push(Plane { data: data.slice(offset..), stride });
        }
        let par = info.par();
        Ok(Picture {
            width: info.width(),
            height: info.height(),
            chroma,
            planes,
            origin: self.origins.of(number),
            pixel_aspect: Ratio::new(par.numer().unsigned_abs(), par.denom().unsigned_abs()),
            color: colorimetry(&info),
            orientation: Orientation::UPRIGHT,
            damaged,
        })
    }

    /// A new pipeline: not every element survives the end of a stream.
    fn restart(&mut self) -> Result<()> {
        self.line = DecoderPipeline::start(self.request.codec, &self.element)?;
        self.extradata = self.request.extradata.clone();
        (self.in_flight, self.lag, self.used) = (0, 0, false);
        Ok(())
    }
}

impl Decoder for GstDecoder {
    fn backend(&self) -> &str {
        &self.element
    }

    /// Hardware has no such shortcut.
    fn set_skip_loop_filter(&mut self, _skip: bool) {}

    fn decode(&mut self, unit: &AccessUnit, out: PictureSink<'_>) -> Result<()> {
        self.send(unit)?;
        self.receive(out)
    }

    fn drain(&mut self, out: PictureSink<'_>) -> Result<()> {
        let _ = self.line.source.end_of_stream();
        let limit = gst::ClockTime::try_from(LIMIT).unwrap_or(gst::ClockTime::SECOND);
        let mut result = Ok(());
        while let Some(sample) = self.line.sink.try_pull_sample(limit) {
            match self.picture(&sample) {
                Ok(picture) => out(picture),
                Err(error) => result = Err(error),
            }
        }
        let result = result.and_then(|()| self.check());
        result.and(self.restart())
    }

    fn reset(&mut self) {
        if self.used {
            // A failure shows again, as an error, at the next unit.
            let _ = self.restart();
        }
    }
}

fn colorimetry(info: &gst_video::VideoInfo) -> Colorimetry {
    let guess = Colorimetry::guess(info.height());
    let matrix = match info.colorimetry().matrix() {
        VideoColorMatrix::Bt709 => Matrix::Bt709,
        VideoColorMatrix::Bt601 => Matrix::Bt601,
        VideoColorMatrix::Bt2020 => Matrix::Bt2020,
        _ => guess.matrix,
    };
    let range = match info.colorimetry().range() {
        VideoColorRange::Range0_255 => Range::Full,
        _ => Range::Limited,
    };
    Colorimetry { matrix, range }
}

/// Decodes a clip that is made on the spot, and looks at what comes out.
fn try_out(codec: Codec, element: &str) -> Result<()> {
    let units = probe_clip(codec)?;
    let mut decoder = GstDecoder::open(&DecoderRequest::live(codec), element)?;
    let mut pictures = Vec::new();
    for unit in &units {
        decoder.decode(unit, &mut |p| pictures.push(p))?;
    }
    decoder.drain(&mut |p| pictures.push(p))?;
    let white = |p: &Picture| {
        let middle = p.planes[0].row(p.height as usize / 2, p.width as usize)[p.width as usize / 2];
        (p.width, p.height) == PROBE_SIZE && middle > 220
    };
    if pictures.len() == units.len() && pictures.iter().all(white) {
        return Ok(());
    }
    let message = format!("gave {} of {} pictures, or wrong ones", pictures.len(), units.len());
    Err(Error::new(ErrorKind::Missing, element.to_owned(), message))
}

/// A few white pictures, encoded in software.
fn probe_clip(codec: Codec) -> Result<Vec<AccessUnit>> {
    let (encoder, media) = match codec {
        Codec::H264 => ("x264enc tune=zerolatency key-int-max=4", "video/x-h264"),
        _ => ("x265enc tune=zerolatency key-int-max=4 option-string=log-level=0", "video/x-h265"),
    };
    let (width, height) = PROBE_SIZE;
    let description = format!(
        "videotestsrc num-buffers=8 pattern=white ! video/x-raw,format=I420,width={width},height={height},framerate=25/1 \
         ! {encoder} ! {media},stream-format=byte-stream,alignment=au ! appsink name=out sync=false"
    );
    let failed = |e: gst::glib::Error| {
        Error::new(ErrorKind::Missing, codec.to_string(), "no encoder to try the decoders with").caused_by(e)
    };
    let pipeline = gst::parse::launch(&description).map_err(failed)?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().ok();
    let sink = pipeline.as_ref().and_then(|p| p.by_name("out")).and_then(|s| s.downcast::<AppSink>().ok());
    let (Some(pipeline), Some(sink)) = (pipeline, sink) else {
        return Err(Error::new(ErrorKind::Internal, codec.to_string(), "the probe's pipeline has no end"));
    };
    let _ = pipeline.set_state(gst::State::Playing);
    let mut units = Vec::new();
    let limit = gst::ClockTime::try_from(LIMIT).unwrap_or(gst::ClockTime::SECOND);
    while let Some(sample) = sink.try_pull_sample(limit) {
        let Some(map) = sample.buffer().and_then(|b| b.map_readable().ok()) else { continue };
        units.push(AccessUnit {
            pts: Pts(units.len() as i64 * 40_000_000),
            arrival: Moment::default(),
            captured: None,
            random_access: units.is_empty(),
            disposable: false,
            loss: false,
            data: Bytes::copy_from_slice(&map),
        });
    }
    let _ = pipeline.set_state(gst::State::Null);
    if units.is_empty() {
        return Err(Error::new(ErrorKind::Missing, codec.to_string(), "no encoder to try the decoders with"));
    }
    Ok(units)
}
