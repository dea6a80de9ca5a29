//! Canvases as JPEG. One encode serves all who ask for the same picture at the same width.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use vitrail_engine::composite::snapshot;
use vitrail_engine::media::Frame;
use vitrail_engine::wall::at_width;

use super::screens::Screens;
use super::work_queue::WorkQueue;
use crate::base::{Problem, Result, blocking};

/// Good enough to read labels, at about a bit a pixel.
pub(super) const QUALITY: u8 = 80;
/// Widths are rounded up to a multiple of this, so that pages of many sizes share encodes.
const STEP: u32 = 16;
/// Pictures kept, one for each screen and width.
const KEPT: usize = 32;

/// A picture of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jpeg {
    /// JPEG.
    pub bytes: Bytes,
    /// The same text for the same picture at the same width; an entity tag without its quotes.
    pub tag: String,
}

/// Which picture, and how wide.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    screen: String,
    width: u32,
    /// When the canvas was composed; one that did not change since keeps it.
    pts: i64,
}

type Cell = Arc<OnceCell<Jpeg>>;

/// The newest pictures of all screens.
pub struct Pictures {
    screens: Arc<dyn Screens>,
    queue: WorkQueue,
    kept: Mutex<Vec<(Key, Cell)>>,
}

impl Pictures {
    /// Pictures of these screens.
    pub(super) fn new(screens: Arc<dyn Screens>) -> Pictures {
        Pictures { screens, queue: WorkQueue::new(), kept: Mutex::default() }
    }

    /// The entity tag of what [`Pictures::newest`] would give now, without making it.
    ///
    /// # Errors
    /// Not found where there is no such screen or it shows nothing yet.
    pub async fn tag(&self, screen: &str, width: u32) -> Result<String> {
        let canvas = self.canvas(screen).await?;
        Ok(tag(&key(screen, &canvas, width)))
    }

    /// The newest canvas, at most `width` pixels wide.
    ///
    /// # Errors
    /// Not found where there is no such screen or it shows nothing yet; unavailable where too many ask.
    pub async fn newest(&self, screen: &str, width: u32) -> Result<Jpeg> {
        let canvas = self.canvas(screen).await?;
        let wanted = key(screen, &canvas, width);
        let (screens, screen) = (self.screens.clone(), screen.to_owned());
        let make = || async move {
            let compress = move || {
                // The newest when its turn comes: what was withdrawn while it waited is not in it.
                let canvas = screens.canvas(&screen).ok_or_else(|| none(&screen))?;
                let key = key(&screen, &canvas, width);
                let bytes = jpeg(&at_width(&canvas, key.width, &[]))?;
                Ok(Jpeg { bytes, tag: tag(&key) })
            };
            self.queue.run(compress).await
        };
        self.cell(wanted).get_or_try_init(make).await.cloned()
    }

    async fn canvas(&self, screen: &str) -> Result<Frame> {
        let (screens, screen) = (self.screens.clone(), screen.to_owned());
        blocking(move || screens.canvas(&screen).ok_or_else(|| none(&screen))).await
    }

    /// Where this picture is or will be; older ones of the same screen and width are forgotten.
    fn cell(&self, key: Key) -> Cell {
        let mut kept = self.kept.lock();
        let place = kept.iter().position(|(k, _)| k.screen == key.screen && k.width == key.width);
        if let Some(place) = place {
            let (old, cell) = kept.remove(place);
            let cell = if old.pts >= key.pts { cell } else { Cell::default() };
            let newest = Key { pts: old.pts.max(key.pts), ..key };
            kept.push((newest, cell.clone()));
            return cell;
        }
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        let cell = Cell::default();
        kept.push((key, cell.clone()));
        cell
    }
}

fn none(screen: &str) -> Problem {
    Problem::not_found(format!("picture of screen {screen}"))
}

fn key(screen: &str, canvas: &Frame, width: u32) -> Key {
    let width = width.min(canvas.width()).max(STEP).next_multiple_of(STEP);
    Key { screen: screen.to_owned(), width, pts: canvas.meta().pts.0 }
}

fn tag(key: &Key) -> String {
    format!("{:x}-{}", key.pts, key.width)
}

/// A frame as JPEG.
pub(super) fn jpeg(frame: &Frame) -> Result<Bytes> {
    Ok(snapshot::to_jpeg(frame, QUALITY)?.into())
}
