//! A mosaic of files: every input in its tile, on a common timeline, into one file.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::MosaicEffort;
use super::input::{MosaicInput, Pace};
use super::report::{InputReport, MosaicReport, StageReport};
use super::schedule::{Limits, Schedule, Shown};
use super::timeline::Ticks;
use crate::base::{Error, ErrorKind, Moment, ProcessReport, Result, SharedClock, Shutdown, names};
use crate::composite::{
    Compositor, CpuCompositor, OverlayStyle, ScreenPlanner, TextRenderer, TickView, TileStatus, TileView, Yuv,
};
use crate::media::{CameraId, FitMode, Frame, FrameMeta, PixelRect, Pts, Ratio, Region, VideoParameters};
use crate::output::{MovieFormat, MovieWriter, Partial};
use crate::scene::{
    self, LayoutWish, Over, Placement, RegionWish, Scene, ScreenLayout, ScreenWish, TileWish,
};
use crate::source::{CameraUri, FileDemuxer, UriKind};

/// Bytes of fitted pictures that a mosaic holds, whatever its inputs are.
const FITTED_BYTES: u64 = 256 << 20;
/// A picture of a preview lasts at most this long, so that players find their place.
const LASTS: Duration = Duration::from_secs(1);
/// A turn decodes about this much of one input.
const TURN: Duration = Duration::from_millis(500);
/// How far inputs run ahead of the ticks, at most.
const AHEAD: Duration = Duration::from_secs(1);

/// What to make.
#[derive(Clone, Debug)]
pub struct MosaicSpec {
    /// The files, in the order of the tiles.
    pub inputs: Vec<CameraUri>,
    /// How the picture is divided.
    pub layout: LayoutWish,
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Pictures per second.
    pub frame_rate: Ratio,
    /// What to do with inputs whose aspect differs from their tile's.
    pub fit: FitMode,
    /// How much to decode.
    pub effort: MosaicEffort,
    /// How long the mosaic is; as long as its longest input where `None`.
    pub duration: Option<Duration>,
    /// Names of the files in their tiles.
    pub labels: bool,
    /// Pixels of a line inside each tile's edge; zero: none.
    pub border: u32,
    /// The file to write.
    pub output: PathBuf,
    /// Whether a file of that name may be replaced.
    pub overwrite: bool,
    /// What it holds.
    pub format: MovieFormat,
    /// Decoding threads; as many as cores where `None`.
    pub workers: Option<usize>,
}

/// How far a mosaic is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Ticks whose pictures are made.
    pub pictures: u64,
    /// Pictures in all, where the inputs say how long they are.
    pub of: Option<u64>,
    /// Seconds since the mosaic began.
    pub elapsed: Duration,
}

/// An input that is open.
struct Opened {
    name: String,
    parameters: VideoParameters,
    demuxer: FileDemuxer,
}

