//! WS-Discovery: asks the network, or one address, which video devices there are.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::xml::{self, Element};
use crate::base::{Kind, Problem, Result};

/// The group and port of WS-Discovery.
const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 3702);
/// How far a question goes: the networks that this one is joined to, as the standard says.
const TTL: u32 = 1;
/// Devices that are taken at most.
const MAX_FOUND: usize = 1000;
/// Datagrams that are read at most, whatever is in them.
const MAX_DATAGRAMS: usize = 20_000;
/// The largest datagram.
const MAX_DATAGRAM: usize = 65_536;
/// The question is sent again after so long: datagrams get lost.
const AGAIN: Duration = Duration::from_millis(500);
/// Characters of a text of a device that are kept.
const MAX_TEXT: usize = 200;
/// Addresses of a device that are kept.
const MAX_ADDRESSES: usize = 8;

/// Where, and for how long, devices are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Discovery {
    /// The interface, by its own address; none: the one that the system takes.
    pub interface: Option<Ipv4Addr>,
    /// One address that is asked instead of the network.
    pub target: Option<SocketAddr>,
    /// For how long answers are waited for.
    pub wait: Duration,
}

impl Discovery {
    /// The longest time that is waited.
    pub const LONGEST: Duration = Duration::from_secs(10);
}

/// A device that answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Found {
    /// Its name for good: `urn:uuid:…`.
    pub endpoint: String,
    /// From where it answered.
    pub from: String,
    /// Addresses of its device service, as it says.
    pub addresses: Vec<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its hardware.
    pub hardware: Option<String>,
    /// Where it is.
    pub location: Option<String>,
}

/// Asks, and gives those that answered in time, in the order of their addresses.
pub async fn discover(how: &Discovery) -> Result<Vec<Found>> {
    let failed = |e: std::io::Error| {
        Problem::new(Kind::Unavailable, "discovery", format!("the network cannot be asked: {e}"))
    };
    let socket = bind(how.interface).map_err(failed)?;
    let id = message_id();
    let question = probe(&id);
    let to = how.target.unwrap_or(GROUP);
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    let mut buffer = vec![0; MAX_DATAGRAM];
    let end = Instant::now() + how.wait.min(Discovery::LONGEST);
    let mut again = Instant::now();
    let mut asked = 0;
    for _ in 0..MAX_DATAGRAMS {
        let now = Instant::now();
        if now >= end || found.len() >= MAX_FOUND {
            break;
        }
        if asked < 2 && now >= again {
            socket.send_to(question.as_bytes(), to).await.map_err(failed)?;
            asked += 1;
            again = now + AGAIN;
        }
        let until = if asked < 2 { end.min(again) } else { end };
        let Ok(read) = tokio::time::timeout_at(until, socket.recv_from(&mut buffer)).await else { continue };
        // An unreachable port of a single address is told as an error of the next read.
        let Ok((length, from)) = read else { continue };
        let Ok(text) = std::str::from_utf8(&buffer[..length]) else { continue };
        for device in matches(text, &id, from.ip()) {
            found.entry(device.endpoint.clone()).or_insert(device);
        }
    }
    let mut found: Vec<Found> = found.into_values().collect();
    let key = |device: &Found| (device.from.parse::<IpAddr>().ok(), device.addresses.clone());
    found.sort_by_cached_key(key);
    Ok(found)
}

fn bind(interface: Option<Ipv4Addr>) -> std::io::Result<UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_multicast_ttl_v4(TTL)?;
    if let Some(interface) = interface {
        socket.set_multicast_if_v4(&interface)?;
    }
    let own = interface.unwrap_or(Ipv4Addr::UNSPECIFIED);
    socket.bind(&SocketAddr::from((own, 0)).into())?;
    // Thousands of devices may answer at once.
    let _ = socket.set_recv_buffer_size(4 << 20);
    UdpSocket::from_std(socket.into())
}

