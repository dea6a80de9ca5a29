//! What a screen may be given: from what was asked for it down to a quarter of its pictures. Pure.

use super::cost::CostModel;
use crate::media::{Codec, ScreenId};

/// The fewest pictures a second that a screen is brought down to: below, a wall is a slide show.
const LEAST_RATE: f64 = 5.0;
/// Pictures a second in which tiles are drawn anew at most: what cameras' smaller streams bring.
const USUAL_CAMERA: f64 = 12.5;
/// `ultrafast` in a stream that keeps the coding tools of a slower preset costs so many times what it costs
/// with its own: arithmetic coding and 8x8 transforms (1.25 to 1.43 were measured; others 0.85 to 1.06).
const KEPT_TOOLS: f64 = 1.35;
/// A rung must save this part of the one before: below, it is not worth a key frame.
const WORTH: f64 = 0.92;

/// One screen, as the governor sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScreenWish {
    /// Which screen.
    pub screen: ScreenId,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures a second, as asked for.
    pub fps: f64,
    /// What it is encoded to.
    pub codec: Codec,
    /// The preset that was asked for.
    pub preset: String,
    /// Faster ones that its stream can go over to without a break, the slowest first.
    pub faster: Vec<String>,
    /// The processor encodes it. Elsewhere encoding costs it nothing.
    pub in_software: bool,
    /// One of its tiles is pinned: it keeps its rate, and goes over to a faster preset last.
    pub pinned: bool,
    /// The highest priority of its cameras; the screen with the lowest goes down first.
    pub priority: u8,
}

/// How far below what was asked for a screen is, in the order in which that happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScreenStep {
    /// Not at all.
    #[default]
    AsAsked,
    /// So many presets faster: more bits for the same picture, which hardly anybody sees.
    FasterPreset(u32),
    /// Every second picture.
    HalfRate,
    /// Every fourth picture.
    QuarterRate,
}

impl ScreenStep {
    /// What its tiles say; `None` where they look as they should.
    pub fn mark(self) -> Option<&'static str> {
        (self >= ScreenStep::HalfRate).then_some("SLOWER")
    }

    /// For reports and programs.
    pub fn word(self) -> &'static str {
        match self {
            ScreenStep::AsAsked => "as-asked",
            ScreenStep::FasterPreset(_) => "faster-preset",
            ScreenStep::HalfRate => "half-rate",
            ScreenStep::QuarterRate => "quarter-rate",
        }
    }
}

/// One way to make a screen.
#[derive(Clone, Debug, PartialEq)]
pub struct ScreenRung {
    /// How far it is below what was asked for.
    pub step: ScreenStep,
    /// The preset.
    pub preset: String,
    /// One of so many pictures is made.
    pub every: u32,
    /// CPU seconds a second of composing and encoding, by the model.
    pub cost: f64,
}

/// What one screen gets until the next tick.
#[derive(Clone, Debug, PartialEq)]
pub struct ScreenDecision {
    /// Which screen.
    pub screen: ScreenId,
    /// How far it is below what was asked for.
    pub step: ScreenStep,
    /// The preset.
    pub preset: String,
    /// One of so many pictures is made.
    pub every: u32,
    /// CPU seconds a second, by the model.
    pub cost: f64,
}

/// The rungs of a screen, the dearest first. Each costs less than the one before.
pub fn screen_ladder(wish: &ScreenWish, model: &CostModel) -> Vec<ScreenRung> {
    let rung = |step, preset: &str, every: u32| {
        let cost = cost(wish, preset, wish.fps / f64::from(every), model);
        ScreenRung { step, preset: preset.to_owned(), every, cost }
    };
    let mut rungs = vec![rung(ScreenStep::AsAsked, &wish.preset, 1)];
    for (below, preset) in (1..).zip(&wish.faster) {
        rungs.push(rung(ScreenStep::FasterPreset(below), preset, 1));
    }
    rungs.dedup_by(|next, before| next.cost > before.cost * WORTH);
    if !wish.pinned {
        let fastest = rungs.last().map_or(wish.preset.clone(), |rung| rung.preset.clone());
        for (step, every) in [(ScreenStep::HalfRate, 2), (ScreenStep::QuarterRate, 4)] {
            if wish.fps / f64::from(every) >= LEAST_RATE {
                rungs.push(rung(step, &fastest, every));
            }
        }
    }
    rungs
}

fn cost(wish: &ScreenWish, preset: &str, fps: f64, model: &CostModel) -> f64 {
    let tools = if preset == "ultrafast" && preset != wish.preset { KEPT_TOOLS } else { 1.0 };
    let encoding = if wish.in_software {
        tools * model.encode(wish.codec, preset, wish.width, wish.height, fps)
    } else {
        0.0
    };
    let pixels = f64::from(wish.width) * f64::from(wish.height);
    let composing =
        fps.min(USUAL_CAMERA) * model.composite(pixels) + fps * model.hand_out(wish.width, wish.height);
    encoding + composing
}
