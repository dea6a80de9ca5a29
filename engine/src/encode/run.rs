//! One life of a screen's encoder after the other: on the encoder's own thread, until there are no pictures.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::element::Candidate;
use super::screen::{END, Job, OLD, STUCK, Shared};
use super::{EncoderChoice, EncoderConfig, picture, probe};
use crate::base::backoff::{ENCODER, Retry};
use crate::base::mailbox::Empty;
use crate::base::{Error, ErrorKind, Moment, Result};
use crate::media::Chroma;

/// At most four key frames a second on request: each costs several times a predicted picture.
const KEY_INTERVAL: Duration = Duration::from_millis(250);

/// How long a preset that did not start is left alone.
const BROKEN_FOR: Duration = Duration::from_secs(600);

/// One life of a GStreamer encoder.
pub(super) struct Run {
    shared: Arc<Shared>,
    candidate: &'static Candidate,
    preset: Option<&'static str>,
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
    pub fn new(shared: Arc<Shared>, instead: Option<EncoderChoice>) -> Result<Run> {
        let config = &shared.config;
        let candidate = probe::choose(config.codec, instead.unwrap_or(config.choice))?;
        let broken = |preset: &&str| shared.inside().broken(shared.clock.now()).any(|b| b == Some(*preset));
        let preset = shared.preset(candidate).filter(|preset| !broken(preset));
        let (pipeline, source, sink) =
            (shared.make)(candidate, &EncoderConfig { instead: preset, ..config.clone() })?;
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
        pipeline.set_state(gst::State::Playing).map_err(|e| {
            // One that is freed in any other state leaves its threads behind.
            let _ = pipeline.set_state(gst::State::Null);
            Error::new(ErrorKind::Missing, candidate.element, "does not start").caused_by(e)
        })?;
        {
            let mut inside = shared.inside();
            inside.encoder = candidate.element.to_owned();
            inside.in_software = candidate.family == EncoderChoice::Software;
            inside.preset = preset.unwrap_or(&config.preset).to_owned();
            inside.fallback = config.choice != EncoderChoice::Auto && candidate.family != config.choice
                || instead.is_some_and(|instead| instead != config.choice);
            inside.pictures.clear();
            inside.began = false;
        }
        let depth = candidate.depth();
        Ok(Run {
            shared,
            candidate,
            preset,
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
        self.key_in_time(job.at);
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
        {
            let mut inside = self.shared.inside();
            inside.since_key += 1;
            inside.pictures.push_back((time, job.at, job.submitted));
        }
        self.source.push_buffer(buffer).map_err(|e| {
            Error::new(ErrorKind::Internal, self.candidate.element, "refuses a picture").caused_by(e)
        })?;
        self.wait_for_room()
    }

    /// Encoders count pictures to the next key frame; where some are left out, time goes on.
    fn key_in_time(&self, at: Moment) {
        let config = &self.shared.config;
        let every = Duration::from_secs_f64(f64::from(config.gop) / config.frame_rate.as_f64().max(0.1));
        let inside = self.shared.inside();
        // A tick may be moved by a little.
        let over = |last: Moment| at.since(last) + Duration::from_millis(5) >= every;
        if inside.last_key.is_some_and(over) && inside.since_key + 1 < config.gop {
            self.shared.key_wanted.store(true, Ordering::Relaxed);
        }
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
            let mut inside = self.shared.inside();
            let depth = self.depth;
            let outcome =
                self.shared.moved.wait_while_for(&mut inside, |inside| inside.pictures.len() >= depth, step);
            drop(inside);
            if let Some(message) = bus.as_ref().and_then(|b| b.pop_filtered(&[gst::MessageType::Error]))
                && let gst::MessageView::Error(error) = message.view()
            {
                return Err(Error::new(ErrorKind::Internal, self.candidate.element, "failed")
                    .caused_by(error.error()));
            }
            if !outcome.timed_out() {
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
pub(super) fn encode(shared: &Arc<Shared>, run: Run) {
    let mut life = Life::Encoding(run);
    let mut began = shared.clock.now();
    let mut retry = Retry::new(ENCODER);
    loop {
        let job = match shared.mailbox.receive(Duration::from_secs(1)) {
            Ok(job) => shared.newest_if_old(job),
            Err(Empty::Timeout) => continue,
            Err(Empty::Closed) => break,
        };
        let now = shared.clock.now();
        if let Life::Encoding(run) = &mut life {
            shared.change_preset(run);
        }
        if matches!(life, Life::Failed { again } if again <= now) {
            life = Run::new(shared.clone(), Some(EncoderChoice::Software)).map_or_else(
                |error| shared.failed(&error, retry.after(Duration::ZERO, rand::random())),
                |run| {
                    began = now;
                    Life::Encoding(run)
                },
            );
        }
        let Life::Encoding(run) = &mut life else {
            shared.dropped.add_one();
            continue;
        };
        match run.encode(job) {
            // Not before: one that starts and gives nothing fails still.
            Ok(()) => shared.inside().error = None,
            Err(error) => {
                let worked = shared.clock.now().since(began);
                life = shared.failed(&error, retry.after(worked, rand::random()));
            }
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
    /// The faster preset that this encoder is to use, if any.
    fn preset(&self, candidate: &Candidate) -> Option<&'static str> {
        let wanted = *self.instead.lock();
        wanted.filter(|_| candidate.family == EncoderChoice::Software)
    }

    /// Where pictures waited too long, the newest that waits: late ones must not make those behind them late.
    fn newest_if_old(&self, mut job: Job) -> Job {
        while self.clock.now().since(job.submitted) > OLD
            && let Some(newer) = self.mailbox.try_receive()
        {
            self.dropped.add_one();
            job = newer;
        }
        job
    }

    /// Replaces the encoder by one with another preset, where that is wanted. The one before gave its last
    /// picture already, so nothing is lost; where the new one does not start, it goes on, and that preset is left
    /// alone for a while: each try takes the time of pictures.
    fn change_preset(self: &Arc<Self>, run: &mut Run) {
        let wanted = self.preset(run.candidate);
        let now = self.clock.now();
        if wanted == run.preset || self.inside().broken(now).any(|broken| broken == wanted) {
            return;
        }
        let fallback = self.inside().fallback;
        match Run::new(self.clone(), Some(EncoderChoice::Software)) {
            Ok(next) => {
                *run = next;
                self.inside().fallback = fallback;
            }
            Err(error) => {
                tracing::error!(screen = %self.name, %error, "another preset does not start; the encoder stays");
                let mut inside = self.inside();
                inside.broken.retain(|(preset, _)| *preset != wanted);
                inside.broken.push((wanted, now + BROKEN_FOR));
            }
        }
    }

    fn failed(&self, error: &Error, wait: Duration) -> Life {
        let retry_in_s = wait.as_secs_f32();
        tracing::error!(screen = %self.name, %error, retry_in_s, "the encoder failed and is started anew");
        self.inside().error = Some(error.to_string());
        Life::Failed { again: self.clock.now() + wait }
    }
}
