//! What the rooms cost in CPU time on one core of a machine, as formulas with measured constants.
//!
//! Every cost is in CPU-seconds of one core, per second of video unless a method says otherwise.
//! `docs/design/capacity.md` derives the formulas and says how well they predict.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::files::write_whole;
use crate::base::{Error, ErrorKind, Result};
use crate::decode::Effort;
use crate::media::Codec;

/// What is known of one stream before or while it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamLoad {
    /// The codec.
    pub codec: Codec,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures per second.
    pub fps: f64,
    /// Bits per second of the video.
    pub bits_per_second: f64,
    /// Seconds from one key frame to the next; zero or less where every picture is one.
    pub key_interval_s: f64,
}

impl StreamLoad {
    fn pixels(&self) -> f64 {
        f64::from(self.width) * f64::from(self.height)
    }

    /// Key frames per second.
    pub fn keys_per_second(&self) -> f64 {
        if self.key_interval_s > 0.0 { (1.0 / self.key_interval_s).min(self.fps) } else { self.fps }
    }

    /// Key frames per second of which at most one in `refresh_s` seconds is taken; 0: every one.
    pub fn keys_taken_per_second(&self, refresh_s: f64) -> f64 {
        let keys = self.keys_per_second();
        keys / (refresh_s * keys).max(1.0)
    }

    /// Bits of a key frame and of another picture, where a key frame has `ratio` times the bits.
    fn bits(&self, ratio: f64) -> (f64, f64) {
        let keys = self.keys_per_second();
        let others = (self.fps - keys).max(0.0);
        let shares = others + keys * ratio;
        if shares <= 0.0 {
            return (0.0, 0.0);
        }
        let bits = self.bits_per_second / shares;
        (bits * ratio, bits)
    }
}

/// CPU time of one picture: `picture_s + pixels x pixel_s + bits x bit_s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PictureCost {
    /// CPU-seconds that any picture takes.
    pub picture_s: f64,
    /// CPU-seconds per luma pixel.
    pub pixel_s: f64,
    /// CPU-seconds per bit of the access unit.
    pub bit_s: f64,
}

impl PictureCost {
    /// CPU-seconds of a picture of so many pixels and bits.
    pub fn of(&self, pixels: f64, bits: f64) -> f64 {
        self.picture_s + pixels * self.pixel_s + bits * self.bit_s
    }
}

/// Decoding of one codec, on one thread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecodeCost {
    /// The codec.
    pub codec: Codec,
    /// Key frames, each alone through a shared context (drained and reset after it).
    pub key: PictureCost,
    /// All other pictures, as a camera sends them.
    pub other: PictureCost,
    /// What is left of the time of a picture without the loop filter, 0 to 1.
    pub without_loop_filter: f64,
    /// Bits of a key frame to those of another picture of the same stream.
    pub key_bits_ratio: f64,
}

/// Fitting of one picture; luma pixels, all three planes included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitCost {
    /// CPU-seconds that any fit takes.
    pub picture_s: f64,
    /// CPU-seconds per pixel where nothing is scaled.
    pub copy_pixel_s: f64,
    /// CPU-seconds per source pixel where both factors are whole numbers.
    pub box_source_pixel_s: f64,
    /// CPU-seconds per pixel made, where both factors are whole numbers.
    pub box_out_pixel_s: f64,
    /// CPU-seconds per source pixel of any other scale.
    pub source_pixel_s: f64,
    /// CPU-seconds per pixel made, of any other scale.
    pub out_pixel_s: f64,
}

/// Compositing on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompositeCost {
    /// CPU-seconds of a redraw, however small.
    pub redraw_s: f64,
    /// CPU-seconds per canvas pixel that is redrawn, from a picture in BT.601, as small streams are:
    /// it is converted to the canvas's BT.709. A picture in BT.709 costs a third of it.
    pub pixel_s: f64,
    /// CPU-seconds per canvas pixel to hand a copy to the encoder.
    pub copy_pixel_s: f64,
}

/// Encoding of a screen in software.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncodeCost {
    /// The codec.
    pub codec: Codec,
    /// Speed preset, in x264's words.
    pub preset: String,
    /// CPU-seconds that any picture takes.
    pub picture_s: f64,
    /// CPU-seconds per pixel.
    pub pixel_s: f64,
}

/// Receiving a stream over RTSP/TCP.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IngestCost {
    /// CPU-seconds per access unit.
    pub unit_s: f64,
    /// CPU-seconds per bit.
    pub bit_s: f64,
}

