//! From a plan to what the GPU runs: items clipped to the damage, the bins of the canvas that they
//! touch, and the bytes to upload. Pure: no device.

use bytemuck::{Pod, Zeroable};
use bytes::Bytes;

use crate::base::{Error, ErrorKind, Result};
use crate::composite::color::{Affine, CANVAS};
use crate::composite::plan::{Bitmap, CompositePlan, Draw, Yuv};
use crate::fit::Scratch;
use crate::media::{Chroma, Frame, PixelRect};

/// Width of a bin in pixels: 8 invocations of 8 pixels.
pub const BIN_WIDTH: u32 = 64;
/// Height of a bin in pixels: 8 invocations of 2 pixels.
pub const BIN_HEIGHT: u32 = 16;
/// Widest and highest picture, bitmap and canvas: keeps the shader's 32-bit products exact.
pub const MAX_SIZE: u32 = 16384;
/// Turns of loops that one dispatch may ask of one invocation: llvmpipe ends all loops of a shader
/// after 65,535 (Mesa, `LP_MAX_TGSI_LOOP_ITERATIONS`), and a driver's watchdog any dispatch that
/// lasts. Some are left for the items of a bin.
const MAX_TURNS: u64 = 60_000;
/// Turns from which a picture is scaled on the CPU, which also spares its upload.
const MAX_PICTURE_TURNS: u64 = 16_000;
/// Bytes of nothing before the first upload: the shader reads up to 7 bytes before a row and drops them.
const MARGIN: usize = 8;

const FILL: u32 = 0;
const COPIED: u32 = 1;
const SCALED: u32 = 2;
const STAMP: u32 = 3;

/// One draw within one rectangle of the damage; the shader's `Item`, which describes the fields.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Item {
    clip: [i32; 4],
    kind: u32,
    alpha: u32,
    color: u32,
    convert: u32,
    place: [i32; 4],
    source: [i32; 4],
    planes: [u32; 4],
    matrix: [[f32; 4]; 3],
}

impl Item {
    /// True where nothing of what lies below it within its clip is seen.
    fn hides_what_is_below(&self) -> bool {
        match self.kind {
            FILL => self.alpha == 255,
            COPIED | SCALED => true,
            _ => false,
        }
    }
}

/// Rows of bytes on their way to the GPU.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Where the first row goes, from the start of the upload buffer.
    pub to: usize,
    /// Bytes from a row to the next there.
    pub to_stride: usize,
    /// The bytes, from the first of the first row.
    pub from: Bytes,
    /// Bytes from a row to the next.
    pub from_stride: usize,
    /// Bytes of a row.
    pub row: usize,
    /// How many.
    pub rows: usize,
}

/// What one dispatch draws.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The draws, in order.
    pub items: Vec<Item>,
    /// What they read.
    pub uploads: Vec<Upload>,
    /// Bytes that `uploads` take, with margins.
    pub bytes: usize,
    /// At most how many turns of loops its scaled pictures take in one invocation.
    turns: u64,
    /// The shader's `bins`: the bins first, then the items' numbers.
    pub bins: Vec<u32>,
    /// How many bins.
    pub bin_count: u32,
}

impl Batch {
    fn reserve(&mut self, bytes: usize) -> usize {
        let at = self.bytes.max(MARGIN);
        self.bytes = at + bytes.next_multiple_of(4);
        at
    }

    /// Adds a part of a plane to the upload: `(offset, stride)` of it there.
    fn upload(
        &mut self,
        data: &Bytes,
        stride: usize,
        x: usize,
        y: usize,
        row: usize,
        rows: usize,
    ) -> (u32, i32) {
        // A whole plane goes as it lies, padding included, in one copy where the padding is small.
        let whole = x == 0 && stride - row < 64;
        let to_stride = if whole { stride } else { row.next_multiple_of(4) };
        let to = self.reserve(to_stride * (rows - 1) + row);
        let from = data.slice(y * stride + x..(y + rows - 1) * stride + x + row);
        if to_stride == stride {
            let all = from.len();
            self.uploads.push(Upload { to, to_stride: all, from, from_stride: all, row: all, rows: 1 });
        } else {
            self.uploads.push(Upload { to, to_stride, from, from_stride: stride, row, rows });
        }
        (to as u32, to_stride as i32)
    }

