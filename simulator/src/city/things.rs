//! What stands and moves in a street: cars, trams, people, trees and lamps.

use super::Light;
use super::canvas::{Canvas, Point, Rgb, mix, rgb, scale};
use super::view::{Place, View};
use crate::scene::Dice;

const PAINTS: [u32; 9] =
    [0xdfe2e4, 0xb9bec3, 0x2a2d31, 0x4b5258, 0x8f1f22, 0x24406e, 0x7d8b93, 0xe8e4d8, 0x35503f];
const CLOTHES: [u32; 8] = [0x24303f, 0x6a2f35, 0x3f4a3a, 0x8a6d4a, 0x1e1f22, 0x53627a, 0x9a9387, 0xb0552e];
const SKIN: [u32; 3] = [0xe0b79a, 0xb98563, 0x7a5240];

/// What a thing is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Car { paint: Rgb, van: bool },
    Tram,
    Person { coat: Rgb, trousers: Rgb, skin: Rgb, tall: f32 },
    Tree { seed: u64, high: f32 },
    Lamp { over: f32 },
    Shelter,
}

/// A thing at a place; what moves comes from `from` to `to` and begins again, `laps` times a loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thing {
    pub kind: Kind,
    pub from: (f32, f32),
    pub to: (f32, f32),
    pub start: f32,
    pub laps: f32,
}

impl Thing {
    pub fn standing(kind: Kind, at: (f32, f32), towards: (f32, f32)) -> Thing {
        Thing { kind, from: at, to: (at.0 + towards.0, at.1 + towards.1), start: 0.0, laps: 0.0 }
    }

    pub fn car(dice: &mut Dice) -> Kind {
        Kind::Car { paint: rgb(PAINTS[dice.below(9) as usize]), van: dice.below(6) == 0 }
    }

    pub fn person(dice: &mut Dice) -> Kind {
        Kind::Person {
            coat: rgb(CLOTHES[dice.below(8) as usize]),
            trousers: scale(rgb(CLOTHES[dice.below(8) as usize]), 0.7),
            skin: rgb(SKIN[dice.below(3) as usize]),
            tall: 1.6 + 0.25 * dice.unit() as f32,
        }
    }

    /// Where it is at a time of the loop.
    pub fn place(&self, at: f32) -> (f32, f32) {
        let part = (self.start + self.laps * at).rem_euclid(1.0);
        (self.from.0 + (self.to.0 - self.from.0) * part, self.from.1 + (self.to.1 - self.from.1) * part)
    }

    fn heading(&self) -> (f32, f32) {
        let (x, z) = (self.to.0 - self.from.0, self.to.1 - self.from.1);
        let long = (x * x + z * z).sqrt().max(0.001);
        (x / long, z / long)
    }

    /// The part of the picture that it may cover: its upper left and its lower right.
    pub fn bounds(&self, view: &View, light: Light, at: f32) -> Option<(Point, Point)> {
        let (ahead, half, high) = match self.kind {
            Kind::Car { .. } if light.dark() => (11.0, 2.8, 2.2),
            Kind::Car { .. } => (2.8, 1.2, 2.2),
            Kind::Tram => (11.5, 1.5, 3.3),
            Kind::Person { .. } => (0.6, 0.6, 2.0),
            Kind::Tree { high, .. } => (0.42 * high, 0.42 * high, 1.2 * high),
            Kind::Lamp { .. } => (2.0, 2.0, 7.0),
            Kind::Shelter => (3.0, 1.1, 2.7),
        };
        let brush = Brush { view, light, place: self.place(at), heading: self.heading(), shadows: false };
        let mut found: Option<(Point, Point)> = None;
        for (a, r, up) in (0..8).map(|n| (n & 1, n >> 1 & 1, n >> 2)) {
            let sign = |bit: i32| (bit * 2 - 1) as f32;
            // What reaches behind the camera may cover anything.
            let Some((p, _)) = view.point(brush.at(ahead * sign(a), half * sign(r), high * up as f32)) else {
                return (view.depth(brush.at(0.0, 0.0, 0.0)) > 0.0).then_some(((-9.0, -9.0), (9.0, 9.0)));
            };
            let (low, most) = found.unwrap_or((p, p));
            found = Some(((low.0.min(p.0), low.1.min(p.1)), (most.0.max(p.0), most.1.max(p.1))));
        }
        found
    }

