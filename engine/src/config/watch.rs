//! Notices that files changed, by looking: works on every file system, needs no other crate.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::SystemTime;

/// Watches files. Call [`changed`](Watcher::changed) about once a second: a change is told when two
/// looks in a row found the files the same, so that a file that is being written is left alone.
///
/// It looks by path, so an editor that writes beside and renames is followed; while a file is missing
/// (between its two renames, or for good) nothing is told.
#[derive(Debug)]
pub struct Watcher {
    paths: Vec<PathBuf>,
    /// As they were when last told of.
    known: Vec<Option<Stamp>>,
    /// As they were at the last look.
    last: Vec<Option<Stamp>>,
}

/// What a file looks like from outside. `None` in its place: it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Watcher {
    /// Watches these files from now on. Make it before the files are read: what changes in between
    /// is then told of.
    pub fn new(paths: Vec<PathBuf>) -> Watcher {
        let known = stamps(&paths);
        Watcher { paths, last: known.clone(), known }
    }

    /// Watches other files from now on; those that it knows already keep what it knows of them.
    pub fn follow(&mut self, paths: Vec<PathBuf>) {
        let mut new = Watcher::new(paths);
        for (i, path) in new.paths.iter().enumerate() {
            if let Some(old) = self.paths.iter().position(|p| p == path) {
                new.known[i] = self.known[old];
                new.last[i] = self.last[old];
            }
        }
        *self = new;
    }

    /// Looks at the files; true once for each change.
    pub fn changed(&mut self) -> bool {
        let now = stamps(&self.paths);
        let settled = now == self.last && now.iter().all(Option::is_some);
        self.last = now;
        let changed = settled && self.last != self.known;
        if changed {
            self.known = self.last.clone();
        }
        changed
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| {
        // Through links: an editor may replace what they point to.
        let file = fs::metadata(path).ok()?;
        Some(Stamp { modified: file.modified().ok(), length: file.len(), inode: file.ino() })
    };
    paths.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::Path;

    /// Looks often enough that a change must have been told.
    fn told(watcher: &mut Watcher) -> usize {
        (0..4).filter(|_| watcher.changed()).count()
    }

    fn put(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_change_is_told_once_and_only_when_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (wall, cameras) = (folder.path().join("wall.toml"), folder.path().join("cameras.csv"));
        put(&wall, "a");
        put(&cameras, "a");
        let mut watcher = Watcher::new(vec![wall.clone(), cameras.clone()]);
        assert_eq!(told(&mut watcher), 0);
        put(&cameras, "a, longer");
        assert!(!watcher.changed(), "it may still be written");
        put(&cameras, "a, longer still");
        assert!(!watcher.changed(), "it was written since the last look");
        assert!(watcher.changed());
        assert_eq!(told(&mut watcher), 0);
    }

    #[test]
    fn an_editor_that_renames_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, beside) = (folder.path().join("wall.toml"), folder.path().join("wall.toml~"));
        put(&path, "one");
        let mut watcher = Watcher::new(vec![path.clone()]);
        // Written beside and renamed over it, with the same length.
        put(&beside, "two");
        fs::rename(&beside, &path).unwrap();
        assert_eq!(told(&mut watcher), 1);
        // Moved away, and written anew a little later.
        fs::rename(&path, &beside).unwrap();
        assert_eq!(told(&mut watcher), 0, "a missing file is no reason to reload");
        put(&path, "three");
        assert_eq!(told(&mut watcher), 1);
        put(&path, "four!");
        assert_eq!(told(&mut watcher), 1, "the new file is watched as the old one was");
    }

    #[test]
    fn other_files_are_followed_after_a_reload() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        put(&a, "1");
        put(&b, "1");
        let mut watcher = Watcher::new(vec![a.clone()]);
        put(&a, "12");
        watcher.follow(vec![a.clone(), b.clone()]);
        assert_eq!(told(&mut watcher), 1, "what changed before is not forgotten");
        put(&b, "12");
        assert_eq!(told(&mut watcher), 1);
    }
}
