//! The words of the media plane: access units, video parameters, frames, identities. No I/O.

pub mod access_unit;
pub mod annex_b;
pub mod fitted;
pub mod frame;
pub mod id;
pub mod orientation;
pub mod region;
pub mod sound;
pub mod video;

pub use access_unit::{AccessUnit, Pts};
pub use fitted::{FitMode, FitSpec, FittedFrame};
pub use frame::{Chroma, Frame, FrameMeta, Plane};
pub use id::{CameraId, ScreenId, SourceRef, WallId};
pub use orientation::{Flip, Orientation, QuarterTurn};
pub use region::{Mask, PixelRect, Region};
pub use sound::{SoundCodec, SoundPacket, SoundParameters};
pub use video::{Codec, Colorimetry, Matrix, Range, Ratio, VideoParameters};
