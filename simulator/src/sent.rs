//! When each frame was handed to the kernel, so that a picture seen later tells its latency.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use vitrail_engine::base::Moment;

use crate::code::Code;

/// The time of one sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// On the simulator's clock.
    pub moment: Moment,
    /// The same instant, since the Unix epoch.
    pub wall: Duration,
    /// Counts the frames of the stream's schedule, which begins elsewhere in the loop for each camera.
    pub count: u64,
}

/// The newest sending of each frame of one loop.
type Loop = Vec<Option<Sent>>;

/// The newest sending of each frame of each loop. One entry lives until the loop comes round again,
/// so that with loops of 10 s a code is resolved without doubt up to that age.
#[derive(Debug, Default)]
pub struct SendLog {
    entries: Mutex<HashMap<(u16, crate::Profile), Loop>>,
}

impl SendLog {
    /// When the picture with this code was last sent: the moment when its last packet was handed to
    /// the kernel for the first client that got it.
    pub fn get(&self, code: &Code) -> Option<Sent> {
        let entries = self.entries.lock();
        *entries.get(&(code.camera, code.profile))?.get(code.frame as usize)?
    }

    pub(crate) fn record(&self, code: &Code, sent: Sent) {
        let mut entries = self.entries.lock();
        let frames = entries.entry((code.camera, code.profile)).or_default();
        let index = code.frame as usize;
        if frames.len() <= index {
            frames.resize(index + 1, None);
        }
        if frames[index].is_none_or(|known| known.count < sent.count) {
            frames[index] = Some(sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;

    #[test]
    fn the_first_client_of_the_newest_round_counts() {
        let log = SendLog::default();
        let code = Code { camera: 3, profile: Profile::Sub, frame: 117 };
        let at = |nanos: u64, count: u64| Sent { moment: Moment(nanos), wall: Duration::ZERO, count };
        assert_eq!(log.get(&code), None);
        log.record(&code, at(10, 117));
        log.record(&code, at(20, 117));
        assert_eq!(log.get(&code), Some(at(10, 117)));
        log.record(&code, at(30, 242));
        assert_eq!(log.get(&code), Some(at(30, 242)));
        assert_eq!(log.get(&Code { profile: Profile::Main, ..code }), None);
    }
}
