//! One input of a mosaic: demultiplexed, decoded and fitted in turns of several pictures, so that the
//! decoder's data stay in cache.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::MosaicEffort;
use super::shortcut::{self, Shortcut};
use super::timeline::{Ticks, Timeline};
use crate::base::{Error, ErrorKind, Result, SharedClock};
use crate::decode::{Decoder, DecoderRequest, LibavDecoder, Order, Picture};
use crate::fit::{Scratch, fit};
use crate::media::{FitSpec, FittedFrame, Pts, VideoParameters};
use crate::source::{FileDemuxer, FileUnit};

/// A picture, and the first tick that shows it.
pub(super) struct Placed {
    pub tick: u64,
    pub picture: FittedFrame,
}

/// What one turn brought.
#[derive(Default)]
pub(super) struct Turn {
    /// Pictures that ticks show, in order; at most one a tick.
    pub pictures: Vec<Placed>,
    /// The tick of the newest picture, shown or not: all before it are settled.
    pub covered: Option<u64>,
    /// Nothing comes after this; the tick that follows the input's last.
    pub ended: Option<u64>,
}

/// What was counted of one input.
#[derive(Clone, Debug, Default)]
pub(super) struct InputCounts {
    pub units: u64,
    pub decoded: u64,
    pub fitted: u64,
    pub skipped: u64,
    pub unfiltered: u64,
    pub hidden: u64,
    pub damaged: u64,
    pub jumps: u64,
    pub decode: Duration,
    pub fit: Duration,
    pub seconds: f64,
    /// Pictures shown by at least one tick.
    pub shown: u64,
}

/// The pace of a mosaic's turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Units of a turn.
    pub units: usize,
    /// Pictures of this tick and later are not shown.
    pub end: u64,
}

/// One input on its way to its tile.
pub(super) struct MosaicInput {
    name: String,
    demuxer: FileDemuxer,
    decoder: Box<dyn Decoder>,
    shortcut: Option<Shortcut>,
    effort: MosaicEffort,
    placer: Placer,
}

impl MosaicInput {
    /// An input that is open already, for its tile.
    pub fn new(
        name: String,
        demuxer: FileDemuxer,
        effort: MosaicEffort,
        spec: FitSpec,
        ticks: Ticks,
        clock: SharedClock,
    ) -> Result<MosaicInput> {
        let parameters = demuxer.parameters().clone();
        let request = DecoderRequest {
            codec: parameters.codec,
            // H.264 and H.265 units bring their parameter sets themselves.
            extradata: parameters.extradata.clone(),
            order: Order::Exact,
            max_pixels: DecoderRequest::MAX_PIXELS,
            isolated: effort == MosaicEffort::Keyframes,
        };
        let mut decoder = LibavDecoder::open(&request)?;
        // A preview: no picture refers to another, so that nothing adds up.
        decoder.set_skip_loop_filter(
            effort == MosaicEffort::Keyframes && shortcut::is_small(&parameters, &spec),
        );
        let shortcut =
            (effort == MosaicEffort::Balanced).then(|| Shortcut::new(&request, &parameters, spec)).flatten();
        let resolution = i64::try_from(demuxer.resolution().as_nanos()).unwrap_or(0);
        let placer = Placer {
            timeline: Timeline::new(demuxer.picture_time(), demuxer.clock_jumps()),
            ticks,
            resolution,
            keep_counting: effort == MosaicEffort::Keyframes,
            spec,
            parameters,
            known: BTreeSet::new(),
            left_out: None,
            hidden: HashSet::new(),
            untimed: HashMap::new(),
            decoded: VecDeque::new(),
            newest: None,
            counts: InputCounts::default(),
            clock,
        };
        Ok(MosaicInput { name, demuxer, decoder: Box::new(decoder), shortcut, effort, placer })
    }

    /// What was counted so far.
    pub fn counts(&self) -> &InputCounts {
        &self.placer.counts
    }

