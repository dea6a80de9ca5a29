//! The check of what was written: opened as a stranger would, every packet read and compared with
//! what was handed over, the beginning of the first and the last group of pictures decoded.

use std::path::{Path, PathBuf};

use ffmpeg_next as ff;

use super::digest::PayloadSum;
use super::package_ffi::facts;
use super::{AudioTrack, Container, Track, VideoTrack, playlist};
use crate::base::{Error, ErrorKind, Result};
use crate::source::demux::{open_with, quiet};
use crate::transcode::spec::{Target, Verify};

/// Pictures of a group that are decoded: enough to see that parameter sets and pictures are where a
/// player looks for them. That each picture decodes was seen when its segment was made, and that each
/// packet is the same is told by its sum.
pub(super) const PICTURES: usize = 16;
/// Packets of sound at either end that are decoded.
const SOUND_PACKETS: usize = 16;

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
        let of = |parameters, base| ExpectedTrack { name: String::new(), seen: Seen::new(parameters, base) };
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

    /// Counts a packet that is handed over.
    pub fn note(&mut self, track: Track, packet: &ff::Packet) {
        let track = match track {
            Track::Video(index) => self.video.get_mut(index),
            Track::Audio => self.audio.as_mut(),
        };
        if let Some(track) = track {
            track.seen.note(packet);
        }
    }
}

