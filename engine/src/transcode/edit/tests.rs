//! The editor and the scaler as a whole, against FFmpeg's command line doing the same.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ff::color;
use ff::format::Pixel;
use proptest::prelude::*;

use super::frame_ffi::{read_row, set_interlaced, set_pixel_aspect};
use super::*;
use crate::source::testing::shared;
use crate::transcode::spec::{Corner, Label, Mask, MaskStyle, SizeSpec, TimeCode, TimeCodeStart, Watermark};

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
fn edited(edit: &EditSpec, turn: i32, frames: Vec<Video>) -> (Vec<Video>, PictureFormat) {
    let times: Vec<_> = frames.iter().map(|frame| frame.pts()).collect();
    let mut editor = Editor::new(edit, turn, &PictureFormat::of(&frames[0]), MS).expect("an editor");
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

#[test]
fn where_nothing_is_asked_the_same_picture_comes_out() {
    for pixel in [Pixel::YUV420P, Pixel::YUVJ420P, Pixel::YUV420P10LE] {
        let frame = Video::new(pixel, 64, 48);
        let before = frame.data(0).as_ptr();
        let mut editor =
            Editor::new(&EditSpec::default(), 0, &PictureFormat::of(&frame), MS).expect("an editor");
        assert!(!editor.needs_neighbours());
        let mut scaler = Scaler::new(editor.output(), SizeSpec::Keep).expect("a scaler");
        let mut out = None;
        editor
            .push(Some(frame), &mut |frame| {
                out = Some(frame);
                Ok(())
            })
            .expect("a picture");
        let frame = out.expect("it comes out at once");
        assert_eq!(frame.data(0).as_ptr(), before, "{pixel:?} was copied");
        let scaled = scaler.scale(&frame).expect("a picture");
        assert_eq!(scaled.data(0).as_ptr(), before, "{pixel:?} was copied");
    }
}

#[test]
fn turns_and_crops_are_those_of_ffmpeg_bit_by_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = clip(folder.path(), "a.mp4", "322x182", &["-pix_fmt", "yuv420p"]);
    let rotated = |rotate| EditSpec { rotate, ..EditSpec::default() };
    for (edit, turn, filters) in [
        (rotated(Rotation::Right), 0, "transpose=clock"),
        (EditSpec::default(), 90, "transpose=clock"),
        (rotated(Rotation::Half), 0, "hflip,vflip"),
        (rotated(Rotation::Half), -90, "transpose=clock"),
        (rotated(Rotation::Left), 0, "transpose=cclock"),
        (cropped(10, 20, 100, 80), 0, "crop=100:80:10:20"),
        (cropped(11, 21, 101, 81), 0, "crop=100:80:10:20"),
        (cropped(10, 20, 100, 80), 270, "transpose=cclock,crop=100:80:10:20"),
        (cropped(10, 20, 100, 80), 180, "hflip,vflip,crop=100:80:10:20"),
    ] {
        let (out, _) = edited(&edit, turn, decoded(&file));
        assert_eq!(difference(&bytes(&out), &by_ffmpeg(&file, filters, "yuv420p")), Ok(0), "{filters}");
    }
    // The comparison sees a turn the other way, and a crop that is off.
    let (out, _) = edited(&EditSpec::default(), 90, decoded(&file));
    assert_ne!(difference(&bytes(&out), &by_ffmpeg(&file, "transpose=cclock", "yuv420p")), Ok(0));
    let (out, _) = edited(&cropped(10, 20, 100, 80), 0, decoded(&file));
    assert_ne!(difference(&bytes(&out), &by_ffmpeg(&file, "crop=100:80:12:20", "yuv420p")), Ok(0));
}

#[test]
fn a_turn_turns_the_shape_of_pixels_too() {
    let mut frame = Video::new(Pixel::YUV420P, 720, 576);
    set_pixel_aspect(&mut frame, Ratio { num: 16, den: 15 });
    let (_, format) = edited(&EditSpec::default(), 90, vec![frame]);
    assert_eq!((format.width, format.height), (576, 720));
    assert_eq!(format.pixel_aspect, Ratio { num: 15, den: 16 });
    assert_eq!(format.space, color::Space::SMPTE170M, "it was guessed before the turn");
}

