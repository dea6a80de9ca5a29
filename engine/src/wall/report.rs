//! What a wall says of itself: for the status line, the `--report` file and, later, the control
//! plane. Plain numbers, no credentials (invariant 7).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::base::{Histogram, ProcessReport};
use crate::decode::Effort;
use crate::effort::Step;
use crate::output::OutputStatus;

/// A whole wall, at one moment. Counts are since the start.
#[derive(Clone, Debug, Serialize)]
pub struct WallReport {
    /// Version of Vitrail.
    pub version: &'static str,
    /// The wall's id.
    pub wall: String,
    /// Seconds since the start.
    pub elapsed_s: f64,
    /// Seconds since the Unix epoch at which this was written.
    pub at_unix_s: f64,
    /// Each camera, in the order of the configuration.
    pub cameras: Vec<CameraReport>,
    /// Each screen.
    pub screens: Vec<ScreenReport>,
    /// How the machine's budget is spent.
    pub governor: GovernorReport,
    /// From the camera to the encoded wall.
    pub latency: LatencyReport,
    /// This process.
    pub process: ProcessReport,
}

/// The governor's last decision. Cores are CPU seconds a second.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GovernorReport {
    /// Cores of this machine.
    pub cores: f64,
    /// Cores that this process used in the last second.
    pub own: f64,
    /// Cores that other processes used.
    pub others: f64,
    /// Cores that decoding and fitting used.
    pub decoding: f64,
    /// Cores that composing and encoding used.
    pub encoding: f64,
    /// Cores that decoding, fitting, composing and encoding may use.
    pub available: f64,
    /// Cores that the plan needs for them.
    pub demand: f64,
    /// Cores that would be needed if nothing degraded.
    pub deserved: f64,
    /// Measured cost for foreseen cost, of decoding and fitting.
    pub calibration: f64,
    /// The same of composing and encoding; `None` until it is known. Until then screens stay as they are, and
    /// count for nothing.
    pub encoding_calibration: Option<f64>,
    /// The part of the budget that is safe to use, 0 to 1: it sinks with distress.
    pub trust: f64,
    /// Cameras by what is decoded of them.
    pub efforts: EffortReport,
    /// Cameras below what their tiles deserve, by step.
    pub degraded: BTreeMap<String, u64>,
    /// How often a camera was given less, and more again.
    pub moves: MoveReport,
    /// Screens below what was asked for, by step.
    pub degraded_screens: BTreeMap<String, u64>,
    /// How often a screen was given less, and more again.
    pub screen_moves: MoveReport,
}

/// Cameras by what is decoded of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EffortReport {
    /// Every picture.
    pub full: u64,
    /// Key frames alone.
    pub key_frames: u64,
    /// Nothing.
    pub standby: u64,
}

/// How often something was given less, and more again, because the machine had no more, or had again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MoveReport {
    /// Times that it was given less.
    pub down: u64,
    /// Times that it was given more again.
    pub up: u64,
}

impl std::ops::AddAssign for MoveReport {
    fn add_assign(&mut self, other: MoveReport) {
        self.down += other.down;
        self.up += other.up;
    }
}

/// One camera.
#[derive(Clone, Debug, Serialize)]
pub struct CameraReport {
    /// Its id.
    pub id: String,
    /// Its name on the wall.
    pub name: String,
    /// Whose camera it is.
    pub zone: Option<String>,
    /// Which of its streams is used.
    pub profile: String,
    /// How much of it is decoded: `full`, `keyframes` or `standby`.
    pub effort: Effort,
    /// How far it is below what its tile deserves, because the machine has no more.
    pub step: Step,
    /// True where it is below.
    pub degraded: bool,
    /// It never degrades.
    pub pinned: bool,
    /// How often it went over to another of its streams.
    pub switches: u64,
    /// What its tiles show: `live`, or why they do not.
    pub state: String,
    /// The reason, where there is one.
    pub reason: Option<String>,
    /// Codec, as the stream says.
    pub codec: Option<String>,
    /// Decoded width in pixels.
    pub width: u32,
    /// Decoded height in pixels.
    pub height: u32,
    /// What decodes it.
    pub decoder: String,
    /// Access units received.
    pub received: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Pictures decoded.
    pub decoded: u64,
    /// Different pictures shown, over all its tiles' screens.
    pub shown: u64,
    /// From one different picture of a tile to the next, in milliseconds: median.
    pub refresh_p50_ms: f64,
    /// The same: 95th percentile.
    pub refresh_p95_ms: f64,
    /// The same: longest.
    pub refresh_max_ms: f64,
    /// What was dropped, by cause.
    pub dropped: DropReport,
    /// Connections after the first.
    pub reconnects: u64,
    /// Age of the picture that is shown, in milliseconds.
    pub age_ms: Option<f64>,
    /// How often its tiles turned from live into each kind of placard.
    pub placards: BTreeMap<String, u64>,
    /// CPU milliseconds of decoding.
    pub decode_ms: f64,
    /// CPU milliseconds of fitting.
    pub fit_ms: f64,
}

