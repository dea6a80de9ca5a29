//! Joins the segments of a job: every picture gets its decoding time and its duration, tracks are
//! interleaved, and the container is read back before it counts.

use std::path::Path;

use ffmpeg_next as ff;

use super::task::Task;
use crate::base::{Error, ErrorKind, Result, Shutdown};
use crate::transcode::files::record::{Record, RecordReader};
use crate::transcode::package::{AudioTrack, Expected, Packager, Track, VideoTrack};
use crate::transcode::sound::SoundAction;
use crate::transcode::spec::RateSpec;
use crate::transcode::time::decoding_times;

/// The sound of a job, as it lies in the work folder.
pub struct SoundFile {
    pub track: AudioTrack,
}

/// Writes the target under a hidden name; what must be found in it, or `None` where `stop` came first.
pub fn write(
    task: &Task,
    sound: Option<&SoundFile>,
    hidden: &Path,
    stop: &Shutdown,
) -> Result<Option<Expected>> {
    let mut readers = Vec::new();
    let mut tracks = Vec::new();
    for rendition in 0..task.plan.renditions.len() {
        let reader = TrackReader::video(task, rendition)?;
        tracks.push(track(task, rendition, &reader)?);
        readers.push(reader);
    }
    let audio = sound.map(|s| s.track.clone());
    let mut packager = Packager::create(&task.spec.target, hidden, &tracks, audio.as_ref())?;
    let mut expected = Expected::new(&tracks, audio.as_ref());
    if task.plan.copies {
        (0..tracks.len()).for_each(|track| expected.copies(Track::Video(track)));
    }
    if task.plan.sound.action == SoundAction::Copy {
        expected.copies(Track::Audio);
    }
    expected.damaged = task.plan.copies && task.spec.salvage;
    expected.verify = task.spec.verify;
    if let Some(sound) = sound {
        readers.push(TrackReader::sound(task, sound)?);
    }
    loop {
        // The packet that is due first, over all tracks.
        let mut next: Option<(usize, f64)> = None;
        for (index, reader) in readers.iter_mut().enumerate() {
            if let Some(due) = reader.due()?
                && next.is_none_or(|(_, least)| due < least)
            {
                next = Some((index, due));
            }
        }
        let Some((index, _)) = next else { break };
        if stop.is_cancelled() {
            return Ok(None);
        }
        if let Some(packet) = readers[index].take() {
            expected.note(readers[index].track, &packet);
            packager.write(readers[index].track, packet)?;
        }
    }
    packager.finish()?;
    Ok(Some(expected))
}

fn track(task: &Task, rendition: usize, reader: &TrackReader) -> Result<VideoTrack> {
    let planned = &task.plan.renditions[rendition];
    let parameters = match task.plan.copies {
        true => task.footage.video.get(),
        false => task.parameters(rendition, &reader.extradata)?,
    };
    let constant = task.spec.frame_rate.or((task.footage.counted).then_some(task.footage.frame_rate));
    Ok(VideoTrack {
        name: planned.name.clone(),
        parameters,
        time_base: task.plan.out_base.to_ff(),
        frame_rate: constant.or(Some(task.plan.frame_rate)),
        kbps: match planned.encode.rate {
            RateSpec::Kbps(kbps) => Some(kbps),
            _ => None,
        },
        matrix: None,
    })
}

/// One track, packet by packet.
struct TrackReader {
    track: Track,
    files: std::vec::IntoIter<std::path::PathBuf>,
    reader: Option<RecordReader>,
    extradata: Vec<u8>,
    /// Seconds of a tick.
    tick: f64,
    /// Decoding times and durations of pictures; sound brings its own.
    times: Option<std::vec::IntoIter<(i64, i64)>>,
    waiting: Option<ff::Packet>,
}

impl TrackReader {
    fn video(task: &Task, rendition: usize) -> Result<TrackReader> {
        let files: Vec<_> =
            (0..task.plan.segments.len()).map(|segment| task.work.segment(rendition, segment)).collect();
        let mut shown = Vec::new();
        let mut extradata = Vec::new();
        for (segment, file) in files.iter().enumerate() {
            let mut reader = RecordReader::open(file)?;
            if segment == 0 {
                extradata.clone_from(&reader.extradata);
            } else if reader.extradata != extradata {
                let message = "segments differ in their parameter sets; run again with --fresh";
                let subject = task.spec.target.path().display().to_string();
                return Err(Error::new(ErrorKind::Internal, subject, message));
            }
            while let Some(record) = reader.next()? {
                shown.push(record.pts);
            }
        }
        let base = task.plan.out_base;
        let rate = task.plan.frame_rate;
        let usual = (base.den as f64 * f64::from(rate.den) / (base.num as f64 * f64::from(rate.num)))
            .round()
            .max(1.0);
        Ok(TrackReader {
            track: Track::Video(rendition),
            files: files.into_iter(),
            reader: None,
            extradata,
            tick: base.num as f64 / base.den as f64,
            times: Some(decoding_times(&shown, usual as i64).into_iter()),
            waiting: None,
        })
    }

    fn sound(task: &Task, sound: &SoundFile) -> Result<TrackReader> {
        let base = sound.track.time_base;
        Ok(TrackReader {
            track: Track::Audio,
            files: vec![task.work.sound()].into_iter(),
            reader: None,
            extradata: Vec::new(),
            tick: f64::from(base.numerator()) / f64::from(base.denominator().max(1)),
            times: None,
            waiting: None,
        })
    }

    /// When its next packet is due, in seconds; `None` at its end.
    fn due(&mut self) -> Result<Option<f64>> {
        if self.waiting.is_none() {
            let Some(record) = self.read()? else { return Ok(None) };
            let mut packet = record.packet();
            match &mut self.times {
                Some(times) => {
                    let (dts, duration) = times.next().unwrap_or((record.pts, record.duration));
                    packet.set_dts(Some(dts));
                    packet.set_duration(duration);
                }
                None => packet.set_dts(Some(record.pts)),
            }
            self.waiting = Some(packet);
        }
        Ok(self.waiting.as_ref().and_then(ff::Packet::dts).map(|dts| dts as f64 * self.tick))
    }

    fn take(&mut self) -> Option<ff::Packet> {
        self.waiting.take()
    }

    fn read(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(reader) = &mut self.reader {
                if let Some(record) = reader.next()? {
                    return Ok(Some(record));
                }
                self.reader = None;
            }
            let Some(file) = self.files.next() else { return Ok(None) };
            self.reader = Some(RecordReader::open(&file)?);
        }
    }
}
