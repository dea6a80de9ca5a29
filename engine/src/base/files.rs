//! Writing a small file so that nobody reads half of it, and bringing names to disk.

use std::fs::File;
use std::path::Path;

use super::error::{Error, ErrorKind, Result};
use super::names;

/// Writes beside the target and renames.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::Io, path.display().to_string(), "cannot be written").caused_by(e)
    };
    let beside = names::beside(path, "", &format!(".{}.part", std::process::id()));
    std::fs::write(&beside, bytes).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(|e| {
        let _ = std::fs::remove_file(&beside);
        failed(e)
    })
}

/// Brings the name of a file to disk: one that was just made, renamed or removed may otherwise be back as it
/// was after a power cut, however often the file itself was synced (`fsync(2)`).
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_may_be_as_long_as_the_system_allows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n".repeat(names::LONGEST));
        write_whole(&path, b"one").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        std::fs::create_dir(folder.path().join("taken")).unwrap();
        let error = write_whole(&folder.path().join("taken"), b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "the file and the folder");
    }
}
