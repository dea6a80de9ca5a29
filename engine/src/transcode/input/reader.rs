//! Reads a source from its beginning, once: units of the chosen video stream, numbered, and packets of
//! its sound, on one clock. The scan and the jobs read through this, so that they number alike.

use std::path::{Path, PathBuf};

use ff::codec::packet::side_data::Type as SideData;
use ffmpeg_next as ff;

use super::clock::{SourceClock, Stream};
use crate::base::{Error, ErrorKind, Result};
use crate::media::Orientation;
use crate::source::Pictures;
use crate::source::demux::{JUMPING, open_file, orientation_of};
use crate::source::demux_ffi::{extradata, indexed_end, is_hidden};
use crate::transcode::time::TimeBase;

/// What is opened, by libavformat's names: no playlists, no scripts, no devices.
const FORMATS: &str =
    "mov,matroska,mpegts,mpeg,avi,flv,h264,hevc,m4v,mjpeg,asf,ogg,ivf,obu,mxf,nut,yuv4mpegpipe";
const UNDERSTOOD: &str = "MP4, MOV, MKV, WebM, TS, PS, AVI, FLV, ASF, OGG, MXF, raw H.264, H.265 or MPEG-4";

const PLAYLIST: &str = "is a playlist and holds no pictures; name the files that it lists, decrypted where \
                        they are encrypted";

/// A packet of a source.
pub enum SourcePacket {
    /// A coded picture; its times are moved onto the source's one clock.
    Unit(Unit),
    /// A packet of sound, on the same clock.
    Sound(ff::Packet),
}

/// A coded picture of a source.
pub struct Unit {
    /// Its number in the stream, from 0, in decoding order.
    pub number: u64,
    /// Its data and times, in the stream's time base.
    pub packet: ff::Packet,
}

/// The time base of each stream.
struct Bases {
    pictures: TimeBase,
    sound: TimeBase,
}

/// An open source.
pub struct Reader {
    input: ff::format::context::Input,
    path: PathBuf,
    video: usize,
    sound: Option<usize>,
    bases: Bases,
    clock: SourceClock,
    pictures: Pictures,
    next: u64,
    encrypted: bool,
    ended: bool,
    broken: Option<String>,
    /// The newest unit is marked as damaged.
    damaged: bool,
    spans: Option<(i64, i64)>,
}

