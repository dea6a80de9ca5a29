//! Reads a source once without decoding it: what it holds, where it can be cut, what is wrong with it.

use std::path::PathBuf;
use std::time::Duration;

use ffmpeg_next as ff;

use super::boxes;
use super::hardness::Hardness;
use super::held::HeldSource;
use super::reader::{Reader, SourcePacket};
use super::refresh::Refresh;
use super::units::{KeyUnit, LastUnit, ScannedUnits};
use crate::base::{Error, ErrorKind, Result, Shutdown};
use crate::media::{Orientation, Ratio};
use crate::source::demux::{ASSUMED_RATE, plausible, rate_of};
use crate::source::demux_ffi::is_hidden;
use crate::transcode::codec::decoder::{PictureDecoder, Purpose, SharedParameters};
use crate::transcode::codec::decoder_ffi;
use crate::transcode::sound::heads::Heads;
use crate::transcode::time::TimeBase;

/// A source that ends this much before it says it does was cut.
const CUT: i64 = 1_000_000_000;
/// A source tells no times where more than one picture in so many has the time of another one.
const MOST_SHARE_IN: usize = 4;
/// Nanoseconds that a recording spans at most: ten years. What says more has a broken clock.
const LONGEST: i64 = 10 * 366 * 86_400 * 1_000_000_000;
/// Packets of another kind in a row that tell a change of the sound from damage.
const UNLIKE: u32 = 4;
/// Containers whose stated duration was written when they were whole.
const TELL_DURATION: [&str; 4] = ["mov", "matroska", "avi", "flv"];

/// A place where a source can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
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
pub struct Footage {
    pub path: PathBuf,
    pub format: String,
    pub bytes: u64,
    /// Changed last, nanoseconds since 1970.
    pub modified: i64,
    pub video: SharedParameters,
    pub codec: ff::codec::Id,
    pub size: (u32, u32),
    pub time_base: TimeBase,
    pub frame_rate: Ratio,
    /// The frame rate is told, not assumed.
    pub rate_is_told: bool,
    /// How the file asks to be set upright; `None` where by another angle than a quarter.
    pub orientation: Option<Orientation>,
    /// What zero is in the stream's own ticks.
    pub zero: i64,
    /// When each unit is shown; `None` where it gives no picture that is. ScannedUnits count from the first in
    /// the file.
    pub times: Vec<Option<i64>>,
    /// Times came from counting pictures: the source has none.
    pub counted: bool,
    /// Numbers of the units that an edit list leaves out, ascending: decoded for others' sake, never shown.
    pub hidden: Vec<u64>,
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
pub struct SoundTrack {
    pub parameters: SharedParameters,
    pub time_base: TimeBase,
    pub packets: u64,
    /// Its rate or channels change on the way.
    pub changes: bool,
    /// Packets that do not begin with a frame: nothing can be heard of them.
    pub headless: u64,
    /// From when until when there is any.
    heard: Option<(i64, i64)>,
    heads: Heads,
    kind: Option<u32>,
    /// Packets in a row that are of another kind.
    unlike: u32,
}

impl SoundTrack {
    fn new(stream: &ff::Stream<'_>) -> SoundTrack {
        let parameters = stream.parameters();
        SoundTrack {
            time_base: TimeBase::of(stream.time_base()),
            packets: 0,
            changes: false,
            headless: 0,
            heard: None,
            heads: Heads::of(&parameters),
            kind: None,
            unlike: 0,
            parameters: SharedParameters::new(&parameters),
        }
    }

    fn note(&mut self, packet: &ff::Packet) {
        self.packets += 1;
        if let Some(time) = packet.pts().or(packet.dts()) {
            let end = time.saturating_add(packet.duration().max(0));
            self.heard = Some(self.heard.map_or((time, end), |(from, to)| (from.min(time), to.max(end))));
        }
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
        self.time_base.seconds(ticks)
    }

