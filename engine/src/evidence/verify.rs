//! Verification: the signature first, then every file, compared with what was recorded.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::key::PublicKey;
use super::manifest::{FORMAT_BYTES, Manifest, NoManifest, SourceFile};
use super::record::files_below;
use super::signature::SignatureFile;
use super::sum::{NotOpened, open_below, open_file, sum};
use super::{Progress, signature_path};
use crate::base::names::{encoded, lossless};
use crate::base::{Error, ErrorKind, Result};

/// Larger manifests are not read: 256 MiB, about a million files.
const MOST_MANIFEST: u64 = 256 << 20;
/// Larger signature files are not read.
const MOST_SIGNATURE: u64 = 4096;

/// What to verify, and with what.
#[derive(Clone, Debug)]
pub struct Check {
    /// The manifest; its signature and the outputs lie beside it.
    pub manifest: PathBuf,
    /// The key of the one who is expected to have signed. Without it, the key that comes with the
    /// signature is used, which says nothing about who signed.
    pub key: Option<PublicKey>,
    /// Sources, or folders that hold them, where they do not lie below the manifest's folder.
    pub sources: Vec<PathBuf>,
    /// Sources are not at hand and are not looked at.
    pub skip_sources: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Signed with the key given, and every file is as it was recorded.
    Verified,
    /// Every file is as it was recorded, but no key was given: it is not known who signed.
    Unattributed,
    /// Something is not as it was signed.
    Failed,
    /// No fault was found, but some files could not be read.
    Unreadable,
}

impl Verdict {
    /// The exit code of `vitrail verify`.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Verified => 0,
            Verdict::Failed => 1,
            Verdict::Unreadable => 4,
            Verdict::Unattributed => 6,
        }
    }
}

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    /// The manifest that was checked.
    pub manifest: String,
    /// What came of it.
    pub verdict: Verdict,
    /// The signature. Unless it is good, nothing else was looked at: the manifest is worth nothing.
    pub signature: SignatureFinding,
    /// Sources were not looked at, as was asked.
    pub sources_skipped: bool,
    /// Every file, in the manifest's order; then those that were added.
    pub files: Vec<FileFinding>,
    /// What the manifest says, where its signature is good.
    pub facts: Option<Manifest>,
}

/// What is known of a signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignatureFinding {
    /// Whether it is worth something.
    pub state: SignatureState,
    /// The key that it names.
    pub key_id: Option<String>,
    /// Whether the key was given by the one who asks, and not taken from beside the manifest.
    pub key_given: bool,
    /// What is wrong with it.
    pub trouble: Option<String>,
}

/// Whether a signature is worth something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureState {
    /// The key signed exactly these bytes.
    Good,
    /// It did not, or the bytes are no manifest.
    Bad,
    /// There is none.
    Missing,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileFinding {
    /// What it was to the job.
    pub role: Role,
    /// Its name in the manifest.
    pub name: String,
    /// How it is now.
    pub state: FileState,
    /// What is different.
    pub detail: Option<String>,
}

/// What a file was to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It was read.
    Source,
    /// It was written.
    Output,
}

/// How a file is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// As it was recorded.
    Ok,
    /// Its content is another.
    Changed,
    /// It is not there.
    Missing,
    /// It was not there then.
    Added,
    /// It is there, but the system refuses to read it.
    Unreadable,
    /// A source, not looked at as was asked.
    Skipped,
}

