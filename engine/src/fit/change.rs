//! Tells a picture that changes from one that is frozen.

use crate::media::Frame;

/// Cells across and down at most: a cell of a 1080p picture is about a digit of a burnt-in clock.
const CELLS: (usize, usize) = (64, 36);
/// Rows of a cell that are looked at.
const ROWS: usize = 8;
/// Mean luma of one cell, in steps of 8 bits, must differ by this from the reference. An encoder
/// that is fed the same picture again and again moves cells by up to about 2 (a key frame
/// quantised otherwise than the pictures before it); a person or a car at the far end of a scene,
/// or one digit of a clock, moves at least one cell by 6 and more.
const TOLERANCE: f32 = 5.0;

/// Compares each picture with the one of the last change, so that slow changes add up.
#[derive(Debug, Default)]
pub(super) struct ChangeDetector {
    size: (u32, u32),
    reference: Vec<f32>,
    current: Vec<f32>,
}

impl ChangeDetector {
    /// True where the picture differs from the reference, which it then becomes. The first
    /// picture, and the first of another size, is a change.
    pub fn changed(&mut self, frame: &Frame) -> bool {
        cells(frame, &mut self.current);
        let size = (frame.width(), frame.height());
        let same = self.size == size
            && self.reference.iter().zip(&self.current).all(|(a, b)| (a - b).abs() < TOLERANCE);
        if !same {
            self.size = size;
            std::mem::swap(&mut self.reference, &mut self.current);
        }
        !same
    }
}

/// Mean luma of each cell.
fn cells(frame: &Frame, out: &mut Vec<f32>) {
    let (w, h) = (frame.width() as usize, frame.height() as usize);
    let (columns, rows) = (CELLS.0.min(w), CELLS.1.min(h));
    let plane = &frame.planes()[0];
    let edges: Vec<usize> = (0..=columns).map(|i| i * w / columns).collect();
    // Rows are added up first, many columns at once. Fewer than 2 x ROWS of them: 16 bits hold that.
    let mut sums = vec![0u16; w];
    out.clear();
    for j in 0..rows {
        let (top, bottom) = (j * h / rows, (j + 1) * h / rows);
        let step = ((bottom - top) / ROWS).max(1);
        sums.fill(0);
        let mut looked_at = 0;
        for y in (top..bottom).step_by(step) {
            looked_at += 1;
            for (sum, luma) in sums.iter_mut().zip(plane.row(y, w)) {
                *sum += u16::from(*luma);
            }
        }
        out.extend(edges.windows(2).map(|edge| {
            let sum: u32 = sums[edge[0]..edge[1]].iter().map(|&sum| u32::from(sum)).sum();
            sum as f32 / ((edge[1] - edge[0]) * looked_at) as f32
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameMeta;

    fn picture(spot: u8) -> Frame {
        let mut data = vec![100; 640 * 360 * 3 / 2];
        for y in 200..212 {
            data[y * 640 + 300..][..12].fill(spot);
        }
        Frame::packed_i420(640, 360, data.into(), FrameMeta::default()).expect("a valid size")
    }

    #[test]
    fn a_small_thing_that_moves_is_a_change_and_a_flicker_is_none() {
        let mut detector = ChangeDetector::default();
        assert!(detector.changed(&picture(100)), "the first picture");
        assert!(!detector.changed(&picture(100)));
        assert!(!detector.changed(&picture(103)));
        assert!(detector.changed(&picture(140)));
        assert!(!detector.changed(&picture(140)));
    }

    #[test]
    fn slow_changes_add_up() {
        let mut detector = ChangeDetector::default();
        let changes = (100..140).filter(|luma| detector.changed(&picture(*luma))).count();
        assert!((3..=10).contains(&changes), "{changes} changes");
    }

    #[test]
    fn another_size_is_a_change() {
        let mut detector = ChangeDetector::default();
        let small = |w| Frame::filled(w, 2, [9, 128, 128], FrameMeta::default()).expect("a valid size");
        assert!(detector.changed(&small(2)));
        assert!(!detector.changed(&small(2)));
        assert!(detector.changed(&small(3)));
    }
}
