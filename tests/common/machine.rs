//! What a process takes of the machine, from /proc, and others of it, and the variables that shorten a bench.

use std::time::{Duration, Instant};

/// Clock ticks a second in /proc: fixed for user space on Linux.
const TICKS: f64 = 100.0;

/// What a process had taken at one instant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Seconds of processor, user and system.
    pub cpu_s: f64,
    pub resident_bytes: u64,
    pub threads: u64,
    pub open_files: u64,
}

impl Usage {
    /// Of a process of this user; all zero for one that has ended.
    pub fn of(pid: u32) -> Usage {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let status = read("status");
        let field = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
        };
        // The fields behind the name of the program, which may hold blanks and parentheses.
        let stat = read("stat");
        let times: Vec<f64> = stat
            .rsplit_once(')')
            .map(|(_, rest)| {
                rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse().ok()).collect()
            })
            .unwrap_or_default();
        Usage {
            cpu_s: times.iter().sum::<f64>() / TICKS,
            resident_bytes: field("VmRSS:") * 1024,
            threads: field("Threads:"),
            open_files: std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |d| d.count() as u64),
        }
    }

    /// Seconds of processor since `earlier`.
    pub fn cpu_since(&self, earlier: &Usage) -> f64 {
        self.cpu_s - earlier.cpu_s
    }

    pub fn resident_mb(&self) -> f64 {
        self.resident_bytes as f64 / 1e6
    }
}

/// The environment variable of this name, or the default; panics where it cannot be read.
pub fn variable<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} cannot be read")),
        Err(_) => default,
    }
}

/// Whether others take much of this machine: threads that could have all of it get less than seven eighths. Asked while
/// the program under test does not run; tests beside this one count as others.
pub fn is_busy() -> bool {
    const LOOK: Duration = Duration::from_millis(300);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let begun = Instant::now();
    let spin = move || {
        while begun.elapsed() < LOOK {
            std::hint::spin_loop();
        }
        // Nanoseconds of processor that this thread had, in front of two other numbers.
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        told.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or_default()
    };
    let threads: Vec<_> = (0..cores).map(|_| std::thread::spawn(spin)).collect();
    let had: u64 = threads.into_iter().filter_map(|thread| thread.join().ok()).sum();
    had as f64 / 1e9 < 0.875 * cores as f64 * begun.elapsed().as_secs_f64()
}
