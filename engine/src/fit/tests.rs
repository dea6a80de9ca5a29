//! Tests of fitting: closed forms, an independent reference in floating point, and FFmpeg's scaler.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;

use bytes::Bytes;

use super::*;
use crate::media::{
    Chroma, FitMode, FitSpec, FittedFrame, Frame, FrameMeta, Mask, PixelRect, Plane, Ratio, Region,
};

fn frame_of(width: u32, height: u32, luma: impl Fn(usize, usize) -> u8) -> Frame {
    let (w, h) = (width as usize, height as usize);
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let mut data: Vec<u8> =
        (0..h).flat_map(|y| (0..w).map(move |x| (x, y))).map(|(x, y)| luma(x, y)).collect();
    for plane in 1..3 {
        data.extend((0..cw * ch).map(|n| luma(n % cw + plane * 7, n / cw)));
    }
    Frame::packed_i420(width, height, data.into(), FrameMeta::default()).unwrap()
}

fn noise(width: u32, height: u32) -> Frame {
    frame_of(width, height, |x, y| {
        let v = (x as u32).wrapping_mul(2_654_435_761) ^ (y as u32).wrapping_mul(2_246_822_519);
        (v.wrapping_mul(3_266_489_917) >> 24) as u8
    })
}

fn with_aspect(frame: &Frame, num: u32, den: u32) -> Frame {
    let meta = FrameMeta { pixel_aspect: Ratio { num, den }, ..*frame.meta() };
    Frame::new(frame.width(), frame.height(), frame.chroma(), frame.planes().to_vec(), meta).unwrap()
}

fn as_nv12(frame: &Frame) -> Frame {
    let (cw, ch) = (frame.width().div_ceil(2) as usize, frame.height().div_ceil(2) as usize);
    let planes = frame.planes();
    let mut uv = Vec::new();
    for y in 0..ch {
        for (u, v) in planes[1].row(y, cw).iter().zip(planes[2].row(y, cw)) {
            uv.extend([*u, *v]);
        }
    }
    let uv = Plane { data: uv.into(), stride: 2 * cw };
    Frame::new(frame.width(), frame.height(), Chroma::Nv12, vec![planes[0].clone(), uv], *frame.meta())
        .unwrap()
}

fn fitted(frame: &Frame, spec: &FitSpec) -> FittedFrame {
    fit(frame, spec, &[], &mut Scratch::default())
}

fn stretched(frame: &Frame, width: u32, height: u32) -> Vec<u8> {
    let spec = FitSpec::whole(width, height, FitMode::Stretch);
    fitted(frame, &spec).frame.to_packed_i420()
}

/// Area average of one plane, in floating point, straight from the definition.
fn reference(
    plane: &[u8],
    w: usize,
    h: usize,
    from: (f64, f64),
    to: (f64, f64),
    out: (usize, usize),
) -> Vec<f64> {
    let share = |n: usize, a: f64, b: f64| ((n + 1) as f64).min(b) - (n as f64).max(a);
    let (sx, sy) = ((to.0 - from.0) / out.0 as f64, (to.1 - from.1) / out.1 as f64);
    let mut result = Vec::new();
    for j in 0..out.1 {
        let (top, bottom) = (from.1 + j as f64 * sy, from.1 + (j + 1) as f64 * sy);
        for i in 0..out.0 {
            let (left, right) = (from.0 + i as f64 * sx, from.0 + (i + 1) as f64 * sx);
            let mut sum = 0.0;
            for y in top.floor() as usize..(bottom.ceil() as usize).min(h) {
                for x in left.floor() as usize..(right.ceil() as usize).min(w) {
                    let area = share(x, left, right).max(0.0) * share(y, top, bottom).max(0.0);
                    sum += area * f64::from(plane[y * w + x]);
                }
            }
            result.push(sum / (sx * sy));
        }
    }
    result
}

