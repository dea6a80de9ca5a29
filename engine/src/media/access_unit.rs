//! One encoded picture, as it came from a camera or an encoder.

use std::time::Duration;

use bytes::Bytes;

use crate::base::Moment;

/// A presentation time of a stream, in nanoseconds on the stream's own timeline (its zero is
/// arbitrary; it may jump where the camera's does).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pts(pub i64);

impl Pts {
    /// From 90 kHz RTP ticks.
    pub fn from_90khz(ticks: i64) -> Pts {
        Pts((i128::from(ticks) * 100_000 / 9) as i64)
    }
    /// In 90 kHz RTP ticks, rounded down.
    pub fn as_90khz(self) -> i64 {
        (i128::from(self.0) * 9 / 100_000) as i64
    }
    /// From a duration since the timeline's zero.
    pub fn from_duration(d: Duration) -> Pts {
        Pts(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// One encoded picture in Annex B (start codes, four bytes `00 00 00 01` or three). A
/// random-access unit carries its parameter sets in front.
#[derive(Clone, Debug)]
pub struct AccessUnit {
    /// When it is to be shown, on the stream's timeline.
    pub pts: Pts,
    /// When its last packet arrived here: its picture's age counts from then. No time between two units can be read
    /// from it: those of a live playlist's segment arrive at once, and are handed on one by one. Whoever measures
    /// intervals notes its own clock when a unit is handed on.
    pub arrival: Moment,
    /// When the camera captured it, as time since the Unix epoch, where RTCP sender reports or
    /// ONVIF extensions say so.
    pub captured: Option<Duration>,
    /// Decoding can start here: H.264 IDR (or recovery point 0), H.265 IRAP.
    pub random_access: bool,
    /// No other picture refers to it: it can be dropped without harm.
    pub disposable: bool,
    /// Packets were lost since the unit before.
    pub loss: bool,
    /// The bytes, shared.
    pub data: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_kilohertz_round_trips() {
        for ticks in [0, 1, 3600, 90_000, 90_000 * 86_400 * 365, -3600] {
            let back = Pts::from_90khz(ticks).as_90khz();
            assert!((back - ticks).abs() <= 1, "{ticks} became {back}");
        }
        assert_eq!(Pts::from_90khz(90_000), Pts(1_000_000_000));
    }
}
