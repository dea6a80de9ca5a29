//! The canvas's memory, and its division into horizontal bands that can be drawn in parallel.

use crate::media::PixelRect;

/// Three packed planes, one after the other: Y, U, V.
#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

/// Rows `top..bottom` (even) of a canvas.
#[derive(Debug)]
pub(super) struct Band<'a> {
    pub(super) width: usize,
    pub(super) top: usize,
    pub(super) bottom: usize,
    /// Luma, from row `top` on.
    pub(super) y: &'a mut [u8],
    /// U, from row `top / 2` on.
    pub(super) u: &'a mut [u8],
    /// V, from row `top / 2` on.
    pub(super) v: &'a mut [u8],
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Canvas {
        let (width, height) = (width as usize, height as usize);
        let mut data = vec![16; width * height];
        data.resize(width * height * 3 / 2, 128);
        Canvas { width, height, data }
    }

    pub(super) fn size(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// The canvas in at most `count` bands of about equal height.
    pub(super) fn bands(&mut self, count: usize) -> Vec<Band<'_>> {
        let (width, height) = (self.width, self.height);
        let rows = (height / 2).div_ceil(count.max(1)) * 2;
        let (y, chroma) = self.data.split_at_mut(width * height);
        let (u, v) = chroma.split_at_mut(width * height / 4);
        y.chunks_mut(width * rows)
            .zip(u.chunks_mut(width * rows / 4))
            .zip(v.chunks_mut(width * rows / 4))
            .enumerate()
            .map(|(i, ((y, u), v))| Band {
                width,
                top: i * rows,
                bottom: ((i + 1) * rows).min(height),
                y,
                u,
                v,
            })
            .collect()
    }
}

impl Band<'_> {
    /// What it covers of the canvas.
    pub(super) fn rect(&self) -> PixelRect {
        PixelRect::new(0, self.top as u32, self.width as u32, (self.bottom - self.top) as u32)
    }

    /// Luma of row `y` of the canvas, columns `x..x + len`.
    pub(super) fn luma(&mut self, x: usize, y: usize, len: usize) -> &mut [u8] {
        &mut self.y[(y - self.top) * self.width + x..][..len]
    }

    /// U and V of chroma row `y` of the canvas, chroma columns `x..x + len`.
    pub(super) fn chroma(&mut self, x: usize, y: usize, len: usize) -> (&mut [u8], &mut [u8]) {
        let start = (y - self.top / 2) * (self.width / 2) + x;
        (&mut self.u[start..][..len], &mut self.v[start..][..len])
    }
}
