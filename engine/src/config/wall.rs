//! A checked wall: what `wall.rs` builds from. Every value is within its bounds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::inventory::{Inventory, Query};
use super::report::{ConfigErrors, Place, Problem};
use crate::base::Error;
use crate::composite::{Backend, Corner, Language, TextPlace, Yuv};
use crate::effort::EffortSettings;
use crate::encode::{EncoderChoice, EncoderConfig, Rate};
use crate::media::{CameraId, Codec, Flip, Orientation, QuarterTurn, Ratio, Region, ScreenId, WallId};
use crate::scene::Scene;
use crate::source::{Patience, RtspClient, Transport};

/// A wall, checked: ids are unique, cameras and screens that are named exist, sizes are possible.
#[derive(Clone, Debug)]
pub struct WallSpec {
    /// Its id.
    pub id: WallId,
    /// Pictures per second of every screen, 1 to 120.
    pub frame_rate: Ratio,
    /// What draws.
    pub backend: Backend,
    /// The cameras to be kept open, in the order of the inventory: those that a tile shows, and those
    /// that `standby` names.
    pub cameras: Vec<CameraSpec>,
    /// Every camera that the wall can be told to show: those of its own file, then its inventories.
    pub inventory: Arc<Inventory>,
    /// The query for cameras that are kept open although no tile shows them.
    pub standby: Option<Query>,
    /// Screens, regions and tiles.
    pub scene: Scene,
    /// How every screen is compressed.
    pub encoder: EncoderSpec,
    /// Where every screen goes, in the order of the scene's screens.
    pub outputs: Vec<ScreenOutputs>,
    /// What is drawn over and around the cameras.
    pub overlay: OverlaySpec,
    /// How much of each camera is decoded.
    pub effort: EffortSettings,
    /// When to lose patience.
    pub limits: LimitSpec,
    /// A file with the logins of cameras.
    pub secrets: Option<PathBuf>,
    /// The wall controller, where there is one.
    pub control: Option<ControlSpec>,
    /// Where this machine's costs are kept, read when the wall starts. No wall file names it: `None` until the
    /// program that runs the wall does, and then the governor goes by the reference machine.
    pub cost_model: Option<PathBuf>,
    /// A PNG of the first screen, written at the end.
    pub snapshot: Option<PathBuf>,
    /// What is wrong and did not refuse the wall: bad rows of inventories (those cameras are left
    /// out), queries that find nothing.
    pub warnings: Vec<Problem>,
    pub(super) file: Option<PathBuf>,
    pub(super) places: BTreeMap<String, (String, Place)>,
}

impl WallSpec {
    /// The files that make up the wall, for whoever watches them: wall file, inventories, logins.
    pub fn sources(&self) -> Vec<PathBuf> {
        self.file.iter().chain(self.inventory.files()).chain(&self.secrets).cloned().collect()
    }

    /// Gives an error of a later check (the scene solver, an output's parser) its file, line and
    /// key, by the error's subject: `tile ID`, `screen ID`, `region N …`, `camera ID`.
    pub fn located(&self, error: &Error) -> ConfigErrors {
        let found = self.places.get(error.subject()).or_else(|| {
            let mut words = error.subject().split(' ');
            let subject = format!("{} {}", words.next()?, words.next()?);
            self.places.get(&subject)
        });
        let (key, place) = match found {
            Some((key, place)) => (key.clone(), Some(place.clone())),
            None => (error.subject().to_owned(), None),
        };
        ConfigErrors::one(Problem { place, key, message: error.message().to_owned(), remedy: None })
    }

    /// Sends the wall elsewhere than its file says. Refused where there are several screens: an
    /// output belongs to one.
    pub fn replace_outputs(&mut self, outputs: &[String]) -> Result<(), ConfigErrors> {
        let [screen] = self.outputs.as_mut_slice() else {
            return Err(ConfigErrors::one(Problem {
                place: None,
                key: "--out".into(),
                message: format!("the wall has {} screens, and an output belongs to one", self.outputs.len()),
                remedy: Some("write outputs = [\"…\"] under each [[screen]] of the wall file".into()),
            }));
        };
        let text = |(i, text): (usize, &String)| OutputText {
            text: text.clone(),
            key: format!("--out {}", i + 1),
            place: None,
        };
        screen.outputs = outputs.iter().enumerate().map(text).collect();
        Ok(())
    }

