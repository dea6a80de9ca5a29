//! What is laid over the pictures: watermark, label, time code. Where each goes, and what it shows.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use ffmpeg_next as ff;

use super::format::PictureFormat;
use super::frame_ffi::Canvas;
use super::layer::{Layer, Rgba};
use crate::base::{Error, ErrorKind, Result};
use crate::composite::text::{Face, TextStyle, line_height};
use crate::composite::{Bitmap, TextRenderer};
use crate::media::Ratio;
use crate::transcode::spec::{Corner, EditSpec, TimeCodeStart, Watermark};

/// Text, as on the wall: sRGB (236, 239, 244).
const TEXT: [f32; 3] = [0.925, 0.937, 0.957];
/// The plate behind it: black, three quarters opaque, so that text reads over snow.
const PLATE: [f32; 4] = [0.0, 0.0, 0.0, 0.75];
/// Share of each side that stays free of marks: EBU R 95's graphics-safe area.
const MARGIN: f64 = 0.05;
/// No watermark's file has more pixels: 4096 x 4096, which take 256 MiB while they are scaled.
const MOST_PIXELS: u64 = 1 << 24;

/// All marks of pictures of one format.
pub(super) struct Marks {
    place: Place,
    still: Vec<(Layer, Spot)>,
    time: Option<(Clock, Spot)>,
}

impl Marks {
    /// In each corner the time code is outermost, then the label, then the watermark.
    pub fn new(edit: &EditSpec, format: &PictureFormat) -> Result<Marks> {
        let mut place = Place::new(format);
        let text = TextRenderer::new();
        let mut still = Vec::new();
        let time = edit.time_code.as_ref().map(|code| {
            let clock = Clock::new(code.start, &text, em(code.height, format), format);
            let spot = place.next(code.corner, clock.height());
            (clock, spot)
        });
        if let Some(label) = &edit.label {
            let px = em(label.height, format);
            let max_width = place.free_width(format).saturating_sub(2 * padding(px)).max(1) as u32;
            let style = TextStyle { face: Face::Semibold, px, max_width, max_lines: 1, centered: false };
            let layer = plated(&[(0, text.render(&label.text, style))], px, format);
            let spot = place.next(label.corner, layer.size().1);
            still.push((layer, spot));
        }
        if let Some(mark) = &edit.watermark {
            let layer = watermark(mark, format)?;
            let spot = place.next(mark.corner, layer.size().1);
            still.push((layer, spot));
        }
        // Painted in the order of the edit: what is outermost comes last.
        still.reverse();
        Ok(Marks { place, still, time })
    }

    /// Over a picture of this time.
    pub fn draw(&self, canvas: &mut Canvas<'_>, pts: Option<i64>, time_base: ff::Rational) {
        for (layer, spot) in &self.still {
            layer.draw(canvas, self.place.corner_of(*spot, layer.size()));
        }
        if let Some((clock, spot)) = &self.time {
            let layer = clock.at(pts.map(|pts| nanoseconds(pts, time_base)));
            layer.draw(canvas, self.place.corner_of(*spot, layer.size()));
        }
    }
}

fn nanoseconds(pts: i64, time_base: ff::Rational) -> i128 {
    let ticks = i128::from(pts) * i128::from(time_base.numerator()) * 1_000_000_000;
    ticks.div_euclid(i128::from(time_base.denominator().max(1)))
}

/// A corner, and how far from its edge a mark stands.
#[derive(Clone, Copy, Debug)]
struct Spot {
    corner: Corner,
    offset: usize,
}

/// Hands out places in the corners, from the edge inwards.
struct Place {
    size: (usize, usize),
    margin: (usize, usize),
    taken: [usize; 4],
}

impl Place {
    fn new(format: &PictureFormat) -> Place {
        let margin = |side: u32| (f64::from(side) * MARGIN) as usize & !1;
        let size = (format.width as usize, format.height as usize);
        Place { size, margin: (margin(format.width), margin(format.height)), taken: [0; 4] }
    }

    /// In pixels as wide as they are high.
    fn free_width(&self, format: &PictureFormat) -> usize {
        (self.size.0.saturating_sub(2 * self.margin.0) as f64 * format.pixel_aspect.as_f64()) as usize
    }

    fn next(&mut self, corner: Corner, height: usize) -> Spot {
        let taken = &mut self.taken[corner as usize];
        let spot = Spot { corner, offset: *taken };
        *taken += height + (height / 8).max(2);
        spot
    }

