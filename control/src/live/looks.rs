//! Who looks over the network, on record: a look begins on record before its first picture leaves, and ends
//! there when its last viewer is gone, or when nothing was asked for a while.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Actor, Event};
use crate::base::{Result, Utc};
use crate::db::Database;

/// Pictures that are asked for one by one are one look as long as no more time than this lies between them.
/// The page asks for a thumbnail that it shows every 15 s.
const ONE_LOOK: Duration = Duration::from_secs(30);

/// At what somebody looks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// A whole screen, as the room sees it.
    Screen(String),
    /// A camera by itself: its thumbnail.
    Camera(String),
}

/// On what a look stands: on another ground it is another look, with a record of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ground {
    /// The camera's zone.
    pub zone: Option<String>,
    /// The incident of the wall.
    pub incident: Option<String>,
    /// The agreement.
    pub agreement: Option<String>,
    /// In words.
    pub basis: Option<String>,
}

struct Look {
    actor: Actor,
    ground: Ground,
    /// Streams that go on.
    streams: usize,
    last: Utc,
    /// Its end is being put on record.
    ending: bool,
}

type Key = (String, Sight);

/// The looks that are on record as going on.
pub struct Looks {
    db: Arc<Database>,
    open: Mutex<HashMap<Key, Look>>,
    /// Held while beginnings and ends are put on record, so that they stand there in their order.
    writing: Mutex<()>,
}

impl Looks {
    /// Nobody looks yet.
    pub fn new(db: Arc<Database>) -> Arc<Looks> {
        Arc::new(Looks { db, open: Mutex::default(), writing: Mutex::default() })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Look>> {
        self.open.lock()
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock()
    }

    /// Somebody looks now. Waits for the disk where this look is a new one.
    ///
    /// # Errors
    /// Where it cannot be put on record: then no picture may leave.
    pub fn glance(&self, actor: &Actor, sight: Sight, ground: Ground) -> Result<()> {
        self.look(actor, sight, ground, 0)
    }

    /// The same for a stream, which goes on until the answer is dropped.
    ///
    /// # Errors
    /// As [`Looks::glance`].
    pub fn gaze(self: &Arc<Self>, actor: &Actor, sight: Sight, ground: Ground) -> Result<Arc<Gaze>> {
        let key = (actor.account.clone(), sight.clone());
        self.look(actor, sight, ground, 1)?;
        Ok(Arc::new(Gaze { looks: self.clone(), key }))
    }

    fn look(&self, actor: &Actor, sight: Sight, ground: Ground, streams: usize) -> Result<()> {
        let key = (actor.account.clone(), sight);
        if self.goes_on(&key, &ground, streams) {
            return Ok(());
        }
        let _in_order = self.writing();
        // Another first glance may have been quicker.
        if self.goes_on(&key, &ground, streams) {
            return Ok(());
        }
        let before = self.open().get(&key).map(|look| look.ground.clone());
        self.db.change(actor, |_, events| {
            events.extend(before.iter().map(|ground| event("preview.ended", &key.1, ground)));
            events.push(event("preview.started", &key.1, &ground));
            Ok(())
        })?;
        let last = self.db.now();
        let mut open = self.open();
        let going = open.get(&key).map_or(0, |look| look.streams);
        open.insert(
            key,
            Look { actor: actor.clone(), ground, streams: going + streams, last, ending: false },
        );
        Ok(())
    }

    /// True where this look is on record on this ground.
    fn goes_on(&self, key: &Key, ground: &Ground, streams: usize) -> bool {
        let now = self.db.now();
        let mut open = self.open();
        let Some(look) = open.get_mut(key).filter(|look| !look.ending && look.ground == *ground) else {
            return false;
        };
        (look.last, look.streams) = (now, look.streams + streams);
        true
    }

    /// Puts on record which looks have ended, and which streams go on under another incident. To be called
    /// every second or so.
    ///
    /// # Errors
    /// Where it cannot be put on record: the next call does it.
    pub fn tend(&self, incident: Option<&str>) -> Result<()> {
        let now = self.db.now();
        self.end(|look| look.streams == 0 && look.last.plus(ONE_LOOK) <= now)?;
        let moved = |(key, look): (&Key, &Look)| {
            let other = look.streams > 0 && look.ground.incident.as_deref() != incident;
            let ground = Ground { incident: incident.map(str::to_owned), ..Ground::default() };
            (other && matches!(key.1, Sight::Screen(_))).then(|| (look.actor.clone(), key.1.clone(), ground))
        };
        let moved: Vec<(Actor, Sight, Ground)> = self.open().iter().filter_map(moved).collect();
        moved.into_iter().try_for_each(|(actor, sight, ground)| self.look(&actor, sight, ground, 0))
    }

    /// Every look has ended: the server has stopped.
    pub fn end_all(&self) {
        if let Err(problem) = self.end(|_| true) {
            tracing::error!("the end of looks is not on record: {problem}");
        }
    }

    fn end(&self, over: impl Fn(&Look) -> bool) -> Result<()> {
        let _in_order = self.writing();
        let mut ended: HashMap<String, (Actor, Vec<(Key, Ground)>)> = HashMap::new();
        for (key, look) in self.open().iter_mut().filter(|(_, look)| over(look)) {
            // Whoever looks again meanwhile waits for this end, and begins anew.
            look.ending = true;
            let of = ended.entry(key.0.clone()).or_insert_with(|| (look.actor.clone(), Vec::new()));
            of.1.push((key.clone(), look.ground.clone()));
        }
        let mut first = Ok(());
        for (actor, looks) in ended.into_values() {
            let recorded = self.db.change(&actor, |_, events| {
                events.extend(looks.iter().map(|(key, ground)| event("preview.ended", &key.1, ground)));
                Ok(())
            });
            let mut open = self.open();
            for (key, _) in &looks {
                match (&recorded, open.get_mut(key)) {
                    (Ok(()), _) => drop(open.remove(key)),
                    (Err(_), Some(look)) => look.ending = false,
                    (Err(_), None) => {}
                }
            }
            drop(open);
            first = first.and(recorded);
        }
        first
    }

    /// How many look now: streams, and those who asked for a picture just now.
    pub fn count(&self) -> usize {
        self.open().len()
    }
}

/// A stream that somebody looks at.
pub struct Gaze {
    looks: Arc<Looks>,
    key: Key,
}

impl Drop for Gaze {
    fn drop(&mut self) {
        // Its end goes on record later: a stream may end where nobody may wait for the disk.
        let now = self.looks.db.now();
        if let Some(look) = self.looks.open().get_mut(&self.key) {
            look.streams = look.streams.saturating_sub(1);
            look.last = now;
        }
    }
}

impl std::fmt::Debug for Gaze {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gaze").field(&self.key).finish()
    }
}

