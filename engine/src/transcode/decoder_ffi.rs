//! Fields of codec parameters that the wrapper does not show. The only unsafe code of the room.
#![allow(unsafe_code)]

use ffmpeg_next as ff;

/// Width and height in pixels; zeros where unknown.
pub(super) fn size(parameters: &ff::codec::Parameters) -> (u32, u32) {
    // SAFETY: the pointer is valid while `parameters` is borrowed; plain fields are read.
    let (width, height) = unsafe {
        let parameters = &*parameters.as_ptr();
        (parameters.width, parameters.height)
    };
    (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0))
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
