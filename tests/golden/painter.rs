//! A painter that is slow and plain: one sample at a time, in `f64`, by the words of `Draw`'s
//! documentation. It shares no code with the compositors, and no method: areas are integrated, colours
//! go through R'G'B'.

use vitrail_engine::composite::{Bitmap, CompositePlan, Draw, Yuv};
use vitrail_engine::media::{Colorimetry, Frame, Matrix, PixelRect, Range};

use crate::compare::Picture;

/// Draws a plan onto a picture.
pub fn paint(canvas: &mut Picture, plan: &CompositePlan) {
    for draw in &plan.draws {
        let below = canvas.clone();
        let mut put = |plane: usize, x: u32, y: u32, value: f64| {
            let stride = canvas.width as usize / if plane == 0 { 1 } else { 2 };
            canvas.planes[plane][y as usize * stride + x as usize] =
                (value + 0.5).floor().clamp(0.0, 255.0) as u8;
        };
        let seen = |x: u32, y: u32| plan.damage.iter().any(|rect| contains(rect, x.into(), y.into()));
        match draw {
            Draw::Fill { rect, color, alpha } => {
                let cover = |x: u32, y: u32| {
                    f64::from(u8::from(contains(rect, x.into(), y.into()) && seen(x, y))) * f64::from(*alpha)
                        / 255.0
                };
                blend(&below, *color, &cover, &mut put);
            }
            Draw::Stamp { x: left, y: top, bitmap, color, alpha } => {
                let cover = |x: u32, y: u32| match seen(x, y) {
                    true => {
                        coverage(bitmap, i64::from(x) - i64::from(*left), i64::from(y) - i64::from(*top))
                            * f64::from(*alpha)
                            / 255.0
                    }
                    false => 0.0,
                };
                blend(&below, *color, &cover, &mut put);
            }
            Draw::Picture { frame, dest } => {
                for y in (0..plan.height).step_by(2) {
                    for x in (0..plan.width).step_by(2) {
                        if contains(dest, x.into(), y.into()) && seen(x, y) {
                            let (luma, chroma) = block(frame, dest, x - dest.x, y - dest.y);
                            for (n, value) in (0..).zip(luma) {
                                put(0, x + n % 2, y + n / 2, value);
                            }
                            put(1, x / 2, y / 2, chroma[0]);
                            put(2, x / 2, y / 2, chroma[1]);
                        }
                    }
                }
            }
        }
    }
}

fn contains(rect: &PixelRect, x: i64, y: i64) -> bool {
    (i64::from(rect.x)..i64::from(rect.right())).contains(&x)
        && (i64::from(rect.y)..i64::from(rect.bottom())).contains(&y)
}

fn coverage(bitmap: &Bitmap, x: i64, y: i64) -> f64 {
    let inside = (0..i64::from(bitmap.width)).contains(&x) && (0..i64::from(bitmap.height)).contains(&y);
    if inside { f64::from(bitmap.coverage[(y * i64::from(bitmap.width) + x) as usize]) / 255.0 } else { 0.0 }
}

/// Mixes a colour in by `cover` (0 to 1, of a pixel).
fn blend(
    below: &Picture,
    color: Yuv,
    cover: &dyn Fn(u32, u32) -> f64,
    put: &mut dyn FnMut(usize, u32, u32, f64),
) {
    let (w, h) = (below.width, below.height);
    for y in 0..h {
        for x in 0..w {
            let (old, a) = (f64::from(below.planes[0][(y * w + x) as usize]), cover(x, y));
            put(0, x, y, old * (1.0 - a) + f64::from(color.y) * a);
        }
    }
    for y in 0..h / 2 {
        for x in 0..w / 2 {
            let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| cover(2 * x + i, 2 * y + j));
            let a = four.iter().sum::<f64>() / 4.0;
            for (plane, new) in [(1, color.u), (2, color.v)] {
                let old = f64::from(below.planes[plane][(y * w / 2 + x) as usize]);
                put(plane, x, y, old * (1.0 - a) + f64::from(new) * a);
            }
        }
    }
}

