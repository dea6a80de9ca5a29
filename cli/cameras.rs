//! `vitrail cameras`: simulated cameras, until Ctrl-C or for a stated time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use vitrail_engine::base::files::write_whole;
use vitrail_engine::media::Codec;
use vitrail_engine::{Error, ErrorKind, Result};
use vitrail_simulator::code::{MAX_CAMERA, Place};
use vitrail_simulator::{
    Config, Login, Profile, Scenery, Simulator, StreamSpec, default_cache, max_clients, onvif,
};

use crate::terminal::shown_path;

const EXAMPLES: &str = "\
Examples:
  vitrail cameras --count 16
  vitrail cameras --count 4 --clips ~/videos --login viewer:secret --listen 0.0.0.0:8554
  vitrail cameras --count 16 --scene city --code none     (for people to look at)
  vitrail cameras --count 1000 --inventory cams.csv
  vitrail cameras --count 8000 --sub 640x360@1 --codecs h264 --loop-seconds 2
  ffplay rtsp://127.0.0.1:8554/cam/1/sub
  vitrail cameras --count 4 --onvif 127.0.0.1:8580
  vitrail cameras --send 'fault 3 silent on'     (tells the running cameras; 'help' lists all faults)";

/// Simulated RTSP cameras, each with a main and a sub stream: rtsp://HOST:PORT/cam/N/main|sub
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CamerasArgs {
    /// How many cameras, numbered from 1
    #[arg(long, value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_CAMERA)))]
    count: u16,
    /// Show the video files of this folder instead of built-in scenes
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// Built-in scenes: plain ones, whose cost every figure here is of, or streets of a city
    #[arg(long, value_name = "KIND", value_enum, default_value = "test")]
    scene: SceneArg,
    /// Where the frame code is in the pictures; programs read it, people need none
    #[arg(long, value_name = "PLACE", value_enum, default_value = "middle")]
    code: CodeArg,
    /// Address of the RTSP server
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8554")]
    listen: SocketAddr,
    /// Address of the control port, which has no login: keep it on this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8553")]
    control: SocketAddr,
    /// Serve an ONVIF device for each camera at this address, and answer WS-Discovery there and on the
    /// network of that interface; --login is theirs too
    #[arg(long, value_name = "ADDRESS")]
    onvif: Option<SocketAddr>,
    /// Send a command to the control port of cameras that run already, print the answer and end
    #[arg(long, value_name = "COMMAND")]
    send: Option<String>,
    /// Ask clients for this login (digest authentication)
    #[arg(long, value_name = "USER:PASSWORD", value_parser = login)]
    login: Option<Login>,
    /// Keep encoded loops here [default: $XDG_CACHE_HOME/vitrail or ~/.cache/vitrail]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// End after this time: 30s, 5m, 1h
    #[arg(long = "for", value_name = "TIME", value_parser = crate::parse::duration)]
    run_for: Option<Duration>,
    /// Size and rate of the main stream
    #[arg(long, value_name = "WxH@FPS", default_value = "1280x720@25", value_parser = format)]
    main: StreamSpec,
    /// Size and rate of the sub stream
    #[arg(long, value_name = "WxH@FPS", default_value = "640x360@12.5", value_parser = format)]
    sub: StreamSpec,
    /// Bit rate of the main stream: 2M, 1500k [default: 2M at 1280x720@25, else what suits size and rate]
    #[arg(long = "bitrate", value_name = "RATE", value_parser = bitrate)]
    main_bitrate: Option<u32>,
    /// Bit rate of the sub stream [default: 400k at 640x360@12.5, else what suits size and rate]
    #[arg(long, value_name = "RATE", value_parser = bitrate)]
    sub_bitrate: Option<u32>,
    /// Codecs, dealt to the cameras in turn
    #[arg(long, value_name = "LIST", default_value = "h264,h265", value_delimiter = ',', value_parser = codec)]
    codecs: Vec<Codec>,
    /// Seconds from one key frame to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    gop_seconds: f64,
    /// Length of each loop, after which pictures repeat. A wall that decodes every second key frame of a loop with
    /// two of them shows one picture for ever, and calls it frozen
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    loop_seconds: f64,
    /// Write the cameras to this file, an inventory for walls
    #[arg(long, value_name = "FILE.csv")]
    inventory: Option<PathBuf>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum SceneArg {
    Test,
    City,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum CodeArg {
    Middle,
    Corner,
    None,
}

/// Runs the cameras until the time is over or the process is told to end.
///
/// # Errors
/// What [`Simulator::start`] says.
pub fn run(args: CamerasArgs) -> Result<()> {
    if let Some(command) = &args.send {
        return send(args.control, command);
    }
    let count = args.count;
    let limit = args.run_for;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second signal ends at once, also while loops are encoded.
        signal_hook::flag::register_conditional_shutdown(signal, 130, stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .map_err(|e| Error::new(ErrorKind::Internal, "signals", "cannot be handled").caused_by(e))?;
    }
    let inventory = args.inventory.clone();
    let (onvif, login) = (args.onvif, args.login.clone());
    let is_plain = matches!(args.scene, SceneArg::Test);
    if let Some(file) = &inventory {
        refuse_foreign(file)?;
    }
    let clients = max_clients();
    if clients < u64::from(count) {
        eprintln!(
            "only {clients} clients can be served at once, for the system lets this process open no more \
             files; raise the hard limit (ulimit -Hn, LimitNOFILE=)"
        );
    }
    eprintln!("preparing {count} cameras; the first time takes a while, later ones are quick …");
    let begun = Instant::now();
    let simulator = Simulator::start(config(args)?)?;
    // Before it is said that they are ready: whoever waits for that reads the inventory next.
    if let Some(file) = &inventory {
        write_whole(file, simulator.inventory().as_bytes())?;
        println!("inventory: {}", shown_path(file));
    }
    let (address, seconds) = (simulator.address(), begun.elapsed().as_secs_f64());
    println!("{count} cameras at rtsp://{address}/cam/1…{count}/main|sub (ready after {seconds:.1} s)");
    if let Some(control) = simulator.control() {
        println!("faults and figures: vitrail cameras --control {control} --send help");
    }
    let devices = match onvif {
        None => None,
        Some(listen) => {
            let rtsp = simulator.reached();
            let config =
                onvif::Config { cameras: count, listen, login, rtsp, multicast: true, ..Default::default() };
            Some(onvif::Devices::start(config)?)
        }
    };
    if let Some(devices) = &devices {
        println!("ONVIF devices: http://{}/onvif/1…{count}/device_service", devices.address());
    }
    // Large pictures of a city take a core for minutes, beside the wall that shows the small ones: they wait until a
    // client asks.
    if count <= 32 && is_plain {
        simulator.prepare_in_background(Profile::Main);
    }
    let begun = Instant::now();
    while !stop.load(Ordering::Relaxed) && limit.is_none_or(|limit| begun.elapsed() < limit) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let stats = simulator.stats();
    eprintln!(
        "sent {} frames, {:.1} MB to {} connections; {} frames dropped for slow clients",
        stats.frames,
        stats.bytes as f64 / 1e6,
        stats.connections,
        stats.dropped
    );
    Ok(())
}

/// A file that is there already is replaced only where it is a simulator's inventory.
fn refuse_foreign(file: &Path) -> Result<()> {
    match std::fs::read_to_string(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(text) if Simulator::is_inventory(&text) => Ok(()),
        _ => {
            let what = "is there and is no inventory of simulated cameras; name another file";
            Err(Error::new(ErrorKind::Config, file.display().to_string(), what))
        }
    }
}

/// Sends one command line and prints the one line of JSON that answers it.
fn send(control: SocketAddr, command: &str) -> Result<()> {
    let subject = control.to_string();
    let fail = |e: std::io::Error| {
        let what = "no cameras answer there; start them, or give their --control address";
        Error::new(ErrorKind::Unreachable, subject.clone(), what).caused_by(e)
    };
    let mut socket = TcpStream::connect_timeout(&control, Duration::from_secs(5)).map_err(fail)?;
    writeln!(socket, "{}", command.replace(['\n', '\r'], " ")).map_err(fail)?;
    socket.shutdown(std::net::Shutdown::Write).map_err(fail)?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).map_err(fail)?;
    let answer = answer.trim_end();
    let parsed: serde_json::Value = serde_json::from_str(answer)
        .map_err(|e| Error::new(ErrorKind::Corrupt, subject.clone(), "gave no JSON").caused_by(e))?;
    println!("{answer}");
    match parsed.get("error").and_then(|e| e.as_str()) {
        Some(why) => Err(Error::new(ErrorKind::Config, "command", why.to_owned())),
        None => Ok(()),
    }
}

fn config(args: CamerasArgs) -> Result<Config> {
    let seconds = |key: &'static str, value: f64| {
        Duration::try_from_secs_f64(value)
            .map_err(|e| Error::new(ErrorKind::Config, key, "must be a positive number").caused_by(e))
    };
    let defaults = Config::default();
    Ok(Config {
        cameras: args.count,
        clips: args.clips,
        scenery: match args.scene {
            SceneArg::Test => Scenery::Test,
            SceneArg::City => Scenery::City,
        },
        code: match args.code {
            CodeArg::Middle => Place::Middle,
            CodeArg::Corner => Place::Corner,
            CodeArg::None => Place::Nowhere,
        },
        listen: args.listen,
        control: Some(args.control),
        login: args.login,
        cache: Some(args.cache.unwrap_or_else(default_cache)),
        main: with_rate(args.main, args.main_bitrate, defaults.main),
        sub: with_rate(args.sub, args.sub_bitrate, defaults.sub),
        codecs: args.codecs,
        gop: seconds("gop-seconds", args.gop_seconds)?,
        loop_length: seconds("loop-seconds", args.loop_seconds)?,
        prepare: vec![Profile::Sub],
        ..defaults
    })
}

