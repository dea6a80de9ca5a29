//! When the loop filter may be left out: tried on the input itself, because it depends on what it shows.

use super::input::Placed;
use crate::base::Result;
use crate::decode::{Decoder, DecoderRequest, LibavDecoder, Picture};
use crate::fit::{Scratch, fit};
use crate::media::{AccessUnit, Chroma, Codec, FitMode, FitSpec, Frame, VideoParameters};

/// Units of a trial, from a random-access unit on.
const TRIAL: u64 = 4;
/// A picture of a trial comes out at most so many units after its own (H.264, A.3.1: 16 pictures held).
const DELAY: u64 = 16;
/// Units from one trial to the next: what a camera shows changes. A trial costs as much as its units once
/// more, and a random-access unit as several others, so this keeps it near 1 %.
const EVERY: u64 = 500;
/// The same after a trial that turned out to say nothing of what came.
const SOON: u64 = 50;
/// Where predicted units are so many times larger, the scene came to life.
const LIVELIER: f64 = 5.0;
/// Where they are so many times smaller, the encoder quantises more coarsely, which the filter hides. Encoders with a
/// bound on their rate save so behind a key frame, too; with a fifth, and 45 dB, a parking camera fell from 55 dB to 44.
const COARSER: f64 = 0.5;
/// Bytes for each pixel of the picture below which a predicted unit is that of a still scene, whatever the
/// trial saw.
const STILL: f64 = 0.005;
/// Bytes for each pixel that a predicted unit counts for at least.
const LEAST_UNIT: f64 = 0.002;
/// Weight of the newest unit in the mean of recent sizes: about the last eight count.
const NEWEST: f64 = 0.125;
/// Mean square that a plane loses at least for each byte a pixel of predicted units: a trial in a still
/// scene measures nothing. Measured: 1 to 4 on H.264 of real cameras at a quarter of its size, 9 with grain.
const LEAST_GROWTH: f64 = 6.0;
/// So much more in H.265, which says as much in half of the bytes.
const H265_GROWTH: f64 = 2.0;
/// No plane of fitted pictures is to be further from the exact ones than this, in decibels, in the mean from one
/// random-access unit to the next. Each plane by itself: in the mean of all, luma would hide what goes wrong in colours.
const LEAST_PSNR: f64 = 46.0;

/// Decides for each unit whether its loop filter is left out.
///
/// The pictures of a trial are decoded both ways and compared as fitted. Without the filter, each
/// predicted picture adds to the error of those before it, by about as much as its unit is large; so the
/// error at the random-access unit and its growth by the byte follow from a trial, and from them how far
/// each picture is from the exact one. Where that would exceed [`LEAST_PSNR`] in their mean, the filter works again
/// until the next random-access unit. A random-access unit that is smaller than the trial's was
/// quantised more coarsely, and loses more.
pub(super) struct Shortcut {
    request: DecoderRequest,
    parameters: VideoParameters,
    spec: FitSpec,
    /// Of the picture.
    pixels: f64,
    trial: Option<Trial>,
    measured: Option<Measured>,
    units: u64,
    next_trial: u64,
    /// Mean square that the worst plane has lost since the last random-access unit, and for each byte.
    lost: f64,
    growth: f64,
    /// What all pictures since then have lost, and how many they are.
    sum: f64,
    pictures: f64,
    /// The filter works until the next random-access unit.
    filters: bool,
    /// Mean bytes of predicted units of late.
    recent: f64,
}

/// What a trial says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured {
    /// Mean square at the random-access unit, and for each byte of the predicted units after it.
    at_key: f64,
    by_byte: f64,
    /// Bytes of the random-access unit, and of a predicted one in the mean.
    key: f64,
    unit: f64,
}

struct Trial {
    decoder: LibavDecoder,
    /// The number of its random-access unit.
    key: u64,
    /// Units still to be decoded both ways, and then those that may pass until their pictures are out.
    left: u64,
    drained: bool,
    patience: u64,
    /// Of its units; the first is the random-access unit.
    bytes: Vec<f64>,
    exact: Vec<Frame>,
    quick: Vec<Frame>,
}

