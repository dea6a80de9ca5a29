//! How many clients the limit of open files leaves.

use vitrail_engine::base::limits::raise_open_files;

/// Files that the simulator itself opens, at most: standard streams, listeners, event queues.
const OWN_FILES: u64 = 64;

/// Clients that can be served at once: every one takes a file. Raises the soft limit of open files
/// to the hard one first (`ulimit -Hn` tells it).
pub fn max_clients() -> u64 {
    raise_open_files().saturating_sub(OWN_FILES)
}
