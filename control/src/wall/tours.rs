//! Tours: cameras that take turns in some tiles, each for a while; an alarm pauses them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::saved::new_id;
use super::{Change, Conductor};
use crate::audit::{Actor, Event};
use crate::base::{Problem, Result, Utc};
use crate::db::Database;

/// A tour as it is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTour {
    /// Its name.
    pub name: String,
    /// The tiles that it fills.
    pub tiles: Vec<String>,
    /// The cameras, in turn.
    pub cameras: Vec<String>,
    /// Seconds that each turn stays, 2 to 3600.
    pub dwell_s: u32,
}

/// A tour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tour {
    /// Sixteen hexadecimal digits.
    pub id: String,
    /// Account that made it.
    pub owner: String,
    /// What it does.
    #[serde(flatten)]
    pub tour: NewTour,
}

/// How a tour stands.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TourState {
    /// The tour.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `running`, `paused` or `stopped`.
    pub state: String,
    /// Why it is paused: `alarm`, or `operator`.
    pub paused_by: Option<String>,
    /// Which turn is shown, from 0.
    pub turn: usize,
    /// When the next one comes.
    pub next_at: Option<Utc>,
    /// Why the last turn could not be shown.
    pub trouble: Option<String>,
}

#[derive(Clone)]
struct Run {
    by: Actor,
    turn: usize,
    next_at: Utc,
    paused: Option<&'static str>,
    trouble: Option<String>,
}

/// What is asked of a running tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the first turn.
    Start,
    /// No more.
    Stop,
    /// Stays at its turn.
    Pause,
    /// Goes on.
    Resume,
}

/// All tours of a wall.
pub struct Tours {
    db: Arc<Database>,
    runs: Mutex<HashMap<String, Run>>,
}

fn unreadable(error: serde_json::Error) -> Problem {
    Problem::internal("tour", format!("in the database cannot be read: {error}"))
}

impl NewTour {
    fn check(&self) -> Result<()> {
        if self.name.trim().is_empty() || self.name.chars().count() > 100 {
            return Err(Problem::invalid("name", "must have 1 to 100 characters"));
        }
        if self.tiles.is_empty()
            || self.cameras.is_empty()
            || self.cameras.len() > 1000
            || self.tiles.len() > 256
        {
            return Err(Problem::invalid(
                "tour",
                "needs at least one tile and one camera (256 and 1000 at most)",
            ));
        }
        if !(2..=3600).contains(&self.dwell_s) {
            return Err(Problem::invalid("dwell_s", "must be 2 to 3600 seconds"));
        }
        Ok(())
    }

    /// How many turns there are: each fills all tiles.
    fn turns(&self) -> usize {
        self.cameras.len().div_ceil(self.tiles.len())
    }

    fn changes(&self, turn: usize) -> Vec<Change> {
        let first = turn * self.tiles.len();
        let cameras = self.cameras.iter().cycle().skip(first);
        self.tiles
            .iter()
            .zip(cameras)
            .map(|(tile, camera)| Change::Show { tile: tile.clone(), camera: camera.clone() })
            .collect()
    }
}

