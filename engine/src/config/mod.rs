//! A wall written down: TOML, checked before anything starts.
//!
//! `wire` names every key of a wall file, `read` takes them from TOML with their places, `check`,
//! `scene` and `tiles` turn them into a [`WallSpec`], `inventory` reads cameras by the thousands, and `report` says what is wrong: all of it at once,
//! each with file, line, column, key and remedy. `job` does the same for the job files of `vitrail transcode`. Nothing is guessed: an unknown key or a wrong
//! value refuses the wall.

mod camera;
mod check;
mod inventory;
mod job;
mod leaf;
mod load;
mod measures;
mod read;
mod report;
mod scene;
mod settings;
mod tiles;
mod turned;
mod wall;
mod watch;
mod wire;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub use inventory::{Changed, Changes, Field, Inventory, Query, QueryError, changed_keys, csv_columns, diff};
pub use job::{Container, EvidenceSpec, Existing, Given, JOB_TABLES, JobSpec, TaskSpec, job_schema};
pub use measures::duration;
pub use report::{ConfigErrors, Place, Problem};
pub use wall::{
    CameraSpec, ControlSpec, EncoderSpec, LimitSpec, OutputText, OverlaySpec, Position, ScreenOutputs,
    StreamFacts, UriText, WallSpec,
};
pub use watch::Watcher;
pub use wire::{Key, PROFILE_TABLES, TABLES, Table};
