//! Names of files: any bytes that the system allows, in text, in JSON, and beside each other.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The most bytes of a name: `NAME_MAX` of the file systems in use.
pub const LONGEST: usize = 255;

/// A path as text that loses nothing: itself, or where it is not UTF-8 a `file://` address. JSON has paths
/// so, and arguments, job files and wall files take them so.
pub fn lossless(path: impl AsRef<OsStr>) -> String {
    let path = path.as_ref();
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => {
            let whole = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
            let slash = if path.as_bytes().ends_with(b"/") { "/" } else { "" };
            format!("file://{}{slash}", encoded(whole.as_os_str()).trim_end_matches('/'))
        }
    }
}

/// The path that a text means: itself, or what a `file://` address says. `None` for a `file://` address of
/// another machine, or of nothing.
pub fn path_of(text: &str) -> Option<PathBuf> {
    let is_url = text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file://"));
    if !is_url {
        return Some(PathBuf::from(text));
    }
    let rest = &text[7..];
    let (host, path) = rest.split_at(rest.find('/')?);
    if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
        return None;
    }
    // By hand: a parser of addresses takes `..` out by text, but behind a link it leads somewhere else.
    let path = path.split(['?', '#']).next().filter(|path| path.len() > 1)?;
    Some(OsString::from_vec(unescaped(path)).into())
}

/// `%` and two hexadecimal digits are a byte; all else stays as it is.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while let [first, others @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => digit(high).zip(digit(low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    bytes
}

/// [`lossless`], for fields of JSON.
///
/// # Errors
/// The serialiser's.
pub fn serialize<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&lossless(path))
}

/// The same, for fields that may be empty.
///
/// # Errors
/// The serialiser's.
pub fn serialize_some<S: serde::Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => serializer.serialize_some(&lossless(path)),
        None => serializer.serialize_none(),
    }
}

