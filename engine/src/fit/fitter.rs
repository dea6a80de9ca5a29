//! Fits the frames of one camera, on the worker that decoded them, and puts them into the store.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::change::ChangeDetector;
use super::{Scratch, fit};
use crate::base::cpu;
use crate::base::{Error, ErrorKind, Moment, SharedClock};
use crate::decode::FrameConsumer;
use crate::media::{FitSpec, Frame, Mask, Orientation, SourceRef};
use crate::store::FrameStore;

/// What is wanted of one camera.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// One for each size and part that a visible tile shows.
    pub specs: Vec<FitSpec>,
    /// Parts that must never be seen.
    pub masks: Vec<Mask>,
    /// How its pictures are turned after what they ask for themselves.
    pub turn: Orientation,
}

/// The targets of one camera, which the wall changes while the camera runs. It also keeps the
/// newest decoded frame while anything is wanted of it, so that a new layout does not have to wait
/// for the next one.
#[derive(Debug, Default)]
pub struct SharedTargets {
    targets: Mutex<Arc<Targets>>,
    /// Held while a frame is fitted and put, by whoever does it: so that a picture with old
    /// masks never overwrites one with new ones.
    newest: Mutex<Newest>,
}

#[derive(Debug, Default)]
struct Newest {
    frame: Option<(SourceRef, Frame)>,
    scratch: Scratch,
}

impl SharedTargets {
    /// Nothing is wanted yet.
    pub fn new() -> Arc<SharedTargets> {
        Arc::default()
    }

    /// What is wanted now.
    pub fn get(&self) -> Arc<Targets> {
        self.targets.lock().clone()
    }

    /// Wants something else from the next frame on. Follow it with [`SharedTargets::refit`] so
    /// that it holds for the newest frame too: for a new mask, it holds when that returns.
    /// Returns false where nothing changed.
    pub fn set(&self, targets: Targets) -> bool {
        let mut current = self.targets.lock();
        let changed = **current != targets;
        *current = Arc::new(targets);
        changed
    }

    /// Fits the newest frame to what is wanted now and puts it into the store: on the caller's
    /// thread, some tenths of a millisecond a spec, after at most one frame that is being fitted.
    /// Returns how many pictures the store took; 0 where there was no frame yet.
    pub fn refit(&self, store: &FrameStore) -> usize {
        let mut newest = self.newest();
        let targets = self.get();
        if targets.specs.is_empty() {
            newest.frame = None;
        }
        newest.put_all(&targets, store)
    }

    /// Forgets the newest frame: the camera may not be seen any more, or has ended.
    pub fn forget(&self) {
        self.newest().frame = None;
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock()
    }

    fn show(&self, source: &SourceRef, frame: &Frame, store: &FrameStore) -> usize {
        let mut newest = self.newest();
        let targets = self.get();
        let before = newest.frame.take();
        newest.frame = (!targets.specs.is_empty()).then(|| (source.clone(), frame.clone()));
        let stored = newest.put_all(&targets, store);
        if stored == 0 && before.as_ref().is_some_and(|(other, _)| other != source) {
            // Of a stream that has not taken over yet, or that was taken over from.
            newest.frame = before;
        }
        stored
    }
}

impl Newest {
    fn put_all(&mut self, targets: &Targets, store: &FrameStore) -> usize {
        let Newest { frame, scratch } = self;
        let Some((source, frame)) = frame else { return 0 };
        let frame = &frame.turned(targets.turn);
        let fitted = targets.specs.iter().map(|spec| fit(frame, spec, &targets.masks, scratch));
        fitted.filter(|fitted| store.put(source, fitted.clone())).count()
    }
}

/// How the fitting of one camera stands; the wall reads it.
#[derive(Debug, Default)]
pub struct FitStatus(Mutex<FitSnapshot>);

/// A snapshot of [`FitStatus`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FitSnapshot {
    /// Frames fitted (or looked at, where nothing was wanted).
    pub frames: u64,
    /// Pictures that the store took.
    pub stored: u64,
    /// When the newest frame came out of the decoder.
    pub last_frame: Option<Moment>,
    /// When the store took one last, fitted.
    pub last_stored: Option<Moment>,
    /// When the picture last differed from the one before: older than `last_frame` by a while, it
    /// is frozen.
    pub last_change: Option<Moment>,
    /// CPU time that fitting took, in nanoseconds.
    pub fit_nanos: u64,
    /// Why nothing can be shown; the next frame clears it.
    pub failure: Option<(ErrorKind, String)>,
}

impl FitStatus {
    /// How it stands now.
    pub fn snapshot(&self) -> FitSnapshot {
        self.0.lock().clone()
    }

    /// When the store took a picture last.
    pub fn last_stored(&self) -> Option<Moment> {
        self.0.lock().last_stored
    }

    fn update(&self, change: impl FnOnce(&mut FitSnapshot)) {
        change(&mut self.0.lock());
    }
}

/// Takes one camera's frames and puts them, fitted and masked, into the store.
pub struct Fitter {
    source: SourceRef,
    targets: Arc<SharedTargets>,
    store: Arc<FrameStore>,
    clock: SharedClock,
    status: Arc<FitStatus>,
    detector: ChangeDetector,
}

impl Fitter {
    /// A fitter for one life of a camera.
    pub fn new(
        source: SourceRef,
        targets: Arc<SharedTargets>,
        store: Arc<FrameStore>,
        clock: SharedClock,
        status: Arc<FitStatus>,
    ) -> Fitter {
        Fitter { source, targets, store, clock, status, detector: ChangeDetector::default() }
    }
}

