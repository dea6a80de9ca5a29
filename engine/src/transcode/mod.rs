//! Transcoding: a file into another form, cut into segments that are encoded side by side, kept for
//! a resume, joined without a seam and verified before they take their name.
//!
//! `docs/design/transcode.md` draws the way and says why it is so.

pub mod capture;
mod capture_sound;
#[cfg(test)]
mod capture_tests;
mod complete;
#[cfg(test)]
mod container_tests;
mod copy;
mod decoder;
mod decoder_ffi;
pub mod edit;
mod encoder;
mod encoder_ffi;
mod feed;
mod frames;
#[cfg(test)]
mod fuzz;
mod hardness;
mod held;
mod job;
mod join;
pub mod package;
mod plan;
mod proof;
pub mod queue;
mod rate;
mod reader;
mod record;
mod refresh;
mod report;
mod sample;
mod scan;
mod segment;
pub mod sound;
mod sound_copy;
pub mod spec;
mod steering;
#[cfg(test)]
mod tests;
mod timeline;
#[cfg(test)]
mod told_tests;
mod units;
#[cfg(test)]
mod verify_tests;
mod work;
