//! Tests through several rooms: jobs from end to end, packages from packets to players.

mod containers;
mod files;
mod fuzz;
mod helpers;
mod jobs;
mod ladders;
mod sync;
mod told;
mod verify;
