//! The editor and the scaler as a whole, against FFmpeg's command line doing the same.

mod geometry;
mod paint;

use std::path::{Path, PathBuf};
use std::process::Command;

use ff::color;
use ff::format::Pixel;

use super::frame_ffi::{read_row, set_pixel_aspect};
use super::*;

const MS: ff::Rational = ff::Rational(1, 1000);

/// A file that FFmpeg makes in `folder`.
fn made(folder: &Path, name: &str, args: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let status = Command::new("ffmpeg").args(["-v", "error", "-y"]).args(args).arg(&file).status();
    assert!(status.expect("ffmpeg is installed").success(), "{args:?}");
    file
}

/// A short clip of FFmpeg's moving test card.
fn clip(folder: &Path, name: &str, size: &str, args: &[&str]) -> PathBuf {
    let source = format!("testsrc2=size={size}:rate=25:duration=0.4");
    let mut all = vec!["-f", "lavfi", "-i", &source];
    all.extend(args);
    made(folder, name, &all)
}

/// All pictures of a file, in order.
fn decoded(file: &Path) -> Vec<Video> {
    let mut input = ff::format::input(file).expect("a file");
    let stream = input.streams().best(ff::media::Type::Video).expect("video");
    let (index, parameters) = (stream.index(), stream.parameters());
    let context = ff::codec::Context::from_parameters(parameters).expect("parameters");
    let mut decoder = context.decoder().video().expect("a decoder");
    let mut frames = Vec::new();
    let take = |decoder: &mut ff::decoder::Video, frames: &mut Vec<Video>| {
        let mut frame = Video::empty();
        while decoder.receive_frame(&mut frame).is_ok() {
            let pts = frame.timestamp();
            frame.set_pts(pts);
            frames.push(std::mem::replace(&mut frame, Video::empty()));
        }
    };
    let packets: Vec<_> = input.packets().filter(|(s, _)| s.index() == index).map(|(_, p)| p).collect();
    for packet in packets {
        decoder.send_packet(&packet).expect("a packet");
        take(&mut decoder, &mut frames);
    }
    decoder.send_eof().expect("the end");
    take(&mut decoder, &mut frames);
    assert!(!frames.is_empty());
    frames
}

/// The samples of planar 4:2:0 pictures, as FFmpeg's rawvideo has them.
fn bytes<'a>(frames: impl IntoIterator<Item = &'a Video>) -> Vec<u8> {
    let mut all = Vec::new();
    for frame in frames {
        for plane in 0..3 {
            let lines = if plane == 0 { frame.height() } else { frame.height().div_ceil(2) };
            (0..lines as usize).for_each(|y| all.extend_from_slice(read_row(frame, plane, y)));
        }
    }
    all
}

/// What FFmpeg's command line makes of a file with these filters.
fn by_ffmpeg(file: &Path, filters: &str, pixel: &str) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-noautorotate", "-vsync", "passthrough", "-i"]).arg(file);
    if !filters.is_empty() {
        command.args(["-vf", filters]);
    }
    let output =
        command.args(["-f", "rawvideo", "-pix_fmt", pixel, "-"]).output().expect("ffmpeg is installed");
    assert!(output.status.success(), "{filters}");
    output.stdout
}

/// The largest difference of two pictures' samples, or their lengths where those differ.
fn difference(ours: &[u8], theirs: &[u8]) -> Result<u8, (usize, usize)> {
    if ours.len() != theirs.len() {
        return Err((ours.len(), theirs.len()));
    }
    Ok(ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0))
}

/// All pictures through an editor, which must keep their number, times and its own promise.
fn edited(edit: &EditSpec, upright: Orientation, frames: Vec<Video>) -> (Vec<Video>, PictureFormat) {
    let times: Vec<_> = frames.iter().map(|frame| frame.pts()).collect();
    let mut editor = Editor::new(edit, upright, &PictureFormat::of(&frames[0]), MS).expect("an editor");
    let mut out = Vec::new();
    let mut keep = |frame| {
        out.push(frame);
        Ok(())
    };
    for frame in frames.into_iter().map(Some).chain([None]) {
        editor.push(frame, &mut keep).expect("a picture");
    }
    let format = editor.output().clone();
    assert_eq!(out.iter().map(|frame| frame.pts()).collect::<Vec<_>>(), times);
    for frame in &out {
        assert_eq!(PictureFormat::of(frame), format);
    }
    (out, format)
}

fn cropped(x: u32, y: u32, width: u32, height: u32) -> EditSpec {
    EditSpec { crop: Some(CropRect { x, y, width, height }), ..EditSpec::default() }
}
