//! The newest fitted frame per camera and size, with its age; latest wins.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::base::Counter;
use crate::media::{CameraId, FitSpec, FittedFrame, SourceRef};

/// The newest picture of one camera for one spec.
#[derive(Debug, Default)]
pub struct Slot {
    latest: Mutex<Option<SlotContent>>,
    version: AtomicU64,
}

#[derive(Debug)]
struct SlotContent {
    frame: FittedFrame,
    generation: u64,
}

impl Slot {
    /// The newest picture and the version it came with; `None` while there is none. The pixels
    /// are shared, not copied.
    pub fn latest(&self) -> Option<(u64, FittedFrame)> {
        let latest = self.lock();
        latest.as_ref().map(|kept| (self.version(), kept.frame.clone()))
    }

    /// Raised by every change: 0 before the first picture.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Option<SlotContent>> {
        self.latest.lock()
    }

    fn replace(&self, kept: Option<SlotContent>) -> Option<SlotContent> {
        let mut latest = self.lock();
        let old = std::mem::replace(&mut *latest, kept);
        self.version.fetch_add(1, Ordering::Release);
        old
    }
}

#[derive(Debug, Default)]
struct Camera {
    /// Frames of no other generation are taken; `None`: of no generation at all.
    generation: Option<u64>,
    /// The generation that takes over with its first picture that is not older than what is shown.
    next: Option<u64>,
    slots: HashMap<FitSpec, Arc<Slot>>,
}

impl Camera {
    fn shows_later_than(&self, fitted: &FittedFrame) -> bool {
        let arrival = fitted.frame.meta().arrival;
        self.slots.values().any(|s| s.lock().as_ref().is_some_and(|k| k.frame.frame.meta().arrival > arrival))
    }
}

/// All fitted pictures of this process.
///
/// Guards invariant 5: a frame of another generation than its camera's current one is refused,
/// under the same lock that clears pixels, so that a late frame cannot come back after a clear.
#[derive(Debug)]
pub struct FrameStore {
    cameras: Mutex<HashMap<CameraId, Camera>>,
    budget: u64,
    bytes: AtomicU64,
    over_budget: Counter,
    stale: Counter,
}

