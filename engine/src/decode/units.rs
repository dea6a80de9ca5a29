//! Looks into access units just far enough to know whether they stand on their own.

use bytes::{Bytes, BytesMut};

use crate::media::{AccessUnit, Codec};

/// The bytes that follow each start code (`00 00 01`) of `data`.
fn after_start_codes(data: &[u8]) -> impl Iterator<Item = u8> + '_ {
    data.windows(4).filter(|w| w[0] == 0 && w[1] == 0 && w[2] == 1).map(|w| w[3])
}

/// True where the unit brings its sequence parameter set (or the like) before its first slice, so
/// that any decoder can start with it.
pub(super) fn carries_parameter_sets(codec: Codec, data: &[u8]) -> bool {
    match codec {
        // Rec. ITU-T H.264 table 7-1: 7 is an SPS, 1 to 5 are slices.
        Codec::H264 => {
            after_start_codes(data).map(|b| b & 31).take_while(|t| !(1..=5).contains(t)).any(|t| t == 7)
        }
        // Rec. ITU-T H.265 table 7-1: 33 is an SPS, 0 to 31 are slices.
        Codec::H265 => after_start_codes(data).map(|b| b >> 1 & 63).take_while(|t| *t > 31).any(|t| t == 33),
        Codec::Mjpeg => true,
        // ISO/IEC 14496-2: 20 to 2F start a video object layer, B6 a picture.
        Codec::Mpeg4 => {
            after_start_codes(data).take_while(|b| *b != 0xB6).any(|b| (0x20..=0x2F).contains(&b))
        }
    }
}

/// The unit with its parameter sets in front, so that it stands on its own; `None` where they are
/// not known.
pub(super) fn self_contained(codec: Codec, unit: &AccessUnit, extradata: &Bytes) -> Option<AccessUnit> {
    if carries_parameter_sets(codec, &unit.data) {
        return Some(unit.clone());
    }
    if !carries_parameter_sets(codec, extradata) {
        return None;
    }
    let mut data = BytesMut::with_capacity(extradata.len() + unit.data.len());
    data.extend_from_slice(extradata);
    data.extend_from_slice(&unit.data);
    Some(AccessUnit { data: data.freeze(), ..unit.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_count_only_before_the_first_slice() {
        let sps_idr = [0, 0, 0, 1, 0x67, 9, 0, 0, 1, 0x68, 9, 0, 0, 1, 0x65, 9];
        assert!(carries_parameter_sets(Codec::H264, &sps_idr));
        assert!(!carries_parameter_sets(Codec::H264, &sps_idr[6..]));
        assert!(!carries_parameter_sets(Codec::H264, &[0, 0, 1, 0x65, 9, 0, 0, 1, 0x67, 9]));
        assert!(carries_parameter_sets(Codec::H265, &[0, 0, 1, 0x40, 1, 0, 0, 1, 0x42, 1, 0, 0, 1, 0x26, 1]));
        assert!(!carries_parameter_sets(Codec::H265, &[0, 0, 1, 0x26, 1, 0, 0, 1, 0x42, 1]));
        assert!(!carries_parameter_sets(Codec::H264, &[]));
    }
}