    /// Where the upper left corner of a mark of this size goes: even, and inside wherever it fits.
    fn corner_of(&self, spot: Spot, (width, height): (usize, usize)) -> (usize, usize) {
        let far_x = self.size.0.saturating_sub(width);
        let far_y = self.size.1.saturating_sub(height);
        let near_y = self.margin.1 + spot.offset;
        let (x, y) = match spot.corner {
            Corner::TopLeft => (self.margin.0, near_y),
            Corner::TopRight => (far_x.saturating_sub(self.margin.0), near_y),
            Corner::BottomLeft => (self.margin.0, far_y.saturating_sub(near_y)),
            Corner::BottomRight => (far_x.saturating_sub(self.margin.0), far_y.saturating_sub(near_y)),
        };
        (x.min(far_x) & !1, y.min(far_y) & !1)
    }
}

/// Pixels of an em whose line has this share of the picture's height.
fn em(share: f64, format: &PictureFormat) -> u32 {
    let line = f64::from(format.height) * share;
    let per_em = f64::from(line_height(100)) / 100.0;
    ((line / per_em).round() as u32).clamp(6, 400)
}

/// Beside a text, on its plate.
fn padding(px: u32) -> usize {
    (px as usize / 3).max(2)
}

/// Of a line's plate: even, so that plates on even lines share no chroma sample.
fn plate_height(px: u32) -> usize {
    (line_height(px) as usize).next_multiple_of(2)
}

/// Bitmaps side by side on a plate; each with its distance from the first one's left edge.
fn plated(parts: &[(usize, Arc<Bitmap>)], px: u32, format: &PictureFormat) -> Layer {
    let width = parts.iter().map(|(x, bitmap)| x + bitmap.width as usize).max().unwrap_or(0);
    let padding = padding(px);
    let mut plate = Rgba::filled(width + 2 * padding, plate_height(px), PLATE);
    for (x, bitmap) in parts {
        plate.stamp(bitmap, (padding + x, 0), TEXT);
    }
    if format.pixel_aspect == Ratio::ONE {
        return Layer::new(&plate, format);
    }
    let seen = (plate.width as f64 / format.pixel_aspect.as_f64()).round().max(1.0) as usize;
    Layer::new(&plate.resized(seen, plate.height), format)
}

/// Draws times. Each digit has a cell of its own width, so that nothing trembles from picture to
/// picture, and nothing is shaped or rasterised for each.
struct Clock {
    start: TimeCodeStart,
    px: u32,
    format: PictureFormat,
    glyphs: Vec<(char, Arc<Bitmap>)>,
    zone: Arc<Bitmap>,
    digit_width: usize,
}

impl Clock {
    fn new(start: TimeCodeStart, text: &TextRenderer, px: u32, format: &PictureFormat) -> Clock {
        let style = TextStyle { face: Face::Semibold, px, max_width: 16_384, max_lines: 1, centered: false };
        let glyphs: Vec<_> =
            "0123456789:.-".chars().map(|c| (c, text.render(&c.to_string(), style))).collect();
        let digit_width = glyphs.iter().map(|(_, bitmap)| bitmap.width as usize).max().unwrap_or(0);
        Clock { start, px, format: format.clone(), glyphs, zone: text.render("UTC", style), digit_width }
    }

    fn height(&self) -> usize {
        plate_height(self.px)
    }

    /// The time so many nanoseconds after the first picture.
    fn at(&self, nanoseconds: Option<i128>) -> Layer {
        let text = time_text(self.start, nanoseconds);
        let gap = (self.px as usize / 12).max(1);
        let mut x = 0;
        let mut parts = Vec::new();
        for c in text.chars() {
            let Some((_, bitmap)) = self.glyphs.iter().find(|(glyph, _)| *glyph == c) else {
                x += self.digit_width / 2;
                continue;
            };
            let width = bitmap.width as usize;
            let cell = if c.is_ascii_digit() { self.digit_width } else { width };
            parts.push((x + (cell - width) / 2, bitmap.clone()));
            x += cell + gap;
        }
        if let TimeCodeStart::Utc(_) = self.start {
            parts.push((x + self.digit_width / 2, self.zone.clone()));
        }
        plated(&parts, self.px, &self.format)
    }
}

