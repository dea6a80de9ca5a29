//! A stream recorded as it comes, with its sound, for a job to work on.

mod sound;
mod stream;
#[cfg(test)]
mod tests;

pub use stream::{Captured, capture};
