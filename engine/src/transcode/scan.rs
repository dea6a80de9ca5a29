//! Reads a source once without decoding it: what it holds, where it can be cut, what is wrong with it.

use std::path::PathBuf;
use std::time::Duration;

use ffmpeg_next as ff;

use super::decoder::{PictureDecoder, Purpose, SharedParameters};
use super::frames::Heads;
use super::hardness::Hardness;
use super::held::HeldSource;
use super::reader::{Read, Reader, nanos, rational};
use super::refresh::Refresh;
use crate::base::{Error, ErrorKind, Result, Shutdown};
use crate::media::Ratio;

/// The rate of a source that does not tell its own, as FFmpeg assumes it.
const ASSUMED_RATE: Ratio = Ratio { num: 25, den: 1 };
/// A source that ends this much before it says it does was cut.
const CUT: i64 = 1_000_000_000;
/// A source tells no times where more than one picture in so many has the time of another one.
const MOST_SHARE_IN: usize = 4;
/// Byte streams of pictures alone, by libavformat's names. They have no times.
const RAW: [&str; 2] = ["h264", "hevc"];
/// Packets of another kind in a row that tell a change of the sound from damage.
const UNLIKE: u32 = 4;
/// Containers whose stated duration was written when they were whole.
const TELL_DURATION: [&str; 4] = ["mov", "matroska", "avi", "flv"];

/// A place where a source can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The number of its unit.
    pub unit: u64,
    /// From when on all is shown as it was, in ticks: where pictures are refreshed piece by piece, later than
    /// itself. The first of a source shows what is there.
    pub pts: i64,
    /// When it is shown itself.
    pub own: i64,
    /// Bytes of all units before it.
    pub bytes: u64,
    /// And how hard those were.
    pub hard: u64,
}

/// What is known of a source. Times are in ticks of `time_base`; the first key frame is at zero.
pub(super) struct Footage {
    pub path: PathBuf,
    pub format: String,
    pub bytes: u64,
    /// Changed last, nanoseconds since 1970.
    pub modified: i64,
    pub video: SharedParameters,
    pub codec: ff::codec::Id,
    pub size: (u32, u32),
    pub time_base: (i64, i64),
    pub frame_rate: Ratio,
    /// The frame rate is told, not assumed.
    pub rate_is_told: bool,
    /// Degrees clockwise; `None` where the file asks for something else than a turn.
    pub turn: Option<i32>,
    /// What zero is in the stream's own ticks.
    pub zero: i64,
    /// When each unit is shown; `None` where it gives no picture that is. Units count from the first in
    /// the file.
    pub times: Vec<Option<i64>>,
    /// Times came from counting pictures: the source has none.
    pub counted: bool,
    pub keys: Vec<Key>,
    /// The first of them is not whole: what is shown until it is refreshed lacks what came before it.
    pub refreshes: bool,
    /// Bytes of all units.
    pub unit_bytes: u64,
    /// How hard all units were: as [`Hardness`] says, or else their bytes.
    pub hard: u64,
    /// Their quantisers told how hard they were.
    pub quantisers: bool,
    /// The end of the last picture.
    pub end: i64,
    pub sound: Option<SoundTrack>,
    /// What is wrong with it, for people.
    pub faults: Vec<String>,
    /// It ends before it says it does: a part is missing.
    pub cut: Option<String>,
    /// What is worth saying, and no fault.
    pub notes: Vec<String>,
}

/// The sound of a source.
pub(super) struct SoundTrack {
    pub parameters: SharedParameters,
    pub time_base: (i64, i64),
    pub packets: u64,
    /// Its rate or channels change on the way.
    pub changes: bool,
    /// Packets that do not begin with a frame: nothing can be heard of them.
    pub headless: u64,
    heads: Heads,
    kind: Option<u32>,
    /// Packets in a row that are of another kind.
    unlike: u32,
}

impl SoundTrack {
    fn new(stream: &ff::Stream<'_>) -> SoundTrack {
        let parameters = stream.parameters();
        SoundTrack {
            time_base: rational(stream.time_base()),
            packets: 0,
            changes: false,
            headless: 0,
            heads: Heads::of(&parameters),
            kind: None,
            unlike: 0,
            parameters: SharedParameters::new(&parameters),
        }
    }

    fn note(&mut self, packet: &ff::Packet) {
        self.packets += 1;
        let Some(kind) = self.heads.kind(packet.data().unwrap_or_default()) else {
            self.headless += 1;
            return;
        };
        self.unlike = if *self.kind.get_or_insert(kind) == kind { 0 } else { self.unlike + 1 };
        self.changes |= self.unlike >= UNLIKE;
    }
}

