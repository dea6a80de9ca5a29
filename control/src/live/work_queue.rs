//! What pictures for pages may cost: at most two are decoded or compressed at once, off the threads
//! that answer requests, and few wait for that.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::base::{Kind, Problem, Result, blocking};

/// Pictures at once: a wall has at least two cores, and these threads step back.
const AT_ONCE: usize = 2;
/// Requests that wait for their turn.
const WAITING: usize = 64;

/// A bounded queue of work of a few milliseconds each.
pub(super) struct WorkQueue {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl WorkQueue {
    pub fn new() -> WorkQueue {
        WorkQueue {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            places: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
        }
    }

    /// Runs `work` when its turn comes. It goes on to its end also where nobody waits any more.
    ///
    /// # Errors
    /// Unavailable where too many wait.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| busy())?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| busy())?;
        blocking(move || {
            let _kept = (place, turn);
            work()
        })
        .await
    }
}

fn busy() -> Problem {
    Problem::new(Kind::Unavailable, "pictures", "too many are asked for at once; try again in a moment")
        .code("busy")
        .retry_after(1)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn two_work_some_wait_and_the_rest_is_told_so() {
        let queue = Arc::new(WorkQueue::new());
        let (begun, began) = mpsc::channel();
        let mut doors = Vec::new();
        let mut asked = Vec::new();
        for n in 0..AT_ONCE + WAITING {
            let (open, door) = mpsc::channel::<()>();
            doors.push(open);
            let (queue, begun) = (queue.clone(), begun.clone());
            asked.push(tokio::spawn(async move {
                queue
                    .run(move || {
                        let _ = begun.send(n);
                        let _ = door.recv();
                        Ok(n)
                    })
                    .await
            }));
            tokio::task::yield_now().await;
        }
        let both = tokio::task::spawn_blocking(move || {
            [began.recv(), began.recv(), began.try_recv().map_err(|_| mpsc::RecvError)]
        });
        let [first, second, third] = both.await.expect("it ends");
        assert!(first.is_ok() && second.is_ok() && third.is_err(), "two at once");
        let refused = queue.run(|| Ok(0)).await;
        assert_eq!(refused.err().map(|p| p.status), Some(503));
        drop(doors);
        for (n, asked) in asked.into_iter().enumerate() {
            assert_eq!(asked.await.expect("no panic").ok(), Some(n));
        }
        assert_eq!(queue.run(|| Ok(7)).await.ok(), Some(7), "there is room again");
    }
}
