//! How a camera stands, for operators, placards and reports.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{ErrorKind, Moment};
use crate::media::VideoParameters;

/// How a camera stands. Three faults are told apart (invariant 2): packets stopped is `Stalled`,
/// decoding stopped is the decoder's to say, a picture that does not change is `Frozen`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum SourceState {
    /// Not yet connected, or connected and waiting for the first key frame.
    #[default]
    Connecting,
    /// Access units come in.
    Live,
    /// Connected, but packets stopped.
    Stalled,
    /// Packets come, the picture does not change. Set by whoever sees pictures, never here.
    Frozen,
    /// Connected and kept ready, not decoded. Set by whoever governs decoding, never here.
    Standby,
    /// There is no right to see it. A login that the camera refuses is `Offline`.
    Refused {
        /// Why, for people.
        reason: String,
    },
    /// Not connected; connected again as the retry rules say.
    Offline {
        /// Since when, in milliseconds since the Unix epoch.
        since_ms: u64,
        /// Why, for people.
        reason: String,
    },
}

/// One camera's connection, at one moment.
#[derive(Clone, Debug, Default)]
pub struct IngestStatus {
    /// How it stands.
    pub state: SourceState,
    /// Since when it stands so, on the clock that ingest was started with.
    pub since: Moment,
    /// Access units handed on.
    pub units: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Access units thrown away because no key frame had come yet.
    pub skipped: u64,
    /// How often packets were lost.
    pub lost_events: u64,
    /// How often it was connected after the first attempt.
    pub reconnects: u64,
    /// When the newest access unit was handed on.
    pub last_arrival: Option<Moment>,
    /// From the last random-access unit but one of a connection to the last, by when they were handed on.
    pub key_interval: Option<Duration>,
    /// How old its newest unit may be by the camera's own pace, [`super::rhythm::LONGEST`] at most.
    pub tolerance: Duration,
    /// The longest time of late that a unit waited between the arrival of its bytes and when it was handed on: by so
    /// much its pictures are older.
    pub waits: Duration,
    /// What the stream says of itself, once known.
    pub parameters: Option<VideoParameters>,
    /// The last error, for people; kept when the camera comes back.
    pub last_error: Option<String>,
    /// Its kind.
    pub error_kind: Option<ErrorKind>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_readable_by_machine() {
        let offline =
            SourceState::Offline { since_ms: 1_700_000_000_000, reason: "cannot be reached".into() };
        let json = serde_json::to_string(&offline).expect("serialises");
        assert_eq!(json, r#"{"is":"offline","since_ms":1700000000000,"reason":"cannot be reached"}"#);
        assert_eq!(serde_json::from_str::<SourceState>(&json).expect("reads back"), offline);
        assert_eq!(serde_json::to_string(&SourceState::Live).expect("serialises"), r#"{"is":"live"}"#);
    }
}
