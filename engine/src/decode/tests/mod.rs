//! Tests of the room as a whole, on real streams: what they share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chroma;
mod conformance;
mod delay;
mod fields;
mod hardware;
mod pool;
mod robustness;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ffmpeg_next as ff;
use parking_lot::Mutex;

use super::*;
use crate::base::{ErrorKind, Moment};
use crate::media::{AccessUnit, Codec, Pts, SourceRef};

/// Real streams that are not part of the repository; `None`, said aloud, where they are missing.
fn shared(path: &str) -> Option<PathBuf> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path);
    if !full.exists() {
        println!("skipped: {} is not there", full.display());
        return None;
    }
    Some(full)
}

/// The access units of a raw stream, 40 ms apart, as libavformat splits them.
fn units_of(path: &Path) -> Vec<AccessUnit> {
    ff::log::set_level(ff::log::Level::Quiet);
    let Ok(mut input) = ff::format::input(path) else { return Vec::new() };
    let mut units = Vec::new();
    loop {
        let mut packet = ff::Packet::empty();
        match packet.read(&mut input) {
            Ok(()) => {}
            Err(_) => return units,
        }
        let n = units.len() as u64;
        units.push(AccessUnit {
            pts: Pts(n as i64 * 40_000_000),
            arrival: Moment(n * 40_000_000),
            captured: None,
            random_access: packet.is_key() || n == 0,
            disposable: false,
            loss: false,
            data: Bytes::copy_from_slice(packet.data().unwrap_or_default()),
        });
    }
}

/// Runs the ffmpeg program; false, said aloud, where it is missing or lacks something.
fn ffmpeg(arguments: &str, output: &Path) -> bool {
    let ran = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .arg(output)
        .status();
    let worked = ran.is_ok_and(|status| status.success());
    if !worked {
        println!("skipped: ffmpeg {arguments} did not work");
    }
    worked
}

/// An encoded test picture: `options` choose size, length and encoder.
fn encoded(name: &str, options: &str) -> Option<Vec<AccessUnit>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    ffmpeg(&format!("-f lavfi -i {options}"), &file).then(|| units_of(&file))
}

fn codec_of(path: &Path) -> Codec {
    let name = path.to_string_lossy();
    if name.contains("h265") || name.ends_with(".bit") || name.ends_with(".bin") {
        Codec::H265
    } else {
        Codec::H264
    }
}

fn source(camera: &str) -> SourceRef {
    SourceRef { camera: camera.into(), profile: "main".into(), generation: 1 }
}

/// What a consumer was given.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Result<Frame, String>>>>);

impl Seen {
    fn frames(&self) -> Vec<Frame> {
        self.0.lock().iter().filter_map(|r| r.as_ref().ok().cloned()).collect()
    }
    fn failures(&self) -> Vec<String> {
        self.0.lock().iter().filter_map(|r| r.as_ref().err().cloned()).collect()
    }
}

impl FrameConsumer for Seen {
    fn frame(&mut self, frame: &Frame) {
        self.0.lock().push(Ok(frame.clone()));
    }
    fn failed(&mut self, error: &Error) {
        self.0.lock().push(Err(error.to_string()));
    }
}

/// Waits until `done`, for at most ten seconds.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("waited ten seconds for: {what}");
}
