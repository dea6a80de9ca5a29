//! `vitrail mosaic`: files into one mosaic, as fast as the machine allows.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use vitrail_engine::Result;
use vitrail_engine::base::SystemClock;
use vitrail_engine::base::files::write_whole;
use vitrail_engine::base::names::lossless;
use vitrail_engine::config::WallSpec;
use vitrail_engine::encode::{EncoderChoice, EncoderConfig, OfflineEncoder, Rate};
use vitrail_engine::media::{Codec, FitMode, Ratio};
use vitrail_engine::mosaic::{self, MosaicEffort, MosaicReport, MosaicSpec, Progress};
use vitrail_engine::output::MovieFormat;
use vitrail_engine::scene::LayoutWish;
use vitrail_engine::source::CameraUri;

use crate::parse;
use crate::print::{json_text, print_text};
use crate::terminal::{self, Terminal, shown};

/// What a shell expects of a program that Ctrl-C ended: 128 and the number of SIGINT.
pub const INTERRUPTED: u8 = 130;

/// Put video files side by side into one file, as fast as the machine allows
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vitrail mosaic -i north.mp4 -i south.mp4 -o both.mp4
  vitrail mosaic -i a.mp4 -i b.mkv -i c.ts -i d.h264 --grid 2x2 --size 1280x720 --crf 20 -o four.mkv
  vitrail mosaic -i a.mp4 -i b.mp4 --effort keyframes --fps 5 -o preview.mp4   (a quick look)
  vitrail mosaic -i a.mp4 -i b.mp4 --lossless -o exact.mkv                     (for measurements: FFV1)

All inputs begin together, at their first picture. A tick shows the newest picture that is not later;
after its end an input keeps its last picture. Audio is left out.")]
pub struct Args {
    /// A video file: MP4, MOV, MKV, TS, AVI, FLV, or raw H.264 or H.265 (repeat it; the order is that of the tiles)
    #[arg(short, long = "input", required = true, value_name = "FILE")]
    input: Vec<OsString>,
    /// The file to write: .mp4, .mkv or .ts; with --lossless .mkv, .y4m or .yuv
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Columns x rows, or 1+5, 1+7, 2+8, 1+12 [default: the smallest square that holds all inputs]
    #[arg(long, value_name = "CxR")]
    grid: Option<LayoutWish>,
    /// Pixels of the mosaic
    #[arg(long, value_parser = parse::pair, value_name = "WxH", default_value = "1920x1080")]
    size: (u32, u32),
    /// Pictures per second of the mosaic: 25, 12.5, 30000/1001
    #[arg(long, value_parser = frame_rate, default_value = "25")]
    fps: Ratio,
    /// How inputs of another aspect go into their tiles
    #[arg(long, value_enum, default_value = "contain")]
    fit: Fit,
    /// How much to decode
    #[arg(long, value_enum, default_value = "exact")]
    effort: Effort,
    /// How long the mosaic is, such as 10s [default: as long as its longest input]
    #[arg(long, value_parser = parse::duration, value_name = "TIME")]
    duration: Option<Duration>,
    /// Write the files' names into their tiles
    #[arg(long)]
    labels: bool,
    /// Pixels of a line inside each tile's edge
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    border: u32,
    /// Codec of the mosaic: h264 or h265
    #[arg(long, value_parser = codec, default_value = "h264")]
    codec: Codec,
    /// Speed against quality, from ultrafast to veryslow
    #[arg(long, default_value = "veryfast")]
    preset: String,
    /// Quality, 0 to 51, lower is better [default: 23]
    #[arg(long, conflicts_with = "bitrate")]
    crf: Option<u8>,
    /// Average bit rate, such as 4M or 800k
    #[arg(long, value_parser = bit_rate, value_name = "RATE")]
    bitrate: Option<u32>,
    /// Pictures from one key frame to the next [default: two seconds of them]
    #[arg(long, value_name = "PICTURES")]
    gop: Option<u32>,
    /// Encode without look-ahead and B-pictures
    #[arg(long)]
    zerolatency: bool,
    /// Which encoder: software, auto, nvenc, va or qsv
    #[arg(long, value_enum, default_value = "software")]
    encoder: Encoder,
    /// Threads of the software encoder [default: as many as suit it]
    #[arg(long, value_name = "N", default_value_t = 0)]
    encoder_threads: u32,
    /// Keep every sample: FFV1 in .mkv, raw in .y4m or .yuv
    #[arg(long, conflicts_with_all = ["crf", "bitrate", "zerolatency"])]
    lossless: bool,
    /// Replace the file if it is there already
    #[arg(long)]
    overwrite: bool,
    /// Decoding threads [default: one for each core]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Write all figures (JSON) at the end
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
    /// Print all figures as JSON instead of the summary
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fit {
    /// All of the picture, with bars
    Contain,
    /// All of the tile, edges cut off
    Cover,
    /// All of both, out of proportion
    Stretch,
}

#[derive(Clone, Copy, ValueEnum)]
enum Effort {
    /// Every picture, bit-exactly
    Exact,
    /// Leaves out what the size of the tiles hides
    Balanced,
    /// Key frames only: a preview
    Keyframes,
}

#[derive(Clone, Copy, ValueEnum)]
enum Encoder {
    /// x264 or x265
    Software,
    /// The first that works: NVENC, VA, QSV, software
    Auto,
    /// NVIDIA
    Nvenc,
    /// VA-API
    Va,
    /// Intel Quick Sync
    Qsv,
}

fn frame_rate(text: &str) -> std::result::Result<Ratio, String> {
    WallSpec::parse_frame_rate(text).ok_or_else(|| "write it like 25, 12.5 or 30000/1001".into())
}

fn codec(text: &str) -> std::result::Result<Codec, String> {
    match text.to_ascii_lowercase().as_str() {
        "h264" | "avc" => Ok(Codec::H264),
        "h265" | "hevc" => Ok(Codec::H265),
        _ => Err("choose h264 or h265".into()),
    }
}

/// `4M`, `800k`, `2500000`: in kilobits a second.
fn bit_rate(text: &str) -> std::result::Result<u32, String> {
    let (number, factor) = match text.trim().char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text.trim()[..at], 1.0),
        Some((at, 'm' | 'M')) => (&text.trim()[..at], 1000.0),
        _ => (text.trim(), 0.001),
    };
    let number: f64 = number.parse().map_err(|_| "write it like 4M, 800k or 2500000".to_owned())?;
    let kbps = (number * factor).round();
    if (1.0..=1e6).contains(&kbps) { Ok(kbps as u32) } else { Err("take 10k to 1000M".into()) }
}

