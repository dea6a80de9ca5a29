//! What stands in front of every output and every viewer: at most one second of access units, and
//! a gate that opens only at a key frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::base::mailbox::Empty;
use crate::base::{Counter, Mailbox, Overflow};
use crate::media::{AccessUnit, Ratio};

/// What may wait, by the units' own times. At a part of its rate a screen's second is a few units.
const MOST: Duration = Duration::from_secs(1);

/// Asks the encoder for a key frame; returns at once.
pub type KeyRequest = Arc<dyn Fn() + Send + Sync>;

/// What a feed does with what waits when it overflowed and a key frame comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backlog {
    /// Thrown away: a live viewer wants the newest picture.
    Skip,
    /// RunningOutput: a recording wants every picture that it can still have.
    Keep,
}

/// A bounded, gated queue of one output or viewer (invariants 1 and 6): the sender never waits,
/// what comes out begins with a key frame, also after an overflow.
pub struct Feed {
    mailbox: Mailbox<AccessUnit>,
    backlog: Backlog,
    key_request: KeyRequest,
    gate: Mutex<Gate>,
    closed: AtomicBool,
    units: Counter,
    bytes: Counter,
    skipped: Counter,
}

#[derive(Default)]
struct Gate {
    open: bool,
    /// It closed because the reader was too slow, not because it just began.
    overflowed: bool,
    /// A key frame was asked for since it closed.
    asked: bool,
}

impl Feed {
    /// A feed that holds at most one second at this frame rate.
    pub fn new(rate: Ratio, backlog: Backlog, key_request: KeyRequest) -> Arc<Feed> {
        let capacity = (rate.as_f64().ceil() as usize).max(2);
        Arc::new(Feed {
            mailbox: Mailbox::new(capacity, Overflow::DropNewest),
            backlog,
            key_request,
            gate: Mutex::default(),
            closed: AtomicBool::new(false),
            units: Counter::default(),
            bytes: Counter::default(),
            skipped: Counter::default(),
        })
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock()
    }

    /// Puts a unit in, or drops it where the gate is closed or a second waits already. One that is disposable goes
    /// in only where nothing waits.
    pub fn push(&self, unit: &AccessUnit) {
        if self.is_closed() {
            return;
        }
        let mut gate = self.gate();
        if unit.disposable {
            if gate.open && self.mailbox.is_empty() {
                self.mailbox.send(unit.clone());
            }
            return;
        }
        if !gate.open {
            if !unit.random_access {
                if gate.overflowed {
                    self.skipped.add_one();
                }
                return;
            }
            if gate.overflowed && self.backlog == Backlog::Skip {
                self.mailbox.clear();
            }
            *gate = Gate { open: true, overflowed: false, asked: false };
        }
        let full = self.holds_a_second_before(unit);
        self.skipped.add(u64::from(full));
        if full || !self.mailbox.send(unit.clone()) {
            *gate = Gate { open: false, overflowed: true, asked: false };
        }
    }

    fn holds_a_second_before(&self, unit: &AccessUnit) -> bool {
        let most = i64::try_from(MOST.as_nanos()).unwrap_or(i64::MAX);
        // Two fit whatever the rate is.
        let is_over = |oldest: &AccessUnit| unit.pts.0.saturating_sub(oldest.pts.0) > most;
        self.mailbox.len() > 1 && self.mailbox.peek(is_over).unwrap_or(false)
    }

    /// The next unit, waiting at most `timeout`. Where the gate is closed and nothing waits, asks
    /// for a key frame, once: so a reader that stands still never costs the others key frames.
    pub fn next(&self, timeout: Duration) -> Result<AccessUnit, Empty> {
        self.ask();
        let unit = self.mailbox.receive(timeout)?;
        self.units.add(u64::from(!unit.disposable));
        self.bytes.add(unit.data.len() as u64);
        Ok(unit)
    }

    fn ask(&self) {
        let mut gate = self.gate();
        if !gate.open && !gate.asked && self.mailbox.is_empty() {
            gate.asked = true;
            drop(gate);
            (self.key_request)();
        }
    }

    /// Throws away what waits and begins anew: the next unit out is a key frame, asked for now.
    pub fn restart(&self) {
        *self.gate() = Gate::default();
        self.mailbox.clear();
        self.ask();
    }