#[test]
fn wrong_turns_and_crops_are_refused() {
    let format = PictureFormat::of(&Video::new(Pixel::YUV420P, 64, 48));
    let refused = |edit: &EditSpec, turn| Editor::new(edit, turn, &format, MS).expect_err("refused");
    assert_eq!(refused(&EditSpec::default(), 45).subject(), "rotate");
    assert_eq!(refused(&cropped(0, 0, 64, 50), 0).subject(), "crop");
    assert_eq!(refused(&cropped(u32::MAX - 1, 0, 64, 48), 0).subject(), "crop");
    assert_eq!(refused(&cropped(0, 0, 64, 48), 90).subject(), "crop");
}

/// Each layout becomes the 4:2:0 that FFmpeg makes of it, in the same range.
#[test]
fn other_layouts_become_420_with_the_right_colours() {
    let folder = tempfile::tempdir().expect("a folder");
    for (pixel, want, filters) in [
        ("yuv422p", "yuv420p", ""),
        ("yuv444p", "yuv420p", ""),
        ("yuv420p10le", "yuv420p10le", ""),
        ("yuv422p10le", "yuv420p10le", ""),
        ("yuv444p12le", "yuv420p10le", ""),
        ("gbrp", "yuv420p", "scale=out_color_matrix=bt601:out_range=tv"),
        ("bgra", "yuv420p", "scale=out_color_matrix=bt601:out_range=tv"),
        ("nv12", "yuv420p", ""),
        ("uyvy422", "yuv420p", ""),
    ] {
        let codec = if pixel == "nv12" || pixel == "uyvy422" { "rawvideo" } else { "ffv1" };
        let file = clip(folder.path(), "a.nut", "160x90", &["-c:v", codec, "-pix_fmt", pixel]);
        let (out, format) = edited(&EditSpec::default(), 0, decoded(&file));
        assert_eq!(format.pixel.descriptor().expect("known").name(), want);
        assert_eq!(difference(&bytes(&out), &by_ffmpeg(&file, filters, want)), Ok(0), "{pixel}");
    }
}

#[test]
fn full_range_stays_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let jpeg = ["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj422p"];
    let file = clip(folder.path(), "a.avi", "160x90", &jpeg);
    let (out, format) = edited(&EditSpec::default(), 0, decoded(&file));
    assert_eq!((format.pixel, format.range), (Pixel::YUV420P, color::Range::JPEG));
    assert_eq!(difference(&bytes(&out), &by_ffmpeg(&file, "", "yuvj420p")), Ok(0));
    let mut scaler = Scaler::new(&format, SizeSpec::Height(60)).expect("a scaler");
    let scaled: Vec<_> = out.iter().map(|frame| scaler.scale(frame).expect("a picture")).collect();
    let theirs = by_ffmpeg(&file, "format=yuvj420p,scale=106:60", "yuvj420p");
    assert_eq!(difference(&bytes(&scaled), &theirs), Ok(0));
    assert_eq!(PictureFormat::of(&scaled[0]), *scaler.output());
}

#[test]
fn luma_alone_keeps_its_values() {
    for range in [color::Range::Unspecified, color::Range::MPEG, color::Range::JPEG] {
        let mut frame = Video::new(Pixel::GRAY8, 32, 16);
        frame.set_color_range(range);
        frame.data_mut(0).iter_mut().enumerate().for_each(|(i, sample)| *sample = i as u8);
        let want: Vec<u8> =
            (0..16).flat_map(|y| frame.data(0)[y * frame.stride(0)..][..32].to_vec()).collect();
        frame.set_pts(Some(0));
        let (out, format) = edited(&EditSpec::default(), 0, vec![frame]);
        assert_eq!((format.pixel, format.range), (Pixel::YUV420P, range));
        let got = bytes(&out);
        assert_eq!(got[..512], want, "{range:?}");
        assert!(got[512..].iter().all(|sample| *sample == 128));
    }
}

/// Interlaced, top field first.
fn interlaced(folder: &Path) -> PathBuf {
    let args =
        ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-c:v", "libx264", "-flags", "+ildct+ilme"];
    let more = ["-pix_fmt", "yuv420p", "-preset", "ultrafast", "-qp", "10"];
    clip(folder, "fields.mkv", "320x176", &[&args[..], &more].concat())
}

