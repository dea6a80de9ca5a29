//! What all rooms of the control plane share: time of day, the one error type, work off the threads that answer,
//! the form of the database, hexadecimal text and names of files that lie beside another.

mod beside;
mod blocking;
pub(crate) mod database;
mod hex;
mod problem;
mod utc;

pub use beside::beside;
pub use blocking::blocking;
pub use hex::{hex, unhex};
pub use problem::{Kind, Problem, Result};
pub use utc::Utc;
