//! The encoder of one screen: pictures in without waiting, access units out as soon as they exist.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::element::{self, Candidate};
use super::{EncodedSink, EncoderChoice, EncoderConfig, nal, picture, probe};
use crate::base::backoff::{ENCODER, Retry};
use crate::base::mailbox::Empty;
use crate::base::thread::Worker;
use crate::base::{Counter, Error, ErrorKind, Histogram, Mailbox, Moment, Overflow, Result, SharedClock};
use crate::media::{AccessUnit, Chroma, Frame, Pts, ScreenId};

/// Pictures that may wait while one is encoded; the oldest goes first.
const WAITING: usize = 2;
/// At most four key frames a second on request: each costs several times a predicted picture.
const KEY_INTERVAL: Duration = Duration::from_millis(250);
/// How long an encoder may hold a picture before it is called stuck.
const STUCK: Duration = Duration::from_secs(2);
/// How long a clean end may take.
const END: Duration = Duration::from_secs(3);

/// What an encoder has done so far.
#[derive(Clone, Debug)]
pub struct EncodeStatus {
    /// The encoder in use, as GStreamer calls it.
    pub encoder: String,
    /// True where it is not the one that was chosen, because that one does not work here.
    pub fallback: bool,
    /// The trouble it has now, if any.
    pub error: Option<String>,
    /// Pictures handed in.
    pub submitted: u64,
    /// Access units handed out.
    pub encoded: u64,
    /// Pictures dropped: they came faster than they could be encoded, or did not fit.
    pub dropped: u64,
    /// Bytes handed out.
    pub bytes: u64,
    /// Random-access units handed out.
    pub key_frames: u64,
    /// From submission to output.
    pub encode_time: Histogram,
    /// Pictures that wait now.
    pub queue: usize,
}

/// Encodes one screen on its own thread.
///
/// Guards invariant 1 (a slow encoder drops its own oldest picture, counted, and delays nobody)
/// and its part of invariant 6 (the first unit is random access and carries its parameter sets).
pub struct ScreenEncoder {
    shared: Arc<Shared>,
    worker: Option<Worker>,
    ended: Mutex<mpsc::Receiver<()>>,
}

/// Makes the pipeline of an encoder; another one in tests.
pub(super) type Maker = fn(&Candidate, &EncoderConfig) -> Result<probe::Parts>;

struct Job {
    frame: Frame,
    at: Moment,
    submitted: Moment,
}

struct Shared {
    name: ScreenId,
    config: EncoderConfig,
    clock: SharedClock,
    sink: Arc<dyn EncodedSink>,
    make: Maker,
    mailbox: Mailbox<Job>,
    key_wanted: AtomicBool,
    submitted: Counter,
    encoded: Counter,
    dropped: Counter,
    bytes: Counter,
    key_frames: Counter,
    /// Presentation time of the newest unit, so that time never stands still or runs back.
    newest: AtomicU64,
    inside: Mutex<Inside>,
    moved: Condvar,
}

