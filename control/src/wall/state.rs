//! What the walls show now, for the page and for programs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;
use vitrail_engine::config::CameraSpec;
use vitrail_engine::media::CameraId;
use vitrail_engine::scene;
use vitrail_engine::wall::{CameraReport, ScreenReport};

use super::layout::Tile;
use super::level::{Edition, level, px_per_m};
use super::now::{CameraState, Losses, Machine};
use super::tours::TourState;
use super::{Alarm, Conductor};
use crate::base::Result;
use crate::rights::Refusal;

/// A whole wall, now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WallState {
    /// The wall, by the id in its file.
    pub wall: String,
    /// The unit for which it shows.
    pub unit: String,
    /// The incident under which it shows.
    pub incident: Option<String>,
    /// False where the audit log cannot be written: nothing new is shown.
    pub log_ok: bool,
    /// Why it cannot be written.
    pub log_trouble: Option<String>,
    /// Version of the layout.
    pub version: u64,
    /// Each screen.
    pub screens: Vec<ScreenState>,
    /// The machine's budget.
    pub machine: Machine,
    /// Cameras by state.
    pub cameras: Counts,
    /// How each camera stands that is shown or kept ready, by its id. All views say this; of a camera that is
    /// not here, nothing is known.
    pub states: BTreeMap<String, CameraState>,
    /// Alarms that nobody has acknowledged.
    pub alarms: Vec<Alarm>,
    /// Tours.
    pub tours: Vec<TourState>,
}

/// A screen, now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ScreenState {
    /// The screen, by the id in the wall file.
    pub id: String,
    /// Left edge on the plane of the wall, in pixels.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures a second, measured.
    pub fps: f64,
    /// Pictures a second that are made now; fewer than were asked for where the machine has no more.
    pub rate: f64,
    /// Pictures a second that were asked for.
    pub asked_fps: f64,
    /// How far it is below what was asked for, because the machine has no more: `as-asked`, `faster-preset`,
    /// `half-rate`, `quarter-rate`.
    pub step: String,
    /// True where it is below.
    pub degraded: bool,
    /// Pictures missed since the start, because the screen came too late for them.
    pub missed: u64,
    /// Pictures dropped since the start, because the encoder had no time for them.
    pub dropped: u64,
    /// What of both was lost in the last ten seconds.
    pub lately: Losses,
    /// Viewers of its outputs.
    pub viewers: u32,
    /// What is wrong with its encoder.
    pub trouble: Option<String>,
    /// Its tiles; later ones lie over earlier ones.
    pub tiles: Vec<TileState>,
}

/// A tile, or the part of a span that lies on this screen.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TileState {
    /// The tile, by its id in the layout.
    pub id: String,
    /// `[x, y, width, height]` on the screen, in pixels.
    pub rect: [u32; 4],
    /// Its camera.
    pub camera: Option<String>,
    /// The camera's name.
    pub name: Option<String>,
    /// The camera's zone.
    pub zone: Option<String>,
    /// `live`, `waiting`, `stalled`, `frozen`, `delayed`, `undecodable`, `offline`, `refused`, `standby`,
    /// `empty`.
    pub state: String,
    /// Why it is not live, in words.
    pub reason: Option<String>,
    /// Why it may not be seen.
    pub refusal: Option<Refusal>,
    /// Age of the picture in milliseconds.
    pub age_ms: Option<f64>,
    /// Which of the camera's streams is used.
    pub profile: Option<String>,
    /// How much of it is decoded.
    pub effort: Option<String>,
    /// Less than the tile deserves, because the machine has no more.
    pub degraded: bool,
    /// It degrades last.
    pub pinned: bool,
    /// It takes no change.
    pub locked: bool,
    /// An alarm of its camera is not acknowledged.
    pub alarm: bool,
    /// It fills its region for now.
    pub spotlight: bool,
    /// Pixels per metre of the scene, where the scene's width is known.
    pub px_per_m: Option<f64>,
    /// What that supports, by EN 62676-4.
    pub level: Option<String>,
}

/// Cameras by state.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Counts {
    /// In the registry.
    pub known: usize,
    /// Connected, seen or not.
    pub open: usize,
    /// In a tile, and live.
    pub live: usize,
    /// In a tile, and not live.
    pub dark: usize,
}

/// What is known at one moment of all that tiles show.
struct Facts<'a> {
    /// The tiles of the layout, by id.
    tiles: HashMap<&'a str, &'a Tile>,
    /// The tiles that fill their regions.
    spotlights: Vec<&'a str>,
    /// By id, as all that follows.
    cameras: HashMap<String, Arc<CameraSpec>>,
    reports: HashMap<String, CameraReport>,
    states: BTreeMap<String, CameraState>,
    alarms: Vec<Alarm>,
    edition: Edition,
}

