//! Reads a source once, in order, and hands each worker the units of its segment.

use std::collections::VecDeque;
use std::sync::Arc;

use ffmpeg_next as ff;
use parking_lot::{Mutex, MutexGuard};

use super::held::HeldSource;
use super::reader::{Reader, SourcePacket};
use super::scan::Footage;
use crate::base::Result;

/// Segments of more bytes than this are not held whole: their worker keeps the source to itself.
const HELD: u64 = 128 << 20;

/// A source that is read by the workers in turn.
pub struct Feed {
    source: Arc<HeldSource>,
    nth: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
pub struct Inside {
    reader: Option<Reader>,
    /// SegmentUnits that a later segment may need again, in order.
    kept: VecDeque<Arc<ff::Packet>>,
    /// The number of the first of them, or of the next to read.
    first: u64,
}

/// The units of a segment, one by one.
pub enum SegmentUnits<'a> {
    Held(VecDeque<Arc<ff::Packet>>),
    Streamed { inside: MutexGuard<'a, Inside>, footage: &'a Footage, next: u64, until: u64 },
}

impl Feed {
    pub fn new(source: Arc<HeldSource>, nth: usize) -> Feed {
        Feed { source, nth, inside: Mutex::default() }
    }

    /// What is read.
    pub fn source(&self) -> &HeldSource {
        &self.source
    }

    /// The units of a range, with their times; waits while another worker reads. Ranges are asked for in
    /// the order of their beginnings.
    pub fn units<'a>(
        &'a self,
        footage: &'a Footage,
        range: std::ops::Range<u64>,
        bytes: u64,
    ) -> Result<SegmentUnits<'a>> {
        let mut inside = self.inside.lock();
        if inside.reader.is_none() || range.start < inside.first {
            let reader = self.source.reader(self.nth)?;
            *inside = Inside { reader: Some(reader), ..Inside::default() };
        }
        while inside.first < range.start {
            if inside.kept.pop_front().is_some() {
                inside.first += 1;
            } else if inside.read(footage).is_none() {
                return Ok(SegmentUnits::Held(VecDeque::new()));
            } else {
                inside.first += 1;
            }
        }
        if bytes > HELD {
            let (next, until) = (range.start, range.end);
            return Ok(SegmentUnits::Streamed { inside, footage, next, until });
        }
        while inside.first + (inside.kept.len() as u64) < range.end {
            let Some(packet) = inside.read(footage) else { break };
            inside.kept.push_back(packet);
        }
        let count = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        Ok(SegmentUnits::Held(inside.kept.iter().take(count).cloned().collect()))
    }
}

impl Inside {
    /// The next unit of the source, with the time at which it is shown.
    fn read(&mut self, footage: &Footage) -> Option<Arc<ff::Packet>> {
        let reader = self.reader.as_mut()?;
        loop {
            if let SourcePacket::Unit(mut unit) = reader.next()? {
                let time = usize::try_from(unit.number).ok().and_then(|n| footage.times.get(n).copied()?);
                unit.packet.set_pts(time);
                unit.packet.set_dts(None);
                return Some(Arc::new(unit.packet));
            }
        }
    }
}

impl SegmentUnits<'_> {
    /// The next unit; `None` at the end of the segment.
    pub fn next(&mut self) -> Option<Arc<ff::Packet>> {
        match self {
            SegmentUnits::Held(units) => units.pop_front(),
            SegmentUnits::Streamed { inside, footage, next, until } => {
                if *next >= *until {
                    return None;
                }
                *next += 1;
                match inside.kept.pop_front() {
                    Some(packet) => {
                        inside.first += 1;
                        Some(packet)
                    }
                    None => {
                        let packet = inside.read(footage)?;
                        inside.first += 1;
                        Some(packet)
                    }
                }
            }
        }
    }
}
