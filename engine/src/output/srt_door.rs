//! Where callers come in over SRT: a listening socket, opened anew where it keeps failing.

use std::time::{Duration, Instant};

use super::srt_ffi::{Fault, Socket};
use crate::base::Result;
use crate::base::backoff::{OUTPUT, Retry};

/// Faults without a caller between them after which a listening socket is given up.
const FAULTS: u32 = 10;

/// Takes callers in.
pub(super) trait Listener: Sized {
    /// The next caller; `None`: nobody.
    fn caller(&self) -> std::result::Result<Option<Self>, Fault>;
}

impl Listener for Socket {
    fn caller(&self) -> std::result::Result<Option<Socket>, Fault> {
        self.accept()
    }
}

/// How a listening socket is opened again, at the same port.
pub(super) type Reopen<L> = Box<dyn Fn() -> Result<L> + Send>;

/// A listening socket that is kept open. Callers who are in do not notice what happens to it.
pub(super) struct Door<L> {
    subject: String,
    reopen: Reopen<L>,
    listener: Option<L>,
    opened: Instant,
    faults: u32,
    retry: Retry,
    /// When it is tried again, where it is closed.
    again: Instant,
    error: Option<String>,
}

impl<L: Listener> Door<L> {
    /// A door that is open since `now`. `subject` has no secrets.
    pub fn new(subject: String, listener: L, reopen: Reopen<L>, now: Instant) -> Door<L> {
        let retry = Retry::new(OUTPUT);
        Door {
            subject,
            reopen,
            listener: Some(listener),
            opened: now,
            faults: 0,
            retry,
            again: now,
            error: None,
        }
    }

    /// Who comes in next at `now`; `None`: nobody.
    pub fn next(&mut self, now: Instant) -> Option<L> {
        if self.listener.is_none() && now >= self.again {
            match (self.reopen)() {
                Ok(listener) => (self.listener, self.opened, self.faults) = (Some(listener), now, 0),
                Err(error) => self.close(now, error.to_string()),
            }
        }
        match self.listener.as_ref()?.caller() {
            Ok(None) => None,
            Ok(caller) => {
                self.faults = 0;
                caller
            }
            Err(fault) => {
                self.faults += 1;
                if self.faults == 1 {
                    tracing::warn!(output = %self.subject, error = %fault.0, "a caller could not be taken in");
                }
                if self.faults >= FAULTS {
                    self.close(now, format!("takes nobody in: {}", fault.0));
                }
                None
            }
        }
    }

    fn close(&mut self, now: Instant, error: String) {
        let worked = if self.listener.is_some() { now.duration_since(self.opened) } else { Duration::ZERO };
        let wait = self.retry.after(worked, rand::random());
        let retry_in_s = wait.as_secs_f32();
        tracing::warn!(output = %self.subject, error, retry_in_s, "nobody can call; it is opened anew");
        (self.listener, self.again, self.error) = (None, now + wait, Some(error));
    }

    /// Whether nobody can come in, and what went wrong last.
    pub fn standing(&self) -> (bool, Option<String>) {
        (self.listener.is_none(), self.error.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::base::{Error, ErrorKind};

    /// Fails, or has a caller.
    struct Fake(bool);

    impl Listener for Fake {
        fn caller(&self) -> std::result::Result<Option<Fake>, Fault> {
            if self.0 { Ok(Some(Fake(true))) } else { Err(Fault("no descriptor".into())) }
        }
    }

    #[test]
    fn a_listener_that_keeps_failing_is_opened_anew_less_and_less_often() {
        let opened = Arc::new(AtomicU32::new(0));
        let count = opened.clone();
        let reopen = move || match count.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::new(ErrorKind::Io, "srt", "the port is taken")),
            1 => Ok(Fake(false)),
            _ => Ok(Fake(true)),
        };
        let begun = Instant::now();
        let mut door = Door::new("srt://:9000".into(), Fake(false), Box::new(reopen), begun);
        let (mut came, mut tried) = (None, Vec::new());
        // As the output does, fifty times a second.
        for n in 0..1000_u32 {
            let now = begun + Duration::from_millis(20) * n;
            let before = opened.load(Ordering::SeqCst);
            let caller = door.next(now);
            came = came.or(caller.map(|_| n));
            if opened.load(Ordering::SeqCst) > before {
                tried.push(n);
            }
            assert_eq!(
                door.standing().0,
                n >= 9 && tried.len() < 2 || tried.len() == 2 && n >= tried[1] + 9,
                "{n}"
            );
        }
        assert_eq!(opened.load(Ordering::SeqCst), 3);
        let waits: Vec<u32> =
            [tried[0] - 9, tried[1] - tried[0], tried[2] - tried[1] - 9].map(|n| n / 50).into();
        assert!(waits.windows(2).all(|w| w[1] > w[0]) && waits[0] >= 1, "{tried:?}");
        assert_eq!(came, Some(tried[2]), "who calls is let in at once");
        assert_eq!(door.standing(), (false, Some("takes nobody in: no descriptor".into())));
    }
}
