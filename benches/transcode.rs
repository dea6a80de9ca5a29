//! `vitrail transcode` beside FFmpeg with the same x264 settings, alternating in one run: one long file, a
//! ladder of three, twenty small files.
//!
//!     cargo bench --bench transcode                            two rounds, the table, target/bench-transcode.json
//!     cargo bench --bench transcode -- --rounds 3 --write-docs
//!     cargo bench --bench transcode -- --rounds 1 --seconds 20  a quick look
//!     TRANSCODE_VITRAIL=/path/to/another/vitrail cargo bench --bench transcode
//!
//! The long file is 60 s of 1080p25 H.264 (benches/peers/clips.sh, clips of one colour space joined without encoding), the
//! small ones are 3 s of 640x360. CPU and memory are the child's as the kernel counts them (wait4).
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "peers/child.rs"]
mod child;
#[path = "peers/place.rs"]
mod place;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use child::{Usage, run};
use place::{system, today};

const X264: &str = "-c:v libx264 -preset veryfast";
const LADDER: [(u32, &str); 3] = [(1080, "4M"), (720, "2M"), (480, "800k")];
const SMALL: usize = 20;

/// The same work done by two programs.
struct Race {
    name: &'static str,
    aim: &'static str,
    ffmpeg: Box<dyn Fn(&Path) -> Command>,
    vitrail: Box<dyn Fn(&Path) -> Command>,
    /// Whose first picture stream is compared with this source.
    source: Option<PathBuf>,
    rounds: [Vec<Usage>; 2],
    bytes: [u64; 2],
    psnr: [Option<f64>; 2],
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
    let rounds = number("--rounds", 2).max(1);
    let seconds = number("--seconds", 60).clamp(10, 160);
    if !Command::new("ffmpeg").arg("-version").output().is_ok_and(|out| out.status.success()) {
        println!("skipped: ffmpeg is not installed; it is the peer");
        return;
    }
    let Some(clips) = clips().map(alike) else {
        println!("skipped: benches/peers/clips.sh made no clips; it needs the footage");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let long = joined(&clips, seconds, folder.path());
    let small = small(&clips, folder.path());
    let mut races = races(&long, &small);
    for round in 0..rounds {
        for race in &mut races {
            // Who is first changes from round to round.
            for turn in 0..2 {
                let who = (turn + round) % 2;
                let target = folder.path().join(["ffmpeg", "vitrail"][who]);
                let _ = std::fs::remove_dir_all(&target);
                std::fs::create_dir(&target).unwrap();
                let make = if who == 0 { &race.ffmpeg } else { &race.vitrail };
                let usage = run(&mut make(&target));
                eprintln!("round {}: {:<34} {:<8} {usage}", round + 1, race.name, ["FFmpeg", "Vitrail"][who]);
                race.rounds[who].push(usage);
                race.bytes[who] = size_of(&target);
                if round == 0 {
                    race.psnr[who] = race.source.as_ref().and_then(|s| psnr(&target.join("out.mp4"), s));
                }
            }
        }
    }
    let text = table(&races, rounds, seconds);
    println!("\n{text}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if arguments.iter().any(|a| a == "--write-docs") {
        std::fs::write(root.join("docs/design/transcode-peers.md"), text).unwrap();
    }
    std::fs::create_dir_all(root.join("target")).unwrap();
    std::fs::write(root.join("target/bench-transcode.json"), json(&races)).unwrap();
}

fn program() -> String {
    std::env::var("TRANSCODE_VITRAIL").unwrap_or_else(|_| env!("CARGO_BIN_EXE_vitrail").into())
}

fn clips() -> Option<Vec<PathBuf>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/clips.sh");
    let out = Command::new(script).stderr(std::process::Stdio::inherit()).output().ok()?;
    let clips: Vec<PathBuf> = String::from_utf8(out.stdout).ok()?.lines().map(PathBuf::from).collect();
    (out.status.success() && !clips.is_empty()).then_some(clips)
}

/// Those whose colours are tagged as the first's: one recording does not change them.
fn alike(clips: Vec<PathBuf>) -> Vec<PathBuf> {
    let tags = |clip: &PathBuf| {
        let mut probe =
            words("ffprobe", "-v error -of csv=p=0 -show_entries stream=color_range,color_space,pix_fmt");
        probe.arg(clip).output().map(|out| out.stdout).unwrap_or_default()
    };
    let first = clips.first().map(tags);
    let mut alike: Vec<PathBuf> = clips.into_iter().filter(|clip| Some(tags(clip)) == first).collect();
    // As many as before: the same ones again.
    let few = alike.clone();
    alike.extend(few.into_iter().cycle().take(16));
    alike
}

