//! How much this process has allocated and not freed: the only unsafe code of the tests.
#![allow(unsafe_code)]

/// Bytes in use in all arenas and in mappings of their own, as malloc counts them: kept objects show
/// here, fragmentation does not.
pub fn live_bytes() -> usize {
    // SAFETY: it takes nothing and returns plain numbers.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}
