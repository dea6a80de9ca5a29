//! Pictures that lie on their side and pictures of other chroma or depth, end to end: in mosaics and walls.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs ffmpeg to its end; what it wrote to standard output.
fn ffmpeg(args: &[&str]) -> Vec<u8> {
    let out = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(args).output().unwrap();
    assert!(out.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file that is not part of the project; `None`, said aloud, where it is missing.
fn shared(path: &str) -> Option<PathBuf> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if !full.exists() {
        println!("skipped: {} is not there", full.display());
    }
    full.exists().then_some(full)
}

/// The first picture of a mosaic of one file at this size, in BT.709 and limited range.
fn mosaic(input: &Path, (width, height): (u32, u32)) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.yuv");
    let size = format!("{width}x{height}");
    let args = ["mosaic", "--log", "warn", "-i", text(input), "-o", text(&out), "--size", &size];
    let more = ["--grid", "1x1", "--lossless", "--duration", "80ms"];
    let (code, _, stderr) = common::run(&[&args[..], &more[..]].concat());
    assert_eq!(code, 0, "{}: {stderr}", input.display());
    let mut bytes = std::fs::read(&out).unwrap();
    bytes.truncate((width * height * 3 / 2) as usize);
    bytes
}

/// The first picture of a file as FFmpeg shows it, turned by itself, in BT.709 and limited range.
fn as_players_show_it(input: &Path) -> Vec<u8> {
    let filter =
        "scale=out_color_matrix=bt709:out_range=tv:flags=area+accurate_rnd+full_chroma_int,format=yuv420p";
    ffmpeg(&["-i", text(input), "-frames:v", "1", "-vf", filter, "-f", "rawvideo", "-"])
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len(), "as many samples");
    let squares: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0f64.powi(2) * a.len() as f64 / squares.max(1) as f64).log10()
}

#[test]
fn motion_jpeg_of_another_chroma_is_shown() {
    let Some(input) = shared("cases/mjpeg-422/mj422.avi") else { return };
    let off = psnr(&mosaic(&input, (160, 120)), &as_players_show_it(&input));
    assert!(off > 32.0, "{off:.1} dB");
}

#[test]
fn a_file_that_asks_to_be_turned_is_turned() {
    let Some(input) = shared("cases/rotated-mosaic/rot90.mp4") else { return };
    let off = psnr(&mosaic(&input, (120, 160)), &as_players_show_it(&input));
    assert!(off > 32.0, "{off:.1} dB");
}

#[test]
fn every_depth_and_chroma_is_shown_in_a_mosaic() {
    let dir = tempfile::tempdir().unwrap();
    let x265 = ["-c:v", "libx265", "-x265-params", "log-level=none"];
    let cases: [(&str, &str, &[&str]); 8] = [
        ("a.mp4", "yuv420p10le", &x265),
        ("b.mkv", "yuv422p10le", &x265),
        ("c.mp4", "yuv444p", &x265),
        // FFmpeg's scaler takes grey for full range whatever it says; this one says so.
        ("d.mp4", "gray", &["-color_range", "pc", "-c:v", "libx265", "-x265-params", "log-level=none"]),
        ("e.mkv", "yuv420p12le", &x265),
        ("f.mp4", "yuv422p", &["-c:v", "libx264"]),
        ("g.avi", "yuvj444p", &["-c:v", "mjpeg", "-q:v", "2"]),
        ("h.mkv", "gbrp", &["-c:v", "libx264rgb", "-pix_fmt", "rgb24"]),
    ];
    for (name, pixels, encoder) in cases {
        let path = dir.path().join(name);
        let mut args = vec!["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-frames:v", "5"];
        args.extend(["-pix_fmt", pixels]);
        args.extend(encoder);
        args.push(text(&path));
        ffmpeg(&args);
        let off = psnr(&mosaic(&path, (160, 120)), &as_players_show_it(&path));
        assert!(off > 30.0, "{name} ({pixels}): {off:.1} dB");
    }
}

