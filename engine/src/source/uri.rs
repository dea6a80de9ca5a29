//! Where a camera is: parsed, checked, parted from its credentials, and safe to print.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

pub use crate::base::Login;
use crate::base::{Error, ErrorKind, Result, names};

/// What kind of source a URI names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UriKind {
    /// `rtsp://`.
    Rtsp,
    /// `rtsps://`: RTSP over TLS.
    Rtsps,
    /// A file: a path, or `file://`.
    File,
    /// `srt://`: MPEG-TS over SRT.
    Srt,
    /// `http://` or `https://`: HLS, MPEG-TS, progressive files, MJPEG.
    Http,
    /// `udp://`: MPEG-TS in datagrams, unicast or multicast.
    Udp,
}

/// The schemes that [`CameraUri`] takes, for messages and help.
pub const SCHEMES: &str = "rtsp, rtsps, srt, http, https, udp, file, or a path";

/// What is wrong with an address. Holds no part of it but the scheme, which is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFault<'a> {
    /// Nothing stands there.
    Empty,
    /// It does not begin as an address does.
    NoAddress,
    /// No source has this scheme.
    UnknownScheme(&'a str),
    /// The scheme is right and the rest is not.
    Malformed(&'a str, url::ParseError),
    /// A scheme that needs a host has none.
    NoHost(&'a str),
    /// `file://` without a path of this machine.
    NoFile,
    /// A user name where the scheme takes none.
    NoLoginHere(&'a str),
}

impl From<AddressFault<'_>> for Error {
    fn from(fault: AddressFault<'_>) -> Error {
        match fault {
            AddressFault::Empty => config("", "the address is empty"),
            AddressFault::NoAddress => config("", format!("not an address; use {SCHEMES}")),
            AddressFault::UnknownScheme(scheme) => config(
                format!("{}://…", scheme.to_ascii_lowercase()),
                format!("unknown scheme; use {SCHEMES}"),
            ),
            AddressFault::Malformed(scheme, error) => {
                let hint = "percent-encode `@ : / # ? %` in a user name or password, or use a secrets file";
                config(format!("{scheme}://…"), format!("not a valid address ({error}); {hint}"))
            }
            AddressFault::NoHost(scheme) => config(format!("{scheme}://…"), "the host is missing"),
            AddressFault::NoFile => config("file://…", "not a path on this machine"),
            AddressFault::NoLoginHere(scheme) => {
                config(format!("{scheme}://…"), "takes no user name and password")
            }
        }
    }
}

/// A checked address of a camera or a file, parted from its user name and password. `Display` and
/// `Debug` are [`Redacted`] (invariant 7: no credential in a log, an error or a report).
#[derive(Clone, PartialEq, Eq)]
pub struct CameraUri {
    kind: UriKind,
    place: Target,
    login: Option<Login>,
}

#[derive(Clone, PartialEq, Eq)]
enum Target {
    /// Never has user info.
    Url(Url),
    Path(PathBuf),
}

impl CameraUri {
    /// Parses an address. The error names the fault and shows no part of the text that may hold a
    /// credential.
    pub fn parse(text: &str) -> Result<CameraUri> {
        Ok(CameraUri::read(text)?)
    }

    /// Parses an address; the fault is for one who knows more of where it stands.
    pub fn read(text: &str) -> std::result::Result<CameraUri, AddressFault<'_>> {
        let whole = text;
        let text = text.trim();
        let Some((scheme, _)) = text.split_once("://") else {
            // The name of a file may begin or end with a space.
            return if text.is_empty() { Err(AddressFault::Empty) } else { Ok(CameraUri::file(whole)) };
        };
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "rtsp" | "rtspt" | "rtspu" => UriKind::Rtsp,
            "rtsps" => UriKind::Rtsps,
            "file" => UriKind::File,
            "srt" => UriKind::Srt,
            "http" | "https" => UriKind::Http,
            "udp" => UriKind::Udp,
            _ if scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
                return Err(AddressFault::UnknownScheme(scheme));
            }
            _ => return Err(AddressFault::NoAddress),
        };
        if kind == UriKind::File {
            return names::path_of(text).map(CameraUri::file).ok_or(AddressFault::NoFile);
        }
        let mut url = match kind {
            // FFmpeg's `udp://@group:port` has an empty user: it means no more than `udp://group:port`.
            // `srt://:9000?mode=listener` listens on every address.
            UriKind::Udp | UriKind::Srt => {
                let text =
                    if kind == UriKind::Udp { text.replacen("://@", "://", 1) } else { text.to_owned() };
                Url::parse(&text.replacen("://:", "://0.0.0.0:", 1))
            }
            _ => Url::parse(text),
        }
        .map_err(|e| AddressFault::Malformed(scheme, e))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(AddressFault::NoHost(scheme));
        }
        let login = split_login(&mut url).map_err(|()| AddressFault::NoLoginHere(scheme))?;
        if kind == UriKind::Rtsp && url.scheme() != "rtsp" {
            let rest = url.as_str().split_once(':').map(|(_, rest)| format!("rtsp:{rest}"));
            if let Some(plain) = rest.and_then(|r| Url::parse(&r).ok()) {
                url = plain;
            }
        }
        Ok(CameraUri { kind, place: Target::Url(url), login })
    }

    /// A file on this machine.
    pub fn file(path: impl Into<PathBuf>) -> CameraUri {
        CameraUri { kind: UriKind::File, place: Target::Path(path.into()), login: None }
    }

    /// What kind of source it is.
    pub fn kind(&self) -> UriKind {
        self.kind
    }

    /// The user name and password that stood in the address, percent-decoded.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// The address without user info; `None` for a file. Its query may hold secrets: never print it.
    pub fn url(&self) -> Option<&Url> {
        match &self.place {
            Target::Url(url) => Some(url),
            Target::Path(_) => None,
        }
    }

    /// The path of a file.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Target::Path(path) => Some(path),
            Target::Url(_) => None,
        }
    }

    /// The host, where there is one.
    pub fn host(&self) -> Option<&str> {
        self.url().and_then(Url::host_str)
    }

    /// The address as people may see it.
    pub fn redacted(&self) -> Redacted<'_> {
        Redacted(self)
    }

    /// A message of a library, without what this address holds of secrets: a library's error may
    /// repeat the URL that it was given.
    pub fn scrub(&self, text: &str, login: Option<&Login>) -> String {
        let mut text = scrub_urls(text);
        let logins = self.login.iter().chain(login);
        let secrets = logins.flat_map(|l| [&l.password, &l.user]).cloned();
        let query = self.url().into_iter().flat_map(|url| {
            url.query_pairs()
                .filter(|(key, _)| !is_harmless(key))
                .map(|(_, v)| v.into_owned())
                .collect::<Vec<_>>()
        });
        for secret in secrets.chain(query) {
            // A secret of a character or two occurs in any text; its URL form is gone already.
            if secret.len() >= 3 {
                text = text.replace(&secret, "…");
            }
        }
        text
    }
}