impl Reader {
    /// Opens a source and chooses its `nth` video stream, from 0, and its best sound.
    ///
    /// # Errors
    /// As [`open_file`]; `Unsupported` where it has no video, `Config` where it has fewer streams.
    pub fn open(path: &Path, nth: usize) -> Result<Reader> {
        let input = open_file(path, FORMATS, UNDERSTOOD).map_err(|error| match is_playlist(path) {
            true => Error::new(ErrorKind::Unsupported, path.display().to_string(), PLAYLIST),
            false => error,
        })?;
        let subject = || path.display().to_string();
        let cover = ff::format::stream::Disposition::ATTACHED_PIC;
        let videos: Vec<usize> = input
            .streams()
            .filter(|s| s.parameters().medium() == ff::media::Type::Video && !s.disposition().contains(cover))
            .map(|s| s.index())
            .collect();
        if videos.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, subject(), "has no video; leave it out"));
        }
        let Some(video) = videos.get(nth).copied() else {
            let message = format!("has {} video streams; the first is number 0", videos.len());
            return Err(Error::new(ErrorKind::Config, subject(), message));
        };
        let sound = input.streams().best(ff::media::Type::Audio).map(|s| s.index());
        let base =
            |index: usize| input.stream(index).map_or(TimeBase::SECOND, |s| TimeBase::of(s.time_base()));
        let bases = Bases { pictures: base(video), sound: sound.map_or(TimeBase::SECOND, base) };
        let coded = input.stream(video).map(|s| s.parameters());
        let pictures = coded.map_or_else(
            || Pictures::new(ff::codec::Id::None, &[]),
            |c| Pictures::new(c.id(), &extradata(&c)),
        );
        let jumping = JUMPING.contains(&input.format().name());
        Ok(Reader {
            path: path.to_owned(),
            video,
            sound,
            bases,
            clock: SourceClock::new(jumping),
            pictures,
            next: 0,
            encrypted: false,
            ended: false,
            broken: None,
            damaged: false,
            spans: None,
            input,
        })
    }

    /// The chosen video stream.
    pub fn video(&self) -> Option<ff::Stream<'_>> {
        self.input.stream(self.video)
    }

    /// The chosen sound.
    pub fn sound(&self) -> Option<ff::Stream<'_>> {
        self.input.stream(self.sound?)
    }

    /// The container, by libavformat's first name for it.
    pub fn format(&self) -> String {
        self.input.format().name().split(',').next().unwrap_or_default().to_owned()
    }

    /// How long the container says its pictures last, in nanoseconds.
    pub fn stated(&self) -> Option<i64> {
        let video = self.video().map_or(0, |s| TimeBase::of(s.time_base()).nanos(s.duration()));
        Some(video).filter(|n| *n > 0)
    }

    /// How long it says that all of it lasts, in nanoseconds.
    pub fn stated_of_all(&self) -> Option<i64> {
        let all = TimeBase { num: 1, den: i64::from(ff::ffi::AV_TIME_BASE) }.nanos(self.input.duration());
        Some(all).filter(|n| *n > 0)
    }

    /// From when until when anything in it lasts, as far as it was read: streams that are not chosen too. On the
    /// container's own clock, in nanoseconds.
    pub fn spans(&self) -> Option<(i64, i64)> {
        self.spans
    }

    /// How the file asks to be set upright; `None` where by another angle than a quarter.
    pub fn orientation(&self) -> Option<Orientation> {
        self.video().map_or(Some(Orientation::UPRIGHT), |stream| orientation_of(&stream))
    }

    /// Pictures so far that came as two fields.
    pub fn joined(&self) -> u64 {
        self.pictures.joined()
    }

    /// Jumps of the clock so far.
    pub fn jumps(&self) -> u32 {
        self.clock.jumps()
    }

    /// Pictures so far are encrypted. What a decoder makes of them may even look like a picture.
    pub fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// Why reading ended before the end, if it did.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// The newest unit is marked as damaged: of the last one of a file, that a part of it is missing.
    pub fn damaged(&self) -> bool {
        self.damaged
    }

    /// Where in the file the last unit that its index names ends, in bytes.
    pub fn indexed_end(&self) -> Option<u64> {
        indexed_end(&self.video()?)
    }

    /// The next packet in the file's order; `None` at the end, and where it cannot be read further.
    pub fn next(&mut self) -> Option<SourcePacket> {
        loop {
            if let Some(mut packet) = self.pictures.pop() {
                self.place(Stream::Pictures, &mut packet);
                self.damaged = packet.is_corrupt();
                let number = self.next;
                self.next += 1;
                return Some(SourcePacket::Unit(Unit { number, packet }));
            }
            if self.ended {
                return None;
            }
            let mut packet = ff::Packet::empty();
            let read = packet.read(&mut self.input);
            if read.is_ok() {
                self.spans = self.spans_with(&packet);
            }
            match read {
                Ok(()) if packet.stream() == self.video => {
                    self.encrypted |= packet.side_data().any(|s| s.kind() == SideData::EncryptionInfo);
                    // A place-holder of AVI for a picture that did not change.
                    if packet.size() == 0 {
                        continue;
                    }
                    self.pictures.push(packet);
                }
                Ok(()) if Some(packet.stream()) == self.sound && packet.size() > 0 => {
                    self.place(Stream::Sound, &mut packet);
                    return Some(SourcePacket::Sound(packet));
                }
                Ok(()) => {}
                Err(ff::Error::Eof) => self.end(),
                Err(ff::Error::Other { errno }) if errno == libc::EAGAIN => {}
                Err(error) => {
                    self.broken = Some(format!("cannot be read further ({error})"));
                    self.end();
                }
            }
        }
    }

    fn spans_with(&self, packet: &ff::Packet) -> Option<(i64, i64)> {
        let (Some(time), Some(stream)) = (packet.pts().or(packet.dts()), self.input.stream(packet.stream()))
        else {
            return self.spans;
        };
        let base = TimeBase::of(stream.time_base());
        let (from, to) = (base.nanos(time), base.nanos(time.saturating_add(packet.duration().max(0))));
        Some(self.spans.map_or((from, to), |(first, last)| (first.min(from), last.max(to))))
    }

    fn end(&mut self) {
        self.ended = true;
        self.pictures.end();
    }

    fn place(&mut self, stream: Stream, packet: &mut ff::Packet) {
        let base = match stream {
            Stream::Pictures => self.bases.pictures,
            Stream::Sound => self.bases.sound,
        };
        let dts = packet.dts().map(|dts| base.nanos(dts));
        let shift = match is_hidden(packet) {
            true => self.clock.shift_of_hidden(stream),
            false => self.clock.shift(stream, dts, base.nanos(packet.duration())),
        };
        if shift != 0 {
            let shift = base.ticks(shift);
            packet.set_pts(packet.pts().map(|t| t.saturating_add(shift)));
            packet.set_dts(packet.dts().map(|t| t.saturating_add(shift)));
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// RFC 8216, section 4.3.1.1.
fn is_playlist(path: &Path) -> bool {
    use std::io::Read as _;
    let mut begin = [0; 7];
    std::fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut begin).is_ok())
        && begin == *b"#EXTM3U"
}
