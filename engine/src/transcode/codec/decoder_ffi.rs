//! Fields of codec parameters that the wrapper does not show.
#![allow(unsafe_code)]

use ffmpeg_next as ff;

use crate::base::{Error, ErrorKind, Result};

/// Parameters of a stream of sound that no container has described.
///
/// # Errors
/// `Internal` where memory is short.
pub fn sound_parameters(
    codec: ff::codec::Id,
    rate: i32,
    channels: u32,
    extradata: &[u8],
) -> Result<ff::codec::Parameters> {
    let mut sound = parameters(codec, (0, 0), extradata)?;
    sound.set_medium(ff::media::Type::Audio);
    let channels = i32::try_from(channels).unwrap_or(1);
    // SAFETY: the pointer is valid and owned by `sound`, whose channel layout is empty so far.
    unsafe {
        let raw = &mut *sound.as_mut_ptr();
        raw.sample_rate = rate;
        ff::ffi::av_channel_layout_default(&raw mut raw.ch_layout, channels);
        if matches!(codec, ff::codec::Id::PCM_ALAW | ff::codec::Id::PCM_MULAW) {
            // G.711: a byte is a sample.
            raw.bits_per_coded_sample = 8;
            raw.block_align = channels;
            raw.bit_rate = i64::from(rate) * i64::from(channels) * 8;
        }
    }
    Ok(sound)
}

/// `AV_FRAME_FLAG_DISCARD` of libavutil/frame.h: decoded for others' sake, not to be shown.
const DISCARD: i32 = 4;

/// True where a decoder says that a picture is not to be shown.
pub fn is_hidden(frame: &ff::frame::Video) -> bool {
    // SAFETY: the frame is valid while it is borrowed; a plain field is read.
    unsafe { (*frame.as_ptr()).flags & DISCARD != 0 }
}

/// Width and height in pixels; zeros where unknown.
pub fn size(parameters: &ff::codec::Parameters) -> (u32, u32) {
    // SAFETY: the pointer is valid while `parameters` is borrowed; plain fields are read.
    let (width, height) = unsafe {
        let parameters = &*parameters.as_ptr();
        (parameters.width, parameters.height)
    };
    (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0))
}

/// Parameters of a video stream that no container has described.
///
/// # Errors
/// `Internal` where memory is short.
pub fn parameters(
    codec: ff::codec::Id,
    (width, height): (u32, u32),
    extradata: &[u8],
) -> Result<ff::codec::Parameters> {
    let mut parameters = ff::codec::Parameters::new();
    parameters.set_medium(ff::media::Type::Video);
    parameters.set_id(codec);
    let padding = ff::ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
    // SAFETY: the pointer is valid and owned by `parameters`, whose `extradata` is null so far; the new one
    // comes from libav's allocator with the padding that its readers rely on, and is freed with it.
    unsafe {
        let raw = &mut *parameters.as_mut_ptr();
        raw.width = i32::try_from(width).unwrap_or(0);
        raw.height = i32::try_from(height).unwrap_or(0);
        if !extradata.is_empty() {
            let copy = ff::ffi::av_mallocz(extradata.len() + padding).cast::<u8>();
            if copy.is_null() {
                return Err(Error::new(ErrorKind::Internal, "parameters", "find no memory"));
            }
            std::ptr::copy_nonoverlapping(extradata.as_ptr(), copy, extradata.len());
            raw.extradata = copy;
            raw.extradata_size = i32::try_from(extradata.len()).unwrap_or(0);
        }
    }
    Ok(parameters)
}
