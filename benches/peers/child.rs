//! A child process and what it used, as the kernel counts it.
#![allow(unsafe_code)]

use std::fmt;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What one run used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// User and system CPU-seconds, all threads.
    pub cpu_s: f64,
    /// Seconds from start to end.
    pub wall_s: f64,
    /// Largest resident set.
    pub peak_bytes: f64,
    /// It ended with exit code 0.
    pub success: bool,
}

impl Default for Usage {
    fn default() -> Usage {
        Usage { cpu_s: 0.0, wall_s: 0.0, peak_bytes: 0.0, success: true }
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, more: Usage) {
        self.cpu_s += more.cpu_s;
        self.wall_s += more.wall_s;
        self.peak_bytes = self.peak_bytes.max(more.peak_bytes);
        self.success &= more.success;
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = if self.success { "" } else { "  FAILED" };
        let megabytes = self.peak_bytes / 1e6;
        write!(f, "{:6.2} s CPU {:6.2} s wall {megabytes:5.0} MB{failed}", self.cpu_s, self.wall_s)
    }
}

impl Usage {
    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "cpu_s": self.cpu_s, "wall_s": self.wall_s, "peak_bytes": self.peak_bytes, "success": self.success
        })
    }
}

/// Runs a command to its end. One that cannot be started failed at no cost.
pub fn run(command: &mut Command) -> Usage {
    let begun = Instant::now();
    let child = match command.stdin(Stdio::null()).stdout(Stdio::null()).spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("{command:?}: {error}");
            return Usage { success: false, ..Usage::default() };
        }
    };
    let mut status = 0;
    // SAFETY: an rusage is plain numbers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both places are valid for the call; the child is ours and nobody else waits for it.
    let waited = unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage) };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    Usage {
        cpu_s: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        wall_s: begun.elapsed().as_secs_f64(),
        peak_bytes: usage.ru_maxrss as f64 * 1024.0,
        success: waited > 0 && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
    }
}
