//! The encoder of one screen: pictures in without waiting, access units out as soon as they exist.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::element::{self, Candidate};
use super::run::{Run, encode};
use super::{EncodedSink, EncoderConfig, nal, probe};
use crate::base::thread::Worker;
use crate::base::{Counter, Histogram, Mailbox, Moment, Overflow, Result, SharedClock};
use crate::media::{AccessUnit, Frame, Pts, ScreenId};

/// Pictures that may wait while one is encoded; the oldest goes first.
const WAITING: usize = 2;
/// A picture that waited longer than this before it was encoded is old, and so is one that came out so long
/// after it was handed in: it gives way to a newer one.
pub(super) const OLD: Duration = Duration::from_millis(200);
/// How long an encoder may hold a picture before it is called stuck.
pub(super) const STUCK: Duration = Duration::from_secs(2);
/// How long a clean end may take.
pub(super) const END: Duration = Duration::from_secs(3);

/// What an encoder has done so far.
#[derive(Clone, Debug)]
pub struct EncodeStatus {
    /// The encoder in use, as GStreamer calls it.
    pub encoder: String,
    /// The processor encodes.
    pub in_software: bool,
    /// True where it is not the one that was chosen, because that one does not work here.
    pub fallback: bool,
    /// The trouble it has now, if any.
    pub error: Option<String>,
    /// Pictures handed in.
    pub submitted: u64,
    /// Access units handed out.
    pub encoded: u64,
    /// The preset in use: the one that was asked for, or a faster one.
    pub preset: String,
    /// Faster presets that did not start a while ago: no use in asking for them.
    pub unusable: Vec<&'static str>,
    /// Pictures dropped: they came faster than they could be encoded, or did not fit.
    pub dropped: u64,
    /// Pictures that came out more than 0.2 s after they were handed in.
    pub late: u64,
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

pub(super) struct Job {
    pub(super) frame: Frame,
    pub(super) at: Moment,
    pub(super) submitted: Moment,
}

pub(super) struct Shared {
    pub(super) name: ScreenId,
    pub(super) config: EncoderConfig,
    pub(super) clock: SharedClock,
    pub(super) sink: Arc<dyn EncodedSink>,
    pub(super) make: Maker,
    pub(super) mailbox: Mailbox<Job>,
    pub(super) key_wanted: AtomicBool,
    /// A faster preset than was asked for.
    pub(super) instead: Mutex<Option<&'static str>>,
    pub(super) submitted: Counter,
    pub(super) encoded: Counter,
    pub(super) dropped: Counter,
    pub(super) late: Counter,
    pub(super) bytes: Counter,
    pub(super) key_frames: Counter,
    /// Presentation time of the newest unit, so that time never stands still or runs back.
    pub(super) newest: AtomicU64,
    pub(super) inside: Mutex<Inside>,
    pub(super) moved: Condvar,
}

/// What the encoding and the collecting thread both see.
#[derive(Default)]
pub(super) struct Inside {
    /// Pictures in the encoder: buffer time, tick, submission.
    pub(super) pictures: VecDeque<(gst::ClockTime, Moment, Moment)>,
    pub(super) times: Histogram,
    pub(super) sets: Option<Bytes>,
    pub(super) began: bool,
    /// The tick of the newest key frame, and pictures handed to the encoder since.
    pub(super) last_key: Option<Moment>,
    pub(super) since_key: u32,
    pub(super) encoder: String,
    pub(super) preset: String,
    pub(super) in_software: bool,
    /// Presets that did not start (`None`: the one that was asked for), and from when on they may be tried again.
    pub(super) broken: Vec<(Option<&'static str>, Moment)>,
    pub(super) fallback: bool,
    pub(super) error: Option<String>,
}

impl Inside {
    /// Presets that are not to be tried at `now`.
    pub(super) fn broken(&self, now: Moment) -> impl Iterator<Item = Option<&'static str>> {
        self.broken.iter().filter(move |(_, again)| *again > now).map(|(preset, _)| *preset)
    }
}

impl Shared {
    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock()
    }

    /// Takes one buffer of the encoder and hands it on as an access unit.
    pub(super) fn collect(&self, sample: &gst::Sample) {
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
            if random_access && tick.is_some() {
                (inside.last_key, inside.since_key) = (tick, 0);
            }
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
            let took = now.since(submitted);
            inside.times.record(took);
            if took > OLD {
                self.late.add_one();
            }
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
            instead: Mutex::default(),
            submitted: Counter::default(),
            encoded: Counter::default(),
            dropped: Counter::default(),
            late: Counter::default(),
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

    /// Encodes with a faster preset than was asked for from the next picture on, or with that one again
    /// (`None`): one of [`element::faster`]. The stream goes on with a key frame and the same parameter
    /// sets. Hardware stays as it is.
    pub fn set_preset(&self, instead: Option<&'static str>) {
        *self.shared.instead.lock() = instead;
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
            preset: inside.preset.clone(),
            in_software: inside.in_software,
            unusable: inside.broken(shared.clock.now()).flatten().collect(),
            submitted: shared.submitted.get(),
            encoded: shared.encoded.get(),
            dropped: shared.dropped.get() + shared.mailbox.dropped(),
            late: shared.late.get(),
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
        let ended = self.ended.lock().recv_timeout(END + STUCK);
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
