//! The CPU executor against closed forms, an `f64` reference and FFmpeg.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::super::plan::{Bitmap, Yuv};
use super::*;
use crate::composite::color;
use crate::media::{Chroma, Colorimetry, Matrix, Plane, Range};

const RED: Yuv = Yuv { y: 63, u: 102, v: 240 };

fn rect(x: u32, y: u32, width: u32, height: u32) -> PixelRect {
    PixelRect::new(x, y, width, height)
}

fn plan(width: u32, height: u32, draws: Vec<Draw>) -> CompositePlan {
    CompositePlan { width, height, draws, damage: vec![rect(0, 0, width, height)] }
}

fn drawn(width: u32, height: u32, draws: Vec<Draw>) -> Frame {
    let mut cpu = CpuCompositor::new(width, height).expect("an even size");
    cpu.compose(&plan(width, height, draws)).expect("a plan of the canvas's size");
    cpu.picture(FrameMeta::default()).expect("a canvas")
}

/// Luma at a pixel, chroma of its block.
fn at(frame: &Frame, x: usize, y: usize) -> [u8; 3] {
    let planes = frame.planes();
    [
        planes[0].row(y, x + 1)[x],
        planes[1].row(y / 2, x / 2 + 1)[x / 2],
        planes[2].row(y / 2, x / 2 + 1)[x / 2],
    ]
}

/// A picture whose every sample is a function of its place.
fn gradient(width: u32, height: u32, color: Colorimetry) -> Frame {
    let (w, h) = (width as usize, height as usize);
    let mut data: Vec<u8> = (0..w * h).map(|i| (i % w * 3 + i / w * 5) as u8).collect();
    let half = w / 2;
    data.extend((0..half * h / 2).map(|i| (i % half * 7 + i / half) as u8));
    data.extend((0..half * h / 2).map(|i| (255 - i % half * 2 + i / half * 3) as u8));
    Frame::packed_i420(width, height, data.into(), FrameMeta { color, ..FrameMeta::default() })
        .expect("a packed picture")
}

/// The same picture as NV12 with padded rows.
fn as_nv12(frame: &Frame) -> Frame {
    let (w, h) = (frame.width() as usize, frame.height() as usize);
    let stride = w + 10;
    let (mut y, mut uv) = (Vec::new(), Vec::new());
    for row in 0..h {
        y.extend_from_slice(frame.planes()[0].row(row, w));
        y.resize((row + 1) * stride, 9);
    }
    for row in 0..h / 2 {
        let (u, v) = (frame.planes()[1].row(row, w / 2), frame.planes()[2].row(row, w / 2));
        uv.extend(u.iter().zip(v).flat_map(|(u, v)| [*u, *v]));
        uv.resize((row + 1) * stride, 9);
    }
    let planes = vec![Plane { data: y.into(), stride }, Plane { data: uv.into(), stride }];
    Frame::new(frame.width(), frame.height(), Chroma::Nv12, planes, *frame.meta()).expect("valid planes")
}

#[test]
fn a_fill_mixes_odd_edges_by_their_share() {
    let frame = drawn(8, 8, vec![Draw::Fill { rect: rect(1, 1, 4, 2), color: RED, alpha: 255 }]);
    for y in 0..8 {
        for x in 0..8 {
            let inside = (1..5).contains(&x) && (1..3).contains(&y);
            assert_eq!(at(&frame, x, y)[0], if inside { 63 } else { 16 }, "{x},{y}");
        }
    }
    // Block (0,0) has one of its four pixels inside, (2,0) two columns of it by one row, and so on.
    for (x, y, share) in
        [(0, 0, 1.0), (2, 0, 2.0), (4, 0, 1.0), (0, 2, 1.0), (2, 2, 2.0), (6, 0, 0.0), (0, 4, 0.0)]
    {
        let expected = |c: u8| (128.0 + (f64::from(c) - 128.0) * share / 4.0).round() as u8;
        assert_eq!(at(&frame, x, y)[1..], [expected(102), expected(240)], "{x},{y}");
    }
}

#[test]
fn a_half_transparent_fill_is_half_way() {
    let frame = drawn(4, 4, vec![Draw::Fill { rect: rect(0, 0, 4, 4), color: Yuv::WHITE, alpha: 128 }]);
    let expected = (16.0 + (235.0 - 16.0) * 128.0_f64 / 255.0).round() as u8;
    assert_eq!(at(&frame, 2, 2), [expected, 128, 128]);
}