    /// Draws it; without its shadow where that lies there already.
    pub fn draw(&self, canvas: &mut Canvas<'_>, view: &View, light: Light, at: f32, shadows: bool) {
        let place = self.place(at);
        let brush = Brush { view, light, place, heading: self.heading(), shadows };
        match self.kind {
            Kind::Car { paint, van } => brush.car(canvas, paint, van, self.laps != 0.0),
            Kind::Tram => brush.tram(canvas),
            Kind::Person { coat, trousers, skin, tall } => {
                let stride =
                    if self.laps == 0.0 { 0.1 } else { ((at * 60.0 + self.start * 7.0) * 3.0).sin() };
                brush.person(canvas, [coat, trousers, skin], tall, stride);
            }
            Kind::Tree { seed, high } => brush.tree(canvas, &mut Dice::new(seed), high),
            Kind::Lamp { over } => brush.lamp(canvas, over),
            Kind::Shelter => brush.shelter(canvas),
        }
    }
}

/// Draws around a place of the ground, along a heading.
struct Brush<'a> {
    view: &'a View,
    light: Light,
    place: (f32, f32),
    heading: (f32, f32),
    shadows: bool,
}

/// A block with upright ends: along from and to at its bottom, the same at its top, half its width,
/// and its heights.
struct Block {
    bottom: (f32, f32),
    top: (f32, f32),
    half: f32,
    up: (f32, f32),
}

