//! What operators do to the layout: changes, made or only tried, taken back and made again, and saved layouts that
//! are gone over to. All of it goes through [`Conductor::settle`], which puts it on record before it is shown.

use std::collections::BTreeSet;

use vitrail_engine::effort::Admission;

use super::change::{self, Author, Change};
use super::layout::{Layout, Region};
use super::{Conductor, Intent, fits, settle};
use crate::audit::{Actor, Event};
use crate::base::{Problem, Result};

/// Layouts that can be undone.
const UNDO: usize = 100;

impl Intent {
    /// Fails where somebody changed the layout after the version that a caller saw.
    fn is_at(&self, from: Option<u64>) -> Result<()> {
        let now = self.layout.version;
        match from.filter(|from| *from != now) {
            None => Ok(()),
            Some(from) => {
                let detail = format!("is at version {now}, not at {from}; look and do it again");
                let problem = Problem::conflict("layout", detail).code("changed");
                Err(problem.more(serde_json::json!({ "layout": self.layout })))
            }
        }
    }
}

impl Conductor {
    /// Changes the layout: all of `changes` or none.
    ///
    /// # Errors
    /// Those of [`change::apply`]; NotFound for a camera that the registry does not have; Unavailable
    /// where the log cannot be written: then nothing new is shown.
    pub fn change(&self, by: &Actor, from: u64, changes: &[Change]) -> Result<Layout> {
        let mut intent = self.intent();
        let author = Author { account: &by.account, at: self.db.now(), from };
        let next = change::apply(&intent.layout, changes, &author)?;
        known_cameras(&intent, changes)?;
        self.replace(&mut intent, by, next, json_of(changes))?;
        Ok(intent.layout.clone())
    }

    /// What would come of changes: fits, fits degraded, or does not fit.
    ///
    /// # Errors
    /// As [`Conductor::change`].
    pub fn admit(&self, by: &Actor, changes: &[Change]) -> Result<Admission> {
        let intent = self.intent();
        let author = Author { account: &by.account, at: self.db.now(), from: intent.layout.version };
        let next = change::apply(&intent.layout, changes, &author)?;
        known_cameras(&intent, changes)?;
        self.admit_layout(&next)
    }

    /// The same for a whole layout.
    ///
    /// # Errors
    /// Where it is wrong in itself.
    pub fn admit_layout(&self, layout: &Layout) -> Result<Admission> {
        let scene = layout.to_scene(&self.settings.wall.scene.screens)?;
        Ok(self.engine(|wall| wall.admit(&scene))??)
    }

    /// Puts the wall under an incident, or under none: then it shows nothing. Whoever does it answers for
    /// the cameras that nobody has put there yet.
    ///
    /// # Errors
    /// NotFound where there is no such open incident; Conflict where the layout is at another version than
    /// `from`, where that is given.
    pub fn set_incident(&self, by: &Actor, from: Option<u64>, incident: Option<String>) -> Result<Layout> {
        if let Some(id) = &incident
            && self.policy.rights().incident(id).is_none()
        {
            return Err(Problem::not_found(format!("open incident {id}")));
        }
        let mut intent = self.intent();
        intent.is_at(from)?;
        let mut next = self.successor(&intent, by);
        next.incident.clone_from(&incident);
        settle::answer_for(&mut next, by);
        let details = serde_json::json!({ "before": intent.layout.incident });
        self.replace(&mut intent, by, next, details)?;
        Ok(intent.layout.clone())
    }

