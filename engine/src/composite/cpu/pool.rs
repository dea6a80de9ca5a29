//! Picture buffers that come back when the last reader drops them, on whatever thread that is: the
//! screen's thread never waits for a lock that a reader holds.

use std::sync::Arc;

use bytes::Bytes;
use crossbeam::queue::ArrayQueue;

/// Keeps up to a fixed number of buffers for reuse; more are freed.
#[derive(Clone, Debug)]
pub(super) struct BufferPool {
    free: Arc<ArrayQueue<Vec<u8>>>,
}

impl BufferPool {
    pub(super) fn new(keep: usize) -> BufferPool {
        BufferPool { free: Arc::new(ArrayQueue::new(keep.max(1))) }
    }

    /// A buffer of `len` bytes with any content.
    pub(super) fn take(&self, len: usize) -> Vec<u8> {
        match self.free.pop() {
            Some(buffer) if buffer.len() == len => buffer,
            _ => vec![0; len],
        }
    }

    /// The buffer as shared bytes that return it to the pool at their end.
    pub(super) fn freeze(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, pool: self.clone() })
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.free.len()
    }
}

struct Lent {
    buffer: Vec<u8>,
    pool: BufferPool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Full: this one is freed.
        let _ = self.pool.free.push(std::mem::take(&mut self.buffer));
    }
}