/// Checks a manifest, its signature and every file that it names. Whatever is wrong with them is a
/// finding; an error only says that there was nothing to check.
///
/// # Errors
/// `Io` where the manifest cannot be read, `Unsupported` where a later version of this program made it.
pub fn verify(check: &Check, progress: &mut dyn FnMut(Progress)) -> Result<Findings> {
    let manifest = read(&check.manifest, MOST_MANIFEST)?;
    let (signature, facts) = match check_signature(check, &manifest)? {
        Ok((signature, manifest)) => (signature, Some(manifest)),
        Err(signature) => (signature, None),
    };
    let files = facts.as_ref().map(|facts| check_files(check, facts, progress)).unwrap_or_default();
    let any = |states: &[FileState]| files.iter().any(|file| states.contains(&file.state));
    let verdict = if signature.state != SignatureState::Good
        || any(&[FileState::Changed, FileState::Missing, FileState::Added])
    {
        Verdict::Failed
    } else if any(&[FileState::Unreadable]) {
        Verdict::Unreadable
    } else if check.key.is_none() {
        Verdict::Unattributed
    } else {
        Verdict::Verified
    };
    Ok(Findings {
        manifest: lossless(&check.manifest),
        verdict,
        signature,
        sources_skipped: check.skip_sources,
        files,
        facts,
    })
}

type Signed = std::result::Result<(SignatureFinding, Manifest), SignatureFinding>;

/// The manifest where its signature is good, else what is wrong with it.
fn check_signature(check: &Check, manifest: &[u8]) -> Result<Signed> {
    let finding = |state, key_id: Option<&str>, trouble: Option<String>| SignatureFinding {
        state,
        key_id: key_id.map(str::to_owned),
        key_given: check.key.is_some(),
        trouble,
    };
    let bad = |key_id, trouble: String| Ok(Err(finding(SignatureState::Bad, key_id, Some(trouble))));
    let path = signature_path(&check.manifest);
    let file = match read(&path, MOST_SIGNATURE) {
        Ok(file) => file,
        Err(_) if path.symlink_metadata().is_err() => {
            let trouble = format!("{} is not there; copy it beside the manifest", path.display());
            return Ok(Err(finding(SignatureState::Missing, None, Some(trouble))));
        }
        Err(e) => return Err(e),
    };
    let Some(signed) = SignatureFile::parse(&file) else {
        return bad(None, format!("{} was changed, or is no signature", path.display()));
    };
    let id = Some(signed.key_id.as_str());
    if signed.public.id() != signed.key_id {
        return bad(id, format!("{} was changed: its key has another id", path.display()));
    }
    if let Some(key) = check.key.as_ref().filter(|key| key.id() != signed.key_id) {
        return bad(
            id,
            format!("signed with the key {}, not with the one given, {}", signed.key_id, key.id()),
        );
    }
    if !check.key.as_ref().unwrap_or(&signed.public).signed(manifest, &signed.signature) {
        return bad(id, "the manifest or its signature was changed after signing".into());
    }
    match Manifest::parse(manifest) {
        Ok(facts) if facts.key_id != signed.key_id => {
            bad(id, "the manifest names another key than its signature".into())
        }
        Ok(facts) => Ok(Ok((finding(SignatureState::Good, id, None), facts))),
        Err(NoManifest::Wrong(why)) => bad(id, format!("what was signed is no manifest: {why}")),
        Err(NoManifest::Newer(format)) => Err(Error::new(
            ErrorKind::Unsupported,
            check.manifest.display().to_string(),
            format!("has the form {format:?}, which needs a later version of this program"),
        )),
    }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let refuse = |message| Error::new(ErrorKind::Io, path.display().to_string(), message);
    let file = open_file(path).map_err(|why| match why {
        NotOpened::Missing => refuse("is not there"),
        NotOpened::NoFile(why) => refuse(why),
        NotOpened::Refused(e) => refuse("cannot be read").caused_by(e),
    })?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|e| refuse("cannot be read").caused_by(e))?;
    if bytes.len() as u64 > most {
        return Err(refuse("is too large to be one"));
    }
    Ok(bytes)
}

