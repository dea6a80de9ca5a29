//! Where a source is cut into segments: at key frames, alike in length, in rounds of all workers. Pure.

use std::ops::Range;
use std::time::Duration;

use crate::media::Ratio;
use crate::transcode::input::scan::{Footage, Key};
use crate::transcode::time::TimeBase;

/// Segments are at least about so long: at each seam the encoder's look-ahead begins anew, which costs
/// quality; longer ones cost work that an interruption loses.
const SEGMENT: Duration = Duration::from_secs(20);
/// At an average rate there are about so many, each as long as this at least: later ones make up for what
/// earlier ones fell short of.
const SEGMENTS_AT_RATE: u32 = 16;
const SEGMENT_AT_RATE: Duration = Duration::from_secs(8);
/// What is no longer than this is not cut: it comes out as a single run of the encoder makes it.
const WHOLE: Duration = Duration::from_secs(30);
/// Threads of a segment that is made last: more help an encoder less and less.
const LAST_THREADS: usize = 4;
/// A segment that is steered to its rate has at least so many times the pictures that its encoder holds back.
const STEERED: u64 = 3;

/// A part of the source that is encoded by itself. Ticks are the source's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub index: usize,
    /// Units that are decoded: from the first, a key frame, until before the last.
    pub units: Range<u64>,
    /// Where an editor that looks at neighbours begins to decode.
    pub neighbours_from: u64,
    /// When its pictures are shown: from, until before.
    pub from: i64,
    pub to: i64,
    /// How many pictures of the source that is.
    pub pictures: u64,
    /// Threads of its encoders.
    pub threads: usize,
    /// Bytes of its units.
    pub bytes: u64,
    /// How hard its pictures were for who coded the source, about.
    pub hard: u64,
}

/// How often pictures of the result come.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// A second, about.
    pub pictures: Ratio,
    /// Exactly so often, whatever the source's times are.
    pub is_constant: bool,
}

/// What encoders ask of their segments.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// Pictures from one key frame of the result to the next.
    pub gop: u32,
    /// An average rate is asked for.
    pub is_rated: bool,
    /// Pictures that an encoder which is steered holds back.
    pub held_back: u64,
}

/// The fewest pictures of a segment, as they come out: at a frame rate where one is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Least {
    pictures: u64,
    frame_rate: Option<Ratio>,
}

/// The segments of what is encoded between two times.
pub fn encoded(
    footage: &Footage,
    range: &Range<i64>,
    rate: Rate,
    needs: Needs,
    share: usize,
) -> Vec<Segment> {
    let whole = range.end - range.start;
    let share_of_all = Duration::from_secs_f64(footage.seconds(whole).max(0.0) / f64::from(SEGMENTS_AT_RATE));
    let usual = if needs.is_rated { share_of_all.clamp(SEGMENT_AT_RATE, SEGMENT) } else { SEGMENT };
    let most = longest(footage, usual, f64::from(needs.gop) / rate.pictures.as_f64().max(0.01));
    let most = if whole <= footage.ticks(WHOLE) { whole.max(most) } else { most };
    let least =
        Least { pictures: STEERED * needs.held_back, frame_rate: rate.is_constant.then_some(rate.pictures) };
    cut(footage, range, most, share, least)
}

/// The longest a segment may be: whole GOPs of the result, so that cuts cost no key frames.
fn longest(footage: &Footage, usual: Duration, gop_seconds: f64) -> i64 {
    let gops = (usual.as_secs_f64() / gop_seconds.max(0.04)).ceil().max(1.0);
    footage.ticks(Duration::from_secs_f64((gop_seconds * gops).min(60.0)))
}

