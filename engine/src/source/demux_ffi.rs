//! What libavformat's wrapper does not show: codec records and two fields of a packet. The only
//! unsafe code of the demuxer.
#![allow(unsafe_code)]

use ffmpeg_next as ff;

/// `AV_PKT_FLAG_DISCARD` of libavcodec/packet.h: decoded for others' sake, not to be shown (an edit
/// list leaves it out).
const DISCARD: i32 = 4;

/// The codec record that a container keeps for a stream; empty where there is none.
pub(super) fn codec_record(stream: &ff::Stream<'_>) -> Vec<u8> {
    let parameters = stream.parameters();
    // SAFETY: the parameters are valid while their stream's context lives, which `stream` borrows;
    // `extradata` is null or holds `extradata_size` bytes.
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

/// Width, height and pixel aspect (numerator and denominator) as the container or its parser found
/// them; zeros where unknown.
pub(super) fn sizes(stream: &ff::Stream<'_>) -> [i32; 4] {
    let parameters = stream.parameters();
    // SAFETY: as in `codec_record`; the fields are only read.
    let parameters = unsafe { &*parameters.as_ptr() };
    let aspect = parameters.sample_aspect_ratio;
    [parameters.width, parameters.height, aspect.num, aspect.den]
}

/// True where a packet's picture is not to be shown.
pub(super) fn is_hidden(packet: &ff::Packet) -> bool {
    use ff::packet::Ref;
    // SAFETY: the packet is valid and borrowed; the field is only read.
    unsafe { (*packet.as_ptr()).flags & DISCARD != 0 }
}