/// Where a model holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, as it calls itself.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
}

/// How far predictions were from measured points that had no part in the fit: the largest
/// deviation, as a fraction of what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBounds {
    /// Decoding of whole streams.
    pub decode: f64,
    /// Key frames alone.
    pub key_frames: f64,
    /// Fitting.
    pub fit: f64,
    /// Compositing.
    pub composite: f64,
    /// Encoding.
    pub encode: f64,
    /// Receiving.
    pub ingest: f64,
}

/// What the rooms cost on one machine. Serialised as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostModel {
    /// Version of this format; [`CostModel::VERSION`].
    pub version: u32,
    /// Where it was measured.
    pub machine: Machine,
    /// When it was measured, RFC 3339 in UTC; empty for the reference.
    pub measured_at: String,
    /// Decoding, by codec.
    pub decode: Vec<DecodeCost>,
    /// Fitting.
    pub fit: FitCost,
    /// Compositing.
    pub composite: CompositeCost,
    /// Encoding, by codec and preset.
    pub encode: Vec<EncodeCost>,
    /// Receiving.
    pub ingest: IngestCost,
    /// How well it predicts.
    pub bounds: ErrorBounds,
}

/// CPU time of a preset to that of x264's and x265's `ultrafast`, for presets that a model does
/// not hold. The first three from measurements of mosaics, the others from the encoders' own
/// documentation of their presets; good for an order of magnitude.
const PRESETS: &[(&str, f64)] = &[
    ("ultrafast", 1.0),
    ("superfast", 1.65),
    ("veryfast", 2.25),
    ("faster", 3.2),
    ("fast", 4.2),
    ("medium", 5.0),
    ("slow", 8.0),
    ("slower", 14.0),
    ("veryslow", 25.0),
];

impl CostModel {
    /// The format that this program writes and reads.
    pub const VERSION: u32 = 1;

    /// One core of the reference machine, from the documented figures of the rooms
    /// (`docs/design/decode.md`, `live-wall.md`): an AMD EPYC with AVX2.
    pub fn reference() -> CostModel {
        const NS: f64 = 1e-9;
        let cost = |picture_us: f64, pixel_ns: f64, bit_ns: f64| PictureCost {
            picture_s: picture_us * 1e-6,
            pixel_s: pixel_ns * NS,
            bit_s: bit_ns * NS,
        };
        let encode = |codec, preset: &str, picture_ms: f64, pixel_ns: f64| EncodeCost {
            codec,
            preset: preset.into(),
            picture_s: picture_ms * 1e-3,
            pixel_s: pixel_ns * NS,
        };
        // The last two were never measured: JPEG has key frames only, MPEG-4 has no arithmetic
        // coding and no loop filter.
        let decode = vec![
            DecodeCost {
                codec: Codec::H264,
                key: cost(100.0, 4.3, 5.0),
                other: cost(5.0, 1.55, 1.5),
                without_loop_filter: 0.79,
                key_bits_ratio: 8.0,
            },
            DecodeCost {
                codec: Codec::H265,
                key: cost(900.0, 5.2, 6.0),
                other: cost(20.0, 2.4, 3.0),
                without_loop_filter: 0.86,
                key_bits_ratio: 8.0,
            },
            DecodeCost {
                codec: Codec::Mjpeg,
                key: cost(100.0, 3.0, 3.0),
                other: cost(100.0, 3.0, 3.0),
                without_loop_filter: 1.0,
                key_bits_ratio: 1.0,
            },
            DecodeCost {
                codec: Codec::Mpeg4,
                key: cost(50.0, 2.0, 3.0),
                other: cost(10.0, 1.5, 2.0),
                without_loop_filter: 1.0,
                key_bits_ratio: 6.0,
            },
        ];
        CostModel {
            version: Self::VERSION,
            machine: Machine { cpu: "reference: one core of an AMD EPYC (AVX2)".into(), cores: 2 },
            measured_at: String::new(),
            decode,
            fit: FitCost {
                picture_s: 1e-6,
                copy_pixel_s: 0.06 * NS,
                box_source_pixel_s: 0.095 * NS,
                box_out_pixel_s: 0.0,
                source_pixel_s: 0.6 * NS,
                out_pixel_s: 3.3 * NS,
            },
            composite: CompositeCost { redraw_s: 1e-6, pixel_s: 0.3 * NS, copy_pixel_s: 0.06 * NS },
            encode: vec![
                encode(Codec::H264, "ultrafast", 2.8, 4.63),
                encode(Codec::H264, "superfast", 3.6, 7.9),
                encode(Codec::H264, "veryfast", 5.0, 10.9),
                encode(Codec::H265, "ultrafast", 0.0, 20.5),
            ],
            ingest: IngestCost { unit_s: 12e-6, bit_s: 0.26 * NS },
            bounds: ErrorBounds {
                decode: 0.15,
                key_frames: 0.15,
                fit: 0.3,
                composite: 0.3,
                encode: 0.1,
                ingest: 0.5,
            },
        }
    }

