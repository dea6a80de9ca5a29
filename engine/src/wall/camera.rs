//! One camera of a live wall: its streams, of which one is shown, and what its tiles say.

mod report;
mod status;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::liveness::LivenessLimits;
use super::pace::Pace;
use super::stream::Stream;
use super::wanted::{CameraNeed, shown_size};
use crate::base::{Counter, Histogram, Moment, SharedClock};
use crate::config::CameraSpec;
use crate::decode::{DecodePool, Effort};
use crate::effort::{Decision, ProfileLoad, StreamLoad, Wish};
use crate::fit::{SharedTargets, Targets};
use crate::ingest::{Ingest, SourceState};
use crate::media::{AccessUnit, CameraId, FitSpec, Mask, SourceRef, VideoParameters};
use crate::source::{Grant, Refusal, SourceConfig};
use crate::store::FrameStore;
use report::Past;

/// The rooms that all cameras share.
pub(super) struct Rooms {
    pub ingest: Ingest,
    pub pool: DecodePool,
    pub store: Arc<FrameStore>,
    pub clock: SharedClock,
}

/// A stream that a camera offers.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub profile: Arc<str>,
    pub config: SourceConfig,
    /// What it brings: as configured or guessed, then as seen.
    pub load: StreamLoad,
}

/// A camera of a wall: shown, or on standby.
pub(super) struct Camera {
    pub id: CameraId,
    spec: Mutex<Arc<CameraSpec>>,
    pub shown: Counter,
    targets: Arc<SharedTargets>,
    store: Arc<FrameStore>,
    limits: LivenessLimits,
    /// The right to see it, or why not.
    right: Mutex<Result<Grant, Refusal>>,
    streams: Mutex<Streams>,
    seen: Mutex<Seen>,
}

/// Its streams, and the switch from one to another.
#[derive(Default)]
struct Streams {
    /// The largest first; at least one.
    offers: Vec<Offer>,
    generation: u64,
    current: Option<Stream>,
    /// Takes over with its first picture.
    next: Option<Stream>,
    /// Over; dropped by whoever may wait for that.
    retired: Vec<Stream>,
    decision: Option<Decision>,
    pace: Pace,
    /// Profiles that failed, and until when they are not asked for again.
    failing: HashMap<Arc<str>, Moment>,
    pinned: bool,
    switches: u64,
    /// What streams that are over had counted.
    past: Past,
}

/// How long another stream may take to its first picture before the switch is called off.
const SWITCH_LIMIT: Duration = Duration::from_secs(15);
/// How long a profile that failed is not asked for again.
const FAILING_FOR: Duration = Duration::from_secs(60);

/// What its tiles showed last, to count changes.
#[derive(Default)]
struct Seen {
    was_live: bool,
    /// Empty while no tile shows it.
    kind: &'static str,
    placards: BTreeMap<String, u64>,
    age_ms: Option<f64>,
    /// How many damaged pictures there were, and when that last grew.
    corrupt: u64,
    damaged: Option<Moment>,
    /// From one different picture of a tile to the next.
    refresh: Histogram,
}

impl Streams {
    fn name_of(&self, index: usize) -> Arc<str> {
        self.offers[index.min(self.offers.len() - 1)].profile.clone()
    }

    fn fail(&mut self, profile: Arc<str>, now: Moment) {
        self.failing.insert(profile, now + FAILING_FOR);
    }

    /// It was opened at an address that the camera does not have any more.
    fn is_outdated(&self, stream: &Stream) -> bool {
        !self.offers.iter().any(|o| o.profile == stream.source.profile && o.config == stream.config)
    }

    fn is_failing(&self, profile: &str, now: Moment) -> bool {
        self.failing.get(profile).is_some_and(|until| *until > now)
    }
}

impl Camera {
    /// A camera whose streams are not open yet: [`Camera::serve`] opens what the governor decides.
    pub fn new(
        rooms: &Rooms,
        spec: &CameraSpec,
        offers: Vec<Offer>,
        limits: LivenessLimits,
        right: Result<Grant, Refusal>,
    ) -> Camera {
        let targets = SharedTargets::new();
        targets.set(targets_of(spec, Vec::new()));
        Camera {
            id: spec.id.clone(),
            spec: Mutex::new(Arc::new(spec.clone())),
            shown: Counter::default(),
            targets,
            store: rooms.store.clone(),
            limits,
            right: Mutex::new(right),
            streams: Mutex::new(Streams { offers, pinned: spec.pinned, ..Streams::default() }),
            seen: Mutex::default(),
        }
    }

