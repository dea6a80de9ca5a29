//! Houses in a row: brick and plaster, windows, shops, doors and roofs.

use super::Light;
use super::canvas::{Canvas, Rgb, mix, rgb, scale};
use super::view::{Place, View};
use crate::scene::Dice;

/// Where a row of houses stands: from a corner along a direction on the ground.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub from: (f32, f32),
    pub along: (f32, f32),
    pub length: f32,
    /// How bright this side of the street is.
    pub shade: f32,
}

const WALLS: [u32; 9] =
    [0x9a5a48, 0x7d4638, 0xb9835f, 0xd9cdb8, 0xc4b59c, 0xa79a8c, 0x8f3f35, 0xe2ddd2, 0x6f6a68];
const AWNINGS: [u32; 6] = [0x8c2f2b, 0x2f5a45, 0x2c4a7a, 0xb98a2e, 0x5a3a5e, 0x444a52];

/// A house while it is drawn.
struct House<'a> {
    view: &'a View,
    light: Light,
    row: Row,
    /// Metres along the row.
    at: f32,
    width: f32,
    depth: f32,
}

/// Draws a row of houses, the farthest first.
pub(super) fn row(canvas: &mut Canvas<'_>, view: &View, light: Light, row: Row, dice: &mut Dice) {
    let mut houses = Vec::new();
    let mut at = 0.0;
    while at < row.length {
        let width = (5.0 + 4.0 * dice.unit() as f32).min(row.length - at);
        houses.push((at, width, dice.next()));
        at += width;
    }
    let depth = |(at, width, _): &(f32, f32, u64)| view.depth(on(row, at + width / 2.0, 0.0));
    houses.sort_by(|a, b| depth(b).total_cmp(&depth(a)));
    for house in &houses {
        let (at, width, seed) = *house;
        if width > 2.0 {
            House { view, light, row, at, width, depth: depth(house).max(0.0) }
                .draw(canvas, &mut Dice::new(seed));
        }
    }
}

fn on(row: Row, along: f32, up: f32) -> Place {
    [row.from.0 + row.along.0 * along, up, row.from.1 + row.along.1 * along]
}

