//! One file: MP4, MOV, Matroska or MPEG-TS, written by libavformat.

use std::path::{Path, PathBuf};

use ffmpeg_next as ff;

use super::{AudioTrack, Container, Track, VideoTrack, package_ffi};
use super::{add_stream, add_video, location, muxing, refused, write_header};
use crate::base::names::TextPath;
use crate::base::{Error, ErrorKind, Result};

/// A file in the making.
pub(super) struct FilePackage {
    output: ff::format::context::Output,
    subject: String,
    hidden: PathBuf,
    video: Vec<Lane>,
    audio: Option<Lane>,
    /// The muxer opens the file again to put its index in front.
    _way: TextPath,
}

/// From a caller's track to a muxer's stream.
struct Lane {
    stream: usize,
    given: ff::Rational,
    kept: ff::Rational,
    /// Added to every time, in the given unit.
    later: i64,
}

impl FilePackage {
    pub(super) fn create(
        container: Container,
        subject: String,
        hidden: &Path,
        video: &[VideoTrack],
        audio: Option<&AudioTrack>,
    ) -> Result<FilePackage> {
        let (place, way) = location(&subject, hidden)?;
        let mut output = ff::format::output_as(&place, container.muxer()).map_err(|e| muxing(&subject, e))?;
        let mut lanes = Vec::new();
        for track in video {
            let stream = add_video(&mut output, &subject, container, track)?;
            lanes.push(Lane { stream, given: track.time_base, kept: track.time_base, later: 0 });
        }
        let mut sound = match audio {
            None => None,
            Some(track) => {
                let parameters = track.parameters.clone();
                let stream = add_stream(&mut output, &subject, container, parameters, track.time_base)?;
                let later = delay(container, track);
                Some(Lane { stream, given: track.time_base, kept: track.time_base, later })
            }
        };
        write_header(&mut output, &subject, options(container))?;
        // A muxer counts in the unit that it likes.
        for lane in lanes.iter_mut().chain(sound.as_mut()) {
            if let Some(stream) = output.stream(lane.stream) {
                lane.kept = stream.time_base();
            }
        }
        Ok(FilePackage { output, subject, hidden: hidden.to_owned(), video: lanes, audio: sound, _way: way })
    }

    /// What errors name.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn write(&mut self, track: Track, mut packet: ff::Packet) -> Result<()> {
        let lane = match track {
            Track::Video(index) => self.video.get(index),
            Track::Audio => self.audio.as_ref(),
        };
        let Some(lane) = lane else {
            return Err(Error::new(
                ErrorKind::Internal,
                self.subject.clone(),
                "a packet of an unknown track",
            ));
        };
        packet.set_pts(packet.pts().map(|pts| pts.saturating_add(lane.later)));
        packet.set_dts(packet.dts().map(|dts| dts.saturating_add(lane.later)));
        packet.rescale_ts(lane.given, lane.kept);
        packet.set_stream(lane.stream);
        packet.set_position(-1);
        packet.write_interleaved(&mut self.output).map_err(|e| muxing(&self.subject, e))
    }

    pub(super) fn finish(mut self) -> Result<()> {
        // With what libavformat's buffers held until now: errors of earlier writes come up here too.
        self.output.write_trailer().map_err(|e| muxing(&self.subject, e))?;
        drop(self.output);
        std::fs::File::open(&self.hidden)
            .and_then(|file| file.sync_all())
            .map_err(|e| refused(&self.subject, &e))
    }
}

/// By how much times of sound must be late, in its unit, to be read as they were. Readers of Matroska
/// take the decoder's delay (`CodecDelay`) off each time; libavformat's writer tells the delay of Opus
/// but does not add it.
fn delay(container: Container, track: &AudioTrack) -> i64 {
    if container != Container::Mkv || track.parameters.id() != ff::codec::Id::OPUS {
        return 0;
    }
    let known = package_ffi::facts(&track.parameters);
    let (num, den) = (i64::from(track.time_base.numerator()), i64::from(track.time_base.denominator()));
    let unit = i64::from(known.sample_rate.max(1)) * num.max(1);
    (i64::from(known.padding) * den + unit / 2) / unit
}

/// No dates, no random numbers, the index of an MP4 in front.
fn options(container: Container) -> ff::Dictionary<'static> {
    let mut options = ff::Dictionary::new();
    options.set("fflags", "+bitexact");
    options.set("strict", "experimental");
    if matches!(container, Container::Mp4 | Container::Mov) {
        options.set("movflags", "+faststart");
    }
    if container == Container::Ts {
        // Microseconds that a decoder may buffer, as FFmpeg's own program sets it.
        options.set("max_delay", "700000");
    }
    options
}
