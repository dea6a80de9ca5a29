//! Fitting: one frame to the size of a tile, on one thread.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fast_image_resize as fir;
use vitrail_engine::fit::{Level, Scratch, fit_at};
use vitrail_engine::media::{Chroma, FitMode, FitSpec, Frame, FrameMeta, Mask, Plane, Region};

fn noise(width: u32, height: u32) -> Frame {
    let len = (width * height * 3 / 2) as usize;
    let data: Vec<u8> = (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    Frame::packed_i420(width, height, data.into(), FrameMeta::default()).expect("an even size")
}

fn as_nv12(frame: &Frame) -> Frame {
    let planes = frame.planes();
    let uv: Vec<u8> = planes[1].data.iter().zip(planes[2].data.iter()).flat_map(|(u, v)| [*u, *v]).collect();
    let uv = Plane { data: Bytes::from(uv), stride: frame.width() as usize };
    let planes = vec![planes[0].clone(), uv];
    Frame::new(frame.width(), frame.height(), Chroma::Nv12, planes, *frame.meta()).expect("whole planes")
}

fn fitting(c: &mut Criterion) {
    let mut group = c.benchmark_group("fit");
    let mut scratch = Scratch::default();
    for ((w, h), (tw, th)) in [
        ((1920, 1080), (480, 270)),
        ((1920, 1080), (640, 360)),
        ((1920, 1080), (384, 216)),
        ((1920, 1080), (240, 136)),
        ((1920, 1080), (854, 480)),
        ((640, 360), (480, 270)),
        ((640, 360), (320, 180)),
        ((640, 360), (120, 68)),
        ((640, 360), (640, 360)),
        ((640, 360), (960, 540)),
    ] {
        let frame = noise(w, h);
        let spec = FitSpec::whole(tw, th, FitMode::Stretch);
        group.throughput(Throughput::Elements(u64::from(w * h)));
        for level in Level::available() {
            let id = BenchmarkId::new(format!("{w}x{h}-{tw}x{th}"), format!("{level:?}"));
            group.bench_function(id, |b| b.iter(|| fit_at(level, &frame, &spec, &[], &mut scratch)));
        }
    }
    let frame = as_nv12(&noise(1920, 1080));
    let spec = FitSpec::whole(480, 270, FitMode::Stretch);
    group.bench_function("nv12-1920x1080-480x270", |b| {
        b.iter(|| fit_at(Level::best(), &frame, &spec, &[], &mut scratch))
    });
    let masks = [Mask(Region { x: 0.1, y: 0.1, width: 0.3, height: 0.3 }); 4];
    group.bench_function("four-masks-1920x1080-480x270", |b| {
        b.iter(|| fit_at(Level::best(), &frame, &spec, &masks, &mut scratch))
    });
    group.finish();
}

/// The same luma plane through the general scaler that was not chosen.
fn peer(c: &mut Criterion) {
    let mut group = c.benchmark_group("fast_image_resize, luma alone");
    let frame = noise(1920, 1080);
    let plane = &frame.planes()[0].data;
    for (tw, th) in [(480, 270), (854, 480)] {
        let source =
            fir::images::ImageRef::new(1920, 1080, plane, fir::PixelType::U8).expect("a whole plane");
        let mut target = fir::images::Image::new(tw, th, fir::PixelType::U8);
        let mut resizer = fir::Resizer::new();
        let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Box));
        group.bench_function(format!("1920x1080-{tw}x{th}"), |b| {
            b.iter(|| resizer.resize(&source, &mut target, &options).expect("it resizes"));
        });
    }
    group.finish();
}

criterion_group!(benches, fitting, peer);
criterion_main!(benches);