impl Conductor {
    /// What the wall shows now.
    ///
    /// # Errors
    /// Unavailable where the wall has ended, or the database cannot be read.
    pub fn state(&self) -> Result<WallState> {
        let intent = self.intent();
        let unwell = || self.db.log_state().err().map(|trouble| trouble.to_string());
        let (wish, trouble) = (intent.layout.clone(), intent.log_trouble.clone().or_else(unwell));
        let known = intent.cameras.len();
        let cameras: HashMap<String, Arc<CameraSpec>> = wish
            .tiles()
            .filter_map(|tile| tile.camera.as_ref())
            .filter_map(|id| Some((id.clone(), intent.cameras.get(id)?.clone())))
            .collect();
        drop(intent);
        let (shown, reports_of_screens, governor, reports, ready) = self.engine(|wall| {
            let report = |id: &String| Some((id.clone(), wall.camera_report(&CameraId::from(id.as_str()))?));
            let reports: HashMap<String, CameraReport> = cameras.keys().filter_map(report).collect();
            (wall.layout(), wall.screen_reports(), wall.governor_report(), reports, wall.standings_later())
        })?;
        let states = self.states(&wish, &shown, &reports, ready());
        let lately = self.recent_losses(&reports_of_screens);
        let lost = lately.values().fold(Losses::default(), |sum, lost| sum.plus(*lost));
        let facts = Facts {
            tiles: wish.tiles().map(|tile| (tile.id.as_str(), tile)).collect(),
            spotlights: wish.regions.iter().filter_map(|r| r.spotlight.as_deref()).collect(),
            cameras,
            reports,
            states,
            alarms: self.alarms.open()?,
            edition: self.settings.edition,
        };
        let screens: Vec<ScreenState> = shown
            .screens
            .iter()
            .zip(&reports_of_screens)
            .zip(&self.settings.wall.scene.screens)
            .map(|((screen, report), place)| {
                let lately = lately.get(&report.id).copied().unwrap_or_default();
                self.screen_state(screen, report, place, lately, &facts)
            })
            .collect();
        let Facts { states, alarms, .. } = facts;
        Ok(WallState {
            wall: self.settings.wall.id.to_string(),
            unit: self.settings.unit.clone(),
            incident: wish.incident.clone(),
            log_ok: trouble.is_none(),
            log_trouble: trouble,
            version: wish.version,
            cameras: Counts {
                known,
                open: self.gate.open(),
                live: count(&screens, |state| state == "live"),
                dark: count(&screens, |state| state != "live"),
            },
            machine: Machine::judge(&governor, lost),
            states,
            alarms,
            tours: self.tours.states()?,
            screens,
        })
    }

    /// One screen, from its solved tiles, its report, and where it lies on the wall.
    fn screen_state(
        &self,
        screen: &scene::ScreenLayout,
        report: &ScreenReport,
        place: &scene::ScreenWish,
        lately: Losses,
        facts: &Facts<'_>,
    ) -> ScreenState {
        let in_browsers = self.audience.get().map_or(0, |audience| audience.viewers(screen.id.as_str()));
        ScreenState {
            id: screen.id.to_string(),
            x: place.rect.x,
            y: place.rect.y,
            width: screen.width,
            height: screen.height,
            fps: report.fps,
            rate: report.rate,
            asked_fps: report.asked_fps,
            step: report.step.to_owned(),
            degraded: report.degraded,
            missed: report.missed,
            dropped: report.dropped,
            lately,
            viewers: report.outputs.iter().filter_map(|o| o.viewers).sum::<u32>() + in_browsers,
            trouble: report.encoder_error.clone(),
            tiles: screen.tiles.iter().map(|tile| facts.tile_state(tile)).collect(),
        }
    }
}

impl Facts<'_> {
    fn tile_state(&self, tile: &scene::Tile) -> TileState {
        let wished = self.tiles.get(tile.id.as_str()).copied();
        let camera = wished.and_then(|t| t.camera.clone());
        let spec = camera.as_ref().and_then(|id| self.cameras.get(id));
        let report = camera.as_ref().and_then(|id| self.reports.get(id));
        let now = camera.as_ref().and_then(|id| self.states.get(id));
        let density = spec.and_then(|s| s.scene_width_m).and_then(|metres| {
            let crop = wished.and_then(|t| t.crop).map_or(1.0, |crop| f64::from(crop[2]));
            let source = report.map_or(0.0, |r| f64::from(r.width));
            px_per_m(metres, crop, f64::from(tile.spec.width), source)
        });
        TileState {
            id: tile.id.clone(),
            rect: [tile.rect.x, tile.rect.y, tile.rect.width, tile.rect.height],
            name: spec.map(|s| s.name.clone()),
            zone: spec.and_then(|s| s.zone.clone()),
            state: now.map_or_else(|| "empty".to_owned(), |n| n.state.clone()),
            reason: now.and_then(|n| n.reason.clone()),
            refusal: now.and_then(|n| n.refusal.clone()),
            age_ms: now.and_then(|n| n.age_ms),
            profile: report.map(|r| r.profile.clone()),
            effort: report.and_then(|r| Some(serde_json::to_value(r.effort).ok()?.as_str()?.to_owned())),
            degraded: report.is_some_and(|r| r.degraded),
            pinned: tile.pinned,
            locked: wished.is_some_and(|t| t.locked),
            alarm: camera.as_ref().is_some_and(|id| self.alarms.iter().any(|a| a.camera == *id)),
            spotlight: self.spotlights.contains(&tile.id.as_str()),
            level: density.and_then(|d| level(self.edition, d)).map(str::to_owned),
            px_per_m: density,
            camera,
        }
    }
}

/// How many cameras are in tiles of such a state.
fn count(screens: &[ScreenState], is: impl Fn(&str) -> bool) -> usize {
    let tiles = screens.iter().flat_map(|s| &s.tiles).filter(|t| is(&t.state));
    tiles.filter_map(|t| t.camera.as_deref()).collect::<BTreeSet<_>>().len()
}