#[test]
fn a_stamp_over_the_edges_covers_what_it_should() {
    let (w, h) = (5_i32, 7_i32);
    let coverage: Vec<u8> = (0..w * h).map(|i| (i * 37 % 256) as u8).collect();
    for (x, y, alpha) in [(-2, -3, 255), (1, 1, 200), (5, 3, 255), (2, 0, 90), (-9, 0, 255), (8, 8, 255)] {
        let bitmap = Bitmap { width: w as u32, height: h as u32, coverage: coverage.clone().into() };
        let frame = drawn(8, 8, vec![Draw::Stamp { x, y, bitmap: Arc::new(bitmap), color: RED, alpha }]);
        let covered = |px: i32, py: i32| {
            let (px, py) = (px - x, py - y);
            let inside = (0..w).contains(&px) && (0..h).contains(&py);
            if inside { f64::from(coverage[(py * w + px) as usize]) } else { 0.0 }
        };
        let mixed = |below: f64, color: u8, cover: f64| {
            let share = cover / 255.0 * f64::from(alpha) / 255.0;
            below + (f64::from(color) - below) * share
        };
        for py in 0..8 {
            for px in 0..8 {
                let got = at(&frame, px as usize, py as usize);
                let (bx, by) = (px / 2 * 2, py / 2 * 2);
                let mean =
                    (covered(bx, by) + covered(bx + 1, by) + covered(bx, by + 1) + covered(bx + 1, by + 1))
                        / 4.0;
                let want =
                    [mixed(16.0, 63, covered(px, py)), mixed(128.0, 102, mean), mixed(128.0, 240, mean)];
                for (got, want) in got.into_iter().zip(want) {
                    assert!((f64::from(got) - want).abs() <= 0.501, "{x},{y} at {px},{py}: {got} for {want}");
                }
            }
        }
    }
}

#[test]
fn equal_sizes_are_copied_exactly_from_both_layouts() {
    let source = gradient(16, 8, color::CANVAS);
    for frame in [source.clone(), as_nv12(&source)] {
        let out = drawn(32, 16, vec![Draw::Picture { frame, dest: rect(6, 4, 16, 8) }]);
        for y in 0..16 {
            for x in 0..32 {
                let inside = (6..22).contains(&x) && (4..12).contains(&y);
                let expected = if inside { at(&source, x - 6, y - 4) } else { [16, 128, 128] };
                assert_eq!(at(&out, x, y), expected, "{x},{y}");
            }
        }
    }
}

#[test]
fn nothing_is_drawn_outside_damage_and_canvas() {
    let mut cpu = CpuCompositor::new(16, 16).expect("an even size");
    let bitmap = Arc::new(Bitmap { width: 30, height: 30, coverage: vec![255; 900].into() });
    let everything = |color: Yuv| {
        vec![
            Draw::Fill { rect: rect(0, 0, 40, 40), color, alpha: 255 },
            Draw::Picture { frame: gradient(24, 24, color::CANVAS), dest: rect(2, 2, 24, 24) },
            Draw::Stamp { x: -3, y: -3, bitmap: bitmap.clone(), color, alpha: 255 },
        ]
    };
    let damage = vec![rect(4, 4, 4, 4), rect(12, 0, 8, 2)];
    let plan = CompositePlan { width: 16, height: 16, draws: everything(RED), damage };
    cpu.compose(&plan).expect("a plan of the canvas's size");
    let out = cpu.picture(FrameMeta::default()).expect("a canvas");
    for y in 0..16 {
        for x in 0..16 {
            let damaged = ((4..8).contains(&x) && (4..8).contains(&y)) || (x >= 12 && y < 2);
            let expected = if damaged { [RED.y, RED.u, RED.v] } else { [16, 128, 128] };
            assert_eq!(at(&out, x, y), expected, "{x},{y}");
        }
    }
}

#[test]
fn shrinking_averages_areas() {
    let source = gradient(32, 16, color::CANVAS);
    let out = drawn(8, 4, vec![Draw::Picture { frame: source.clone(), dest: rect(0, 0, 8, 4) }]);
    for y in 0..4 {
        for x in 0..8 {
            let sum: f64 = (0..16).map(|i| f64::from(at(&source, x * 4 + i % 4, y * 4 + i / 4)[0])).sum();
            assert!((f64::from(at(&out, x, y)[0]) - sum / 16.0).abs() <= 1.0, "{x},{y}");
        }
    }
}

