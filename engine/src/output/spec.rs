//! Outputs as people write them: text to [`OutputSpec`] and back, without secrets.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use super::{Login, OutputSpec};
use crate::base::names;
use crate::base::{Error, ErrorKind, Result};

/// What the error of an unknown form lists.
const FORMS: &str = "rtsp://[USER:PASSWORD@]HOST:PORT/PATH, rtp://HOST:PORT, \
    srt://HOST:PORT?mode=caller|listener, FILE.mp4, FILE.mkv, PLAYLIST.m3u8, display:, display:full";

impl OutputSpec {
    /// Reads an output as people write it. Errors name the part that is wrong, never a password.
    pub fn parse(text: &str) -> Result<OutputSpec> {
        let whole = text;
        let text = text.trim();
        match text {
            "display:" | "display" => return Ok(OutputSpec::Display { full: false }),
            "display:full" => return Ok(OutputSpec::Display { full: true }),
            _ => {}
        }
        match text.split_once("://") {
            // `file://wall.mkv`, which is no whole address, was always taken, too.
            Some(("file", path)) => file(names::path_of(text).unwrap_or_else(|| path.into())),
            Some((scheme, _)) => network(scheme, text),
            // The name of a file may begin or end with a space.
            None => file(whole.into()),
        }
    }

    /// What kind of output it is, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            OutputSpec::Rtsp { .. } => "rtsp",
            OutputSpec::Rtp { .. } => "rtp",
            OutputSpec::Srt { .. } => "srt",
            OutputSpec::File { .. } => "file",
            OutputSpec::Hls { .. } => "hls",
            OutputSpec::Display { .. } => "display",
        }
    }
}

fn config(subject: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, subject.into(), message.into())
}

fn file(path: PathBuf) -> Result<OutputSpec> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        _ if path.file_stem().is_none() => Err(config("output", format!("is empty; take one of {FORMS}"))),
        "mp4" | "mkv" => Ok(OutputSpec::File { path }),
        "m3u8" => Ok(OutputSpec::Hls { playlist: path }),
        _ => {
            // The text may hold a password behind a mistyped scheme: show no more than its ending.
            Err(config("output", format!("cannot tell a kind by the ending {ending:?}; take one of {FORMS}")))
        }
    }
}

fn network(scheme: &str, text: &str) -> Result<OutputSpec> {
    if !matches!(scheme, "rtsp" | "rtp" | "srt") {
        return Err(config("output", format!("unknown scheme {scheme:?}; take one of {FORMS}")));
    }
    let subject = format!("{scheme}:// output");
    let url = Url::parse(text).map_err(|e| config(subject.clone(), format!("is no address: {e}")))?;
    let option = |key: &str| url.query_pairs().find(|(k, _)| k == key).map(|(_, v)| v.into_owned());
    let known = |keys: &[&str]| match url.query_pairs().find(|(k, _)| !keys.contains(&k.as_ref())) {
        Some((key, _)) => {
            Err(config(subject.clone(), format!("unknown option {key:?}; known: {}", keys.join(", "))))
        }
        None => Ok(()),
    };
    match scheme {
        "rtsp" => {
            known(&[])?;
            let path = url.path().to_owned();
            if path.len() < 2 {
                return Err(config(subject, "lacks a path; write rtsp://HOST:PORT/PATH"));
            }
            Ok(OutputSpec::Rtsp {
                listen: address(&url, Some(8554), &subject)?,
                path,
                login: login(&url, &subject)?,
            })
        }
        "rtp" => {
            known(&["ttl"])?;
            let ttl = match option("ttl") {
                None => 1,
                Some(ttl) => ttl.parse().map_err(|_| config(subject.clone(), "ttl must be 0 to 255"))?,
            };
            let to = address(&url, None, &subject)?;
            if to.port() == 0 {
                return Err(config(subject, "port 0 is no address to send to"));
            }
            Ok(OutputSpec::Rtp { to, ttl })
        }
        _ => {
            known(&["mode", "latency", "passphrase", "pbkeylen", "streamid"])?;
            let mode = option("mode").unwrap_or_else(|| "caller".into());
            if !matches!(mode.as_str(), "caller" | "listener") {
                return Err(config(subject, "mode must be caller or listener"));
            }
            if option("latency").is_some_and(|ms| ms.parse::<u16>().is_err()) {
                return Err(config(subject, "latency must be whole milliseconds, 0 to 65535"));
            }
            // SRT's own limits, srt_setsockopt SRTO_PASSPHRASE.
            if option("passphrase").is_some_and(|p| !(10..=79).contains(&p.len())) {
                return Err(config(subject, "passphrase must have 10 to 79 characters"));
            }
            if url.port().is_none() {
                return Err(config(subject, "lacks a port; write srt://HOST:PORT"));
            }
            if mode == "caller" && url.host_str().unwrap_or_default().is_empty() {
                return Err(config(subject, "lacks the host to call; write srt://HOST:PORT"));
            }
            Ok(OutputSpec::Srt { uri: text.to_owned() })
        }
    }
}

fn address(url: &Url, default_port: Option<u16>, subject: &str) -> Result<SocketAddr> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(config(subject, "lacks a host"));
    }
    let port = url.port().or(default_port).ok_or_else(|| config(subject, "lacks a port; write HOST:PORT"))?;
    let mut found = (host, port)
        .to_socket_addrs()
        .map_err(|e| config(subject, format!("host {host:?} is unknown here")).caused_by(e))?;
    found.next().ok_or_else(|| config(subject, format!("host {host:?} has no address")))
}

