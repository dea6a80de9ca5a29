//! Colour matrix and range to the canvas's, in fixed point.
//!
//! Luma of a pixel uses the chroma sample of its own 2x2 block (ITU-T H.273 equations 50 to 58
//! through [`Affine`]); chroma does not depend on luma (see [`crate::composite::color`]). Results
//! are rounded to nearest and clamped to a byte. One chroma row serves two luma rows.

use crate::composite::color::{Affine, CANVAS};
use crate::media::Colorimetry;

/// Fraction bits: the sum of all terms stays below 2^31, the error below 1/40 of a step.
const BITS: u32 = 14;
const HALF: i32 = 1 << (BITS - 1);

/// One conversion, and its row buffer.
#[derive(Debug)]
pub(super) struct Converter {
    y: [i32; 3],
    y_offset: i32,
    u: [i32; 2],
    v: [i32; 2],
    /// What chroma adds to each luma sample of a row pair, rounding included.
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
        let bias = (128 << BITS) + HALF;
        let byte = |sum: i32| (sum >> BITS).clamp(0, 255) as u8;
        for (((u, v), out_u), out_v) in u.iter().zip(v).zip(out_u).zip(out_v) {
            let (u, v) = (i32::from(*u) - 128, i32::from(*v) - 128);
            *out_u = byte(self.u[0] * u + self.u[1] * v + bias);
            *out_v = byte(self.v[0] * u + self.v[1] * v + bias);
        }
        let (cu, cv, bias) = (self.y[1], self.y[2], self.y_offset + HALF);
        let term = |(u, v): (&u8, &u8)| cu * (i32::from(*u) - 128) + cv * (i32::from(*v) - 128) + bias;
        if self.luma_scale_stays() {
            self.terms.resize(2 * u.len(), 0);
            for (pair, uv) in self.terms.as_chunks_mut().0.iter_mut().zip(u.iter().zip(v)) {
                *pair = [(term(uv) >> BITS) as i16; 2];
            }
        } else {
            self.wide_terms.resize(2 * u.len(), 0);
            for (pair, uv) in self.wide_terms.as_chunks_mut().0.iter_mut().zip(u.iter().zip(v)) {
                *pair = [term(uv); 2];
            }
        }
    }

    /// Converts a luma row that lies over the chroma rows given last; both start at an even column.
    pub(super) fn luma(&self, luma: &[u8], out: &mut [u8]) {
        if self.luma_scale_stays() {
            for ((luma, term), out) in luma.iter().zip(&self.terms).zip(out) {
                *out = (i16::from(*luma) + term).clamp(0, 255) as u8;
            }
        } else {
            let scale = self.y[0];
            for ((luma, term), out) in luma.iter().zip(&self.wide_terms).zip(out) {
                *out = ((i32::from(*luma) * scale + term) >> BITS).clamp(0, 255) as u8;
            }
        }
    }
}
