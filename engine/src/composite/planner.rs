//! Turns what is known of a screen's tiles into a plan that redraws only what changed.

use std::sync::Arc;

use super::damage::{Damage, subtract};
use super::look::{Alarm, Look};
use super::overlay::{Corner, OverlayStyle, TickView, TileView, clock_text};
use super::paint::Painter;
use super::plan::{CompositePlan, Draw};
use super::text::{Face, TextRenderer, TextStyle, line_height};
use crate::media::PixelRect;
use crate::scene::{ScreenLayout, Tile};

/// Plans one screen. Remembers how each tile looked, so that an unchanged screen gives an empty plan.
///
/// Everything drawn of a tile stays inside its rectangle. The screen's clock lies over the tiles.
#[derive(Debug)]
pub struct ScreenPlanner {
    layout: ScreenLayout,
    style: OverlayStyle,
    text: Arc<TextRenderer>,
    /// How each tile of the layout was drawn last; `None`: not yet.
    drawn: Vec<Option<Look>>,
    clock: Option<Clock>,
    /// What must be redrawn whatever the looks say.
    pending: Damage,
}

/// The clock as it was drawn: its words, and its plate with even edges.
#[derive(Clone, Debug, PartialEq)]
struct Clock {
    text: String,
    rect: PixelRect,
}

impl ScreenPlanner {
    /// A planner whose first plan draws all of the screen.
    pub fn new(layout: &ScreenLayout, style: OverlayStyle, text: Arc<TextRenderer>) -> ScreenPlanner {
        let mut planner = ScreenPlanner {
            layout: layout.clone(),
            style,
            text,
            drawn: vec![None; layout.tiles.len()],
            clock: None,
            pending: Damage::default(),
        };
        planner.redraw_all();
        planner
    }

    /// Another layout; tiles that keep their id, place and fit are not redrawn. Another size needs
    /// a canvas of that size.
    pub fn set_layout(&mut self, layout: &ScreenLayout) {
        let old = std::mem::replace(&mut self.layout, layout.clone());
        let drawn = std::mem::replace(&mut self.drawn, vec![None; layout.tiles.len()]);
        if (old.width, old.height) != (layout.width, layout.height) {
            return self.redraw_all();
        }
        // Only tiles that keep their order are kept: the order says which lies on top.
        let mut first_left = 0;
        for (tile, slot) in layout.tiles.iter().zip(&mut self.drawn) {
            let same = |t: &Tile| {
                t.id == tile.id && t.camera == tile.camera && t.rect == tile.rect && t.spec == tile.spec
            };
            let found = old.tiles[first_left..].iter().position(same).map(|i| first_left + i);
            if let Some(index) = found {
                old.tiles[first_left..index].iter().for_each(|gone| self.pending.add(gone.rect));
                first_left = index + 1;
                slot.clone_from(&drawn[index]);
            } else {
                self.pending.add(tile.rect);
            }
        }
        old.tiles[first_left..].iter().for_each(|gone| self.pending.add(gone.rect));
    }

    /// Another style; all is redrawn where it differs.
    pub fn set_style(&mut self, style: OverlayStyle) {
        if self.style != style {
            self.style = style;
            self.redraw_all();
        }
    }

    /// The next plan draws all of the screen: for a new canvas.
    pub fn redraw_all(&mut self) {
        self.pending.add(PixelRect::new(0, 0, self.layout.width, self.layout.height));
    }

    /// The layout in use.
    pub fn layout(&self) -> &ScreenLayout {
        &self.layout
    }

    /// What brings the canvas up to date. `tiles` are in the layout's order; a tile without a view
    /// is empty.
    pub fn plan(&mut self, tick: &TickView, tiles: &[TileView<'_>]) -> CompositePlan {
        let mut damage = std::mem::take(&mut self.pending);
        let view = |index: usize| tiles.get(index).unwrap_or(&TileView::EMPTY);
        for (index, (tile, drawn)) in self.layout.tiles.iter().zip(&mut self.drawn).enumerate() {
            let look = Look::new(tile, view(index), tick, &self.style);
            if drawn.as_ref() != Some(&look) {
                damage.add(tile.rect);
                *drawn = Some(look);
            }
        }
        self.update_clock(tick, &mut damage);
        let mut draws = Vec::new();
        if !damage.is_empty() {
            self.draw(&damage, view, &mut draws);
        }
        let (width, height) = (self.layout.width, self.layout.height);
        CompositePlan { width, height, draws, damage: damage.into_rects() }
    }

    fn draw<'a>(&self, damage: &Damage, view: impl Fn(usize) -> &'a TileView<'a>, draws: &mut Vec<Draw>) {
        let style = &self.style;
        for rect in damage.without(self.layout.tiles.iter().map(|t| &t.rect)) {
            draws.push(Draw::Fill { rect, color: style.background, alpha: 255 });
        }
        for (index, (tile, look)) in self.layout.tiles.iter().zip(&self.drawn).enumerate() {
            if let Some(look) = look
                && damage.touches(&tile.rect)
            {
                let below = tile.rect.height - tile.picture_rect().height;
                let mut painter = Painter { bounds: tile.rect, below, style, text: &self.text, draws };
                draw_tile(&mut painter, tile, look, view(index));
            }
        }
        if let Some(clock) = self.clock.as_ref().filter(|clock| damage.touches(&clock.rect)) {
            let mut painter = Painter { bounds: clock.rect, below: 0, style, text: &self.text, draws };
            painter.plate(clock.rect);
            painter.centered(&clock.text, self.clock_style(), style.text, clock.rect);
        }
    }