fn login(url: &Url, subject: &str) -> Result<Option<Login>> {
    let user = decoded(url.username(), subject)?;
    let password = url.password().map(|p| decoded(p, subject)).transpose()?;
    match (user.is_empty(), password) {
        (true, None) => Ok(None),
        (false, Some(password)) if !password.is_empty() => Ok(Some(Login { user, password })),
        _ => Err(config(subject, "a login needs a user and a password; write rtsp://USER:PASSWORD@HOST…")),
    }
}

/// Undoes percent-encoding.
fn decoded(text: &str, subject: &str) -> Result<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match (digit(bytes.next()), digit(bytes.next())) {
            (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
            _ => return Err(config(subject, "has a % in its login that is no %XX; write %25 for %")),
        }
    }
    String::from_utf8(out).map_err(|_| config(subject, "has a login that is no UTF-8"))
}

impl FromStr for OutputSpec {
    type Err = Error;
    fn from_str(text: &str) -> Result<OutputSpec> {
        OutputSpec::parse(text)
    }
}

impl fmt::Display for OutputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputSpec::Rtsp { listen, path, login } => {
                let login = if login.is_some() { "…@" } else { "" };
                write!(f, "rtsp://{login}{listen}{path}")
            }
            OutputSpec::Rtp { to, ttl } if to.ip().is_multicast() => write!(f, "rtp://{to}?ttl={ttl}"),
            OutputSpec::Rtp { to, .. } => write!(f, "rtp://{to}"),
            OutputSpec::Srt { uri } => f.write_str(&without_secrets(uri)),
            OutputSpec::File { path } => write!(f, "{}", path.display()),
            OutputSpec::Hls { playlist } => write!(f, "{}", playlist.display()),
            OutputSpec::Display { full } => f.write_str(if *full { "display:full" } else { "display:" }),
        }
    }
}

impl fmt::Debug for OutputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputSpec({self})")
    }
}

/// An SRT address with only the options that are no secret: a stream id may carry a token.
pub(crate) fn without_secrets(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return "srt://…".into() };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    let shown: Vec<String> = url
        .query_pairs()
        .map(|(key, value)| match key.as_ref() {
            "mode" | "latency" | "pbkeylen" => format!("{key}={value}"),
            _ => format!("{key}=…"),
        })
        .collect();
    let query = if shown.is_empty() { String::new() } else { format!("?{}", shown.join("&")) };
    format!("srt://{host}{port}{query}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_every_form() {
        let shown = |text: &str| OutputSpec::parse(text).unwrap().to_string();
        for text in [
            "rtsp://127.0.0.1:8554/wall",
            "rtsp://[::1]:554/a/b",
            "rtp://127.0.0.1:5004",
            "rtp://239.1.2.3:5004?ttl=4",
            "srt://127.0.0.1:9000?mode=listener&latency=120",
            "out/wall.mp4",
            "wall.mkv",
            "/srv/live/wall.m3u8",
            "display:",
            "display:full",
        ] {
            let text_shown = shown(text);
            assert!(text_shown == text || text == "rtsp://[::1]:554/a/b", "{text}: {text_shown}");
        }
        assert_eq!(shown("rtsp://127.0.0.1/wall"), "rtsp://127.0.0.1:8554/wall");
        let Ok(OutputSpec::Rtsp { login: Some(login), .. }) =
            OutputSpec::parse("rtsp://jo:p%40ss@127.0.0.1:1/w")
        else {
            panic!("a login");
        };
        assert_eq!((login.user.as_str(), login.password.as_str()), ("jo", "p@ss"));
    }

    #[test]
    fn a_file_may_have_any_name() {
        use std::os::unix::ffi::OsStrExt;
        for (text, bytes) in [
            ("file:///tmp/caf%E9%20100%25.mkv", &b"/tmp/caf\xe9 100%.mkv"[..]),
            ("/tmp/100%25.mkv", b"/tmp/100%25.mkv"),
            ("file://wall.mkv", b"wall.mkv"),
        ] {
            let path = std::path::Path::new(std::ffi::OsStr::from_bytes(bytes)).to_owned();
            assert_eq!(OutputSpec::parse(text).unwrap(), OutputSpec::File { path }, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("rtsp://127.0.0.1:8554", "path"),
            ("rtsp://jo@127.0.0.1:8554/w", "password"),
            ("rtp://127.0.0.1", "port"),
            ("rtp://127.0.0.1:5004?tll=4", "tll"),
            ("srt://127.0.0.1", "port"),
            ("srt://127.0.0.1:9000?mode=rendezvous", "mode"),
            ("srt://127.0.0.1:9000?passphrase=short", "passphrase"),
            ("http://127.0.0.1/wall", "scheme"),
            ("wall.avi", "avi"),
            ("", "empty"),
        ] {
            let error = OutputSpec::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn never_shows_a_secret() {
        for text in [
            "rtsp://jo:hush-hush@127.0.0.1:8554/w",
            "srt://127.0.0.1:9000?passphrase=hush-hush-hush&streamid=hush-hush",
            "rtsp:/jo:hush-hush@127.0.0.1:8554/w",
            "srt://127.0.0.1:9000?passphrase=hush-hush-hush&mode=both",
            "rtsp://jo:hush-hush@127.0.0.1:99999/w",
        ] {
            let shown = match OutputSpec::parse(text) {
                Ok(spec) => format!("{spec} {spec:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("hush-hush"), "{shown}");
        }
    }
}
