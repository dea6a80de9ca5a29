//! Writes a screen as HTTP live streaming: a playlist and MPEG-TS segments beside it, for any web
//! server to hand out.

use std::path::Path;
use std::time::Duration;

use gstreamer::prelude::*;

use super::feed::{Backlog, Feed, KeyRequest};
use super::file::writable;
use super::hub::StreamParams;
use super::piped::{Piped, Recipe, parse, short, sink};
use crate::base::{Error, ErrorKind, Result};

/// Length of a segment: players start about three segments behind live.
const SEGMENT: Duration = Duration::from_secs(2);
/// Segments in the playlist, and on disk: RFC 8216 section 6.2.2 keeps a removed one for a while.
const LISTED: u32 = 6;
const KEPT: u32 = 12;

pub(crate) fn open(playlist: &Path, params: &StreamParams, key: KeyRequest) -> Result<Piped> {
    let subject = playlist.display().to_string();
    writable(playlist)?;
    let stem = playlist
        .file_stem()
        .and_then(|s| s.to_str())
        .ok_or_else(|| Error::new(ErrorKind::Config, subject.clone(), "its name must be UTF-8"))?;
    // The muxer formats the name: a per cent sign of the person's own is doubled.
    let segments =
        playlist.with_file_name(format!("{}-%05d.ts", stem.replace('%', "%%"))).display().to_string();
    let description = format!(
        "hlssink2 name=sink target-duration={} playlist-length={LISTED} max-files={KEPT} \
         send-keyframe-requests=false appsrc name=src ! {}parse config-interval=-1 ! sink.video",
        SEGMENT.as_secs(),
        short(params.codec)
    );
    let location = subject.clone();
    let recipe = Recipe {
        subject,
        build: Box::new(move || {
            let pipeline = parse(&description)?;
            let sink = sink(&pipeline)?;
            sink.set_property("playlist-location", &location);
            sink.set_property("location", &segments);
            Ok(pipeline)
        }),
        retry: false,
        joined: Default::default(),
        key_every: Some(SEGMENT),
        viewers: None,
    };
    Piped::start(recipe, params, Feed::new(params.frame_rate, Backlog::Keep, key))
}