/// What the encoding and the collecting thread both see.
#[derive(Default)]
struct Inside {
    /// Pictures in the encoder: buffer time, tick, submission.
    pictures: VecDeque<(gst::ClockTime, Moment, Moment)>,
    times: Histogram,
    sets: Option<Bytes>,
    began: bool,
    encoder: String,
    fallback: bool,
    error: Option<String>,
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one buffer of the encoder and hands it on as an access unit.
    fn collect(&self, sample: &gst::Sample) {
        let Some(buffer) = sample.buffer_owned() else { return };
        let random_access = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let running = sample
            .segment()
            .and_then(|s| s.downcast_ref::<gst::ClockTime>().map(|s| s.to_running_time(buffer.pts())))
            .flatten();
        let Ok(map) = buffer.into_mapped_buffer_readable() else { return };
        let mut data = Bytes::from_owner(map);
        let now = self.clock.now();
        let tick = {
            let mut inside = self.inside();
            if random_access {
                match nal::parameter_sets(self.config.codec, &data) {
                    Some(sets) => inside.sets = Some(sets),
                    None => data = with_sets(inside.sets.as_ref(), data),
                }
                inside.began |= inside.sets.is_some();
            }
            let tick = self.take(&mut inside, running, now);
            if !inside.began {
                self.dropped.add_one();
                return;
            }
            tick
        };
        self.moved.notify_all();
        let Some(tick) = tick else { return };
        let pts = tick.0.max(self.newest.load(Ordering::Relaxed) + 1);
        self.newest.store(pts, Ordering::Relaxed);
        self.encoded.add_one();
        self.bytes.add(data.len() as u64);
        if random_access {
            self.key_frames.add_one();
        }
        self.sink.unit(&AccessUnit {
            pts: Pts(i64::try_from(pts).unwrap_or(i64::MAX)),
            arrival: now,
            captured: None,
            random_access,
            disposable: false,
            loss: false,
            data,
        });
    }

    /// The tick of the picture that this buffer holds; pictures before it were lost inside.
    fn take(&self, inside: &mut Inside, running: Option<gst::ClockTime>, now: Moment) -> Option<Moment> {
        while let Some((time, tick, submitted)) = inside.pictures.pop_front() {
            if running.is_some_and(|running| time < running) && !inside.pictures.is_empty() {
                self.dropped.add_one();
                continue;
            }
            inside.times.record(now.since(submitted));
            return Some(tick);
        }
        None
    }
}

fn with_sets(sets: Option<&Bytes>, data: Bytes) -> Bytes {
    match sets {
        Some(sets) => [sets.as_ref(), data.as_ref()].concat().into(),
        None => data,
    }
}

impl ScreenEncoder {
    /// Starts the encoder of a screen. Fails where the configuration is wrong or no encoder works.
    pub fn start(
        name: &ScreenId,
        config: EncoderConfig,
        sink: Arc<dyn EncodedSink>,
        clock: SharedClock,
    ) -> Result<ScreenEncoder> {
        Self::start_with(name, config, sink, clock, probe::pipeline)
    }

    pub(super) fn start_with(
        name: &ScreenId,
        config: EncoderConfig,
        sink: Arc<dyn EncodedSink>,
        clock: SharedClock,
        make: Maker,
    ) -> Result<ScreenEncoder> {
        element::check(&config)?;
        let shared = Arc::new(Shared {
            name: name.clone(),
            config,
            clock,
            sink,
            make,
            mailbox: Mailbox::new(WAITING, Overflow::DropOldest),
            key_wanted: AtomicBool::new(false),
            submitted: Counter::default(),
            encoded: Counter::default(),
            dropped: Counter::default(),
            bytes: Counter::default(),
            key_frames: Counter::default(),
            newest: AtomicU64::new(0),
            inside: Mutex::default(),
            moved: Condvar::new(),
        });
        let (report, ended) = mpsc::channel();
        let (for_init, for_body) = (shared.clone(), shared.clone());
        let worker = Worker::spawn_with_init(
            &format!("enc {name}"),
            move || Run::new(for_init, None),
            move |run| {
                encode(&for_body, run);
                let _ = report.send(());
            },
        )?;
        Ok(ScreenEncoder { shared, worker: Some(worker), ended: Mutex::new(ended) })
    }

    /// Hands in the picture of the tick `at`. Returns at once; where two wait already, the older
    /// one is dropped.
    pub fn submit(&self, frame: Frame, at: Moment) {
        self.shared.submitted.add_one();
        let submitted = self.shared.clock.now();
        self.shared.mailbox.send(Job { frame, at, submitted });
    }

    /// Asks for a key frame: the next picture becomes one, at most four a second.
    pub fn force_key(&self) {
        self.shared.key_wanted.store(true, Ordering::Relaxed);
    }

