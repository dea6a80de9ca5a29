//! Brings what is on record, what the gate lets through and what the engine shows in line with what is
//! wanted and allowed: record first, then pixels; where it ends, pixels first, then record.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::json;
use vitrail_engine::config::{CameraSpec, WallSpec};
use vitrail_engine::media::CameraId;
use vitrail_engine::scene::{self, Scene};

use super::gate::{Gate, ShowRequests};
use super::layout::{Layout, OnScreen, Region};
use super::{Conductor, Intent, by_id, facts_of, saved};
use crate::audit::{Actor, Event};
use crate::base::{Problem, Result};
use crate::rights::{Permit, Refusal, Showing};

/// On what a showing stands: on another of any of these it is another showing, with a record of its own.
#[derive(Clone, PartialEq)]
pub(super) struct ShowingBasis {
    zone: Option<String>,
    incident: String,
    agreement: String,
    /// Both in words, with the legal basis.
    words: String,
}

impl ShowingBasis {
    fn of(permit: &Permit, zone: Option<String>) -> ShowingBasis {
        let Permit { agreement, incident, basis, .. } = permit.clone();
        ShowingBasis { zone, incident, agreement, words: basis }
    }
}

/// A camera that may not be shown, and the code of the refusal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RefusedCamera {
    camera: String,
    code: String,
}

/// What the gate says of everything that a layout shows.
struct Judged {
    /// By camera.
    permits: BTreeMap<String, Result<Permit, Refusal>>,
    allowed: BTreeMap<OnScreen, ShowingBasis>,
    refused: BTreeSet<RefusedCamera>,
}

impl Conductor {
    /// The one place where what is shown changes. With `next`, the layout is replaced.
    ///
    /// # Errors
    /// Where `next` is wrong in itself, or the log cannot be written; then nothing new is shown.
    pub(super) fn settle(
        &self,
        intent: &mut Intent,
        by: &Actor,
        next: Option<Layout>,
        mut events: Vec<Event>,
    ) -> Result<()> {
        let changed = next.is_some();
        let layout = next.unwrap_or_else(|| intent.layout.clone());
        let scene = layout.to_scene(&self.settings.wall.scene.screens)?;
        scene::solve(&scene).map_err(|e| Problem::invalid(e.subject().to_owned(), e.message().to_owned()))?;
        let requests = requests_of(&layout);
        let judged = self.judge(&requests, &layout);
        events.extend(self.records_of(intent, &judged, &requests, &layout));
        let news = changed || !events.is_empty();
        if news {
            let written = self.write_down(by, changed.then_some(&layout), events);
            if let Err(problem) = &written {
                self.note_log_trouble(intent, problem);
                if !changed {
                    self.keep_what_is_on_record(intent, &judged.allowed);
                }
            }
            written?;
            intent.log_trouble = None;
        }
        let on_record: BTreeSet<String> = judged.allowed.keys().map(|on| on.camera.clone()).collect();
        intent.showings = judged.allowed;
        intent.refused = judged.refused;
        intent.layout = layout;
        if news {
            self.gate.set_requests(requests, on_record);
        }
        if changed {
            self.show(intent, scene)?;
        }
        if news {
            self.engine(|wall| wall.ask_again(&*self.gate))?;
        }
        Ok(())
    }

    /// Asks the gate of every camera that a layout shows.
    fn judge(&self, requests: &ShowRequests, layout: &Layout) -> Judged {
        let permits: BTreeMap<String, Result<Permit, Refusal>> = requests
            .askers
            .keys()
            .map(|camera| (camera.clone(), self.gate.judge(requests, camera)))
            .collect();
        let allowed = layout.showings().into_iter().filter_map(|on| {
            let permit = permits.get(&on.camera)?.as_ref().ok()?;
            let zone = self.gate.facts(&on.camera).and_then(|facts| facts.zone);
            Some((on, ShowingBasis::of(permit, zone)))
        });
        let refused = permits.iter().filter_map(|(camera, permit)| {
            let code = permit.as_ref().err()?.code.clone();
            Some(RefusedCamera { camera: camera.clone(), code })
        });
        let (allowed, refused) = (allowed.collect(), refused.collect());
        Judged { permits, allowed, refused }
    }