    /// The settings of a screen's encoder.
    pub fn encoder_config(&self, width: u32, height: u32) -> EncoderConfig {
        let gop = (self.encoder.gop.as_secs_f64() * self.frame_rate.as_f64()).round();
        EncoderConfig {
            codec: self.encoder.codec,
            choice: self.encoder.choice,
            width,
            height,
            frame_rate: self.frame_rate,
            preset: self.encoder.preset.clone(),
            instead: None,
            rate: self.encoder.rate,
            gop: (gop as u32).max(1),
        }
    }
}

/// How the wall controller is served. The engine only carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSpec {
    /// Address and port.
    pub listen: std::net::SocketAddr,
    /// The database.
    pub database: PathBuf,
    /// The unit for which the screens show.
    pub unit: String,
    /// Where the key of the cameras' logins comes from: `file:PATH` or `env:NAME`.
    pub credentials_key: Option<String>,
    /// TLS with a certificate that is made.
    pub tls: bool,
    /// TLS with this certificate and key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Further names for the certificate that is made.
    pub names: Vec<String>,
    /// The origin by which browsers come.
    pub origin: Option<String>,
    /// Where signed heads of the audit log go too.
    pub checkpoints: Option<PathBuf>,
    /// Edition of EN 62676-4: 2015 or 2025.
    pub en62676: u16,
    /// What is set for sign-on by an identity provider.
    pub oidc: Option<PathBuf>,
}

/// One camera.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraSpec {
    /// Its id, unique in the wall and its inventories.
    pub id: CameraId,
    /// What the label shows.
    pub name: String,
    /// Addresses by profile; `main` is always there, `sub` often.
    pub profiles: BTreeMap<String, UriText>,
    /// What is known of its streams before they are opened, by profile.
    pub streams: BTreeMap<String, StreamFacts>,
    /// How RTP is carried.
    pub transport: Transport,
    /// Which client speaks RTSP.
    pub client: RtspClient,
    /// Over TLS, takes a certificate that no authority signed.
    pub any_certificate: bool,
    /// Cameras of one site come back together, and are then not all called at once.
    pub site: Option<String>,
    /// Whose camera it is.
    pub zone: Option<String>,
    /// Words by which queries find it, each once.
    pub tags: Vec<String>,
    /// Where it stands.
    pub position: Option<Position>,
    /// Metres of the scene that the width of its picture covers, 0.1 to 10,000.
    pub scene_width_m: Option<f64>,
    /// Parts of the picture that are never shown, of the picture as the camera sends it.
    pub masks: Vec<Region>,
    /// Degrades last, in every tile.
    pub pinned: bool,
    /// Lower ones degrade first.
    pub priority: u8,
    /// Its picture may stay the same for long: no freeze check.
    pub still: bool,
    /// How its picture is turned, after what the stream asks for.
    pub turn: QuarterTurn,
    /// What of it changes places then.
    pub flip: Flip,
}

/// A place on Earth (WGS 84), in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// North of the equator, -90 to 90.
    pub latitude: f64,
    /// East of Greenwich, -180 to 180.
    pub longitude: f64,
}

impl Position {
    /// Metres to another place along the great circle, on a sphere of the mean radius of Earth (IUGG):
    /// within 0.6 % of the ellipsoid.
    pub fn metres_to(&self, other: &Position) -> f64 {
        const RADIUS: f64 = 6_371_008.8;
        let (north, other_north) = (self.latitude.to_radians(), other.latitude.to_radians());
        let east = (other.longitude - self.longitude).to_radians();
        // Haversine: it keeps its precision where the places are near each other.
        let haversine = ((other_north - north) / 2.0).sin().powi(2)
            + north.cos() * other_north.cos() * (east / 2.0).sin().powi(2);
        2.0 * RADIUS * haversine.sqrt().min(1.0).asin()
    }
}

