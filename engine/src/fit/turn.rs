//! Turns and mirrors packed planes: of fitted pictures, so that it costs little, and exactly.

use crate::media::Orientation;

/// Side of the squares in which a plane is turned: both squares stay in cache.
const SQUARE: usize = 32;

/// Writes `source`, `width` samples a row, turned into `out`, which is as long.
pub(super) fn plane(orientation: Orientation, source: &[u8], width: usize, out: &mut [u8]) {
    if width == 0 || source.is_empty() {
        return;
    }
    let height = source.len() / width;
    let quarters = orientation.degrees() / 90;
    // Which way the source is read, before its sides change places.
    let from_right = matches!(quarters, 2 | 3) != orientation.is_mirrored();
    let from_below = matches!(quarters, 1 | 2);
    let row = |y: usize| {
        let y = if from_below { height - 1 - y } else { y };
        &source[y * width..][..width]
    };
    if !orientation.swaps_sides() {
        for (y, out) in out.chunks_exact_mut(width).enumerate() {
            out.copy_from_slice(row(y));
            if from_right {
                out.reverse();
            }
        }
        return;
    }
    for top in (0..width).step_by(SQUARE) {
        for left in (0..height).step_by(SQUARE) {
            let (bottom, right) = ((top + SQUARE).min(width), (left + SQUARE).min(height));
            for y in top..bottom {
                let x = if from_right { width - 1 - y } else { y };
                let out = &mut out[y * height..][left..right];
                for (out, n) in out.iter_mut().zip(left..) {
                    *out = row(n)[x];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_goes_where_the_orientation_says() {
        for (w, h) in [(5, 3), (1, 7), (70, 33), (2, 2)] {
            let source: Vec<u8> = (0..w * h).map(|n| (n * 7 % 251) as u8).collect();
            for orientation in Orientation::ALL {
                let mut out = vec![0; w * h];
                plane(orientation, &source, w, &mut out);
                let (ow, _) = orientation.size((w as u32, h as u32));
                for (n, value) in source.iter().enumerate() {
                    let (x, y) = ((n % w) as f64, (n / w) as f64);
                    let size = (w as f64, h as f64);
                    let [left, top, ..] = orientation.place([x, y, x + 1.0, y + 1.0], size);
                    assert_eq!(out[top as usize * ow as usize + left as usize], *value, "{orientation:?}");
                }
            }
        }
    }
}
