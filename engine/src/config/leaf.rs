//! The values that keys take: text, numbers, lists, words of a choice. What measures is in `measures`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::read::{At, Key, Leaf, WireTable, wrong_type};
use super::report::{Report, did_you_mean, quoted};
use super::wire::ProfileTable;
use crate::composite::Backend;
use crate::composite::{Corner, Language, TextPlace};
use crate::encode::EncoderChoice;
use crate::media::{Codec, FitMode};
use crate::scene::Preset;
use crate::source::{RtspClient, Transport};

pub(super) type Value<'t> = Spanned<DeValue<'t>>;

impl Leaf for String {
    fn kind() -> String {
        "text".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => refuse(value, key, &Self::kind(), report),
        }
    }
    fn of_text(text: &str, _: &Range<usize>, _: Key<'_>, _: &mut Report<'_>) -> Option<String> {
        Some(text.to_owned())
    }
}

impl Leaf for bool {
    fn kind() -> String {
        "true or false".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<bool> {
        match value.get_ref() {
            DeValue::Boolean(yes) => Some(*yes),
            _ => refuse(value, key, &Self::kind(), report),
        }
    }
    fn of_text(text: &str, span: &Range<usize>, key: Key<'_>, report: &mut Report<'_>) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Some(true),
            "false" | "no" | "0" => Some(false),
            _ => {
                report.add(span, key, format!("{} is neither true nor false", quoted(text)));
                None
            }
        }
    }
}

impl Leaf for u32 {
    fn kind() -> String {
        "a whole number".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<u32> {
        match value.get_ref() {
            DeValue::Integer(number) => {
                let read = u32::from_str_radix(number.as_str(), number.radix()).ok();
                if read.is_none() {
                    report.add(&value.span(), key, "is out of range: 0 to 4294967295");
                }
                read
            }
            _ => refuse(value, key, &Self::kind(), report),
        }
    }
    fn of_text(text: &str, span: &Range<usize>, key: Key<'_>, report: &mut Report<'_>) -> Option<u32> {
        let read = text.parse().ok();
        if read.is_none() {
            report.add(span, key, format!("{} is not {}", quoted(text), Self::kind()));
        }
        read
    }
}

impl Leaf for f64 {
    fn kind() -> String {
        "a number".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<f64> {
        let read = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse::<f64>().ok(),
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            _ => return refuse(value, key, &Self::kind(), report),
        };
        let finite = read.filter(|n| n.is_finite());
        if finite.is_none() {
            report.add(&value.span(), key, "is not a finite number");
        }
        finite
    }
    fn of_text(text: &str, span: &Range<usize>, key: Key<'_>, report: &mut Report<'_>) -> Option<f64> {
        let read = decimal_point(text).parse::<f64>().ok().filter(|n| n.is_finite());
        if read.is_none() {
            report.add(span, key, format!("{} is not {}", quoted(text), Self::kind()));
        }
        read
    }
}

/// `50,85` as `50.85`: spreadsheets write the comma where the country does.
pub(super) fn decimal_point(text: &str) -> Cow<'_, str> {
    match text.split_once(',') {
        Some((whole, fraction)) if !fraction.contains([',', '.']) && !whole.contains('.') => {
            Cow::Owned(format!("{whole}.{fraction}"))
        }
        _ => Cow::Borrowed(text),
    }
}

impl Leaf for f32 {
    fn kind() -> String {
        "a number".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<f32> {
        let read = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse::<f32>().ok(),
            DeValue::Float(number) => number.as_str().parse::<f32>().ok(),
            _ => return refuse(value, key, &Self::kind(), report),
        };
        let finite = read.filter(|n| n.is_finite());
        if finite.is_none() {
            report.add(&value.span(), key, "is not a finite number");
        }
        finite
    }
}

impl<T: Leaf> Leaf for Vec<At<T>> {
    fn kind() -> String {
        format!("a list, of each: {}", T::kind())
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<Vec<At<T>>> {
        let DeValue::Array(items) = value.get_ref() else {
            return refuse(value, key, &Self::kind(), report);
        };
        let mut list = Vec::with_capacity(items.len());
        let mut whole = true;
        for (i, item) in items.iter().enumerate() {
            match T::read(item, &format!("{key}[{i}]"), report) {
                Some(read) => list.push(At::new(read, item.span())),
                None => whole = false,
            }
        }
        whole.then_some(list)
    }
    /// Several are parted by `;`, and the numbers of one by spaces.
    fn of_text(text: &str, span: &Range<usize>, key: Key<'_>, report: &mut Report<'_>) -> Option<Vec<At<T>>> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| Some(At::new(T::of_text(part, span, key, report)?, span.clone()))).collect()
    }
}

/// One text or several.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OneOrMore(pub Vec<At<String>>);

impl Leaf for OneOrMore {
    fn kind() -> String {
        "text, or a list of texts".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<OneOrMore> {
        match value.get_ref() {
            DeValue::String(text) => Some(OneOrMore(vec![At::new(text.to_string(), value.span())])),
            DeValue::Array(_) => Leaf::read(value, key, report).map(OneOrMore),
            _ => refuse(value, key, &Self::kind(), report),
        }
    }
    /// Several are parted by `;`.
    fn of_text(text: &str, span: &Range<usize>, _: Key<'_>, _: &mut Report<'_>) -> Option<OneOrMore> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        Some(OneOrMore(parts.map(|part| At::new(part.to_owned(), span.clone())).collect()))
    }
}

/// Ids of cameras, or a query that finds them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CameraChoice {
    Ids(Vec<At<String>>),
    Query(String),
}