/// Makes the mosaic; the exit code tells a whole one from an interrupted one.
pub fn run(args: &Args, terminal: &Terminal) -> Result<ExitCode> {
    let spec = specify(args)?;
    let stop = terminal::shutdown_on_signal()?;
    let bar = bar(terminal);
    let outcome = mosaic::run(&spec, &SystemClock::shared(), &stop, &mut |p| show(&bar, p, spec.frame_rate));
    bar.finish_and_clear();
    let Some(report) = outcome? else {
        let output = shown(&args.output.display().to_string());
        eprintln!("vitrail: interrupted; {output} was not written");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let json = json_text("report", &report)?;
    print_text(if args.json { json.clone() } else { summary(&report) }.as_str())?;
    if let Some(path) = &args.report {
        write_whole(path, json.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn specify(args: &Args) -> Result<MosaicSpec> {
    let parse = |input: &OsString| CameraUri::parse(&lossless(input));
    let inputs = args.input.iter().map(parse).collect::<Result<Vec<_>>>()?;
    let side = (inputs.len() as f64).sqrt().ceil() as u32;
    let (width, height) = args.size;
    let format = if args.lossless {
        MovieFormat::Lossless { width, height, frame_rate: args.fps }
    } else {
        let rate = args.bitrate.map_or(Rate::Crf(args.crf.unwrap_or(23)), Rate::Kbps);
        let gop = args.gop.unwrap_or_else(|| (2.0 * args.fps.as_f64()).round().max(1.0) as u32);
        let choice = match args.encoder {
            Encoder::Software => EncoderChoice::Software,
            Encoder::Auto => EncoderChoice::Auto,
            Encoder::Nvenc => EncoderChoice::Nvenc,
            Encoder::Va => EncoderChoice::Va,
            Encoder::Qsv => EncoderChoice::Qsv,
        };
        let (codec, preset, frame_rate) = (args.codec, args.preset.clone(), args.fps);
        let config =
            EncoderConfig { codec, choice, width, height, frame_rate, preset, instead: None, rate, gop };
        MovieFormat::Encoded(OfflineEncoder {
            config,
            zero_latency: args.zerolatency,
            threads: args.encoder_threads,
        })
    };
    Ok(MosaicSpec {
        inputs,
        layout: args.grid.unwrap_or(LayoutWish::Grid { columns: side, rows: side }),
        width,
        height,
        frame_rate: args.fps,
        fit: match args.fit {
            Fit::Contain => FitMode::Contain,
            Fit::Cover => FitMode::Cover,
            Fit::Stretch => FitMode::Stretch,
        },
        effort: match args.effort {
            Effort::Exact => MosaicEffort::Exact,
            Effort::Balanced => MosaicEffort::Balanced,
            Effort::Keyframes => MosaicEffort::Keyframes,
        },
        duration: args.duration,
        labels: args.labels,
        border: args.border,
        output: args.output.clone(),
        overwrite: args.overwrite,
        format,
        workers: args.workers,
    })
}

fn bar(terminal: &Terminal) -> ProgressBar {
    let bar = terminal.status_line();
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: Progress, fps: Ratio) {
    let seconds = progress.elapsed.as_secs_f64().max(1e-3);
    let done = progress.pictures as f64;
    let left = progress.of.map(|of| (of as f64 - done).max(0.0) * seconds / done.max(1.0));
    if let Some(of) = progress.of {
        bar.set_length(of.max(progress.pictures));
    }
    bar.set_position(progress.pictures);
    // A message for every picture would cost more than it tells.
    if progress.pictures % 5 == 1 {
        let left = left.map(|left| format!("  {} left", clock(left))).unwrap_or_default();
        let speed = done / fps.as_f64() / seconds;
        bar.set_message(format!("{} pictures  {speed:.1}x{left}", progress.pictures));
    }
}

/// `1:02:03` or `2:03`.
pub fn clock(seconds: f64) -> String {
    let s = seconds.ceil() as u64;
    let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

fn summary(report: &MosaicReport) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let names: Vec<String> = report.inputs.iter().map(|i| shown(&i.input)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(5).max(5);
    let _ = writeln!(
        text,
        "{:width$}  {:8} {:>10} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "input", "codec", "size", "fps", "decoded", "shown", "skipped", "damaged", "decode s"
    );
    for (input, name) in report.inputs.iter().zip(&names) {
        let _ = writeln!(
            text,
            "{:width$}  {:8} {:>10} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8.2}",
            name,
            input.codec,
            format!("{}x{}", input.width, input.height),
            input.fps.map_or("-".into(), |fps| format!("{fps:.2}")),
            input.decoded,
            input.shown,
            input.skipped,
            input.damaged,
            input.decode_s,
        );
    }
    let _ = write!(
        text,
        "{}  {}x{} at {:.2} fps, {} pictures, {:.1} s of video, {:.1} MB ({}); \
         {:.1} CPU seconds in {:.1} s ({:.1}x), peak {:.0} MB",
        shown(&report.output),
        report.width,
        report.height,
        report.fps,
        report.pictures,
        report.video_s,
        report.bytes as f64 / 1e6,
        report.encoder,
        report.process.cpu_s,
        report.wall_s,
        report.speed,
        report.process.peak_bytes as f64 / 1e6,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_people_write_them() {
        assert_eq!(bit_rate("4M"), Ok(4000));
        assert_eq!(bit_rate("800k"), Ok(800));
        assert_eq!(bit_rate("2500000"), Ok(2500));
        assert!(bit_rate("fast").is_err() && bit_rate("0").is_err() && bit_rate("").is_err());
        assert_eq!((clock(59.2), clock(3723.0)), ("1:00".into(), "1:02:03".into()));
    }
}