impl Brush<'_> {
    /// A place from metres ahead, to the right, and up.
    fn at(&self, ahead: f32, right: f32, up: f32) -> Place {
        let (x, z) = self.heading;
        [self.place.0 + x * ahead + z * right, up, self.place.1 + z * ahead - x * right]
    }

    fn color(&self, color: Rgb, shade: f32) -> Rgb {
        let depth = self.view.depth(self.at(0.0, 0.0, 0.0)).max(0.0);
        self.light.hazy(self.light.on(scale(color, shade)), depth)
    }

    fn fill(&self, canvas: &mut Canvas<'_>, corners: &[Place], color: Rgb) {
        self.view.fill(canvas, corners, color, 1.0);
    }

    fn shadow(&self, canvas: &mut Canvas<'_>, long: f32, half: f32) {
        if !self.shadows {
            return;
        }
        let corners = [(-long, -half), (long, -half), (long, half), (-long, half)];
        let places = corners.map(|(a, r)| self.at(a, r, 0.0));
        self.view.fill(canvas, &places, [0.03; 3], 0.2 + 0.25 * self.light.day);
    }

    /// True where a face with this outward direction is turned to the camera.
    fn faces(&self, ahead: f32, right: f32, from: Place) -> bool {
        let (tip, eye) = (self.at(ahead, right, 0.0), self.view.eye);
        let out = [tip[0] - self.place.0, tip[2] - self.place.1];
        out[0] * (eye[0] - from[0]) + out[1] * (eye[2] - from[2]) > 0.0
    }

    /// The visible faces of a block: its top last. Colours of side, front, back and top.
    fn block(&self, canvas: &mut Canvas<'_>, block: &Block, [side, front, back, top]: [Rgb; 4]) {
        let Block { bottom: (b0, b1), top: (t0, t1), half, up: (low, high) } = *block;
        let ends = [(b0, t0, back, -1.0), (b1, t1, front, 1.0)];
        let mut faces: Vec<([Place; 4], Rgb, Place)> = Vec::with_capacity(4);
        for (b, t, color, out) in ends {
            let middle = self.at(b, 0.0, low);
            if self.faces(out, 0.0, middle) {
                let corners = [
                    self.at(b, -half, low),
                    self.at(b, half, low),
                    self.at(t, half, high),
                    self.at(t, -half, high),
                ];
                faces.push((corners, color, middle));
            }
        }
        for out in [-1.0, 1.0] {
            let r = half * out;
            let middle = self.at((b0 + b1) / 2.0, r, low);
            if self.faces(0.0, out, middle) {
                let corners =
                    [self.at(b0, r, low), self.at(b1, r, low), self.at(t1, r, high), self.at(t0, r, high)];
                faces.push((corners, side, middle));
            }
        }
        faces.sort_by(|a, b| self.view.depth(b.2).total_cmp(&self.view.depth(a.2)));
        for (corners, color, _) in &faces {
            self.fill(canvas, corners, *color);
        }
        if self.view.eye[1] > high {
            let corners = [
                self.at(t0, -half, high),
                self.at(t1, -half, high),
                self.at(t1, half, high),
                self.at(t0, half, high),
            ];
            self.fill(canvas, &corners, top);
        }
    }

    fn car(&self, canvas: &mut Canvas<'_>, paint: Rgb, van: bool, moves: bool) {
        let (half, tail, nose, roof) = if van { (0.95, -2.5, 2.5, 2.1) } else { (0.88, -2.1, 2.1, 1.45) };
        let lit = moves && self.light.dark();
        if lit {
            self.beam(canvas, nose);
        }
        self.shadow(canvas, nose + 0.15, half + 0.15);
        let body = [1.0, 0.9, 0.9, 1.12].map(|shade| self.color(paint, shade));
        let block = Block { bottom: (tail, nose), top: (tail + 0.08, nose - 0.08), half, up: (0.3, 0.88) };
        self.block(canvas, &block, body);
        self.wheels(canvas, (tail + 0.75, nose - 0.8), half);
        self.lights(canvas, (tail, nose), half, lit);
        let (back, wind) =
            if van { ((tail + 0.1, tail + 0.2), (1.9, 1.1)) } else { ((-1.7, -1.15), (1.05, 0.4)) };
        let glass = self.color(mix(rgb(0x1b2229), self.light.sky.1, 0.18), 1.0);
        let cabin =
            Block { bottom: (back.0, wind.0), top: (back.1, wind.1), half: half - 0.08, up: (0.88, roof) };
        let side = if van { body[0] } else { glass };
        let rear = if van { body[2] } else { glass };
        self.block(canvas, &cabin, [side, glass, rear, body[3]]);
        if !van {
            // The posts between the windows.
            for out in [-1.0, 1.0] {
                let r = (half - 0.07) * out;
                if self.faces(0.0, out, self.at(0.0, r, 1.0)) {
                    for (low, high) in [(-0.45, -0.42), (0.95, 0.38), (-1.6, -1.1)] {
                        let post = [
                            self.at(low, r, 0.88),
                            self.at(low + 0.12, r, 0.88),
                            self.at(high + 0.1, r, roof),
                            self.at(high, r, roof),
                        ];
                        self.fill(canvas, &post, body[0]);
                    }
                }
            }
        }
    }

    fn beam(&self, canvas: &mut Canvas<'_>, nose: f32) {
        for (long, wide, alpha) in [(9.0, 2.6, 0.10), (6.0, 1.8, 0.16)] {
            let corners = [
                self.at(nose, -0.7, 0.0),
                self.at(nose, 0.7, 0.0),
                self.at(nose + long, wide, 0.0),
                self.at(nose + long, -wide, 0.0),
            ];
            self.view.fill(canvas, &corners, rgb(0xfff0cc), alpha);
        }
    }

    fn wheels(&self, canvas: &mut Canvas<'_>, along: (f32, f32), half: f32) {
        for out in [-1.0, 1.0] {
            let r = (half + 0.01) * out;
            if !self.faces(0.0, out, self.at(0.0, r, 0.3)) {
                continue;
            }
            for ahead in [along.0, along.1] {
                for (radius, color) in [(0.34, rgb(0x121314)), (0.19, rgb(0x8a8f94))] {
                    let rim: Vec<Place> = (0..12)
                        .map(|i| {
                            let (sin, cos) = (i as f32 * std::f32::consts::TAU / 12.0).sin_cos();
                            self.at(ahead + radius * cos, r, 0.34 + radius * sin)
                        })
                        .collect();
                    self.fill(canvas, &rim, self.color(color, 1.0));
                }
            }
        }
    }

    fn lights(&self, canvas: &mut Canvas<'_>, (tail, nose): (f32, f32), half: f32, lit: bool) {
        for (ahead, out, color, glow) in
            [(nose, 1.0, rgb(0xfff6e0), rgb(0xffe8b8)), (tail, -1.0, rgb(0xb01818), rgb(0xff3020))]
        {
            let middle = self.at(ahead, 0.0, 0.6);
            if !self.faces(out, 0.0, middle) {
                continue;
            }
            for side in [-1.0, 1.0] {
                let (a, b) = (side * (half - 0.38), side * (half - 0.05));
                let ahead = ahead + 0.01 * out;
                let lamp = [
                    self.at(ahead, a, 0.58),
                    self.at(ahead, b, 0.58),
                    self.at(ahead, b, 0.76),
                    self.at(ahead, a, 0.76),
                ];
                self.fill(canvas, &lamp, if lit { color } else { self.color(color, 0.9) });
                if let Some((point, metre)) =
                    self.view.point(self.at(ahead, (a + b) / 2.0, 0.67)).filter(|_| lit)
                {
                    let wide = metre * if out > 0.0 { 1.3 } else { 0.8 };
                    canvas.glow(point, (wide, wide), glow, 0.8);
                }
            }
            let plate = [
                self.at(ahead + 0.01 * out, -0.26, 0.42),
                self.at(ahead + 0.01 * out, 0.26, 0.42),
                self.at(ahead + 0.01 * out, 0.26, 0.54),
                self.at(ahead + 0.01 * out, -0.26, 0.54),
            ];
            self.fill(canvas, &plate, self.color(rgb(0xe9e6dc), 1.0));
        }
    }

    fn tram(&self, canvas: &mut Canvas<'_>) {
        let (half, long) = (1.2, 11.0);
        self.shadow(canvas, long, half + 0.2);
        let yellow = rgb(0xd8b13a);
        let silver = rgb(0xc9ccd0);
        let glass = if self.light.dark() { rgb(0xffe2a8) } else { self.color(rgb(0x202a33), 1.0) };
        let skirt = [0.95, 0.9, 0.9, 1.1].map(|shade| self.color(silver, shade));
        self.block(canvas, &Block { bottom: (-long, long), top: (-long, long), half, up: (0.3, 1.3) }, skirt);
        let band = Block { bottom: (-long, long), top: (-long + 0.2, long - 0.2), half, up: (1.3, 2.6) };
        self.block(canvas, &band, [glass; 4]);
        let roof = [1.0, 1.0, 1.0, 0.85].map(|shade| self.color(yellow, shade));
        self.block(
            canvas,
            &Block {
                bottom: (-long + 0.2, long - 0.2),
                top: (-long + 0.4, long - 0.4),
                half,
                up: (2.6, 3.2),
            },
            roof,
        );
        for out in [-1.0, 1.0] {
            let r = (half + 0.01) * out;
            if self.faces(0.0, out, self.at(0.0, r, 1.0)) {
                let mut ahead = -long;
                while ahead < long {
                    let post = [
                        self.at(ahead, r, 0.3),
                        self.at(ahead + 0.25, r, 0.3),
                        self.at(ahead + 0.25, r, 2.6),
                        self.at(ahead, r, 2.6),
                    ];
                    self.fill(canvas, &post, self.color(silver, 0.9));
                    ahead += 2.2;
                }
                let stripe = [
                    self.at(-long, r, 0.5),
                    self.at(long, r, 0.5),
                    self.at(long, r, 0.8),
                    self.at(-long, r, 0.8),
                ];
                self.fill(canvas, &stripe, self.color(yellow, 1.0));
            }
        }
    }

    fn person(&self, canvas: &mut Canvas<'_>, [coat, trousers, skin]: [Rgb; 3], tall: f32, stride: f32) {
        let Some(((x, y), metre)) = self.view.point(self.at(0.0, 0.0, 0.0)) else { return };
        let m = metre * tall / 1.75;
        canvas.ellipse((x + 0.1 * m, y), (0.38 * m, 0.11 * m), [0.03; 3], 0.2 + 0.2 * self.light.day);
        let [coat, trousers, skin] = [coat, trousers, skin].map(|color| self.color(color, 1.0));
        let step = 0.22 * stride * m;
        for (side, shade) in [(step, 0.8), (-step, 1.0)] {
            let hip = (x, y - 0.85 * m);
            let leg = [
                (hip.0 - 0.12 * m, hip.1),
                (hip.0 + 0.12 * m, hip.1),
                (x + side + 0.09 * m, y),
                (x + side - 0.09 * m, y),
            ];
            canvas.polygon(&leg, scale(trousers, shade), 1.0);
        }
        let torso = [
            (x - 0.2 * m, y - 1.45 * m),
            (x + 0.2 * m, y - 1.45 * m),
            (x + 0.24 * m, y - 1.1 * m),
            (x + 0.19 * m, y - 0.72 * m),
            (x - 0.19 * m, y - 0.72 * m),
            (x - 0.24 * m, y - 1.1 * m),
        ];
        canvas.polygon(&torso, coat, 1.0);
        let arm = [
            (x - 0.05 * m, y - 1.4 * m),
            (x + 0.08 * m, y - 1.4 * m),
            (x - step * 0.8 + 0.05 * m, y - 0.85 * m),
            (x - step * 0.8 - 0.06 * m, y - 0.85 * m),
        ];
        canvas.polygon(&arm, scale(coat, 0.8), 1.0);
        canvas.ellipse((x, y - 1.6 * m), (0.11 * m, 0.14 * m), skin, 1.0);
        canvas.ellipse((x, y - 1.66 * m), (0.12 * m, 0.10 * m), scale(trousers, 0.6), 1.0);
    }

    fn tree(&self, canvas: &mut Canvas<'_>, dice: &mut Dice, high: f32) {
        let Some((_, metre)) = self.view.point(self.at(0.0, 0.0, 0.0)) else { return };
        let trunk = self.color(rgb(0x4a3c30), 0.9);
        if let (Some((foot, _)), Some((top, _))) =
            (self.view.point(self.at(0.0, 0.0, 0.0)), self.view.point(self.at(0.0, 0.0, high * 0.7)))
        {
            if self.shadows {
                let dark = 0.1 + 0.2 * self.light.day;
                canvas.ellipse((foot.0 + metre * 0.6, foot.1), (1.9 * metre, 0.45 * metre), [0.03; 3], dark);
            }
            let half = 0.16 * metre;
            canvas.polygon(
                &[
                    (foot.0 - half, foot.1),
                    (foot.0 + half, foot.1),
                    (top.0 + half * 0.5, top.1),
                    (top.0 - half * 0.5, top.1),
                ],
                trunk,
                1.0,
            );
        }
        let green = mix(rgb(0x4f7238), rgb(0x7d7a35), dice.unit() as f32 * 0.7);
        let Some((middle, _)) = self.view.point(self.at(0.0, 0.0, high * 0.72)) else { return };
        for (layer, shade, count) in [(0, 0.55, 16), (1, 0.8, 16), (2, 1.08, 14)] {
            let lift = layer as f32 * 0.05 * high * metre;
            for _ in 0..count {
                let (sin, cos) = (dice.unit() as f32 * std::f32::consts::TAU).sin_cos();
                let far = (dice.unit() as f32).sqrt() * (0.30 - 0.04 * layer as f32) * high * metre;
                let at = (middle.0 + far * cos - lift * 0.5, middle.1 + far * 0.85 * sin - lift);
                let size = (0.05 + 0.07 * dice.unit() as f32) * high * metre * (1.0 - 0.2 * layer as f32);
                canvas.ellipse(
                    at,
                    (size, size * 0.8),
                    self.color(scale(green, shade + 0.15 * dice.unit() as f32), 1.0),
                    0.9,
                );
            }
        }
    }

    fn lamp(&self, canvas: &mut Canvas<'_>, over: f32) {
        let high = 6.5;
        let post = self.color(rgb(0x3a3f42), 1.0);
        let quad = |a: Place, b: Place, half: f32| {
            [
                [a[0] - half, a[1], a[2]],
                [a[0] + half, a[1], a[2]],
                [b[0] + half, b[1], b[2]],
                [b[0] - half, b[1], b[2]],
            ]
        };
        self.fill(canvas, &quad(self.at(0.0, 0.0, 0.0), self.at(0.0, 0.0, high), 0.07), post);
        let (x, z) = (self.place.0, self.place.1);
        let arm = [[x, high, z], [x + over, high + 0.3, z], [x + over, high + 0.18, z], [x, high - 0.12, z]];
        self.fill(canvas, &arm, post);
        let head = [
            [x + over * 0.8, high + 0.2, z],
            [x + over * 1.3, high + 0.3, z],
            [x + over * 1.3, high + 0.12, z],
            [x + over * 0.8, high + 0.05, z],
        ];
        self.fill(canvas, &head, if self.light.dark() { rgb(0xfff0c8) } else { post });
        if self.shadows
            && self.light.dark()
            && let Some((point, metre)) = self.view.point([x + over, high + 0.1, z])
        {
            canvas.glow(point, (1.6 * metre, 1.6 * metre), rgb(0xffd890), 0.75);
        }
    }

    fn shelter(&self, canvas: &mut Canvas<'_>) {
        let glass = self.color(rgb(0x9fb4bd), 1.0);
        let steel = self.color(rgb(0x43494d), 1.0);
        let back = [
            self.at(-2.5, 0.6, 0.3),
            self.at(2.5, 0.6, 0.3),
            self.at(2.5, 0.6, 2.3),
            self.at(-2.5, 0.6, 2.3),
        ];
        self.view.fill(canvas, &back, glass, 0.45);
        for ahead in [-2.5, -0.9, 0.8, 2.4] {
            let post = [
                self.at(ahead, 0.6, 0.0),
                self.at(ahead + 0.1, 0.6, 0.0),
                self.at(ahead + 0.1, 0.6, 2.4),
                self.at(ahead, 0.6, 2.4),
            ];
            self.fill(canvas, &post, steel);
        }
        let poster = if self.light.dark() { rgb(0xf4ead0) } else { self.color(rgb(0xc9a24a), 1.0) };
        self.fill(
            canvas,
            &[
                self.at(1.0, 0.58, 0.5),
                self.at(2.3, 0.58, 0.5),
                self.at(2.3, 0.58, 2.1),
                self.at(1.0, 0.58, 2.1),
            ],
            poster,
        );
        let colors = [0.9, 0.9, 0.9, 1.15].map(|shade| self.color(rgb(0x565c60), shade));
        self.block(
            canvas,
            &Block { bottom: (-2.8, 2.8), top: (-2.8, 2.8), half: 0.9, up: (2.4, 2.55) },
            colors,
        );
    }
}