impl Footage {
    /// Pictures that are shown in a range of ticks.
    pub fn pictures(&self, from: i64, to: i64) -> u64 {
        self.times.iter().flatten().filter(|t| (from..to).contains(*t)).count() as u64
    }

    /// Its pictures are predicted from others: what they take tells how much moves in them.
    pub fn predicts(&self) -> bool {
        self.keys.len() * 2 < self.times.len()
    }

    /// Ticks as seconds.
    pub fn seconds(&self, ticks: i64) -> f64 {
        ticks as f64 * self.time_base.0 as f64 / self.time_base.1 as f64
    }

    /// A time as ticks, rounded down.
    pub fn ticks(&self, time: Duration) -> i64 {
        let (num, den) = self.time_base;
        let ticks = time.as_nanos() as i128 * i128::from(den) / (i128::from(num) * 1_000_000_000);
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }
}

/// Reads a source; `None` where `stop` came first.
///
/// # Errors
/// What [`Reader::open`] says; `Corrupt` where no picture in it can be decoded from.
pub(super) fn scan(source: &HeldSource, nth: usize, stop: &Shutdown) -> Result<Option<Footage>> {
    let subject = || source.path().display().to_string();
    let mut reader = source.reader(nth)?;
    let mut footage = describe(&reader, source.known())?;
    let record = crate::source::demux_ffi::extradata(&footage.video.get());
    let mut units = Units::new(Hardness::new(footage.codec, &record), Refresh::new(footage.codec, &record));
    while let Some(read) = reader.next() {
        if stop.is_cancelled() {
            return Ok(None);
        }
        if reader.encrypted() {
            let message = "is encrypted; decrypt it first, no key can be given here";
            return Err(Error::new(ErrorKind::Unsupported, subject(), message));
        }
        match read {
            Read::Unit(unit) => units.add(&unit.packet),
            Read::Sound(packet) => {
                if let Some(sound) = &mut footage.sound {
                    sound.note(&packet);
                }
            }
        }
    }
    let Some(first) = units.keys.first().copied() else {
        let message = if units.times.is_empty() {
            "holds no picture that can be read; it may be encrypted, damaged or cut off before its first"
        } else {
            "holds no key frame, so nothing in it can be decoded; is it a part of a longer recording?"
        };
        return Err(Error::new(ErrorKind::Corrupt, subject(), message));
    };
    footage.refreshes = units.refresh.whole(first.0) != Some(first.0);
    let sharing = units.sharing();
    if units.untimed || sharing > units.times.len() / MOST_SHARE_IN {
        let Some(order) = display_order(source, nth, &footage, stop)? else { return Ok(None) };
        units.count(&order, first.0);
        footage.counted = true;
        footage.time_base = (i64::from(footage.frame_rate.den), i64::from(footage.frame_rate.num));
    }
    if sharing > 0 && !footage.counted {
        let order = if units.ascend() {
            (0..units.times.len() as u64).collect()
        } else {
            let Some(order) = display_order(source, nth, &footage, stop)? else { return Ok(None) };
            order
        };
        units.part(&order);
        footage
            .notes
            .push(format!("{sharing} of its pictures have another one's time; they are kept a tick apart"));
    }
    footage.take(units, &reader);
    if footage.pictures(0, i64::MAX) == 0 {
        let message = "holds no picture that can be decoded; it may be encrypted or damaged";
        return Err(Error::new(ErrorKind::Corrupt, subject(), message));
    }
    footage.judge(&reader);
    Ok(Some(footage))
}

/// What was read of the units.
struct Units {
    hardness: Hardness,
    refresh: Refresh,
    hard: u64,
    times: Vec<Option<i64>>,
    /// Number, bytes and hardness before.
    keys: Vec<(u64, u64, u64)>,
    bytes: u64,
    /// The longest stated duration of the unit that is shown last.
    last: Option<(i64, i64)>,
    untimed: bool,
    damaged: u64,
}

impl Units {
    fn new(hardness: Hardness, refresh: Refresh) -> Units {
        Units {
            hardness,
            refresh,
            hard: 0,
            times: Vec::new(),
            keys: Vec::new(),
            bytes: 0,
            last: None,
            untimed: false,
            damaged: 0,
        }
    }

