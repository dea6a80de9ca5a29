//! A picture to draw on: I420 in one buffer, laid out as GStreamer lays it out.

use crate::code::{Code, Place, Region, stamp_in};

/// An I420 picture; width a multiple of 8 and height of 2, so that no row is padded.
#[derive(Debug)]
pub struct Picture {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Clone for Picture {
    fn clone(&self) -> Picture {
        Picture { data: self.data.clone(), ..*self }
    }
    fn clone_from(&mut self, source: &Picture) {
        (self.width, self.height) = source.size();
        self.data.clone_from(&source.data);
    }
}

impl Picture {
    /// A black picture.
    pub fn new(width: u32, height: u32) -> Picture {
        let (width, height) = (width as usize, height as usize);
        let mut data = vec![16; width * height];
        data.resize(width * height * 3 / 2, 128);
        Picture { width, height, data }
    }

    /// Size in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }
    /// All planes, one after the other.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
    /// All planes, to be overwritten.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }
    /// The luma plane.
    pub fn luma(&self) -> &[u8] {
        &self.data[..self.width * self.height]
    }
    /// The luma plane, to be drawn on.
    pub fn luma_mut(&mut self) -> &mut [u8] {
        let len = self.width * self.height;
        &mut self.data[..len]
    }

    /// A plane; 0 is luma.
    pub(crate) fn plane(&self, plane: usize) -> &[u8] {
        let (whole, half) = (self.width * self.height, (self.width / 2) * (self.height / 2));
        if plane == 0 { &self.data[..whole] } else { &self.data[whole + (plane - 1) * half..][..half] }
    }

    /// A plane (0 is luma), its width and its height.
    pub(crate) fn plane_mut(&mut self, plane: usize) -> (&mut [u8], usize, usize) {
        let (w, h) = (self.width, self.height);
        if plane == 0 {
            return (&mut self.data[..w * h], w, h);
        }
        let (half_w, half_h) = (w / 2, h / 2);
        let from = w * h + (plane - 1) * half_w * half_h;
        (&mut self.data[from..from + half_w * half_h], half_w, half_h)
    }

    /// Fills a rectangle, given in fractions of the picture and cut at its edges, with Y, U, V.
    pub fn fill(&mut self, at: (f64, f64), size: (f64, f64), color: [u8; 3]) {
        let span = |from: f64, len: f64, limit: usize| {
            let edge = |v: f64| (v * limit as f64).round().clamp(0.0, limit as f64) as usize;
            edge(from)..edge(from + len).max(edge(from))
        };
        let mut base = 0;
        for (plane, &value) in color.iter().enumerate() {
            let shift = usize::from(plane > 0);
            let (w, h) = (self.width >> shift, self.height >> shift);
            let columns = span(at.0, size.0, w);
            for y in span(at.1, size.1, h) {
                self.data[base + y * w..][..w][columns.clone()].fill(value);
            }
            base += w * h;
        }
    }

    /// Draws the frame code where a camera has it.
    pub fn stamp(&mut self, code: &Code, place: Place) {
        if place == Place::Nowhere {
            return;
        }
        let (w, h) = (self.width, self.height);
        let region = place.region((w, h)).unwrap_or(Region::new(0.0, 0.0, w as f64, h as f64));
        let (luma, chroma) = self.data.split_at_mut(w * h);
        let (u, v) = chroma.split_at_mut(w * h / 4);
        stamp_in(code, region, w, (luma, w), [(u, w / 2), (v, w / 2)]);
    }
}
