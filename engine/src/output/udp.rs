//! Sends a screen as MPEG-TS in UDP datagrams, to one host or a multicast group.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::feed::KeyRequest;
use super::hub::StreamParams;
use super::kept::RunningOutput;
use super::multicast_ffi;
use super::sender::{self, Link};
use super::ts::{DATAGRAM, fill_datagram};
use crate::base::{Error, ErrorKind, Result};

/// Nobody says that they join: a receiver waits at most this long for its first picture.
const KEY_EVERY: Duration = Duration::from_secs(2);
/// Datagrams sent without a pause. A receiver's socket holds about 90 by default on Linux.
const BURST: usize = 16;
/// Pause between bursts.
const PAUSE: Duration = Duration::from_millis(1);

pub(crate) fn open(
    to: SocketAddr,
    ttl: u8,
    interface: Option<&str>,
    params: &StreamParams,
    key: KeyRequest,
) -> Result<RunningOutput> {
    let subject = format!("udp://{to}");
    let interface = interface.map(str::to_owned);
    // A picture is sent within half of its time, however large it is.
    let within = Duration::from_secs_f64(0.5 / params.frame_rate.as_f64().max(1.0));
    // What is wrong with the interface is said before anything starts.
    drop(socket(to, ttl, interface.as_deref())?);
    sender::start(subject, params, key, Some(KEY_EVERY), move || {
        Ok(Datagrams { socket: socket(to, ttl, interface.as_deref())?, to, within, buffer: Vec::new() })
    })
}

struct Datagrams {
    socket: UdpSocket,
    to: SocketAddr,
    within: Duration,
    buffer: Vec<u8>,
}

impl Link for Datagrams {
    fn picture(&mut self, packets: &[u8]) -> Result<()> {
        self.buffer.clear();
        self.buffer.extend_from_slice(packets);
        fill_datagram(&mut self.buffer);
        let count = self.buffer.len() / DATAGRAM;
        let pauses = (self.within.as_micros() / PAUSE.as_micros()).max(1) as usize;
        let burst = count.div_ceil(pauses).max(BURST);
        let until = Instant::now() + self.within;
        for (index, datagram) in self.buffer.chunks_exact(DATAGRAM).enumerate() {
            if index > 0 && index.is_multiple_of(burst) && Instant::now() < until {
                std::thread::sleep(PAUSE);
            }
            match self.socket.send_to(datagram, self.to) {
                Ok(_) => {}
                // No room in the interface's queue: the receiver sees a gap, as with any loss.
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(e) => return Err(fault(self.to, "cannot be sent to", e)),
            }
        }
        Ok(())
    }
}

fn fault(to: SocketAddr, what: &'static str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("udp://{to}"), what).caused_by(error)
}

/// A socket that sends there, by `interface` (a name or an address of this machine) to a group.
fn socket(to: SocketAddr, ttl: u8, interface: Option<&str>) -> Result<UdpSocket> {
    let failed = |what: &'static str| move |error: std::io::Error| fault(to, what, error);
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0)).map_err(failed("gets no socket"))?;
    if !to.ip().is_multicast() {
        return Ok(socket);
    }
    if to.is_ipv4() {
        socket.set_multicast_ttl_v4(ttl.into()).map_err(failed("refuses its ttl"))?;
    } else {
        multicast_ffi::hops_v6(&socket, ttl).map_err(failed("refuses its ttl"))?;
    }
    if let Some(interface) = interface {
        let bad = |error: std::io::Error| {
            let message =
                format!("this machine has no interface {interface:?} for it; `ip address` lists them");
            Error::new(ErrorKind::Io, format!("udp://{to}"), message).caused_by(error)
        };
        choose(&socket, to, interface).map_err(bad)?;
    }
    Ok(socket)
}

fn choose(socket: &UdpSocket, to: SocketAddr, interface: &str) -> std::io::Result<()> {
    let any = Ipv4Addr::UNSPECIFIED;
    if let (Ok(address), true) = (interface.parse(), to.is_ipv4()) {
        return multicast_ffi::leave_by_v4(socket, 0, address);
    }
    let index = multicast_ffi::interface(interface)?;
    if to.is_ipv4() {
        multicast_ffi::leave_by_v4(socket, index, any)
    } else {
        multicast_ffi::leave_by_v6(socket, index)
    }
}
