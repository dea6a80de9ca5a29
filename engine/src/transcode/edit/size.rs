//! How large pictures become, and the scaler that makes them so.

use ffmpeg_next::frame::Video;

use super::format::{PictureFormat, range_name};
use super::frame_ffi::{self, Canvas};
use super::graph::Graph;
use crate::base::{Error, ErrorKind, Result};
use crate::media::{Range, Ratio};
use crate::transcode::spec::SizeSpec;

/// No side is longer: libx264's limit.
const LONGEST: u32 = 16_384;
/// libswscale's flags: those that FFmpeg's own command line gives its scaler, so that the same samples
/// come out.
pub(super) const FLAGS: &str = "bicubic";

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// From the left edge.
    pub x: u32,
    /// From the top edge.
    pub y: u32,
    /// Pixels wide.
    pub width: u32,
    /// Pixels high.
    pub height: u32,
}

impl Area {
    /// All of a picture.
    fn whole(width: u32, height: u32) -> Area {
        Area { x: 0, y: 0, width, height }
    }

    /// In the middle of a picture, on even coordinates.
    fn centred(width: u32, height: u32, (in_width, in_height): (u32, u32)) -> Area {
        let middle = |inner: u32, outer: u32| (outer.saturating_sub(inner) / 2) & !1;
        Area { x: middle(width, in_width), y: middle(height, in_height), width, height }
    }
}

/// From one picture to another: what is taken of the first, and where it goes in the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Of the second picture; even.
    pub width: u32,
    /// Of the second picture; even.
    pub height: u32,
    /// Shape of the second picture's pixels.
    pub pixel_aspect: Ratio,
    /// The part of the first picture that is shown.
    pub take: Area,
    /// Where it is shown in the second; the rest is black.
    pub place: Area,
}

/// The size that pictures of `from` become. Pure.
///
/// # Errors
/// [`ErrorKind::Config`] where a side would be zero or longer than 16384.
pub fn target_size(size: SizeSpec, from: &PictureFormat) -> Result<Sizing> {
    let (columns, lines) = (from.width, from.height);
    if columns == 0 || lines == 0 {
        return Err(wrong(format!("the source's pictures are {columns}x{lines}; there is nothing to show")));
    }
    // Width as it is seen, in pixels as wide as they are high.
    let seen = f64::from(columns) * from.pixel_aspect.as_f64();
    let high = f64::from(lines);
    let sized = |width: u32, height: u32| {
        Ok(Sizing {
            width,
            height,
            pixel_aspect: Ratio::ONE,
            take: Area::whole(columns, lines),
            place: Area::whole(width, height),
        })
    };
    match size {
        SizeSpec::Keep => {
            limited(f64::from(columns), f64::from(lines))?;
            // An odd edge is left out, not scaled: no other pixel changes.
            let (width, height) = ((columns & !1).max(2), (lines & !1).max(2));
            let take = Area::whole(width.min(columns), height.min(lines));
            Ok(Sizing { pixel_aspect: from.pixel_aspect, take, ..sized(width, height)? })
        }
        SizeSpec::Height(height) => {
            let height = asked("height", height)?;
            let width = limited(seen * f64::from(height) / high, f64::from(height))?.0;
            sized(width, height)
        }
        SizeSpec::Width(width) => {
            let width = asked("width", width)?;
            let height = limited(f64::from(width), high * f64::from(width) / seen)?.1;
            sized(width, height)
        }
        SizeSpec::Within(width, height) => {
            let (width, height) = (asked("width", width)?, asked("height", height)?);
            let (width, height) = match seen <= f64::from(width) && high <= f64::from(height) {
                true if from.pixel_aspect == Ratio::ONE => return target_size(SizeSpec::Keep, from),
                true => (even(seen), even(high)),
                false => within(width, height, seen / high),
            };
            sized(width, height)
        }
        SizeSpec::Pad(width, height) => {
            let (width, height) = (asked("width", width)?, asked("height", height)?);
            let (inner_width, inner_height) = within(width, height, seen / high);
            let place = Area::centred(inner_width, inner_height, (width, height));
            Ok(Sizing { place, ..sized(width, height)? })
        }
        SizeSpec::Fill(width, height) => {
            let (width, height) = (asked("width", width)?, asked("height", height)?);
            let aspect = f64::from(width) / f64::from(height) / from.pixel_aspect.as_f64();
            let kept_columns = even(high * aspect).min(columns.max(2) & !1).min(columns);
            let kept_lines = even(f64::from(columns) / aspect).min(lines.max(2) & !1).min(lines);
            let take = Area::centred(kept_columns, kept_lines, (columns, lines));
            Ok(Sizing { take, ..sized(width, height)? })
        }
        SizeSpec::Stretch(width, height) => sized(asked("width", width)?, asked("height", height)?),
    }
}

