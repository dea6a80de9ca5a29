//! `vitrail capacity max`: the most live cameras that this machine shows at a level of service, by trial.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;
use vitrail_engine::effort::plan::CameraGroup;
use vitrail_engine::media::Codec;
use vitrail_engine::{Error, ErrorKind, Result};

use super::simulated::Simulated;
use super::trial::{Service, Trial, WallShape, trial};
use super::{cameras, thousands};
use crate::parse;
use crate::print::print_json;
use crate::terminal::Terminal;

/// Doubles the number of simulated cameras until the wall breaks its service, then closes in.
/// Cameras, wall and a viewer run on this machine; the cameras take a part of it, which is stated.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vitrail capacity max --profile 640x360@12.5/h264 --codec mix --size 3840x2160 --fps 10 --tile-refresh 5s
  vitrail capacity max --profile 848x480@24/h264@1M --size 848x480 --fps 24 --grid 2x2 --preset ultrafast
  vitrail capacity max --profile 1920x1080@25/h264@4M --latency-p95 300ms --for 30s --json

A level of service is kept where the wall has 99.5 % of its pictures, latency and refresh stay below
their limits, no queue grows or drops, and every tile that can be read shows its own camera.
With --grid, cameras that find no cell get further screens of the same size. Ends by itself.")]
pub struct Args {
    /// The stream of every camera: WxH@FPS[/CODEC][@RATE]; width a multiple of 8
    #[arg(long, value_name = "PROFILE", value_parser = cameras::group)]
    profile: CameraGroup,
    /// Codecs of the cameras: h264, h265, or mix for half of each [default: the profile's]
    #[arg(long, value_name = "CODEC", value_parser = codecs)]
    codec: Option<&'static str>,
    /// Pixels of a screen
    #[arg(long, default_value = "3840x2160", value_name = "WxH", value_parser = parse::pair)]
    size: (u32, u32),
    /// Pictures per second of a screen
    #[arg(long, default_value_t = 10.0)]
    fps: f64,
    /// Columns x rows of each screen; cameras beyond its cells get more screens [default: one screen,
    /// the smallest grid that holds all]
    #[arg(long, value_name = "CxR", value_parser = parse::pair)]
    grid: Option<(u32, u32)>,
    /// Preset of the encoders
    #[arg(long, default_value = "ultrafast")]
    preset: String,
    /// At most this time between two pictures of a camera, in its tile
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = parse::duration)]
    tile_refresh: Duration,
    /// At most this latency from a camera to the encoded wall, 95th percentile
    #[arg(long, default_value = "200ms", value_name = "TIME", value_parser = parse::duration)]
    latency_p95: Duration,
    /// How long each trial runs, after its cameras are connected
    #[arg(long = "for", default_value = "20s", value_name = "TIME", value_parser = parse::duration)]
    run_for: Duration,
    /// Cameras of the first trial
    #[arg(long, default_value_t = 16, value_name = "N")]
    from: u32,
    /// Never more cameras than this
    #[arg(long, default_value_t = 2048, value_name = "N")]
    most: u32,
    /// Begin no new trial after this time
    #[arg(long, default_value = "20m", value_name = "TIME", value_parser = parse::duration)]
    limit: Duration,
    /// Text to add to the generated wall file, such as a table of options
    #[arg(long, value_name = "FILE.toml")]
    append: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

fn codecs(text: &str) -> std::result::Result<&'static str, String> {
    match text {
        "h264" => Ok("h264"),
        "h265" => Ok("h265"),
        "mix" => Ok("h264,h265"),
        _ => Err("choose h264, h265 or mix".into()),
    }
}

/// What a search found.
#[derive(Serialize)]
struct Found {
    /// The most cameras with which the service was kept; 0 where one was too many.
    cameras: u32,
    /// The fewest with which it broke, as far as was tried.
    broken_at: Option<u32>,
    /// What broke first there.
    broken_by: Vec<String>,
    /// Why the search ended.
    ended: &'static str,
    /// What had to hold.
    service: Service,
    /// Every trial, in order.
    trials: Vec<Trial>,
    /// The machine.
    machine: vitrail_engine::effort::cost::Machine,
}

