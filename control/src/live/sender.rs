//! The one thread that serves all viewers: one UDP socket, datagrams told apart by their sender, and
//! nothing that waits for a viewer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use vitrail_engine::base::cpu;
use vitrail_engine::base::thread::Worker;

use super::session::{Session, SessionHandle};
use crate::base::{Kind, Problem, Result};

/// New sessions that may wait for the thread.
const JOINING: usize = 16;
/// Datagrams taken in before viewers are served again.
const TURN: usize = 256;
/// Larger than any datagram of a browser (RFC 8831: 1,200 bytes, Ethernet: 1,500).
const DATAGRAM: usize = 2048;
/// Where nothing happens at all.
const IDLE: Duration = Duration::from_secs(1);
/// How often what is counted is put where others read it.
const COUNT: Duration = Duration::from_millis(250);

/// One viewer over WebRTC, in numbers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ViewerReport {
    /// Which screen.
    pub screen: String,
    /// Whose login.
    pub account: String,
    /// Pictures come.
    pub connected: bool,
    /// Access units sent.
    pub units: u64,
    /// Access units dropped because the viewer was behind.
    pub dropped: u64,
    /// Packets handed to the kernel.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that wait.
    pub waiting: usize,
}

/// All viewers over WebRTC, in numbers.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct LiveReport {
    /// Those who watch now.
    pub viewers: Vec<ViewerReport>,
    /// Sessions since the start.
    pub sessions: u64,
    /// Datagrams that were for nobody.
    pub strays: u64,
    /// Seconds of one core that the sender used.
    pub cpu_s: f64,
}

/// The thread's handle.
pub(super) struct Sender {
    joining: mpsc::Sender<Session>,
    wake: Arc<Notify>,
    shared: Arc<Shared>,
    stopping: CancellationToken,
    _thread: Worker,
}

#[derive(Default)]
struct Shared(Mutex<Counted>);

/// What others read of the sessions.
#[derive(Default)]
struct Counted {
    known: Vec<SessionHandle>,
    report: LiveReport,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock()
    }
}

impl Sender {
    /// Starts the thread on this socket.
    pub fn start(socket: std::net::UdpSocket, stopping: CancellationToken) -> Result<Sender> {
        let (joining, joined) = mpsc::channel(JOINING);
        let (wake, shared) = (Arc::new(Notify::new()), Arc::new(Shared::default()));
        let (woken, told, stop) = (wake.clone(), shared.clone(), stopping.clone());
        let init = move || {
            let failed = |e: std::io::Error| {
                let kind = vitrail_engine::ErrorKind::Io;
                vitrail_engine::Error::new(kind, "live pictures", "cannot start their thread").caused_by(e)
            };
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
            socket.set_nonblocking(true).map_err(failed)?;
            let socket = {
                let _inside = runtime.enter();
                UdpSocket::from_std(socket).map_err(failed)?
            };
            Ok((runtime, socket))
        };
        let thread = Worker::spawn_with_init("live pictures", init, move |(runtime, socket)| {
            let run = Run {
                socket,
                wake: woken,
                shared: told,
                stop,
                sessions: Vec::new(),
                by_source: HashMap::new(),
            };
            runtime.block_on(run.serve(joined));
        })?;
        Ok(Sender { joining, wake, shared, stopping, _thread: thread })
    }

