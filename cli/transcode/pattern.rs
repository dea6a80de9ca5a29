//! Patterns of file names: `*`, `?`, `[abc]` and `**`. Names are bytes: what is not UTF-8 of one counts as
//! one odd character each.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, PatternError};
use vitrail_engine::{Error, ErrorKind};

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// True where a text has a wildcard.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// A pattern, part by part.
pub struct Pattern(Vec<Part>);

enum Part {
    /// A name as it is.
    Plain(PathBuf),
    /// A name with wildcards.
    Like(glob::Pattern),
    /// `**`: any folders, or none.
    Folders,
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        // What is wrong with the whole has its place in it.
        glob::Pattern::new(text)?;
        let part = |part: Component<'_>| -> Result<Part, PatternError> {
            let path = PathBuf::from(part.as_os_str());
            Ok(match path.to_str() {
                Some("**") => Part::Folders,
                Some(text) if is_pattern(text) => Part::Like(glob::Pattern::new(text)?),
                _ => Part::Plain(path),
            })
        };
        Path::new(text).components().map(part).collect::<Result<_, _>>().map(Pattern)
    }

    /// What there is of it below `folder`, by name; and the folders that could not be read.
    pub fn find(&self, folder: &Path) -> (Vec<PathBuf>, Vec<(PathBuf, Error)>) {
        let mut search = Search::default();
        search.below(folder, &self.0);
        (search.found, search.failed)
    }
}

/// What a folder that cannot be read means.
pub fn unread(folder: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, folder.display().to_string(), "cannot be read").caused_by(error)
}

#[derive(Default)]
struct Search {
    found: Vec<PathBuf>,
    seen: HashSet<PathBuf>,
    failed: Vec<(PathBuf, Error)>,
}

impl Search {
    fn below(&mut self, folder: &Path, parts: &[Part]) {
        let Some((first, rest)) = parts.split_first() else {
            // Several `**` find a file on more than one way.
            if folder.exists() && self.seen.insert(folder.to_owned()) {
                self.found.push(folder.to_owned());
            }
            return;
        };
        match first {
            Part::Plain(name) => self.below(&folder.join(name), rest),
            Part::Like(pattern) => {
                for (name, path) in self.names(folder) {
                    if pattern.matches_with(&name, OPTIONS) {
                        self.below(&path, rest);
                    }
                }
            }
            Part::Folders => {
                if !rest.is_empty() {
                    self.below(folder, rest);
                }
                // What is hidden is meant only where a part of the pattern begins with a dot.
                let seen = self.names(folder).into_iter().filter(|(name, _)| !name.starts_with('.'));
                for (_, path) in seen {
                    // A linked folder could lead back to where it is.
                    if path.is_dir() && !path.is_symlink() {
                        self.below(&path, parts);
                    } else if rest.is_empty() {
                        self.below(&path, rest);
                    }
                }
            }
        }
    }

    /// What is in a folder, sorted; nothing where it is none.
    fn names(&mut self, folder: &Path) -> Vec<(String, PathBuf)> {
        let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if !place.is_dir() {
            return Vec::new();
        }
        let read = std::fs::read_dir(place).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = match read {
            Ok(entries) => entries,
            Err(e) => {
                self.failed.push((place.to_owned(), unread(place, e)));
                return Vec::new();
            }
        };
        entries.sort_by_key(std::fs::DirEntry::file_name);
        let named = |entry: std::fs::DirEntry| {
            let name = entry.file_name();
            (name.to_string_lossy().into_owned(), folder.join(name))
        };
        entries.into_iter().map(named).collect()
    }
}
