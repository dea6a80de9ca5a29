//! A colour through a coverage bitmap: text and rounded shapes.

use super::canvas::Band;
use crate::composite::plan::{Bitmap, Yuv};
use crate::media::PixelRect;

/// Mixes `color` in by coverage times `alpha`, within `clip` (even edges, inside the band). Luma by
/// `w = coverage·alpha / 255²`; chroma by the mean coverage of its four pixels.
pub(super) fn stamp(
    band: &mut Band<'_>,
    (x, y): (i32, i32),
    bitmap: &Bitmap,
    color: Yuv,
    alpha: u8,
    clip: &PixelRect,
) {
    let cover = Coverage::new(bitmap, i64::from(x), i64::from(y));
    let Some(area) = cover.within(clip) else { return };
    if alpha == 0 {
        return;
    }
    for py in area.y..area.bottom() {
        let row = cover.row(i64::from(py), area.x, area.width);
        let samples = band.luma(area.x as usize, py as usize, area.width as usize);
        for (sample, coverage) in samples.iter_mut().zip(row) {
            mix(sample, color.y, u32::from(*coverage) * 4 * u32::from(alpha));
        }
    }
    let (left, right) = (area.x / 2, area.right().div_ceil(2));
    for cy in area.y / 2..area.bottom().div_ceil(2) {
        let (u, v) = band.chroma(left as usize, cy as usize, (right - left) as usize);
        for ((cx, u), v) in (left..right).zip(u).zip(v) {
            let weight = cover.sum_of_four(i64::from(cx) * 2, i64::from(cy) * 2) * u32::from(alpha);
            mix(u, color.u, weight);
            mix(v, color.v, weight);
        }
    }
}

/// A bitmap at its place on the canvas.
struct Coverage<'a> {
    bytes: &'a [u8],
    x: i64,
    y: i64,
    width: i64,
    height: i64,
}

impl<'a> Coverage<'a> {
    /// A bitmap whose bytes do not fill its size counts only the rows that are there.
    fn new(bitmap: &'a Bitmap, x: i64, y: i64) -> Coverage<'a> {
        let width = i64::from(bitmap.width);
        let rows = (bitmap.coverage.len() as i64).checked_div(width).unwrap_or(0);
        Coverage { bytes: &bitmap.coverage, x, y, width, height: rows.min(i64::from(bitmap.height)) }
    }

    /// The pixels of the canvas that it covers within `clip`.
    fn within(&self, clip: &PixelRect) -> Option<PixelRect> {
        let x = self.x.max(i64::from(clip.x));
        let y = self.y.max(i64::from(clip.y));
        let right = (self.x + self.width).min(i64::from(clip.right()));
        let bottom = (self.y + self.height).min(i64::from(clip.bottom()));
        (x < right && y < bottom)
            .then(|| PixelRect::new(x as u32, y as u32, (right - x) as u32, (bottom - y) as u32))
    }

    /// Coverage of canvas row `y`, columns `x..x + len`, which lie in the bitmap.
    fn row(&self, y: i64, x: u32, len: u32) -> &[u8] {
        let start = (y - self.y) * self.width + i64::from(x) - self.x;
        &self.bytes[start as usize..][..len as usize]
    }

    fn at(&self, x: i64, y: i64) -> u32 {
        let (x, y) = (x - self.x, y - self.y);
        if x < 0 || y < 0 || x >= self.width || y >= self.height {
            return 0;
        }
        u32::from(self.bytes[(y * self.width + x) as usize])
    }

    fn sum_of_four(&self, x: i64, y: i64) -> u32 {
        self.at(x, y) + self.at(x + 1, y) + self.at(x, y + 1) + self.at(x + 1, y + 1)
    }
}

/// Mixes a value into a sample; `weight` 260100 (four times 255 squared) hides it.
fn mix(sample: &mut u8, value: u8, weight: u32) {
    const WHOLE: u32 = 4 * 255 * 255;
    if weight != 0 {
        let mixed = u32::from(*sample) * (WHOLE - weight) + u32::from(value) * weight;
        *sample = ((mixed + WHOLE / 2) / WHOLE) as u8;
    }
}
