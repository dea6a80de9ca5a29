//! Pictures of other layouts than 8-bit 4:2:0, against what FFmpeg makes of them.

use ff::format::Pixel;
use ff::frame::Video;

use super::*;
use crate::decode::{convert, planes};
use crate::media::{Matrix, Range, VideoParameters};

/// Of each plane: the largest difference, and the mean one.
fn differences(ours: &[u8], theirs: &[u8], (w, h): (usize, usize)) -> [(u8, f64); 3] {
    assert_eq!(ours.len(), theirs.len());
    let chroma = w.div_ceil(2) * h.div_ceil(2);
    let plane = |from: usize, len: usize| {
        let pairs = ours[from..from + len].iter().zip(&theirs[from..from + len]);
        let all: Vec<u8> = pairs.map(|(a, b)| a.abs_diff(*b)).collect();
        let mean = all.iter().map(|d| f64::from(*d)).sum::<f64>() / len as f64;
        (all.into_iter().max().unwrap(), mean)
    };
    [plane(0, w * h), plane(w * h, chroma), plane(w * h + chroma, chroma)]
}

/// A picture of this format, filled from FFmpeg's raw bytes.
fn raw_picture(format: Pixel, (w, h): (usize, usize), bytes: &[u8]) -> Video {
    let layout = planes::layout(format).unwrap();
    let mut picture = Video::new(format, w as u32, h as u32);
    let mut from = 0;
    for index in 0..picture.planes() {
        // Transparency has a plane of its own, which comes last.
        let Some(n) = layout.places.iter().position(|p| p.plane == index) else { break };
        let chroma = !layout.rgb && n > 0;
        let sub = |len: usize, log2: u32| if chroma { (len + (1 << log2) - 1) >> log2 } else { len };
        let row = sub(w, layout.log2_chroma_w) * layout.places[n].step;
        let stride = picture.stride(index);
        for y in 0..sub(h, layout.log2_chroma_h) {
            picture.data_mut(index)[y * stride..][..row].copy_from_slice(&bytes[from..from + row]);
            from += row;
        }
    }
    picture
}

/// What the converter makes of a test picture and what FFmpeg makes of it.
fn converted(name: &str, (w, h): (usize, usize)) -> Option<(Vec<u8>, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let (raw, i420) = (folder.path().join("raw"), folder.path().join("i420"));
    let scaler = "-sws_flags area+accurate_rnd+full_chroma_int+full_chroma_inp";
    let made = format!("-f lavfi -i testsrc=size={w}x{h} {scaler} -frames:v 1 -pix_fmt {name} -f rawvideo");
    let read = format!("-f rawvideo -pix_fmt {name} -s {w}x{h} -i {} {scaler}", raw.display());
    if !ffmpeg(&made, &raw) || !ffmpeg(&format!("{read} -pix_fmt {} -f rawvideo", as_420(name)), &i420) {
        return None;
    }
    let format: Pixel = name.parse().unwrap();
    let picture = Arc::new(raw_picture(format, (w, h), &std::fs::read(raw).unwrap()));
    let layout = planes::layout(format).unwrap();
    let planes = convert::to_i420(&picture, &layout, Matrix::Bt601).unwrap();
    let ours: Vec<u8> = planes.iter().flat_map(|p| p.data.to_vec()).collect();
    Some((ours, with_chroma(std::fs::read(i420).unwrap(), (w, h))))
}

/// The format of FFmpeg that changes no range: its scaler takes grey for full range, and stretches it.
fn as_420(name: &str) -> &'static str {
    match name {
        grey if grey.starts_with("gray") => "gray",
        full if full.starts_with("yuvj") => "yuvj420p",
        _ => "yuv420p",
    }
}

/// Neutral chroma behind luma that has none.
fn with_chroma(mut bytes: Vec<u8>, (w, h): (usize, usize)) -> Vec<u8> {
    if bytes.len() == w * h {
        bytes.resize(w * h + 2 * w.div_ceil(2) * h.div_ceil(2), 128);
    }
    bytes
}

