//! The check of what was written: opened as a stranger would, every packet read and compared with
//! what was handed over, the beginning of the first and the last group of pictures decoded.

use std::path::{Path, PathBuf};

use ffmpeg_next as ff;

use super::digest::PayloadSum;
use super::ends::Ends;
use super::package_ffi::facts;
use super::{AudioTrack, Container, Track, VideoTrack, playlist};
use crate::base::{Error, ErrorKind, Result};
use crate::source::Pictures;
use crate::source::demux::{open_with, quiet};
use crate::transcode::spec::{Target, Verify};

/// What must be found: made from the packets as they are handed to [`super::Packager::write`].
pub struct Expected {
    /// Each video track.
    pub video: Vec<ExpectedTrack>,
    /// The sound.
    pub audio: Option<ExpectedTrack>,
    /// The source was damaged and is copied as it is: what cannot be decoded is counted, not refused.
    pub damaged: bool,
    /// Whether anything is decoded.
    pub verify: Verify,
}

impl Expected {
    /// Nothing yet, of these tracks.
    pub fn new(video: &[VideoTrack], audio: Option<&AudioTrack>) -> Expected {
        let of = |parameters: &ff::codec::Parameters, base| ExpectedTrack {
            name: String::new(),
            seen: Seen::new(parameters, base),
            ends: Ends::places_only(parameters.clone()),
        };
        let pictures = video.iter().map(|track| ExpectedTrack {
            name: track.name.clone(),
            ..of(&track.parameters, track.time_base)
        });
        Expected {
            video: pictures.collect(),
            audio: audio.map(|track| of(&track.parameters, track.time_base)),
            damaged: false,
            verify: Verify::Full,
        }
    }

    /// The packets of a track will be the source's own: what cannot be decoded of them before they are written
    /// need not be decoded afterwards. To be told before the first of them.
    pub fn copies(&mut self, track: Track) {
        if let Some(track) = self.track(track) {
            track.ends = Ends::new(track.ends.parameters().clone());
        }
    }

    /// Counts a packet that is handed over.
    pub fn note(&mut self, track: Track, packet: &ff::Packet) {
        if let Some(track) = self.track(track) {
            track.seen.note(packet);
            track.ends.take(packet);
        }
    }

    fn track(&mut self, track: Track) -> Option<&mut ExpectedTrack> {
        match track {
            Track::Video(index) => self.video.get_mut(index),
            Track::Audio => self.audio.as_mut(),
        }
    }
}

/// What must be found of one track.
pub struct ExpectedTrack {
    name: String,
    seen: Seen,
    /// Decoded, where they are the source's own.
    ends: Ends,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// Each video track.
    pub video: Vec<CheckedTrack>,
    /// The sound.
    pub audio: Option<CheckedTrack>,
}

/// What was found of one track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckedTrack {
    /// Packets: pictures, or frames of sound.
    pub packets: u64,
    /// When the first one is presented, in seconds of the container's clock.
    pub first: f64,
    /// When the last one is presented.
    pub last: f64,
    /// From the first one's begin to the last one's end.
    pub seconds: f64,
    /// Frames that were decoded at both ends.
    pub decoded: u64,
    /// Packets or frames at both ends that could not be decoded whole; only where the source was
    /// damaged.
    pub undecodable: u64,
    /// How payloads were compared.
    pub payloads: Payloads,
}

/// How payloads were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payloads {
    /// They are the same, by this SHA-256 over all of them in order; parameter sets and delimiters,
    /// which containers move, do not count.
    Same([u8; 32]),
    /// A transport stream cuts this codec anew: counts and times were compared, not bytes.
    NotCompared,
}

/// Reads back what lies at `at` (a file, or a ladder's folder) and compares.
///
/// # Errors
/// `Corrupt` with what differs; `Io` where it cannot be opened.
pub fn check(target: &Target, at: &Path, expected: &Expected) -> Result<Checked> {
    quiet();
    let container = Container::of(target)?;
    let subject = target.path().display().to_string();
    let checker = Checker { container, subject, expected };
    match container {
        Container::Hls => checker.ladder(at),
        _ => {
            let mut wanted: Vec<&ExpectedTrack> = expected.video.iter().collect();
            wanted.extend(expected.audio.as_ref().filter(|audio| audio.seen.packets > 0));
            let found = checker.read(at, &wanted, ff::Dictionary::new())?;
            checker.compare(found)
        }
    }
}

