//! Delivers an encoded screen: RTSP, RTP, UDP, SRT, RTMP, files, HLS, a display. One encode, many outputs,
//! and none of them can hold up the others (invariant 1).

pub mod display;
pub mod feed;
pub mod file;
pub mod hls;
pub mod hub;
mod kept;
#[cfg(test)]
mod less_tests;
pub mod movie;
mod multicast_ffi;
mod partial;
pub mod piped;
#[cfg(test)]
mod retry_tests;
pub mod rtmp;
pub mod rtp;
pub mod rtsp;
mod sender;
pub mod spec;
pub mod srt;
mod srt_callers;
mod srt_door;
mod srt_ffi;
#[cfg(test)]
mod tests;
mod ts;
pub mod udp;
#[cfg(test)]
mod viewer_tests;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use crate::base::Login;
pub use hub::{OutputHub, OutputId, OutputState, OutputStatus, StreamParams, Tap};
pub use movie::{MovieFormat, MovieWriter};
pub use partial::Partial;

/// Where a screen goes. Parsed from text by [`OutputSpec::parse`]; shown without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum OutputSpec {
    /// Serve it: `rtsp://[USER:PASSWORD@]HOST:PORT/PATH`.
    Rtsp {
        /// Address to listen on.
        listen: SocketAddr,
        /// Path, with its slash.
        path: String,
        /// User name and password that viewers need (digest).
        login: Option<Login>,
    },
    /// Send RTP over UDP to one host or a multicast group: `rtp://HOST:PORT[?ttl=HOPS&interface=NAME]`.
    Rtp {
        /// To whom.
        to: SocketAddr,
        /// How many routers a multicast packet may pass; 1 stays in the network.
        ttl: u8,
        /// The interface of this machine that multicast leaves by; `None`: as the routes say.
        interface: Option<String>,
    },
    /// Send MPEG-TS in UDP datagrams to one host or a group: `udp://HOST:PORT[?ttl=HOPS&interface=NAME]`.
    Udp {
        /// To whom.
        to: SocketAddr,
        /// How many routers a multicast packet may pass; 1 stays in the network.
        ttl: u8,
        /// The interface of this machine that multicast leaves by: its name or IPv4 address.
        interface: Option<String>,
    },
    /// MPEG-TS over SRT: `srt://HOST:PORT?mode=caller|listener&latency=ms`.
    Srt {
        /// The address with its query, which may hold secrets.
        uri: String,
    },
    /// Publish FLV over RTMP, H.264 alone: `rtmp://HOST[:PORT]/APP/KEY`, or `rtmps://…`.
    Rtmp {
        /// The address with its stream key, which is a secret.
        uri: String,
    },
    /// Record: `.mp4` (fragmented) or `.mkv`; playable up to the last fragment after a kill.
    File {
        /// The file; one that is there already is renamed to `NAME.1.EXT`, `NAME.2.EXT`, …
        path: PathBuf,
    },
    /// HTTP live streaming: a playlist `….m3u8` and its segments beside it.
    Hls {
        /// The playlist.
        playlist: PathBuf,
    },
    /// A window, or the full screen, of this machine: `display:` or `display:full`.
    Display {
        /// All of the screen.
        full: bool,
    },
}