    /// Why it may not be seen; `None` while it may.
    pub fn refusal(&self) -> Option<Arc<str>> {
        match &*self.right.lock() {
            Ok(grant) => grant.refusal(),
            Err(Refusal(reason)) => Some(reason.clone()),
        }
    }

    /// Another right from now on, where the one before is over.
    pub fn set_right(&self, right: Result<Grant, Refusal>) {
        *self.right.lock() = right;
    }

    /// Its newest key frame, compressed, and its parameters; `None` where there is none or it may not
    /// be seen.
    pub fn newest_key_unit(&self) -> Option<(AccessUnit, VideoParameters)> {
        if self.refusal().is_some() {
            return None;
        }
        let streams = self.streams();
        let feed = &streams.current.as_ref()?.feed;
        Some((feed.newest_key_unit()?, feed.status().parameters?))
    }

    /// Parts of its picture that are never shown.
    pub fn masks(&self) -> Vec<Mask> {
        masks(&self.spec())
    }

    /// Closes all streams and forgets every pixel.
    pub fn close(&self) {
        let mut streams = self.streams();
        let Streams { current, next, past, .. } = &mut *streams;
        let open: Vec<Stream> = current.take().into_iter().chain(next.take()).collect();
        open.iter().for_each(|stream| past.add(stream));
        streams.decision = None;
        streams.pace = Pace::default();
        let retired = std::mem::take(&mut streams.retired);
        drop(streams);
        self.store.set_next_generation(&self.id, None);
        self.targets.forget();
        self.store.clear(&self.id);
        drop((open, retired));
    }

    /// Describes it anew, with the same addresses; masks and turns hold when this returns.
    pub fn describe_anew(&self, spec: &CameraSpec) {
        *self.spec.lock() = Arc::new(spec.clone());
        self.targets.set(targets_of(spec, self.targets.get().specs.clone()));
        self.targets.refit(&self.store);
    }

    /// What is configured of it.
    pub fn spec(&self) -> Arc<CameraSpec> {
        self.spec.lock().clone()
    }

    /// Lets the next stream take over, where its pictures already do.
    fn promote(&self, streams: &mut Streams, now: Moment, unseen: bool) {
        let Some(next) = &streams.next else { return };
        if self.store.generation(&self.id) != Some(next.source.generation) {
            // With no tile to fill, its first key frame is enough.
            if !unseen || next.feed.newest_key_unit().is_none() {
                return;
            }
            self.store.set_generation(&self.id, next.source.generation);
        }
        let Some(next) = streams.next.take() else { return };
        streams.switches += 1;
        streams.pace.switch(now);
        if let Some(old) = streams.current.replace(next) {
            streams.past.add(&old);
            streams.retired.push(old);
        }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock()
    }

    /// What the governor needs to know of it.
    pub fn wish(&self, now: Moment) -> Wish {
        let specs = self.targets.get().specs.clone();
        let pinned = self.streams().pinned;
        self.wish_for(now, &CameraNeed { specs, pinned })
    }

    /// The same, if it were shown like this.
    pub fn wish_for(&self, now: Moment, wanted: &CameraNeed) -> Wish {
        // What may not be seen costs nothing.
        let specs = if self.refusal().is_some() { &[] } else { wanted.specs.as_slice() };
        let sizes: Vec<(u32, u32)> = specs.iter().map(shown_size).collect();
        let mut streams = self.streams();
        self.promote(&mut streams, now, !self.is_shown());
        self.learn(&mut streams, now);
        let usable: Vec<&Offer> =
            streams.offers.iter().filter(|o| !streams.is_failing(&o.profile, now)).collect();
        let usable = if usable.is_empty() { streams.offers.iter().collect() } else { usable };
        let status = streams.current.as_ref().map(|s| s.feed.status());
        let live = status.as_ref().is_some_and(|s| s.state == SourceState::Live);
        let asked = status.and_then(|s| s.parameters).map(|p| p.orientation).unwrap_or_default();
        let turned = asked.then(self.spec().orientation());
        // Beside its tiles, which are upright.
        let upright = |load: StreamLoad| {
            let (width, height) = turned.size((load.width, load.height));
            StreamLoad { width, height, ..load }
        };
        let profiles = usable
            .into_iter()
            .map(|o| ProfileLoad { name: o.profile.clone(), load: upright(o.load) })
            .collect();
        Wish {
            camera: self.id.clone(),
            sizes,
            pinned: wanted.pinned || self.spec().pinned,
            priority: self.spec().priority,
            live,
            profiles,
        }
    }