/// The bit rate that is asked for, the default's for the default's format, else what is usual.
fn with_rate(spec: StreamSpec, kbps: Option<u32>, default: StreamSpec) -> StreamSpec {
    let same = StreamSpec { kbps: default.kbps, ..spec } == default;
    let kbps = kbps.unwrap_or(if same { default.kbps } else { spec.usual_kbps() });
    StreamSpec { kbps, ..spec }
}

fn login(text: &str) -> Result<Login, String> {
    Login::parse(text).ok_or_else(|| "must be USER:PASSWORD".to_owned())
}

fn format(text: &str) -> Result<StreamSpec, String> {
    Config::default().sub.with_format(text).ok_or_else(|| "must be like 640x360@12.5".to_owned())
}

fn codec(text: &str) -> Result<Codec, String> {
    match text {
        "h264" => Ok(Codec::H264),
        "h265" | "hevc" => Ok(Codec::H265),
        _ => Err("must be h264 or h265".to_owned()),
    }
}

/// Kilobits a second, from `2M`, `400k` or bits a second.
fn bitrate(text: &str) -> Result<u32, String> {
    let (number, unit) = match text.trim_end_matches(|c: char| c.is_ascii_alphabetic()) {
        number if number.len() == text.len() => (number, 1e-3),
        number => match &text[number.len()..] {
            "k" | "K" => (number, 1.0),
            "M" => (number, 1000.0),
            _ => return Err("must be like 2M, 400k or 400000".to_owned()),
        },
    };
    match number.parse::<f64>() {
        Ok(value) if value > 0.0 && value * unit < 1e6 => Ok((value * unit).round() as u32),
        _ => Err("must be like 2M, 400k or 400000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        assert_eq!((bitrate("2M"), bitrate("400k"), bitrate("64000")), (Ok(2000), Ok(400), Ok(64)));
        assert!(["", "x", "-1k", "2G", "k"].iter().all(|text| bitrate(text).is_err()));
    }
}