#[test]
fn odd_sized_pictures_are_scaled_into_even_tiles() {
    let frame = Frame::filled(33, 17, [90, 100, 160], FrameMeta::default()).expect("a size");
    let out = drawn(16, 16, vec![Draw::Picture { frame, dest: rect(0, 0, 16, 16) }]);
    assert_eq!(at(&out, 15, 15), [90, 100, 160]);
}

/// Sample values of light R'G'B' (0 to 1), straight from Rec. BT.601-7, BT.709-6 and BT.2020-2.
fn encode([r, g, b]: [f64; 3], color: Colorimetry) -> [f64; 3] {
    let (wr, wg, wb) = match color.matrix {
        Matrix::Bt601 => (0.299, 0.587, 0.114),
        Matrix::Bt709 => (0.2126, 0.7152, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.6780, 0.0593),
    };
    let y = wr * r + wg * g + wb * b;
    let (pb, pr) = ((b - y) / (2.0 - 2.0 * wb), (r - y) / (2.0 - 2.0 * wr));
    match color.range {
        Range::Limited => [16.0 + 219.0 * y, 128.0 + 224.0 * pb, 128.0 + 224.0 * pr],
        Range::Full => [255.0 * y, 128.0 + 255.0 * pb, 128.0 + 255.0 * pr],
    }
}

fn all_colors() -> impl Iterator<Item = Colorimetry> {
    [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020]
        .into_iter()
        .flat_map(|matrix| [Range::Limited, Range::Full].map(|range| Colorimetry { matrix, range }))
}

/// Flat 16x16 blocks of 64 colours, 128x128 pixels; the colours as R'G'B'.
fn palette(color: Colorimetry) -> (Frame, Vec<[f64; 3]>) {
    let lights: Vec<[f64; 3]> =
        (0..64).map(|i| [i % 4, i / 4 % 4, i / 16].map(|c| 0.1 + f64::from(c) * 0.25)).collect();
    let samples: Vec<[u8; 3]> = lights.iter().map(|l| encode(*l, color).map(|s| s.round() as u8)).collect();
    let mut data = Vec::new();
    for (plane, block) in [(0, 16), (1, 8), (2, 8)] {
        for i in 0..(block * 8) * (block * 8) {
            let (x, y) = (i % (block * 8) / block, i / (block * 8) / block);
            data.push(samples[y * 8 + x][plane]);
        }
    }
    let meta = FrameMeta { color, ..FrameMeta::default() };
    (Frame::packed_i420(128, 128, data.into(), meta).expect("a packed picture"), lights)
}

#[test]
fn every_matrix_and_range_keeps_the_light() {
    for color in all_colors() {
        let (frame, lights) = palette(color);
        for frame in [frame.clone(), as_nv12(&frame)] {
            let out = drawn(128, 128, vec![Draw::Picture { frame, dest: rect(0, 0, 128, 128) }]);
            for (i, light) in lights.iter().enumerate() {
                let got = at(&out, i % 8 * 16 + 7, i / 8 * 16 + 7);
                for (got, want) in got.into_iter().zip(encode(*light, super::super::color::CANVAS)) {
                    // Half a step of rounding in, spread by the matrix, and half a step out.
                    assert!((f64::from(got) - want).abs() < 1.7, "{color:?} {light:?}: {got} for {want}");
                }
            }
        }
    }
}

#[test]
fn fixed_point_is_the_reference_rounded() {
    for color in all_colors().filter(|c| *c != color::CANVAS) {
        let source = gradient(64, 64, color);
        let out = drawn(64, 64, vec![Draw::Picture { frame: source.clone(), dest: rect(0, 0, 64, 64) }]);
        let map = color::Affine::between(color, color::CANVAS);
        for (x, y) in (0..64).flat_map(|y| (0..64).map(move |x| (x, y))) {
            let exact = map.apply(at(&source, x, y).map(f64::from));
            for (got, want) in at(&out, x, y).into_iter().zip(exact) {
                let want = want.clamp(0.0, 255.0);
                assert!((f64::from(got) - want).abs() <= 0.53, "{color:?} {x},{y}: {got} for {want}");
            }
        }
    }
}

/// Largest difference over the middles of the palette's blocks.
fn worst_block(a: &[u8], b: &Frame) -> u8 {
    let a = Frame::packed_i420(128, 128, a.to_vec().into(), FrameMeta::default()).expect("a whole picture");
    (0..64)
        .flat_map(|i| {
            let (x, y) = (i % 8 * 16 + 7, i / 8 * 16 + 7);
            at(&a, x, y).into_iter().zip(at(b, x, y)).map(|(a, b)| a.abs_diff(b)).collect::<Vec<_>>()
        })
        .max()
        .unwrap_or(u8::MAX)
}

