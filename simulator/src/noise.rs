//! How late this machine wakes who sleeps. What a test asserts about time grows with it, so that a busy machine
//! is not taken for a slow program; on a quiet one it stays what it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// From one look to the next.
const STEP: Duration = Duration::from_millis(5);
/// Later than this is noise: a quiet machine is late by less than a tenth of it.
const NOISY: Duration = Duration::from_millis(10);
/// Threads through which a picture or a packet goes on its way, each of which may have to wait as long.
const HANDS: u32 = 6;

/// Listens until dropped.
pub struct Noise {
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    worst_us: AtomicU64,
    sum_us: AtomicU64,
    ended: AtomicBool,
}

impl Noise {
    /// Begins to listen, on a thread of its own.
    pub fn listen() -> Noise {
        let heard = Arc::new(Heard::default());
        let ears = heard.clone();
        std::thread::spawn(move || {
            while !ears.ended.load(Ordering::Relaxed) {
                let begun = Instant::now();
                std::thread::sleep(STEP);
                let late = begun.elapsed().saturating_sub(STEP);
                if late > NOISY {
                    let late = late.as_micros() as u64;
                    ears.worst_us.fetch_max(late, Ordering::Relaxed);
                    ears.sum_us.fetch_add(late, Ordering::Relaxed);
                }
            }
        });
        Noise { heard }
    }

    /// This bound, and what the machine makes of it.
    pub fn allow(&self, bound: Duration) -> Duration {
        bound + HANDS * Duration::from_micros(self.heard.worst_us.load(Ordering::Relaxed))
    }

    /// How many of so many pictures of this period may be missing for what was heard; none on a quiet machine, and a
    /// tenth at most, for a program that takes too much makes such noise itself.
    pub fn missing(&self, of: u64, period: Duration) -> u64 {
        let sum = u64::from(HANDS) * self.heard.sum_us.load(Ordering::Relaxed);
        sum.div_ceil(period.as_micros() as u64).min(of / 10)
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.heard.ended.store(true, Ordering::Relaxed);
    }
}
