//! What the head of a coded frame of sound says, for codecs whose frames find themselves in a stream of
//! bytes. Pure.

use ffmpeg_next::codec::{Id, Parameters};

use crate::source::demux_ffi::extradata;

/// How the packets of a track begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    codec: Id,
    /// The container keeps the head of all frames: packets of AAC have none (ISO/IEC 14496-3, 1.6.2.1).
    apart: bool,
}

impl Heads {
    /// Of a track with these parameters.
    pub fn of(parameters: &Parameters) -> Heads {
        Heads { codec: parameters.id(), apart: !extradata(parameters).is_empty() }
    }

    /// The kind of sound in a packet: two packets of like sound have the same number. `None` where the packet
    /// does not begin with a frame, as where a recording was cut within one; codecs without heads have one kind.
    pub fn kind(self, packet: &[u8]) -> Option<u32> {
        let bits =
            |at: usize, shift: u32, mask: u8| packet.get(at).map(|byte| u32::from(byte >> shift & mask));
        let starts = |first: u8, mask: u8, second: u8| {
            packet.first() == Some(&first) && packet.get(1).is_some_and(|byte| byte & mask == second)
        };
        match self.codec {
            // ADTS (ISO/IEC 14496-3, 1.A.2.2): profile, rate, channels.
            Id::AAC if !self.apart => {
                let whole = starts(0xff, 0xf6, 0xf0) && packet.len() > 7;
                let kind = bits(2, 2, 0x3f)? << 3 | bits(2, 0, 1)? << 2 | bits(3, 6, 3)?;
                whole.then_some(kind)
            }
            // ISO/IEC 11172-3, 2.4.1.3: version and layer, rate, one channel or two.
            Id::MP1 | Id::MP2 | Id::MP3 => {
                let whole = starts(0xff, 0xe0, 0xe0) && bits(1, 1, 3)? != 0 && bits(2, 2, 3)? != 3;
                let single = u32::from(bits(3, 6, 3)? == 3);
                whole.then_some(bits(1, 1, 0xf)? << 3 | bits(2, 2, 3)? << 1 | single)
            }
            // ETSI TS 102 366, 4.3: rate, and channels behind it.
            Id::AC3 if starts(0x0b, 0xff, 0x77) => Some(bits(4, 6, 3)? << 3 | bits(6, 5, 7)?),
            Id::EAC3 => starts(0x0b, 0xff, 0x77).then_some(0),
            Id::AC3 => None,
            _ => Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(codec: Id, apart: bool, packet: &[u8]) -> Option<u32> {
        Heads { codec, apart }.kind(packet)
    }

    #[test]
    fn frames_are_told_from_what_is_left_of_one() {
        let adts = [0xff, 0xf1, 0x60, 0x40, 0x1f, 0xfc, 0xde, 1];
        let other_rate = [0xff, 0xf1, 0x50, 0x40, 0x1f, 0xfc, 0xde, 1];
        let aac = |packet: &[u8]| kind(Id::AAC, false, packet);
        assert!(aac(&adts).is_some() && aac(&other_rate).is_some() && aac(&adts) != aac(&other_rate));
        assert_eq!((aac(&adts[1..]), aac(&adts[..7]), aac(&[])), (None, None, None));
        assert_eq!(kind(Id::AAC, true, &[0x21, 0x10]), Some(0), "the container has its head");
        let stereo = [0xff, 0xfd, 0x84, 0x04];
        let joint = [0xff, 0xfd, 0x84, 0x44];
        let mono = [0xff, 0xfd, 0x84, 0xc4];
        let mp2 = |packet: &[u8]| kind(Id::MP2, false, packet);
        assert_eq!(mp2(&stereo), mp2(&joint), "an encoder changes between these at will");
        assert!(mp2(&mono).is_some() && mp2(&mono) != mp2(&stereo));
        assert_eq!(mp2(&[0x12, 0xff, 0xfd, 0x84]), None);
        assert!(kind(Id::AC3, false, &[0x0b, 0x77, 0, 0, 0x14, 0x40, 0x43]).is_some());
        assert_eq!(kind(Id::AC3, false, &[0x77, 0x0b, 0x77, 0, 0, 0x14, 0x40, 0x43]), None);
        assert_eq!(kind(Id::OPUS, false, &[]), Some(0));
    }
}