    /// Reads a model that [`CostModel::save`] wrote.
    ///
    /// # Errors
    /// `Io` where the file cannot be read, `Config` where it is no model of this version; measuring
    /// again mends both.
    pub fn load(path: &Path) -> Result<CostModel> {
        let subject = path.display().to_string();
        let again = "measure again with `vitrail capacity measure`";
        let text = std::fs::read(path).map_err(|e| {
            Error::new(ErrorKind::Io, subject.clone(), format!("cannot be read; {again}")).caused_by(e)
        })?;
        let model: CostModel = serde_json::from_slice(&text).map_err(|e| {
            Error::new(ErrorKind::Config, subject.clone(), format!("is no cost model; {again}")).caused_by(e)
        })?;
        if model.version != Self::VERSION {
            let message = format!("is of version {}, not {}; {again}", model.version, Self::VERSION);
            return Err(Error::new(ErrorKind::Config, subject, message));
        }
        if !model.is_sane() {
            let message = format!("holds a cost that is negative or no number; {again}");
            return Err(Error::new(ErrorKind::Config, subject, message));
        }
        Ok(model)
    }

    /// Writes the model as JSON: beside the target first, so that nobody reads half a file. Makes
    /// the folder.
    pub fn save(&self, path: &Path) -> Result<()> {
        let failed = |e: std::io::Error| {
            Error::new(ErrorKind::Io, path.display().to_string(), "cannot be written").caused_by(e)
        };
        let text = serde_json::to_vec_pretty(self).map_err(|e| failed(e.into()))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        write_whole(path, &text)
    }

    /// Where this machine's model is kept: `$XDG_CACHE_HOME/vitrail/cost.json`, else below
    /// `~/.cache`.
    pub fn default_path() -> PathBuf {
        let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").filter(|p| p.is_absolute());
        let cache = cache.or_else(|| Some(set("HOME")?.join(".cache")));
        cache.unwrap_or_else(std::env::temp_dir).join("vitrail/cost.json")
    }

    /// CPU-seconds per second of video to decode a stream. With `KeyFrames`, at most one key frame
    /// is decoded per `refresh_s` seconds (0: every one).
    pub fn decode(&self, s: &StreamLoad, effort: Effort, skip_loop_filter: bool, refresh_s: f64) -> f64 {
        let cost = self.of_codec(s.codec);
        let filter = if skip_loop_filter { cost.without_loop_filter } else { 1.0 };
        let (key_bits, other_bits) = s.bits(cost.key_bits_ratio);
        let key = cost.key.of(s.pixels(), key_bits);
        let keys = s.keys_per_second();
        filter
            * match effort {
                Effort::Standby => 0.0,
                Effort::KeyFrames => s.keys_taken_per_second(refresh_s) * key,
                Effort::Full => keys * key + (s.fps - keys).max(0.0) * cost.other.of(s.pixels(), other_bits),
            }
    }

    /// CPU-seconds to fit a picture of `source` (width, height) to `out`.
    pub fn fit(&self, source: (u32, u32), out: (u32, u32)) -> f64 {
        let area = |size: (u32, u32)| f64::from(size.0) * f64::from(size.1);
        let whole = |from: u32, to: u32| to > 0 && from.is_multiple_of(to);
        let f = &self.fit;
        f.picture_s
            + if source == out {
                f.copy_pixel_s * area(source)
            } else if whole(source.0, out.0) && whole(source.1, out.1) {
                f.box_source_pixel_s * area(source) + f.box_out_pixel_s * area(out)
            } else {
                f.source_pixel_s * area(source) + f.out_pixel_s * area(out)
            }
    }

    /// CPU-seconds to redraw so many canvas pixels.
    pub fn composite(&self, pixels: f64) -> f64 {
        if pixels > 0.0 { self.composite.redraw_s + pixels * self.composite.pixel_s } else { 0.0 }
    }

    /// CPU-seconds to hand a canvas of this size to the encoder.
    pub fn hand_out(&self, width: u32, height: u32) -> f64 {
        self.composite.copy_pixel_s * f64::from(width) * f64::from(height)
    }

