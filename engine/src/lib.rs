//! The media plane of Vitrail: from a camera's packets to an encoded wall.
//!
//! Rooms, in the order that data flows: [`source`] connects, [`ingest`] keeps it alive, [`decode`]
//! turns access units into frames (as many as [`effort`] grants), [`fit`] shrinks them to tile
//! size, [`store`] keeps the newest, [`scene`] says where each goes, [`composite`] draws,
//! [`encode`] compresses, [`output`] delivers. [`evidence`] signs what a job made and checks it again.
//! Only [`wall`] (live), [`mosaic`] and [`transcode`] (offline) and [`measure`], which times the rooms themselves, see all
//! of them. A room imports [`base`], [`media`] and the types of the room before it;
//! `tests/arrows` checks that.
//!
//! A wall file is checked as a whole before anything is opened, and every error knows its line:
//!
//! ```
//! use vitrail_engine::config::WallSpec;
//!
//! let file = r#"
//! [[camera]]
//! id = "gate"
//! uri = "rtsp://10.0.0.7/sub"
//! [[screen]]
//! size = "1920x1080"
//! grid = "1x1"
//! "#;
//! let spec = WallSpec::from_toml(file, "room.toml").expect("a good file");
//! assert_eq!(spec.scene.screens.len(), 1);
//!
//! let wrong = WallSpec::from_toml("[wall]\nframe_rate = \"fast\"\n", "room.toml").expect_err("no rate");
//! assert!(wrong.to_string().contains("room.toml:2"));
//! ```
//!
//! `examples/live_wall.rs` goes on from there.

pub mod base;
pub mod composite;
pub mod config;
pub mod decode;
pub mod effort;
pub mod encode;
pub mod evidence;
pub mod fit;
pub mod ingest;
pub mod measure;
pub mod media;
pub mod mosaic;
pub mod output;
pub mod scene;
pub mod source;
pub mod store;
pub mod transcode;
pub mod wall;

pub use base::error::{Error, ErrorKind, Result};
