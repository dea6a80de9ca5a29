//! From the files of a job to their entries in the manifest: names and sums.

use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::manifest::{FORMAT, FORMAT_BYTES, OutputFile, SourceFile};
use super::sum::{NotOpened, Sum, open_below, sum};
use super::{Progress, Source};
use crate::base::{Error, ErrorKind, Result, Shutdown, names};

/// A file that goes into the manifest.
pub(super) struct Found {
    /// Where it lies below `folder`.
    name: OsString,
    /// It does not lie below the manifest's folder.
    elsewhere: bool,
    /// The folder that `name` counts from, without links.
    folder: PathBuf,
    /// What it is known to hold.
    known: Option<Sum>,
}

/// The files that were read, each once.
pub(super) fn find_sources(beside: &Path, sources: &[Source]) -> Result<Vec<Found>> {
    if sources.is_empty() {
        return Err(refuse("evidence", "needs a source that is a file"));
    }
    let folder = canonical(beside)?;
    let real = sources.iter().map(|source| canonical(&source.path)).collect::<Result<Vec<_>>>()?;
    let outside: Vec<&PathBuf> = real.iter().filter(|path| !path.starts_with(&folder)).collect();
    let common = common_folder(&outside);
    let mut known = HashSet::new();
    let once = real.iter().zip(sources).filter(|(path, _)| known.insert(path.to_path_buf()));
    let found = once.map(|(path, source)| {
        let elsewhere = !path.starts_with(&folder);
        let folder = if elsewhere { &common } else { &folder };
        let known = source.held.as_ref().map(|held| held.0.clone());
        Ok(Found { name: name_below(folder, path)?, elsewhere, folder: folder.clone(), known })
    });
    found.collect()
}

/// The files that were written, by name, and the folders that hold nothing else.
pub(super) fn find_outputs(beside: &Path, paths: &[PathBuf]) -> Result<(Vec<Found>, Vec<OsString>)> {
    let folder = canonical(beside)?;
    let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
    for path in paths {
        let Some(last) = path.file_name() else {
            return Err(refuse(path.display(), "is no file name"));
        };
        let parent = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let real = canonical(parent)?.join(last);
        if !real.starts_with(&folder) {
            return Err(refuse(path.display(), "lies outside the folder of the evidence; write it there"));
        }
        let name = name_below(&folder, &real)?;
        if real.symlink_metadata().is_ok_and(|about| about.is_dir()) {
            for inside in files_below(&real).map_err(|e| unreadable(path, e))? {
                files.insert(name_below(&folder, &inside)?);
            }
            folders.insert(name);
        } else {
            files.insert(name);
        }
    }
    let found = |name| Found { name, elsewhere: false, folder: folder.clone(), known: None };
    Ok((files.into_iter().map(found).collect(), folders.into_iter().collect()))
}

/// Reads files for the manifest, tells how far it is, and stops when told to.
pub(super) struct Reader<'a> {
    progress: &'a mut dyn FnMut(Progress),
    stop: &'a Shutdown,
    done: Progress,
}

impl<'a> Reader<'a> {
    pub(super) fn new(progress: &'a mut dyn FnMut(Progress), stop: &'a Shutdown) -> Self {
        Reader { progress, stop, done: Progress::default() }
    }