/// What an inventory says of a stream, so that its cost is known before it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamFacts {
    /// Width and height of its pictures in pixels, each 16 to 16384.
    pub size: Option<(u32, u32)>,
    /// Pictures per second, 0.1 to 240.
    pub frame_rate: Option<Ratio>,
    /// Its codec.
    pub codec: Option<Codec>,
    /// Kilobits per second.
    pub kbps: Option<u32>,
}

impl CameraSpec {
    /// The priority where none is given.
    pub const DEFAULT_PRIORITY: u8 = 100;

    /// The address of the main profile.
    pub fn uri(&self) -> &UriText {
        static NONE: UriText = UriText(String::new());
        // The check lets no camera through without it.
        self.profiles.get("main").unwrap_or(&NONE)
    }

    /// How its pictures are set upright, after what they ask for themselves.
    pub fn orientation(&self) -> Orientation {
        Orientation::asked(self.turn, self.flip)
    }
}

/// An address as it was written, maybe with a login in it; its scheme is known to be right. Prints
/// neither login, path nor query (invariant 7).
#[derive(Clone, PartialEq, Eq)]
pub struct UriText(String);

impl UriText {
    /// An address.
    pub fn new(uri: impl Into<String>) -> UriText {
        UriText(uri.into())
    }

    /// All of it, login included: for the one who connects, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UriText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(url) = url::Url::parse(&self.0) else { return f.write_str("…") };
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str("/…")
    }
}

impl fmt::Debug for UriText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How every screen is compressed.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSpec {
    /// H.264 or H.265.
    pub codec: Codec,
    /// Which encoder.
    pub choice: EncoderChoice,
    /// Speed against quality, in x264's words.
    pub preset: String,
    /// Bits or quality.
    pub rate: Rate,
    /// From one regular key frame to the next, 0.1 to 60 s.
    pub gop: Duration,
}

/// The outputs of one screen.
#[derive(Clone, Debug, PartialEq)]
pub struct ScreenOutputs {
    /// Which screen.
    pub screen: ScreenId,
    /// Where it goes; empty for a screen that is only in the snapshot.
    pub outputs: Vec<OutputText>,
}

/// Where a screen goes, as it was written. Its scheme or file extension is known to be right.
#[derive(Clone, PartialEq, Eq)]
pub struct OutputText {
    pub(super) text: String,
    pub(super) key: String,
    pub(super) place: Option<Place>,
}

impl OutputText {
    /// The text, login included: for the parser, never for a message.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What its parser found wrong, with file, line and key. The message must hold no credential.
    pub fn refused(&self, error: &Error) -> ConfigErrors {
        ConfigErrors::one(Problem {
            place: self.place.clone(),
            key: self.key.clone(),
            message: error.message().to_owned(),
            remedy: None,
        })
    }
}

impl fmt::Debug for OutputText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputText({})", self.key)
    }
}

/// What is drawn over and around the cameras.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlaySpec {
    /// Names of cameras.
    pub labels: bool,
    /// Where they are.
    pub label_place: TextPlace,
    /// Where a tile says how old its picture is.
    pub age_place: TextPlace,
    /// Where the clock is, if anywhere.
    pub clock: Option<Corner>,
    /// Width of the border of a tile in pixels; 0 for none.
    pub border: u32,
    /// Its colour.
    pub border_color: Yuv,
    /// Between tiles, and in empty ones.
    pub background: Yuv,
    /// From this age on a tile says how old its picture is; `None`: it never does.
    pub age_after: Option<Duration>,
    /// Language of placards.
    pub language: Language,
}

/// When to lose patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSpec {
    /// A picture older than this gives way to a placard (invariant 2), 0.1 to 60 s.
    pub placard_after: Duration,
    /// A picture that did not change for so long is called frozen; `None`: never.
    pub frozen_after: Option<Duration>,
    /// A camera whose queue holds more than this jumps to the next key frame (invariant 3).
    pub queue: Duration,
    /// When a connection is given up.
    pub patience: Patience,
}