fn words(program: &str, words: &str) -> Command {
    let mut command = Command::new(program);
    command.args(words.split_whitespace());
    command
}

/// Clips one after the other, without encoding.
fn joined(clips: &[PathBuf], seconds: usize, folder: &Path) -> PathBuf {
    let list = folder.join("list.txt");
    let lines = clips.iter().take(seconds.div_ceil(10)).fold(String::new(), |mut text, clip| {
        let _ = writeln!(text, "file '{}'", clip.display());
        text
    });
    std::fs::write(&list, lines).unwrap();
    let long = folder.join("long.mp4");
    let mut join = words("ffmpeg", "-nostdin -v error -y -f concat -safe 0 -i");
    join.arg(&list).args(["-t", &seconds.to_string(), "-c", "copy", "-an"]).arg(&long);
    assert!(run(&mut join).success, "the clips cannot be joined");
    long
}

/// Twenty files of three seconds, 640x360.
fn small(clips: &[PathBuf], folder: &Path) -> PathBuf {
    let small = folder.join("small");
    std::fs::create_dir(&small).unwrap();
    for n in 0..SMALL {
        let mut make = words("ffmpeg", "-nostdin -v error -y -ss");
        make.arg((n / clips.len() * 4).to_string()).args(["-t", "3", "-i"]).arg(&clips[n % clips.len()]);
        make.args("-vf scale=640:360 -an -c:v libx264 -preset veryfast -b:v 600k -g 50".split_whitespace());
        assert!(run(make.arg(small.join(format!("{n:02}.mp4")))).success, "a small file cannot be made");
    }
    small
}

fn races(long: &Path, small: &Path) -> Vec<Race> {
    let race = |name, aim, source: Option<&Path>, ffmpeg, vitrail| Race {
        name,
        aim,
        ffmpeg,
        vitrail,
        source: source.map(Path::to_owned),
        rounds: [Vec::new(), Vec::new()],
        bytes: [0; 2],
        psnr: [None; 2],
    };
    let mut races = Vec::new();
    for (name, rate, aim) in [
        ("1080p, constant quality (crf 23)", "crf 23", "wall 1.0"),
        ("1080p, average rate (4 Mb/s)", "b:v 4M", "wall 1.0"),
    ] {
        let (a, b) = (long.to_owned(), long.to_owned());
        let of_ffmpeg = format!("{X264} -{rate} -an");
        let of_vitrail = rate.replace("b:v", "bitrate");
        races.push(race(
            name,
            aim,
            Some(long),
            Box::new(move |target: &Path| {
                let mut command = words("ffmpeg", "-nostdin -v error -y -i");
                command.arg(&a).args(of_ffmpeg.split_whitespace()).arg(target.join("out.mp4"));
                command
            }),
            Box::new(move |target: &Path| {
                let mut command = words(&program(), "--log error transcode");
                let options = format!("--codec h264 --preset veryfast --{of_vitrail} --audio drop -o");
                command.arg(&b).args(options.split_whitespace()).arg(target.join("out.mp4"));
                command
            }),
        ));
    }
    let (a, b) = (long.to_owned(), long.to_owned());
    races.push(race(
        "ladder 1080p, 720p, 480p (HLS)",
        "wall 0.95, CPU 1.0",
        None,
        Box::new(move |target: &Path| ffmpeg_ladder(&a, target)),
        Box::new(move |target: &Path| {
            let ladder: Vec<String> = LADDER.iter().map(|(lines, rate)| format!("{lines}:{rate}")).collect();
            let mut command = words(&program(), "--log error transcode");
            let options = format!(
                "--preset veryfast --gop 50 --segment 4s --audio drop --ladder {} -o",
                ladder.join(",")
            );
            command.arg(&b).args(options.split_whitespace()).arg(target.join("ladder"));
            command
        }),
    ));
    let (a, b) = (small.to_owned(), small.to_owned());
    races.push(race(
        "20 files of 3 s, 640x360",
        "wall 0.8",
        None,
        Box::new(move |target: &Path| {
            let line = format!(
                "for f in {0}/*.mp4; do ffmpeg -nostdin -v error -y -i \"$f\" {X264} -crf 23 -an {1}/$(basename $f) || exit 1; done",
                a.display(),
                target.display()
            );
            let mut command = Command::new("sh");
            command.args(["-c", &line]);
            command
        }),
        Box::new(move |target: &Path| {
            let mut command = words(&program(), "--log error transcode");
            let options = "--codec h264 --preset veryfast --crf 23 --audio drop -o";
            command.arg(&b).args(options.split_whitespace()).arg(target);
            command
        }),
    ));
    races
}

