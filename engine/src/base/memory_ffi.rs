//! Whether memory that is free goes back to the operating system: the only unsafe code of this room.
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

/// Keeps what was freed, from now on, for what comes next. By itself glibc gets each large buffer from the
/// operating system, which clears all of it first, and gives it back at once: a program that opens decoders
/// and encoders over and over, as a batch of jobs does, spends a thirtieth of its time on that. Does nothing
/// where the C library is another.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt(3) may be called at any time, from any thread, and takes plain numbers; one that it does
    // not like changes nothing.
    unsafe {
        // The largest that it takes: half of a thread's heap (HEAP_MAX_SIZE).
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}
