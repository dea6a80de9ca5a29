//! Draws a screen: a backend-neutral plan, and two executors that must agree, `cpu` and `gpu`.

pub mod color;
pub mod cpu;
mod damage;
pub mod gpu;
mod look;
pub mod overlay;
mod paint;
pub mod plan;
pub mod planner;
#[cfg(test)]
mod planner_tests;
pub mod probe;
pub mod snapshot;
pub mod text;
mod words;

use crate::base::Result;
use crate::media::{Frame, FrameMeta};

pub use cpu::CpuCompositor;
pub use overlay::{Corner, Language, OverlayStyle, TextPlace, TickView, TileStatus, TileView};
pub use plan::{Bitmap, CompositePlan, Draw, Yuv};
pub use planner::ScreenPlanner;
pub use text::TextRenderer;

/// Draws plans onto its own persistent canvas (BT.709, limited range, 4:2:0). What a plan does not
/// touch stays as it was.
pub trait Compositor: Send {
    /// What it runs on, for people: `cpu (AVX2)`, `gpu (NVIDIA H100)`, …
    fn name(&self) -> &str;
    /// Draws a plan. A plan of another size than the canvas is an error.
    fn compose(&mut self, plan: &CompositePlan) -> Result<()>;
    /// The canvas as it is now: a copy, I420 or NV12, that later plans do not change.
    fn picture(&mut self, meta: FrameMeta) -> Result<Frame>;
}

/// Which executor to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The GPU where a probe finds a real one that draws a test scene rightly, else the CPU.
    #[default]
    Auto,
    /// wgpu, also on a software device; refused where none works.
    Gpu,
    /// The CPU.
    Cpu,
}
