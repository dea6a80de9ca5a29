//! A sum over a track's payloads that does not depend on how a container packs them: H.264 and H.265
//! by NAL unit, AAC without its ADTS headers.

use ffmpeg_next as ff;
use sha2::{Digest, Sha256};

use crate::media::annex_b::nal_units;
use crate::source::{hvcc_units, take_nal};

/// The running sum of a track.
#[derive(Clone)]
pub(super) struct PayloadSum {
    packing: Packing,
    /// Units of the codec record that are no parameter sets, such as the encoder's name: a muxer that
    /// puts the record in front of key frames puts them in as well.
    extra: Vec<Vec<u8>>,
    sum: Sha256,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    /// NAL units after start codes.
    AnnexB(Nal),
    /// NAL units after their length in so many bytes.
    Lengths(Nal, usize),
    /// AAC, with or without a header for each packet.
    Aac,
    /// AV1, with or without temporal delimiters.
    Av1,
    /// As it is.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nal {
    H264,
    H265,
}

impl PayloadSum {
    pub(super) fn new(codec: ff::codec::Id, extradata: &[u8]) -> PayloadSum {
        let packing = packing(codec, extradata);
        PayloadSum { packing, extra: extra(packing, extradata), sum: Sha256::new() }
    }

    /// The same, of what was made from a track that `other` sums up.
    pub(super) fn like(mut self, other: &PayloadSum) -> PayloadSum {
        self.extra.clone_from(&other.extra);
        self
    }

    pub(super) fn add(&mut self, payload: &[u8]) {
        match self.packing {
            Packing::AnnexB(kind) => nal_units(payload).for_each(|nal| self.nal(kind, nal)),
            Packing::Lengths(kind, size) => lengths(payload, size, |nal| self.nal(kind, nal)),
            Packing::Aac => self.sum.update(without_adts(payload)),
            Packing::Av1 => self.sum.update(payload.strip_prefix(&[0x12, 0]).unwrap_or(payload)),
            Packing::Plain => self.sum.update(payload),
        }
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.sum.finalize().into()
    }

    fn nal(&mut self, kind: Nal, nal: &[u8]) {
        let nal = without_zeros(nal);
        if !nal.is_empty() && !is_moved(kind, nal) && !self.extra.iter().any(|extra| extra == nal) {
            self.sum.update((nal.len() as u64).to_le_bytes());
            self.sum.update(nal);
        }
    }
}

/// Zeros after a unit belong to the byte stream, not to the unit.
fn without_zeros(nal: &[u8]) -> &[u8] {
    &nal[..nal.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)]
}

/// Delimiters and parameter sets are put in, moved and taken out by containers.
fn is_moved(kind: Nal, nal: &[u8]) -> bool {
    match kind {
        Nal::H264 => matches!(nal[0] & 0x1f, 7..=9),
        Nal::H265 => matches!((nal[0] >> 1) & 0x3f, 32..=35),
    }
}

/// Messages (SEI) in a codec record.
fn extra(packing: Packing, extradata: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut keep = |kind, nal: &[u8]| {
        let nal = without_zeros(nal);
        let message = nal.first().is_some_and(|first| match kind {
            Nal::H264 => first & 0x1f == 6,
            Nal::H265 => matches!((first >> 1) & 0x3f, 39 | 40),
        });
        if message {
            found.push(nal.to_vec());
        }
    };
    match packing {
        Packing::AnnexB(kind) => nal_units(extradata).for_each(|nal| keep(kind, nal)),
        // That of H.264 has no place for messages. Of a damaged record, those before the damage count.
        Packing::Lengths(Nal::H265, _) => {
            let _ = hvcc_units(extradata, |_, nal| keep(Nal::H265, nal));
        }
        _ => {}
    }
    found
}

