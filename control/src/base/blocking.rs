//! Work that waits for the disk or takes long, off the threads that answer requests.

use super::{Problem, Result};

/// Runs what waits for the disk where it holds nobody up. Once begun it goes on to its end, whether anybody
/// waits for it or not.
///
/// # Errors
/// Those of `f`; internal where it panicked.
pub async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f)
        .await
        .unwrap_or_else(|e| Err(Problem::internal("worker", format!("ended early: {e}"))))
}
