//! Shrinks a frame to exactly the sizes that visible tiles need, while it is hot in cache, and sets it upright.

mod axis;
mod change;
mod fitter;
mod geometry;
mod kernels;
mod scale;
mod simd;
#[cfg(test)]
mod tests;
mod turn;
#[cfg(test)]
mod turned_tests;

pub use fitter::{FitSnapshot, FitStatus, Fitter, SharedTargets, Targets};
pub use kernels::Scratch;
pub use scale::{fit, fit_at};
pub use simd::Level;
pub(crate) use simd::{Kernel, run};
