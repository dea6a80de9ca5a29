//! The database under load and under trouble.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::params;
use vitrail_engine::base::SimClock;

use super::*;
use crate::audit::verify::Verdict;

fn open(folder: &Path, clock: &Arc<SimClock>) -> Arc<Database> {
    let path = folder.join("v.db");
    let ledger = Ledger::signed(&path, None).unwrap();
    Database::open(&path, ledger, clock.clone()).unwrap()
}

fn setup() -> (tempfile::TempDir, Arc<SimClock>, Arc<Database>) {
    let (folder, clock) = (tempfile::tempdir().unwrap(), SimClock::new());
    clock.advance(Duration::from_secs(1_000_000));
    let db = open(folder.path(), &clock);
    (folder, clock, db)
}

fn count(db: &Database, kind: &str) -> i64 {
    let sql = "SELECT count(*) FROM audit WHERE kind = ?1";
    db.read(|c| Ok(c.query_row(sql, [kind], |row| row.get(0))?)).unwrap()
}

fn inject(db: &Database, pragma: &str) {
    db.writer().connection.execute_batch(pragma).unwrap();
}

#[test]
fn a_full_disk_stops_changes_says_so_and_recovers_by_itself() {
    let (_folder, clock, db) = setup();
    let by = Actor::system();
    inject(&db, "CREATE TABLE ballast (text TEXT) STRICT; PRAGMA max_page_count = 1");
    let fill = || {
        db.change(&by, |t, events| {
            t.execute("INSERT INTO ballast VALUES (?1)", params!["x".repeat(100_000)])?;
            events.push(Event::new("test.filled"));
            Ok(())
        })
    };
    assert_eq!(fill().map_err(|p| p.kind), Err(Kind::Unavailable));
    let trouble = db.log_state().expect_err("the state says so");
    assert_eq!((trouble.what, trouble.since), (Trouble::Records, db.now()));
    assert!(trouble.reason.contains("full"), "{trouble}");
    assert_eq!(count(&db, "test.filled"), 0, "reading goes on, and nothing was changed");

    clock.advance(Duration::from_secs(60));
    let big = Event { reason: Some("y".repeat(20_000)), ..Event::new("test.big") };
    assert_eq!(db.record(&by, big.clone()).map_err(|p| p.kind), Err(Kind::Unavailable));
    assert_eq!(db.log_state().map_err(|t| t.since), Err(trouble.since), "since when stays");

    inject(&db, "PRAGMA max_page_count = 1000000");
    db.tend();
    assert_eq!(db.log_state(), Ok(()));
    assert_eq!(count(&db, "log.recovered"), 1);
    fill().unwrap();
    db.record(&by, big).unwrap();
    assert_eq!(db.verify(&mut |_, _| {}).unwrap().verdict, Verdict::Verified);
}

#[test]
fn a_read_only_database_stops_changes_and_recovers_with_the_next_one() {
    let (_folder, _clock, db) = setup();
    inject(&db, "PRAGMA query_only = on");
    let outcome = db.record(&Actor::system(), Event::new("test.one"));
    assert_eq!(outcome.map_err(|p| (p.kind, p.code)), Err((Kind::Unavailable, Some("log".into()))));
    assert_eq!(db.log_state().map_err(|t| t.what), Err(Trouble::Records));
    db.tend();
    assert!(db.log_state().is_err(), "it is still read-only");
    inject(&db, "PRAGMA query_only = off");
    db.record(&Actor::system(), Event::new("test.two")).unwrap();
    assert_eq!(db.log_state(), Ok(()));
    let sql = "SELECT group_concat(kind, ' ') FROM (SELECT kind FROM audit ORDER BY seq)";
    let kinds: String = db.read(|c| Ok(c.query_row(sql, [], |row| row.get(0))?)).unwrap();
    assert_eq!(kinds, "log.opened log.recovered test.two");
}

#[test]
fn reasons_of_a_change_itself_are_no_trouble_of_the_log() {
    let (_folder, _clock, db) = setup();
    let outcome = db.change(&Actor::system(), |t, events| {
        t.execute_batch("CREATE TABLE half (n INTEGER) STRICT")?;
        events.push(Event::new("test.half"));
        Err::<(), _>(Problem::conflict("layout", "another one was quicker"))
    });
    assert_eq!(outcome.map_err(|p| p.kind), Err(Kind::Conflict));
    assert_eq!(db.log_state(), Ok(()));
    assert_eq!(count(&db, "test.half"), 0);
    assert!(!db.read(|c| Ok(c.table_exists(None, "half")?)).unwrap(), "nothing of it is left");
    let too_large = Event { reason: Some("z".repeat(70_000)), ..Event::new("test.large") };
    assert_eq!(db.record(&Actor::system(), too_large).map_err(|p| p.kind), Err(Kind::TooLarge));
    assert_eq!(db.log_state(), Ok(()));
}

#[test]
fn a_transaction_that_was_lost_on_the_way_leaves_nothing() {
    let (_folder, _clock, db) = setup();
    let outcome = db.change(&Actor::system(), |t, events| {
        let _ = t.execute_batch("ROLLBACK");
        events.push(Event::new("test.lost"));
        Ok(())
    });
    assert_eq!(outcome.map_err(|p| p.kind), Err(Kind::Unavailable));
    assert_eq!(count(&db, "test.lost"), 0);
    db.record(&Actor::system(), Event::new("test.next")).unwrap();
}