impl Shortcut {
    /// For an input and its tile; `None` where the tile is too large to hide anything.
    pub fn new(request: &DecoderRequest, parameters: &VideoParameters, spec: FitSpec) -> Option<Shortcut> {
        is_small(parameters, &spec).then(|| Shortcut {
            request: request.clone(),
            parameters: parameters.clone(),
            spec,
            pixels: (f64::from(parameters.width) * f64::from(parameters.height)).max(1.0),
            trial: None,
            measured: None,
            units: 0,
            next_trial: 0,
            lost: 0.0,
            growth: 0.0,
            sum: 0.0,
            pictures: 0.0,
            filters: true,
            recent: 0.0,
        })
    }

    /// Whether the filter of the next unit is left out.
    pub fn skips(&mut self, unit: &AccessUnit) -> Result<bool> {
        let bytes = unit.data.len() as f64;
        if unit.random_access && self.trial.is_none() && self.units >= self.next_trial {
            let mut decoder = LibavDecoder::open(&self.request)?;
            decoder.set_skip_loop_filter(true);
            self.trial = Some(Trial::new(decoder));
            self.next_trial = self.units + EVERY;
        }
        self.units += 1;
        if let Some(trial) = &mut self.trial {
            trial.expect(unit);
            return Ok(false);
        }
        let Some(measured) = self.measured else { return Ok(false) };
        if unit.random_access {
            let coarser = (measured.key / bytes.max(1.0)).powi(2).max(1.0);
            self.lost = measured.at_key * coarser;
            self.growth = self.growth_of(&measured) * coarser;
            (self.sum, self.pictures) = (0.0, 0.0);
            self.filters = false;
        } else {
            self.lost += self.growth * bytes.max(LEAST_UNIT * self.pixels);
            self.watch(&measured, bytes);
        }
        self.sum += self.lost;
        self.pictures += 1.0;
        self.filters |= self.sum > self.pictures * mean_square_of(LEAST_PSNR);
        Ok(!self.filters)
    }

    fn growth_of(&self, measured: &Measured) -> f64 {
        let least = match self.request.codec {
            Codec::H265 => LEAST_GROWTH * H265_GROWTH,
            _ => LEAST_GROWTH,
        };
        measured.by_byte.max(least / self.pixels)
    }

    /// Takes the permission back where what comes is not what was tried.
    fn watch(&mut self, measured: &Measured, bytes: f64) {
        self.recent += NEWEST * (bytes - self.recent);
        let usual = measured.unit.max(STILL * self.pixels);
        if self.recent > LIVELIER * usual || self.recent < COARSER * measured.unit {
            self.measured = None;
            self.filters = true;
            self.next_trial = self.next_trial.min(self.units + SOON);
        }
    }

    /// Takes a unit that was decoded, and the pictures that came of it.
    pub fn decoded(&mut self, unit: &AccessUnit, pictures: &[Placed], scratch: &mut Scratch) {
        let Some(trial) = &mut self.trial else { return };
        trial.exact.extend(pictures.iter().map(|placed| placed.picture.frame.clone()));
        if !trial.drained {
            trial.decode(unit, &self.parameters, &self.spec, scratch);
        } else {
            trial.patience = trial.patience.saturating_sub(1);
        }
        if trial.drained && (trial.is_complete() || trial.patience == 0) {
            self.measured = trial.measured();
            self.trial = None;
            if self.measured.is_none() {
                // No tick showed what had to be compared.
                self.next_trial = self.units + SOON;
            }
            if let Some(measured) = self.measured {
                // All before was decoded with the filter.
                (self.lost, self.sum, self.pictures) = (0.0, 0.0, 0.0);
                self.growth = self.growth_of(&measured);
                self.filters = false;
                self.recent = measured.unit;
            }
        }
    }
}

impl Trial {
    fn new(decoder: LibavDecoder) -> Trial {
        Trial {
            decoder,
            key: 0,
            left: TRIAL,
            drained: false,
            patience: DELAY,
            bytes: Vec::new(),
            exact: Vec::new(),
            quick: Vec::new(),
        }
    }

    /// Counts a unit in that comes next; another random-access unit ends the trial.
    fn expect(&mut self, unit: &AccessUnit) {
        match self.bytes.is_empty() {
            true => self.key = unit.arrival.0,
            false if unit.random_access => self.left = 0,
            false => {}
        }
        if self.left > 0 {
            self.bytes.push(unit.data.len() as f64);
        }
    }

