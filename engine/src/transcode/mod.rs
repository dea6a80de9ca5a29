//! Transcoding: a file into another form, cut into segments that are encoded side by side, kept for
//! a resume, joined without a seam and verified before they take their name.
//!
//! ```text
//!  a stream ─► capture ─┐
//!                       ▼
//!             a file ─► input ─► job ─┬─► codec ─► edit ─► codec ─┬─► files ─► package ─► the target
//!                                     └─► sound ──────────────────┘
//! ```
//!
//! `input` reads what there is, `job` plans and has it made, `edit` changes pictures between the decoder and the
//! encoder of `codec`, `files` keeps what is finished, `package` writes and checks the container. `spec` says what is
//! asked for, `time` counts it. `docs/design/transcode.md` draws the way and says why it is so.

pub mod capture;
mod codec;
pub mod edit;
mod files;
mod input;
pub mod job;
pub mod package;
pub mod sound;
pub mod spec;
#[cfg(test)]
mod tests;
mod time;