    /// True where the governor need not look at it: nothing shows it, and nothing is decoded.
    pub fn rests(&self) -> bool {
        let (shown, refused) = (self.is_shown(), self.refusal().is_some());
        let streams = self.streams();
        if refused {
            return streams.current.is_none() && streams.next.is_none();
        }
        if shown {
            return false;
        }
        let smallest = streams.offers.len() - 1;
        streams.next.is_none()
            && streams.retired.is_empty()
            && streams
                .decision
                .as_ref()
                .is_some_and(|d| d.effort == Effort::Standby && d.profile_name == streams.name_of(smallest))
            && streams
                .current
                .as_ref()
                .is_some_and(|s| s.source.profile == streams.name_of(smallest) && !streams.is_outdated(s))
    }

    /// Learns what the streams bring, and which cannot be had.
    fn learn(&self, streams: &mut Streams, now: Moment) {
        let Some(current) = &streams.current else { return };
        let profile = current.source.profile.clone();
        let away = current.is_away(now) && streams.offers.len() > 1;
        if let Some(offer) = streams.offers.iter().position(|o| o.profile == profile) {
            let load = current.load(now, &streams.offers[offer].load);
            streams.offers[offer].load = load;
        }
        if away && !streams.is_failing(&profile, now) {
            streams.fail(profile, now);
        }
    }

    /// Serves it as decided: opens, switches or closes streams and sets how much is decoded.
    pub fn serve(&self, rooms: &Rooms, decision: &Decision) {
        if self.refusal().is_some() {
            return self.close();
        }
        let now = rooms.clock.now();
        let unseen = !self.is_shown();
        let mut streams = self.streams();
        self.promote(&mut streams, now, unseen);
        self.give_up_on_next(&mut streams, now, &decision.profile_name);
        let Streams { pace, current, .. } = &mut *streams;
        pace.decide(now, decision, || {
            let status = current.as_ref().map(|s| (s.feed.status(), s.decode.status()));
            let (ingest, decode) = status.unwrap_or_default();
            self.known(&ingest, &decode)
        });
        let is_wanted = |s: &Stream| s.source.profile == decision.profile_name;
        let on_current = streams.current.as_ref().is_some_and(|s| is_wanted(s) && !streams.is_outdated(s));
        let on_next = streams.next.as_ref().is_some_and(is_wanted);
        if on_current {
            self.call_off(&mut streams, now);
        } else if !on_next && !streams.is_failing(&decision.profile_name, now) {
            self.call_off(&mut streams, now);
            self.open(rooms, &mut streams, &decision.profile_name);
        }
        let priority = priority(decision, streams.pinned, self.spec().priority);
        for stream in streams.current.iter().chain(&streams.next) {
            stream.decode.set_priority(priority);
            stream.serve(decision);
        }
        streams.decision = Some(decision.clone());
        let retired = std::mem::take(&mut streams.retired);
        drop(streams);
        drop(retired);
    }

    fn open(&self, rooms: &Rooms, streams: &mut Streams, profile: &Arc<str>) {
        let Some(offer) = streams.offers.iter().find(|o| o.profile == *profile).cloned() else { return };
        let grant = match &*self.right.lock() {
            // It may have ended since the decision: a stream that begins with it would never be opened anew.
            Ok(grant) if grant.refusal().is_none() => grant.for_another_stream(),
            _ => return,
        };
        streams.generation += 1;
        let generation = streams.generation;
        let source = SourceRef { camera: self.id.clone(), profile: profile.clone(), generation };
        if streams.current.is_some() {
            rooms.store.set_next_generation(&self.id, Some(generation));
        } else {
            rooms.store.set_generation(&self.id, generation);
        }
        let stream = Stream::open(rooms, source, offer.config, &self.targets, grant);
        let slot = if streams.current.is_some() { &mut streams.next } else { &mut streams.current };
        *slot = Some(stream);
    }