    /// Reads, decodes and fits the next units.
    ///
    /// # Errors
    /// Where the input can never be decoded, or ended without any picture.
    pub fn turn(&mut self, pace: Pace, scratch: &mut Scratch) -> Result<Turn> {
        let mut turn = Turn::default();
        let (batch, at_end) = self.read(pace.units);
        for unit in batch {
            self.decode(&unit, pace.end, scratch, &mut turn)?;
            if turn.covered.is_some_and(|covered| covered >= pace.end) {
                turn.ended = Some(pace.end);
                return Ok(turn);
            }
        }
        if at_end {
            let (placer, out) = (&mut self.placer, &mut turn);
            let drained = self.decoder.drain(&mut |picture| placer.take(picture, pace.end, scratch, out));
            self.settle(drained)?;
            if self.placer.counts.decoded == self.placer.counts.hidden {
                return Err(self.without_pictures());
            }
            if let Some(pts) = self.placer.left_out {
                self.placer.timeline.leave_out(pts);
            }
            turn.ended =
                Some(self.placer.ticks.first_from(self.placer.timeline.end() - self.placer.resolution));
        }
        Ok(turn)
    }

    /// Up to `count` units, noted as known; true at the end of the file.
    fn read(&mut self, count: usize) -> (VecDeque<FileUnit>, bool) {
        let mut batch = VecDeque::with_capacity(count);
        while batch.len() < count {
            match self.demuxer.next_unit() {
                Ok(Some(unit)) => {
                    self.placer.counts.units += 1;
                    if self.effort == MosaicEffort::Keyframes && !unit.unit.random_access {
                        self.placer.counts.skipped += 1;
                        if !unit.hidden {
                            self.placer.left_out = self.placer.left_out.max(Some(unit.unit.pts));
                        }
                        // Not more than a second of reading for nothing.
                        if batch.is_empty() && self.placer.counts.units.is_multiple_of(256) {
                            return (batch, false);
                        }
                        continue;
                    }
                    self.placer.note(&unit);
                    batch.push_back(unit);
                }
                Ok(None) => return (batch, true),
                Err(error) => {
                    tracing::warn!("{error}");
                    self.placer.counts.damaged += 1;
                    return (batch, true);
                }
            }
        }
        (batch, false)
    }

    fn decode(&mut self, unit: &FileUnit, end: u64, scratch: &mut Scratch, turn: &mut Turn) -> Result<()> {
        if self.effort == MosaicEffort::Balanced && unit.unit.disposable && self.placer.is_superseded(unit) {
            self.placer.counts.skipped += 1;
            self.placer.known.remove(&unit.unit.pts.0);
            return Ok(());
        }
        if let Some(shortcut) = &mut self.shortcut {
            let skips = shortcut.skips(&unit.unit)?;
            self.decoder.set_skip_loop_filter(skips);
            self.placer.counts.unfiltered += u64::from(skips);
        }
        let clock = self.placer.clock.clone();
        let (begun, fitted_before, before) = (clock.now(), self.placer.counts.fit, turn.pictures.len());
        let placer = &mut self.placer;
        let mut sink = |picture: Picture| placer.take(picture, end, scratch, turn);
        let mut decoded = self.decoder.decode(&unit.unit, &mut sink);
        if self.effort == MosaicEffort::Keyframes {
            // The next unit does not follow this one: all of it must come out now.
            let drained = self.decoder.drain(&mut sink);
            decoded = decoded.and(drained);
        }
        if let Some(shortcut) = &mut self.shortcut {
            shortcut.decoded(&unit.unit, turn.pictures.get(before..).unwrap_or_default(), scratch);
        }
        let took = clock.now().since(begun);
        self.placer.counts.decode += took.saturating_sub(self.placer.counts.fit - fitted_before);
        self.settle(decoded)
    }

    /// Damage is counted and passed over, as what comes after it may be good.
    fn settle(&mut self, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                if self.placer.counts.damaged == 0 {
                    tracing::warn!("{}: {}; going on", self.name, error.message());
                }
                self.placer.counts.damaged += 1;
                Ok(())
            }
            Err(error) => {
                let message = error.message().to_owned();
                Err(Error::new(error.kind(), self.name.clone(), message).caused_by(error))
            }
            Ok(()) => Ok(()),
        }
    }

    fn without_pictures(&self) -> Error {
        let message = match self.effort {
            MosaicEffort::Keyframes if self.placer.counts.units > 0 => {
                "has no picture that can be decoded alone; use --effort balanced"
            }
            _ => "has no picture that can be decoded; record it again or leave it out",
        };
        Error::new(ErrorKind::Corrupt, self.name.clone(), message)
    }
}

