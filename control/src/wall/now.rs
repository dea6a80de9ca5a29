//! How each camera stands and what the machine has left, judged once: every view says the same.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;
use vitrail_engine::base::Moment;
use vitrail_engine::effort::ScreenStep;
use vitrail_engine::scene;
use vitrail_engine::wall::{CameraReport, CameraStanding, GovernorReport, ScreenReport};

use super::Conductor;
use super::layout::{Layout, Tile};
use crate::rights::Refusal;

/// How far back "lately" reaches.
const LATELY: Duration = Duration::from_secs(10);
/// Nobody needs to know more often what was lost.
const APART: Duration = Duration::from_millis(500);

/// How a camera stands: tiles, lists, maps and thumbnails all say this.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CameraState {
    /// `live`, `waiting`, `stalled`, `frozen`, `delayed`, `undecodable`, `offline`, `refused`, `standby`; and
    /// `connecting` where no tile shows it.
    pub state: String,
    /// Why it is not live, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Age of its newest picture in milliseconds; left out where none ever came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<f64>,
    /// The tiles that show it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiles: Vec<String>,
}

impl CameraState {
    /// Of a camera in these tiles; without a report it is not open.
    pub(super) fn shown(report: Option<&CameraReport>) -> CameraState {
        CameraState {
            state: report.map_or_else(|| "offline".to_owned(), |r| r.state.clone()),
            reason: report.and_then(|r| r.reason.clone()),
            refusal: None,
            age_ms: report.and_then(|r| r.age_ms),
            tiles: Vec::new(),
        }
    }

    /// Of a camera that is kept ready.
    pub(super) fn ready(standing: CameraStanding) -> CameraState {
        let CameraStanding { state, reason, age_ms, .. } = standing;
        CameraState { state: state.to_owned(), reason, refusal: None, age_ms, tiles: Vec::new() }
    }

    /// With the policy's word, where it may not be seen.
    pub(super) fn refused_by(&mut self, refusal: impl FnOnce() -> Option<Refusal>) {
        if self.state == "refused" {
            self.refusal = refusal();
        }
    }
}

impl Conductor {
    /// Judges each camera once: those in tiles by what their tiles say, the others by their connections.
    pub(super) fn states(
        &self,
        wish: &Layout,
        shown: &scene::Layout,
        reports: &HashMap<String, CameraReport>,
        ready: Vec<CameraStanding>,
    ) -> BTreeMap<String, CameraState> {
        let kept = ready.into_iter().map(|standing| (standing.id.clone(), CameraState::ready(standing)));
        let mut states: BTreeMap<String, CameraState> = kept.collect();
        let in_tiles = |tile: &Tile| Some((tile.id.clone(), tile.camera.clone()?));
        let cameras: HashMap<String, String> = wish.tiles().filter_map(in_tiles).collect();
        for id in cameras.values() {
            states.insert(id.clone(), CameraState::shown(reports.get(id)));
        }
        for tile in shown.screens.iter().flat_map(|screen| &screen.tiles) {
            let state = cameras.get(tile.id.as_str()).and_then(|id| states.get_mut(id));
            // A span lies on several screens.
            if let Some(state) = state.filter(|state| !state.tiles.contains(&tile.id)) {
                state.tiles.push(tile.id.clone());
            }
        }
        for (id, state) in &mut states {
            state.refused_by(|| self.gate.refusal(id));
        }
        states
    }

    /// What each screen lost in the last ten seconds, as of these reports.
    pub(super) fn recent_losses(&self, screens: &[ScreenReport]) -> BTreeMap<String, Losses> {
        let mut lost = self.lost.lock();
        lost.note(self.db.clock().now(), screens)
    }
}

/// The machine's budget, in CPU seconds a second.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Machine {
    /// Cores.
    pub cores: f64,
    /// Used by this process.
    pub used: f64,
    /// Used by others.
    pub others: f64,
    /// What decoding, fitting, composing and encoding may use.
    pub decoding_available: f64,
    /// What they need.
    pub decoding_demand: f64,
    /// What they would need if nothing degraded.
    pub decoding_deserved: f64,
    /// What all of it comes to.
    pub room: Room,
    /// What makes it so; empty where it has room.
    pub because: Vec<Strain>,
}

