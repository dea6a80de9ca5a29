//! Connects to a camera or a file and hands its access units on. A source only runs; keeping it
//! alive is the work of [`crate::ingest`].

pub mod classify;
pub mod demux;
pub(crate) mod demux_ffi;
mod entry;
mod fields;
mod file;
pub mod grant;
mod gst_caps;
mod gst_pipe;
mod gst_tail;
mod gst_uri;
mod pacing;
mod packing;
pub mod probe;
mod rtsp;
mod rtsp_gst;
pub mod secrets;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod uri;
mod whole;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::base::{Error, ErrorKind, Result, SharedClock, Shutdown};
use crate::media::{AccessUnit, CameraId, SoundPacket, SoundParameters, VideoParameters};

pub use demux::{FileDemuxer, FileUnit};
pub(crate) use fields::Pictures;
pub use grant::{Authority, Grant, Policy, Refusal, Withdrawal};
pub use gst_pipe::settle;
pub(crate) use packing::{Packing, hvcc_units, take_nal};
pub use secrets::Secrets;
pub use uri::{AddressFault, CameraUri, Login, UriKind};

/// Takes what a source gives. Every call returns at once (invariant 1).
pub trait UnitSink: Send + Sync {
    /// What the stream says of itself: before the first unit, and again whenever it changes.
    fn parameters(&self, parameters: &VideoParameters);
    /// The next access unit, in decoding order.
    fn unit(&self, unit: AccessUnit);
    /// The connection ended: what comes next starts anew, with a random-access unit.
    fn discontinuity(&self);
    /// The camera answered, with what was learned while connecting: for probes and reports, and for whoever waits for
    /// its first unit. Told before that, and again where more is known.
    fn described(&self, _description: &StreamDescription) {}
    /// What its sound says of itself, before the first packet of it: only where
    /// [`SourceConfig::sound`] asks for it.
    fn sound_parameters(&self, _parameters: &SoundParameters) {}
    /// The next packet of sound.
    fn sound(&self, _packet: SoundPacket) {}
}

/// What a source says of itself beside its video parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct StreamDescription {
    /// Who speaks the protocol here: `retina`, `gstreamer`; `libavformat` reads files.
    pub client: &'static str,
    /// Why it is this client, where another is asked first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_because: Option<String>,
    /// How it comes: `RTP over TCP`, `RTP over UDP`, `file`, `SRT`, …
    pub carried_by: String,
    /// What the server calls itself, where it says so.
    pub server: Option<String>,
    /// All streams that are offered, the chosen one first: `video h264`, `audio mpeg4-generic`.
    pub streams: Vec<String>,
    /// The codec's profile and level: `avc1.640028`, `main`, …
    pub profile: Option<String>,
    /// Parameter sets came with the description (SDP, container), before any picture.
    pub parameter_sets_outside: bool,
}

/// How RTP is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Interleaved in the RTSP connection: nothing is lost on the way.
    #[default]
    Tcp,
    /// Datagrams: a lost packet costs a picture, a late one nothing.
    Udp,
}

/// Which client speaks RTSP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RtspClient {
    /// retina; GStreamer for `rtsps://`, and where retina does not understand what a camera sends.
    #[default]
    Auto,
    /// GStreamer's rtspsrc, for cameras that retina does not understand.
    Gstreamer,
}

/// How long to wait before a silent connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the first SYN to the first packet of video.
    pub connect: Duration,
    /// Without any access unit, while connected.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { connect: Duration::from_secs(10), silence: Duration::from_secs(5) }
    }
}

/// What to open, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// Where it is.
    pub uri: CameraUri,
    /// How RTP is carried (`rtsp://`, `rtsps://`).
    pub transport: Transport,
    /// Which client speaks RTSP.
    pub client: RtspClient,
    /// How long to wait; kept by [`crate::ingest`].
    pub patience: Patience,
    /// A file starts again when it ends.
    pub loop_file: bool,
    /// Takes the place of the login in the address.
    pub login: Option<Login>,
    /// `rtsps://` and `https://`: take a certificate that no authority signed, as most cameras have.
    pub any_certificate: bool,
    /// Its sound is wanted too, for a recording; walls are silent.
    pub sound: bool,
    /// Sources of one site share the site's rate of new connections; the host where none is named.
    pub site: Option<String>,
}

