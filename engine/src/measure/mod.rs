//! Measures this machine's cost model with the rooms themselves: the third place, beside walls and
//! jobs, that sees all of them.

mod cpu;
mod footage;
mod rooms;
mod solve;

use serde::Serialize;

use crate::base::Result;
use crate::decode::Effort;
use crate::effort::cost::{
    CompositeCost, DecodeCost, EncodeCost, ErrorBounds, FitCost, IngestCost, Machine, PictureCost,
};
use crate::effort::{CostModel, StreamLoad};
use crate::media::Codec;
use rooms::{Stream, bound};
use solve::{Point, least_squares};

/// A measured point that had no part in the fit, beside what the model says of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// `decode`, `key frames`, `fit`, `composite`, `encode` or `ingest`.
    pub room: &'static str,
    /// What was measured.
    pub point: String,
    /// CPU-seconds by the model.
    pub predicted_s: f64,
    /// CPU-seconds by the clock.
    pub measured_s: f64,
}

impl Check {
    /// How far the prediction is off, as a fraction of what was measured.
    pub fn deviation(&self) -> f64 {
        if self.measured_s > 0.0 { self.predicted_s / self.measured_s - 1.0 } else { 0.0 }
    }
}

/// What a measurement gave.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// The model of this machine.
    pub model: CostModel,
    /// How well it predicts points that it was not fitted to.
    pub checks: Vec<Check>,
}

/// Steps of a measurement, of about equal length.
const STEPS: usize = 9;
/// Streams to fit to: width, height, kilobits per second.
const FITTED: [(u32, u32, u32); 5] =
    [(320, 180, 150), (640, 360, 250), (640, 360, 1000), (1920, 1080, 2000), (1920, 1080, 6000)];
/// Streams to check with.
const CHECKED: [(u32, u32, u32); 2] = [(640, 360, 500), (1280, 720, 2000)];
/// Passes over each stream.
const PASSES: u32 = 2;
/// Passes over key frames alone, of which there are few.
const KEY_PASSES: u32 = 6;

/// Measures every room, half a minute or so on one idle core; `progress` is told what begins and
/// which share is done. Other work on the machine makes the result worse, not wrong: it is CPU time.
///
/// # Errors
/// `Missing` where x264 or libavcodec is not there; x265 may be missing, and is left out then.
pub fn measure(progress: &mut dyn FnMut(&str, f64)) -> Result<Measured> {
    let mut step = 0;
    let mut next = |what: &str| {
        progress(what, step as f64 / STEPS as f64);
        step += 1;
    };
    let mut model = CostModel {
        machine: machine(),
        measured_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        ..CostModel::reference()
    };
    let mut checks = Vec::new();
    for codec in [Codec::H264, Codec::H265] {
        next(&format!("encoding {codec} streams"));
        let streams = match streams(codec) {
            Err(error) if codec == Codec::H265 => {
                tracing::warn!("{codec} is not measured: {error}");
                continue;
            }
            streams => streams?,
        };
        next(&format!("decoding {codec}"));
        let cost = decoding(codec, &streams)?;
        model.decode.retain(|d| d.codec != codec);
        model.decode.push(cost);
        checks.extend(check_decoding(&model, &streams)?);
    }
    next("fitting");
    model.fit = fitting();
    checks.extend(check_fitting(&model));
    next("composing");
    model.composite = composing()?;
    checks.extend(check_composing(&model)?);
    next("encoding walls, H.264");
    model.encode = encoding(Codec::H264, &["ultrafast", "superfast", "veryfast"])?;
    checks.extend(check_encoding(&model, Codec::H264)?);
    next("encoding walls, H.265");
    match encoding(Codec::H265, &["ultrafast"]) {
        Ok(costs) => {
            model.encode.extend(costs);
            checks.extend(check_encoding(&model, Codec::H265)?);
        }
        Err(error) => tracing::warn!("encoding of H.265 is not measured: {error}"),
    }
    next("receiving");
    let streams = [250, 2500, 1000]
        .into_iter()
        .map(|kbps| Stream::encode(Codec::H264, 640, 360, kbps))
        .collect::<Result<Vec<_>>>()?;
    model.ingest = receiving(&streams[..2])?;
    checks.extend(check_receiving(&model, &streams[2])?);
    progress("done", 1.0);
    model.bounds = ErrorBounds {
        decode: bound(&checks, "decode"),
        key_frames: bound(&checks, "key frames"),
        fit: bound(&checks, "fit"),
        composite: bound(&checks, "composite"),
        encode: bound(&checks, "encode"),
        ingest: bound(&checks, "ingest"),
    };
    Ok(Measured { model, checks })
}

/// This machine, as Linux describes it.
pub fn machine() -> Machine {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    let cpu = name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned());
    Machine { cpu, cores: std::thread::available_parallelism().map_or(1, usize::from) }
}

/// What was encoded of a codec: to fit to, and to check with.
struct Streams {
    fitted: Vec<Stream>,
    checked: Vec<Stream>,
}