impl House<'_> {
    /// A rectangle of the front: metres from its left edge and from the ground.
    fn pane(&self, canvas: &mut Canvas<'_>, x: (f32, f32), y: (f32, f32), color: Rgb, alpha: f32) {
        let at = |x: f32, y: f32| on(self.row, self.at + x, y);
        self.view.fill(canvas, &[at(x.0, y.0), at(x.1, y.0), at(x.1, y.1), at(x.0, y.1)], color, alpha);
    }

    fn lit(&self, color: Rgb) -> Rgb {
        self.light.hazy(self.light.on(scale(color, self.row.shade)), self.depth)
    }

    fn draw(&self, canvas: &mut Canvas<'_>, dice: &mut Dice) {
        let floors = 3 + dice.below(2) as usize + usize::from(dice.below(4) == 0);
        let (ground, floor) = (3.6, 2.9 + 0.4 * dice.unit() as f32);
        let top = ground + floor * (floors - 1) as f32;
        let wall = mix(rgb(WALLS[dice.below(9) as usize]), [0.5; 3], 0.12 * dice.unit() as f32);
        self.roof(canvas, top, dice);
        self.pane(canvas, (0.0, self.width), (0.0, top), self.lit(wall), 1.0);
        self.bricks(canvas, top, wall);
        let across = ((self.width - 0.6) / (1.5 + 0.5 * dice.unit() as f32)).max(1.0) as usize;
        let step = self.width / across as f32;
        for level in 1..floors {
            let bottom = ground + floor * (level - 1) as f32 + 0.7;
            for n in 0..across {
                self.window(canvas, step * (n as f32 + 0.5), bottom, floor - 1.2, dice);
            }
        }
        self.pane(canvas, (0.0, self.width), (ground - 0.15, ground + 0.1), self.lit(scale(wall, 1.25)), 1.0);
        self.pane(canvas, (0.0, self.width), (top - 0.35, top), self.lit(scale(wall, 1.3)), 1.0);
        self.pane(canvas, (0.0, self.width), (top - 0.45, top - 0.35), self.lit(scale(wall, 0.6)), 1.0);
        self.pane(canvas, (0.0, 0.12), (0.0, top), self.lit(scale(wall, 0.75)), 0.8);
        if dice.below(5) < 3 {
            self.shop(canvas, dice)
        } else {
            self.entrance(canvas, step, across, dice)
        }
        self.pane(canvas, (0.0, self.width), (0.0, 0.35), self.lit(scale(wall, 0.55)), 0.8);
    }

    fn bricks(&self, canvas: &mut Canvas<'_>, top: f32, wall: Rgb) {
        let mut y = 0.6;
        while y < top {
            self.pane(canvas, (0.0, self.width), (y, y + 0.05), self.lit(scale(wall, 0.85)), 0.35);
            y += 0.6;
        }
    }

    fn roof(&self, canvas: &mut Canvas<'_>, top: f32, dice: &mut Dice) {
        let slate = self.lit(rgb([0x4a4c52, 0x6b3f34, 0x3e4247][dice.below(3) as usize]));
        let at = |x: f32, y: f32| on(self.row, self.at + x, y);
        let (w, high) = (self.width, 1.6 + 1.2 * dice.unit() as f32);
        match dice.below(4) {
            // A gable in steps, as in old Flemish towns.
            0 => {
                let wall = self.lit(rgb(WALLS[dice.below(9) as usize]));
                for step in 0..4 {
                    let (inset, up) = (w * 0.12 * step as f32, high * 0.42);
                    let bottom = top + up * step as f32;
                    self.pane(canvas, (inset, w - inset), (bottom - 0.1, bottom + up), wall, 1.0);
                }
                self.window(canvas, w / 2.0, top + 0.3, 1.1, dice);
            }
            1 => {
                self.view.fill(canvas, &[at(0.0, top), at(w, top), at(w / 2.0, top + high * 1.5)], slate, 1.0)
            }
            2 => {}
            _ => {
                let edge = [at(0.0, top), at(w, top), at(w - 0.5, top + high), at(0.5, top + high)];
                self.view.fill(canvas, &edge, slate, 1.0);
                for n in 1..3 {
                    self.window(canvas, w * n as f32 / 3.0, top + 0.3, 1.0, dice);
                }
            }
        }
        let x = w * (0.15 + 0.6 * dice.unit() as f32);
        self.pane(canvas, (x, x + 0.7), (top + 0.2, top + high + 0.8), self.lit(rgb(0x7a4b3c)), 1.0);
    }

    fn glass(&self, dice: &mut Dice, chance: u64) -> Rgb {
        if self.light.dark() && dice.below(10) < chance {
            return scale(
                mix(rgb(0xffc978), rgb(0xffe9c0), dice.unit() as f32),
                0.75 + 0.25 * dice.unit() as f32,
            );
        }
        let sky = mix(rgb(0x26323c), self.light.sky.1, 0.10 + 0.25 * dice.unit() as f32);
        if self.light.dark() { scale(self.light.sky.1, 0.6) } else { scale(sky, self.row.shade) }
    }

    fn window(&self, canvas: &mut Canvas<'_>, x: f32, bottom: f32, high: f32, dice: &mut Dice) {
        let half = 0.5;
        let frame = self.lit(rgb(0xe8e4da));
        self.pane(canvas, (x - half - 0.1, x + half + 0.1), (bottom - 0.12, bottom + high + 0.1), frame, 1.0);
        let glass = self.glass(dice, 4);
        self.pane(canvas, (x - half, x + half), (bottom, bottom + high), glass, 1.0);
        if dice.below(3) == 0 {
            let curtain = mix(glass, self.light.on(rgb(0xe6e0d4)), 0.6);
            self.pane(canvas, (x - half, x - half * 0.4), (bottom, bottom + high), curtain, 1.0);
        }
        self.pane(canvas, (x - 0.04, x + 0.04), (bottom, bottom + high), frame, 1.0);
        let bar = bottom + high * 0.68;
        self.pane(canvas, (x - half, x + half), (bar, bar + 0.07), frame, 1.0);
    }

    fn shop(&self, canvas: &mut Canvas<'_>, dice: &mut Dice) {
        let w = self.width;
        let glass = self.glass(dice, 8);
        self.pane(canvas, (0.4, w - 0.4), (0.5, 2.7), self.lit(rgb(0x2f2b29)), 1.0);
        self.pane(canvas, (0.5, w - 1.7), (0.6, 2.6), glass, 1.0);
        self.pane(canvas, (w - 1.5, w - 0.6), (0.1, 2.6), scale(glass, 0.8), 1.0);
        // What stands in the window.
        for _ in 0..5 {
            let x = 0.6 + (w - 2.6).max(0.1) * dice.unit() as f32;
            let thing = self.light.on(rgb(AWNINGS[dice.below(6) as usize]));
            self.pane(
                canvas,
                (x, x + 0.3),
                (0.6, 0.9 + 0.8 * dice.unit() as f32),
                mix(thing, glass, 0.4),
                1.0,
            );
        }
        let color = self.lit(rgb(AWNINGS[dice.below(6) as usize]));
        self.pane(canvas, (0.3, w - 0.3), (2.75, 3.35), color, 1.0);
        let sign = if self.light.dark() { rgb(0xfff0d0) } else { self.lit(rgb(0xf0ebe0)) };
        let (from, to) = (w * 0.25, w * (0.55 + 0.2 * dice.unit() as f32));
        self.pane(canvas, (from, to), (2.95, 3.15), sign, 0.9);
    }

    fn entrance(&self, canvas: &mut Canvas<'_>, step: f32, across: usize, dice: &mut Dice) {
        let door = dice.below(across as u64) as usize;
        for n in 0..across {
            let x = step * (n as f32 + 0.5);
            if n == door {
                let color = self.lit(rgb(AWNINGS[dice.below(6) as usize]));
                self.pane(canvas, (x - 0.6, x + 0.6), (0.0, 2.7), self.lit(rgb(0xd8d2c6)), 1.0);
                self.pane(canvas, (x - 0.5, x + 0.5), (0.0, 2.2), color, 1.0);
                self.pane(canvas, (x - 0.5, x + 0.5), (2.25, 2.6), self.glass(dice, 6), 1.0);
            } else {
                self.window(canvas, x, 0.9, 1.8, dice);
            }
        }
    }
}
