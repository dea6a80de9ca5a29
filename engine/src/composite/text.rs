//! Text to coverage bitmaps, with the bundled font only: the same pixels on every machine.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use cosmic_text::fontdb::{Database, Source};
use cosmic_text::{
    Align, Attrs, Buffer, Ellipsize, EllipsizeHeightLimit, Family, FontSystem, Metrics, Shaping, SwashCache,
    SwashContent, SwashImage, Weight, Wrap,
};
use parking_lot::{Mutex, MutexGuard};

use super::plan::Bitmap;
use crate::base::Counter;

/// Open Sans Semibold and Bold, Latin only; licence and origin in `assets/fonts/`.
const SEMIBOLD: &[u8] = include_bytes!("../../assets/fonts/OpenSans-Semibold.ttf");
const BOLD: &[u8] = include_bytes!("../../assets/fonts/OpenSans-Bold.ttf");

/// Ascent and descent of Open Sans over its em (1.069 + 0.293): lines do not touch.
const LINE_HEIGHT: f32 = 1.36;
/// Bitmaps kept; about what 16 screens of 64 labelled tiles need.
const KEPT: usize = 2048;
/// Glyphs kept before all are dropped; some 200 glyphs at 40 sizes.
const KEPT_GLYPHS: usize = 8192;
/// Longer texts are cut: nobody reads them, and shaping costs by the letter.
const MAX_LETTERS: usize = 400;

/// Which of the bundled faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Face {
    /// Labels, reasons, the clock.
    Semibold,
    /// Titles.
    Bold,
}

/// How a text is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextStyle {
    /// Which face.
    pub face: Face,
    /// Pixels of an em, kept within 6 to 400.
    pub px: u32,
    /// No bitmap is wider than this, in pixels; what is too long ends in an ellipsis.
    pub max_width: u32,
    /// Lines to break into at most; zero counts as one.
    pub max_lines: u32,
    /// Lines centred instead of set to the left.
    pub centered: bool,
}

/// Rasterises texts and keeps the bitmaps. Shared by all screens.
pub struct TextRenderer {
    state: Mutex<State>,
    rasterised: Counter,
}

struct State {
    fonts: FontSystem,
    glyphs: SwashCache,
    families: [(String, Weight); 2],
    kept: HashMap<(String, TextStyle), CachedBitmap>,
    uses: u64,
}

struct CachedBitmap {
    bitmap: Arc<Bitmap>,
    last_use: u64,
}

impl std::fmt::Debug for TextRenderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextRenderer").field("rasterised", &self.rasterised).finish_non_exhaustive()
    }
}

impl Default for TextRenderer {
    fn default() -> Self {
        TextRenderer::new()
    }
}

impl TextRenderer {
    /// A renderer with an empty cache.
    pub fn new() -> TextRenderer {
        let mut db = Database::new();
        let families = [SEMIBOLD, BOLD].map(|data| {
            let ids = db.load_font_source(Source::Binary(Arc::new(data)));
            let face = ids.first().and_then(|id| db.face(*id));
            let family = face.and_then(|face| face.families.first()).map(|(name, _)| name.clone());
            (family.unwrap_or_default(), face.map_or(Weight::NORMAL, |face| face.weight))
        });
        TextRenderer {
            state: Mutex::new(State {
                fonts: FontSystem::new_with_locale_and_db("en".into(), db),
                glyphs: SwashCache::new(),
                families,
                kept: HashMap::new(),
                uses: 0,
            }),
            rasterised: Counter::default(),
        }
    }

    /// The coverage of a text, cropped to its ink from left to right, as high as its lines.
    /// Line breaks and control characters count as spaces.
    pub fn render(&self, text: &str, style: TextStyle) -> Arc<Bitmap> {
        let mut state = self.lock();
        state.uses += 1;
        let now = state.uses;
        let key = (text.to_owned(), style);
        if let Some(kept) = state.kept.get_mut(&key) {
            kept.last_use = now;
            return kept.bitmap.clone();
        }
        self.rasterised.add_one();
        let bitmap = Arc::new(state.rasterise(text, style));
        state.forget_the_oldest();
        state.kept.insert(key, CachedBitmap { bitmap: bitmap.clone(), last_use: now });
        bitmap
    }