    /// What it has done so far.
    pub fn status(&self) -> EncodeStatus {
        let shared = &self.shared;
        let inside = shared.inside();
        EncodeStatus {
            encoder: inside.encoder.clone(),
            fallback: inside.fallback,
            error: inside.error.clone(),
            submitted: shared.submitted.get(),
            encoded: shared.encoded.get(),
            dropped: shared.dropped.get() + shared.mailbox.dropped(),
            bytes: shared.bytes.get(),
            key_frames: shared.key_frames.get(),
            encode_time: inside.times.clone(),
            queue: shared.mailbox.len(),
        }
    }

    /// Encodes what waits and ends; false where the encoder did not end in time and was left.
    pub fn finish(mut self) -> bool {
        self.shared.mailbox.close();
        let Some(worker) = self.worker.take() else { return true };
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(END + STUCK);
        match ended {
            // A panicked worker drops its end of the channel: join tells.
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => worker.join(),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                tracing::error!(screen = %self.shared.name, "the encoder does not end; it is left behind");
                std::mem::forget(worker);
                false
            }
        }
    }
}

impl Drop for ScreenEncoder {
    fn drop(&mut self) {
        self.shared.mailbox.close();
    }
}

/// One life of a GStreamer encoder.
struct Run {
    shared: Arc<Shared>,
    candidate: &'static Candidate,
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
    chroma: Option<Chroma>,
    depth: usize,
    origin: Option<Moment>,
    last: Option<gst::ClockTime>,
    key_at: Option<Moment>,
}

