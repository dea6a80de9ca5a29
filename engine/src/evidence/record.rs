//! From the files of a job to their entries in the manifest: names and sums.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::manifest::{OutputFile, SourceFile};
use super::sum::{NotOpened, Sum, open_below, open_file, sum};
use crate::base::{Error, ErrorKind, Result};

/// The entries of files that were read.
pub(super) fn sources(beside: &Path, paths: &[PathBuf]) -> Result<Vec<SourceFile>> {
    if paths.is_empty() {
        return Err(refuse("evidence", "needs a source that is a file"));
    }
    let folder = canonical(beside)?;
    let real = paths.iter().map(|path| canonical(path)).collect::<Result<Vec<_>>>()?;
    let outside: Vec<&PathBuf> = real.iter().filter(|path| !path.starts_with(&folder)).collect();
    let common = common_folder(&outside);
    let mut names = HashSet::new();
    let mut entries = Vec::new();
    for (path, real) in paths.iter().zip(&real) {
        let elsewhere = !real.starts_with(&folder);
        let name = name_below(if elsewhere { &common } else { &folder }, real)?;
        // The same file may be read twice by a job; it is one source.
        if !names.insert((name.clone(), elsewhere)) {
            continue;
        }
        let file = open_file(real).map_err(|why| not_opened(path, why))?;
        let Sum { bytes, sha256 } = steady_sum(path, file)?;
        entries.push(SourceFile { name, elsewhere, bytes, sha256 });
    }
    Ok(entries)
}

/// The entries of files that were written, and the folders that hold nothing else; sorted.
pub(super) fn outputs(beside: &Path, paths: &[PathBuf]) -> Result<(Vec<OutputFile>, Vec<String>)> {
    let folder = canonical(beside)?;
    let (mut names, mut folders) = (Vec::new(), Vec::new());
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
            let failed =
                |e| Error::new(ErrorKind::Io, path.display().to_string(), "cannot be read").caused_by(e);
            for file in files_below(&real).map_err(failed)? {
                names.push(name_below(&folder, &file)?);
            }
            folders.push(name);
        } else {
            names.push(name);
        }
    }
    names.sort();
    names.dedup();
    folders.sort();
    folders.dedup();
    let entry = |name: String| {
        let path = beside.join(&name);
        let file = open_below(&folder, &name).map_err(|why| not_opened(&path, why))?;
        let Sum { bytes, sha256 } = steady_sum(&path, file)?;
        Ok(OutputFile { name, bytes, sha256 })
    };
    Ok((names.into_iter().map(entry).collect::<Result<_>>()?, folders))
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

/// Sums a file that must not change meanwhile.
fn steady_sum(path: &Path, file: File) -> Result<Sum> {
    let failed = |e| Error::new(ErrorKind::Io, path.display().to_string(), "cannot be read").caused_by(e);
    let before = file.metadata().and_then(|m| Ok((m.len(), m.modified()?))).map_err(failed)?;
    let found = sum(&file, &mut |_| {}).map_err(failed)?;
    let after = file.metadata().and_then(|m| Ok((m.len(), m.modified()?))).map_err(failed)?;
    if before != after || found.bytes != after.0 {
        let message = "was written to while it was read; evidence needs files that are complete";
        return Err(Error::new(ErrorKind::Io, path.display().to_string(), message));
    }
    Ok(found)
}

fn name_below(folder: &Path, path: &Path) -> Result<String> {
    let below = path.strip_prefix(folder).ok().and_then(Path::to_str);
    let name = below.ok_or_else(|| {
        refuse(path.display(), "has a name that is not UTF-8, which a manifest cannot hold; rename it")
    })?;
    Ok(name.to_owned())
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
        NotOpened::Refused(e) => {
            Error::new(ErrorKind::Io, path.display().to_string(), "cannot be read").caused_by(e)
        }
    }
}

fn refuse(subject: impl ToString, message: &'static str) -> Error {
    Error::new(ErrorKind::Config, subject.to_string(), message)
}
