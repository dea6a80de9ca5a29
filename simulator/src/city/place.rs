//! The places of the city: what the ground is, where houses stand, and who comes by.

use super::Light;
use super::canvas::{Canvas, Point, Rgb, rgb, scale};
use super::house::{self, Row};
use super::things::{Kind, Thing};
use super::view::View;
use crate::picture::Picture;
use crate::scene::Dice;

/// How far a street goes, in metres.
const FAR: f32 = 120.0;
/// Half of a roadway, and where its pavements end and houses begin.
const ROAD: f32 = 4.6;
const WALL: f32 = 8.2;
/// Where a street is crossed by another.
const CROSSING: (f32, f32) = (26.0, 35.0);

/// A place, with all that stands and moves in it.
pub(super) struct Site {
    pub kind: usize,
    pub view: View,
    pub light: Light,
    things: Vec<Thing>,
}

impl Site {
    pub fn new(kind: usize, width: f32, light: Light, dice: &mut Dice) -> Site {
        let kind = kind % 5;
        let unit = dice.unit() as f32;
        let side = if dice.below(2) == 0 { -1.0 } else { 1.0 };
        let view = |x: f32, up: f32, yaw: f32, focal: f32, horizon: f32| View {
            eye: [x * side, up, 0.0],
            yaw: -yaw * side,
            focal,
            horizon,
            middle: width / 2.0,
        };
        let view = match kind {
            0 => view(4.0 + 1.5 * unit, 5.0 + unit, 0.10 + 0.1 * unit, 0.95, 0.26),
            1 => view(5.5 + unit, 6.5 + unit, 0.16 + 0.1 * unit, 0.95, 0.20),
            2 => view(2.0 * unit, 7.5 + unit, 0.12 * unit, 0.95, 0.16),
            3 => view(5.5, 4.6 + 0.6 * unit, 0.22 + 0.08 * unit, 0.9, 0.27),
            _ => view(5.0 + unit, 5.5, 0.14, 0.95, 0.24),
        };
        let mut site = Site { kind, view, light, things: Vec::new() };
        match kind {
            2 => site.car_park(dice),
            3 => site.stop(dice),
            _ => site.street(dice),
        }
        site
    }

    fn crossed(&self) -> bool {
        self.kind == 1
    }

    fn add(&mut self, kind: Kind, from: (f32, f32), to: (f32, f32), laps: f32, dice: &mut Dice) {
        self.things.push(Thing { kind, from, to, start: dice.unit() as f32, laps });
    }

    /// Trees and lamps along both pavements, parked cars, traffic and people.
    fn street(&mut self, dice: &mut Dice) {
        let free = |z: f32, crossed: bool| !crossed || !(CROSSING.0 - 5.0..CROSSING.1 + 3.0).contains(&z);
        for side in [-1.0, 1.0] {
            let mut z = 9.0 + 6.0 * dice.unit() as f32;
            while z < FAR {
                if free(z, self.crossed()) {
                    let tree = Kind::Tree { seed: dice.next(), high: 4.6 + 2.0 * dice.unit() as f32 };
                    self.things.push(Thing::standing(tree, ((ROAD + 0.9) * side, z), (0.0, 1.0)));
                }
                let lamp = Kind::Lamp { over: -1.4 * side };
                if free(z + 6.0, self.crossed()) {
                    self.things.push(Thing::standing(lamp, ((ROAD + 0.5) * side, z + 6.0), (0.0, 1.0)));
                }
                z += 13.0 + 3.0 * dice.unit() as f32;
            }
            let mut z = 14.0;
            while z < 80.0 {
                if free(z, self.crossed()) && dice.below(3) > 0 {
                    self.things.push(Thing::standing(Thing::car(dice), (3.5 * side, z), (0.0, -side)));
                }
                z += 5.4 + 0.8 * dice.unit() as f32;
            }
            for _ in 0..5 {
                let x = side * (ROAD + 1.6 + 1.6 * dice.unit() as f32);
                let (from, to) = if dice.below(2) == 0 { (3.0, 75.0) } else { (75.0, 3.0) };
                self.add(Thing::person(dice), (x, from), (x, to), 1.0, dice);
            }
        }
        for _ in 0..4 {
            self.add(Thing::car(dice), (1.45, -4.0), (1.45, FAR), 1.0, dice);
            self.add(Thing::car(dice), (-1.45, FAR), (-1.45, -4.0), 1.0, dice);
        }
        if self.crossed() {
            let middle = (CROSSING.0 + CROSSING.1) / 2.0;
            for (z, from, to) in [(middle - 2.0, -45.0, 45.0), (middle + 2.0, 45.0, -45.0)] {
                self.add(Thing::car(dice), (from, z), (to, z), 1.0, dice);
                self.add(Thing::car(dice), (from, z), (to, z), 1.0, dice);
            }
            for _ in 0..5 {
                let z = CROSSING.0 - 3.6 + 2.0 * dice.unit() as f32;
                let (from, to) = if dice.below(2) == 0 { (-8.0, 8.0) } else { (8.0, -8.0) };
                self.add(Thing::person(dice), (from, z), (to, z), 2.0, dice);
            }
        }
    }

