//! Edits pictures between decoder and encoder: deinterlaced, turned, cropped, masked, marked; then
//! scaled for each rendition.
//!
//! ```text
//!          ┌───────────── libavfilter ─────────────┐   ┌──────── own code, on the planes ────────┐
//! picture ─► deinterlace ─► 4:2:0 ─► turn ─► crop ─► masks ─► watermark ─► label ─► time code ─┬► Scaler ─►
//!          └─ left out where nothing of it is asked┘   └─ left out where nothing is painted ─────┘└► Scaler ─►
//! ```

mod check;
mod format;
mod frame_ffi;
mod graph;
mod layer;
mod marks;
mod mask;
mod size;
#[cfg(test)]
mod tests;

use ff::frame::Video;
use ffmpeg_next as ff;

pub use check::check;
pub use format::PictureFormat;
pub use size::{Area, Scaler, Sizing, target_size};

use self::format::{matrix_name, plain, range_name};
use self::frame_ffi::Canvas;
use self::graph::{Graph, Out};
use self::marks::Marks;
use self::mask::Cover;
use super::spec::{CropRect, Deinterlace, EditSpec, Rotation};
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Colorimetry, Orientation, Ratio};

/// What a job asks for on top of what the file does.
fn asked(rotate: Rotation) -> Orientation {
    let quarters = match rotate {
        Rotation::None => 0,
        Rotation::Right => 1,
        Rotation::Half => 2,
        Rotation::Left => 3,
    };
    Orientation::new(quarters, false)
}

/// libavfilter's name of an orientation; `None` where nothing is to be done. A vertical flip only turns the order of
/// rows around; what follows it writes them in the usual order.
fn turning(orientation: Orientation) -> Option<&'static str> {
    Some(match (orientation.is_mirrored(), orientation.degrees()) {
        (false, 90) => "transpose=clock",
        (false, 180) => "vflip,hflip",
        (false, 270) => "transpose=cclock",
        (true, 0) => "hflip",
        (true, 90) => "transpose=clock_flip",
        (true, 180) => "vflip,copy",
        (true, 270) => "transpose=cclock_flip",
        _ => return None,
    })
}

/// Edits the pictures of one stream, in order. What comes out is planar 4:2:0 and always of
/// [`Editor::output`], with the times that went in, one picture for each; where there is nothing to do
/// it is the same picture, not copied.
///
/// Guards that a masked region is hidden in every picture of its time.
pub struct Editor {
    deinterlace: Deinterlace,
    orientation: Orientation,
    crop: Option<CropRect>,
    time_base: ff::Rational,
    input: PictureFormat,
    output: PictureFormat,
    covers: Vec<Cover>,
    marks: Option<Marks>,
    /// Fields are made into pictures from here on.
    fields: bool,
    way: Option<Way>,
}

/// What is done to pictures of one shape before they are painted on.
struct Way {
    shape: Shape,
    /// `None`: nothing.
    graph: Option<Graph>,
}

/// What decides on the filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    width: u32,
    height: u32,
    pixel: ff::format::Pixel,
    color: Colorimetry,
    fields: bool,
}

impl std::fmt::Debug for Editor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Editor")
            .field("input", &self.input)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

impl Editor {
    /// An editor for pictures that begin as `input`. `upright` is how the file itself asks to be set upright: what the
    /// job asks for comes on top. `time_base` is that of the pictures' times, which count from the first picture of
    /// the source.
    ///
    /// # Errors
    /// Those of [`check`]; [`ErrorKind::Config`] where the crop reaches beyond the picture;
    /// [`ErrorKind::Unsupported`] for pictures in a device's memory.
    pub fn new(
        edit: &EditSpec,
        upright: Orientation,
        input: &PictureFormat,
        time_base: ff::Rational,
    ) -> Result<Editor> {
        check::check_values(edit)?;
        let orientation = upright.then(asked(edit.rotate));
        let marked = edit.watermark.is_some() || edit.label.is_some() || edit.time_code.is_some();
        let mut output = input.as_420(marked || !edit.masks.is_empty())?;
        output.interlaced &= edit.deinterlace == Deinterlace::Never && orientation.is_upright();
        if orientation.swaps_sides() {
            (output.width, output.height) = (output.height, output.width);
            let aspect = output.pixel_aspect;
            output.pixel_aspect = Ratio { num: aspect.den, den: aspect.num };
        }
        let crop = edit.crop.map(|crop| inside(crop, &output)).transpose()?;
        if let Some(crop) = crop {
            (output.width, output.height) = (crop.width, crop.height);
        }
        let output = output.with_matrix_of(input);
        let fields = match edit.deinterlace {
            Deinterlace::Auto => input.interlaced,
            Deinterlace::Always => true,
            Deinterlace::Never => false,
        };
        Ok(Editor {
            deinterlace: edit.deinterlace,
            orientation,
            crop,
            time_base,
            covers: edit.masks.iter().map(|mask| Cover::new(mask, output.width, output.height)).collect(),
            marks: if marked { Some(Marks::new(edit, &output)?) } else { None },
            input: input.clone(),
            output,
            fields,
            way: None,
        })
    }