    /// How many texts were rasterised, not taken from the cache.
    pub fn rasterised(&self) -> u64 {
        self.rasterised.get()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Height of one line at this size, in pixels: what a bitmap of one line has.
pub fn line_height(px: u32) -> u32 {
    (clamp_px(px) as f32 * LINE_HEIGHT).ceil() as u32
}

fn clamp_px(px: u32) -> u32 {
    px.clamp(6, 400)
}

impl State {
    fn rasterise(&mut self, text: &str, style: TextStyle) -> Bitmap {
        let clean: String =
            text.chars().take(MAX_LETTERS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let px = clamp_px(style.px);
        let metrics = Metrics::new(px as f32, line_height(px) as f32);
        let lines = style.max_lines.max(1);
        let (family, weight) = &self.families[style.face as usize];
        let attrs = Attrs::new().family(Family::Name(family)).weight(*weight);
        let mut buffer = Buffer::new(&mut self.fonts, metrics);
        buffer.set_size(Some(style.max_width as f32), None);
        buffer.set_wrap(if lines == 1 { Wrap::None } else { Wrap::WordOrGlyph });
        buffer.set_ellipsize(Ellipsize::End(EllipsizeHeightLimit::Lines(lines as usize)));
        let align = style.centered.then_some(Align::Center);
        buffer.set_text(clean.trim(), &attrs, Shaping::Advanced, align);
        buffer.shape_until_scroll(&mut self.fonts, false);
        let glyphs = self.placed_glyphs(&buffer);
        let used = buffer.layout_runs().filter(|run| !run.glyphs.is_empty()).count().min(lines as usize);
        let height = if glyphs.is_empty() { 0 } else { used as u32 * line_height(px) };
        merge(&glyphs, style.max_width, height)
    }

    fn placed_glyphs(&mut self, buffer: &Buffer) -> Vec<(i32, i32, SwashImage)> {
        if self.glyphs.image_cache.len() > KEPT_GLYPHS {
            self.glyphs.image_cache.clear();
        }
        let mut placed = Vec::new();
        for run in buffer.layout_runs() {
            for glyph in run.glyphs {
                let glyph = glyph.physical((0.0, run.line_y), 1.0);
                if let Some(image) = self.glyphs.get_image(&mut self.fonts, glyph.cache_key)
                    && image.content == SwashContent::Mask
                    && image.placement.width > 0
                {
                    let (left, top) = (image.placement.left, image.placement.top);
                    placed.push((glyph.x + left, glyph.y - top, image.clone()));
                }
            }
        }
        placed
    }

    fn forget_the_oldest(&mut self) {
        if self.kept.len() < KEPT {
            return;
        }
        let mut uses: Vec<u64> = self.kept.values().map(|k| k.last_use).collect();
        let half = uses.len() / 2;
        let (_, median, _) = uses.select_nth_unstable(half);
        let median = *median;
        self.kept.retain(|_, kept| kept.last_use >= median);
    }
}

/// Glyphs into one bitmap, cropped to their ink in x.
fn merge(glyphs: &[(i32, i32, SwashImage)], max_width: u32, height: u32) -> Bitmap {
    let left = glyphs.iter().map(|(x, _, _)| *x).min().unwrap_or(0);
    let right = glyphs.iter().map(|(x, _, image)| x + image.placement.width as i32).max().unwrap_or(0);
    let width = (right - left).clamp(0, i32::try_from(max_width).unwrap_or(i32::MAX)) as usize;
    let mut coverage = vec![0_u8; width * height as usize];
    for (x, y, image) in glyphs {
        let columns = image.placement.width as usize;
        for (row, bytes) in image.data.chunks_exact(columns).enumerate() {
            let Ok(y) = usize::try_from(y + row as i32) else { continue };
            let Some(line) = coverage.get_mut(y * width..(y + 1) * width) else { continue };
            let start = (x - left) as usize;
            for (to, from) in line.iter_mut().skip(start).zip(bytes) {
                *to = (*to).max(*from);
            }
        }
    }
    Bitmap { width: width as u32, height, coverage: Bytes::from(coverage) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(px: u32, max_width: u32, max_lines: u32) -> TextStyle {
        TextStyle { face: Face::Semibold, px, max_width, max_lines, centered: false }
    }

    fn ink(bitmap: &Bitmap) -> u64 {
        bitmap.coverage.iter().map(|c| u64::from(*c)).sum()
    }

    #[test]
    fn french_dutch_and_german_letters_have_their_own_glyphs() {
        let text = TextRenderer::new();
        let missing = text.render("\u{4e2d}", style(32, 500, 1));
        for letter in "éèêëçïîôöüùûàâäœŒæñßĳĲÉÈÇÖÜÄ€…–—’“”«»°".chars()
        {
            let bitmap = text.render(&letter.to_string(), style(32, 500, 1));
            assert!(ink(&bitmap) > 500, "{letter} has no ink");
            assert_ne!(bitmap.coverage, missing.coverage, "{letter} is drawn as a missing glyph");
        }
        let (e, acute) = (text.render("e", style(32, 500, 1)), text.render("é", style(32, 500, 1)));
        assert!(ink(&acute) > ink(&e));
    }

    #[test]
    fn both_faces_are_found() {
        let text = TextRenderer::new();
        let bold = text.render("Vitrail", TextStyle { face: Face::Bold, ..style(40, 500, 1) });
        assert!(ink(&bold) > ink(&text.render("Vitrail", style(40, 500, 1))) * 11 / 10);
    }

    #[test]
    fn too_long_texts_end_in_an_ellipsis_within_the_width() {
        let text = TextRenderer::new();
        let long = "Place de la Bourse, côté nord, entrée du métro";
        let whole = text.render(long, style(20, 4000, 1));
        for width in [12, 60, 150] {
            let short = text.render(long, style(20, width, 1));
            assert!(short.width <= width && short.width < whole.width, "{width}: {}", short.width);
            assert_eq!(short.height, line_height(20));
        }
        // Cut, not merely clipped: the last columns show an ellipsis, which is low.
        let short = text.render(long, style(20, 150, 1));
        let high_right = (0..short.height as usize / 2)
            .flat_map(|y| {
                short.coverage[y * short.width as usize..][..short.width as usize].iter().rev().take(10)
            })
            .map(|c| u32::from(*c))
            .sum::<u32>();
        assert_eq!(high_right, 0);
    }

    #[test]
    fn lines_break_and_are_counted() {
        let text = TextRenderer::new();
        let long = "the decoder has no High 4:2:2 profile; choose another profile in the camera";
        assert_eq!(text.render(long, style(16, 200, 3)).height, 3 * line_height(16));
        assert_eq!(text.render("short", style(16, 200, 3)).height, line_height(16));
        assert_eq!(text.render("", style(16, 200, 3)).height, 0);
        assert_eq!(text.render("two\nlines", style(16, 200, 1)).height, line_height(16));
    }

    #[test]
    fn any_input_gives_a_bitmap_that_fits() {
        let text = TextRenderer::new();
        let long = "x".repeat(100_000);
        let cases =
            ["\u{0}\u{1}\n\r\t", "\u{202e}abc", "👩‍👩‍👧", "مرحبا", "\u{301}\u{301}\u{301}", long.as_str()];
        for (case, px) in cases.into_iter().flat_map(|c| [0, 11, 9000].map(|px| (c, px))) {
            for width in [0, 1, 300] {
                let bitmap = text.render(case, style(px, width, 2));
                assert!(bitmap.width <= width);
                assert_eq!(bitmap.coverage.len(), (bitmap.width * bitmap.height) as usize);
            }
        }
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let text = TextRenderer::new();
        text.render("kept", style(12, 100, 1));
        for i in 0..KEPT * 2 {
            text.render(&i.to_string(), style(8, 40, 1));
            text.render("kept", style(12, 100, 1));
        }
        assert!(text.lock().kept.len() <= KEPT);
        let before = text.rasterised();
        text.render("kept", style(12, 100, 1));
        assert_eq!(text.rasterised(), before);
    }
}
