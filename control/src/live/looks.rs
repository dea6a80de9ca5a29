//! Who looks over the network, on record: a look begins on record before its first picture leaves, and ends
//! there when its last viewer is gone, or when nothing was asked for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::audit::{Actor, Event};
use crate::db::Database;
use crate::{Result, Utc};

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

/// On what a look stands, as far as its record says.
#[derive(Clone, Debug, Default)]
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
}

type Key = (String, Sight);

/// The looks that are on record as going on.
pub struct Looks {
    db: Arc<Database>,
    open: Mutex<HashMap<Key, Look>>,
}

impl Looks {
    /// Nobody looks yet.
    pub fn new(db: Arc<Database>) -> Arc<Looks> {
        Arc::new(Looks { db, open: Mutex::default() })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Look>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody looks now. Waits for the disk where this look is a new one.
    ///
    /// # Errors
    /// Where it cannot be put on record: then no picture may leave.
    pub fn glance(&self, actor: &Actor, sight: Sight, ground: impl FnOnce() -> Ground) -> Result<()> {
        let key = (actor.account.clone(), sight);
        if let Some(look) = self.open().get_mut(&key) {
            look.last = self.db.now();
            return Ok(());
        }
        let ground = ground();
        // Two first glances at once leave two records; a picture without any would be worse.
        self.db.record(actor, event("preview.started", &key.1, &ground))?;
        let last = self.db.now();
        self.open().entry(key).or_insert(Look { actor: actor.clone(), ground, streams: 0, last }).last = last;
        Ok(())
    }

    /// The same for a stream, which goes on until the answer is dropped.
    ///
    /// # Errors
    /// As [`Looks::glance`].
    pub fn gaze(
        self: &Arc<Self>,
        actor: &Actor,
        sight: Sight,
        ground: impl FnOnce() -> Ground,
    ) -> Result<Arc<Gaze>> {
        self.glance(actor, sight.clone(), ground)?;
        let key = (actor.account.clone(), sight);
        if let Some(look) = self.open().get_mut(&key) {
            look.streams += 1;
        }
        Ok(Arc::new(Gaze { looks: self.clone(), key }))
    }

    /// Puts on record which looks have ended. To be called every second or so.
    pub fn tend(&self) {
        let now = self.db.now();
        let over = |look: &Look| look.streams == 0 && look.last.plus(ONE_LOOK) <= now;
        self.end(over);
    }

    /// Every look has ended: the server stops.
    pub fn end_all(&self) {
        self.end(|_| true);
    }

    fn end(&self, over: impl Fn(&Look) -> bool) {
        let ended: Vec<(Key, Look)> = self.open().extract_if(|_, look| over(look)).collect();
        for ((_, sight), look) in ended {
            if let Err(problem) = self.db.record(&look.actor, event("preview.ended", &sight, &look.ground)) {
                tracing::warn!("the end of a look is not on record: {problem}");
            }
        }
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
    use crate::audit::Ledger;

    fn actor(account: &str) -> Actor {
        Actor { account: account.into(), name: account.into(), ..Actor::system() }
    }

    /// Kind and subject of what is on record of looks, in order.
    fn records(db: &Database) -> Vec<String> {
        let read = |c: &rusqlite::Connection| {
            let mut query = c.prepare("SELECT body FROM audit WHERE kind LIKE 'preview.%' ORDER BY seq")?;
            let rows = query.query_map([], |row| row.get::<_, String>(0))?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        };
        let text = |body: &String| {
            let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
            let event = &body["event"];
            let event = if event.is_null() { &body } else { event };
            let of = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}{}", of("kind"), of("screen"), of("camera"))
        };
        db.read(read).expect("read").iter().map(text).collect()
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
            looks.glance(&actor("anna"), camera(), Ground::default).expect("on record");
            clock.advance(ONE_LOOK / 2);
            looks.tend();
        }
        assert_eq!(records(&db), ["preview.started cam-1"]);
        let screen = || Sight::Screen("left".into());
        let gaze = looks.gaze(&actor("anna"), screen(), Ground::default).expect("on record");
        clock.advance(ONE_LOOK * 3);
        looks.tend();
        assert_eq!(
            records(&db),
            ["preview.started cam-1", "preview.started left", "preview.ended cam-1"],
            "a stream goes on"
        );
        drop(gaze);
        looks.tend();
        assert_eq!(looks.count(), 1, "it may be taken up again");
        clock.advance(ONE_LOOK);
        looks.tend();
        assert_eq!((looks.count(), records(&db).len()), (0, 4));
        looks.glance(&actor("bert"), camera(), Ground::default).expect("on record");
        looks.end_all();
        assert_eq!(records(&db)[4..], ["preview.started cam-1", "preview.ended cam-1"]);
    }
}