/// The bytes of a name or a relative path as plain text: all but letters, digits and `/-._~` as `%` and two
/// hexadecimal digits.
pub fn encoded(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(*byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(*byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// What [`encoded`] wrote; `None` for text that it would not have written.
pub fn decoded(text: &str) -> Option<OsString> {
    let name = OsString::from_vec(unescaped(text));
    (encoded(&name) == text).then_some(name)
}

/// A path beside `path`, of `before`, its name and `after`. A name that would be too long with them is cut,
/// and told from others by a sum of the whole.
pub fn beside(path: &Path, before: &str, after: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    let mut beside = OsString::from(before);
    beside.push(fitting(name, before.len() + after.len()));
    beside.push(after);
    path.with_file_name(beside)
}

/// A name that leaves room for so many bytes more: itself, or cut and with a sum of the whole.
pub fn fitting(name: &OsStr, more: usize) -> OsString {
    let room = LONGEST.saturating_sub(more);
    if name.len() <= room {
        return name.to_owned();
    }
    let sum = format!("~{:016x}", sum(name.as_bytes()));
    let mut end = room.saturating_sub(sum.len()).min(name.len());
    // Not within a character.
    while end > 0 && name.as_bytes().get(end).is_some_and(|b| b & 0xc0 == 0x80) {
        end -= 1;
    }
    let mut cut = OsString::from_vec(name.as_bytes()[..end].to_vec());
    cut.push(sum);
    cut
}

/// FNV-1a, 64 bits: the same in every run, and no secret.
fn sum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A way to a file in text, for libraries that take no other: through the folder, held open, where the path
/// is not UTF-8.
#[derive(Debug)]
pub struct TextPath {
    text: String,
    _folder: Option<File>,
}

impl TextPath {
    /// To a file that need not be there, in a folder that is; `None` where its own name is not UTF-8.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn to(path: &Path) -> std::io::Result<Option<TextPath>> {
        if let Some(text) = path.to_str() {
            return Ok(Some(TextPath { text: text.to_owned(), _folder: None }));
        }
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { return Ok(None) };
        let folder =
            File::open(path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        let text = format!("/proc/self/fd/{}/{name}", folder.as_raw_fd());
        Ok(Some(TextPath { text, _folder: Some(folder) }))
    }

    /// The text; good as long as this lives.
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn latin1() -> &'static OsStr {
        OsStr::from_bytes(b"/rec/caf\xe9 1%.mp4")
    }

    #[test]
    fn a_name_that_is_no_text_is_told_by_its_bytes() {
        assert_eq!(encoded(latin1()), "/rec/caf%E9%201%25.mp4");
        for name in [latin1(), OsStr::new("plain-1.mp4"), OsStr::new("a/b c.mp4")] {
            assert_eq!(decoded(&encoded(name)).unwrap(), name);
        }
        for wrong in ["a b", "a%2", "a%zz", "caf%e9.mp4", "%41%E9", "a%2Fb", "caf\u{e9}"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_path_goes_through_text_and_back() {
        for name in [&b"plain.mp4"[..], b"a%41.mp4", b"odd\nname", b"-x"] {
            let name = OsStr::from_bytes(name);
            assert_eq!(lossless(name), name.to_str().unwrap());
            assert_eq!(path_of(&lossless(name)).unwrap(), Path::new(name));
        }
        assert_eq!(lossless(latin1()), "file:///rec/caf%E9%201%25.mp4");
        assert_eq!(path_of(&lossless(latin1())).unwrap(), Path::new(latin1()));
        let relative = OsStr::from_bytes(b"b\xff/");
        assert!(lossless(relative).ends_with("/b%FF/"), "{}", lossless(relative));
        assert_eq!(path_of(&lossless(relative)).unwrap(), std::env::current_dir().unwrap().join(relative));
        for none in ["file:///", "file://elsewhere/x", "file://", "file://localhost", "file:///?x"] {
            assert_eq!(path_of(none), None, "{none}");
        }
        for (text, path) in [
            ("FILE://localhost/a%20b", "/a b"),
            ("file:///100%/%zz", "/100%/%zz"),
            ("file:///a%3F?b#c", "/a?"),
            ("file:///caf\u{e9}", "/caf\u{e9}"),
        ] {
            assert_eq!(path_of(text).unwrap(), Path::new(path), "{text}");
        }
    }

    /// What lies above the folder that a link leads to is not what lies above the link.
    #[test]
    fn a_way_up_behind_a_link_leads_to_the_same_file_in_text() {
        let dir = tempfile::tempdir().unwrap();
        let name = OsStr::from_bytes(b"caf\xe9.mp4");
        std::fs::create_dir_all(dir.path().join("far/folder")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("far/folder"), dir.path().join("link")).unwrap();
        std::fs::write(dir.path().join("far").join(name), "meant").unwrap();
        std::fs::write(dir.path().join(name), "another").unwrap();
        let path = dir.path().join("link/..").join(name);
        let told = path_of(&lossless(&path)).unwrap();
        assert_eq!(std::fs::read(told).unwrap(), b"meant");
    }

    #[test]
    fn names_beside_a_long_one_are_not_too_long() {
        assert_eq!(beside(Path::new("out/a.mp4"), ".", ".part"), Path::new("out/.a.mp4.part"));
        let long = "l".repeat(251) + ".mp4";
        let other = "l".repeat(250) + "k.mp4";
        let names: Vec<PathBuf> =
            [&long, &other].map(|n| beside(&Path::new("out").join(n), ".", ".part")).into();
        assert!(names.iter().all(|n| n.file_name().unwrap().len() == LONGEST), "{names:?}");
        assert_ne!(names[0], names[1]);
        let wide = "\u{e9}".repeat(127);
        assert!(fitting(OsStr::new(&wide), 40).to_str().is_some(), "characters stay whole");
        let bytes = OsString::from_vec(vec![0xe9; 255]);
        assert!(fitting(&bytes, 40).len() <= LONGEST - 40);
    }

    #[test]
    fn a_way_leads_into_folders_of_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(OsStr::from_bytes(b"caf\xe9"));
        std::fs::create_dir(&folder).unwrap();
        let way = TextPath::to(&folder.join("a.mp4")).unwrap().unwrap();
        std::fs::write(way.text(), "x").unwrap();
        assert_eq!(std::fs::read(folder.join("a.mp4")).unwrap(), b"x");
        assert!(TextPath::to(&folder.join(OsStr::from_bytes(b"\xe9"))).unwrap().is_none());
        assert_eq!(TextPath::to(Path::new("a.mp4")).unwrap().unwrap().text(), "a.mp4");
    }
}