    /// Adds the part of a frame that starts at `x`, `y`: byte offsets of Y, U, V and the step of
    /// chroma, and both strides.
    fn upload_frame(&mut self, frame: &Frame, part: PixelRect) -> ([u32; 4], [i32; 2]) {
        let [x, y, w, h] = [part.x, part.y, part.width, part.height].map(|v| v as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        let planes = frame.planes();
        let (luma, luma_stride) = self.upload(&planes[0].data, planes[0].stride, x, y, w, h);
        match frame.chroma() {
            Chroma::I420 => {
                // One chroma stride serves both planes: give V the layout of U whatever its own stride.
                let (u, stride) = self.upload(&planes[1].data, planes[1].stride, x / 2, y / 2, cw, ch);
                let to = self.reserve(stride as usize * (ch - 1) + cw);
                let from_stride = planes[2].stride;
                let start = y / 2 * from_stride + x / 2;
                let from = planes[2].data.slice(start..start + from_stride * (ch - 1) + cw);
                let same = from_stride == stride as usize;
                let (row, rows) = if same { (from.len(), 1) } else { (cw, ch) };
                self.uploads.push(Upload { to, to_stride: stride as usize, from, from_stride, row, rows });
                ([luma, u, to as u32, 1], [luma_stride, stride])
            }
            Chroma::Nv12 => {
                let (uv, stride) =
                    self.upload(&planes[1].data, planes[1].stride, x / 2 * 2, y / 2, 2 * cw, ch);
                ([luma, uv, uv + 1, 2], [luma_stride, stride])
            }
        }
    }

    /// Sorts the items into bins, in order; an item that hides a whole bin empties it first.
    fn sort_into_bins(&mut self, width: u32, height: u32) {
        let across = width.div_ceil(BIN_WIDTH);
        let down = height.div_ceil(BIN_HEIGHT);
        let mut lists = vec![Vec::<u32>::new(); (across * down) as usize];
        for (n, item) in self.items.iter().enumerate() {
            let [left, top, right, bottom] = item.clip.map(|v| v as u32);
            for by in top / BIN_HEIGHT..bottom.div_ceil(BIN_HEIGHT) {
                for bx in left / BIN_WIDTH..right.div_ceil(BIN_WIDTH) {
                    let list = &mut lists[(by * across + bx) as usize];
                    let hides = left <= bx * BIN_WIDTH
                        && top <= by * BIN_HEIGHT
                        && right >= ((bx + 1) * BIN_WIDTH).min(width)
                        && bottom >= ((by + 1) * BIN_HEIGHT).min(height);
                    if hides && item.hides_what_is_below() {
                        list.clear();
                    }
                    list.push(n as u32);
                }
            }
        }
        let used: Vec<(u32, &Vec<u32>)> = (0u32..).zip(&lists).filter(|(_, list)| !list.is_empty()).collect();
        self.bin_count = used.len() as u32;
        let mut first = 4 * self.bin_count;
        self.bins.clear();
        for (bin, list) in &used {
            self.bins.extend([bin % across, bin / across, first, list.len() as u32]);
            first += list.len() as u32;
        }
        for (_, list) in used {
            self.bins.extend(list);
        }
    }
}

/// The batches that draw a plan, one after the other; one, unless its uploads exceed `budget` bytes or
/// its scaled pictures [`MAX_TURNS`].
pub fn lower(plan: &CompositePlan, budget: usize) -> Result<Vec<Batch>> {
    let canvas = PixelRect::new(0, 0, plan.width, plan.height);
    let damage: Vec<PixelRect> =
        plan.damage.iter().map(|rect| rect.intersect(&canvas)).filter(|rect| !rect.is_empty()).collect();
    let mut batches = vec![Batch::default()];
    let mut scratch = Scratch::default();
    for draw in &plan.draws {
        let place = place_of(draw)?;
        let parts: Vec<PixelRect> = damage.iter().filter_map(|rect| place.within(rect)).collect();
        if parts.is_empty() {
            continue;
        }
        let turns = turns_of(draw);
        let fitted = match draw {
            Draw::Picture { dest, .. } if turns > MAX_PICTURE_TURNS => {
                draw.fitted(&mut scratch).map(|frame| Draw::Picture { frame, dest: *dest })
            }
            _ => None,
        };
        let (draw, turns) = fitted.as_ref().map_or((draw, turns), |fitted| (fitted, 0));
        let mut shared = None;
        for part in parts {
            let most = most_bytes(draw, &part);
            if most > budget {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "gpu compositor",
                    format!(
                        "one picture takes {most} bytes, and this device can be given {budget} at a time"
                    ),
                ));
            }
            let mut batch = batches.len() - 1;
            let laden = shared.is_none() && batches[batch].bytes + most > budget;
            if laden || batches[batch].turns + turns > MAX_TURNS {
                batches.push(Batch::default());
                batch += 1;
                shared = None;
            }
            batches[batch].turns += turns;
            let item = lower_part(&mut batches[batch], draw, &place, part, &mut shared);
            batches[batch].items.push(item);
        }
    }
    batches.retain(|batch| !batch.items.is_empty());
    for batch in &mut batches {
        batch.sort_into_bins(plan.width, plan.height);
    }
    Ok(batches)
}

