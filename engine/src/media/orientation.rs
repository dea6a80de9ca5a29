//! How a picture must be turned and mirrored to stand upright: the one way of telling it, whoever tells it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the eight ways to lay a picture down: it is mirrored left to right first, where it is, and then
/// turned clockwise by quarters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "OrientationText", into = "OrientationText")]
pub struct Orientation {
    /// 0 to 3.
    quarters: u8,
    mirrored: bool,
}

/// How reports say it.
#[derive(Serialize, Deserialize)]
struct OrientationText {
    turn: u32,
    mirrored: bool,
}

impl From<OrientationText> for Orientation {
    fn from(OrientationText { turn, mirrored }: OrientationText) -> Orientation {
        Orientation::new(turn / 90, mirrored)
    }
}

impl From<Orientation> for OrientationText {
    fn from(orientation: Orientation) -> OrientationText {
        OrientationText { turn: orientation.degrees(), mirrored: orientation.mirrored }
    }
}

/// A clockwise turn by quarters, as somebody asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QuarterTurn(u8);

impl QuarterTurn {
    /// Of 0, 90, 180 or 270 degrees; `None` for others.
    pub const fn from_degrees(degrees: u32) -> Option<QuarterTurn> {
        if degrees < 360 && degrees.is_multiple_of(90) {
            Some(QuarterTurn((degrees / 90) as u8))
        } else {
            None
        }
    }

    /// In degrees.
    pub const fn degrees(self) -> u32 {
        90 * self.0 as u32
    }
}

/// What of a picture changes places, as somebody asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Flip {
    /// Nothing.
    #[default]
    None,
    /// Left and right.
    Horizontal,
    /// Above and below.
    Vertical,
}

impl Flip {
    /// The word for it: `none`, `horizontal` or `vertical`.
    pub const fn word(self) -> &'static str {
        match self {
            Flip::None => "none",
            Flip::Horizontal => "horizontal",
            Flip::Vertical => "vertical",
        }
    }
}

/// A turn matrix may be off by this share of its largest number, and is none beyond.
const SLACK: f64 = 0.02;

impl Orientation {
    /// As it is.
    pub const UPRIGHT: Orientation = Orientation { quarters: 0, mirrored: false };
    /// Left and right changed.
    pub const MIRRORED: Orientation = Orientation { quarters: 0, mirrored: true };
    /// Above and below changed.
    pub const FLIPPED: Orientation = Orientation { quarters: 2, mirrored: true };
    /// All of them.
    pub const ALL: [Orientation; 8] = {
        let mut all = [Orientation::UPRIGHT; 8];
        let mut n = 0;
        while n < 8 {
            all[n] = Orientation { quarters: n as u8 % 4, mirrored: n >= 4 };
            n += 1;
        }
        all
    };

    /// Mirrored where asked, then turned clockwise by so many quarters.
    pub const fn new(quarters: u32, mirrored: bool) -> Orientation {
        Orientation { quarters: (quarters % 4) as u8, mirrored }
    }

    /// What people ask for: the picture is turned, and what is then seen is flipped.
    pub const fn asked(turn: QuarterTurn, flip: Flip) -> Orientation {
        let flip = match flip {
            Flip::None => Orientation::UPRIGHT,
            Flip::Horizontal => Orientation::MIRRORED,
            Flip::Vertical => Orientation::FLIPPED,
        };
        Orientation { quarters: turn.0, mirrored: false }.then(flip)
    }

    /// The clockwise turn in degrees: 0, 90, 180 or 270.
    pub const fn degrees(self) -> u32 {
        90 * self.quarters as u32
    }

    /// Mirrored left to right before it is turned.
    pub const fn is_mirrored(self) -> bool {
        self.mirrored
    }

    /// Nothing is to be done.
    pub const fn is_upright(self) -> bool {
        self.quarters == 0 && !self.mirrored
    }

    /// Width and height change places.
    pub const fn swaps_sides(self) -> bool {
        self.quarters % 2 == 1
    }