    fn car_park(&mut self, dice: &mut Dice) {
        for (row, z) in [13.0, 20.0, 31.0, 38.0].into_iter().enumerate() {
            let ahead = if row % 2 == 0 { 1.0 } else { -1.0 };
            for bay in -9..=9 {
                if dice.below(10) < 7 {
                    self.things.push(Thing::standing(
                        Thing::car(dice),
                        (bay as f32 * 2.7 + 1.35, z),
                        (0.0, ahead),
                    ));
                }
            }
        }
        for z in [25.3, 44.5] {
            for (from, to) in [(-45.0, 45.0), (45.0, -45.0)] {
                self.add(Thing::car(dice), (from, z), (to, z), 1.0, dice);
            }
        }
        for _ in 0..7 {
            let z = [16.6, 27.5, 34.4, 49.5][dice.below(4) as usize];
            let (from, to) = if dice.below(2) == 0 { (-20.0, 20.0) } else { (20.0, -20.0) };
            self.add(Thing::person(dice), (from, z), (to, z), 1.0, dice);
        }
        for n in -3..=3 {
            let x = n as f32 * 9.0 + 2.0 * dice.unit() as f32;
            let tree = Kind::Tree { seed: dice.next(), high: 5.0 + 2.0 * dice.unit() as f32 };
            self.things.push(Thing::standing(tree, (x, 51.0), (0.0, 1.0)));
            if n % 2 == 0 {
                self.things.push(Thing::standing(Kind::Lamp { over: 1.4 }, (x + 4.0, 25.0), (0.0, 1.0)));
            }
        }
    }

    /// A tram stop: tracks to the left, a platform with people who wait, houses behind.
    fn stop(&mut self, dice: &mut Dice) {
        let side = self.view.eye[0].signum();
        self.add(Kind::Tram, (-2.6 * side, 150.0), (-2.6 * side, -40.0), 1.0, dice);
        self.things.push(Thing::standing(Kind::Shelter, (4.6 * side, 19.0), (0.0, side)));
        self.things.push(Thing::standing(Kind::Shelter, (4.6 * side, 33.0), (0.0, side)));
        for _ in 0..9 {
            let at = (side * (1.8 + 2.2 * dice.unit() as f32), 9.0 + 30.0 * dice.unit() as f32);
            self.things.push(Thing::standing(Thing::person(dice), at, (0.0, 1.0)));
        }
        for _ in 0..6 {
            let x = side * (1.7 + 2.6 * dice.unit() as f32);
            let (from, to) = if dice.below(2) == 0 { (4.0, 60.0) } else { (60.0, 4.0) };
            self.add(Thing::person(dice), (x, from), (x, to), 1.0, dice);
        }
        for out in [-1.0_f32, 1.0] {
            let mut z = 12.0 + 5.0 * dice.unit() as f32;
            while z < FAR {
                let tree = Kind::Tree { seed: dice.next(), high: 5.0 + 2.0 * dice.unit() as f32 };
                let x = if out == side { 6.4 } else { 8.6 };
                self.things.push(Thing::standing(tree, (x * out, z), (0.0, 1.0)));
                self.things.push(Thing::standing(
                    Kind::Lamp { over: -1.2 * out },
                    (5.6 * out, z + 6.0),
                    (0.0, 1.0),
                ));
                z += 14.0;
            }
        }
    }

