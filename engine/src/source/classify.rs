//! What an access unit's NAL units say of it, without decoding: can decoding start here, may it
//! be dropped, does it bring its parameter sets (ITU-T H.264 and H.265, clauses 7.3 and 7.4).

use crate::media::Codec;
use crate::media::annex_b::next_start_code;

/// What an access unit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitClass {
    /// It holds at least one coded slice.
    pub picture: bool,
    /// Decoding can start here: IDR or recovery point 0 (H.264), IRAP (H.265).
    pub random_access: bool,
    /// No other picture refers to it.
    pub disposable: bool,
    /// It holds a sequence parameter set.
    pub parameter_sets: bool,
}

/// Reads the NAL unit headers of one stream's access units up to the first slice: the slices of a
/// picture agree on what is asked here (H.264 7.4.1.2.4, H.265 7.4.2.2), and parameter sets and SEI
/// come before them (H.264 7.4.1.2.3, H.265 7.4.2.4.4). Remembers how many temporal
/// sub-layers the last H.265 sequence parameter set announced.
#[derive(Clone, Debug)]
pub struct Classifier {
    codec: Codec,
    highest_sublayer: u8,
}

impl Classifier {
    /// For a stream of this codec.
    pub fn new(codec: Codec) -> Classifier {
        Classifier { codec, highest_sublayer: 0 }
    }

    /// Which stream it reads.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Reads one access unit, in Annex B for H.264 and H.265.
    pub fn classify(&mut self, data: &[u8]) -> UnitClass {
        match self.codec {
            Codec::H264 => classify_h264(data),
            Codec::H265 => self.classify_h265(data),
            Codec::Mjpeg => {
                UnitClass { picture: true, random_access: true, disposable: true, parameter_sets: false }
            }
            Codec::Mpeg4 => classify_mpeg4(data),
        }
    }

    fn classify_h265(&mut self, data: &[u8]) -> UnitClass {
        let mut class = UnitClass::default();
        for nal in from_each_start(data) {
            let [first, second, ..] = *nal else { continue };
            let (kind, sublayer) = ((first >> 1) & 0x3f, (second & 7).saturating_sub(1));
            match kind {
                // A slice: types 0 to 15 are no IRAP; even ones are sub-layer non-reference.
                0..=15 => {
                    class.picture = true;
                    class.disposable = kind % 2 == 0 && sublayer >= self.highest_sublayer;
                    return class;
                }
                16..=23 => {
                    class.picture = true;
                    class.random_access = true;
                    return class;
                }
                33 => {
                    class.parameter_sets = true;
                    // sps_video_parameter_set_id u(4), sps_max_sub_layers_minus1 u(3)
                    self.highest_sublayer = nal.get(2).map_or(0, |b| (b >> 1) & 7);
                }
                _ => {}
            }
        }
        class
    }
}

fn classify_h264(data: &[u8]) -> UnitClass {
    let mut class = UnitClass::default();
    let mut is_recovered = false;
    for nal in from_each_start(data) {
        let [first, ref body @ ..] = *nal else { continue };
        let (reference, kind) = (first & 0x60 != 0, first & 0x1f);
        match kind {
            1..=5 => {
                class.picture = true;
                class.random_access = kind == 5 || is_recovered;
                class.disposable = !reference;
                return class;
            }
            6 => {
                let end = next_start_code(body, 0).map_or(body.len(), |(at, _)| at);
                is_recovered |= recovery_point(&body[..end]) == Some(0);
            }
            7 => class.parameter_sets = true,
            _ => {}
        }
    }
    class
}

/// What a recovery point message (payload type 6) in an SEI says: how many pictures later, counted as
/// `frame_num` does, all is as it was (`recovery_frame_cnt`). `sei`: behind its head; `None` where it has none.
pub fn recovery_point(mut sei: &[u8]) -> Option<u32> {
    fn number(sei: &mut &[u8]) -> Option<usize> {
        let mut value = 0;
        loop {
            let (&byte, rest) = sei.split_first()?;
            *sei = rest;
            value += usize::from(byte);
            if byte != 0xff {
                return Some(value);
            }
        }
    }
    while sei.len() > 2 {
        let (kind, size) = (number(&mut sei)?, number(&mut sei)?);
        if kind == 6 {
            // ue(v) of at most 33 bits, as frame_num has no more than 16.
            let mut bits = 0_u64;
            (0..8).for_each(|at| bits = bits << 8 | u64::from(sei.get(at).copied().unwrap_or(0)));
            let zeros = bits.leading_zeros();
            return (zeros <= 16).then(|| (bits >> (63 - 2 * zeros)) as u32 - 1);
        }
        sei = sei.get(size..).unwrap_or_default();
    }
    None
}

