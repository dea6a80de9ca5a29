//! Hands our pictures to GStreamer, without copying a sample where the layout allows it.

use gstreamer as gst;
use gstreamer_video as gst_video;

use crate::media::{Chroma, Frame, Ratio};

/// GStreamer's name of a chroma layout.
pub fn format(chroma: Chroma) -> gst_video::VideoFormat {
    match chroma {
        Chroma::I420 => gst_video::VideoFormat::I420,
        Chroma::Nv12 => gst_video::VideoFormat::Nv12,
    }
}

/// Raw video caps of a canvas: BT.709, limited range, square pixels, progressive.
pub fn caps(chroma: Chroma, width: u32, height: u32, rate: Ratio) -> gst::Caps {
    gst::Caps::builder("video/x-raw")
        .field("format", format(chroma).to_str())
        .field("width", i32::try_from(width).unwrap_or(i32::MAX))
        .field("height", i32::try_from(height).unwrap_or(i32::MAX))
        .field("framerate", fraction(rate))
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .field("interlace-mode", "progressive")
        .field("colorimetry", "bt709")
        .build()
}

/// A ratio as GStreamer writes it.
pub fn fraction(rate: Ratio) -> gst::Fraction {
    let part = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    gst::Fraction::new(part(rate.num), part(rate.den))
}

/// A buffer that shares the frame's planes: one memory a plane, described by a video meta;
/// `None` where GStreamer refuses the layout.
pub fn buffer(frame: &Frame) -> Option<gst::Buffer> {
    let mut buffer = gst::Buffer::new();
    let writable = buffer.make_mut();
    let (mut offsets, mut strides) = (Vec::with_capacity(3), Vec::with_capacity(3));
    for plane in frame.planes() {
        offsets.push(writable.size());
        strides.push(i32::try_from(plane.stride).unwrap_or(i32::MAX));
        writable.append_memory(gst::Memory::from_slice(plane.data.clone()));
    }
    let described = gst_video::VideoMeta::add_full(
        writable,
        gst_video::VideoFrameFlags::empty(),
        format(frame.chroma()),
        frame.width(),
        frame.height(),
        &offsets,
        &strides,
    )
    .is_ok();
    described.then_some(buffer)
}
