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
    let (Some(&first), Some(&last)) = (starts.first(), starts.last()) else { return };
    let (first, count) = (first as usize, (last - first) as usize + taps);
    let Scratch { sums, wide } = scratch;
    let samples = count * source.step;
    sums.resize(samples.max(sums.len()), 0);
    wide.resize(samples.max(wide.len()), 0);
    let (sums, wide) = (&mut sums[..samples], &mut wide[..samples]);
    for (j, out) in out.chunks_exact_mut(width).enumerate() {
        let top = tops[j] as usize;
        let shares = &shares[j * rows..][..rows];
        let row = |n: usize| source.row(top + n, first, count);
        match shares {
            [a] => weigh_rows([row(0)], [*a], sums),
            [a, b] => weigh_rows([row(0), row(1)], [*a, *b], sums),
            [a, b, c] => weigh_rows([row(0), row(1), row(2)], [*a, *b, *c], sums),
            [a, b, c, d] => weigh_rows([row(0), row(1), row(2), row(3)], [*a, *b, *c, *d], sums),
            _ => weigh_many(row, shares, wide, sums),
        }
        let line = Line { sums, step: source.step, phase: source.phase, first };
        match taps {
            1 => line.weigh::<1>(&starts, &weights, out),
            2 => line.weigh::<2>(&starts, &weights, out),
            3 => line.weigh::<3>(&starts, &weights, out),
            4 => line.weigh::<4>(&starts, &weights, out),
            5 => line.weigh::<5>(&starts, &weights, out),
            6 => line.weigh::<6>(&starts, &weights, out),
            _ => line.weigh_many(taps, &starts, &weights, out),
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

/// One row of sums, on its way to one row of output.
struct Line<'a> {
    sums: &'a [u16],
    step: usize,
    phase: usize,
    first: usize,
}

impl Line<'_> {
    #[inline(always)]
    fn weigh<const TAPS: usize>(&self, starts: &[u32], weights: &[u32], out: &mut [u8]) {
        for ((o, start), weights) in out.iter_mut().zip(starts).zip(weights.chunks_exact(TAPS)) {
            let at = (*start as usize - self.first) * self.step + self.phase;
            let cells = &self.sums[at..=at + (TAPS - 1) * self.step];
            let mut sum = 1 << 23;
            for n in 0..TAPS {
                sum += u32::from(cells[n * self.step]) * weights[n];
            }
            *o = (sum >> 24) as u8;
        }
    }

    #[inline(always)]
    fn weigh_many(&self, taps: usize, starts: &[u32], weights: &[u32], out: &mut [u8]) {
        for ((o, start), weights) in out.iter_mut().zip(starts).zip(weights.chunks_exact(taps)) {
            let at = (*start as usize - self.first) * self.step + self.phase;
            let cells = self.sums[at..].iter().step_by(self.step);
            let sum: u32 = cells.zip(weights).map(|(cell, weight)| u32::from(*cell) * weight).sum();
            *o = ((sum + (1 << 23)) >> 24) as u8;
        }
    }
}
