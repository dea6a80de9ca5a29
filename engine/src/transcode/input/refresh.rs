//! Where H.264 that refreshes its pictures piece by piece is whole again: so many pictures after a recovery point
//! (Rec. H.264, D.2.8). Pure.

use std::collections::BTreeMap;

use ffmpeg_next::codec::Id;

use crate::media::Codec;
use crate::source::Packing;
use crate::source::classify::recovery_point;

/// Reads the units of one stream, in their order.
pub struct Refresh {
    packing: Option<Packing>,
    /// Recovery points, and reference pictures until all is whole.
    waiting: Vec<(u64, u32)>,
    /// The first whole picture behind each that is not whole itself.
    whole: BTreeMap<u64, Option<u64>>,
}

impl Refresh {
    /// For a stream with these parameter sets, as its container keeps them.
    pub fn new(codec: Id, record: &[u8]) -> Refresh {
        let packing = Some(record).filter(|_| codec == Id::H264).and_then(|r| Packing::read(Codec::H264, r));
        Refresh { packing, waiting: Vec::new(), whole: BTreeMap::new() }
    }

    /// Takes the next unit, which has this number; `is_key`: decoding may begin with it.
    pub fn note(&mut self, number: u64, is_key: bool, unit: &[u8]) {
        let Some(packing) = self.packing.as_ref().filter(|_| is_key || !self.waiting.is_empty()) else {
            return;
        };
        let (mut is_reference, mut away) = (false, 0);
        for nal in packing.nal_units(unit) {
            let Some((head, body)) = nal.split_first() else { continue };
            match head & 0x1f {
                6 => away = recovery_point(body).unwrap_or(away),
                kind @ 1..=5 => {
                    // An IDR picture is whole, whatever a message says.
                    away = if kind == 5 { 0 } else { away };
                    is_reference = head & 0x60 != 0;
                    break;
                }
                _ => {}
            }
        }
        if is_reference {
            self.waiting.iter_mut().for_each(|(_, left)| *left -= 1);
            for (key, _) in self.waiting.extract_if(.., |(_, left)| *left == 0) {
                self.whole.insert(key, Some(number));
            }
        }
        if is_key && away > 0 {
            self.waiting.push((number, away));
            self.whole.insert(number, None);
        }
    }

    /// The unit with the first whole picture, where decoding begins with a key: the key itself, or a later one;
    /// `None` where none came.
    pub fn whole(&self, key: u64) -> Option<u64> {
        self.whole.get(&key).copied().unwrap_or(Some(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recovery point so many pictures before all is whole, below 7.
    fn point(away: u8) -> Vec<u8> {
        // ue(v) of up to five bits, then three flags.
        let coded = match away {
            0 => 0b1000_0000,
            1..=2 => 0b0100_0000 | (away - 1) << 5,
            _ => 0b0010_0000 | (away - 3) << 3,
        };
        vec![0, 0, 1, 6, 6, 1, coded, 0x80]
    }

    fn picture(is_reference: bool) -> Vec<u8> {
        vec![0, 0, 1, if is_reference { 0x41 } else { 0x01 }, 0x9a]
    }

    #[test]
    fn pictures_are_whole_so_many_references_later() {
        let mut refresh = Refresh::new(Id::H264, &[]);
        let units = [
            (true, [point(3), picture(true)].concat()),
            (false, picture(true)),
            (false, picture(false)),
            (false, picture(true)),
            (true, [point(2), picture(true)].concat()),
            (true, [point(0), picture(true)].concat()),
            (true, [point(6), picture(true)].concat()),
        ];
        for (number, (is_key, unit)) in (0..).zip(&units) {
            refresh.note(number, *is_key, unit);
        }
        assert_eq!([0, 4, 5, 6].map(|key| refresh.whole(key)), [Some(4), Some(6), Some(5), None]);
    }
}