    /// The size of the upright picture, from that of the picture as it lies, and back.
    pub const fn size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.swaps_sides() { (height, width) } else { (width, height) }
    }

    /// This, and then another.
    pub const fn then(self, next: Orientation) -> Orientation {
        // A mirror turns what was turned before it the other way.
        let before = if next.mirrored { 4 - self.quarters } else { self.quarters };
        Orientation { quarters: (next.quarters + before) % 4, mirrored: self.mirrored != next.mirrored }
    }

    /// What undoes it.
    pub const fn inverse(self) -> Orientation {
        let quarters = if self.mirrored { self.quarters } else { (4 - self.quarters) % 4 };
        Orientation { quarters, mirrored: self.mirrored }
    }

    /// Where a rectangle of the picture as it lies, of this size, stands in the upright picture. Edges are
    /// left, top, right and bottom.
    pub fn place(self, [left, top, right, bottom]: [f64; 4], (width, height): (f64, f64)) -> [f64; 4] {
        let (mut at, mut size) = ([left, top, right, bottom], (width, height));
        if self.mirrored {
            at = [size.0 - at[2], at[1], size.0 - at[0], at[3]];
        }
        for _ in 0..self.quarters {
            at = [size.1 - at[3], at[0], size.1 - at[1], at[2]];
            size = (size.1, size.0);
        }
        at
    }

    /// From a display matrix, as MP4 (`tkhd`) and libav have it: where (1, 0) and (0, 1) go, in the first two
    /// numbers of its first two rows. `None` for any other angle, and for what is no turn.
    pub fn from_matrix(matrix: &[i32; 9]) -> Option<Orientation> {
        let [a, b, c, d] = [0, 1, 3, 4].map(|at| f64::from(matrix[at]));
        let largest = [a, b, c, d].map(f64::abs).into_iter().fold(0.0, f64::max);
        let sign = |v: f64| if v.abs() <= SLACK * largest { 0 } else { v.signum() as i32 };
        let signs = [a, b, c, d].map(sign);
        let quarter = |(x, y): (i32, i32)| (-y, x);
        Orientation::ALL.into_iter().find(|orientation| {
            let across = if orientation.mirrored { (-1, 0) } else { (1, 0) };
            let turned = |axis| (0..orientation.quarters).fold(axis, |axis, _| quarter(axis));
            let ((a, b), (c, d)) = (turned(across), turned((0, 1)));
            signs == [a, b, c, d]
        })
    }

    /// From the bytes of libav's side data.
    pub fn from_matrix_bytes(bytes: &[u8]) -> Option<Orientation> {
        let mut matrix = [0; 9];
        for (number, bytes) in matrix.iter_mut().zip(bytes.chunks_exact(4)) {
            *number = i32::from_ne_bytes(bytes.try_into().ok()?);
        }
        (bytes.len() >= 36).then(|| Orientation::from_matrix(&matrix)).flatten()
    }

    /// From the words of GStreamer's `image-orientation` tag: `rotate-90`, `flip-rotate-270`, ….
    pub fn from_tag(tag: &str) -> Option<Orientation> {
        let mirrored = tag.starts_with("flip-");
        let degrees: u32 = tag.trim_start_matches("flip-").strip_prefix("rotate-")?.parse().ok()?;
        (degrees < 360 && degrees.is_multiple_of(90)).then(|| Orientation::new(degrees / 90, mirrored))
    }
}

