//! What tests of packages share: clips made by FFmpeg, a small job from file to package, and FFmpeg
//! and ffprobe as oracles.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ffmpeg_next as ff;

use crate::base::Result;
use crate::media::Ratio;
use crate::transcode::package::*;
use crate::transcode::sound::{Sound, SoundPlan, SoundRange};
use crate::transcode::spec::{AudioSpec, Target};

/// The output of a tool that must succeed: standard output, then standard error.
pub fn run(tool: &str, arguments: &[&str]) -> String {
    let done = Command::new(tool).args(arguments).output().unwrap();
    let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(done.status.success(), "{tool} {arguments:?}: {}", text[1]);
    text.concat()
}

/// A clip with FFmpeg's arguments between the program's name and the file's.
pub fn clip(path: &Path, arguments: &str) -> PathBuf {
    let all = format!("-y -v error {arguments}");
    let mut all: Vec<&str> = all.split(' ').collect();
    all.push(path.to_str().unwrap());
    run("ffmpeg", &all);
    path.to_owned()
}

/// Six seconds of 25 pictures a second: a white flash and a beep of 0.12 s, 0.48 s
/// past every full one.
pub fn flash_and_beep(path: &Path, size: &str, codec: &str) -> PathBuf {
    let flash = "drawbox=c=white:t=fill:enable='lt(mod(t+0.52,1),0.119)'".replace(',', "\\,");
    let beep = "sin(2*PI*1000*t)*lt(mod(t+0.52,1),0.12)".replace(',', "\\,");
    let (flash, beep) = (flash.replacen("drawbox", ",drawbox", 1), beep);
    clip(
        path,
        &format!(
            "-f lavfi -i color=black:s={size}:r=25:d=6{flash} -f lavfi -i aevalsrc={beep}:s=48000:d=6 \
             -pix_fmt yuv420p -g 25 {codec}"
        ),
    )
}

pub fn file(path: &Path) -> Target {
    Target::File(path.to_owned())
}

pub fn ladder(folder: &Path, seconds: u64) -> Target {
    Target::Hls { folder: folder.to_owned(), segment: Duration::from_secs(seconds) }
}

/// One stream of a file, read whole.
pub struct Stream {
    pub parameters: ff::codec::Parameters,
    pub time_base: ff::Rational,
    pub rate: Option<Ratio>,
    pub packets: Vec<ff::Packet>,
}

impl Stream {
    pub fn track(&self, name: &str) -> VideoTrack {
        VideoTrack {
            name: name.to_owned(),
            parameters: self.parameters.clone(),
            time_base: self.time_base,
            frame_rate: self.rate,
            kbps: None,
            matrix: None,
        }
    }
}

/// The best stream of a kind.
pub fn stream(path: &Path, kind: ff::media::Type) -> Stream {
    let mut input = ff::format::input(path).unwrap();
    let best = input.streams().best(kind).unwrap();
    let (index, rate) = (best.index(), best.avg_frame_rate());
    let mut stream = Stream {
        parameters: best.parameters(),
        time_base: best.time_base(),
        rate: Ratio::new(rate.numerator() as u32, rate.denominator() as u32),
        packets: Vec::new(),
    };
    let mut packet = ff::Packet::empty();
    while packet.read(&mut input).is_ok() {
        if packet.stream() == index {
            stream.packets.push(std::mem::replace(&mut packet, ff::Packet::empty()));
        }
    }
    stream
}

/// A small job: pictures copied from a key frame on, sound by the plan.
pub struct Job {
    pub video: Vec<VideoTrack>,
    pub audio: Option<AudioTrack>,
    /// In the order in which they are written.
    pub packets: Vec<(Track, ff::Packet)>,
}

impl Job {
    /// `sources`: a file for each rendition, the first with the sound. `start`: the time of a key
    /// frame, in seconds.
    pub fn of(sources: &[&Path], target: &Target, spec: AudioSpec, start: u64) -> Job {
        let mut job = Job { video: Vec::new(), audio: None, packets: Vec::new() };
        for (index, source) in sources.iter().enumerate() {
            let stream = stream(source, ff::media::Type::Video);
            let zero = (start as f64 / f64::from(stream.time_base)).round() as i64;
            job.video.push(stream.track(&format!("v{index}")));
            let key = |packet: &ff::Packet| packet.is_key() && packet.pts().unwrap() >= zero;
            for mut packet in stream.packets.into_iter().skip_while(|packet| !key(packet)) {
                packet.set_pts(packet.pts().map(|pts| pts - zero));
                packet.set_dts(packet.dts().map(|dts| dts - zero));
                job.packets.push((Track::Video(index), packet));
            }
        }
        let source = ff::format::input(sources[0]).unwrap();
        let has_sound = source.streams().best(ff::media::Type::Audio).is_some();
        let sound = has_sound.then(|| stream(sources[0], ff::media::Type::Audio));
        let plan = SoundPlan::decide(spec, sound.as_ref().map(|s| &s.parameters), target).unwrap();
        if let Some(stream) = sound {
            let range = SoundRange { start: Duration::from_secs(start), end: None };
            if let Some(mut sound) = Sound::open(&plan, stream.parameters, stream.time_base, range).unwrap() {
                job.audio = Some(sound.track());
                let mut out = |packet| {
                    job.packets.push((Track::Audio, packet));
                    Ok(())
                };
                for packet in stream.packets {
                    sound.push(Some(packet), &mut out).unwrap();
                }
                sound.push(None, &mut out).unwrap();
                assert_eq!(sound.damaged(), 0);
            }
        }
        job.interleave();
        job
    }

    fn interleave(&mut self) {
        let base = |track: &Track| match track {
            Track::Video(index) => self.video[*index].time_base,
            Track::Audio => self.audio.as_ref().unwrap().time_base,
        };
        let mut timed: Vec<_> = self
            .packets
            .drain(..)
            .map(|(track, packet)| {
                (packet.dts().or(packet.pts()).unwrap() as f64 * f64::from(base(&track)), track, packet)
            })
            .collect();
        timed.sort_by(|one, other| one.0.total_cmp(&other.0));
        self.packets = timed.into_iter().map(|(_, track, packet)| (track, packet)).collect();
    }

    /// What must be found of it.
    pub fn expected(&self) -> Expected {
        let mut expected = Expected::new(&self.video, self.audio.as_ref());
        self.packets.iter().for_each(|(track, packet)| expected.note(*track, packet));
        expected
    }

    /// Writes it.
    pub fn write(&self, target: &Target, hidden: &Path) -> Result<()> {
        let mut packager = Packager::create(target, hidden, &self.video, self.audio.as_ref())?;
        for (track, packet) in &self.packets {
            packager.write(*track, packet.clone())?;
        }
        packager.finish()
    }

    /// Writes it where the target says, and checks it.
    pub fn run(&self, target: &Target) -> Checked {
        self.write(target, target.path()).unwrap();
        check(target, target.path(), &self.expected()).unwrap()
    }
}
