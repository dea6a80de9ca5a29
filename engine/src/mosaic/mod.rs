//! The rooms wired for offline mosaics: files in, a file out, as fast as the machine allows, nothing
//! dropped. Deterministic (invariant 8).

mod input;
mod report;
mod run;
mod schedule;
mod shortcut;
mod timeline;

use serde::{Deserialize, Serialize};

pub use report::{InputReport, MosaicReport, StageReport};
pub use run::{MosaicSpec, Progress, run};

/// How much decoding a mosaic does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MosaicEffort {
    /// Every picture, bit-exactly.
    #[default]
    Exact,
    /// Without what the tile's size hides: the loop filter, where the picture shrinks to half or
    /// less each way and a trial lets expect that 45 dB remain, and pictures that no tick shows
    /// and no other refers to.
    Balanced,
    /// Only pictures that can be decoded alone, in small tiles without loop filter; each stays until
    /// the next.
    Keyframes,
}
