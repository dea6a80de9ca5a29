//! Scales one plane of bytes. Written so that the compiler vectorises it; `simd` compiles it once
//! per instruction set.

use super::axis::Axis;

/// Samples of one plane: sample `x` of row `y` is at `y * stride + x * step + phase`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Samples<'a> {
    pub data: &'a [u8],
    pub stride: usize,
    /// 1, or 2 where two planes are interleaved.
    pub step: usize,
    /// Which of the interleaved planes.
    pub phase: usize,
}

impl<'a> Samples<'a> {
    /// `count` samples of row `y` from `x`, with what is interleaved among them.
    #[inline(always)]
    fn row(&self, y: usize, x: usize, count: usize) -> &'a [u8] {
        &self.data[y * self.stride + x * self.step..][..count * self.step]
    }
}

/// Rows in the making; kept between calls.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Sums of one output row over its input rows, still at the input's width.
    sums: Vec<u16>,
    wide: Vec<u32>,
    /// Sums of several output rows, side by side.
    lanes: Vec<u16>,
    /// Output samples of several rows, side by side.
    columns: Vec<u8>,
}

/// Sums of up to this many bytes times 2^24 / count are rounded rightly in 32 bits.
const LARGEST_AREA: usize = 1024;

/// Fills `out` (packed rows of `width` samples).
#[inline(always)]
pub(super) fn scale(
    source: Samples<'_>,
    across: Axis,
    down: Axis,
    out: &mut [u8],
    width: usize,
    scratch: &mut Scratch,
) {
    match (across, down) {
        (Axis::Copy { first: x }, Axis::Copy { first: y }) => copy(source, x, y, out, width),
        (Axis::Box { first: x, k: kx }, Axis::Box { first: y, k: ky }) if kx * ky <= LARGEST_AREA => {
            let at = BoxAt { x, y, kx, ky };
            match kx {
                2 => boxes::<2>(source, at, out, width, scratch),
                3 => boxes::<3>(source, at, out, width, scratch),
                4 => boxes::<4>(source, at, out, width, scratch),
                5 => boxes::<5>(source, at, out, width, scratch),
                6 => boxes::<6>(source, at, out, width, scratch),
                8 => boxes::<8>(source, at, out, width, scratch),
                _ => boxes::<0>(source, at, out, width, scratch),
            }
        }
        (across, down) => {
            let height = out.len() / width;
            weighted(source, across.into_weighted(width), down.into_weighted(height), out, width, scratch);
        }
    }
}

#[inline(always)]
fn copy(source: Samples<'_>, x: usize, y: usize, out: &mut [u8], width: usize) {
    for (j, out) in out.chunks_exact_mut(width).enumerate() {
        let row = source.row(y + j, x, width);
        if source.step == 1 {
            out.copy_from_slice(row);
        } else {
            for (o, pair) in out.iter_mut().zip(row.chunks_exact(2)) {
                *o = pair[source.phase];
            }
        }
    }
}

/// Where the boxes of an output begin, and their size in samples.
#[derive(Clone, Copy)]
struct BoxAt {
    x: usize,
    y: usize,
    kx: usize,
    ky: usize,
}

/// Means of `kx * ky` samples. `K` is `kx`, or 0 where it is not known beforehand.
#[inline(always)]
fn boxes<const K: usize>(
    source: Samples<'_>,
    at: BoxAt,
    out: &mut [u8],
    width: usize,
    scratch: &mut Scratch,
) {
    let kx = if K == 0 { at.kx } else { K };
    let count = width * kx;
    let sums = &mut scratch.sums;
    sums.resize((count * source.step).max(sums.len()), 0);
    let sums = &mut sums[..count * source.step];
    let factor = ((1u32 << 24) + (kx * at.ky / 2) as u32) / (kx * at.ky) as u32;
    for (j, out) in out.chunks_exact_mut(width).enumerate() {
        let top = at.y + j * at.ky;
        let row = |n: usize| source.row(top + n, at.x, count);
        let mut n = match at.ky {
            2 => add_rows::<2, false>(sums, [row(0), row(1)]),
            3 => add_rows::<3, false>(sums, [row(0), row(1), row(2)]),
            ky if ky >= 4 => add_rows::<4, false>(sums, [row(0), row(1), row(2), row(3)]),
            _ => add_rows::<1, false>(sums, [row(0)]),
        };
        while n < at.ky {
            n += match at.ky - n {
                1 => add_rows::<1, true>(sums, [row(n)]),
                2 | 3 => add_rows::<2, true>(sums, [row(n), row(n + 1)]),
                _ => add_rows::<4, true>(sums, [row(n), row(n + 1), row(n + 2), row(n + 3)]),
            };
        }
        if source.step == 1 {
            for (o, cells) in out.iter_mut().zip(sums.chunks_exact(kx)) {
                let sum: u32 = cells.iter().map(|&c| u32::from(c)).sum();
                *o = ((sum * factor + (1 << 23)) >> 24) as u8;
            }
        } else {
            for (o, cells) in out.iter_mut().zip(sums.chunks_exact(2 * kx)) {
                let sum: u32 = (0..kx).map(|n| u32::from(cells[2 * n + source.phase])).sum();
                *o = ((sum * factor + (1 << 23)) >> 24) as u8;
            }
        }
    }
}