    fn decode(
        &mut self,
        unit: &AccessUnit,
        parameters: &VideoParameters,
        spec: &FitSpec,
        scratch: &mut Scratch,
    ) {
        let quick = &mut self.quick;
        let mut sink = |picture: Picture| {
            let number = picture.origin.arrival.0;
            let frame = picture.into_frame(number, parameters);
            quick.extend(frame.map(|frame| fit(&frame, spec, &[], scratch).frame));
        };
        // Damage shows in the other decoder too, which counts it.
        if self.left > 0 {
            self.left -= 1;
            let _ = self.decoder.decode(unit, &mut sink);
        }
        if self.left == 0 {
            let _ = self.decoder.drain(&mut sink);
            self.drained = true;
        }
    }

    fn pair(&self, quick: &Frame) -> Option<&Frame> {
        self.exact.iter().find(|exact| exact.meta().sequence == quick.meta().sequence)
    }

    fn is_complete(&self) -> bool {
        self.quick.iter().all(|quick| self.pair(quick).is_some())
    }

    /// What it says; `None` where the random-access unit or all others have no pictures to compare.
    fn measured(&self) -> Option<Measured> {
        let key = self.key;
        let of = |quick: &Frame| mean_square(self.pair(quick)?, quick);
        let at_key = of(self.quick.iter().find(|quick| quick.meta().sequence == key)?)?;
        let others = self.quick.iter().filter(|quick| quick.meta().sequence != key);
        let worst = others.filter_map(of).reduce(f64::max)?;
        // All of them predicted: none is a random-access unit.
        let (first, predicted) = self.bytes.split_first()?;
        let sum: f64 = predicted.iter().sum();
        Some(Measured {
            at_key,
            by_byte: (worst - at_key).max(0.0) / sum.max(1.0),
            key: *first,
            unit: sum / predicted.len().max(1) as f64,
        })
    }
}

/// Of 8-bit samples that are so many decibels from others.
fn mean_square_of(psnr: f64) -> f64 {
    255.0f64.powi(2) / 10.0f64.powf(psnr / 10.0)
}

/// True where the picture shrinks to half or less each way in its tile.
pub(super) fn is_small(parameters: &VideoParameters, spec: &FitSpec) -> bool {
    let (width, height) = parameters.orientation.size((parameters.width, parameters.height));
    let across = f64::from(width) / f64::from(spec.width);
    let down = f64::from(height) / f64::from(spec.height);
    let factor = match spec.mode {
        FitMode::Contain => across.max(down),
        FitMode::Cover | FitMode::Stretch => across.min(down),
    };
    factor >= 2.0
}