/// The four lumas and the two chromas of one block of a scaled and converted picture.
fn block(frame: &Frame, dest: &PixelRect, x: u32, y: u32) -> ([f64; 4], [f64; 2]) {
    let (w, h) = (frame.width() as usize, frame.height() as usize);
    let samples = frame.to_packed_i420();
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let (luma, chroma) = samples.split_at(w * h);
    let (u, v) = chroma.split_at(cw * ch);
    let ratio = (w as f64 / f64::from(dest.width), h as f64 / f64::from(dest.height));
    let at = |plane: &[u8], (pw, ph): (usize, usize), x: u32, y: u32| {
        let across = weights(f64::from(x), ratio.0, pw);
        let down = weights(f64::from(y), ratio.1, ph);
        let mut sum = 0.0;
        let mut whole = 0.0;
        for &(row, wy) in &down {
            for &(column, wx) in &across {
                sum += f64::from(plane[row * pw + column]) * wx * wy;
                whole += wx * wy;
            }
        }
        sum / whole
    };
    let lumas = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| at(luma, (w, h), x + i, y + j));
    let chromas = [at(u, (cw, ch), x / 2, y / 2), at(v, (cw, ch), x / 2, y / 2)];
    let color = frame.meta().color;
    let outs = lumas.map(|l| convert([l, chromas[0], chromas[1]], color)[0]);
    let mean = lumas.iter().sum::<f64>() / 4.0;
    let [_, u, v] = convert([mean, chromas[0], chromas[1]], color);
    (outs, [u, v])
}

/// What of each source sample goes into destination sample `n` of one axis; `ratio` is source to destination.
fn weights(n: f64, ratio: f64, len: usize) -> Vec<(usize, f64)> {
    let samples = 0..len;
    if ratio >= 1.0 {
        let (begin, end) = (n * ratio, (n + 1.0) * ratio);
        let overlap = |k: usize| (end.min(k as f64 + 1.0) - begin.max(k as f64)).max(0.0);
        samples.map(|k| (k, overlap(k))).filter(|(_, weight)| *weight > 1e-9).collect()
    } else {
        let centre = ((n + 0.5) * ratio - 0.5).clamp(0.0, len as f64 - 1.0);
        samples.map(|k| (k, (1.0 - (k as f64 - centre).abs()).max(0.0))).filter(|(_, w)| *w > 0.0).collect()
    }
}

/// To BT.709 limited, by way of R'G'B'.
pub fn convert([y, u, v]: [f64; 3], from: Colorimetry) -> [f64; 3] {
    if from == Colorimetry::default() {
        return [y, u, v];
    }
    let (kr, kb) = match from.matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
    };
    let (luma, blue, red) = match from.range {
        Range::Limited => ((y - 16.0) / 219.0, (u - 128.0) / 224.0, (v - 128.0) / 224.0),
        Range::Full => (y / 255.0, (u - 128.0) / 255.0, (v - 128.0) / 255.0),
    };
    let r = luma + red * 2.0 * (1.0 - kr);
    let b = luma + blue * 2.0 * (1.0 - kb);
    let g = (luma - kr * r - kb * b) / (1.0 - kr - kb);
    let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    [16.0 + 219.0 * luma, 128.0 + 224.0 * (b - luma) / 1.8556, 128.0 + 224.0 * (r - luma) / 1.5748]
}

#[test]
fn the_painter_itself_agrees_with_sums_done_by_hand() {
    assert_eq!(weights(1.0, 2.5, 10), [(2, 0.5), (3, 1.0), (4, 1.0)]);
    assert_eq!(weights(0.0, 0.5, 4), [(0, 1.0)]);
    assert_eq!(weights(1.0, 0.5, 4), [(0, 0.75), (1, 0.25)]);
    let full = Colorimetry { matrix: Matrix::Bt709, range: Range::Full };
    let out = convert([255.0, 128.0, 255.0], full);
    assert!(
        (out[0] - 235.0).abs() < 1e-9 && (out[2] - (128.0 + 224.0 * 127.0 / 255.0)).abs() < 1e-9,
        "{out:?}"
    );
    let mut canvas = Picture::filled(4, 2, [16, 128, 128]);
    let red = Yuv { y: 100, u: 28, v: 228 };
    let rect = PixelRect::new(1, 0, 2, 2);
    let draws = vec![Draw::Fill { rect, color: red, alpha: 255 }];
    paint(
        &mut canvas,
        &CompositePlan { width: 4, height: 2, draws, damage: vec![PixelRect::new(0, 0, 4, 2)] },
    );
    assert_eq!(canvas.planes, [vec![16, 100, 100, 16, 16, 100, 100, 16], vec![78, 78], vec![178, 178]]);
}
