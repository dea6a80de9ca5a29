//! Keeps each camera connected: retries, backs off, watches for silence, and says how it stands.

pub use crate::source::UnitSink;