/// Adds `N` rows, to what is there where `MORE`; returns `N`.
#[inline(always)]
fn add_rows<const N: usize, const MORE: bool>(sums: &mut [u16], rows: [&[u8]; N]) -> usize {
    let rows = rows.map(|row| &row[..sums.len()]);
    for x in 0..sums.len() {
        let mut sum = if MORE { sums[x] } else { 0 };
        for row in &rows {
            sum += u16::from(row[x]);
        }
        sums[x] = sum;
    }
    N
}

/// Output rows that go across together: eight sums of 32 bits are one AVX2 register, so the weights of
/// an output column, which differ from those of the next, are shared by a register of rows.
const ROWS: usize = 8;

/// Any other ratio: first down, into 8.8 fixed point at the input's width, then across.
#[inline(always)]
fn weighted(
    source: Samples<'_>,
    across: Axis,
    down: Axis,
    out: &mut [u8],
    width: usize,
    scratch: &mut Scratch,
) {
    let (
        Axis::Weighted { taps, starts, weights },
        Axis::Weighted { taps: rows, starts: tops, weights: shares },
    ) = (across, down)
    else {
        return;
    };
    let (across, down) = (Across { taps, starts, weights }, Down { rows, tops, shares });
    if out.len() / width < ROWS {
        by_row(source, &across, &down, out, width, scratch);
        return;
    }
    match taps {
        1 => by_rows::<1>(source, &across, &down, out, width, scratch),
        2 => by_rows::<2>(source, &across, &down, out, width, scratch),
        3 => by_rows::<3>(source, &across, &down, out, width, scratch),
        4 => by_rows::<4>(source, &across, &down, out, width, scratch),
        _ => by_rows::<0>(source, &across, &down, out, width, scratch),
    }
}

/// Where each output sample of a row begins, and the weights of its input samples.
struct Across {
    taps: usize,
    starts: Vec<u32>,
    weights: Vec<u32>,
}

impl Across {
    /// The first input sample of a row that is needed, and how many from there.
    fn span(&self) -> (usize, usize) {
        let (first, last) = (self.starts.first().copied(), self.starts.last().copied());
        let first = first.unwrap_or_default() as usize;
        (first, last.unwrap_or_default() as usize - first + self.taps)
    }
}

/// Where each output row begins, and the weights of its input rows.
struct Down {
    rows: usize,
    tops: Vec<u32>,
    shares: Vec<u32>,
}

impl Down {
    /// Weighs the input rows of output row `j` into `sums`, 8.8 fixed point.
    #[inline(always)]
    fn weigh(
        &self,
        source: &Samples<'_>,
        (first, count): (usize, usize),
        j: usize,
        wide: &mut [u32],
        sums: &mut [u16],
    ) {
        let top = self.tops[j] as usize;
        let mut shares = &self.shares[j * self.rows..][..self.rows];
        // Most footprints touch one row less than the longest.
        while let [rest @ .., 0] = shares {
            shares = rest;
        }
        let row = |n: usize| source.row(top + n, first, count);
        match shares {
            [a] => weigh_rows([row(0)], [*a], sums),
            [a, b] => weigh_rows([row(0), row(1)], [*a, *b], sums),
            [a, b, c] => weigh_rows([row(0), row(1), row(2)], [*a, *b, *c], sums),
            [a, b, c, d] => weigh_rows([row(0), row(1), row(2), row(3)], [*a, *b, *c, *d], sums),
            [a, b, c, d, e] => weigh_rows(std::array::from_fn(row), [*a, *b, *c, *d, *e], sums),
            [a, b, c, d, e, f] => weigh_rows(std::array::from_fn(row), [*a, *b, *c, *d, *e, *f], sums),
            [a, b, c, d, e, f, g] => {
                weigh_rows(std::array::from_fn(row), [*a, *b, *c, *d, *e, *f, *g], sums);
            }
            _ => weigh_many(row, shares, wide, sums),
        }
    }
}

