//! The values that keys of a job file take, beside those of wall files: times of a recording, rates,
//! sizes in bytes, crops, masks, ladders.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::super::leaf::{Value, refuse, word, words};
use super::super::measures::{duration, numbers};
use super::super::read::{At, Key, Leaf, WireTable};
use super::super::report::{Report, quoted};
use super::spec::{Container, Existing};
use super::wire::{LabelTable, MaskTable, TimeCodeTable, WatermarkTable};
use crate::encode::EncoderChoice;
use crate::transcode::spec::{Corner, CropRect, Deinterlace, MaskStyle, Rotation, TimeCodeStart, Verify};

/// A time of a recording, or a length of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time(pub Duration);

impl Leaf for Time {
    fn kind() -> String {
        "a time, as \"90s\", \"1:02:03.5\" or 90 (seconds)".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<Time> {
        let read = match value.get_ref() {
            DeValue::String(text) => time(text),
            DeValue::Integer(number) if number.radix() == 10 => time(number.as_str()),
            DeValue::Float(number) => time(number.as_str()),
            _ => return refuse(value, key, &Self::kind(), report),
        };
        or_refuse(read.map(Time), value, key, report)
    }
}

/// `90`, `90s`, `1.5m`, `2:03`, `1:02:03.5`.
fn time(text: &str) -> Option<Duration> {
    let text = text.trim();
    if !text.contains(':') {
        return duration(text).or_else(|| seconds(text));
    }
    let (clock, last) = text.rsplit_once(':')?;
    let (hours, minutes) = clock.split_once(':').unwrap_or(("0", clock));
    let whole = |text: &str| Some(text).filter(|t| digits(t)).and_then(|t| t.parse::<u32>().ok());
    let (hours, minutes, rest) = (whole(hours)?, whole(minutes)?, seconds(last)?);
    let in_range = minutes < 60 && rest < Duration::from_secs(60) && hours < 10_000;
    in_range.then(|| Duration::from_secs(u64::from(hours) * 3600 + u64::from(minutes) * 60) + rest)
}

fn seconds(text: &str) -> Option<Duration> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if plain { duration(&format!("{text}s")) } else { None }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Notes a value that cannot be read as what its key takes.
fn or_refuse<T: Leaf>(read: Option<T>, value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<T> {
    if read.is_none() {
        let what = match value.get_ref() {
            DeValue::String(text) => format!("{} is not {}", quoted(text), T::kind()),
            _ => format!("must be {}", T::kind()),
        };
        report.add(&value.span(), key, what);
    }
    read
}

/// A number with a unit of thousands, as people write it; `binary` allows `Ki`, `Mi`, `Gi`.
fn scaled(text: &str, binary: bool) -> Option<f64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim();
    let unit = if binary { unit.strip_suffix('B').unwrap_or(unit) } else { unit };
    let factor = match (unit, binary) {
        ("", _) => 1.0,
        ("k" | "K", _) => 1e3,
        ("M" | "m", _) => 1e6,
        ("G" | "g", _) => 1e9,
        ("Ki", true) => 1024.0,
        ("Mi", true) => 1024.0 * 1024.0,
        ("Gi", true) => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

fn text_or_number(value: &Value<'_>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// Kilobits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BitRate(pub u32);

impl Leaf for BitRate {
    fn kind() -> String {
        "bits a second, as \"4M\", \"800k\" or 2500000".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<BitRate> {
        let Some(text) = text_or_number(value) else { return refuse(value, key, &Self::kind(), report) };
        or_refuse(bit_rate(&text).map(BitRate), value, key, report)
    }
}

fn bit_rate(text: &str) -> Option<u32> {
    let kbps = (scaled(text, false)? / 1000.0).round();
    (1.0..=1e9).contains(&kbps).then_some(kbps as u32)
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteSize(pub u64);

impl Leaf for ByteSize {
    fn kind() -> String {
        "bytes, as \"100M\", \"1.5GB\", \"700MiB\" or 100000000".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<ByteSize> {
        let Some(text) = text_or_number(value) else { return refuse(value, key, &Self::kind(), report) };
        let bytes = scaled(&text, true).filter(|bytes| (0.0..=1e15).contains(bytes));
        or_refuse(bytes.map(|bytes| ByteSize(bytes.round() as u64)), value, key, report)
    }
}

impl Leaf for CropRect {
    fn kind() -> String {
        "pixels from the left, from the top, wide and high, as [16, 0, 640, 480] or \"16,0,640x480\"".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<CropRect> {
        let [x, y, width, height] = match value.get_ref() {
            DeValue::String(text) => {
                let numbers: Option<Vec<u32>> =
                    text.split([',', 'x']).map(|n| n.trim().parse().ok()).collect();
                match numbers.and_then(|n| <[u32; 4]>::try_from(n).ok()) {
                    Some(numbers) => numbers,
                    None => return or_refuse(None, value, key, report),
                }
            }
            _ => numbers::<u32, 4>(value, key, &Self::kind(), report)?,
        };
        if x.checked_add(width).is_none() || y.checked_add(height).is_none() {
            report.add(&value.span(), key, "reaches beyond what pixels can count");
            return None;
        }
        if width < 2 || height < 2 {
            report.add(&value.span(), key, "keeps nothing: take at least 2 pixels each way");
            return None;
        }
        Some(CropRect { x, y, width, height })
    }
}

/// Quarter turns, by their degrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn(pub Rotation);

impl Leaf for Turn {
    fn kind() -> String {
        "degrees: 0, 90, 180 or 270".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<Turn> {
        let Some(text) = text_or_number(value) else { return refuse(value, key, &Self::kind(), report) };
        let turn = match text.trim() {
            "0" => Some(Rotation::None),
            "90" => Some(Rotation::Right),
            "180" => Some(Rotation::Half),
            "270" => Some(Rotation::Left),
            _ => None,
        };
        or_refuse(turn.map(Turn), value, key, report)
    }
}

/// A size of a ladder: lines, and kilobits a second where they are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    pub lines: u32,
    pub kbps: Option<u32>,
}

/// The sizes of a ladder.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ladder(pub Vec<At<Rung>>);

impl Leaf for Ladder {
    fn kind() -> String {
        "lines and rates, as \"1080:5M,720:3M,480:1200k\" or a list of such texts".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<Ladder> {
        match value.get_ref() {
            DeValue::String(text) => {
                let rungs: Option<Vec<Rung>> = text.split(',').map(rung).collect();
                let at = |rung| At::new(rung, value.span());
                or_refuse(rungs.map(|r| Ladder(r.into_iter().map(at).collect())), value, key, report)
            }
            DeValue::Array(_) => Leaf::read(value, key, report).map(Ladder),
            _ => refuse(value, key, &Self::kind(), report),
        }
    }
}

impl Leaf for Rung {
    fn kind() -> String {
        "lines and a rate, as \"720:3M\"".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<Rung> {
        let Some(text) = text_or_number(value) else { return refuse(value, key, &Self::kind(), report) };
        or_refuse(rung(&text), value, key, report)
    }
}

/// `720:3M`, `720`, and `p` behind the lines.
fn rung(text: &str) -> Option<Rung> {
    let (lines, rate) = match text.trim().split_once(':') {
        Some((lines, rate)) => (lines, Some(bit_rate(rate)?)),
        None => (text.trim(), None),
    };
    let lines = lines.trim().trim_end_matches('p');
    Some(Rung { lines: Some(lines).filter(|l| digits(l))?.parse().ok()?, kbps: rate })
}

/// Corners of a mask, in shares of the picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Points(pub Vec<(f64, f64)>);

impl Leaf for Points {
    fn kind() -> String {
        "points in shares of the picture, as [[0.1, 0.2], [0.3, 0.4]] or \"0.1,0.2 0.3,0.4\"".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<Points> {
        match value.get_ref() {
            DeValue::String(text) => or_refuse(points(text), value, key, report),
            DeValue::Array(items) => {
                let read = |(i, item): (usize, &Value<'_>)| {
                    let [x, y] = numbers::<f64, 2>(item, &format!("{key}[{i}]"), "[x, y]", report)?;
                    Some((x, y))
                };
                // All of them are looked at, so that all that is wrong is said.
                let read: Vec<Option<(f64, f64)>> = items.iter().enumerate().map(read).collect();
                read.into_iter().collect::<Option<Vec<_>>>().map(Points)
            }
            _ => refuse(value, key, &Self::kind(), report),
        }
    }
}

fn points(text: &str) -> Option<Points> {
    let point = |word: &str| {
        let (x, y) = word.split_once(',')?;
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
        Some((number(x)?, number(y)?))
    };
    let list: Option<Vec<(f64, f64)>> = text.split_whitespace().map(point).collect();
    list.filter(|list| !list.is_empty()).map(Points)
}

/// What a time code shows at the first picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StartOfTime(pub TimeCodeStart);

impl Leaf for StartOfTime {
    fn kind() -> String {
        "\"zero\", or an instant with its zone, as \"2026-11-24T10:00:00Z\"".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<StartOfTime> {
        let read = match value.get_ref() {
            DeValue::String(text) => start_of_time(text),
            DeValue::Datetime(instant) => start_of_time(&instant.to_string()),
            _ => return refuse(value, key, &Self::kind(), report),
        };
        or_refuse(read, value, key, report)
    }
}

fn start_of_time(text: &str) -> Option<StartOfTime> {
    if text.trim() == "zero" {
        return Some(StartOfTime(TimeCodeStart::Zero));
    }
    let instant: jiff::Timestamp = text.trim().parse().ok()?;
    Some(StartOfTime(TimeCodeStart::Utc(i64::try_from(instant.as_nanosecond()).ok()?)))
}

/// A table of keys, or one text that stands for its first key.
macro_rules! table_or_text {
    ($($table:ident: $first:ident, $kind:literal;)*) => {$(
        impl Leaf for $table {
            fn kind() -> String {
                $kind.into()
            }
            fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<$table> {
                match value.get_ref() {
                    DeValue::Table(table) => {
                        Some(<$table as WireTable>::read(table, value.span(), key.to_owned(), report))
                    }
                    DeValue::String(_) | DeValue::Datetime(_) => {
                        let first = Leaf::read(value, key, report)?;
                        Some($table {
                            here: value.span(),
                            path: key.to_owned(),
                            $first: Some(At::new(first, value.span())),
                            ..$table::default()
                        })
                    }
                    _ => refuse(value, key, &Self::kind(), report),
                }
            }
        }
    )*};
}

table_or_text! {
    LabelTable: text, "text, or a table";
    TimeCodeTable: start, "\"zero\", an instant as \"2026-11-24T10:00:00Z\", or a table";
    WatermarkTable: image, "a file's name, or a table";
}

impl Leaf for MaskTable {
    fn kind() -> String {
        "a table, or points with time and style, as \"0.1,0.2 0.3,0.4@10-20:mosaic\"".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<MaskTable> {
        match value.get_ref() {
            DeValue::Table(table) => {
                Some(<MaskTable as WireTable>::read(table, value.span(), key.to_owned(), report))
            }
            DeValue::String(text) => or_refuse(mask(text, &value.span(), key), value, key, report),
            _ => refuse(value, key, &Self::kind(), report),
        }
    }
    fn of_text(text: &str, span: &Range<usize>, key: Key<'_>, report: &mut Report<'_>) -> Option<MaskTable> {
        let value = Spanned::new(span.clone(), DeValue::String(text.into()));
        <MaskTable as Leaf>::read(&value, &String::from(key), report)
    }
}

/// `x,y x,y x,y[@from-to][:black|:mosaic]`.
fn mask(text: &str, span: &Range<usize>, key: &str) -> Option<MaskTable> {
    let at = |time: Duration| At::new(Time(time), span.clone());
    let text = text.trim();
    let (text, style) = match (text.strip_suffix(":mosaic"), text.strip_suffix(":black")) {
        (Some(text), _) => (text, Some(MaskStyle::Mosaic)),
        (_, Some(text)) => (text, Some(MaskStyle::Black)),
        _ => (text, None),
    };
    let (text, from, to) = match text.split_once('@') {
        Some((text, times)) => {
            let (from, to) = times.split_once('-')?;
            let end = |text: &str| match text.trim() {
                "" => Some(None),
                text => time(text).map(Some),
            };
            (text, end(from)?, end(to)?)
        }
        None => (text, None, None),
    };
    Some(MaskTable {
        here: span.clone(),
        path: key.to_owned(),
        points: Some(At::new(points(text)?, span.clone())),
        style: style.map(|style| At::new(style, span.clone())),
        from: from.map(at),
        to: to.map(at),
        ..MaskTable::default()
    })
}

/// What may be asked for as a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodecChoice {
    H264,
    H265,
    Av1,
    Copy,
}

/// Where a cut may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Exact,
    KeyFrame,
}

/// What becomes of another aspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Pad,
    Fill,
    Stretch,
}

/// Who encodes a job: as for a wall, but software comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JobEncoder(pub EncoderChoice);

/// What becomes of the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AudioChoice {
    Auto,
    Copy,
    Aac,
    Drop,
}

words! {
    CodecChoice: "h264" => CodecChoice::H264, "h265" => CodecChoice::H265, "av1" => CodecChoice::Av1,
        "copy" => CodecChoice::Copy;
    Cut: "exact" => Cut::Exact, "keyframe" => Cut::KeyFrame;
    Fit: "pad" => Fit::Pad, "fill" => Fit::Fill, "stretch" => Fit::Stretch;
    AudioChoice: "auto" => AudioChoice::Auto, "copy" => AudioChoice::Copy, "aac" => AudioChoice::Aac,
        "drop" => AudioChoice::Drop;
    Container: "mp4" => Container::Mp4, "mkv" => Container::Mkv, "ts" => Container::Ts,
        "mov" => Container::Mov;
    Existing: "fail" => Existing::Fail, "skip" => Existing::Skip, "replace" => Existing::Replace;
    Deinterlace: "auto" => Deinterlace::Auto, "always" => Deinterlace::Always,
        "never" => Deinterlace::Never;
    JobEncoder: "software" => JobEncoder(EncoderChoice::Software), "auto" => JobEncoder(EncoderChoice::Auto),
        "nvenc" => JobEncoder(EncoderChoice::Nvenc), "va" => JobEncoder(EncoderChoice::Va),
        "qsv" => JobEncoder(EncoderChoice::Qsv);
    Verify: "full" => Verify::Full, "ends" => Verify::Ends, "none" => Verify::None;
    MaskStyle: "black" => MaskStyle::Black, "mosaic" => MaskStyle::Mosaic;
    Corner: "top-left" => Corner::TopLeft, "top-right" => Corner::TopRight,
        "bottom-left" => Corner::BottomLeft, "bottom-right" => Corner::BottomRight;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let ms = |text| time(text).map(|t| t.as_millis());
        assert_eq!(ms("90"), Some(90_000));
        assert_eq!(ms("1.5m"), Some(90_000));
        assert_eq!(ms("2:03"), Some(123_000));
        assert_eq!(ms("1:02:03.5"), Some(3_723_500));
        assert_eq!(ms("00:00:00"), Some(0));
        for wrong in ["", "soon", "-1", "1:60", "1:2:3:4", ":", "1:-2", "1e3", "nan", "inf", "1:+2"] {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rates_and_sizes_as_people_write_them() {
        assert_eq!(
            [bit_rate("4M"), bit_rate("800k"), bit_rate("2500000")],
            [Some(4000), Some(800), Some(2500)]
        );
        assert!(bit_rate("fast").is_none() && bit_rate("0").is_none() && bit_rate("4MiB").is_none());
        assert_eq!(scaled("1.5GB", true), Some(1.5e9));
        assert_eq!(scaled("700 MiB", true), Some(700.0 * 1_048_576.0));
        assert_eq!(scaled("many", true), None);
    }

    #[test]
    fn masks_as_people_write_them() {
        let read = mask("0.1,0.2 0.3,0.4 0.5,0.9@1:00-2:00:mosaic", &(0..0), "mask").expect("a mask");
        assert_eq!(read.points.expect("points").value.0, [(0.1, 0.2), (0.3, 0.4), (0.5, 0.9)]);
        assert_eq!(read.style.expect("style").value, MaskStyle::Mosaic);
        assert_eq!(read.from.expect("from").value.0, Duration::from_secs(60));
        assert_eq!(read.to.expect("to").value.0, Duration::from_secs(120));
        let open = mask("0,0 1,1@-30s", &(0..0), "mask").expect("a mask");
        assert!(open.from.is_none() && open.to.is_some() && open.style.is_none());
        for wrong in ["", "0,0 1", "0,0 1,1@5", "0,0 1,1@a-b", "0,0 1,1:blur", "nan,0 1,1"] {
            assert!(mask(wrong, &(0..0), "mask").is_none(), "{wrong}");
        }
    }
}
