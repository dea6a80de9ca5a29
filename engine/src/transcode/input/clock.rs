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
pub struct SourceClock {
    forward: bool,
    pictures: Shift,
    sound: Shift,
    jumps: u32,
}

/// The streams of a source that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Pictures,
    Sound,
}

/// By how much a stream is moved.
#[derive(Clone, Copy, Debug, Default)]
struct Shift {
    offset: i64,
    /// When the next packet is due, after moving.
    due: Option<i64>,
}

impl SourceClock {
    /// `forward`: a step forward may be a jump in this format, too.
    pub fn new(forward: bool) -> SourceClock {
        SourceClock { forward, pictures: Shift::default(), sound: Shift::default(), jumps: 0 }
    }

    /// By how much the packet of a stream is moved, all in nanoseconds; `time` is its decoding time where the source
    /// has one.
    pub fn shift(&mut self, stream: Stream, time: Option<i64>, duration: i64) -> i64 {
        let (this, other) = match stream {
            Stream::Pictures => (&mut self.pictures, &mut self.sound),
            Stream::Sound => (&mut self.sound, &mut self.pictures),
        };
        let Some(time) = time else { return this.offset };
        if let Some(due) = this.due {
            let gap = time.saturating_add(this.offset).saturating_sub(due);
            if gap < -BACK || (self.forward && gap > FORWARD) {
                let with_other = time.saturating_add(other.offset).saturating_sub(due);
                let together = other.offset != this.offset && (-OVERLAP..PAUSE).contains(&with_other);
                let joins = together && (with_other >= 0 || stream == Stream::Sound);
                this.offset = if joins { other.offset } else { due.saturating_sub(time) };
                self.jumps += u32::from(!together);
                if together && !joins {
                    other.offset = this.offset;
                }
            }
        }
        this.due = Some(time.saturating_add(this.offset).saturating_add(duration.max(0)));
        this.offset
    }

    /// By how much a packet of a stream is moved that nobody sees or hears: it says nothing of the clock, because an
    /// edit list puts it before what was there already.
    pub fn shift_of_hidden(&self, stream: Stream) -> i64 {
        match stream {
            Stream::Pictures => self.pictures.offset,
            Stream::Sound => self.sound.offset,
        }
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
        let mut clock = SourceClock::new(true);
        for n in 0..100 {
            assert_eq!(clock.shift(Stream::Pictures, Some(5 * S + n * S / 25), S / 25), 0);
            assert_eq!(clock.shift(Stream::Sound, Some(5 * S + n * S / 25), S / 25), 0);
        }
        assert_eq!(clock.jumps(), 0);
    }

    #[test]
    fn a_jump_is_closed_for_both_streams_alike() {
        let mut clock = SourceClock::new(true);
        for n in 0..50 {
            clock.shift(Stream::Pictures, Some(n * S / 25), S / 25);
            clock.shift(Stream::Sound, Some(n * S / 25), S / 25);
        }
        // The clock starts anew at 1000 s; sound that was read late still has the old one.
        let moved = clock.shift(Stream::Pictures, Some(1000 * S), S / 25);
        assert_eq!(1000 * S + moved, 2 * S);
        assert_eq!(clock.shift(Stream::Sound, Some(2 * S), S / 25), 0);
        assert_eq!(clock.shift(Stream::Sound, Some(1000 * S + S / 25), S / 25), moved);
        assert_eq!(clock.jumps(), 1);
        // And back to zero.
        let moved = clock.shift(Stream::Pictures, Some(0), S / 25);
        assert_eq!(moved, 2 * S + S / 25);
    }

    /// Sound is read first behind the seam, and ended half a second before the pictures did.
    #[test]
    fn pictures_never_go_back_where_sound_jumps_first() {
        let mut clock = SourceClock::new(true);
        for n in 0..75 {
            clock.shift(Stream::Pictures, Some(20 * S + n * S / 25), S / 25);
        }
        for n in 0..20 {
            clock.shift(Stream::Sound, Some(20 * S + n * S / 8), S / 8);
        }
        assert_eq!(clock.shift(Stream::Sound, Some(0), S / 8), 22 * S + S / 2);
        assert_eq!(clock.shift(Stream::Pictures, Some(0), S / 25), 23 * S, "behind the last picture");
        assert_eq!(clock.shift(Stream::Sound, Some(S / 8), S / 8), 23 * S, "and the sound goes with them");
        assert_eq!(clock.jumps(), 1);
    }

    /// Sound ended before the pictures did, and begins behind them.
    #[test]
    fn sound_that_pauses_over_a_seam_stays_with_its_pictures() {
        let mut clock = SourceClock::new(true);
        for n in 0..100 {
            clock.shift(Stream::Pictures, Some(n * S / 25), S / 25);
        }
        for n in 0..33 {
            clock.shift(Stream::Sound, Some(n * S / 10), S / 10);
        }
        assert_eq!(clock.shift(Stream::Pictures, Some(0), S / 25), 4 * S);
        assert_eq!(
            clock.shift(Stream::Sound, Some(S / 2), S / 10),
            4 * S,
            "1.2 s behind the end of the sound before"
        );
        assert_eq!(clock.jumps(), 1);
    }

    #[test]
    fn a_gap_stays_a_gap_where_clocks_do_not_jump() {
        let mut clock = SourceClock::new(false);
        clock.shift(Stream::Pictures, Some(0), S);
        assert_eq!((clock.shift(Stream::Pictures, Some(60 * S), S), clock.jumps()), (0, 0));
        assert_eq!(clock.shift(Stream::Pictures, None, S), 0);
    }
}