/// What the machine has left, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Room {
    /// More can be shown.
    HasRoom,
    /// A little more can be shown.
    NearlyFull,
    /// Something suffers already, or soon will.
    Full,
}

/// What leaves a machine no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strain {
    /// All of its cores together.
    Cores,
    /// What decoding may use of them.
    Decoding,
    /// Cameras get less than their tiles deserve, or screens make fewer pictures than they should.
    Degraded,
    /// An encoder left pictures out in the last ten seconds.
    Dropped,
    /// A screen came too late for pictures in the last ten seconds.
    Missed,
}

/// From this part of what there is on, it is nearly full.
const NEARLY: f64 = 0.85;
/// From this part of all cores on, nothing is left: the rest goes by turns.
const ALL_CORES: f64 = 0.95;

impl Machine {
    /// What the governor measured, and what was lost lately.
    pub(super) fn judge(governor: &GovernorReport, lost: Losses) -> Machine {
        let cores = part(governor.own + governor.others, governor.cores);
        let decoding = part(governor.demand, governor.available);
        let yes = |full: bool| if full { Room::Full } else { Room::HasRoom };
        let found = [
            (Strain::Dropped, yes(lost.dropped > 0)),
            (Strain::Missed, yes(lost.missed > 0)),
            (Strain::Degraded, yes(lessened(governor))),
            (Strain::Decoding, room_of(decoding, 1.0)),
            (Strain::Cores, room_of(cores, ALL_CORES)),
        ];
        let room = found.iter().map(|(_, room)| *room).max().unwrap_or(Room::HasRoom);
        let because = found.iter().filter(|(_, r)| *r == room && room != Room::HasRoom);
        Machine {
            cores: governor.cores,
            used: governor.own,
            others: governor.others,
            decoding_available: governor.available,
            decoding_demand: governor.demand,
            decoding_deserved: governor.deserved,
            room,
            because: because.map(|(strain, _)| *strain).collect(),
        }
    }
}

/// A camera gets less than its tile deserves, or a screen makes fewer pictures than it should. Faster presets,
/// which hardly anybody sees, leave room.
fn lessened(governor: &GovernorReport) -> bool {
    let some = |count: Option<&u64>| count.is_some_and(|count| *count > 0);
    let slower = [ScreenStep::HalfRate, ScreenStep::QuarterRate];
    governor.degraded.values().any(|count| *count > 0)
        || slower.iter().any(|step| some(governor.degraded_screens.get(step.word())))
}

/// Where there is nothing at all, anything is too much.
fn part(of: f64, all: f64) -> f64 {
    if all > 0.0 {
        of / all
    } else if of > 0.0 {
        f64::INFINITY
    } else {
        0.0
    }
}

fn room_of(part: f64, full: f64) -> Room {
    if part > full {
        Room::Full
    } else if part > NEARLY {
        Room::NearlyFull
    } else {
        Room::HasRoom
    }
}

/// Pictures that a screen never got out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Losses {
    /// Left out by the encoder, which had no time for them.
    pub dropped: u64,
    /// Missed by the screen, which came too late for them.
    pub missed: u64,
}

impl Losses {
    pub(super) fn of(report: &ScreenReport) -> Losses {
        Losses { dropped: report.dropped, missed: report.missed }
    }

    pub(super) fn plus(self, other: Losses) -> Losses {
        Losses { dropped: self.dropped + other.dropped, missed: self.missed + other.missed }
    }

    fn since(self, before: Losses) -> Losses {
        Losses {
            dropped: self.dropped.saturating_sub(before.dropped),
            missed: self.missed.saturating_sub(before.missed),
        }
    }
}

/// What each screen had lost at several moments, the newest last: enough to tell what was lost lately.
#[derive(Debug, Default)]
pub(super) struct RecentLosses(VecDeque<(Moment, BTreeMap<String, Losses>)>);