#[test]
fn fields_become_pictures_as_ffmpeg_makes_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = interlaced(folder.path());
    let frames = decoded(&file);
    assert!(frames.iter().all(|frame| frame.is_interlaced()));
    let format = PictureFormat::of(&frames[0]);
    assert!(format.interlaced);
    let auto = EditSpec::default();
    assert!(Editor::new(&auto, 0, &format, MS).expect("an editor").needs_neighbours());
    let (out, to) = edited(&auto, 0, frames);
    assert!(!to.interlaced);
    let theirs = by_ffmpeg(&file, "bwdif=mode=send_frame:deint=interlaced", "yuv420p");
    assert_eq!(difference(&bytes(&out), &theirs), Ok(0));
    assert_ne!(difference(&bytes(&out), &by_ffmpeg(&file, "", "yuv420p")), Ok(0));

    let never = EditSpec { deinterlace: Deinterlace::Never, ..EditSpec::default() };
    let (out, to) = edited(&never, 0, decoded(&file));
    assert!(to.interlaced);
    assert_eq!(difference(&bytes(&out), &by_ffmpeg(&file, "", "yuv420p")), Ok(0));

    let plain = clip(folder.path(), "plain.mp4", "320x176", &["-pix_fmt", "yuv420p"]);
    let always = EditSpec { deinterlace: Deinterlace::Always, ..EditSpec::default() };
    let (out, _) = edited(&always, 0, decoded(&plain));
    let theirs = by_ffmpeg(&plain, "bwdif=mode=send_frame:deint=all", "yuv420p");
    assert_eq!(difference(&bytes(&out), &theirs), Ok(0));
    let (out, _) = edited(&auto, 0, decoded(&plain));
    assert_eq!(difference(&bytes(&out), &by_ffmpeg(&plain, "", "yuv420p")), Ok(0));
}

#[test]
fn a_stream_that_turns_interlaced_is_deinterlaced_from_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let frames: Vec<_> = decoded(&interlaced(folder.path()))
        .into_iter()
        .enumerate()
        .map(|(i, mut frame)| {
            set_interlaced(&mut frame, i >= 2);
            frame
        })
        .collect();
    let before: Vec<_> = frames.iter().map(|frame| bytes([frame])).collect();
    let (out, _) = edited(&EditSpec::default(), 0, frames);
    for (i, frame) in out.iter().enumerate() {
        assert_eq!(bytes([frame]) == before[i], i < 2, "picture {i}");
    }
}

#[test]
fn scaling_is_that_of_ffmpeg_bit_by_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    for pixel in ["yuv420p", "yuv420p10le"] {
        let file = clip(folder.path(), "a.nut", "640x360", &["-c:v", "ffv1", "-pix_fmt", pixel]);
        let frames = decoded(&file);
        for (size, filters) in [
            (SizeSpec::Height(180), "scale=320:180"),
            (SizeSpec::Height(240), "scale=-2:240"),
            (SizeSpec::Width(428), "scale=428:-2"),
            (SizeSpec::Height(720), "scale=1280:720"),
            (SizeSpec::Within(200, 200), "scale=200:112"),
            (SizeSpec::Stretch(200, 200), "scale=200:200"),
            (SizeSpec::Pad(200, 200), "scale=200:112,pad=200:200:0:44:black"),
            (SizeSpec::Fill(200, 200), "crop=360:360:140:0,scale=200:200"),
        ] {
            let mut scaler = Scaler::new(&PictureFormat::of(&frames[0]), size).expect("a scaler");
            let scaled: Vec<_> = frames.iter().map(|frame| scaler.scale(frame).expect("a picture")).collect();
            assert!(scaled.iter().all(|frame| PictureFormat::of(frame) == *scaler.output()));
            assert!(scaled.iter().zip(&frames).all(|(a, b)| a.pts() == b.pts()));
            assert_eq!(difference(&bytes(&scaled), &by_ffmpeg(&file, filters, pixel)), Ok(0), "{filters}");
        }
        let mut scaler =
            Scaler::new(&PictureFormat::of(&frames[0]), SizeSpec::Height(180)).expect("a scaler");
        let scaled: Vec<_> = frames.iter().map(|frame| scaler.scale(frame).expect("a picture")).collect();
        let bilinear = by_ffmpeg(&file, "scale=320:180:flags=bilinear", pixel);
        assert_ne!(difference(&bytes(&scaled), &bilinear), Ok(0), "the comparison must see another filter");
    }
}

#[test]
fn bars_are_black_in_full_range() {
    let mut frame = Video::new(Pixel::YUVJ420P, 64, 16);
    (0..3).for_each(|plane| frame.data_mut(plane).fill(99));
    let (out, format) = edited(&EditSpec::default(), 0, vec![frame]);
    let mut scaler = Scaler::new(&format, SizeSpec::Pad(64, 64)).expect("a scaler");
    let padded = scaler.scale(&out[0]).expect("a picture");
    for y in 0..64 {
        let want = if (24..40).contains(&y) { 99 } else { 0 };
        assert!(read_row(&padded, 0, y).iter().all(|sample| *sample == want), "line {y}");
        let want = if (24..40).contains(&y) { 99 } else { 128 };
        assert!(read_row(&padded, 1, y / 2).iter().all(|sample| *sample == want), "line {y}");
    }
}

