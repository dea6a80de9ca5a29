//! Every key of a job file: its table, name, type, default and meaning. This is the only list of them:
//! reading, the check for unknown keys, `--job-schema` and the check of `docs/ref/job.md` follow it.

use std::ops::Range;
use std::time::Duration;

use toml::de::DeTable;

use super::super::leaf::{OneOrMore, Speed};
use super::super::measures::PixelSize;
use super::super::read::{self, At, Leaf, WireTable, leaf, section, sections, unknown_key};
use super::super::report::Report;
use super::super::wire::{Key, Table, wire};
use super::leaf::{
    AudioChoice, BitRate, ByteSize, CodecChoice, Cut, Fit, JobEncoder, Ladder, Points, StartOfTime, Time,
    Turn,
};
use super::spec::{Container, Existing};
use crate::media::Ratio;
use crate::transcode::spec::{Corner, CropRect, Deinterlace, MaskStyle, Verify};

wire! {
    /// The tables of a job file and their keys.
    JOB_TABLES;

    /// How the queue works. May be left out.
    QueueTable "[job]" {
        /// Threads that decode and encode, at most 1024.
        workers: u32 = "one for each core";
        /// Starts every job over, whatever an interrupted run left.
        fresh: bool = "false";
    }

    /// Makes each result evidence: a signed manifest beside it says what was made of what, by whom and
    /// why. May be left out.
    EvidenceTable "[evidence]" {
        /// The file with the private Ed25519 key that signs.
        key: String = "needed";
        /// Why it is exported.
        reason: String = "needed";
        /// The case it belongs to.
        reference: String = "needed";
        /// Who exports it.
        operator: String = "none";
    }

    /// What is read, what is done with it, where it goes. At least one. All keys but `input` and
    /// `output` may stand in `[defaults]`, too, and then hold for every task that does not say otherwise.
    TaskTable "[[task]]" {
        /// Files, folders, or patterns such as `north/**/*.avi`.
        input: OneOrMore = "needed";
        /// A file (`.mp4`, `.mov`, `.m4v`, `.mkv`, `.ts`) for one input; else a folder, which is made where
        /// it is missing. What lies below an input folder keeps its place.
        output: String = "needed";
        /// Looks into the folders below an input folder, too.
        recursive: bool = "false";
        /// What files in an output folder become.
        format: Container = "\"mp4\"";
        /// What to do where a target is there already: `fail` says so and goes on with the others, `skip`
        /// is content with it, `replace` replaces it once the new one is whole.
        existing: Existing = "\"fail\"";
        /// Keeps what can be decoded of a damaged or cut source, and says what is missing.
        salvage: bool = "false";
        /// How much of the result is decoded before it takes its name: all of it, the beginning of the first and the
        /// last group of pictures of each segment, or nothing. Evidence is always decoded in full.
        verify: Verify = "\"full\"";
        /// Which video stream, from 0.
        video_stream: u32 = "0";
        /// Leaves out what is before this time of the source.
        from: Time = "the beginning";
        /// Leaves out what is from this time of the source on. Excludes `duration`.
        to: Time = "the end";
        /// How much is taken. Excludes `to`.
        duration: Time = "all";
        /// `exact` cuts at the picture; `keyframe` may begin at the key frame before it, so that nothing
        /// has to be encoded again.
        cut: Cut = "\"exact\"";
        /// Makes pictures of fields: of those that are marked as interlaced, of all, of none.
        deinterlace: Deinterlace = "\"auto\"";
        /// Turns the picture clockwise.
        rotate: Turn = "0";
        /// Keeps this part of the upright picture.
        crop: CropRect = "all";
        /// Exactly this size; `fit` says what becomes of another aspect. Even.
        size: PixelSize = "that of the source";
        /// So many lines; the width follows. Even.
        height: u32 = "that of the source";
        /// So many columns; the height follows. Even.
        width: u32 = "that of the source";
        /// The largest size of the same aspect that goes into this, never larger than the source.
        within: PixelSize = "that of the source";
        /// With `size`: black bars, cut edges, or distortion.
        fit: Fit = "\"pad\"";
        /// Pictures per second, 0.1 to 240.
        fps: Ratio = "each picture keeps its time";
        /// What comes out. `copy` touches no picture, and is refused where something else asks for a change.
        codec: CodecChoice = "as it is, or h264 where something asks for a change";
        /// Who encodes. `auto` takes hardware where a probe finds that it works.
        encoder: JobEncoder = "\"software\"";
        /// Speed against size.
        preset: Speed = "\"veryfast\"";
        /// Constant quality, 0 (largest) to 51. Excludes `bitrate` and `target_size`.
        crf: f64 = "23 for h264, 28 for h265, 35 for av1";
        /// Average bits a second, 10k to 1000M.
        bitrate: BitRate = "none";
        /// Bytes of the whole file, sound included.
        target_size: ByteSize = "none";
        /// Pictures from one key frame to the next, at most.
        gop: u32 = "the encoder's; about two seconds at most in a ladder";
        /// What becomes of the sound: `auto` copies what the target can hold and makes AAC of the rest.
        audio: AudioChoice = "\"auto\"";
        /// Bits a second of AAC, 16k to 640k; with `audio = "aac"`.
        audio_bitrate: BitRate = "\"128k\"";
        /// Several sizes at once: a folder with a master playlist (HLS) and segments (CMAF).
        ladder: Ladder = "none";
        /// With `ladder`: length of a segment, 1s to 60s.
        segment: Duration = "\"6s\"";
        /// Regions that nobody may see: texts as `--mask` takes them, or tables `[[task.mask]]`.
        mask: Vec<At<MaskTable>> = "[]";
        /// A line of text in a corner, or a table `[task.label]`.
        label: LabelTable = "none";
        /// The time in a corner, `"zero"` or the instant of the first picture, or a table `[task.time_code]`.
        time_code: TimeCodeTable = "none";
        /// A PNG file over the pictures, or a table `[task.watermark]`.
        watermark: WatermarkTable = "none";
    }

    /// A region that is made unrecognisable, in shares of the picture after turning and cropping.
    MaskTable "[[task.mask]]" {
        /// Its corners; two are opposite corners of a rectangle.
        points: Points = "needed";
        /// Nothing is left, or coarse blocks.
        style: MaskStyle = "\"black\"";
        /// From this time of the source on.
        from: Time = "the beginning";
        /// Until this time of the source.
        to: Time = "the end";
    }

    /// A line of text.
    LabelTable "[task.label]" {
        /// The text, at most 200 characters.
        text: String = "needed";
        /// Where.
        corner: Corner = "\"top-left\"";
        /// Height of the line as a share of the picture's, 0.01 to 0.5.
        height: f64 = "0.04";
    }

    /// The time, burnt in.
    TimeCodeTable "[task.time_code]" {
        /// What it shows at the first picture of the source (not of the range).
        start: StartOfTime = "\"zero\"";
        /// Where.
        corner: Corner = "\"bottom-left\"";
        /// Height of the line as a share of the picture's, 0.01 to 0.5.
        height: f64 = "0.04";
    }

    /// A picture over all others.
    WatermarkTable "[task.watermark]" {
        /// A PNG file, with or without transparency.
        image: String = "needed";
        /// Where.
        corner: Corner = "\"top-right\"";
        /// Its width as a share of the picture's, 0.01 to 1.
        width: f64 = "0.15";
        /// 0.01 to 1; 1 is as opaque as the file says.
        opacity: f64 = "1";
    }
}

/// All of a job file.
#[derive(Clone, Default)]
pub(super) struct JobFile {
    pub queue: QueueTable,
    pub evidence: Option<EvidenceTable>,
    pub defaults: TaskTable,
    pub tasks: Vec<TaskTable>,
}

impl JobFile {
    /// Reads the tables.
    pub(super) fn read(table: &DeTable<'_>, report: &mut Report<'_>) -> JobFile {
        let mut file = JobFile::default();
        for (key, value) in table.iter() {
            match &**key.get_ref() {
                "job" => file.queue = section(value, "job", report).unwrap_or_default(),
                "evidence" => file.evidence = section(value, "evidence", report),
                "defaults" => file.defaults = section(value, "defaults", report).unwrap_or_default(),
                "task" => file.tasks = sections(value, "task", report),
                other => {
                    unknown_key(&key.span(), "", other, &["job", "evidence", "defaults", "task"], report)
                }
            }
        }
        file
    }
}
