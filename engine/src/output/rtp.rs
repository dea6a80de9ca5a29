//! Sends a screen as RTP over UDP, to one host or a multicast group.

use std::net::SocketAddr;

use gstreamer::prelude::*;

use super::feed::{Backlog, Feed, KeyRequest};
use super::hub::StreamParams;
use super::kept::RunningOutput;
use super::piped::{self, Recipe, short};
use crate::base::Result;
use crate::media::Codec;

/// Bytes of an RTP packet: fits an Ethernet frame also inside a tunnel.
const MTU: u32 = 1400;

pub(crate) fn open(
    to: SocketAddr,
    ttl: u8,
    interface: Option<&str>,
    params: &StreamParams,
    key: KeyRequest,
) -> Result<RunningOutput> {
    let codec = short(params.codec);
    let description = format!(
        "appsrc name=src is-live=true ! rtp{codec}pay name=pay pt=96 mtu={MTU} config-interval=0 \
         ! udpsink name=sink sync=false async=false"
    );
    let interface = interface.map(str::to_owned);
    let recipe = Recipe::new(format!("rtp://{to}"), description, move |sink, _| {
        sink.set_property("host", to.ip().to_string());
        sink.set_property("port", i32::from(to.port()));
        sink.set_property("ttl-mc", i32::from(ttl));
        if let Some(interface) = &interface {
            sink.set_property("multicast-iface", interface);
        }
        Ok(())
    });
    let feed = Feed::new(params.frame_rate, Backlog::Skip, key);
    let mut output = piped::start(recipe, params, feed)?;
    output.sdp = Some(sdp(to, ttl, params));
    Ok(output)
}

/// What a player needs to receive the stream (RFC 8866, RFC 6184, RFC 7798). The parameter sets
/// come in the stream, before every key frame.
fn sdp(to: SocketAddr, ttl: u8, params: &StreamParams) -> String {
    let family = if to.is_ipv4() { "IP4" } else { "IP6" };
    let hops = if to.ip().is_multicast() && to.is_ipv4() { format!("/{ttl}") } else { String::new() };
    let (encoding, format) = match params.codec {
        Codec::H265 => ("H265", ""),
        _ => ("H264", "a=fmtp:96 packetization-mode=1\r\n"),
    };
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=Vitrail\r\nc=IN {family} {ip}{hops}\r\nt=0 0\r\n\
         m=video {port} RTP/AVP 96\r\na=rtpmap:96 {encoding}/90000\r\n{format}",
        ip = to.ip(),
        port = to.port(),
    )
}