struct Checker<'a> {
    container: Container,
    subject: String,
    expected: &'a Expected,
}

impl Checker<'_> {
    fn differs(&self, message: String) -> Error {
        Error::new(ErrorKind::Corrupt, self.subject.clone(), message)
    }

    fn open(&self, path: &Path, mut options: ff::Dictionary<'_>) -> Result<ff::format::context::Input> {
        options.set("protocol_whitelist", "file");
        open_with(path, options)
            .map_err(|e| self.differs("what was written cannot be opened".to_owned()).caused_by(e))
    }

    /// Reads one file to its end; its streams are, in order, the wanted tracks.
    fn read(
        &self,
        path: &Path,
        wanted: &[&ExpectedTrack],
        options: ff::Dictionary<'_>,
    ) -> Result<Vec<Found>> {
        let mut input = self.open(path, options)?;
        let mut found = Vec::new();
        for stream in input.streams() {
            let parameters = stream.parameters();
            let expected = wanted.get(stream.index());
            let Some(expected) = expected.filter(|track| track.seen.codec == parameters.id()) else {
                let message = format!("track {} holds {}", stream.index() + 1, parameters.id().name());
                return Err(self.differs(message));
            };
            found.push(Found::new(parameters, stream.time_base(), expected, self.expected.verify));
        }
        if found.len() != wanted.len() {
            let message = format!("has {} of {} tracks", found.len(), wanted.len());
            return Err(self.differs(message));
        }
        loop {
            let mut packet = ff::Packet::empty();
            match packet.read(&mut input) {
                Ok(()) => {
                    if let Some(track) = found.get_mut(packet.stream()) {
                        track.take(packet);
                    }
                }
                Err(ff::Error::Eof) => break,
                Err(ff::Error::Other { errno }) if errno == libc::EAGAIN => {}
                Err(error) => {
                    return Err(self
                        .differs("what was written cannot be read to its end".to_owned())
                        .caused_by(error));
                }
            }
        }
        found.iter_mut().for_each(Found::end);
        Ok(found)
    }

    /// Each playlist, and the master that names them.
    fn ladder(&self, folder: &Path) -> Result<Checked> {
        let mut found = Vec::new();
        let with_sound = self.expected.audio.as_ref().filter(|audio| audio.seen.packets > 0);
        let sound = with_sound.map(|audio| (playlist::SOUND, audio));
        let pictures = self.expected.video.iter().map(|track| (track.name.as_str(), track));
        let tracks: Vec<_> = pictures.chain(sound).collect();
        for (name, track) in &tracks {
            found.extend(self.read(&folder.join(format!("{name}.m3u8")), &[track], ff::Dictionary::new())?);
        }
        let master = folder.join(format!("{}.m3u8", playlist::MASTER));
        let text = std::fs::read_to_string(&master).map_err(|e| {
            Error::new(ErrorKind::Io, self.subject.clone(), "its master playlist cannot be read").caused_by(e)
        })?;
        let named: Vec<PathBuf> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(PathBuf::from)
            .collect();
        let all: Vec<PathBuf> =
            self.expected.video.iter().map(|track| PathBuf::from(format!("{}.m3u8", track.name))).collect();
        if named != all {
            return Err(self.differs(format!("its master playlist names {named:?} instead of {all:?}")));
        }
        let input = self.open(&master, ff::Dictionary::new())?;
        let codecs: Vec<_> = input.streams().map(|stream| stream.parameters().id()).collect();
        let mut missing: Vec<_> = tracks.iter().map(|(_, track)| track.seen.codec).collect();
        for codec in &codecs {
            if let Some(at) = missing.iter().position(|other| other == codec) {
                missing.swap_remove(at);
            }
        }
        if !missing.is_empty() {
            return Err(
                self.differs(format!("its master playlist leads to {codecs:?}; {missing:?} is missing"))
            );
        }
        self.compare(found)
    }

    fn compare(&self, found: Vec<Found>) -> Result<Checked> {
        let shift = self.shift(&found)?;
        let mut found = found.into_iter();
        let mut video = Vec::new();
        for track in &self.expected.video {
            let found = found.next().ok_or_else(|| self.differs(format!("{} is missing", track.name)))?;
            video.push(self.track(&format!("video {}", track.name), track, found, shift)?);
        }
        let audio = match (&self.expected.audio, found.next()) {
            (Some(track), Some(found)) => Some(self.track("sound", track, found, shift)?),
            _ => None,
        };
        Ok(Checked { video, audio })
    }

    /// By how much the container's clock is ahead of ours, from the first picture.
    fn shift(&self, found: &[Found]) -> Result<f64> {
        let (Some(found), Some(expected)) = (found.first(), self.expected.video.first()) else {
            return Ok(0.0);
        };
        let shift = found.seen.first() - expected.seen.first();
        let tracks = self.expected.video.iter().chain(&self.expected.audio);
        let early = tracks.map(|track| track.seen.first()).fold(0.0, f64::min);
        // Matroska has no time below zero: sound that begins a little before the pictures moves all.
        let allowed = match self.container {
            Container::Mp4 | Container::Mov => 0.0..=0.0,
            Container::Mkv => 0.0..=-early,
            Container::Ts | Container::Hls => f64::MIN..=f64::MAX,
        };
        let tolerance = tolerance(self.container, &expected.seen, &found.seen);
        if shift < allowed.start() - tolerance || shift > allowed.end() + tolerance {
            return Err(self.differs(format!("its first picture is shown {shift:+.4} s off its time")));
        }
        Ok(shift)
    }

    fn track(&self, name: &str, expected: &ExpectedTrack, found: Found, shift: f64) -> Result<CheckedTrack> {
        let differs = |what: String| Err(self.differs(format!("{name}: {what}")));
        let (wanted, seen) = (&expected.seen, &found.seen);
        let is_sound = found.is_sound;
        // Uncompressed sound has no frames that a container must keep together.
        if seen.packets != wanted.packets && !is_pcm(wanted.codec) {
            return differs(format!("has {} packets instead of {}", seen.packets, wanted.packets));
        }
        let tolerance = tolerance(self.container, wanted, seen);
        let mut times = vec![("first", seen.first(), wanted.first())];
        if !is_pcm(wanted.codec) {
            times.push(("last", seen.last(), wanted.last()));
        }
        for (which, is, should) in times {
            if (is - shift - should).abs() > tolerance {
                return differs(format!(
                    "its {which} packet is shown at {:.4} s instead of {should:.4} s",
                    is - shift
                ));
            }
        }
        if seen.backwards > 0 && !is_sound {
            return differs(format!("{} packets are to be decoded before the one in front", seen.backwards));
        }
        if !is_sound && !found.key_first {
            return differs("does not begin with a key frame".to_owned());
        }
        let payloads = match (self.container, whole_in_ts(wanted.codec)) {
            (Container::Ts, false) => Payloads::NotCompared,
            _ => {
                let sum = seen.sum.clone().finish();
                if sum != wanted.sum.clone().finish() {
                    return differs("its packets are not the ones that were handed over".to_owned());
                }
                Payloads::Same(sum)
            }
        };
        // What could not be decoded in the source, such as a stream that refreshes without key frames or a frame
        // of sound that was cut, is no fault of the copy.
        let decodes = self.expected.verify != Verify::None;
        let could = Some(&expected.ends).filter(|ends| decodes && ends.keeps()).map(Ends::test);
        let tested = found.ends.test();
        if tested.failed > could.map_or(0, |could| could.failed) && !self.expected.damaged {
            return differs(format!("{} of its packets at both ends cannot be decoded", tested.failed));
        }
        // Sound of a codec that this libavcodec cannot decode may still be copied.
        let must_decode = !self.expected.damaged
            && decodes
            && could.is_none_or(|could| could.frames > 0)
            && ff::decoder::find(wanted.codec).is_some();
        if tested.frames == 0 && wanted.packets > 0 && must_decode {
            return differs("nothing can be decoded from it".to_owned());
        }
        Ok(CheckedTrack {
            packets: seen.packets,
            first: seen.first(),
            last: seen.last(),
            seconds: seen.last() - seen.first() + wanted.end() - wanted.last(),
            decoded: tested.frames,
            undecodable: tested.failed,
            payloads,
        })
    }
}