impl SourceConfig {
    /// The defaults: TCP, retina, files looped, the login of the address.
    pub fn new(uri: CameraUri) -> SourceConfig {
        SourceConfig {
            uri,
            transport: Transport::default(),
            client: RtspClient::default(),
            patience: Patience::default(),
            loop_file: true,
            login: None,
            any_certificate: false,
            sound: false,
            site: None,
        }
    }

    /// The login to use.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref().or(self.uri.login())
    }
}

/// One camera or file, ready to run.
///
/// Guards invariant 4: it runs with a [`Grant`] for its camera only, and ends when that is withdrawn.
#[derive(Debug)]
pub struct Source {
    config: SourceConfig,
    history: History,
}

/// What earlier runs learned: it tells a wrong password from a camera that is full.
#[derive(Debug, Default)]
struct History {
    /// How often the login was refused since it was last accepted.
    refusals: AtomicU32,
    /// The camera accepted this login at least once.
    accepted: AtomicBool,
    /// retina had pictures of it at least once.
    played: AtomicBool,
    /// How often retina ended a session for what the camera sent, since it had pictures for [`UNDERSTOOD`].
    misread: AtomicU32,
    /// Why GStreamer is asked from now on: what retina did not understand.
    not_for_retina: OnceLock<String>,
}

/// What one run needs besides its configuration.
pub(crate) struct Run<'a> {
    camera: &'a CameraId,
    sink: &'a Arc<dyn UnitSink>,
    clock: &'a SharedClock,
    history: &'a History,
    /// When retina handed its first picture on, in nanoseconds plus one; zero where it had none.
    pictures_since: AtomicU64,
}

impl Run<'_> {
    fn hand_on(&self, unit: AccessUnit) {
        let now = self.clock.now().0.saturating_add(1);
        let first = self.pictures_since.compare_exchange(0, now, Relaxed, Relaxed);
        let since = first.map_or_else(|since| since, |_| now);
        self.history.played_for(Duration::from_nanos(now.saturating_sub(since)));
        self.sink.unit(unit);
    }

    fn has_pictures(&self) -> bool {
        self.pictures_since.load(Relaxed) > 0
    }
}

impl Source {
    /// A source that is not connected yet.
    pub fn new(config: SourceConfig) -> Source {
        Source { config, history: History::default() }
    }

    /// What it opens, and how.
    pub fn config(&self) -> &SourceConfig {
        &self.config
    }

    /// Connects and hands on access units until the stream ends. `Ok` at the end of a file and on
    /// shutdown; else the error says why it ended: a live stream that ends is `Unreachable`. Dropping
    /// the future closes the connection too. Needs a tokio runtime with time and I/O.
    pub async fn run(
        &self,
        camera: &CameraId,
        grant: &Grant,
        sink: Arc<dyn UnitSink>,
        clock: &SharedClock,
        shutdown: &Shutdown,
    ) -> Result<()> {
        let refused = |why| Err(Error::new(ErrorKind::NotGranted, camera.to_string(), why));
        if grant.camera() != camera {
            return refused("the grant is for another camera");
        }
        if grant.withdrawn().is_cancelled() {
            return refused("the right to see it was withdrawn");
        }
        let told_to_stop = async {
            tokio::select! {
                biased;
                () = grant.withdrawn().cancelled() => refused("the right to see it was withdrawn"),
                () = shutdown.cancelled() => Ok(()),
            }
        };
        let sink: Arc<dyn UnitSink> = Arc::new(whole::WholePictures::new(sink));
        let run =
            Run { camera, sink: &sink, clock, history: &self.history, pictures_since: AtomicU64::new(0) };
        let result = self.connect(&run, told_to_stop).await;
        sink.discontinuity();
        result
    }

