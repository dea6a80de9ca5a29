//! Decoding: the hand-over through the pool with a decoder that does nothing, and real decoding.
//! The clips are made with the ffmpeg program; without it their benches are left out, aloud.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vitrail_engine::base::{Moment, SystemClock};
use vitrail_engine::decode::{
    DecodeHandle, DecodePool, Decoder, DecoderFactory, DecoderRequest, FrameConsumer, LibavDecoder, Origin,
    Picture, PictureSink, PoolConfig,
};
use vitrail_engine::media::{
    AccessUnit, Chroma, Codec, Colorimetry, Frame, Orientation, Plane, Pts, SourceRef, VideoParameters,
};
use vitrail_engine::source::UnitSink;
use vitrail_engine::{Error, Result};

struct Nothing;

impl Decoder for Nothing {
    fn backend(&self) -> &str {
        "nothing"
    }
    fn set_skip_loop_filter(&mut self, _skip: bool) {}
    fn decode(&mut self, unit: &AccessUnit, out: PictureSink<'_>) -> Result<()> {
        let luma = Plane { data: Bytes::from_static(&[16; 4]), stride: 2 };
        let chroma = Plane { data: Bytes::from_static(&[128; 2]), stride: 2 };
        out(Picture {
            width: 2,
            height: 2,
            chroma: Chroma::Nv12,
            planes: vec![luma, chroma],
            origin: Origin::from(unit),
            pixel_aspect: None,
            color: Colorimetry::default(),
            orientation: Orientation::UPRIGHT,
            damaged: false,
        });
        Ok(())
    }
    fn drain(&mut self, _out: PictureSink<'_>) -> Result<()> {
        Ok(())
    }
    fn reset(&mut self) {}
}

struct Factory;

impl DecoderFactory for Factory {
    fn open(&self, _request: &DecoderRequest) -> Result<Box<dyn Decoder>> {
        Ok(Box::new(Nothing))
    }
}

struct Count(Arc<AtomicU64>);

impl FrameConsumer for Count {
    fn frame(&mut self, _frame: &Frame) {
        self.0.fetch_add(1, Ordering::Release);
    }
    fn failed(&mut self, _error: &Error) {}
}

fn open(pool: &DecodePool, name: &str, seen: &Arc<AtomicU64>) -> DecodeHandle {
    let source = SourceRef { camera: name.into(), profile: "main".into(), generation: 1 };
    let handle = pool.open(source, Box::new(Count(seen.clone())));
    handle.parameters(&VideoParameters::unknown(Codec::H264));
    handle
}

fn unit(data: Bytes, random_access: bool) -> AccessUnit {
    AccessUnit {
        pts: Pts(0),
        arrival: Moment(0),
        captured: None,
        random_access,
        disposable: false,
        loss: false,
        data,
    }
}

fn hand_over(c: &mut Criterion) {
    let mut group = c.benchmark_group("hand-over");
    for (cameras, workers) in [(1, 1), (1000, 1), (1000, 2)] {
        let config = PoolConfig { workers, factory: Arc::new(Factory), ..PoolConfig::default() };
        let pool = DecodePool::start(config, SystemClock::shared()).expect("threads start");
        let seen = Arc::new(AtomicU64::new(0));
        let handles: Vec<_> = (0..cameras).map(|n| open(&pool, &n.to_string(), &seen)).collect();
        let data = Bytes::from_static(&[0, 0, 1, 0x67]);
        let units = 1000;
        group.throughput(Throughput::Elements(units));
        group.bench_function(format!("{cameras} cameras, {workers} workers, 1000 units"), |b| {
            b.iter(|| {
                let before = seen.load(Ordering::Acquire);
                for n in 0..units as usize {
                    // A full queue would drop units, and the count would never be reached.
                    if cameras == 1 {
                        while n as u64 > seen.load(Ordering::Acquire) - before + 200 {
                            std::hint::spin_loop();
                        }
                    }
                    handles[n % cameras].unit(unit(data.clone(), true));
                }
                while seen.load(Ordering::Acquire) < before + units {
                    std::hint::spin_loop();
                }
            });
        });
    }
    group.finish();
}

