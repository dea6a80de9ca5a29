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
    set_aside(path)?;
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

/// Renames a recording that is there already to the first free of `NAME.1.EXT`, `NAME.2.EXT`, …: a
/// restart must not destroy what a crash left, and one who still writes it goes on writing it.
fn set_aside(path: &Path) -> Result<()> {
    if !std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0) {
        return Ok(());
    }
    let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    let free = (1..10_000).map(|n| path.with_extension(format!("{n}.{extension}"))).find(|p| !p.exists());
    let to = free.ok_or_else(|| {
        let subject = path.display().to_string();
        Error::new(ErrorKind::Io, subject, "10,000 older recordings lie beside it; move them away")
    })?;
    tracing::info!("{} becomes {}", path.display(), to.display());
    std::fs::rename(path, &to).map_err(|e| {
        Error::new(ErrorKind::Io, path.display().to_string(), "cannot be set aside").caused_by(e)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_set_aside_and_never_replaced() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("wall.mkv");
        set_aside(&path).expect("nothing is there");
        for n in [1, 2] {
            std::fs::write(&path, format!("run {n}")).expect("writable");
            set_aside(&path).expect("renamed");
            assert!(!path.exists());
            let kept = std::fs::read_to_string(dir.path().join(format!("wall.{n}.mkv"))).expect("kept");
            assert_eq!(kept, format!("run {n}"));
        }
    }
}
