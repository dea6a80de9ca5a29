//! What libavformat's wrapper does not show: opening without probing, codec records and two fields of
//! a packet. The only unsafe code of the demuxer.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr;

use ff::ffi;
use ffmpeg_next as ff;

/// `AV_PKT_FLAG_DISCARD` of libavcodec/packet.h: decoded for others' sake, not to be shown (an edit
/// list leaves it out).
const DISCARD: i32 = 4;

/// Opens a file. Where its header says all that is asked of it, nothing is probed: libavformat would
/// decode up to twenty pictures of each file to learn what is not needed here.
pub(super) fn open(
    location: &CStr,
    options: ff::Dictionary<'_>,
) -> Result<ff::format::context::Input, ff::Error> {
    open_with(location, options, tells_all)
}

/// Opens a file and looks into its streams. The wrapper of libavformat takes names in UTF-8 only, and panics
/// at others.
pub(super) fn open_and_look(
    location: &CStr,
    options: ff::Dictionary<'_>,
) -> Result<ff::format::context::Input, ff::Error> {
    open_with(location, options, |_| false)
}

fn open_with(
    location: &CStr,
    options: ff::Dictionary<'_>,
    is_enough: impl Fn(&ff::format::context::Input) -> bool,
) -> Result<ff::format::context::Input, ff::Error> {
    // SAFETY: `disown` hands over the dictionary, which is freed through `own` again whatever
    // `avformat_open_input` leaves of it.
    let mut options = unsafe { options.disown() };
    let mut context = ptr::null_mut();
    // SAFETY: the context is null, so it is made; the name ends in a zero.
    let opened =
        unsafe { ffi::avformat_open_input(&mut context, location.as_ptr(), ptr::null_mut(), &mut options) };
    // SAFETY: see above; nothing else holds it.
    drop(unsafe { ff::Dictionary::own(options) });
    if opened < 0 {
        // A failed open frees the context itself.
        return Err(ff::Error::from(opened));
    }
    // SAFETY: the context is open, and from here on owned by the wrapper, which closes it.
    let input = unsafe { ff::format::context::Input::wrap(context) };
    if !is_enough(&input) {
        // SAFETY: the context is open and owned by `input`.
        let probed = unsafe { ffi::avformat_find_stream_info(context, ptr::null_mut()) };
        if probed < 0 {
            return Err(ff::Error::from(probed));
        }
    }
    Ok(input)
}

/// True where the only video stream is H.264 or H.265 in a container with times, and its header
/// brings the codec record, the size and the rate.
fn tells_all(input: &ff::format::context::Input) -> bool {
    // libavformat's names for MP4 and Matroska. Others have no header, or one that is often wrong.
    let name = input.format().name().to_owned();
    if !name.starts_with("mov,") && !name.starts_with("matroska,") {
        return false;
    }
    let mut videos = input.streams().filter(|s| s.parameters().medium() == ff::media::Type::Video);
    let (Some(video), None) = (videos.next(), videos.next()) else { return false };
    let known = matches!(video.parameters().id(), ff::codec::Id::H264 | ff::codec::Id::HEVC);
    let [width, height, ..] = sizes(&video);
    known
        && width > 0
        && height > 0
        && video.avg_frame_rate().numerator() > 0
        && video.duration().max(input.duration()) > 0
        && !codec_record(&video).is_empty()
}

/// The codec record that a container keeps for a stream; empty where there is none.
pub(super) fn codec_record(stream: &ff::Stream<'_>) -> Vec<u8> {
    extradata(&stream.parameters())
}

/// The extradata of parameters: a codec record, or parameter sets; empty where there is none.
pub(crate) fn extradata(parameters: &ff::codec::Parameters) -> Vec<u8> {
    // SAFETY: the wrapper keeps the structure alive while it is borrowed; `extradata` is null or holds
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

/// Width, height and pixel aspect (numerator and denominator) as the codec or the container has them;
/// zeros where unknown.
pub(super) fn sizes(stream: &ff::Stream<'_>) -> [i32; 4] {
    let parameters = stream.parameters();
    // SAFETY: as in `codec_record`; the fields are only read.
    let (parameters, of_container) =
        unsafe { (&*parameters.as_ptr(), (*stream.as_ptr()).sample_aspect_ratio) };
    let of_codec = parameters.sample_aspect_ratio;
    let aspect = if of_codec.num > 0 { of_codec } else { of_container };
    [parameters.width, parameters.height, aspect.num, aspect.den]
}

/// The last byte that an index names of a stream's packets, from the beginning of the file; `None` where there is
/// no index.
pub(crate) fn indexed_end(stream: &ff::Stream<'_>) -> Option<u64> {
    // SAFETY: the stream is valid while it is borrowed. Its index is only looked at, and each entry before the next
    // call; libav gives null for what is not there.
    unsafe {
        let stream = stream.as_ptr().cast_mut();
        let count = ffi::avformat_index_get_entries_count(stream);
        let ends = (0..count).filter_map(|at| {
            let entry = ffi::avformat_index_get_entry(stream, at).as_ref()?;
            u64::try_from(entry.pos.saturating_add(i64::from(entry.size()))).ok()
        });
        ends.max()
    }
}

/// True where a packet's picture, or its sound, is not for anyone to see or hear.
pub(crate) fn is_hidden(packet: &ff::Packet) -> bool {
    use ff::packet::Ref;
    // SAFETY: the packet is valid and borrowed; the field is only read.
    unsafe { (*packet.as_ptr()).flags & DISCARD != 0 }
}
