//! What GStreamer's caps say of a stream, and the times that raw streams lack.

use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use parking_lot::Mutex;

use super::classify::from_each_start;
use super::fields::{Fields, Half};
use crate::media::{Codec, Orientation, Ratio, SoundCodec, SoundParameters, VideoParameters};

/// How a raw stream without timestamps or a frame rate is played: 25 pictures per second.
const ASSUMED_FRAME: Duration = Duration::from_millis(40);

/// Raw H.264 and H.265 files may have no timestamps at all: number their pictures, so that they are
/// played at the speed of their frame rate and not at once. The second field of a picture is half of it later.
pub(super) fn add_missing_timestamps(pad: &gst::Pad, codec: Codec) {
    let numbers = Mutex::new((0_u32, (codec == Codec::H264).then(Fields::default)));
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(buffer) = info.buffer_mut() {
            let mut numbers = numbers.lock();
            let (next, fields) = &mut *numbers;
            let half = match (fields, buffer.map_readable()) {
                (Some(fields), Ok(unit)) => fields.note(from_each_start(&unit)),
                _ => Half::Whole,
            };
            *next += u32::from(half != Half::Second);
            if buffer.pts().is_none() && buffer.dts().is_none() {
                let rate = pad.current_caps().and_then(|c| frame_rate(c.structure(0)?));
                let frame = rate.map_or(ASSUMED_FRAME, |r| Duration::from_secs_f64(1.0 / r.as_f64()));
                let (second, lasts) = match half {
                    Half::Whole => (Duration::ZERO, frame),
                    Half::First => (Duration::ZERO, frame / 2),
                    Half::Second => (frame / 2, frame / 2),
                };
                let at = frame.saturating_mul(next.saturating_sub(1)) + second;
                let buffer = buffer.make_mut();
                buffer.set_pts(gst::ClockTime::try_from(at).ok());
                buffer.set_duration(gst::ClockTime::try_from(lasts).ok());
            }
        }
        gst::PadProbeReturn::Ok
    });
}

fn ratio(s: &gst::StructureRef, field: &str) -> Option<Ratio> {
    let f = s.get::<gst::Fraction>(field).ok()?;
    Ratio::new(u32::try_from(f.numer()).ok()?, u32::try_from(f.denom()).ok()?)
}

fn frame_rate(s: &gst::StructureRef) -> Option<Ratio> {
    ratio(s, "framerate")
}

pub(super) fn parameters_of(
    codec: Codec,
    orientation: Orientation,
    s: &gst::StructureRef,
) -> VideoParameters {
    let size = |field| s.get::<i32>(field).ok().and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
    let codec_data =
        s.get::<gst::Buffer>("codec_data").ok().and_then(|b| b.into_mapped_buffer_readable().ok());
    VideoParameters {
        codec,
        width: size("width"),
        height: size("height"),
        pixel_aspect: ratio(s, "pixel-aspect-ratio").unwrap_or(Ratio::ONE),
        frame_rate: frame_rate(s),
        orientation,
        extradata: codec_data.map(|m| Bytes::copy_from_slice(&m)).unwrap_or_default(),
    }
}

pub(super) fn sound_parameters_of(codec: SoundCodec, s: &gst::StructureRef) -> SoundParameters {
    let number = |field| s.get::<i32>(field).ok().and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
    let codec = match (codec, s.get::<i32>("layer")) {
        (SoundCodec::Mp3, Ok(2)) => SoundCodec::Mp2,
        _ => codec,
    };
    let record = s.get::<gst::Buffer>("codec_data").ok().and_then(|b| b.into_mapped_buffer_readable().ok());
    SoundParameters {
        codec,
        rate: number("rate"),
        channels: number("channels"),
        extradata: record.map(|m| Bytes::copy_from_slice(&m)).unwrap_or_default(),
        on_picture_time: true,
    }
}
