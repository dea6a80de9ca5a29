//! Who is told of commits: in the order of the commits, and before [`super::Database::change`] returns.

use std::collections::VecDeque;
use std::thread::ThreadId;

use parking_lot::{Mutex, RwLock};

use crate::audit::Record;

/// Called right after the commit with what was recorded.
pub type Listener = Box<dyn Fn(&[Record]) + Send + Sync>;

/// Listeners, and what they were not told yet. Guards that a revocation is never told before the grant
/// that it revokes, however many threads commit.
#[derive(Default)]
pub(super) struct Listeners {
    all: RwLock<Vec<Listener>>,
    waiting: Mutex<VecDeque<Vec<Record>>>,
    /// Held while telling.
    telling: Mutex<()>,
    teller: Mutex<Option<ThreadId>>,
}

impl Listeners {
    pub fn add(&self, listener: Listener) {
        self.all.write().push(listener);
    }

    /// Takes a commit's records; called while the writer is held, so in the order of the commits.
    pub fn commit(&self, records: Vec<Record>) {
        self.waiting.lock().push_back(records);
    }

    /// Tells all that waits, or waits until another thread has. A change that a listener makes itself is
    /// told by the same round, after what is told at present.
    pub fn tell(&self) {
        let me = std::thread::current().id();
        if *self.teller.lock() == Some(me) {
            return;
        }
        let _telling = self.telling.lock();
        let _teller = Teller::new(self, me);
        loop {
            let next = self.waiting.lock().pop_front();
            let Some(records) = next else { return };
            for listener in self.all.read().iter() {
                listener(&records);
            }
        }
    }
}

/// Says who tells, until it is dropped, also by a listener that panics.
struct Teller<'a>(&'a Listeners);

impl<'a> Teller<'a> {
    fn new(listeners: &'a Listeners, me: ThreadId) -> Teller<'a> {
        *listeners.teller.lock() = Some(me);
        Teller(listeners)
    }
}

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        *self.0.teller.lock() = None;
    }
}