fn streams(codec: Codec) -> Result<Streams> {
    let make = |list: &[(u32, u32, u32)]| {
        list.iter().map(|&(w, h, kbps)| Stream::encode(codec, w, h, kbps)).collect::<Result<Vec<_>>>()
    };
    Ok(Streams { fitted: make(&FITTED)?, checked: make(&CHECKED)? })
}

fn decoding(codec: Codec, streams: &Streams) -> Result<DecodeCost> {
    let (mut others, mut keys) = (Vec::new(), Vec::new());
    let (mut with, mut without, mut ratios) = (0.0, 0.0, Vec::new());
    for stream in &streams.fitted {
        let times = rooms::decode(stream, false, PASSES)?;
        with += times.iter().sum::<f64>() / stream.pixels();
        without += rooms::decode(stream, true, 1)?.iter().sum::<f64>() / stream.pixels();
        let bits = |key: bool| {
            let of = stream.units.iter().filter(|u| u.random_access == key);
            let (n, bytes) = of.fold((0.0, 0.0), |(n, b), u| (n + 1.0, b + u.data.len() as f64));
            bytes * 8.0 / f64::max(n, 1.0)
        };
        ratios.push(bits(true) / bits(false).max(1.0));
        others.extend(by_size(stream, &times));
        let alone = rooms::decode_keys(stream, KEY_PASSES)?;
        let units = stream.units.iter().filter(|u| u.random_access);
        keys.extend(units.zip(alone).map(|(unit, value)| point(stream, unit.data.len(), value)));
    }
    Ok(DecodeCost {
        codec,
        key: picture_cost(&keys),
        other: picture_cost(&others),
        without_loop_filter: (without / with).clamp(0.0, 1.0),
        key_bits_ratio: ratios.iter().sum::<f64>() / ratios.len().max(1) as f64,
    })
}

/// Three points of a stream's pictures that are no key frames: its small, middle and large ones.
fn by_size(stream: &Stream, times: &[f64]) -> Vec<Point<3>> {
    let mut others: Vec<(usize, f64)> = stream
        .units
        .iter()
        .zip(times)
        .filter(|(unit, _)| !unit.random_access)
        .map(|(unit, time)| (unit.data.len(), *time))
        .collect();
    others.sort_by_key(|(bytes, _)| *bytes);
    let third = others.len().div_ceil(3).max(1);
    let mean = |part: &[(usize, f64)]| {
        let n = part.len();
        let bytes = part.iter().map(|p| p.0).sum::<usize>() / n;
        point(stream, bytes, part.iter().map(|p| p.1).sum::<f64>() / n as f64)
    };
    others.chunks(third).map(mean).collect()
}

fn point(stream: &Stream, bytes: usize, value: f64) -> Point<3> {
    Point { terms: [1.0, stream.pixels(), bytes as f64 * 8.0], value }
}

fn picture_cost(points: &[Point<3>]) -> PictureCost {
    let [picture_s, pixel_s, bit_s] = least_squares(points);
    PictureCost { picture_s, pixel_s, bit_s }
}

fn check_decoding(model: &CostModel, streams: &Streams) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for stream in &streams.checked {
        let second = stream.load.fps / stream.units.len() as f64;
        let predict = |effort, skip| model.decode(&stream.load, effort, skip, 0.0);
        for (skip, what) in [(false, ""), (true, ", no loop filter")] {
            checks.push(Check {
                room: "decode",
                point: format!("{}, 1 s{what}", stream.name()),
                predicted_s: predict(Effort::Full, skip),
                measured_s: rooms::decode(stream, skip, PASSES)?.iter().sum::<f64>() * second,
            });
        }
        checks.push(Check {
            room: "key frames",
            point: format!("{}, 1 s", stream.name()),
            predicted_s: predict(Effort::KeyFrames, false),
            measured_s: rooms::decode_keys(stream, KEY_PASSES)?.iter().sum::<f64>() * second,
        });
    }
    Ok(checks)
}

/// Width and height.
type Size = (u32, u32);

fn fitting() -> FitCost {
    let area = |size: Size| f64::from(size.0) * f64::from(size.1);
    let measured = |pairs: &[(Size, Size)]| -> Vec<Point<3>> {
        let point = |&(from, to): &(Size, Size)| Point {
            terms: [1.0, area(from), area(to)],
            value: rooms::fit(from, to),
        };
        pairs.iter().map(point).collect()
    };
    // Nothing is scaled: source and made pixels are the same, so one of the two takes it all.
    let copies = measured(&[((320, 180), (320, 180)), ((640, 360), (640, 360)), ((1280, 720), (1280, 720))])
        .into_iter()
        .map(|p| Point { terms: [p.terms[0], p.terms[1]], value: p.value })
        .collect::<Vec<_>>();
    let [picture_s, copy_pixel_s] = least_squares(&copies);
    let rest = |pairs: &[(Size, Size)]| {
        let points: Vec<_> = measured(pairs)
            .into_iter()
            .map(|p| Point { terms: [p.terms[1], p.terms[2]], value: (p.value - picture_s).max(1e-9) })
            .collect();
        least_squares(&points)
    };
    let [box_source_pixel_s, box_out_pixel_s] = rest(&[
        ((640, 360), (320, 180)),
        ((1280, 720), (640, 360)),
        ((1920, 1080), (480, 270)),
        ((1920, 1080), (640, 360)),
    ]);
    let [source_pixel_s, out_pixel_s] = rest(&[
        ((1920, 1080), (854, 480)),
        ((1920, 1080), (400, 226)),
        ((640, 360), (480, 270)),
        ((640, 360), (960, 540)),
    ]);
    FitCost { picture_s, copy_pixel_s, box_source_pixel_s, box_out_pixel_s, source_pixel_s, out_pixel_s }
}