/// Eight rows at a time: their sums are laid side by side, sample by sample, and go across together.
/// `TAPS` is the number of weights of a sample, or 0 where it is not known beforehand.
#[inline(always)]
fn by_rows<const TAPS: usize>(
    source: Samples<'_>,
    across: &Across,
    down: &Down,
    out: &mut [u8],
    width: usize,
    scratch: &mut Scratch,
) {
    let span = across.span();
    let samples = span.1 * source.step;
    let Scratch { sums, wide, lanes, columns } = scratch;
    grow(sums, ROWS * samples);
    grow(wide, samples);
    grow(lanes, ROWS * span.1);
    grow(columns, ROWS * width);
    let (sums, wide) = (&mut sums[..ROWS * samples], &mut wide[..samples]);
    let (lanes, columns) = (&mut lanes[..ROWS * span.1], &mut columns[..ROWS * width]);
    let height = out.len() / width;
    let mut next = 0;
    while next < height {
        // The last group takes some rows again rather than fewer than a group.
        let first = next.min(height - ROWS);
        for (n, sums) in sums.chunks_exact_mut(samples).enumerate() {
            down.weigh(&source, span, first + n, wide, sums);
        }
        if source.step == 1 {
            interleave::<1>(sums, 0, lanes);
        } else {
            interleave::<2>(sums, source.phase, lanes);
        }
        weigh_lanes::<TAPS>(across, span.0, lanes, columns);
        deinterleave(columns, &mut out[first * width..][..ROWS * width], width);
        next = first + ROWS;
    }
}

fn grow<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) {
    buffer.resize(len.max(buffer.len()), T::default());
}

/// Sample `x` of row `n` goes to `x * ROWS + n`.
#[inline(always)]
fn interleave<const STEP: usize>(rows: &[u16], phase: usize, lanes: &mut [u16]) {
    let samples = rows.len() / ROWS;
    let count = samples / STEP;
    let mut at = rows.chunks_exact(samples);
    let [a, b, c, d, e, f, g, h]: [&[u16]; ROWS] = std::array::from_fn(|_| at.next().unwrap_or_default());
    let lanes = &mut lanes[..count * ROWS];
    for x in 0..count {
        let i = x * STEP + phase;
        lanes[x * ROWS..][..ROWS].copy_from_slice(&[a[i], b[i], c[i], d[i], e[i], f[i], g[i], h[i]]);
    }
}