#[test]
fn every_layout_becomes_what_ffmpeg_makes_of_it() {
    let formats = [
        "yuv420p9le",
        "yuv420p10le",
        "yuv420p12be",
        "yuv420p14le",
        "p010le",
        "yuv422p",
        "yuvj422p",
        "yuv422p10le",
        "yuv422p12le",
        "nv16",
        "yuv444p",
        "yuvj444p",
        "yuva444p",
        "yuv444p10le",
        "yuv444p16be",
        "nv24",
        "yuv440p",
        "yuyv422",
        "uyvy422",
        "gray10le",
        "gray12le",
        "gray16le",
        "gbrp",
        "gbrp10le",
        "gbrp12le",
        "rgb24",
        "bgra",
    ];
    let mut wrong = Vec::new();
    for name in formats {
        for size in [(160, 120), (161, 121)] {
            let odd = size.0 % 2 == 1;
            if odd && matches!(name, "yuyv422" | "uyvy422") {
                continue;
            }
            let Some((ours, theirs)) = converted(name, size) else { return };
            // FFmpeg squeezes chroma of an odd size, which moves it against luma.
            let planes = if odd { 1 } else { 3 };
            for (plane, (largest, off)) in
                differences(&ours, &theirs, size).into_iter().take(planes).enumerate()
            {
                if largest > 1 || off > 0.3 {
                    wrong.push(format!("{name} {size:?} plane {plane}: at most {largest}, mean {off:.3}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The last chroma sample of an odd side is the mean over the pixels that there are.
#[test]
fn odd_edges_keep_their_chroma() {
    let layout = planes::layout(Pixel::YUV444P).unwrap();
    let mut picture = Video::new(Pixel::YUV444P, 3, 3);
    for index in 0..3 {
        let stride = picture.stride(index);
        for (n, byte) in picture.data_mut(index).iter_mut().enumerate() {
            *byte = (20 * (n % stride) + 60 * (n / stride)) as u8;
        }
    }
    let planes = convert::to_i420(&Arc::new(picture), &layout, Matrix::Bt601).unwrap();
    assert_eq!(planes[0].data[..], [0, 20, 40, 60, 80, 100, 120, 140, 160]);
    assert_eq!(planes[1].data[..], [40, 70, 130, 160]);
}

#[test]
fn a_sample_over_four_pixels_is_repeated() {
    for (format, size) in [(Pixel::YUV411P, (10, 4)), (Pixel::YUV410P, (12, 8))] {
        let layout = planes::layout(format).unwrap();
        let mut picture = Video::new(format, size.0, size.1);
        for index in 0..3 {
            let stride = picture.stride(index);
            for (n, byte) in picture.data_mut(index).iter_mut().enumerate() {
                *byte = (50 * index + 10 * (n % stride)) as u8;
            }
        }
        let planes = convert::to_i420(&Arc::new(picture), &layout, Matrix::Bt601).unwrap();
        let row: Vec<u8> = (0..size.0.div_ceil(2)).map(|x| (50 + 10 * (x / 2)) as u8).collect();
        for y in 0..size.1 as usize / 2 {
            assert_eq!(planes[1].row(y, row.len()), row);
        }
    }
}

#[test]
fn what_is_no_number_of_whole_bytes_is_not_converted() {
    for format in [Pixel::PAL8, Pixel::MonoBlack, Pixel::VAAPI, Pixel::BAYER_RGGB8, Pixel::GRAYF32LE] {
        assert!(planes::layout(format).is_none(), "{format:?}");
    }
}

/// The first picture of a stream, and what FFmpeg decodes it to.
fn first_picture(path: &Path, codec: Codec, to: &str) -> Option<(Frame, Vec<u8>)> {
    let mut decoder =
        LibavDecoder::open(&DecoderRequest { order: Order::Exact, ..DecoderRequest::live(codec) });
    let decoder = decoder.as_mut().unwrap();
    let mut pictures = Vec::new();
    for unit in units_of(path) {
        decoder.decode(&unit, &mut |p| pictures.push(p)).unwrap();
    }
    decoder.drain(&mut |p| pictures.push(p)).unwrap();
    let frame = pictures.into_iter().next().unwrap().into_frame(0, &VideoParameters::unknown(codec)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw");
    let read = format!("-i {} -sws_flags area+accurate_rnd", path.display());
    ffmpeg(&format!("{read} -frames:v 1 -pix_fmt {to} -f rawvideo"), &raw).then(|| {
        let size = (frame.width() as usize, frame.height() as usize);
        (frame, with_chroma(std::fs::read(raw).unwrap(), size))
    })
}

#[test]
fn streams_of_other_layouts_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut streams: Vec<(PathBuf, Codec, &str)> = Vec::new();
    for name in ["gen2brain_10bit_128x128", "gen2brain_main10_422_176x144", "gen2brain_yuv444_176x144"] {
        let path = shared(&format!("conformance/h265/{name}.h265"));
        streams.extend(path.map(|path| (path, Codec::H265, "yuv")));
    }
    for name in ["PPH10I1_Panasonic_A", "PPH10I4_Panasonic_A"] {
        let path = shared(&format!("conformance/h264/{name}.264"));
        streams.extend(path.map(|path| (path, Codec::H264, "yuv")));
    }
    let x265 = "-c:v libx265 -x265-params log-level=none";
    let made = [
        ("a.h264", "yuv422p", "-c:v libx264", Codec::H264),
        ("b.h264", "yuv444p10le", "-c:v libx264", Codec::H264),
        ("c.h264", "gray", "-c:v libx264", Codec::H264),
        ("d.h264", "gray10le", "-c:v libx264", Codec::H264),
        ("e.h264", "yuvj422p", "-c:v libx264", Codec::H264),
        ("f.h264", "rgb24", "-c:v libx264rgb", Codec::H264),
        ("g.h265", "yuv420p12le", x265, Codec::H265),
        ("h.h265", "gray", x265, Codec::H265),
        ("i.h265", "gbrp", x265, Codec::H265),
        ("j.mjpeg", "yuvj422p", "-c:v mjpeg", Codec::Mjpeg),
        ("k.mjpeg", "yuvj444p", "-c:v mjpeg", Codec::Mjpeg),
    ];
    for (name, pixels, encoder, codec) in made {
        let path = folder.path().join(name);
        let source = "-f lavfi -i testsrc2=size=322x242:rate=25 -frames:v 3";
        if ffmpeg(&format!("{source} -pix_fmt {pixels} {encoder}"), &path) {
            streams.push((path, codec, pixels));
        }
    }
    for (path, codec, pixels) in streams {
        let Some((frame, theirs)) = first_picture(&path, codec, as_420(pixels)) else { continue };
        // FFmpeg encodes grey in full range.
        let full = pixels.starts_with("yuvj") || pixels.starts_with("gray");
        let range = if full { Range::Full } else { Range::Limited };
        let size = (frame.width() as usize, frame.height() as usize);
        assert_eq!(frame.meta().color.range, range, "{}", path.display());
        for (largest, mean) in differences(&frame.to_packed_i420(), &theirs, size) {
            // Half a level is what two ways of rounding ten bits differ by.
            assert!(largest <= 2 && mean <= 0.5, "{}: at most {largest}, mean {mean:.3}", path.display());
        }
    }
}
