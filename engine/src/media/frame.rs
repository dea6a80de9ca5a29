//! A decoded picture in memory: planes with strides, shared without copying.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::access_unit::Pts;
use super::orientation::Orientation;
use super::video::{Colorimetry, Ratio};
use crate::base::Moment;

/// How chroma samples lie, 8 bits, 4:2:0. A chroma plane has `(width + 1) / 2` by
/// `(height + 1) / 2` samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chroma {
    /// Three planes: Y, U, V.
    I420,
    /// Two planes: Y, then U and V interleaved (`2 * ((width + 1) / 2)` bytes a row).
    Nv12,
}

/// One plane of samples.
#[derive(Clone, Debug)]
pub struct Plane {
    /// The bytes, from the first sample of the first row; at least `stride * (rows - 1) + row
    /// bytes` long. May be a view into a decoder's own buffer.
    pub data: Bytes,
    /// Bytes from a row to the next.
    pub stride: usize,
}

impl Plane {
    /// Row `y`, `len` bytes of it.
    pub fn row(&self, y: usize, len: usize) -> &[u8] {
        &self.data[y * self.stride..][..len]
    }
}

/// What a frame carries beside its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameMeta {
    /// When it is to be shown, on its stream's timeline.
    pub pts: Pts,
    /// When its access unit arrived: its age counts from here.
    pub arrival: Moment,
    /// When the camera captured it, since the Unix epoch, where known.
    pub captured: Option<Duration>,
    /// Counts the pictures of one source, from 0.
    pub sequence: u64,
    /// Width of a pixel to its height.
    pub pixel_aspect: Ratio,
    /// How samples map to colours.
    pub color: Colorimetry,
    /// How it is to be turned to stand upright; whoever fits it does so.
    pub orientation: Orientation,
}

impl Default for FrameMeta {
    fn default() -> Self {
        FrameMeta {
            pts: Pts::default(),
            arrival: Moment::default(),
            captured: None,
            sequence: 0,
            pixel_aspect: Ratio::ONE,
            color: Colorimetry::default(),
            orientation: Orientation::UPRIGHT,
        }
    }
}

/// An immutable picture; cloning shares the pixels.
#[derive(Clone, Debug)]
pub struct Frame(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    width: u32,
    height: u32,
    chroma: Chroma,
    planes: Vec<Plane>,
    meta: FrameMeta,
}

