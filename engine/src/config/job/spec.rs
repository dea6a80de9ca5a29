//! A checked job: tasks with their orders, every value within its bounds. Which files a task means is
//! not known here; whoever looks makes a [`TranscodeSpec`] for each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::report::{Place, Problem};
use crate::transcode::spec::{Target, TranscodeSpec};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    /// At least one.
    pub tasks: Vec<TaskSpec>,
    /// Threads that decode and encode, 1 to 1024; one for each core where `None`.
    pub workers: Option<usize>,
    /// Whatever an interrupted run left is not used.
    pub fresh: bool,
    /// Results are signed.
    pub evidence: Option<EvidenceSpec>,
}

/// What a manifest of evidence needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceSpec {
    /// The file with the private key.
    pub key: PathBuf,
    /// Why it is exported.
    pub reason: String,
    /// The case it belongs to.
    pub reference: String,
    /// Who exports it.
    pub operator: Option<String>,
}

/// Some inputs, one target, and what is done in between.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    /// Files, folders and patterns, at least one. None is the address of a stream.
    pub inputs: Vec<Given>,
    /// A file or a folder.
    pub output: Given,
    /// Looks into the folders below an input folder, too.
    pub recursive: bool,
    /// What files in an output folder become.
    pub container: Container,
    /// What to do where a target is there already.
    pub existing: Existing,
    /// The result is a ladder with segments of this length.
    pub ladder: Option<Duration>,
    pub(super) template: TranscodeSpec,
}

impl TaskSpec {
    /// The orders for one of its inputs; `output` is a file, or the folder of a ladder.
    pub fn job(&self, input: PathBuf, output: PathBuf) -> TranscodeSpec {
        let target = match self.ladder {
            Some(segment) => Target::Hls { folder: output, segment },
            None => Target::File(output),
        };
        let overwrite = self.existing == Existing::Replace;
        TranscodeSpec { input, target, overwrite, ..self.template.clone() }
    }
}

/// A path as it was written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// For people; of a name that is not UTF-8, what can be read of it.
    pub(super) text: String,
    pub(super) named: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) key: String,
    pub(super) place: Option<Place>,
}

impl Given {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The path; one of a job file begins in the folder of that file.
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.named)
    }

    /// The folder in which it begins: that of the job file, or nothing for the current one.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Says that something is wrong with it, in the place where it was written.
    pub fn problem(&self, message: impl Into<String>, remedy: &str) -> Problem {
        Problem {
            place: self.place.clone(),
            key: self.key.clone(),
            message: message.into(),
            remedy: (!remedy.is_empty()).then(|| remedy.to_owned()),
        }
    }
}

/// Kinds of files that can be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Container {
    /// MPEG-4.
    #[default]
    Mp4,
    /// Matroska.
    Mkv,
    /// MPEG transport stream.
    Ts,
    /// QuickTime.
    Mov,
}

impl Container {
    /// The ending of its files' names.
    pub fn ending(self) -> &'static str {
        match self {
            Container::Mp4 => "mp4",
            Container::Mkv => "mkv",
            Container::Ts => "ts",
            Container::Mov => "mov",
        }
    }
}

/// What to do where a target is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// That job fails; the others go on.
    #[default]
    Fail,
    /// It is kept, and that is no failure.
    Skip,
    /// It is replaced once the new one is whole.
    Replace,
}

/// Endings of the files that can be made.
const ENDINGS: [&str; 5] = ["mp4", "mov", "m4v", "mkv", "ts"];

/// True for the name of a file that can be made.
pub(super) fn is_file_name(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

impl Given {
    /// True where it has the ending of a file that can be made: `.mp4`, `.mov`, `.m4v`, `.mkv`, `.ts`.
    pub fn names_a_file(&self) -> bool {
        is_file_name(&self.named)
    }
}