#[test]
fn readers_do_not_wait_for_a_writer_and_see_one_state() {
    let (_folder, _clock, db) = setup();
    let (within, go) = (mpsc::channel::<()>(), mpsc::channel::<()>());
    std::thread::scope(|scope| {
        let db = &db;
        scope.spawn(move || {
            db.change(&Actor::system(), |_, events| {
                events.push(Event::new("test.slow"));
                within.0.send(()).unwrap();
                go.1.recv().unwrap();
                Ok(())
            })
        });
        within.1.recv().unwrap();
        // The writer is in its transaction until it is told to go on: a reader that waited would wait for ever.
        assert_eq!(count(db, "test.slow"), 0);
        db.read(|connection| {
            let seen = |sql| connection.query_row::<i64, _, _>(sql, [], |row| row.get(0));
            let before = seen("SELECT count(*) FROM audit")?;
            go.0.send(()).unwrap();
            while count(db, "test.slow") == 0 {
                std::thread::yield_now();
            }
            assert_eq!(seen("SELECT count(*) FROM audit")?, before, "a read sees one state");
            Ok(())
        })
        .unwrap();
    });
}

#[test]
fn listeners_hear_of_commits_in_their_order_and_before_the_change_returns() {
    let (_folder, _clock, db) = setup();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ours = Arc::clone(&heard);
    db.on_commit(Box::new(move |records| ours.lock().extend(records.iter().map(|r| r.seq))));
    let weak = Arc::downgrade(&db);
    let once = AtomicBool::new(false);
    db.on_commit(Box::new(move |_| {
        // A listener that changes something itself.
        if !once.swap(true, Ordering::SeqCst) {
            weak.upgrade().unwrap().record(&Actor::system(), Event::new("test.nested")).unwrap();
        }
    }));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let seq = db
                        .change(&Actor::system(), |t, events| {
                            events.push(Event::new("test.counted"));
                            let sql = "SELECT max(seq) + 1 FROM audit";
                            Ok(t.query_row::<i64, _, _>(sql, [], |row| row.get(0))?)
                        })
                        .unwrap();
                    assert!(heard.lock().contains(&seq), "told before it returns");
                }
            });
        }
    });
    let heard = heard.lock();
    assert_eq!(*heard, (2..=102).collect::<Vec<i64>>());
}

#[test]
fn one_controller_at_a_time_and_its_files_are_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, clock, db) = setup();
    let path = folder.path().join("v.db");
    let second = Ledger::signed(&path, None);
    assert_eq!(second.map(drop).map_err(|p| p.kind), Err(Kind::Conflict));
    for file in ["v.db", "v.db-wal", "v.db.key"] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} {mode:o}");
    }
    drop(db);
    assert!(!folder.path().join("v.db-wal").exists(), "an end in order leaves one file");
    std::fs::set_permissions(folder.path().join("v.db.key"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let open = Ledger::signed(&path, None).map(drop);
    assert!(open.expect_err("others may read the key").detail.contains("chmod 600"));
    std::fs::set_permissions(folder.path().join("v.db.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let db = self::open(folder.path(), &clock);
    let sql = "SELECT group_concat(kind, ' ') FROM (SELECT kind FROM audit ORDER BY seq)";
    let kinds: String = db.read(|c| Ok(c.query_row(sql, [], |row| row.get(0))?)).unwrap();
    assert_eq!(kinds, "log.opened log.closed log.opened");
    db.close().unwrap();
    assert_eq!(
        db.record(&Actor::system(), Event::new("test.late")).map_err(|p| p.kind),
        Err(Kind::Unavailable)
    );
}

#[test]
fn the_triggers_refuse_changes_of_the_log() {
    let (_folder, _clock, db) = setup();
    for sql in [
        "UPDATE audit SET body = ''",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit",
        "INSERT INTO audit SELECT seq + 2, at, kind, actor, zone, camera, screen, incident, agreement, body, salt, digest, hash FROM audit",
        "DELETE FROM audit_checkpoint",
        "UPDATE audit_checkpoint SET seq = 2",
    ] {
        let refused = db.writer().connection.execute_batch(sql).expect_err(sql);
        assert!(refused.to_string().contains("append-only"), "{sql}: {refused}");
    }
}

/// `cargo test --release -p vitrail-control --lib -- --ignored --nocapture appends_per_second`, in TMPDIR.
#[test]
#[ignore = "a measurement"]
fn appends_per_second() {
    let (folder, _clock, db) = setup();
    let event = Event {
        zone: Some("north".into()),
        camera: Some("cam-7".into()),
        screen: Some("left".into()),
        incident: Some("I-2026-0001".into()),
        agreement: Some("A-2026-0004".into()),
        basis: Some("A-2026-0004, I-2026-0001: safety at an event".into()),
        ..Event::new("showing.started")
    };
    let mut times: Vec<Duration> = (0..5000)
        .map(|_| {
            let begun = std::time::Instant::now();
            db.record(&Actor::system(), event.clone()).unwrap();
            begun.elapsed()
        })
        .collect();
    let all: Duration = times.iter().sum();
    times.sort();
    println!(
        "one record a commit: {:.0}/s, p50 {:?}, p99 {:?}",
        5000.0 / all.as_secs_f64(),
        times[2500],
        times[4950]
    );
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        let many = |_: &Transaction<'_>, events: &mut Vec<Event>| {
            events.extend(std::iter::repeat_n(event.clone(), 256));
            Ok(())
        };
        db.change(&Actor::system(), many).unwrap();
    }
    println!("256 records a commit: {:.0} records/s", 25_600.0 / begun.elapsed().as_secs_f64());
    let begun = std::time::Instant::now();
    let findings = db.verify(&mut |_, _| {}).unwrap();
    println!("verified: {:.0} records/s", findings.records as f64 / begun.elapsed().as_secs_f64());
    db.close().unwrap();
    drop(db);
    let bytes = std::fs::metadata(folder.path().join("v.db")).unwrap().len();
    println!("{} bytes a record in the database", bytes / findings.records);
}
