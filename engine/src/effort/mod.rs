//! How much decoding each camera deserves, and what it costs: one cost model for governor,
//! admission and capacity planner. Pure: nothing here connects, decodes or starts a thread.

pub mod cost;
pub mod plan;

pub use cost::{CostModel, StreamLoad};