    /// What comes out, from the first picture to the last.
    pub fn output(&self) -> &PictureFormat {
        &self.output
    }

    /// Whether a picture depends on the one before and the one after it: then one more is decoded at
    /// each end of a segment, pushed like the others, and what comes out of it is dropped. A stream that
    /// is found to be interlaced only later on deinterlaces its first such picture without a past.
    pub fn needs_neighbours(&self) -> bool {
        self.fields && can_deinterlace(self.input.width, self.input.height)
    }

    /// One picture, or `None` for the end; those that are ready go to `out`. After the end a new
    /// sequence may begin. A picture of another size or layout than announced is brought to it.
    ///
    /// # Errors
    /// Those of `out`; [`ErrorKind::Internal`] where libavfilter refuses.
    pub fn push(&mut self, frame: Option<Video>, out: &mut dyn FnMut(Video) -> Result<()>) -> Result<()> {
        let Some(frame) = frame else {
            return self.end_way(out);
        };
        self.fields |= self.deinterlace == Deinterlace::Auto && frame.is_interlaced();
        let shape = self.shape(&PictureFormat::of(&frame));
        if self.way.as_ref().is_none_or(|way| way.shape != shape) {
            self.end_way(out)?;
            self.way = Some(self.way_for(shape, &frame)?);
        }
        match self.way.as_mut().and_then(|way| way.graph.as_mut()) {
            None => finish(&self.output, &self.covers, self.marks.as_ref(), self.time_base, frame, out),
            Some(graph) => graph.push(frame, &mut |frame| {
                finish(&self.output, &self.covers, self.marks.as_ref(), self.time_base, frame, out)
            }),
        }
    }

    fn end_way(&mut self, out: Out<'_>) -> Result<()> {
        let Some(Way { graph: Some(graph), .. }) = self.way.take() else {
            return Ok(());
        };
        graph.finish(&mut |frame| {
            finish(&self.output, &self.covers, self.marks.as_ref(), self.time_base, frame, out)
        })
    }

    fn shape(&self, format: &PictureFormat) -> Shape {
        Shape {
            width: format.width,
            height: format.height,
            pixel: plain(format.pixel),
            color: format.colorimetry(),
            fields: self.fields && can_deinterlace(format.width, format.height),
        }
    }

    fn way_for(&self, shape: Shape, frame: &Video) -> Result<Way> {
        let from = PictureFormat::of(frame);
        let chain = self.chain(shape, &from)?;
        let graph = if chain.is_empty() { None } else { Some(Graph::new(&from, &chain)?) };
        Ok(Way { shape, graph })
    }

    /// The filters for pictures of this shape; empty where there is nothing to do.
    fn chain(&self, shape: Shape, from: &PictureFormat) -> Result<String> {
        let deinterlace = match self.deinterlace {
            _ if !shape.fields => None,
            Deinterlace::Always => Some("bwdif=mode=send_frame:deint=all".to_owned()),
            _ => Some("bwdif=mode=send_frame:deint=interlaced".to_owned()),
        };
        let convert = self.conversion(shape, from)?;
        let mut steps: Vec<String> = Vec::new();
        // Packed samples are unpacked first: bwdif wants planes.
        if from.traits()?.planar {
            steps.extend(deinterlace.into_iter().chain(convert));
        } else {
            steps.extend(convert.into_iter().chain(deinterlace));
        }
        steps.extend(turning(self.orientation).map(str::to_owned));
        if let Some(CropRect { x, y, width, height }) = self.crop {
            steps.push(format!("crop={width}:{height}:{x}:{y}"));
        }
        if !steps.is_empty() {
            steps.push(format!("format=pix_fmts={}", name(self.output.pixel)));
        }
        Ok(steps.join(","))
    }

