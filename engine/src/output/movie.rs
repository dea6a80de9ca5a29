//! Writes a job's pictures into a file: compressed, or lossless for measurements. It never drops a
//! picture: who writes waits.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::piped::set_location;
use crate::base::{Error, ErrorKind, Result, Shutdown};
use crate::encode::offline::make;
use crate::encode::{OfflineEncoder, picture};
use crate::media::{Frame, Ratio};

/// Pictures that may wait for the encoder.
const WAITING: u64 = 8;
const STEP: Duration = Duration::from_millis(4);
/// Bytes gathered before they go to the operating system, for raw pictures.
const BUFFER: usize = 1 << 20;

/// What a job's file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum MovieFormat {
    /// Compressed: `.mp4`, `.mkv` or `.ts`.
    Encoded(OfflineEncoder),
    /// Every sample as composed: FFV1 in `.mkv`, or raw `.y4m` or `.yuv` (planes of I420).
    Lossless {
        /// Picture width, even.
        width: u32,
        /// Picture height, even.
        height: u32,
        /// Pictures per second.
        frame_rate: Ratio,
    },
}

impl MovieFormat {
    /// Checks the format and that the file's ending goes with it.
    pub fn check(&self, target: &Path) -> Result<()> {
        let ending = ending(target);
        let wrong =
            |message: &'static str| Err(Error::new(ErrorKind::Config, target.display().to_string(), message));
        match self {
            MovieFormat::Encoded(encoder) => {
                encoder.check()?;
                match ending.as_str() {
                    "mp4" | "mkv" | "ts" => Ok(()),
                    "y4m" | "yuv" => {
                        wrong("holds raw pictures; add --lossless, or end the name in .mp4, .mkv or .ts")
                    }
                    _ => wrong("ends in none of .mp4, .mkv, .ts; or .y4m, .yuv, .mkv with --lossless"),
                }
            }
            MovieFormat::Lossless { .. } => match ending.as_str() {
                "y4m" | "yuv" | "mkv" => Ok(()),
                _ => wrong("cannot be lossless; end the name in .mkv (FFV1), .y4m or .yuv (raw)"),
            },
        }
    }

    fn size(&self) -> (u32, u32, Ratio) {
        match self {
            MovieFormat::Encoded(encoder) => {
                (encoder.config.width, encoder.config.height, encoder.config.frame_rate)
            }
            MovieFormat::Lossless { width, height, frame_rate } => (*width, *height, *frame_rate),
        }
    }
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

/// A file that takes pictures at the ticks of a rate.
pub struct MovieWriter {
    kind: Kind,
    encoder: String,
}

enum Kind {
    Raw { file: BufWriter<std::fs::File>, y4m: bool, subject: String },
    Piped(Piped),
}

struct Piped {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    bus: gst::Bus,
    rate: Ratio,
    lasting: Option<Lasting>,
    subject: String,
}

/// What pictures need that last as long as they like.
struct Lasting {
    /// Ticks from one key frame to the next: the encoder counts pictures.
    gop: u64,
    next_key: u64,
    /// How long each picture lasts, for the container: parsers take what the encoder says of the rate.
    durations: mpsc::Sender<gst::ClockTime>,
}

impl MovieWriter {
    /// Opens `path` (which may have another name than `target`, whose ending says what it holds). Where
    /// it is `variable`, pictures may last several ticks.
    pub fn create(path: &Path, target: &Path, format: &MovieFormat, variable: bool) -> Result<MovieWriter> {
        format.check(target)?;
        let subject = target.display().to_string();
        let ending = ending(target);
        let (width, height, rate) = format.size();
        if matches!(ending.as_str(), "y4m" | "yuv") {
            let file = std::fs::File::create(path)
                .map_err(|e| Error::new(ErrorKind::Io, subject.clone(), "cannot be written").caused_by(e))?;
            let mut file = BufWriter::with_capacity(BUFFER, file);
            let y4m = ending == "y4m";
            if y4m {
                // Chroma between luma samples, left: as H.264 and H.265 have it.
                let head =
                    format!("YUV4MPEG2 W{width} H{height} F{}:{} Ip A1:1 C420mpeg2\n", rate.num, rate.den);
                file.write_all(head.as_bytes()).map_err(|e| disk(&subject, e))?;
            }
            return Ok(MovieWriter { kind: Kind::Raw { file, y4m, subject }, encoder: ending });
        }
        gst::init()
            .map_err(|e| Error::new(ErrorKind::Missing, "GStreamer", "does not start").caused_by(e))?;
        let (mut chain, encoder) = match format {
            // Pictures that last for seconds are not put in another order: they would be decoded seconds
            // before they are shown.
            MovieFormat::Encoded(e) if variable => {
                OfflineEncoder { zero_latency: true, ..e.clone() }.elements()?
            }
            MovieFormat::Encoded(encoder) => encoder.elements()?,
            MovieFormat::Lossless { .. } => (vec![make("avenc_ffv1")?], "avenc_ffv1"),
        };
        let lasting = match format {
            MovieFormat::Encoded(encoder) if variable => chain.last().map(|parser| Lasting {
                gop: u64::from(encoder.config.gop),
                next_key: 0,
                durations: tell_durations(parser),
            }),
            _ => None,
        };
        chain.push(make(match ending.as_str() {
            "mkv" => "matroskamux",
            "ts" => "mpegtsmux",
            _ => "mp4mux",
        })?);
        let sink = make("filesink")?;
        set_location(&sink, path)?;
        sink.set_property("sync", false);
        chain.push(sink);
        let piped = Piped::start(chain, subject, (width, height, rate), lasting)?;
        Ok(MovieWriter { kind: Kind::Piped(piped), encoder: encoder.to_owned() })
    }

