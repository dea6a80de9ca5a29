//! `vitrail wall`: a live wall from a file, or from URIs on the command line.

mod controlled;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use vitrail_engine::base::files::write_whole;
use vitrail_engine::base::names::lossless;
use vitrail_engine::base::{SystemClock, limits};
use vitrail_engine::composite::Backend;
use vitrail_engine::config::{WallSpec, Watcher};
use vitrail_engine::effort::CostModel;
use vitrail_engine::media::Ratio;
use vitrail_engine::source::grant::Authority;
use vitrail_engine::wall::{Wall, WallReport};
use vitrail_engine::{Error, ErrorKind, Result};

use crate::inventory;
use crate::parse;
use crate::print::json_text;
use crate::terminal::{self, Terminal};

/// Show cameras on a wall of one or more screens.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vitrail wall pipelines/wall-4x4.toml
  vitrail wall pipelines/wall-4x4.toml --for 60s --report wall.json --snapshot wall.png
  vitrail wall --grid 2x2 --out rtsp://127.0.0.1:8600/wall rtsp://10.0.0.11/main rtsp://10.0.0.12/main
  vitrail wall --size 3840x2160 --fps 12.5 --out wall.mkv --out 'srt://:9000?mode=listener' rtsp://…

With a table [control] in the wall file its operators work in a browser: see docs/guide/controller.md.
Watch an RTSP output with:  ffplay -fflags nobuffer rtsp://127.0.0.1:8600/wall
Keep passwords out of the command line: put them into a secrets file, see docs/ref/sources.md.")]
pub struct Args {
    /// A wall file (.toml), or the cameras' URIs and files
    #[arg(required = true, value_name = "WALL.toml | URI…")]
    inputs: Vec<OsString>,
    /// Columns x rows for cameras given as URIs [default: the smallest square that holds them]
    #[arg(long, value_parser = parse::pair, value_name = "CxR")]
    grid: Option<(u32, u32)>,
    /// Pixels of the screen, for cameras given as URIs [default: 1920x1080]
    #[arg(long, value_parser = parse::pair, value_name = "WxH")]
    size: Option<(u32, u32)>,
    /// Pictures per second, for cameras given as URIs [default: 25]
    #[arg(long, value_parser = frame_rate)]
    fps: Option<Ratio>,
    /// Where the wall goes: rtsp://, rtp://, udp://, srt://, rtmp://, a .mp4 or .mkv file, a .m3u8 playlist, display:
    /// (may be repeated) [default: rtsp://127.0.0.1:8600/wall]
    #[arg(long, value_name = "URI|FILE")]
    out: Vec<OsString>,
    /// What composes: auto, gpu or cpu [default: as the wall file says, else auto]
    #[arg(long, value_parser = backend)]
    backend: Option<Backend>,
    /// End after this time, such as 30s or 5m [default: run until Ctrl-C]
    #[arg(long = "for", value_parser = parse::duration, value_name = "TIME")]
    limit: Option<Duration>,
    /// Write a report (JSON) at the end
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
    /// Write a picture of the first screen, every two seconds and at the end
    #[arg(long, value_name = "FILE.png")]
    snapshot: Option<PathBuf>,
    /// Passwords by camera or host, readable by its owner only
    #[arg(long, value_name = "FILE.toml")]
    secrets: Option<PathBuf>,
}

fn frame_rate(text: &str) -> std::result::Result<Ratio, String> {
    WallSpec::parse_frame_rate(text).ok_or_else(|| "write it like 25, 12.5 or 30000/1001".into())
}

fn backend(text: &str) -> std::result::Result<Backend, String> {
    match text {
        "auto" => Ok(Backend::Auto),
        "gpu" => Ok(Backend::Gpu),
        "cpu" => Ok(Backend::Cpu),
        _ => Err("choose auto, gpu or cpu".into()),
    }
}

/// Files that a wall opens beside its cameras' connections, about.
const OWN_FILES: u64 = 128;

/// Runs the wall until its time is over or a signal comes.
pub fn run(args: Args, terminal: &Terminal) -> Result<()> {
    let spec = specify(&args)?;
    let snapshot = args.snapshot.clone().or(spec.snapshot.clone());
    let shutdown = terminal::shutdown_on_signal()?;
    let files = limits::raise_open_files();
    if files < spec.cameras.len() as u64 + OWN_FILES {
        tracing::warn!(
            "{} cameras need a file each and {files} may be open; raise the hard limit (ulimit -Hn)",
            spec.cameras.len()
        );
    }
    if spec.control.is_some() {
        return controlled::run(
            spec,
            args.limit,
            args.report.as_deref(),
            snapshot.as_deref(),
            terminal,
            &shutdown,
        );
    }
    let hung_up = terminal::flag_on_hangup()?;
    let authority = Authority::owner();
    let mut sources = Watcher::new(spec.sources());
    let mut wall = Wall::start(spec, &authority, SystemClock::shared())?;
    for line in wall.where_to_look() {
        tracing::info!("{line}");
    }
    let status = terminal.status_line();
    let end = args.limit.map(|limit| Instant::now() + limit);
    let mut second = 0u64;
    loop {
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() || terminal::wait(&shutdown, left.min(Duration::from_secs(1))) {
            break;
        }
        second += 1;
        if sources.changed() || hung_up.swap(false, Ordering::Relaxed) {
            reload(&mut wall, &args, &authority, &mut sources);
        }
        status.set_message(status_text(&wall.report()));
        status.tick();
        if second.is_multiple_of(60) {
            wall.follow_local_time();
        }
        if second.is_multiple_of(2) {
            save_snapshot(&wall, snapshot.as_deref());
        }
    }
    status.finish_and_clear();
    save_snapshot(&wall, snapshot.as_deref());
    let report = wall.stop();
    print_report(&report, args.report.as_deref())
}

