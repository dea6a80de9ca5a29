//! What libavutil's and libavfilter's wrappers do not show: sharing a frame, writing to its rows, a
//! few of its fields, and one thread for a graph. The only unsafe code of the editor.
#![allow(unsafe_code)]

use ff::ffi::{
    AV_PIX_FMT_FLAG_HWACCEL, AV_PIX_FMT_FLAG_PAL, AV_PIX_FMT_FLAG_PLANAR, AV_PIX_FMT_FLAG_RGB, AVRational,
    av_frame_make_writable, av_frame_ref,
};
use ff::format::Pixel;
use ff::frame::Video;
use ffmpeg_next as ff;

use crate::base::{Error, ErrorKind, Result};
use crate::media::Ratio;

/// What libavutil knows of a pixel format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    /// Bits of the first component.
    pub depth: i32,
    /// One component: luma alone.
    pub gray: bool,
    /// R, G and B, or a palette of them.
    pub rgb: bool,
    /// Each component in its own plane.
    pub planar: bool,
    /// In a device's memory: nothing here can read it.
    pub hardware: bool,
}

/// `None` for formats that libavutil does not know.
pub(super) fn traits(pixel: Pixel) -> Option<Traits> {
    let descriptor = pixel.descriptor()?;
    // SAFETY: the descriptor is an entry of libavutil's static table; its fields are only read.
    let descriptor = unsafe { &*descriptor.as_ptr() };
    let has = |flag: u32| descriptor.flags & u64::from(flag) != 0;
    Some(Traits {
        depth: descriptor.comp[0].depth,
        gray: descriptor.nb_components <= 2 && !has(AV_PIX_FMT_FLAG_PAL as u32),
        rgb: has(AV_PIX_FMT_FLAG_RGB as u32) || has(AV_PIX_FMT_FLAG_PAL as u32),
        planar: has(AV_PIX_FMT_FLAG_PLANAR as u32) || descriptor.nb_components == 1,
        hardware: has(AV_PIX_FMT_FLAG_HWACCEL as u32),
    })
}

/// A second reference to a frame's pixels, with the same properties; nothing is copied.
pub(super) fn share(frame: &Video) -> Result<Video> {
    let mut second = Video::empty();
    // SAFETY: both are valid AVFrames; `second` is blank, as av_frame_ref wants it.
    let status = unsafe { av_frame_ref(second.as_mut_ptr(), frame.as_ptr()) };
    if status < 0 { Err(no_memory(status)) } else { Ok(second) }
}

/// Sets the shape of a frame's pixels.
pub(super) fn set_pixel_aspect(frame: &mut Video, aspect: Ratio) {
    let part = |v: u32| i32::try_from(v).unwrap_or(i32::MAX);
    // SAFETY: the frame is valid and borrowed for writing.
    unsafe {
        (*frame.as_mut_ptr()).sample_aspect_ratio =
            AVRational { num: part(aspect.num), den: part(aspect.den) };
    }
}

/// Sets whether a frame counts as interlaced.
pub(super) fn set_interlaced(frame: &mut Video, interlaced: bool) {
    // SAFETY: the frame is valid and borrowed for writing.
    unsafe { (*frame.as_mut_ptr()).interlaced_frame = interlaced.into() }
}

/// Keeps a graph on the thread that feeds it. Only before its first filter is made.
pub(super) fn single_threaded(graph: &mut ff::filter::Graph) {
    // SAFETY: the graph is valid and borrowed for writing; the field may be set by users.
    unsafe { (*graph.as_mut_ptr()).nb_threads = 1 }
}

/// Rows of a 4:2:0 picture that may be written to.
pub(super) struct Canvas<'a> {
    frame: &'a mut Video,
    sample_bytes: usize,
}

impl<'a> Canvas<'a> {
    /// Copies the pixels first where something else refers to them too: a decoder's reference pictures
    /// never change.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for other formats than planar 4:2:0 with 8 or 10 bits.
    pub fn of(frame: &'a mut Video) -> Result<Canvas<'a>> {
        let sample_bytes = match frame.format() {
            Pixel::YUV420P => 1,
            Pixel::YUV420P10LE => 2,
            other => {
                let message = format!("cannot paint on pictures of the format {other:?}");
                return Err(Error::new(ErrorKind::Internal, "edit", message));
            }
        };
        // SAFETY: the frame is valid and borrowed for writing.
        let status = unsafe { av_frame_make_writable(frame.as_mut_ptr()) };
        if status < 0 { Err(no_memory(status)) } else { Ok(Canvas { frame, sample_bytes }) }
    }

    /// Samples of a row and rows of a plane (0 luma, 1 and 2 chroma).
    pub fn size(&self, plane: usize) -> (usize, usize) {
        plane_size(self.frame, plane)
    }

    /// Bytes of a sample.
    pub fn sample_bytes(&self) -> usize {
        self.sample_bytes
    }

    /// Row `y` of a plane. An index outside the picture gives an empty row.
    pub fn row(&mut self, plane: usize, y: usize) -> &mut [u8] {
        let (width, height) = self.size(plane);
        if y >= height {
            return &mut [];
        }
        // SAFETY: the frame is writable (`of`); libavutil keeps `width` samples valid in each of the
        // `height` rows that start at `data + y * linesize`, also where linesize is negative; the
        // borrow of self keeps other borrows of the pixels away.
        unsafe {
            let inner = &mut *self.frame.as_mut_ptr();
            let start = inner.data[plane].offset(y as isize * inner.linesize[plane] as isize);
            std::slice::from_raw_parts_mut(start, width * self.sample_bytes)
        }
    }
}

/// Row `y` of a plane of a planar 4:2:0 picture; empty outside of it.
#[cfg(test)]
pub(super) fn read_row(frame: &Video, plane: usize, y: usize) -> &[u8] {
    let (width, height) = plane_size(frame, plane);
    let bytes = match frame.format() {
        Pixel::YUV420P | Pixel::YUVJ420P => 1,
        Pixel::YUV420P10LE => 2,
        other => panic!("{other:?}"),
    };
    if y >= height {
        return &[];
    }
    // SAFETY: as in `Canvas::row`, but only read.
    unsafe {
        let inner = &*frame.as_ptr();
        let start = inner.data[plane].offset(y as isize * inner.linesize[plane] as isize);
        std::slice::from_raw_parts(start, width * bytes)
    }
}

fn plane_size(frame: &Video, plane: usize) -> (usize, usize) {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    match plane {
        0 => (width, height),
        1 | 2 => (width.div_ceil(2), height.div_ceil(2)),
        _ => (0, 0),
    }
}

fn no_memory(status: i32) -> Error {
    Error::new(ErrorKind::Internal, "edit", "a picture's buffer cannot be had; free some memory")
        .caused_by(ff::Error::from(status))
}
