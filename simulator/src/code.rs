//! The frame code: camera, profile and frame number in the pixels of every picture, in two rows of
//! large black and white cells that survive scaling to a tile and re-encoding.
//!
//! All lengths are fractions of the picture, so a scaled picture reads the same. Each row has 28
//! cells over the full width: a white and a black pilot, then 26 bits, most significant first, a
//! white cell for 1. The upper row holds profile (1 bit, 1 for `main`), camera (15 bits) and a
//! CRC-10; the lower row the frame number (20 bits) and a CRC-6.

use crate::Profile;

/// Cells in a row: two pilots and 26 bits.
pub const CELLS: usize = 28;
/// Top and bottom of the camera's row, as fractions of the picture's height.
pub const CAMERA_ROW: (f64, f64) = (0.600, 0.675);
/// Top and bottom of the frame number's row, as fractions of the picture's height.
pub const FRAME_ROW: (f64, f64) = (0.725, 0.800);
/// The largest camera number: 15 bits.
pub const MAX_CAMERA: u16 = 0x7fff;
/// Frame numbers wrap here: 20 bits.
pub const FRAME_LIMIT: u32 = 1 << 20;

const WHITE: u8 = 225;
const BLACK: u8 = 24;
/// Luma between the pilots below which there is no code: far above noise, far below 225 - 24.
const MIN_CONTRAST: f64 = 60.0;
/// x^10+x^9+x^5+x^4+x+1, as in ATM cells.
const CRC10: u32 = 0x633;
/// x^6+x+1, as in ITU-T G.704.
const CRC6: u32 = 0x43;

/// Where in its pictures a camera has the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// Large, across the middle: survives every scaling.
    #[default]
    Middle,
    /// Small, in the lower right corner: read it with [`Place::region`].
    Corner,
    /// Nowhere.
    Nowhere,
}

impl Place {
    /// The region of a picture of this size that [`read`] reads the code from; `None`: all of it.
    pub fn region(self, (width, height): (usize, usize)) -> Option<Region> {
        let (w, h) = (width as f64, height as f64);
        // The rows lie in the lower third of a region, so this one reaches below the picture.
        (self == Place::Corner).then(|| Region::new(0.70 * w, 0.75 * h, 0.28 * w, 0.293 * h))
    }
}

/// What the pixels say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// The camera's number, from 1, at most [`MAX_CAMERA`].
    pub camera: u16,
    /// Which of its streams.
    pub profile: Profile,
    /// The number of the frame within the loop, below [`FRAME_LIMIT`].
    pub frame: u32,
}

/// A rectangle of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Region {
    /// The rectangle with these edges.
    pub fn new(x: f64, y: f64, width: f64, height: f64) -> Region {
        Region { x, y, width, height }
    }

    /// Tile `(column, row)` of a picture of `width` x `height` cut into `columns` x `rows`.
    pub fn tile(
        (width, height): (usize, usize),
        (columns, rows): (usize, usize),
        (column, row): (usize, usize),
    ) -> Region {
        let (w, h) = (width as f64 / columns as f64, height as f64 / rows as f64);
        Region::new(w * column as f64, h * row as f64, w, h)
    }
}

/// Remainder of `value * x^degree` divided by `polynomial`.
fn crc(value: u32, bits: u32, polynomial: u32, degree: u32) -> u32 {
    let mut rest = u64::from(value) << degree;
    for bit in (0..bits).rev() {
        if rest >> (bit + degree) & 1 == 1 {
            rest ^= u64::from(polynomial) << bit;
        }
    }
    rest as u32
}

fn camera_bits(code: &Code) -> u32 {
    let main = u32::from(code.profile == Profile::Main) << 15;
    let value = main | u32::from(code.camera & MAX_CAMERA);
    // Inverted, so that a row of black cells is not a valid code.
    value << 10 | (crc(value, 16, CRC10, 10) ^ 0x3ff)
}

fn frame_bits(frame: u32) -> u32 {
    let value = frame % FRAME_LIMIT;
    value << 6 | (crc(value, 20, CRC6, 6) ^ 0x3f)
}

/// Draws `code` into the planes of an I420 picture: `luma` and both chroma planes with their
/// strides in bytes. Planes shorter than the size say are drawn as far as they go.
pub fn stamp(
    code: &Code,
    (width, height): (usize, usize),
    luma: (&mut [u8], usize),
    chroma: [(&mut [u8], usize); 2],
) {
    let whole = Region::new(0.0, 0.0, width as f64, height as f64);
    stamp_in(code, whole, width, luma, chroma);
}

