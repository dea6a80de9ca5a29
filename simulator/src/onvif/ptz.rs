//! The moving head of a camera: it turns with a speed until it is stopped, keeps its position, and has
//! presets.

use std::time::Duration;

use vitrail_engine::base::Moment;

/// Of the whole way, a second at full speed.
const SPEED: f64 = 0.5;
/// Without a timeout in the request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where a camera looks: pan and tilt -1 to 1, zoom 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Position {
    /// To the right.
    pub pan: f64,
    /// Upwards.
    pub tilt: f64,
    /// Closer.
    pub zoom: f64,
}

/// A moving head.
#[derive(Debug)]
pub(super) struct Head {
    at: Position,
    turning: Option<Turning>,
}

#[derive(Debug)]
struct Turning {
    speed: [f64; 3],
    since: Moment,
    until: Moment,
}

/// The presets that every head has: token, name, position.
pub(super) const PRESETS: [(&str, &str, Position); 2] = [
    ("1", "Entrance", Position { pan: -0.5, tilt: 0.1, zoom: 0.0 }),
    ("2", "Crossing", Position { pan: 0.7, tilt: -0.2, zoom: 0.6 }),
];

impl Head {
    pub fn new() -> Head {
        Head { at: Position::default(), turning: None }
    }

    /// Where it looks.
    pub fn position(&self, now: Moment) -> Position {
        let Some(turning) = &self.turning else { return self.at };
        let seconds = now.min(turning.until).since(turning.since).as_secs_f64();
        let [pan, tilt, zoom] = turning.speed.map(|part| part * SPEED * seconds);
        Position {
            pan: (self.at.pan + pan).clamp(-1.0, 1.0),
            tilt: (self.at.tilt + tilt).clamp(-1.0, 1.0),
            zoom: (self.at.zoom + zoom).clamp(0.0, 1.0),
        }
    }

    /// Begins to turn.
    pub fn turn(&mut self, now: Moment, speed: [f64; 3], timeout: Option<Duration>) {
        self.stop(now);
        let until = now + timeout.unwrap_or(TIMEOUT);
        self.turning = Some(Turning { speed: speed.map(|part| part.clamp(-1.0, 1.0)), since: now, until });
    }

    /// Stops where it is.
    pub fn stop(&mut self, now: Moment) {
        self.at = self.position(now);
        self.turning = None;
    }

    /// Goes to a preset; false where there is no such one.
    pub fn go_to(&mut self, token: &str) -> bool {
        let preset = PRESETS.iter().find(|(known, _, _)| *known == token);
        if let Some((_, _, position)) = preset {
            self.turning = None;
            self.at = *position;
        }
        preset.is_some()
    }

    /// Whether it turns.
    pub fn is_moving(&self, now: Moment) -> bool {
        self.turning.as_ref().is_some_and(|turning| now < turning.until)
    }
}

#[cfg(test)]
mod tests {
    use vitrail_engine::base::{Clock, SimClock};

    use super::*;

    #[test]
    fn a_head_turns_until_it_is_stopped_or_its_time_is_over_and_stays_there() {
        let clock = SimClock::new();
        let mut head = Head::new();
        head.turn(clock.now(), [0.5, -1.0, 2.0], Some(Duration::from_secs(2)));
        clock.advance(Duration::from_secs(1));
        assert_eq!(head.position(clock.now()), Position { pan: 0.25, tilt: -0.5, zoom: 0.5 });
        assert!(head.is_moving(clock.now()));
        clock.advance(Duration::from_secs(9));
        assert_eq!(head.position(clock.now()), Position { pan: 0.5, tilt: -1.0, zoom: 1.0 });
        assert!(!head.is_moving(clock.now()));
        head.turn(clock.now(), [-1.0, 0.0, 0.0], None);
        clock.advance(Duration::from_secs(1));
        head.stop(clock.now());
        clock.advance(Duration::from_secs(1));
        assert_eq!(head.position(clock.now()).pan, 0.0);
        assert!(head.go_to("2") && !head.go_to("9"));
        assert_eq!(head.position(clock.now()), PRESETS[1].2);
    }
}
