//! Pulls the access units of a video file, in decoding order, as fast as the caller wants them: for
//! jobs. Live sources push instead ([`super::Source`]).

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use bytes::Bytes;
use ff::codec::packet::side_data::Type as SideData;
use ffmpeg_next as ff;

use super::classify::Classifier;
use super::demux_ffi;
use super::fields::Pictures;
use super::packing::Packing;
use crate::base::{Error, ErrorKind, Moment, Result};
use crate::media::{AccessUnit, Codec, Orientation, Pts, Ratio, VideoParameters};

/// The formats that are opened, by libavformat's names. Playlists and scripts, which may name other
/// files or hosts, are not among them.
const FORMATS: &str = "mov,matroska,mpegts,mpeg,avi,flv,h264,hevc,m4v,mjpeg,asf,ogg";
const UNDERSTOOD: &str = "MP4, MOV, MKV, TS, AVI, FLV, raw H.264 or H.265";
/// Formats whose clocks jump, as broadcast and camera recordings do (33 bits of 90 kHz wrap).
pub(crate) const JUMPING: [&str; 2] = ["mpegts", "mpeg"];
/// The rate of a source that does not tell its own, as FFmpeg assumes it.
pub(crate) const ASSUMED_RATE: Ratio = Ratio { num: 25, den: 1 };
/// Formats that tell a rate and no times, by libavformat's names: their average is taken of what libavformat assumes
/// for each packet, those of fields too.
const RATED: [&str; 5] = ["h264", "hevc", "m4v", "mjpeg", "avi"];

/// One unit of a file.
#[derive(Clone, Debug)]
pub struct FileUnit {
    /// The access unit. Its `arrival` is not a time but its number in the file, from 0: it tells
    /// which unit a decoded picture came from.
    pub unit: AccessUnit,
    /// False where the file gives no time for it: its `pts` is then when it is decoded, or counted in that order.
    pub timed: bool,
    /// When it is decoded, where the file says that and nothing else: AVI, whose empty chunks count as time. As many
    /// pictures are shown until then.
    pub decoded: Option<Pts>,
    /// When a player hands it to its decoder: at its decoding time where there is one, else at its own.
    pub due: Pts,
    /// The file's edit list leaves this picture out: decode it for those that refer to it, and do
    /// not show it.
    pub hidden: bool,
}

/// A video file that is read unit by unit. Only its best video stream is read; audio is left out.
pub struct FileDemuxer {
    input: ff::format::context::Input,
    path: PathBuf,
    stream: usize,
    time_base: (i64, i64),
    parameters: VideoParameters,
    pictures: Pictures,
    packing: Packing,
    classifier: Classifier,
    picture_time: Duration,
    duration: Option<Duration>,
    jumps: bool,
    /// Its decoding times are its clock.
    decodes_on_time: bool,
    next: u64,
    damaged: u64,
    broken: Option<Error>,
}

impl FileDemuxer {
    /// Opens a file: MP4, MOV, MKV, MPEG-TS, AVI, FLV, or raw H.264 and H.265.
    ///
    /// # Errors
    /// `Io` where it is not there or cannot be read, `Corrupt` where it is empty or no video file,
    /// `Unsupported` where it has no video, or of another codec.
    pub fn open(path: &Path) -> Result<FileDemuxer> {
        quiet();
        let location = location(path)?;
        let input = demux_ffi::open(&location, options(FORMATS))
            .map_err(|e| not_understood(path, UNDERSTOOD).caused_by(e))?;
        FileDemuxer::of(input, path)
    }