/// Makes a mosaic; `None` where `stop` came first, and then nothing is left behind.
///
/// # Errors
/// The first input that cannot be opened or decoded, what is wrong in the options, or what the
/// encoder or the disk refused. Nothing is left behind then.
pub fn run(
    spec: &MosaicSpec,
    clock: &SharedClock,
    stop: &Shutdown,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<MosaicReport>> {
    let begun = clock.now();
    let layout = solve(spec)?;
    spec.format.check(&spec.output)?;
    let opened = open(&spec.inputs)?;
    let partial = Partial::create(&spec.output, spec.overwrite)?;
    let mut movie = Movie::create(spec, &partial)?;
    let encoder = movie.writer.encoder().to_owned();
    let ticks = Ticks::new(spec.frame_rate);
    let end =
        spec.duration.map_or(u64::MAX, |d| ticks.first_from(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)));
    let limits = limits(spec, &opened, end);
    let parameters: Vec<_> = opened.iter().map(|o| (o.name.clone(), o.parameters.clone())).collect();
    let of = expected(&opened, &ticks, spec.duration.map(|_| end));
    let names: Vec<String> = opened.iter().map(|o| stem(&o.name)).collect();
    let inputs = tile_inputs(spec, &layout, opened, ticks, clock)?;
    let workers = spec.workers.unwrap_or_else(cores).max(1);
    let schedule = Schedule::start(inputs, limits, workers)?;
    let mut canvas = Canvas::new(spec, &layout, names)?;
    let mut stages = StageReport::default();
    let mut tick = 0;
    loop {
        let asked = clock.now();
        let Some(shown) = schedule.at(tick, end, stop)? else { break };
        let ready = clock.now();
        let drawing = canvas.draw(tick, &ticks, shown)?;
        let drawn = clock.now();
        if !movie.take(tick, drawing, stop)? {
            break;
        }
        stages.waited_for_decoding_s += ready.since(asked).as_secs_f64();
        stages.compose_s += drawn.since(ready).as_secs_f64();
        stages.waited_for_encoder_s += clock.now().since(drawn).as_secs_f64();
        tick += 1;
        progress(Progress { pictures: tick, of, elapsed: clock.now().since(begun) });
    }
    if stop.is_cancelled() {
        return Ok(None);
    }
    let Some(written) = movie.finish(stop)? else { return Ok(None) };
    let bytes = std::fs::metadata(partial.path()).map(|m| m.len()).unwrap_or_default();
    partial.commit()?;
    let counts = schedule.finish();
    for counts in &counts {
        stages.decode_s += counts.decode.as_secs_f64();
        stages.fit_s += counts.fit.as_secs_f64();
    }
    let inputs = parameters.into_iter().zip(&counts);
    let wall_s = clock.now().since(begun).as_secs_f64();
    let video_s = tick as f64 / spec.frame_rate.as_f64();
    Ok(Some(MosaicReport {
        output: names::lossless(&spec.output),
        bytes,
        width: spec.width,
        height: spec.height,
        fps: spec.frame_rate.as_f64(),
        grid: spec.layout.to_string(),
        effort: spec.effort,
        pictures: tick,
        written,
        video_s,
        wall_s,
        speed: video_s / wall_s.max(1e-9),
        compositor: canvas.compositor.name().to_owned(),
        encoder,
        workers,
        stages,
        inputs: inputs
            .map(|((name, parameters), counts)| InputReport::new(name, &parameters, counts))
            .collect(),
        process: ProcessReport::now(),
    }))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The tiles of the mosaic; `Config` where the inputs do not fit in.
fn solve(spec: &MosaicSpec) -> Result<ScreenLayout> {
    if spec.inputs.is_empty() {
        return Err(Error::new(ErrorKind::Config, "inputs", "none is given; name at least one with -i"));
    }
    if let LayoutWish::Grid { columns, rows } = spec.layout
        && u64::from(columns) * u64::from(rows) < spec.inputs.len() as u64
    {
        let message = format!("has too few tiles for {} inputs; take a larger one", spec.inputs.len());
        return Err(Error::new(ErrorKind::Config, format!("grid {columns}x{rows}"), message));
    }
    let tile = |index: usize| TileWish {
        id: format!("input-{}", index + 1),
        camera: Some(CameraId::new(format!("input-{}", index + 1))),
        at: Placement::Next,
        fit: spec.fit,
        crop: Region::WHOLE,
        label: None,
        pinned: false,
    };
    let scene = Scene {
        screens: vec![ScreenWish {
            id: "mosaic".into(),
            rect: PixelRect::new(0, 0, spec.width, spec.height),
        }],
        regions: vec![RegionWish {
            over: Over::Screen("mosaic".into()),
            layout: spec.layout,
            gap: 0,
            margin: 0,
            tiles: (0..spec.inputs.len()).map(tile).collect(),
        }],
    };
    let layout = scene::solve(&scene)?.screens.into_iter().next();
    layout.ok_or_else(|| Error::new(ErrorKind::Internal, "mosaic", "has no screen"))
}

fn open(inputs: &[CameraUri]) -> Result<Vec<Opened>> {
    let opened = inputs.iter().map(|input| {
        let path = input.path().filter(|_| input.kind() == UriKind::File).ok_or_else(|| {
            let remedy = "is no file; record it first: vitrail wall --grid 1x1 --out FILE.mkv ADDRESS";
            Error::new(ErrorKind::Unsupported, input.to_string(), remedy)
        })?;
        let demuxer = FileDemuxer::open(path)?;
        let parameters = demuxer.parameters().clone();
        Ok(Opened { name: names::lossless(path), parameters, demuxer })
    });
    opened.collect()
}

fn stem(name: &str) -> String {
    let path = names::path_of(name).unwrap_or_default();
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Pictures in all; `None` where an input does not say how long it is.
fn expected(opened: &[Opened], ticks: &Ticks, end: Option<u64>) -> Option<u64> {
    end.or_else(|| {
        let longest = opened.iter().map(|o| o.demuxer.duration()).collect::<Option<Vec<_>>>()?;
        let nanos = longest.into_iter().max()?.as_nanos();
        Some(ticks.first_from(i64::try_from(nanos).unwrap_or(i64::MAX)))
    })
}

/// How large turns are and how far they run ahead: a second and a half of fitted pictures, less
/// where the canvas is so large that this would take more than [`FITTED_BYTES`].
fn limits(spec: &MosaicSpec, opened: &[Opened], end: u64) -> Limits {
    let canvas = u64::from(spec.width) * u64::from(spec.height) * 3 / 2;
    let rate = spec.frame_rate.as_f64();
    let most = (FITTED_BYTES / canvas.max(1)).clamp(4, 1 << 20);
    let wanted = ((TURN + AHEAD).as_secs_f64() * rate).ceil() as u64;
    let held = most.min(wanted.max(4));
    let shortest = opened.iter().map(|o| o.demuxer.picture_time()).min().unwrap_or(TURN);
    let in_turn = (TURN.as_secs_f64() / shortest.as_secs_f64().max(1e-3)).ceil() as u64;
    let units = in_turn.clamp(2, (held / 3).max(2));
    let pace = Pace { units: usize::try_from(units).unwrap_or(2), end };
    Limits { pace, ahead: held.saturating_sub(units).max(2) }
}

fn tile_inputs(
    spec: &MosaicSpec,
    layout: &ScreenLayout,
    opened: Vec<Opened>,
    ticks: Ticks,
    clock: &SharedClock,
) -> Result<Vec<MosaicInput>> {
    let tiles = opened.into_iter().zip(&layout.tiles);
    tiles
        .map(|(o, tile)| MosaicInput::new(o.name, o.demuxer, spec.effort, tile.spec, ticks, clock.clone()))
        .collect()
}

/// The mosaic's picture.
struct Canvas {
    planner: ScreenPlanner,
    compositor: CpuCompositor,
    names: Vec<String>,
    drawn: bool,
}

impl Canvas {
    fn new(spec: &MosaicSpec, layout: &ScreenLayout, names: Vec<String>) -> Result<Canvas> {
        let style = OverlayStyle {
            background: Yuv::BLACK,
            tile_background: Yuv::BLACK,
            labels: spec.labels,
            border: spec.border,
            clock: None,
            // On this timeline no picture is old: it is the newest there is.
            age_from: Duration::MAX,
            age_limit: Duration::MAX,
            ..OverlayStyle::default()
        };
        let planner = ScreenPlanner::new(layout, style, Arc::new(TextRenderer::new()));
        Ok(Canvas { planner, compositor: CpuCompositor::new(spec.width, spec.height)?, names, drawn: false })
    }

    /// The picture of a tick; `None` where nothing changed since the one before.
    fn draw(&mut self, tick: u64, ticks: &Ticks, shown: Vec<Shown>) -> Result<Option<Frame>> {
        let time = ticks.time(tick);
        let views: Vec<TileView<'_>> = shown
            .into_iter()
            .zip(&self.names)
            .map(|(picture, name)| TileView {
                status: if picture.is_some() { TileStatus::Live } else { TileStatus::Empty },
                picture,
                age: Some(Duration::ZERO),
                late: None,
                name,
                alarm: false,
                degraded: None,
            })
            .collect();
        let view = TickView { wall: Duration::ZERO, monotonic: Moment(u64::try_from(time).unwrap_or(0)) };
        let plan = self.planner.plan(&view, &views);
        if self.drawn && plan.draws.is_empty() {
            return Ok(None);
        }
        self.compositor.compose(&plan)?;
        self.drawn = true;
        self.compositor.picture(FrameMeta { pts: Pts(time), ..FrameMeta::default() }).map(Some)
    }
}

/// Writes the pictures of the ticks. In a preview one that stays is written once, with the time that it
/// lasts: encoding it again for each tick took half of the whole work.
struct Movie {
    writer: MovieWriter,
    /// The picture that is not written yet, and the ticks that show it.
    held: Option<(Frame, Range<u64>)>,
    /// Ticks that a picture lasts at most.
    most: u64,
    written: u64,
}

impl Movie {
    fn create(spec: &MosaicSpec, partial: &Partial) -> Result<Movie> {
        let has_times = matches!(spec.format, MovieFormat::Encoded(_));
        let most = match spec.effort {
            MosaicEffort::Keyframes if has_times => (LASTS.as_secs_f64() * spec.frame_rate.as_f64()) as u64,
            _ => 1,
        };
        let writer = MovieWriter::create(partial.path(), &spec.output, &spec.format, most > 1)?;
        Ok(Movie { writer, held: None, most, written: 0 })
    }

    /// Takes the next tick and its picture, `None` where it is the one before; false where `stop` came
    /// first.
    fn take(&mut self, tick: u64, drawing: Option<Frame>, stop: &Shutdown) -> Result<bool> {
        let (frame, ticks) = match (self.held.take(), drawing) {
            (None, None) => return Ok(true),
            (None, Some(frame)) => (frame, tick..tick + 1),
            (Some((frame, ticks)), None) if ticks.end - ticks.start < self.most => {
                (frame, ticks.start..tick + 1)
            }
            (Some((before, ticks)), drawing) => {
                if !self.write(&before, ticks, stop)? {
                    return Ok(false);
                }
                (drawing.unwrap_or(before), tick..tick + 1)
            }
        };
        self.held = Some((frame, ticks));
        Ok(true)
    }

    fn write(&mut self, frame: &Frame, ticks: Range<u64>, stop: &Shutdown) -> Result<bool> {
        self.written += 1;
        self.writer.write(frame, ticks, stop)
    }

    /// Closes the file; how many pictures it holds, `None` where `stop` came first.
    fn finish(mut self, stop: &Shutdown) -> Result<Option<u64>> {
        if let Some((frame, ticks)) = self.held.take() {
            // Containers tell a picture's end by the next one: the last tick is written for itself.
            let last = ticks.end - 1;
            let before = ticks.start..last;
            if !before.is_empty() && !self.write(&frame, before, stop)? {
                return Ok(None);
            }
            if !self.write(&frame, last..ticks.end, stop)? {
                return Ok(None);
            }
        }
        Ok(self.writer.finish(stop)?.then_some(self.written))
    }
}
