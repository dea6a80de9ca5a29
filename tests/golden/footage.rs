//! Mosaics of real footage, against FFmpeg's scaler.

use std::path::{Path, PathBuf};
use std::process::Command;

use vitrail_engine::composite::{CompositePlan, Draw};
use vitrail_engine::media::{Chroma, Colorimetry, Frame, FrameMeta, Matrix, PixelRect, Range};

use crate::check;
use crate::compare::{Picture, Tolerance};
use crate::scenes::{COLORIMETRIES, frame_of};

/// Clips with their picture sizes.
const CLIPS: [(&str, u32, u32); 8] = [
    ("dvrscan_traffic_camera.mp4", 1280, 720),
    ("intel_car-detection.mp4", 768, 432),
    ("opencv_vtest.avi", 768, 576),
    ("iacv_svincolo.mp4", 640, 360),
    ("ahmetozlu_input_video.mp4", 640, 352),
    ("iacv_nighttraffic.mp4", 352, 288),
    ("kvs_h265_640x360.h265", 640, 360),
    ("bgslibrary_video03.avi", 320, 240),
];

fn footage() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/footage");
    if !dir.is_dir() {
        println!("skipped: no footage in ../shared/data/footage");
        return None;
    }
    Some(dir)
}

/// What FFmpeg writes to standard output.
fn ffmpeg(input: &[&str], filter: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin"])
        .args(input)
        .args(["-vf", filter, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A raw picture in a file, as FFmpeg's input.
fn raw<'a>(file: &'a Path, size: &'a str) -> [&'a str; 8] {
    ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-i", file.to_str().unwrap()]
}

fn paste(canvas: &mut Picture, tile: &Picture, x: u32, y: u32) {
    for (plane, sub) in [(0, 1), (1, 2), (2, 2)] {
        let (w, stride) = ((tile.width / sub) as usize, (canvas.width / sub) as usize);
        for row in 0..(tile.height / sub) as usize {
            let to = ((y / sub) as usize + row) * stride + (x / sub) as usize;
            canvas.planes[plane][to..to + w].copy_from_slice(&tile.planes[plane][row * w..][..w]);
        }
    }
}

#[test]
fn a_mosaic_of_real_footage_is_what_ffmpeg_scales() {
    let Some(dir) = footage() else { return };
    let scratch = tempfile::tempdir().unwrap();
    // 236x132 shares no factor with most of the clips: fractional weights everywhere.
    let (tile_w, tile_h) = (236, 132);
    let (width, height) = (4 * tile_w, 4 * tile_h);
    let mut want = Picture::filled(width, height, [16, 128, 128]);
    let mut draws = Vec::new();
    for n in 0..16u32 {
        let (clip, w, h) = CLIPS[n as usize % CLIPS.len()];
        let file = dir.join(clip);
        let select = format!("select=gte(n\\,{}),scale=flags=neighbor", 3 + n);
        let bytes = ffmpeg(&["-i", file.to_str().unwrap()], &select);
        let source = scratch.path().join(format!("{n}.yuv"));
        std::fs::write(&source, &bytes).unwrap();
        let scale = format!("scale={tile_w}:{tile_h}:flags=area+accurate_rnd+bitexact:sws_dither=none");
        let tile = ffmpeg(&raw(&source, &format!("{w}x{h}")), &scale);
        let (x, y) = (n % 4 * tile_w, n / 4 * tile_h);
        paste(&mut want, &Picture::from_packed(tile_w, tile_h, &tile), x, y);
        let frame = Frame::packed_i420(w, h, bytes.into(), FrameMeta::default()).unwrap();
        draws.push(Draw::Picture { frame, dest: PixelRect::new(x, y, tile_w, tile_h) });
    }
    let damage = vec![PixelRect::new(0, 0, width, height)];
    // FFmpeg's weights are rounded to 14 bits, and it rounds between the axes.
    let reference = Tolerance { max_diff: 2, min_psnr: 52.0, max_bias: 0.25 };
    check("mosaic", &[CompositePlan { width, height, draws, damage }], &want, Some(reference));
}

#[test]
fn conversions_are_ffmpeg_s() {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        println!("skipped: no ffmpeg");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let (width, height) = (160, 96);
    for color in COLORIMETRIES {
        // Slow ramps within the gamut: FFmpeg interpolates chroma between samples, the canvas does not.
        let frame = frame_of((width, height), Chroma::I420, 0, color, |plane, x, y| match plane {
            0 => (90 + x / 4 + y / 4) as u8,
            1 => (110 + x / 2) as u8,
            _ => (150 - y / 2) as u8,
        });
        let source = scratch.path().join("ramp.yuv");
        std::fs::write(&source, frame.to_packed_i420()).unwrap();
        let matrix = match color.matrix {
            Matrix::Bt601 => "bt601",
            Matrix::Bt709 => "bt709",
            Matrix::Bt2020 => "bt2020",
        };
        let range = if color.range == Range::Full { "pc" } else { "tv" };
        let filter = format!(
            "scale=in_color_matrix={matrix}:in_range={range}:out_color_matrix=bt709:out_range=tv\
             :flags=bilinear+accurate_rnd+full_chroma_int+full_chroma_inp:sws_dither=none"
        );
        let bytes = ffmpeg(&raw(&source, &format!("{width}x{height}")), &filter);
        let want = Picture::from_packed(width, height, &bytes);
        if color != Colorimetry::default() {
            assert_ne!(want, Picture::of(&frame), "FFmpeg converted nothing");
        }
        let damage = vec![PixelRect::new(0, 0, width, height)];
        let draws = vec![Draw::Picture { frame, dest: damage[0] }];
        // FFmpeg goes through R'G'B' with chroma of full resolution.
        let reference = Tolerance { max_diff: 3, min_psnr: 46.0, max_bias: 0.6 };
        let plan = CompositePlan { width, height, draws, damage };
        check(&format!("FFmpeg {color:?}"), &[plan], &want, Some(reference));
    }
}