    /// The one road to a camera, for walls, probes and recordings alike: retina, and where it does not
    /// understand the camera, GStreamer in the same breath.
    async fn connect(&self, run: &Run<'_>, told_to_stop: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::pin!(told_to_stop);
        let kind = self.config.uri.kind();
        let use_retina = kind == UriKind::Rtsp
            && self.config.client == RtspClient::Auto
            && self.history.not_for_retina.get().is_none();
        if use_retina {
            let ended = rtsp::run(&self.config, &self.history, run, told_to_stop.as_mut()).await;
            let Err(Ended::Misread { error, played }) = ended else {
                return ended.map_err(Ended::into_error);
            };
            if !self.history.leave_retina(&error, played) || played {
                // What was shown so far ends with this run.
                return Err(error);
            }
            tracing::info!(camera = %run.camera, "{error}; GStreamer is asked");
        }
        let play = async {
            match kind {
                UriKind::Rtsp | UriKind::Rtsps => rtsp_gst::run(&self.config, &self.history, run).await,
                UriKind::File => file::run(&self.config, run).await,
                _ => gst_uri::run(&self.config, run).await,
            }
        };
        tokio::select! {
            biased;
            stopped = told_to_stop => stopped,
            ended = play => ended,
        }
    }
}

/// How a session of retina's ended.
enum Ended {
    /// As another client would have ended too.
    Over(Error),
    /// By what retina does not understand and another client may; `played`: after pictures came.
    Misread { error: Error, played: bool },
}

impl Ended {
    fn into_error(self) -> Error {
        match self {
            Ended::Over(error) | Ended::Misread { error, .. } => error,
        }
    }
}

/// How often retina may end a session of a camera of which it had pictures: once may be a fault of the moment, as
/// of a camera that starts and answers before it knows its streams.
const MISREADINGS: u32 = 2;

/// Pictures that came for so long show that retina understands the camera: what it misread before is forgotten.
const UNDERSTOOD: Duration = Duration::from_secs(60);

/// A 401 after the same login was accepted before: how many in a row are taken for a camera that
/// has no session left, before the password is taken to have been changed.
const REFUSALS_UNTIL_PASSWORD_IS_WRONG: u32 = 3;

impl History {
    /// Notes that retina ended a session for what the camera sent; true where GStreamer is asked from now on.
    fn leave_retina(&self, error: &Error, played: bool) -> bool {
        let once = played || self.played.load(Relaxed);
        if once && self.misread.fetch_add(1, Relaxed) + 1 < MISREADINGS {
            return false;
        }
        let cause = std::error::Error::source(error).map(|cause| format!(" ({cause})")).unwrap_or_default();
        let _ = self.not_for_retina.set(format!("retina: {}{cause}", error.message()));
        true
    }

    /// Notes that retina had pictures for so long, in one session.
    fn played_for(&self, length: Duration) {
        self.played.store(true, Relaxed);
        if length >= UNDERSTOOD {
            self.misread.store(0, Relaxed);
        }
    }

    fn login_accepted(&self) {
        self.accepted.store(true, Relaxed);
        self.refusals.store(0, Relaxed);
    }

    /// What a refused login means: several cameras answer 401 when they have no session left.
    fn login_refused(&self, has_login: bool) -> (ErrorKind, &'static str) {
        let refusals = self.refusals.fetch_add(1, Relaxed).saturating_add(1);
        if !has_login {
            (ErrorKind::Credentials, "asks for a user name and a password; give them in the secrets file")
        } else if self.accepted.load(Relaxed) && refusals <= REFUSALS_UNTIL_PASSWORD_IS_WRONG {
            (ErrorKind::SessionLimit, "refuses a login that it accepted before; it may have no session left")
        } else {
            (ErrorKind::Credentials, "refuses the user name or password; correct them in the secrets file")
        }
    }
}

/// What an RTSP status code means for the person who can act.
fn explain_status(status: u16, has_login: bool, history: &History) -> (ErrorKind, &'static str) {
    match status {
        401 => history.login_refused(has_login),
        403 => (ErrorKind::Credentials, "forbids this stream to this user; check the user's rights"),
        404 => (ErrorKind::Unreachable, "has no stream at this path; check the path"),
        453 | 486 | 503 => (ErrorKind::SessionLimit, "has no session left; close another viewer"),
        415 | 551 => (ErrorKind::Unsupported, "does not offer this stream in a way that is understood here"),
        461 => {
            (ErrorKind::Unsupported, "does not send over this transport; choose the other one (tcp or udp)")
        }
        _ => (ErrorKind::Unreachable, "answered with an error"),
    }
}
