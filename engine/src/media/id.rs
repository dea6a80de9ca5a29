//! Names of things: cameras, walls, screens, and one life of a camera's connection.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// An id with this text.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

id!(
    /// A camera, by the name its owner gave it.
    CameraId
);
id!(
    /// A wall of one or more screens.
    WallId
);
id!(
    /// One screen of a wall: one canvas, one encode.
    ScreenId
);

/// One life of a camera's stream. A replaced or re-opened camera gets a new generation, so that a
/// late frame of the old one cannot appear (invariant 5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceRef {
    /// The camera.
    pub camera: CameraId,
    /// Which of its streams: `main`, `sub`, …
    pub profile: Arc<str>,
    /// Raised whenever the camera is opened anew with other settings, or removed.
    pub generation: u64,
}
