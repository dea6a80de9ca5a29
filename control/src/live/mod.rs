//! Live pictures for browsers: the wall's own encode over WebRTC (WHEP), and JPEG where that does
//! not go. What is seen here is what is on the wall: nothing is decoded or composed anew.

mod answers;
mod feed;
mod looks;
mod pictures;
mod profile;
mod screens;
mod sdp;
mod sender;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod thumbnails;
mod work_queue;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use vitrail_engine::media::Codec;

use crate::base::{Kind, Problem, Result, blocking};
use crate::people::Caller;
use crate::rights::Refusal;

pub use answers::Conditions;
pub use feed::Feeding;
pub use looks::{LookBasis, LookTarget, Looks, OpenLook};
pub use pictures::{Jpeg, Pictures};
pub use screens::Screens;
pub use sender::{LiveReport, ViewerReport};
pub use thumbnails::Thumbnails;

use feed::Inlet;
use sdp::Credentials;
use sender::Sender;
use session::Session;

/// How long the first key frame of a screen may take: it is asked for, and comes with the next
/// picture. Its parameter sets say what the answer to an offer must say.
const FIRST_KEY: Duration = Duration::from_secs(3);

/// How browsers are served.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// Where media packets come and go: one UDP socket for all viewers. The address of the HTTP
    /// server, with the same port or another; port 0 takes any.
    pub listen: SocketAddr,
    /// More addresses of this machine to tell browsers, where it is behind a translation of
    /// addresses that forwards the port.
    pub advertise: Vec<IpAddr>,
    /// At most so many viewers at once over WebRTC, and as many over `multipart/x-mixed-replace`.
    pub viewers: usize,
}

impl LiveConfig {
    /// 32 viewers on this address.
    pub fn new(listen: SocketAddr) -> LiveConfig {
        LiveConfig { listen, advertise: Vec::new(), viewers: 32 }
    }
}

/// What live pictures need of the other rooms.
#[derive(Clone)]
pub struct Hooks {
    /// Where the pictures come from.
    pub screens: Arc<dyn Screens>,
    /// Whether the policy lets this caller see this camera now. May wait for the disk.
    pub may_see: MaySee,
}

/// Asks the policy whether a caller may see a camera's picture.
pub type MaySee = Arc<dyn Fn(&Caller, &str) -> Result<(), Refusal> + Send + Sync>;

/// Who watches.
#[derive(Clone, Debug)]
pub struct Watcher {
    /// Account id: only the one who began a session ends it.
    pub account: String,
    /// Cancelled when the login ends; no picture leaves after that.
    pub ended: CancellationToken,
    /// From where, where known: it decides which address of this machine is told.
    pub peer: Option<IpAddr>,
    /// Its record, which ends after it.
    pub look: Option<Arc<OpenLook>>,
}

/// A session that began.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its id, hard to guess.
    pub session: String,
    /// The answer, SDP.
    pub answer: String,
}

/// All live pictures of a wall. Dropping it ends every session.
pub struct Live {
    hooks: Hooks,
    advertise: Vec<IpAddr>,
    local: SocketAddr,
    credentials: Credentials,
    seats: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    sender: Sender,
    pictures: Arc<Pictures>,
    thumbnails: Arc<Thumbnails>,
    stopping: CancellationToken,
}

impl Live {
    /// Binds the socket and starts the sender's thread.
    ///
    /// # Errors
    /// Where the address is taken or not of this machine.
    pub fn start(config: LiveConfig, hooks: Hooks) -> Result<Arc<Live>> {
        let unusable = |e: std::io::Error| {
            let what = format!("live pictures: udp://{}", config.listen);
            Problem::new(Kind::Unavailable, what, format!("cannot be listened on: {e}"))
        };
        let socket = UdpSocket::bind(config.listen).map_err(unusable)?;
        let local = socket.local_addr().map_err(unusable)?;
        let stopping = CancellationToken::new();
        let sender = Sender::start(socket, stopping.clone())?;
        Ok(Arc::new(Live {
            pictures: Arc::new(Pictures::new(hooks.screens.clone())),
            thumbnails: Arc::new(Thumbnails::new(hooks.screens.clone())),
            hooks,
            advertise: config.advertise,
            local,
            credentials: Credentials::generate()?,
            seats: Arc::new(Semaphore::new(config.viewers)),
            streams: Arc::new(Semaphore::new(config.viewers)),
            sender,
            stopping,
        }))
    }

    /// Where media packets come and go.
    pub fn address(&self) -> SocketAddr {
        self.local
    }

    /// Who watches, for a caller whose login was checked.
    pub fn watcher(&self, caller: &Caller, peer: Option<IpAddr>, look: Arc<OpenLook>) -> Watcher {
        Watcher { account: caller.account.clone(), ended: caller.ended.clone(), peer, look: Some(look) }
    }

