//! Transcoding: a file into another form, cut into segments that are encoded side by side, kept for
//! a resume, joined without a seam and verified before they take their name.
//!
//! `docs/design/transcode.md` draws the way and says why it is so.

pub mod queue;
pub mod spec;