    /// Takes back the last change, or with `forward` the last taking back.
    ///
    /// # Errors
    /// Conflict where there is nothing to take back, where the layout is at another version than `from`,
    /// where that is given, and where a locked tile would show something else.
    pub fn undo(&self, by: &Actor, from: Option<u64>, forward: bool) -> Result<Layout> {
        let mut intent = self.intent();
        intent.is_at(from)?;
        let other = if forward { intent.redo.last() } else { intent.undo.last() }.cloned();
        let other = other.ok_or_else(|| {
            let what = if forward { "there is nothing to do again" } else { "there is nothing to take back" };
            Problem::conflict("layout", what).code("nothing")
        })?;
        let mut next = self.successor(&intent, by);
        next.regions = settle::touched(&other.regions, next.version);
        settle::answer_for(&mut next, by);
        change::keeps_locked(&intent.layout, &next)?;
        let (now, version) = (intent.layout.clone(), next.version);
        self.commit(
            &mut intent,
            by,
            next,
            serde_json::json!({ "taken_back": now.version, "forward": forward }),
        )?;
        debug_assert_eq!(intent.layout.version, version);
        if forward {
            intent.redo.pop();
            intent.undo.push(now);
        } else {
            intent.undo.pop();
            intent.redo.push(now);
        }
        Ok(intent.layout.clone())
    }

    /// Goes over to saved regions as a whole.
    ///
    /// # Errors
    /// Where they are for other screens, or the log cannot be written; Conflict where the layout is at
    /// another version than `from`, where that is given, and where a locked tile would show something else.
    pub fn apply_regions(
        &self,
        by: &Actor,
        from: Option<u64>,
        regions: &[Region],
        why: serde_json::Value,
    ) -> Result<Layout> {
        let mut intent = self.intent();
        intent.is_at(from)?;
        let mut next = self.successor(&intent, by);
        next.regions = settle::touched(regions, next.version);
        for tile in next.regions.iter_mut().flat_map(|r| &mut r.tiles).filter(|t| t.camera.is_some()) {
            tile.by = Some(by.account.clone());
        }
        if !fits(&next, &self.settings.wall) {
            return Err(Problem::invalid("layout", "is for other screens than this wall has"));
        }
        change::keeps_locked(&intent.layout, &next)?;
        let locked: BTreeSet<&str> =
            intent.layout.tiles().filter(|t| t.locked).map(|t| t.id.as_str()).collect();
        for tile in next.regions.iter_mut().flat_map(|r| &mut r.tiles) {
            tile.locked |= locked.contains(tile.id.as_str());
        }
        self.replace(&mut intent, by, next, why)?;
        Ok(intent.layout.clone())
    }

    fn successor(&self, intent: &Intent, by: &Actor) -> Layout {
        Layout {
            version: intent.layout.version + 1,
            by: by.account.clone(),
            at: self.db.now(),
            ..intent.layout.clone()
        }
    }

    /// Commits a layout that can be undone.
    fn replace(
        &self,
        intent: &mut Intent,
        by: &Actor,
        next: Layout,
        details: serde_json::Value,
    ) -> Result<()> {
        let before = intent.layout.clone();
        self.commit(intent, by, next, details)?;
        intent.undo.push(before);
        if intent.undo.len() > UNDO {
            intent.undo.remove(0);
        }
        intent.redo.clear();
        Ok(())
    }

    fn commit(
        &self,
        intent: &mut Intent,
        by: &Actor,
        next: Layout,
        details: serde_json::Value,
    ) -> Result<()> {
        let event = Event {
            subject: Some(self.settings.wall.id.to_string()),
            incident: next.incident.clone(),
            details: serde_json::json!({ "version": next.version, "changes": details }),
            ..Event::new("layout.changed")
        };
        self.settle(intent, by, Some(next), vec![event])?;
        self.bus.tell("layout", &intent.layout);
        Ok(())
    }
}

fn json_of(changes: &[Change]) -> serde_json::Value {
    serde_json::to_value(changes).unwrap_or_default()
}

fn known_cameras(intent: &Intent, changes: &[Change]) -> Result<()> {
    for change in changes {
        if let Change::Show { camera, .. } = change
            && !intent.cameras.contains_key(camera)
        {
            return Err(Problem::not_found(format!("camera {camera}")));
        }
    }
    Ok(())
}
