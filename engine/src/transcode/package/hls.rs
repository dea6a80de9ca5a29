//! A ladder: each rendition and the sound as fragmented MP4 in segments of their own, cut at the same
//! instants. libavformat makes the fragments in memory; files and playlists are written here, so that
//! no failed write goes unnoticed.

use std::collections::VecDeque;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ffmpeg_next as ff;
use parking_lot::Mutex;

use super::package_ffi::{self, facts};
use super::playlist::{self, MASTER, SOUND, Segment, SoundEntry, VideoEntry};
use super::{AudioTrack, Container, Track, VideoTrack, add_stream, add_video, muxing, refused, write_header};
use crate::base::{Error, ErrorKind, Result};
use crate::transcode::time::TimeBase;

/// Nanoseconds by which two instants may differ and still be the same: containers round to this.
const SAME: i64 = 1_000_000;

/// A folder of playlists and segments in the making.
pub(super) struct Ladder {
    folder: PathBuf,
    subject: String,
    /// The least time from one segment's begin to the next, in nanoseconds.
    segment: i64,
    video: Vec<TrackWriter>,
    tracks: Vec<VideoTrack>,
    sound: Option<TrackWriter>,
    sound_track: Option<AudioTrack>,
    /// Sound whose segment is not known yet, because the first rendition has not come so far.
    held: VecDeque<ff::Packet>,
    /// How many segments of the first rendition the sound has begun; it begins with the first.
    passed: usize,
}

impl Ladder {
    pub(super) fn create(
        subject: String,
        folder: &Path,
        segment: Duration,
        video: &[VideoTrack],
        audio: Option<&AudioTrack>,
    ) -> Result<Ladder> {
        for (at, track) in video.iter().enumerate() {
            let reserved = [MASTER, SOUND].contains(&track.name.as_str()) || track.name.is_empty();
            if reserved || video[..at].iter().any(|other| other.name == track.name) {
                let message = format!("cannot name a rendition {:?}; give each its own name", track.name);
                return Err(Error::new(ErrorKind::Config, subject, message));
            }
        }
        std::fs::create_dir_all(folder).map_err(|e| refused(&subject, &e))?;
        let mut writers = Vec::new();
        for track in video {
            let fill = |output: &mut _| add_video(output, &subject, Container::Hls, track);
            writers.push(TrackWriter::open(&subject, &track.name, track.time_base, fill)?);
        }
        let mut sound = None;
        if let Some(track) = audio {
            let parameters = track.parameters.clone();
            let fill =
                |output: &mut _| add_stream(output, &subject, Container::Hls, parameters, track.time_base);
            sound = Some(TrackWriter::open(&subject, SOUND, track.time_base, fill)?);
        }
        Ok(Ladder {
            folder: folder.to_owned(),
            subject,
            segment: i64::try_from(segment.as_nanos()).unwrap_or(i64::MAX),
            video: writers,
            tracks: video.to_vec(),
            sound,
            sound_track: audio.cloned(),
            held: VecDeque::new(),
            passed: 1,
        })
    }