/// The same in a region of the picture, which is `width` wide.
pub(crate) fn stamp_in(
    code: &Code,
    region: Region,
    width: usize,
    (plane, stride): (&mut [u8], usize),
    chroma: [(&mut [u8], usize); 2],
) {
    let rows = [(CAMERA_ROW, camera_bits(code)), (FRAME_ROW, frame_bits(code.frame))];
    let row = |at: f64, scale: f64| ((region.y + at * region.height) * scale).round() as usize;
    let (left, wide) = (region.x.round() as usize, region.width.round() as usize);
    for ((top, bottom), bits) in rows {
        for y in row(top, 1.0)..row(bottom, 1.0) {
            let Some(line) = plane.get_mut(y * stride..y * stride + width) else { break };
            for cell in 0..CELLS {
                let white = match cell {
                    0 => true,
                    1 => false,
                    _ => bits >> (CELLS - 1 - cell) & 1 == 1,
                };
                let columns = left + cell * wide / CELLS..left + (cell + 1) * wide / CELLS;
                line[columns].fill(if white { WHITE } else { BLACK });
            }
        }
    }
    let half = width.div_ceil(2);
    for (plane, stride) in chroma {
        for ((top, bottom), _) in rows {
            // Half of an odd height is rounded up.
            for y in row(top, 0.5)..row(bottom, 0.5) {
                let Some(line) = plane.get_mut(y * stride..y * stride + half) else { break };
                line[left / 2..(left + wide).div_ceil(2)].fill(128);
            }
        }
    }
}

#[cfg(test)]
fn edge(fraction: f64, height: usize) -> usize {
    (fraction * height as f64).round() as usize
}

/// Reads the code of the picture that fills `region` of a luma plane (`stride` bytes a row, `width`
/// x `height` samples). `None` where there is no code or its checksums do not hold.
pub fn read(
    luma: &[u8],
    stride: usize,
    (width, height): (usize, usize),
    region: Option<Region>,
) -> Option<Code> {
    let region = region.unwrap_or(Region::new(0.0, 0.0, width as f64, height as f64));
    let plane = Luma { data: luma, stride, width, height };
    let camera = read_row(&plane, &region, CAMERA_ROW)?;
    let frame = read_row(&plane, &region, FRAME_ROW)?;
    let id = camera >> 10;
    let code = Code {
        camera: id as u16 & MAX_CAMERA,
        profile: if id >> 15 == 1 { Profile::Main } else { Profile::Sub },
        frame: frame >> 6,
    };
    (camera_bits(&code) == camera && frame_bits(code.frame) == frame).then_some(code)
}

struct Luma<'a> {
    data: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

fn read_row(plane: &Luma, region: &Region, (top, bottom): (f64, f64)) -> Option<u32> {
    // The middle third of the height and the middle 40 % of the width: clear of what scaling and
    // coding smear over the edges.
    let third = (bottom - top) / 3.0;
    let rows = (region.y + (top + third) * region.height, region.y + (bottom - third) * region.height);
    let pitch = region.width / CELLS as f64;
    let mut cells = [0.0; CELLS];
    for (i, cell) in cells.iter_mut().enumerate() {
        let left = region.x + (i as f64 + 0.3) * pitch;
        *cell = plane.mean((left, left + 0.4 * pitch), rows)?;
    }
    let (white, black) = (cells[0], cells[1]);
    if white - black < MIN_CONTRAST {
        return None;
    }
    let threshold = (white + black) / 2.0;
    Some(cells[2..].iter().fold(0, |bits, &cell| bits << 1 | u32::from(cell > threshold)))
}

impl Luma<'_> {
    /// Mean of the samples whose centres lie in the rectangle, at least of the one in its middle.
    fn mean(&self, x: (f64, f64), y: (f64, f64)) -> Option<f64> {
        let (x, y) = (samples(x, self.width)?, samples(y, self.height)?);
        let mut sum = 0u64;
        for row in y.clone() {
            let line = self.data.get(row * self.stride + x.start..row * self.stride + x.end)?;
            sum += line.iter().map(|&v| u64::from(v)).sum::<u64>();
        }
        Some(sum as f64 / (x.len() * y.len()) as f64)
    }
}

fn samples((from, to): (f64, f64), limit: usize) -> Option<std::ops::Range<usize>> {
    if !(from >= 0.0 && to <= limit as f64) {
        return None;
    }
    let (first, last) = ((from - 0.5).ceil() as usize, (to - 0.5).ceil() as usize);
    if first < last { Some(first..last) } else { middle((from + to) / 2.0, limit) }
}

