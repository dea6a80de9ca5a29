//! Pictures of other layouts made into 8-bit 4:2:0, right after the decoder: other chroma, more bits, RGB.
//!
//! Plain integers, no scaler: samples of more than 8 bits are rounded, chroma is the mean of the samples
//! that lie over the two by two pixels that it covers afterwards. Where the source has fewer than that
//! (4:1:1), its sample is repeated. Range and matrix stay what they were, but for RGB.

use std::sync::Arc;

use ffmpeg_next::frame;

use super::planes::{self, Layout, Place};
use crate::media::{Matrix, Plane};

/// The neutral chroma value.
const NEUTRAL: u8 = 128;

/// The planes of `owner` as I420; `None` where one of them is missing or too short. `matrix` is what RGB
/// becomes, in limited range.
pub(super) fn to_i420(owner: &Arc<frame::Video>, layout: &Layout, matrix: Matrix) -> Option<Vec<Plane>> {
    let (w, h) = (owner.width() as usize, owner.height() as usize);
    let size = Size { w, h, cw: w.div_ceil(2), ch: h.div_ceil(2) };
    let samples = |index: usize| Samples::of(owner, layout, index, size);
    if layout.rgb {
        return Some(from_rgb([samples(0)?, samples(1)?, samples(2)?], size, Weights::of(matrix)));
    }
    let luma = packed(size.w, luma(&samples(0)?, size));
    if layout.places.len() < 3 {
        let neutral = packed(size.cw, vec![NEUTRAL; size.cw * size.ch]);
        return Some(vec![luma, neutral.clone(), neutral]);
    }
    let subsampled = (layout.log2_chroma_w, layout.log2_chroma_h);
    let chroma = |index| Some(packed(size.cw, chroma(&samples(index)?, size, subsampled)));
    Some(vec![luma, chroma(1)?, chroma(2)?])
}

fn packed(stride: usize, data: Vec<u8>) -> Plane {
    Plane { data: data.into(), stride }
}

/// Of a picture, and of its chroma as 4:2:0.
#[derive(Clone, Copy)]
struct Size {
    w: usize,
    h: usize,
    cw: usize,
    ch: usize,
}

/// The samples of one component.
struct Samples {
    plane: Plane,
    place: Place,
    width: usize,
    big_endian: bool,
}

impl Samples {
    fn of(owner: &Arc<frame::Video>, layout: &Layout, index: usize, size: Size) -> Option<Samples> {
        let place = *layout.places.get(index)?;
        // Rounded up, as every plane of a subsampled component is.
        let sub = |len: usize, log2: u32| (len + (1 << log2) - 1) >> log2;
        let is_chroma = !layout.rgb && (index == 1 || index == 2);
        let (width, height) = if is_chroma {
            (sub(size.w, layout.log2_chroma_w), sub(size.h, layout.log2_chroma_h))
        } else {
            (size.w, size.h)
        };
        let row = width.checked_sub(1)?.checked_mul(place.step)? + place.offset + place.bytes();
        let plane = planes::plane(owner, place.plane, row, height)?;
        Some(Samples { plane, place, width, big_endian: layout.big_endian })
    }

    /// Row `y`, a value a sample.
    fn row(&self, y: usize, out: &mut Vec<u16>) {
        let Place { step, offset, shift, depth, .. } = self.place;
        let len = (self.width - 1) * step + offset + self.place.bytes();
        let bytes = &self.plane.row(y, len)[offset..];
        let mask = u16::MAX >> (16 - depth);
        out.clear();
        match (self.place.bytes(), step, self.big_endian) {
            (1, 1, _) => out.extend(bytes.iter().map(|b| u16::from(*b))),
            (1, ..) => out.extend(bytes.iter().step_by(step).map(|b| u16::from(*b))),
            (_, 2, false) => {
                let words = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
                out.extend(words.map(|word| (word >> shift) & mask));
            }
            (_, _, big) => {
                let word = |b: &[u8]| {
                    let pair = [b[0], b[1]];
                    if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
                };
                let words = bytes.chunks(step).filter(|b| b.len() >= 2).map(word);
                out.extend(words.map(|word| (word >> shift) & mask));
            }
        }
    }
}

/// A sum of `1 << log2` samples of `depth` bits as their mean in 8 bits.
fn mean(sum: u32, log2: u32, depth: u32) -> u8 {
    let bits = log2 + depth - 8;
    let half = (1 << bits) >> 1;
    ((sum + half) >> bits).min(255) as u8
}