/// The largest of the planes' mean squared differences.
fn mean_square(a: &Frame, b: &Frame) -> Option<f64> {
    if (a.width(), a.height(), a.chroma()) != (b.width(), b.height(), b.chroma()) {
        return None;
    }
    let (width, height) = (a.width() as usize, a.height() as usize);
    let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
    let shape = |plane: usize| match (plane, a.chroma()) {
        (0, _) => (width, height),
        (_, Chroma::I420) => (chroma_width, chroma_height),
        (_, Chroma::Nv12) => (2 * chroma_width, chroma_height),
    };
    let planes = a.planes().iter().zip(b.planes()).enumerate();
    let squares = planes.map(|(number, (a, b))| {
        let (row, rows) = shape(number);
        let of_row = |y| a.row(y, row).iter().zip(b.row(y, row)).map(|(a, b)| a.abs_diff(*b));
        let sum: u64 = (0..rows).flat_map(of_row).map(|d| u64::from(d).pow(2)).sum();
        sum as f64 / (row * rows) as f64
    });
    squares.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameMeta;

    /// A trial of a random-access unit and one other whose planes differ by so much.
    fn trial(at_key: [u8; 3], after: [u8; 3]) -> Trial {
        let request = DecoderRequest::live(Codec::H264);
        let frame = |sequence, yuv| {
            Frame::filled(64, 48, yuv, FrameMeta { sequence, ..FrameMeta::default() }).expect("a size")
        };
        let mut trial = Trial::new(LibavDecoder::open(&request).expect("libavcodec decodes H.264"));
        (trial.bytes, trial.key) = (vec![5000.0, 100.0], 7);
        trial.exact = vec![frame(7, [100; 3]), frame(8, [100; 3])];
        trial.quick = vec![frame(8, after.map(|d| 100 + d)), frame(7, at_key.map(|d| 100 + d))];
        trial
    }

    #[test]
    fn the_worst_plane_decides() {
        let growth = |after| trial([1, 0, 0], after).measured().map(|m| (m.at_key, m.by_byte * 100.0));
        assert_eq!(growth([1, 0, 0]), Some((1.0, 0.0)));
        assert_eq!(growth([1, 2, 0]), Some((1.0, 3.0)));
        assert_eq!(growth([0, 0, 5]), Some((1.0, 24.0)), "perfect luma hides no wrong colour");
        let mut without_key = trial([0; 3], [0; 3]);
        without_key.exact.remove(0);
        assert!(!without_key.is_complete() && without_key.measured().is_none(), "nothing to compare");
    }

    /// One of 640x360 in a quarter of its size, after a trial with units of 30,000 and 3,000 bytes.
    fn tried(at_key: f64, by_byte: f64) -> Shortcut {
        let mut parameters = VideoParameters::unknown(Codec::H264);
        (parameters.width, parameters.height) = (640, 360);
        let request = DecoderRequest::live(parameters.codec);
        let spec = FitSpec::whole(160, 90, FitMode::Contain);
        let mut shortcut = Shortcut::new(&request, &parameters, spec).expect("a small tile");
        let measured = Measured { at_key, by_byte, key: 30_000.0, unit: 3000.0 };
        (shortcut.measured, shortcut.recent, shortcut.next_trial) = (Some(measured), 3000.0, 500);
        shortcut
    }

    /// Whether the filter of a unit of so many bytes is left out.
    fn send(shortcut: &mut Shortcut, random_access: bool, bytes: usize) -> bool {
        let unit = AccessUnit {
            pts: crate::media::Pts(0),
            arrival: crate::base::Moment(0),
            captured: None,
            random_access,
            disposable: false,
            loss: false,
            data: vec![0; bytes].into(),
        };
        shortcut.skips(&unit).expect("no trial is due")
    }

    /// Predicted units that go without filter after a random-access unit.
    fn run(shortcut: &mut Shortcut, key: usize, bytes: usize) -> usize {
        if !send(shortcut, true, key) {
            return 0;
        }
        (0..100).take_while(|_| send(shortcut, false, bytes)).count()
    }

    #[test]
    fn the_larger_the_error_the_fewer_pictures_go_without_filter() {
        // 46 dB are a mean square of 1.63.
        assert_eq!(run(&mut tried(0.06, 0.2 / 3000.0), 30_000, 3000), 15, "in steps of 0.2 to twice 1.6");
        assert_eq!(run(&mut tried(0.06, 0.2 / 3000.0), 30_000, 6000), 7, "larger units lose more");
        assert_eq!(run(&mut tried(0.06, 0.2 / 3000.0), 15_000, 3000), 3, "so do coarser ones");
        assert_eq!(run(&mut tried(2.5, 0.0), 30_000, 3000), 0);
        // Six for each byte a pixel, whatever the trial saw: 0.078 each.
        assert_eq!(run(&mut tried(0.0, 0.0), 30_000, 3000), 41);
    }

    #[test]
    fn the_filter_works_until_the_next_random_access_unit() {
        let mut shortcut = tried(0.06, 0.2 / 3000.0);
        assert_eq!(run(&mut shortcut, 30_000, 3000), 15);
        assert!((0..9).all(|_| !send(&mut shortcut, false, 3000)));
        assert_eq!(run(&mut shortcut, 30_000, 3000), 15);
    }

    #[test]
    fn another_scene_than_the_tried_one_gets_its_filter_back() {
        for (other, what) in [(40_000, "it came to life"), (300, "it is quantised more coarsely")] {
            let mut shortcut = tried(0.0, 0.0);
            assert!(send(&mut shortcut, true, 30_000));
            let skipped = (0..20).map(|_| send(&mut shortcut, false, other));
            assert!(skipped.last() == Some(false), "{what}");
            assert!(!send(&mut shortcut, true, 30_000), "until another trial");
            assert!(shortcut.next_trial <= shortcut.units + SOON);
        }
    }

    #[test]
    fn large_tiles_hide_nothing() {
        let mut parameters = VideoParameters::unknown(Codec::H264);
        (parameters.width, parameters.height) = (640, 360);
        let request = DecoderRequest::live(parameters.codec);
        let tile = |w, h, mode| Shortcut::new(&request, &parameters, FitSpec::whole(w, h, mode)).is_some();
        assert!(tile(320, 180, FitMode::Contain) && tile(640, 90, FitMode::Contain));
        assert!(!tile(322, 182, FitMode::Contain) && !tile(640, 90, FitMode::Stretch));
    }
}
