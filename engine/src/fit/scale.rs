//! One frame into one tile: scaled, cut to the window, masked.

use super::axis::{Axis, Stretch};
use super::geometry::{self, Mapping, Span};
use super::kernels::{self, Samples, Scratch};
use super::simd::{self, Level};
use super::turn;
use crate::media::{
    Chroma, FitSpec, FittedFrame, Frame, FrameMeta, Mask, Orientation, PixelRect, Range, Ratio,
};

/// Fits `frame` into a tile and burns `masks` in: area average where the picture shrinks, linear
/// interpolation where it grows, an exact copy where sizes are equal. What comes out stands upright: it is
/// turned when it is small, after the masks, which lie on the frame as it is. Where the window shows
/// only bars, the result is two by two black pixels, which look like them.
pub fn fit(frame: &Frame, spec: &FitSpec, masks: &[Mask], scratch: &mut Scratch) -> FittedFrame {
    fit_at(Level::best(), frame, spec, masks, scratch)
}

/// [`fit`] with a chosen instruction set, for tests and benches.
pub fn fit_at(
    level: Level,
    frame: &Frame,
    spec: &FitSpec,
    masks: &[Mask],
    scratch: &mut Scratch,
) -> FittedFrame {
    let upright = geometry::solve(frame, spec);
    let meta = FrameMeta { pixel_aspect: Ratio::ONE, orientation: Orientation::UPRIGHT, ..*frame.meta() };
    if upright.part.is_empty() {
        return bars(spec, meta);
    }
    let mapping = upright.laid_down(frame, spec);
    let part = mapping.part;
    let (w, h) = (part.width as usize, part.height as usize);
    let mut out = vec![0; w * h + w * h / 2];
    let (luma, chroma) = out.split_at_mut(w * h);
    let (u, v) = chroma.split_at_mut(w * h / 4);
    for (index, plane) in [luma, u, v].into_iter().enumerate() {
        scale_plane(level, frame, index, &mapping, plane, scratch);
    }
    for mask in masks {
        if let Some(rect) = geometry::masked(mask, frame, &mapping) {
            blacken(&mut out, &part, &rect, black(&meta));
        }
    }
    let out = set_upright(out, &part, frame.meta().orientation);
    let Mapping { part, window, .. } = upright;
    match Frame::packed_i420(part.width, part.height, out.into(), meta) {
        Some(frame) => FittedFrame { frame, x: part.x - window.x, y: part.y - window.y, spec: *spec },
        None => bars(spec, meta),
    }
}

/// A packed picture of the size of `part`, turned.
fn set_upright(picture: Vec<u8>, part: &PixelRect, orientation: Orientation) -> Vec<u8> {
    if orientation.is_upright() {
        return picture;
    }
    let (w, h) = (part.width as usize, part.height as usize);
    let mut out = vec![0; picture.len()];
    let quarter = w * h / 4;
    let planes = [(0..w * h, w), (w * h..w * h + quarter, w / 2), (w * h + quarter..picture.len(), w / 2)];
    for (range, width) in planes {
        turn::plane(orientation, &picture[range.clone()], width, &mut out[range]);
    }
    out
}

/// Plane 0 is luma, 1 and 2 are chroma, whatever the layout of the frame.
fn scale_plane(
    level: Level,
    frame: &Frame,
    index: usize,
    mapping: &Mapping,
    out: &mut [u8],
    scratch: &mut Scratch,
) {
    let share = if index == 0 { 1 } else { 2 };
    let planes = frame.planes();
    let source = match frame.chroma() {
        Chroma::Nv12 if index > 0 => {
            Samples { data: &planes[1].data, stride: planes[1].stride, step: 2, phase: index - 1 }
        }
        _ => Samples { data: &planes[index].data, stride: planes[index].stride, step: 1, phase: 0 },
    };
    let axis = |size: u32, span: Span, picture: u32, from: u32, len: u32| {
        let stretch = Stretch {
            input: size.div_ceil(share) as usize,
            from: span.from / f64::from(share),
            to: span.to / f64::from(share),
            output: (picture / share) as usize,
        };
        let first = (from / share) as usize;
        Axis::new(stretch, first..first + (len / share) as usize)
    };
    let Mapping { across, down, picture, part, .. } = *mapping;
    let across = axis(frame.width(), across, picture.width, part.x - picture.x, part.width);
    let down = axis(frame.height(), down, picture.height, part.y - picture.y, part.height);
    let width = (part.width / share) as usize;
    simd::run(level, Scale { source, across, down, out, width, scratch });
}

/// One plane's scaling; the axes are the picture's.
struct Scale<'a> {
    source: Samples<'a>,
    across: Axis,
    down: Axis,
    out: &'a mut [u8],
    width: usize,
    scratch: &'a mut Scratch,
}

impl simd::Kernel for Scale<'_> {
    #[inline(always)]
    fn run(self) {
        kernels::scale(self.source, self.across, self.down, self.out, self.width, self.scratch);
    }
}

fn black(meta: &FrameMeta) -> u8 {
    match meta.color.range {
        Range::Limited => 16,
        Range::Full => 0,
    }
}

/// Fills `rect` (even) of a packed picture of the size of `part`.
fn blacken(out: &mut [u8], part: &PixelRect, rect: &PixelRect, black: u8) {
    let (w, h) = (part.width as usize, part.height as usize);
    let (luma, chroma) = out.split_at_mut(w * h);
    let (u, v) = chroma.split_at_mut(w * h / 4);
    for (plane, share, value) in [(luma, 1, black), (u, 2, 128), (v, 2, 128)] {
        let stride = w / share;
        let (left, right) = (rect.x as usize / share, rect.right() as usize / share);
        for row in rect.y as usize / share..rect.bottom() as usize / share {
            plane[row * stride..][left..right].fill(value);
        }
    }
}

fn bars(spec: &FitSpec, meta: FrameMeta) -> FittedFrame {
    let black = black(&meta);
    let data = vec![black, black, black, black, 128, 128];
    let frame = Frame::packed_i420(2, 2, data.into(), meta).expect("six bytes are a picture of two by two");
    FittedFrame { frame, x: 0, y: 0, spec: *spec }
}