fn luma(samples: &Samples, size: Size) -> Vec<u8> {
    let depth = samples.place.depth;
    let mut out = Vec::with_capacity(size.w * size.h);
    let mut row = Vec::with_capacity(size.w);
    for y in 0..size.h {
        samples.row(y, &mut row);
        out.extend(row.iter().map(|v| mean(u32::from(*v), 0, depth)));
    }
    out
}

fn chroma(samples: &Samples, size: Size, (log2_w, log2_h): (u32, u32)) -> Vec<u8> {
    let depth = samples.place.depth;
    let mut out = Vec::with_capacity(size.cw * size.ch);
    let (mut upper, mut lower, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    for y in 0..size.ch {
        samples.row((2 * y) >> log2_h, &mut upper);
        samples.row((2 * y + 1).min(size.h - 1) >> log2_h, &mut lower);
        sums.clear();
        sums.extend(upper.iter().zip(&lower).map(|(a, b)| u32::from(*a) + u32::from(*b)));
        if log2_w == 0 {
            // The last column of an odd width stands alone.
            let pairs = sums.chunks(2).map(|pair| pair[0] + pair[pair.len() - 1]);
            out.extend(pairs.map(|sum| mean(sum, 2, depth)));
        } else {
            out.extend((0..size.cw).map(|x| mean(2 * sums[x >> (log2_w - 1)], 2, depth)));
        }
    }
    out
}

/// What each of R, G and B adds to Y, U and V in limited range, in 65536ths of the value of 8 bits.
struct Weights([[i32; 3]; 3]);

impl Weights {
    fn of(matrix: Matrix) -> Weights {
        // ITU-T H.273, equations 38 to 40.
        let (kr, kb) = match matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt2020 => (0.2627, 0.0593),
        };
        let kg = 1.0 - kr - kb;
        let scaled =
            |weights: [f64; 3], steps: f64| weights.map(|w| (w * steps / 255.0 * 65536.0).round() as i32);
        let y = scaled([kr, kg, kb], 219.0);
        let u = scaled([-kr, -kg, 1.0 - kb].map(|w| w / (2.0 * (1.0 - kb))), 224.0);
        let v = scaled([1.0 - kr, -kg, -kb].map(|w| w / (2.0 * (1.0 - kr))), 224.0);
        Weights([y, u, v])
    }

    fn apply(&self, row: usize, rgb: [i32; 3], offset: i32) -> u8 {
        let sum: i32 = self.0[row].iter().zip(rgb).map(|(weight, value)| weight * value).sum();
        (((sum + 32768) >> 16) + offset).clamp(0, 255) as u8
    }
}

fn from_rgb(samples: [Samples; 3], size: Size, weights: Weights) -> Vec<Plane> {
    let mut luma = Vec::with_capacity(size.w * size.h);
    let (mut u, mut v) = (Vec::with_capacity(size.cw * size.ch), Vec::with_capacity(size.cw * size.ch));
    let mut wide = Vec::with_capacity(size.w);
    let mut rows: [[Vec<i32>; 3]; 2] = Default::default();
    for y in (0..size.h).step_by(2) {
        for (row, y) in rows.iter_mut().zip([y, (y + 1).min(size.h - 1)]) {
            for (values, samples) in row.iter_mut().zip(&samples) {
                samples.row(y, &mut wide);
                let depth = samples.place.depth;
                values.clear();
                values.extend(wide.iter().map(|v| i32::from(mean(u32::from(*v), 0, depth))));
            }
        }
        for row in rows.iter().take((size.h - y).min(2)) {
            luma.extend((0..size.w).map(|x| weights.apply(0, [0, 1, 2].map(|c| row[c][x]), 16)));
        }
        for x in (0..size.w).step_by(2) {
            let beside = (x + 1).min(size.w - 1);
            let sum = |c: usize| rows.iter().map(|row| row[c][x] + row[c][beside]).sum::<i32>();
            let rgb = [0, 1, 2].map(|c| (sum(c) + 2) >> 2);
            u.push(weights.apply(1, rgb, 128));
            v.push(weights.apply(2, rgb, 128));
        }
    }
    vec![packed(size.w, luma), packed(size.cw, u), packed(size.cw, v)]
}