    /// The encoder's name, or the raw format's.
    pub fn encoder(&self) -> &str {
        &self.encoder
    }

    /// Writes the next picture, which has the size of the format and is shown during these ticks; waits
    /// while the encoder is busy. Formats without times take one tick. False where `stop` came first.
    pub fn write(&mut self, frame: &Frame, ticks: Range<u64>, stop: &Shutdown) -> Result<bool> {
        match &mut self.kind {
            Kind::Raw { file, y4m, subject } => {
                if ticks.end != ticks.start + 1 {
                    let message = "knows no times, so that each of its pictures lasts one tick";
                    return Err(Error::new(ErrorKind::Internal, subject.clone(), message));
                }
                let head: &[u8] = if *y4m { b"FRAME\n" } else { b"" };
                let planes = [(0, 1), (1, 2), (2, 2)];
                file.write_all(head).map_err(|e| disk(subject, e))?;
                let (width, height) = (frame.width() as usize, frame.height() as usize);
                for (plane, share) in planes {
                    let Some(plane) = frame.planes().get(plane) else {
                        return Err(Error::new(ErrorKind::Internal, subject.clone(), "takes I420 only"));
                    };
                    for y in 0..height / share {
                        file.write_all(plane.row(y, width / share)).map_err(|e| disk(subject, e))?;
                    }
                }
                Ok(!stop.is_cancelled())
            }
            Kind::Piped(piped) => piped.write(frame, ticks, stop),
        }
    }

    /// Writes what is still inside and closes the file. False where `stop` came first.
    pub fn finish(self, stop: &Shutdown) -> Result<bool> {
        match self.kind {
            Kind::Raw { mut file, subject, .. } => {
                file.flush().map_err(|e| disk(&subject, e))?;
                Ok(!stop.is_cancelled())
            }
            Kind::Piped(piped) => piped.finish(stop),
        }
    }
}

fn disk(subject: &str, error: std::io::Error) -> Error {
    let message = match error.kind() {
        std::io::ErrorKind::StorageFull => "the disk is full; free some space",
        _ => "cannot be written",
    };
    Error::new(ErrorKind::Io, subject.to_owned(), message).caused_by(error)
}

impl Piped {
    fn start(
        chain: Vec<gst::Element>,
        subject: String,
        (width, height, rate): (u32, u32, Ratio),
        lasting: Option<Lasting>,
    ) -> Result<Piped> {
        let internal = |what: &'static str| Error::new(ErrorKind::Internal, subject.clone(), what);
        let mut caps = picture::caps(crate::media::Chroma::I420, width, height, rate);
        if lasting.is_some() {
            let caps = caps.make_mut();
            caps.set("framerate", gst::Fraction::new(0, 1));
            caps.set("max-framerate", picture::fraction(rate));
        }
        let source = gst_app::AppSrc::builder().caps(&caps).format(gst::Format::Time).max_bytes(0).build();
        let pipeline = gst::Pipeline::new();
        let mut all = vec![source.clone().upcast::<gst::Element>()];
        all.extend(chain);
        pipeline
            .add_many(&all)
            .and_then(|()| gst::Element::link_many(&all))
            .map_err(|e| internal("its encoder and container do not fit together").caused_by(e))?;
        let bus = pipeline.bus().ok_or_else(|| internal("its pipeline has no bus"))?;
        let piped = Piped { pipeline, source, bus, rate, lasting, subject: subject.clone() };
        if let Err(error) = piped.pipeline.set_state(gst::State::Playing) {
            return Err(piped.failure().unwrap_or_else(|| internal("does not start").caused_by(error)));
        }
        Ok(piped)
    }

