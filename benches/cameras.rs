//! The camera simulator alone: how much of the machine thousands of its streams take.
//!
//!     cargo bench --bench cameras                     8000 H.264 cameras at one picture a second, 20 s
//!     CAMERAS=1000 CAMERAS_SUB=640x360@12.5 CAMERAS_CODECS=h264,h265 cargo bench --bench cameras
//!
//! The cameras run in a process of their own; the clients here take every byte and look at none.
//! All connect at once. Prints one JSON object.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::machine::{Usage, variable};
use common::{Program, eventually, free_port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Clients that have got their first byte of a picture, and bytes in all.
#[derive(Default)]
struct Seen {
    playing: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
}

fn main() {
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let cameras: u64 = variable("CAMERAS", 8000);
    let sub: String = variable("CAMERAS_SUB", "640x360@1".into());
    let codecs: String = variable("CAMERAS_CODECS", "h264".into());
    let loops: f64 = variable("CAMERAS_LOOP", 4.0);
    let seconds: u64 = variable("CAMERAS_SECONDS", 20);
    assert!(vitrail_simulator::max_clients() >= cameras, "see ulimit -Hn");
    let (port, control) = (free_port(), format!("127.0.0.1:{}", free_port()));
    let listen = format!("127.0.0.1:{port}");
    let begun = Instant::now();
    let program = Program::start(&[
        "cameras",
        "--count",
        &cameras.to_string(),
        "--sub",
        &sub,
        "--codecs",
        &codecs,
        "--loop-seconds",
        &loops.to_string(),
        "--listen",
        &listen,
        "--control",
        &control,
    ]);
    let stats = || {
        let (code, out, _) = common::run(&["cameras", "--control", &control, "--send", "stats"]);
        (code == 0).then(|| serde_json::from_str::<serde_json::Value>(&out).unwrap())
    };
    // The control port listens from the start, but answers once the loops are ready.
    assert!(eventually(Duration::from_secs(600), || stats().is_some()), "{}", program.stderr());
    let prepared = begun.elapsed();
    let idle = Usage::of(program.pid());

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let seen = Arc::new(Seen::default());
    let begun = Instant::now();
    for camera in 1..=cameras {
        let (seen, listen) = (seen.clone(), listen.clone());
        runtime.spawn(async move {
            let end = play(&listen, camera, &seen).await;
            if let (Err(error), 0) = (&end, seen.failed.load(Ordering::Relaxed)) {
                eprintln!("camera {camera}: {error}");
            }
            seen.failed.fetch_add(u64::from(end.is_err()), Ordering::Relaxed);
        });
    }
    let all = || seen.playing.load(Ordering::Relaxed) + seen.failed.load(Ordering::Relaxed) == cameras;
    assert!(eventually(Duration::from_secs(60), all), "{} play", seen.playing.load(Ordering::Relaxed));
    let connected = begun.elapsed();

    let (before, bytes) = (Usage::of(program.pid()), seen.bytes.load(Ordering::Relaxed));
    let own = Usage::of(std::process::id());
    let frames = stats().unwrap()["frames"].as_u64().unwrap();
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    let after = Usage::of(program.pid());
    let span = begun.elapsed().as_secs_f64();
    let stats = stats().unwrap();
    let megabits = (seen.bytes.load(Ordering::Relaxed) - bytes) as f64 * 8e-6 / span;
    let result = serde_json::json!({
        "cameras": cameras,
        "sub": sub,
        "codecs": codecs,
        "prepare_s": prepared.as_secs_f64(),
        "all_playing_after_s": connected.as_secs_f64(),
        "clients_failed": seen.failed.load(Ordering::Relaxed),
        "seconds": span,
        "frames_per_s": (stats["frames"].as_u64().unwrap() - frames) as f64 / span,
        "megabits_per_s": megabits,
        "cpu_cores": after.cpu_since(&before) / span,
        "clients_cpu_cores": Usage::of(std::process::id()).cpu_since(&own) / span,
        "resident_mb_without_clients": idle.resident_mb(),
        "resident_mb": after.resident_mb(),
        "threads": after.threads,
        "open_files": after.open_files,
        "stats": stats,
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
    runtime.shutdown_background();
}

/// One client, until its connection ends.
async fn play(host: &str, camera: u64, seen: &Seen) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(host).await?;
    let uri = format!("rtsp://{host}/cam/{camera}/sub");
    let mut buffer = vec![0; 2048];
    for (count, (method, header)) in [
        ("DESCRIBE", "Accept: application/sdp"),
        ("SETUP", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"),
        ("PLAY", "Range: npt=0-"),
    ]
    .into_iter()
    .enumerate()
    {
        let request = format!("{method} {uri} RTSP/1.0\r\nCSeq: {count}\r\n{header}\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let read = socket.read(&mut buffer).await?;
        if !buffer[..read].starts_with(b"RTSP/1.0 200") {
            return Err(std::io::Error::other(format!("{method} was refused")));
        }
    }
    let mut first = true;
    loop {
        let read = socket.read(&mut buffer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        seen.bytes.fetch_add(read as u64, Ordering::Relaxed);
        if std::mem::take(&mut first) {
            seen.playing.fetch_add(1, Ordering::Relaxed);
        }
    }
}
