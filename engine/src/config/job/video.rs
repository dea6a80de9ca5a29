//! The renditions of a task: sizes and how they are compressed.

use std::ops::Range;

use super::super::check::value_or;
use super::super::leaf::Speed;
use super::super::measures::PixelSize;
use super::super::read::At;
use super::super::report::Report;
use super::check::Order;
use super::leaf::{CodecChoice, Fit, JobEncoder};
use crate::transcode::spec::{
    Deinterlace, EncodeSpec, RateSpec, RenditionSpec, Rotation, SizeSpec, TargetCodec, VideoSpec,
};

/// Pixels of a side.
const SIDES: std::ops::RangeInclusive<u32> = 16..=16_384;
/// Kilobits a second that an encoder is asked for.
const KBPS: std::ops::RangeInclusive<u32> = 10..=1_000_000;
/// Sizes in one ladder: each takes a scaler and an encoder at the same time.
const MAX_RUNGS: usize = 12;

pub(super) fn renditions(order: &Order<'_>, report: &mut Report<'_>) -> Vec<RenditionSpec> {
    let table = order.table;
    copied_is_left_alone(order, report);
    let Some(ladder) = &table.ladder else {
        let video = video(order, rate(order, report), report);
        return vec![RenditionSpec { name: "video".into(), size: size(order, report), video }];
    };
    for (name, span) in sizes(order)
        .chain([("bitrate", span_of(&table.bitrate)), ("target_size", span_of(&table.target_size))])
    {
        if let Some(span) = span {
            let remedy = "each of its sizes has its own, as \"720:3M\"";
            report.add_with(span, order.key(name), "is given beside a ladder", remedy);
        }
    }
    order.needs("fit", &table.fit, table.size.is_some(), "goes with size", report);
    let rungs = &ladder.value.0;
    if rungs.is_empty() || rungs.len() > MAX_RUNGS {
        report.add(&ladder.span, order.key("ladder"), format!("must have 1 to {MAX_RUNGS} sizes"));
    }
    let quality = rate(order, report);
    let mut renditions: Vec<RenditionSpec> = Vec::with_capacity(rungs.len());
    for rung in rungs {
        let name = format!("{}p", rung.value.lines);
        even_side(rung.value.lines, &rung.span, order.key("ladder"), report);
        if rung.value.kbps.is_some_and(|kbps| !KBPS.contains(&kbps)) {
            report.add(&rung.span, order.key("ladder"), "has a rate out of range: 10k to 1000M");
        }
        if renditions.iter().any(|other| other.name == name) {
            report.add(&rung.span, order.key("ladder"), format!("has {name} twice"));
        }
        let rate = rung.value.kbps.map_or(quality, RateSpec::Kbps);
        let size = SizeSpec::Height(rung.value.lines);
        renditions.push(RenditionSpec { name, size, video: video(order, rate, report) });
    }
    renditions
}

fn span_of<T>(given: &Option<At<T>>) -> Option<&Range<usize>> {
    given.as_ref().map(|at| &at.span)
}

fn sizes<'a>(order: &Order<'a>) -> impl Iterator<Item = (&'static str, Option<&'a Range<usize>>)> + use<'a> {
    let table = order.table;
    [
        ("size", span_of(&table.size)),
        ("height", span_of(&table.height)),
        ("width", span_of(&table.width)),
        ("within", span_of(&table.within)),
    ]
    .into_iter()
}

fn even_side(side: u32, span: &Range<usize>, key: String, report: &mut Report<'_>) {
    if !SIDES.contains(&side) {
        report.add(span, key, format!("{side} is out of range: 16 to 16384 pixels"));
    } else if side % 2 == 1 {
        let remedy = format!("take {} or {}", side - 1, side + 1);
        report.add_with(span, key, format!("{side} is odd, and a colour sample covers two pixels"), remedy);
    }
}

fn size(order: &Order<'_>, report: &mut Report<'_>) -> SizeSpec {
    let table = order.table;
    let given: Vec<_> = sizes(order).filter_map(|(name, span)| Some((name, span?))).collect();
    if let [(first, _), (second, span), ..] = given.as_slice() {
        let message = format!("{first} and {second} are both given");
        report.add_with(span, order.key(second), message, "keep one");
    }
    order.needs("fit", &table.fit, table.size.is_some(), "goes with size", report);
    if let Some(size) = &table.size {
        let PixelSize(width, height) = size.value;
        even_side(width, &size.span, order.key("size"), report);
        even_side(height, &size.span, order.key("size"), report);
        match value_or(&table.fit, Fit::Pad) {
            Fit::Pad => SizeSpec::Pad(width, height),
            Fit::Fill => SizeSpec::Fill(width, height),
            Fit::Stretch => SizeSpec::Stretch(width, height),
        }
    } else if let Some(height) = &table.height {
        even_side(height.value, &height.span, order.key("height"), report);
        SizeSpec::Height(height.value)
    } else if let Some(width) = &table.width {
        even_side(width.value, &width.span, order.key("width"), report);
        SizeSpec::Width(width.value)
    } else if let Some(within) = &table.within {
        let PixelSize(width, height) = within.value;
        if !SIDES.contains(&width) || !SIDES.contains(&height) {
            report.add(&within.span, order.key("within"), "is out of range: 16 to 16384 pixels each way");
        }
        SizeSpec::Within(width, height)
    } else {
        SizeSpec::Keep
    }
}

