//! What a mosaic did: for its summary and for programs.

use serde::Serialize;

use super::MosaicEffort;
use super::input::InputCounts;
use crate::base::ProcessReport;
use crate::media::VideoParameters;

/// A finished mosaic.
#[derive(Clone, Debug, Serialize)]
pub struct MosaicReport {
    /// The file that was written; where its name is not UTF-8, its `file://` address.
    pub output: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures per second.
    pub fps: f64,
    /// How it was arranged: `4x4`, `1+5`, …
    pub grid: String,
    /// How much was decoded.
    pub effort: MosaicEffort,
    /// Ticks, each with its picture.
    pub pictures: u64,
    /// Pictures in the file: fewer than ticks in a preview, where one that stays is written once.
    pub written: u64,
    /// Seconds of video written.
    pub video_s: f64,
    /// Seconds that it took.
    pub wall_s: f64,
    /// Seconds of video per second.
    pub speed: f64,
    /// What composed it.
    pub compositor: String,
    /// What encoded it: a GStreamer element, or `y4m` or `yuv`.
    pub encoder: String,
    /// Decoding threads.
    pub workers: usize,
    /// Where the time went.
    pub stages: StageReport,
    /// The inputs, in the order in which they were named.
    pub inputs: Vec<InputReport>,
    /// This process: CPU seconds and largest memory since it began.
    pub process: ProcessReport,
}

/// Seconds that threads spent in each room (encoding is in GStreamer's threads and not among them).
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StageReport {
    /// Decoding, all workers.
    pub decode_s: f64,
    /// Fitting, all workers.
    pub fit_s: f64,
    /// Composing.
    pub compose_s: f64,
    /// The composer waited for pictures to be decoded.
    pub waited_for_decoding_s: f64,
    /// The composer waited for the encoder.
    pub waited_for_encoder_s: f64,
}

/// One input.
#[derive(Clone, Debug, Serialize)]
pub struct InputReport {
    /// The file, in the same way as the output.
    pub input: String,
    /// Its codec.
    pub codec: String,
    /// Width in pixels; 0 where the file does not say.
    pub width: u32,
    /// Height in pixels; 0 where the file does not say.
    pub height: u32,
    /// Pictures per second, as the file says.
    pub fps: Option<f64>,
    /// Access units read.
    pub units: u64,
    /// Pictures decoded.
    pub decoded: u64,
    /// Pictures shown by at least one tick.
    pub shown: u64,
    /// Access units that were not decoded, because the effort leaves them out.
    pub skipped: u64,
    /// Access units that were decoded without loop filter.
    pub unfiltered: u64,
    /// Pictures that the file's edit list leaves out.
    pub hidden: u64,
    /// Units and pictures that were damaged.
    pub damaged: u64,
    /// How often its clock started anew.
    pub clock_jumps: u64,
    /// Seconds of video decoded.
    pub video_s: f64,
    /// Seconds of decoding.
    pub decode_s: f64,
    /// Seconds of fitting.
    pub fit_s: f64,
}

impl InputReport {
    pub(super) fn new(input: String, parameters: &VideoParameters, counts: &InputCounts) -> Self {
        InputReport {
            input,
            codec: parameters.codec.to_string(),
            width: parameters.width,
            height: parameters.height,
            fps: parameters.frame_rate.map(|rate| rate.as_f64()),
            units: counts.units,
            decoded: counts.decoded,
            shown: counts.shown,
            skipped: counts.skipped,
            unfiltered: counts.unfiltered,
            hidden: counts.hidden,
            damaged: counts.damaged,
            clock_jumps: counts.jumps,
            video_s: counts.seconds,
            decode_s: counts.decode.as_secs_f64(),
            fit_s: counts.fit.as_secs_f64(),
        }
    }
}
