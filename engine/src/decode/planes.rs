//! A plane that views libavcodec's own buffer instead of copying it: the only unsafe code of this room.
#![allow(unsafe_code)]

use std::sync::Arc;

use bytes::Bytes;
use ffmpeg_next::frame;

use crate::media::Plane;

/// A view of one plane that keeps its frame alive.
struct View {
    /// Holds the reference to the buffer that `start` points into.
    _owner: Arc<frame::Video>,
    start: *const u8,
    len: usize,
}

// SAFETY: the bytes are only read, and libavcodec does not write to a picture that it has handed
// out; the frame's references are counted atomically, so that any thread may drop the last one.
unsafe impl Send for View {}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `plane` checked that `len` bytes from `start` lie in a buffer of `_owner`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

/// Plane `index` of a frame: `rows` rows of `row` bytes. `None` where the frame has no such plane
/// or its buffer is smaller than that.
pub(super) fn plane(owner: &Arc<frame::Video>, index: usize, row: usize, rows: usize) -> Option<Plane> {
    // SAFETY: the frame is a valid, owned AVFrame; its fields are only read.
    let (start, stride, buffers) = unsafe {
        let frame = &*owner.as_ptr();
        (*frame.data.get(index)?, *frame.linesize.get(index)?, frame.buf)
    };
    let stride = usize::try_from(stride).ok().filter(|s| *s >= row && row > 0 && rows > 0)?;
    let len = stride.checked_mul(rows - 1)?.checked_add(row)?;
    let inside = buffers.iter().any(|&buffer| {
        if buffer.is_null() {
            return false;
        }
        // SAFETY: a non-null entry of `buf` is a valid reference, held by the frame.
        let (base, size) = unsafe { ((*buffer).data as usize, (*buffer).size) };
        let from = start as usize;
        from >= base && from - base <= size && size - (from - base) >= len
    });
    if start.is_null() || !inside {
        return None;
    }
    Some(Plane { data: Bytes::from_owner(View { _owner: owner.clone(), start, len }), stride })
}