impl Leaf for CameraChoice {
    fn kind() -> String {
        "a list of ids, or a query as text".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<CameraChoice> {
        match value.get_ref() {
            DeValue::String(text) => Some(CameraChoice::Query(text.to_string())),
            DeValue::Array(_) => Leaf::read(value, key, report).map(CameraChoice::Ids),
            _ => refuse(value, key, &Self::kind(), report),
        }
    }
}

/// Profiles of a camera by a name that the writer chooses.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Profiles(pub BTreeMap<String, ProfileTable>);

/// True for the name of a profile.
pub(super) fn is_profile_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= 32 && name.chars().all(plain)
}

impl Leaf for Profiles {
    fn kind() -> String {
        "a table, of each: an address or a table".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<Profiles> {
        let DeValue::Table(table) = value.get_ref() else {
            return refuse(value, key, &Self::kind(), report);
        };
        let mut named = BTreeMap::new();
        let mut whole = true;
        for (name, profile) in table.iter() {
            let label = name.get_ref();
            if !is_profile_name(label) {
                report.add(
                    &name.span(),
                    key,
                    format!("{} is no name: letters, digits, - and _ only", quoted(label)),
                );
                whole = false;
                continue;
            }
            let path = format!("{key}.{label}");
            let read = match profile.get_ref() {
                DeValue::Table(table) => ProfileTable::read(table, profile.span(), path, report),
                _ => match String::read(profile, &path, report) {
                    Some(uri) => ProfileTable {
                        here: profile.span(),
                        path,
                        given: vec!["uri"],
                        uri: Some(At::new(uri, profile.span())),
                        ..ProfileTable::default()
                    },
                    None => {
                        whole = false;
                        continue;
                    }
                },
            };
            named.insert(label.to_string(), read);
        }
        whole.then_some(Profiles(named))
    }
}

/// Words, each standing for a value.
pub(super) fn word<T: Copy>(
    value: &Value<'_>,
    key: &str,
    words: &[(&'static str, T)],
    kind: &str,
    report: &mut Report<'_>,
) -> Option<T> {
    let DeValue::String(text) = value.get_ref() else { return refuse(value, key, kind, report) };
    if let Some((_, found)) = words.iter().find(|(word, _)| word == text) {
        return Some(*found);
    }
    let remedy =
        did_you_mean(text, words.iter().map(|(word, _)| *word)).unwrap_or_else(|| format!("it is {kind}"));
    report.add_with(&value.span(), key, format!("{} is unknown", quoted(text)), remedy);
    None
}

macro_rules! words {
    ($($type:ty: $($word:literal => $value:expr),+;)*) => {$(
        impl Leaf for $type {
            fn kind() -> String {
                format!("one of {}", [$(concat!("\"", $word, "\"")),+].join(", "))
            }
            fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<$type> {
                word(value, key, &[$(($word, $value)),+], &Self::kind(), report)
            }
        }
    )*};
}

pub(super) use words;

/// Where the clock is, if anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockCorner(pub Option<Corner>);

words! {
    Transport: "tcp" => Transport::Tcp, "udp" => Transport::Udp;
    RtspClient: "auto" => RtspClient::Auto, "gstreamer" => RtspClient::Gstreamer;
    Backend: "auto" => Backend::Auto, "gpu" => Backend::Gpu, "cpu" => Backend::Cpu;
    FitMode: "contain" => FitMode::Contain, "cover" => FitMode::Cover, "stretch" => FitMode::Stretch;
    Codec: "h264" => Codec::H264, "h265" => Codec::H265;
    EncoderChoice: "auto" => EncoderChoice::Auto, "software" => EncoderChoice::Software,
        "nvenc" => EncoderChoice::Nvenc, "va" => EncoderChoice::Va, "qsv" => EncoderChoice::Qsv;
    Language: "en" => Language::English, "fr" => Language::French, "nl" => Language::Dutch;
    ClockCorner: "none" => ClockCorner(None),
        "top-left" => ClockCorner(Some(Corner::TopLeft)),
        "top-right" => ClockCorner(Some(Corner::TopRight)),
        "bottom-left" => ClockCorner(Some(Corner::BottomLeft)),
        "bottom-right" => ClockCorner(Some(Corner::BottomRight));
    TextPlace: "top-left" => TextPlace::Over(Corner::TopLeft), "top-right" => TextPlace::Over(Corner::TopRight),
        "bottom-left" => TextPlace::Over(Corner::BottomLeft),
        "bottom-right" => TextPlace::Over(Corner::BottomRight), "below" => TextPlace::Below;
    Preset: "1" => Preset::One, "2x2" => Preset::TwoByTwo, "3x3" => Preset::ThreeByThree,
        "4x4" => Preset::FourByFour, "1+5" => Preset::OnePlusFive, "1+7" => Preset::OnePlusSeven,
        "2+8" => Preset::TwoPlusEight, "1+12" => Preset::OnePlusTwelve;
}

/// x264's names of speed, fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Speed(pub &'static str);

words! {
    Speed: "ultrafast" => Speed("ultrafast"), "superfast" => Speed("superfast"),
        "veryfast" => Speed("veryfast"), "faster" => Speed("faster"), "fast" => Speed("fast"),
        "medium" => Speed("medium"), "slow" => Speed("slow"), "slower" => Speed("slower"),
        "veryslow" => Speed("veryslow");
}

pub(super) fn refuse<T>(value: &Value<'_>, key: &str, kind: &str, report: &mut Report<'_>) -> Option<T> {
    wrong_type(value, key, kind, report);
    None
}
