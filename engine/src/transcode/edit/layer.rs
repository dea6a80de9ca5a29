//! Small pictures with transparency, and laying them over 4:2:0 pictures of any matrix and range.

use super::format::PictureFormat;
use super::frame_ffi::Canvas;
use crate::composite::Bitmap;
use crate::composite::color::{extents, luma_weights};

/// Non-linear R'G'B' (0 to 1) multiplied by its opacity, and the opacity (0 to 1), row by row.
#[derive(Clone, Debug)]
pub(super) struct Rgba {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<[f32; 4]>,
}

impl Rgba {
    /// One colour all over; `[r, g, b, opacity]`, not multiplied yet.
    pub fn filled(width: usize, height: usize, [r, g, b, a]: [f32; 4]) -> Rgba {
        Rgba { width, height, pixels: vec![[r * a, g * a, b * a, a]; width * height] }
    }

    /// A colour through a coverage bitmap, its corner at `x`, `y`; what lies outside is left out.
    pub fn stamp(&mut self, bitmap: &Bitmap, (x, y): (usize, usize), color: [f32; 3]) {
        if bitmap.width == 0 {
            return;
        }
        let rows = bitmap.coverage.chunks_exact(bitmap.width as usize);
        let lines = self.pixels.chunks_exact_mut(self.width.max(1)).skip(y);
        for (line, row) in lines.zip(rows) {
            for (pixel, coverage) in line.iter_mut().skip(x).zip(row) {
                let a = f32::from(*coverage) / 255.0;
                let over = [color[0] * a, color[1] * a, color[2] * a, a];
                for (below, over) in pixel.iter_mut().zip(over) {
                    *below = *below * (1.0 - a) + over;
                }
            }
        }
    }

    /// In another size: each pixel is the mean of the area that it covers.
    pub fn resized(&self, width: usize, height: usize) -> Rgba {
        let shares = shares(self.width, width);
        let narrow: Vec<[f32; 4]> = self
            .pixels
            .chunks_exact(self.width.max(1))
            .flat_map(|row| shares.iter().map(move |share| mean(share, |i| row[i])))
            .collect();
        let shares = self::shares(self.height, height);
        let pixels = shares
            .iter()
            .flat_map(|share| {
                let narrow = &narrow;
                (0..width).map(move |x| mean(share, |i| narrow[i * width + x]))
            })
            .collect();
        Rgba { width, height, pixels }
    }
}

/// Which samples, from the first one on, make a new one, and how much of it each makes.
fn shares(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let step = from as f64 / to as f64;
    let share = |i: usize| {
        let (start, end) = (i as f64 * step, (i + 1) as f64 * step);
        let first = (start as usize).min(from - 1);
        let last = (end.ceil() as usize).clamp(first + 1, from);
        let weight = |s: usize| ((end.min((s + 1) as f64) - start.max(s as f64)).max(0.0) / step) as f32;
        (first, (first..last).map(weight).collect())
    };
    (0..to).map(share).collect()
}

fn mean((first, weights): &(usize, Vec<f32>), sample: impl Fn(usize) -> [f32; 4]) -> [f32; 4] {
    let mut sum = [0.0; 4];
    for (i, weight) in weights.iter().enumerate() {
        for (sum, value) in sum.iter_mut().zip(sample(first + i)) {
            *sum += value * weight;
        }
    }
    sum
}

/// What is added to a sample, times 255, and how much of it goes first, of 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Blend {
    add: u16,
    cover: u8,
}

impl Blend {
    fn new(add: f32, opacity: f32) -> Blend {
        Blend { add: (add * 255.0).round() as u16, cover: (opacity * 255.0).round() as u8 }
    }

    fn over(self, sample: u8) -> u8 {
        let kept = u32::from(sample) * u32::from(255 - self.cover);
        ((kept + u32::from(self.add) + 127) / 255).min(255) as u8
    }
}

/// An [`Rgba`] as samples of a picture's matrix and range.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    width: usize,
    height: usize,
    luma: Vec<Blend>,
    chroma: [Vec<Blend>; 2],
}

impl Layer {
    pub fn new(image: &Rgba, format: &PictureFormat) -> Layer {
        let color = format.colorimetry();
        let (kr, kb) = luma_weights(color.matrix);
        let (kr, kb) = (kr as f32, kb as f32);
        let (offset, luma_extent, chroma_extent) = extents(color.range);
        let (offset, luma_extent, chroma_extent) = (offset as f32, luma_extent as f32, chroma_extent as f32);
        let luma_of = |[r, g, b, _]: [f32; 4]| kr * r + (1.0 - kr - kb) * g + kb * b;
        let luma = image
            .pixels
            .iter()
            .map(|p| Blend::new(offset * p[3] + luma_extent * luma_of(*p), p[3]))
            .collect();
        let mut chroma = [Vec::new(), Vec::new()];
        for y in 0..image.height.div_ceil(2) {
            for x in 0..image.width.div_ceil(2) {
                let mut p = [0.0; 4];
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let (x, y) = (2 * x + dx, 2 * y + dy);
                    if x < image.width && y < image.height {
                        for (sum, part) in p.iter_mut().zip(image.pixels[y * image.width + x]) {
                            *sum += part / 4.0;
                        }
                    }
                }
                let difference = |c: f32, k: f32| (c - luma_of(p)) / (2.0 * (1.0 - k));
                for (plane, difference) in chroma.iter_mut().zip([difference(p[2], kb), difference(p[0], kr)])
                {
                    plane.push(Blend::new(128.0 * p[3] + chroma_extent * difference, p[3]));
                }
            }
        }
        Layer { width: image.width, height: image.height, luma, chroma }
    }

    /// Lays it over an 8-bit picture, its corner at an even place; what lies outside is left out.
    pub fn draw(&self, canvas: &mut Canvas<'_>, (x, y): (usize, usize)) {
        lay(&self.luma, self.width, canvas, 0, (x, y));
        for (plane, blends) in self.chroma.iter().enumerate() {
            lay(blends, self.width.div_ceil(2), canvas, plane + 1, (x / 2, y / 2));
        }
    }

    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }
}

