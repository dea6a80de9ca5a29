//! Built-in scenes that look like what cameras see: a street, a crossing, a car park, a platform and
//! a night road, each with things that move, a running clock and sensor noise.

use crate::picture::Picture;

/// How many kinds of scene there are.
pub const KINDS: usize = 5;

/// A scene: the same `kind` and `seed` give the same pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scene {
    /// Which kind, taken modulo [`KINDS`].
    pub kind: usize,
    /// Varies colours, speeds and places.
    pub seed: u64,
}

/// Something that moves along a line and comes round again within a loop.
struct Mover {
    /// Fractions of the picture: the row it stands on, its size, where it starts.
    y: f64,
    size: (f64, f64),
    start: f64,
    /// Crossings of the picture per loop; negative to the left.
    laps: f64,
    color: [u8; 3],
    lights: bool,
}

struct Look {
    sky: [u8; 3],
    ground: [u8; 3],
    road: Option<(f64, f64)>,
    noise: i32,
    movers: Vec<Mover>,
}

/// A small generator (xorshift64*), enough for colours and noise.
pub(crate) struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
    pub fn unit(&mut self) -> f64 {
        self.next() as f64 / (1u64 << 32) as f64
    }
}

/// Draws the pictures of one scene; what never changes is drawn once.
pub struct Painter {
    seed: u64,
    look: Look,
    background: Picture,
}

impl Painter {
    /// Overwrites `picture`, which has the painter's size, with the one at `at` (0 to 1) of the loop;
    /// `seconds` is what the clock shows.
    pub fn draw(&self, picture: &mut Picture, at: f64, seconds: f64) {
        picture.clone_from(&self.background);
        for mover in &self.look.movers {
            draw_mover(picture, mover, at);
        }
        add_noise(picture, self.seed ^ seconds.to_bits(), self.look.noise);
        draw_clock(picture, seconds);
    }
}

impl Scene {
    /// Draws the picture at `at` (0 to 1) of the loop; `seconds` is what the clock shows. Who draws
    /// many keeps a [`Painter`].
    pub fn draw(&self, picture: &mut Picture, at: f64, seconds: f64) {
        let (width, height) = picture.size();
        self.painter(width as u32, height as u32).draw(picture, at, seconds);
    }

    /// What draws the pictures of this scene in one size.
    pub fn painter(&self, width: u32, height: u32) -> Painter {
        let look = self.look();
        let mut background = Picture::new(width, height);
        self.background(&mut background, &look);
        Painter { seed: self.seed, look, background }
    }

    fn look(&self) -> Look {
        let mut dice = Dice::new(self.seed ^ 0xabcd);
        let (sky, ground, road, noise) = match self.kind % KINDS {
            0 => ([150, 138, 120], [104, 126, 130], Some((0.42, 0.92)), 5),
            1 => ([128, 130, 126], [92, 128, 128], Some((0.30, 0.98)), 4),
            2 => ([110, 122, 132], [118, 126, 130], None, 4),
            3 => ([84, 126, 132], [138, 122, 134], Some((0.75, 1.0)), 6),
            _ => ([28, 134, 126], [44, 128, 130], Some((0.45, 0.95)), 10),
        };
        let cars = [6, 9, 4, 0, 6][self.kind % KINDS];
        let people = [5, 8, 3, 16, 1][self.kind % KINDS];
        let (top, bottom) = road.unwrap_or((0.3, 0.95));
        let mut movers = Vec::new();
        for i in 0..cars {
            let near = f64::from(i) / f64::from(cars);
            let left = i % 2 == 0;
            movers.push(Mover {
                y: top + 0.08 + near * (bottom - top - 0.08),
                size: (0.07 + 0.08 * near, 0.05 + 0.06 * near),
                start: dice.unit(),
                laps: (1.0 + dice.below(3) as f64) * if left { -1.0 } else { 1.0 },
                color: [50 + dice.below(150) as u8, 96 + dice.below(64) as u8, 96 + dice.below(64) as u8],
                lights: self.kind % KINDS == 4,
            });
        }
        for i in 0..people {
            let near = (f64::from(i) + 0.5) / f64::from(people);
            movers.push(Mover {
                y: 0.35 + 0.6 * near,
                size: (0.012 + 0.012 * near, 0.08 + 0.10 * near),
                start: dice.unit(),
                laps: if dice.below(2) == 0 { 1.0 } else { -1.0 },
                color: [40 + dice.below(120) as u8, 100 + dice.below(56) as u8, 100 + dice.below(56) as u8],
                lights: false,
            });
        }
        movers.sort_by(|a, b| a.y.total_cmp(&b.y));
        Look { sky, ground, road, noise, movers }
    }