fn check_files(check: &Check, facts: &Manifest, progress: &mut dyn FnMut(Progress)) -> Vec<FileFinding> {
    let folder = check.manifest.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let sources = facts.sources.iter().filter(|_| !check.skip_sources).map(|f| f.bytes);
    let of = sources.chain(facts.outputs.iter().map(|f| f.bytes)).fold(0, u64::saturating_add);
    let mut done = Progress { bytes: 0, of };
    let mut read = |bytes| {
        done.bytes += bytes;
        progress(done);
        Ok(())
    };
    let mut files = Vec::new();
    for source in &facts.sources {
        let finding = if check.skip_sources {
            (FileState::Skipped, None)
        } else {
            compare(open_source(check, facts, source, folder), source.bytes, &source.sha256, &mut read)
        };
        files.push(file(Role::Source, &source.name, finding));
    }
    for output in &facts.outputs {
        let opened = open_below(folder, &facts.path(&output.name));
        let finding = compare(opened, output.bytes, &output.sha256, &mut read);
        files.push(file(Role::Output, &output.name, finding));
    }
    files.extend(added(folder, facts));
    files
}

fn file(role: Role, name: &str, (state, detail): (FileState, Option<String>)) -> FileFinding {
    FileFinding { role, name: name.to_owned(), state, detail }
}

/// The source under its recorded place, or where the one who asks says that it is.
fn open_source(
    check: &Check,
    facts: &Manifest,
    source: &SourceFile,
    folder: &Path,
) -> std::result::Result<File, NotOpened> {
    let name = facts.path(&source.name);
    let last = name.file_name();
    let named = check.sources.iter().filter_map(|place| {
        if place.is_dir() {
            return Some(place.join(&name));
        }
        (facts.sources.len() == 1 || place.file_name() == last).then(|| place.clone())
    });
    let recorded = (!source.elsewhere).then(|| folder.join(&name));
    for path in recorded.into_iter().chain(named) {
        match open_file(&path) {
            Err(NotOpened::Missing) => {}
            opened => return opened,
        }
    }
    Err(NotOpened::Missing)
}

fn compare(
    opened: std::result::Result<File, NotOpened>,
    bytes: u64,
    sha256: &str,
    read: &mut dyn FnMut(u64) -> std::io::Result<()>,
) -> (FileState, Option<String>) {
    let unreadable = |e: std::io::Error| (FileState::Unreadable, Some(e.to_string()));
    let file = match opened {
        Ok(file) => file,
        Err(NotOpened::Missing) => return (FileState::Missing, None),
        Err(NotOpened::NoFile(why)) => return (FileState::Changed, Some(why.to_owned())),
        Err(NotOpened::Refused(e)) => return unreadable(e),
    };
    let other_size = |found| (FileState::Changed, Some(format!("{found} bytes, {bytes} were recorded")));
    match file.metadata() {
        Ok(about) if about.len() != bytes => return other_size(about.len()),
        Ok(_) => {}
        Err(e) => return unreadable(e),
    }
    match sum(file, read) {
        Ok(found) if found.bytes != bytes => other_size(found.bytes),
        Ok(found) if found.sha256 != sha256 => {
            (FileState::Changed, Some(format!("SHA-256 {}, {sha256} was recorded", found.sha256)))
        }
        Ok(_) => (FileState::Ok, None),
        Err(e) => unreadable(e),
    }
}

/// How a name is told that the manifest does not have. One that its form cannot spell is told by its bytes.
fn spelt(name: &Path, facts: &Manifest) -> String {
    let plain = name.to_str().filter(|_| facts.format != FORMAT_BYTES);
    plain.map_or_else(|| encoded(name.as_os_str()), str::to_owned)
}

/// Files in folders of outputs that the manifest does not name.
fn added(folder: &Path, facts: &Manifest) -> Vec<FileFinding> {
    let known: HashSet<PathBuf> = facts.outputs.iter().map(|f| folder.join(facts.path(&f.name))).collect();
    let mut found = Vec::new();
    for name in &facts.output_folders {
        let inside = match files_below(&folder.join(facts.path(name))) {
            Ok(inside) => inside,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                found.push(file(Role::Output, name, (FileState::Missing, None)));
                continue;
            }
            Err(e) => {
                found.push(file(Role::Output, name, (FileState::Unreadable, Some(e.to_string()))));
                continue;
            }
        };
        for path in inside.into_iter().filter(|path| !known.contains(path)) {
            let name = spelt(path.strip_prefix(folder).unwrap_or(&path), facts);
            found.push(file(Role::Output, &name, (FileState::Added, None)));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}
