//! Records a stream as it comes, for a job to work on: from its first key frame on, neither pictures nor
//! sound touched.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ffmpeg_next as ff;
use parking_lot::{Mutex, MutexGuard};

use super::sound::{RecordedSound, SoundTape, StreamClock};
use crate::base::{Error, ErrorKind, Moment, Result, SharedClock, Shutdown};
use crate::ingest::rhythm::Rhythm;
use crate::media::annex_b::nal_units;
use crate::media::{AccessUnit, CameraId, Codec, SoundPacket, SoundParameters, VideoParameters};
use crate::source::{Authority, Patience, Source, SourceConfig, UnitSink, settle};
use crate::transcode::codec::decoder_ffi;
use crate::transcode::files::record::{Record, RecordReader, RecordWriter};
use crate::transcode::package::{Packager, Track, VideoTrack};
use crate::transcode::spec::Target;
use crate::transcode::time::{TimeBase, decoding_times};

/// Ticks of a second: those of RTP video (RFC 6184, clause 8.2.1).
const BASE: TimeBase = TimeBase { num: 1, den: 90_000 };
/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// A stream whose clock brings less than the half of what was asked for, and so much later, stands still or goes
/// back: it would be recorded for ever.
const SLOWEST_CLOCK: u32 = 2;
const CLOCK_PATIENCE: Duration = Duration::from_secs(60);

/// How long a connection may take to be closed.
const SETTLE: Duration = Duration::from_secs(5);

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Captured {
    /// Pictures.
    pub pictures: u64,
    /// Packets of sound; none where the source is silent or its sound is not understood.
    pub sound: u64,
    /// Pictures before which packets were lost.
    pub lost: u64,
    /// From the first to the last.
    pub length: Duration,
}

/// Records `length` of a source into a Matroska file; `None` where `stop` came first, and then there is no
/// file. `progress` is told how much there is.
///
/// # Errors
/// What the source ended with before there was enough; `Unreachable` where no key frame came in time; `Corrupt`
/// where the stream's own clock does not go on.
pub fn capture(
    config: SourceConfig,
    length: Duration,
    to: &Path,
    clock: &SharedClock,
    stop: &Shutdown,
    progress: &mut dyn FnMut(Duration),
) -> Result<Option<Captured>> {
    let address = config.uri.to_string();
    let records = to.with_extension("seg");
    let tape = SoundTape::new(SoundTape::place(to));
    let recorder =
        Arc::new(Recorder { clock: clock.clone(), inside: Mutex::new(Inside::new(&records, tape)?) });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Io, "recording", "cannot start").caused_by(e))?;
    let camera = CameraId::new(address.clone());
    let grant = Authority::owner().grant(&camera);
    let ended = stop.child_token();
    let patience = config.patience;
    let source = Source::new(SourceConfig { sound: true, ..config });
    let enough = async {
        let begun = clock.now();
        loop {
            tokio::time::sleep(LOOK).await;
            let mut inside = recorder.lock();
            let (seen, over) =
                (inside.length(), inside.is_over(&address, begun, clock.now(), length, patience));
            drop(inside);
            progress(seen.min(length));
            if over {
                ended.cancel();
                break;
            }
        }
        std::future::pending::<Result<()>>().await
    };
    let result = runtime.block_on(async {
        tokio::select! {
            result = source.run(&camera, &grant, recorder.clone(), clock, &ended) => result,
            result = enough => result,
        }
    });
    drop(runtime);
    settle(SETTLE);
    let mut inside = recorder.lock();
    let packed = match stop.is_cancelled() {
        true => Ok(None),
        false => inside.finish(&address, length, result, &records, to).map(Some),
    };
    // What still comes goes nowhere.
    (inside.writer, inside.sound) = (None, None);
    let _ = std::fs::remove_file(&records);
    let _ = std::fs::remove_file(SoundTape::place(to));
    packed
}

struct Recorder {
    clock: SharedClock,
    inside: Mutex<Inside>,
}

struct Inside {
    writer: Option<RecordWriter>,
    parameters: Option<VideoParameters>,
    /// Parameter sets in Annex B.
    sets: Vec<u8>,
    sound: Option<SoundTape>,
    clock: StreamClock,
    first: Option<i64>,
    last: i64,
    pictures: u64,
    lost: u64,
    rhythm: Rhythm,
    /// When the newest unit was handed on, and when the first picture of the recording was. Not when they arrived:
    /// those of a live playlist's segment arrive all at once.
    newest_at: Option<Moment>,
    first_at: Option<Moment>,
    failure: Option<Error>,
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock()
    }
}

