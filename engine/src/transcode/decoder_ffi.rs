//! Fields of codec parameters that the wrapper does not show. The only unsafe code of the room.
#![allow(unsafe_code)]

use ffmpeg_next as ff;

use crate::media::Ratio;

/// What parameters say of the pictures.
pub(super) struct Shape {
    /// Width and height; zeros where unknown.
    pub size: (u32, u32),
    /// Shape of a pixel; 1:1 where it is not told.
    pub pixel_aspect: Ratio,
}

/// Reads the shape.
pub(super) fn shape(parameters: &ff::codec::Parameters) -> Shape {
    // SAFETY: the pointer is valid while `parameters` is borrowed; plain fields are read.
    let (width, height, aspect) = unsafe {
        let parameters = &*parameters.as_ptr();
        (parameters.width, parameters.height, parameters.sample_aspect_ratio)
    };
    let positive = |n: i32| u32::try_from(n).unwrap_or(0);
    Shape {
        size: (positive(width), positive(height)),
        pixel_aspect: Ratio::new(positive(aspect.num), positive(aspect.den)).unwrap_or(Ratio::ONE),
    }
}

/// The codec's extradata: parameter sets, mostly; empty where there are none.
pub(super) fn extradata(parameters: &ff::codec::Parameters) -> Vec<u8> {
    // SAFETY: the pointer is valid while `parameters` is borrowed; `extradata` is null or holds
    // `extradata_size` bytes.
    unsafe {
        let parameters = &*parameters.as_ptr();
        match usize::try_from(parameters.extradata_size) {
            Ok(size) if !parameters.extradata.is_null() && size > 0 => {
                std::slice::from_raw_parts(parameters.extradata, size).to_vec()
            }
            _ => Vec::new(),
        }
    }
}
