//! Jobs from their sources to their targets: planned, cut into segments that are made side by side, joined, checked.

mod copy;
mod finish;
mod identity;
mod join;
mod plan;
mod prepare;
mod queue;
mod report;
mod sample;
mod segment;
mod segments;
mod sound;
mod task;

pub use queue::{finished_before, plan_only, run_all};
pub use report::*;