/// A random UUID, version 4.
fn message_id() -> String {
    const FIXED: u128 = (0xf << 76) | (0x3 << 62);
    const VERSION: u128 = (0x4 << 76) | (0x2 << 62);
    let n = (rand::random::<u128>() & !FIXED) | VERSION;
    let hex = format!("{n:032x}");
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn probe(id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\">\
         <e:Header><w:MessageID>{id}</w:MessageID>\
         <w:To e:mustUnderstand=\"true\">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>\
         <w:Action e:mustUnderstand=\"true\">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>\
         <e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"
    )
}

/// The devices of an answer to the question of this id.
fn matches(text: &str, id: &str, from: IpAddr) -> Vec<Found> {
    let Ok(envelope) = xml::parse(text) else { return Vec::new() };
    if envelope.text_of("RelatesTo") != Some(id) {
        return Vec::new();
    }
    let all = envelope.find("ProbeMatches").into_iter().flat_map(|m| m.all("ProbeMatch"));
    all.filter_map(|element| device(element, from)).take(MAX_FOUND).collect()
}

fn device(element: &Element, from: IpAddr) -> Option<Found> {
    let words = |name: &str| element.text_of(name).unwrap_or_default().split_whitespace();
    let addresses: Vec<String> = words("XAddrs")
        .filter(|a| a.len() <= 500 && super::client::address_of(a).is_ok())
        .take(MAX_ADDRESSES)
        .map(str::to_owned)
        .collect();
    let scope = |kind: &str| {
        words("Scopes").find_map(|s| s.strip_prefix("onvif://www.onvif.org/")?.strip_prefix(kind)).map(plain)
    };
    let endpoint: String =
        element.text_of("Address")?.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    Some(Found {
        endpoint,
        from: from.to_string(),
        addresses,
        name: scope("name/"),
        hardware: scope("hardware/"),
        location: scope("location/"),
    })
}

/// A scope's text: percent-decoded, short and printable.
fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let hex = (byte == b'%').then(|| Some([ahead.next()?, ahead.next()?])).flatten();
        let hex = hex.and_then(|pair| u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok());
        match hex {
            Some(decoded) => {
                bytes.push(decoded);
                rest = ahead;
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn answer(id: &str, body: &str) -> String {
        format!(
            "<e:Envelope xmlns:e='x'><e:Header><w:RelatesTo>{id}</w:RelatesTo></e:Header><e:Body><d:ProbeMatches>{body}</d:ProbeMatches></e:Body></e:Envelope>"
        )
    }

    #[test]
    fn only_answers_to_the_question_count_and_only_what_is_an_address() {
        let body = "<d:ProbeMatch><w:EndpointReference><w:Address>urn:uuid:1</w:Address></w:EndpointReference>\
            <d:Scopes>onvif://www.onvif.org/name/Porte%20Nord%C3%A9 onvif://www.onvif.org/hardware/M1</d:Scopes>\
            <d:XAddrs>http://10.0.0.1/onvif/device_service javascript:alert(1) http://[fe80::1]/x</d:XAddrs></d:ProbeMatch>";
        let found = matches(&answer("urn:uuid:q", body), "urn:uuid:q", FROM);
        assert_eq!(
            (found[0].name.as_deref(), found[0].hardware.as_deref()),
            (Some("Porte Nordé"), Some("M1"))
        );
        assert_eq!(found[0].addresses, ["http://10.0.0.1/onvif/device_service", "http://[fe80::1]/x"]);
        assert!(matches(&answer("urn:uuid:other", body), "urn:uuid:q", FROM).is_empty());
        assert!(matches("<a/>", "urn:uuid:q", FROM).is_empty() && matches("", "q", FROM).is_empty());
    }

    #[test]
    fn ids_are_random_uuids() {
        let (one, two) = (message_id(), message_id());
        assert!(
            one != two
                && one.len() == 45
                && one.as_bytes()[23] == b'4'
                && b"89ab".contains(&one.as_bytes()[28]),
            "{one}"
        );
        assert!(xml::parse(&probe(&one)).is_ok());
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(text in "\\PC{0,80}", inner in "[<>a-zA-Z:/ =\"%0-9]{0,80}") {
            let _ = matches(&text, "q", FROM);
            let _ = matches(&answer("q", &inner), "q", FROM);
            let _ = plain(&text);
        }
    }
}
