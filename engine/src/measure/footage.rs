//! Pictures to measure with: a still, textured scene, things that drive through it, and grain, as a
//! street camera gives them. The same on every machine.

use crate::media::{Frame, FrameMeta};

/// Rows of grain; longer than any picture is wide.
const GRAIN: usize = 1 << 14;
/// Side of the scene's coarse texture, in lines of a 1080-line picture.
const COARSE: f32 = 24.0;
const FINE: f32 = 5.0;

/// A scene of one size, repeated `side` by `side` times as on a wall.
pub struct Footage {
    width: usize,
    height: usize,
    side: usize,
    background: Vec<u8>,
    grain: Vec<i8>,
}

impl Footage {
    /// A scene of so many pixels, both even, that fills each of `side` x `side` tiles.
    pub fn new(width: u32, height: u32, side: u32) -> Footage {
        let (width, height, side) = (width as usize, height as usize, side as usize);
        let unit = 1080.0 / height as f32 * side as f32;
        let mut background = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let (u, v) = ((x % (width / side)) as f32 * unit, (y % (height / side)) as f32 * unit);
                let value = 60.0 + 90.0 * noise(u / COARSE, v / COARSE) + 50.0 * noise(u / FINE, v / FINE);
                background.push(value as u8);
            }
        }
        // The sum of two is nearer to a sensor's noise than one.
        let grain = (0..GRAIN as u32)
            .map(|n| ((hash(n, 7) >> 29) as i8 + (hash(n, 8) >> 29) as i8) - 7)
            .map(|g| g / 2)
            .collect();
        Footage { width, height, side, background, grain }
    }

    /// Picture `n`.
    pub fn frame(&self, n: u32) -> Frame {
        let (w, h) = (self.width, self.height);
        let mut data = self.background.clone();
        for tile in 0..self.side * self.side {
            for car in 0..4 {
                self.drive(&mut data, tile, car, n);
            }
        }
        for (y, row) in data.chunks_mut(w).enumerate() {
            let from = hash(n, y as u32) as usize;
            for (x, sample) in row.iter_mut().enumerate() {
                *sample = sample.saturating_add_signed(self.grain[(from + x) % GRAIN]);
            }
        }
        data.resize(w * h + w * h / 4, 120);
        data.resize(w * h + w * h / 2, 132);
        Frame::packed_i420(w as u32, h as u32, data.into(), FrameMeta::default())
            .expect("even sizes, and as many bytes as they need")
    }

    /// A bright or dark block with a texture of its own that crosses its tile in some seconds.
    fn drive(&self, data: &mut [u8], tile: usize, car: usize, n: u32) {
        let (tw, th) = (self.width / self.side, self.height / self.side);
        let (left, top) = (tile % self.side * tw, tile / self.side * th);
        let (cw, ch) = ((tw / 7).max(2), (th / 8).max(2));
        let step = (n as usize * tw * (2 + car) / 250 + hash(tile as u32, car as u32) as usize % tw) % tw;
        let (x0, y0) = (if car.is_multiple_of(2) { step } else { tw - 1 - step }, th * (2 * car + 1) / 9);
        for y in y0..(y0 + ch).min(th) {
            for x in x0..(x0 + cw).min(tw) {
                let stripe = ((x - x0) * 12 / cw + (y - y0) * 6 / ch) % 2 == 0;
                let shade = 40 + 45 * car as u8;
                data[(top + y) * self.width + left + x] = if stripe { shade } else { shade + 35 };
            }
        }
    }
}

fn hash(a: u32, b: u32) -> u32 {
    let mut h = a.wrapping_mul(0x9e37_79b1) ^ b.wrapping_mul(0x85eb_ca77);
    h = (h ^ h >> 15).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ h >> 12).wrapping_mul(0x297a_2d39);
    h ^ h >> 15
}

/// Value noise, 0 to 1: random values at whole coordinates, linear between.
fn noise(u: f32, v: f32) -> f32 {
    let (x, y) = (u as u32, v as u32);
    let (fx, fy) = (u.fract(), v.fract());
    let at = |x, y| (hash(x, y) >> 8) as f32 / (1 << 24) as f32;
    let mix = |a: f32, b: f32, f: f32| a + (b - a) * f;
    mix(mix(at(x, y), at(x + 1, y), fx), mix(at(x, y + 1), at(x + 1, y + 1), fx), fy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_move_and_are_the_same_each_time() {
        let footage = Footage::new(320, 180, 2);
        let data = |n| footage.frame(n).planes()[0].data.clone();
        assert_eq!(data(3), Footage::new(320, 180, 2).frame(3).planes()[0].data.clone());
        let far = |a: &[u8], b: &[u8]| a.iter().zip(b).filter(|(a, b)| a.abs_diff(**b) > 16).count();
        let moved = far(&data(0), &data(25));
        assert!(moved > 200 && moved < 320 * 180 / 2, "{moved} samples moved");
        assert!(far(&data(0), &data(0)) == 0);
    }
}