fn ffmpeg_ladder(source: &Path, target: &Path) -> Command {
    let mut command = words("ffmpeg", "-nostdin -v error -y -i");
    command.arg(source);
    let graph = "[0:v]split=3[a][b][c];[b]scale=-2:720[d];[c]scale=-2:480[e]";
    command.args(["-filter_complex", graph, "-map", "[a]", "-map", "[d]", "-map", "[e]"]);
    command.args(X264.split_whitespace());
    for (n, (_, rate)) in LADDER.iter().enumerate() {
        command.args([format!("-b:v:{n}"), (*rate).to_owned()]);
    }
    command.args(
        "-g 50 -keyint_min 50 -sc_threshold 0 -f hls -hls_time 4 -hls_playlist_type vod".split_whitespace(),
    );
    command.args(["-hls_segment_type", "fmp4", "-master_pl_name", "master.m3u8"]);
    command.args(["-var_stream_map", "v:0 v:1 v:2"]).arg(target.join("out_%v.m3u8"));
    command
}

fn size_of(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return std::fs::metadata(path).map(|m| m.len()).unwrap_or_default();
    };
    entries.flatten().map(|entry| size_of(&entry.path())).sum()
}

/// Over all planes, picture by picture, whatever the times say.
fn psnr(file: &Path, source: &Path) -> Option<f64> {
    let mut ffmpeg = words("ffmpeg", "-nostdin -hide_banner -v info -i");
    ffmpeg.arg(file).arg("-i").arg(source);
    let graph = "[0:v]setpts=N/25/TB[a];[1:v]setpts=N/25/TB[b];[a][b]psnr";
    let out = ffmpeg.args(["-lavfi", graph, "-f", "null", "-"]).output().ok()?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    said.lines()
        .rev()
        .find(|l| l.contains("PSNR y:"))?
        .split("average:")
        .nth(1)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
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

fn table(races: &[Race], rounds: usize, seconds: usize) -> String {
    let machine = vitrail_engine::measure::machine();
    let mut text = format!(
        "# Transcoding beside FFmpeg, measured\n\n\
         {seconds} s of 1080p25 H.264 (4 Mb/s, a key frame every 50 pictures, of a traffic camera) and {SMALL} \
         files of 3 s of 640x360; x264 veryfast in all; FFmpeg with its own choice of threads, Vitrail with all its \
         verification. All in one run, alternating, medians of {rounds} rounds. {}, {} cores, {}, {}.\n\n\
         ```sh\ncargo bench --bench transcode -- --rounds {rounds} --write-docs      # wrote this page\n```\n\n\
         | what | who | wall | CPU | peak memory | size | PSNR | aim |\n|---|---|---|---|---|---|---|---|\n",
        machine.cpu,
        machine.cores,
        system(),
        today(),
    );
    for race in races {
        for who in 0..2 {
            let of = &race.rounds[who];
            let ratio = |key: fn(&Usage) -> f64| median(of, key) / median(&race.rounds[0], key);
            let failed = if of.iter().all(|u| u.success) { "" } else { " FAILED" };
            let psnr = race.psnr[who].map_or(String::new(), |p| format!("{p:.2} dB"));
            let _ = writeln!(
                text,
                "| {} | {}{failed} | {:.2} s ({:.2}) | {:.2} s ({:.2}) | {:.0} MB | {:.2} MB ({:.3}) | {psnr} | {} |",
                race.name,
                ["FFmpeg", "Vitrail"][who],
                median(of, |u| u.wall_s),
                ratio(|u| u.wall_s),
                median(of, |u| u.cpu_s),
                ratio(|u| u.cpu_s),
                median(of, |u| u.peak_bytes) / 1e6,
                race.bytes[who] as f64 / 1e6,
                race.bytes[who] as f64 / race.bytes[0].max(1) as f64,
                if who == 1 { race.aim } else { "" },
            );
        }
    }
    text.push_str("\nIn parentheses: of FFmpeg's.\n");
    text
}

fn json(races: &[Race]) -> String {
    let race = |race: &Race| {
        let who = |n: usize| {
            serde_json::json!({
                "rounds": race.rounds[n].iter().map(Usage::json).collect::<Vec<_>>(),
                "bytes": race.bytes[n],
                "psnr_db": race.psnr[n],
            })
        };
        serde_json::json!({ "what": race.name, "ffmpeg": who(0), "vitrail": who(1) })
    };
    serde_json::to_string_pretty(&races.iter().map(race).collect::<Vec<_>>()).unwrap()
}
