//! Shapes with soft edges on an I420 picture. Lengths are in heights of the picture: (0, 0) is the
//! upper left, `y` is 1 at the bottom, and `x` goes as far as the picture is wide.

use std::ops::Range;

use crate::picture::Picture;

/// Red, green and blue, 0 to 1.
pub(super) type Rgb = [f32; 3];
/// A point of the picture.
pub(super) type Point = (f32, f32);

/// Lines of coverage within a row of samples.
const FINE: usize = 4;

pub(super) fn rgb(hex: u32) -> Rgb {
    [16, 8, 0].map(|shift| (hex >> shift & 0xff) as f32 / 255.0)
}

pub(super) fn mix(a: Rgb, b: Rgb, part: f32) -> Rgb {
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * part)
}

pub(super) fn scale(color: Rgb, by: f32) -> Rgb {
    color.map(|c| (c * by).clamp(0.0, 1.0))
}

/// Limited range: BT.709 from 720 rows up, BT.601 below, as the encoder is told.
fn yuv([r, g, b]: Rgb, rows: f32) -> [f32; 3] {
    if rows >= 720.0 {
        return [
            16.0 + 46.6 * r + 156.6 * g + 15.8 * b,
            128.0 - 25.7 * r - 86.3 * g + 112.0 * b,
            128.0 + 112.0 * r - 101.7 * g - 10.3 * b,
        ];
    }
    [
        16.0 + 65.5 * r + 128.6 * g + 25.0 * b,
        128.0 - 37.8 * r - 74.2 * g + 112.0 * b,
        128.0 + 112.0 * r - 93.8 * g - 18.2 * b,
    ]
}

/// A picture that is drawn on.
pub(super) struct Canvas<'a> {
    pub picture: &'a mut Picture,
    rows: f32,
    covered: Vec<f32>,
    /// Upper left and lower right of what may be drawn on.
    clip: (Point, Point),
}

const ALL: (Point, Point) = ((-9.0, -9.0), (99.0, 99.0));

impl<'a> Canvas<'a> {
    pub fn new(picture: &'a mut Picture) -> Canvas<'a> {
        let (width, height) = picture.size();
        Canvas { picture, rows: height as f32, covered: vec![0.0; width + 1], clip: ALL }
    }

    /// Polygons draw within this rectangle from now on; `None`: anywhere.
    pub fn clip(&mut self, to: Option<(Point, Point)>) {
        self.clip = to.unwrap_or(ALL);
    }

    /// How wide the picture is.
    pub fn width(&self) -> f32 {
        let (width, height) = self.picture.size();
        width as f32 / height as f32
    }

    /// A polygon, filled by the even-odd rule.
    pub fn polygon(&mut self, points: &[Point], color: Rgb, alpha: f32) {
        let value = yuv(color, self.rows);
        for (plane, value) in value.into_iter().enumerate() {
            let rows = if plane == 0 { self.rows } else { self.rows / 2.0 };
            let (samples, width, height) = self.picture.plane_mut(plane);
            let (from, to) = self.clip;
            let clip = (span(from.0 * rows, to.0 * rows, width), span(from.1 * rows, to.1 * rows, height));
            let mut fill = Fill { samples, width, clip, covered: &mut self.covered, value, alpha };
            fill.polygon(points, rows);
        }
    }

    pub fn rect(&mut self, (x, y): Point, (w, h): Point, color: Rgb, alpha: f32) {
        self.polygon(&[(x, y), (x + w, y), (x + w, y + h), (x, y + h)], color, alpha);
    }

    pub fn ellipse(&mut self, (x, y): Point, (rx, ry): Point, color: Rgb, alpha: f32) {
        const POINTS: usize = 18;
        let at = |i: usize| {
            let (sin, cos) = (i as f32 * std::f32::consts::TAU / POINTS as f32).sin_cos();
            (x + rx * cos, y + ry * sin)
        };
        let points: [Point; POINTS] = std::array::from_fn(at);
        self.polygon(&points, color, alpha);
    }

    /// Light that fades from a middle.
    pub fn glow(&mut self, (x, y): Point, (rx, ry): Point, color: Rgb, alpha: f32) {
        for (plane, value) in yuv(color, self.rows).into_iter().enumerate() {
            let rows = if plane == 0 { self.rows } else { self.rows / 2.0 };
            let (samples, width, height) = self.picture.plane_mut(plane);
            for row in span((y - ry) * rows, (y + ry) * rows, height) {
                for column in span((x - rx) * rows, (x + rx) * rows, width) {
                    let away =
                        (((column as f32 + 0.5) / rows - x) / rx, ((row as f32 + 0.5) / rows - y) / ry);
                    let fade = 1.0 - (away.0 * away.0 + away.1 * away.1).sqrt();
                    if fade > 0.0 {
                        blend(&mut samples[row * width + column], value, alpha * fade * fade);
                    }
                }
            }
        }
    }

    /// What `from` shows within a polygon.
    pub fn restore(&mut self, points: &[Point], from: &Picture) {
        for plane in 0..3 {
            let rows = if plane == 0 { self.rows } else { self.rows / 2.0 };
            let source = from.plane(plane);
            let (samples, width, height) = self.picture.plane_mut(plane);
            let bounds = |axis: fn(&Point) -> f32| {
                let all = points.iter().map(axis).map(|v| v * rows);
                (all.clone().fold(f32::MAX, f32::min), all.fold(f32::MIN, f32::max))
            };
            let ((left, right), (top, bottom)) = (bounds(|p| p.0), bounds(|p| p.1));
            for row in span(top, bottom, height) {
                for column in span(left, right, width) {
                    if inside(points, ((column as f32 + 0.5) / rows, (row as f32 + 0.5) / rows)) {
                        samples[row * width + column] = source[row * width + column];
                    }
                }
            }
        }
    }

    /// The full width from one row to another, from one colour to another.
    pub fn gradient(&mut self, (top, bottom): (f32, f32), from: Rgb, to: Rgb) {
        for plane in 0..3 {
            let rows = if plane == 0 { self.rows } else { self.rows / 2.0 };
            let (samples, width, height) = self.picture.plane_mut(plane);
            for row in span(top * rows, bottom * rows, height) {
                let part = ((row as f32 + 0.5) / rows - top) / (bottom - top);
                let value = yuv(mix(from, to, part.clamp(0.0, 1.0)), self.rows)[plane];
                samples[row * width..][..width].fill(value as u8);
            }
        }
    }
}

fn span(from: f32, to: f32, limit: usize) -> Range<usize> {
    let at = |v: f32| v.clamp(0.0, limit as f32) as usize;
    at(from.floor())..at(to.ceil())
}

/// Whether a point lies in a polygon, by the even-odd rule.
fn inside(points: &[Point], (x, y): Point) -> bool {
    let next = points.iter().cycle().skip(1);
    let crossed = |(a, b): &(&Point, &Point)| {
        (a.1 <= y) != (b.1 <= y) && x < a.0 + (b.0 - a.0) * (y - a.1) / (b.1 - a.1)
    };
    points.iter().zip(next).filter(crossed).count() % 2 == 1
}

fn blend(sample: &mut u8, value: f32, alpha: f32) {
    let old = f32::from(*sample);
    *sample = (old + (value - old) * alpha).clamp(0.0, 255.0).round() as u8;
}

/// One plane while a shape is put on it.
struct Fill<'a> {
    samples: &'a mut [u8],
    width: usize,
    /// Columns and rows that may change.
    clip: (Range<usize>, Range<usize>),
    covered: &'a mut [f32],
    value: f32,
    alpha: f32,
}

