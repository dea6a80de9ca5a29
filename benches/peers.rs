//! The same 16 clips into the same mosaic, by FFmpeg, by GStreamer and by `vitrail mosaic`, alternating in one run.
//!
//!     make bench-peers                             two rounds, the table, target/bench-peers.json
//!     cargo bench --bench peers -- --rounds 3 --write-docs
//!     cargo bench --bench peers -- --all           also GStreamer with a videoscale in each branch
//!     cargo bench --bench peers -- --rounds 1 --seconds 2    a quick look
//!     PEERS_VITRAIL=/path/to/another/vitrail cargo bench --bench peers
//!
//! 16 x 1080p25 H.264 of 10 s (benches/peers/clips.sh) into 4x4 of 1920x1080 at 25 pictures a second,
//! x264 ultrafast zerolatency at 6 Mb/s, one thread a decoder. CPU and memory are those of the child
//! as the kernel counts them (wait4). What is missing is skipped, and said so.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "peers/child.rs"]
mod child;
#[path = "peers/place.rs"]
mod place;

use std::path::{Path, PathBuf};
use std::process::Command;

use child::{Usage, run};
use place::{system, today};

const SIDE: usize = 4;
const TILE: (usize, usize) = (480, 270);
const KBPS: u32 = 6000;
const X264: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -b:v 6000k -g 50 -pix_fmt yuv420p";
const RAW: &str = "-f rawvideo -pix_fmt yuv420p -s 1920x1080 -framerate 25";

/// One way to make the mosaic.
struct Peer {
    name: &'static str,
    /// The command that makes the compressed mosaic in this file.
    encoded: Box<dyn Fn(&Path) -> Command>,
    /// The command that makes it as raw I420.
    raw: Box<dyn Fn(&Path) -> Command>,
    rounds: Vec<Usage>,
    fidelity: Option<Fidelity>,
    after: Option<Fidelity>,
    bytes: u64,
}

#[derive(Clone, Copy)]
struct Fidelity {
    psnr: f64,
    psnr_min: f64,
    ssim: f64,
}

