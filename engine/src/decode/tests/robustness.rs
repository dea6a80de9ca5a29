//! Damaged, hostile and odd streams: no crash, no hang, and the right words.

use super::*;
use crate::base::SystemClock;
use crate::media::{Chroma, Colorimetry, Matrix, Range, VideoParameters};
use crate::source::UnitSink;

fn decoded(units: &[AccessUnit], codec: Codec) -> (Vec<Picture>, Vec<Error>) {
    let mut decoder = LibavDecoder::open(&DecoderRequest::live(codec)).unwrap();
    let (mut pictures, mut errors) = (Vec::new(), Vec::new());
    for unit in units {
        if let Err(error) = decoder.decode(unit, &mut |p| pictures.push(p)) {
            errors.push(error);
        }
    }
    if let Err(error) = decoder.drain(&mut |p| pictures.push(p)) {
        errors.push(error);
    }
    (pictures, errors)
}

fn unit(data: Vec<u8>) -> AccessUnit {
    AccessUnit {
        pts: Pts(0),
        arrival: Moment(0),
        captured: None,
        random_access: true,
        disposable: false,
        loss: false,
        data: data.into(),
    }
}

#[test]
fn hostile_files_neither_crash_nor_hang() {
    let Some(folder) = shared("robustness") else { return };
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "gz") {
            continue;
        }
        files += 1;
        let whole = unit(std::fs::read(&path).unwrap());
        for codec in [Codec::H264, Codec::H265, Codec::Mpeg4, Codec::Mjpeg] {
            decoded(&units_of(&path), codec);
            decoded(std::slice::from_ref(&whole), codec);
        }
    }
    assert!(files >= 12, "{files} files");
}

fn files_under(folder: &Path, take: &mut dyn FnMut(Vec<u8>)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_under(&path, take) } else { take(std::fs::read(path).unwrap()) }
    }
}

#[test]
fn fuzz_corpora_neither_crash_nor_hang() {
    for (name, codec) in [("h264nal_fuzz_corpus", Codec::H264), ("h265nal_fuzz_corpus", Codec::H265)] {
        let Some(archive) = shared(&format!("robustness/{name}.tar.gz")) else { return };
        let folder = tempfile::tempdir().unwrap();
        let tar = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).status();
        assert!(tar.is_ok_and(|status| status.success()));
        let mut pieces = Vec::new();
        files_under(folder.path(), &mut |bytes| {
            pieces.push(unit([&[0, 0, 1], &bytes[..]].concat()));
            pieces.push(unit(bytes));
        });
        assert!(pieces.len() > 6000, "{} inputs", pieces.len());
        let (pictures, errors) = decoded(&pieces, codec);
        println!("{name}: {} pieces, {} pictures, {} errors", pieces.len(), pictures.len(), errors.len());
        assert!(!errors.is_empty());
    }
}

#[test]
fn the_size_may_change_in_mid_stream() {
    let (a, b) = (
        encoded("a.h264", "testsrc2=size=320x240 -frames:v 10 -pix_fmt yuv420p -c:v libx264 -bf 0"),
        encoded(
            "b.h264",
            "testsrc2=size=641x359 -frames:v 10 -vf crop=640:358 -pix_fmt yuv420p -c:v libx264 -bf 0",
        ),
    );
    let (Some(a), Some(b)) = (a, b) else { return };
    let (pictures, errors) = decoded(&[a, b].concat(), Codec::H264);
    let sizes: Vec<_> = pictures.iter().map(|p| (p.width, p.height)).collect();
    assert_eq!(sizes, [vec![(320, 240); 10], vec![(640, 358); 10]].concat());
    assert!(errors.is_empty());
}

#[test]
fn camera_streams_keep_their_range_shape_and_aspect() {
    let Some(clip) = shared("camera-streams/axis_test_h264.mp4") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("axis.h264");
    if !ffmpeg(&format!("-i {} -c copy -bsf:v h264_mp4toannexb", clip.display()), &file) {
        return;
    }
    let (pictures, _) = decoded(&units_of(&file), Codec::H264);
    assert_eq!(pictures.len(), 256);
    assert!(pictures.iter().all(|p| (p.width, p.height, p.color.range) == (480, 640, Range::Full)));
    assert!(pictures.iter().all(|p| !p.damaged));
    let Some(h265) = shared("camera-streams/wilson_h265_rtp_udp.expected.h265") else { return };
    let (pictures, _) = decoded(&units_of(&h265), Codec::H265);
    assert_eq!(pictures.len(), 276);
    assert!(pictures.iter().all(|p| (p.width, p.height, p.chroma) == (640, 480, Chroma::I420)));
}

#[test]
fn colours_and_aspect_come_from_the_stream() {
    let tagged = "testsrc2=size=352x288 -frames:v 2 -pix_fmt yuv420p -c:v libx264 -bf 0 -aspect 16:9 \
                  -colorspace bt709 -color_range pc";
    let Some(units) = encoded("t.h264", tagged) else { return };
    let (pictures, _) = decoded(&units, Codec::H264);
    assert_eq!(pictures[0].color, Colorimetry { matrix: Matrix::Bt709, range: Range::Full });
    assert_eq!(pictures[0].pixel_aspect.map(|r| (r.num, r.den)), Some((16, 11)));
    let Some(units) = encoded("u.h264", "testsrc2=size=352x288 -frames:v 2 -pix_fmt yuv420p -c:v libx264")
    else {
        return;
    };
    assert_eq!(decoded(&units, Codec::H264).0[0].color, Colorimetry::guess(288));
}

