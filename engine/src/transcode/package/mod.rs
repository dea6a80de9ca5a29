//! The container or the ladder: tracks of packets into a file or a folder of segments, and the check
//! of what was written.

mod check;
mod digest;
pub(super) mod ends;
mod file;
mod hls;
pub(crate) mod package_ffi;
mod playlist;

use std::path::{Path, PathBuf};

use ffmpeg_next as ff;

use super::spec::Target;
use crate::base::names::TextPath;
use crate::base::{Error, ErrorKind, Result};
use crate::media::Ratio;
use crate::source::demux::quiet;

pub use check::{Checked, CheckedTrack, Expected, ExpectedTrack, Payloads, check};

/// A video track to be written.
#[derive(Clone)]
pub struct VideoTrack {
    /// The rendition's name, such as `720p`: file names of a ladder begin with it.
    pub name: String,
    /// Codec, size and codec record (or parameter sets in Annex B).
    pub parameters: ff::codec::Parameters,
    /// The unit of its packets' times.
    pub time_base: ff::Rational,
    /// Pictures a second, where it is constant.
    pub frame_rate: Option<Ratio>,
    /// What it was asked to take, in kilobits a second, where a rate was asked for.
    pub kbps: Option<u32>,
    /// How a player shall turn the pictures (`AV_PKT_DATA_DISPLAYMATRIX`), where a source that is
    /// copied asks for it. Only MP4 and MOV keep it.
    pub matrix: Option<[i32; 9]>,
}

/// The sound track to be written.
#[derive(Clone)]
pub struct AudioTrack {
    /// Codec, rate, channels and codec record.
    pub parameters: ff::codec::Parameters,
    /// The unit of its packets' times.
    pub time_base: ff::Rational,
}

/// Which track a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// The video track of this number, in the order in which they were given.
    Video(usize),
    /// The sound.
    Audio,
}

/// What a target is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// MPEG-4 part 14, `.mp4` and `.m4v`.
    Mp4,
    /// QuickTime, `.mov`.
    Mov,
    /// Matroska, `.mkv`.
    Mkv,
    /// MPEG-2 transport stream, `.ts`.
    Ts,
    /// A folder of playlists and fragmented MP4.
    Hls,
}

impl Container {
    /// The container that a target's ending asks for.
    ///
    /// # Errors
    /// `Config` where the ending is none that can be written.
    pub fn of(target: &Target) -> Result<Container> {
        let Target::File(path) = target else { return Ok(Container::Hls) };
        let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        match ending.as_deref() {
            Some("mp4" | "m4v") => Ok(Container::Mp4),
            Some("mov") => Ok(Container::Mov),
            Some("mkv") => Ok(Container::Mkv),
            Some("ts") => Ok(Container::Ts),
            _ => {
                let remedy = "has an ending that cannot be written; use .mp4, .mov, .m4v, .mkv or .ts";
                Err(Error::new(ErrorKind::Config, path.display().to_string(), remedy))
            }
        }
    }

    /// libavformat's name for it.
    fn muxer(self) -> &'static str {
        match self {
            Container::Mp4 | Container::Hls => "mp4",
            Container::Mov => "mov",
            Container::Mkv => "matroska",
            Container::Ts => "mpegts",
        }
    }

    /// The codec's name in the container, where libavformat's own choice is not the best one: Apple's
    /// players take H.265 only as `hvc1`.
    fn tag(self, codec: ff::codec::Id) -> Option<[u8; 4]> {
        let iso = matches!(self, Container::Mp4 | Container::Mov | Container::Hls);
        (iso && codec == ff::codec::Id::HEVC).then_some(*b"hvc1")
    }
}

/// Writes a target under a hidden name. Same tracks and packets in the same order: same bytes.
pub struct Packager(Kind);

enum Kind {
    File(Box<file::FilePackage>),
    Ladder(Box<hls::Ladder>),
}

impl Packager {
    /// Begins to write at `hidden`: a file for [`Target::File`], a folder (made here) for
    /// [`Target::Hls`]. `target` says what is written, and errors name it.
    ///
    /// # Errors
    /// `Config` where the ending is unknown or there is no video track, `Unsupported` where the
    /// container cannot hold a codec, `Io` where `hidden` cannot be written.
    pub fn create(
        target: &Target,
        hidden: &Path,
        video: &[VideoTrack],
        audio: Option<&AudioTrack>,
    ) -> Result<Packager> {
        quiet();
        let container = Container::of(target)?;
        let subject = target.path().display().to_string();
        if video.is_empty() {
            return Err(Error::new(ErrorKind::Config, subject, "has no video track"));
        }
        Ok(Packager(match target {
            Target::File(_) => {
                let package = file::FilePackage::create(container, subject, hidden, video, audio)?;
                Kind::File(Box::new(package))
            }
            Target::Hls { segment, .. } => {
                Kind::Ladder(Box::new(hls::Ladder::create(subject, hidden, *segment, video, audio)?))
            }
        }))
    }

