//! Where the bytes of a GStreamer source come in: when they did, so that a picture's age counts from then and not
//! from when a demuxer or parser was done with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use parking_lot::{Mutex, MutexGuard};

use crate::base::{Moment, SharedClock};

/// Pictures that may be between a demuxer and the end of a parser.
const IN_PARSER: usize = 64;
/// Bytes of a multipart stream in which the first part's header is looked for.
const HEADER: usize = 8192;

/// Blocks that may be between the source and the demuxer.
const BLOCKS: usize = 4096;

/// Which bytes came when. Between the source and the demuxer may lie a queue, so the demuxer's bytes are counted too.
#[derive(Default)]
struct Bytes {
    /// How many came by the end of each block, and when.
    blocks: VecDeque<(u64, Moment)>,
    came: u64,
    /// How many the demuxer had before the block that it works on, where there is one.
    demuxed: Option<u64>,
    /// How many it has with it.
    taken: u64,
}

impl Bytes {
    fn came(&mut self, size: usize, now: Moment) {
        self.came += size as u64;
        self.blocks.push_back((self.came, now));
        if self.blocks.len() > BLOCKS {
            self.blocks.pop_front();
        }
    }

    fn demuxes(&mut self, size: usize) {
        self.demuxed = Some(self.taken);
        self.taken += size as u64;
    }

    /// When the bytes before the block came that is worked on now.
    fn before(&self) -> Option<Moment> {
        let end = match self.demuxed {
            Some(end) => end,
            None => self.blocks.iter().rev().nth(1)?.0,
        };
        let at = self.blocks.partition_point(|(until, _)| *until < end);
        self.blocks.get(at).map(|(_, moment)| *moment)
    }
}

/// Where bytes come in.
pub(super) struct Entry {
    clock: SharedClock,
    bytes: Mutex<Bytes>,
    /// What reads the stream hands a picture on only when the next one begins.
    ends_with_next: AtomicBool,
    /// A part of a multipart stream told its length: it is handed on with its last byte.
    told_length: AtomicBool,
    /// Its pictures have no times of their own.
    untimed: AtomicBool,
    /// A demuxer is watched: it hands pictures to the parser behind it. Without one a parser gets blocks.
    has_demuxer: AtomicBool,
    /// A parser behind the demuxer is watched.
    has_parser: AtomicBool,
    /// Pictures in it: their times, where they have one yet, and when their bytes had come.
    pictures: Mutex<VecDeque<(Option<gst::ClockTime>, Moment)>>,
    looked_at: AtomicU64,
    source: Mutex<Option<gst::glib::WeakRef<gst::Element>>>,
    /// What a library holds back by agreement, in nanoseconds.
    held_back: AtomicU64,
}

impl Entry {
    pub fn new(clock: SharedClock) -> Arc<Entry> {
        Arc::new(Entry {
            clock,
            bytes: Mutex::default(),
            ends_with_next: AtomicBool::new(false),
            told_length: AtomicBool::new(false),
            untimed: AtomicBool::new(false),
            has_demuxer: AtomicBool::new(false),
            has_parser: AtomicBool::new(false),
            pictures: Mutex::default(),
            looked_at: AtomicU64::new(0),
            source: Mutex::default(),
            held_back: AtomicU64::new(0),
        })
    }