    /// What will be read, for the progress.
    pub(super) fn expect<'f>(&mut self, files: impl Iterator<Item = &'f Found>) {
        let unknown = files.filter(|f| f.known.is_none());
        self.done.of = unknown.filter_map(|f| Some(f.folder.join(&f.name).metadata().ok()?.len())).sum();
    }

    pub(super) fn source(&mut self, found: Found, form: Form) -> Result<SourceFile> {
        let known = found.known.clone();
        let Sum { bytes, sha256 } = known.map_or_else(|| self.sum(&found), Ok)?;
        Ok(SourceFile { name: form.spell(&found.name), elsewhere: found.elsewhere, bytes, sha256 })
    }

    pub(super) fn output(&mut self, found: Found, form: Form) -> Result<OutputFile> {
        let Sum { bytes, sha256 } = self.sum(&found)?;
        Ok(OutputFile { name: form.spell(&found.name), bytes, sha256 })
    }

    /// The sum of a file that must not change meanwhile.
    fn sum(&mut self, found: &Found) -> Result<Sum> {
        let path = found.folder.join(&found.name);
        let file = open_below(&found.folder, Path::new(&found.name)).map_err(|why| not_opened(&path, why))?;
        self.whole(&file, &path)
    }

    /// The sum of an open file that must not change meanwhile.
    pub(super) fn whole(&mut self, mut file: &File, path: &Path) -> Result<Sum> {
        let failed = |e| unreadable(path, e);
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let state = || file.metadata().and_then(|m| Ok((m.len(), m.modified()?))).map_err(failed);
        let before = state()?;
        let read = sum(file, &mut |bytes| {
            self.done.bytes += bytes;
            (self.progress)(self.done);
            if self.stop.is_cancelled() { Err(io::Error::other("stopped")) } else { Ok(()) }
        });
        let read = read.map_err(failed)?;
        if state()? != before || read.bytes != before.0 {
            let message = "was written to while it was read; evidence needs files that are complete";
            return Err(Error::new(ErrorKind::Io, path.display().to_string(), message));
        }
        Ok(read)
    }
}

/// All that lies below a folder and is no folder itself. Links are told, not followed.
pub(super) fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => todo.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    Ok(found)
}

fn name_below(folder: &Path, path: &Path) -> Result<OsString> {
    let below = path.strip_prefix(folder).ok();
    let name = below.ok_or_else(|| refuse(path.display(), "does not lie where it was found"))?;
    Ok(name.as_os_str().to_owned())
}

/// How names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Text,
    /// Their bytes.
    Bytes,
}

impl Form {
    /// The form that loses nothing of these.
    pub(super) fn for_all<'a>(found: impl Iterator<Item = &'a Found>, folders: &'a [OsString]) -> Form {
        let is_text = |name: &OsString| name.to_str().is_some();
        match found.map(|f| &f.name).chain(folders).all(is_text) {
            true => Form::Text,
            false => Form::Bytes,
        }
    }

    /// What the manifest says of its form.
    pub(super) fn name(self) -> &'static str {
        match self {
            Form::Text => FORMAT,
            Form::Bytes => FORMAT_BYTES,
        }
    }

    pub(super) fn spell(self, name: &OsStr) -> String {
        match self {
            Form::Text => name.to_string_lossy().into_owned(),
            Form::Bytes => names::encoded(name),
        }
    }
}

/// The deepest folder that holds them all.
fn common_folder(paths: &[&PathBuf]) -> PathBuf {
    let mut folders = paths.iter().filter_map(|path| path.parent());
    let first = folders.next().unwrap_or(Path::new("/"));
    let common = folders.fold(first, |common, folder| {
        common.ancestors().find(|above| folder.starts_with(above)).unwrap_or(Path::new("/"))
    });
    common.to_owned()
}

fn canonical(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .map_err(|e| Error::new(ErrorKind::Io, path.display().to_string(), "cannot be found").caused_by(e))
}

fn not_opened(path: &Path, why: NotOpened) -> Error {
    match why {
        NotOpened::Missing => Error::new(ErrorKind::Io, path.display().to_string(), "is not there"),
        NotOpened::NoFile(why) => refuse(path.display(), why),
        NotOpened::Refused(e) => unreadable(path, e),
    }
}

fn unreadable(path: &Path, e: io::Error) -> Error {
    Error::new(ErrorKind::Io, path.display().to_string(), "cannot be read").caused_by(e)
}

fn refuse(subject: impl ToString, message: &'static str) -> Error {
    Error::new(ErrorKind::Config, subject.to_string(), message)
}
