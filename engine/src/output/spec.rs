//! Outputs as people write them: text to [`OutputSpec`] and back, without secrets.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use super::{Login, OutputSpec, rtmp};
use crate::base::names;
use crate::base::{Error, ErrorKind, Result};
use crate::media::Codec;

/// What the error of an unknown form lists.
const FORMS: &str = "rtsp://[USER:PASSWORD@]HOST:PORT/PATH, rtp://HOST:PORT, udp://HOST:PORT, \
    srt://HOST:PORT?mode=caller|listener, rtmp://HOST/APP/KEY, FILE.mp4, FILE.mkv, PLAYLIST.m3u8, \
    display:, display:full";

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
            OutputSpec::Udp { .. } => "udp",
            OutputSpec::Srt { .. } => "srt",
            OutputSpec::Rtmp { .. } => "rtmp",
            OutputSpec::File { .. } => "file",
            OutputSpec::Hls { .. } => "hls",
            OutputSpec::Display { .. } => "display",
        }
    }

    /// True where it keeps pictures, so that they can be seen later: that takes the right to record. A kind that is
    /// new must say so here.
    pub fn keeps_pictures(&self) -> bool {
        match self {
            OutputSpec::File { .. } | OutputSpec::Hls { .. } => true,
            OutputSpec::Rtsp { .. }
            | OutputSpec::Rtp { .. }
            | OutputSpec::Udp { .. }
            | OutputSpec::Srt { .. }
            | OutputSpec::Rtmp { .. }
            | OutputSpec::Display { .. } => false,
        }
    }

    /// Says why a screen of this codec cannot go there.
    ///
    /// # Errors
    /// RTMP takes H.264 alone.
    pub fn carries(&self, codec: Codec) -> Result<()> {
        match self {
            OutputSpec::Rtmp { .. } => rtmp::carries(codec),
            _ => Ok(()),
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
    if !matches!(scheme, "rtsp" | "rtp" | "udp" | "srt" | "rtmp" | "rtmps") {
        return Err(config("output", format!("unknown scheme {scheme:?}; take one of {FORMS}")));
    }
    let subject = format!("{scheme}:// output");
    // Who listens on every address need not say so.
    let text = &if scheme == "srt" { text.replacen("://:", "://0.0.0.0:", 1) } else { text.to_owned() };
    let url = Url::parse(text).map_err(|e| config(subject.clone(), format!("is no address: {e}")))?;
    let address_of = Written { url, subject };
    match scheme {
        "rtsp" => address_of.rtsp(),
        "rtp" => address_of.sent().map(|(to, ttl, interface)| OutputSpec::Rtp { to, ttl, interface }),
        "udp" => address_of.sent().map(|(to, ttl, interface)| OutputSpec::Udp { to, ttl, interface }),
        "srt" => address_of.srt(text),
        _ => rtmp::Address::of(text).map(|_| OutputSpec::Rtmp { uri: text.to_owned() }),
    }
}

/// An address as it was written, and how errors call it.
struct Written {
    url: Url,
    subject: String,
}

impl Written {
    fn wrong(&self, message: impl Into<String>) -> Error {
        config(self.subject.clone(), message)
    }

    fn option(&self, key: &str) -> Option<String> {
        self.url.query_pairs().find(|(k, _)| k == key).map(|(_, v)| v.into_owned())
    }

    fn known(&self, keys: &[&str]) -> Result<()> {
        match self.url.query_pairs().find(|(k, _)| !keys.contains(&k.as_ref())) {
            Some((key, _)) => Err(self.wrong(format!("unknown option {key:?}; known: {}", keys.join(", ")))),
            None => Ok(()),
        }
    }

    fn rtsp(&self) -> Result<OutputSpec> {
        self.known(&[])?;
        let path = self.url.path().to_owned();
        if path.len() < 2 {
            return Err(self.wrong("lacks a path; write rtsp://HOST:PORT/PATH"));
        }
        Ok(OutputSpec::Rtsp {
            listen: address(&self.url, Some(8554), &self.subject)?,
            path,
            login: login(&self.url, &self.subject)?,
        })
    }

    /// To whom datagrams go, how far, and by which interface.
    fn sent(&self) -> Result<(SocketAddr, u8, Option<String>)> {
        self.known(&["ttl", "interface", "iface"])?;
        let ttl = match self.option("ttl") {
            None => 1,
            Some(ttl) => ttl.parse().map_err(|_| self.wrong("ttl must be 0 to 255"))?,
        };
        let to = address(&self.url, None, &self.subject)?;
        if to.port() == 0 {
            return Err(self.wrong("port 0 is no address to send to"));
        }
        let interface = self.option("interface").or_else(|| self.option("iface"));
        if interface.is_some() && !to.ip().is_multicast() {
            return Err(self.wrong("interface is for multicast groups; the route chooses it for one host"));
        }
        Ok((to, ttl, interface))
    }

    fn srt(&self, text: &str) -> Result<OutputSpec> {
        self.known(&["mode", "latency", "passphrase", "pbkeylen", "streamid"])?;
        let mode = self.option("mode").unwrap_or_else(|| "caller".into());
        if !matches!(mode.as_str(), "caller" | "listener") {
            return Err(self.wrong("mode must be caller or listener"));
        }
        if self.option("latency").is_some_and(|ms| ms.parse::<u16>().is_err()) {
            return Err(self.wrong("latency must be whole milliseconds, 0 to 65535"));
        }
        // SRT's own limits, srt_setsockopt SRTO_PASSPHRASE and SRTO_PBKEYLEN.
        if self.option("passphrase").is_some_and(|p| !(10..=79).contains(&p.len())) {
            return Err(self.wrong("passphrase must have 10 to 79 characters"));
        }
        if self.option("pbkeylen").is_some_and(|n| !matches!(n.as_str(), "16" | "24" | "32")) {
            return Err(self.wrong("pbkeylen must be 16, 24 or 32"));
        }
        if self.url.port().is_none() {
            return Err(self.wrong("lacks a port; write srt://HOST:PORT"));
        }
        if mode == "caller" && matches!(self.url.host_str().unwrap_or_default(), "" | "0.0.0.0") {
            return Err(self.wrong("lacks the host to call; write srt://HOST:PORT"));
        }
        Ok(OutputSpec::Srt { uri: text.to_owned() })
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

pub(super) fn login(url: &Url, subject: &str) -> Result<Option<Login>> {
    let user = decoded(url.username(), subject)?;
    let password = url.password().map(|p| decoded(p, subject)).transpose()?;
    match (user.is_empty(), password) {
        (true, None) => Ok(None),
        (false, Some(password)) if !password.is_empty() => Ok(Some(Login { user, password })),
        _ => Err(config(subject, "a login needs a user and a password; write USER:PASSWORD@HOST…")),
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
            OutputSpec::Rtp { to, ttl, interface } => sent(f, "rtp", to, *ttl, interface.as_deref()),
            OutputSpec::Udp { to, ttl, interface } => sent(f, "udp", to, *ttl, interface.as_deref()),
            OutputSpec::Srt { uri } => f.write_str(&without_secrets(uri)),
            OutputSpec::Rtmp { uri } => f.write_str(&rtmp_without_secrets(uri)),
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

fn sent(
    f: &mut fmt::Formatter<'_>,
    scheme: &str,
    to: &SocketAddr,
    ttl: u8,
    interface: Option<&str>,
) -> fmt::Result {
    write!(f, "{scheme}://{to}")?;
    if to.ip().is_multicast() {
        write!(f, "?ttl={ttl}")?;
    }
    interface.map_or(Ok(()), |interface| write!(f, "&interface={interface}"))
}

/// An RTMP address up to its application: the stream key lets anyone broadcast in its owner's name.
pub(crate) fn rtmp_without_secrets(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return "rtmp://…".into() };
    let login = if url.username().is_empty() { "" } else { "…@" };
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    // Only with a key behind it is the first part the application's name.
    let application = match url.path().trim_start_matches('/').split_once('/') {
        Some((application, _)) => format!("{application}/"),
        None => String::new(),
    };
    format!("{}://{login}{}{port}/{application}…", url.scheme(), url.host_str().unwrap_or_default())
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
            "udp://127.0.0.1:5004",
            "udp://239.1.2.3:5004?ttl=4&interface=lo",
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
        assert_eq!(shown("srt://:9000?mode=listener"), "srt://0.0.0.0:9000?mode=listener");
        assert_eq!(shown("udp://@239.1.2.3:5000?iface=eth0"), "udp://239.1.2.3:5000?ttl=1&interface=eth0");
        assert_eq!(shown("rtmp://live.example/app/hush-hush?x=1"), "rtmp://live.example/app/…");
        assert_eq!(shown("rtmps://a.example:444/app/inner/key"), "rtmps://a.example:444/app/…");
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
            ("udp://127.0.0.1", "port"),
            ("udp://127.0.0.1:5004?interface=lo", "multicast"),
            ("udp://239.1.2.3:5004?ttl=300", "ttl"),
            ("rtmp://127.0.0.1/live", "stream key"),
            ("rtmp://127.0.0.1/live/", "stream key"),
            ("rtmp:///live/key", "host"),
            ("srt://127.0.0.1:9000?pbkeylen=17", "pbkeylen"),
            ("srt://127.0.0.1", "port"),
            ("srt://127.0.0.1:9000?mode=rendezvous", "mode"),
            ("srt://:9000", "the host to call"),
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
    fn only_rtmp_asks_for_a_codec() {
        let carries = |text: &str| OutputSpec::parse(text).unwrap().carries(Codec::H265);
        assert!(carries("udp://127.0.0.1:1").is_ok() && carries("wall.mkv").is_ok());
        let error = carries("rtmp://h/live/hush-hush").unwrap_err();
        assert!(error.to_string().contains("H.264 alone") && !error.to_string().contains("hush"), "{error}");
    }

    #[test]
    fn files_and_playlists_keep_pictures() {
        for (text, keeps) in [
            ("rtsp://127.0.0.1:8554/wall", false),
            ("rtp://127.0.0.1:5004", false),
            ("udp://127.0.0.1:5004", false),
            ("srt://127.0.0.1:9000?mode=listener", false),
            ("rtmp://live.example/app/key", false),
            ("wall.mp4", true),
            ("wall.mkv", true),
            ("wall.m3u8", true),
            ("display:", false),
        ] {
            assert_eq!(OutputSpec::parse(text).unwrap().keeps_pictures(), keeps, "{text}");
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
            "rtmp://127.0.0.1/live/hush-hush",
            "rtmp://jo:hush-hush@127.0.0.1/live/hush-hush?token=hush-hush",
            "rtmp://127.0.0.1/hush-hush",
            "rtmp://127.0.0.1/hush-hush/",
            "rtmp:/127.0.0.1/live/hush-hush",
            "rtmp://127.0.0.1:99999/live/hush-hush",
        ] {
            let shown = match OutputSpec::parse(text) {
                Ok(spec) => format!("{spec} {spec:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("hush-hush"), "{shown}");
        }
    }
}
