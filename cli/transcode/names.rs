//! Names of files as people and programs are told them.

use std::fmt;
use std::path::Path;

use vitrail_engine::base::names::lossless;

use crate::terminal::shown;

/// A name of a file. `Display` is for a terminal: nothing in it moves a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    text: String,
    exact: String,
}

impl Name {
    /// As errors have it: what is not UTF-8 of it is replaced.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// For programs: nothing of it is lost.
    pub fn exact(&self) -> &str {
        &self.exact
    }
}

impl From<&Path> for Name {
    fn from(path: &Path) -> Name {
        Name { text: path.display().to_string(), exact: lossless(path) }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Name {
        Name::from(Path::new(text))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_name_is_told_whole_and_moves_no_cursor() {
        let odd = Name::from(Path::new(OsStr::from_bytes(b"/caf\xe9\x1b[2J.mp4")));
        assert_eq!((odd.as_str(), odd.exact()), ("/caf\u{fffd}\u{1b}[2J.mp4", "file:///caf%E9%1B%5B2J.mp4"));
        assert_eq!(odd.to_string(), "/caf\u{fffd}\\u{1b}[2J.mp4");
        assert_eq!(Name::from("caf\u{e9}.mp4").exact(), "caf\u{e9}.mp4");
    }
}
