//! Reads what the devices are asked: the operation, the texts of its elements, the login.

use std::collections::HashMap;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use sha1::{Digest, Sha1};

use super::State;
use crate::rtsp::auth::Login;

/// Elements of a request at most.
const MAX_ELEMENTS: usize = 500;
/// For how long around the device's time a login is good.
const GOOD_FOR: Duration = Duration::from_secs(30);

/// A request.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// The first element of the body.
    pub operation: String,
    texts: HashMap<String, String>,
    attributes: HashMap<String, String>,
}

impl Request {
    /// Reads an envelope; `None` where it is none.
    pub fn read(text: &str) -> Option<Request> {
        let mut reader = Reader::from_str(text);
        let mut request = Request::default();
        let mut open: Vec<String> = Vec::new();
        for _ in 0..MAX_ELEMENTS {
            match reader.read_event().ok()? {
                Event::Start(start) => {
                    let name = request.note(&start, open.last().map(String::as_str))?;
                    open.push(name);
                }
                Event::Empty(start) => drop(request.note(&start, open.last().map(String::as_str))?),
                Event::Text(text) => {
                    if let Some(name) = open.last() {
                        let text = text.xml_content(XmlVersion::Implicit1_0);
                        request.texts.entry(name.clone()).or_default().push_str(text.trim());
                    }
                }
                Event::GeneralRef(reference) => {
                    let c = match &*reference {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => reference.resolve_char_ref().ok()??,
                    };
                    request.texts.entry(open.last()?.clone()).or_default().push(c);
                }
                Event::End(_) => {
                    open.pop()?;
                }
                Event::DocType(_) => return None,
                Event::Eof => return open.is_empty().then_some(request).filter(|r| !r.operation.is_empty()),
                _ => {}
            }
        }
        None
    }

    fn note(&mut self, start: &BytesStart<'_>, parent: Option<&str>) -> Option<String> {
        let name = start.local_name().as_ref().to_owned();
        if parent == Some("Body") && self.operation.is_empty() {
            self.operation = name.clone();
        }
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned();
            self.attributes.insert(format!("{name}.{}", attribute.key.local_name().as_ref()), value);
        }
        Some(name)
    }

    /// The text of an element.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A number in an attribute, `PanTilt.x`.
    pub fn number(&self, attribute: &str) -> Option<f64> {
        self.attributes.get(attribute)?.parse().ok().filter(|n: &f64| n.is_finite())
    }

    /// Whether it carries the digest of this login, made now, and for the first time.
    pub fn has_login(&self, login: &Login, state: &State) -> bool {
        let (Some(user), Some(digest)) = (self.text("Username"), self.text("Password")) else { return false };
        let (Some(nonce), Some(created)) = (self.text("Nonce"), self.text("Created")) else { return false };
        let Ok(nonce_bytes) = Base64::decode_vec(nonce) else { return false };
        let (known_user, password) = login.parts();
        let expected =
            Sha1::new().chain_update(nonce_bytes).chain_update(created).chain_update(password).finalize();
        let now = state.wall();
        let is_recent = seconds_of(created).is_some_and(|s| {
            let made = Duration::from_secs(s);
            made <= now + GOOD_FOR && now <= made + GOOD_FOR
        });
        user == known_user && digest == Base64::encode_string(&expected) && is_recent && state.is_new(nonce)
    }
}

/// Seconds since 1970 of `2026-11-24T17:00:00.000Z`.
fn seconds_of(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.split(['.', ':']).map(str::parse::<i64>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days of the proleptic Gregorian calendar, with years that begin in March.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    u64::try_from(days * 86_400 + hour * 3600 + minute * 60 + second).ok()
}

/// Year, month, day, hour, minute, second of seconds since 1970.
pub(super) fn date_of(seconds: u64) -> [u64; 6] {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day = day_of_era - (365 * year + year / 4 - year / 100);
    let m = (5 * day + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    [year, month, day - (153 * m + 2) / 5 + 1, rest / 3600, rest / 60 % 60, rest % 60]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_envelope_is_read() {
        let text = "<s:Envelope><s:Header><w:Username>a&lt;b</w:Username></s:Header><s:Body><p:ContinuousMove><p:ProfileToken>main</p:ProfileToken><p:Velocity><t:PanTilt x='0.5' y='-1'/></p:Velocity></p:ContinuousMove></s:Body></s:Envelope>";
        let request = Request::read(text).expect("a request");
        assert_eq!((request.operation.as_str(), request.text("Username")), ("ContinuousMove", Some("a<b")));
        assert_eq!(
            (request.number("PanTilt.x"), request.number("PanTilt.y"), request.number("Zoom.x")),
            (Some(0.5), Some(-1.0), None)
        );
        for wrong in ["", "<a/>", "<a>", "<Body></Body>", "<!DOCTYPE x><Body><a/></Body>"] {
            assert!(Request::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:30:15.250Z", 951_827_415),
            ("2026-11-24T17:00:00.000Z", 1_795_539_600),
        ] {
            assert_eq!(seconds_of(text), Some(seconds));
            let [y, mo, d, h, mi, s] = date_of(seconds);
            assert!(text.starts_with(&format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}")), "{text}");
        }
        assert!(
            ["", "Z", "2026-13-01T00:00:00Z", "2026-11-24"].iter().all(|wrong| seconds_of(wrong).is_none())
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_makes_it_panic(text in "\\PC{0,120}", inner in "[<>a-zA-Z:/ =\"&;0-9]{0,80}") {
            let _ = (Request::read(&text), seconds_of(&text));
            let _ = Request::read(&format!("<Envelope><Body>{inner}</Body></Envelope>"));
        }
    }
}
