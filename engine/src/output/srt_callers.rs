//! The callers of a screen that is served over SRT. Each has its own feed and thread, so each begins
//! with tables, parameter sets and a key frame, and loses only its own pictures (invariants 1 and 6).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::feed::{Backlog, Feed, KeyRequest};
use super::hub::{Output, OutputState, OutputStatus, StreamParams};
use super::kept::STEP;
use super::srt;
use super::srt_door::{Door, Reopen};
use super::srt_ffi::Socket;
use super::ts::Muxer;
use crate::base::mailbox::Empty;
use crate::base::thread::Worker;
use crate::base::{Counter, Result};
use crate::media::AccessUnit;

/// Callers at a time: each costs a thread, and a wall has few.
const MOST: usize = 256;
/// How often the listener looks for callers and those who went.
const LOOK: Duration = Duration::from_millis(20);

/// A screen that is served.
pub(crate) struct Callers {
    feed: Arc<Feed>,
    shared: Arc<Shared>,
    address: String,
    worker: Mutex<Option<Worker>>,
}

#[derive(Default)]
struct Shared {
    now: Mutex<Vec<Caller>>,
    /// Nobody can call, and what went wrong with that last.
    door: Mutex<(bool, Option<String>)>,
    /// What the callers who left were given: units, bytes, dropped.
    past: [Counter; 3],
}

struct Caller {
    feed: Arc<Feed>,
    gone: Arc<AtomicBool>,
    /// Ends when the feed is closed or the caller goes.
    _worker: Worker,
}

impl Callers {
    /// Serves on a listening socket that does not wait, which `reopen` replaces where it keeps failing. `subject` has
    /// no secrets.
    pub fn start(
        subject: String,
        socket: Socket,
        reopen: Reopen<Socket>,
        params: &StreamParams,
        key: KeyRequest,
    ) -> Result<Callers> {
        let address = subject.replacen(":0?", &format!(":{}?", socket.port()), 1);
        let feed = Feed::new(params.frame_rate, Backlog::Skip, key.clone());
        let shared = Arc::new(Shared::default());
        let (own, all, params) = (feed.clone(), shared.clone(), params.clone());
        let mut door = Door::new(subject.clone(), socket, reopen, Instant::now());
        let worker = Worker::spawn("srt", move || serve(&subject, &mut door, &own, &all, (&params, &key)))?;
        Ok(Callers { feed, shared, address, worker: Mutex::new(Some(worker)) })
    }
}

/// Takes callers in and hands them packets until the feed is closed.
fn serve(
    subject: &str,
    door: &mut Door<Socket>,
    feed: &Feed,
    shared: &Shared,
    (params, key): (&StreamParams, &KeyRequest),
) {
    let mut muxer = Muxer::new(params.codec);
    let begun = Instant::now();
    let mut newest: Option<AccessUnit> = None;
    loop {
        take_in(subject, door, shared, (params, key));
        shared.forget_the_gone();
        let packets = match feed.next(LOOK) {
            Ok(_) if shared.now().is_empty() => {
                newest = None;
                continue;
            }
            Ok(unit) => {
                let packets = AccessUnit { data: muxer.picture(&unit, begun.elapsed()), ..unit };
                newest = Some(AccessUnit { data: Bytes::new(), ..packets.clone() });
                packets
            }
            // The stream's clock goes on between pictures, too.
            Err(Empty::Timeout) => match &newest {
                Some(unit) => match muxer.between(begun.elapsed()) {
                    Some(data) => AccessUnit { random_access: false, disposable: true, data, ..unit.clone() },
                    None => continue,
                },
                None => continue,
            },
            Err(Empty::Closed) => break,
        };
        shared.now().iter().for_each(|caller| caller.feed.push(&packets));
    }
    let callers = std::mem::take(&mut *shared.now());
    callers.iter().for_each(|caller| caller.feed.close());
}

fn take_in(
    subject: &str,
    door: &mut Door<Socket>,
    shared: &Shared,
    (params, key): (&StreamParams, &KeyRequest),
) {
    while let Some(peer) = door.next(Instant::now()) {
        // Closed with its socket: it hears that it is refused.
        if shared.now().len() >= MOST {
            tracing::warn!(output = %subject, "a caller is sent away: {MOST} are served already");
            continue;
        }
        match Caller::welcome(peer, params, key.clone()) {
            Ok(caller) => shared.now().push(caller),
            Err(error) => tracing::warn!(output = %subject, %error, "a caller is sent away"),
        }
    }
    *shared.door() = door.standing();
}

impl Caller {
    /// Its feed is closed until the key frame that is asked for now.
    fn welcome(peer: Socket, params: &StreamParams, key: KeyRequest) -> Result<Caller> {
        let feed = Feed::new(params.frame_rate, Backlog::Skip, key);
        let gone = Arc::new(AtomicBool::new(false));
        let (own, left) = (feed.clone(), gone.clone());
        let worker = Worker::spawn("srt-caller", move || {
            serve_one(&peer, &own);
            left.store(true, Ordering::Relaxed);
        })?;
        Ok(Caller { feed, gone, _worker: worker })
    }
}

fn serve_one(peer: &Socket, feed: &Feed) {
    loop {
        match feed.next(STEP) {
            Ok(packets) => {
                let go_on = || !feed.is_closed() && peer.is_connected();
                if !matches!(srt::send(peer, &packets.data, go_on), Ok(true)) {
                    return;
                }
            }
            Err(Empty::Timeout) if peer.is_connected() => {}
            Err(_) => return,
        }
    }
}

impl Shared {
    fn now(&self) -> MutexGuard<'_, Vec<Caller>> {
        self.now.lock()
    }

    fn door(&self) -> MutexGuard<'_, (bool, Option<String>)> {
        self.door.lock()
    }

    fn forget_the_gone(&self) {
        self.now().retain(|caller| {
            let gone = caller.gone.load(Ordering::Relaxed);
            if gone {
                let feed = &caller.feed;
                for (counter, n) in self.past.iter().zip([feed.units(), feed.bytes(), feed.dropped()]) {
                    counter.add(n);
                }
            }
            !gone
        });
    }
}

impl Output for Callers {
    fn unit(&self, unit: &AccessUnit) {
        self.feed.push(unit);
    }

    fn status(&self, status: &mut OutputStatus) {
        let now = self.shared.now();
        let sum = |of: fn(&Feed) -> u64, past: &Counter| {
            past.get() + now.iter().map(|caller| of(&caller.feed)).sum::<u64>()
        };
        let past = &self.shared.past;
        status.units = sum(Feed::units, &past[0]);
        status.bytes = sum(Feed::bytes, &past[1]);
        status.dropped = sum(Feed::dropped, &past[2]);
        status.viewers = Some(u32::try_from(now.len()).unwrap_or(u32::MAX));
        let (closed, error) = self.shared.door().clone();
        status.error = error;
        status.state = match (now.is_empty(), closed) {
            (false, _) => OutputState::Running,
            (true, false) => OutputState::Waiting,
            (true, true) => OutputState::Retrying,
        };
        status.address = self.address.clone();
    }

    fn end(&self) {
        self.feed.close();
    }

    fn join(&self, _deadline: Instant) -> bool {
        // Bounded: a thread waits for room at most as long as a socket may.
        let taken = self.worker.lock().take();
        taken.is_none_or(Worker::join)
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.feed.close();
        self.join(Instant::now());
    }
}