impl Inside {
    fn new(records: &Path, sound: SoundTape) -> Result<Inside> {
        Ok(Inside {
            writer: Some(RecordWriter::create(records, &[])?),
            sound: Some(sound),
            clock: StreamClock::default(),
            parameters: None,
            sets: Vec::new(),
            first: None,
            last: 0,
            pictures: 0,
            lost: 0,
            rhythm: Rhythm::default(),
            newest_at: None,
            first_at: None,
            failure: None,
        })
    }

    fn length(&self) -> Duration {
        let nanos = self.first.map_or(0, |first| self.last.saturating_sub(first));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// Whether there is enough at `now`, or no more to be hoped for; then `failure` says why, where the length of
    /// what there is does not.
    fn is_over(
        &mut self,
        address: &str,
        begun: Moment,
        now: Moment,
        length: Duration,
        patience: Patience,
    ) -> bool {
        if self.failure.is_some() || self.length() >= length {
            return true;
        }
        // As long as a wall would wait for it.
        let limits = self.rhythm.limits(patience);
        let Some(newest) = self.newest_at else {
            return now.since(begun) > patience.connect + patience.silence;
        };
        let fault = match self.first_at {
            None if now.since(begun) >= limits.key_frame => {
                Some((ErrorKind::Unreachable, "sends video without any key frame"))
            }
            Some(first) if now.since(first) > length.saturating_mul(SLOWEST_CLOCK) + CLOCK_PATIENCE => {
                Some((ErrorKind::Corrupt, "has a clock that stands still or goes back"))
            }
            _ => None,
        };
        if let Some((kind, message)) = fault {
            self.failure = Some(Error::new(kind, address.to_owned(), message));
        }
        self.failure.is_some() || now.since(newest) > limits.silent
    }

    fn captured(&self) -> Captured {
        let sound = self.sound.as_ref().map_or(0, SoundTape::packets);
        Captured { pictures: self.pictures, sound, lost: self.lost, length: self.length() }
    }

    /// Puts what was recorded into its container.
    fn finish(
        &mut self,
        address: &str,
        length: Duration,
        result: Result<()>,
        records: &Path,
        to: &Path,
    ) -> Result<Captured> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let captured = self.captured();
        if captured.length < length {
            result?;
            let message = format!("gave {:.1} s of pictures and no more", captured.length.as_secs_f64());
            return Err(Error::new(ErrorKind::Unreachable, address.to_owned(), message));
        }
        if let Some(writer) = self.writer.take() {
            writer.commit()?;
        }
        let Some(parameters) = &self.parameters else {
            return Err(Error::new(ErrorKind::Unreachable, address.to_owned(), "never said what it sends"));
        };
        let sound = match &mut self.sound {
            Some(sound) => sound.finish(self.clock, self.first.unwrap_or(0), self.last)?,
            None => None,
        };
        package(records, parameters, &self.sets, sound, to)?;
        Ok(captured)
    }

    /// Takes a unit that is handed on at `now`.
    fn take(&mut self, unit: &AccessUnit, now: Moment) -> Result<()> {
        self.clock.note(unit.pts.0, unit.arrival, unit.captured);
        self.rhythm.arrived(now);
        self.newest_at = Some(now);
        if self.first.is_none() {
            if !unit.random_access {
                return Ok(());
            }
            let codec = self.parameters.as_ref().map_or(Codec::H264, |p| p.codec);
            let inside = parameter_sets(codec, &unit.data);
            if !inside.is_empty() {
                self.sets = inside;
            }
            (self.first, self.first_at) = (Some(unit.pts.0), Some(now));
        }
        let pts = unit.pts.0 - self.first.unwrap_or(0);
        // Pictures that are shown before the first key frame cannot be decoded.
        let (Some(writer), true) = (&mut self.writer, pts >= 0) else { return Ok(()) };
        let record =
            Record { pts: BASE.ticks(pts), duration: 0, key: unit.random_access, data: unit.data.to_vec() };
        writer.write(&record)?;
        self.last = self.last.max(unit.pts.0);
        self.pictures += 1;
        self.lost += u64::from(unit.loss);
        Ok(())
    }
}