    /// The records of what ends, begins and is refused, from what is on record to what was judged.
    fn records_of(
        &self,
        intent: &Intent,
        judged: &Judged,
        requests: &ShowRequests,
        layout: &Layout,
    ) -> Vec<Event> {
        let Judged { permits, allowed, refused } = judged;
        let mut events = Vec::new();
        for (on, basis) in &intent.showings {
            let why = match (allowed.get(on), permits.get(&on.camera)) {
                (Some(now), _) if now == basis => continue,
                (Some(_), _) => "goes on on another basis",
                (None, Some(Err(refusal))) => refusal.code.as_str(),
                (None, _) => "taken from the screen",
            };
            events.push(ended(on, basis, why));
        }
        for (on, basis) in allowed {
            if intent.showings.get(on) != Some(basis) {
                events.push(started(on, basis, requests));
            }
        }
        events
            .extend(refused.difference(&intent.refused).map(|refused| refusal(refused, &self.gate, layout)));
        events
    }

    /// One transaction: the layout, where it is another one, and its records.
    fn write_down(&self, by: &Actor, layout: Option<&Layout>, events: Vec<Event>) -> Result<()> {
        let id = self.settings.wall.id.to_string();
        self.db.change(by, |transaction, into| {
            if let Some(layout) = layout {
                saved::keep(transaction, &id, layout)?;
            }
            into.extend(events);
            Ok(())
        })
    }

    /// Tells operators, once, that the log cannot be written. What is wrong in itself is no trouble of the log.
    fn note_log_trouble(&self, intent: &mut Intent, problem: &Problem) {
        if problem.code.as_deref() != Some("log") {
            return;
        }
        if intent.log_trouble.is_none() {
            tracing::error!("nothing new is shown: {problem}");
            self.bus.tell("notice", &json!({ "kind": "log", "text": problem.detail }));
        }
        intent.log_trouble = Some(problem.detail.clone());
    }

    /// What would go on otherwise than its record says does not go on.
    fn keep_what_is_on_record(&self, intent: &Intent, allowed: &BTreeMap<OnScreen, ShowingBasis>) {
        let as_recorded =
            |(on, basis): &(&OnScreen, &ShowingBasis)| allowed.get(*on).is_none_or(|now| now == *basis);
        let (kept, other): (Vec<_>, Vec<_>) = intent.showings.iter().partition(as_recorded);
        let other: BTreeSet<&String> = other.into_iter().map(|(on, _)| &on.camera).collect();
        let kept = kept.into_iter().map(|(on, _)| on.camera.clone());
        self.gate.keep_on_record(kept.filter(|camera| !other.contains(camera)));
    }

    /// Tells the engine what to show; the cameras that are not open yet are opened.
    fn show(&self, intent: &mut Intent, scene: Scene) -> Result<()> {
        let shown: Vec<CameraId> =
            intent.layout.tiles().filter_map(|t| t.camera.as_deref()).map(Into::into).collect();
        let all_open =
            shown.iter().all(|id| intent.open.contains(id) || !intent.cameras.contains_key(id.as_str()));
        let scene = without_unknown(scene, &intent.cameras);
        if all_open {
            return Ok(self.engine(|wall| wall.apply(&scene))??);
        }
        self.reload(intent, scene)
    }

    fn reload(&self, intent: &mut Intent, scene: Scene) -> Result<()> {
        let spec = spec(&self.settings.wall, scene, &intent.cameras, &intent.layout);
        let open = spec.cameras.iter().map(|camera| camera.id.clone()).collect();
        let done = self.engine(|wall| wall.reload(spec, &*self.gate))??;
        if let Some(audience) = self.audience.get() {
            done.changed.iter().chain(&done.removed).for_each(|camera| audience.forget(camera.as_str()));
        }
        intent.open = open;
        Ok(())
    }

    /// Follows the registry: cameras that were added, described anew, or removed.
    pub(super) fn follow_cameras(&self) -> Result<()> {
        let epoch = self.gate.epoch();
        let cameras = by_id((self.specs)()?);
        let mut intent = self.intent();
        intent.cameras = cameras;
        let scene = intent.layout.to_scene(&self.settings.wall.scene.screens)?;
        let scene = without_unknown(scene, &intent.cameras);
        // The wall has the new masks before the gate lets anything through again.
        self.reload(&mut intent, scene)?;
        self.gate.set_cameras(epoch, intent.cameras.values().map(|spec| facts_of(spec)));
        Ok(())
    }

