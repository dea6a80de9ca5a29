//! Tests of setting pictures upright: all eight ways to lie, even and odd sizes, masks, windows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::media::{FitMode, FitSpec, Frame, FrameMeta, Mask, Orientation, PixelRect, Region};

/// A smooth picture that looks like none of its turns.
fn upright(width: u32, height: u32) -> Frame {
    let (w, h) = (width as usize, height as usize);
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let mut data: Vec<u8> = Vec::new();
    data.extend((0..w * h).map(|n| (20 + 120 * (n % w) / w + 90 * (n / w) * (n / w) / (h * h)) as u8));
    data.extend((0..cw * ch).map(|n| (60 + 100 * (n % cw) / cw) as u8));
    data.extend((0..cw * ch).map(|n| (60 + 100 * (n / cw) / ch) as u8));
    Frame::packed_i420(width, height, data.into(), FrameMeta::default()).unwrap()
}

fn turned_plane(plane: &[u8], width: usize, orientation: Orientation) -> Vec<u8> {
    let mut out = vec![0; plane.len()];
    turn::plane(orientation, plane, width, &mut out);
    out
}

/// The same picture as a camera would send it that has to be set upright by `orientation`.
fn lying(upright: &Frame, orientation: Orientation) -> Frame {
    let down = orientation.inverse();
    let (w, h) = (upright.width() as usize, upright.height() as usize);
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let data = upright.to_packed_i420();
    let planes = [(0..w * h, w), (w * h..w * h + cw * ch, cw), (w * h + cw * ch..data.len(), cw)];
    let turned: Vec<u8> =
        planes.into_iter().flat_map(|(range, width)| turned_plane(&data[range], width, down)).collect();
    let (w, h) = down.size((upright.width(), upright.height()));
    let meta = FrameMeta { orientation, ..*upright.meta() };
    Frame::packed_i420(w, h, turned.into(), meta).unwrap()
}

fn specs() -> Vec<FitSpec> {
    let mut specs = Vec::new();
    for (w, h) in [(80, 44), (162, 120), (62, 200), (300, 222)] {
        for mode in [FitMode::Contain, FitMode::Cover, FitMode::Stretch] {
            let whole = FitSpec::whole(w, h, mode);
            let crop = Region { x: 0.1, y: 0.3, width: 0.4, height: 0.6 };
            let window = PixelRect::new((w / 4) & !1, 0, (w / 2) & !1, (h / 2) & !1);
            specs.extend([whole, FitSpec { crop, ..whole }, FitSpec { window, ..whole }]);
        }
    }
    specs
}

#[test]
fn a_picture_that_lies_is_shown_as_the_upright_one() {
    for (w, h) in [(162, 120), (161, 121), (96, 161)] {
        let source = upright(w, h);
        for orientation in Orientation::ALL {
            let lying = lying(&source, orientation);
            for spec in specs() {
                let want = fit(&source, &spec, &[], &mut Scratch::default());
                let got = fit(&lying, &spec, &[], &mut Scratch::default());
                assert_eq!((got.x, got.y), (want.x, want.y), "{orientation:?} {spec:?}");
                assert_eq!(got.frame.meta().orientation, Orientation::UPRIGHT);
                assert_eq!(
                    (got.frame.width(), got.frame.height()),
                    (want.frame.width(), want.frame.height()),
                    "{orientation:?} {spec:?}"
                );
                // A mirrored chroma sample of an odd side covers another pair of pixels.
                let most = if w % 2 == 1 || h % 2 == 1 { 3 } else { 2 };
                let (got, want) = (got.frame.to_packed_i420(), want.frame.to_packed_i420());
                let off = got.iter().zip(&want).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                assert!(off <= most, "off by {off}: {w}x{h} {orientation:?} {spec:?}");
            }
        }
    }
}

#[test]
fn equal_sizes_are_turned_exactly() {
    let source = upright(86, 62);
    for orientation in Orientation::ALL {
        let got = fit(
            &lying(&source, orientation),
            &FitSpec::whole(86, 62, FitMode::Contain),
            &[],
            &mut Scratch::default(),
        );
        assert!(got.frame.to_packed_i420() == source.to_packed_i420(), "{orientation:?}");
    }
}

#[test]
fn pixels_of_another_shape_are_turned_with_the_picture() {
    let source = upright(64, 64);
    let meta = FrameMeta { pixel_aspect: crate::media::Ratio { num: 2, den: 1 }, ..*source.meta() };
    let wide = Frame::new(64, 64, source.chroma(), source.planes().to_vec(), meta).unwrap();
    let placed = |frame: &Frame| {
        let f = fit(frame, &FitSpec::whole(128, 128, FitMode::Contain), &[], &mut Scratch::default());
        (f.x, f.y, f.frame.width(), f.frame.height())
    };
    assert_eq!(placed(&wide), (0, 32, 128, 64));
    assert_eq!(placed(&wide.turned(Orientation::new(1, false))), (32, 0, 64, 128));
    assert_eq!(placed(&wide.turned(Orientation::MIRRORED)), (0, 32, 128, 64));
}

/// However a picture is turned to be shown, a mask stays on the pixels that it hid before.
#[test]
fn a_mask_stays_on_what_it_hides() {
    for (w, h) in [(160, 90), (161, 91)] {
        let [x, y, width, height] = [0.301, 0.107, 0.2, 0.3];
        let mask = Mask(Region { x, y, width, height });
        let inside = |at: f32, len: f32, n: u32, of: u32| {
            let (from, to) = (f64::from(at) * f64::from(of), f64::from(at + len) * f64::from(of));
            f64::from(n + 1) > from && f64::from(n) < to
        };
        let secret = |px: u32, py: u32| inside(x, width, px, w) && inside(y, height, py, h);
        let pixels = (0..h).flat_map(|y| (0..w).map(move |x| (x, y)));
        let mut data: Vec<u8> = pixels.map(|(x, y)| if secret(x, y) { 255 } else { 16 }).collect();
        data.resize(data.len() + 2 * (w.div_ceil(2) * h.div_ceil(2)) as usize, 128);
        let source = Frame::packed_i420(w, h, data.into(), FrameMeta::default()).unwrap();
        for orientation in Orientation::ALL {
            for spec in specs() {
                let shown = fit(&source.turned(orientation), &spec, &[mask], &mut Scratch::default()).frame;
                let leaked = shown.planes()[0].data.iter().filter(|v| **v != 16).count();
                assert_eq!(leaked, 0, "{w}x{h} {orientation:?} {spec:?}");
            }
            let bare = fit(&source.turned(orientation), &specs()[0], &[], &mut Scratch::default()).frame;
            assert!(bare.planes()[0].data.iter().any(|v| *v > 200), "there is something to hide");
        }
    }
}

#[test]
fn adjacent_windows_of_a_turned_picture_join_without_a_seam() {
    let source = upright(641, 361);
    for orientation in Orientation::ALL {
        let source = source.turned(orientation);
        let whole = FitSpec::whole(300, 222, FitMode::Cover);
        let all = fit(&source, &whole, &[], &mut Scratch::default()).frame;
        for window in [PixelRect::new(0, 0, 102, 222), PixelRect::new(102, 58, 198, 164)] {
            let part = fit(&source, &FitSpec { window, ..whole }, &[], &mut Scratch::default());
            assert_eq!((part.x, part.y), (0, 0));
            for y in 0..window.height as usize {
                let row = &all.planes()[0].row(y + window.y as usize, 300)[window.x as usize..];
                let width = window.width as usize;
                assert!(part.frame.planes()[0].row(y, width) == &row[..width], "{orientation:?} row {y}");
            }
        }
    }
}
