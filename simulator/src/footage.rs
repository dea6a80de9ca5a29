//! Where pictures come from: a built-in scene, or a clip decoded by GStreamer, scaled and repeated.

use std::path::{Path, PathBuf};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use vitrail_engine::media::Ratio;
use vitrail_engine::{Error, ErrorKind, Result};

use crate::city::{self, City};
use crate::picture::Picture;
use crate::scene::{Painter, Scene};

/// What a camera looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Footage {
    /// A built-in scene, plain and cheap to encode.
    Scene(Scene),
    /// A built-in view of a city, for people to look at.
    City(City),
    /// A file that GStreamer can decode.
    File(PathBuf),
}

impl Footage {
    /// A name that changes when the content does, for the cache.
    pub(crate) fn key(&self) -> String {
        match self {
            Footage::Scene(scene) => format!("{scene:?}"),
            Footage::City(city) => format!("{city:?}"),
            Footage::File(path) => {
                let facts = std::fs::metadata(path).map(|m| (m.len(), m.modified().ok()));
                format!("{path:?} {facts:?}")
            }
        }
    }
}

/// The playable files of a folder, in order of name.
pub fn clips_in(folder: &Path) -> Result<Vec<PathBuf>> {
    const ENDINGS: [&str; 12] =
        ["mp4", "mkv", "mov", "avi", "webm", "ts", "m4v", "h264", "h265", "264", "265", "mpg"];
    let wrong = |what: &'static str| Error::new(ErrorKind::Config, folder.display().to_string(), what);
    let entries = std::fs::read_dir(folder).map_err(|e| wrong("cannot be read").caused_by(e))?;
    let mut clips: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| {
            let ending = path.extension().and_then(|e| e.to_str()).map(str::to_lowercase);
            ending.is_some_and(|e| ENDINGS.contains(&e.as_str()))
        })
        .collect();
    clips.sort();
    if clips.is_empty() {
        return Err(wrong("holds no video clip; give a folder with .mp4, .mkv, .avi or the like"));
    }
    Ok(clips)
}

/// What draws the pictures of a built-in footage.
pub(crate) enum Drawing {
    Scene(Box<Painter>),
    City(Box<city::Painter>),
}

/// Pictures in order, without end.
pub(crate) enum Feed {
    Drawn { painter: Drawing, rate: f64, frames: usize, next: usize },
    File { decoder: Decoder, path: PathBuf, rate: Ratio, size: (u32, u32), given: usize },
}

impl Feed {
    pub(crate) fn open(footage: &Footage, size: (u32, u32), rate: Ratio, frames: usize) -> Result<Feed> {
        let drawn = |painter| Ok(Feed::Drawn { painter, rate: rate.as_f64(), frames, next: 0 });
        match footage {
            Footage::Scene(scene) => drawn(Drawing::Scene(Box::new(scene.painter(size.0, size.1)))),
            Footage::City(city) => drawn(Drawing::City(Box::new(city.painter(size.0, size.1)))),
            Footage::File(path) => {
                let decoder = Decoder::open(path, size, rate)?;
                Ok(Feed::File { decoder, path: path.clone(), rate, size, given: 0 })
            }
        }
    }

    /// Overwrites `picture` with the next one.
    pub(crate) fn next(&mut self, picture: &mut Picture) -> Result<()> {
        match self {
            Feed::Drawn { painter, rate, frames, next } => {
                let (at, seconds) = (*next as f64 / *frames as f64, *next as f64 / *rate);
                match painter {
                    Drawing::Scene(painter) => painter.draw(picture, at, seconds),
                    Drawing::City(painter) => painter.draw(picture, at, seconds),
                }
                *next += 1;
                Ok(())
            }
            Feed::File { decoder, path, rate, size, given } => {
                if !decoder.next(picture)? {
                    if *given == 0 {
                        let what = "holds no picture that can be decoded";
                        return Err(Error::new(ErrorKind::Unsupported, path.display().to_string(), what));
                    }
                    *decoder = Decoder::open(path, *size, *rate)?;
                    *given = 0;
                    return self.next(picture);
                }
                *given += 1;
                Ok(())
            }
        }
    }
}

/// A running pipeline that decodes one file into pictures of one size and rate.
pub(crate) struct Decoder {
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
    subject: String,
}

impl Decoder {
    fn open(path: &Path, (width, height): (u32, u32), rate: Ratio) -> Result<Decoder> {
        crate::start_gstreamer()?;
        let subject = path.display().to_string();
        let wrong = |what: &'static str| Error::new(ErrorKind::Missing, subject.clone(), what);
        let pipeline = gst::parse::launch(&format!(
            "filesrc name=file ! decodebin ! videoconvert ! videorate ! videoscale add-borders=true ! \
             video/x-raw,format=I420,width={width},height={height},framerate={}/{},pixel-aspect-ratio=1/1 ! \
             appsink name=out sync=false max-buffers=4",
            rate.num, rate.den
        ))
        .map_err(|e| wrong("cannot build the decoding pipeline").caused_by(e))?
        .downcast::<gst::Pipeline>()
        .map_err(|_| wrong("cannot build the decoding pipeline"))?;
        let file = pipeline.by_name("file").ok_or_else(|| wrong("has no file source"))?;
        file.set_property("location", path);
        let sink = pipeline
            .by_name("out")
            .and_then(|sink| sink.downcast::<gst_app::AppSink>().ok())
            .ok_or_else(|| wrong("has no sink"))?;
        let decoder = Decoder { pipeline, sink, subject: subject.clone() };
        decoder
            .pipeline
            .set_state(gst::State::Playing)
            .map_err(|e| wrong("cannot be played").caused_by(e))?;
        Ok(decoder)
    }

    /// False at the end of the file.
    fn next(&mut self, picture: &mut Picture) -> Result<bool> {
        let sample = match self.sink.try_pull_sample(gst::ClockTime::from_seconds(20)) {
            Some(sample) => sample,
            None if self.sink.is_eos() => return Ok(false),
            None => {
                let what = "cannot be decoded; a GStreamer plug-in may be missing";
                return Err(Error::new(ErrorKind::Unsupported, self.subject.clone(), what));
            }
        };
        let Some(map) = sample.buffer().and_then(|b| b.map_readable().ok()) else { return Ok(true) };
        let target = picture.data_mut();
        if map.len() == target.len() {
            target.copy_from_slice(&map);
        }
        Ok(true)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
