//! Sound that is not touched: which packets of the source are heard in the result, and when.

use std::time::Duration;

use ffmpeg_next as ff;

use super::heads::Heads;
use super::{PacketSink, SoundRange};
use crate::base::Result;

/// What a decoder may need of the sound before the beginning, in seconds, where two packets of it are not more:
/// that of Opus takes 80 ms (RFC 7845, 4.6), those of AAC two frames.
const PRIMING: f64 = 0.1;
/// The coarsest unit that a container here counts in.
const APART: Duration = Duration::from_millis(1);

/// Hands packets on as they are, those of which any is heard. From the source's own beginning, what a decoder
/// needs to start comes along, unless nothing of the sound is heard behind it.
pub struct Copier {
    heads: Heads,
    start: i64,
    end: Option<i64>,
    priming: i64,
    /// The least from one packet to the next, where packets are not shorter.
    apart: i64,
    /// When the newest packet is heard, and when it ends.
    newest: Option<(i64, i64)>,
    /// Packets of before the beginning, until one comes that is not: a container with nothing else shows them later.
    before: Vec<ff::Packet>,
}

impl Copier {
    pub fn new(parameters: &ff::codec::Parameters, time_base: ff::Rational, range: SoundRange) -> Copier {
        Copier {
            heads: Heads::of(parameters),
            start: ticks(range.start, time_base),
            end: range.end.map(|end| ticks(end, time_base)),
            priming: ticks(Duration::from_secs_f64(PRIMING), time_base),
            apart: ticks(APART, time_base).max(1),
            newest: None,
            before: Vec::new(),
        }
    }

    /// Takes the next packet of the source; counts those that hold no whole frame.
    pub fn push(&mut self, mut packet: ff::Packet, damaged: &mut u64, out: PacketSink<'_>) -> Result<()> {
        let data = packet.data().unwrap_or_default();
        if data.is_empty() {
            return Ok(());
        }
        if self.heads.kind(data).is_none() {
            *damaged += u64::from(!packet.is_corrupt());
            return Ok(());
        }
        // What has no time follows what came before.
        let due = self.newest.map(|(_, end)| end);
        let Some(mut pts) = packet.pts().or(packet.dts()).or(due) else { return Ok(()) };
        let duration = packet.duration().max(1);
        let wanted = if self.start > 0 { 0 } else { self.priming.max(duration.saturating_mul(2)) };
        let early = pts.saturating_add(duration) <= self.start.saturating_sub(wanted);
        let late = self.end.is_some_and(|end| pts >= end);
        if early || late {
            return Ok(());
        }
        if let Some((newest, end)) = self.newest {
            // A clock that went back, at a seam, would put sound where there is some already.
            if pts < newest {
                return Ok(());
            }
            // Far enough that no container rounds both to one time.
            pts = pts.max(newest.saturating_add(end.saturating_sub(newest).clamp(1, self.apart)));
        }
        self.newest = Some((pts, pts.saturating_add(duration)));
        packet.set_pts(Some(pts.saturating_sub(self.start)));
        packet.set_dts(Some(pts.saturating_sub(self.start)));
        // Every packet of sound can be decoded by itself; some sources forget to say so.
        packet.set_flags(packet.flags() | ff::packet::Flags::KEY);
        self.before.push(packet);
        if pts < self.start {
            return Ok(());
        }
        self.before.drain(..).try_for_each(out)
    }
}

fn ticks(time: Duration, base: ff::Rational) -> i64 {
    let (num, den) = (i128::from(base.numerator()).max(1), i128::from(base.denominator()));
    let nanos = i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
    i64::try_from(nanos.saturating_mul(den) / (num * 1_000_000_000)).unwrap_or(i64::MAX)
}
