//! The session description of a stream (RFC 4566, RFC 6184, RFC 7798).

use vitrail_engine::media::Codec;

use super::packet::PAYLOAD_TYPE;
use crate::clip::Clip;

/// Describes `clip`; without parameter sets where `sprop` is false.
pub(crate) fn describe(clip: &Clip, sprop: bool) -> String {
    let name = if clip.codec == Codec::H264 { "H264" } else { "H265" };
    let sets: Vec<String> = clip.sets.iter().map(|set| base64(set)).collect();
    let format = match (clip.codec, sprop) {
        (Codec::H264, true) => {
            let profile: String = clip.sets[0][1..4].iter().map(|b| format!("{b:02X}")).collect();
            format!("packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={}", sets.join(","))
        }
        (Codec::H264, false) => "packetization-mode=1".to_owned(),
        (_, true) => {
            let keys = ["sprop-vps", "sprop-sps", "sprop-pps"];
            keys.iter().zip(&sets).map(|(key, set)| format!("{key}={set}")).collect::<Vec<_>>().join(";")
        }
        (_, false) => String::new(),
    };
    let fmtp = if format.is_empty() { format } else { format!("a=fmtp:{PAYLOAD_TYPE} {format}\r\n") };
    let rate = format!("{:.3}", clip.rate.as_f64());
    let rate = rate.trim_end_matches('0').trim_end_matches('.');
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n\
         a=range:npt=now-\r\nm=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} {name}/90000\r\n\
         {fmtp}a=framerate:{rate}\r\na=control:trackID=0\r\n"
    )
}

fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(data.len().div_ceil(3) * 4);
    for part in data.chunks(3) {
        let bits = part.iter().enumerate().fold(0u32, |bits, (i, &b)| bits | u32::from(b) << (16 - 8 * i));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= part.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_rfc_4648() {
        let known = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (length, text) in known.iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..length]), *text);
        }
    }
}