/// Searches and prints.
pub fn run(args: &Args, terminal: &Terminal) -> Result<()> {
    let shutdown = crate::terminal::shutdown_on_signal()?;
    let load = args.profile.load;
    let codecs = match (args.codec, load.codec) {
        (Some(codecs), _) => codecs,
        (None, Codec::H264) => "h264",
        (None, Codec::H265) => "h265",
        (None, other) => {
            let what = format!("cannot be simulated in {other}; take h264 or h265");
            return Err(Error::new(ErrorKind::Unsupported, "--profile", what));
        }
    };
    let append = args
        .append
        .as_ref()
        .map(std::fs::read_to_string)
        .transpose()
        .map_err(|e| Error::new(ErrorKind::Io, "--append", "cannot be read").caused_by(e))?;
    let shape = WallShape {
        size: args.size,
        fps: args.fps,
        grid: args.grid,
        preset: args.preset.clone(),
        append: append.unwrap_or_default(),
    };
    let service = Service {
        cadence: 0.995,
        latency_p95_ms: args.latency_p95.as_secs_f64() * 1e3,
        refresh_ms: args.tile_refresh.as_secs_f64() * 1e3,
        late_drops: 0.001,
    };
    let mut simulated = Simulated::new(load, codecs);
    let status = terminal.status_line();
    let begun = Instant::now();
    let mut trials: Vec<Trial> = Vec::new();
    let mut search = Search::new(args.from, args.most);
    let ended = loop {
        let Some(count) = search.next() else { break search.why() };
        if begun.elapsed() > args.limit {
            break "the time was over";
        }
        if shutdown.is_cancelled() {
            break "it was interrupted";
        }
        status.set_message(format!("{} cameras …", thousands(count.into())));
        status.tick();
        let result = trial(&mut simulated, count, &shape, &service, args.run_for, &shutdown, &mut |what| {
            status.set_message(format!("{} cameras: {what}", thousands(count.into())));
            status.tick();
        });
        let trial = match result {
            // Cut short by the person: no verdict.
            _ if shutdown.is_cancelled() => break "it was interrupted",
            result => result?,
        };
        tracing::info!("{}", trial.line());
        search.learn(count, trial.kept);
        trials.push(trial);
    };
    status.finish_and_clear();
    let broken = trials.iter().filter(|t| !t.kept).min_by_key(|t| t.cameras);
    let found = Found {
        cameras: search.kept,
        broken_at: broken.map(|t| t.cameras),
        broken_by: broken.map(Trial::broken_by).unwrap_or_default(),
        ended,
        service,
        machine: vitrail_engine::measure::machine(),
        trials,
    };
    if args.json {
        print_json("result", &found)?;
    } else {
        print(&found, &cameras::name(&load), codecs);
    }
    Ok(())
}

/// Doubling, then bisection until 5 % or one camera is left between kept and broken.
struct Search {
    next: u32,
    most: u32,
    kept: u32,
    broken: Option<u32>,
}

impl Search {
    fn new(from: u32, most: u32) -> Search {
        let most = most.max(1);
        Search { next: from.clamp(1, most), most, kept: 0, broken: None }
    }

    /// The number to try; `None` at the end.
    fn next(&self) -> Option<u32> {
        match self.broken {
            None => (self.kept < self.most).then_some(self.next),
            Some(broken) => (broken - self.kept > 1.max(self.kept / 20)).then_some(self.next),
        }
    }

    fn learn(&mut self, count: u32, kept: bool) {
        if kept {
            self.kept = self.kept.max(count);
        } else {
            self.broken = Some(self.broken.map_or(count, |b| b.min(count)));
        }
        self.next = match self.broken {
            None => count.saturating_mul(2).min(self.most),
            Some(broken) => (self.kept + broken) / 2,
        };
    }

    fn why(&self) -> &'static str {
        match self.broken {
            None => "no more cameras were allowed",
            Some(_) => "the number is found, within 5 % or one camera",
        }
    }
}

fn print(found: &Found, profile: &str, codecs: &str) {
    println!("{}, {} cores; cameras of {profile} ({codecs})\n", found.machine.cpu, found.machine.cores);
    println!(
        "{:>8} {:>7} {:>8} {:>9} {:>9} {:>9} {:>7} {:>9} {:>7}  service",
        "cameras", "screens", "cadence", "lat. p95", "refresh", "late", "cores", "simulator", "MB"
    );
    for t in &found.trials {
        println!("{}", t.row());
    }
    println!("\nkept with {} cameras; {}", thousands(found.cameras.into()), found.ended);
    if let Some(broken) = found.broken_at {
        println!("broken with {}: {}", thousands(broken.into()), found.broken_by.join("; "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(limit: u32, from: u32, most: u32) -> (u32, usize) {
        let mut search = Search::new(from, most);
        let mut trials = 0;
        while let Some(count) = search.next() {
            search.learn(count, count <= limit);
            trials += 1;
            assert!(trials < 40, "it ends");
        }
        (search.kept, trials)
    }

    #[test]
    fn the_search_closes_in_and_ends() {
        for limit in [1, 3, 16, 100, 777, 1000] {
            let (kept, trials) = find(limit, 16, 2048);
            assert!(kept <= limit && limit - kept <= 1.max(kept / 20), "{limit}: {kept}");
            assert!(trials <= 16, "{limit}: {trials} trials");
        }
        assert_eq!(find(0, 16, 2048).0, 0, "none at all");
        assert_eq!(find(5000, 16, 2048).0, 2048, "more than was allowed");
        assert_eq!(find(5000, 16, 5), (5, 1));
    }
}