    fn update_clock(&mut self, tick: &TickView, damage: &mut Damage) {
        let clock = self.style.clock.and_then(|corner| {
            let text = clock_text(tick.wall, self.style.utc_offset);
            if let Some(known) = self.clock.as_ref().filter(|known| known.text == text) {
                return Some(known.clone());
            }
            let rect = self.clock_rect(corner, &text)?;
            Some(Clock { text, rect })
        });
        if clock != self.clock {
            self.clock.iter().chain(&clock).for_each(|clock| damage.add(clock.rect));
            self.clock = clock;
        }
    }

    fn clock_style(&self) -> TextStyle {
        let px = (self.layout.height / 36).clamp(12, 60);
        TextStyle { face: Face::Semibold, px, max_width: self.layout.width, max_lines: 1, centered: false }
    }

    /// The clock's plate; `None` where the screen is too small for it.
    fn clock_rect(&self, corner: Corner, text: &str) -> Option<PixelRect> {
        let style = self.clock_style();
        let margin = (style.px / 2).next_multiple_of(2);
        let width = (self.text.render(text, style).width + style.px).next_multiple_of(2);
        let height = (line_height(style.px) + style.px / 4).next_multiple_of(2);
        let right = self.layout.width.checked_sub(width + margin)?;
        let bottom = self.layout.height.checked_sub(height + margin)?;
        let (x, y) = match corner {
            Corner::TopLeft => (margin, margin),
            Corner::TopRight => (right, margin),
            Corner::BottomLeft => (margin, bottom),
            Corner::BottomRight => (right, bottom),
        };
        (right >= margin && bottom >= margin).then(|| PixelRect::new(x, y, width, height))
    }
}

/// All of a tile, from the bottom up; the first layer hides what was there.
fn draw_tile(painter: &mut Painter<'_>, tile: &Tile, look: &Look, view: &TileView<'_>) {
    match (&look.picture, &view.picture) {
        (Some((_, dest)), Some((_, fitted))) => {
            for bar in subtract(&tile.rect, dest) {
                painter.fill(bar, painter.style.tile_background, 255);
            }
            painter.draws.push(Draw::Picture { frame: fitted.frame.clone(), dest: *dest });
            if look.placard.is_some() {
                painter.fill(tile.rect, painter.style.background, 176);
            }
        }
        _ if look.placard.is_some() => painter.fill(tile.rect, painter.style.placard_background, 255),
        _ => painter.fill(tile.rect, painter.style.tile_background, 255),
    }
    let outer = OuterEdges::of(tile);
    if let Some(placard) = &look.placard {
        painter.placard(placard, tile.primary, look.picture.is_some());
    }
    let age = look.age.map(age_text);
    painter.texts(&look.label, look.degraded.as_deref(), age.as_deref());
    match look.alarm {
        Alarm::Off => painter.border(outer, painter.style.border, painter.style.border_color),
        Alarm::Bright => painter.border(outer, painter.alarm_width(), Painter::ALARM_BRIGHT),
        Alarm::Dark => painter.border(outer, painter.alarm_width(), Painter::ALARM_DARK),
    }
}

fn age_text(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s old"),
        60..3600 => format!("{} min old", seconds / 60),
        _ => format!("{} h old", seconds / 3600),
    }
}

/// Which edges of a part are edges of the whole tile: a tile that spans screens has its border
/// around the whole only.
#[derive(Clone, Copy, Debug)]
pub(super) struct OuterEdges {
    pub left: bool,
    pub top: bool,
    pub right: bool,
    pub bottom: bool,
}

impl OuterEdges {
    fn of(tile: &Tile) -> OuterEdges {
        let (spec, window) = (&tile.spec, &tile.spec.window);
        OuterEdges {
            left: window.x == 0,
            top: window.y == 0,
            right: window.right() == spec.width,
            bottom: window.bottom() == spec.height,
        }
    }
}
