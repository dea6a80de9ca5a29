//! Where a picture's pixels come from and go to: aspect, crop, window. Pure arithmetic.

use crate::media::{FitMode, FitSpec, Frame, Mask, PixelRect, Ratio, Region};

/// An interval of source samples (luma pixels), not necessarily whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub from: f64,
    pub to: f64,
}

impl Span {
    fn len(self) -> f64 {
        self.to - self.from
    }
    /// The part of this length around the middle.
    fn middle(self, len: f64) -> Span {
        let from = self.from + (self.len() - len) / 2.0;
        Span { from, to: from + len }
    }
    /// Edges that miss a whole pixel by rounding alone are whole: integer kernels stay possible.
    fn snapped(self) -> Span {
        let snap = |v: f64| if (v - v.round()).abs() < 1e-3 { v.round() } else { v };
        Span { from: snap(self.from), to: snap(self.to) }
    }
}

/// How one frame goes into one tile, both upright or both as the frame lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mapping {
    /// What is shown of the source, across, in luma pixels.
    pub across: Span,
    /// What is shown of the source, down.
    pub down: Span,
    /// Where it goes, in tile pixels; even.
    pub picture: PixelRect,
    /// The part of `picture` that the window wants, in tile pixels; even, perhaps empty.
    pub part: PixelRect,
    /// The window, in tile pixels; even.
    pub window: PixelRect,
}

impl Mapping {
    /// Source pixels per tile pixel, across.
    pub fn scale_x(&self) -> f64 {
        self.across.len() / f64::from(self.picture.width)
    }
    /// Source pixels per tile pixel, down.
    pub fn scale_y(&self) -> f64 {
        self.down.len() / f64::from(self.picture.height)
    }

    /// From upright to how a frame of this size lies: everything is laid down with it.
    pub fn laid_down(self, frame: &Frame, spec: &FitSpec) -> Mapping {
        let down = frame.meta().orientation.inverse();
        if down.is_upright() {
            return self;
        }
        let size = |(w, h): (u32, u32)| (f64::from(w), f64::from(h));
        let source = [self.across.from, self.down.from, self.across.to, self.down.to];
        let [left, top, right, bottom] = down.place(source, size(frame.upright_size()));
        let tile = (even_at_least_two(spec.width), even_at_least_two(spec.height));
        let rect = |r: PixelRect| {
            let edges = [r.x, r.y, r.right(), r.bottom()].map(f64::from);
            // Whole numbers stay whole.
            let [left, top, right, bottom] = down.place(edges, size(tile)).map(|v| v as u32);
            PixelRect::new(left, top, right - left, bottom - top)
        };
        Mapping {
            across: Span { from: left, to: right }.snapped(),
            down: Span { from: top, to: bottom }.snapped(),
            picture: rect(self.picture),
            part: rect(self.part),
            window: rect(self.window),
        }
    }
}

/// Solves where a frame goes, upright.
pub(super) fn solve(frame: &Frame, spec: &FitSpec) -> Mapping {
    let (width, height) = (even_at_least_two(spec.width), even_at_least_two(spec.height));
    let (across, down) = shown(frame.upright_size(), &spec.crop);
    let aspect = pixel_aspect(frame.upright_pixel_aspect());
    let tile = PixelRect::new(0, 0, width, height);
    let (tile_w, tile_h) = (f64::from(width), f64::from(height));
    let (picture_w, picture_h) = (across.len() * aspect, down.len());
    let (across, down, picture) = match spec.mode {
        FitMode::Stretch => (across, down, tile),
        FitMode::Contain => {
            let scale = (tile_w / picture_w).min(tile_h / picture_h);
            let (w, h) = (nearest_even(picture_w * scale, width), nearest_even(picture_h * scale, height));
            (across, down, PixelRect::new(((width - w) / 2) & !1, ((height - h) / 2) & !1, w, h))
        }
        FitMode::Cover => {
            let scale = (tile_w / picture_w).max(tile_h / picture_h);
            let across = across.middle((tile_w / scale / aspect).min(across.len()));
            (across, down.middle((tile_h / scale).min(down.len())), tile)
        }
    };
    let window = even_window(&spec.window, &tile);
    Mapping {
        across: across.snapped(),
        down: down.snapped(),
        picture,
        part: picture.intersect(&window),
        window,
    }
}

