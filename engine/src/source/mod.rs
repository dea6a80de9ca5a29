//! Connects to a camera or a file and hands its access units on. A source only runs; keeping it
//! alive is the work of [`crate::ingest`].

pub mod grant;

use std::time::Duration;

use crate::media::{AccessUnit, VideoParameters};

pub use grant::Grant;

/// Takes what a source gives. Every call returns at once (invariant 1).
pub trait UnitSink: Send + Sync {
    /// What the stream says of itself: before the first unit, and again whenever it changes.
    fn parameters(&self, parameters: &VideoParameters);
    /// The next access unit, in decoding order.
    fn unit(&self, unit: AccessUnit);
    /// The connection ended: what comes next starts anew, with a random-access unit.
    fn discontinuity(&self);
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
    /// retina, and GStreamer for `rtsps://`.
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
