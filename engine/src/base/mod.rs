//! What every room uses: time, errors, retries, threads, hand-over and counters. Knows nothing of media.

pub mod backoff;
pub mod clock;
pub mod counters;
pub mod cpu;
pub mod error;
pub mod files;
pub mod histogram;
pub mod limits;
pub mod login;
pub mod mailbox;
pub mod memory_ffi;
pub mod names;
pub mod process;
pub mod thread;

pub use clock::{Clock, Moment, SharedClock, SimClock, SystemClock};
pub use counters::Counter;
pub use error::{Error, ErrorKind, Result};
pub use histogram::Histogram;
pub use login::Login;
pub use mailbox::{Mailbox, Overflow};
pub use process::ProcessReport;
/// Tells every part of a job to end; cloned freely, `child_token` ends a part of it.
pub use tokio_util::sync::CancellationToken as Shutdown;
