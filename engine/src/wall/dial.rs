//! How much of a screen is made: what the governor asks of it, and what its thread and its encoder do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};

use super::cadence::Share;
use super::camera::Camera;
use super::report::MoveReport;
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
    /// The faster preset that its encoder was told to use.
    preset: Option<&'static str>,
    /// Pictures that its encoder dropped or gave late, as read last.
    troubles: u64,
    /// What is read next says nothing of the machine: the encoder was failing, or was told to begin anew.
    excused: bool,
    moves: MoveReport,
}

impl Dial {
    /// The dial of a screen that is made as it was asked for.
    pub fn new(id: &ScreenId, config: EncoderConfig, place: usize) -> Dial {
        Dial { id: id.clone(), config, place, every: AtomicU32::new(1), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
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
        let status = self.encoder_status();
        let in_software = status.as_ref().is_none_or(|status| status.in_software);
        let unusable = status.map(|status| status.unusable).unwrap_or_default();
        let usable = |preset: &&str| in_software && !unusable.contains(preset);
        let EncoderConfig { codec, preset, width, height, .. } = &self.config;
        ScreenWish {
            screen: self.id.clone(),
            width: *width,
            height: *height,
            fps: self.config.frame_rate.as_f64(),
            codec: *codec,
            faster: faster(*codec, preset).into_iter().filter(usable).map(str::to_owned).collect(),
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
            let preset = faster.into_iter().find(|preset| *preset == decision.preset);
            encoder.set_preset(preset);
            // While the other one starts, pictures wait.
            state.excused |= std::mem::replace(&mut state.preset, preset) != preset;
        }
        let rate = self.config.frame_rate.as_f64() / f64::from(decision.every.max(1));
        if decision.step > before {
            state.moves.down += 1;
            tracing::info!(screen = %self.id, preset = %decision.preset, rate, "made with less effort: the machine has no more");
        } else if decision.step < before {
            state.moves.up += 1;
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

    /// How often it was given less, and more again.
    pub fn moves(&self) -> MoveReport {
        self.state().moves
    }

    /// Pictures that its encoder dropped or gave late since the call before, where that is a sign of a machine that
    /// has no more: none while the encoder fails or begins anew, which is no fault of the other cameras.
    pub fn troubles_since_last(&self) -> u64 {
        let status = self.encoder_status();
        let (seen, fails) = status.map_or((0, false), |s| (s.dropped + s.late, s.error.is_some()));
        self.state().troubles_since_last(seen, fails)
    }
}

impl State {
    fn troubles_since_last(&mut self, seen: u64, fails: bool) -> u64 {
        let since = seen.saturating_sub(std::mem::replace(&mut self.troubles, seen));
        // It may have failed until a moment ago.
        let excused = std::mem::replace(&mut self.excused, fails) || fails;
        if excused { 0 } else { since }
    }
}

fn tiles(layout: &ScreenLayout) -> Vec<(CameraId, bool)> {
    layout.tiles.iter().filter_map(|tile| Some((tile.camera.clone()?, tile.pinned))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::base::SystemClock;
    use crate::effort::ScreenDecision;
    use crate::encode::EncodedSink;
    use crate::encode::tests::{config, picture, tick};
    use crate::media::{AccessUnit, Codec};

    #[test]
    fn an_encoder_that_fails_is_no_distress_of_the_machine() {
        let mut state = State::default();
        assert_eq!(state.troubles_since_last(3, false), 3);
        // It gives nothing: each picture counts as dropped.
        let failing: Vec<u64> =
            (1..=10).map(|second| state.troubles_since_last(3 + 25 * second, true)).collect();
        assert_eq!(failing, [0; 10]);
        assert_eq!(state.troubles_since_last(265, false), 0, "some of these were of before it worked again");
        assert_eq!(state.troubles_since_last(267, false), 2);
    }

    struct Nowhere;

    impl EncodedSink for Nowhere {
        fn unit(&self, _: &AccessUnit) {}
    }

    #[test]
    fn going_over_to_another_preset_is_no_distress_of_the_machine() {
        let config = EncoderConfig { preset: "veryfast".into(), ..config(Codec::H264) };
        let name = ScreenId::from("a");
        let dial = Dial::new(&name, config.clone(), 0);
        let clock = SystemClock::shared();
        let encoder = Arc::new(ScreenEncoder::start(&name, config, Arc::new(Nowhere), clock).unwrap());
        dial.set_encoder(&encoder);
        assert!(dial.wish(&HashMap::new()).in_software);
        let decided = |step, preset: &str| {
            let preset = preset.to_owned();
            dial.serve(&ScreenDecision { screen: name.clone(), step, preset, every: 1, cost: 0.0 });
        };
        let mut seen = 0;
        // A picture of another size is dropped, counted, whatever the machine.
        let mut drop_one = || {
            encoder.submit(picture(0, 64, 64), tick(0));
            seen += 1;
            for _ in 0..20_000 {
                if encoder.status().dropped >= seen {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            dial.troubles_since_last()
        };
        decided(ScreenStep::AsAsked, "veryfast");
        assert_eq!(drop_one(), 1);
        decided(ScreenStep::FasterPreset(1), "superfast");
        assert_eq!(drop_one(), 0, "while the other one starts");
        decided(ScreenStep::FasterPreset(1), "superfast");
        assert_eq!(drop_one(), 1);
        decided(ScreenStep::AsAsked, "veryfast");
        assert_eq!(drop_one(), 0);
    }
}