/// A clip with moving things and grain, like a camera's: no B-pictures, a key frame every 50.
fn clip(width: u32, height: u32, kbps: u32, codec: Codec) -> Option<Vec<AccessUnit>> {
    let folder = tempfile::tempdir().ok()?;
    let footage = Path::new("../shared/data/footage/dvrscan_traffic_camera.mp4");
    let (encoder, format) = match codec {
        Codec::H265 => ("libx265 -preset veryfast -x265-params bframes=0:keyint=50:log-level=0", "hevc"),
        _ => ("libx264 -preset veryfast -bf 0 -g 50", "h264"),
    };
    let input = if footage.exists() {
        format!("-i {}", footage.display())
    } else {
        "-f lavfi -i testsrc2=size=1280x720:rate=25,noise=alls=6:allf=t".to_owned()
    };
    let file = folder.path().join("clip");
    let arguments = format!(
        "-v error -nostdin {input} -frames:v 100 -vf scale={width}:{height} -pix_fmt yuv420p -c:v {encoder} -b:v {kbps}k -f {format}"
    );
    let ran = Command::new("ffmpeg").args(arguments.split_whitespace()).arg(&file).status();
    if !ran.is_ok_and(|status| status.success()) {
        eprintln!("skipped: ffmpeg made no {codec} clip");
        return None;
    }
    Some(split(&std::fs::read(file).ok()?, codec))
}

/// Access units of a stream with one slice a picture: each ends with its slice.
fn split(data: &[u8], codec: Codec) -> Vec<AccessUnit> {
    let starts: Vec<usize> =
        (0..data.len().saturating_sub(4)).filter(|&i| data[i..i + 3] == [0, 0, 1]).collect();
    let (mut units, mut from, mut key) = (Vec::new(), 0, false);
    for (n, &start) in starts.iter().enumerate() {
        let header = data[start + 3];
        let (slice, random_access) = match codec {
            Codec::H265 => ((header >> 1 & 63) < 32, (16..24).contains(&(header >> 1 & 63))),
            _ => ((1..=5).contains(&(header & 31)), header & 31 == 5),
        };
        key |= slice && random_access;
        if slice {
            let end = starts.get(n + 1).copied().unwrap_or(data.len());
            units.push(unit(Bytes::copy_from_slice(&data[from..end]), key));
            (from, key) = (end, false);
        }
    }
    units
}

fn decoding(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for (width, height, kbps, codec) in [
        (640, 360, 400, Codec::H264),
        (1920, 1080, 4000, Codec::H264),
        (640, 360, 300, Codec::H265),
        (1920, 1080, 2500, Codec::H265),
    ] {
        let Some(units) = clip(width, height, kbps, codec) else { continue };
        group.throughput(Throughput::Elements(units.len() as u64));
        for skip in [false, true] {
            let name = format!(
                "{codec} {width}x{height}, {} units{}",
                units.len(),
                if skip { ", no loop filter" } else { "" }
            );
            group.bench_function(name, |b| {
                b.iter(|| {
                    let mut decoder =
                        LibavDecoder::open(&DecoderRequest::live(codec)).expect("libavcodec has it");
                    decoder.set_skip_loop_filter(skip);
                    let mut pictures = 0;
                    for unit in &units {
                        decoder.decode(unit, &mut |_| pictures += 1).expect("a sound clip");
                    }
                    assert_eq!(pictures, units.len());
                });
            });
        }
        let keys: Vec<_> = units.iter().filter(|u| u.random_access).cloned().collect();
        let mut decoder = LibavDecoder::open(&DecoderRequest::live(codec)).expect("libavcodec has it");
        group.throughput(Throughput::Elements(keys.len() as u64));
        group.bench_function(format!("{codec} {width}x{height}, {} key frames alone", keys.len()), |b| {
            b.iter(|| {
                let mut pictures = 0;
                for unit in &keys {
                    decoder.decode(unit, &mut |_| pictures += 1).expect("a sound clip");
                    decoder.drain(&mut |_| pictures += 1).expect("a sound clip");
                }
                assert_eq!(pictures, keys.len());
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hand_over, decoding);
criterion_main!(benches);