    /// CPU-seconds per second of an encoded screen. A preset that was not measured is taken in
    /// proportion to one that was.
    pub fn encode(&self, codec: Codec, preset: &str, width: u32, height: u32, fps: f64) -> f64 {
        let pixels = f64::from(width) * f64::from(height);
        let known = |e: &&EncodeCost| e.codec == codec || e.codec == Codec::H264;
        let speed = |name: &str| PRESETS.iter().find(|(n, _)| *n == name).map_or(2.25, |(_, speed)| *speed);
        let exact = self.encode.iter().find(|e| e.codec == codec && e.preset == preset);
        let near = || {
            let same = self.encode.iter().find(|e| e.codec == codec);
            same.or_else(|| self.encode.iter().find(known)).map(|e| (e, speed(preset) / speed(&e.preset)))
        };
        let Some((cost, factor)) = exact.map(|e| (e, 1.0)).or_else(near) else { return 0.0 };
        fps * factor * (cost.picture_s + pixels * cost.pixel_s)
    }

    /// CPU-seconds per second to receive one stream.
    pub fn ingest(&self, s: &StreamLoad) -> f64 {
        s.fps * self.ingest.unit_s + s.bits_per_second * self.ingest.bit_s
    }

    fn of_codec(&self, codec: Codec) -> DecodeCost {
        let found = self.decode.iter().find(|d| d.codec == codec).copied();
        // A model that was measured without this codec: the reference is better than nothing.
        found.unwrap_or_else(|| {
            let reference = Self::reference().decode;
            reference.into_iter().find(|d| d.codec == codec).unwrap_or(DecodeCost {
                codec,
                key: PictureCost::default(),
                other: PictureCost::default(),
                without_loop_filter: 1.0,
                key_bits_ratio: 1.0,
            })
        })
    }

