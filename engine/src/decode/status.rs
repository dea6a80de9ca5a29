//! What a camera's decoding has done so far, for reports and for the wall's placards.

use parking_lot::Mutex;

use super::queue::Tally;
use crate::base::{ErrorKind, Moment};

/// A snapshot of one camera's decoding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecodeStatus {
    /// Access units that arrived.
    pub units: u64,
    /// Frames handed to the consumer.
    pub decoded: u64,
    /// Units dropped because the queue was over its bound (invariant 3).
    pub dropped_late: u64,
    /// Units dropped because no random-access unit had come yet.
    pub dropped_waiting: u64,
    /// Units that the effort left out.
    pub skipped: u64,
    /// Units and pictures that were damaged.
    pub corrupt: u64,
    /// Pictures decoded but held back after damage.
    pub held_back: u64,
    /// Times that the queue was over its bound and jumped to a key frame.
    pub keyframe_jumps: u64,
    /// What decodes it: `libavcodec`, `nvh264dec`, …; empty before the first unit.
    pub backend: String,
    /// When the last frame was handed on.
    pub last_decoded: Option<Moment>,
    /// Width of the last frame in pixels; 0 before the first.
    pub width: u32,
    /// Height of the last frame in pixels; 0 before the first.
    pub height: u32,
    /// What is wrong now; the next good frame clears it.
    pub error: Option<(ErrorKind, String)>,
    /// CPU time that the decoder took on its worker, without the consumer, in nanoseconds. A
    /// hardware decoder works elsewhere.
    pub decode_nanos: u64,
}

/// The part of the status that workers write.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<DecodeStatus>);

impl Progress {
    pub fn update(&self, change: impl FnOnce(&mut DecodeStatus)) {
        change(&mut self.0.lock());
    }

    pub fn snapshot(&self, tally: Tally) -> DecodeStatus {
        let progress = self.0.lock().clone();
        DecodeStatus {
            units: tally.units,
            dropped_late: tally.dropped_late,
            dropped_waiting: tally.dropped_waiting,
            skipped: tally.skipped,
            keyframe_jumps: tally.jumps,
            ..progress
        }
    }
}
