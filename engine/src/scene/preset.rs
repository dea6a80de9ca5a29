//! The named arrangements: where their tiles lie on their grids, and their names.

use std::fmt;
use std::str::FromStr;

use super::wish::{LayoutWish, Preset};
use crate::base::{Error, ErrorKind};

/// A rectangle in cells of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellRect {
    /// From the left, from 0.
    pub column: u32,
    /// From the top, from 0.
    pub row: u32,
    /// How many columns it covers.
    pub columns: u32,
    /// How many rows it covers.
    pub rows: u32,
}

impl CellRect {
    /// A square of `size` cells.
    pub(super) const fn square(column: u32, row: u32, size: u32) -> CellRect {
        CellRect { column, row, columns: size, rows: size }
    }

    /// One past the last column; wide, so that no input can overflow it.
    pub(super) fn right(&self) -> u64 {
        u64::from(self.column) + u64::from(self.columns)
    }

    /// One past the last row.
    pub(super) fn bottom(&self) -> u64 {
        u64::from(self.row) + u64::from(self.rows)
    }

    /// True where both cover a cell.
    pub(super) fn overlaps(&self, other: &CellRect) -> bool {
        u64::from(self.column) < other.right()
            && u64::from(other.column) < self.right()
            && u64::from(self.row) < other.bottom()
            && u64::from(other.row) < self.bottom()
    }
}

impl Preset {
    /// All of them, in the order in which a menu would list them.
    pub const ALL: [Preset; 8] = [
        Preset::One,
        Preset::TwoByTwo,
        Preset::ThreeByThree,
        Preset::FourByFour,
        Preset::OnePlusFive,
        Preset::OnePlusSeven,
        Preset::TwoPlusEight,
        Preset::OnePlusTwelve,
    ];

    /// Its name in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Preset::One => "1",
            Preset::TwoByTwo => "2x2",
            Preset::ThreeByThree => "3x3",
            Preset::FourByFour => "4x4",
            Preset::OnePlusFive => "1+5",
            Preset::OnePlusSeven => "1+7",
            Preset::TwoPlusEight => "2+8",
            Preset::OnePlusTwelve => "1+12",
        }
    }

    /// The columns (and as many rows) of the grid that its tiles lie on.
    pub const fn grid(self) -> u32 {
        match self {
            Preset::One => 1,
            Preset::TwoByTwo => 2,
            Preset::ThreeByThree | Preset::OnePlusFive => 3,
            Preset::FourByFour | Preset::OnePlusSeven | Preset::TwoPlusEight | Preset::OnePlusTwelve => 4,
        }
    }

    /// Its tiles: the large ones first, then the small ones row by row.
    pub fn cells(self) -> Vec<CellRect> {
        let large: &[CellRect] = match self {
            Preset::One | Preset::TwoByTwo | Preset::ThreeByThree | Preset::FourByFour => &[],
            Preset::OnePlusFive => &[CellRect::square(0, 0, 2)],
            Preset::OnePlusSeven => &[CellRect::square(0, 0, 3)],
            Preset::TwoPlusEight => &[CellRect::square(0, 0, 2), CellRect::square(2, 0, 2)],
            Preset::OnePlusTwelve => &[CellRect::square(1, 1, 2)],
        };
        let n = self.grid();
        let small = (0..n * n)
            .map(|i| CellRect::square(i % n, i / n, 1))
            .filter(|cell| !large.iter().any(|tile| tile.overlaps(cell)));
        large.iter().copied().chain(small).collect()
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = Error;
    fn from_str(text: &str) -> Result<Preset, Error> {
        Preset::ALL.into_iter().find(|preset| preset.name() == text.trim()).ok_or_else(|| {
            let names = Preset::ALL.map(Preset::name).join(", ");
            Error::new(
                ErrorKind::Config,
                text.trim().to_owned(),
                format!("is not a preset; the presets are {names}"),
            )
        })
    }
}

impl fmt::Display for LayoutWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutWish::Grid { columns, rows } => write!(f, "{columns}x{rows}"),
            LayoutWish::Preset(preset) => preset.fmt(f),
            LayoutWish::Free => f.write_str("free"),
        }
    }
}

/// `free`, `COLUMNSxROWS`, or the name of a preset. What is both a grid and a preset (`2x2`) comes
/// out as the grid, which also takes tiles that span cells.
impl FromStr for LayoutWish {
    type Err = Error;
    fn from_str(text: &str) -> Result<LayoutWish, Error> {
        let text = text.trim();
        if text == "free" {
            return Ok(LayoutWish::Free);
        }
        if let Some((columns, rows)) = text.split_once('x')
            && let (Ok(columns), Ok(rows)) = (columns.parse(), rows.parse())
        {
            return Ok(LayoutWish::Grid { columns, rows });
        }
        text.parse().map(LayoutWish::Preset).map_err(|_| {
            let names = Preset::ALL.map(Preset::name).join(", ");
            Error::new(
                ErrorKind::Config,
                text.to_owned(),
                format!("is not a layout; write COLUMNSxROWS (such as 5x4), free, or a preset ({names})"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse::<Preset>().expect("its own name"), preset);
        }
        let error = "1+6".parse::<Preset>().expect_err("no such preset");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("1+12"), "{error}");
        assert_eq!("5x4".parse::<LayoutWish>().expect("a grid"), LayoutWish::Grid { columns: 5, rows: 4 });
        assert_eq!("2+8".parse::<LayoutWish>().expect("a preset"), LayoutWish::Preset(Preset::TwoPlusEight));
        assert!("5x".parse::<LayoutWish>().is_err());
    }

    #[test]
    fn presets_cover_their_grid_once() {
        for (preset, tiles) in Preset::ALL.into_iter().zip([1, 4, 9, 16, 6, 8, 10, 13]) {
            let cells = preset.cells();
            assert_eq!(cells.len(), tiles, "{preset}");
            let n = preset.grid();
            for i in 0..n * n {
                let cell = CellRect::square(i % n, i / n, 1);
                assert_eq!(cells.iter().filter(|c| c.overlaps(&cell)).count(), 1, "{preset} cell {i}");
            }
        }
    }
}
