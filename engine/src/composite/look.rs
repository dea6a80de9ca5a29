//! Everything that decides how a tile looks: two equal looks need no new drawing.

use std::sync::Arc;
use std::time::Duration;

use super::overlay::{OverlayStyle, TickView, TileStatus, TileView};
use super::plan::Yuv;
use super::words::{self, Title};
use crate::base::Moment;
use crate::media::{FittedFrame, PixelRect};
use crate::scene::Tile;

/// Half a period of the alarm's flash: 2 flashes a second. Three or more can provoke seizures
/// (W3C WCAG 2.2, success criterion 2.3.1).
const FLASH: Duration = Duration::from_millis(250);

/// Past the oldest age at which a slow camera's picture is live, its status has had so long to say so.
const SLACK: Duration = Duration::from_secs(1);

/// How a tile is to look at one tick.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Look {
    /// Version and place of the picture, where one is drawn.
    pub picture: Option<(u64, PixelRect)>,
    pub placard: Option<Placard>,
    pub label: String,
    /// Seconds, where the age is shown.
    pub age: Option<u64>,
    pub degraded: Option<String>,
    pub alarm: Alarm,
}

/// The alarm's border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    Off,
    Bright,
    Dark,
}

/// What covers a tile that is not live.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placard {
    pub title: &'static str,
    pub reason: Option<Arc<str>>,
    /// Seconds since the last picture, where known.
    pub since: Option<u64>,
    pub severity: Severity,
}

/// How urgent a placard is: its colour, always beside its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// As intended: standby, connecting.
    Calm,
    /// The picture is not what it seems.
    Warning,
    /// There is no picture.
    Fault,
    /// There may be no picture.
    Forbidden,
}

impl Severity {
    pub(super) fn color(self) -> Yuv {
        match self {
            Severity::Calm => Yuv::from_rgb(122, 162, 214),
            Severity::Warning => Yuv::from_rgb(240, 178, 74),
            Severity::Fault => Yuv::from_rgb(236, 112, 99),
            Severity::Forbidden => Yuv::from_rgb(190, 160, 226),
        }
    }
}

impl Look {
    /// How `tile` is to look. Guards invariant 2: only a live tile within the age limit shows a
    /// picture as it is, and a refused one shows none.
    pub(super) fn new(tile: &Tile, view: &TileView<'_>, tick: &TickView, style: &OverlayStyle) -> Look {
        let age = age_of(view, tick.monotonic);
        let placard = placard(view, age, style);
        let keeps_picture = match view.status {
            TileStatus::Live => placard.is_none(),
            TileStatus::Stalled | TileStatus::Frozen | TileStatus::Delayed => {
                age.is_some_and(|age| age < style.last_picture_for)
            }
            _ => false,
        };
        let picture = view.picture.as_ref().filter(|_| keeps_picture);
        let live = placard.is_none() && view.status == TileStatus::Live;
        let shows_text = tile.primary && view.status != TileStatus::Empty;
        let label = if shows_text && style.labels { tile.label.as_deref().unwrap_or(view.name) } else { "" };
        Look {
            picture: picture.map(|(version, fitted)| (*version, place(tile, fitted))),
            label: label.to_owned(),
            age: age
                .filter(|age| live && shows_text && (*age >= style.age_from || view.late.is_some()))
                .map(|age| age.as_secs()),
            degraded: view.degraded.filter(|_| live && shows_text).map(str::to_owned),
            placard,
            alarm: alarm(view.alarm, tick.monotonic),
        }
    }
}

fn age_of(view: &TileView<'_>, now: Moment) -> Option<Duration> {
    view.age.or_else(|| view.picture.as_ref().map(|(_, fitted)| now.since(fitted.frame.meta().arrival)))
}

fn alarm(on: bool, now: Moment) -> Alarm {
    let half_periods = u128::from(now.0) / FLASH.as_nanos();
    match (on, half_periods % 2) {
        (false, _) => Alarm::Off,
        (true, 0) => Alarm::Bright,
        (true, _) => Alarm::Dark,
    }
}

fn placard(view: &TileView<'_>, age: Option<Duration>, style: &OverlayStyle) -> Option<Placard> {
    let since = age.map(|age| age.as_secs());
    let age_limit = view.late.map_or(style.age_limit, |late| style.age_limit.max(late + SLACK));
    let (title, reason, since, severity) = match &view.status {
        TileStatus::Empty => return None,
        TileStatus::Live if view.picture.is_none() => (Title::WaitingForPicture, None, None, Severity::Calm),
        TileStatus::Live if age.is_some_and(|age| age >= age_limit) => {
            (Title::TooOld, None, since, Severity::Warning)
        }
        TileStatus::Live => return None,
        TileStatus::Waiting => (Title::Connecting, None, None, Severity::Calm),
        TileStatus::Standby => (Title::Standby, None, None, Severity::Calm),
        TileStatus::Stalled => (Title::NoPackets, None, since, Severity::Warning),
        TileStatus::Frozen => (Title::Unchanged, None, since, Severity::Warning),
        TileStatus::Delayed => (Title::Delayed, None, since, Severity::Warning),
        TileStatus::Undecodable(reason) => (Title::CannotDecode, Some(reason), since, Severity::Fault),
        TileStatus::Offline(reason) => (Title::Offline, Some(reason), since, Severity::Fault),
        TileStatus::Refused(reason) => (Title::Refused, Some(reason), None, Severity::Forbidden),
    };
    let reason = reason.map(|reason| words::reason(reason, style.language));
    Some(Placard { title: title.words(style.language), reason, since, severity })
}

/// Where a fitted picture goes on the canvas, even edges, inside the tile. A picture made for another
/// size, right after a change of layout, is stretched in proportion until its successor comes.
fn place(tile: &Tile, fitted: &FittedFrame) -> PixelRect {
    let rect = tile.picture_rect();
    let (width, height) = (fitted.frame.width(), fitted.frame.height());
    if fitted.spec == tile.spec {
        let x = fitted.x.min(rect.width);
        let y = fitted.y.min(rect.height);
        return PixelRect::new(
            rect.x + x,
            rect.y + y,
            width.min(rect.width - x),
            height.min(rect.height - y),
        );
    }
    let whole =
        |spec: &crate::media::FitSpec| (spec.window.width, spec.window.height) == (spec.width, spec.height);
    if !whole(&tile.spec) || !whole(&fitted.spec) {
        return rect;
    }
    // The largest rectangle of the picture's own aspect, centred.
    let (w, h, rw, rh) = (u64::from(width), u64::from(height), u64::from(rect.width), u64::from(rect.height));
    let (to_w, to_h) = if w * rh > h * rw { (rw, h * rw / w) } else { (w * rh / h, rh) };
    let even = |v: u64, limit: u32| (v as u32 & !1).clamp(2, limit.max(2));
    let (to_w, to_h) = (even(to_w, rect.width), even(to_h, rect.height));
    let (x, y) = ((rect.width - to_w) / 4 * 2, (rect.height - to_h) / 4 * 2);
    PixelRect::new(rect.x + x, rect.y + y, to_w, to_h)
}