    /// All that never changes.
    pub fn background(&self, canvas: &mut Canvas<'_>, dice: &mut Dice) {
        self.skyline(canvas, dice);
        let asphalt = if self.kind == 2 { rgb(0x6e6f70) } else { rgb(0x5c5e61) };
        self.ground(canvas, (-90.0, 90.0), (0.5, 400.0), asphalt, 1.0);
        match self.kind {
            2 => self.bays(canvas, dice),
            3 => self.tracks(canvas, dice),
            _ => self.roadway(canvas, dice),
        }
        if self.light.dark() {
            self.pools(canvas);
        }
        for thing in self.sorted(0.0) {
            if thing.laps == 0.0 {
                thing.draw(canvas, &self.view, self.light, 0.0, true);
            }
        }
    }

    /// What moves, and what stands before it, on a picture that has all that stands.
    pub fn movement(&self, canvas: &mut Canvas<'_>, background: &Picture, at: f32) {
        let mut changed: Vec<(Point, Point)> = Vec::new();
        let mut hidden = self.crossed();
        for thing in self.sorted(at) {
            // Who is on the crossing street may be behind the corner.
            if hidden && thing.place(at).1 < CROSSING.0 - 4.0 {
                hidden = false;
                self.corners(canvas, background);
            }
            let Some(bounds) = thing.bounds(&self.view, self.light, at) else { continue };
            if thing.laps != 0.0 {
                thing.draw(canvas, &self.view, self.light, at, true);
                changed.push(bounds);
                continue;
            }
            for part in changed.iter().filter(|part| overlap(bounds, **part)) {
                canvas.clip(Some(*part));
                thing.draw(canvas, &self.view, self.light, at, false);
            }
            canvas.clip(None);
        }
    }

    fn corners(&self, canvas: &mut Canvas<'_>, background: &Picture) {
        for side in [-1.0, 1.0] {
            let (x, near, far) = (WALL * side, 1.0, CROSSING.0 - 4.0);
            let front = [[x, 0.0, near], [x, 0.0, far], [x, 9.0, far], [x, 9.0, near]];
            canvas.restore(&self.view.outline(&front), background);
        }
    }

    /// All things, the farthest first.
    fn sorted(&self, at: f32) -> Vec<&Thing> {
        let depth = |thing: &Thing| {
            let (x, z) = thing.place(at);
            self.view.depth([x, 0.0, z])
        };
        let mut things: Vec<&Thing> = self.things.iter().collect();
        things.sort_by(|a, b| depth(b).total_cmp(&depth(a)));
        things
    }

    fn ground(&self, canvas: &mut Canvas<'_>, x: (f32, f32), z: (f32, f32), color: Rgb, alpha: f32) {
        self.view.ground(canvas, x, z, self.light.on(color), alpha);
    }

    fn skyline(&self, canvas: &mut Canvas<'_>, dice: &mut Dice) {
        let color = self.light.hazy(self.light.on(rgb(0x6d7884)), 150.0);
        let mut x = 0.0;
        while x < canvas.width() {
            let (w, h) = (0.03 + 0.07 * dice.unit() as f32, 0.02 + 0.07 * dice.unit() as f32);
            canvas.rect(
                (x, self.view.horizon - h),
                (w, h + 0.02),
                scale(color, 0.9 + 0.2 * dice.unit() as f32),
                1.0,
            );
            x += w;
        }
    }

    fn houses(&self, canvas: &mut Canvas<'_>, dice: &mut Dice, wall: f32) {
        let parts: &[(f32, f32)] =
            if self.crossed() { &[(CROSSING.1 + 3.0, FAR), (2.0, CROSSING.0 - 4.0)] } else { &[(2.0, FAR)] };
        for &(from, to) in parts {
            for side in [-1.0, 1.0] {
                if self.crossed() && from > CROSSING.0 {
                    let row =
                        Row { from: (wall * side, from), along: (side, 0.0), length: 60.0, shade: 0.82 };
                    house::row(canvas, &self.view, self.light, row, dice);
                }
                let shade = if side < 0.0 { 1.0 } else { 0.88 };
                let row = Row { from: (wall * side, from), along: (0.0, 1.0), length: to - from, shade };
                house::row(canvas, &self.view, self.light, row, dice);
            }
        }
    }

