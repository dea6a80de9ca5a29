//! The CPU executor: a persistent I420 canvas, drawn in bands. One file per pass, named as its
//! WGSL twin: `fill`, `picture`, `stamp`. Never imports wgpu.

mod canvas;
mod convert;
mod fill;
mod picture;
mod pool;
mod stamp;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::Compositor;
use super::plan::{CompositePlan, Draw};
use crate::base::{Error, ErrorKind, Result};
use crate::fit::Scratch;
use crate::media::{Frame, FrameMeta, PixelRect};
use canvas::{Band, Canvas};
use pool::BufferPool;

/// From this much work on (in bytes of picture to copy), a plan is drawn by all threads of rayon's
/// pool. Below, a thread alone takes about a millisecond (a 4K wall of plain copies), and waking the others, and
/// their looking for more before they sleep, took a twentieth of a 1080p wall's processor time.
const PARALLEL_WORK: u64 = 16 << 20;

/// Draws plans with the CPU's SIMD.
#[derive(Debug)]
pub struct CpuCompositor {
    name: String,
    canvas: Canvas,
    pool: BufferPool,
    scratch: Scratch,
}

impl CpuCompositor {
    /// A black canvas of this size, in pixels, both even.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a side is zero, odd or beyond [`crate::scene::solve::MAX_SCREEN`].
    pub fn new(width: u32, height: u32) -> Result<CpuCompositor> {
        let allowed =
            |side: u32| side > 0 && side.is_multiple_of(2) && side <= crate::scene::solve::MAX_SCREEN;
        if !allowed(width) || !allowed(height) {
            return Err(Error::new(
                ErrorKind::Config,
                "canvas",
                format!(
                    "is {width}x{height} pixels; both must be even, from 2 to {}",
                    crate::scene::solve::MAX_SCREEN
                ),
            ));
        }
        Ok(CpuCompositor {
            name: format!("cpu ({})", simd_name()),
            canvas: Canvas::new(width, height),
            pool: BufferPool::new(4),
            scratch: Scratch::default(),
        })
    }
}

impl Compositor for CpuCompositor {
    fn name(&self) -> &str {
        &self.name
    }

    fn compose(&mut self, plan: &CompositePlan) -> Result<()> {
        let (width, height) = self.canvas.size();
        if (plan.width, plan.height) != (width, height) {
            return Err(Error::new(
                ErrorKind::Internal,
                "composite plan",
                format!("is for {}x{} pixels, the canvas has {width}x{height}", plan.width, plan.height),
            ));
        }
        let clips = clips(plan, width, height)?;
        if clips.is_empty() {
            return Ok(());
        }
        let work: u64 = plan.draws.iter().map(|draw| work(draw, &clips)).sum();
        let bands = if work < PARALLEL_WORK { 1 } else { rayon::current_num_threads() };
        let prepared = self.prepare(&plan.draws, &clips, bands > 1);
        let mut bands = self.canvas.bands(bands);
        if let [band] = bands.as_mut_slice() {
            draw_band(band, &plan.draws, &prepared, &clips);
        } else {
            bands.par_iter_mut().for_each(|band| draw_band(band, &plan.draws, &prepared, &clips));
        }
        Ok(())
    }

    fn picture(&mut self, meta: FrameMeta) -> Result<Frame> {
        let (width, height) = self.canvas.size();
        let mut buffer = self.pool.take(self.canvas.bytes().len());
        buffer.copy_from_slice(self.canvas.bytes());
        let meta = FrameMeta { color: super::color::CANVAS, pixel_aspect: crate::media::Ratio::ONE, ..meta };
        Frame::packed_i420(width, height, self.pool.freeze(buffer), meta)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "canvas", "has a buffer of the wrong length"))
    }
}

impl CpuCompositor {
    /// Scales every picture that is not at its size yet, so that bands only copy and convert.
    fn prepare(&mut self, draws: &[Draw], clips: &[PixelRect], parallel: bool) -> Vec<Option<Frame>> {
        let needs_scaling = |draw: &Draw| {
            matches!(draw, Draw::Picture { frame, dest }
            if (frame.width(), frame.height()) != (dest.width, dest.height) && touches(dest, clips))
        };
        let prepared = |scratch: &mut Scratch, draw: &Draw| {
            if needs_scaling(draw) { draw.fitted(scratch) } else { None }
        };
        if parallel && draws.iter().filter(|d| needs_scaling(d)).count() > 1 {
            draws.par_iter().map_init(Scratch::default, prepared).collect()
        } else {
            draws.iter().map(|draw| prepared(&mut self.scratch, draw)).collect()
        }
    }
}

/// The damage within the canvas.
fn clips(plan: &CompositePlan, width: u32, height: u32) -> Result<Vec<PixelRect>> {
    let canvas = PixelRect::new(0, 0, width, height);
    if let Some(odd) = plan.damage.iter().find(|r| [r.x, r.y, r.width, r.height].iter().any(|v| v % 2 != 0)) {
        return Err(Error::new(
            ErrorKind::Internal,
            "composite plan",
            format!("has damage with odd edges: {odd:?}"),
        ));
    }
    Ok(plan.damage.iter().map(|r| r.intersect(&canvas)).filter(|r| !r.is_empty()).collect())
}

fn touches(rect: &PixelRect, clips: &[PixelRect]) -> bool {
    clips.iter().any(|clip| !clip.intersect(rect).is_empty())
}

/// Roughly how many bytes a draw moves; scaling and conversion count as what they cost in copies.
fn work(draw: &Draw, clips: &[PixelRect]) -> u64 {
    let area = |rect: &PixelRect| u64::from(rect.width) * u64::from(rect.height);
    match draw {
        Draw::Picture { frame, dest } => {
            let shown: u64 = clips.iter().map(|clip| area(&clip.intersect(dest))).sum();
            let scaled = shown > 0 && (frame.width(), frame.height()) != (dest.width, dest.height);
            let scaling = if scaled { 4 * u64::from(frame.width()) * u64::from(frame.height()) } else { 0 };
            let converting = if frame.meta().color == super::color::CANVAS { 0 } else { shown };
            shown * 3 / 2 + scaling + converting
        }
        Draw::Fill { rect, .. } => clips.iter().map(|clip| area(&clip.intersect(rect))).sum(),
        Draw::Stamp { bitmap, .. } => 2 * u64::from(bitmap.width) * u64::from(bitmap.height),
    }
}

fn draw_band(band: &mut Band<'_>, draws: &[Draw], prepared: &[Option<Frame>], clips: &[PixelRect]) {
    let rows = band.rect();
    let clips: Vec<_> = clips.iter().map(|c| c.intersect(&rows)).filter(|c| !c.is_empty()).collect();
    for (draw, prepared) in draws.iter().zip(prepared) {
        match draw {
            Draw::Fill { rect, color, alpha } => {
                for clip in &clips {
                    fill::fill(band, rect, *color, *alpha, clip);
                }
            }
            Draw::Picture { frame, dest } => {
                let frame = prepared.as_ref().unwrap_or(frame);
                for clip in &clips {
                    picture::picture(band, frame, dest, clip);
                }
            }
            Draw::Stamp { x, y, bitmap, color, alpha } => {
                for clip in &clips {
                    stamp::stamp(band, (*x, *y), bitmap, *color, *alpha, clip);
                }
            }
        }
    }
}

fn simd_name() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        match crate::fit::Level::best() {
            crate::fit::Level::Avx512 => "AVX-512",
            crate::fit::Level::Avx2 => "AVX2",
            crate::fit::Level::Base => "SSE2",
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "portable"
    }
}
