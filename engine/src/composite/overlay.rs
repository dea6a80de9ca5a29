//! What a planner is told each tick, and how overlays look.

use std::sync::Arc;
use std::time::Duration;

use super::plan::Yuv;
use super::text::line_height;
use crate::base::Moment;
use crate::media::FittedFrame;
use crate::scene::Layout;

/// The two times of a tick.
#[derive(Clone, Copy, Debug)]
pub struct TickView {
    /// Time since the Unix epoch, for the clock on the wall.
    pub wall: Duration,
    /// The monotonic clock, for ages and for the alarm's flash.
    pub monotonic: Moment,
}

/// What is known of a tile at a tick.
#[derive(Clone, Debug)]
pub struct TileView<'a> {
    /// The newest picture, and a number that changes whenever the picture does.
    pub picture: Option<(u64, FittedFrame)>,
    /// How its camera is doing.
    pub status: TileStatus,
    /// How old the newest picture is; counted from its arrival where this is `None`.
    pub age: Option<Duration>,
    /// A camera that sends so seldom, or whose pictures wait so long on their way, that its picture, late for others,
    /// is its newest: up to this age it is live, and says its age whatever the style.
    pub late: Option<Duration>,
    /// The camera's name; the tile's own label goes before it.
    pub name: &'a str,
    /// An alarm is on: the border flashes.
    pub alarm: bool,
    /// Why the tile shows less than it could, in a few words.
    pub degraded: Option<&'a str>,
}

impl TileView<'_> {
    /// A tile without a camera.
    pub const EMPTY: TileView<'static> = TileView {
        picture: None,
        status: TileStatus::Empty,
        age: None,
        late: None,
        name: "",
        alarm: false,
        degraded: None,
    };
}

/// How a tile's camera is doing. Only `Live` shows a picture as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TileStatus {
    /// Pictures come.
    Live,
    /// Connecting, or connected and waiting for the first picture.
    Waiting,
    /// Connected, but packets stopped.
    Stalled,
    /// Packets and pictures come, but the picture does not change.
    Frozen,
    /// Packets come, but the machine is overloaded and decodes them late.
    Delayed,
    /// Packets come, but cannot be decoded; the reason.
    Undecodable(Arc<str>),
    /// Not reachable; the reason.
    Offline(Arc<str>),
    /// There is no right to see it; the reason. No pixel of it is drawn.
    Refused(Arc<str>),
    /// Connected, but not decoded.
    Standby,
    /// No camera.
    Empty,
}

/// A corner of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corner {
    /// Upper left.
    TopLeft,
    /// Upper right.
    TopRight,
    /// Lower left.
    BottomLeft,
    /// Lower right.
    BottomRight,
}

impl Corner {
    /// At the upper edge.
    pub(super) fn is_top(self) -> bool {
        matches!(self, Corner::TopLeft | Corner::TopRight)
    }

    /// At the left edge.
    pub(super) fn is_left(self) -> bool {
        matches!(self, Corner::TopLeft | Corner::BottomLeft)
    }
}

/// Where a tile has a text. Cameras write into their own pictures, each maker elsewhere; what they
/// write must stay readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPlace {
    /// Over the picture, in a corner.
    Over(Corner),
    /// Under the picture, which gets that much less height.
    Below,
}

/// A language of the region, for placards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Language {
    #[default]
    English,
    French,
    Dutch,
}

/// How overlays look. The default is made for a dark room: near-black background, calm colours, and
/// text that reads at three metres.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayStyle {
    /// Between tiles.
    pub background: Yuv,
    /// Bars beside pictures, and empty tiles.
    pub tile_background: Yuv,
    /// Behind placards.
    pub placard_background: Yuv,
    /// Text on plates and placards.
    pub text: Yuv,
    /// Reasons and times on placards.
    pub secondary_text: Yuv,
    /// Camera names in tiles.
    pub labels: bool,
    /// Where they are.
    pub label_place: TextPlace,
    /// Where a tile says how old its picture is.
    pub age_place: TextPlace,
    /// Height of a tile over the em of its label; the em is kept within 11 to 44 pixels.
    pub label_share: u32,
    /// Where the date and time stand on the screen.
    pub clock: Option<Corner>,
    /// Local time less UTC, in seconds: the caller keeps it right through daylight saving.
    pub utc_offset: i32,
    /// From this age on, a live tile shows how old its picture is.
    pub age_from: Duration,
    /// From this age on, a live tile is covered whatever its status says (invariant 2: an old
    /// picture never looks live). Larger than the longest interval of key frames in use.
    pub age_limit: Duration,
    /// A stalled, frozen or delayed camera's last picture stays, dimmed, up to this age; zero: never.
    pub last_picture_for: Duration,
    /// Pixels of the line inside each tile's edge; zero: none.
    pub border: u32,
    /// Its colour.
    pub border_color: Yuv,
    /// The language of placards.
    pub language: Language,
}