    /// Ends a switch that is under way; one that the store has made already stands, or the pictures
    /// of the old stream would be refused for good.
    fn call_off(&self, streams: &mut Streams, now: Moment) {
        if streams.next.is_none() {
            return;
        }
        self.store.set_next_generation(&self.id, None);
        self.promote(streams, now, false);
        streams.retired.extend(streams.next.take());
    }

    fn give_up_on_next(&self, streams: &mut Streams, now: Moment, wanted: &Arc<str>) {
        let Some(next) = &streams.next else { return };
        let profile = next.source.profile.clone();
        if now.since(next.opened) > SWITCH_LIMIT {
            tracing::warn!(camera = %self.id, "its stream {profile} brings no picture; it stays with the one it has");
            streams.fail(profile, now);
            self.call_off(streams, now);
        } else if profile != *wanted {
            self.call_off(streams, now);
        }
    }

    /// Other addresses from now on: pictures of the old ones stay until the new ones bring theirs.
    /// False where they are the same as before.
    pub fn set_offers(&self, rooms: &Rooms, offers: Vec<Offer>) -> bool {
        let now = rooms.clock.now();
        let mut streams = self.streams();
        let same = |(a, b): (&Offer, &Offer)| a.profile == b.profile && a.config == b.config;
        if streams.offers.len() == offers.len() && streams.offers.iter().zip(&offers).all(same) {
            return false;
        }
        let current = streams.current.as_ref().map(|s| s.source.profile.clone());
        let config = |offers: &[Offer], profile: &Arc<str>| {
            offers.iter().find(|o| o.profile == *profile).map(|o| o.config.clone())
        };
        let goes_on = current.as_ref().is_some_and(|p| config(&streams.offers, p) == config(&offers, p));
        streams.offers = offers;
        streams.failing.clear();
        self.call_off(&mut streams, now);
        if !goes_on {
            let known = current.filter(|p| config(&streams.offers, p).is_some());
            let profile = known.unwrap_or_else(|| streams.name_of(usize::MAX));
            self.open(rooms, &mut streams, &profile);
            if let (Some(next), Some(decision)) = (&streams.next, &streams.decision) {
                next.serve(decision);
            }
        }
        true
    }

    /// CPU time of decoding and fitting since the call before.
    pub fn cpu_since_last(&self) -> Duration {
        let streams = self.streams();
        streams.current.iter().chain(&streams.next).map(Stream::cpu_since_last).sum()
    }

    /// How often its stream jumped because it was late, since the call before.
    pub fn late_since_last(&self) -> u64 {
        self.streams().current.as_ref().map(Stream::late_since_last).unwrap_or_default()
    }

    /// Some tile shows it.
    pub fn is_shown(&self) -> bool {
        !self.targets.get().specs.is_empty()
    }

    /// Fits it to other sizes from now on; its newest picture too, so that a new tile shows it at
    /// once. Returns whether anything changed.
    pub fn set_wanted(&self, specs: Vec<FitSpec>, pinned: bool) -> bool {
        let spec = self.spec();
        let pinned = pinned || spec.pinned;
        let mut streams = self.streams();
        let repinned = std::mem::replace(&mut streams.pinned, pinned) != pinned;
        drop(streams);
        let changed = self.targets.set(targets_of(&spec, specs));
        if !self.is_shown() {
            // What it turns into when it is shown again is no change from what was live back then.
            let mut seen = self.seen.lock();
            (seen.was_live, seen.kind) = (false, "");
        }
        if changed {
            self.targets.refit(&self.store);
        }
        changed || repinned
    }
}

/// What is wanted of a camera that is described so, in these sizes.
fn targets_of(spec: &CameraSpec, specs: Vec<FitSpec>) -> Targets {
    Targets { specs, masks: masks(spec), turn: spec.orientation() }
}

fn masks(spec: &CameraSpec) -> Vec<Mask> {
    spec.masks.iter().copied().map(Mask).collect()
}

/// Whose units are decoded first.
fn priority(decision: &Decision, pinned: bool, camera: u8) -> u8 {
    match (pinned, decision.effort) {
        (true, _) => u8::MAX,
        (false, Effort::Full) => 128 + camera / 4,
        (false, _) => camera / 4,
    }
}
