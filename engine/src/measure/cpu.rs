//! CPU time of this thread, of this process and of threads by name: the only unsafe code here.
#![allow(unsafe_code)]

/// CPU-seconds that the calling thread has used.
pub fn thread() -> f64 {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU-seconds that all threads of this process have used, ended ones included.
pub fn process() -> f64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for a timespec, and the call keeps no pointer to it.
    let ok = unsafe { libc::clock_gettime(id, &mut time) } == 0;
    if ok { time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9 } else { 0.0 }
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
