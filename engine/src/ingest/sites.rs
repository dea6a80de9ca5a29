//! How fast the cameras of one site may be connected: a token bucket for each site, so that a
//! thousand cameras that come back at once do not storm its network or its recorder.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::Moment;

/// The rate of new connections of one site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SiteRate {
    /// Connections per second in the long run.
    pub per_second: f64,
    /// Connections that may be made at once after a quiet time.
    pub burst: u32,
}

impl Default for SiteRate {
    /// 20 a second and 20 at once: a wall of 16 starts at once, a thousand cameras take 50 s.
    fn default() -> Self {
        SiteRate { per_second: 20.0, burst: 20 }
    }
}

/// The rate of new connections of this engine, whatever the sites: 8,000 cameras of 500 sites at once
/// would be a storm at our own end.
const WHOLE: SiteRate = SiteRate { per_second: 400.0, burst: 100 };

/// A token bucket in the form of a schedule (the generic cell rate algorithm): each caller is given
/// the moment at which it may go, in the order of asking, so nobody has to ask twice.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    interval: Duration,
    tolerance: Duration,
    /// When the bucket would be full again.
    full_at: Moment,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(rate: SiteRate) -> TokenBucket {
        let interval = Duration::from_secs_f64(1.0 / rate.per_second.clamp(0.001, 1e6));
        TokenBucket {
            interval,
            tolerance: interval * rate.burst.saturating_sub(1),
            full_at: Moment::default(),
        }
    }

    /// Takes a token; says when it may be used.
    pub fn reserve(&mut self, now: Moment) -> Moment {
        let full_at = self.full_at.max(now);
        self.full_at = full_at + self.interval;
        let early = u64::try_from(self.tolerance.as_nanos()).unwrap_or(u64::MAX);
        Moment(full_at.0.saturating_sub(early)).max(now)
    }

    fn is_full(&self, now: Moment) -> bool {
        self.full_at <= now
    }
}

/// The buckets of all sites. Cloning gives another handle.
#[derive(Clone, Debug, Default)]
pub struct Sites(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    rate: SiteRate,
    /// All sites together.
    whole: Option<TokenBucket>,
    buckets: HashMap<String, TokenBucket>,
}

impl Sites {
    /// Sites that all have this rate.
    pub fn new(rate: SiteRate) -> Sites {
        Sites(Arc::new(Mutex::new(Inner { rate, ..Inner::default() })))
    }

    /// When the next connection to `site` may be made.
    pub fn reserve(&self, site: &str, now: Moment) -> Moment {
        let mut inner = self.0.lock();
        if inner.buckets.len() >= 1024 && !inner.buckets.contains_key(site) {
            // A full bucket says no more than a new one.
            inner.buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        let rate = inner.rate;
        let now = inner.whole.get_or_insert_with(|| TokenBucket::new(WHOLE)).reserve(now);
        let bucket = inner.buckets.entry(site.to_owned()).or_insert_with(|| TokenBucket::new(rate));
        bucket.reserve(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: f64) -> Moment {
        Moment((s * 1e9) as u64)
    }

    #[test]
    fn a_thousand_cameras_at_once_come_at_the_rate() {
        let sites = Sites::default();
        let now = seconds(1000.0);
        let times: Vec<Moment> = (0..1000).map(|_| sites.reserve("recorder", now)).collect();
        assert_eq!(times.iter().filter(|t| **t == now).count(), 20, "the burst");
        for second in 0..49 {
            let from = now + Duration::from_secs(second);
            let within = times.iter().filter(|t| **t > from && **t <= from + Duration::from_secs(1)).count();
            assert_eq!(within, 20, "in second {second}");
        }
        assert_eq!(times[999].since(now), Duration::from_secs(49));
        assert!(times.is_sorted(), "in the order of asking");
        let another = sites.reserve("another site", now).since(now);
        assert!(another < Duration::from_secs(3), "sites do not wait for each other: {another:?}");
    }

    #[test]
    fn thousands_of_sites_at_once_are_no_storm_at_our_own_end() {
        let sites = Sites::default();
        let now = seconds(10.0);
        let times: Vec<Moment> = (0..8000).map(|n| sites.reserve(&format!("site {n}"), now)).collect();
        assert_eq!(times.iter().filter(|t| **t == now).count(), 100);
        assert!((19.0..21.0).contains(&times[7999].since(now).as_secs_f64()));
    }

    #[test]
    fn a_quiet_time_fills_the_bucket_and_no_more() {
        let mut bucket = TokenBucket::new(SiteRate { per_second: 1.0, burst: 3 });
        let at = |bucket: &mut TokenBucket, now: f64| bucket.reserve(seconds(now)).0 as f64 / 1e9;
        assert_eq!([0; 4].map(|_| at(&mut bucket, 0.0)), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!([0; 4].map(|_| at(&mut bucket, 1000.0)), [1000.0, 1000.0, 1000.0, 1001.0]);
    }
}
