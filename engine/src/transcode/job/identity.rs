//! What tells one job from another: everything that decides a single byte of its segments.

use ffmpeg_next as ff;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::plan::Plan;
use crate::base::{Error, ErrorKind, Result};
use crate::transcode::input::scan::Footage;
use crate::transcode::spec::TranscodeSpec;

/// Bytes at either end of a source that tell whether it is still the same, beside its size and time.
const IDENTITY: u64 = 1 << 20;
/// Raised whenever the same orders make other bytes than before, or the files in the work folder have another form.
const MAKING: u32 = 6;

/// What an interrupted job must have in common with this one for its segments to be used: everything that
/// decides a single byte.
pub fn identity(spec: &TranscodeSpec, footage: &Footage, plan: &Plan, sum: Option<&str>) -> Result<String> {
    let unwritten = |e: serde_json::Error| {
        Error::new(ErrorKind::Internal, "plan", "cannot be written as JSON").caused_by(e)
    };
    let mut spec = serde_json::to_value(spec).map_err(unwritten)?;
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("overwrite");
    }
    let segments: Vec<_> =
        plan.segments.iter().map(|s| json!([s.units.start, s.units.end, s.from, s.to, s.threads])).collect();
    let identity = json!({
        "vitrail": env!("CARGO_PKG_VERSION"),
        "making": MAKING,
        "libraries": libraries(),
        "spec": spec,
        "source": { "bytes": footage.bytes, "modified_ns": footage.modified, "ends": ends(footage)?, "sha256": sum },
        "encoders": plan.encoders.iter().map(|encoder| encoder.name()).collect::<Vec<_>>(),
        "renditions": plan.renditions.iter().map(|r| format!("{r:?}")).collect::<Vec<_>>(),
        "sound": format!("{:?}", plan.sound),
        "segments": segments,
        "lag": plan.lag,
    });
    serde_json::to_string_pretty(&identity).map_err(unwritten)
}

/// The sum of both ends of the source.
fn ends(footage: &Footage) -> Result<String> {
    use std::fmt::Write;
    use std::io::{Read, Seek, SeekFrom};
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::Io, footage.path.display().to_string(), "cannot be read").caused_by(e)
    };
    let mut file = std::fs::File::open(&footage.path).map_err(failed)?;
    let mut sum = Sha256::new();
    let mut bytes = Vec::new();
    file.by_ref().take(IDENTITY).read_to_end(&mut bytes).map_err(failed)?;
    sum.update(&bytes);
    bytes.clear();
    file.seek(SeekFrom::Start(footage.bytes.saturating_sub(IDENTITY))).map_err(failed)?;
    file.take(IDENTITY).read_to_end(&mut bytes).map_err(failed)?;
    sum.update(&bytes);
    Ok(sum.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// The libraries that decide bytes, and their versions.
pub fn libraries() -> Vec<(&'static str, String)> {
    let text = |v: u32| format!("{}.{}.{}", v >> 16, v >> 8 & 0xff, v & 0xff);
    vec![
        ("libavcodec", text(ff::codec::version())),
        ("libavformat", text(ff::format::version())),
        ("libavfilter", text(ff::filter::version())),
    ]
}
