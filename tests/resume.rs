//! A transcoding job that is killed again and again goes on each time, and ends in the same bytes as one
//! that was left in peace. Nothing half-written is ever seen under its name.
//!
//!     RESUME_KILLS=20 RESUME_SECONDS=120 RESUME_SIZE=1280x720 cargo test --release --test resume -- --nocapture
//!     RESUME_RATE=--bitrate=400k cargo test --test resume     at an average rate
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};

fn variable<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn start(source: &Path, target: &Path) -> Child {
    common::vitrail(target.parent().unwrap())
        .args(["--log", "error", "transcode", "--codec", "h264", "--preset", "veryfast"])
        .arg(variable("RESUME_RATE", "--crf=23".to_owned()))
        .arg(source)
        .arg("-o")
        .arg(target)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn clip(folder: &Path, seconds: u32, size: &str) -> PathBuf {
    let path = folder.join("source.mp4");
    let source = format!("testsrc2=size={size}:rate=25:duration={seconds}");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", &source])
        .args(["-f", "lavfi", "-i", &format!("sine=duration={seconds}")])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-c:a", "aac", "-shortest"])
        .arg(&path)
        .status()
        .expect("ffmpeg runs: scripts/install-deps.sh installs it");
    assert!(made.success());
    path
}

#[test]
fn killed_at_any_moment_a_job_goes_on_and_ends_in_the_same_bytes() {
    let kills: u32 = variable("RESUME_KILLS", 6);
    let seconds: u32 = variable("RESUME_SECONDS", 40);
    let size: String = variable("RESUME_SIZE", "640x360".into());
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path(), seconds, &size);
    let calm = folder.path().join("calm.mp4");
    let begun = Instant::now();
    assert!(start(&source, &calm).wait().unwrap().success());
    let whole = begun.elapsed();
    let wanted = std::fs::read(&calm).unwrap();
    let seed: u64 = variable("RESUME_SEED", 1);
    let mut dice = rand::rngs::StdRng::seed_from_u64(seed);
    let target = folder.path().join("killed.mp4");
    let (over, looks) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut killed, mut finished) = (0, 0);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut wrong = None;
            while !over.load(Ordering::SeqCst) {
                looks.fetch_add(1, Ordering::SeqCst);
                // What is seen under the name is whole, whenever it is looked at.
                if let Ok(seen) = std::fs::read(&target)
                    && seen != wanted
                {
                    wrong = Some(seen.len());
                }
                std::thread::yield_now();
            }
            wrong
        });
        while killed < kills {
            let mut child = start(&source, &target);
            let after = whole.mul_f64(dice.random_range(0.02..1.1) / f64::from(kills).sqrt());
            let end = Instant::now() + after;
            while Instant::now() < end && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(2));
            }
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                killed += 1;
            }
            child.wait().unwrap();
            if target.exists() {
                // It was done before it could be killed: begin anew.
                finished += 1;
                assert_eq!(std::fs::read(&target).unwrap(), wanted, "after {killed} kills");
                start(&source, &target).wait().unwrap();
                std::fs::remove_file(&target).unwrap();
            }
        }
        let last = start(&source, &target).wait().unwrap();
        assert!(last.success());
        assert_eq!(std::fs::read(&target).unwrap(), wanted, "after {killed} kills");
        over.store(true, Ordering::SeqCst);
        let wrong = watcher.join().unwrap();
        assert_eq!(wrong, None, "a half-written target was seen");
    });
    let left: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(left, [] as [&str; 0], "nothing is left beside it");
    println!(
        "{killed} kills of a job of {:.1} s, {finished} times done in between, {} looks at its name",
        whole.as_secs_f64(),
        looks.load(Ordering::SeqCst)
    );
}
