//! The tables that set the wall as a whole: encoder, overlay, effort, control, limits; each checked into its values.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::check::value_or;
use super::leaf::ClockCorner;
use super::measures::OrNever;
use super::read::At;
use super::report::Report;
use super::wall::{ControlSpec, EncoderSpec, LimitSpec, OverlaySpec};
use super::wire::{ControlTable, EffortTable, EncoderTable, LimitsTable, OverlayTable};
use crate::composite::{Corner, TextPlace, Yuv};
use crate::effort::EffortSettings;
use crate::encode::Rate;
use crate::media::Codec;
use crate::source::Patience;

pub(super) fn check_encoder(table: &EncoderTable, report: &mut Report<'_>) -> EncoderSpec {
    let key = |name: &str| format!("encoder.{name}");
    let rate = match (&table.kbps, &table.crf) {
        (Some(kbps), Some(crf)) => {
            let later = if kbps.span.start > crf.span.start { ("kbps", kbps) } else { ("crf", crf) };
            report.add_with(
                &later.1.span,
                key(later.0),
                "kbps and crf are both given",
                "bits or quality: keep one",
            );
            Rate::Kbps(kbps.value)
        }
        (Some(kbps), None) => {
            if !(50..=200_000).contains(&kbps.value) {
                report.add(&kbps.span, key("kbps"), "is out of range: 50 to 200000 kilobits per second");
            }
            Rate::Kbps(kbps.value)
        }
        (None, Some(crf)) => {
            if crf.value > 51 {
                report.add(&crf.span, key("crf"), "is out of range: 0 to 51");
            }
            Rate::Crf(crf.value.min(51) as u8)
        }
        (None, None) => Rate::Crf(23),
    };
    EncoderSpec {
        codec: value_or(&table.codec, Codec::H264),
        choice: value_or(&table.choice, Default::default()),
        preset: table.preset.as_ref().map_or("veryfast", |p| p.value.0).to_owned(),
        rate,
        gop: within(&table.gop, "encoder.gop", 2_000, 100..=60_000, report),
    }
}

pub(super) fn check_overlay(table: &OverlayTable, report: &mut Report<'_>) -> OverlaySpec {
    if let Some(border) = table.border.as_ref().filter(|b| b.value > 64) {
        report.add(&border.span, "overlay.border", "is out of range: 0 to 64 pixels");
    }
    OverlaySpec {
        labels: value_or(&table.labels, true),
        label_place: value_or(&table.label_place, TextPlace::Over(Corner::BottomLeft)),
        age_place: value_or(&table.age_place, TextPlace::Over(Corner::BottomRight)),
        clock: value_or(&table.clock, ClockCorner(None)).0,
        border: value_or(&table.border, 2),
        border_color: value_or(&table.border_color, Yuv::from_rgb(0x20, 0x20, 0x20)),
        background: value_or(&table.background, Yuv::BLACK),
        age_after: value_or(&table.age_after, OrNever(Some(Duration::from_secs(1)))).0,
        language: value_or(&table.language, Default::default()),
    }
}

pub(super) fn check_effort(table: &EffortTable, report: &mut Report<'_>) -> EffortSettings {
    let per_cent = value_or(&table.budget, 85);
    if let Some(given) = &table.budget
        && !(10..=100).contains(&per_cent)
    {
        report.add(&given.span, "effort.budget", "is out of range: 10 to 100 per cent");
    }
    let usual = EffortSettings::default();
    EffortSettings {
        thumbnail_lines: value_or(&table.thumbnail_lines, usual.thumbnail_lines),
        refresh_limit: within(&table.refresh_limit, "effort.refresh_limit", 5_000, 1_000..=60_000, report),
        budget: f64::from(per_cent) / 100.0,
        ..usual
    }
}

pub(super) fn check_control(table: &ControlTable, folder: &Path, report: &mut Report<'_>) -> ControlSpec {
    let text = |value: &Option<At<String>>| value.as_ref().map(|v| v.value.clone()).filter(|v| !v.is_empty());
    let path = |value: &Option<At<String>>| text(value).map(|path| folder.join(path));
    let listen = text(&table.listen).unwrap_or_else(|| "127.0.0.1:8700".into());
    let listen = listen.parse().unwrap_or_else(|_| {
        let span = table.listen.as_ref().map_or(0..0, |v| v.span.clone());
        report.add_with(
            &span,
            "control.listen",
            "is no address",
            "write it like \"127.0.0.1:8700\" or \"[::]:8700\"",
        );
        std::net::SocketAddr::from(([127, 0, 0, 1], 0))
    });
    let certificate = match (path(&table.certificate), path(&table.key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            report.add(&table.here, "control", "certificate and key belong together");
            None
        }
    };
    let en62676 = match text(&table.en62676).as_deref() {
        None | Some("2015") => 2015,
        Some("2025") => 2025,
        Some(_) => {
            let span = table.en62676.as_ref().map_or(0..0, |v| v.span.clone());
            report.add(&span, "control.en62676", "is no edition that is known: 2015 or 2025");
            2015
        }
    };
    ControlSpec {
        listen,
        database: path(&table.database).unwrap_or_else(|| folder.join("vitrail.db")),
        unit: text(&table.unit).unwrap_or_else(|| "control-room".into()),
        credentials_key: text(&table.credentials_key),
        tls: value_or(&table.tls, false),
        certificate,
        names: table
            .names
            .as_ref()
            .map(|n| n.value.0.iter().map(|v| v.value.clone()).collect())
            .unwrap_or_default(),
        origin: text(&table.origin),
        checkpoints: path(&table.checkpoints),
        en62676,
        oidc: path(&table.oidc),
    }
}

pub(super) fn check_limits(table: &LimitsTable, report: &mut Report<'_>) -> LimitSpec {
    let frozen_after = value_or(&table.frozen_after, OrNever(Some(Duration::from_secs(10)))).0;
    if let Some(given) = &table.frozen_after
        && frozen_after.is_some_and(|after| after < Duration::from_secs(1))
    {
        report.add(&given.span, "limits.frozen_after", "is out of range: 1s or more, or \"never\"");
    }
    LimitSpec {
        placard_after: within(&table.placard_after, "limits.placard_after", 2_000, 100..=60_000, report),
        frozen_after,
        queue: within(&table.queue, "limits.queue", 400, 40..=10_000, report),
        patience: Patience {
            connect: within(&table.connect, "limits.connect", 10_000, 1_000..=120_000, report),
            silence: within(&table.silence, "limits.silence", 5_000, 500..=120_000, report),
        },
    }
}

/// A duration with its default and bounds, in milliseconds.
fn within(
    given: &Option<At<Duration>>,
    key: &str,
    default_ms: u64,
    bounds_ms: RangeInclusive<u64>,
    report: &mut Report<'_>,
) -> Duration {
    let Some(given) = given else { return Duration::from_millis(default_ms) };
    let (low, high) = (Duration::from_millis(*bounds_ms.start()), Duration::from_millis(*bounds_ms.end()));
    if !(low..=high).contains(&given.value) {
        report.add(&given.span, key, format!("is out of range: {low:?} to {high:?}"));
    }
    given.value
}
