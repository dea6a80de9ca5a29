//! What all rooms of the control plane share: time of day, the one error type, work off the threads that answer,
//! and the form of the database.

mod blocking;
pub(crate) mod database;
mod problem;
mod utc;

pub use blocking::blocking;
pub use problem::{Kind, Problem, Result};
pub use utc::Utc;
