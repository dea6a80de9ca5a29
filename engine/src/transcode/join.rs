//! Joins the segments of a job: every picture gets its decoding time and its duration, tracks are
//! interleaved, and the container is read back before it counts.

use std::path::Path;

use ffmpeg_next as ff;

use super::package::{AudioTrack, Expected, Packager, Track, VideoTrack};
use super::record::{Record, RecordReader};
use super::segment::Task;
use super::sound::SoundAction;
use crate::base::{Result, Shutdown};

/// The sound of a job, as it lies in the work folder.
pub(super) struct SoundFile {
    pub track: AudioTrack,
}

/// Writes the target under a hidden name; what must be found in it, or `None` where `stop` came first.
pub(super) fn write(
    task: &Task,
    sound: Option<&SoundFile>,
    hidden: &Path,
    stop: &Shutdown,
) -> Result<Option<Expected>> {
    let mut lanes = Vec::new();
    let mut tracks = Vec::new();
    for rendition in 0..task.plan.renditions.len() {
        let lane = Lane::video(task, rendition)?;
        tracks.push(track(task, rendition, &lane)?);
        lanes.push(lane);
    }
    let audio = sound.map(|s| s.track.clone());
    let mut packager = Packager::create(&task.spec.target, hidden, &tracks, audio.as_ref())?;
    let mut expected = Expected::new(&tracks, audio.as_ref());
    if task.plan.copy.is_some() {
        (0..tracks.len()).for_each(|track| expected.copies(Track::Video(track)));
    }
    if task.plan.sound.action == SoundAction::Copy {
        expected.copies(Track::Audio);
    }
    expected.damaged = task.plan.copy.is_some() && task.spec.salvage;
    expected.verify = task.spec.verify;
    if let Some(sound) = sound {
        lanes.push(Lane::sound(task, sound)?);
    }
    loop {
        // The packet that is due first, over all tracks.
        let mut next: Option<(usize, f64)> = None;
        for (index, lane) in lanes.iter_mut().enumerate() {
            if let Some(due) = lane.due()?
                && next.is_none_or(|(_, least)| due < least)
            {
                next = Some((index, due));
            }
        }
        let Some((index, _)) = next else { break };
        if stop.is_cancelled() {
            return Ok(None);
        }
        if let Some(packet) = lanes[index].take() {
            expected.note(lanes[index].track, &packet);
            packager.write(lanes[index].track, packet)?;
        }
    }
    packager.finish()?;
    Ok(Some(expected))
}

fn track(task: &Task, rendition: usize, lane: &Lane) -> Result<VideoTrack> {
    let planned = &task.plan.renditions[rendition];
    let parameters = match task.plan.copy {
        Some(_) => task.footage.video.get(),
        None => task.parameters(rendition, &lane.extradata)?,
    };
    let constant = task.spec.frame_rate.or((task.footage.counted).then_some(task.footage.frame_rate));
    Ok(VideoTrack {
        name: planned.name.clone(),
        parameters,
        time_base: ratio(task.plan.out_base),
        frame_rate: constant.or(Some(task.plan.frame_rate)),
        kbps: match planned.encode.rate {
            super::spec::RateSpec::Kbps(kbps) => Some(kbps),
            _ => None,
        },
        matrix: None,
    })
}

fn ratio((num, den): (i64, i64)) -> ff::Rational {
    ff::Rational(i32::try_from(num).unwrap_or(1), i32::try_from(den).unwrap_or(i32::MAX))
}

/// One track, packet by packet.
struct Lane {
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

impl Lane {
    fn video(task: &Task, rendition: usize) -> Result<Lane> {
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
                return Err(crate::base::Error::new(crate::base::ErrorKind::Internal, subject, message));
            }
            while let Some(record) = reader.next()? {
                shown.push(record.pts);
            }
        }
        let (num, den) = task.plan.out_base;
        let rate = task.plan.frame_rate;
        let usual = (den as f64 * f64::from(rate.den) / (num as f64 * f64::from(rate.num))).round().max(1.0);
        Ok(Lane {
            track: Track::Video(rendition),
            files: files.into_iter(),
            reader: None,
            extradata,
            tick: num as f64 / den as f64,
            times: Some(times(&shown, usual as i64).into_iter()),
            waiting: None,
        })
    }

    fn sound(task: &Task, sound: &SoundFile) -> Result<Lane> {
        let base = sound.track.time_base;
        Ok(Lane {
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

/// Decoding times and durations of pictures, from the times at which they are shown, in decoding order.
/// Decoding times are the same times in ascending order, moved back by as many pictures as the deepest
/// reordering needs, so that no picture is shown before it is decoded.
pub(super) fn times(shown: &[i64], usual: i64) -> Vec<(i64, i64)> {
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.sort_by_key(|at| shown[*at]);
    let mut rank = vec![0; shown.len()];
    for (place, at) in order.iter().enumerate() {
        rank[*at] = place;
    }
    let depth = rank.iter().enumerate().map(|(at, place)| at.saturating_sub(*place)).max().unwrap_or(0);
    let sorted = |place: usize| shown[order[place]];
    let decode = |at: usize| match at.checked_sub(depth) {
        Some(place) => sorted(place),
        None => sorted(0) - (depth - at) as i64 * usual,
    };
    let duration = |at: usize| match order.get(rank[at] + 1) {
        Some(next) => shown[*next] - shown[at],
        None => usual,
    };
    (0..shown.len()).map(|at| (decode(at), duration(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::times;

    #[test]
    fn pictures_are_decoded_in_order_and_before_they_are_shown() {
        // I P B B P B B, ten ticks apart.
        let shown = [0, 30, 10, 20, 60, 40, 50];
        let got = times(&shown, 10);
        let decode: Vec<i64> = got.iter().map(|t| t.0).collect();
        assert_eq!(decode, [-10, 0, 10, 20, 30, 40, 50]);
        assert!(decode.iter().zip(&shown).all(|(d, s)| d <= s));
        assert!(got.iter().all(|(_, duration)| *duration == 10));
    }

    #[test]
    fn without_reordering_times_are_what_is_shown() {
        assert_eq!(times(&[0, 40, 80, 500], 40), [(0, 40), (40, 40), (80, 420), (500, 40)]);
        assert_eq!(times(&[], 40), []);
        assert_eq!(times(&[7], 40), [(7, 40)]);
    }
}
