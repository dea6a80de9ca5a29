//! One clock for a source whose clocks jump: broadcast wraps, cameras restart, recordings are joined.

/// A step back of this much is a jump, in nanoseconds: no reordering of pictures goes so far in
/// decoding time.
const BACK: i64 = 500_000_000;
/// A step forward of this much is a jump in formats whose clocks do, in nanoseconds.
const FORWARD: i64 = 10_000_000_000;
/// Two streams that jump together: the later one lands at most so far before its end, in nanoseconds.
const OVERLAP: i64 = 1_000_000_000;
/// And so far behind it: by as much as it ended before the other and begins behind it, in nanoseconds.
const PAUSE: i64 = 3_000_000_000;

/// Closes jumps: what follows one continues where the stream was. Streams that jump together are
/// moved by the same amount, so that sound stays with its pictures. Pictures never go back: where sound
/// jumped first and ended before them, what follows of it waits for them.
#[derive(Debug)]
pub struct Timeline {
    forward: bool,
    lanes: [Lane; 2],
    jumps: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    offset: i64,
    /// When the next packet is due, after moving.
    due: Option<i64>,
}

impl Timeline {
    /// `forward`: a step forward may be a jump in this format, too.
    pub fn new(forward: bool) -> Timeline {
        Timeline { forward, lanes: [Lane::default(); 2], jumps: 0 }
    }

    /// By how much the packet of a lane (0: pictures, 1: sound) is moved, all in nanoseconds; `time` is
    /// its decoding time where the source has one.
    pub fn shift(&mut self, lane: usize, time: Option<i64>, duration: i64) -> i64 {
        let other = self.lanes[1 - lane].offset;
        let (pictures, mut follows) = (lane == 0, false);
        let lane = &mut self.lanes[lane];
        let Some(time) = time else { return lane.offset };
        if let Some(due) = lane.due {
            let gap = time.saturating_add(lane.offset).saturating_sub(due);
            if gap < -BACK || (self.forward && gap > FORWARD) {
                let with_other = time.saturating_add(other).saturating_sub(due);
                let together = other != lane.offset && (-OVERLAP..PAUSE).contains(&with_other);
                let joins = together && (with_other >= 0 || !pictures);
                lane.offset = if joins { other } else { due.saturating_sub(time) };
                self.jumps += u32::from(!together);
                follows = together && !joins;
            }
        }
        let offset = lane.offset;
        lane.due = Some(time.saturating_add(offset).saturating_add(duration.max(0)));
        if follows {
            self.lanes[1].offset = offset;
        }
        offset
    }

    /// By how much a packet of a lane is moved that nobody sees or hears: it says nothing of the clock, because an
    /// edit list puts it before what was there already.
    pub fn shift_of_hidden(&self, lane: usize) -> i64 {
        self.lanes[lane].offset
    }

    /// Jumps so far; one that both streams make counts once.
    pub fn jumps(&self) -> u32 {
        self.jumps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn a_steady_clock_is_left_alone() {
        let mut timeline = Timeline::new(true);
        for n in 0..100 {
            assert_eq!(timeline.shift(0, Some(5 * S + n * S / 25), S / 25), 0);
            assert_eq!(timeline.shift(1, Some(5 * S + n * S / 25), S / 25), 0);
        }
        assert_eq!(timeline.jumps(), 0);
    }

    #[test]
    fn a_jump_is_closed_for_both_streams_alike() {
        let mut timeline = Timeline::new(true);
        for n in 0..50 {
            timeline.shift(0, Some(n * S / 25), S / 25);
            timeline.shift(1, Some(n * S / 25), S / 25);
        }
        // The clock starts anew at 1000 s; sound that was read late still has the old one.
        let moved = timeline.shift(0, Some(1000 * S), S / 25);
        assert_eq!(1000 * S + moved, 2 * S);
        assert_eq!(timeline.shift(1, Some(2 * S), S / 25), 0);
        assert_eq!(timeline.shift(1, Some(1000 * S + S / 25), S / 25), moved);
        assert_eq!(timeline.jumps(), 1);
        // And back to zero.
        let moved = timeline.shift(0, Some(0), S / 25);
        assert_eq!(moved, 2 * S + S / 25);
    }

    /// Sound is read first behind the seam, and ended half a second before the pictures did.
    #[test]
    fn pictures_never_go_back_where_sound_jumps_first() {
        let mut timeline = Timeline::new(true);
        for n in 0..75 {
            timeline.shift(0, Some(20 * S + n * S / 25), S / 25);
        }
        for n in 0..20 {
            timeline.shift(1, Some(20 * S + n * S / 8), S / 8);
        }
        assert_eq!(timeline.shift(1, Some(0), S / 8), 22 * S + S / 2);
        assert_eq!(timeline.shift(0, Some(0), S / 25), 23 * S, "behind the last picture");
        assert_eq!(timeline.shift(1, Some(S / 8), S / 8), 23 * S, "and the sound goes with them");
        assert_eq!(timeline.jumps(), 1);
    }

    /// Sound ended before the pictures did, and begins behind them.
    #[test]
    fn sound_that_pauses_over_a_seam_stays_with_its_pictures() {
        let mut timeline = Timeline::new(true);
        for n in 0..100 {
            timeline.shift(0, Some(n * S / 25), S / 25);
        }
        for n in 0..33 {
            timeline.shift(1, Some(n * S / 10), S / 10);
        }
        assert_eq!(timeline.shift(0, Some(0), S / 25), 4 * S);
        assert_eq!(timeline.shift(1, Some(S / 2), S / 10), 4 * S, "1.2 s behind the end of the sound before");
        assert_eq!(timeline.jumps(), 1);
    }

    #[test]
    fn a_gap_stays_a_gap_where_clocks_do_not_jump() {
        let mut timeline = Timeline::new(false);
        timeline.shift(0, Some(0), S);
        assert_eq!((timeline.shift(0, Some(60 * S), S), timeline.jumps()), (0, 0));
        assert_eq!(timeline.shift(0, None, S), 0);
    }
}
