//! Just enough of Annex B to know what an access unit carries: NAL unit types and parameter sets.

use bytes::{Bytes, BytesMut};

use crate::media::Codec;
use crate::media::annex_b::nal_units;

/// The NAL unit type: Rec. H.264 table 7-1, Rec. H.265 table 7-1.
pub fn kind(codec: Codec, unit: &[u8]) -> u8 {
    match codec {
        Codec::H265 => unit.first().map_or(0, |b| (b >> 1) & 0x3f),
        _ => unit.first().map_or(0, |b| b & 0x1f),
    }
}

/// True for SPS and PPS (H.264: 7, 8), and VPS, SPS, PPS (H.265: 32 to 34).
pub fn is_parameter_set(codec: Codec, unit: &[u8]) -> bool {
    match codec {
        Codec::H265 => (32..=34).contains(&kind(codec, unit)),
        _ => (7..=8).contains(&kind(codec, unit)),
    }
}

/// True where the unit carries coded samples.
fn is_picture(codec: Codec, unit: &[u8]) -> bool {
    match codec {
        Codec::H265 => kind(codec, unit) < 32,
        _ => (1..=5).contains(&kind(codec, unit)),
    }
}

/// The parameter sets of an access unit in Annex B; `None` where the set is not whole. Reads no
/// further than the first coded slice.
pub fn parameter_sets(codec: Codec, data: &[u8]) -> Option<Bytes> {
    let wanted: &[u8] = if codec == Codec::H265 { &[32, 33, 34] } else { &[7, 8] };
    let mut out = BytesMut::new();
    let mut seen = Vec::new();
    for unit in nal_units(data).take_while(|unit| !is_picture(codec, unit)) {
        if is_parameter_set(codec, unit) {
            seen.push(kind(codec, unit));
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(unit);
        }
    }
    wanted.iter().all(|k| seen.contains(k)).then(|| out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_are_found() {
        let data = [0, 0, 0, 1, 0x09, 0xf0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 9];
        let kinds: Vec<u8> = nal_units(&data).map(|u| kind(Codec::H264, u)).collect();
        assert_eq!(kinds, [9, 7, 8, 5]);
        assert_eq!(
            parameter_sets(Codec::H264, &data).as_deref(),
            Some(&[0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3][..])
        );
    }

    #[test]
    fn a_set_that_is_not_whole_does_not_count() {
        assert_eq!(parameter_sets(Codec::H264, &[0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 9]), None);
        assert_eq!(parameter_sets(Codec::H265, &[0, 0, 1, 0x42, 1, 0, 0, 1, 0x44, 9]), None);
        assert_eq!(parameter_sets(Codec::H264, &[]), None);
    }
}
