//! Divides a length into cells with gaps: even edges, nothing left over.

use super::preset::CellRect;
use crate::media::PixelRect;

/// The smallest tile, in pixels each way: one macroblock. Less shows nothing that helps.
pub const MIN_TILE: u32 = 16;

/// Columns (or rows) of a region.
#[derive(Clone, Copy, Debug)]
struct Axis {
    start: u32,
    /// Pixels without gaps, in pairs, because edges are even.
    pairs: u64,
    count: u32,
    gap: u32,
}

impl Axis {
    /// `None` where a cell would be smaller than [`MIN_TILE`].
    fn new(start: u32, length: u32, count: u32, gap: u32) -> Option<Axis> {
        if count == 0 {
            return None;
        }
        let gaps = u64::from(count - 1) * u64::from(gap);
        let pairs = u64::from(length).checked_sub(gaps)? / 2;
        (pairs * 2 / u64::from(count) >= u64::from(MIN_TILE)).then_some(Axis { start, pairs, count, gap })
    }

    /// Left edge of cell `i`; for `i == count` one gap past the right edge of the last. Remainder
    /// pixels fall evenly among the cells.
    fn edge(&self, i: u64) -> u32 {
        let offset = 2 * (i * self.pairs / u64::from(self.count)) + i * u64::from(self.gap);
        self.start + offset as u32
    }

    /// Start and length of `span` cells from `first`, the gaps between them included.
    fn span(&self, first: u32, span: u32) -> (u32, u32) {
        let start = self.edge(u64::from(first));
        let end = self.edge(u64::from(first) + u64::from(span)) - self.gap;
        (start, end - start)
    }
}

/// A grid of cells over an area of the wall plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    columns: Axis,
    rows: Axis,
}

impl Grid {
    /// A grid over `area` (even edges) with `gap` (even) between cells; `None` where a cell would
    /// be smaller than [`MIN_TILE`].
    pub(super) fn new(area: PixelRect, columns: u32, rows: u32, gap: u32) -> Option<Grid> {
        Some(Grid {
            columns: Axis::new(area.x, area.width, columns, gap)?,
            rows: Axis::new(area.y, area.height, rows, gap)?,
        })
    }

    /// True where all of `cell` lies in the grid and it covers at least one.
    pub(super) fn holds(&self, cell: &CellRect) -> bool {
        cell.columns > 0
            && cell.rows > 0
            && cell.right() <= u64::from(self.columns.count)
            && cell.bottom() <= u64::from(self.rows.count)
    }

    /// Pixels of a cell that the grid [`holds`](Self::holds).
    pub(super) fn rect(&self, cell: &CellRect) -> PixelRect {
        let (x, width) = self.columns.span(cell.column, cell.columns);
        let (y, height) = self.rows.span(cell.row, cell.rows);
        PixelRect { x, y, width, height }
    }

    /// The first free cell from `from` on, row by row.
    pub(super) fn next_free(&self, from: (u32, u32), taken: &[CellRect]) -> Option<CellRect> {
        let (mut column, mut row) = from;
        while row < self.rows.count {
            while column < self.columns.count {
                let cell = CellRect::square(column, row, 1);
                match taken.iter().find(|other| other.overlaps(&cell)) {
                    None => return Some(cell),
                    Some(other) => column = other.column + other.columns,
                }
            }
            (column, row) = (0, row + 1);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders_are_spread_in_pairs() {
        // 1366 - 2 * 4 = 1358 pixels in three columns: 452 + 452 + 454.
        let grid = Grid::new(PixelRect::new(0, 0, 1366, 768), 3, 1, 4).expect("large enough");
        let columns: Vec<_> = (0..3).map(|c| grid.rect(&CellRect::square(c, 0, 1))).collect();
        assert_eq!(columns[0], PixelRect::new(0, 0, 452, 768));
        assert_eq!(columns[1], PixelRect::new(456, 0, 452, 768));
        assert_eq!(columns[2], PixelRect::new(912, 0, 454, 768));
    }

    #[test]
    fn cells_too_small_to_see_are_refused() {
        assert!(Grid::new(PixelRect::new(0, 0, 64, 64), 4, 4, 0).is_some());
        assert!(Grid::new(PixelRect::new(0, 0, 64, 64), 4, 4, 2).is_none());
        assert!(Grid::new(PixelRect::new(0, 0, 64, 64), u32::MAX, u32::MAX, u32::MAX).is_none());
        assert!(Grid::new(PixelRect::new(0, 0, 64, 64), 0, 1, 0).is_none());
    }
}
