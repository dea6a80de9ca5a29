//! Who looks over the network, on record: a look begins on record before its first picture leaves, and ends
//! there when its last viewer is gone, or when nothing was asked for a while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::audit::{Actor, Event};
use crate::base::{Result, Utc};
use crate::db::Database;

/// Pictures that are asked for one by one are one look as long as no more time than this lies between them.
/// The page asks for a thumbnail that it shows every 15 s.
const ONE_LOOK: Duration = Duration::from_secs(30);

/// At what somebody looks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LookTarget {
    /// A whole screen, as the room sees it.
    Screen(String),
    /// A camera by itself: its thumbnail.
    Camera(String),
}

/// On what a look stands: on another basis it is another look, with a record of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LookBasis {
    /// The camera's zone.
    pub zone: Option<String>,
    /// The incident of the wall.
    pub incident: Option<String>,
    /// The agreement.
    pub agreement: Option<String>,
    /// Both in words, with the legal basis.
    pub basis: Option<String>,
}

struct Look {
    actor: Actor,
    basis: LookBasis,
    /// Streams that go on.
    streams: usize,
    last: Utc,
    /// Its end is being put on record.
    ending: bool,
}

/// Whose look it is, and at what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    account: String,
    target: LookTarget,
}

/// Looks of one person that end.
struct Ended {
    actor: Actor,
    looks: Vec<(Key, LookBasis)>,
}

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
    pub fn look_once(&self, actor: &Actor, target: LookTarget, basis: LookBasis) -> Result<()> {
        self.begin(actor, target, basis, 0)
    }

    /// The same for a stream, which goes on until the answer is dropped.
    ///
    /// # Errors
    /// As [`Looks::look_once`].
    pub fn open_look(
        self: &Arc<Self>,
        actor: &Actor,
        target: LookTarget,
        basis: LookBasis,
    ) -> Result<Arc<OpenLook>> {
        let key = Key { account: actor.account.clone(), target: target.clone() };
        self.begin(actor, target, basis, 1)?;
        Ok(Arc::new(OpenLook { looks: self.clone(), key }))
    }

    /// Has a look go on, or begins it on record; `streams` of it go on until they are dropped.
    fn begin(&self, actor: &Actor, target: LookTarget, basis: LookBasis, streams: usize) -> Result<()> {
        let key = Key { account: actor.account.clone(), target };
        if self.goes_on(&key, &basis, streams) {
            return Ok(());
        }
        let _in_order = self.writing();
        // Another first look may have been quicker.
        if self.goes_on(&key, &basis, streams) {
            return Ok(());
        }
        let before = self.open().get(&key).map(|look| look.basis.clone());
        self.db.change(actor, |_, events| {
            events.extend(before.iter().map(|basis| event("preview.ended", &key.target, basis)));
            events.push(event("preview.started", &key.target, &basis));
            Ok(())
        })?;
        let last = self.db.now();
        let mut open = self.open();
        let going = open.get(&key).map_or(0, |look| look.streams);
        open.insert(key, Look { actor: actor.clone(), basis, streams: going + streams, last, ending: false });
        Ok(())
    }

    /// True where this look is on record on this basis.
    fn goes_on(&self, key: &Key, basis: &LookBasis, streams: usize) -> bool {
        let now = self.db.now();
        let mut open = self.open();
        let Some(look) = open.get_mut(key).filter(|look| !look.ending && look.basis == *basis) else {
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
            let other = look.streams > 0 && look.basis.incident.as_deref() != incident;
            let basis = LookBasis { incident: incident.map(str::to_owned), ..LookBasis::default() };
            (other && matches!(key.target, LookTarget::Screen(_)))
                .then(|| (look.actor.clone(), key.target.clone(), basis))
        };
        let moved: Vec<(Actor, LookTarget, LookBasis)> = self.open().iter().filter_map(moved).collect();
        moved.into_iter().try_for_each(|(actor, target, basis)| self.begin(&actor, target, basis, 0))
    }

    /// Every look has ended: the server has stopped.
    pub fn end_all(&self) {
        if let Err(problem) = self.end(|_| true) {
            tracing::error!("the end of looks is not on record: {problem}");
        }
    }

    /// Puts the end of these looks on record, of each person in one transaction.
    fn end(&self, over: impl Fn(&Look) -> bool) -> Result<()> {
        let _in_order = self.writing();
        let mut ended: HashMap<String, Ended> = HashMap::new();
        for (key, look) in self.open().iter_mut().filter(|(_, look)| over(look)) {
            // Whoever looks again meanwhile waits for this end, and begins anew.
            look.ending = true;
            let new = || Ended { actor: look.actor.clone(), looks: Vec::new() };
            let of_person = ended.entry(key.account.clone()).or_insert_with(new);
            of_person.looks.push((key.clone(), look.basis.clone()));
        }
        let mut first = Ok(());
        for Ended { actor, looks } in ended.into_values() {
            let recorded = self.db.change(&actor, |_, events| {
                events.extend(looks.iter().map(|(key, basis)| event("preview.ended", &key.target, basis)));
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
pub struct OpenLook {
    looks: Arc<Looks>,
    key: Key,
}

impl Drop for OpenLook {
    fn drop(&mut self) {
        // Its end goes on record later: a stream may end where nobody may wait for the disk.
        let now = self.looks.db.now();
        if let Some(look) = self.looks.open().get_mut(&self.key) {
            look.streams = look.streams.saturating_sub(1);
            look.last = now;
        }
    }
}

impl std::fmt::Debug for OpenLook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OpenLook").field(&self.key).finish()
    }
}

fn event(kind: &str, target: &LookTarget, basis: &LookBasis) -> Event {
    let LookBasis { zone, incident, agreement, basis } = basis.clone();
    let (screen, camera) = match target {
        LookTarget::Screen(id) => (Some(id.clone()), None),
        LookTarget::Camera(id) => (None, Some(id.clone())),
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
        let camera = || LookTarget::Camera("cam-1".into());
        for _ in 0..3 {
            looks.look_once(&actor("anna"), camera(), LookBasis::default()).expect("on record");
            clock.advance(ONE_LOOK / 2);
            looks.tend(None).expect("on record");
        }
        assert_eq!(records(&db), ["preview.started cam-1"]);
        let screen = || LookTarget::Screen("left".into());
        let look = looks.open_look(&actor("anna"), screen(), LookBasis::default()).expect("on record");
        clock.advance(ONE_LOOK * 3);
        looks.tend(None).expect("on record");
        assert_eq!(
            records(&db),
            ["preview.started cam-1", "preview.started left", "preview.ended cam-1"],
            "a stream goes on"
        );
        drop(look);
        looks.tend(None).expect("on record");
        assert_eq!(looks.count(), 1, "it may be taken up again");
        clock.advance(ONE_LOOK);
        looks.tend(None).expect("on record");
        assert_eq!((looks.count(), records(&db).len()), (0, 4));
        looks.look_once(&actor("bert"), camera(), LookBasis::default()).expect("on record");
        looks.end_all();
        assert_eq!(records(&db)[4..], ["preview.started cam-1", "preview.ended cam-1"]);
    }

    #[test]
    fn on_another_ground_it_is_another_look() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = SimClock::new();
        let db = Database::open(&folder.path().join("v.db"), Ledger::default(), clock).expect("opens");
        let looks = Looks::new(db.clone());
        let under = |incident: &str| LookBasis { incident: Some(incident.into()), ..LookBasis::default() };
        let left = || LookTarget::Screen("left".into());
        let look = looks.open_look(&actor("anna"), left(), under("I-1")).expect("on record");
        looks.tend(Some("I-1")).expect("on record");
        assert_eq!(records(&db).len(), 1);
        looks.tend(Some("I-2")).expect("on record");
        assert_eq!(records(&db)[1..], ["preview.ended left", "preview.started left"]);
        looks.look_once(&actor("anna"), left(), under("I-2")).expect("on record");
        assert_eq!(records(&db).len(), 3, "one look with the stream");
        looks.look_once(&actor("anna"), left(), under("I-3")).expect("on record");
        assert_eq!(records(&db).len(), 5);
        drop(look);
        looks.end_all();
        assert_eq!((looks.count(), records(&db).len()), (0, 6));
    }
}
