//! One camera on a worker: opens its decoder, feeds it, holds back what damage spoiled, and hands
//! the rest to the consumer.

use std::sync::Arc;
use std::time::Duration;

use super::decoder::{Decoder, DecoderFactory, DecoderRequest, Order, Picture};
use super::queue::Queued;
use super::status::Progress;
use super::units;
use crate::base::cpu;
use crate::base::{Clock, Error, ErrorKind, Moment, Result};
use crate::media::{Codec, Frame, SourceRef, VideoParameters};

/// What all cameras of a pool share.
pub(super) struct Setting {
    pub factory: Arc<dyn DecoderFactory>,
    pub order: Order,
    pub hold: Option<Duration>,
    pub max_pixels: u32,
    pub clock: Arc<dyn Clock>,
}

/// What surrounds one camera's work in a turn.
pub(super) struct Surroundings<'a> {
    pub source: &'a SourceRef,
    pub setting: &'a Setting,
    pub progress: &'a Progress,
    pub shared: &'a mut Shared,
    pub skip_loop_filter: bool,
}

/// What a worker tells the consumer.
pub(super) enum Outcome<'a> {
    Frame(&'a Frame),
    Failed(&'a Error),
}

/// Decoders that a worker lends to cameras for pictures that stand alone: thousands of cameras
/// that show only key frames need no contexts of their own.
#[derive(Default)]
pub(super) struct Shared(Vec<(Codec, Box<dyn Decoder>)>);

impl Shared {
    fn get(&mut self, codec: Codec, setting: &Setting) -> Result<&mut Box<dyn Decoder>> {
        let index = match self.0.iter().position(|(c, _)| *c == codec) {
            Some(index) => index,
            None => {
                let request = DecoderRequest {
                    max_pixels: setting.max_pixels,
                    isolated: true,
                    ..DecoderRequest::live(codec)
                };
                self.0.push((codec, setting.factory.open(&request)?));
                self.0.len() - 1
            }
        };
        Ok(&mut self.0[index].1)
    }
}

/// The state of one camera that only the worker which has its turn may touch.
#[derive(Default)]
pub(super) struct Work {
    decoder: Option<Box<dyn Decoder>>,
    parameters: Option<Arc<VideoParameters>>,
    sequence: u64,
    /// Since when pictures are held back after damage. By the clock, not by arrival: pictures of a live playlist's
    /// segment arrive all at once, and of the next one much later.
    held_since: Option<Moment>,
    /// No unit decodes until a random-access unit brings something else.
    until_key: bool,
    failed: Option<(ErrorKind, String)>,
}

impl Work {
    pub fn has_decoder(&self) -> bool {
        self.decoder.is_some()
    }

    /// Gives the decoder's memory back; the next unit that is decoded must be random access.
    pub fn release(&mut self) {
        self.decoder = None;
    }

    /// Decodes one unit and hands on what comes out.
    pub fn process(
        &mut self,
        queued: &Queued,
        bench: &mut Surroundings<'_>,
        deliver: &mut dyn FnMut(Outcome<'_>),
    ) {
        self.follow_parameters(&queued.parameters);
        let unit = &queued.unit;
        if unit.random_access {
            self.until_key = false;
        } else if self.until_key {
            return;
        } else if unit.loss {
            self.hold(bench.setting.clock.now());
        }
        let mut pictures = Vec::new();
        let before = cpu::thread_time();
        let result = self.decode(queued, bench, &mut pictures);
        let nanos = cpu::thread_time().saturating_sub(before).as_nanos();
        bench.progress.update(|p| p.decode_nanos += u64::try_from(nanos).unwrap_or(u64::MAX));
        for picture in pictures {
            self.hand_on(picture, bench, deliver);
        }
        if let Err(error) = result {
            self.fail(error, bench, deliver);
        }
    }

    fn follow_parameters(&mut self, parameters: &Arc<VideoParameters>) {
        let Some(old) = self.parameters.replace(parameters.clone()) else { return };
        if Arc::ptr_eq(&old, parameters) {
            return;
        }
        if old.codec != parameters.codec || old.extradata != parameters.extradata {
            self.decoder = None;
            self.until_key = false;
        }
    }

    fn decode(
        &mut self,
        queued: &Queued,
        bench: &mut Surroundings<'_>,
        pictures: &mut Vec<Picture>,
    ) -> Result<()> {
        let mut out = |picture| pictures.push(picture);
        let parameters = &queued.parameters;
        let standing_alone = queued
            .alone
            .then(|| units::self_contained(parameters.codec, &queued.unit, &parameters.extradata))
            .flatten();
        if let Some(unit) = standing_alone {
            let decoder = bench.shared.get(parameters.codec, bench.setting)?;
            note_backend(decoder.as_ref(), bench.progress);
            decoder.set_skip_loop_filter(bench.skip_loop_filter);
            let decoded = decoder.decode(&unit, &mut out);
            let drained = decoder.drain(&mut out);
            return decoded.and(drained);
        }
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None => self.decoder.insert(open(parameters, bench)?),
        };
        decoder.set_skip_loop_filter(bench.skip_loop_filter);
        if queued.fresh {
            decoder.reset();
        }
        decoder.decode(&queued.unit, &mut out)?;
        if queued.alone { decoder.drain(&mut out) } else { Ok(()) }
    }

    fn hand_on(&mut self, picture: Picture, bench: &Surroundings<'_>, deliver: &mut dyn FnMut(Outcome<'_>)) {
        let Surroundings { source, setting, progress, .. } = bench;
        let now = setting.clock.now();
        if picture.damaged {
            progress.update(|p| p.corrupt += 1);
            self.hold(now);
            if setting.hold.is_some() {
                let error = Error::new(ErrorKind::Corrupt, source.camera.to_string(), "a picture is damaged");
                self.report(&error, progress, deliver);
            }
        }
        if self.holds_back(&picture, setting.hold, now) {
            progress.update(|p| p.held_back += 1);
            return;
        }
        let Some(parameters) = &self.parameters else { return };
        let Some(frame) = picture.into_frame(self.sequence, parameters) else { return };
        self.sequence += 1;
        self.failed = None;
        progress.update(|p| {
            p.decoded += 1;
            p.last_decoded = Some(now);
            (p.width, p.height) = (frame.width(), frame.height());
            p.error = None;
        });
        deliver(Outcome::Frame(&frame));
    }

    fn hold(&mut self, since: Moment) {
        self.held_since.get_or_insert(since);
    }

    /// A picture that may refer to a damaged one is not shown, until a random-access picture comes
    /// out whole. Streams that refresh without key frames would never show anything again: after
    /// the limit their pictures pass, unless they are marked as damaged themselves.
    fn holds_back(&mut self, picture: &Picture, limit: Option<Duration>, now: Moment) -> bool {
        let (Some(since), Some(limit)) = (self.held_since, limit) else {
            self.held_since = None;
            return false;
        };
        let whole = !picture.damaged && picture.origin.random_access;
        let waited = !picture.damaged && now.since(since) > limit;
        if whole || waited {
            self.held_since = None;
        }
        self.held_since.is_some()
    }

    fn fail(&mut self, error: Error, bench: &Surroundings<'_>, deliver: &mut dyn FnMut(Outcome<'_>)) {
        let Surroundings { source, setting, progress, .. } = bench;
        match error.kind() {
            ErrorKind::Corrupt => {
                progress.update(|p| p.corrupt += 1);
                self.hold(setting.clock.now());
            }
            _ => {
                self.until_key = true;
                self.release();
            }
        }
        let message = format!("{}: {}", error.subject(), error.message());
        let error = Error::new(error.kind(), source.camera.to_string(), message).caused_by(error);
        self.report(&error, progress, deliver);
    }

    /// Tells the consumer, where this is news.
    fn report(&mut self, error: &Error, progress: &Progress, deliver: &mut dyn FnMut(Outcome<'_>)) {
        let reason = (error.kind(), error.message().to_owned());
        if self.failed.as_ref() == Some(&reason) {
            return;
        }
        progress.update(|p| p.error = Some(reason.clone()));
        self.failed = Some(reason);
        deliver(Outcome::Failed(error));
    }
}

fn open(parameters: &VideoParameters, bench: &Surroundings<'_>) -> Result<Box<dyn Decoder>> {
    let decoder = bench.setting.factory.open(&DecoderRequest {
        codec: parameters.codec,
        extradata: parameters.extradata.clone(),
        order: bench.setting.order,
        max_pixels: bench.setting.max_pixels,
        isolated: false,
    })?;
    note_backend(decoder.as_ref(), bench.progress);
    Ok(decoder)
}

fn note_backend(decoder: &dyn Decoder, progress: &Progress) {
    progress.update(|p| {
        if p.backend != decoder.backend() {
            p.backend = decoder.backend().to_owned();
        }
    });
}
