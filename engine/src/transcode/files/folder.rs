//! The hidden folder of a job beside its target: what is done in it survives an interruption.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::record::{Note, disk, is_whole, note};
use crate::base::files::{sync_parent, write_whole};
use crate::base::names;
use crate::base::{Error, ErrorKind, Result};
use crate::transcode::spec::Target;

/// What the folder was made for; compared byte by byte.
const PLAN: &str = "plan.json";
const LOCK: &str = "lock";
/// Where the container is written.
const JOINED: &str = "joined";

/// The folder, held by one process at a time.
pub struct WorkFolder {
    folder: PathBuf,
    _lock: File,
}

impl WorkFolder {
    /// Opens the folder of a target, or makes it. What lies in it is kept where `identity` (the job, its
    /// source and the libraries) is the same as then, and thrown away otherwise or with `fresh`.
    ///
    /// # Errors
    /// `Config` where another process works on the same target; `Io` where the folder cannot be made.
    pub fn open(target: &Target, identity: &str, fresh: bool) -> Result<WorkFolder> {
        let path = target.path();
        let subject = || path.display().to_string();
        let Some(folder) = hidden_folder(path) else {
            return Err(Error::new(ErrorKind::Config, subject(), "is no file name"));
        };
        let parent = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !parent.is_dir() {
            return Err(Error::new(ErrorKind::Io, subject(), "its folder is missing; create it first"));
        }
        std::fs::create_dir_all(&folder).map_err(|e| disk(path, &e))?;
        let lock = File::create(folder.join(LOCK)).map_err(|e| disk(path, &e))?;
        if lock.try_lock().is_err() {
            let message = "another job is working on it; wait for it, or choose another name";
            return Err(Error::new(ErrorKind::Config, subject(), message));
        }
        let work = WorkFolder { folder, _lock: lock };
        let same = std::fs::read(work.folder.join(PLAN)).is_ok_and(|found| found == identity.as_bytes());
        if fresh || !same {
            work.empty().map_err(|e| disk(path, &e))?;
            write_whole(&work.folder.join(PLAN), identity.as_bytes())?;
        }
        Ok(work)
    }

