//! Pictures of the wall: its screens as they are encoded, canvases, stills of cameras; and snapshots, which leave
//! the platform. A snapshot is judged for what its picture shows, and is on record before anybody gets it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vitrail_engine::composite::snapshot;
use vitrail_engine::encode::EncodedSink;
use vitrail_engine::media::{CameraId, Frame, ScreenId};
use vitrail_engine::output::Tap;
use vitrail_engine::wall::{StillWish, Wall};

use super::Conductor;
use crate::audit::Event;
use crate::base::{Kind, Problem, Result, hex};
use crate::people::Caller;
use crate::rights::{Action, Asker, CameraFacts, Refusal};

/// How long a snapshot waits for pictures that are made after it was asked for.
const PATIENCE: Duration = Duration::from_secs(2);
/// The widest picture of a camera that is taken, in pixels: that of 8K.
const WIDEST: u32 = 8192;
/// A reason is at most so long, in bytes.
const LONGEST_REASON: usize = 2000;

/// What is taken, and what is in it.
struct Taken<'a> {
    screen: &'a str,
    tile: Option<&'a str>,
    cameras: &'a [String],
    frame: &'a Frame,
}

/// A camera that may not leave, and why.
struct Refused {
    facts: CameraFacts,
    refusal: Refusal,
}

impl Conductor {
    /// Hands every access unit of a screen to `sink` from the next key frame on, until the answer is dropped;
    /// `None` where there is no such screen or the wall has ended.
    pub fn tap(&self, screen: &str, sink: Arc<dyn EncodedSink>) -> Option<Tap> {
        self.with_wall(|wall| wall.tap(&ScreenId::from(screen), sink)).ok().flatten()
    }

    /// The newest canvas of a screen; `None` before its first, or where there is no such screen.
    pub fn canvas(&self, screen: &str) -> Option<Frame> {
        self.with_wall(|wall| wall.canvas(&ScreenId::from(screen))).ok().flatten()
    }

    /// The newest key frame of a camera, masks burnt in; `None` where there is none, or where it may not be
    /// seen. Decodes: milliseconds of one core.
    ///
    /// # Errors
    /// Where it cannot be decoded, or the wall has ended.
    pub fn still(&self, camera: &str, wish: StillWish) -> Result<Option<Frame>> {
        let decode = self.with_wall(|wall| wall.still_later(&CameraId::from(camera), wish))?;
        // Without the wall's lock.
        Ok(decode()?)
    }

    /// A screen as PNG, on record under the wall's incident with `reason`.
    ///
    /// # Errors
    /// Refused where a camera on it may not be exported; NotFound where there is no such screen or no picture
    /// yet; Conflict where it was changed at this moment; Invalid without a reason; Unavailable where it
    /// composes no pictures or the log cannot be written.
    pub fn snapshot_screen(&self, caller: &Caller, screen: &str, reason: &str) -> Result<Vec<u8>> {
        let (before, lit) = self.lit_cameras(screen);
        // What was on the screen before this layout is not on it any more after two more pictures.
        self.await_pictures(screen, 2)?;
        let frame = self.canvas(screen);
        let frame = frame.ok_or_else(|| Problem::not_found(format!("picture of screen {screen}")))?;
        let (after, still_lit) = self.lit_cameras(screen);
        if before != after {
            let detail = "was changed at this moment; do it again";
            return Err(Problem::conflict(format!("screen {screen}"), detail).code("changed"));
        }
        // A tile that was dark before and after shows no picture of its camera.
        let cameras: Vec<String> = lit.union(&still_lit).cloned().collect();
        self.take_out(caller, reason, &Taken { screen, tile: None, cameras: &cameras, frame: &frame })
    }

    /// What one tile shows as PNG, at the size of the camera's newest key frame, on record under the wall's
    /// incident with `reason`.
    ///
    /// # Errors
    /// Refused where the camera may not be exported; NotFound where there is no such tile, or no picture;
    /// Invalid without a reason; Unavailable where the log cannot be written.
    pub fn snapshot_tile(&self, caller: &Caller, tile: &str, reason: &str) -> Result<Vec<u8>> {
        let layout = self.layout();
        let found = layout
            .tiles()
            .find(|t| t.id == tile)
            .ok_or_else(|| Problem::not_found(format!("tile {tile}")))?;
        let camera =
            found.camera.clone().ok_or_else(|| Problem::not_found(format!("camera in tile {tile}")))?;
        let region = layout.regions.iter().find(|r| r.tiles.iter().any(|t| t.id == tile));
        let screen = region.and_then(|r| r.screens.first()).cloned().unwrap_or_default();
        let frame = self.still(&camera, StillWish::from(WIDEST))?;
        let frame = frame.ok_or_else(|| Problem::not_found(format!("picture of camera {camera}")))?;
        let cameras = [camera];
        self.take_out(
            caller,
            reason,
            &Taken { screen: &screen, tile: Some(tile), cameras: &cameras, frame: &frame },
        )
    }

