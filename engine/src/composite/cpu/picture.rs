//! A picture of its destination's size at its place: rows copied, converted where its colours differ from
//! the canvas's.

use super::canvas::Band;
use super::convert::Converter;
use crate::media::{Chroma, Frame, PixelRect};

/// Draws `frame`, which has the size of `dest` (even edges), within `clip` (even edges, inside the
/// band).
pub(super) fn picture(band: &mut Band<'_>, frame: &Frame, dest: &PixelRect, clip: &PixelRect) {
    let area = dest.intersect(clip);
    let sized = (frame.width(), frame.height()) == (dest.width, dest.height);
    let even = [dest.x, dest.y, dest.width, dest.height].iter().all(|v| v % 2 == 0);
    if area.is_empty() || !sized || !even {
        return;
    }
    let mut rows = SourceRows::new(frame, &area, dest);
    let mut converter = Converter::to_canvas(frame.meta().color);
    let (x, width) = (area.x as usize, area.width as usize);
    for cy in area.y as usize / 2..area.bottom() as usize / 2 {
        let (u, v) = rows.chroma(cy - dest.y as usize / 2);
        let (out_u, out_v) = band.chroma(x / 2, cy, width / 2);
        match &mut converter {
            None => {
                out_u.copy_from_slice(u);
                out_v.copy_from_slice(v);
            }
            Some(converter) => converter.chroma(u, v, out_u, out_v),
        }
        for y in [2 * cy, 2 * cy + 1] {
            let luma = rows.luma(y - dest.y as usize);
            let out = band.luma(x, y, width);
            match &converter {
                None => out.copy_from_slice(luma),
                Some(converter) => converter.luma(luma, out),
            }
        }
    }
}

/// The wanted columns of a picture, row by row, chroma always in two rows.
struct SourceRows<'a> {
    frame: &'a Frame,
    left: usize,
    width: usize,
    split: (Vec<u8>, Vec<u8>),
}

impl<'a> SourceRows<'a> {
    fn new(frame: &'a Frame, area: &PixelRect, dest: &PixelRect) -> SourceRows<'a> {
        let split = match frame.chroma() {
            Chroma::I420 => Default::default(),
            Chroma::Nv12 => {
                let half = area.width as usize / 2;
                (vec![0; half], vec![0; half])
            }
        };
        SourceRows { frame, left: (area.x - dest.x) as usize, width: area.width as usize, split }
    }

    fn luma(&self, y: usize) -> &'a [u8] {
        &self.frame.planes()[0].row(y, self.left + self.width)[self.left..]
    }

    fn chroma(&mut self, y: usize) -> (&[u8], &[u8]) {
        let planes = self.frame.planes();
        match self.frame.chroma() {
            Chroma::I420 => {
                let row = |plane: usize| &planes[plane].row(y, (self.left + self.width) / 2)[self.left / 2..];
                (row(1), row(2))
            }
            Chroma::Nv12 => {
                let pairs = planes[1].row(y, self.left + self.width)[self.left..].as_chunks::<2>().0;
                for ((u, v), pair) in self.split.0.iter_mut().zip(&mut self.split.1).zip(pairs) {
                    [*u, *v] = *pair;
                }
                (&self.split.0, &self.split.1)
            }
        }
    }
}
