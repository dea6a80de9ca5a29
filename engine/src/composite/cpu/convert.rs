//! Colour matrix and range to the canvas's, in fixed point.
//!
//! Luma of a pixel uses the chroma sample of its own 2x2 block (ITU-T H.273 equations 50 to 58
//! through [`Affine`]); chroma does not depend on luma (see [`crate::composite::color`]). Results
//! are rounded to nearest and clamped to a byte. One chroma row serves two luma rows.

use crate::composite::color::{Affine, CANVAS};
use crate::fit::{Kernel, Level, run};
use crate::media::Colorimetry;

/// Fraction bits: the sum of all terms stays below 2^31, the error below 1/40 of a step.
const BITS: u32 = 14;
const HALF: i32 = 1 << (BITS - 1);

/// One conversion, and its row buffer.
#[derive(Debug)]
pub(super) struct Converter {
    level: Level,
    y: [i32; 3],
    y_offset: i32,
    u: [i32; 2],
    v: [i32; 2],
    /// What each chroma sample adds to the luma of its block, rounding included.
    terms: Vec<i16>,
    wide_terms: Vec<i32>,
}

impl Converter {
    /// `None` where nothing is to convert.
    pub(super) fn to_canvas(from: Colorimetry) -> Option<Converter> {
        if from == CANVAS {
            return None;
        }
        let map = Affine::between(from, CANVAS);
        let fixed = |c: f64| (c * f64::from(1 << BITS)).round() as i32;
        Some(Converter {
            level: Level::best(),
            y: map.y.map(fixed),
            y_offset: fixed(map.y_offset),
            u: map.u.map(fixed),
            v: map.v.map(fixed),
            terms: Vec::new(),
            wide_terms: Vec::new(),
        })
    }

    /// True where luma keeps its scale, so that chroma only adds a small number to it.
    fn luma_scale_stays(&self) -> bool {
        self.y[0] == 1 << BITS
    }

    /// Takes the chroma rows of the next two luma rows; writes the converted ones.
    pub(super) fn chroma(&mut self, u: &[u8], v: &[u8], out_u: &mut [u8], out_v: &mut [u8]) {
        run(self.level, ChromaRow { converter: self, u, v, out_u, out_v });
    }

    /// Converts a luma row that lies over the chroma rows given last; both start at an even column.
    pub(super) fn luma(&self, luma: &[u8], out: &mut [u8]) {
        run(self.level, LumaRow { converter: self, luma, out });
    }
}

struct ChromaRow<'a> {
    converter: &'a mut Converter,
    u: &'a [u8],
    v: &'a [u8],
    out_u: &'a mut [u8],
    out_v: &'a mut [u8],
}

impl Kernel for ChromaRow<'_> {
    #[inline(always)]
    fn run(self) {
        let ChromaRow { converter, u, v, out_u, out_v } = self;
        let bias = (128 << BITS) + HALF;
        mix(u, v, out_u, converter.u, bias, byte);
        mix(u, v, out_v, converter.v, bias, byte);
        let (terms, bias) = ([converter.y[1], converter.y[2]], converter.y_offset + HALF);
        if converter.luma_scale_stays() {
            converter.terms.resize(u.len(), 0);
            mix(u, v, &mut converter.terms, terms, bias, |sum| (sum >> BITS) as i16);
        } else {
            converter.wide_terms.resize(u.len(), 0);
            mix(u, v, &mut converter.wide_terms, terms, bias, |sum| sum);
        }
    }
}

/// Writes what `end` makes of each chroma pair's weighted sum.
#[inline(always)]
fn mix<T>(u: &[u8], v: &[u8], out: &mut [T], weights: [i32; 2], bias: i32, end: impl Fn(i32) -> T) {
    for ((u, v), out) in u.iter().zip(v).zip(out) {
        *out = end(weights[0] * (i32::from(*u) - 128) + weights[1] * (i32::from(*v) - 128) + bias);
    }
}

#[inline(always)]
fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

struct LumaRow<'a> {
    converter: &'a Converter,
    luma: &'a [u8],
    out: &'a mut [u8],
}

impl Kernel for LumaRow<'_> {
    #[inline(always)]
    fn run(self) {
        let LumaRow { converter, luma, out } = self;
        let pairs = luma.as_chunks::<2>().0.iter().zip(out.as_chunks_mut::<2>().0);
        if converter.luma_scale_stays() {
            let terms = &converter.terms;
            for ((luma, out), term) in pairs.zip(terms) {
                *out = luma.map(|luma| (i16::from(luma) + term).clamp(0, 255) as u8);
            }
        } else {
            let (scale, terms) = (converter.y[0], &converter.wide_terms);
            for ((luma, out), term) in pairs.zip(terms) {
                *out = luma.map(|luma| byte(i32::from(luma) * scale + term));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Matrix, Range};

    #[test]
    fn every_instruction_set_converts_the_same_way() {
        let samples = |step: usize| -> Vec<u8> { (0..511).map(|i| (i * step % 256) as u8).collect() };
        let (u, v, luma) = (samples(37), samples(101), [samples(5), samples(77)].concat());
        for range in [Range::Limited, Range::Full] {
            let convert = |level| {
                let mut converter =
                    Converter::to_canvas(Colorimetry { matrix: Matrix::Bt601, range }).expect("differs");
                converter.level = level;
                let mut out = [vec![0; u.len()], vec![0; v.len()], vec![0; luma.len()]];
                let [out_u, out_v, out_luma] = &mut out;
                converter.chroma(&u, &v, out_u, out_v);
                converter.luma(&luma, out_luma);
                out
            };
            for level in Level::available() {
                assert_eq!(convert(level), convert(Level::Base), "{level:?}");
            }
        }
    }
}
