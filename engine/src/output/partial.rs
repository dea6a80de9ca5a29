//! A file in the making: hidden beside its target, and renamed to it only when it is whole.

use std::path::{Path, PathBuf};

use crate::base::names;
use crate::base::{Error, ErrorKind, Result};

/// A hidden file beside a target. Dropped before [`Partial::commit`], it is removed: nothing
/// half-written is ever seen under the target's name.
#[derive(Debug)]
pub struct Partial {
    hidden: PathBuf,
    target: PathBuf,
    overwrite: bool,
    done: bool,
}

impl Partial {
    /// Checks the target and makes the hidden file.
    ///
    /// # Errors
    /// `Config` where the target is there already and may not be overwritten, `Io` where its folder
    /// is missing or cannot be written.
    pub fn create(target: &Path, overwrite: bool) -> Result<Partial> {
        let subject = target.display().to_string();
        if target.file_name().is_none() {
            return Err(Error::new(ErrorKind::Config, subject, "is no file name"));
        }
        if target.is_dir() {
            return Err(Error::new(ErrorKind::Config, subject, "is a folder; name a file"));
        }
        if !overwrite && target.symlink_metadata().is_ok() {
            let remedy = "is there already; choose another name or add --overwrite";
            return Err(Error::new(ErrorKind::Config, subject, remedy));
        }
        let folder = target.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(Error::new(ErrorKind::Io, subject, "its folder is missing; create it first"));
        }
        for attempt in 0..100u32 {
            let hidden = names::beside(target, ".", &format!(".{}-{attempt}.part", std::process::id()));
            match std::fs::OpenOptions::new().write(true).create_new(true).open(&hidden) {
                Ok(_) => return Ok(Partial { hidden, target: target.to_owned(), overwrite, done: false }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::new(ErrorKind::Io, subject, "cannot be written").caused_by(e)),
            }
        }
        Err(Error::new(ErrorKind::Io, subject, "too many unfinished files lie beside it; remove them"))
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.hidden
    }

    /// The file is whole: it is on disk and takes its name.
    ///
    /// # Errors
    /// `Io` where the disk refuses; `Config` where the target came into being meanwhile.
    pub fn commit(mut self) -> Result<()> {
        let subject = || self.target.display().to_string();
        let failed = |e: std::io::Error| {
            Error::new(ErrorKind::Io, subject(), "cannot take its final name").caused_by(e)
        };
        std::fs::File::open(&self.hidden).and_then(|file| file.sync_all()).map_err(failed)?;
        if !self.overwrite {
            // A link, unlike a rename, never replaces what is there.
            match std::fs::hard_link(&self.hidden, &self.target) {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                    let remedy = "came into being meanwhile and is kept; write under another name";
                    return Err(Error::new(ErrorKind::Config, subject(), remedy));
                }
                // This file system has no links.
                Err(_) => {}
            }
        }
        std::fs::rename(&self.hidden, &self.target).map_err(failed)?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.done {
            let _ = std::fs::remove_file(&self.hidden);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).expect("a folder");
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn nothing_is_seen_until_it_is_whole() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = dir.path().join("wall.mp4");
        let partial = Partial::create(&target, false).expect("writable");
        std::fs::write(partial.path(), "half").expect("writable");
        assert!(!target.exists());
        drop(partial);
        assert_eq!(names(dir.path()), [] as [&str; 0]);
        let partial = Partial::create(&target, false).expect("writable");
        std::fs::write(partial.path(), "whole").expect("writable");
        partial.commit().expect("renamed");
        assert_eq!(names(dir.path()), ["wall.mp4"]);
        assert_eq!(std::fs::read_to_string(&target).expect("readable"), "whole");
    }

    #[test]
    fn any_name_that_the_system_allows_can_be_written() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let long = "l".repeat(251) + ".mp4";
        for name in [&b"caf\xe9.mp4"[..], b"new\nline \"quoted\".mp4", b"-dash.mp4", long.as_bytes()] {
            let target = dir.path().join(std::ffi::OsStr::from_bytes(name));
            let partial = Partial::create(&target, false).expect("writable");
            std::fs::write(partial.path(), "whole").expect("writable");
            partial.commit().expect("renamed");
            assert!(target.exists(), "{}", target.display());
        }
    }

    #[test]
    fn what_is_there_is_kept_unless_told_otherwise() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = dir.path().join("wall.mp4");
        let early = Partial::create(&target, false).expect("writable");
        std::fs::write(&target, "old").expect("writable");
        assert_eq!(Partial::create(&target, false).expect_err("is there").kind(), ErrorKind::Config);
        assert_eq!(early.commit().expect_err("came meanwhile").kind(), ErrorKind::Config);
        assert_eq!(std::fs::read_to_string(&target).expect("readable"), "old");
        let partial = Partial::create(&target, true).expect("writable");
        std::fs::write(partial.path(), "new").expect("writable");
        partial.commit().expect("renamed");
        assert_eq!(std::fs::read_to_string(&target).expect("readable"), "new");
        assert_eq!(names(dir.path()), ["wall.mp4"]);
    }
}
