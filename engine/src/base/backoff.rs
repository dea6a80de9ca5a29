//! How long to wait before what failed is tried again: a camera, an output, an encoder. Pure: the
//! caller brings the randomness.

use std::time::Duration;

use super::error::ErrorKind;

/// A run that delivered for this long was healthy: the failures before it are forgotten.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// The shortest wait of all.
pub const SHORTEST: Duration = Duration::from_millis(100);

/// A rule for one class of failures: the ceiling doubles from `first` to `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Ceiling after the first failure.
    pub first: Duration,
    /// Ceiling that is never exceeded.
    pub longest: Duration,
    /// Anywhere up to the ceiling (full jitter), or at least the ceiling and up to a tenth more.
    pub full_jitter: bool,
}

impl Rule {
    /// The wait after `failed` earlier failures in a row; `random` is uniform in 0 to 1.
    fn wait(&self, failed: u32, random: f64) -> Duration {
        let ceiling = self.first.saturating_mul(1 << failed.min(20)).min(self.longest);
        let wait =
            if self.full_jitter { ceiling.mul_f64(random) } else { ceiling.mul_f64(1.0 + random / 10.0) };
        wait.max(SHORTEST)
    }
}

/// Not there, connection lost, damaged: likely back soon.
pub const TRANSIENT: Rule =
    Rule { first: Duration::from_millis(500), longest: Duration::from_secs(30), full_jitter: true };
/// No session left: those of a client that vanished expire after about a minute.
pub const SESSION_LIMIT: Rule =
    Rule { first: Duration::from_secs(5), longest: Duration::from_secs(60), full_jitter: true };
/// Wrong password: cameras lock an account after a handful of attempts, so they must stay rare.
pub const CREDENTIALS: Rule =
    Rule { first: Duration::from_secs(60), longest: Duration::from_secs(3600), full_jitter: false };
/// Cannot work until somebody changes something, at the camera or here.
pub const NEEDS_CHANGE: Rule =
    Rule { first: Duration::from_secs(30), longest: Duration::from_secs(600), full_jitter: false };
/// An output: its disk, its folder or its peer may come back at any time.
pub const OUTPUT: Rule =
    Rule { first: Duration::from_secs(1), longest: Duration::from_secs(30), full_jitter: false };
/// An encoder: while it is away its whole screen goes nowhere, so the first tries come soon.
pub const ENCODER: Rule =
    Rule { first: Duration::from_millis(100), longest: Duration::from_secs(30), full_jitter: false };

const RULES: [Rule; 4] = [TRANSIENT, SESSION_LIMIT, CREDENTIALS, NEEDS_CHANGE];

/// Counts the failures of one camera, by class.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: [u32; 4],
}

impl Backoff {
    /// The wait after a run that failed with `kind` and had delivered for `delivered`; `random` is
    /// uniform in 0 to 1. `None`: never again, the right to see the camera is gone.
    pub fn after(&mut self, kind: ErrorKind, delivered: Duration, random: f64) -> Option<Duration> {
        if delivered >= HEALTHY_AFTER {
            self.failures = [0; 4];
        }
        let class = class_of(kind)?;
        let failed = self.failures[class];
        self.failures[class] = failed.saturating_add(1);
        Some(RULES[class].wait(failed, random))
    }
}

/// Counts the failures of something that fails in one way only, as its rule says.
#[derive(Clone, Debug)]
pub struct Retry {
    rule: Rule,
    failures: u32,
}

impl Retry {
    /// Nothing failed yet.
    pub fn new(rule: Rule) -> Retry {
        Retry { rule, failures: 0 }
    }

    /// The wait after a run that failed and had worked for `worked`; `random` is uniform in 0 to 1.
    pub fn after(&mut self, worked: Duration, random: f64) -> Duration {
        if worked >= HEALTHY_AFTER {
            self.failures = 0;
        }
        let wait = self.rule.wait(self.failures, random);
        self.failures = self.failures.saturating_add(1);
        wait
    }
}

fn class_of(kind: ErrorKind) -> Option<usize> {
    match kind {
        ErrorKind::Unreachable | ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::Internal => Some(0),
        ErrorKind::SessionLimit => Some(1),
        ErrorKind::Credentials => Some(2),
        ErrorKind::Config | ErrorKind::Unsupported | ErrorKind::Missing => Some(3),
        ErrorKind::NotGranted => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// The attempts of a day in which every run fails at once.
    fn attempts_in_a_day(kind: ErrorKind, random: f64) -> u32 {
        let (mut backoff, mut now, mut attempts) = (Backoff::default(), Duration::ZERO, 0);
        while now < DAY {
            attempts += 1;
            now += backoff.after(kind, Duration::ZERO, random).expect("retried");
        }
        attempts
    }

    #[test]
    fn a_day_of_failures() {
        // With the mean of the jitter, a dead camera is tried every 15 s: 5760 times, and the start.
        let dead = attempts_in_a_day(ErrorKind::Unreachable, 0.5);
        assert!((5755..5775).contains(&dead), "{dead}");
        // 60 + 120 + … + 1920 s, then once an hour: 7 attempts in the first 63 minutes, 23 more.
        for random in [0.0, 1.0] {
            let wrong = attempts_in_a_day(ErrorKind::Credentials, random);
            assert!((27..=30).contains(&wrong), "{wrong}");
        }
        assert!(attempts_in_a_day(ErrorKind::Unsupported, 0.0) < 155);
    }

    #[test]
    fn ceilings_double_to_the_longest_and_a_healthy_run_forgets() {
        let mut backoff = Backoff::default();
        let waits: Vec<f64> = (0..9)
            .filter_map(|_| backoff.after(ErrorKind::Unreachable, Duration::ZERO, 1.0))
            .map(|w| w.as_secs_f64())
            .collect();
        assert_eq!(waits, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        let short = backoff.after(ErrorKind::Unreachable, HEALTHY_AFTER / 2, 1.0);
        assert_eq!(short, Some(Duration::from_secs(30)), "a short life is no health");
        let healthy = backoff.after(ErrorKind::Unreachable, HEALTHY_AFTER, 1.0);
        assert_eq!(healthy, Some(Duration::from_millis(500)));
        assert_eq!(backoff.after(ErrorKind::Unreachable, Duration::ZERO, 0.0), Some(SHORTEST));
        assert_eq!(backoff.after(ErrorKind::NotGranted, Duration::ZERO, 0.5), None);
    }

    #[test]
    fn a_flapping_network_does_not_hasten_a_wrong_password() {
        let mut backoff = Backoff::default();
        let mut last = Duration::ZERO;
        for _ in 0..5 {
            let wait = backoff.after(ErrorKind::Credentials, Duration::ZERO, 0.0).expect("retried");
            assert!(wait > last, "{wait:?} after {last:?}");
            last = wait;
            backoff.after(ErrorKind::Unreachable, Duration::ZERO, 0.0);
        }
    }

    #[test]
    fn an_output_is_tried_after_a_second_and_at_least_every_33() {
        let mut retry = Retry::new(OUTPUT);
        let waits: Vec<f64> =
            (0..7).map(|_| retry.after(HEALTHY_AFTER / 2, 0.0)).map(|w| w.as_secs_f64()).collect();
        assert_eq!(waits, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert_eq!(retry.after(Duration::ZERO, 1.0), Duration::from_secs(33));
        assert_eq!(retry.after(HEALTHY_AFTER, 0.5), Duration::from_millis(1050));
    }
}