impl Fill<'_> {
    fn polygon(&mut self, points: &[Point], rows: f32) {
        let edges =
            |pick: fn(f32, f32) -> f32, start: f32| points.iter().map(|p| p.1 * rows).fold(start, pick);
        let (top, bottom) = (edges(f32::min, f32::MAX), edges(f32::max, f32::MIN));
        let mut crossings: Vec<f32> = Vec::with_capacity(8);
        let rows_of = span(top, bottom, self.clip.1.end);
        for row in rows_of.start.max(self.clip.1.start)..rows_of.end {
            let (mut first, mut last) = (self.width, 0);
            for fine in 0..FINE {
                let y = row as f32 + (fine as f32 + 0.5) / FINE as f32;
                crossings.clear();
                let next = points.iter().cycle().skip(1);
                for (a, b) in points.iter().zip(next) {
                    let (ay, by) = (a.1 * rows, b.1 * rows);
                    if (ay <= y) != (by <= y) {
                        crossings.push((a.0 + (b.0 - a.0) * (y - ay) / (by - ay)) * rows);
                    }
                }
                crossings.sort_by(f32::total_cmp);
                for pair in crossings.chunks_exact(2) {
                    self.cover(pair[0], pair[1], (&mut first, &mut last));
                }
            }
            self.put(row, first..last);
        }
    }

    /// Notes how much of each sample lies between two places of a fine line.
    fn cover(&mut self, from: f32, to: f32, (first, last): (&mut usize, &mut usize)) {
        let (start, end) = (self.clip.0.start as f32, self.clip.0.end as f32);
        let (from, to) = (from.clamp(start, end), to.clamp(start, end));
        if to <= from {
            return;
        }
        let (left, right) = (from as usize, (to.ceil() as usize).min(self.width));
        (*first, *last) = ((*first).min(left), (*last).max(right));
        let share = 1.0 / FINE as f32;
        if right - left == 1 {
            self.covered[left] += (to - from) * share;
            return;
        }
        self.covered[left] += (left as f32 + 1.0 - from) * share;
        self.covered[left + 1..right - 1].iter_mut().for_each(|c| *c += share);
        self.covered[right - 1] += (to - (right as f32 - 1.0)) * share;
    }

    fn put(&mut self, row: usize, columns: Range<usize>) {
        if columns.is_empty() {
            return;
        }
        let line = &mut self.samples[row * self.width..][..self.width][columns.clone()];
        let whole = self.value as u8;
        for (sample, covered) in line.iter_mut().zip(&mut self.covered[columns]) {
            if *covered * self.alpha > 0.995 {
                *sample = whole;
            } else {
                blend(sample, self.value, covered.min(1.0) * self.alpha);
            }
            *covered = 0.0;
        }
    }
}