fn middle(at: f64, limit: usize) -> Option<std::ops::Range<usize>> {
    let at = at.floor() as usize;
    (at < limit).then_some(at..at + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// A grey picture with noise and the code on it.
    fn picture(code: &Code, width: usize, height: usize) -> Vec<u8> {
        let mut luma: Vec<u8> = (0..width * height).map(|i| 90 + (i * 7919 % 64) as u8).collect();
        let (mut u, mut v) = (vec![128; width.div_ceil(2) * height.div_ceil(2)], vec![0; width.div_ceil(2)]);
        let half = width.div_ceil(2);
        stamp(code, (width, height), (&mut luma, width), [(&mut u, half), (&mut v, half)]);
        luma
    }

    /// Area scaling, written for the test.
    fn shrink(from: &[u8], (fw, fh): (usize, usize), (tw, th): (usize, usize)) -> Vec<u8> {
        let mut out = Vec::with_capacity(tw * th);
        for y in 0..th {
            for x in 0..tw {
                let (x0, x1) = (x * fw / tw, ((x + 1) * fw).div_ceil(tw));
                let (y0, y1) = (y * fh / th, ((y + 1) * fh).div_ceil(th));
                let sum: usize =
                    (y0..y1).flat_map(|r| &from[r * fw + x0..r * fw + x1]).map(|&v| usize::from(v)).sum();
                out.push((sum / ((x1 - x0) * (y1 - y0))) as u8);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn reads_back_at_every_tile_size(camera in 1..=MAX_CAMERA, frame in 0..FRAME_LIMIT, main: bool,
                                         noise in 0u64..1000) {
            let profile = if main { Profile::Main } else { Profile::Sub };
            let code = Code { camera, profile, frame };
            let luma = picture(&code, 640, 360);
            for (w, h) in [(640, 360), (480, 270), (240, 135), (120, 68)] {
                let mut small = shrink(&luma, (640, 360), (w, h));
                for (i, v) in small.iter_mut().enumerate() {
                    *v = v.saturating_add(((i as u64 * 31 + noise) % 24) as u8);
                }
                prop_assert_eq!(read(&small, w, (w, h), None), Some(code), "{}x{}", w, h);
            }
        }

        #[test]
        fn one_wrong_cell_is_refused(camera in 1..=MAX_CAMERA, frame in 0..FRAME_LIMIT, cell in 2..CELLS, lower: bool) {
            let mut luma = picture(&Code { camera, profile: Profile::Sub, frame }, 640, 360);
            let (top, bottom) = if lower { FRAME_ROW } else { CAMERA_ROW };
            for y in edge(top, 360)..edge(bottom, 360) {
                for v in &mut luma[y * 640 + cell * 640 / CELLS..y * 640 + (cell + 1) * 640 / CELLS] {
                    *v = 249 - *v;
                }
            }
            prop_assert_eq!(read(&luma, 640, (640, 360), None), None);
        }

        #[test]
        fn never_panics(data in proptest::collection::vec(any::<u8>(), 0..4000), stride in 0usize..90,
                        w in 0usize..90, h in 0usize..90, x in -9.0..99.0, y in -9.0..99.0, rw in -9.0..99.0) {
            let _ = read(&data, stride, (w, h), Some(Region::new(x, y, rw, rw)));
            let _ = read(&data, stride, (w, h), None);
        }
    }

    #[test]
    fn a_small_code_in_the_corner_is_read_where_it_is() {
        let code = Code { camera: 4711, profile: Profile::Main, frame: 99 };
        for (w, h) in [(640, 360), (1280, 720), (352, 288)] {
            let mut luma = vec![100; w * h];
            let (mut u, mut v) = (vec![9; w * h / 4], vec![9; w * h / 4]);
            let region = Place::Corner.region((w, h));
            stamp_in(&code, region.unwrap(), w, (&mut luma, w), [(&mut u, w / 2), (&mut v, w / 2)]);
            assert_eq!(read(&luma, w, (w, h), region), Some(code), "{w}x{h}");
            assert_eq!(read(&luma, w, (w, h), None), None);
            assert!(luma[..w * h * 9 / 10].iter().all(|v| *v == 100), "{w}x{h}: only the corner");
        }
        assert_eq!(Place::Middle.region((640, 360)), None);
    }

    #[test]
    fn reads_a_tile_of_a_wall() {
        let mut wall = vec![16u8; 1920 * 1080];
        for tile in 0..16usize {
            let code = Code { camera: 1 + tile as u16, profile: Profile::Sub, frame: 7 * tile as u32 };
            let small = shrink(&picture(&code, 640, 360), (640, 360), (480, 270));
            let (x, y) = (tile % 4 * 480, tile / 4 * 270);
            for (i, line) in small.chunks(480).enumerate() {
                wall[(y + i) * 1920 + x..][..480].copy_from_slice(line);
            }
        }
        for tile in 0..16usize {
            let region = Region::tile((1920, 1080), (4, 4), (tile % 4, tile / 4));
            let code = read(&wall, 1920, (1920, 1080), Some(region)).unwrap();
            assert_eq!((code.camera, code.frame), (1 + tile as u16, 7 * tile as u32));
        }
        assert_eq!(read(&vec![0; 640 * 360], 640, (640, 360), None), None);
        assert_eq!(read(&vec![255; 640 * 360], 640, (640, 360), None), None);
    }
}
