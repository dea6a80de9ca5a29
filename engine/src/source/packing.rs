//! Parameter sets and access units as containers keep them, turned into Annex B: `avcC` and `hvcC`
//! records, and NAL units behind their lengths (ISO/IEC 14496-15, clauses 5.3 and 8.3).

use bytes::Bytes;

use crate::media::Codec;
use crate::media::annex_b::nal_units;

const START: [u8; 4] = [0, 0, 0, 1];

/// How a container writes the NAL units of a stream, and the parameter sets that it keeps apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Bytes of the length in front of each NAL unit (1 to 4); `None`: start codes, as in Annex B.
    pub length_size: Option<usize>,
    /// Parameter sets in Annex B; empty where the stream carries them itself.
    pub sets: Bytes,
}

impl Packing {
    /// Reads a container's codec record. `None` where it is damaged; an empty record means Annex B.
    pub fn read(codec: Codec, record: &[u8]) -> Option<Packing> {
        let annex_b = record.len() < 4 || record.starts_with(&START) || record.starts_with(&START[1..]);
        match codec {
            Codec::H264 if !annex_b => read_avcc(record),
            Codec::H265 if !annex_b => read_hvcc(record),
            _ => Some(Packing { length_size: None, sets: Bytes::copy_from_slice(record) }),
        }
    }

    /// An access unit in Annex B. Of a damaged one, the whole NAL units before the damage, and
    /// false.
    pub fn unpack(&self, data: &[u8]) -> (Vec<u8>, bool) {
        let Some(size) = self.length_size else { return (data.to_vec(), true) };
        let mut out = Vec::with_capacity(data.len() + 16);
        let mut rest = data;
        while !rest.is_empty() {
            let Some(nal) = take_nal(&mut rest, size) else { return (out, false) };
            if !nal.is_empty() {
                out.extend_from_slice(&START);
                out.extend_from_slice(nal);
            }
        }
        (out, true)
    }
}

impl Packing {
    /// The NAL units of an access unit, up to where it is damaged.
    pub fn nal_units<'a>(&self, unit: &'a [u8]) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        let Some(size) = self.length_size else { return Box::new(nal_units(unit)) };
        let mut rest = unit;
        Box::new(std::iter::from_fn(move || take_nal(&mut rest, size)))
    }
}

/// A NAL unit behind a big-endian length of `size` bytes; `None`, and nothing is taken, where it is damaged.
pub(crate) fn take_nal<'a>(rest: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (length, after) = rest.split_at_checked(size)?;
    let length = length.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
    let (nal, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(nal)
}

fn append(sets: &mut Vec<u8>, nal: &[u8]) {
    sets.extend_from_slice(&START);
    sets.extend_from_slice(nal);
}

/// AVCDecoderConfigurationRecord: five bytes of head, sequence sets, picture sets.
fn read_avcc(record: &[u8]) -> Option<Packing> {
    let length_size = usize::from(record.get(4)? & 3) + 1;
    let mut rest = record.get(5..)?;
    let mut sets = Vec::new();
    for mask in [0x1f, 0xff] {
        let (count, after) = rest.split_first()?;
        rest = after;
        for _ in 0..count & mask {
            append(&mut sets, take_nal(&mut rest, 2)?);
        }
    }
    Some(Packing { length_size: Some(length_size), sets: sets.into() })
}

/// HEVCDecoderConfigurationRecord: 22 bytes of head, arrays of NAL units by type.
fn read_hvcc(record: &[u8]) -> Option<Packing> {
    let length_size = usize::from(record.get(21)? & 3) + 1;
    let mut sets = Vec::new();
    hvcc_units(record, |kind, nal| {
        // VPS, SPS, PPS; SEI messages there are no parameter sets.
        if (32..=34).contains(&kind) {
            append(&mut sets, nal);
        }
    })?;
    Some(Packing { length_size: Some(length_size), sets: sets.into() })
}

/// The NAL units of an HEVCDecoderConfigurationRecord, each with the type that its array says; `None` where it is
/// damaged, behind those that are whole.
pub(crate) fn hvcc_units<'a>(record: &'a [u8], mut each: impl FnMut(u8, &'a [u8])) -> Option<()> {
    let (arrays, mut rest) = record.get(22..)?.split_first()?;
    for _ in 0..*arrays {
        let (head, after) = rest.split_at_checked(3)?;
        rest = after;
        for _ in 0..u16::from_be_bytes([head[1], head[2]]) {
            each(head[0] & 0x3f, take_nal(&mut rest, 2)?);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_avcc_record_becomes_its_sets() {
        let record = [1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 2, 0x67, 9, 1, 0, 1, 0x68];
        let packing = Packing::read(Codec::H264, &record).expect("a whole record");
        assert_eq!(packing.length_size, Some(4));
        assert_eq!(packing.sets.as_ref(), [0, 0, 0, 1, 0x67, 9, 0, 0, 0, 1, 0x68]);
        assert_eq!(Packing::read(Codec::H264, &record[..12]), None, "a cut record");
    }

    #[test]
    fn an_hvcc_record_becomes_its_sets_without_sei() {
        let mut record = vec![1u8; 21];
        record.extend([3, 2, 33, 0, 1, 0, 2, 0x42, 1, 39, 0, 1, 0, 1, 0x4e]);
        let packing = Packing::read(Codec::H265, &record).expect("a whole record");
        assert_eq!(packing.length_size, Some(4));
        assert_eq!(packing.sets.as_ref(), [0, 0, 0, 1, 0x42, 1]);
    }

    #[test]
    fn lengths_become_start_codes() {
        let packing = Packing { length_size: Some(2), sets: Bytes::new() };
        assert_eq!(
            packing.unpack(&[0, 1, 7, 0, 0, 0, 2, 8, 9]),
            (vec![0, 0, 0, 1, 7, 0, 0, 0, 1, 8, 9], true)
        );
        assert_eq!(packing.unpack(&[0, 1, 7, 0, 9, 8]), (vec![0, 0, 0, 1, 7], false));
        let annex_b = Packing::read(Codec::H264, &[]).expect("nothing is Annex B");
        assert_eq!(annex_b.unpack(&[0, 0, 1, 7]), (vec![0, 0, 1, 7], true));
    }

    proptest! {
        #[test]
        fn no_record_and_no_unit_panics(record in prop::collection::vec(any::<u8>(), 0..64), data in prop::collection::vec(0u8..6, 0..64)) {
            for codec in [Codec::H264, Codec::H265, Codec::Mpeg4] {
                if let Some(packing) = Packing::read(codec, &record) {
                    packing.unpack(&data);
                }
            }
        }
    }
}
