//! Canvases one after the other over plain HTTP (`multipart/x-mixed-replace`), for what has no WebRTC.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use futures::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::pictures::Pictures;
use crate::base::{Kind, Result};

/// Between two parts.
pub(super) const BOUNDARY: &str = "vitrail-picture";
/// A screen that stands still is sent again after so long, so that whoever listens knows it lives.
const ALIVE: Duration = Duration::from_secs(5);
/// Pictures a second, at most: each is compressed anew.
const FASTEST: f64 = 15.0;
/// Pictures a second, at least.
const SLOWEST: f64 = 0.2;

/// What one listener gets.
pub(super) struct Parts {
    pub pictures: Arc<Pictures>,
    pub screen: String,
    pub width: u32,
    pub interval: Duration,
    pub login: CancellationToken,
    pub stopping: CancellationToken,
    /// Held until the stream ends.
    pub _seat: OwnedSemaphorePermit,
    pub _look: Option<Arc<super::OpenLook>>,
}

/// From pictures a second.
pub(super) fn interval(fps: f64) -> Duration {
    let fps = if fps.is_finite() { fps.clamp(SLOWEST, FASTEST) } else { SLOWEST };
    Duration::from_secs_f64(1.0 / fps)
}

/// Where one stream stands.
struct State {
    parts: Parts,
    /// The tag of what was sent last, and when.
    last: Option<(String, Instant)>,
    due: Instant,
}

/// The body of the answer. It makes a picture only when the listener has taken the one before, so a
/// slow one gets fewer, not older ones.
pub(super) fn body(parts: Parts) -> Body {
    let state = State { parts, last: None, due: Instant::now() };
    Body::from_stream(stream::unfold(state, |mut state| async move {
        let part = state.next().await?;
        Some((Ok::<_, std::convert::Infallible>(part), state))
    }))
}

impl State {
    /// The next part; `None` at the end of the login, of the server, or of the screen.
    async fn next(&mut self) -> Option<Bytes> {
        let (login, stopping) = (self.parts.login.clone(), self.parts.stopping.clone());
        let first = self.last.is_none();
        let picture = tokio::select! {
            biased;
            () = login.cancelled() => return None,
            () = stopping.cancelled() => return None,
            picture = self.changed() => picture.ok()?,
        };
        let begin = if first { format!("--{BOUNDARY}\r\n") } else { String::new() };
        let head = format!("{begin}Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", picture.len());
        // The boundary after a picture is what makes a browser show it.
        let tail = format!("\r\n--{BOUNDARY}\r\n");
        Some([head.as_bytes(), &picture, tail.as_bytes()].concat().into())
    }

    /// The next picture that differs from the last one, or that one again where it stands still.
    async fn changed(&mut self) -> Result<Bytes> {
        loop {
            tokio::time::sleep_until(self.due.into()).await;
            let now = Instant::now();
            self.due = now.max(self.due + self.parts.interval);
            let Parts { pictures, screen, width, .. } = &self.parts;
            let tag = pictures.tag(screen, *width).await?;
            let stale = self
                .last
                .as_ref()
                .is_none_or(|(last, since)| *last != tag || now.duration_since(*since) >= ALIVE);
            if stale {
                match pictures.newest(screen, *width).await {
                    Ok(picture) => {
                        self.last = Some((picture.tag, now));
                        return Ok(picture.bytes);
                    }
                    // Too many at once: this listener's next picture comes a little later.
                    Err(problem) if problem.kind == Kind::Unavailable => {}
                    Err(problem) => return Err(problem),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_has_bounds() {
        assert_eq!(interval(5.0), Duration::from_millis(200));
        assert_eq!(interval(1000.0), interval(FASTEST));
        assert_eq!(interval(-1.0), Duration::from_secs(5));
        assert_eq!(interval(f64::NAN), Duration::from_secs(5));
    }
}
