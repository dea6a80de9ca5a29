//! Alarms: something happened at a camera. Rules call cameras up; a person acknowledges.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::saved::new_id;
use super::{Change, Conductor};
use crate::audit::{Actor, Event};
use crate::base::{Problem, Result, Utc};
use crate::db::Database;

/// An alarm as it is raised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAlarm {
    /// The camera where it happened.
    pub camera: String,
    /// A word that rules go by, such as `intrusion`.
    pub kind: String,
    /// What happened, in words.
    #[serde(default)]
    pub text: String,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// Its number.
    pub id: i64,
    /// The camera.
    pub camera: String,
    /// What kind.
    pub kind: String,
    /// What happened.
    pub text: String,
    /// When it was raised.
    pub at: Utc,
    /// Who or what raised it.
    pub by: String,
    /// Who acknowledged it.
    pub acknowledged_by: Option<String>,
    /// When it was acknowledged.
    pub acknowledged_at: Option<Utc>,
    /// What its rules did, or why they could not.
    pub called: Vec<String>,
}

/// A rule: which alarms call which cameras to which tiles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// The kind of alarm; `*` for every one.
    pub kind: String,
    /// Only of this camera.
    #[serde(default)]
    pub camera: Option<String>,
    /// Only of cameras of this zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// The cameras that it calls; empty: the alarm's own.
    #[serde(default)]
    pub show: Vec<String>,
    /// The tiles in which they appear.
    pub tiles: Vec<String>,
    /// The first tile fills its region.
    #[serde(default)]
    pub spotlight: bool,
}

/// A rule with its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// Sixteen hexadecimal digits.
    pub id: String,
    /// What it says.
    #[serde(flatten)]
    pub rule: NewRule,
}

/// All alarms of a wall, and its rules.
pub struct Alarms {
    db: Arc<Database>,
}

fn unreadable(error: serde_json::Error) -> Problem {
    Problem::internal("alarm", format!("in the database cannot be read: {error}"))
}

impl NewRule {
    fn applies(&self, alarm: &NewAlarm, zone: Option<&str>) -> bool {
        (self.kind == "*" || self.kind == alarm.kind)
            && self.camera.as_ref().is_none_or(|c| *c == alarm.camera)
            && self.zone.as_deref().is_none_or(|z| Some(z) == zone)
    }

    fn changes(&self, alarm: &NewAlarm) -> Vec<Change> {
        let own = [alarm.camera.clone()];
        let cameras: &[String] = if self.show.is_empty() { &own } else { &self.show };
        let pairs = self.tiles.iter().zip(cameras);
        let mut changes: Vec<Change> =
            pairs.map(|(tile, camera)| Change::Show { tile: tile.clone(), camera: camera.clone() }).collect();
        if let Some(tile) = self.tiles.first().filter(|_| self.spotlight) {
            changes.push(Change::Spotlight { tile: tile.clone(), on: true });
        }
        changes
    }
}

impl Alarms {
    pub(super) fn new(db: Arc<Database>) -> Alarms {
        Alarms { db }
    }

    fn some(&self, sql: &str, parameter: i64) -> Result<Vec<Alarm>> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([parameter], |row| row.get::<_, String>(0))?;
            rows.map(|row| serde_json::from_str(&row?).map_err(unreadable)).collect()
        })
    }

    /// Those that nobody has acknowledged, the oldest first.
    pub fn open(&self) -> Result<Vec<Alarm>> {
        self.some("SELECT body FROM alarm WHERE open = 1 ORDER BY id LIMIT ?1", 1000)
    }

    /// The latest, the newest first.
    pub fn latest(&self, limit: usize) -> Result<Vec<Alarm>> {
        self.some("SELECT body FROM alarm ORDER BY id DESC LIMIT ?1", i64::try_from(limit).unwrap_or(1000))
    }

    /// All rules.
    pub fn rules(&self) -> Result<Vec<Rule>> {
        self.db.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT body FROM alarm_rule ORDER BY id")?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.map(|row| serde_json::from_str(&row?).map_err(unreadable)).collect()
        })
    }

    /// Makes a rule, or with `id` makes it anew.
    pub fn save_rule(&self, by: &Actor, id: Option<&str>, rule: NewRule) -> Result<Rule> {
        if rule.kind.trim().is_empty() || rule.tiles.is_empty() {
            return Err(Problem::invalid("rule", "needs a kind (or *) and at least one tile"));
        }
        if let Some(id) = id
            && !self.rules()?.iter().any(|r| r.id == id)
        {
            return Err(Problem::not_found(format!("rule {id}")));
        }
        let rule = Rule { id: id.map_or_else(new_id, str::to_owned), rule };
        let body = serde_json::to_string(&rule).map_err(unreadable)?;
        self.db.change(by, |transaction, events| {
            transaction.execute(
                "INSERT OR REPLACE INTO alarm_rule (id, body) VALUES (?1, ?2)",
                params![rule.id, body],
            )?;
            events.push(Event {
                subject: Some(rule.id.clone()),
                details: json!({ "rule": rule.rule }),
                ..Event::new("alarm-rule.saved")
            });
            Ok(())
        })?;
        Ok(rule)
    }

    /// Removes a rule.
    pub fn remove_rule(&self, by: &Actor, id: &str) -> Result<()> {
        self.db.change(by, |transaction, events| {
            if transaction.execute("DELETE FROM alarm_rule WHERE id = ?1", [id])? == 0 {
                return Err(Problem::not_found(format!("rule {id}")));
            }
            events.push(Event { subject: Some(id.to_owned()), ..Event::new("alarm-rule.removed") });
            Ok(())
        })
    }
}