/// Equal parts, as many as bring each below `most`: rounds of all `share` workers, and a few that are made
/// last with several threads each, so that none idles while another makes the last one. Each begins at the
/// key frame that is nearest, and has `least` pictures.
fn cut(footage: &Footage, range: &Range<i64>, most: i64, share: usize, least: Least) -> Vec<Segment> {
    let (from, to) = (range.start, range.end);
    let mut shown: Vec<i64> = footage.times.iter().flatten().copied().collect();
    shown.sort_unstable();
    let before = |time: i64| shown.partition_point(|t| *t < time) as u64;
    let pictures = |from: i64, to: i64| before(to) - before(from).min(before(to));
    let made = |from: i64, to: i64| made(footage, from..to, pictures(from, to), least.frame_rate);
    let least = least.pictures;
    // A tenth more than a whole number of parts is no reason for another.
    let most = most.max(10);
    let parts = u64::try_from((to - from - most / 10 + most - 1) / most).unwrap_or(1);
    let parts = parts.min(made(from, to) / least.max(1)).max(1);
    let last = last_ones(share);
    let rounds = last + parts.saturating_sub(last).max(1).next_multiple_of(share.max(1) as u64);
    // Many workers make the parts of a short job with several threads each, instead of ever shorter ones.
    let is_long = (to - from) / i64::try_from(rounds).unwrap_or(i64::MAX) >= most / 4;
    let parts = if parts > 1 && is_long && made(from, to) / rounds >= least { rounds } else { parts };
    let inside: Vec<Key> = footage.keys.iter().copied().filter(|k| k.pts > from && k.pts < to).collect();
    let mut cuts = vec![key_before(footage, from)];
    let mut next_key = 0;
    for part in 1..parts {
        let wish = from + (i128::from(to - from) * i128::from(part) / i128::from(parts)) as i64;
        let near = |at: usize| inside.get(at).map(|key| (key.pts - wish).abs());
        while near(next_key + 1).is_some_and(|next| near(next_key).is_some_and(|this| next <= this)) {
            next_key += 1;
        }
        let Some(key) = inside.get(next_key) else { break };
        let this = if cuts.len() > 1 { cuts[cuts.len() - 1].pts } else { from };
        let enough = made(this, key.pts) >= least && made(key.pts, to) >= least;
        if enough && cuts.last().is_some_and(|last| last.unit < key.unit) {
            cuts.push(*key);
        }
    }
    let part = |(index, cut): (usize, &Key)| {
        let next = cuts.get(index + 1);
        let (begin, end) = (if index == 0 { from } else { cut.pts }, next.map_or(to, |n| n.pts));
        let units = cut.unit..last_unit(footage, cut.unit, end, next);
        let after = next.or_else(|| footage.keys.iter().find(|key| key.pts >= to && key.unit > cut.unit));
        let (bytes_end, hard_end, behind) = after
            .map_or((footage.unit_bytes, footage.hard, footage.end), |key| (key.bytes, key.hard, key.pts));
        let hard = hard_end.saturating_sub(cut.hard);
        let shown = ((end - begin) as f64 / (behind - cut.pts).max(1) as f64).min(1.0);
        let before = footage.keys.partition_point(|k| k.unit < cut.unit).checked_sub(1);
        Segment {
            index,
            units,
            neighbours_from: before.map_or(cut.unit, |at| footage.keys[at].unit),
            from: begin,
            to: end,
            pictures: pictures(begin, end),
            threads: 1,
            bytes: bytes_end.saturating_sub(cut.bytes),
            hard: (hard as f64 * shown) as u64,
        }
    };
    cuts.iter().enumerate().map(part).collect()
}

/// Segments that are made last, by all of `share` workers' threads.
fn last_ones(share: usize) -> u64 {
    if share > 1 { share.div_ceil(LAST_THREADS) as u64 } else { 0 }
}

/// All that is copied: in decoding order, so that nothing at its end lacks what it refers to.
pub fn copied(footage: &Footage, range: &Range<i64>) -> Vec<Segment> {
    let (from, to) = (range.start, range.end);
    let unit =
        footage.keys.iter().rev().find(|key| key.own <= from).or(footage.keys.first()).map_or(0, |k| k.unit);
    let until = last_unit(footage, unit, to, None);
    let times = footage.times.iter().take(until as usize).skip(unit as usize).flatten();
    let pictures = times.filter(|t| **t >= from).count() as u64;
    vec![Segment {
        index: 0,
        units: unit..until,
        neighbours_from: unit,
        from,
        to,
        pictures,
        threads: 1,
        bytes: footage.unit_bytes,
        hard: footage.hard,
    }]
}

/// One after the last unit that a segment needs: leading pictures of an open GOP lie behind the key frame
/// that follows and before the one after it, and one more picture for an editor that looks at neighbours.
pub fn last_unit(footage: &Footage, first: u64, to: i64, next: Option<&Key>) -> u64 {
    let after = next.and_then(|n| footage.keys.iter().find(|key| key.unit > n.unit && key.own >= to));
    let until = after.map_or(footage.times.len(), |key| key.unit as usize);
    let units = footage.times.iter().enumerate().take(until).skip(first as usize);
    let last = units.filter(|(_, t)| t.is_some_and(|t| t < to)).map(|(unit, _)| unit as u64).next_back();
    let neighbour = next.map_or(0, |n| n.unit + 1);
    last.map_or(first + 1, |l| l + 1).max(neighbour)
}