#[test]
fn ffmpeg_converts_the_same_way() {
    for color in all_colors() {
        let (frame, _) = palette(color);
        let matrix = match color.matrix {
            Matrix::Bt601 => "bt601",
            Matrix::Bt709 => "bt709",
            Matrix::Bt2020 => "bt2020",
        };
        let range = if color.range == Range::Full { "full" } else { "limited" };
        let filter = format!(
            "scale=in_color_matrix={matrix}:in_range={range}:out_color_matrix=bt709:out_range=limited:flags=accurate_rnd+full_chroma_int+bitexact"
        );
        let arguments =
            ["-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "128x128", "-i", "-", "-vf"];
        let child = Command::new("ffmpeg")
            .args(arguments)
            .args([filter.as_str(), "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            println!("skipped: ffmpeg is not installed");
            return;
        };
        child.stdin.take().expect("a pipe").write_all(&frame.to_packed_i420()).expect("ffmpeg reads");
        let reference = child.wait_with_output().expect("ffmpeg ends").stdout;
        let out = drawn(128, 128, vec![Draw::Picture { frame: frame.clone(), dest: rect(0, 0, 128, 128) }]);
        let worst = worst_block(&reference, &out);
        assert!(worst <= 2, "{color:?}: {worst} steps from FFmpeg's conversion");
        if color != color::CANVAS {
            let unconverted = worst_block(&reference, &frame);
            assert!(
                unconverted > 4,
                "{color:?}: the comparison must see a missing conversion ({unconverted})"
            );
        }
    }
}

#[test]
fn bands_do_not_change_the_picture() {
    let bt601 = Colorimetry { matrix: Matrix::Bt601, range: Range::Limited };
    let bitmap = Arc::new(Bitmap { width: 31, height: 97, coverage: vec![77; 31 * 97].into() });
    let draws = vec![
        Draw::Picture { frame: gradient(96, 102, bt601), dest: rect(0, 0, 96, 102) },
        Draw::Picture { frame: gradient(48, 34, color::CANVAS), dest: rect(16, 8, 60, 86) },
        Draw::Fill { rect: rect(3, 5, 61, 83), color: RED, alpha: 99 },
        Draw::Stamp { x: 7, y: -1, bitmap, color: Yuv::WHITE, alpha: 255 },
    ];
    let plan = plan(96, 102, draws);
    let whole = {
        let mut cpu = CpuCompositor::new(96, 102).expect("an even size");
        cpu.compose(&plan).expect("a plan of the canvas's size");
        cpu.canvas.bytes().to_vec()
    };
    for bands in [2, 3, 7, 200] {
        let mut cpu = CpuCompositor::new(96, 102).expect("an even size");
        let prepared = cpu.prepare(&plan.draws, &plan.damage, true);
        for band in &mut cpu.canvas.bands(bands) {
            draw_band(band, &plan.draws, &prepared, &plan.damage);
        }
        assert!(cpu.canvas.bytes() == whole, "{bands} bands");
    }
}

#[test]
fn pictures_do_not_change_later_and_their_buffers_come_back() {
    let mut cpu = CpuCompositor::new(4, 4).expect("an even size");
    let before = cpu.picture(FrameMeta::default()).expect("a canvas");
    let white = Draw::Fill { rect: rect(0, 0, 4, 4), color: Yuv::WHITE, alpha: 255 };
    cpu.compose(&plan(4, 4, vec![white])).expect("a plan of the canvas's size");
    assert_eq!(at(&before, 0, 0)[0], 16);
    assert_eq!(cpu.pool.waiting(), 0);
    drop(before);
    assert_eq!(cpu.pool.waiting(), 1);
    let after = cpu.picture(FrameMeta::default()).expect("a canvas");
    assert_eq!((cpu.pool.waiting(), at(&after, 3, 3)[0]), (0, 235));
}

#[test]
fn plans_for_another_canvas_are_refused() {
    let mut cpu = CpuCompositor::new(4, 4).expect("an even size");
    let error = cpu.compose(&plan(8, 4, vec![])).expect_err("another size");
    assert!(error.to_string().contains("8x4"), "{error}");
    let odd = CompositePlan { damage: vec![rect(1, 0, 2, 2)], ..plan(4, 4, vec![]) };
    assert!(cpu.compose(&odd).is_err());
    assert!(CpuCompositor::new(3, 4).is_err() && CpuCompositor::new(0, 4).is_err());
}