#[test]
fn shrinking_is_the_area_average() {
    let mut checked = 0;
    for (w, h, ow, oh) in [
        (64, 64, 32, 32),
        (96, 60, 32, 20),
        (128, 96, 32, 24),
        (120, 120, 10, 12),
        (100, 60, 64, 40),
        (33, 17, 16, 8),
        (1921, 37, 640, 12),
        (200, 200, 2, 2),
        (640, 8, 480, 8),
        (66, 66, 66, 22),
        (1999, 3, 2, 2),
        (70, 90, 64, 88),
        (2000, 64, 500, 2),
    ] {
        let source = noise(w, h);
        let got = stretched(&source, ow, oh);
        let (w, h, ow, oh) = (w as usize, h as usize, ow as usize, oh as usize);
        let expected = reference(&source.planes()[0].data, w, h, (0.0, 0.0), (w as f64, h as f64), (ow, oh));
        for (got, expected) in got.iter().zip(&expected) {
            assert!(
                (f64::from(*got) - expected).abs() <= 0.52,
                "{w}x{h} to {ow}x{oh}: {got}, not {expected}"
            );
            checked += 1;
        }
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        let half = (w as f64 / 2.0, h as f64 / 2.0);
        if half.0 >= (ow / 2) as f64 && half.1 >= (oh / 2) as f64 {
            let expected = reference(&source.planes()[2].data, cw, ch, (0.0, 0.0), half, (ow / 2, oh / 2));
            for (got, expected) in got[ow * oh + ow * oh / 4..].iter().zip(&expected) {
                assert!((f64::from(*got) - expected).abs() <= 0.52, "chroma: {got}, not {expected}");
                checked += 1;
            }
        }
    }
    assert!(checked > 10_000);
}

#[test]
fn equal_sizes_are_copied_exactly() {
    let source = noise(62, 34);
    assert_eq!(stretched(&source, 62, 34), source.to_packed_i420());
    assert_eq!(stretched(&as_nv12(&source), 62, 34), source.to_packed_i420());
}

#[test]
fn constants_stay_constant_at_any_ratio() {
    for value in [0, 1, 16, 128, 235, 255] {
        for (w, h) in [(1, 1), (3, 5), (641, 359), (1920, 1080), (2, 3000)] {
            let source = Frame::filled(w, h, [value; 3], FrameMeta::default()).unwrap();
            for (ow, oh) in [(2, 2), (480, 270), (300, 202), (1000, 4)] {
                assert!(
                    stretched(&source, ow, oh).iter().all(|v| *v == value),
                    "{w}x{h} to {ow}x{oh}, {value}"
                );
            }
        }
    }
}

#[test]
fn checkerboards_become_grey_and_ramps_stay_ramps() {
    let board = frame_of(64, 64, |x, y| if (x + y) % 2 == 0 { 0 } else { 200 });
    assert!(stretched(&board, 32, 32)[..32 * 32].iter().all(|v| *v == 100));
    let ramp = frame_of(256, 16, |x, _| x as u8);
    let down = stretched(&ramp, 64, 16);
    assert!((0..64).all(|i| (i32::from(down[i]) - (4 * i as i32 + 2)).abs() <= 1));
    let up = stretched(&ramp, 512, 16);
    assert!((1..511).all(|i| (f64::from(up[i]) - (i as f64 / 2.0 - 0.25)).abs() <= 0.51));
}

#[test]
fn every_instruction_set_and_layout_gives_the_same_bytes() {
    let source = noise(642, 362);
    let interleaved = as_nv12(&source);
    let mut scratch = Scratch::default();
    for (w, h) in
        [(320, 180), (214, 120), (160, 90), (128, 72), (106, 60), (80, 44), (480, 270), (700, 400), (10, 8)]
    {
        let spec = FitSpec::whole(w, h, FitMode::Cover);
        let expected = fit_at(Level::Base, &source, &spec, &[], &mut scratch).frame.to_packed_i420();
        for level in Level::available() {
            for frame in [&source, &interleaved] {
                let got = fit_at(level, frame, &spec, &[], &mut scratch).frame.to_packed_i420();
                assert!(got == expected, "{level:?} {:?} at {w}x{h}", frame.chroma());
            }
        }
    }
}

