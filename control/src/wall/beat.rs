//! The conductor's own threads: what begins and ends by itself, and by the clock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use vitrail_engine::base::mailbox::Empty;

use super::Conductor;
use crate::audit::Actor;
use crate::base::Utc;
use crate::rights;

/// How often the conductor looks by itself whether something ends or begins.
const BEAT: Duration = Duration::from_millis(200);
/// How often it is looked whether a right ends by the clock.
const TICK: Duration = Duration::from_millis(20);
/// How long the conductor trusts that nothing ends by the clock.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// What stays due although it was seen to is tried again after this.
const NO_SOONER: Duration = Duration::from_millis(10);

impl Conductor {
    /// Darkens what ends by the clock alone. A thread of its own, which asks nothing of the database: whoever
    /// writes there for long holds no end of a right up.
    pub(super) fn watch_the_clock(&self) {
        let mut last = self.policy.now();
        while !self.ended.load(Ordering::Relaxed) {
            std::thread::sleep(TICK);
            let now = self.policy.now();
            if now < last || rights::next_change(&self.policy.rights(), last) <= now {
                self.gate.enforce();
                self.wake.send(());
            }
            last = now;
        }
    }

    /// The conductor's own thread: what begins and ends by itself.
    pub(super) fn conduct(self: Arc<Self>) {
        let mut due = Utc(0);
        loop {
            let left = u64::try_from(due.0.saturating_sub(self.db.now().0)).unwrap_or(0);
            let wait = BEAT.min(Duration::from_millis(left.max(1)));
            let news = match self.wake.receive(wait) {
                Ok(()) => true,
                Err(Empty::Closed) => return,
                Err(_) => false,
            };
            let over = self.db.now() >= due;
            if news || over {
                // Pixels first: what is written down below may wait for another writer.
                self.gate.enforce();
                due = self.policy.tick().unwrap_or_else(|problem| {
                    tracing::error!("{problem}");
                    self.db.now().plus(BEAT)
                });
                // By the clock alone rights end too. A time that never comes is looked at now and then.
                let now = self.db.now();
                due = due.clamp(now.plus(NO_SOONER), now.plus(LOOK_AGAIN));
            }
            self.beat(news || over);
        }
    }

    /// With `look`, rights may have changed: cameras that are kept ready are judged too, which takes
    /// milliseconds where there are thousands.
    fn beat(&self, look: bool) {
        while self.cameras_changed.swap(false, Ordering::AcqRel) {
            if let Err(problem) = self.follow_cameras() {
                tracing::error!("the registry was not followed: {problem}");
                self.cameras_changed.store(true, Ordering::Release);
                break;
            }
        }
        let mut intent = self.intent();
        if let Err(problem) = self.settle(&mut intent, &Actor::system(), None, Vec::new()) {
            tracing::debug!("{problem}");
        }
        if look
            && self.gate.has_news()
            && let Err(problem) = self.engine(|wall| wall.ask_again(&*self.gate))
        {
            tracing::debug!("{problem}");
        }
        drop(intent);
        self.step_tours();
        let now = self.db.now();
        let mut intent = self.intent();
        let tell = now.0 - intent.news_at.0 >= 1000;
        if tell {
            intent.news_at = now;
        }
        drop(intent);
        if !tell {
            return;
        }
        self.db.tend();
        if self.db.log_state().is_ok() {
            self.intent().log_trouble = None;
        }
        if self.bus.listeners() > 0 {
            if let Ok(state) = self.state() {
                self.bus.tell("wall", &state);
            }
        } else if let Ok(screens) = self.engine(|wall| wall.screen_reports()) {
            // Whoever looks next is told what was lost a moment ago.
            self.recent_losses(&screens);
        }
    }
}
