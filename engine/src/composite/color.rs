//! Colour arithmetic that both executors and the snapshots share: matrices, ranges, conversions.
//!
//! A sample triple (Y, U, V) maps to non-linear R'G'B' by ITU-T H.273, equations 38 to 43 (range)
//! and 50 to 58 (matrix, with the weights of table 4). Changing matrix or range is therefore one
//! affine map of the triple. Because both matrices put grey on the luma axis, the new chroma does
//! not depend on luma at all, and where the range stays, the new luma is the old one plus a term of
//! chroma. Transfer characteristics and primaries are left alone: cameras tag them poorly, and the
//! difference between BT.601 and BT.709 primaries is below what an operator can see.

use crate::media::{Colorimetry, Matrix, Range};

/// The canvas: BT.709, limited range.
pub const CANVAS: Colorimetry = Colorimetry { matrix: Matrix::Bt709, range: Range::Limited };

/// Red and blue weights of luma (ITU-T H.273 table 4, values 6, 1 and 9).
pub const fn luma_weights(matrix: Matrix) -> (f64, f64) {
    match matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
    }
}

/// Offset and extent of luma, extent of chroma (H.273 equations 38 to 43, 8 bits); chroma is centred
/// on 128.
pub const fn extents(range: Range) -> (f64, f64, f64) {
    match range {
        Range::Limited => (16.0, 219.0, 224.0),
        Range::Full => (0.0, 255.0, 255.0),
    }
}

/// An affine map of (Y, U, V): the coefficients that are not zero by construction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Luma from luma, U and V.
    pub y: [f64; 3],
    /// Added to luma; U and V enter as `u - 128` and `v - 128`.
    pub y_offset: f64,
    /// U from `u - 128` and `v - 128`; 128 is added.
    pub u: [f64; 2],
    /// V from `u - 128` and `v - 128`; 128 is added.
    pub v: [f64; 2],
}

impl Affine {
    /// The map between two colorimetries, exact but for rounding in `f64`.
    pub fn between(from: Colorimetry, to: Colorimetry) -> Affine {
        let (kr, kb) = luma_weights(from.matrix);
        let (kr2, kb2) = luma_weights(to.matrix);
        let (kg, kg2) = (1.0 - kr - kb, 1.0 - kr2 - kb2);
        let (offset, luma, chroma) = extents(from.range);
        let (offset2, luma2, chroma2) = extents(to.range);
        // R' = Y + r·Pr, B' = Y + b·Pb, G' = Y - gr·Pr - gb·Pb
        let (r, b) = (2.0 * (1.0 - kr), 2.0 * (1.0 - kb));
        let (gr, gb) = (kr * r / kg, kb * b / kg);
        // Y2 = Y + yb·Pb + yr·Pr
        let yb = kb2 * b - kg2 * gb;
        let yr = kr2 * r - kg2 * gr;
        let (r2, b2) = (2.0 * (1.0 - kr2), 2.0 * (1.0 - kb2));
        let scale = chroma2 / chroma;
        Affine {
            y: [luma2 / luma, yb * luma2 / chroma, yr * luma2 / chroma],
            y_offset: offset2 - offset * luma2 / luma,
            u: [(b - yb) / b2 * scale, -yr / b2 * scale],
            v: [-yb / r2 * scale, (r - yr) / r2 * scale],
        }
    }

    /// The map applied to one triple, without rounding or clamping.
    pub fn apply(&self, [y, u, v]: [f64; 3]) -> [f64; 3] {
        let (u, v) = (u - 128.0, v - 128.0);
        [
            self.y[0] * y + self.y[1] * u + self.y[2] * v + self.y_offset,
            self.u[0] * u + self.u[1] * v + 128.0,
            self.v[0] * u + self.v[1] * v + 128.0,
        ]
    }
}

/// Factors from a sample triple to 8-bit R'G'B': `r = y·luma + v·red_v` and so on, with `y` less its
/// offset and `u`, `v` less 128.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToRgb {
    /// Luma of black.
    pub offset: f64,
    /// Of luma, in all three.
    pub luma: f64,
    /// Of V, in red.
    pub red_v: f64,
    /// Of U and V, in green.
    pub green: [f64; 2],
    /// Of U, in blue.
    pub blue_u: f64,
}

impl ToRgb {
    /// The factors of a colorimetry.
    pub fn of(color: Colorimetry) -> ToRgb {
        let (kr, kb) = luma_weights(color.matrix);
        let kg = 1.0 - kr - kb;
        let (offset, luma, chroma) = extents(color.range);
        let (r, b) = (2.0 * (1.0 - kr) * 255.0 / chroma, 2.0 * (1.0 - kb) * 255.0 / chroma);
        ToRgb { offset, luma: 255.0 / luma, red_v: r, green: [-kb * b / kg, -kr * r / kg], blue_u: b }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colors() -> impl Iterator<Item = Colorimetry> {
        [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020]
            .into_iter()
            .flat_map(|matrix| [Range::Limited, Range::Full].map(|range| Colorimetry { matrix, range }))
    }

    #[test]
    fn there_and_back_is_the_same_colour() {
        for (from, to) in colors().flat_map(|a| colors().map(move |b| (a, b))) {
            let there = Affine::between(from, to);
            let back = Affine::between(to, from);
            let triple = [90.0, 60.0, 200.0];
            for (got, want) in back.apply(there.apply(triple)).into_iter().zip(triple) {
                assert!((got - want).abs() < 1e-9, "{from:?} to {to:?}: {got} instead of {want}");
            }
        }
    }

    #[test]
    fn the_same_light_in_both() {
        // Pure sRGB red as BT.601 limited (81, 90, 240) and BT.709 limited (63, 102, 240).
        let map = Affine::between(Colorimetry { matrix: Matrix::Bt601, range: Range::Limited }, CANVAS);
        let got = map.apply([81.48, 90.20, 240.0]);
        for (got, want) in got.into_iter().zip([62.56, 102.34, 240.0]) {
            assert!((got - want).abs() < 0.02, "{got} instead of {want}");
        }
    }
}
