//! Fields, turns, crops, layouts and sizes, against FFmpeg's command line doing the same.

use super::super::frame_ffi::set_interlaced;
use super::*;
use crate::source::testing::shared;
use crate::transcode::spec::SizeSpec;

#[test]
fn where_nothing_is_asked_the_same_picture_comes_out() {
    for pixel in [Pixel::YUV420P, Pixel::YUVJ420P, Pixel::YUV420P10LE] {
        let frame = Video::new(pixel, 64, 48);
        let before = frame.data(0).as_ptr();
        let mut editor =
            Editor::new(&EditSpec::default(), Orientation::UPRIGHT, &PictureFormat::of(&frame), MS)
                .expect("an editor");
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
    let none = EditSpec::default();
    for (edit, upright, filters) in [
        (rotated(Rotation::Right), Orientation::UPRIGHT, "transpose=clock"),
        (none.clone(), Orientation::new(1, false), "transpose=clock"),
        (rotated(Rotation::Half), Orientation::UPRIGHT, "hflip,vflip"),
        (rotated(Rotation::Half), Orientation::new(3, false), "transpose=clock"),
        (rotated(Rotation::Left), Orientation::UPRIGHT, "transpose=cclock"),
        (cropped(10, 20, 100, 80), Orientation::UPRIGHT, "crop=100:80:10:20"),
        (cropped(11, 21, 101, 81), Orientation::UPRIGHT, "crop=100:80:10:20"),
        (cropped(10, 20, 100, 80), Orientation::new(3, false), "transpose=cclock,crop=100:80:10:20"),
        (cropped(10, 20, 100, 80), Orientation::new(2, false), "hflip,vflip,crop=100:80:10:20"),
        (none.clone(), Orientation::MIRRORED, "hflip"),
        (none.clone(), Orientation::FLIPPED, "vflip"),
        (none.clone(), Orientation::new(1, true), "hflip,transpose=clock"),
        (none.clone(), Orientation::new(3, true), "hflip,transpose=cclock"),
        (rotated(Rotation::Right), Orientation::MIRRORED, "hflip,transpose=clock"),
        (cropped(10, 20, 100, 80), Orientation::FLIPPED, "vflip,crop=100:80:10:20"),
    ] {
        let (out, _) = edited(&edit, upright, decoded(&file));
        assert_eq!(difference(&bytes(&out), &by_ffmpeg(&file, filters, "yuv420p")), Ok(0), "{filters}");
    }
    // The comparison sees a turn the other way, and a crop that is off.
    let (out, _) = edited(&none, Orientation::new(1, false), decoded(&file));
    assert_ne!(difference(&bytes(&out), &by_ffmpeg(&file, "transpose=cclock", "yuv420p")), Ok(0));
    let (out, _) = edited(&cropped(10, 20, 100, 80), Orientation::UPRIGHT, decoded(&file));
    assert_ne!(difference(&bytes(&out), &by_ffmpeg(&file, "crop=100:80:12:20", "yuv420p")), Ok(0));
}

#[test]
fn a_turn_turns_the_shape_of_pixels_too() {
    let mut frame = Video::new(Pixel::YUV420P, 720, 576);
    set_pixel_aspect(&mut frame, Ratio { num: 16, den: 15 });
    let (_, format) = edited(&EditSpec::default(), Orientation::new(1, false), vec![frame]);
    assert_eq!((format.width, format.height), (576, 720));
    assert_eq!(format.pixel_aspect, Ratio { num: 15, den: 16 });
    assert_eq!(format.space, color::Space::SMPTE170M, "it was guessed before the turn");
}

#[test]
fn wrong_crops_are_refused() {
    let format = PictureFormat::of(&Video::new(Pixel::YUV420P, 64, 48));
    let refused = |edit: &EditSpec, quarters| {
        Editor::new(edit, Orientation::new(quarters, false), &format, MS).expect_err("refused")
    };
    assert_eq!(refused(&cropped(0, 0, 64, 50), 0).subject(), "crop");
    assert_eq!(refused(&cropped(u32::MAX - 1, 0, 64, 48), 0).subject(), "crop");
    assert_eq!(refused(&cropped(0, 0, 64, 48), 1).subject(), "crop");
}

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
        let (out, format) = edited(&EditSpec::default(), Orientation::UPRIGHT, decoded(&file));
        assert_eq!(format.pixel.descriptor().expect("known").name(), want);
        assert_eq!(difference(&bytes(&out), &by_ffmpeg(&file, filters, want)), Ok(0), "{pixel}");
    }
}