#[test]
fn odd_sizes_are_cropped_to_the_pixel() {
    let options = "testsrc=size=321x241 -frames:v 3 -pix_fmt yuvj420p -c:v mjpeg";
    let Some(units) = encoded("o.mjpeg", options) else { return };
    let (pictures, _) = decoded(&units, Codec::Mjpeg);
    assert_eq!((pictures[0].width, pictures[0].height), (321, 241));
    assert!(pictures[0].clone().into_frame(0, &VideoParameters::unknown(Codec::H264)).is_some());
}

#[test]
fn too_large_a_picture_is_refused() {
    let Some(units) = encoded("l.h264", "testsrc2=size=640x480 -frames:v 2 -pix_fmt yuv420p -c:v libx264")
    else {
        return;
    };
    let request = DecoderRequest { max_pixels: 640 * 480 - 1, ..DecoderRequest::live(Codec::H264) };
    let mut decoder = LibavDecoder::open(&request).unwrap();
    let results: Vec<_> = units.iter().map(|u| decoder.decode(u, &mut |_| panic!("a picture"))).collect();
    assert!(results.iter().any(Result::is_err));
}

/// Through the pool: what a camera with this stream shows.
fn shown(units: &[AccessUnit], codec: Codec) -> (Seen, DecodeStatus) {
    shown_by(Arc::new(LibavFactory), units, codec)
}

fn shown_by(factory: Arc<dyn DecoderFactory>, units: &[AccessUnit], codec: Codec) -> (Seen, DecodeStatus) {
    let pool = DecodePool::start(
        PoolConfig {
            workers: 1,
            queue_capacity: 10_000,
            queue_bound: Duration::from_secs(3600),
            factory,
            ..PoolConfig::default()
        },
        SystemClock::shared(),
    )
    .unwrap();
    let seen = Seen::default();
    let handle = pool.open(source("a"), Box::new(seen.clone()));
    handle.parameters(&VideoParameters::unknown(codec));
    units.iter().for_each(|u| handle.unit(u.clone()));
    let expected = handle.status().units;
    wait_until("the queue to be worked off", || handle.is_idle() && handle.status().units == expected);
    let status = handle.status();
    (seen, status)
}

/// Decodes nothing, ever.
struct Refusing;

impl Decoder for Refusing {
    fn backend(&self) -> &str {
        "nothing"
    }
    fn set_skip_loop_filter(&mut self, _skip: bool) {}
    fn decode(&mut self, _unit: &AccessUnit, _out: PictureSink<'_>) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Unsupported, "H.264", "a feature of this stream is not supported"))
    }
    fn drain(&mut self, _out: PictureSink<'_>) -> Result<(), Error> {
        Ok(())
    }
    fn reset(&mut self) {}
}

impl DecoderFactory for Refusing {
    fn open(&self, _request: &DecoderRequest) -> Result<Box<dyn Decoder>, Error> {
        Ok(Box::new(Refusing))
    }
}

#[test]
fn what_is_not_supported_is_named_once() {
    let units: Vec<AccessUnit> = (0..9).map(|n| unit(vec![0, 0, 1, 0x65, n])).collect();
    let (seen, status) = shown_by(Arc::new(Refusing), &units, Codec::H264);
    let failures = seen.failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(status.error.map(|(kind, _)| kind), Some(ErrorKind::Unsupported));
    assert!(seen.frames().is_empty());
}

#[test]
fn after_loss_nothing_is_shown_until_the_next_key_frame() {
    let options = "testsrc2=size=320x240:rate=25 -frames:v 60 -pix_fmt yuv420p -c:v libx264 -g 20 -bf 0";
    let Some(mut units) = encoded("d.h264", options) else { return };
    // Unit 25 is lost: 26 says so, and all to 39 refer to what is missing.
    units.remove(25);
    units[25].loss = true;
    let (seen, status) = shown(&units, Codec::H264);
    let numbers: Vec<i64> = seen.frames().iter().map(|f| f.meta().pts.0 / 40_000_000).collect();
    assert_eq!(numbers, (0..25).chain(40..60).collect::<Vec<i64>>());
    assert_eq!(status.held_back, 14);
    // Sequence numbers count what was shown.
    assert_eq!(seen.frames().last().map(|f| f.meta().sequence), Some(44));
}

#[test]
fn a_corrupt_unit_is_counted_and_decoding_goes_on() {
    let options = "testsrc2=size=320x240:rate=25 -frames:v 60 -pix_fmt yuv420p -c:v libx264 -g 20 -bf 0";
    let Some(mut units) = encoded("e.h264", options) else { return };
    let mut data = units[25].data.to_vec();
    let from = data.len() / 3;
    data[from..].iter_mut().enumerate().for_each(|(n, b)| *b = (n as u8).wrapping_mul(37));
    units[25].data = data.into();
    let (seen, status) = shown(&units, Codec::H264);
    assert!(status.corrupt >= 1, "{status:?}");
    let numbers: Vec<i64> = seen.frames().iter().map(|f| f.meta().pts.0 / 40_000_000).collect();
    assert_eq!(numbers, (0..25).chain(40..60).collect::<Vec<i64>>());
    assert_eq!(seen.failures().len(), 1);
    assert_eq!(status.error, None, "good pictures came after it");
}