    /// What wakes the thread.
    pub fn wake(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    /// Hands a session over.
    pub fn add(&self, session: Session) -> Result<()> {
        let known = session.known();
        let id = known.id.clone();
        self.shared.lock().known.push(known);
        self.joining.try_send(session).map_err(|_| {
            self.shared.lock().known.retain(|k| k.id != id);
            Problem::new(Kind::Unavailable, "viewers", "too many come at once; try again in a moment")
                .retry_after(1)
        })
    }

    /// Ends the first session that this is true for; false where there is none.
    pub fn end(&self, which: impl Fn(&SessionHandle) -> bool) -> bool {
        let seen = self.shared.lock();
        let found = seen.known.iter().find(|known| which(known));
        found.inspect(|known| known.end.cancel()).is_some()
    }

    /// Viewers of a screen.
    pub fn count(&self, screen: &str) -> usize {
        self.shared.lock().known.iter().filter(|known| known.screen == screen).count()
    }

    /// What is counted.
    pub fn report(&self) -> LiveReport {
        self.shared.lock().report.clone()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

/// The thread's own state.
struct Run {
    socket: UdpSocket,
    wake: Arc<Notify>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    sessions: Vec<Session>,
    /// Who sent from where last: most datagrams need no search.
    by_source: HashMap<SocketAddr, String>,
}

impl Run {
    async fn serve(mut self, mut joined: mpsc::Receiver<Session>) {
        let mut buffer = vec![0; DATAGRAM];
        let mut counted = Instant::now();
        let mut stopping = false;
        loop {
            let now = Instant::now();
            self.drive_all(now);
            if now.saturating_duration_since(counted) >= COUNT {
                counted = now;
                self.count();
            }
            if stopping && self.sessions.is_empty() {
                self.count();
                return;
            }
            let due = self.sessions.iter().map(Session::due).min().unwrap_or(now + IDLE);
            let until = due.min(now + COUNT.max(Duration::from_millis(1)));
            tokio::select! {
                Some(session) = joined.recv() => self.join(session, stopping),
                ready = self.socket.readable() => {
                    if ready.is_ok() {
                        self.receive(&mut buffer);
                    }
                }
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(until.into()) => {}
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.shared.lock().known.iter().for_each(|known| known.end.cancel());
                }
            }
        }
    }

    fn join(&mut self, session: Session, stopping: bool) {
        let (login, end) = session.ends();
        if stopping {
            end.cancel();
        }
        let wake = self.wake.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = login.cancelled() => {}
                () = end.cancelled() => {}
            }
            wake.notify_one();
        });
        self.shared.lock().report.sessions += 1;
        self.sessions.push(session);
    }

    /// Drives those who want it; a session that fails in ways of its own ends alone.
    fn drive_all(&mut self, now: Instant) {
        let socket = &self.socket;
        let mut over = Vec::new();
        self.sessions.retain_mut(|session| {
            let lives = !session.wants(now)
                || catch_unwind(AssertUnwindSafe(|| session.drive(now, socket))).is_ok()
                    && !session.is_over();
            if !lives {
                over.push(session.known());
            }
            lives
        });
        if !over.is_empty() {
            self.forget(&over);
        }
    }

    fn forget(&mut self, over: &[SessionHandle]) {
        over.iter().for_each(|known| known.end.cancel());
        let is_over = |id: &str| over.iter().any(|known| known.id == id);
        self.by_source.retain(|_, id| !is_over(id));
        self.shared.lock().known.retain(|known| !is_over(&known.id));
        self.count();
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        for _ in 0..TURN {
            match self.socket.try_recv_from(buffer) {
                Ok((length, source)) => {
                    if let Some(datagram) = buffer.get(..length) {
                        self.deliver(source, datagram);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // An answer to what was sent to a viewer that is gone; the next may be well.
                Err(error) => tracing::trace!(%error, "a datagram cannot be received"),
            }
        }
    }

    fn deliver(&mut self, source: SocketAddr, datagram: &[u8]) {
        let now = Instant::now();
        let take = |session: &mut Session| {
            catch_unwind(AssertUnwindSafe(|| session.receive(now, source, datagram))).unwrap_or(false)
        };
        let known = self.by_source.get(&source);
        let known = known.and_then(|id| self.sessions.iter_mut().find(|session| session.id() == id));
        if known.is_some_and(take) {
            return;
        }
        match self.sessions.iter_mut().find_map(|session| take(session).then(|| session.id().to_owned())) {
            Some(id) => {
                self.by_source.insert(source, id);
            }
            None => self.shared.lock().report.strays += 1,
        }
    }

    fn count(&self) {
        let viewers = self.sessions.iter().map(|session| {
            let (known, feeding, sent) = (session.known(), session.counted(), session.sent());
            ViewerReport {
                screen: known.screen,
                account: known.account,
                connected: session.is_connected(),
                units: feeding.units,
                dropped: feeding.dropped,
                packets: sent.packets,
                bytes: sent.bytes,
                waiting: session.waiting(),
            }
        });
        let viewers = viewers.collect();
        let mut seen = self.shared.lock();
        seen.report.viewers = viewers;
        seen.report.cpu_s = cpu::thread_time().as_secs_f64();
    }
}
