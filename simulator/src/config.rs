//! What a simulator is asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use vitrail_engine::base::{SharedClock, SystemClock};
use vitrail_engine::media::{Codec, Ratio};
use vitrail_engine::{Error, ErrorKind, Result};

use crate::Profile;
use crate::code::{MAX_CAMERA, Place};
use crate::rtsp::auth::Login;

/// Size, rate and bit rate of one of the two streams that every camera has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSpec {
    /// Pixels, a multiple of 8.
    pub width: u32,
    /// Pixels, a multiple of 2.
    pub height: u32,
    /// Pictures a second.
    pub rate: Ratio,
    /// Kilobits a second.
    pub kbps: u32,
}

impl StreamSpec {
    /// From `640x360@12.5`, with the bit rate of `self`.
    pub fn with_format(self, text: &str) -> Option<StreamSpec> {
        let (size, rate) = text.split_once('@')?;
        let (width, height) = size.split_once('x')?;
        let rate: f64 = rate.parse().ok().filter(|r| (0.5..=120.0).contains(r))?;
        // Enough for 12.5, 29.97 and the like.
        let (mut num, mut den) = ((rate * 1000.0).round() as u32, 1000);
        for factor in [5, 5, 5, 2, 2, 2] {
            if num % factor == 0 && den % factor == 0 {
                (num, den) = (num / factor, den / factor);
            }
        }
        let (width, height) = (width.parse().ok()?, height.parse().ok()?);
        Some(StreamSpec { width, height, rate: Ratio::new(num, den)?, ..self })
    }
}

/// Bits a pixel of the defaults: 640x360 at 12.5 pictures a second in 400 kb/s.
const BITS_PER_PIXEL: f64 = 400_000.0 / (640.0 * 360.0 * 12.5);

impl StreamSpec {
    /// The bit rate, in kb/s, that a camera would use for this size and rate: in proportion to the
    /// pixels, and to the root of the rate, because pictures far apart have less in common.
    pub fn usual_kbps(&self) -> u32 {
        let pixels = f64::from(self.width) * f64::from(self.height);
        let rate = self.rate.as_f64().max(0.1);
        let kbps = BITS_PER_PIXEL * pixels * (12.5 * rate).sqrt() / 1000.0;
        (kbps.round() as u32).clamp(8, 200_000)
    }
}

/// Which built-in pictures cameras show where they have no clips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scenery {
    /// Plain shapes, cheap to draw and always the same cost to decode: what tests and figures use.
    #[default]
    Test,
    /// Streets of a city, for people to look at.
    City,
}

/// What a simulator is asked for; [`Config::default`] is one camera on a port of the system's choice.
#[derive(Clone)]
pub struct Config {
    /// How many cameras, numbered from 1.
    pub cameras: u16,
    /// A folder of video files to show instead of the built-in scenes.
    pub clips: Option<PathBuf>,
    /// Which built-in scenes.
    pub scenery: Scenery,
    /// Where the frame code is in the pictures.
    pub code: Place,
    /// Where the RTSP server listens; port 0 for any.
    pub listen: SocketAddr,
    /// Where the control port listens; none for no control port.
    pub control: Option<SocketAddr>,
    /// What clients must know; none for open cameras.
    pub login: Option<Login>,
    /// Where encoded loops are kept for the next start; none to encode them at each.
    pub cache: Option<PathBuf>,
    /// The large stream.
    pub main: StreamSpec,
    /// The small stream.
    pub sub: StreamSpec,
    /// Codecs, dealt to the cameras in turn.
    pub codecs: Vec<Codec>,
    /// From one key frame to the next.
    pub gop: Duration,
    /// Length of a loop; rounded up to whole GOPs.
    pub loop_length: Duration,
    /// Encodes these before the start returns; others when a client first asks for them.
    pub prepare: Vec<Profile>,
    /// Where the send times come from.
    pub clock: SharedClock,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            cameras: 1,
            clips: None,
            scenery: Scenery::default(),
            code: Place::default(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            control: None,
            login: None,
            cache: None,
            main: StreamSpec { width: 1280, height: 720, rate: Ratio { num: 25, den: 1 }, kbps: 2000 },
            sub: StreamSpec { width: 640, height: 360, rate: Ratio { num: 25, den: 2 }, kbps: 400 },
            codecs: vec![Codec::H264, Codec::H265],
            gop: Duration::from_secs(2),
            loop_length: Duration::from_secs(10),
            prepare: vec![Profile::Sub],
            clock: SystemClock::shared(),
        }
    }
}

