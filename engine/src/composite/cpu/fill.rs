//! One colour over a rectangle.

use super::canvas::Band;
use crate::composite::plan::Yuv;
use crate::media::PixelRect;

/// Mixes `color` into `rect`, within `clip` (even edges, inside the band). Luma: `(d·(255-a) + c·a)
/// / 255`, rounded; chroma the same with `a` times the share of its four pixels that lie in `rect`.
pub(super) fn fill(band: &mut Band<'_>, rect: &PixelRect, color: Yuv, alpha: u8, clip: &PixelRect) {
    let area = rect.intersect(clip);
    if area.is_empty() || alpha == 0 {
        return;
    }
    for y in area.y..area.bottom() {
        mix(band.luma(area.x as usize, y as usize, area.width as usize), color.y, u32::from(alpha) * 4);
    }
    // Chroma samples of which any pixel lies in the rectangle; the clip's edges are even, so a
    // sample lies in it wholly or not at all.
    let (left, right) = (area.x / 2, area.right().div_ceil(2));
    for cy in area.y / 2..area.bottom().div_ceil(2) {
        let rows = inside(cy, rect.y, rect.bottom());
        let (u, v) = band.chroma(left as usize, cy as usize, (right - left) as usize);
        for (plane, value) in [(u, color.u), (v, color.v)] {
            let weight = |cx: u32| u32::from(alpha) * rows * inside(cx, rect.x, rect.right());
            let last = plane.len() - 1;
            mix(&mut plane[..1], value, weight(left));
            if last > 0 {
                mix(&mut plane[last..], value, weight(right - 1));
                mix(&mut plane[1..last], value, u32::from(alpha) * rows * 2);
            }
        }
    }
}

/// How many of the two pixels of chroma sample `c` lie in `start..end`.
fn inside(c: u32, start: u32, end: u32) -> u32 {
    (2 * c + 2).min(end).saturating_sub((2 * c).max(start))
}

/// Mixes a value into samples; `weight` 1020 (four times 255) hides them.
fn mix(samples: &mut [u8], value: u8, weight: u32) {
    if weight == 1020 {
        samples.fill(value);
        return;
    }
    let add = u32::from(value) * weight + 510;
    let keep = 1020 - weight;
    for sample in samples {
        *sample = ((u32::from(*sample) * keep + add) / 1020) as u8;
    }
}
