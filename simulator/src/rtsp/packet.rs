//! RTP packets of H.264 (RFC 6184) and H.265 (RFC 7798), and RTCP sender reports (RFC 3550).

use std::time::Duration;

use bytes::Bytes;
use vitrail_engine::media::Codec;

/// Payload bytes of a packet: with headers below an Ethernet frame.
pub(crate) const MAX_PAYLOAD: usize = 1400;
/// The dynamic payload type.
pub(crate) const PAYLOAD_TYPE: u8 = 96;
/// Seconds from 1900 to 1970, between the epochs of NTP and Unix.
const NTP_OFFSET: u64 = 2_208_988_800;

/// Cuts the NAL units of one picture into RTP payloads: a unit that fits is a packet of its own, a
/// larger one is fragmented.
pub(crate) fn payloads(codec: Codec, nals: &[Bytes]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for nal in nals {
        if nal.len() <= MAX_PAYLOAD {
            out.push(nal.to_vec());
            continue;
        }
        // The fragment's header repeats the unit's, with the type of a fragment (28 or 49).
        let (front, kind, body) = if codec == Codec::H264 {
            (vec![nal[0] & 0xe0 | 28], nal[0] & 0x1f, &nal[1..])
        } else {
            (vec![nal[0] & 0x81 | 49 << 1, nal[1]], nal[0] >> 1 & 0x3f, &nal[2..])
        };
        let room = MAX_PAYLOAD - front.len() - 1;
        let count = body.len().div_ceil(room);
        for (i, part) in body.chunks(room).enumerate() {
            let start = if i == 0 { 0x80 } else { 0 };
            let end = if i + 1 == count { 0x40 } else { 0 };
            let mut payload = Vec::with_capacity(front.len() + 1 + part.len());
            payload.extend_from_slice(&front);
            payload.push(start | end | kind);
            payload.extend_from_slice(part);
            out.push(payload);
        }
    }
    out
}

/// Appends an RTP packet behind an interleaved header for channel 0.
pub(crate) fn write_packet(out: &mut Vec<u8>, payload: &[u8], marker: bool, seq: u16, ts: u32, ssrc: u32) {
    out.extend_from_slice(&[b'$', 0]);
    out.extend_from_slice(&((12 + payload.len()) as u16).to_be_bytes());
    out.extend_from_slice(&[0x80, PAYLOAD_TYPE | if marker { 0x80 } else { 0 }]);
    out.extend_from_slice(&seq.to_be_bytes());
    out.extend_from_slice(&ts.to_be_bytes());
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A sender report and a source description: at `wall` (since the Unix epoch) the timestamp was `ts`.
pub(crate) fn sender_report(ssrc: u32, wall: Duration, ts: u32, packets: u32, octets: u32) -> Vec<u8> {
    let fraction = (u64::from(wall.subsec_nanos()) << 32) / 1_000_000_000;
    let mut out = vec![0x80, 200, 0, 6];
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&((wall.as_secs() + NTP_OFFSET) as u32).to_be_bytes());
    out.extend_from_slice(&(fraction as u32).to_be_bytes());
    for word in [ts, packets, octets] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    // Source description with the canonical name "cam": one item, padded to a word.
    out.extend_from_slice(&[0x81, 202, 0, 3]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[1, 3, b'c', b'a', b'm', 0, 0, 0]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Puts fragments together again, written for the test from the RFCs.
    fn assemble(codec: Codec, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut nals: Vec<Vec<u8>> = Vec::new();
        for p in payloads {
            let (fragment, header) = match codec {
                Codec::H264 => (p[0] & 0x1f == 28, 1),
                _ => (p[0] >> 1 & 0x3f == 49, 2),
            };
            if !fragment {
                nals.push(p.clone());
                continue;
            }
            if p[header] & 0x80 != 0 {
                nals.push(match codec {
                    Codec::H264 => vec![p[0] & 0xe0 | p[1] & 0x1f],
                    _ => vec![p[0] & 0x81 | (p[2] & 0x3f) << 1, p[1]],
                });
            }
            nals.last_mut().expect("a start came first").extend_from_slice(&p[header + 1..]);
        }
        nals
    }

    proptest! {
        #[test]
        fn fragments_join_again(sizes in proptest::collection::vec(3usize..6000, 1..5), h265: bool) {
            let codec = if h265 { Codec::H265 } else { Codec::H264 };
            let nals: Vec<Bytes> = sizes.iter().map(|&n| {
                let mut nal: Vec<u8> = (0..n).map(|i| (i * 31) as u8).collect();
                nal[..2].copy_from_slice(if h265 { &[0x26, 0x01] } else { &[0x65, 0x88] });
                Bytes::from(nal)
            }).collect();
            let cut = payloads(codec, &nals);
            prop_assert!(cut.iter().all(|p| p.len() <= MAX_PAYLOAD));
            prop_assert_eq!(assemble(codec, &cut), nals.iter().map(|n| n.to_vec()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn report_tells_the_wall_clock() {
        let report = sender_report(7, Duration::new(1_700_000_000, 500_000_000), 90_000, 3, 400);
        assert_eq!(report.len(), 28 + 16);
        let word = |i: usize| u32::from_be_bytes([report[i], report[i + 1], report[i + 2], report[i + 3]]);
        assert_eq!(u64::from(word(8)), 1_700_000_000 + NTP_OFFSET);
        assert_eq!(word(12), 1 << 31);
        assert_eq!(word(16), 90_000);
    }
}
