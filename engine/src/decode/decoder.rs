//! What every decoder is to the workers, whatever it runs on: the trait, its pictures, its options.

use std::time::Duration;

use bytes::Bytes;

use crate::base::{Moment, Result};
use crate::media::{
    AccessUnit, Chroma, Codec, Colorimetry, Frame, FrameMeta, Orientation, Plane, Pts, Ratio, VideoParameters,
};

/// How pictures come out of a decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As soon as they may be shown: a stream without B-pictures has no delay at all. A stream
    /// with B-pictures that does not say so in its headers may lose a picture or two at its start,
    /// until the decoder has seen how far it must reorder.
    #[default]
    Live,
    /// Every picture, in presentation order, with the delay that the standard allows: for jobs.
    Exact,
}

/// What a decoder is opened for.
#[derive(Clone, Debug)]
pub struct DecoderRequest {
    /// The codec.
    pub codec: Codec,
    /// Parameter sets in Annex B that came outside the stream; may be empty.
    pub extradata: Bytes,
    /// How pictures come out.
    pub order: Order,
    /// Pictures of more pixels than this are refused, before memory is taken for them.
    pub max_pixels: u32,
    /// Each unit stands alone and the decoder is drained after it; they come from many streams.
    pub isolated: bool,
}

impl DecoderRequest {
    /// 8192 x 8192, the largest picture of H.264 and H.265 level 6.2 made square; one takes 100 MB.
    pub const MAX_PIXELS: u32 = 8192 * 8192;

    /// A live decoder of `codec`, with nothing known beforehand.
    pub fn live(codec: Codec) -> DecoderRequest {
        DecoderRequest {
            codec,
            extradata: Bytes::new(),
            order: Order::Live,
            max_pixels: Self::MAX_PIXELS,
            isolated: false,
        }
    }
}

/// One decoded picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Width in pixels, after cropping.
    pub width: u32,
    /// Height in pixels, after cropping.
    pub height: u32,
    /// Layout of the planes.
    pub chroma: Chroma,
    /// The planes.
    pub planes: Vec<Plane>,
    /// Which access unit it came from.
    pub origin: Origin,
    /// Width of a pixel to its height; `None` where the stream does not say.
    pub pixel_aspect: Option<Ratio>,
    /// How samples map to colours.
    pub color: Colorimetry,
    /// How it is to be turned to stand upright, where the picture itself says so (an SEI message, Exif).
    pub orientation: Orientation,
    /// The decoder had to invent parts of it.
    pub damaged: bool,
}

impl Picture {
    /// The picture as frame number `sequence` of its source, of which `parameters` are known beside it. What
    /// they say of its orientation goes before what the picture says, as in players: it is what somebody who
    /// knew the picture wrote around it.
    pub fn into_frame(self, sequence: u64, parameters: &VideoParameters) -> Option<Frame> {
        let outside = parameters.orientation;
        let meta = FrameMeta {
            pts: self.origin.pts,
            arrival: self.origin.arrival,
            captured: self.origin.captured,
            sequence,
            pixel_aspect: self.pixel_aspect.unwrap_or(parameters.pixel_aspect),
            color: self.color,
            orientation: if outside.is_upright() { self.orientation } else { outside },
        };
        Frame::new(self.width, self.height, self.chroma, self.planes, meta)
    }
}

/// The times of the access unit that a picture came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// When it is to be shown.
    pub pts: Pts,
    /// When it arrived.
    pub arrival: Moment,
    /// When it was captured, where known.
    pub captured: Option<Duration>,
    /// Decoding could start at it.
    pub random_access: bool,
}

impl From<&AccessUnit> for Origin {
    fn from(unit: &AccessUnit) -> Origin {
        Origin {
            pts: unit.pts,
            arrival: unit.arrival,
            captured: unit.captured,
            random_access: unit.random_access,
        }
    }
}

/// Takes the pictures of a decoder, in presentation order.
pub type PictureSink<'a> = &'a mut dyn FnMut(Picture);

/// Decodes one stream. A decoder is used by one thread at a time.
pub trait Decoder: Send {
    /// What it runs on, for people: `libavcodec`, `nvh264dec`, …
    fn backend(&self) -> &str;
    /// Leaves out the loop filter, where the decoder can: faster, a little less exact.
    fn set_skip_loop_filter(&mut self, skip: bool);
    /// Decodes a unit; hands on the pictures that are ready. `Corrupt` where the unit is damaged
    /// (the next random-access unit may still decode), `Unsupported` where no unit ever will.
    fn decode(&mut self, unit: &AccessUnit, out: PictureSink<'_>) -> Result<()>;
    /// Hands on all that it still holds, and forgets the stream: the next unit is random access.
    fn drain(&mut self, out: PictureSink<'_>) -> Result<()>;
    /// Forgets the stream and what it holds: the next unit is random access.
    fn reset(&mut self);
}

/// Opens decoders.
pub trait DecoderFactory: Send + Sync {
    /// A decoder for what is asked.
    fn open(&self, request: &DecoderRequest) -> Result<Box<dyn Decoder>>;
}

/// The origins of the units that went into a decoder, found again by the number that came out.
#[derive(Debug, Default)]
pub(super) struct Origins {
    next: i64,
    recent: std::collections::VecDeque<(i64, Origin)>,
}

impl Origins {
    /// More than any decoder holds back: 16 reordered pictures, each of two fields, and slack.
    const KEPT: usize = 64;

    /// Notes a unit that goes in; returns its number.
    pub fn note(&mut self, origin: Origin) -> i64 {
        let number = self.next;
        self.next += 1;
        if self.recent.len() == Self::KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back((number, origin));
        number
    }

    /// The origin of the unit with this number; the newest one where it is not known any more.
    pub fn of(&self, number: Option<i64>) -> Origin {
        let known = number.and_then(|n| self.recent.iter().find(|(k, _)| *k == n));
        known.or(self.recent.back()).map(|(_, origin)| *origin).unwrap_or_default()
    }
}
