//! `vitrail capacity plan`: what a wall needs, predicted.

use std::path::PathBuf;
use std::time::Duration;

use vitrail_engine::Result;
use vitrail_engine::decode::Effort;
use vitrail_engine::effort::CostModel;
use vitrail_engine::effort::plan::{CameraGroup, MEMORY_ERROR, Plan, ScreenGroup, Wish, plan};
use vitrail_engine::encode::element::faster;
use vitrail_engine::media::Codec;

use super::{bits, cameras, thousands};
use crate::parse;
use crate::print::print_json;

/// Predicts from the cost model of this machine (see `measure`), or of the reference machine.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  vitrail capacity plan --camera 8000x640x360@12.5/h264@400k --show 64 --screen 3840x2160@10 --grid 8x8
  vitrail capacity plan --camera 500x640x360@12.5/h264 --camera 500x640x360@12.5/h265 \\
      --screen 3840x2160@10 --grid 32x32 --effort keyframes --refresh 5s
  vitrail capacity plan --profile 1920x1080@25/h264@4M --screen 1920x1080@25 --grid 1x1

An error bound of ± says how far the prediction may be off, by the checks of the measurement.")]
pub struct Args {
    /// Cameras that are alike: [COUNTx]WxH@FPS[/CODEC][@RATE]; may be repeated
    #[arg(long, visible_alias = "profile", required = true, value_name = "CAMERAS", value_parser = cameras::group)]
    camera: Vec<CameraGroup>,
    /// How many of them are on the wall; the others are on standby [default: as many as there are cells]
    #[arg(long, value_name = "N")]
    show: Option<u32>,
    /// A screen: size and pictures per second; may be repeated
    #[arg(long, default_value = "1920x1080@25", value_name = "WxH@FPS", value_parser = cameras::screen)]
    screen: Vec<(u32, u32, f64)>,
    /// Columns x rows of each screen
    #[arg(long, default_value = "4x4", value_name = "CxR", value_parser = parse::pair)]
    grid: (u32, u32),
    /// How much of a shown camera is decoded: full or keyframes
    #[arg(long, default_value = "full", value_name = "EFFORT", value_parser = effort)]
    effort: Effort,
    /// With key frames: at most one in this time [default: every one]
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    refresh: Option<Duration>,
    /// Time from one key frame of a camera to the next
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = parse::duration)]
    key_interval: Duration,
    /// Leave the loop filter out
    #[arg(long)]
    skip_loop_filter: bool,
    /// Codec of the screens: h264 or h265
    #[arg(long, default_value = "h264", value_parser = screen_codec)]
    codec: Codec,
    /// Preset of the encoders, in x264's words
    #[arg(long, default_value = "veryfast")]
    preset: String,
    /// Bits per second of an encoded screen, for the network
    #[arg(long, default_value = "6M", value_name = "RATE", value_parser = cameras::rate_of)]
    bitrate: f64,
    /// Viewers of each screen
    #[arg(long, default_value_t = 1, value_name = "N")]
    viewers: u32,
    /// Cost model [default: the one that `measure` kept, else the reference machine's]
    #[arg(long, value_name = "FILE.json")]
    cost: Option<PathBuf>,
    /// Count with so many cores [default: those of the machine that was measured]
    #[arg(long, value_name = "N")]
    cores: Option<usize>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

fn effort(text: &str) -> std::result::Result<Effort, String> {
    match text {
        "full" => Ok(Effort::Full),
        "keyframes" => Ok(Effort::KeyFrames),
        _ => Err("choose full or keyframes; what is not shown is on standby".into()),
    }
}

fn screen_codec(text: &str) -> std::result::Result<Codec, String> {
    match text {
        "h264" => Ok(Codec::H264),
        "h265" => Ok(Codec::H265),
        _ => Err("choose h264 or h265".into()),
    }
}

/// The model to count with, and where it is from, for people.
pub fn model(cost: Option<&PathBuf>) -> Result<(CostModel, String)> {
    let named = |model: CostModel, path: &std::path::Path| {
        let text = format!("{}, measured {} ({})", model.machine.cpu, model.measured_at, path.display());
        (model, text)
    };
    if let Some(path) = cost {
        return Ok(named(CostModel::load(path)?, path));
    }
    let path = CostModel::default_path();
    if path.exists() {
        return Ok(named(CostModel::load(&path)?, &path));
    }
    let here = vitrail_engine::measure::machine();
    let mut model = CostModel::reference();
    model.machine.cores = here.cores;
    Ok((model, "the reference machine's; this machine is not measured yet: vitrail capacity measure".into()))
}