impl UnitSink for Recorder {
    fn parameters(&self, parameters: &VideoParameters) {
        let mut inside = self.lock();
        if inside.first.is_none() {
            inside.sets = parameters.extradata.to_vec();
        }
        let changed = inside.parameters.as_ref().is_some_and(|old| {
            inside.first.is_some()
                && (old.codec, old.width, old.height)
                    != (parameters.codec, parameters.width, parameters.height)
        });
        if changed {
            let message = "changed its codec or size while it was recorded; begin again";
            inside.failure.get_or_insert(Error::new(ErrorKind::Unsupported, "stream", message));
        }
        inside.parameters = Some(parameters.clone());
    }

    fn unit(&self, unit: AccessUnit) {
        let now = self.clock.now();
        let mut inside = self.lock();
        if let Err(error) = inside.take(&unit, now) {
            inside.failure.get_or_insert(error);
        }
    }

    fn discontinuity(&self) {}

    fn sound_parameters(&self, parameters: &SoundParameters) {
        let mut inside = self.lock();
        if let Some(Err(error)) = inside.sound.as_mut().map(|sound| sound.describe(parameters)) {
            inside.failure.get_or_insert(error);
        }
    }

    fn sound(&self, packet: SoundPacket) {
        let mut inside = self.lock();
        if let Some(Err(error)) = inside.sound.as_mut().map(|sound| sound.take(&packet)) {
            inside.failure.get_or_insert(error);
        }
    }
}

/// The parameter sets of a unit, in Annex B.
fn parameter_sets(codec: Codec, unit: &[u8]) -> Vec<u8> {
    let mut sets = Vec::new();
    for nal in nal_units(unit) {
        let Some(first) = nal.first() else { continue };
        // Rec. ITU-T H.264 table 7-1: 7 and 8; H.265 table 7-1: 32 to 34.
        let is_set = match codec {
            Codec::H264 => matches!(first & 31, 7 | 8),
            Codec::H265 => (32..=34).contains(&(first >> 1 & 63)),
            Codec::Mjpeg | Codec::Mpeg4 => false,
        };
        if is_set {
            sets.extend_from_slice(&[0, 0, 0, 1]);
            sets.extend_from_slice(nal);
        }
    }
    sets
}

fn package(
    records: &Path,
    parameters: &VideoParameters,
    sets: &[u8],
    mut sound: Option<RecordedSound>,
    to: &Path,
) -> Result<()> {
    let id = match parameters.codec {
        Codec::H264 => ff::codec::Id::H264,
        Codec::H265 => ff::codec::Id::HEVC,
        Codec::Mjpeg => ff::codec::Id::MJPEG,
        Codec::Mpeg4 => ff::codec::Id::MPEG4,
    };
    let size = (parameters.width, parameters.height);
    let track = VideoTrack {
        name: "capture".into(),
        parameters: decoder_ffi::parameters(id, size, sets)?,
        time_base: BASE.to_ff(),
        frame_rate: None,
        kbps: None,
        matrix: None,
    };
    let mut shown = Vec::new();
    let mut reader = RecordReader::open(records)?;
    while let Some(record) = reader.next()? {
        shown.push(record.pts);
    }
    let usual = parameters.frame_rate.map_or(3600, |rate| (90_000.0 / rate.as_f64()).round() as i64);
    let mut places = decoding_times(&shown, usual.max(1)).into_iter();
    let target = Target::File(to.to_owned());
    let audio = sound.as_ref().map(|sound| sound.track.clone());
    let mut packager = Packager::create(&target, to, &[track], audio.as_ref())?;
    let mut reader = RecordReader::open(records)?;
    let mut heard = next_heard(&mut sound)?;
    while let Some(record) = reader.next()? {
        let mut packet = record.packet();
        let (dts, duration) = places.next().unwrap_or((record.pts, usual));
        packet.set_dts(Some(dts));
        packet.set_duration(duration);
        let due = BASE.seconds(dts);
        while let Some((_, packet)) = heard.take_if(|(at, _)| *at <= due) {
            packager.write(Track::Audio, packet)?;
            heard = next_heard(&mut sound)?;
        }
        packager.write(Track::Video(0), packet)?;
    }
    while let Some((_, packet)) = heard.take() {
        packager.write(Track::Audio, packet)?;
        heard = next_heard(&mut sound)?;
    }
    packager.finish()
}

