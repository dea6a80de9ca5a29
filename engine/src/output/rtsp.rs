//! Serves screens over RTSP: one server a listen address, shared by all screens on it; each viewer
//! has a media and a feed of its own, so that a slow one costs the others nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::glib::translate::IntoGlib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_rtsp as gst_rtsp;
use gstreamer_rtsp_server as gst_rtsp_server;
use gstreamer_rtsp_server::prelude::*;
use parking_lot::{Mutex, MutexGuard};

use super::Login;
use super::feed::{Backlog, Feed, KeyRequest};
use super::hub::{Output, OutputState, OutputStatus, StreamParams};
use super::piped::{buffer, caps, short};
use crate::base::thread::Worker;
use crate::base::{Counter, Error, ErrorKind, Result};
use crate::media::{AccessUnit, Ratio};

/// Access units that may wait in a viewer's pipeline; the rest of its second waits in its feed.
const INSIDE: u64 = 2;
/// Viewers of one address at a time: each costs threads, and a wall has few.
const SESSIONS: u32 = 256;
const MTU: u32 = 1400;

/// Serves a screen at `path` of `listen`.
pub(crate) fn open(
    listen: SocketAddr,
    path: &str,
    login: Option<&Login>,
    params: &StreamParams,
    key: KeyRequest,
) -> Result<Mount> {
    let server = Server::on(listen, login.is_some())?;
    server.mount(path, login, params, key)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

// ---- the server of one address ----

/// One RTSP server with its own main loop. Ends when the last screen on it ends.
struct Server {
    server: gst_rtsp_server::RTSPServer,
    mounts: gst_rtsp_server::RTSPMountPoints,
    auth: Option<gst_rtsp_server::RTSPAuth>,
    bound: SocketAddr,
    taken: Mutex<HashMap<String, Option<Login>>>,
    main_loop: glib::MainLoop,
    worker: Option<Worker>,
}

/// The servers of this process, by the address they were asked to listen on.
static SERVERS: Mutex<Option<HashMap<SocketAddr, Weak<Server>>>> = Mutex::new(None);

impl Server {
    /// The server on this address: the one that runs, or a new one. Port 0 takes a free port.
    fn on(listen: SocketAddr, with_login: bool) -> Result<Arc<Server>> {
        let mut servers = lock(&SERVERS);
        let servers = servers.get_or_insert_default();
        servers.retain(|_, server| server.strong_count() > 0);
        if let Some(server) = servers.get(&listen).and_then(Weak::upgrade) {
            if server.auth.is_some() != with_login {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("rtsp://{listen}"),
                    "some screens on this address have a login and some have none; give all one, or use two ports",
                ));
            }
            return Ok(server);
        }
        let server = Arc::new(Server::start(listen, with_login)?);
        servers.insert(server.bound, Arc::downgrade(&server));
        Ok(server)
    }

    fn start(listen: SocketAddr, with_login: bool) -> Result<Server> {
        let subject = format!("rtsp://{listen}");
        gst::init()
            .map_err(|e| Error::new(ErrorKind::Missing, "GStreamer", "does not start").caused_by(e))?;
        // gst-rtsp-server says only that it failed; the operating system says why.
        let probe = std::net::TcpListener::bind(listen).map_err(|e| {
            let remedy = match e.kind() {
                std::io::ErrorKind::AddrInUse => "the port is taken by another program; choose another",
                std::io::ErrorKind::PermissionDenied => "the port needs more rights; choose one from 1024 up",
                std::io::ErrorKind::AddrNotAvailable => {
                    "this machine does not have the address; 0.0.0.0 takes all"
                }
                _ => "cannot be listened on",
            };
            Error::new(ErrorKind::Io, subject.clone(), remedy).caused_by(e)
        })?;
        drop(probe);

        let server = gst_rtsp_server::RTSPServer::new();
        server.set_address(&listen.ip().to_string());
        server.set_service(&listen.port().to_string());
        if let Some(pool) = server.session_pool() {
            pool.set_max_sessions(SESSIONS);
        }
        // A thread a viewer: one viewer's slow set-up or socket does not hold up another's.
        if let Some(pool) = server.thread_pool() {
            pool.set_max_threads(-1);
        }
        let auth = with_login.then(|| {
            let auth = gst_rtsp_server::RTSPAuth::new();
            auth.set_supported_methods(gst_rtsp::RTSPAuthMethod::Digest);
            auth.set_realm(Some("vitrail"));
            auth
        });
        server.set_auth(auth.as_ref());
        let mounts = server.mount_points().ok_or_else(|| {
            Error::new(ErrorKind::Internal, subject.clone(), "a server without mount points")
        })?;

        let context = glib::MainContext::new();
        if let Some(pool) = server.session_pool() {
            // Sessions of viewers that went without a word expire only when somebody looks.
            let sweep = move || {
                pool.cleanup();
                glib::ControlFlow::Continue
            };
            glib::timeout_source_new_seconds(5, None, glib::Priority::DEFAULT, sweep).attach(Some(&context));
        }
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let source = server
            .attach(Some(&context))
            .map_err(|e| Error::new(ErrorKind::Io, subject.clone(), "cannot be listened on").caused_by(e))?;
        let bound = SocketAddr::new(listen.ip(), u16::try_from(server.bound_port()).unwrap_or(0));
        let (running, in_thread) = (main_loop.clone(), context.clone());
        let worker = Worker::spawn("rtsp", move || {
            let ran = in_thread.with_thread_default(|| running.run());
            if let Some(source) = in_thread.find_source_by_id(&source) {
                source.destroy();
            }
            if ran.is_err() {
                tracing::error!("the RTSP server has no main loop");
            }
        })?;
        let taken = Mutex::default();
        Ok(Server { server, mounts, auth, bound, taken, main_loop, worker: Some(worker) })
    }

    fn mount(
        self: &Arc<Server>,
        path: &str,
        login: Option<&Login>,
        params: &StreamParams,
        key: KeyRequest,
    ) -> Result<Mount> {
        let subject = format!("rtsp://{}{path}", self.bound);
        let mut taken = lock(&self.taken);
        if taken.contains_key(path) {
            return Err(Error::new(
                ErrorKind::Config,
                subject,
                "another screen has this path; choose another",
            ));
        }
        let same_user =
            |other: &Login| login.is_some_and(|l| l.user == other.user && l.password != other.password);
        if taken.values().flatten().any(same_user) {
            let message =
                "the same user has another password on this address; a server knows one password a user";
            return Err(Error::new(ErrorKind::Config, subject, message));
        }
        let viewers = Arc::new(Viewers::new(params.frame_rate, key));
        self.mounts.add_factory(path, self.factory(login, params, &viewers));
        taken.insert(path.to_owned(), login.cloned());
        Ok(Mount { server: self.clone(), path: path.to_owned(), viewers })
    }

    fn factory(
        &self,
        login: Option<&Login>,
        params: &StreamParams,
        viewers: &Arc<Viewers>,
    ) -> gst_rtsp_server::RTSPMediaFactory {
        let codec = short(params.codec);
        let factory = gst_rtsp_server::RTSPMediaFactory::new();
        factory.set_launch(&format!(
            "( appsrc name=src is-live=true format=time max-bytes=0 \
               ! rtp{codec}pay name=pay0 pt=96 mtu={MTU} config-interval=0 )"
        ));
        factory.set_shared(false);
        factory.set_latency(0);
        factory.set_protocols(gst_rtsp::RTSPLowerTrans::UDP | gst_rtsp::RTSPLowerTrans::TCP);
        if let (Some(auth), Some(login)) = (&self.auth, login) {
            let token = gst_rtsp_server::RTSPToken::builder()
                .field("media.factory.role", login.user.as_str())
                .build();
            auth.add_digest(&login.user, &login.password, &token);
            let role = gst::Structure::builder(login.user.as_str())
                .field("media.factory.access", true)
                .field("media.factory.construct", true)
                .build();
            factory.add_role_from_structure(&role);
        }
        let (viewers, caps) = (Arc::downgrade(viewers), caps(params));
        factory.connect_media_configure(move |_, media| {
            if let Some(viewers) = viewers.upgrade() {
                viewers.welcome(media, &caps);
            }
        });
        factory
    }

    /// Takes a path off and says goodbye to its viewers.
    fn unmount(&self, path: &str, viewers: &Viewers) {
        self.mounts.remove_factory(path);
        let mut taken = lock(&self.taken);
        if let (Some(Some(login)), Some(auth)) = (taken.remove(path), &self.auth)
            && !taken.values().flatten().any(|other| other.user == login.user)
        {
            auth.remove_digest(&login.user);
        }
        drop(taken);
        for viewer in viewers.all() {
            viewer.feed.close();
            let _ = viewer.source.end_of_stream();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.server.client_filter(Some(&mut |_, _| gst_rtsp_server::RTSPFilterResult::Remove));
        self.main_loop.quit();
        self.worker.take();
    }
}