#[test]
fn an_odd_edge_is_left_out_and_one_pixel_becomes_four() {
    let mut frame = Video::new(Pixel::YUV420P, 33, 17);
    (0..3).for_each(|plane| frame.data_mut(plane).iter_mut().enumerate().for_each(|(i, s)| *s = i as u8));
    let mut scaler = Scaler::new(&PictureFormat::of(&frame), SizeSpec::Keep).expect("a scaler");
    let even = scaler.scale(&frame).expect("a picture");
    assert_eq!((even.width(), even.height()), (32, 16));
    (0..16).for_each(|y| assert_eq!(read_row(&even, 0, y), &read_row(&frame, 0, y)[..32]));
    let mut dot = Video::new(Pixel::YUV420P, 1, 1);
    (0..3).for_each(|plane| dot.data_mut(plane).fill(77));
    let mut scaler = Scaler::new(&PictureFormat::of(&dot), SizeSpec::Keep).expect("a scaler");
    let even = scaler.scale(&dot).expect("a picture");
    assert_eq!(bytes([&even]), [77; 6]);
}

#[test]
fn pictures_of_another_size_or_layout_are_brought_to_the_first() {
    let Some(file) = shared("robustness/openh264_Error_I_P.264") else { return };
    let frames = decoded(&file);
    let sizes: std::collections::BTreeSet<_> = frames.iter().map(|frame| frame.width()).collect();
    assert!(sizes.len() > 1, "the clip changes its size: {sizes:?}");
    let (out, format) = edited(&cropped(0, 0, 100, 100), 90, frames);
    assert_eq!((format.width, format.height), (100, 100));
    assert!(out.len() > 1);

    let mut frames = vec![Video::new(Pixel::YUV420P, 64, 48), Video::new(Pixel::YUVJ444P, 64, 48)];
    frames.push(Video::new(Pixel::RGB24, 32, 32));
    frames.push(Video::new(Pixel::YUV420P10LE, 64, 48));
    for (i, frame) in frames.iter_mut().enumerate() {
        let planes = if i == 2 { 1 } else { 3 };
        (0..planes).for_each(|plane| frame.data_mut(plane).fill(128));
        frame.set_pts(Some(i as i64));
    }
    frames[3].data_mut(0).chunks_exact_mut(2).for_each(|s| s.copy_from_slice(&512_u16.to_le_bytes()));
    frames[3].data_mut(1).chunks_exact_mut(2).for_each(|s| s.copy_from_slice(&512_u16.to_le_bytes()));
    frames[3].data_mut(2).chunks_exact_mut(2).for_each(|s| s.copy_from_slice(&512_u16.to_le_bytes()));
    let (out, _) = edited(&EditSpec::default(), 0, frames);
    // Grey 128 of full range is 126 in limited range: 16 + 128 * 219 / 255.
    for (frame, want) in out.iter().zip([128, 126, 126, 128]) {
        let luma = read_row(frame, 0, 20)[20];
        assert!(luma.abs_diff(want) <= 1, "{luma} instead of {want}");
        assert!(read_row(frame, 1, 10)[10].abs_diff(128) <= 1);
    }
}

fn noisy(pixel: Pixel, width: u32, height: u32) -> Video {
    let mut frame = Video::new(pixel, width, height);
    for plane in 0..3 {
        for (i, sample) in frame.data_mut(plane).iter_mut().enumerate() {
            *sample = 60 + ((i * 2_654_435_761) >> 7) as u8 % 60;
        }
    }
    frame.set_pts(Some(0));
    frame
}

