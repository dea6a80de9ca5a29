//! Where live pictures come from: the wall, behind the few calls that are needed of it.

use std::sync::Arc;

use vitrail_engine::encode::EncodedSink;
use vitrail_engine::media::{CameraId, Frame, ScreenId};
use vitrail_engine::output::Tap;
use vitrail_engine::wall::{StillWish, Wall};

use crate::base::Result;

/// The screens and cameras of a running wall. Calls may wait for a lock or decode, so they are made off
/// the threads that answer requests.
pub trait Screens: Send + Sync {
    /// Hands every access unit of a screen to `sink` from the next key frame on, until the answer is
    /// dropped; `None` where there is no such screen.
    fn tap(&self, screen: &str, sink: Arc<dyn EncodedSink>) -> Option<Tap>;

    /// The newest canvas of a screen; `None` before its first, or where there is no such screen.
    fn canvas(&self, screen: &str) -> Option<Frame>;

    /// The newest key frame of a camera, masks burnt in; `None` where
    /// there is none, or where it may not be seen. Decodes: milliseconds of one core.
    ///
    /// # Errors
    /// Where it cannot be decoded.
    fn still(&self, camera: &str, wish: StillWish) -> Result<Option<Frame>>;
}

impl Screens for Wall {
    fn tap(&self, screen: &str, sink: Arc<dyn EncodedSink>) -> Option<Tap> {
        Wall::tap(self, &ScreenId::from(screen), sink)
    }

    fn canvas(&self, screen: &str) -> Option<Frame> {
        Wall::canvas(self, &ScreenId::from(screen))
    }

    fn still(&self, camera: &str, wish: StillWish) -> Result<Option<Frame>> {
        Ok(Wall::still(self, &CameraId::from(camera), wish)?)
    }
}