// ---- the viewers of one screen ----

/// All viewers of one screen.
struct Viewers {
    rate: Ratio,
    key: KeyRequest,
    now: Mutex<Vec<Arc<Viewer>>>,
    /// What the viewers who left were given: units, bytes, dropped.
    past: [Counter; 3],
}

/// One viewer: its feed, and the source of its own pipeline.
struct Viewer {
    feed: Arc<Feed>,
    source: gst_app::AppSrc,
    pump: Mutex<ClockOffset>,
}

/// Maps the screen's timeline to the pipeline's: an offset, taken anew at each start.
#[derive(Default)]
struct ClockOffset {
    offset: Option<i64>,
}

impl Viewers {
    fn new(rate: Ratio, key: KeyRequest) -> Viewers {
        Viewers { rate, key, now: Mutex::default(), past: Default::default() }
    }

    fn all(&self) -> Vec<Arc<Viewer>> {
        lock(&self.now).clone()
    }

    /// Gives a new viewer its feed: empty, closed until the key frame that is asked for now.
    fn welcome(self: &Arc<Viewers>, media: &gst_rtsp_server::RTSPMedia, caps: &gst::Caps) {
        let source = media
            .element()
            .downcast::<gst::Bin>()
            .ok()
            .and_then(|bin| bin.by_name_recurse_up("src"))
            .and_then(|e| e.downcast::<gst_app::AppSrc>().ok());
        let Some(source) = source else { return };
        source.set_caps(Some(caps));
        let feed = Feed::new(self.rate, Backlog::Skip, self.key.clone());
        let viewer = Arc::new(Viewer { feed, source: source.clone(), pump: Mutex::default() });
        let hungry = Arc::downgrade(&viewer);
        source.set_callbacks(
            gst_app::AppSrcCallbacks::builder()
                .need_data(move |_, _| {
                    if let Some(viewer) = hungry.upgrade() {
                        viewer.pump();
                    }
                })
                .build(),
        );
        // Between set-up and PLAY nothing flows: what waited then is old by then.
        let starting = Arc::downgrade(&viewer);
        media.connect_new_state(move |_, state| {
            if state == gst::State::Playing.into_glib()
                && let Some(viewer) = starting.upgrade()
            {
                viewer.restart();
            }
        });
        let (viewers, leaving) = (Arc::downgrade(self), Arc::downgrade(&viewer));
        media.connect_unprepared(move |_| {
            if let (Some(viewers), Some(viewer)) = (viewers.upgrade(), leaving.upgrade()) {
                viewers.leave(&viewer);
            }
        });
        lock(&self.now).push(viewer.clone());
        viewer.feed.restart();
    }

