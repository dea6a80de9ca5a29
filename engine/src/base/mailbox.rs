//! The one way to hand something to another thread: bounded, with a stated rule for what happens
//! when it is full, and a count of what it dropped. No sender ever waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::counters::Counter;

/// What happens to a full mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest item makes room: for what is worth less the older it is.
    DropOldest,
    /// The new item is refused: for what must stay contiguous from its start.
    DropNewest,
    /// All that waits is thrown away, the new item stays: for "only the latest matters".
    Clear,
}

/// A bounded queue between threads (invariant 1: a sender never blocks, a drop is counted).
/// Cloning gives another handle on the same queue.
#[derive(Debug)]
pub struct Mailbox<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    capacity: usize,
    overflow: Overflow,
    dropped: Counter,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Mailbox(self.0.clone())
    }
}

/// Why nothing came out of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// Nothing yet.
    Timeout,
    /// Closed, and all that was in it was taken.
    Closed,
}

impl<T> Mailbox<T> {
    /// A mailbox for at most `capacity` items (at least one).
    pub fn new(capacity: usize, overflow: Overflow) -> Self {
        Mailbox(Arc::new(Shared {
            state: Mutex::new(State { items: VecDeque::new(), closed: false }),
            arrived: Condvar::new(),
            capacity: capacity.max(1),
            overflow,
            dropped: Counter::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.state.lock()
    }

    /// Puts an item in; false where this item, or one before it, was dropped for it, or the
    /// mailbox is closed.
    pub fn send(&self, item: T) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let mut kept_all = true;
        if state.items.len() >= self.0.capacity {
            kept_all = false;
            match self.0.overflow {
                Overflow::DropNewest => {
                    self.0.dropped.add_one();
                    return false;
                }
                Overflow::DropOldest => {
                    state.items.pop_front();
                    self.0.dropped.add_one();
                }
                Overflow::Clear => {
                    self.0.dropped.add(state.items.len() as u64);
                    state.items.clear();
                }
            }
        }
        state.items.push_back(item);
        drop(state);
        self.0.arrived.notify_one();
        kept_all
    }

    /// The next item, waiting at most `timeout` for it.
    pub fn receive(&self, timeout: Duration) -> Result<T, Empty> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Ok(item);
            }
            if state.closed {
                return Err(Empty::Closed);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Empty::Timeout);
            }
            self.0.arrived.wait_for(&mut state, left);
        }
    }

    /// The next item, waiting until it comes or the mailbox is closed and empty.
    pub fn receive_or_closed(&self) -> Option<T> {
        loop {
            match self.receive(Duration::from_secs(3600)) {
                Ok(item) => return Some(item),
                Err(Empty::Closed) => return None,
                Err(Empty::Timeout) => {}
            }
        }
    }

    /// The next item, if one is there.
    pub fn try_receive(&self) -> Option<T> {
        self.lock().items.pop_front()
    }

    /// What `look` sees of the item that comes next, if one is there; it stays. Others may take it meanwhile.
    pub fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.lock().items.front().map(look)
    }

    /// Throws away all that waits, counted as dropped; returns how many.
    pub fn clear(&self) -> usize {
        let mut state = self.lock();
        let n = state.items.len();
        state.items.clear();
        self.0.dropped.add(n as u64);
        n
    }

    /// Refuses what comes from now on; what is in can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.0.arrived.notify_all();
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// True where nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items were dropped by the overflow rule or by [`Mailbox::clear`].
    pub fn dropped(&self) -> u64 {
        self.0.dropped.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(overflow: Overflow) -> (Mailbox<u32>, Vec<bool>) {
        let mailbox = Mailbox::new(2, overflow);
        let sent = (1..=3).map(|n| mailbox.send(n)).collect();
        (mailbox, sent)
    }

    fn drain(mailbox: &Mailbox<u32>) -> Vec<u32> {
        std::iter::from_fn(|| mailbox.try_receive()).collect()
    }

    #[test]
    fn each_overflow_rule_keeps_what_it_says() {
        for (rule, left, dropped) in [
            (Overflow::DropOldest, vec![2, 3], 1),
            (Overflow::DropNewest, vec![1, 2], 1),
            (Overflow::Clear, vec![3], 2),
        ] {
            let (mailbox, sent) = filled(rule);
            assert_eq!(sent, [true, true, false], "{rule:?}");
            assert_eq!(drain(&mailbox), left, "{rule:?}");
            assert_eq!(mailbox.dropped(), dropped, "{rule:?}");
        }
    }

    #[test]
    fn who_looks_at_the_next_takes_nothing() {
        let (mailbox, _) = filled(Overflow::DropOldest);
        assert_eq!((mailbox.peek(|n| n * 10), mailbox.len()), (Some(20), 2));
        assert_eq!(drain(&mailbox), [2, 3]);
        assert_eq!(mailbox.peek(|n| *n), None);
    }

    #[test]
    fn closing_wakes_the_receiver_and_keeps_what_is_in() {
        let mailbox = Mailbox::new(4, Overflow::DropOldest);
        mailbox.send(7);
        let receiver = mailbox.clone();
        let thread = std::thread::spawn(move || (receiver.receive_or_closed(), receiver.receive_or_closed()));
        mailbox.close();
        assert_eq!(thread.join().ok(), Some((Some(7), None)));
        assert!(!mailbox.send(8));
    }
}
