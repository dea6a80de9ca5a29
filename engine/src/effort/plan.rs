//! What walls of many cameras need, by the cost model: cores, memory, network, and what fits.

use serde::{Deserialize, Serialize};

use super::cost::{CostModel, StreamLoad};
use super::screens::{ScreenStep, ScreenWish, screen_ladder};
use crate::base::{Error, ErrorKind, Result};
use crate::decode::Effort;
use crate::media::Codec;

/// Cameras that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraGroup {
    /// How many are connected.
    pub count: u32,
    /// The stream that the wall takes of each.
    pub load: StreamLoad,
}

/// Screens that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScreenGroup {
    /// How many.
    pub count: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures per second.
    pub fps: f64,
    /// Tiles across.
    pub columns: u32,
    /// Tiles down.
    pub rows: u32,
}

impl ScreenGroup {
    fn tile(&self) -> (u32, u32) {
        (((self.width / self.columns) & !1).max(2), ((self.height / self.rows) & !1).max(2))
    }

    fn cells(&self) -> u64 {
        u64::from(self.count) * u64::from(self.columns) * u64::from(self.rows)
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// The cameras; all connected.
    pub cameras: Vec<CameraGroup>,
    /// How many of them tiles show; the others are on standby.
    pub shown: u32,
    /// How much of a shown camera is decoded.
    pub effort: Effort,
    /// Decoders leave the loop filter out.
    pub skip_loop_filter: bool,
    /// With key frames only: seconds in which at most one is decoded; 0 for every one.
    pub refresh_s: f64,
    /// The screens.
    pub screens: Vec<ScreenGroup>,
    /// Codec of the screens.
    pub codec: Codec,
    /// Preset of the encoders.
    pub preset: String,
    /// Faster ones that a running wall goes over to where it must, the slowest first.
    #[serde(default)]
    pub faster: Vec<String>,
    /// Bits per second of an encoded screen; with its viewers, it leaves by the network.
    pub screen_bits: f64,
    /// Viewers of each screen.
    pub viewers: u32,
}

/// What one room needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Part {
    /// The room.
    pub room: &'static str,
    /// CPU-seconds per second: cores.
    pub cores: f64,
    /// How far off that may be, in cores.
    pub error: f64,
}

/// What all would take with less effort for the screens, as a running wall makes it where it must.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lower {
    /// How far below what was asked for: `faster-preset`, `half-rate`, `quarter-rate`.
    pub step: &'static str,
    /// Cores in use, in sum.
    pub cores: f64,
    /// As for the plan.
    pub fits: Option<bool>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Cameras that are shown and on standby.
    pub shown: u32,
    /// Cameras that are connected and not shown.
    pub standby: u32,
    /// Where the CPU goes.
    pub parts: Vec<Part>,
    /// Cores in use, in sum.
    pub cores: f64,
    /// How far off that may be: every part off to the same side.
    pub cores_error: f64,
    /// Cores of the machine of the model.
    pub machine_cores: usize,
    /// Cores that may be used so that latency stays: [`USABLE`] of them.
    pub usable_cores: f64,
    /// True where the sum and its error fit; `None` where only the sum without its error does.
    pub fits: Option<bool>,
    /// What it would take if the screens went down, step by step, before any camera loses pictures.
    pub lower: Vec<Lower>,
    /// Usable cores that are left; below zero where some are missing.
    pub headroom_cores: f64,
    /// The most cameras that these screens can show with the asked effort on the usable cores (the
    /// error counted against them), whatever cells there are.
    pub most_shown: u32,
    /// The same with key frames only, at the asked refresh.
    pub most_shown_key_frames: u32,
    /// CPU-seconds per second of one camera on standby.
    pub standby_cores: f64,
    /// Bytes of memory, within [`MEMORY_ERROR`].
    pub memory_bytes: f64,
    /// Of these, bytes of one camera on standby.
    pub standby_bytes: f64,
    /// Bits per second that come in.
    pub network_in: f64,
    /// Bits per second that go out to viewers.
    pub network_out: f64,
}

/// Share of the cores that a wall may use: beyond it, work of many cameras that comes at the same
/// instant waits too long.
pub const USABLE: f64 = 0.85;
/// How far off the memory may be, as a fraction.
pub const MEMORY_ERROR: f64 = 0.35;