    fn of(input: ff::format::context::Input, path: &Path) -> Result<FileDemuxer> {
        let subject = || path.display().to_string();
        let stream = input
            .streams()
            .best(ff::media::Type::Video)
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, subject(), "has no video; leave it out"))?;
        let codec = codec_of(stream.parameters().id()).ok_or_else(|| {
            let message = format!(
                "holds {} video; convert it to H.264 or H.265 first",
                stream.parameters().id().name()
            );
            Error::new(ErrorKind::Unsupported, subject(), message)
        })?;
        let record = demux_ffi::codec_record(&stream);
        let packing = Packing::read(codec, &record).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, subject(), "its codec record is damaged; convert it again")
        })?;
        let [width, height, aspect_num, aspect_den] = demux_ffi::sizes(&stream).map(|n| n.max(0) as u32);
        let base = stream.time_base();
        let time_base = (i64::from(base.numerator()), i64::from(base.denominator()).max(1));
        let name = input.format().name().to_owned();
        let rate = rate_of(&stream, &name);
        let duration = seconds(stream.duration(), time_base)
            .or(seconds(input.duration(), (1, i64::from(ff::ffi::AV_TIME_BASE))));
        let parameters = VideoParameters {
            codec,
            width,
            height,
            pixel_aspect: Ratio::new(aspect_num, aspect_den).unwrap_or(Ratio::ONE),
            frame_rate: rate,
            orientation: orientation_of(&stream).unwrap_or_default(),
            extradata: packing.sets.clone(),
        };
        Ok(FileDemuxer {
            stream: stream.index(),
            path: path.to_owned(),
            time_base,
            parameters,
            classifier: Classifier::new(codec),
            pictures: Pictures::new(stream.parameters().id(), &record),
            packing,
            picture_time: Duration::from_secs_f64(1.0 / rate.unwrap_or(ASSUMED_RATE).as_f64()),
            duration: duration.filter(|_| !matches!(name.as_str(), "h264" | "hevc" | "m4v" | "mjpeg")),
            jumps: JUMPING.contains(&name.as_str()),
            decodes_on_time: name == "avi",
            input,
            next: 0,
            damaged: 0,
            broken: None,
        })
    }

    /// What the file says of its video.
    pub fn parameters(&self) -> &VideoParameters {
        &self.parameters
    }

    /// How long the file says it is; `None` for raw streams.
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// The nominal time of one picture.
    pub fn picture_time(&self) -> Duration {
        self.picture_time
    }

    /// What the file's times are rounded to; zero where its clock counts pictures (AVI), which rounds nothing.
    pub fn resolution(&self) -> Duration {
        let tick = Duration::from_nanos(u64::try_from(nanos(1, self.time_base)).unwrap_or(0));
        if tick < self.picture_time / 2 { tick } else { Duration::ZERO }
    }

    /// The format's clock may jump, and a jump says nothing of the time between two pictures.
    pub fn clock_jumps(&self) -> bool {
        self.jumps
    }

    /// All its streams by kind and codec, the one that is read first: `video h264`, `audio aac`.
    pub fn streams(&self) -> Vec<String> {
        let name = |stream: &ff::Stream<'_>| {
            let parameters = stream.parameters();
            let kind = match parameters.medium() {
                ff::media::Type::Video => "video",
                ff::media::Type::Audio => "audio",
                ff::media::Type::Subtitle => "subtitle",
                _ => "data",
            };
            format!("{kind} {}", parameters.id().name())
        };
        let (own, others): (Vec<_>, Vec<_>) =
            self.input.streams().partition(|stream| stream.index() == self.stream);
        own.iter().chain(&others).map(name).collect()
    }

    /// Units that were damaged in the file so far.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The next unit in decoding order; `None` at the end. `Corrupt` where the rest of the file
    /// cannot be read: what came before is good.
    pub fn next_unit(&mut self) -> Result<Option<FileUnit>> {
        loop {
            if let Some(packet) = self.pictures.pop() {
                match self.unit(&packet) {
                    Some(unit) => return Ok(Some(unit)),
                    None => continue,
                }
            }
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
            let mut packet = ff::Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() != self.stream => continue,
                Ok(()) => self.pictures.push(packet),
                Err(ff::Error::Eof) => {
                    self.pictures.end();
                    let last = self.pictures.pop();
                    return Ok(last.and_then(|packet| self.unit(&packet)));
                }
                Err(ff::Error::Other { errno }) if errno == libc::EAGAIN => {}
                Err(error) => {
                    self.pictures.end();
                    let subject = self.path.display().to_string();
                    let message = "cannot be read further; what follows is left out";
                    self.broken = Some(Error::new(ErrorKind::Corrupt, subject, message).caused_by(error));
                }
            }
        }
    }

    fn unit(&mut self, packet: &ff::Packet) -> Option<FileUnit> {
        for side in packet.side_data().filter(|side| side.kind() == SideData::NewExtraData) {
            if let Some(packing) = Packing::read(self.parameters.codec, side.data()) {
                self.packing = packing;
            }
        }
        let (mut data, whole) = self.packing.unpack(packet.data()?);
        self.damaged += u64::from(!whole || packet.is_corrupt());
        if data.is_empty() {
            return None;
        }
        let class = self.classifier.classify(&data);
        if class.random_access && !class.parameter_sets && !self.packing.sets.is_empty() {
            data.splice(0..0, self.packing.sets.iter().copied());
        }
        let number = self.next;
        self.next += 1;
        let pts = packet.pts().map(|pts| nanos(pts, self.time_base));
        let decoding = packet.dts().map(|dts| nanos(dts, self.time_base));
        let dts = decoding.filter(|_| pts.is_none() && self.decodes_on_time);
        let counted = i64::try_from(self.picture_time.as_nanos()).unwrap_or(i64::MAX);
        let counted = counted.saturating_mul(i64::try_from(number).unwrap_or(i64::MAX));
        let unit = AccessUnit {
            pts: Pts(pts.or(dts).unwrap_or(counted)),
            arrival: Moment(number),
            captured: None,
            random_access: class.random_access,
            disposable: class.disposable,
            loss: !whole,
            data: Bytes::from(data),
        };
        let hidden = demux_ffi::is_hidden(packet);
        let due = decoding.map_or(unit.pts, Pts);
        Some(FileUnit { unit, timed: pts.is_some(), decoded: dts.map(Pts), due, hidden })
    }
}

