//! The limit of open files, raised as far as the system lets us: every client takes one.
#![allow(unsafe_code)]

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
