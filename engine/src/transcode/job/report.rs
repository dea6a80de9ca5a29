//! What a queue tells while it runs and when it has run: plans, events, outcomes. Plain values.

use std::path::PathBuf;

use serde::Serialize;

use crate::base::{Error, names};
use crate::transcode::spec::Verify;

/// How jobs are run.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// Threads that decode and encode; one for each core where `None`.
    pub workers: Option<usize>,
    /// Unfinished segments stay for a resume.
    pub keep_work: bool,
    /// Whatever an earlier run left is not used.
    pub fresh: bool,
    /// Each result gets a signed manifest.
    pub evidence: Option<Evidence>,
}

impl Default for QueueOptions {
    fn default() -> QueueOptions {
        QueueOptions { workers: None, keep_work: true, fresh: false, evidence: None }
    }
}

/// What a manifest of evidence needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The file with the private key.
    pub key: PathBuf,
    /// Why it is exported.
    pub reason: String,
    /// The case it belongs to.
    pub reference: String,
    /// Who exports it.
    pub operator: Option<String>,
}

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Reads the source once.
    Scanning,
    /// Makes segments.
    Encoding,
    /// Joins them.
    Joining,
    /// Reads the result back.
    Checking,
}

/// What happens while jobs run; `job` is their index.
#[derive(Clone, Debug)]
pub enum JobEvent {
    /// It is known what is to be done.
    Planned {
        /// Which job.
        job: usize,
        /// What is to be done.
        plan: JobPlan,
    },
    /// So much is done.
    Progress {
        /// Which job.
        job: usize,
        /// Seconds of video that are done.
        done_s: f64,
        /// Seconds of video in all.
        of_s: f64,
    },
    /// It does something else.
    Stage {
        /// Which job.
        job: usize,
        /// What it does.
        stage: Stage,
    },
    /// It has ended, well or not.
    Finished {
        /// Which job.
        job: usize,
    },
    /// Something to know.
    Note {
        /// Which job.
        job: usize,
        /// What.
        text: String,
    },
}

/// What is to be done for a job.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JobPlan {
    /// No picture is touched.
    pub copy: bool,
    /// Why it is copied or encoded.
    pub reason: String,
    /// Seconds of video.
    pub video_s: f64,
    /// Pictures.
    pub pictures: u64,
    /// Segments.
    pub segments: usize,
    /// Segments that an earlier run has made.
    pub resumed_segments: usize,
    /// What comes out.
    pub renditions: Vec<PlannedRendition>,
    /// What becomes of the sound.
    pub sound: String,
    /// What may not be as expected.
    pub warnings: Vec<String>,
    /// How long it will take and how large the result will be.
    pub predicted: Option<Prediction>,
}

/// What comes out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PlannedRendition {
    /// Its name in a ladder.
    pub name: String,
    /// Pixels wide.
    pub width: u32,
    /// Pixels high.
    pub height: u32,
    /// Its codec; that of the source where it is copied.
    pub codec: String,
    /// Who encodes; empty where it is copied.
    pub encoder: String,
}

/// What samples say of the whole.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Prediction {
    /// Seconds that the job will take.
    pub seconds: f64,
    /// Bytes of the result.
    pub bytes: u64,
    /// How far both may be off, as a share.
    pub error: f64,
}

/// How a job ended.
#[derive(Debug)]
pub enum JobOutcome {
    /// The target is there, whole and checked.
    Done(JobReport),
    /// There is no target.
    Failed(Error),
    /// There is no target yet; what is done is kept for the next run.
    Interrupted,
    /// A target was there already.
    Skipped(String),
}

/// What was made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JobReport {
    /// The source; where its name is not UTF-8, its `file://` address.
    pub input: String,
    /// The target, in the same way.
    pub output: String,
    /// No picture was touched.
    pub copied: bool,
    /// Pictures of the first rendition.
    pub pictures: u64,
    /// Seconds of video.
    pub video_s: f64,
    /// Bytes of the target.
    pub bytes: u64,
    /// Seconds from start to end.
    pub wall_s: f64,
    /// Seconds of processor time.
    pub cpu_s: f64,
    /// Segments that it was cut into.
    pub segments: usize,
    /// Segments that an earlier run had made.
    pub resumed_segments: usize,
    /// Pictures of the source that could not be decoded.
    pub missing_pictures: u64,
    /// How much of the result was decoded before it counted.
    pub verified: Verify,
    /// What is to be known.
    pub notes: Vec<String>,
    /// The signed manifest.
    #[serde(serialize_with = "names::serialize_some")]
    pub manifest: Option<PathBuf>,
}