/// Segments that fill no round of all workers get the threads of the workers that would idle.
pub fn give_threads(segments: &mut [Segment], share: usize) {
    let share = share.max(1);
    let whole = segments.len() / share * share;
    let rest = segments.len() - whole;
    for segment in segments.iter_mut().skip(whole) {
        segment.threads = (share / rest.max(1)).max(1);
    }
}

/// The last key frame that is not after a time.
pub fn key_before(footage: &Footage, time: i64) -> Key {
    let before = footage.keys.iter().rev().find(|key| key.pts <= time);
    before.or(footage.keys.first()).copied().unwrap_or(Key { unit: 0, pts: 0, own: 0, bytes: 0, hard: 0 })
}

/// Pictures that come out of a segment.
pub fn made_of(segment: &Segment, frame_rate: Option<Ratio>, footage: &Footage) -> u64 {
    made(footage, segment.from..segment.to, segment.pictures, frame_rate)
}

/// Pictures that come out of a range of the source that shows so many.
fn made(footage: &Footage, ticks: Range<i64>, shown: u64, frame_rate: Option<Ratio>) -> u64 {
    match frame_rate {
        Some(rate) => (footage.seconds(ticks.end - ticks.start) * rate.as_f64()).round() as u64,
        None => shown,
    }
}

