//! Chooses the executor: draws a small known scene before it trusts a device, and says why it chose.

use std::sync::Arc;

use bytes::Bytes;

use super::cpu::CpuCompositor;
use super::gpu::GpuCompositor;
use super::{Backend, Bitmap, CompositePlan, Compositor, Draw, Yuv};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Chroma, Colorimetry, Frame, FrameMeta, Matrix, PixelRect, Plane, Range};

pub use super::gpu::{AdapterInfo, adapters};

/// The compositor for a canvas of this size, and why it was chosen, for the log and for people.
///
/// `Auto` takes the first hardware device that draws a known scene rightly, else the CPU; it never
/// takes a software device. `Gpu` takes a software device where there is no other, and is refused
/// (kind `Missing`, with what to install) where none works. `Cpu` looks at no device.
pub fn open(backend: Backend, width: u32, height: u32) -> Result<(Box<dyn Compositor>, String)> {
    let cpu = || CpuCompositor::new(width, height).map(|cpu| Box::new(cpu) as Box<dyn Compositor>);
    match backend {
        Backend::Cpu => Ok((cpu()?, "asked for".to_owned())),
        Backend::Gpu => choose(&adapters(), width, height).map_err(|reasons| {
            let what = "no GPU can be used; install the GPU vendor's Vulkan driver and libvulkan1 (or, to try it \
                        without a GPU, mesa-vulkan-drivers), or use the CPU backend";
            Error::new(ErrorKind::Missing, "gpu", format!("{what}: {reasons}"))
        }),
        Backend::Auto => {
            let (software, hardware): (Vec<_>, Vec<_>) = adapters().into_iter().partition(|info| info.software);
            choose(&hardware, width, height).or_else(|mut reasons| {
                for info in software {
                    reasons += &format!("; {info} would be slower than the CPU");
                }
                Ok((cpu()?, reasons))
            })
        }
    }
}

/// What people are told who get a software device.
const FOR_TESTS: &str = "for tests only; choose auto or cpu for a wall";

/// The first of these devices that passes, or what is wrong with each.
fn choose(
    candidates: &[AdapterInfo],
    width: u32,
    height: u32,
) -> Result<(Box<dyn Compositor>, String), String> {
    let mut reasons = Vec::new();
    for info in candidates {
        let opened = check(info).and_then(|()| GpuCompositor::new(width, height, |other| other == info));
        match opened {
            Ok(gpu) => {
                let mut why = format!("{info} drew the trial scene rightly");
                if info.software {
                    tracing::warn!("{info} is a software device, slower than the CPU backend: {FOR_TESTS}");
                    why += &format!("; a software device: {FOR_TESTS}");
                }
                return Ok((Box::new(gpu), why));
            }
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if candidates.is_empty() {
        reasons.push("this machine has no GPU with a Vulkan driver".to_owned());
    }
    Err(reasons.join("; "))
}

/// Draws the trial scene on this device; an error says what came out wrong.
pub fn check(info: &AdapterInfo) -> Result<()> {
    let mut gpu = GpuCompositor::new(TRIAL.width, TRIAL.height, |other| other == info)?;
    verify(&mut gpu)
}

/// The size of the trial canvas.
const TRIAL: PixelRect = PixelRect::new(0, 0, 96, 48);

/// Compares what a compositor draws of the trial scene with what was worked out by hand.
fn verify(compositor: &mut dyn Compositor) -> Result<()> {
    compositor.compose(&trial_plan())?;
    let picture = compositor.picture(FrameMeta::default())?.to_packed_i420();
    let luma = (TRIAL.width * TRIAL.height) as usize;
    for &(plane, x, y, want) in &TRIAL_SAMPLES {
        let (base, stride) = match plane {
            0 => (0, TRIAL.width as usize),
            n => (luma + (n - 1) * luma / 4, TRIAL.width as usize / 2),
        };
        let got = picture[base + y * stride + x];
        if got.abs_diff(want) > 1 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                compositor.name().to_owned(),
                format!(
                    "draws wrongly: sample {x},{y} of plane {plane} is {got}, not {want}; update its driver"
                ),
            ));
        }
    }
    Ok(())
}

/// Plane (Y 0, U 1, V 2), column, row, and the value: see [`trial_plan`] for where each comes from.
const TRIAL_SAMPLES: [(usize, usize, usize, u8); 22] = [
    // Untouched: black, also just outside each draw and outside the damage.
    (0, 2, 2, 16),
    (1, 0, 0, 128),
    (0, 3, 46, 16),
    (0, 95, 4, 16),
    // White at half over black: 16 + 219 * 128 / 255.
    (0, 3, 3, 126),
    (0, 8, 8, 16),
    // Red on one pixel of four: luma whole, chroma a quarter of the way.
    (0, 17, 1, 63),
    (0, 16, 1, 16),
    (1, 8, 0, 122),
    (2, 8, 0, 156),
    // Copied NV12.
    (0, 32, 4, 50),
    (0, 39, 11, 57),
    (1, 16, 2, 90),
    (2, 19, 5, 240),
    // BT.601 full white: BT.709 limited white.
    (0, 48, 4, 235),
    (1, 27, 5, 128),
    // Columns of 100 and 110, two into one.
    (0, 64, 4, 105),
    (0, 71, 11, 105),
    // Coverage 0, 64, 128, 255 of white over black, its chroma towards (128, 128).
    (0, 80, 20, 16),
    (0, 81, 20, 71),
    (0, 82, 20, 126),
    (0, 83, 20, 235),
];

