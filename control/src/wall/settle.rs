//! Brings what is on record, what the gate lets through and what the engine shows in line with what is
//! wanted and allowed: record first, then pixels; where it ends, pixels first, then record.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::json;
use vitrail_engine::config::{CameraSpec, WallSpec};
use vitrail_engine::media::CameraId;
use vitrail_engine::scene::{self, Scene};

use super::gate::{Gate, Wanted};
use super::layout::{Layout, Region};
use super::{Conductor, Desk, by_id, saved, seen};
use crate::audit::{Actor, Event};
use crate::base::{Problem, Result};
use crate::rights::{Permit, Refusal, Showing};

/// On what a showing stands: another of any of these is another showing, with a record of its own.
#[derive(Clone, PartialEq)]
pub(super) struct Standing {
    zone: Option<String>,
    incident: String,
    agreement: String,
    basis: String,
}

impl Standing {
    fn of(permit: &Permit, zone: Option<String>) -> Standing {
        let Permit { agreement, incident, basis, .. } = permit.clone();
        Standing { zone, incident, agreement, basis }
    }
}

impl Conductor {
    /// The one place where what is shown changes. With `next`, the layout is replaced.
    ///
    /// # Errors
    /// Where `next` is wrong in itself, or the log cannot be written; then nothing new is shown.
    pub(super) fn settle(
        &self,
        desk: &mut Desk,
        by: &Actor,
        next: Option<Layout>,
        mut events: Vec<Event>,
    ) -> Result<()> {
        let changed = next.is_some();
        let layout = next.unwrap_or_else(|| desk.layout.clone());
        let scene = layout.to_scene(&self.settings.wall.scene.screens)?;
        scene::solve(&scene).map_err(|e| Problem::invalid(e.subject().to_owned(), e.message().to_owned()))?;
        let wanted = wanted(&layout);
        let mut permits: BTreeMap<String, Result<Permit, Refusal>> = BTreeMap::new();
        for camera in wanted.shown.keys() {
            permits.insert(camera.clone(), self.gate.judge(&wanted, camera));
        }
        let allowed: BTreeMap<(String, String), Standing> = layout
            .showings()
            .into_iter()
            .filter_map(|showing| {
                let permit = permits.get(&showing.1)?.as_ref().ok()?;
                let zone = self.gate.seen(&showing.1).and_then(|seen| seen.zone);
                Some((showing, Standing::of(permit, zone)))
            })
            .collect();
        let refused: BTreeSet<(String, String)> = permits
            .iter()
            .filter_map(|(camera, permit)| Some((camera.clone(), permit.as_ref().err()?.code.clone())))
            .collect();
        for (showing, standing) in &desk.showings {
            let why = match (allowed.get(showing), permits.get(&showing.1)) {
                (Some(now), _) if now == standing => continue,
                (Some(_), _) => "goes on on another basis",
                (None, Some(Err(refusal))) => refusal.code.as_str(),
                (None, _) => "taken from the screen",
            };
            events.push(ended(showing, standing, why));
        }
        for (showing, standing) in &allowed {
            if desk.showings.get(showing) != Some(standing) {
                events.push(started(showing, standing, &wanted));
            }
        }
        for (camera, code) in refused.difference(&desk.refused) {
            events.push(refusal(camera, code, &self.gate, &layout));
        }
        let news = !events.is_empty();
        if news || changed {
            let id = self.settings.wall.id.to_string();
            let written = self.db.change(by, |transaction, into| {
                if changed {
                    saved::keep(transaction, &id, &layout)?;
                }
                into.append(&mut events);
                Ok(())
            });
            // What is wrong in itself is no trouble of the log.
            let broken = |problem: &&Problem| problem.code.as_deref() == Some("log");
            if let Some(problem) = written.as_ref().err().filter(broken) {
                if desk.log_trouble.is_none() {
                    tracing::error!("nothing new is shown: {problem}");
                    self.bus.tell("notice", &json!({ "kind": "log", "text": problem.detail }));
                }
                desk.log_trouble = Some(problem.detail.clone());
            }
            if written.is_err() && !changed {
                // What would go on otherwise than its record says does not go on.
                let as_recorded = |(key, standing): &(&(String, String), &Standing)| {
                    allowed.get(*key).is_none_or(|now| now == *standing)
                };
                let (kept, other): (Vec<_>, Vec<_>) = desk.showings.iter().partition(as_recorded);
                let other: BTreeSet<&String> = other.into_iter().map(|((_, camera), _)| camera).collect();
                let kept = kept.into_iter().map(|((_, camera), _)| camera.clone());
                self.gate.keep_on_record(kept.filter(|camera| !other.contains(camera)));
            }
            written?;
            desk.log_trouble = None;
        }
        let on_record: BTreeSet<String> = allowed.keys().map(|(_, camera)| camera.clone()).collect();
        desk.showings = allowed;
        desk.refused = refused;
        desk.layout = layout;
        if news || changed {
            self.gate.set_wanted(wanted, on_record);
        }
        if changed {
            self.show(desk, scene)?;
        }
        if news || changed {
            self.engine(|wall| wall.ask_again(&*self.gate))?;
        }
        Ok(())
    }

