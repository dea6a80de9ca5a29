//! Records a screen: fragmented MP4, or Matroska. What was written stays playable after a kill.

use std::path::Path;

use gstreamer::prelude::*;

use super::feed::{Backlog, Feed, KeyRequest};
use super::hub::StreamParams;
use super::piped::{Piped, Recipe, parse, short, sink};
use crate::base::{Error, ErrorKind, Result};

/// Milliseconds of video in a fragment: what a kill can cost.
const FRAGMENT_MS: u32 = 1000;

pub(crate) fn open(path: &Path, params: &StreamParams, key: KeyRequest) -> Result<Piped> {
    let subject = path.display().to_string();
    writable(path)?;
    let mux = if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("mkv")) {
        format!(
            "matroskamux min-cluster-duration=0 max-cluster-duration={}",
            u64::from(FRAGMENT_MS) * 1_000_000
        )
    } else {
        format!("mp4mux fragment-duration={FRAGMENT_MS}")
    };
    // Unbuffered: a fragment is in the hands of the operating system as soon as it is whole.
    let description = format!(
        "appsrc name=src ! {}parse ! {mux} ! filesink name=sink sync=false async=false buffer-mode=unbuffered",
        short(params.codec)
    );
    let location = subject.clone();
    let recipe = Recipe {
        subject,
        build: Box::new(move || {
            let pipeline = parse(&description)?;
            sink(&pipeline)?.set_property("location", &location);
            Ok(pipeline)
        }),
        retry: false,
        joined: Default::default(),
        key_every: None,
        viewers: None,
    };
    Piped::start(recipe, params, Feed::new(params.frame_rate, Backlog::Keep, key))
}

/// Finds out now, not at the first picture, whether the file can be written.
pub(crate) fn writable(path: &Path) -> Result<()> {
    let refused = |message: &'static str, e: std::io::Error| {
        Error::new(ErrorKind::Io, path.display().to_string(), message).caused_by(e)
    };
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty() && !f.is_dir()) {
        let gone = std::io::Error::new(std::io::ErrorKind::NotFound, folder.display().to_string());
        return Err(refused("its folder is missing; create it first", gone));
    }
    let opened = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path);
    opened.map(drop).map_err(|e| refused("cannot be written", e))
}