    fn add(&mut self, packet: &ff::Packet) {
        let hidden = packet.flags().bits() & DISCARD != 0;
        let is_key = packet.is_key() && !hidden;
        self.refresh.note(self.times.len() as u64, is_key, packet.data().unwrap_or_default());
        if is_key {
            self.keys.push((self.times.len() as u64, self.bytes, self.hard));
        }
        self.bytes += packet.size() as u64;
        self.hard += self.hardness.of(packet.data().unwrap_or_default()) as u64;
        self.damaged += u64::from(packet.is_corrupt());
        self.untimed |= packet.pts().is_none();
        let time = packet.pts().filter(|_| !hidden);
        if let Some(time) = time
            && self.last.is_none_or(|(last, _)| time >= last)
        {
            self.last = Some((time, packet.duration()));
        }
        self.times.push(time);
    }

    /// How many have the time of another one.
    fn sharing(&self) -> usize {
        let mut times: Vec<i64> = self.times.iter().flatten().copied().collect();
        let all = times.len();
        times.sort_unstable();
        times.dedup();
        all - times.len()
    }

    /// No picture is shown before one that is decoded before it.
    fn ascend(&self) -> bool {
        self.times.iter().flatten().is_sorted()
    }

    /// Moves pictures of one and the same time a tick apart, in the order in which they are shown: each
    /// of them was recorded, and a time that is taken would lose it.
    fn part(&mut self, order: &[u64]) {
        let mut newest = None;
        for unit in order {
            let Some(Some(time)) = usize::try_from(*unit).ok().and_then(|unit| self.times.get_mut(unit))
            else {
                continue;
            };
            *time = newest.map_or(*time, |newest: i64| (newest + 1).max(*time));
            newest = Some(*time);
        }
        if let (Some((last, _)), Some(newest)) = (&mut self.last, newest) {
            *last = newest.max(*last);
        }
    }

    /// Gives pictures the times that their order says; units without a picture have none.
    fn count(&mut self, order: &[u64], first_key: u64) {
        self.times.fill(None);
        let shown = order.iter().filter(|unit| **unit >= first_key);
        for (time, unit) in shown.enumerate() {
            if let Some(slot) = usize::try_from(*unit).ok().and_then(|unit| self.times.get_mut(unit)) {
                *slot = Some(time as i64);
                self.last = Some((time as i64, 1));
            }
        }
        self.keys.retain(|(unit, ..)| self.times.get(*unit as usize).is_some_and(Option::is_some));
    }
}

/// `AV_PKT_FLAG_DISCARD` of libavcodec/packet.h: an edit list leaves the picture out.
const DISCARD: i32 = 4;

fn describe(reader: &Reader, found: &std::fs::Metadata) -> Result<Footage> {
    let subject = || reader.path().display().to_string();
    let stream = reader
        .video()
        .ok_or_else(|| Error::new(ErrorKind::Internal, subject(), "its video stream is gone"))?;
    let parameters = stream.parameters();
    let mut rates = [stream.avg_frame_rate(), stream.rate()];
    // The average of a stream without times is taken of what libavformat assumes for each, fields too.
    if RAW.contains(&reader.format().as_str()) {
        rates.reverse();
    }
    let told = rates.into_iter().find_map(rate);
    let modified = found.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    let sound = reader.sound().map(|s| SoundTrack::new(&s));
    Ok(Footage {
        path: reader.path().to_owned(),
        format: reader.format(),
        bytes: found.len(),
        modified: modified.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(0)),
        codec: parameters.id(),
        size: super::decoder_ffi::size(&parameters),
        time_base: rational(stream.time_base()),
        frame_rate: told.unwrap_or(ASSUMED_RATE),
        rate_is_told: told.is_some(),
        turn: reader.turn(),
        video: SharedParameters::new(&parameters),
        zero: 0,
        times: Vec::new(),
        counted: false,
        keys: Vec::new(),
        refreshes: false,
        unit_bytes: 0,
        hard: 0,
        quantisers: false,
        end: 0,
        sound,
        faults: Vec::new(),
        cut: None,
        notes: Vec::new(),
    })
}

/// A rate that a camera may have; headers say all kinds of others.
fn rate(rate: ff::Rational) -> Option<Ratio> {
    let rate = Ratio::new(u32::try_from(rate.numerator()).ok()?, u32::try_from(rate.denominator()).ok()?)?;
    (0.01..=1000.0).contains(&rate.as_f64()).then_some(rate)
}