fn event(kind: &str, sight: &Sight, ground: &Ground) -> Event {
    let Ground { zone, incident, agreement, basis } = ground.clone();
    let (screen, camera) = match sight {
        Sight::Screen(id) => (Some(id.clone()), None),
        Sight::Camera(id) => (None, Some(id.clone())),
    };
    Event { zone, incident, agreement, basis, screen, camera, ..Event::new(kind) }
}

#[cfg(test)]
mod tests {
    use vitrail_engine::base::SimClock;

    use super::*;
    use crate::audit::query::{Order, Query, list};
    use crate::audit::{Ledger, Record};

    fn actor(account: &str) -> Actor {
        Actor { account: account.into(), name: account.into(), ..Actor::system() }
    }

    /// Kind and subject of what is on record of looks, in order.
    fn records(db: &Database) -> Vec<String> {
        let looks = Query { kind: Some("preview.*".into()), ..Query::default() };
        let (records, _) = db.read(|c| list(c, &looks, Order::OldestFirst, None, 1000)).expect("read");
        let text = |Record { event, .. }: Record| {
            format!("{} {}", event.kind, event.screen.or(event.camera).unwrap_or_default())
        };
        records.into_iter().map(text).collect()
    }

    #[test]
    fn a_look_is_on_record_once_and_ends_when_nobody_looks_any_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = SimClock::new();
        let db =
            Database::open(&folder.path().join("v.db"), Ledger::default(), clock.clone()).expect("opens");
        let looks = Looks::new(db.clone());
        let camera = || Sight::Camera("cam-1".into());
        for _ in 0..3 {
            looks.glance(&actor("anna"), camera(), Ground::default()).expect("on record");
            clock.advance(ONE_LOOK / 2);
            looks.tend(None).expect("on record");
        }
        assert_eq!(records(&db), ["preview.started cam-1"]);
        let screen = || Sight::Screen("left".into());
        let gaze = looks.gaze(&actor("anna"), screen(), Ground::default()).expect("on record");
        clock.advance(ONE_LOOK * 3);
        looks.tend(None).expect("on record");
        assert_eq!(
            records(&db),
            ["preview.started cam-1", "preview.started left", "preview.ended cam-1"],
            "a stream goes on"
        );
        drop(gaze);
        looks.tend(None).expect("on record");
        assert_eq!(looks.count(), 1, "it may be taken up again");
        clock.advance(ONE_LOOK);
        looks.tend(None).expect("on record");
        assert_eq!((looks.count(), records(&db).len()), (0, 4));
        looks.glance(&actor("bert"), camera(), Ground::default()).expect("on record");
        looks.end_all();
        assert_eq!(records(&db)[4..], ["preview.started cam-1", "preview.ended cam-1"]);
    }

    #[test]
    fn on_another_ground_it_is_another_look() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = SimClock::new();
        let db = Database::open(&folder.path().join("v.db"), Ledger::default(), clock).expect("opens");
        let looks = Looks::new(db.clone());
        let under = |incident: &str| Ground { incident: Some(incident.into()), ..Ground::default() };
        let left = || Sight::Screen("left".into());
        let gaze = looks.gaze(&actor("anna"), left(), under("I-1")).expect("on record");
        looks.tend(Some("I-1")).expect("on record");
        assert_eq!(records(&db).len(), 1);
        looks.tend(Some("I-2")).expect("on record");
        assert_eq!(records(&db)[1..], ["preview.ended left", "preview.started left"]);
        looks.glance(&actor("anna"), left(), under("I-2")).expect("on record");
        assert_eq!(records(&db).len(), 3, "one look with the stream");
        looks.glance(&actor("anna"), left(), under("I-3")).expect("on record");
        assert_eq!(records(&db).len(), 5);
        drop(gaze);
        looks.end_all();
        assert_eq!((looks.count(), records(&db).len()), (0, 6));
    }
}
