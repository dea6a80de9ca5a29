//! Records a screen: fragmented MP4, or Matroska. What was written stays playable after a kill.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::feed::{Backlog, Feed, KeyRequest};
use super::hub::StreamParams;
use super::kept::RunningOutput;
use super::piped::{self, Recipe, set_location, short};
use crate::base::names;
use crate::base::{Error, ErrorKind, Result};

/// Milliseconds of video in a fragment: what a kill can cost.
const FRAGMENT_MS: u32 = 1000;
/// Bytes that must fit before a recording goes on after a failure: some seconds of it, or a disk
/// that stays full would collect beginnings of recordings.
const ROOM: usize = 4 << 20;

pub(crate) fn open(path: &Path, params: &StreamParams, key: KeyRequest) -> Result<RunningOutput> {
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
    let (location, watched) = (path.to_owned(), path.to_owned());
    let recipe = Recipe {
        check: Some(Box::new(move || still_there(&watched))),
        ..Recipe::new(subject, description, move |sink, failures| {
            if failures > 0 {
                set_aside(&location)?;
                has_room(&location)?;
            }
            set_location(sink, &location)
        })
    };
    piped::start(recipe, params, Feed::new(params.frame_rate, Backlog::Keep, key))
}

/// What is written into a file that was removed is lost without an error.
fn still_there(path: &Path) -> Result<()> {
    if std::fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    let gone = "was removed or renamed while it was written; a new one is begun";
    Err(Error::new(ErrorKind::Io, path.display().to_string(), gone))
}

/// Renames a recording that is there already to the first free of `NAME.1.EXT`, `NAME.2.EXT`, …: a
/// restart must not destroy what a crash left, and one who still writes it goes on writing it.
fn set_aside(path: &Path) -> Result<()> {
    if !std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0) {
        return Ok(());
    }
    let free = (1..10_000).map(|n| numbered(path, n)).find(|p| !p.exists());
    let to = free.ok_or_else(|| {
        let subject = path.display().to_string();
        Error::new(ErrorKind::Io, subject, "10,000 older recordings lie beside it; move them away")
    })?;
    tracing::info!("{} becomes {}", path.display(), to.display());
    std::fs::rename(path, &to).map_err(|e| {
        Error::new(ErrorKind::Io, path.display().to_string(), "cannot be set aside").caused_by(e)
    })
}

/// `NAME.NUMBER.EXT` of `NAME.EXT`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut after = OsString::from(format!(".{number}."));
    after.push(path.extension().unwrap_or_default());
    let mut name = names::fitting(path.file_stem().unwrap_or_default(), after.len());
    name.push(after);
    path.with_file_name(name)
}

/// Finds out now, not at the first picture, whether the file can be written.
pub(crate) fn writable(path: &Path) -> Result<()> {
    open_new(path).map(drop)
}

/// Opens what is there as it is, or an empty file.
fn open_new(path: &Path) -> Result<std::fs::File> {
    let refused = |message: &'static str, e: std::io::Error| {
        Error::new(ErrorKind::Io, path.display().to_string(), message).caused_by(e)
    };
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty() && !f.is_dir()) {
        let gone = std::io::Error::new(std::io::ErrorKind::NotFound, folder.display().to_string());
        return Err(refused("its folder is missing; create it first", gone));
    }
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    opened.map_err(|e| refused("cannot be written", e))
}

/// Finds out whether a new file can take [`ROOM`] bytes; leaves it empty, or not there.
pub(crate) fn has_room(path: &Path) -> Result<()> {
    let mut file = open_new(path)?;
    // A device or a pipe takes what it takes.
    if !file.metadata().is_ok_and(|found| found.is_file() && found.len() == 0) {
        return Ok(());
    }
    let zeros = vec![0; ROOM];
    let tried = file.write_all(&zeros).and_then(|()| file.sync_data()).and_then(|()| file.set_len(0));
    tried.map_err(|e| {
        // What was tried is no recording; nothing else can be done where even this fails.
        let _ = std::fs::remove_file(path);
        let full = e.kind() == std::io::ErrorKind::StorageFull;
        let message = if full { "the disk is full; free some space" } else { "cannot be written" };
        Error::new(ErrorKind::Io, path.display().to_string(), message).caused_by(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_of_any_name_is_set_aside() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let long = "l".repeat(251) + ".mkv";
        for name in [&b"caf\xe9.mkv"[..], long.as_bytes()] {
            let path = dir.path().join(std::ffi::OsStr::from_bytes(name));
            std::fs::write(&path, "run").expect("writable");
            set_aside(&path).expect("renamed");
            assert!(!path.exists());
        }
        let beside = dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.1.mkv"));
        assert!(beside.exists() && std::fs::read_dir(dir.path()).expect("a folder").count() == 2);
    }

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