    /// Waits until a screen has composed so many more pictures.
    fn await_pictures(&self, screen: &str, more: u64) -> Result<()> {
        let composed = || -> Result<u64> {
            let reports = self.with_wall(Wall::screen_reports)?;
            let report = reports.into_iter().find(|report| report.id == screen);
            report.map(|report| report.frames).ok_or_else(|| Problem::not_found(format!("screen {screen}")))
        };
        let (wanted, end) = (composed()? + more, Instant::now() + PATIENCE);
        while composed()? < wanted {
            if Instant::now() > end {
                let detail = "composes no pictures at the moment; try again";
                return Err(Problem::new(Kind::Unavailable, format!("screen {screen}"), detail)
                    .code("no-picture")
                    .retry_after(2));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The version of the layout, and the cameras of a screen that are not dark.
    fn lit_cameras(&self, screen: &str) -> (u64, BTreeSet<String>) {
        let layout = self.layout();
        let on_it = layout.showings().into_iter().filter(|on| on.screen == screen).map(|on| on.camera);
        let lit = on_it.filter(|camera| self.gate.permit(camera).is_some()).collect();
        (layout.version, lit)
    }

    /// A picture leaves the platform: every camera in it must be granted for export, and it goes on record
    /// with its sum before anybody gets it.
    fn take_out(&self, caller: &Caller, reason: &str, taken: &Taken<'_>) -> Result<Vec<u8>> {
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > LONGEST_REASON {
            return Err(Problem::invalid("reason", "say in up to 2000 bytes why the picture is taken"));
        }
        let incident = self.layout().incident;
        let mut events = self.judge_taken(caller, incident.as_deref(), reason, taken).or_else(|refused| {
            self.put_on_record(caller, refused.iter().map(|r| not_taken(r, incident.as_deref(), taken)))?;
            Err(refusal_of(&refused))
        })?;
        let png = snapshot::to_png(taken.frame)?;
        let sum = hex(&Sha256::digest(&png));
        if events.is_empty() {
            events.push(Event {
                screen: Some(taken.screen.to_owned()),
                reason: Some(reason.to_owned()),
                ..Event::new("snapshot.taken")
            });
        }
        let details = json!({ "sha256": sum, "width": taken.frame.width(), "height": taken.frame.height() });
        let with_sum = |event: Event| Event { details: details.clone(), ..event };
        self.put_on_record(caller, events.into_iter().map(with_sum))?;
        Ok(png)
    }

    /// The records of a picture whose cameras may all leave; else those that may not.
    fn judge_taken(
        &self,
        caller: &Caller,
        incident: Option<&str>,
        reason: &str,
        taken: &Taken<'_>,
    ) -> Result<Vec<Event>, Vec<Refused>> {
        let asker = Asker::of(caller);
        let (mut events, mut refused) = (Vec::new(), Vec::new());
        for camera in taken.cameras {
            let facts = self.gate.facts(camera).unwrap_or_else(|| CameraFacts::unknown(camera));
            match self.policy.decide(&asker, incident, &facts, Action::Export) {
                Ok(permit) => events.push(Event {
                    camera: Some(camera.clone()),
                    screen: Some(taken.screen.to_owned()),
                    zone: facts.zone,
                    incident: Some(permit.incident),
                    agreement: Some(permit.agreement),
                    basis: Some(permit.basis),
                    reason: Some(reason.to_owned()),
                    subject: taken.tile.map(str::to_owned),
                    ..Event::new("snapshot.taken")
                }),
                Err(refusal) => refused.push(Refused { facts, refusal }),
            }
        }
        if refused.is_empty() { Ok(events) } else { Err(refused) }
    }

    fn put_on_record(&self, caller: &Caller, events: impl Iterator<Item = Event>) -> Result<()> {
        self.db.change(&caller.actor, |_, into| {
            into.extend(events);
            Ok(())
        })
    }
}

fn not_taken(refused: &Refused, incident: Option<&str>, taken: &Taken<'_>) -> Event {
    Event {
        camera: Some(refused.facts.camera.clone()),
        screen: Some(taken.screen.to_owned()),
        zone: refused.facts.zone.clone(),
        incident: incident.map(str::to_owned),
        reason: Some(refused.refusal.code.clone()),
        subject: taken.tile.map(str::to_owned),
        ..Event::new("snapshot.refused")
    }
}

/// The first refusal in words, and all of them for programs.
fn refusal_of(refused: &[Refused]) -> Problem {
    let (text, code) =
        refused.first().map(|r| (r.refusal.text.clone(), r.refusal.code.clone())).unwrap_or_default();
    let all: Vec<Value> = refused
        .iter()
        .map(|r| json!({ "camera": r.facts.camera, "zone": r.facts.zone, "refusal": r.refusal }))
        .collect();
    Problem::refused("snapshot", text).code(code).more(json!({ "refused": all }))
}
