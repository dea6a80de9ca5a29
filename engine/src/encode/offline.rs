//! Encoders for jobs: no latency to keep, no picture to drop. They may look ahead, reorder and use
//! B-pictures; what is pushed waits instead of being lost.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::element::{self, Candidate};
use super::{EncoderChoice, EncoderConfig, Rate, probe};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Chroma, Codec};

/// How a job's pictures are compressed.
#[derive(Clone, Debug, PartialEq)]
pub struct OfflineEncoder {
    /// What the live encoder is told too.
    pub config: EncoderConfig,
    /// As live: no look-ahead, no B-pictures, slices instead of frames for threads. For comparisons
    /// and for players that cannot wait.
    pub zero_latency: bool,
    /// Threads of a software encoder; 0: as it likes.
    pub threads: u32,
}

impl OfflineEncoder {
    /// Checks what a person wrote, before anything starts.
    pub fn check(&self) -> Result<()> {
        element::check(&self.config)
    }

    /// The elements from raw video to parsed units, and the name of the encoder. Fails where none
    /// works here.
    pub(crate) fn elements(&self) -> Result<(Vec<gst::Element>, &'static str)> {
        let candidate = probe::choose(self.config.codec, self.config.choice)?;
        let encoder = candidate.make(&self.config)?;
        match candidate.element {
            "x264enc" => self.x264(&encoder),
            "x265enc" => self.x265(&encoder),
            _ => {}
        }
        let parser = if self.config.codec == Codec::H265 { "h265parse" } else { "h264parse" };
        let mut chain = Vec::new();
        if needs_conversion(candidate) {
            chain.push(make("videoconvert")?);
        }
        chain.extend([encoder, make(parser)?]);
        Ok((chain, candidate.element))
    }

    /// Average bit rate instead of constant, as a file has no channel to fit through, and x264's own constant
    /// quality, which looks ahead. Without its buffer model, which would cap either.
    fn x264(&self, encoder: &gst::Element) {
        element::set(encoder, "vbv-buf-capacity", "0");
        if let Rate::Crf(crf) = self.config.rate {
            element::set(encoder, "pass", "qual");
            element::set(encoder, "quantizer", &crf.to_string());
        }
        element::set(encoder, "threads", &self.threads.to_string());
        if !self.zero_latency {
            clear_flags(encoder, "tune");
            element::set(encoder, "sliced-threads", "false");
            // B-pictures as the preset has them: `ultrafast` has none.
            let bframes = if self.config.preset == "ultrafast" { "0" } else { "3" };
            element::set(encoder, "bframes", bframes);
        }
        element::set(encoder, "option-string", "scenecut=0:open-gop=0");
    }

    fn x265(&self, encoder: &gst::Element) {
        let rate = match self.config.rate {
            Rate::Kbps(kbps) => format!("bitrate={kbps}"),
            Rate::Crf(crf) => format!("crf={crf}"),
        };
        let pools = if self.threads > 0 { format!(":pools={}", self.threads) } else { String::new() };
        let common = format!("{rate}:scenecut=0:open-gop=0:info=0{pools}");
        if self.zero_latency {
            element::set(encoder, "option-string", &format!("{common}:bframes=0"));
        } else {
            element::set(encoder, "tune", "ssim");
            element::set(encoder, "option-string", &common);
        }
    }
}

fn needs_conversion(candidate: &Candidate) -> bool {
    candidate.family != EncoderChoice::Software && candidate.chroma == Some(Chroma::Nv12)
}

/// Sets a property of flags to none of them.
fn clear_flags(element: &gst::Element, key: &str) {
    let class =
        element.find_property(key).and_then(|pspec| gst::glib::FlagsClass::with_type(pspec.value_type()));
    if let Some(none) = class.as_ref().and_then(|class| class.builder().build()) {
        element.set_property_from_value(key, &none);
    }
}

/// A GStreamer element by its name.
pub(crate) fn make(name: &'static str) -> Result<gst::Element> {
    gst::ElementFactory::make(name).build().map_err(|e| {
        Error::new(ErrorKind::Missing, name, "a GStreamer element is missing; `vitrail doctor` says which")
            .caused_by(e)
    })
}