/// Where a draw lies, also where that is partly off the canvas.
struct Place {
    left: i64,
    top: i64,
    width: u32,
    height: u32,
}

impl Place {
    fn within(&self, rect: &PixelRect) -> Option<PixelRect> {
        let left = self.left.max(i64::from(rect.x));
        let top = self.top.max(i64::from(rect.y));
        let right = (self.left + i64::from(self.width)).min(i64::from(rect.right()));
        let bottom = (self.top + i64::from(self.height)).min(i64::from(rect.bottom()));
        (left < right && top < bottom)
            .then(|| PixelRect::new(left as u32, top as u32, (right - left) as u32, (bottom - top) as u32))
    }

    fn as_array(&self) -> [i32; 4] {
        [self.left as i32, self.top as i32, self.width as i32, self.height as i32]
    }
}

fn place_of(draw: &Draw) -> Result<Place> {
    let of = |rect: &PixelRect| Place {
        left: rect.x.into(),
        top: rect.y.into(),
        width: rect.width,
        height: rect.height,
    };
    let place = match draw {
        Draw::Fill { rect, .. } => return Ok(of(rect)),
        Draw::Picture { frame, dest } => {
            refuse_large("picture", frame.width().max(dest.width), frame.height().max(dest.height))?;
            of(dest)
        }
        Draw::Stamp { x, y, bitmap, .. } => {
            refuse_large("bitmap", bitmap.width, bitmap.height)?;
            if bitmap.coverage.len() != bitmap.width as usize * bitmap.height as usize {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "gpu compositor",
                    format!(
                        "a {}x{} bitmap has {} bytes",
                        bitmap.width,
                        bitmap.height,
                        bitmap.coverage.len()
                    ),
                ));
            }
            Place { left: (*x).into(), top: (*y).into(), width: bitmap.width, height: bitmap.height }
        }
    };
    Ok(place)
}

/// Refuses what the shader's integers could not hold.
pub fn refuse_large(what: &str, width: u32, height: u32) -> Result<()> {
    if width > MAX_SIZE || height > MAX_SIZE {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "gpu compositor",
            format!(
                "a {what} of {width}x{height} is larger than {MAX_SIZE}x{MAX_SIZE}; use the CPU compositor"
            ),
        ));
    }
    Ok(())
}

/// At most how many bytes a part of a draw uploads.
fn most_bytes(draw: &Draw, part: &PixelRect) -> usize {
    match draw {
        Draw::Fill { .. } => 0,
        Draw::Picture { frame, dest } if is_copy(frame, dest) => frame_bytes(frame, part.height as usize),
        Draw::Picture { frame, .. } => frame_bytes(frame, frame.height() as usize),
        Draw::Stamp { bitmap, .. } => bitmap.coverage.len() + 2 * MARGIN,
    }
}