#[test]
fn aspect_is_respected() {
    let placed = |frame: &Frame, mode, w, h| {
        let f = fitted(frame, &FitSpec::whole(w, h, mode));
        (f.x, f.y, f.frame.width(), f.frame.height())
    };
    let wide = noise(640, 360);
    assert_eq!(placed(&wide, FitMode::Contain, 480, 480), (0, 104, 480, 270));
    assert_eq!(placed(&wide, FitMode::Cover, 480, 480), (0, 0, 480, 480));
    assert_eq!(placed(&wide, FitMode::Stretch, 480, 480), (0, 0, 480, 480));
    assert_eq!(placed(&noise(480, 640), FitMode::Contain, 640, 360), (184, 0, 270, 360));
    // PAL, 16:11 pixels: 704x576 is shown as 1024x576.
    let pal = with_aspect(&noise(704, 576), 16, 11);
    assert_eq!(placed(&pal, FitMode::Contain, 512, 512), (0, 112, 512, 288));
    assert_eq!(
        fitted(&pal, &FitSpec::whole(512, 512, FitMode::Contain)).frame.meta().pixel_aspect,
        Ratio::ONE
    );
    // Nonsense is taken as square, and nothing is too small or too odd.
    assert_eq!(placed(&with_aspect(&wide, 0, 0), FitMode::Contain, 480, 480), (0, 104, 480, 270));
    assert_eq!(placed(&noise(1, 1), FitMode::Contain, 100, 50), (24, 0, 50, 50));
    assert_eq!(placed(&noise(4000, 1), FitMode::Contain, 100, 50), (0, 24, 100, 2));
    assert_eq!(placed(&wide, FitMode::Contain, 0, 3), (0, 0, 2, 2));
}

#[test]
fn cover_and_crop_show_the_right_part() {
    // Luma tells the column and the row.
    let source = frame_of(160, 120, |x, y| if x >= 80 { 200 } else { (y / 4) as u8 });
    let crop = Region { x: 0.5, y: 0.0, width: 0.5, height: 1.0 };
    let spec = FitSpec { crop, ..FitSpec::whole(80, 120, FitMode::Stretch) };
    assert!(fitted(&source, &spec).frame.planes()[0].data.iter().all(|v| *v == 200));
    // 160x120 covers 160x60: rows 30 to 89.
    let cover = fitted(&source, &FitSpec::whole(160, 60, FitMode::Cover));
    assert_eq!((cover.frame.planes()[0].data[0], cover.frame.planes()[0].data[59 * 160]), (30 / 4, 89 / 4));
    for nonsense in [[f32::NAN; 4], [2.0, -3.0, 0.0, f32::INFINITY], [1.0, 1.0, 0.0, 0.0]] {
        let [x, y, width, height] = nonsense;
        let spec =
            FitSpec { crop: Region { x, y, width, height }, ..FitSpec::whole(80, 60, FitMode::Contain) };
        let shown = fitted(&source, &spec).frame;
        assert!(shown.width() >= 2 && shown.height() >= 2);
    }
}

#[test]
fn adjacent_windows_join_without_a_seam() {
    let source = noise(641, 361);
    for (w, h, mode) in
        [(320, 180, FitMode::Stretch), (500, 300, FitMode::Contain), (900, 700, FitMode::Cover)]
    {
        let whole = fitted(&source, &FitSpec::whole(w, h, mode));
        let mut canvas = vec![0u8; (w * h) as usize];
        let paint = |f: &FittedFrame, window: &PixelRect, canvas: &mut [u8]| {
            let width = f.frame.width() as usize;
            for y in 0..f.frame.height() as usize {
                let at = (window.y as usize + f.y as usize + y) * w as usize + (window.x + f.x) as usize;
                canvas[at..at + width].copy_from_slice(f.frame.planes()[0].row(y, width));
            }
        };
        let mut expected = canvas.clone();
        paint(&whole, &PixelRect::new(0, 0, w, h), &mut expected);
        for window in [
            PixelRect::new(0, 0, 102, h),
            PixelRect::new(102, 0, w - 102, 58),
            PixelRect::new(102, 58, w - 102, h - 58),
        ] {
            let part = fitted(&source, &FitSpec { window, ..FitSpec::whole(w, h, mode) });
            assert!(
                part.x + part.frame.width() <= window.width && part.y + part.frame.height() <= window.height
            );
            paint(&part, &window, &mut canvas);
        }
        assert!(canvas == expected, "{w}x{h} {mode:?}");
    }
}

