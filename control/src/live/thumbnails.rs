//! Cameras as small JPEGs, from their newest key frames. What may not be seen any more is not served
//! from here either.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use vitrail_engine::media::Frame;
use vitrail_engine::wall::StillWish;

use super::pictures::{Jpeg, jpeg};
use super::screens::Screens;
use super::work_queue::WorkQueue;
use crate::base::{Problem, Result, blocking, hex};
use crate::rights::Refusal;

/// How long a thumbnail is good enough; key frames come every second or two.
const FRESH: Duration = Duration::from_secs(1);
/// The largest: a thumbnail is no way to watch.
const WIDEST: u32 = 640;
/// Widths are rounded up to a multiple of this.
const STEP: u32 = 80;
/// Thumbnails kept: a page of cameras, in two sizes.
const KEPT: usize = 512;

/// One camera at one width, upright or as it is sent, since then.
struct Kept {
    since: Instant,
    cell: Arc<OnceCell<Option<Jpeg>>>,
}

#[derive(Default)]
struct Cache {
    kept: HashMap<(String, StillWish), Kept>,
    /// Raised when a camera is forgotten: what was begun before is not given out.
    forgotten: HashMap<String, u64>,
}

/// The newest thumbnails of all cameras.
pub struct Thumbnails {
    screens: Arc<dyn Screens>,
    queue: WorkQueue,
    cache: Mutex<Cache>,
}

impl Thumbnails {
    /// Thumbnails of these cameras.
    pub(super) fn new(screens: Arc<dyn Screens>) -> Thumbnails {
        Thumbnails { screens, queue: WorkQueue::new(), cache: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock()
    }

    /// The newest key frame of a camera, at most as wide as wished (and 640 pixels). `may_see` is asked
    /// before, and again before the answer: also of what is kept.
    ///
    /// # Errors
    /// Refused, with the policy's word as its code; not found where the camera gives no picture;
    /// unavailable where too many ask.
    pub async fn newest(
        self: &Arc<Self>,
        camera: &str,
        wish: StillWish,
        may_see: impl Fn(&str) -> Result<(), Refusal> + Clone + Send + 'static,
    ) -> Result<Jpeg> {
        let width = wish.width.clamp(STEP, WIDEST).next_multiple_of(STEP);
        let wish = StillWish { width, ..wish };
        self.permit(camera, may_see.clone()).await?;
        let (cell, round) = self.cell(camera, wish);
        let (thumbnails, of) = (self.clone(), camera.to_owned());
        let make = || async {
            self.queue
                .run(move || thumbnails.screens.still(&of, wish)?.map(|frame| encode(&frame)).transpose())
                .await
        };
        let made = cell.get_or_try_init(make).await.cloned();
        if made.is_err() || self.round(camera) != round {
            self.drop_kept(camera);
        }
        self.permit(camera, may_see).await?;
        if self.round(camera) != round {
            return Err(none(camera));
        }
        made?.ok_or_else(|| none(camera))
    }

    /// Forgets what is kept of a camera, and what is being made.
    pub fn forget(&self, camera: &str) {
        let mut cache = self.lock();
        *cache.forgotten.entry(camera.to_owned()).or_default() += 1;
        cache.kept.retain(|(of, _), _| of != camera);
    }

    async fn permit(
        &self,
        camera: &str,
        may_see: impl FnOnce(&str) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<()> {
        let of = camera.to_owned();
        blocking(move || Ok(may_see(&of)?)).await
    }

    fn round(&self, camera: &str) -> u64 {
        self.lock().forgotten.get(camera).copied().unwrap_or_default()
    }

    fn drop_kept(&self, camera: &str) {
        self.lock().kept.retain(|(of, _), _| of != camera);
    }

    fn cell(&self, camera: &str, wish: StillWish) -> (Arc<OnceCell<Option<Jpeg>>>, u64) {
        let now = Instant::now();
        let mut cache = self.lock();
        if cache.kept.len() >= KEPT {
            cache.kept.retain(|_, kept| now.saturating_duration_since(kept.since) < FRESH);
        }
        let round = cache.forgotten.get(camera).copied().unwrap_or_default();
        let full = cache.kept.len() >= KEPT;
        let key = (camera.to_owned(), wish);
        let fresh = |kept: &&Kept| now.saturating_duration_since(kept.since) < FRESH;
        if let Some(kept) = cache.kept.get(&key).filter(fresh) {
            return (kept.cell.clone(), round);
        }
        let cell = Arc::new(OnceCell::new());
        if !full {
            cache.kept.insert(key, Kept { since: now, cell: cell.clone() });
        }
        (cell, round)
    }
}

/// The tag is of the bytes: the same key frame gives the same JPEG.
fn encode(frame: &Frame) -> Result<Jpeg> {
    let bytes: Bytes = jpeg(frame)?;
    let tag = hex(&Sha256::digest(&bytes)[..8]);
    Ok(Jpeg { bytes, tag })
}

fn none(camera: &str) -> Problem {
    Problem::not_found(format!("picture of camera {camera}"))
}
