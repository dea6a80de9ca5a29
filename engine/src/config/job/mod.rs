//! Job files of `vitrail transcode`: what is to be done, written down in TOML and checked before
//! anything starts.
//!
//! `wire` names every key, `leaf` reads its values, `check` turns tasks into [`TaskSpec`]s, and
//! `schema` prints what `wire` knows. The command line takes the same way: its options are keys of one
//! task, so that both are checked alike.

mod check;
mod leaf;
mod marks;
mod schema;
mod spec;
mod video;
mod wire;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub use schema::job_schema;
pub use spec::{Container, EvidenceSpec, Existing, Given, JobSpec, TaskSpec};
pub use wire::JOB_TABLES;
