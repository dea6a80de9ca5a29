//! What stands between the encoder's thread and one viewer: at most one second of access units, a
//! gate that opens at a key frame only, and the wish for a key frame.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use vitrail_engine::encode::EncodedSink;
use vitrail_engine::media::AccessUnit;
use vitrail_engine::output::StreamParams;
use vitrail_engine::output::feed::{Backlog, Feed};

use super::profile::ProfileLevel;

/// What a viewer's feed has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feeding {
    /// Access units taken out to be sent.
    pub units: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Access units dropped because the viewer was behind.
    pub dropped: u64,
}

/// The encoder's end is [`EncodedSink`]; the sender's is the rest.
pub(super) struct Inlet {
    feed: OnceLock<Arc<Feed>>,
    key_wanted: Arc<AtomicBool>,
    /// Something came since the sender looked.
    fresh: AtomicBool,
    wake: Arc<Notify>,
    profile: OnceLock<Option<ProfileLevel>>,
    known: Notify,
}

impl Inlet {
    /// `wake` wakes the sender.
    pub fn new(wake: Arc<Notify>) -> Arc<Inlet> {
        Arc::new(Inlet {
            feed: OnceLock::new(),
            key_wanted: Arc::default(),
            fresh: AtomicBool::new(false),
            wake,
            profile: OnceLock::new(),
            known: Notify::new(),
        })
    }

    /// Opens the feed for a stream of this rate.
    pub fn begin(&self, params: &StreamParams) {
        let wanted = self.key_wanted.clone();
        let ask = Arc::new(move || wanted.store(true, Ordering::Relaxed));
        self.feed.get_or_init(|| Feed::new(params.frame_rate, Backlog::Skip, ask));
    }

    /// What the stream is, once its first key frame came; `None` where that has no parameter sets.
    pub async fn profile(&self) -> Option<ProfileLevel> {
        loop {
            let known = self.known.notified();
            if let Some(profile) = self.profile.get() {
                return *profile;
            }
            known.await;
        }
    }

    /// True once after something came.
    pub fn take_fresh(&self) -> bool {
        self.fresh.swap(false, Ordering::Relaxed)
    }

    /// The next access unit, if one is there.
    pub fn next(&self) -> Option<AccessUnit> {
        self.feed.get()?.next(Duration::ZERO).ok()
    }

    /// Forgets what waits: what comes next is a key frame.
    pub fn restart(&self) {
        if let Some(feed) = self.feed.get() {
            feed.restart();
        }
    }

    /// Wishes for a key frame.
    pub fn want_key(&self) {
        self.key_wanted.store(true, Ordering::Relaxed);
    }

    /// True where a key frame is wished for.
    pub fn wants_key(&self) -> bool {
        self.key_wanted.load(Ordering::Relaxed)
    }

    /// The wish was passed on.
    pub fn key_asked(&self) {
        self.key_wanted.store(false, Ordering::Relaxed);
    }

    /// Lets nothing more in, and forgets what waits.
    pub fn close(&self) {
        if let Some(feed) = self.feed.get() {
            feed.close();
            while feed.next(Duration::ZERO).is_ok() {}
        }
    }

    /// What is counted.
    pub fn counted(&self) -> Feeding {
        let Some(feed) = self.feed.get() else { return Feeding::default() };
        Feeding { units: feed.units(), bytes: feed.bytes(), dropped: feed.dropped() }
    }
}

impl EncodedSink for Inlet {
    fn unit(&self, unit: &AccessUnit) {
        if unit.random_access && self.profile.get().is_none() {
            let _ = self.profile.set(ProfileLevel::of_unit(&unit.data));
            self.known.notify_waiters();
        }
        let Some(feed) = self.feed.get() else { return };
        feed.push(unit);
        self.fresh.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }
}
