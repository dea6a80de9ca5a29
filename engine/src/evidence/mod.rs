//! Evidence: a signed manifest beside what a job made, and its verification, offline.
//!
//! [`write()`] says in `OUTPUT.evidence.json` which files were read and written (size, SHA-256), with
//! what, how and why, and signs the bytes of that file into `OUTPUT.evidence.json.sig`. [`verify`]
//! finds every byte that is another since. The form is described in `docs/ref/evidence.md`.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::files::{sync_parent, write_whole};
use crate::base::names::LONGEST;
use crate::base::{Clock, Error, ErrorKind, Result, Shutdown};

mod key;
mod manifest;
mod record;
mod signature;
mod sum;
#[cfg(test)]
mod tests;
mod verify;

pub use key::{PublicKey, SigningKeyFile, public_path};
pub use manifest::{FORMAT, FORMAT_BYTES, Manifest, OutputFile, Range, SourceFile, Version};
pub use verify::{
    Check, FileFinding, FileState, Findings, Role, SignatureFinding, SignatureState, Verdict, verify,
};

use record::{Form, Reader};
use signature::SignatureFile;

/// Who signs, and why: known before a job begins.
#[derive(Clone, Debug)]
pub struct Export {
    /// The private key.
    pub key: SigningKeyFile,
    /// Why, in the operator's words; not empty.
    pub reason: String,
    /// The case or file number; not empty.
    pub reference: String,
    /// Who makes it.
    pub operator: Option<String>,
    /// Whether a manifest that is there already may be replaced.
    pub overwrite: bool,
}

/// What a manifest is about: known when the job is done.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Files that were read; at least one.
    pub sources: Vec<Source>,
    /// Files or folders that were written; at least one. The manifest lies beside the first, all
    /// others lie somewhere below that place. Every file of a folder is recorded.
    pub outputs: Vec<PathBuf>,
    /// The program.
    pub tool: Version,
    /// Libraries and encoders.
    pub libraries: Vec<Version>,
    /// What was asked for.
    pub options: Value,
    /// Which part of the sources.
    pub range: Range,
    /// What came out: pictures, duration, …
    pub result: Value,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it lies.
    pub path: PathBuf,
    /// What it held when it was read, where the job made sure of it; else it is read for its sum when the
    /// manifest is written.
    pub held: Option<Fingerprint>,
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Source {
        Source { path, held: None }
    }
}

/// What a file holds: two of them are equal where not a byte differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(sum::Sum);

impl Fingerprint {
    /// Reads all of an open file; `None` where `stop` came first. Errors name `path`.
    ///
    /// # Errors
    /// `Io` where it cannot be read, or is written to meanwhile.
    pub fn of(file: &File, path: &Path, stop: &Shutdown) -> Result<Option<Fingerprint>> {
        match Reader::new(&mut |_| {}, stop).whole(file, path) {
            Err(_) if stop.is_cancelled() => Ok(None),
            read => read.map(|sum| Some(Fingerprint(sum))),
        }
    }

    /// SHA-256, 64 digits, lower case.
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }
}

/// How far the reading of files is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Bytes read.
    pub bytes: u64,
    /// Bytes of all files that are read.
    pub of: u64,
}

/// Where the manifest of an output lies: beside it, as `OUTPUT.evidence.json`.
///
/// # Errors
/// `Config` where `output` ends in no name.
pub fn manifest_path(output: &Path) -> Result<PathBuf> {
    let Some(name) = output.file_name() else {
        return Err(Error::new(ErrorKind::Config, output.display().to_string(), "is no file name"));
    };
    let mut name = name.to_owned();
    name.push(".evidence.json");
    Ok(output.with_file_name(name))
}