/// The crop region in pixels; at least one pixel, within a picture of this size.
fn shown((width, height): (u32, u32), crop: &Region) -> (Span, Span) {
    let span = |at: f32, len: f32, size: u32| {
        let size = f64::from(size);
        let fraction = |v: f32| if v.is_finite() { f64::from(v).clamp(0.0, 1.0) } else { 0.0 };
        let from = (fraction(at) * size).min(size - 1.0);
        let to = (from + fraction(len) * size).clamp(from + 1.0, size.max(from + 1.0));
        Span { from, to: to.min(size) }
    };
    (span(crop.x, crop.width, width), span(crop.y, crop.height, height))
}

/// Aspects beyond 1:100 are headers gone wrong; they are taken as square.
fn pixel_aspect(ratio: Ratio) -> f64 {
    let aspect = f64::from(ratio.num) / f64::from(ratio.den);
    if (0.01..=100.0).contains(&aspect) { aspect } else { 1.0 }
}

fn even_at_least_two(v: u32) -> u32 {
    (v & !1).max(2)
}

fn nearest_even(v: f64, most: u32) -> u32 {
    (((v / 2.0).round() * 2.0) as u32).clamp(2, most)
}

fn even_window(window: &PixelRect, tile: &PixelRect) -> PixelRect {
    let right = window.x.saturating_add(window.width).min(tile.width).next_multiple_of(2);
    let bottom = window.y.saturating_add(window.height).min(tile.height).next_multiple_of(2);
    let (x, y) = (window.x & !1, window.y & !1);
    PixelRect::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y)).intersect(tile)
}

/// The pixels of the output (relative to `part`), as the frame lies, that a mask blackens: grown outward, so that no
/// output sample, luma or chroma, takes anything from a masked source pixel. `None` where it lies
/// outside.
pub(super) fn masked(mask: &Mask, frame: &Frame, mapping: &Mapping) -> Option<PixelRect> {
    let Region { x, y, width, height } = mask.0;
    let (left, right) = grown(x, width, frame.width(), mapping.across, mapping.scale_x(), mapping.picture.x);
    let (top, bottom) = grown(y, height, frame.height(), mapping.down, mapping.scale_y(), mapping.picture.y);
    let covered = PixelRect::new(left, top, right.saturating_sub(left), bottom.saturating_sub(top));
    let inside = covered.intersect(&mapping.part);
    (!inside.is_empty()).then(|| {
        PixelRect::new(inside.x - mapping.part.x, inside.y - mapping.part.y, inside.width, inside.height)
    })
}

fn grown(at: f32, len: f32, size: u32, shown: Span, scale: f64, offset: u32) -> (u32, u32) {
    // A number that is none masks all that it may mean.
    let number = |v: f32, otherwise: f64| if v.is_finite() { f64::from(v) } else { otherwise };
    let size = f64::from(size);
    let from = number(at, 0.0).clamp(0.0, 1.0) * size;
    let to = (number(at, 0.0) + number(len, 1.0).max(0.0)).clamp(0.0, 1.0) * size;
    // A chroma sample covers two pixels; interpolation reaches one chroma sample further.
    let reach = if scale < 1.0 { 2.0 } else { 0.0 };
    let from = (from / 2.0).floor() * 2.0 - reach;
    let to = (to / 2.0).ceil() * 2.0 + reach;
    let place = |v: f64| (v - shown.from) / scale + f64::from(offset);
    // The slack is a thousandth of a pixel: what rounding of the spans may have moved.
    let left = ((place(from) - 1e-2) / 2.0).floor() * 2.0;
    let right = ((place(to) + 1e-2) / 2.0).ceil() * 2.0;
    (left.max(0.0) as u32, right.max(0.0) as u32)
}