impl Conductor {
    /// Raises an alarm: its rules call cameras up, tours pause, its tiles flash.
    ///
    /// # Errors
    /// NotFound for a camera that the registry does not have. What a rule could not do is in the answer.
    pub fn raise(&self, by: &Actor, new: NewAlarm) -> Result<Alarm> {
        let spec =
            self.camera(&new.camera).ok_or_else(|| Problem::not_found(format!("camera {}", new.camera)))?;
        if new.kind.trim().is_empty() || new.kind.len() > 100 || new.text.len() > 2000 {
            return Err(Problem::invalid(
                "alarm",
                "needs a kind of up to 100 bytes and a text of up to 2000",
            ));
        }
        let rules: Vec<Rule> =
            self.alarms.rules()?.into_iter().filter(|r| r.rule.applies(&new, spec.zone.as_deref())).collect();
        let mut alarm = Alarm {
            id: 0,
            camera: new.camera.clone(),
            kind: new.kind.clone(),
            text: new.text.clone(),
            at: self.db.now(),
            by: by.account.clone(),
            acknowledged_by: None,
            acknowledged_at: None,
            called: Vec::new(),
        };
        alarm.id = self.db.change(by, |transaction, events| {
            transaction
                .execute("INSERT INTO alarm (at, open, body) VALUES (?1, 1, '')", params![alarm.at])?;
            let id = transaction.last_insert_rowid();
            alarm.id = id;
            let body = serde_json::to_string(&alarm).map_err(unreadable)?;
            transaction.execute("UPDATE alarm SET body = ?2 WHERE id = ?1", params![id, body])?;
            events.push(Event {
                camera: Some(new.camera.clone()),
                zone: spec.zone.clone(),
                subject: Some(id.to_string()),
                details: json!({ "kind": new.kind, "text": new.text }),
                ..Event::new("alarm.raised")
            });
            Ok(id)
        })?;
        self.tours.pause_all();
        for rule in rules {
            let changes = rule.rule.changes(&new);
            let version = self.layout().version;
            let said = match self.change(by, version, &changes) {
                Ok(_) => format!("rule {}: shown in {}", rule.id, rule.rule.tiles.join(", ")),
                Err(problem) => format!("rule {}: {problem}", rule.id),
            };
            alarm.called.push(said);
        }
        self.keep_alarm(by, &alarm, None)?;
        self.flash()?;
        self.bus.tell("alarm", &alarm);
        Ok(alarm)
    }

    /// A person has seen it.
    ///
    /// # Errors
    /// NotFound, or Conflict where somebody else was quicker.
    pub fn acknowledge(&self, by: &Actor, id: i64) -> Result<Alarm> {
        let body: Option<String> = self.db.read(|connection| {
            Ok(connection
                .query_row("SELECT body FROM alarm WHERE id = ?1", [id], |row| row.get(0))
                .optional()?)
        })?;
        let body = body.ok_or_else(|| Problem::not_found(format!("alarm {id}")))?;
        let mut alarm: Alarm = serde_json::from_str(&body).map_err(unreadable)?;
        if let Some(who) = &alarm.acknowledged_by {
            return Err(Problem::conflict(
                format!("alarm {id}"),
                format!("was acknowledged by {who} before"),
            ));
        }
        (alarm.acknowledged_by, alarm.acknowledged_at) = (Some(by.account.clone()), Some(self.db.now()));
        self.keep_alarm(by, &alarm, Some("alarm.acknowledged"))?;
        if self.alarms.open()?.is_empty() {
            self.tours.resume_all();
        }
        self.flash()?;
        self.bus.tell("alarm", &alarm);
        Ok(alarm)
    }

    fn keep_alarm(&self, by: &Actor, alarm: &Alarm, event: Option<&str>) -> Result<()> {
        let body = serde_json::to_string(alarm).map_err(unreadable)?;
        let open = i64::from(alarm.acknowledged_by.is_none());
        self.db.change(by, |transaction, events| {
            let sql = "UPDATE alarm SET open = ?2, body = ?3 WHERE id = ?1 AND open = 1";
            if transaction.execute(sql, params![alarm.id, open, body])? == 0 {
                return Err(Problem::conflict(
                    format!("alarm {}", alarm.id),
                    "was acknowledged by somebody else before",
                ));
            }
            if let Some(kind) = event {
                events.push(Event {
                    camera: Some(alarm.camera.clone()),
                    subject: Some(alarm.id.to_string()),
                    ..Event::new(kind)
                });
            }
            Ok(())
        })
    }

    /// Flashes the tiles of cameras with an open alarm.
    fn flash(&self) -> Result<()> {
        let cameras: Vec<_> = self.alarms.open()?.iter().map(|a| a.camera.as_str().into()).collect();
        self.engine(|wall| wall.set_alarms(&cameras))
    }
}