    fn background(&self, picture: &mut Picture, look: &Look) {
        let mut dice = Dice::new(self.seed ^ 0x5eed);
        let horizon = 0.30;
        for step in 0..16 {
            let y = horizon * f64::from(step) / 16.0;
            let shade = look.sky[0].saturating_add(step as u8 * 2);
            picture.fill((0.0, y), (1.0, horizon / 16.0 + 0.01), [shade, look.sky[1], look.sky[2]]);
        }
        picture.fill((0.0, horizon), (1.0, 1.0 - horizon), look.ground);
        let mut x = 0.0;
        while x < 1.0 {
            let (w, h) = (0.06 + dice.unit() * 0.1, 0.08 + dice.unit() * 0.18);
            let wall = 60 + dice.below(110) as u8;
            let wall = if self.kind % KINDS == 4 { wall / 3 } else { wall };
            let tint = 118 + dice.below(20) as u8;
            picture.fill((x, horizon - h), (w, h), [wall, tint, 256u16.wrapping_sub(u16::from(tint)) as u8]);
            for row in 0..(h / 0.04) as usize {
                for column in 0..(w / 0.02) as usize {
                    let lit = dice.below(4) == 0;
                    let place = (x + 0.005 + 0.02 * column as f64, horizon - h + 0.01 + 0.04 * row as f64);
                    let pane = if lit { [200, 108, 140] } else { [wall / 2 + 10, 130, 124] };
                    picture.fill(place, (0.011, 0.022), pane);
                }
            }
            x += w + 0.01;
        }
        if let Some((top, bottom)) = look.road {
            picture.fill(
                (0.0, top),
                (1.0, bottom - top),
                [(u16::from(look.ground[0]) * 2 / 3) as u8, 128, 128],
            );
            for i in 0..12 {
                let middle = (top + bottom) / 2.0;
                picture.fill((f64::from(i) / 12.0, middle), (0.045, 0.012), [190, 128, 128]);
            }
        } else {
            for i in 0..10 {
                picture.fill((0.05 + f64::from(i) / 10.5, 0.36), (0.006, 0.5), [180, 128, 128]);
            }
        }
    }
}

fn draw_mover(picture: &mut Picture, mover: &Mover, at: f64) {
    let span = 1.0 + 2.0 * mover.size.0;
    let along = (mover.start + mover.laps * at).rem_euclid(1.0);
    let x = along * span - 1.5 * mover.size.0;
    let (w, h) = mover.size;
    let y = mover.y - h;
    let dark = [mover.color[0] / 2 + 8, 128, 128];
    if w > h * 0.5 {
        picture.fill((x, y + h * 0.35), (w, h * 0.5), mover.color);
        picture.fill((x + w * 0.2, y), (w * 0.55, h * 0.4), dark);
        for wheel in [0.12, 0.68] {
            picture.fill((x + w * wheel, y + h * 0.8), (w * 0.2, h * 0.2), [22, 128, 128]);
        }
        if mover.lights {
            let front = if mover.laps > 0.0 { x + w * 0.95 } else { x };
            picture.fill((front, y + h * 0.5), (w * 0.1, h * 0.15), [235, 110, 140]);
        }
    } else {
        picture.fill((x + w * 0.25, y), (w * 0.5, h * 0.2), [165, 112, 148]);
        picture.fill((x, y + h * 0.2), (w, h * 0.42), mover.color);
        let stride = if (at * 80.0) as i64 % 2 == 0 { 0.0 } else { w * 0.3 };
        picture.fill((x + stride, y + h * 0.6), (w * 0.35, h * 0.4), dark);
        picture.fill((x + w * 0.65 - stride / 2.0, y + h * 0.6), (w * 0.35, h * 0.4), dark);
    }
}

/// Triangular noise of `strength` on every fourth sample: what a sensor shows, at a cost that an
/// ordinary bit rate bears.
pub(crate) fn add_noise(picture: &mut Picture, seed: u64, strength: i32) {
    let mut dice = Dice::new(seed);
    let luma = picture.luma_mut();
    let mut i = 0;
    while i < luma.len() {
        let roll = dice.next();
        let noise = ((roll & 0xff) as i32 + (roll >> 8 & 0xff) as i32 - 255) * strength / 255;
        luma[i] = (i32::from(luma[i]) + noise).clamp(16, 235) as u8;
        i += 1 + (roll >> 16 & 7) as usize;
    }
}

/// Digits of 3 x 5 cells, one row of 3 bits per octal digit from the top.
const DIGITS: [u16; 10] =
    [0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71111, 0o75757, 0o75717];

/// The running clock, `mm:ss.t`, at the upper right, away from labels.
fn draw_clock(picture: &mut Picture, seconds: f64) {
    let tenths = (seconds * 10.0).floor() as u64;
    let (m, s, t) = (tenths / 600 % 60, tenths / 10 % 60, tenths % 10);
    let (cell, line) = (0.006, 0.0107);
    picture.fill((0.80 - cell, 0.04 - line), (27.0 * cell, 7.0 * line), [16, 128, 128]);
    write(picture, &format!("{m:02}.{s:02}.{t}"), (0.80, 0.04), cell, [235, 128, 128]);
}

/// Writes digits, `-`, `.` and `:`; anything else is a space. A cell is a fraction of the width.
pub(crate) fn write(picture: &mut Picture, text: &str, at: (f64, f64), cell: f64, color: [u8; 3]) {
    let line = cell * 0.0107 / 0.006;
    let mut x = at.0;
    for letter in text.chars() {
        let mut dot = |column: usize, row: usize| {
            picture.fill((x + cell * column as f64, at.1 + line * row as f64), (cell, line), color);
        };
        let rows: &[usize] = match letter {
            '.' => &[4],
            ':' => &[1, 3],
            _ => &[],
        };
        rows.iter().for_each(|row| dot(0, *row));
        if letter == '-' {
            (0..3).for_each(|column| dot(column, 2));
        }
        if let Some(digit) = letter.to_digit(10) {
            let is_on =
                |row: usize, column: usize| DIGITS[digit as usize] >> ((4 - row) * 3 + (2 - column)) & 1 == 1;
            for (row, column) in (0..15).map(|n| (n / 3, n % 3)).filter(|(r, c)| is_on(*r, *c)) {
                dot(column, row);
            }
        }
        x += if rows.is_empty() { 4.0 } else { 2.0 } * cell;
    }
}