/// Output sample `i` of row `n` goes to `i * ROWS + n`.
#[inline(always)]
fn weigh_lanes<const TAPS: usize>(across: &Across, first: usize, lanes: &[u16], columns: &mut [u8]) {
    let taps = if TAPS == 0 { across.taps } else { TAPS };
    let outputs = columns.chunks_exact_mut(ROWS).zip(&across.starts).zip(across.weights.chunks_exact(taps));
    for ((out, start), weights) in outputs {
        let cells = &lanes[(*start as usize - first) * ROWS..][..taps * ROWS];
        let mut sums = [1u32 << 23; ROWS];
        for (cells, weight) in cells.chunks_exact(ROWS).zip(weights) {
            for (sum, cell) in sums.iter_mut().zip(cells) {
                // At most 255 in 8.8, times one in 65536ths, and the rounding: below 2^32.
                *sum = sum.wrapping_add(u32::from(*cell).wrapping_mul(*weight));
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = (sum >> 24) as u8;
        }
    }
}

/// Undoes what [`interleave`] did, for the output.
#[inline(always)]
fn deinterleave(columns: &[u8], out: &mut [u8], width: usize) {
    for (n, row) in out.chunks_exact_mut(width).enumerate() {
        for (o, column) in row.iter_mut().zip(columns.chunks_exact(ROWS)) {
            *o = column[n];
        }
    }
}

/// One row after the other: for fewer rows than a group, and what the groups are compared with.
#[inline(always)]
fn by_row(
    source: Samples<'_>,
    across: &Across,
    down: &Down,
    out: &mut [u8],
    width: usize,
    scratch: &mut Scratch,
) {
    let span = across.span();
    let samples = span.1 * source.step;
    let Scratch { sums, wide, .. } = scratch;
    grow(sums, samples);
    grow(wide, samples);
    let (sums, wide) = (&mut sums[..samples], &mut wide[..samples]);
    for (j, out) in out.chunks_exact_mut(width).enumerate() {
        down.weigh(&source, span, j, wide, sums);
        let columns = out.iter_mut().zip(&across.starts).zip(across.weights.chunks_exact(across.taps));
        for ((o, start), weights) in columns {
            let at = (*start as usize - span.0) * source.step + source.phase;
            let cells = sums[at..].iter().step_by(source.step);
            let sum: u32 = cells.zip(weights).map(|(cell, weight)| u32::from(*cell) * weight).sum();
            *o = ((sum + (1 << 23)) >> 24) as u8;
        }
    }
}

#[inline(always)]
fn weigh_rows<const N: usize>(rows: [&[u8]; N], shares: [u32; N], sums: &mut [u16]) {
    let rows = rows.map(|row| &row[..sums.len()]);
    for x in 0..sums.len() {
        let mut sum = 128;
        for n in 0..N {
            sum += u32::from(rows[n][x]) * shares[n];
        }
        sums[x] = (sum >> 8) as u16;
    }
}

#[inline(always)]
fn weigh_many<'a>(row: impl Fn(usize) -> &'a [u8], shares: &[u32], wide: &mut [u32], sums: &mut [u16]) {
    wide.fill(128);
    for (n, share) in shares.iter().enumerate() {
        for (sum, byte) in wide.iter_mut().zip(row(n)) {
            *sum += u32::from(*byte) * share;
        }
    }
    for (out, sum) in sums.iter_mut().zip(wide.iter()) {
        *out = (sum >> 8) as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::axis::Stretch;

    #[test]
    fn groups_of_rows_give_the_same_bytes_as_single_rows() {
        let mut scratch = Scratch::default();
        for (n, (w, h, tw, th)) in [
            (1920, 108, 854, 48),
            (640, 360, 120, 68),
            (64, 36, 101, 57),
            (97, 61, 96, 60),
            (300, 200, 17, 9),
            (33, 40, 32, 8),
            (16, 16, 7, 3),
            (5, 90, 4, 77),
            (2, 9, 3, 8),
        ]
        .into_iter()
        .enumerate()
        {
            for (step, phase) in [(1, 0), (2, 0), (2, 1)] {
                let stride = w * step + n;
                let data: Vec<u8> = (0..(stride * h) as u32)
                    .map(|i| if i % 97 < 8 { 255 } else { (i.wrapping_mul(2_654_435_761) >> 24) as u8 })
                    .collect();
                let source = Samples { data: &data, stride, step, phase };
                let axis = |input: usize, output: usize| {
                    let stretch = Stretch { input, from: 0.0, to: input as f64, output };
                    match Axis::new(stretch, 0..output).into_weighted(output) {
                        Axis::Weighted { taps, starts, weights } => (taps, starts, weights),
                        other => panic!("{other:?}"),
                    }
                };
                let ((taps, starts, weights), (rows, tops, shares)) = (axis(w, tw), axis(h, th));
                let (across, down) = (Across { taps, starts, weights }, Down { rows, tops, shares });
                let (mut one, mut all) = (vec![0; tw * th], vec![0; tw * th]);
                by_row(source, &across, &down, &mut one, tw, &mut scratch);
                let Across { taps, starts, weights } = across;
                let Down { rows, tops, shares } = down;
                let across = Axis::Weighted { taps, starts, weights };
                let down = Axis::Weighted { taps: rows, starts: tops, weights: shares };
                weighted(source, across, down, &mut all, tw, &mut scratch);
                assert_eq!(one, all, "{w}x{h} to {tw}x{th}, {step} {phase}");
                assert!(one.iter().any(|&v| v != one[0]));
            }
        }
    }
}