/// What must be found of one track.
pub struct ExpectedTrack {
    name: String,
    seen: Seen,
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
            let expected = wanted.get(stream.index()).map(|track| &track.seen);
            let Some(expected) = expected.filter(|seen| seen.codec == parameters.id()) else {
                let message = format!("track {} holds {}", stream.index() + 1, parameters.id().name());
                return Err(self.differs(message));
            };
            let mut track = Found::new(parameters, stream.time_base());
            track.seen.sum = track.seen.sum.like(&expected.sum);
            track.only_reads = self.expected.verify == Verify::None;
            found.push(track);
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
        found.iter_mut().for_each(Found::finish);
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
        let tolerance = tolerance(&expected.seen, &found.seen);
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
        let tolerance = tolerance(wanted, seen);
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
        if found.tested.failed > 0 && !self.expected.damaged {
            return differs(format!("{} of its packets at both ends cannot be decoded", found.tested.failed));
        }
        // Sound of a codec that this libavcodec cannot decode may still be copied.
        let decodes = self.expected.verify != Verify::None && ff::decoder::find(wanted.codec).is_some();
        let must_decode = !self.expected.damaged && decodes;
        if found.tested.frames == 0 && wanted.packets > 0 && must_decode {
            return differs("nothing can be decoded from it".to_owned());
        }
        Ok(CheckedTrack {
            packets: seen.packets,
            first: seen.first(),
            last: seen.last(),
            seconds: seen.last() - seen.first() + wanted.end() - wanted.last(),
            decoded: found.tested.frames,
            undecodable: found.tested.failed,
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

/// Seconds by which a time may be off through rounding to both clocks.
fn tolerance(one: &Seen, other: &Seen) -> f64 {
    1.01 * (f64::from(one.base) + f64::from(other.base)) + 1e-6
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
    parameters: ff::codec::Parameters,
    seen: Seen,
    is_sound: bool,
    /// Nothing is decoded.
    only_reads: bool,
    key_first: bool,
    tested: Tested,
    /// The first group, until it is decoded.
    head: Option<Decoding>,
    /// The beginning of the newest group; the newest packets of sound.
    tail: Vec<ff::Packet>,
}

#[derive(Clone, Copy, Default)]
struct Tested {
    frames: u64,
    failed: u64,
}

impl Found {
    fn new(parameters: ff::codec::Parameters, base: ff::Rational) -> Found {
        let is_sound = parameters.medium() == ff::media::Type::Audio;
        Found {
            seen: Seen::new(&parameters, base),
            is_sound,
            only_reads: false,
            key_first: false,
            tested: Tested::default(),
            head: Some(Decoding::open(&parameters)),
            tail: Vec::new(),
            parameters,
        }
    }

    fn take(&mut self, packet: ff::Packet) {
        let number = self.seen.packets;
        self.seen.note(&packet);
        if number == 0 {
            self.key_first = packet.is_key();
        }
        if self.only_reads {
            return;
        }
        let group =
            if self.is_sound { number == SOUND_PACKETS as u64 } else { packet.is_key() && number > 0 };
        if group && let Some(head) = self.head.take() {
            self.tested.add(head.finish());
        }
        if let Some(head) = &mut self.head {
            head.push(&packet);
            return;
        }
        if !self.is_sound && packet.is_key() {
            self.tail.clear();
        }
        if self.is_sound || self.tail.len() < PICTURES {
            self.tail.push(packet);
        }
        if self.is_sound && self.tail.len() > SOUND_PACKETS {
            self.tail.remove(0);
        }
    }

    fn finish(&mut self) {
        if let Some(head) = self.head.take() {
            self.tested.add(head.finish());
        }
        if !self.tail.is_empty() {
            let mut decoding = Decoding::open(&self.parameters);
            self.tail.drain(..).for_each(|packet| decoding.push(&packet));
            self.tested.add(decoding.finish());
        }
    }
}

impl Tested {
    fn add(&mut self, other: Tested) {
        self.frames += other.frames;
        self.failed += other.failed;
    }
}

/// A decoder of either kind that counts.
struct Decoding {
    decoder: Option<ff::decoder::Opened>,
    tested: Tested,
    /// Pictures after the first key frame that are shown before it: they may refer to what is not here.
    leading: u64,
    /// Pictures that came out, but not as they were.
    corrupt: u64,
    key_pts: Option<i64>,
    packets: u64,
    is_video: bool,
}

impl Decoding {
    fn open(parameters: &ff::codec::Parameters) -> Decoding {
        let decoder = ff::decoder::find(parameters.id()).and_then(|codec| {
            let mut context = ff::codec::Context::from_parameters(parameters.clone()).ok()?;
            // Where a picture is held back because it refers to what is not here, as the leading ones of
            // an open group do, libavcodec takes the end of the stream for reached and drops what follows.
            context.set_flags(ff::codec::Flags::OUTPUT_CORRUPT);
            context.decoder().open_as(codec).ok()
        });
        let is_video = parameters.medium() == ff::media::Type::Video;
        Decoding {
            decoder,
            tested: Tested::default(),
            leading: 0,
            corrupt: 0,
            key_pts: None,
            packets: 0,
            is_video,
        }
    }

    fn push(&mut self, packet: &ff::Packet) {
        if self.is_video && self.packets >= PICTURES as u64 {
            return;
        }
        let Some(decoder) = &mut self.decoder else { return };
        let key = *self.key_pts.get_or_insert(packet.pts().unwrap_or(i64::MIN));
        self.leading += u64::from(packet.pts().is_some_and(|pts| pts < key));
        self.packets += 1;
        self.tested.failed += u64::from(decoder.send_packet(packet).is_err());
        self.receive();
    }

    fn receive(&mut self) {
        let Some(decoder) = &mut self.decoder else { return };
        // A frame of either kind: the wrapper's types differ by their readers only.
        let mut frame = ff::frame::Video::empty();
        loop {
            match decoder.receive_frame(&mut frame) {
                Ok(()) if self.is_video && (frame.is_corrupt() || frame.has_decode_errors()) => {
                    self.tested.frames += 1;
                    self.corrupt += 1;
                }
                Ok(()) => self.tested.frames += 1,
                Err(ff::Error::Eof) => return,
                Err(ff::Error::Other { errno }) if errno == libc::EAGAIN => return,
                Err(_) => {
                    self.tested.failed += 1;
                    return;
                }
            }
        }
    }

    fn finish(mut self) -> Tested {
        if let Some(decoder) = &mut self.decoder {
            let _ = decoder.send_eof();
        }
        self.receive();
        if self.is_video {
            let complete = self.packets - self.leading.min(self.packets);
            let good = self.tested.frames.saturating_sub(self.corrupt);
            let failed = (self.tested.failed + self.corrupt).saturating_sub(self.leading);
            self.tested.failed = failed.max(complete.saturating_sub(good));
        }
        self.tested
    }
}