struct Options {
    rounds: usize,
    seconds: usize,
    all: bool,
    write_docs: bool,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` passes --test: minutes of measuring are no test.
    if arguments.iter().any(|a| a == "--test") {
        return;
    }
    let number = |name: &str, default: usize| {
        let at = arguments.iter().position(|a| a == name);
        at.and_then(|i| arguments.get(i + 1)?.parse().ok()).unwrap_or(default)
    };
    let has = |name: &str| arguments.iter().any(|a| a == name);
    let options = Options {
        rounds: number("--rounds", 3).max(1),
        seconds: number("--seconds", 10).clamp(1, 10),
        all: has("--all"),
        write_docs: has("--write-docs"),
    };
    if !works("ffmpeg", "-version") {
        println!("skipped: ffmpeg is not installed; it makes the reference");
        return;
    }
    let Some(clips) = clips() else {
        println!("skipped: benches/peers/clips.sh made no clips; it needs the footage");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let clips = if options.seconds < 10 { shortened(&clips, options.seconds, folder.path()) } else { clips };
    let mut peers = peers(&clips, options.all);
    let floors = rounds_of(&mut peers, &clips, folder.path(), options.rounds);
    let balanced = fidelity(&mut peers, folder.path());
    let text = table(&peers, &floors, balanced, &options);
    println!("\n{text}");
    let json = serde_json::to_string_pretty(&json(&peers, &floors, balanced)).unwrap();
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-peers.json");
    std::fs::write(&target, json).unwrap();
    eprintln!("written: {}", target.display());
    if options.write_docs {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/design/peers.md");
        std::fs::write(&page, text).unwrap();
        eprintln!("written: {}", page.display());
    }
}

/// The program under test: the one that was built with this bench, unless another is named.
fn program() -> String {
    std::env::var("PEERS_VITRAIL").unwrap_or_else(|_| env!("CARGO_BIN_EXE_vitrail").into())
}

fn works(program: &str, argument: &str) -> bool {
    let ran = Command::new(program).arg(argument).output();
    ran.is_ok_and(|out| out.status.success())
}

fn clips() -> Option<Vec<PathBuf>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/clips.sh");
    let out = Command::new(script).stderr(std::process::Stdio::inherit()).output().ok()?;
    let clips: Vec<PathBuf> = String::from_utf8(out.stdout).ok()?.lines().map(PathBuf::from).collect();
    (out.status.success() && clips.len() == SIDE * SIDE).then_some(clips)
}

/// The beginnings of the clips, copied without decoding.
fn shortened(clips: &[PathBuf], seconds: usize, folder: &Path) -> Vec<PathBuf> {
    let cut = |(n, clip): (usize, &PathBuf)| {
        let file = folder.join(format!("short-{n}.mp4"));
        let mut cut = command("ffmpeg", "-nostdin -v error -y -i");
        cut.arg(clip).args(["-frames:v", &(25 * seconds).to_string(), "-c", "copy"]).arg(&file);
        assert!(run(&mut cut).success, "{} cannot be cut", clip.display());
        file
    };
    clips.iter().enumerate().map(cut).collect()
}

/// A command from words and paths.
fn command(program: &str, words: &str) -> Command {
    let mut command = Command::new(program);
    command.args(words.split_whitespace());
    command
}

fn ffmpeg(clips: &[PathBuf], flags: &str, out: &str, file: &Path) -> Command {
    let mut command = command("ffmpeg", "-nostdin -v error -y");
    for clip in clips {
        command.args(["-threads", "1", "-i"]).arg(clip);
    }
    let (w, h) = TILE;
    let scaled = |i: usize| format!("[{i}:v]scale={w}:{h}:flags={flags}[t{i}];");
    let tiles: String = (0..clips.len()).map(scaled).collect();
    let names: String = (0..clips.len()).map(|i| format!("[t{i}]")).collect();
    let places: Vec<String> =
        (0..clips.len()).map(|i| format!("{}_{}", i % SIDE * w, i / SIDE * h)).collect();
    let graph = format!("{tiles}{names}xstack=inputs={}:layout={}[v]", clips.len(), places.join("|"));
    command.args(["-filter_complex", &graph, "-map", "[v]", "-r", "25"]);
    command.args(out.split_whitespace()).arg(file);
    command
}

/// The mosaic of `gst-launch-1.0`; each branch ends in `scale`.
fn gstreamer(clips: &[PathBuf], scale: &str, out: &str, file: &Path) -> Command {
    let mut command = command("gst-launch-1.0", "-q compositor name=mix background=black");
    for i in 0..clips.len() {
        let (x, y) = (i % SIDE * TILE.0, i / SIDE * TILE.1);
        command.args([format!("sink_{i}::xpos={x}"), format!("sink_{i}::ypos={y}")]);
        command.args([format!("sink_{i}::width={}", TILE.0), format!("sink_{i}::height={}", TILE.1)]);
    }
    command.args("! video/x-raw,format=I420,width=1920,height=1080,framerate=25/1".split_whitespace());
    command.args(out.split_whitespace()).arg(format!("location={}", file.display()));
    for (i, clip) in clips.iter().enumerate() {
        command.arg("filesrc").arg(format!("location={}", clip.display()));
        command.args("! qtdemux ! h264parse ! avdec_h264 max-threads=1 !".split_whitespace());
        command.args(scale.split_whitespace()).arg(format!("mix.sink_{i}"));
    }
    command
}

fn vitrail(clips: &[PathBuf], effort: &str, out: &str, file: &Path) -> Command {
    let mut command = command(&program(), "--log error mosaic");
    for clip in clips {
        command.arg("-i").arg(clip);
    }
    let words = format!("--grid 4x4 --size 1920x1080 --fps 25 --overwrite --effort {effort} {out} -o");
    command.args(words.split_whitespace()).arg(file);
    command
}

fn peers(clips: &[PathBuf], all: bool) -> Vec<Peer> {
    let mut peers = Vec::new();
    type Make = fn(&[PathBuf], &str, &str, &Path) -> Command;
    let mut add = |name, make: Make, how: &'static str, encoded: String, raw: &'static str| {
        let (a, b) = (clips.to_vec(), clips.to_vec());
        peers.push(Peer {
            name,
            encoded: Box::new(move |file| make(&a, how, &encoded, file)),
            raw: Box::new(move |file| make(&b, how, raw, file)),
            rounds: Vec::new(),
            fidelity: None,
            after: None,
            bytes: 0,
        });
    };
    let raw = "-c:v rawvideo -pix_fmt yuv420p -f rawvideo";
    add("FFmpeg xstack, area", ffmpeg, "area", X264.into(), raw);
    add("FFmpeg xstack, fast_bilinear (no equal: see its PSNR)", ffmpeg, "fast_bilinear", X264.into(), raw);
    if works("gst-launch-1.0", "--version") {
        let out = format!(
            "! x264enc speed-preset=ultrafast tune=zerolatency bitrate={KBPS} key-int-max=50 ! matroskamux ! filesink"
        );
        add("GStreamer compositor", gstreamer, "", out.clone(), "! filesink");
        if all {
            let scale = "videoscale ! video/x-raw,width=480,height=270 !";
            let name = "GStreamer videoscale + compositor (no equal: see its PSNR)";
            add(name, gstreamer, scale, out, "! filesink");
        }
    } else {
        println!("skipped: GStreamer; gst-launch-1.0 is not installed");
    }
    let mosaic = Command::new(program()).args(["mosaic", "--help"]).output();
    if mosaic.is_ok_and(|out| out.status.success()) {
        let out = "--preset ultrafast --zerolatency --bitrate 6000k --gop 50";
        for (name, effort) in
            [("Vitrail exact", "exact"), ("Vitrail balanced", "balanced"), ("Vitrail keyframes", "keyframes")]
        {
            add(name, vitrail, effort, out.into(), "--lossless");
        }
    } else {
        println!("skipped: vitrail mosaic; this program does not have it");
    }
    peers
}

/// Decoding each stream alone, and encoding the raw mosaic alone.
#[derive(Default)]
struct Floors {
    decode: Vec<Usage>,
    encode: Vec<Usage>,
}

/// All peers once in each round, in another order each time, so that none always runs on a warm machine.
fn rounds_of(peers: &mut [Peer], clips: &[PathBuf], folder: &Path, rounds: usize) -> Floors {
    let reference = folder.join("reference.yuv");
    run(&mut ffmpeg(clips, "area", "-c:v rawvideo -pix_fmt yuv420p -f rawvideo", &reference));
    let mut floors = Floors::default();
    for round in 0..rounds {
        for turn in 0..peers.len() {
            let index = (turn + round) % peers.len();
            let peer = &mut peers[index];
            let file = folder.join(format!("{index}.mkv"));
            let usage = run(&mut (peer.encoded)(&file));
            eprintln!("round {}: {:<55} {usage}", round + 1, peer.name);
            peer.rounds.push(usage);
            peer.bytes = std::fs::metadata(&file).map(|m| m.len()).unwrap_or_default();
        }
        let mut decode = Usage::default();
        for clip in clips {
            let mut alone = command("ffmpeg", "-nostdin -v error -threads 1 -i");
            decode += run(alone.arg(clip).args(["-f", "null", "-"]));
        }
        let mut alone = command("ffmpeg", &format!("-nostdin -v error -y {RAW} -i"));
        let encode = run(alone.arg(&reference).args(X264.split_whitespace()).arg(folder.join("floor.mkv")));
        eprintln!("round {}: {:<55} {decode}", round + 1, "decoding each alone");
        eprintln!("round {}: {:<55} {encode}", round + 1, "encoding alone");
        floors.decode.push(decode);
        floors.encode.push(encode);
    }
    floors
}

/// PSNR and SSIM of each peer's raw mosaic and of its encoded one against the reference; returns how
/// far `balanced` is from `exact`.
fn fidelity(peers: &mut [Peer], folder: &Path) -> Option<Fidelity> {
    let reference = folder.join("reference.yuv");
    let exact = folder.join("exact.yuv");
    let mut balanced = None;
    for (index, peer) in peers.iter_mut().enumerate() {
        let file = folder.join(format!("{index}.mkv"));
        peer.after = compare(&[], &file, &reference);
        let raw = if peer.name == "Vitrail exact" { exact.clone() } else { folder.join("raw.yuv") };
        run(&mut (peer.raw)(&raw));
        peer.fidelity = compare(&RAW.split_whitespace().collect::<Vec<_>>(), &raw, &reference);
        if peer.name == "Vitrail balanced" {
            balanced = compare(&RAW.split_whitespace().collect::<Vec<_>>(), &raw, &exact);
        }
        eprintln!("compared: {}", peer.name);
    }
    balanced
}

/// Picture by picture, whatever the time stamps are.
fn compare(options: &[&str], file: &Path, reference: &Path) -> Option<Fidelity> {
    let mut ffmpeg = command("ffmpeg", "-nostdin -hide_banner -v info");
    ffmpeg.args(options).arg("-i").arg(file);
    ffmpeg.args(RAW.split_whitespace()).arg("-i").arg(reference);
    let graph =
        "[0:v]fps=25,setpts=N/25/TB,split[a][b];[1:v]setpts=N/25/TB,split[c][d];[a][c]psnr;[b][d]ssim";
    let out = ffmpeg.args(["-lavfi", graph, "-f", "null", "-"]).output().ok()?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let value = |line: &str, key: &str| -> Option<f64> {
        let text = line.split(key).nth(1)?.split_whitespace().next()?;
        if text == "inf" { Some(f64::INFINITY) } else { text.parse().ok() }
    };
    let line = |name: &str| said.lines().rev().find(|l| l.contains(name)).map(str::to_owned);
    let (psnr, ssim) = (line("PSNR y:")?, line("SSIM Y:")?);
    Some(Fidelity {
        psnr: value(&psnr, "average:")?,
        psnr_min: value(&psnr, "min:")?,
        ssim: value(&ssim, "All:")?,
    })
}

fn median(of: &[Usage], key: fn(&Usage) -> f64) -> f64 {
    let mut values: Vec<f64> = of.iter().map(key).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n.is_multiple_of(2) => (values[n / 2 - 1] + values[n / 2]) / 2.0,
        n => values[n / 2],
    }
}

fn floor(floors: &Floors) -> f64 {
    median(&floors.decode, |u| u.cpu_s) + median(&floors.encode, |u| u.cpu_s)
}

fn decibels(value: f64) -> String {
    if value.is_infinite() { "identical".into() } else { format!("{value:.1}") }
}

fn table(peers: &[Peer], floors: &Floors, balanced: Option<Fidelity>, options: &Options) -> String {
    let machine = vitrail_engine::measure::machine();
    let mut text = format!(
        "# Beside the peers, measured\n\n\
         16 x 1080p25 H.264 clips of real road and street footage (4 Mb/s, a key frame every 50 pictures, {} s) into \
         one 4x4 mosaic of 1080p25, x264 ultrafast zerolatency at {KBPS} kb/s, one thread a decoder; all in one run, \
         alternating, medians of {} rounds. {}, {} cores, {}, {}.\n\n\
         ```sh\nmake bench-peers        # cargo bench --bench peers -- --rounds {} --write-docs wrote this page\n```\n\n\
         | who | CPU | of FFmpeg's | of the floor | wall | peak memory | PSNR / lowest / SSIM, before the encoder | PSNR after it | size |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        options.seconds,
        options.rounds,
        machine.cpu,
        machine.cores,
        system(),
        today(),
        options.rounds
    );
    let ffmpeg = median(&peers[0].rounds, |u| u.cpu_s);
    for peer in peers {
        let cpu = median(&peer.rounds, |u| u.cpu_s);
        let peak = peer.rounds.iter().map(|u| u.peak_bytes).fold(0.0, f64::max);
        let failed = if peer.rounds.iter().any(|u| !u.success) { " (FAILED)" } else { "" };
        let before = peer.fidelity.map_or("-".into(), |f| {
            format!("{} / {} / {:.4}", decibels(f.psnr), decibels(f.psnr_min), f.ssim)
        });
        let after = peer.after.map_or("-".into(), |f| decibels(f.psnr));
        text += &format!(
            "| {}{failed} | {cpu:.1} s | {:.2} | {:.2} | {:.1} s | {:.0} MB | {before} | {after} | {:.1} MB |\n",
            peer.name,
            cpu / ffmpeg,
            cpu / floor(floors),
            median(&peer.rounds, |u| u.wall_s),
            peak / 1e6,
            peer.bytes as f64 / 1e6
        );
    }
    text += &format!(
        "| floor: each stream decoded alone, the mosaic encoded alone | {:.1} + {:.1} s | {:.2} | 1.00 | | | | | |\n\n",
        median(&floors.decode, |u| u.cpu_s),
        median(&floors.encode, |u| u.cpu_s),
        floor(floors) / ffmpeg
    );
    text += "PSNR (dB) and SSIM are FFmpeg's, over all planes, against FFmpeg's own exact decode and area scaling, \
             raw: that FFmpeg with area scaling is identical to it is no merit.";
    if let Some(f) = balanced {
        text += &format!(
            " `balanced` is {} dB from `exact` (lowest picture {}).",
            decibels(f.psnr),
            decibels(f.psnr_min)
        );
    }
    text += "\n";
    text
}

