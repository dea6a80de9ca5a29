//! Sends a screen as MPEG-TS over SRT: calls a receiver, or serves callers.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use url::Url;

use super::feed::KeyRequest;
use super::hub::{Output, StreamParams};
use super::sender::{self, Link};
use super::spec::without_secrets;
use super::srt_callers::Callers;
use super::srt_ffi::{Fault, Setting, Socket};
use super::ts::DATAGRAM;
use crate::base::{Error, ErrorKind, Result};

/// Milliseconds that SRT keeps for retransmission where the address names none: its own default.
const LATENCY_MS: i32 = 120;
/// Milliseconds that a sender may wait for room before it looks whether it is to end.
const SEND_MS: i32 = 200;
/// So often it waits for a peer that was called, for one picture.
const MOST_TRIES: u32 = 10;
/// Callers that may wait to be taken in.
const WAITING: i32 = 16;

/// What an `srt://` address asks for.
struct Wish {
    subject: String,
    host: String,
    port: u16,
    listener: bool,
    latency: i32,
    passphrase: Option<String>,
    key_length: Option<i32>,
    stream_id: Option<String>,
}

pub(crate) fn open(uri: &str, params: &StreamParams, key: KeyRequest) -> Result<Arc<dyn Output>> {
    let wish = Wish::of(uri)?;
    if wish.listener {
        let socket = wish.listen(wish.port)?;
        let (subject, port) = (wish.subject.clone(), socket.port());
        // At the port that was found, where any would do at first.
        let reopen = Box::new(move || wish.listen(port));
        return Ok(Arc::new(Callers::start(subject, socket, reopen, params, key)?));
    }
    // A machine without the library is told at once.
    wish.socket()?;
    let subject = wish.subject.clone();
    Ok(Arc::new(sender::start(subject, params, key, None, move || wish.call())?))
}

impl Wish {
    fn of(uri: &str) -> Result<Wish> {
        let subject = without_secrets(uri);
        let url = Url::parse(uri)
            .map_err(|e| Error::new(ErrorKind::Config, subject.clone(), format!("is no address: {e}")))?;
        let option = |name: &str| url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
        let host = url.host_str().filter(|h| !h.is_empty()).unwrap_or("0.0.0.0");
        Ok(Wish {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or_default(),
            listener: option("mode").is_some_and(|mode| mode == "listener"),
            latency: option("latency").and_then(|ms| ms.parse().ok()).unwrap_or(LATENCY_MS),
            passphrase: option("passphrase"),
            key_length: option("pbkeylen").and_then(|n| n.parse().ok()),
            stream_id: option("streamid"),
            subject,
        })
    }

    fn io(&self, what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Io, self.subject.clone(), what.into())
    }

    fn address(&self, port: u16) -> Result<SocketAddr> {
        let mut found = (self.host.as_str(), port)
            .to_socket_addrs()
            .map_err(|e| self.io(format!("host {:?} is unknown here", self.host)).caused_by(e))?;
        found.next().ok_or_else(|| self.io(format!("host {:?} has no address", self.host)))
    }

    fn socket(&self) -> Result<Socket> {
        let socket = Socket::new().ok_or_else(|| {
            let message = "libsrt is missing; install libsrt1.5-gnutls, or what has libsrt here";
            Error::new(ErrorKind::Missing, self.subject.clone(), message)
        })?;
        self.set_up(&socket).map_err(|fault| self.io(format!("refuses an option: {}", fault.0)))?;
        Ok(socket)
    }

    fn set_up(&self, socket: &Socket) -> std::result::Result<(), Fault> {
        socket.set(Setting::Latency, self.latency)?;
        socket.set(Setting::SendTimeout, SEND_MS)?;
        if let Some(length) = self.key_length {
            socket.set(Setting::KeyLength, length)?;
        }
        for (setting, text) in [(Setting::Passphrase, &self.passphrase), (Setting::StreamId, &self.stream_id)]
        {
            if let Some(text) = text {
                socket.set_text(setting, text)?;
            }
        }
        Ok(())
    }

    fn listen(&self, port: u16) -> Result<Socket> {
        let socket = self.socket()?;
        let address = self.address(port)?;
        // libsrt wants to be told either way.
        let only = if address.is_ipv6() { socket.set(Setting::OnlyIpv6, 1) } else { Ok(()) };
        only.and_then(|()| socket.set(Setting::WaitToReceive, 0))
            .and_then(|()| socket.bind(address))
            .and_then(|()| socket.listen(WAITING))
            .map_err(|fault| {
                self.io(format!("cannot be listened on ({}); is the port taken? Choose another", fault.0))
            })?;
        Ok(socket)
    }

    fn call(&self) -> Result<Peer> {
        let socket = self.socket()?;
        let address = self.address(self.port)?;
        socket.connect(address).map_err(|fault| self.io(format!("does not answer: {}", fault.0)))?;
        Ok(Peer { socket, subject: self.subject.clone() })
    }
}

/// A receiver that was called.
struct Peer {
    socket: Socket,
    subject: String,
}

impl Link for Peer {
    fn picture(&mut self, packets: &[u8]) -> Result<()> {
        // A peer that gives no room for seconds is as good as gone, and the end must not wait for it.
        let mut tries = 0;
        let go_on = || {
            tries += 1;
            tries < MOST_TRIES
        };
        let wrong = |what: String| Error::new(ErrorKind::Io, self.subject.clone(), what);
        match send(&self.socket, packets, go_on) {
            Ok(true) => Ok(()),
            Ok(false) => Err(wrong("takes no more, though it is there".into())),
            Err(fault) => Err(wrong(format!("went away: {}", fault.0))),
        }
    }
}

/// Sends the packets of a picture in messages of live mode. Where there is no room it waits, for as
/// long as `go_on` says, and is false where that was not enough; a dead peer is an error after 5 s of
/// silence (SRT's own time).
pub(super) fn send(
    socket: &Socket,
    packets: &[u8],
    mut go_on: impl FnMut() -> bool,
) -> std::result::Result<bool, Fault> {
    for message in packets.chunks(DATAGRAM) {
        while !socket.send(message)? {
            if !go_on() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