/// The next packet of sound and its time in seconds.
fn next_heard(sound: &mut Option<RecordedSound>) -> Result<Option<(f64, ff::Packet)>> {
    let Some(sound) = sound else { return Ok(None) };
    let tick = f64::from(sound.track.time_base);
    Ok(sound.next()?.map(|packet| (packet.pts().unwrap_or(0) as f64 * tick, packet)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::Pts;

    const LENGTH: Duration = Duration::from_secs(30);

    fn at(seconds: f64) -> Moment {
        Moment((seconds * 1e9) as u64)
    }

    /// A recording of half a minute that began at 0.
    struct Tape {
        inside: Inside,
        _folder: tempfile::TempDir,
    }

    impl Tape {
        fn new() -> Tape {
            let folder = tempfile::tempdir().expect("a folder");
            let sound = SoundTape::new(folder.path().join("sound.seg"));
            let inside = Inside::new(&folder.path().join("a.seg"), sound).expect("a folder that is ours");
            Tape { inside, _folder: folder }
        }

        fn take(&mut self, now: f64, arrival: f64, pts: f64, random_access: bool) {
            let unit = AccessUnit {
                pts: Pts((pts * 1e9) as i64),
                arrival: at(arrival),
                captured: None,
                random_access,
                disposable: false,
                loss: false,
                data: Bytes::from_static(&[0, 0, 1, 1]),
            };
            self.inside.take(&unit, at(now)).expect("there is room");
        }

        fn is_over(&mut self, now: f64) -> bool {
            self.inside.is_over("rtsp://gate/", at(0.0), at(now), LENGTH, Patience::default())
        }

        fn failure(&self) -> Option<ErrorKind> {
            self.inside.failure.as_ref().map(Error::kind)
        }
    }

    #[test]
    fn a_playlist_of_long_segments_is_no_silence() {
        let mut tape = Tape::new();
        // Segments of 8 s: read at once, handed on picture by picture.
        for n in 0..=750_u32 {
            let pts = f64::from(n) / 25.0;
            tape.take(1.0 + pts, 1.0 + f64::from(n / 200) * 8.0, pts, n % 50 == 0);
            assert_eq!(tape.is_over(1.0 + pts), n == 750, "{pts} s");
        }
        assert_eq!((tape.failure(), tape.inside.length()), (None, LENGTH));
    }

    #[test]
    fn a_camera_without_key_frames_is_given_up() {
        let mut tape = Tape::new();
        let mut over = None;
        for n in 1..200_u32 {
            let now = f64::from(n);
            tape.take(now, now, now, false);
            over = over.or(tape.is_over(now).then_some(n));
        }
        assert_eq!((over, tape.failure()), (Some(60), Some(ErrorKind::Unreachable)));
    }

    #[test]
    fn a_clock_that_does_not_go_on_is_given_up() {
        let still: fn(f64) -> f64 = |_| 7.0;
        for clock in [still, |now| 100.0 - now] {
            let mut tape = Tape::new();
            let mut over = None;
            for n in 1..400_u32 {
                let now = f64::from(n);
                tape.take(now, now, clock(now), true);
                over = over.or(tape.is_over(now).then_some(n));
            }
            // Twice what was asked for, and a minute, after the first.
            assert_eq!((over, tape.failure()), (Some(122), Some(ErrorKind::Corrupt)));
        }
    }

    #[test]
    fn a_stream_that_stops_is_over_and_one_that_never_began_too() {
        let mut tape = Tape::new();
        assert!(!tape.is_over(15.0) && tape.is_over(15.1));
        for n in 0..10_u32 {
            let now = f64::from(n) / 25.0;
            tape.take(now, now, now, n == 0);
        }
        assert!(!tape.is_over(5.3) && tape.is_over(5.4));
        assert_eq!(tape.failure(), None, "how much there is says it");
    }

    #[test]
    fn parameter_sets_are_found_in_both_codecs() {
        let unit = [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 0, 0, 1, 0x65, 3];
        assert_eq!(parameter_sets(Codec::H264, &unit), [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2]);
        let unit = [0, 0, 1, 0x40, 1, 0, 0, 1, 0x26, 3];
        assert_eq!(parameter_sets(Codec::H265, &unit), [0, 0, 0, 1, 0x40, 1]);
    }
}