fn json(peers: &[Peer], floors: &Floors, balanced: Option<Fidelity>) -> serde_json::Value {
    let finite = |v: f64| if v.is_finite() { serde_json::json!(v) } else { serde_json::json!("identical") };
    let fidelity = |f: Option<Fidelity>| {
        f.map(
            |f| serde_json::json!({ "psnr": finite(f.psnr), "psnr_min": finite(f.psnr_min), "ssim": f.ssim }),
        )
    };
    let usages = |of: &[Usage]| of.iter().map(Usage::json).collect::<Vec<_>>();
    let peers: Vec<_> = peers
        .iter()
        .map(|p| {
            serde_json::json!({
                "name": p.name,
                "rounds": usages(&p.rounds),
                "cpu_s": median(&p.rounds, |u| u.cpu_s),
                "wall_s": median(&p.rounds, |u| u.wall_s),
                "before_encoding": fidelity(p.fidelity),
                "after_encoding": fidelity(p.after),
                "bytes": p.bytes,
            })
        })
        .collect();
    serde_json::json!({
        "machine": vitrail_engine::measure::machine(),
        "system": system(),
        "date": today(),
        "command": std::env::args().skip(1).collect::<Vec<_>>(),
        "peers": peers,
        "floor_decode": usages(&floors.decode),
        "floor_encode": usages(&floors.encode),
        "floor_cpu_s": floor(floors),
        "balanced_against_exact": fidelity(balanced),
    })
}