/// At most how many bytes `rows` rows of a frame take, row padding of up to 64 bytes included.
fn frame_bytes(frame: &Frame, rows: usize) -> usize {
    let row = frame.width() as usize + 64;
    rows * row + (rows + 1).div_ceil(2) * (row + 72) + 4 * MARGIN
}

fn is_copy(frame: &Frame, dest: &PixelRect) -> bool {
    frame.width() == dest.width && frame.height() == dest.height
}

/// At most how many turns the shader's loops take in one invocation for a draw: 16 lumas and 8 chromas,
/// each from a footprint of the source; a chroma axis has the ratio of its luma axis.
fn turns_of(draw: &Draw) -> u64 {
    match draw {
        Draw::Picture { frame, dest } if !is_copy(frame, dest) && !dest.is_empty() => {
            let rows = u64::from(frame.height().div_ceil(dest.height)) + 1;
            let columns = u64::from(frame.width().div_ceil(dest.width)) + 1;
            24 * (rows * (columns + 1) + 1)
        }
        _ => 0,
    }
}

/// One part of a draw. `shared` keeps what all parts of one draw read, uploaded with the first.
fn lower_part(
    batch: &mut Batch,
    draw: &Draw,
    place: &Place,
    part: PixelRect,
    shared: &mut Option<Item>,
) -> Item {
    let clip = [part.x, part.y, part.right(), part.bottom()].map(|v| v as i32);
    let item = match draw {
        Draw::Fill { color, alpha, .. } => {
            Item { kind: FILL, alpha: (*alpha).into(), color: packed(*color), ..Item::default() }
        }
        Draw::Picture { frame, dest } if is_copy(frame, dest) => {
            let inner = PixelRect { x: part.x - dest.x, y: part.y - dest.y, ..part };
            picture_item(batch, COPIED, frame, inner)
        }
        Draw::Picture { frame, .. } => *shared.get_or_insert_with(|| {
            picture_item(batch, SCALED, frame, PixelRect::new(0, 0, frame.width(), frame.height()))
        }),
        Draw::Stamp { bitmap, color, alpha, .. } => {
            *shared.get_or_insert_with(|| stamp_item(batch, bitmap, *color, *alpha))
        }
    };
    Item { clip, place: place.as_array(), ..item }
}

fn picture_item(batch: &mut Batch, kind: u32, frame: &Frame, part: PixelRect) -> Item {
    let (planes, [luma, chroma]) = batch.upload_frame(frame, part);
    let color = frame.meta().color;
    Item {
        kind,
        convert: (color != CANVAS).into(),
        source: [frame.width() as i32, frame.height() as i32, luma, chroma],
        planes,
        matrix: rows_of(&Affine::between(color, CANVAS)),
        ..Item::default()
    }
}

fn stamp_item(batch: &mut Batch, bitmap: &Bitmap, color: Yuv, alpha: u8) -> Item {
    let (w, h) = (bitmap.width as usize, bitmap.height as usize);
    let (at, stride) = batch.upload(&bitmap.coverage, w, 0, 0, w, h);
    Item {
        kind: STAMP,
        alpha: alpha.into(),
        color: packed(color),
        source: [bitmap.width as i32, bitmap.height as i32, stride, 0],
        planes: [at, 0, 0, 0],
        ..Item::default()
    }
}

/// The map as the shader takes it: weights of Y, U and V as they are, then all that is added.
fn rows_of(map: &Affine) -> [[f32; 4]; 3] {
    let row = |y: f64, [u, v]: [f64; 2], add: f64| [y, u, v, add - 128.0 * (u + v)].map(|c| c as f32);
    [row(map.y[0], [map.y[1], map.y[2]], map.y_offset), row(0.0, map.u, 128.0), row(0.0, map.v, 128.0)]
}

fn packed(color: Yuv) -> u32 {
    u32::from_le_bytes([color.y, color.u, color.v, 0])
}