/// Finds the tick of each picture and fits those that are shown.
struct Placer {
    timeline: Timeline,
    ticks: Ticks,
    /// Times of the file are rounded to this: a picture so little after a tick belongs to it.
    resolution: i64,
    /// Times that were counted in decoding order are kept: pictures between were left out.
    keep_counting: bool,
    spec: FitSpec,
    parameters: VideoParameters,
    /// Times of units that were read and whose pictures are still to come.
    known: BTreeSet<i64>,
    /// The latest unit since the last noted one that was not.
    left_out: Option<Pts>,
    /// Numbers of units whose pictures are not to be shown.
    hidden: HashSet<u64>,
    /// Numbers of units without a time, and which of them can be decoded by themselves.
    untimed: HashMap<u64, bool>,
    /// When units without a time are decoded, where the file tells that: as they come, those times go to the pictures
    /// that are shown next.
    decoded: VecDeque<(u64, Pts)>,
    /// The largest number of a unit whose picture was placed.
    newest: Option<u64>,
    counts: InputCounts,
    clock: SharedClock,
}

impl Placer {
    fn note(&mut self, unit: &FileUnit) {
        self.left_out = None;
        let number = unit.unit.arrival.0;
        if unit.hidden {
            self.hidden.insert(number);
        } else if unit.timed {
            self.known.insert(unit.unit.pts.0);
        } else if !self.keep_counting {
            self.untimed.insert(number, unit.unit.random_access);
            self.decoded.extend(unit.decoded.map(|time| (number, time)));
        }
    }

    /// The time of the next picture in the order in which they are shown, one without a time of its own.
    fn next_decoded(&mut self, number: u64, is_key: bool) -> Option<Pts> {
        // All that was decoded before a key frame is shown before it, or was lost.
        while is_key && self.decoded.front().is_some_and(|(before, _)| *before < number) {
            self.decoded.pop_front();
        }
        self.decoded.pop_front().map(|(_, time)| time)
    }

    /// True where a picture that is known to come later takes this one's only tick.
    fn is_superseded(&self, unit: &FileUnit) -> bool {
        if !unit.timed || unit.hidden {
            return false;
        }
        // Relative to the newest placed picture: exact but for a clock that jumps in between, where
        // a tick then shows the picture before.
        let place = self.timeline.would_place(unit.unit.pts);
        place.is_some_and(|place| self.next_takes(unit.unit.pts, place))
    }

    fn next_takes(&self, pts: Pts, place: i64) -> bool {
        let after = (std::ops::Bound::Excluded(pts.0), std::ops::Bound::Unbounded);
        let next = self.known.range(after).next();
        next.is_some_and(|next| {
            let next_place = place.saturating_add(next.saturating_sub(pts.0));
            self.tick(next_place) == self.tick(place)
        })
    }

    fn tick(&self, place: i64) -> u64 {
        self.ticks.first_from(place.saturating_sub(self.resolution))
    }

    /// Takes a decoded picture.
    fn take(&mut self, picture: Picture, end: u64, scratch: &mut Scratch, turn: &mut Turn) {
        self.counts.decoded += 1;
        self.counts.damaged += u64::from(picture.damaged);
        let (pts, number) = (picture.origin.pts, picture.origin.arrival.0);
        self.known.remove(&pts.0);
        if self.hidden.remove(&number) {
            self.counts.hidden += 1;
            return;
        }
        let pts_if_timed = match self.untimed.remove(&number) {
            Some(is_key) => self.next_decoded(number, is_key),
            None => Some(pts),
        };
        // After a loss a decoder may give what it held back after what followed.
        let overtaken = self.newest.is_some_and(|newest| number < newest);
        if overtaken && pts_if_timed.is_some_and(|pts| self.timeline.is_before_the_last(pts)) {
            self.counts.damaged += 1;
            return;
        }
        self.newest = self.newest.max(Some(number));
        let place = self.timeline.place(pts_if_timed);
        self.counts.jumps = self.timeline.jumps();
        self.counts.seconds = self.timeline.end() as f64 / 1e9;
        let tick = self.tick(place);
        turn.covered = turn.covered.max(Some(tick));
        if tick >= end || self.next_takes(pts, place) {
            return;
        }
        let begun = self.clock.now();
        let Some(frame) = picture.into_frame(number, &self.parameters) else { return };
        let picture = fit(&frame, &self.spec, &[], scratch);
        self.counts.fitted += 1;
        self.counts.fit += self.clock.now().since(begun);
        let placed = Placed { tick, picture };
        match turn.pictures.last_mut() {
            Some(last) if last.tick == tick => *last = placed,
            _ => turn.pictures.push(placed),
        }
    }
}