fn masked(polygon: Vec<(f64, f64)>, style: MaskStyle) -> EditSpec {
    EditSpec { masks: vec![Mask { polygon, style, from: None, to: None }], ..EditSpec::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_pixel_of_a_mask_keeps_its_value_whatever_is_turned_or_cropped(
        polygon in prop::collection::vec((0.0..=1.0, 0.0..=1.0), 3..7),
        turn in 0..4_i32,
        crop in any::<bool>(),
        full in any::<bool>(),
        (width, height) in (30_u32..80, 30_u32..80),
    ) {
        let pixel = if full { Pixel::YUVJ420P } else { Pixel::YUV420P };
        let mut edit = masked(polygon.clone(), MaskStyle::Black);
        if crop {
            edit.crop = Some(CropRect { x: 4, y: 2, width: 24, height: 20 });
        }
        let (out, _) = edited(&edit, turn * 90, vec![noisy(pixel, width, height)]);
        let (width, height) = (out[0].width() as usize, out[0].height() as usize);
        let black = if full { 0 } else { 16 };
        let spans = mask::touched(&polygon, (width, height));
        let inside = |x: usize, y: usize| spans.iter().any(|s| s.y == y && s.from <= x && x < s.to);
        for y in 0..height {
            for x in 0..width {
                let sample = read_row(&out[0], 0, y)[x];
                prop_assert_eq!(sample == black, inside(x, y), "{}, {}: {}", x, y, sample);
                if inside(x, y) {
                    prop_assert_eq!(read_row(&out[0], 1, y / 2)[x / 2], 128);
                    prop_assert_eq!(read_row(&out[0], 2, y / 2)[x / 2], 128);
                }
            }
        }
    }

    #[test]
    fn a_mosaic_leaves_one_colour_in_each_large_block(
        polygon in prop::collection::vec((0.0..=1.0, 0.0..=1.0), 3..7),
        (width, height) in (64_u32..200, 64_u32..200),
    ) {
        let frame = noisy(Pixel::YUV420P, width, height);
        let before = bytes([&frame]);
        let (out, _) = edited(&masked(polygon.clone(), MaskStyle::Mosaic), 0, vec![frame]);
        let (width, height) = (width as usize, height as usize);
        let block = width.min(height).div_ceil(16);
        for span in mask::touched(&polygon, (width, height)) {
            // Along a row, a colour ends only where a block does: never twice within one.
            let row = &read_row(&out[0], 0, span.y)[span.from..span.to];
            let ends: Vec<_> = row.windows(2).enumerate().filter(|(_, p)| p[0] != p[1]).map(|(i, _)| i).collect();
            prop_assert!(ends.windows(2).all(|e| e[1] - e[0] >= block), "{:?}", ends);
        }
        let after = bytes(&out);
        let spans = mask::touched(&polygon, (width, height));
        let inside = |i: usize| spans.iter().any(|s| s.y == i / width && (s.from..s.to).contains(&(i % width)));
        for i in (0..width * height).filter(|i| before[*i] != after[*i]) {
            prop_assert!(inside(i), "{} was changed outside", i);
        }
    }
}

#[test]
fn a_mask_comes_and_goes_at_its_times() {
    let mut edit = masked(vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)], MaskStyle::Black);
    edit.masks[0].from = Some(Duration::from_millis(80));
    edit.masks[0].to = Some(Duration::from_millis(160));
    let frames: Vec<_> = (0..6)
        .map(|i| {
            let mut frame = noisy(Pixel::YUV420P, 32, 32);
            frame.set_pts(Some(i * 40));
            frame
        })
        .collect();
    let (out, _) = edited(&edit, 0, frames);
    let hidden: Vec<_> = out.iter().map(|frame| read_row(frame, 0, 9)[9] == 16).collect();
    assert_eq!(hidden, [false, false, true, true, false, false]);
}

#[test]
fn painting_never_changes_a_picture_that_others_refer_to() {
    let frame = noisy(Pixel::YUV420P, 32, 32);
    let before = bytes([&frame]);
    let second = frame_ffi::share(&frame).expect("a reference");
    let (out, _) =
        edited(&masked(vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)], MaskStyle::Black), 0, vec![second]);
    assert_ne!(bytes(&out), before);
    assert_eq!(bytes([&frame]), before);
}

/// A white PNG of 40 by 20 pixels with a red left half.
fn logo(folder: &Path) -> PathBuf {
    made(
        folder,
        "logo.png",
        &["-f", "lavfi", "-i", "color=white:s=40x20,format=rgba,drawbox=w=20:c=red:t=fill", "-frames:v", "1"],
    )
}

fn grey(width: u32, height: u32, pts: i64) -> Video {
    let mut frame = Video::new(Pixel::YUV420P, width, height);
    for (plane, value) in [(0, 100), (1, 128), (2, 128)] {
        frame.data_mut(plane).fill(value);
    }
    frame.set_pts(Some(pts));
    frame
}

