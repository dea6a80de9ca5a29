//! How hard pictures were to code for who coded them: what they took, and how coarsely. Pure.
//!
//! A camera at a constant rate gives a quiet scene as many bits as a busy one, only finer; the quantisers tell
//! them apart. They stand in the slices' headers (Rec. H.264, 7.3.3), in front of all that is coded. One that
//! changes from macroblock to macroblock alone is not seen.

use ffmpeg_next::codec::Id;
use h264_reader::Context;
use h264_reader::nal::pps::PicParameterSet;
use h264_reader::nal::slice::SliceHeader;
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal, UnitType};
use h264_reader::rbsp::BitRead;

use crate::media::Codec;
use crate::media::annex_b::nal_units;
use crate::source::Packing;
use crate::transcode::codec::steering::at_zero;

/// What is taken until a quantiser is read.
const USUAL_QP: f64 = 26.0;
/// Longest slice header and parameter set that are read: lists in them become larger than they are.
const SLICE_HEADER: usize = 512;
const PARAMETER_SET: usize = 4096;
/// Widest and highest pictures, in macroblocks.
const MACROBLOCKS: u32 = 1024;

/// Reads the units of one stream, in their order.
pub struct Hardness {
    h264: Option<(Packing, Context)>,
    qp: f64,
    read: u64,
    units: u64,
}

impl Hardness {
    /// For a stream with these parameter sets, as its container keeps them.
    pub fn new(codec: Id, record: &[u8]) -> Hardness {
        let packing = Some(record).filter(|_| codec == Id::H264).and_then(|r| Packing::read(Codec::H264, r));
        let h264 = packing.map(|packing| {
            let mut context = Context::new();
            nal_units(&packing.sets).for_each(|nal| {
                note(&mut context, nal);
            });
            (packing, context)
        });
        Hardness { h264, qp: USUAL_QP, read: 0, units: 0 }
    }

    /// Bits that the slices of a unit would have taken at quantiser zero.
    pub fn of(&mut self, unit: &[u8]) -> f64 {
        self.units += 1;
        let Some((packing, context)) = &mut self.h264 else { return 0.0 };
        let (mut bytes, mut first) = (0, None);
        for nal in packing.nal_units(unit) {
            // What only fills a constant rate is not hard.
            if nal.first().is_some_and(|head| matches!(head & 0x1f, 1..=5)) {
                bytes += nal.len();
            }
            if first.is_none() {
                first = note(context, nal);
            }
        }
        if let Some(qp) = first {
            self.qp = f64::from(qp);
            self.read += 1;
        }
        bytes as f64 * 8.0 * at_zero(self.qp)
    }

    /// Whether quantisers were read, of nearly all units.
    pub fn is_told(&self) -> bool {
        self.read > 0 && self.read * 10 >= self.units * 9
    }
}

