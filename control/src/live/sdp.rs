//! A browser's offer to an answer: one video that is sent, H.264, over one address of this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::change::SdpOffer;
use str0m::config::DtlsCert;
use str0m::crypto::CryptoProvider;
use str0m::format::{CodecConfig, CodecSpec, FormatParams, PayloadParams};
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Candidate, Rtc, RtcConfig};

use super::profile::{self, ProfileLevel};
use crate::base::{Kind, Problem, Result};

/// How far back packets can be sent again, in packets: about a second of a 4K screen.
const RESEND: usize = 2000;

/// What this server signs its DTLS handshakes with; made anew at each start.
#[derive(Clone)]
pub(super) struct Credentials {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

impl Credentials {
    /// A key and its certificate.
    pub fn generate() -> Result<Credentials> {
        let crypto = str0m::crypto::from_feature_flags();
        let certificate = crypto
            .dtls_provider
            .generate_certificate()
            .ok_or_else(|| Problem::internal("live pictures", "no certificate can be made for DTLS"))?;
        Ok(Credentials { crypto: Arc::new(crypto), certificate })
    }
}

/// A session that can begin.
pub(super) struct Negotiated {
    pub rtc: Rtc,
    /// The video.
    pub mid: Mid,
    /// Under which payload type it is sent.
    pub payload_type: Pt,
    /// What the browser is told.
    pub answer: String,
    /// The first of the addresses that the browser is told.
    pub address: SocketAddr,
}

/// Answers an offer for a stream of this profile, with these addresses of this machine.
pub(super) fn negotiate(
    offer: &str,
    stream: ProfileLevel,
    addresses: &[SocketAddr],
    credentials: &Credentials,
) -> Result<Negotiated> {
    let parsed = SdpOffer::from_sdp_string(offer).map_err(|e| unreadable(&e.to_string()))?;
    let answered = profile::choose(offer, stream).ok_or_else(no_h264)?;
    let mut rtc = config(answered, credentials).build(Instant::now());
    for address in addresses {
        let candidate = Candidate::host(*address, "udp")
            .map_err(|e| Problem::internal("live pictures", format!("{address} cannot be told: {e}")))?;
        rtc.add_local_candidate(candidate);
    }
    let address = *addresses.first().ok_or_else(|| {
        Problem::internal("live pictures", "no address of this machine is known to the browser")
    })?;
    let answer = rtc.sdp_api().accept_offer(parsed).map_err(|e| unreadable(&e.to_string()))?;
    let mid = video(&rtc, offer).ok_or_else(|| {
        Problem::invalid("offer", "has no video to be received; add a transceiver with direction recvonly")
            .code("no-video")
    })?;
    let payload_type = rtc
        .writer(mid)
        .and_then(|writer| writer.payload_params().next().map(PayloadParams::pt))
        .ok_or_else(no_h264)?;
    Ok(Negotiated { rtc, mid, payload_type, answer: answer.to_sdp_string(), address })
}

/// One codec, one direction, no bandwidth estimate: the encode is shared, so its rate does not follow
/// one viewer.
fn config(stream: ProfileLevel, credentials: &Credentials) -> RtcConfig {
    let spec = CodecSpec {
        codec: str0m::format::Codec::H264,
        clock_rate: Frequency::NINETY_KHZ,
        channels: None,
        format: FormatParams {
            level_asymmetry_allowed: Some(true),
            packetization_mode: Some(1),
            profile_level_id: Some(stream.id()),
            ..FormatParams::default()
        },
    };
    // Both numbers give way to the offer's.
    let mut video = PayloadParams::new(Pt::new_with_value(96), Some(Pt::new_with_value(97)), spec);
    video.set_fb_transport_cc(false);
    video.set_fb_remb(false);
    let mut extensions = ExtensionMap::empty();
    extensions.set(4, Extension::RtpMid);
    extensions.set(5, Extension::PlayoutDelay);
    let mut config = RtcConfig::new()
        .set_crypto_provider(credentials.crypto.clone())
        .set_dtls_cert(credentials.certificate.clone())
        .set_ice_lite(true)
        .set_send_buffer_video(RESEND)
        .set_extension_map(extensions);
    *config.codec_config() = CodecConfig::new_from_payload_params(vec![video]);
    config
}

/// The first video of the offer that is to be sent.
fn video(rtc: &Rtc, offer: &str) -> Option<Mid> {
    let mut mids = offer.lines().filter_map(|line| line.trim_end().strip_prefix("a=mid:")).map(Mid::from);
    let is_sent = |mid: &Mid| {
        rtc.media(*mid)
            .is_some_and(|media| media.kind() == MediaKind::Video && media.direction().is_sending())
    };
    mids.find(is_sent)
}

/// An offer that is no SDP, or none that makes sense.
pub(super) fn unreadable(why: &str) -> Problem {
    Problem::new(Kind::Malformed, "offer", format!("cannot be taken as an SDP offer: {why}")).code("sdp")
}

fn no_h264() -> Problem {
    let what = "has no H.264 with packetization-mode=1; this browser cannot show the wall over WebRTC: show \
                stream.mjpeg or picture.jpg instead";
    Problem::invalid("offer", what).code("codec")
}
