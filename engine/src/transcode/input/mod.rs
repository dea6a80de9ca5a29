//! A source of a job: held, read and understood before anything of it is decoded, and handed to the workers.

mod boxes;
mod clock;
pub mod feed;
mod hardness;
pub mod held;
pub mod reader;
mod refresh;
pub mod scan;
mod units;