/// The luma of the four quarters of the test clip: upper left, upper right, lower left, lower right.
const QUARTERS: [u8; 4] = [60, 110, 160, 210];

/// Four quarters that tell which way up they are, 160x120, one second.
fn quarters(path: &Path) {
    let [a, b, c, d] = QUARTERS;
    let luma = format!("geq=lum='if(lt(Y,60),if(lt(X,80),{a},{b}),if(lt(X,80),{c},{d}))':cb=128:cr=128");
    let source = format!("color=size=160x120:rate=25,format=yuv420p,{luma}");
    let x264 = ["-c:v", "libx264", "-crf", "10", "-colorspace", "bt709", "-color_range", "tv"];
    let mut args = vec!["-f", "lavfi", "-i", &source, "-frames:v", "25"];
    args.extend(x264);
    args.push(text(path));
    ffmpeg(&args);
}

/// The same file, asking to be turned: `matrix` is where (1, 0) and (0, 1) go.
fn asking(file: &Path, to: &Path, [a, b, c, d]: [i32; 4]) {
    let mut bytes = std::fs::read(file).unwrap();
    // Of the track header of version 0, ISO/IEC 14496-12, 8.3.2.
    let at = bytes.windows(4).position(|w| w == b"tkhd").unwrap() + 44;
    let matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30];
    for (n, number) in matrix.iter().enumerate() {
        bytes[at + 4 * n..][..4].copy_from_slice(&number.to_be_bytes());
    }
    std::fs::write(to, bytes).unwrap();
}

/// Which quarters of the clip are seen, in the order of [`QUARTERS`]; 9: none of them.
fn seen(luma: &[u8], stride: usize, (x, y, width, height): (usize, usize, usize, usize)) -> [usize; 4] {
    [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(column, row)| {
        let at = luma[(y + row * height / 4) * stride + x + column * width / 4];
        QUARTERS.iter().position(|q| q.abs_diff(at) < 12).unwrap_or(9)
    })
}

/// Every matrix, and the quarters that it brings where.
const WAYS: [([i32; 4], [usize; 4]); 8] = [
    ([1, 0, 0, 1], [0, 1, 2, 3]),
    ([0, 1, -1, 0], [2, 0, 3, 1]),
    ([-1, 0, 0, -1], [3, 2, 1, 0]),
    ([0, -1, 1, 0], [1, 3, 0, 2]),
    ([-1, 0, 0, 1], [1, 0, 3, 2]),
    ([1, 0, 0, -1], [2, 3, 0, 1]),
    ([0, 1, 1, 0], [0, 2, 1, 3]),
    ([0, -1, -1, 0], [3, 1, 2, 0]),
];

#[test]
fn every_way_to_lie_is_upright_in_a_mosaic() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, turned) = (dir.path().join("plain.mp4"), dir.path().join("turned.mp4"));
    quarters(&plain);
    for (matrix, expected) in WAYS {
        asking(&plain, &turned, matrix);
        let (width, height) = if matrix[0] == 0 { (120, 160) } else { (160, 120) };
        let picture = mosaic(&turned, (width as u32, height as u32));
        assert_eq!(seen(&picture, width, (0, 0, width, height)), expected, "{matrix:?}");
        let players = as_players_show_it(&turned);
        assert!(psnr(&picture, &players) > 32.0, "{matrix:?}: as FFmpeg shows it");
    }
}

/// A JPEG that says which way up it lies, as cameras write it: one tag of Exif.
fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff =
        [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(), &[orientation, 0, 0, 0, 0, 0, 0]]
            .concat();
    let body = [b"Exif\0\0".as_slice(), &tiff].concat();
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], length.as_slice(), body.as_slice(), &jpeg[2..]].concat()
}

