//! Privacy masks: which samples a polygon touches, and hiding them.

use std::time::Duration;

use ffmpeg_next as ff;

use super::frame_ffi::Canvas;
use crate::media::Range;
use crate::transcode::spec::{Mask, MaskStyle};

/// Samples that are hidden in one row of a plane: from `from` until before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub y: usize,
    pub from: usize,
    pub to: usize,
}

/// A mask for pictures of one size. Guards that no sample which its polygon touches is ever shown.
pub(super) struct Cover {
    luma: Vec<Span>,
    chroma: Vec<Span>,
    style: MaskStyle,
    blocks: Blocks,
    from: Option<Duration>,
    to: Option<Duration>,
}

impl Cover {
    pub fn new(mask: &Mask, width: u32, height: u32) -> Cover {
        let size = (width as usize, height as usize);
        let luma = touched(&mask.polygon, size);
        let chroma = halved(&luma, (size.0.div_ceil(2), size.1.div_ceil(2)));
        let blocks = Blocks::over(&chroma, size);
        Cover { luma, chroma, style: mask.style, blocks, from: mask.from, to: mask.to }
    }

    /// Whether a picture of this time is masked. One whose time is not known is.
    pub fn is_active(&self, pts: Option<i64>, time_base: ff::Rational) -> bool {
        let Some(pts) = pts else { return true };
        let (num, den) = (i128::from(time_base.numerator()), i128::from(time_base.denominator()));
        let at = i128::from(pts) * num * 1_000_000_000;
        // No overflow: 2^64 seconds in nanoseconds times 2^31 is below 2^125.
        let reached = |time: Duration| at >= time.as_nanos() as i128 * den;
        self.from.is_none_or(reached) && !self.to.is_some_and(reached)
    }

    /// Hides the region in an 8-bit picture.
    pub fn hide(&self, canvas: &mut Canvas<'_>, range: Range) {
        match self.style {
            MaskStyle::Black => {
                let black = if range == Range::Full { 0 } else { 16 };
                for (plane, spans, value) in
                    [(0, &self.luma, black), (1, &self.chroma, 128), (2, &self.chroma, 128)]
                {
                    for span in spans {
                        canvas.row(plane, span.y)[span.from..span.to].fill(value);
                    }
                }
            }
            MaskStyle::Mosaic => {
                for plane in 0..3 {
                    let spans = if plane == 0 { &self.luma } else { &self.chroma };
                    self.blocks.paint(canvas, plane, spans);
                }
            }
        }
    }
}

/// Rounding of corners, in pixels: a pixel that is missed by less counts as touched.
const SLACK: f64 = 1e-6;

/// Pixels of which the polygon touches any point, edges and corners included. In self-crossing polygons
/// all that is wound around counts as inside, so that more is hidden and not less.
///
/// Row by row: an edge touches the pixels between the ends of its part that lies in the row. A pixel
/// that no edge touches lies wholly inside or wholly outside, so its middle tells.
pub(super) fn touched(polygon: &[(f64, f64)], (width, height): (usize, usize)) -> Vec<Span> {
    let corners: Vec<(f64, f64)> =
        polygon.iter().map(|(x, y)| (x * width as f64, y * height as f64)).collect();
    let edges: Vec<_> = corners.iter().copied().zip(corners.iter().copied().cycle().skip(1)).collect();
    let mut spans = Vec::new();
    let mut hidden = vec![false; width];
    for y in 0..height {
        hidden.fill(false);
        for edge in &edges {
            if let Some((left, right)) = within_row(*edge, y as f64 - SLACK, (y + 1) as f64 + SLACK) {
                mark(&mut hidden, left, right);
            }
        }
        for (left, right) in wound(&edges, y as f64 + 0.5) {
            mark(&mut hidden, left, right);
        }
        collect(&hidden, y, &mut spans);
    }
    spans
}

type Edge = ((f64, f64), (f64, f64));

/// From where to where an edge runs between two heights.
fn within_row(((ax, ay), (bx, by)): Edge, top: f64, bottom: f64) -> Option<(f64, f64)> {
    if ay.max(by) < top || ay.min(by) > bottom {
        return None;
    }
    let at = |y: f64| {
        if ay == by { ax } else { ax + (bx - ax) * ((y - ay) / (by - ay)).clamp(0.0, 1.0) }
    };
    if ay == by {
        return Some((ax.min(bx), ax.max(bx)));
    }
    let (one, other) = (at(ay.min(by).max(top)), at(ay.max(by).min(bottom)));
    Some((one.min(other), one.max(other)))
}