impl Default for OverlayStyle {
    fn default() -> Self {
        OverlayStyle {
            background: Yuv::from_rgb(10, 12, 15),
            tile_background: Yuv::from_rgb(16, 19, 24),
            placard_background: Yuv::from_rgb(22, 26, 33),
            text: Yuv::from_rgb(236, 239, 244),
            secondary_text: Yuv::from_rgb(168, 178, 191),
            labels: true,
            label_place: TextPlace::Over(Corner::BottomLeft),
            age_place: TextPlace::Over(Corner::BottomRight),
            label_share: 14,
            clock: None,
            utc_offset: 0,
            age_from: Duration::from_secs(5),
            age_limit: Duration::from_secs(30),
            last_picture_for: Duration::from_secs(60),
            border: 0,
            border_color: Yuv::from_rgb(52, 60, 72),
            language: Language::English,
        }
    }
}

impl OverlayStyle {
    /// Em of the texts of a tile of this height.
    pub(super) fn label_px(&self, height: u32) -> u32 {
        (height / self.label_share.max(1)).clamp(11, 44)
    }

    /// Takes the rows for texts under pictures from the tiles of a layout: their pictures are fitted to
    /// what is left. Tiles too low for it keep their pictures whole, and have the text over them.
    pub fn make_room(&self, layout: &mut Layout) {
        let label = self.labels && self.label_place == TextPlace::Below;
        let age = self.age_from < Duration::MAX && self.age_place == TextPlace::Below;
        if !label && !age {
            return;
        }
        for tile in layout.screens.iter_mut().flat_map(|screen| &mut screen.tiles) {
            let spec = &mut tile.spec;
            let rows = plate_height(self.label_px(spec.height));
            // A part of a tile that spans screens keeps at least two rows of the picture.
            if spec.height >= LEAST_PLATES * rows && spec.window.y + 2 <= spec.height - rows {
                spec.height -= rows;
                spec.window.height = spec.window.height.min(spec.height - spec.window.y);
            }
        }
    }
}

/// A tile gives up rows for a text where it is at least so many texts high.
const LEAST_PLATES: u32 = 5;

/// Rows of the plate of a text.
pub(super) fn plate_height(px: u32) -> u32 {
    (line_height(px) + px / 8).next_multiple_of(2)
}

/// The date and time of a moment since the Unix epoch, `utc_offset` seconds east: `2026-11-24
/// 14:03:27` (ISO 8601 with a space).
pub fn clock_text(wall: Duration, utc_offset: i32) -> String {
    let seconds = i64::try_from(wall.as_secs()).unwrap_or(i64::MAX / 2).saturating_add(utc_offset.into());
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}", second % 60)
}

/// Year, month and day of a day since 1970-01-01, in the proleptic Gregorian calendar. Years are
/// counted from 1 March, so that the leap day comes last; 400 years have 146097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_at_the_edges() {
        for (seconds, offset, text) in [
            (0, 0, "1970-01-01 00:00:00"),
            (951_782_399, 0, "2000-02-28 23:59:59"),
            (951_782_400, 0, "2000-02-29 00:00:00"),
            (1_709_251_199, 1, "2024-03-01 00:00:00"),
            (1_735_689_599, 3600, "2025-01-01 00:59:59"),
            (1_735_689_600, -1, "2024-12-31 23:59:59"),
            (4_107_542_400, 0, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(clock_text(Duration::from_secs(seconds), offset), text);
        }
        clock_text(Duration::MAX, i32::MAX);
    }
}