    fn write(&mut self, frame: &Frame, ticks: Range<u64>, stop: &Shutdown) -> Result<bool> {
        while self.source.current_level_buffers() >= WAITING {
            if let Some(error) = self.failure() {
                return Err(error);
            }
            if stop.is_cancelled() {
                return Ok(false);
            }
            std::thread::sleep(STEP);
        }
        let internal = |what: &'static str| Error::new(ErrorKind::Internal, self.subject.clone(), what);
        let mut buffer = picture::buffer(frame).ok_or_else(|| internal("refuses a picture"))?;
        let (begin, end) = (self.time(ticks.start), self.time(ticks.end));
        let duration = end.saturating_sub(begin);
        if let Some(lasting) = &mut self.lasting {
            if ticks.start >= lasting.next_key {
                lasting.next_key = ticks.start + lasting.gop;
                let event = gst_video::DownstreamForceKeyUnitEvent::builder().all_headers(true).build();
                self.source.send_event(event);
            }
            // Where the pipeline has ended, the push below says so.
            let _ = lasting.durations.send(duration);
        }
        let writable = buffer.make_mut();
        writable.set_pts(begin);
        writable.set_duration(duration);
        self.source
            .push_buffer(buffer)
            .map_err(|e| self.failure().unwrap_or_else(|| internal("takes no more").caused_by(e)))?;
        Ok(true)
    }

    fn time(&self, picture: u64) -> gst::ClockTime {
        let nanos =
            u128::from(picture) * 1_000_000_000 * u128::from(self.rate.den) / u128::from(self.rate.num);
        gst::ClockTime::from_nseconds(u64::try_from(nanos).unwrap_or(u64::MAX - 1))
    }

    fn finish(self, stop: &Shutdown) -> Result<bool> {
        let _ = self.source.end_of_stream();
        let step = gst::ClockTime::from_mseconds(50);
        loop {
            let message =
                self.bus.timed_pop_filtered(step, &[gst::MessageType::Eos, gst::MessageType::Error]);
            match message {
                Some(message) if message.type_() == gst::MessageType::Eos => return Ok(true),
                Some(message) => return Err(self.error_of(&message)),
                None if stop.is_cancelled() => return Ok(false),
                None => {}
            }
        }
    }

    fn failure(&self) -> Option<Error> {
        self.bus.pop_filtered(&[gst::MessageType::Error]).map(|message| self.error_of(&message))
    }

    fn error_of(&self, message: &gst::Message) -> Error {
        let gst::MessageView::Error(error) = message.view() else {
            return Error::new(ErrorKind::Internal, self.subject.clone(), "failed");
        };
        let error = error.error();
        let kind = if error.is::<gst::ResourceError>() { ErrorKind::Io } else { ErrorKind::Internal };
        let message = match error.kind::<gst::ResourceError>() {
            Some(gst::ResourceError::NoSpaceLeft) => "the disk is full; free some space",
            _ => "its pictures cannot be encoded or written",
        };
        Error::new(kind, self.subject.clone(), message).caused_by(error)
    }
}

/// Tells the buffers that leave `parser` how long they last, in the order in which it is said.
fn tell_durations(parser: &gst::Element) -> mpsc::Sender<gst::ClockTime> {
    let (sender, durations) = mpsc::channel();
    let durations = parking_lot::Mutex::new(durations);
    if let Some(pad) = parser.static_pad("src") {
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let next = durations.lock().try_recv().ok();
            if let (Some(buffer), Some(duration)) = (info.buffer_mut(), next) {
                buffer.make_mut().set_duration(duration);
            }
            gst::PadProbeReturn::Ok
        });
    }
    sender
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