/// How one camera stands, in few words: what its tiles say, or its connection where no tile shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CameraStanding {
    /// Its id.
    pub id: String,
    /// As [`CameraReport::state`].
    pub state: &'static str,
    /// The reason, where there is one.
    pub reason: Option<String>,
    /// Age of its newest picture, or of what came last where nothing is decoded, in milliseconds.
    pub age_ms: Option<f64>,
}

/// What was dropped of one camera, by cause.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct DropReport {
    /// Its queue was over its time bound: jumped to the next key frame (invariant 3).
    pub late: u64,
    /// Came before the first key frame, or after a loss and before the next.
    pub waiting_for_key: u64,
    /// Could not be decoded.
    pub corrupt: u64,
    /// Times that packets were lost on the way.
    pub lost: u64,
}

impl std::ops::AddAssign for DropReport {
    fn add_assign(&mut self, other: DropReport) {
        self.late += other.late;
        self.waiting_for_key += other.waiting_for_key;
        self.corrupt += other.corrupt;
        self.lost += other.lost;
    }
}

/// One screen.
#[derive(Clone, Debug, Serialize)]
pub struct ScreenReport {
    /// Its id.
    pub id: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// What composes it.
    pub compositor: String,
    /// What encodes it.
    pub encoder: String,
    /// True where it is not the encoder that was asked for, because that one does not work here.
    pub encoder_fallback: bool,
    /// The trouble that the encoder has now.
    pub encoder_error: Option<String>,
    /// How far it is below what was asked for, because the machine has no more: `as-asked`, `faster-preset`,
    /// `half-rate` or `quarter-rate`.
    pub step: &'static str,
    /// True where it is below.
    pub degraded: bool,
    /// The preset that its encoder uses now.
    pub preset: String,
    /// Pictures a second that were asked for.
    pub asked_fps: f64,
    /// Pictures a second that are made now.
    pub rate: f64,
    /// Pictures composed.
    pub frames: u64,
    /// Pictures missed because the screen was late.
    pub missed: u64,
    /// Pictures left out because the machine has no more.
    pub left_out: u64,
    /// Pictures per second over the whole run.
    pub fps: f64,
    /// Pictures encoded.
    pub encoded: u64,
    /// Pictures that the encoder had no time for.
    pub dropped: u64,
    /// Pictures that the encoder gave more than 0.2 s after it got them.
    pub late: u64,
    /// Bytes encoded.
    pub bytes: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// How late pictures were against the cadence.
    pub cadence_error: Spread,
    /// Time to compose.
    pub compose: Spread,
    /// Time to encode.
    pub encode: Spread,
    /// The longest time between two pictures of a tile, in spans of ten seconds: the newest 360 in which there was one.
    pub refresh: Vec<RefreshReport>,
    /// Where it goes.
    pub outputs: Vec<OutputReport>,
}

/// The longest refresh of a screen's tiles within a span of ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RefreshReport {
    /// When the span begins, in seconds since the screen's first picture.
    pub from_s: u64,
    /// From one different picture of a tile to the next, in milliseconds: the longest that ended in it.
    pub max_ms: f64,
}

/// Where a screen goes.
#[derive(Clone, Debug, Serialize)]
pub struct OutputReport {
    /// The output as it was written, without secrets.
    pub spec: String,
    /// `rtsp`, `rtp`, `srt`, `file`, `hls` or `display`.
    pub kind: &'static str,
    /// `waiting`, `running`, `retrying`, `failed` or `ended`.
    pub state: String,
    /// What went wrong last.
    pub error: Option<String>,
    /// Access units delivered.
    pub units: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// Access units dropped because this output was too slow.
    pub dropped: u64,
    /// Viewers now, where the output knows.
    pub viewers: Option<u32>,
    /// Session description that players need (RTP): the content of a `.sdp` file.
    pub sdp: Option<String>,
}

impl From<OutputStatus> for OutputReport {
    fn from(status: OutputStatus) -> OutputReport {
        OutputReport {
            spec: status.spec,
            kind: status.kind,
            state: format!("{:?}", status.state).to_lowercase(),
            error: status.error,
            units: status.units,
            bytes: status.bytes,
            dropped: status.dropped,
            viewers: status.viewers,
            sdp: status.sdp,
        }
    }
}

/// Latency from the camera's capture (or, where the camera does not tell, from the arrival of the
/// access unit) to the encoded wall.
#[derive(Clone, Debug, Serialize)]
pub struct LatencyReport {
    /// From capture, for cameras whose clock is within ten seconds of ours.
    pub from_capture: Spread,
    /// From the arrival of the access unit.
    pub from_arrival: Spread,
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spread {
    /// How many were measured.
    pub count: u64,
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Longest.
    pub max_ms: f64,
}

impl From<&Histogram> for Spread {
    fn from(h: &Histogram) -> Spread {
        let ms = |d: Duration| d.as_secs_f64() * 1000.0;
        let q = |q| h.quantile(q).map(ms).unwrap_or_default();
        Spread { count: h.count(), p50_ms: q(0.5), p95_ms: q(0.95), p99_ms: q(0.99), max_ms: ms(h.max()) }
    }
}