    fn leave(&self, viewer: &Arc<Viewer>) {
        viewer.feed.close();
        let mut now = lock(&self.now);
        let before = now.len();
        now.retain(|v| !Arc::ptr_eq(v, viewer));
        if now.len() < before {
            let feed = &viewer.feed;
            for (counter, n) in self.past.iter().zip([feed.units(), feed.bytes(), feed.dropped()]) {
                counter.add(n);
            }
        }
    }
}

impl Viewer {
    fn restart(&self) {
        let mut timeline = lock(&self.pump);
        timeline.offset = None;
        self.feed.restart();
    }

    /// Moves what waits into the pipeline, as far as there is room. Never waits: called by the
    /// encoder's thread for every unit, and by the pipeline whenever it is hungry.
    ///
    /// Nothing before the pipeline plays: it has its clock a moment before the time at which that began, and a
    /// picture of that moment would be due when the machine has been up for as long again, and hold up all behind it.
    fn pump(&self) {
        if self.source.current_state() != gst::State::Playing {
            return;
        }
        let mut timeline = lock(&self.pump);
        while self.source.current_level_buffers() < INSIDE {
            let Ok(unit) = self.feed.next(Duration::ZERO) else { return };
            let now = || self.source.current_running_time().unwrap_or_default().nseconds();
            let offset = *timeline
                .offset
                .get_or_insert_with(|| i64::try_from(now()).unwrap_or(i64::MAX).saturating_sub(unit.pts.0));
            let time = u64::try_from(unit.pts.0.saturating_add(offset)).unwrap_or(0);
            if self.source.push_buffer(buffer(&unit, gst::ClockTime::from_nseconds(time))).is_err() {
                return;
            }
        }
    }
}