/// From where to where a line at this height is inside, by the non-zero winding rule.
fn wound(edges: &[Edge], y: f64) -> Vec<(f64, f64)> {
    let mut crossings: Vec<(f64, i32)> = edges
        .iter()
        .filter(|((_, ay), (_, by))| (*ay <= y) != (*by <= y))
        .map(|((ax, ay), (bx, by))| (ax + (bx - ax) * (y - ay) / (by - ay), if ay < by { 1 } else { -1 }))
        .collect();
    crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut winding = 0;
    let mut inside = Vec::new();
    for pair in crossings.windows(2) {
        winding += pair[0].1;
        if winding != 0 {
            inside.push((pair[0].0, pair[1].0));
        }
    }
    inside
}

/// Marks the pixels from `left` to `right`, both included.
fn mark(hidden: &mut [bool], left: f64, right: f64) {
    let last = hidden.len() as f64 - 1.0;
    let (left, right) = ((left - SLACK).floor(), (right + SLACK).floor());
    // A pixel's right border belongs to it too.
    if right < 0.0 || left > last {
        return;
    }
    hidden[left.max(0.0) as usize..=right.min(last) as usize].fill(true);
}

fn collect(hidden: &[bool], y: usize, spans: &mut Vec<Span>) {
    let mut x = 0;
    while let Some(from) = hidden[x..].iter().position(|h| *h).map(|i| x + i) {
        let to = hidden[from..].iter().position(|h| !*h).map_or(hidden.len(), |i| from + i);
        spans.push(Span { y, from, to });
        x = to;
    }
}

/// Chroma samples of which any luma pixel is hidden.
fn halved(luma: &[Span], (width, height): (usize, usize)) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut hidden = vec![false; width];
    let mut rest = luma;
    for y in 0..height {
        hidden.fill(false);
        let here = rest.partition_point(|span| span.y / 2 <= y);
        for span in &rest[..here] {
            hidden[span.from / 2..span.to.div_ceil(2)].fill(true);
        }
        rest = &rest[here..];
        collect(&hidden, y, &mut spans);
    }
    spans
}

/// The grid of a mosaic, in chroma samples (luma: twice that).
struct Blocks {
    columns: Vec<Cell>,
    rows: Vec<Cell>,
}

/// One block along one axis: what it covers, and what its colour is the mean of. The two differ only
/// where the region is smaller than a block: the mean is still of a whole block, or a narrow region
/// would show itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    from: usize,
    to: usize,
    mean_from: usize,
    mean_to: usize,
}

impl Blocks {
    /// Blocks from the region's left and upper edge on, at least a sixteenth of the picture's shorter
    /// side each way.
    fn over(chroma: &[Span], (width, height): (usize, usize)) -> Blocks {
        let least = width.min(height).div_ceil(16).div_ceil(2).max(1);
        let left = chroma.iter().map(|span| span.from).min().unwrap_or(0);
        let right = chroma.iter().map(|span| span.to).max().unwrap_or(0);
        let top = chroma.first().map_or(0, |span| span.y);
        let bottom = chroma.last().map_or(0, |span| span.y + 1);
        Blocks {
            columns: cells(left, right, least, width.div_ceil(2)),
            rows: cells(top, bottom, least, height.div_ceil(2)),
        }
    }

    /// Each hidden sample becomes the mean of its block.
    fn paint(&self, canvas: &mut Canvas<'_>, plane: usize, spans: &[Span]) {
        let factor = if plane == 0 { 2 } else { 1 };
        let (width, height) = canvas.size(plane);
        let means: Vec<Vec<u8>> = self
            .rows
            .iter()
            .map(|row| self.columns.iter().map(|column| mean(canvas, plane, factor, *row, *column)).collect())
            .collect();
        let mut row = 0;
        for span in spans.iter().filter(|span| span.y < height) {
            while self.rows.get(row).is_some_and(|cell| span.y >= cell.to * factor) {
                row += 1;
            }
            let Some(means) = means.get(row) else { break };
            for (cell, mean) in self.columns.iter().zip(means) {
                let (from, to) =
                    (span.from.max(cell.from * factor), span.to.min(cell.to * factor).min(width));
                if from < to {
                    canvas.row(plane, span.y)[from..to].fill(*mean);
                }
            }
        }
    }
}