    fn is_sane(&self) -> bool {
        let mut costs = vec![
            self.fit.picture_s,
            self.fit.copy_pixel_s,
            self.fit.box_source_pixel_s,
            self.fit.box_out_pixel_s,
            self.fit.source_pixel_s,
            self.fit.out_pixel_s,
            self.composite.redraw_s,
            self.composite.pixel_s,
            self.composite.copy_pixel_s,
            self.ingest.unit_s,
            self.ingest.bit_s,
        ];
        for d in &self.decode {
            for c in [&d.key, &d.other] {
                costs.extend([c.picture_s, c.pixel_s, c.bit_s]);
            }
            costs.extend([d.without_loop_filter, d.key_bits_ratio]);
        }
        costs.extend(self.encode.iter().flat_map(|e| [e.picture_s, e.pixel_s]));
        costs.iter().all(|c| c.is_finite() && *c >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sub(codec: Codec, kbps: f64) -> StreamLoad {
        StreamLoad {
            codec,
            width: 640,
            height: 360,
            fps: 12.5,
            bits_per_second: kbps * 1000.0,
            key_interval_s: 2.0,
        }
    }

    fn main_stream(codec: Codec, kbps: f64) -> StreamLoad {
        StreamLoad { width: 1920, height: 1080, fps: 25.0, ..sub(codec, kbps) }
    }

    fn near(got: f64, documented: f64, bound: f64) {
        assert!((got / documented - 1.0).abs() <= bound, "{got} is not {documented} within {bound}");
    }

    #[test]
    fn the_reference_predicts_the_documented_figures_within_its_bounds() {
        let model = CostModel::reference();
        let b = model.bounds;
        // (stream, with loop filter, without, key frame alone), milliseconds a picture: docs/design/decode.md
        let documented = [
            (sub(Codec::H264, 400.0), 0.41, 0.31, 1.9),
            (main_stream(Codec::H264, 4000.0), 4.1, 3.3, 15.0),
            (sub(Codec::H265, 300.0), 0.68, 0.59, 2.8),
            (main_stream(Codec::H265, 2500.0), 6.0, 5.2, 16.0),
        ];
        for (stream, with, without, key) in documented {
            let ms = 1e3 / stream.fps;
            near(model.decode(&stream, Effort::Full, false, 0.0) * ms, with, b.decode);
            near(model.decode(&stream, Effort::Full, true, 0.0) * ms, without, b.decode + 0.05);
            near(model.decode(&stream, Effort::KeyFrames, false, 0.0) * 2e3, key, b.key_frames);
        }
        // docs/design/decode.md and live-wall.md of the same machine, milliseconds
        for (source, out, ms) in [
            ((1920, 1080), (480, 270), 0.23),
            ((1920, 1080), (640, 360), 0.20),
            ((1920, 1080), (854, 480), 2.4),
            ((640, 360), (320, 180), 0.019),
            ((640, 360), (480, 270), 0.57),
            ((640, 360), (960, 540), 1.7),
            ((640, 360), (640, 360), 0.015),
        ] {
            near(model.fit(source, out) * 1e3, ms, b.fit);
        }
        // Before colours were converted with the widest instruction set: dearer than it is now.
        near(model.composite(3840.0 * 2160.0) * 1e3, 2.6, b.composite);
        near(model.composite(1920.0 * 1080.0) * 1e3, 0.61, b.composite);
        for (preset, size, seconds) in [
            ("ultrafast", (1920, 1080), 0.31),
            ("superfast", (1920, 1080), 0.5),
            ("veryfast", (1920, 1080), 0.69),
            ("ultrafast", (3840, 2160), 1.03),
            ("superfast", (3840, 2160), 1.73),
        ] {
            near(model.encode(Codec::H264, preset, size.0, size.1, 25.0), seconds, b.encode);
        }
        near(400.0 * model.ingest(&StreamLoad { fps: 10.0, ..sub(Codec::H264, 500.0) }), 0.1, b.ingest);
    }

    #[test]
    fn less_effort_costs_less() {
        let model = CostModel::reference();
        for codec in [Codec::H264, Codec::H265, Codec::Mjpeg, Codec::Mpeg4] {
            let s = sub(codec, 400.0);
            let full = model.decode(&s, Effort::Full, false, 0.0);
            let keys = model.decode(&s, Effort::KeyFrames, false, 0.0);
            assert!(full > keys && keys > 0.0, "{codec}");
            assert!(model.decode(&s, Effort::Full, true, 0.0) <= full);
            assert_eq!(model.decode(&s, Effort::Standby, false, 0.0), 0.0);
        }
    }

    #[test]
    fn a_refresh_need_not_be_whole_key_intervals() {
        let model = CostModel::reference();
        let s = sub(Codec::H264, 400.0);
        let every = model.decode(&s, Effort::KeyFrames, false, 0.0);
        for (refresh, share) in [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (2.5, 0.8), (4.0, 0.5), (5.0, 0.4)] {
            near(model.decode(&s, Effort::KeyFrames, false, refresh), every * share, 1e-9);
        }
    }

    #[test]
    fn a_stream_of_key_frames_only_costs_key_frames() {
        let model = CostModel::reference();
        let s = StreamLoad { key_interval_s: 0.0, ..sub(Codec::H264, 2000.0) };
        let full = model.decode(&s, Effort::Full, false, 0.0);
        near(full, model.decode(&s, Effort::KeyFrames, false, 0.0), 1e-9);
        let silent = StreamLoad { fps: 0.0, bits_per_second: 0.0, ..s };
        assert_eq!(model.decode(&silent, Effort::Full, false, 5.0), 0.0);
        assert_eq!(model.decode(&silent, Effort::KeyFrames, false, 5.0), 0.0);
    }

    #[test]
    fn presets_that_were_not_measured_are_taken_in_proportion() {
        let model = CostModel::reference();
        let of = |codec, preset: &str| model.encode(codec, preset, 1920, 1080, 25.0);
        assert!(of(Codec::H264, "medium") > of(Codec::H264, "veryfast"));
        near(of(Codec::H265, "superfast"), of(Codec::H265, "ultrafast") * 1.65, 1e-9);
    }

    #[test]
    fn a_model_survives_its_file_and_a_wrong_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/cost.json");
        let model = CostModel { measured_at: "2026-11-24T10:00:00Z".into(), ..CostModel::reference() };
        model.save(&path).unwrap();
        let read = CostModel::load(&path).unwrap();
        // Decimal text may move the last bit of a number.
        near(read.decode[0].key.pixel_s, model.decode[0].key.pixel_s, 1e-12);
        assert_eq!((read.machine, read.measured_at), (model.machine.clone(), model.measured_at.clone()));
        for wrong in [
            CostModel { version: 99, ..model.clone() },
            CostModel { ingest: IngestCost { unit_s: -1.0, bit_s: 0.0 }, ..model },
        ] {
            wrong.save(&path).unwrap();
            let error = CostModel::load(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        }
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(CostModel::load(&path).unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(CostModel::load(&folder.path().join("none")).unwrap_err().kind(), ErrorKind::Io);
    }
}