    /// Tells the engine what to show; the cameras that are not open yet are opened.
    fn show(&self, desk: &mut Desk, scene: Scene) -> Result<()> {
        let shown: Vec<CameraId> =
            desk.layout.tiles().filter_map(|t| t.camera.as_deref()).map(Into::into).collect();
        let all_open =
            shown.iter().all(|id| desk.open.contains(id) || !desk.cameras.contains_key(id.as_str()));
        let scene = without_unknown(scene, &desk.cameras);
        if all_open {
            return Ok(self.engine(|wall| wall.apply(&scene))??);
        }
        self.reload(desk, scene)
    }

    fn reload(&self, desk: &mut Desk, scene: Scene) -> Result<()> {
        let spec = spec(&self.settings.wall, scene, &desk.cameras, &desk.layout);
        let open = spec.cameras.iter().map(|camera| camera.id.clone()).collect();
        let done = self.engine(|wall| wall.reload(spec, &*self.gate))??;
        if let Some(audience) = self.audience.get() {
            done.changed.iter().chain(&done.removed).for_each(|camera| audience.forget(camera.as_str()));
        }
        desk.open = open;
        Ok(())
    }

    /// Follows the registry: cameras that were added, described anew, or removed.
    pub(super) fn follow_cameras(&self) -> Result<()> {
        let epoch = self.gate.epoch();
        let cameras = by_id((self.specs)()?);
        let mut desk = self.desk();
        desk.cameras = cameras;
        let scene = desk.layout.to_scene(&self.settings.wall.scene.screens)?;
        let scene = without_unknown(scene, &desk.cameras);
        // The wall has the new masks before the gate lets anything through again.
        self.reload(&mut desk, scene)?;
        self.gate.set_cameras(epoch, desk.cameras.values().map(|spec| seen(spec)));
        Ok(())
    }

    /// What is shown under an incident now.
    pub(super) fn showings_under(&self, incident: &str) -> Vec<Showing> {
        let desk = self.desk();
        if desk.layout.incident.as_deref() != Some(incident) {
            return Vec::new();
        }
        let tile_of = |screen: &str, camera: &str| {
            let regions = desk.layout.regions.iter().filter(|r| r.screens.iter().any(|s| s == screen));
            regions.flat_map(|r| &r.tiles).find(|t| t.camera.as_deref() == Some(camera)).map(|t| t.id.clone())
        };
        let showing = |(screen, camera): &(String, String)| Showing {
            screen: screen.clone(),
            tile: tile_of(screen, camera),
            camera: camera.clone(),
            zone: self.gate.seen(camera).and_then(|seen| seen.zone),
        };
        desk.showings.keys().map(showing).collect()
    }
}

/// Who wants to see what.
pub(super) fn wanted(layout: &Layout) -> Wanted {
    let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for tile in layout.regions.iter().flat_map(Region::visible) {
        let Some(camera) = &tile.camera else { continue };
        let askers = shown.entry(camera.clone()).or_default();
        let by = tile.by.clone().unwrap_or_else(|| "system".into());
        if !askers.contains(&by) {
            askers.push(by);
        }
    }
    Wanted { incident: layout.incident.clone(), shown }
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

fn started(showing: &(String, String), standing: &Standing, wanted: &Wanted) -> Event {
    let details = json!({ "asked_by": wanted.shown.get(&showing.1) });
    Event { basis: Some(standing.basis.clone()), details, ..about("showing.started", showing, standing) }
}

pub(super) fn ended(showing: &(String, String), standing: &Standing, why: &str) -> Event {
    Event { reason: Some(why.to_owned()), ..about("showing.ended", showing, standing) }
}

fn about(kind: &str, (screen, camera): &(String, String), standing: &Standing) -> Event {
    Event {
        camera: Some(camera.clone()),
        screen: Some(screen.clone()),
        zone: standing.zone.clone(),
        incident: Some(standing.incident.clone()),
        agreement: Some(standing.agreement.clone()),
        ..Event::new(kind)
    }
}

fn refusal(camera: &str, code: &str, gate: &Gate, layout: &Layout) -> Event {
    Event {
        camera: Some(camera.to_owned()),
        zone: gate.seen(camera).and_then(|seen| seen.zone),
        incident: layout.incident.clone(),
        reason: Some(code.to_owned()),
        ..Event::new("showing.refused")
    }
}