#[test]
fn what_a_picture_says_of_itself_counts_too() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let source = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-frames:v", "3"];
    let x264 = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-bf", "0"];
    ffmpeg(&[&source[..], &x264, &[text(&at("plain.h264"))]].concat());
    ffmpeg(
        &[&source[..], &["-frames:v", "1", "-pix_fmt", "yuvj420p", "-q:v", "2", text(&at("plain.jpg"))]]
            .concat(),
    );
    for (turn, flip) in
        [("90", ""), ("270", ""), ("180", ""), ("90", ":flip=horizontal"), ("0", ":flip=vertical")]
    {
        let filter = format!("h264_metadata=display_orientation=insert:rotate={turn}{flip}");
        let path = at("sei.h264");
        ffmpeg(&["-i", text(&at("plain.h264")), "-c", "copy", "-bsf:v", &filter, text(&path)]);
        shown_as_players_do(&path, turn == "90" || turn == "270", &filter);
    }
    let jpeg = std::fs::read(at("plain.jpg")).unwrap();
    for orientation in 1..=8 {
        let (raw, path) = (at("exif.mjpeg"), at("exif.avi"));
        std::fs::write(&raw, with_exif(&jpeg, orientation).repeat(3)).unwrap();
        ffmpeg(&["-f", "mjpeg", "-i", text(&raw), "-c", "copy", text(&path)]);
        shown_as_players_do(&path, orientation > 4, &format!("Exif {orientation}"));
    }
}

fn shown_as_players_do(path: &Path, stands: bool, what: &str) {
    let size = if stands { (120, 160) } else { (160, 120) };
    let off = psnr(&mosaic(path, size), &as_players_show_it(path));
    assert!(off > 30.0, "{what}: {off:.1} dB");
}

#[test]
fn a_wall_shows_cameras_upright_and_masks_stay_on_what_they_hide() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    quarters(&at("plain.mp4"));
    asking(&at("plain.mp4"), &at("turned.mp4"), [0, 1, -1, 0]);
    // Of each: keys of the camera, quarters that are seen, and whether it stands upright.
    let cameras = [
        ("uri = \"./plain.mp4\"", [0, 1, 2, 3], false),
        ("uri = \"./turned.mp4\"", [2, 0, 3, 1], true),
        ("uri = \"./plain.mp4\"\nturn = 270", [1, 3, 0, 2], true),
        ("uri = \"./turned.mp4\"\nturn = 90\nflip = \"horizontal\"", [2, 3, 0, 1], false),
        ("uri = \"./plain.mp4\"\nflip = \"vertical\"\nmasks = [[0, 0, 0.5, 0.5]]", [2, 3, 9, 1], false),
        ("uri = \"./turned.mp4\"\nturn = 180\nmasks = [[0, 0, 0.5, 0.5]]", [1, 3, 9, 2], true),
    ];
    let mut wall = String::from(
        "[overlay]\nlabels = false\nborder = 0\n[limits]\nfrozen_after = \"never\"\n\
         [[screen]]\nid = \"one\"\nsize = \"960x640\"\ngrid = \"3x2\"\n",
    );
    for (camera, ..) in cameras {
        wall.push_str(&format!("[[camera]]\n{camera}\n"));
    }
    std::fs::write(at("wall.toml"), wall).unwrap();
    let (wall, png) = (at("wall.toml"), at("wall.png"));
    let args = ["wall", text(&wall), "--for", "4s", "--backend", "cpu", "--snapshot", text(&png)];
    let (code, _, stderr) = common::run(&args);
    assert_eq!(code, 0, "{stderr}");
    let rgb = ffmpeg(&["-i", text(&png), "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]);
    let luma: Vec<u8> = rgb.chunks_exact(3).map(|rgb| (16 + u32::from(rgb[1]) * 219 / 255) as u8).collect();
    for (n, (camera, expected, stands)) in cameras.into_iter().enumerate() {
        let (x, y) = (320 * (n % 3), 320 * (n / 3));
        let picture = if stands { (x + 40, y, 240, 320) } else { (x, y + 40, 320, 240) };
        assert_eq!(seen(&luma, 960, picture), expected, "{camera}\n{stderr}");
    }
}
