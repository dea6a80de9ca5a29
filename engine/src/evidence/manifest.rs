//! The manifest: what it says, and how its bytes are read when nobody vouches for them.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as Read, Serialize};
use serde_json::Value;

use crate::base::names;

/// The first field of every manifest: what it is, and the version of this form.
pub const FORMAT: &str = "vitrail-evidence/1";

/// The form of a manifest in which names are bytes, percent-encoded ([`names::encoded`]): where one of them
/// is not UTF-8.
pub const FORMAT_BYTES: &str = "vitrail-evidence/2";

/// What a job read and wrote, with what and why. Every field is described in `docs/ref/evidence.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Read)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`], or [`FORMAT_BYTES`].
    pub format: String,
    /// When it was made: RFC 3339, UTC, whole seconds.
    pub created: String,
    /// Which key signed it: [`super::PublicKey::id`].
    pub key_id: String,
    /// Why the export was made, in the operator's words; not empty.
    pub reason: String,
    /// The case or file number that it belongs to; not empty.
    pub reference: String,
    /// Who made it, where that was told.
    pub operator: Option<String>,
    /// The program.
    pub tool: Version,
    /// What it worked with: libavcodec, x264, …
    pub libraries: Vec<Version>,
    /// Which part of the sources was used.
    pub range: Range,
    /// What was asked for, as the job has it.
    pub options: Value,
    /// What the job counted: pictures, duration, …
    pub result: Value,
    /// What was read; at least one.
    pub sources: Vec<SourceFile>,
    /// What was written; at least one. Every file of a ladder.
    pub outputs: Vec<OutputFile>,
    /// Folders that hold outputs and nothing else; names as in `outputs`.
    pub output_folders: Vec<String>,
}

/// A program or library and its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Read)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// Its version, as it says it.
    pub version: String,
}

/// A part of a source, in nanoseconds since its first picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Read)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The first instant that is shown; the beginning where `None`.
    pub from_ns: Option<u64>,
    /// The first instant that is not shown any more; the end where `None`.
    pub to_ns: Option<u64>,
}

impl Range {
    /// From when until when; `None`: from the beginning, to the end.
    pub fn new(from: Option<Duration>, to: Option<Duration>) -> Range {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Range { from_ns: from.map(ns), to_ns: to.map(ns) }
    }
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Read)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Its path below the manifest's folder; where it was elsewhere, below the deepest folder that
    /// held all such sources (with one: its file name). Parts are parted by `/`.
    pub name: String,
    /// It did not lie below the manifest's folder.
    pub elsewhere: bool,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, 64 hexadecimal digits, lower case.
    pub sha256: String,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Read)]
#[serde(deny_unknown_fields)]
pub struct OutputFile {
    /// Its path below the manifest's folder, parts parted by `/`.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, 64 hexadecimal digits, lower case.
    pub sha256: String,
}

/// Why bytes are no manifest that this program takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoManifest {
    /// Made by a later version of this program.
    Newer(String),
    /// Broken, or made so that two readers would read different things.
    Wrong(String),
}

impl Manifest {
    /// Reads what [`Manifest::render`] writes. Keys that come twice, unknown keys, and names that
    /// lead out of a folder are refused.
    pub(super) fn parse(bytes: &[u8]) -> Result<Manifest, NoManifest> {
        let no_json = |e: serde_json::Error| NoManifest::Wrong(format!("it cannot be read: {e}"));
        let text = std::str::from_utf8(bytes).map_err(|_| NoManifest::Wrong("it is not UTF-8".into()))?;
        let Unambiguous = serde_json::from_str(text).map_err(no_json)?;
        #[derive(Read)]
        struct Any {
            format: String,
        }
        let Any { format } = serde_json::from_str(text).map_err(no_json)?;
        if format != FORMAT && format != FORMAT_BYTES {
            return Err(match format.starts_with("vitrail-evidence/") {
                true => NoManifest::Newer(format),
                false => NoManifest::Wrong("its format is not that of evidence".into()),
            });
        }
        let manifest: Manifest = serde_json::from_str(text).map_err(no_json)?;
        manifest.check().map_err(NoManifest::Wrong)?;
        Ok(manifest)
    }

    /// As JSON, a field a line.
    pub(super) fn render(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// The path, below the manifest's folder or its own, that a name of this manifest means.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match self.format == FORMAT_BYTES {
            true => names::decoded(name).unwrap_or_default().into(),
            false => name.into(),
        }
    }

    /// A name that leads nowhere but below a folder, in its only spelling.
    fn is_below(&self, name: &str) -> bool {
        is_below(name.as_bytes())
            && (self.format != FORMAT_BYTES
                || names::decoded(name).is_some_and(|bytes| is_below(bytes.as_encoded_bytes())))
    }

    fn check(&self) -> Result<(), String> {
        let instant: Result<jiff::Timestamp, _> = self.created.parse();
        if instant.is_err() || !self.created.ends_with('Z') {
            return Err("`created` is no time in UTC".into());
        }
        if self.reason.trim().is_empty() || self.reference.trim().is_empty() {
            return Err("`reason` or `reference` is empty".into());
        }
        if self.sources.is_empty() || self.outputs.is_empty() {
            return Err("it names no source or no output".into());
        }
        let sources = self.sources.iter().map(|f| (&f.name, &f.sha256, Some(f.elsewhere)));
        let outputs = self.outputs.iter().map(|f| (&f.name, &f.sha256, None));
        let mut names = HashSet::new();
        for (name, sha256, place) in sources.chain(outputs) {
            if !self.is_below(name) {
                return Err(format!("the name {name:?} leads out of the folder"));
            }
            if sha256.len() != 64 || !sha256.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(format!("the SHA-256 of {name:?} is none"));
            }
            if !names.insert((name, place)) {
                return Err(format!("it names {name:?} twice"));
            }
        }
        match self.output_folders.iter().find(|name| !self.is_below(name)) {
            Some(name) => Err(format!("the name {name:?} leads out of the folder")),
            None => Ok(()),
        }
    }
}

/// True for a relative path that stays below its folder whatever it holds, in its only spelling:
/// no empty part, no `.`, no `..`.
pub(super) fn is_below(name: &[u8]) -> bool {
    !name.contains(&0) && name.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

/// Any JSON in which no object has a key twice: of those, readers take the first or the last.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Unambiguous;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unambiguous, A::Error> {
                let mut keys = HashSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    map.next_value::<Unambiguous>()?;
                    if keys.contains(&key) {
                        return Err(de::Error::custom(format!("the key {key:?} comes twice")));
                    }
                    keys.insert(key);
                }
                Ok(Unambiguous)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unambiguous, A::Error> {
                while let Some(Unambiguous) = seq.next_element()? {}
                Ok(Unambiguous)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
            fn visit_str<E>(self, _: &str) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
            fn visit_unit<E>(self) -> Result<Unambiguous, E> {
                Ok(Unambiguous)
            }
        }
        deserializer.deserialize_any(Walk)
    }
}
