//! A thread as a type: it is named, it reports whether its start worked, and it is joined.

use std::sync::mpsc;
use std::thread::JoinHandle;

use super::error::{Error, ErrorKind, Result};

/// A running thread that is joined when dropped. Tell it to end (through its mailbox or a
/// [`super::Shutdown`]) before you drop it, or the drop waits for its natural end.
#[derive(Debug)]
pub struct Worker {
    name: String,
    handle: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread whose body cannot fail to start. Linux shows 15 bytes of the name.
    pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<Worker> {
        let handle = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map_err(|e| Error::new(ErrorKind::Io, name.to_owned(), "cannot start a thread").caused_by(e))?;
        Ok(Worker { name: name.to_owned(), handle: Some(handle) })
    }

    /// Starts a thread that first runs `init` on itself; `init`'s failure is returned here, its
    /// product is handed to `body`.
    pub fn spawn_with_init<T>(
        name: &str,
        init: impl FnOnce() -> Result<T> + Send + 'static,
        body: impl FnOnce(T) + Send + 'static,
    ) -> Result<Worker> {
        let (report, started) = mpsc::sync_channel(1);
        let worker = Worker::spawn(name, move || match init() {
            Ok(state) => {
                let _ = report.send(Ok(()));
                body(state);
            }
            Err(error) => {
                let _ = report.send(Err(error));
            }
        })?;
        match started.recv() {
            Ok(Ok(())) => Ok(worker),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::new(ErrorKind::Internal, name.to_owned(), "panicked while starting")),
        }
    }

    /// Waits for the thread to end; false if it panicked.
    pub fn join(mut self) -> bool {
        self.finish()
    }

    fn finish(&mut self) -> bool {
        match self.handle.take().map(JoinHandle::join) {
            Some(Err(_)) => {
                tracing::error!(thread = %self.name, "a thread panicked");
                false
            }
            _ => true,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_start_reaches_the_caller() {
        let failed = Worker::spawn_with_init(
            "t-init",
            || Err::<(), _>(Error::new(ErrorKind::Missing, "gpu", "none")),
            |()| panic!("the body must not run"),
        );
        assert_eq!(failed.err().map(|e| e.kind()), Some(ErrorKind::Missing));
    }

    #[test]
    fn a_panic_is_seen_at_the_join() {
        let worker = Worker::spawn("t-panic", || panic!("on purpose")).expect("threads start in tests");
        assert!(!worker.join());
    }
}