    /// Watches what this element reads.
    pub fn watch(self: &Arc<Self>, source: &gst::Element) {
        *self.source.lock() = Some(source.downgrade());
        let Some(pad) = source.static_pad("src") else { return };
        let entry = Arc::downgrade(self);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let (Some(entry), Some(buffer)) = (entry.upgrade(), info.buffer()) else {
                return gst::PadProbeReturn::Ok;
            };
            entry.look_for_length(buffer);
            entry.bytes().came(buffer.size(), entry.clock.now());
            gst::PadProbeReturn::Ok
        });
    }

    fn bytes(&self) -> MutexGuard<'_, Bytes> {
        self.bytes.lock()
    }

    /// Watches what this demuxer takes.
    pub fn watch_demuxer(self: &Arc<Self>, demuxer: &gst::Element) {
        let Some(pad) = demuxer.static_pad("sink") else { return };
        self.has_demuxer.store(true, Ordering::Relaxed);
        let entry = Arc::downgrade(self);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let (Some(entry), Some(buffer)) = (entry.upgrade(), info.buffer()) {
                entry.bytes().demuxes(buffer.size());
            }
            gst::PadProbeReturn::Ok
        });
    }

    fn look_for_length(&self, buffer: &gst::BufferRef) {
        let before = self.looked_at.fetch_add(buffer.size() as u64, Ordering::Relaxed);
        if before >= HEADER as u64 {
            return;
        }
        let Ok(map) = buffer.map_readable() else { return };
        let text = map[..map.len().min(HEADER)].to_ascii_lowercase();
        if text.windows(15).any(|w| w == b"content-length:") {
            self.told_length.store(true, Ordering::Relaxed);
        }
    }

    /// The element that reads, while it is there.
    pub fn source(&self) -> Option<gst::Element> {
        self.source.lock().as_ref()?.upgrade()
    }

    /// Told what comes in (`video/mpegts`, `multipart/x-mixed-replace`, ...) once that is known.
    pub fn is_of(&self, caps_name: &str) {
        let multipart = caps_name.starts_with("multipart/");
        // A transport stream's picture ends where the next begins; so does a part that tells no length.
        let ends_with_next = match multipart {
            true => !self.told_length.load(Ordering::Relaxed),
            false => caps_name == "video/mpegts" || caps_name.starts_with("video/x-h26"),
        };
        self.ends_with_next.store(ends_with_next, Ordering::Relaxed);
        // Of Motion JPEG, GStreamer gives the first picture a time and no other.
        self.untimed.store(multipart, Ordering::Relaxed);
        if let Some(latency) = self.source().as_ref().and_then(srt_latency) {
            self.held_back.store(u64::try_from(latency.as_nanos()).unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Watches a parser behind a demuxer: it holds each picture back until the next one comes, which the demuxer
    /// did before it.
    pub fn watch_parser(self: &Arc<Self>, parser: &gst::Element) {
        let Some(pad) = parser.static_pad("sink") else { return };
        // The first is behind the demuxer; another one gets whole pictures from it.
        if self.has_parser.swap(true, Ordering::Relaxed) {
            return;
        }
        let entry = Arc::downgrade(self);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let (Some(entry), Some(buffer)) = (entry.upgrade(), info.buffer()) {
                entry.came_out(buffer.pts());
            }
            gst::PadProbeReturn::Ok
        });
    }

    fn came_out(&self, time: Option<gst::ClockTime>) {
        if !self.has_demuxer.load(Ordering::Relaxed) {
            return;
        }
        let came = self.of_block();
        let mut pictures = self.pictures();
        pictures.push_back((time, came));
        if pictures.len() > IN_PARSER {
            pictures.pop_front();
        }
    }

    fn pictures(&self) -> MutexGuard<'_, VecDeque<(Option<gst::ClockTime>, Moment)>> {
        self.pictures.lock()
    }

    /// Whether its pictures have no times of their own.
    pub fn is_untimed(&self) -> bool {
        self.untimed.load(Ordering::Relaxed)
    }

    /// When the bytes of a picture of this time came that is handed on now. Where the next picture's bytes ended
    /// it, the block before those counts: a picture is not called younger than it is, and older by no more than the
    /// time between two blocks.
    pub fn arrival(&self, time: Option<gst::ClockTime>) -> Moment {
        let mut pictures = self.pictures();
        // A parser may give pictures other times; then the order tells.
        let place =
            pictures.iter().position(|(of, _)| *of == time).or(Some(0)).filter(|_| !pictures.is_empty());
        let noted = place.and_then(|place| pictures.drain(..=place).next_back());
        drop(pictures);
        noted.map_or_else(|| self.of_block(), |(_, came)| came.min(self.of_block()))
    }

    fn of_block(&self) -> Moment {
        let now = self.clock.now();
        let before = || self.bytes().before().unwrap_or(now);
        let came = if self.ends_with_next.load(Ordering::Relaxed) { before() } else { now };
        Moment(came.0.saturating_sub(self.held_back.load(Ordering::Relaxed)))
    }
}

/// How long SRT holds each packet back, so that lost ones can be sent again; `None` where this is no SRT.
fn srt_latency(source: &gst::Element) -> Option<Duration> {
    let factory = source.factory()?;
    if !factory.name().starts_with("srt") {
        return None;
    }
    let stats =
        source.find_property("stats").and_then(|_| source.property::<Option<gst::Structure>>("stats"));
    let agreed = stats.as_deref().and_then(agreed_latency);
    let asked = || source.find_property("latency").map(|_| source.property::<i32>("latency"));
    let ms = u64::try_from(agreed.or_else(asked)?).ok()?;
    Some(Duration::from_millis(ms))
}

/// The latency that both ends agreed on, in milliseconds. Who listens has it in the list of its callers, and of those a
/// source has one: a list that the bindings cannot read but as text.
fn agreed_latency(stats: &gst::StructureRef) -> Option<i32> {
    const KEY: &str = "negotiated-latency-ms";
    if let Ok(agreed) = stats.get::<i32>(KEY) {
        return Some(agreed);
    }
    let text = stats.value("callers").ok()?.serialize().ok()?;
    let told = text.as_str().split(KEY).nth(1)?.trim_start_matches(|c: char| !c.is_ascii_digit());
    // The type stands in front: `=(int)120`, where this is written as text within text `\\=\\(int\\)120`.
    told.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
