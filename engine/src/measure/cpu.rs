//! CPU time in seconds: of this thread, of this process and of threads by name.

use crate::base::cpu;

/// CPU-seconds that the calling thread has used.
pub fn thread() -> f64 {
    cpu::thread_time().as_secs_f64()
}

/// CPU-seconds that all threads of this process have used, ended ones included.
pub fn process() -> f64 {
    cpu::process_time().as_secs_f64()
}

/// CPU-seconds of the running threads of this process whose name begins with `prefix`, as Linux
/// tells in `/proc/self/task/*/schedstat` (up to a scheduler tick old); 0 elsewhere.
pub fn threads_named(prefix: &str) -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let of = |task: std::fs::DirEntry| {
        let read = |file| std::fs::read_to_string(task.path().join(file)).ok();
        let named = read("comm")?.starts_with(prefix);
        let nanos: f64 = read("schedstat")?.split_whitespace().next()?.parse().ok()?;
        named.then_some(nanos * 1e-9)
    };
    tasks.flatten().filter_map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_on_every_clock() {
        let before = (thread(), process());
        let mut sum = 0u64;
        while thread() - before.0 < 0.02 {
            sum = std::hint::black_box(sum.wrapping_mul(31) + 1);
        }
        assert!(process() - before.1 >= 0.019);
        assert_eq!(threads_named("no thread has this name"), 0.0);
        let busy = crate::base::thread::Worker::spawn("cpu-test-busy", || {
            let from = thread();
            while thread() - from < 0.05 {}
            assert!(threads_named("cpu-test-busy") > 0.02);
        });
        assert!(busy.expect("threads start in tests").join());
    }
}
