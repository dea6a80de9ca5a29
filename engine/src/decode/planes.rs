//! A plane that views libavcodec's own buffer instead of copying it, and where samples lie in one: the only
//! unsafe code of this room.
#![allow(unsafe_code)]

use std::sync::Arc;

use bytes::Bytes;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::{ffi, frame};

use crate::media::Plane;

/// A view of one plane that keeps its frame alive.
struct View {
    /// Holds the reference to the buffer that `start` points into.
    _owner: Arc<frame::Video>,
    start: *const u8,
    len: usize,
}

// SAFETY: the bytes are only read, and libavcodec does not write to a picture that it has handed
// out; the frame's references are counted atomically, so that any thread may drop the last one.
unsafe impl Send for View {}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `plane` checked that `len` bytes from `start` lie in a buffer of `_owner`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

/// Plane `index` of a frame: `rows` rows of `row` bytes. `None` where the frame has no such plane
/// or its buffer is smaller than that.
pub(super) fn plane(owner: &Arc<frame::Video>, index: usize, row: usize, rows: usize) -> Option<Plane> {
    // SAFETY: the frame is a valid, owned AVFrame; its fields are only read.
    let (start, stride, buffers) = unsafe {
        let frame = &*owner.as_ptr();
        (*frame.data.get(index)?, *frame.linesize.get(index)?, frame.buf)
    };
    let stride = usize::try_from(stride).ok().filter(|s| *s >= row && row > 0 && rows > 0)?;
    let len = stride.checked_mul(rows - 1)?.checked_add(row)?;
    let inside = buffers.iter().any(|&buffer| {
        if buffer.is_null() {
            return false;
        }
        // SAFETY: a non-null entry of `buf` is a valid reference, held by the frame.
        let (base, size) = unsafe { ((*buffer).data as usize, (*buffer).size) };
        let from = start as usize;
        from >= base && from - base <= size && size - (from - base) >= len
    });
    if start.is_null() || !inside {
        return None;
    }
    Some(Plane { data: Bytes::from_owner(View { _owner: owner.clone(), start, len }), stride })
}

/// Where the samples of one component lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The plane that holds them.
    pub plane: usize,
    /// Bytes from one to the next.
    pub step: usize,
    /// Bytes before the first of a row.
    pub offset: usize,
    /// Bits below the value.
    pub shift: u32,
    /// Bits of the value, 8 to 16.
    pub depth: u32,
}

impl Place {
    /// Bytes that hold one.
    pub fn bytes(&self) -> usize {
        if self.depth + self.shift > 8 { 2 } else { 1 }
    }
}

/// How the pictures of a pixel format lie in memory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Y, U and V; R, G and B; or Y alone. Transparency is left out.
    pub places: Vec<Place>,
    /// R, G and B.
    pub rgb: bool,
    /// Samples of two bytes begin with the higher one.
    pub big_endian: bool,
    /// How often the width of chroma is halved.
    pub log2_chroma_w: u32,
    /// How often its height is halved.
    pub log2_chroma_h: u32,
}

/// How pictures of this format lie; `None` for formats whose samples are not whole bytes of numbers: palettes,
/// mosaics of a sensor, bits, floats, memory of a device.
pub(super) fn layout(format: Pixel) -> Option<Layout> {
    let descriptor = format.descriptor()?;
    // CIE XYZ has three components and no flag of its own.
    if descriptor.name().starts_with("xyz") {
        return None;
    }
    // SAFETY: libavutil's descriptors are constants of the library; the fields are only read.
    let raw = unsafe { &*descriptor.as_ptr() };
    let has = |flag: i32| raw.flags & u64::from(flag.unsigned_abs()) != 0;
    let others = [
        ffi::AV_PIX_FMT_FLAG_PAL,
        ffi::AV_PIX_FMT_FLAG_BITSTREAM,
        ffi::AV_PIX_FMT_FLAG_HWACCEL,
        ffi::AV_PIX_FMT_FLAG_BAYER,
        ffi::AV_PIX_FMT_FLAG_FLOAT,
    ];
    if others.into_iter().any(has) {
        return None;
    }
    // Two components are grey and transparency.
    let count = if raw.nb_components < 3 { 1 } else { 3 };
    let place = |c: &ffi::AVComponentDescriptor| {
        let number = |v: i32| usize::try_from(v).ok();
        let place = Place {
            plane: number(c.plane)?,
            step: number(c.step)?,
            offset: number(c.offset)?,
            shift: u32::try_from(c.shift).ok()?,
            depth: u32::try_from(c.depth).ok()?,
        };
        let whole = (8..=16).contains(&place.depth) && place.depth + place.shift <= 16;
        (whole && place.step >= place.bytes()).then_some(place)
    };
    Some(Layout {
        places: raw.comp.iter().take(count).map(place).collect::<Option<Vec<Place>>>()?,
        rgb: has(ffi::AV_PIX_FMT_FLAG_RGB),
        big_endian: has(ffi::AV_PIX_FMT_FLAG_BE),
        log2_chroma_w: raw.log2_chroma_w.into(),
        log2_chroma_h: raw.log2_chroma_h.into(),
    })
}