impl FrameConsumer for Fitter {
    fn frame(&mut self, frame: &Frame) {
        let (begun, before) = (self.clock.now(), cpu::thread_time());
        let stored = self.targets.show(&self.source, frame, &self.store);
        let shown = self.clock.now();
        let changed = self.detector.changed(frame);
        let taken = cpu::thread_time().saturating_sub(before);
        self.status.update(|status| {
            status.frames += 1;
            status.stored += stored as u64;
            status.last_frame = Some(begun);
            if stored > 0 {
                status.last_stored = Some(shown);
            }
            if changed {
                status.last_change = Some(begun);
            }
            status.fit_nanos += u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
            status.failure = None;
        });
    }

    fn failed(&mut self, error: &Error) {
        self.status.update(|status| status.failure = Some((error.kind(), error.message().to_owned())));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::{Clock, SimClock};
    use crate::media::{FitMode, FrameMeta, Region};

    struct Set {
        clock: Arc<SimClock>,
        targets: Arc<SharedTargets>,
        store: Arc<FrameStore>,
        status: Arc<FitStatus>,
        fitter: Fitter,
    }

    fn set() -> Set {
        let clock = SimClock::new();
        let (targets, status) = (SharedTargets::new(), Arc::new(FitStatus::default()));
        let store = Arc::new(FrameStore::new(1 << 20));
        store.set_generation(&"a".into(), 1);
        let source = SourceRef { camera: "a".into(), profile: "main".into(), generation: 1 };
        let fitter = Fitter::new(source, targets.clone(), store.clone(), clock.clone(), status.clone());
        Set { clock, targets, store, status, fitter }
    }

    fn frame(luma: u8, sequence: u64) -> Frame {
        let meta = FrameMeta { sequence, ..FrameMeta::default() };
        Frame::filled(64, 48, [luma, 128, 128], meta).expect("a valid size")
    }

    fn wanted(specs: &[FitSpec]) -> Targets {
        Targets { specs: specs.to_vec(), ..Targets::default() }
    }

    const SMALL: FitSpec = FitSpec::whole(16, 12, FitMode::Contain);
    const LARGE: FitSpec = FitSpec::whole(32, 24, FitMode::Contain);

    #[test]
    fn every_wanted_size_is_stored() {
        let mut set = set();
        set.targets.set(wanted(&[SMALL, LARGE]));
        set.fitter.frame(&frame(90, 0));
        for spec in [SMALL, LARGE] {
            let (_, fitted) = set.store.slot(&"a".into(), &spec).latest().expect("a picture");
            assert_eq!((fitted.frame.width(), fitted.frame.planes()[0].data[0]), (spec.width, 90));
        }
        let status = set.status.snapshot();
        assert_eq!((status.frames, status.stored, status.last_stored), (1, 2, Some(set.clock.now())));
    }

    #[test]
    fn a_new_layout_does_not_wait_for_the_next_frame() {
        let mut set = set();
        set.targets.set(wanted(&[SMALL]));
        set.fitter.frame(&frame(90, 5));
        set.targets.set(wanted(&[LARGE]));
        assert!(set.store.slot(&"a".into(), &LARGE).latest().is_none());
        assert_eq!(set.targets.refit(&set.store), 1);
        assert!(set.store.slot(&"a".into(), &LARGE).latest().is_some());
    }

    #[test]
    fn a_new_mask_holds_for_the_picture_that_is_there() {
        let mut set = set();
        set.targets.set(wanted(&[SMALL]));
        set.fitter.frame(&frame(90, 0));
        set.targets.set(Targets {
            specs: vec![SMALL],
            masks: vec![Mask(Region::WHOLE)],
            ..Targets::default()
        });
        set.targets.refit(&set.store);
        let (_, fitted) = set.store.slot(&"a".into(), &SMALL).latest().expect("a picture");
        assert!(fitted.frame.planes()[0].data.iter().all(|v| *v == 16));
    }

    #[test]
    fn what_nobody_wants_is_not_kept() {
        let mut set = set();
        set.targets.set(wanted(&[SMALL]));
        set.fitter.frame(&frame(90, 0));
        set.targets.set(Targets::default());
        set.targets.refit(&set.store);
        set.targets.set(wanted(&[SMALL]));
        assert_eq!(set.targets.refit(&set.store), 0);
        set.fitter.frame(&frame(90, 1));
        set.targets.forget();
        assert_eq!(set.targets.refit(&set.store), 0);
    }

    #[test]
    fn a_frozen_picture_is_told_from_a_moving_one() {
        let mut set = set();
        for n in 0..10 {
            set.clock.advance(Duration::from_secs(1));
            set.fitter.frame(&frame(if n < 4 { 60 + 10 * n } else { 100 }, u64::from(n)));
        }
        let status = set.status.snapshot();
        assert_eq!(
            (status.last_frame, status.last_stored),
            (Some(set.clock.now()), None),
            "nothing is wanted"
        );
        assert_eq!(status.last_change, Some(Moment(5_000_000_000)));
    }

    #[test]
    fn a_failure_stays_until_the_next_frame() {
        let mut set = set();
        set.fitter.failed(&Error::new(ErrorKind::Unsupported, "a", "10-bit"));
        assert_eq!(set.status.snapshot().failure, Some((ErrorKind::Unsupported, "10-bit".into())));
        set.fitter.frame(&frame(1, 0));
        assert_eq!(set.status.snapshot().failure, None);
    }
}