    /// Lets nothing more in; what is in can be taken.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.mailbox.close();
    }

    /// True after [`Feed::close`].
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Access units taken out, without disposable ones.
    pub fn units(&self) -> u64 {
        self.units.get()
    }

    /// Bytes taken out.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Access units dropped because the reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.mailbox.dropped() + self.skipped.get()
    }

    /// Asks the encoder for a key frame.
    pub fn request_key(&self) {
        (self.key_request)();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::base::Moment;
    use crate::media::Pts;

    fn unit(n: i64, random_access: bool) -> AccessUnit {
        AccessUnit {
            pts: Pts(n),
            arrival: Moment::default(),
            captured: None,
            random_access,
            disposable: false,
            loss: false,
            data: vec![0; 10].into(),
        }
    }

    fn feed(backlog: Backlog) -> (Arc<Feed>, Arc<Counter>) {
        let asked = Arc::new(Counter::default());
        let count = asked.clone();
        let key: KeyRequest = Arc::new(move || count.add_one());
        (Feed::new(Ratio { num: 4, den: 1 }, backlog, key), asked)
    }

    fn taken(feed: &Feed) -> Vec<i64> {
        std::iter::from_fn(|| feed.next(Duration::ZERO).ok().map(|u| u.pts.0)).collect()
    }

    #[test]
    fn nothing_comes_before_a_key_frame_and_one_is_asked_for() {
        let (feed, asked) = feed(Backlog::Skip);
        assert!(taken(&feed).is_empty());
        assert!(taken(&feed).is_empty());
        assert_eq!(asked.get(), 1);
        feed.push(&unit(0, false));
        feed.push(&unit(1, true));
        feed.push(&unit(2, false));
        assert_eq!(taken(&feed), [1, 2]);
        assert_eq!(feed.dropped(), 0, "waiting for the first key frame is no loss");
    }

    #[test]
    fn an_overflow_skips_to_a_key_frame_and_a_stalled_reader_asks_for_none() {
        for (backlog, left) in [(Backlog::Skip, vec![20, 21]), (Backlog::Keep, vec![0, 1, 2, 3, 30])] {
            let (feed, asked) = feed(backlog);
            feed.push(&unit(0, true));
            (1..10).for_each(|n| feed.push(&unit(n, false)));
            assert_eq!(feed.dropped(), 6);
            assert_eq!(asked.get(), 0);
            if backlog == Backlog::Skip {
                feed.push(&unit(20, true));
                feed.push(&unit(21, false));
                assert_eq!(taken(&feed), left);
            } else {
                assert_eq!(taken(&feed), left[..4]);
                assert_eq!(asked.get(), 1, "the reader is back");
                feed.push(&unit(11, false));
                feed.push(&unit(30, true));
                assert_eq!(taken(&feed), left[4..]);
            }
        }
    }

    #[test]
    fn a_second_waits_at_most_whatever_is_made_of_the_rate() {
        for (made, held) in [(25, 25), (12, 13), (6, 7)] {
            let feed = Feed::new(Ratio { num: 25, den: 1 }, Backlog::Skip, Arc::new(|| {}));
            for n in 0..100_i64 {
                feed.push(&AccessUnit { pts: Pts(n * 1_000_000_000 / made), ..unit(n, n == 0) });
            }
            assert_eq!(feed.dropped(), 100 - held, "{made} a second");
            let waited = taken(&feed);
            assert!(waited.len() == held as usize && waited.last() <= Some(&1_000_000_000), "{waited:?}");
        }
    }

    #[test]
    fn what_is_disposable_waits_behind_nothing_and_counts_for_nothing() {
        let (feed, _) = feed(Backlog::Skip);
        let between = |n| AccessUnit { disposable: true, ..unit(n, false) };
        feed.push(&between(0));
        feed.push(&unit(1, true));
        feed.push(&between(2));
        assert_eq!(taken(&feed), [1]);
        feed.push(&between(3));
        assert_eq!((taken(&feed), feed.units(), feed.dropped()), (vec![3], 1, 0));
    }

    #[test]
    fn a_restart_forgets_what_waits() {
        let (feed, asked) = feed(Backlog::Skip);
        feed.push(&unit(0, true));
        feed.push(&unit(1, false));
        feed.restart();
        feed.push(&unit(2, false));
        feed.push(&unit(3, true));
        assert_eq!(taken(&feed), [3]);
        assert_eq!(asked.get(), 1);
    }
}