/// Opens a file with libavformat, as one of these formats and never as anything that may name other
/// files or hosts, and lets it look into the streams. `understood` says what they are, for people.
///
/// # Errors
/// `Io` where it is not there or cannot be read, `Corrupt` where it is empty or of no such format.
pub(crate) fn open_file(path: &Path, formats: &str, understood: &str) -> Result<ff::format::context::Input> {
    quiet();
    demux_ffi::open_and_look(&location(path)?, options(formats))
        .map_err(|e| not_understood(path, understood).caused_by(e))
}

/// Opens a file that is our own, with these options of libavformat, and looks into its streams.
///
/// # Errors
/// `Io` where it is not there or cannot be read, `Corrupt` where it is empty or libavformat refuses it.
pub(crate) fn open_with(path: &Path, options: ff::Dictionary<'_>) -> Result<ff::format::context::Input> {
    demux_ffi::open_and_look(&location(path)?, options).map_err(|e| {
        Error::new(ErrorKind::Corrupt, path.display().to_string(), "cannot be opened").caused_by(e)
    })
}

/// A file's name with its protocol in front, so that a name such as `http:x` is a file.
fn location(path: &Path) -> Result<CString> {
    let fail = |kind, message: &'static str| Error::new(kind, path.display().to_string(), message);
    let found = std::fs::metadata(path)
        .and_then(|found| std::fs::File::open(path).map(|_| found))
        .map_err(|e| fail(ErrorKind::Io, "cannot be read; check the path").caused_by(e))?;
    if found.is_dir() {
        return Err(fail(ErrorKind::Io, "is a folder; name the files in it"));
    }
    if found.is_file() && found.len() == 0 {
        return Err(fail(ErrorKind::Corrupt, "is empty; record it again or leave it out"));
    }
    let location = [b"file:", path.as_os_str().as_bytes()].concat();
    CString::new(location)
        .map_err(|e| fail(ErrorKind::Config, "holds a zero byte, as no name may").caused_by(e))
}

fn options(formats: &str) -> ff::Dictionary<'static> {
    let mut options = ff::Dictionary::new();
    options.set("protocol_whitelist", "file");
    options.set("format_whitelist", formats);
    options
}

fn not_understood(path: &Path, understood: &str) -> Error {
    let message = format!(
        "is no video file that is understood here ({understood}); if it is one, it is damaged at its start \
         or end, or encrypted"
    );
    Error::new(ErrorKind::Corrupt, path.display().to_string(), message)
}

fn codec_of(id: ff::codec::Id) -> Option<Codec> {
    Some(match id {
        ff::codec::Id::H264 => Codec::H264,
        ff::codec::Id::HEVC => Codec::H265,
        ff::codec::Id::MJPEG => Codec::Mjpeg,
        ff::codec::Id::MPEG4 => Codec::Mpeg4,
        _ => return None,
    })
}

/// How a file asks for its pictures to be set upright; `None` where by another angle than a quarter.
pub(crate) fn orientation_of(stream: &ff::Stream<'_>) -> Option<Orientation> {
    let matrix = stream.side_data().find(|side| side.kind() == SideData::DisplayMatrix);
    match matrix {
        Some(matrix) => Orientation::from_matrix_bytes(matrix.data()),
        None => Some(Orientation::UPRIGHT),
    }
}

/// Pictures a second, as a stream of a format tells it; `None` where it tells none that may be.
pub(crate) fn rate_of(stream: &ff::Stream<'_>, format: &str) -> Option<Ratio> {
    let mut rates = [stream.avg_frame_rate(), stream.rate()];
    if RATED.contains(&format) {
        rates.reverse();
    }
    rates.into_iter().find_map(plausible)
}

/// A rate that a camera may have, high-speed ones too; headers say all kinds of others.
pub(crate) fn plausible(rate: ff::Rational) -> Option<Ratio> {
    let rate = Ratio::new(u32::try_from(rate.numerator()).ok()?, u32::try_from(rate.denominator()).ok()?)?;
    (0.01..=1000.0).contains(&rate.as_f64()).then_some(rate)
}