#[test]
fn a_window_of_bars_alone_is_black() {
    let spec =
        FitSpec { window: PixelRect::new(0, 0, 100, 20), ..FitSpec::whole(100, 100, FitMode::Contain) };
    let f = fitted(&noise(160, 90), &spec);
    assert_eq!(f.frame.to_packed_i420(), [16, 16, 16, 16, 128, 128]);
}

#[test]
fn nothing_of_a_masked_region_gets_out() {
    // Black but for the masked pixels: whatever is not black in the result has leaked.
    for (w, h) in [(160, 90), (161, 91), (64, 48)] {
        for region in
            [[0.25, 0.25, 0.5, 0.5], [0.301, 0.107, 0.013, 0.4], [0.0, 0.9, 1.0, 0.1], [0.77, 0.0, 9.0, 0.2]]
        {
            let [x, y, width, height] = region;
            let mask = Mask(Region { x, y, width, height });
            let inside = |at: f32, len: f32, n: usize, of: u32| {
                let (from, to) = (f64::from(at) * f64::from(of), f64::from(at + len) * f64::from(of));
                (n + 1) as f64 > from && (n as f64) < to
            };
            let secret = |px: usize, py: usize| inside(x, width, px, w) && inside(y, height, py, h);
            let (cw, ch) = (w.div_ceil(2) as usize, h.div_ceil(2) as usize);
            let mut data: Vec<u8> = (0..(w * h) as usize)
                .map(|n| if secret(n % w as usize, n / w as usize) { 255 } else { 16 })
                .collect();
            for _ in 0..2 {
                data.extend((0..cw * ch).map(|n| {
                    let (cx, cy) = (n % cw * 2, n / cw * 2);
                    let any = (0..4).any(|k| secret(cx + k % 2, cy + k / 2));
                    if any { 255 } else { 128 }
                }));
            }
            let source = Frame::packed_i420(w, h, data.into(), FrameMeta::default()).unwrap();
            for (tw, th) in [(w & !1, h & !1), (80, 44), (40, 22), (54, 30), (320, 180), (500, 222), (2, 2)] {
                for mode in [FitMode::Contain, FitMode::Cover, FitMode::Stretch] {
                    let window = PixelRect::new(tw / 4, 0, tw, th);
                    for spec in
                        [FitSpec::whole(tw, th, mode), FitSpec { window, ..FitSpec::whole(tw, th, mode) }]
                    {
                        let out = fit(&source, &spec, &[mask], &mut Scratch::default()).frame;
                        let bytes = out.to_packed_i420();
                        let luma = (out.width() * out.height()) as usize;
                        let black =
                            bytes[..luma].iter().all(|v| *v == 16) && bytes[luma..].iter().all(|v| *v == 128);
                        assert!(black, "{w}x{h} in {tw}x{th} {mode:?}, mask {region:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_mask_hides_little_more_than_it_must() {
    let source = Frame::filled(1920, 1080, [200, 90, 90], FrameMeta::default()).unwrap();
    let mask = Mask(Region { x: 0.25, y: 0.25, width: 0.5, height: 0.5 });
    let out = fit(&source, &FitSpec::whole(480, 270, FitMode::Contain), &[mask], &mut Scratch::default());
    let hidden = out.frame.planes()[0].data.iter().filter(|v| **v == 16).count();
    assert!((240 * 135..=244 * 139).contains(&hidden), "{hidden} pixels");
    let full = with_full_range(&source);
    let out = fit(&full, &FitSpec::whole(480, 270, FitMode::Contain), &[mask], &mut Scratch::default());
    assert_eq!(out.frame.planes()[0].row(135, 480)[240], 0, "black of full range");
}

fn with_full_range(frame: &Frame) -> Frame {
    let mut meta = *frame.meta();
    meta.color.range = crate::media::Range::Full;
    Frame::new(frame.width(), frame.height(), frame.chroma(), frame.planes().to_vec(), meta).unwrap()
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    if sum == 0.0 { f64::INFINITY } else { 10.0 * (255.0 * 255.0 * a.len() as f64 / sum).log10() }
}

/// One raw picture of a clip, scaled by ffmpeg where `filter` says so.
fn raw(clip: &Path, filter: &str) -> Option<Vec<u8>> {
    let ran = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(clip)
        .args([
            "-vf",
            filter,
            "-sws_flags",
            "area",
            "-frames:v",
            "1",
            "-pix_fmt",
            "yuv420p",
            "-f",
            "rawvideo",
            "-",
        ])
        .output();
    ran.ok().filter(|r| r.status.success()).map(|r| r.stdout)
}

#[test]
fn real_footage_agrees_with_the_area_scaler_of_ffmpeg() {
    let clip =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/footage/dvrscan_traffic_camera.mp4");
    if !clip.exists() {
        println!("skipped: {} is not there", clip.display());
        return;
    }
    let Some(source) = raw(&clip, "select=eq(n\\,100)") else {
        println!("skipped: ffmpeg did not work");
        return;
    };
    let source = Frame::packed_i420(1280, 720, Bytes::from(source), FrameMeta::default()).unwrap();
    for (w, h) in
        [(640, 360), (480, 270), (426, 240), (320, 180), (214, 120), (160, 90), (960, 540), (96, 54)]
    {
        let ours = stretched(&source, w, h);
        let filter = format!("select=eq(n\\,100),scale={w}:{h}:flags=area+accurate_rnd+full_chroma_int");
        let theirs = raw(&clip, &filter).expect("ffmpeg scales");
        let n = (w * h) as usize;
        let (luma, chroma) = (psnr(&ours[..n], &theirs[..n]), psnr(&ours[n..], &theirs[n..]));
        println!("{w}x{h}: luma {luma:.1} dB, chroma {chroma:.1} dB");
        assert!(luma >= 40.0 && chroma >= 40.0, "{w}x{h}: luma {luma:.1} dB, chroma {chroma:.1} dB");
    }
}

/// Every luma picture of `filter` over real footage, after a camera's encoder.
fn through_an_encoder(clip: &Path, filter: &str, kbps: u32) -> Option<Vec<Frame>> {
    let folder = tempfile::tempdir().unwrap();
    let (coded, rate) = (folder.path().join("coded.h264"), format!("{kbps}k"));
    let ran = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(clip)
        .args([
            "-vf",
            filter,
            "-frames:v",
            "100",
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
        ])
        .args(["-bf", "0", "-g", "25", "-b:v", &rate, "-maxrate", &rate, "-bufsize", &rate])
        .arg(&coded)
        .status();
    if !ran.is_ok_and(|status| status.success()) {
        return None;
    }
    let out = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(&coded)
        .args(["-pix_fmt", "yuv420p", "-f", "rawvideo", "-"])
        .output()
        .ok()?;
    let picture = 640 * 360 * 3 / 2;
    let frame =
        |data: &[u8]| Frame::packed_i420(640, 360, Bytes::copy_from_slice(data), FrameMeta::default());
    out.stdout.chunks_exact(picture).map(frame).collect()
}

#[test]
fn a_frozen_camera_is_told_from_a_live_one_after_an_encoder() {
    let clip =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/footage/dvrscan_traffic_camera.mp4");
    if !clip.exists() {
        println!("skipped: {} is not there", clip.display());
        return;
    }
    for kbps in [150, 400, 1500] {
        let frozen = "select=eq(n\\,100),loop=loop=99:size=1:start=0,setpts=N/25/TB,scale=640:360";
        let changes = |filter: &str| {
            let frames = through_an_encoder(&clip, filter, kbps)?;
            let mut detector = change::ChangeDetector::default();
            let changes = frames.iter().filter(|frame| detector.changed(frame)).count();
            Some((frames.len(), changes))
        };
        let (Some(frozen), Some(live)) = (changes(frozen), changes("scale=640:360")) else {
            println!("skipped: ffmpeg did not work");
            return;
        };
        println!("{kbps} kb/s: frozen {frozen:?}, live {live:?}");
        assert_eq!(frozen.0, 100);
        // The first picture counts; rate control may need a second to settle after it.
        assert!(frozen.1 <= 3, "{kbps} kb/s: {frozen:?}");
        assert!(live.1 >= 20, "{kbps} kb/s: {live:?}");
    }
}
