//! Answers probes of WS-Discovery.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::UdpSocket;

use super::State;
use super::answers::{envelope, service};
use super::request::Request;

/// The group and port of WS-Discovery.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
const PORT: u16 = 3702;
/// Devices that answer one probe at most.
const MAX_ANSWERS: u16 = 256;

/// A socket that hears what is asked of the whole network, on the interface of this address.
pub(super) fn join(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let IpAddr::V4(interface) = address.ip() else {
        return Err(std::io::Error::other("discovery is IPv4's"));
    };
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((GROUP, PORT)).into())?;
    socket.join_multicast_v4(&GROUP, &interface)?;
    UdpSocket::from_std(socket.into())
}

/// Answers until the shutdown.
pub(super) async fn serve(state: Arc<State>, socket: UdpSocket) {
    let mut buffer = vec![0; 65_536];
    loop {
        let read = tokio::select! {
            () = state.shutdown.cancelled() => return,
            read = socket.recv_from(&mut buffer) => read,
        };
        let Ok((length, from)) = read else { continue };
        let Some(request) = std::str::from_utf8(&buffer[..length]).ok().and_then(Request::read) else {
            continue;
        };
        let (Some(id), "Probe") = (request.text("MessageID"), request.operation.as_str()) else { continue };
        for camera in 1..=state.config.cameras.min(MAX_ANSWERS) {
            let _ = socket.send_to(state.found(camera, id).as_bytes(), from).await;
        }
    }
}

impl State {
    /// The answer of a camera's device to the probe of this id.
    fn found(&self, camera: u16, id: &str) -> String {
        let header = format!(
            "<s:Header><a:RelatesTo xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\">{}</a:RelatesTo></s:Header>",
            quick_xml::escape::escape(id)
        );
        let port = self.address.port();
        let body = format!(
            "<d:ProbeMatches xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><d:ProbeMatch>\
             <a:EndpointReference xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\">\
             <a:Address>urn:uuid:76697472-6169-4c00-8000-{port:06x}{camera:06x}</a:Address></a:EndpointReference>\
             <d:Types>dn:NetworkVideoTransmitter</d:Types>\
             <d:Scopes>onvif://www.onvif.org/type/ptz onvif://www.onvif.org/name/Simulated%20camera%20{camera} \
             onvif://www.onvif.org/hardware/Simulator</d:Scopes>\
             <d:XAddrs>{}</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches>",
            service(self.reached(), camera, "device_service")
        );
        envelope(&header, &body)
    }
}