/// Constant quality that looks alike, by the makers of the encoders: x264's and x265's own defaults,
/// and SVT-AV1's.
fn usual_crf(codec: CodecChoice) -> f64 {
    match codec {
        CodecChoice::H264 | CodecChoice::Copy => 23.0,
        CodecChoice::H265 => 28.0,
        CodecChoice::Av1 => 35.0,
    }
}

fn rate(order: &Order<'_>, report: &mut Report<'_>) -> RateSpec {
    let table = order.table;
    let given: Vec<_> = [
        ("crf", span_of(&table.crf)),
        ("bitrate", span_of(&table.bitrate)),
        ("target_size", span_of(&table.target_size)),
    ]
    .into_iter()
    .filter_map(|(name, span)| Some((name, span?)))
    .collect();
    if let [(first, _), (second, span), ..] = given.as_slice() {
        let message = format!("{first} and {second} are both given");
        report.add_with(span, order.key(second), message, "quality, bits or bytes: keep one");
    }
    order.within("crf", &table.crf, 0.0..=51.0, "0 to 51", report);
    if let Some(rate) = &table.bitrate {
        if !KBPS.contains(&rate.value.0) {
            report.add(&rate.span, order.key("bitrate"), "is out of range: 10k to 1000M");
        }
        return RateSpec::Kbps(rate.value.0);
    }
    if let Some(size) = &table.target_size {
        if size.value.0 < 10_000 {
            report.add(&size.span, order.key("target_size"), "is out of range: from 10k on");
        }
        return RateSpec::TargetBytes(size.value.0);
    }
    let usual = usual_crf(value_or(&table.codec, CodecChoice::H264));
    RateSpec::Crf(value_or(&table.crf, usual))
}

fn video(order: &Order<'_>, rate: RateSpec, report: &mut Report<'_>) -> VideoSpec {
    let table = order.table;
    order.within("gop", &table.gop, 1..=10_000, "1 to 10000 pictures", report);
    let encode = |codec| EncodeSpec {
        codec,
        encoder: value_or(&table.encoder, JobEncoder::default()).0,
        rate,
        preset: value_or(&table.preset, Speed("veryfast")).0.to_owned(),
        gop: table.gop.as_ref().map(|gop| gop.value),
    };
    let asked = orders_to_encode(order).next().is_some() || table.ladder.is_some();
    match table.codec.as_ref().map(|codec| codec.value) {
        Some(CodecChoice::Copy) => VideoSpec::Copy,
        Some(CodecChoice::H264) => VideoSpec::Encode(encode(TargetCodec::H264)),
        Some(CodecChoice::H265) => VideoSpec::Encode(encode(TargetCodec::H265)),
        Some(CodecChoice::Av1) => VideoSpec::Encode(encode(TargetCodec::Av1)),
        None if asked => VideoSpec::Encode(encode(TargetCodec::H264)),
        None => VideoSpec::CopyOrEncode(encode(TargetCodec::H264)),
    }
}

/// Keys that only an encoder can follow: where one is given, nothing is copied.
fn orders_to_encode<'a>(
    order: &Order<'a>,
) -> impl Iterator<Item = (&'static str, &'a Range<usize>)> + use<'a> {
    let table = order.table;
    [
        ("crf", span_of(&table.crf)),
        ("bitrate", span_of(&table.bitrate)),
        ("target_size", span_of(&table.target_size)),
        ("preset", span_of(&table.preset)),
        ("gop", span_of(&table.gop)),
        ("encoder", span_of(&table.encoder)),
    ]
    .into_iter()
    .filter_map(|(name, span)| Some((name, span?)))
}

/// Whoever asks for a copy and for a change at once is told before anything starts.
fn copied_is_left_alone(order: &Order<'_>, report: &mut Report<'_>) {
    let table = order.table;
    if value_or(&table.codec, CodecChoice::H264) != CodecChoice::Copy {
        return;
    }
    let turned = table.rotate.as_ref().filter(|at| at.value.0 != Rotation::None);
    let deinterlaced = table.deinterlace.as_ref().filter(|at| at.value == Deinterlace::Always);
    let masked = table.mask.as_ref().filter(|at| !at.value.is_empty());
    let changes = [
        ("ladder", span_of(&table.ladder)),
        ("fps", span_of(&table.fps)),
        ("crop", span_of(&table.crop)),
        ("rotate", turned.map(|at| &at.span)),
        ("deinterlace", deinterlaced.map(|at| &at.span)),
        ("mask", masked.map(|at| &at.span)),
        ("label", span_of(&table.label)),
        ("time_code", span_of(&table.time_code)),
        ("watermark", span_of(&table.watermark)),
    ];
    let given = sizes(order).chain(changes).filter_map(|(name, span)| Some((name, span?)));
    for (name, span) in given.chain(orders_to_encode(order)) {
        let message = "asks for a change, and codec \"copy\" touches no picture";
        report.add_with(span, order.key(name), message, "leave one of the two out");
    }
}