/// The largest even size of this aspect that goes into an even one.
fn within(width: u32, height: u32, aspect: f64) -> (u32, u32) {
    let by_width = even(f64::from(width) / aspect);
    if by_width <= height { (width, by_width) } else { (even(f64::from(height) * aspect).min(width), height) }
}

/// The nearest even number that is not zero.
fn even(side: f64) -> u32 {
    ((side / 2.0).round() as u32).saturating_mul(2).max(2)
}

/// A side that was asked for, taken down to an even number.
fn asked(side: &str, pixels: u32) -> Result<u32> {
    match pixels {
        0..2 => Err(wrong(format!("a {side} of {pixels} is too small; ask for at least 2"))),
        _ if pixels > LONGEST => {
            Err(wrong(format!("a {side} of {pixels} is too large; ask for at most {LONGEST}")))
        }
        _ => Ok(pixels & !1),
    }
}

/// Both sides even, if neither is too long.
fn limited(width: f64, height: f64) -> Result<(u32, u32)> {
    if width > f64::from(LONGEST) || height > f64::from(LONGEST) {
        let message = format!(
            "the picture would become {width:.0}x{height:.0}, longer than {LONGEST}; ask for a smaller size"
        );
        return Err(wrong(message));
    }
    Ok((even(width), even(height)))
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Config, "size", message)
}

/// Makes pictures of one format into the size of a rendition.
pub struct Scaler {
    from: PictureFormat,
    output: PictureFormat,
    sizing: Sizing,
    /// `None` where nothing changes.
    graph: Option<Graph>,
}

impl std::fmt::Debug for Scaler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scaler")
            .field("from", &self.from)
            .field("sizing", &self.sizing)
            .finish_non_exhaustive()
    }
}

impl Scaler {
    /// A scaler for pictures of `from`, which is planar 4:2:0 as [`super::Editor::output`] says.
    ///
    /// # Errors
    /// Those of [`target_size`]; [`ErrorKind::Internal`] where libavfilter refuses.
    pub fn new(from: &PictureFormat, size: SizeSpec) -> Result<Scaler> {
        let sizing = target_size(size, from)?;
        let output = PictureFormat {
            width: sizing.width,
            height: sizing.height,
            pixel_aspect: sizing.pixel_aspect,
            ..from.clone()
        };
        let output = output.with_matrix_of(from);
        let chain = chain(from, &sizing);
        let graph = if chain.is_empty() { None } else { Some(Graph::new(from, &chain)?) };
        Ok(Scaler { from: from.clone(), output, sizing, graph })
    }

    /// What comes out.
    pub fn output(&self) -> &PictureFormat {
        &self.output
    }