/// A screen that is served.
pub(crate) struct Mount {
    server: Arc<Server>,
    path: String,
    viewers: Arc<Viewers>,
}

impl Output for Mount {
    fn unit(&self, unit: &AccessUnit) {
        for viewer in lock(&self.viewers.now).iter() {
            viewer.feed.push(unit);
            viewer.pump();
        }
    }

    fn status(&self, status: &mut OutputStatus) {
        let viewers = self.viewers.all();
        let past = &self.viewers.past;
        let sum = |of: fn(&Feed) -> u64, past: &Counter| {
            past.get() + viewers.iter().map(|v| of(&v.feed)).sum::<u64>()
        };
        status.units = sum(Feed::units, &past[0]);
        status.bytes = sum(Feed::bytes, &past[1]);
        status.dropped = sum(Feed::dropped, &past[2]);
        status.viewers = Some(u32::try_from(viewers.len()).unwrap_or(u32::MAX));
        status.state = if viewers.is_empty() { OutputState::Waiting } else { OutputState::Running };
        status.address = format!("rtsp://{}{}", self.server.bound, self.path);
    }

    fn end(&self) {
        self.server.unmount(&self.path, &self.viewers);
    }

    fn join(&self, _deadline: Instant) -> bool {
        true
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::base::Moment;
    use crate::media::Pts;

    /// The instant is too short to be met at will: it is made here by a clock that is set by hand.
    #[test]
    fn nothing_is_given_to_a_pipeline_that_has_a_clock_and_does_not_play_yet() {
        gst::init().unwrap();
        let described = gst::parse::launch("appsrc name=src is-live=true format=time ! fakesink").unwrap();
        let pipeline = described.downcast::<gst::Pipeline>().unwrap();
        let source = pipeline.by_name("src").and_then(|e| e.downcast::<gst_app::AppSrc>().ok()).unwrap();
        let feed = Feed::new(Ratio { num: 25, den: 1 }, Backlog::Skip, Arc::new(|| {}));
        let viewer = Viewer { feed, source: source.clone(), pump: Mutex::default() };
        viewer.feed.restart();
        pipeline.set_state(gst::State::Paused).unwrap();
        source.set_clock(Some(&gst::SystemClock::obtain())).unwrap();
        viewer.feed.push(&AccessUnit {
            pts: Pts(0),
            arrival: Moment::default(),
            captured: None,
            random_access: true,
            disposable: false,
            loss: false,
            data: vec![0; 10].into(),
        });
        viewer.pump();
        let offset = lock(&viewer.pump).offset;
        pipeline.set_state(gst::State::Null).unwrap();
        assert_eq!(offset, None, "a picture was placed by a clock whose beginning is not known");
    }
}