fn check_fitting(model: &CostModel) -> Vec<Check> {
    let pairs = [
        ((1280, 720), (320, 180)),
        ((1280, 720), (480, 270)),
        ((1920, 1080), (960, 540)),
        ((640, 360), (426, 240)),
        ((848, 480), (848, 480)),
    ];
    let check = |(from, to): (Size, Size)| Check {
        room: "fit",
        point: format!("{}x{} to {}x{}", from.0, from.1, to.0, to.1),
        predicted_s: model.fit(from, to),
        measured_s: rooms::fit(from, to),
    };
    pairs.into_iter().map(check).collect()
}

/// A canvas, tiles each way, tiles redrawn.
type Redraw = (Size, u32, u32);

fn composing() -> Result<CompositeCost> {
    let points: [Redraw; 4] =
        [((1920, 1080), 4, 1), ((1920, 1080), 4, 8), ((1920, 1080), 2, 4), ((3840, 2160), 8, 64)];
    let (mut redraws, mut copies) = (Vec::new(), Vec::new());
    for (size, side, redrawn) in points {
        let (redraw, copy) = rooms::composite(size, side, redrawn)?;
        redraws.push(Point { terms: [f64::from(redrawn), pixels(size, side, redrawn)], value: redraw });
        copies.push(Point { terms: [pixels(size, 1, 1)], value: copy });
    }
    let [redraw_s, pixel_s] = least_squares(&redraws);
    let [copy_pixel_s] = least_squares(&copies);
    Ok(CompositeCost { redraw_s, pixel_s, copy_pixel_s })
}

fn pixels(size: Size, side: u32, redrawn: u32) -> f64 {
    f64::from(redrawn) * f64::from(size.0 / side) * f64::from(size.1 / side)
}

fn check_composing(model: &CostModel) -> Result<Vec<Check>> {
    let points: [Redraw; 2] = [((1920, 1080), 8, 32), ((3840, 2160), 4, 4)];
    let check = |(size, side, redrawn): Redraw| {
        let each = pixels(size, side, redrawn) / f64::from(redrawn);
        let (measured_s, _) = rooms::composite(size, side, redrawn)?;
        Ok(Check {
            room: "composite",
            point: format!("{redrawn} of {} tiles on {}x{}", side * side, size.0, size.1),
            predicted_s: f64::from(redrawn) * model.composite(each),
            measured_s,
        })
    };
    points.into_iter().map(check).collect()
}

fn encoding(codec: Codec, presets: &[&str]) -> Result<Vec<EncodeCost>> {
    let cost = |preset: &&str| {
        let mut points = Vec::new();
        for size in [(960, 540), (1920, 1080)] {
            let terms = [1.0, pixels(size, 1, 1)];
            points.push(Point { terms, value: rooms::encode(codec, preset, size)? });
        }
        let [picture_s, pixel_s] = least_squares(&points);
        Ok(EncodeCost { codec, preset: (*preset).to_owned(), picture_s, pixel_s })
    };
    presets.iter().map(cost).collect()
}

fn check_encoding(model: &CostModel, codec: Codec) -> Result<Vec<Check>> {
    let mut points = vec![("ultrafast", (1280, 720))];
    if codec == Codec::H264 {
        points.extend([("veryfast", (1280, 720)), ("ultrafast", (3840, 2160))]);
    }
    let check = |(preset, size): (&str, Size)| {
        Ok(Check {
            room: "encode",
            point: format!("{codec} {preset} {}x{}, a picture", size.0, size.1),
            predicted_s: model.encode(codec, preset, size.0, size.1, 1.0),
            measured_s: rooms::encode(codec, preset, size)?,
        })
    };
    points.into_iter().map(check).collect()
}

fn receiving(streams: &[Stream]) -> Result<IngestCost> {
    let point = |stream: &Stream| {
        let bits = stream.load.bits_per_second / stream.load.fps;
        Ok(Point { terms: [1.0, bits], value: rooms::ingest(stream)?.max(1e-9) })
    };
    let [unit_s, bit_s] = least_squares(&streams.iter().map(point).collect::<Result<Vec<_>>>()?);
    Ok(IngestCost { unit_s, bit_s })
}

fn check_receiving(model: &CostModel, stream: &Stream) -> Result<Vec<Check>> {
    let load: StreamLoad = stream.load;
    Ok(vec![Check {
        room: "ingest",
        point: format!("{}, 1 s", stream.name()),
        predicted_s: model.ingest(&load),
        measured_s: rooms::ingest(stream)? * load.fps,
    }])
}