/// Predicts and prints.
pub fn run(args: &Args) -> Result<()> {
    let (mut model, whence) = model(args.cost.as_ref())?;
    if let Some(cores) = args.cores {
        model.machine.cores = cores.max(1);
    }
    let wish = wish(args);
    let plan = plan(&model, &wish)?;
    if args.json {
        let value = serde_json::json!({ "model": model, "wish": wish, "plan": plan });
        print_json("plan", &value)?;
    } else {
        print(&wish, &plan, &whence);
    }
    Ok(())
}

/// What the command line asks for. An inventory will come in here: its cameras, grouped by profile.
fn wish(args: &Args) -> Wish {
    let mut groups = args.camera.clone();
    groups.iter_mut().for_each(|g| g.load.key_interval_s = args.key_interval.as_secs_f64());
    let total: u32 = groups.iter().map(|g| g.count).fold(0, u32::saturating_add);
    let (columns, rows) = args.grid;
    let screens: Vec<_> = args
        .screen
        .iter()
        .map(|&(width, height, fps)| ScreenGroup { count: 1, width, height, fps, columns, rows })
        .collect();
    let cells = columns.saturating_mul(rows).saturating_mul(screens.len() as u32);
    Wish {
        cameras: groups,
        shown: args.show.unwrap_or(total.min(cells)),
        effort: args.effort,
        skip_loop_filter: args.skip_loop_filter,
        refresh_s: args.refresh.unwrap_or_default().as_secs_f64(),
        screens,
        codec: args.codec,
        preset: args.preset.clone(),
        faster: faster(args.codec, &args.preset).into_iter().map(str::to_owned).collect(),
        screen_bits: args.bitrate,
        viewers: args.viewers,
    }
}

fn print(wish: &Wish, plan: &Plan, whence: &str) {
    for group in &wish.cameras {
        println!("{} cameras of {}", thousands(group.count.into()), cameras::name(&group.load));
    }
    for s in &wish.screens {
        println!(
            "screen of {}x{}@{} in {}x{} tiles, {} {}",
            s.width, s.height, s.fps, s.columns, s.rows, wish.codec, wish.preset
        );
    }
    let how = match wish.effort {
        Effort::Full => "every picture decoded".to_owned(),
        Effort::KeyFrames if wish.refresh_s > 0.0 => format!("a key frame every {} s", wish.refresh_s),
        _ => "every key frame decoded".to_owned(),
    };
    println!("{} shown ({how}), {} on standby", thousands(plan.shown.into()), thousands(plan.standby.into()));
    println!("cost model: {whence}\n");
    println!("{:<12} {:>9} {:>9} {:>7}", "room", "cores", "±", "share");
    for part in &plan.parts {
        let share = 100.0 * part.cores / plan.cores.max(f64::MIN_POSITIVE);
        println!("{:<12} {:>9.3} {:>9.3} {share:>5.0} %", part.room, part.cores, part.error);
    }
    println!("{:<12} {:>9.3} {:>9.3}\n", "in all", plan.cores, plan.cores_error);
    let verdict = match plan.fits {
        Some(true) => "fits",
        Some(false) => "does not fit",
        None => "may fit: the error bound decides, try it with `vitrail capacity max`",
    };
    println!(
        "{verdict}: {} cores, of which {:.2} are usable without delays; headroom {:+.2} cores",
        plan.machine_cores, plan.usable_cores, plan.headroom_cores
    );
    if plan.fits != Some(true) {
        for lower in &plan.lower {
            let verdict = match lower.fits {
                Some(true) => "fits",
                Some(false) => "does not fit",
                None => "may fit",
            };
            println!("  with screens at {}: {:.3} cores, {verdict}", lower.step, lower.cores);
        }
    }
    println!("most cameras shown this way: {}", thousands(plan.most_shown.into()));
    println!("  with key frames only: {}", thousands(plan.most_shown_key_frames.into()));
    println!("memory: {:.0} MB ± {:.0} %", plan.memory_bytes / 1e6, 100.0 * MEMORY_ERROR);
    println!(
        "a camera on standby: {:.0} kB, {:.2} ms of CPU a second",
        plan.standby_bytes / 1e3,
        plan.standby_cores * 1e3
    );
    println!("network: {} in, {} out", bits(plan.network_in), bits(plan.network_out));
}