/// Bytes of the program itself, without screens and cameras.
const BASE_BYTES: f64 = 64e6;
/// Bytes per pixel of a screen: canvases, and the encoder's own pictures.
const SCREEN_PIXEL_BYTES: f64 = 20.0;
/// Bytes of an RTSP connection: about 71 kB were measured over 400 streams.
const CONNECTION_BYTES: f64 = 71e3;
/// Bytes of a decoder's context, fixed and per pixel: 11 MiB were measured for H.264 at 1080p, 19 MiB
/// for H.265, 6 to 9 MiB at 720p.
const CONTEXT_BYTES: [(Codec, f64, f64); 2] = [(Codec::H264, 3e6, 4.2), (Codec::H265, 4e6, 7.7)];
/// Bytes per pixel of a picture.
const PICTURE_PIXEL_BYTES: f64 = 1.5;

/// CPU of one shown camera, room by room: ingest, decode, fit, composite; and their errors.
fn shown_camera(model: &CostModel, wish: &Wish, load: &StreamLoad, tile: (u32, u32), fps: f64) -> [Part; 4] {
    let decode = model.decode(load, wish.effort, wish.skip_loop_filter, wish.refresh_s);
    let pictures = match wish.effort {
        Effort::Standby => 0.0,
        Effort::KeyFrames => load.keys_taken_per_second(wish.refresh_s),
        Effort::Full => load.fps,
    };
    let fit = pictures * model.fit((load.width, load.height), tile);
    // A screen that is slower than the camera draws each tile once a picture of its own.
    let composite = pictures.min(fps) * model.composite(f64::from(tile.0) * f64::from(tile.1));
    let b = &model.bounds;
    let decode_bound = if wish.effort == Effort::KeyFrames { b.key_frames } else { b.decode };
    let part = |room, cores: f64, bound: f64| Part { room, cores, error: cores * bound };
    [
        part("ingest", model.ingest(load), b.ingest),
        part("decode", decode, decode_bound),
        part("fit", fit, b.fit),
        part("composite", composite, b.composite),
    ]
}