/// Ticks of a time base as nanoseconds, rounded down.
pub(crate) fn nanos(ticks: i64, (num, den): (i64, i64)) -> i64 {
    let nanos = i128::from(ticks) * i128::from(num) * 1_000_000_000;
    nanos.div_euclid(i128::from(den)).clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

fn seconds(ticks: i64, time_base: (i64, i64)) -> Option<Duration> {
    u64::try_from(nanos(ticks, time_base)).ok().filter(|n| *n > 0).map(Duration::from_nanos)
}

/// libav writes to the terminal by itself; what matters reaches the caller as an error, whose texts are made
/// ready here.
pub(crate) fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        ff::util::error::register_all();
        ff::log::set_level(ff::log::Level::Quiet);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = (VideoParameters, Option<Duration>, Duration, Duration, Vec<(Pts, bool, bool, usize)>);

    /// What a demuxer says and the first hundred units that it gives.
    fn told(mut demuxer: FileDemuxer) -> Told {
        let units = std::iter::from_fn(|| demuxer.next_unit().expect("a good file")).take(100);
        let units = units.map(|u| (u.unit.pts, u.unit.random_access, u.hidden, u.unit.data.len())).collect();
        let parameters = demuxer.parameters().clone();
        (parameters, demuxer.duration(), demuxer.picture_time(), demuxer.resolution(), units)
    }

    fn agrees_with_probing(path: &Path) {
        let opened = told(FileDemuxer::open(path).expect("a good file"));
        let input = ff::format::input(path).expect("a good file");
        let probed = told(FileDemuxer::of(input, path).expect("a good file"));
        assert_eq!(opened.4, probed.4, "{}", path.display());
        assert_eq!(opened, probed, "{}", path.display());
    }

    #[test]
    fn what_is_no_video_is_told_with_its_cause() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("broken.mp4");
        std::fs::write(&path, "x").expect("it can be written");
        let error = open_file(&path, "mov,matroska", "MP4").err().expect("no video").to_string();
        assert!(error.contains("(Invalid data found"), "{error}");
    }

    #[test]
    fn headers_tell_what_probing_would() {
        let footage = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/footage");
        let Ok(files) = std::fs::read_dir(&footage) else {
            eprintln!("skipped: {} is not here", footage.display());
            return;
        };
        let mut seen = 0;
        for file in files.flatten().map(|f| f.path()) {
            if FileDemuxer::open(&file).is_ok() {
                agrees_with_probing(&file);
                seen += 1;
            }
        }
        assert!(seen >= 10, "{seen} files");
    }

    #[test]
    fn what_encoders_and_muxers_make_is_told_as_probing_would() {
        let dir = tempfile::tempdir().expect("a folder");
        let h264 = "-c:v libx264 -preset ultrafast -bf 2 -g 10 -pix_fmt yuv420p";
        let cases = [
            ("plain.mp4", "25", h264),
            ("ntsc.mkv", "30000/1001", h264),
            // Cropped by the codec: 90 lines are no multiple of 16.
            ("cropped.mp4", "25", "-c:v libx264 -preset ultrafast -s 161x91 -pix_fmt yuv444p"),
            ("wide.mp4", "25", "-c:v libx264 -preset ultrafast -vf setsar=4/3 -pix_fmt yuv420p"),
            ("wide.mkv", "25", "-c:v libx264 -preset ultrafast -vf setsar=4/3 -pix_fmt yuv420p"),
            (
                "fragments.mp4",
                "12.5",
                "-c:v libx264 -preset ultrafast -movflags frag_keyframe+empty_moov -pix_fmt yuv420p",
            ),
            ("hevc.mp4", "25", "-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p"),
            (
                "varying.mp4",
                "25",
                "-c:v libx264 -preset ultrafast -vf select='not(eq(mod(n\\,3)\\,1))' -vsync vfr -pix_fmt yuv420p",
            ),
            ("part2.mp4", "25", "-c:v mpeg4"),
        ];
        for (name, rate, encoder) in cases {
            let path = dir.path().join(name);
            let source = format!("testsrc2=s=160x90:r={rate}:d=2");
            let out = std::process::Command::new("ffmpeg")
                .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", &source])
                .args(encoder.split_whitespace())
                .arg(&path)
                .output();
            let out = match out {
                Ok(out) => out,
                Err(error) => {
                    eprintln!("skipped: ffmpeg does not run: {error}");
                    return;
                }
            };
            assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
            agrees_with_probing(&path);
        }
    }
}