impl RecentLosses {
    /// Notes what is lost at `now`, and what of it in the last ten seconds, by screen.
    pub fn note(&mut self, now: Moment, screens: &[ScreenReport]) -> BTreeMap<String, Losses> {
        self.take(now, screens.iter().map(|s| (s.id.clone(), Losses::of(s))).collect())
    }

    fn take(&mut self, now: Moment, lost: BTreeMap<String, Losses>) -> BTreeMap<String, Losses> {
        // One look from before the span stays, so that the span is never shorter than it says.
        while self.0.get(1).is_some_and(|(at, _)| now.since(*at) >= LATELY) {
            self.0.pop_front();
        }
        let first = self.0.front().map(|(_, before)| before);
        let before = |id: &String| first.and_then(|before| before.get(id)).copied();
        let lately =
            lost.iter().map(|(id, l)| (id.clone(), before(id).map_or(Losses::default(), |b| l.since(b))));
        let lately = lately.collect();
        if self.0.back().is_none_or(|(at, _)| now.since(*at) >= APART) {
            self.0.push_back((now, lost));
        }
        lately
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two cores, one of them free, and decoding at half of what it may use.
    fn easy() -> GovernorReport {
        GovernorReport {
            cores: 2.0,
            own: 0.8,
            others: 0.2,
            available: 1.2,
            demand: 0.6,
            ..Default::default()
        }
    }

    #[test]
    fn a_full_machine_never_has_room_whatever_fills_it() {
        let none = Losses::default();
        let of = |governor: &GovernorReport, lost| {
            let Machine { room, because, .. } = Machine::judge(governor, lost);
            (room, because)
        };
        assert_eq!(of(&easy(), none), (Room::HasRoom, vec![]));
        let busy = GovernorReport { others: 1.19, ..easy() };
        assert_eq!(
            of(&busy, none),
            (Room::Full, vec![Strain::Cores]),
            "decoding has room, the cores have not"
        );
        let soon = GovernorReport { own: 1.6, ..easy() };
        assert_eq!(of(&soon, none), (Room::NearlyFull, vec![Strain::Cores]));
        let much = GovernorReport { demand: 1.3, ..easy() };
        assert_eq!(of(&much, none), (Room::Full, vec![Strain::Decoding]));
        let nothing_left = GovernorReport { available: 0.0, ..easy() };
        assert_eq!(of(&nothing_left, none).0, Room::Full);
        let degraded = GovernorReport { degraded: [("key-frames".to_owned(), 3)].into(), ..easy() };
        assert_eq!(of(&degraded, none), (Room::Full, vec![Strain::Degraded]));
        for (step, room) in
            [("faster-preset", Room::HasRoom), ("half-rate", Room::Full), ("quarter-rate", Room::Full)]
        {
            let slower = GovernorReport { degraded_screens: [(step.to_owned(), 1)].into(), ..easy() };
            assert_eq!(of(&slower, none).0, room, "{step}");
        }
        let dropped = Losses { dropped: 1, missed: 0 };
        assert_eq!(of(&easy(), dropped), (Room::Full, vec![Strain::Dropped]));
        let both = Losses { dropped: 4, missed: 2 };
        assert_eq!(of(&easy(), both), (Room::Full, vec![Strain::Dropped, Strain::Missed]));
    }

    #[test]
    fn what_was_lost_long_ago_is_not_lost_lately() {
        let at = |s: u64| Moment(s * 1_000_000_000);
        let lost = |dropped, missed| BTreeMap::from([("left".to_owned(), Losses { dropped, missed })]);
        let mut lately = RecentLosses::default();
        let mut look = |s, dropped, missed| lately.take(at(s), lost(dropped, missed))["left"];
        assert_eq!(look(0, 390, 50), Losses::default(), "from before the first look nothing is known");
        assert_eq!(look(1, 394, 55), Losses { dropped: 4, missed: 5 });
        assert_eq!(look(9, 394, 55), Losses { dropped: 4, missed: 5 });
        assert_eq!(look(12, 394, 55), Losses::default());
        assert_eq!(look(13, 394, 56), Losses { dropped: 0, missed: 1 });
        assert_eq!(
            look(60, 400, 56),
            Losses { dropped: 6, missed: 0 },
            "after a gap, since the look before it"
        );
    }
}