/// The numbers of the units in the order in which their pictures are shown: found by decoding, for
/// sources that do not tell times. `None` where `stop` came first.
fn display_order(
    source: &HeldSource,
    nth: usize,
    footage: &Footage,
    stop: &Shutdown,
) -> Result<Option<Vec<u64>>> {
    let mut reader = source.reader(nth)?;
    let base = ff::Rational(1, 1);
    let mut decoder = PictureDecoder::open(footage.video.get(), base, 1, Purpose::Proof)?;
    decoder.show_unrefreshed(footage.refreshes);
    let mut order = Vec::new();
    let mut sink = |frame: ff::frame::Video| {
        order.extend(frame.pts().and_then(|pts| u64::try_from(pts).ok()));
        Ok(true)
    };
    while let Some(read) = reader.next() {
        if stop.is_cancelled() {
            return Ok(None);
        }
        if let Read::Unit(mut unit) = read {
            let label = i64::try_from(unit.number).ok();
            unit.packet.set_pts(label);
            unit.packet.set_dts(label);
            decoder.push(Some(&unit.packet), &mut sink)?;
        }
    }
    decoder.push(None, &mut sink)?;
    Ok(Some(order))
}

impl Footage {
    /// Takes what was read; the first key frame becomes zero.
    fn take(&mut self, units: Units, reader: &Reader) {
        let time_of = |unit: u64| units.times.get(unit as usize).copied().flatten();
        let zero = units.keys.iter().find_map(|(unit, ..)| time_of(*unit)).unwrap_or(0);
        self.zero = if self.counted { 0 } else { zero };
        self.quantisers = units.hardness.is_told();
        let first = units.keys.first().map(|(unit, ..)| *unit);
        let keys = units.keys.iter();
        self.keys = keys
            .filter_map(|(unit, bytes, hard)| {
                let hard = if self.quantisers { *hard } else { *bytes };
                let whole = if first == Some(*unit) { *unit } else { units.refresh.whole(*unit)? };
                let (own, pts) = (time_of(*unit)? - self.zero, time_of(whole)? - self.zero);
                Some(Key { unit: *unit, pts, own, bytes: *bytes, hard })
            })
            .filter(|key| key.pts >= 0)
            .collect();
        // Two key frames at one instant, or one that is shown before an earlier one: no place to cut.
        let mut newest = -1;
        self.keys.retain(|key| {
            let later = key.pts > newest;
            newest = newest.max(key.pts);
            later
        });
        self.times = units.times.iter().map(|t| t.map(|t| t - self.zero)).collect();
        if reader.joined() > 0 && !self.counted {
            self.count_pictures();
        }
        let (num, den) = self.time_base;
        let usual = (f64::from(self.frame_rate.den) * den as f64
            / (f64::from(self.frame_rate.num) * num as f64))
            .round()
            .max(1.0) as i64;
        let (last, duration) = units.last.unwrap_or((self.zero, usual));
        // Some containers state the distance to the next packet, however far that is.
        let duration = if duration > 0 && duration < usual.saturating_mul(20) { duration } else { usual };
        self.end = last - self.zero + duration;
        self.unit_bytes = units.bytes;
        self.hard = if self.quantisers { units.hard } else { units.bytes };
        if units.damaged > 0 {
            self.faults.push(format!("{} packets are marked as damaged", units.damaged));
        }
        if reader.jumps() > 0 {
            let jumps = reader.jumps();
            self.notes.push(format!("its clock jumps {jumps} times; the jumps are closed"));
        }
        if self.counted {
            let rate = self.frame_rate.as_f64();
            let how = if self.rate_is_told { "" } else { " (assumed)" };
            self.notes
                .push(format!("it tells no times; its pictures are counted at {rate:.3} a second{how}"));
        }
    }

    /// Where pictures came as fields, the rate that was told may be that of fields.
    fn count_pictures(&mut self) {
        let shown = self.times.iter().flatten();
        let (Some(first), Some(last)) = (shown.clone().min(), shown.clone().max()) else { return };
        let between = self.seconds(last - first);
        let seen = (shown.count() - 1) as f64 / between;
        if between > 0.0 && (1.7..2.3).contains(&(self.frame_rate.as_f64() / seen)) {
            let Ratio { num, den } = self.frame_rate;
            self.frame_rate = Ratio::new(num, den.saturating_mul(2)).unwrap_or(self.frame_rate);
        }
    }

    /// Whether a part of it is missing.
    fn judge(&mut self, reader: &Reader) {
        if let Some(broken) = reader.broken() {
            self.cut = Some(broken.to_owned());
        }
        let Some(stated) = reader.stated().filter(|_| TELL_DURATION.contains(&self.format.as_str())) else {
            return;
        };
        let held = nanos(self.end, self.time_base);
        if stated - held > CUT.max(stated / 50) {
            let seconds = |n: i64| n as f64 / 1e9;
            let text = format!("it says it lasts {:.1} s and holds {:.1} s", seconds(stated), seconds(held));
            self.cut = Some(text);
        }
    }
}
