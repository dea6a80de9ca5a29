//! Golden pictures: the same scenes on every compositor, against references that share no code with
//! any of them: a naive painter in `f64` (tests/golden/painter.rs), closed forms, and FFmpeg's scaler.
//!
//! A backend is one entry of [`BACKENDS`]; a mismatch leaves PNGs in the temporary directory, and so
//! does every scene where `VITRAIL_GOLDEN_SAVE` is set.

#![allow(clippy::unwrap_used)]

mod compare;
mod footage;
mod painter;
mod random;
mod scenes;
mod turned;

use compare::{Picture, Tolerance};
use vitrail_engine::composite::gpu::GpuCompositor;
use vitrail_engine::composite::{CompositePlan, Compositor, CpuCompositor};
use vitrail_engine::media::FrameMeta;

/// One way to draw a plan, and how far from a reference it may be.
struct BackendUnderTest {
    name: &'static str,
    open: fn(u32, u32) -> Option<Box<dyn Compositor>>,
    tolerance: Tolerance,
}

const TOLERANCE: Tolerance = Tolerance { max_diff: 1, min_psnr: 54.0, max_bias: 0.25 };

const BACKENDS: &[BackendUnderTest] = &[
    BackendUnderTest { name: "cpu", open: open_cpu, tolerance: TOLERANCE },
    BackendUnderTest { name: "gpu", open: open_gpu, tolerance: TOLERANCE },
];

fn open_cpu(width: u32, height: u32) -> Option<Box<dyn Compositor>> {
    Some(Box::new(CpuCompositor::new(width, height).unwrap()))
}

fn open_gpu(width: u32, height: u32) -> Option<Box<dyn Compositor>> {
    match GpuCompositor::new(width, height, |_| true) {
        Ok(gpu) => Some(Box::new(gpu)),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

/// Draws plans one after the other on one canvas of every backend; the picture after the last is
/// compared with `want`. `reference` says how exact the reference itself is, where it is not exact.
fn check(scene: &str, plans: &[CompositePlan], want: &Picture, reference: Option<Tolerance>) {
    for backend in BACKENDS {
        let Some(mut compositor) = (backend.open)(want.width, want.height) else { continue };
        for plan in plans {
            compositor.compose(plan).unwrap();
        }
        let got = Picture::of(&compositor.picture(FrameMeta::default()).unwrap());
        let tolerance = reference.unwrap_or(backend.tolerance);
        match compare::compare(&got, want, tolerance) {
            Ok(figures) => {
                println!("{scene} on {}: {figures}", backend.name);
                if std::env::var_os("VITRAIL_GOLDEN_SAVE").is_some() {
                    println!("{}", compare::save(&format!("{scene}-{}", backend.name), &got, want));
                }
            }
            Err(mismatch) => {
                let saved = compare::save(&format!("{scene}-{}", backend.name), &got, want);
                panic!("{scene} on {}: {mismatch}\n{saved}", backend.name);
            }
        }
    }
}
