//! What is put over the pictures of a task: masks, label, time code, watermark.

use super::super::check::value_or;
use super::super::read::{At, join};
use super::super::report::Report;
use super::check::Order;
use super::leaf::StartOfTime;
use super::wire::MaskTable;
use crate::transcode::spec::{Corner, Label, Mask, TimeCode, TimeCodeStart, Watermark};

/// Letters of a label.
const MAX_LABEL: usize = 200;
/// Masks of one picture, and corners of one mask: far more than anybody draws.
const MAX_MASKS: usize = 1000;
/// Height of a line of text as a share of the picture's.
const LINE: f64 = 0.04;

pub(super) fn masks(order: &Order<'_>, report: &mut Report<'_>) -> Vec<Mask> {
    let Some(list) = &order.table.mask else { return Vec::new() };
    if list.value.len() > MAX_MASKS {
        report.add(&list.span, order.key("mask"), format!("has more than {MAX_MASKS} regions"));
        return Vec::new();
    }
    list.value.iter().filter_map(|mask| check_mask(mask, report)).collect()
}

fn check_mask(mask: &At<MaskTable>, report: &mut Report<'_>) -> Option<Mask> {
    let table = &mask.value;
    let Some(points) = &table.points else {
        if !table.given.contains(&"points") {
            report.add_with(&mask.span, join(&table.path, "points"), "is missing", "name its corners");
        }
        return None;
    };
    let key = join(&table.path, "points");
    let list = &points.value.0;
    if list.len() < 2 || list.len() > MAX_MASKS {
        let message = format!("has {} points, of 2 to {MAX_MASKS}", list.len());
        report.add_with(
            &points.span,
            key,
            message,
            "two opposite corners of a rectangle, or all of a polygon",
        );
        return None;
    }
    let share = 0.0..=1.0;
    if !list.iter().all(|(x, y)| share.contains(x) && share.contains(y)) {
        let message = "reaches out of the picture: shares are 0 to 1, from the left and from the top";
        report.add(&points.span, key, message);
        return None;
    }
    let polygon = match list.as_slice() {
        [(x0, y0), (x1, y1)] => vec![(*x0, *y0), (*x1, *y0), (*x1, *y1), (*x0, *y1)],
        corners => corners.to_vec(),
    };
    if on_a_line(&polygon) {
        report.add(&points.span, key, "covers nothing: its corners are on one line");
        return None;
    }
    let (from, to) = (table.from.as_ref().map(|at| at.value.0), table.to.as_ref().map(|at| at.value.0));
    if let Some(given) = &table.to
        && given.value.0 <= from.unwrap_or_default()
    {
        report.add(&given.span, join(&table.path, "to"), "must be later than from");
    }
    Some(Mask { polygon, style: value_or(&table.style, Default::default()), from, to })
}

fn on_a_line(corners: &[(f64, f64)]) -> bool {
    let Some(&(x0, y0)) = corners.first() else { return true };
    let far = |(x, y): &(f64, f64)| (x - x0).hypot(y - y0);
    let Some(&(x1, y1)) = corners.iter().max_by(|a, b| far(a).total_cmp(&far(b))) else { return true };
    // Twice the area of the triangle with each other corner; the unit is the picture.
    corners.iter().all(|(x, y)| ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)).abs() < 1e-9)
}

/// A share, its default and its lower bound; 1 or `most` at most.
fn share(given: &Option<At<f64>>, usual: f64, most: f64, key: String, report: &mut Report<'_>) -> f64 {
    if let Some(given) = given
        && !(0.01..=most).contains(&given.value)
    {
        report.add(&given.span, key, format!("is out of range: 0.01 to {most}"));
    }
    value_or(given, usual)
}

pub(super) fn label(order: &Order<'_>, report: &mut Report<'_>) -> Option<Label> {
    let at = order.table.label.as_ref()?;
    let table = &at.value;
    let height = share(&table.height, LINE, 0.5, join(&table.path, "height"), report);
    let Some(text) = &table.text else {
        if !table.given.contains(&"text") {
            report.add(&at.span, join(&table.path, "text"), "is missing");
        }
        return None;
    };
    let key = || join(&table.path, "text");
    if text.value.trim().is_empty() {
        report.add(&text.span, key(), "is empty");
    } else if text.value.chars().count() > MAX_LABEL {
        report.add(&text.span, key(), format!("is longer than {MAX_LABEL} letters"));
    } else if text.value.chars().any(char::is_control) {
        report.add(&text.span, key(), "has more than one line, or a letter that cannot be shown");
    }
    Some(Label { text: text.value.clone(), corner: value_or(&table.corner, LABEL), height })
}

pub(super) fn time_code(order: &Order<'_>, report: &mut Report<'_>) -> Option<TimeCode> {
    let table = &order.table.time_code.as_ref()?.value;
    Some(TimeCode {
        start: value_or(&table.start, StartOfTime(TimeCodeStart::Zero)).0,
        corner: value_or(&table.corner, TIME_CODE),
        height: share(&table.height, LINE, 0.5, join(&table.path, "height"), report),
    })
}

pub(super) fn watermark(order: &Order<'_>, report: &mut Report<'_>) -> Option<Watermark> {
    let at = order.table.watermark.as_ref()?;
    let table = &at.value;
    let width = share(&table.width, 0.15, 1.0, join(&table.path, "width"), report);
    let opacity = share(&table.opacity, 1.0, 1.0, join(&table.path, "opacity"), report);
    let Some(image) = &table.image else {
        if !table.given.contains(&"image") {
            report.add_with(&at.span, join(&table.path, "image"), "is missing", "name a PNG file");
        }
        return None;
    };
    if !image.value.to_ascii_lowercase().ends_with(".png") {
        let message = "does not end in .png; other pictures cannot be read";
        report.add(&image.span, join(&table.path, "image"), message);
    }
    let corner = value_or(&table.corner, WATERMARK);
    Some(Watermark { image: order.folder.join(&image.value), corner, width, opacity })
}

/// Where marks go if nobody says where: each in a corner of its own.
const LABEL: Corner = Corner::TopLeft;
const TIME_CODE: Corner = Corner::BottomLeft;
const WATERMARK: Corner = Corner::TopRight;

/// Two marks in one corner would make each other unreadable.
pub(super) fn in_different_corners(order: &Order<'_>, report: &mut Report<'_>) {
    let table = order.table;
    let label = table.label.as_ref().map(|at| ("label", &at.span, value_or(&at.value.corner, LABEL)));
    let time_code =
        table.time_code.as_ref().map(|at| ("time_code", &at.span, value_or(&at.value.corner, TIME_CODE)));
    let watermark =
        table.watermark.as_ref().map(|at| ("watermark", &at.span, value_or(&at.value.corner, WATERMARK)));
    let marks: Vec<_> = [label, time_code, watermark].into_iter().flatten().collect();
    for (i, (name, span, corner)) in marks.iter().enumerate() {
        if let Some((other, ..)) = marks[..i].iter().find(|(_, _, taken)| taken == corner) {
            let message = format!("is in the same corner as {other}");
            report.add_with(span, order.key(name), message, "give one of them another corner");
        }
    }
}
