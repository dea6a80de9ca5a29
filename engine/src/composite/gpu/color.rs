//! Colour conversion to the canvas: one 3 by 4 matrix from a source's YCbCr (ITU-T H.273) to BT.709 limited.

use crate::media::{Colorimetry, Matrix, Range};

/// Rows for Y, U and V: weights of the source's Y, U and V as bytes, and what is added.
pub type Rows = [[f32; 4]; 3];

/// Luma weights of red and blue (ITU-T H.273, table 4).
fn luma_weights(matrix: Matrix) -> (f64, f64) {
    match matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
    }
}

/// Black level, and what luma and chroma of 1 take in bytes (ITU-T H.273, equations 20 to 25).
fn levels(range: Range) -> (f64, f64, f64) {
    match range {
        Range::Limited => (16.0, 219.0, 224.0),
        Range::Full => (0.0, 255.0, 255.0),
    }
}

/// The conversion from `from` to the canvas's BT.709 limited; `None` where they are the same.
pub fn to_canvas(from: Colorimetry) -> Option<Rows> {
    let canvas = Colorimetry { matrix: Matrix::Bt709, range: Range::Limited };
    if from == canvas {
        return None;
    }
    let (kr, kb) = luma_weights(from.matrix);
    let (black, luma, chroma) = levels(from.range);
    // The linear part, from the source's (Y, Pb, Pr) to R'G'B'.
    let kg = 1.0 - kr - kb;
    let red = [1.0, 0.0, 2.0 * (1.0 - kr)];
    let blue = [1.0, 2.0 * (1.0 - kb), 0.0];
    let green = [1.0, -kb * blue[1] / kg, -kr * red[2] / kg];

    let (kr, kb) = luma_weights(canvas.matrix);
    let (out_black, out_luma, out_chroma) = levels(canvas.range);
    let row = |n: usize| {
        let y = kr * red[n] + (1.0 - kr - kb) * green[n] + kb * blue[n];
        [
            out_luma * y,
            out_chroma * (blue[n] - y) / (2.0 * (1.0 - kb)),
            out_chroma * (red[n] - y) / (2.0 * (1.0 - kr)),
        ]
    };
    // By source component, each per byte of it.
    let columns = [row(0).map(|v| v / luma), row(1).map(|v| v / chroma), row(2).map(|v| v / chroma)];
    let zero = [out_black, 128.0, 128.0];
    Some(std::array::from_fn(|out| {
        let [y, u, v] = columns.map(|column| column[out]);
        let added = zero[out] - black * y - 128.0 * (u + v);
        [y as f32, u as f32, v as f32, added as f32]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greys_stay_grey_and_black_and_white_land_on_the_canvas_s_levels() {
        for matrix in [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020] {
            for (range, black, white) in [(Range::Limited, 16.0, 235.0), (Range::Full, 0.0, 255.0)] {
                let Some(rows) = to_canvas(Colorimetry { matrix, range }) else { continue };
                for (from, to) in [(black, 16.0), (white, 235.0)] {
                    for (row, want) in rows.iter().zip([to, 128.0, 128.0]) {
                        let got = row[0] * from + (row[1] + row[2]) * 128.0 + row[3];
                        assert!((got - want).abs() < 1e-3, "{matrix:?} {range:?}: {got} is not {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn saturated_red_moves_as_the_standards_say() {
        // 100 % red, unrounded: luma 16 + 219 Kr, blue difference 128 - 112 Kr / (1 - Kb), red difference 240.
        let red = |kr: f32, kb: f32| [16.0 + 219.0 * kr, 128.0 - 112.0 * kr / (1.0 - kb), 240.0];
        let source = red(0.299, 0.114);
        let rows =
            to_canvas(Colorimetry { matrix: Matrix::Bt601, range: Range::Limited }).expect("they differ");
        for (row, want) in rows.iter().zip(red(0.2126, 0.0722)) {
            let got = row[0] * source[0] + row[1] * source[1] + row[2] * source[2] + row[3];
            assert!((got - want).abs() < 1e-3, "{got} is not {want}");
        }
    }
}
