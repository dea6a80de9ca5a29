//! What a job keeps on disk while it works: files of packets, in a hidden folder beside its target.

pub mod folder;
pub mod record;