impl FromStr for CameraUri {
    type Err = Error;
    fn from_str(text: &str) -> Result<CameraUri> {
        CameraUri::parse(text)
    }
}

impl fmt::Display for CameraUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.redacted().fmt(f)
    }
}

impl fmt::Debug for CameraUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraUri({})", self.redacted())
    }
}

/// An address as people may see it: no user info, no path segment that carries a password, and
/// only those query values that are known to be harmless.
#[derive(Clone, Copy)]
pub struct Redacted<'a>(&'a CameraUri);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.place {
            Target::Path(path) => write!(f, "{}", path.display()),
            Target::Url(url) => f.write_str(&redact_url(url)),
        }
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn config(subject: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, subject.into(), message.into())
}

fn split_login(url: &mut Url) -> std::result::Result<Option<Login>, ()> {
    let (user, password) = (percent_decode(url.username()), percent_decode(url.password().unwrap_or("")));
    if user.is_empty() && password.is_empty() {
        return Ok(None);
    }
    url.set_username("").and_then(|()| url.set_password(None))?;
    Ok(Some(Login { user, password }))
}

/// Undoes `%41`; a stray `%` stays as it is, as people write passwords without encoding them.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Query keys whose values say which stream is meant, and nothing that opens it.
fn is_harmless(key: &str) -> bool {
    const HARMLESS: [&str; 22] = [
        "camera",
        "channel",
        "codec",
        "compression",
        "fps",
        "latency",
        "mode",
        "profile",
        "proto",
        "resolution",
        "stream",
        "streamid",
        "streamtype",
        "subtype",
        "transport",
        "transportmode",
        "trackid",
        "unicast",
        "videocodec",
        "pkt_size",
        "pbkeylen",
        "id",
    ];
    // An SRT `streamid` often carries a user and a token; it is not harmless there, nor anywhere.
    key != "streamid" && HARMLESS.contains(&key.to_ascii_lowercase().as_str())
}

fn redact_url(url: &Url) -> String {
    let mut out = format!("{}://", url.scheme());
    if let Some(host) = url.host_str() {
        out.push_str(host);
    }
    if let Some(port) = url.port() {
        out.push_str(&format!(":{port}"));
    }
    // Some cameras take `/user=admin&password=…&channel=1.sdp` as a path; and what stands before an
    // `@` in a path may be the rest of a password whose `/` was not encoded.
    let secret = |segment: &str| {
        let lower = segment.to_ascii_lowercase();
        ["pass", "pwd", "user=", "token", "key="].iter().any(|word| lower.contains(word))
    };
    let (hidden, path) = url.path().rsplit_once('@').map_or((false, url.path()), |(_, rest)| (true, rest));
    let path: Vec<&str> = path.split('/').map(|s| if secret(s) { "…" } else { s }).collect();
    if hidden {
        out.push_str("/…");
    }
    out.push_str(&path.join("/"));
    if let Some(query) = url.query().filter(|q| !q.is_empty()) {
        let harmless = |pair: &&str| is_harmless(pair.split('=').next().unwrap_or_default());
        let shown: Vec<&str> =
            query.split('&').map(|pair| if harmless(&pair) { pair } else { "…" }).collect();
        out.push('?');
        out.push_str(&shown.join("&"));
    }
    out
}