impl fmt::Display for Orientation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.mirrored, self.degrees()) {
            (false, 0) => f.write_str("as it is"),
            (true, 0) => f.write_str("mirrored"),
            (false, degrees) => write!(f, "turned clockwise by {degrees} degrees"),
            (true, degrees) => write!(f, "mirrored, then turned clockwise by {degrees} degrees"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each pixel of a picture of 3 x 2 goes.
    fn moved(orientation: Orientation) -> Vec<(u32, u32)> {
        let pixels = (0..2).flat_map(|y| (0..3).map(move |x| (x, y)));
        let place = |(x, y): (u32, u32)| {
            let edges = [x, y, x + 1, y + 1].map(f64::from);
            let [left, top, ..] = orientation.place(edges, (3.0, 2.0));
            (left as u32, top as u32)
        };
        pixels.map(place).collect()
    }

    #[test]
    fn a_quarter_turns_clockwise_after_the_mirror() {
        // The upper left pixel goes to the right, the lower left one to its left.
        assert_eq!(moved(Orientation::new(1, false))[..2], [(1, 0), (1, 1)]);
        assert_eq!(moved(Orientation::MIRRORED)[..2], [(2, 0), (1, 0)]);
        assert_eq!(moved(Orientation::FLIPPED)[..2], [(0, 1), (1, 1)]);
        assert_eq!(moved(Orientation::new(1, true))[..2], [(1, 2), (1, 1)], "the other diagonal");
        assert_eq!(moved(Orientation::new(3, true))[..2], [(0, 0), (0, 1)], "the diagonal");
    }

    #[test]
    fn what_is_asked_is_turned_and_then_flipped() {
        let asked =
            |degrees, flip| Orientation::asked(QuarterTurn::from_degrees(degrees).expect("a quarter"), flip);
        assert_eq!(asked(180, Flip::Horizontal), Orientation::FLIPPED);
        assert_eq!(asked(180, Flip::Vertical), Orientation::MIRRORED);
        // The upper left pixel goes to the upper right by the turn, and from there back to the left.
        assert_eq!(moved(asked(90, Flip::Horizontal))[..2], [(0, 0), (0, 1)]);
        assert_eq!(moved(asked(90, Flip::Vertical))[..2], [(1, 2), (1, 1)]);
        assert_eq!(QuarterTurn::from_degrees(45), None);
        assert_eq!(QuarterTurn::from_degrees(360), None);
    }

    #[test]
    fn one_after_the_other_is_one() {
        for first in Orientation::ALL {
            assert_eq!(first.then(first.inverse()), Orientation::UPRIGHT);
            for second in Orientation::ALL {
                let size = first.size((3, 2));
                let (w, h) = (f64::from(size.0), f64::from(size.1));
                let edges = [1.0, 0.0, 3.0, 1.0];
                let both = second.place(first.place(edges, (3.0, 2.0)), (w, h));
                assert_eq!(first.then(second).place(edges, (3.0, 2.0)), both, "{first:?} {second:?}");
            }
        }
    }

    #[test]
    fn matrices_and_tags_are_read() {
        const ONE: i32 = 0x1_0000;
        let matrix = |a, b, c, d| Orientation::from_matrix(&[a, b, 0, c, d, 0, 0, 0, 1 << 30]);
        assert_eq!(matrix(ONE, 0, 0, ONE), Some(Orientation::UPRIGHT));
        assert_eq!(matrix(0, ONE, -ONE, 0), Some(Orientation::new(1, false)));
        assert_eq!(matrix(-ONE, 0, 0, -ONE), Some(Orientation::new(2, false)));
        assert_eq!(matrix(0, -ONE, ONE, 0), Some(Orientation::new(3, false)));
        assert_eq!(matrix(-ONE, 0, 0, ONE), Some(Orientation::MIRRORED));
        assert_eq!(matrix(ONE, 0, 0, -ONE), Some(Orientation::FLIPPED));
        assert_eq!(matrix(0, ONE, ONE, 0), Some(Orientation::new(3, true)), "the diagonal");
        assert_eq!(matrix(2, 2 * ONE, -2 * ONE, -2), Some(Orientation::new(1, false)), "rounded and scaled");
        assert_eq!(matrix(ONE, ONE, -ONE, ONE), None, "45 degrees");
        assert_eq!(matrix(0, 0, 0, 0), None);
        assert_eq!(Orientation::from_matrix_bytes(&[0; 8]), None);
        assert_eq!(Orientation::from_tag("rotate-270"), Some(Orientation::new(3, false)));
        assert_eq!(Orientation::from_tag("flip-rotate-0"), Some(Orientation::MIRRORED));
        assert_eq!(Orientation::from_tag("rotate-45"), None);
    }
}