    /// What errors name.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn write(&mut self, track: Track, packet: ff::Packet) -> Result<()> {
        match track {
            Track::Video(index) if index < self.video.len() => self.write_video(index, packet),
            Track::Audio if self.sound.is_some() => {
                self.held.push_back(packet);
                self.release(false)
            }
            _ => Err(Error::new(ErrorKind::Internal, self.subject.clone(), "a packet of an unknown track")),
        }
    }

    fn write_video(&mut self, index: usize, packet: ff::Packet) -> Result<()> {
        let writer = &mut self.video[index];
        let time = nanos(packet.pts().or(packet.dts()).unwrap_or(0), writer.given);
        let due = writer.starts.last().is_none_or(|start| time - start + SAME >= self.segment);
        if writer.starts.is_empty() && !packet.is_key() {
            let message = format!("rendition {} does not begin with a key frame", writer.name);
            return Err(Error::new(ErrorKind::Internal, self.subject.clone(), message));
        }
        let cut = packet.is_key() && due;
        if cut {
            writer.cut(&self.folder, &self.subject)?;
            writer.starts.push(time);
        }
        writer.put(packet, &self.subject)?;
        if cut {
            self.check_alignment(index)?;
            if index == 0 {
                self.release(false)?;
            }
        }
        Ok(())
    }

    /// The newest segment of a rendition begins when its fellows in the others do.
    fn check_alignment(&self, index: usize) -> Result<()> {
        let writer = &self.video[index];
        let number = writer.starts.len() - 1;
        let differs = self.video.iter().find(|other| {
            other.starts.get(number).is_some_and(|start| (start - writer.starts[number]).abs() > SAME)
        });
        match differs {
            None => Ok(()),
            Some(other) => Err(self.unaligned(writer, other, number)),
        }
    }

    fn unaligned(&self, one: &TrackWriter, other: &TrackWriter, number: usize) -> Error {
        let at = |writer: &TrackWriter| match writer.starts.get(number) {
            Some(start) => format!("{:.3} s", *start as f64 / 1e9),
            None => "nowhere".to_owned(),
        };
        let message = format!(
            "segment {} begins at {} in {} and at {} in {}; all renditions need key frames at the same times",
            number + 1,
            at(one),
            one.name,
            at(other),
            other.name
        );
        Error::new(ErrorKind::Internal, self.subject.clone(), message)
    }

    /// Moves sound to its segments, as far as they are known.
    fn release(&mut self, all: bool) -> Result<()> {
        let Some(sound) = &mut self.sound else { return Ok(()) };
        let starts = &self.video[0].starts;
        while let Some(packet) = self.held.front() {
            let time = nanos(packet.pts().or(packet.dts()).unwrap_or(0), sound.given);
            match starts.get(self.passed) {
                Some(start) if time >= *start => {
                    self.passed += 1;
                    sound.cut(&self.folder, &self.subject)?;
                    continue;
                }
                None if !all => return Ok(()),
                _ => {}
            }
            if let Some(packet) = self.held.pop_front() {
                if !sound.pending {
                    sound.starts.push(time);
                }
                sound.put(packet, &self.subject)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.release(true)?;
        for writer in self.video.iter_mut().chain(self.sound.as_mut()) {
            writer.cut(&self.folder, &self.subject)?;
        }
        for other in &self.video[1..] {
            let first = &self.video[0];
            if other.starts.len() != first.starts.len() {
                return Err(self.unaligned(first, other, first.starts.len().min(other.starts.len())));
            }
        }
        // Fragments count from zero upwards, while pictures that are decoded early count below it: all
        // tracks move by the same, which keeps them in step.
        let writers = || self.video.iter().chain(self.sound.as_ref());
        let delay = writers().filter_map(|writer| writer.first).map(|dts| -dts).max().unwrap_or(0).max(0);
        for writer in writers() {
            writer.settle(&self.folder, &self.subject, delay)?;
        }
        self.write_playlists()?;
        let folder = std::fs::File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(|e| refused(&self.subject, &e))
    }

    fn write_playlists(&self) -> Result<()> {
        let mut sound = None;
        if let (Some(writer), Some(track)) = (&self.sound, &self.sound_track) {
            let segments = writer.segments();
            if !segments.is_empty() {
                self.store(&format!("{SOUND}.m3u8"), &playlist::media(SOUND, &segments))?;
                sound = Some(SoundEntry {
                    codec: playlist::audio_codec(&track.parameters),
                    channels: facts(&track.parameters).channels,
                    segments,
                });
            }
        }
        let mut entries = Vec::new();
        for (writer, track) in self.video.iter().zip(&self.tracks) {
            let segments = writer.segments();
            self.store(&format!("{}.m3u8", writer.name), &playlist::media(&writer.name, &segments))?;
            let facts = facts(&track.parameters);
            let codec = playlist::video_codec(&writer.init).ok_or_else(|| {
                let message = format!("rendition {} has a codec that has no place in a ladder", writer.name);
                Error::new(ErrorKind::Unsupported, self.subject.clone(), message)
            })?;
            entries.push(VideoEntry {
                name: writer.name.clone(),
                codec,
                size: (facts.width, facts.height),
                aspect: facts.aspect,
                rate: track.frame_rate.map(|rate| rate.as_f64()),
                pictures: writer.packets,
                segments,
            });
        }
        self.store(&format!("{MASTER}.m3u8"), &playlist::master(&entries, sound.as_ref()))
    }

    fn store(&self, name: &str, text: &str) -> Result<()> {
        store(&self.folder.join(name), text.as_bytes()).map_err(|e| refused(&self.subject, &e))
    }
}

/// One track of the ladder.
struct TrackWriter {
    name: String,
    output: ff::format::context::Output,
    memory: Memory,
    given: ff::Rational,
    kept: ff::Rational,
    /// When each segment begins, in nanoseconds; the last one is in the making.
    starts: Vec<i64>,
    /// Finished segments: bytes, and the first decoding time in the muxer's unit.
    done: Vec<(u64, i64)>,
    /// The first decoding time of the segment in the making.
    segment_dts: i64,
    pending: bool,
    init: Vec<u8>,
    /// The first decoding time of all, in nanoseconds.
    first: Option<i64>,
    /// The end of the last packet in presentation order, in nanoseconds.
    end: i64,
    packets: u64,
}

impl TrackWriter {
    fn open(
        subject: &str,
        name: &str,
        given: ff::Rational,
        fill: impl FnOnce(&mut ff::format::context::Output) -> Result<usize>,
    ) -> Result<TrackWriter> {
        let memory = Memory::default();
        let io = ff::format::context::StreamIo::from_write(memory.clone());
        let mut output = io
            .and_then(|io| ff::format::output_to_stream(io, None, Some(Container::Hls.muxer())))
            .map_err(|e| muxing(subject, e))?;
        let stream = fill(&mut output)?;
        let mut options = ff::Dictionary::new();
        options.set("fflags", "+bitexact");
        // The codec record of some sound is known with its first packet only.
        options.set("movflags", "+frag_custom+delay_moov+default_base_moof+skip_sidx");
        options.set("use_editlist", "0");
        options.set("brand", "cmfc");
        write_header(&mut output, subject, options)?;
        let kept = output.stream(stream).map_or(given, |stream| stream.time_base());
        Ok(TrackWriter {
            name: name.to_owned(),
            output,
            memory,
            given,
            kept,
            starts: Vec::new(),
            done: Vec::new(),
            segment_dts: 0,
            pending: false,
            init: Vec::new(),
            first: None,
            end: 0,
            packets: 0,
        })
    }

    fn put(&mut self, mut packet: ff::Packet, subject: &str) -> Result<()> {
        let pts = packet.pts().or(packet.dts()).unwrap_or(0);
        self.end = self.end.max(nanos(pts.saturating_add(packet.duration()), self.given));
        self.packets += 1;
        packet.rescale_ts(self.given, self.kept);
        packet.set_stream(0);
        packet.set_position(-1);
        let dts = packet.dts().or(packet.pts()).unwrap_or(0);
        if !self.pending {
            self.segment_dts = dts;
        }
        self.first.get_or_insert(nanos(dts, self.kept));
        self.pending = true;
        packet.write(&mut self.output).map(|_| ()).map_err(|e| muxing(subject, e))
    }

    /// Ends the segment in the making, if there is one.
    fn cut(&mut self, folder: &Path, subject: &str) -> Result<()> {
        if !self.pending {
            return Ok(());
        }
        self.pending = false;
        let mut fragment = self.fragment(subject)?;
        if self.init.is_empty() {
            // The first flush writes the header alone where it had to wait for a packet.
            let (init, rest) = split_init(&fragment);
            self.init = init.to_vec();
            fragment = rest.to_vec();
            if fragment.is_empty() {
                fragment = self.fragment(subject)?;
            }
            let path = folder.join(playlist::init_name(&self.name));
            store(&path, &self.init).map_err(|e| refused(subject, &e))?;
        }
        let path = folder.join(playlist::segment_name(&self.name, self.done.len()));
        std::fs::write(path, &fragment).map_err(|e| refused(subject, &e))?;
        self.done.push((fragment.len() as u64, self.segment_dts));
        Ok(())
    }

    fn fragment(&mut self, subject: &str) -> Result<Vec<u8>> {
        package_ffi::end_fragment(&mut self.output).map_err(|e| muxing(subject, e))?;
        package_ffi::flush_io(&mut self.output);
        Ok(self.memory.take())
    }

    /// Writes into each segment when it begins, all moved by `delay` nanoseconds.
    fn settle(&self, folder: &Path, subject: &str, delay: i64) -> Result<()> {
        let delay = ticks(delay, self.kept);
        for (number, (_, dts)) in self.done.iter().enumerate() {
            let path = folder.join(playlist::segment_name(&self.name, number));
            let time = u64::try_from(dts + delay).unwrap_or(0);
            let file = std::fs::OpenOptions::new().read(true).write(true).open(&path);
            let settled = file.and_then(|mut file| {
                let mut head = Vec::new();
                std::io::Read::read_to_end(&mut std::io::Read::take(&mut file, HEAD), &mut head)?;
                let at = decode_time(&head).ok_or(std::io::ErrorKind::InvalidData)?;
                file.seek(SeekFrom::Start(at as u64))?;
                file.write_all(&time.to_be_bytes())?;
                file.sync_all()
            });
            settled.map_err(|e| refused(subject, &e))?;
        }
        Ok(())
    }

    fn segments(&self) -> Vec<Segment> {
        let ends = self.starts.iter().skip(1).copied().chain([self.end]);
        let spans = self.starts.iter().zip(ends);
        let timed = self.done.iter().zip(spans);
        timed
            .map(|((bytes, _), (start, end))| Segment {
                seconds: (end - start).max(0) as f64 / 1e9,
                bytes: *bytes,
            })
            .collect()
    }
}

/// Where the first fragment's decode time lies within a segment: `moof`, then `mfhd` and `traf`, then
/// `tfhd` and `tfdt` (ISO/IEC 14496-12), all of a few dozen bytes.
const HEAD: u64 = 256;

/// The place of the 64-bit `baseMediaDecodeTime` in a segment's first bytes.
fn decode_time(head: &[u8]) -> Option<usize> {
    let name = head.windows(4).position(|name| name == b"tfdt")?;
    // Version 1 has 64 bits; three bytes of flags follow.
    (*head.get(name + 4)? == 1 && head.len() >= name + 16).then_some(name + 8)
}

/// Splits what comes before the first `moof` from the rest.
fn split_init(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while let Some([a, b, c, d, name @ ..]) = bytes.get(at..at + 8) {
        let size = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if name == b"moof" || size < 8 {
            break;
        }
        at += size;
    }
    bytes.split_at(at.min(bytes.len()))
}

/// What a muxer has written since it was last taken.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn store(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn nanos(ticks: i64, base: ff::Rational) -> i64 {
    TimeBase::of(base).nanos(ticks)
}

fn ticks(nanos: i64, base: ff::Rational) -> i64 {
    TimeBase::of(base).ticks(nanos)
}