/// Where the signature of a manifest lies: beside it, with `.sig`.
pub fn signature_path(manifest: &Path) -> PathBuf {
    let mut path = manifest.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Fails before a job begins where its evidence could not be written: an empty reason or reference,
/// or a manifest that is there already and may not be replaced. That there is a usable key,
/// [`SigningKeyFile::open`] has checked.
///
/// # Errors
/// `Config`.
pub fn check_ready(export: &Export, output: &Path) -> Result<()> {
    let texts = [("reason", Some(&export.reason)), ("reference", Some(&export.reference))];
    for (what, text) in texts.into_iter().chain([("operator", export.operator.as_ref())]) {
        if text.is_some_and(|text| text.trim().is_empty()) {
            return Err(Error::new(
                ErrorKind::Config,
                what,
                "is empty; evidence says why it was made and for what",
            ));
        }
    }
    let manifest = manifest_path(output)?;
    if signature_path(&manifest).file_name().is_some_and(|name| name.len() > LONGEST) {
        let remedy = "would give its manifest a name of more than 255 bytes; choose a shorter one";
        return Err(Error::new(ErrorKind::Config, output.display().to_string(), remedy));
    }
    if !export.overwrite && manifest.symlink_metadata().is_ok() {
        let remedy = "is there already; choose another name or add --overwrite";
        return Err(Error::new(ErrorKind::Config, manifest.display().to_string(), remedy));
    }
    Ok(())
}

/// Reads all files that `subject` names, writes and signs the manifest, and says where it is. The
/// manifest appears last and whole, so none is ever seen without its signature; both are on disk
/// when this returns.
///
/// # Errors
/// `Config` as [`check_ready`], and where an output is a link or lies outside the manifest's folder; `Io` where
/// a file cannot be read, changes meanwhile, or the manifest cannot be written.
pub fn write(export: &Export, subject: Subject, clock: &dyn Clock) -> Result<PathBuf> {
    write_manifest(export, subject, clock, &mut Reader::new(&mut |_| {}, &Shutdown::new()))
}

/// As [`write()`], for files that take a while: tells how far it is, and ends with `None` and nothing
/// written where `stop` is triggered.
///
/// # Errors
/// As [`write()`].
pub fn write_watched(
    export: &Export,
    subject: Subject,
    clock: &dyn Clock,
    stop: &Shutdown,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<PathBuf>> {
    match write_manifest(export, subject, clock, &mut Reader::new(progress, stop)) {
        Err(_) if stop.is_cancelled() => Ok(None),
        outcome => outcome.map(Some),
    }
}

fn write_manifest(
    export: &Export,
    subject: Subject,
    clock: &dyn Clock,
    reader: &mut Reader,
) -> Result<PathBuf> {
    let Some(first) = subject.outputs.first() else {
        return Err(Error::new(ErrorKind::Internal, "evidence", "a job without output has none"));
    };
    check_ready(export, first)?;
    let path = manifest_path(first)?;
    let beside = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let sources = record::find_sources(beside, &subject.sources)?;
    let (outputs, output_folders) = record::find_outputs(beside, &subject.outputs)?;
    reader.expect(sources.iter().chain(&outputs));
    let form = Form::for_all(sources.iter().chain(&outputs), &output_folders);
    let output_folders = output_folders.iter().map(|name| form.spell(name)).collect();
    let sources = sources.into_iter().map(|found| reader.source(found, form)).collect::<Result<_>>()?;
    let outputs = outputs.into_iter().map(|found| reader.output(found, form)).collect::<Result<_>>()?;
    let manifest = Manifest {
        format: form.name().into(),
        created: timestamp(clock)?,
        key_id: export.key.public().id(),
        reason: export.reason.clone(),
        reference: export.reference.clone(),
        operator: export.operator.clone(),
        tool: subject.tool,
        libraries: subject.libraries,
        range: subject.range,
        options: subject.options,
        result: subject.result,
        sources,
        outputs,
        output_folders,
    };
    publish(&path, &manifest, &export.key)?;
    Ok(path)
}

fn timestamp(clock: &dyn Clock) -> Result<String> {
    let seconds = i64::try_from(clock.wall().as_secs()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(seconds)
        .map_err(|e| Error::new(ErrorKind::Missing, "clock", "shows no time; set it").caused_by(e))?;
    Ok(time.to_string())
}

fn publish(path: &Path, manifest: &Manifest, key: &SigningKeyFile) -> Result<()> {
    let subject = || path.display().to_string();
    let text = manifest
        .render()
        .map_err(|e| Error::new(ErrorKind::Internal, subject(), "cannot be written as JSON").caused_by(e))?;
    // What would not be taken when it is verified must not be signed.
    if let Err(why) = Manifest::parse(text.as_bytes()) {
        return Err(Error::new(ErrorKind::Internal, subject(), format!("would not be readable: {why:?}")));
    }
    let signature = SignatureFile::sign(key, text.as_bytes());
    let beside = signature_path(path);
    // An old manifest goes first: it must not be seen beside the new signature.
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::new(ErrorKind::Io, subject(), "cannot be replaced").caused_by(e));
        }
        _ => {}
    }
    write_whole(&beside, signature.render().as_bytes()).and_then(|()| on_disk(&beside))?;
    write_whole(path, text.as_bytes()).and_then(|()| on_disk(path)).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
        let _ = std::fs::remove_file(&beside);
    })
}

/// The file and its name are on disk.
fn on_disk(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|f| f.sync_all()).and_then(|()| sync_parent(path));
    synced.map_err(|e| {
        Error::new(ErrorKind::Io, path.display().to_string(), "cannot be brought to disk").caused_by(e)
    })
}