/// MPEG-4 part 2: `vop_coding_type` follows the VOP start code B6: 0 is intra, 2 is bidirectional.
fn classify_mpeg4(data: &[u8]) -> UnitClass {
    let mut class = UnitClass::default();
    for i in 0..data.len().saturating_sub(4) {
        if data[i..i + 3] != [0, 0, 1] {
            continue;
        }
        match data[i + 3] {
            0x20..=0x2f => class.parameter_sets = true,
            0xb6 => {
                let coding = data[i + 4] >> 6;
                return UnitClass {
                    picture: true,
                    random_access: coding == 0,
                    disposable: coding == 2,
                    ..class
                };
            }
            _ => {}
        }
    }
    class
}

/// From behind each start code to the end of the data, so that nobody looks for the end of a slice of
/// which only the head is read.
pub(super) fn from_each_start(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    std::iter::from_fn(move || {
        from = next_start_code(data, from)?.1;
        Some(&data[from..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::annex_b::nal_units;
    use proptest::prelude::*;

    fn h264(data: &[u8]) -> UnitClass {
        Classifier::new(Codec::H264).classify(data)
    }

    #[test]
    fn h264_units_are_told_apart() {
        let idr = h264(&[0, 0, 0, 1, 0x67, 0x42, 0, 0, 1, 0x68, 0xce, 0, 0, 1, 0x65, 0x88]);
        assert_eq!(
            idr,
            UnitClass { picture: true, random_access: true, disposable: false, parameter_sets: true }
        );
        let p = h264(&[0, 0, 0, 1, 0x41, 0x9a]);
        assert_eq!(p, UnitClass { picture: true, ..Default::default() });
        let b = h264(&[0, 0, 0, 1, 0x01, 0x9e]);
        assert!(b.disposable && !b.random_access);
        let recovery = [0, 0, 0, 1, 0x06, 6, 1, 0xc4, 0x80, 0, 0, 0, 1, 0x41, 0x9a];
        assert!(h264(&recovery).random_access, "recovery point with recovery_frame_cnt 0");
        let later = [0, 0, 0, 1, 0x06, 6, 1, 0x44, 0x80, 0, 0, 0, 1, 0x41, 0x9a];
        assert!(!h264(&later).random_access, "recovery_frame_cnt 1 or more");
        assert_eq!(h264(&[0, 0, 0, 1, 0x06, 5, 1, 0xff, 0x80]), UnitClass::default(), "an SEI alone");
    }

    #[test]
    fn recovery_points_tell_how_far_away_all_is_whole() {
        let told = |bytes: &[u8]| recovery_point(&[&[6, 2], bytes].concat());
        assert_eq!([told(&[0x80, 0]), told(&[0x44, 0]), told(&[0x0d, 0])], [Some(0), Some(1), Some(25)]);
        assert_eq!(recovery_point(&[5, 1, 0, 6, 1, 0x64, 0x80]), Some(2), "behind another message");
        assert_eq!((recovery_point(&[6, 4, 0, 0, 0, 0]), recovery_point(&[5, 9, 1])), (None, None));
    }

    #[test]
    fn h265_units_are_told_apart() {
        let mut c = Classifier::new(Codec::H265);
        let nal = |kind: u8, sublayer: u8| vec![0, 0, 0, 1, kind << 1, sublayer + 1, 0xaf];
        assert!(c.classify(&nal(19, 0)).random_access, "IDR_W_RADL");
        assert!(c.classify(&nal(21, 0)).random_access, "CRA");
        assert!(c.classify(&nal(0, 0)).disposable, "TRAIL_N of the only sub-layer");
        assert!(!c.classify(&nal(1, 0)).disposable, "TRAIL_R");
        // An SPS with sps_max_sub_layers_minus1 = 1.
        let sps = [0, 0, 0, 1, 33 << 1, 1, 0b0000_0010, 1];
        assert!(c.classify(&sps).parameter_sets);
        assert!(!c.classify(&nal(0, 0)).disposable, "TSA and TRAIL of layer 1 may refer to it");
        assert!(c.classify(&nal(2, 1)).disposable, "TSA_N at the highest sub-layer");
    }

    #[test]
    fn mpeg4_vops_are_told_apart() {
        let vop = |coding: u8| classify_mpeg4(&[0, 0, 1, 0xb6, coding << 6, 0, 0]);
        assert!(vop(0).random_access && !vop(1).random_access && vop(2).disposable);
    }

    proptest! {
        #[test]
        fn no_bytes_are_lost_and_none_panic(data in prop::collection::vec(prop::sample::select(vec![0u8, 0, 0, 1, 1, 6, 0x65, 0xff]), 0..80)) {
            for codec in [Codec::H264, Codec::H265, Codec::Mpeg4, Codec::Mjpeg] {
                Classifier::new(codec).classify(&data);
            }
            let starts = from_each_start(&data).count();
            prop_assert!(nal_units(&data).count() <= starts);
            let naive = data.windows(3).filter(|w| *w == [0, 0, 1]).count();
            prop_assert!(starts <= naive);
            let kept: usize = nal_units(&data).map(|n| n.iter().filter(|b| **b > 1).count()).sum();
            let first = data.windows(3).position(|w| w == [0, 0, 1]).map_or(data.len(), |p| p + 3);
            prop_assert_eq!(kept, data[first..].iter().filter(|b| **b > 1).count());
        }
    }
}