impl Run {
    fn new(shared: Arc<Shared>, instead: Option<EncoderChoice>) -> Result<Run> {
        let config = &shared.config;
        let candidate = probe::choose(config.codec, instead.unwrap_or(config.choice))?;
        let (pipeline, source, sink) = (shared.make)(candidate, config)?;
        let collector = Arc::downgrade(&shared);
        sink.set_callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    if let Some(shared) = collector.upgrade() {
                        shared.collect(&sample);
                    }
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        );
        pipeline
            .set_state(gst::State::Playing)
            .map_err(|e| Error::new(ErrorKind::Missing, candidate.element, "does not start").caused_by(e))?;
        {
            let mut inside = shared.inside();
            inside.encoder = candidate.element.to_owned();
            inside.fallback = config.choice != EncoderChoice::Auto && candidate.family != config.choice
                || instead.is_some_and(|instead| instead != config.choice);
            inside.pictures.clear();
            inside.began = false;
        }
        let depth = candidate.depth();
        Ok(Run {
            shared,
            candidate,
            pipeline,
            source,
            sink,
            chroma: None,
            depth,
            origin: None,
            last: None,
            key_at: None,
        })
    }

    /// Pushes one picture and waits until the encoder can take the next.
    fn encode(&mut self, job: Job) -> Result<()> {
        let config = &self.shared.config;
        let frame = &job.frame;
        if (frame.width(), frame.height()) != (config.width, config.height) {
            self.shared.dropped.add_one();
            let (w, h) = (frame.width(), frame.height());
            tracing::error!(screen = %self.shared.name, w, h, "a picture of another size than its screen");
            return Ok(());
        }
        if self.chroma != Some(frame.chroma()) {
            let caps = picture::caps(frame.chroma(), config.width, config.height, config.frame_rate);
            self.source.set_caps(Some(&caps));
            self.chroma = Some(frame.chroma());
        }
        self.request_key(job.at);
        let Some(mut buffer) = picture::buffer(frame) else {
            self.shared.dropped.add_one();
            return Ok(());
        };
        let since = job.at.since(*self.origin.get_or_insert(job.at));
        let time = gst::ClockTime::try_from(since).unwrap_or_default();
        // Encoders refuse a time that stands still or runs back.
        let time = self.last.map_or(time, |last| time.max(last + gst::ClockTime::from_useconds(100)));
        self.last = Some(time);
        buffer.make_mut().set_pts(time);
        self.shared.inside().pictures.push_back((time, job.at, job.submitted));
        self.source.push_buffer(buffer).map_err(|e| {
            Error::new(ErrorKind::Internal, self.candidate.element, "refuses a picture").caused_by(e)
        })?;
        self.wait_for_room()
    }

    /// Passes a wish for a key frame on, unless one was asked for a moment ago.
    fn request_key(&mut self, at: Moment) {
        let too_soon = self.key_at.is_some_and(|last| at.since(last) < KEY_INTERVAL);
        if too_soon || !self.shared.key_wanted.swap(false, Ordering::Relaxed) {
            return;
        }
        let first = self.last.is_none();
        self.key_at = Some(at);
        if !first {
            let event = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
            self.sink.send_event(event);
        }
    }

    fn wait_for_room(&mut self) -> Result<()> {
        let bus = self.pipeline.bus();
        let mut waited = Duration::ZERO;
        let step = Duration::from_millis(100);
        loop {
            let inside = self.shared.inside();
            let depth = self.depth;
            let (inside, timeout) = self
                .shared
                .moved
                .wait_timeout_while(inside, step, |inside| inside.pictures.len() >= depth)
                .unwrap_or_else(PoisonError::into_inner);
            drop(inside);
            if let Some(message) = bus.as_ref().and_then(|b| b.pop_filtered(&[gst::MessageType::Error]))
                && let gst::MessageView::Error(error) = message.view()
            {
                return Err(Error::new(ErrorKind::Internal, self.candidate.element, "failed")
                    .caused_by(error.error()));
            }
            if !timeout.timed_out() {
                return Ok(());
            }
            waited += step;
            if waited >= STUCK {
                return Err(Error::new(
                    ErrorKind::Internal,
                    self.candidate.element,
                    "holds a picture and gives none",
                ));
            }
        }
    }

    /// Lets what is inside come out.
    fn drain(&self) {
        let _ = self.source.end_of_stream();
        let end = gst::ClockTime::try_from(END).unwrap_or_default();
        if let Some(bus) = self.pipeline.bus() {
            bus.timed_pop_filtered(end, &[gst::MessageType::Eos, gst::MessageType::Error]);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// The encoding thread: until the mailbox is closed; an encoder that fails is replaced by a new
/// one, in software where hardware failed, and the stream begins anew with a key frame.
fn encode(shared: &Arc<Shared>, run: Run) {
    let mut life = Life::Encoding(run);
    let mut began = shared.clock.now();
    let mut retry = Retry::new(ENCODER);
    loop {
        let job = match shared.mailbox.receive(Duration::from_secs(1)) {
            Ok(job) => job,
            Err(Empty::Timeout) => continue,
            Err(Empty::Closed) => break,
        };
        let now = shared.clock.now();
        if matches!(life, Life::Failed { again } if again <= now) {
            life = Run::new(shared.clone(), Some(EncoderChoice::Software)).map_or_else(
                |error| shared.failed(&error, retry.after(Duration::ZERO, rand::random())),
                |run| {
                    shared.inside().error = None;
                    began = now;
                    Life::Encoding(run)
                },
            );
        }
        let Life::Encoding(run) = &mut life else {
            shared.dropped.add_one();
            continue;
        };
        if let Err(error) = run.encode(job) {
            let worked = shared.clock.now().since(began);
            life = shared.failed(&error, retry.after(worked, rand::random()));
        }
    }
    if let Life::Encoding(run) = life {
        run.drain();
    }
}

/// Whether there is an encoder now.
enum Life {
    Encoding(Run),
    /// None, until the first picture from this moment on.
    Failed {
        again: Moment,
    },
}

impl Shared {
    fn failed(&self, error: &Error, wait: Duration) -> Life {
        let retry_in_s = wait.as_secs_f32();
        tracing::error!(screen = %self.name, %error, retry_in_s, "the encoder failed and is started anew");
        self.inside().error = Some(error.to_string());
        Life::Failed { again: self.clock.now() + wait }
    }
}