/// Redacts every URL in a text.
fn scrub_urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, word) in text.split(' ').enumerate() {
        if i > 0 {
            out.push(' ');
        }
        let Some(at) = word.find("://") else {
            out.push_str(word);
            continue;
        };
        let start = word[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |n| n + 1);
        let end = word[at..].find(['"', '\'', '`', '\n', ')', '>', ',']).map_or(word.len(), |n| at + n);
        out.push_str(&word[..start]);
        match CameraUri::parse(&word[start..end]) {
            Ok(uri) => out.push_str(&uri.to_string()),
            Err(_) => out.push('…'),
        }
        out.push_str(&word[end..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> CameraUri {
        CameraUri::parse(text).expect("a valid address")
    }

    #[test]
    fn credentials_are_parted_and_decoded() {
        for (text, user, password) in [
            ("rtsp://admin:s3cret@10.0.0.1/live", "admin", "s3cret"),
            ("rtsp://admin:p%40ss%3A1@10.0.0.1:8554/live", "admin", "p@ss:1"),
            ("rtsp://admin:p@ss@10.0.0.1/live", "admin", "p@ss"),
            ("rtsps://op%C3%A9:x%@cam.example/1", "opé", "x%"),
        ] {
            let uri = parse(text);
            assert_eq!(uri.login(), Some(&Login { user: user.into(), password: password.into() }), "{uri}");
            assert_eq!(uri.url().map(|u| u.username().is_empty() && u.password().is_none()), Some(true));
        }
        assert_eq!(parse("rtsp://10.0.0.1/live").login(), None);
    }

    #[test]
    fn each_scheme_has_its_kind() {
        for (text, kind) in [
            ("rtsp://h/x", UriKind::Rtsp),
            ("RTSP://h/x", UriKind::Rtsp),
            ("rtsps://h/x", UriKind::Rtsps),
            ("srt://h:9000?mode=caller", UriKind::Srt),
            ("srt://:9000?mode=listener", UriKind::Srt),
            ("https://h/live.m3u8", UriKind::Http),
            ("udp://@239.1.1.1:5004", UriKind::Udp),
            ("file:///tmp/a%20b.mp4", UriKind::File),
            ("clips/gate.mp4", UriKind::File),
        ] {
            assert_eq!(parse(text).kind(), kind, "{text}");
        }
        assert_eq!(parse("file:///tmp/a%20b.mp4").path(), Some(Path::new("/tmp/a b.mp4")));
        assert_eq!(parse("udp://@239.1.1.1:5004").to_string(), "udp://239.1.1.1:5004");
    }

    #[test]
    fn nothing_secret_is_printed() {
        for text in [
            "rtsp://admin:hunter2@10.0.0.1:554/cam/realmonitor?channel=1&subtype=0",
            "rtsp://10.0.0.1/user=admin_password=hunter2_channel=1_stream=0.sdp",
            "rtsp://10.0.0.1/live?channel=1&pwd=hunter2",
            "rtsp://10.0.0.1/live?hunter2",
            "srt://10.0.0.1:9000?passphrase=hunter2&latency=20",
            "srt://10.0.0.1:9000?streamid=hunter2",
            "https://hunter2:x@h/a.m3u8?token=hunter2",
        ] {
            let uri = parse(text);
            for shown in [
                format!("{uri}"),
                format!("{uri:?}"),
                format!("{:?}", uri.redacted()),
                format!("{:?}", uri.login()),
            ] {
                assert!(!shown.contains("hunter2"), "{shown}");
            }
            assert!(!uri.scrub(&format!("cannot open \"{text}\""), None).contains("hunter2"));
        }
        let shown = parse("rtsp://a:b@10.0.0.1:8554/cam/realmonitor?channel=1&subtype=0").to_string();
        assert_eq!(shown, "rtsp://10.0.0.1:8554/cam/realmonitor?channel=1&subtype=0");
    }

    #[test]
    fn faults_are_named_without_the_text() {
        for text in [
            "rtsp://admin:hunter2/x@:x/",
            "gopher://hunter2@h/",
            "rtsp://",
            "",
            "hunter2 ://x",
            "rtsp://u:hunter2@/x",
        ] {
            let error = CameraUri::parse(text).expect_err("not an address");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_password_never_shows(password in "[a-z0-9@:%#/?&=]{6,20}", garbage in "\\PC{0,60}") {
            let text = format!("rtsp://operator:Q{password}Q@10.0.0.1/{garbage}");
            match CameraUri::parse(&text) {
                Ok(uri) => {
                    let shown = format!("{uri} {uri:?}");
                    // The end of a password whose `@` and `/` were not encoded.
                    prop_assert!(!shown.contains("Q@"));
                    // A password of one letter may stand in the rest of the address by chance.
                    if let Some(login) = uri.login().filter(|l| !garbage.contains(&l.password)) {
                        prop_assert!(!shown.contains(&login.password));
                    }
                }
                Err(error) => {
                    let secret = format!("Q{password}Q");
                    let shown = format!("{error} {error:?}");
                    prop_assert!(!shown.contains(&secret));
                }
            }
        }
    }
}