    /// Takes the next packet of a track, in decoding order, with its times in the track's time base,
    /// its duration and its key flag; pictures need both times. Tracks may be written in any order; the
    /// closer to their times, the better the container is interleaved (beyond ten seconds it is not).
    ///
    /// # Errors
    /// `Io` where the disk is full or refuses, `Internal` where a packet cannot be written as it is.
    pub fn write(&mut self, track: Track, packet: ff::Packet) -> Result<()> {
        // A muxer would guess it, each for itself, and the tracks of a ladder would no longer be in step.
        if matches!(track, Track::Video(_)) && packet.dts().is_none() {
            let subject = match &self.0 {
                Kind::File(package) => package.subject(),
                Kind::Ladder(ladder) => ladder.subject(),
            };
            let message = "a picture came without its decoding time; this is a fault of this program";
            return Err(Error::new(ErrorKind::Internal, subject.to_owned(), message));
        }
        match &mut self.0 {
            Kind::File(package) => package.write(track, packet),
            Kind::Ladder(ladder) => ladder.write(track, packet),
        }
    }

    /// Everything is written: completes the target and brings it to the disk.
    ///
    /// # Errors
    /// `Io` where the disk is full or refuses; `Internal` where segments of a ladder do not begin at
    /// the same instants.
    pub fn finish(self) -> Result<()> {
        match self.0 {
            Kind::File(package) => package.finish(),
            Kind::Ladder(ladder) => ladder.finish(),
        }
    }
}

/// Why something could not be written, for the person who can act.
fn refused(subject: &str, error: &std::io::Error) -> Error {
    let message = match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => "the disk is full; free some space",
        Some(libc::EFBIG) => "becomes larger than a file may be here; choose another disk or a smaller size",
        _ => "cannot be written",
    };
    let cause = match error.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code),
        None => std::io::Error::from(error.kind()),
    };
    Error::new(ErrorKind::Io, subject.to_owned(), message).caused_by(cause)
}

/// The same for what libavformat reports.
fn muxing(subject: &str, error: ff::Error) -> Error {
    match error {
        ff::Error::Other { errno } if errno != libc::EINVAL => {
            refused(subject, &std::io::Error::from_raw_os_error(errno))
        }
        error => {
            let message = "libavformat does not take it as it is; this is a fault of this program";
            Error::new(ErrorKind::Internal, subject.to_owned(), message).caused_by(error)
        }
    }
}

/// A name that libavformat opens as this file, whatever characters are in it; its wrapper takes UTF-8 only.
/// Good as long as the way is held.
fn location(subject: &str, path: &Path) -> Result<(PathBuf, TextPath)> {
    match TextPath::to(path).map_err(|e| refused(subject, &e))? {
        Some(way) if !way.text().contains('\0') => Ok((PathBuf::from(format!("file:{}", way.text())), way)),
        _ => {
            let remedy = "its name is not UTF-8; choose another one";
            Err(Error::new(ErrorKind::Config, subject.to_owned(), remedy))
        }
    }
}

/// A track of an open muxer.
fn add_stream(
    output: &mut ff::format::context::Output,
    subject: &str,
    container: Container,
    mut parameters: ff::codec::Parameters,
    time_base: ff::Rational,
) -> Result<usize> {
    let tag = container.tag(parameters.id());
    package_ffi::set_tag(&mut parameters, tag);
    let mut stream = output.add_stream(ff::codec::Id::None).map_err(|e| muxing(subject, e))?;
    stream.set_parameters(parameters);
    stream.set_time_base(time_base);
    Ok(stream.index())
}

/// A video track of an open muxer.
fn add_video(
    output: &mut ff::format::context::Output,
    subject: &str,
    container: Container,
    track: &VideoTrack,
) -> Result<usize> {
    let index = add_stream(output, subject, container, track.parameters.clone(), track.time_base)?;
    if let (Some(rate), Some(mut stream)) = (track.frame_rate.and_then(rational), output.stream_mut(index)) {
        stream.set_avg_frame_rate(rate);
    }
    let aspect = package_ffi::facts(&track.parameters).aspect;
    if !package_ffi::dress(output, index, aspect, track.matrix) {
        return Err(Error::new(ErrorKind::Internal, subject.to_owned(), "no memory for a track"));
    }
    Ok(index)
}

/// Writes a muxer's header. `Unsupported` where it does not hold a codec.
fn write_header(
    output: &mut ff::format::context::Output,
    subject: &str,
    options: ff::Dictionary<'_>,
) -> Result<()> {
    let left = output.write_header_with(options).map_err(|error| match error {
        ff::Error::Other { errno } if errno != libc::EINVAL => muxing(subject, error),
        error => {
            let message = "this container cannot hold these codecs; choose another one, such as .mkv";
            Error::new(ErrorKind::Unsupported, subject.to_owned(), message).caused_by(error)
        }
    })?;
    match left.iter().next() {
        None => Ok(()),
        Some((name, _)) => {
            let message =
                format!("this libavformat does not know the option {name}; install FFmpeg 5.1 or later");
            Err(Error::new(ErrorKind::Missing, subject.to_owned(), message))
        }
    }
}

fn rational(ratio: Ratio) -> Option<ff::Rational> {
    Some(ff::Rational::new(i32::try_from(ratio.num).ok()?, i32::try_from(ratio.den).ok()?))
}
