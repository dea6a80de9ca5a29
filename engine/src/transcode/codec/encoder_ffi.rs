//! The one order to libavcodec's encoders that its safe wrapper cannot give: an option changed on the way.
#![allow(unsafe_code)]

use ffmpeg_next as ff;

/// Sets x264's constant quality; it counts from the next picture that is coded, which was sent a look-ahead before. False where this encoder
/// has no such option.
pub fn set_crf(encoder: &mut ff::encoder::video::Encoder, crf: f64) -> bool {
    // SAFETY: the context is open and its own, and so is its codec. Private data of a codec with a class begin
    // with that class, in which libavutil looks up options by name; a name that is not there is an error.
    unsafe {
        let context = encoder.as_mut_ptr();
        !(*context).priv_data.is_null()
            && !(*(*context).codec).priv_class.is_null()
            && ff::ffi::av_opt_set_double((*context).priv_data, c"crf".as_ptr(), crf, 0) == 0
    }
}
