//! When the loop filter may be left out: tried on the input itself, because it depends on what it shows.

use super::lane::Placed;
use crate::base::Result;
use crate::decode::{Decoder, DecoderRequest, LibavDecoder, Picture};
use crate::fit::{FitMode, FitSpec, Scratch, fit};
use crate::media::{AccessUnit, Chroma, Frame, VideoParameters};

/// Units of a trial, from a random-access unit on.
const TRIAL: u64 = 8;
/// Units from one trial to the next: what a camera shows changes. A trial costs as much as its
/// units once more, so this keeps it below 2 %.
const EVERY: u64 = 500;
/// The same after a trial that turned out to say nothing: the scene came to life.
const SOON: u64 = 200;
/// More moves than during the trial where predicted units are so much larger. A scene that is still
/// during the trial and moves after it would go far below the bound.
const LIVELIER: f64 = 2.0;
/// Weight of the newest unit in the mean of recent sizes: about the last eight count.
const NEWEST: f64 = 0.125;
/// No plane of a fitted picture may be further from the exact one than this, in decibels. Each plane by
/// itself: in the mean of all, luma would hide what goes wrong in colours.
const LEAST_PSNR: f64 = 45.0;

/// Decides for each unit whether its loop filter is left out.
///
/// The pictures of a trial are decoded both ways and compared as fitted. Without the filter, each
/// predicted picture adds to the error of those before it, so that its energy grows by the picture;
/// from the error after a trial follows how many pictures after a random-access unit stay within
/// [`LEAST_PSNR`]. From there on the filter works again until the next random-access unit; and it
/// works where the units say that more moves than during the trial.
pub(super) struct Shortcut {
    request: DecoderRequest,
    spec: FitSpec,
    trial: Option<Trial>,
    units: u64,
    next_trial: u64,
    since_key: u64,
    allowed: u64,
    /// Mean bytes of the predicted units of the trial, and of those of late.
    calm: f64,
    recent: f64,
}

struct Trial {
    decoder: LibavDecoder,
    left: u64,
    /// Of its predicted units.
    bytes: Vec<f64>,
    exact: Vec<Frame>,
    quick: Vec<Frame>,
}

impl Shortcut {
    /// For an input and its tile; `None` where the tile is too large to hide anything.
    pub fn new(request: &DecoderRequest, parameters: &VideoParameters, spec: FitSpec) -> Option<Shortcut> {
        is_small(parameters, &spec).then(|| Shortcut {
            request: request.clone(),
            spec,
            trial: None,
            units: 0,
            next_trial: 0,
            since_key: 0,
            allowed: 0,
            calm: 0.0,
            recent: 0.0,
        })
    }

    /// Whether the filter of the next unit is left out.
    pub fn skips(&mut self, unit: &AccessUnit) -> Result<bool> {
        self.since_key = if unit.random_access { 0 } else { self.since_key + 1 };
        if unit.random_access && self.trial.is_none() && self.units >= self.next_trial {
            let mut decoder = LibavDecoder::open(&self.request)?;
            decoder.set_skip_loop_filter(true);
            self.trial =
                Some(Trial { decoder, left: TRIAL, bytes: Vec::new(), exact: Vec::new(), quick: Vec::new() });
            self.next_trial = self.units + EVERY;
        }
        self.units += 1;
        self.watch(unit);
        Ok(self.trial.is_none() && self.since_key < self.allowed)
    }

    /// Takes the permission back where the scene came to life.
    fn watch(&mut self, unit: &AccessUnit) {
        if unit.random_access {
            return;
        }
        let bytes = unit.data.len() as f64;
        match &mut self.trial {
            Some(trial) => trial.bytes.push(bytes),
            None => {
                self.recent += NEWEST * (bytes - self.recent);
                if self.allowed > 0 && self.recent > LIVELIER * self.calm {
                    self.allowed = 0;
                    self.next_trial = self.next_trial.min(self.units + SOON);
                }
            }
        }
    }

    /// Takes a unit that was decoded, and the pictures that came of it.
    pub fn decoded(&mut self, unit: &AccessUnit, pictures: &[Placed], scratch: &mut Scratch) {
        let Some(trial) = &mut self.trial else { return };
        trial.exact.extend(pictures.iter().map(|placed| placed.picture.frame.clone()));
        let (spec, quick) = (&self.spec, &mut trial.quick);
        let mut sink = |picture: Picture| {
            let number = picture.origin.arrival.0;
            let frame = picture.into_frame(number, crate::media::Ratio::ONE);
            quick.extend(frame.map(|frame| fit(&frame, spec, &[], scratch).frame));
        };
        trial.left -= 1;
        // Damage shows in the other decoder too, which counts it.
        let _ = trial.decoder.decode(unit, &mut sink);
        if trial.left == 0 {
            let _ = trial.decoder.drain(&mut sink);
            self.allowed = allowed(trial);
            self.calm = trial.bytes.iter().sum::<f64>() / trial.bytes.len().max(1) as f64;
            self.recent = self.calm;
            self.trial = None;
        }
    }
}