/// From where to where a picture is not grey: left, top, right, bottom.
fn changed(frame: &Video) -> (usize, usize, usize, usize) {
    let mut found = (usize::MAX, usize::MAX, 0, 0);
    for y in 0..frame.height() as usize {
        for (x, _) in read_row(frame, 0, y).iter().enumerate().filter(|(_, sample)| **sample != 100) {
            found = (found.0.min(x), found.1.min(y), found.2.max(x + 1), found.3.max(y + 1));
        }
    }
    found
}

#[test]
fn a_watermark_has_its_size_place_and_colours() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = |corner, opacity| {
        let mark = Watermark { image: logo(folder.path()), corner, width: 0.1, opacity };
        EditSpec { watermark: Some(mark), ..EditSpec::default() }
    };
    let drawn = |edit: &EditSpec| edited(edit, 0, vec![grey(400, 200, 0)]).0.remove(0);
    let frame = drawn(&mark(Corner::TopLeft, 1.0));
    assert_eq!(changed(&frame), (20, 10, 60, 30));
    // Red and white of BT.601, limited range.
    let at = |x: usize, y: usize| {
        [0, 1, 2].map(|p| read_row(&frame, p, y >> usize::from(p > 0))[x >> usize::from(p > 0)])
    };
    for (got, want) in
        at(30, 20).into_iter().zip([81, 90, 240]).chain(at(50, 20).into_iter().zip([235, 128, 128]))
    {
        assert!(got.abs_diff(want) <= 1, "{got} instead of {want}");
    }
    assert_eq!(changed(&drawn(&mark(Corner::BottomRight, 0.5))), (340, 170, 380, 190));
    assert_eq!(changed(&drawn(&mark(Corner::TopRight, 0.0))).2, 0, "nothing is seen of it");
}

#[test]
fn label_and_time_code_stand_in_their_corner_without_touching() {
    let label = Label { text: "Bourse, côté nord".into(), corner: Corner::BottomLeft, height: 0.08 };
    let code = TimeCode { start: TimeCodeStart::Zero, corner: Corner::BottomLeft, height: 0.08 };
    let alone = |edit: &EditSpec| changed(&edited(edit, 0, vec![grey(640, 360, 0)]).0[0]);
    let of_label = alone(&EditSpec { label: Some(label.clone()), ..EditSpec::default() });
    let of_code = alone(&EditSpec { time_code: Some(code.clone()), ..EditSpec::default() });
    let both = EditSpec { label: Some(label), time_code: Some(code), ..EditSpec::default() };
    let (left, top, right, bottom) = alone(&both);
    assert_eq!((left, bottom), (32, 342), "5 % of the picture stay free");
    assert_eq!(right, of_label.2.max(of_code.2));
    assert!(bottom - top > (of_label.3 - of_label.1) + (of_code.3 - of_code.1), "one covers the other");
    let height = of_label.3 - of_label.1;
    assert!(height.abs_diff(29) <= 1, "8 % of 360 lines are 29, not {height}");
}

#[test]
fn a_time_code_runs_and_its_plate_stands_still() {
    let code = TimeCode {
        start: TimeCodeStart::Utc(951_782_399_900_000_000),
        corner: Corner::TopRight,
        height: 0.06,
    };
    let edit = EditSpec { time_code: Some(code), ..EditSpec::default() };
    let (out, _) = edited(&edit, 0, (0..6).map(|i| grey(640, 360, i * 40)).collect());
    let plates: std::collections::BTreeSet<_> = out.iter().map(changed).collect();
    assert_eq!(plates.len(), 1, "{plates:?}");
    let pictures: std::collections::BTreeSet<_> = out.iter().map(|frame| bytes([frame])).collect();
    assert_eq!(pictures.len(), 6);
}

#[test]
fn marks_larger_than_the_picture_are_cut_and_nothing_breaks() {
    let folder = tempfile::tempdir().expect("a folder");
    for (width, height) in [(2, 2), (16, 8), (9, 300)] {
        for corner in [Corner::TopLeft, Corner::TopRight, Corner::BottomLeft, Corner::BottomRight] {
            let edit = EditSpec {
                label: Some(Label { text: "Place de la Bourse".into(), corner, height: 1.0 }),
                time_code: Some(TimeCode { start: TimeCodeStart::Utc(0), corner, height: 1.0 }),
                watermark: Some(Watermark { image: logo(folder.path()), corner, width: 1.0, opacity: 1.0 }),
                ..masked(vec![(0.0, 0.0), (0.0, 0.0), (0.0, 0.0)], MaskStyle::Mosaic)
            };
            edited(&edit, 0, vec![grey(width, height, 0)]);
        }
    }
}