    /// One picture, in its new size. Where nothing changes it is the same picture: its pixels are
    /// shared, not copied.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for a picture of another size or layout than announced.
    pub fn scale(&mut self, frame: &Video) -> Result<Video> {
        let shape = (frame.width(), frame.height(), frame.format());
        if shape != (self.from.width, self.from.height, self.from.pixel) {
            let message = format!("a picture of {shape:?} came to a scaler for {:?}", self.from);
            return Err(Error::new(ErrorKind::Internal, "size", message));
        }
        let shared = frame_ffi::share(frame)?;
        let Some(graph) = &mut self.graph else {
            return Ok(shared);
        };
        let mut scaled = None;
        graph.push(shared, &mut |frame| {
            scaled = Some(frame);
            Ok(())
        })?;
        let mut scaled = scaled.ok_or_else(|| {
            Error::new(ErrorKind::Internal, "size", "libavfilter kept a picture for itself")
        })?;
        self.output.tag(&mut scaled);
        if self.output.colorimetry().range == Range::Full && self.has_bars() {
            blacken_bars(&mut scaled, self.sizing.place)?;
        }
        Ok(scaled)
    }

    fn has_bars(&self) -> bool {
        self.sizing.place != Area::whole(self.sizing.width, self.sizing.height)
    }
}

/// The filters of a sizing; empty where there is nothing to do.
fn chain(from: &PictureFormat, sizing: &Sizing) -> String {
    let Sizing { width, height, take, place, .. } = *sizing;
    let mut steps = Vec::new();
    if take != Area::whole(from.width, from.height) {
        steps.push(format!("crop={}:{}:{}:{}", take.width, take.height, take.x, take.y));
    }
    if (take.width, take.height) != (place.width, place.height) {
        let range = range_name(from.colorimetry().range);
        steps.push(format!(
            "scale={}:{}:flags={FLAGS}:in_range={range}:out_range={range}",
            place.width, place.height
        ));
    }
    if place != Area::whole(width, height) {
        steps.push(format!("pad={width}:{height}:{}:{}:color=black", place.x, place.y));
    }
    if !steps.is_empty() {
        let pixel = from.pixel.descriptor().map_or("yuv420p", |descriptor| descriptor.name());
        steps.push(format!("format=pix_fmts={pixel}"));
    }
    steps.join(",")
}