/// From `start` to `end` in equal blocks of at least `least`, the last one larger by what is left over.
fn cells(start: usize, end: usize, least: usize, limit: usize) -> Vec<Cell> {
    let length = end - start;
    let count = (length / least).max(1);
    let block = length / count;
    let missing = least.saturating_sub(length);
    let mean_from = start.saturating_sub(missing / 2).min(limit.saturating_sub(least));
    (0..count)
        .map(|i| {
            let from = start + i * block;
            let to = if i + 1 == count { end } else { from + block };
            match missing {
                0 => Cell { from, to, mean_from: from, mean_to: to },
                _ => Cell { from, to, mean_from, mean_to: (mean_from + least).min(limit) },
            }
        })
        .collect()
}

fn mean(canvas: &mut Canvas<'_>, plane: usize, factor: usize, row: Cell, column: Cell) -> u8 {
    let (width, height) = canvas.size(plane);
    let (from, to) = (column.mean_from * factor, (column.mean_to * factor).min(width));
    let rows = row.mean_from * factor..(row.mean_to * factor).min(height);
    let count = (rows.len() * to.saturating_sub(from)) as u64;
    let sum: u64 =
        rows.map(|y| canvas.row(plane, y)[from..to].iter().map(|s| u64::from(*s)).sum::<u64>()).sum();
    ((sum + count / 2) / count.max(1)) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Point = (f64, f64);

    /// Whether a segment meets a square, by clipping its parameter against each side.
    fn meets((a, b): (Point, Point), (left, top, right, bottom): (f64, f64, f64, f64)) -> bool {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let (mut from, mut to) = (0.0_f64, 1.0_f64);
        for (slope, room) in [(-dx, a.0 - left), (dx, right - a.0), (-dy, a.1 - top), (dy, bottom - a.1)] {
            if slope == 0.0 {
                if room < 0.0 {
                    return false;
                }
            } else if slope < 0.0 {
                from = from.max(room / slope);
            } else {
                to = to.min(room / slope);
            }
        }
        from <= to
    }

    /// How often the polygon turns around a point, by summing angles.
    fn turns(polygon: &[Point], p: Point) -> i32 {
        let angle = |q: &Point| (q.1 - p.1).atan2(q.0 - p.0);
        let total: f64 = polygon
            .iter()
            .zip(polygon.iter().cycle().skip(1))
            .map(|(a, b)| {
                let turn = angle(b) - angle(a);
                turn - std::f64::consts::TAU * (turn / std::f64::consts::TAU).round()
            })
            .sum();
        (total / std::f64::consts::TAU).round() as i32
    }

    /// The definition, pixel by pixel and without rows; `grow` makes the pixel larger.
    fn touches(polygon: &[Point], x: usize, y: usize, grow: f64) -> bool {
        let (x, y) = (x as f64, y as f64);
        let square = (x - grow, y - grow, x + 1.0 + grow, y + 1.0 + grow);
        let mut edges = polygon.iter().copied().zip(polygon.iter().copied().cycle().skip(1));
        edges.any(|edge| meets(edge, square)) || turns(polygon, (x + 0.5, y + 0.5)) != 0
    }

    /// The first pixel that is shown though the polygon touches it, or hidden though it is far off.
    fn first_fault(spans: &[Span], shares: &[Point], (width, height): (usize, usize)) -> Option<String> {
        let polygon: Vec<_> = shares.iter().map(|(x, y)| (x * width as f64, y * height as f64)).collect();
        for y in 0..height {
            for x in 0..width {
                let hidden = spans.iter().any(|span| span.y == y && (span.from..span.to).contains(&x));
                if !hidden && touches(&polygon, x, y, 0.0) {
                    return Some(format!("{x},{y} is shown"));
                }
                if hidden && !touches(&polygon, x, y, 1e-5) {
                    return Some(format!("{x},{y} is hidden for nothing"));
                }
            }
        }
        None
    }

    fn corner() -> impl Strategy<Value = Point> {
        let exact = (0_u8..=8, 0_u8..=8).prop_map(|(x, y)| (f64::from(x) / 8.0, f64::from(y) / 8.0));
        prop_oneof![(0.0..=1.0, 0.0..=1.0), exact]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn a_polygon_hides_every_pixel_it_touches_and_no_other(
            polygon in prop::collection::vec(corner(), 3..9),
            size in (1_usize..40, 1_usize..40),
        ) {
            let spans = touched(&polygon, size);
            prop_assert_eq!(first_fault(&spans, &polygon, size), None);
        }

        #[test]
        fn a_chroma_sample_goes_with_any_of_its_pixels(
            polygon in prop::collection::vec(corner(), 3..6),
            (width, height) in (1_usize..30, 1_usize..30),
        ) {
            let luma = touched(&polygon, (width, height));
            let chroma = halved(&luma, (width.div_ceil(2), height.div_ceil(2)));
            let is_in = |spans: &[Span], x, y| spans.iter().any(|s| s.y == y && s.from <= x && x < s.to);
            for y in 0..height.div_ceil(2) {
                for x in 0..width.div_ceil(2) {
                    let any = (0..4).any(|i| is_in(&luma, 2 * x + i % 2, 2 * y + i / 2));
                    prop_assert_eq!(is_in(&chroma, x, y), any, "{}, {}", x, y);
                }
            }
        }

        #[test]
        fn blocks_tile_their_region_and_are_large_enough(
            start in 0_usize..50, length in 1_usize..200, least in 1_usize..40, beyond in 0_usize..50,
        ) {
            let end = start + length;
            let limit = end + beyond;
            let cells = cells(start, end, least, limit);
            prop_assert_eq!(cells[0].from, start);
            prop_assert_eq!(cells[cells.len() - 1].to, end);
            for pair in cells.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
            }
            for cell in cells {
                prop_assert!(cell.mean_to <= limit);
                prop_assert!(cell.mean_to - cell.mean_from >= least.min(limit), "{:?}", cell);
            }
        }
    }

    #[test]
    fn the_comparator_sees_a_missing_pixel_and_one_too_many() {
        let (polygon, size) = ([(0.2, 0.2), (0.8, 0.3), (0.5, 0.9)], (20, 20));
        let spans = touched(&polygon, size);
        assert_eq!(first_fault(&spans, &polygon, size), None);
        for at in [0, spans.len() / 2, spans.len() - 1] {
            let mut less = spans.clone();
            less[at].from += 1;
            assert!(first_fault(&less, &polygon, size).is_some_and(|fault| fault.ends_with("is shown")));
            let mut more = spans.clone();
            more[at].to += 1;
            assert!(first_fault(&more, &polygon, size).is_some_and(|fault| fault.ends_with("nothing")));
        }
    }

    #[test]
    fn the_middle_of_a_pentagram_is_hidden() {
        let star: Vec<_> = (0..5)
            .map(|i| f64::from(i * 2) * std::f64::consts::TAU / 5.0)
            .map(|a| (0.5 + 0.45 * a.sin(), 0.5 - 0.45 * a.cos()))
            .collect();
        let spans = touched(&star, (100, 100));
        assert!(spans.iter().any(|s| s.y == 50 && s.from <= 50 && 50 < s.to));
    }

    #[test]
    fn a_mask_is_active_from_its_begin_until_before_its_end() {
        let mask = Mask {
            polygon: vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)],
            style: MaskStyle::Black,
            from: Some(Duration::from_millis(40)),
            to: Some(Duration::from_secs(2)),
        };
        let cover = Cover::new(&mask, 16, 16);
        let active = |pts| cover.is_active(pts, ff::Rational::new(1, 25));
        assert!(!active(Some(-1)) && !active(Some(0)) && active(Some(1)) && active(Some(49)));
        assert!(!active(Some(50)) && !active(Some(i64::MAX)));
        assert!(active(None), "a picture without a time is hidden");
        // 1001/30000 s is after 33.366 ms and before 33.367 ms.
        let cover = Cover::new(&Mask { from: Some(Duration::from_micros(33_367)), ..mask }, 16, 16);
        assert!(!cover.is_active(Some(1), ff::Rational::new(1001, 30_000)));
    }
}
