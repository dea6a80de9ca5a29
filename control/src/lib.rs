//! The control plane of Vitrail: who may see which camera and why, what the walls show, and what is
//! kept on record of it. It sends the engine plain commands and reads its snapshots; the engine
//! knows nothing of it. `docs/design/control.md` is the map.

pub mod api;
pub mod audit;
pub mod base;
pub mod controller;
pub mod db;
pub mod live;
pub mod onvif;
pub mod people;
pub mod registry;
pub mod rights;
pub mod server;
pub mod wall;

pub use base::{Problem, Result, Utc};
pub use controller::Controller;