/// Codecs whose payloads a transport stream keeps as they were.
fn whole_in_ts(codec: ff::codec::Id) -> bool {
    use ff::codec::Id;
    matches!(codec, Id::H264 | Id::HEVC | Id::AAC | Id::MP3 | Id::MP2 | Id::AC3)
}

fn is_pcm(codec: ff::codec::Id) -> bool {
    codec.name().starts_with("pcm_")
}

/// The unit of edit lists, which say when a track of MP4 begins: libavformat's clock of a movie, in seconds.
const MOVIE_CLOCK: f64 = 0.001;

/// Seconds by which a time may be off through rounding to both clocks, and in MP4 to that of its edit list.
fn tolerance(container: Container, one: &Seen, other: &Seen) -> f64 {
    let edit = match container {
        Container::Mp4 | Container::Mov => MOVIE_CLOCK,
        Container::Mkv | Container::Ts | Container::Hls => 0.0,
    };
    1.01 * (f64::from(one.base) + f64::from(other.base) + edit) + 1e-6
}

/// What a track's packets are, as they pass by.
struct Seen {
    codec: ff::codec::Id,
    base: ff::Rational,
    packets: u64,
    first: Option<i64>,
    last: i64,
    end: i64,
    dts: Option<i64>,
    backwards: u64,
    sum: PayloadSum,
}