    fn roadway(&self, canvas: &mut Canvas<'_>, dice: &mut Dice) {
        let paving = rgb(0x9a958c);
        let white = rgb(0xd9d9d4);
        for side in [-1.0, 1.0] {
            self.ground(canvas, ordered(ROAD * side, 40.0 * side), (0.5, 300.0), paving, 1.0);
            self.ground(
                canvas,
                ordered((ROAD - 0.12) * side, (ROAD + 0.12) * side),
                (0.5, 300.0),
                rgb(0xb9b5ab),
                1.0,
            );
            let mut z = 1.0;
            while z < 60.0 {
                self.ground(
                    canvas,
                    ordered(ROAD * side, WALL * side),
                    (z, z + 0.04),
                    scale(paving, 0.8),
                    0.6,
                );
                z += 1.2;
            }
        }
        let mut z = 2.0;
        while z < 110.0 {
            self.ground(canvas, (-0.07, 0.07), (z, z + 3.0), white, 0.9);
            z += 6.0;
        }
        if self.crossed() {
            self.ground(canvas, (-90.0, 90.0), CROSSING, rgb(0x5c5e61), 1.0);
            self.stripes(canvas, CROSSING.0 - 3.8, white);
            self.stripes(canvas, CROSSING.1 + 0.6, white);
            self.ground(canvas, (0.2, ROAD - 0.3), (CROSSING.0 - 5.2, CROSSING.0 - 4.8), white, 0.9);
        } else {
            self.stripes(canvas, 17.0, white);
        }
        self.houses(canvas, dice, WALL);
    }

    fn stripes(&self, canvas: &mut Canvas<'_>, z: f32, white: Rgb) {
        let mut x = -ROAD + 0.35;
        while x < ROAD - 0.4 {
            self.ground(canvas, (x, x + 0.5), (z, z + 3.0), white, 0.9);
            x += 1.0;
        }
    }

    fn bays(&self, canvas: &mut Canvas<'_>, dice: &mut Dice) {
        let white = rgb(0xcfcfca);
        for z in [(10.4, 22.6), (28.4, 40.6)] {
            for bay in -10..=11 {
                let x = bay as f32 * 2.7;
                self.ground(canvas, (x - 0.05, x + 0.05), z, white, 0.85);
            }
            let middle = (z.0 + z.1) / 2.0;
            self.ground(canvas, (-27.0, 29.7), (middle - 0.05, middle + 0.05), white, 0.85);
        }
        self.ground(canvas, (-90.0, 90.0), (47.5, 52.5), rgb(0x9a958c), 1.0);
        self.ground(canvas, (-90.0, 90.0), (47.3, 47.6), rgb(0xb9b5ab), 1.0);
        let row = Row { from: (-60.0, 53.0), along: (1.0, 0.0), length: 120.0, shade: 0.95 };
        house::row(canvas, &self.view, self.light, row, dice);
    }

    fn tracks(&self, canvas: &mut Canvas<'_>, dice: &mut Dice) {
        let side = self.view.eye[0].signum();
        let far = (0.5, 300.0);
        self.ground(canvas, ordered(1.2 * side, 40.0 * side), far, rgb(0xa39c90), 1.0);
        self.ground(canvas, ordered(1.0 * side, 1.35 * side), far, rgb(0xd8d3c4), 1.0);
        self.ground(canvas, ordered(-7.2 * side, -40.0 * side), far, rgb(0x9a958c), 1.0);
        self.ground(canvas, ordered(-4.4 * side, 0.9 * side), far, rgb(0x7d7468), 1.0);
        for rail in [-3.3, -1.87, -0.7, 0.73] {
            let x = rail * side;
            self.ground(canvas, (x - 0.09, x + 0.09), far, rgb(0x3d3a37), 1.0);
            self.ground(canvas, (x - 0.03, x + 0.03), far, rgb(0xc4c4c2), 1.0);
        }
        let mut z = 1.0;
        while z < 50.0 {
            self.ground(canvas, ordered(1.35 * side, 9.0 * side), (z, z + 0.05), rgb(0x8a8378), 0.7);
            z += 1.5;
        }
        self.houses(canvas, dice, 9.6);
    }

    /// What lamps light on the ground.
    fn pools(&self, canvas: &mut Canvas<'_>) {
        for thing in &self.things {
            if let Kind::Lamp { over } = thing.kind
                && let Some((point, metre)) = self.view.point([thing.from.0 + over, 0.0, thing.from.1])
            {
                canvas.glow(point, (6.0 * metre, 2.2 * metre), rgb(0xd8a860), 0.45);
            }
        }
    }
}

fn overlap(a: (Point, Point), b: (Point, Point)) -> bool {
    a.0.0 < b.1.0 && b.0.0 < a.1.0 && a.0.1 < b.1.1 && b.0.1 < a.1.1
}

fn ordered(a: f32, b: f32) -> (f32, f32) {
    (a.min(b), a.max(b))
}