/// Keeps a parameter set; of a slice, its quantiser (`SliceQPY`, 7.4.3).
fn note(context: &mut Context, nal: &[u8]) -> Option<i32> {
    let (kind, length) = (nal.first()? & 0x1f, nal.len());
    if matches!(kind, 7 | 8) && length > PARAMETER_SET {
        return None;
    }
    let nal =
        RefNal::new(&nal[..length.min(if matches!(kind, 1 | 5) { SLICE_HEADER } else { length })], &[], true);
    let header = nal.header().ok()?;
    match header.nal_unit_type() {
        UnitType::SeqParameterSet => {
            if let Ok(set) = SeqParameterSet::from_bits(nal.rbsp_bits())
                && set.pic_width_in_mbs_minus1 < MACROBLOCKS
                && set.pic_height_in_map_units_minus1 < MACROBLOCKS
            {
                context.put_seq_param_set(set);
            }
            None
        }
        UnitType::PicParameterSet => {
            // With several slice groups, headers have more in them; no camera has.
            if let Ok(set) = PicParameterSet::from_bits(context, nal.rbsp_bits())
                && set.slice_groups.is_none()
            {
                context.put_pic_param_set(set);
            }
            None
        }
        UnitType::SliceLayerWithoutPartitioningIdr | UnitType::SliceLayerWithoutPartitioningNonIdr => {
            let mut bits = nal.rbsp_bits();
            bits.read_ue("first_mb_in_slice").ok()?;
            // P, B and I; the switching ones have more in them.
            if !matches!(bits.read_ue("slice_type").ok()?, 0..=2 | 5..=7) {
                return None;
            }
            let (slice, _, set) = SliceHeader::from_bits(context, &mut nal.rbsp_bits(), header).ok()?;
            Some((26 + set.pic_init_qp_minus26).saturating_add(slice.slice_qp_delta).clamp(0, 51))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use proptest::prelude::*;

    use super::super::held::HeldSource;
    use super::super::scan::{Footage, scan};
    use super::*;
    use crate::base::Shutdown;

    /// Two seconds of a moving pattern at a constant quantiser.
    fn made(folder: &Path, name: &str, qp: u32, more: &str) -> PathBuf {
        let path = folder.join(name);
        let line = format!(
            "-v error -f lavfi -i testsrc2=size=320x240:rate=25:duration=2 -c:v libx264 -preset fast -qp {qp} {more}"
        );
        let status = Command::new("ffmpeg").args(line.split_whitespace()).arg(&path).status();
        assert!(status.expect("ffmpeg runs").success(), "{name}");
        path
    }

    fn scanned(path: &Path) -> Footage {
        let source = HeldSource::open(path).expect("a source");
        scan(&source, 0, &Shutdown::default()).expect("it can be read").expect("nobody stops it")
    }

    #[test]
    fn quantisers_are_read_however_they_are_packed() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, qp, more) in [
            ("fine.mp4", 16, ""),
            ("coarse.mp4", 34, ""),
            ("raw.h264", 28, "-f h264"),
            ("annex-b.ts", 28, ""),
            ("slices.mp4", 28, "-x264-params slices=4:cabac=0"),
            ("fields.mkv", 28, "-x264-params tff=1"),
        ] {
            let footage = scanned(&made(folder.path(), name, qp, more));
            assert!(footage.quantisers, "{name}");
            // Key frames are three steps finer, B-pictures two coarser.
            let finer = footage.hard as f64 / (footage.unit_bytes as f64 * 8.0 * at_zero(f64::from(qp)));
            assert!((at_zero(-3.5)..at_zero(2.0)).contains(&finer), "{name}: {finer}");
        }
        // Of another codec bytes alone tell.
        let path = folder.path().join("other.avi");
        let line = format!("-v error -i {}", folder.path().join("fine.mp4").display());
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(line.split_whitespace()).args(["-c:v", "mpeg4"]).arg(&path);
        assert!(ffmpeg.status().expect("ffmpeg runs").success());
        let other = scanned(&path);
        assert!(!other.quantisers);
        assert_eq!(other.hard, other.unit_bytes);
    }

    #[test]
    fn the_quantiser_is_the_one_that_was_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = made(folder.path(), "qp.h264", 23, "-bf 0 -f h264");
        let data = std::fs::read(path).expect("it was made");
        let mut hardness = Hardness::new(Id::H264, &[]);
        let context = &mut hardness.h264.as_mut().expect("H.264").1;
        let read: Vec<i32> = nal_units(&data).filter_map(|nal| note(context, nal)).collect();
        // x264 makes key frames finer by its `ipratio` of 1.4, three steps.
        assert_eq!((read[0], &read[1..]), (20, &[23; 49][..]));
    }

    proptest! {
        #[test]
        fn nothing_in_a_unit_is_trusted(
            record in proptest::collection::vec(any::<u8>(), 0..40),
            flips in proptest::collection::vec((0..400usize, any::<u8>()), 0..20),
            cut in 0..400usize,
        ) {
            // Parameter sets and the beginnings of two slices, as x264 wrote them, then damaged.
            let mut unit = SAMPLE.to_vec();
            for (at, byte) in flips {
                let at = at % unit.len();
                unit[at] = byte;
            }
            unit.truncate(cut.max(1));
            for record in [&record[..], &[]] {
                let mut hardness = Hardness::new(Id::H264, record);
                prop_assert!(hardness.of(&unit).is_finite());
                prop_assert!(hardness.of(&unit) >= 0.0);
            }
        }
    }

    /// `-qp 23 -bf 1 -preset fast` of 64x48, its sets, and 24 bytes of each of its first slices.
    const SAMPLE: &[u8] = &[
        0x00, 0x00, 0x01, 0x67, 0x64, 0x00, 0x0a, 0xac, 0xec, 0x47, 0xb0, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01,
        0x00, 0x00, 0x03, 0x00, 0x32, 0x0f, 0x12, 0x25, 0x38, 0x00, 0x00, 0x01, 0x68, 0xea, 0xe3, 0xcb, 0x22,
        0xc0, 0x00, 0x00, 0x01, 0x65, 0x88, 0x84, 0x03, 0xff, 0x70, 0x23, 0x71, 0xe7, 0x17, 0x1e, 0x52, 0x05,
        0xc3, 0xb9, 0x54, 0xe6, 0x94, 0xd2, 0x25, 0xdf, 0x58, 0xd9, 0xc3, 0x00, 0x00, 0x01, 0x41, 0x9a, 0x29,
        0xb1, 0xff, 0x01, 0x5b, 0x00, 0x00, 0x01, 0x01, 0x9e, 0x45, 0xe4, 0x9f, 0x4d, 0x41, 0x00, 0x00, 0x01,
        0x41, 0x9a, 0x50, 0x60, 0xff, 0xd2, 0x19, 0x04, 0x89, 0xad, 0xee, 0x57, 0xcc, 0xd5, 0x9e, 0x1d, 0x77,
        0xc3, 0x89, 0x62, 0x0a, 0xb6, 0xb4, 0x82, 0x00, 0x00, 0x01, 0x01, 0x9e, 0x6d, 0xe4, 0x9f, 0xeb, 0x11,
        0x87,
    ];
}
