//! Coded fields that are the two halves of one picture. Byte streams hand each of them on by itself
//! (ITU-T H.264, 7.4.1.2.4); who counts pictures, or cuts between them, wants both at once.

use std::collections::{BTreeMap, VecDeque};

use ff::codec::packet::side_data::Type as SideData;
use ffmpeg_next as ff;
use h264_reader::nal::{Nal, RefNal};
use h264_reader::rbsp::{BitRead, BitReaderError};

use super::classify::from_each_start;
use super::packing::Packing;
use crate::media::Codec;

/// Bytes of a parameter set or a slice that are read: what is asked for stands in front.
const PARAMETER_SET: usize = 4096;
const SLICE_HEAD: usize = 64;
/// Profiles whose sequence parameter sets say more of colour (7.3.2.1.1).
const HIGH: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// What a unit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// A whole picture, or none.
    Whole,
    /// A field. The other one of its picture comes next, if it was recorded.
    First,
    /// The other field of the picture that the unit before began.
    Second,
}

/// Tells halves of pictures apart, unit by unit of one H.264 stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    sequences: BTreeMap<u32, Sequence>,
    /// The sequence parameter set of each picture parameter set.
    pictures: BTreeMap<u32, u32>,
    waiting: Option<Field>,
}

/// What a sequence parameter set says of slices' heads.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    separate_planes: bool,
    frame_num_bits: u32,
    frames_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    frame_num: u32,
    bottom: bool,
}

impl Fields {
    /// Reads the next unit, as NAL units that may run on into the next one.
    pub fn note<'a>(&mut self, nals: impl Iterator<Item = &'a [u8]>) -> Half {
        let waiting = self.waiting.take();
        let mut own: Option<Field> = None;
        for nal in nals {
            match nal.first().map_or(0, |head| head & 0x1f) {
                7 => {
                    if let Ok((id, set)) = sequence(nal) {
                        self.sequences.insert(id & 31, set);
                    }
                }
                8 => {
                    if let Ok((id, of)) = picture(nal) {
                        self.pictures.insert(id & 255, of & 31);
                    }
                }
                // Slices, and the first of a slice's partitions.
                1 | 2 | 5 => match (self.field(nal), own) {
                    (None, _) => return Half::Whole,
                    (Some(field), None) => own = Some(field),
                    (Some(field), Some(first)) if field.bottom != first.bottom => return Half::Whole,
                    _ => {}
                },
                _ => {}
            }
        }
        let Some(own) = own else { return Half::Whole };
        // As libavcodec pairs them.
        if waiting.is_some_and(|first| first.frame_num == own.frame_num && first.bottom != own.bottom) {
            return Half::Second;
        }
        self.waiting = Some(own);
        Half::First
    }

    /// What comes next does not belong to what came.
    pub fn begin_anew(&mut self) {
        self.waiting = None;
    }

    /// The field that a slice belongs to; `None` for one of a frame, or that cannot be read.
    fn field(&self, nal: &[u8]) -> Option<Field> {
        // Most streams have no fields, and nothing of their slices is read.
        if self.sequences.values().all(|set| set.frames_only) {
            return None;
        }
        slice(nal, |id| self.sequences.get(self.pictures.get(&id)?).copied()).ok()?
    }
}

/// The bits of a NAL unit up to the next start code, and so many bytes at most.
fn bits(nal: &[u8], most: usize) -> impl BitRead + '_ {
    let head = &nal[..nal.len().min(most)];
    // Three zeros, or two and a one, are in no NAL unit (7.4.1): the reader takes them for damage.
    let end = head.windows(3).position(|w| w[0] == 0 && w[1] == 0 && w[2] <= 1).unwrap_or(head.len());
    RefNal::new(&head[..end], &[], true).rbsp_bits()
}