impl Frame {
    /// A frame of these planes; `None` where a plane is missing or too short for the size.
    pub fn new(
        width: u32,
        height: u32,
        chroma: Chroma,
        planes: Vec<Plane>,
        meta: FrameMeta,
    ) -> Option<Frame> {
        let fits = |plane: &Plane, row: usize, rows: usize| {
            plane.stride >= row && plane.data.len() >= plane.stride * (rows - 1) + row
        };
        if width == 0 || height == 0 {
            return None;
        }
        let (w, h) = (width as usize, height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        let whole = match (chroma, planes.as_slice()) {
            (Chroma::I420, [y, u, v]) => fits(y, w, h) && fits(u, cw, ch) && fits(v, cw, ch),
            (Chroma::Nv12, [y, uv]) => fits(y, w, h) && fits(uv, 2 * cw, ch),
            _ => false,
        };
        whole.then(|| Frame(Arc::new(Inner { width, height, chroma, planes, meta })))
    }

    /// A tightly packed I420 frame: Y, U and V one after the other in `data`, strides equal to
    /// the plane widths. `None` where `data` has another length.
    pub fn packed_i420(width: u32, height: u32, data: Bytes, meta: FrameMeta) -> Option<Frame> {
        let (w, h) = (width as usize, height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        if data.len() != w * h + 2 * cw * ch {
            return None;
        }
        let planes = vec![
            Plane { data: data.slice(..w * h), stride: w },
            Plane { data: data.slice(w * h..w * h + cw * ch), stride: cw },
            Plane { data: data.slice(w * h + cw * ch..), stride: cw },
        ];
        Frame::new(width, height, Chroma::I420, planes, meta)
    }

    /// A frame of one colour (Y, U, V).
    pub fn filled(width: u32, height: u32, yuv: [u8; 3], meta: FrameMeta) -> Option<Frame> {
        let (w, h) = (width as usize, height as usize);
        let chroma = w.div_ceil(2) * h.div_ceil(2);
        let mut data = vec![yuv[0]; w * h];
        data.resize(w * h + chroma, yuv[1]);
        data.resize(w * h + 2 * chroma, yuv[2]);
        Frame::packed_i420(width, height, data.into(), meta)
    }

    /// The same pixels, to be turned by this too, after what they are to be turned by already.
    pub fn turned(&self, further: Orientation) -> Frame {
        if further.is_upright() {
            return self.clone();
        }
        let Inner { width, height, chroma, planes, meta } = &*self.0;
        let meta = FrameMeta { orientation: meta.orientation.then(further), ..*meta };
        let (width, height, chroma, planes) = (*width, *height, *chroma, planes.clone());
        Frame(Arc::new(Inner { width, height, chroma, planes, meta }))
    }

    /// Width and height of the upright picture.
    pub fn upright_size(&self) -> (u32, u32) {
        self.0.meta.orientation.size((self.0.width, self.0.height))
    }

    /// Width of a pixel of the upright picture to its height.
    pub fn upright_pixel_aspect(&self) -> Ratio {
        let Ratio { num, den } = self.0.meta.pixel_aspect;
        if self.0.meta.orientation.swaps_sides() { Ratio { num: den, den: num } } else { Ratio { num, den } }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.0.width
    }
    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.0.height
    }
    /// Layout of the chroma samples.
    pub fn chroma(&self) -> Chroma {
        self.0.chroma
    }
    /// The planes, as [`Chroma`] orders them.
    pub fn planes(&self) -> &[Plane] {
        &self.0.planes
    }
    /// What it carries beside its pixels.
    pub fn meta(&self) -> &FrameMeta {
        &self.0.meta
    }
    /// Bytes its planes take, without padding.
    pub fn packed_len(&self) -> usize {
        let (w, h) = (self.0.width as usize, self.0.height as usize);
        w * h + 2 * w.div_ceil(2) * h.div_ceil(2)
    }
    /// The pixels as tightly packed I420, copied.
    pub fn to_packed_i420(&self) -> Vec<u8> {
        let (w, h) = (self.0.width as usize, self.0.height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        let mut out = Vec::with_capacity(self.packed_len());
        let planes = self.planes();
        for y in 0..h {
            out.extend_from_slice(planes[0].row(y, w));
        }
        match self.0.chroma {
            Chroma::I420 => {
                for plane in &planes[1..] {
                    for y in 0..ch {
                        out.extend_from_slice(plane.row(y, cw));
                    }
                }
            }
            Chroma::Nv12 => {
                for part in 0..2 {
                    for y in 0..ch {
                        out.extend(planes[1].row(y, 2 * cw).iter().skip(part).step_by(2));
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_sizes_round_chroma_up() {
        let frame = Frame::filled(5, 3, [16, 100, 200], FrameMeta::default()).expect("a valid size");
        assert_eq!(frame.packed_len(), 15 + 2 * 6);
        assert_eq!(frame.to_packed_i420()[15..21], [100; 6]);
        assert_eq!(frame.to_packed_i420()[21..], [200; 6]);
    }

    #[test]
    fn short_planes_are_refused() {
        let short = Plane { data: vec![0; 10].into(), stride: 4 };
        assert!(Frame::new(4, 4, Chroma::Nv12, vec![short.clone(), short], FrameMeta::default()).is_none());
        assert!(Frame::filled(0, 4, [0; 3], FrameMeta::default()).is_none());
    }

    #[test]
    fn nv12_is_split_into_planes() {
        let y = Plane { data: vec![1; 4].into(), stride: 2 };
        let uv = Plane { data: vec![7, 9].into(), stride: 2 };
        let frame = Frame::new(2, 2, Chroma::Nv12, vec![y, uv], FrameMeta::default()).expect("valid planes");
        assert_eq!(frame.to_packed_i420(), [1, 1, 1, 1, 7, 9]);
    }
}
