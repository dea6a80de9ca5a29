//! What a tick costs on the GPU compositor, with the CPU compositor beside it on the same plans.
//!
//!     cargo bench --bench composite_gpu
//!
//! The device is named first. On lavapipe, a program on the CPU, the figures say what the tests cost and
//! which variant does less work; they say nothing of a GPU.

#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use vitrail_engine::composite::gpu::GpuCompositor;
use vitrail_engine::composite::{Bitmap, CompositePlan, Compositor, CpuCompositor, Draw, Yuv};
use vitrail_engine::media::{Frame, FrameMeta, PixelRect};

fn noise(width: u32, height: u32, seed: u32) -> Frame {
    let len = (width * height * 3 / 2) as usize;
    let mut state = seed | 1;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(len)
    .collect();
    Frame::packed_i420(width, height, bytes.into(), FrameMeta::default()).expect("a whole frame")
}

/// A grid of `side` by `side` tiles on a canvas, each with a label; sources are `shrink` times as large.
fn grid(width: u32, height: u32, side: u32, shrink: u32) -> CompositePlan {
    let (w, h) = (width / side / 2 * 2, height / side / 2 * 2);
    let coverage: Vec<u8> = (0..160 * 24u32).map(|n| (n * 7 % 256) as u8).collect();
    let label = Arc::new(Bitmap { width: 160, height: 24, coverage: coverage.into() });
    let mut draws = Vec::new();
    let mut damage = Vec::new();
    for n in 0..side * side {
        let dest = PixelRect::new(n % side * w, n / side * h, w, h);
        draws.push(Draw::Picture { frame: noise(w * shrink, h * shrink, n), dest });
        let veil = PixelRect::new(dest.x, dest.y + h - 28, w, 28);
        draws.push(Draw::Fill { rect: veil, color: Yuv::BLACK, alpha: 140 });
        let (x, y) = (dest.x as i32 + 8, (dest.y + h) as i32 - 26);
        draws.push(Draw::Stamp { x, y, bitmap: label.clone(), color: Yuv::WHITE, alpha: 255 });
        damage.push(dest);
    }
    CompositePlan { width, height, draws, damage }
}

fn compositors(width: u32, height: u32) -> Vec<(&'static str, Box<dyn Compositor>)> {
    let mut all: Vec<(&str, Box<dyn Compositor>)> = Vec::new();
    match GpuCompositor::new(width, height, |_| true) {
        Ok(gpu) => all.push(("gpu", Box::new(gpu))),
        Err(error) => println!("skipped: {error}"),
    }
    all.push(("cpu", Box::new(CpuCompositor::new(width, height).expect("an even size"))));
    all
}

fn ticks(c: &mut Criterion) {
    let whole = grid(1920, 1080, 4, 1);
    let one = CompositePlan { damage: vec![whole.damage[5]], ..whole.clone() };
    let label = CompositePlan { damage: vec![PixelRect::new(480, 512, 480, 28)], ..whole.clone() };
    for (scene, plan) in [
        ("1080p, 16 tiles of 16", whole),
        ("1080p, one tile of 16", one),
        ("1080p, one label of 16", label),
        ("1080p, 16 tiles shrunk by 2", grid(1920, 1080, 4, 2)),
        ("2160p, 64 tiles of 64", grid(3840, 2160, 8, 1)),
    ] {
        let mut group = c.benchmark_group(scene);
        group.sample_size(20);
        for (name, mut compositor) in compositors(plan.width, plan.height) {
            println!("{name} is {}", compositor.name());
            group.bench_function(format!("{name}, drawn and read back"), |b| {
                b.iter(|| {
                    compositor.compose(&plan).expect("draws");
                    black_box(compositor.picture(FrameMeta::default()).expect("a picture"))
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, ticks);
criterion_main!(benches);
