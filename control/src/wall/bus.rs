//! News for everybody who looks at the walls: one sender, any number of readers, nobody waits.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::broadcast;

/// How far a slow reader may fall behind before it is told that it missed some.
const BEHIND: usize = 256;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct News {
    /// `layout`, `wall`, `alarm`, `tour`, `incident`, `agreement`, `registry`, `notice`.
    pub event: &'static str,
    /// JSON.
    pub data: Arc<str>,
}

/// Where news come from.
#[derive(Clone, Debug)]
pub struct Bus(broadcast::Sender<News>);

impl Default for Bus {
    fn default() -> Bus {
        Bus(broadcast::channel(BEHIND).0)
    }
}

impl Bus {
    /// Tells everybody; nobody listening is fine.
    pub fn tell(&self, event: &'static str, data: &impl Serialize) {
        match serde_json::to_string(data) {
            Ok(data) => drop(self.0.send(News { event, data: data.into() })),
            Err(error) => tracing::error!("news of {event} cannot be written: {error}"),
        }
    }

    /// Everything from now on.
    pub fn listen(&self) -> broadcast::Receiver<News> {
        self.0.subscribe()
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.0.receiver_count()
    }
}