/// The first tick of a frame rate that is not before a time, both from zero. A time that is at most a
/// tick of its own clock after it counts as on it: containers round.
pub fn tick_from(time: i64, base: TimeBase, rate: Ratio) -> u64 {
    let over = i128::from(base.den) * i128::from(rate.den);
    let scaled = |time: i64| i128::from(time) * i128::from(base.num) * i128::from(rate.num);
    // A clock of the rate itself rounds nothing.
    let slack = if over % (i128::from(base.num) * i128::from(rate.num)) == 0 { 0 } else { 1 };
    let ticks = (scaled(time - slack) + over - 1).div_euclid(over);
    u64::try_from(ticks.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ffmpeg_next::codec::Id;

    use super::*;
    use crate::media::Orientation;
    use crate::transcode::codec::decoder::SharedParameters;

    /// So many pictures at 25 a second, a key frame every so many; after a key frame two pictures that are
    /// shown before it, where its group is open.
    fn footage(pictures: i64, key_every: i64, open: bool) -> Footage {
        let mut times: Vec<Option<i64>> = (0..pictures).map(Some).collect();
        let mut keys = Vec::new();
        for key in (0..pictures).step_by(key_every as usize) {
            let unit = if open && key > 0 && key_every > 2 { key - 2 } else { key };
            if unit != key {
                times[unit as usize..=key as usize].rotate_right(1);
            }
            keys.push(Key {
                unit: unit as u64,
                pts: key,
                own: key,
                bytes: unit as u64 * 1000,
                hard: unit as u64 * 1000,
            });
        }
        Footage {
            path: PathBuf::from("made.mp4"),
            format: "mov".into(),
            bytes: 0,
            modified: 0,
            video: SharedParameters::new(&ffmpeg_next::codec::Parameters::new()),
            codec: Id::H264,
            size: (640, 360),
            time_base: TimeBase { num: 1, den: 25 },
            frame_rate: Ratio { num: 25, den: 1 },
            rate_is_told: true,
            orientation: Some(Orientation::UPRIGHT),
            zero: 0,
            times,
            counted: false,
            hidden: Vec::new(),
            keys,
            refreshes: false,
            unit_bytes: pictures as u64 * 1000,
            hard: pictures as u64 * 1000,
            quantisers: false,
            end: pictures,
            sound: None,
            faults: Vec::new(),
            cut: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn every_picture_belongs_to_one_segment() {
        for (pictures, key_every) in
            [(1, 50), (249, 250), (1500, 50), (1501, 50), (1000, 1), (997, 37), (900, 900)]
        {
            for (from, to) in [(0, pictures), (pictures / 3, pictures - pictures / 5)] {
                for (share, open) in [(1, false), (2, true), (5, false)] {
                    let footage = footage(pictures, key_every, open);
                    let segments = cut(&footage, &(from..to), 250, share, Least::default());
                    assert_eq!((segments[0].from, segments[segments.len() - 1].to), (from, to));
                    assert!(segments.windows(2).all(|w| w[0].to == w[1].from && w[0].from < w[0].to));
                    let sum: u64 = segments.iter().map(|s| s.pictures).sum();
                    assert_eq!(sum, footage.pictures(from, to), "{pictures} {key_every} {share} {open}");
                    for segment in &segments {
                        let units = segment.units.start as usize..segment.units.end as usize;
                        let held = footage.times[units].iter().flatten();
                        let inside = held.filter(|t| (segment.from..segment.to).contains(*t)).count() as u64;
                        assert_eq!(inside, segment.pictures, "all that it shows is among what it decodes");
                    }
                }
            }
        }
    }

    #[test]
    fn segments_are_alike_and_fill_rounds_of_all_workers() {
        let segments = |pictures, share| {
            cut(&footage(pictures, 50, false), &(0..pictures), 250, share, Least::default())
        };
        let lengths = |pictures, share| -> Vec<i64> {
            segments(pictures, share).iter().map(|s| (s.to - s.from) / 50).collect()
        };
        assert_eq!(lengths(1250, 2), [5; 5], "two rounds and one for both, in whole GOPs of the result");
        assert_eq!(lengths(1260, 2).len(), 5, "a little more is no reason for another");
        assert_eq!(lengths(1500, 2), [4, 5, 4, 4, 4, 5, 4], "three rounds and one for both");
        assert_eq!(lengths(750, 2), [5; 3], "one round and one for both");
        assert_eq!(lengths(1500, 1), [5; 6], "one worker never waits for another");
        assert_eq!(lengths(200, 2), [4], "a short one gets threads instead");
        assert_eq!(segments(750, 16).len(), 3, "nothing is cut to pieces for many workers");
        let mut threads = segments(1500, 2);
        give_threads(&mut threads, 2);
        assert_eq!(threads.iter().map(|s| s.threads).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 1, 2]);
        let mut one = segments(200, 2);
        give_threads(&mut one, 2);
        assert_eq!(one[0].threads, 2);
    }

    #[test]
    fn no_segment_has_fewer_pictures_than_it_must() {
        let lengths = |share, (pictures, frame_rate): (u64, Option<Ratio>), at: &[i64]| -> Vec<i64> {
            let mut footage = footage(1500, 50, false);
            footage.keys.retain(|key| at.is_empty() || at.contains(&key.pts));
            cut(&footage, &(0..1500), 250, share, Least { pictures, frame_rate })
                .iter()
                .map(|s| s.to - s.from)
                .collect()
        };
        assert_eq!(lengths(16, (0, None), &[]).len(), 20, "four of all workers, and a round");
        assert_eq!(lengths(16, (200, None), &[]), [250; 6]);
        let half = Some(Ratio { num: 25, den: 2 });
        assert_eq!(lengths(2, (200, half), &[]), [500; 3], "of those that come out");
        let uneven = [0, 400, 450, 900, 1450];
        assert_eq!(lengths(2, (0, None), &uneven), [400, 50, 450, 550, 50]);
        assert_eq!(lengths(2, (150, None), &uneven), [400, 500, 600]);
    }

    #[test]
    fn ticks_take_the_newest_picture_that_is_not_after_them() {
        let fps = |num, den| Ratio { num, den };
        let base = |den| TimeBase { num: 1, den };
        // 25 pictures a second on a clock of milliseconds: 0, 40, 80, …
        let at = |ms| tick_from(ms, base(1000), fps(25, 1));
        assert_eq!([at(0), at(40), at(41), at(80)], [0, 1, 2, 2]);
        // Milliseconds round 29.97 pictures a second: 33.37 is written as 33 or 34.
        let at = |ms| tick_from(ms, base(1000), fps(30000, 1001));
        assert_eq!([at(33), at(34), at(67), at(100)], [1, 1, 2, 3]);
        assert_eq!(tick_from(-5, base(1000), fps(25, 1)), 0);
        assert_eq!(tick_from(7, base(25), fps(25, 1)), 7, "a clock of the rate itself rounds nothing");
    }
}
