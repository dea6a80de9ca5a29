//! The values of keys that measure: rectangles and parts of pictures, sizes, rates, durations, colours.

use std::ops::Range;
use std::time::Duration;

use toml::de::DeValue;

use super::leaf::{Value, decimal_point, refuse};
use super::read::{At, Key, Leaf};
use super::report::{Report, quoted};
use crate::composite::Yuv;
use crate::media::{PixelRect, Ratio, Region};

/// Exactly `N` numbers.
pub(super) fn numbers<T: Leaf + Copy, const N: usize>(
    value: &Value<'_>,
    key: &str,
    kind: &str,
    report: &mut Report<'_>,
) -> Option<[T; N]> {
    if !matches!(value.get_ref(), DeValue::Array(items) if items.len() == N) {
        return match value.get_ref() {
            DeValue::Array(items) => {
                report.add(
                    &value.span(),
                    key,
                    format!("has {} of {N} numbers, and must be {kind}", items.len()),
                );
                None
            }
            _ => refuse(value, key, kind, report),
        };
    }
    let list: Vec<At<T>> = Leaf::read(value, key, report)?;
    list.iter().map(|n| n.value).collect::<Vec<T>>().try_into().ok()
}

/// A pixel rectangle; `x + width` and `y + height` fit in `u32`.
impl Leaf for PixelRect {
    fn kind() -> String {
        "[x, y, width, height] in pixels".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<PixelRect> {
        let [x, y, width, height] = numbers::<u32, 4>(value, key, &Self::kind(), report)?;
        if x.checked_add(width).is_none() || y.checked_add(height).is_none() {
            report.add(&value.span(), key, "reaches beyond what pixels can count");
            return None;
        }
        Some(PixelRect::new(x, y, width, height))
    }
}

/// A part of a picture.
impl Leaf for Region {
    fn kind() -> String {
        "[x, y, width, height] in fractions of the picture, 0 to 1".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<Region> {
        let numbers = numbers::<f32, 4>(value, key, &Self::kind(), report)?;
        region(numbers, &value.span(), key, report)
    }
    fn of_text(text: &str, span: &Range<usize>, key: Key<'_>, report: &mut Report<'_>) -> Option<Region> {
        let words = text.trim_matches(['[', ']']).split([' ', ',']).filter(|word| !word.is_empty());
        let read: Option<Vec<f32>> = words.map(|n| n.parse().ok().filter(|n: &f32| n.is_finite())).collect();
        let Some(numbers) = read.and_then(|n| <[f32; 4]>::try_from(n).ok()) else {
            let message = format!("{} is not four numbers \"x y width height\", 0 to 1", quoted(text));
            report.add(span, key, message);
            return None;
        };
        region(numbers, span, key, report)
    }
}

fn region(
    [x, y, width, height]: [f32; 4],
    span: &Range<usize>,
    key: impl Into<String>,
    report: &mut Report<'_>,
) -> Option<Region> {
    // 0.7 + 0.3 is a little more than 1 in binary.
    let inside = |start: f32, length: f32| start >= 0.0 && length > 0.0 && start + length <= 1.0 + 1e-6;
    if !inside(x, width) || !inside(y, height) {
        report.add_with(
            span,
            key,
            "does not lie in the picture",
            "x and y from 0, width and height above 0, x + width and y + height at most 1",
        );
        return None;
    }
    Some(Region { x, y, width, height })
}

/// Two numbers, `AxB`, `A,B` or `[A, B]`.
fn pair(
    value: &Value<'_>,
    key: &str,
    between: char,
    kind: &str,
    report: &mut Report<'_>,
) -> Option<[u32; 2]> {
    let DeValue::String(text) = value.get_ref() else { return numbers::<u32, 2>(value, key, kind, report) };
    let read = text
        .split_once(between)
        .and_then(|(a, b)| Some([a.trim().parse::<u32>().ok()?, b.trim().parse::<u32>().ok()?]));
    if read.is_none() {
        report.add(&value.span(), key, format!("{} is not {kind}", quoted(text)));
    }
    read
}

macro_rules! pairs {
    ($($(#[$doc:meta])* $name:ident, $between:literal, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) struct $name(pub u32, pub u32);
        impl Leaf for $name {
            fn kind() -> String {
                $kind.into()
            }
            fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<$name> {
                let [a, b] = pair(value, key, $between, $kind, report)?;
                Some($name(a, b))
            }
        }
    )*};
}

pairs! {
    /// Columns and rows.
    GridSize, 'x', "columns and rows, as \"4x4\" or [4, 4]";
    /// Width and height in pixels.
    PixelSize, 'x', "width and height in pixels, as \"1920x1080\" or [1920, 1080]";
    /// A point on the wall plane.
    Point, ',', "left and upper edge in pixels, as [1920, 0] or \"1920,0\"";
    /// Column and row of a cell, from 0.
    CellAt, ',', "column and row from 0, as [2, 1] or \"2,1\"";
    /// Columns and rows of a span.
    CellSpan, 'x', "columns and rows, as [2, 2] or \"2x2\"";
}

/// Pictures per second.
impl Leaf for Ratio {
    fn kind() -> String {
        "pictures per second, as 25, 12.5 or \"30000/1001\"".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<Ratio> {
        let ratio = match value.get_ref() {
            DeValue::Integer(number) => {
                u32::from_str_radix(number.as_str(), number.radix()).ok().and_then(|n| Ratio::new(n, 1))
            }
            DeValue::Float(number) => decimal_ratio(number.as_str()),
            DeValue::String(text) => text_ratio(text),
            _ => return refuse(value, key, &Self::kind(), report),
        };
        if ratio.is_none() {
            report.add(&value.span(), key, format!("must be {}", Self::kind()));
        }
        ratio
    }
    fn of_text(text: &str, span: &Range<usize>, key: Key<'_>, report: &mut Report<'_>) -> Option<Ratio> {
        let ratio = text_ratio(&decimal_point(text));
        if ratio.is_none() {
            report.add(span, key, format!("{} is not {}", quoted(text), Self::kind()));
        }
        ratio
    }
}

/// `25`, `12.5` or `30000/1001`.
pub(super) fn text_ratio(text: &str) -> Option<Ratio> {
    match text.split_once('/') {
        Some((num, den)) => Ratio::new(num.trim().parse().ok()?, den.trim().parse().ok()?),
        None => decimal_ratio(text.trim()),
    }
}

fn decimal_ratio(text: &str) -> Option<Ratio> {
    let number: f64 = text.parse().ok()?;
    if !(number > 0.0 && number < 1e6) {
        return None;
    }
    let thousandths = (number * 1000.0).round() as u32;
    let divisor = gcd(thousandths, 1000);
    Ratio::new(thousandths / divisor, 1000 / divisor)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Leaf for Duration {
    fn kind() -> String {
        "a duration with its unit, as \"2s\" or \"400ms\"".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<Duration> {
        let DeValue::String(text) = value.get_ref() else { return refuse(value, key, &Self::kind(), report) };
        let read = duration(text);
        if read.is_none() {
            report.add(&value.span(), key, format!("{} is not {}", quoted(text), Self::kind()));
        }
        read
    }
}

/// A duration with its unit: `400ms`, `2s`, `1.5m` or `1min`, `2h`. Used for files and the command line.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit.trim_start() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    (number <= 1e9).then(|| Duration::from_micros((number * seconds * 1e6).round() as u64))
}

/// A duration, or `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OrNever(pub Option<Duration>);

impl Leaf for OrNever {
    fn kind() -> String {
        "a duration with its unit, as \"10s\", or \"never\"".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<OrNever> {
        match value.get_ref() {
            DeValue::String(text) if text == "never" => Some(OrNever(None)),
            DeValue::String(text) => match duration(text) {
                Some(read) => Some(OrNever(Some(read))),
                None => {
                    report.add(&value.span(), key, format!("{} is not {}", quoted(text), Self::kind()));
                    None
                }
            },
            _ => refuse(value, key, &Self::kind(), report),
        }
    }
}

impl Leaf for Yuv {
    fn kind() -> String {
        "a colour, as \"#rrggbb\"".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<Yuv> {
        let DeValue::String(text) = value.get_ref() else { return refuse(value, key, &Self::kind(), report) };
        let rgb = text
            .strip_prefix('#')
            .filter(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let Some(rgb) = rgb else {
            report.add(&value.span(), key, format!("{} is not {}", quoted(text), Self::kind()));
            return None;
        };
        let [_, r, g, b] = rgb.to_be_bytes();
        Some(Yuv::from_rgb(r, g, b))
    }
}