    /// A time as ticks, rounded down.
    pub fn ticks(&self, time: Duration) -> i64 {
        let TimeBase { num, den } = self.time_base;
        let ticks = time.as_nanos() as i128 * i128::from(den) / (i128::from(num) * 1_000_000_000);
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }
}

/// Reads a source; `None` where `stop` came first.
///
/// # Errors
/// What [`Reader::open`] says; `Corrupt` where no picture in it can be decoded from.
pub fn scan(source: &HeldSource, nth: usize, stop: &Shutdown) -> Result<Option<Footage>> {
    let subject = || source.path().display().to_string();
    let mut reader = source.reader(nth)?;
    let mut footage = describe(&reader, source.known())?;
    let record = crate::source::demux_ffi::extradata(&footage.video.get());
    let mut units =
        ScannedUnits::new(Hardness::new(footage.codec, &record), Refresh::new(footage.codec, &record));
    while let Some(read) = reader.next() {
        if stop.is_cancelled() {
            return Ok(None);
        }
        if reader.encrypted() {
            let message = "is encrypted; decrypt it first, no key can be given here";
            return Err(Error::new(ErrorKind::Unsupported, subject(), message));
        }
        match read {
            SourcePacket::Unit(unit) => units.add(&unit.packet),
            SourcePacket::Sound(packet) => {
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
    footage.refreshes = units.refresh.whole(first.number) != Some(first.number);
    let sharing = units.sharing();
    if units.untimed || sharing > units.times.len() / MOST_SHARE_IN {
        let Some(order) = display_order(source, nth, &footage, stop)? else { return Ok(None) };
        if footage.format == "avi" && units.decoded_with_gaps() {
            units.take_decoding_times(&order, first.number);
        } else {
            units.count(&order, first.number);
            footage.counted = true;
            footage.time_base = TimeBase::of_rate(footage.frame_rate);
        }
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
    footage.check_spans().map_err(|message| Error::new(ErrorKind::Corrupt, subject(), message))?;
    if footage.pictures(0, i64::MAX) == 0 {
        let message = "holds no picture that can be decoded; it may be encrypted or damaged";
        return Err(Error::new(ErrorKind::Corrupt, subject(), message));
    }
    footage.judge(&reader, stop);
    Ok((!stop.is_cancelled()).then_some(footage))
}

fn describe(reader: &Reader, found: &std::fs::Metadata) -> Result<Footage> {
    let subject = || reader.path().display().to_string();
    let stream = reader
        .video()
        .ok_or_else(|| Error::new(ErrorKind::Internal, subject(), "its video stream is gone"))?;
    let parameters = stream.parameters();
    let told = rate_of(&stream, &reader.format());
    let modified = found.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    let sound = reader.sound().map(|s| SoundTrack::new(&s));
    Ok(Footage {
        path: reader.path().to_owned(),
        format: reader.format(),
        bytes: found.len(),
        modified: modified.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(0)),
        codec: parameters.id(),
        size: decoder_ffi::size(&parameters),
        time_base: TimeBase::of(stream.time_base()),
        frame_rate: told.unwrap_or(ASSUMED_RATE),
        rate_is_told: told.is_some(),
        orientation: reader.orientation(),
        video: SharedParameters::new(&parameters),
        zero: 0,
        times: Vec::new(),
        counted: false,
        hidden: Vec::new(),
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
        if let SourcePacket::Unit(mut unit) = read {
            let label = i64::try_from(unit.number).ok().filter(|_| !is_hidden(&unit.packet));
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
    fn take(&mut self, units: ScannedUnits, reader: &Reader) {
        let begins = units.begins();
        let zero = begins.iter().flatten().next().copied().unwrap_or(0);
        self.zero = if self.counted { 0 } else { zero };
        self.quantisers = units.hardness.is_told();
        let time_of = |unit: u64| units.times.get(unit as usize).copied().flatten();
        let first = units.keys.first().map(|key| key.number);
        let keys = units.keys.iter().zip(begins);
        self.keys = keys
            .filter_map(|(key, begin)| {
                let KeyUnit { number: unit, bytes, hard } = *key;
                let hard = if self.quantisers { hard } else { bytes };
                let own = begin?.saturating_sub(self.zero);
                let whole = if first == Some(unit) { unit } else { units.refresh.whole(unit)? };
                let pts = if whole == unit { own } else { time_of(whole)?.saturating_sub(self.zero) };
                Some(Key { unit, pts, own, bytes, hard })
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
        self.times = units.times.iter().map(|t| t.map(|t| t.saturating_sub(self.zero))).collect();
        if reader.joined() > 0 && !self.counted {
            self.count_pictures();
        }
        let TimeBase { num, den } = self.time_base;
        self.count_rate();
        let usual = (f64::from(self.frame_rate.den) * den as f64
            / (f64::from(self.frame_rate.num) * num as f64))
            .round()
            .max(1.0) as i64;
        let LastUnit { time: last, duration } =
            units.last.unwrap_or(LastUnit { time: self.zero, duration: usual });
        // Some containers state the distance to the next packet, however far that is.
        let duration = if duration > 0 && duration < usual.saturating_mul(20) { duration } else { usual };
        self.end = last.saturating_sub(self.zero).saturating_add(duration);
        // Empty chunks after the last picture show it on.
        if self.format == "avi"
            && let Some(video) = reader.video()
            && let Ok(Some(chunks)) = boxes::avi_chunks(&self.path, video.index())
        {
            self.end = self.end.max(i64::try_from(chunks).unwrap_or(0).saturating_sub(self.zero));
        }
        self.unit_bytes = units.bytes;
        self.hard = if self.quantisers { units.hard } else { units.bytes };
        if units.damaged > 0 {
            self.faults.push(format!("{} packets are marked as damaged", units.damaged));
        }
        if reader.jumps() > 0 {
            let jumps = reader.jumps();
            self.notes.push(format!("its clock jumps {jumps} times; the jumps are closed"));
        }
        self.hidden = units.hidden;
        if !self.hidden.is_empty() {
            let hidden = self.hidden.len();
            self.notes.push(format!("its edit list leaves out {hidden} pictures, which are not shown"));
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
        let between = self.seconds(last.saturating_sub(*first));
        let seen = (shown.count() - 1) as f64 / between;
        if between > 0.0 && (1.7..2.3).contains(&(self.frame_rate.as_f64() / seen)) {
            let Ratio { num, den } = self.frame_rate;
            self.frame_rate = Ratio::new(num, den.saturating_mul(2)).unwrap_or(self.frame_rate);
        }
    }

    /// AVI says how many chunks pass in a second, and empty ones are among them: pictures come as often as was
    /// counted.
    fn count_rate(&mut self) {
        let shown = || self.times.iter().flatten().filter(|time| **time >= 0);
        let (Some(first), Some(last)) = (shown().min(), shown().max()) else { return };
        if self.format != "avi" || self.counted || last == first {
            return;
        }
        let TimeBase { num, den } = self.time_base;
        let pictures = i128::try_from(shown().count()).unwrap_or(i128::MAX) - 1;
        let rate = smallest(pictures * i128::from(den), i128::from(last.abs_diff(*first)) * i128::from(num));
        if let Some(rate) = rate.filter(|rate| (rate.as_f64() / self.frame_rate.as_f64() - 1.0).abs() > 0.02)
        {
            (self.frame_rate, self.rate_is_told) = (rate, true);
        }
    }

    /// Refuses times that no recording has: what fills the time between them would have no end.
    fn check_spans(&self) -> std::result::Result<(), String> {
        let (pictures, zero) = (|time| self.time_base.nanos(time), self.time_base.nanos(self.zero));
        let shown = || self.times.iter().flatten().map(|time| pictures(*time));
        let first = shown().min().unwrap_or(0).min(0);
        let mut ends = (first, shown().max().unwrap_or(0).max(pictures(self.end)));
        if let Some(SoundTrack { heard: Some((from, to)), time_base, .. }) = &self.sound {
            let heard = |time| time_base.nanos(time).saturating_sub(zero);
            ends = (ends.0.min(heard(*from)), ends.1.max(heard(*to)));
        }
        let span = ends.1.saturating_sub(ends.0);
        if span <= LONGEST {
            return Ok(());
        }
        let years = span as f64 / 1e9 / 86_400.0 / 365.25;
        Err(format!("its times span {years:.0} years, so its clock is broken; repair it or leave it out"))
    }

    /// Whether a part of it is missing: the same for whatever is to become of it.
    fn judge(&mut self, reader: &Reader, stop: &Shutdown) {
        let tells = TELL_DURATION.contains(&self.format.as_str());
        let pictures = self.time_base.nanos(self.end);
        let (stated, held) = match (reader.stated(), reader.stated_of_all()) {
            (Some(stated), _) => (Some(stated), pictures),
            (None, stated) => (stated, self.held_of_all(reader, pictures)),
        };
        let stated = stated.filter(|stated| tells && stated.saturating_sub(held) > CUT.max(stated / 50));
        let seconds = |n: i64| n as f64 / 1e9;
        self.cut = if let Some(stated) = stated {
            Some(format!("it says it lasts {:.1} s and holds {:.1} s", seconds(stated), seconds(held)))
        } else if let Some(broken) = reader.broken() {
            Some(broken.to_owned())
        } else if tells {
            self.lacks(reader, stop)
        } else {
            None
        };
    }

    /// How long anything in it lasts, sound that goes on after the pictures too: what a duration of the whole file
    /// tells.
    fn held_of_all(&self, reader: &Reader, pictures: i64) -> i64 {
        let (from, to) = reader.spans().unwrap_or_default();
        // Matroska counts from its own zero, and sound may begin long before the first picture.
        if self.format.starts_with("matroska") {
            let before = if self.counted { 0 } else { self.time_base.nanos(self.zero).max(0) };
            pictures.saturating_add(before).max(to)
        } else {
            pictures.max(to.saturating_sub(from))
        }
    }

    /// What its container promises and it does not hold, where no duration tells.
    fn lacks(&self, reader: &Reader, stop: &Shutdown) -> Option<String> {
        let bytes = std::fs::metadata(&self.path).map_or(self.bytes, |now| now.len().max(self.bytes));
        if self.format == "mov" && reader.indexed_end().is_some_and(|end| end > bytes) {
            return Some("it ends before the last picture that its index names".into());
        }
        if reader.damaged() {
            return Some("its last picture is not whole".into());
        }
        boxes::lacks(&self.path, &self.format, stop).unwrap_or_default()
    }
}

/// A ratio in numbers that fit, exact where there are such.
fn smallest(num: i128, den: i128) -> Option<Ratio> {
    let (mut a, mut b) = (num, den);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let (mut num, mut den) = (num / a.max(1), den / a.max(1));
    while num.max(den) > i128::from(i32::MAX) {
        (num, den) = (num / 2, den / 2);
    }
    plausible(ff::Rational(i32::try_from(num).ok()?, i32::try_from(den).ok()?))
}