fn trial_plan() -> CompositePlan {
    let red = Yuv { y: 63, u: 102, v: 240 };
    let meta = |color| FrameMeta { color, ..FrameMeta::default() };
    let ramp: Bytes = (0..64).map(|n| 50 + n % 8).collect::<Vec<u8>>().into();
    let chroma: Bytes = [90, 240].repeat(16).into();
    let nv12 = Frame::new(
        8,
        8,
        Chroma::Nv12,
        vec![Plane { data: ramp, stride: 8 }, Plane { data: chroma, stride: 8 }],
        meta(Colorimetry::default()),
    );
    let full = Colorimetry { matrix: Matrix::Bt601, range: Range::Full };
    let white = Frame::filled(8, 8, [255, 128, 128], meta(full));
    let mut stripes = [100u8, 110].repeat(128);
    stripes.resize(256 + 128, 128);
    let stripes = Frame::packed_i420(16, 16, stripes.into(), meta(Colorimetry::default()));
    let bitmap = Bitmap { width: 4, height: 1, coverage: Bytes::from_static(&[0, 64, 128, 255]) };

    let mut draws = vec![
        Draw::Fill { rect: PixelRect::new(3, 3, 5, 5), color: Yuv::WHITE, alpha: 128 },
        Draw::Fill { rect: PixelRect::new(17, 1, 1, 1), color: red, alpha: 255 },
        // Beyond the damage on every side: must not show there.
        Draw::Fill { rect: PixelRect::new(0, 46, 96, 2), color: Yuv::WHITE, alpha: 255 },
        Draw::Stamp { x: 80, y: 20, bitmap: Arc::new(bitmap), color: Yuv::WHITE, alpha: 255 },
    ];
    for (frame, x) in [(nv12, 32), (white, 48), (stripes, 64)] {
        draws.extend(frame.map(|frame| Draw::Picture { frame, dest: PixelRect::new(x, 4, 8, 8) }));
    }
    let damage = vec![PixelRect::new(0, 0, 94, 24), PixelRect::new(0, 24, 94, 22)];
    CompositePlan { width: TRIAL.width, height: TRIAL.height, draws, damage }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A canvas that never changes, under a name that a test recognises.
    struct Blank(Frame);

    impl Compositor for Blank {
        fn name(&self) -> &str {
            "blank"
        }
        fn compose(&mut self, _plan: &CompositePlan) -> Result<()> {
            Ok(())
        }
        fn picture(&mut self, _meta: FrameMeta) -> Result<Frame> {
            Ok(self.0.clone())
        }
    }

    #[test]
    fn a_device_that_draws_nothing_is_found_out() {
        let black = Frame::filled(TRIAL.width, TRIAL.height, [16, 128, 128], FrameMeta::default());
        let error = verify(&mut Blank(black.expect("a valid size"))).expect_err("nothing was drawn");
        assert!(error.to_string().contains("draws wrongly"), "{error}");
    }

    #[test]
    fn a_device_that_is_off_in_one_place_is_found_out() {
        let Some(info) = adapters().into_iter().next() else {
            println!("skipped: no Vulkan device (install mesa-vulkan-drivers)");
            return;
        };
        let mut gpu = GpuCompositor::new(TRIAL.width, TRIAL.height, |_| true).expect("it opens");
        verify(&mut gpu).expect("it draws rightly");
        check(&info).expect("it draws rightly");
        let good = gpu.picture(FrameMeta::default()).expect("a picture").to_packed_i420();
        let luma = (TRIAL.width * TRIAL.height) as usize;
        for &(plane, x, y, want) in &TRIAL_SAMPLES {
            let at = match plane {
                0 => y * TRIAL.width as usize + x,
                n => luma + (n - 1) * luma / 4 + y * TRIAL.width as usize / 2 + x,
            };
            let mut bad = good.clone();
            bad[at] = if want > 100 { want - 3 } else { want + 3 };
            let frame = Frame::packed_i420(TRIAL.width, TRIAL.height, bad.into(), FrameMeta::default())
                .expect("whole");
            assert!(verify(&mut Blank(frame)).is_err(), "plane {plane}, {x},{y}");
        }
    }

    #[test]
    fn the_cpu_is_taken_when_asked_and_in_place_of_software_devices() {
        let (mut compositor, why) = open(Backend::Cpu, TRIAL.width, TRIAL.height).expect("opens");
        assert!(compositor.name().starts_with("cpu ("), "{}", compositor.name());
        assert_eq!(why, "asked for");
        verify(&mut *compositor).expect("it draws rightly too");
        if adapters().iter().any(|info| !info.software) {
            println!("skipped: this machine has a GPU, so `auto` takes it");
            return;
        }
        let (compositor, why) = open(Backend::Auto, 64, 32).expect("opens");
        assert!(compositor.name().starts_with("cpu ("), "{}", compositor.name());
        assert!(why.contains("no GPU"), "{why}");
    }

    #[test]
    fn the_gpu_backend_takes_what_there_is_or_says_what_to_install() {
        match open(Backend::Gpu, 64, 32) {
            Ok((compositor, why)) => {
                assert!(compositor.name().starts_with("gpu ("), "{}", compositor.name());
                assert!(why.contains("trial scene"), "{why}");
                let software = adapters().iter().all(|info| info.software);
                assert_eq!(why.contains(FOR_TESTS), software, "{why}");
            }
            Err(error) => {
                assert!(adapters().is_empty(), "{error}");
                assert_eq!(error.kind(), ErrorKind::Missing);
                assert!(error.message().contains("install"), "{error}");
            }
        }
    }
}