    /// What is shown under an incident now.
    pub(super) fn showings_under(&self, incident: &str) -> Vec<Showing> {
        let intent = self.intent();
        if intent.layout.incident.as_deref() != Some(incident) {
            return Vec::new();
        }
        let tile_of = |screen: &str, camera: &str| {
            let regions = intent.layout.regions.iter().filter(|r| r.screens.iter().any(|s| s == screen));
            regions.flat_map(|r| &r.tiles).find(|t| t.camera.as_deref() == Some(camera)).map(|t| t.id.clone())
        };
        let showing = |OnScreen { screen, camera }: &OnScreen| Showing {
            screen: screen.clone(),
            tile: tile_of(screen, camera),
            camera: camera.clone(),
            zone: self.gate.facts(camera).and_then(|facts| facts.zone),
        };
        intent.showings.keys().map(showing).collect()
    }
}

/// Who asks for what in a layout.
pub(super) fn requests_of(layout: &Layout) -> ShowRequests {
    let mut by_camera: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for tile in layout.regions.iter().flat_map(Region::visible) {
        let Some(camera) = &tile.camera else { continue };
        let askers = by_camera.entry(camera.clone()).or_default();
        let by = tile.by.clone().unwrap_or_else(|| "system".into());
        if !askers.contains(&by) {
            askers.push(by);
        }
    }
    ShowRequests { incident: layout.incident.clone(), askers: by_camera }
}

/// The engine's wall with this scene: the cameras that it shows, and those to be kept ready.
pub(super) fn spec(
    wall: &WallSpec,
    scene: Scene,
    cameras: &HashMap<String, Arc<CameraSpec>>,
    layout: &Layout,
) -> WallSpec {
    let shown: BTreeSet<&str> = layout.tiles().filter_map(|t| t.camera.as_deref()).collect();
    let ready = |spec: &CameraSpec| wall.standby.as_ref().is_some_and(|query| query.matches(spec));
    let mut open: Vec<CameraSpec> = cameras
        .values()
        .filter(|spec| shown.contains(spec.id.as_str()) || ready(spec))
        .map(|spec| (**spec).clone())
        .collect();
    open.sort_by(|a, b| a.id.cmp(&b.id));
    let mut spec = wall.clone();
    // Logins come with the registry's addresses.
    (spec.cameras, spec.scene, spec.secrets) = (open, without_unknown(scene, cameras), None);
    spec
}

/// A camera that left the registry leaves its tile empty on the screen; the wish keeps it.
fn without_unknown(mut scene: Scene, cameras: &HashMap<String, Arc<CameraSpec>>) -> Scene {
    for tile in scene.regions.iter_mut().flat_map(|r| &mut r.tiles) {
        tile.camera = tile.camera.take().filter(|id| cameras.contains_key(id.as_str()));
    }
    scene
}

/// Whoever makes a layout hold answers for the cameras that nobody has put there yet.
pub(super) fn answer_for(layout: &mut Layout, by: &Actor) {
    for tile in layout.regions.iter_mut().flat_map(|r| &mut r.tiles).filter(|t| t.camera.is_some()) {
        if tile.by.as_deref().is_none_or(|who| who == "system") {
            tile.by = Some(by.account.clone());
        }
    }
}

/// Regions that come back count as changed now, so that nobody overwrites them unseen.
pub(super) fn touched(regions: &[Region], version: u64) -> Vec<Region> {
    let mut regions = regions.to_vec();
    for region in &mut regions {
        region.changed = version;
        region.tiles.iter_mut().for_each(|tile| tile.changed = version);
    }
    regions
}

fn started(on: &OnScreen, basis: &ShowingBasis, requests: &ShowRequests) -> Event {
    let details = json!({ "asked_by": requests.askers.get(&on.camera) });
    Event { basis: Some(basis.words.clone()), details, ..about("showing.started", on, basis) }
}

pub(super) fn ended(on: &OnScreen, basis: &ShowingBasis, why: &str) -> Event {
    Event { reason: Some(why.to_owned()), ..about("showing.ended", on, basis) }
}

fn about(kind: &str, on: &OnScreen, basis: &ShowingBasis) -> Event {
    Event {
        camera: Some(on.camera.clone()),
        screen: Some(on.screen.clone()),
        zone: basis.zone.clone(),
        incident: Some(basis.incident.clone()),
        agreement: Some(basis.agreement.clone()),
        ..Event::new(kind)
    }
}

fn refusal(refused: &RefusedCamera, gate: &Gate, layout: &Layout) -> Event {
    Event {
        camera: Some(refused.camera.clone()),
        zone: gate.facts(&refused.camera).and_then(|facts| facts.zone),
        incident: layout.incident.clone(),
        reason: Some(refused.code.clone()),
        ..Event::new("showing.refused")
    }
}
