//! Pictures that are coded as two fields: what a wall's decoder gets of a file, and what comes out.

use crate::base::{Shutdown, SystemClock};
use crate::media::{CameraId, VideoParameters};
use crate::source::{Authority, CameraUri, FileDemuxer, Source, SourceConfig, UnitSink};

use super::*;

/// Streams of fields, of fields and frames, and of frames of two fields, and how many pictures they have.
const STREAMS: [(&str, usize); 6] = [
    ("cases/field-pictures/FRExt2_Panasonic.avc", 15),
    ("cases/field-pictures/freh4.264", 100),
    ("data/conformance/h264/HCAFF1_HHI.264", 10),
    ("data/conformance/h264/HPCAMAPALQ_BRCM_B.264", 300),
    ("data/conformance/h264/HPCVFLNL_BRCM_A.264", 300),
    ("data/conformance/h264/HCAFR3_HHI.264", 10),
];

fn streams() -> impl Iterator<Item = (PathBuf, usize)> {
    STREAMS.iter().filter_map(|(name, pictures)| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
        if !path.exists() {
            println!("skipped: {} is not there", path.display());
            return None;
        }
        Some((path, *pictures))
    })
}

#[derive(Default)]
struct Units(Mutex<Vec<AccessUnit>>);

impl UnitSink for Units {
    fn parameters(&self, _parameters: &VideoParameters) {}
    fn unit(&self, unit: AccessUnit) {
        self.0.lock().push(unit);
    }
    fn discontinuity(&self) {}
}

/// A file as a camera: all its units, at their own speed.
fn played(path: &Path) -> Vec<AccessUnit> {
    let units = Arc::new(Units::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let camera: CameraId = "gate".into();
    let grant = Authority::owner().grant(&camera);
    let config = SourceConfig { loop_file: false, ..SourceConfig::new(CameraUri::file(path)) };
    let (source, clock, stop) = (Source::new(config), SystemClock::shared(), Shutdown::new());
    runtime.block_on(source.run(&camera, &grant, units.clone(), &clock, &stop)).unwrap();
    std::mem::take(&mut *units.0.lock())
}

fn pictures(units: &[AccessUnit]) -> usize {
    let request = DecoderRequest { order: Order::Exact, ..DecoderRequest::live(Codec::H264) };
    let mut decoder = LibavDecoder::open(&request).unwrap();
    let mut count = 0;
    for unit in units {
        decoder.decode(unit, &mut |_| count += 1).unwrap();
    }
    decoder.drain(&mut |_| count += 1).unwrap();
    count
}

#[test]
fn jobs_get_whole_pictures() {
    for (path, expected) in streams() {
        let mut demuxer = FileDemuxer::open(&path).unwrap();
        let units: Vec<AccessUnit> =
            std::iter::from_fn(|| demuxer.next_unit().unwrap()).map(|unit| unit.unit).collect();
        assert_eq!((units.len(), pictures(&units)), (expected, expected), "{}", path.display());
        assert_eq!(demuxer.picture_time(), Duration::from_millis(40), "{}", path.display());
    }
}

#[test]
fn walls_get_whole_pictures_at_their_rate() {
    for (path, expected) in streams().filter(|(_, pictures)| *pictures <= 100) {
        let units = played(&path);
        assert_eq!((units.len(), pictures(&units)), (expected, expected), "{}", path.display());
        let (first, last) = (units[0].pts.0, units.iter().map(|unit| unit.pts.0).max().unwrap());
        let lasts = (last - first) as f64 / 1e9;
        let rate = (expected - 1) as f64 / lasts;
        assert!((rate - 25.0).abs() < 1.0, "{}: {rate} a second", path.display());
        // A camera of which only key frames are decoded shows whole ones.
        let key = units.iter().find(|unit| unit.random_access).unwrap();
        let decoder =
            &mut LibavDecoder::open(&DecoderRequest { isolated: true, ..DecoderRequest::live(Codec::H264) })
                .unwrap();
        let mut shown = 0;
        decoder.decode(key, &mut |picture| shown += usize::from(!picture.damaged)).unwrap();
        decoder.drain(&mut |picture| shown += usize::from(!picture.damaged)).unwrap();
        assert_eq!(shown, 1, "{}", path.display());
    }
}
