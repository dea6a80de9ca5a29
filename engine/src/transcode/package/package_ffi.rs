//! Fields of libavformat's and libavcodec's structures that the wrapper does not show. The only
//! unsafe code of packaging and sound.
#![allow(unsafe_code)]

use ff::ffi;
use ffmpeg_next as ff;

/// What a track says of itself, as plain values. Zeros where it does not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Pixels wide.
    pub width: u32,
    /// Pixels high.
    pub height: u32,
    /// Width of a pixel to its height; `None` where it is not told.
    pub aspect: Option<(i32, i32)>,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels of sound.
    pub channels: u32,
    /// Samples that a decoder makes and nobody hears, before the sound begins.
    pub padding: u32,
    /// The codec record or the parameter sets.
    pub extradata: Vec<u8>,
}

/// Reads a track's parameters.
pub(crate) fn facts(parameters: &ff::codec::Parameters) -> Facts {
    // SAFETY: the wrapper keeps the structure alive; plain fields are read.
    unsafe {
        let raw = &*parameters.as_ptr();
        let aspect = raw.sample_aspect_ratio;
        Facts {
            width: u32::try_from(raw.width).unwrap_or(0),
            height: u32::try_from(raw.height).unwrap_or(0),
            aspect: (aspect.num > 0 && aspect.den > 0).then_some((aspect.num, aspect.den)),
            sample_rate: u32::try_from(raw.sample_rate).unwrap_or(0),
            channels: u32::try_from(raw.ch_layout.nb_channels).unwrap_or(0),
            padding: u32::try_from(raw.initial_padding).unwrap_or(0),
            extradata: crate::source::demux_ffi::extradata(parameters),
        }
    }
}

/// The four characters by which a container names the codec; zero lets the container choose.
pub(super) fn set_tag(parameters: &mut ff::codec::Parameters, tag: Option<[u8; 4]>) {
    // SAFETY: the structure is owned by `parameters`, which is borrowed exclusively.
    unsafe { (*parameters.as_mut_ptr()).codec_tag = u32::from_le_bytes(tag.unwrap_or_default()) }
}

/// What a stream has beside its parameters: pixel aspect, and the turn that a player shall make.
///
/// False where there is no such stream or no memory.
pub(super) fn dress(
    output: &mut ff::format::context::Output,
    index: usize,
    aspect: Option<(i32, i32)>,
    matrix: Option<[i32; 9]>,
) -> bool {
    // SAFETY: `streams` holds `nb_streams` pointers to streams that the context owns; the context is
    // borrowed exclusively. The side data belongs to libavformat, which allocated it, and is written
    // within its 36 bytes; nothing demands more alignment than bytes have.
    unsafe {
        let context = output.as_mut_ptr();
        if index >= (*context).nb_streams as usize {
            return false;
        }
        let stream = *(*context).streams.add(index);
        if let Some((num, den)) = aspect {
            (*stream).sample_aspect_ratio = ffi::AVRational { num, den };
        }
        if let Some(matrix) = matrix {
            let bytes: Vec<u8> = matrix.iter().flat_map(|n| n.to_ne_bytes()).collect();
            let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
            let room = ffi::av_stream_new_side_data(stream, kind, bytes.len());
            if room.is_null() {
                return false;
            }
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len());
        }
        true
    }
}

/// Ends the fragment of a muxer that was told to leave fragments to its caller.
pub(super) fn end_fragment(output: &mut ff::format::context::Output) -> Result<(), ff::Error> {
    // SAFETY: the context is borrowed exclusively and its header is written; a null packet is this
    // function's documented way to flush.
    match unsafe { ffi::av_write_frame(output.as_mut_ptr(), std::ptr::null_mut()) } {
        code if code < 0 => Err(ff::Error::from(code)),
        _ => Ok(()),
    }
}

/// Hands to the writer what the muxer still has in its buffer.
pub(super) fn flush_io(output: &mut ff::format::context::Output) {
    // SAFETY: `pb` is null or a writer that lives as long as the context, borrowed exclusively.
    unsafe {
        let io = (*output.as_mut_ptr()).pb;
        if !io.is_null() {
            ffi::avio_flush(io);
        }
    }
}

/// Whether a muxer has a place for a codec; true where it does not tell.
pub(crate) fn muxer_holds(muxer: &std::ffi::CStr, codec: ff::codec::Id) -> bool {
    // SAFETY: the name is a C string; the format that is found is static; the query only reads it.
    unsafe {
        let format = ffi::av_guess_format(muxer.as_ptr(), std::ptr::null(), std::ptr::null());
        format.is_null()
            || ffi::avformat_query_codec(format, codec.into(), ffi::FF_COMPLIANCE_EXPERIMENTAL) != 0
    }
}
