//! Single pictures of a live wall: thumbnails from the newest key frames, and canvases.

use super::Wall;
use crate::base::{Error, ErrorKind, Result};
use crate::decode::{Decoder, DecoderRequest, LibavDecoder};
use crate::fit::{self, Scratch};
use crate::media::{AccessUnit, CameraId, FitMode, FitSpec, Frame, Mask, Ratio, ScreenId, VideoParameters};

/// How a picture of a camera is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StillWish {
    /// Pixels of its width, at most.
    pub width: u32,
    /// As the camera sends it, not set upright: what its masks lie on.
    pub as_sent: bool,
}

impl From<u32> for StillWish {
    /// Upright, of this width.
    fn from(width: u32) -> StillWish {
        StillWish { width, as_sent: false }
    }
}

impl Wall {
    /// The newest canvas of a screen; `None` before its first, or where there is no such screen.
    pub fn canvas(&self, screen: &ScreenId) -> Option<Frame> {
        self.screens.iter().find(|s| s.layout.id == *screen)?.newest()
    }

    /// The newest key frame of a camera, shown or on standby, with its masks burnt in; `None` where there is
    /// none yet, or where it may not be seen.
    ///
    /// # Errors
    /// Where it cannot be decoded.
    pub fn still(&self, camera: &CameraId, wish: StillWish) -> Result<Option<Frame>> {
        self.still_later(camera, wish)()
    }

    /// The same, decoded where the answer is called: milliseconds of work that need no wall.
    pub fn still_later(
        &self,
        camera: &CameraId,
        wish: StillWish,
    ) -> impl FnOnce() -> Result<Option<Frame>> + Send + use<> {
        let camera = self.cameras().get(camera).cloned();
        move || {
            let Some(camera) = camera else { return Ok(None) };
            let Some((unit, parameters)) = camera.newest_key_unit() else { return Ok(None) };
            let frame = decode_alone(&unit, &parameters)?;
            let asked = frame.meta().orientation;
            let turn = if wish.as_sent { asked.inverse() } else { camera.spec().orientation() };
            let still = at_width(&frame.turned(turn), wish.width, &camera.masks());
            // It may have been withdrawn while this was decoded.
            Ok(Some(still).filter(|_| camera.refusal().is_none()))
        }
    }
}

/// One key frame, by a decoder of its own.
fn decode_alone(unit: &AccessUnit, parameters: &VideoParameters) -> Result<Frame> {
    let request = DecoderRequest {
        extradata: parameters.extradata.clone(),
        isolated: true,
        ..DecoderRequest::live(parameters.codec)
    };
    let mut decoder = LibavDecoder::open(&request)?;
    let mut picture = None;
    decoder.decode(unit, &mut |p| picture = Some(p))?;
    decoder.drain(&mut |p| picture = Some(p))?;
    let damaged =
        || Error::new(ErrorKind::Corrupt, parameters.codec.to_string(), "the key frame gave no picture");
    picture.and_then(|p| p.into_frame(0, parameters)).ok_or_else(damaged)
}

/// A frame at most `width` pixels wide, upright, in its proportions, with square pixels and `masks` burnt in.
pub fn at_width(frame: &Frame, width: u32, masks: &[Mask]) -> Frame {
    let Ratio { num, den } = frame.upright_pixel_aspect();
    let aspect = f64::from(num.max(1)) / f64::from(den.max(1));
    let (across, down) = frame.upright_size();
    let shown = f64::from(across) * aspect;
    let width = f64::from(width.clamp(16, 8192)).min(shown.max(16.0));
    let even = |pixels: f64| ((pixels / 2.0).round() as u32 * 2).max(2);
    let height = even(width * f64::from(down) / shown);
    let spec = FitSpec::whole(even(width), height, FitMode::Stretch);
    fit::fit(frame, &spec, masks, &mut Scratch::default()).frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameMeta;

    #[test]
    fn keeps_proportions_and_never_grows() {
        let frame = |w, h, num, den| {
            let meta = FrameMeta { pixel_aspect: Ratio { num, den }, ..FrameMeta::default() };
            Frame::filled(w, h, [90, 128, 128], meta).expect("a size")
        };
        let size = |frame: Frame, width| {
            let still = at_width(&frame, width, &[]);
            (still.width(), still.height())
        };
        assert_eq!(size(frame(1920, 1080, 1, 1), 320), (320, 180));
        assert_eq!(size(frame(320, 180, 1, 1), 1920), (320, 180));
        assert_eq!(size(frame(720, 576, 16, 11), 512), (512, 282), "pixels of 4:3 PAL made wide");
    }

    #[test]
    fn masks_are_burnt_in() {
        let frame = Frame::filled(320, 180, [200, 128, 128], FrameMeta::default()).expect("a size");
        let mask = Mask(crate::media::Region { x: 0.0, y: 0.0, width: 0.5, height: 1.0 });
        let still = at_width(&frame, 160, &[mask]);
        let row = still.planes()[0].row(40, 160);
        assert!(row[..80].iter().all(|y| *y <= 16) && row[84..].iter().all(|y| *y == 200), "{row:?}");
    }
}