/// What came of a wall: on the terminal, and as a file where one is named.
fn print_report(report: &WallReport, path: Option<&std::path::Path>) -> Result<()> {
    println!("{}", summary(report));
    let Some(path) = path else { return Ok(()) };
    write_whole(path, json_text("report", report)?.as_bytes())
}

/// Follows a wall file, inventory or secrets file that changed. What is wrong with it is said, and
/// the wall goes on as it is.
fn reload(wall: &mut Wall, args: &Args, authority: &Authority, sources: &mut Watcher) {
    let outcome = specify(args).and_then(|spec| {
        sources.follow(spec.sources());
        wall.reload(spec, authority)
    });
    match outcome {
        Ok(done) => {
            tracing::info!(
                "reloaded: {} cameras added, {} removed, {} changed",
                done.added.len(),
                done.removed.len(),
                done.changed.len()
            );
            if !done.ignored.is_empty() {
                tracing::warn!("changed, but waits for the next start: {}", done.ignored.join(", "));
            }
        }
        Err(error) => tracing::error!("not reloaded, the wall goes on as it was: {error}"),
    }
}

fn specify(args: &Args) -> Result<WallSpec> {
    let is_wall = |input: &OsString| input.as_encoded_bytes().ends_with(b".toml");
    let from_file = args.grid.is_none() && matches!(args.inputs.as_slice(), [one] if is_wall(one));
    if !from_file && let Some(file) = args.inputs.iter().find(|input| is_wall(input)) {
        let remedy = "a wall file stands alone, without --grid and without other cameras";
        return Err(Error::new(ErrorKind::Config, file.to_string_lossy().into_owned(), remedy));
    }
    let outs: Vec<String> = args.out.iter().map(lossless).collect();
    if from_file && (args.size.is_some() || args.fps.is_some()) {
        let remedy = "go with cameras given as URIs; in a wall file write size under [[screen]] and frame_rate under [wall]";
        return Err(Error::new(ErrorKind::Config, "--size and --fps", remedy));
    }
    let mut spec = if from_file {
        let spec = WallSpec::load(&args.inputs[0])?;
        if !spec.warnings.is_empty() {
            tracing::warn!("the wall starts all the same:\n{}", inventory::some(&spec.warnings, 20));
        }
        spec
    } else {
        let side = (args.inputs.len() as f64).sqrt().ceil() as u32;
        let (columns, rows) = args.grid.unwrap_or((side, side));
        let default = ["rtsp://127.0.0.1:8600/wall".to_owned()];
        let outs = if outs.is_empty() { &default[..] } else { &outs[..] };
        let (width, height) = args.size.unwrap_or((1920, 1080));
        let frame_rate = args.fps.unwrap_or(Ratio { num: 25, den: 1 });
        let inputs: Vec<String> = args.inputs.iter().map(|input| as_address(input)).collect();
        WallSpec::grid(columns, rows, width, height, frame_rate, &inputs, outs)?
    };
    if from_file && !outs.is_empty() {
        spec.replace_outputs(&outs)?;
    }
    if let Some(backend) = args.backend {
        spec.backend = backend;
    }
    if let Some(secrets) = &args.secrets {
        spec.secrets = Some(secrets.clone());
    }
    spec.cost_model = Some(CostModel::default_path());
    Ok(spec)
}

/// The bare name of a file that is there, as the path that a wall takes; all else as it is.
fn as_address(input: &OsStr) -> String {
    let Some(input) = input.to_str() else { return lossless(input) };
    let bare = !input.contains("://") && !input.starts_with(['/', '.']);
    if bare && std::path::Path::new(input).is_file() { format!("./{input}") } else { input.to_owned() }
}

/// A snapshot that cannot be written is no reason to end a wall.
pub(super) fn save_snapshot(wall: &Wall, path: Option<&std::path::Path>) {
    // Compressing a picture costs more than drawing a second of the wall.
    let Some(path) = path else { return };
    let Some(png) = wall.snapshot() else { return };
    if let Err(error) = png.and_then(|png| write_whole(path, &png)) {
        tracing::warn!("snapshot: {error}");
    }
}