#[test]
fn full_range_stays_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let jpeg = ["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj422p"];
    let file = clip(folder.path(), "a.avi", "160x90", &jpeg);
    let (out, format) = edited(&EditSpec::default(), Orientation::UPRIGHT, decoded(&file));
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
        let (out, format) = edited(&EditSpec::default(), Orientation::UPRIGHT, vec![frame]);
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
    assert!(Editor::new(&auto, Orientation::UPRIGHT, &format, MS).expect("an editor").needs_neighbours());
    let (out, to) = edited(&auto, Orientation::UPRIGHT, frames);
    assert!(!to.interlaced);
    let theirs = by_ffmpeg(&file, "bwdif=mode=send_frame:deint=interlaced", "yuv420p");
    assert_eq!(difference(&bytes(&out), &theirs), Ok(0));
    assert_ne!(difference(&bytes(&out), &by_ffmpeg(&file, "", "yuv420p")), Ok(0));

    let never = EditSpec { deinterlace: Deinterlace::Never, ..EditSpec::default() };
    let (out, to) = edited(&never, Orientation::UPRIGHT, decoded(&file));
    assert!(to.interlaced);
    assert_eq!(difference(&bytes(&out), &by_ffmpeg(&file, "", "yuv420p")), Ok(0));

    let plain = clip(folder.path(), "plain.mp4", "320x176", &["-pix_fmt", "yuv420p"]);
    let always = EditSpec { deinterlace: Deinterlace::Always, ..EditSpec::default() };
    let (out, _) = edited(&always, Orientation::UPRIGHT, decoded(&plain));
    let theirs = by_ffmpeg(&plain, "bwdif=mode=send_frame:deint=all", "yuv420p");
    assert_eq!(difference(&bytes(&out), &theirs), Ok(0));
    let (out, _) = edited(&auto, Orientation::UPRIGHT, decoded(&plain));
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
    let (out, _) = edited(&EditSpec::default(), Orientation::UPRIGHT, frames);
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
    let (out, format) = edited(&EditSpec::default(), Orientation::UPRIGHT, vec![frame]);
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
    let (out, format) = edited(&cropped(0, 0, 100, 100), Orientation::new(1, false), frames);
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
    let (out, _) = edited(&EditSpec::default(), Orientation::UPRIGHT, frames);
    // Grey 128 of full range is 126 in limited range: 16 + 128 * 219 / 255.
    for (frame, want) in out.iter().zip([128, 126, 126, 128]) {
        let luma = read_row(frame, 0, 20)[20];
        assert!(luma.abs_diff(want) <= 1, "{luma} instead of {want}");
        assert!(read_row(frame, 1, 10)[10].abs_diff(128) <= 1);
    }
}

#[test]
fn one_neighbour_on_each_side_makes_a_segment_as_the_whole_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = interlaced(folder.path());
    let (whole, _) = edited(&EditSpec::default(), Orientation::UPRIGHT, decoded(&file));
    assert!(whole.len() >= 4, "{} pictures", whole.len());
    let some: Vec<_> = decoded(&file).into_iter().skip(1).take(3).collect();
    let (part, _) = edited(&EditSpec::default(), Orientation::UPRIGHT, some);
    assert_eq!(bytes([&part[1]]), bytes([&whole[2]]));
    assert_ne!(bytes([&part[0]]), bytes([&whole[1]]), "without its neighbour it is another picture");
}
