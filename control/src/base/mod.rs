//! What all rooms of the control plane share: time of day, and the one error type.

mod problem;
mod utc;

pub use problem::{Kind, Problem, Result};
pub use utc::Utc;
