//! An output that sends MPEG-TS to a peer by itself, without a pipeline: UDP, and SRT that calls.

use std::time::{Duration, Instant};

use super::feed::{Backlog, Feed, KeyRequest};
use super::hub::StreamParams;
use super::kept::{KeyClock, RunningOutput};
use super::ts::{Muxer, PULSE};
use crate::base::Result;
use crate::base::mailbox::Empty;

/// The way to a peer.
pub(crate) trait Link {
    /// Sends the packets of one picture, or those between two. May wait, but not much longer than a picture takes.
    fn picture(&mut self, packets: &[u8]) -> Result<()>;
}

/// Sends to what `open` gives, and opens it anew after each failure. Each way begins with tables,
/// parameter sets and a key frame.
pub(crate) fn start<L: Link>(
    subject: String,
    params: &StreamParams,
    key: KeyRequest,
    key_every: Option<Duration>,
    open: impl Fn() -> Result<L> + Send + 'static,
) -> Result<RunningOutput> {
    let feed = Feed::new(params.frame_rate, Backlog::Skip, key);
    let (codec, own) = (params.codec, feed.clone());
    RunningOutput::start(subject, feed, move |_, progress| {
        let mut link = open()?;
        let mut muxer = Muxer::new(codec);
        let mut keys = KeyClock::new(key_every);
        // What came while it was opened is old, and the peer begins at a key frame.
        own.restart();
        let begun = Instant::now();
        loop {
            match own.next(PULSE) {
                Ok(unit) => {
                    keys.tick(&unit, &own);
                    link.picture(&muxer.picture(&unit, begun.elapsed()))?;
                    progress.running();
                }
                Err(Empty::Timeout) => {
                    if let Some(packets) = muxer.between(begun.elapsed()) {
                        link.picture(&packets)?;
                    }
                }
                Err(Empty::Closed) => return Ok(()),
            }
        }
    })
}