/// Bars in the black of full range, which libavfilter's pad does not know: 0, not 16.
fn blacken_bars(frame: &mut Video, place: Area) -> Result<()> {
    let mut canvas = Canvas::of(frame)?;
    let bytes = canvas.sample_bytes();
    for plane in 0..3 {
        let shift = usize::from(plane > 0);
        let (left, top) = (place.x as usize >> shift, place.y as usize >> shift);
        let (right, bottom) =
            (left + (place.width as usize >> shift), top + (place.height as usize >> shift));
        let black: u16 = match (plane, bytes) {
            (0, _) => 0,
            (_, 1) => 128,
            _ => 512,
        };
        let fill = |row: &mut [u8]| {
            for sample in row.chunks_exact_mut(bytes) {
                sample.copy_from_slice(&black.to_le_bytes()[..bytes]);
            }
        };
        for y in 0..canvas.size(plane).1 {
            let row = canvas.row(plane, y);
            if y < top || y >= bottom {
                fill(row);
            } else {
                fill(&mut row[..left * bytes]);
                fill(&mut row[right * bytes..]);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ffmpeg_next::format::Pixel;
    use proptest::prelude::*;

    use super::*;

    fn source(width: u32, height: u32, num: u32, den: u32) -> PictureFormat {
        let frame = Video::new(Pixel::YUV420P, 16, 16);
        PictureFormat { width, height, pixel_aspect: Ratio { num, den }, ..PictureFormat::of(&frame) }
    }

    #[test]
    fn sizes_follow_the_aspect() {
        let hd = source(1920, 1080, 1, 1);
        let pal = source(720, 576, 16, 15);
        for (from, size, want) in [
            (&hd, SizeSpec::Keep, (1920, 1080)),
            (&hd, SizeSpec::Height(720), (1280, 720)),
            (&hd, SizeSpec::Height(481), (854, 480)),
            (&hd, SizeSpec::Width(854), (854, 480)),
            (&hd, SizeSpec::Within(1000, 1000), (1000, 562)),
            (&hd, SizeSpec::Within(3000, 300), (534, 300)),
            (&hd, SizeSpec::Within(3840, 3840), (1920, 1080)),
            (&hd, SizeSpec::Within(1920, 1080), (1920, 1080)),
            (&hd, SizeSpec::Pad(1000, 1000), (1000, 1000)),
            (&hd, SizeSpec::Fill(1000, 1000), (1000, 1000)),
            (&hd, SizeSpec::Stretch(333, 77), (332, 76)),
            (&pal, SizeSpec::Keep, (720, 576)),
            (&pal, SizeSpec::Height(576), (768, 576)),
            (&pal, SizeSpec::Width(720), (720, 540)),
            (&pal, SizeSpec::Within(640, 640), (640, 480)),
            (&pal, SizeSpec::Within(1280, 720), (768, 576)),
        ] {
            let sizing = target_size(size, from).expect("a size");
            assert_eq!((sizing.width, sizing.height), want, "{size:?}");
        }
        assert_eq!(target_size(SizeSpec::Keep, &pal).expect("a size").pixel_aspect, pal.pixel_aspect);
        assert_eq!(target_size(SizeSpec::Height(576), &pal).expect("a size").pixel_aspect, Ratio::ONE);
        let padded = target_size(SizeSpec::Pad(1000, 1000), &hd).expect("a size");
        assert_eq!(padded.place, Area { x: 0, y: 218, width: 1000, height: 562 });
        let filled = target_size(SizeSpec::Fill(1000, 1000), &hd).expect("a size");
        assert_eq!(filled.take, Area { x: 420, y: 0, width: 1080, height: 1080 });
    }

    #[test]
    fn wrong_sizes_are_refused_with_the_reason() {
        let hd = source(1920, 1080, 1, 1);
        for size in [
            SizeSpec::Height(0),
            SizeSpec::Height(1),
            SizeSpec::Width(16_385),
            SizeSpec::Height(16_384),
            SizeSpec::Within(0, 100),
            SizeSpec::Pad(100, 20_000),
            SizeSpec::Fill(1, 100),
        ] {
            let error = target_size(size, &hd).expect_err("refused");
            assert_eq!((error.kind(), error.subject()), (ErrorKind::Config, "size"));
            assert!(error.message().contains("; ask for"), "{error}");
        }
        assert!(target_size(SizeSpec::Keep, &source(0, 0, 1, 1)).is_err());
        assert!(target_size(SizeSpec::Keep, &source(16_386, 16, 1, 1)).is_err());
    }

    proptest! {
        #[test]
        fn sizes_are_even_and_inside_whatever_is_asked(
            (width, height) in (1_u32..9000, 1_u32..9000), (num, den) in (1_u32..100, 1_u32..100),
            (w, h) in (0_u32..17_000, 0_u32..17_000), kind in 0..7,
        ) {
            let size = match kind {
                0 => SizeSpec::Keep,
                1 => SizeSpec::Height(h),
                2 => SizeSpec::Width(w),
                3 => SizeSpec::Within(w, h),
                4 => SizeSpec::Pad(w, h),
                5 => SizeSpec::Fill(w, h),
                _ => SizeSpec::Stretch(w, h),
            };
            let from = source(width, height, num, den);
            if let Ok(s) = target_size(size, &from) {
                prop_assert!(s.width >= 2 && s.height >= 2 && s.width <= LONGEST && s.height <= LONGEST);
                prop_assert_eq!((s.width % 2, s.height % 2, s.place.x % 2, s.place.y % 2), (0, 0, 0, 0));
                prop_assert!(s.take.width > 0 && s.take.height > 0 && s.place.width > 0 && s.place.height > 0);
                prop_assert!(s.take.x + s.take.width <= width && s.take.y + s.take.height <= height);
                prop_assert!(s.place.x + s.place.width <= s.width && s.place.y + s.place.height <= s.height);
            }
        }
    }
}
