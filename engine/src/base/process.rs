//! What this process takes of the machine.

use serde::Serialize;

/// This process.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ProcessReport {
    /// CPU seconds, user and system, of all threads.
    pub cpu_s: f64,
    /// Largest resident set, in bytes.
    pub peak_bytes: u64,
    /// Resident set now, in bytes.
    pub resident_bytes: u64,
    /// Threads now.
    pub threads: u64,
    /// Open file descriptors now.
    pub open_files: u64,
}

impl ProcessReport {
    /// As Linux tells in `/proc/self` (proc(5)); zeros elsewhere.
    pub fn now() -> ProcessReport {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        let status = read("status");
        let field = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
        };
        ProcessReport {
            cpu_s: cpu_seconds(&read("stat")).unwrap_or_default(),
            peak_bytes: field("VmHWM:") * 1024,
            resident_bytes: field("VmRSS:") * 1024,
            threads: field("Threads:"),
            open_files: std::fs::read_dir("/proc/self/fd").map(|d| d.count() as u64).unwrap_or_default(),
        }
    }
}

/// Fields 14 and 15 of `/proc/self/stat`, in ticks of 1/100 s (USER_HZ on every Linux that Rust
/// runs on). The command in field 2 may hold spaces, so fields count from its closing bracket.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let after_command = &stat[stat.rfind(')')? + 1..];
    let mut fields = after_command.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let before = ProcessReport::now();
        assert!(before.threads >= 1 && before.peak_bytes > 1 << 20 && before.open_files >= 3);
    }

    #[test]
    fn cpu_time_survives_a_command_with_brackets() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }
}
