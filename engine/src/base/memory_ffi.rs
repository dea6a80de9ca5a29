//! Gives memory that is free back to the operating system: the only unsafe code of this room.
#![allow(unsafe_code)]

/// Gives back what the allocator holds and nobody uses. glibc keeps freed memory in the arena of the
/// thread that took it, and gives back only what lies at an arena's end; where buffers of many sizes
/// come and go, as when decoders are opened anew, free pages lie between others. Takes some
/// milliseconds with hundreds of megabytes; threads that allocate meanwhile may wait for as long.
/// Does nothing where the C library is another.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time, from any thread, and takes a plain number.
    unsafe {
        libc::malloc_trim(0);
    }
}
