//! What these tests share.
#![allow(clippy::unwrap_used)]

pub mod jobs;
pub mod packages;
