//! Simulated cameras: looped clips and scenes over RTSP, each picture readable by machine, with faults on command.
//!
//! ```no_run
//! use vitrail_simulator::{Config, Fault, Profile, Simulator};
//!
//! let cameras = Simulator::start(Config { cameras: 4, ..Config::default() })?;
//! println!("{}", cameras.uri(1, Profile::Sub));
//! cameras.fault(1, Fault::Silent)?;
//! # Ok::<(), vitrail_engine::Error>(())
//! ```

mod cameras;
pub mod city;
pub mod clip;
pub mod code;
pub mod config;
mod control;
mod encode;
pub mod faults;
pub mod footage;
pub mod gst_server;
mod inventory;
mod limits;
pub mod noise;
pub mod onvif;
pub mod picture;
mod rtsp;
pub mod scene;
pub mod sent;
mod simulator;
mod stream;
pub mod viewer;

use std::fmt;

use vitrail_engine::{Error, ErrorKind, Result};

pub use config::{Config, Scenery, StreamSpec, default_cache};
pub use faults::{Fault, Refusal};
pub use limits::max_clients;
pub use rtsp::auth::Login;
pub use sent::{SendLog, Sent};
pub use simulator::{Simulator, Stats};

/// Which of a camera's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// The large one.
    Main,
    /// The small one.
    Sub,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Profile::Main => "main",
            Profile::Sub => "sub",
        })
    }
}

/// Initialises GStreamer; does nothing the second time.
fn start_gstreamer() -> Result<()> {
    gstreamer::init().map_err(|e| Error::new(ErrorKind::Missing, "GStreamer", "cannot start").caused_by(e))
}