fn status_text(report: &WallReport) -> String {
    let trouble = report.screens.iter().find_map(|s| s.encoder_error.as_deref());
    let live = report.cameras.iter().filter(|c| c.state == "live").count();
    let standby = report.cameras.iter().filter(|c| c.state == "standby").count();
    let degraded = report.cameras.iter().filter(|c| c.degraded).count();
    let dropped: u64 = report.cameras.iter().map(|c| c.dropped.late + c.dropped.corrupt).sum();
    let viewers: u32 = report.screens.iter().flat_map(|s| &s.outputs).filter_map(|o| o.viewers).sum();
    let fps = report.screens.first().map(|s| s.fps).unwrap_or_default();
    let some = |n: usize, what: &str| if n > 0 { format!("  {n} {what}") } else { String::new() };
    let slower = report.screens.iter().filter(|s| s.rate < s.asked_fps).count();
    let (on_standby, less) = (some(standby, "on standby"), some(degraded, "degraded"));
    let slower = some(
        slower,
        if slower == 1 { "screen at less than its rate" } else { "screens at less than their rate" },
    );
    format!(
        "{:>5.0} s  {live}/{} live{on_standby}{less}{slower}  {fps:.1} fps  latency p95 {:.0} ms  dropped {dropped}  viewers {viewers}  {:.0} MB{}",
        report.elapsed_s,
        report.cameras.len() - standby,
        report.latency.from_arrival.p95_ms,
        report.process.resident_bytes as f64 / 1e6,
        trouble.map(|t| format!("  ENCODER: {t}")).unwrap_or_default(),
    )
}

fn summary(report: &WallReport) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let width = report.cameras.iter().map(|c| c.id.chars().count()).max().unwrap_or(6).max(6);
    let _ = writeln!(
        text,
        "{:width$}  {:12} {:9} {:>11} {:>8} {:>8} {:>8} {:>7} {:>5}",
        "camera", "state", "codec", "size", "received", "decoded", "shown", "dropped", "again"
    );
    let standby = report.cameras.iter().filter(|c| c.state == "standby").count();
    for camera in report.cameras.iter().filter(|c| c.state != "standby") {
        let d = &camera.dropped;
        let _ = writeln!(
            text,
            "{:width$}  {:12} {:9} {:>11} {:>8} {:>8} {:>8} {:>7} {:>5}  {}",
            camera.id,
            camera.state,
            camera.codec.as_deref().unwrap_or("-"),
            format!("{}x{}", camera.width, camera.height),
            camera.received,
            camera.decoded,
            camera.shown,
            d.late + d.corrupt + d.lost,
            camera.reconnects,
            camera.reason.as_deref().unwrap_or(""),
        );
    }
    if standby > 0 {
        let _ = writeln!(text, "and {standby} cameras on standby");
    }
    for screen in &report.screens {
        let _ = writeln!(
            text,
            "screen {}  {}x{} at {:.2} fps{}, {} pictures, {} missed, {} dropped; cadence p99 {:.1} ms, \
             compose p95 {:.1} ms, encode p95 {:.1} ms ({}, {})",
            screen.id,
            screen.width,
            screen.height,
            screen.fps,
            // Only what was left out is worth a word: a faster preset is hardly seen.
            if screen.left_out > 0 {
                format!(" ({} left out: overload)", screen.left_out)
            } else {
                String::new()
            },
            screen.frames,
            screen.missed,
            screen.dropped,
            screen.cadence_error.p99_ms,
            screen.compose.p95_ms,
            screen.encode.p95_ms,
            screen.compositor,
            screen.encoder,
        );
    }
    let l = &report.latency;
    let best = if l.from_capture.count > 0 { &l.from_capture } else { &l.from_arrival };
    let _ = write!(
        text,
        "latency {} to encoded wall: p50 {:.0} ms, p95 {:.0} ms, p99 {:.0} ms; {:.1} CPU seconds in {:.1} s, \
         peak {:.0} MB, {} threads",
        if l.from_capture.count > 0 { "camera" } else { "arrival" },
        best.p50_ms,
        best.p95_ms,
        best.p99_ms,
        report.process.cpu_s,
        report.elapsed_s,
        report.process.peak_bytes as f64 / 1e6,
        report.process.threads,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::as_address;

    #[test]
    fn a_bare_name_is_a_file_only_where_there_is_one() {
        // Tests run in the folder of their package.
        let as_address = |text: &str| as_address(text.as_ref());
        assert_eq!(as_address("Cargo.toml"), "./Cargo.toml");
        assert_eq!(as_address("cli/wall.rs"), "./cli/wall.rs");
        for kept in ["./Cargo.toml", "/etc/hostname", "nowhere.mp4", "cli", "rtsp://10.0.0.1/main"] {
            assert_eq!(as_address(kept), kept);
        }
    }
}