impl FrameStore {
    /// A store for at most `byte_budget` bytes of pixels. A picture that does not fit is refused;
    /// the ones that are there stay.
    pub fn new(byte_budget: u64) -> FrameStore {
        FrameStore {
            cameras: Mutex::default(),
            budget: byte_budget,
            bytes: AtomicU64::new(0),
            over_budget: Counter::default(),
            stale: Counter::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CameraId, Camera>> {
        self.cameras.lock()
    }

    /// The slot of a camera and a spec; made where there is none. It stays the same one until
    /// [`FrameStore::retain`] or [`FrameStore::remove`] takes it out.
    pub fn slot(&self, camera: &CameraId, spec: &FitSpec) -> Arc<Slot> {
        self.lock().entry(camera.clone()).or_default().slots.entry(*spec).or_default().clone()
    }

    /// Takes a picture in; false where it is refused: of another generation than the camera's
    /// current, older than the one that is there (same generation), or over the byte budget.
    pub fn put(&self, source: &SourceRef, fitted: FittedFrame) -> bool {
        let mut cameras = self.lock();
        let Some(camera) = cameras.get_mut(&source.camera) else {
            self.stale.add_one();
            return false;
        };
        if camera.next == Some(source.generation) && !camera.shows_later_than(&fitted) {
            camera.generation = camera.next.take();
        }
        if camera.generation != Some(source.generation) {
            self.stale.add_one();
            return false;
        }
        let slot = camera.slots.entry(fitted.spec).or_default();
        let (mut freed, mut newer) = (0, false);
        if let Some(kept) = slot.lock().as_ref() {
            freed = size(&kept.frame);
            newer = kept.generation == source.generation
                && kept.frame.frame.meta().sequence > fitted.frame.meta().sequence;
        }
        if newer {
            self.stale.add_one();
            return false;
        }
        let total = self.bytes.load(Ordering::Relaxed) - freed + size(&fitted);
        if total > self.budget {
            self.over_budget.add_one();
            return false;
        }
        self.bytes.store(total, Ordering::Relaxed);
        let old = slot.replace(Some(SlotContent { frame: fitted, generation: source.generation }));
        drop(cameras);
        // Freeing pixels takes longer than all of the above.
        drop(old);
        true
    }

    /// From now on only frames of this generation are taken. The picture that is there stays
    /// until one of them comes, so that a switch of profiles is seamless.
    pub fn set_generation(&self, camera: &CameraId, generation: u64) {
        let mut cameras = self.lock();
        let camera = cameras.entry(camera.clone()).or_default();
        (camera.generation, camera.next) = (Some(generation), None);
    }

    /// Another stream of the camera is about to take over: pictures of the current generation are
    /// taken until the first of this one comes that did not arrive before them, so that a switch
    /// neither shows a gap nor goes back in time. `None`: none is, after all.
    pub fn set_next_generation(&self, camera: &CameraId, generation: Option<u64>) {
        if let Some(camera) = self.lock().get_mut(camera) {
            camera.next = generation;
        }
    }

    /// Whose pictures of a camera are taken; `None`: nobody's.
    pub fn generation(&self, camera: &CameraId) -> Option<u64> {
        self.lock().get(camera)?.generation
    }

    /// Takes a camera's pixels away, now; its slots stay and are empty. Raise the generation
    /// first where its source still runs.
    pub fn clear(&self, camera: &CameraId) {
        let cameras = self.lock();
        let slots = cameras.get(camera).map(|c| c.slots.values().cloned().collect::<Vec<_>>());
        let cleared = self.empty(&slots.unwrap_or_default());
        drop(cameras);
        drop(cleared);
    }

    /// Forgets a camera: its pixels are gone, also from slots that others still hold, and its
    /// frames are refused until a generation is set again.
    pub fn remove(&self, camera: &CameraId) {
        let mut cameras = self.lock();
        let slots: Vec<_> = cameras.remove(camera).into_iter().flat_map(|c| c.slots.into_values()).collect();
        let cleared = self.empty(&slots);
        drop(cameras);
        drop(cleared);
    }

    /// Keeps only the slots that `wanted` says; the others lose their pixels.
    pub fn retain(&self, mut wanted: impl FnMut(&CameraId, &FitSpec) -> bool) {
        let mut cameras = self.lock();
        let mut gone = Vec::new();
        for (id, camera) in cameras.iter_mut() {
            camera.slots.retain(|spec, slot| {
                let keep = wanted(id, spec);
                if !keep {
                    gone.push(slot.clone());
                }
                keep
            });
        }
        let cleared = self.empty(&gone);
        drop(cameras);
        drop(cleared);
    }

    /// Empties slots, with the lock held; returns what was in them, to be freed without it.
    fn empty(&self, slots: &[Arc<Slot>]) -> Vec<SlotContent> {
        let kept: Vec<SlotContent> = slots.iter().filter_map(|slot| slot.replace(None)).collect();
        let freed: u64 = kept.iter().map(|k| size(&k.frame)).sum();
        self.bytes.fetch_sub(freed, Ordering::Relaxed);
        kept
    }

    /// Bytes of pixels in it.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Pictures refused because the budget was full.
    pub fn refused_over_budget(&self) -> u64 {
        self.over_budget.get()
    }

    /// Pictures refused because they were of another generation or older than what is there.
    pub fn refused_stale(&self) -> u64 {
        self.stale.get()
    }
}

fn size(fitted: &FittedFrame) -> u64 {
    fitted.frame.packed_len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Moment;
    use crate::media::{FitMode, Frame, FrameMeta};

    const SPEC: FitSpec = FitSpec::whole(4, 4, FitMode::Contain);

    fn source(generation: u64) -> SourceRef {
        SourceRef { camera: "a".into(), profile: "main".into(), generation }
    }

    fn picture(luma: u8, sequence: u64) -> FittedFrame {
        let meta = FrameMeta { sequence, ..FrameMeta::default() };
        let frame = Frame::filled(4, 4, [luma, 128, 128], meta).expect("a valid size");
        FittedFrame { frame, x: 0, y: 0, spec: SPEC }
    }

    fn luma(slot: &Slot) -> Option<u8> {
        slot.latest().map(|(_, f)| f.frame.planes()[0].data[0])
    }

    #[test]
    fn a_late_frame_of_an_old_generation_never_appears() {
        let store = FrameStore::new(1000);
        let slot = store.slot(&"a".into(), &SPEC);
        assert!(!store.put(&source(1), picture(1, 0)), "no generation was set");
        store.set_generation(&"a".into(), 1);
        assert!(store.put(&source(1), picture(1, 0)));
        store.set_generation(&"a".into(), 2);
        assert_eq!(luma(&slot), Some(1), "the old picture stays until the new stream's first");
        store.clear(&"a".into());
        assert!(!store.put(&source(1), picture(1, 5)));
        assert_eq!((luma(&slot), store.bytes()), (None, 0));
        assert!(store.put(&source(2), picture(2, 0)));
        assert_eq!(luma(&slot), Some(2));
        assert_eq!(store.refused_stale(), 2);
    }

    #[test]
    fn another_stream_takes_over_without_a_gap_and_without_going_back() {
        let store = FrameStore::new(1000);
        let slot = store.slot(&"a".into(), &SPEC);
        let at = |luma, sequence, ms| {
            let meta = FrameMeta { sequence, arrival: Moment(ms), ..FrameMeta::default() };
            let frame = Frame::filled(4, 4, [luma, 128, 128], meta).expect("a valid size");
            FittedFrame { frame, x: 0, y: 0, spec: SPEC }
        };
        store.set_generation(&"a".into(), 1);
        store.put(&source(1), at(10, 100, 100));
        store.set_next_generation(&"a".into(), Some(2));
        assert!(store.put(&source(1), at(11, 101, 140)), "the old stream goes on");
        assert!(!store.put(&source(2), at(20, 0, 120)), "it would go back in time");
        assert_eq!((luma(&slot), store.generation(&"a".into())), (Some(11), Some(1)));
        assert!(store.put(&source(2), at(21, 1, 140)), "the same moment, from the new stream");
        assert_eq!((luma(&slot), store.generation(&"a".into())), (Some(21), Some(2)));
        assert!(!store.put(&source(1), at(12, 102, 180)), "the old stream is over");
        store.set_next_generation(&"a".into(), None);
        assert_eq!(store.generation(&"a".into()), Some(2), "too late to call it off");
        store.set_next_generation(&"a".into(), Some(3));
        store.set_next_generation(&"a".into(), None);
        assert!(!store.put(&source(3), at(30, 0, 500)), "it was called off");
    }

    #[test]
    fn the_latest_wins_and_the_version_tells() {
        let store = FrameStore::new(1000);
        store.set_generation(&"a".into(), 1);
        let slot = store.slot(&"a".into(), &SPEC);
        assert_eq!(slot.version(), 0);
        assert!(store.put(&source(1), picture(7, 7)));
        assert!(!store.put(&source(1), picture(6, 6)), "an older picture");
        assert!(store.put(&source(1), picture(8, 7)), "the same one, fitted anew");
        assert_eq!((slot.version(), luma(&slot)), (2, Some(8)));
        assert_eq!(store.bytes(), 24);
    }

    #[test]
    fn pixels_leave_with_the_camera_even_from_slots_in_use() {
        let store = FrameStore::new(1000);
        store.set_generation(&"a".into(), 1);
        let slot = store.slot(&"a".into(), &SPEC);
        assert!(store.put(&source(1), picture(7, 0)));
        store.remove(&"a".into());
        assert_eq!((luma(&slot), store.bytes()), (None, 0));
        assert!(!store.put(&source(1), picture(7, 1)));
    }

    #[test]
    fn retain_drops_what_no_tile_wants() {
        let store = FrameStore::new(1000);
        store.set_generation(&"a".into(), 1);
        store.put(&source(1), picture(7, 0));
        store.retain(|_, spec| *spec == SPEC);
        assert_eq!(store.bytes(), 24);
        store.retain(|_, _| false);
        assert_eq!(store.bytes(), 0);
    }

    #[test]
    fn the_budget_refuses_new_pictures_but_not_replacements() {
        let store = FrameStore::new(30);
        for camera in ["a", "b"] {
            store.set_generation(&camera.into(), 1);
        }
        assert!(store.put(&source(1), picture(1, 0)));
        let other = SourceRef { camera: "b".into(), ..source(1) };
        assert!(!store.put(&other, picture(1, 0)));
        assert!(store.put(&source(1), picture(2, 1)));
        assert_eq!((store.bytes(), store.refused_over_budget()), (24, 1));
    }
}