    /// Begins a session: the answer to a browser's offer to watch a screen.
    ///
    /// # Errors
    /// Not found: there is no such screen. Conflict: it is compressed as H.265, which browsers do
    /// not take. Malformed and invalid: offers that are no SDP, or lack what is needed. Unavailable:
    /// too many viewers, or the screen shows nothing yet.
    pub async fn open(&self, watcher: &Watcher, screen: &str, offer: String) -> Result<Opened> {
        if watcher.ended.is_cancelled() {
            return Err(Problem::new(Kind::NotLoggedIn, "login", "has ended; log in again"));
        }
        let seat = self.seats.clone().try_acquire_owned().map_err(|_| too_many())?;
        let inlet = Inlet::new(self.sender.wake());
        let tap = {
            let (screens, of, sink) = (self.hooks.screens.clone(), screen.to_owned(), inlet.clone());
            blocking(move || screens.tap(&of, sink).ok_or_else(|| no_screen(&of))).await?
        };
        if tap.params.codec != Codec::H264 {
            return Err(other_codec(screen, tap.params.codec));
        }
        inlet.begin(&tap.params);
        let stream = tokio::time::timeout(FIRST_KEY, inlet.profile())
            .await
            .map_err(|_| no_picture(screen))?
            .ok_or_else(|| Problem::internal(format!("screen {screen}"), "gives no parameter sets"))?;
        let (credentials, addresses) = (self.credentials.clone(), self.addresses(watcher.peer));
        let negotiate = move || sdp::negotiate(&offer, stream, &addresses, &credentials);
        // A parser of foreign text may fail in ways of its own; then this offer fails alone.
        let negotiated = tokio::task::spawn_blocking(negotiate)
            .await
            .unwrap_or_else(|_| Err(sdp::unreadable("it cannot be made sense of")))?;
        let answer = negotiated.answer.clone();
        let session = Session::new(negotiated, inlet, tap, watcher, screen, seat);
        let id = session.id().to_owned();
        self.sender.add(session)?;
        Ok(Opened { session: id, answer })
    }

    /// Ends a session of this account.
    ///
    /// # Errors
    /// Not found, also where it is somebody else's.
    pub fn close(&self, account: &str, screen: &str, session: &str) -> Result<()> {
        let ended = self
            .sender
            .end(|known| known.id == session && known.screen == screen && known.account == account);
        if ended { Ok(()) } else { Err(Problem::not_found(format!("session {session}"))) }
    }

    /// Pictures of screens as JPEG.
    pub fn pictures(&self) -> &Arc<Pictures> {
        &self.pictures
    }

    /// Forgets the thumbnails of a camera; call it when the right to see it ends or its masks change.
    pub fn forget(&self, camera: &str) {
        self.thumbnails.forget(camera);
    }

    /// Viewers of a screen over WebRTC.
    pub fn viewers(&self, screen: &str) -> usize {
        self.sender.count(screen)
    }

    /// What is counted of all viewers.
    pub fn report(&self) -> LiveReport {
        self.sender.report()
    }

    /// Ends every session and stream; returns at once, and the sender's thread ends within a second.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// The addresses of this machine that a browser at `peer` can send to.
    fn addresses(&self, peer: Option<IpAddr>) -> Vec<SocketAddr> {
        let own =
            if self.local.ip().is_unspecified() { peer.and_then(own_address) } else { Some(self.local.ip()) };
        let port = self.local.port();
        own.into_iter().chain(self.advertise.iter().copied()).map(|ip| SocketAddr::new(ip, port)).collect()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The address of this machine that packets to `peer` leave from, by the routing table; nothing is sent.
fn own_address(peer: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if peer.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // Any port but 0 does: connecting a UDP socket only looks up the route.
    socket.connect((peer, 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

fn too_many() -> Problem {
    Problem::new(Kind::Unavailable, "viewers", "as many watch as may; close a window that shows the wall")
        .code("viewers")
        .retry_after(10)
}

fn no_screen(screen: &str) -> Problem {
    Problem::not_found(format!("screen {screen}"))
}

fn no_picture(screen: &str) -> Problem {
    Problem::new(Kind::Unavailable, format!("screen {screen}"), "gives no picture now; try again in a moment")
        .code("no-picture")
        .retry_after(2)
}

fn other_codec(screen: &str, codec: Codec) -> Problem {
    let path = |name: &str| format!("/api/v1/wall/screens/{screen}/{name}");
    let what = format!(
        "is compressed as {codec}, which browsers do not take over WebRTC: show stream.mjpeg or picture.jpg \
         instead, or set the wall's codec to h264"
    );
    Problem::conflict(format!("screen {screen}"), what)
        .code("codec")
        .more(serde_json::json!({ "fallback": [path("stream.mjpeg"), path("picture.jpg")] }))
}