    fn empty(&self) -> std::io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name() == LOCK {
                continue;
            }
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            } else {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The file of a segment of a rendition.
    pub fn segment(&self, rendition: usize, segment: usize) -> PathBuf {
        self.folder.join(format!("{rendition}-{segment:06}.seg"))
    }

    /// The file of the sound.
    pub fn sound(&self) -> PathBuf {
        self.folder.join("sound.seg")
    }

    /// What was noted of a segment that is there for all renditions; `None` where it is not.
    pub fn has(&self, renditions: usize, segment: usize) -> Option<Note> {
        let whole = |rendition: usize| is_whole(&self.segment(rendition, segment)).is_some();
        // All renditions are made of the same pictures.
        (0..renditions).all(whole).then(|| note(&self.segment(0, segment)).ok()).flatten()
    }

    /// Where the container is written; whatever an interrupted run left there is removed.
    pub fn container(&self, target: &Target) -> Result<PathBuf> {
        let folder = self.folder.join(JOINED);
        let path = folder.join(written_name(target));
        let failed = |e: std::io::Error| disk(target.path(), &e);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(failed)?;
        }
        let made = if matches!(target, Target::Hls { .. }) { &path } else { &folder };
        std::fs::create_dir_all(made).map_err(failed)?;
        Ok(path)
    }

    /// Removes the folder and all in it.
    pub fn remove(self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Gives what was written its name. Nothing that is there is replaced unless `overwrite`.
///
/// # Errors
/// `Config` where something of that name is there, `Io` where the disk refuses.
pub fn take_name(written: &Path, target: &Path, overwrite: bool) -> Result<()> {
    let failed = |e: std::io::Error| disk(target, &e);
    sync(written).map_err(failed)?;
    let is_folder = written.is_dir();
    if !is_folder && !overwrite {
        // A link, unlike a rename, never replaces what is there.
        match std::fs::hard_link(written, target) {
            Ok(()) => return sync_parent(target).map_err(failed),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Err(is_there(target)),
            // This file system has no links.
            Err(_) => {}
        }
    }
    if target.symlink_metadata().is_ok() {
        if !overwrite {
            return Err(is_there(target));
        }
        if is_folder || target.is_dir() {
            // Two folders cannot change places in one step everywhere: the old one steps aside first.
            let aside = written.with_extension("replaced");
            std::fs::rename(target, &aside).map_err(failed)?;
        }
    }
    std::fs::rename(written, target).map_err(failed)?;
    sync_parent(target).map_err(failed)
}

/// Refuses where a target is there already and may not be replaced.
pub fn check_free(target: &Path, overwrite: bool) -> Result<()> {
    if !overwrite && target.symlink_metadata().is_ok() {
        return Err(is_there(target));
    }
    Ok(())
}

/// Whether a run that was killed had already given a target its name; what it left is removed then.
pub fn was_finished(target: &Target) -> bool {
    let path = target.path();
    let Some(folder) = hidden_folder(path) else { return false };
    let Ok(lock) = File::open(folder.join(LOCK)) else { return false };
    if lock.try_lock().is_err() {
        return false;
    }
    let joined = folder.join(JOINED);
    let written = joined.join(written_name(target));
    let named = match target {
        Target::File(_) => is_same(&written, path),
        Target::Hls { .. } => joined.is_dir() && !written.exists() && path.join("master.m3u8").exists(),
    };
    if named {
        let _ = std::fs::remove_dir_all(&folder);
    }
    named
}

/// Two names of one file.
fn is_same(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    id(a).is_some() && id(a) == id(b)
}

/// The folder of a target's job: hidden, beside it.
fn hidden_folder(target: &Path) -> Option<PathBuf> {
    target.file_name()?;
    Some(names::beside(target, ".", ".vitrail"))
}

/// The name of a result until it has its own: plain text, whatever that is.
fn written_name(target: &Target) -> PathBuf {
    match target {
        Target::File(path) => Path::new("result").with_extension(path.extension().unwrap_or_default()),
        Target::Hls { .. } => PathBuf::from("result"),
    }
}

fn is_there(target: &Path) -> Error {
    let remedy = "is there already and is kept; choose another name or add --overwrite";
    Error::new(ErrorKind::Config, target.display().to_string(), remedy)
}

fn sync(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            sync(&entry?.path())?;
        }
    }
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::record::{Record, RecordWriter};
    use super::*;

    fn segment(path: &Path) {
        let mut writer = RecordWriter::create(path, &[]).unwrap();
        writer.write(&Record { pts: 0, duration: 0, key: true, data: vec![1, 2, 3] }).unwrap();
        writer.commit().unwrap();
    }

    #[test]
    fn the_same_job_finds_what_it_left_and_another_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::File(folder.path().join("a.mp4"));
        let work = WorkFolder::open(&target, "job one", false).unwrap();
        segment(&work.segment(0, 0));
        assert!(work.has(1, 0).is_some() && work.has(2, 0).is_none() && work.has(1, 1).is_none());
        drop(work);
        assert!(WorkFolder::open(&target, "job one", false).unwrap().has(1, 0).is_some());
        assert!(WorkFolder::open(&target, "job two", false).unwrap().has(1, 0).is_none());
        let work = WorkFolder::open(&target, "job two", false).unwrap();
        segment(&work.segment(0, 0));
        drop(work);
        let work = WorkFolder::open(&target, "job two", true).unwrap();
        assert!(work.has(1, 0).is_none(), "fresh");
        work.remove();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::File(folder.path().join("a.mp4"));
        let _held = WorkFolder::open(&target, "x", false).unwrap();
        let error = WorkFolder::open(&target, "x", false).err().unwrap();
        assert!(error.message().contains("another job"));
    }

    #[test]
    fn a_job_that_was_killed_after_its_last_step_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::File(folder.path().join("a.mp4"));
        let work = WorkFolder::open(&target, "x", false).unwrap();
        let written = work.container(&target).unwrap();
        std::fs::write(&written, "whole").unwrap();
        assert!(!was_finished(&target), "it is being worked on");
        drop(work);
        assert!(!was_finished(&target), "it has no name yet");
        take_name(&written, target.path(), false).unwrap();
        assert!(was_finished(&target));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the target alone");
        assert!(!was_finished(&target), "somebody else's file");
    }

    #[test]
    fn a_target_that_is_there_is_kept_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let (new, target) = (folder.path().join("new"), folder.path().join("a.mp4"));
        std::fs::write(&new, "new").unwrap();
        std::fs::write(&target, "old").unwrap();
        assert_eq!(take_name(&new, &target, false).unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        take_name(&new, &target, true).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        for name in ["new", "ladder"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join(name), "x").unwrap();
        }
        let (new, target) = (folder.path().join("new"), folder.path().join("ladder"));
        assert!(take_name(&new, &target, false).is_err() && target.join("ladder").exists());
        take_name(&new, &target, true).unwrap();
        assert!(target.join("new").exists() && !target.join("ladder").exists());
    }
}
