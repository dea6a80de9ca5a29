//! CPU time: of this thread, of this process, of the machine; and who steps back when it is scarce.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time that the calling thread has used: unlike the time on a clock, it does not grow while
/// another thread has the core.
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// CPU time that all threads of this process have used.
pub fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// CPU time that the whole machine has used since it started, over all cores: the first line of
/// `/proc/stat` (proc(5)), in ticks of 1/100 s; `None` where that is not to be had.
pub fn machine_time() -> Option<Duration> {
    busy_ticks(&std::fs::read_to_string("/proc/stat").ok()?).map(|ticks| Duration::from_millis(ticks * 10))
}

/// user, nice, system, irq, softirq and steal; not idle and iowait (fields 4 and 5). Guests are in
/// user already.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().map_while(|f| f.parse().ok()).collect();
    (fields.len() >= 8).then(|| fields[..3].iter().chain(&fields[5..8]).sum())
}

/// How many cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Lets other threads of this process go first where cores are scarce. On Linux, niceness belongs
/// to the thread (sched(7)); elsewhere this does nothing.
pub fn step_back() {
    /// Two thirds of the weight of a thread that did not step back (sched(7): 10 % a step). Other
    /// programs go first too, so it is no more than the wall's cadence needs.
    const STEPS: i32 = 2;
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(STEPS) {
        tracing::debug!(%error, "the priority of a thread stays");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_time_and_waiting_takes_none() {
        let (thread, process) = (thread_time(), process_time());
        let mut sum = 0u64;
        while thread_time() - thread < Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        assert!(process_time() - process >= Duration::from_millis(20));
        let elsewhere = std::thread::spawn(thread_time).join().expect("does not panic");
        assert!(elsewhere < Duration::from_millis(20), "{elsewhere:?} is this thread's time");
    }

    #[test]
    fn idle_time_is_not_busy() {
        let stat = "cpu  100 20 30 9000 400 5 6 7 50 0\ncpu0 1 2 3\n";
        assert_eq!(busy_ticks(stat), Some(168));
        assert_eq!(busy_ticks("cpu  1 2\n"), None);
        assert!(machine_time().is_some_and(|t| !t.is_zero()));
    }
}
