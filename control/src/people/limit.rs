//! How often may be tried to log in: token buckets per account, per address, and per both.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use vitrail_engine::base::{Moment, SharedClock};

use super::secret::Hash;

/// What a bucket holds, and how long it takes until one more drops in.
#[derive(Clone, Copy, Debug)]
struct Size {
    tries: f64,
    every: Duration,
}

/// One account from one address: five tries, then one in twelve seconds.
const BOTH: Size = Size { tries: 5.0, every: Duration::from_secs(12) };
/// One address with any account. Several people may sit behind one.
const ADDRESS: Size = Size { tries: 20.0, every: Duration::from_secs(3) };
/// One account from anywhere: wide, so that a stranger cannot lock its owner out with a few tries.
const ACCOUNT: Size = Size { tries: 30.0, every: Duration::from_secs(6) };
/// Buckets at first; full ones are thrown away when there are more.
const SWEEP: usize = 1024;

/// Whose tries are counted. Accounts by a hash of what was typed, whether they exist or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Account(Hash),
    Address(IpAddr),
    Both(Hash, IpAddr),
}

impl Key {
    fn size(self) -> Size {
        match self {
            Key::Account(_) => ACCOUNT,
            Key::Address(_) => ADDRESS,
            Key::Both(..) => BOTH,
        }
    }
}

#[derive(Debug)]
struct Bucket {
    tries: f64,
    at: Moment,
    /// Somebody was turned away since the last try that was let in.
    told: bool,
}

impl Bucket {
    fn refill(&mut self, now: Moment, size: Size) {
        let more = now.since(self.at).as_secs_f64() / size.every.as_secs_f64();
        self.tries = (self.tries + more).min(size.tries);
        self.at = now;
    }
}

/// Too many tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften {
    /// When one more is taken.
    pub after: Duration,
    /// The first one that is turned away since one was let in: worth a record, the rest is not.
    pub first: bool,
}

/// The buckets, in memory only: a restart forgives.
pub struct Limits {
    clock: SharedClock,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    map: HashMap<Key, Bucket>,
    sweep_at: usize,
}

impl Limits {
    /// No tries yet, counted by this clock.
    pub fn new(clock: SharedClock) -> Limits {
        Limits { clock, buckets: Mutex::default() }
    }

    /// Takes one try for `account` (a hash of its name) from `address`, or says when to come back.
    pub fn take(&self, account: Hash, address: Option<IpAddr>) -> Result<(), TooOften> {
        let now = self.clock.now();
        let mut buckets = self.buckets.lock();
        buckets.sweep(now);
        let mut wait = None;
        let mut first = false;
        for key in keys(account, address) {
            let size = key.size();
            let bucket = buckets.map.entry(key).or_insert(Bucket { tries: size.tries, at: now, told: false });
            bucket.refill(now, size);
            if bucket.tries < 1.0 {
                wait = wait.max(Some(size.every.mul_f64(1.0 - bucket.tries)));
                first |= !std::mem::replace(&mut bucket.told, true);
            }
        }
        if let Some(after) = wait {
            return Err(TooOften { after, first });
        }
        for key in keys(account, address) {
            if let Some(bucket) = buckets.map.get_mut(&key) {
                bucket.tries -= 1.0;
                bucket.told = false;
            }
        }
        Ok(())
    }

    /// Gives a try back: it was the right password.
    pub fn give_back(&self, account: Hash, address: Option<IpAddr>) {
        let mut buckets = self.buckets.lock();
        for key in keys(account, address) {
            if let Some(bucket) = buckets.map.get_mut(&key) {
                bucket.tries = (bucket.tries + 1.0).min(key.size().tries);
            }
        }
    }
}

impl Buckets {
    fn sweep(&mut self, now: Moment) {
        if self.map.len() < self.sweep_at.max(SWEEP) {
            return;
        }
        self.map.retain(|key, bucket| {
            bucket.refill(now, key.size());
            bucket.tries < key.size().tries
        });
        self.sweep_at = self.map.len() * 2;
    }
}

fn keys(account: Hash, address: Option<IpAddr>) -> impl Iterator<Item = Key> {
    let address = address.map(network);
    [
        Some(Key::Account(account)),
        address.map(Key::Address),
        address.map(|address| Key::Both(account, address)),
    ]
    .into_iter()
    .flatten()
}

/// An IPv6 host has a whole /64 to come from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitrail_engine::base::SimClock;

    const ANNA: Hash = [1; 32];

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    fn tries(limits: &Limits, account: Hash, address: Option<IpAddr>) -> usize {
        (0..1000).take_while(|_| limits.take(account, address).is_ok()).count()
    }

    #[test]
    fn tries_run_out_and_come_back_with_time() {
        let clock = SimClock::new();
        let limits = Limits::new(clock.clone());
        assert_eq!(tries(&limits, ANNA, address(1)), 5);
        let turned_away = limits.take(ANNA, address(1)).expect_err("empty");
        assert_eq!(
            turned_away,
            TooOften { after: Duration::from_secs(12), first: false },
            "the first was in `tries`"
        );
        clock.advance(Duration::from_secs(12));
        assert_eq!(tries(&limits, ANNA, address(1)), 1);
        limits.give_back(ANNA, address(1));
        assert_eq!(tries(&limits, ANNA, address(1)), 1, "the right password costs nothing");
        clock.advance(Duration::from_secs(3600));
        assert_eq!(tries(&limits, ANNA, address(1)), 5, "never more than the bucket holds");
    }

    #[test]
    fn only_the_first_that_is_turned_away_is_news() {
        let clock = SimClock::new();
        let limits = Limits::new(clock.clone());
        for _ in 0..5 {
            limits.take(ANNA, address(1)).expect("a try");
        }
        assert!(limits.take(ANNA, address(1)).expect_err("empty").first);
        assert!(!limits.take(ANNA, address(1)).expect_err("empty").first);
        clock.advance(Duration::from_secs(12));
        limits.take(ANNA, address(1)).expect("a try");
        assert!(limits.take(ANNA, address(1)).expect_err("empty again").first);
    }

    #[test]
    fn an_address_and_an_account_have_limits_of_their_own() {
        let limits = Limits::new(SimClock::new());
        let by_address: usize = (0..100).map(|n| tries(&limits, [n; 32], address(1))).sum();
        assert_eq!(by_address, 20, "many accounts from one address");
        let limits = Limits::new(SimClock::new());
        let by_account: usize = (0..100).map(|n| tries(&limits, ANNA, address(n))).sum();
        assert_eq!(by_account, 30, "one account from many addresses");
        let v6 = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        let limits = Limits::new(SimClock::new());
        assert_eq!(tries(&limits, ANNA, v6("2001:db8::1")), 5);
        assert_eq!(tries(&limits, ANNA, v6("2001:db8::2")), 0, "the same /64");
        assert_eq!(tries(&limits, ANNA, v6("2001:db8:0:1::2")), 5);
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let clock = SimClock::new();
        let limits = Limits::new(clock.clone());
        for n in 0..5000u32 {
            let mut account = [0; 32];
            account[..4].copy_from_slice(&n.to_le_bytes());
            let _ = limits.take(account, None);
            clock.advance(Duration::from_secs(6));
        }
        assert!(limits.buckets.lock().map.len() <= SWEEP);
    }
}
