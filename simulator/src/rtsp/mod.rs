//! The RTSP server of the simulated cameras: one task per connection, one schedule for all frames.

pub(crate) mod auth;
mod connection;
pub(crate) mod packet;
mod request;
mod sdp;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use vitrail_engine::{Error, ErrorKind, Result};

use crate::cameras::Cameras;

/// Bytes that the kernel may hold for a client: a large key frame, and little more, so that a client
/// that reads slowly is noticed.
const SEND_BUFFER: usize = 256 * 1024;

/// The pair of sockets from which all RTP and RTCP over UDP is sent.
pub(crate) struct UdpPair {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
}

impl UdpPair {
    /// An even port and the odd one above it.
    pub async fn bind(address: IpAddr) -> Result<UdpPair> {
        for _ in 0..64 {
            let Ok(first) = UdpSocket::bind((address, 0)).await else { break };
            let Ok(port) = first.local_addr().map(|a| a.port()) else { break };
            if port % 2 == 1 || port == u16::MAX {
                continue;
            }
            if let Ok(rtcp) = UdpSocket::bind((address, port + 1)).await {
                return Ok(UdpPair { rtp: first, rtcp });
            }
        }
        Err(Error::new(ErrorKind::Io, address.to_string(), "has no pair of free UDP ports"))
    }
}

/// Binds the listening socket with room for thousands of clients that come at once, as far as
/// `net.core.somaxconn` lets it (4096 on Linux); those beyond try again by themselves.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let bind = || -> std::io::Result<TcpListener> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(16_384)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|e| {
        let what = "cannot be listened on; another program may have it, choose another address";
        Error::new(ErrorKind::Io, address.to_string(), what).caused_by(e)
    })
}

/// Accepts clients until the shutdown.
pub(crate) async fn serve(cameras: Arc<Cameras>, listener: TcpListener, udp: Arc<UdpPair>) {
    let mut told = false;
    loop {
        let accepted = tokio::select! {
            () = cameras.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                told = false;
                cameras.totals.connections.add_one();
                let _ = socket.set_nodelay(true);
                let _ = socket2::SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER);
                tokio::spawn(connection::run(cameras.clone(), socket, peer, udp.clone()));
            }
            Err(error) => {
                // No file descriptor left, most likely: others must close first.
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "cannot accept more clients; ulimit -Hn tells how many files may be open");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
