//! What a scan reads of a stream's units: when each is shown, where decoding may begin, what is wrong with them.

use ffmpeg_next as ff;

use super::hardness::Hardness;
use super::refresh::Refresh;
use crate::source::demux_ffi::is_hidden;

/// What was read of the units.
pub struct ScannedUnits {
    pub hardness: Hardness,
    pub refresh: Refresh,
    pub hard: u64,
    pub times: Vec<Option<i64>>,
    /// Decoding times, as long as each is later than the one before.
    pub decode: Option<Vec<i64>>,
    pub hidden: Vec<u64>,
    pub keys: Vec<KeyUnit>,
    pub bytes: u64,
    pub last: Option<LastUnit>,
    pub untimed: bool,
    pub damaged: u64,
}

/// A unit with which decoding may begin.
#[derive(Clone, Copy, Debug)]
pub struct KeyUnit {
    pub number: u64,
    /// Bytes of all units before it, and how hard those were.
    pub bytes: u64,
    pub hard: u64,
}

/// The unit that is shown last, with the longest duration that is stated of it.
#[derive(Clone, Copy, Debug)]
pub struct LastUnit {
    pub time: i64,
    pub duration: i64,
}

impl ScannedUnits {
    pub fn new(hardness: Hardness, refresh: Refresh) -> ScannedUnits {
        ScannedUnits {
            hardness,
            refresh,
            hard: 0,
            times: Vec::new(),
            decode: Some(Vec::new()),
            hidden: Vec::new(),
            keys: Vec::new(),
            bytes: 0,
            last: None,
            untimed: false,
            damaged: 0,
        }
    }

    pub fn add(&mut self, packet: &ff::Packet) {
        let number = self.times.len() as u64;
        let hidden = is_hidden(packet);
        if hidden {
            self.hidden.push(number);
        }
        self.refresh.note(number, packet.is_key(), packet.data().unwrap_or_default());
        if packet.is_key() {
            self.keys.push(KeyUnit { number, bytes: self.bytes, hard: self.hard });
        }
        self.bytes += packet.size() as u64;
        self.hard += self.hardness.of(packet.data().unwrap_or_default()) as u64;
        self.damaged += u64::from(packet.is_corrupt());
        self.untimed |= packet.pts().is_none();
        self.decode = self.decode.take().and_then(|mut times| {
            let time = packet.dts().filter(|time| times.last().is_none_or(|last| last < time))?;
            times.push(time);
            Some(times)
        });
        let time = packet.pts().filter(|_| !hidden);
        if let Some(time) = time
            && self.last.is_none_or(|last| time >= last.time)
        {
            self.last = Some(LastUnit { time, duration: packet.duration() });
        }
        self.times.push(time);
    }

    /// How many have the time of another one.
    pub fn sharing(&self) -> usize {
        let mut times: Vec<i64> = self.times.iter().flatten().copied().collect();
        let all = times.len();
        times.sort_unstable();
        times.dedup();
        all - times.len()
    }

    /// No picture is shown before one that is decoded before it.
    pub fn ascend(&self) -> bool {
        self.times.iter().flatten().is_sorted()
    }

    /// Moves pictures of one and the same time a tick apart, in the order in which they are shown: each
    /// of them was recorded, and a time that is taken would lose it.
    pub fn part(&mut self, order: &[u64]) {
        let mut newest = None;
        for unit in order {
            let Some(Some(time)) = usize::try_from(*unit).ok().and_then(|unit| self.times.get_mut(unit))
            else {
                continue;
            };
            *time = newest.map_or(*time, |newest: i64| newest.saturating_add(1).max(*time));
            newest = Some(*time);
        }
        if let (Some(last), Some(newest)) = (&mut self.last, newest) {
            last.time = newest.max(last.time);
        }
    }

    /// Gives pictures the times that their order says; units without a picture have none.
    pub fn count(&mut self, order: &[u64], first_key: u64) {
        let shown = order.iter().filter(|unit| **unit >= first_key);
        let timed: Vec<(u64, i64)> = shown.copied().zip(0..).collect();
        self.give(&timed);
    }

    /// Empty chunks lie between units, which count as time: nothing changed in it.
    pub fn decoded_with_gaps(&self) -> bool {
        let Some(([first, .., last], count)) = self.decode.as_deref().map(|times| (times, times.len()))
        else {
            return false;
        };
        last.abs_diff(*first) >= count as u64
    }

    /// Gives pictures the times at which they are decoded, in the order in which they are shown.
    pub fn take_decoding_times(&mut self, order: &[u64], first_key: u64) {
        let shown: Vec<u64> = order.iter().copied().filter(|unit| *unit >= first_key).collect();
        let time = |unit: &u64| self.decode.as_ref().and_then(|times| times.get(*unit as usize).copied());
        let mut times: Vec<i64> = shown.iter().filter_map(time).collect();
        times.sort_unstable();
        let timed: Vec<(u64, i64)> = shown.into_iter().zip(times).collect();
        self.give(&timed);
    }

    pub fn give(&mut self, timed: &[(u64, i64)]) {
        self.times.fill(None);
        for (unit, time) in timed {
            if let Some(slot) = usize::try_from(*unit).ok().and_then(|unit| self.times.get_mut(unit)) {
                *slot = Some(*time);
                self.last = Some(LastUnit { time: *time, duration: 1 });
            }
        }
        let shows = |unit: u64| self.times.get(unit as usize).is_some_and(Option::is_some);
        let hidden = &self.hidden;
        self.keys.retain(|key| shows(key.number) || hidden.binary_search(&key.number).is_ok());
    }

    /// When what can be decoded from each key frame begins: with itself, or where an edit list leaves it out, with
    /// the first picture that is shown of its group, or of those that lead the next one's. `None`: with nothing.
    pub fn begins(&self) -> Vec<Option<i64>> {
        let unit = |at: usize| self.keys.get(at).map_or(self.times.len(), |key| key.number as usize);
        let mut begins = vec![None; self.keys.len()];
        for at in (0..self.keys.len()).rev() {
            begins[at] = match self.hidden.binary_search(&self.keys[at].number) {
                Err(_) => self.times[unit(at)],
                Ok(_) => {
                    let first = self.times[unit(at)..unit(at + 2)].iter().flatten().min().copied();
                    let next = begins.get(at + 1).copied().flatten();
                    first.filter(|first| next.is_none_or(|next| *first < next))
                }
            };
        }
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units with these times, as a container may tell any.
    fn told(times: &[i64]) -> ScannedUnits {
        let codec = ff::codec::Id::MJPEG;
        let mut units = ScannedUnits::new(Hardness::new(codec, &[]), Refresh::new(codec, &[]));
        for time in times {
            let mut packet = ff::Packet::copy(&[0]);
            packet.set_pts(Some(*time));
            packet.set_dts(Some(*time));
            packet.set_flags(ff::codec::packet::Flags::KEY);
            units.add(&packet);
        }
        units
    }

    #[test]
    fn no_time_is_too_late_to_be_parted_from_another() {
        let mut units = told(&[i64::MAX - 1, i64::MAX - 1, i64::MAX - 1]);
        assert_eq!(units.sharing(), 2);
        units.part(&[0, 1, 2]);
        assert_eq!(units.times, [Some(i64::MAX - 1), Some(i64::MAX), Some(i64::MAX)]);
        assert!(told(&[i64::MIN + 1, i64::MAX]).decoded_with_gaps());
        assert!(!told(&[0, 1, 2]).decoded_with_gaps() && told(&[0, 1, 3]).decoded_with_gaps());
    }
}
