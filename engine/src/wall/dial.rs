//! How much of a screen is made: what the governor asks of it, and what its thread and its encoder do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::cadence::Share;
use super::camera::Camera;
use crate::effort::{ScreenDecision, ScreenStep, ScreenWish};
use crate::encode::element::faster;
use crate::encode::{EncodeStatus, EncoderConfig, ScreenEncoder};
use crate::media::{CameraId, ScreenId};
use crate::scene::ScreenLayout;

/// The governor's hand on one screen.
pub(super) struct Dial {
    id: ScreenId,
    config: EncoderConfig,
    /// Its place among the screens: at half the rate, neighbours take turns.
    place: usize,
    every: AtomicU32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    step: ScreenStep,
    /// The cameras of its tiles, and whether a tile is pinned.
    tiles: Vec<(CameraId, bool)>,
    encoder: Weak<ScreenEncoder>,
    /// Pictures that its encoder dropped or gave late, as read last.
    troubles: u64,
    moves: [u64; 2],
}

impl Dial {
    /// The dial of a screen that is made as it was asked for.
    pub fn new(id: &ScreenId, config: EncoderConfig, place: usize) -> Dial {
        Dial { id: id.clone(), config, place, every: AtomicU32::new(1), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it turns.
    pub fn set_encoder(&self, encoder: &Arc<ScreenEncoder>) {
        self.state().encoder = Arc::downgrade(encoder);
    }

    /// Shows these tiles from now on.
    pub fn set_tiles(&self, layout: &ScreenLayout) {
        self.state().tiles = tiles(layout);
    }

    /// What the governor needs to know of it.
    pub fn wish(&self, cameras: &HashMap<CameraId, Arc<Camera>>) -> ScreenWish {
        let tiles = self.state().tiles.clone();
        self.wish_of(&tiles, cameras)
    }

    /// The same, if it showed this layout.
    pub fn wish_for(&self, layout: &ScreenLayout, cameras: &HashMap<CameraId, Arc<Camera>>) -> ScreenWish {
        self.wish_of(&tiles(layout), cameras)
    }

    fn wish_of(&self, tiles: &[(CameraId, bool)], cameras: &HashMap<CameraId, Arc<Camera>>) -> ScreenWish {
        let specs = tiles.iter().filter_map(|(id, pinned)| Some((cameras.get(id)?.spec(), *pinned)));
        let (mut pinned, mut priority) = (false, 0);
        for (spec, tile_pinned) in specs {
            pinned |= tile_pinned || spec.pinned;
            priority = priority.max(spec.priority);
        }
        let encoder = self.encoder_status().map(|status| status.encoder).unwrap_or_default();
        let in_software = matches!(encoder.as_str(), "" | "x264enc" | "x265enc");
        let EncoderConfig { codec, preset, width, height, .. } = &self.config;
        ScreenWish {
            screen: self.id.clone(),
            width: *width,
            height: *height,
            fps: self.config.frame_rate.as_f64(),
            codec: *codec,
            faster: faster(*codec, preset).into_iter().filter(|_| in_software).map(str::to_owned).collect(),
            preset: preset.clone(),
            in_software,
            pinned,
            priority,
        }
    }

    fn encoder_status(&self) -> Option<EncodeStatus> {
        let encoder = self.state().encoder.upgrade()?;
        Some(encoder.status())
    }

    /// Makes it as decided. Returns whether it moved down or up.
    pub fn serve(&self, decision: &ScreenDecision) {
        self.every.store(decision.every.max(1), Ordering::Relaxed);
        let mut state = self.state();
        let before = std::mem::replace(&mut state.step, decision.step);
        if let Some(encoder) = state.encoder.upgrade() {
            let faster = faster(self.config.codec, &self.config.preset);
            encoder.set_preset(faster.into_iter().find(|preset| *preset == decision.preset));
        }
        let rate = self.config.frame_rate.as_f64() / f64::from(decision.every.max(1));
        if decision.step > before {
            state.moves[0] += 1;
            tracing::info!(screen = %self.id, preset = %decision.preset, rate, "made with less effort: the machine has no more");
        } else if decision.step < before {
            state.moves[1] += 1;
            tracing::info!(screen = %self.id, preset = %decision.preset, rate, "made with more effort again");
        }
    }

    /// Which ticks its thread makes.
    pub fn share(&self) -> Share {
        Share::new(self.every.load(Ordering::Relaxed), self.place)
    }

    /// How far it is below what was asked for.
    pub fn step(&self) -> ScreenStep {
        self.state().step
    }

    /// Pictures a second that were asked for, and that are made now.
    pub fn rates(&self) -> (f64, f64) {
        let asked = self.config.frame_rate.as_f64();
        (asked, asked / f64::from(self.every.load(Ordering::Relaxed).max(1)))
    }

    /// How often it was moved down, and up again.
    pub fn moves(&self) -> [u64; 2] {
        self.state().moves
    }

    /// Pictures that its encoder dropped or gave late since the call before.
    pub fn troubles_since_last(&self) -> u64 {
        let now = self.encoder_status().map_or(0, |status| status.dropped + status.late);
        let mut state = self.state();
        now.saturating_sub(std::mem::replace(&mut state.troubles, now))
    }
}

fn tiles(layout: &ScreenLayout) -> Vec<(CameraId, bool)> {
    layout.tiles.iter().filter_map(|tile| Some((tile.camera.clone()?, tile.pinned))).collect()
}