/// Where a person's loops are kept: `$XDG_CACHE_HOME/vitrail`, else `~/.cache/vitrail`, else a folder for temporary files.
pub fn default_cache() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("vitrail")
}

impl Config {
    /// The stream of this profile.
    pub fn spec(&self, profile: Profile) -> StreamSpec {
        if profile == Profile::Main { self.main } else { self.sub }
    }

    pub(crate) fn gop_frames(&self, profile: Profile) -> usize {
        let frames = self.gop.as_secs_f64() * self.spec(profile).rate.as_f64();
        (frames.round() as usize).max(1)
    }

    pub(crate) fn loop_frames(&self, profile: Profile) -> usize {
        let gop = self.gop_frames(profile);
        let frames = self.loop_length.as_secs_f64() * self.spec(profile).rate.as_f64();
        (frames.ceil() as usize).max(1).next_multiple_of(gop)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |key: &'static str, what: &'static str| Err(Error::new(ErrorKind::Config, key, what));
        if !(1..=MAX_CAMERA).contains(&self.cameras) {
            return wrong("count", "must be between 1 and 32767 cameras");
        }
        if self.codecs.is_empty() || self.codecs.iter().any(|c| !matches!(c, Codec::H264 | Codec::H265)) {
            return wrong("codecs", "must be h264, h265 or both");
        }
        for (key, spec) in [("main", self.main), ("sub", self.sub)] {
            let sizes = (64..=4096).contains(&spec.width) && (36..=2304).contains(&spec.height);
            if !sizes || spec.width % 8 != 0 || spec.height % 2 != 0 {
                return wrong(
                    key,
                    "must be from 64x36 to 4096x2304, the width a multiple of 8, the height of 2",
                );
            }
            if !(8..=200_000).contains(&spec.kbps) {
                return wrong(key, "must have from 8 kb/s to 200 Mb/s");
            }
        }
        if self.gop.is_zero() || self.gop > Duration::from_secs(60) {
            return wrong("gop-seconds", "must be above 0 and at most 60");
        }
        if self.loop_length.is_zero() || self.loop_length > Duration::from_secs(300) {
            return wrong("loop-seconds", "must be above 0 and at most 300");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn formats_are_read() {
        let spec = |text| Config::default().sub.with_format(text);
        let sub = spec("320x180@12.5").unwrap();
        assert_eq!((sub.width, sub.height, sub.rate, sub.kbps), (320, 180, Ratio { num: 25, den: 2 }, 400));
        assert_eq!(spec("320x180@29.97").unwrap().rate, Ratio { num: 2997, den: 100 });
        for wrong in ["", "320@5", "320x180", "axb@5", "320x180@0", "320x180@nan"] {
            assert_eq!(spec(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn usual_bit_rates_are_those_of_cameras() {
        let usual = |text| Config::default().sub.with_format(text).unwrap().usual_kbps();
        assert_eq!(usual("640x360@12.5"), 400);
        assert_eq!(usual("640x360@1"), 113);
        assert!((2000..2600).contains(&usual("1280x720@25")), "{}", usual("1280x720@25"));
        assert_eq!((usual("64x36@0.5"), usual("4096x2304@120") < 200_000), (8, true));
    }

    #[test]
    fn loops_are_whole_gops() {
        let mut config = Config::default();
        assert_eq!((config.gop_frames(Profile::Sub), config.loop_frames(Profile::Sub)), (25, 125));
        config.gop = Duration::from_secs(3);
        assert_eq!(config.loop_frames(Profile::Main), 300);
    }

    #[test]
    fn impossible_wishes_are_refused() {
        let base = Config::default();
        let wrong = [
            Config { cameras: 0, ..base.clone() },
            Config { cameras: 40_000, ..base.clone() },
            Config { codecs: vec![], ..base.clone() },
            Config { codecs: vec![Codec::Mjpeg], ..base.clone() },
            Config { sub: StreamSpec { width: 642, ..base.sub }, ..base.clone() },
            Config { gop: Duration::ZERO, ..base.clone() },
        ];
        for (i, config) in wrong.iter().enumerate() {
            assert_eq!(config.check().unwrap_err().kind(), ErrorKind::Config, "case {i}");
        }
        base.check().unwrap();
    }
}
