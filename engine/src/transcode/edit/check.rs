//! What can be wrong with an edit before any picture is seen.

use super::marks;
use crate::base::{Error, ErrorKind, Result};
use crate::transcode::spec::{EditSpec, Mask};

/// Whether an edit makes sense; the watermark's file is read.
///
/// # Errors
/// [`ErrorKind::Config`], with the key as subject and what to do.
pub fn check(edit: &EditSpec) -> Result<()> {
    check_values(edit)?;
    edit.watermark.as_ref().map_or(Ok(()), |mark| marks::read_png(&mark.image).map(drop))
}

/// As [`check`], without reading the watermark's file.
pub(super) fn check_values(edit: &EditSpec) -> Result<()> {
    if let Some(crop) = edit.crop
        && (crop.width < 2 || crop.height < 2)
    {
        let message = format!("{}x{} keeps nothing; ask for at least 2x2 pixels", crop.width, crop.height);
        return Err(wrong("crop", message));
    }
    for (i, mask) in edit.masks.iter().enumerate() {
        check_mask(i, mask)?;
    }
    if let Some(mark) = &edit.watermark {
        size_share("watermark.width", mark.width)?;
        share("watermark.opacity", mark.opacity)?;
    }
    if let Some(label) = &edit.label {
        size_share("label.height", label.height)?;
        if label.text.trim().is_empty() {
            return Err(wrong("label.text", "is empty; write a text or leave the label out".into()));
        }
    }
    edit.time_code.as_ref().map_or(Ok(()), |code| size_share("time_code.height", code.height))
}

fn check_mask(i: usize, mask: &Mask) -> Result<()> {
    if mask.polygon.len() < 3 {
        let message = format!("has {} corners; a polygon has at least three", mask.polygon.len());
        return Err(wrong(format!("masks[{i}].polygon"), message));
    }
    for (corner, (x, y)) in mask.polygon.iter().enumerate() {
        share(format!("masks[{i}].polygon[{corner}].x"), *x)?;
        share(format!("masks[{i}].polygon[{corner}].y"), *y)?;
    }
    let from = mask.from.unwrap_or_default();
    match mask.to {
        Some(to) if to <= from => {
            let message = format!("ends at {to:?} but begins at {from:?}; let it end after it begins");
            Err(wrong(format!("masks[{i}].to"), message))
        }
        _ => Ok(()),
    }
}

fn share(key: impl Into<String>, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(wrong(key, format!("is {value}; give a share of the picture from 0 to 1")))
}

fn size_share(key: &str, value: f64) -> Result<()> {
    share(key, value)?;
    if value > 0.0 { Ok(()) } else { Err(wrong(key, "is 0; give more, or leave it out".into())) }
}

fn wrong(key: impl Into<String>, message: String) -> Error {
    Error::new(ErrorKind::Config, key.into(), message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::transcode::spec::{Corner, CropRect, Label, MaskStyle, TimeCode, TimeCodeStart, Watermark};

    fn masked(polygon: &[(f64, f64)], to: Option<u64>) -> EditSpec {
        let mask = Mask {
            polygon: polygon.to_vec(),
            style: MaskStyle::Black,
            from: Some(Duration::from_secs(5)),
            to: to.map(Duration::from_secs),
        };
        EditSpec { masks: vec![mask], ..EditSpec::default() }
    }

    fn marked(image: &str, width: f64, opacity: f64) -> EditSpec {
        let mark = Watermark { image: image.into(), corner: Corner::TopLeft, width, opacity };
        EditSpec { watermark: Some(mark), ..EditSpec::default() }
    }

    #[test]
    fn every_wrong_value_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = folder.path().join("text.png");
        std::fs::write(&text, "not a picture").expect("a file");
        let text = text.to_str().expect("a name in UTF-8");
        let triangle = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)];
        let label = |text: &str, height| EditSpec {
            label: Some(Label { text: text.into(), corner: Corner::TopLeft, height }),
            ..EditSpec::default()
        };
        let code = TimeCode { start: TimeCodeStart::Zero, corner: Corner::TopLeft, height: 1.5 };
        let crop = CropRect { x: 0, y: 0, width: 100, height: 0 };
        for (edit, key) in [
            (EditSpec { crop: Some(crop), ..EditSpec::default() }, "crop"),
            (masked(&triangle[..2], None), "masks[0].polygon"),
            (masked(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.01)], None), "masks[0].polygon[2].y"),
            (masked(&[(0.0, 0.0), (f64::NAN, 0.0), (1.0, 1.0)], None), "masks[0].polygon[1].x"),
            (masked(&triangle, Some(5)), "masks[0].to"),
            (marked("/nowhere/logo.png", 0.1, 1.0), "watermark.image"),
            (marked(text, 0.1, 1.0), "watermark.image"),
            (marked(text, 0.0, 1.0), "watermark.width"),
            (marked(text, 0.1, -0.1), "watermark.opacity"),
            (label("  ", 0.1), "label.text"),
            (label("Bourse", f64::INFINITY), "label.height"),
            (EditSpec { time_code: Some(code), ..EditSpec::default() }, "time_code.height"),
        ] {
            let error = check(&edit).expect_err(key);
            assert_eq!((error.subject(), error.kind()), (key, ErrorKind::Config));
            assert!(error.message().contains(';'), "{error} has no remedy");
        }
        check(&masked(&triangle, Some(6))).expect("a right mask");
        check(&EditSpec::default()).expect("nothing is right");
    }
}