/// Number and content of a sequence parameter set (7.3.2.1.1). Read by hand as far as needed: cameras write
/// all kinds of things behind that.
fn sequence(nal: &[u8]) -> Result<(u32, Sequence), BitReaderError> {
    let mut r = bits(nal, PARAMETER_SET);
    let profile = r.read::<u8>(8, "profile_idc")?;
    r.skip(16, "constraints and level_idc")?;
    let id = r.read_ue("seq_parameter_set_id")?;
    let mut separate_planes = false;
    if HIGH.contains(&profile) {
        let chroma = r.read_ue("chroma_format_idc")?;
        if chroma == 3 {
            separate_planes = r.read_bool("separate_colour_plane_flag")?;
        }
        r.read_ue("bit_depth_luma_minus8")?;
        r.read_ue("bit_depth_chroma_minus8")?;
        r.skip(1, "qpprime_y_zero_transform_bypass_flag")?;
        if r.read_bool("seq_scaling_matrix_present_flag")? {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if r.read_bool("seq_scaling_list_present_flag")? {
                    scaling_list(&mut r, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    let frame_num_bits = r.read_ue("log2_max_frame_num_minus4")?.min(12) + 4;
    match r.read_ue("pic_order_cnt_type")? {
        0 => {
            r.read_ue("log2_max_pic_order_cnt_lsb_minus4")?;
        }
        1 => {
            r.skip(1, "delta_pic_order_always_zero_flag")?;
            r.read_se("offset_for_non_ref_pic")?;
            r.read_se("offset_for_top_to_bottom_field")?;
            for _ in 0..r.read_ue("num_ref_frames_in_pic_order_cnt_cycle")?.min(255) {
                r.read_se("offset_for_ref_frame")?;
            }
        }
        _ => {}
    }
    r.read_ue("max_num_ref_frames")?;
    r.skip(1, "gaps_in_frame_num_value_allowed_flag")?;
    r.read_ue("pic_width_in_mbs_minus1")?;
    r.read_ue("pic_height_in_map_units_minus1")?;
    let frames_only = r.read_bool("frame_mbs_only_flag")?;
    Ok((id, Sequence { separate_planes, frame_num_bits, frames_only }))
}

fn scaling_list(r: &mut impl BitRead, size: usize) -> Result<(), BitReaderError> {
    let (mut last, mut next) = (8_i32, 8_i32);
    for _ in 0..size {
        if next != 0 {
            next = r.read_se("delta_scale")?.wrapping_add(last).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

/// The number of a picture parameter set, and that of its sequence parameter set (7.3.2.2).
fn picture(nal: &[u8]) -> Result<(u32, u32), BitReaderError> {
    let mut r = bits(nal, PARAMETER_SET);
    Ok((r.read_ue("pic_parameter_set_id")?, r.read_ue("seq_parameter_set_id")?))
}

/// The field that a slice's head (7.3.3) tells.
fn slice(nal: &[u8], set_of: impl FnOnce(u32) -> Option<Sequence>) -> Result<Option<Field>, BitReaderError> {
    let mut r = bits(nal, SLICE_HEAD);
    r.read_ue("first_mb_in_slice")?;
    r.read_ue("slice_type")?;
    let Some(set) = set_of(r.read_ue("pic_parameter_set_id")?) else { return Ok(None) };
    if set.frames_only {
        return Ok(None);
    }
    if set.separate_planes {
        r.skip(2, "colour_plane_id")?;
    }
    let frame_num = r.read::<u32>(set.frame_num_bits, "frame_num")?;
    if !r.read_bool("field_pic_flag")? {
        return Ok(None);
    }
    Ok(Some(Field { frame_num, bottom: r.read_bool("bottom_field_flag")? }))
}

/// Packets of a video stream in, packets that hold whole pictures out, in the same order.
pub(crate) struct Pictures {
    /// Only H.264 codes fields that a decoder puts together.
    h264: Option<(Packing, Fields)>,
    first: Option<ff::Packet>,
    ready: VecDeque<ff::Packet>,
    joined: u64,
}

impl Pictures {
    /// For a stream of a codec, with the record that its container keeps.
    pub fn new(codec: ff::codec::Id, record: &[u8]) -> Pictures {
        let packing =
            Some(record).filter(|_| codec == ff::codec::Id::H264).and_then(|r| Packing::read(Codec::H264, r));
        let h264 = packing.map(|packing| {
            let mut fields = Fields::default();
            fields.note(from_each_start(&packing.sets));
            (packing, fields)
        });
        Pictures { h264, first: None, ready: VecDeque::new(), joined: 0 }
    }

    /// Takes the next packet of the stream.
    pub fn push(&mut self, packet: ff::Packet) {
        match (self.half(&packet), self.first.take()) {
            (Half::First, first) => {
                self.ready.extend(first);
                self.first = Some(packet);
            }
            (Half::Second, Some(mut first)) => {
                join(&mut first, &packet);
                self.joined += 1;
                self.ready.push_back(first);
            }
            (_, first) => self.ready.extend(first.into_iter().chain([packet])),
        }
    }

    /// Nothing follows: a field that waits for its other one goes alone.
    pub fn end(&mut self) {
        self.ready.extend(self.first.take());
    }

    /// Pictures that came as two fields so far.
    pub fn joined(&self) -> u64 {
        self.joined
    }

    /// The next packet that is whole.
    pub fn pop(&mut self) -> Option<ff::Packet> {
        self.ready.pop_front()
    }

    fn half(&mut self, packet: &ff::Packet) -> Half {
        let Some((packing, fields)) = &mut self.h264 else { return Half::Whole };
        for side in packet.side_data().filter(|side| side.kind() == SideData::NewExtraData) {
            if let Some(new) = Packing::read(Codec::H264, side.data()) {
                fields.note(from_each_start(&new.sets));
                *packing = new;
            }
        }
        let data = packet.data().unwrap_or_default();
        match packing.length_size {
            None => fields.note(from_each_start(data)),
            Some(_) => fields.note(packing.nal_units(data)),
        }
    }
}

/// Puts the second field behind the first, whose times count.
fn join(first: &mut ff::Packet, second: &ff::Packet) {
    let (data, at) = (second.data().unwrap_or_default(), first.size());
    first.grow(data.len());
    if let Some(room) = first.data_mut().and_then(|all| all.get_mut(at..at + data.len())) {
        room.copy_from_slice(data);
    }
    first.set_duration(first.duration().saturating_add(second.duration()));
    if second.is_corrupt() {
        first.set_flags(first.flags() | ff::codec::packet::Flags::CORRUPT);
    }
    if first.pts().is_none() {
        first.set_pts(second.pts());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stream of bits, behind the head of a NAL unit; `ue` and plain numbers of so many bits.
    #[derive(Default)]
    struct Bits(Vec<bool>);

    impl Bits {
        fn u(mut self, bits: u32, value: u32) -> Bits {
            self.0.extend((0..bits).rev().map(|at| value >> at & 1 == 1));
            self
        }

        fn ue(self, value: u32) -> Bits {
            let bits = 32 - (value + 1).leading_zeros();
            self.u(bits - 1, 0).u(bits, value + 1)
        }

        fn nal(mut self, head: u8) -> Vec<u8> {
            self.0.push(true);
            self.0.resize(self.0.len().next_multiple_of(8), false);
            let bytes =
                self.0.chunks(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
            [head].into_iter().chain(bytes).collect()
        }
    }

    /// Main profile, `frame_num` in four bits.
    fn sequence_set(frames_only: bool) -> Vec<u8> {
        let head = Bits::default().u(8, 77).u(16, 30).ue(0).ue(0).ue(0).ue(0).ue(2).u(1, 0).ue(19).ue(8);
        let head = if frames_only { head.u(1, 1) } else { head.u(2, 0) };
        head.u(3, 0).nal(0x67)
    }

    fn picture_set() -> Vec<u8> {
        Bits::default().ue(0).ue(0).u(2, 0).nal(0x68)
    }

    /// `field`: `None` for a frame, else whether it is the bottom one.
    fn coded(frame_num: u32, field: Option<bool>) -> Vec<u8> {
        let head = Bits::default().ue(0).ue(5).ue(0).u(4, frame_num);
        let head = match field {
            None => head.u(1, 0),
            Some(bottom) => head.u(1, 1).u(1, u32::from(bottom)),
        };
        head.u(32, 0x5555_5555).nal(0x41)
    }

    fn halves(units: &[Vec<Vec<u8>>]) -> Vec<Half> {
        let mut fields = Fields::default();
        fields.note([sequence_set(false), picture_set()].iter().map(Vec::as_slice));
        units.iter().map(|unit| fields.note(unit.iter().map(Vec::as_slice))).collect()
    }

    #[test]
    fn fields_of_one_picture_belong_together() {
        use Half::{First, Second, Whole};
        let (top, bottom) = (Some(false), Some(true));
        let field = |number, which| vec![coded(number, which), coded(number, which)];
        let units = [
            field(0, top),
            field(0, bottom),
            field(1, None),
            field(1, bottom),
            field(1, top),
            field(2, top),
            // The other one is lost, or was never there.
            field(3, top),
            field(4, bottom),
            field(4, bottom),
            field(4, None),
            field(4, top),
        ];
        let expected = [First, Second, Whole, First, Second, First, First, First, First, Whole, First];
        assert_eq!(halves(&units), expected);
    }

    #[test]
    fn a_unit_of_both_fields_is_whole() {
        let both = vec![coded(0, Some(false)), coded(0, Some(true))];
        assert_eq!(halves(&[both.clone(), both]), [Half::Whole; 2]);
    }

    #[test]
    fn streams_of_frames_alone_are_left_alone() {
        let mut fields = Fields::default();
        fields.note([sequence_set(true), picture_set()].iter().map(Vec::as_slice));
        for number in 0..4 {
            assert_eq!(fields.note([coded(number, None)].iter().map(Vec::as_slice)), Half::Whole);
        }
    }

    proptest! {
        #[test]
        fn nothing_in_a_unit_is_trusted(
            flips in prop::collection::vec((0..60usize, any::<u8>()), 0..20),
            noise in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut fields = Fields::default();
            let mut nals = [sequence_set(false), picture_set(), coded(3, Some(true)), noise];
            nals[0][1] = 100;
            for (at, byte) in flips {
                let nal = &mut nals[at % 3];
                let at = at % nal.len();
                nal[at] = byte;
            }
            for _ in 0..3 {
                fields.note(nals.iter().map(Vec::as_slice));
            }
            prop_assert!(fields.sequences.len() <= 32 && fields.pictures.len() <= 256);
        }
    }
}