/// Predicts what `wish` needs on the machine of `model`.
///
/// # Errors
/// `Config` where more is shown than there are cameras or cells, or a screen cannot be.
pub fn plan(model: &CostModel, wish: &Wish) -> Result<Plan> {
    check(wish)?;
    let total: u32 = wish.cameras.iter().map(|g| g.count).sum();
    let standby = total - wish.shown;
    let share = f64::from(wish.shown) / f64::from(total.max(1));
    let parts = parts(model, wish, share);
    let key_frames = Wish { effort: Effort::KeyFrames, ..wish.clone() };
    let (one, one_key) = (showing_one(model, wish), showing_one(model, &key_frames));
    let cores: f64 = parts.iter().map(|p| p.cores).sum();
    let cores_error: f64 = parts.iter().map(|p| p.error).sum();
    let usable_cores = USABLE * model.machine.cores as f64;
    let fits = |cores: f64| match cores {
        c if c + cores_error <= usable_cores => Some(true),
        c if c - cores_error > usable_cores => Some(false),
        _ => None,
    };
    let lower =
        |(step, saved): (&'static str, f64)| Lower { step, cores: cores - saved, fits: fits(cores - saved) };
    let mean = |of: &dyn Fn(&StreamLoad) -> f64| {
        wish.cameras.iter().map(|g| f64::from(g.count) * of(&g.load)).sum::<f64>() / f64::from(total.max(1))
    };
    let standby_bytes = mean(&standby_memory);
    let receiving = mean(&|load| model.ingest(load)) * (1.0 + model.bounds.ingest);
    // What screens and connections take whoever is shown; cameras beyond those named must be
    // received as well.
    let free = usable_cores - (cores + cores_error - one * f64::from(wish.shown));
    let most = |each: f64| {
        let connected = f64::from(total);
        let shown = if free <= each * connected {
            free / each
        } else {
            connected + (free - each * connected) / (each + receiving)
        };
        if shown.is_finite() { shown.clamp(0.0, f64::from(u32::MAX)) as u32 } else { u32::MAX }
    };
    Ok(Plan {
        shown: wish.shown,
        standby,
        cores,
        cores_error,
        machine_cores: model.machine.cores,
        usable_cores,
        fits: fits(cores),
        lower: savings(model, wish).into_iter().map(lower).collect(),
        headroom_cores: usable_cores - cores,
        most_shown: most(one),
        most_shown_key_frames: most(one_key),
        standby_cores: mean(&|load| model.ingest(load)),
        memory_bytes: memory(model, wish, share),
        standby_bytes,
        network_in: wish.cameras.iter().map(|g| f64::from(g.count) * g.load.bits_per_second).sum(),
        network_out: f64::from(wish.viewers)
            * wish.screens.iter().map(|s| f64::from(s.count) * wish.screen_bits).sum::<f64>(),
        parts,
    })
}

/// What each room takes, where this share of all cameras is shown. Cameras are dealt to tiles in proportion, so each
/// kind has the same share on every screen.
fn parts(model: &CostModel, wish: &Wish, share: f64) -> Vec<Part> {
    let mut parts: Vec<Part> = ["ingest", "decode", "fit", "composite", "encode"]
        .map(|room| Part { room, cores: 0.0, error: 0.0 })
        .into();
    let mut add = |part: Part, times: f64| {
        if let Some(sum) = parts.iter_mut().find(|p| p.room == part.room) {
            sum.cores += part.cores * times;
            sum.error += part.error * times;
        }
    };
    for group in &wish.cameras {
        let n = f64::from(group.count);
        for screen in &wish.screens {
            for part in shown_camera(model, wish, &group.load, screen.tile(), screen.fps) {
                add(part, n * share * of_cells(wish, screen));
            }
        }
        let ingest = model.ingest(&group.load);
        let error = ingest * model.bounds.ingest;
        add(Part { room: "ingest", cores: ingest, error }, n * (1.0 - share));
    }
    for screen in &wish.screens {
        let cores = model.encode(wish.codec, &wish.preset, screen.width, screen.height, screen.fps);
        let part = Part { room: "encode", cores, error: cores * model.bounds.encode };
        add(part, f64::from(screen.count));
        let cores = screen.fps * model.hand_out(screen.width, screen.height);
        let part = Part { room: "composite", cores, error: cores * model.bounds.composite };
        add(part, f64::from(screen.count));
    }
    parts
}

/// What showing one camera of the mean kind adds, in CPU seconds a second, the error counted against it.
fn showing_one(model: &CostModel, wish: &Wish) -> f64 {
    let total: u32 = wish.cameras.iter().map(|g| g.count).sum();
    let mut one = 0.0;
    for group in &wish.cameras {
        for screen in &wish.screens {
            let parts = shown_camera(model, wish, &group.load, screen.tile(), screen.fps);
            let showing = parts.iter().filter(|p| p.room != "ingest").map(|p| p.cores + p.error);
            one += showing.sum::<f64>() * f64::from(group.count) / f64::from(total) * of_cells(wish, screen);
        }
    }
    one
}

/// The part of all cells that these screens have.
fn of_cells(wish: &Wish, screen: &ScreenGroup) -> f64 {
    let cells: u64 = wish.screens.iter().map(ScreenGroup::cells).sum();
    screen.cells() as f64 / cells.max(1) as f64
}

/// What each step down of all screens together saves, by their own ladder.
fn savings(model: &CostModel, wish: &Wish) -> Vec<(&'static str, f64)> {
    let steps = [ScreenStep::FasterPreset(u32::MAX), ScreenStep::HalfRate, ScreenStep::QuarterRate];
    let saved = |step: ScreenStep| -> f64 {
        let of = |group: &ScreenGroup| {
            let ladder = screen_ladder(&screen_wish(wish, group), model);
            let lowest = ladder.iter().rev().find(|rung| rung.step <= step);
            let saved = ladder.first().zip(lowest).map_or(0.0, |(first, lowest)| first.cost - lowest.cost);
            f64::from(group.count) * saved
        };
        wish.screens.iter().map(of).sum()
    };
    let mut savings: Vec<(&'static str, f64)> = steps.map(|step| (step.word(), saved(step))).into();
    let mut before = 0.0;
    savings.retain(|(_, saved)| *saved > std::mem::replace(&mut before, *saved));
    savings
}

fn screen_wish(wish: &Wish, group: &ScreenGroup) -> ScreenWish {
    ScreenWish {
        screen: "".into(),
        width: group.width,
        height: group.height,
        fps: group.fps,
        codec: wish.codec,
        preset: wish.preset.clone(),
        faster: wish.faster.clone(),
        in_software: true,
        pinned: false,
        priority: 0,
    }
}

fn check(wish: &Wish) -> Result<()> {
    let wrong = |what: String| Err(Error::new(ErrorKind::Config, "plan", what));
    let total: u64 = wish.cameras.iter().map(|g| u64::from(g.count)).sum();
    let cells: u64 = wish.screens.iter().map(ScreenGroup::cells).sum();
    if total == 0 || total > u64::from(u32::MAX) {
        return wrong("needs cameras; name them with --camera".into());
    }
    if u64::from(wish.shown) > total {
        return wrong(format!("shows {} of {total} cameras; show fewer, or name more", wish.shown));
    }
    if u64::from(wish.shown) > cells {
        return wrong(format!(
            "shows {} cameras in {cells} cells; take a finer grid or more screens",
            wish.shown
        ));
    }
    let odd = wish.screens.iter().any(|s| s.columns == 0 || s.rows == 0 || s.width < 2 || s.height < 2);
    if odd || wish.screens.iter().any(|s| s.columns > s.width / 2 || s.rows > s.height / 2) {
        return wrong("a screen has more tiles than pixels for them".into());
    }
    Ok(())
}

/// Its connection, and its newest key frame in the compressed form.
fn standby_memory(load: &StreamLoad) -> f64 {
    CONNECTION_BYTES + load.bits_per_second / 8.0 * 0.25 * load.key_interval_s.clamp(0.1, 10.0)
}

fn context(load: &StreamLoad) -> f64 {
    let found = CONTEXT_BYTES.iter().find(|(codec, ..)| *codec == load.codec).unwrap_or(&CONTEXT_BYTES[0]);
    found.1 + found.2 * f64::from(load.width) * f64::from(load.height)
}

fn memory(model: &CostModel, wish: &Wish, share: f64) -> f64 {
    let screens: f64 =
        wish.screens.iter().map(|s| f64::from(s.count) * f64::from(s.width) * f64::from(s.height)).sum();
    // Two generations of each fitted picture, and the newest decoded one.
    let fitted = 2.0 * PICTURE_PIXEL_BYTES * screens;
    let mut cameras = 0.0;
    for group in &wish.cameras {
        let n = f64::from(group.count);
        let picture = PICTURE_PIXEL_BYTES * f64::from(group.load.width) * f64::from(group.load.height);
        cameras += n * standby_memory(&group.load) + n * share * picture;
        cameras += match wish.effort {
            Effort::Full => n * share * context(&group.load),
            // One context a worker and codec; each kind of camera counted as if it had its own.
            Effort::KeyFrames => (model.machine.cores as f64).min(n * share) * context(&group.load),
            Effort::Standby => 0.0,
        };
    }
    BASE_BYTES + SCREEN_PIXEL_BYTES * screens + fitted + cameras
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn load(codec: Codec, kbps: f64) -> StreamLoad {
        let bits_per_second = kbps * 1e3;
        StreamLoad { codec, width: 640, height: 360, fps: 12.5, bits_per_second, key_interval_s: 2.0 }
    }

    /// The wall of docs/design/live-wall.md: 16 cameras, half H.265, 4x4, 1080p25, ultrafast.
    fn live_wall() -> Wish {
        let group = |codec| CameraGroup { count: 8, load: load(codec, 400.0) };
        Wish {
            cameras: vec![group(Codec::H264), group(Codec::H265)],
            shown: 16,
            effort: Effort::Full,
            skip_loop_filter: false,
            refresh_s: 0.0,
            screens: vec![ScreenGroup {
                count: 1,
                width: 1920,
                height: 1080,
                fps: 25.0,
                columns: 4,
                rows: 4,
            }],
            codec: Codec::H264,
            preset: "ultrafast".into(),
            faster: Vec::new(),
            screen_bits: 6e6,
            viewers: 1,
        }
    }

    #[test]
    fn the_measured_live_wall_is_within_the_bounds() {
        let plan = plan(&CostModel::reference(), &live_wall()).unwrap();
        // 35.2 CPU-seconds from start to end for 60 s of watching, at most 2 s of them start and end.
        let measured = 35.2 / 61.0;
        assert!((plan.cores - measured).abs() <= plan.cores_error, "{} ± {}", plan.cores, plan.cores_error);
        // 205 MB at the peak.
        assert!((plan.memory_bytes / 205e6 - 1.0).abs() <= MEMORY_ERROR, "{}", plan.memory_bytes);
        assert_eq!((plan.fits, plan.shown, plan.standby), (Some(true), 16, 0));
        assert_eq!(plan.network_in, 6.4e6);
    }

    #[test]
    fn what_screens_could_do_with_is_said_too() {
        let model = CostModel::reference();
        let eight = ScreenGroup { count: 8, ..live_wall().screens[0].clone() };
        let cameras = vec![CameraGroup { count: 128, load: load(Codec::H264, 400.0) }];
        let wish = Wish { cameras, shown: 128, screens: vec![eight], ..live_wall() };
        let told = plan(&model, &wish).unwrap();
        let steps: Vec<&str> = told.lower.iter().map(|l| l.step).collect();
        assert_eq!((told.fits, steps), (Some(false), vec!["half-rate", "quarter-rate"]));
        assert!(told.lower[0].cores < told.cores - 1.0 && told.lower[1].cores < told.lower[0].cores);
        let veryfast = Wish { preset: "veryfast".into(), faster: vec!["ultrafast".into()], ..live_wall() };
        assert_eq!(plan(&model, &veryfast).unwrap().lower[0].step, "faster-preset");
    }

    #[test]
    fn what_is_said_to_fit_fits_and_one_more_does_not() {
        let model = CostModel::reference();
        let screen = |side| ScreenGroup { columns: side, rows: side, ..live_wall().screens[0].clone() };
        let many = Wish {
            cameras: vec![CameraGroup { count: 1500, load: load(Codec::H264, 400.0) }],
            screens: vec![ScreenGroup { width: 3840, height: 2160, fps: 10.0, ..screen(40) }],
            ..live_wall()
        };
        for effort in [Effort::Full, Effort::KeyFrames] {
            let with = |shown| plan(&model, &Wish { shown, effort, ..many.clone() }).unwrap();
            let most = with(16).most_shown;
            let (that, more) = (with(most), with(most + 1));
            assert!(most > 16 && that.cores + that.cores_error <= that.usable_cores, "{effort:?}: {most}");
            assert!(more.cores + more.cores_error > more.usable_cores, "{effort:?}: {most}");
            assert_eq!(more.most_shown, most, "it does not depend on how many are shown now");
        }
    }

    #[test]
    fn standby_costs_the_network_and_little_else() {
        let model = CostModel::reference();
        let with = |count| {
            let cameras = vec![CameraGroup { count, load: load(Codec::H264, 400.0) }];
            plan(&model, &Wish { cameras, ..live_wall() }).unwrap()
        };
        let (few, many) = (with(16), with(8000));
        let cores = |plan: &Plan, room| plan.parts.iter().find(|p| p.room == room).unwrap().cores;
        assert!((cores(&few, "decode") / cores(&many, "decode") - 1.0).abs() < 1e-9);
        assert!((cores(&many, "ingest") / cores(&few, "ingest") - 500.0).abs() < 1e-6);
        assert!((many.memory_bytes - few.memory_bytes) / 7984.0 < 120e3);
        assert_eq!(many.standby, 7984);
    }

    #[test]
    fn impossible_wishes_are_refused() {
        let wrong = [
            Wish { shown: 17, ..live_wall() },
            Wish { cameras: vec![], shown: 0, ..live_wall() },
            Wish { screens: vec![], ..live_wall() },
            Wish {
                screens: vec![ScreenGroup { columns: 4000, ..live_wall().screens[0].clone() }],
                ..live_wall()
            },
        ];
        for wish in wrong {
            assert_eq!(plan(&CostModel::reference(), &wish).unwrap_err().kind(), ErrorKind::Config);
        }
    }
}
