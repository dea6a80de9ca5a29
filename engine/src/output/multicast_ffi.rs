//! What the standard library does not set of a socket that sends to a group.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

/// The number of an interface of this machine.
pub(crate) fn interface(name: &str) -> Result<u32> {
    let name = CString::new(name).map_err(|_| Error::from(std::io::ErrorKind::InvalidInput))?;
    // SAFETY: the name ends with a zero and lives through the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(Error::last_os_error()),
        index => Ok(index),
    }
}

/// IPv4 multicast of this socket leaves by the interface of this number, or with this address.
pub(crate) fn leave_by_v4(socket: &UdpSocket, index: u32, address: Ipv4Addr) -> Result<()> {
    let unset = libc::in_addr { s_addr: 0 };
    let request = libc::ip_mreqn {
        imr_multiaddr: unset,
        imr_address: libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) },
        imr_ifindex: i32::try_from(index).unwrap_or(0),
    };
    set(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
}

/// IPv6 multicast of this socket leaves by the interface of this number.
pub(crate) fn leave_by_v6(socket: &UdpSocket, index: u32) -> Result<()> {
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &index)
}

/// How many routers IPv6 multicast of this socket may pass.
pub(crate) fn hops_v6(socket: &UdpSocket, hops: u8) -> Result<()> {
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, &i32::from(hops))
}

fn set<T>(socket: &UdpSocket, level: i32, option: i32, value: &T) -> Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the value lives through the call, with its own length; all are plain numbers.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const *value).cast(), length) };
    if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
