//! What faults leave behind: memory in use is counted by the allocator, in a process of its own.
#![allow(clippy::unwrap_used, missing_docs)]

mod heap_ffi;

use std::path::Path;
use std::process::Command;

use heap_ffi::live_bytes;
use vitrail_engine::decode::{Decoder, DecoderRequest, LibavDecoder};
use vitrail_engine::media::{AccessUnit, Codec};
use vitrail_engine::source::FileDemuxer;

const CAMERAS: usize = 2;
/// A picture of 640x360 with libavcodec's margins: what a decoder would keep too many of.
const PICTURE: usize = 400_000;

/// The units of four GOPs of a camera that moves a little.
fn units(folder: &Path, encoder: &str) -> Vec<AccessUnit> {
    let path = folder.join("camera.mp4");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=4"])
        .args(encoder.split_whitespace())
        .arg(&path)
        .status();
    assert!(made.is_ok_and(|status| status.success()), "ffmpeg makes the camera");
    let mut file = FileDemuxer::open(&path).unwrap();
    std::iter::from_fn(|| file.next_unit().unwrap()).map(|unit| unit.unit).collect()
}

/// What happens to a unit on its way.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// One to four in a row do not arrive, of seventeen.
    Lost,
    /// One in five has wrong bytes in its middle.
    Corrupt,
    /// Two change places.
    Disorder,
    /// The connection is made anew, in the middle of a GOP.
    Reconnect,
}

/// Sends the units once, with a fault that changes from `round` to `round`.
fn send(decoder: &mut LibavDecoder, units: &[AccessUnit], fault: Option<(Fault, usize)>) {
    let mut loss = false;
    let mut units = units.to_vec();
    if let Some((Fault::Disorder, round)) = fault {
        for at in (3 + round % 5..units.len()).step_by(9) {
            units.swap(at - 1, at);
            // A source sees that one is missing, and drops it or not when it comes.
            units[at - 1].loss = true;
        }
    }
    for (at, mut unit) in units.into_iter().enumerate() {
        match fault {
            Some((Fault::Lost, round)) if (at + round) % 17 < 1 + round % 4 => {
                loss = true;
                continue;
            }
            Some((Fault::Corrupt, round)) if (at + round) % 5 == 3 => {
                let mut data = unit.data.to_vec();
                let middle = data.len() / 2;
                data[middle..].iter_mut().step_by(3).for_each(|b| *b ^= 0x5a);
                unit.data = data.into();
            }
            Some((Fault::Reconnect, round)) if at == 30 + round % 10 => decoder.reset(),
            _ => {}
        }
        unit.loss |= std::mem::take(&mut loss);
        // Damage is an error or not; what is left behind counts here.
        let _ = decoder.decode(&unit, &mut |_| {});
    }
}

#[test]
fn faults_leave_no_memory_behind() {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        eprintln!("skipped: ffmpeg is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for encoder in [
        "-c:v libx264 -preset veryfast -tune zerolatency -g 25 -pix_fmt yuv420p -x264-params ref=1:scenecut=0",
        "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params keyint=25:ref=3:bframes=0:scenecut=0:log-level=none",
    ] {
        let units = units(folder.path(), encoder);
        let codec = if encoder.contains("x265") { Codec::H265 } else { Codec::H264 };
        for fault in [Fault::Lost, Fault::Corrupt, Fault::Disorder, Fault::Reconnect] {
            let mut cameras: Vec<LibavDecoder> =
                (0..CAMERAS).map(|_| LibavDecoder::open(&DecoderRequest::live(codec)).unwrap()).collect();
            cameras.iter_mut().for_each(|camera| send(camera, &units, None));
            let before = live_bytes();
            for round in 0..6 {
                cameras.iter_mut().for_each(|camera| send(camera, &units, Some((fault, round))));
            }
            // What a fault needs for itself may be kept until the next key frame.
            cameras.iter_mut().for_each(|camera| send(camera, &units, None));
            let grown = live_bytes().saturating_sub(before) / CAMERAS;
            eprintln!("{codec:?} {fault:?}: {grown} bytes more in use for each camera");
            assert!(grown < PICTURE / 4, "{codec:?} {fault:?}: {grown} bytes more in use for each camera");
        }
    }
}