fn lay(blends: &[Blend], width: usize, canvas: &mut Canvas<'_>, plane: usize, (x, y): (usize, usize)) {
    let lines = canvas.size(plane).1;
    for (i, row) in blends.chunks_exact(width.max(1)).enumerate().take_while(|(i, _)| y + i < lines) {
        for (sample, blend) in canvas.row(plane, y + i).iter_mut().skip(x).zip(row) {
            *sample = blend.over(*sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use ff::color;
    use ff::format::Pixel;
    use ff::frame::Video;
    use ffmpeg_next as ff;
    use proptest::prelude::*;

    use super::super::frame_ffi::read_row;
    use super::*;

    fn format(space: color::Space, range: color::Range) -> (Video, PictureFormat) {
        let mut frame = Video::new(Pixel::YUV420P, 16, 16);
        frame.set_color_space(space);
        frame.set_color_range(range);
        let format = PictureFormat::of(&frame);
        (frame, format)
    }

    fn drawn(image: &Rgba, space: color::Space, range: color::Range) -> [u8; 3] {
        let (mut frame, format) = format(space, range);
        let mut canvas = Canvas::of(&mut frame).expect("4:2:0");
        for (plane, grey) in [(0, 120), (1, 128), (2, 128)] {
            for y in 0..canvas.size(plane).1 {
                canvas.row(plane, y).fill(grey);
            }
        }
        Layer::new(image, &format).draw(&mut canvas, (4, 4));
        [read_row(&frame, 0, 6)[6], read_row(&frame, 1, 3)[3], read_row(&frame, 2, 3)[3]]
    }

    #[test]
    fn colours_are_right_in_every_matrix_and_range() {
        // Pure red by hand from Rec. BT.601-7, BT.709-6 and BT.2020-2.
        let red = Rgba::filled(8, 8, [1.0, 0.0, 0.0, 1.0]);
        use color::{Range, Space};
        for (space, range, want) in [
            (Space::BT709, Range::MPEG, [63, 102, 240]),
            (Space::SMPTE170M, Range::Unspecified, [81, 90, 240]),
            (Space::SMPTE170M, Range::JPEG, [76, 85, 255]),
            (Space::BT2020NCL, Range::MPEG, [74, 97, 240]),
        ] {
            let got = drawn(&red, space, range);
            for (got, want) in got.into_iter().zip(want) {
                assert!(got.abs_diff(want) <= 1, "{space:?} {range:?}: {got} instead of {want}");
            }
        }
    }

    #[test]
    fn opacity_mixes_and_nothing_changes_where_there_is_none() {
        let half = Rgba::filled(8, 8, [1.0, 1.0, 1.0, 0.5]);
        let [y, u, v] = drawn(&half, color::Space::BT709, color::Range::MPEG);
        assert!(y.abs_diff(178) <= 1 && u == 128 && v == 128, "{y} {u} {v}");
        let none = Rgba::filled(8, 8, [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(drawn(&none, color::Space::BT709, color::Range::MPEG), [120, 128, 128]);
    }

    proptest! {
        #[test]
        fn resizing_keeps_one_colour_and_the_mean(
            size in (1_usize..30, 1_usize..30), to in (1_usize..30, 1_usize..30), seed in any::<u32>(),
        ) {
            let even = Rgba::filled(size.0, size.1, [0.25, 0.5, 0.75, 0.5]);
            for pixel in even.resized(to.0, to.1).pixels {
                for (got, want) in pixel.into_iter().zip([0.125, 0.25, 0.375, 0.5]) {
                    prop_assert!((got - want).abs() < 1e-4);
                }
            }
            let mut noise = even.clone();
            for (i, pixel) in noise.pixels.iter_mut().enumerate() {
                pixel[0] = (seed.wrapping_mul(i as u32 + 1) >> 24) as f32 / 255.0;
            }
            let mean = |image: &Rgba| image.pixels.iter().map(|p| p[0]).sum::<f32>() / image.pixels.len() as f32;
            prop_assert!((mean(&noise) - mean(&noise.resized(to.0, to.1))).abs() < 1e-3);
        }
    }
}