/// The digits of a time code. Hours go on beyond 99; a picture whose time is not known has none.
pub(super) fn time_text(start: TimeCodeStart, nanoseconds: Option<i128>) -> String {
    match (start, nanoseconds) {
        (TimeCodeStart::Zero, None) => "--:--:--.---".to_owned(),
        (TimeCodeStart::Zero, Some(nanoseconds)) => {
            let ms = nanoseconds.max(0) / 1_000_000;
            let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
            format!("{hours:02}:{minutes:02}:{:02}.{:03}", ms / 1000 % 60, ms % 1000)
        }
        (TimeCodeStart::Utc(start), after) => after
            .and_then(|after| jiff::Timestamp::from_nanosecond(i128::from(start) + after).ok())
            .map_or_else(
                || "---------- --:--:--.---".to_owned(),
                // Down to the millisecond, as a clock shows it.
                |time| time.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string(),
            ),
    }
}

/// The image in its size and place, in the picture's colours.
fn watermark(mark: &Watermark, format: &PictureFormat) -> Result<Layer> {
    let image = read_png(&mark.image)?;
    let (columns, lines) = (f64::from(format.width), f64::from(format.height));
    let shape = image.height as f64 / image.width as f64 * format.pixel_aspect.as_f64();
    let width = (columns * mark.width).min(lines / shape).clamp(1.0, columns);
    let side = |v: f64, limit: f64| v.round().clamp(1.0, limit) as usize;
    let mut image = image.resized(side(width, columns), side(width * shape, lines));
    for value in image.pixels.iter_mut().flatten() {
        *value *= mark.opacity as f32;
    }
    Ok(Layer::new(&image, format))
}

/// A PNG of any colour type, taken as sRGB.
pub(super) fn read_png(path: &Path) -> Result<Rgba> {
    let wrong = |kind, what: &str| Error::new(kind, "watermark.image", format!("{} {what}", path.display()));
    let file = File::open(path)
        .map_err(|e| wrong(ErrorKind::Config, "cannot be read; give the path of a PNG file").caused_by(e))?;
    let no_png = |e: png::DecodingError| {
        wrong(ErrorKind::Config, "is no PNG that can be decoded; save it again as a PNG").caused_by(e)
    };
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(no_png)?;
    let (width, height) = reader.info().size();
    let size = reader.output_buffer_size().filter(|_| u64::from(width) * u64::from(height) <= MOST_PIXELS);
    let Some(size) = size else {
        return Err(wrong(ErrorKind::Config, "is too large; save it with at most 4096x4096 pixels"));
    };
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).map_err(no_png)?;
    let channels = info.color_type.samples();
    let pixels = bytes
        .chunks_exact(info.line_size)
        .take(height as usize)
        .flat_map(|row| row.chunks_exact(channels).take(width as usize).map(premultiplied))
        .collect();
    Ok(Rgba { width: width as usize, height: height as usize, pixels })
}

fn premultiplied(samples: &[u8]) -> [f32; 4] {
    let [r, g, b, a] = match *samples {
        [grey] => [grey, grey, grey, 255],
        [grey, a] => [grey, grey, grey, a],
        [r, g, b] => [r, g, b, 255],
        [r, g, b, a, ..] => [r, g, b, a],
        [] => [0; 4],
    }
    .map(|sample| f32::from(sample) / 255.0);
    [r * a, g * a, b * a, a]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_promised() {
        let ms = |ms: i128| Some(ms * 1_000_000);
        for (start, at, text) in [
            (TimeCodeStart::Zero, ms(0), "00:00:00.000"),
            (TimeCodeStart::Zero, ms(-5), "00:00:00.000"),
            (TimeCodeStart::Zero, ms(3_723_045), "01:02:03.045"),
            (TimeCodeStart::Zero, Some(33_366_666), "00:00:00.033"),
            (TimeCodeStart::Zero, ms(360_000_000), "100:00:00.000"),
            (TimeCodeStart::Zero, None, "--:--:--.---"),
            (TimeCodeStart::Utc(0), ms(-1), "1969-12-31 23:59:59.999"),
            (TimeCodeStart::Utc(951_782_399_999_000_000), ms(1), "2000-02-29 00:00:00.000"),
            (TimeCodeStart::Utc(1_795_500_000_999_999_999), Some(0), "2026-11-24 06:00:00.999"),
        ] {
            assert_eq!(time_text(start, at), text);
        }
        time_text(TimeCodeStart::Utc(i64::MAX), Some(i128::from(i64::MAX) * 1000));
    }

    #[test]
    fn time_in_ticks_becomes_nanoseconds() {
        assert_eq!(nanoseconds(3003, ff::Rational::new(1, 90_000)), 33_366_666);
        assert_eq!(nanoseconds(-1, ff::Rational::new(1, 1000)), -1_000_000);
        nanoseconds(i64::MAX, ff::Rational::new(i32::MAX, 1));
    }
}