impl Tours {
    pub(super) fn new(db: Arc<Database>) -> Tours {
        Tours { db, runs: Mutex::default() }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Run>> {
        self.runs.lock()
    }

    /// All tours.
    pub fn list(&self) -> Result<Vec<Tour>> {
        self.db.read(|connection| {
            let mut statement = connection.prepare("SELECT body FROM tour ORDER BY id")?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.map(|row| serde_json::from_str(&row?).map_err(unreadable)).collect()
        })
    }

    /// One tour.
    pub fn find(&self, id: &str) -> Result<Tour> {
        self.db.read(|connection| {
            let body: Option<String> = connection
                .query_row("SELECT body FROM tour WHERE id = ?1", [id], |row| row.get(0))
                .optional()?;
            let body = body.ok_or_else(|| Problem::not_found(format!("tour {id}")))?;
            serde_json::from_str(&body).map_err(unreadable)
        })
    }

    /// Makes a tour, or with `id` makes it anew.
    pub fn save(&self, by: &Actor, id: Option<&str>, tour: NewTour) -> Result<Tour> {
        tour.check()?;
        let before = id.map(|id| self.find(id)).transpose()?;
        let tour = Tour {
            id: before.as_ref().map_or_else(new_id, |t| t.id.clone()),
            owner: before.map_or_else(|| by.account.clone(), |t| t.owner),
            tour,
        };
        let body = serde_json::to_string(&tour).map_err(unreadable)?;
        self.db.change(by, |transaction, events| {
            transaction.execute(
                "INSERT OR REPLACE INTO tour (id, owner, body) VALUES (?1, ?2, ?3)",
                params![tour.id, tour.owner, body],
            )?;
            events.push(Event {
                subject: Some(tour.id.clone()),
                details: serde_json::json!({ "name": tour.tour.name }),
                ..Event::new("tour.saved")
            });
            Ok(())
        })?;
        Ok(tour)
    }

    /// Removes a tour; it stops.
    pub fn remove(&self, by: &Actor, id: &str) -> Result<()> {
        self.db.change(by, |transaction, events| {
            if transaction.execute("DELETE FROM tour WHERE id = ?1", [id])? == 0 {
                return Err(Problem::not_found(format!("tour {id}")));
            }
            events.push(Event { subject: Some(id.to_owned()), ..Event::new("tour.removed") });
            Ok(())
        })?;
        self.runs().remove(id);
        Ok(())
    }

    /// How each of them stands.
    pub fn states(&self) -> Result<Vec<TourState>> {
        let tours = self.list()?;
        let runs = self.runs();
        let state = |tour: Tour| {
            let run = runs.get(&tour.id);
            let state = match run {
                None => "stopped",
                Some(Run { paused: Some(_), .. }) => "paused",
                Some(_) => "running",
            };
            TourState {
                state: state.to_owned(),
                paused_by: run.and_then(|r| r.paused).map(str::to_owned),
                turn: run.map_or(0, |r| r.turn),
                next_at: run.filter(|r| r.paused.is_none()).map(|r| r.next_at),
                trouble: run.and_then(|r| r.trouble.clone()),
                name: tour.tour.name,
                id: tour.id,
            }
        };
        Ok(tours.into_iter().map(state).collect())
    }

    /// An alarm: every tour that runs stays at its turn.
    pub(super) fn pause_all(&self) {
        for run in self.runs().values_mut() {
            run.paused = run.paused.or(Some("alarm"));
        }
    }

    /// No alarm is open any more: what an alarm paused goes on.
    pub(super) fn resume_all(&self) {
        for run in self.runs().values_mut() {
            if run.paused == Some("alarm") {
                run.paused = None;
            }
        }
    }
}

impl Conductor {
    /// Starts, stops, pauses or resumes a tour.
    ///
    /// # Errors
    /// NotFound for a tour that is not there; Conflict for one that does not run.
    pub fn order_tour(&self, by: &Actor, id: &str, order: Order) -> Result<()> {
        let tour = self.tours.find(id)?;
        let word = match order {
            Order::Start => "tour.started",
            Order::Stop => "tour.stopped",
            Order::Pause => "tour.paused",
            Order::Resume => "tour.resumed",
        };
        if order != Order::Start && !self.tours.runs().contains_key(id) {
            return Err(Problem::conflict(format!("tour {id}"), "does not run"));
        }
        self.db.record(by, Event { subject: Some(tour.id.clone()), ..Event::new(word) })?;
        let mut runs = self.tours.runs();
        match order {
            Order::Start => {
                let paused = None;
                // Its first turn comes with the next beat.
                let run = Run {
                    by: by.clone(),
                    turn: tour.tour.turns() - 1,
                    next_at: self.db.now(),
                    paused,
                    trouble: None,
                };
                runs.insert(id.to_owned(), run);
            }
            Order::Stop => drop(runs.remove(id)),
            Order::Pause => {
                if let Some(run) = runs.get_mut(id) {
                    run.paused = Some("operator");
                }
            }
            Order::Resume => {
                if let Some(run) = runs.get_mut(id) {
                    run.paused = None;
                }
            }
        }
        drop(runs);
        self.bus.tell("tour", &self.tours.states()?);
        Ok(())
    }

    /// Shows the next turn of every tour whose time has come.
    pub(super) fn step_tours(&self) {
        let now = self.db.now();
        let due: Vec<(String, Run)> = {
            let runs = self.tours.runs();
            runs.iter()
                .filter(|(_, r)| r.paused.is_none() && r.next_at <= now)
                .map(|(id, r)| (id.clone(), r.clone()))
                .collect()
        };
        for (id, run) in due {
            let Ok(tour) = self.tours.find(&id) else { continue };
            let turn = (run.turn + 1) % tour.tour.turns();
            let changes = tour.tour.changes(turn);
            // A locked tile, or one that is gone, holds up only its own part.
            let mut trouble = None;
            let version = self.layout().version;
            if let Err(problem) = self.change(&run.by, version, &changes) {
                trouble = Some(problem.to_string());
                for change in changes {
                    let version = self.layout().version;
                    let _ = self.change(&run.by, version, &[change]);
                }
            }
            let mut runs = self.tours.runs();
            if let Some(run) = runs.get_mut(&id) {
                run.turn = turn;
                run.trouble = trouble;
                run.next_at = now.plus(Duration::from_secs(tour.tour.dwell_s.into()));
            }
        }
    }
}