impl Seen {
    fn new(parameters: &ff::codec::Parameters, base: ff::Rational) -> Seen {
        Seen {
            codec: parameters.id(),
            base,
            packets: 0,
            first: None,
            last: i64::MIN,
            end: 0,
            dts: None,
            backwards: 0,
            sum: PayloadSum::new(parameters.id(), &facts(parameters).extradata),
        }
    }

    fn note(&mut self, packet: &ff::Packet) {
        self.packets += 1;
        if let Some(pts) = packet.pts().or(packet.dts()) {
            self.first = Some(self.first.map_or(pts, |first| first.min(pts)));
            if pts > self.last {
                self.last = pts;
                self.end = pts.saturating_add(packet.duration());
            }
        }
        if let Some(dts) = packet.dts() {
            self.backwards += u64::from(self.dts.is_some_and(|before| dts < before));
            self.dts = Some(dts);
        }
        self.sum.add(packet.data().unwrap_or_default());
    }

    fn seconds(&self, ticks: i64) -> f64 {
        if self.packets == 0 { 0.0 } else { ticks as f64 * f64::from(self.base) }
    }

    fn first(&self) -> f64 {
        self.seconds(self.first.unwrap_or(0))
    }

    fn last(&self) -> f64 {
        self.seconds(self.last)
    }

    fn end(&self) -> f64 {
        self.seconds(self.end)
    }
}

/// A track as it is read back.
struct Found {
    seen: Seen,
    is_sound: bool,
    key_first: bool,
    /// A transport stream hands on fields that were written as one picture.
    pictures: Pictures,
    ends: Ends,
}

impl Found {
    fn new(
        parameters: ff::codec::Parameters,
        base: ff::Rational,
        expected: &ExpectedTrack,
        verify: Verify,
    ) -> Found {
        let mut seen = Seen::new(&parameters, base);
        seen.sum = seen.sum.like(&expected.seen.sum);
        Found {
            seen,
            is_sound: parameters.medium() == ff::media::Type::Audio,
            key_first: false,
            pictures: Pictures::new(parameters.id(), &facts(&parameters).extradata),
            ends: match verify {
                Verify::None => Ends::places_only(parameters),
                Verify::Full | Verify::Ends => Ends::new(parameters).at_places_of(&expected.ends),
            },
        }
    }

    fn take(&mut self, packet: ff::Packet) {
        self.pictures.push(packet);
        self.note();
    }

    fn end(&mut self) {
        self.pictures.end();
        self.note();
    }

    fn note(&mut self) {
        while let Some(packet) = self.pictures.pop() {
            self.key_first |= self.seen.packets == 0 && packet.is_key();
            self.seen.note(&packet);
            self.ends.take(&packet);
        }
    }
}
