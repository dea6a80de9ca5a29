//! What a stream says of itself: codec, sizes, pixel aspect, frame rate, colour.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::orientation::Orientation;

/// A video codec that Vitrail decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// ITU-T H.264, AVC.
    H264,
    /// ITU-T H.265, HEVC.
    H265,
    /// Motion JPEG (from GStreamer sources only).
    Mjpeg,
    /// MPEG-4 part 2 (from GStreamer sources only).
    Mpeg4,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::H264 => "H.264",
            Codec::H265 => "H.265",
            Codec::Mjpeg => "Motion JPEG",
            Codec::Mpeg4 => "MPEG-4",
        })
    }
}

/// A ratio of two positive numbers: pixel aspect, frame rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ratio {
    /// Numerator.
    pub num: u32,
    /// Denominator, never zero.
    pub den: u32,
}

impl Ratio {
    /// One to one: square pixels.
    pub const ONE: Ratio = Ratio { num: 1, den: 1 };

    /// A ratio; `None` where either part is zero.
    pub fn new(num: u32, den: u32) -> Option<Ratio> {
        (num > 0 && den > 0).then_some(Ratio { num, den })
    }
    /// As a number.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }
}

/// Matrix coefficients, ITU-T H.273 table 4, as far as cameras use them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matrix {
    /// ITU-R BT.601 (values 5 and 6).
    Bt601,
    /// ITU-R BT.709 (value 1).
    #[default]
    Bt709,
    /// ITU-R BT.2020 non-constant luminance (value 9).
    Bt2020,
}

/// Whether sample values use the full byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Range {
    /// Luma 16 to 235, chroma 16 to 240.
    #[default]
    Limited,
    /// 0 to 255 (JPEG).
    Full,
}

/// How samples map to colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Colorimetry {
    /// Luma and chroma weights.
    pub matrix: Matrix,
    /// Range of the samples.
    pub range: Range,
}

impl Colorimetry {
    /// What an untagged stream most likely means: BT.709 from 720 lines up, else BT.601, limited.
    pub fn guess(height: u32) -> Colorimetry {
        let matrix = if height >= 720 { Matrix::Bt709 } else { Matrix::Bt601 };
        Colorimetry { matrix, range: Range::Limited }
    }
}

/// What a stream says of itself. Sizes are in pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoParameters {
    /// The codec.
    pub codec: Codec,
    /// Display size (after the cropping of the sequence parameter set); zero where unknown yet.
    pub width: u32,
    /// Display size; zero where unknown yet.
    pub height: u32,
    /// Pixel aspect: width of a pixel to its height.
    pub pixel_aspect: Ratio,
    /// Nominal frame rate, where the stream tells.
    pub frame_rate: Option<Ratio>,
    /// How its pictures are to be turned to stand upright, where the container or the pipeline tells; sizes
    /// and pixel aspect are those of the pictures as they lie.
    #[serde(default)]
    pub orientation: Orientation,
    /// Parameter sets in Annex B, where they came outside the stream (SDP, container). A decoder
    /// is given them before the first access unit.
    #[serde(skip)]
    pub extradata: bytes::Bytes,
}

impl VideoParameters {
    /// Parameters of which only the codec is known.
    pub fn unknown(codec: Codec) -> Self {
        VideoParameters {
            codec,
            width: 0,
            height: 0,
            pixel_aspect: Ratio::ONE,
            frame_rate: None,
            orientation: Orientation::UPRIGHT,
            extradata: bytes::Bytes::new(),
        }
    }
}
