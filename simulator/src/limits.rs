//! The limit of open files, raised as far as the system lets us: every client takes one.
#![allow(unsafe_code)]

/// Files that the simulator itself opens, at most: standard streams, listeners, event queues.
const OWN_FILES: u64 = 64;

/// Clients that can be served at once: every one takes a file. Raises the soft limit of open files
/// to the hard one first (`ulimit -Hn` tells it).
pub fn max_clients() -> u64 {
    raise_open_files().saturating_sub(OWN_FILES)
}

/// Raises the soft limit of open files to the hard one; returns what holds then.
pub(crate) fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that lives through both calls, which only read and write it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return 0;
        }
        let wanted = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) == 0 { limit.rlim_max } else { limit.rlim_cur }
    }
}
