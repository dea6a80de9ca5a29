//! Masks and marks on the pictures that come out.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::transcode::spec::{Corner, Label, Mask, MaskStyle, TimeCode, TimeCodeStart, Watermark};

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
        turn in 0..8_usize,
        crop in any::<bool>(),
        full in any::<bool>(),
        (width, height) in (30_u32..80, 30_u32..80),
    ) {
        let pixel = if full { Pixel::YUVJ420P } else { Pixel::YUV420P };
        let mut edit = masked(polygon.clone(), MaskStyle::Black);
        if crop {
            edit.crop = Some(CropRect { x: 4, y: 2, width: 24, height: 20 });
        }
        let (out, _) = edited(&edit, Orientation::ALL[turn], vec![noisy(pixel, width, height)]);
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
        let (out, _) = edited(&masked(polygon.clone(), MaskStyle::Mosaic), Orientation::UPRIGHT, vec![frame]);
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
    let (out, _) = edited(&edit, Orientation::UPRIGHT, frames);
    let hidden: Vec<_> = out.iter().map(|frame| read_row(frame, 0, 9)[9] == 16).collect();
    assert_eq!(hidden, [false, false, true, true, false, false]);
}

#[test]
fn painting_never_changes_a_picture_that_others_refer_to() {
    let frame = noisy(Pixel::YUV420P, 32, 32);
    let before = bytes([&frame]);
    let second = frame_ffi::share(&frame).expect("a reference");
    let (out, _) = edited(
        &masked(vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)], MaskStyle::Black),
        Orientation::UPRIGHT,
        vec![second],
    );
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
    let drawn = |edit: &EditSpec| edited(edit, Orientation::UPRIGHT, vec![grey(400, 200, 0)]).0.remove(0);
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
    let alone = |edit: &EditSpec| changed(&edited(edit, Orientation::UPRIGHT, vec![grey(640, 360, 0)]).0[0]);
    let of_label = alone(&EditSpec { label: Some(label.clone()), ..EditSpec::default() });
    let of_code = alone(&EditSpec { time_code: Some(code.clone()), ..EditSpec::default() });
    let both = EditSpec { label: Some(label), time_code: Some(code), ..EditSpec::default() };
    let (left, top, right, bottom) = alone(&both);
    assert_eq!((left, bottom), (32, 342), "5 % of the picture stay free");
    assert_eq!(right, of_label.2.max(of_code.2));
    assert!(bottom - top > (of_label.3 - of_label.1) + (of_code.3 - of_code.1), "one covers the other");
    let height = of_label.3 - of_label.1;
    assert!(height.abs_diff(29) <= 1, "8 % of 360 lines are 28.8, not {height}");
}

#[test]
fn a_time_code_runs_and_its_plate_stands_still() {
    let code = TimeCode {
        start: TimeCodeStart::Utc(951_782_399_900_000_000),
        corner: Corner::TopRight,
        height: 0.06,
    };
    let edit = EditSpec { time_code: Some(code), ..EditSpec::default() };
    let (out, _) = edited(&edit, Orientation::UPRIGHT, (0..6).map(|i| grey(640, 360, i * 40)).collect());
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
            edited(&edit, Orientation::UPRIGHT, vec![grey(width, height, 0)]);
        }
    }
}

#[test]
fn text_keeps_its_proportions_where_pixels_are_not_square() {
    let label = Label { text: "Bourse".into(), corner: Corner::TopLeft, height: 0.1 };
    let edit = EditSpec { label: Some(label), ..EditSpec::default() };
    let widths = [(1, 1), (2, 1)].map(|(num, den)| {
        let mut frame = grey(640, 360, 0);
        set_pixel_aspect(&mut frame, Ratio { num, den });
        let (left, _, right, _) = changed(&edited(&edit, Orientation::UPRIGHT, vec![frame]).0[0]);
        right - left
    });
    assert!(widths[0].abs_diff(2 * widths[1]) <= 1, "{widths:?}");
}