fn packing(codec: ff::codec::Id, extradata: &[u8]) -> Packing {
    let kind = match codec {
        ff::codec::Id::H264 => Nal::H264,
        ff::codec::Id::HEVC => Nal::H265,
        ff::codec::Id::AAC => return Packing::Aac,
        ff::codec::Id::AV1 => return Packing::Av1,
        _ => return Packing::Plain,
    };
    if extradata.starts_with(&[0, 0, 1]) || extradata.starts_with(&[0, 0, 0, 1]) {
        return Packing::AnnexB(kind);
    }
    // The last two bits of this byte of the codec record (ISO/IEC 14496-15) are the length's size
    // less one.
    let at = match kind {
        Nal::H264 => 4,
        Nal::H265 => 21,
    };
    match extradata.get(at) {
        Some(byte) if extradata.len() > at + 1 => Packing::Lengths(kind, usize::from(byte & 3) + 1),
        _ => Packing::AnnexB(kind),
    }
}

fn lengths(mut payload: &[u8], size: usize, mut each: impl FnMut(&[u8])) {
    while let Some(nal) = take_nal(&mut payload, size) {
        each(nal);
    }
    // A damaged length takes what is left, so that it changes the sum.
    each(payload.get(size..).unwrap_or_default());
}

fn without_adts(payload: &[u8]) -> &[u8] {
    match payload {
        // Sync word, layer zero; the lowest bit says that no checksum follows.
        [0xff, second, ..] if second & 0xf6 == 0xf0 => {
            payload.get(if second & 1 == 1 { 7 } else { 9 }..).unwrap_or_default()
        }
        _ => payload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(codec: ff::codec::Id, extradata: &[u8], payloads: &[&[u8]]) -> [u8; 32] {
        let mut sum = PayloadSum::new(codec, extradata);
        payloads.iter().for_each(|payload| sum.add(payload));
        sum.finish()
    }

    #[test]
    fn packing_does_not_change_the_sum_and_a_bit_does() {
        let record = [1, 66, 0, 30, 0xff, 0xe0, 0];
        let h264 = ff::codec::Id::H264;
        let start_codes =
            sum(h264, &[0, 0, 0, 1, 0x67], &[&[0, 0, 0, 1, 9, 0x10, 0, 0, 1, 0x65, 1, 2, 0, 0, 3, 1, 0]]);
        let with_lengths = sum(h264, &record, &[&[0, 0, 0, 7, 0x65, 1, 2, 0, 0, 3, 1]]);
        assert_eq!(start_codes, with_lengths);
        let flipped = sum(h264, &record, &[&[0, 0, 0, 7, 0x65, 1, 2, 0, 0, 3, 3]]);
        assert_ne!(with_lengths, flipped);
        let short = sum(h264, &record, &[&[0, 0, 0, 6, 0x65, 1, 2, 0, 0, 3, 1]]);
        assert_ne!(with_lengths, short);
        // A message of the codec record, in front of the picture or not; another one counts.
        let mut record = vec![0; 21];
        record.extend([3, 1, 39 << 1, 0, 1, 0, 3, 39 << 1, 1, 5]);
        let hevc = ff::codec::Id::HEVC;
        let without = sum(hevc, &record, &[&[0, 0, 0, 3, 19 << 1, 1, 7]]);
        assert_eq!(without, sum(hevc, &record, &[&[0, 0, 0, 3, 39 << 1, 1, 5, 0, 0, 0, 3, 19 << 1, 1, 7]]));
        assert_ne!(without, sum(hevc, &record, &[&[0, 0, 0, 3, 39 << 1, 1, 6, 0, 0, 0, 3, 19 << 1, 1, 7]]));
        let aac = ff::codec::Id::AAC;
        let adts = sum(aac, &[], &[&[0xff, 0xf1, 0x50, 0x80, 1, 0x3f, 0xfc, 0x21, 0x10]]);
        assert_eq!(adts, sum(aac, &[0x12, 0x10], &[&[0x21, 0x10]]));
    }
}