    /// To the size that was announced, in the output's layout, matrix and range.
    fn conversion(&self, shape: Shape, from: &PictureFormat) -> Result<Option<String>> {
        let traits = from.traits()?;
        let (width, height) = (self.input.width, self.input.height);
        let to = self.output_color();
        // Luma alone is kept as it is, whatever range it claims.
        let same_color = shape.color == to || traits.gray && shape.color.range == to.range;
        if (shape.width, shape.height) == (width, height) && shape.pixel == self.output.pixel && same_color {
            return Ok(None);
        }
        let (from_range, to_range) = (range_name(shape.color.range), range_name(to.range));
        let mut step = format!(
            "scale={width}:{height}:flags={}:interl=-1:in_range={from_range}:out_range={to_range}",
            size::FLAGS
        );
        if traits.rgb {
            step = format!(
                "scale={width}:{height}:flags={}:out_range={to_range}:out_color_matrix={}",
                size::FLAGS,
                matrix_name(to.matrix)
            );
        } else if !traits.gray && shape.color.matrix != to.matrix {
            let (from, to) = (matrix_name(shape.color.matrix), matrix_name(to.matrix));
            step += &format!(":in_color_matrix={from}:out_color_matrix={to}");
        }
        Ok(Some(format!("{step},format=pix_fmts={}", name(self.output.pixel))))
    }

    /// Matrix and range of what comes out: they are those of the whole picture, before any turn or crop.
    fn output_color(&self) -> Colorimetry {
        self.output.colorimetry()
    }
}

/// bwdif looks at 3 columns and 4 lines.
fn can_deinterlace(width: u32, height: u32) -> bool {
    width >= 3 && height >= 4
}

/// Tags a picture as what it is, and paints on it.
fn finish(
    output: &PictureFormat,
    covers: &[Cover],
    marks: Option<&Marks>,
    time_base: ff::Rational,
    mut frame: Video,
    out: Out<'_>,
) -> Result<()> {
    output.tag(&mut frame);
    // What the source's encoder made of the picture must not force the next one.
    frame.set_kind(ff::picture::Type::None);
    // The turn is done; nobody may do it again.
    frame.remove_side_data(ff::frame::side_data::Type::DisplayMatrix);
    let pts = frame.pts();
    let active = || covers.iter().filter(|cover| cover.is_active(pts, time_base));
    if marks.is_some() || active().next().is_some() {
        let mut canvas = Canvas::of(&mut frame)?;
        let range = output.colorimetry().range;
        active().for_each(|cover| cover.hide(&mut canvas, range));
        if let Some(marks) = marks {
            marks.draw(&mut canvas, pts, time_base);
        }
    }
    out(frame)
}

/// A crop on even coordinates, with even sides, if it lies in the picture.
fn inside(crop: CropRect, picture: &PictureFormat) -> Result<CropRect> {
    let crop = CropRect { x: crop.x & !1, y: crop.y & !1, width: crop.width & !1, height: crop.height & !1 };
    let ends =
        |start: u32, length: u32, limit: u32| start.checked_add(length).is_some_and(|end| end <= limit);
    if ends(crop.x, crop.width, picture.width) && ends(crop.y, crop.height, picture.height) {
        return Ok(crop);
    }
    let message = format!(
        "{}x{} at {},{} reaches beyond the picture of {}x{}; move it or make it smaller",
        crop.width, crop.height, crop.x, crop.y, picture.width, picture.height
    );
    Err(Error::new(ErrorKind::Config, "crop", message))
}

/// libavutil's name of a format.
fn name(pixel: ff::format::Pixel) -> &'static str {
    pixel.descriptor().map_or("yuv420p", |descriptor| descriptor.name())
}
