//! A source that is held open while a job works on it, so that another file of its name is told from it.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::reader::Reader;
use crate::base::{Error, ErrorKind, Result, Shutdown};
use crate::evidence::Fingerprint;

/// A source, from the beginning of its job to the end.
pub struct HeldSource {
    path: PathBuf,
    /// While it is open, no other file gets its inode.
    file: File,
    known: Metadata,
}

impl HeldSource {
    /// # Errors
    /// `Io` where it cannot be read.
    pub fn open(path: &Path) -> Result<HeldSource> {
        let failed = |e: std::io::Error| {
            Error::new(ErrorKind::Io, path.display().to_string(), "cannot be read; check the path")
                .caused_by(e)
        };
        // A pipe without a writer would be waited for; what is no file is refused by whoever reads it.
        let found = std::fs::metadata(path).map_err(failed)?;
        if !found.is_file() {
            let message = "is no file; name a video file, or a folder with --recursive";
            return Err(Error::new(ErrorKind::Io, path.display().to_string(), message));
        }
        let file = File::open(path).map_err(failed)?;
        let known = file.metadata().map_err(failed)?;
        Ok(HeldSource { path: path.to_owned(), file, known })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it was when it was opened.
    pub fn known(&self) -> &Metadata {
        &self.known
    }

    /// Reads it from its beginning.
    ///
    /// # Errors
    /// As [`Reader::open`] and [`HeldSource::check`].
    pub fn reader(&self, nth: usize) -> Result<Reader> {
        let reader = Reader::open(&self.path, nth)?;
        self.check()?;
        Ok(reader)
    }

    /// Its name still leads to it, and nothing of it is gone. That something is added is no fault: it may
    /// still be recorded.
    ///
    /// # Errors
    /// `Io` where another file took its name or it became shorter.
    pub fn check(&self) -> Result<()> {
        let now = match std::fs::metadata(&self.path) {
            Ok(now) => now,
            // Recorders remove what is old; what was read of it is whole.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(self.changed("cannot be read any more").caused_by(e)),
        };
        if (now.dev(), now.ino()) != (self.known.dev(), self.known.ino()) {
            return Err(
                self.changed("was replaced by another file while it was worked on; run the job again")
            );
        }
        if now.len() < self.known.len() {
            return Err(self.changed("became shorter while it was worked on; run the job again"));
        }
        Ok(())
    }

    /// Reads all of it for its sum; `None` where `stop` came first.
    pub fn fingerprint(&self, stop: &Shutdown) -> Result<Option<Fingerprint>> {
        Fingerprint::of(&self.file, &self.path, stop)
    }

    /// As [`HeldSource::check`], and not a byte of it is another than it was; false where `stop` came
    /// first.
    ///
    /// # Errors
    /// `Io` where it was replaced, changed or taken away.
    pub fn check_whole(&self, before: &Fingerprint, stop: &Shutdown) -> Result<bool> {
        self.check()?;
        if !self.path.exists() {
            return Err(self.changed("was taken away while it was worked on; evidence needs its source"));
        }
        let Some(now) = self.fingerprint(stop)? else { return Ok(false) };
        if now != *before {
            let message = "was changed while it was worked on, so the result is no evidence of what is there \
                           now; run the job again when it is complete";
            return Err(self.changed(message));
        }
        Ok(true)
    }

    fn changed(&self, message: &'static str) -> Error {
        Error::new(ErrorKind::Io, self.path.display().to_string(), message)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn another_file_of_the_same_name_and_size_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a.ts"), "pictures").unwrap();
        let held = HeldSource::open(&at("a.ts")).unwrap();
        let stop = Shutdown::new();
        let before = held.fingerprint(&stop).unwrap().unwrap();
        assert!(held.check_whole(&before, &stop).unwrap());
        std::fs::write(at("b.ts"), "PICTURES").unwrap();
        std::fs::rename(at("b.ts"), at("a.ts")).unwrap();
        assert!(held.check().unwrap_err().message().contains("replaced"));
        // Removed first, so that its place on disk would be free for the new one.
        std::fs::write(at("c.ts"), "pictures").unwrap();
        let held = HeldSource::open(&at("c.ts")).unwrap();
        std::fs::remove_file(at("c.ts")).unwrap();
        assert!(held.check().is_ok(), "a job without evidence ends well");
        assert!(held.check_whole(&before, &stop).unwrap_err().message().contains("taken away"));
        std::fs::write(at("c.ts"), "pictures").unwrap();
        assert!(held.check().is_err());
    }

    #[test]
    fn a_changed_byte_is_told_and_what_grows_is_no_fault_without_evidence() {
        use std::io::{Seek, SeekFrom, Write};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ts");
        std::fs::write(&path, "pictures").unwrap();
        let held = HeldSource::open(&path).unwrap();
        let stop = Shutdown::new();
        let before = held.fingerprint(&stop).unwrap().unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let then = file.metadata().unwrap().modified().unwrap();
        file.seek(SeekFrom::Start(3)).unwrap();
        file.write_all(b"T").unwrap();
        file.set_modified(then).unwrap();
        assert!(held.check().is_ok());
        assert!(held.check_whole(&before, &stop).unwrap_err().message().contains("was changed"));
        std::fs::write(&path, "pictures and more").unwrap();
        assert!(held.check().is_ok());
        assert!(held.check_whole(&before, &stop).is_err());
        std::fs::write(&path, "pic").unwrap();
        assert!(held.check().unwrap_err().message().contains("shorter"));
    }
}