/// True where the picture shrinks to half or less each way in its tile.
pub(super) fn is_small(parameters: &VideoParameters, spec: &FitSpec) -> bool {
    let across = f64::from(parameters.width) / f64::from(spec.width);
    let down = f64::from(parameters.height) / f64::from(spec.height);
    let factor = match spec.mode {
        FitMode::Contain => across.max(down),
        FitMode::Cover | FitMode::Stretch => across.min(down),
    };
    factor >= 2.0
}

/// Units after a random-access unit that stay within [`LEAST_PSNR`].
fn allowed(trial: &Trial) -> u64 {
    let pairs = trial.exact.iter().filter_map(|exact| {
        let quick = trial.quick.iter().find(|quick| quick.meta().sequence == exact.meta().sequence)?;
        mean_square(exact, quick)
    });
    match pairs.reduce(f64::max) {
        // Nothing to compare: nothing is known.
        None => 0,
        Some(worst) => {
            let bound = 255.0f64.powi(2) / 10.0f64.powf(LEAST_PSNR / 10.0);
            (TRIAL as f64 * bound / worst.max(1e-6)) as u64
        }
    }
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

    /// A trial of one picture whose planes differ by so much.
    fn trial(difference: [u8; 3]) -> Trial {
        let request = DecoderRequest::live(crate::media::Codec::H264);
        let frame = |yuv| Frame::filled(64, 48, yuv, FrameMeta::default()).expect("a size");
        let decoder = LibavDecoder::open(&request).expect("libavcodec decodes H.264");
        Trial {
            decoder,
            left: 0,
            bytes: Vec::new(),
            exact: vec![frame([100; 3])],
            quick: vec![frame(difference.map(|d| 100 + d))],
        }
    }

    #[test]
    fn the_larger_the_error_the_fewer_pictures_go_without_filter() {
        // 45 dB are a mean square of 2.06.
        assert_eq!(allowed(&trial([1, 0, 0])), 16);
        assert_eq!(allowed(&trial([2, 0, 0])), 4);
        assert_eq!(allowed(&trial([5, 0, 0])), 0);
        assert!(allowed(&trial([0; 3])) > 1_000_000);
        assert_eq!(allowed(&Trial { quick: Vec::new(), ..trial([0; 3]) }), 0);
    }

    #[test]
    fn the_worst_plane_decides() {
        assert_eq!(allowed(&trial([1, 2, 0])), 4);
        assert_eq!(allowed(&trial([1, 1, 2])), 4);
        assert_eq!(allowed(&trial([0, 0, 5])), 0, "perfect luma hides no wrong colour");
    }

    #[test]
    fn a_scene_that_comes_to_life_gets_its_filter_back() {
        let mut parameters = VideoParameters::unknown(crate::media::Codec::H264);
        (parameters.width, parameters.height) = (640, 360);
        let request = DecoderRequest::live(parameters.codec);
        let spec = FitSpec::whole(160, 90, FitMode::Contain);
        let mut shortcut = Shortcut::new(&request, &parameters, spec).expect("a small tile");
        (shortcut.allowed, shortcut.calm, shortcut.recent, shortcut.next_trial) = (1000, 300.0, 300.0, 500);
        let mut send = |bytes: usize| {
            let unit = AccessUnit {
                pts: crate::media::Pts(0),
                arrival: crate::base::Moment(0),
                captured: None,
                random_access: false,
                disposable: false,
                loss: false,
                data: vec![0; bytes].into(),
            };
            shortcut.skips(&unit).expect("no trial is due")
        };
        assert!((0..50).all(|n| send(250 + n * 2)), "as lively as the trial");
        let moving: Vec<bool> = (0..4).map(|_| send(2500)).collect();
        assert_eq!(moving[1..], [false; 3], "within two pictures");
        assert!(!send(300), "until another trial");
    }

    #[test]
    fn large_tiles_hide_nothing() {
        let mut parameters = VideoParameters::unknown(crate::media::Codec::H264);
        (parameters.width, parameters.height) = (640, 360);
        let request = DecoderRequest::live(parameters.codec);
        let tile = |w, h, mode| Shortcut::new(&request, &parameters, FitSpec::whole(w, h, mode)).is_some();
        assert!(tile(320, 180, FitMode::Contain) && tile(640, 90, FitMode::Contain));
        assert!(!tile(322, 182, FitMode::Contain) && !tile(640, 90, FitMode::Stretch));
    }
}
