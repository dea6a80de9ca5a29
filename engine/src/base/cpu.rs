//! CPU time: of this thread, of named threads, of this process, of the machine; and who steps back when it is scarce.

use std::collections::HashMap;
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

/// Tells what threads of this process used by their names: for work that libraries do on threads of their
/// own, which have the name of the thread that started them (pthread_create(3)).
#[derive(Debug, Default)]
pub struct ThreadMeter {
    seen: HashMap<u32, u64>,
}

impl ThreadMeter {
    /// CPU time that threads with such names (of which Linux keeps 15 bytes) used since the call before, in
    /// steps of 10 ms a thread; `None` where the system does not tell (proc(5)). What a thread used that
    /// ended meanwhile is lost.
    pub fn since_last(&mut self, counts: impl Fn(&str) -> bool) -> Option<Duration> {
        let mut ticks = 0;
        let mut seen = HashMap::with_capacity(self.seen.len());
        for entry in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // It may have ended since.
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            let Some((name, used)) = thread_ticks(&stat) else { continue };
            if counts(name) {
                let before = self.seen.get(&id).copied().filter(|before| *before <= used);
                ticks += used - before.unwrap_or(0);
            }
            seen.insert(id, used);
        }
        self.seen = seen;
        Some(Duration::from_millis(ticks * 10))
    }
}

/// The name of a thread, and what it used in ticks of 1/100 s: fields 2, 14 and 15. Names may hold spaces
/// and brackets.
fn thread_ticks(stat: &str) -> Option<(&str, u64)> {
    let (from, to) = (stat.find('(')?, stat.rfind(')')?);
    let name = stat.get(from + 1..to)?;
    let mut fields = stat.get(to + 1..)?.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some((name, next()? + next()?))
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
    fn threads_are_told_by_their_names_and_so_are_those_that_they_start() {
        assert_eq!(thread_ticks("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0"), Some(("a) b", 300)));
        let busy = |name: &str| {
            let work = || {
                let begun = thread_time();
                while thread_time() - begun < Duration::from_millis(60) {
                    std::hint::black_box((0..1000).sum::<u64>());
                }
            };
            let both = move || {
                // Unnamed: it has its maker's name.
                let inner = std::thread::Builder::new().spawn(work);
                work();
                let (done, wait) = std::sync::mpsc::channel::<()>();
                (inner, done, wait.recv_timeout(Duration::from_millis(300)))
            };
            std::thread::Builder::new().name(name.into()).spawn(both)
        };
        let mut meter = ThreadMeter::default();
        let is_mine = |name: &str| name == "t-meter";
        assert_eq!(meter.since_last(is_mine), Some(Duration::ZERO));
        let threads = ["t-meter", "t-other"].map(busy);
        std::thread::sleep(Duration::from_millis(250));
        let used = meter.since_last(is_mine).unwrap_or_default();
        assert!((Duration::from_millis(40)..=Duration::from_millis(200)).contains(&used), "{used:?}");
        drop(threads.map(|thread| thread.map(|t| t.join().is_ok())));
    }

    #[test]
    fn idle_time_is_not_busy() {
        let stat = "cpu  100 20 30 9000 400 5 6 7 50 0\ncpu0 1 2 3\n";
        assert_eq!(busy_ticks(stat), Some(168));
        assert_eq!(busy_ticks("cpu  1 2\n"), None);
        assert!(machine_time().is_some_and(|t| !t.is_zero()));
    }
}
