//! Draws overlays within the bounds of a tile: plates, labels, placards, borders.

use super::look::Placard;
use super::overlay::{Corner, OverlayStyle, TextPlace, plate_height};
use super::plan::{Draw, Yuv};
use super::planner::OuterEdges;
use super::text::{Face, TextRenderer, TextStyle, line_height};
use crate::media::PixelRect;

/// Adds draws that stay inside `bounds`: a text that does not fit is left out.
pub(super) struct Painter<'a> {
    pub bounds: PixelRect,
    /// Rows at the bottom that are for texts, not for the picture.
    pub below: u32,
    pub style: &'a OverlayStyle,
    pub text: &'a TextRenderer,
    pub draws: &'a mut Vec<Draw>,
}

impl Painter<'_> {
    /// sRGB (255, 64, 48).
    pub(super) const ALARM_BRIGHT: Yuv = Yuv { y: 99, u: 100, v: 225 };
    /// sRGB (110, 22, 16): still red, so that the flash is a change of brightness, not of all.
    pub(super) const ALARM_DARK: Yuv = Yuv { y: 50, u: 115, v: 168 };

    pub(super) fn fill(&mut self, rect: PixelRect, color: Yuv, alpha: u8) {
        let rect = rect.intersect(&self.bounds);
        if !rect.is_empty() {
            self.draws.push(Draw::Fill { rect, color, alpha });
        }
    }

    /// A dark plate that makes text readable over any picture.
    pub(super) fn plate(&mut self, rect: PixelRect) {
        self.fill(rect, Yuv::BLACK, 190);
    }

    /// A text in the middle of `rect`, if all of it fits.
    pub(super) fn centered(&mut self, text: &str, style: TextStyle, color: Yuv, rect: PixelRect) {
        let bitmap = self.text.render(text, style);
        let fits = bitmap.width <= rect.width && bitmap.height <= rect.height;
        let inside = rect.intersect(&self.bounds) == rect;
        if bitmap.width == 0 || bitmap.height == 0 || !fits || !inside {
            return;
        }
        let x = (rect.x + (rect.width - bitmap.width) / 2) as i32;
        let y = (rect.y + (rect.height - bitmap.height) / 2) as i32;
        self.draws.push(Draw::Stamp { x, y, bitmap, color, alpha: 255 });
    }

    /// Em of the tile's label.
    fn label_px(&self) -> u32 {
        self.style.label_px(self.bounds.height)
    }

    /// The camera's name, why the tile shows less than it could, and the picture's age, each in its
    /// place: of those at one edge the name lies outermost.
    pub(super) fn texts(&mut self, label: &str, degraded: Option<&str>, age: Option<&str>) {
        let warning = super::look::Severity::Warning.color();
        let label_spot = self.spot(self.style.label_place, Corner::BottomLeft);
        let age_spot = self.spot(self.style.age_place, Corner::BottomRight);
        let age_spot = age_spot.in_row(u32::from(age_spot.shares_edge(label_spot)));
        let both_below = matches!((label_spot, age_spot), (Spot::Below { .. }, Spot::Below { .. }));
        let taken = age.filter(|_| both_below).map_or(0, |age| self.width_of(age));
        self.mark(label, self.style.text, label_spot, taken);
        if let Some(degraded) = degraded {
            let spot = Spot::Over { corner: Corner::TopLeft, row: 0 };
            let before = [spot.shares_edge(label_spot), age.is_some() && spot.shares_edge(age_spot)];
            self.mark(degraded, warning, spot.in_row(before.map(u32::from).iter().sum()), 0);
        }
        if let Some(age) = age {
            self.mark(age, warning, age_spot, 0);
        }
    }

    /// Where a place of the style is in this tile; `otherwise` in one without rows under its picture.
    fn spot(&self, place: TextPlace, otherwise: Corner) -> Spot {
        match place {
            TextPlace::Over(corner) => Spot::Over { corner, row: 0 },
            TextPlace::Below if self.below > 0 => Spot::Below { left: otherwise.is_left() },
            TextPlace::Below => Spot::Over { corner: otherwise, row: 0 },
        }
    }

    /// How wide a text is with what is around it.
    fn width_of(&self, text: &str) -> u32 {
        let (px, max_width) = (self.label_px(), self.bounds.width);
        let style = TextStyle { face: Face::Semibold, px, max_width, max_lines: 1, centered: false };
        self.text.render(text, style).width + px * 2 / 3
    }

    /// A text on its plate, at most as wide as the tile less `taken`; left out in tiles too low for two
    /// of them. Under the picture it needs no plate.
    fn mark(&mut self, text: &str, color: Yuv, spot: Spot, taken: u32) {
        let px = self.label_px();
        let height = plate_height(px);
        let padding = px * 2 / 3;
        let bounds = self.bounds;
        if text.trim().is_empty() || bounds.height < 2 * height || bounds.width < 4 * px + taken {
            return;
        }
        let max_width = bounds.width - padding - taken;
        let style = TextStyle { face: Face::Semibold, px, max_width, max_lines: 1, centered: false };
        let width = self.text.render(text, style).width + padding;
        let x = if spot.is_left() { bounds.x } else { bounds.right() - width };
        let (y, height) = match spot {
            Spot::Below { .. } => (bounds.bottom() - self.below, self.below),
            Spot::Over { corner, row } if corner.is_top() => (bounds.y + row * height, height),
            Spot::Over { row, .. } => {
                (bounds.bottom().saturating_sub(self.below + (row + 1) * height), height)
            }
        };
        let rect = PixelRect::new(x, y, width, height);
        if matches!(spot, Spot::Over { .. }) {
            self.plate(rect);
        }
        self.centered(text, style, color, rect);
    }

    /// Why the tile is not live: a strip in the colour of its severity, and in the primary part title,
    /// reason and time. Over a picture the words stand on a plate.
    pub(super) fn placard(&mut self, placard: &Placard, primary: bool, over_picture: bool) {
        let PixelRect { x, y, width, height } = self.bounds;
        let color = placard.severity.color();
        self.fill(PixelRect::new(x, y, width, (height / 72).clamp(2, 12)), color, 255);
        if !primary {
            return;
        }
        let lines = self.placard_lines(placard, color);
        let label_height = line_height(self.label_px()) * 3 / 2;
        let room = if height > 4 * label_height { height - label_height } else { height };
        let label_above = matches!(self.style.label_place, TextPlace::Over(corner) if corner.is_top());
        let above = if label_above { height - room } else { 0 };
        // The title goes in whole, the rest as far as there is room.
        let mut block = 0;
        let shown = lines.iter().take_while(|line| {
            block += line.height;
            block + 4 <= room
        });
        let shown = shown.count();
        let lines = &lines[..shown];
        let block: u32 = lines.iter().map(|line| line.height).sum();
        let widest = lines.iter().map(|line| line.width).max().unwrap_or(0);
        let mut top = y + above + (room - block) / 2;
        if over_picture && widest > 0 {
            let padding = height / 24;
            let plate = PixelRect::new(
                (x + (width - widest) / 2).saturating_sub(padding),
                top.saturating_sub(padding),
                widest + 2 * padding,
                block + 2 * padding,
            );
            self.fill(plate, self.style.background, 214);
        }
        for line in lines {
            self.centered(&line.text, line.style, line.color, PixelRect::new(x, top, width, line.height));
            top += line.height;
        }
    }

    fn placard_lines(&self, placard: &Placard, color: Yuv) -> Vec<PlacardText> {
        let max_width = self.bounds.width.saturating_sub(self.bounds.width / 8);
        let line = |text: String, face, px, max_lines, color| {
            let style = TextStyle { face, px, max_width, max_lines, centered: true };
            let bitmap = self.text.render(&text, style);
            PlacardText { text, style, color, width: bitmap.width, height: bitmap.height }
        };
        // A title shrinks until it fits whole: half a title could mean something else.
        let title_px = (self.bounds.height / 9).clamp(11, 72);
        let title = (11..=title_px)
            .rev()
            .step_by(3)
            .map(|px| line(placard.title.to_owned(), Face::Bold, px, 2, color))
            .find(|title| title.height == line_height(title.style.px));
        let title = title.unwrap_or_else(|| line(placard.title.to_owned(), Face::Bold, 11, 2, color));
        let small = (self.bounds.height / 16).clamp(11, 40);
        let mut lines = vec![title];
        if let Some(reason) = &placard.reason {
            lines.push(line(reason.to_string(), Face::Semibold, small, 3, self.style.text));
        }
        if let Some(seconds) = placard.since {
            let time = format!("for {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
            lines.push(line(time, Face::Semibold, small, 1, self.style.secondary_text));
        }
        lines
    }

    /// How wide an alarm's border is.
    pub(super) fn alarm_width(&self) -> u32 {
        (self.bounds.height / 54).clamp(3, 16)
    }

    /// A line inside the outer edges.
    pub(super) fn border(&mut self, outer: OuterEdges, width: u32, color: Yuv) {
        let b = self.bounds;
        let width = width.min(b.width / 2).min(b.height / 2);
        let top = if outer.top { width } else { 0 };
        let bottom = if outer.bottom { width } else { 0 };
        let middle = b.height - top - bottom;
        self.fill(PixelRect::new(b.x, b.y, b.width, top), color, 255);
        self.fill(PixelRect::new(b.x, b.bottom() - bottom, b.width, bottom), color, 255);
        if outer.left {
            self.fill(PixelRect::new(b.x, b.y + top, width, middle), color, 255);
        }
        if outer.right {
            self.fill(PixelRect::new(b.right() - width, b.y + top, width, middle), color, 255);
        }
    }
}

/// Where in a tile a text goes.
#[derive(Clone, Copy, Debug)]
enum Spot {
    /// Over the picture, so many texts from the edge.
    Over { corner: Corner, row: u32 },
    /// In the rows under it.
    Below { left: bool },
}

impl Spot {
    fn is_left(self) -> bool {
        match self {
            Spot::Over { corner, .. } => corner.is_left(),
            Spot::Below { left } => left,
        }
    }

    /// Both lie at the same edge of the picture.
    fn shares_edge(self, other: Spot) -> bool {
        match (self, other) {
            (Spot::Over { corner, .. }, Spot::Over { corner: other, .. }) => {
                corner.is_top() == other.is_top()
            }
            _ => false,
        }
    }

    fn in_row(self, row: u32) -> Spot {
        match self {
            Spot::Over { corner, .. } => Spot::Over { corner, row },
            below => below,
        }
    }
}

/// One text of a placard.
struct PlacardText {
    text: String,
    style: TextStyle,
    color: Yuv,
    width: u32,
    height: u32,
}
