//! What the end-to-end tests share: a wall as a child process, and the codes in its tiles.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vitrail_engine::base::SharedClock;
use vitrail_simulator::Config;

pub mod controlled;
pub mod machine;
pub mod scale;
pub mod stalled;
pub mod watch;

/// Encoded loops of simulated cameras, for all tests and benches of this build.
const LOOPS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/loops");

/// So many simulated cameras, with nothing of what a person keeps.
pub fn cameras(count: u16, clock: &SharedClock) -> Config {
    Config { cameras: count, cache: Some(LOOPS.into()), clock: clock.clone(), ..Config::default() }
}

/// The program under test, at home in this folder: what the person at this machine keeps (a cost model,
/// loops, settings of the environment) is out of its sight.
pub fn vitrail(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vitrail"));
    for (name, below) in
        [("CACHE", ".cache"), ("CONFIG", ".config"), ("DATA", ".local/share"), ("STATE", ".local/state")]
    {
        command.env(format!("XDG_{name}_HOME"), home.join(below));
    }
    command
        .env("HOME", home)
        // What GStreamer found out about its plugins: seconds for each program without it.
        .env("GST_REGISTRY", concat!(env!("CARGO_TARGET_TMPDIR"), "/gstreamer-registry.bin"))
        .env_remove("VITRAIL_LOG")
        .stdin(Stdio::null());
    command
}

/// The program under test, ended when dropped.
pub struct Program {
    child: Child,
    pub dir: tempfile::TempDir,
}

impl Program {
    /// Starts `vitrail` with `args` in a folder of its own; stderr goes to a file there.
    pub fn start(args: &[&str]) -> Program {
        let dir = tempfile::tempdir().unwrap();
        let stderr = std::fs::File::create(dir.path().join("stderr.txt")).unwrap();
        let child = vitrail(dir.path())
            .args(args)
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Program { child, dir }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.path("stderr.txt")).unwrap_or_default()
    }

    /// As a person would press Ctrl-C; waits for the end.
    pub fn interrupt(&mut self) -> std::process::ExitStatus {
        let status = Command::new("kill").args(["-INT", &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
        self.wait(Duration::from_secs(15))
    }

    /// No clean-up, no flush.
    pub fn kill_dash_nine(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn wait(&mut self, limit: Duration) -> std::process::ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "did not end within {limit:?}; it said:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The report that `--report report.json` left.
    pub fn report(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.path("report.json")).unwrap()).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `vitrail` to its end: exit code, stdout, stderr.
pub fn run(args: &[&str]) -> (i32, String, String) {
    let home = tempfile::tempdir().unwrap();
    let out = vitrail(home.path()).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

/// Whether every combination is asked for (`THOROUGH=1`), which takes minutes; else a part of them that changes with
/// the place in the list, so that every way and every target is tried.
pub fn is_tried(place: usize, of: usize) -> bool {
    place.is_multiple_of(of) || std::env::var_os("THOROUGH").is_some()
}

/// A port of the loopback address that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits for a condition; false if it did not come true in time.
pub fn eventually(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// What ffprobe says: the duration of a file in seconds, if it can be read at all.
pub fn ffprobe_duration(path: &Path) -> Option<f64> {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let times: Vec<f64> = text.lines().filter_map(|l| l.trim_end_matches(',').parse().ok()).collect();
    let first = times.iter().copied().reduce(f64::min)?;
    let last = times.iter().copied().reduce(f64::max)?;
    Some(last - first)
}
